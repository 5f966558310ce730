"""Encode the files of a catalogue once: on all cores, in bounded memory, kept by content.

What comes out for many files lies on disk, and is looked at through memory: see `scratch_array`.

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
import warnings
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
from mmtutorial.storage.arrays import read_arrays
from mmtutorial.storage.files import (
    cache_folder,
    expanded,
    explained,
    sweep,
    temporary_cache,
    whole_file,
)

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
        `scratch_array`: memory does not grow with it.
    present : ndarray
        bool (n,), False where the file is absent or faulty.
    faults : list of Fault
        One for each path that is given and cannot be used, in the order of ``paths``.

    Warns
    -----
    UserWarning
        If the cache cannot be read or written: names it, and what to do. The work is done without.

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
    paths = [path and expanded(path) for path in paths]
    rows = scratch_array((len(paths), *shape), dtype)
    present = np.zeros(len(paths), dtype=bool)
    wanted, found, size = _digests(paths)

    def settle(digest: bytes, result: Result) -> None:
        row, message, remedy = result
        for place in wanted.pop(digest):
            if row is None:
                found[place] = Fault(str(paths[place]), None, message, remedy)
            else:
                rows[place], present[place] = row, True

    base = expanded(cache) if cache else cache_folder() / "preprocessing"
    kept = _Kept(base / recipe(encode, shape, dtype, options, libraries), shape, np.dtype(dtype))
    for results in kept.read():
        for digest, result in results:
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
    encoded_batches = workers(
        delayed(_encode_batch)(encode, [str(paths[wanted[digest][0]]) for digest in batch], options)
        for batch in batches
    )
    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task(description, total=len(digests))
    begun = monotonic()
    fresh: list[tuple[bytes, Result]] = []
    most = min(SHARD, IN_MEMORY // max(rows[:1].nbytes, 1))
    try:
        for batch, encoded in zip(batches, encoded_batches, strict=True):
            for digest, (result, lasting) in zip(batch, encoded, strict=True):
                settle(digest, result)
                if lasting:
                    fresh.append((digest, result))
            if len(fresh) >= most:
                kept.write(fresh)
                fresh = []
                release(rows)
            progress.advance(task, len(batch))
            if monotonic() - begun > PATIENCE:
                progress.start()
    finally:
        if progress.live.is_started:
            progress.stop()
        if fresh:
            kept.write(fresh)
    kept.warn()
    return rows, present, [found[place] for place in sorted(found)]


def _digests(
    paths: Sequence[str | Path | None],
) -> tuple[dict[bytes, list[int]], dict[int, Fault], int]:
    """Read files: the places of each content by its digest, faults by place, and all bytes."""
    wanted: dict[bytes, list[int]] = {}
    faults: dict[int, Fault] = {}
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
                faults[place] = Fault(str(path), None, message, "check its path and permissions")
    return wanted, faults, size


def scratch_array(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return zeros to write results into: in memory, or on disk where they take more than 64 MB.

    The file lies in the cache's folder (or, with a warning, in the system's for temporary files),
    has no name, and is gone with the array. The system keeps in memory what of it is used, and
    takes that memory back when it is needed. Raises CacheError where no disk has room for it.

    >>> scratch_array((2, 3), "float32").sum()
    np.float32(0.0)
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, dtype)
    try:
        return _on_disk(shape, dtype, size, cache_folder())
    except OSError as error:
        try:
            rows = _on_disk(shape, dtype, size, temporary_cache())
        except OSError:
            raise explained(error, cache_folder(), f"for {size >> 20} MB") from error
        warnings.warn(f"{explained(error, cache_folder())}; going on without", stacklevel=2)
        return rows


def _on_disk(shape: tuple[int, ...], dtype: DTypeLike, size: int, folder: Path) -> np.ndarray:
    """Return zeros that lie in a file without a name."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # or a full disk would end the program
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.ndarray(shape, dtype, buffer=mmap.mmap(file.fileno(), size))


def release(rows: np.ndarray) -> None:
    """Give back the memory of an array from `scratch_array` on disk, where its values stay.

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


class _Kept:
    """The results of one recipe on disk, as far as they can be read and written there."""

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._folder, self._shape, self._dtype = folder, shape, dtype
        self._fault: OSError | None = None  # the first of the system, which is no damage

    def read(self) -> Iterator[list[tuple[bytes, Result]]]:
        """Read all that is kept, file by file."""
        try:
            sweep(self._folder.glob("*.part"))
            shards = sorted(self._folder.glob("*.npz"))
        except OSError as error:
            self._fault, shards = error, []
        for shard in shards:
            try:
                yield self._read(shard)
            except OSError as error:
                self._fault = self._fault or error

    def _read(self, shard: Path) -> list[tuple[bytes, Result]]:
        """Read one file; nothing, and the file is gone, if it is damaged."""
        try:
            kept = read_arrays(shard)
            if kept["rows"].dtype != self._dtype or kept["rows"].shape[1:] != self._shape:
                raise ValueError("another shape")
            pairs = zip(kept["messages"].tolist(), kept["remedies"].tolist(), strict=True)
            return [
                (digest.tobytes(), (None if message else row, message, remedy))
                for digest, row, (message, remedy) in zip(
                    kept["digests"], kept["rows"], pairs, strict=True
                )
            ]
        except (ValueError, KeyError):  # damaged: the results are made again
            shard.unlink(missing_ok=True)
            return []

    def write(self, results: list[tuple[bytes, Result]]) -> None:
        """Keep results in one file, named by the contents it is about; complete, or not at all."""
        digests = b"".join(digest for digest, _ in results)
        nothing = np.zeros(self._shape, self._dtype)
        place = self._folder / f"{hashlib.sha256(digests).hexdigest()[:32]}.npz"
        try:
            with whole_file(place) as file:
                np.savez(
                    file,
                    digests=np.frombuffer(digests, np.uint8).reshape(len(results), 32),
                    rows=np.stack([nothing if row is None else row for _, (row, _, _) in results]),
                    messages=np.array([message for _, (_, message, _) in results], dtype=str),
                    remedies=np.array([remedy for _, (_, _, remedy) in results], dtype=str),
                )
        except OSError as error:
            self._fault = self._fault or error

    def warn(self) -> None:
        """Say what could not be read or kept, if anything."""
        if self._fault is not None:
            warnings.warn(
                f"{explained(self._fault, self._folder)}; what is not kept there is encoded again",
                stacklevel=3,
            )
