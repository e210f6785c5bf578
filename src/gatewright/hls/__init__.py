"""The same integers through vendors' HLS tools: a Program in, an hls4ml project that was found equal to it out.

Nothing here imports hls4ml before a project is written.
"""

from gatewright.hls.compare import INCLUDES, Compared, build, compare
from gatewright.hls.layers import Backend, HlsLayer, HlsNetwork, HlsType, Io, Refusal, Strategy
from gatewright.hls.translate import translate
from gatewright.hls.write import HlsProject, Settings, write_project

__all__ = [
    "INCLUDES",
    "Backend",
    "Compared",
    "HlsLayer",
    "HlsNetwork",
    "HlsProject",
    "HlsType",
    "Io",
    "Refusal",
    "Settings",
    "Strategy",
    "build",
    "compare",
    "translate",
    "write_project",
]
