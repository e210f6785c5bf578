// SPDX-License-Identifier: Apache-2.0
// One run of a kernel from its start to its end, whatever the memory does.
//
// It multiplies the count of vectors by the beats of one, starts reader and writer, and ends the run when all results are
// written, when memory answers with an error, or when nothing has moved for `patience` cycles. A run that failed ends at
// once for the host; inside, what was asked for on the bus must still come, for AXI knows no way back. Until it has, runs
// end as they begin, with the same code; then all is reset, and the next run is as the first.
//
// Contract
//   start    level: a run is wanted. It is looked at while idle, and must follow `ended`.
//   count, x_base, y_base, patience  are taken when the run starts. patience 0: waits for ever.
//   go       for one cycle: x_beats at x_base are to be read, y_beats to be written.
//   stop     the run has failed: nothing more is to be asked for.
//   inner_rst_n  register: reset of reader, writer and core.
//   code     of the last run: 0 as it should be; nothing moved while 1 reading, 2 writing, 3 in the core; 4 the memory
//            refused a read, 5 a write; 6 an address is no multiple of a beat's bytes.
//   hung     something is still expected of the bus after a run that failed.
//   cycles   from start to end, of this run or the last.
//   rst_n    synchronous, active low.
`default_nettype none
module gw_run #(
    parameter LOG2_BYTES = 2,
    parameter X_BEATS = 1,
    parameter Y_BEATS = 1,
    parameter BEATS_BITS = 48
) (
    input  wire                  clk,
    input  wire                  rst_n,
    input  wire                  start,
    input  wire [31:0]           count,
    input  wire [LOG2_BYTES-1:0] x_rest,
    input  wire [LOG2_BYTES-1:0] y_rest,
    input  wire [31:0]           patience,
    input  wire                  moved,
    input  wire                  read_pending,
    input  wire                  read_failed,
    input  wire                  write_pending,
    input  wire                  write_failed,
    input  wire                  all_asked,
    output wire                  go,
    output wire                  stop,
    output reg                   inner_rst_n,
    output reg  [BEATS_BITS-1:0] x_beats,
    output reg  [BEATS_BITS-1:0] y_beats,
    output wire                  idle,
    output wire                  ended,
    output reg  [2:0]            code,
    output reg                   hung,
    output reg  [31:0]           cycles
);
    localparam [2:0] IDLE = 3'd0, SCALE = 3'd1, GO = 3'd2, RUN = 3'd3, FINISH = 3'd4, HUNG = 3'd5, CLEAR = 3'd6;
    localparam [15:0] X_FACTOR = X_BEATS, Y_FACTOR = Y_BEATS;

    reg [2:0]  state;
    reg [3:0]  bit_place;
    reg [31:0] waits;
    reg        impatient;  // nothing has moved for too long

    assign go = state == GO;
    assign stop = hung;
    assign idle = state == IDLE || state == HUNG;
    assign ended = state == FINISH;

    always @(posedge clk) begin
        inner_rst_n <= state != CLEAR;
        if (!idle && !ended)
            cycles <= cycles + 1'b1;
        if (state != RUN || moved)
            waits <= patience;
        else if (waits != 32'd0)
            waits <= waits - 1'b1;
        impatient <= state == RUN && !moved && waits == 32'd1;
        case (state)
            IDLE:
                if (start) begin
                    cycles <= 32'd0;
                    bit_place <= 4'd15;
                    x_beats <= {BEATS_BITS{1'b0}};
                    y_beats <= {BEATS_BITS{1'b0}};
                    code <= x_rest != 0 || y_rest != 0 ? 3'd6 : 3'd0;
                    state <= x_rest != 0 || y_rest != 0 ? FINISH : SCALE;
                end
            SCALE: begin
                x_beats <= {x_beats[BEATS_BITS-2:0], 1'b0}
                         + (X_FACTOR[bit_place] ? {{(BEATS_BITS - 32){1'b0}}, count} : {BEATS_BITS{1'b0}});
                y_beats <= {y_beats[BEATS_BITS-2:0], 1'b0}
                         + (Y_FACTOR[bit_place] ? {{(BEATS_BITS - 32){1'b0}}, count} : {BEATS_BITS{1'b0}});
                bit_place <= bit_place - 4'd1;
                if (bit_place == 4'd0)
                    state <= GO;
            end
            GO:
                state <= RUN;
            RUN:
                if (read_failed || write_failed || impatient) begin
                    code <= read_failed ? 3'd4 : write_failed ? 3'd5 : write_pending ? 3'd2 : read_pending ? 3'd1 : 3'd3;
                    hung <= 1'b1;
                    state <= FINISH;
                end else if (all_asked && !write_pending && !read_pending) begin
                    state <= FINISH;
                end
            FINISH:
                state <= hung ? HUNG : IDLE;
            HUNG:
                if (!read_pending && !write_pending)
                    state <= CLEAR;
                else if (start)
                    state <= FINISH;
            default: begin  // CLEAR
                hung <= 1'b0;
                state <= IDLE;
            end
        endcase
        if (!rst_n) begin
            state <= IDLE;
            inner_rst_n <= 1'b0;
            impatient <= 1'b0;
            hung <= 1'b0;
            code <= 3'd0;
            cycles <= 32'd0;
        end
    end
endmodule
`default_nettype wire
