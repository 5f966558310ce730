"""Which columns of a person's two tables are ours, and whether the two tables belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from mmtutorial.datasets.cells import normal_forms
from mmtutorial.datasets.columns import closest, find, our_names
from mmtutorial.datasets.faults import DatasetError, Fault

EVENTS = ("user", "item", "timestamp", "rating", "review", "part")
PRODUCTS = ("item", "title", "text", "image", "audio")
MOST = 0.5  # of a table may be left out; more of it is a wrong column or format, not a few bad rows
HARDLY = 0.1  # of the events name a known product: less is another column, not a few new products
NEARLY_ALL = 0.9  # of a column's values are ids of products: it may be the column that is meant
MANY = 0.2  # of as many products as could occur do: more than small numbers hit by chance
SAMPLE = 1000  # different values of a column that are looked at
FEWEST = 5  # events, before it means anything that no item occurs twice


@dataclass
class Names:
    """A table, and which of its columns are ours.

    Parameters
    ----------
    table : DataFrame
        As it was read; after `apply`, with our names.
    file : str
        Its file.
    argument : str
        The argument that maps its columns to ours.
    columns : mapping
        What that argument says: a name of the table's to ours.
    ours, needed : tuple of str
        Our names for such a table, and which of them must be there.
    """

    table: pd.DataFrame
    file: str
    argument: str
    columns: Mapping[str, str]
    ours: tuple[str, ...]
    needed: tuple[str, ...] = ("item",)
    theirs: dict[str, str] = field(default_factory=dict)  # our name to the table's

    def apply(self, other: Names, optional: Iterable[str], faults: list[Fault]) -> None:
        """Give the columns our names: those mapped, then those of our names or nearly so.

        ``optional`` columns are taken by a near name. Raises DatasetError where a name is unknown,
        or a column is missing or meant twice.
        """
        header = list(self.table.columns)
        chosen = self._chosen(other, header)
        rest = [name for name in header if name not in chosen]
        found: list[Fault] = []
        optional = [ours for ours in optional if ours not in self.needed]
        nearly = our_names(
            rest, self.needed, optional, self.file, found, given=list(chosen.values())
        )
        if not all(fault.note for fault in found):
            raise DatasetError.of(self.file, found)
        faults += found
        renamed = chosen | nearly
        self.theirs = {ours: theirs for theirs, ours in renamed.items()}
        self.table = self.table.rename(columns=renamed)
        for ours in self.needed:
            if ours not in self.table:
                raise DatasetError(
                    f"{self.file} has no column {ours!r}; it has {', '.join(header)}: say which "
                    f'one it is, as in {self.argument}={{"its name there": "{ours}"}}'
                )

    def _chosen(self, other: Names, header: list[str]) -> dict[str, str]:
        """Return what the argument maps: a name as the table has it to ours."""
        chosen: dict[str, str] = {}
        for theirs, ours in self.columns.items():
            if ours not in self.ours:
                message = f"{self.argument} says that {theirs!r} is {ours!r}"
                if ours in other.ours:
                    raise DatasetError(
                        f"{message}, a column of {other.file}: say it in {other.argument}"
                    )
                raise DatasetError(
                    f"{message}{_hint(ours, self.ours)}; {self.file} can have "
                    f"{', '.join(self.ours)}, and other columns are kept under their own names"
                )
            name = find(theirs, header)
            if name is None:
                where = f"; {other.file} has it: say it in {other.argument}"
                raise DatasetError(
                    f"{self.file} has no column {theirs!r}{_hint(theirs, header)}, named in "
                    f"{self.argument}; it has {', '.join(header)}"
                    f"{where if find(theirs, other.table.columns) else ''}"
                )
            chosen[name] = ours
        for name, ours in chosen.items():
            same = sorted(each for each in chosen if chosen[each] == ours)
            if len(same) > 1:
                raise DatasetError(
                    f"{self.file}: {same} shall all be {ours}: choose one of them in "
                    f"{self.argument}"
                )
            if ours in header and ours not in chosen:
                raise DatasetError(
                    f"{self.file} has a column {ours!r} beside {name!r}, which shall be {ours}: "
                    f"rename the first in the file, or leave the second out of {self.argument}"
                )
        return chosen

    def further(self) -> list[str]:
        """Return the columns that are not ours."""
        return [str(column) for column in self.table if column not in self.ours]

    def shown(self, ours: str) -> str:
        """Name the column that is taken for ours, with three of its values."""
        some = ", ".join(repr(value) for value in _distinct(self.table[ours])[:3])
        return f"the column {self.theirs.get(ours, ours)!r} of {self.file} ({some})"


def check_products(events: Names, products: Names, faults: list[Fault]) -> None:
    """Ask whether the events' items are the products, by their ids.

    Appends a note where no item occurs twice, as no order's number does, and another column holds
    the products' ids as well. Raises DatasetError where hardly an event names a product, or where
    less than half do and another column does; it names that column.
    """
    items = events.table["item"]
    known = _distinct(products.table["item"])
    there = items[items != ""]
    share = there.isin(known).mean() if len(there) else 1.0
    if share > MOST:
        others = [
            column
            for column in _columns_with(known, events, events.further())
            if events.table[column].nunique() >= MANY * min(len(items), len(known))
            and events.table[column].duplicated().any()
        ]
        if others and len(items) >= FEWEST and not items.duplicated().any():
            message = (
                f"no item occurs twice, as the number of an order would not: it is "
                f"{events.shown('item')}, and {_columns(others)} holds ids of {products.file} too"
            )
            remedy = f"if that is the item, say {_mapping(events, others[0])}"
            faults.append(Fault(events.file, None, message, remedy, note=True))
        return
    hint = _advice(events, products, known)
    if share < HARDLY or hint:
        hint = hint or (
            f"say by {events.argument} and {products.argument} which columns hold the products' "
            "ids, and see that both tables write them alike"
        )
        raise DatasetError(
            f"{events.file} and {products.file} share too few products: {share:.0%} of the events "
            f"name one. The item is {events.shown('item')}; of the products it is "
            f"{products.shown('item')}: {hint}"
        )


def _advice(events: Names, products: Names, known: pd.Index) -> str:
    """Name the columns that hold the same ids, if there are any."""
    others = _columns_with(known, events, [*events.further(), "user"])
    if others:
        return (
            f"{_columns(others)} of {events.file} holds ids of {products.file}; say "
            f"{_mapping(events, others[0])}"
        )
    for column in ["item", *events.further()]:
        values = _distinct(events.table[column])[:SAMPLE]
        for other in products.further():
            if len(values) and values.isin(_distinct(products.table[other])).mean() >= NEARLY_ALL:
                both = [_mapping(events, column)] * (column != "item")
                both.append(_mapping(products, other))
                return (
                    f"the column {other!r} of {products.file} holds what "
                    f"{events.theirs.get(column, column)!r} of {events.file} does; say "
                    f"{' and '.join(both)}"
                )
    return ""


def _columns_with(ids: pd.Index, names: Names, columns: Sequence[str]) -> list[str]:
    """Return the columns whose values are nearly all among these ids, best first."""
    found = []
    for place, column in enumerate(columns):
        values = _distinct(names.table[column])[:SAMPLE]
        n_known = int(values.isin(ids).sum())
        if n_known and n_known >= NEARLY_ALL * len(values):
            found.append((-n_known, place, column))
    return [column for _, _, column in sorted(found)]


def _columns(names: list[str]) -> str:
    """Write names of columns, two at most."""
    return f"the column {' or '.join(map(repr, names[:2]))}"


def _mapping(names: Names, column: str) -> str:
    """Write the argument that makes a column the item."""
    return f"{names.argument}={{{names.theirs.get(column, column)!r}: 'item'}}"


def _distinct(values: pd.Series) -> pd.Index:
    """Return what occurs, trimmed and in normal form, "" aside."""
    trimmed = normal_forms(pd.Series(values.unique()).str.strip())
    return pd.Index(trimmed[trimmed != ""].unique())


def _hint(name: str, known: Iterable[str]) -> str:
    near = closest(name, known)
    return f" (did you mean {near!r}?)" if near else ""
