// SPDX-License-Identifier: Apache-2.0
// Addresses of an AXI4 burst, beat by beat (ARM IHI 0022, A3.4.1), for a bus of 32 bits.
//
// Contract
//   load     takes the burst's first address, length - 1, size and kind: 0 FIXED, 1 INCR, 2 WRAP.
//   step     goes on to the next beat. Not with load.
//   address  of the beat, in bytes.
//   ADDRESS_BITS  at least 7. Above them addresses go round.
`default_nettype none
module gw_axi_walk #(
    parameter ADDRESS_BITS = 12
) (
    input  wire                    clk,
    input  wire                    load,
    input  wire [ADDRESS_BITS-1:0] first,
    input  wire [3:0]              len,
    input  wire [1:0]              size,
    input  wire [1:0]              burst,
    input  wire                    step,
    output reg  [ADDRESS_BITS-1:0] address
);
    localparam LOW = 6;  // a burst that wraps spans 64 bytes at most

    reg  [1:0]              log2_bytes;
    reg  [LOW-1:0]          moves;  // which of the low bits a step may change
    reg                     carries;  // and whether the high ones
    wire [2:0]              bytes = 3'd1 << log2_bytes;
    wire [1:0]              inner = {log2_bytes[1], |log2_bytes};  // bits of the address within a beat
    wire [ADDRESS_BITS-1:0] aligned = {address[ADDRESS_BITS-1:2], address[1:0] & ~inner};
    wire [ADDRESS_BITS-1:0] next = aligned + {{(ADDRESS_BITS - 3){1'b0}}, bytes};
    wire [ADDRESS_BITS-1:0] mask = {{(ADDRESS_BITS - LOW){carries}}, moves};
    wire [LOW-1:0]          span = {2'b00, len} << size;

    always @(posedge clk) begin
        if (load) begin
            address <= first;
            log2_bytes <= size;
            carries <= burst == 2'd1;
            case (burst)
                2'd0:
                    moves <= {LOW{1'b0}};
                2'd2:
                    moves <= span | {4'd0, size[1], |size};
                default:
                    moves <= {LOW{1'b1}};
            endcase
        end else if (step) begin
            address <= (address & ~mask) | (next & mask);
        end
    end
endmodule
`default_nettype wire
