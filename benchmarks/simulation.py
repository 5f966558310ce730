"""Data that are made: the shop from nothing, and many shoppers in a large catalogue.

    python benchmarks/simulation.py
    python benchmarks/simulation.py --users 10000 --items 1000    # a smaller one

There is no peer: nobody else makes these data. Beside ours stands what cannot be done without:
drawing the random numbers that the shelves and the choices are made of, on as many threads. Time
and memory of a simulation are those of one call in a process of its own. How both grow is measured
over a decade of shoppers, and over a decade of items.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from side_by_side import Row, alone, alternate, limits, machine, memory_of, tell

from mmtutorial import datasets
from mmtutorial.datasets.simulated.shoppers import simulate, stream

SHOWN = 120  # items on a shelf
MEAN = 24.0  # visits a shopper


def shop_from_nothing(folder: Path) -> datasets.Dataset:
    """Make the shop with an empty cache."""
    os.environ["MMTUTORIAL_CACHE"] = tempfile.mkdtemp(dir=folder)
    return datasets.shop()


def catalogue(n_items: int) -> pd.DataFrame:
    """Draw items of eight kinds and eight voices."""
    draw = stream(0, "benchmark")
    return pd.DataFrame(
        {
            "item": [f"p{number}" for number in range(n_items)],
            "image_attribute": draw.choice(list("abcdefgh"), n_items),
            "audio_attribute": draw.choice(list("klmnopqr"), n_items),
            "text_attribute": draw.standard_normal(n_items),
        }
    )


def simulated(n_users: int, n_items: int) -> tuple[float, float | None, int]:
    """Simulate once; return the seconds, the MiB needed, and how many purchases came of it."""
    items = catalogue(n_items)
    simulate(items, n_users=10)  # what is imported late is imported
    found: list[float] = []

    def call() -> None:
        started = time.perf_counter()
        purchases, _ = simulate(items, n_users=n_users, mean_interactions=MEAN, shown=SHOWN)
        found.extend((time.perf_counter() - started, len(purchases)))

    memory = memory_of(call)
    return found[0], memory, int(found[1])


def numbers(n_purchases: int, n_threads: int) -> float:
    """Draw as many numbers as the shelves and choices of so many purchases; return the seconds."""
    rows = 4096
    passes = max(1, n_purchases // rows)

    def draw(generator: np.random.Generator) -> None:
        generator.random((rows, SHOWN))
        generator.gumbel(size=(rows, SHOWN))

    started = time.perf_counter()
    Parallel(n_jobs=n_threads, prefer="threads")(
        delayed(draw)(each) for each in np.random.default_rng(0).spawn(passes)
    )
    return time.perf_counter() - started


def main() -> None:
    """Measure each, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3, help="turns of the shop and of the limit")
    parser.add_argument("--csv", help="a file to put the table into")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        shop = alternate({"ours": lambda: shop_from_nothing(Path(folder))}, options.repeats)
    case = "the shop, from nothing"
    rows = [Row(case, "ours", shop["ours"]), Row(case, "bar", [10.0])]

    threads = min(cpu_count(), 4)
    seconds, memory, n_purchases = alone(simulated, options.users, options.items)
    if not n_purchases > options.users:
        raise SystemExit(f"{n_purchases} purchases of {options.users} shoppers: nothing to time")
    case = (
        f"{options.users:,} shoppers, {options.items:,} items, {n_purchases:,} purchases, "
        f"{threads} threads (the bar of memory: 2 GB)"
    )
    bare = [numbers(n_purchases, threads) for _ in range(options.repeats)]
    rows += [
        Row(case, "ours", [seconds], memory=memory),
        Row(case, "bar", [60.0]),
        Row(case, "limit: drawing the random numbers", bare),
    ]

    few_users, few_items = options.users // 10, options.items // 10
    for size in (few_users, options.users):
        seconds, memory, _ = alone(simulated, size, few_items)
        case = f"{few_items:,} items, growing number of shoppers"
        rows.append(Row(case, "ours", [seconds], size, memory))
    for size in (few_items, options.items):
        seconds, memory, _ = alone(simulated, few_users, size)
        case = f"{few_users:,} shoppers, growing number of items"
        rows.append(Row(case, "ours", [seconds], size, memory))
    tell("simulation", rows, f"{machine('pandas')}; {limits()}", options.csv)


if __name__ == "__main__":
    main()
