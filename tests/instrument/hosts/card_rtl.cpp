// A card that is the Verilated kernel, with beats of 64 bits, and a memory that answers in every cycle.
#include <cstring>

#include "Vkernel.h"
#include "card.h"

uint8_t card_memory[CARD_MEMORY];

static Vkernel *dut;
static struct { uint64_t address; unsigned beats; } reads, writes;
static bool writing, answering;

static void tick()
{
    dut->m_axi_gmem_arready = reads.beats == 0;
    dut->m_axi_gmem_rvalid = reads.beats > 0;
    dut->m_axi_gmem_rlast = reads.beats == 1;
    if (reads.beats) std::memcpy(&dut->m_axi_gmem_rdata, card_memory + reads.address, 8);
    dut->m_axi_gmem_awready = !writing && !answering;
    dut->m_axi_gmem_wready = writing;
    dut->m_axi_gmem_bvalid = answering;
    dut->ap_clk = 0;
    dut->eval();
    const bool asked = dut->m_axi_gmem_arvalid && dut->m_axi_gmem_arready;
    const bool read = dut->m_axi_gmem_rvalid && dut->m_axi_gmem_rready;
    const bool told = dut->m_axi_gmem_awvalid && dut->m_axi_gmem_awready;
    const bool wrote = dut->m_axi_gmem_wvalid && dut->m_axi_gmem_wready;
    const bool answered = dut->m_axi_gmem_bvalid && dut->m_axi_gmem_bready;
    if (read) reads = {reads.address + 8, reads.beats - 1};
    if (asked) reads = {dut->m_axi_gmem_araddr, dut->m_axi_gmem_arlen + 1u};
    if (answered) answering = false;
    if (wrote) {
        std::memcpy(card_memory + writes.address, &dut->m_axi_gmem_wdata, 8);
        writes = {writes.address + 8, writes.beats - 1};
        if (dut->m_axi_gmem_wlast) {
            writing = false;
            answering = true;
        }
    }
    if (told) {
        writes = {dut->m_axi_gmem_awaddr, dut->m_axi_gmem_awlen + 1u};
        writing = true;
    }
    dut->ap_clk = 1;
    dut->eval();
}

static void start()
{
    if (dut) return;
    dut = new Vkernel;
    for (int i = 0; i < 4; i++) tick();
    dut->ap_rst_n = 1;
    for (int i = 0; i < 3; i++) tick();
}

extern "C" void card_write(uint32_t word, uint32_t value)
{
    start();
    dut->s_axi_control_awaddr = 4 * word;
    dut->s_axi_control_wdata = value;
    dut->s_axi_control_wstrb = 15;
    dut->s_axi_control_awvalid = dut->s_axi_control_wvalid = dut->s_axi_control_bready = 1;
    for (bool done = false; !done;) {
        dut->eval();
        const bool taken = dut->s_axi_control_awready;
        done = dut->s_axi_control_bvalid;
        tick();
        if (taken) dut->s_axi_control_awvalid = dut->s_axi_control_wvalid = 0;
    }
}

extern "C" uint32_t card_read(uint32_t word)
{
    start();
    dut->s_axi_control_araddr = 4 * word;
    dut->s_axi_control_arvalid = dut->s_axi_control_rready = 1;
    for (;;) {
        dut->eval();
        const bool taken = dut->s_axi_control_arready, done = dut->s_axi_control_rvalid;
        const uint32_t value = dut->s_axi_control_rdata;
        tick();
        if (taken) dut->s_axi_control_arvalid = 0;
        if (done) return value;
    }
}
