"""Chapters run on foreign folders, whatever the working folder, and leave nothing behind."""

from __future__ import annotations

import ast
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from mmtutorial.reproduce import results
from mmtutorial.reproduce.threads import ONE_THREAD
from tests.own_folder import shop_media, write_own_folder

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny folder of somebody's own whose times span a week."""
    folder = tmp_path_factory.mktemp("own") / "2024"
    return write_own_folder(folder, 40, 40, days=7, source=shop_media)


def run(chapter: str, cwd: Path, *parameters: str, **environment: str) -> nbformat.NotebookNode:
    """Run a chapter as the README says, in a working folder; return it executed."""
    [path] = (ROOT / "notebooks").glob(f"{chapter}_*.ipynb")
    out = cwd / "out.ipynb"
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", str(path), str(out)]
    found = {**os.environ, **ONE_THREAD, **environment}
    found["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), found.get("PYTHONPATH")]))
    done = subprocess.run(
        [*command, *parameters], cwd=cwd, env=found, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    executed = nbformat.read(out, as_version=4)
    out.unlink()
    return executed


def shown(notebook: nbformat.NotebookNode) -> str:
    """Return what its cells have put out, without the code that did."""
    return "\n".join(
        each.get("text", "") + str(each.get("data", ""))
        for cell in notebook.cells
        for each in cell.get("outputs", [])
    )


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_a_chapter_imports_from_the_library_is_there(path: Path) -> None:
    cells = jupytext.read(path).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    taken = [
        (each.module, name.name)
        for each in ast.walk(ast.parse(code))
        if isinstance(each, ast.ImportFrom) and (each.module or "").startswith("mmtutorial")
        for name in each.names
    ]
    assert taken
    for module, name in taken:
        if not hasattr(importlib.import_module(module), name):
            importlib.import_module(f"{module}.{name}")  # raises where it is no module either


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_no_chapter_draws_times_by_itself(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in ("matplotlib.dates", "DateLocator", "DateFormatter", "set_major_locator"):
        assert name not in text, f"{path.name} uses {name}: take mmtutorial.time_plots"


def test_results_are_found_from_wherever_a_chapter_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = ROOT / "results" / "full"
    for folder in (ROOT, ROOT / "notebooks", ROOT / "book" / "notebooks", tmp_path):
        monkeypatch.chdir(folder)
        assert results.find().resolve() == full
    clone = tmp_path / "clone"
    (clone / "notebooks").mkdir(parents=True)
    shutil.copytree(full, clone / "results" / "full")
    monkeypatch.chdir(clone / "notebooks")
    assert results.find().resolve() == clone / "results" / "full"  # the working folder's go first


def test_where_there_are_no_results_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "PACKAGE", tmp_path / "site-packages" / "mmtutorial")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="run `mmtutorial reproduce`, and give the chapter"):
        results.find()


@pytest.mark.slow
def test_chapter_8_runs_on_a_week(week: Path, tmp_path: Path) -> None:
    page = shown(run("08", tmp_path, "-p", "dataset", str(week)))
    assert "Leave last out: the last dot of each row tests" in page  # the figure over time
    assert "Löwenladen" in page and "cannot be split by time" not in page  # of the folder itself
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_chapter_9_runs_from_anywhere(tmp_path: Path) -> None:
    assert "| row | statement | verdict |" in shown(run("09", tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_chapter_10_takes_a_folder_named_by_digits_and_leaves_nothing_behind(
    week: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    executed = run("10", week.parent, "-r", "dataset", week.name, TMPDIR=str(temporary))
    assert "exit status 0" in shown(executed)
    assert [path.name for path in week.parent.iterdir()] == [week.name]
    assert not list(temporary.rglob("*.csv"))
