import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.reduce import reduce, standardise, summarise, tf_idf

dice = np.random.default_rng(0)


def test_pca_equals_numpys_singular_values():
    points = dice.normal(size=(40, 2, 3)) * np.array([5.0, 1.0, 0.2])
    reduced, fitted = reduce(points, 3)
    flat = points.reshape(40, 6) - points.reshape(40, 6).mean(axis=0)
    left, values, right = np.linalg.svd(flat, full_matrices=False)
    assert reduced.dtype == np.float32
    assert np.allclose(np.abs(reduced), np.abs(left * values)[:, :3], atol=1e-4)
    share = (values**2 / (values**2).sum())[:3]
    assert np.allclose(fitted.explained_variance_ratio_, share)
    assert np.allclose(np.abs(fitted.components_ @ right[:3].T), np.eye(3), atol=1e-6)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_signs_do_not_depend_on_the_order_of_rows(as_sparse):
    points = dice.random((60, 12)) * (dice.random((60, 12)) < 0.5)
    order = dice.permutation(60)
    kind = sparse.csr_array if as_sparse else np.asarray
    one, fitted = reduce(kind(points), 4)
    other, _ = reduce(kind(points[order]), 4)
    assert np.allclose(one[order], other, atol=1e-4)
    largest = np.abs(fitted.components_).argmax(axis=1)
    assert (fitted.components_[np.arange(4), largest] > 0).all()


def test_absent_rows_are_not_learnt_from_and_are_zero():
    points = dice.normal(size=(30, 5))
    present = np.arange(30) % 3 > 0
    spoilt = np.where(present[:, None], points, 1e6)
    reduced, _ = reduce(spoilt, 2, present)
    assert not reduced[~present].any()
    assert np.allclose(reduced[present], reduce(points[present], 2)[0], atol=1e-5)


def test_a_large_picture_set_gives_the_same_for_the_same_seed():
    pictures = dice.random((600, 16, 16, 3), dtype=np.float32)
    assert np.array_equal(reduce(pictures, 8, seed=3)[0], reduce(pictures, 8, seed=3)[0])


def test_texts_on_the_same_subject_come_together():
    texts = [
        ["soft", "warm", "wool"],
        ["warm", "wool"],
        ["loud", "alarm"],
        ["alarm", "loud", "bell"],
    ]
    weights = tf_idf(texts, min_count=1)
    assert weights.dtype == np.float32
    assert np.allclose(sparse.linalg.norm(weights, axis=1), 1)
    vectors, _ = reduce(weights, 2)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.9
    assert likeness[2, 3] > 0.9
    assert abs(likeness[0, 2]) < 0.1


def test_tf_idf_equals_its_formula():
    texts = [["a", "a", "b"], ["a", "c"], ["b", "b", "c"], []]
    counts = np.array([[2, 1, 0], [1, 0, 1], [0, 2, 1], [0, 0, 0]])
    frequency = np.array([2, 2, 2])
    with np.errstate(divide="ignore"):
        term = np.where(counts > 0, 1 + np.log(counts), 0)
    expected = term * (1 + np.log((1 + 4) / (1 + frequency)))
    length = np.linalg.norm(expected, axis=1, keepdims=True)
    expected = np.divide(expected, length, out=np.zeros_like(expected), where=length > 0)
    assert np.allclose(tf_idf(texts).toarray(), expected, atol=1e-6)


def test_items_that_the_same_users_took_come_together():
    log = [(f"u{n}", item, 1) for n in range(10) for item in (("a", "b") if n < 5 else ("c", "d"))]
    vectors, _ = reduce(Interactions.of(log).matrix.T.tocsr(), 2)
    assert np.allclose(vectors[0], vectors[1], atol=1e-5)
    assert np.allclose(vectors[2], vectors[3], atol=1e-5)
    assert abs(vectors[0] @ vectors[2]) < 1e-4


def test_a_summary_leaves_out_the_filling():
    frames = dice.normal(size=(3, 6, 2)).astype(np.float32)
    frames[0, :4] = 0
    frames[2] = 0
    summary = summarise(frames)
    assert np.allclose(
        summary[0], [*frames[0, 4:].mean(axis=0), *frames[0, 4:].std(axis=0)], atol=1e-6
    )
    assert np.allclose(summary[1], [*frames[1].mean(axis=0), *frames[1].std(axis=0)], atol=1e-6)
    assert not summary[2].any()


@given(st.integers(2, 12), st.integers(1, 4), st.floats(0.1, 1e3), st.floats(-1e3, 1e3))
def test_what_is_standardised_has_mean_0_and_deviation_1(n, width, scale, shift):
    values = np.random.default_rng(n).normal(size=(n, 5, width)) * scale + shift
    values[0, :2] = np.nan
    present = np.arange(n) > 0
    present[0] = True
    result = standardise(values, present)
    heard = result[np.isfinite(values).all(axis=2)]
    assert np.allclose(heard.mean(axis=0), 0, atol=1e-3)
    assert np.allclose(heard.std(axis=0), 1, atol=1e-3)
    assert not result[0, :2].any()


@given(st.integers(2, 40), st.floats(-1e6, 1e6))
def test_rows_of_the_future_are_no_further_off_than_a_known_row_can_be(n, far):
    values = np.zeros((n + 1, 2))
    values[0] = 1e-3, 1  # a coefficient that hardly ever differs from 0
    values[n] = far, 0.5
    known = np.arange(n + 1) < n
    result = standardise(values, fit_on=known)
    assert np.abs(result[:n]).max() == pytest.approx(np.sqrt(n - 1), rel=1e-5)  # Samuelson's bound
    assert np.abs(result[n, 0]) <= np.float32(np.sqrt(n))
    assert np.array_equal(result[:n], standardise(values[:n]))


def test_colour_channels_are_standardised_and_nothing_present_is_nothing():
    pictures = dice.random((4, 3, 3, 3)).astype(np.float32)
    assert np.allclose(standardise(pictures).mean(axis=(0, 1, 2)), 0, atol=1e-6)
    assert not standardise(pictures, np.zeros(4, dtype=bool)).any()
    assert not standardise(np.full((4, 2), 0.1, dtype=np.float32)).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reduce(np.ones((5, 3)), 4), "n_components is 4; 5 present rows with 3 columns"),
        (lambda: reduce(np.ones((5, 3)), 0), "allow 1 to 3"),
        (lambda: reduce(np.ones((5, 3)), 2, np.arange(5) < 1), "1 present rows"),
        (lambda: reduce(np.ones((5, 3)), 2, np.ones(4)), r"present has shape \(4,\) for 5 rows"),
        (lambda: tf_idf([["a"], ["b"]]), "no word is in 2 of the 2 texts: lower min_count"),
        (lambda: tf_idf([[], []], 1), "lower min_count"),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_rows_of_the_future_are_standardised_and_not_looked_at():
    values = np.random.default_rng(0).normal(5, 2, (40, 3))
    past = np.arange(40) < 30
    ours = standardise(values, fit_on=past)
    changed = np.where(past[:, None], values, 1000.0)
    np.testing.assert_array_equal(standardise(changed, fit_on=past)[past], ours[past])
    expected = (values - values[past].mean(axis=0)) / values[past].std(axis=0)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
