"""Training: the two towers against the article's own loop, and against Cornac's VBPR.

    pip install -e ".[benchmarks]"
    python benchmarks/training.py                       # garments, 256 and 2048 choices a step
    python benchmarks/training.py shop --items 400 --users 300 --batches 512

*Interactions a second.* Both learn from the same training part and read the same words, pixels and
frames; the LSTMs of both have 32 units. The article's loop (section 5.2) passes the content of one
item through its encoders for each interaction that it learns to predict. The towers pass each item
through theirs once a step, and a step predicts what is held out of several users' histories: as
many users as make the batches equal, in choices predicted a step. Choices are what is counted for
both; what the towers only read, the larger part of each history, is not. Both losses are taken: the
softmax over the catalogue encodes every item each step, the one over the batch only the batch's. So
the larger the batch is beside the catalogue, the more the towers gain; 2048 choices are about what
their default of 512 users predicts on this data. The towers with ready-made features in place of
media are in the table too, beside the same loop. Both make their batches while the clock runs. A
turn has eight steps, or an epoch where that is less; the first turns, in which TensorFlow traces,
do not count.

*To the same quality.* Whole trainings: what the peer reaches in NDCG@10 on the validation part is
the goal, and ours learns as many steps as it needs to reach it. These are found in trainings that
do not count; the same seed gives the same weights again. All of `fit` is timed: making the network,
tracing, and looking at the validation part after each epoch of ours; importing TensorFlow is not.
The peers are the article's network, on media, in its ten epochs with batches of 32, and Cornac's
VBPR, on the same ready-made features and with 64 dimensions as ours. Cornac's has the options that
were chosen for it on validation (`recommenders.OPTIONS`; those of shop for garments, whose shoppers
are simulated likewise) and, by PyTorch, one thread: its batches of 100 are too small to be shared
out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from side_by_side import Row, alternate, limits, machine, parts, tell

from mmtutorial import datasets
from mmtutorial.article import EPOCHS, ArticleNetwork
from mmtutorial.evaluation import Split, cold_items, default_split, evaluate
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.features import raw_features, ready_features
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features
from mmtutorial.recommenders.two_tower import LOSSES, TwoTower, modality_encoder, recommender
from mmtutorial.recommenders.two_tower.batches import Batch, Batches

UNITS = 32
WARM = 1  # the turn in which the step is traced
STEPS = 8  # of a turn, at most: an epoch of media takes a minute
BAR = 5  # the article's loop takes at least five times as long for as many interactions
COUNTED = 1000  # interactions whose time is told
DOUBLED = (100, 200, 400, 800, 1600)  # steps tried to find how many reach a peer's quality


class Timed(Batches):
    """Batches, in turns of a few, with the seconds that each predicted choice took."""

    taken: ClassVar[list[float]] = []
    predicted: ClassVar[list[float]] = []  # choices a step

    def draw(self, n_batches: int) -> Iterator[Batch]:
        """Go through a few batches; the next one is asked for when the last has been learnt."""
        started, choices = time.perf_counter(), []
        for batch in super().draw(n_batches):
            choices.append(len(batch.choices.users))
            yield batch
        self.taken.append((time.perf_counter() - started) / sum(choices))
        self.predicted.append(float(np.mean(choices)))


def quality(recommender: Recommender, split: Split) -> float:
    """Return NDCG@10 on the validation part."""
    found = evaluate(recommender, split, k=10, part="validation")
    return float(found.per_user["ndcg"].mean())


def time_towers(options: dict[str, Any], train: Interactions, features: Features) -> list[float]:
    """Return the seconds that a choice takes, in each turn but the first."""
    Timed.taken.clear()
    TwoTower(units=UNITS, dimensions=UNITS, **options).fit(train, features)
    return Timed.taken[WARM:]


def time_article(turns: int, batch: int, train: Interactions, features: Features) -> list[float]:
    """Return the seconds that a choice takes, in each turn after an epoch that `fit` takes."""
    network = ArticleNetwork(UNITS, UNITS, 1, batch, verbose=0).fit(train, features)
    pairs = train.next_pairs()
    some = network._examples(pairs, range(1)).take(STEPS)
    seconds = []
    for _ in range(turns):
        started = time.perf_counter()
        network.model.fit(some, shuffle=False, verbose=0)
        seconds.append((time.perf_counter() - started) / min(STEPS * batch, len(pairs[0])))
    return seconds


def turns(timed: int) -> dict[str, int]:
    """Return the options of a training of so many turns, and that in which the step is traced."""
    return {"steps": STEPS * (WARM + timed), "validate_every": STEPS}


def users_of(batch: int, train: Interactions) -> int:
    """Return of how many users a step predicts so many choices."""
    histories = train.matrix.sum(axis=1)
    held_out = 1 - np.mean(TwoTower().kept)  # the share of a history that an epoch predicts
    return max(1, round(batch / (held_out * histories[histories > 0].mean())))


def a_step(dataset: str, train: Interactions, raw: Features, batch: int, timed: int) -> list[Row]:
    """Say where a step of the towers spends its time: in which encoder, there and back."""
    import tensorflow as tf

    recommender.Batches = Timed  # type: ignore[misc]
    options = {"loss": "full", "batch_size": users_of(batch, train), **turns(timed)}
    Timed.predicted.clear()
    seconds = time_towers(options, train, raw)
    recommender.Batches = Batches  # type: ignore[misc]
    choices = float(np.mean(Timed.predicted))
    step = choices * float(np.median(seconds))
    case = f"{dataset}: a step of {choices:,.0f} choices, full softmax, {train.n_items:,} items"
    spent = {}
    for name, array in raw.items():
        encoder = modality_encoder(name, array, UNITS)
        content = tf.constant(array)

        @tf.function
        def there_and_back(encoder: Any = encoder, content: Any = content) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(encoder(content, training=True) ** 2)
            return tape.gradient(loss, [weight.value for weight in encoder.trainable_weights])

        taken = alternate({name: there_and_back}, timed * STEPS)[name]
        spent[f"the {name} encoder"] = float(np.median(taken))
    spent["all else"] = max(0.0, step - sum(spent.values()))
    return [Row(case, "ours, towers", [choices * each for each in seconds]), *parts(case, spent)]


def rates(
    dataset: str,
    train: Interactions,
    raw: Features,
    ready: Features,
    batches: list[int],
    timed: int,
    repeats: int,
) -> list[Row]:
    """Time steps of the towers and of the article's loop, in turns."""
    recommender.Batches = Timed  # type: ignore[misc]
    rows = []
    for batch in batches:
        users = users_of(batch, train)
        article: list[float] = []
        towers: dict[tuple[str, str], list[float]] = {}
        for _ in range(repeats):
            article += time_article(timed, batch, train, raw)
            for kind, features in (("media", raw), ("ready-made features", ready)):
                for loss in LOSSES:
                    chosen = {"loss": loss, "batch_size": users, **turns(timed)}
                    spent = towers.setdefault((kind, loss), [])
                    spent += time_towers(chosen, train, features)
        for (kind, loss), seconds in towers.items():
            case = f"{dataset}: {COUNTED:,} interactions, {batch:,} a step, {loss} softmax, {kind}"
            same = kind == "media"
            peer = "the article's loop" + ("" if same else ", media")
            rows += [
                Row(case, f"ours, towers of {users:,} users", [COUNTED * s for s in seconds]),
                Row(case, peer, [COUNTED * s for s in article], bar=BAR if same else None),
            ]
        print(f"{batch:,} a step: timed", flush=True)
    recommender.Batches = Batches  # type: ignore[misc]
    return rows


