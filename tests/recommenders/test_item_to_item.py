"""Neighbours and EASE, against loops and regressions that follow the definitions word by word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import EASE, ContentKNN, ItemKNN
from mmtutorial.recommenders import item_to_item as module
from mmtutorial.recommenders.content import unit_rows


def interactions(taken: np.ndarray) -> Interactions:
    """Make interactions of a bool matrix; the last user and item may have none."""
    users, items = np.nonzero(taken)
    rows = [(f"u{u:02d}", f"i{i:02d}", 0) for u, i in zip(users, items, strict=True)]
    names = (
        [f"{kind}{n:02d}" for n in range(count)]
        for kind, count in zip("ui", taken.shape, strict=True)
    )
    return Interactions.of(rows, *names)


def cosine(one: np.ndarray, other: np.ndarray, shrink: float = 0.0) -> float:
    both = np.linalg.norm(one) * np.linalg.norm(other) + shrink
    return float(one @ other / both) if one @ other else 0.0


def nearest_only(similarity: np.ndarray, k: int) -> np.ndarray:
    """Keep each column's k largest positive entries, the smaller row first where they tie."""
    kept = np.zeros_like(similarity)
    for item in range(len(similarity)):
        order = sorted(range(len(similarity)), key=lambda row: (-similarity[row, item], row))
        for row in order[:k]:
            kept[row, item] = max(similarity[row, item], 0.0)
    return kept


matrices = st.builds(
    lambda seed, shape, share: np.random.default_rng(seed).random(shape) < share,
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(2, 9), st.integers(2, 9)),
    st.sampled_from([0.2, 0.5]),
)


@settings(max_examples=25)
@given(matrices, st.integers(1, 10), st.sampled_from([0.0, 0.7]))
def test_item_knn_weighs_users_and_items_by_its_exponents(
    taken: np.ndarray, k: int, user_exponent: float
) -> None:
    counts = taken.sum(axis=1)
    weights = np.maximum(counts, 1.0) ** -user_exponent
    weights *= counts.sum() / max(counts @ weights, 1e-12)
    common = (taken * weights[:, None]).T @ taken
    n = np.diag(common)
    both = n[:, None] ** 0.8 * n**0.3 + 2.0
    similarity = np.divide(common, both, out=np.zeros_like(common), where=common > 0)
    np.fill_diagonal(similarity, 0.0)
    model = ItemKNN(k, 2.0, exponents=(0.8, 0.3), user_exponent=user_exponent)
    weights = model.fit(interactions(taken))._weights.toarray()
    # ties are decided by rounding: which neighbours are kept is compared by their similarities
    kept = nearest_only(similarity, k)
    np.testing.assert_allclose(np.sort(weights, 0), np.sort(kept, 0), rtol=1e-4, atol=1e-6)
    chosen = weights > 0
    np.testing.assert_allclose(weights[chosen], similarity[chosen], rtol=1e-4)


@settings(max_examples=25)
@given(matrices, st.integers(1, 10), st.sampled_from([0.0, 3.0]))
def test_item_knn_is_its_definition(taken: np.ndarray, k: int, shrink: float) -> None:
    columns = taken.T.astype(float)
    similarity = np.array([[cosine(one, other, shrink) for other in columns] for one in columns])
    np.fill_diagonal(similarity, 0.0)
    expected = taken @ nearest_only(similarity, k)
    found = ItemKNN(k=k, shrink=shrink).fit(interactions(taken)).score(np.arange(len(taken)))
    some = taken.any(axis=1)
    np.testing.assert_allclose(found[some], expected[some], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        found[~some], np.tile(expected.mean(axis=0), ((~some).sum(), 1)), rtol=1e-5, atol=1e-6
    )


