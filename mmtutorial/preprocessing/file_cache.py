"""Encode the files of a catalogue once: on all cores, in bounded memory, kept by content.

What comes out for many files lies on disk, and is looked at through memory: see `room`.

A result belongs to the *content* of a file (its digest, not its name or date) and to a *recipe*:
the function that encoded it, the source of that function's module and of the rules for reading
files, its options, and the versions of the libraries below it. A recipe has one folder, with one
file for about a thousand results. So only new contents are encoded, an interrupted run goes on
where it stopped, and a damaged file costs no more than its own results, which are made again.
"""

from __future__ import annotations

import errno
import hashlib
import math
import mmap
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import DTypeLike
from rich.console import Console
from rich.progress import Progress

from mmtutorial.datasets import media, sounds
from mmtutorial.datasets.faults import Fault
from mmtutorial.datasets.media import MediaError
from mmtutorial.storage.files import CACHE, cache_folder, sweep

BATCH = 32  # files that a worker takes at a time
SHARD = 1024  # results in one file of the cache, fewer where they are large
IN_MEMORY = 2**26  # bytes; a larger result lies in a file
BLOCK = 2**20  # bytes of a file or of a result that are worked on at a time
PATIENCE = 3.0  # seconds without a progress bar
PROCESSES_PAY = 64_000_000  # bytes of files below which starting processes costs more than it saves

Result = tuple[np.ndarray | None, str, str]  # the row, or None with what is wrong and what to do
Attempt = tuple[Result, bool]  # and whether the next attempt would end the same


