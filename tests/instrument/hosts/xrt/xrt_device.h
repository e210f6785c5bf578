// A stand-in for XRT's header of this name, as far as the host uses it: a card whose words and memory card.h has.
#pragma once
#include <fstream>
#include <stdexcept>
#include <string>

namespace xrt {

struct uuid {};

struct device {
    explicit device(unsigned index)
    {
        if (index != 0) throw std::runtime_error("no device " + std::to_string(index));
    }
    uuid load_xclbin(const std::string &name)
    {
        if (!std::ifstream(name)) throw std::runtime_error("no file " + name);
        return {};
    }
};

}  // namespace xrt
