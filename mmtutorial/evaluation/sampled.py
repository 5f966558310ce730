"""Sampled metrics, as a warning.

Many papers rank each relevant item among a few others drawn at random instead of all. What comes
out is another measure, it depends on how many are drawn, and it can reverse the order of two
recommenders (Krichene and Rendle 2020). Nothing in this package is reported or chosen by it; it is
here so that the reversal can be seen.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from mmtutorial.evaluation.full_ranking import (
    EARLIER,
    check_fitted,
    relevant_to,
    taken_before,
    with_progress,
)
from mmtutorial.evaluation.splits import Split
from mmtutorial.recommenders.base import Recommender


def relevant_ranks(
    recommender: Recommender,
    split: Split,
    *,
    part: Literal["test", "validation"] = "test",
    exclude: Collection[str] = EARLIER,
    block: int = 1024,
) -> pd.DataFrame:
    """Rank each relevant item among all items that the user did not take.

    Each relevant item is a case of its own: the user's other relevant items do not compete with it,
    nor do items taken in an excluded part. Ties go to the smaller item row. Users are scored in
    blocks, so that memory does not grow with users × items.

    Parameters
    ----------
    recommender, split, part, exclude, block
        As for `evaluate`.

    Returns
    -------
    DataFrame
        One row a user and relevant item, sorted: ``user`` and ``item`` (int rows), ``rank`` (from
        1) and ``others`` (how many items competed with it).

    Raises
    ------
    RuntimeError, ValueError
        As `evaluate`.

    Examples
    --------
    >>> from mmtutorial.recommenders import Popularity
    >>> from mmtutorial.evaluation.splits import leave_last_out
    >>> from mmtutorial.interactions import Interactions
    >>> taken = [(user, item, time) for user, items in {"ann": "wxyz", "bob": "xwzy"}.items()
    ...          for time, item in enumerate(items)]
    >>> split = leave_last_out(Interactions.of(taken))
    >>> relevant_ranks(Popularity().fit(split.train), split, exclude=["train"])
       user  item  rank  others
    0     0     3     2       1
    1     1     2     1       1
    """
    check_fitted(recommender, split, part)
    users, relevant = relevant_to(split, part)
    before = taken_before(split, [name for name in exclude if name != part])
    found = []
    for rows in with_progress(np.split(np.arange(len(users)), range(block, len(users), block))):
        scores = np.asarray(recommender.score(users[rows]))
        if np.isnan(scores).any():
            raise ValueError(f"{recommender.name} gives a score that is NaN")
        scores = np.maximum(scores, np.finfo(scores.dtype).min)  # −inf is for what cannot compete
        owned = before[users[rows]].tocoo()
        scores[owned.row, owned.col] = -np.inf
        places = np.empty(scores.shape, dtype=np.int64)
        order = np.argsort(-scores, axis=1, kind="stable")
        np.put_along_axis(places, order, np.arange(scores.shape[1])[None, :], axis=1)
        user, item = relevant[rows].nonzero()
        cases = pd.DataFrame({"user": user, "item": item, "place": places[user, item]})
        # the user's own relevant items that stand above do not count
        above = cases.sort_values(["user", "place"]).groupby("user").cumcount()
        cases["rank"] = cases["place"] - above + 1
        n_relevant = np.bincount(user, minlength=len(rows))
        competing = (scores > -np.inf).sum(axis=1) - n_relevant
        cases["others"] = competing[user]
        found.append(cases.assign(user=users[rows][user]))
    ranks = pd.concat(found)[["user", "item", "rank", "others"]]
    return ranks.sort_values(["user", "item"], ignore_index=True)


def sampled_hit_rate(rank: np.ndarray, others: np.ndarray, n_drawn: int, k: int = 10) -> np.ndarray:
    """Return the expected sampled hit rate of items at these ranks: float64, as ``rank``.

    Of the others, rank − 1 stand above the item; n_drawn are drawn with replacement, and it is a
    hit if fewer than k of the drawn stand above (equation eq-sampled): a binomial probability.

    Parameters
    ----------
    rank : ndarray
        int, the place among all, from 1.
    others : ndarray
        int, how many items compete with it: rank − 1 ≤ others.
    n_drawn, k : int
        How many are drawn, and the length of the list.

    Raises
    ------
    ValueError
        If a rank is out of range, or n_drawn or k below 1.

    Examples
    --------
    Place 20 of 1001 is never in the top ten, and nearly always in that of a sample of 100:

    >>> sampled_hit_rate(np.array([1, 20, 1000]), np.array([1000] * 3), n_drawn=100).round(3)
    array([1., 1., 0.])
    """
    share = _share_above(rank, others, n_drawn, k)
    return np.asarray(stats.binom.cdf(k - 1, n_drawn, share))


def sampled_ndcg(rank: np.ndarray, others: np.ndarray, n_drawn: int, k: int = 10) -> np.ndarray:
    """Return the expected sampled NDCG@k: float64, as ``rank``.

    With one relevant item NDCG is 1 / log2(place + 1) within the list, and its place in the sample
    is 1 + a binomial variable. Arguments and errors as `sampled_hit_rate`.

    >>> sampled_ndcg(np.array([1, 20, 1000]), np.array([1000] * 3), n_drawn=100).round(3)
    array([1.   , 0.583, 0.   ])
    """
    share = _share_above(rank, others, n_drawn, k)
    above = np.arange(k)
    chance = stats.binom.pmf(above, n_drawn, share[..., None])
    return chance @ (1.0 / np.log2(above + 2))


def sampled_ranks(rank: np.ndarray, others: np.ndarray, n_drawn: int, seed: int = 0) -> np.ndarray:
    """Draw the place of each item in one sample of n_drawn others: int64, from 1, as ``rank``.

    Others are drawn with replacement. Arguments and errors as `sampled_hit_rate`; the same seed
    draws the same places.

    >>> sampled_ranks(np.array([1, 20, 1000]), np.array([1000] * 3), n_drawn=100)
    array([  1,   3, 101])
    """
    share = _share_above(rank, others, n_drawn, 1)
    return 1 + np.random.default_rng(seed).binomial(n_drawn, share)


def _share_above(rank: np.ndarray, others: np.ndarray, n_drawn: int, k: int) -> np.ndarray:
    """Return the share of the others that stand above; 0 where there is no other."""
    rank, others = np.broadcast_arrays(rank, others)
    for name, value in (("n_drawn", n_drawn), ("k", k)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    wrong = (rank < 1) | (rank > others + 1)
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"entry {place} has rank {rank.flat[place]} among {others.flat[place]} others: ranks "
            "go from 1 to others + 1"
        )
    found: np.ndarray = (rank - 1) / np.maximum(others, 1)
    return found
