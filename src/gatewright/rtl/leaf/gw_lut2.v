// SPDX-License-Identifier: Apache-2.0
// Two truth tables of the same inputs: y[0] = LOWER[i], y[1] = UPPER[i]. GW_XILINX_CELLS (7 series, UltraScale,
// UltraScale+): one LUT6_2; open synthesis takes two LUTs. tests/rtl/test_leaf.py proves both equal.
`default_nettype none
module gw_lut2 #(
    parameter              N     = 5,
    parameter [(1<<N)-1:0] LOWER = 0,
    parameter [(1<<N)-1:0] UPPER = 0
) (
    input  wire [N-1:0] i,
    output wire [1:0]   y
);
`ifdef GW_XILINX_CELLS
    localparam COPIES = 1 << (5 - N);  // a table of fewer inputs: the others do not matter
    wire [4:0] index = i;
    LUT6_2 #(.INIT({{COPIES{UPPER}}, {COPIES{LOWER}}})) lut (
        .I0(index[0]), .I1(index[1]), .I2(index[2]), .I3(index[3]), .I4(index[4]), .I5(1'b1), .O6(y[1]), .O5(y[0])
    );
`else
    assign y = {UPPER[i], LOWER[i]};
`endif
endmodule
`default_nettype wire
