/* Codes of vectors to words and back, for gw.c and gk.c, each of which has its own copy. SPDX-License-Identifier: Apache-2.0 */
#ifndef GW_CODES_H
#define GW_CODES_H

#include "gw.h"

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
 * done, which word of the piece is next, and the bits of the bytes to come, or of those done. */
typedef struct {
    size_t place;
    uint32_t element, part, word;
    uint64_t bits;
} cursor;

static inline uint32_t lane_bytes(const gw_frame *frame) { return (frame->width_bits + 7u) / 8u; }
static inline uint32_t beat_words(const gw_frame *frame)
{
    const uint32_t bytes = frame->beat_bits / 8u;
    return (frame->elements * lane_bytes(frame) + bytes - 1u) / bytes * (frame->beat_bits / 32u);
}
static inline size_t frame_words(const gw_frame *frame) { return (size_t)frame->beats * beat_words(frame); }
static inline size_t frame_codes(const gw_frame *frame) { return (size_t)frame->beats * frame->elements; }

static inline int64_t lowest(const gw_frame *frame)
{
    return frame->is_signed ? -((int64_t)1 << (frame->width_bits - 1u)) : 0;
}

static inline int64_t highest(const gw_frame *frame)
{
    return ((int64_t)1 << (frame->width_bits - frame->is_signed)) - 1;
}

static inline double power_of_two(int32_t exponent)
{
    double power = 1.0;
    for (; exponent > 0; exponent--) power *= 2.0;
    for (; exponent < 0; exponent++) power *= 0.5;
    return power;
}

/* The code of a value, or GW_BAD_VALUE. which: the code's place in its vector. */
static inline int encode(const gw_design *design, double value, size_t which, int64_t *code)
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
static inline void pack(const gw_design *design, const exchange *with, cursor *at, uint32_t *words, size_t count)
{
    const uint32_t lane = lane_bytes(&design->x), elements = design->x.elements, piece = beat_words(&design->x);
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
        if (++now.word == piece) now.word = now.element = 0; /* the next piece begins in the next beat */
        *words++ = word;
    }
    *at = now;
}

/* Take the next words that were received. */
static inline int unpack(const gw_design *design, size_t *place, const exchange *with, cursor *at, const uint32_t *words, size_t count)
{
    const gw_frame *frame = &design->y;
    const double *scale = design->y_scale;
    const uint32_t lane = lane_bytes(frame), elements = frame->elements, piece = beat_words(frame);
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
                *place = now.place;
                return GW_MISMATCH;
            }
            now.part = 0;
            now.element++;
            now.place++;
        }
        if (++now.word == piece) now.word = now.element = 0;
    }
    *at = now;
    return GW_OK;
}

/* Every code or value must fit its format; else *place is the first that does not. */
static inline int checked(const gw_design *design, size_t *place, const exchange *with, size_t count)
{
    const int64_t low = lowest(&design->x), high = highest(&design->x);
    size_t at = 0;
    int64_t code;
    if (with->codes_in)
        while (at < count && with->codes_in[at] >= low && with->codes_in[at] <= high) at++;
    else
        while (at < count && encode(design, with->values_in[at], at % frame_codes(&design->x), &code) == GW_OK)
            at++;
    if (at == count) return GW_OK;
    *place = at;
    return GW_BAD_VALUE;
}

#endif
