"""Several recommenders as one: their scores, made comparable and added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features
from mmtutorial.recommenders.validation import quality, validation_users
from mmtutorial.storage.checkpoint import Checkpoint

_BLOCK = 1024  # users whose scores are held at a time


class Blend(Recommender):
    r"""Adds up the scores of several recommenders, each on a scale of its own.

    .. math::
        \hat y_{ui} = \sum_a w_a \frac{\hat y_{ui}^{(a)} - \mu_u^{(a)}}{\sigma_u^{(a)}}

    with the mean μ and the deviation σ of a user's scores over the whole catalogue; a recommender
    that scores all items equally adds 0. Without ``weights``, those are chosen that rank the
    validation part best, by NDCG@10 over users with a training and a validation item: all that are
    multiples of ``step`` and sum to 1, the earlier recommenders' larger where several are equally
    good.

    Parameters
    ----------
    recommenders : sequence of Recommender
        `fit` fits each of them, on the same arguments.
    weights : sequence of float, optional
        One a recommender.
    step : float
        Distance of the weights that are tried, 1 over a whole number.
    prefit : bool
        Whether the recommenders are fitted already, on the same training interactions: ``fit`` then
        leaves them as they are.

    Attributes
    ----------
    chosen : ndarray
        float64 (n_recommenders,), the weights in use, after ``fit``.

    Raises
    ------
    ValueError
        If there are fewer than two recommenders, the weights are not one each, or ``step`` does not
        divide 1; from ``fit``, if there are no weights and nothing to choose them by, or with
        ``prefit`` if a recommender was fitted on other interactions.
    RuntimeError
        From ``fit`` with ``prefit``, if a recommender is not fitted.

    References
    ----------
    Fox and Shaw (1994), Combination of multiple searches, TREC-2: CombSUM, the sum of what
    several searches score.

    Examples
    --------
    >>> from mmtutorial.recommenders import ItemKNN, Popularity
    >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)])
    >>> blend = Blend([Popularity(), ItemKNN()], weights=(0.25, 0.75)).fit(train)
    >>> blend.name, blend.recommend([1], k=1).tolist()
    ('blend of popularity and item-kNN', [[0]])
    """

    def __init__(
        self,
        recommenders: Sequence[Recommender],
        weights: Sequence[float] | None = None,
        step: float = 0.1,
        prefit: bool = False,
    ) -> None:
        if len(recommenders) < 2:
            raise ValueError(f"a blend needs at least two recommenders, not {len(recommenders)}")
        if weights is not None and len(weights) != len(recommenders):
            raise ValueError(
                f"there are {len(weights)} weights for {len(recommenders)} recommenders: one each"
            )
        if weights is not None and not np.isfinite(weights).all():
            raise ValueError(f"the weights are {tuple(weights)}; they must be finite numbers")
        if not 0 < step <= 1 or abs(1 / step - round(1 / step)) > 1e-6:
            raise ValueError(f"step is {step}; it is 1 over a whole number, such as 0.1 or 0.05")
        self.recommenders = recommenders
        self.weights = weights
        self.step = step
        self.prefit = prefit

    @property
    def name(self) -> str:  # type: ignore[override]
        """Whose scores are added up."""
        return "blend of " + " and ".join(each.name for each in self.recommenders)

    def _learn_resumably(
        self,
        train: Interactions,
        features: Features,
        validation: Interactions | None,
        checkpoint: Checkpoint,
    ) -> None:
        users = validation_users(train, validation, at_most=train.n_users)
        if self.weights is None and (validation is None or not len(users)):
            raise ValueError(
                "the weights are chosen by users with a training and a validation item, and there "
                "are none: fit(train, features, validation), or give Blend its weights"
            )
        for each in self.recommenders:
            if not self.prefit:
                each.fit_within(checkpoint, train, features, validation)
            elif not _same(each.train, train):
                raise ValueError(
                    f"{each.name} was fitted on other interactions: fit it on these, or give Blend "
                    "prefit=False"
                )
        if self.weights is not None or validation is None:
            self.chosen = np.array(self.weights, dtype=np.float64)
            return
        tried = np.array(list(_simplex(len(self.recommenders), round(1 / self.step)))) * self.step
        total = np.zeros(len(tried))
        for start in range(0, len(users), _BLOCK):
            block = users[start : start + _BLOCK]
            parts = self._standardised(block)
            for place, weights in enumerate(tried):
                mean = quality(_add(parts, weights), train, validation, block)
                total[place] += mean * len(block)
        self.chosen = tried[int(total.argmax())]

    def _score(self, users: np.ndarray) -> np.ndarray:
        return _add(self._standardised(users), self.chosen)

    def _standardised(self, users: np.ndarray) -> list[np.ndarray]:
        """Return each recommender's scores with mean 0 and deviation 1: (n_users, n_items)."""
        return [_standard(each.score(users)) for each in self.recommenders]

    def _state(self) -> dict[str, np.ndarray]:
        return {"weights": self.chosen}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.chosen = state["weights"]

    def _write(self, folder: Path) -> None:
        for number, each in enumerate(self.recommenders):
            each.save(folder / f"part_{number}")

    def _read(self, folder: Path) -> None:
        self.recommenders = tuple(
            Recommender.load(folder / f"part_{number}") for number in range(len(self.chosen))
        )

    def _saved_options(self) -> dict[str, Any]:
        return {"weights": self.weights, "step": self.step, "prefit": self.prefit}

    @classmethod
    def _made(cls, options: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Self:
        blend = cls.__new__(cls)  # its recommenders are not read yet
        blend.weights, blend.step = options["weights"], options["step"]
        blend.prefit = options.get("prefit", False)  # files of the first edition have none
        return blend


def _same(one: Interactions, other: Interactions) -> bool:
    """Say whether two are the same interactions of the same users and items."""
    return one is other or (
        np.array_equal(one.users, other.users)
        and np.array_equal(one.items, other.items)
        and one.log.equals(other.log)
    )


def _simplex(n_parts: int, total: int) -> list[tuple[int, ...]]:
    """List all ways to share out a total of units, the first parts' largest shares first."""
    if n_parts == 1:
        return [(total,)]
    return [
        (first, *rest)
        for first in range(total, -1, -1)
        for rest in _simplex(n_parts - 1, total - first)
    ]


def _standard(scores: np.ndarray) -> np.ndarray:
    """Give each row mean 0 and deviation 1; a row of equal scores becomes zeros."""
    apart = scores - scores.mean(axis=1, keepdims=True, dtype=np.float64)
    spread = apart.std(axis=1, keepdims=True)
    apart[np.ptp(scores, axis=1) == 0] = 0.0
    found: np.ndarray = apart / np.where(spread > 0, spread, 1.0)
    return found


def _add(scores: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    return sum((weight * each for weight, each in zip(weights, scores, strict=True)), np.zeros(()))
