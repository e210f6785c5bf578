// SPDX-License-Identifier: Apache-2.0
// A delay line in a shift-register LUT, its last register outside: a flip-flop drives what reads it 1.2 ns earlier.
//
// For yosys' techmap, on netlists of Xilinx cells. A line of A + 1 registers becomes one of A and an FDRE; the bit that
// comes out first after power-up is the flip-flop's. Lines of a length that is no constant stay as they are.
(* techmap_celltype = "SRL16E" *)
module gw_srl16_register (output Q, input A0, A1, A2, A3, CE, CLK, D);
    parameter [15:0] INIT = 16'h0000;
    parameter [0:0] IS_CLK_INVERTED = 1'b0;
    parameter _TECHMAP_CONSTMSK_A0_ = 0;
    parameter _TECHMAP_CONSTMSK_A1_ = 0;
    parameter _TECHMAP_CONSTMSK_A2_ = 0;
    parameter _TECHMAP_CONSTMSK_A3_ = 0;
    parameter _TECHMAP_CONSTVAL_A0_ = 0;
    parameter _TECHMAP_CONSTVAL_A1_ = 0;
    parameter _TECHMAP_CONSTVAL_A2_ = 0;
    parameter _TECHMAP_CONSTVAL_A3_ = 0;
    localparam CONSTANT =
        _TECHMAP_CONSTMSK_A0_ && _TECHMAP_CONSTMSK_A1_ && _TECHMAP_CONSTMSK_A2_ && _TECHMAP_CONSTMSK_A3_;
    localparam [3:0] LAST =
        {_TECHMAP_CONSTVAL_A3_[0], _TECHMAP_CONSTVAL_A2_[0], _TECHMAP_CONSTVAL_A1_[0], _TECHMAP_CONSTVAL_A0_[0]};
    localparam [3:0] BEFORE = LAST - 4'd1;
    wire _TECHMAP_FAIL_ = !CONSTANT || LAST == 4'd0;
    wire line;
    SRL16E #(.INIT(INIT), .IS_CLK_INVERTED(IS_CLK_INVERTED)) front (
        .Q(line), .A0(BEFORE[0]), .A1(BEFORE[1]), .A2(BEFORE[2]), .A3(BEFORE[3]), .CE(CE), .CLK(CLK), .D(D)
    );
    FDRE #(.INIT(INIT[LAST]), .IS_C_INVERTED(IS_CLK_INVERTED)) last (.Q(Q), .C(CLK), .CE(CE), .D(line), .R(1'b0));
endmodule

(* techmap_celltype = "SRLC32E" *)
module gw_srl32_register (output Q, output Q31, input [4:0] A, input CE, CLK, D);
    parameter [31:0] INIT = 32'h00000000;
    parameter [0:0] IS_CLK_INVERTED = 1'b0;
    parameter [4:0] _TECHMAP_CONSTMSK_A_ = 0;
    parameter [4:0] _TECHMAP_CONSTVAL_A_ = 0;
    localparam [4:0] LAST = _TECHMAP_CONSTVAL_A_;
    wire _TECHMAP_FAIL_ = _TECHMAP_CONSTMSK_A_ != 5'd31 || LAST == 5'd0;
    wire line;
    SRLC32E #(.INIT(INIT), .IS_CLK_INVERTED(IS_CLK_INVERTED)) front (
        .Q(line), .Q31(Q31), .A(LAST - 5'd1), .CE(CE), .CLK(CLK), .D(D)
    );
    FDRE #(.INIT(INIT[LAST]), .IS_C_INVERTED(IS_CLK_INVERTED)) last (.Q(Q), .C(CLK), .CE(CE), .D(line), .R(1'b0));
endmodule
