"""Bookkeeping of a search with made-up trials: every trial once, whatever dies when."""

import json
import shutil
from concurrent.futures import Future
from dataclasses import replace

import pytest

from gatewright.chips import part
from gatewright.errors import BudgetError, ConfigError, GatewrightError
from gatewright.search.drive import COMPARED, LIVES, _Driver, pick_point, run_search
from gatewright.search.ledger import Ledger
from gatewright.search.space import read_space
from gatewright.search.teachers import Teacher, Teachers
from gatewright.search.trial import Outcome
from tests.search.conftest import NETWORK, FakeWorkers, Killed, WorkerGoneError

pytestmark = pytest.mark.search


@pytest.fixture(autouse=True)
def made_up_teachers(monkeypatch):
    monkeypatch.setattr(Teachers, "load", lambda _self, _key: Teacher(network=NETWORK, score=0.99))


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """Return a storage without a study: making its tables is what takes long."""
    import optuna

    path = tmp_path_factory.mktemp("storage") / "empty.sqlite3"
    optuna.storages.RDBStorage(f"sqlite:///{path}")
    return path


@pytest.fixture
def drive(config, limits, tmp_path, empty):
    def drive(workers=None, *, trials=None, folder="s"):
        if not (tmp_path / folder).exists():
            (tmp_path / folder).mkdir()
            shutil.copy(empty, tmp_path / folder / "study.sqlite3")
        workers = workers or FakeWorkers(limits)
        settings = config if trials is None else with_search(config, trials=trials)
        ledger = Ledger.open(settings, read_space(settings), tmp_path / folder, "data")
        driver = _Driver(
            settings, tmp_path / folder, part("XC7A35T"), limits, "data", ledger, workers, lambda _text: None
        )
        driver.run()
        return driver, workers

    return drive


def with_search(config, **changes):
    return config.model_copy(update={"search": config.search.model_copy(update=changes)})


def told(driver):
    return [(t.number, t.state.name, t.values) for t in driver.ledger.trials()]


def test_every_trial_asked_for_is_finished(drive):
    driver, workers = drive()
    assert [t[:2] for t in told(driver)] == [(n, "COMPLETE") for n in range(6)]
    assert driver.finished == 6 == len(driver.records()) == len(workers.trained)


def test_a_second_call_does_nothing_and_more_trials_go_on(drive):
    first = told(drive()[0])
    again, workers = drive()
    assert (again.finished, workers.begun) == (0, 0)
    more, workers = drive(trials=8)
    assert (more.finished, len(workers.trained)) == (2, 2)
    assert told(more)[:6] == first


def test_fewer_trials_than_were_finished_changes_nothing(drive):
    drive()
    driver, workers = drive(trials=3)
    assert (len(driver.records()), workers.begun) == (6, 0)


@pytest.mark.parametrize("at", [1, 2, 5, 8])
def test_a_killed_search_ends_as_one_that_was_not(drive, limits, at):
    """Killed before the first teacher, before the first student, in the middle, near the end."""
    whole, _ = drive(folder="whole")
    with pytest.raises(Killed):
        drive(FakeWorkers(limits, kill_at=at))
    driver, _ = drive()
    assert told(driver) == told(whole)
    assert [r.values for r in driver.records()] == [r.values for r in whole.records()]


def test_killed_between_record_and_tell_nothing_is_trained_twice(drive, limits, monkeypatch):
    def dies(_self, record):
        if record.trial == 4:
            raise Killed
        tell(_self, record)

    tell = Ledger.tell
    monkeypatch.setattr(Ledger, "tell", dies)
    first = FakeWorkers(limits)
    with pytest.raises(Killed):
        drive(first)
    monkeypatch.undo()
    monkeypatch.setattr(Teachers, "load", lambda _self, _key: Teacher(network=NETWORK, score=0.99))
    driver, second = drive()
    assert len(first.trained) + len(second.trained) == 6 == len(driver.records())
    assert [state for _, state, _ in told(driver)] == ["COMPLETE"] * 6


