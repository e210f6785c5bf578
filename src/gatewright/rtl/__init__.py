"""Hardware: a scheduled Circuit in, Verilog files and what they claim out."""
