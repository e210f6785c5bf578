"""Names that moved from gatewright.graph to gatewright.export: scripts that import them from here go on working."""

import pytest

from gatewright import export, graph


@pytest.mark.parametrize(
    "name", ["Calibration", "Exported", "calibrate", "check_graph_export", "export_graph", "profile"]
)
def test_a_moved_name_is_found_where_it_was(name):
    assert getattr(graph, name) is getattr(export, name)


def test_a_name_that_never_was_is_an_error():
    with pytest.raises(AttributeError, match=r"'gatewright\.graph' has no attribute 'nothing'; it has Graph, check"):
        graph.nothing  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
