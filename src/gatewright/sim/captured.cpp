// Test bench of a design with a capture unit in front: an endless stream of samples in, results as they come out.
//
// ports.h (written by sim/captured.py) says how wide the results are; the command line says what to run:
//   bench STALL_FRACTION SEED PATIENCE
// In the working directory it reads  samples.bin (uint32, one a sample) and plan.bin (int64: begin, end, stalls, cut of
// each run: these samples follow a reset; cut: the next reset comes without waiting for what is left). It writes for
// each run R  result_R.bin (beats as uint32 words), last_R.bin (TLAST per beat), taken_R.bin and given_R.bin (int64, the
// cycle of each sample and beat), and run.json: for each run the cycles in which a sample waited, and the rules that
// were broken. A run ends when nothing has come out for PATIENCE cycles.
#include <map>
#include <memory>

#include "Vtb.h"
#include "bus.h"
#include "ports.h"

namespace {

struct Run { int64_t begin, end, stalls, cut; };

class Bench {
  public:
    Bench(double stall, uint64_t seed, int64_t patience) : stall(stall), patience(patience), random{seed} {
        context.randReset(2);  // registers without reset start with random values
        context.randSeed(int(seed % 0x7FFFFFFF) + 1);
        top = std::make_unique<Vtb>(&context, "");
    }

    void run() {
        const std::vector<int64_t> words = load<int64_t>("plan.bin", size_t(length("plan.bin") / 8));
        samples = load<uint32_t>("samples.bin", size_t(length("samples.bin") / 4));
        std::vector<int64_t> waited;
        for (size_t i = 0; i + 3 < words.size(); i += 4) {
            waited.push_back(play({words[i], words[i + 1], words[i + 2], words[i + 3]}, int(i / 4)));
        }
        FILE* file = std::fopen("run.json", "wb");
        if (!file) std::exit(3);
        std::fprintf(file, "{\"waited\": [");
        for (size_t i = 0; i < waited.size(); ++i) std::fprintf(file, "%s%lld", i ? ", " : "", (long long)waited[i]);
        std::fprintf(file, "], \"faults\": [");
        const char* comma = "";
        for (const auto& [rule, cycle] : faults) {
            std::fprintf(file, "%s\"%s, first in cycle %lld\"", comma, rule.c_str(), (long long)cycle);
            comma = ", ";
        }
        std::fprintf(file, "]}\n");
        std::fclose(file);
    }

  private:
    static int64_t length(const char* name) {
        FILE* file = std::fopen(name, "rb");
        if (!file || std::fseek(file, 0, SEEK_END) != 0) std::exit(3);
        const int64_t size = std::ftell(file);
        std::fclose(file);
        return size;
    }

    void edge() {
        top->aclk = 0;
        top->eval();
        top->aclk = 1;
        top->eval();
        ++cycle;
    }

    void fault(const std::string& rule) { faults.try_emplace(rule, cycle); }

    int64_t play(const Run& run, int number) {
        // A reset of one cycle is enough; signals are whatever they were.
        top->aresetn = 0;
        edge();
        top->aresetn = 1;
        int64_t next = run.begin, idle = 0, pause = 0, waits = 0;
        bool offering = false, waiting = false, waiting_last = false, begun = false, overran = false;
        std::vector<uint32_t> results, now(WORDS), before(WORDS);
        std::vector<uint8_t> lasts;
        std::vector<int64_t> taken_at, given_at;
        while (run.cut ? next < run.end : idle < patience) {
            if (!offering && next < run.end && !(run.stalls && random.chance(stall))) offering = true;
            top->s_axis_tvalid = offering;
            // What a sample's lane has left over, TDATA without TVALID, and TLAST mean nothing.
            const uint32_t noise = uint32_t(random.next()) & ~SAMPLE_MASK;
            top->s_axis_tdata = offering ? samples[next] | noise : noise;
            top->s_axis_tlast = random.chance(0.5);
            if (pause > 0) --pause;
            else if (run.stalls && stall > 0 && random.chance(1.0 / 512)) pause = int64_t(random.next() % uint64_t(patience));
            const bool ready = pause == 0 && !(run.stalls && random.chance(stall));
            top->m_axis_tready = ready;
            top->aclk = 0;
            top->eval();
            const bool valid = top->m_axis_tvalid, last = top->m_axis_tlast, accepts = top->s_axis_tready;
            get(top->m_axis_tdata, now.data(), WORDS);
            if (waiting && (!valid || now != before || last != waiting_last)) fault("m_axis changed while a beat waited");
            top->m_axis_tready = !ready;
            top->eval();
            if (bool(top->m_axis_tvalid) != valid || bool(top->s_axis_tready) != accepts) fault("TVALID or TREADY follows m_axis_tready within a cycle");
            top->m_axis_tready = ready;
            top->s_axis_tvalid = !offering;
            top->eval();
            if (bool(top->s_axis_tready) != accepts) fault("s_axis_tready follows s_axis_tvalid within a cycle");
            top->s_axis_tvalid = offering;
            top->eval();
            if (bool(top->overrun) != overran) fault("overrun does not tell whether a sample waited");
            begun = begun || accepts;
            if (offering && accepts) {
                taken_at.push_back(cycle);
                ++next;
                offering = false;
            } else if (offering && begun) {
                ++waits;
                overran = true;
            }
            if (valid && ready) {
                results.insert(results.end(), now.begin(), now.end());
                lasts.push_back(last);
                given_at.push_back(cycle);
            }
            waiting = valid && !ready;
            waiting_last = last;
            before = now;
            idle = valid || next < run.end ? 0 : idle + 1;
            stuck = (offering && !accepts) || (valid && !ready) ? stuck + 1 : 0;
            if (stuck > 64 * patience) {
                fault("nothing moves any more");
                break;
            }
            edge();
        }
        const std::string suffix = "_" + std::to_string(number) + ".bin";
        store("result" + suffix, results);
        store("last" + suffix, lasts);
        store("taken" + suffix, taken_at);
        store("given" + suffix, given_at);
        return waits;
    }

    VerilatedContext context;
    std::unique_ptr<Vtb> top;
    const double stall;
    const int64_t patience;
    Random random;
    int64_t cycle = 0, stuck = 0;
    std::vector<uint32_t> samples;
    std::map<std::string, int64_t> faults;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: bench STALL_FRACTION SEED PATIENCE\n");
        return 3;
    }
    Bench(std::atof(argv[1]), std::strtoull(argv[2], nullptr, 10), std::atoll(argv[3])).run();
    return 0;
}
