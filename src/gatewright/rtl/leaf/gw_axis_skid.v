// SPDX-License-Identifier: Apache-2.0
// A register on every wire of a valid/ready stream, in both directions: nothing passes in the same cycle.
//
// Two places: one word on offer, and one for the word that arrives in the cycle in which the reader stops.
//
// Contract
//   in_*   valid/ready: in_ready is a register; low in reset.
//   out_*  valid/ready: out_data and out_valid are registers, stable until the cycle with out_valid and out_ready.
//          A word leaves one cycle after it came, or later; one in every cycle where both sides are willing.
//   rst_n  synchronous, active low; empties both places.
`default_nettype none
module gw_axis_skid #(
    parameter WIDTH = 8
) (
    input  wire             clk,
    input  wire             rst_n,
    input  wire [WIDTH-1:0] in_data,
    input  wire             in_valid,
    output reg              in_ready,
    output reg  [WIDTH-1:0] out_data,
    output reg              out_valid,
    input  wire             out_ready
);
    reg [WIDTH-1:0] held;
    reg             holds;   // held is a word; in_ready is low then
    wire            moves = out_ready || !out_valid;

    always @(posedge clk) begin
        if (moves)
            out_data <= holds ? held : in_data;
        if (in_ready)
            held <= in_data;
        out_valid <= moves ? holds || (in_valid && in_ready) : out_valid;
        holds <= !moves && (holds || (in_valid && in_ready));
        in_ready <= moves || !(holds || (in_valid && in_ready));
        if (!rst_n) begin
            out_valid <= 1'b0;
            holds <= 1'b0;
            in_ready <= 1'b0;
        end
    end
endmodule
`default_nettype wire
