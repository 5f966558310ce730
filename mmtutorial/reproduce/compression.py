"""The rule on compression: smaller, faster, and as good, each by what was measured on saved files.

An arm of the experiment is one way to save a fitted two-tower. It shows the statement where all
three bars are passed, and contradicts it where one of them is significantly missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmtutorial.reproduce.findings import CONTRADICTED, UNDECIDED, Comparison, Finding, Part
from mmtutorial.reproduce.levels import command
from mmtutorial.reproduce.results import Results
from mmtutorial.reproduce.rules import interval_of, over_seeds, percent, student
from mmtutorial.reproduce.tasks import COMPRESSION, SERVED, UNCOMPRESSED


def judged(rule: Mapping[str, Any], results: Results) -> list[Part]:
    """Hold every arm against ``smaller``, ``faster`` and ``at_least``; one arm a data set suffices.

    ``smaller`` times fewer bytes on disk, ``faster`` times fewer milliseconds a list, and a gain in
    NDCG significantly above ``at_least``, which is below 0. Bytes are counted; the other two have
    intervals, and an arm's p is the largest of both (intersection-union test).
    """
    pieces: list[Comparison | Finding] = []
    lacking = []
    for dataset in rule["datasets"]:
        found = list(_arms(rule, results, dataset))
        pieces += found
        lacking += [] if found else [dataset]
    remedy = command(COMPRESSION, lacking)
    return [Part("", COMPRESSION, True, tuple(pieces), tuple(lacking), remedy, any_of=True)]


def _arms(
    rule: Mapping[str, Any], results: Results, dataset: str
) -> Iterator[Comparison | Finding]:
    table = results.costs
    if table.empty or "bytes" not in table:
        return
    table = table[table["dataset"].eq(dataset) & table["experiment"].eq(COMPRESSION)]
    by_arm = {name: rows.set_index("seed") for name, rows in table.groupby("recommender")}
    whole = by_arm.pop(UNCOMPRESSED, None)
    for name, rows in by_arm.items():
        gain = interval_of(results, dataset, COMPRESSION, str(name), UNCOMPRESSED, "ndcg")
        speed = None if whole is None else over_seeds(whole["user_ms"], rows["user_ms"])
        if whole is not None and gain is not None and speed is not None:
            fewer = float((whole["bytes"] / rows["bytes"]).mean())
            yield _arm(rule, dataset, str(name), fewer, speed, gain)


def _arm(
    rule: Mapping[str, Any],
    dataset: str,
    name: str,
    fewer: float,
    speed: tuple[float, float, float, float],
    gain: tuple[float, float, float, float],
) -> Comparison | Finding:
    text = (
        f"{name}: {fewer:.1f} times smaller, {1 + speed[0]:.1f} times faster "
        f"[{1 + speed[1]:.1f}, {1 + speed[2]:.1f}], NDCG@10 {percent(gain[0])} "
        f"[{percent(gain[1])}, {percent(gain[2])}]"
    )
    if not fewer >= rule["smaller"]:
        return Finding(dataset, text, CONTRADICTED)
    tests = [
        student(dataset, text, speed, rule["faster"] - 1),
        student(dataset, text, gain, rule["at_least"]),
    ]
    compared = [each for each in tests if isinstance(each, Comparison)]
    if len(compared) < len(tests):
        return Finding(dataset, f"{text} (one seed: nothing is decided)", UNDECIDED)
    missed = min(1.0, len(tests) * min(each.p_contradicted for each in compared))
    return Comparison(dataset, text, max(each.p_shown for each in compared), missed)


def costs_by_arm(costs: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return the means over seeds of what was measured on saved files, a row an arm.

    Parameters
    ----------
    costs : DataFrame
        The table "costs" of results.
    dataset : str
        As the table names it.

    Returns
    -------
    DataFrame
        Columns `SERVED`, index recommender; empty where nothing of the kind was measured.

    Examples
    --------
    >>> costs_by_arm(pd.DataFrame(), "shop").empty
    True
    """
    if costs.empty or not set(SERVED) <= set(costs):
        return pd.DataFrame(columns=SERVED, dtype=np.float64)
    rows = costs[costs["dataset"].eq(dataset) & costs["experiment"].eq(COMPRESSION)]
    return rows.groupby("recommender", sort=False)[list(SERVED)].mean()
