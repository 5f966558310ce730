"""Names, paths and ids are printed as they are: in every terminal, and never taken for commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from mmtutorial import cli, datasets
from mmtutorial.datasets import Dataset
from mmtutorial.reproduce.board import Board
from mmtutorial.reproduce.notebooks import Notebook, Run
from mmtutorial.terminal import plain

RUNNER = CliRunner()
TITLES = ["绿茶", "茶壶", "杯子", "Café"]


def chinese(folder: Path) -> Path:
    """Write a data set with Chinese titles and ids, every user with a history."""
    generator = np.random.default_rng(0)
    items = pd.DataFrame({"item": [f"货{row}" for row in range(12)], "text": "柔软"})
    items["title"] = [TITLES[row % 4] for row in range(12)]
    rows = [
        (f"王{user}", f"货{item}", 1_700_000_000 + 86_400 * time + user)
        for user in range(12)
        for time, item in enumerate(generator.permutation(12)[:6])
    ]
    taken = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    return Dataset("店", items, taken, folder).save(folder).folder


def run(encoding: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command in a process with that encoding of its output: exit status and output."""
    done = subprocess.run(
        [sys.executable, "-m", "mmtutorial", *arguments],
        env={**os.environ, "PYTHONIOENCODING": encoding, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout.decode(encoding)


def test_every_command_shows_what_the_terminal_lacks(tmp_path: Path) -> None:
    folder = str(chinese(tmp_path / "店"))
    escaped = folder.encode("ascii", "backslashreplace").decode()
    cache = {"MMTUTORIAL_CACHE": str(tmp_path / "cache")}
    status, output = run("cp1252", "check", folder)
    assert (status, "Traceback" in output) == (0, False), output
    assert f"{escaped}: no fault found" in output
    with (Path(folder) / "items.csv").open("a", encoding="utf-8") as file:
        file.write("货0,,,,\n")
    status, output = run("ascii", "check", folder)
    assert status == 1, output
    assert r"the item id '\u8d270' is taken by row" in output
    (Path(folder) / "items.csv").write_text("item,title\n货0,绿茶\n", encoding="utf-8")
    status, output = run("cp1252", "recommend", "--dataset", folder, "--user", "王0", **cache)
    assert status == 1, output
    assert r"the item '\u8d271' is not in items.csv" in output
    status, output = run("ascii", "reproduce", "--dataset", f"{folder}x", "--root", str(tmp_path))
    assert (status, "Traceback" in output) == (1, False), output
    status, output = run("ascii", "店")
    assert (status, "Traceback" in output) == (2, False), output


def test_a_list_of_chinese_products_is_shown(tmp_path: Path) -> None:
    folder = chinese(tmp_path / "店")
    arguments = [
        "--dataset",
        str(folder),
        "--user",
        "王0",
        "-k",
        "2",
        "--recommender",
        "popularity",
    ]
    cache = str(tmp_path / "cache")
    status, output = run("cp1252", "recommend", *arguments, MMTUTORIAL_CACHE=cache)
    assert status == 0, output
    assert r"\u738b0 took 6 items, the last ones: " in output
    assert "Café" in output or r"\u8336" in output
    status, output = run("cp1252", "data", str(folder), "--out", str(tmp_path / "copy"))
    assert status == 0, output
    assert "12 items, 12 users" in output


@pytest.mark.skipif(sys.platform != "linux", reason="names are text on other systems")
def test_a_name_that_is_not_utf_8_is_shown(tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + "/店".encode("gbk"))
    chinese(Path(folder))
    result = RUNNER.invoke(cli.app, ["check", folder])
    assert result.exit_code == 0, result.output
    assert r"/\udcb5\udcea: no fault found" in result.output
    status, output = run("utf-8", "check", folder)
    assert (status, r"/\udcb5\udcea: no fault found" in output) == (0, True), output


MARKUP = ("my [old] shop", "my [/old] shop", "[red]", "a:cat:b")


@pytest.mark.parametrize("name", MARKUP)
def test_brackets_and_colons_are_no_markup(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = datasets.shop
    monkeypatch.setitem(
        datasets.MAKERS, "shop", lambda **options: full(n_items=40, n_users=30, **options)
    )
    monkeypatch.chdir(tmp_path)

    def printed(status: int, *arguments: str) -> str:
        result = RUNNER.invoke(cli.app, list(arguments))
        assert result.exit_code == status, (result.output, result.exception)
        return result.output

    output = printed(0, "data", "shop", "--out", name)
    assert f"Writing {name}\n" in output
    assert f"\n{name}: 40 items, 30 users" in output
    assert f"/{name} holds a data set already" in printed(1, "data", "shop", "--out", name)
    assert f"\n{name}: no fault found" in printed(0, "check", name)
    assert f"user '{name}'" in printed(1, "recommend", "--dataset", name, "--user", name)
    assert f"'{name}x' is neither" in printed(1, "data", f"{name}x", "--out", "copy")
    data = Dataset.open(name)
    data.name, data.items["title"] = name, name
    data.interactions["user"] = data.interactions["user"].replace("u01", name)
    data.truth = None
    data.save("named")
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / f"cache {name}"))
    output = printed(
        0, "recommend", "--dataset", "named", "--user", name, "-k", "2", "--recommender", "popularity"
    )  # fmt: skip
    assert f"Learning popularity from {name}, once; kept in {tmp_path}/cache {name}" in output
    assert f"\n{name} took " in output
    assert f"\n  1  {name}  many like it" in output
    assert f"{name} holds no _toc.yml" in printed(1, "reproduce", "--root", name)


def test_the_board_shows_folders_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    work = [Notebook(Path("page.ipynb"), name) for name in MARKUP]
    console = Console(width=200)
    board = Board(work, 0, console)
    for each in work:
        board.notebook(Run(each, "done", 1.0, 2.0, each.path))
    console.print(board._table())
    output = capsys.readouterr().out
    for name in MARKUP:
        assert f"page on {name}: done, 1 s, 2 MiB\n" in output
        assert output.count(name) == 2  # in its line, and in the table


def test_what_would_move_the_cursor_is_escaped() -> None:
    assert plain("a\x1b[2Jb\rc\x9bd\ne").plain == "a\\x1b[2Jb\\rc\\x9bd\ne"


def test_a_note_is_one_line_of_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = datasets.shop
    monkeypatch.setitem(
        datasets.MAKERS, "shop", lambda **options: full(n_items=40, n_users=30, **options)
    )
    monkeypatch.chdir(tmp_path)
    datasets.load("shop").save("shop")
    for arguments in (
        ["data", "shop", "--out", "copy"],
        ["recommend", "--dataset", "shop", "--user", "u01", "--recommender", "popularity"],
    ):
        result = RUNNER.invoke(cli.app, arguments)
        assert result.exit_code == 0, result.output
        assert result.stderr == (
            "note: shop: this is our data set of the name 'shop', not the folder; "
            "for the data set in the folder, write ./shop\n"
        )
    arguments[2] = "./shop"
    assert not RUNNER.invoke(cli.app, arguments).stderr
