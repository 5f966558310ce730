"""Measure a recommender on a split: every user, the whole catalogue, with intervals."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from rich.progress import track

from mmtutorial.evaluation.metrics import (
    ACCURACY,
    gini,
    intra_list_diversity,
    item_coverage,
    novelty,
    user_coverage,
)
from mmtutorial.evaluation.splits import Split
from mmtutorial.recommender import Recommender, top_k

_PATIENCE = 5.0  # seconds; what takes longer shows its progress
_RESAMPLED = 2**22  # users drawn at a time by the bootstrap: bounds memory


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` measured.

    Parameters
    ----------
    recommender, split, part : str
        Whose lists they are, and on which part of which split.
    k : int
        Length of the lists.
    users : ndarray
        int (n,) rows of the users who were evaluated.
    ranked : ndarray
        int (n, k) item rows recommended to them, best first, −1 for an empty place.
    per_user : DataFrame
        (n, metrics) float64, indexed by user row.
    catalogue : dict
        Metrics of all lists together: item_coverage, user_coverage, gini.
    n_bootstrap, seed : int
        How `summary` finds its intervals.
    """

    recommender: str
    split: str
    part: str
    k: int
    users: np.ndarray
    ranked: np.ndarray
    per_user: pd.DataFrame
    catalogue: dict[str, float]
    n_bootstrap: int = 1000
    seed: int = 0

    def summary(self) -> pd.DataFrame:
        """Return each metric's mean and 95 % interval: columns mean, low, high.

        The intervals are percentiles of the bootstrap over users (Efron 1979): the users are drawn
        anew with replacement ``n_bootstrap`` times. They say how much depends on which users were
        met, not on the recommender's own random seed. The same seed gives the same numbers.

        item_coverage and gini have no interval (NaN): they are no means over users, and a drawn
        set of users holds only about 63 % different ones, whose lists cover less of the catalogue
        than all lists do.
        """
        values = self.per_user.to_numpy()
        means = _bootstrap_means(values, self.n_bootstrap, self.seed)
        bounds = pd.DataFrame(means, columns=self.per_user.columns).quantile([0.025, 0.975])
        table = pd.DataFrame(
            {"mean": self.per_user.mean(), "low": bounds.iloc[0], "high": bounds.iloc[1]}
        )
        for name, value in self.catalogue.items():
            table.loc[name] = [value, np.nan, np.nan]
        table.loc["user_coverage"] = table.loc["hit_rate"]  # its mean is the share of users served
        return table.rename_axis("metric")


