"""A netlist Module in, Verilog-2005 text out. The only emitter: one function for literals, one for identifiers."""

from __future__ import annotations

import re
from typing import assert_never

from gatewright.rtl.netlist import (
    AnyBit,
    Assign,
    Binary,
    Choose,
    Concat,
    Expr,
    Heading,
    Instance,
    Literal,
    Memory,
    Module,
    Name,
    Not,
    Pick,
    Port,
    Register,
    Rom,
    Signed,
    Slice,
    TruthTable,
    Wire,
)

# IEEE 1800-2017 annex B: a name that is free in Verilog-2005 may be taken in SystemVerilog tools
KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins
binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually expect
export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global
highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input
inside instance int integer interconnect interface intersect join join_any join_none large let liblist library local
localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0
rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled
signed small soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1
sync_accept_on sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri
tri0 tri1 triand trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var
vectored virtual void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
""",
    )
)


NETTYPE, NETTYPE_END = "`default_nettype none", "`default_nettype wire"
"""Around every module: a misspelt name is an error in ours, and nothing changes for files that are read after it."""

# Other tools read plain wires: the attribute mends what yosys does, and would only bind them.
_KEEP = (
    "`ifdef YOSYS",
    "`define GW_KEEP (* keep *)",
    "`else",
    "`define GW_KEEP",
    "`endif",
)
_KEEP_END = "`undef GW_KEEP"

_WAIVER = "verilator lint_off "
_LONGEST = 60  # of a user's name: up to three make a module's, whose file's name may have 255


def identifier(name: str) -> str:
    """Return a Verilog identifier for a user's name: its start, other characters as single underscores, no keyword."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:_LONGEST].strip("_") or "unnamed"
    if text[0].isdigit() or text.lower() in KEYWORDS:
        text = f"m_{text}"
    return text


def literal(value: int, width: int, signed: bool) -> str:
    """Return a sized literal: 4'd9, -5'sd12. The lowest number of a width takes a bit more."""
    mark = "sd" if signed else "d"
    width += value == -(1 << (width - 1))  # in 4 bits 8 already reads as -8, and -4'sd8 extends to +8
    return f"-{width}'{mark}{-value}" if value < 0 else f"{width}'{mark}{value}"


def module_text(module: Module) -> str:
    """Return one module's text."""
    kept_apart = any(isinstance(item, (Assign, Register)) and item.keep for item in module.items)
    lines = [*(_comment(line) for line in module.header), NETTYPE]
    if kept_apart:
        lines += _KEEP
    lines += [f'(* {key} = "{value}" *)' for key, value in module.attributes]
    lines.append(f"module {module.name} (")
    ports = [("input  wire", "clk", "")] if module.clocked else []
    ports += [(*_port(port), port.comment) for port in module.ports]
    for index, (kind, name, comment) in enumerate(ports):
        comma = "," if index < len(ports) - 1 else ""
        lines.append(f"    {kind:<28} {name}{comma}" + (f"  // {comment}" if comment else ""))
    lines.append(");")
    pending: list[Register] = []
    for item in (*module.items, None):
        if pending and not isinstance(item, Register):
            lines += [f"    {_declare('reg', r.target)};" for r in pending]
            for keep in (False, True):  # yosys takes the block's attribute over to its flip-flops, not the signal's
                updates = [f"        {line}" for r in pending if r.keep == keep for line in _update(r)]
                if updates:
                    lines += [f"    {'`GW_KEEP ' * keep}always @(posedge clk) begin", *updates, "    end"]
            pending = []
        match item:
            case None:
                break
            case Register():
                pending.append(item)
            case Assign():
                note = f"  // {item.comment}" if item.comment else ""
                kept = "`GW_KEEP " if item.keep else ""
                lines.append(f"    {kept}{_declare('wire', item.target)} = {expression(item.value)};{note}")
            case Rom():
                lines += _rom(item)
            case Memory():
                lines += _memory(item)
            case Pick():
                lines += _pick(item)
            case TruthTable():
                lines += _truth_table(item)
            case Wire():
                lines.append(f"    {_declare('wire', item.target)};")
            case Heading():
                lines += ["", f"    {_comment(item.text)}"]
            case Instance():
                lines += _instance(item)
            case _:
                assert_never(item)
    if module.drives:
        lines.append("")
    lines += [f"    assign {target.name} = {expression(value)};" for target, value in module.drives]
    lines.append("endmodule")
    if kept_apart:
        lines.append(_KEEP_END)
    lines.append(NETTYPE_END)
    waived = [line.removeprefix(_WAIVER) for line in module.header if line.startswith(_WAIVER)]
    lines += [f"// verilator lint_on {warning}" for warning in waived]
    return "\n".join(lines) + "\n"


