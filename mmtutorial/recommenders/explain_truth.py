"""Whether explanations name what truly decided: on simulated users, whose tastes are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmtutorial.datasets.dataset import Truth
from mmtutorial.recommenders.explain import modalities_of, named_modalities
from mmtutorial.recommenders.inputs import Features
from mmtutorial.recommenders.limits import IdealObserver

if TYPE_CHECKING:
    from mmtutorial.recommenders.two_tower import TwoTower

CLEARLY = 0.6  # of what a user likes in an item: with so much a modality decided
PAIR = ("image", "audio")  # what a pair joins, and is halved between


def true_shares(truth: Truth, names: Sequence[str], users: Sequence[str]) -> np.ndarray:
    """Say what share of what users like in each item each modality brings.

    A modality's part of the utility is taken less its mean over the catalogue, and counts where it
    is above 0; what a pair of picture and sound adds is halved between them, which is the Shapley
    value of each.

    Parameters
    ----------
    truth : Truth
        Its factors are named "text: liking", "image: kettle", "pair: kettle × bell" and so on.
    names : sequence of str
        Modalities.
    users : sequence of str
        Their ids.

    Returns
    -------
    ndarray
        float64 (m, n_users, n_items): sums to 1 over the modalities; 0 where nothing is liked.

    Examples
    --------
    >>> import pandas as pd
    >>> columns = ["text: liking", "image: hat"]
    >>> items = pd.DataFrame([[1.0, 1.0], [-1.0, 0.0]], ["a", "b"], columns)
    >>> tastes = pd.DataFrame([[3.0, 2.0]], ["ann"], columns)
    >>> true_shares(Truth(items, tastes), ["text", "image"], ["ann"])[:, 0].tolist()
    [[0.75, 0.0], [0.25, 0.0]]
    """
    columns = truth.item_factors.columns
    of_users, of_items = truth.user_factors.loc[list(users)], truth.item_factors
    liked = np.zeros((len(names), len(of_users), len(of_items)))
    for kind in dict.fromkeys(column.partition(":")[0] for column in columns):
        some = [column for column in columns if column.partition(":")[0] == kind]
        part = of_users[some].to_numpy() @ of_items[some].to_numpy().T
        part -= part.mean(axis=1, keepdims=True)
        among = [name for name in (PAIR if kind == "pair" else (kind,)) if name in names]
        for name in among:
            liked[list(names).index(name)] += part / len(among)
    liked = np.maximum(liked, 0)
    total = liked.sum(axis=0)
    shares: np.ndarray = np.divide(liked, total, out=np.zeros_like(liked), where=total > 0)
    return shares


def hits(
    recommender: TwoTower | IdealObserver,
    users: np.ndarray,
    ranked: np.ndarray,
    features: Features,
    truth: Truth,
) -> dict[str, float]:
    """Count how often the named modality is the one that clearly decided.

    A case is a place of a list where one modality brings `CLEARLY` or more of what the user likes
    in the item. It is a hit where that modality has the largest Shapley value; of an
    `IdealObserver`, where it expects the most of it: no recommender can name more in expectation.

    Parameters
    ----------
    recommender : TwoTower or IdealObserver
        Fitted.
    users : ndarray
        int (n_users,): rows.
    ranked : ndarray
        int (n_users, k): their lists, -1 for places without an item.
    features : mapping
        What the recommender was fitted with.
    truth : Truth
        Of the simulation.

    Returns
    -------
    dict
        "cases", how many there are; "named", the share that are hits; "by_chance", the share if
        as many were named of each modality, but at random. NaN without cases.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> from mmtutorial.interactions import Interactions
    >>> from mmtutorial.preprocessing.features import ready_features
    >>> from mmtutorial.recommenders import TwoTower
    >>> data = shop(n_items=40, n_users=30)
    >>> features, _ = ready_features(data, np.ones(40, bool))
    >>> train = Interactions.of(data.interactions, items=data.items["item"])
    >>> tower, users = TwoTower(steps=2).fit(train, features), np.arange(30)
    >>> found = hits(tower, users, tower.recommend(users, 5), features, data.truth)
    >>> 0 <= found["named"] <= 1
    True
    """
    train = recommender.train
    if isinstance(recommender, IdealObserver):
        liked = recommender.liked(users)
        names = list(liked)
        parts = np.stack([liked[name] for name in names])
        listed = np.take_along_axis(parts, np.maximum(ranked, 0)[None], axis=2)
        ids = [str(user) for user in train.users[users]]
        return hit_rate(listed.argmax(axis=0), ranked, true_shares(truth, names, ids))
    names = modalities_of(recommender)
    past = [train.matrix[[user]].indices for user in users]
    named = named_modalities(recommender, past, ranked, features)
    return hit_rate(named, ranked, true_shares(truth, names, [str(u) for u in train.users[users]]))


def hit_rate(named: np.ndarray, ranked: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    """Compare the named modalities, int (n_users, k), with what `true_shares` says; see `hits`.

    >>> shares = np.array([[[0.9, 0.5]], [[0.1, 0.5]]])  # of two items only the first is clear
    >>> found = hit_rate(np.array([[0, 1]]), np.array([[0, 1]]), shares)
    >>> found["cases"], found["named"]
    (1, 1.0)
    """
    listed = np.maximum(ranked, 0)
    of_places = np.take_along_axis(shares, listed[None], axis=2)
    clear = (of_places.max(axis=0) >= CLEARLY) & (ranked >= 0)
    right, said = of_places.argmax(axis=0)[clear], named[clear]
    n = len(right)
    chance = (
        sum((right == m).mean() * (said == m).mean() for m in range(len(shares))) if n else np.nan
    )
    share = float((right == said).mean()) if n else np.nan
    return {"cases": n, "named": share, "by_chance": float(chance)}


def how_often(recommender: TwoTower, features: Features, truth: Truth | None, k: int = 10) -> str:
    """Say in one sentence how often the reasons of a recommender name what truly decided.

    >>> how_often(None, {}, None)
    'Nobody knows why these users choose, so these reasons were not held against a truth.'
    """
    if truth is None:
        return (
            "Nobody knows why these users choose, so these reasons were not held against a truth."
        )
    train = recommender.train
    known = [row for row, user in enumerate(train.users) if user in truth.user_factors.index]
    users = np.array(known)
    found = hits(recommender, users, recommender.recommend(users, k), features, truth)
    if not found["cases"]:
        return "No modality clearly decides for any item of these users' lists."
    return (
        f"These users are simulated. Of {found['cases']:,.0f} recommendations in which one "
        f"modality clearly decides, the reasons name it in {found['named']:.0%}; by chance they "
        f"would in {found['by_chance']:.0%}."
    )
