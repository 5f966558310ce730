"""`mmtutorial reproduce`: every notebook, every experiment, the tables, and the report."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mmtutorial.datasets import MAKERS
from mmtutorial.reproduce.board import Board
from mmtutorial.reproduce.cache import write
from mmtutorial.reproduce.cluster import run_tasks
from mmtutorial.reproduce.grids import GRIDS, Facts, grid
from mmtutorial.reproduce.ledger import judge_all
from mmtutorial.reproduce.notebooks import (
    Notebook,
    Run,
    default_dataset,
    in_order,
    quoted,
    run_notebooks,
)
from mmtutorial.reproduce.report import write_page
from mmtutorial.reproduce.results import (
    Results,
    bands,
    check_results,
    gather,
    is_table_of_results,
    outside,
    quoted_table,
)
from mmtutorial.reproduce.search import as_json, search
from mmtutorial.reproduce.settings import read_settings, settings_file
from mmtutorial.reproduce.tasks import Task
from mmtutorial.storage.files import expanded
from mmtutorial.terminal import say

REPORT = "09_reproduction"
FIRST = "fusions"  # the experiment that it begins with


def reproduce(
    datasets: Sequence[str] = ("shop",),
    *,
    profile: str = "quick",
    n_seeds: int = 1,
    out: str | Path = "out",
    only: Sequence[str] = ("*",),
    jobs: int = 1,
    scheduler: str | None = None,
    root: str | Path = ".",
    into: str | Path | None = None,
    trials: int | None = None,
    memory: float | None = None,
    console: Console | None = None,
) -> tuple[Results, list[str]]:
    """Run it all, or what is missing of it, and write results and report.

    Parameters
    ----------
    datasets : sequence of str
        Names or folders.
    profile : {"quick", "full"}
        Of notebooks and experiments. Profile full takes the options in ``results/settings``.
    n_seeds : int
        Seeds of the experiments; notebooks run with seed 0.
    out : str or Path
        Gets ``notebooks/``, ``outcomes/``, ``results/`` and ``report.html``; what is there and
        still holds is kept.
    only : sequence of str
        Patterns: notebooks and experiments of whose names one matches.
    jobs : int
        How much runs at a time on this machine.
    scheduler : str, optional
        Address of a Dask scheduler, for the experiments.
    root : str or Path
        The clone that holds the notebooks.
    into : str or Path, optional
        A folder of results, in which what has been measured takes the place of what stood there;
        the report is then on all of them.
    trials : int, optional
        First search the options of every arm anew, with so many trials each; see
        `mmtutorial.reproduce.search`.
    memory : float, optional
        MiB; a notebook that held more is a fault.

    Returns
    -------
    results : Results
        Also written to ``out/results``; with ``into``, all of those that it holds now.
    faults : list of str
        One text a notebook, experiment or report that failed; empty if all went well.

    Raises
    ------
    ValueError
        For an unknown data set, profile or pattern, a root without notebooks, results that do
        not go into those of ``into``, files of others that would be replaced, or a search in
        profile quick, which would not use it.
    """
    console = console or Console()
    out, root = expanded(out), expanded(root)
    datasets = [name if name in MAKERS else str(expanded(str(name))) for name in datasets]
    _check_places(out, into)
    if trials is not None and profile != "full":
        raise ValueError("options are searched for profile full: give --profile full with --tune")
    work, grids = _chosen(datasets, profile, only, root)
    if trials is not None:
        _search_anew(datasets, out, root, trials, jobs, console)
    tasks = [
        task
        for name in datasets
        for task in (_grid(name, profile, n_seeds, grids, root) if grids else ())
    ]
    board = Board(work, len(tasks), console)
    with board:
        runs = run_notebooks(work, out, jobs=jobs, tell=board.notebook)
        outcomes, failures = run_tasks(
            tasks, out, jobs=jobs, scheduler=scheduler, tell=board.experiment
        )
    results = gather(outcomes, _quotes(runs), profile=profile)
    folder = results.save(out / "results")
    if into is not None:
        there = (expanded(into) / "measures.csv").exists()
        results = Results.open(into).renewed(results) if there else results
        folder = results.save(into)
    faults = [_fault(run) for run in runs if run.state == "failed"]
    faults += [str(failure) for failure in failures]
    faults += [_too_large(run, memory) for run in runs if memory and run.peak_memory > memory]
    for verdict in judge_all(results):
        say(f"{verdict.row.id:3} {verdict.word}", to=console)
    faults += _report(results, folder, root, out, datasets[0], profile, console)
    return results, faults


def _chosen(
    datasets: Sequence[str], profile: str, only: Sequence[str], root: Path
) -> tuple[list[Notebook], list[str]]:
    """Return the notebooks and the names of the grids that the patterns match."""
    paths = in_order(root)

    def wanted(name: str) -> bool:
        return name != REPORT and any(fnmatch.fnmatch(name, pattern) for pattern in only)

    chosen = [path for path in paths if wanted(path.stem)]
    grids = [name for name in GRIDS if wanted(name)]
    if not chosen and not grids:
        known = ", ".join([*(path.stem for path in paths), *GRIDS])
        raise ValueError(f"nothing matches --only {' '.join(only)!r}; there are {known}")
    work = [
        Notebook(path, default_dataset(path) if name == Notebook.dataset else name, profile)
        for name in datasets
        for path in chosen
    ]
    return list(dict.fromkeys(work)), grids


def _grid(dataset: str, profile: str, n_seeds: int, grids: Sequence[str], root: Path) -> list[Task]:
    """Return the tasks of a data set, with the options that were chosen for it."""
    settings = read_settings(settings_file(root, dataset)) if profile == "full" else {}
    return grid(dataset, profile, n_seeds, grids, chosen=settings)


def _search_anew(
    datasets: Sequence[str], out: Path, root: Path, trials: int, jobs: int, console: Console
) -> None:
    """Search the options of every arm, and write them where profile full takes them from."""
    for name in datasets:
        path = settings_file(root, name)
        read_settings(path)  # a file of others is refused before hours of search

        def tell(done: int, of: int, arm: str, name: str = name) -> None:
            say(f"search on {name}: {done} of {of}, {arm}", to=console)

        found = search(Facts.of(name), out, n_trials=trials, jobs=jobs, tell=tell)
        write(path, as_json(found))
        say(f"Chosen options: {path}", to=console)


def _report(
    results: Results,
    folder: Path,
    root: Path,
    out: Path,
    dataset: str,
    profile: str,
    console: Console,
) -> list[str]:
    """Run the report on these results, and write it as a page; return what failed."""
    if FIRST not in set(results.measures.get("experiment", ())):
        say(f"No report: it begins with {FIRST}, which these results do not hold", to=console)
        return []
    path = root / "notebooks" / f"{REPORT}.ipynb"
    page = Notebook(path, dataset, profile, 0, str(folder.absolute()))
    (report,) = run_notebooks([page], out)
    if report.state == "failed":
        return [_fault(report)]
    write_page(report.executed, out / "report.html")
    say(f"The report: file://{(out / 'report.html').absolute()}", to=console)
    return []


def _too_large(run: Run, memory: float | None) -> str:
    where = f"{run.notebook.path} on {run.notebook.dataset}"
    return f"{where} held {run.peak_memory:.0f} MiB of memory, above {memory:.0f}"


def _check_places(out: Path, into: str | Path | None) -> None:
    """Refuse to write over what is not ours, before anything is measured."""
    ours = (out / "outcomes").is_dir() or (out / "notebooks").is_dir()
    if (out / "report.html").exists() and not ours:
        raise ValueError(
            f"{out} holds a report.html that is not ours, and it would be replaced: name another "
            "folder by --out"
        )
    for folder in (out / "results", *([] if into is None else [expanded(into)])):
        check_results(folder)


def check_bands(results: Results, path: str | Path) -> list[str]:
    """Hold the key measures against their bands; one line for each outside (`bands`)."""
    import pandas as pd

    known = pd.read_csv(expanded(path), converters={"dataset": str})
    return outside(results.measures, known)


def write_bands(results: Results, path: str | Path) -> Path:
    """Renew the bands from the spread of these results' seeds; ValueError for another file."""
    path = expanded(path)
    if not is_table_of_results(path):
        raise ValueError(f"{path} holds no bands; nothing was written: name another file")
    text = bands(results.measures).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return write(path, text)


def _quotes(runs: Sequence[Run]) -> Any:
    return quoted_table(
        {
            "dataset": run.notebook.dataset, "profile": run.notebook.profile,
            "seed": run.notebook.seed, "notebook": run.notebook.name, "name": name, "value": value,
        }
        for run in runs if run.state != "failed"
        for name, value in quoted(run.executed).items()
    )  # fmt: skip


def _fault(run: Run) -> str:
    where = "" if run.cell is None else f", cell {run.cell}"
    return f"{run.notebook.path} on {run.notebook.dataset}{where}: {run.error}"
