"""What a data set may not hold, in its tables, its arrays and its media."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from mmtutorial.datasets.faults import Fault
from mmtutorial.datasets.media import (
    MediaError,
    check_picture,
    is_file,
    to_rgb,
    too_large,
)
from mmtutorial.datasets.schema import SPLIT, SPLITS
from mmtutorial.datasets.sounds import Notes, read_sound
from mmtutorial.terminal import steps

if TYPE_CHECKING:
    from mmtutorial.datasets.dataset import Dataset


def table_faults(data: Dataset) -> list[Fault]:
    """Faults that make the tables unusable."""
    return [
        *item_faults(data.items),
        *interaction_faults(data.interactions, data.items),
        *array_faults(data),
    ]


def split_faults(split: object, interactions: pd.DataFrame) -> list[Fault]:
    """Say what is wrong with the way in which a data set wants to be split.

    >>> print(*split_faults("published", pd.DataFrame({"user": ["ann"]})))
    dataset.json: its split is 'published', and no interaction has a part; add a column part, \
or write another split
    """
    if split not in ("", *SPLITS):
        message = f"its split is {split!r}"
        return [Fault("dataset.json", None, message, f"write one of {', '.join(SPLITS)}, or none")]
    if split == "published" and "part" not in interactions:
        message = "its split is 'published', and no interaction has a part"
        return [Fault("dataset.json", None, message, "add a column part, or write another split")]
    return []


def marked(wrong: npt.ArrayLike) -> list[int]:
    """Return the places that a bool array marks, as ints."""
    return [int(place) for place in np.flatnonzero(np.asarray(wrong, dtype=bool))]


def _id_faults(ids: pd.Series, file: str, kind: str) -> list[Fault]:
    """Ids that are empty or padded with spaces."""
    trimmed = ids.map(str.strip)
    empty = trimmed == ""
    padded = ~empty & (ids != trimmed)
    return [
        Fault(file, place + 2, f"the {kind} has no id", "give it one, or remove the row")
        for place in marked(empty)
    ] + [
        Fault(file, place + 2, f"the {kind} id {ids.iloc[place]!r} has spaces around it", "trim it")
        for place in marked(padded)
    ]


def item_faults(items: pd.DataFrame) -> list[Fault]:
    """Return what is wrong with the table of items."""
    file, ids = "items.csv", items["item"]
    faults = _id_faults(ids, file, "item")
    first = {name: place for place, name in reversed(list(enumerate(ids)))}
    for place in marked(ids.duplicated() & (ids != "")):
        message = f"the item id {ids.iloc[place]!r} is taken by row {first[ids.iloc[place]] + 2}"
        faults.append(Fault(file, place + 2, message, "give every item its own id"))
    for kind in ("image", "audio"):
        for place, name in enumerate(items.get(kind, [])):
            if name and outside(name):
                message = f"the {kind} {name!r} lies outside the folder"
                remedy = f"copy it into the folder and write a path such as {kind}s/{place}.xyz"
                faults.append(Fault(file, place + 2, message, remedy.replace("audios/", "audio/")))
    return faults


def outside(name: str) -> bool:
    """Say whether a path is absolute, climbs out of its folder, or is not written with '/'."""
    path = PurePosixPath(name)
    return (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in name
        or bool(re.match("[A-Za-z]:", name))
    )


def locate(folder: Path, name: str) -> Path:
    """Return where a file lies that a table names, also where the disk writes accents another way.

    >>> locate(Path("shop"), "images/tea.png").as_posix()
    'shop/images/tea.png'
    """
    place = folder / name
    if name.isascii() or os.path.lexists(place):
        return place
    found = folder
    for part in PurePosixPath(name).parts:
        forms = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        there = [form for form in forms if os.path.lexists(found / form)]
        found /= there[0] if there else part
    return found


def interaction_faults(interactions: pd.DataFrame, items: pd.DataFrame) -> list[Fault]:
    """Return what is wrong with the table of interactions, repetitions aside."""
    file = "interactions.csv"
    faults = _id_faults(interactions["user"], file, "user")
    unknown = ~interactions["item"].isin(items["item"])
    for place in marked(unknown):
        message = f"the item {interactions['item'].iloc[place]!r} is not in items.csv"
        faults.append(Fault(file, place + 2, message, "add it there, or remove this row"))
    for place in marked(~interactions["part"].isin(SPLIT) if "part" in interactions else []):
        message = f"the part {interactions['part'].iloc[place]!r} is unknown"
        remedy = f"write one of {', '.join(SPLIT)}, or remove the column"
        faults.append(Fault(file, place + 2, message, remedy))
    return faults


def repeat_faults(log: pd.DataFrame, note: str = "") -> list[Fault]:
    """Interactions that occur twice at the same second, or in two parts."""
    faults = []
    when = "" if log["timestamp"].isna().all() else " at the same time"
    for place in marked(log.duplicated(["user", "item", "timestamp"])):
        user, item = log["user"].iloc[place], log["item"].iloc[place]
        message = f"{user!r} takes {item!r} twice{when}{note}"
        faults.append(Fault("interactions.csv", place + 2, message, "remove one of the two rows"))
    if "part" in log:
        first = log.groupby(["user", "item"], sort=False)["part"].transform("first")
        for place in marked(log["part"] != first):
            user, item, part = (log[name].iloc[place] for name in ("user", "item", "part"))
            message = f"{user!r} takes {item!r} in the parts {first.iloc[place]} and {part}{note}"
            remedy = "what is tested must not be learnt from: remove one of the two rows"
            faults.append(Fault("interactions.csv", place + 2, message, remedy))
    return faults


def array_faults(data: Dataset) -> list[Fault]:
    """What is wrong with ready-made features and with the truth."""
    faults = []
    for modality, array in data.features.items():
        file = f"features/{modality}.npy"
        floats = np.issubdtype(array.dtype, np.floating)
        if array.ndim != 2 or not array.shape[1] or not floats:
            message = f"is {array.dtype} with shape {array.shape}"
            faults.append(Fault(file, None, message, "it must be floats with shape (n_items, d)"))
        elif len(array) != data.n_items:
            message = f"has {len(array)} rows for {data.n_items} items"
            faults.append(
                Fault(file, None, message, "write one row an item, in the order of items.csv")
            )
        elif not (sound := np.abs(array) <= np.finfo(np.float32).max).all():
            row = int(np.argwhere(~sound)[0, 0])
            message = f"holds NaN or infinity, first in the row of item {data.items['item'][row]!r}"
            faults.append(Fault(file, None, message, "write zeros for an item without features"))
    if data.truth is not None:
        for kind, ids in (("item", data.items["item"]), ("user", data.users)):
            table = getattr(data.truth, f"{kind}_factors")
            lacking = [name for name in ids if name not in table.index]
            if lacking:
                message = f"has no row for the {kind} {lacking[0]!r} ({len(lacking)} in all)"
                faults.append(
                    Fault(f"truth/{kind}s.csv", None, message, "add it, or remove truth/")
                )
        if list(data.truth.item_factors.columns) != list(data.truth.user_factors.columns):
            faults.append(
                Fault(
                    "truth/users.csv",
                    1,
                    "its factors are not those of truth/items.csv",
                    "both need the same columns, or remove truth/",
                )
            )
    return faults


def content_faults(data: Dataset) -> list[Fault]:
    """Faults that cost one item or one row, not the data set."""
    faults = []
    for place in marked(~data.present().any(axis=1)):
        message = f"the item {data.items['item'].iloc[place]!r} has no text, image or audio"
        faults.append(
            Fault("items.csv", place + 2, message, "only its id can be recommended: add one")
        )
    named = [
        (kind, row, name)
        for kind in ("image", "audio")
        for row, name in enumerate(data.items[kind])
        if name and not outside(name)
    ]
    found = joblib.Parallel(n_jobs=-1, prefer="threads", batch_size=16)(
        joblib.delayed(_medium_faults)(data.folder, *each) for each in _watched(named)
    )
    return [*faults, *itertools.chain.from_iterable(found)]


def _watched(named: list[Any]) -> Iterable[Any]:
    """Show progress where there is much to decode."""
    if len(named) < 1000:
        return named
    return steps(named, "Checking pictures and sounds")


def _medium_faults(folder: Path, kind: str, row: int, name: str) -> list[Fault]:
    """Decode one file, and say what is wrong with it, or what was mended in reading it."""
    path = locate(folder, name)

    def fault(message: str, remedy: str, note: bool = False) -> Fault:
        return Fault(name, None, f"{message} (items.csv, row {row + 2})", remedy, note)

    if not is_file(path):
        return [fault("the file is missing", f"add it, or leave the {kind} of that item empty")]
    if path.stat().st_size == 0:
        return [fault("the file is empty", f"replace it, or leave the {kind} of that item empty")]
    if kind == "image":
        found = _picture_fault(path, fault)
        return [found] if found else []
    notes: Notes = []
    try:
        read_sound(path, notes)
    except MediaError as error:
        return [fault(error.message, error.remedy)]
    return [fault(message, remedy, note=True) for message, remedy in notes]


def _picture_fault(path: Path, fault: Callable[[str, str], Fault]) -> Fault | None:
    try:
        with Image.open(path) as picture:
            check_picture(path, picture)
            to_rgb(picture)
    except MediaError as error:
        return fault(error.message, error.remedy)
    except Image.DecompressionBombError:
        refused = too_large(path)
        return fault(refused.message, refused.remedy)
    except Image.UnidentifiedImageError:
        return fault("not a picture", "replace it by a JPEG or PNG")
    except Exception as error:  # damaged files make Pillow's plug-ins raise nearly anything
        return fault(f"the picture is damaged ({error})", "replace it")
    return None
