"""Chance, popularity and the oracle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mmtutorial.datasets.dataset import Truth
from mmtutorial.datasets.simulated.shoppers import simulate
from mmtutorial.evaluation import evaluate, global_time_split
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import Oracle, Popularity, Random
from mmtutorial.recommenders.base import Recommender


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


def test_the_oracle_ranks_by_the_true_chance_of_a_choice(
    truth_and_train: tuple[Truth, Interactions],
) -> None:
    truth, train = truth_and_train
    oracle = Oracle(truth).fit(train)
    expected = truth.chance(train.users[[7, 2]])
    np.testing.assert_array_equal(oracle.score([7, 2]), expected)
    best = oracle.recommend([7], k=1, exclude_seen=False)[0, 0]
    assert best == expected[0].argmax()


class Repeated(Recommender):
    """Chances found by drawing shelves as the simulation does, over and over."""

    def __init__(self, truth: Truth, popularity: np.ndarray, shown: int) -> None:
        self.truth, self.popularity, self.shown = truth, popularity, shown

    def _learn(self, train, features, validation) -> None:
        odds = np.exp(self.truth.utility(train.users))
        generator = np.random.default_rng(1)
        share = np.exp(self.popularity) / np.exp(self.popularity).sum()
        self.chance = np.zeros_like(odds)
        for _ in range(400):
            shelf = np.unique(generator.choice(len(share), self.shown, p=share))
            self.chance[:, shelf] += odds[:, shelf] / odds[:, shelf].sum(axis=1, keepdims=True)

    def _score(self, users: np.ndarray) -> np.ndarray:
        return self.chance[users]


@pytest.mark.parametrize(
    "knobs",
    [{}, {"noise": 0.1}, {"popularity": 2.0}, {"noise": 0.2, "popularity": 1.5}, {"shown": 400}],
)
def test_nobody_passes_the_oracle_whatever_the_knobs(
    catalogue: Callable[..., pd.DataFrame], knobs: dict[str, float]
) -> None:
    items = catalogue(400)
    log, truth = simulate(items, n_users=600, mean_interactions=15, launched_late=0.0, **knobs)
    assert truth.shelf is not None
    shown = int(knobs.get("shown", 120))
    popularity = np.log(1 - (1 - truth.shelf.to_numpy()) ** (1 / shown))  # what made the shelf
    split = global_time_split(Interactions.of(log, items=items["item"]))
    oracle = evaluate(Oracle(truth).fit(split.train), split).per_user["ndcg"]
    rival = evaluate(Repeated(truth, popularity, shown).fit(split.train), split).per_user["ndcg"]
    gain = rival - oracle
    assert gain.mean() < 2.5 * gain.std() / np.sqrt(len(gain))
    assert oracle.mean() > 0.1


def test_real_data_has_no_oracle() -> None:
    with pytest.raises(ValueError, match="no known utilities"):
        Oracle(None)
