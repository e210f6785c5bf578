// SPDX-License-Identifier: Apache-2.0
// Reads one of 2**LOG2_WORDS words of 32 bits by its number: a multiplexer, no clock.
//
// FULL = 1: among four, and among four or two of these. A choice among four is a whole LUT of six inputs; yosys, which
// looks at depth first, spends half as much again unless it is held to them. FULL = 0 is for words of which many are
// short, constant or missing, where synthesis does better alone.
//
// Contract
//   LOG2_WORDS  2 to 5.
//   values      word i at 32*i +: 32.
//   value       the word `word` of them.
`default_nettype none
module gw_pick #(
    parameter LOG2_WORDS = 4,
    parameter FULL = 1
) (
    input  wire [(32<<LOG2_WORDS)-1:0] values,
    input  wire [LOG2_WORDS-1:0]       word,
    output wire [31:0]                 value
);
    localparam FOURS = 1 << (LOG2_WORDS - 2);
    localparam SIXTEENS = LOG2_WORDS < 4 ? 1 : 1 << (LOG2_WORDS - 4);

    genvar i;
    generate
        if (FULL == 0) begin : plain
            assign value = values[{word, 5'd0} +: 32];
        end else begin : full
            `ifdef YOSYS
            (* keep *)
            `endif
            wire [32*FOURS-1:0] fours;
            for (i = 0; i < FOURS; i = i + 1) begin : four
                wire [63:0] pair = word[1] ? values[128*i + 64 +: 64] : values[128*i +: 64];
                assign fours[32*i +: 32] = word[0] ? pair[63:32] : pair[31:0];
            end
            if (LOG2_WORDS == 2) begin : last
                assign value = fours;
            end else if (LOG2_WORDS == 3) begin : two
                assign value = word[2] ? fours[63:32] : fours[31:0];
            end else begin : more
                `ifdef YOSYS
                (* keep *)
                `endif
                wire [32*SIXTEENS-1:0] sixteens;
                for (i = 0; i < SIXTEENS; i = i + 1) begin : sixteen
                    wire [63:0] pair = word[3] ? fours[128*i + 64 +: 64] : fours[128*i +: 64];
                    assign sixteens[32*i +: 32] = word[2] ? pair[63:32] : pair[31:0];
                end
                if (LOG2_WORDS == 4) begin : last
                    assign value = sixteens;
                end else begin : two
                    assign value = word[4] ? sixteens[63:32] : sixteens[31:0];
                end
            end
        end
    endgenerate
endmodule
`default_nettype wire
