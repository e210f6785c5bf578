/* Client of a gatewright kernel, see gk.h. SPDX-License-Identifier: Apache-2.0 */
#include "gk.h"

#include "gw_codes.h"
#include "gw_registers.h"

static uint32_t get(const gk_kernel *kernel, uint32_t word) { return cbRead(kernel->base, word); }
static void set(const gk_kernel *kernel, uint32_t word, uint32_t value) { cbWrite(kernel->base, word, value); }

size_t gk_x_bytes(const gk_kernel *kernel, size_t vectors) { return 4u * vectors * frame_words(&kernel->design->x); }
size_t gk_y_bytes(const gk_kernel *kernel, size_t vectors) { return 4u * vectors * frame_words(&kernel->design->y); }

int gk_open(gk_kernel *kernel, uintptr_t base, const gw_design *design)
{
    kernel->base = base;
    kernel->design = design;
    kernel->patience = 100000000u;
    kernel->flush = NULL;
    kernel->invalidate = NULL;
    kernel->code = kernel->vectors_in = kernel->results_out = kernel->cycles = 0;
    kernel->place = 0;
    if (get(kernel, GK_ID) != GK_MAGIC) return GK_WRONG_ID;
    if (get(kernel, GK_HASH_HIGH) != design->hash_high || get(kernel, GK_HASH_LOW) != design->hash_low)
        return GK_WRONG_HASH;
    if (get(kernel, GK_X_BYTES) != gk_x_bytes(kernel, 1) || get(kernel, GK_Y_BYTES) != gk_y_bytes(kernel, 1))
        return GK_WRONG_SHAPE;
    return GK_OK;
}

int gk_start(gk_kernel *kernel, uint64_t x_address, uint64_t y_address, uint32_t vectors)
{
    if (!(get(kernel, GK_CONTROL) & GK_CONTROL_IDLE)) return GK_BUSY;
    set(kernel, GK_X_LOW, (uint32_t)x_address);
    set(kernel, GK_X_HIGH, (uint32_t)(x_address >> 32));
    set(kernel, GK_Y_LOW, (uint32_t)y_address);
    set(kernel, GK_Y_HIGH, (uint32_t)(y_address >> 32));
    set(kernel, GK_COUNT, vectors);
    set(kernel, GK_CONTROL, GK_CONTROL_START);
    return GK_OK;
}

int gk_ended(gk_kernel *kernel)
{
    kernel->code = get(kernel, GK_STATUS) & GK_STATUS_CODE;
    kernel->vectors_in = get(kernel, GK_VECTORS_IN);
    kernel->results_out = get(kernel, GK_RESULTS_OUT);
    kernel->cycles = get(kernel, GK_CYCLES);
    return kernel->code ? GK_FAILED : GK_OK;
}

int gk_wait(gk_kernel *kernel)
{
    uint32_t polls = 0;
    while (!(get(kernel, GK_CONTROL) & GK_CONTROL_DONE))
        if (polls++ == kernel->patience) {
            (void)gk_ended(kernel);
            return GK_TIMEOUT;
        }
    return gk_ended(kernel);
}

/* Check, and write to memory. */
static int put(gk_kernel *kernel, const exchange *with, size_t x_count, gk_buffer to)
{
    const size_t in = frame_codes(&kernel->design->x), vectors = x_count / in;
    cursor at = {0, 0, 0, 0, 0};
    if (x_count % in != 0) return GK_BAD_COUNT;
    if (gk_x_bytes(kernel, vectors) > to.room) return GK_NO_ROOM;
    if (checked(kernel->design, &kernel->place, with, x_count) != GW_OK) return GK_BAD_VALUE;
    pack(kernel->design, with, &at, to.words, gk_x_bytes(kernel, vectors) / 4u);
    if (kernel->flush) kernel->flush(to.words, gk_x_bytes(kernel, vectors));
    return GK_OK;
}

