"""A folder and the object that holds it: both ways, at once or not at all, every fault named."""

from __future__ import annotations

import json
import shutil
import struct
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from mmtutorial.datasets.dataset import Dataset, Truth, validate_folder
from mmtutorial.datasets.faults import DatasetError, DatasetNote, Fault
from mmtutorial.datasets.tables import LONGEST

ITEMS = """item,title,text,image,audio,liking
tea,"Tea, green","Warm,
and green.",images/tea.png,audio/tea.wav,0.1
cup,Cup,,images/cup.jpg,,-1.5
pot,Pot,茶壶很好。,,,0.30000000000000004
"""
INTERACTIONS = """user,item,timestamp,rating,review
bob,cup,1704067300,,
ann,tea,1704067200,5,"Good, ""very"" good"
ann,cup,1704067200,3.5,
bob,pot,1704067400,1,
"""
ABOUT = {
    "name": "kitchen",
    "version": "2",
    "licence": "CC0",
    "seed": 7,
    "number_columns": ["liking"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder without a fault, with everything that a data set may have."""
    place = tmp_path / "kitchen"
    for name in ("images", "audio", "features", "truth"):
        (place / name).mkdir(parents=True)
    (place / "dataset.json").write_text(json.dumps(ABOUT), encoding="utf-8")
    (place / "items.csv").write_text(ITEMS, encoding="utf-8")
    (place / "interactions.csv").write_text(INTERACTIONS, encoding="utf-8")
    generator = np.random.default_rng(0)
    for name in ("tea.png", "cup.jpg"):
        noise = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(place / "images" / name)
    soundfile.write(place / "audio" / "tea.wav", generator.uniform(-0.5, 0.5, 800), 8000)
    np.save(place / "features" / "text.npy", generator.random((3, 4), dtype=np.float32))
    (place / "truth" / "items.csv").write_text("item,warm,round\ntea,1,0\ncup,0,1\npot,1,1\n")
    (place / "truth" / "users.csv").write_text("user,warm,round\nann,1,0\nbob,0,2.5\n")
    return place


def test_a_good_folder_has_no_fault(folder: Path) -> None:
    assert validate_folder(folder) == []
    assert Dataset.open(folder).validate() == []


def test_open_reads_what_a_person_wrote(folder: Path) -> None:
    data = Dataset.open(folder)
    assert (data.name, data.version, data.licence, data.seed) == ("kitchen", "2", "CC0", 7)
    assert (data.n_items, data.n_users, data.users.tolist()) == (3, 2, ["ann", "bob"])
    assert data.items["title"].tolist() == ["Tea, green", "Cup", "Pot"]
    assert data.items["text"].tolist() == ["Warm,\nand green.", "", "茶壶很好。"]
    assert data.items["liking"].tolist() == [0.1, -1.5, 0.30000000000000004]
    log = data.interactions
    assert log["user"].tolist() == ["ann", "ann", "bob", "bob"]  # sorted by time, then user, item
    assert log["item"].tolist() == ["cup", "tea", "cup", "pot"]
    assert log["timestamp"].dtype == np.int64
    assert log["rating"].tolist()[:2] == [3.5, 5.0]
    assert np.isnan(log["rating"][2])
    assert log["review"][1] == 'Good, "very" good'
    assert data.path(0, "image") == folder / "images" / "tea.png"
    assert data.path(1, "audio") is None
    assert data.truth is not None
    assert data.truth.utility().tolist() == [[1.0, 0.0, 1.0], [0.0, 2.5, 2.5]]
    assert data.truth.utility(["bob"]).tolist() == [[0.0, 2.5, 2.5]]


def test_present_counts_files_text_and_features_that_are_not_zero(folder: Path) -> None:
    data = Dataset.open(folder)
    assert data.present().tolist() == [
        [True, True, True],
        [True, True, False],
        [True, False, False],
    ]
    data.features["text"][1] = 0
    assert data.present()[:, 0].tolist() == [True, False, True]


def test_a_byte_order_mark_and_windows_line_ends_are_read(folder: Path) -> None:
    text = "\ufeff" + ITEMS.replace("\n", "\r\n")
    (folder / "items.csv").write_bytes(text.encode())
    assert validate_folder(folder) == []


def test_only_the_ids_and_the_times_must_be_given(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"name": "bare"}')
    (tmp_path / "items.csv").write_text("item\na\n")
    (tmp_path / "interactions.csv").write_text("user,item,timestamp\nu,a,1704067200\n")
    data = Dataset.open(tmp_path)
    assert data.items.columns.tolist() == ["item", "title", "text", "image", "audio"]
    assert data.interactions.columns.tolist() == ["user", "item", "timestamp", "rating", "review"]
    assert not data.present().any()


def test_save_and_open_give_back_the_same(folder: Path, tmp_path: Path) -> None:
    data = Dataset.open(folder)
    again = data.save(tmp_path / "copies" / "one")
    pd.testing.assert_frame_equal(again.items, data.items)
    pd.testing.assert_frame_equal(again.interactions, data.interactions)
    np.testing.assert_array_equal(again.features["text"], data.features["text"])
    assert again.truth is not None and data.truth is not None
    pd.testing.assert_frame_equal(again.truth.item_factors, data.truth.item_factors)
    picture = again.path(0, "image")
    assert picture is not None
    assert picture.read_bytes() == (folder / "images" / "tea.png").read_bytes()
    assert again.validate() == []


WITHOUT_TIMES = """user,item,timestamp,rating,review,part,plays,mood
bob,cup,,,,train,7,
ann,tea,,5,Good,test,2,calm
ann,cup,,3.5,,train,,
bob,pot,,1,,validation,1.5,sad
"""


def without_times(folder: Path) -> None:
    """Rewrite the interactions: parts and further columns, and nobody knows when."""
    (folder / "interactions.csv").write_text(WITHOUT_TIMES, encoding="utf-8")
    about = {**ABOUT, "number_columns_of_interactions": ["plays"]}
    (folder / "dataset.json").write_text(json.dumps(about), encoding="utf-8")


def test_parts_and_further_columns_are_kept_and_times_may_be_unknown(
    folder: Path, tmp_path: Path
) -> None:
    without_times(folder)
    assert validate_folder(folder) == []
    data = Dataset.open(folder)
    log = data.interactions
    assert log.columns.tolist()[:5] == ["user", "item", "timestamp", "rating", "review"]
    assert log["item"].tolist() == ["cup", "tea", "cup", "pot"]  # by user, then item
    assert log["timestamp"].isna().all() and log["timestamp"].dtype == np.float64
    assert log["part"].tolist() == ["train", "test", "train", "validation"]
    assert log["mood"].tolist() == ["", "calm", "", "sad"]
    assert log["plays"].fillna(-1).tolist() == [-1, 2, 7, 1.5]
    again = data.save(tmp_path / "again")
    pd.testing.assert_frame_equal(again.interactions, log)
    assert again.validate() == []
    assert (tmp_path / "again" / "interactions.csv").read_text().splitlines()[2] == (
        "ann,tea,,5.0,Good,test,2.0,calm"
    )


@pytest.mark.parametrize("column", [[None] * 4, [np.nan] * 4, pd.array([pd.NA] * 4, "Int64")])
def test_an_empty_column_of_times_says_that_none_is_known(column: object) -> None:
    taken = pd.DataFrame({"user": list("aabb"), "item": list("xyxy"), "timestamp": column})
    data = Dataset("x", pd.DataFrame({"item": list("xy"), "text": "t"}), taken, Path("."))
    assert data.interactions["timestamp"].isna().all()
    assert data.interactions["timestamp"].dtype == np.float64
    assert data.validate() == []
    with pytest.raises(
        DatasetError, match="timestamps of 1 interactions are missing: give all, or"
    ):
        Dataset("x", data.items, taken.assign(timestamp=[1, 2, None, 4]), Path("."))


def test_saving_twice_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = Dataset.open(folder).save(tmp_path / "one").save(tmp_path / "two").folder
    for path in (path for path in first.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "one" / path.relative_to(first)).read_bytes()


def test_save_replaces_a_data_set_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    data = Dataset.open(folder)
    place = tmp_path / "place"
    data.save(place)
    data.name = "renamed"
    assert data.save(place, replace=True).name == "renamed"
    other = tmp_path / "letters"
    other.mkdir()
    (other / "love.txt").write_text("dear")
    with pytest.raises(
        DatasetError, match=r"letters holds 'love\.txt', which is no part of a data set"
    ):
        data.save(other)
    assert (other / "love.txt").read_text() == "dear"
    with pytest.raises(DatasetError, match="is a file; name a folder"):
        data.save(other / "love.txt")
    (place / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match=r"holds 'notes\.txt', which is no part .* nothing was"):
        data.save(place, replace=True)
    assert (place / "notes.txt").read_text() == "mine"
    assert Dataset.open(place).name == "renamed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kitchen", "letters", "place"]


def test_save_follows_a_link_and_refuses_the_folder_one_is_in(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Dataset.open(folder)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    data.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert validate_folder(tmp_path / "real") == []
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DatasetError, match="is the folder you are in"):
        data.save(".")
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": ["tea", "cup", "pan", "pot"]}, "the item 'pan' is not in items.csv"),
        ({"user": ["ann", "bob", " ann", "bob"]}, "the user id ' ann' has spaces around it"),
        ({"review": ["", "", "", "x" * (LONGEST + 1)]}, "field larger than field limit"),
    ],
)
def test_what_could_not_be_opened_again_is_not_saved(
    folder: Path, tmp_path: Path, change: dict[str, list[str]], message: str
) -> None:
    data = Dataset.open(folder)
    place = tmp_path / "place"
    data.save(place)
    data.interactions = data.interactions.assign(**change)
    with pytest.raises(DatasetError, match=message) as told:
        data.save(place, replace=True)
    assert f"nothing was written into {place}" in str(told.value)
    assert validate_folder(place) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kitchen", "place"]


def test_a_long_text_is_saved_and_read(folder: Path, tmp_path: Path) -> None:
    data = Dataset.open(folder)
    data.items["text"] = ["很好" * 100_000, "", ""]
    assert data.save(tmp_path / "long").items["text"][0] == "很好" * 100_000


def test_tables_as_pandas_reads_them_are_taken() -> None:
    items = pd.DataFrame({"item": [7, 8], "text": ["Warm.", np.nan], "image": [np.nan, np.nan]})
    taken = pd.DataFrame(
        {
            "user": [1, 1],
            "item": [8, 7],
            "timestamp": pd.to_datetime(["2024-01-02T00:00:00", "2024-01-01T00:00:05"]),
            "review": [None, "Good."],
        }
    )
    data = Dataset("numbers", items, taken, Path("."))
    assert data.items["item"].tolist() == ["7", "8"]
    assert data.present()[:, :2].tolist() == [[True, False], [False, False]]
    assert data.interactions["item"].tolist() == ["7", "8"]
    assert data.interactions["timestamp"].tolist() == [1_704_067_205, 1_704_153_600]
    assert data.interactions["review"].tolist() == ["Good.", ""]
    assert [fault.message for fault in data.validate()] == [
        "the item '8' has no text, image or audio"
    ]
    with pytest.raises(DatasetError, match=r"the timestamps are bool \(boolean\): give"):
        Dataset("x", items, taken.assign(timestamp=[True, False]), Path("."))
    with pytest.raises(DatasetError, match=r"features names \['\.\./evil'\]; the modalities"):
        Dataset("x", items, taken, Path("."), features={"../evil": np.ones((2, 3))})


def test_a_save_that_fails_leaves_the_old_state(folder: Path, tmp_path: Path) -> None:
    data = Dataset.open(folder)
    place = tmp_path / "place"
    data.save(place)

    def no_space(folder: Path) -> None:
        (folder / "images").mkdir()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        data.save(place, replace=True, write_media=no_space)
    assert validate_folder(place) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kitchen", "place"]


def test_the_constructor_names_what_is_missing() -> None:
    items = pd.DataFrame({"item": ["tea"]})
    with pytest.raises(DatasetError, match=r"interactions lacks the columns \['timestamp'\]"):
        Dataset("x", items, pd.DataFrame({"user": ["a"], "item": ["tea"]}), Path("."))
    with pytest.raises(DatasetError, match=r"items lacks the columns \['item'\]"):
        Dataset("x", pd.DataFrame({"id": ["tea"]}), pd.DataFrame(), Path("."))


def test_the_split_is_kept_and_an_unknown_one_refused(folder: Path, tmp_path: Path) -> None:
    data = Dataset.open(folder)
    assert data.split == "" and "split" not in json.loads((folder / "dataset.json").read_text())
    data.split = "per user"
    assert data.save(tmp_path / "split").split == "per user"
    with pytest.raises(DatasetError, match="its split is 'by heart'; write one of published, per"):
        replace(data, split="by heart")
    with pytest.raises(DatasetError, match="no interaction has a part; add a column part"):
        replace(data, split="published")


def test_a_table_that_may_not_be_read_is_a_fault(
    folder: Path, unreadable: Callable[[Path], Any]
) -> None:
    for name in ("dataset.json", "items.csv", "interactions.csv", "truth/users.csv"):
        with unreadable(folder / name):
            told = [str(fault) for fault in validate_folder(folder)]
            with pytest.raises(PermissionError):  # a cache that cannot be read is made elsewhere
                Dataset.open(folder)
        assert told == [
            f"{name}: this account may not read it; change its permissions, then check again"
        ]
    assert validate_folder(folder) == []


def test_truth_multiplies_factors_by_name() -> None:
    truth = Truth(
        pd.DataFrame({"a": [1.0, 2.0]}, index=["x", "y"]), pd.DataFrame({"a": [3.0]}, index=["u"])
    )
    assert truth.utility().tolist() == [[3.0, 6.0]]


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Return a breaker that replaces a piece of a text file."""

    def breaker(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8", newline="")

    return breaker


def write(name: str, content: bytes) -> Callable[[Path], None]:
    """Return a breaker that overwrites a file."""
    return lambda folder: (folder / name).write_bytes(content) and None


def remove(name: str) -> Callable[[Path], None]:
    """Return a breaker that removes a file."""
    return lambda folder: (folder / name).unlink()


def cut(name: str, share: float) -> Callable[[Path], None]:
    """Return a breaker that keeps only the beginning of a file."""

    def breaker(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return breaker


def sound(samples: np.ndarray) -> Callable[[Path], None]:
    """Return a breaker that replaces the recording."""
    return lambda folder: soundfile.write(
        folder / "audio" / "tea.wav", samples.astype(np.float32), 8000, subtype="FLOAT"
    )


def feature(array: np.ndarray) -> Callable[[Path], None]:
    """Return a breaker that replaces the ready-made text features."""
    return lambda folder: np.save(folder / "features" / "text.npy", array, allow_pickle=True)


def huge_png(folder: Path) -> None:
    """Declare a picture of 60,000 × 60,000 pixels in a few bytes."""
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )  # fmt: skip

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )
    (folder / "images" / "tea.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no such folder": (shutil.rmtree, "kitchen: there is no such folder; check the path"),
    "no dataset.json": (
        remove("dataset.json"),
        'dataset.json: the file is missing; write one, such as {"name": "my shop", ',
    ),
    "broken dataset.json": (
        write("dataset.json", b'{"name": "x",\n "seed" 3}'),
        "dataset.json: not JSON: Expecting ':' delimiter in line 2, column 9; correct it there",
    ),
    "dataset.json not UTF-8": (
        write("dataset.json", b'{"name": "caf\xe9"}'),
        "dataset.json: not UTF-8 text; save it again as UTF-8",
    ),
    "a split that there is not": (
        write("dataset.json", b'{"name": "x", "split": ["by heart"]}'),
        "dataset.json: its split is ['by heart']; write one of published, per user, global, or none",
    ),
    "a published split without parts": (
        write("dataset.json", b'{"name": "x", "split": "published"}'),
        "dataset.json: its split is 'published', and no interaction has a part; add a column part",
    ),
    "no name": (write("dataset.json", b'{"seed": 3}'), "dataset.json: it gives no name; write one"),
    "no items.csv": (
        remove("items.csv"),
        "items.csv: the file is missing; write it, with a header such as item",
    ),
    "no interactions.csv": (
        remove("interactions.csv"),
        "interactions.csv: the file is missing; write it, with a header such as user,item,timestamp",
    ),
    "empty table": (
        write("items.csv", b"\n \n"),
        "items.csv: the file is empty; its first row names",
    ),
    "header alone": (
        write("items.csv", b"item,title\n"),
        "items.csv: has a header and no rows; add at least one",
    ),
    "no interactions": (
        write("interactions.csv", b"user,item,timestamp\n\n"),
        "interactions.csv: has a header and no rows; add at least one",
    ),
    "missing column": (
        edit("interactions.csv", "timestamp", "when"),
        "interactions.csv, row 1: lacks the columns ['timestamp']; the header has ['user', 'item', 'when'",
    ),
    "wrong delimiter": (
        write("interactions.csv", b"user|item|timestamp\nann|tea|5\n"),
        "interactions.csv, row 1: its columns are separated by '|'; separate them by commas",
    ),
    "duplicate header": (
        edit("items.csv", "title", "text"),
        "items.csv, row 1: the columns ['text'] occur twice; keep one of each, or rename it",
    ),
    "a cell too many": (
        edit("interactions.csv", "bob,cup,1704067300,,", "bob,cup,1704067300,4,fine, thanks"),
        "interactions.csv, row 2: has 6 cells, the header has 5; put a cell that holds a comma in",
    ),
    "a blank row": (
        edit("interactions.csv", "\nann", "\n\nann"),
        "interactions.csv, row 3: has 0 cells, the header has 5;",
    ),
    "a quote that is never closed": (
        write("interactions.csv", b'user,item,timestamp,review\nann,tea,5,"good\nbob,cup,6,\n'),
        "interactions.csv, row 2: a double quote opens a cell and is never closed; close it, or",
    ),
    "text after a quote": (
        edit("items.csv", '"Tea, green"', '"Tea" green'),
        "items.csv, row 2: text follows the closing double quote of a cell; write a quote inside",
    ),
    "a cell too long": (
        edit("items.csv", "Cup", "C" * (LONGEST + 1)),
        "items.csv, row 3: field larger than field limit (10000000); correct or shorten that cell",
    ),
    "not UTF-8": (
        write("interactions.csv", "user,item,timestamp\nann,tea,5\njosé,tea,6\n".encode("latin-1")),
        "interactions.csv, row 3: not UTF-8: byte 0xe9; save the file again with the encoding UTF-8",
    ),
    "null character": (
        edit("items.csv", "Cup", "C\0p"),
        "items.csv, row 3: holds a null character; save it again as plain CSV in UTF-8",
    ),
    "duplicate id": (
        edit("items.csv", "\npot,", "\ntea,"),
        "items.csv, row 4: the item id 'tea' is taken by row 2; give every item its own id",
    ),
    "empty id": (
        edit("items.csv", "\npot,", "\n,"),
        "items.csv, row 4: the item has no id; give it one, or remove the row",
    ),
    "padded id": (
        edit("items.csv", "\npot,", "\npot ,"),
        "items.csv, row 4: the item id 'pot ' has spaces around it; trim it",
    ),
    "a number column with words": (
        edit("items.csv", "-1.5", "much"),
        "items.csv, row 3: the liking 'much' is not a finite number; write a number, or leave",
    ),
    "empty user": (
        edit("interactions.csv", "ann,tea", ",tea"),
        "interactions.csv, row 3: the user has no id; give it one, or remove the row",
    ),
    "unknown item": (
        edit("interactions.csv", "bob,pot", "bob,pan"),
        "interactions.csv, row 5: the item 'pan' is not in items.csv; add it there, or remove",
    ),
    "bad timestamp": (
        edit("interactions.csv", "1704067300", "2024-01-01"),
        "interactions.csv, row 2: the timestamp '2024-01-01' is not a time; write whole seconds",
    ),
    "milliseconds": (
        edit("interactions.csv", "1704067300", "1704067300000"),
        "row 2: the time 1704067300000 lies outside the years 1678 to 2261; write seconds since "
        "1970-01-01 00:00 UTC; milliseconds are divided by 1000",
    ),
    "all in milliseconds": (
        lambda folder: (folder / "interactions.csv").write_text(
            INTERACTIONS.replace("00,", "00000,")
        ),
        "interactions.csv: the times look like milliseconds, such as 1704067300000 in row 2; read "
        'the table by from_tables(..., times="ms"), or write seconds since 1970-01-01 00:00 UTC: '
        "1704067300000 / 1,000",
    ),
    "some timestamps missing": (
        edit("interactions.csv", "1704067300", ""),
        "row 2: the timestamp '' is not a time; write whole seconds since 1970-01-01 00:00 UTC, or "
        "leave the whole column empty where no times are known",
    ),
    "twice, without times": (
        lambda folder: (
            without_times(folder),
            edit("interactions.csv", "bob,pot,,1,,validation,", "bob,cup,,1,,train,")(folder),
        ),
        "interactions.csv, row 5: 'bob' takes 'cup' twice; remove one of the two rows",
    ),
    "unknown part": (
        lambda folder: (without_times(folder), edit("interactions.csv", "test", "dev")(folder)),
        "interactions.csv, row 3: the part 'dev' is unknown; write one of train, validation, test",
    ),
    "no part": (
        lambda folder: (without_times(folder), edit("interactions.csv", "test", "")(folder)),
        "interactions.csv, row 3: the part '' is unknown; write one of train, validation, test, or",
    ),
    "in two parts": (
        lambda folder: (
            write(
                "interactions.csv",
                b"user,item,timestamp,part\nann,tea,1704067200,train\nann,tea,1704067201,test",
            )(folder),
            write("truth/users.csv", b"user,warm,round\nann,1,0\n")(folder),
        ),
        "interactions.csv, row 3: 'ann' takes 'tea' in the parts train and test; what is tested",
    ),
    "words in a number column of the interactions": (
        lambda folder: (without_times(folder), edit("interactions.csv", "1.5", "few")(folder)),
        "interactions.csv, row 5: the plays 'few' is not a finite number; write a number, or leave",
    ),
    "bad rating": (
        edit("interactions.csv", ",5,", ",inf,"),
        "interactions.csv, row 3: the rating 'inf' is not a finite number; write a number, or leave",
    ),
    "duplicate interaction": (
        edit("interactions.csv", "bob,cup,1704067300,,", "ann,tea,1704067200,,"),
        "interactions.csv, row 3: 'ann' takes 'tea' twice at the same time; remove one of the two",
    ),
    "item without a modality": (
        lambda folder: (
            edit("items.csv", "images/cup.jpg", "")(folder),
            remove("features/text.npy")(folder),
        )[0],
        "items.csv, row 3: the item 'cup' has no text, image or audio; only its id can be",
    ),
    "path that climbs out": (
        edit("items.csv", "images/cup.jpg", "../secret.jpg"),
        "items.csv, row 3: the image '../secret.jpg' lies outside the folder; copy it into",
    ),
    "absolute path": (
        edit("items.csv", "audio/tea.wav", "/home/me/tea.wav"),
        "items.csv, row 2: the audio '/home/me/tea.wav' lies outside the folder; copy it into",
    ),
    "drive letter": (
        edit("items.csv", "images/cup.jpg", "C:cup.jpg"),
        "items.csv, row 3: the image 'C:cup.jpg' lies outside the folder;",
    ),
    "missing image": (
        remove("images/cup.jpg"),
        "images/cup.jpg: the file is missing (items.csv, row 3); add it, or leave the image of",
    ),
    "empty image": (
        write("images/cup.jpg", b""),
        "images/cup.jpg: the file is empty (items.csv, row 3); replace it, or leave the image",
    ),
    "image that is none": (
        write("images/cup.jpg", b"<html>404</html>"),
        "images/cup.jpg: not a picture (items.csv, row 3); replace it by a JPEG or PNG",
    ),
    "truncated image": (
        cut("images/cup.jpg", 0.6),
        "images/cup.jpg: the picture is damaged (image file is truncated",
    ),
    "decompression bomb": (
        huge_png,
        "images/tea.png: the picture has more than the 80 million pixels that we decode (items.csv,",
    ),
    "missing audio": (
        remove("audio/tea.wav"),
        "audio/tea.wav: the file is missing (items.csv, row 2); add it, or leave the audio of",
    ),
    "audio that is none": (
        write("audio/tea.wav", b"RIFF\x04\0\0\0WAVEjunk"),
        "audio/tea.wav: the sound cannot be read (",
    ),
    "truncated audio": (
        cut("audio/tea.wav", 0.5),
        "audio/tea.wav: the recording is cut off before its end (items.csv, row 2); fetch the whole",
    ),
    "audio without samples": (
        sound(np.zeros(0)),
        "audio/tea.wav: the recording has no samples (items.csv, row 2); record or export it",
    ),
    "silent audio": (
        sound(np.zeros(800)),
        "audio/tea.wav: the recording is silent (items.csv, row 2); record it again, or leave",
    ),
    "NaN in audio": (
        sound(np.array([0.1, np.nan, 0.2])),
        "audio/tea.wav: the recording holds NaN or infinity (items.csv, row 2); export it again",
    ),
    "features with wrong rows": (
        feature(np.zeros((2, 4), np.float32)),
        "features/text.npy: has 2 rows for 3 items; write one row an item, in the order of items.csv",
    ),
    "features with wrong shape": (
        feature(np.zeros(3, np.float32)),
        "features/text.npy: is float32 with shape (3,); it must be floats with shape (n_items, d)",
    ),
    "features of words": (
        feature(np.array([["a"], ["b"], ["c"]])),
        "features/text.npy: is <U1 with shape (3, 1); it must be floats with shape (n_items, d)",
    ),
    "features with NaN": (
        feature(np.array([[1.0], [np.nan], [2.0]], np.float32)),
        "features/text.npy: holds NaN or infinity, first in the row of item 'cup'; write zeros",
    ),
    "pickled features": (
        feature(np.array([[{}], [{}], [{}]], dtype=object)),
        "features/text.npy: not a plain NumPy array (pickled objects are never loaded); write it",
    ),
    "features of no modality": (
        lambda folder: np.save(folder / "features" / "video.npy", np.zeros((3, 2))),
        "features/video.npy: 'video' is not a modality; the modalities are text, image, audio",
    ),
    "truth without an item": (
        edit("truth/items.csv", "pot,1,1\n", ""),
        "truth/items.csv: has no row for the item 'pot' (1 in all); add it, or remove truth/",
    ),
    "truth with other factors": (
        edit("truth/users.csv", "round", "flat"),
        "truth/users.csv, row 1: its factors are not those of truth/items.csv; both need the same",
    ),
    "half a truth": (remove("truth/users.csv"), "truth/users.csv: the file is missing; write it"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_every_kind_of_fault_is_named_with_a_remedy(folder: Path, kind: str) -> None:
    breaker, expected = FAULTS[kind]
    breaker(folder)
    faults = [str(fault) for fault in validate_folder(folder)]
    assert expected in faults[0], faults
    consequences = ("is not in items.csv", "truth/items.csv: has no row", "truth/users.csv: has no")
    assert all(any(each in fault for each in consequences) for fault in faults[1:]), faults


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(b"")
    assert "is a file, not a folder; check the path" in str(
        validate_folder(tmp_path / "data.zip")[0]
    )


def test_all_faults_are_told_at_once_with_file_and_row(folder: Path) -> None:
    edit("items.csv", "\npot,", "\ntea,")(folder)
    edit("interactions.csv", "1704067300", "now")(folder)
    edit("interactions.csv", ",5,", ",good,")(folder)
    remove("images/cup.jpg")(folder)
    found = {(fault.file, fault.row) for fault in validate_folder(folder)}
    assert found >= {
        ("items.csv", 4),
        ("interactions.csv", 2),
        ("interactions.csv", 3),
        ("interactions.csv", 5),  # the pot is gone
        ("images/cup.jpg", None),
    }


def test_open_refuses_broken_tables_and_tells_all_of_it(folder: Path) -> None:
    edit("interactions.csv", "1704067300", "now")(folder)
    edit("interactions.csv", "bob,pot", "bob,pan")(folder)
    with pytest.raises(DatasetError) as error:
        Dataset.open(folder)
    assert "row 2: the timestamp 'now'" in str(error.value)
    assert list(error.value.faults) == validate_folder(folder)
    assert "row 5: the item 'pan'" in str(error.value)


def test_open_forgives_what_costs_one_item_only(folder: Path) -> None:
    remove("images/cup.jpg")(folder)
    cut("audio/tea.wav", 0.5)(folder)
    assert Dataset.open(folder).n_items == 3


def test_a_long_list_of_faults_is_cut_short_in_the_message(folder: Path) -> None:
    rows = "".join(f"u,missing{number},1704067200\n" for number in range(30))
    (folder / "interactions.csv").write_text("user,item,timestamp\n" + rows)
    with pytest.raises(DatasetError, match="and 21 more"):  # 30 items, and the truth lacks the user
        Dataset.open(folder)


def test_validate_looks_at_the_object_not_only_at_the_disk(folder: Path) -> None:
    data = Dataset.open(folder)
    data.interactions.loc[0, "item"] = "pan"
    assert [fault.message for fault in data.validate()] == ["the item 'pan' is not in items.csv"]


def notes(folder: Path) -> list[Fault]:
    found = validate_folder(folder)
    assert all(fault.note for fault in found), found
    return found


def test_headers_nearly_ours_are_taken_with_a_note_of_both_spellings(folder: Path) -> None:
    good = Dataset.open(folder)
    edit(
        "items.csv", "item,title,text,image,audio,liking", "Item, title,Text,images,audio ,Liking"
    )(folder)
    edit(
        "interactions.csv",
        "user,item,timestamp,rating,review",
        " USER,item ,time stamp,ratings,Review",
    )(folder)
    edit("truth/items.csv", "item,", " Item,")(folder)
    with pytest.warns(DatasetNote) as caught:
        data = Dataset.open(folder)
    pd.testing.assert_frame_equal(data.items, good.items)
    pd.testing.assert_frame_equal(data.interactions, good.interactions)
    told = [str(note) for note in notes(folder)]
    assert [str(each.message) for each in caught] == told
    assert (
        "note: items.csv, row 1: the column 'images' is taken for 'image'; rename it if that"
        in told[3]
    )
    assert len(told) == 6 + 5 + 1


def test_an_exact_name_wins_and_two_near_ones_are_a_fault(folder: Path) -> None:
    edit("items.csv", "liking", "Title")(folder)
    (note,) = notes(folder)
    assert str(note).startswith(
        "note: items.csv, row 1: the column 'Title' is kept as a further column beside 'title'"
    )
    with pytest.warns(DatasetNote):
        data = Dataset.open(folder)
    assert data.items["title"].tolist() == ["Tea, green", "Cup", "Pot"]
    assert data.items["Title"].tolist() == ["0.1", "-1.5", "0.30000000000000004"]
    edit("items.csv", "item,title", "item, title")(folder)
    (fault,) = [fault for fault in validate_folder(folder) if not fault.note]
    assert fault.message == "the columns [' title', 'Title'] would all be 'title'"
    assert fault.remedy == "name one of them title, and rename the rest"


def test_a_likely_misspelling_is_asked_about(folder: Path) -> None:
    edit("items.csv", "item,title,text", "item,tittle,descripton")(folder)
    assert [(note.message, note.remedy) for note in notes(folder)] == [
        (
            "the column 'tittle' is kept as a further column",
            "if it is the title, rename it to title",
        ),
        (
            "the column 'descripton' is kept as a further column",
            "if it is the text, rename it to text",
        ),
    ]


def test_tables_in_memory_are_read_by_the_same_names() -> None:
    items = pd.DataFrame({" item": ["tea"], "Title": ["Tea"], "texts": ["Warm."]})
    taken = pd.DataFrame({"User": ["ann"], "item ": ["tea"], "timestamp": [5]})
    with pytest.warns(DatasetNote) as caught:
        data = Dataset("x", items, taken, Path("."))
    assert "items: the column 'Title' is taken for 'title'" in {
        str(each.message) for each in caught
    }
    assert len(caught) == 5
    assert {each.filename for each in caught} == {__file__}
    assert data.items.loc[0, ["item", "title", "text"]].tolist() == ["tea", "Tea", "Warm."]
    assert data.interactions.loc[0, ["user", "item"]].tolist() == ["ann", "tea"]
    with warnings.catch_warnings(action="error"):
        Dataset("x", data.items, data.interactions, Path("."))
    with pytest.raises(DatasetError, match=r"items: the columns \['Title', 'TITLE'\] would all be"):
        Dataset("x", items.assign(TITLE=""), taken, Path("."))


def test_ids_composed_or_decomposed_are_the_same(folder: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    edit("items.csv", "\ntea,", f"\n{decomposed},")(folder)
    edit("interactions.csv", "ann,tea", f"ann,{composed}")(folder)
    edit("truth/items.csv", "tea,", f"{composed},")(folder)
    for old in ("bob,cup", "bob,pot"):
        edit(
            "interactions.csv", old, old.replace("bob", "Zoe\u0308" if "cup" in old else "Zo\u00eb")
        )(folder)
    edit("truth/users.csv", "bob", "Zoe\u0308")(folder)
    assert validate_folder(folder) == []
    data = Dataset.open(folder)
    assert data.items["item"][0] == composed
    assert data.users.tolist() == ["Zo\u00eb", "ann"]
    edit("items.csv", "\npot,", f"\n{composed},")(folder)
    assert f"the item id '{composed}' is taken by row 2" in str(validate_folder(folder)[0])


def test_files_whose_names_the_disk_decomposes_are_found(folder: Path, tmp_path: Path) -> None:
    name = "d\u00e9j\u00e0/th\u00e9.png"
    there = folder / "images" / unicodedata.normalize("NFD", name)
    there.parent.mkdir()
    (folder / "images" / "tea.png").rename(there)
    edit("items.csv", "images/tea.png", f"images/{name}")(folder)
    assert validate_folder(folder) == []
    data = Dataset.open(folder)
    found = data.path(0, "image")
    assert found is not None and found.is_file()
    saved = data.save(tmp_path / "saved")
    assert saved.validate() == []
    assert saved.items["image"][0] == f"images/{name}"


IDS = {
    "missing": (["a", None], "has no {}"),
    "not a number": ([1.0, np.nan], "has no {}"),
    "pandas": (pd.array([1, pd.NA], "Int64"), "has no {}"),
    "empty": (["a", ""], "has no {}"),
    "blank": (["a", " "], "has no {}"),
    "padded": (["a", "b "], "the {} id 'b ' has spaces around it"),
    "fraction": ([1.0, 1.5], "has the {} 1.5, which is not a whole number"),
    "large": ([1.0, 1e17], r"has the {} 1e\+17, a float too large to be exact: read it as text"),
    "mixed": (["a", 1], "has the {} 1, a number, and others are text: read all as text"),
    "date": ([pd.Timestamp(0), pd.Timestamp(1)], "which is a Timestamp: ids are text or whole"),
    "truth": ([True, False], "which is a bool: ids are text or whole"),
    "list": ([["a"], ["b"]], "ids hold lists or other things that are no ids"),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_in_memory_that_are_none_are_refused_with_their_place(kind: str) -> None:
    ids, words = IDS[kind]
    items = pd.DataFrame({"item": ["a", "b"]})
    taken = pd.DataFrame({"user": ["a", "b"], "item": ["a", "b"], "timestamp": [1, 2]})
    with pytest.raises(DatasetError, match=words.format("item")) as error:
        Dataset("x", items.assign(item=ids), taken, Path("."))
    if kind not in ("list", "date", "truth"):
        assert "row 1 of items" in str(error.value)
    for column in ("user", "item"):
        with pytest.raises(DatasetError, match=words.format(column)) as error:
            Dataset("x", items, taken.assign(**{column: ids}), Path("."))
        if kind not in ("list", "date", "truth"):
            assert "interaction 1" in str(error.value)


def test_whole_floats_and_dates_in_memory_become_text_and_seconds() -> None:
    items = pd.DataFrame({"item": [1.0, 2.0]})
    taken = pd.DataFrame(
        {"user": pd.Categorical(["a", "b"]), "item": [1, 2], "timestamp": [5.0, 6.0]}
    )
    data = Dataset("x", items, taken, Path("."))
    assert data.items["item"].tolist() == ["1", "2"]
    assert data.interactions["item"].tolist() == ["1", "2"]
    assert data.interactions["timestamp"].tolist() == [5, 6]
    for times, words in (
        (["2024-03-01", "2024-03-02"], "the timestamps are text, such as '2024-03-01': give whole"),
        ([5, pd.Timestamp(0)], r"the timestamps are object .mixed"),
        ([1_709_251_200_000] * 2, "the timestamp 1709251200000 lies outside .* not milliseconds"),
    ):
        with pytest.raises(DatasetError, match=words):
            Dataset("x", items, taken.assign(timestamp=times), Path("."))
