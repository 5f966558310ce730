"""Attributions of functions whose answer is known, and the axioms that they keep."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtutorial.equations.attribution import (
    coalitions,
    grad_cam,
    integrated_gradients,
    removals,
    shapley_values,
)


def by_orders(values: np.ndarray) -> np.ndarray:
    """Average what each part adds over all orders: the definition in words."""
    n_parts = len(values).bit_length() - 1
    found = np.zeros(n_parts)
    orders = list(permutations(range(n_parts)))
    for order in orders:
        there = 0
        for part in order:
            found[part] += values[there | 1 << part] - values[there]
            there |= 1 << part
    return found / len(orders)


@given(n_parts=st.integers(1, 4), seed=st.integers(0, 99))
def test_shapley_values_are_the_mean_over_all_orders_and_add_up(n_parts: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=2**n_parts)
    found = shapley_values(values)
    np.testing.assert_allclose(found, by_orders(values), atol=1e-12)
    assert found.sum() == pytest.approx(values[-1] - values[0])


def test_a_sum_gets_its_terms_a_product_is_shared_and_an_idle_part_gets_nothing() -> None:
    there = coalitions(3)
    np.testing.assert_allclose(shapley_values(there @ [2.0, -1.0, 0.5]), [2.0, -1.0, 0.5])
    both = 6.0 * (there[:, 0] & there[:, 2])
    np.testing.assert_allclose(shapley_values(both), [3.0, 0.0, 3.0], atol=1e-12)


def test_many_games_are_shared_at_once() -> None:
    games = np.random.default_rng(0).normal(size=(8, 5, 2))
    found = shapley_values(games)
    assert found.shape == (3, 5, 2)
    np.testing.assert_allclose(found[:, 4, 1], shapley_values(games[:, 4, 1]))
    with pytest.raises(ValueError, match="has 6 rows"):
        shapley_values(np.zeros(6))


def test_integrated_gradients_of_a_network_add_up_to_its_change() -> None:
    generator = np.random.default_rng(1)
    W, u = generator.normal(size=(6, 9)), generator.normal(size=9)

    def network(points: np.ndarray) -> np.ndarray:
        return np.maximum(points @ W, 0) @ u

    def gradient(points: np.ndarray) -> np.ndarray:
        return ((points @ W > 0) * u) @ W.T

    x, baseline = generator.normal(size=(2, 6))
    gaps = [
        abs(integrated_gradients(gradient, x, baseline, n).sum() - network(x) + network(baseline))
        for n in (2, 4096)
    ]
    assert gaps[1] < 1e-3 < gaps[0]


def test_integrated_gradients_of_a_line_are_its_terms_whatever_the_steps() -> None:
    slope = np.array([1.0, -2.0, 0.0])
    x, baseline = np.array([3.0, 1.0, 7.0]), np.array([1.0, 1.0, 0.0])
    for steps in (1, 10):
        found = integrated_gradients(
            lambda at: np.broadcast_to(slope, at.shape), x, baseline, steps
        )
        np.testing.assert_allclose(found, [2.0, 0.0, 0.0])


def test_wrong_shapes_and_steps_are_named() -> None:
    with pytest.raises(ValueError, match=r"x has shape \(2,\) and baseline \(3,\)"):
        integrated_gradients(np.ones_like, np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="steps is 0"):
        integrated_gradients(np.ones_like, np.zeros(2), np.zeros(2), steps=0)


def test_grad_cam_finds_the_place_of_the_channel_that_counts() -> None:
    maps = np.zeros((4, 4, 3))
    maps[1, 2, 0], maps[3, 3, 1], maps[0, 0, 2] = 2.0, 9.0, 1.0
    slope = np.broadcast_to([1.0, -1.0, 0.5], maps.shape)  # the score of a global mean, say
    heat = grad_cam(maps, slope)
    assert np.unravel_index(heat.argmax(), heat.shape) == (1, 2)
    assert heat[3, 3] == 0 and heat[0, 0] == 0.5
    two = grad_cam(np.stack([maps, maps]), np.stack([slope, -slope]))
    np.testing.assert_array_equal(two[0], heat)
    assert two[1].argmax() == 15


@given(seed=st.integers(0, 99), n_parts=st.integers(1, 9))
def test_removals_take_one_part_more_each_time_and_insertions_are_their_mirror(
    seed: int, n_parts: int
) -> None:
    order = np.random.default_rng(seed).permutation(n_parts)
    gone = removals(order)
    assert gone.sum(axis=1).tolist() == list(range(n_parts + 1))
    np.testing.assert_array_equal(gone[1:].argmax(axis=0)[order], np.arange(n_parts))
    np.testing.assert_array_equal(removals(order, insertion=True), ~gone)
