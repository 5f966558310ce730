"""Executed notebooks find their way into the book's cache, and only whole ones do."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from jupyter_cache import get_cache
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mmtutorial.reproduce.notebooks import Notebook, shows_results

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def book() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "book/run_notebooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def notebook(executed: bool, tags: list[str]) -> nbformat.NotebookNode:
    cell = new_code_cell("print(6 * 7)", metadata={"tags": tags} if tags else {})
    if executed:
        cell.metadata["tags"] = tags  # papermill adds them, be they empty
        cell.execution_count = 1
        cell.outputs = [new_output("stream", name="stdout", text="42\n")]
    return new_notebook(
        cells=[new_markdown_cell("Some prose."), cell],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )


def test_the_book_finds_the_outputs_of_the_same_code(book: ModuleType, tmp_path: Path) -> None:
    nbformat.write(notebook(True, []), tmp_path / "page.ipynb")
    book.keep(tmp_path / "page.ipynb", tmp_path / "cache")
    cache = get_cache(tmp_path / "cache")
    committed = notebook(False, [])
    _, merged = cache.merge_match_into_notebook(committed)
    assert merged.cells[1].outputs[0].text == "42\n"
    committed.cells[1].source = "print(6 * 8)"
    with pytest.raises(KeyError):
        cache.merge_match_into_notebook(committed)
    cache.db.dispose()


@pytest.mark.parametrize(("executed", "tags"), [(False, []), (True, ["injected-parameters"])])
def test_what_did_not_run_as_committed_is_refused(
    book: ModuleType, tmp_path: Path, executed: bool, tags: list[str]
) -> None:
    nbformat.write(notebook(executed, tags), tmp_path / "page.ipynb")
    with pytest.raises(ValueError, match="was not executed to its end with its default parameters"):
        book.keep(tmp_path / "page.ipynb", tmp_path / "cache")


def test_chapters_that_show_results_are_known() -> None:
    shown = [
        path.stem.partition("_")[0] for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        if shows_results(path)
    ]  # fmt: skip
    assert " ".join(shown) == "02b 03 05 06b 07 08a 08b 09 11 12 13 14 15"


@pytest.mark.parametrize(("module", "again"), [("evidence", True), ("notebooks", False)])
def test_a_chapter_that_shows_results_runs_again_when_these_change(
    tmp_path: Path, module: str, again: bool
) -> None:
    page = notebook(False, [])
    page.cells[1].source = f"from mmtutorial.reproduce.{module} import quote"
    (tmp_path / "notebooks").mkdir()
    nbformat.write(page, tmp_path / "notebooks" / "page.ipynb")
    table = tmp_path / "results" / "full" / "measures.csv"
    table.parent.mkdir(parents=True)
    table.write_text("dataset,mean\nshop,1\n")
    before = Notebook(tmp_path / "notebooks" / "page.ipynb").key()
    table.write_text("dataset,mean\nshop,2\n")
    assert (Notebook(tmp_path / "notebooks" / "page.ipynb").key() != before) == again
