"""The designs that benchmark `same` compares: small enough for minutes, and each through other parts of the flow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

TABLES = """
name = "tables"
[data]
source = "sklearn:digits"
input_format = "ufixed<4,5>"
[teacher]
hidden = [32]
epochs = 5
[student]
precision = "tables"
tables = { layers = [300, 200], thresholds = 2 }
epochs = 12
[hardware]
part = "XC7A35T"
clock_mhz = 150.0
[synthesis]
families = ["xc7"]
"""
LEARNED = """
name = "learned"
[data]
source = "sklearn:digits"
input_format = "ufixed<4,5>"
[teacher]
hidden = [32]
epochs = 5
[student]
precision = "learned"
hidden = [12]
epochs = 40
learned = { points = 4 }
[hardware]
part = "LFE5U-25F"
clock_mhz = 50.0
[synthesis]
families = ["ecp5"]
place = false
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A configuration that each tree has, from data to report. path: in the tree. settings: of `--set`."""

    path: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A configuration of this file's, from data to report. text: TOML. settings: of `--set`."""

    text: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A baseline network, written as a program once by the revision. settings: of `gatewright build --set`."""

    network: str
    settings: tuple[str, ...]


Part = Example | Written | Build


def _parallel(clock_mhz: int) -> tuple[str, ...]:
    return ("hardware.part=XC7A100T", f"hardware.clock_mhz={clock_mhz}", 'synthesis.families=["xc7"]')


def _folded(part: str, family: str, multiplier: str, reuse: int) -> tuple[str, ...]:
    return (
        f"hardware.part={part}",
        "hardware.clock_mhz=100",
        "hardware.architecture=folded",
        f"hardware.multiplier={multiplier}",
        f"hardware.reuse_factor={reuse}",
        f'synthesis.families=["{family}"]',
        "synthesis.place=false",
    )


PARTS: dict[str, Part] = {
    "digits": Example(path="examples/digits/digits.toml"),
    # Training differs between processors, and on some the student needs a stage more than the example allows.
    "cosmic": Example(path="examples/cosmic/cosmic.toml", settings=("hardware.max_latency_cycles=14",)),
    "tables": Written(text=TABLES),
    "learned": Written(text=LEARNED),
    "hgq_1572": Build(network="hgq_openml_1572", settings=_parallel(200)),
    "hgq_2571": Build(network="hgq_openml_2571", settings=_parallel(150)),
    "mlp_rand6b": Build(network="mlp_rand6b", settings=_parallel(170)),
    "folded_dsp_xc7": Build(network="hgq_openml_1572", settings=_folded("XC7A35T", "xc7", "dsp", 4)),
    "folded_lut_ecp5": Build(network="hgq_openml_2571", settings=_folded("LFE5U-85F", "ecp5", "lut", 8)),
    "folded_dsp_ecp5": Build(network="mlp_rand6b", settings=_folded("LFE5U-85F", "ecp5", "dsp", 64)),
}


def options(part: Part) -> list[str]:
    """Return the part's settings as words of a command line."""
    return [word for setting in part.settings for word in ("--set", setting)]


def config_text(part: Example | Written, tree: Path) -> str:
    """Return the part's configuration, TOML; `tree`: of which revision an example is."""
    match part:
        case Example(path=path):
            return (tree / path).read_text()
        case Written(text=text):
            return text
        case _:
            assert_never(part)
