"""Hand executed notebooks to the book, which then need not run them again.

    python book/keep_outputs.py EXECUTED.ipynb …

Each must have been executed as committed, with its default parameters. The book takes the outputs
only while code, library and lock are what they are now (`_extensions/fresh_outputs.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
from fresh_outputs import ROOT, fingerprint


def keep(executed: Path, cache_folder: Path) -> None:
    """Put one executed notebook into the book's cache; raises ValueError for a failed one."""
    notebook = nbformat.read(executed, as_version=4)
    for cell in notebook.cells:
        ran = cell.cell_type != "code" or cell.execution_count or not cell.source.strip()
        if not ran or "injected-parameters" in cell.metadata.get("tags", []):
            raise ValueError(f"{executed} was not executed to its end with its default parameters")
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if not cell.metadata.get(
            "tags"
        ):  # papermill adds empty ones: another notebook, to the cache
            cell.metadata.pop("tags", None)
    original = ROOT / "notebooks" / executed.name
    cache_folder.mkdir(parents=True, exist_ok=True)
    get_cache(cache_folder).cache_notebook_bundle(
        CacheBundleIn(notebook, str(original)), overwrite=True, check_validity=False
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        keep(Path(name), ROOT / "book" / "_build" / ".jupyter_cache" / fingerprint(ROOT))
