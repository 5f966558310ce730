"""Measure a recommender on a split: every user, the whole catalogue, with intervals."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from rich.progress import track
from scipy import sparse

from mmtutorial.evaluation.splits import Split
from mmtutorial.interactions import Interactions
from mmtutorial.metrics import (
    ACCURACY,
    gini,
    intra_list_diversity,
    item_coverage,
    novelty,
    user_coverage,
)
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.ranking import top_k

_PATIENCE = 5.0  # seconds; what takes longer shows its progress
_RESAMPLED = 2**22  # users drawn at a time by the bootstrap: bounds memory
EARLIER = ("train", "validation")  # what may be left out of the lists


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
    excluded : tuple of str
        Parts whose items were left out of the lists.
    relevant_items, candidates : ndarray or None
        bool (n_items,): the only items that counted as relevant, that competed; None for all.
    """

    recommender: str
    split: str
    part: str
    k: int
    users: np.ndarray
    ranked: np.ndarray
    per_user: pd.DataFrame
    catalogue: dict[str, float]
    excluded: tuple[str, ...] = EARLIER
    relevant_items: np.ndarray | None = None
    candidates: np.ndarray | None = None

    def summary(self, n_bootstrap: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Return each metric's mean and 95 % interval: columns mean, low, high.

        The intervals are percentiles of the bootstrap over users (Efron 1979), ``n_bootstrap``
        resamples of the users with replacement. They say how much depends on which users were
        met, not on the recommender's own random seed. The same seed gives the same numbers.

        item_coverage and gini have no interval (NaN): they are no means over users, and a drawn
        set of users holds only about 63 % different ones, whose lists cover less of the catalogue
        than all lists do. Raises ValueError for fewer than one resample.
        """
        if n_bootstrap < 1:
            raise ValueError(f"n_bootstrap is {n_bootstrap}; it must be at least 1")
        values = self.per_user.to_numpy()
        means = bootstrap_means(values, n_bootstrap, seed)
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
    exclude: Collection[str] = EARLIER,
    relevant_items: np.ndarray | None = None,
    candidates: np.ndarray | None = None,
    block: int = 1024,
    item_vectors: np.ndarray | None = None,
) -> Evaluation:
    """Rank the whole catalogue for every user, and measure the first k places.

    What the user took before is left out of the lists: training items, and for the test the
    validation items too. All other items compete, those without a training interaction included.
    Users without a relevant item in the part, or without one in training, are not evaluated. Users
    are scored in blocks, so that memory does not grow with users × items.

    To measure cold and warm items apart, give the cold ones (`cold_items`) as ``relevant_items``:
    they are looked for in lists over the whole catalogue. As ``candidates``, they compete with each
    other alone: a question that no shop asks, but it tells what is known about them.

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
    exclude : collection of {"train", "validation"}
        Parts whose items are left out of a user's list; the part that is evaluated never is. Some
        toolboxes, MMRec among them, leave out training items only, and their test is harder: in it
        the validation items take up places.
    relevant_items : ndarray, optional
        bool (n_items,): no other item counts as relevant.
    candidates : ndarray, optional
        bool (n_items,): no other item is ranked, nor relevant; item_coverage and gini are then over
        these.
    block : int
        Users scored at a time; the numbers do not depend on it.
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
        evaluated; for an option out of range or of another shape.

    References
    ----------
    Krichene and Rendle (2020), On sampled metrics for item recommendation: why the catalogue is
    ranked in full.

    Examples
    --------
    >>> from mmtutorial.recommenders import Popularity
    >>> from mmtutorial.evaluation.splits import leave_last_out
    >>> from mmtutorial.interactions import Interactions
    >>> taken = [(user, item, time) for user, items in {"ann": "wxyz", "bob": "xwzy"}.items()
    ...          for time, item in enumerate(items)]
    >>> split = leave_last_out(Interactions.of(taken))
    >>> evaluation = evaluate(Popularity().fit(split.train), split, k=1)
    >>> evaluation.per_user["hit_rate"].tolist()
    [1.0, 1.0]
    """
    _check_request(k, block, part, exclude)
    excluded = tuple(name for name in EARLIER if name in exclude and name != part)
    target = split.test if part == "test" else split.validation
    relevant_items = _checked_mask(relevant_items, target.n_items, "relevant_items")
    candidates = _checked_mask(candidates, target.n_items, "candidates")
    counted = np.ones(target.n_items, dtype=bool)
    for mask in (relevant_items, candidates):
        counted &= True if mask is None else mask
    users, relevant = relevant_to(split, part, counted)
    if item_vectors is not None and len(item_vectors) != target.n_items:
        raise ValueError(f"item_vectors has {len(item_vectors)} rows for {target.n_items} items")
    check_fitted(recommender, split, part)

    before = taken_before(split, excluded)
    blocks = np.split(users, range(block, len(users), block))
    ranked = np.concatenate(
        [
            top_k(_of_candidates(recommender.score(rows), candidates), k, exclude=before[rows])
            for rows in with_progress(blocks)
        ]
    )
    per_user = {name: metric(ranked, relevant) for name, metric in ACCURACY.items()}
    per_user["novelty"] = novelty(ranked, split.train.matrix.sum(axis=0))
    if item_vectors is not None:
        per_user["intra_list_diversity"] = intra_list_diversity(ranked, item_vectors)
    places, n_places = ranked, target.n_items
    if candidates is not None:  # number the candidates from 0
        n_places = int(candidates.sum())
        places = np.where(ranked >= 0, (np.cumsum(candidates) - 1)[ranked], -1)
    return Evaluation(
        recommender=recommender.name,
        split=split.name,
        part=part,
        k=k,
        users=users,
        ranked=ranked,
        per_user=pd.DataFrame(per_user, index=pd.Index(users, name="user")),
        catalogue={
            "item_coverage": item_coverage(places, n_places),
            "user_coverage": user_coverage(ranked, relevant),
            "gini": gini(places, n_places),
        },
        excluded=excluded,
        relevant_items=relevant_items,
        candidates=candidates,
    )


def compare(evaluations: Sequence[Evaluation], oracle: Evaluation | None = None) -> pd.DataFrame:
    """Put recommenders side by side: one row each, a column a metric (its mean).

    ``share_of_oracle`` is the mean NDCG divided by the oracle's, where there is an oracle: the one
    given, or else the evaluation whose recommender is named "oracle".

    Raises
    ------
    ValueError
        If there is nothing to compare, or they were not measured alike: on the same users, split,
        part, k, with the same items left out, relevant and competing.

    Examples
    --------
    >>> from mmtutorial.recommenders import Popularity, Random
    >>> from mmtutorial.evaluation.splits import leave_last_out
    >>> from mmtutorial.interactions import Interactions
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
    check_alike([*evaluations, *([oracle] if oracle else [])])
    table = pd.DataFrame(
        [{**each.per_user.mean(), **each.catalogue} for each in evaluations],
        index=pd.Index([each.recommender for each in evaluations], name="recommender"),
    )
    if oracle is not None:
        table["share_of_oracle"] = table["ndcg"] / (oracle.per_user["ndcg"].mean() or np.nan)
    return table


def check_alike(evaluations: Sequence[Evaluation], *, same_users: bool = True) -> None:
    """Refuse to put evaluations side by side that were not measured alike; the message says how."""
    first = evaluations[0]
    for each in evaluations[1:]:
        for name in ("split", "part", "k", "excluded"):
            if getattr(each, name) != getattr(first, name):
                raise ValueError(
                    f"{each.recommender} was measured with {name} {getattr(each, name)!r}, "
                    f"{first.recommender} with {getattr(first, name)!r}: evaluate both alike"
                )
        for name in ("relevant_items", "candidates"):
            mask, other = getattr(each, name), getattr(first, name)
            if same_users and not (mask is other or np.array_equal(mask, other)):
                raise ValueError(
                    f"{each.recommender} and {first.recommender} were measured with other "
                    f"{name}: evaluate both alike"
                )
        if same_users and not np.array_equal(each.users, first.users):
            raise ValueError(
                f"{each.recommender} and {first.recommender} were measured on other users: "
                "evaluate both on the same split"
            )


def relevant_to(
    split: Split, part: str, counted: np.ndarray | None = None
) -> tuple[np.ndarray, sparse.csr_array]:
    """Return whom a part evaluates, and what is relevant to them.

    Returns int (n,), the rows of the users with a training item and a relevant item in the part,
    and float32 csr (n, n_items), 1 where relevant. ``counted``, bool (n_items,), says which items
    can be relevant at all. Raises ValueError if nobody is left.
    """
    users: np.ndarray = getattr(split, f"{part}_users")
    interactions: Interactions = getattr(split, part)
    relevant = interactions.matrix[users]
    if counted is not None and not counted.all():
        relevant.data *= counted[relevant.indices]
        relevant.eliminate_zeros()
        kept = np.flatnonzero(np.diff(relevant.indptr))
        users, relevant = users[kept], relevant[kept]
    if len(users) == 0:
        raise ValueError(f"no user has both a training item and a relevant item in the {part} part")
    return users, relevant


def taken_before(split: Split, parts: Collection[str]) -> sparse.csr_array:
    """Return what users took in these parts: csr (n_users, n_items), nonzero where taken."""
    none: Any = sparse.csr_array((split.train.n_users, split.train.n_items), dtype=np.float32)
    found: sparse.csr_array = sum((getattr(split, name).matrix for name in parts), none)
    return found


def _check_request(k: int, block: int, part: str, exclude: Collection[str]) -> None:
    """Refuse options out of range."""
    for name, value in (("k", k), ("block", block)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    if part not in ("test", "validation"):
        raise ValueError(f"part is {part!r}; evaluate on 'test' or 'validation'")
    unknown = [name for name in exclude if name not in EARLIER]
    if unknown:
        raise ValueError(f"exclude names {unknown[0]!r}; the parts to leave out are {EARLIER}")


def _checked_mask(mask: np.ndarray | None, n_items: int, name: str) -> np.ndarray | None:
    """Refuse what does not say yes or no of every item."""
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (n_items,):
        raise ValueError(
            f"{name} is {mask.dtype} {mask.shape}: it must be bool ({n_items},), one entry an item"
        )
    return mask


def _of_candidates(scores: np.ndarray, candidates: np.ndarray | None) -> np.ndarray:
    """Let no other item compete."""
    return scores if candidates is None else np.where(candidates, scores, -np.inf)


def check_fitted(recommender: Recommender, split: Split, part: str) -> None:
    """Refuse a recommender that knows other users or items, or has seen what it is tested on."""
    known, target = recommender.train, getattr(split, part)
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


def with_progress(blocks: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Show progress if the first block tells that all will take long."""
    start = time.monotonic()
    yield blocks[0]
    rest = blocks[1:]
    if (time.monotonic() - start) * len(rest) > _PATIENCE:
        yield from track(rest, description="Ranking the catalogue", transient=True)
    else:
        yield from rest


def bootstrap_means(values: np.ndarray, n_bootstrap: int, seed: int) -> np.ndarray:
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
    found: np.ndarray = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return found