def race(
    case: str,
    peer: str,
    theirs: Callable[[], Recommender],
    ours: Callable[[int], TwoTower],
    split: Split,
    repeats: int,
    bar: float | None = None,
) -> list[Row]:
    """Time whole trainings, of theirs as it is, of ours in as many steps as reach its quality."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}

    def timed(name: str, fit: Callable[[], Recommender]) -> Recommender:
        started = time.perf_counter()
        fitted = fit()
        times[name].append(time.perf_counter() - started)
        return fitted

    goal = quality(timed("theirs", theirs), split)
    print(f"{case}: {peer} reaches {goal:.4f} in {times['theirs'][0]:.0f} s", flush=True)
    steps, reached, every = 0, np.zeros(0), TwoTower().validate_every
    for most in DOUBLED:
        curve = np.array(ours(most).history["validation_ndcg"])
        reached = np.maximum.accumulate(curve)
        steps = every * (1 + int(np.argmax(reached >= min(goal, reached[-1]))))
        if reached[-1] >= goal:
            break
    for turn in range(repeats):
        timed("ours", lambda: ours(steps))
        if turn:
            timed("theirs", theirs)
    best = float(reached[steps // every - 1])
    return [
        Row(case, f"ours, towers, {steps} steps", times["ours"], quality=best),
        Row(case, peer, times["theirs"], quality=goal, bar=bar),
    ]


def article_race(dataset: str, split: Split, raw: Features, repeats: int) -> list[Row]:
    """Train the towers to what the article's network reaches, from media."""
    return race(
        f"{dataset}: fit on media to NDCG@10 of validation",
        f"the article's network, {EPOCHS} epochs",
        lambda: ArticleNetwork(UNITS, UNITS, EPOCHS, verbose=0).fit(split.train, raw),
        lambda steps: TwoTower(units=UNITS, dimensions=UNITS, steps=steps, patience=steps).fit(
            split.train, raw, split.validation
        ),
        split,
        repeats,
    )


