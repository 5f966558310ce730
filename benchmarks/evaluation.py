"""Full-ranking evaluation: `evaluate` against Cornac's and ranx's, and against its own limit.

    pip install -e ".[benchmarks]"
    python benchmarks/evaluation.py                       # 10,000 users × 10,000 items × 64
    python benchmarks/evaluation.py --users 1000 --items 2000
    python benchmarks/evaluation.py --grow                # ours over two decades of users, too

Scores are products of random vectors, the same for all. Each user has 20 items to leave out and 5
to find. NDCG@10, recall@10 and hit rate@10, and for ours item and user coverage@10 and all other
measures that `evaluate` always computes. Whether all agree is checked before anything is timed: to
1e-6 in each measure's mean.

*Cornac* ranks user after user. Its time is taken on ``--cornac-users`` of the users and given for
all in proportion, since nothing is shared between users. *ranx* ranks nothing: it is given the 100
best of each user, as its own object, made before the clock starts; ours starts from the same 100
scores a user. *The limit* is what no full ranking can do without: the product of the vectors and
one partial selection.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping

import numpy as np
import pandas as pd
from side_by_side import Row, alone, alternate, limits, machine, memory_of, profile, tell

from mmtutorial.evaluation import Split, evaluate
from mmtutorial.interactions import Interactions
from mmtutorial.metrics import hit_rate, ndcg, recall
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features
from mmtutorial.recommenders.ranking import top_k

K, SEEN, WANTED, BEST, BLOCK = 10, 20, 5, 100, 1024
GROWING = (1_000, 3_000, 10_000, 30_000, 100_000)  # users
MEASURES = {"ndcg": ndcg, "recall": recall, "hit_rate": hit_rate}


class Products(Recommender):
    """Scores that are products of given vectors."""

    def __init__(self, users: np.ndarray, items: np.ndarray) -> None:
        self.vectors = users, items
        self.name = "products"

    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        """Nothing is learnt."""

    def _score(self, users: np.ndarray) -> np.ndarray:
        return self.vectors[0][users] @ self.vectors[1].T


def make(n_users: int, n_items: int, dimensions: int) -> tuple[Products, Split]:
    """Draw vectors, and for each user the items to leave out and those to find."""
    generator = np.random.default_rng(0)
    vectors = [generator.normal(size=(n, dimensions)).astype("float32") for n in (n_users, n_items)]
    taken = generator.integers(n_items, size=(n_users, 3 * (SEEN + WANTED)))
    users = np.repeat(np.arange(n_users), taken.shape[1])
    log = pd.DataFrame({"user": users, "item": taken.ravel()}).drop_duplicates()
    place = log.groupby("user").cumcount()
    ids = [np.arange(n).astype(str) for n in (n_users, n_items)]

    def part(first: int, last: int) -> Interactions:
        chosen = log[place.between(first, last - 1)].assign(timestamp=first)
        chosen = chosen.assign(row=np.arange(len(chosen)))
        return Interactions(chosen.reset_index(drop=True), *ids)

    train, test = part(0, SEEN), part(SEEN, SEEN + WANTED)
    split = Split("products", train, part(0, 0), test)
    recommender = Products(*vectors)
    recommender.fit(train)
    return recommender, split


def limit(recommender: Products, n_users: int) -> None:
    """Multiply and select, and nothing else."""
    for start in range(0, n_users, BLOCK):
        scores = recommender._score(np.arange(start, min(start + BLOCK, n_users)))
        np.argpartition(scores, -K, axis=1)[:, -K:]


def cornac(recommender: Products, split: Split, n_users: int) -> dict[str, float]:
    """Evaluate some of the users with Cornac."""
    from cornac.data import Dataset
    from cornac.eval_methods.base_method import ranking_eval
    from cornac.metrics import NDCG, HitRatio, Recall
    from cornac.models import Recommender as Model

    users, items = recommender.vectors
    ids = [{row: row for row in range(len(each))} for each in (users, items)]

    def dataset(part: Interactions) -> Dataset:
        log = part.log[part.log["user"] < n_users]
        triples = [(u, i, 1.0) for u, i in zip(log["user"], log["item"], strict=True)]
        return Dataset.build(triples, global_uid_map=ids[0], global_iid_map=ids[1])

    class Scorer(Model):
        def score(self, user_idx: int, item_idx: int | None = None) -> np.ndarray:
            scores = items @ users[user_idx]
            return scores if item_idx is None else scores[item_idx]

    train, test = dataset(split.train), dataset(split.test)
    model = Scorer("products", trainable=False).fit(train)
    started = time.perf_counter()
    means, _ = ranking_eval(model, [NDCG(K), Recall(K), HitRatio(K)], train, test)
    seconds = time.perf_counter() - started
    return {**dict(zip(MEASURES, means, strict=True)), "seconds": seconds}


def candidates(recommender: Products, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return the best items of each user, in random order, and their scores."""
    found = []
    for rows in np.array_split(split.test_users, max(1, len(split.test_users) // BLOCK)):
        scores = recommender.score(rows)
        items = top_k(scores, BEST, split.train.matrix[rows])
        found.append((items, np.take_along_axis(scores, items, axis=1)))
    items, scores = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.random.default_rng(1).permuted(np.broadcast_to(np.arange(BEST), items.shape), axis=1)
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(scores, order, axis=1)


def agree(ours: Mapping[str, float], theirs: Mapping[str, float], whose: str) -> None:
    """Refuse to go on if means differ."""
    for name in MEASURES:
        if not abs(ours[name] - theirs[name]) < 1e-6:
            raise SystemExit(f"{name}: ours {ours[name]:.8f}, {whose} {theirs[name]:.8f}")


def ours_alone(n_users: int, n_items: int, dimensions: int) -> tuple[float, float | None]:
    """Evaluate twice; return the seconds of the second time, and the MiB that the first needed."""
    recommender, split = make(n_users, n_items, dimensions)

    def call() -> object:
        return evaluate(recommender, split, K)

    memory, started = memory_of(call), time.perf_counter()
    call()
    return time.perf_counter() - started, memory


def grow(n_items: int, dimensions: int) -> list[Row]:
    """Measure ours with more and more users, each in a process of its own, to know its memory."""
    case = f"full ranking of {n_items:,} items, growing number of users"
    rows = []
    for n_users in GROWING:
        seconds, memory = alone(ours_alone, n_users, n_items, dimensions)
        rows.append(Row(case, "ours", [seconds], n_users, memory))
    return rows


def main() -> None:
    """Check that all agree, time them in turn, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cornac-users", type=int, default=500)
    parser.add_argument("--csv", help="a file to add the table to")
    parser.add_argument("--grow", action="store_true", help="ours over numbers of users, too")
    options = parser.parse_args()

    recommender, split = make(options.users, options.items, options.dimensions)
    from ranx import Qrels, Run
    from ranx import evaluate as ranx_evaluate

    ours = evaluate(recommender, split, K).per_user
    some = min(options.cornac_users, options.users)
    theirs = cornac(recommender, split, some)
    agree(ours.loc[ours.index < some].mean(), theirs, "Cornac")

    items, scores = candidates(recommender, split)
    relevant = split.test.matrix[split.test_users]
    names = [str(user) for user in split.test_users]
    qrels = Qrels({
        user: dict.fromkeys(map(str, relevant.indices[start:end]), 1)
        for user, start, end in zip(names, relevant.indptr[:-1], relevant.indptr[1:], strict=True)
    })  # fmt: skip
    run = Run({
        user: dict(zip(map(str, row), map(float, values), strict=True))
        for user, row, values in zip(names, items, scores, strict=True)
    })  # fmt: skip
    wanted = [f"ndcg@{K}", f"recall@{K}", f"hit_rate@{K}"]

    def by_ranx() -> dict[str, float]:
        found = ranx_evaluate(qrels, run, wanted, make_comparable=False)
        return dict(zip(MEASURES, found.values(), strict=True))

    def by_ours() -> dict[str, float]:
        ranked = np.take_along_axis(items, top_k(scores, K), axis=1)
        return {name: float(each(ranked, relevant).mean()) for name, each in MEASURES.items()}

    agree(ours.mean(), by_ranx(), "ranx")
    agree(ours.mean(), by_ours(), "ours from candidates")
    times = alternate(
        {
            "evaluate": lambda: evaluate(recommender, split, K),
            "the limit": lambda: limit(recommender, options.users),
            "ours": by_ours,
            "ranx": by_ranx,
        },
        options.repeats,
    )
    factor = options.users / some
    again = [
        factor * cornac(recommender, split, some)["seconds"] for _ in range(options.repeats)
    ]  # fmt: skip
    ranking = (
        f"full ranking: {options.users:,} users, {options.items:,} items, "
        f"{options.dimensions} dimensions"
    )
    measuring = f"from the scores of {BEST} candidates a user"
    rows = [
        Row(ranking, "ours", times["evaluate"]),
        Row(ranking, "limit: the product and one partial selection", times["the limit"]),
        Row(ranking, f"Cornac (by {some:,} users)", again, bar=20.0),
        *profile(ranking, lambda: evaluate(recommender, split, K)),
        Row(measuring, "ours", times["ours"]),
        Row(measuring, "ranx", times["ranx"], bar=5.0),
    ]
    if options.grow:
        rows += grow(options.items, options.dimensions)
    about = machine("scipy", "cornac", "ranx", "numba")
    tell("evaluation", rows, f"{about}; {limits()}", options.csv)


if __name__ == "__main__":
    main()
