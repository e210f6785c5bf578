// SPDX-License-Identifier: Apache-2.0
// The words by which a host starts a kernel and hears that it has ended, as XRT and HLS have them (ap_ctrl_hs).
//
// Contract
//   reads, writes, ...  of gw_lite; words 0 to 12 are these, each a port of its own to be read.
//   start    a run is wanted. It falls with `ended`, but with bit 7 of word 0, and then only where the run has not failed.
//   ended    for one cycle: the run is over; failed: not as it should be.
//   idle     no run is under way.
//   irq      a register: an event that word 2 lets through has come, word 3 has not been cleared, word 1 is set.
//   PATIENCE what word 12 holds behind a reset.
//   rst_n    synchronous, active low.
`default_nettype none
module gw_control #(
    parameter [31:0] PATIENCE = 32'd1048576
) (
    input  wire        clk,
    input  wire        rst_n,
    input  wire        reads,
    input  wire [5:0]  read_word,
    input  wire        writes,
    input  wire [5:0]  write_word,
    input  wire [31:0] write_data,
    input  wire        idle,
    input  wire        ended,
    input  wire        failed,
    output reg         start,
    output reg         irq,
    output wire [31:0] control,
    output wire [31:0] global_enable,
    output wire [31:0] enables,
    output wire [31:0] events,
    output reg  [63:0] x_base,
    output reg  [63:0] y_base,
    output reg  [31:0] count,
    output reg  [31:0] patience
);
    reg       done;
    reg       ready;
    reg       restarts;
    reg       global_on;
    reg [1:0] lets;
    reg [1:0] came;

    assign control = {22'd0, irq, 1'b0, restarts, 3'd0, ready, idle, done, start};
    assign global_enable = {31'd0, global_on};
    assign enables = {30'd0, lets};
    assign events = {30'd0, came};

    always @(posedge clk) begin
        irq <= global_on && (|came);
        if (reads && read_word == 6'd0) begin
            done <= 1'b0;
            ready <= 1'b0;
        end
        if (ended) begin
            done <= 1'b1;
            ready <= 1'b1;
            if (failed || !restarts)
                start <= 1'b0;
            if (failed)
                restarts <= 1'b0;
        end
        came <= (came ^ (writes && write_word == 6'd3 ? write_data[1:0] : 2'b00)) | (ended ? lets : 2'b00);
        if (writes) begin
            case (write_word)
                6'd0: begin
                    if (write_data[0])
                        start <= 1'b1;
                    restarts <= write_data[7];
                end
                6'd1:
                    global_on <= write_data[0];
                6'd2:
                    lets <= write_data[1:0];
                6'd4:
                    x_base[31:0] <= write_data;
                6'd5:
                    x_base[63:32] <= write_data;
                6'd7:
                    y_base[31:0] <= write_data;
                6'd8:
                    y_base[63:32] <= write_data;
                6'd10:
                    count <= write_data;
                6'd12:
                    patience <= write_data;
                default: ;
            endcase
        end
        if (!rst_n) begin
            start <= 1'b0;
            irq <= 1'b0;
            done <= 1'b0;
            ready <= 1'b0;
            restarts <= 1'b0;
            global_on <= 1'b0;
            lets <= 2'b00;
            came <= 2'b00;
            x_base <= 64'd0;
            y_base <= 64'd0;
            count <= 32'd0;
            patience <= PATIENCE;
        end
    end
endmodule
`default_nettype wire
