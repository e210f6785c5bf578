// What the test benches of streams share: random numbers, ports of any width as words of 32 bits, files of numbers.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <vector>

struct Random {  // splitmix64: the same numbers on every machine
    uint64_t state;
    uint64_t next() {
        uint64_t z = (state += 0x9E3779B97F4A7C15ull);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        return z ^ (z >> 31);
    }
    bool chance(double probability) { return double(next() >> 11) * 0x1p-53 < probability; }
};

template <class Port> void put(Port& port, const uint32_t* words, int count) {
    if constexpr (std::is_integral_v<Port>) {
        port = Port(count > 1 ? (uint64_t(words[1]) << 32) | words[0] : words[0]);
    } else {
        for (int i = 0; i < count; ++i) port[i] = words[i];
    }
}

template <class Port> void get(const Port& port, uint32_t* words, int count) {
    if constexpr (std::is_integral_v<Port>) {
        words[0] = uint32_t(port);
        if (count > 1) words[1] = uint32_t(uint64_t(port) >> 32);
    } else {
        for (int i = 0; i < count; ++i) words[i] = port[i];
    }
}

template <class T> std::vector<T> load(const std::string& name, size_t count) {
    std::vector<T> data(count);
    FILE* file = std::fopen(name.c_str(), "rb");
    if (!file || std::fread(data.data(), sizeof(T), count, file) != count) {
        std::fprintf(stderr, "%s must hold %zu values of %zu bytes\n", name.c_str(), count, sizeof(T));
        std::exit(3);
    }
    std::fclose(file);
    return data;
}

template <class T> void store(const std::string& name, const std::vector<T>& data) {
    FILE* file = std::fopen(name.c_str(), "wb");
    if (!file || std::fwrite(data.data(), sizeof(T), data.size(), file) != data.size() || std::fclose(file) != 0) {
        std::fprintf(stderr, "cannot write %s\n", name.c_str());
        std::exit(3);
    }
}
