"""What MMRec publishes, on small files of exactly its layout."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from mmtutorial.datasets import DatasetError, mmrec_published, read_mmrec
from mmtutorial.evaluation import default_split, evaluate
from mmtutorial.recommenders.base import Recommender
from tests.datasets.test_mmrec import BABY

MODULE = importlib.import_module("mmtutorial.datasets.published.mmrec_published")
CODES = "asin\titemID\nB0\t0\nB1\t1\nB2\t2\nB3\t3\n"


@pytest.fixture
def folder(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Baby's folder as a reader has put it there, in small."""
    small = MODULE.Published("https://drive/baby", 2, 4, 6)
    monkeypatch.setattr(MODULE, "PUBLISHED", {"baby": small, "microlens": small})
    place = tmp_path / "own" / "mmrec-baby"
    place.mkdir(parents=True)
    (place / "baby.inter").write_text(BABY)
    np.save(place / "text_feat.npy", np.arange(8, dtype=np.float32).reshape(4, 2))
    np.save(place / "image_feat.npy", np.ones((4, 3)))
    (place / "user_graph_dict.npy").write_bytes(b"not read")
    monkeypatch.setenv("MMTUTORIAL_DATA", str(tmp_path / "own"))
    return place


def test_the_published_split_and_features_are_read(folder: Path) -> None:
    data = mmrec_published(seed=3)
    split = default_split(data)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [3, 1, 2]
    assert data.features["text"].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert data.features["image"].shape == (4, 3)
    assert data.items["item"].tolist() == ["0", "1", "2", "3"]
    assert (data.name, data.interactions["timestamp"].max()) == ("mmrec-baby", 1371081900)
    assert "no licence is stated" in data.licence and "https://drive/baby" in data.source


@pytest.mark.parametrize("mark", ["\t", ","])
def test_items_have_the_shops_codes_where_the_table_of_them_is_there(
    folder: Path, mark: str
) -> None:
    (folder / "i_id_mapping.csv").write_text(CODES.replace("\t", mark))
    data = mmrec_published()
    assert data.items["item"].tolist() == data.items["title"].tolist() == ["B0", "B1", "B2", "B3"]
    last = data.interactions.iloc[-1]
    assert (last["user"], last["item"], last["part"]) == ("1", "B3", "test")
    assert data.validate() == []


@pytest.mark.parametrize(
    "codes, words",
    [
        (CODES.replace("B3", "B2"), "does not give each itemID a code of its own"),
        (CODES.replace("\t3", "\t4"), "does not give each itemID a code of its own"),
        (CODES.replace("asin", "code"), r"lacks the columns \['asin'\]"),
    ],
)
def test_a_wrong_table_of_codes_is_refused(folder: Path, codes: str, words: str) -> None:
    (folder / "i_id_mapping.csv").write_text(codes)
    with pytest.raises(DatasetError, match=words):
        mmrec_published()


def test_milliseconds_are_told_by_their_size(folder: Path) -> None:
    place = folder.rename(folder.with_name("mmrec-microlens"))
    table = BABY.replace("00\t0\n", "00999\t0\n").replace("00\t1\n", "00999\t1\n")
    (place / "microlens.inter").write_text(table.replace("00\t2\n", "00999\t2\n"))
    assert mmrec_published(name="microlens").interactions["timestamp"].max() == 1371081900


def test_other_files_than_the_published_ones_are_told_apart(folder: Path) -> None:
    (folder / "baby.inter").write_text(BABY + "1\t1\t2.0\t1371081950\t2\n")
    with pytest.raises(DatasetError, match="holds 7 interactions, and the published one 6: fetch"):
        mmrec_published()


def test_features_of_another_length_are_refused(folder: Path) -> None:
    np.save(folder / "image_feat.npy", np.ones((3, 3)))
    with pytest.raises(DatasetError, match=r"image_feat\.npy: has 3 rows for 4 items"):
        mmrec_published()


def test_a_file_that_changes_after_it_was_first_read_is_refused(folder: Path) -> None:
    mmrec_published()
    np.save(folder / "image_feat.npy", np.zeros((4, 3)))
    with pytest.raises(DatasetError, match=r"image_feat\.npy differs from .*first-seen\.txt"):
        mmrec_published()


def test_what_is_missing_is_told_with_its_address(folder: Path) -> None:
    (folder / "text_feat.npy").unlink()
    with pytest.raises(DatasetError, match=r"text_feat\.npy is missing .* again from https://dri"):
        mmrec_published()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(DatasetError) as told:
        mmrec_published()
    for words in (
        "Its terms: no licence is stated; made from Amazon product data 2014",
        "Fetch baby.inter, text_feat.npy, image_feat.npy by hand from https://drive/baby",
        "named mmrec-baby, and let MMTUTORIAL_DATA name the folder above",
    ):
        assert words in str(told.value)
    with pytest.raises(ValueError, match="name is 'food'; MMRec publishes baby, microlens"):
        mmrec_published(name="food")


def test_the_published_sizes_are_those_of_the_papers() -> None:
    found = {name: (each.users, each.items) for name, each in MODULE.PUBLISHED.items()}
    assert found["clothing"] == (39387, 23033) and found["baby"] == (19445, 7050)
    assert MODULE.mmrec_collection("baby").address == ""


class Given(Recommender):
    """Scores that are given."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores

    def _learn(self, *_: object) -> None:
        pass

    def _score(self, users: np.ndarray) -> np.ndarray:
        return self.scores[users]


def test_our_measures_are_those_of_the_published_figures(tmp_path: Path) -> None:
    """Recall and NDCG as MMRec defines them: all items ranked, those of training left out alone."""
    draw = np.random.default_rng(3)
    n_users, n_items, k = 40, 60, 10
    rows = []
    for user in range(n_users):
        taken = draw.permutation(n_items)[: draw.integers(8, 30)]
        parts = [0, 1, 2, 2, *draw.choice(3, len(taken) - 4, p=[0.5, 0.2, 0.3])]
        rows += [f"{user}\t{item}\t{part}" for item, part in zip(taken, parts, strict=True)]
    assert {int(row.split("\t")[1]) for row in rows} == set(range(n_items))
    (tmp_path / "x.inter").write_text("userID\titemID\tx_label\n" + "\n".join(rows) + "\n")
    split = default_split(read_mmrec(tmp_path))
    scores = draw.normal(size=(n_users, n_items)).astype(np.float32)
    order = [split.train.items.tolist().index(str(item)) for item in range(n_items)]
    users = [split.train.users.tolist().index(str(user)) for user in range(n_users)]

    recall, ndcg = [], []
    for user in range(n_users):
        label = {
            int(item): part for u, item, part in (r.split("\t") for r in rows) if int(u) == user
        }
        left = [item for item in np.argsort(-scores[user]) if label.get(item) != "0"][:k]
        hits = [label.get(item) == "2" for item in left]
        n_relevant = list(label.values()).count("2")
        gains = 1 / np.log2(np.arange(2, k + 2))
        recall.append(sum(hits) / n_relevant)
        ndcg.append(gains[hits].sum() / gains[: min(k, n_relevant)].sum())
    ours = np.empty_like(scores)
    ours[np.ix_(users, order)] = scores
    found = evaluate(Given(ours).fit(split.train), split, k=k, exclude=("train",)).per_user
    assert len(found) == n_users
    assert found["recall"].mean() == pytest.approx(np.mean(recall))
    assert found["ndcg"].mean() == pytest.approx(np.mean(ndcg))
    other = evaluate(Given(ours).fit(split.train), split, k=k).per_user  # our own rule is another
    assert other["recall"].mean() > found["recall"].mean()
