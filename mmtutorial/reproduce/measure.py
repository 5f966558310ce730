"""Measure one task: the same outcome wherever it runs, and whatever ran before in the process."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from mmtutorial import datasets
from mmtutorial.datasets import Dataset
from mmtutorial.evaluation import (
    Evaluation,
    Split,
    cold_items,
    cold_items_split,
    default_split,
    evaluate,
)
from mmtutorial.interactions import Interactions
from mmtutorial.memory import forget_peak_memory, peak_memory
from mmtutorial.metrics import intra_list_diversity
from mmtutorial.preprocessing.features import raw_features, ready_features
from mmtutorial.preprocessing.labels import labels_of
from mmtutorial.preprocessing.reduce import reduce
from mmtutorial.recommenders import Popularity, Recommender
from mmtutorial.reproduce.levels import MISPAIRED, REPAIRED
from mmtutorial.reproduce.serving import served
from mmtutorial.reproduce.tasks import (
    AMONG_COLD,
    COLD,
    COMPRESSION,
    EXPLAINED,
    Outcome,
    Task,
    class_path,
)
from mmtutorial.reproduce.threads import use_one_thread

ENCODERS = ("auto", "minilm", "article", "today", "mixed")
HELD_BACK = 0.2  # of the items, as test, and half as many as validation
_ONE = threading.Lock()  # seeds are global in Keras: one measurement at a time in a process
_SIGNIFICANT = 1.645  # standard errors: one-sided, 5 %


@dataclass(frozen=True, eq=False)
class Stage:
    """What tasks on the same data share.

    Parameters
    ----------
    data, split, features
        What recommenders learn from.
    described : dict
        float32 (n_items, d) for each modality, by which diversity is measured: ready-made vectors
        of whole data, whatever recommenders learn from.
    """

    data: Dataset
    split: Split
    features: dict[str, np.ndarray]
    described: dict[str, np.ndarray]

    @functools.cached_property
    def joined(self) -> np.ndarray:
        """All modalities' principal components side by side, float (n_items, d)."""
        return np.hstack(
            [
                reduce(array, min(16, array.shape[1]), present=np.asarray(array.any(axis=1)))[0]
                for array in self.described.values()
            ]
        )

    @functools.cached_property
    def popularity(self) -> Recommender:
        """What every other recommender must beat."""
        return Popularity().fit(self.split.train)


def measure(task: Task, resume: str | Path | None = None) -> Outcome:
    """Fit one recommender and measure its lists on the test part (full ranking).

    How different the items of a list are is measured in all modalities together
    ("intra_list_diversity"), and in each ("diversity_text").
    Lists of ten, with the items of training and validation left out; then of these, cold and warm
    relevant items apart, where there are cold ones; and where the data come with parts, lists of
    twenty under both rules of exclusion. Where items are held back, lists of twenty of those alone,
    with "capped_recall": hits divided by 20 where more than 20 items are relevant.

    The same task gives the same outcome, whatever ran before in the process. With ``resume``, a
    folder, learning that was interrupted goes on from its last epoch (see `Recommender.fit`).
    """
    with _ONE:
        use_one_thread()
        stage = stage_of(task)
        split = stage.split
        recommender = make(
            task.kind, task.options, task.modalities, task.seed, stage.data, ~cold_items(split)
        )
        reads = read_by(stage, task.modalities)
        started = time.perf_counter()
        forget_peak_memory()
        recommender.fit(split.train, reads, split.validation, resume)
        seconds = time.perf_counter() - started + recommender.seconds_before
        memory = peak_memory()
        found = evaluate(recommender, split, item_vectors=stage.joined)
        for name, vectors in stage.described.items():
            found.per_user[f"diversity_{name}"] = intra_list_diversity(found.ranked, vectors)
        rows = _rows(found, task.split)
        if task.split == COLD:
            found = _among_cold_items(recommender, split)
            rows += _rows(found, AMONG_COLD)
        else:
            rows += _more_rows(recommender, stage)
        if task.experiment == EXPLAINED:
            rows += _explained(recommender, found, stage)
        chosen_by = evaluate(recommender, split, part="validation")
        rows += [row for row in _rows(chosen_by, "validation") if row["metric"] == "ndcg"]
        cosines: dict[str, float] = getattr(recommender, "cosines", {})
        rows += [
            {"split": task.split, "metric": f"cosine_{name}", "k": found.k, "value": value}
            for name, value in cosines.items()
        ]
        history = getattr(recommender, "history", {})
        serving = served(recommender, reads) if task.experiment == COMPRESSION else {}
        return Outcome(
            task, rows, found.users.astype(np.int32), found.ranked.astype(np.int32),
            found.per_user.astype(np.float64), _at_popularity(found, stage),
            {"seconds": seconds, "epochs": float(len(history.get("loss", []))),
             "parameters": float(recommender.parameters), "operations": _operations(recommender),
             "memory": memory, **serving},
        )  # fmt: skip


