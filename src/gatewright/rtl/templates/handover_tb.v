// @top@_tb: plays input.hex through @top@ and compares every beat with expected.hex, by gatewright @version@
// SPDX-License-Identifier: Apache-2.0
//
// With Icarus:    iverilog -g2005 -o tb -f files.f @top@_tb.v && vvp tb
// With Verilator: verilator --binary --timing -CFLAGS -std=c++20 --top-module @top@_tb -f files.f @top@_tb.v && obj_dir/V@top@_tb
`default_nettype none
module @top@_tb;
    localparam IN_BEATS = @in_beats@;
    localparam OUT_BEATS = @out_beats@;
    localparam IN_PACKET = @in_packet@;  // beats of a vector; TLAST on its last
    localparam PATIENCE = @patience@;  // cycles until a missing result is an error

    reg aclk = 1'b0;
    reg aresetn = 1'b0;
    always #5 aclk = ~aclk;

    reg [@in_bits@-1:0]  stimuli [0:IN_BEATS-1];
    reg [@out_bits@-1:0] golden [0:OUT_BEATS-1];
    integer waited, sent, place, got, errors, cycles;
    reg [15:0] noise;  // a shift register: when the sink is ready

    reg [@in_bits@-1:0] s_axis_tdata;
    reg s_axis_tvalid, s_axis_tlast, m_axis_tready;
    wire s_axis_tready, m_axis_tvalid, m_axis_tlast;
    wire [@out_bits@-1:0] m_axis_tdata;

    @top@ dut (
        .aclk(aclk),
        .aresetn(aresetn),
        .s_axis_tdata(s_axis_tdata),
        .s_axis_tvalid(s_axis_tvalid),
        .s_axis_tready(s_axis_tready),
        .s_axis_tlast(s_axis_tlast),
        .m_axis_tdata(m_axis_tdata),
        .m_axis_tvalid(m_axis_tvalid),
        .m_axis_tready(m_axis_tready),
        .m_axis_tlast(m_axis_tlast)@extra@
    );

    initial begin
        $readmemh("input.hex", stimuli);
        $readmemh("expected.hex", golden);
        waited = 0;
        sent = 0;
        place = 0;
        got = 0;
        errors = 0;
        cycles = 0;
        noise = 16'hace1;
        s_axis_tvalid = 1'b0;
        s_axis_tlast = 1'b0;
        s_axis_tdata = {@in_bits@{1'b0}};
        m_axis_tready = 1'b0;
    end

    always @(posedge aclk) if (!aresetn) begin  // for eight cycles
        waited <= waited + 1;
        aresetn <= waited == 8;
    end else begin
        cycles <= cycles + 1;
        noise <= {noise[14:0], noise[15] ^ noise[13] ^ noise[12] ^ noise[10]};
        m_axis_tready <= noise[0] || noise[5];
        // a beat that was taken, or none yet: the next one
        if (!s_axis_tvalid || s_axis_tready) begin
            s_axis_tvalid <= sent < IN_BEATS;
            if (sent < IN_BEATS) begin
                s_axis_tdata <= stimuli[sent];
                s_axis_tlast <= place == IN_PACKET - 1;
                place <= place == IN_PACKET - 1 ? 0 : place + 1;
                sent <= sent + 1;
            end
        end
        if (m_axis_tvalid && m_axis_tready) begin
            if (m_axis_tdata !== golden[got]) begin
                if (errors < 10) $display("beat %0d: expected %h, got %h", got, golden[got], m_axis_tdata);
                errors <= errors + 1;
            end
            got <= got + 1;
        end
        if (got == OUT_BEATS || cycles == PATIENCE) begin
            if (got != OUT_BEATS) $display("FAIL: %0d of %0d beats came", got, OUT_BEATS);
            else if (errors != 0) $display("FAIL: %0d of %0d beats differ", errors, OUT_BEATS);
            else $display("PASS: %0d beats, all as expected, in %0d cycles", OUT_BEATS, cycles);
            $finish;
        end
    end
endmodule
