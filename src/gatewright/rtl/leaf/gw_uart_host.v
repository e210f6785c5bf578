// SPDX-License-Identifier: Apache-2.0
// Byte link between a host's UART and an AXI4-Stream core whose two data buses are 8 bits wide.
//
// Every VECTOR_BYTES bytes from the host are one input vector; TLAST goes with the last of them. Every byte the
// core sends is sent on to the host.
//
// Why the host cannot flood the core: a UART has no "not ready", so the host keeps the number of unanswered vectors
// bounded (one, in the driver that comes with this file). With one, the core's output is empty before the next vector
// starts, and the core takes each byte within the 10 bit times that the next one needs to arrive.
// If bytes are lost all the same (overrun, break, noise, a host that died in mid-vector), nothing is answered from
// a torn vector:
//   - after an overrun or a frame error every byte is dropped until the line has been quiet for GAP_CYCLES;
//   - when the line has been quiet for GAP_CYCLES in mid-vector, the part that has come is given up;
//   - in both cases the core is reset (core_resetn low for 16 cycles), once all earlier answers have been sent.
// So a host that pauses for longer than the gap is in step with the board again, whatever happened before.
//
// Contract
//   DIV           clock cycles per bit, at least 4.
//   VECTOR_BYTES  at least 1.
//   GAP_CYCLES    at least 20*DIV; take some 100 ms, for USB serial adapters pause in mid-vector for milliseconds.
//   m_axis_*      to the core, s_axis_* from the core: AXI4-Stream, 8 data bits; both idle while core_resetn is low.
//   core_resetn   synchronous reset of the core, active low.
//   vector_toggle, answer_toggle   change with the last byte of each input vector and of each answer.
//   error         set by the first fault or torn vector; stays set until rst_n.
//   rst_n         synchronous, active low.
`default_nettype none
module gw_uart_host #(
    parameter DIV = 100,
    parameter VECTOR_BYTES = 4,
    parameter GAP_CYCLES = 10000000
) (
    input  wire       clk,
    input  wire       rst_n,
    input  wire       rxd,
    output wire       txd,
    output reg        core_resetn,
    output wire [7:0] m_axis_tdata,
    output wire       m_axis_tvalid,
    input  wire       m_axis_tready,
    output wire       m_axis_tlast,
    input  wire [7:0] s_axis_tdata,
    input  wire       s_axis_tvalid,
    output wire       s_axis_tready,
    input  wire       s_axis_tlast,
    output reg        vector_toggle,
    output reg        answer_toggle,
    output reg        error
);
    localparam BW = $clog2(VECTOR_BYTES + 1);
    localparam GW = $clog2(GAP_CYCLES + 1);
    localparam [31:0] LAST = VECTOR_BYTES - 1;
    localparam [31:0] GAP = GAP_CYCLES;

    wire rx_valid;
    wire rx_overrun;
    wire rx_frame_error;
    wire rx_active;
    wire tx_ready;

    reg [BW-1:0] beat;        // bytes of the current vector that the core has taken
    reg [GW-1:0] quiet;       // cycles for which the line has been idle, up to GAP
    reg          fault;       // a byte was lost: drop what follows until the line is quiet
    reg          dropping;    // fault, and no byte is on offer to the core any more (TVALID must not be taken back)
    reg [4:0]    reset_left;  // cycles for which the core stays in reset; core_resetn is its register, for the fan-out

    // host -> core
    wire offered = rx_valid && !dropping && core_resetn;
    wire taken = offered && m_axis_tready;
    assign m_axis_tvalid = offered;
    assign m_axis_tlast = beat == LAST[BW-1:0];

    // core -> host
    assign s_axis_tready = tx_ready && core_resetn;
    wire answered = s_axis_tvalid && s_axis_tready && s_axis_tlast;

    wire silent = quiet == GAP[GW-1:0] && tx_ready && !s_axis_tvalid;
    wire torn = fault || beat != {BW{1'b0}};

    always @(posedge clk) begin
        if (rx_active)
            quiet <= {GW{1'b0}};
        else if (quiet != GAP[GW-1:0])
            quiet <= quiet + 1'b1;

        if (taken)
            beat <= m_axis_tlast ? {BW{1'b0}} : beat + 1'b1;
        if (taken && m_axis_tlast)
            vector_toggle <= !vector_toggle;
        if (answered)
            answer_toggle <= !answer_toggle;

        if (rx_overrun || rx_frame_error)
            fault <= 1'b1;
        dropping <= fault && (dropping || !offered || m_axis_tready);
        if (torn && (fault || silent))
            error <= 1'b1;

        if (reset_left != 5'd0)
            reset_left <= reset_left - 5'd1;
        core_resetn <= reset_left <= 5'd1;
        if (silent && torn && core_resetn) begin
            reset_left <= 5'd16;
            core_resetn <= 1'b0;
            beat <= {BW{1'b0}};
            fault <= 1'b0;
            dropping <= 1'b0;
        end
        if (!rst_n) begin
            quiet <= {GW{1'b0}};
            beat <= {BW{1'b0}};
            fault <= 1'b0;
            dropping <= 1'b0;
            reset_left <= 5'd16;
            core_resetn <= 1'b0;
            vector_toggle <= 1'b0;
            answer_toggle <= 1'b0;
            error <= 1'b0;
        end
    end

    gw_uart_rx #(.DIV(DIV)) receiver (
        .clk(clk),
        .rst_n(rst_n),
        .rxd(rxd),
        .m_data(m_axis_tdata),
        .m_valid(rx_valid),
        .m_ready(m_axis_tready || dropping || !core_resetn),
        .overrun(rx_overrun),
        .frame_error(rx_frame_error),
        .active(rx_active)
    );

    gw_uart_tx #(.DIV(DIV)) transmitter (
        .clk(clk),
        .rst_n(rst_n),
        .s_data(s_axis_tdata),
        .s_valid(s_axis_tvalid && core_resetn),
        .s_ready(tx_ready),
        .txd(txd)
    );
endmodule
`default_nettype wire
