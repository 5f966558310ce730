"""Alignment: dynamic time warping equals librosa's, cross-correlation SciPy's."""

from __future__ import annotations

import itertools

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from mmtutorial.equations.alignment import (
    accumulated_cost,
    cross_correlation,
    offset,
    warped,
    warping_path,
)

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
seeds = st.integers(0, 2**32 - 1)
few = settings(deadline=None, max_examples=25, derandomize=True)


@few
@given(sizes, seeds)
def test_cost_and_path_equal_librosas(size: tuple[int, int], seed: int) -> None:
    cost = np.random.default_rng(seed).random(size)
    total = accumulated_cost(cost)
    theirs, path = librosa.sequence.dtw(C=cost)
    np.testing.assert_allclose(total, theirs, rtol=1e-12)
    np.testing.assert_array_equal(warping_path(total), path[::-1])


@few
@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), seeds)
def test_no_other_path_is_cheaper(size: tuple[int, int], seed: int) -> None:
    cost = np.random.default_rng(seed).random(size)

    def cheapest(i: int, j: int) -> float:
        if (i, j) == (0, 0):
            return float(cost[0, 0])
        before = itertools.product((i - 1, i), (j - 1, j))
        return float(cost[i, j]) + min(
            cheapest(*each) for each in before if min(each) >= 0 and each != (i, j)
        )

    total = accumulated_cost(cost)
    assert total[-1, -1] == pytest.approx(cheapest(size[0] - 1, size[1] - 1))
    path = warping_path(total)
    assert cost[tuple(path.T)].sum() == pytest.approx(total[-1, -1])


def test_where_costs_are_equal_both_grow() -> None:
    assert warping_path(accumulated_cost(np.zeros((3, 3)))).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_a_sequence_at_half_the_pace_is_found() -> None:
    frames = np.random.default_rng(0).normal(size=(12, 4))
    slow = np.repeat(frames, 2, axis=0)
    cost = np.linalg.norm(frames[:, None] - slow[None], axis=2)
    path = warping_path(accumulated_cost(cost))
    np.testing.assert_allclose(warped(path, np.arange(12.0)), 2 * np.arange(12) + 0.5)


@few
@given(sizes, seeds)
def test_cross_correlation_equals_scipys(size: tuple[int, int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    left, right = (generator.normal(size=n) for n in size)
    lags, values = cross_correlation(left, right)
    np.testing.assert_array_equal(lags, signal.correlation_lags(*size))
    np.testing.assert_allclose(values, signal.correlate(left, right), atol=1e-12)


@few
@given(st.integers(-30, 30), seeds)
def test_an_offset_is_found_though_the_streams_are_loud_and_noisy(lag: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    stream = 5 + generator.normal(size=400)
    left, right = stream[50 - lag : 300 - lag], stream[50:300]
    assert offset(left + 0.3 * generator.normal(size=250), right) == lag


@pytest.mark.parametrize("cost", [np.zeros(3), np.zeros((0, 2)), np.array([[np.nan]])])
def test_what_is_no_cost_is_refused(cost: np.ndarray) -> None:
    with pytest.raises(ValueError, match="matrix"):
        accumulated_cost(cost)


def test_what_is_no_stream_is_refused() -> None:
    with pytest.raises(ValueError, match=r"n ≥ 1"):
        cross_correlation(np.zeros(0), np.ones(3))
