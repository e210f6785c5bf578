// SPDX-License-Identifier: Apache-2.0
// AXI4 manager that reads a run of beats from memory into a FIFO, and gives them on as a stream.
//
// A burst is asked for when the FIFO has a place for each of its beats, so what comes is always taken: no slow core
// ever holds up the bus. Up to 2**LOG2_DEPTH beats are on their way or wait.
//
// Contract
//   start, base, beats, stop, done  as of gw_burst.
//   ar*, r*  the bus; rready is always high. rresp of other than OKAY: `failed` for one cycle.
//   out_*    valid/ready, in the order of their addresses.
//   pending  beats were asked for that have not come.
//   moved    for one cycle: something has moved on the bus.
//   rst_n    synchronous, active low; empties the FIFO. Only without pending, or with a reset of the bus.
`default_nettype none
module gw_axi_reader #(
    parameter DATA_BITS = 32,
    parameter LOG2_BYTES = 2,
    parameter LOG2_BEATS = 6,
    parameter LOG2_DEPTH = 9,
    parameter BEATS_BITS = 48
) (
    input  wire                  clk,
    input  wire                  rst_n,
    input  wire                  start,
    input  wire [63:0]           base,
    input  wire [BEATS_BITS-1:0] beats,
    input  wire                  stop,
    output wire                  done,
    output reg                   pending,
    output reg                   failed,
    output reg                   moved,
    output wire [63:0]           araddr,
    output wire [7:0]            arlen,
    output wire                  arvalid,
    input  wire                  arready,
    input  wire [DATA_BITS-1:0]  rdata,
    input  wire [1:0]            rresp,
    input  wire                  rvalid,
    output wire                  rready,
    output wire [DATA_BITS-1:0]  out_data,
    output wire                  out_valid,
    input  wire                  out_ready
);
    localparam [LOG2_DEPTH:0] ALL = {1'b1, {LOG2_DEPTH{1'b0}}};

    reg  [LOG2_DEPTH:0] free;  // places that no beat has, nor was promised to one
    reg  [LOG2_DEPTH:0] due;   // beats that were asked for and have not come
    wire [LOG2_BEATS:0] size;
    wire                issued;
    wire [LOG2_DEPTH:0] asked = issued ? {{(LOG2_DEPTH - LOG2_BEATS){1'b0}}, size} : {(LOG2_DEPTH + 1){1'b0}};
    wire [LOG2_DEPTH:0] due_next = due + asked - {{LOG2_DEPTH{1'b0}}, rvalid};

    assign rready = 1'b1;

    gw_burst #(
        .LOG2_BEATS(LOG2_BEATS),
        .LOG2_BYTES(LOG2_BYTES),
        .BEATS_BITS(BEATS_BITS),
        .ROOM_BITS(LOG2_DEPTH + 1)
    ) bursts (
        .clk(clk),
        .rst_n(rst_n),
        .start(start),
        .base(base),
        .beats(beats),
        .stop(stop),
        .room(free),
        .issued(issued),
        .size(size),
        .address(araddr),
        .len(arlen),
        .valid(arvalid),
        .ready(arready),
        .done(done)
    );

    /* verilator lint_off PINCONNECTEMPTY */  // who counts credits needs neither
    gw_counted_fifo #(.WIDTH(DATA_BITS), .LOG2_DEPTH(LOG2_DEPTH)) vectors (
        .clk(clk),
        .clear(!rst_n),
        .in_data(rdata),
        .in_valid(rvalid),
        .in_ready(),
        .out_data(out_data),
        .out_valid(out_valid),
        .out_ready(out_ready),
        .words()
    );
    /* verilator lint_on PINCONNECTEMPTY */

    always @(posedge clk) begin
        free <= free - asked + {{LOG2_DEPTH{1'b0}}, out_valid && out_ready};
        due <= due_next;
        pending <= due_next != {(LOG2_DEPTH + 1){1'b0}};
        failed <= rvalid && rresp != 2'b00;
        moved <= (arvalid && arready) || rvalid;
        if (!rst_n) begin
            free <= ALL;
            due <= {(LOG2_DEPTH + 1){1'b0}};
            pending <= 1'b0;
            failed <= 1'b0;
        end
    end
endmodule
`default_nettype wire
