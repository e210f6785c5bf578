#!/bin/sh
# yosys 0.70 opens the default file of a module's $readmemh as soon as it reads the module.
#
# Expected: a parameter that each instance overrides is looked at with the instance's value, as simulators do. yosys elaborates a
# module with its defaults when it is read, and a default file that is not there is an error, whoever instantiates it how.
# Why it matters here: the RAM of `gatewright assess` has its program's file as a parameter, whose default is no file.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "pyosys==0.70"
cd "$folder"
printf '1\n2\n3\n0\n' > there.hex
cat > ram.v <<'V'
module ram #(parameter FILE = "default.hex") (input clk, input [1:0] a, output reg [7:0] q);
    reg [7:0] m [0:3];
    initial $readmemh(FILE, m);
    always @(posedge clk) q <= m[a];
endmodule
module top (input clk, input [1:0] a, output [7:0] q);
    ram #(.FILE("there.hex")) u (.clk(clk), .a(a), .q(q));
endmodule
V
cat > read.py <<'PY'
from pyosys import libyosys as ys

ys.Design().run_pass("read_verilog ram.v")
print("read")
PY
said=$("$folder/venv/bin/python" read.py 2>&1 || true)
echo "$said" | tail -n 2
echo "$said" | grep -q "Can not open file .*default.hex" || { echo "the behaviour has changed"; exit 1; }
cp there.hex default.hex
"$folder/venv/bin/python" read.py | tail -n 1 | grep -q "^read$"
"$folder/venv/bin/python" -c "import importlib.metadata as m; print('pyosys', m.version('pyosys'))"
echo "yosys 0.70 wants the default file of \$readmemh, though the only instance names another."
