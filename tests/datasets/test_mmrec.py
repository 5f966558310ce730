"""MMRec's format: what is published in it is read as it is, and every fault has its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmtutorial.datasets import Dataset, DatasetError, read_mmrec
from mmtutorial.datasets.published import mmrec
from mmtutorial.evaluation import default_split

BABY = """userID\titemID\trating\ttimestamp\tx_label
0\t0\t5.0\t1371081600\t0
0\t1\t4.0\t1371081700\t1
0\t2\t5.0\t1371081800\t2
1\t2\t3.5\t1371081500\t0
1\t0\t1.0\t1371081600\t0
1\t3\t2.0\t1371081900\t2
"""
IMAGE = np.arange(12, dtype=np.float64).reshape(4, 3)
TEXT = np.arange(8, dtype=np.float32).reshape(4, 2) + 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as Amazon Baby's is published, in small; its features in two blocks."""
    monkeypatch.setattr(mmrec, "_BLOCK", 2)
    place = tmp_path / "baby"
    place.mkdir()
    (place / "baby.inter").write_text(BABY)
    np.save(place / "image_feat.npy", IMAGE)
    np.save(place / "text_feat.npy", TEXT)
    return place


def faults_of(folder: Path, **options: object) -> list[str]:
    with pytest.raises(DatasetError) as told:
        read_mmrec(folder, **options)
    assert told.value.faults
    return [str(fault) for fault in told.value.faults]


def test_what_amazon_baby_is_published_as_is_read(folder: Path) -> None:
    data = read_mmrec(folder, licence="none given", source="a test")
    assert (data.name, data.licence, data.source) == ("baby", "none given", "a test")
    assert data.items["item"].tolist() == ["0", "1", "2", "3"]
    log = data.interactions
    assert log[["user", "item"]].sum(axis=1).tolist() == ["12", "00", "10", "01", "02", "13"]
    assert log["timestamp"].dtype == np.int64
    assert log["timestamp"].tolist() == [
        1371081000 + each for each in (500, 600, 600, 700, 800, 900)
    ]
    assert log["rating"].tolist() == [3.5, 5.0, 1.0, 4.0, 5.0, 2.0]
    assert log["part"].tolist() == ["train", "train", "train", "validation", "test", "test"]
    assert set(data.features) == {"image", "text"}
    for modality, array in (("image", IMAGE), ("text", TEXT)):
        assert data.features[modality].dtype == np.float32
        np.testing.assert_array_equal(data.features[modality], array)
    assert isinstance(data.features["text"], np.memmap)  # float32 already: not copied
    assert data.present().tolist() == [[True, True, False]] * 4
    assert data.validate() == []
    split = default_split(data)
    assert split.name == "given"
    assert [len(each) for each in (split.train, split.validation, split.test)] == [3, 1, 2]


def test_what_was_read_is_saved_and_opened_again(folder: Path, tmp_path: Path) -> None:
    data = read_mmrec(folder)
    again = data.save(tmp_path / "ours")
    pd.testing.assert_frame_equal(again.interactions, data.interactions)
    pd.testing.assert_frame_equal(again.items, data.items)
    np.testing.assert_array_equal(again.features["image"], IMAGE)
    assert Dataset.open(tmp_path / "ours").validate() == []


def test_neither_ratings_nor_times_nor_features_must_be_there(folder: Path) -> None:
    plain = ["\t".join(line.split("\t")[:2] + line.split("\t")[-1:]) for line in BABY.splitlines()]
    (folder / "baby.inter").write_text("\r\n".join(plain))
    (folder / "image_feat.npy").unlink()
    (folder / "text_feat.npy").unlink()
    data = read_mmrec(folder)
    assert data.features == {}
    assert data.interactions["timestamp"].isna().all()
    assert data.interactions["rating"].isna().all()
    assert data.interactions["part"].value_counts().to_dict() == {
        "train": 3,
        "test": 2,
        "validation": 1,
    }


