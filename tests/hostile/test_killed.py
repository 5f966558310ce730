"""Whoever is killed while saving leaves the old state or the new, never half of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmtutorial.datasets import Dataset, DatasetError
from mmtutorial.preprocessing import image
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.recommenders.base import Recommender
from mmtutorial.storage import files as folders
from tests.hostile import killed

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which `killed.py` has left what was there after each kill."""
    base = tmp_path_factory.mktemp("killed")
    root = Path(__file__).parents[2]
    work = f"import pathlib, tests.hostile.killed as k; k.main(pathlib.Path({str(base)!r}))"
    subprocess.run([sys.executable, "-c", work], cwd=root, check=True, timeout=600)
    return base


def moments(base: Path) -> list[Path]:
    found = [place for place in base.iterdir() if place.name != "whole"]
    assert len(found) >= 9
    return found


def test_a_data_set_is_the_old_or_the_new(states: Path) -> None:
    seen = set()
    for place in moments(states / "dataset"):
        between = not (place / "d").exists()  # killed between the two moves
        data = Dataset.open(place / "d")
        assert data.items["text"].unique().tolist() == [data.name]
        assert data.features["text"].tolist() == [[3 if data.name == "old" else 9] * 4] * 3
        assert data.validate() == []
        seen.add((data.name, between))
    assert seen == {("old", False), ("old", True), ("new", False)}
    assert Dataset.open(states / "dataset" / "whole" / "d").name == "new"


def test_what_no_row_names_outlives_every_kill(states: Path) -> None:
    seen = set()
    for place in moments(states / "own folder"):
        data = Dataset.open(place / "d")
        assert data.validate() == []
        assert (place / "d" / "more" / "q.png").read_bytes() == b"mine"
        seen.add(data.name)
    assert seen == {"old", "new"}


def test_a_first_data_set_is_there_or_not(states: Path) -> None:
    for place in moments(states / "first"):
        if (place / "d").exists():
            assert Dataset.open(place / "d").validate() == []
        else:
            with pytest.raises(DatasetError, match="there is no such folder"):
                Dataset.open(place / "d")


def test_a_recommender_is_the_old_or_the_new(states: Path) -> None:
    seen = set()
    for place in moments(states / "recommender"):
        between = not (place / "r").exists()
        loaded = Recommender.load(place / "r")
        assert np.unique(loaded.score([0, 1])).tolist() == [loaded.options()["size"]]
        seen.add((loaded.options()["size"], between))
    assert seen == {(1, False), (1, True), (2, False)}


def test_the_next_save_succeeds_and_sweeps_up(
    states: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = killed.make_dataset("new", tmp_path / "source")
    for place in moments(states / "dataset")[:6]:
        other = place / ".other.txt"
        other.write_text("mine")
        new.save(
            place / "d", replace=True
        )  # what lies about may belong to a process that is still writing
        monkeypatch.setattr(folders, "ABANDONED", -1)
        new.save(place / "d", replace=True)
        monkeypatch.undo()
        assert sorted(each.name for each in place.iterdir()) == [".other.txt", "d"]


def test_what_was_encoded_before_the_kill_is_kept_and_the_rest_is_made(
    states: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = killed.pictures(states / "pictures")
    expected = encode_images(paths, jobs=1, cache=tmp_path / "cache")
    decoded: list[str] = []
    load = image.load_image

    def counted(path: str, at_least: int | None) -> object:
        decoded.append(path)
        return load(path, at_least)

    monkeypatch.setattr(image, "load_image", counted)
    made = set()
    for place in moments(states / "cache"):
        decoded.clear()
        whole = len(list(place.rglob("*.npz")))
        pixels, present, faults = encode_images(paths, jobs=1, cache=place)
        assert np.array_equal(pixels, expected[0])
        assert np.array_equal(present, expected[1])
        assert faults == expected[2] and len(faults) == 1
        assert len(decoded) == killed.PICTURES - 4 * whole
        made.add(len(decoded))
    assert len(made) > 2
