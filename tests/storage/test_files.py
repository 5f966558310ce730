"""Files and folders that are written at once: by whom they may be read, and what an end leaves."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mmtutorial.datasets import Dataset, shop
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.preprocessing.text import Vocabulary
from mmtutorial.recommenders import Popularity
from mmtutorial.storage import files
from mmtutorial.storage.files import beside, cache_folder, cached_place, put, write_whole

ROOT = Path(__file__).parents[2]
TRAIN = Interactions.of([("ann", "tea", 1), ("bob", "cup", 2)])


def tiny(folder: Path) -> Dataset:
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (9, 9), "red").save(folder / "p.png")
    items = pd.DataFrame({"item": ["tea", "cup"], "text": "Warm.", "image": ["p.png", ""]})
    taken = pd.DataFrame({"user": ["ann"], "item": ["tea"], "timestamp": [1_709_251_200]})
    features = {"text": np.ones((2, 3), np.float32)}
    return Dataset("tiny", items, taken, folder, features=features)


@pytest.mark.skipif(os.name == "nt", reason="no umask")
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_permissions_follow_the_umask(umask: int, tmp_path: Path) -> None:
    data = tiny(tmp_path / "source")
    before = os.umask(umask)
    try:
        data.save(tmp_path / "new" / "dataset")
        Popularity().fit(TRAIN).save(tmp_path / "new" / "recommender")
        encode_images([tmp_path / "source" / "p.png"], 8, cache=tmp_path / "new" / "cache")
        Vocabulary.of([["so", "soft"]]).save(tmp_path / "new" / "words.json")
        write_whole(tmp_path / "new" / "deep" / "folder" / "file", b"1")
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
    assert len(modes) > 15
    for path, mode in modes.items():
        assert mode == (0o777 if path.is_dir() else 0o666) & ~umask, path


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("step", ["replace", "fdopen"])
def test_an_interruption_leaves_the_old_file_and_no_part(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "a.txt", b"old")
    if step == "replace":
        monkeypatch.setattr(files.os, "replace", interrupt)
    with pytest.raises((KeyboardInterrupt, TypeError)):
        write_whole(tmp_path / "a.txt", b"new" if step == "replace" else 7)  # type: ignore[arg-type]
    assert left(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"old"


@pytest.mark.parametrize("move", [1, 2])
def test_an_interruption_between_the_moves_leaves_the_old_folder(
    move: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tiny(tmp_path / "source").save(tmp_path / "d")
    before = left(tmp_path)
    replace, count = os.replace, 0

    def interrupted(*paths: Any) -> None:
        nonlocal count
        count += 1
        if count == move:
            raise KeyboardInterrupt
        replace(*paths)

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        old.save(tmp_path / "d", replace=True)
    assert left(tmp_path) == before
    assert Dataset.open(tmp_path / "d").validate() == []


def test_an_impatient_person_leaves_no_folder_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, count = shutil.rmtree, 0

    def interrupted(*paths: Any, **options: Any) -> None:
        nonlocal count
        count += 1
        if count < 3:
            raise KeyboardInterrupt
        remove(*paths, **options)

    monkeypatch.setattr(files.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), beside(tmp_path / "d") as fresh:
        (fresh / "file").write_text("half")
        raise KeyboardInterrupt
    assert left(tmp_path) == []


def test_a_folder_in_which_a_thread_still_writes_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, count = shutil.rmtree, 0

    def late(folder: Path, **options: Any) -> None:
        nonlocal count
        remove(folder, **options)
        count += 1
        if count < 3:
            folder.mkdir()
            (folder / f"{count}.png").write_text("late")

    monkeypatch.setattr(files.shutil, "rmtree", late)
    with beside(tmp_path / "d"):
        pass
    assert left(tmp_path) == []


def test_put_tells_whether_the_new_folder_is_there(tmp_path: Path) -> None:
    for content, unless, expected in (("1", None, True), ("2", "f", False), ("3", None, True)):
        with beside(tmp_path / "d") as fresh:
            (fresh / "f").write_text(content)
            assert put(fresh, tmp_path / "d", unless) == expected
    assert (tmp_path / "d" / "f").read_text() == "3"
    assert left(tmp_path) == ["d", "d/f"]


INTERRUPTED = """
import fnmatch, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as a program has it at a terminal
moment = sys.argv.pop(1)
opened = []

