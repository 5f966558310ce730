"""Download, encode, learn and save, killed at moments of chance, again and again until it is done.

`test_killed_at_random.py` calls `main` once, in a process of its own that imports TensorFlow but
does not use it: only what has not been used survives a fork. What was there after each kill is
checked at once; an assertion that fails ends the process.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np

from mmtutorial.datasets import Dataset
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing import file_cache as cache
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.recommenders import LightGCN
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.two_tower import TwoTower
from mmtutorial.storage import checkpoint
from mmtutorial.storage.arrays import read_arrays
from tests.datasets.conftest import Made, Site, handler, zipped
from tests.hostile.killed import make_dataset, pictures

SEED = 11
FILES = {
    "a/one.bin": np.random.default_rng(0).bytes(1_500_000),
    "b.bin": np.random.default_rng(1).bytes(1_000_000),
}
EPOCHS = 6
NEVER = sys.maxsize


def killed(act: Callable[[], object], place: Path, steps: int, wait: float) -> bool:
    """Act in a child and kill it, some seconds after it has opened or moved so many files there.

    Returns whether it was killed; it may have ended before.
    """
    heard, said = os.pipe()
    child = os.fork()
    if not child:
        os.close(heard)
        failed = 1

        def hook(event: str, told: tuple[object, ...]) -> None:
            writes = event == "open" and isinstance(told[2], int) and told[2] & os.O_ACCMODE
            if (writes or event == "os.rename") and str(told[0]).startswith(str(place)):
                os.write(said, b".")

        sys.addaudithook(hook)
        try:
            act()
            failed = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(failed)
    os.close(said)
    while steps > 0 and (found := os.read(heard, min(steps, 99))):
        steps -= len(found)
    if steps <= 0:
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(heard)
    assert status in (0, signal.SIGKILL), status
    return status != 0


def until_done(
    act: Callable[[], object],
    place: Path,
    check: Callable[[], object],
    dice: np.random.Generator,
    steps: int,
    wait: float,
    kills: int,
) -> None:
    """Act, be killed and act again, so many times; then to the end."""
    seen = 0
    for _ in range(kills):
        seen += killed(act, place, int(dice.integers(1, steps + 1)), dice.uniform(0, wait))
        check()
    assert seen, "nothing was killed: the moments are too late"
    assert not killed(act, place, NEVER, 0)
    check()


def download(base: Path, dice: np.random.Generator) -> None:
    """From a server that falls silent in the middle of every answer."""
    site = Site(files={"/things.zip": zipped(FILES)}, stalls=[0.1] * 99)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    serving = os.fork()
    if not serving:
        server.serve_forever()
    server.server_close()
    address = f"http://127.0.0.1:{server.server_port}/things.zip"
    os.environ["MMTUTORIAL_CACHE"] = str(base)
    os.environ.pop("MMTUTORIAL_DATA", None)
    things = Made("things", address, "CC0", "page", FILES)
    folder = base / "downloads" / "things"

    def whole_or_not_there() -> None:
        for name, content in FILES.items():
            assert not (folder / name).exists() or (folder / name).read_bytes() == content

    try:
        until_done(things.obtain, base, whole_or_not_there, dice, 4, 0.1, 5)
    finally:
        os.kill(serving, signal.SIGKILL)
        os.waitpid(serving, 0)
    assert things.obtain() == folder and not things.missing(folder)


def encode(base: Path, dice: np.random.Generator) -> None:
    """Pictures, into a cache of small files."""
    cache.SHARD = cache.BATCH = 2
    paths = pictures(base / "pictures")
    expected = encode_images(paths, jobs=1, cache=base / "whole")

    def the_same() -> None:
        copy = shutil.copytree(base / "killed", base / "copy", dirs_exist_ok=True)
        found = encode_images(paths, jobs=1, cache=copy)
        assert np.array_equal(found[0], expected[0]) and found[2] == expected[2]
        shutil.rmtree(copy)

    (base / "killed").mkdir()
    until_done(
        lambda: encode_images(paths, jobs=1, cache=base / "killed"),
        base / "killed", the_same, dice, 10, 0.002, 5,
    )  # fmt: skip


def save(base: Path, dice: np.random.Generator) -> None:
    """A data set over another, large enough to be killed within a file."""
    old, new = (make_dataset(name, base / "sources" / name) for name in ("old", "new"))
    for data in (old, new):
        data.features["audio"] = np.full((3, 1_000_000), len(data.name) + ord(data.name[0]), "f4")
    place = base / "saved"
    old.save(place / "d")
    seen = set()

    def old_or_new() -> None:
        found = Dataset.open(place / "d")
        source = old if found.name == "old" else new
        assert found.items["text"].unique().tolist() == [found.name]
        assert np.array_equal(found.features["audio"], source.features["audio"])
        seen.add(found.name)
        source.save(place / "d", replace=True)  # and one may save again at once

    until_done(lambda: new.save(place / "d", replace=True), place, old_or_new, dice, 12, 0.02, 5)
    assert "new" in seen


def learn(base: Path, dice: np.random.Generator) -> None:
    """Two recommenders, which keep every epoch; what they come to is that of one not killed."""
    checkpoint.EVERY = 0.0
    checkpoint.SHARE = 0
    taken = np.argwhere(np.random.default_rng(2).random((40, 30)) < 0.2)
    train = Interactions.of([(f"u{u}", f"i{i}", n) for n, (u, i) in enumerate(taken)])
    later = train.where(train.log["row"].to_numpy() % 5 == 0)
    features = {"text": np.random.default_rng(3).random((train.n_items, 6), np.float32)}
    small = {"dimensions": 4, "batch_size": 16}
    for name, make in (
        ("tower", lambda: TwoTower(units=4, steps=EPOCHS, validate_every=1, **small)),
        ("graph", lambda: LightGCN(steps=9 * EPOCHS, validate_every=9, **small)),
    ):
        whole, place = base / f"{name}, whole", base / f"{name}, killed"
        for each in (whole, place):
            each.mkdir()

        def act(place: Path, make: Callable[[], Recommender] = make) -> None:
            make().fit(train, features, later, resume=place / "resume").save(place / "model")

        assert not killed(lambda place=whole: act(place), whole, NEVER, 0)
        until_done(lambda place=place: act(place), place, lambda: None, dice, 2 * EPOCHS, 0.02, 2)
        one, other = (read_arrays(each / "model" / "arrays.npz") for each in (whole, place))
        assert one.keys() == other.keys()
        for key in one:
            assert np.array_equal(one[key], other[key]), (name, key)
        assert list((place / "resume").glob("*.npz")) == []


PARTS = {"download": download, "encode": encode, "save": save, "learn": learn}


def main(base: Path) -> None:
    """Do everything; what comes last must not have been used by what forks before."""
    for number, (name, part) in enumerate(PARTS.items()):
        (base / name).mkdir()
        part(base / name, np.random.default_rng([SEED, number]))
        print(name, flush=True)
