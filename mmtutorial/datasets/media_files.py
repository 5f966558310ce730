"""Which picture or sound belongs to which item: by a column, or by the names of files."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from unicodedata import category

import pandas as pd

from mmtutorial.datasets.checks import locate, outside
from mmtutorial.datasets.faults import DatasetError, Fault
from mmtutorial.datasets.file_names import FileNames
from mmtutorial.datasets.media import is_picture, readable
from mmtutorial.datasets.schema import is_system_file, normal_form
from mmtutorial.datasets.sounds import is_sound
from mmtutorial.storage.folders import files_below

SUFFIXES = {  # of which we need not look into the file
    "image": (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    "audio": (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"),
}
KINDS = {"image": "picture", "audio": "sound"}
FORMATS = {"image": "JPEG or PNG", "audio": "WAV or FLAC"}
IS_ONE = {"image": is_picture, "audio": is_sound}
UNNAMED = "cannot be named in a data set (no UTF-8, a backslash, or a control sign)"
SHARED = 0.1  # of the products: a file that more of them name may stand for missing ones


@dataclass
class MediaFolder:
    """What lies in a folder of pictures or sounds: names relative to it, with "/" between."""

    path: Path
    kind: str
    prefix: str  # the way to it from the folder above
    media: list[str] = field(default_factory=list)  # in the order in which people count
    others: list[str] = field(default_factory=list)

    def name(self, file: str) -> str:
        """Return the name of a file as a data set has it, relative to the folder above."""
        return f"{self.prefix}/{file}"


def folder_above(folders: list[Path]) -> Path:
    """Return the folder above all of these."""
    try:
        return Path(os.path.commonpath([folder.resolve().parent for folder in folders]))
    except ValueError as error:
        raise DatasetError(
            "images and sounds lie on two drives: bring them into one folder"
        ) from error


def match_files(
    folders: Mapping[str, Path],
    goods: pd.DataFrame,
    above: Path,
    tables: Sequence[Path],
    left_out: list[Fault],
) -> None:
    """Write each product's picture and sound into ``goods``, relative to ``above``.

    Parameters
    ----------
    folders : mapping of str to Path
        "image" or "audio", and the folder of its files.
    goods : DataFrame
        With a column item, and perhaps image and audio, which name files in these folders. A
        product without a file gets "".
    above : Path
        From `folder_above`.
    tables : sequence of Path
        The tables of events and of products, in this order, which may lie in the folders too.
    left_out : list of Fault
        Receives the cells that name no file, or may mean two, and the files that are not used.

    Raises
    ------
    DatasetError
        If a folder is not there, or no file in it belongs to a product.
    """
    found = [_listed(folder, kind, above, left_out) for kind, folder in folders.items()]
    used: set[str] = set()
    for each in found:
        by_column = each.kind in goods and goods[each.kind].str.strip().ne("").any()
        match = _by_column if by_column else _by_names
        goods[each.kind] = match(each, goods, tables[-1].name, left_out)
        used |= set(goods[each.kind])
    used |= {each.name(file) for each in found for file in each.media}
    used |= {
        path.resolve().relative_to(above).as_posix()
        for path in tables
        if path.resolve().is_relative_to(above)
    }
    for each in found:
        unused = [file for file in each.others if each.name(file) not in used]
        used |= {each.name(file) for file in unused}
        left_out += _not_media(each, unused)


def _listed(folder: Path, kind: str, above: Path, left_out: list[Fault]) -> MediaFolder:
    """List a folder, and say what in it cannot be reached or named."""
    folder = locate(folder.parent, folder.name)
    if not folder.is_dir():
        what = f"there is no folder {readable(folder)}"
        raise DatasetError(f"{what}: check the path of the {KINDS[kind]}s")
    listed = MediaFolder(folder, kind, folder.resolve().relative_to(above).as_posix())
    if not _can_be_written(listed.prefix):
        raise DatasetError(f"{readable(folder)} {UNNAMED}: rename this folder")
    files, unreached = files_below(folder)
    names = [path.as_posix() for path in files if not _is_a_systems(path)]
    unnamed = [name for name in names if not _can_be_written(listed.name(name))]
    message = "cannot be reached: a link that leads nowhere, or a folder that may not be read"
    left_out += _about(listed, map(str, unreached), "place", message, "repair it, or remove it")
    remedy = "rename this file" if len(unnamed) == 1 else "rename these files"
    left_out += _about(listed, unnamed, "file", UNNAMED, remedy)
    refused = set(unnamed)
    for name in sorted((name for name in names if name not in refused), key=_natural):
        suffix = PurePosixPath(name).suffix.lower()
        known = suffix in SUFFIXES[kind]
        foreign = any(suffix in each for each in SUFFIXES.values()) and not known
        one = known or (not foreign and IS_ONE[kind](folder / name))
        (listed.media if one else listed.others).append(name)
    return listed


def _is_a_systems(path: Path) -> bool:
    """Say whether a file is hidden, or one that a system made for itself."""
    return any(part.startswith(".") for part in path.parts) or is_system_file(path)


def _can_be_written(name: str) -> bool:
    """Say whether a table can hold a file's name, and a data set can have it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not outside(name) and not re.search(r"[\x00-\x1f\x7f]", name)


