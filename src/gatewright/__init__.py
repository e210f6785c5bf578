"""gatewright: labelled data and a chip's budget in, a verified FPGA design out."""

__version__ = "0.1.0"