def expression(value: Expr) -> str:
    """Return an expression's text; nested binaries are parenthesised."""
    match value:
        case Name():
            return value.name
        case Literal():
            return literal(value.value, value.width, value.signed)
        case Slice():
            if value.of.width == 1:
                return value.of.name
            if value.high == value.low:
                return f"{value.of.name}[{value.high}]"
            return f"{value.of.name}[{value.high}:{value.low}]"
        case Concat():
            return "{" + ", ".join(expression(part) for part in value.parts) + "}"
        case Signed():
            return f"$signed({expression(value.of)})"
        case Binary():
            return f"{_nested(value.a)} {value.op} {_nested(value.b)}"
        case Choose():
            return f"{_nested(value.condition)} ? {_nested(value.a)} : {_nested(value.b)}"
        case AnyBit():
            return f"|{expression(value.of)}"
        case Not():
            return f"~{expression(value.of)}"
        case _:
            assert_never(value)


def _comment(text: str) -> str:
    """Return a comment of one line, whatever a user's name in it holds."""
    return "".join(c if c.isprintable() else "?" for c in f"// {text}").rstrip()


def _nested(value: Expr) -> str:
    text = expression(value)
    return f"({text})" if isinstance(value, (Binary, Choose, AnyBit)) else text


def _declare(kind: str, name: Name) -> str:
    return " ".join(word for word in (kind, _range(name), name.name) if word)


def _range(name: Name) -> str:
    span = f"[{name.width - 1}:0]" if name.width > 1 else ""
    return " ".join(word for word in ("signed" if name.signed else "", span) if word)


def _port(port: Port) -> tuple[str, str]:
    kind = "output wire" if port.output else "input  wire"
    return f"{kind} {_range(port.signal)}".rstrip(), port.signal.name


