"""A block's description in, its table of registers in Markdown out."""

from __future__ import annotations

from gatewright.instrument.registers import Described, Register


def register_table(block: Described) -> str:
    """Return a row for each register: word, offset in bytes, name, access, value behind a reset, what it is."""
    rows = [
        f"| {r.word} | 0x{r.offset:02X} | `{r.macro}` | {r.access} | 0x{r.reset:08X} | {_said(r)} |"
        for r in block.registers
    ]
    head = "| word | byte | name | access | reset | |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _said(register: Register) -> str:
    effect = f" {register.effect[0].upper()}{register.effect[1:]}." if register.effect else ""
    fields = " ".join(
        f"Bit{f's {f.low + f.bits - 1}..{f.low}' if f.bits > 1 else f' {f.low}'} {f.name}: {f.description}"
        for f in register.fields
    )
    return f"{register.description}{effect}{' ' if fields else ''}{fields}"
