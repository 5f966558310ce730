"""Choose a recommender's options on the validation part, the baselines' as carefully as ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd
from rich.progress import track

from mmtutorial.evaluation.full_ranking import evaluate
from mmtutorial.evaluation.splits import Split
from mmtutorial.metrics import ACCURACY
from mmtutorial.recommenders.base import Features, Recommender

_PATIENCE = 5.0  # seconds; what takes longer shows its progress


def tune(
    make: Callable[..., Recommender],
    grid: Mapping[str, Sequence[Any]],
    split: Split,
    features: Features | None = None,
    metric: str = "ndcg",
    k: int = 10,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Fit every combination of options, and choose the best by the validation part alone.

    Parameters
    ----------
    make : callable
        Takes the options as keywords and returns a recommender that is not yet fitted: its class,
        or a function that fixes further options.
    grid : mapping
        Option to the values to try.
    split : Split
        Its test part is never looked at.
    features : mapping, optional
        For ``fit``.
    metric : str
        An accuracy metric of `evaluate`: larger is better.
    k : int
        Length of the lists.

    Returns
    -------
    best : dict
        The chosen options; the first in the grid's order where several are equally good.
    table : DataFrame
        One row a combination, in the grid's order: the options, then the validation means of all
        accuracy metrics.

    Raises
    ------
    ValueError
        If the metric is unknown, an option has no value to try, or an option is named like a
        metric.

    References
    ----------
    Ferrari Dacrema, Cremonesi and Jannach (2019), Are we really making much progress? A worrying
    analysis of recent neural recommendation approaches: most of the progress that they checked
    vanished beside baselines that somebody had tuned.

    Examples
    --------
    >>> from mmtutorial.recommenders import ItemKNN
    >>> from mmtutorial.evaluation.splits import leave_last_out
    >>> from mmtutorial.interactions import Interactions
    >>> taken = [(user, item, time) for user, items in {"ann": "vwxyz", "bob": "vwxzy"}.items()
    ...          for time, item in enumerate(items)]
    >>> best, table = tune(ItemKNN, {"k": [1, 2]}, leave_last_out(Interactions.of(taken)), k=1)
    >>> best, table[["k", "ndcg"]].to_numpy().tolist()
    ({'k': 1}, [[1.0, 0.5], [2.0, 0.5]])
    """
    if metric not in ACCURACY:
        raise ValueError(f"metric is {metric!r}; choose by one of {', '.join(ACCURACY)}")
    for name, values in grid.items():
        if name in ACCURACY:
            raise ValueError(f"the option {name!r} is named like a metric")
        if not len(values):
            raise ValueError(f"grid[{name!r}] is empty: give at least one value to try")
    tried = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    rows = []
    for options in _watched(tried):
        recommender = make(**options).fit(split.train, features, split.validation)
        found = evaluate(recommender, split, k=k, part="validation").per_user[list(ACCURACY)]
        rows.append({**options, **found.mean()})
    table = pd.DataFrame(rows)
    return tried[int(table[metric].to_numpy().argmax())], table


def _watched(tried: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Show progress if the first one tells that all will take long."""
    started = time.monotonic()
    yield tried[0]
    rest = tried[1:]
    if (time.monotonic() - started) * len(rest) > _PATIENCE:
        yield from track(rest, description="Trying options", transient=True)
    else:
        yield from rest
