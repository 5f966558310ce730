"""The listeners of last.fm: published numbers become ids, names, tags and plays that belong."""

from __future__ import annotations

import importlib
import io
import os
from pathlib import Path

import numpy as np
import pytest

from mmtutorial.datasets import Dataset, DatasetError, lastfm, load, validate_folder
from mmtutorial.datasets.collections import Collection
from mmtutorial.evaluation import default_split
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.behaviour import deduplicate
from tests.datasets.conftest import Made, Site

MODULE = importlib.import_module("mmtutorial.datasets.published.lastfm")
USERS, ARTISTS = ["2", "3"], ["51", "7", "1001"]  # the ids behind 0, 1, 2
LISTENS = [(0, 0, 0), (0, 1, 0), (1, 2, 0), (1, 0, 1), (0, 2, 2), (1, 1, 2)]  # user, artist, label
NAMES = {"7": '"Weird Al" Yankovic', "8": "Nobody Heard", "51": "Björk", "1001": "嵐"}
TAGS = {"51": "electronic,seen live", "7": 'parody,"funny"', "1001": "j-pop", "8": "silence"}


def array(dimensions: int, dtype: type) -> bytes:
    memory = io.BytesIO()
    np.save(memory, 1 + np.arange(3 * dimensions, dtype=dtype).reshape(3, dimensions))
    return memory.getvalue()


def table(*rows: tuple[object, ...]) -> bytes:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()


def files() -> dict[str, bytes]:
    """What is published, in small and in the same layout."""
    header = ("userID", "itemID", "rating", "x_label")
    return {
        "lfm2k.inter": table(header, *((user, item, 1, part) for user, item, part in LISTENS)),
        "lfm2k_og_ids.inter": table(
            header, *((USERS[user], ARTISTS[item], 1, part) for user, item, part in LISTENS)
        ),
        "lfm2k_text.tsv": table(("artistID", "text"), *sorted(TAGS.items())),
        "artists.dat": table(
            ("id", "name", "url", "pictureURL"),
            *((number, name, f"http://www.last.fm/{number}", "") for number, name in NAMES.items()),
        ),
        "user_artists.dat": table(
            ("userID", "artistID", "weight"),
            *((user, item, 10 * int(user) + int(item)) for user in USERS for item in NAMES),
        ),
        "all-MiniLM-L6-v2.npy": array(4, np.float32),
        "vggish.npy": array(2, np.float64),
        "whisper.npy": array(5, np.float32),
    }


def publish(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the small files, one by one."""
    site.files |= {f"/lfm/{name}": content for name, content in files().items()}
    address = f"{site.address}/lfm/"
    made = Made("lastfm-2k-multimodal", address, "non-commercial", "https://page", files())
    monkeypatch.setattr(MODULE, "LISTENERS", made)


@pytest.fixture
def published(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    publish(site, monkeypatch)
    return site


def test_every_artist_has_its_own_name_tags_and_features(published: Site) -> None:
    data = lastfm()
    assert data.items.values.tolist() == [
        ["51", "Björk", "electronic, seen live", "", ""],
        ["7", '"Weird Al" Yankovic', 'parody, "funny"', "", ""],
        ["1001", "嵐", "j-pop", "", ""],
    ]
    assert data.features["text"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
    assert data.features["audio"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert data.features["audio"].dtype == np.float32
    assert data.present().tolist() == [[True, False, True]] * 3
    assert data.validate() == []


def test_every_listen_keeps_its_part_and_its_plays(published: Site) -> None:
    log = lastfm().interactions
    assert log[["user", "item", "part", "plays"]].values.tolist() == [
        ["2", "1001", "test", 1021.0],
        ["2", "51", "train", 71.0],
        ["2", "7", "train", 27.0],
        ["3", "1001", "train", 1031.0],
        ["3", "51", "validation", 81.0],
        ["3", "7", "test", 37.0],
    ]
    assert log["timestamp"].isna().all()


def test_the_split_is_the_published_one(published: Site) -> None:
    data = load("lastfm", seed=5)
    split = default_split(data)
    found = {
        (part.users[user], part.items[item], label)
        for label, part in enumerate((split.train, split.validation, split.test))
        for user, item in part.log[["user", "item"]].values
    }
    assert found == {(USERS[user], ARTISTS[item], label) for user, item, label in LISTENS}
    assert split.train.items.tolist() == ARTISTS  # the order of the features
    taken = Interactions.of(deduplicate(data.interactions), items=data.items["item"])
    assert len(taken) == 6 and not taken.has_times


def test_the_other_audio_and_no_third(published: Site) -> None:
    assert lastfm(audio="whisper").features["audio"].shape == (3, 5)
    with pytest.raises(ValueError, match="audio is 'mfcc'; the features are vggish and whisper"):
        lastfm(audio="mfcc")


def test_files_are_downloaded_once_and_one_by_one(published: Site, cache: Path) -> None:
    lastfm()
    assert sorted(path for path, _ in published.asked) == sorted(published.files)
    lastfm(audio="whisper")
    assert len(published.asked) == len(published.files)
    (cache / "lastfm-2k-multimodal" / "artists.dat").unlink()
    lastfm()
    assert [path for path, _ in published.asked[len(published.files) :]] == ["/lfm/artists.dat"]


def test_a_changed_file_is_refused(published: Site) -> None:
    published.files["/lfm/lfm2k.inter"] += b"0\t0\t1\t2\n"
    with pytest.raises(DatasetError, match=r"lastfm-2k-multimodal cannot be had .* by hand from"):
        lastfm()


def test_what_is_written_is_without_fault(published: Site, tmp_path: Path) -> None:
    data = lastfm()
    data.save(tmp_path / "lastfm")
    assert validate_folder(tmp_path / "lastfm") == []
    again = Dataset.open(tmp_path / "lastfm")
    assert again.interactions.equals(data.interactions)
    assert again.items.equals(data.items)
    assert again.features["audio"].tobytes() == data.features["audio"].tobytes()
    assert "non-commercial" in again.licence and "swapUniba" not in again.licence


def test_the_manifest_names_the_files_that_are_read() -> None:
    collection: Collection = MODULE.LISTENERS
    assert set(files()) <= set(collection.manifest)
    assert collection.address.endswith("/hetrec2011-lastfm-2k/")


@pytest.mark.skipif("MMTUTORIAL_DATA" not in os.environ, reason="no copy of the collections")
def test_the_real_listeners() -> None:
    data = lastfm()
    assert (data.n_users, data.n_items, len(data.interactions)) == (1858, 1425, 56345)
    split = default_split(data)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [
        44327,
        4799,
        7219,
    ]
    assert (data.items["text"] != "").all() and (data.items["title"] != "").all()
    assert data.interactions["plays"].min() >= 1
    assert data.validate() == []
    vectors = data.features["text"]  # unit vectors of the tags: alike means played alike
    titles = data.items["title"].tolist()
    for artist, alike in (("Metallica", "Megadeth"), ("Miles Davis", "John Coltrane")):
        nearest = np.argsort(-vectors @ vectors[titles.index(artist)])
        assert [titles[row] for row in nearest[:2]] == [artist, alike]
