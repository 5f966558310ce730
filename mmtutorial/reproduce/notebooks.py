"""Run the book's notebooks with papermill, in its order, each in a process of its own.

An executed notebook is put in its place only when it is complete. It is kept as long as what it
depends on is unchanged: its own source, its parameters, the library, the data.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from mmtutorial.datasets import MAKERS
from mmtutorial.reproduce.store import ONE_THREAD, data_digest, key, write
from mmtutorial.storage.digests import library_digest
from mmtutorial.storage.files import expanded

Tell = Callable[["Run"], None]
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


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
    depends : str
        A digest of what else it reads, such as results.
    """

    path: Path
    dataset: str = "shop"
    profile: str = "quick"
    seed: int = 0
    depends: str = ""

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
        wanted = {"dataset": self.dataset, "profile": self.profile, "seed": self.seed}
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
        reports = any(kind == "code" and re.search(r"\breproduce\b", text) for kind, text in source)
        unused = ("cli.py",) if reports else ("cli.py", "reproduce")
        return key(
            source=source, parameters=self.parameters(), depends=self.depends,
            library=library_digest(unused), data=data_digest(self.dataset),
        )  # fmt: skip


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
        Of its run; memory in MiB, the kernel's included. 0 while it runs.
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
    A failing notebook is reported, and the others go on. Ctrl-C ends the processes; what has been
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
        Called with the `Run` whenever a cell begins and at the end; from several threads if
        ``jobs`` is above 1.

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
    running: set[subprocess.Popen[str]] = set()
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_run, each, out, tell, running, stop) for each in work]
        try:
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.kill()
            raise


def _run(
    notebook: Notebook,
    out: Path,
    tell: Tell | None,
    running: set[subprocess.Popen[str]],
    stop: threading.Event,
) -> Run:
    """Run one, unless it is there."""
    place = notebook.place(out)
    record, failed = place.with_suffix(".json"), place.with_suffix(".failed.ipynb")
    name = notebook.key()
    if place.exists() and record.exists():
        about = json.loads(record.read_text(encoding="utf-8"))
        if about["key"] == name:
            run = Run(notebook, "kept", about["seconds"], about["peak_memory"], place)
            if tell:
                tell(run)
            return run
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.stem}.{os.getpid()}.part.ipynb")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", __name__, str(notebook.path.absolute()), str(part),
         json.dumps(notebook.parameters())], env={**ONE_THREAD, **os.environ},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    running.add(process)
    if stop.is_set():  # it began while the others were being ended
        process.kill()
    cell: int | None = None
    end: dict[str, Any] = {
        "seconds": 0.0, "peak_memory": 0.0,
        "error": "its process was ended from outside, perhaps for want of memory",
    }  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if not line.endswith("\n"):  # it was ended while it spoke
            break
        said = json.loads(line)
        if "seconds" in said:
            end = said
            continue
        cell = said["cell"] + 1
        if tell:
            tell(Run(notebook, "running", 0.0, 0.0, place, cell, cells=said["of"]))
    process.wait()
    process.communicate()  # closes its pipes; not before its end, which it would hasten
    running.discard(process)
    seconds, peak_memory, error = end["seconds"], end["peak_memory"], end["error"]
    if stop.is_set() and error:
        part.unlink(missing_ok=True)
        return Run(notebook, "failed", seconds, peak_memory, failed, cell, error)
    if error:
        if part.exists():
            os.replace(part, failed)
        run = Run(notebook, "failed", seconds, peak_memory, failed, cell, error)
        if tell:
            tell(run)
        return run
    record.unlink(missing_ok=True)  # never the old record beside the new notebook
    os.replace(part, place)
    write(record, json.dumps({"key": name, "seconds": seconds, "peak_memory": peak_memory}))
    failed.unlink(missing_ok=True)
    run = Run(notebook, "done", seconds, peak_memory, place)
    if tell:
        tell(run)
    return run


@dataclass
class _Teller:
    """Write one line of JSON for each cell that begins; the process above reads them."""

    to: TextIO
    of: int = 0
    cell: int = 0

    def say(self, **about: Any) -> None:
        print(json.dumps({"of": self.of, "cell": self.cell, **about}), file=self.to, flush=True)


def _execute(source: str, target: str, parameters: Mapping[str, Any], to: TextIO) -> int:
    """Run papermill in this process, telling each cell."""
    import time

    # jsonschema's grammar of addresses, of which notebooks have none: longer to load than the rest
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines

    teller = _Teller(to)

    class Telling(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, manager: Any, kernel_name: str, **options: Any) -> Any:
            begin = manager.cell_start
            injected = [
                number
                for number, cell in enumerate(manager.nb.cells)
                if "injected-parameters" in cell.metadata.get("tags", [])
            ]
            teller.of = len(manager.nb.cells) - len(injected)

            def cell_start(cell: Any, cell_index: int = 0, **more: Any) -> Any:
                teller.cell = cell_index - sum(number <= cell_index for number in injected)
                teller.say()
                return begin(cell, cell_index=cell_index, **more)

            manager.cell_start = cell_start
            return super().execute_managed_notebook(manager, kernel_name, **options)

    papermill_engines.register("telling", Telling)
    started, error = time.perf_counter(), ""
    try:
        papermill.execute_notebook(
            source, target, dict(parameters), engine_name="telling", progress_bar=False,
            cwd=str(Path(source).parent), kernel_name="python3",
            iopub_timeout=300,  # seconds until a busy machine has passed on what a cell has said
        )  # fmt: skip
    except papermill.PapermillExecutionError as fault:
        traceback = [_COLOURS.sub("", line) for line in fault.traceback]
        error = f"{fault.ename}: {fault.evalue}\n" + "\n".join(traceback)[-1500:]
        error = error.strip()
    except Exception as fault:
        error = f"{type(fault).__name__}: {fault}"
    teller.say(seconds=time.perf_counter() - started, peak_memory=_peak_memory(), error=error)
    return bool(error)


def _peak_memory() -> float:
    """Return the most that an ended kernel held, in MiB; nan on Windows, which does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def _end_with_parent(target: str) -> None:
    """End this process when the one above it is gone: its end of the pipe is closed then.

    What was half-written goes, and the kernel ends by itself when it finds this process gone.
    """
    sys.stdin.read()
    Path(target).unlink(missing_ok=True)
    os._exit(1)


def _only_for_us() -> TextIO:
    """Take standard output from the kernel, which would inherit it and write into our lines."""
    ours = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return ours


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, args=sys.argv[2:3], daemon=True).start()
    sys.exit(_execute(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), _only_for_us()))
