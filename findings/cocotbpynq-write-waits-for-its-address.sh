#!/bin/sh
# cocotbpynq 0.2.0's MMIO.write gives the data only after the address was taken: subordinates that wait for both hang.
#
# Expected: both are offered, for a manager must not wait for AWREADY before it raises WVALID, and a subordinate may wait
# for both (ARM IHI 0022, A3.3.1). Seen: AWVALID alone, for ever, without an error or a time-out; and where the address
# is taken at once, all is well. On the boards that it stands for, such subordinates work.
# Why it matters here: an overlay takes write addresses into a register of their own; the block of `--for comblock`, which
# waits for both, cannot be simulated with it.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q cocotb==2.1.0 cocotbpynq==0.2.0 numpy
cd "$work"
iverilog -V | head -n 1
"$work/venv/bin/pip" list 2>/dev/null | grep -i cocotb
cat > top.v <<'END'
module top (
    input clk, input rst_n,
    input [7:0] s_awaddr, input s_awvalid, output s_awready, input [31:0] s_wdata, input [3:0] s_wstrb, input s_wvalid,
    output s_wready, output [1:0] s_bresp, output reg s_bvalid, input s_bready,
    input [7:0] s_araddr, input s_arvalid, output s_arready, output [31:0] s_rdata, output [1:0] s_rresp,
    output s_rvalid, input s_rready
);
    parameter EARLY = 0;  // 1: takes the address alone
    reg taken;
    wire both = (s_awvalid || taken) && s_wvalid && !s_bvalid;
    assign s_awready = EARLY ? !taken : both, s_wready = both, s_bresp = 0;
    assign s_arready = 0, s_rdata = 0, s_rresp = 0, s_rvalid = 0;
    always @(posedge clk) begin
        taken <= rst_n && EARLY && ((s_awvalid && !taken) || (taken && !both));
        s_bvalid <= rst_n && (both || (s_bvalid && !s_bready));
    end
endmodule
END
cat > hwh.py <<'END'
lite = "awaddr awvalid awready wdata wstrb wvalid wready bresp bvalid bready araddr arvalid arready rdata rresp rvalid rready"
maps = "".join(f'<PORTMAP LOGICAL="{n.upper()}" PHYSICAL="s_{n}"/>' for n in lite.split())
print(f'''<EDKSYSTEM><MODULES><MODULE FULLNAME="/ps" INSTANCE="ps" MODTYPE="processing_system7" VLNV="x:ip:ps:1"><MEMORYMAP>
<MEMRANGE BASEVALUE="0x43C00000" HIGHVALUE="0x43C0FFFF" INSTANCE="net" SLAVEBUSINTERFACE="s"/></MEMORYMAP></MODULE>
<MODULE FULLNAME="/net" INSTANCE="net" MODTYPE="top" VLNV="x:ip:net:1"><PORTS><PORT NAME="clk" SIGIS="clk"/>
<PORT NAME="rst_n" SIGIS="rst" POLARITY="ACTIVE_LOW"/></PORTS><BUSINTERFACES><BUSINTERFACE BUSNAME="host" NAME="s">
<PORTMAPS>{maps}</PORTMAPS></BUSINTERFACE></BUSINTERFACES></MODULE></MODULES></EDKSYSTEM>''')
END
python3 hwh.py > net.hwh
cat > writes.py <<'END'
import os

import cocotb
from cocotb.task import bridge
from cocotb.triggers import Timer, with_timeout
from cocotbpynq import MMIO, Overlay


@cocotb.test()
async def write(dut):
    def run():
        Overlay("net.bit")
        MMIO(0x43C00000, 0x1000).write(0x10, 1)

    task = cocotb.start_soon(bridge(run)())
    for _ in range(20):
        await Timer(10, "ns")
    print("EARLY", os.environ["EARLY"], "done" if task.done() else
          f"awvalid {int(dut.s_awvalid.value)} wvalid {int(dut.s_wvalid.value)}, after 200 cycles", flush=True)
    os._exit(0)
END
cat > run.py <<'END'
import sys
from cocotb_tools.runner import get_runner

runner = get_runner("icarus")
runner.build(sources=["top.v"], hdl_toplevel="top", build_dir="b" + sys.argv[1], parameters={"EARLY": int(sys.argv[1])},
             timescale=("1ns", "1ps"))
runner.test(hdl_toplevel="top", test_module="writes", build_dir="b" + sys.argv[1], test_dir=".",
            extra_env={"HWH_LOCATION_DIR": ".", "EARLY": sys.argv[1]})
END
for early in 0 1; do
    PYTHONPATH=. "$work/venv/bin/python" run.py $early > run.log 2>&1 || true
    grep "^EARLY" run.log || { tail -n 20 run.log; exit 1; }
    cat run.log >> all.log
done
grep -q "EARLY 0 awvalid 1 wvalid 0" all.log
grep -q "EARLY 1 done" all.log
