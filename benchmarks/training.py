"""Training: the two towers against the article's own loop, in interactions a second.

    python benchmarks/training.py                       # shop, 256 and 2048 choices a step
    python benchmarks/training.py --items 400 --users 300 --batches 512

Both learn from the same training part and read the same words, pixels and frames; the LSTMs of both
have 32 units. The article's loop (section 5.2) passes the content of one item through its encoders
for each interaction that it learns to predict. The towers pass each item through theirs once a
step, and a step predicts what is held out of several users' histories: as many users as make
the batches equal, in choices predicted a step. Choices are what is counted for both; what the
towers only read, the larger part of each history, is not. Both losses are taken: the softmax over
the catalogue encodes every item each step, the one over the batch only the batch's. So the larger
the batch is beside the catalogue, the more the towers gain; 2048 choices are about what their
default of 512 users predicts on this data.

The towers with ready-made features in place of media are in the table too, beside the same loop.

Both make their batches while the clock runs. The first epochs, in which TensorFlow traces, do not
count; the two take turns, and the medians over all other epochs are printed.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from mmtutorial import datasets, two_tower
from mmtutorial.article import ArticleNetwork
from mmtutorial.evaluation import cold_items, default_split
from mmtutorial.preprocessing.catalogue import raw_features, ready_features
from mmtutorial.preprocessing.interactions import Interactions
from mmtutorial.recommender import Features
from mmtutorial.two_tower import LOSSES, TwoTower, _Batches

UNITS = 32
WARM = 2  # epochs after which a step is not traced anew


class Timed(_Batches):
    """Batches that note when an epoch begins."""

    begun: ClassVar[list[float]] = []

    def epoch(self) -> Iterator[tuple[Any, ...]]:
        """Note the time, and go on."""
        self.begun.append(time.perf_counter())
        return super().epoch()


def time_towers(options: dict[str, Any], train: Interactions, features: Features) -> list[float]:
    """Return the seconds of each epoch after the first ones."""
    Timed.begun.clear()
    TwoTower(units=UNITS, dimensions=UNITS, **options).fit(train, features)
    return np.diff(Timed.begun)[WARM:].tolist()


def time_article(epochs: int, batch: int, train: Interactions, features: Features) -> list[float]:
    """Return the seconds of each epoch after the first one, which `fit` takes."""
    network = ArticleNetwork(UNITS, UNITS, 1, batch, verbose=0).fit(train, features)
    examples = network._examples(train.next_pairs(), shuffle=True)
    seconds = []
    for _ in range(epochs):
        started = time.perf_counter()
        network.model.fit(examples, shuffle=False, verbose=0)
        seconds.append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--items", type=int, help="of the shop; its own number without it")
    parser.add_argument("--users", type=int, help="of the shop; its own number without it")
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 2048])
    parser.add_argument("--epochs", type=int, default=3, help="timed in each turn")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    sizes = {"n_items": options.items, "n_users": options.users}
    data = datasets.load("shop", **{name: size for name, size in sizes.items() if size})
    split = default_split(data)
    train, known = split.train, ~cold_items(split)
    raw, _ = raw_features(data, known)
    ready, _ = ready_features(data, known)
    histories = train.matrix.sum(axis=1)
    held_out = 1 - np.mean(TwoTower().kept)  # the share of a history that an epoch predicts
    choices = {"article": len(train.next_pairs()[0]), "towers": held_out * histories.sum()}
    a_user = held_out * histories[histories > 0].mean()
    print(
        f"shop: {train.n_items:,} items, {np.count_nonzero(histories):,} users, "
        f"{len(train):,} training interactions; an epoch predicts {choices['article']:,} in the "
        f"article's loop, about {choices['towers']:,.0f} in the towers"
    )
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"TensorFlow {version('tensorflow')}, Keras {version('keras')}; "
        f"medians of {options.repeats} turns"
    )
    two_tower._Batches = Timed  # type: ignore[misc]
    epochs = WARM + options.epochs + 1  # the last one's end is not noted
    for batch in options.batches:
        users = max(1, round(batch / a_user))

        found: dict[str, list[float]] = {}
        for _ in range(options.repeats):
            spent = {"article's loop, media": time_article(options.epochs, batch, train, raw)}
            for kind, features in (("media", raw), ("ready-made features", ready)):
                for loss in LOSSES:
                    chosen = {"loss": loss, "batch_size": users, "epochs": epochs}
                    spent[f"towers, {kind}, {loss}"] = time_towers(chosen, train, features)
            for name, seconds in spent.items():
                predicted = choices["article" if name.startswith("article") else "towers"]
                found.setdefault(name, []).extend(predicted / np.array(seconds))
        print(f"\n{batch:,} choices a step (towers: {users:,} users)")
        base = statistics.median(found["article's loop, media"])
        for name, rates in found.items():
            rate = statistics.median(rates)
            print(f"  {name:40} {rate:10,.0f} interactions/s  {rate / base:6.1f}×", flush=True)


if __name__ == "__main__":
    main()