def test_several_open_trials_survive_a_kill(drive, limits):
    with pytest.raises(Killed):
        drive(FakeWorkers(limits, jobs=4, kill_at=7))
    driver, _ = drive(FakeWorkers(limits, jobs=4))
    assert [t[:2] for t in told(driver)] == [(n, "COMPLETE") for n in range(6)]


def test_killed_in_the_middle_of_drawing(drive, monkeypatch):
    import gatewright.search.ledger as module

    def half(space, trial, precision):
        values = draw(space[:1], trial, precision)
        if trial.number == 3 and not again:
            again.append(1)
            raise Killed
        return {**values, **draw(space[1:], trial, precision)}

    again, draw = [], module.draw
    monkeypatch.setattr(module, "draw", half)
    with pytest.raises(Killed):
        drive()
    driver, _ = drive()
    assert [t[:2] for t in told(driver)] == [(n, "COMPLETE") for n in range(6)]
    assert set(driver.records()[3].values) == set(driver.records()[2].values)


def test_each_teacher_is_trained_once(drive, limits):
    driver, workers = drive(FakeWorkers(limits, jobs=4))
    assert sorted(workers.taught) == [(8,), (16,)]
    assert len({record.teacher for record in driver.records()}) == 2


def test_a_task_whose_worker_dies_is_given_to_another(drive, limits):
    driver, workers = drive(FakeWorkers(limits, lose={3: LIVES - 1}))
    assert len(workers.trained) == 6
    assert {record.state for record in driver.records()} == {"complete"}


def test_a_task_that_kills_every_worker_fails_alone(drive, limits):
    driver, _ = drive(FakeWorkers(limits, lose={3: LIVES}))
    states = [record.state for record in driver.records()]
    assert states.count("failed") == 1
    assert "worker died 3 times" in next(r.reason for r in driver.records() if r.state == "failed")
    assert len(states) == 6


def test_workers_that_never_finish_anything_end_the_search_and_lose_no_trial(drive, limits):
    class Dead(FakeWorkers):
        def submit(self, _task):
            done = Future()
            done.set_exception(WorkerGoneError("killed"))
            return done

    with pytest.raises(
        GatewrightError, match=r"every worker died before it finished anything \(WorkerGoneError: killed"
    ):
        drive(Dead(limits))
    driver, _ = drive()
    assert [t[:2] for t in told(driver)] == [(n, "COMPLETE") for n in range(6)]


def test_trials_of_a_teacher_that_cannot_be_trained_fail_with_its_reason(drive, limits):
    driver, workers = drive(FakeWorkers(limits, bad_teachers=True))
    assert {record.reason for record in driver.records()} == {"teacher: the loss must be finite"}
    assert len(workers.taught) == 2
    assert [state for _, state, _ in told(driver)] == ["FAIL"] * 6


def test_constraints_and_points_are_in_the_storage(drive):
    driver, _ = drive()
    for trial, record in zip(driver.ledger.trials(), driver.records(), strict=True):
        point = record.points[0]
        assert trial.constraints["lut"] == (point.figures["lut"] - 1000) / 1000
        assert trial.constraints["latency_cycles"] == -0.5
        assert trial.user_attrs["points"] == [point.figures]
        assert trial.values == [point.figures["score"], point.figures["lut"]]
    assert {record.points[0].feasible for record in driver.records()} == {True, False}


@pytest.mark.slow
def test_the_sampler_turns_to_the_budget_and_importances_name_what_matters(drive):
    """Once the constraint is learnt, more trials keep it than the 7 in 17 of random ones."""
    driver, _ = drive(trials=30)
    late = driver.records()[12:]
    assert sum(record.points[0].feasible for record in late) > len(late) / 2
    shares = driver.ledger.importances()
    assert set(shares) == {"metric", "lut"}
    assert max(shares["lut"], key=lambda key: shares["lut"][key]) == "student.hidden.1"
    assert json.dumps(shares)


