"""Digests of what a result depends on."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Collection
from importlib.metadata import version
from pathlib import Path, PurePath
from time import monotonic

import joblib
from rich.console import Console
from rich.progress import Progress

from mmtutorial import __version__
from mmtutorial.storage.folders import files_below

PACKAGE = Path(__file__).parents[1]
COMPUTES = ("keras", "numpy", "tensorflow")  # whose versions may change the last digit
PATIENCE = 3.0  # seconds without a progress bar


@functools.cache
def library_digest(without: Collection[str] = ()) -> str:
    """Return a digest of the library's own source, line ends aside.

    Parameters
    ----------
    without : tuple of str
        Files and folders of the package that the work does not use, such as ``cli.py``.

    Examples
    --------
    >>> library_digest() != library_digest(("cli.py",))
    True
    """
    digest = hashlib.sha256(__version__.encode())
    for path in sorted(PACKAGE.rglob("*")):
        name = path.relative_to(PACKAGE).as_posix()
        left_out = any(name == each or name.startswith(f"{each}/") for each in without)
        if path.is_file() and "__pycache__" not in name and not left_out:
            content = path.read_bytes().replace(b"\r\n", b"\n")
            digest.update(f"{name} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:16]


def work_digest(depends: object) -> str:
    """Return a digest of a piece of work: 32 hexadecimal digits.

    Parameters
    ----------
    depends : object
        All that the result depends on, beside this library's source and the versions of `COMPUTES`:
        arrays, numbers and texts, in tuples, lists and dicts.

    Examples
    --------
    >>> work_digest(("my model", 3)) == work_digest(("my model", 4))
    False
    """
    return joblib.hash((library_digest(), [version(each) for each in COMPUTES], depends))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path, leave_out: Callable[[PurePath], bool] = lambda name: False) -> str:
    """Return a digest of every file in a folder, its path and its content: 16 hexadecimal digits.

    Sizes and time stamps do not matter: a copy has the same digest, and another content another
    one. Files whose paths ``leave_out`` marks do not count. Files are read on all cores; a progress
    bar is shown where that takes some seconds.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_text("one")
    ...     first = folder_digest(Path(folder))
    ...     _ = Path(folder, "a.txt").write_text("two")
    ...     first == folder_digest(Path(folder))
    False
    """
    files, _ = files_below(folder)
    paths = sorted((name.as_posix(), folder / name) for name in files if not leave_out(name))
    found = joblib.Parallel(n_jobs=-1, prefer="threads", batch_size=16, return_as="generator")(
        joblib.delayed(file_digest)(path) for _, path in paths
    )
    digest = hashlib.sha256()
    begun = monotonic()
    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task(f"Reading {folder.name}", total=len(paths))
    try:
        for (name, _), content in zip(paths, found, strict=True):
            digest.update(f"{name} {content}\n".encode("utf-8", "surrogatepass"))
            progress.advance(task)
            if monotonic() - begun > PATIENCE:
                progress.start()
    finally:
        if progress.live.is_started:
            progress.stop()
    return digest.hexdigest()[:16]
