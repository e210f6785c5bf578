// SPDX-License-Identifier: Apache-2.0
// COUNT registers of 32 bits that are all on show at once; written one at a time, read one at a time.
//
// Reading one of 16 registers takes a wide multiplexer, 160 LUTs. With COPY = 1 they are read from a copy in LUT RAM,
// which takes 24. A reset does not reach that, so a flip-flop for each says whether it was written since.
// COPY = 0 is for few registers, and for chips without LUT RAM.
//
// Contract
//   COUNT   1 to 16.
//   writes  register `written` takes `data`; with a number of COUNT or more nothing does.
//   value   register `read`, in the same cycle, but with blank, where it stands for 0: it was not written since the
//           reset, or there is none of this number.
//   shown   all of them, register i at 32*i +: 32. A reset clears them.
//   rst_n   synchronous, active low.
`default_nettype none
module gw_shown_registers #(
    parameter COUNT = 16,
    parameter COPY = 1
) (
    input  wire                clk,
    input  wire                rst_n,
    input  wire                writes,
    input  wire [3:0]          written,
    input  wire [31:0]         data,
    input  wire [3:0]          read,
    output wire [31:0]         value,
    output wire                blank,
    output wire [32*COUNT-1:0] shown
);
    genvar i;
    generate
        for (i = 0; i < COUNT; i = i + 1) begin : register
            reg [31:0] held;
            assign shown[32*i +: 32] = held;
            always @(posedge clk) begin
                if (!rst_n)
                    held <= 32'd0;
                else if (writes && written == i)
                    held <= data;
            end
        end
        if (COPY == 1) begin : copied
            reg  [31:0] copy [0:15];
            wire [15:0] valid;
            assign value = copy[read];
            assign blank = !valid[read];
            always @(posedge clk) begin
                if (writes)
                    copy[written] <= data;
            end
            for (i = 0; i < 16; i = i + 1) begin : flag
                if (i < COUNT) begin : kept
                    reg since;
                    assign valid[i] = since;
                    always @(posedge clk) begin
                        if (!rst_n)
                            since <= 1'b0;
                        else if (writes && written == i)
                            since <= 1'b1;
                    end
                end else begin : none
                    assign valid[i] = 1'b0;
                end
            end
        end else begin : picked
            wire [511:0] all_shown = {{(16 - COUNT){32'd0}}, shown};
            assign blank = 1'b0;
            gw_pick #(.LOG2_WORDS(4)) pick (.values(all_shown), .word(read), .value(value));
        end
    endgenerate
endmodule
`default_nettype wire