@pytest.mark.parametrize("sampler", ["nsga2", "random"])
def test_other_samplers_and_objectives_draw_and_resume(config, limits, tmp_path, sampler):
    asked = with_search(config, sampler=sampler, objectives=("metric",), trials=3)

    def run(name, workers):
        ledger = Ledger.open(asked, read_space(asked), tmp_path / name, "data")
        driver = _Driver(asked, tmp_path / name, part("XC7A35T"), limits, "data", ledger, workers, lambda _text: None)
        driver.run()
        return told(driver)

    whole = run("whole", FakeWorkers(limits))
    assert [len(values) for _, _, values in whole] == [1, 1, 1]
    with pytest.raises(Killed):
        run("cut", FakeWorkers(limits, kill_at=3))
    assert run("cut", FakeWorkers(limits)) == whole


def test_later_trials_must_keep_up_with_the_finished(drive):
    _, workers = drive(trials=COMPARED + 2)
    assert workers.floors[:COMPARED] == [()] * COMPARED
    assert all(len(floor) == 10 for floor in workers.floors[COMPARED:])


def test_settings_that_do_not_go_together_fail_their_trial(drive, config, limits, tmp_path):
    space = {**config.search.space, "student.hidden": {"low": 4, "high": 8, "layers": [1, 2]}}
    odd = with_search(config, space=space)
    odd = odd.model_copy(update={"student": odd.student.model_copy(update={"weight_bits": (6, 6)})})
    odd = with_search(odd, space={k: v for k, v in odd.search.space.items() if k != "student.weight_bits"})
    odd = with_search(odd, space={**odd.search.space, "student.weight_bits": [[6, 6]]})
    ledger = Ledger.open(odd, read_space(odd), tmp_path / "odd", "data")
    driver = _Driver(odd, tmp_path / "odd", part("XC7A35T"), limits, "data", ledger, FakeWorkers(limits), print)
    driver.run()
    failed = [record for record in driver.records() if record.state == "failed"]
    assert 0 < len(failed) < 6
    assert "weight_bits must be one number or 3 numbers" in failed[0].reason


def test_another_configuration_in_the_same_directory_is_refused(drive, config, tmp_path):
    drive()
    other = config.model_copy(update={"seed": 5, "student": config.student.model_copy(update={"epochs": 7})})
    with pytest.raises(ConfigError) as error:
        Ledger.open(other, read_space(other), tmp_path / "s", "data")
    assert "another configuration: seed is 5, was 1; student.epochs is 7, was 100" in str(error.value)
    with pytest.raises(ConfigError, match=r'contents\.data is "other", was "data"'):
        Ledger.open(config, read_space(config), tmp_path / "s", "other")


def test_settings_that_change_no_trial_may_change(drive, config, tmp_path):
    drive()
    other = with_search(config, jobs=3, trials=99, drop=0.01)
    other = other.model_copy(update={"simulation": other.simulation.model_copy(update={"vectors": 5})})
    assert len(Ledger.open(other, read_space(other), tmp_path / "s", "data").trials()) == 6