def test_names_are_taken_where_they_are_others(folder: Path) -> None:
    (folder / "text_feat.npy").rename(folder / "minilm.npy")
    (folder / "other.inter").write_text(BABY)
    with pytest.raises(DatasetError, match=r"several tables \(baby\.inter, other\.inter\): name"):
        read_mmrec(folder)
    data = read_mmrec(folder, interactions="other.inter", features={"text": "minilm.npy"}, name="b")
    assert (data.name, list(data.features)) == ("b", ["text"])
    with pytest.raises(DatasetError, match=r"features names \['video'\]; the modalities are"):
        read_mmrec(folder, interactions="other.inter", features={"video": "minilm.npy"})
    with pytest.raises(DatasetError, match=r"no file whose name ends in \.inter: name its"):
        read_mmrec(folder.parent)
    with pytest.raises(DatasetError, match=r"there is no folder .*nowhere: check the path"):
        read_mmrec(folder / "nowhere")


def test_milliseconds_become_seconds(folder: Path) -> None:
    (folder / "baby.inter").write_text(BABY.replace("00\t0\n", "00999\t0\n", 1))
    (found,) = faults_of(folder)
    assert found.startswith("baby.inter, row 2: the time 1371081600999 lies outside the years")
    assert found.endswith("; read them with milliseconds=True, or divide them by 1000")
    (folder / "baby.inter").write_text(BABY.replace("00\t", "00999\t"))
    (found,) = faults_of(folder)
    assert found.startswith("baby.inter: the times look like milliseconds, such as 1371081600999")
    assert found.endswith("; read them with milliseconds=True, or divide them by 1000")
    times = read_mmrec(folder, milliseconds=True).interactions["timestamp"]
    assert times.tolist()[:2] == [1371081500, 1371081600]


def edit(old: str, new: str) -> Callable[[Path], None]:
    """Return a breaker that replaces a piece of the table."""

    def breaker(folder: Path) -> None:
        assert BABY.count(old) == 1
        (folder / "baby.inter").write_text(BABY.replace(old, new))

    return breaker


def saved(file: str, array: np.ndarray) -> Callable[[Path], None]:
    """Return a breaker that replaces an array."""
    return lambda folder: np.save(folder / file, array, allow_pickle=True)


