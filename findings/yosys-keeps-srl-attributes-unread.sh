#!/bin/sh
# yosys' synth_xilinx moves delay registers into SRL16E whatever shreg_extract and srl_style say.
#
# Expected: (* shreg_extract = "no" *) or (* srl_style = "register" *), as Vivado reads them, keep flip-flops. Seen: an
# SRL16E all the same, whose output comes 1.47 ns behind the clock by yosys' own library (a flip-flop's: 0.30).
# Why it matters here: logic behind a delay line is slower than a pipeline counts on, so synth/srl_register.v takes the
# last register out of each line again.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q pyosys==0.70
cd "$work"
cat > line.v <<'END'
module line (input clk, input x, y, output reg q);
    (* shreg_extract = "no", srl_style = "register" *) reg a, b, c, d;
    always @(posedge clk) begin
        a <= x; b <= a; c <= b; d <= c;
        q <= d ^ y;
    end
endmodule
END
"$work/venv/bin/pip" list 2> /dev/null | grep -i pyosys
"$work/venv/bin/python" -c "from pyosys import libyosys as ys; ys.Design().run_pass('read_verilog line.v; synth_xilinx -family xc7 -noiopad -noclkbuf -top line; tee -o stat.txt stat')" > log
found=$(grep -c SRL16E stat.txt || true)
echo "SRL16E in the netlist of registers marked shreg_extract = no, srl_style = register:"
grep SRL16E stat.txt
test "$found" -gt 0
grep -n "posedge CLK => (Q : D)) = 1472" "$work"/venv/lib/python3*/site-packages/pyosys/share/xilinx/cells_sim.v | head -1
