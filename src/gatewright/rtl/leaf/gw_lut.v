// SPDX-License-Identifier: Apache-2.0
// Truth table: y = TABLE[i], of up to eight inputs. GW_XILINX_CELLS (7 series, UltraScale, UltraScale+): LUT6 cells, joined
// by MUXF7 and MUXF8, which cost nothing. Open synthesis does not take them apart again: the cut into LUTs of the
// compiler is better than the one it finds. tests/rtl/test_leaf.py proves both equal.
`default_nettype none
module gw_lut #(
    parameter              N     = 6,
    parameter [(1<<N)-1:0] TABLE = 0
) (
    input  wire [N-1:0] i,
    output wire         y
);
`ifdef GW_XILINX_CELLS
    localparam LUTS = N > 6 ? 1 << (N - 6) : 1;
    localparam COPIES = N < 6 ? 1 << (6 - N) : 1;  // a LUT6 of fewer inputs: the others do not matter
    localparam [64*LUTS-1:0] WHOLE = {COPIES{TABLE}};
    wire [7:0]      index = i;
    wire [LUTS-1:0] part;
    genvar k;
    generate
        for (k = 0; k < LUTS; k = k + 1) begin : parts
            LUT6 #(.INIT(WHOLE[64*k +: 64])) lut (
                .I0(index[0]), .I1(index[1]), .I2(index[2]), .I3(index[3]), .I4(index[4]), .I5(index[5]), .O(part[k])
            );
        end
        if (LUTS == 1) begin : one
            assign y = part[0];
        end else if (LUTS == 2) begin : two
            MUXF7 mux (.I0(part[0]), .I1(part[1]), .S(index[6]), .O(y));
        end else begin : four
            wire [1:0] half;
            MUXF7 low (.I0(part[0]), .I1(part[1]), .S(index[6]), .O(half[0]));
            MUXF7 high (.I0(part[2]), .I1(part[3]), .S(index[6]), .O(half[1]));
            MUXF8 mux (.I0(half[0]), .I1(half[1]), .S(index[7]), .O(y));
        end
    endgenerate
`else
    assign y = TABLE[i];
`endif
endmodule
`default_nettype wire
