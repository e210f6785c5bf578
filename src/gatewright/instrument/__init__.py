"""A compiled core as an instrument on a bus: its registers and FIFOs, and the clients that read and write them."""
