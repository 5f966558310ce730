"""The check of the notebooks says when a pair is out of step or carries output."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # A page

# %% tags=["parameters"]
seed = 0

# %%
print(seed)
"""


@pytest.fixture
def check(tmp_path: Path) -> ModuleType:
    """Return the checking script, at work in a folder with one good pair."""
    shutil.copy(ROOT / "notebooks" / "check.py", tmp_path)
    (tmp_path / "01_page.py").write_text(SCRIPT)
    notebook = jupytext.reads(SCRIPT, fmt="py:percent")
    jupytext.write(notebook, tmp_path / "01_page.ipynb")
    spec = importlib.util.spec_from_file_location("check", tmp_path / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_good_pair_has_no_fault(check: ModuleType) -> None:
    assert check.faults() == []


def test_a_changed_script_is_found(check: ModuleType) -> None:
    (check.FOLDER / "01_page.py").write_text(SCRIPT.replace("print(seed)", "print(seed + 1)"))
    assert check.faults() == ["notebooks/01_page: .py and .ipynb differ: run `make pair`"]


def test_a_changed_tag_is_found(check: ModuleType) -> None:
    (check.FOLDER / "01_page.py").write_text(SCRIPT.replace("parameters", "remove-cell"))
    assert check.faults() == ["notebooks/01_page: .py and .ipynb differ: run `make pair`"]


def test_an_output_is_found_and_removed(check: ModuleType) -> None:
    path = check.FOLDER / "01_page.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="0")]
    notebook.cells[-1].execution_count = 3
    nbformat.write(notebook, path)
    assert check.faults() == ["notebooks/01_page.ipynb carries outputs: run `make pair`"]
    check.clean(path)
    assert check.faults() == []


def test_a_missing_half_is_found(check: ModuleType) -> None:
    (check.FOLDER / "02_alone.py").write_text(SCRIPT)
    (check.FOLDER / "01_page.py").unlink()
    assert check.faults() == [
        "notebooks/01_page.py is missing: run `make pair`",
        "notebooks/02_alone.ipynb is missing: run `make pair`",
    ]


def test_the_exit_status_says_so(check: ModuleType) -> None:
    (check.FOLDER / "01_page.py").write_text(SCRIPT + "\n# %%\n1 + 1\n")
    run = subprocess.run(
        [sys.executable, check.FOLDER / "check.py"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "differ: run `make pair`" in run.stdout


def test_the_notebooks_of_this_book_are_in_step() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "notebooks" / "check.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
