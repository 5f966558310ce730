"""Notebooks are run in order, kept while nothing has changed, and survive a kill."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from mmtutorial.reproduce import notebooks
from mmtutorial.reproduce.notebooks import Notebook, in_order, quoted, run_notebooks

GLUE = 'from myst_nb import glue\nglue("small-number", 3.5, display=False)\nglue("small-word", f"{profile} {dataset}", display=False)'


def made(path: Path, *sources: str) -> Path:
    """Write a tiny notebook whose first code cell holds the parameters."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "p", "language": "python"}
    first = nbformat.v4.new_code_cell('profile = "quick"\ndataset = "shop"\nseed = 0')
    first.metadata["tags"] = ["parameters"]
    notebook.cells = [first, *(nbformat.v4.new_code_cell(each) for each in sources)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def test_the_order_is_the_books(tmp_path):
    contents = "chapters:\n - file: notebooks/02_b\n - file: notebooks/01_a\n - file: claims\n"
    (tmp_path / "_toc.yml").write_text(contents)
    with pytest.raises(ValueError, match=r"names .*02_b.ipynb, which does not exist"):
        in_order(tmp_path)
    for name in ("01_a", "02_b"):
        made(tmp_path / "notebooks" / f"{name}.ipynb")
    assert [path.stem for path in in_order(tmp_path)] == ["02_b", "01_a"]
    with pytest.raises(ValueError, match="holds no _toc"):
        in_order(tmp_path / "nowhere")


def test_only_other_parameters_are_passed(tmp_path):
    path = made(tmp_path / "a.ipynb")
    assert Notebook(path).parameters() == {}
    assert Notebook(path, "garments", seed=3).parameters() == {"dataset": "garments", "seed": 3}


def test_run_keep_and_run_again(tmp_path):
    path, out = made(tmp_path / "a.ipynb", GLUE), tmp_path / "out"
    told = []
    (run,) = run_notebooks([Notebook(path)], out, tell=lambda *each: told.append(each[1:]))
    assert run.state == "done" and run.seconds > 0 and run.peak_memory > 10
    assert quoted(run.executed) == {"small-number": 3.5, "small-word": "quick shop"}
    assert told[:2] == [("running", 0, 2), ("running", 1, 2)]
    before = run.executed.read_bytes()
    (kept,) = run_notebooks([Notebook(path)], out)
    assert kept.state == "kept" and kept.executed.read_bytes() == before
    (other,) = run_notebooks([replace(Notebook(path), dataset="garments")], out)
    assert other.state == "done" and other.executed != run.executed
    assert quoted(other.executed)["small-word"] == "quick garments"
    made(path, GLUE.replace("3.5", "4.5"))
    (fresh,) = run_notebooks([Notebook(path)], out)
    assert fresh.state == "done" and quoted(fresh.executed)["small-number"] == 4.5


def test_a_key_changes_with_data_and_library(tmp_path, monkeypatch):
    path = made(tmp_path / "a.ipynb")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "items.csv").write_text("item\na\n")
    first = Notebook(path, str(folder)).key()
    (folder / "items.csv").write_text("item\nb\n")
    second = Notebook(path, str(folder)).key()
    monkeypatch.setattr(notebooks, "library_digest", lambda without: "another")
    assert len({first, second, Notebook(path, str(folder)).key()}) == 3


def test_a_failing_notebook_is_named_and_the_others_go_on(tmp_path):
    bad = made(tmp_path / "bad.ipynb", "x = 1", 'raise ValueError("the third cell")')
    good = made(tmp_path / "good.ipynb", GLUE)
    failed, done = run_notebooks([Notebook(bad), Notebook(good)], tmp_path / "out", jobs=2)
    assert (failed.state, failed.cell, done.state) == ("failed", 2, "done")
    assert failed.error.startswith("ValueError: the third cell") and "\x1b" not in failed.error
    assert failed.executed.name == "bad.failed.ipynb" and failed.executed.exists()
    assert not Notebook(bad).place(tmp_path / "out").exists()


def test_a_kill_leaves_nothing_half_done(tmp_path):
    first = made(tmp_path / "a.ipynb", GLUE)
    mark = tmp_path / "kernel"
    second = made(
        tmp_path / "b.ipynb",
        f"import os, pathlib, time\nplace = pathlib.Path({str(mark)!r})\n"
        "slow = not place.exists()\nplace.write_text(str(os.getpid()))\ntime.sleep(300 * slow)",
        GLUE,
    )
    out = tmp_path / "out"
    script = textwrap.dedent(f"""
        from pathlib import Path
        from mmtutorial.reproduce.notebooks import Notebook, run_notebooks
        run_notebooks([Notebook(Path(each)) for each in {[str(first), str(second)]!r}], {str(out)!r})
        """)
    parent = subprocess.Popen([sys.executable, "-c", script])
    until = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    kernel = int(mark.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while Path(f"/proc/{kernel}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{kernel}").exists(), "the killed run's kernel lives on"
    there = Notebook(first).place(out)
    assert there.exists() and not Notebook(second).place(out).exists()
    runs = run_notebooks([Notebook(first), Notebook(second)], out)
    assert [run.state for run in runs] == ["kept", "done"]
    assert [quoted(run.executed)["small-number"] for run in runs] == [3.5, 3.5]


def test_records_are_small_and_say_what_they_belong_to(tmp_path):
    path = made(tmp_path / "a.ipynb")
    (run,) = run_notebooks([Notebook(path)], tmp_path / "out")
    about = json.loads(run.executed.with_suffix(".json").read_text())
    assert about["key"] == Notebook(path).key() and set(about) == {"key", "seconds", "peak_memory"}
    assert not [p for p in os.listdir(run.executed.parent) if p.startswith(".")]
