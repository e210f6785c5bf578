"""Data: sources, splits, scaling and physics pulse generators. Config in, Dataset out."""

from gatewright.data.conditioning import condition
from gatewright.data.dataset import Dataset, input_format
from gatewright.data.load import dataset_from_arrays, load_dataset
from gatewright.data.weights import class_weights

__all__ = ["Dataset", "class_weights", "condition", "dataset_from_arrays", "input_format", "load_dataset"]
