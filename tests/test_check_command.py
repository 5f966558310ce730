"""`mmtutorial check` prints every fault of a folder, and what to do about each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mmtutorial import datasets
from mmtutorial.cli import app

RUNNER = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a small shop."""
    datasets.shop(n_items=40, n_users=30).save(tmp_path / "shop")
    return tmp_path / "shop"


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def append(name: str, line: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)

    return change


def features(folder: Path) -> None:
    (folder / "features").mkdir()
    np.save(folder / "features" / "text.npy", np.ones((39, 3), np.float32))


FAULTS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "no dataset.json": (remove("dataset.json"), "dataset.json: the file is missing", "write one"),
    "no JSON": (write("dataset.json", b"{"), "dataset.json: not JSON", "correct it there"),
    "no name": (write("dataset.json", b"{}"), "it gives no name", "write one, such as"),
    "no items": (remove("items.csv"), "items.csv: the file is missing", "write it, with a header"),
    "no column": (edit("items.csv", "item,", "sku,"), "lacks the columns ['item']", "rename or add"),
    "id twice": (edit("items.csv", "\np0002,", "\np0001,"), "'p0001' is taken by row", "its own id"),
    "unknown item": (append("interactions.csv", "u,none,1709251200,,"), "'none' is not in items.csv", "add it"),
    "no user": (append("interactions.csv", ",p0001,1709251200,,"), "the user has no id", "give it one"),
    "bad time": (append("interactions.csv", "u,p0001,soon,,"), "'soon' is not a time", "write whole"),
    "milliseconds": (
        append("interactions.csv", "u,p0001,1709251200999,,"), "lies outside the years", "divided by 1000",
    ),
    "bad rating": (append("interactions.csv", "u,p0001,1709251200,good,"), "'good' is not a finite", "write a"),
    "ragged": (append("interactions.csv", "u,p0001"), "has 2 cells, the header has 5", "quotes"),
    "not UTF-8": (write("interactions.csv", b"user,item,timestamp\n\xff,a,1\n"), "not UTF-8", "save"),
    "no picture": (remove("images/p0001.png"), "images/p0001.png: the file is missing", "add it"),
    "no such picture": (write("images/p0001.png", b"text"), "not a picture", "JPEG or PNG"),
    "no sound": (write("audio/p0001.wav", b"RIFF"), "the sound cannot be read", "save it again"),
    "outside": (edit("items.csv", "images/p0001", "../p0001"), "lies outside the folder", "copy it"),
    "features": (features, "has 39 rows for 40 items", "in the order of items.csv"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_remedy_and_ends_in_status_1(folder: Path, name: str) -> None:
    change, fault, remedy = FAULTS[name]
    change(folder)
    result = RUNNER.invoke(app, ["check", str(folder)])
    assert result.exit_code == 1
    told = [line for line in result.output.splitlines() if fault in line and remedy in line]
    assert told, result.output
    assert "fault" in result.output.splitlines()[-1]


def test_several_faults_are_told_together(folder: Path) -> None:
    for name in ("unknown item", "bad rating", "no picture", "features"):
        FAULTS[name][0](folder)
    result = RUNNER.invoke(app, ["check", str(folder)])
    for name in ("unknown item", "bad rating", "no picture", "features"):
        assert FAULTS[name][1] in result.output, name
    assert result.output.splitlines()[-1].endswith(f"{len(result.output.splitlines()) - 1} faults")


def test_notes_alone_end_in_status_0(folder: Path) -> None:
    result = RUNNER.invoke(app, ["check", str(folder)])
    assert result.exit_code == 0
    note, last = result.output.splitlines()
    assert note.startswith("note: interactions.csv: 26 users can be tested (of 30); only large")
    assert last.endswith("no fault found, 1 note")


def test_a_table_that_may_not_be_read_is_a_fault(
    folder: Path, unreadable: Callable[[Path], Any]
) -> None:
    with unreadable(folder / "items.csv"):
        result = RUNNER.invoke(app, ["check", str(folder)])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "items.csv: this account may not read it; change its permissions, then check again",
        f"{folder}: 1 fault",
    ]