def stage_of(task: Task) -> Stage:
    """Load, split and encode once for the tasks that follow each other; damage is each task's."""
    draw = task.seed if task.split == COLD or task.share < 1 else 0
    learnt = task.seed if task.encoders in ("article", "mixed") else 0  # others learn nothing here
    made = json.dumps(task.made)
    stage = _stage(
        task.dataset, made, task.split, draw, task.raw, task.encoders, learnt, task.share
    )
    features = dict(stage.features)
    for how, levels in task.damage.items():
        for name, level in levels.items():
            place = list(features).index(name)
            features[name] = _damaged(features[name], how, level, place, task.seed)
            if how == REPAIRED:
                features[name] = features[name][_order(features, name, task.seed)]
    return replace(stage, features=features) if task.damage else stage


@functools.lru_cache(maxsize=2)
def _stage(
    dataset: str,
    made: str,
    split: str,
    draw: int,
    raw: bool,
    encoders: str,
    seed: int,
    share: float,
) -> Stage:
    data = datasets.load(dataset, **json.loads(made))
    if split == COLD:
        everything = Interactions.of(data.interactions, items=data.items["item"])
        firsts = ~everything.log.duplicated(["user", "item"]).to_numpy()
        parts = cold_items_split(everything.where(firsts), HELD_BACK / 2, HELD_BACK, seed=draw)
    else:
        parts = default_split(data)
    if share < 1:
        chosen = np.random.default_rng([24, draw]).random(len(parts.train)) < share
        parts = replace(parts, train=parts.train.where(chosen))
    known = ~cold_items(parts)
    described, _ = ready_features(data, known)
    features = raw_features(data, known)[0] if raw else dict(described)
    return Stage(data, parts, features | _encoded(encoders, data, known, seed), described)


