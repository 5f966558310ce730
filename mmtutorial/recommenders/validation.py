"""What recommenders choose by while they learn: NDCG@10 on the validation part."""

from __future__ import annotations

import numpy as np

from mmtutorial.interactions import Interactions
from mmtutorial.metrics import ndcg
from mmtutorial.recommenders.ranking import top_k

_PLACES = 10  # of the lists
_AT_MOST = 2048  # users


def validation_users(
    train: Interactions, validation: Interactions | None, at_most: int | None = None
) -> np.ndarray:
    """Return users with both training and validation items: int64 rows, spread evenly.

    ``at_most`` so many, 2,048 without it; none without a validation part.

    >>> train = Interactions.of([(user, "tea", 1) for user in "abcd"], items=["cup", "tea"])
    >>> later = Interactions.of([(user, "cup", 2) for user in "abc"], "abcd", ["cup", "tea"])
    >>> validation_users(train, later), validation_users(train, later, at_most=2)
    (array([0, 1, 2]), array([0, 2]))
    """
    if validation is None:
        return np.array([], dtype=np.int64)
    users = np.intersect1d(train.log["user"], validation.log["user"]).astype(np.int64)
    at_most = at_most or _AT_MOST
    if len(users) <= at_most:
        return users
    return users[np.linspace(0, len(users) - 1, at_most).astype(np.int64)]


def quality(
    scores: np.ndarray, train: Interactions, validation: Interactions, users: np.ndarray
) -> float:
    """Return the mean NDCG@10 on the validation part of these users, training items left out.

    ``scores`` are theirs: (n_users, n_items).

    >>> train = Interactions.of([("ann", "tea", 1)], items=["cup", "ice", "tea"])
    >>> later = Interactions.of([("ann", "cup", 2)], ["ann"], ["cup", "ice", "tea"])
    >>> quality(np.array([[0.5, 0.1, 0.9]]), train, later, np.array([0]))
    1.0
    """
    ranked = top_k(scores, _PLACES, exclude=train.matrix[users])
    return float(ndcg(ranked, validation.matrix[users]).mean())
