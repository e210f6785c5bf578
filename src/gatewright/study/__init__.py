"""The ensemble study: pruning, quantization and distillation alone, in pairs and together, over seeds.

A configuration in; one table with intervals, paired gains, what they say in words, and a plot out.
"""

from gatewright.study.cells import COMBINATIONS, INGREDIENTS, Combination
from gatewright.study.gains import Summary, summarise
from gatewright.study.run import run_study

__all__ = ["COMBINATIONS", "INGREDIENTS", "Combination", "Summary", "run_study", "summarise"]
