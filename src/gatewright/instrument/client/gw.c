/* Client of a gatewright block, see gw.h. SPDX-License-Identifier: Apache-2.0 */
#include "gw.h"

#include "gw_registers.h"

#define STICKY 4u /* in both FIFOs' status */

/* What a call exchanges: codes or values of the user, one of the two each way; expected: what the codes must be. */
typedef struct {
    const int64_t *codes_in;
    const double *values_in;
    int64_t *codes_out;
    double *values_out;
    const int64_t *expected;
} exchange;

static uint32_t lane_bytes(const gw_frame *frame) { return (frame->width_bits + 7u) / 8u; }
static uint32_t beat_words(const gw_frame *frame) { return (frame->elements * lane_bytes(frame) + 3u) / 4u; }
static size_t frame_words(const gw_frame *frame) { return (size_t)frame->beats * beat_words(frame); }
static size_t frame_codes(const gw_frame *frame) { return (size_t)frame->beats * frame->elements; }

static int64_t lowest(const gw_frame *frame)
{
    return frame->is_signed ? -((int64_t)1 << (frame->width_bits - 1u)) : 0;
}

static int64_t highest(const gw_frame *frame)
{
    return ((int64_t)1 << (frame->width_bits - frame->is_signed)) - 1;
}

static double power_of_two(int32_t exponent)
{
    double power = 1.0;
    for (; exponent > 0; exponent--) power *= 2.0;
    for (; exponent < 0; exponent++) power *= 0.5;
    return power;
}

/* The code of a value, or GW_BAD_VALUE. which: the code's place in its vector. */
static int encode(const gw_design *design, double value, size_t which, int64_t *code)
{
    const double low = (double)lowest(&design->x), high = (double)highest(&design->x);
    double scaled = value;
    int64_t whole;
    if (value - value != 0.0) return GW_BAD_VALUE; /* NaN, infinite */
    if (design->x_scale) {
        const double product = value * design->x_scale[which];
        scaled = product + design->x_offset[which];
    }
    scaled *= power_of_two(design->x.frac_bits);
    if (scaled < low - 1.0 || scaled > high + 1.0) {
        if (!design->x_scale) return GW_BAD_VALUE;
        *code = scaled < low ? lowest(&design->x) : highest(&design->x);
        return GW_OK;
    }
    whole = (int64_t)scaled;
    if ((double)whole > scaled) whole--;
    if (scaled - (double)whole >= 0.5) whole++;
    if (whole < lowest(&design->x) || whole > highest(&design->x)) {
        if (!design->x_scale) return GW_BAD_VALUE;
        whole = whole < lowest(&design->x) ? lowest(&design->x) : highest(&design->x);
    }
    *code = whole;
    return GW_OK;
}

static int code_in(const gw_design *design, const exchange *with, size_t place, int64_t *code)
{
    if (with->values_in) return encode(design, with->values_in[place], place % frame_codes(&design->x), code);
    *code = with->codes_in[place];
    return *code < lowest(&design->x) || *code > highest(&design->x) ? GW_BAD_VALUE : GW_OK;
}

/* Word `number` of all that is sent. The codes have been checked. */
static uint32_t word_in(const gw_design *design, const exchange *with, size_t number)
{
    const gw_frame *frame = &design->x;
    const size_t lane = lane_bytes(frame), beat = number / beat_words(frame);
    size_t byte = number % beat_words(frame) * 4u;
    uint32_t word = 0, shift;
    int64_t code = 0;
    size_t known = (size_t)-1;
    for (shift = 0; shift < 32u; shift += 8u, byte++) {
        const size_t element = byte / lane;
        if (element >= frame->elements) break;
        if (element != known) (void)code_in(design, with, beat * frame->elements + element, &code);
        known = element;
        word |= (uint32_t)((uint64_t)code >> (8u * (byte % lane)) & 0xFFu) << shift;
    }
    return word;
}