def interrupt(event, arguments):
    if event == "open" and fnmatch.fnmatch(str(arguments[0]), moment):
        opened.append(arguments[0])
        if len(opened) == 2:  # the second file of a folder that is being written
            signal.raise_signal(signal.SIGINT)

sys.addaudithook(interrupt)
runpy.run_module("mmtutorial", run_name="__main__")
"""


@pytest.mark.parametrize("moment", ["cache/shop/.*", ".out.*"])
def test_ctrl_c_leaves_nothing_behind(moment: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MMTUTORIAL_CACHE": str(tmp_path / "cache"),
    }
    shop = ["data", "shop", "--set", "n_items=150", "--set", "n_users=50"]
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / moment), *shop]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode not in (0, 1, 2), done.stderr
    found = [name for name in left(tmp_path) if "/." in f"/{name}" or name.endswith(".part")]
    assert found == []
    assert not (tmp_path / "out").exists()


def test_a_program_without_a_home_has_a_cache_until_it_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MMTUTORIAL_CACHE", "HOME", "USERPROFILE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what Python does without one
    for named in ("", "~/cache"):
        monkeypatch.setenv("MMTUTORIAL_CACHE", named)
        with pytest.warns(
            UserWarning, match="no home folder .* let MMTUTORIAL_CACHE name a folder"
        ):
            folder = cache_folder()
        assert folder.is_dir()
        assert "~" not in str(folder)
    assert left(tmp_path) == []


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if (
        not shutil.which("mount")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("no right to mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_cache_costs_a_warning_and_holds_nothing_half(
    full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(full_disk / "cache"))
    with pytest.warns(UserWarning, match=f"{full_disk}.* cannot be used .No space .* make room"):
        data = shop(n_items=80, n_users=30)
    assert data.validate() == []
    assert not [path for path in full_disk.rglob("*") if path.is_file() or path.name[0] == "."]
    with pytest.raises(OSError, match="No space left"):
        data.save(full_disk / "out")
    assert [path.name for path in full_disk.iterdir()] == ["cache"]


def test_a_shop_is_made_without_a_place_for_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / "file"))
    with pytest.warns(
        UserWarning, match=r"file.* cannot be used .*: move the file .* going on without"
    ):
        data = shop(n_items=40, n_users=30)
    with pytest.warns(UserWarning, match="going on without"):
        again = shop(n_items=40, n_users=30)
    assert again.folder == data.folder
    assert data.validate() == []


def test_a_shop_that_may_not_be_read_is_made_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreadable: Callable[[Path], Any]
) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path))
    kept = shop(n_items=41, n_users=30).folder
    before = left(tmp_path)
    with (
        unreadable(kept / "items.csv"),
        pytest.warns(UserWarning, match=r"items.csv.*right to read"),
    ):
        data = shop(n_items=41, n_users=30)
    assert data.folder != kept
    assert left(tmp_path) == before


def test_options_are_told_apart_by_every_digit() -> None:
    here = [Path(__file__)]
    near = [np.array([0.1, 0.2]), np.array([0.1, 0.2 + 1e-12])]
    long = [np.zeros(5000), np.r_[np.zeros(2500), 1, np.zeros(2499)]]
    for one, other in (near, long):
        assert cached_place("x", {"w": one}, here) != cached_place("x", {"w": other}, here)
    assert cached_place("x", {"a": {"b": 1, "c": 2}}, here) == cached_place(
        "x", {"a": {"c": 2, "b": 1}}, here
    )
