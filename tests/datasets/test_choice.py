"""Chances of choices: a softmax over a full shelf, frequencies over random ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtutorial.datasets.choice import choice_chance
from mmtutorial.equations.activations import softmax


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(0.0, 20.0))
def test_a_full_shelf_gives_the_softmax(seed: int, n_items: int, spread: float) -> None:
    utility = spread * np.random.default_rng(seed).standard_normal((3, n_items))
    chance = choice_chance(utility, np.ones(n_items))
    np.testing.assert_allclose(chance, softmax(utility), atol=5e-6)


def by_all_shelves(utility: np.ndarray, shelf: np.ndarray) -> np.ndarray:
    """Add up over every set of items that can stand on the shelf."""
    n = len(shelf)
    sets = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    weight = np.where(sets == 1, shelf, 1 - shelf).prod(axis=1)
    odds = np.exp(utility)[:, None, :] * sets
    share = odds / np.maximum(odds.sum(axis=2, keepdims=True), 1e-300)
    return np.einsum("s,usi->ui", weight, share)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.floats(0.0, 10.0))
def test_random_shelves_give_the_sum_over_all_of_them(
    seed: int, n_items: int, spread: float
) -> None:
    generator = np.random.default_rng(seed)
    utility = spread * generator.standard_normal((4, n_items))
    shelf = generator.uniform(0.01, 1.0, n_items)
    chance = choice_chance(utility, shelf)
    np.testing.assert_allclose(chance, by_all_shelves(utility, shelf), atol=3e-5)
    nobody = np.prod(1 - shelf)
    np.testing.assert_allclose(chance.sum(axis=1), 1 - nobody, atol=1e-4)


def test_many_users_are_done_in_blocks_with_the_same_numbers() -> None:
    utility = np.random.default_rng(0).normal(0, 2, (600, 30))
    shelf = np.linspace(0.1, 1, 30)
    whole = choice_chance(utility, shelf)
    np.testing.assert_allclose(whole[300:301], choice_chance(utility[300:301], shelf), atol=5e-6)


def test_what_is_no_probability_is_refused() -> None:
    for shelf in ([0.0, 1.0], [0.5, 1.1], [np.nan, 1.0]):
        with pytest.raises(ValueError, match="not a probability above 0"):
            choice_chance(np.zeros((1, 2)), np.array(shelf))
    with pytest.raises(ValueError, match="one π an item"):
        choice_chance(np.zeros((1, 2)), np.ones(3))
