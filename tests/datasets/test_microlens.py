"""MicroLens, on small files of exactly the published layout."""

from __future__ import annotations

import importlib
import io
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from mmtutorial.datasets import Dataset, DatasetError, microlens, validate_folder
from mmtutorial.evaluation import default_split
from tests.datasets.conftest import Site, zipped

MODULE = importlib.import_module("mmtutorial.datasets.published.microlens")
PAIRS = """user,item,timestamp
1,10,1583378629552
1,9,1583378630000
2,10,1583378629999
2,7,1662984132429
"""
TITLES = """item,title
7,"Cats, dogs, and a ""horse""\"
9,一只猫 #funny
10,"Two
lines"
"""
TITLES_100K = """7,Cats, dogs, without quotes
9,A cat
8,Nobody comments\u2028on me
"""


def cover(colour: str) -> bytes:
    memory = io.BytesIO()
    Image.new("RGB", (16, 24), colour).save(memory, "JPEG")
    return memory.getvalue()


@pytest.fixture
def published(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A server with both editions."""
    monkeypatch.setattr(MODULE, "SITE", f"{site.address}/")
    monkeypatch.setattr(MODULE, "DIGESTS", {})
    small, large = "/MicroLens-50k-Dataset/", "/MicroLens-100k-Dataset/"
    covers = {"7.jpg": cover("red"), "10.jpg": cover("blue"), "../../9.jpg": b"evil"}
    site.files = {
        f"{small}MicroLens-50k_pairs.csv": PAIRS.encode(),
        f"{small}MicroLens-50k_titles.csv": TITLES.encode(),
        f"{small}MicroLens-50k_covers.zip": zipped(covers, "MicroLens-50k_covers/"),
        f"{large}MicroLens-100k_pairs.csv": PAIRS.encode(),
        f"{large}MicroLens-100k_title_en.csv": TITLES_100K.encode(),
    }
    return site


def test_comments_become_interactions_in_seconds(published: Site) -> None:
    data = microlens()
    assert data.interactions[["user", "item", "timestamp"]].values.tolist() == [
        ["1", "10", 1583378629],
        ["2", "10", 1583378629],
        ["1", "9", 1583378630],
        ["2", "7", 1662984132],
    ]
    assert data.items.values.tolist() == [
        ["7", 'Cats, dogs, and a "horse"', 'Cats, dogs, and a "horse"', "", ""],
        ["9", "一只猫 #funny", "一只猫 #funny", "", ""],
        ["10", "Two\nlines", "Two\nlines", "", ""],
    ]
    assert len(default_split(data).test) >= 1
    assert len(published.asked) == 2
    microlens()
    assert len(published.asked) == 2


def test_the_larger_edition_has_titles_without_header_or_quotes(published: Site) -> None:
    data = microlens(edition="100k")
    assert data.items[["item", "title", "text"]].values.tolist() == [
        ["7", "Cats, dogs, without quotes", "Cats, dogs, without quotes"],
        ["8", "Nobody comments\u2028on me", "Nobody comments\u2028on me"],
        ["9", "A cat", "A cat"],
        ["10", "10", ""],  # commented on, and without a title
    ]
    with pytest.raises(ValueError, match="edition is '1M'; there are 50k and 100k"):
        microlens(edition="1M")


def test_covers_are_unpacked_and_a_missing_one_is_masked(
    published: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = microlens(covers=True)
    assert data.items["image"].tolist() == ["images/7.jpg", "", "images/10.jpg"]
    told = capsys.readouterr().err
    assert "1 of 3 videos have nothing in" in told
    assert "its makers forbid to modify the data and offer them for download anew" in told
    assert (data.folder / "images" / "10.jpg").read_bytes() == cover("blue")
    assert not list(tmp_path.rglob("9.jpg"))
    data.save(tmp_path / "out")
    assert validate_folder(tmp_path / "out") == []
    again = Dataset.open(tmp_path / "out")
    assert again.items.equals(data.items) and again.interactions.equals(data.interactions)
    assert len(published.asked) == 3
    (data.folder / "images" / "10.jpg").write_bytes(cover("red"))  # of an earlier archive
    assert microlens(covers=True).items.equals(data.items)
    assert (data.folder / "images" / "10.jpg").read_bytes() == cover("blue")
    assert len(published.asked) == 3


def test_sounds_come_from_the_readers_own_folder(
    published: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(DatasetError, match=r"named microlens-50k-audio, each .* such as 17\.mp3"):
        microlens(audio=True)
    own = tmp_path / "own" / "microlens-50k-audio"
    own.mkdir(parents=True)
    for name in ("7.mp3", "9.WAV", "10.txt", "99.mp3"):
        (own / name).write_bytes(name.encode())
    if sys.platform != "win32":
        (own / "10.mp3").symlink_to(own / "nothing")
    monkeypatch.setenv("MMTUTORIAL_DATA", str(tmp_path / "own"))
    data = microlens(audio=True)
    assert data.items["audio"].tolist() == ["audio/7.mp3", "audio/9.WAV", ""]
    assert re.search(
        r"[23] entries of .* are no sounds .* such as .*'10.txt', '99.mp3'", capsys.readouterr().err
    )
    assert (data.folder / "audio" / "9.WAV").read_bytes() == b"9.WAV"
    (own / "9.WAV").write_bytes(b"other")  # another content of the same size
    assert (microlens(audio=True).folder / "audio" / "9.WAV").read_bytes() == b"other"


FAULTS = {
    "a missing column": (
        "50k_pairs.csv",
        PAIRS.replace("item", "video"),
        "MicroLens-50k_pairs.csv, row 1: lacks the columns ['item']",
    ),
    "a ragged row": (
        "50k_pairs.csv",
        PAIRS + "3,7\n",
        "MicroLens-50k_pairs.csv, row 6: has 2 cells, the header has 3",
    ),
    "a time that is none": (
        "50k_pairs.csv",
        PAIRS.replace("1583378630000", "2020-03-05"),
        "MicroLens-50k_pairs.csv, row 3: the timestamp '2020-03-05' is not a whole number",
    ),
    "a video that is none": (
        "50k_pairs.csv",
        PAIRS.replace("1,9,", "1,../9,"),
        "MicroLens-50k_pairs.csv, row 3: the item '../9' is not a whole number from 0 on",
    ),
    "another header": (
        "50k_titles.csv",
        TITLES.replace("item", "video"),
        "MicroLens-50k_titles.csv, row 1: the header is ['video', 'title'], and not item,title",
    ),
    "a title twice": (
        "50k_titles.csv",
        "item,title\n7,a\n9,b\n7,c\n",
        "MicroLens-50k_titles.csv, row 4: video 7 has a title already; remove one",
    ),
    "a row without a number": (
        "50k_titles.csv",
        "item,title\n7,a\n../9,b\n",
        "MicroLens-50k_titles.csv, row 3: '../9,b' is not a number, a comma and a title",
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_is_wrong_is_named(published: Site, kind: str) -> None:
    name, content, expected = FAULTS[kind]
    published.files[f"/MicroLens-50k-Dataset/MicroLens-{name}"] = content.encode()
    with pytest.raises(DatasetError) as told:
        microlens()
    assert [str(fault)[: len(expected)] for fault in told.value.faults] == [expected]


def test_titles_that_are_not_utf8_are_refused(published: Site) -> None:
    broken = TITLES.encode().replace(b"#", b"\xff")
    published.files["/MicroLens-50k-Dataset/MicroLens-50k_titles.csv"] = broken
    with pytest.raises(DatasetError, match=r"MicroLens-50k_titles\.csv: not UTF-8"):
        microlens()


def test_the_digests_that_readers_wrote_down_are_held_to(
    published: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    files = {name: MODULE.microlens_collection("50k", name) for name in ("tables", "covers")}
    known = {name: len(digest) for each in files.values() for name, digest in each.digests.items()}
    assert known == {
        "MicroLens-50k_pairs.csv": 64,
        "MicroLens-50k_titles.csv": 64,
        "MicroLens-50k_covers.zip": 64,
    }
    assert list(files["covers"]._addresses.values()) == [
        "https://recsys.westlake.edu.cn/MicroLens-50k-Dataset/MicroLens-50k_covers.zip"
    ]
