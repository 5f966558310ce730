"""BPR-MF, VBPR and LightGCN: ours against Cornac's, on the same split, over several seeds.

    pip install -e ".[benchmarks]"                # Cornac's VBPR learns by PyTorch
    python benchmarks/recommenders.py             # shop and lastfm
    python benchmarks/recommenders.py shop --seeds 5 --dimensions 32
    python benchmarks/recommenders.py films videos --tune
    pip install dgl==1.1.3                        # Cornac's LightGCN needs it; left out without

Both learn from the training part and are measured by our `evaluate` on the test part: the whole
catalogue is ranked, training and validation items are left out, NDCG@20 and recall@20. VBPR reads
the same features in both: the ready-made ones where the data set has some; else TF-IDF words, small
pictures and MFCC summaries, reduced to 64 numbers each. The options that are used stand in OPTIONS.
``--tune`` chooses them on the validation part, by the grids in GRIDS, with as many trials for ours
as for Cornac's, with seed 0. Those in OPTIONS were found so, by earlier grids with more trials for
Cornac's; where there are none, each learns by its defaults. Ours stops early by the validation
part, which is in its time; Cornac's number of epochs is one of its options.

Cornac learns in C++ (BPR; one thread where a seed is given) or PyTorch (VBPR, LightGCN; one thread
too, since its batches are too small to be shared out), ours in TensorFlow, whose compilation is in
the time. A quality is reached where ours, the mean over the seeds, is not below Cornac's 95 %
interval over the seeds (Student's t).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import torch
from cornac import models
from cornac.data import Dataset, ImageModality
from scipy import stats
from side_by_side import Row, limits, machine, tell

from mmtutorial import datasets
from mmtutorial.evaluation import Split, default_split, evaluate, tune
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.audio import encode_audio
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.preprocessing.reduce import reduce, summarise, tf_idf
from mmtutorial.preprocessing.text import clean, tokenise
from mmtutorial.recommenders import BPR, VBPR, LightGCN
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.content import as_dense, unit_rows
from mmtutorial.recommenders.inputs import Features

K = 20
METRICS = ("ndcg", "recall")
GRIDS: dict[str, dict[str, Sequence[Any]]] = {
    "BPR, ours": {
        "learning_rate": [0.001, 0.003],
        "l2": [0.01, 0.02, 0.05],
        "spread": [0.01, 0.1],
    },
    "BPR, Cornac": {
        "max_iter": [100, 400],
        "learning_rate": [0.03, 0.1],
        "lambda_reg": [0.003, 0.01, 0.03],
    },
    "VBPR, ours": {
        "learning_rate": [0.001, 0.003],
        "l2": [0.01, 0.02, 0.05],
        "spread": [0.01, 0.1],
    },
    "VBPR, Cornac": {
        "n_epochs": [10, 30, 60],
        "learning_rate": [0.001, 0.005],
        "lambda_w": [0.01, 0.1],
    },
    "LightGCN, ours": {"layers": [2, 3], "l2": [0.001, 0.003, 0.01], "spread": [0.01, 0.1]},
    "LightGCN, Cornac": {
        "num_layers": [2, 3],
        "num_epochs": [50, 100, 200],
        "learning_rate": [0.001, 0.003],
    },
}
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "shop": {
        "BPR, ours": {"learning_rate": 0.001, "l2": 0.02, "spread": 0.01},
        "BPR, Cornac": {"max_iter": 400, "learning_rate": 0.03, "lambda_reg": 0.03},
        "VBPR, ours": {"learning_rate": 0.001, "l2": 0.01, "spread": 0.01},
        "VBPR, Cornac": {"n_epochs": 30, "learning_rate": 0.001, "lambda_w": 0.01},
    },
    "lastfm": {
        "BPR, ours": {"learning_rate": 0.001, "l2": 0.01, "spread": 0.01},
        "BPR, Cornac": {"max_iter": 400, "learning_rate": 0.03, "lambda_reg": 0.01},
        "VBPR, ours": {"learning_rate": 0.001, "l2": 0.01, "spread": 0.01},
        "VBPR, Cornac": {"n_epochs": 30, "learning_rate": 0.001, "lambda_w": 0.1},
    },
}


class Cornac(Recommender):
    """A model of Cornac behind our interface, over the same users and items."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.name = model.name

    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        pairs = zip(*train.matrix.nonzero(), strict=True)
        known = Dataset.build(
            [(user, item, 1.0) for user, item in pairs],
            global_uid_map={row: row for row in range(train.n_users)},
            global_iid_map={row: row for row in range(train.n_items)},
            seed=self.model.seed,
        )
        if features:
            content = np.hstack([as_dense(unit_rows(each)) for each in features.values()])
            known.add_modalities(item_image=ImageModality(features=content))
        with contextlib.redirect_stdout(io.StringIO()):
            self.model.fit(known)

    def _score(self, users: np.ndarray) -> np.ndarray:
        return np.stack([self.model.score(user) for user in users])


def makers(d: int) -> dict[str, Callable[..., Recommender]]:
    """Return the contenders: functions of a seed and of options; d dimensions each."""
    return {
        "BPR, ours": lambda **options: BPR(dimensions=d, **options),
        "BPR, Cornac": lambda **options: Cornac(models.BPR(k=d, **options)),
        "VBPR, ours": lambda **options: VBPR(dimensions=d, content_dimensions=d, **options),
        "VBPR, Cornac": lambda **options: Cornac(models.VBPR(k=d, k2=d, verbose=False, **options)),
        "LightGCN, ours": lambda **options: LightGCN(dimensions=d, **options),
        "LightGCN, Cornac": lambda **options: Cornac(models.LightGCN(emb_size=d, **options)),
    }


