"""The rule on several tasks: what is learnt beside recommending helps, or does not.

Each case (a share of the interactions, or items held back) has its own verdict. In each, the tower
that learns all tasks is compared with the one that learns to recommend alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmtutorial.reproduce.findings import PRINTED, Comparison, Finding, Part
from mmtutorial.reproduce.levels import command
from mmtutorial.reproduce.results import Results
from mmtutorial.reproduce.rules import compared, percent, student
from mmtutorial.reproduce.tasks import ONE_TASK, SEVERAL


def judged(rule: Mapping[str, Any], results: Results) -> list[Part]:
    """Judge each of the rule's ``cases``; it is shown where NDCG rises on every data set.

    The candidate is the best of ``candidates`` by the validation part, on each data set and in each
    case. It contradicts the statement where its gain is significantly below ``negligible``. What
    single tasks do is printed.
    """
    table = results.comparisons
    if len(table):
        rows = table["experiment"].eq(SEVERAL) & table["metric"].eq("ndcg")
        table = table[rows & table["reference"].eq(ONE_TASK)]
    parts = []
    for name, condition in rule["cases"].items():
        pieces: list[Comparison | Finding] = []
        lacking = []
        for dataset in rule["datasets"]:
            found = _of_dataset(rule, results, table, dataset, condition)
            pieces += found
            lacking += [] if found else [dataset]
        remedy = command(SEVERAL, lacking)
        parts.append(Part(name, SEVERAL, True, tuple(pieces), tuple(lacking), remedy))
    return parts


def chosen(
    results: Results, dataset: str, candidates: list[str], condition: Mapping[str, Any]
) -> str | None:
    """Name the candidate of the highest mean validation NDCG in a case; None where none is there.

    >>> chosen(Results(*[pd.DataFrame()] * 4, {}), "shop", ["with kind"], {}) is None
    True
    """
    table = results.measures
    if table.empty:
        return None
    rows = table[
        table["dataset"].eq(dataset) & table["experiment"].eq(SEVERAL)
        & table["split"].eq("validation") & table["metric"].eq("ndcg")
        & table["recommender"].isin(candidates)
    ]  # fmt: skip
    rows = rows[_same(rows["condition"], condition)]
    means = rows.groupby("recommender")["value"].mean()
    return None if means.empty else str(means.idxmax())


def _of_dataset(
    rule: Mapping[str, Any],
    results: Results,
    table: pd.DataFrame,
    dataset: str,
    condition: Mapping[str, Any],
) -> list[Comparison | Finding]:
    best = chosen(results, dataset, rule["candidates"], condition)
    if best is None or table.empty:
        return []
    here = table[table["dataset"].eq(dataset)]
    here = here[_same(here["condition"], condition)]
    found: list[Comparison | Finding] = []
    for _, row in here.iterrows():
        interval = compared(row)
        gain, low, high, _ = interval
        text = f"NDCG@{row['k']}, {row['recommender']} against {ONE_TASK}: {percent(gain)}"
        text += f" [{percent(low)}, {percent(high)}]" if np.isfinite(low) else ""
        if row["recommender"] == best:
            found.insert(0, student(dataset, text, interval, 0.0, rule["negligible"]))
        else:
            found.append(Finding(dataset, text, PRINTED))
    return found if here["recommender"].eq(best).any() else []


def _same(conditions: pd.Series, wanted: Mapping[str, Any]) -> np.ndarray:
    """Say which rows are of a case: bool, one a row."""
    return np.array([json.loads(each or "{}") == dict(wanted) for each in conditions], bool)
