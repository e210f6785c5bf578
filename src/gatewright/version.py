"""The version, for whatever prints it."""

__version__ = "0.1.0"
