/* Client of a gatewright block, see gw.h. SPDX-License-Identifier: Apache-2.0 */
#include "gw.h"

#include "gw_registers.h"

#define STICKY 4u /* in both FIFOs' status */

#define BURST 16u /* words that are made, or taken, between two looks at what they are made of */

/* What a call exchanges: codes, values of the user or words, one of them each way; expected: what the codes must be. */
typedef struct {
    const int64_t *codes_in;
    const double *values_in;
    const uint32_t *words_in;
    int64_t *codes_out;
    double *values_out;
    uint32_t *words_out;
    const int64_t *expected;
} exchange;

/* Where a call is in what it sends or receives: the next code among all, which of its piece it is, its bytes that are
 * done, and the bits of the others, or of these. */
typedef struct {
    size_t place;
    uint32_t element, part;
    uint64_t bits;
} cursor;

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

/* Make the next words that are sent. The codes have been checked. */
static void pack(const gw_design *design, const exchange *with, cursor *at, uint32_t *words, size_t count)
{
    const uint32_t lane = lane_bytes(&design->x), elements = design->x.elements;
    cursor now = *at; /* a copy: it stays in registers */
    for (; count > 0; count--) {
        uint32_t word = 0, shift;
        for (shift = 0; shift < 32u && now.element < elements; shift += 8u) {
            if (now.part == 0) {
                int64_t code = 0;
                if (with->codes_in)
                    code = with->codes_in[now.place];
                else
                    (void)encode(design, with->values_in[now.place], now.place % frame_codes(&design->x), &code);
                now.bits = (uint64_t)code;
            }
            word |= (uint32_t)(now.bits & 0xFFu) << shift;
            now.bits >>= 8;
            if (++now.part < lane) continue;
            now.part = 0;
            now.element++;
            now.place++;
        }
        if (now.element == elements) now.element = 0; /* the next piece begins in the next word */
        *words++ = word;
    }
    *at = now;
}

/* Take the next words that were received. */
static int unpack(gw_block *block, const exchange *with, cursor *at, const uint32_t *words, size_t count)
{
    const gw_frame *frame = &block->design->y;
    const double *scale = block->design->y_scale;
    const uint32_t lane = lane_bytes(frame), elements = frame->elements;
    const uint64_t mask = ((uint64_t)1 << frame->width_bits) - 1u;
    const int64_t most = highest(frame);
    cursor now = *at;
    for (; count > 0; count--, words++) {
        uint32_t shift;
        for (shift = 0; shift < 32u && now.element < elements; shift += 8u) {
            const uint64_t byte = *words >> shift & 0xFFu;
            int64_t code;
            now.bits = now.part == 0 ? byte : now.bits | byte << (8u * now.part);
            if (++now.part < lane) continue;
            code = (int64_t)(now.bits & mask);
            if (code > most) code -= (int64_t)mask + 1;
            if (with->codes_out) with->codes_out[now.place] = code;
            if (with->values_out) {
                const double value = (double)code * power_of_two(-frame->frac_bits);
                with->values_out[now.place] = scale ? value * scale[now.place % frame_codes(frame)] : value;
            }
            if (with->expected && with->expected[now.place] != code) {
                block->place = now.place;
                return GW_MISMATCH;
            }
            now.part = 0;
            now.element++;
            now.place++;
        }
        if (now.element == elements) now.element = 0;
    }
    *at = now;
    return GW_OK;
}

static int failed(gw_block *block, int status)
{
    gw_counters(block, &block->counters);
    return status;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Every code or value must fit its format; else block->place is the first that does not. */
static int checked(gw_block *block, const exchange *with, size_t count)
{
    const gw_design *design = block->design;
    const int64_t low = lowest(&design->x), high = highest(&design->x);
    size_t place = 0;
    int64_t code;
    if (with->codes_in)
        while (place < count && with->codes_in[place] >= low && with->codes_in[place] <= high) place++;
    else
        while (place < count && encode(design, with->values_in[place], place % frame_codes(&design->x), &code) == GW_OK)
            place++;
    if (place == count) return GW_OK;
    block->place = place;
    return GW_BAD_VALUE;
}

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
    return unpack(block, with, at, words, count);
}

static int run(gw_block *block, const exchange *with, size_t vectors)
{
    const gw_design *design = block->design;
    const size_t given = vectors * frame_words(&design->x), due = vectors * frame_words(&design->y);
    const size_t most_out = with->words_in ? given : BURST, most_in = with->words_out ? due : BURST;
    const uint32_t depth = cbRead(block->base, GW_DEPTHS) >> 16;
    size_t sent = 0, got = 0, room, count;
    uint32_t idle = 0, status;
    cursor in = {0, 0, 0, 0}, out = {0, 0, 0, 0};
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
    status = checked(block, with, x_count);
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
    cursor at = {0, 0, 0, 0};
    if (x_count % in != 0) return GW_BAD_COUNT;
    if (checked(block, &with, x_count) != GW_OK) return GW_BAD_VALUE;
    pack(block->design, &with, &at, words, x_count / in * frame_words(&block->design->x));
    return GW_OK;
}

int gw_unpack(gw_block *block, const uint32_t *words, size_t count, int64_t *y)
{
    const exchange with = {NULL, NULL, NULL, y, NULL, NULL, NULL};
    cursor at = {0, 0, 0, 0};
    if (count % frame_words(&block->design->y) != 0) return GW_BAD_COUNT;
    return unpack(block, &with, &at, words, count);
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
