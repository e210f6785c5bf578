"""Pins: a board's ports in, constraint files in each family's own format out."""
