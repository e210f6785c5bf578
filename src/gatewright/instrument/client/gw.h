/* Client of a gatewright block: vectors in user's units or in codes in, results out. SPDX-License-Identifier: Apache-2.0
 *
 * C99, no allocation, no libm, no operating system. The platform gives cbRead and cbWrite (gw_mmio.h has them for
 * memory-mapped buses, bare metal and Linux alike). Every function returns GW_OK or one of gw_status;
 * gw_message says what it means and what to do.
 */
#ifndef GW_H
#define GW_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One word of 32 bits of the block at `base`; reg is its number in gw_registers.h. One aligned 32-bit access each.
 * With -DGW_MMIO they are those of gw_mmio.h, inlined: 17 cycles a word in place of 44 on a PicoRV32. */
#ifdef GW_MMIO
#include "gw_mmio.h"
#else
uint32_t cbRead(uintptr_t base, uint32_t reg);
void cbWrite(uintptr_t base, uint32_t reg, uint32_t value);
#endif

typedef enum {
    GW_OK = 0,
    GW_WRONG_ID,    /* no block of this map answers at this address */
    GW_WRONG_HASH,  /* the bitstream is of another run than this client */
    GW_WRONG_SHAPE, /* the block's vectors have other sizes than the client's */
    GW_BAD_COUNT,   /* the arrays hold no whole number of vectors, or not as many results as inputs */
    GW_BAD_VALUE,   /* a value is NaN, or a code does not fit its format */
    GW_TIMEOUT,     /* nothing moved for `patience` polls; gw_block.counters tell where it stopped */
    GW_OVERFLOW,    /* the input's FIFO has lost a word: something else writes to it */
    GW_UNDERFLOW,   /* the results' FIFO was read while empty: something else reads it */
    GW_MISMATCH,    /* a result of the self-test differs from the stored one */
    GW_BAD_RAM      /* the RAM window has no such words */
} gw_status;

typedef struct {
    uint32_t elements; /* codes in a piece */
    uint32_t beats;    /* pieces of a vector */
    uint32_t width_bits;
    uint32_t is_signed;
    int32_t frac_bits;  /* a code q means q * 2^-frac_bits */
    uint32_t beat_bits; /* a piece fills whole beats: of 32 bits behind a FIFO, of a kernel as wide as its memory's */
} gw_frame;

typedef struct {
    const char *name;
    uint32_t hash_high, hash_low;
    gw_frame x, y;
    /* Of each code of a vector. x: code = round half up((value * scale + offset) * 2^frac_bits), clipped to the format;
     * without them value * 2^frac_bits, and what does not fit is GW_BAD_VALUE. y: value = code * 2^-frac_bits * scale. */
    const double *x_scale, *x_offset, *y_scale;
    uint32_t vectors; /* stored ones, for the self-test */
    const int64_t *test_x, *test_y;
} gw_design;

typedef struct {
    uint32_t vectors_in, results_out, framing_errors, cycles_busy, output_words, input_words, flags;
} gw_counts;

typedef struct {
    uintptr_t base;
    const gw_design *design;
    uint32_t patience;  /* polls without progress before GW_TIMEOUT; gw_open sets 1000000 */
    gw_counts counters; /* as they were when a call last failed */
    size_t place;       /* which code, or which stored vector's code, was at fault */
} gw_block;

/* Check that the block is the design's, and reset it. Call this first. */
int gw_open(gw_block *block, uintptr_t base, const gw_design *design);
/* Empty the FIFOs, the core and the counters. The user's registers stay. */
void gw_reset(gw_block *block);
/* Codes in, codes out; x_count, y_count: codes in the arrays, whole vectors. */
int gw_run(gw_block *block, const int64_t *x, size_t x_count, int64_t *y, size_t y_count);
/* The same in the user's units. Compile without fused operations: -ffp-contract=off. */
int gw_infer(gw_block *block, const double *x, size_t x_count, double *y, size_t y_count);
/* Words as they cross the bus, whole vectors: packed once, they are sent at the least cost. */
int gw_run_words(gw_block *block, const uint32_t *x, size_t x_count, uint32_t *y, size_t y_count);
/* Codes to words of the input, and words of results to codes; count: of words. block->place: a code that does not fit. */
int gw_pack(gw_block *block, const int64_t *x, size_t x_count, uint32_t *words);
int gw_unpack(gw_block *block, const uint32_t *words, size_t count, int64_t *y);
/* Move words and look at nothing: the input's FIFO must have room for them, the results' must hold them. */
void gw_write_words(const gw_block *block, const uint32_t *words, size_t count);
void gw_read_words(const gw_block *block, uint32_t *words, size_t count);
/* Run the stored vectors and compare all results. */
int gw_self_test(gw_block *block);
/* Words of the RAM window, which lies at an address of its own: `count` of them from word `first` on. */
int gw_ram_write(const gw_block *block, uintptr_t ram, uint32_t first, const uint32_t *words, uint32_t count);
int gw_ram_read(const gw_block *block, uintptr_t ram, uint32_t first, uint32_t *words, uint32_t count);
void gw_counters(const gw_block *block, gw_counts *counts);
const char *gw_message(int status);

#ifdef __cplusplus
}
#endif
#endif