def _about(
    folder: MediaFolder, files: Iterable[str], what: str, message: str, remedy: str, of: int = 0
) -> list[Fault]:
    """Say one thing of some files (of so many), with three of their names; nothing if none."""
    some = [readable(file) for file in files]
    if not some:
        return []
    count = f"{len(some)} of {of}" if of else f"{len(some)}"
    noun = what if (of or len(some)) == 1 else f"{what}s"
    shown = ", ".join(repr(each) for each in some[:3])
    message = f"{count} {noun} {message}, such as {shown}"
    return [Fault(readable(folder.path), None, message, remedy)]


def _not_media(folder: MediaFolder, files: Sequence[str]) -> list[Fault]:
    """Say which files are no pictures (or sounds), a line for each of the most common suffixes."""
    suffixes = [PurePosixPath(file).suffix.lower() for file in files]
    common = [suffix for suffix, _ in Counter(suffixes).most_common(9)]
    sorts: dict[str, list[str]] = {}
    for file, suffix in zip(files, suffixes, strict=True):
        which = f"ending in {suffix}" if suffix else "without a suffix"
        sorts.setdefault(which if suffix in common else "of other kinds", []).append(file)
    kind = KINDS[folder.kind]
    remedy = f"save what is a {kind} as {FORMATS[folder.kind]}"
    return [
        fault
        for which, some in sorts.items()
        for fault in _about(folder, some, "file", f"{which} cannot be read as a {kind}", remedy)
    ]


def _by_column(
    folder: MediaFolder, goods: pd.DataFrame, products: str, left_out: list[Fault]
) -> list[str]:
    """Find the files that a column names, however their paths are written."""
    kind = KINDS[folder.kind]
    names = FileNames([*folder.media, *folder.others], folder.path)
    files, wrong = names.find(goods[folder.kind].tolist())
    for place, (message, remedy) in wrong.items():
        row = int(goods.index[place]) + 2
        left_out.append(Fault(products, row, f"the {kind} {message}", remedy))
    count = Counter(file for file in files if file)
    most, times = max(count.items(), key=lambda item: item[1], default=("", 0))
    if times >= 3 and times > SHARED * len(files):
        message = f"{times} products name the {kind} {most!r}, more than any other"
        remedy = "if it stands for a missing one, leave these cells empty"
        left_out.append(Fault(products, None, message, remedy, note=True))
    unused = [file for file in folder.media if file not in count]
    message, remedy = "are named by no product", "name them, or let them be"
    left_out += _about(folder, unused, kind, message, remedy, of=len(folder.media))
    return [folder.name(file) if file else "" for file in files]


def _by_names(
    folder: MediaFolder, goods: pd.DataFrame, products: str, left_out: list[Fault]
) -> list[str]:
    """Find the files whose paths hold a product's id."""
    kind, files = KINDS[folder.kind], folder.media
    words = goods["item"].map(_words)
    clashing = set(words[words.duplicated(keep=False)])
    item_of = dict(zip(words, goods["item"], strict=True))
    longest = max(map(len, item_of), default=0)
    found: dict[str, list[str]] = {}
    lost: list[str] = []
    for file in files:
        ids = [item for item in _ids_in(file, item_of, longest) if _words(item) not in clashing]
        if len(ids) == 1:
            found.setdefault(ids[0], []).append(file)
        else:
            lost.append(file)
    numbered = [file for item in _running_numbers(found) for file in found.pop(item)]
    if not found:
        raise DatasetError(_none_found(folder, products, goods["item"], left_out))
    by_column = f"name them in a column {folder.kind}, or let them be"
    several = [file for files_of in found.values() for file in files_of[1:]]
    for some, message, remedy in (
        (lost, "name no product, or more than one", by_column),
        (numbered, "have a number that occurs in many folders, which is no product's", by_column),
        (several, "are not the first of their product", "one of each product is enough"),
    ):
        left_out += _about(folder, some, kind, message, remedy, of=len(files))
    return [folder.name(found[item][0]) if item in found else "" for item in goods["item"]]


