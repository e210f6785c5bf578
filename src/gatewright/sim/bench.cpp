// Test bench of an AXI4-Stream shell: records what comes out and when; checks the bus rules and every probe.
//
// design.h (written by sim/design.py) says which design; the command line says what to run:
//   bench VECTORS STALL_FRACTION SEED LATENCY
// In the working directory it reads  source.bin (beats as uint32 words), last.bin (TLAST per phase and vector),
// layer_N.bin (int64, VECTORS x LAYER_ELEMENTS[N]), channel_N.bin (int64: the number of transfers, the number of
// lanes, then transfers x lanes); it writes for each phase P  result_P.bin (beats), beatlast_P.bin (TLAST
// per beat), cycles_P.bin (int64 per vector: first beat in, into the core, out of the core, last beat out; -1: never),
// and run.json. Comparing results and measuring latencies is left to Python (sim/run.py).
// A cycle is the time before a rising edge of aclk; signals are read at its end. Cycle 0 is the first after reset.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bus.h"
#include "design.h"

namespace {

constexpr int PHASES = 2;              // 0: no stalls; 1: stalls on both streams
constexpr int64_t TREADY_CHECKS = 2000;  // cycles of each phase in which TVALID is tried with both values of TREADY

struct Fault { int phase; int64_t first_cycle; int64_t count; };
struct Difference { int channel, probe; int rank; int phase; int64_t cycle, vector, expected, got; };  // channel: -1 for a layer's

struct Beats {  // what a channel must carry, and what it has carried in this phase
    int64_t transfers, lanes;
    std::vector<int64_t> expected;
    int64_t seen[PHASES] = {0, 0}, fill = 0, greatest = 0, passed = 0;  // passed: with those of torn vectors
};

int64_t read(const Probe& probe) {
    uint64_t raw = 0;
    switch (probe.bytes) {
    case 1: raw = *static_cast<const uint8_t*>(probe.data); break;
    case 2: raw = *static_cast<const uint16_t*>(probe.data); break;
    case 4: raw = *static_cast<const uint32_t*>(probe.data); break;
    default: raw = *static_cast<const uint64_t*>(probe.data); break;
    }
    const int unused = 64 - probe.bits;
    return probe.is_signed ? int64_t(raw << unused) >> unused : int64_t(raw << unused >> unused);
}

class Bench {
  public:
    Bench(int64_t vectors, double stall, uint64_t seed, int latency)
        : vectors(vectors), stall(stall), latency(latency), random{seed} {
        context.randReset(2);  // registers without reset start with random values
        context.randSeed(int(seed % 0x7FFFFFFF) + 1);
        top = std::make_unique<Vtb>(&context, "");
        probes = probe_table(*top);
        starts = start_table(*top);
        channels = channel_table(*top);
        int64_t deepest = 0, size = 16;
        for (const Probe& probe : probes) deepest = std::max<int64_t>(deepest, probe.stage);
        while (size <= deepest) size *= 2;
        entered.assign(starts.size(), std::vector<int64_t>(size, -1));
        begun.assign(starts.size(), 0);
        source = load<uint32_t>("source.bin", vectors * SOURCE_BEATS * SOURCE_WORDS);
        last = load<uint8_t>("last.bin", PHASES * vectors);
        for (int i = 0; i < LAYERS; ++i) {
            layers.push_back(load<int64_t>("layer_" + std::to_string(i) + ".bin", vectors * LAYER_ELEMENTS[i]));
        }
        for (size_t i = 0; i < channels.size(); ++i) {
            const std::string name = "channel_" + std::to_string(i) + ".bin";
            const std::vector<int64_t> head = load<int64_t>(name, 2);
            std::vector<int64_t> all = load<int64_t>(name, 2 + head[0] * head[1]);
            beats.push_back({head[0], head[1], std::vector<int64_t>(all.begin() + 2, all.end())});
        }
    }

    void run() {
        reset(4);
        for (phase = 0; phase < PHASES; ++phase) {
            if (phase > 0) {
                const bool cut = abandon();
                reset(1);
                if (FRAMED && cut) end_cut_packet();
            }
            run_phase();
        }
        write_summary();
        top->final();
    }

