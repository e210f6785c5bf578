// Test bench: every vector of tb_data/inputs.txt through the network, every result compared with tb_data/expected.txt.
//
// Returns 0 where all are equal, 1 where one is not or a file is short. Without arguments it is what a vendor's C
// simulation and cosimulation run. With three, FILE FIRST COUNT, it compares nothing and writes there, for each of COUNT
// vectors from FIRST on as doubles, the results and then every layer of TRACED.

#include "@NAME@_bridge.cpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

namespace {

const size_t INPUTS = @INPUTS@;
const size_t RESULTS = @RESULTS@;
const int INPUT_FRAC_BITS = @INPUT_FRAC_BITS@;
const int RESULT_FRAC_BITS = @RESULT_FRAC_BITS@;

struct Traced {
    const char *name;
    size_t size;
};

const Traced TRACED[] = {
@TRACED@    {"", 0},
};

// Reads one vector of integers; false at the end of the file.
bool read(std::ifstream &file, std::vector<long long> &values) {
    for (size_t i = 0; i < values.size(); i++)
        if (!(file >> values[i]))
            return false;
    return true;
}

void write(std::ofstream &file, const double *values, size_t count) {
    file.write(reinterpret_cast<const char *>(values), count * sizeof(double));
}

} // namespace

int main(int argc, char **argv) {
    std::ifstream inputs("tb_data/inputs.txt"), expected("tb_data/expected.txt");
    std::ofstream record;
    const bool recording = argc > 3;
    size_t first = 0, count = SIZE_MAX;
    if (recording) {
        record.open(argv[1], std::ios::binary);
        first = std::stoul(argv[2]);
        count = std::stoul(argv[3]);
        allocate_trace_storage(sizeof(double));
    }
    std::vector<long long> codes(INPUTS), wanted(RESULTS);
    std::vector<double> x(INPUTS), y(RESULTS);
    size_t vectors = 0, wrong = 0;
    unsigned short input_size = 0, result_size = 0; // which some back ends' bridges fill
    (void)input_size, (void)result_size;
    for (size_t i = 0; i < first; i++)
        read(inputs, codes);
    while (vectors < count && read(inputs, codes)) {
        for (size_t i = 0; i < INPUTS; i++)
            x[i] = std::ldexp(static_cast<double>(codes[i]), -INPUT_FRAC_BITS);
        @NAME@_double(x.data(), y.data()@SIZES@);
        if (recording) {
            write(record, y.data(), RESULTS);
            for (const Traced *t = TRACED; t->size; t++)
                write(record, static_cast<const double *>((*nnet::trace_outputs)[t->name]), t->size);
        } else {
            if (!read(expected, wanted)) {
                std::cout << "FAIL: tb_data/expected.txt has no results of vector " << vectors << std::endl;
                return 1;
            }
            for (size_t i = 0; i < RESULTS; i++) {
                const double want = std::ldexp(static_cast<double>(wanted[i]), -RESULT_FRAC_BITS);
                if (y[i] != want && wrong++ < 10)
                    std::cout << "MISMATCH: vector " << vectors << ", result " << i << ": " << y[i] << ", expected " << want
                              << std::endl;
            }
        }
        vectors++;
    }
    if (!vectors) {
        std::cout << "FAIL: tb_data/inputs.txt holds no vector" << std::endl;
        return 1;
    }
    if (recording)
        return 0;
    std::cout << (wrong ? "FAIL: " : "PASS: ") << vectors << " vectors, " << wrong << " wrong results" << std::endl;
    return wrong ? 1 : 0;
}
