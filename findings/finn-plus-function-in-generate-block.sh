#!/bin/sh
# finn-plus 1.6.1's adder tree computes a constant by a function that stands in a generate block; yosys' read_slang refuses it.
#
# Expected: SystemVerilog that a public library ships for synthesis is read by another tool that knows the language. IEEE
# 1800-2017, 13.4.3, forbids it: a constant function shall not be declared inside a generate block.
# Why it matters here: FINN's matrix-vector unit of 1.6.1 cannot be counted beside ours; `python -m benchmarks finn` takes
# that of 1.0.0.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-deps "finn-plus==1.6.1" "pyosys==0.70"
"$folder/venv/bin/pip" list 2> /dev/null | grep -i "finn-plus\|pyosys"
tree=$(find "$folder/venv" -name add_multi.sv)
types=$(find "$folder/venv" -name mvu_pkg.sv)
echo "the function and the constant:"
grep -n "init_leaf_loads" "$tree"
said=$("$folder/venv/bin/python" -c '
import sys
from pyosys import libyosys as yosys
yosys.run_pass("read_slang --top add_multi -G N=4 -G ARG_WIDTH=4 -G DEPTH=2 " + " ".join(sys.argv[1:]))
' "$types" "$tree" 2>&1 || true)
echo "$said" | grep -a "generate block" | sed 's/.*error: *//'
echo "$said" | grep -q "generate block" || { echo "read_slang accepts it now, or says something else"; exit 1; }
echo "read_slang of yosys 0.70 does not read finn-plus 1.6.1's adder tree."
