"""Run the book's notebooks in its order, each in a kernel of its own.

An executed notebook is put in its place only when it is complete. It is kept as long as what it
depends on is unchanged: its own source, its parameters, the code that it imports, the data.
"""

from __future__ import annotations

import ast
import asyncio
import json
import math
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtutorial.datasets import MAKERS, Dataset, load
from mmtutorial.evaluation.splits import Split, default_split, with_parts
from mmtutorial.reproduce import evidence
from mmtutorial.reproduce.cache import data_digest, key, write
from mmtutorial.reproduce.threads import ONE_THREAD
from mmtutorial.storage.digests import code_digest, imported_names
from mmtutorial.storage.files import expanded

if TYPE_CHECKING:
    from nbclient import NotebookClient

Tell = Callable[["Run"], None]
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PEAK = "__import__('mmtutorial.memory', fromlist=['memory']).peak_memory()"
_RESULTS = re.compile(r"mmtutorial\.reproduce\.(evidence|results)\b")
_BUSY = 300  # seconds until a busy machine has passed on what a cell has printed


def quote(chapter: str, **numbers: Any) -> None:
    """Hand numbers of this run to the text of a chapter, as "chapter-name"; see `evidence.quote`.

    Parameters
    ----------
    chapter : str
        With what the names begin.
    **numbers
        Numbers and texts; "_" in a name becomes "-".

    Examples
    --------
    >>> from unittest.mock import patch
    >>> with patch("mmtutorial.reproduce.evidence.quote") as handed:
    ...     quote("data", n_items=3)
    >>> handed.call_args
    call('data-n-items', 3)
    """
    for name, number in numbers.items():
        evidence.quote(f"{chapter}-{name.replace('_', '-')}", number)


def opened(
    dataset: str, seed: int = 0, readable: Callable[[Dataset], bool] = lambda _: True
) -> tuple[Dataset, Split, str, list[str]]:
    """Load and split the data set of a chapter; where that is impossible, take what is possible.

    Parameters
    ----------
    dataset, seed : str, int
        The chapter's parameters.
    readable : callable, optional
        Says whether the chapter can use a data set; where it cannot, a small shop stands in.

    Returns
    -------
    data : Dataset
    split : Split
        By the data set's rule; drawn at random where there are no times (`with_parts`).
    stand_in : str
        The name of the shop if it stands in, else empty.
    notes : list of str
        What readers must know of both, in Markdown; mostly empty.

    Raises
    ------
    ValueError
        If the data set is unknown, or its folder faulty.

    Examples
    --------
    >>> data, split, stand_in, notes = opened("shop", readable=lambda data: data.truth is None)
    >>> split.name, stand_in, len(notes)
    ('global time', 'shop', 1)
    """
    data = load(dataset, seed=seed) if dataset in MAKERS else load(dataset)
    stand_in, notes = "", []
    if not readable(data):
        notes.append(
            "*This chapter reads contents that the items of your data set do not have: a small "
            "shop stands in for it.*"
        )
        data = load("shop", n_items=300, n_users=800, seed=seed)
        stand_in = data.name
    try:
        return data, default_split(data), stand_in, notes
    except ValueError as fault:  # no times, or all alike
        refused = str(fault).partition(":")[0]
    notes.append(
        f"*Your data set cannot be split by time: {refused}. This chapter draws at random which "
        "interactions train, validate and test. [Chapter 10](10_your_own_data.ipynb) says what "
        "that changes.*"
    )
    data = with_parts(data, seed)
    return data, default_split(data), stand_in, notes


@dataclass(frozen=True)
class Notebook:
    """One notebook to run.

    Parameters
    ----------
    path : Path
        Where it lies.
    dataset, profile : str
        Its parameters.
    seed : int
        Its parameter.
    results : str
        Its parameter ``results_folder``, where it has one; "" for the committed results.
    """

    path: Path
    dataset: str = "shop"
    profile: str = "quick"
    seed: int = 0
    results: str = ""

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def place(self, out: Path) -> Path:
        """Say where the executed notebook goes."""
        dataset = Path(os.path.abspath(expanded(self.dataset))).name
        folder = out / "notebooks" / f"{dataset}-{self.profile}-seed{self.seed}"
        return folder / self.path.name

    def parameters(self) -> dict[str, Any]:
        """Return what differs from the defaults in its cell tagged ``parameters``.

        Raises
        ------
        ImportError
            If papermill is not installed.
        """
        try:
            import papermill
        except ImportError as fault:
            raise ImportError(
                "running notebooks needs papermill, which is not installed: "
                "pip install 'mmtutorial[book]'"
            ) from fault
        wanted = {
            "dataset": self.dataset, "profile": self.profile, "seed": self.seed,
            "results_folder": self.results,
        }  # fmt: skip
        if self.dataset not in MAKERS:  # a kernel works in the notebook's folder, not in ours
            wanted["dataset"] = os.path.abspath(expanded(self.dataset))
        return {
            name: wanted[name]
            for name, about in papermill.inspect_notebook(self.path).items()
            if name in wanted and wanted[name] != ast.literal_eval(about["default"])
        }

    def key(self) -> str:
        """Name the run by all that it depends on."""
        cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
        source = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
        return key(
            source=source, parameters=self.parameters(), results=self._shown(),
            code=_code([text for kind, text in source if kind == "code"]),
            data=data_digest(self.dataset),
        )  # fmt: skip

    def _shown(self) -> list[str]:
        """Return the tables of the results that it shows; none where it shows none."""
        if not shows_results(self.path):
            return []
        folder = Path(self.results or self.path.absolute().parents[1] / "results")
        return [table.read_text(encoding="utf-8") for table in sorted(folder.rglob("*.csv"))]


