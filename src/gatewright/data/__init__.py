"""Data: sources, splits, scaling and physics pulse generators. Config in, Dataset out."""

from gatewright.data.conditioning import condition
from gatewright.data.dataset import Dataset, input_format
from gatewright.data.load import load_dataset

__all__ = ["Dataset", "condition", "input_format", "load_dataset"]
