"""Folders that are replaced at once: a process killed at any moment leaves the old one or the new.

A folder is written beside its place, under a name that begins with a dot, and moved there when it
is complete. What lay there before is moved aside first, since no system replaces a full folder in
one step; whoever is killed between the two moves leaves the old one aside, and `recover`, with
which every reading and writing begins, brings it back.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

ABANDONED = 86_400  # seconds after which what nobody has finished or taken back is thrown away


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
