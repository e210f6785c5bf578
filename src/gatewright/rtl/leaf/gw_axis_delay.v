// SPDX-License-Identifier: Apache-2.0
// The way of TVALID and TLAST beside a pipeline of CYCLES stages that has neither.
//
// Contract
//   CYCLES  at least 1.
//   MARKS   bits of last: what else is to be known of a vector may travel with TLAST.
//   valid   is cleared by reset in every stage, so what is in flight then never comes out.
//   last    has no reset: only its value beside a valid matters, and so it becomes a shift-register LUT.
//   rst_n   synchronous, active low.
`default_nettype none
module gw_axis_delay #(
    parameter CYCLES = 1,
    parameter MARKS  = 1
) (
    input  wire             clk,
    input  wire             rst_n,
    input  wire             in_valid,
    input  wire [MARKS-1:0] in_last,
    output wire             out_valid,
    output wire [MARKS-1:0] out_last
);
    reg  [CYCLES-1:0]           valid;
    reg  [CYCLES*MARKS-1:0]     last;
    wire [CYCLES:0]             valid_line = {valid, in_valid};
    wire [(CYCLES+1)*MARKS-1:0] last_line = {last, in_last};

    assign out_valid = valid_line[CYCLES];
    assign out_last = last_line[CYCLES*MARKS +: MARKS];

    always @(posedge clk) begin
        valid <= valid_line[CYCLES-1:0];
        last <= last_line[CYCLES*MARKS-1:0];
        if (!rst_n)
            valid <= {CYCLES{1'b0}};
    end
endmodule
`default_nettype wire
