"""What ``import mmtutorial as mm`` offers: from tables to a measured comparison in ten lines."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import DatasetNote
from mmtutorial.evaluation.full_ranking import Evaluation, compare, evaluate
from mmtutorial.evaluation.significance import compare_all
from mmtutorial.evaluation.splits import Split, cold_items, default_split
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features
from mmtutorial.storage.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = ("ndcg", "recall", "item_coverage")  # the measures that `print` shows


def split(data: Dataset) -> Split:
    """Cut a data set into what is learnt from, what is chosen by and what is tested on.

    By the parts that the data set gives; or else at two moments in time. See
    `mmtutorial.evaluation.default_split`.

    Raises
    ------
    ValueError
        If the data set gives neither parts nor times, or too few interactions.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> split(shop(n_items=40, n_users=30)).name
    'global time'
    """
    return default_split(data)


def features(
    data: Dataset, split: Split, *, seed: int = 0, text: str = "auto"
) -> dict[str, np.ndarray]:
    """Return one short vector an item and modality, fitted without a look at held-out items.

    Means, standard deviations and vocabularies come from the items with a training interaction
    alone. See `mmtutorial.preprocessing.features.ready_features`.

    Parameters
    ----------
    data : Dataset
        Whose text, images and audio.
    split : Split
        Of the same data set; says which items may be learnt from.
    seed : int
        Of the randomised reduction of dimension.
    text : {"auto", "words", "tags", "minilm"}
        How texts are read: by counted words or tags, as `ready_features` does, or with their titles
        by a pre-trained Transformer, as `mmtutorial.encoders.item_texts.minilm_features` does.

    Returns
    -------
    dict
        Modality to float32 (n_items, d); a row of zeros where an item lacks it.

    Raises
    ------
    ValueError
        If the split is of another catalogue, or there is no such reading of texts.
    ImportError
        If MiniLM is asked for, and not installed: says how to install it.

    Warns
    -----
    DatasetNote
        Of each file that cannot be used, and each assumption; the item counts as without it.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> data = shop(n_items=40, n_users=30)
    >>> sorted(features(data, split(data)))
    ['audio', 'image', 'text']
    """
    if not np.array_equal(split.train.items, data.items["item"].to_numpy(dtype=str)):
        raise ValueError(f"the split is of another catalogue than {data.name}: split(data) first")
    known = ~cold_items(split)
    counted = "auto" if text == "minilm" else text
    arrays, faults = ready_features(data, known, seed=seed, text=counted)
    if text == "minilm":
        from mmtutorial.encoders.item_texts import minilm_features

        arrays["text"] = minilm_features(data, known)
        faults = [fault for fault in faults if not fault.note]
    for fault in faults:
        warnings.warn(str(fault), DatasetNote, stacklevel=2)
    return arrays


def experiment(
    recommenders: Sequence[Recommender] | Mapping[str, Recommender],
    split: Split,
    features: Features | None = None,
    *,
    k: int = 10,
    resume: str | Path | None = None,
) -> Experiment:
    """Fit several recommenders alike, and rank the whole catalogue for the same test users.

    Parameters
    ----------
    recommenders : sequence or mapping
        Not yet fitted. A sequence is named by its classes: "two-tower", "ease"; of two of the same
        class, the options that differ are added.
    split : Split
        All learn from ``split.train``, stop by ``split.validation``, and are tested on
        ``split.test``.
    features : mapping, optional
        From `features`; each recommender takes what it reads.
    k : int
        Length of the lists.
    resume : str or Path, optional
        A folder to keep unfinished learning in; see `Recommender.fit`.

    Returns
    -------
    Experiment
        Prints as a table.

    Raises
    ------
    ValueError
        If there is nothing to fit, two have the same name, or one cannot be fitted.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> from mmtutorial.recommenders import EASE, Popularity
    >>> parts = split(shop(n_items=40, n_users=30))
    >>> result = experiment([EASE(), Popularity()], parts)
    >>> result.names, result["ease"].recommend_to("u03", k=2).columns.tolist()
    (['ease', 'popularity'], ['item', 'title', 'score'])
    """
    named = dict(recommenders) if isinstance(recommenders, Mapping) else _named(recommenders)
    if not named:
        raise ValueError("there is no recommender to fit: give at least one")
    evaluations, seconds = {}, {}
    for name, recommender in named.items():
        begun = time.perf_counter()
        recommender.fit(split.train, features, split.validation, resume)
        seconds[name] = time.perf_counter() - begun
        found = evaluate(recommender, split, k)
        evaluations[name] = Evaluation(**{**vars(found), "recommender": name})
    return Experiment(named, evaluations, seconds)


@dataclass(frozen=True, eq=False)
class Experiment:
    """What `experiment` found; ``experiment[name]`` is the fitted recommender of that name.

    Parameters
    ----------
    recommenders : dict
        Name to fitted recommender.
    evaluations : dict
        Name to `mmtutorial.evaluation.Evaluation`, all on the same users.
    seconds : dict
        Name to the time that fitting took, in seconds.
    """

    recommenders: dict[str, Recommender]
    evaluations: dict[str, Evaluation]
    seconds: dict[str, float]

    @property
    def names(self) -> list[str]:
        """The recommenders' names, in the order given."""
        return list(self.recommenders)

    def __getitem__(self, name: str) -> Recommender:
        """Return the fitted recommender of this name; a KeyError lists the names."""
        if name not in self.recommenders:
            raise KeyError(f"no recommender is named {name!r}; there are {', '.join(self.names)}")
        return self.recommenders[name]

    def measures(self) -> pd.DataFrame:
        """Return every measure with its 95 % interval over users: a row a recommender and metric.

        Columns mean, low and high; the intervals are those of `Evaluation.summary`.
        """
        tables = {name: each.summary() for name, each in self.evaluations.items()}
        return pd.concat(tables, names=["recommender"])

    def best(self, metric: str = "ndcg") -> str:
        """Name the recommender with the highest mean of a metric."""
        return str(compare(list(self.evaluations.values()))[metric].idxmax())

    def tests(self, metric: str = "ndcg") -> pd.DataFrame:
        """Compare the best with each other one on the same users: p values corrected by Holm.

        Columns as in `mmtutorial.evaluation.compare_all`; empty for a single recommender.
        """
        if len(self.names) < 2:
            return pd.DataFrame()
        return compare_all(list(self.evaluations.values()), self.best(metric), metric)

    def __str__(self) -> str:
        """Write measures with intervals, the paired tests and the time as text."""
        first = next(iter(self.evaluations.values()))
        table, measures = pd.DataFrame(index=pd.Index(self.names)), self.measures()
        for metric in SHOWN:
            rows = measures.xs(metric, level="metric").loc[self.names]
            bounds = rows["low"].notna().all()
            table[f"{metric}@{first.k}"] = [
                f"{mean:.4f} [{low:.4f}, {high:.4f}]" if bounds else f"{mean:.4f}"
                for mean, low, high in rows[["mean", "low", "high"]].to_numpy()
            ]
        table["fitted in"] = [f"{self.seconds[name]:.1f} s" for name in self.names]
        lines = [table.to_string(), f"{len(first.users):,} test users; 95 % intervals over users"]
        for row in self.tests().to_dict("records"):
            lines.append(
                f"{self.best()} against {row['recommender']}: ndcg {-row['difference']:+.4f} "
                f"[{-row['high']:+.4f}, {-row['low']:+.4f}], p = {row['p_holm']:.2g} (Holm)"
            )
        return "\n".join(lines)

    def save(self, folder: str | Path) -> Path:
        """Write measures.csv and tests.csv into a folder, and each recommender that can be saved.

        Each recommender goes into a folder of its name. Files of other names are left alone.
        """
        folder = Path(folder).expanduser()
        tables = {"measures.csv": self.measures().reset_index(), "tests.csv": self.tests()}
        for name, table in tables.items():
            content = table.to_csv(index=False, lineterminator="\n")
            write_whole(folder / name, content.encode("utf-8"))
        for name, recommender in self.recommenders.items():
            recommender.save(folder / _file_name(name))
        return folder

    def plot(self, metric: str = "ndcg") -> Figure:
        """Draw each recommender's mean of a metric with its interval; return the figure."""
        import matplotlib.pyplot as plt

        rows = self.measures().xs(metric, level="metric").loc[self.names[::-1]]
        figure, axis = plt.subplots(figsize=(6, 1 + 0.35 * len(rows)), layout="constrained")
        axis.hlines(range(len(rows)), rows["low"], rows["high"], linewidth=2)
        axis.plot(rows["mean"], range(len(rows)), "o")
        axis.set_yticks(range(len(rows)), labels=list(rows.index))
        k = next(iter(self.evaluations.values())).k
        axis.set_xlabel(f"{metric}@{k}, mean and 95 % interval over users")
        return figure


def _named(recommenders: Sequence[Recommender]) -> dict[str, Recommender]:
    """Name recommenders by their classes, and by the options that differ within a class.

    >>> from mmtutorial.recommenders import EASE, ItemKNN
    >>> list(_named([EASE(), ItemKNN(k=5), ItemKNN(k=9)]))
    ['ease', 'item-knn k=5', 'item-knn k=9']
    """
    kinds: dict[str, list[Recommender]] = {}
    for each in recommenders:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(each).__name__)
        kinds.setdefault(words.lower(), []).append(each)
    names: dict[int, str] = {}
    for kind, alike in kinds.items():
        options = [each.options() for each in alike]
        differ = [name for name in options[0] if len({repr(some[name]) for some in options}) > 1]
        for each, some in zip(alike, options, strict=True):
            names[id(each)] = " ".join([kind, *(f"{name}={some[name]}" for name in differ)])
    if len(set(names.values())) < len(recommenders):
        raise ValueError("two recommenders are alike: give them names, as in {'first': EASE()}")
    return {names[id(each)]: each for each in recommenders}


def _file_name(name: str) -> str:
    """Turn a name into one that every file system takes.

    >>> _file_name("item-knn k=5")
    'item-knn-k-5'
    """
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "recommender"
