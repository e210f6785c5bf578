// SPDX-License-Identifier: Apache-2.0
// Whole vectors of packed elements in, beats of an AXI4-Stream out.
//
// Element i goes to lane i: bits i*LANE .. i*LANE+LANE-1 of the vector, LANE = WIDTH rounded up to whole bytes;
// the lane is filled up with the sign (SIGNED = 1) or with zeros. The vector is cut into BEATS beats of BEAT bits,
// lowest bits first, the last beat filled up with zeros.
//
// Contract
//   BEAT      a multiple of 8.
//   vector_*  valid/ready: vector and vector_last stay as they are from vector_valid until vector_ready, which is
//             high in the cycle in which the last beat is taken.
//   m_*       AXI4-Stream. m_tvalid is vector_valid, so it never waits for m_tready. m_tlast: with the last beat of
//             a vector that came with vector_last.
//   rst_n     synchronous, active low.
`default_nettype none
module gw_axis_pack #(
    parameter ELEMENTS = 4,
    parameter WIDTH = 8,
    parameter SIGNED = 1,
    parameter BEAT = 32
) (
    /* verilator lint_off UNUSEDSIGNAL */  // one beat needs no state
    input  wire                      clk,
    input  wire                      rst_n,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire [ELEMENTS*WIDTH-1:0] vector,
    input  wire                      vector_valid,
    input  wire                      vector_last,
    output wire                      vector_ready,
    output wire [BEAT-1:0]           m_tdata,
    output wire                      m_tvalid,
    input  wire                      m_tready,
    output wire                      m_tlast
);
    localparam LANE = 8 * ((WIDTH + 7) / 8);
    localparam BEATS = (ELEMENTS * LANE + BEAT - 1) / BEAT;

    wire [BEATS*BEAT-1:0] lanes;

    assign m_tvalid = vector_valid;

    genvar i;
    generate
        for (i = 0; i < ELEMENTS; i = i + 1) begin : element
            assign lanes[i*LANE +: WIDTH] = vector[i*WIDTH +: WIDTH];
            if (LANE > WIDTH) begin : extend
                assign lanes[i*LANE+WIDTH +: LANE-WIDTH] = {(LANE-WIDTH){SIGNED != 0 && vector[i*WIDTH+WIDTH-1]}};
            end
        end
        if (BEATS * BEAT > ELEMENTS * LANE) begin : fill
            assign lanes[BEATS*BEAT-1:ELEMENTS*LANE] = {(BEATS*BEAT-ELEMENTS*LANE){1'b0}};
        end
        if (BEATS == 1) begin : whole
            assign m_tdata = lanes;
            assign m_tlast = vector_last;
            assign vector_ready = m_tready;
        end else begin : beats
            localparam BW = $clog2(BEATS);
            localparam OW = $clog2(BEATS * BEAT);
            localparam [31:0] LAST = BEATS - 1;
            localparam [31:0] STEP = BEAT;

            reg  [BW-1:0] beat;
            wire [OW-1:0] offset = {{(OW-BW){1'b0}}, beat} * STEP[OW-1:0];
            wire          final_beat = beat == LAST[BW-1:0];

            assign m_tdata = lanes[offset +: BEAT];
            assign m_tlast = vector_last && final_beat;
            assign vector_ready = m_tready && final_beat;

            always @(posedge clk) begin
                if (vector_valid && m_tready)
                    beat <= final_beat ? {BW{1'b0}} : beat + 1'b1;
                if (!rst_n)
                    beat <= {BW{1'b0}};
            end
        end
    endgenerate
endmodule
`default_nettype wire
