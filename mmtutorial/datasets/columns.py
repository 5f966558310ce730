"""Which column is meant: names with blanks around, in other letter case, or nearly ours."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable, Sequence

import pandas as pd

from mmtutorial.datasets.faults import DatasetError, DatasetNote, Fault
from mmtutorial.datasets.schema import MODALITIES, normal_form

ITEMS = ("title", *MODALITIES)  # columns of items that may be absent
INTERACTIONS = ("timestamp", "rating", "review", "part")  # of interactions; times may be empty
ALIKE = 0.85  # how much of a name its likely misspelling shares with it, as difflib counts
MEANT = {  # what people call such a column; only to ask whether it is meant
    "title": ("title", "name"),
    "text": ("text", "description"),
    "image": ("image", "picture", "photo"),
    "audio": ("audio", "sound", "recording"),
    "rating": ("rating", "stars"),
    "review": ("review", "comment"),
    "timestamp": ("timestamp", "datetime"),
    "part": ("part", "split"),
}


def our_names(
    header: Sequence[object],
    needed: Iterable[str],
    optional: Iterable[str],
    file: str,
    faults: list[Fault],
    *,
    given: Iterable[str] = (),
) -> dict[str, str]:
    """Say which columns of a table are ours under another spelling: its name to ours.

    Blanks around a name, letter case and Unicode's form never count. For ``optional`` columns,
    hyphens, underscores, blanks within and a plural's "s" do not count either. A column
    that has our very name is ours, whatever else is there.

    Parameters
    ----------
    header : sequence
        The names of the columns as they are written.
    needed, optional : iterable of str
        Our names: those that must be there, and those that may have a near name; a name can be in
        both.
    file : str
        What to call the table in messages.
    faults : list of Fault
        Receives a note of each column that is taken, of each that is kept beside one of ours, and
        of each that is perhaps a misspelling; a fault of two that would be the same.
    given : iterable of str
        Columns of ours that are spoken for already.

    Examples
    --------
    >>> notes = []
    >>> our_names(["item", " Title", "images", "tittle"], ["item"], ITEMS, "items.csv", notes)
    {' Title': 'title', 'images': 'image'}
    >>> print(notes[0])
    note: items.csv, row 1: the column ' Title' is taken for 'title'; rename it if that is wrong
    """
    needed, optional = list(needed), list(optional)
    wanted = dict.fromkeys([*needed, *optional])
    there = {*header, *given}
    free = [name for name in header if isinstance(name, str) and name not in wanted]
    taken: dict[str, str] = {}
    for ours in wanted:
        alike = [
            name
            for name in free
            if same(name, ours)
            or (ours in optional and _bare(name) in (_bare(ours), f"{_bare(ours)}s"))
        ]
        free = [name for name in free if name not in alike]
        if ours in there:
            for name in alike:
                message = f"the column {name!r} is kept as a further column beside {ours!r}"
                remedy = f"rename it, or leave out the one that is not the {ours}"
                faults.append(Fault(file, 1, message, remedy, note=True))
        elif len(alike) > 1:
            message = f"the columns {alike} would all be {ours!r}"
            faults.append(Fault(file, 1, message, f"name one of them {ours}, and rename the rest"))
        elif alike:
            taken[alike[0]] = ours
            message = f"the column {alike[0]!r} is taken for {ours!r}"
            faults.append(Fault(file, 1, message, "rename it if that is wrong", note=True))
    absent = [ours for ours in optional if ours in MEANT and ours not in {*there, *taken.values()}]
    for name in free:
        meant = [ours for ours in absent if closest(_bare(name), MEANT[ours], ALIKE)]
        if meant:
            message = f"the column {name!r} is kept as a further column"
            remedy = f"if it is the {meant[0]}, rename it to {meant[0]}"
            faults.append(Fault(file, 1, message, remedy, note=True))
    return taken


def same(name: object, other: str) -> bool:
    """Say whether two names of columns differ by blanks around, letter case or Unicode's form.

    >>> same(" Title", "title"), same("titles", "title")
    (True, False)
    """
    return isinstance(name, str) and _plain(name) == _plain(other)


def find(name: str, header: Iterable[str]) -> str | None:
    """Return the column of this name: the very name, or else the only one that is the `same`.

    >>> find("sku", ["SKU ", "name"]), find("sku", ["SKU", "Sku"])
    ('SKU ', None)
    """
    header = list(header)
    if name in header:
        return name
    alike = [each for each in header if same(each, name)]
    return alike[0] if len(alike) == 1 else None


def closest(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """Return the name that is most like this one, if one is much like it."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=alike)
    return near[0] if near else None


def with_our_names(
    table: pd.DataFrame, needed: Sequence[str], optional: Iterable[str], name: str
) -> pd.DataFrame:
    """Give the columns of a table in memory our names, and warn of each that is renamed.

    Raises
    ------
    DatasetError
        If a column occurs twice, two would be the same, or one that is needed is not there.
    """
    faults: list[Fault] = []
    taken = our_names(list(table.columns), needed, optional, name, faults)
    for fault in faults:
        if not fault.note:
            raise DatasetError(f"{name}: {fault.message}; {fault.remedy}")
    for theirs, ours in taken.items():
        warnings.warn(
            f"{name}: the column {theirs!r} is taken for {ours!r}", DatasetNote, stacklevel=4
        )
    table = table.rename(columns=taken)
    doubled = table.columns[table.columns.duplicated()].tolist()
    if doubled:
        raise DatasetError(f"{name} has the columns {doubled} twice: keep one of each")
    lacking = [column for column in needed if column not in table.columns]
    if lacking:
        there = ", ".join(map(str, table.columns)) or "none"
        raise DatasetError(
            f"{name} lacks the columns {lacking}; it needs {list(needed)}, and has {there}: "
            "rename or add"
        )
    return table


def _plain(name: str) -> str:
    return normal_form(normal_form(name).strip().casefold())


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", _plain(name))
