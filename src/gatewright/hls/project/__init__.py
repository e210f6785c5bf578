"""An hls4ml configuration and its model in; what hls4ml's types lose, layer by layer, and what to set instead out."""

from __future__ import annotations

from gatewright.hls.project.bound import bounds
from gatewright.hls.project.configuration import Configuration, configuration_text, read_configuration
from gatewright.hls.project.judge import Judged, LayerJudged, Verdict, judge
from gatewright.hls.project.network import Confirmed, HlsLayerGraph, ReadLayer, ask_hls4ml, confirm
from gatewright.hls.project.suggest import Suggestion, suggest
from gatewright.hls.project.table import judged_table, record, suggested_table

__all__ = [
    "Configuration",
    "Confirmed",
    "HlsLayerGraph",
    "Judged",
    "LayerJudged",
    "ReadLayer",
    "Suggestion",
    "Verdict",
    "ask_hls4ml",
    "bounds",
    "configuration_text",
    "confirm",
    "judge",
    "judged_table",
    "read_configuration",
    "record",
    "suggest",
    "suggested_table",
]
