/* Scenarios of the kernel's client in C on a card; says what every call returned. */
#include <stdio.h>
#include <string.h>

#include "DESIGN.h"
#include "card.h"
#include "gk.h"

uint32_t cbRead(uintptr_t base, uint32_t reg) { return card_read((uint32_t)base / 4u + reg); }
void cbWrite(uintptr_t base, uint32_t reg, uint32_t value) { card_write((uint32_t)base / 4u + reg, value); }

static void say(const char *what, int status) { printf("%s %d\n", what, status); }

static size_t flushed, invalidated;
static void flush(const void *at, size_t bytes) { (void)at; flushed += bytes; }
static void invalidate(void *at, size_t bytes) { (void)at; invalidated += bytes; }

int main(void)
{
    static int64_t codes[4096];
    static int64_t stored[4096];
    static double reals[4096], answers[4096];
    const size_t in = (size_t)DESIGN.x.elements * DESIGN.x.beats, out = (size_t)DESIGN.y.elements * DESIGN.y.beats;
    const size_t vectors = DESIGN.vectors;
    const gk_buffer to = {(uint32_t *)card_memory, 0, CARD_MEMORY / 2};
    gk_buffer from = {(uint32_t *)(card_memory + CARD_MEMORY / 2), CARD_MEMORY / 2, CARD_MEMORY / 2};
    gw_design other = DESIGN;
    gk_kernel kernel;
    size_t i, wrong = 0;
    say("nothing there", gk_open(&kernel, 4 * 30, &DESIGN));
    other.hash_low ^= 1;
    say("other hash", gk_open(&kernel, 0, &other));
    other = DESIGN;
    other.x.elements += 64;
    say("other shape", gk_open(&kernel, 0, &other));
    say("open", gk_open(&kernel, 0, &DESIGN));
    kernel.flush = flush;
    kernel.invalidate = invalidate;
    say("self-test", gk_self_test(&kernel, to, from));
    say("caches", flushed == gk_x_bytes(&kernel, vectors) + gk_y_bytes(&kernel, vectors) &&
                      invalidated == gk_y_bytes(&kernel, vectors));
    say("run", gk_run(&kernel, DESIGN.test_x, vectors * in, codes, vectors * out, to, from));
    for (i = 0; i < vectors * out; i++) wrong += codes[i] != DESIGN.test_y[i];
    say("differing codes", (int)wrong);
    printf("counted %d %d\n", kernel.vectors_in == vectors, kernel.results_out == vectors);
    for (i = 0; i < vectors * in; i++) reals[i] = (double)DESIGN.test_x[i]; /* with frac_bits 0 and no scaling */
    say("infer", gk_infer(&kernel, reals, vectors * in, answers, vectors * out, to, from));
    for (wrong = i = 0; i < vectors * out; i++) wrong += answers[i] != (double)DESIGN.test_y[i];
    say("differing values", (int)wrong);
    say("no vector", gk_run(&kernel, DESIGN.test_x, 0, codes, 0, to, from));
    say("bad count", gk_run(&kernel, DESIGN.test_x, in + 1, codes, out, to, from));
    memcpy(stored, DESIGN.test_x, sizeof *stored * in);
    stored[in - 1] = (int64_t)1 << 40;
    say("bad value", gk_run(&kernel, stored, in, codes, out, to, from));
    printf("at %d\n", kernel.place == in - 1);
    from.room = gk_y_bytes(&kernel, vectors) - 1;
    say("no room", gk_self_test(&kernel, to, from));
    from.room = CARD_MEMORY / 2;
    from.address += 2;
    say("failed", gk_self_test(&kernel, to, from));
    printf("because %s\n", gk_reason(&kernel));
    from.address -= 2;
    memcpy(stored, DESIGN.test_y, sizeof *stored * vectors * out);
    stored[out + 1] ^= 1;
    other = DESIGN;
    other.test_y = stored;
    say("open", gk_open(&kernel, 0, &other));
    say("mismatch", gk_self_test(&kernel, to, from));
    printf("at %d\n", kernel.place == out + 1);
#ifdef CARD_HANGS
    card_write(63, 1);
    kernel.patience = 50;
    say("time-out", gk_run(&kernel, DESIGN.test_x, in, codes, out, to, from));
#endif
    printf("message %s\n", gk_message(GK_FAILED));
    return 0;
}
