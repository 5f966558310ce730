"""Results as tidy tables, one row a measure, with versions and machine beside them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mmtutorial
from mmtutorial.reproduce.cache import write
from mmtutorial.reproduce.levels import (
    DAMAGED,
    LEVELS,
    MISPAIRED,
    REPAIRED,
    SIMPLE,
    TOWERS,
)
from mmtutorial.reproduce.tasks import (
    AMONG_COLD,
    COLD,
    COMPRESSION,
    ONE_TASK,
    SERVED,
    SEVERAL,
    UNCOMPRESSED,
    Outcome,
)
from mmtutorial.storage.digests import PACKAGE, code_digest
from mmtutorial.storage.files import expanded

COMPARED = (
    "hit_rate", "ndcg", "item_coverage", "user_coverage", "gini", "intra_list_diversity",
    "diversity_text", "diversity_image", "diversity_audio", "capped_recall",
)  # fmt: skip
ALONE = ("popularity", "random")  # that a level brings along where its baselines are elsewhere
KEY_MEASURES = ("hit_rate", "ndcg", "item_coverage")  # held against their bands
VERSIONS = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "tensorflow",
    "keras",
    "keras-rs",
    "librosa",
)
TABLES = ("measures", "comparisons", "costs", "quoted")
_ORDER = (
    "dataset", "experiment", "recommender", "fusion", "modalities", "condition", "split",
    "reference", "metric", "k", "seed", "profile", "notebook", "name",
)  # fmt: skip
_ID = ["dataset", "experiment", "recommender", "fusion", "modalities", "condition", "split"]


@dataclass(frozen=True, eq=False)
class Results:
    """What was found, as four tables.

    Parameters
    ----------
    measures : DataFrame
        dataset, experiment, recommender, fusion, modalities, condition (JSON), split, metric, k,
        seed, value, at_popularity (whether the run ended at popularity's level: its NDCG is not
        significantly higher, for the same users; empty in tables of older runs). split is "default"
        where the data set's own was taken; the measure "ndcg" of "validation" is what settings may
        be chosen by.
    comparisons : DataFrame
        dataset, experiment, recommender, reference, metric, k, mean, reference_mean,
        relative_gain, relative_low, relative_high, p, freedom (of the relative interval; empty in
        tables of older runs), p_holm, n_users, n_seeds, over, condition: paired over the same users
        and seeds.
    costs : DataFrame
        dataset, experiment, recommender, fusion, modalities, condition, seed, seconds, epochs,
        parameters, operations (floating-point, an item), memory (bytes, at most while it learnt;
        empty where the system does not tell); where saved files were served from, in "compression",
        bytes (on disk), serving_memory, start_seconds, user_ms, item_ms
        (`mmtutorial.reproduce.serving.served`).
    quoted : DataFrame
        dataset, profile, seed, notebook, name, value: what the chapters measured.
    environment : dict
        "profile", and "runs": of each run its commit, versions, processor and threads, and in
        "measured" the experiments and notebooks that it measured by data set.
    """

    measures: pd.DataFrame
    comparisons: pd.DataFrame
    costs: pd.DataFrame
    quoted: pd.DataFrame
    environment: dict[str, Any]

    def save(self, folder: str | Path) -> Path:
        """Write the tables as CSV and the environment as JSON, each in full or not at all.

        Results that lie there are replaced. Raises ValueError where other files have their names.
        """
        folder = expanded(folder)
        check_results(folder)
        for name in TABLES:
            table: pd.DataFrame = getattr(self, name)
            text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
            write(folder / f"{name}.csv", text)
        about = json.dumps(self.environment, indent=2, sort_keys=True, ensure_ascii=False)
        write(folder / "environment.json", about + "\n")
        return folder

    def renewed(self, new: Results) -> Results:
        """Return these results with another run's in place of what it has measured anew.

        Raises
        ------
        ValueError
            If the profiles differ, or the new run has some of a data set's levels of towers and
            baselines, which are compared with each other, but not all that are here, and what all
            of them share (the baselines, and the tower of ids alone) has other numbers.
        """
        profiles = {each.environment.get("profile") for each in (self, new)}
        if len(profiles) > 1:
            raise ValueError(f"results of the profiles {sorted(map(str, profiles))} do not mix")
        again, before = _measured(new), _measured(self)
        for dataset, experiments in again.items():
            compared = {"baselines", *TOWERS}
            there, here = (compared & {*each} for each in (before.get(dataset, ()), experiments))
            if here and there - here and not _same_shared(self, new, dataset):
                raise ValueError(
                    f"the towers and the baselines of {dataset} are compared with each other: "
                    f"measure {', '.join(sorted(there - here))} too, with --only for each"
                )
        tables = {}
        for name in TABLES:
            old: pd.DataFrame = getattr(self, name)
            if len(old):
                kinds = old["experiment"] if "experiment" in old else old["notebook"]
                stays = [
                    kind not in again.get(dataset, ())
                    for dataset, kind in zip(old["dataset"], kinds, strict=True)
                ]
                old = old[stays]
            both = [each for each in (old, getattr(new, name)) if len(each)]
            table = pd.concat(both, ignore_index=True) if both else old
            by = [each for each in table.columns if each in _ORDER]
            tables[name] = table.sort_values(by, ignore_index=True, kind="stable")
        runs = []
        for run in self.environment.get("runs", []):
            left = {
                dataset: [each for each in experiments if each not in again.get(dataset, ())]
                for dataset, experiments in run["measured"].items()
            }
            left = {dataset: experiments for dataset, experiments in left.items() if experiments}
            runs += [{**run, "measured": left}] if left else []
        about = {**self.environment, "runs": _joined([*runs, *new.environment["runs"]])}
        return Results(**tables, environment=about)

    @classmethod
    def open(cls, folder: str | Path) -> Results:
        """Read what `save` wrote; a table that is missing is empty.

        Raises
        ------
        ValueError
            If the folder holds no results.
        """
        folder = expanded(folder)
        if not (folder / "measures.csv").exists():
            raise ValueError(
                f"{folder} holds no results (no measures.csv): run `mmtutorial reproduce` first, "
                "or name the folder that it wrote"
            )
        tables = {}
        for name in TABLES:
            path = folder / f"{name}.csv"
            text = dict.fromkeys(["modalities", "fusion", "condition", "value_text"], str)
            tables[name] = (
                pd.read_csv(path, dtype=text, converters={"dataset": str})  # also of digits alone
                if path.exists() and path.stat().st_size > 1
                else pd.DataFrame()
            )
            for column in {"modalities", "fusion", "condition"} & set(tables[name]):
                tables[name][column] = tables[name][column].fillna("")
        path = folder / "environment.json"
        about = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return cls(**tables, environment=about)


def check_results(folder: Path) -> None:
    """Refuse to write results over other files: ValueError.

    >>> check_results(Path("no such folder"))
    """
    paths = [folder / f"{name}.csv" for name in TABLES]
    wrong = [path.name for path in paths if not is_table_of_results(path)]
    path = folder / "environment.json"
    if path.exists():
        try:
            wrong += [] if "runs" in json.loads(path.read_bytes()) else [path.name]
        except (ValueError, TypeError, RecursionError):
            wrong += [path.name]
    if wrong:
        raise ValueError(
            f"{folder} holds {wrong[0]!r}, which is no table of results; nothing was written: "
            "name another folder"
        )


def is_table_of_results(path: Path) -> bool:
    """Say whether a file is a table of results, or an empty one, or not there."""
    if not path.exists():
        return True
    with path.open(encoding="utf-8", errors="replace") as file:
        columns = set(file.readline().strip().split(","))
    return columns == {""} or ("dataset" in columns and bool({"experiment", "notebook"} & columns))


def find() -> Path:
    """Find the committed results, whatever folder a chapter runs in.

    ``results/full`` in the working folder or one above it, or beside the library's own folder.

    Returns
    -------
    Path
        A folder for `Results.open`.

    Raises
    ------
    ValueError
        If there is none, saying what to do.

    Examples
    --------
    >>> find().name
    'full'
    """
    here = Path.cwd()
    for folder in (here, *here.parents, PACKAGE.parent):
        if (folder / "results" / "full" / "measures.csv").exists():
            return folder / "results" / "full"
    raise ValueError(
        f"there are no results: neither {here} nor a folder above it holds results/full. Work in a "
        "clone of mmtutorial; or run `mmtutorial reproduce`, and give the chapter the folder "
        "results that it wrote as its parameter results_folder"
    )


def gather(
    outcomes: Sequence[Outcome],
    quoted: pd.DataFrame | None = None,
    *,
    profile: str,
    n_draws: int = 2000,
) -> Results:
    """Make the tables from outcomes, in an order that depends on what was measured alone."""
    measures, costs = [], []
    for outcome in outcomes:
        about = _about(outcome)
        about["seed"] = outcome.task.seed
        flag = {"at_popularity": outcome.at_popularity}
        measures += [{**about, **row, **flag} for row in outcome.rows]
        costs.append({**about, **outcome.cost})
    columns = [*_ID, "metric", "k", "seed", "value", "at_popularity"]
    cost_columns = [
        *_ID[:-1], "seed", "seconds", "epochs", "parameters", "operations", "memory",
        *(SERVED if any(SERVED[0] in each for each in costs) else ()),
    ]  # fmt: skip
    table = pd.DataFrame(measures, columns=columns).sort_values(columns[:-2], ignore_index=True)
    if quoted is None:
        quoted = quoted_table([])
    measured = {
        dataset: sorted({*rows["experiment"]}) for dataset, rows in table.groupby("dataset")
    }
    for dataset, rows in quoted.groupby("dataset"):
        measured[dataset] = sorted({*measured.get(dataset, ()), *rows["notebook"]})
    return Results(
        table,
        compare_outcomes(outcomes, n_draws=n_draws),
        pd.DataFrame(costs, columns=cost_columns).sort_values(cost_columns[:7], ignore_index=True),
        quoted,
        {"profile": profile, "runs": [{**environment(), "measured": measured}]},
    )  # fmt: skip


def compare_outcomes(outcomes: Sequence[Outcome], n_draws: int = 2000) -> pd.DataFrame:
    """Compare fusions with each modality and baseline, and damaged data with whole ones.

    On each level of encoders (`mmtutorial.reproduce.levels`), whatever read all modalities is
    compared with each single modality, with ids and with each baseline; a single modality with
    these; a tower of damaged data with the same tower of whole ones, and one of repaired data with
    the same of mispaired ones; a text that MiniLM or an LSTM has read with the same text as counted
    words; of items held back all modalities with each; and a compressed tower with the whole one.
    p is corrected (Holm) over all comparisons of one data set and experiment.
    """
    from mmtutorial.evaluation.significance import holm

    groups: dict[tuple[str, ...], list[Outcome]] = {}
    for outcome in outcomes:
        task = outcome.task
        name = (task.dataset, task.experiment, _condition(outcome), task.recommender)
        groups.setdefault(name, []).append(outcome)
    found = [
        {"dataset": name[0], "experiment": name[1], "condition": name[2], **each}
        for name, (a, left), (b, right) in _pairs(groups)
        for each in _compared(a, left, b, right, n_draws)
    ]
    columns = [
        "dataset", "experiment", "recommender", "reference", "condition", "metric", "k", "mean",
        "reference_mean", "relative_gain", "relative_low", "relative_high", "p", "freedom",
        "p_holm", "n_users", "n_seeds", "over",
    ]  # fmt: skip
    table = pd.DataFrame(found, columns=columns)
    for _, rows in table.groupby(["dataset", "experiment"]).groups.items():
        table.loc[rows, "p_holm"] = holm(table.loc[rows, "p"].to_numpy())
    return table.sort_values(columns[:6], ignore_index=True)


def _pairs(groups: Mapping[tuple[str, ...], list[Outcome]]) -> Iterator[tuple[Any, ...]]:
    """Yield (data set, experiment, condition), and two named groups to compare."""

    def of(dataset: str, experiment: str, condition: str = "") -> dict[str, list[Outcome]]:
        return {n[3]: g for n, g in groups.items() if n[:3] == (dataset, experiment, condition)}

    for where in dict.fromkeys(name[:3] for name in groups):
        dataset, experiment, condition = where
        here = of(*where)
        singles = [n for n, g in here.items() if (n,) == g[0].task.modalities]
        several = [n for n, g in here.items() if n not in singles and _reads_several(g[0])]
        if experiment in LEVELS:
            simple = of(dataset, "baselines", condition) | {n: here[n] for n in ALONE if n in here}
            chosen = [n for n in several if " + " not in n or n.endswith("+ ids")]
            for a in (*chosen, *singles, *({"ids"} & set(here))):
                beside = {b: here[b] for b in (*singles, *({"ids"} & set(here))) if b != a}
                for b, group in {**beside, **simple}.items():
                    yield where, (a, here[a]), (b, group)
        elif experiment == "controls":
            towers = of(dataset, "fusions")
            for a, group in here.items():
                for b in {a.partition(",")[0], "ids"} & set(towers):
                    yield where, (a, group), (b, towers[b])
        elif experiment in DAMAGED and condition:
            level = DAMAGED[experiment] if DAMAGED[experiment] != SIMPLE else experiment
            whole, about = of(dataset, level), json.loads(condition)
            before = json.dumps({**about, "damage": MISPAIRED}, sort_keys=True)
            unrepaired = of(dataset, experiment, before) if about.get("damage") == REPAIRED else {}
            for name in [each for each in here if each in whole]:
                yield where, ("damaged", here[name]), (name, whole[name])
                if name in unrepaired:
                    other = (f"{name}, {MISPAIRED}", unrepaired[name])
                    yield where, (REPAIRED, here[name]), other
        elif experiment.startswith("text encoders"):
            for a, group in here.items():
                arm, _, reader = a.rpartition(", ")
                if reader != "tf-idf" and f"{arm}, tf-idf" in here:
                    yield where, (a, group), (f"{arm}, tf-idf", here[f"{arm}, tf-idf"])
        elif experiment == COMPRESSION and UNCOMPRESSED in here:
            for a in set(here) - {UNCOMPRESSED}:
                yield where, (a, here[a]), (UNCOMPRESSED, here[UNCOMPRESSED])
        elif experiment == SEVERAL and ONE_TASK in here:
            for a in set(here) - {ONE_TASK}:
                yield where, (a, here[a]), (ONE_TASK, here[ONE_TASK])
        elif experiment in ("cold items", "tastes"):
            for a in several:
                for b in singles:
                    yield where, (a, here[a]), (b, here[b])


def _reads_several(outcome: Outcome) -> bool:
    task = outcome.task
    return (
        task.kind in ("TwoTower", "Blend", "ArticleNetwork")
        and len(task.modalities or ("all",) * 2) > 1
    )


def bands(measures: pd.DataFrame, width: float = 5.0, least: float = 0.01) -> pd.DataFrame:
    """Say within what each key measure is expected: columns low and high, one row a measure.

    The mean over n seeds, plus or minus ``width`` standard deviations of one more seed around it,
    σ √(1 + 1/n), and at least ``least``: another machine's arithmetic is another seed. σ is pooled
    over the recommenders of an experiment that have a spread; five seeds of one say little of it.
    """
    chosen = measures[
        measures["metric"].isin(KEY_MEASURES) & measures["split"].eq("default")
        & measures["experiment"].isin(["fusions", "baselines"])
    ]  # fmt: skip
    by = ["dataset", "experiment", "recommender", "metric", "k"]
    found = chosen.groupby(by, sort=True)["value"].agg(["mean", "var", "count"])
    varying = found["var"].where(found["var"] > 0)
    alike = [name for name in by if name != "recommender"]
    pooled = varying.groupby(level=alike).transform("mean")
    variance = pooled.where(varying.notna(), 0.0).fillna(0.0) * (1 + 1 / found["count"])
    half = np.maximum(width * np.sqrt(variance), least)
    return pd.DataFrame({"low": found["mean"] - half, "high": found["mean"] + half}).reset_index()


def outside(measures: pd.DataFrame, bands: pd.DataFrame) -> list[str]:
    """Return one line for each key measure that lies outside its band, or is missing from it."""
    by = ["dataset", "experiment", "recommender", "metric", "k"]
    chosen = measures[measures["split"].eq("default")]
    means = chosen.groupby(by)["value"].mean().rename("value").reset_index()
    here = bands[bands["dataset"].isin(means["dataset"])]
    both = here.merge(means, how="left", on=by)
    wrong = both[~both["value"].between(both["low"], both["high"])]
    return [
        f"{row.dataset}: {row.metric}@{row.k} of {row.recommender} is {row.value:.4f}, "
        f"and was expected between {row.low:.4f} and {row.high:.4f}"
        for row in wrong.itertuples()
    ]


def quoted_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Put what chapters quote into one table: numbers and texts alike as text."""
    columns = ["dataset", "profile", "seed", "notebook", "name", "value"]
    table = pd.DataFrame(list(rows), columns=columns)
    table["value"] = [
        f"{value:.10g}" if isinstance(value, float) else str(value) for value in table["value"]
    ]
    return table.sort_values(columns[:-1], ignore_index=True)