def cornac_race(dataset: str, split: Split, ready: Features, repeats: int) -> list[Row]:
    """Train the towers to what Cornac's VBPR reaches, from ready-made features."""
    import torch
    from cornac import models
    from recommenders import OPTIONS, Cornac

    torch.set_num_threads(1)
    options = OPTIONS.get(dataset, OPTIONS["shop"])["VBPR, Cornac"]

    def theirs() -> Recommender:
        vbpr = models.VBPR(k=64, k2=64, verbose=False, seed=0, **options)
        return Cornac(vbpr).fit(split.train, ready)

    return race(
        f"{dataset}: fit on ready-made features to NDCG@10 of validation",
        "Cornac's VBPR, 1 thread",
        theirs,
        lambda steps: TwoTower(steps=steps, patience=steps).fit(
            split.train, ready, split.validation
        ),
        split,
        repeats,
        bar=1,
    )


def main() -> None:
    """Time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("dataset", nargs="?", default="garments", help="garments or shop")
    parser.add_argument("--items", type=int, help="of the data set; its own number without it")
    parser.add_argument("--users", type=int, help="of the data set; its own number without it")
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 2048])
    parser.add_argument("--turns", type=int, default=3, help="timed in each training")
    parser.add_argument("--repeats", type=int, default=2, help="trainings of each")
    parser.add_argument("--races", type=int, default=2, help="turns of whole trainings on features")
    parser.add_argument("--step", action="store_true", help="only where a step's time goes")
    parser.add_argument("--csv", help="a file to put the table into")
    options = parser.parse_args()

    name, repeats = options.dataset, options.repeats
    sizes = {"n_items": options.items, "n_users": options.users}
    data = datasets.load(name, **{name: size for name, size in sizes.items() if size})
    split = default_split(data)
    known = ~cold_items(split)
    raw, _ = raw_features(data, known)
    ready, _ = ready_features(data, known)
    rows = a_step(name, split.train, raw, max(options.batches), options.turns)
    if not options.step:
        rows += rates(name, split.train, raw, ready, options.batches, options.turns, repeats)
        rows += article_race(name, split, raw, 1)
        rows += cornac_race(name, split, ready, options.races)
    about = machine("tensorflow", "keras", "cornac", "torch")
    tell("training", rows, f"{about}; {limits()}", options.csv)


if __name__ == "__main__":
    main()
