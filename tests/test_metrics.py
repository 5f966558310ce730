from __future__ import annotations

import numba
import numpy as np
import pytest
import ranx
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import ndcg_score
from sklearn.metrics.pairwise import cosine_distances

from mmtutorial import metrics
from mmtutorial.recommenders.ranking import top_k

N_USERS = 200
RANX = {
    "hit_rate": "hit_rate",
    "precision": "precision",
    "recall": "recall",
    "ndcg": "ndcg",
    "reciprocal_rank": "mrr",
    "average_precision": "map",
}


CASES = st.builds(
    dict,
    seed=st.integers(0, 2**32 - 1),
    n_items=st.integers(1, 40),
    k=st.integers(1, 15),
    levels=st.sampled_from([2, 5, 1000]),
)


def made(seed, n_items, k, levels):
    """Lists cut out of scores full of ties, some short or empty; some users without relevance."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (N_USERS, n_items)).astype(float)
    scores[rng.random(scores.shape) < rng.choice([0, 0.5, 1], (N_USERS, 1))] = -np.inf
    relevant = rng.random(scores.shape) < rng.choice([0, 0.05, 0.3, 1], (N_USERS, 1))
    return top_k(scores, k), sparse.csr_array(relevant.astype(np.float32))


def ragged(rows):
    """Ids and scores as ranx reads them: one float array (length, 2) a user."""
    return numba.typed.List([np.asarray(row, dtype=np.float64).reshape(-1, 2) for row in rows])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::numba.NumbaTypeSafetyWarning")
@settings(max_examples=25, deadline=None)
@given(CASES, st.integers(1, 20))
def test_agrees_with_ranx(case, k):
    ranked, relevant = made(**case)
    wanted = ragged([[(item, 1) for item in row.nonzero()[0]] for row in relevant.toarray()])
    lists = ragged(
        [[(item, -place) for place, item in enumerate(row) if item >= 0] for row in ranked]
    )
    names = [f"{theirs}@{k}" for theirs in RANX.values()]
    expected = ranx.evaluate(wanted, lists, names, return_mean=False)
    for ours, theirs in zip(RANX, names, strict=True):
        values = metrics.ACCURACY[ours](ranked, relevant, k)
        np.testing.assert_allclose(values, expected[theirs], rtol=0, atol=1e-9, err_msg=theirs)


@settings(max_examples=25, deadline=None)
@given(CASES, st.integers(1, 20))
def test_ndcg_agrees_with_scikit_learn(case, k):
    ranked, relevant = made(**case)
    ranked, wanted = ranked[:50], relevant[:50].toarray()
    # the list's items come first, in order; then k items that are not relevant; then the others
    true = np.hstack([wanted, np.zeros((len(wanted), k + 1))])
    scores = np.tile(np.arange(true.shape[1], dtype=float), (len(wanted), 1))
    users, places = np.nonzero(ranked >= 0)
    scores[users, ranked[users, places]] = 1000.0 - places
    ours = metrics.ndcg(ranked, relevant[:50], k)
    expected = [ndcg_score(true[[u]], scores[[u]], k=k) for u in range(len(wanted))]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(CASES)
def test_properties(case):
    ranked, relevant = made(**case)
    shuffled = np.random.default_rng(0).permutation(N_USERS)
    empty = np.diff(relevant.indptr) == 0
    for name, metric in metrics.ACCURACY.items():
        values = metric(ranked, relevant)
        assert values.dtype == np.float64 and values.shape == (N_USERS,)
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()
        assert (values[empty] == 0).all()
        np.testing.assert_array_equal(
            metric(ranked[shuffled], relevant[shuffled]), values[shuffled]
        )
        if name not in ("precision", "ndcg"):
            growing = [metric(ranked, relevant, k) for k in range(1, ranked.shape[1] + 2)]
            assert (np.diff(growing, axis=0) >= -1e-12).all()
    best = top_k(relevant.toarray(), ranked.shape[1])
    np.testing.assert_allclose(metrics.ndcg(best, relevant), ~empty)
    np.testing.assert_array_equal(
        metrics.user_coverage(ranked, relevant), metrics.hit_rate(ranked, relevant).mean()
    )


def test_by_hand():
    ranked = np.array([[3, 1, 0], [2, 0, -1], [1, 2, 3], [-1, -1, -1]])
    relevant = sparse.csr_array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    expected = {
        "hit_rate": [1, 1, 0, 0],
        "precision": [2 / 3, 1 / 3, 0, 0],
        "recall": [1, 1, 0, 0],
        "ndcg": [(1 / np.log2(3) + 1 / 2) / (1 + 1 / np.log2(3)), 1 / np.log2(3), 0, 0],
        "reciprocal_rank": [1 / 2, 1 / 2, 0, 0],
        "average_precision": [(1 / 2 + 2 / 3) / 2, 1 / 2, 0, 0],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(metrics.ACCURACY[name](ranked, relevant), values, err_msg=name)


def test_relevance_is_what_is_not_zero():
    stored = sparse.csr_array(
        (np.array([2.0, 0.0, 1.0, 1.0]), np.array([0, 1, 2, 2]), np.array([0, 4])), shape=(1, 3)
    )
    ranked = np.array([[1, 2, 0]])
    np.testing.assert_array_equal(metrics.gains(ranked, stored), [[False, True, True]])
    assert metrics.recall(ranked, stored) == 1
    assert stored.nnz == 4  # what was given is not changed


@pytest.mark.parametrize(
    ("ranked", "message"),
    [
        ([[0, 1], [2, 2]], "user row 1 names the item row 2 twice"),
        ([[0, 1], [3, 2]], "user row 1 names the item row 3: rows go from 0 to 2"),
        ([[0, -2], [1, 2]], "user row 0 names the item row -2"),
        ([[0, 1]], "ranked has 1 users, relevant has 2"),
        ([[0.0, 1.0]], "int item rows"),
        ([0, 1], "int item rows"),
    ],
)
def test_refuses_lists_that_are_wrong(ranked, message):
    with pytest.raises(ValueError, match=message):
        metrics.ndcg(np.array(ranked), sparse.csr_array(np.eye(2, 3)))


def test_refuses_what_cannot_be_measured():
    ranked, relevant = np.array([[0]]), sparse.csr_array([[1]])
    with pytest.raises(ValueError, match="k is 0"):
        metrics.recall(ranked, relevant, k=0)
    with pytest.raises(ValueError, match="popularity"):
        metrics.novelty(ranked, np.array([-1]))
    with pytest.raises(ValueError, match="vectors"):
        metrics.intra_list_diversity(ranked, np.array([[np.nan]]))
    with pytest.raises(ValueError, match="twice"):
        metrics.user_coverage(np.array([[1, 1]]))


def test_coverage_counts_items_and_users():
    ranked = np.array([[0, 1], [1, 0], [1, -1]])
    assert metrics.item_coverage(ranked, 5) == 2 / 5
    assert metrics.item_coverage(np.full((3, 2), -1), 5) == 0
    assert metrics.user_coverage(ranked) == 2 / 3
    assert metrics.user_coverage(ranked, sparse.csr_array(np.eye(3, 5))) == 2 / 3


@settings(max_examples=50, deadline=None)
@given(CASES)
def test_gini_is_half_the_relative_mean_difference(case):
    ranked, relevant = made(**case)
    counts = np.array([(ranked == item).sum() for item in range(relevant.shape[1])])
    differences = np.abs(counts[:, None] - counts).mean()
    expected = differences / (2 * counts.mean()) if counts.any() else 0.0
    assert metrics.gini(ranked, len(counts)) == pytest.approx(expected, abs=1e-12)


def test_novelty_is_self_information():
    values = metrics.novelty(np.array([[0, 1], [2, -1], [-1, -1]]), np.array([3, 1, 0, 0]))
    np.testing.assert_allclose(values, [(1 + 2) / 2, 3, np.nan])  # p = 4/8, 2/8, 1/8, 1/8


@settings(max_examples=25, deadline=None)
@given(CASES, st.integers(1, 300))
def test_diversity_is_the_mean_distance_of_pairs(case, block):
    ranked, relevant = made(**case)
    vectors = np.random.default_rng(1).standard_normal((relevant.shape[1], 4))
    vectors[::5] = 0  # nothing is known of these
    expected = np.full(N_USERS, np.nan)
    for user, row in enumerate(ranked):
        known = row[(row >= 0) & (row % 5 != 0)]
        if len(known) > 1:
            pairs = np.triu_indices(len(known), 1)
            expected[user] = cosine_distances(vectors[known])[pairs].mean()
    diversity = metrics.intra_list_diversity(ranked, vectors, block=block)
    np.testing.assert_allclose(diversity, expected, atol=1e-12)


def test_ties_go_to_the_smaller_row():
    scores = np.array([[1.0, 2.0, 2.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(top_k(scores, 2), [[1, 2], [0, 1]])
    np.testing.assert_array_equal(top_k(scores, 4), [[1, 2, 3, 0], [0, 1, 2, 3]])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 40))
def test_top_k_is_a_stable_sort(seed, n_items, k):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (30, n_items)).astype(np.float32)
    seen = sparse.csr_array(rng.random(scores.shape) < 0.4)
    expected = np.full((30, k), -1)
    for user in range(30):
        allowed = np.flatnonzero(~seen.toarray()[user])
        best = allowed[np.argsort(-scores[user, allowed], kind="stable")][:k]
        expected[user, : len(best)] = best
    np.testing.assert_array_equal(top_k(scores, k, exclude=seen), expected)
