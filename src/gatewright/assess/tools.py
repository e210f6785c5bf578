"""What is installed in, the RISC-V compiler and the processor's Verilog out; or all that is missing, in one error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatewright.errors import MissingToolError
from gatewright.sim.toolchain import FindPackage, Which, find_compiler, find_package, find_verilator

COMPILERS = ("riscv64-unknown-elf-", "riscv32-unknown-elf-", "riscv-none-elf-")
"""In front of gcc, objcopy and nm: every one of them builds for 32 bits too."""
_PROGRAMS = ("gcc", "objcopy", "nm")
_PACKAGE, _PROCESSOR = "pythondata_cpu_picorv32", "picorv32.v"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiscV:
    """A cross compiler: its programs."""

    gcc: str
    objcopy: str
    nm: str


def find_riscv(*, which: Which = shutil.which) -> RiscV:
    """Return the RISC-V compiler on the PATH. Raises MissingToolError where there is none that is whole."""
    for prefix in COMPILERS:
        found = [which(f"{prefix}{name}") for name in _PROGRAMS]
        gcc, objcopy, nm = found
        if gcc and objcopy and nm:
            return RiscV(gcc=gcc, objcopy=objcopy, nm=nm)
    raise MissingToolError(
        f"the firmware needs a RISC-V compiler, {COMPILERS[0]}gcc with its binutils, and none is on the PATH; "
        "apt install gcc-riscv64-unknown-elf (40 MB; 210 MB on the disk)"
    )


def find_processor(*, package: FindPackage = find_package) -> Path:
    """Return the Verilog file of PicoRV32. Raises MissingToolError where its package is not installed."""
    folder = package(_PACKAGE)
    if folder is not None and (folder / "verilog" / _PROCESSOR).is_file():
        return folder / "verilog" / _PROCESSOR
    raise MissingToolError(
        "the system needs the processor PicoRV32 of the package pythondata-cpu-picorv32, which is not installed; "
        "pip install 'gatewright[soc]'"
    )


def check_tools(*, which: Which = shutil.which, package: FindPackage = find_package) -> None:
    """Raise MissingToolError with all that building and simulating the system lacks."""
    missing: list[str] = []
    tries: tuple[Callable[[], object], ...] = (
        lambda: find_riscv(which=which),
        lambda: find_processor(package=package),
        lambda: find_verilator(package=package, which=which),
        lambda: find_compiler(package=package, which=which),
    )
    for look in tries:
        try:
            look()
        except MissingToolError as error:
            missing.append(str(error))
    if missing:
        raise MissingToolError("assess needs what is not installed:" + "".join(f"\n  {text}" for text in missing))
