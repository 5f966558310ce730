"""Retrieval: `Index` against faiss, exactly, and its approximate search against its exact one.

    python benchmarks/retrieval.py                     # all
    python benchmarks/retrieval.py --items 2000 --approximate-items 20000 --repeats 3    # to try it

*Exact*: the ten best of random vectors by inner product, against faiss's `IndexFlatIP`, for 1, 64
and 1,024 queries at a time. Before anything is timed both must give the same scores to 1e-4, and
the same items wherever these differ by more. Both have the same number of threads: one, then as
many as there are cores. *The limit* is the bare product of queries and items.

Both multiply by OpenBLAS, each by a copy of its own. An older copy may not know the processor and
fall back on slow code; so, if faiss's has chosen other code than NumPy's, this script starts itself
anew with NumPy's choice for both (OPENBLAS_CORETYPE), and the table says which that is.

*Approximate*: vectors around centres, as learnt ones are (random ones without any structure cannot
be sorted into lists); the share of the true ten best that is found, against time, over the number
of lists looked through.

*Growth*: ours over numbers of items, each in a process of its own, with the memory that it needs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from functools import partial

import faiss
import numpy as np
from side_by_side import Row, alone, alternate, cores, limits, machine, memory_of, profile, tell
from threadpoolctl import threadpool_info, threadpool_limits

from mmtutorial.recommenders.index import Index

K, DIMENSIONS, BAR = 10, 64, 1 / 1.5  # ours takes at most 1.5 times faiss's time
BATCHES = (1, 64, 1024)
GROWING = (10_000, 30_000, 100_000, 300_000, 1_000_000)  # items
PROBED = (1, 4, 16, 64)


def kernels() -> dict[str, str]:
    """Return which code each copy of OpenBLAS has chosen for this processor."""
    found = [each for each in threadpool_info() if each["internal_api"] == "openblas"]
    return {
        "faiss" if "faiss" in each["filepath"] else "numpy": each.get("architecture", "unknown")
        for each in found
    }


def same_kernels() -> None:
    """Start anew where faiss's OpenBLAS does not know the processor and NumPy's does."""
    chosen = kernels()
    differ = "faiss" in chosen and "numpy" in chosen and chosen["faiss"] != chosen["numpy"]
    if differ and "OPENBLAS_CORETYPE" not in os.environ:
        os.environ["OPENBLAS_CORETYPE"] = chosen["numpy"]
        os.execv(sys.executable, [sys.executable, *sys.argv])


def random_vectors(n: int, seed: int) -> np.ndarray:
    """Draw float32 (n, 64)."""
    return np.random.default_rng(seed).normal(size=(n, DIMENSIONS)).astype("float32")


def agree(ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray]) -> None:
    """Refuse to go on if the scores differ, or items other than by near ties."""
    (our_rows, our_scores), (their_scores, their_rows) = ours, theirs
    if not np.allclose(our_scores, their_scores, rtol=0, atol=1e-4):
        raise SystemExit(f"scores differ by {np.abs(our_scores - their_scores).max():.1e}")
    query, place = np.nonzero(our_rows != their_rows)
    clear = np.ones(our_rows.shape, dtype=bool)
    gaps = our_scores[:, :-1] - our_scores[:, 1:] < 2e-4
    clear[:, :-1] &= ~gaps
    clear[:, 1:] &= ~gaps
    clear[:, -1] = False  # its rival may stand just behind the list
    if clear[query, place].any():
        raise SystemExit("the lists differ in items whose scores are not nearly equal")


def exact(n_items: int, n_threads: int, repeats: int) -> list[Row]:
    """Time exact search of both."""
    items = random_vectors(n_items, 0)
    index, flat = Index(items), faiss.IndexFlatIP(DIMENSIONS)
    flat.add(items)
    faiss.omp_set_num_threads(n_threads)
    rows = []
    with threadpool_limits(n_threads):
        for n_queries in BATCHES:
            queries = random_vectors(n_queries, 1)
            agree(index.search(queries, K), flat.search(queries, K))
            times = alternate(
                {
                    "ours": lambda: index.search(queries, K),  # noqa: B023 — called in this turn
                    "faiss, IndexFlatIP": lambda: flat.search(queries, K),  # noqa: B023
                    "limit: the bare product": lambda: queries @ items.T,  # noqa: B023
                },
                repeats if n_queries > 64 else 10 * repeats,
            )
            asked = "1 query" if n_queries == 1 else f"{n_queries:,} queries"
            case = f"exact: {asked}, {n_items:,} items, {n_threads} thread(s)"
            rows += [
                Row(case, name, seconds, bar=BAR if name.startswith("faiss") else None)
                for name, seconds in times.items()
            ]
            if n_queries == 1:  # where ours is furthest from the product
                rows += profile(case, lambda: [index.search(queries, K) for _ in range(500)])  # noqa: B023
    return rows


def clustered(n: int, seed: int, centres: np.ndarray) -> np.ndarray:
    """Draw float32 (n, 64) around some of the centres."""
    generator = np.random.default_rng(seed)
    vectors = centres[generator.integers(len(centres), size=n)]
    return vectors + generator.normal(size=vectors.shape, scale=0.5).astype("float32")


def approximate(n_items: int, n_queries: int, repeats: int) -> list[Row]:
    """Measure recall and time of ever more lists, beside exact search."""
    centres = random_vectors(1000, 2)
    items, queries = clustered(n_items, 3, centres), clustered(n_queries, 4, centres)
    exactly = Index(items)
    started = time.perf_counter()
    index = Index(items, approximate=True)
    building = time.perf_counter() - started
    best, _ = exactly.search(queries, K)

    def near(probed: int) -> np.ndarray:
        index.probed = probed
        return index.search(queries, K)[0]

    contenders = {"ours, exact": lambda: exactly.search(queries, K)[0]}
    contenders |= {f"ours, {probed} lists": partial(near, probed) for probed in PROBED}
    recalls = {
        name: np.mean([np.isin(a, b).mean() for a, b in zip(best, search(), strict=True)])
        for name, search in contenders.items()
    }
    times = alternate(contenders, repeats)
    case = f"approximate: {n_queries:,} queries, {n_items:,} items; recall of the ten best"
    rows = [
        Row(case, name, seconds, quality=float(recalls[name])) for name, seconds in times.items()
    ]
    return [*rows, Row(f"approximate: building, {n_items:,} items", "ours", [building])]


def ours_alone(n_items: int, n_queries: int) -> tuple[float, float | None]:
    """Search twice; return the seconds of the second time, and the MiB that the first needed."""
    index, queries = Index(random_vectors(n_items, 0)), random_vectors(n_queries, 1)
    memory = memory_of(lambda: index.search(queries, K))
    return alternate({"ours": lambda: index.search(queries, K)}, 1)["ours"][0], memory


def grow(n_queries: int, sizes: Sequence[int]) -> list[Row]:
    """Measure ours with more and more items."""
    case = f"exact: {n_queries:,} queries, growing number of items"
    measured = {n_items: alone(ours_alone, n_items, n_queries) for n_items in sizes}
    return [Row(case, "ours", [s], n_items, memory) for n_items, (s, memory) in measured.items()]


def main() -> None:
    """Check that both agree, time them in turn, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--approximate-items", type=int, default=1_000_000)
    parser.add_argument("--grow-to", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5, help="turns of the longest searches")
    parser.add_argument("--csv", help="a file to put the table into")
    options = parser.parse_args()

    same_kernels()
    rows = []
    for n_items in options.items:
        for n_threads in sorted({1, cores()}):
            rows += exact(n_items, n_threads, options.repeats)
    rows += approximate(options.approximate_items, 256, options.repeats)
    rows += grow(256, [size for size in GROWING if size <= options.grow_to])
    chosen = ", ".join(f"{library} {code}" for library, code in kernels().items())
    about = f"{machine('faiss-cpu')}; OpenBLAS's code: {chosen}; {limits()}"
    tell("retrieval", rows, about, options.csv)


if __name__ == "__main__":
    main()
