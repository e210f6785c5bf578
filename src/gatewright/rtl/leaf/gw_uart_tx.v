// SPDX-License-Identifier: Apache-2.0
// UART transmitter: 8 data bits, no parity, 1 stop bit, least significant bit first.
//
// Contract
//   DIV      clock cycles per bit, at least 2.
//   s_*      valid/ready: a byte is taken in the cycle with s_valid and s_ready; s_ready is high only while idle,
//            so one byte leaves every 10*DIV + 1 cycles at most. The transmitter never stalls.
//   txd      high when idle and after reset.
//   rst_n    synchronous, active low.
`default_nettype none
module gw_uart_tx #(
    parameter DIV = 100
) (
    input  wire       clk,
    input  wire       rst_n,
    input  wire [7:0] s_data,
    input  wire       s_valid,
    output wire       s_ready,
    output reg        txd
);
    localparam W = $clog2(DIV);
    localparam [31:0] FULL = DIV - 1;

    reg [W-1:0] count;
    reg [3:0]   left;   // bits still to send, the current one included; 0: idle
    reg [8:0]   shift;  // next bits, the stop bit on top

    assign s_ready = left == 4'd0;

    always @(posedge clk) begin
        if (left == 4'd0) begin
            if (s_valid) begin
                txd <= 1'b0;
                shift <= {1'b1, s_data};
                left <= 4'd10;
                count <= FULL[W-1:0];
            end
        end else if (count != {W{1'b0}}) begin
            count <= count - 1'b1;
        end else begin
            count <= FULL[W-1:0];
            left <= left - 4'd1;
            txd <= shift[0];
            shift <= {1'b1, shift[8:1]};
        end
        if (!rst_n) begin
            left <= 4'd0;
            txd <= 1'b1;
        end
    end
endmodule
`default_nettype wire
