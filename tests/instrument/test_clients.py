"""The clients in C and in Python on the Verilated block: results by ==, and every way in which it can go wrong."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatewright.instrument.bundle import filled, write_bundle
from gatewright.instrument.header import Units
from gatewright.sim.objects import library_objects
from gatewright.sim.toolchain import find_compiler, find_verilator
from gatewright.tools import run_tool
from tests.instrument.blocks import built, vectors
from tests.programs import mlp

pytestmark = [pytest.mark.sim, pytest.mark.slow]

HERE = Path(__file__).parent
PROGRAM = mlp((5, 6, 3), seed=2, output="scores")
X, Y = vectors(PROGRAM, 200)
UNITS = Units(scale=(0.5, 1.0, 2.0, 1.0, 0.25), offset=(0.1, 0.0, -1.0, 0.0, 0.3), result_scale=(1.0, 3.0, 0.5))
IN_FRAC, OUT_FRAC = 4, 9


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle beside which the program `model` lies: the block with both ends of model.cpp."""
    folder = tmp_path_factory.mktemp("bundle")
    made = built(folder, PROGRAM, registers=1, ram_words=64, frac_bits=(IN_FRAC, OUT_FRAC))
    out, work = folder / "bundle", folder / "work"
    write_bundle(made, out, x=X, y=Y, units=UNITS)
    work.mkdir()
    verilator, compiler, client = find_verilator(), find_compiler(), out / "client"
    argv = [verilator.program, "--cc", "--prefix", "Vblock", "--top-module", made.top, "--Mdir", str(work), "-O3"]
    sources = [str(out / "verilog" / name) for name in (out / "verilog" / "files.f").read_text().split()]
    run_tool([*argv, "-Wno-fatal", *sources], cwd=work, log=work / "verilate.log", env=verilator.env)
    strict = ["-Wall", "-Wextra", "-Werror", "-O1", "-ffp-contract=off", "-x", "c++", "-c"]
    for source in (client / "gw.c", client / f"{made.top}.c"):
        run_tool([*compiler, *strict, str(source), "-o", f"{source.stem}.o"], cwd=work, log=work / "client.log")
    (work / "DESIGN.h").write_text(f'#include "{made.top}.h"\n')
    text = (HERE / "model.cpp").read_text()
    (work / "model.cpp").write_text(text)
    models = sorted(path.name for path in work.glob("Vblock*.cpp"))
    (work / "all.cpp").write_text("".join(f'#include "{name}"\n' for name in [*models, "model.cpp"]))
    flags = [
        "-std=c++17",
        "-O0",
        "-w",
        *verilator.includes,
        f"-I{client}",
        f"-DDESIGN={made.top}",
        "-DGW_RESET_WORD=53",
    ]
    library = library_objects(verilator, compiler, out=work)
    objects = ["gw.o", f"{made.top}.o", *map(str, library)]
    run_tool(
        [*compiler, *flags, "all.cpp", *objects, "-pthread", "-o", "model"],
        cwd=work,
        log=work / "compile.log",
    )
    return out


