"""The garments: made from miniature collections that a server on this machine hands out."""

from __future__ import annotations

import importlib
import io
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from mmtutorial.datasets import DatasetError, garments, load
from tests.datasets.conftest import Made, Site, zipped

MODULE = importlib.import_module("mmtutorial.datasets.simulated.garments")
KINDS = tuple(MODULE.KINDS)


def photographs() -> dict[str, bytes]:
    files = {}
    for number in range(48):
        memory = io.BytesIO()
        picture = np.random.default_rng(number).integers(0, 255, (20, 16, 3), dtype=np.uint8)
        Image.fromarray(picture).save(memory, format="JPEG")
        files[f"train/{KINDS[number % 8]}/photo-{number:03d}.jpg"] = memory.getvalue()
    return files


def recordings() -> dict[str, bytes]:
    files = {}
    for number in range(50):
        memory = io.BytesIO()
        wave = 0.5 * np.sin(np.arange(2000) * (0.05 + 0.01 * number))
        soundfile.write(memory, wave, 8000, format="WAV", subtype="PCM_16")
        files[f"recordings/{number % 10}_{('theo', 'lucas')[number % 2]}_{number}.wav"] = (
            memory.getvalue()
        )
    return files


def reviews(each: int = 40) -> dict[str, bytes]:
    draw = np.random.default_rng(0)
    rows = [
        {
            "Clothing ID": number,
            "Title": "" if number % 5 == 0 else f"Title {number}",
            "Review Text": "" if number % 7 == 0 else f"Nice {name.lower()}, number {number}",
            "Rating": draw.choice([1, 2, 3, 4, 5], p=[0.05, 0.1, 0.1, 0.2, 0.55]),
            "Class Name": name,
        }
        for names in MODULE.KINDS.values()
        for name in [*names, "Swim"]
        for number in range(each)
    ]
    table = pd.DataFrame(rows).to_csv(index=True).encode()
    archive = zipped({"notes.ipynb": b"{}", MODULE.REVIEWS_TABLE: table}, top="x/")
    return {"womens-ecommerce-clothing-reviews.zip": archive}


