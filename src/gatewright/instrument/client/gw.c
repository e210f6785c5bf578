/* Client of a gatewright block, see gw.h. SPDX-License-Identifier: Apache-2.0 */
#include "gw.h"

#include "gw_codes.h"
#include "gw_registers.h"

#define STICKY 4u /* in both FIFOs' status */

#define BURST 16u /* words that are made, or taken, between two looks at what they are made of */

static int failed(gw_block *block, int status)
{
    gw_counters(block, &block->counters);
    return status;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void send(const gw_block *block, const exchange *with, cursor *at, size_t number, size_t count)
{
    uint32_t words[BURST];
    if (with->words_in) {
        gw_write_words(block, with->words_in + number, count);
        return;
    }
    pack(block->design, with, at, words, count);
    gw_write_words(block, words, count);
}

static int take(gw_block *block, const exchange *with, cursor *at, size_t number, size_t count)
{
    uint32_t words[BURST];
    if (with->words_out) {
        gw_read_words(block, with->words_out + number, count);
        return GW_OK;
    }
    gw_read_words(block, words, count);
    return unpack(block->design, &block->place, with, at, words, count);
}

static int run(gw_block *block, const exchange *with, size_t vectors)
{
    const gw_design *design = block->design;
    const size_t given = vectors * frame_words(&design->x), due = vectors * frame_words(&design->y);
    const size_t most_out = with->words_in ? given : BURST, most_in = with->words_out ? due : BURST;
    const uint32_t depth = cbRead(block->base, GW_DEPTHS) >> 16;
    size_t sent = 0, got = 0, room, count;
    uint32_t idle = 0, status;
    cursor in = {0, 0, 0, 0, 0}, out = {0, 0, 0, 0, 0};
    while (got < due) {
        int moved = 0;
        if (sent < given) {
            status = cbRead(block->base, CB_OFIFO_STATUS);
            if (status & STICKY) return failed(block, GW_OVERFLOW);
            for (room = least(depth - (status >> 16), given - sent); room > 0; room -= count, sent += count, moved = 1) {
                count = least(room, most_out);
                send(block, with, &in, sent, count);
            }
        }
        status = cbRead(block->base, CB_IFIFO_STATUS);
        if (status & STICKY) return failed(block, GW_UNDERFLOW);
        for (room = least(status >> 16, due - got); room > 0; room -= count, got += count, moved = 1) {
            int wrong;
            count = least(room, most_in);
            wrong = take(block, with, &out, got, count);
            if (wrong != GW_OK) return failed(block, wrong);
        }
        idle = moved ? 0 : idle + 1;
        if (idle > block->patience) return failed(block, GW_TIMEOUT);
    }
    return GW_OK;
}

/* Run codes or values, which are checked first. */
static int run_checked(gw_block *block, const exchange *with, size_t x_count, size_t y_count)
{
    const size_t in = frame_codes(&block->design->x), vectors = x_count / in;
    int status;
    if (x_count % in != 0 || y_count != vectors * frame_codes(&block->design->y)) return GW_BAD_COUNT;
    status = checked(block->design, &block->place, with, x_count);
    return status == GW_OK ? run(block, with, vectors) : status;
}

int gw_open(gw_block *block, uintptr_t base, const gw_design *design)
{
    block->base = base;
    block->design = design;
    block->patience = 1000000u;
    block->place = 0;
    if (cbRead(base, GW_ID) != GW_MAGIC) return GW_WRONG_ID;
    gw_counters(block, &block->counters);
    if (cbRead(base, GW_HASH_HIGH) != design->hash_high || cbRead(base, GW_HASH_LOW) != design->hash_low)
        return GW_WRONG_HASH;
    if (cbRead(base, GW_X_WORDS) != frame_words(&design->x) || cbRead(base, GW_Y_WORDS) != frame_words(&design->y))
        return GW_WRONG_SHAPE;
    gw_reset(block);
    return GW_OK;
}

void gw_reset(gw_block *block)
{
    cbWrite(block->base, GW_RESET, 1);
    cbWrite(block->base, GW_RESET, 0);
}

int gw_run(gw_block *block, const int64_t *x, size_t x_count, int64_t *y, size_t y_count)
{
    const exchange with = {x, NULL, NULL, y, NULL, NULL, NULL};
    return run_checked(block, &with, x_count, y_count);
}

int gw_infer(gw_block *block, const double *x, size_t x_count, double *y, size_t y_count)
{
    const exchange with = {NULL, x, NULL, NULL, y, NULL, NULL};
    return run_checked(block, &with, x_count, y_count);
}

int gw_self_test(gw_block *block)
{
    const gw_design *design = block->design;
    const exchange with = {design->test_x, NULL, NULL, NULL, NULL, NULL, design->test_y};
    const size_t vectors = design->vectors;
    return run_checked(block, &with, vectors * frame_codes(&design->x), vectors * frame_codes(&design->y));
}

int gw_run_words(gw_block *block, const uint32_t *x, size_t x_count, uint32_t *y, size_t y_count)
{
    const exchange with = {NULL, NULL, x, NULL, NULL, y, NULL};
    const size_t in = frame_words(&block->design->x), vectors = x_count / in;
    if (x_count % in != 0 || y_count != vectors * frame_words(&block->design->y)) return GW_BAD_COUNT;
    return run(block, &with, vectors);
}

int gw_pack(gw_block *block, const int64_t *x, size_t x_count, uint32_t *words)
{
    const exchange with = {x, NULL, NULL, NULL, NULL, NULL, NULL};
    const size_t in = frame_codes(&block->design->x);
    cursor at = {0, 0, 0, 0, 0};
    if (x_count % in != 0) return GW_BAD_COUNT;
    if (checked(block->design, &block->place, &with, x_count) != GW_OK) return GW_BAD_VALUE;
    pack(block->design, &with, &at, words, x_count / in * frame_words(&block->design->x));
    return GW_OK;
}

int gw_unpack(gw_block *block, const uint32_t *words, size_t count, int64_t *y)
{
    const exchange with = {NULL, NULL, NULL, y, NULL, NULL, NULL};
    cursor at = {0, 0, 0, 0, 0};
    if (count % frame_words(&block->design->y) != 0) return GW_BAD_COUNT;
    return unpack(block->design, &block->place, &with, &at, words, count);
}

/* Eight at a time: a small processor spends more on counting words than on moving them. */
void gw_write_words(const gw_block *block, const uint32_t *words, size_t count)
{
    const uintptr_t base = block->base;
    for (; count >= 8u; count -= 8u, words += 8) {
        cbWrite(base, CB_OFIFO_VALUE, words[0]);
        cbWrite(base, CB_OFIFO_VALUE, words[1]);
        cbWrite(base, CB_OFIFO_VALUE, words[2]);
        cbWrite(base, CB_OFIFO_VALUE, words[3]);
        cbWrite(base, CB_OFIFO_VALUE, words[4]);
        cbWrite(base, CB_OFIFO_VALUE, words[5]);
        cbWrite(base, CB_OFIFO_VALUE, words[6]);
        cbWrite(base, CB_OFIFO_VALUE, words[7]);
    }
    for (; count > 0; count--) cbWrite(base, CB_OFIFO_VALUE, *words++);
}

void gw_read_words(const gw_block *block, uint32_t *words, size_t count)
{
    const uintptr_t base = block->base;
    for (; count >= 8u; count -= 8u, words += 8) {
        words[0] = cbRead(base, CB_IFIFO_VALUE);
        words[1] = cbRead(base, CB_IFIFO_VALUE);
        words[2] = cbRead(base, CB_IFIFO_VALUE);
        words[3] = cbRead(base, CB_IFIFO_VALUE);
        words[4] = cbRead(base, CB_IFIFO_VALUE);
        words[5] = cbRead(base, CB_IFIFO_VALUE);
        words[6] = cbRead(base, CB_IFIFO_VALUE);
        words[7] = cbRead(base, CB_IFIFO_VALUE);
    }
    for (; count > 0; count--) *words++ = cbRead(base, CB_IFIFO_VALUE);
}

static int in_ram(const gw_block *block, uint32_t first, uint32_t count)
{
    const uint32_t words = cbRead(block->base, GW_RAM_WORDS);
    return first <= words && count <= words - first;
}

int gw_ram_write(const gw_block *block, uintptr_t ram, uint32_t first, const uint32_t *words, uint32_t count)
{
    if (!in_ram(block, first, count)) return GW_BAD_RAM;
    for (; count > 0; count--) cbWrite(ram, first++, *words++);
    return GW_OK;
}

int gw_ram_read(const gw_block *block, uintptr_t ram, uint32_t first, uint32_t *words, uint32_t count)
{
    if (!in_ram(block, first, count)) return GW_BAD_RAM;
    for (; count > 0; count--) *words++ = cbRead(ram, first++);
    return GW_OK;
}

void gw_counters(const gw_block *block, gw_counts *counts)
{
    counts->vectors_in = cbRead(block->base, GW_VECTORS_IN);
    counts->results_out = cbRead(block->base, GW_RESULTS_OUT);
    counts->framing_errors = cbRead(block->base, GW_FRAMING_ERRORS);
    counts->cycles_busy = cbRead(block->base, GW_CYCLES_BUSY);
    counts->output_words = cbRead(block->base, CB_OFIFO_STATUS) >> 16;
    counts->input_words = cbRead(block->base, CB_IFIFO_STATUS) >> 16;
    counts->flags = cbRead(block->base, GW_FLAGS);
}

const char *gw_message(int status)
{
    static const char *const messages[] = {
        "all is well",
        "no block of this map answers: check the address, and that the bitstream is loaded",
        "the bitstream is of another run than this client: load the one of this bundle",
        "the block's vectors have other sizes than the client's: load the bitstream of this bundle",
        "the arrays must hold whole vectors, and as many results as inputs: check the counts",
        "a value is NaN or does not fit the input's format: see place",
        "nothing moved: see counters; vectors_in above results_out is a core that hangs, words in the input's FIFO a "
        "vector that is not whole. gw_reset puts all in step",
        "the input's FIFO has lost a word, so vectors are out of step: let nothing else write to it, and gw_reset",
        "the results' FIFO was read while empty: let nothing else read it, and gw_reset",
        "a result differs from the stored one: see place; check clock and timing of the bitstream",
        "the words lie outside of the RAM window, which has GW_RAM_WORDS of them, none where the block was made without",
    };
    return status >= 0 && status < (int)(sizeof messages / sizeof *messages) ? messages[status] : "no such status";
}
