"""Digests of what a result depends on."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection
from pathlib import Path

from mmtutorial import __version__

PACKAGE = Path(__file__).parents[1]


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
