"""Notebooks are run in order, kept while nothing has changed, and survive a kill."""

import json
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
from mmtutorial.reproduce.notebooks import (
    Notebook,
    default_dataset,
    in_order,
    quoted,
    run_notebooks,
)
from mmtutorial.reproduce.run import _chosen

PATIENCE = 300  # seconds: a busy machine takes long to begin
GLUE = 'from myst_nb import glue\nglue("small-number", 3.5, display=False)\nglue("small-word", f"{profile} {dataset}", display=False)'
GLUED = """from IPython.display import display  # what glue leaves, without importing all of Sphinx
def leave(name, value):
    where = {"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}}
    display({"application/papermill.record/text/plain": repr(value)}, metadata=where, raw=True)
leave("small-number", 3.5)
leave("small-word", f"{profile} {dataset}")"""
THREADS = """
import os
leave("threads", [os.environ[f"{kind}_NUM_THREADS"] for kind in ("OMP", "OPENBLAS")])"""


def made(path: Path, *sources: str) -> Path:
    """Write a tiny notebook whose first code cell holds the parameters."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "p", "language": "python"}
    first = nbformat.v4.new_code_cell(
        'profile = "quick"\ndataset = "shop"\nseed = 0\nresults_folder = ""'
    )
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


def test_a_chapter_on_people_keeps_its_people_where_the_shop_is_asked_for(tmp_path):
    (tmp_path / "_toc.yml").write_text("- file: notebooks/1_shop\n- file: notebooks/2_people\n")
    for name, dataset in (("1_shop", "shop"), ("2_people", "films")):
        path = made(tmp_path / "notebooks" / f"{name}.ipynb")
        path.write_text(path.read_text().replace("shop", dataset))
        assert default_dataset(path) == dataset
    work, _ = _chosen(["shop", "lastfm", "films"], "quick", ["*_*"], tmp_path)
    assert [(each.name, each.dataset) for each in work] == [
        ("1_shop", "shop"), ("2_people", "films"), ("1_shop", "lastfm"), ("2_people", "lastfm"),
        ("1_shop", "films"),
    ]  # fmt: skip


def test_only_other_parameters_are_passed(tmp_path):
    path = made(tmp_path / "a.ipynb")
    assert Notebook(path).parameters() == {}
    assert Notebook(path, "garments", seed=3).parameters() == {"dataset": "garments", "seed": 3}


def test_a_faulty_request_is_refused_before_anything_runs(tmp_path):
    path = made(tmp_path / "a.ipynb")
    with pytest.raises(ValueError, match="jobs is 0"):
        run_notebooks([Notebook(path)], tmp_path, jobs=0)
    with pytest.raises(ValueError, match=r"more than one .*a.ipynb: name each data set once"):
        run_notebooks([Notebook(path, "one/mine"), Notebook(path, "two/mine")], tmp_path)
    with pytest.raises(ValueError, match="'shopp' is neither a data set"):
        run_notebooks([Notebook(path, "shopp")], tmp_path)


@pytest.mark.slow
def test_run_keep_and_run_again(tmp_path, monkeypatch):
    path, out = made(tmp_path / "a.ipynb", GLUE), tmp_path / "out"
    told = []
    (run,) = run_notebooks([Notebook(path)], out, tell=told.append)
    assert run.state == "done" and run.seconds > 0 and run.peak_memory > 10
    assert quoted(run.executed) == {"small-number": 3.5, "small-word": "quick shop"}
    assert [(each.state, each.cell, each.cells) for each in told] == [
        ("running", 1, 2), ("running", 2, 2), ("done", None, 0)
    ]  # fmt: skip
    assert told[-1] == run
    about = json.loads(run.executed.with_suffix(".json").read_text())
    assert about["key"] == Notebook(path).key() and set(about) == {"key", "seconds", "peak_memory"}
    assert {each.name for each in run.executed.parent.iterdir()} == {"a.ipynb", "a.json"}
    before = run.executed.read_bytes()
    (kept,) = run_notebooks([Notebook(path)], out)
    assert kept.state == "kept" and kept.executed.read_bytes() == before
    (tmp_path / "here" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")  # the kernel works elsewhere, and finds the folder
    (other,) = run_notebooks([replace(Notebook(path), dataset="mine")], out)
    assert other.state == "done" and other.executed != run.executed
    assert quoted(other.executed)["small-word"] == f"quick {tmp_path / 'here' / 'mine'}"
    made(path, GLUED.replace("3.5", "4.5") + THREADS)
    of_yesterday = run.executed.with_suffix(".failed.ipynb")
    of_yesterday.touch()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    (fresh,) = run_notebooks([Notebook(path)], out)
    assert not of_yesterday.exists() and fresh.state == "done"
    assert quoted(fresh.executed)["small-number"] == 4.5
    assert quoted(fresh.executed)["threads"] == ["1", "2"]


def test_a_key_changes_with_data_and_library(tmp_path, monkeypatch):
    path = made(tmp_path / "a.ipynb")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "items.csv").write_text("item\na\n")
    first = Notebook(path, str(folder)).key()
    (folder / "items.csv").write_text("item\nb\n")
    second = Notebook(path, str(folder)).key()
    monkeypatch.setattr(notebooks, "code_digest", lambda *names: "another")
    assert len({first, second, Notebook(path, str(folder)).key()}) == 3


def test_a_notebook_depends_on_what_it_imports(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(notebooks, "code_digest", lambda *names: read.append(names) or "same")
    for number, line in enumerate(
        ("%matplotlib inline\nfrom mmtutorial import datasets", "import mmtutorial as mm",
         'run(["mmtutorial", "check"])', "from mmtutorial.metrics import ndcg")
    ):  # fmt: skip
        Notebook(made(tmp_path / f"{number}.ipynb", line)).key()
    assert read == [("mmtutorial.datasets",), (), (), ("mmtutorial.metrics.ndcg",)]


def test_a_failing_notebook_is_named_and_the_others_go_on(tmp_path):
    bad = made(tmp_path / "bad.ipynb", "x = 1", 'raise ValueError("the third cell")')
    dies = made(tmp_path / "dies.ipynb", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    good = made(tmp_path / "good.ipynb", 'import os\nos.write(1, b"\\xff no line")', GLUED)
    work = [Notebook(bad, seed=5), Notebook(dies), Notebook(good)]
    failed, dead, done = run_notebooks(work, tmp_path / "out", jobs=2)
    assert (failed.state, failed.cell, done.state) == ("failed", 3, "done")
    assert failed.error.startswith("ValueError: the third cell") and "\x1b" not in failed.error
    assert failed.executed.name == "bad.failed.ipynb" and failed.executed.exists()
    assert not work[0].place(tmp_path / "out").exists()
    assert (dead.state, dead.cell) == ("failed", 2) and "ended from outside" in dead.error


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_end_in_the_middle_leaves_nothing_half_done(tmp_path, how):
    first = made(tmp_path / "a.ipynb", GLUED)
    mark = tmp_path / "kernel"
    second = made(
        tmp_path / "b.ipynb",
        f"import os, pathlib, time\nplace = pathlib.Path({str(mark)!r})\n"
        "slow = not place.exists()\nplace.write_text(str(os.getpid()))\ntime.sleep(300 * slow)",
        GLUED,
    )
    names = [str(second)] if how == signal.SIGINT else [str(first), str(second)]
    out = tmp_path / "out"
    script = textwrap.dedent(f"""
        import signal
        from pathlib import Path
        from mmtutorial.reproduce.notebooks import Notebook, run_notebooks
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
        run_notebooks([Notebook(Path(each)) for each in {names!r}], {str(out)!r})
        """)
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    until = time.monotonic() + PATIENCE
    while not (mark.exists() and mark.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    kernel = int(mark.read_text())
    parent.send_signal(how)
    parent.wait(timeout=PATIENCE)
    until = time.monotonic() + PATIENCE
    while Path(f"/proc/{kernel}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{kernel}").exists(), "the ended run's kernel lives on"
    finished = {"a.ipynb", "a.json"} if how == signal.SIGKILL else set()
    assert {each.name for each in out.rglob("*") if each.is_file()} == finished
    if how == signal.SIGKILL:
        runs = run_notebooks([Notebook(first), Notebook(second)], out)
        assert [run.state for run in runs] == ["kept", "done"]
        assert [quoted(run.executed)["small-number"] for run in runs] == [3.5, 3.5]