  private:
    void settle() {
        top->aclk = 0;
        top->eval();
    }

    void edge() {
        top->aclk = 1;
        top->eval();
        context.timeInc(1);
    }

    void reset(int cycles) {
        top->aresetn = 0;
        top->s_axis_tvalid = 0;
        top->m_axis_tready = 1;
        for (int i = 0; i < cycles; ++i) {
            settle();
            edge();
            cycle = -1;
            if (top->m_axis_tvalid) fault("m_axis_tvalid is high in reset");
        }
        top->aresetn = 1;
    }

    void offer(int64_t beat, bool tlast) {
        put(top->s_axis_tdata, &source[beat * SOURCE_WORDS], SOURCE_WORDS);
        top->s_axis_tlast = tlast;
    }

    // Fill the design with vectors that a reset will hit in the pipeline, in the FIFO and in mid-vector; tell whether
    // the packet that they are of has begun.
    bool abandon() {
        const int64_t total = vectors * SOURCE_BEATS;
        int64_t sent = 0;
        top->m_axis_tready = 0;
        for (int i = 0; i < latency + 3 + 3 * SOURCE_BEATS; ++i) {
            top->s_axis_tvalid = sent < total;
            if (sent < total) offer(sent, false);
            settle();
            if (top->s_axis_tvalid && top->s_axis_tready) ++sent;
            edge();
        }
        return sent > 0;
    }

    // What the sender goes on to send of a packet that a reset has cut, up to TLAST: nothing may come of it.
    void end_cut_packet() {
        const int64_t rest = 2 * SOURCE_BEATS + 1;
        int64_t sent = 0;
        if (framing_error(*top)) fault("framing_error is high after reset");
        for (int i = 0; i < 100 + 4 * rest && sent < rest; ++i) {
            top->s_axis_tvalid = 1;
            offer(sent % (vectors * SOURCE_BEATS), sent == rest - 1);
            settle();
            if (core_in_valid(*top)) fault("a vector of a packet that a reset has cut went into the core");
            if (top->s_axis_tready) ++sent;
            edge();
        }
        top->s_axis_tvalid = 0;
        settle();
        if (sent < rest) fault("the rest of a packet that a reset has cut was not taken");
        if (!framing_error(*top)) fault("framing_error does not tell that a packet was cut");
    }