def with_nan(rows: list[int]) -> np.ndarray:
    array = IMAGE.copy()
    array[rows, 1] = np.nan
    return array


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing column": (
        edit("x_label", "label"),
        "baby.inter, row 1: lacks the columns ['x_label']; the header has ['userID', 'itemID',",
    ),
    "commas": (
        lambda folder: (folder / "baby.inter").write_text(BABY.replace("\t", ",")),
        "baby.inter, row 1: its columns are separated by ','; separate them by tabs",
    ),
    "ragged row": (
        edit("1\t2\t3.5", "1\t2"),
        "baby.inter, row 5: has 4 cells, the header has 5; put exactly one tab between two cells",
    ),
    "empty table": (
        lambda folder: (folder / "baby.inter").write_text(""),
        "baby.inter: the file is empty; its first row names userID\titemID\tx_label",
    ),
    "word for a user": (
        edit("1\t2\t3.5", "A3SGXH\t2\t3.5"),
        "baby.inter, row 5: the userID 'A3SGXH' is not a whole number from 0 on; correct it",
    ),
    "fraction for an item": (
        edit("1\t2\t3.5", "1\t2.5\t3.5"),
        "baby.inter, row 5: the itemID '2.5' is not a whole number from 0 on; correct it",
    ),
    "negative item": (
        edit("1\t2\t3.5", "1\t-2\t3.5"),
        "baby.inter, row 5: the itemID '-2' is not a whole number from 0 on; correct it",
    ),
    "empty label": (
        edit("1371081500\t0", "1371081500\t"),
        "baby.inter, row 5: the x_label '' is not a whole number from 0 on; correct it",
    ),
    "label of no part": (
        edit("1371081500\t0", "1371081500\t3"),
        "baby.inter, row 5: the x_label '3' is unknown; write 0 for training, 1 for validation",
    ),
    "NaN for a rating": (
        edit("3.5", "nan"),
        "baby.inter, row 5: the rating 'nan' is not a finite number; write a number, or leave",
    ),
    "time that is none": (
        edit("1371081500", "yesterday"),
        "baby.inter, row 5: the timestamp 'yesterday' is not a time; write whole seconds since",
    ),
    "users with gaps": (
        lambda folder: (folder / "baby.inter").write_text(BABY.replace("\n1\t", "\n3\t")),
        "baby.inter: no row has the userID 1, and they go up to 3 (2 lack); number them 0, 1, 2,",
    ),
    "items with gaps": (
        lambda folder: (
            edit("1\t3\t2.0", "1\t5\t2.0")(folder),
            saved("image_feat.npy", np.ones((6, 3)))(folder),
            saved("text_feat.npy", np.ones((6, 2)))(folder),
        ),
        "baby.inter: no row has the itemID 3, and they go up to 5 (2 lack); number them 0, 1, 2,",
    ),
    "an interaction twice": (
        edit("1\t3\t2.0\t1371081900\t2", "1\t3\t2.0\t1371081900\t2\n1\t2\t3.5\t1371081500\t0"),
        "baby.inter, row 8: user 1 takes item 2 in the part train, and in train in row 5; remove",
    ),
    "an interaction in two parts": (
        edit("1\t3\t2.0\t1371081900\t2", "1\t3\t2.0\t1371081900\t2\n1\t2\t3.5\t1371082000\t2"),
        "baby.inter, row 8: user 1 takes item 2 in the part test, and in train in row 5; what is",
    ),
    "too few rows of features": (
        saved("image_feat.npy", IMAGE[:3]),
        "image_feat.npy: has 3 rows for 4 items; write one row an item, in the order of itemID",
    ),
    "too many rows of features": (
        saved("text_feat.npy", np.ones((5, 2))),
        "text_feat.npy: has 5 rows for 4 items; write one row an item, in the order of itemID",
    ),
    "NaN in features": (
        saved("image_feat.npy", with_nan([2, 3])),
        "image_feat.npy: holds NaN or infinity in the row of itemID 2 (2 such rows); write zeros",
    ),
    "a number too large for float32": (
        saved("image_feat.npy", np.where(np.eye(4, 3) > 0, 1e300, 0.0)[::-1]),
        "image_feat.npy: holds NaN or infinity in the row of itemID 1 (3 such rows); write zeros",
    ),
    "features of words": (
        saved("text_feat.npy", np.full((4, 2), "a")),
        "text_feat.npy: is <U1 with shape (4, 2); it must be numbers with shape (n_items, d)",
    ),
    "features without a second axis": (
        saved("text_feat.npy", np.ones(4)),
        "text_feat.npy: is float64 with shape (4,); it must be numbers with shape (n_items, d)",
    ),
    "pickled features": (
        saved("text_feat.npy", np.array([[{}], [{}], [{}], [{}]], dtype=object)),
        "text_feat.npy: not a plain NumPy array (pickled objects are never loaded); write it",
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_every_kind_of_fault_is_named_with_a_remedy(folder: Path, kind: str) -> None:
    breaker, expected = FAULTS[kind]
    breaker(folder)
    found = faults_of(folder)
    assert len(found) == 1, found
    assert found[0].startswith(expected)


def test_a_second_time_at_another_time_is_no_fault(folder: Path) -> None:
    (folder / "baby.inter").write_text(BABY + "1\t2\t4.0\t1371081700\t0\n")
    data = read_mmrec(folder)
    assert len(data.interactions) == 7
    assert len(default_split(data).train) == 4


def test_all_faults_are_told_at_once(folder: Path) -> None:
    broken = BABY.replace("1371081600\t0", "soon\t7", 1).replace("3.5", "good")
    (folder / "baby.inter").write_text(broken + "0\t2\t5.0\t1371081800\t2\n")
    np.save(folder / "image_feat.npy", with_nan([1])[:3])
    found = faults_of(folder, features={"image": "image_feat.npy", "audio": "audio_feat.npy"})
    expected = [
        "baby.inter, row 2: the x_label '7'",
        "baby.inter, row 2: the timestamp 'soon'",
        "baby.inter, row 5: the rating 'good'",
        "baby.inter, row 8: user 0 takes item 2 in the part test, and in test in row 4",
        "image_feat.npy: has 3 rows for 4 items",
        "image_feat.npy: holds NaN or infinity in the row of itemID 1",
        "audio_feat.npy: the file is missing; copy it into the folder, or do not name it",
    ]
    assert len(found) == len(expected), found
    assert all(each.startswith(words) for each, words in zip(found, expected, strict=True)), found
