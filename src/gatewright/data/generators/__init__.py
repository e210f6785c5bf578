"""Physics pulse generators: a number of pulses and a seed in, ADC codes with true labels out."""

from gatewright.data.generators.clyc import clyc
from gatewright.data.generators.cosmic import cosmic

__all__ = ["clyc", "cosmic"]
