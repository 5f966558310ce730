"""Each hostile file through the loader it belongs to: taken, or refused by name with a remedy."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from mmtutorial.datasets import Dataset, DatasetError, read_mmrec, sounds
from mmtutorial.datasets import collections as download
from mmtutorial.datasets.collections import unpack
from mmtutorial.datasets.dataset import validate_folder
from mmtutorial.datasets.media import MediaError
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.audio import load_audio
from mmtutorial.preprocessing.image import load_image
from mmtutorial.preprocessing.text import INVISIBLE, Vocabulary, clean, sequences, tokenise
from mmtutorial.recommenders.base import Recommender
from tests.hostile import corpus
from tests.hostile.corpus import INSIDE, Hostile
from tests.hostile.killed import Table

PATIENCE = 10.0  # seconds of work that one text may take
TEXTS = corpus.texts()
LEARNT = Table(7).fit(Interactions.of([("ann", "tea", 1), ("bob", "cup", 2), ("ann", "pot", 3)]))

bombs = pytest.mark.filterwarnings(
    "ignore::PIL.Image.DecompressionBombWarning", "ignore:Corrupt EXIF"
)


def each(files: list[Hostile]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("file", files, ids=[file.name for file in files])


def test_the_corpus_is_large_and_the_same_each_time() -> None:
    for make in (corpus.pictures, corpus.arrays):  # an Ogg has a number of chance in it
        assert make() == make()
    makers = (corpus.pictures, corpus.sounds, corpus.arrays, corpus.archives)
    files = [
        file
        for make in (*makers, corpus.tables, corpus.inters, corpus.vocabularies)
        for file in make()
    ]
    assert len(files) + len(TEXTS) >= 250
    assert sum(bool(file.said) for file in files) >= 150


@bombs
@each(corpus.pictures())
def test_pictures(tmp_path: Path, file: Hostile) -> None:
    path = file.write(tmp_path)
    if file.said:
        with pytest.raises(MediaError, match=rf"{re.escape(file.name)}: .*({file.said}).*; \w+"):
            load_image(path)
    else:
        assert load_image(path).mode == "RGB"


@each(corpus.sounds())
def test_sounds(tmp_path: Path, file: Hostile) -> None:
    path = file.write(tmp_path)
    if file.said:
        with pytest.raises(MediaError, match=rf"{re.escape(file.name)}: .*({file.said}).*; \w+"):
            load_audio(path)
    else:
        wave = load_audio(path)
        assert len(wave) and np.isfinite(wave).all()


def test_a_recording_of_too_many_samples_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.wav").write_bytes(corpus.sound(np.ones((60, 9))))
    monkeypatch.setattr(sounds, "MAX_SAMPLES", 60 * 9)
    assert load_audio(tmp_path / "a.wav").shape == (60,)
    monkeypatch.setattr(sounds, "MAX_SAMPLES", 60 * 9 - 1)
    with pytest.raises(MediaError, match=r"a\.wav: .* 60 samples in 9 channels, more than"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", TEXTS)
def test_texts(kind: str) -> None:
    text, expected = TEXTS[kind]
    tokenise("很好")  # jieba reads its dictionary
    begun = time.process_time()
    cleaned = clean(text)
    words = tokenise(cleaned)
    assert time.process_time() - begun < PATIENCE
    assert expected is None or cleaned == expected
    assert clean(cleaned) == cleaned
    assert not INVISIBLE.search(cleaned)
    cleaned.encode("utf-8")
    vocabulary = Vocabulary.of([words])
    assert vocabulary.decode(vocabulary.encode(words)) == words
    assert sequences([text], vocabulary, 8).max() < len(vocabulary)


def test_an_unbroken_stretch_of_chinese_loses_no_character_where_it_is_cut() -> None:
    text = "很好看" * 1001
    assert "".join(tokenise(text)) == "".join(tokenise(text, "zh")) == text


@pytest.mark.filterwarnings("ignore::mmtutorial.datasets.DatasetNote")
@each(corpus.tables())
def test_tables(kitchen: Path, file: Hostile) -> None:
    name = Path(file.name).name
    (kitchen / name).write_bytes(file.content)
    faults = [str(fault) for fault in validate_folder(kitchen) if not fault.note]
    if file.said:
        assert re.search(f"^{file.said}", faults[0], re.DOTALL), faults
        with pytest.raises(DatasetError, match=file.said):
            Dataset.open(kitchen)
        return
    if "wide" in file.name or "inner-space" in file.name:
        faults = [fault for fault in faults if "is not in items.csv" not in fault]
        faults = [fault for fault in faults if "no text, image or audio" not in fault]
        assert not faults
        return
    assert not faults
    data = Dataset.open(kitchen)
    again = data.save(kitchen.with_name("again"))
    assert again.items.equals(data.items)
    assert again.interactions.equals(data.interactions)


@pytest.mark.filterwarnings("ignore::mmtutorial.datasets.DatasetNote")
@each(corpus.inters())
def test_tables_of_mmrec(tmp_path: Path, file: Hostile) -> None:
    path = file.write(tmp_path)
    if file.said:
        with pytest.raises(DatasetError, match=f"(?s){file.said}") as told:
            read_mmrec(path.parent)
        assert all(fault.remedy for fault in told.value.faults)
    else:
        assert read_mmrec(path.parent).n_items == 3


@each(corpus.arrays())
def test_arrays(kitchen: Path, file: Hostile) -> None:
    (kitchen / "features").mkdir()
    (kitchen / "features" / "text.npy").write_bytes(file.content)
    (kitchen / "x.inter").write_bytes(corpus.INTER)
    (kitchen / "text_feat.npy").write_bytes(file.content)
    faults = [str(fault) for fault in validate_folder(kitchen)]
    if file.said:
        assert len(faults) == 1
        assert re.search(rf"^features/text\.npy: .*({file.said})", faults[0]), faults
        with pytest.raises(DatasetError, match=r"text_feat\.npy: .*; \w+"):
            read_mmrec(kitchen)
    else:
        assert not faults
        assert read_mmrec(kitchen).features["text"].shape == (3, 4)


@each(corpus.archives())
def test_archives(tmp_path: Path, file: Hostile) -> None:
    archive = file.write(tmp_path)
    folder = tmp_path / "above" / "folder"
    folder.mkdir(parents=True)
    manifest = {
        name: (hashlib.sha256(content).hexdigest(), len(content))
        for name, content in INSIDE.items()
    }
    if file.said:
        with pytest.raises((ValueError, *download.NO_ARCHIVE), match=file.said):
            unpack(archive, folder, manifest)
    else:
        unpack(archive, folder, manifest)
        assert all((folder / name).read_bytes() == INSIDE[name] for name in INSIDE)
    written = [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()]
    assert set(written) <= {archive, *(folder / name for name in INSIDE)}
    assert not any(path.is_symlink() for path in written)


def saved_recommender() -> list[Hostile]:
    """What would be put in the place of a saved recommender's files."""
    about = {
        "class": f"{Table.__module__}.{Table.__qualname__}",
        "version": "0.1.0",
        "options": {"size": 7},
        "files": ["arrays.npz"],
    }
    log = {f"train/log/{name}": LEARNT.train.log[name].to_numpy() for name in LEARNT.train.log}
    ids = {"train/users": LEARNT.train.users, "train/items": LEARNT.train.items}
    return corpus.recommenders(about, {**log, **ids, "learnt/table": np.full(3, 7.0)})


