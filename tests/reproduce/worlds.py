"""Results of invented worlds: where a row of the ledger is true, where it is false, and neither."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmtutorial.reproduce.ledger import read_ledger
from mmtutorial.reproduce.levels import DAMAGED, EACH_SEED, LEVELS, REPAIRED
from mmtutorial.reproduce.results import Results
from mmtutorial.reproduce.rules import CATALOGUE

IDS = [
    *("A1", "A2", "A3", "A4", "A5", "A6", "A7", "E1", "E2", "E3", "T1", "T2", "T3"),
    *("S1", "S2", "N1", "M1", "C1", "C2", "C3", "D1", "D2", "P1"),
    *("F1", "F2", "F3", "F4", "R1"),
]
ROWS = {row.id: row for row in read_ledger()}
SINGLES = ("text", "image", "audio")
VALIDATION = {"text": 0.3, "image": 0.2, "audio": 0.1, "EASE": 0.3, "popularity": 0.1}
AWAY = {"true": 0.2, "false": -0.2, "undecided": 0.0}  # from the bound
SEEDS = np.arange(5)
WOBBLE = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 2  # of seeds, around 0
WIDTH = {"true": 0.01, "false": 0.01, "undecided": 0.4}


def world(row: str, truth: str, *, oracle: bool = False) -> Results:
    """Return results that bear on one row: "true", "false", "undecided" or "empty"."""
    measures: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    costs: list[dict[str, Any]] = []
    quoted: list[dict[str, Any]] = []
    for rule in ROWS[row].rule if truth != "empty" else ():
        kind = rule["kind"]
        if kind == "gain":
            measures += list(_chosen(rule))
            for part in (comparisons, measures):
                part += list(_gains(rule, truth, by_seed=part is measures))
        elif kind == "seeds":
            for dataset in LEVELS["fusions"].datasets:
                measures += list(_seeds(dataset, rule, truth))
        elif kind == "share":
            measures += list(_shares(rule, truth))
        elif kind == "loss":
            comparisons += list(_losses(rule, truth))
        elif kind == "cost":
            costs += list(_costs(rule, truth))
        elif kind == "compression":
            costs += list(_served(rule))
            comparisons += list(_compressed(rule, truth))
        elif kind == "several tasks":
            measures += list(_validated(rule))
            comparisons += list(_tasks(rule, truth))
        else:
            quoted += list(_quotes(rule, truth))
    if oracle:
        measures += [
            _measured(name, "baselines", "oracle", metric, seed, value + 0.001 * seed)
            for name in LEVELS["listing"].datasets
            for metric, value in (("item_coverage", 0.9), ("gini", 0.1))
            for seed in SEEDS
        ]
    columns = ["dataset", "experiment", "recommender", "fusion", "modalities", "condition", "split",
               "metric", "k", "seed", "value"]  # fmt: skip
    return Results(
        pd.DataFrame(measures, columns=columns).drop_duplicates(columns[:-1]),
        pd.DataFrame(comparisons),
        pd.DataFrame(costs),
        pd.DataFrame(quoted, columns=["dataset", "profile", "seed", "notebook", "name", "value"]),
        {},
    )


def _measured(
    dataset: str, experiment: str, recommender: str, metric: str, seed: int, value: float,
    split: str = "default", k: int = 10,
) -> dict[str, Any]:  # fmt: skip
    single = recommender in SINGLES
    return {
        "dataset": dataset, "experiment": experiment, "recommender": recommender,
        "fusion": "concatenation" if recommender == "concatenation" else "",
        "modalities": recommender if single else "text + image + audio", "condition": "",
        "split": split, "metric": metric, "k": k, "seed": int(seed), "value": value,
    }  # fmt: skip


def _chosen(rule: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what single modalities and baselines reached on validation."""
    for level in rule["levels"]:
        for dataset in LEVELS[level].datasets:
            for name, value in VALIDATION.items():
                experiment = level if name in SINGLES else "baselines"
                for split in ("validation", "default"):
                    yield _measured(dataset, experiment, name, "ndcg", 0, value, split)


