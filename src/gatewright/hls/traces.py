"""A written Quartus project on streams in; the same with each layer's record made of that layer's stream out.

hls4ml 1.3.0 writes, for every layer, a record of the result's stream under that layer's name, and reads it before there
is anything in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gatewright.tools import write_atomic

_RECORD = re.compile(r'nnet::save_layer_output<\w+>\(\w+, "(\w+)", [^)]*\);')


def mend_traces(firmware: Path, graph: Any) -> None:
    """Rewrite the records of layers in the project's C++ file."""
    variables = {node.name: node.get_output_variable() for node in graph.get_layers()}

    def record(found: re.Match[str]) -> str:
        variable = variables[found[1]]
        return f'nnet::save_layer_output<{variable.type.name}>({variable.name}, "{found[1]}", {variable.size_cpp()});'

    write_atomic(firmware, _RECORD.sub(record, firmware.read_text()))
