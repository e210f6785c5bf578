"""Data: sources, splits, scaling and physics pulse generators. Config in, Dataset out."""

from gatewright.data.conditioning import condition
from gatewright.data.dataset import Dataset, input_format
from gatewright.data.load import dataset_from_arrays, load_dataset

__all__ = ["Dataset", "condition", "dataset_from_arrays", "input_format", "load_dataset"]