def shows_results(path: Path) -> bool:
    """Say whether a notebook shows results: the report, and chapters with evidence."""
    return bool(_RESULTS.search(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Run:
    """How a notebook came out.

    Parameters
    ----------
    notebook : Notebook
        Which.
    state : str
        "running", "done", "kept" from an earlier run, or "failed".
    seconds, peak_memory : float
        Of its run; memory in MiB, of its kernel. 0 while it runs, and memory of a failed one.
    executed : Path
        The executed notebook; of a failed one, as far as it came.
    cell : int or None
        Number of the cell that runs or failed, from 1, in the notebook as it was before its run.
    error : str
        What it said.
    cells : int
        How many it has; 0 where that is not known.
    """

    notebook: Notebook
    state: str
    seconds: float
    peak_memory: float
    executed: Path
    cell: int | None = None
    error: str = ""
    cells: int = 0


def in_order(root: str | Path) -> list[Path]:
    """Return the notebooks that ``_toc.yml`` names, in its order.

    Raises
    ------
    ValueError
        If the folder has no table of contents, or it names a notebook that is not there.
    """
    root = expanded(root)
    contents = root / "_toc.yml"
    if not contents.exists():
        raise ValueError(
            f"{root} holds no _toc.yml: run this in a clone of mmtutorial, or name one by --root"
        )
    names = re.findall(r"file:\s*(notebooks/\S+)", contents.read_text(encoding="utf-8"))
    paths = [root / f"{name}.ipynb" for name in names]
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise ValueError(f"{contents} names {missing[0]}, which does not exist: run `make pair`")
    return paths


def default_dataset(path: Path) -> str:
    """Return the data set that a notebook reads unless it is given another one.

    It is "shop" for most; a chapter on people names people.
    """
    source = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in source:
        if "parameters" in cell["metadata"].get("tags", ()):
            named = re.search(r'^dataset = "([^"]+)"', "".join(cell["source"]), re.MULTILINE)
            return named[1] if named else Notebook.dataset
    return Notebook.dataset


def quoted(executed: Path) -> dict[str, Any]:
    """Return what an executed notebook has glued for its text: numbers and words by name."""
    found: dict[str, Any] = {}
    for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            for kind, content in output.get("data", {}).items():
                if name and kind.startswith("application/papermill.record/text/plain"):
                    text = "".join(content)
                    try:
                        found[name] = ast.literal_eval(text)
                    except (ValueError, SyntaxError):
                        found[name] = text
    return found


def run_notebooks(
    work: Sequence[Notebook], out: str | Path, *, jobs: int = 1, tell: Tell | None = None
) -> list[Run]:
    """Run notebooks, ``jobs`` at a time, or keep what an earlier run has left.

    Each computes with one thread, unless environment variables such as OMP_NUM_THREADS say
    otherwise: its numbers do not depend on ``jobs`` or on the number of cores.
    A failing notebook is reported, and the others go on. Ctrl-C ends the kernels; what has been
    finished stays.

    Parameters
    ----------
    work : sequence of Notebook
        What to run, begun in this order.
    out : str or Path
        Executed notebooks go to its folder ``notebooks``.
    jobs : int
        How many run at a time.
    tell : callable, optional
        Called with the `Run` whenever a cell begins and at the end.

    Returns
    -------
    list of Run
        In the order of ``work``.

    Raises
    ------
    ValueError
        If jobs is below 1, a data set is unknown, or two notebooks would go to one place.
    ImportError
        If papermill is not installed.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; at least one is needed")
    out = expanded(out).absolute()
    places = [each.place(out) for each in work]
    for place in places:
        if places.count(place) > 1:
            raise ValueError(
                f"more than one notebook would go to {place}: name each data set once, "
                "and give folders different names"
            )
    with ThreadPoolExecutor(1) as thread:  # where nbclient leaves signals alone
        begun: list[Callable[[], object]] = []
        runs = thread.submit(asyncio.run, _in_turns(work, out, jobs, tell or _nobody, begun))
        try:
            return runs.result()
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None
        except BaseException:  # Ctrl-C
            for cancel in begun:
                cancel()
            raise


def _nobody(run: Run) -> None:
    """Tell nobody."""


async def _in_turns(
    work: Sequence[Notebook], out: Path, jobs: int, tell: Tell, begun: list[Callable[[], object]]
) -> list[Run]:
    """Run all; ``begun`` gets what ends everything, callable from another thread."""
    loop, here = asyncio.get_running_loop(), asyncio.current_task()
    assert here is not None
    begun.append(lambda: loop.call_soon_threadsafe(here.cancel))
    turns = asyncio.Semaphore(jobs)

    async def in_turn(notebook: Notebook) -> Run:
        async with turns:
            return await _run(notebook, out, tell)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(in_turn(each)) for each in work]
    return [task.result() for task in tasks]


async def _run(notebook: Notebook, out: Path, tell: Tell) -> Run:
    """Run one, unless it is there."""
    place = notebook.place(out)
    record, failed = place.with_suffix(".json"), place.with_suffix(".failed.ipynb")
    name = notebook.key()
    run = Run(notebook, "running", 0.0, 0.0, place)
    if place.exists() and record.exists():
        about = json.loads(record.read_text(encoding="utf-8"))
        if about.pop("key") == name:
            run = replace(run, state="kept", **about)
            tell(run)
            return run
    run, content = await _execute(run, tell)
    if run.error:
        write(failed, content)
        run = replace(run, executed=failed)
    else:
        record.unlink(missing_ok=True)  # never the old record beside the new notebook
        write(place, content)
        cost = {"seconds": run.seconds, "peak_memory": run.peak_memory}
        write(record, json.dumps({"key": name, **cost}))
        failed.unlink(missing_ok=True)
    tell(run)
    return run


async def _execute(run: Run, tell: Tell) -> tuple[Run, str]:
    """Execute a notebook in a kernel, telling each cell; return the run and the executed one."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    path, parameters = run.notebook.path.absolute(), run.notebook.parameters()
    book = nbformat.read(path, as_version=4)
    if parameters:
        book = parameterize_notebook(load_notebook_node(str(path)), parameters)
    client = NotebookClient(
        book, timeout=None, kernel_name="python3", record_timing=False, iopub_timeout=_BUSY,
        resources={"metadata": {"path": str(path.parent)}},
    )  # fmt: skip
    started, number, error, peak = time.perf_counter(), 0, "", 0.0
    injected = ["injected-parameters" in cell.metadata.get("tags", ()) for cell in client.nb.cells]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        async with client.async_setup_kernel(env={**ONE_THREAD, **os.environ}, **quiet):
            for place, cell in enumerate(client.nb.cells):
                number = place + 1 - sum(injected[: place + 1])
                if cell.cell_type == "code":
                    tell(replace(run, cell=number, cells=len(injected) - sum(injected)))
                await client.async_execute_cell(
                    cell, place, execution_count=client.code_cells_executed + 1
                )
            peak = await _peak_memory(client)
    except CellExecutionError as fault:
        error = f"{fault.ename}: {fault.evalue}\n{_COLOURS.sub('', fault.traceback)[-1500:]}"
    except DeadKernelError:
        error = "its kernel was ended from outside, perhaps for want of memory"
    except Exception as fault:
        error = f"{type(fault).__name__}: {fault}"
    here = asyncio.current_task()
    if here is not None and here.cancelling():  # which nbclient took for the kernel's death
        raise asyncio.CancelledError
    end = replace(
        run, state="failed" if error else "done", seconds=time.perf_counter() - started,
        peak_memory=peak, cell=number if error else None, error=error.strip(),
    )  # fmt: skip
    return end, nbformat.writes(client.nb)


async def _peak_memory(client: NotebookClient) -> float:
    """Return the most that a kernel has held, in MiB."""
    kernel = client.kc
    assert kernel is not None
    asked = kernel.execute("", silent=True, user_expressions={"peak": _PEAK})
    answer: Mapping[str, Any] = await client.async_wait_for_reply(asked) or {}
    found = answer.get("content", {}).get("user_expressions", {}).get("peak", {}).get("data", {})
    return float(found.get("text/plain", math.nan)) / 2**20


def _code(cells: Sequence[str]) -> str:
    """Return a digest of the code that cells import; of all where they may call anything."""
    lines = [
        line for cell in cells for line in cell.splitlines() if not line.startswith(("%", "!"))
    ]
    source = "\n".join(lines)
    names = imported_names(source)
    anything = "mmtutorial" in names or re.search(r"""["']mmtutorial["']""", source)
    return code_digest() if anything else code_digest(*names or ["mmtutorial"])
