"""Search of teacher, student and compression settings within a chip's budget: Optuna asks, our own flow answers."""

from gatewright.search.drive import SearchResult, pick_point, run_search

__all__ = ["SearchResult", "pick_point", "run_search"]
