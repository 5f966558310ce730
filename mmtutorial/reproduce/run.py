"""`mmtutorial reproduce`: every notebook, every experiment, the tables, and the report."""

from __future__ import annotations

import fnmatch
import os
import re
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mmtutorial.datasets import MAKERS
from mmtutorial.reproduce.experiments import GRIDS, grid
from mmtutorial.reproduce.ledger import judge_all
from mmtutorial.reproduce.notebooks import Notebook, Run, in_order, quoted, run_notebooks
from mmtutorial.reproduce.results import (
    RESULTS,
    Results,
    bands,
    check_results,
    gather,
    is_table_of_results,
    outside,
    quoted_table,
)
from mmtutorial.reproduce.scheduler import run_tasks
from mmtutorial.reproduce.store import key, write
from mmtutorial.storage.files import expanded
from mmtutorial.terminal import plain, say

REPORT = "09_reproduction"
FIRST = "fusions"  # the experiment that it begins with


def reproduce(
    datasets: Sequence[str] = ("shop",),
    *,
    profile: str = "quick",
    n_seeds: int = 1,
    out: str | Path = "out",
    only: str = "*",
    jobs: int = 1,
    scheduler: str | None = None,
    root: str | Path = ".",
    into: str | Path | None = None,
    console: Console | None = None,
) -> tuple[Results, list[str]]:
    """Run it all, or what is missing of it, and write results and report.

    Parameters
    ----------
    datasets : sequence of str
        Names or folders.
    profile : {"quick", "full"}
        Of notebooks and experiments.
    n_seeds : int
        Seeds of the experiments; notebooks run with seed 0.
    out : str or Path
        Gets ``notebooks/``, ``outcomes/``, ``results/`` and ``report.html``; what is there and
        still holds is kept.
    only : str
        A pattern: notebooks and experiments whose names it matches.
    jobs : int
        How much runs at a time on this machine.
    scheduler : str, optional
        Address of a Dask scheduler, for the experiments.
    root : str or Path
        The clone that holds the notebooks.
    into : str or Path, optional
        A folder of results, in which what has been measured takes the place of what stood there;
        the report is then on all of them.

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
        not go into those of ``into``, or files of others that would be replaced.
    """
    console = console or Console()
    out, root = expanded(out), expanded(root)
    datasets = [name if name in MAKERS else str(expanded(str(name))) for name in datasets]
    _check_places(out, into)
    paths = in_order(root)
    chosen = [path for path in paths if fnmatch.fnmatch(path.stem, only) and path.stem != REPORT]
    grids = [name for name in GRIDS if fnmatch.fnmatch(name, only)]
    if not chosen and not grids:
        known = ", ".join([*(path.stem for path in paths), *GRIDS])
        raise ValueError(f"nothing matches --only {only!r}; there are {known}")
    tasks = [
        task for name in datasets for task in (grid(name, profile, n_seeds, grids) if grids else [])
    ]
    work = [Notebook(path, name, profile) for name in datasets for path in chosen]
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
    for verdict in judge_all(results):
        say(f"{verdict.row.id:3} {verdict.word}", to=console)
    if FIRST in set(results.measures.get("experiment", ())):
        os.environ[RESULTS] = str(folder.absolute())
        digest = key(
            tables=[(folder / f"{n}.csv").read_text("utf-8") for n in ("measures", "quoted")]
        )
        page = Notebook(root / "notebooks" / f"{REPORT}.ipynb", datasets[0], profile, 0, digest)
        (report,) = run_notebooks([page], out)
        if report.state == "failed":
            faults.append(_fault(report))
        else:
            _as_page(report.executed, out / "report.html")
            say(f"The report: file://{(out / 'report.html').absolute()}", to=console)
    else:
        say(f"No report: it begins with {FIRST}, which these results do not hold", to=console)
    return results, faults


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


PAGE = """{% extends 'index.html.j2' %}
{% block html_head_js_requirejs %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_js_mathjax %}<script>
window.MathJax = {
  tex: {inlineMath: [["$", "$"]], processEscapes: true},
  options: {enableMenu: false, enableEnrichment: false},  // both load more
};
{{ resources.mathjax }}
</script>{% endblock %}"""  # JupyterLab's own, without what it takes from elsewhere


