// SPDX-License-Identifier: Apache-2.0
// Beats of an AXI4-Stream in, whole vectors of packed elements out.
//
// Element i sits in lane i: bits i*LANE .. i*LANE+WIDTH-1 of the vector, LANE = WIDTH rounded up to whole bytes.
// The rest of a lane is ignored. The vector is cut into BEATS beats of BEAT bits, lowest bits first.
// The last beat goes straight on to the vector; the earlier ones wait in a shift register (flip-flops, no LUTs).
//
// Contract
//   BEAT      a multiple of 8.
//   FRAMED    1: s_tlast on an earlier beat than the last of a vector is a framing error: the vector is torn. What is
//             missing is filled up here, a beat in each cycle with room, in which s_tready is low; then the vector
//             comes out with vector_torn, so that its packet's end is not lost. 0: there s_tlast means nothing.
//   room      from the credit counter: a vector may enter. s_tready is room, but low while a vector is filled up.
//   s_*       accepted in every cycle with s_tvalid and s_tready.
//   vector_*  vector_valid is high in the cycle in which the last beat is there; vector is good in that cycle only.
//   s_tlast   on the last beat of a vector: comes out as vector_last.
//   rst_n     synchronous, active low.
`default_nettype none
module gw_axis_unpack #(
    parameter ELEMENTS = 4,
    parameter WIDTH = 8,
    parameter BEAT = 32,
    parameter FRAMED = 0
) (
    /* verilator lint_off UNUSEDSIGNAL */  // clk, rst_n: one beat needs no state; s_tdata: bits between the elements
    input  wire                      clk,
    input  wire                      rst_n,
    input  wire [BEAT-1:0]           s_tdata,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire                      s_tvalid,
    output wire                      s_tready,
    input  wire                      s_tlast,
    input  wire                      room,
    output wire [ELEMENTS*WIDTH-1:0] vector,
    output wire                      vector_valid,
    output wire                      vector_last,
    output wire                      vector_torn
);
    localparam LANE = 8 * ((WIDTH + 7) / 8);
    localparam BEATS = (ELEMENTS * LANE + BEAT - 1) / BEAT;

    /* verilator lint_off UNUSEDSIGNAL */  // the bits between the elements and behind the last one
    wire [BEATS*BEAT-1:0] lanes;
    /* verilator lint_on UNUSEDSIGNAL */

    generate
        if (BEATS == 1) begin : whole
            assign lanes = s_tdata;
            assign s_tready = room;
            assign vector_valid = s_tvalid && room;
            assign vector_last = s_tlast;
            assign vector_torn = 1'b0;
        end else begin : beats
            localparam BW = $clog2(BEATS);
            localparam [31:0] LAST = BEATS - 1;

            reg [(BEATS-1)*BEAT-1:0] earlier;
            reg [BW-1:0]             beat;
            wire                     filling;
            wire                     final_beat = beat == LAST[BW-1:0];
            wire                     comes = (s_tvalid || filling) && room;

            assign lanes = {s_tdata, earlier};
            assign s_tready = room && !filling;
            assign vector_valid = comes && final_beat;
            assign vector_last = s_tlast || filling;
            assign vector_torn = filling;

            always @(posedge clk) begin
                if (comes) begin
                    earlier <= lanes[BEATS*BEAT-1:BEAT];
                    beat <= final_beat ? {BW{1'b0}} : beat + 1'b1;
                end
                if (!rst_n)
                    beat <= {BW{1'b0}};
            end

            if (FRAMED != 0) begin : framed
                reg missing;

                assign filling = missing;

                always @(posedge clk) begin
                    if (comes)
                        missing <= !final_beat && (s_tlast || missing);
                    if (!rst_n)
                        missing <= 1'b0;
                end
            end else begin : endless
                assign filling = 1'b0;
            end
        end
    endgenerate

    genvar i;
    generate
        for (i = 0; i < ELEMENTS; i = i + 1) begin : element
            assign vector[i*WIDTH +: WIDTH] = lanes[i*LANE +: WIDTH];
        end
    endgenerate
endmodule
`default_nettype wire
