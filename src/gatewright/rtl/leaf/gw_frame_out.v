// SPDX-License-Identifier: Apache-2.0
// Beats of results in, the same out with TLAST: the last one of a frame waits for what is known of the frame's end.
//
// Contract
//   BEATS     of a frame's results, at least 1.
//   s_*       valid/ready: results.
//   end_*     valid/ready: for each frame whether TLAST ended it, and whether it was torn.
//   m_*       valid/ready. With a frame's last beat: m_last, where TLAST ended the frame; m_torn, where it was torn. The
//             beats before may have left before that was known.
//   rst_n     synchronous, active low; the next beat is the first of a frame.
`default_nettype none
module gw_frame_out #(
    parameter BEATS = 1
) (
    input  wire clk,
    input  wire rst_n,
    input  wire s_valid,
    output wire s_ready,
    input  wire end_valid,
    input  wire end_last,
    input  wire end_torn,
    output wire end_ready,
    output wire m_valid,
    output wire m_last,
    output wire m_torn,
    input  wire m_ready
);
    localparam BW = BEATS > 1 ? $clog2(BEATS) : 1;
    localparam [31:0] LAST = BEATS - 1;

    reg  [BW-1:0] beat;
    wire          final_beat = beat == LAST[BW-1:0];
    wire          known = !final_beat || end_valid;

    assign m_valid = s_valid && known;
    assign m_last = final_beat && end_last;
    assign m_torn = final_beat && end_torn;
    assign s_ready = known && m_ready;
    assign end_ready = s_valid && s_ready && final_beat;

    always @(posedge clk) begin
        if (s_valid && s_ready)
            beat <= final_beat ? {BW{1'b0}} : beat + 1'b1;
        if (!rst_n)
            beat <= {BW{1'b0}};
    end
endmodule
`default_nettype wire
