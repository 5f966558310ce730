"""Which picture or sound belongs to which item: by a column, or by the names of files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mmtutorial.datasets.faults import DatasetError, Fault

SUFFIXES = {
    "image": (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    "audio": (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"),
}
KINDS = {"image": "picture", "audio": "sound"}


def folder_above(folders: list[Path]) -> Path:
    """Return the folder above all of these."""
    try:
        return Path(os.path.commonpath([folder.resolve().parent for folder in folders]))
    except ValueError as error:
        raise DatasetError(
            "images and sounds lie on two drives: bring them into one folder"
        ) from error


def match_files(
    folder: Path,
    kind: str,
    goods: pd.DataFrame,
    above: Path,
    products: str,
    left_out: list[Fault],
) -> list[str]:
    """Return each product's file, relative to ``above``; "" where it has none."""
    if not folder.is_dir():
        raise DatasetError(f"there is no folder {folder}: check the path of the {KINDS[kind]}s")
    files = sorted(
        (
            path.relative_to(folder)
            for path in folder.rglob("*")
            if path.suffix.lower() in SUFFIXES[kind]
            and path.is_file()
            and not path.name.startswith(".")
        ),
        key=lambda path: _natural(path.with_suffix("").as_posix()),
    )
    prefix = folder.resolve().relative_to(above)
    if kind in goods and goods[kind].ne("").any():
        return _named_files(files, kind, goods, prefix, left_out, folder, products)
    words = goods["item"].map(_words)
    clashing = set(words[words.duplicated(keep=False)])
    item_of = dict(zip(words, goods["item"], strict=True))
    found: dict[str, list[str]] = {}
    lost: list[str] = []
    for path in files:
        told = [item for item in _told(path, item_of) if _words(item) not in clashing]
        if len(told) == 1:
            found.setdefault(told[0], []).append((prefix / path).as_posix())
        else:
            lost.append(path.as_posix())
    if not found:
        remedy = f"put the ids into the files' names, or name the files in a column {kind}"
        if not files:
            raise DatasetError(
                f"{folder} holds no {KINDS[kind]} (we look for {', '.join(SUFFIXES[kind])}): check "
                "the path"
            )
        raise DatasetError(
            f"{folder} holds {len(files)} {KINDS[kind]}s, and the name of none tells one product "
            f"of {products}, such as {files[0].as_posix()!r} beside the id "
            f"{goods['item'].iloc[0]!r}: {remedy}"
        )
    by_column = f"name them in a column {kind}, or let them be"
    several = [files_of[1] for files_of in found.values() if len(files_of) > 1]
    for some, message, remedy in (
        (lost, "name no product, or more than one", by_column),
        (several, "are not the first of their product", "one of each product is enough"),
    ):
        if some:
            shown = ", ".join(repr(each) for each in some[:3])
            text = f"{len(some)} of {len(files)} {KINDS[kind]}s {message}, such as {shown}"
            left_out.append(Fault(str(folder), None, text, remedy))
    return [found.get(item, [""])[0] for item in goods["item"]]


def _named_files(
    files: list[Path],
    kind: str,
    goods: pd.DataFrame,
    prefix: Path,
    left_out: list[Fault],
    folder: Path,
    products: str,
) -> list[str]:
    """Find the files that a column names: by their path in the folder, or their last name."""
    by_path = {path.as_posix(): path for path in files}
    by_name = {path.name: path for path in reversed(files)}
    names = []
    for row, name in zip(goods.index.tolist(), goods[kind], strict=True):
        cell = name.strip().replace("\\", "/")
        path = by_path.get(cell) or by_name.get(cell.rpartition("/")[2])
        names.append((prefix / path).as_posix() if path and cell else "")
        if cell and not path:
            message = f"the {KINDS[kind]} {name!r} is not in {folder}"
            left_out.append(Fault(products, row + 2, message, "add it, or leave that empty"))
    return names


def _natural(name: str) -> list[tuple[int, str]]:
    """Order names as people do, 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


def _words(name: str) -> tuple[str, ...]:
    """Cut a name at whatever is neither letter nor digit, large letters or small.

    >>> _words("shoes/A-12_front")
    ('shoes', 'a', '12', 'front')
    """
    return tuple(re.findall(r"[^\W_]+", name.casefold()))


def _told(path: Path, item_of: Mapping[tuple[str, ...], str]) -> list[str]:
    """Name the products whose ids a path holds; an id within a longer one does not count.

    Of a name that begins with an id, what follows does not count either: it is a number, or a word.

    >>> _told(Path("hats/A-12_7.jpg"), {("a", "12"): "A-12", ("12",): "12", ("7",): "7"})
    ['A-12']
    """
    longest = max((len(each) for each in item_of), default=0)
    told: list[str] = []
    for part in path.with_suffix("").parts:
        words, start = _words(part), 0
        while start < len(words):
            for length in range(min(longest, len(words) - start), 0, -1):
                item = item_of.get(words[start : start + length])
                if item is not None:
                    told.append(item)
                    start += length if start else len(words)
                    break
            else:
                start += 1
    return list(dict.fromkeys(told))
