// SPDX-License-Identifier: Apache-2.0
// AXI4 subordinate with a RAM of 2**LOG2_WORDS words of 32 bits, whose other port is the user's.
//
// Bursts of any kind, length and size; a beat a cycle, and every other cycle for each side while a write and a read are
// under way together: neither can hold up the other, whatever its master waits for. Behind the RAM's own register lies
// one more, for block RAMs are slow. Byte strobes are obeyed. Every answer is OKAY.
//
// Contract
//   address  byte 4*i is word i; addresses above the RAM go round.
//   user_*   user_rdata is the word at user_addr a cycle later, but where user_we writes user_wdata to it instead.
//            What either port reads of a word that the other writes in the same cycle is not defined, and what both
//            write in one cycle neither.
//   LOG2_WORDS  at least 5.
//   rst_n    synchronous, active low; the RAM keeps its words.
`default_nettype none
module gw_axi_ram #(
    parameter LOG2_WORDS = 10,
    parameter ID_BITS = 16
) (
    input  wire                  clk,
    input  wire                  rst_n,
    input  wire [ID_BITS-1:0]    awid,
    input  wire [LOG2_WORDS+1:0] awaddr,
    /* verilator lint_off UNUSEDSIGNAL */  // wlast ends a write; beats have four bytes at most
    input  wire [7:0]            awlen,
    input  wire [2:0]            awsize,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire [1:0]            awburst,
    input  wire                  awvalid,
    output wire                  awready,
    input  wire [31:0]           wdata,
    input  wire [3:0]            wstrb,
    input  wire                  wlast,
    input  wire                  wvalid,
    output wire                  wready,
    output reg  [ID_BITS-1:0]    bid,
    output wire [1:0]            bresp,
    output reg                   bvalid,
    input  wire                  bready,
    input  wire [ID_BITS-1:0]    arid,
    input  wire [LOG2_WORDS+1:0] araddr,
    input  wire [7:0]            arlen,
    /* verilator lint_off UNUSEDSIGNAL */
    input  wire [2:0]            arsize,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire [1:0]            arburst,
    input  wire                  arvalid,
    output wire                  arready,
    output reg  [ID_BITS-1:0]    rid,
    output reg  [31:0]           rdata,
    output wire [1:0]            rresp,
    output reg                   rlast,
    output reg                   rvalid,
    input  wire                  rready,
    input  wire                  user_we,
    input  wire [LOG2_WORDS-1:0] user_addr,
    input  wire [31:0]           user_wdata,
    output reg  [31:0]           user_rdata
);
    /* verilator lint_off MULTIDRIVEN */  // by its two ports
    (* no_rw_check, ram_style = "block" *) reg [31:0] memory [0:(1<<LOG2_WORDS)-1];
    /* verilator lint_on MULTIDRIVEN */

    reg                  open;     // for a cycle or more after its reset nothing is taken
    reg                  writing;  // a burst of writes is under way
    reg                  reading;
    reg                  turn;     // whose the port is while both are
    reg  [7:0]           left;     // beats to fetch behind the next
    reg                  fetched;  // the RAM's register holds a beat that has not gone on
    reg                  fetched_last;
    reg  [31:0]          word;
    reg  [ID_BITS-1:0]   read_id;
    /* verilator lint_off UNUSEDSIGNAL */  // the addresses' bits within a word
    wire [LOG2_WORDS+1:0] write_address;
    wire [LOG2_WORDS+1:0] read_address;
    /* verilator lint_on UNUSEDSIGNAL */

    wire writes_now = writing && (turn || !reading);
    wire write = wready && wvalid;
    wire moves = fetched && (!rvalid || rready);
    wire fetch = reading && !writes_now && (!fetched || moves);
    wire takes_write = awvalid && awready;
    wire takes_read = arvalid && arready;
    wire [LOG2_WORDS-1:0] place = writes_now ? write_address[LOG2_WORDS+1:2] : read_address[LOG2_WORDS+1:2];

    assign awready = open && !writing && !bvalid;
    assign wready = writes_now;
    assign bresp = 2'b00;
    assign arready = open && !reading && !fetched;
    assign rresp = 2'b00;

    gw_axi_walk #(.ADDRESS_BITS(LOG2_WORDS + 2)) write_walk (
        .clk(clk),
        .load(takes_write),
        .first(awaddr),
        .len(awlen[3:0]),
        .size(awsize[1:0]),
        .burst(awburst),
        .step(write),
        .address(write_address)
    );

    gw_axi_walk #(.ADDRESS_BITS(LOG2_WORDS + 2)) read_walk (
        .clk(clk),
        .load(takes_read),
        .first(araddr),
        .len(arlen[3:0]),
        .size(arsize[1:0]),
        .burst(arburst),
        .step(fetch),
        .address(read_address)
    );

    integer lane;
    always @(posedge clk) begin
        for (lane = 0; lane < 4; lane = lane + 1)
            if (write && wstrb[lane])
                memory[place][8*lane +: 8] <= wdata[8*lane +: 8];
        if (fetch)
            word <= memory[place];
    end

    always @(posedge clk) begin
        if (user_we)
            memory[user_addr] <= user_wdata;
        else
            user_rdata <= memory[user_addr];
    end

    always @(posedge clk) begin
        open <= 1'b1;
        turn <= !turn;
        if (takes_write) begin
            writing <= 1'b1;
            bid <= awid;
        end
        if (write && wlast) begin
            writing <= 1'b0;
            bvalid <= 1'b1;
        end else if (bready) begin
            bvalid <= 1'b0;
        end
        if (takes_read) begin
            reading <= 1'b1;
            left <= arlen;
            read_id <= arid;
        end
        if (fetch) begin
            reading <= left != 8'd0;
            left <= left - 8'd1;
            fetched_last <= left == 8'd0;
        end
        fetched <= fetch || (fetched && !moves);
        if (moves) begin
            rdata <= word;
            rid <= read_id;
            rlast <= fetched_last;
        end
        rvalid <= moves || (rvalid && !rready);
        if (!rst_n) begin
            open <= 1'b0;
            turn <= 1'b0;
            writing <= 1'b0;
            bvalid <= 1'b0;
            reading <= 1'b0;
            fetched <= 1'b0;
            rvalid <= 1'b0;
        end
    end
endmodule
`default_nettype wire
