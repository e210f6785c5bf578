"""A kernel with vectors and units in; the folder that is handed to whoever links it to a platform out."""

from __future__ import annotations

from typing import Any

from gatewright.instrument.bundle import described_record
from gatewright.instrument.header import Units
from gatewright.instrument.kernel.description import CODES, MAGIC, Kernel


def kernel_record(kernel: Kernel, units: Units) -> dict[str, Any]:
    """Return the description for the Python client, JSON-able."""
    return described_record(kernel, kernel.x, kernel.y, units, magic=MAGIC) | {"codes": list(CODES)}
