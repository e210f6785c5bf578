/* A card with a kernel: its words, by their numbers, and the memory that it reaches. */
#ifndef CARD_H
#define CARD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CARD_MEMORY = 1 << 20 };
extern uint8_t card_memory[CARD_MEMORY];
uint32_t card_read(uint32_t word);
void card_write(uint32_t word, uint32_t value);

#ifdef __cplusplus
}
#endif
#endif
