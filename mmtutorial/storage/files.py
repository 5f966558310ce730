"""Folders that are replaced at once: a process killed at any moment leaves the old one or the new.

A folder is written beside its place, under a name that begins with a dot, and moved there when it
is complete. What lay there before is moved aside first, since no system replaces a full folder in
one step; whoever is killed between the two moves leaves the old one aside, and `recover`, with
which every reading and writing begins, brings it back.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import hashlib
import os
import re
import shutil
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import joblib
import pooch

CACHE = "MMTUTORIAL_CACHE"  # environment variable: where downloads and prepared data are kept
ABANDONED = 86_400  # seconds after which what nobody has finished or taken back is thrown away
ATTEMPTS = 20  # to remove a folder in which a thread is still writing
UNUSABLE = {  # what the system says of a folder that lets nobody in, is full, or is no folder
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST,
}  # fmt: skip

Made = TypeVar("Made")


def expanded(path: str | Path) -> Path:
    """Return a path that a person has given, with a ``~`` at its beginning as the home folder.

    Where there is no such home folder, it is a name like any other.

    >>> expanded("~/shop") == Path.home() / "shop", expanded("~no such user/shop").parts[0]
    (True, '~no such user')
    """
    return Path(os.path.expanduser(path))


class CacheError(OSError):
    """A folder of the cache that cannot be used; the message says what to do."""


@contextlib.contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """Make an empty folder in which to write what shall lie at ``folder``; see `put`.

    It is removed at the end, whatever happens, unless it was put in its place.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    left = _left_beside(folder)
    if not folder.exists():  # what was moved aside may be all that there is
        left = [each for each in left if each.suffix != ".old"]
    sweep(left)
    fresh = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    try:
        fresh.mkdir()
        yield fresh
    finally:
        discard(fresh)


def discard(folder: Path) -> None:
    """Remove a folder, also while threads that nobody waits for still write into it.

    An interruption is passed on when the folder is gone.
    """
    interrupted: KeyboardInterrupt | None = None
    for attempt in range(ATTEMPTS):
        try:
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.lexists(folder):
                break
            time.sleep(0.01 * attempt)
        except KeyboardInterrupt as interruption:
            interrupted = interruption
    if interrupted is not None:
        raise interrupted


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
    try:
        while True:
            if folder.exists():
                if unless and (folder / unless).exists():
                    return False
                os.replace(folder, old)
            try:
                os.replace(fresh, folder)
                return True
            except OSError:
                if not folder.exists():
                    raise
                # another process was quicker, or took for lost what we had moved aside
    finally:  # an interruption between the two moves comes here too
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        discard(old)


def recover(folder: str | Path) -> None:
    """Bring back what a process that was killed had moved aside, if nothing lies in its place.

    An empty folder is nothing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as above:
    ...     place = Path(above, "shop")
    ...     place.with_name(f".shop.{uuid.uuid4().hex}.old").mkdir()
    ...     recover(place)
    ...     place.is_dir()
    True
    """
    with contextlib.suppress(OSError):  # where nothing can be listed, nothing can be taken back
        folder = expanded(folder).resolve()
        aside = [each for each in _left_beside(folder) if each.suffix == ".old"]
        if aside and not (folder.exists() and any(folder.iterdir())):
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


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write; it appears at its place when it is complete, or not at all.

    Its permissions are those that the process gives new files (by its umask).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder, "a", "b.txt")) as file:
    ...         _ = file.write(b"done")
    ...     Path(folder, "a", "b.txt").read_text()
    'done'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:  # a file of tempfile's would be its owner's alone
            yield file
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file at once, or not at all."""
    with whole_file(path) as file:
        file.write(content)


def cache_folder() -> Path:
    """Return where downloads and prepared data are kept: ``MMTUTORIAL_CACHE``, or the system's.

    For somebody without a home folder it is a temporary one, removed when the program ends; a
    warning says so.

    >>> cache_folder().is_absolute()
    True
    """
    try:
        folder = Path(os.environ.get(CACHE) or pooch.os_cache("mmtutorial")).expanduser()
    except RuntimeError:  # nobody knows where "~" is
        warnings.warn(
            "there is no home folder to keep a cache in, so what is made is lost when the program "
            f"ends: let {CACHE} name a folder by its whole path, or set HOME",
            stacklevel=2,
        )
        return temporary_cache()
    return folder.absolute()


@functools.cache
def temporary_cache() -> Path:
    """Return a folder that stands in for the cache until the program ends."""
    folder = tempfile.TemporaryDirectory(prefix="mmtutorial-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def explained(error: OSError, place: Path, what_for: str = "") -> CacheError:
    """Return an error that says which part of the cache cannot be used, and what to do.

    >>> print(explained(PermissionError(13, "Permission denied"), Path("/cache/shop")))
    /cache/shop cannot be used (Permission denied): give this account the right to read and write \
    what is there, or let MMTUTORIAL_CACHE name another folder
    """
    remedy = "give this account the right to read and write what is there"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "make room there"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        remedy = "move the file away that lies in the place of a folder"
    reason = error.strerror or error
    place = Path(error.filename) if isinstance(error.filename, str) else place
    used = f"used {what_for}" if what_for else "used"
    explanation = CacheError(
        f"{place} cannot be {used} ({reason}): {remedy}, or let {CACHE} name another folder"
    )
    explanation.errno = error.errno
    return explanation


def go_on_without(error: OSError, place: Path) -> None:
    """Warn that work goes on without the cache; raise the error if it is not the cache's.

    >>> go_on_without(FileNotFoundError(2, "No such file or directory", "mine.png"), Path("x"))
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'mine.png'
    """
    if isinstance(error, CacheError) or not unusable(error):
        raise error
    warnings.warn(f"{explained(error, place)}; going on without", stacklevel=3)


def unusable(error: OSError) -> bool:
    """Say whether an error is that of a cache in which nothing can be read or written.

    >>> unusable(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    if error.errno not in UNUSABLE:
        return False
    name = error.filename
    return not isinstance(name, str) or Path(name).is_relative_to(cache_folder())


def cached(
    place: Path, whole: str, read: Callable[[Path], Made], make: Callable[[Path], Made]
) -> Made:
    """Read what lies at a place in the cache, or make it there.

    Where the cache cannot be read or written, a temporary folder takes its place until the program
    ends; a warning says so.

    Parameters
    ----------
    place : Path
        From `cached_place`.
    whole : str
        The name of a file that lies there if what was made is complete.
    read, make : callable
        Take the place. ``make`` writes at once or not at all.
    """
    try:
        return read(place) if (place / whole).exists() else make(place)
    except OSError as error:
        go_on_without(error, place)
    spare = temporary_cache().joinpath(*place.parts[-2:])
    return read(spare) if (spare / whole).exists() else make(spare)


def cached_place(name: str, options: Mapping[str, Any], sources: Iterable[Path]) -> Path:
    """Name the cached folder of a data set by its options and by the code that makes it.

    >>> import mmtutorial
    >>> here = [Path(mmtutorial.__file__)]
    >>> cached_place("shop", {"seed": 0}, here) == cached_place("shop", {"seed": 1}, here)
    False
    """
    digest = hashlib.sha256(joblib.hash(dict(options)).encode())  # repr would shorten arrays
    for source in sorted(sources):
        digest.update(source.read_bytes().replace(b"\r\n", b"\n"))
    return cache_folder() / name / digest.hexdigest()[:16]
