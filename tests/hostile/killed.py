"""Do some things again and again, and be killed each time before another step.

`main` leaves in FOLDER/<what>/<n> the state after a kill before the n-th step that changes a file or
a folder. `test_killed.py` calls it once, in a process without threads, and looks at what is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing import file_cache as cache
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features

STEPS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}  # and to open a file for writing
MOST = 14  # kills of one kind, beside those before a folder is moved
SEED = 5
PICTURES = 24


class Table(Recommender):
    """Scores every item the same."""

    def __init__(self, size: float) -> None:
        self.size = size

    def _learn(self, train: Interactions, features: Features, validation: object) -> None:
        self.table = np.full(train.n_items, self.size)

    def _score(self, users: np.ndarray) -> np.ndarray:
        return np.tile(self.table, (len(users), 1))

    def _state(self) -> dict[str, np.ndarray]:
        return {"table": self.table}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.table = state["table"]


def steps_of(act: Callable[[], object], kill_before: int = 0) -> list[str]:
    """Do something in a child, killed before that step; return the steps of one that was not."""
    heard, said = os.pipe()
    child = os.fork()
    if not child:
        count = 0

        def hook(event: str, told: tuple[object, ...]) -> None:
            nonlocal count
            writes = event == "open" and isinstance(told[2], int) and told[2] & os.O_ACCMODE
            if event in STEPS or writes:
                count += 1
                if count == kill_before:
                    os.kill(os.getpid(), signal.SIGKILL)
                os.write(said, f"{event}\n".encode())

        sys.addaudithook(hook)
        try:
            act()
        finally:
            os._exit(0)
    os.close(said)
    with os.fdopen(heard) as lines:
        steps = lines.read().split()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed == bool(kill_before), (status, kill_before, steps)
    return steps


def at_several_steps(
    base: Path, before: Callable[[Path], object], act: Callable[[Path], object]
) -> None:
    """Prepare a folder, act in it and be killed there; at steps of chance, and before each move."""

    def prepared(name: str) -> Path:
        place = base / name
        place.mkdir(parents=True)
        before(place)
        return place

    place = prepared("whole")
    steps = steps_of(lambda: act(place))
    moves = [number for number, step in enumerate(steps, start=1) if step == "os.rename"]
    chosen = np.random.default_rng(SEED).choice(len(steps), min(MOST, len(steps)), replace=False)
    for number in sorted({*moves, *(move + 1 for move in moves), *(chosen + 1).tolist()}):
        if number <= len(steps):
            place = prepared(str(number))
            steps_of(lambda place=place: act(place), kill_before=number)


def make_dataset(name: str, folder: Path) -> Dataset:
    """A data set of three items that tells by every file whether it is old or new."""
    folder.mkdir(parents=True)
    Image.new("RGB", (9, 9), "red" if name == "old" else "blue").save(folder / "p.png")
    items = pd.DataFrame({"item": list("abc"), "text": name, "image": ["p.png"] * 3})
    taken = pd.DataFrame({"user": list("uvw"), "item": list("abc"), "timestamp": 1_700_000_000})
    features = {"text": np.full((3, 4), len(name) if name == "old" else 9, np.float32)}
    return Dataset(name, items, taken, folder, features=features)


def with_more(data: Dataset, folder: Path) -> None:
    """Save a data set, and put a picture there that no row names."""
    data.save(folder)
    (folder / "more").mkdir()
    (folder / "more" / "q.png").write_bytes(b"mine")


def rename(place: Path) -> None:
    """Open a data set, change it, and save it in its own folder."""
    data = Dataset.open(place / "d")
    data.name = "new"
    data.save(place / "d", replace=True)


def pictures(folder: Path) -> list[Path]:
    """Pictures to encode, the last of them broken."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(PICTURES)]
    for number, path in enumerate(paths):
        Image.new("RGB", (9, 9), (10 * number, 0, 99)).save(path)
    paths[-1].write_bytes(b"")
    return paths


def main(base: Path) -> None:
    """Make everything, be killed everywhere."""
    old, new = (make_dataset(name, base / "sources" / name) for name in ("old", "new"))
    at_several_steps(
        base / "dataset",
        lambda place: old.save(place / "d"),
        lambda place: new.save(place / "d", replace=True),
    )
    at_several_steps(base / "own folder", lambda place: with_more(old, place / "d"), rename)
    at_several_steps(base / "first", lambda place: None, lambda place: new.save(place / "d"))
    train = Interactions.of([("ann", "tea", 1), ("bob", "cup", 2)])
    low, high = Table(1).fit(train), Table(2).fit(train)
    at_several_steps(
        base / "recommender",
        lambda place: low.save(place / "r"),
        lambda place: high.save(place / "r"),
    )
    cache.SHARD = cache.BATCH = 4
    paths = pictures(base / "pictures")
    at_several_steps(
        base / "cache", lambda place: None, lambda place: encode_images(paths, jobs=1, cache=place)
    )
    shutil.rmtree(base / "sources")
