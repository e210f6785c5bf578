// SPDX-License-Identifier: Apache-2.0
// FIFO of 2**LOG2_DEPTH words that says how many it holds: block RAM, and nothing but counters beside it.
//
// The memory's own register is the first word, so a word can leave two cycles after it came, and one in every cycle then.
//
// Contract
//   in_*   valid/ready: in_ready is low while the FIFO is full. A word that comes then is not taken: whoever offers it
//          for one cycle only (a bus that must not wait) has lost it, and can see that.
//   out_*  valid/ready: out_data is stable until the cycle with out_valid and out_ready.
//   words  how many it holds, 0 to 2**LOG2_DEPTH; where it says 1 or more, out_valid is high in the next cycle.
//   clear  synchronous; empties the FIFO.
`default_nettype none
module gw_counted_fifo #(
    parameter WIDTH = 32,
    parameter LOG2_DEPTH = 9
) (
    input  wire                clk,
    input  wire                clear,
    input  wire [WIDTH-1:0]    in_data,
    input  wire                in_valid,
    output wire                in_ready,
    output wire [WIDTH-1:0]    out_data,
    output reg                 out_valid,
    input  wire                out_ready,
    output reg  [LOG2_DEPTH:0] words
);
    (* no_rw_check *) reg [WIDTH-1:0] memory [0:(1<<LOG2_DEPTH)-1];
    reg [WIDTH-1:0]      first;
    reg [LOG2_DEPTH-1:0] head;
    reg [LOG2_DEPTH-1:0] tail;

    wire comes = in_valid && in_ready;
    wire taken = out_valid && out_ready;
    wire waits = words != {{LOG2_DEPTH{1'b0}}, out_valid};  // a word lies in the memory, behind the first
    wire fetches = waits && (!out_valid || taken);

    assign in_ready = !words[LOG2_DEPTH];
    assign out_data = first;

    always @(posedge clk) begin
        if (comes)
            memory[tail] <= in_data;
        if (fetches)
            first <= memory[head];
    end

    always @(posedge clk) begin
        if (comes)
            tail <= tail + 1'b1;
        if (fetches)
            head <= head + 1'b1;
        if (comes != taken)
            words <= comes ? words + 1'b1 : words - 1'b1;
        out_valid <= fetches || (out_valid && !taken);
        if (clear) begin
            tail <= {LOG2_DEPTH{1'b0}};
            head <= {LOG2_DEPTH{1'b0}};
            words <= {(LOG2_DEPTH + 1){1'b0}};
            out_valid <= 1'b0;
        end
    end
endmodule
`default_nettype wire
