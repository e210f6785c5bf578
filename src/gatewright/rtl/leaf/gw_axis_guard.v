// SPDX-License-Identifier: Apache-2.0
// Framing of an AXI4-Stream input: drops what is left of a packet that a reset has cut, and remembers every fault.
//
// The sender knows nothing of a reset here: it goes on in mid-packet, and whoever counts beats from the reset on cuts
// vectors at a wrong place. So after a reset in mid-packet all beats are taken and dropped, up to the next with TLAST.
// That the last beat before the reset had no TLAST is the one thing that a reset leaves as it is.
//
// Contract
//   s_*    the outside, m_*  the inside of an AXI4-Stream; data and TLAST pass beside this module.
//          m_tvalid is low while beats are dropped, which are taken as m_tready says.
//   torn   a vector was cut short by TLAST.
//   error  register: set by the first dropped beat and by torn; stays set until the next reset.
//   rst_n  synchronous, active low.
`default_nettype none
module gw_axis_guard (
    input  wire clk,
    input  wire rst_n,
    input  wire s_tvalid,
    output wire s_tready,
    input  wire s_tlast,
    output wire m_tvalid,
    input  wire m_tready,
    input  wire torn,
    output reg  error
);
    reg  packet_open;  // the last beat taken had no TLAST
    reg  dropping;
    wire taken = s_tvalid && s_tready;

    initial packet_open = 1'b0;  // before the first beat there is no packet

    assign s_tready = m_tready;
    assign m_tvalid = s_tvalid && !dropping;

    // As ifs, which in simulation take an unknown `taken`, before the first reset, for none.
    always @(posedge clk) begin
        if (taken)
            packet_open <= !s_tlast;
        if (taken && s_tlast)
            dropping <= 1'b0;
        else if (!rst_n)
            dropping <= taken || packet_open;
        if (!rst_n)
            error <= 1'b0;
        else if (torn || (taken && dropping))
            error <= 1'b1;
    end
endmodule
`default_nettype wire
