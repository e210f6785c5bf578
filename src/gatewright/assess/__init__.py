"""A block in, what it does behind a processor out: a system on a chip that is built, simulated and measured."""
