"""Measurements against the peers on the same weights, in the same flow, in the same run: `python -m benchmarks`."""
