"""A design that fetches its own vectors: control words, AXI4 masters, and what XRT and Vivado ask for."""
