// A stand-in for XRT's header of this name: arguments go where kernel.xml says, then START, then polls for DONE.
#pragma once
#include <string>

#include "card.h"
#include "xrt/xrt_bo.h"

namespace xrt {

struct run {
    void wait()
    {
        while (!(card_read(0) & 2u)) {}
    }
};

struct kernel {
    enum class cu_access_mode { exclusive, shared, none };
    kernel(const device &, const uuid &, const std::string &, cu_access_mode mode) : open(mode) {}
    int group_id(int argument) const { return argument; }
    unsigned read_register(unsigned offset) const
    {
        if (open != cu_access_mode::exclusive) throw std::runtime_error("words are read by an exclusive owner alone");
        return card_read(offset / 4);
    }
    void write_register(unsigned offset, unsigned value) { card_write(offset / 4, value); }
    run operator()(const bo &x, const bo &y, unsigned count)
    {
        const size_t addresses[2] = {x.address, y.address};
        for (unsigned i = 0; i < 2; i++) {
            card_write(4 + 3 * i, unsigned(addresses[i]));
            card_write(5 + 3 * i, unsigned(addresses[i] >> 32));
        }
        card_write(10, count);
        card_write(0, 1);
        return {};
    }
    cu_access_mode open;
};

}  // namespace xrt