def test_a_storage_belongs_to_one_search_directory(config, tmp_path):
    shared = with_search(config, storage=f"sqlite:///{tmp_path / 'shared.sqlite3'}")
    Ledger.open(shared, read_space(shared), tmp_path / "a", "data")
    Ledger.open(shared, read_space(shared), tmp_path / "a", "data")
    with pytest.raises(ConfigError, match=r"belongs to the search in .*/a; continue it there"):
        Ledger.open(shared, read_space(shared), tmp_path / "b", "data")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////nowhere/at/all.db", "cannot open search.storage 'sqlite:////nowhere/at/all.db': unable to open"),
        (
            "postgresql+nodriver://me:hunter2@db/x",
            r"cannot open search.storage 'postgresql\+nodriver://me:\*\*\*@db/x'",
        ),
        ("hunter2", "cannot open search.storage 'hunter2:...'"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_named_without_its_password(config, tmp_path, url, says):
    away = with_search(config, storage=url)
    with pytest.raises(ConfigError, match=says) as error:
        Ledger.open(away, read_space(away), tmp_path, "data")
    assert "me:hunter2" not in str(error.value)


def test_a_storage_that_fails_in_the_middle_loses_no_trial(drive, limits, monkeypatch, tmp_path):
    import sqlite3

    from gatewright.search.storage import storage_url, using

    def locks(ledger, record):
        if record.trial == 2:
            with sqlite3.connect(tmp_path / "s" / "study.sqlite3") as storage:
                storage.execute("alter table trials rename to away")
        tell(ledger, record)

    tell = Ledger.tell
    monkeypatch.setattr(Ledger, "tell", locks)
    url = f"sqlite:///{tmp_path / 's' / 'study.sqlite3'}"
    with pytest.raises(GatewrightError, match=r"sqlite3' failed: no such table: trials; no trial is lost"), using(url):
        drive()
    monkeypatch.setattr(Ledger, "tell", tell)
    with sqlite3.connect(tmp_path / "s" / "study.sqlite3") as storage:
        storage.execute("alter table away rename to trials")
    driver, _ = drive()
    assert url == storage_url(driver.config, tmp_path / "s")
    assert [t[:2] for t in told(driver)] == [(n, "COMPLETE") for n in range(6)]


def test_a_damaged_storage_is_a_clear_error(config, tmp_path):
    (tmp_path / "study.sqlite3").write_text("not a database " * 100)
    with pytest.raises(ConfigError, match="file is not a database"):
        Ledger.open(config, read_space(config), tmp_path, "data")


def test_a_record_that_is_gone_is_a_clear_error(drive):
    driver, _ = drive()
    (driver.out / "trials" / "0003" / "trial.json").write_text("{")
    with pytest.raises(Exception, match=r"0003/trial.json must hold the record of finished trial 3"):
        driver.records()


def test_a_trial_stopped_before_training_tells_its_constraints(drive, config, limits):
    class Stopping(FakeWorkers):
        def result(self, task):
            found = super().result(task)
            if isinstance(found, Outcome) and found.candidates[0].figures["lut"] > 1500:
                cost, excess = found.candidates[0].figures, found.candidates[0].excess
                return replace(found, state="stopped", candidates=(), reason="too large", cost=cost, excess=excess)
            return found

    driver, _ = drive(Stopping(limits))
    stopped = [t for t in driver.ledger.trials() if t.state.name == "PRUNED"]
    assert stopped
    assert all(trial.constraints["lut"] > 0.5 for trial in stopped)
    assert all(trial.user_attrs["reason"] == "too large" for trial in stopped)


def test_a_budget_that_nothing_meets_ends_in_an_error_beside_the_written_results(config, limits, tmp_path, monkeypatch):
    import gatewright.search.drive as module

    tight = with_search(config, budget=config.search.budget.model_copy(update={"max_lut": 100}))
    workers = FakeWorkers(replace(limits, lut=100))
    monkeypatch.setattr(module, "_workers", lambda *_: workers)
    with pytest.raises(BudgetError) as error:
        run_search(tight, tmp_path / "s")
    smallest = 100 * min(workers.trained)
    assert (
        f"no student of 6 trials keeps the budget. Nearest: trial {workers.trained.index(min(workers.trained))}.0"
        in (str(error.value))
    )
    assert f"beyond 100 LUT (search.budget.max_lut): it has {smallest:,}." in str(error.value)
    written = json.loads((tmp_path / "s" / "search.json").read_text())
    assert written["chosen"] is None
    assert len(written["trials"]) == 6
    assert "no student keeps the budget" in (tmp_path / "s" / "search.html").read_text()
    assert not (tmp_path / "s" / "chosen.toml").exists()
    with pytest.raises(ConfigError, match=r"another configuration: search\.budget\.max_lut is 1000, was 100"):
        pick_point(config, tmp_path / "s", "0")
    assert not (tmp_path / "s" / ".lock").exists()


def test_two_searches_do_not_share_a_directory(config, limits, tmp_path, monkeypatch):
    import gatewright.search.drive as module

    class Second(FakeWorkers):
        def submit(self, task):
            with pytest.raises(GatewrightError, match="is in use by another gatewright run"):
                run_search(config, tmp_path / "s")
            return super().submit(task)

    monkeypatch.setattr(module, "_workers", lambda *_: Second(limits))
    monkeypatch.setattr(module, "write_result", lambda *_, **__: {})
    assert run_search(config, tmp_path / "s").ran == 6
