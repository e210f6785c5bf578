"""An endless stream of ADC samples in, the windows that a network reads out: the meaning of the unit in front of it.

The steps, in order: where windows begin (`starts`), baseline, subsample, the network's format:
    value = sample - baseline, baseline = floor((sum of the window's first B samples + B / 2) / B), or 0
    decimate: each group's first value; average: floor(its mean)
    code = clip(floor(value * 2**frac_bits + 1/2), lo, hi)
All integers. The hardware (rtl/leaf/gw_capture.v) gives the same codes in the same order, whatever stalls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewright.capture.starts import Edge, Every, Starts, starts
from gatewright.errors import FormatError
from gatewright.fixedpoint import Fixed, Ints

MOST_SAMPLES = 1 << 16
"""Of a window: what one block RAM or a few hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """The unit in front of a network: ADC samples in, windows of its input codes out.

    samples: the ADC's format, whole numbers. rule: where windows begin. length: samples of a window, not subsampled.
    baseline: how many of them, the first ones, are averaged and subtracted; 0: none. factor, average: of the
    subsampling. codes: the network's input format. depth: samples that the ring holds, a power of two.
    Raises FormatError for what no hardware is built for; it says what to change.
    """

    samples: Fixed
    rule: Starts
    length: int
    codes: Fixed
    baseline: int = 0
    factor: int = 1
    average: bool = False
    depth: int = 0

    def __post_init__(self) -> None:
        self._check_window()
        if self.samples.frac_bits != 0 or self.samples.width_bits > 24:
            raise FormatError(
                f"frontend.adc_format must be whole numbers of at most 24 bits, not {self.samples}; "
                "e.g. ufixed<12,12> for an ADC of 12 bits"
            )
        if not -8 <= self.codes.frac_bits <= 16 or self.codes.width_bits > 32:
            raise FormatError(
                f"data.input_format must have -8 to 16 fractional bits and at most 32 bits behind a [frontend], not "
                f"{self.codes}"
            )
        if self.baseline and not (_power(self.baseline) and self.baseline <= self.length):
            raise FormatError(
                f"data.baseline.samples must be a power of two and at most the {self.length} samples of the window, "
                f"not {self.baseline}"
            )
        if not 1 <= self.factor <= self.length or (self.average and not _power(self.factor)):
            raise FormatError(
                f"data.subsample.factor must be 1 to {self.length}, and a power of two to average on the chip, not "
                f'{self.factor}; take the nearest power, or mode = "decimate"'
            )
        if self.depth == 0:
            object.__setattr__(self, "depth", 1 << (2 * self.length + 7).bit_length())
        if not _power(self.depth) or self.depth < self.least_depth:
            raise FormatError(
                f"frontend.buffer must be a power of two from {1 << (self.least_depth - 1).bit_length()} on for "
                f"windows of {self.length} samples, not {self.depth}; 0 takes twice the window"
            )

    def _check_window(self) -> None:
        rule = self.rule
        if not 1 <= self.length <= MOST_SAMPLES:
            raise FormatError(f"data.window.length must be 1 to {MOST_SAMPLES} samples, not {self.length}")
        if not isinstance(rule, Edge):
            return
        if rule.pretrigger >= self.length:
            raise FormatError(
                f"data.trigger.pretrigger must be less than the {self.length} samples of data.window.length, so that "
                f"the edge lies in the window, not {rule.pretrigger}"
            )
        ends = (self.samples.lo, self.samples.hi)
        if not (ends[0] < rule.threshold <= ends[1] and ends[0] <= rule.rearm <= ends[1]):
            raise FormatError(
                f"data.trigger.threshold and its hysteresis must lie within the ADC's {ends[0]} .. {ends[1]}, not "
                f"{rule.threshold} and {rule.rearm}"
            )

    @property
    def elements(self) -> int:
        """Codes of a window, as the network reads it."""
        return self.length // self.factor if self.average else -(-self.length // self.factor)

    @property
    def read(self) -> int:
        """Samples of a window that are read: behind the last one needed none is."""
        return self.elements * self.factor if self.average else (self.elements - 1) * self.factor + 1

    @property
    def needed(self) -> int:
        """Samples of a window, the first ones, without which it is none."""
        return max(self.read, self.baseline)

    @property
    def cycles(self) -> int:
        """Clock cycles that the unit takes for a window."""
        return self.baseline + self.read

    @property
    def least_distance(self) -> int:
        """Samples from the start of a window to that of the next, at least."""
        match self.rule:
            case Edge():
                return self.length - self.rule.pretrigger + self.rule.holdoff
            case Every():
                return self.rule.stride

    @property
    def least_depth(self) -> int:
        """Samples that the ring must hold so that no window loses its first ones, and none waits for ever."""
        return self.length + 8

    def starts(self, samples: Ints) -> Ints:
        """Return where the windows begin in a stream: (samples,) -> (windows,)."""
        return starts(samples, self.rule, self.length, self.needed)

    def samples_per_cycle(self, interval_cycles: int) -> float:
        """Return the greatest rate at which no sample ever waits, in samples per cycle, at most 1.

        interval_cycles: of the network, from one window to the next.
        """
        return min(1.0, self.least_distance / max(self.cycles, interval_cycles))


def capture(samples: Ints, unit: Capture) -> Ints:
    """Return the windows in a stream, from its reset on: (samples,) codes of the ADC -> (windows, elements) codes.

    A window is there as soon as the last of its samples that is read has come.

    Raises FormatError for samples outside the ADC's format.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.dtype.kind not in "iu":
        raise FormatError(f"a stream must be one row of integers, not {samples.dtype} of shape {samples.shape}")
    if samples.size and (samples.min() < unit.samples.lo or samples.max() > unit.samples.hi):
        raise FormatError(
            f"samples of an ADC of {unit.samples} must lie in {unit.samples.lo} .. {unit.samples.hi}, not "
            f"{samples.min()} .. {samples.max()}; set frontend.adc_format"
        )
    samples = samples.astype(np.int64)
    values = samples[unit.starts(samples)[:, None] + np.arange(unit.needed)]
    if unit.baseline:
        values = values - baseline(values, unit.baseline)[:, None]
    if unit.average:
        groups = values[:, : unit.read].reshape(len(values), unit.elements, unit.factor)
        values = groups.sum(axis=2) // unit.factor
    else:
        values = values[:, : unit.read : unit.factor]
    shift = unit.codes.frac_bits
    codes = values << shift if shift >= 0 else (values + (1 << (-shift - 1))) >> -shift
    return np.clip(codes, unit.codes.lo, unit.codes.hi)


def baseline(values: Ints, count: int) -> Ints:
    """Return each row's mean of its first `count` values, ties upwards: (n, samples) -> (n,)."""
    return (values[:, :count].sum(axis=1) + count // 2) // count


def _power(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0