def _none_found(
    folder: MediaFolder, products: str, ids: pd.Series, left_out: Sequence[Fault]
) -> str:
    """Say that no file of a folder belongs to a product."""
    kind, shown = KINDS[folder.kind], readable(folder.path)
    if not folder.media:
        why = [each for each in left_out if each.file == shown]
        why += _not_media(folder, folder.others)
        reasons = "".join(f"\n  {fault}" for fault in why)
        return f"{shown} holds no {kind} that can be read here: check the path{reasons}"
    return (
        f"{shown} holds {len(folder.media)} {kind}s, and the name of none tells one product of "
        f"{products}, such as {folder.media[0]!r} beside the id {ids.iloc[0]!r}: put the ids into "
        f"the files' names, or name the files in a column {folder.kind}"
    )


def _running_numbers(found: Mapping[str, Collection[str]]) -> list[str]:
    """Return the ids that files have by chance: 1.jpg in each of many folders is not product 1's.

    >>> _running_numbers({"1": ["red/1.jpg", "blue/1.jpg", "green/1.jpg"], "7": ["7.jpg"]})
    ['1']
    >>> _running_numbers({"1": ["front/1.jpg", "back/1.jpg"], "2": ["front/2.jpg", "back/2.jpg"]})
    []
    """
    folders = {
        item: {
            file.rpartition("/")[0]
            for file in files
            if not _ids_in(file.rpartition("/")[0], {_words(item): item}, len(_words(item)))
        }
        for item, files in found.items()
        if len(files) > 1
    }
    everywhere = set().union(*folders.values())
    if len(everywhere) <= max(2, len(found)):
        return []
    return [item for item, some in folders.items() if len(some) > 1]


def _stem(name: str) -> str:
    """Return a file's name without its suffix; what follows the dot of 1.5 is none.

    >>> _stem("shoes/A-12.jpg"), _stem("v1.5")
    ('shoes/A-12', 'v1.5')
    """
    return re.sub(r"\.[^\W\d_]\w{0,4}$", "", name)


def _natural(name: str) -> list[tuple[int, str]]:
    """Order names as people do, 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", _stem(name))
    ]


def _words(name: str) -> tuple[str, ...]:
    """Cut a name at whatever is neither letter nor digit, large letters or small.

    An accent belongs to its letter, also where it is written as a sign of its own.

    >>> _words("shoes/A-12_front")
    ('shoes', 'a', '12', 'front')
    >>> _words("Cafe\\u0301 1") == _words("café-1")
    True
    """
    name = normal_form(name.casefold())
    if name.isascii():
        return tuple(re.findall("[a-z0-9]+", name))
    kept = (sign if sign.isalnum() or category(sign)[0] == "M" else " " for sign in name)
    return tuple("".join(kept).split())


def _ids_in(name: str, item_of: Mapping[tuple[str, ...], str], longest: int) -> list[str]:
    """Name the products whose ids a path holds; an id within a longer one does not count.

    Of a name that begins with an id, what follows does not count either: it is a number, or a word.
    ``longest`` is the number of words that an id has at most.

    >>> _ids_in("hats/A-12_7.jpg", {("a", "12"): "A-12", ("12",): "12", ("7",): "7"}, 2)
    ['A-12']
    """
    ids: list[str] = []
    for part in _stem(name).split("/"):
        words, start = _words(part), 0
        while start < len(words):
            for length in range(min(longest, len(words) - start), 0, -1):
                item = item_of.get(words[start : start + length])
                if item is not None:
                    ids.append(item)
                    start += length if start else len(words)
                    break
            else:
                start += 1
    return list(dict.fromkeys(ids))
