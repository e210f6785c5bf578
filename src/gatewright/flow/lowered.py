"""A saved program and the name of a step in, the text of what the compiler has made of it after that step out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.flow.codes import checked_codes
from gatewright.flow.lowering import choices_of, given_hardware, target_of
from gatewright.ir import Program, load_program
from gatewright.lower.compile import without_windows
from gatewright.lower.forms import form_names, forms
from gatewright.lower.text import circuit_text, program_text


def lowered_text(path: Path, *, after: str, codes: Ints | None = None, **hardware: Any) -> str:
    """Return the program or circuit after a step of the parallel compiler; for "list" the names of the steps.

    codes: input integers, (n, elements), on which every step is compared with the program; 256 random ones where they
    are not given. hardware: settings of the configuration's table of this name. Raises ProgramError for a file that is
    no program, DataError for codes that do not suit it, ConfigError for what is no setting, LowerError for what is no
    step, for a program without hardware, and where a limit cannot be kept.
    """
    config, part = given_hardware(path, hardware)
    target, choices = target_of(config, part), choices_of(config)
    names = form_names(family=target.family, truth_tables=choices.truth_tables)
    if after == "list":
        return "\n".join(names) + "\n"
    if after not in names:
        raise LowerError(
            f"--after must name a step of the compiler, not {after!r}; on {target.family} they are, in order: "
            f"{', '.join(names)}"
        )
    given = load_program(path)
    program, x = without_windows(given, choices), checked_codes(codes, given, 256)
    steps = forms(program, x, target, truth_tables=choices.truth_tables)
    form = next(form for form in steps if form.after == after)
    return program_text(form.value) if isinstance(form.value, Program) else circuit_text(form.value, form.schedule)
