// SPDX-License-Identifier: Apache-2.0
// FIFO of 2**LOG2_DEPTH words, first word falls through one cycle after it was written.
//
// BLOCK = 0: the memory is read without a clock, so tools take LUT RAM (Xilinx, ECP5, Gowin, MLAB) or flip-flops, never
// block RAM. BLOCK = 1, for chips without LUT RAM: block RAM, read with a clock, and two words in flip-flops behind it.
// A word goes straight there while none waits in the memory: to its user it is the same FIFO, cycle by cycle.
//
// Contract
//   in_*   a word is written in every cycle with in_valid. There is no in_ready: the user counts credits (gw_credit)
//          and never writes a word for which there is no room.
//   out_*  valid/ready: out_valid is a register; out_data is stable until the cycle with out_valid and out_ready.
//   rst_n  synchronous, active low; empties the FIFO.
`default_nettype none
module gw_fifo #(
    parameter WIDTH = 8,
    parameter LOG2_DEPTH = 4,
    parameter BLOCK = 0
) (
    input  wire             clk,
    input  wire             rst_n,
    input  wire [WIDTH-1:0] in_data,
    input  wire             in_valid,
    output wire [WIDTH-1:0] out_data,
    output wire             out_valid,
    input  wire             out_ready
);
    reg  [LOG2_DEPTH-1:0] head;
    reg  [LOG2_DEPTH-1:0] tail;
    wire                  taken = out_valid && out_ready;
    wire                  writes;  // a word goes into the memory
    wire                  reads;   // the first of those in the memory is read
    wire                  waits;   // there is one

    always @(posedge clk) begin
        if (writes)
            tail <= tail + 1'b1;
        if (reads)
            head <= head + 1'b1;
        if (!rst_n) begin
            head <= {LOG2_DEPTH{1'b0}};
            tail <= {LOG2_DEPTH{1'b0}};
        end
    end

    gw_credit #(.LOG2_DEPTH(LOG2_DEPTH), .START(0)) words (
        .clk(clk),
        .rst_n(rst_n),
        .inc(writes),
        .dec(reads),
        .any(waits)
    );

    generate
        if (BLOCK == 0) begin : direct
            reg [WIDTH-1:0] memory [0:(1<<LOG2_DEPTH)-1];

            assign writes = in_valid;
            assign reads = taken;
            assign out_valid = waits;
            assign out_data = memory[head];

            always @(posedge clk) begin
                if (writes)
                    memory[tail] <= in_data;
            end
        end else begin : block
            (* no_rw_check, ram_style = "block" *) reg [WIDTH-1:0] memory [0:(1<<LOG2_DEPTH)-1];
            reg [WIDTH-1:0] fetched;  // the memory's own register
            reg [WIDTH-1:0] first;
            reg [WIDTH-1:0] second;
            reg             fetches;  // fetched is a word that has no place yet
            reg             has_first;
            reg             has_second;

            // What stays of the two behind this cycle, and whether one more word has a place there then: the next of the
            // memory, or, where none waits in it, the one that comes.
            wire one = has_second || (has_first && !taken);
            wire two = has_second && !taken;
            wire free = !two && !(one && fetches);
            wire passes = in_valid && !waits && free;

            assign writes = in_valid && !passes;
            assign reads = waits && free;
            assign out_valid = has_first;
            assign out_data = first;

            always @(posedge clk) begin
                if (writes)
                    memory[tail] <= in_data;
                if (reads)
                    fetched <= memory[head];
            end

            always @(posedge clk) begin
                if (taken || !has_first)
                    first <= has_second ? second : fetches ? fetched : in_data;
                if (!two)
                    second <= one && fetches ? fetched : in_data;
                has_first <= one || fetches || passes;
                has_second <= two || (one && (fetches || passes)) || (fetches && passes);
                fetches <= reads;
                if (!rst_n) begin
                    has_first <= 1'b0;
                    has_second <= 1'b0;
                    fetches <= 1'b0;
                end
            end
        end
    endgenerate
endmodule
`default_nettype wire
