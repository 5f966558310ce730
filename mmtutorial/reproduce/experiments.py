"""The grid of experiments: which recommender, fusion, modalities, data and seed are measured.

A `Task` is plain data; `measure` turns one into an `Outcome`, the same wherever it runs. The grids
are lists of tasks, in an order in which neighbours share what has to be prepared.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import sys
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mmtutorial import recommenders
from mmtutorial.datasets import MODALITIES
from mmtutorial.reproduce.store import ONE_THREAD, data_digest, key
from mmtutorial.storage.archives import check_archive
from mmtutorial.storage.digests import library_digest

UNUSED = (  # parts of the library that no measurement depends on
    "cli.py", "evaluation/readiness.py", "plots.py", "recommenders/blend.py",
    "recommenders/explain.py", "recommenders/index.py", "recommenders/kept.py",
    "reproduce/__init__.py", "reproduce/ledger.py", "reproduce/ledger.toml",
    "reproduce/notebooks.py", "reproduce/results.py", "reproduce/run.py", "reproduce/scheduler.py",
)  # fmt: skip
LISTENERS = {  # chosen on lastfm's validation part, for ready-made features of real users
    "depth": 1, "dimensions": 128, "dropout": 0.3, "history_dropout": 0.5, "kept": (0.5, 0.9),
}  # fmt: skip
STEP = {
    "low-rank": {"learning_rate": 0.002}
}  # products move fast; chosen on shop's validation part
WHOLE = {"epochs": 400, "patience": 20}  # until the validation part stops it
SLOW = {"epochs": 600, "patience": 30}  # where popularity alone may be known for 50 epochs
PATIENT = {"epochs": 600, "patience": 40}  # small and noisy: some towers stand still for long
SHORT = {"epochs": 40, "patience": 10, "batch_size": 256}  # profile quick
FUSED = ("concatenation", "late", "gated", "attention", "low-rank")
_LARGEST = 2**30  # bytes of an outcome's arrays
_ONE = threading.Lock()  # seeds are global in Keras: one measurement at a time in a process


@dataclass(frozen=True)
class Task:
    """One recommender, with one seed, on one data set.

    Parameters
    ----------
    experiment : str
        The grid that it belongs to.
    dataset : str
        A name or a folder.
    recommender : str
        What tables call it.
    kind : str
        Its class in `mmtutorial.recommenders`, such as "TwoTower".
    seed : int
        Of the recommender; the data's own is in ``made``.
    options : mapping
        Of the class.
    modalities : tuple of str
        What it reads; None for all that there are, () for ids alone.
    made : mapping
        Options of the data set's maker.
    split : str
        "default" (`default_split`) or "cold items" (`cold_items_split`).
    raw : bool
        Whether encoders read raw media (`raw_features`), or towers ready-made vectors.
    damage : mapping
        "noise" or "absent" by modality: deviations of normal noise added to its features, or the
        share of items from which it is taken.
    condition : mapping
        Knobs by which tables tell tasks of one experiment apart.
    """

    experiment: str
    dataset: str
    recommender: str
    kind: str
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    modalities: tuple[str, ...] | None = None
    made: Mapping[str, Any] = field(default_factory=dict)
    split: str = "default"
    raw: bool = False
    damage: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    condition: Mapping[str, float | str] = field(default_factory=dict)

    def key(self) -> str:
        """Name the task by all that its outcome depends on."""
        return key(
            task=asdict(self), library=library_digest(UNUSED), data=data_digest(self.dataset)
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """What `measure` found.

    Parameters
    ----------
    task : Task
        What was measured.
    rows : list of dict
        "split", "metric", "k", "value": one a measure.
    users, ranked : ndarray
        int32 (n,) and (n, k): the test's users, and their lists of the first split of ``rows``.
    per_user : DataFrame
        float64 (n, metrics), beside them.
    cost : dict
        Seconds, epochs and parameters; they are no part of what must repeat.
    """

    task: Task
    rows: list[dict[str, Any]]
    users: np.ndarray
    ranked: np.ndarray
    per_user: pd.DataFrame
    cost: dict[str, float]

    def to_bytes(self) -> bytes:
        """Pack it as a NumPy archive without pickled objects."""
        about = {
            "task": asdict(self.task), "rows": self.rows, "cost": self.cost,
            "metrics": list(self.per_user.columns),
        }  # fmt: skip
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            about=np.array(json.dumps(about, ensure_ascii=False)),
            users=self.users, ranked=self.ranked,
            per_user=self.per_user.to_numpy(np.float64),
        )  # fmt: skip
        return buffer.getvalue()

    @classmethod
    def of_bytes(cls, content: bytes) -> Outcome:
        """Unpack what `to_bytes` packed; ValueError for anything else."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as parts:
                check_archive(parts, unfolded=_LARGEST)
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                about = json.loads(str(archive["about"]))
                users, ranked = archive["users"], archive["ranked"]
                values = archive["per_user"]
            task = about["task"]
            modalities = task["modalities"]
            task["modalities"] = None if modalities is None else tuple(modalities)
            per_user = pd.DataFrame(values, columns=about["metrics"], index=users)
            return cls(Task(**task), about["rows"], users, ranked, per_user, about["cost"])
        except Exception as fault:  # a damaged archive fails in many ways
            raise ValueError(f"not an outcome: {fault}") from fault


