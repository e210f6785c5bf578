// SPDX-License-Identifier: Apache-2.0
// A pulse, CYCLES later: it tells a piece of a chain that its input is there.
//
// Contract
//   CYCLES  at least 1.
//   rst_n   synchronous, active low; clears every stage, so that no vector of before comes out.
`default_nettype none
module gw_start_delay #(
    parameter CYCLES = 1
) (
    input  wire clk,
    input  wire rst_n,
    input  wire in,
    output wire out
);
    reg  [CYCLES-1:0] stage;
    wire [CYCLES:0]   line = {stage, in};

    assign out = line[CYCLES];

    always @(posedge clk) stage <= rst_n ? line[CYCLES-1:0] : {CYCLES{1'b0}};
endmodule
`default_nettype wire
