"""A byte-wide shell in, the same with room for a whole vector in front of it out: for a host that cannot wait."""

from __future__ import annotations

from gatewright.rtl.shell_cells import instance
from gatewright.rtl.verilog import NETTYPE, NETTYPE_END

LEAVES = ("gw_counted_fifo",)


def buffered(name: str, *, shell: str, vector_bytes: int) -> str:
    """Return the Verilog of module `name`, whose ports are those of `shell`, an AXI4-Stream shell of bytes.

    A core on streams answers while a vector still comes, and stands still where its answers leave more slowly than
    vectors come. A UART cannot be told to wait: the FIFO takes what comes, one vector at a time.
    """
    log2_depth = max(4, (vector_bytes - 1).bit_length())
    outer = {f"m_axis_{wire}": f"m_axis_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast")}
    fifo = {
        "clk": "aclk",
        "clear": "!aresetn",
        "in_data": "s_axis_tdata",
        "in_valid": "s_axis_tvalid",
        "in_ready": "s_axis_tready",
        "out_data": "data",
        "out_valid": "valid",
        "out_ready": "ready",
        "words": "unused_words",
    }
    inner = {"s_axis_tdata": "data", "s_axis_tvalid": "valid", "s_axis_tready": "ready", "s_axis_tlast": "1'b0"}
    return "\n".join(
        [
            f"// {name}: {shell} behind a FIFO of a vector's {vector_bytes} bytes. Its TLAST cuts no vector.",
            "// SPDX-License-Identifier: Apache-2.0",
            NETTYPE,
            f"module {name} (",
            "    input  wire       aclk,",
            "    input  wire       aresetn,",
            "    input  wire [7:0] s_axis_tdata,",
            "    input  wire       s_axis_tvalid,",
            "    output wire       s_axis_tready,",
            "    /* verilator lint_off UNUSEDSIGNAL */",
            "    input  wire       s_axis_tlast,",
            "    /* verilator lint_on UNUSEDSIGNAL */",
            "    output wire [7:0] m_axis_tdata,",
            "    output wire       m_axis_tvalid,",
            "    input  wire       m_axis_tready,",
            "    output wire       m_axis_tlast",
            ");",
            "    wire [7:0] data;",
            "    wire       valid, ready;",
            "    /* verilator lint_off UNUSEDSIGNAL */",
            f"    wire [{log2_depth}:0] unused_words;",
            "    /* verilator lint_on UNUSEDSIGNAL */",
            instance("gw_counted_fifo", "u_fifo", {"WIDTH": 8, "LOG2_DEPTH": log2_depth}, fifo),
            instance(shell, "u_shell", {}, {"aclk": "aclk", "aresetn": "aresetn", **inner, **outer}),
            "endmodule",
            NETTYPE_END,
            "",
        ]
    )