@dataclass(frozen=True, eq=False)
class _Stage:
    """What tasks on the same data share."""

    data: Any
    split: Any
    features: dict[str, np.ndarray]
    described: np.ndarray  # (n_items, d), by which diversity is measured


def measure(task: Task, resume: str | Path | None = None) -> Outcome:
    """Fit one recommender and measure its lists on the test part (full ranking).

    Lists of ten, with the items of training and validation left out; then of these, cold and warm
    relevant items apart, where there are cold ones; and where the data come with parts, lists of
    twenty under both rules of exclusion.

    The same task gives the same outcome, whatever ran before in the process. With ``resume``, a
    folder, learning that was interrupted goes on from its last epoch (see `Recommender.fit`).
    """
    import time

    from mmtutorial.evaluation import cold_items, evaluate

    with _ONE:
        _one_thread()
        stage = _stage(
            task.dataset, json.dumps(task.made), task.split, task.raw,
            json.dumps(task.damage, sort_keys=True),
        )  # fmt: skip
        split = stage.split
        started = time.perf_counter()
        recommender = _fitted(task, stage, resume)
        seconds = time.perf_counter() - started + recommender.seconds_before
        found = evaluate(recommender, split, item_vectors=stage.described)
        rows = _rows(found, task.split)
        cold = cold_items(split)
        for name, wanted in (("cold", cold), ("warm", ~cold)):
            if cold.any() and task.split == "default" and _any_relevant(split, wanted):
                part = evaluate(recommender, split, relevant_items=wanted)
                rows += _rows(part, f"{task.split}, {name} items")
        if "part" in stage.data.interactions and task.split == "default":
            for exclude in (("train", "validation"), ("train",)):
                twenty = evaluate(recommender, split, k=20, exclude=exclude)
                rows += _rows(twenty, f"{task.split}, without {' and '.join(exclude)} items")
        history = getattr(recommender, "history", {})
        best = max(history.get("validation_ndcg", []), default=None)
        if best is not None:
            rows.append({"split": "validation", "metric": "ndcg", "k": 10, "value": best})
        return Outcome(
            task, rows, found.users.astype(np.int32), found.ranked.astype(np.int32),
            found.per_user.astype(np.float64),
            {"seconds": seconds, "epochs": float(len(history.get("loss", []))),
             "parameters": float(recommender.parameters),
             "operations": float(_operations(recommender, stage))},
        )  # fmt: skip


