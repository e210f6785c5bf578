// Plays samples.hex into `dut` in SEGMENTS, each behind a reset that comes wherever the last one stands, with pauses at both ends
// where STALLS; writes each beat that comes as a line of segment, TDATA and TLAST, and at the end what overrun said.
`default_nettype none
module captured_tb;
    reg clk = 1'b0;
    reg rst_n = 1'b0;
    always #5 clk = ~clk;

    reg [`LANE-1:0] samples [0:`SAMPLES-1];
    reg [31:0]      ends    [0:`SEGMENTS-1];
    reg [15:0]      noise;
    integer         segment, next, idle, file, waits, pause;
    reg [`LANE-1:0] s_tdata;
    reg             s_tvalid, m_tready, begun, waited;
    wire            s_tready, m_tvalid, m_tlast, overrun;
    wire [`OUT-1:0] m_tdata;

    dut u_dut (
        .aclk(clk), .aresetn(rst_n), .s_axis_tdata(s_tdata), .s_axis_tvalid(s_tvalid), .s_axis_tready(s_tready),
        .s_axis_tlast(noise[3]), .m_axis_tdata(m_tdata), .m_axis_tvalid(m_tvalid), .m_axis_tready(m_tready),
        .m_axis_tlast(m_tlast)
`ifndef LINK
        , .overrun(overrun)
    );
`else  // behind a board's link nobody looks
    );
    assign overrun = waited;
`endif

    initial begin
        $readmemh("samples.hex", samples);
        $readmemh("ends.hex", ends);
        file = $fopen("beats.txt", "w");
        noise = 16'hace1;
        segment = 0;
        next = 0;
        idle = 0;
        waits = 0;
        pause = 0;
        s_tvalid = 1'b0;
        s_tdata = 0;
        m_tready = 1'b0;
        begun = 1'b0;
        waited = 1'b0;
    end

    always @(posedge clk) begin
        noise <= {noise[14:0], noise[15] ^ noise[13] ^ noise[12] ^ noise[10]};
        // Now and then the sink pauses for so long that everything in front of it is full.
        pause <= pause != 0 ? pause - 1 : noise[8:0] == 9'h0a5 ? 250 : 0;
        m_tready <= `STALLS == 0 || (pause == 0 && (noise[0] || (noise[5] && noise[2])));
        if (!rst_n) begin
            rst_n <= 1'b1;
            s_tvalid <= 1'b0;
            idle <= 0;
            begun <= 1'b0;
            waited <= 1'b0;
        end else begin
            if (!s_tvalid || s_tready) begin
                s_tvalid <= next < ends[segment] && (`STALLS == 0 || noise[1] || noise[7]);
                if (next < ends[segment] && (`STALLS == 0 || noise[1] || noise[7])) begin
                    s_tdata <= samples[next];
                    next <= next + 1;
                end
            end
            begun <= begun || s_tready;
            if (begun && s_tvalid && !s_tready) begin
                waited <= 1'b1;
                waits = waits + 1;
            end
            if (overrun !== waited) $fwrite(file, "overrun is %b\n", overrun);
            if (m_tvalid && m_tready) $fwrite(file, "%0d %0d %0d\n", segment, m_tdata, m_tlast);
            idle <= m_tvalid || s_tvalid || next < ends[segment] ? 0 : idle + 1;
            // every other segment is cut by the next reset as soon as its last sample has gone in
            if (idle == `PATIENCE || (segment[0] && next == ends[segment] && !s_tvalid)) begin
                rst_n <= 1'b0;
                segment <= segment + 1;
                if (segment == `SEGMENTS - 1) begin
                    $fwrite(file, "waits %0d\n", waits);
                    $fclose(file);
                    $finish;
                end
            end
        end
    end
endmodule
