// SPDX-License-Identifier: Apache-2.0
// AXI4 manager that writes a stream to a run of beats in memory.
//
// A burst is asked for when all of its beats wait in the FIFO: a slow core never leaves a burst open on the bus, and a
// run that ends early leaves none torn. One burst may be asked for while the one before is being sent, 16 may wait for
// their answers.
//
// Contract
//   start, base, beats, stop  as of gw_burst.
//   in_*     valid/ready.
//   aw*, w*, b*  the bus; all strobes are set, bready is always high. bresp of other than OKAY: `failed` for one cycle.
//   pending  bursts were asked for that have not been answered.
//   done     nothing is left to ask for.
//   moved    for one cycle: something has moved on the bus.
//   rst_n    synchronous, active low; empties the FIFO. Only without pending, or with a reset of the bus.
`default_nettype none
module gw_axi_writer #(
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
    input  wire [DATA_BITS-1:0]  in_data,
    input  wire                  in_valid,
    output wire                  in_ready,
    output wire [63:0]           awaddr,
    output wire [7:0]            awlen,
    output wire                  awvalid,
    input  wire                  awready,
    output wire [DATA_BITS-1:0]  wdata,
    output wire                  wlast,
    output wire                  wvalid,
    input  wire                  wready,
    input  wire [1:0]            bresp,
    input  wire                  bvalid,
    output wire                  bready
);
    localparam LOG2_ANSWERS = 4;

    reg  [LOG2_DEPTH:0]   whole;  // words in the FIFO that are of no burst yet
    reg  [LOG2_BEATS:0]   left;   // beats of the burst that is being sent
    reg  [LOG2_BEATS:0]   next;   // of the one behind, 0: none
    reg  [LOG2_ANSWERS:0] due;    // answers
    wire [LOG2_BEATS:0]   size;
    wire                  issued;
    wire                  waits;
    wire                  free = next == {(LOG2_BEATS + 1){1'b0}} && !due[LOG2_ANSWERS];
    wire                  sends = left != {(LOG2_BEATS + 1){1'b0}};
    wire                  sent = wvalid && wready;
    wire                  over = !sends || (sent && wlast);
    wire [LOG2_DEPTH:0]   used = issued ? {{(LOG2_DEPTH - LOG2_BEATS){1'b0}}, size} : {(LOG2_DEPTH + 1){1'b0}};
    wire [LOG2_ANSWERS:0] due_next = due + {{LOG2_ANSWERS{1'b0}}, issued} - {{LOG2_ANSWERS{1'b0}}, bvalid};

    assign wlast = left == {{LOG2_BEATS{1'b0}}, 1'b1};
    assign wvalid = sends && waits;
    assign bready = 1'b1;

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
        .room(free ? whole : {(LOG2_DEPTH + 1){1'b0}}),
        .issued(issued),
        .size(size),
        .address(awaddr),
        .len(awlen),
        .valid(awvalid),
        .ready(awready),
        .done(done)
    );

    /* verilator lint_off PINCONNECTEMPTY */
    gw_counted_fifo #(.WIDTH(DATA_BITS), .LOG2_DEPTH(LOG2_DEPTH)) results (
        .clk(clk),
        .clear(!rst_n),
        .in_data(in_data),
        .in_valid(in_valid),
        .in_ready(in_ready),
        .out_data(wdata),
        .out_valid(waits),
        .out_ready(sends && wready),
        .words()
    );
    /* verilator lint_on PINCONNECTEMPTY */

    always @(posedge clk) begin
        whole <= whole + {{LOG2_DEPTH{1'b0}}, in_valid && in_ready} - used;
        if (over) begin
            left <= next == {(LOG2_BEATS + 1){1'b0}} && issued ? size : next;
            next <= {(LOG2_BEATS + 1){1'b0}};
        end else begin
            if (sent)
                left <= left - 1'b1;
            if (issued)
                next <= size;
        end
        due <= due_next;
        pending <= due_next != {(LOG2_ANSWERS + 1){1'b0}};
        failed <= bvalid && bresp != 2'b00;
        moved <= (awvalid && awready) || sent || bvalid;
        if (!rst_n) begin
            whole <= {(LOG2_DEPTH + 1){1'b0}};
            left <= {(LOG2_BEATS + 1){1'b0}};
            next <= {(LOG2_BEATS + 1){1'b0}};
            due <= {(LOG2_ANSWERS + 1){1'b0}};
            pending <= 1'b0;
            failed <= 1'b0;
        end
    end
endmodule
`default_nettype wire
