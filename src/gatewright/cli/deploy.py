"""The command that makes an instrument of a design: `gatewright deploy`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

TARGETS = ("comblock", "kernel", "alveo", "aws-f2", "pynq-z1", "pynq-z2", "kv260")
_MADE = {"comblock": "block", "aws-f2": "block", "kernel": "kernel", "alveo": "kernel"}


@click.command("deploy")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "target",
    type=click.Choice(TARGETS),
    default="comblock",
    show_default=True,
)
@click.option("--out", type=click.Path(path_type=Path), help="New folder of the bundle [default: RUN/deploy/TARGET]")
@click.option("--depth", type=int, help="comblock, aws-f2: words of each FIFO, a power of two in 16..32768.")
@click.option(
    "--registers", type=int, help="comblock, aws-f2: input, and output, registers for logic of your own [default: 16]"
)
@click.option("--ram", "ram_words", type=int, help="comblock: words of a RAM behind AXI4 for logic of your own.")
@click.option("--data-bits", type=int, help="kernel, alveo, boards: bits of the bus to memory, 32 to 512.")
@click.option("--clock-mhz", type=click.FloatRange(min=1, max=1000), help="boards: [default: the design's].")
def deploy_command(
    run: Path,
    target: str,
    out: Path | None,
    depth: int | None,
    registers: int | None,
    ram_words: int | None,
    data_bits: int | None,
    clock_mhz: float | None,
) -> None:
    """Put the design of RUN, of `run` or `build`, behind AXI, with clients and stored vectors.

    comblock: registers and FIFOs behind AXI4-Lite, clients in C and Python. kernel: fetches vectors from memory and
    writes results there, as Vitis' kernels do; alveo: with hosts for XRT and OpenCL. aws-f2: the block, with what puts
    it into an AWS F2 image, and its host. pynq-z1, pynq-z2, kv260: behind a DMA, with driver, notebook and
    Vivado's script.
    """
    folder = out or run / "deploy" / target
    of_blocks = {"--depth": depth, "--registers": registers, "--ram": ram_words}
    match target:
        case "kernel" | "alveo":
            _refuse(target, {**of_blocks, "--clock-mhz": clock_mhz})
            name, words = _kernel(run, folder, data_bits or 0, card=target == "alveo")
        case "comblock" | "aws-f2":
            f2 = target == "aws-f2"
            _refuse(target, {"--data-bits": data_bits, "--clock-mhz": clock_mhz, "--ram": ram_words if f2 else None})
            count = 16 if registers is None else registers
            name, words = _comblock(run, folder, depth or 0, count, ram_words or 0, f2=f2)
        case _:
            _refuse(target, of_blocks)
            name, words = _overlay(run, folder, target, data_bits or 0, clock_mhz or 0.0)
    click.echo(f"{_MADE.get(target, 'overlay'):<20} {name}")
    click.echo(f"{'a vector':<20} {words}")
    click.echo(f"{'bundle':<20} {folder}")


def _comblock(run: Path, folder: Path, depth: int, registers: int, ram_words: int, *, f2: bool) -> tuple[str, str]:
    """Write a block's bundle; return its name and the size of vectors."""
    from gatewright.flow.instrument import deploy_f2, deploy_run

    if f2:
        block = deploy_f2(run, folder, depth=depth, registers=registers)
    else:
        block = deploy_run(run, folder, depth=depth, registers=registers, ram_words=ram_words)
    assert block.x is not None, "a block with a core has frames"
    assert block.y is not None, "a block with a core has frames"
    return block.name, f"{block.x.words} words in, {block.y.words} out"


def _kernel(run: Path, folder: Path, data_bits: int, *, card: bool) -> tuple[str, str]:
    """Write a kernel's bundle; return its name and the size of vectors."""
    from gatewright.flow.instrument import deploy_kernel

    kernel = deploy_kernel(run, folder, data_bits=data_bits, card=card)
    x, y = kernel.vector_bytes(kernel.x), kernel.vector_bytes(kernel.y)
    return kernel.name, f"{x} bytes in, {y} out, in beats of {kernel.data_bits} bits"


def _overlay(run: Path, folder: Path, board: str, data_bits: int, clock_mhz: float) -> tuple[str, str]:
    """Write the bundle for a PYNQ board; return its name and the size of vectors."""
    from gatewright.flow.instrument import deploy_overlay

    overlay = deploy_overlay(run, folder, board=board, data_bits=data_bits, clock_mhz=clock_mhz)
    x, y = overlay.vector_bytes(overlay.x), overlay.vector_bytes(overlay.y)
    return overlay.name, f"{x} bytes in, {y} out, in beats of {overlay.data_bits} bits"


def _refuse(target: str, given: Mapping[str, float | None]) -> None:
    """Raise UsageError where an option is given that the target has not."""
    for option, value in given.items():
        if value is not None:
            raise click.UsageError(f"{option} is none of --for {target}; leave it out")
