"""Layers that a rule describes in, their nodes out: a model's own layers, whose code is never run.

A rule says that the layer multiplies its input by one stored weight, in einsum notation. It comes with the importer
for layers of networks that are published, or from the caller for his own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewright.errors import ModelError
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call, Weight
from gatewright.importers.keras.einsum import parse_equation, product


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """y = einsum(equation, x, weight). The first label of input and result is the samples'.

    weight: what the file calls it; axes of the weight that are in neither input nor result must have size 1. ignored:
    the layer's settings that say no more than the stored weight does.
    """

    equation: str
    weight: str
    ignored: tuple[str, ...] = ()


# NodeEdgeProjection of interaction networks (JEDI-net; Moreno et al. 2020, arXiv 1908.05318): the stored incidence of
# nodes and edges times the features, in whichever direction it was made.
RULES: dict[str, Rule] = {
    "NodeEdgeProjection": Rule(
        equation="bnc,xen->bec", weight="adjacency_matrix", ignored=("receiving", "node_to_edge")
    )
}


def rules_of(given: Mapping[str, Any]) -> dict[str, Rule]:
    """Return the rules of a caller, by class, with those that are known; ModelError names what is no rule.

    given: class -> Rule, or an object of equation, weight and ignored.
    """
    found = dict(RULES)
    for kind, rule in given.items():
        if isinstance(rule, Rule):
            found[kind] = rule
            continue
        keys = {"equation": str, "weight": str, "ignored": list}
        wrong = not isinstance(rule, dict) or set(rule) - set(keys) or not {"equation", "weight"} <= set(rule)
        if wrong or any(not isinstance(value, keys[key]) for key, value in rule.items()):
            raise ModelError(
                f"the rule of layer {kind!r} must have equation and weight, and may have a list ignored, not {rule!r}"
            )
        ignored = tuple(map(str, rule.get("ignored", ())))
        found[kind] = Rule(equation=rule["equation"], weight=rule["weight"], ignored=ignored)
    return found


def described(call: Call, rule: Rule) -> Value:
    """Add the nodes of a layer by its rule."""
    x = call.one_input()
    call.settings.ignore(*rule.ignored)
    stored = call.take(rule.weight)[rule.weight].astype(np.float64)
    equation = parse_equation(rule.equation, len(x.shape), extra=True)
    if equation is None or stored.ndim != len(equation.kernel):
        raise ModelError(
            f"{call.where}: its rule {rule.equation!r} does not suit an input of shape {x.shape} and a weight "
            f"{rule.weight!r} of shape {stored.shape}; write a product of the two, such as 'bnc,en->bec'"
        )
    sizes = dict(zip(equation.value, x.shape, strict=True))
    used = equation.summed + equation.made
    for label, size in zip(equation.kernel, stored.shape, strict=True):
        if size != sizes.get(label, size if label in used else 1):
            raise ModelError(
                f"{call.where}: axis {label!r} of its rule {rule.equation!r} has {sizes.get(label, 1)} elements, of "
                f"weight {rule.weight!r} {size}"
            )
    order = [equation.kernel.index(label) for label in used]
    rest = [at for at, label in enumerate(equation.kernel) if label not in used]
    values = stored.transpose(*rest, *order).reshape([stored.shape[at] for at in order])
    return product(call, x, equation.without_extra(), Weight.plain(values), None)
