"""The folder of a saved recommender: what its description says, and what may be replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mmtutorial.datasets.contents import files_in
from mmtutorial.datasets.schema import is_system_file

ABOUT, ARRAYS = "recommender.json", "arrays.npz"


def as_json(name: str, value: Any) -> Any:
    """Return an option as JSON gives it back, or refuse it."""

    def scalar(other: Any) -> Any:
        if isinstance(other, np.generic):
            return other.item()
        raise TypeError(f"{type(other).__name__} is neither number, text, tuple nor dict")

    try:
        plain = json.loads(json.dumps(value, default=scalar, allow_nan=False))
    except (TypeError, ValueError) as fault:
        raise TypeError(f"the option {name} cannot be saved: {fault}") from fault
    if tuples(plain) != tuples(value):
        raise TypeError(f"the option {name} cannot be saved: the keys of a dict must be text")
    return plain


def tuples(value: Any) -> Any:
    """Turn lists into tuples, also inside."""
    if isinstance(value, Mapping):
        return {key: tuples(inner) for key, inner in value.items()}
    return tuple(map(tuples, value)) if isinstance(value, list | tuple) else value


def check_replaceable(folder: Path) -> None:
    """Refuse to write where something else than a saved recommender lies."""
    if folder == Path.cwd():
        raise ValueError(f"{folder} is the folder you are in: name another one to write into")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder to save the recommender into")
    inside = files_in(folder)
    known = {ABOUT, *read_about(folder)["files"]} - {"."} if ABOUT in inside else set()
    ours = (known.intersection({name, *map(str, PurePosixPath(name).parents)}) for name in inside)
    foreign = [n for n, by in zip(inside, ours, strict=True) if not by and not is_system_file(n)]
    if foreign:
        raise ValueError(
            f"{folder} holds {foreign[0]!r}, which is no part of a saved recommender; nothing "
            "was written: name a new folder, or move what you want to keep away from this one"
        )


def read_about(folder: Path) -> dict[str, Any]:
    """Read recommender.json."""
    path = folder / ABOUT
    if not os.path.lexists(path):
        raise ValueError(f"{folder} holds no saved recommender: {ABOUT} is missing")
    content = path.read_bytes()
    kinds = {"class": str, "version": str, "options": dict, "files": list}
    try:
        about = json.loads(content.decode("utf-8"))
        sound = all(isinstance(about[name], kind) for name, kind in kinds.items())
        sound = sound and all(isinstance(name, str) for name in about["files"])
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise ValueError(f"{path} is damaged, or not ours: save the recommender anew, elsewhere")
    found: dict[str, Any] = about
    return found
