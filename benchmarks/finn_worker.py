"""Child process that writes FINN's sliding windows with FINN's Python: `finn_worker.py request.json answer.json`.

It runs with an interpreter that has finn-plus and its few imports; it imports nothing of ours. Of an interpreter that
has the files of finn-plus alone (`pip install --no-deps`) it names those.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def library() -> Path:
    """Return the folder of FINN's SystemVerilog, finn-rtllib."""
    spec = find_spec("finn")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return next(Path(place) / "finn-rtllib" for place in places if (Path(place) / "finn-rtllib").is_dir())


def window(request: dict[str, Any], out: Path) -> dict[str, Any]:
    """Write a window of 3 x 3 pixels of 8 bits that leaves whole, in every cycle; return its sources and estimate."""
    helper = import_module("onnx.helper")
    module: Any = import_module("finn.custom_op.fpgadataflow.rtl.convolutioninputgenerator_rtl")
    module.get_settings = lambda: SimpleNamespace(finn_rtllib=str(library()))
    channels, columns = request["channels"], request["columns"]
    node = helper.make_node(
        "ConvolutionInputGenerator_rtl",
        ["i"],
        ["o"],
        domain="finn.custom_op.fpgadataflow.rtl",
        name=request["top"],
        ConvKernelDim=[3, 3],
        IFMChannels=channels,
        IFMDim=[columns, columns],
        OFMDim=[columns - 2, columns - 2],
        SIMD=channels,
        Stride=[1, 1],
        Dilation=[1, 1],
        inputDataType="INT8",
        outputDataType="INT8",
        depthwise=0,
        parallel_window=1,
        ram_style="auto",
    )
    made = module.ConvolutionInputGenerator_rtl(node)
    out.mkdir(parents=True, exist_ok=True)
    made.set_nodeattr("code_gen_dir_ipgen", str(out))
    made.generate_hdl(None, "xc7z020clg400-1", 10)
    return {"sources": made.get_rtl_file_list(abspath=True), "cycles": int(made.get_exp_cycles())}


def products() -> dict[str, Any]:
    """Name the file of the matrix-vector unit for DSP48, which newer libraries do not have."""
    file = library() / "mvu" / "mvu_8sx8u_dsp48.sv"
    if not file.is_file():
        raise FileNotFoundError(f"{file}: finn-plus 1.0.0 has it")
    return {"sources": [str(file)]}


def main() -> None:
    """Read the request, write the answer."""
    request = json.loads(Path(sys.argv[1]).read_text())
    answer = products() if request["task"] == "products" else window(request, Path(request["out"]))
    Path(sys.argv[2]).write_text(json.dumps(answer | {"version": metadata.version("finn-plus")}, indent=2))


if __name__ == "__main__":
    main()