def test_the_c_client(bundle: Path):
    done = subprocess.run([bundle.parent / "work" / "model", "c"], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    values = [float(line.split()[1]) for line in lines if line.startswith("value")]
    said = [line for line in lines if not line.startswith("value")]
    assert said == [
        "other hash 2",
        "other shape 3",
        "open 0",
        "run 0",
        "differing codes 0",
        "vectors 200",
        "self-test 0",
        "infer 0",
        "bad count 4",
        "not a number 5",
        "at 1",
        "time-out 6",
        "results 0",
        "overflow 7",
        "framing errors 1",
        "underflow 8",
        "mismatch 9",
        "at 4",
        "to the RAM 0",
        "from it 0",
        "the same 1",
        "beyond it 10",
        "message the bitstream is of another run than this client: load the one of this bundle",
    ]
    assert values == expected_values(0.37 * np.arange(15.0) - 1.5).ravel().tolist()


MACHINES = {"x86": ("cc", []), "arm": ("arm-linux-gnueabihf-gcc", ["qemu-arm"])}
"""Of the tests: a compiler, and what runs its programs. CI does without ARM: 50 MB for one test."""


@pytest.mark.parametrize("machine", MACHINES)
def test_one_file_in_c_on_every_machine(bundle: Path, tmp_path: Path, machine: str):
    """The client, compiled as C for a machine, drives the same simulated block over pipes."""
    compiler, runner = MACHINES[machine]
    lacking = [name for name in (compiler, *runner) if shutil.which(name) is None]
    if lacking:
        pytest.skip(f"no {', '.join(lacking)}; apt install gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user")
    client, work = bundle / "client", bundle.parent / "work"
    argv = [compiler, "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1", "-ffp-contract=off", "-static"]
    sources = [str(client / "gw.c"), *map(str, client.glob("*_block.c")), str(HERE / "piped.c")]
    include = [f"-I{client}", f"-I{work}", f"-DDESIGN={json.loads((client / 'block.json').read_text())['name']}"]
    run_tool([*argv, *include, *sources, "-o", "client"], cwd=tmp_path, log=tmp_path / "cc.log")
    with (
        subprocess.Popen([work / "model", "pipe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as block,
        subprocess.Popen(
            [*runner, tmp_path / "client"], stdin=block.stdout, stdout=block.stdin, stderr=subprocess.PIPE, text=True
        ) as program,
    ):
        said = program.communicate(timeout=120)[1].splitlines()
        assert block.stdin is not None
        block.stdin.close()
    assert said[:3] == ["self-test 0", "words 0 0", "infer 0"]
    values = [float(line.split()[1]) for line in said[3:]]
    assert values == expected_values(0.37 * np.arange(15.0) - 1.5).ravel().tolist()


def test_the_host_of_an_f2_card(bundle: Path, tmp_path: Path):
    """Compiled with a stand-in for the SDK's library, whose peeks and pokes reach the simulated block."""
    client, work, hosts = bundle / "client", bundle.parent / "work", HERE / "hosts" / "f2"
    name = json.loads((client / "block.json").read_text())["name"]
    (tmp_path / "host_f2.c").write_text(filled("host_f2.c", {"name": name}))
    argv = ["cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1", "-ffp-contract=off"]
    sources = ["host_f2.c", str(hosts / "fpga_pci.c"), str(client / "gw.c"), str(client / f"{name}.c")]
    run_tool([*argv, f"-I{client}", f"-I{hosts}", *sources, "-o", "host"], cwd=tmp_path, log=tmp_path / "cc.log")
    for words, code, text in (([], 0, "200 vectors: all is well\n"), (["1"], 1, "slot 1 has no image that can be")):
        with (
            subprocess.Popen([work / "model", "pipe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as block,
            subprocess.Popen(
                [tmp_path / "host", *words], stdin=block.stdout, stdout=block.stdin, stderr=subprocess.PIPE, text=True
            ) as host,
        ):
            said = host.communicate(timeout=120)[1]
            assert block.stdin is not None
            block.stdin.close()
        assert (host.returncode, said[: len(text)]) == (code, text)


def expected_values(flat: np.ndarray) -> np.ndarray:
    """Return what samples give, by the interpreter."""
    from gatewright.ir import Interpreter

    scaled = (flat.reshape(-1, 5) * np.array(UNITS.scale) + np.array(UNITS.offset)) * 2.0**IN_FRAC
    whole = np.floor(scaled)
    codes = np.clip(whole + (scaled - whole >= 0.5), -128, 127).astype(np.int64)
    return Interpreter(PROGRAM).run(codes) * 2.0**-OUT_FRAC * np.array(UNITS.result_scale)


class Pipe:
    """A transport to the simulated block."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program, "pipe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def read(self, word: int) -> int:
        self._say(f"r {word}\n")
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def write(self, word: int, value: int) -> None:
        self._say(f"w {word} {value}\n")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture
def pipe(bundle: Path) -> Iterator[Pipe]:
    found = Pipe(bundle.parent / "work" / "model")
    yield found
    found.close()


def client(bundle: Path) -> Any:
    """Return the bundle's module gw_client, as a user imports it."""
    spec = importlib.util.spec_from_file_location("gw_client", bundle / "client" / "gw_client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_python_client(bundle: Path, pipe: Pipe, tmp_path: Path):
    gw = client(bundle)
    block = gw.Block(pipe, bundle / "client" / "block.json", patience=50)
    assert block.self_test() == 200
    assert block.counters()["vectors_in"] == block.counters()["results_out"] == 200
    assert (block.run(X[:7]) == Y[:7]).all()
    assert block.run(X[:0]).shape == (0, 3)
    reals = 0.37 * np.arange(15.0) - 1.5
    assert block.infer(reals.reshape(3, 5)).tolist() == expected_values(reals).tolist()
    with pytest.raises(gw.BlockError, match=r"samples must have 5 values each, \(n, 5\), not the shape \(2, 4\)"):
        block.infer(np.zeros((2, 4)))
    with pytest.raises(gw.BlockError, match="samples must be finite"):
        block.infer(np.full((1, 5), np.nan))
    with pytest.raises(gw.BlockError, match=r"codes must lie in -128\.\.127, not 0\.\.200"):
        block.run(np.array([[0, 0, 200, 0, 0]]))
    with pytest.raises(gw.BlockError, match=r"integers of shape \(n, 5\), not int64 of shape \(5,\)"):
        block.run(np.arange(5))
    wrong = Y.copy()
    wrong[3, 1] += 1
    with pytest.raises(gw.BlockError, match=r"result 1 of stored vector 3 must be -?\d+, not -?\d+ \(1 of 200 vectors"):
        block.self_test(X, wrong)
    block.write("RESET", 1)
    with pytest.raises(gw.BlockError, match=r"2 words of results were expected, 0 came, then nothing for 50 polls: .*"):
        block.run(X[:1])
    block.reset()
    while not block.read("OFIFO_STATUS") & 1:
        block.write("OFIFO_VALUE", 0)
    block.write("OFIFO_VALUE", 0)
    with pytest.raises(gw.BlockError, match=r"the input's FIFO has lost a word.* framing_errors 1,"):
        block.run(X[:1])
    block.reset()
    block.read("IFIFO_VALUE")
    with pytest.raises(gw.BlockError, match="the results' FIFO was read while empty"):
        block.run(X[:1])
    (tmp_path / "ram").write_bytes(bytes(4096))
    with pytest.raises(
        gw.BlockError, match=r"the RAM window has an address of its own: give Block\(\.\.\., ram=Memory"
    ):
        block.read_ram(0, 1)
    block.ram = gw.Memory(str(tmp_path / "ram"))
    block.write_ram(62, [7, 0xFFFFFFFF])
    assert block.read_ram(61, 3).tolist() == [0, 7, 0xFFFFFFFF]
    with pytest.raises(gw.BlockError, match=r"words must lie in 0\.\.63 of the RAM window, not 62\.\.64"):
        block.write_ram(62, [1, 2, 3])


def test_another_bitstream_is_refused(bundle: Path, pipe: Pipe):
    gw = client(bundle)
    design = gw.json.loads((bundle / "client" / "block.json").read_text())
    for change, text in (
        ({"program_hash": "f" * 64}, r"holds program c0ffee01c0ffee01, this bundle is of f{16}: load the bitstream"),
        ({"magic": 1}, "word 40 must be 0x00000001, not 0x47570001: no block of this map answers"),
        ({"x": {**design["x"], "elements": 9}}, "vectors x of the block have 2 words, of this bundle 3: take its own"),
    ):
        with pytest.raises(gw.BlockError, match=text):
            gw.Block(pipe, design | change)


def test_memory_is_a_transport(bundle: Path, tmp_path: Path):
    """A plain file stands for a device: words lie where the bus has them."""
    (tmp_path / "device").write_bytes(bytes(4096))
    memory = client(bundle).Memory(str(tmp_path / "device"))
    memory.write(17, 0xDEADBEEF)
    assert memory.read(17) == 0xDEADBEEF
    assert (tmp_path / "device").read_bytes()[68:72] == b"\xef\xbe\xad\xde"
