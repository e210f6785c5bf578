// The Verilated block behind cbRead and cbWrite, and two ends: `c` runs the C client, `pipe` serves words to Python.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "Vblock.h"
#include "DESIGN.h"

static Vblock *dut;

static void tick() {
    dut->aclk = 0;
    dut->eval();
    dut->aclk = 1;
    dut->eval();
}

static const uintptr_t RAM = 1;  // stands for the address of the RAM window

// A transfer takes place at an edge before which both valid and ready were high.
static void ram_write(uint32_t word, uint32_t value) {
    dut->s_ram_awaddr = 4 * word;
    dut->s_ram_awsize = 2;
    dut->s_ram_awburst = 1;
    dut->s_ram_wdata = value;
    dut->s_ram_wstrb = 15;
    dut->s_ram_awvalid = dut->s_ram_wvalid = dut->s_ram_wlast = dut->s_ram_bready = 1;
    for (bool done = false; !done;) {
        dut->eval();
        const bool asked = dut->s_ram_awready, given = dut->s_ram_wready;
        done = dut->s_ram_bvalid;
        tick();
        if (asked) dut->s_ram_awvalid = 0;
        if (given) dut->s_ram_wvalid = 0;
    }
}

static uint32_t ram_read(uint32_t word) {
    dut->s_ram_araddr = 4 * word;
    dut->s_ram_arsize = 2;
    dut->s_ram_arburst = 1;
    dut->s_ram_arvalid = dut->s_ram_rready = 1;
    for (;;) {
        dut->eval();
        const bool asked = dut->s_ram_arready, done = dut->s_ram_rvalid;
        const uint32_t value = dut->s_ram_rdata;
        tick();
        if (asked) dut->s_ram_arvalid = 0;
        if (done) return value;
    }
}

extern "C" void cbWrite(uintptr_t base, uint32_t reg, uint32_t value) {
    if (base == RAM) {
        ram_write(reg, value);
        return;
    }
    dut->s_axi_awaddr = 4 * reg;
    dut->s_axi_wdata = value;
    dut->s_axi_wstrb = 15;
    dut->s_axi_awvalid = dut->s_axi_wvalid = dut->s_axi_bready = 1;
    for (bool taken = false; !taken;) {
        dut->eval();
        taken = dut->s_axi_awready;
        tick();
    }
    dut->s_axi_awvalid = dut->s_axi_wvalid = 0;
    for (bool done = false; !done;) {
        dut->eval();
        done = dut->s_axi_bvalid;
        tick();
    }
}

extern "C" uint32_t cbRead(uintptr_t base, uint32_t reg) {
    if (base == RAM) return ram_read(reg);
    dut->s_axi_araddr = 4 * reg;
    dut->s_axi_arvalid = dut->s_axi_rready = 1;
    for (bool taken = false; !taken;) {
        dut->eval();
        taken = dut->s_axi_arready;
        tick();
    }
    dut->s_axi_arvalid = 0;
    for (;;) {
        dut->eval();
        const bool done = dut->s_axi_rvalid;
        const uint32_t value = dut->s_axi_rdata;
        tick();
        if (done) return value;
    }
}

static int said(const char *what, int status) {
    printf("%s %d\n", what, status);
    return status;
}

static void as_c() {
    gw_block block;
    gw_design other = DESIGN;
    const size_t in = size_t(DESIGN.x.elements) * DESIGN.x.beats, out = size_t(DESIGN.y.elements) * DESIGN.y.beats;
    std::vector<int64_t> y(DESIGN.vectors * out);
    std::vector<double> reals(3 * in), answers(3 * out);
    other.hash_low ^= 1;
    said("other hash", gw_open(&block, 0, &other));
    other = DESIGN;
    other.x.elements += 8;
    said("other shape", gw_open(&block, 0, &other));
    said("open", gw_open(&block, 0, &DESIGN));
    said("run", gw_run(&block, DESIGN.test_x, DESIGN.vectors * in, y.data(), y.size()));
    int wrong = 0;
    for (size_t i = 0; i < y.size(); i++) wrong += y[i] != DESIGN.test_y[i];
    said("differing codes", wrong);
    said("vectors", int(DESIGN.vectors));
    said("self-test", gw_self_test(&block));
    for (size_t i = 0; i < reals.size(); i++) reals[i] = 0.37 * double(i) - 1.5;
    said("infer", gw_infer(&block, reals.data(), reals.size(), answers.data(), answers.size()));
    for (double value : answers) printf("value %.17g\n", value);
    said("bad count", gw_run(&block, DESIGN.test_x, in + 1, y.data(), out));
    reals[1] = 0.0 / (reals[0] - reals[0]);
    said("not a number", gw_infer(&block, reals.data(), in, answers.data(), out));
    said("at", int(block.place));
    gw_open(&block, 0, &DESIGN);
    block.patience = 50;
    std::vector<int64_t> low(in, 0);
    cbWrite(0, GW_RESET_WORD, 1);  // held: nothing can move
    said("time-out", gw_run(&block, low.data(), in, y.data(), out));
    said("results", int(block.counters.results_out));
    gw_reset(&block);
    for (uint32_t i = 0; i < 100000 && !(cbRead(0, 38) & 1); i++) cbWrite(0, 36, 0);
    cbWrite(0, 36, 0);
    said("overflow", gw_run(&block, low.data(), in, y.data(), out));
    said("framing errors", int(block.counters.framing_errors));
    gw_reset(&block);
    (void)cbRead(0, 32);
    said("underflow", gw_run(&block, low.data(), in, y.data(), out));
    other = DESIGN;
    std::vector<int64_t> stored(DESIGN.test_y, DESIGN.test_y + y.size());
    stored[out + 1] ^= 1;
    other.test_y = stored.data();
    gw_open(&block, 0, &other);
    said("mismatch", gw_self_test(&block));
    said("at", int(block.place));
    std::vector<uint32_t> sent(40), back(40);
    for (uint32_t i = 0; i < 40; i++) sent[i] = 0x01020304u * (i + 1);
    said("to the RAM", gw_ram_write(&block, RAM, 24, sent.data(), 40));
    said("from it", gw_ram_read(&block, RAM, 24, back.data(), 40));
    said("the same", sent == back);
    said("beyond it", gw_ram_read(&block, RAM, 25, back.data(), 40));
    printf("message %s\n", gw_message(GW_WRONG_HASH));
}

int main(int count, char **words) {
    dut = new Vblock;
    for (int i = 0; i < 4; i++) tick();
    dut->aresetn = 1;
    tick();
    if (count > 1 && !std::strcmp(words[1], "c")) {
        as_c();
        return 0;
    }
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        unsigned reg, value;
        if (line[0] == 'r' && sscanf(line, "r %u", &reg) == 1) printf("%u\n", cbRead(0, reg));
        if (line[0] == 'w' && sscanf(line, "w %u %u", &reg, &value) == 2) cbWrite(0, reg, value);
        fflush(stdout);
    }
    return 0;
}
