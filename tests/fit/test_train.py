from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.errors import FitError
from gatewright.export.vectors import graph_outputs
from gatewright.fit import teacher_outputs, train_student, train_teacher
from gatewright.fit.frozen import dense_layers
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.fixedpoint import digit_count
from gatewright.graph.figures import figures
from gatewright.graph.store import checksum

from .conftest import both_stages, make_config, make_data
from .networks import proved

pytestmark = pytest.mark.torch


def accuracy(network, data, part) -> float:
    x, y = data.part(part)
    return float((graph_outputs(network, x).argmax(axis=1) == y).mean())


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory):
    return train_teacher(make_config(), data, work=tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def soft(teacher, data):
    return teacher_outputs(teacher.network, data)


def test_teacher_reads_raw_codes_and_learns(teacher, data, soft):
    assert accuracy(teacher.network, data, "test") > 0.9
    assert len(teacher.history) == 8
    assert set(teacher.history[0]) == {
        "epoch", "learning_rate", "loss", "validation_loss", "validation_accuracy", "score"
    }  # fmt: skip
    best = max(row["score"] for row in teacher.history)
    assert accuracy(teacher.network, data, "validation") == best
    assert soft.shape == (len(data.x), 3)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sparsity": 0.0},
        {"sparsity": 0.9, "hidden": (12,)},
        {"hidden": (8, 6), "weight_bits": (3, 5, 8), "activation_bits": (2, 6), "bias_bits": 6},
        {"hidden": (), "weight_bits": 5},
        {"weight_digits": 1, "weight_bits": 5},
        {"prune_start": 0.0, "prune_end": 1.0},
        {"dropout": 0.2, "patience": 2},
    ],
)
def test_student_keeps_its_promises(options, data, soft, tmp_path):
    config = make_config(student=options)
    student = train_student(config, data, soft, work=tmp_path)
    network = student.network
    assert figures(network).sparsity >= config.student.sparsity
    assert accuracy(network, data, "test") > 0.6
    bits = config.student.weight_bits
    widths = bits if isinstance(bits, tuple) else (bits,) * len(dense_layers(network))
    for layer, width in zip(dense_layers(network), widths, strict=True):
        stored = layer.stored
        assert stored is not None
        assert stored.weight is not None
        assert stored.weight.width_bits == width
        assert stored.weight.contains(layer.weight)
        if limit := config.student.weight_digits:
            scaled = np.ldexp(layer.weight, int(stored.weight.frac_bits)).astype(np.int64)
            assert digit_count(scaled).max() <= limit
        assert stored.bias is None or stored.bias.contains(layer.bias)
    proved(network, data.x, "argmax")
    assert np.isfinite([v for row in student.history for v in row.values()]).all()


def test_best_epoch_is_one_after_pruning_and_freezing(data, soft, tmp_path):
    student = train_student(make_config(), data, soft, work=tmp_path)
    frozen = student.history[12:]
    assert all(row["sparsity"] >= 0.5 for row in frozen)
    assert accuracy(student.network, data, "validation") == max(row["score"] for row in frozen)


def test_same_seed_gives_the_same_bits_and_another_seed_others(data, soft, tmp_path):
    config = make_config(student={"dropout": 0.1})
    a, b = (train_student(config, data, soft, work=tmp_path / name) for name in "ab")
    assert checksum(a.network) == checksum(b.network)
    assert a.history == b.history
    c = train_student(make_config(seed=2), data, soft, work=tmp_path / "c")
    assert checksum(c.network) != checksum(a.network)