def evaluate(
    recommender: Recommender,
    split: Split,
    k: int = 10,
    *,
    part: Literal["test", "validation"] = "test",
    block: int = 1024,
    n_bootstrap: int = 1000,
    seed: int = 0,
    item_vectors: np.ndarray | None = None,
) -> Evaluation:
    """Rank the whole catalogue for every user, and measure the first k places.

    What the user took before is left out of the lists: training items, and for the test the
    validation items too. All other items compete, those without a training interaction included.
    Users without an item in the part, or without one in training, are not evaluated. Users are
    scored in blocks, so that memory does not grow with users × items.

    Parameters
    ----------
    recommender : Recommender
        Fitted on ``split.train``.
    split : Split
        What to test on.
    k : int
        Length of the lists.
    part : {"test", "validation"}
        Choose by "validation"; report "test".
    block : int
        Users scored at a time; the numbers do not depend on it.
    n_bootstrap, seed : int
        Draws, and their seed, for the intervals of ``summary()``.
    item_vectors : ndarray, optional
        (n_items, d) vectors by which to measure intra_list_diversity; not measured without.

    Returns
    -------
    Evaluation
        Per user: hit_rate, precision, recall, ndcg, reciprocal_rank, average_precision, novelty
        (bits, by popularity in training) and intra_list_diversity. For the catalogue:
        item_coverage, user_coverage and gini.

    Raises
    ------
    RuntimeError
        If the recommender has not been fitted.
    ValueError
        If it was fitted on other users or items, or on interactions of the part; if no user can be
        evaluated; for an option out of range.

    References
    ----------
    Krichene and Rendle (2020), On sampled metrics for item recommendation: why the catalogue is
    ranked in full.

    Examples
    --------
    >>> from mmtutorial.baselines import Popularity
    >>> from mmtutorial.evaluation.splits import leave_last_out
    >>> from mmtutorial.preprocessing.interactions import Interactions
    >>> taken = [(user, item, time) for user, items in {"ann": "wxyz", "bob": "xwzy"}.items()
    ...          for time, item in enumerate(items)]
    >>> split = leave_last_out(Interactions.of(taken))
    >>> evaluation = evaluate(Popularity().fit(split.train), split, k=1)
    >>> evaluation.per_user["hit_rate"].tolist()
    [1.0, 1.0]
    """
    for name, value in (("k", k), ("block", block), ("n_bootstrap", n_bootstrap)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    if part not in ("test", "validation"):
        raise ValueError(f"part is {part!r}; evaluate on 'test' or 'validation'")
    target = split.test if part == "test" else split.validation
    users = split.test_users if part == "test" else split.validation_users
    if len(users) == 0:
        raise ValueError(f"no user has both a training item and an item in the {part} part")
    if item_vectors is not None and len(item_vectors) != target.n_items:
        raise ValueError(f"item_vectors has {len(item_vectors)} rows for {target.n_items} items")
    _check_fitted(recommender, split, part)

    before = split.train.matrix
    if part == "test":
        before = before + split.validation.matrix
    blocks = np.split(users, range(block, len(users), block))
    ranked = np.concatenate(
        [top_k(recommender.score(rows), k, exclude=before[rows]) for rows in _watched(blocks)]
    )
    relevant = target.matrix[users]
    per_user = {name: metric(ranked, relevant) for name, metric in ACCURACY.items()}
    per_user["novelty"] = novelty(ranked, split.train.matrix.sum(axis=0))
    if item_vectors is not None:
        per_user["intra_list_diversity"] = intra_list_diversity(ranked, item_vectors)
    return Evaluation(
        recommender=recommender.name,
        split=split.name,
        part=part,
        k=k,
        users=users,
        ranked=ranked,
        per_user=pd.DataFrame(per_user, index=pd.Index(users, name="user")),
        catalogue={
            "item_coverage": item_coverage(ranked, target.n_items),
            "user_coverage": user_coverage(ranked, relevant),
            "gini": gini(ranked, target.n_items),
        },
        n_bootstrap=n_bootstrap,
        seed=seed,
    )


def compare(evaluations: Sequence[Evaluation], oracle: Evaluation | None = None) -> pd.DataFrame:
    """Put recommenders side by side: one row each, a column a metric (its mean).

    ``share_of_oracle`` is the mean NDCG divided by the oracle's, where there is an oracle: the one
    given, or else the evaluation whose recommender is named "oracle".

    Raises
    ------
    ValueError
        If there is nothing to compare, or they were not measured on the same users, split and k.

    Examples
    --------
    >>> from mmtutorial.baselines import Popularity, Random
    >>> from mmtutorial.evaluation.splits import leave_last_out
    >>> from mmtutorial.preprocessing.interactions import Interactions
    >>> taken = Interactions.of([("ann", item, time) for time, item in enumerate("wxyz")])
    >>> split = leave_last_out(taken)
    >>> both = [evaluate(each.fit(split.train), split, k=1) for each in (Random(), Popularity())]
    >>> compare(both)["recall"].tolist()
    [1.0, 1.0]
    """
    if not evaluations:
        raise ValueError("compare needs at least one evaluation")
    if oracle is None:
        oracle = next((each for each in evaluations if each.recommender == "oracle"), None)
    first = evaluations[0]
    for each in [*evaluations, *([oracle] if oracle else [])]:
        for name in ("split", "part", "k"):
            if getattr(each, name) != getattr(first, name):
                raise ValueError(
                    f"{each.recommender} was measured with {name} {getattr(each, name)!r}, "
                    f"{first.recommender} with {getattr(first, name)!r}: evaluate both alike"
                )
        if not np.array_equal(each.users, first.users):
            raise ValueError(
                f"{each.recommender} and {first.recommender} were measured on other users: "
                "evaluate both on the same split"
            )
    table = pd.DataFrame(
        [{**each.per_user.mean(), **each.catalogue} for each in evaluations],
        index=pd.Index([each.recommender for each in evaluations], name="recommender"),
    )
    if oracle is not None:
        table["share_of_oracle"] = table["ndcg"] / (oracle.per_user["ndcg"].mean() or np.nan)
    return table


def _check_fitted(recommender: Recommender, split: Split, part: str) -> None:
    """Refuse a recommender that knows other users or items, or has seen what it is tested on."""
    known, target = recommender._fitted(), getattr(split, part)
    for kind in ("users", "items"):
        if not np.array_equal(getattr(known, kind), getattr(target, kind)):
            raise ValueError(
                f"the recommender {recommender.name!r} was fitted on other {kind} than the "
                "split has: fit it on split.train"
            )
    leaked = (known.matrix * target.matrix).nnz
    if leaked:
        raise ValueError(
            f"the recommender {recommender.name!r} was fitted on {leaked} of the {part} part's "
            "user–item pairs: fit it on split.train"
        )


def _watched(blocks: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Show progress if the first block tells that all will take long."""
    start = time.monotonic()
    yield blocks[0]
    rest = blocks[1:]
    if (time.monotonic() - start) * len(rest) > _PATIENCE:
        yield from track(rest, description="Ranking the catalogue", transient=True)
    else:
        yield from rest


def _bootstrap_means(values: np.ndarray, n_bootstrap: int, seed: int) -> np.ndarray:
    """Resample the rows: means (n_bootstrap, columns) of the values that are not NaN."""
    generator = np.random.default_rng(seed)
    n = len(values)
    known = np.isfinite(values)
    both = np.hstack([np.where(known, values, 0.0), known])
    at_a_time = max(1, _RESAMPLED // n)
    totals = []
    for start in range(0, n_bootstrap, at_a_time):
        draws = min(at_a_time, n_bootstrap - start)
        drawn = generator.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n)
        totals.append(weights.astype(np.float64) @ both)
    sums, counts = np.hsplit(np.concatenate(totals), 2)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