/* Take word `number` of all that is received; partial: bytes of a code that began in a word before. */
static int word_out(gw_block *block, const exchange *with, size_t number, uint32_t word, uint64_t *partial)
{
    const gw_frame *frame = &block->design->y;
    const size_t lane = lane_bytes(frame), beat = number / beat_words(frame);
    size_t byte = number % beat_words(frame) * 4u;
    uint32_t shift;
    for (shift = 0; shift < 32u; shift += 8u, byte++) {
        const size_t element = byte / lane, place = beat * frame->elements + element;
        uint64_t bits;
        int64_t code;
        if (element >= frame->elements) break;
        if (byte % lane == 0) *partial = 0;
        *partial |= (uint64_t)(word >> shift & 0xFFu) << (8u * (byte % lane));
        if (byte % lane != lane - 1u) continue;
        bits = *partial & (((uint64_t)1 << frame->width_bits) - 1u);
        code = (int64_t)bits;
        if (code > highest(frame)) code -= (int64_t)1 << frame->width_bits;
        if (with->codes_out) with->codes_out[place] = code;
        if (with->values_out) {
            const double *scale = block->design->y_scale;
            const double value = (double)code * power_of_two(-frame->frac_bits);
            with->values_out[place] = scale ? value * scale[place % frame_codes(frame)] : value;
        }
        if (with->expected && with->expected[place] != code) {
            block->place = place;
            return GW_MISMATCH;
        }
    }
    return GW_OK;
}

static int failed(gw_block *block, int status)
{
    gw_counters(block, &block->counters);
    return status;
}

static int run(gw_block *block, const exchange *with, size_t x_count, size_t y_count)
{
    const gw_design *design = block->design;
    const size_t vectors = x_count / frame_codes(&design->x);
    const size_t given = vectors * frame_words(&design->x), due = vectors * frame_words(&design->y);
    const uint32_t depth = cbRead(block->base, GW_DEPTHS) >> 16;
    size_t sent = 0, got = 0, place;
    uint32_t idle = 0;
    uint64_t partial = 0;
    if (x_count % frame_codes(&design->x) != 0 || y_count != vectors * frame_codes(&design->y)) return GW_BAD_COUNT;
    for (place = 0; place < x_count; place++) {
        int64_t code;
        const int status = code_in(design, with, place, &code);
        block->place = place;
        if (status != GW_OK) return status;
    }
    while (got < due) {
        int moved = 0;
        uint32_t status, count;
        if (sent < given) {
            status = cbRead(block->base, CB_OFIFO_STATUS);
            if (status & STICKY) return failed(block, GW_OVERFLOW);
            for (count = depth - (status >> 16); count > 0 && sent < given; count--, sent++, moved = 1)
                cbWrite(block->base, CB_OFIFO_VALUE, word_in(design, with, sent));
        }
        status = cbRead(block->base, CB_IFIFO_STATUS);
        if (status & STICKY) return failed(block, GW_UNDERFLOW);
        for (count = status >> 16; count > 0 && got < due; count--, got++, moved = 1) {
            const int wrong = word_out(block, with, got, cbRead(block->base, CB_IFIFO_VALUE), &partial);
            if (wrong != GW_OK) return failed(block, wrong);
        }
        idle = moved ? 0 : idle + 1;
        if (idle > block->patience) return failed(block, GW_TIMEOUT);
    }
    return GW_OK;
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
    const exchange with = {x, NULL, y, NULL, NULL};
    return run(block, &with, x_count, y_count);
}

int gw_infer(gw_block *block, const double *x, size_t x_count, double *y, size_t y_count)
{
    const exchange with = {NULL, x, NULL, y, NULL};
    return run(block, &with, x_count, y_count);
}

int gw_self_test(gw_block *block)
{
    const gw_design *design = block->design;
    const exchange with = {design->test_x, NULL, NULL, NULL, design->test_y};
    const size_t vectors = design->vectors;
    return run(block, &with, vectors * frame_codes(&design->x), vectors * frame_codes(&design->y));
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
    };
    return status >= 0 && status < (int)(sizeof messages / sizeof *messages) ? messages[status] : "no such status";
}
