module mix_add #(parameter W = 8) (input clk, input [W-1:0] a, b, output reg [W-1:0] y);
    always @(posedge clk) y <= a + b;
endmodule
module mix (input clk, input we, input [9:0] addr, input [7:0] a, b, output [7:0] y, output [3:0] z, output reg [15:0] ram_q,
           output lut_q, output srl_q, output [7:0] inv);
    mix_add #(.W(8)) wide (.clk(clk), .a(a), .b(b), .y(y));
    mix_add #(.W(4)) narrow (.clk(clk), .a(a[3:0]), .b(b[3:0]), .y(z));
    reg [15:0] block [0:1023];
    always @(posedge clk) begin if (we) block[addr] <= {a, b}; ram_q <= block[addr]; end
    reg small [0:31];
    always @(posedge clk) if (we) small[addr[4:0]] <= a[0];
    assign lut_q = small[addr[9:5]];
    reg [15:0] line;
    always @(posedge clk) line <= {line[14:0], a[1]};
    assign srl_q = line[15];
    assign inv = ~a;
endmodule