    void run_phase() {
        const int64_t in_total = vectors * SOURCE_BEATS, out_total = vectors * RESULT_BEATS;
        const int64_t patience = 100 + 4 * (latency + SOURCE_BEATS + RESULT_BEATS);
        const int64_t drain = 2 * (latency + RESULT_BEATS) + 32;
        const int64_t pause = IN_BEATS > 1 ? 100 : 2 * latency + 16;
        const bool stalls = phase > 0;
        int64_t in_beats = 0, out_beats = 0, in_core = 0, out_core = 0, stuck = 0, after = 0;
        int64_t source_pause = 0, sink_pause = 0, blocked = 0, torn = 0, tears = 0, nulls = 0, leaving = 0;
        bool offering = false, waiting = false, waiting_last = false, waiting_null = false, filling = stalls;
        const bool erred = framing_error(*top);
        std::vector<uint32_t> result(out_total * RESULT_WORDS), now(RESULT_WORDS), before(RESULT_WORDS);
        std::vector<uint8_t> beat_last(out_total);
        std::vector<int64_t> cycles(4 * vectors, -1);
        for (auto& ring : entered) std::fill(ring.begin(), ring.end(), -1);
        std::fill(begun.begin(), begun.end(), 0);
        entries.clear();
        sent.clear();
        for (Beats& channel : beats) channel.fill = channel.passed = 0;

        for (cycle = 0; after < drain; ++cycle) {
            // The source: once it offers a beat it must keep to it.
            if (!offering && in_beats < in_total && source_pause == 0 && !(stalls && random.chance(stall))) {
                offering = true;
                // Now and then a torn vector, with TLAST before its last beat: its result is null beats, with TLAST.
                const bool begins = in_beats % SOURCE_BEATS == 0, ends = (in_beats + 1) % SOURCE_BEATS == 0;
                if (FRAMED && stalls && SOURCE_BEATS > 1 && torn == 0 && begins && random.chance(1.0 / 16)) {
                    torn = 1 + int64_t(random.next() % uint64_t(SOURCE_BEATS - 1));
                    ++tears;
                    sent.push_back(-1);
                } else if (begins && torn == 0) {
                    sent.push_back(in_beats / SOURCE_BEATS);
                }
                // Where packets are nothing, TLAST on an earlier beat than the last means nothing either.
                const bool stray = !FRAMED && stalls && !ends && random.chance(0.5);
                if (torn > 0) offer((in_beats + torn) % in_total, torn == 1);
                else offer(in_beats, ends ? bool(last[phase * vectors + in_beats / SOURCE_BEATS]) : stray);
            }
            if (source_pause > 0) --source_pause;
            else if (stalls && stall > 0 && random.chance(1.0 / 256)) source_pause = pause;
            top->s_axis_tvalid = offering;
            // The sink: in phase 1 it first waits until the design is full.
            filling = filling && blocked < 8 && in_beats < in_total;
            bool ready = !filling;
            if (sink_pause > 0) { --sink_pause; ready = false; }
            else if (stalls && stall > 0 && random.chance(1.0 / 128)) sink_pause = pause;
            if (stalls && random.chance(stall) && out_beats < out_total) ready = false;
            top->m_axis_tready = ready;
            settle();

            const bool accepted = offering && top->s_axis_tready;
            const bool valid = top->m_axis_tvalid, tlast = top->m_axis_tlast, null = null_beat(*top);
            get(top->m_axis_tdata, now.data(), RESULT_WORDS);
            blocked = offering && !top->s_axis_tready ? blocked + 1 : 0;

            // AXI4-Stream (ARM IHI 0051): a beat that waits stays; TVALID does not wait for TREADY.
            if (waiting && !valid) fault("m_axis_tvalid fell before m_axis_tready");
            if (waiting && valid && (now != before || tlast != waiting_last)) fault("m_axis_tdata or m_axis_tlast changed while waiting");
            if (waiting && valid && null != waiting_null) fault("m_axis_tkeep changed while waiting");
            if (cycle < TREADY_CHECKS) try_other_ready(valid, ready);

            if (core_in_valid(*top)) {
                const int64_t number = in_core++ / IN_BEATS;
                const int64_t vector = number < int64_t(sent.size()) ? sent[number] : -1;
                if (number >= int64_t(sent.size())) fault("the core was given more vectors than were sent");
                if (number == int64_t(entries.size())) {
                    entries.push_back(vector);
                    if (vector >= 0) cycles[4 * vector + 1] = cycle;
                }
            }
            for (size_t i = 0; i < starts.size(); ++i) {
                entered[i][cycle & int64_t(entered[i].size() - 1)] = *starts[i] ? entry(begun[i]) : -1;
                begun[i] += *starts[i];
            }
            if (core_out_valid(*top)) {
                const int64_t vector = out_core % OUT_BEATS == OUT_BEATS - 1 ? entry(out_core / OUT_BEATS) : -1;
                if (vector >= 0) cycles[4 * vector + 2] = cycle;
                ++out_core;
            }
            compare_probes();
            watch_channels();

            // Of a torn vector the last beat out of the core is null, with TLAST: those before have left when it is known.
            const bool taken = valid && ready, of_torn = entry(leaving / RESULT_BEATS) < 0 && leaving / RESULT_BEATS < int64_t(entries.size());
            const bool given = taken && !of_torn;
            if (taken) {
                const int64_t place = leaving++ % RESULT_BEATS;
                nulls += null;
                if (null && !of_torn) fault("a null beat came within a result");
                if (of_torn && null != (place >= RESULT_BEATS - RESULT_BEATS / OUT_BEATS)) fault("m_axis_tkeep does not tell the end of a torn vector");
                if (of_torn && tlast != (place == RESULT_BEATS - 1)) fault("m_axis_tlast is not on the last beat of a torn vector");
            }
            if (accepted && torn > 0) {
                --torn;
                offering = false;
            } else if (accepted) {
                if (in_beats % SOURCE_BEATS == 0) cycles[4 * (in_beats / SOURCE_BEATS)] = cycle;
                ++in_beats;
                offering = false;
            }
            if (given && out_beats == out_total) fault("a beat came out after the last result");
            if (given && out_beats < out_total) {
                std::copy(now.begin(), now.end(), result.begin() + out_beats * RESULT_WORDS);
                beat_last[out_beats] = tlast;
                if (out_beats % RESULT_BEATS == RESULT_BEATS - 1) cycles[4 * (out_beats / RESULT_BEATS) + 3] = cycle;
                ++out_beats;
            }
            waiting = valid && !ready;
            waiting_last = tlast;
            waiting_null = null;
            before = now;
            edge();

            if (out_beats == out_total) ++after;
            const bool willing = ready && (offering || in_beats == in_total);
            stuck = accepted || taken ? 0 : stuck + willing;
            if (stuck > patience && out_beats < out_total) {
                fault("time-out: " + std::to_string(in_beats) + " of " + std::to_string(in_total) + " beats went in, " +
                      std::to_string(out_beats) + " of " + std::to_string(out_total) + " came out, and nothing moves");
                break;
            }
        }
        for (size_t i = 0; i < beats.size(); ++i) {
            const int64_t seen = beats[i].seen[phase], due = beats[i].transfers;
            const int64_t others = beats[i].passed - seen, torn_due = due / vectors * tears;
            --cycle;
            if (seen != due)
                fault(channel_name(i) + " made " + std::to_string(seen) + " transfers, expected " + std::to_string(due));
            else if (others != torn_due)
                fault(channel_name(i) + " made " + std::to_string(others) + " transfers of torn vectors, expected " +
                      std::to_string(torn_due));
            ++cycle;
        }
        if (nulls != tears * (RESULT_BEATS / OUT_BEATS))
            fault(std::to_string(tears) + " torn vectors gave " + std::to_string(nulls) + " null beats, not " +
                  std::to_string(tears * (RESULT_BEATS / OUT_BEATS)));
        if (FRAMED && framing_error(*top) != (erred || tears > 0)) fault("framing_error does not tell whether a vector was torn");
        cycles_total[phase] = cycle;
        result.resize(out_beats * RESULT_WORDS);
        beat_last.resize(out_beats);
        const std::string suffix = "_" + std::to_string(phase) + ".bin";
        store("result" + suffix, result);
        store("beatlast" + suffix, beat_last);
        store("cycles" + suffix, cycles);
    }

