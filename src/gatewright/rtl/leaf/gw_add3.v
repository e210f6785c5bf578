// SPDX-License-Identifier: Apache-2.0
// Ternary adder: y = a +- b +- c modulo 2**W, operands already extended to W bits.
//
// GW_XILINX_CELLS (7 series, UltraScale, UltraScale+): one LUT6_2 per bit and one carry chain. Bit i of the LUT gives
// the sum's propagate O6 = a ^ b ^ c ^ m[i-1] and the saved carry O5 = m[i] = majority(a, b, c); the chain adds the
// saved carries (Xilinx UG474, "Arithmetic Functions"; open synthesis does not infer this). Subtracted operands
// are inverted in the LUT's table; the two +1 go into the chain's carry-in and m[-1].
// Only bits FIRST .. LAST-1 are LUT6_2 cells. Outside, where at most one operand is no constant, the same functions
// are written out, so that synthesis can fold them: an instantiated LUT keeps its site whatever it is fed with.
// Otherwise the plain sum, which vendor tools map themselves. tests/rtl/test_leaf.py proves both equal.
`default_nettype none
module gw_add3 #(
    parameter W       = 8,
    parameter MINUS_B = 0,
    parameter MINUS_C = 0,
    // verilator lint_off UNUSEDPARAM  // the plain sum needs no span
    parameter FIRST   = 0,
    parameter LAST    = W
    // verilator lint_on UNUSEDPARAM
) (
    input  wire [W-1:0] a,
    input  wire [W-1:0] b,
    input  wire [W-1:0] c,
    output wire [W-1:0] y
);
`ifdef GW_XILINX_CELLS
    localparam CHAINS = (W + 3) / 4;
    // index = {I5, I4, I3, I2, I1, I0} = {1, unused, m, c, b, a}; O6 reads the upper half, O5 the lower
    localparam [63:0] TABLE =
        MINUS_B ? (MINUS_C ? 64'h69966996_2B2B2B2B : 64'h96699669_B2B2B2B2)
                : (MINUS_C ? 64'h96699669_8E8E8E8E : 64'h69966996_E8E8E8E8);
    wire [W-1:0]        plus_b = MINUS_B ? ~b : b;
    wire [W-1:0]        plus_c = MINUS_C ? ~c : c;
    wire [4*CHAINS-1:0] propagate;
    wire [4*CHAINS-1:0] saved;     // saved[i] = m[i-1]
    wire [4*CHAINS-1:0] sum;
    wire [4*CHAINS-1:0] carry;
    wire [W-1:0]        majority;

    assign saved[0] = (MINUS_B && MINUS_C) ? 1'b1 : 1'b0;
    assign y        = sum[W-1:0];

    genvar i;
    generate
        for (i = 0; i < W; i = i + 1) begin : bits
            if (i >= FIRST && i < LAST) begin : cell_of_two
                LUT6_2 #(.INIT(TABLE)) lut (
                    .I0(a[i]), .I1(b[i]), .I2(c[i]), .I3(saved[i]), .I4(1'b0), .I5(1'b1),
                    .O6(propagate[i]), .O5(majority[i])
                );
            end else begin : folded
                assign propagate[i] = a[i] ^ plus_b[i] ^ plus_c[i] ^ saved[i];
                assign majority[i]  = (a[i] & plus_b[i]) | (a[i] & plus_c[i]) | (plus_b[i] & plus_c[i]);
            end
            if (i > 0) begin : save
                assign saved[i] = majority[i-1];
            end
        end
        for (i = W; i < 4 * CHAINS; i = i + 1) begin : rest
            assign propagate[i] = 1'b0;
            assign saved[i]     = 1'b0;
        end
        for (i = 0; i < CHAINS; i = i + 1) begin : chain
            if (i == 0) begin : first
                CARRY4 carry4 (
                    .CI(1'b0), .CYINIT((MINUS_B || MINUS_C) ? 1'b1 : 1'b0),
                    .S(propagate[3:0]), .DI(saved[3:0]), .O(sum[3:0]), .CO(carry[3:0])
                );
            end else begin : next
                CARRY4 carry4 (
                    .CI(carry[4*i-1]), .CYINIT(1'b0),
                    .S(propagate[4*i +: 4]), .DI(saved[4*i +: 4]), .O(sum[4*i +: 4]), .CO(carry[4*i +: 4])
                );
            end
        end
    endgenerate
`else
    wire [W-1:0] pair = MINUS_B ? a - b : a + b;
    assign y = MINUS_C ? pair - c : pair + c;
`endif
endmodule
`default_nettype wire
