// Test bench of many AXI4-Stream shells side by side; written into by stream_batch.py where it says LANES.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "Vtb.h"

struct Random {
    uint64_t state;
    uint64_t next() {
        uint64_t z = (state += 0x9E3779B97F4A7C15ull);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        return z ^ (z >> 31);
    }
    bool chance(double probability) { return double(next() >> 11) * 0x1p-53 < probability; }
};

static std::vector<uint32_t> load(const std::string& name) {
    std::vector<uint32_t> data;
    FILE* file = std::fopen(name.c_str(), "rb");
    uint32_t word;
    while (file && std::fread(&word, 4, 1, file) == 1) data.push_back(word);
    if (file) std::fclose(file);
    return data;
}

template <class Port> void put(Port& port, const uint32_t* words, int count) {
    if constexpr (std::is_integral_v<Port>) port = Port(count > 1 ? (uint64_t(words[1]) << 32) | words[0] : words[0]);
    else for (int i = 0; i < count; ++i) port[i] = words[i];
}

template <class Port> void get(const Port& port, uint32_t* words, int count) {
    if constexpr (std::is_integral_v<Port>) {
        words[0] = uint32_t(port);
        if (count > 1) words[1] = uint32_t(uint64_t(port) >> 32);
    } else for (int i = 0; i < count; ++i) words[i] = port[i];
}

struct Lane {
    int number, in_words, out_words, result_beats;
    std::function<void(const uint32_t*)> data;
    std::function<void(uint32_t*)> result;
    std::function<void(bool, bool)> offer;
    std::function<void(bool)> take;
    std::function<bool()> ready, valid, last, null, error;
    std::vector<uint32_t> sent, due;
    size_t in = 0, out = 0;
    bool offering = false;
    double stall_in = 0, stall_out = 0;
    std::string wrong;
    std::vector<int64_t> ends;
    int64_t cycles[2] = {0, 0};
    size_t beats_in() const { return sent.size() / (in_words + 1); }
    size_t beats_out() const { return due.size() / (out_words + 1); }
};

template <class D, class V, class R, class K> Lane lane(int n, int in, int out, int beats, D& data, V& valid, V& ready, V& last, R& result, V& mv, V& mr, V& ml, K& keep, V& error) {
    Lane made;
    made.number = n; made.in_words = in; made.out_words = out; made.result_beats = beats;
    made.data = [&data, in](const uint32_t* words) { put(data, words, in); };
    made.result = [&result, out](uint32_t* words) { get(result, words, out); };
    made.offer = [&valid, &last](bool on, bool end) { valid = on; last = end; };
    made.take = [&mr](bool on) { mr = on; };
    made.ready = [&ready] { return bool(ready); };
    made.valid = [&mv] { return bool(mv); };
    made.last = [&ml] { return bool(ml); };
    made.null = [&keep] { uint32_t words[8] = {0}; get(keep, words, sizeof(K) > 4 ? 2 : 1); return !(words[0] & 1); };
    made.error = [&error] { return bool(error); };
    return made;
}

int main(int argc, char** argv) {
    Random random{uint64_t(std::atoll(argv[argc - 1]))};
    VerilatedContext context;
    context.randReset(2);
    context.randSeed(7);
    Vtb top{&context, ""};
    std::vector<Lane> lanes;
    // LANES
    for (int phase = 0; phase < 2; ++phase) {
        for (Lane& l : lanes) {
            const std::string end = "_" + std::to_string(l.number) + "_" + std::to_string(phase) + ".bin";
            l.sent = load("sent" + end);
            l.due = load("due" + end);
            l.in = l.out = 0;
            l.offering = false;
            l.stall_in = phase ? 0.7 * (random.next() % 3) / 2 : 0;
            l.stall_out = phase ? 0.7 * (random.next() % 3) / 2 : 0;
            l.offer(false, false);
            l.take(false);
        }
        top.aresetn = 0;
        for (int i = 0; i < 3; ++i) { top.aclk = 0; top.eval(); top.aclk = 1; top.eval(); }
        top.aresetn = 1;
        int64_t quiet = 0;
        std::vector<bool> torn(lanes.size());
        for (int64_t cycle = 0; quiet < 3000; ++cycle) {
            ++quiet;
            std::vector<bool> readies;
            for (Lane& l : lanes) {
                if (!l.offering && l.in < l.beats_in() && !random.chance(l.stall_in)) l.offering = true;
                if (l.offering) l.data(&l.sent[l.in * (l.in_words + 1) + 1]);
                l.offer(l.offering, l.offering && l.sent[l.in * (l.in_words + 1)]);
                const bool ready = !random.chance(l.stall_out);
                readies.push_back(ready);
                l.take(ready);
            }
            top.aclk = 0;
            top.eval();
            for (size_t i = 0; i < lanes.size(); ++i) {
                Lane& l = lanes[i];
                if (l.valid() && readies[i]) {
                    quiet = 0;
                    uint32_t now[64] = {0};
                    l.result(now);
                    const std::string where = "phase " + std::to_string(phase) + ", beat " + std::to_string(l.out);
                    if (l.out >= l.beats_out()) {
                        if (l.wrong.empty()) l.wrong = where + ": a beat too many";
                    } else {
                        const uint32_t* want = &l.due[l.out * (l.out_words + 1)];
                        for (int w = 0; w < l.out_words; ++w)
                            if (want[0] < 2 && now[w] != want[1 + w] && l.wrong.empty())
                                l.wrong = where + ": expected " + std::to_string(want[1 + w]) + ", got " + std::to_string(now[w]);
                        if (l.last() != bool(want[0] & 1) && l.wrong.empty()) l.wrong = where + ": wrong TLAST";
                        if (l.null() != (want[0] == 3) && l.wrong.empty()) l.wrong = where + ": wrong TKEEP";
                        torn[i] = torn[i] || want[0] == 3;
                    }
                    ++l.out;
                    if (phase == 0 && l.out % l.result_beats == 0) l.ends.push_back(cycle);
                    l.cycles[phase] = cycle;
                }
                if (l.offering && l.ready()) { ++l.in; l.offering = false; quiet = 0; }
            }
            top.aclk = 1;
            top.eval();
        }
        for (size_t i = 0; i < lanes.size(); ++i)
            if (lanes[i].error() != torn[i] && lanes[i].wrong.empty()) lanes[i].wrong = "wrong framing_error";
        for (Lane& l : lanes)
            if (l.out != l.beats_out() && l.wrong.empty())
                l.wrong = "phase " + std::to_string(phase) + ": " + std::to_string(l.out) + " of " + std::to_string(l.beats_out()) +
                          " beats came out, " + std::to_string(l.in) + " of " + std::to_string(l.beats_in()) + " went in";
    }
    for (Lane& l : lanes) {
        std::printf("%s|", l.wrong.c_str());
        for (int64_t end : l.ends) std::printf("%lld ", (long long)end);
        std::printf("|%lld %lld\n", (long long)l.cycles[0], (long long)l.cycles[1]);
    }
    top.final();
}