def fusions(dataset: str, profile: str, seeds: Sequence[int]) -> list[Task]:
    """Each modality, each pair, all of them under each fusion, and ids: the very same tower."""
    names = _modalities(dataset)
    made = _made(dataset, profile)
    settings = _settings(dataset, profile)
    tasks = []
    for seed in seeds:
        base = Task("fusions", dataset, "", "TwoTower", seed, settings, made=made)
        for size in range(1, len(names)):
            if size == 1 or profile == "full":
                tasks += [
                    replace(base, recommender=" + ".join(some), modalities=some)
                    for some in combinations(names, size)
                ]
        if len(names) > 1:
            for fusion in FUSED if profile == "full" else FUSED[::3]:
                chosen = {**settings, "fusion": fusion, **STEP.get(fusion, {})}
                tasks.append(replace(base, recommender=fusion, modalities=names, options=chosen))
        if profile == "full":
            hybrid = {**settings, "ids": True}
            tasks.append(replace(base, recommender="ids", modalities=(), options=hybrid))
            mixed = replace(base, modalities=names, options=hybrid)
            tasks.append(replace(mixed, recommender="concatenation + ids"))
    return tasks


def baselines(dataset: str, profile: str, seeds: Sequence[int]) -> list[Task]:
    """The recommenders to beat, with the library's defaults; those without a seed run once."""
    made = _made(dataset, profile)
    simple = {
        "popularity": "Popularity",
        "item-kNN": "ItemKNN",
        "content-kNN": "ContentKNN",
        "EASE": "EASE",
        "EASE + content": "EASE",
    }
    seeded = {"random": "Random"}
    if profile == "full":
        seeded |= {"BPR": "BPR", "LightGCN": "LightGCN"}
    if dataset in SIMULATED:
        simple["oracle"] = "Oracle"
    tasks = [
        Task(
            "baselines", dataset, name, kind, seeds[0], made=made,
            options={"content_weight": 1.0} if name == "EASE + content" else {},
            modalities=None if "ontent" in name else (),
        )
        for name, kind in simple.items()
    ]  # fmt: skip
    for seed in seeds:
        tasks += [
            Task("baselines", dataset, name, kind, seed, {"seed": seed}, modalities=(), made=made)
            for name, kind in seeded.items()
        ]
    return tasks


def cold(dataset: str, profile: str, seeds: Sequence[int]) -> list[Task]:
    """Whole items held back: what is known of items that nobody has taken."""
    if profile == "quick":
        return []
    names = _modalities(dataset)
    base = Task(
        "cold items", dataset, "", "TwoTower", 0, _settings(dataset, profile),
        made=_made(dataset, profile), split="cold items",
    )  # fmt: skip
    tasks = [
        replace(base, recommender=name, modalities=(name,), seed=seed)
        for seed in seeds
        for name in names
    ]
    everything = [
        replace(base, recommender="concatenation", modalities=names, seed=s) for s in seeds
    ]
    chance = Task("cold items", dataset, "random", "Random", made=base.made,
                  modalities=(), split="cold items")  # fmt: skip
    return [*tasks, *(everything if len(names) > 1 else []), chance]


def quality(dataset: str, profile: str, seeds: Sequence[int]) -> list[Task]:
    """Noise in, and absence of, one modality at a time, beside whole data: the fused tower."""
    names = _modalities(dataset)
    levels: dict[str, tuple[float, ...]] = {
        "noise": (0.5, 1.0, 2.0, 4.0),
        "absent": (0.25, 0.5, 0.75, 1.0),
    }
    if profile == "quick":
        levels = {"noise": (2.0,), "absent": (0.5,)}
    elif dataset == "garments":  # minutes for a tower: every other level
        levels = {how: some[1::2] for how, some in levels.items()}
    settings = _settings(dataset, profile) | (SLOW if profile == "full" else {})
    base = Task("quality of data", dataset, "concatenation", "TwoTower",
                options=settings, modalities=names, made=_made(dataset, profile))  # fmt: skip
    seeds = seeds[:3] if profile == "full" else seeds[:1]
    return [replace(base, seed=seed) for seed in seeds] + [
        replace(
            base, seed=seed, damage={how: {name: level}},
            condition={"damage": how, "damaged": name, "level": level},
        )
        for how, some in levels.items()
        for name in names
        for level in some
        for seed in seeds
    ]  # fmt: skip


def costs(dataset: str, profile: str, seeds: Sequence[int]) -> list[Task]:
    """Encoders of raw media, each alone and all together: what an epoch costs."""
    names = _raw_modalities(dataset)
    epochs = 2 if profile == "quick" else 3 if dataset == "garments" else 6
    base = Task(
        "costs", dataset, "", "TwoTower", seeds[0], {"epochs": epochs, "patience": 99},
        made=_made(dataset, profile), raw=True,
    )  # fmt: skip
    tasks = [replace(base, recommender=name, modalities=(name,)) for name in names]
    if len(names) > 1:
        tasks.append(replace(base, recommender="concatenation", modalities=names))
    return tasks


