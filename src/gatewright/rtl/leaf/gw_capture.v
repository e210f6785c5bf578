// SPDX-License-Identifier: Apache-2.0
// An endless stream of ADC samples in, windows of input codes out, a code a beat: what capture/windows.py defines.
//
// Samples go into a ring of 2**LOG2_DEPTH words. gw_starts decides where windows begin, their first places wait in a
// queue, and each window is read from the ring: first the BASELINE samples that are averaged, then all READ of them.
// Reading and writing do not wait for each other, but that nothing is written over the window that is read next: then
// s_tready falls. So windows may overlap, and the network behind may be slow for a while.
//
// Contract
//   WIDTH, SIGNED           of a sample, in the lowest bits of a lane of whole bytes.
//   EDGE to FIRST, DISTANCE as of gw_starts. PRETRIGGER: samples of a window before the one that decides it.
//   READ                    samples of a window that are read, 1 to 2**LOG2_DEPTH - 8, as PRETRIGGER is at most.
//   BASELINE                0, or 2**LOG2_BASELINE: how many are averaged and subtracted; bounds as of READ.
//   FACTOR, AVERAGE         each group of FACTOR gives its first value, or its mean, FACTOR being 2**LOG2_FACTOR.
//   LEFT, RIGHT             fractional bits of the code, or as many places less than whole numbers.
//   CODE, CODE_SIGNED       width of a code, in a lane of whole bytes on m_tdata.
//   PLACES                  windows that may wait: more than begin within one.
//   s_*, m_*                AXI4-Stream; m_tlast: with a window's last code. s_tready hangs on registers alone.
//   overrun                 register: a sample had to wait. A source that cannot wait has lost it. Until reset.
//   rst_n                   synchronous, active low; the next sample is the stream's first.
`default_nettype none
module gw_capture #(
    parameter WIDTH = 12,
    parameter SIGNED = 0,
    parameter EDGE = 1,
    parameter FALLING = 0,
    parameter THRESHOLD = 100,
    parameter REARM = 90,
    parameter FIRST = 8,
    parameter DISTANCE = 56,
    parameter PRETRIGGER = 8,
    parameter READ = 64,
    parameter BASELINE = 8,
    parameter LOG2_BASELINE = 3,
    parameter FACTOR = 1,
    parameter LOG2_FACTOR = 0,
    parameter AVERAGE = 0,
    parameter LEFT = 0,
    parameter RIGHT = 0,
    parameter CODE = 13,
    parameter CODE_SIGNED = 1,
    parameter LOG2_DEPTH = 8,
    parameter PLACES = 4
) (
    input  wire                       clk,
    input  wire                       rst_n,
    /* verilator lint_off UNUSEDSIGNAL */  // the rest of the lane
    input  wire [8*((WIDTH+7)/8)-1:0] s_tdata,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire                       s_tvalid,
    output wire                       s_tready,
    output wire [8*((CODE+7)/8)-1:0]  m_tdata,
    output wire                       m_tvalid,
    input  wire                       m_tready,
    output wire                       m_tlast,
    output reg                        overrun
);
    localparam PW = LOG2_DEPTH + 1;             // of a place: of the ring, and whose turn it is
    localparam MOST = READ > BASELINE ? READ : BASELINE;
    localparam RW = MOST > 1 ? $clog2(MOST) : 1;
    localparam FW = FACTOR > 1 ? $clog2(FACTOR) : 1;
    localparam VW = WIDTH + 1;                  // of a value, two's complement
    localparam LANE = 8 * ((CODE + 7) / 8);
    localparam [31:0] BACK = PRETRIGGER;
    localparam [31:0] LAST = READ - 1;
    localparam [31:0] LAST_BASE = BASELINE - 1;
    localparam [31:0] LAST_OF_GROUP = FACTOR - 1;

    // ---- samples into the ring, beginnings of windows into the queue
    wire [WIDTH-1:0] sample = s_tdata[WIDTH-1:0];
    wire             taken = s_tvalid && s_tready;
    wire             found;
    wire             place_free;
    reg  [PW-1:0]    written;                   // samples so far
    wire [PW-1:0]    begins;                    // the window that is read, or will be as soon as it is there
    wire             waits;                     // there is one
    wire             done;
    wire [PW-1:0]    ahead = written - begins;
    reg              begun;

    (* no_rw_check *) reg [WIDTH-1:0] ring [0:(1<<LOG2_DEPTH)-1];

    assign s_tready = place_free && !(waits && ahead[LOG2_DEPTH]);

    always @(posedge clk) begin
        if (taken)
            ring[written[LOG2_DEPTH-1:0]] <= sample;
    end

    always @(posedge clk) begin
        if (taken)
            written <= written + 1'b1;
        begun <= begun || s_tready;
        overrun <= overrun || (begun && s_tvalid && !s_tready);
        if (!rst_n) begin
            written <= {PW{1'b0}};
            begun <= 1'b0;
            overrun <= 1'b0;
        end
    end

    gw_starts #(
        .WIDTH(WIDTH), .SIGNED(SIGNED), .EDGE(EDGE), .FALLING(FALLING), .THRESHOLD(THRESHOLD), .REARM(REARM),
        .FIRST(FIRST), .DISTANCE(DISTANCE)
    ) u_starts (
        .clk(clk),
        .rst_n(rst_n),
        .sample(sample),
        .valid(taken),
        .found(found)
    );

    gw_channel #(.WIDTH(PW), .DEPTH(PLACES)) u_queue (
        .clk(clk),
        .rst_n(rst_n),
        .reserve(found),
        .room(place_free),
        .in_data(written - BACK[PW-1:0]),
        .in_valid(found),
        .out_data(begins),
        .out_valid(waits),
        .out_ready(done)
    );

    // ---- the first window is read from the ring, a sample a cycle: its baseline, then all
    wire          room;                         // behind
    reg  [RW-1:0] at;                           // the sample of the window that is read next
    reg  [FW-1:0] of_group;
    reg           based;                        // its baseline has been read
    wire          averages = BASELINE != 0 && !based;
    wire [PW-1:0] place = begins + {{(PW-RW){1'b0}}, at};
    wire          reads = waits && room && place != written;
    wire          group_ends = of_group == LAST_OF_GROUP[FW-1:0];
    wire          gives = reads && !averages && (AVERAGE != 0 ? group_ends : of_group == {FW{1'b0}});
    wire          base_ends = at == LAST_BASE[RW-1:0];
    wire          window_ends = at == LAST[RW-1:0];

    assign done = reads && !averages && window_ends;

    always @(posedge clk) begin
        if (reads) begin
            at <= (averages ? base_ends : window_ends) ? {RW{1'b0}} : at + 1'b1;
            of_group <= averages || window_ends || group_ends ? {FW{1'b0}} : of_group + 1'b1;
            based <= averages ? base_ends : !window_ends;
        end
        if (!rst_n) begin
            at <= {RW{1'b0}};
            of_group <= {FW{1'b0}};
            based <= 1'b0;
        end
    end

    // ---- cycle 1: the memory's register; 2: the register behind it; 3: minus the baseline; 4: the group; 5: the code
    reg [WIDTH-1:0] fetched;
    reg [WIDTH-1:0] held;
    reg [3:1]       valid_at;
    reg [3:1]       base_at;
    reg [3:1]       first_at;
    reg [5:1]       gives_at;
    reg [5:1]       last_at;

    always @(posedge clk) begin
        if (reads)
            fetched <= ring[place[LOG2_DEPTH-1:0]];
    end

    always @(posedge clk) begin
        held <= fetched;
        valid_at <= {valid_at[2:1], reads};
        base_at <= {base_at[2:1], averages};
        first_at <= {first_at[2:1], averages ? at == {RW{1'b0}} : of_group == {FW{1'b0}}};
        gives_at <= {gives_at[4:1], gives};
        last_at <= {last_at[4:1], window_ends};
        if (!rst_n) begin
            valid_at <= 3'd0;
            gives_at <= 5'd0;
        end
    end

    wire signed [VW-1:0] value = {SIGNED != 0 && held[WIDTH-1], held};
    wire signed [VW-1:0] base;
    reg  signed [VW-1:0] above;

    always @(posedge clk)
        above <= value - base;

    generate
        if (BASELINE != 0) begin : baseline
            localparam SW = VW + LOG2_BASELINE;
            localparam [31:0] HALF = BASELINE / 2;

            reg  signed [SW-1:0] total;
            /* verilator lint_off UNUSEDSIGNAL */  // the sign, again and again
            wire        [SW-1:0] shifted = total >>> LOG2_BASELINE;
            /* verilator lint_on UNUSEDSIGNAL */

            assign base = shifted[VW-1:0];

            always @(posedge clk) begin
                if (valid_at[2] && base_at[2])
                    total <= (first_at[2] ? $signed(HALF[SW-1:0]) : total) + $signed({{LOG2_BASELINE{value[VW-1]}}, value});
            end
        end else begin : absolute
            assign base = {VW{1'b0}};
        end
    endgenerate

    localparam GW = VW + LOG2_FACTOR;
    localparam XW = (VW + LEFT > CODE ? VW + LEFT : CODE) + 2;
    localparam signed [XW-1:0] ONE = 1;
    localparam signed [XW-1:0] HI = (ONE <<< (CODE - (CODE_SIGNED != 0 ? 1 : 0))) - ONE;
    localparam signed [XW-1:0] LO = CODE_SIGNED != 0 ? -HI - ONE : {XW{1'b0}};
    localparam signed [XW-1:0] ROUND = RIGHT != 0 ? ONE <<< (RIGHT > 0 ? RIGHT - 1 : 0) : {XW{1'b0}};

    reg  signed [GW-1:0] group;
    wire signed [GW-1:0] wide = $signed({{(GW-VW+1){above[VW-1]}}, above[VW-2:0]});
    /* verilator lint_off UNUSEDSIGNAL */  // the sign, again and again
    wire signed [GW-1:0] mean = group >>> LOG2_FACTOR;
    wire signed [XW-1:0] extended = $signed({{(XW-VW){mean[VW-1]}}, mean[VW-1:0]});
    wire signed [XW-1:0] scaled = ((extended <<< LEFT) + ROUND) >>> RIGHT;
    wire signed [XW-1:0] clipped = scaled > HI ? HI : scaled < LO ? LO : scaled;
    /* verilator lint_on UNUSEDSIGNAL */
    reg  [CODE-1:0]      code;
    wire [CODE-1:0]      out_code;

    always @(posedge clk) begin
        if (valid_at[3] && !base_at[3])
            group <= AVERAGE != 0 && !first_at[3] ? group + wide : wide;
        code <= clipped[CODE-1:0];
    end

    gw_channel #(.WIDTH(CODE + 1), .DEPTH(8)) u_out (
        .clk(clk),
        .rst_n(rst_n),
        .reserve(gives),
        .room(room),
        .in_data({last_at[5], code}),
        .in_valid(gives_at[5]),
        .out_data({m_tlast, out_code}),
        .out_valid(m_tvalid),
        .out_ready(m_tready)
    );

    assign m_tdata[CODE-1:0] = out_code;
    generate
        if (LANE > CODE) begin : rest
            assign m_tdata[LANE-1:CODE] = {(LANE-CODE){CODE_SIGNED != 0 && out_code[CODE-1]}};
        end
    endgenerate
endmodule
`default_nettype wire
