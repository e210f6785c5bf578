"""One line of `layers` in, what it asks for out: a layer's kind, its sizes, stride and padding.

    conv 3x3 8 stride 2        pool 2        average pool 2x1        global average pool        dense 32 norm

`FORMS` is the table of the words; a line that is none of them is a ValueError that says which one is nearest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gatewright.config.section import LAYERS
from gatewright.errors import nearest

Kind = Literal["conv", "depthwise", "max", "average", "global max", "global average", "residual", "flatten", "dense"]
Padding = Literal["same", "valid"]
Sizes = tuple[int, ...]
FLAGS = ("norm",)  # options that have no value
MOST_SIZE = 65_536  # of a kernel's side, a stride, filters, neurons


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a layer is written: its words, what numbers follow, which options, and an example of a line."""

    kind: Kind
    numbers: tuple[Literal["KERNEL", "SIZE", "FILTERS", "LINES", "NEURONS"], ...] = ()
    options: tuple[Literal["stride", "padding", "norm"], ...] = ()
    example: str

    def spelling(self, words: str) -> str:
        """Return the form in words, as errors and the manual show it."""
        given = {"stride": "[stride N]", "padding": "[padding same|valid]", "norm": "[norm]"}
        return " ".join([words, *self.numbers, *(given[option] for option in self.options)])