def _rom(item: Rom) -> list[str]:
    """A memory that only `initial` writes and a clocked read: every tool takes it as a ROM."""
    memory, digits = f"{item.target.name}_rom", -(-item.target.width // 4)
    lines = [f'    (* rom_style = "block" *) {_declare("reg", Name(memory, item.target.width, False))}'] * item.block
    lines = lines or [f"    {_declare('reg', Name(memory, item.target.width, False))}"]
    lines[0] += f" [0:{len(item.words) - 1}];"
    lines.append("    initial begin")
    lines += [f"        {memory}[{i}] = {item.target.width}'h{word:0{digits}x};" for i, word in enumerate(item.words)]
    lines += ["    end", f"    {_declare('reg', item.target)};"]
    return [*lines, f"    always @(posedge clk) {item.target.name} <= {memory}[{item.address.name}];"]


def _update(register: Register) -> list[str]:
    """Return the lines that a register has in the clocked block: the reset before the enable."""
    takes = f"{register.target.name} <= {expression(register.value)};"
    if register.enable is None and register.reset is None:
        return [takes]
    lines: list[str] = []
    if register.reset is not None:
        width = register.target.width
        start = literal(register.reset_value & ((1 << width) - 1), width, signed=False)
        lines += [f"if ({expression(register.reset)})", f"    {register.target.name} <= {start};"]
    otherwise = "else " if lines else ""
    if register.enable is not None:
        return [*lines, f"{otherwise}if ({expression(register.enable)})", f"    {takes}"]
    return [*lines, "else", f"    {takes}"]


def _memory(item: Memory) -> list[str]:
    """A memory as every tool infers one: one clocked write, one read.

    no_rw_check: yosys may forget that a clocked read of the word being written gives the old one. It keeps that
    meaning in logic otherwise, 33 to 55 LUTs a memory on all families but Xilinx'.
    """
    target, memory = item.target, f"{item.target.name}_ram"
    hints = ["no_rw_check"] * item.clocked + [f'ram_style = "{item.style}"'] * (item.style != "auto")
    hint = f"(* {', '.join(hints)} *) " if hints else ""
    lines = [f"    {hint}{_declare('reg', Name(memory, target.width, False))} [0:{item.depth - 1}];"]
    if item.contents:
        digits, mask = -(-target.width // 4), (1 << target.width) - 1
        lines.append("    initial begin")
        words = enumerate(item.contents)
        lines += [f"        {memory}[{i}] = {target.width}'h{word & mask:0{digits}x};" for i, word in words]
        lines.append("    end")
    write = (
        f"if ({expression(item.write_enable)}) {memory}[{item.write_address.name}] <= {expression(item.write_data)};"
    )
    lines.append(f"    always @(posedge clk) {write}")
    read = f"{memory}[{item.read_address.name}]"
    if not item.clocked:
        return [*lines, f"    {_declare('wire', target)} = {read};"]
    enable = f"if ({expression(item.read_enable)}) " if item.read_enable else ""
    return [
        *lines,
        f"    {_declare('reg', target)};",
        f"    always @(posedge clk) {enable}{target.name} <= {read};",
    ]


def _pick(item: Pick) -> list[str]:
    """A list of the cases, each as wide as the target, and an indexed read."""
    name, width = f"{item.target.name}_list", item.target.width
    lines: list[str] = []
    parts: dict[str, str] = {}
    for case in item.cases:
        text = expression(case)
        if text not in parts:
            parts[text] = f"{item.target.name}_{len(parts)}"
            lines.append(f"    {_declare('wire', Name(parts[text], width, item.target.signed))} = {text};")
    listed = ", ".join(parts[expression(case)] for case in reversed(item.cases))
    lines.append(f"    {_declare('wire', Name(name, width * len(item.cases), False))} = {{{listed}}};")
    lines.append(f"    {_declare('reg', item.target)};")
    read = f"{name}[{item.select.name}*{width} +: {width}]"
    return [*lines, f"    always @(posedge clk) {item.target.name} <= {read};"]


def _truth_table(item: TruthTable) -> list[str]:
    """One truth table per bit, read by a bit-select: a case statement would invite block RAM."""
    size, name = len(item.entries), item.target.name
    lines: list[str] = []
    for bit in range(item.target.width):
        column = sum(((value >> bit) & 1) << index for index, value in enumerate(item.entries))
        lines.append(f"    localparam [{size - 1}:0] {name}_table{bit} = {size}'h{column:x};")
    reads = ", ".join(f"{name}_table{bit}[{item.index.name}]" for bit in reversed(range(item.target.width)))
    note = f"  // {item.comment}" if item.comment else ""
    return [*lines, f"    {_declare('wire', item.target)} = {{{reads}}};{note}"]


def _setting(value: int | Literal) -> str:
    """Return a parameter's value; wide ones are tables, so in hexadecimal."""
    if isinstance(value, int):
        return str(value)
    return f"{value.width}'h{value.value:0{-(-value.width // 4)}x}"


def _instance(item: Instance) -> list[str]:
    note = f"  // {item.comment}" if item.comment else ""
    settings = ", ".join(f".{key}({_setting(value)})" for key, value in item.parameters)
    head = f"    {item.module} {f'#({settings}) ' if settings else ''}{item.name} ("
    if item.leaf:
        ports = ", ".join(f".{port}({expression(value)})" for port, value in item.connections)
        return [f"{head}{ports});{note}"]
    lines = ["", head + note]
    for index, (port, value) in enumerate(item.connections):
        comma = "," if index < len(item.connections) - 1 else ""
        lines.append(f"        .{port}({expression(value)}){comma}")
    lines.append("    );")
    return lines