def _encoded(encoders: str, data: Dataset, known: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return what is read otherwise than by `ready_features`; see `Task`."""
    if encoders not in ENCODERS:
        raise ValueError(f"encoders is {encoders!r}; it is one of {', '.join(ENCODERS)}")
    if encoders == "article":
        from mmtutorial.encoders.pretraining import article_features

        return article_features(data, known, seed)
    found = {}
    today = encoders in ("today", "mixed")
    if encoders == "minilm" or (today and _raw_only(data, "text")):
        from mmtutorial.encoders.item_texts import minilm_features

        found["text"] = minilm_features(data, known)
    if today and _raw_only(data, "image"):
        from mmtutorial.encoders.pictures import vgg_features

        found["image"] = vgg_features(data, known)
    if encoders == "mixed" and _raw_only(data, "audio"):
        from mmtutorial.encoders.pretraining import pretrained

        frames = raw_features(data, known, ("audio",))[0]["audio"]
        found["audio"] = pretrained("audio", frames, known, seed)
    return found


def _raw_only(data: Dataset, name: str) -> bool:
    """Say whether a modality has raw media, and no vectors that came with the data."""
    return name not in data.features and bool(data.items[name].ne("").any())


def make(
    kind: str,
    options: Mapping[str, Any],
    modalities: Sequence[str] | None,
    seed: int,
    data: Dataset,
    known: np.ndarray | None = None,
) -> Recommender:
    """Return a recommender that is not yet fitted, by the name of its class.

    ``known``, bool (n_items,), are the items whose labels it may learn, where it learns labels.

    >>> from mmtutorial.datasets import shop
    >>> make("BPR", {"dimensions": 8}, (), 3, shop(n_items=40, n_users=30)).seed
    3
    """
    module, _, name = class_path(kind).rpartition(".")
    of_kind = getattr(importlib.import_module(module), name)
    asked = inspect.signature(of_kind).parameters
    given = {
        option: tuple(value) if isinstance(value, list) else value
        for option, value in options.items()
    }
    if "recommenders" in asked:
        given["recommenders"] = [
            make(each["kind"], each["options"], each["modalities"], seed, data)
            for each in given["recommenders"]
        ]
    if "original" in asked and "original" in given:
        part: Any = given["original"]
        given["original"] = make(part["kind"], part["options"], part["modalities"], seed, data)
    if "truth" in asked:
        given["truth"] = data.truth
    if "labels" in asked and known is not None:
        given["labels"] = labels_of(data, known)
    if "seed" in asked:
        given.setdefault("seed", seed)
    if "modalities" in asked:
        given["modalities"] = None if modalities is None else tuple(modalities)
    made: Recommender = of_kind(**given)
    return made


def read_by(stage: Stage, modalities: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Return the features that a recommender is given."""
    names = stage.features if modalities is None else modalities
    return {name: stage.features[name] for name in names}


def _damaged(array: np.ndarray, how: str, level: float, place: int, seed: int) -> np.ndarray:
    """Add noise to the rows that are there, take a share of them away, permute or replace them.

    Drawn anew for every seed; a permutation of all is the same for all modalities. What is to be
    repaired is mispaired first.
    """
    generator = np.random.default_rng([20, round(1000 * level), how == "noise", seed])
    there = np.asarray(array.reshape(len(array), -1).any(axis=1))
    rows = there.reshape(-1, *[1] * (array.ndim - 1))  # to go with media of any shape
    if how == "noise":
        noise = generator.normal(scale=level, size=array.shape)
        return np.where(rows, array + noise, 0).astype(np.float32)
    if how == "absent":
        gone = generator.permutation(np.flatnonzero(there))[: round(level * there.sum())]
        kept = array.copy()
        kept[gone] = 0
        return kept
    if how in (MISPAIRED, REPAIRED):
        return array[mispaired(there, level, [23, place, seed])]
    if how == "permuted":  # each item gets the whole content of another
        return array[np.random.default_rng([21, seed]).permutation(len(array))]
    if how == "random":
        drawn = np.random.default_rng([22, place, seed]).standard_normal(array.shape)
        return np.where(rows, drawn, 0).astype(np.float32)
    kinds = ("noise", "absent", MISPAIRED, REPAIRED, "permuted", "random")
    raise ValueError(f"damage is {how!r}; it is one of {', '.join(kinds)}")


def mispaired(there: np.ndarray, level: float, seed: int | Sequence[int]) -> np.ndarray:
    """Draw a share of the items, and hand each one's content to the next of them in a circle.

    Parameters
    ----------
    there : ndarray
        bool (n,), items that have the modality.
    level : float
        Share of these, from 0 to 1.
    seed : int or sequence of int
        Of the draw.

    Returns
    -------
    ndarray
        int64 (n,): item i gets the content of item ``order[i]``. None that was drawn keeps its own.

    Examples
    --------
    >>> order = mispaired(np.ones(10, bool), 0.5, 0)
    >>> int((order != np.arange(10)).sum()), bool((np.sort(order) == np.arange(10)).all())
    (5, True)
    """
    order = np.arange(len(there))
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(there))
    drawn = drawn[: round(level * len(drawn))]
    order[drawn] = np.roll(drawn, 1)
    return order


