"""An einsum of a value and a kernel in, one `Dense` node out, with the moves of axes before and behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call, Weight
from gatewright.importers.keras.dense import matmul

Array = NDArray[Any]
REMEDY = "write a product of the value with the kernel, such as 'abc,cde->abde'"
SPARE = "0123456789"  # labels of the axes that an ellipsis stands for


@dataclass(frozen=True, slots=True)
class Equation:
    """The labels of an equation, without those of samples: of the value, the kernel and the result.

    summed: of value and kernel alone; kept: of value and result; made: of kernel and result.
    """

    value: str
    kernel: str
    result: str
    summed: str
    kept: str
    made: str

    def without_extra(self) -> Equation:
        """Return the equation of a kernel without the axes that are in nothing else, those that are summed first."""
        return replace(self, kernel=self.summed + self.made)


def einsum_dense(call: Call) -> Value:
    """EinsumDense and QEinsumDense: any product that sums over axes of the value and of the kernel."""
    x = call.one_input()
    equation = parse(call, len(x.shape))
    call.settings.only("lora_rank", (None,), None, "merge the adapter into the kernel before saving")
    call.settings.ignore("lora_alpha")
    given = call.settings.take("output_shape")
    sizes = dict(zip(equation.value, x.shape, strict=True))
    ends = given if isinstance(given, list) else [given]
    sizes |= {
        label: size
        for label, size in zip(reversed(equation.result), reversed(ends), strict=False)
        if label in equation.made
    }
    if any(not isinstance(sizes.get(label), int) or sizes[label] < 1 for label in equation.made):
        raise call.settings.refuse("output_shape", given, "its sizes of the kernel's axes must be known")
    axes = call.settings.take("bias_axes", None)
    if axes is None:
        call.settings.ignore("bq_conf", "bias_quantizer")
    stored = call.take("kernel", "bias") if axes is not None else call.take("kernel")
    shape = tuple(sizes[label] for label in equation.kernel)
    kernel = call.quantize_weight("kernel", call.check(stored["kernel"], shape, "kernel"))
    bias = None if axes is None else _bias(call, equation, sizes, str(axes), stored["bias"])
    return call.activate(product(call, x, equation, kernel, bias))


def parse(call: Call, rank: int) -> Equation:
    """Return the labels of the setting `equation` for a value of so many axes; ModelError where it is none of ours."""
    text = call.settings.take("equation")
    found = parse_equation(str(text), rank)
    if found is None:
        raise call.settings.refuse("equation", text, REMEDY)
    return found


def parse_equation(text: str, rank: int, *, extra: bool = False) -> Equation | None:
    """Return the labels of an equation for a value of so many axes, None where it is none of ours.

    extra: the kernel may have axes that are in neither value nor result.
    """
    form = re.fullmatch(r"([a-zA-Z.]+),([a-zA-Z]+)->([a-zA-Z.]+)", text.replace(" ", ""))
    if not form:
        return None
    value, kernel, result = form.groups()
    if "..." in value:
        spare = SPARE[: rank + 1 - len(value.replace("...", ""))]
        value, result = value.replace("...", spare), result.replace("...", spare)
    first, value, result = value[:1], value[1:], result.removeprefix(value[:1])
    labels = (value, kernel, result)
    wrong = (
        len(value) != rank
        or any("." in part or len(set(part)) < len(part) or first in part for part in labels)
        or set(value) & set(kernel) & set(result)
        or set(value) - set(result) - set(kernel)
        or (set(kernel) - set(result) - set(value) and not extra)
        or set(result) - set(value) - set(kernel)
    )
    if wrong:
        return None

    def among(part: str, other: str) -> str:
        return "".join(label for label in part if label in other)

    return Equation(value, kernel, result, among(kernel, value), among(value, result), among(kernel, result))


def product(call: Call, x: Value, equation: Equation, kernel: Weight, bias: Array | None) -> Value:
    """Add the nodes. kernel: as in the equation; bias: one number for each of the kernel's axes that stay, or None."""
    builder, labels = call.builder, equation.value
    order = equation.kept + equation.summed
    x = builder.transpose(x, tuple(labels.index(label) for label in order))
    kept = x.shape[: len(equation.kept)]
    x = builder.reshape(x, (*kept, prod(x.shape[len(kept) :])))
    made = tuple(kernel.values.shape[equation.kernel.index(label)] for label in equation.made)
    axes = tuple(equation.kernel.index(label) for label in equation.summed + equation.made)
    flat = kernel.arranged(lambda array: array.transpose(axes).reshape(-1, prod(made)))
    y = builder.reshape(matmul(call, x, flat, bias), (*kept, *made))
    have = equation.kept + equation.made
    return builder.transpose(y, tuple(have.index(label) for label in equation.result))


def _bias(call: Call, equation: Equation, sizes: dict[str, int], axes: str, stored: Array) -> Array:
    """Return the quantized bias, one number for each of the kernel's axes that stay, row-major."""
    if set(axes) - set(equation.made):
        raise call.settings.refuse("bias_axes", axes, f"axes of the kernel alone are: of {equation.made!r}")
    shown = equation.result[min(equation.result.find(label) for label in axes) :]
    shape = tuple(sizes[label] if label in axes else 1 for label in shown)
    values = call.quantize_weight("bias", call.check(stored, shape, "bias")).values
    values = values.reshape((1,) * (len(equation.result) - values.ndim) + values.shape)
    order = [equation.result.index(label) for label in equation.kept + equation.made]
    full = values.transpose(order).reshape([values.shape[equation.result.index(label)] for label in equation.made])
    return np.broadcast_to(full, tuple(sizes[label] for label in equation.made)).reshape(-1)