def _gains(rule: Mapping[str, Any], truth: str, *, by_seed: bool) -> Iterator[dict[str, Any]]:
    """Yield comparisons, or the values of seeds where a measure is one of all lists."""
    bound = rule["at_least"]
    reference = rule["reference"]
    reference = "text" if reference == "best single" else reference
    reference = "EASE" if isinstance(reference, list) else reference
    for level in rule["levels"]:
        for dataset in LEVELS[level].datasets:
            for metric in {each for some in rule["readings"].values() for each in some}:
                if (metric in CATALOGUE) == by_seed:
                    if by_seed:
                        yield from _seed_gains(dataset, level, reference, metric, bound, truth)
                    else:
                        yield _comparison(
                            dataset, level, rule["candidate"], reference, metric,
                            bound + AWAY[truth], WIDTH[truth],
                        )  # fmt: skip


def _seed_gains(
    dataset: str, level: str, reference: str, metric: str, bound: float, truth: str
) -> Iterator[dict[str, Any]]:
    sign = -1 if metric == "gini" else 1  # more even is better
    values = 0.5 * (1 + sign * (bound + AWAY[truth]) + WIDTH[truth] * WOBBLE)
    for seed, value in zip(SEEDS, values, strict=True):
        yield _measured(dataset, level, "concatenation", metric, seed, float(value))
        yield _measured(dataset, level, reference, metric, seed, 0.5)


def _seeds(dataset: str, rule: Mapping[str, Any], truth: str) -> Iterator[dict[str, Any]]:
    values = 0.5 * (1 + AWAY[truth] + WIDTH[truth] * WOBBLE)
    for name, some in ((rule["candidate"], values), (rule["reference"], 0.5 + 0 * values)):
        for seed, value in zip(SEEDS, some, strict=True):
            about = (dataset, rule["experiment"], name, rule["metric"], seed, float(value))
            yield _measured(*about, rule["split"], rule["k"])


def _shares(rule: Mapping[str, Any], truth: str) -> Iterator[dict[str, Any]]:
    """Yield shares by seed on either side of the bound, and a half by chance."""
    values = rule["at_least"] + AWAY[truth] / 2 + WIDTH[truth] * WOBBLE / 4
    for name in rule["recommenders"]:
        for seed, value in zip(SEEDS, values, strict=True):
            about = ("shop", rule["experiment"], name)
            yield _measured(*about, rule["metric"], seed, float(value))
            yield _measured(*about, rule["chance"], seed, 0.5)


def _comparison(
    dataset: str, experiment: str, ours: str, theirs: str, metric: str, gain: float, width: float,
    condition: str = "",
) -> dict[str, Any]:  # fmt: skip
    return {
        "dataset": dataset, "experiment": experiment, "recommender": ours, "reference": theirs,
        "condition": condition, "metric": metric, "k": 10, "relative_gain": gain,
        "relative_low": gain - width, "relative_high": gain + width, "n_seeds": 5, "freedom": 50.0,
    }  # fmt: skip


def _losses(rule: Mapping[str, Any], truth: str) -> Iterator[dict[str, Any]]:
    """Yield losses, or gains of a repair: in one modality where the row is true, else in none."""
    damage = rule.get("damage", "absent")
    repaired = damage == REPAIRED
    ours, theirs = (
        (REPAIRED, "concatenation, mispaired") if repaired else ("damaged", "concatenation")
    )
    gains = {"true": {"text": 0.3 if repaired else -0.3}, "false": {}, "undecided": {}}[truth]
    for experiment in rule["levels"]:
        for dataset in LEVELS[DAMAGED[experiment]].datasets:
            for name in SINGLES:
                about = {"damage": damage, "damaged": name, "level": 0.5, "draw": EACH_SEED}
                yield _comparison(
                    dataset, experiment, ours, theirs, "ndcg", gains.get(name, 0.0),
                    0.1 if truth == "undecided" else 0.005, json.dumps(about),
                )  # fmt: skip


def _costs(rule: Mapping[str, Any], truth: str) -> Iterator[dict[str, Any]]:
    """Yield costs against three modalities, each a little noisier than nothing."""
    factor = 1 + rule["at_least"] + AWAY[truth]
    for experiment in rule["experiments"]:
        for dataset in LEVELS["listing"].datasets:
            for name in (*SINGLES, "concatenation"):
                for seed, noise in zip(SEEDS, WIDTH[truth] * WOBBLE, strict=True):
                    cost = 1.0 if name in SINGLES else factor + float(noise)
                    counted = 1.0 if name in SINGLES else factor
                    yield {
                        "dataset": dataset, "experiment": experiment, "recommender": name,
                        "modalities": name if name in SINGLES else "text + image + audio",
                        "seed": int(seed), "seconds": 10 * cost, "epochs": 10,
                        "operations": counted, "memory": cost,
                    }  # fmt: skip