    void try_other_ready(bool valid, bool ready) {
        top->m_axis_tready = !ready;
        top->eval();
        if (bool(top->m_axis_tvalid) != valid) fault("m_axis_tvalid depends on m_axis_tready within a cycle");
        top->m_axis_tready = ready;
        top->eval();
    }

    // The vector that entered the group `stage` cycles ago must show in every probe of that stage.
    void compare_probes() {
        for (size_t i = 0; i < probes.size(); ++i) {
            const Probe& probe = probes[i];
            const std::vector<int64_t>& ring = entered[probe.start];
            const int64_t vector = cycle < probe.stage ? -1 : ring[(cycle - probe.stage) & (int64_t(ring.size()) - 1)];
            if (vector < 0) continue;
            compare(-1, int(i), probe, vector, layers[probe.layer][vector * LAYER_ELEMENTS[probe.layer] + probe.element]);
        }
    }

    // The k-th transfer of a channel must be beat k, and its FIFO never holds more than its depth.
    void watch_channels() {
        for (size_t i = 0; i < channels.size(); ++i) {
            const Channel& channel = channels[i];
            Beats& due = beats[i];
            const bool taken = *channel.valid && *channel.ready;
            if (channel.written) {
                due.fill += int(*channel.written) - int(taken);
                due.greatest = std::max(due.greatest, due.fill);
                if (due.fill > channel.depth)
                    fault(channel_name(i) + " holds more than the " + std::to_string(channel.depth) + " words of its depth");
                if (due.fill < 0) fault(channel_name(i) + " gave a word that was not written");
            }
            if (!taken) continue;
            const int64_t each = due.transfers / vectors, number = due.passed++;
            const int64_t vector = entry(number / each);
            if (vector < 0 && number / each < int64_t(entries.size())) continue;  // of a torn one
            ++due.seen[phase];
            if (vector < 0) continue;
            const int64_t beat = vector * each + number % each;
            for (size_t j = 0; j < channel.lanes.size(); ++j)
                compare(int(i), int(j), channel.lanes[j], beat, due.expected[beat * due.lanes + channel.lanes[j].element]);
        }
    }

