// SPDX-License-Identifier: Apache-2.0
// A channel between two units: a FIFO of DEPTH words, and the promise of a place before a word is on its way.
//
// The unit in front never stops: it takes a vector only with `room`, `reserve`s the place, and writes the result
// however many cycles later. So what is on its way and what waits are never more than DEPTH together.
//
// Contract
//   DEPTH    at least 1. The memory has the next power of two of words, of which DEPTH are used.
//   BLOCK    as of gw_fifo.
//   room     register: a place is free. Low in reset.
//   reserve  a place is taken. Only with room.
//   in_*     a word is written in every cycle with in_valid: one for each place reserved, in any later cycle.
//   out_*    valid/ready: out_valid is a register; out_data is stable until the cycle with out_valid and out_ready,
//            after which the place is free.
//   rst_n    synchronous, active low; empties the FIFO and frees all places.
`default_nettype none
module gw_channel #(
    parameter WIDTH = 8,
    parameter DEPTH = 4,
    parameter BLOCK = 0
) (
    input  wire             clk,
    input  wire             rst_n,
    input  wire             reserve,
    output wire             room,
    input  wire [WIDTH-1:0] in_data,
    input  wire             in_valid,
    output wire [WIDTH-1:0] out_data,
    output wire             out_valid,
    input  wire             out_ready
);
    localparam LOG2_DEPTH = DEPTH > 2 ? $clog2(DEPTH) : 1;

    gw_credit #(.LOG2_DEPTH(LOG2_DEPTH), .START(DEPTH)) places (
        .clk(clk),
        .rst_n(rst_n),
        .inc(out_valid && out_ready),
        .dec(reserve),
        .any(room)
    );

    gw_fifo #(.WIDTH(WIDTH), .LOG2_DEPTH(LOG2_DEPTH), .BLOCK(BLOCK)) words (
        .clk(clk),
        .rst_n(rst_n),
        .in_data(in_data),
        .in_valid(in_valid),
        .out_data(out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
`default_nettype wire
