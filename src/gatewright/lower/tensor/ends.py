"""What enters and leaves a core on streams: the beats of its input, and the channels between and behind its units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from gatewright.errors import LowerError
from gatewright.ir.op_moves import Reshape
from gatewright.lower.build.facts import Facts
from gatewright.lower.build.part import format_of
from gatewright.lower.dataflow import Channel, Dataflow, Unit
from gatewright.lower.stream import Lane, Port, Stream
from gatewright.lower.target import Target
from gatewright.lower.tensor.beats import refused
from gatewright.lower.tensor.regrouping import Key


def entering(facts: Facts, pixels: int) -> Port:
    """Return the port of the input. pixels: positions of a beat. Raises LowerError where they do not fit."""
    given = facts.program.input
    if len(given.shape) > 3:
        raise refused(given, f"of shape {given.shape}")
    image = _image(facts)
    if len(image) == 1:
        stream = Stream.whole(given.shape)
    else:
        if prod(image[:-1]) % pixels:
            raise LowerError(
                f"hardware.pixels_per_beat must divide the {prod(image[:-1])} positions of the input {image}, not "
                f"be {pixels}"
            )
        stream = Stream.in_order(given.shape, pixels * image[-1])
    lane = Lane(given.format.lo, given.format.hi, 0)
    return Port.full(given.name, stream, [lane] * stream.per_beat)


def _image(facts: Facts) -> tuple[int, ...]:
    """Return the shape as which the input is read: a vector's may be that of what it is reshaped to at once."""
    given = facts.program.input
    readers = [facts.program.op(name) for name in facts.readers[given.name]]
    if len(given.shape) == 1 and len(readers) == 1 and isinstance(readers[0], Reshape):
        return readers[0].shape
    return given.shape


def joined_units(
    facts: Facts,
    units: Sequence[Unit],
    ports: Mapping[str, Port],
    makers: Mapping[Key, str | None],
    target: Target,
    checked: int,
) -> Dataflow:
    """Return units joined by channels. ports: by what each value is carried; makers: the unit that gives each port."""
    program, result = facts.program, ports[facts.program.output]
    units = _read(units, result)
    if not units:
        raise LowerError(f"{program.name!r} computes nothing: its result is its input in another shape")
    channels = [
        Channel(name=port.value, producer=makers[port.key], consumer=unit.name, port=port, depth=1)
        for unit in units
        for port in unit.takes
    ]
    leaving = Channel(name=result.value, producer=makers[result.key], consumer=None, port=result, depth=1)
    return Dataflow(
        program=program,
        units=units,
        channels=(*channels, leaving),
        source=ports[program.input.name],
        result=result,
        result_format=format_of(result.lanes, facts.ranges[program.output].frac_bits),
        target=target,
        checked=checked,
    )


def _read(units: Sequence[Unit], result: Port) -> tuple[Unit, ...]:
    """Return the units that something reads: beats may be regrouped for readers that then took narrower ones."""
    keys, kept = {result.key}, list[Unit]()
    for unit in reversed(units):
        if any(port.key in keys for port in unit.gives):
            kept.append(unit)
            keys |= {port.key for port in unit.takes}
    return tuple(reversed(kept))
