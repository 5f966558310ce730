"""One `map` for all experiments: processes of this machine, or a Dask cluster; the same results.

Every finished outcome is written at once under its task's key, so that an interrupted run goes on
where it stopped; on this machine, also in the middle of learning, from its last epoch. A worker
that dies loses its own task only, and that task is tried again.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import Any

from mmtutorial.reproduce.experiments import Outcome, Task, measure
from mmtutorial.reproduce.store import write
from mmtutorial.storage.checkpoint import remove_unfinished
from mmtutorial.storage.files import expanded

ATTEMPTS = 3  # at a task whose worker died
UNFINISHED = "unfinished"

Tell = Callable[[int, int, Task], None]  # done, of, the last one


class TaskError(RuntimeError):
    """A task raised, or its worker died again and again; says which task and why."""


def run_tasks(
    tasks: Sequence[Task],
    out: str | Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    tell: Tell | None = None,
    function: Callable[[Task], Outcome] | None = None,
) -> tuple[list[Outcome], list[TaskError]]:
    """Measure all tasks, or take from ``out`` what has been measured already.

    Parameters
    ----------
    tasks : sequence of Task
        What to measure.
    out : str or Path
        Outcomes are kept in its folder ``outcomes``, one file a task, and what is being learnt in
        ``unfinished``, which goes when all tasks have an outcome.
    jobs : int, optional
        Processes of this machine at a time; one a core without it. 1 works in one process too.
    scheduler : str, optional
        Address of a Dask scheduler, such as "tcp://10.0.0.1:8786": its workers measure, with the
        same version of this library (extra ``distributed``).
    tell : callable, optional
        Called with the number of finished tasks, of all, and the task that has just finished.
    function : callable
        What turns a task into an outcome; `measure` without it.

    Returns
    -------
    outcomes : list of Outcome
        In the order of ``tasks``, those that failed left out.
    failures : list of TaskError
        One a failed task; the others have gone on.

    Raises
    ------
    ValueError
        If jobs is below 1.
    ImportError
        If a scheduler is named and Dask is not installed.
    """
    jobs = (os.cpu_count() or 1) if jobs is None else jobs
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; at least one is needed")
    out = expanded(out)
    folder = out / "outcomes"
    found: dict[str, Outcome] = {}
    failed: dict[str, TaskError] = {}
    todo: dict[str, Task] = {}
    for task in tasks:
        name = task.key()
        kept = _kept(folder / f"{name}.npz")
        if kept is None:
            todo[name] = task
        else:
            found[name] = kept

    total = len(found) + len(todo)

    def finish(name: str, outcome: Outcome | BaseException) -> None:
        if isinstance(outcome, BaseException):
            task = todo[name]
            what = f"{task.experiment}, {task.recommender} on {task.dataset}, seed {task.seed}"
            failed[name] = TaskError(f"{what}: {type(outcome).__name__}: {outcome}")
        else:
            write(folder / f"{name}.npz", outcome.to_bytes())
            found[name] = outcome
        if tell:
            tell(len(found) + len(failed), total, todo[name])

    if todo and scheduler:
        _by_dask(todo, scheduler, function or measure, finish)
    elif todo:
        going_on = functools.partial(measure, resume=out.absolute() / UNFINISHED)
        _by_processes(todo, jobs, function or going_on, finish)
    if not failed:
        remove_unfinished(out / UNFINISHED)
    names = list(dict.fromkeys(task.key() for task in tasks))
    return [found[name] for name in names if name in found], list(failed.values())


def _kept(path: Path) -> Outcome | None:
    """Read an outcome; a damaged one is made again, one that may not be read is an OSError."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return Outcome.of_bytes(path.read_bytes())
    return None


def _by_processes(
    todo: dict[str, Task],
    jobs: int,
    function: Callable[[Task], Outcome],
    finish: Callable[[str, Any], None],
) -> None:
    """Measure in processes that live on; when one dies, begin anew with what is left."""
    attempts = dict.fromkeys(todo, 0)
    left = list(todo)
    fresh = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    while left:
        pool = ProcessPoolExecutor(
            min(jobs, len(left)), mp_context=fresh, initializer=_end_with_parent
        )
        waiting = iter(list(left))
        running: dict[Future[Outcome], str] = {}
        try:
            while True:
                for name in waiting:
                    running[pool.submit(function, todo[name])] = name
                    if len(running) == jobs:
                        break
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                broken = False
                for future in done:
                    fault = future.exception()
                    if isinstance(fault, BrokenProcessPool):
                        broken = True
                        continue
                    name = running.pop(future)
                    left.remove(name)
                    finish(name, fault or future.result())
                if broken:
                    raise BrokenProcessPool
        except BrokenProcessPool:
            for name in running.values():
                attempts[name] += 1
                if attempts[name] == ATTEMPTS:
                    left.remove(name)
                    finish(name, RuntimeError(f"its process ended {ATTEMPTS} times"))
        finally:
            _end(pool)


def _end_with_parent() -> None:
    """Let a worker end when the process that started it is gone, however that ended."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end(pool: ProcessPoolExecutor) -> None:
    """Leave no process behind, whatever ended the run."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def _by_dask(
    todo: dict[str, Task],
    address: str,
    function: Callable[[Task], Outcome],
    finish: Callable[[str, Any], None],
) -> None:
    """Measure on a cluster, which tries again what a dying worker lost."""
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as fault:
        raise ImportError(
            "a scheduler needs Dask, which is not installed: pip install 'mmtutorial[distributed]'"
        ) from fault
    left = list(todo)
    with closing(Client(address, set_as_default=False)) as client:
        for attempt in range(1, ATTEMPTS + 1):
            futures = {
                client.submit(
                    function, todo[name], key=f"mmtutorial-{name}-{attempt}", pure=False
                ): name
                for name in left
            }
            for future in as_completed(list(futures)):
                name = futures[future]
                own = future.exception() if future.status == "error" else None
                outcome: Any = own
                if own is None or isinstance(own, KilledWorker):
                    try:
                        outcome = future.result()
                    except Exception as lost:  # finished, and died with its worker
                        if attempt < ATTEMPTS:
                            continue
                        outcome = lost
                left.remove(name)
                finish(name, outcome)
