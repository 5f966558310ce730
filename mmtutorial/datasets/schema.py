"""What a data set consists of: its files, its columns, its modalities."""

from __future__ import annotations

import unicodedata
from fnmatch import fnmatchcase
from pathlib import PurePath

MODALITIES = ("text", "image", "audio")
SPLIT = ("train", "validation", "test")  # the parts that a data set may come with
SPLITS = ("published", "per user", "global")  # by its parts, in each user's time, in all time
SYSTEM_FILES = (  # what systems and tools leave in any folder, unasked; patterns, in small letters
    *(".ds_store", "._*", ".appledouble", ".localized", "__macosx", "icon\r"),  # macOS
    *(".fseventsd", ".spotlight-v100", ".trashes", ".temporaryitems"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *(".directory", ".trash-*", "lost+found", "@eadir"),  # Linux, Synology
    *(".ipynb_checkpoints", "__pycache__"),
)


def is_system_file(name: str | PurePath) -> bool:
    """Say whether a file, or a folder that it lies in, is one that systems and tools leave.

    Such files are no part of a data set. A ``.git`` is not among them: it holds somebody's work.

    Parameters
    ----------
    name : str or Path
        A name, or a path within the folder that is looked at.

    Examples
    --------
    >>> [is_system_file(each) for each in ("images/._p1.jpg", "__MACOSX/p1.jpg", "p1.jpg")]
    [True, True, False]
    """
    return any(
        fnmatchcase(part.lower(), pattern)
        for part in PurePath(name).parts
        for pattern in SYSTEM_FILES
    )


def normal_form(text: str) -> str:
    """Return text in Unicode's composed form NFC, in which ids and names are compared.

    macOS writes the names of files decomposed, an "e" and then an accent; most else composes them.

    >>> "cafe\\u0301" == "café", normal_form("cafe\\u0301") == normal_form("café")
    (False, True)
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)
