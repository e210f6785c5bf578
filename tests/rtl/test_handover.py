"""What is handed over beside a design: a bench that runs as it is, the recipe in C, templates with every port."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from gatewright.data import Dataset, dataset_from_arrays
from gatewright.data.conditioning import condition
from gatewright.ir import Interpreter
from gatewright.rtl.beats import pack
from gatewright.rtl.handover import TopPort, hex_lines, input_header, top_ports, vhdl_instance, write_handover
from gatewright.rtl.manifest import RtlManifest, write_design
from tests.lowering import lower_for
from tests.programs import codes, mlp

PROGRAM = mlp((4, 5, 3), seed=2)
X = codes(PROGRAM, 40)


def handed_over(folder: Path, data: Dataset | None = None) -> RtlManifest:
    lowered = lower_for(PROGRAM, X, family="ecp5", clock_mhz=60.0)
    manifest = write_design(lowered, program_hash="0" * 64, stream_bits=16, folder=folder)
    write_handover(
        manifest,
        folder,
        given=pack(manifest.source, X),
        expected=pack(manifest.result, Interpreter(PROGRAM).run(X).reshape(len(X), -1)),
        contract=data and data.contract,
        classes=("a?", 'b"', "γ"),
    )
    return manifest


@pytest.mark.icarus
def test_the_bench_passes_as_it_is_and_finds_a_wrong_beat(tmp_path: Path):
    top = handed_over(tmp_path).top
    folder = tmp_path / "handover"
    build = ["iverilog", "-g2005", "-Wall", "-o", "tb", "-f", "files.f", f"{top}_tb.v"]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
    ran = subprocess.run(["vvp", "tb"], cwd=folder, capture_output=True, text=True, check=True)
    assert "PASS: 40 beats, all as expected" in ran.stdout
    golden = (folder / "expected.hex").read_text().splitlines()
    golden[7] = f"{int(golden[7], 16) ^ 1:02x}"
    (folder / "expected.hex").write_text("\n".join(golden))
    ran = subprocess.run(["vvp", "tb"], cwd=folder, capture_output=True, text=True, check=True)
    assert "beat 7: expected" in ran.stdout
    assert "FAIL: 1 of 40 beats differ" in ran.stdout


def test_the_c_recipe_is_the_conditioning(tmp_path: Path):
    raw = np.random.default_rng(4).normal(0, 3, (60, 4))
    data = dataset_from_arrays(raw, ["p", "q", "r"] * 20, input_format="fixed<8,4>", scaling="standard")
    top = handed_over(tmp_path, data).top
    header = tmp_path / "handover" / f"{top}_input.h"
    values = ", ".join(repr(value) for value in raw.ravel().tolist())
    (tmp_path / "t.c").write_text(
        f'#include <stdio.h>\n#include "{header}"\nstatic const double v[] = {{{values}}};\n'
        f'int main(void) {{ for (int i = 0; i < 240; i++) {{ printf("%d\\n", {top}_code(v[i], i % 4)); }}\n'
        f'for (int i = 0; i < 3; i++) {{ printf("%s\\n", {top}_classes[i]); }} return 0; }}\n'
    )
    compiler = ["cc", "-Wall", "-Werror", "-ffp-contract=off", "-o", "t", "t.c", "-lm"]
    subprocess.run(compiler, cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "t"], capture_output=True, check=True).stdout.decode().split("\n")
    assert [int(line) for line in said[:240]] == condition(raw, data.contract).ravel().tolist()
    assert said[240:243] == ["a?", 'b"', "γ"]


def test_the_templates_name_every_port(tmp_path: Path):
    manifest = handed_over(tmp_path)
    ports = top_ports((tmp_path / f"{manifest.top}.v").read_text())
    names = [port.name for port in ports]
    assert names[:4] == ["aclk", "aresetn", "s_axis_tdata", "s_axis_tvalid"]
    assert {"m_axis_tkeep", "framing_error"} <= set(names)  # two beats to a vector: packets
    for file in (f"{manifest.top}_instance.v", f"{manifest.top}_instance.vhd"):
        text = (tmp_path / "handover" / file).read_text()
        assert all(name in text for name in names)
    one = TopPort(direction="input", bits=16, name="s_axis_tdata")
    assert "s_axis_tdata     : in  std_logic_vector(15 downto 0)" in vhdl_instance("t", [one])
    assert hex_lines(np.array([[[0xAB, 1]], [[5, 0]]], np.uint32), 40) == "01000000ab\n0000000005\n"
    assert "_code(" not in input_header(manifest, None, ())
