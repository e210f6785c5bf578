"""Lowering: a Program in, a scheduled Circuit of scalar integer operations out."""
