"""Retrieval: exact search is a sort of all products; approximate search is nearly that."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from mmtutorial.recommenders import index as retrieval
from mmtutorial.recommenders.index import Index


def sorted_products(
    items: np.ndarray, queries: np.ndarray, k: int, excluded: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sort every product by score, then by row."""
    scores = (queries @ items.T).astype(np.float32)
    if excluded is not None:
        scores[excluded] = -np.inf
    order = np.lexsort((np.broadcast_to(np.arange(len(items)), scores.shape), -scores), axis=1)
    rows = np.full((len(queries), k), -1)
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    kept = min(k, len(items))
    best[:, :kept] = np.take_along_axis(scores, order, axis=1)[:, :kept]
    rows[:, :kept] = np.where(best[:, :kept] > -np.inf, order[:, :kept], -1)
    return rows, best


def whole(generator: np.random.Generator, n: int, length: int, values: int) -> np.ndarray:
    """Vectors of small whole numbers, whose products are exact, and often equal."""
    return generator.integers(-values, values + 1, size=(n, length)).astype(np.float32)


@given(
    n_items=st.integers(1, 400),
    n_queries=st.integers(0, 70),
    length=st.integers(1, 6),
    values=st.integers(0, 3),
    k=st.integers(1, 12),
    block=st.integers(1, 3000),
    share=st.sampled_from([0.0, 0.3, 0.99]),
    seed=st.integers(0, 2**32 - 1),
)
def test_exact_search_equals_a_sort(
    n_items: int,
    n_queries: int,
    length: int,
    values: int,
    k: int,
    block: int,
    share: float,
    seed: int,
) -> None:
    """In blocks of any size, with ties, exclusions, and more places than items."""
    generator = np.random.default_rng(seed)
    items, queries = (whole(generator, n, length, values) for n in (n_items, n_queries))
    excluded = generator.random((n_queries, n_items)) < share
    expected = sorted_products(items, queries, k, excluded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "_SCORES", block)
        patch.setattr(retrieval, "_QUERIES", 1 + block % 9)
        found = Index(items).search(queries, k, exclude=sparse.csr_array(excluded.astype(int)))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert (found[0].dtype, found[1].dtype) == (np.int64, np.float32)


@pytest.mark.parametrize("n_queries", [1, 200])
@pytest.mark.parametrize("values", [1, 1000])
def test_exact_search_of_many_items_equals_a_sort(n_queries: int, values: int) -> None:
    """Where maxima of groups are looked at, with many ties and with few."""
    generator = np.random.default_rng(values)
    items, queries = whole(generator, 20_011, 8, values), whole(generator, n_queries, 8, values)
    expected = sorted_products(items, queries, 10)
    found = Index(items).search(queries, 10)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_a_query_of_zeros_gets_the_first_items_within_the_memory_of_a_block(monkeypatch) -> None:
    """All scores are equal, and yet no block hands on more than its own."""
    monkeypatch.setattr(retrieval, "_SCORES", 640)
    index = Index(np.ones((5000, 4)))
    candidates = index._all(np.zeros((64, 4), np.float32), 3, retrieval._pairs(None))
    assert len(candidates[0]) == 640
    rows, scores = index.search(np.zeros((64, 4)), 3)
    assert (rows == [0, 1, 2]).all()
    assert (scores == 0).all()


def test_an_entry_of_zero_excludes_nothing() -> None:
    stored = sparse.csr_array((np.array([0, 1]), np.array([0, 1]), np.array([0, 2])), shape=(1, 3))
    assert Index(np.eye(3)).search(np.ones((1, 3)), 3, exclude=stored)[0].tolist() == [[0, 2, -1]]


def test_what_cannot_be_searched_is_refused() -> None:
    index = Index(np.eye(3))
    with pytest.raises(ValueError, match=r"vectors holds NaN, infinity or .* item row 1"):
        Index(np.array([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match="too large a number in item row 0"):
        Index(np.array([[1e300]]))
    with pytest.raises(ValueError, match=r"queries holds NaN, .* in query row 0"):
        index.search(np.array([[0.0, np.inf, 0.0]]))
    with pytest.raises(ValueError, match=r"vectors has shape \(3,\)"):
        Index(np.ones(3))
    with pytest.raises(ValueError, match="vectors is empty"):
        Index(np.ones((0, 3)))
    with pytest.raises(ValueError, match="k is 0"):
        index.search(np.eye(3), 0)
    with pytest.raises(ValueError, match="queries have 2 numbers each, the items 3"):
        index.search(np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"exclude has shape \(1, 2\); .* need \(1, 3\)"):
        index.search(np.ones((1, 3)), exclude=sparse.csr_array((1, 2)))
    with pytest.raises(ValueError, match="too large for float32"):
        Index(np.full((2, 2), 1e20)).search(np.full((1, 2), 1e20))


def test_without_faiss_an_approximate_index_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ModuleNotFoundError, match=r"mmtutorial\[retrieval\]"):
        Index(np.eye(3), approximate=True)
    assert Index(np.eye(3)).search(np.eye(3), 1)[0].tolist() == [[0], [1], [2]]


class TestApproximate:
    """Behind the same call, by faiss."""

    @pytest.fixture(autouse=True)
    def _faiss(self) -> None:
        pytest.importorskip("faiss")

    def test_looking_through_all_lists_is_exact(self) -> None:
        generator = np.random.default_rng(0)
        items, queries = whole(generator, 500, 5, 2), whole(generator, 40, 5, 2)
        excluded = generator.random((40, 500)) < 0.1
        exclude = sparse.csr_array(excluded.astype(int))
        exact = Index(items).search(queries, 500, exclude=exclude)
        near = Index(items, approximate=True, lists=20, probed=20).search(queries, 500, exclude)
        np.testing.assert_array_equal(near[0], exact[0])
        np.testing.assert_array_equal(near[1], exact[1])

    def test_more_lists_find_more_of_the_best(self) -> None:
        generator = np.random.default_rng(0)
        centres = 3 * generator.normal(size=(50, 16))
        items = centres[generator.integers(50, size=4000)] + generator.normal(size=(4000, 16))
        queries = items[:200] + generator.normal(size=(200, 16))
        exact, _ = Index(items).search(queries, 10)
        index = Index(items, approximate=True)
        recalls = []
        for index.probed in (1, 4, 64):
            near, _ = index.search(queries, 10)
            recalls.append(
                np.mean([np.isin(a, b).mean() for a, b in zip(exact, near, strict=True)])
            )
        assert recalls[0] < recalls[1] < recalls[2]
        assert recalls[2] > 0.95

    def test_too_few_found_ends_in_nothing(self) -> None:
        index = Index(np.eye(4), approximate=True, lists=4, probed=1)
        rows, scores = index.search(np.eye(4)[:1], 3)
        assert (rows[0, 0], rows[0, -1]) == (0, -1)
        assert scores[0, -1] == -np.inf

    def test_a_number_of_lists_beyond_the_items_is_refused(self) -> None:
        with pytest.raises(ValueError, match="lists is 5; it must be between 1 and the 4 items"):
            Index(np.eye(4), approximate=True, lists=5)
