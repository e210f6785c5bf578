"""A module's ports in, a three-pin Verilog wrapper out: for placing a design that has more ports than a package pins.

A shift register feeds all inputs, and all outputs fold into another (s <= rotate(s) ^ outputs), so that nothing is
optimised away and the wrapper's own paths are one LUT deep. Its registers count in the placed design.
"""

from __future__ import annotations


def harness(*, name: str, module: str, clock: str, inputs: dict[str, int], outputs: dict[str, int]) -> str:
    """Return the text of module `name` with ports clk, d and q around one instance of `module`.

    inputs, outputs: port name -> width in bits, the clock left out.
    """
    fed, folded = sum(inputs.values()), sum(outputs.values())
    ports = [f".{clock}(clk)"]
    for bus, widths in (("x", inputs), ("y", outputs)):
        low = 0
        for port, bits in widths.items():
            ports.append(f".{port}({bus}[{low + bits - 1}:{low}])")
            low += bits
    turned = f"{{s[{folded - 2}:0], s[{folded - 1}]}}" if folded > 1 else "s"
    return f"""\
// Wrapper for place and route only: {fed} inputs from a shift register, {folded} outputs folded into another.
module {name} (
    input  wire clk,
    input  wire d,
    output reg  q
);
    reg  [{fed - 1}:0] x;
    reg  [{folded - 1}:0] s;
    wire [{folded - 1}:0] y;
    {module} u_design (
        {f",{chr(10)}        ".join(ports)}
    );
    always @(posedge clk) begin
        x <= {f"{{x[{fed - 2}:0], d}}" if fed > 1 else "d"};
        s <= {turned} ^ y;
        q <= s[{folded - 1}];
    end
endmodule
"""
