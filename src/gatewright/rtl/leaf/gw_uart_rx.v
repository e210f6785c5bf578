// SPDX-License-Identifier: Apache-2.0
// UART receiver: 8 data bits, no parity, 1 stop bit, least significant bit first.
//
// Contract
//   DIV      clock cycles per bit, at least 4. Bits are sampled in their middle, so sender and receiver may
//            differ by 4 % in all (8N1: half a bit in 9.5 bits, less one clock cycle).
//   rxd      may be asynchronous to clk; two flip-flops synchronise it here. High when idle.
//   m_*      valid/ready: m_data is stable from m_valid until the cycle with m_valid and m_ready.
//   overrun  one-cycle pulse: a byte was complete while the one before it was still waiting; the NEW byte is lost.
//            So m_ready may stay low for up to 9.5 bit times (the shortest way from one byte to the next) at no loss.
//   frame_error  one-cycle pulse: the stop bit was 0 (a break, or another baud rate); the byte is lost, and the
//            receiver waits for the line to go high before it looks for a start bit again.
//   active   high from the start bit to the middle of the stop bit, and during a break.
//   rst_n    synchronous, active low.
`default_nettype none
module gw_uart_rx #(
    parameter DIV = 100
) (
    input  wire       clk,
    input  wire       rst_n,
    input  wire       rxd,
    output reg  [7:0] m_data,
    output reg        m_valid,
    input  wire       m_ready,
    output reg        overrun,
    output reg        frame_error,
    output wire       active
);
    localparam W = $clog2(DIV);
    localparam [31:0] FULL = DIV - 1;
    localparam [31:0] HALF = DIV / 2 - 1;
    localparam [1:0] IDLE = 2'd0;
    localparam [1:0] FRAME = 2'd1;
    localparam [1:0] BREAK = 2'd2;

    (* ASYNC_REG = "TRUE" *) reg [1:0] sync;  // close together: Vivado places by this
    reg [1:0]   state;
    reg [W-1:0] count;
    reg [3:0]   position;  // 0: start bit, 1..8: data bits, 9: stop bit
    reg [7:0]   shift;
    wire        line = sync[1];

    assign active = state != IDLE;

    always @(posedge clk) begin
        if (!rst_n)
            sync <= 2'b11;
        else
            sync <= {sync[0], rxd};
    end

    always @(posedge clk) begin
        overrun <= 1'b0;
        frame_error <= 1'b0;
        if (m_ready)
            m_valid <= 1'b0;
        case (state)
            FRAME:
                if (count != {W{1'b0}}) begin
                    count <= count - 1'b1;
                end else begin
                    count <= FULL[W-1:0];
                    position <= position + 4'd1;
                    if (position == 4'd0) begin
                        if (line)
                            state <= IDLE;  // a glitch, not a start bit
                    end else if (position != 4'd9) begin
                        shift <= {line, shift[7:1]};
                    end else if (!line) begin
                        state <= BREAK;
                        frame_error <= 1'b1;
                    end else begin
                        state <= IDLE;
                        if (m_valid && !m_ready) begin
                            overrun <= 1'b1;
                        end else begin
                            m_valid <= 1'b1;
                            m_data <= shift;
                        end
                    end
                end
            BREAK:
                if (line)
                    state <= IDLE;
            default:
                if (!line) begin
                    state <= FRAME;
                    count <= HALF[W-1:0];
                    position <= 4'd0;
                end
        endcase
        if (!rst_n) begin
            state <= IDLE;
            m_valid <= 1'b0;
        end
    end
endmodule
`default_nettype wire
