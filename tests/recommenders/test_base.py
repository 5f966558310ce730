"""The one interface: what goes in is checked, what comes out is ranked the same way every time."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.ranking import top_k

TRAIN = Interactions.of(
    [("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)], items=["cup", "pot", "tea"]
)


class Stumbling(Recommender):
    """Learns nothing when it is told to stumble."""

    def _learn(self, train, features, validation) -> None:
        if features:
            raise RuntimeError("no memory left")

    def _score(self, users: np.ndarray) -> np.ndarray:
        return np.zeros((len(users), 3))


def test_what_failed_to_learn_has_not_been_fitted() -> None:
    stumbling = Stumbling().fit(TRAIN)
    assert stumbling.score([0]).shape == (1, 3)
    with pytest.raises(RuntimeError, match="no memory left"):
        stumbling.fit(TRAIN, {"text": np.ones((3, 2))})
    with pytest.raises(RuntimeError, match="has not been fitted"):
        stumbling.score([0])


class Rows(Recommender):
    """Prefers the smaller row."""

    def _learn(
        self,
        train: Interactions,
        features: Mapping[str, np.ndarray],
        validation: Interactions | None,
    ) -> None:
        self.n_items = train.n_items

    def _score(self, users: np.ndarray) -> np.ndarray:
        return np.tile(-np.arange(self.n_items, dtype=np.float64), (len(users), 1))


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(0, 6), st.integers(0, 12)),
        elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 0.5, 2.0]),
    ),
    st.integers(1, 15),
    st.integers(0, 2**32 - 1),
)
def test_top_k_equals_sorting_by_score_then_row(scores: np.ndarray, k: int, seed: int) -> None:
    excluded = np.random.default_rng(seed).random(scores.shape) < 0.3
    expected = []
    for row, out in zip(scores, excluded, strict=True):
        kept = [item for item in range(len(row)) if not out[item] and row[item] > -np.inf]
        best = sorted(kept, key=lambda item: (-row[item], item))[:k]
        expected.append(best + [-1] * (k - len(best)))
    before = scores.copy()
    ranked = top_k(scores, k, exclude=sparse.csr_array(excluded.astype(np.float32)))
    assert ranked.tolist() == expected
    assert ranked.shape == (len(scores), k)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("n_items", [64 * 32, 64 * 32 + 5, 1000])
@pytest.mark.parametrize("values", [3, 40, 10**6])
def test_top_k_of_many_items_equals_sorting(n_items: int, values: int) -> None:
    """With many, some and no ties, and rows in which less than k is left."""
    generator = np.random.default_rng(values)
    scores = generator.integers(values, size=(60, n_items)).astype(np.float32)
    scores[50:, 4:] = -np.inf
    scores[55:, n_items - 3 :] = values
    order = np.lexsort((np.broadcast_to(np.arange(n_items), scores.shape), -scores), axis=1)
    expected = np.where(np.take_along_axis(scores, order, axis=1) > -np.inf, order, -1)
    for k in (1, 7, 10):
        np.testing.assert_array_equal(top_k(scores, k), expected[:, :k])


@pytest.mark.parametrize("kind", ["array", "read-only", "whole numbers"])
def test_top_k_leaves_the_scores_as_they_were(kind: str) -> None:
    scores = np.random.default_rng(0).integers(9, size=(5, 12)).astype(np.float32)
    scores = scores.astype(int) if kind == "whole numbers" else scores
    before = scores.copy()
    scores.flags.writeable = kind != "read-only"
    excluded = sparse.csr_array(before == before.max(axis=1, keepdims=True))
    ranked = top_k(scores, 3, exclude=excluded)
    np.testing.assert_array_equal(scores, before)
    assert not excluded.toarray()[np.arange(5)[:, None], ranked].any()


def test_top_k_refuses_what_has_no_order() -> None:
    with pytest.raises(ValueError, match="score of item row 1 for user row 0 of the block is NaN"):
        top_k(np.array([[0.0, np.nan]]), 1)
    with pytest.raises(ValueError, match="k is 0"):
        top_k(np.zeros((1, 2)), 0)
    with pytest.raises(ValueError, match=r"exclude has shape \(1, 3\), the scores have \(1, 2\)"):
        top_k(np.zeros((1, 2)), 1, exclude=sparse.csr_array(np.zeros((1, 3))))


def test_recommend_leaves_out_what_was_seen_and_pads() -> None:
    recommender = Rows().fit(TRAIN)
    assert recommender.recommend([0, 1], k=3).tolist() == [[1, -1, -1], [0, 1, -1]]
    assert recommender.recommend([0], k=2, exclude_seen=False).tolist() == [[0, 1]]


def test_score_is_float32_and_cuts_items() -> None:
    scores = Rows().fit(TRAIN).score([1, 0], items=[2, 0])
    assert scores.dtype == np.float32
    assert scores.tolist() == [[-2.0, 0.0], [-2.0, 0.0]]
    assert Rows().fit(TRAIN).score(np.array([], dtype=int)).shape == (0, 3)


def test_what_is_unknown_is_named() -> None:
    recommender = Rows()
    with pytest.raises(RuntimeError, match="Rows has not been fitted"):
        recommender.score([0])
    recommender.fit(TRAIN)
    with pytest.raises(ValueError, match="unknown user row 2: rows go from 0 to 1"):
        recommender.recommend([0, 2])
    with pytest.raises(ValueError, match="unknown item row -1"):
        recommender.score([0], items=[-1])
    with pytest.raises(ValueError, match="one-dimensional array of int rows"):
        recommender.score([0.5])


def test_features_must_match_the_catalogue() -> None:
    with pytest.raises(ValueError, match=r"features\['text'\] has 2 rows for 3 items"):
        Rows().fit(TRAIN, {"text": np.zeros((2, 4))})
    broken = np.zeros((3, 4))
    broken[1, 2] = np.nan
    with pytest.raises(
        ValueError, match=r"features\['image'\] holds NaN or infinity in item row 1"
    ):
        Rows().fit(TRAIN, {"image": broken})


class Reads(Rows):
    """Keeps the features that it was given."""

    def _learn(self, train, features, validation) -> None:
        super()._learn(train, features, validation)
        self.features = features


def test_nested_lists_of_features_become_arrays() -> None:
    reads = Reads().fit(TRAIN, {"text": [[1.0, 2.0], [0, 0], [3, 4]]}).features["text"]
    assert isinstance(reads, np.ndarray) and reads.tolist() == [[1, 2], [0, 0], [3, 4]]
    frame = pd.DataFrame({"warm": [1.0, 0.0, 2.0]})
    assert Reads().fit(TRAIN, {"text": frame}).features["text"].shape == (3, 1)
    assert Reads().fit(TRAIN).features == {}


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"text": [[1.0], [2.0]]}, r"features\['text'\] has 2 rows for 3 items"),
        ({"text": [[1.0], [2.0, 3.0], [4.0]]}, r"features\['text'\] is ragged: give every row as"),
        ({"text": [1.0, 2.0, 3.0]}, r"has the shape \(3,\): give one row an item"),
        ({"text": [["warm"], ["cold"], ["dry"]]}, "holds <U4, not numbers: make numbers of texts"),
        ({"text": None}, r"has the shape \(\): give one row"),
        ({"text": [[1.0], [float("nan")], [2.0]]}, "holds NaN or infinity in item row 1"),
        ([[1.0], [2.0], [3.0]], "features is a list; give a mapping of modality names to arrays"),
    ],
)
def test_features_that_are_no_arrays_of_numbers_are_refused(features: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Reads().fit(TRAIN, features)  # type: ignore[arg-type]


def test_rows_may_be_lists_and_ids_are_refused() -> None:
    recommender = Rows().fit(TRAIN)
    assert recommender.score([1], [2, 0]).tolist() == [[-2.0, 0.0]]
    assert recommender.recommend((1,), k=1).tolist() == [[0]]
    for rows in (["ann"], [[0], [1]], [[0], [0, 1]], 0, None):
        with pytest.raises(ValueError, match=r"users must be .* their places in train\.users"):
            recommender.score(rows)
        with pytest.raises(ValueError, match=r"users must be .* their places in train\.users"):
            recommender.recommend(rows)
    with pytest.raises(ValueError, match=r"items must be .* their places in train\.items"):
        recommender.score([0], ["tea"])


def test_sparse_features_are_checked_alike() -> None:
    words = sparse.csr_array(np.array([[1.0, 0.0], [0.0, 0.0], [2.0, np.inf]]))
    with pytest.raises(ValueError, match=r"features\['text'\] holds NaN or infinity in item row 2"):
        Rows().fit(TRAIN, {"text": words})
    with pytest.raises(ValueError, match=r"features\['text'\] has 2 rows for 3 items"):
        Rows().fit(TRAIN, {"text": words[:2]})


class Learnt(Recommender):
    """Remembers a table, has nested options and a file of its own."""

    def __init__(self, sizes: tuple[int, ...] = (1, 2), fusion: dict | None = None) -> None:
        self.sizes = sizes
        self.fusion = fusion
        self.note = ""

    def _learn(self, train, features, validation) -> None:
        self.table = np.random.default_rng(5).random((train.n_users, train.n_items))
        self.note = "written by _write"

    def _score(self, users: np.ndarray) -> np.ndarray:
        return self.table[users]

    def _state(self) -> dict[str, np.ndarray]:
        return {"table": self.table}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        assert len(self.train) == 3
        self.table = state["table"]

    def _write(self, folder: Path) -> None:
        (folder / "note.txt").write_text(self.note, encoding="utf-8")

    def _read(self, folder: Path) -> None:
        self.note = (folder / "note.txt").read_text(encoding="utf-8")


def test_what_was_saved_comes_back_whole(tmp_path: Path) -> None:
    options = {"sizes": (3, (4, 5)), "fusion": {"gate": None, "modalities": ("text", "audio")}}
    learnt = Learnt(**options).fit(TRAIN)
    folder = learnt.save(tmp_path / "deep" / "model")
    again = Recommender.load(folder)
    assert isinstance(again, Learnt)
    assert again.options() == learnt.options() == options
    assert again.note == "written by _write"
    np.testing.assert_array_equal(again.score([0, 1]), learnt.score([0, 1]))
    np.testing.assert_array_equal(again.recommend([0, 1], k=3), learnt.recommend([0, 1], k=3))
    train = again.train
    pd.testing.assert_frame_equal(train.log, TRAIN.log)
    assert train.users.tolist() == TRAIN.users.tolist()
    assert train.items.tolist() == TRAIN.items.tolist()
    assert sorted(each.name for each in folder.iterdir()) == [
        "arrays.npz",
        "note.txt",
        "recommender.json",
    ]
    assert [each.name for each in folder.parent.iterdir()] == ["model"]


def test_interactions_without_times_come_back_too(tmp_path: Path) -> None:
    train = Interactions.of(pd.DataFrame({"user": ["bob", "ann"], "item": ["tea", "cup"]}))
    Rowless().fit(train).save(tmp_path)
    pd.testing.assert_frame_equal(Rowless.load(tmp_path).train.log, train.log)


class Rowless(Rows):
    """Rows that can be saved: nothing to remember but the catalogue."""

    def _state(self) -> dict[str, np.ndarray]:
        return {}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._learn(self.train, {}, None)


def test_saving_replaces_a_saved_recommender_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    Learnt().fit(TRAIN).save(folder)
    Rowless().fit(TRAIN).save(folder)
    assert sorted(each.name for each in folder.iterdir()) == ["arrays.npz", "recommender.json"]
    (folder / "holiday.jpg").write_bytes(b"dear")
    with pytest.raises(ValueError, match=r"holds 'holiday.jpg', which is no part"):
        Rowless().fit(TRAIN).save(folder)
    with pytest.raises(ValueError, match=r"holds 'model/arrays.npz', which is no part"):
        Rowless().fit(TRAIN).save(tmp_path)
    with pytest.raises(ValueError, match="is a file; name a folder"):
        Rowless().fit(TRAIN).save(folder / "holiday.jpg")
    assert (folder / "holiday.jpg").read_bytes() == b"dear"


def test_nothing_is_saved_from_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="the folder you are in"):
        Rowless().fit(TRAIN).save(".")


def test_saving_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    learnt = Learnt().fit(TRAIN)
    learnt.save(folder)

    def disk_full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Learnt, "_write", disk_full)
    with pytest.raises(OSError, match="no space left"):
        learnt.save(folder)
    monkeypatch.undo()
    np.testing.assert_array_equal(Learnt.load(folder).score([0]), learnt.score([0]))
    replace = os.replace

    def replaced_but_once(source: Path, target: Path) -> None:
        if not str(source).endswith("model") and not str(source).endswith(".old"):
            raise OSError("the device is busy")
        replace(source, target)

    monkeypatch.setattr(os, "replace", replaced_but_once)
    with pytest.raises(OSError, match="busy"):
        learnt.save(folder)
    assert [each.name for each in tmp_path.iterdir()] == ["model"]
    np.testing.assert_array_equal(Learnt.load(folder).score([0]), learnt.score([0]))


def test_what_cannot_be_saved_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="has not been fitted"):
        Learnt().save(tmp_path / "model")
    with pytest.raises(NotImplementedError, match="Rows cannot be saved yet: write its methods"):
        Rows().fit(TRAIN).save(tmp_path / "model")
    for option in ({1: "one"}, np.ones(2), float("nan"), TRAIN):
        with pytest.raises(TypeError, match="the option fusion cannot be saved"):
            Learnt(fusion=option).fit(TRAIN).save(tmp_path / "model")
    objects = Learnt().fit(TRAIN)
    objects.table = np.array([[None, 1]])
    with pytest.raises(TypeError, match="'learnt/table' of Learnt holds objects"):
        objects.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_are_options_too(tmp_path: Path) -> None:
    Learnt(sizes=(np.int64(3), np.float32(0.5))).fit(TRAIN).save(tmp_path)
    assert Learnt.load(tmp_path).sizes == (3, 0.5)


def test_loading_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        Recommender.load(tmp_path / "nowhere")
    with pytest.raises(
        ValueError, match=r"holds no saved recommender: recommender.json is missing"
    ):
        Recommender.load(tmp_path)
    folder = Learnt().fit(TRAIN).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"holds a Learnt, not a Rowless: load it by Learnt.load"):
        Rowless.load(folder)

    about = json.loads((folder / "recommender.json").read_text())
    for name in ("Elsewhere", "mmtutorial.recommenders.Elsewhere", "mmtutorial.nowhere.Elsewhere"):
        changed = json.dumps({**about, "class": name})
        (folder / "recommender.json").write_text(changed)
        with pytest.raises(ValueError, match=f"unknown class {name}: import or define it"):
            Recommender.load(folder)
    for damage in ("{", "[]", '{"class": "Learnt"}', json.dumps({**about, "files": 3})):
        (folder / "recommender.json").write_text(damage)
        with pytest.raises(ValueError, match=r"recommender.json is damaged, or not ours"):
            Recommender.load(folder)
    (folder / "recommender.json").write_text(json.dumps({**about, "options": {"size": 3}}))
    with pytest.raises(ValueError, match="saved by another version of this library"):
        Recommender.load(folder)


@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "pickle"])
def test_damaged_arrays_are_refused(tmp_path: Path, damage: str) -> None:
    folder = Learnt().fit(TRAIN).save(tmp_path / "model")
    path = folder / "arrays.npz"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        place = content.index(np.random.default_rng(5).random((2, 3)).tobytes()[:16])
        content[place] ^= 1
        path.write_bytes(content)
    elif damage == "remove":
        path.unlink()
    else:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        arrays["learnt/table"] = arrays["learnt/table"].astype(object)
        np.savez(path, **arrays)
    with pytest.raises(ValueError, match="allow_pickle" if damage == "pickle" else "is damaged"):
        Recommender.load(folder)


def test_classes_of_the_library_are_found_without_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simple = importlib.import_module("mmtutorial.recommenders.simple")
    simple.Random(seed=4).fit(TRAIN).save(tmp_path)
    monkeypatch.setattr(Recommender, "_classes", {})
    monkeypatch.delitem(sys.modules, simple.__name__)
    monkeypatch.setattr(sys.modules["mmtutorial.recommenders"], "simple", simple)
    assert Recommender.load(tmp_path).options() == {"seed": 4}
