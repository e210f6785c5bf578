"""Tasks in, futures out: processes of this machine, or a Ray cluster. A worker that dies costs its task's time only."""

from __future__ import annotations

import os
import socket
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gatewright.errors import ConfigError
from gatewright.search.trial import Outcome, Task, Taught, run_task
from gatewright.tools import WorkerPool

if TYPE_CHECKING:
    from gatewright.data import Dataset

Result = Taught | Outcome
RAY_RETRIES = 20  # times that Ray runs a task again whose worker or node died


class Workers(Protocol):
    """What runs tasks."""

    def slots(self) -> int:
        """Return how many tasks run at a time; may change between calls."""
        ...

    def keeps_files(self) -> bool:
        """Whether workers see the search directory, so that a task's checkpoint outlives its worker."""
        ...

    def submit(self, task: Task) -> Future[Result]:
        """Start a task."""
        ...

    def lost(self, error: BaseException) -> bool:
        """Whether a future's exception means that its worker died, so that the task may be submitted again."""
        ...

    def close(self) -> None:
        """Give up what was started."""
        ...


class LocalWorkers:
    """Processes of this machine; each reads the dataset once. They end with the process that started them."""

    def __init__(self, jobs: int, data: Path) -> None:
        self._jobs = jobs or len(os.sched_getaffinity(0))
        self._data = data
        self._workers = self._new()

    def _new(self) -> WorkerPool:
        return WorkerPool(self._jobs, _begin, self._data)

    def slots(self) -> int:
        """Return the number of processes."""
        return self._jobs

    def keeps_files(self) -> bool:
        """They do."""
        return True

    def submit(self, task: Task) -> Future[Result]:
        """Start a task, in new processes where one of the old has died."""
        try:
            return self._workers.pool.submit(_local_task, task)
        except BrokenProcessPool:
            self._workers.end()
            self._workers = self._new()
            return self._workers.pool.submit(_local_task, task)

    def lost(self, error: BaseException) -> bool:
        """Whether a process was killed."""
        return isinstance(error, BrokenProcessPool)

    def close(self) -> None:
        """End the processes at once; a search that is stopped waits for no training."""
        self._workers.end()


class RayWorkers:
    """Tasks on a Ray cluster; the dataset goes into its object store once."""

    def __init__(self, address: str, jobs: int, data: Dataset) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise ConfigError("--ray needs the package ray; pip install 'gatewright[ray]'") from None
        self._ray: Any = ray
        self._jobs = jobs
        try:
            _knock(address)
            self._ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ConfigError(
                f"no Ray cluster at {address!r} ({str(error).splitlines()[0]}); start one with `ray start --head` "
                "and give its address"
            ) from None
        self._data = self._ray.put(data)
        self._remote = self._ray.remote(num_cpus=1, max_retries=RAY_RETRIES)(run_task)

    def slots(self) -> int:
        """Return the number of jobs asked for, or the CPUs that the cluster has at present."""
        return self._jobs or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def keeps_files(self) -> bool:
        """Not on other machines."""
        return False

    def submit(self, task: Task) -> Future[Result]:
        """Start a task; Ray itself runs it again where its worker or node dies."""
        return self._remote.remote(task, self._data).future()

    def lost(self, error: BaseException) -> bool:
        """Whether Ray gave a task up, rather than the task itself failed."""
        errors = self._ray.exceptions
        return isinstance(error, errors.RayError) and not isinstance(error, errors.RayTaskError)

    def close(self) -> None:
        """Leave the cluster; its tasks of this search end."""
        self._ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError where nothing listens at HOST:PORT, which Ray itself would find out in minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


_data: Dataset | None = None  # of a worker process


def _begin(folder: Path) -> None:
    """Prepare a worker process: the dataset."""
    from gatewright.data import Dataset

    global _data  # noqa: PLW0603 -- a pool's processes have no other memory
    _data = Dataset.load(folder)


def _local_task(task: Task) -> Result:
    assert _data is not None
    return run_task(task, _data)
