"""A folder with the firmware's sources in, the RAM's content as a file of hexadecimal words out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatewright.assess.tools import find_riscv
from gatewright.errors import ToolError
from gatewright.tools import run_tool, write_atomic

HEX = "firmware.hex"
FLAGS = (
    "-march=rv32im",
    "-mabi=ilp32",
    "-O2",
    "-std=c99",
    "-ffreestanding",
    "-ffunction-sections",
    "-fno-tree-loop-distribute-patterns",  # memcpy must not become a call of itself
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-DGW_MMIO",
)
LINK = ("-nostdlib", "-static", "-Wl,--gc-sections", "-Wl,-T,soc.ld")
_SMALLEST_RAM = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """A built program. bytes: of the RAM that it fills; ram_words: the RAM that it needs, a power of two."""

    hex_file: Path
    compiler: str
    bytes: int
    ram_words: int


def build_firmware(folder: Path) -> Firmware:
    """Compile the sources in `folder` there, without any library but the compiler's own.

    Raises MissingToolError without a RISC-V compiler, ToolError where it fails.
    """
    tools = find_riscv()
    sources = ["start.S", *sorted(path.name for path in folder.glob("*.c"))]
    argv = [tools.gcc, *FLAGS, *LINK, *sources, "-lgcc", "-o", "firmware.elf"]
    run_tool(argv, cwd=folder, log=folder / "gcc.log")
    run_tool([tools.objcopy, "-O", "binary", "firmware.elf", "firmware.bin"], cwd=folder, log=folder / "objcopy.log")
    symbols = run_tool([tools.nm, "firmware.elf"], cwd=folder, log=folder / "nm.log").stdout
    ends = [line.split()[0] for line in symbols.splitlines() if line.endswith(" _stack_top")]
    if len(ends) != 1:
        raise ToolError(f"the firmware must have one symbol _stack_top, not {len(ends)}; see {folder / 'nm.log'}")
    image = (folder / "firmware.bin").read_bytes()
    words = np.frombuffer(image + bytes(-len(image) % 4), dtype="<u4")
    write_atomic(folder / HEX, "".join(f"{word:08x}\n" for word in words.tolist()))
    needed = max(_SMALLEST_RAM, (int(ends[0], 16) + 3) // 4)
    version = run_tool([tools.gcc, "-dumpfullversion"], cwd=folder, log=folder / "version.log").stdout.strip()
    return Firmware(
        hex_file=folder / HEX,
        compiler=f"{Path(tools.gcc).name} {version}",
        bytes=len(image),
        ram_words=1 << (needed - 1).bit_length(),
    )
