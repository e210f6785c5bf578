"""Export: a quantized Graph in, an integer Program out, proved equal; and what calibration and profiles need."""

from gatewright.export.calibrate import Calibration, calibrate
from gatewright.export.profile import differences, output_difference, profile
from gatewright.export.program import Exported, export_graph
from gatewright.export.proof import check_graph_export, compare

__all__ = [
    "Calibration",
    "Exported",
    "calibrate",
    "check_graph_export",
    "compare",
    "differences",
    "export_graph",
    "output_difference",
    "profile",
]
