"""A saved program and the name of a step in, the text of what the compiler has made of it after that step out."""

from __future__ import annotations

from pathlib import Path

from gatewright.chips import part as find_part
from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.flow.codes import checked_codes
from gatewright.ir import Program, load_program
from gatewright.lower.build.support import check_supported
from gatewright.lower.forms import form_names, forms
from gatewright.lower.text import circuit_text, program_text


def lowered_text(
    path: Path,
    *,
    after: str,
    part: str,
    clock_mhz: float,
    max_latency_cycles: int,
    max_latency_ns: float,
    truth_tables: bool,
    codes: Ints | None = None,
) -> str:
    """Return the program or circuit after a step of the parallel compiler; for "list" the names of the steps.

    codes: input integers, (n, elements), on which every step is compared with the program; 256 random ones where they
    are not given. Raises ProgramError for a file that is no program, DataError for codes that do not suit it,
    LowerError for what is no step, for a program without hardware, and where a limit cannot be kept.
    """
    chip = find_part(part)
    names = form_names(family=chip.family, truth_tables=truth_tables)
    if after == "list":
        return "\n".join(names) + "\n"
    if after not in names:
        raise LowerError(
            f"--after must name a step of the compiler, not {after!r}; on {chip.family} they are, in order: "
            f"{', '.join(names)}"
        )
    program = load_program(path)
    check_supported(program)
    steps = forms(
        program,
        checked_codes(codes, program, 256),
        family=chip.family,
        clock_mhz=clock_mhz,
        max_latency_cycles=max_latency_cycles,
        max_latency_ns=max_latency_ns,
        truth_tables=truth_tables,
    )
    form = next(form for form in steps if form.after == after)
    return program_text(form.value) if isinstance(form.value, Program) else circuit_text(form.value, form.schedule)
