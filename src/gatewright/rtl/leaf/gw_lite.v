// SPDX-License-Identifier: Apache-2.0
// AXI4-Lite subordinate of 32-bit words: a bus in, one-cycle reads and writes of words out. It never waits.
//
// No wire of the bus hangs on another one without a register between them (ARM IHI 0022, A3.1). A write takes three
// cycles at its fastest, a read three; reads and writes do not wait for each other.
//
// Contract
//   reads    for one cycle: word read_word is being read. Its content is `value`, or 0 with `blank`. A FIFO gives its
//            word away in this cycle.
//            read_word and write_word mean something in the cycles with reads and writes only.
//   writes   for one cycle: word write_word takes write_data.
//   partial  for one cycle: a write that did not have all four byte strobes. It is answered SLVERR, and nothing is
//            written: half a word must never pop or push a whole one. Addresses' bits 1..0 are ignored.
//   rst_n    synchronous, active low.
`default_nettype none
module gw_lite #(
    parameter WORD_BITS = 6
) (
    input  wire                          clk,
    input  wire                          rst_n,
    /* verilator lint_off UNUSEDSIGNAL */  // the addresses' bits within a word
    input  wire [WORD_BITS+1:0]          awaddr,
    input  wire                          awvalid,
    output wire                          awready,
    input  wire [31:0]                   wdata,
    input  wire [3:0]                    wstrb,
    input  wire                          wvalid,
    output wire                          wready,
    output wire [1:0]                    bresp,
    output wire                          bvalid,
    input  wire                          bready,
    input  wire [WORD_BITS+1:0]          araddr,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire                          arvalid,
    output reg                           arready,
    output reg  [31:0]                   rdata,
    output wire [1:0]                    rresp,
    output reg                           rvalid,
    input  wire                          rready,
    output wire                          reads,
    output wire [WORD_BITS-1:0]          read_word,
    input  wire [31:0]                   value,
    input  wire                          blank,
    output wire                          writes,
    output wire [WORD_BITS-1:0]          write_word,
    output wire [31:0]                   write_data,
    output wire                          partial
);
    localparam [1:0] WAITS = 2'b00, TAKES = 2'b01;  // 2'b10 answers OKAY, 2'b11 SLVERR

    reg [1:0] state;

    // awready and arready are high only while the transfer that they were raised for is on offer.
    assign awready = state == TAKES;
    assign bvalid = state[1];
    assign wready = awready;
    assign writes = awready && (&wstrb);
    assign partial = awready && !(&wstrb);
    assign write_word = awaddr[WORD_BITS+1:2];
    assign write_data = wdata;
    assign bresp = {state[0], 1'b0};
    assign reads = arready;
    assign read_word = araddr[WORD_BITS+1:2];
    assign rresp = 2'b00;

    always @(posedge clk) begin
        case (state)
            WAITS:
                state <= awvalid && wvalid ? TAKES : WAITS;
            TAKES:
                state <= {1'b1, partial};
            default:
                state <= bready ? WAITS : state;
        endcase
        arready <= arvalid && !arready && !rvalid;
        if (arready)
            rdata <= blank ? 32'd0 : value;  // a flip-flop's reset: no LUT
        if (arready)
            rvalid <= 1'b1;
        else if (rready)
            rvalid <= 1'b0;
        if (!rst_n) begin
            state <= WAITS;
            arready <= 1'b0;
            rvalid <= 1'b0;
        end
    end
endmodule
`default_nettype wire
