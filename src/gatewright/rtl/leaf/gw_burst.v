// SPDX-License-Identifier: Apache-2.0
// Cuts a run of beats in memory into AXI4 bursts, and asks for one when there is room for all of it.
//
// Bursts end where the address is a multiple of 2**LOG2_BEATS beats, at 4 KiB or less, so none crosses a multiple of
// 4 KiB (ARM IHI 0022, A3.4.1), and all but the first and the last are whole.
//
// Contract
//   start    takes base, a multiple of the beat's bytes, and beats, how many; only with done.
//   room     beats for which there is room, or which are there. It may fall by what issued takes, and only grow beside.
//   issued   for one cycle: a burst of size beats is going to be asked for, and room must fall by as many.
//   valid    valid/ready: a burst of len + 1 beats at address. Both are stable until ready.
//   stop     while high no burst is issued, and what is left is forgotten. One that was issued is asked for still.
//   done     nothing is left to ask for.
//   LOG2_BEATS + LOG2_BYTES  12 at most: a burst of 4 KiB.
`default_nettype none
module gw_burst #(
    parameter LOG2_BEATS = 6,
    parameter LOG2_BYTES = 2,
    parameter BEATS_BITS = 48,
    parameter ROOM_BITS = 10
) (
    input  wire                  clk,
    input  wire                  rst_n,
    input  wire                  start,
    /* verilator lint_off UNUSEDSIGNAL */  // the address' bits within a beat
    input  wire [63:0]           base,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire [BEATS_BITS-1:0] beats,
    input  wire                  stop,
    input  wire [ROOM_BITS-1:0]  room,
    output wire                  issued,
    output reg  [LOG2_BEATS:0]   size,
    output wire [63:0]           address,
    output wire [7:0]            len,
    output reg                   valid,
    input  wire                  ready,
    output wire                  done
);
    localparam PAGE = 64 - LOG2_BEATS - LOG2_BYTES;  // bits of an address above a whole burst

    reg  [PAGE-1:0]       page;
    reg  [LOG2_BEATS-1:0] place;    // of the next beat within
    reg  [BEATS_BITS-1:0] left;
    reg                   planned;  // size is that of the next burst
    wire [LOG2_BEATS:0]   span = {1'b1, {LOG2_BEATS{1'b0}}} - {1'b0, place};
    wire                  some = left != {BEATS_BITS{1'b0}};
    wire                  ends = left < {{(BEATS_BITS - LOG2_BEATS - 1){1'b0}}, span};
    wire                  fits = room >= {{(ROOM_BITS - LOG2_BEATS - 1){1'b0}}, size};
    wire [LOG2_BEATS-1:0] more = size[LOG2_BEATS-1:0] - 1'b1;

    assign issued = planned && fits && !valid && !stop;
    assign address = {page, place, {LOG2_BYTES{1'b0}}};
    assign len = {{(8 - LOG2_BEATS){1'b0}}, more};
    assign done = !some && !valid;

    always @(posedge clk) begin
        if (start) begin
            {page, place} <= base[63:LOG2_BYTES];
            left <= beats;
        end
        if (!planned && !valid) begin
            planned <= some && !stop && !start;
            size <= ends ? left[LOG2_BEATS:0] : span;
        end
        if (issued) begin
            planned <= 1'b0;
            valid <= 1'b1;
            left <= left - {{(BEATS_BITS - LOG2_BEATS - 1){1'b0}}, size};
        end
        if (valid && ready) begin
            valid <= 1'b0;
            page <= page + 1'b1;  // behind a burst that is not the last one begins the next page
            place <= {LOG2_BEATS{1'b0}};
        end
        if (stop) begin
            planned <= 1'b0;
            left <= {BEATS_BITS{1'b0}};
        end
        if (!rst_n) begin
            planned <= 1'b0;
            valid <= 1'b0;
            left <= {BEATS_BITS{1'b0}};
        end
    end
endmodule
`default_nettype wire