def _served(rule: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield bytes and times well beyond the bars, of two arms, and those of the whole tower."""
    factor = {"uncompressed": 1.0, "int8": 2 * rule["smaller"], "signs": 4 * rule["smaller"]}
    for dataset in rule["datasets"]:
        for name, times in factor.items():
            for seed, noise in zip(SEEDS, 0.01 * WOBBLE, strict=True):
                yield {
                    "dataset": dataset, "experiment": "compression", "recommender": name,
                    "seed": int(seed), "bytes": 1e6 / times, "serving_memory": 1e8,
                    "start_seconds": 1.0, "user_ms": (1 + float(noise)) / times, "item_ms": 1.0,
                }  # fmt: skip


def _compressed(rule: Mapping[str, Any], truth: str) -> Iterator[dict[str, Any]]:
    """Yield losses: of one arm where the row is true, of both where it is false."""
    gain = {"true": 0.0, "false": -0.2, "undecided": 0.0}[truth]
    width = {"true": 0.001, "false": 0.01, "undecided": 0.4}[truth]
    for dataset in rule["datasets"]:
        for name, its in {"int8": gain, "signs": min(gain, -0.2) if width < 0.4 else 0.0}.items():
            yield _comparison(
                dataset, "compression", name, "uncompressed", "ndcg", its, width
            )  # fmt: skip


def _validated(rule: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what candidates reached on validation: the second is the best."""
    for dataset in rule["datasets"]:
        for condition in rule["cases"].values():
            for value, name in zip((0.1, 0.3, 0.2), rule["candidates"], strict=True):
                row = _measured(dataset, "several tasks", name, "ndcg", 0, value, "validation")
                yield {**row, "condition": json.dumps(condition)}


def _tasks(rule: Mapping[str, Any], truth: str) -> Iterator[dict[str, Any]]:
    """Yield gains of the candidates; those that were not chosen say the opposite."""
    for dataset in rule["datasets"]:
        for condition in rule["cases"].values():
            for sign, name in zip((-1, 1, -1), rule["candidates"], strict=True):
                yield _comparison(
                    dataset, "several tasks", name, "recommending alone", "ndcg",
                    sign * AWAY[truth], WIDTH[truth], json.dumps(condition),
                )  # fmt: skip


def _quotes(rule: Mapping[str, Any], truth: str) -> Iterator[dict[str, Any]]:
    """Yield numbers of chapters on either side of each bound, or at it."""
    values: dict[str, str] = {}
    for each in rule["conditions"]:
        if each.get("interval"):
            middle = each["above"] + AWAY[truth]
            low, high = middle - WIDTH[truth], middle + WIDTH[truth]
            values[each["name"]] = f"{middle:.3f} ms [{low:.3f}, {high:.3f}]"
        else:
            values |= {name: repr(float(value)) for name, value in _values(each, truth).items()}
    for dataset in ("shop", "garments"):
        for name, value in values.items():
            yield {
                "dataset": dataset, "profile": "full", "seed": 0, "notebook": rule["chapter"],
                "name": name, "value": value,
            }  # fmt: skip


def _values(condition: Mapping[str, Any], truth: str) -> dict[str, float]:
    how = next(each for each in ("above", "below", "equals") if each in condition)
    side = AWAY[truth] * (-1 if how == "below" else 1)
    other, size = condition.get("than"), condition.get("n")
    bound = 0.5 if other else float(condition[how])
    found = {other: bound} if other else {}
    found |= {size: 1000.0} if size else {}
    if how == "equals":
        off = {"true": 0.0, "false": 1.0, "undecided": 1e-6}[truth]
        return found | {condition["name"]: bound + off}
    far = max(0.2 if other else abs(bound), 2 * condition.get("margin", 0.0))
    return found | {condition["name"]: bound + np.sign(side) * far}
