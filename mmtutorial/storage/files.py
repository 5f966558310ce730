"""Folders that are replaced at once: a process killed at any moment leaves the old one or the new.

A folder is written beside its place, under a name that begins with a dot, and moved there when it
is complete. What lay there before is moved aside first, since no system replaces a full folder in
one step; whoever is killed between the two moves leaves the old one aside, and `recover`, with
which every reading and writing begins, brings it back.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pooch

CACHE = "MMTUTORIAL_CACHE"  # environment variable: where downloads and prepared data are kept
ABANDONED = 86_400  # seconds after which what nobody has finished or taken back is thrown away


def expanded(path: str | Path) -> Path:
    """Return a path that a person has given, with a ``~`` at its beginning as the home folder.

    Where there is no such home folder, it is a name like any other.

    >>> expanded("~/shop") == Path.home() / "shop", expanded("~no such user/shop").parts[0]
    (True, '~no such user')
    """
    return Path(os.path.expanduser(path))


def beside(folder: Path) -> Path:
    """Make an empty folder in which to write what shall lie at ``folder``."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(_left_beside(folder))
    fresh = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    fresh.mkdir()
    return fresh


def put(fresh: Path, folder: Path, unless: str | None = None) -> bool:
    """Move a finished folder to its place; what lay there is removed only afterwards.

    Returns whether it lies there now.

    Parameters
    ----------
    fresh : Path
        From `beside`.
    folder : Path
        Its place.
    unless : str, optional
        The name of a file: a folder that holds it is left where it is.
    """
    old = fresh.with_name(fresh.name + ".old")
    while True:
        if folder.exists():
            if unless and (folder / unless).exists():
                return False
            os.replace(folder, old)
        try:
            os.replace(fresh, folder)
            break
        except OSError:
            if folder.exists():
                continue  # another process was quicker, or took for lost what we had moved aside
            if old.exists():
                os.replace(old, folder)
            raise
    shutil.rmtree(old, ignore_errors=True)
    return True


def recover(folder: str | Path) -> None:
    """Bring back what a process that was killed had moved aside, if nothing lies in its place.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as above:
    ...     place = Path(above, "shop")
    ...     place.with_name(f".shop.{uuid.uuid4().hex}.old").mkdir()
    ...     recover(place)
    ...     place.is_dir()
    True
    """
    with contextlib.suppress(OSError):  # where nothing can be listed, nothing can be taken back
        folder = Path(folder).expanduser().resolve()
        aside = [each for each in _left_beside(folder) if each.suffix == ".old"]
        if aside and not folder.exists():
            os.replace(max(aside, key=lambda each: each.stat().st_mtime), folder)


def sweep(paths: Iterable[Path]) -> None:
    """Remove files and folders in which nothing has happened for a day (`ABANDONED`)."""
    for path in paths:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _left_beside(folder: Path) -> list[Path]:
    """Return what was being written for a place, or has been moved aside from it."""
    ours = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{32}}(\.old)?")
    return [each for each in folder.parent.iterdir() if ours.fullmatch(each.name)]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file at once, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def cache_folder() -> Path:
    """Return where downloads and prepared data are kept: ``MMTUTORIAL_CACHE``, or the system's.

    >>> cache_folder().is_absolute()
    True
    """
    named = os.environ.get(CACHE)
    return (Path(named).expanduser() if named else Path(pooch.os_cache("mmtutorial"))).absolute()


def cached_place(name: str, options: Mapping[str, Any], sources: Iterable[Path]) -> Path:
    """Name the cached folder of a data set by its options and by the code that makes it.

    >>> import mmtutorial
    >>> here = [Path(mmtutorial.__file__)]
    >>> cached_place("shop", {"seed": 0}, here) == cached_place("shop", {"seed": 1}, here)
    False
    """
    digest = hashlib.sha256(repr(sorted(options.items())).encode())
    for source in sorted(sources):
        digest.update(source.read_bytes().replace(b"\r\n", b"\n"))
    return cache_folder() / name / digest.hexdigest()[:16]
