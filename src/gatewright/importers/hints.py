"""A name that is not known and the names that are in, a hint out: the likely slip of the pen, never another meaning."""

from __future__ import annotations

from difflib import get_close_matches

_SLIP = 0.85  # of the letters agree: 'Convv' and 'Conv', but not 'Einsum' and 'Minimum'


def misspelt(name: str, known: list[str]) -> str:
    """Return " Did you mean 'x'?" where `name` is a known name but for a letter or two, else the sorted known names."""
    by_letters = {each.lower(): each for each in known}  # capitals are slips of the pen as well
    hits = get_close_matches(name.lower(), list(by_letters), n=1, cutoff=_SLIP)
    return f" Did you mean {by_letters[hits[0]]!r}?" if hits else f" Known: {', '.join(sorted(known))}."
