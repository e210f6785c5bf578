"""`gatewright assess`: a program, its client and its processor, simulated; what it measures, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatewright.assess.firmware import build_firmware
from gatewright.assess.measured import measured
from gatewright.assess.simulate import build_system, run_system
from gatewright.assess.system import system_files
from gatewright.cli.main import main
from gatewright.errors import MismatchError, ToolError
from gatewright.report.built import _assessed
from gatewright.tools import write_json
from tests.instrument.blocks import built, vectors
from tests.instrument.test_bundle import rtl_only
from tests.programs import mlp

PROGRAM = mlp((5, 6, 3), seed=2, output="scores")


@pytest.mark.soc
@pytest.mark.slow
def test_the_system_runs_compares_and_measures(tmp_path: Path):
    made = built(tmp_path, PROGRAM, registers=0)
    x, y = vectors(PROGRAM, 40)
    folder = tmp_path / "system"
    for name, data in system_files(made, x=x, y=y).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    firmware = build_firmware(folder / "firmware")
    system = build_system(folder, firmware)
    said = run_system(system, folder)
    found = measured(said.text, vectors=40)
    assert found.vectors == len(found.one_cycles) == 40
    assert found.write_cycles <= 50 * found.write_words
    assert (found.write_words, found.read_words) == (32, 32)  # what FIFOs of 32 words hold, of 2 words each way
    assert found.words_cycles < found.client_cycles

    wrong = y.copy()
    wrong[7, 1] ^= 1  # the same system, a program that expects something else
    (folder / f"firmware/{made.top}.c").write_bytes(system_files(made, x=x, y=wrong)[f"firmware/{made.top}.c"])
    build_firmware(folder / "firmware")
    with pytest.raises(MismatchError, match=r"1 of 40 vectors .*\(mismatches\), the first of them vector 7, code 1"):
        measured(run_system(system, folder).text, vectors=40)

    main_c = folder / "firmware" / "main.c"
    main_c.write_text(main_c.read_text().replace("block.patience = 100000u;", "UART = *(uint32_t *)0x20000000u;"))
    build_firmware(folder / "firmware")
    with pytest.raises(ToolError, match="trapped, or touched an address where nothing is"):
        run_system(system, folder)


def test_the_command_refuses_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rtl_only(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(main, ["assess", str(tmp_path / "build")])
    assert done.exit_code == 2
    assert "apt install gcc-riscv64-unknown-elf" in done.output
    assert not (tmp_path / "build" / "assess").exists()


def test_a_measurement_of_another_design_is_not_shown(tmp_path: Path):
    from gatewright.tools import digest

    write_json(tmp_path / "rtl" / "design.json", {"top": "net"})
    assert _assessed(tmp_path) == {}
    found = {"design": digest(tmp_path / "rtl" / "design.json"), "results": {"vectors": 3}}
    write_json(tmp_path / "assess" / "assessment.json", found)
    assert _assessed(tmp_path) == {"assessment": {"vectors": 3}}
    write_json(tmp_path / "rtl" / "design.json", {"top": "other"})
    assert _assessed(tmp_path) == {}
    assert json.loads((tmp_path / "assess" / "assessment.json").read_text()) == found
