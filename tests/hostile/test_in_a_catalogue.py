"""Hostile files among good ones: they are masked and reported, and the others come out the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmtutorial.datasets import Dataset
from mmtutorial.preprocessing.audio import encode_audio
from mmtutorial.preprocessing.features import raw_features, ready_features
from mmtutorial.preprocessing.image import encode_images
from tests.hostile import corpus
from tests.hostile.corpus import Hostile

pytestmark = pytest.mark.filterwarnings(
    "ignore::PIL.Image.DecompressionBombWarning", "ignore:Corrupt EXIF"
)


def shuffled(files: list[Hostile]) -> list[Hostile]:
    order = np.random.default_rng(corpus.SEED).permutation(len(files))
    return [files[place] for place in order]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole corpus of pictures and sounds as one data set, hostile texts beside them."""
    place = tmp_path_factory.mktemp("bazaar")
    pictures, sounds = shuffled(corpus.pictures()), shuffled(corpus.sounds())
    for kind, files in (("images", pictures), ("audio", sounds)):
        for file in files:
            file.write(place / kind)
    texts = [text for text, _ in corpus.texts().values() if len(text) < 1000]
    texts = [text.encode("utf-8", "replace").decode().replace("\0", "") for text in texts]
    ids = [f"p{number}" for number in range(len(pictures))]
    table = pd.DataFrame({"item": ids})
    table["text"] = pd.Series([*texts, "so soft", "so warm"])
    table["image"] = [f"images/{file.name}" for file in pictures]
    table["audio"] = pd.Series([f"audio/{file.name}" for file in sounds])
    table.fillna("").to_csv(place / "items.csv", index=False)
    taken = pd.DataFrame({"user": "u", "item": ids, "timestamp": 1_700_000_000})
    taken.to_csv(place / "interactions.csv", index=False)
    (place / "dataset.json").write_text('{"name": "bazaar"}')
    return place


def refused(data: Dataset, modality: str) -> list[str]:
    """Names of the files that must be refused, in the order of the items."""
    files = corpus.pictures() if modality == "image" else corpus.sounds()
    said = {file.name: file.said for file in files}
    return [name for name in data.items[modality] if name and said[Path(name).name]]


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_a_batch_goes_on_and_reports_each(folder: Path, tmp_path: Path, modality: str) -> None:
    data = Dataset.open(folder)
    encode = encode_images if modality == "image" else encode_audio
    paths = [data.path(row, modality) for row in range(data.n_items)]
    bad = {folder / name for name in refused(data, modality)}
    rows, present, faults = encode(paths, jobs=1, cache=tmp_path / "one")
    assert [Path(fault.file) for fault in faults] == [path for path in paths if path in bad]
    assert all(fault.message and fault.remedy for fault in faults)
    assert present.tolist() == [path is not None and path not in bad for path in paths]
    assert np.isfinite(rows).all()
    assert not rows[~present].any()
    good = [path for path, there in zip(paths, present, strict=True) if there]
    alone, all_there, no_faults = encode(good, jobs=1, cache=tmp_path / "other")
    assert all_there.all() and not no_faults
    assert np.array_equal(rows[present], alone)  # mean and deviation too are the good ones'
    again = encode(paths, jobs=1, cache=tmp_path / "one")
    assert np.array_equal(again[0], rows) and again[2] == faults


def test_checking_finds_what_encoding_would_mask(folder: Path) -> None:
    data = Dataset.open(folder)
    expected = {*refused(data, "image"), *refused(data, "audio")}
    found = [fault for fault in data.validate() if fault.file != "items.csv"]
    media = [fault for fault in found if not fault.note]
    notes = {Path(fault.file).name for fault in found if fault.note}
    mended = {"almost-whole.wav", "without-last-page.ogg", "opposite.wav", "stream.wav"}
    assert notes == mended
    assert {fault.file for fault in media} == expected
    assert len(media) == len(expected)
    assert all("(items.csv, row " in fault.message and fault.remedy for fault in media)


def test_features_of_a_hostile_catalogue(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path))
    data = Dataset.open(folder)
    known = np.arange(data.n_items) % 2 == 0
    raw, faults = raw_features(data, known)
    ready, same_faults = ready_features(data, known)
    bad = [folder / name for kind in ("image", "audio") for name in refused(data, kind)]
    assert [Path(fault.file) for fault in faults] == bad
    assert same_faults == faults
    for name, array in (*raw.items(), *ready.items()):
        assert len(array) == data.n_items
        assert np.isfinite(array).all()
        if name != "text":
            lost = ~data.items[name].isin([each.relative_to(folder).as_posix() for each in bad])
            assert not array[~(lost & data.items[name].ne(""))].any()
            assert array.any()


def test_where_nothing_is_left_of_a_modality_it_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / "cache"))
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(b"")
    items = pd.DataFrame(
        {"item": list("ab"), "text": ["tea", "\u200b"], "image": ["a.png", "b.png"]}
    )
    taken = pd.DataFrame({"user": ["u"], "item": ["a"], "timestamp": [1]})
    data = Dataset("poor", items, taken, tmp_path)
    features, faults = ready_features(data, np.ones(2, bool))
    assert features == {}
    told = [str(fault) for fault in faults]
    assert len(told) == 4
    assert told[2].startswith("items.csv: too little text can be used to compare items by")
    assert told[3].startswith("items.csv: too little image can be used")


def test_folders_devices_and_odd_names_among_the_paths(tmp_path: Path) -> None:
    (good,) = (file.write(tmp_path) for file in corpus.pictures() if file.name == "dot.png")
    paths: list[str | Path] = [tmp_path, "a\0b", "x" * 5000, tmp_path / "none.png", good]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # to open it would wait for ever
        paths.append(tmp_path / "pipe")
    for encode in (encode_images, encode_audio):
        _, present, faults = encode(paths, jobs=1, cache=tmp_path / "cache")
        assert present.tolist() == [path == good and encode is encode_images for path in paths]
        assert [fault.file for fault in faults][:4] == [str(path) for path in paths[:4]]
        opened = [fault for fault in faults if fault.file != str(good)]
        assert all("cannot be opened (" in fault.message for fault in opened)