@each(saved_recommender())
def test_recommenders(tmp_path: Path, file: Hostile) -> None:
    folder = LEARNT.save(tmp_path / "model")
    assert Recommender.load(folder).recommend([1], k=1).tolist() == [[1]]
    (folder / Path(file.name).name).write_bytes(file.content)
    with pytest.raises(ValueError, match=f"(?s){re.escape(str(folder))}.*{file.said}"):
        Recommender.load(folder)
    if "recommender.json is damaged" in file.said:
        with pytest.raises(ValueError, match="is damaged, or not ours"):
            LEARNT.save(folder)


@each(corpus.vocabularies())
def test_vocabularies(tmp_path: Path, file: Hostile) -> None:
    path = file.write(tmp_path)
    with pytest.raises(ValueError, match=rf"{re.escape(file.name)} {file.said}"):
        Vocabulary.load(path)


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000 + "a.png", ".", "images", "./"])
def test_a_name_that_no_file_can_have_is_missing(kitchen: Path, name: str) -> None:
    (kitchen / "images").mkdir()
    text = corpus.ITEMS.decode().replace("so warm,", f"so warm,{name}")
    (kitchen / "items.csv").write_text(text)
    (fault,) = validate_folder(kitchen)
    assert str(fault).startswith(f"{name}: the file is missing (items.csv, row 3); add it")
    data = Dataset.open(kitchen)
    for _ in range(2):
        data.save(kitchen.with_name("copy"), replace=True)


def test_half_a_character_is_not_written(kitchen: Path, tmp_path: Path) -> None:
    data = Dataset.open(kitchen)
    data.items["text"] = ["so soft", "tea \ud83d cup", ""]
    with pytest.raises(DatasetError, match=r"nothing was .* items\.csv would hold half a char"):
        data.save(tmp_path / "new")
    data.items["text"] = data.items["text"].map(clean)
    assert data.save(tmp_path / "new").items["text"].tolist()[1] == "tea cup"
    data.name = "\udc00"
    with pytest.raises(DatasetError, match=r"dataset\.json would hold half a character"):
        data.save(tmp_path / "other")


def test_media_may_lie_where_features_lie(kitchen: Path, tmp_path: Path) -> None:
    (kitchen / "features").mkdir()
    np.save(kitchen / "features" / "text.npy", np.ones((3, 2)))
    shutil.copy(kitchen / "dataset.json", kitchen / "features" / "a.png")
    text = corpus.ITEMS.decode().replace("so warm,", "so warm,features/a.png")
    (kitchen / "items.csv").write_text(text)
    data = Dataset.open(kitchen).save(tmp_path / "new")
    assert data.path(1, "image").read_bytes() == corpus.ABOUT
