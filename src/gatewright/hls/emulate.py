"""A written project's weight headers in; headers of the same numbers and types, which a compiler reads quickly, out."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

_WEIGHTS = re.compile(
    r"^(?:static )?(?:const )?(?P<type>\w+) (?P<name>\w+)\[(?P<size>\d+)\] = \{(?P<values>[^{}]*)\};", re.MULTILINE
)

_LOOP = """static const double {name}_numbers[{size}] = {{{values}}};
static {type} {name}[{size}];
static const bool {name}_filled = [] {{
    for (unsigned i = 0; i < {size}; i++)
        {name}[i] = {type}({name}_numbers[i]);
    return true;
}}();"""


def in_a_loop(header: str) -> str:
    """Return a weight header whose array is filled in a loop, by the same constructor from the same numbers.

    A C++ compiler writes out the constructor of each element of an initializer: a minute for 6,000 weights.
    """
    return _WEIGHTS.sub(lambda found: _LOOP.format(**found.groupdict()), header)


def copy_quick(project: Path, bench: str, firmware: str, out: Path) -> Path:
    """Copy what is compiled of a project to `out`, the weight headers filled in loops; return the one file to compile.

    bench, firmware: the two sources, which include the same long headers.
    """
    shutil.copytree(project / "firmware", out / "firmware")
    for source in project.glob("*.cpp"):
        shutil.copy(source, out / source.name)
    for header in (out / "firmware" / "weights").glob("*.h"):
        header.write_text(in_a_loop(header.read_text()))
    whole = out / "emulation.cpp"
    whole.write_text(f'#include "{bench}"\n#include "{firmware}"\n')
    return whole
