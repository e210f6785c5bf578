"""A network, a chip and a configuration in; estimated cost, and by how much it exceeds the budget, out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gatewright.config import Config
from gatewright.errors import ConfigError
from gatewright.flow.lowering import cost_as_built
from gatewright.flow.stages.output import output_stage

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.data import Dataset
    from gatewright.graph import Graph

Cost = dict[str, float]
"""lut, ff, dsp, bram, latency_cycles, latency_ns, fmax_mhz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The hard budget: the part's, search.budget's and hardware's. A latency of 0 and a score of None have no limit."""

    lut: int
    ff: int
    dsp: int
    bram: int
    latency_cycles: int
    latency_ns: float
    clock_mhz: float
    score: float | None = None

    @staticmethod
    def of(config: Config, part: Part) -> Limits:
        """Return the limits of a configuration on its part. Raises ConfigError without a clock."""
        hardware, budget = config.hardware, config.search.budget
        if not hardware.clock_mhz:
            raise ConfigError("a search needs a clock: hardware.clock_mhz must be above 0, e.g. 200")
        return Limits(
            lut=_least(part.lut, budget.max_lut),
            ff=_least(part.ff, budget.max_ff),
            dsp=_least(part.dsp, budget.max_dsp),
            bram=_least(part.bram, budget.max_bram),
            latency_cycles=hardware.max_latency_cycles,
            latency_ns=hardware.max_latency_ns,
            clock_mhz=hardware.clock_mhz,
            score=budget.min_score,
        )

    def excess(self, cost: Mapping[str, float]) -> dict[str, float]:
        """Return, per limit, how far a cost exceeds it as a share of the limit; at most 0 where it does not.

        cost: lut, ff, ..., fmax_mhz as in Cost; with the validation score, unless there is none yet.
        """
        upper = {"lut": self.lut, "ff": self.ff, "dsp": self.dsp, "bram": self.bram}
        if self.latency_cycles:
            upper["latency_cycles"] = self.latency_cycles
        found = {name: (cost[name] - limit) / max(limit, 1) for name, limit in upper.items()}
        if self.latency_ns:
            found["latency_ns"] = (cost["latency_ns"] - self.latency_ns) / self.latency_ns
        if self.score is not None and "score" in cost:
            found["score"] = (self.score - cost["score"]) / max(abs(self.score), 1e-9)
        found["clock_mhz"] = (self.clock_mhz - cost["fmax_mhz"]) / self.clock_mhz
        return found

    def words(self, name: str) -> str:
        """Return a limit as errors and reports name it."""
        setting = {
            "lut": f"{self.lut:,} LUT (search.budget.max_lut)",
            "ff": f"{self.ff:,} FF (search.budget.max_ff)",
            "dsp": f"{self.dsp:,} DSP (search.budget.max_dsp)",
            "bram": f"{self.bram:,} BRAM (search.budget.max_bram)",
            "latency_cycles": f"{self.latency_cycles} cycles (hardware.max_latency_cycles)",
            "latency_ns": f"{self.latency_ns:g} ns (hardware.max_latency_ns)",
            "clock_mhz": f"{self.clock_mhz:g} MHz (hardware.clock_mhz)",
            "score": f"a validation score of {self.score} (search.budget.min_score)",
        }
        return setting[name]


def feasible(excess: Mapping[str, float]) -> bool:
    """Whether every limit is kept."""
    return all(value <= 0 for value in excess.values())


def cost_of(network: Graph, config: Config, data: Dataset, part: Part) -> Cost:
    """Return the estimate of a network's core as the flow would build it, output stage included.

    The pipeline keeps the latency limit where it can; a network that cannot is costed at the latency it needs.
    """
    from gatewright.export import export_graph

    program = export_graph(network, name=config.name, output=output_stage(config)).program
    found = cost_as_built(program, data.part("train")[0], config, part)
    row = asdict(found)
    return {key: row[key] for key in ("lut", "ff", "dsp", "bram", "latency_cycles", "latency_ns", "fmax_mhz")}


def _least(of_part: int, asked: int | None) -> int:
    return of_part if asked is None else min(of_part, asked)