@pytest.fixture
def miniature(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Three small collections behind the addresses that the garments are made from."""
    for name, path, files in (
        ("PHOTOGRAPHS", "/photographs.zip", photographs()),
        ("RECORDINGS", "/recordings.zip", recordings()),
        ("REVIEWS", "/reviews.zip", reviews()),
    ):
        collection = Made(name.lower(), site.address + path, "CC0", f"page of {name}", files)
        monkeypatch.setattr(MODULE, name, collection)
        site.files[path] = next(iter(files.values())) if name == "REVIEWS" else zipped(files)
    return site


SMALL = {"n_items": 40, "n_users": 60, "mean_interactions": 8.0}


@pytest.mark.usefixtures("miniature")
def test_every_medium_is_real_and_used_once() -> None:
    data = garments(seed=1, **SMALL, missing={})
    assert (data.n_items, data.n_users) == (40, 60)
    assert data.validate() == []
    given = {
        "image": set(photographs().values()),
        "audio": set(recordings().values()),
    }
    for modality, published in given.items():
        used = [data.path(row, modality).read_bytes() for row in range(40)]
        assert len(set(used)) == 40
        assert set(used) <= published
    texts = [text for item in data.items["text"] for text in item.split("\n")]
    written = [text for text in data.interactions["review"] if text]
    assert texts and written
    assert max(Counter(texts + written).values()) == 1


@pytest.mark.usefixtures("miniature")
def test_attributes_are_those_of_the_media() -> None:
    data = garments(seed=1, **SMALL, missing={})
    name_of = {content: name for name, content in {**photographs(), **recordings()}.items()}
    ratings = MODULE.read_reviews(
        MODULE.REVIEWS.obtain() / "womens-ecommerce-clothing-reviews.zip"
    ).set_index("text")
    for row, item in data.items.iterrows():
        picture = name_of[data.path(row, "image").read_bytes()]
        sound = name_of[data.path(row, "audio").read_bytes()]
        assert picture.split("/")[1] == item["image_attribute"]
        digit, speaker, _ = sound.split("/")[1].split("_")
        assert MODULE.DIGITS[int(digit)] == item["audio_attribute"]
        assert speaker == item["speaker"]
        own = ratings.loc[item["text"].split("\n")]
        assert (own["kind"] == item["image_attribute"]).all()
        assert own["rating"].mean() == pytest.approx(item["text_attribute"])
    bought = data.interactions[data.interactions["review"] != ""]
    own = ratings.loc[bought["review"]]
    kind = data.items.set_index("item")["image_attribute"]
    assert (own["kind"].to_numpy() == kind.loc[bought["item"]].to_numpy()).all()
    assert (own["rating"].to_numpy() == bought["rating"].to_numpy()).all()


@pytest.mark.usefixtures("miniature")
def test_reviews_of_one_item_agree_more_than_chance() -> None:
    data = garments(seed=1, **SMALL, missing={})
    assert data.items["text_attribute"].std() > 0.9  # the ratings themselves: about 1.2


@pytest.mark.usefixtures("miniature")
def test_the_same_seed_gives_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(seed: int, name: str) -> dict[str, bytes]:
        monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / name))
        folder = garments(seed=seed, **SMALL).folder
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    first = made(3, "a")
    assert made(3, "b") == first
    assert made(4, "a") != first


def test_it_is_made_once(miniature: Site) -> None:
    first = load("garments", **SMALL)
    asked = len(miniature.asked)
    assert asked == 3
    again = load("garments", **SMALL)
    assert len(miniature.asked) == asked
    pd.testing.assert_frame_equal(first.items, again.items)
    garments(**{**SMALL, "seed": 5})
    assert len(miniature.asked) == asked  # other garments of the same collections


@pytest.mark.usefixtures("miniature")
def test_what_is_withheld_has_no_file() -> None:
    data = garments(seed=1, **SMALL, missing={"image": 0.5, "text": 0.5})
    assert 0.2 < (data.items["image"] == "").mean() < 0.8
    assert len(list((data.folder / "images").iterdir())) == (data.items["image"] != "").sum()
    assert data.validate() == [] or {"has no text" in str(each) for each in data.validate()}


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize("n_items", [0, 49])
def test_more_items_than_media_are_refused(n_items: int) -> None:
    with pytest.raises(ValueError, match="48 photographs and 50 recordings"):
        garments(n_items=n_items)


def test_too_few_reviews_are_told(miniature: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    few = reviews(each=3)
    collection = Made("few", f"{miniature.address}/few", "CC0", "page", few)
    monkeypatch.setattr(MODULE, "REVIEWS", collection)
    miniature.files["/few"] = next(iter(few.values()))
    with pytest.raises(ValueError, match=r"items are of the kind .* ask for fewer items"):
        garments(n_items=48)


def test_a_collection_that_cannot_be_had_leaves_nothing_half_made(
    miniature: Site, cache: Path
) -> None:
    del miniature.files["/recordings.zip"]
    with pytest.raises(DatasetError, match="recordings cannot be had"):
        garments(**SMALL)
    assert not list((cache.parent / "garments").glob("*"))
    miniature.files["/recordings.zip"] = zipped(recordings())
    assert garments(**SMALL).n_items == 40


@pytest.mark.skipif("MMTUTORIAL_DATA" not in os.environ, reason="no copy of the collections")
def test_the_published_collections() -> None:
    data = garments(n_items=400, n_users=100)
    counts = data.items["image_attribute"].value_counts()
    assert set(counts.index) == set(KINDS)
    assert counts.min() > 5
    assert data.items["audio_attribute"].nunique() == 10
    assert data.items["speaker"].nunique() == 6
    assert data.validate() == []
    assert 3.9 < data.items["text_attribute"].mean() < 4.5
    assert data.items.loc[data.items["text"] != "", "text"].str.len().median() > 300
    with pytest.raises(ValueError, match="3335 photographs and 3000 recordings"):
        garments(n_items=3001)
