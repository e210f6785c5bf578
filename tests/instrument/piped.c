/* The client with a bus of two pipes, for whatever machine it is compiled: the other end serves `r WORD`, `w WORD VALUE`. */
#include <inttypes.h>
#include <stdio.h>

#include "DESIGN.h"
#include "gw_registers.h"

uint32_t cbRead(uintptr_t base, uint32_t reg)
{
    uint32_t value = 0;
    (void)base;
    printf("r %" PRIu32 "\n", reg);
    fflush(stdout);
    return scanf("%" SCNu32, &value) == 1 ? value : 0;
}

void cbWrite(uintptr_t base, uint32_t reg, uint32_t value)
{
    (void)base;
    printf("w %" PRIu32 " %" PRIu32 "\n", reg, value);
}

int main(void)
{
    static uint32_t x[64], y[64];
    static int64_t codes[64];
    gw_block block;
    double reals[15], answers[9];
    size_t i, vectors = 8, in, out, x_words, y_words;
    int status = gw_open(&block, 0, &DESIGN), wrong = 0;
    if (status == GW_OK) status = gw_self_test(&block);
    fprintf(stderr, "self-test %d\n", status);
    x_words = vectors * cbRead(0, GW_X_WORDS);
    y_words = vectors * cbRead(0, GW_Y_WORDS);
    in = DESIGN.x.elements;
    out = DESIGN.y.elements;
    status = gw_pack(&block, DESIGN.test_x, vectors * in, x);
    if (status == GW_OK) status = gw_run_words(&block, x, x_words, y, y_words);
    if (status == GW_OK) status = gw_unpack(&block, y, y_words, codes);
    for (i = 0; i < vectors * out; i++) wrong += codes[i] != DESIGN.test_y[i];
    fprintf(stderr, "words %d %d\n", status, wrong);
    for (i = 0; i < 15; i++) reals[i] = 0.37 * (double)i - 1.5;
    fprintf(stderr, "infer %d\n", gw_infer(&block, reals, 15, answers, 9));
    for (i = 0; i < 9; i++) fprintf(stderr, "value %.17g\n", answers[i]);
    return 0;
}