static int take(gk_kernel *kernel, const exchange *with, size_t y_count, gk_buffer from)
{
    const size_t out = frame_codes(&kernel->design->y), vectors = y_count / out;
    cursor at = {0, 0, 0, 0, 0};
    if (y_count % out != 0) return GK_BAD_COUNT;
    if (gk_y_bytes(kernel, vectors) > from.room) return GK_NO_ROOM;
    if (kernel->invalidate) kernel->invalidate(from.words, gk_y_bytes(kernel, vectors));
    return unpack(kernel->design, &kernel->place, with, &at, from.words, gk_y_bytes(kernel, vectors) / 4u) == GW_OK
               ? GK_OK
               : GK_MISMATCH;
}

int gk_pack(gk_kernel *kernel, const int64_t *x, size_t x_count, gk_buffer to)
{
    const exchange with = {x, NULL, NULL, NULL, NULL, NULL, NULL};
    return put(kernel, &with, x_count, to);
}

int gk_unpack(gk_kernel *kernel, gk_buffer from, int64_t *y, size_t y_count)
{
    const exchange with = {NULL, NULL, NULL, y, NULL, NULL, NULL};
    return take(kernel, &with, y_count, from);
}

static int run(gk_kernel *kernel, const exchange *with, size_t x_count, size_t y_count, gk_buffer in, gk_buffer out)
{
    const size_t vectors = x_count / frame_codes(&kernel->design->x);
    int status;
    if (y_count != vectors * frame_codes(&kernel->design->y)) return GK_BAD_COUNT;
    if (gk_y_bytes(kernel, vectors) > out.room) return GK_NO_ROOM;
    if (vectors > 0xFFFFFFFFu) return GK_BAD_COUNT;
    status = put(kernel, with, x_count, in);
    if (status == GK_OK && kernel->flush) kernel->flush(out.words, gk_y_bytes(kernel, vectors));
    if (status == GK_OK) status = gk_start(kernel, in.address, out.address, (uint32_t)vectors);
    if (status == GK_OK) status = gk_wait(kernel);
    return status == GK_OK ? take(kernel, with, y_count, out) : status;
}

int gk_run(gk_kernel *kernel, const int64_t *x, size_t x_count, int64_t *y, size_t y_count, gk_buffer in, gk_buffer out)
{
    const exchange with = {x, NULL, NULL, y, NULL, NULL, NULL};
    return run(kernel, &with, x_count, y_count, in, out);
}

int gk_infer(gk_kernel *kernel, const double *x, size_t x_count, double *y, size_t y_count, gk_buffer in, gk_buffer out)
{
    const exchange with = {NULL, x, NULL, NULL, y, NULL, NULL};
    return run(kernel, &with, x_count, y_count, in, out);
}

int gk_self_test(gk_kernel *kernel, gk_buffer in, gk_buffer out)
{
    const gw_design *design = kernel->design;
    const exchange with = {design->test_x, NULL, NULL, NULL, NULL, NULL, design->test_y};
    const size_t vectors = design->vectors;
    return run(kernel, &with, vectors * frame_codes(&design->x), vectors * frame_codes(&design->y), in, out);
}

const char *gk_message(int status)
{
    static const char *const messages[] = {
        "all is well",
        "no kernel of this map answers: check the address, and that the bitstream is loaded",
        "the bitstream is of another run than this client: load the one of this bundle",
        "the kernel's vectors have other sizes than the client's: load the bitstream of this bundle",
        "the arrays must hold whole vectors, and as many results as inputs: check the counts",
        "a value is NaN or does not fit the input's format: see place",
        "a buffer has no room for the vectors: gk_x_bytes and gk_y_bytes say what they take",
        "a run is under way: wait for its end",
        "the run has not ended: see results_out; the kernel ends one by itself after its PATIENCE",
        "the run has ended early: see gk_reason, vectors_in and results_out",
        "a result differs from the stored one: see place; check clock and timing of the bitstream",
    };
    return status >= 0 && status < (int)(sizeof messages / sizeof *messages) ? messages[status] : "no such status";
}

const char *gk_reason(const gk_kernel *kernel)
{
    static const char *const reasons[] = GK_REASONS;
    return kernel->code < sizeof reasons / sizeof *reasons ? reasons[kernel->code] : "a code of another version";
}
