"""Samples in the user's units in, results of a gatewright kernel out, by way of OpenCL.

SPDX-License-Identifier: Apache-2.0. Lies beside gw_client.py and kernel.json; needs NumPy and pyopencl.

    kernel = OpenclKernel("kernel.json", open("net_kernel.xclbin", "rb").read())
    kernel.self_test()
    y = kernel.infer(x)
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from gw_client import BlockError, Coder, from_words, to_words
from numpy.typing import NDArray

cl: Any = import_module("pyopencl")  # it has no types


class OpenclKernel(Coder):
    """A kernel of the design that a bundle's kernel.json describes.

    binary: an .xclbin's bytes, or a text of OpenCL C with a kernel of the same name and arguments; device: the first
    accelerator, else the first device. OpenCL reads none of the kernel's words: a run that fails is seen by its
    results alone, which `self_test` compares. Raises BlockError where there is no device.
    """

    def __init__(self, design: str | Path | dict[str, Any], binary: bytes | str, device: Any = None) -> None:
        super().__init__(design)
        self.device = _device() if device is None else device
        self.context = cl.Context([self.device])
        self.queue = cl.CommandQueue(self.context)
        given = (self.context, binary) if isinstance(binary, str) else (self.context, [self.device], [binary])
        self.kernel = cl.Kernel(cl.Program(*given).build(), self.design["name"])

    def run(self, codes: Any) -> NDArray[np.int64]:
        """Return the results' codes, (n, results), for input codes (n, codes). Raises BlockError for others."""
        given = to_words(self.design["x"], codes)
        words = to_words(self.design["y"], np.zeros((1, self._results()), np.int64)).shape[1]
        found = np.zeros((len(given), words), np.uint32)
        if not len(given):
            return from_words(self.design["y"], found)
        flags = cl.mem_flags
        source = cl.Buffer(self.context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=given)
        target = cl.Buffer(self.context, flags.WRITE_ONLY, found.nbytes)
        self.kernel.set_args(source, target, np.uint32(len(given)))
        cl.enqueue_nd_range_kernel(self.queue, self.kernel, (1,), (1,))  # a kernel with a size of its own wants both
        cl.enqueue_copy(self.queue, found, target)
        self.queue.finish()
        return from_words(self.design["y"], found)

    def _results(self) -> int:
        frame = self.design["y"]
        return int(frame["elements"] * frame["beats"])


def _device() -> Any:
    devices = [device for platform in cl.get_platforms() for device in platform.get_devices()]
    if not devices:
        raise BlockError("OpenCL must have a device, but lists none: is the card's platform installed?")
    cards = [device for device in devices if device.type & cl.device_type.ACCELERATOR]
    return (cards or devices)[0]
