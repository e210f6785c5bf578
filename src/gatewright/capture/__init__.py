"""Conditioning in front of a network: an endless stream of ADC samples in, windows of input codes out."""

from gatewright.capture.starts import Edge, Every, Starts, edges, first_windows, starts
from gatewright.capture.windows import Capture, capture

__all__ = ["Capture", "Edge", "Every", "Starts", "capture", "edges", "first_windows", "starts"]
