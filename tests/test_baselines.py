"""Chance, popularity and the oracle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mmtutorial.baselines import Oracle, Popularity, Random
from mmtutorial.datasets.dataset import Truth
from mmtutorial.datasets.simulate import simulate
from mmtutorial.preprocessing.interactions import Interactions


@pytest.fixture(scope="module")
def truth_and_train(catalogue: Callable[..., pd.DataFrame]) -> tuple[Truth, Interactions]:
    log, truth = simulate(catalogue(60), n_users=40, mean_interactions=8)
    return truth, Interactions.of(log, items=truth.item_factors.index)


def test_random_is_uniform_and_a_user_keeps_their_scores_in_any_block(
    truth_and_train: tuple[Truth, Interactions],
) -> None:
    _, train = truth_and_train
    random = Random(seed=1).fit(train)
    everyone = random.score(np.arange(train.n_users))
    np.testing.assert_array_equal(everyone[[5, 3]], random.score([5, 3]))
    assert not np.array_equal(everyone, Random(seed=2).fit(train).score(np.arange(train.n_users)))
    assert everyone.mean() == pytest.approx(0.5, abs=0.03)
    assert everyone.min() >= 0
    assert everyone.max() < 1


def test_popularity_counts_users(
    truth_and_train: tuple[Truth, Interactions],
) -> None:
    _, train = truth_and_train
    counts = np.bincount(train.log["item"], minlength=train.n_items)
    scores = Popularity().fit(train).score([0, 1])
    np.testing.assert_array_equal(scores[0], counts)
    np.testing.assert_array_equal(scores[1], counts)


def test_the_oracle_ranks_by_true_utility(
    truth_and_train: tuple[Truth, Interactions],
) -> None:
    truth, train = truth_and_train
    oracle = Oracle(truth).fit(train)
    expected = truth.utility(train.users[[7, 2]])
    np.testing.assert_allclose(oracle.score([7, 2]), expected, rtol=1e-6)
    best = oracle.recommend([7], k=1, exclude_seen=False)[0, 0]
    assert best == expected[0].argmax()


def test_real_data_has_no_oracle() -> None:
    with pytest.raises(ValueError, match="no known utilities"):
        Oracle(None)
