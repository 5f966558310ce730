"""Run the book's notebooks with papermill, in its order, each in a process of its own.

An executed notebook is put in its place only when it is complete. It is kept as long as what it
depends on is unchanged: its own source, its parameters, the library, the data.
"""

from __future__ import annotations

import ast
import json
import os
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmtutorial.reproduce.store import data_digest, key, library_digest, write

Tell = Callable[["Notebook", str, int, int], None]  # which, its state, cell, of how many
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
        folder = out / "notebooks" / f"{Path(self.dataset).name}-{self.profile}-seed{self.seed}"
        return folder / self.path.name

    def parameters(self) -> dict[str, Any]:
        """Return what differs from the defaults in its cell tagged ``parameters``."""
        import papermill

        found = {}
        for name, about in papermill.inspect_notebook(self.path).items():
            wanted = getattr(self, name, None)
            if name in ("dataset", "profile", "seed") and wanted != ast.literal_eval(
                about["default"]
            ):
                found[name] = wanted
        return found

    def key(self) -> str:
        """Name the run by all that it depends on."""
        cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
        source = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
        return key(
            source=source, parameters=self.parameters(), depends=self.depends,
            library=library_digest(("cli.py",)), data=data_digest(self.dataset),
        )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """How a notebook came out.

    Parameters
    ----------
    notebook : Notebook
        Which.
    state : str
        "done", "kept" from an earlier run, or "failed".
    seconds, peak_memory : float
        Of its run; memory in MiB, the kernel's included.
    executed : Path
        The executed notebook; of a failed one, as far as it came.
    cell : int or None
        Number of the cell that failed, from 0.
    error : str
        What it said.
    """

    notebook: Notebook
    state: str
    seconds: float
    peak_memory: float
    executed: Path
    cell: int | None = None
    error: str = ""


def in_order(root: str | Path) -> list[Path]:
    """Return the notebooks that ``_toc.yml`` names, in its order.

    Raises
    ------
    ValueError
        If the folder has no table of contents, or it names a notebook that is not there.
    """
    root = Path(root)
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

    A failing notebook is reported, and the others go on. Ctrl-C ends the processes; what has been
    finished stays.
    """
    out = Path(out).absolute()
    running: set[subprocess.Popen[str]] = set()
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_run, each, out, tell, running) for each in work]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.kill()
            raise


def _run(
    notebook: Notebook, out: Path, tell: Tell | None, running: set[subprocess.Popen[str]]
) -> Run:
    """Run one, unless it is there."""
    place = notebook.place(out)
    record = place.with_suffix(".json")
    name = notebook.key()
    if place.exists() and record.exists():
        about = json.loads(record.read_text(encoding="utf-8"))
        if about["key"] == name:
            if tell:
                tell(notebook, "kept", 0, 0)
            return Run(notebook, "kept", about["seconds"], about["peak_memory"], place)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.stem}.{os.getpid()}.part.ipynb")
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(notebook.path.absolute()), str(part),
         json.dumps(notebook.parameters())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    running.add(process)
    last: dict[str, Any] = {"error": "its process was ended from outside"}
    assert process.stdout is not None
    for line in process.stdout:
        if not line.startswith('{"mmtutorial"'):
            continue
        last = json.loads(line)
        if tell and "cell" in last and "seconds" not in last:
            tell(notebook, "running", last["cell"], last["of"])
    process.wait()
    running.discard(process)
    if "seconds" in last and not last["error"]:
        os.replace(part, place)
        kept = {"key": name, "seconds": last["seconds"], "peak_memory": last["peak_memory"]}
        write(record, json.dumps(kept))
        if tell:
            tell(notebook, "done", 0, 0)
        return Run(notebook, "done", last["seconds"], last["peak_memory"], place)
    failed = place.with_suffix(".failed.ipynb")
    if part.exists():
        os.replace(part, failed)
    if tell:
        tell(notebook, "failed", last.get("cell") or 0, 0)
    return Run(
        notebook, "failed", last.get("seconds", 0.0), last.get("peak_memory", 0.0), failed,
        last.get("cell"), last["error"],
    )  # fmt: skip


@dataclass
class _Teller:
    """Print one line of JSON for each cell that begins; the process above reads them."""

    of: int = 0
    cell: int = 0
    started: float = field(default=0.0)

    def say(self, **about: Any) -> None:
        print(json.dumps({"mmtutorial": 1, "of": self.of, "cell": self.cell, **about}), flush=True)


def _execute(source: str, target: str, parameters: Mapping[str, Any]) -> int:
    """Run papermill in this process, telling each cell."""
    import time

    import papermill
    from papermill.engines import NBClientEngine, papermill_engines

    teller = _Teller()

    class Telling(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, manager: Any, kernel_name: str, **options: Any) -> Any:
            begin = manager.cell_start
            teller.of = len(manager.nb.cells)

            def cell_start(cell: Any, cell_index: int = 0, **more: Any) -> Any:
                teller.cell = cell_index
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
        )  # fmt: skip
    except papermill.PapermillExecutionError as fault:
        traceback = [_COLOURS.sub("", line) for line in fault.traceback]
        error = f"{fault.ename}: {fault.evalue}\n" + "\n".join(traceback)[-1500:]
        error = error.strip()
    except Exception as fault:
        error = f"{type(fault).__name__}: {fault}"
    kibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    teller.say(
        seconds=time.perf_counter() - started, peak_memory=kibibytes / 1024, error=error
    )  # fmt: skip
    return bool(error)


def _end_with_parent() -> None:
    """End this process when the one above it is gone: its end of the pipe is closed then."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(_execute(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
