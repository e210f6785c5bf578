"""Rewrites of the program before it becomes a circuit."""
