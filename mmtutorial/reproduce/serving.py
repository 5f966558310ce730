"""What it costs to serve from a saved recommender, measured by a fresh process on one thread.

``python -m mmtutorial.reproduce.serving FOLDER FEATURES`` prints one line of JSON; `served` saves a
recommender, runs that, and adds the bytes on disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mmtutorial.memory import peak_memory
from mmtutorial.recommenders import Recommender
from mmtutorial.reproduce.threads import ONE_THREAD
from mmtutorial.storage.arrays import read_arrays
from mmtutorial.storage.digests import PACKAGE

REQUESTS, ROUNDS, NEW = 200, 5, 20  # users and rounds, each user alone; new items, each alone


def served(
    recommender: Recommender, features: Mapping[str, np.ndarray] | None = None
) -> dict[str, float]:
    """Save a fitted recommender, and measure in a fresh process what serving from it costs.

    Parameters
    ----------
    recommender : Recommender
        One that can be saved.
    features : mapping, optional
        float (n_items, d) each: what `item_vectors` encodes new items from.

    Returns
    -------
    dict
        "bytes" on disk; "serving_memory", the most bytes of memory; "start_seconds", from the start
        of loading to the first list; "user_ms", milliseconds a list of ten, and "item_ms",
        milliseconds to encode a new item, each for one request alone: the median of the requests
        of the fastest round. NaN where new items cannot be encoded.

    Examples
    --------
    >>> from mmtutorial.interactions import Interactions
    >>> from mmtutorial.recommenders import Popularity
    >>> train = Interactions.of([("ann", "tea", 1), ("bob", "cup", 2)])
    >>> found = served(Popularity().fit(train))
    >>> found["bytes"] > 500, found["user_ms"] > 0, found["item_ms"]
    (True, True, nan)
    """
    with tempfile.TemporaryDirectory() as place:
        folder = recommender.save(Path(place, "recommender"))
        size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
        given = Path(place, "features.npz")
        arrays = {name: np.asarray(each[:NEW]) for name, each in (features or {}).items()}
        np.savez(given, **arrays)  # type: ignore[arg-type]
        command = [sys.executable, "-m", __name__, str(folder), str(given)]
        paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
        found = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        done = subprocess.run(
            command, env=found, capture_output=True, text=True, check=False, timeout=900
        )
        if done.returncode:
            raise RuntimeError(f"a fresh process could not serve: {done.stderr[-2000:]}")
        measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return {"bytes": float(size), **measured}


def measure_saved(folder: Path, features: Path) -> dict[str, float]:
    """Load a saved recommender, and measure; see `served`."""
    started = time.perf_counter()
    recommender = Recommender.load(folder)
    recommender.recommend([0])
    start = time.perf_counter() - started
    memory = peak_memory()
    users = np.linspace(0, recommender.train.n_users - 1, REQUESTS).astype(int)
    lists = _median_ms(lambda place: recommender.recommend(users[place : place + 1]), len(users))
    content = read_arrays(features)
    encode = getattr(recommender, "item_vectors", None)
    item = float("nan")
    if content and encode is not None:
        n_new = len(next(iter(content.values())))
        rows = [{name: each[row : row + 1] for name, each in content.items()} for row in range(NEW)]
        try:
            item = _median_ms(lambda place: encode(rows[place]), n_new)
        except ValueError:  # the item tower was not kept
            item = float("nan")
    return {"serving_memory": memory, "start_seconds": start, "user_ms": lists, "item_ms": item}


def _median_ms(request: Callable[[int], object], count: int) -> float:
    """Return the median milliseconds of some requests, of the fastest of several rounds."""
    request(0)  # warm
    rounds = []
    for _ in range(ROUNDS):
        seconds = []
        for place in range(count):
            started = time.perf_counter()
            request(place)
            seconds.append(time.perf_counter() - started)
        rounds.append(1000 * float(np.median(seconds)))
    return min(rounds)


if __name__ == "__main__":
    print(json.dumps(measure_saved(Path(sys.argv[1]), Path(sys.argv[2]))))
