// Two truth tables of the same inputs: y[0] = LOWER[i], y[1] = UPPER[i]. GW_XILINX_CELLS (7 series, UltraScale,
// UltraScale+): one LUT6_2; open synthesis takes two LUTs. tests/rtl/test_leaf.py proves both equal.
module gw_lut2 #(
    parameter        N     = 5,
    parameter [31:0] LOWER = 0,
    parameter [31:0] UPPER = 0
) (
    input  wire [N-1:0] i,
    output wire [1:0]   y
);
`ifdef GW_XILINX_CELLS
    wire [4:0] index = i;
    LUT6_2 #(.INIT({UPPER, LOWER})) lut (
        .I0(index[0]), .I1(index[1]), .I2(index[2]), .I3(index[3]), .I4(index[4]), .I5(1'b1), .O6(y[1]), .O5(y[0])
    );
`else
    assign y = {UPPER[i], LOWER[i]};
`endif
endmodule
