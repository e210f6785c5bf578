"""The unit in front of a network, in Icarus, against `capture`: stalls, resets, mutations, real pulses."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatewright.capture import Capture, Edge, Every, capture
from gatewright.deploy import board
from gatewright.deploy.bitstream import linked_design
from gatewright.fixedpoint import Fixed
from gatewright.flow.codes import random_codes
from gatewright.ir import Constant, Interpreter, Program
from gatewright.ir.ops import Input
from gatewright.rtl.beats import unpack
from gatewright.rtl.captured import LEAVES, Captured, captured_top, write_captured
from gatewright.rtl.leaves import PLAIN
from gatewright.rtl.manifest import write_design
from gatewright.rtl.shell import StreamPort
from tests.lower.test_streams import conv
from tests.lowering import lower_for

BENCH = Path(__file__).with_name("captured_tb.v")
F = Fixed.parse
UNITS = {
    "pulses": Capture(
        samples=F("ufixed<10,10>"),
        rule=Edge(threshold=60, hysteresis=8, pretrigger=8, holdoff=20),
        length=48,
        codes=F("fixed<9,11>"),  # rounded
        baseline=8,
        factor=4,
        average=True,
    ),
    "negative": Capture(
        samples=F("fixed<9,9>"),
        rule=Edge(threshold=-40, hysteresis=7, pretrigger=3, falling=True),
        length=23,
        codes=F("ufixed<7,7>"),  # clipped
        factor=2,
    ),
    "sliding": Capture(
        samples=F("ufixed<8,8>"),
        rule=Every(stride=5, first=3),
        length=17,
        codes=F("fixed<12,10>"),
        baseline=2,
        factor=3,
    ),
    "single": Capture(samples=F("ufixed<3,3>"), rule=Edge(threshold=3), length=1, codes=F("ufixed<1,1>")),
}
MUTATIONS = {
    "threshold reached": ("gw_starts", "level >= HIGH", "level > HIGH"),
    "armed again": ("gw_starts", "level < LOW", "level <= LOW"),
    "not armed after reset": ("gw_starts", "armed <= 1'b0", "armed <= 1'b1"),
    "one window after the other": ("gw_starts", "DISTANCE - 1", "DISTANCE"),
    "nothing overwritten": ("gw_capture", "&& !(waits && ahead[LOG2_DEPTH])", ""),
    "rounded baseline": ("gw_capture", "HALF = BASELINE / 2", "HALF = 0"),
    "begins before": ("gw_capture", "written - BACK", "written + 1'b1 - BACK"),
    "clipped": ("gw_capture", "scaled < LO ? LO : scaled", "scaled"),
    "last": ("gw_capture", "last_at[4:1], window_ends", "last_at[4:1], base_ends"),
}


def stream(unit, count, seed=1):
    """Return pulses on a noisy baseline, as large as the ADC's range, and a stretch of noise."""
    random = np.random.default_rng(seed)
    low, high = unit.samples.lo, unit.samples.hi
    span, sign = high - low, -1 if isinstance(unit.rule, Edge) and unit.rule.falling else 1
    x = random.normal(0.03 * span, 0.01 * span, count)
    for place in random.integers(0, count, count // 45):
        pulse = random.uniform(0, 1.2 * span) * np.exp(-np.arange(60) / random.uniform(3, 15))
        x[place : place + 60] += pulse[: count - place]
    x[-count // 8 :] = random.uniform(0, 0.2 * span, len(x[-count // 8 :]))
    codes = low + x if sign > 0 else high - x
    return np.clip(np.rint(codes), low, high).astype(np.int64)


def files(unit, folder, changed=None):
    """Write the unit alone as `dut`; return its files. changed: (leaf, text, other text)."""
    port = StreamPort(elements=1, width_bits=unit.codes.width_bits, signed=unit.codes.signed)
    texts = PLAIN.files(*LEAVES) | {"dut.v": captured_top("dut", unit, inner="", result=port)}
    if changed is not None:
        leaf, old, new = changed
        assert texts[f"{leaf}.v"].count(old) == 1, f"{leaf}.v has another text now"
        texts[f"{leaf}.v"] = texts[f"{leaf}.v"].replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def played(unit, samples, ends, folder, *, stalls, changed=None):
    """Run the bench on the unit in Icarus; what is returned: see run_bench."""
    sources = files(unit, folder, changed)
    lane, out = (8 * -(-port.width_bits // 8) for port in (unit.samples, unit.codes))
    words = {"LANE": lane, "OUT": out, "SAMPLES": len(samples), "SEGMENTS": len(ends)}
    words |= {"STALLS": int(stalls), "PATIENCE": 4 * unit.cycles + 300}
    return run_bench(folder, samples & ((1 << lane) - 1), ends, words, sources)


def run_bench(folder, lanes, ends, words, sources, dut="dut"):
    """Run the bench in Icarus; return each segment's (TDATA, TLAST), the cycles of waiting, and what else was said."""
    (folder / "samples.hex").write_text("".join(f"{lane:x}\n" for lane in lanes.tolist()))
    (folder / "ends.hex").write_text("".join(f"{end:x}\n" for end in ends))
    (folder / "bench.v").write_text(BENCH.read_text().replace("    dut u_dut", f"    {dut} u_dut"))
    argv = ["iverilog", "-g2005", "-o", "tb", *(f"-D{key}={value}" for key, value in words.items()), "bench.v"]
    subprocess.run([*argv, *sources], cwd=folder, check=True, capture_output=True, timeout=60)
    subprocess.run(["vvp", "-n", "tb"], cwd=folder, check=True, capture_output=True, timeout=60)
    beats = [[] for _ in ends]
    lines = (folder / "beats.txt").read_text().splitlines()
    for line in lines[:-1]:
        if line[0].isdigit():
            segment, data, last = line.split()
            if "x" in data.lower():
                return beats, 0, ["undefined"]
            beats[int(segment)].append((int(data), int(last)))
    return beats, int(lines[-1].split()[1]), [line for line in lines[:-1] if not line[0].isdigit()]


def wanted(unit, samples, ends):
    """Return what each segment must give."""
    lane = 8 * -(-unit.codes.width_bits // 8)
    found = []
    for begin, end in zip([0, *ends], ends, strict=False):
        windows = capture(samples[begin:end], unit) & ((1 << lane) - 1)
        found.append([(int(code), int(at == unit.elements - 1)) for row in windows for at, code in enumerate(row)])
    return found


def wrong(unit, samples, ends, folder, *, stalls, changed=None):
    """Return what differs, as sentences."""
    got, _, said = played(unit, samples, ends, folder, stalls=stalls, changed=changed)
    for number, (seen, due) in enumerate(zip(got, wanted(unit, samples, ends), strict=True)):
        # The stream's end may cut a last window, which then gives the codes that it has; so may a reset the due ones.
        shared = min(len(seen), len(due))
        if seen[:shared] != due[:shared]:
            said.append(f"segment {number} differs")
        if (number % 2 == 0 and len(seen) < len(due)) or len(seen) >= len(due) + max(unit.elements, 2):
            said.append(f"segment {number} gave {len(seen)} codes, not {len(due)}")
    return said


@pytest.mark.icarus
@pytest.mark.parametrize("name", sorted(UNITS))
def test_icarus_gives_what_capture_defines(tmp_path, name):
    unit = UNITS[name]
    samples = stream(unit, 1600)
    assert sum(map(len, wanted(unit, samples, [1600]))) > 15
    for stalls, ends in ((False, [1600]), (True, [700, 917, 1200, 1201, 1600])):
        assert wrong(unit, samples, ends, tmp_path / f"{stalls:d}", stalls=stalls) == []


@pytest.mark.icarus
@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_a_mutation_is_found(tmp_path, name):
    changed = MUTATIONS[name]
    unit = UNITS["negative" if name == "clipped" else "pulses"]
    samples, ends = stream(unit, 1500), [800, 900, 1500]
    samples[900:920], samples[920:980] = 52, 200  # neither armed nor disarmed, then an edge for whoever is
    assert wrong(unit, samples, ends, tmp_path, stalls=True, changed=changed) != []


@pytest.mark.icarus
def test_no_sample_waits_where_that_is_claimed(tmp_path):
    """Windows behind one another, a sample a cycle: the ring takes what the baseline's cycles cost."""
    samples = np.tile([0] * 9 + [50] * 47, 40)  # an edge every 56 samples: 48 - 8 + 16
    for holdoff, claimed in ((16, True), (0, False)):
        unit = Capture(
            samples=F("ufixed<6,6>"),
            rule=Edge(threshold=30, pretrigger=8, holdoff=holdoff),
            length=48,
            codes=F("fixed<7,7>"),
            baseline=8,
        )
        assert (unit.samples_per_cycle(1) >= 1) == claimed
        assert unit.samples_per_cycle(112) == (40 + holdoff) / 112
        _, waits, said = played(unit, samples, [len(samples)], tmp_path / f"{holdoff}", stalls=False)
        assert (waits, said) == (0, [])


@pytest.mark.icarus
@pytest.mark.data
def test_real_pulses(tmp_path, shared_data):
    """A water-Cherenkov tank's, end to end."""
    records = np.load(shared_data / "pico_cosmo" / "kanne_water_cherenkov_u8.npz")
    x = next(array for array in records.values() if array.ndim == 2)[:4].astype(np.int64).reshape(-1)
    middle, top = int(np.median(x)), int(x.max())
    falling = middle - int(x.min()) > top - middle
    unit = Capture(
        samples=F("ufixed<8,8>"),
        rule=Edge(threshold=middle - 6 if falling else middle + 6, hysteresis=3, pretrigger=16, falling=falling),
        length=100,
        codes=F("fixed<9,9>"),
        baseline=16,
        factor=2,
        average=True,
    )
    assert len(capture(x, unit)) >= 4
    assert wrong(unit, x, [4000, 9000, 13000, len(x)], tmp_path, stalls=True) == []


@pytest.mark.icarus
def test_bytes_of_a_link_through_the_unit_and_a_core_on_streams(tmp_path):
    """Two bytes a sample, as a board's UART brings them; what comes back are the windows' results alone."""
    constants: dict[str, Constant] = {}
    ops = (
        Input(name="x", layer="input", shape=(6, 1), format=F("fixed<9,9>")),
        conv("a", "x", constants, (3, 1, 1), pads=((1, 1),)),
    )
    program = Program(name="found", ops=ops, output="a", constants=constants)
    dataflow = lower_for(program, random_codes(program, 3, seed=1), family="ecp5", clock_mhz=25, stream="always")
    manifest = write_design(
        dataflow, program_hash="0" * 64, stream_bits=0, folder=tmp_path / "rtl", framing="none", serial=True
    )
    unit = replace(UNITS["pulses"], length=24, codes=F("fixed<9,9>"))
    captured = write_captured(manifest, unit, tmp_path / "rtl", PLAIN)
    assert Captured.load(tmp_path / "rtl") == captured
    linked = linked_design(manifest, board=board("ulx3s_25f"), clock_mhz=25, captured=captured)
    for name, text in linked.files.items():
        (tmp_path / name).write_text(text)
    sources = linked.sources(manifest, tmp_path / "rtl", tmp_path)
    sources = [file for file in sources if "uart" not in file.stem and file.stem != linked.top.module]
    samples = stream(unit, 900)
    data = samples.astype("<u2").view(np.uint8).astype(np.int64)
    words = {"LANE": 8, "OUT": 8, "SAMPLES": len(data), "SEGMENTS": 1, "STALLS": 1, "PATIENCE": 600, "LINK": 1}
    beats = run_bench(tmp_path, data, [len(data)], words, sources, dut="found_link")[0]
    windows = capture(samples, unit)
    assert len(windows) > 8
    due = Interpreter(program).run(windows.reshape(-1, 6, 1)).reshape(len(windows), -1)
    port = linked.result
    assert (
        unpack(port, np.array([value for value, _ in beats[0]], np.uint32).reshape(-1, port.beats, 1)).tolist()
        == due.tolist()
    )
    assert [last for _, last in beats[0]] == ([0] * (port.beats - 1) + [1]) * len(windows)
