"""The command line: data sets written as folders, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmtutorial import datasets
from mmtutorial.cli import app

RUNNER = CliRunner()


@pytest.fixture
def small_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command make a shop of forty products."""
    full = datasets.shop
    monkeypatch.setitem(
        datasets.MAKERS, "shop", lambda **options: full(n_items=40, n_users=30, **options)
    )


@pytest.mark.usefixtures("small_shop")
def test_data_writes_a_folder_that_check_finds_good(tmp_path: Path) -> None:
    out = tmp_path / "new" / "shop"
    result = RUNNER.invoke(app, ["data", "shop", "--out", str(out), "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert "40 items, 30 users" in result.output.replace("\n", " ")
    assert datasets.Dataset.open(out).seed == 3
    assert len(list((out / "images").glob("*.png"))) > 30
    result = RUNNER.invoke(app, ["check", str(out)])
    assert result.exit_code == 0
    assert "no fault found" in result.output.replace("\n", " ")
    (out / "images" / "p0001.png").write_bytes(b"")
    result = RUNNER.invoke(app, ["check", str(out)])
    assert result.exit_code == 1
    assert "images/p0001.png: the file is empty (items.csv, row 3)" in result.output


@pytest.mark.usefixtures("small_shop")
def test_data_writes_nothing_over_other_things(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear")
    result = RUNNER.invoke(app, ["data", "shop", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "holds 'diary.txt', which is no part of a data set" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["data", "shoop", "--out", str(tmp_path / "x")])
    assert result.exit_code == 1
    assert "'shoop' is neither a data set (shop, garments, lastfm) nor a folder" in result.output


def test_check_says_that_a_folder_is_not_there() -> None:
    result = RUNNER.invoke(app, ["check", "no/such/place"])
    assert result.exit_code == 1
    assert "there is no such folder; check the path" in result.output
