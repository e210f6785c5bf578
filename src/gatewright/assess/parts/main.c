/* What the processor does: the stored vectors through the client, compared and timed. SPDX-License-Identifier: Apache-2.0
 *
 * It prints lines "NAME VALUE", the last one "end 0"; a client that fails ends it with "status N" and its counters.
 */
#include "gw.h"
#include "gw_registers.h"
#include "soc_design.h" /* DESIGN, VECTORS, X_CODES, Y_CODES, X_WORDS, Y_WORDS of a vector, BULK vectors that both FIFOs hold */

#define BLOCK 0x40000000u
#define UART (*(volatile uint32_t *)0x80000000u)
#define CYCLES (*(volatile uint32_t *)0x80000004u)

static int64_t y_codes[VECTORS * Y_CODES];
static uint32_t x_words[VECTORS * X_WORDS], y_words[VECTORS * Y_WORDS];

/* What the compiler may call. */
void *memcpy(void *to, const void *from, size_t count)
{
    uint8_t *a = to;
    const uint8_t *b = from;
    while (count--) *a++ = *b++;
    return to;
}

void *memset(void *to, int value, size_t count)
{
    uint8_t *a = to;
    while (count--) *a++ = (uint8_t)value;
    return to;
}

static void text(const char *line)
{
    while (*line) UART = (uint8_t)*line++;
}

static void say(const char *name, uint32_t value)
{
    char digits[11];
    char *at = digits + 10;
    *at = 0;
    do *--at = (char)('0' + value % 10u);
    while (value /= 10u);
    text(name);
    text(" ");
    text(at);
    text("\n");
}

static uint32_t differing(void)
{
    uint32_t vector, code, found = 0;
    for (vector = 0; vector < VECTORS; vector++)
        for (code = 0; code < Y_CODES; code++)
            if (y_codes[vector * Y_CODES + code] != DESIGN.test_y[vector * Y_CODES + code]) {
                if (!found++) {
                    say("first_vector", vector);
                    say("first_code", code);
                }
                break;
            }
    return found;
}

static int failed(const gw_block *block, int status)
{
    const gw_counts *c = &block->counters;
    say("status", (uint32_t)status);
    say("vectors_in", c->vectors_in);
    say("results_out", c->results_out);
    say("framing_errors", c->framing_errors);
    say("flags", c->flags);
    return status;
}

int main(void)
{
    gw_block block;
    uint32_t begun, ended, i;
    int status = gw_open(&block, BLOCK, &DESIGN);
    block.patience = 100000u;
    if (status != GW_OK) return failed(&block, status);

    begun = CYCLES;
    say("empty", CYCLES - begun); /* what a measurement costs itself */

    /* Codes in, codes out: all that a program does for its vectors. */
    begun = CYCLES;
    status = gw_run(&block, DESIGN.test_x, VECTORS * X_CODES, y_codes, VECTORS * Y_CODES);
    ended = CYCLES;
    if (status != GW_OK) return failed(&block, status);
    say("vectors", VECTORS);
    say("mismatches", differing());
    say("cycles", ended - begun);

    /* Packed once, the words of all vectors at the least cost. */
    status = gw_pack(&block, DESIGN.test_x, VECTORS * X_CODES, x_words);
    if (status != GW_OK) return failed(&block, status);
    begun = CYCLES;
    status = gw_run_words(&block, x_words, VECTORS * X_WORDS, y_words, VECTORS * Y_WORDS);
    ended = CYCLES;
    if (status != GW_OK) return failed(&block, status);
    (void)gw_unpack(&block, y_words, VECTORS * Y_WORDS, y_codes);
    say("words_mismatches", differing());
    say("words_cycles", ended - begun);

    /* A bulk write, the wait for its results, a bulk read. */
    begun = CYCLES;
    gw_write_words(&block, x_words, BULK * X_WORDS);
    ended = CYCLES;
    say("write_words", BULK * X_WORDS);
    say("write_cycles", ended - begun);
    for (i = 0; i < block.patience && cbRead(BLOCK, CB_IFIFO_STATUS) >> 16 < BULK * Y_WORDS; i++) {}
    begun = CYCLES;
    gw_read_words(&block, y_words, BULK * Y_WORDS);
    ended = CYCLES;
    (void)gw_unpack(&block, y_words, BULK * Y_WORDS, y_codes);
    say("read_words", BULK * Y_WORDS);
    say("read_cycles", ended - begun);
    say("bulk_mismatches", differing());

    /* One vector at a time: from its first word to its result in the processor's memory. */
    for (i = 0; i < VECTORS; i++) {
        begun = CYCLES;
        status = gw_run_words(&block, x_words + i * X_WORDS, X_WORDS, y_words + i * Y_WORDS, Y_WORDS);
        ended = CYCLES;
        if (status != GW_OK) return failed(&block, status);
        say("one", ended - begun);
    }
    (void)gw_unpack(&block, y_words, VECTORS * Y_WORDS, y_codes);
    say("one_mismatches", differing());
    gw_counters(&block, &block.counters);
    say("vectors_in", block.counters.vectors_in);
    say("results_out", block.counters.results_out);
    say("framing_errors", block.counters.framing_errors);
    say("end", 0);
    return 0;
}
