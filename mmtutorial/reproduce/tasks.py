"""A task is plain data: what is measured. An outcome is what was found."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtutorial.reproduce.cache import data_digest, key
from mmtutorial.storage.archives import check_archive
from mmtutorial.storage.digests import code_digest

COLD = "cold items"  # a split: whole items are held back
COMPRESSION = "compression"  # an experiment: what is saved is served from too
UNCOMPRESSED = "uncompressed"  # its recommender with which all others are compared
SERVED = ("bytes", "serving_memory", "start_seconds", "user_ms", "item_ms")  # its costs
AMONG_COLD = "cold items among each other"  # no other items compete
EXPLAINED = "explanations"  # an experiment: reasons are held against the truth
SEVERAL = "several tasks"  # an experiment: what is learnt beside recommending
ONE_TASK = "recommending alone"  # its recommender with which all others are compared
_LARGEST = 2**30  # bytes of an outcome's arrays


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
        Its class, such as "TwoTower": of `mmtutorial.recommenders`, or "ArticleNetwork".
    seed : int
        Of the recommender, where it takes one, of the items held back in "cold items", and of the
        article's encoders; the data's own is in ``made``.
    options : mapping
        Of the class. A blend's "recommenders" are mappings with kind, options and modalities.
    modalities : tuple of str
        What it reads; None for all that there are, () for ids alone.
    made : mapping
        Options of the data set's maker.
    split : str
        "default" (`default_split`) or "cold items" (`cold_items_split`).
    raw : bool
        Whether encoders read raw media (`raw_features`), or towers ready-made vectors.
    damage : mapping
        "noise", "absent", "mispaired", "repaired", "permuted" or "random" by modality: standard
        deviations of normal noise added to its features; the share of items from which it is
        taken; the share of items that get it from another of them, left so or repaired by
        `mmtutorial.encoders.cross_modal`, all with another draw for every seed; 1 for features
        that are permuted over the items, the same way for all modalities, or replaced by random
        ones.
    encoders : {"auto", "minilm", "article", "today", "mixed"}
        What turns media into the vectors that towers read: `ready_features`; the same, but texts
        by `minilm_features`; wherever there are raw media, the article's own encoders, trained on
        these media first (`article_features`); or, where no vectors came with the data, MiniLM for
        texts and VGG-16 for pictures (`minilm_features`, `vgg_features`); or these, and the
        article's RNN for sound.
    share : float
        Of the training interactions that is learnt from, drawn at random by the seed.
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
    encoders: str = "auto"
    share: float = 1.0

    def code(self) -> str:
        """Return a digest of all code that measuring it runs."""
        kinds = sorted({class_path(kind) for kind in _kinds(asdict(self))})
        return code_digest("mmtutorial.reproduce.measure", *kinds)

    def key(self) -> str:
        """Name the task by all that its outcome depends on."""
        return key(task=asdict(self), code=self.code(), data=data_digest(self.dataset))


def class_path(kind: str) -> str:
    """Say where the class of a recommender is.

    >>> class_path("EASE")
    'mmtutorial.recommenders.EASE'
    """
    return f"mmtutorial.{'article' if kind == 'ArticleNetwork' else 'recommenders'}.{kind}"


def _kinds(recommender: Mapping[str, Any]) -> Iterator[str]:
    yield recommender["kind"]
    options = recommender["options"]
    for part in (*options.get("recommenders", ()), *filter(None, [options.get("original")])):
        yield from _kinds(part)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What `mmtutorial.reproduce.measure.measure` found.

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
    at_popularity : bool
        Whether its NDCG is not significantly above that of popularity, for the same users.
    cost : dict
        Seconds, epochs, parameters, operations and memory; they are no part of what must repeat.
    """

    task: Task
    rows: list[dict[str, Any]]
    users: np.ndarray
    ranked: np.ndarray
    per_user: pd.DataFrame
    at_popularity: bool
    cost: dict[str, float]

    def to_bytes(self) -> bytes:
        """Pack it as a NumPy archive without pickled objects."""
        about = {
            "task": asdict(self.task), "rows": self.rows, "cost": self.cost,
            "at_popularity": self.at_popularity, "metrics": list(self.per_user.columns),
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
            flag, cost = about["at_popularity"], about["cost"]
            return cls(Task(**task), about["rows"], users, ranked, per_user, flag, cost)
        except Exception as fault:  # a damaged archive fails in many ways
            raise ValueError(f"not an outcome: {fault}") from fault

    @classmethod
    def kept(cls, path: Path) -> Outcome | None:
        """Read one; a damaged file is made again, one that may not be read is an OSError."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return cls.of_bytes(path.read_bytes())
        return None
