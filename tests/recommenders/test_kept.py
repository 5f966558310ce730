"""A recommender that is kept is served only for what it learnt from, content by content."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mmtutorial import datasets
from mmtutorial.cli import app
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import ContentKNN, Popularity
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.kept import fit_once

TAKEN = [("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)]
TRAIN = Interactions.of(TAKEN, items=["cup", "ice", "tea"])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def learns(*given: Any) -> bool:
    places: list[Path] = []
    fit_once(*given, announce=places.append)
    return bool(places)


def test_it_learns_once_and_again_for_another_content() -> None:
    warm = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert learns(ContentKNN(), TRAIN, {"text": warm})
    assert not learns(ContentKNN(), TRAIN, {"text": warm.copy()})
    other = warm.copy()
    other[1, 1] = np.nextafter(1.0, 2)
    assert learns(ContentKNN(), TRAIN, {"text": other})
    assert learns(ContentKNN(), TRAIN, {"image": warm})
    assert learns(Popularity(), TRAIN)
    assert not learns(Popularity(), Interactions.of(TAKEN, items=["cup", "ice", "tea"]))
    assert learns(Popularity(), Interactions.of(TAKEN, items=["cup", "joy", "tea"]))
    assert learns(Popularity(), Interactions.of([*TAKEN, ("bob", "cup", 4)], items=TRAIN.items))


def test_a_damaged_one_learns_again(cache: Path) -> None:
    assert learns(Popularity(), TRAIN)
    (path,) = cache.rglob("arrays.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert learns(Popularity(), TRAIN)
    assert not learns(Popularity(), TRAIN)


@pytest.mark.parametrize("name", ["arrays.npz", "recommender.json"])
def test_one_that_may_not_be_read_stays(
    name: str, cache: Path, unreadable: Callable[[Path], Any]
) -> None:
    assert learns(Popularity(), TRAIN)
    (path,) = cache.rglob(name)
    number, content = path.stat().st_ino, path.read_bytes()
    with unreadable(path), pytest.warns(UserWarning, match=rf"{path} cannot be used .*right to"):
        assert learns(Popularity(), TRAIN)
    assert (path.stat().st_ino, path.read_bytes()) == (number, content)


def test_without_a_place_for_the_cache_it_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"file.* cannot be used .* MMTUTORIAL_CACHE .* without"):
        learnt = fit_once(Popularity(), TRAIN)
    assert learnt.recommend([1], k=1).tolist() == [[0]]


def test_an_interruption_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Recommender, folder: Path) -> None:
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr(Popularity, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_once(Popularity(), TRAIN)
    assert list((cache / "recommenders").iterdir()) == []


def test_an_edition_of_the_same_sizes_and_dates_gets_its_own_list(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    data = datasets.shop(n_items=40, n_users=30).save(folder)

    def best() -> str:
        for path in folder.rglob("*"):
            os.utime(path, (1, 1))  # as in reproducible archives
        given = ["recommend", "--dataset", str(folder), "--user", "new", "-k", "1"]
        result = CliRunner().invoke(app, [*given, "--recommender", "popularity"])
        assert result.exit_code == 0, result.output
        return result.output.splitlines()[-1].strip().split("  ")[1]

    titles = data.items.set_index("item")["title"]
    (often,) = titles.index[titles == best()]
    first = titles.index[0]  # ties go to it
    assert often != first
    table = folder / "interactions.csv"
    size, text = table.stat().st_size, table.read_text()
    table.write_text(text.replace(often, "?").replace(first, often).replace("?", first))
    assert table.stat().st_size == size
    assert best() == titles[first]