def test_finished_run_is_not_trained_again_but_another_config_is(data, soft, tmp_path):
    config = make_config()
    first = train_student(config, data, soft, work=tmp_path)
    stamp = (tmp_path / "student.checkpoint").stat().st_mtime_ns
    again = train_student(config, data, soft, work=tmp_path)
    assert checksum(again.network) == checksum(first.network)
    assert again.history == first.history
    other = train_student(make_config(student={"epochs": 10}), data, soft, work=tmp_path)
    assert len(other.history) == 10
    assert (tmp_path / "student.checkpoint").stat().st_mtime_ns > stamp


ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from pathlib import Path
from tests.fit.conftest import both_stages
print(*both_stages(Path(sys.argv[1])), sep="\\n")
"""


@pytest.mark.slow
def test_run_killed_anywhere_and_resumed_gives_the_same_bits(tmp_path):
    """The kills fall in the middle of epochs, of pruning and of writing."""
    argv = [sys.executable, "-c", SCRIPT, str(tmp_path / "killed")]
    kills = 0
    for stage in ("teacher", "student"):
        run = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL)
        file = tmp_path / "killed" / f"{stage}.checkpoint"
        deadline = time.monotonic() + 60
        while run.poll() is None and not file.exists():
            assert time.monotonic() < deadline, "no checkpoint appeared within 60 s"
            time.sleep(0.002)
        time.sleep(0.02)
        run.kill()
        kills += run.wait() == -signal.SIGKILL
    assert kills == 2
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    assert tuple(done.stdout.splitlines()) == both_stages(tmp_path / "whole")


@pytest.mark.parametrize("stage", ["teacher", "student"])
def test_interruption_at_every_checkpoint_gives_the_same_bits(stage, tmp_path, monkeypatch):
    """As the kill above, but exhaustively and in one process: stop after each write in turn, then go on."""
    whole = both_stages(tmp_path / "whole")
    save, left = Checkpoint.save, [0]

    def stopping_save(self, state):
        save(self, state)
        left[0] -= self.path.name.startswith(stage)
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", stopping_save)
    for count in (1, 2, 6):
        work = tmp_path / str(count)
        left[0] = count
        with suppress(KeyboardInterrupt):
            both_stages(work)
        left[0] = -1
        assert both_stages(work) == whole


@pytest.mark.parametrize("bias", [0, 10])
def test_regression_learns_targets_of_any_unit(numbers, tmp_path, bias):
    config = make_config(
        "regression",
        teacher={"hidden": (32,), "epochs": 60, "batch_size": 16, "learning_rate": 0.01},
        student={
            "hidden": (16,),
            "weight_bits": 8,
            "activation_bits": 8,
            "epochs": 60,
            "batch_size": 16,
            "bias_bits": bias,
        },
    )
    teacher = train_teacher(config, numbers, work=tmp_path)
    student = train_student(config, numbers, teacher_outputs(teacher.network, numbers), work=tmp_path).network
    x, y = numbers.part("test")
    for network, bound in ((teacher.network, 0.35), (student, 0.7)):
        residual = (graph_outputs(network, x) - y).std(axis=0) / y.std(axis=0)
        assert residual.max() < bound
    proved(student, numbers.x, "scores")


def test_test_split_cannot_leak_into_training(data, soft, tmp_path):
    config = make_config()
    a = train_student(config, data, soft, work=tmp_path / "a")
    test = data.split == 2
    x, y, other = data.x.copy(), data.y.copy(), soft.copy()
    x[test], y[test], other[test] = 0, 0, 7.0
    b = train_student(config, replace(data, x=x, y=y), other, work=tmp_path / "b")
    assert checksum(a.network) == checksum(b.network)


def test_collapsed_student_is_an_error(data, soft, tmp_path):
    config = make_config(student={"sparsity": 0.99, "hidden": (2,), "epochs": 4})
    with pytest.raises(FitError, match=r"student: .*lower student\.sparsity, or raise student\.weight_bits"):
        train_student(config, data, soft, work=tmp_path)


def test_diverging_loss_is_an_error(data, tmp_path):
    config = make_config(teacher={"learning_rate": 1e6, "hidden": (8,) * 8})
    with pytest.raises(
        FitError, match=r"teacher, epoch \d+: the loss must be finite, not .*; lower teacher.learning_r"
    ):
        train_teacher(config, data, work=tmp_path)


def test_damaged_checkpoint_is_an_error_with_its_path(data, tmp_path):
    (tmp_path / "teacher.checkpoint").write_bytes(b"not a checkpoint")
    with pytest.raises(FitError, match=r"teacher.checkpoint must be a training checkpoint.*delete it"):
        train_teacher(make_config(), data, work=tmp_path)


def test_wrong_soft_targets_are_refused(data, soft, tmp_path):
    with pytest.raises(FitError, match=r"teacher's outputs must be \(240, 3\).*not \(240, 2\); compute them with"):
        train_student(make_config(), data, soft[:, :2], work=tmp_path)
    with pytest.raises(FitError, match="teacher's outputs must be finite"):
        train_student(make_config(), data, soft * np.nan, work=tmp_path)


def test_too_wide_inputs_are_refused(data, tmp_path):
    wide = replace(data, format=replace(data.format, width_bits=25))
    with pytest.raises(FitError, match="at most 24 bits to be exact in training, not 25"):
        train_teacher(make_config(), wide, work=tmp_path)


def test_missing_split_is_refused(data, tmp_path):
    with pytest.raises(FitError, match=r"samples in the train and validation splits, got 240 and 0"):
        train_teacher(make_config(), replace(data, split=np.zeros_like(data.split)), work=tmp_path)


def test_constant_features_do_no_harm(tmp_path):
    data = make_data()
    x = data.x.copy()
    x[:, 2] = 17
    network = train_teacher(make_config(), replace(data, x=x), work=tmp_path).network
    assert np.isfinite(graph_outputs(network, x)).all()
