"""`mmtutorial recommend`: no order is claimed where none is known, and a user is found by any form."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmtutorial.cli import app

RUNNER = CliRunner()
COMPOSED, DECOMPOSED = "Zo\u00eb", "Zoe\u0308"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a data set with parts; the user's name is composed there."""
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "kitchen"
    place.mkdir()
    (place / "dataset.json").write_text('{"name": "kitchen"}')
    items = "".join(
        f"{name},{name.title()},Warm {name}.\n" for name in ("tea", "cup", "pot", "ice")
    )
    (place / "items.csv").write_text(f"item,title,text\n{items}", encoding="utf-8")
    taken = [
        ("tea", 1_709_251_205, "train"),
        ("cup", 1_709_251_206, "validation"),
        ("pot", 1_709_251_207, "test"),
    ]
    rows = "".join(
        f"{user},{item},{time},{part}\n" for user in (COMPOSED, "ann") for item, time, part in taken
    )
    (place / "interactions.csv").write_text(f"user,item,timestamp,part\n{rows}", encoding="utf-8")
    return place


def recommended(folder: Path, user: str) -> str:
    arguments = ["--dataset", str(folder), "--user", user, "-k", "1", "--recommender", "popularity"]
    result = RUNNER.invoke(app, ["recommend", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_last_items_are_named_where_times_are_known(folder: Path) -> None:
    assert "ann took 3 items, the last ones: Pot, Cup, Tea" in recommended(folder, "ann")


def test_no_order_is_claimed_where_no_times_are_known(folder: Path) -> None:
    path = folder / "interactions.csv"
    text = path.read_text("utf-8")
    for time in ("1709251205", "1709251206", "1709251207"):
        text = text.replace(f",{time},", ",,")
    path.write_text(text, "utf-8")
    output = recommended(folder, "ann")
    assert "ann took 3 items, among them: " in output
    assert "the last" not in output


@pytest.mark.parametrize("user", [COMPOSED, DECOMPOSED])
def test_a_user_is_found_composed_or_decomposed(folder: Path, user: str) -> None:
    assert f"{user} took 3 items" in recommended(folder, user)  # shown as it was typed
