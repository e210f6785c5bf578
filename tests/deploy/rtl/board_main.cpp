// Drives a board top at its pins. argv[1]: clock cycles per bit, in 1/100. Commands on stdin, run in order:
//   b N   send byte N    f N   send byte N with a wrong stop bit    w N   leave the line idle for N cycles
// Every byte that the board sends is printed, then "led N". While commands run, sending and receiving overlap.
#include "Vtop.h"
#include "verilated.h"
#include <cstdio>
#include <cstdlib>
#include <deque>

int main(int argc, char** argv) {
    Verilated::commandArgs(argc, argv);
    const double bit = atof(argv[1]) / 100;
    Vtop top;
    std::deque<std::pair<int, long>> line;  // (level, cycle at which it starts)
    double at = 100;
    char kind;
    int value;
    while (scanf(" %c %d", &kind, &value) == 2) {
        if (kind == 'w') { at += value; continue; }
        const int frame = (value << 1) | (kind == 'b' ? 0x200 : 0);
        for (int i = 0; i < 10; i++) { line.emplace_back(frame >> i & 1, (long)at); at += bit; }
        if (kind == 'f') { line.emplace_back(1, (long)at); at += bit; }
    }
    const long end = (long)at + 3000;
    int rx = 1, byte = 0, bits = -1;
    double sample = 0;
    for (long cycle = 0; cycle < end; cycle++) {
        while (!line.empty() && line.front().second <= cycle) { rx = line.front().first; line.pop_front(); }
        top.uart_rx = rx;
        top.clk_board = 1; top.eval();
        top.clk_board = 0; top.eval();
        if (bits < 0) {
            if (cycle > 50 && !top.uart_tx) { bits = 0; byte = 0; sample = cycle + bit / 2; }
        } else if (cycle >= sample) {
            if (bits >= 1 && bits <= 8) byte |= top.uart_tx << (bits - 1);
            if (bits == 0 && top.uart_tx) printf("glitch\n");
            if (bits == 9) { printf(top.uart_tx ? "%d\n" : "bad stop after %d\n", byte); bits = -2; }
            bits++; sample += bit;
        }
    }
    printf("led %d\n", (int)top.led);
    return 0;
}