@settings(max_examples=25)
@given(matrices, st.integers(1, 10), st.integers(0, 2**32 - 1))
def test_content_knn_is_its_definition(taken: np.ndarray, k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    n_items = taken.shape[1]
    features = {}
    for name in ("text", "audio"):
        features[name] = generator.integers(-2, 3, (n_items, 3)).astype(float)
        features[name][generator.random(n_items) < 0.3] = 0.0
    similarity = np.zeros((n_items, n_items))
    for one in range(n_items):
        for other in range(n_items):
            both = [rows for rows in features.values() if rows[one].any() and rows[other].any()]
            if both and one != other and taken[:, one].any():
                similarity[one, other] = np.mean([cosine(r[one], r[other]) for r in both])
    # ties between cosines are decided by rounding: compare only where there are none to decide
    kept = nearest_only(similarity.round(5), k)
    given_features = {"text": features["text"], "audio": sparse.csr_array(features["audio"])}
    model = ContentKNN(k=k).fit(interactions(taken), given_features)
    weights = model._weights.toarray()
    np.testing.assert_allclose(
        np.sort(weights, axis=0), np.sort(np.maximum(kept, 0), axis=0), atol=2e-5
    )
    chosen = weights > 0
    np.testing.assert_allclose(weights[chosen], similarity[chosen], atol=1e-5)
    some = taken.any(axis=1)
    found = model.score(np.arange(len(taken)))
    np.testing.assert_allclose(found[some], (taken @ weights)[some], atol=1e-5)


def ridge(rows: np.ndarray, l2: float) -> np.ndarray:
    """Predict each column from all others by ridge regression, one after another."""
    n_items = rows.shape[1]
    weights = np.zeros((n_items, n_items))
    for item in range(n_items):
        others = np.delete(np.arange(n_items), item)
        X = rows[:, others]
        weights[others, item] = np.linalg.solve(
            X.T @ X + l2 * np.eye(n_items - 1), X.T @ rows[:, item]
        )
    return weights


@settings(max_examples=25)
@given(matrices, st.sampled_from([0.5, 20.0]), st.sampled_from([0.0, 0.3, 1.0]), st.booleans())
def test_ease_is_a_ridge_regression_for_every_item(
    taken: np.ndarray, l2: float, popularity: float, with_content: bool
) -> None:
    train, n_items = interactions(taken), taken.shape[1]
    generator = np.random.default_rng(n_items)
    text = generator.standard_normal((n_items, 3))
    audio = generator.random((n_items, 4)) * (generator.random((n_items, 4)) < 0.5)
    counts = np.maximum(taken.sum(axis=0), 1.0)
    scale = counts**-popularity * np.mean(counts**popularity)
    rows, weight = [taken * scale], {}
    if with_content:
        weight = {"text": 2.0, "audio": 0.5, "image": 0.0}
        rows += [np.sqrt(2.0) * unit_rows(text).T, np.sqrt(0.5) * unit_rows(audio).T]
    expected = scale[:, None] * ridge(np.vstack(rows), l2) / scale
    model = EASE(l2=l2, content_weight=weight or 0.0, popularity=popularity)
    model.fit(train, {"text": text, "audio": sparse.csr_array(audio)})
    np.testing.assert_allclose(model._weights, expected, rtol=1e-3, atol=1e-5)
    some = taken.any(axis=1)
    scores = model.score(np.arange(len(taken)))
    np.testing.assert_allclose(scores[some], (taken @ expected)[some], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("block", [1, 4])
def test_blocks_of_items_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(4)
    train = interactions(generator.random((20, 11)) < 0.3)
    features = {"text": generator.standard_normal((11, 3)).astype(np.float32)}
    makers = [ItemKNN, ContentKNN, lambda: EASE(l2=2.0, content_weight=3.0)]
    whole = [make().fit(train, features).score([0, 1]) for make in makers]
    monkeypatch.setattr(module, "_BLOCK", block)
    for make, expected in zip(makers, whole, strict=True):
        np.testing.assert_allclose(make().fit(train, features).score([0, 1]), expected, rtol=1e-5)


def test_content_carries_new_items_and_ids_do_not() -> None:
    taken = np.zeros((4, 4), dtype=bool)
    taken[[0, 1], 0] = taken[[2, 3], 1] = True  # items 2 and 3 are new: like item 0, like item 1
    train = interactions(taken)
    text = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]])
    for model in (ContentKNN(), EASE(l2=1.0, content_weight=1.0)):
        assert model.fit(train, {"text": text}).recommend([0, 2], k=1).tolist() == [[2], [3]]
    for model in (ItemKNN(), EASE(l2=1.0)):
        assert not model.fit(train).score([0, 2], [2, 3]).any()


def test_options_out_of_range_are_refused() -> None:
    train = interactions(np.eye(3, dtype=bool))
    text = {"text": np.ones((3, 1))}
    for model, message in (
        (ItemKNN(k=0), "k is 0; an item needs at least one neighbour"),
        (ItemKNN(shrink=-1), "shrink is -1; it must be 0 or more"),
        (ItemKNN(exponents=(1.0,)), r"exponents is \(1.0,\); it must be two numbers"),
        (ItemKNN(user_exponent=-1.0), "user_exponent is -1.0; it must be 0 or more"),
        (EASE(user_exponent=-1.0), "user_exponent is -1.0; it must be 0 or more"),
        (ContentKNN(k=0), "k is 0"),
        (EASE(l2=0), "l2 is 0; it must be above 0"),
        (EASE(popularity=1.5), "popularity is 1.5; it must be from 0 to 1"),
        (EASE(content_weight={"text": -1}), "the content_weight of 'text' is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(train, text)


def test_names_tell_which_content_is_read() -> None:
    assert ContentKNN(("text", "audio")).name == "content-kNN (text, audio)"
    assert EASE(content_weight={"text": 1.0, "audio": 0.0}).name == "EASE + text"
    assert EASE(content_weight=2.0).name == "EASE + content"
    assert EASE(content_weight={"text": 0.0}).name == EASE().name == "EASE"
