// A stand-in for XRT's header of this name: a buffer here, and one on the card, which only `sync` makes the same.
#pragma once
#include <cstring>
#include <stdexcept>
#include <vector>

#include "card.h"
#include "xrt/xrt_device.h"

enum xclBOSyncDirection { XCL_BO_SYNC_BO_TO_DEVICE, XCL_BO_SYNC_BO_FROM_DEVICE };

namespace xrt {

struct bo {
    bo(const device &, size_t bytes, int group) : here(bytes), address(next)
    {
        if (group < 0 || group > 1) throw std::runtime_error("no memory of this group");
        next += (bytes + 4095) / 4096 * 4096;
    }
    template <class T> T map() { return reinterpret_cast<T>(here.data()); }
    void sync(xclBOSyncDirection way)
    {
        if (way == XCL_BO_SYNC_BO_TO_DEVICE) std::memcpy(card_memory + address, here.data(), here.size());
        else std::memcpy(here.data(), card_memory + address, here.size());
    }
    std::vector<unsigned char> here;
    size_t address;
    static inline size_t next = 0;
};

}  // namespace xrt
