"""The floor, the crowd and the limit: chance, popularity, and the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd

from mmtutorial.datasets.dataset import Truth
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features


class Random(Recommender):
    """Scores drawn uniformly, the floor: the same seed and user row give the same scores.

    >>> train = Interactions.of([("ann", "tea", 1), ("bob", "cup", 2)])
    >>> Random(seed=3).fit(train).score([0]).shape
    (1, 2)
    """

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        self._n_items = train.n_items

    def _score(self, users: np.ndarray) -> np.ndarray:
        scores = np.empty((len(users), self._n_items), dtype=np.float32)
        for user, row in zip(users, scores, strict=True):
            np.random.default_rng([self.seed, user]).random(dtype=np.float32, out=row)
        return scores

    def _state(self) -> dict[str, np.ndarray]:
        return {}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._learn(self.train, {}, None)


class Popularity(Recommender):
    """Scores each item by how many users took it in training; the same for everyone.

    >>> train = Interactions.of([("ann", "tea", 1), ("bob", "tea", 2), ("bob", "cup", 3)])
    >>> Popularity().fit(train).score([0])  # cup, tea
    array([[1., 2.]], dtype=float32)
    """

    name = "popularity"

    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        self._counts = np.asarray(train.matrix.sum(axis=0), dtype=np.float32).ravel()

    def _score(self, users: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self._counts, (len(users), len(self._counts)))

    def _state(self) -> dict[str, np.ndarray]:
        return {}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._learn(self.train, {}, None)


class Oracle(Recommender):
    """Ranks by how probable each choice truly is, in a simulated data set: the limit, no rival.

    >>> from mmtutorial.datasets import shop
    >>> data = shop(n_items=40, n_users=30)
    >>> train = Interactions.of(data.interactions, items=data.items["item"])
    >>> Oracle(data.truth).fit(train).recommend([0], k=3).shape
    (1, 3)
    """

    name = "oracle"

    def __init__(self, truth: Truth) -> None:
        if truth is None:
            raise ValueError(
                "this data set has no known utilities (it is not simulated): no oracle"
            )
        self.truth = truth

    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        self._ids = train.users
        self._columns = self.truth.item_factors.index.get_indexer(pd.Index(train.items))

    def _score(self, users: np.ndarray) -> np.ndarray:
        return self.truth.chance(self._ids[users])[:, self._columns]

    def _saved_options(self) -> dict[str, Any]:
        return {}  # the truth is tables: among the arrays

    def _state(self) -> dict[str, np.ndarray]:
        items, users = self.truth.item_factors, self.truth.user_factors
        state = {
            "factors": items.columns.to_numpy(dtype=str),
            "items": items.index.to_numpy(dtype=str),
            "users": users.index.to_numpy(dtype=str),
            "item_factors": items.to_numpy(np.float64),
            "user_factors": users.to_numpy(np.float64),
        }
        if self.truth.shelf is not None:
            state["shelf"] = self.truth.shelf.to_numpy(np.float64)
        return state

    @classmethod
    def _made(cls, options: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Self:
        items, users = (
            pd.DataFrame(state[f"{kind}_factors"], state[f"{kind}s"], state["factors"])
            for kind in ("item", "user")
        )
        shelf = pd.Series(state["shelf"], items.index) if "shelf" in state else None
        return cls(Truth(items, users, shelf))

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._learn(self.train, {}, None)
