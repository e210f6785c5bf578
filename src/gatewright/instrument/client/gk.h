/* Client of a gatewright kernel, which fetches vectors from memory itself. SPDX-License-Identifier: Apache-2.0
 *
 * C99, no allocation, no libm, no operating system. The platform gives cbRead and cbWrite (gw_mmio.h has them for
 * memory-mapped buses), and memory that both sides see. Every function returns GK_OK or one of gk_status.
 */
#ifndef GK_H
#define GK_H

#include "gw.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    GK_OK = 0,
    GK_WRONG_ID,    /* no kernel of this map answers at this address */
    GK_WRONG_HASH,  /* the bitstream is of another run than this client */
    GK_WRONG_SHAPE, /* the kernel's vectors have other sizes than the client's */
    GK_BAD_COUNT,   /* the arrays hold no whole number of vectors, or not as many results as inputs */
    GK_BAD_VALUE,   /* a value is NaN, or a code does not fit its format: see place */
    GK_NO_ROOM,     /* a buffer is too small for the vectors */
    GK_BUSY,        /* a run is under way */
    GK_TIMEOUT,     /* the run has not ended after `patience` polls */
    GK_FAILED,      /* the run has ended early: gk_reason says why */
    GK_MISMATCH     /* a result of the self-test differs from the stored one: see place */
} gk_status;

/* Memory that both sides see. words: where it is here; address: where the kernel finds it, a multiple of a beat's bytes;
 * room: in bytes. */
typedef struct {
    uint32_t *words;
    uint64_t address;
    size_t room;
} gk_buffer;

typedef struct {
    uintptr_t base;
    const gw_design *design;
    uint32_t patience; /* polls before GK_TIMEOUT; gk_open sets 100000000 */
    /* Of the processor's caches, where it has some: called with what was written for the kernel, and before what it
     * wrote is read. gk_open sets NULL. */
    void (*flush)(const void *at, size_t bytes);
    void (*invalidate)(void *at, size_t bytes);
    uint32_t code, vectors_in, results_out, cycles; /* of the last run */
    size_t place;                                   /* which code was at fault */
} gk_kernel;

/* Check that the kernel is the design's. Call this first. */
int gk_open(gk_kernel *kernel, uintptr_t base, const gw_design *design);
/* Bytes of vectors, and of their results, in memory. */
size_t gk_x_bytes(const gk_kernel *kernel, size_t vectors);
size_t gk_y_bytes(const gk_kernel *kernel, size_t vectors);
/* Codes to memory and back, whole vectors; x_count, y_count: codes. No run is made. */
int gk_pack(gk_kernel *kernel, const int64_t *x, size_t x_count, gk_buffer to);
int gk_unpack(gk_kernel *kernel, gk_buffer from, int64_t *y, size_t y_count);
/* Start a run of vectors that lie in memory, and wait for its end. */
int gk_start(gk_kernel *kernel, uint64_t x_address, uint64_t y_address, uint32_t vectors);
int gk_wait(gk_kernel *kernel);
/* How the last run ended, for those who waited by other means: fills code and counters. */
int gk_ended(gk_kernel *kernel);
/* Codes in, codes out. */
int gk_run(gk_kernel *kernel, const int64_t *x, size_t x_count, int64_t *y, size_t y_count, gk_buffer in, gk_buffer out);
/* The same in the user's units. Compile without fused operations: -ffp-contract=off. */
int gk_infer(gk_kernel *kernel, const double *x, size_t x_count, double *y, size_t y_count, gk_buffer in, gk_buffer out);
/* Run the stored vectors and compare all results. */
int gk_self_test(gk_kernel *kernel, gk_buffer in, gk_buffer out);
const char *gk_message(int status);
/* Why the last run ended as it did. */
const char *gk_reason(const gk_kernel *kernel);

#ifdef __cplusplus
}
#endif
#endif
