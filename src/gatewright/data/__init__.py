"""Data: sources, splits, scaling and physics pulse generators. Config in, Dataset out."""

from gatewright.data.conditioning import condition
from gatewright.data.dataset import Dataset, InputFormat
from gatewright.data.load import load_dataset

__all__ = ["Dataset", "InputFormat", "condition", "load_dataset"]
