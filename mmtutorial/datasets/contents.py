"""What lies in a folder: the files of a data set, and what else a person keeps there.

A data set is never written over anything that nobody has offered: not over another data set, and
never over files that are no part of one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from mmtutorial.datasets.checks import outside
from mmtutorial.datasets.faults import DatasetError
from mmtutorial.datasets.schema import MODALITIES, is_system_file
from mmtutorial.datasets.tables import read_table

ABOUT = "dataset.json"
TABLES = (ABOUT, "items.csv", "interactions.csv")
FEATURES = {modality: f"features/{modality}.npy" for modality in MODALITIES}
TRUTH = ("truth/items.csv", "truth/users.csv")


def check_place(
    folder: Path, *, replace: bool, keeps: bool = False, how: str = "replace=True"
) -> None:
    """Refuse a folder in which a data set may not be written.

    Parameters
    ----------
    folder : Path
        Resolved.
    replace : bool
        Whether a data set that lies there may go.
    keeps : bool
        Whether all files that are not written anew stay there (`carry_over`).
    how : str
        What the caller says to replace one.

    Raises
    ------
    DatasetError
        If the folder holds a data set that may not go, or a file that is no part of it and would
        go too; if it is a file, or the folder one is in.
    """
    if folder == Path.cwd():
        raise DatasetError(f"{folder} is the folder you are in: name another one to write into")
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f"{folder} is a file; name a folder to write the data set into")
    if not folder.exists():
        return
    there = (folder / ABOUT).exists()
    if there and not replace:
        raise DatasetError(
            f"{folder} holds {_described(folder)}; nothing was written: name another folder, or "
            f"replace what lies there by {how}"
        )
    foreign = [] if there and keeps else others(folder)
    if foreign:
        what = "which is no part" if len(foreign) == 1 else "which are no part"
        raise DatasetError(
            f"{folder} holds {shown(foreign)}, {what} of a data set; nothing was "
            "written: name a new folder, or move what you want to keep away from this one"
        )


def others(folder: Path) -> list[str]:
    """Return the files that are no part of the data set in a folder, sorted.

    Its parts are its tables, features and truth, and the media that its ``items.csv`` names. What
    systems leave (`is_system_file`) is not counted. Paths are relative to the folder; a link to a
    folder is one file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for name in ("dataset.json", "items.csv", "diary.txt", ".DS_Store"):
    ...         _ = Path(place, name).write_text("item\\ntea\\n")
    ...     others(Path(place))
    ['diary.txt']
    """
    parts = _parts(folder)
    above = {str(parent) for name in parts for parent in PurePosixPath(name).parents}
    return [
        name
        for name in files_in(folder)
        if name not in parts
        and not (name in above and (folder / name).is_dir())  # a link that leads to its media
        and not is_system_file(name)
    ]


def carry_over(folder: Path, fresh: Path) -> None:
    """Let every file of a folder that a new one lacks lie there too, by a link or as a copy."""
    for name in files_in(folder):
        place = fresh / name
        if os.path.lexists(place) or place.is_dir():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(folder / name, place, follow_symlinks=False)
        except (OSError, NotImplementedError):  # not every system has links
            shutil.copy2(folder / name, place, follow_symlinks=False)


def shown(names: Sequence[str]) -> str:
    """Name the first three, and say how many more there are.

    >>> shown(["a", "b", "c", "d"])
    "'a', 'b', 'c' and 1 more (4 files)"
    """
    text = ", ".join(map(repr, names[:3]))
    return text if len(names) <= 3 else f"{text} and {len(names) - 3:,} more ({len(names):,} files)"


def _described(folder: Path) -> str:
    """Say which data set lies in a folder."""
    name = ""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        name = str(json.loads((folder / ABOUT).read_text(encoding="utf-8-sig"))["name"])
    items = read_table(folder, "items.csv", ["item"], [])
    size = "" if items is None else f", {len(items):,} items"
    return f"a data set already ({name!r}{size})"


def _parts(folder: Path) -> set[str]:
    """Return the paths of the files that the data set in a folder consists of, there or not."""
    if not (folder / ABOUT).is_file():
        return set()
    parts = {*TABLES, *FEATURES.values(), *TRUTH}
    table = read_table(folder, "items.csv", ["item"], [])
    for kind in ("image", "audio"):
        if table is not None and kind in table:
            parts |= {str(PurePosixPath(name)) for name in table[kind] if not outside(name)}
    return parts


def files_in(folder: Path) -> list[str]:
    """Return all files in a folder, relative to it, sorted; links to folders are not entered.

    None where there is no folder. Raises OSError where one cannot be listed, since nobody knows
    what is in it.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    found = []
    for above, folders, files in os.walk(folder, onerror=refuse):
        links = [name for name in folders if os.path.islink(os.path.join(above, name))]
        found += [Path(above, name).relative_to(folder).as_posix() for name in (*files, *links)]
    return sorted(found)
