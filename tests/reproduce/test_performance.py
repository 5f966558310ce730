"""The page of performance: ratios beside bars, from the table that `make bench` writes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]


def module(path: str) -> ModuleType:
    """Import a script that is no part of the library."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded  # where its dataclasses look for it
    spec.loader.exec_module(loaded)
    return loaded


side_by_side = module("benchmarks/side_by_side.py")
performance = module("book/_extensions/performance_tables.py")
page = module("book/_extensions/performance_page.py")
Row = side_by_side.Row
ROWS = [
    Row("ranking", "ours", [1.0, 2.0, 3.0]),
    Row("ranking", "peer", [5.0, 6.0, 10.0], bar=4),
    Row("ranking", "limit: the product", [1.0]),
    Row("learning", "ours, towers", [2.0], quality=0.3),
    Row("learning", "worse peer", [8.0], quality=0.2, bar=1),
    Row("learning", "better peer", [8.0], quality=0.4, bar=1),
    Row("learning", "quick peer", [1.0], quality=0.2),
    Row("slow", "ours", [9.0]),
    Row("slow", "bar", [5.0]),
    *(Row("growth", "ours", [size / 100], size, memory=5.0) for size in (100, 300, 1000)),
    *(Row("too little growth", "ours", [size / 100], size) for size in (100, 300)),
    *(
        Row("approximate", name, [1.0], quality=quality)
        for name, quality in {"ours, exact": 1.0, "ours, 4 lists": 0.9}.items()
    ),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a table of these rows."""
    path = tmp_path / "benchmarks.csv"
    side_by_side.tell("retrieval", ROWS, "a machine <1>", path)
    return path


def test_rows_take_the_place_of_older_ones_of_their_case(path: Path) -> None:
    side_by_side.tell("retrieval", [Row("ranking", "ours", [7.0])], "another machine", path)
    side_by_side.tell("ngrams", [Row("ranking", "ours", [8.0])], "another machine", path)
    table = performance.read(path)
    ranking = table[table["case"] == "ranking"]
    assert ranking[["benchmark", "seconds"]].values.tolist() == [
        ["retrieval", 7.0],
        ["ngrams", 8.0],
    ]
    assert (table["case"] == "learning").sum() == 4


def test_what_is_read_is_what_was_told(path: Path) -> None:
    ours, peer = performance.read(path).to_dict("records")[:2]
    assert (ours["seconds"], ours["least"], ours["most"], ours["turns"]) == (2.0, 1.0, 3.0, 3)
    assert (peer["of_ours"], peer["bar"], peer["machine"]) == (3.0, 4.0, "a machine <1>")
    assert np.isnan([peer["size"], peer["memory"], peer["quality"]]).all()


def test_peers_are_compared_with_ours_and_with_their_bars(path: Path) -> None:
    compared = performance.compare(performance.read(path)).set_index("peer")
    assert compared["reached"].to_dict() == {
        "peer": "no", "worse peer": "yes", "better peer": "no", "quick peer": "",
    }  # fmt: skip
    assert compared.loc["peer", ["ratio", "least", "most", "of_limit"]].tolist() == [
        3,
        5 / 3,
        10,
        2,
    ]
    assert performance.distances(compared.reset_index()) == [
        "ranking, beside peer: 3 times instead of 4, or 0.75 of the bar; ours takes 2 times the "
        "limit",
        "learning, beside better peer: 4 times; reaches 0.3000, the peer 0.4000",
    ]


def test_what_has_no_peer_is_held_against_its_own_bar(path: Path) -> None:
    itself = performance.by_itself(performance.read(path))
    assert itself[["case", "ours", "bar", "reached"]].values.tolist() == [["slow", 9, 5, "no"]]


def test_growth_is_shown_over_a_decade(path: Path) -> None:
    powers = performance.exponents(performance.growing(performance.read(path)))
    assert powers["case"].tolist() == ["growth"]
    np.testing.assert_allclose(powers[["seconds", "memory"]].values, [[1, 0]], atol=1e-9)


def test_a_table_of_another_kind_is_refused(path: Path, tmp_path: Path) -> None:
    table = pd.read_csv(path)
    other = tmp_path / "other.csv"
    table.drop(columns="bar").to_csv(other, index=False)
    with pytest.raises(ValueError, match="lacks the column 'bar'"):
        performance.read(other)
    table.assign(seconds="quick").to_csv(other, index=False)
    with pytest.raises(ValueError, match="'seconds' holds something else than numbers"):
        performance.read(other)


def test_the_page_shows_what_was_measured_and_says_what_was_not(path: Path, monkeypatch) -> None:
    text = (ROOT / "book" / "performance.md").read_text(encoding="utf-8")
    asked = text.count("% measured: ")
    monkeypatch.setattr(page, "RESULTS", path)
    shown = [text]
    page.write_measured(None, "performance", shown)
    assert "% measured" not in shown[0]
    assert shown[0].count('<img alt="') == 3
    assert "ranking, beside peer: 3 times instead of 4" in shown[0]
    assert "- slow: 9 s instead of 5 s" in shown[0]
    assert "a machine &lt;1&gt;" in shown[0]
    assert shown[0].count(page.NOTHING) == asked - 4  # three figures and one table

    monkeypatch.setattr(page, "RESULTS", path.with_name("none.csv"))
    nothing, other = [text], [text]
    page.write_measured(None, "performance", nothing)
    page.write_measured(None, "claims", other)
    assert nothing[0].count(page.NOTHING) == asked
    assert other[0] == text
