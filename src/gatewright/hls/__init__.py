"""The same integers through vendors' HLS tools: a Program in, an hls4ml project that was found equal to it out.

Nothing here imports hls4ml before a project is written.
"""

from gatewright.hls.compare import Compared, compare
from gatewright.hls.layers import Backend, HlsLayer, HlsNetwork, HlsType, Refusal
from gatewright.hls.translate import translate
from gatewright.hls.write import HlsProject, Settings, write_project

__all__ = [
    "Backend",
    "Compared",
    "HlsLayer",
    "HlsNetwork",
    "HlsProject",
    "HlsType",
    "Refusal",
    "Settings",
    "compare",
    "translate",
    "write_project",
]
