"""Run the book's notebooks, several at a time, and hand their outputs to the book.

    python book/run_notebooks.py --jobs 2

The book then has nothing left to run. What has been executed is kept, in a folder of the library's
and the lock's state (`_extensions/fresh_outputs.py`): an interrupted run goes on where it stopped,
and only a notebook that changed runs again. With ``--out``, what `mmtutorial reproduce` has left
there is taken too.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from rich.console import Console

from mmtutorial.reproduce.board import Board
from mmtutorial.reproduce.notebooks import Notebook, default_dataset, in_order, run_notebooks

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
from fresh_outputs import ROOT, fingerprint

BUILD = ROOT / "book" / "_build"


def keep(executed: Path, cache_folder: Path) -> None:
    """Put one executed notebook into the book's cache; raises ValueError for a failed one."""
    notebook = nbformat.read(executed, as_version=4)
    for cell in notebook.cells:
        ran = cell.cell_type != "code" or cell.execution_count or not cell.source.strip()
        if not ran or "injected-parameters" in cell.metadata.get("tags", []):
            raise ValueError(f"{executed} was not executed to its end with its default parameters")
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)  # empty ones make another notebook of it
    original = ROOT / "notebooks" / executed.name
    cache_folder.mkdir(parents=True, exist_ok=True)
    cache = get_cache(cache_folder)
    try:
        cache.cache_notebook_bundle(
            CacheBundleIn(notebook, str(original)), overwrite=True, check_validity=False
        )
    finally:
        cache.db.dispose()  # closes its file


def main() -> int:
    """Run what is missing; return 1 if a notebook failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=1, help="how many run at a time")
    parser.add_argument("--out", type=Path, help="where executed notebooks are, and go")
    options = parser.parse_args()
    state = fingerprint(ROOT)
    for other in set((BUILD / "executed").glob("*")) - {BUILD / "executed" / state}:
        shutil.rmtree(other)
    work = [Notebook(path, default_dataset(path)) for path in in_order(ROOT)]
    with Board(work, 0, Console()) as board:
        runs = run_notebooks(
            work,
            options.out or BUILD / "executed" / state,
            jobs=options.jobs,
            tell=board.notebook,
        )
    for run in runs:
        if run.state == "failed":
            print(f"{run.notebook.path}, cell {run.cell}: {run.error}", file=sys.stderr)
        else:
            keep(run.executed, BUILD / ".jupyter_cache" / state)
    return any(run.state == "failed" for run in runs)


if __name__ == "__main__":
    sys.exit(main())