def _order(features: Mapping[str, np.ndarray], name: str, seed: int) -> np.ndarray:
    """Repair one modality by its agreement with all others, side by side."""
    from mmtutorial.encoders.cross_modal import repair

    flat = {each: array.reshape(len(array), -1) for each, array in features.items()}
    others = [array for each, array in flat.items() if each != name]
    return repair(np.hstack(others), flat[name], seed)[0]


def _more_rows(recommender: Recommender, stage: Stage) -> list[dict[str, Any]]:
    """Measure cold and warm items apart, and published parts under both rules of exclusion."""
    split, cold, rows = stage.split, cold_items(stage.split), []
    for name, wanted in (("cold", cold), ("warm", ~cold)):
        if cold.any() and _any_relevant(split, wanted):
            part = evaluate(recommender, split, relevant_items=wanted)
            rows += _rows(part, f"default, {name} items")
    if "part" in stage.data.interactions:
        for exclude in (("train", "validation"), ("train",)):
            twenty = evaluate(recommender, split, k=20, exclude=exclude)
            rows += _rows(twenty, f"default, without {' and '.join(exclude)} items")
    return rows


def _explained(recommender: Any, found: Evaluation, stage: Stage) -> list[dict[str, Any]]:
    """Hold the modalities that are named for each list against what truly decided."""
    from mmtutorial.recommenders.explain_truth import hits

    assert stage.data.truth is not None
    counted = hits(recommender, found.users, found.ranked, stage.features, stage.data.truth)
    return [
        {"split": "default", "metric": f"modality_{name}", "k": found.k, "value": float(value)}
        for name, value in counted.items()
    ]


def _among_cold_items(recommender: Recommender, split: Split) -> Evaluation:
    """Rank the items held back for the test among each other, in lists of twenty."""
    tested = np.isin(np.arange(split.test.n_items), split.test.log["item"])
    found = evaluate(recommender, split, k=20, candidates=tested)
    relevant = sparse.csr_array(split.test.matrix)[found.users].sum(axis=1)
    hits = found.per_user["precision"] * found.k
    found.per_user["capped_recall"] = hits / np.minimum(np.asarray(relevant).ravel(), found.k)
    return found


def _rows(found: Evaluation, split: str) -> list[dict[str, Any]]:
    """One row a measure: means over users, and measures of all lists together."""
    values: dict[str, float] = dict(found.per_user.mean()) | found.catalogue
    return [
        {"split": split, "metric": metric, "k": found.k, "value": float(value)}
        for metric, value in values.items()
    ]


def _at_popularity(found: Evaluation, stage: Stage) -> bool:
    """Say whether the NDCG is not significantly above popularity's, over the same users."""
    popular = evaluate(stage.popularity, stage.split, found.k, candidates=found.candidates)
    gain = found.per_user["ndcg"] - popular.per_user["ndcg"]
    return bool(gain.mean() <= _SIGNIFICANT * gain.std() / np.sqrt(len(gain)))


def _any_relevant(split: Split, wanted: np.ndarray) -> bool:
    log = split.test.log
    known = np.isin(log["user"], split.train.log["user"])
    return bool(wanted[log["item"][known]].any())


def _operations(recommender: Recommender) -> float:
    """Count the floating-point operations of a network for one item, a loop's for one turn."""
    network = getattr(recommender, "tower", None) or getattr(recommender, "model", None)
    if network is None:
        return 0.0
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # it warns of a function that its own profiler calls
    inputs = tf.nest.map_structure(
        lambda tensor: tf.TensorSpec([1, *tensor.shape[1:]], tensor.dtype), network.input
    )
    graph = tf.function(lambda given: network(given, training=False)).get_concrete_function(inputs)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    found = tf.compat.v1.profiler.profile(graph.graph, cmd="op", options=options)
    return float(found.total_float_ops)