FORMS: dict[str, Form] = {
    "conv": Form(
        kind="conv", numbers=("KERNEL", "FILTERS"), options=("stride", "padding", "norm"), example="conv 3x3 8 stride 2"
    ),
    "depthwise": Form(
        kind="depthwise", numbers=("KERNEL",), options=("stride", "padding", "norm"), example="depthwise 3x3"
    ),
    "pool": Form(kind="max", numbers=("SIZE",), options=("stride",), example="pool 2"),
    "max pool": Form(kind="max", numbers=("SIZE",), options=("stride",), example="max pool 2"),
    "average pool": Form(kind="average", numbers=("SIZE",), options=("stride",), example="average pool 2x1"),
    "global average pool": Form(kind="global average", example="global average pool"),
    "global max pool": Form(kind="global max", example="global max pool"),
    "residual": Form(kind="residual", numbers=("LINES",), example="residual 2"),
    "flatten": Form(kind="flatten", example="flatten"),
    "dense": Form(kind="dense", numbers=("NEURONS",), options=("norm",), example="dense 32"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerLine:
    """A line of `layers`. size: of a kernel or a pool, a number for all axes or one for each; units: filters, neurons.

    units is 0 for layers without weights, and for a depthwise one, which has as many filters as channels.
    block: how many lines above it are the block whose input a residual adds to their result. norm: whether its sums
    are normalised over batches until formats apply.
    """

    text: str
    kind: Kind
    size: Sizes = ()
    stride: Sizes = ()
    padding: Padding = "same"
    units: int = 0
    block: int = 0
    norm: bool = False

    @property
    def weighted(self) -> bool:
        """Whether the layer has weights."""
        return self.kind in ("conv", "depthwise", "dense")

    @property
    def plain(self) -> bool:
        """Whether the layer is a dense one as `hidden` has them."""
        return self.kind == "dense" and not self.norm


def parse_layer(text: str) -> LayerLine:
    """Return what a line asks for; ValueError with the line, what was expected and the nearest right word."""
    words = text.split()
    name = next((known for known in sorted(FORMS, key=len, reverse=True) if _begins(words, known)), None)
    if name is None:
        raise ValueError(f"layer {text!r}: {_unknown(words)}")
    form, rest = FORMS[name], words[len(name.split()) :]
    wanted = f"write {form.spelling(name)!r}, e.g. {form.example!r}"
    if len(rest) < len(form.numbers):
        raise ValueError(f"layer {text!r}: {form.numbers[len(rest)]} is missing; {wanted}")
    found: dict[str, Sizes] = {}
    for number, word in zip(form.numbers, rest, strict=False):
        found[number] = _sizes(text, number, word, wanted, axes=2 if number in ("KERNEL", "SIZE") else 1)
    options = _options(text, form, rest[len(form.numbers) :], wanted)
    return LayerLine(
        text=text,
        kind=form.kind,
        size=found.get("KERNEL", found.get("SIZE", ())),
        stride=_sizes(text, "stride", options["stride"], wanted, axes=2) if "stride" in options else (),
        padding="valid" if options.get("padding") == "valid" else "same",
        units=found.get("FILTERS", found.get("NEURONS", (0,)))[0],
        block=found.get("LINES", (0,))[0],
        norm="norm" in options,
    )


def _begins(words: list[str], known: str) -> bool:
    parts = known.split()
    return words[: len(parts)] == parts


def _unknown(words: list[str]) -> str:
    """Return what is wrong with words that begin no form."""
    leading = [word for index, word in enumerate(words) if all(w.isalpha() for w in words[: index + 1])]
    name = " ".join(leading) or (words[0] if words else "")
    forms = ", ".join(repr(form.spelling(word)) for word, form in FORMS.items())
    if not name:
        return f"it is empty; write one of {forms}"
    if name.startswith(("batch", "norm")):
        return "a norm is part of the layer whose sums it takes; write it there, e.g. 'conv 3x3 8 norm'"
    hint = nearest(name, list(FORMS))
    if "Did you mean" not in hint and len(leading) > 1:  # "convv padding": the first word alone may be near
        hint = nearest(leading[0], list(FORMS))
    return f"there is no layer {name!r}.{hint if 'Did you mean' in hint else f' Write one of {forms}'}"


def _sizes(text: str, what: str, word: str, wanted: str, *, axes: int) -> Sizes:
    """Return the numbers of `3` or `3x2`."""
    spelt = re.fullmatch(r"\d{1,5}(x\d{1,5})?", word)
    sizes = tuple(map(int, word.split("x"))) if spelt else ()
    if not sizes or len(sizes) > axes or not all(1 <= size <= MOST_SIZE for size in sizes):
        kind = f"a whole number from 1 to {MOST_SIZE:,}" + (" or two as in 3x2" if axes > 1 else "")
        raise ValueError(f"layer {text!r}: {what} must be {kind}, not {word!r}; {wanted}")
    return sizes


def _options(text: str, form: Form, words: list[str], wanted: str) -> dict[str, str]:
    """Return the options that words name, with their values, or none for those of FLAGS."""
    found: dict[str, str] = {}
    while words:
        name, *rest = words
        if name not in form.options:
            known = nearest(name, list(form.options)) if form.options else ""
            raise ValueError(f"layer {text!r}: {name!r} is not expected.{known} {wanted[0].upper()}{wanted[1:]}")
        if name in FLAGS and name not in found:
            found[name], words = "", rest
            continue
        if name in found or not rest:
            why = "is given twice" if name in found else "needs a value"
            raise ValueError(f"layer {text!r}: {name} {why}; {wanted}")
        if name == "padding" and rest[0] not in ("same", "valid"):
            raise ValueError(
                f"layer {text!r}: padding must be 'same' or 'valid', not {rest[0]!r}."
                f"{nearest(rest[0], ['same', 'valid'])}"
            )
        found[name], words = rest[0], rest[1:]
    return found


def _checked(text: str) -> str:
    parse_layer(text)
    return " ".join(text.split())


Layers = Annotated[tuple[Annotated[str, AfterValidator(_checked)], ...], Field(max_length=LAYERS)]
"""The hidden layers of a network, a line each."""


def network_lines(layers: Iterable[str], hidden: Iterable[int]) -> tuple[LayerLine, ...]:
    """Return a network's hidden layers: the lines of `layers`, or if there are none, dense ones of sizes `hidden`."""
    lines = tuple(parse_layer(text) for text in layers)
    return lines or tuple(parse_layer(f"dense {size}") for size in hidden)