WEIGHTS = (0.0, 0.25, 0.5, 1.0)  # of the second modality in a taste, beside 1 of the first
NOISES = (0.25, 0.5, 1.0, 2.0)


def knobs(dataset: str, profile: str, seeds: Sequence[int]) -> list[Task]:
    """Where fusion helps: small shops between one modality alone and all alike, calm and noisy."""
    if dataset != "shop":
        return []
    weights, noises = (WEIGHTS, NOISES) if profile == "full" else (WEIGHTS[::3], NOISES[1:2])
    names = _modalities(dataset)
    settings = _settings(dataset, profile) | (PATIENT if profile == "full" else {})
    tasks = []
    for weight in weights:
        for noise in noises:
            made = {
                "n_items": 240, "n_users": 800, "noise": noise, "seed": 0,
                "weights": {"image": 1.0, "text": weight, "audio": weight, "pair": 0.0},
            }  # fmt: skip
            for seed in seeds[:3]:
                base = Task(
                    "knobs", dataset, "", "TwoTower", seed, settings, made=made,
                    condition={"weight of the others": weight, "noise": noise},
                )  # fmt: skip
                tasks += [replace(base, recommender=name, modalities=(name,)) for name in names]
                tasks.append(replace(base, recommender="concatenation", modalities=names))
    return tasks


GRIDS = {
    "fusions": fusions,
    "baselines": baselines,
    "cold items": cold,
    "quality of data": quality,
    "costs": costs,
    "knobs": knobs,
}
SIMULATED = ("shop", "garments")


def grid(dataset: str, profile: str, n_seeds: int, only: Sequence[str] = ()) -> list[Task]:
    """Return all tasks of a profile on one data set.

    Parameters
    ----------
    dataset : str
        A name or a folder.
    profile : {"quick", "full"}
        Few short experiments, or all of them, each trained until its validation part stops it.
    n_seeds : int
        Seeds 0, 1, …
    only : sequence of str
        Names of `GRIDS`; all without.

    Raises
    ------
    ValueError
        For another profile, no seed, or an unknown grid.

    Examples
    --------
    >>> [task.recommender for task in grid("shop", "quick", 1, ["fusions"])]
    ['text', 'image', 'audio', 'concatenation', 'attention']
    """
    if profile not in ("quick", "full"):
        raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
    if n_seeds < 1:
        raise ValueError(f"seeds is {n_seeds}; at least one is needed")
    unknown = set(only) - set(GRIDS)
    if unknown:
        raise ValueError(f"there is no experiment {min(unknown)!r}; there are {', '.join(GRIDS)}")
    chosen = only or GRIDS
    return [
        task
        for name in GRIDS
        if name in chosen
        for task in GRIDS[name](dataset, profile, range(n_seeds))
    ]


def _settings(dataset: str, profile: str) -> dict[str, Any]:
    """Options of every tower on a data set."""
    return {
        **(LISTENERS if dataset == "lastfm" else {}),
        **(SHORT if profile == "quick" else SLOW if dataset == "garments" else WHOLE),
    }


def _made(dataset: str, profile: str) -> dict[str, Any]:
    """Options of the data set's maker."""
    if dataset == "garments" and profile == "quick":
        return {"seed": 0, "n_items": 1200, "n_users": 1200}
    return {"seed": 0} if dataset in SIMULATED else {}


@functools.lru_cache(maxsize=8)
def _modalities(dataset: str) -> tuple[str, ...]:
    """Name what there is to read."""
    if dataset in SIMULATED:
        return ("text", "image", "audio")
    if dataset == "lastfm":
        return ("text", "audio", "words")
    return tuple(_stage(dataset, "{}", "default", False, "{}").features)


def _raw_modalities(dataset: str) -> tuple[str, ...]:
    """Name what there is to read as raw media, and not as ready-made vectors alone."""
    if dataset in SIMULATED:
        return _modalities(dataset)
    if dataset == "lastfm":
        return ()
    data = _stage(dataset, "{}", "default", False, "{}").data
    return tuple(name for name in MODALITIES if data.items[name].ne("").any())


