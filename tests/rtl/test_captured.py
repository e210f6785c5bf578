"""The unit in front of a network, in Icarus and Verilator, against `capture`: stalls, resets, mutations."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from gatewright.capture import Capture, Edge, Every, capture
from gatewright.errors import MismatchError
from gatewright.fixedpoint import Fixed
from gatewright.rtl.captured import LEAVES, captured_top
from gatewright.rtl.leaves import PLAIN
from gatewright.rtl.shell import StreamPort
from gatewright.sim.build import lint
from gatewright.sim.captured import simulate_captured

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
    """Run the bench in Icarus; return each segment's (TDATA, TLAST), the cycles of waiting, and what else was said."""
    sources = files(unit, folder, changed)
    lane, out = (8 * -(-port.width_bits // 8) for port in (unit.samples, unit.codes))
    (folder / "samples.hex").write_text("".join(f"{code & ((1 << lane) - 1):x}\n" for code in samples.tolist()))
    (folder / "ends.hex").write_text("".join(f"{end:x}\n" for end in ends))
    words = {"LANE": lane, "OUT": out, "SAMPLES": len(samples), "SEGMENTS": len(ends)}
    words |= {"STALLS": int(stalls), "PATIENCE": 4 * unit.cycles + 100}
    argv = ["iverilog", "-g2005", "-Wall", "-o", "tb", *(f"-D{key}={value}" for key, value in words.items())]
    subprocess.run([*argv, BENCH, *sources], cwd=folder, check=True, capture_output=True, timeout=60)
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
    samples = stream(unit, 2400)
    assert sum(map(len, wanted(unit, samples, [2400]))) > 20
    for stalls, ends in ((False, [2400]), (True, [900, 1317, 1700, 1701, 2400])):
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


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.data
def test_real_pulses_in_verilator(tmp_path, shared_data):
    """A water-Cherenkov tank's, end to end, with stalls and resets; a result that differs is named, nothing else."""
    records = np.load(shared_data / "pico_cosmo" / "kanne_water_cherenkov_u8.npz")
    x = next(array for array in records.values() if array.ndim == 2)[:6].astype(np.int64).reshape(-1)
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
    windows, asked = capture(x, unit), []

    def answer(found):
        """Return the windows; of the first run, the one at full rate, number 2 with another first code."""
        asked.append(len(found))
        changed = found.copy()
        changed[2:3, 0] ^= len(asked) == 1
        return changed

    port = StreamPort(elements=unit.elements, width_bits=9, signed=True, beat_bits=16)
    sources = files(unit, tmp_path / "rtl")
    lint(sources=sources, top="dut", out=tmp_path / "lint")
    report = simulate_captured(
        unit,
        x,
        answer,
        sources=sources,
        top="dut",
        result=port,
        never_waits=unit.samples_per_cycle(1) >= 1,
        patience=600,
        bare=True,
        stall_fraction=0.3,
        seed=5,
        out=tmp_path / "out",
    )
    assert len(windows) >= 6
    assert asked[:2] == [len(windows)] * 2
    assert (report.mismatches, report.windows, len(report.problems)) == (1, len(windows), 1)
    with pytest.raises(
        MismatchError, match=r"!= program: at full rate from sample 0 on, window 2: expected \[\d+\], got"
    ):
        report.require_match()
