// SPDX-License-Identifier: Apache-2.0
// A system on a chip around the block @block@: PicoRV32 (ISC licence, picorv32.v), RAM, UART, timer, the block on AXI4-Lite.
//
//   0x00000000  RAM, RAM_WORDS words, with the program from the file FIRMWARE (a hexadecimal word a line)
//   0x40000000  the block, by the AXI4-Lite adapter of PicoRV32
//   0x80000000  write: a byte to the UART, waiting until it is free
//   0x80000004  read: cycles since the reset, 32 bits
//   0x80000008  write: stop; `stopped` rises for good, and `code` is what was written
//
// Contract
//   RAM_WORDS  a power of two. CLOCKS_PER_BIT: of the UART, 8 data bits, 1 stop bit.
//   lost       the program read or wrote where nothing is, or the processor trapped: it stands still until the reset.
//   rst_n      synchronous, active low. The RAM keeps what the program wrote: it sets its own variables.
`default_nettype none
module soc #(
    parameter FIRMWARE = "",
    parameter RAM_WORDS = 16384,
    parameter CLOCKS_PER_BIT = 16
) (
    input  wire        clk,
    input  wire        rst_n,
    output wire        uart_txd,
    output reg         stopped,
    output reg  [31:0] code,
    output reg         lost
);
    localparam AW = $clog2(RAM_WORDS);

    wire        mem_valid, mem_instr, trap;
    wire [31:0] mem_addr, mem_wdata;
    wire [3:0]  mem_wstrb;
    reg         mem_ready;
    reg  [31:0] mem_rdata;

    picorv32 #(
        .ENABLE_COUNTERS(0),
        .BARREL_SHIFTER(1),
        .ENABLE_FAST_MUL(1),
        .ENABLE_DIV(1),
        .PROGADDR_RESET(32'h0000_0000)
    ) u_cpu (
        .clk(clk),
        .resetn(rst_n),
        .trap(trap),
        .mem_valid(mem_valid),
        .mem_instr(mem_instr),
        .mem_ready(mem_ready),
        .mem_addr(mem_addr),
        .mem_wdata(mem_wdata),
        .mem_wstrb(mem_wstrb),
        .mem_rdata(mem_rdata),
        .mem_la_read(),
        .mem_la_write(),
        .mem_la_addr(),
        .mem_la_wdata(),
        .mem_la_wstrb(),
        .pcpi_valid(),
        .pcpi_insn(),
        .pcpi_rs1(),
        .pcpi_rs2(),
        .pcpi_wr(1'b0),
        .pcpi_rd(32'd0),
        .pcpi_wait(1'b0),
        .pcpi_ready(1'b0),
        .irq(32'd0),
        .eoi(),
        .trace_valid(),
        .trace_data()
    );

    wire for_ram = mem_addr[31:30] == 2'b00 && mem_addr[29:AW+2] == {(28-AW){1'b0}};
    wire for_block = mem_addr[31:30] == 2'b01;
    wire for_device = mem_addr[31:4] == 28'h8000000;
    wire writes = |mem_wstrb;

    // RAM: one access a time, answered in the next cycle.
    reg [31:0] ram [0:RAM_WORDS-1];
    reg [31:0] ram_rdata;
    reg        ram_done;
    wire       ram_asked = mem_valid && for_ram && !ram_done;
    generate
        if (FIRMWARE != "") begin : g_firmware  // yosys reads the file of a default as well
            initial $readmemh(FIRMWARE, ram);
        end
    endgenerate
    always @(posedge clk) begin
        ram_done <= ram_asked && rst_n;
        if (ram_asked) begin
            if (writes) begin
                if (mem_wstrb[0]) ram[mem_addr[AW+1:2]][7:0] <= mem_wdata[7:0];
                if (mem_wstrb[1]) ram[mem_addr[AW+1:2]][15:8] <= mem_wdata[15:8];
                if (mem_wstrb[2]) ram[mem_addr[AW+1:2]][23:16] <= mem_wdata[23:16];
                if (mem_wstrb[3]) ram[mem_addr[AW+1:2]][31:24] <= mem_wdata[31:24];
            end else
                ram_rdata <= ram[mem_addr[AW+1:2]];
        end
    end

    // UART, timer, stop.
    reg  [31:0] cycles;
    wire        uart_ready;
    wire        device_asked = mem_valid && for_device;
    wire        uart_asked = device_asked && writes && mem_addr[3:2] == 2'd0;
    wire        device_done = device_asked && (!uart_asked || uart_ready);
    gw_uart_tx #(.DIV(CLOCKS_PER_BIT)) u_uart (
        .clk(clk),
        .rst_n(rst_n),
        .s_data(mem_wdata[7:0]),
        .s_valid(uart_asked),
        .s_ready(uart_ready),
        .txd(uart_txd)
    );
    always @(posedge clk) begin
        cycles <= cycles + 32'd1;
        if (device_asked && writes && mem_addr[3:2] == 2'd2 && !stopped) begin
            stopped <= 1'b1;
            code <= mem_wdata;
        end
        if (trap || (mem_valid && !for_ram && !for_block && !for_device))
            lost <= 1'b1;
        if (!rst_n) begin
            cycles <= 32'd0;
            stopped <= 1'b0;
            code <= 32'd0;
            lost <= 1'b0;
        end
    end

    // The block.
    wire        awvalid, awready, wvalid, wready, bvalid, bready, arvalid, arready, rvalid, rready, block_done;
    wire [31:0] awaddr, wdata, araddr, rdata, block_rdata;
    wire [3:0]  wstrb;
    wire [2:0]  awprot, arprot;
    picorv32_axi_adapter u_adapter (
        .clk(clk),
        .resetn(rst_n),
        .mem_axi_awvalid(awvalid),
        .mem_axi_awready(awready),
        .mem_axi_awaddr(awaddr),
        .mem_axi_awprot(awprot),
        .mem_axi_wvalid(wvalid),
        .mem_axi_wready(wready),
        .mem_axi_wdata(wdata),
        .mem_axi_wstrb(wstrb),
        .mem_axi_bvalid(bvalid),
        .mem_axi_bready(bready),
        .mem_axi_arvalid(arvalid),
        .mem_axi_arready(arready),
        .mem_axi_araddr(araddr),
        .mem_axi_arprot(arprot),
        .mem_axi_rvalid(rvalid),
        .mem_axi_rready(rready),
        .mem_axi_rdata(rdata),
        .mem_valid(mem_valid && for_block),
        .mem_instr(mem_instr),
        .mem_ready(block_done),
        .mem_addr(mem_addr),
        .mem_wdata(mem_wdata),
        .mem_wstrb(mem_wstrb),
        .mem_rdata(block_rdata)
    );
    @block@ u_block (
        .aclk(clk),
        .aresetn(rst_n),
        .s_axi_awaddr(awaddr[7:0]),
        .s_axi_awprot(awprot),
        .s_axi_awvalid(awvalid),
        .s_axi_awready(awready),
        .s_axi_wdata(wdata),
        .s_axi_wstrb(wstrb),
        .s_axi_wvalid(wvalid),
        .s_axi_wready(wready),
        .s_axi_bresp(),
        .s_axi_bvalid(bvalid),
        .s_axi_bready(bready),
        .s_axi_araddr(araddr[7:0]),
        .s_axi_arprot(arprot),
        .s_axi_arvalid(arvalid),
        .s_axi_arready(arready),
        .s_axi_rdata(rdata),
        .s_axi_rresp(),
        .s_axi_rvalid(rvalid),
        .s_axi_rready(rready)
    );

    always @* begin
        mem_ready = ram_done || device_done || (for_block && block_done);
        mem_rdata = for_ram ? ram_rdata : for_block ? block_rdata : cycles;
    end
endmodule
`default_nettype wire