@functools.lru_cache(maxsize=2)
def _stage(dataset: str, made: str, split: str, raw: bool, damage: str) -> _Stage:
    """Load, split and encode once for the tasks that follow each other."""
    from mmtutorial import datasets
    from mmtutorial.evaluation import cold_items, cold_items_split, default_split
    from mmtutorial.interactions import Interactions
    from mmtutorial.preprocessing.features import raw_features, ready_features
    from mmtutorial.preprocessing.reduce import reduce

    data = datasets.load(dataset, **json.loads(made))
    if split == "default":
        parts = default_split(data)
    else:
        everything = Interactions.of(data.interactions, items=data.items["item"])
        firsts = ~everything.log.duplicated(["user", "item"]).to_numpy()
        parts = cold_items_split(everything.where(firsts))
    features, _ = ready_features(data, ~cold_items(parts))
    described = np.hstack(
        [
            reduce(array, min(16, array.shape[1]), present=np.asarray(array.any(axis=1)))[0]
            for array in features.values()
        ]
    )
    if raw:
        features, _ = raw_features(data, ~cold_items(parts))
    for how, levels in json.loads(damage).items():
        for name, level in levels.items():
            features[name] = _damaged(features[name], how, level)
    return _Stage(data, parts, features, described)


def _damaged(array: np.ndarray, how: str, level: float) -> np.ndarray:
    """Add noise to the rows that are there, or take a share of them away."""
    generator = np.random.default_rng([20, round(1000 * level), how == "noise"])
    there = np.asarray(array.any(axis=1))
    if how == "noise":
        noise = generator.normal(scale=level, size=array.shape)
        return np.where(there[:, None], array + noise, 0).astype(np.float32)
    if how == "absent":
        rows = generator.permutation(np.flatnonzero(there))[: round(level * there.sum())]
        kept = array.copy()
        kept[rows] = 0
        return kept
    raise ValueError(f"damage is {how!r}; it is 'noise' or 'absent'")


def _fitted(task: Task, stage: _Stage, resume: str | Path | None) -> Any:
    kind = getattr(recommenders, task.kind)
    options = {
        option: tuple(value) if isinstance(value, list) else value
        for option, value in task.options.items()
    }
    if task.kind == "Oracle":
        return kind(stage.data.truth).fit(stage.split.train)
    if task.kind == "TwoTower":
        tower = kind(task.modalities, seed=task.seed, **options)
        return tower.fit(stage.split.train, stage.features, stage.split.validation, resume)
    features = stage.features if task.modalities is None else {}
    return kind(**options).fit(stage.split.train, features, stage.split.validation, resume)


def _rows(found: Any, split: str) -> list[dict[str, Any]]:
    """One row a measure: means over users, and measures of all lists together."""
    values = {**found.per_user.mean().to_dict(), **found.catalogue}
    return [
        {"split": split, "metric": metric, "k": found.k, "value": float(value)}
        for metric, value in values.items()
    ]


def _any_relevant(split: Any, wanted: np.ndarray) -> bool:
    log = split.test.log
    known = np.isin(log["user"], split.train.log["user"])
    return bool(wanted[log["item"][known]].any())


def _operations(recommender: Any, stage: _Stage) -> float:
    """Count the floating-point operations of a tower for one item, a loop's for one turn."""
    tower = getattr(recommender, "tower", None)
    if tower is None:
        return 0.0
    import tensorflow as tf

    inputs = {
        name: tf.TensorSpec([1, *tensor.shape[1:]], tensor.dtype)
        for name, tensor in tower.input.items()
    }
    graph = tf.function(lambda given: tower(given, training=False)).get_concrete_function(inputs)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    found = tf.compat.v1.profiler.profile(graph.graph, cmd="op", options=options)
    return float(found.total_float_ops)


def _one_thread() -> None:
    """Let every process compute alone, with what is loaded already and with what will be."""
    threadpool_limits(1)
    os.environ |= ONE_THREAD
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # too late: it has been used in this process
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
