"""What lies below a folder, behind links too: each folder once, and what cannot be reached."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path


def files_below(folder: str | Path) -> tuple[list[Path], list[Path]]:
    """Return the files in a folder and in all that it holds, and what could not be reached.

    A link to a folder is entered, after the folders that are no links, so that a file has its
    plainest path. No folder is entered twice, and none that the link itself lies in.

    Returns
    -------
    files : list of Path
        Relative to ``folder``, in the order in which the system gives them. A link to a file is
        one; pipes and devices are not.
    unreached : list of Path
        Relative to ``folder``: links that lead nowhere, and folders that may not be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "shoes").mkdir()
    ...     Path(folder, "shoes", "a.jpg").touch()
    ...     files, unreached = files_below(folder)
    >>> [path.as_posix() for path in files], unreached
    (['shoes/a.jpg'], [])
    """
    top = Path(folder)
    files: list[Path] = []
    unreached: list[Path] = []
    entered: set[tuple[int, int]] = set()
    due, links = deque([Path()]), deque[Path]()
    while due or links:
        place = due.popleft() if due else links.popleft()
        try:
            status = os.stat(top / place)
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            entries = list(os.scandir(top / place))
        except OSError:
            unreached.append(place)
            continue
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = place / entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    due.append(path)
                elif entry.is_dir():
                    if not _lies_in(top / path):
                        links.append(path)
                elif entry.is_file():
                    files.append(path)
                elif entry.is_symlink() and not os.path.exists(entry.path):
                    unreached.append(path)
            except OSError:  # a link to itself
                unreached.append(path)
    return files, unreached


def _lies_in(link: Path) -> bool:
    """Say whether a link lies in the folder that it leads to, which is then a circle."""
    return link.parent.resolve().is_relative_to(link.resolve())