def environment() -> dict[str, Any]:
    """Say with what the numbers were made.

    >>> sorted(environment())[:3]
    ['code', 'commit', 'cores']
    """
    versions = {}
    for name in VERSIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # an environment without it
            versions[name] = "not installed"
    return {
        "mmtutorial": mmtutorial.__version__,
        "code": code_digest("mmtutorial.reproduce.measure", "mmtutorial.recommenders.TwoTower"),
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads a process": 1,
        "versions": versions,
    }


def _joined(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make one of all runs of the same commit, machine and versions, and none of an empty one."""
    joined: list[dict[str, Any]] = []
    for run in filter(lambda each: each["measured"], runs):
        same = [each for each in joined if {**each, "measured": {}} == {**run, "measured": {}}]
        if not same:
            same = [{**run, "measured": {}}]
            joined += same
        measured = same[0]["measured"]
        for dataset, experiments in run["measured"].items():
            measured[dataset] = sorted({*measured.get(dataset, ()), *experiments})
    return joined


def _same_shared(old: Results, new: Results, dataset: str) -> bool:
    """Say whether both have baselines of the same numbers, and towers of ids alone as well."""
    both = pd.concat([_shared(each, dataset) for each in (old, new)], axis=1)
    baselines = both.index.get_level_values("experiment") == "baselines"
    either = both.dropna().to_numpy()
    same = np.allclose(either[:, 0], either[:, 1], rtol=1e-6, atol=1e-12)
    return bool(baselines.any() and not both[baselines].isna().any(axis=None) and same)


def _shared(results: Results, dataset: str) -> pd.Series[float]:
    """Return the measures of what is the same on every level: baselines, and ids alone."""
    table = results.measures[results.measures["dataset"].eq(dataset)]
    ids = table["experiment"].isin(TOWERS) & table["recommender"].eq("ids")
    rows = table[table["experiment"].eq("baselines") | ids]
    rows = rows.assign(experiment=rows["experiment"].where(~ids, "towers"))
    names = ["experiment", "recommender", "condition", "split", "metric", "k", "seed"]
    return rows.groupby(names)["value"].mean()


def _measured(results: Results) -> dict[str, list[str]]:
    """Return the experiments by data set."""
    found: dict[str, list[str]] = {}
    for run in results.environment.get("runs", []):
        for dataset, experiments in run["measured"].items():
            found.setdefault(dataset, []).extend(experiments)
    return found


def _about(outcome: Outcome) -> dict[str, Any]:
    task = outcome.task
    read = [] if task.modalities is None else list(task.modalities)
    tower = task.kind.endswith(("TwoTower", "ArticleNetwork"))
    fusion = task.options.get("fusion", "concatenation") if tower and len(read) > 1 else ""
    return {
        "dataset": task.dataset, "experiment": task.experiment, "recommender": task.recommender,
        "fusion": fusion, "modalities": " + ".join(read), "condition": _condition(outcome),
    }  # fmt: skip


def _condition(outcome: Outcome) -> str:
    condition = outcome.task.condition
    return json.dumps(condition, sort_keys=True) if condition else ""


def _evaluations(name: str, group: Sequence[Outcome]) -> list[Any]:
    """Give outcomes back as evaluations, in order of their seeds."""
    from mmtutorial.evaluation.full_ranking import Evaluation

    return [
        Evaluation(
            name, each.task.split, "test", each.ranked.shape[1], each.users, each.ranked,
            each.per_user,
            {row["metric"]: row["value"] for row in each.rows
             if row["split"] == (AMONG_COLD if each.task.split == COLD else each.task.split)
             and row["metric"] in ("item_coverage", "user_coverage", "gini")},
        )
        for each in sorted(group, key=lambda outcome: outcome.task.seed)
    ]  # fmt: skip


def _compared(
    a: str, left: Sequence[Outcome], b: str, right: Sequence[Outcome], n_draws: int
) -> list[dict[str, Any]]:
    """Compare two over the seeds that both have."""
    from mmtutorial.evaluation.significance import paired_comparison

    seeds = {each.task.seed for each in left}
    if len(right) > 1:
        seeds &= {each.task.seed for each in right}
        right = [each for each in right if each.task.seed in seeds]
    left = [each for each in left if each.task.seed in seeds]
    if not left or not right:
        return []
    ours, theirs = _evaluations(a, left), _evaluations(b, right)
    rows = []
    for metric in COMPARED:
        column = "hit_rate" if metric == "user_coverage" else metric
        if column not in ours[0].per_user and column not in ours[0].catalogue:
            continue
        draws = 1 if len(ours) > 1 else n_draws  # over several seeds the interval is Student's
        found = paired_comparison(ours, theirs, metric, n_draws=draws)
        rows.append(
            {
                "recommender": a, "reference": b, "metric": metric, "k": found.k,
                "mean": found.mean_a, "reference_mean": found.mean_b,
                "relative_gain": found.relative_gain, "relative_low": found.relative_low,
                "relative_high": found.relative_high, "p": found.p, "freedom": found.freedom,
                "n_users": found.n_users, "n_seeds": found.n_seeds, "over": found.over,
            }
        )  # fmt: skip
    return rows


def _commit() -> str:
    """Name the state of the source where it is a repository."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=PACKAGE, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()


def _processor() -> str:
    """Name the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
