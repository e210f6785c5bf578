"""What tells that a data source changed."""

from pathlib import Path

import pytest

from gatewright.flow.run import fingerprint


def test_no_source_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unrelated.txt").write_text("a")
    assert fingerprint("") is None
    assert fingerprint("sklearn:digits") is None


def test_files_and_folders_are_their_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    file, folder = fingerprint(str(tmp_path / "a.csv")), fingerprint(str(tmp_path))
    assert file is not None
    assert folder == [("a.csv", file)]
    (tmp_path / "a.csv").write_text("1,3\n")
    assert fingerprint(str(tmp_path / "a.csv")) != file
