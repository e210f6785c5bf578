// SPDX-License-Identifier: Apache-2.0
// Samples of an endless stream in, a pulse with each sample at which a window is decided out.
//
// EDGE = 1: a discriminator with hysteresis. A sample below REARM arms it, one of THRESHOLD or more disarms it; one of
// THRESHOLD or more that finds it armed is an edge. EDGE = 0: every sample is taken for one.
// The first FIRST samples after reset are none, nor are those less than DISTANCE samples behind one that counted.
//
// Contract
//   THRESHOLD, REARM   as offset binary: 0 is the lowest code; with FALLING the highest. REARM at most THRESHOLD.
//   FIRST, DISTANCE    at least 0, at least 1.
//   valid              sample is one of the stream, in this cycle.
//   found              in the same cycle.
//   rst_n              synchronous, active low; the next sample is the stream's first, and the trigger is not armed.
`default_nettype none
module gw_starts #(
    parameter WIDTH = 12,
    parameter SIGNED = 0,
    parameter EDGE = 1,
    parameter FALLING = 0,
    parameter THRESHOLD = 100,
    parameter REARM = 90,
    parameter FIRST = 8,
    parameter DISTANCE = 56
) (
    input  wire             clk,
    input  wire             rst_n,
    /* verilator lint_off UNUSEDSIGNAL */  // without EDGE
    input  wire [WIDTH-1:0] sample,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire             valid,
    output wire             found
);
    localparam MOST = FIRST > DISTANCE ? FIRST : DISTANCE;
    localparam LW = $clog2(MOST + 1);
    localparam [31:0] BEFORE = FIRST;
    localparam [31:0] BEHIND = DISTANCE - 1;

    reg  [LW-1:0] left;  // samples that are none, still
    wire          edge_now;

    assign found = valid && edge_now && left == {LW{1'b0}};

    always @(posedge clk) begin
        if (found)
            left <= BEHIND[LW-1:0];
        else if (valid && left != {LW{1'b0}})
            left <= left - 1'b1;
        if (!rst_n)
            left <= BEFORE[LW-1:0];
    end

    generate
        if (EDGE != 0) begin : discriminator
            localparam [31:0] HIGH = THRESHOLD;
            localparam [31:0] LOW = REARM;

            wire [WIDTH-1:0] offset = SIGNED != 0 ? sample ^ {1'b1, {(WIDTH-1){1'b0}}} : sample;
            wire [WIDTH-1:0] level = FALLING != 0 ? ~offset : offset;
            wire             over = level >= HIGH[WIDTH-1:0];
            reg              armed;

            assign edge_now = over && armed;

            always @(posedge clk) begin
                if (valid)
                    armed <= level < LOW[WIDTH-1:0] || (armed && !over);
                if (!rst_n)
                    armed <= 1'b0;
            end
        end else begin : always_one
            assign edge_now = 1'b1;
        end
    endgenerate
endmodule
`default_nettype wire
