// SPDX-License-Identifier: Apache-2.0
// Saturation: y = LO where under, else HI where over, else a. LO and HI are constants of W bits.
//
// GW_XILINX_CELLS (7 series, UltraScale, UltraScale+): two bits per LUT6_2, which share both flags. Open synthesis takes
// a LUT for each bit: it packs no two functions into one LUT. A flip-flop's set or reset could do one end alone: it has
// one of the two only. Otherwise the plain choice. tests/rtl/test_leaf.py proves both equal.
`default_nettype none
module gw_clip #(
    parameter         W  = 8,
    parameter [W-1:0] LO = 0,
    parameter [W-1:0] HI = {W{1'b1}}
) (
    input  wire [W-1:0] a,
    input  wire         over,
    input  wire         under,
    output wire [W-1:0] y
);
`ifdef GW_XILINX_CELLS
    genvar i;
    generate
        for (i = 0; i + 1 < W; i = i + 2) begin : bits
            // index = {I5, I4, I3, I2, I1, I0} = {1, unused, under, over, a[i+1], a[i]}
            localparam [15:0] LOWER = {{8{LO[i]}}, {4{HI[i]}}, 4'b1010};
            localparam [15:0] UPPER = {{8{LO[i+1]}}, {4{HI[i+1]}}, 4'b1100};
            LUT6_2 #(.INIT({UPPER, UPPER, LOWER, LOWER})) lut (
                .I0(a[i]), .I1(a[i+1]), .I2(over), .I3(under), .I4(1'b0), .I5(1'b1), .O6(y[i+1]), .O5(y[i])
            );
        end
        if (W % 2) begin : odd
            assign y[W-1] = under ? LO[W-1] : (over ? HI[W-1] : a[W-1]);
        end
    endgenerate
`else
    assign y = under ? LO : (over ? HI : a);
`endif
endmodule
`default_nettype wire
