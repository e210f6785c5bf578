"""A new CL of the AWS FPGA kit in, the same with the block @name@ on its OCL port out.

SPDX-License-Identifier: Apache-2.0. In the kit, behind `source hdk_setup.sh`:

    cd $AWS_FPGA_REPO_DIR/hdk/cl/examples && ./create_new_cl.py --new_cl_name cl_@name@
    python3 make_cl.py cl_@name@

It copies the Verilog to design/, takes the ties of OCL out of design/cl_@name@.sv, and puts the block there. The CL's
clock is clk_main_a0, 250 MHz.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

NAME = "@name@"
INPUTS, OUTPUTS = "@inputs@", "@outputs@"
TIED = (
    "awready",
    "wready",
    "bresp",
    "bvalid",
    "arready",
    "rdata",
    "rresp",
    "rvalid",
)  # what the block drives, by the shell's names: cl_ocl_*
TAKEN = ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready")  # ocl_cl_*


def instance() -> str:
    """Return the block, and the shell's reset in two registers."""
    ends = [f".s_axi_{name}(ocl_cl_{name}{'[7:0]' if name.endswith('addr') else ''})" for name in TAKEN]
    ends += [f".s_axi_{name}(cl_ocl_{name})" for name in TIED]
    ends += [f".s_axi_{name}(3'd0)" for name in ("awprot", "arprot")]
    ends += [f".reg{index}_i(32'd0)" for index in range(int(INPUTS))]
    ends += [f".reg{index}_o()" for index in range(int(OUTPUTS))]
    listed = ",\n".join(f"      {end}" for end in (".aclk(clk_main_a0)", ".aresetn(gw_rst_n[1])", *ends))
    return (
        "  // The block, on OCL\n"
        "  logic [1:0] gw_rst_n;\n"
        "  always_ff @(posedge clk_main_a0) gw_rst_n <= {gw_rst_n[0], rst_main_n};\n"
        f"  {NAME} GATEWRIGHT (\n{listed}\n  );\n\n"
    )


def joined(text: str) -> str:
    """Return a CL's text with the block in it. Raises SystemExit where it is not as the kit's template."""
    found = sorted(re.findall(r"^\s*cl_ocl_(\w+)\s*=[^;]*;", text, re.MULTILINE))
    if found != sorted(TIED):
        raise SystemExit(
            f"the CL must tie cl_ocl_ {', '.join(sorted(TIED))}, each once, as a new one of the kit does, but ties "
            f"{', '.join(found) or 'none'}: make it anew with create_new_cl.py"
        )
    text = re.sub(r"^\s*cl_ocl_\w+\s*=[^;]*;\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*always_comb\s+begin\s*end\s*\n", "", text, flags=re.MULTILINE)
    head, end, tail = text.rpartition("endmodule")
    return f"{head}{instance()}{end}{tail}"


def main() -> None:
    """Change the folder that the command line names."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    design = Path(sys.argv[1]) / "design"
    top = design / f"{Path(sys.argv[1]).resolve().name}.sv"
    if not top.is_file():
        raise SystemExit(f"{top} must be the top of a new CL, but is not there: create_new_cl.py makes one")
    text = joined(top.read_text())
    verilog = Path(__file__).resolve().parent.parent / "verilog"
    for name in (verilog / "files.f").read_text().split():
        (design / name).write_text((verilog / name).read_text())
    top.write_text(text)


if __name__ == "__main__":
    main()
