// Host of the kernel @name@ for XRT: stored vectors to the card, results compared. SPDX-License-Identifier: Apache-2.0
//
//     host_xrt @name@.xclbin [DEVICE]
//
// The kernel is opened for this program alone: only then XRT lets its words be read, which say whose design it is and
// why a run failed.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "xrt/xrt_bo.h"
#include "xrt/xrt_device.h"
#include "xrt/xrt_kernel.h"

#include "@name@.h"
#include "gk.h"

static xrt::kernel *opened;  // what cbRead and cbWrite of gk.c reach

extern "C" uint32_t cbRead(uintptr_t, uint32_t reg) { return opened->read_register(4u * reg); }
extern "C" void cbWrite(uintptr_t, uint32_t reg, uint32_t value) { opened->write_register(4u * reg, value); }

static int told(const char *what, int status, const gk_kernel &kernel)
{
    std::fprintf(stderr, "%s: %s\n", what, gk_message(status));
    if (status == GK_FAILED || status == GK_TIMEOUT)
        std::fprintf(stderr, "%s; vectors_in %u, results_out %u\n", gk_reason(&kernel), kernel.vectors_in,
                     kernel.results_out);
    if (status == GK_MISMATCH || status == GK_BAD_VALUE) std::fprintf(stderr, "code %zu\n", kernel.place);
    return EXIT_FAILURE;
}

static int run(const std::string &xclbin, unsigned index)
{
    const gw_design &design = @name@;
    xrt::device device(index);
    const auto uuid = device.load_xclbin(xclbin);
    xrt::kernel kernel(device, uuid, "@name@", xrt::kernel::cu_access_mode::exclusive);
    opened = &kernel;

    gk_kernel client;
    int status = gk_open(&client, 0, &design);
    if (status != GK_OK) return told("open", status, client);
    const size_t bytes_in = gk_x_bytes(&client, design.vectors), bytes_out = gk_y_bytes(&client, design.vectors);
    xrt::bo in(device, bytes_in, kernel.group_id(0)), out(device, bytes_out, kernel.group_id(1));
    const gk_buffer to = {in.map<uint32_t *>(), 0, bytes_in}, from = {out.map<uint32_t *>(), 0, bytes_out};
    const size_t x_count = size_t(design.x.elements) * design.x.beats * design.vectors;
    const size_t y_count = size_t(design.y.elements) * design.y.beats * design.vectors;

    status = gk_pack(&client, design.test_x, x_count, to);
    if (status != GK_OK) return told("pack", status, client);
    in.sync(XCL_BO_SYNC_BO_TO_DEVICE);
    const auto begun = std::chrono::steady_clock::now();
    auto running = kernel(in, out, design.vectors);
    running.wait();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    status = gk_ended(&client);
    if (status != GK_OK) return told("run", status, client);
    out.sync(XCL_BO_SYNC_BO_FROM_DEVICE);

    auto *codes = new int64_t[y_count];
    status = gk_unpack(&client, from, codes, y_count);
    size_t wrong = 0;
    for (size_t i = 0; i < y_count; i++) wrong += codes[i] != design.test_y[i];
    delete[] codes;
    if (status != GK_OK) return told("unpack", status, client);
    std::printf("%u vectors, %zu codes differ, %u cycles in the kernel, %.6f s for the host\n", design.vectors, wrong,
                client.cycles, took.count());
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int count, char **words)
{
    if (count < 2) {
        std::fprintf(stderr, "usage: %s @name@.xclbin [DEVICE]\n", words[0]);
        return 2;
    }
    try {
        return run(words[1], count > 2 ? unsigned(std::stoul(words[2])) : 0u);
    } catch (const std::exception &error) {  // XRT's own: no card, no such kernel, no memory
        std::fprintf(stderr, "XRT: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
