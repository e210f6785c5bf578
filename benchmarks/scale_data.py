"""Table `scale_data`: CPU seconds and peak memory of `gatewright data` on large files, beside an older checkout's.

The files hold invented random samples. GATEWRIGHT_BENCH_BEFORE names the older checkout, which has an environment of
its own in .venv; without it only this tree is measured.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tables import BUILD, ROOT, publish
from gatewright.errors import GatewrightError

VARIABLE = "GATEWRIGHT_BENCH_BEFORE"
FOLDER = BUILD / "scale_data"
COLUMNS = 16
_MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds = used.ru_utime + used.ru_stime
print(json.dumps({"rc": done.returncode, "s": seconds, "MB": used.ru_maxrss / 1024, "said": done.stderr[-2000:]}))
"""
"""A small process of its own, since a new one counts the memory of the one that starts it as its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A file of samples. make: Python text that writes it into the working folder; data: its keys in [data]."""

    name: str
    make: str
    data: str
    before: bool = True


_TABLE = f"""
import numpy as np
rng = np.random.default_rng(1)
def samples(rows, dtype):
    x = rng.standard_normal((rows, {COLUMNS}), dtype=np.float32).astype(dtype)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)
"""
CASES = (
    Case(
        name="NPZ 200 x 4",
        make="""
import numpy as np
x = np.random.default_rng(0).random((200, 4))
np.savez("few.npz", x=x, y=(x[:, 0] > 0.5).astype(np.int64))
""",
        data='source = "few.npz"\ninput_format = "fixed<8,4>"\nscaling = "standard"',
    ),
    Case(
        name="IDX 60,000 x 784",
        make="""
import numpy as np
rng = np.random.default_rng(0)
y = rng.integers(0, 10, 60000, dtype=np.uint8)
x = rng.integers(0, 256, (60000, 28, 28), dtype=np.uint8)
x[rng.random(x.shape) < 0.8] = 0  # as handwriting, mostly background
for name, a, rank in (("images-idx3-ubyte", x, 3), ("labels-idx1-ubyte", y, 1)):
    head = bytes([0, 0, 8, rank]) + b"".join(n.to_bytes(4, "big") for n in a.shape)
    open(name, "wb").write(head + a.tobytes())
""",
        data='source = "images-idx3-ubyte"\nlabels = "labels-idx1-ubyte"\ninput_format = "ufixed<8,8>"',
    ),
    Case(
        name=f"NPZ 10^6 x {COLUMNS} float64",
        make=_TABLE + 'x, y = samples(10**6, np.float64)\nnp.savez("floats.npz", x=x, y=y)',
        data='source = "floats.npz"\ninput_format = "fixed<8,4>"\nscaling = "standard"',
    ),
    Case(
        name=f"CSV 10^6 x {COLUMNS}",
        make=_TABLE
        + f"""
x, y = samples(10**6, np.float32)
with open("table.csv", "w") as file:
    file.write(",".join(f"x{{i}}" for i in range({COLUMNS})) + ",label\\n")
    np.savetxt(file, np.column_stack([x, y]), fmt=["%.5f"] * {COLUMNS} + ["%d"], delimiter=",")
""",
        data='source = "table.csv"\nlabel_column = "label"\ninput_format = "fixed<8,4>"\nscaling = "standard"',
    ),
    Case(
        name=f"NPZ 10^7 x {COLUMNS} float32",
        make=_TABLE + 'x, y = samples(10**7, np.float32)\nnp.savez("many.npz", x=x, y=y)',
        data='source = "many.npz"\ninput_format = "fixed<8,4>"\nscaling = "standard"',
        before=False,
    ),
)


def run() -> None:
    """Carry each file through the stage `data`, by this tree and the older one, and print what they took."""
    older = _older()
    rows: list[dict[str, Any]] = []
    for case in CASES:
        folder = FOLDER / f"case{CASES.index(case)}"
        _made(case, folder)
        if case is CASES[0]:
            _measured(folder, sys.executable, ROOT, "now")
        now, same = _measured(folder, sys.executable, ROOT, "now")
        row: dict[str, Any] = {"file": case.name, "s": now["s"], "MB": round(now["MB"])}
        if older is not None and case.before:
            python = str(older / ".venv" / "bin" / "python")
            if case is CASES[0]:
                _measured(folder, python, older, "before")
            then, other = _measured(folder, python, older, "before")
            row |= {"before s": then["s"], "before MB": round(then["MB"]), "time": now["s"] / then["s"]}
            row |= {"memory": now["MB"] / then["MB"], "checksum": "equal" if same == other else "DIFFERS"}
        rows.append(row)
    notes = [
        "s: CPU seconds of `gatewright data`, user and system; MB: its peak; time, memory: now / before",
        "the first file: what starting takes, with modules that are compiled already",
    ]
    publish("scale_data", "scale_data: reading, splitting and conditioning large files", rows, notes)


def _older() -> Path | None:
    named = os.environ.get(VARIABLE, "")
    if named and not (Path(named) / ".venv" / "bin" / "python").is_file():
        raise GatewrightError(f"{VARIABLE} must name a checkout with an environment in .venv, not {named!r}")
    return Path(named) if named else None


def _made(case: Case, folder: Path) -> None:
    """Write the case's file and its configuration, unless they are there."""
    config = folder / "case.toml"
    if config.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-c", case.make], cwd=folder, check=True)
    config.write_text(f'name = "case"\n[data]\n{case.data}\n')


def _measured(folder: Path, python: str, tree: Path, word: str) -> tuple[dict[str, Any], str]:
    """Return what the stage took in a fresh run directory, and the checksum of what it made."""
    out = folder / word
    shutil.rmtree(out, ignore_errors=True)
    words = [python, "-m", "gatewright", "data", "case.toml", "--out", str(out)]
    env = os.environ | {"PYTHONPATH": str(tree / "src"), "PYTHONPYCACHEPREFIX": str(FOLDER / "compiled")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # neither tree compiles its modules while it is measured
    asked = [sys.executable, "-c", _MEASURE, *words]
    done = subprocess.run(asked, cwd=folder, env=env, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    if found["rc"]:
        raise GatewrightError(f"{folder}: {' '.join(words)} failed: {found['said']}")
    return found, json.loads((out / "data" / "dataset.json").read_text())["checksum"]