def _as_page(executed: Path, place: Path) -> None:
    """Write an executed notebook as one page of HTML that needs nothing from elsewhere."""
    import nbformat
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    notebook = nbformat.read(executed, as_version=4)
    values = quoted(executed)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source, values)
        else:  # what is quoted stands in the text
            cell.outputs = [o for o in cell.outputs if "scrapbook" not in o.get("metadata", {})]
    exporter = HTMLExporter(
        exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True,
        template_file="page.html.j2",
        extra_loaders=[DictLoader({"page.html.j2": PAGE})],
    )  # fmt: skip
    (mathjax,) = (
        file for file in files("sphinx-mathjax-offline") or () if file.name == "tex-svg.js"
    )
    text, _ = exporter.from_notebook_node(notebook, {"mathjax": mathjax.read_text("utf-8")})
    write(place, text)


def plain_markdown(source: str, values: Mapping[str, Any]) -> str:
    """Write the book's directives as plain Markdown, with what the text quotes.

    >>> plain_markdown("{term}`Seeds <seed>`: {glue:text}`n`, see {eq}`eq-gain`", {"n": 5})
    'Seeds: 5, see (eq-gain)'
    """
    source = re.sub(r"```{math}\n:label: (\S+)\n(.*?)```", r"$$\2$$ (\1)", source, flags=re.S)
    source = re.sub(r"```{dropdown} (.*?)\n(.*?)```", r"*\1.* \2", source, flags=re.S)
    source = re.sub(
        r"{glue:text}`([^`]*)`", lambda found: str(values.get(found[1], found[1])), source
    )
    source = re.sub(r"{eq}`([^`]*)`", r"(\1)", source)
    source = re.sub(r"{(?:term|doc)}`([^`<]*?)(?: <[^`]*>)?`", r"\1", source)
    return re.sub(r"{cite}`([^`]*)`", r"[\1]", source)


class Board:
    """One live table in the terminal; plain lines where there is none."""

    columns = ("what", "data set", "state", "seconds", "peak memory (MiB)")

    def __init__(self, work: Sequence[Notebook], n_tasks: int, console: Console) -> None:
        self.console = console
        self.runs: dict[tuple[str, str], Run | None] = {(n.name, n.dataset): None for n in work}
        self.begun: dict[tuple[str, str], float] = {}
        self.tasks, self.n_tasks = 0, n_tasks
        self.live = Live(console=console, refresh_per_second=2, get_renderable=self._table)

    def __enter__(self) -> Board:
        """Show the table, in a terminal."""
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *fault: object) -> None:
        """Leave it there as it is."""
        if self.console.is_terminal:
            self.live.stop()

    def notebook(self, run: Run) -> None:
        """Tell of a notebook."""
        name = (run.notebook.name, run.notebook.dataset)
        self.begun.setdefault(name, time.monotonic())
        self.runs[name] = run
        if not self.console.is_terminal and run.state != "running":
            what = f"{run.notebook.name} on {run.notebook.dataset}: {run.state}"
            cost = f"{run.seconds:.0f} s, {run.peak_memory:.0f} MiB"
            say(f"{what}, {cost}", to=self.console)

    def experiment(self, done: int, of: int, task: Any) -> None:
        """Tell of the experiments."""
        self.tasks, self.n_tasks = done, of
        if not self.console.is_terminal and (done % 20 == 0 or done == of):
            say(f"experiments: {done} of {of}", to=self.console)

    def _table(self) -> Table:
        table = Table(*self.columns)
        for name, run in self.runs.items():
            if run is None:
                told = ["waits"]
            elif run.state == "running":
                spent = time.monotonic() - self.begun[name]
                told = [f"cell {run.cell} of {run.cells}", f"{spent:.0f}"]
            else:
                told = [run.state, f"{run.seconds:.0f}", f"{run.peak_memory:.0f}"]
            table.add_row(*map(plain, (*name, *told)))
        if self.n_tasks:
            table.add_row("experiments", "", f"{self.tasks} of {self.n_tasks}")
        return table
