// SPDX-License-Identifier: Apache-2.0
// Room for one vector every so often: after a vector, `ready` stays low for CYCLES cycles.
//
// Contract
//   CYCLES  at least 1.
//   go      a vector has been accepted in this cycle. Only with ready.
//   ready   register. Low in the CYCLES cycles after go; high in reset.
//   rst_n   synchronous, active low.
`default_nettype none
module gw_pace #(
    parameter CYCLES = 1
) (
    input  wire clk,
    input  wire rst_n,
    input  wire go,
    output reg  ready
);
    localparam CW = $clog2(CYCLES + 1);
    localparam [31:0] WAIT = CYCLES;

    reg  [CW-1:0] left;
    wire [CW-1:0] next = go ? WAIT[CW-1:0] : ready ? {CW{1'b0}} : left - 1'b1;

    always @(posedge clk) begin
        left <= rst_n ? next : {CW{1'b0}};
        ready <= rst_n ? next == {CW{1'b0}} : 1'b1;
    end
endmodule
`default_nettype wire
