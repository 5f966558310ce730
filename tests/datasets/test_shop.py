"""The shop: the same bytes for one seed, media that belong to its products, no leak."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmtutorial.datasets import Dataset, load
from mmtutorial.datasets.simulated.shop import shop

SMALL = {"n_items": 60, "n_users": 50}


def digest(folder: Path) -> str:
    """Hash every name and byte of a folder."""
    sha = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        sha.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return sha.hexdigest()


def made_in(cache: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> Dataset:
    """Make a shop in a cache of its own."""
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(cache))
    return shop(**{**SMALL, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_one_seed_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    first = made_in(tmp_path / "a", monkeypatch, language=language)
    again = made_in(tmp_path / "b", monkeypatch, language=language)
    other = made_in(tmp_path / "b", monkeypatch, language=language, seed=1)
    assert digest(first.folder) == digest(again.folder)
    assert digest(first.folder) != digest(other.folder)


def test_a_second_call_takes_it_from_the_cache() -> None:
    first = shop(**SMALL)
    stamp = (first.folder / "items.csv").stat().st_mtime_ns
    again = shop(**SMALL)
    assert again.folder == first.folder
    assert (again.folder / "items.csv").stat().st_mtime_ns == stamp
    pd.testing.assert_frame_equal(again.items, first.items)


def test_it_has_no_fault_but_what_it_lacks_on_purpose() -> None:
    data = load("shop", **SMALL, missing={"text": 0.0, "image": 0.3, "audio": 0.3})
    assert data.validate() == []
    assert data.present().mean(axis=0) == pytest.approx([1.0, 0.7, 0.7], abs=0.15)


@pytest.mark.slow
def test_the_default_is_as_large_as_promised() -> None:
    data = shop()
    assert data.n_items >= 600
    assert data.n_users >= 1500
    assert data.truth is not None
    assert data.truth.utility().shape == (data.n_users, data.n_items)
    per_user = data.interactions.groupby("user").size()
    assert 15 < per_user.mean() < 21
    assert 0.3 < (data.interactions["review"] != "").mean() < 0.5


def test_titles_and_colours_tell_nothing_of_what_shoppers_want() -> None:
    data = shop(missing={"image": 1.0, "audio": 1.0})  # which take long to draw
    kinds = pd.crosstab(data.items["colour"], data.items["image_attribute"])
    expected = np.outer(kinds.sum(axis=1), kinds.sum(axis=0)) / kinds.to_numpy().sum()
    chi2 = ((kinds - expected) ** 2 / expected).to_numpy().sum()
    assert chi2 < 100, "49 degrees of freedom"
    named = [*data.items["image_attribute"].unique().tolist(), "bell", "drum", "siren"]
    assert not data.items["title"].str.lower().str.contains("|".join(named)).any()


def test_overlap_says_how_often_a_review_names_the_kind() -> None:
    never = shop(**SMALL, overlap=0.0)
    always = shop(**SMALL, overlap=1.0, missing={})

    def named(data: Dataset) -> float:
        rows = zip(data.items["text"], data.items["image_attribute"], strict=True)
        return float(np.mean([kind in text.lower() for text, kind in rows]))

    assert named(never) == 0.0
    assert named(always) == 1.0


def test_chinese_reviews_are_chinese() -> None:
    data = shop(**SMALL, language="zh", missing={})
    assert data.items["text"].str.contains("[一-鿿]").all()
    assert not data.items["text"].str.contains("[A-Za-z]{3}").any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"language": "fr"}, "language is 'fr'"),
        ({"overlap": 1.5}, "overlap is 1.5; it must lie between 0 and 1"),
        ({"media_noise": -0.1}, "media_noise is -0.1"),
        ({"missing": {"image": 2}}, "must lie between 0 and 1"),
    ],
)
def test_what_cannot_be_made_is_said(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shop(**SMALL, **options)
