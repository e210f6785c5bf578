// SPDX-License-Identifier: Apache-2.0
// Up/down counter of 0 .. 2**LOG2_DEPTH things, with the question "is there any?" answered by a flip-flop.
//
// The count is kept as n + 2**LOG2_DEPTH - 1, so that its top bit is the answer and no comparator is needed.
//
// Contract
//   START  what n is after reset, 0 .. 2**LOG2_DEPTH.
//   inc    adds one, dec takes one away; both in one cycle leave n as it is.
//          The user keeps n in range: no dec at n = 0, no inc at n = 2**LOG2_DEPTH.
//   any    register: n > 0. Low during reset, even where START > 0, so that nothing is promised in reset.
//   rst_n  synchronous, active low.
`default_nettype none
module gw_credit #(
    parameter LOG2_DEPTH = 4,
    parameter START = 16
) (
    input  wire clk,
    input  wire rst_n,
    input  wire inc,
    input  wire dec,
    output reg  any
);
    localparam [31:0] FIRST = START + (1 << LOG2_DEPTH) - 1;

    reg  [LOG2_DEPTH:0] count;
    wire [LOG2_DEPTH:0] step = {{LOG2_DEPTH{dec && !inc}}, inc != dec};  // +1, 0 or -1
    wire [LOG2_DEPTH:0] next = count + step;

    always @(posedge clk) begin
        count <= next;
        any <= next[LOG2_DEPTH];
        if (!rst_n) begin
            count <= FIRST[LOG2_DEPTH:0];
            any <= 1'b0;
        end
    end
endmodule
`default_nettype wire
