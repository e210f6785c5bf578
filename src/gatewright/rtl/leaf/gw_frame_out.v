// SPDX-License-Identifier: Apache-2.0
// Beats of results in, the same out with TLAST: the last one of a frame waits for what is known of the frame's end.
//
// Contract
//   BEATS     of a frame's results, at least 1. With 1 the result of a torn frame is dropped; of more, the others have
//             left before the frame was known to be torn: it comes out whole, of no meaning, with TLAST.
//   s_*       valid/ready: results.
//   end_*     valid/ready: for each frame whether TLAST ended it, and whether it was torn.
//   m_*       valid/ready. m_last: with a frame's last beat, where TLAST ended the frame.
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
    input  wire m_ready
);
    localparam BW = BEATS > 1 ? $clog2(BEATS) : 1;
    localparam [31:0] LAST = BEATS - 1;

    reg  [BW-1:0] beat;
    wire          final_beat = beat == LAST[BW-1:0];
    wire          drop = BEATS == 1 && end_torn;
    wire          known = !final_beat || end_valid;

    assign m_valid = s_valid && known && !(final_beat && drop);
    assign m_last = final_beat && end_last;
    assign s_ready = known && (m_ready || (final_beat && drop));
    assign end_ready = s_valid && s_ready && final_beat;

    always @(posedge clk) begin
        if (s_valid && s_ready)
            beat <= final_beat ? {BW{1'b0}} : beat + 1'b1;
        if (!rst_n)
            beat <= {BW{1'b0}};
    end
endmodule
`default_nettype wire
