"""`make bench`: every benchmark in a process of its own, whatever becomes of the others."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
WRITES = "import os, sys; open(sys.argv[-1], 'a').write({!r} + os.environ['OMP_NUM_THREADS'] + ';')"


@pytest.fixture
def suite(monkeypatch, tmp_path: Path) -> ModuleType:
    """Return the runner, with a suite of three scripts, the second of which fails."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    run = importlib.import_module("run")
    monkeypatch.delitem(sys.modules, "run")
    scripts = {
        "one": WRITES.format("one "),
        "two": "raise SystemExit(3)",
        "three": WRITES.format("three "),
    }
    for name, text in scripts.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "SUITE", dict.fromkeys([*scripts, "not there"], ()))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    return run


def arguments(monkeypatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", *map(str, words)])


def test_one_that_fails_does_not_stop_the_others(suite, monkeypatch, tmp_path, capfd) -> None:
    table = tmp_path / "table.csv"
    table.write_text("benchmark,what was measured before")
    arguments(monkeypatch, "--csv", table)
    assert suite.main() == 1
    assert table.read_text() == "one 7;three 7;"
    told = capfd.readouterr().out
    assert "=== two: FAILED (exit status 3)" in told
    assert "failed: two" in told


def test_one_alone_leaves_the_rest_of_the_table(suite, monkeypatch, tmp_path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("benchmark,before;")
    arguments(monkeypatch, "three", "--csv", table)
    assert suite.main() == 0
    assert table.read_text() == "benchmark,before;three 7;"


def test_an_unknown_name_is_refused(suite, monkeypatch, capsys) -> None:
    arguments(monkeypatch, "four")
    with pytest.raises(SystemExit):
        suite.main()
    assert "there is no benchmark 'four'; there are one, two, three" in capsys.readouterr().err
