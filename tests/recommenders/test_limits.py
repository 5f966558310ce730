"""What the ideal observer infers is what enumeration of every possible taste gives."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from mmtutorial.datasets import shop
from mmtutorial.datasets.choice import choice_chance
from mmtutorial.datasets.simulated.shoppers import simulate
from mmtutorial.evaluation import evaluate, global_time_split
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import Oracle, Popularity
from mmtutorial.recommenders.explain_truth import hits
from mmtutorial.recommenders.limits import IdealObserver, _Posterior, _World

ITEMS = pd.DataFrame(
    {
        "item": [f"i{row}" for row in range(8)],
        "image_attribute": list("aabbaabb"),
        "audio_attribute": list("xyxyxyxy"),
        "text_attribute": 0.0,
    }
)  # two kinds, two voices, equally frequent: a taste is +1 for one and −1 for the other


def test_it_agrees_with_enumeration_in_a_tiny_world() -> None:
    bought, truth = simulate(
        ITEMS, seed=2, n_users=40, mean_interactions=5, noise=1.0, launched_late=0.0, shown=4,
        weights={"image": 1.0, "audio": 0.7, "text": 0.0, "pair": 0.4},
    )  # fmt: skip
    early = bought.groupby("user").head(3)
    train = Interactions.of(early, items=ITEMS["item"])
    observer = IdealObserver(truth, draws=300).fit(train)
    shelf, pairs = truth.shelf.to_numpy(), ITEMS["image_attribute"] + ITEMS["audio_attribute"]
    first = early.groupby("item")["timestamp"].min().reindex(ITEMS["item"]).fillna(np.inf)
    tastes = np.array(
        [
            image * np.where(ITEMS["image_attribute"] == "a", 1.0, -1.0)
            + 0.7 * audio * np.where(ITEMS["audio_attribute"] == "x", 1.0, -1.0)
            + 0.8 * (pairs == pair)
            for image, audio, pair in product([1, -1], [1, -1], sorted(set(pairs)))
        ]
    )
    everything = choice_chance(tastes, shelf)
    expected = np.empty((train.n_users, 8))
    for user in range(train.n_users):
        weight, owned = np.ones(len(tastes)), []
        log = train.log[train.log["user"] == user]
        for item, time in zip(log["item"], log["timestamp"], strict=True):
            there = np.array(first <= time)
            there[owned] = False
            chance = choice_chance(tastes[:, there], shelf[there])
            weight *= chance[:, np.flatnonzero(there).tolist().index(item)]
            owned.append(item)
        expected[user] = weight @ everything / weight.sum()
    found = observer.score(np.arange(train.n_users))
    assert np.abs(found - expected).max() < 0.03  # of 300 draws
    assert np.abs(found - expected).mean() < 0.008
    prior = np.abs(everything.mean(axis=0) - expected).mean()
    assert prior > 0.03  # without the histories it would be seen to be wrong


def test_the_race_is_followed_to_its_end() -> None:
    data = shop(n_items=80, n_users=40)
    train = Interactions.of(data.interactions, items=data.items["item"])
    world = _World.of(data.truth, pd.Index(train.items))
    log = train.log.drop_duplicates(["user", "item"])
    first = log.groupby("item")["timestamp"].min().reindex(range(80)).fillna(np.inf).to_numpy()
    posterior = _Posterior(world, [each for _, each in log.groupby("user")][:12], first)
    dice = np.random.default_rng(0)
    normal = dice.standard_normal((12, world.items.shape[1])).astype(np.float32)
    favourite = dice.integers(world.pair.max() + 1, size=12)
    rate = np.exp(world.utility(normal, favourite).astype(np.float64))
    time = np.exp(np.arange(-40, 40, 0.1))[:, None]
    expected = np.zeros(12)
    for user in range(12):
        waiting = np.exp(-rate[user] * time)
        missing = 1 - world.shelf + world.shelf * waiting
        for event in np.flatnonzero(posterior.happened[user]):
            item, others = posterior.chosen[user, event], posterior.available[user, event] > 0
            arrives = (rate[user, item] * time * waiting[:, [item]])[:, 0]
            expected[user] += np.log(0.1 * (arrives * missing[:, others].prod(axis=1)).sum())
    found = posterior.likelihood(normal, favourite, np.arange(12))
    np.testing.assert_allclose(found, expected, atol=0.01)
    every = posterior.pair_likelihoods(normal)[np.arange(12), favourite]
    np.testing.assert_allclose(every, expected, atol=0.01)


def test_it_stays_between_popularity_and_the_oracle() -> None:
    data = shop(n_items=80, n_users=150)
    split = global_time_split(Interactions.of(data.interactions, items=data.items["item"]))
    assert data.truth is not None
    quality = {
        each.name: evaluate(each.fit(split.train), split).per_user["ndcg"].mean()
        for each in (Popularity(), IdealObserver(data.truth, draws=20), Oracle(data.truth))
    }
    assert quality["popularity"] + 0.02 < quality["ideal observer"] < quality["oracle"] + 0.01


def test_the_same_seed_gives_the_same_scores_and_a_stranger_the_prior() -> None:
    data = shop(n_items=40, n_users=30)
    train = Interactions.of(data.interactions, items=data.items["item"], users=[*data.users, "new"])
    one, again = (IdealObserver(data.truth, draws=4).fit(train) for _ in range(2))
    np.testing.assert_array_equal(one.score([0, 30]), again.score([0, 30]))
    assert np.isfinite(one.score([30])).all()
    assert (
        IdealObserver(data.truth, draws=4, seed=1).fit(train).score([0]) != one.score([0])
    ).any()


def test_what_it_cannot_observe_is_refused() -> None:
    with pytest.raises(ValueError, match="not simulated"):
        IdealObserver(None)  # type: ignore[arg-type]
    truth = shop(n_items=40, n_users=30).truth
    assert truth is not None
    with pytest.raises(ValueError, match="at least one"):
        IdealObserver(truth, draws=0)


def test_what_is_liked_is_nearer_to_the_truth_than_the_mean_is() -> None:
    data = shop(n_items=60, n_users=60)
    train = Interactions.of(data.interactions, items=data.items["item"])
    observer = IdealObserver(data.truth, draws=20).fit(train)
    liked = observer.liked(np.arange(train.n_users))
    assert list(liked) == ["text", "image", "audio"]
    columns = data.truth.item_factors.columns
    for name in ("image", "audio"):
        some = [each for each in columns if each.startswith(f"{name}:")]
        tastes = data.truth.user_factors.loc[train.users, some].to_numpy()
        true = tastes @ data.truth.item_factors.loc[train.items, some].to_numpy().T
        true -= true.mean(axis=1, keepdims=True)
        assert np.corrcoef(liked[name].ravel(), true.ravel())[0, 1] > 0.5
    ranked = observer.recommend(np.arange(20), 5)
    found = hits(observer, np.arange(20), ranked, {}, data.truth)
    assert found["named"] > found["by_chance"] + 0.2
