"""The one interface: what goes in is checked, what comes out is ranked the same way every time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse

from mmtutorial.preprocessing.interactions import Interactions
from mmtutorial.recommender import Recommender, top_k

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
