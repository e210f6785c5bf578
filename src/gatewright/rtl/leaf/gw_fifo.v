// SPDX-License-Identifier: Apache-2.0
// FIFO of 2**LOG2_DEPTH words, first word falls through one cycle after it was written.
//
// The memory is read without a clock, so every tool takes LUT RAM (Xilinx, ECP5, MLAB) or registers, never block RAM.
//
// Contract
//   in_*   a word is written in every cycle with in_valid. There is no in_ready: the user counts credits (gw_credit)
//          and never writes a word for which there is no room.
//   out_*  valid/ready: out_valid is a register; out_data is stable until the cycle with out_valid and out_ready.
//   rst_n  synchronous, active low; empties the FIFO.
`default_nettype none
module gw_fifo #(
    parameter WIDTH = 8,
    parameter LOG2_DEPTH = 4
) (
    input  wire             clk,
    input  wire             rst_n,
    input  wire [WIDTH-1:0] in_data,
    input  wire             in_valid,
    output wire [WIDTH-1:0] out_data,
    output wire             out_valid,
    input  wire             out_ready
);
    reg [WIDTH-1:0]      memory [0:(1<<LOG2_DEPTH)-1];
    reg [LOG2_DEPTH-1:0] head;
    reg [LOG2_DEPTH-1:0] tail;
    wire                 taken = out_valid && out_ready;

    assign out_data = memory[head];

    always @(posedge clk) begin
        if (in_valid)
            memory[tail] <= in_data;
    end

    always @(posedge clk) begin
        if (in_valid)
            tail <= tail + 1'b1;
        if (taken)
            head <= head + 1'b1;
        if (!rst_n) begin
            head <= {LOG2_DEPTH{1'b0}};
            tail <= {LOG2_DEPTH{1'b0}};
        end
    end

    gw_credit #(.LOG2_DEPTH(LOG2_DEPTH), .START(0)) words (
        .clk(clk),
        .rst_n(rst_n),
        .inc(in_valid),
        .dec(taken),
        .any(out_valid)
    );
endmodule
`default_nettype wire
