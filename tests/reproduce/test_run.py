"""`mmtutorial reproduce` as a reader meets it, in a clone of two tiny notebooks."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console
from typer.testing import CliRunner

from mmtutorial import cli
from mmtutorial.reproduce import run
from mmtutorial.reproduce.board import Board
from mmtutorial.reproduce.notebooks import Notebook, Run
from mmtutorial.reproduce.results import Results
from mmtutorial.reproduce.tasks import Task
from tests.reproduce.test_notebooks import GLUED, made

CHANCE = Task(
    "fusions", "shop", "random", "Random", options={"seed": 0}, modalities=(),
    made={"n_items": 40, "n_users": 30, "seed": 0},
)  # fmt: skip


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with three notebooks, of which one fails, and one experiment."""
    names = ("01_good", "02_bad", "09_reproduction")
    (tmp_path / "_toc.yml").write_text("".join(f"- file: notebooks/{name}\n" for name in names))
    folder = tmp_path / "notebooks"
    made(folder / "01_good.ipynb", GLUED)
    made(folder / "02_bad.ipynb", 'raise RuntimeError("no more")')
    made(
        folder / "09_reproduction.ipynb",
        "from mmtutorial.reproduce.results import Results\n"
        "print(len(Results.open(results_folder).measures))",
    )
    monkeypatch.setattr(run, "GRIDS", {"fusions": None, "tastes": None})
    monkeypatch.setattr(
        run, "grid", lambda *each, **options: [replace(CHANCE, experiment=each[3][0])]
    )
    return tmp_path


def call(clone, *more):
    out = str(clone / "out")
    return CliRunner().invoke(cli.app, ["reproduce", "--root", str(clone), "--out", out, *more])


@pytest.mark.slow
def test_it_runs_all_names_what_failed_and_keeps_the_rest(clone):
    result = call(clone)
    words = re.sub(r"\s+", " ", result.output)
    assert result.exit_code == 1
    assert "02_bad.ipynb on shop, cell 2: RuntimeError: no more" in words
    assert re.search(r"01_good on shop: done, \d+ s, \d+ MiB", words)
    assert "The report: file://" in words
    found = Results.open(clone / "out" / "results")
    assert found.quoted["name"].tolist() == ["small-number", "small-word"]
    assert set(found.measures["recommender"]) == {"random"}
    page = (clone / "out" / "report.html").read_text()
    assert "<html" in page and "window.MathJax" in page
    assert not re.findall(r"""(?:src=|href=|from |import\()["']https?:[^"']*\.m?js""", page)
    first = (clone / "out" / "results" / "measures.csv").read_bytes()

    made(clone / "notebooks" / "02_bad.ipynb", "x = 1")
    result = call(clone, "--bands", str(clone / "bands.csv"), "--renew-bands")
    assert result.exit_code == 0
    assert "01_good on shop: kept" in result.output and "02_bad on shop: done" in result.output
    assert (clone / "out" / "results" / "measures.csv").read_bytes() == first
    assert (clone / "bands.csv").exists()
    assert call(clone).output.rstrip().splitlines()[-1].startswith("The report: file://")


def test_wrong_requests_are_told(clone):
    assert "nothing matches --only 'x'" in call(clone, "--only", "x").output
    result = call(clone, "--root", str(clone / "nowhere"))
    assert result.exit_code == 1 and "holds no _toc" in result.output


@pytest.mark.slow
def test_results_go_into_those_that_are_there_and_bands_are_watched(clone):
    folder, bands = clone / "full", clone / "bands.csv"
    bands.write_text(
        "dataset,experiment,recommender,metric,k,low,high\nshop,fusions,random,ndcg,10,0.9,1.0\n"
    )
    result = call(clone, "--only", "fus*", "--into", str(folder), "--bands", str(bands))
    assert result.exit_code == 1  # outside its band, and there all the same
    assert "ndcg@10 of random is" in re.sub(r"\s+", " ", result.output)
    first = Results.open(folder)
    assert [run["measured"] for run in first.environment["runs"]] == [{"shop": ["fusions"]}]
    page = clone / "out" / "report.html"
    page.unlink()
    call(clone, "--only", "01*", "--into", str(folder))
    both = Results.open(folder)
    measured = [run["measured"] for run in both.environment["runs"]]
    assert measured == [{"shop": ["01_good", "fusions"]}]
    assert len(both.quoted) == 2 and len(both.measures) == len(first.measures)
    (report,) = (clone / "out" / "notebooks").rglob("09_reproduction.ipynb")
    assert f"{len(first.measures)}\\n" in report.read_text()
    assert page.exists()  # again, on all that is there: this run measured nothing
    assert "No report: it begins with fusions" in call(clone, "--only", "tastes").output
    result = call(clone, "--only", "fus*", "--profile", "full", "--into", str(folder))
    assert result.exit_code == 1 and "do not mix" in result.output


def test_the_board_shows_cells_seconds_and_memory(tmp_path):
    work = [Notebook(tmp_path / "a.ipynb"), Notebook(tmp_path / "b.ipynb")]
    board = Board(work, 7, Console(width=100, force_terminal=False, file=StringIO()))
    board.notebook(Run(work[0], "running", 0.0, 0.0, tmp_path, 3, cells=9))
    board.notebook(Run(work[1], "done", 61.4, 812.0, tmp_path))
    board.experiment(2, 7, None)
    with board.console.capture() as shown:
        board.console.print(board._table())
    rows = [re.split(r"\s*│\s*", line.strip("│ ")) for line in shown.get().splitlines()]
    assert ["a", "shop", "cell 3 of 9", "0"] in rows
    assert ["b", "shop", "done", "61", "812"] in rows
    assert ["experiments", "", "2 of 7"] in rows
