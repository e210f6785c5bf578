// SPDX-License-Identifier: Apache-2.0
// Beats of frames in, whole frames out: a frame that the sender cuts short is filled up, and marked.
//
// What is behind counts beats and never loses step, whatever comes. A frame has BEATS beats; TLAST may come with its
// last one. On an earlier beat it tears the frame: beats of no meaning follow until it is whole, and the next beat is
// the first of the next frame.
//
// Contract
//   BEATS      at least 1.
//   FRAMED     0: TLAST on an earlier beat than a frame's last means nothing, and no frame is torn.
//   s_*        s_valid, s_last: a beat is accepted in this cycle, with its TLAST; only with s_ready. s_torn: TLAST came in
//              the midst of the beat.
//   m_*        m_valid: a beat is given in this cycle; only with m_ready.
//   end_*      end_room: the end of a frame can be noted, a register that falls after end_valid at the earliest.
//              end_valid: the beat is the last of its frame; end_last: TLAST came with it, or tore the frame; end_torn.
//   rst_n      synchronous, active low; the next beat is the first of a frame.
`default_nettype none
module gw_frame_in #(
    parameter BEATS = 16,
    parameter FRAMED = 1
) (
    input  wire clk,
    input  wire rst_n,
    input  wire s_valid,
    input  wire s_last,
    input  wire s_torn,
    output wire s_ready,
    output wire m_valid,
    input  wire m_ready,
    input  wire end_room,
    output wire end_valid,
    output wire end_last,
    output wire end_torn
);
    localparam BW = BEATS > 1 ? $clog2(BEATS) : 1;
    localparam [31:0] LAST = BEATS - 1;

    reg  [BW-1:0] beat;
    reg           filling;
    wire          final_beat = beat == LAST[BW-1:0];

    assign s_ready = m_ready && end_room && !filling;
    assign m_valid = s_valid || (filling && m_ready && end_room);
    assign end_valid = m_valid && final_beat;
    assign end_last = filling || s_last;
    assign end_torn = filling || s_torn;

    always @(posedge clk) begin
        if (m_valid)
            beat <= final_beat ? {BW{1'b0}} : beat + 1'b1;
        if (filling)
            filling <= !end_valid;
        else if (s_valid)
            filling <= FRAMED != 0 && s_last && !final_beat;
        if (!rst_n) begin
            beat <= {BW{1'b0}};
            filling <= 1'b0;
        end
    end
endmodule
`default_nettype wire
