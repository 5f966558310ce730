"""Check that every notebook has its script, that the two are in step, and that no output is kept.

`python notebooks/check.py` reports and exits 1 on a fault; with `--clean` it removes outputs.
"""

import sys
from pathlib import Path

import jupytext
import nbformat

FOLDER = Path(__file__).resolve().parent


def cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str, list[str]]]:
    """Return what a pair must share: each cell's kind, source and tags."""
    return [
        (
            cell.cell_type,
            cell.source.rstrip(),
            sorted(cell.metadata.get("tags", [])),
        )
        for cell in notebook.cells
    ]


def has_output(notebook: nbformat.NotebookNode) -> bool:
    """Tell whether any code cell keeps an output or an execution count."""
    return any(
        cell.outputs or cell.execution_count is not None
        for cell in notebook.cells
        if cell.cell_type == "code"
    )


def clean(path: Path) -> None:
    """Remove outputs, execution counts and whatever a run left in the metadata."""
    notebook = nbformat.read(path, as_version=4)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
        cell.metadata = (
            {"tags": cell.metadata["tags"]}
            if cell.metadata.get("tags")
            else {}
        )
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    keep = ("jupytext", "kernelspec")
    notebook.metadata = {
        key: notebook.metadata[key] for key in keep if key in notebook.metadata
    }
    nbformat.write(notebook, path)


def faults() -> list[str]:
    """Return one line for each thing wrong with the pairs, saying how to put it right."""
    found = []
    stems = {
        path.stem
        for path in FOLDER.glob("[0-9]*")
        if path.suffix in {".py", ".ipynb"}
    }
    for stem in sorted(stems):
        script, path = FOLDER / f"{stem}.py", FOLDER / f"{stem}.ipynb"
        if not (script.exists() and path.exists()):
            missing = script.name if path.exists() else path.name
            found.append(f"notebooks/{missing} is missing: run `make pair`")
            continue
        notebook = nbformat.read(path, as_version=4)
        if has_output(notebook):
            found.append(
                f"notebooks/{path.name} carries outputs: run `make pair`"
            )
        if cells(notebook) != cells(jupytext.read(script)):
            found.append(
                f"notebooks/{stem}: .py and .ipynb differ: run `make pair`"
            )
    return found


if __name__ == "__main__":
    if "--clean" in sys.argv:
        for each in sorted(FOLDER.glob("[0-9]*.ipynb")):
            clean(each)
    wrong = faults()
    print("\n".join(wrong) or "notebooks: pairs in step, no outputs")
    sys.exit(bool(wrong))
