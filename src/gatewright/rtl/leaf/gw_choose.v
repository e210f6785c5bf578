// SPDX-License-Identifier: Apache-2.0
// Multiplexer: y = s ? a : b.
//
// GW_XILINX_CELLS (7 series, UltraScale, UltraScale+): two bits per LUT6_2, see gw_clip.v. Otherwise the plain choice.
// tests/rtl/test_leaf.py proves both equal.
`default_nettype none
module gw_choose #(
    parameter W = 8
) (
    input  wire         s,
    input  wire [W-1:0] a,
    input  wire [W-1:0] b,
    output wire [W-1:0] y
);
`ifdef GW_XILINX_CELLS
    genvar i;
    generate
        for (i = 0; i + 1 < W; i = i + 2) begin : bits
            // index = {I5, I4, I3, I2, I1, I0} = {1, s, a[i+1], b[i+1], a[i], b[i]}
            LUT6_2 #(.INIT(64'hFF00F0F0_CCCCAAAA)) lut (
                .I0(b[i]), .I1(a[i]), .I2(b[i+1]), .I3(a[i+1]), .I4(s), .I5(1'b1), .O6(y[i+1]), .O5(y[i])
            );
        end
        if (W % 2) begin : odd
            assign y[W-1] = s ? a[W-1] : b[W-1];
        end
    endgenerate
`else
    assign y = s ? a : b;
`endif
endmodule
`default_nettype wire
