"""The cache of outcomes: finished work by all that it depends on.

A piece of work has a key: the digest of everything that its outcome depends on. Its outcome is one
file that is either there in full or not there. So a kill at any moment costs only what was not
finished, and a change in the code, the data or the parameters makes new keys. (joblib.Memory would
pickle outcomes, and look at the code of one function, not at what that calls.)
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mmtutorial.datasets import MAKERS
from mmtutorial.datasets.schema import is_system_file
from mmtutorial.storage.digests import folder_digest
from mmtutorial.storage.files import expanded, write_whole


def key(**parts: Any) -> str:
    """Return 16 hexadecimal digits that name work by all that it depends on.

    Parameters
    ----------
    **parts
        Numbers, texts, tuples, lists, dicts and None; the order of names does not matter.

    Raises
    ------
    TypeError
        If a part is of another kind, whose text might differ from run to run.

    Examples
    --------
    >>> key(seed=0, fusion="late") == key(fusion="late", seed=0) != key(fusion="late", seed=1)
    True
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, allow_nan=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def data_digest(dataset: str) -> str:
    """Return a digest of a data set: of every file of a folder; of a name, the name itself.

    The data sets that have a name are made by the library from files whose digests it checks, so
    `mmtutorial.storage.digests.code_digest` tells them apart.

    Raises
    ------
    ValueError
        If it is neither a name nor a folder.
    """
    if dataset in MAKERS:
        return dataset
    folder = expanded(dataset)
    if not folder.is_dir():
        raise ValueError(
            f"{dataset!r} is neither a data set ({', '.join(MAKERS)}) nor a folder: check the "
            "spelling, or give the path of a folder that holds a dataset.json"
        )
    return folder_digest(folder, leave_out=is_system_file)


def write(path: str | Path, content: bytes | str) -> Path:
    """Write a file in full or not at all; folders are made.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder, "a", "b.txt"), "done").read_text()
    'done'
    """
    path = expanded(path)
    write_whole(path, content.encode() if isinstance(content, str) else content)
    return path
