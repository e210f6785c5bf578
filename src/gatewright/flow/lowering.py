"""A configuration in; what the compiler is told of chip and architecture, and what a program then costs, out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.errors import ConfigError, LowerError
from gatewright.lower.target import Choices, Room, Streams, Target

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.config import Config
    from gatewright.config.hardware import Hardware
    from gatewright.deploy import Board
    from gatewright.fixedpoint import Ints
    from gatewright.ir import Program
    from gatewright.lower.estimate import Estimate

_STREAMS: dict[str, Streams] = {"parallel": "never", "folded": "never", "stream": "always", "auto": "auto"}
FREE_CLOCK_MHZ = 200.0  # of an estimate, where no clock keeps the limits: the default of hardware.clock_mhz
COST_SAMPLES = 256  # replayed while a network is lowered for its estimate alone


def given_hardware(program: Path, hardware: Mapping[str, Any]) -> tuple[Config, Part]:
    """Return the configuration, and its chip, for a saved program and settings of the table hardware.

    A reuse_factor other than 1 folds layers without architecture = "folded". Raises ConfigError for what is no setting.
    """
    from gatewright.config import parse_config

    folded = {"architecture": "folded"} if hardware.get("reuse_factor", 1) != 1 else {}
    config = parse_config(
        {"name": "program", "data": {"source": str(program)}, "hardware": {**folded, **hardware}},
        where=f"hardware for {program}",
    )
    return config, chip_of(config)[0]


def chip_of(config: Config) -> tuple[Part, Board | None]:
    """Return the part and board of [hardware], once what can be checked of it before any work is right."""
    from gatewright.chips import FAMILIES, part

    if config.hardware.output == "softmax":
        from gatewright.fixedpoint import Fixed
        from gatewright.ir import check_probability_format

        check_probability_format(Fixed.parse(config.hardware.softmax_format))
    chosen = None
    if config.hardware.board:
        from gatewright.deploy import board

        chosen = board(config.hardware.board)
    chip = part(config.hardware.part or (chosen.part if chosen else "XC7A35T"))
    if chosen and chip.name != chosen.part:
        raise ConfigError(
            f"hardware.part {chip.name!r} is not the chip of board {chosen.name!r}, {chosen.part!r}; "
            "leave part out or choose another board"
        )
    if config.hardware.timing == "placed":
        _check_placed(chip)
    without = [family for family in families_of(config, chip) if not FAMILIES[family].hand_mapped]
    if config.hardware.mapping == "cells" and without:
        raise ConfigError(
            f'hardware.mapping "cells" instantiates LUT6_2 and CARRY4, unknown to {", ".join(without)}; set '
            'mapping = "auto", or build for Xilinx chips only: hardware.part and synthesis.families'
        )
    return chip, chosen


def families_of(config: Config, part: Part) -> tuple[str, ...]:
    """Return the families to synthesize for, the part's first."""
    return tuple(dict.fromkeys((part.family, *config.families)))


def _check_placed(part: Part) -> None:
    """Raise ConfigError where a part is not placed and timed here."""
    from gatewright.chips import FAMILIES

    placed = [name for name, row in FAMILIES.items() if row.router and row.router.out_of_context and row.router.timed]
    if part.family not in placed or not part.nextpnr:
        raise ConfigError(
            f'hardware.timing "placed" needs a part that is placed and timed here, of {", ".join(placed)}, not '
            f'{part.name}; choose one, or set timing = "estimated"'
        )


def target_of(config: Config, part: Part) -> Target:
    """Return what is built for: the part's family and blocks, the clock and the limits of [hardware]."""
    return Target(
        family=part.family,
        clock_mhz=config.hardware.clock_mhz,
        room=Room(lut=part.lut, ff=part.ff, dsp=part.dsp, bram=part.bram),
        max_latency_cycles=config.hardware.max_latency_cycles,
        max_latency_ns=config.hardware.max_latency_ns,
    )


def choices_of(config: Config) -> Choices:
    """Return how it is built, as [hardware] says."""
    return Choices(
        reuse=config.hardware.reuse_factor,
        multiplier=config.hardware.multiplier,
        truth_tables=config.hardware.truth_tables == "auto",
        boundaries=config.hardware.boundaries,
        stream=_STREAMS[config.hardware.architecture],
        pixels_per_beat=config.hardware.pixels_per_beat,
        interval=_interval(config.hardware),
        fit=config.hardware.interval == "fit",
        engine=config.hardware.engine,
        engines=config.hardware.engines,
        fifo_depths=config.hardware.fifo_depths,
    )


def _interval(hardware: Hardware) -> int:
    """Return the cycles that a frame may take, 0 where none are told."""
    if hardware.frames_per_second:
        return int(hardware.clock_mhz * 1e6 / hardware.frames_per_second)
    return 0 if hardware.interval == "fit" else hardware.interval


def taken(program: Program, choices: Choices) -> Program:
    """Return a saved program as the stages compile it: sums and products with constants are dense layers.

    An input of several axes that is reshaped at once is a vector. On streams all stays what it is. Raises LowerError
    for ops without hardware.
    """
    from gatewright.lower.build.support import flat_input
    from gatewright.lower.compile import without_windows
    from gatewright.lower.passes.constants import constants_to_dense
    from gatewright.lower.passes.rounding import join_layers
    from gatewright.lower.tensor.compile import streams

    joined = join_layers(program if choices.stream == "always" else flat_input(program))
    if streams(joined, choices):
        return joined
    made = constants_to_dense(joined)
    without_windows(made, choices)
    return made


def lowering_settings(config: Config, part: Part) -> list[dict[str, Any]]:
    """Return what a stage's key must hold where its step lowers programs for this configuration."""
    return [asdict(target_of(config, part)), asdict(choices_of(config))]


def cost_as_built(program: Program, x: Ints, config: Config, part: Part) -> Estimate:
    """Return the estimate of a program's core as the flow would build it. x: input codes to replay, (n, elements).

    The pipeline keeps the limits of latency where it can; a program that cannot is costed at the latency it needs,
    and at FREE_CLOCK_MHZ where the limits were to choose the clock.
    """
    from gatewright.lower.compile import lower
    from gatewright.lower.estimate import estimate

    target, choices = target_of(config, part), choices_of(config)
    x = x[:COST_SAMPLES].reshape(-1, *program.input.shape)
    try:
        return estimate(lower(program, x, target, choices))
    except LowerError:
        if target == target.without_limits():
            raise
    free = replace(target.without_limits(), clock_mhz=target.clock_mhz or FREE_CLOCK_MHZ)
    return estimate(lower(program, x, free, choices))
