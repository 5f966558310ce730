"""One map for all work: processes of this machine, or a Dask cluster; the same results.

Every finished outcome is written at once under its task's key, so that an interrupted run goes on
where it stopped; on this machine, also in the middle of learning, from its last epoch. A worker
that dies loses its own task only, and that task is tried again.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtutorial.reproduce.cache import write
from mmtutorial.reproduce.measure import measure
from mmtutorial.reproduce.tasks import Outcome, Task
from mmtutorial.reproduce.threads import ONE_THREAD
from mmtutorial.storage.checkpoint import remove_unfinished
from mmtutorial.storage.files import expanded

if TYPE_CHECKING:
    from distributed import Client

ATTEMPTS = 3  # at work whose worker died
UNFINISHED = "unfinished"
# Dask's own has workers hand freed memory back at once, and ask for it again in the next step: a
# third of a tower's time. Threads are one a process in any case.
_ENVIRONMENT = {"distributed.nanny.pre-spawn-environ": dict.fromkeys(ONE_THREAD, 1)}

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
        Processes of this machine at a time; one a core without it.
    scheduler : str, optional
        Address of a Dask scheduler, such as "tcp://10.0.0.1:8786": its workers measure, with the
        same version of this library.
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
        If there is something to measure and Dask is not installed (extra ``distributed``).
    """
    jobs = checked_jobs(jobs)
    out = expanded(out)
    places = {task.key(): task for task in tasks}
    found: dict[str, Outcome] = {}
    for name in places:
        if kept := Outcome.kept(out / "outcomes" / f"{name}.npz"):
            found[name] = kept
    todo = {name: task for name, task in places.items() if name not in found}
    failed: dict[str, TaskError] = {}
    if function is None:
        folder = None if scheduler else out.absolute() / UNFINISHED
        function = functools.partial(measure, resume=folder)
    for name, outcome in run_all(function, todo, jobs, scheduler) if todo else ():
        task = todo[name]
        if isinstance(outcome, Exception):
            what = f"{task.experiment}, {task.recommender} on {task.dataset}, seed {task.seed}"
            failed[name] = TaskError(f"{what}: {type(outcome).__name__}: {outcome}")
        else:
            write(out / "outcomes" / f"{name}.npz", outcome.to_bytes())
            found[name] = outcome
        if tell:
            tell(len(found) + len(failed), len(places), task)
    if not failed:
        remove_unfinished(out / UNFINISHED)
    return [found[name] for name in places if name in found], list(failed.values())


def checked_jobs(jobs: int | None) -> int:
    """Return how much runs at a time: all cores without a number; ValueError below 1.

    >>> checked_jobs(2)
    2
    """
    jobs = (os.cpu_count() or 1) if jobs is None else jobs
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; at least one is needed")
    return jobs


def run_all(
    function: Callable[[Any], Any],
    work: Mapping[str, Any],
    jobs: int = 1,
    scheduler: str | None = None,
) -> Iterator[tuple[str, Any]]:
    """Yield each name with what the function made of its work, or the exception, as they come.

    Work whose worker died is tried again; an exception of the function is its outcome. Whatever
    ends the loop, no process of this machine is left behind.

    Raises
    ------
    ImportError
        If Dask is not installed.
    """
    left = list(work)
    with _client(min(jobs, len(left)), scheduler) as client:
        from distributed import KilledWorker, as_completed

        for attempt in range(1, ATTEMPTS + 1):
            futures = {
                client.submit(
                    function, work[name], key=f"mmtutorial-{name}-{attempt}", pure=False
                ): name
                for name in left
            }
            for future in as_completed(list(futures), loop=client.loop):
                outcome: Any = future.exception() if future.status == "error" else None
                if outcome is None or isinstance(outcome, KilledWorker):
                    try:
                        outcome = future.result()
                    except Exception as lost:  # finished, and died with its worker
                        if attempt < ATTEMPTS:
                            continue
                        outcome = lost
                left.remove(futures[future])
                yield futures[future], outcome


@contextlib.contextmanager
def _client(jobs: int, scheduler: str | None) -> Iterator[Client]:
    """Connect to a cluster, or to processes of this machine, which end with this one."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as fault:
        raise ImportError(
            "experiments need Dask, which is not installed: pip install 'mmtutorial[distributed]'"
        ) from fault
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            stack.enter_context(dask.config.set(_ENVIRONMENT))
            scheduler = stack.enter_context(
                LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=0,
                    dashboard_address=":0",
                    silence_logs=logging.CRITICAL,
                )
            )
        yield stack.enter_context(Client(scheduler, set_as_default=False))
