// Clocks the system until its program stops, and prints what comes over the UART. SPDX-License-Identifier: Apache-2.0
//
// bench LIMIT BIT: LIMIT cycles at most, BIT cycles per bit of the UART. The text goes to stdout; behind it the line
// "simulated HOW CODE CYCLES", HOW: stopped, lost, limit.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "Vsoc.h"

int main(int count, char **words) {
    if (count != 3) return 2;
    const uint64_t limit = std::strtoull(words[1], nullptr, 10);
    const uint32_t bit = uint32_t(std::strtoul(words[2], nullptr, 10));
    Vsoc soc;
    uint64_t cycle = 0;
    uint32_t wait = 0, bits = 0, byte = 0;  // of the UART: cycles to the next sample, bits still to come
    uint32_t rest = 12 * bit;  // the last byte leaves after the program's end
    for (uint64_t now = 0; cycle < limit && rest; now++) {
        if (soc.stopped || soc.lost)
            rest--;
        else
            cycle++;
        soc.rst_n = now >= 4;
        soc.clk = 0;
        soc.eval();
        soc.clk = 1;
        soc.eval();
        if (now < 8) continue;
        if (bits) {
            if (--wait) continue;
            wait = bit;
            if (--bits)
                byte = byte >> 1 | (soc.uart_txd ? 0x80u : 0u);
            else if (soc.uart_txd)
                std::putchar(int(byte));
            else
                std::fputs("\nframe\n", stdout);  // no stop bit: never a number
        } else if (!soc.uart_txd) {
            bits = 9;
            wait = bit + bit / 2;
        }
    }
    std::printf("simulated %s %" PRIu32 " %" PRIu64 "\n", soc.stopped ? "stopped" : soc.lost ? "lost" : "limit", soc.code, cycle);
    return 0;
}