def encode_files(
    encode: Callable[..., np.ndarray],
    paths: Sequence[str | Path | None],
    shape: tuple[int, ...],
    dtype: DTypeLike,
    options: Mapping[str, Any],
    *,
    libraries: Sequence[str] = (),
    processes: bool = False,
    jobs: int | None = None,
    cache: str | Path | None = None,
    description: str = "Encoding the files",
) -> tuple[np.ndarray, np.ndarray, list[Fault]]:
    """Encode each file of a catalogue into one row of an array, or take the row from the cache.

    Parameters
    ----------
    encode : callable
        ``encode(path, **options)`` returns an array of ``shape``, or raises `MediaError`. A
        function of a module: its module's source is part of the recipe.
    paths : sequence
        One an item; None or "" where an item has no file.
    shape, dtype
        Of one row.
    options : mapping
        Numbers, strings and bools for ``encode``; part of the recipe.
    libraries : sequence of str
        Packages whose versions are part of the recipe.
    processes : bool
        Work in processes (for code that holds Python's lock) and not in threads.
    jobs : int, optional
        How many work at once; without it, one a core, or a single one where processes would
        take longer to start than to work.
    cache : path, optional
        Folder of the cache; without it ``cache_folder() / "preprocessing"``.
    description : str
        Title of the progress bar, shown when the work takes longer than a few seconds.

    Returns
    -------
    rows : ndarray
        ``dtype``, (n, \\*shape), in the order of ``paths``; zeros where there is nothing. From
        `room`: memory does not grow with it.
    present : ndarray
        bool (n,), False where the file is absent or faulty.
    faults : list of Fault
        One for each path that is given and cannot be used, in the order of ``paths``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from mmtutorial.preprocessing.image import encode_picture
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "bad.png").write_bytes(b"")
    ...     rows, present, faults = encode_files(
    ...         encode_picture, [None, f"{folder}/bad.png"], (8, 8, 3), "uint8",
    ...         {"size": 8, "denoised": False}, cache=folder)
    >>> rows.shape, present.tolist(), faults[0].message
    ((2, 8, 8, 3), [False, False], 'the file is empty')
    """
    rows = room((len(paths), *shape), dtype)
    present = np.zeros(len(paths), dtype=bool)
    found: dict[int, Fault] = {}
    wanted: dict[bytes, list[int]] = {}  # digest of a content -> the places that wait for it
    size = 0
    for place, path in enumerate(paths):
        if path:
            try:
                if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
                    raise OSError(errno.EINVAL, "it is a folder or a device")
                content = hashlib.sha256()  # file_digest would clear 256 kB for every file
                with open(path, "rb", buffering=0) as file:
                    while block := file.read(BLOCK):
                        content.update(block)
                        size += len(block)
                wanted.setdefault(content.digest(), []).append(place)
            except (OSError, ValueError) as error:  # ValueError: no system takes such a name
                reason = getattr(error, "strerror", error)
                message = f"the file cannot be opened ({reason})"
                found[place] = Fault(str(path), None, message, "check its path and permissions")

    def settle(digest: bytes, result: Result) -> None:
        row, message, remedy = result
        for place in wanted.pop(digest):
            if row is None:
                found[place] = Fault(str(paths[place]), None, message, remedy)
            else:
                rows[place], present[place] = row, True

    base = Path(cache) if cache else cache_folder() / "preprocessing"
    folder = base / recipe(encode, shape, dtype, options, libraries)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder.glob("*.part"))
    for shard in sorted(folder.glob("*.npz")):
        for digest, result in _read(shard, shape, np.dtype(dtype)):
            if digest in wanted:
                settle(digest, result)
        release(rows)

    digests = list(wanted)
    batches = [digests[start : start + BATCH] for start in range(0, len(digests), BATCH)]
    if jobs is None:
        jobs = 1 if processes and size < PROCESSES_PAY else cpu_count()
    workers = Parallel(
        n_jobs=jobs, backend="loky" if processes else "threading", return_as="generator"
    )
    results = workers(
        delayed(_encode_batch)(encode, [str(paths[wanted[digest][0]]) for digest in batch], options)
        for batch in batches
    )
    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task(description, total=len(digests))
    begun = monotonic()
    fresh: list[tuple[bytes, Result]] = []
    most = min(SHARD, IN_MEMORY // max(rows[:1].nbytes, 1))
    try:
        for batch, encoded in zip(batches, results, strict=True):
            for digest, (result, lasting) in zip(batch, encoded, strict=True):
                settle(digest, result)
                if lasting:
                    fresh.append((digest, result))
            if len(fresh) >= most:
                _write(folder, fresh, shape, dtype)
                fresh = []
                release(rows)
            progress.advance(task, len(batch))
            if monotonic() - begun > PATIENCE:
                progress.start()
    finally:
        if progress.live.is_started:
            progress.stop()
        if fresh:
            _write(folder, fresh, shape, dtype)
    return rows, present, [found[place] for place in sorted(found)]


def room(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return zeros to write results into: in memory, or on disk where they take more than 64 MB.

    The file lies in the cache's folder, has no name, and is gone with the array. The system keeps
    in memory what of it is used, and takes that memory back when it is needed. Raises OSError where
    the disk has no room for it.

    >>> room((2, 3), "float32").sum()
    np.float32(0.0)
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, dtype)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # or a full disk would end the program
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.ndarray(shape, dtype, buffer=mmap.mmap(file.fileno(), size))
    except OSError as error:
        message = f"{folder} has no room for {size >> 20} MB ({error.strerror}): make some there"
        raise OSError(error.errno, f"{message}, or name another folder in {CACHE}") from error


def release(rows: np.ndarray) -> None:
    """Give back the memory of an array from `room` that lies on disk, where its values stay.

    >>> release(np.zeros(3))
    """
    if isinstance(rows.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        rows.base.madvise(mmap.MADV_DONTNEED)


def blocks(*arrays: np.ndarray) -> Iterator[slice]:
    """Cut arrays of the same length into slices of about a megabyte of the first's rows.

    What lies on disk is released after each, so that all of it is never in memory.

    >>> [(some.start, some.stop) for some in blocks(np.zeros((5, 2**16)))]
    [(0, 2), (2, 4), (4, 5)]
    """
    n_rows = len(arrays[0])
    step = max(1, BLOCK * n_rows // max(arrays[0].nbytes, 1))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
        for array in arrays:
            release(array)


def recipe(
    encode: Callable[..., np.ndarray],
    shape: tuple[int, ...],
    dtype: DTypeLike,
    options: Mapping[str, Any],
    libraries: Sequence[str] = (),
) -> str:
    """Name a recipe: whatever changes what ``encode`` returns for a content changes the name.

    >>> from mmtutorial.preprocessing.image import encode_picture
    >>> recipe(encode_picture, (8, 8, 3), "uint8", {"size": 8})  # doctest: +ELLIPSIS
    'encode_picture-...'
    """
    versions = {library: version(library) for library in ("numpy", *libraries)}
    facts = (encode.__qualname__, shape, np.dtype(dtype).str, sorted(options.items()), versions)
    digest = hashlib.sha256(repr(facts).encode())
    for source in (sys.modules[encode.__module__], media, sounds):
        digest.update(Path(str(source.__file__)).read_bytes())
    return f"{encode.__name__}-{digest.hexdigest()[:16]}"


def _encode_batch(
    encode: Callable[..., np.ndarray], paths: Sequence[str], options: Mapping[str, Any]
) -> list[Attempt]:
    """Encode some files, one result a file; a faulty file does not stop the others."""
    results: list[Attempt] = []
    for path in paths:
        try:
            results.append(((encode(path, **options), "", ""), True))
        except MediaError as error:
            results.append(((None, error.message, error.remedy), error.lasting))
    return results


def _write(
    folder: Path, results: list[tuple[bytes, Result]], shape: tuple[int, ...], dtype: DTypeLike
) -> None:
    """Keep results in one file, named by the contents it is about; complete, or not at all."""
    digests = b"".join(digest for digest, _ in results)
    nothing = np.zeros(shape, dtype)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(
                file,
                digests=np.frombuffer(digests, np.uint8).reshape(len(results), 32),
                rows=np.stack([nothing if row is None else row for _, (row, _, _) in results]),
                messages=np.array([message for _, (_, message, _) in results], dtype=str),
                remedies=np.array([remedy for _, (_, _, remedy) in results], dtype=str),
            )
        os.replace(temporary, folder / f"{hashlib.sha256(digests).hexdigest()[:32]}.npz")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(shard: Path, shape: tuple[int, ...], dtype: np.dtype) -> list[tuple[bytes, Result]]:
    """Read the results of one file of the cache; none, and the file is gone, if it is damaged."""
    try:
        with np.load(shard, allow_pickle=False) as kept:
            digests, rows = kept["digests"], kept["rows"]
            if rows.dtype != dtype or rows.shape[1:] != shape:
                raise ValueError("another shape")
            told = zip(kept["messages"].tolist(), kept["remedies"].tolist(), strict=True)
            return [
                (digest.tobytes(), (None if message else row, message, remedy))
                for digest, row, (message, remedy) in zip(digests, rows, told, strict=True)
            ]
    except Exception:  # whatever damage did to it: the results are made again
        shard.unlink(missing_ok=True)
        return []
