"""A block's description in; C out: the map as macros, and the design that the client `gw.c` serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.fixedpoint import Ints
from gatewright.instrument.registers import Described, Frame
from gatewright.version import __version__

REGISTERS = "gw_registers.h"
_NOTE = f"by gatewright {__version__}. SPDX-License-Identifier: Apache-2.0 */"


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What makes codes of the user's values, for each code of a vector, and values of results; () where nothing does.

    code = round half up((value * scale + offset) * 2**frac_bits), clipped; value = code * 2**-frac_bits * result_scale.
    classes: names of the results, where they are scores.
    """

    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    result_scale: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()


def registers_header(block: Described, *, reasons: Sequence[str] = ()) -> str:
    """Return the numbers of the words, and masks of their fields. reasons: what a kernel's codes mean."""
    lines = [f"/* Words of {block.name}, {_NOTE}", "#ifndef GW_REGISTERS_H", "#define GW_REGISTERS_H", ""]
    known = next((register for register in block.registers if register.name == "ID"), None)
    if known is not None:
        lines.append(f"#define {known.prefix or 'GW'}_MAGIC {known.reset:#010x}u /* what {known.macro} reads */")
    for register in block.registers:
        lines.append(f"#define {register.macro} {register.word}u /* {register.access}. {register.description} */")
        for field in register.fields:
            mask = ((1 << field.bits) - 1) << field.low
            lines.append(f"#define {register.macro}_{field.name} {mask:#x}u /* {field.description} */")
    if reasons:
        listed = ", ".join(f'"{reason}"' for reason in reasons)
        lines.append(f"#define GK_REASONS {{ {listed} }} /* of STATUS' CODE */")
    return "\n".join([*lines, "", "#endif", ""])


def design_header(block: Described) -> str:
    """Return the declaration of the design."""
    guard = f"{block.name.upper()}_H"
    return (
        f"/* The design {block.name} for gw_open, {_NOTE}\n#ifndef {guard}\n#define {guard}\n\n"
        f'#include "gw.h"\n\n#ifdef __cplusplus\nextern "C"\n#else\nextern\n#endif\nconst gw_design {block.name};\n\n'
        "#endif\n"
    )


def design_source(block: Described, frames: tuple[Frame, Frame], units: Units, x: Ints, y: Ints) -> str:
    """Return the definition of the design. frames: of vectors and results; x, y: codes of stored ones, (n, codes)."""
    name, lines = block.name, [f"/* The design {block.name}, {_NOTE}", f'#include "{block.name}.h"', ""]
    tables = {"x_scale": units.scale, "x_offset": units.offset, "y_scale": units.result_scale}
    lines += [
        f"static const double {key}[{len(values)}] = {{\n{_rows([repr(float(value)) for value in values])}}};"
        for key, values in tables.items()
        if values
    ]
    for key, codes in (("test_x", x), ("test_y", y)):
        rows = _rows([f"INT64_C({value})" if abs(value) >= 1 << 31 else str(value) for value in codes.ravel().tolist()])
        lines.append(f"static const int64_t {key}[{codes.size}] = {{\n{rows}}};")
    high, low = (int(block.program_hash[at : at + 8], 16) for at in (0, 8))
    lines += [
        "",
        f"const gw_design {name} = {{",
        f'    "{name}", {high:#010x}u, {low:#010x}u,',
        *(f"    {_frame(frame)}," for frame in frames),
        f"    {', '.join(key if values else 'NULL' for key, values in tables.items())},",
        f"    {len(x)}u, test_x, test_y,",
        "};",
    ]
    return "\n".join([*lines, ""])


def _frame(frame: Frame) -> str:
    sizes = (frame.elements, frame.beats, frame.width_bits, int(frame.signed))
    return f"{{{', '.join(f'{size}u' for size in sizes)}, {frame.frac_bits}, {frame.beat_bits}u}}"


def _rows(values: Sequence[str]) -> str:
    """Return the lines of a table."""
    return "".join(f"    {', '.join(values[i : i + 12])},\n" for i in range(0, len(values), 12))
