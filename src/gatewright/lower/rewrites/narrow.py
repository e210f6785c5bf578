"""Circuit in, equal Circuit out: truncation moves ahead of additions, unread nodes vanish."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from gatewright.lower.circuit.nodes import Add, Circuit, Const, Floor, Node, Ref, operands, reread


def early_floor(circuit: Circuit) -> Circuit:
    """Move a Floor ahead of the Add it alone reads, as far as the Add's low bits just pass through.

    floor((a +- (b << s)) / 2**d) == floor(floor(a / 2**s) +- b) / 2**(d-s)) for s <= d: the low bits of `a` end
    before the adder instead of travelling with its sum through registers.
    """
    reads = Counter(operand for node in circuit.nodes for operand in operands(node))
    kept = roots(circuit)
    nodes: list[Node] = []
    place: list[int] = []

    def put(node: Node) -> int:
        nodes.append(node)
        return len(nodes) - 1

    for node in circuit.nodes:
        moved = reread(node, place.__getitem__)
        inner = circuit.nodes[node.a] if isinstance(node, Floor) else None
        if not (isinstance(node, Floor) and isinstance(moved, Floor) and isinstance(inner, Add)):
            place.append(put(moved))
            continue
        low, high = (inner.a, inner.b) if inner.shift_b else (inner.b, inner.a)
        passing = max(inner.shift_a, inner.shift_b)
        alone = reads[node.a] == 1 and node.a not in kept
        if not alone or passing == 0 or (inner.minus and inner.shift_a) or isinstance(circuit.nodes[low], Const):
            place.append(put(moved))
            continue
        drop = min(passing, node.drop)
        source = circuit.nodes[low]
        floor = put(_floor(node.layer, source, place[low], drop))
        rest = node.drop - drop
        lo, hi = (node.lo, node.hi) if rest == 0 else (inner.lo >> drop, inner.hi >> drop)
        total = Add(
            layer=node.layer, lo=lo, hi=hi, a=floor, b=place[high], shift_a=0, shift_b=passing - drop, minus=inner.minus
        )
        index = put(total)
        place.append(put(replace(moved, a=index, drop=rest)) if rest else index)
    return drop_dead(_moved(circuit, nodes, place))


def _floor(layer: str, source: Node, index: int, drop: int) -> Node:
    lo, hi = source.lo >> drop, source.hi >> drop
    return Const(layer=layer, lo=lo, hi=hi) if lo == hi else Floor(layer=layer, lo=lo, hi=hi, a=index, drop=drop)


def drop_dead(circuit: Circuit) -> Circuit:
    """Remove nodes that cannot reach the output; layer elements that need them become None."""
    keep: set[int] = set()
    stack = [ref.node for ref in circuit.outputs]
    while stack:
        index = stack.pop()
        if index not in keep:
            keep.add(index)
            stack.extend(operands(circuit.nodes[index]))
    if len(keep) == len(circuit.nodes):
        return circuit
    order = sorted(keep)
    place = {old: new for new, old in enumerate(order)}
    nodes = tuple(reread(circuit.nodes[old], place.__getitem__) for old in order)

    def move(ref: Ref | None) -> Ref | None:
        return Ref(place[ref.node], ref.shift) if ref is not None and ref.node in place else None

    return replace(
        circuit,
        nodes=nodes,
        outputs=tuple(Ref(place[ref.node], ref.shift) for ref in circuit.outputs),
        layer_values=tuple((layer, tuple(map(move, refs))) for layer, refs in circuit.layer_values),
    )


def _moved(circuit: Circuit, nodes: list[Node], place: list[int]) -> Circuit:
    def move(ref: Ref | None) -> Ref | None:
        return None if ref is None else Ref(place[ref.node], ref.shift)

    return replace(
        circuit,
        nodes=tuple(nodes),
        outputs=tuple(Ref(place[ref.node], ref.shift) for ref in circuit.outputs),
        layer_values=tuple((layer, tuple(map(move, refs))) for layer, refs in circuit.layer_values),
    )


def roots(circuit: Circuit) -> set[int]:
    """Return the nodes that must stay: outputs and layers' elements."""
    refs = [ref for _, refs in circuit.layer_values for ref in refs if ref is not None]
    return {ref.node for ref in (*circuit.outputs, *refs)}
