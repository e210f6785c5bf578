// Sums the bytes of a vector; answers with the sum, low byte first.
module gw_stub (
    input  wire       aclk,
    input  wire       aresetn,
    input  wire [7:0] s_axis_tdata,
    input  wire       s_axis_tvalid,
    output wire       s_axis_tready,
    input  wire       s_axis_tlast,
    output wire [7:0] m_axis_tdata,
    output wire       m_axis_tvalid,
    input  wire       m_axis_tready,
    output wire       m_axis_tlast
);
    reg [15:0] sum;
    reg [1:0]  left;  // answer bytes still to go
    assign s_axis_tready = left == 2'd0;
    assign m_axis_tvalid = left != 2'd0;
    assign m_axis_tlast = left == 2'd1;
    assign m_axis_tdata = sum[7:0];
    always @(posedge aclk) begin
        if (s_axis_tvalid && s_axis_tready) begin
            sum <= sum + {8'd0, s_axis_tdata};
            if (s_axis_tlast)
                left <= 2'd2;
        end
        if (m_axis_tvalid && m_axis_tready) begin
            left <= left - 2'd1;
            sum <= m_axis_tlast ? 16'd0 : {8'd0, sum[15:8]};
        end
        if (!aresetn) begin
            left <= 2'd0;
            sum <= 16'd0;
        end
    end
endmodule