def read(name: str) -> tuple[Split, dict[str, np.ndarray]]:
    """Return the split and the features of a data set."""
    data = datasets.load(name)
    if data.features:
        return default_split(data), dict(data.features)
    paths = {
        kind: [data.path(row, kind) for row in range(data.n_items)] for kind in ("image", "audio")
    }
    pictures, seen, _ = encode_images(paths["image"], size=16)
    frames, heard, _ = encode_audio(paths["audio"])
    words = tf_idf([tokenise(clean(text)) for text in data.items["text"]])
    raw = {
        "text": (words, None),
        "image": (pictures, seen),
        "audio": (summarise(frames), heard),
    }
    features = {}
    for modality, (array, present) in raw.items():
        length = min(64, np.prod(array.shape[1:]), data.n_items)
        features[modality] = reduce(array, int(length), present)[0]
    return default_split(data), features


def measure(make: Callable[..., Recommender], split: Split, features: Features) -> dict[str, float]:
    """Fit once, timed, and measure the test part."""
    recommender = make()
    started = time.perf_counter()
    recommender.fit(split.train, features, split.validation)
    seconds = time.perf_counter() - started
    found = evaluate(recommender, split, k=K).per_user[list(METRICS)].mean()
    return {**found, "seconds": seconds}


def interval(values: pd.Series) -> tuple[float, float]:
    """Return the 95 % interval of the mean over the seeds."""
    return stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))


def table(runs: Mapping[str, pd.DataFrame]) -> None:
    """Print one line a contender, and what was reached."""
    print(f"{'':14}{'NDCG@20 [95 % over seeds]':>30}{'recall@20':>26}{'fit (s)':>10}{'range':>16}")
    for name, found in runs.items():
        line = f"{name:14}"
        for metric, width in zip(METRICS, (30, 26), strict=True):
            low, high = interval(found[metric])
            line += f"{f'{found[metric].mean():.4f} [{low:.4f}, {high:.4f}]':>{width}}"
        seconds = found["seconds"]
        spread = f"{seconds.min():.1f}–{seconds.max():.1f}"
        print(f"{line}{seconds.median():10.1f}{spread:>16}")
    for kind in dict.fromkeys(name.split(",")[0] for name in runs):
        ours, theirs = (runs[f"{kind}, {who}"] for who in ("ours", "Cornac"))
        told = []
        for metric in METRICS:
            mean, low = ours[metric].mean(), interval(theirs[metric])[0]
            verdict = "reached" if mean >= low else "BELOW"
            told.append(f"{metric} {verdict} ({mean - theirs[metric].mean():+.4f})")
        print(f"{kind}: {', '.join(told)}")


def rows_of(dataset: str, runs: Mapping[str, pd.DataFrame]) -> list[Row]:
    """Return each contender's seconds, and its NDCG@20, the mean over the seeds."""
    rows = []
    for name, found in runs.items():
        kind, whose = name.split(", ")
        case = f"{dataset}: {kind}, fit; NDCG@{K} of the test part"
        quality = float(found["ndcg"].mean())
        rows.append(Row(case, whose, found["seconds"].tolist(), quality=quality))
    return rows


def main() -> None:
    """Fit all, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("datasets", nargs="*", default=["shop", "lastfm"])
    parser.add_argument("--seeds", type=int, default=3, help="at least 2")
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--tune", action="store_true", help="choose the options anew, seed 0")
    parser.add_argument("--only", choices=("BPR", "VBPR", "LightGCN"), help="all without")
    parser.add_argument("--csv", help="a file to put the table into")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("--seeds must be at least 2: an interval needs them")

    torch.set_num_threads(1)
    rows: list[Row] = []
    for name in options.datasets:
        split, features = read(name)
        train = split.train
        print(
            f"\n{name}: {train.n_users} users, {train.n_items} items, {len(train)} training "
            f"interactions; {', '.join(f'{m} {f.shape[1]}' for m, f in features.items())}; "
            f"{options.dimensions} dimensions, {options.seeds} seeds"
        )
        chosen = dict(OPTIONS.get(name, {}))
        runs = {}
        for kind, make in makers(options.dimensions).items():
            content = features if kind.startswith("VBPR") else {}
            if options.only and not kind.startswith(options.only):
                continue
            if kind.startswith("LightGCN") and find_spec("dgl") is None:
                print(f"{kind}: left out, dgl is not installed")
                continue
            if options.tune:
                grid = {**GRIDS[kind], "seed": [0]}
                best, tried = tune(make, grid, split, content, k=K)
                chosen[kind] = {option: best[option] for option in GRIDS[kind]}
                print(f"{kind}: {chosen[kind]}, of\n{tried.round(4).to_string()}")
                continue
            runs[kind] = pd.DataFrame(
                measure(lambda: make(seed=seed, **chosen.get(kind, {})), split, content)  # noqa: B023
                for seed in range(options.seeds)
            )
        if runs:
            table(runs)
            rows += rows_of(name, runs)
    if rows:
        about = machine("cornac", "torch", "tensorflow", "keras")
        tell("recommenders", rows, f"{about}; {limits()}", options.csv)


if __name__ == "__main__":
    main()