    // The vector that went into the core as number `index` of all that did; -1: a torn one, or none.
    int64_t entry(int64_t index) const { return index < int64_t(entries.size()) ? entries[index] : -1; }

    // vector: or the channel's beat. The first difference is kept: channels before layers, both in the order of the design.
    void compare(int channel, int index, const Probe& probe, int64_t vector, int64_t expected) {
        const int64_t got = read(probe);
        ++compared;
        if (got == expected) return;
        ++wrong_probes;
        const int rank = channel < 0 ? int(channels.size()) + probe.layer : channel;
        if (first.empty() || rank < first[0].rank) first.assign(1, {channel, index, rank, phase, cycle, vector, expected, got});
    }

    std::string channel_name(size_t i) const { return "channel '" + std::string(channels[i].name) + "'"; }

    void fault(const std::string& rule) {
        auto [entry, fresh] = faults.try_emplace(rule, Fault{phase, cycle, 0});
        ++entry->second.count;
    }

    void write_summary() const {
        FILE* file = std::fopen("run.json", "wb");
        if (!file) std::exit(3);
        std::fprintf(file, "{\"probes_compared\": %lld, \"wrong_probes\": %lld, \"cycles\": [%lld, %lld],\n \"faults\": [",
                     (long long)compared, (long long)wrong_probes, (long long)cycles_total[0], (long long)cycles_total[1]);
        const char* comma = "";
        for (const auto& [rule, entry] : faults) {
            std::fprintf(file, "%s\n  {\"rule\": \"%s\", \"phase\": %d, \"cycle\": %lld, \"count\": %lld}", comma, rule.c_str(),
                         entry.phase, (long long)entry.first_cycle, (long long)entry.count);
            comma = ",";
        }
        std::fprintf(file, "],\n \"channels\": [");
        for (size_t i = 0; i < beats.size(); ++i)
            std::fprintf(file, "%s[%lld, %lld, %lld]", i ? ", " : "", (long long)beats[i].seen[0], (long long)beats[i].seen[1],
                         (long long)beats[i].greatest);
        std::fprintf(file, "],\n \"first\": ");
        if (first.empty()) std::fprintf(file, "null}\n");
        else std::fprintf(file, "{\"channel\": %d, \"probe\": %d, \"phase\": %d, \"cycle\": %lld, \"vector\": %lld, \"expected\": %lld, \"got\": %lld}}\n",
                          first[0].channel, first[0].probe, first[0].phase, (long long)first[0].cycle, (long long)first[0].vector,
                          (long long)first[0].expected, (long long)first[0].got);
        std::fclose(file);
    }

    VerilatedContext context;
    std::unique_ptr<Vtb> top;
    const int64_t vectors;
    const double stall;
    const int latency;
    Random random;
    int phase = 0;
    int64_t cycle = -1;
    int64_t cycles_total[PHASES] = {0, 0};
    int64_t compared = 0, wrong_probes = 0;
    std::vector<Probe> probes;
    std::vector<uint32_t> source;
    std::vector<uint8_t> last;
    std::vector<std::vector<int64_t>> layers;
    std::vector<Channel> channels;
    std::vector<Beats> beats;                   // per channel
    std::vector<const uint8_t*> starts;
    std::vector<std::vector<int64_t>> entered;  // per start a ring: which vector entered in which cycle
    std::vector<int64_t> begun;                 // per start: vectors that entered in this phase
    std::vector<int64_t> sent;                  // the vectors whose first beats were offered in this phase; -1: a torn one
    std::vector<int64_t> entries;               // the vectors that went into the core in this phase; -1: a torn one
    std::vector<Difference> first;              // none or one: the first in the order of the design
    std::map<std::string, Fault> faults;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: bench VECTORS STALL_FRACTION SEED LATENCY\n");
        return 3;
    }
    Bench(std::atoll(argv[1]), std::atof(argv[2]), std::strtoull(argv[3], nullptr, 10), std::atoi(argv[4])).run();
    return 0;
}
