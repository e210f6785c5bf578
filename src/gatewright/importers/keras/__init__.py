"""Keras 2 and 3, QKeras, HGQ and HGQ2 model files in, a Graph out; needs h5py only."""

from gatewright.importers.keras.load import load_keras

__all__ = ["load_keras"]
