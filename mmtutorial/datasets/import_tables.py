"""Data of your own: a table of events, a table of products, folders of pictures and sounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmtutorial.datasets.cells import normal_forms
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import DatasetError, Fault
from mmtutorial.datasets.import_columns import EVENTS, MOST, PRODUCTS, Names, check_products
from mmtutorial.datasets.media_files import SUFFIXES, folder_above, match_files
from mmtutorial.datasets.tables import read_numbers, read_table
from mmtutorial.datasets.times import parse_times
from mmtutorial.storage.files import expanded

NEEDED = ("user", "item")
Bad = dict[int, tuple[str, str]]  # place in a table: what is wrong there, what to do about it


def from_tables(
    events: str | Path,
    products: str | Path,
    *,
    images: str | Path | None = None,
    sounds: str | Path | None = None,
    event_columns: Mapping[str, str] | None = None,
    product_columns: Mapping[str, str] | None = None,
    times: str = "",
    encoding: str | None = None,
    numbers: Sequence[str] = (),
    name: str = "",
) -> tuple[Dataset, list[Fault]]:
    """Make a data set of tables and folders as shops have them.

    No picture or sound is decoded or copied here: `Dataset.save` copies them, `Dataset.validate`
    decodes them. Ids stay the text that they are.

    Parameters
    ----------
    events, products : str or Path
        CSV, cells separated by commas, semicolons or tabs, or by what a first line such as
        ``sep=;`` states. Rows that cannot be used are left out: without an id, with a time that
        cannot be read, of an unknown product, or a repetition of an earlier row.
    images, sounds : str or Path, optional
        Folders, searched with all that lies in them. A file belongs to the product whose id its
        path names, between signs that are neither letters nor digits: ``shoes/A-12_front.jpg`` and
        ``A-12/1.jpg`` to A-12, and neither to A-1. Of a product's files the first by name is taken.
        Where a column image or audio names the files, that counts instead: by their path in the
        folder, or by as much of its end as no other file has, so that absolute paths, paths of
        another computer and addresses do. Folders behind links are searched too.
    event_columns, product_columns : mapping of str to str
        Your name of a column to ours, for each table: user, item, timestamp, rating, review, part
        of events; item, title, text, image, audio of products. Columns of our names, or nearly so,
        need not be given; others are kept. Without timestamp, no times are known.
    times : str
        How times are written: "s", "ms", "us" or "ns" since 1970, "excel" for its day numbers, or a
        format such as "%d.%m.%Y %H:%M". Without it, seconds, or dates of ISO 8601 such as
        2024-03-01 17:30. UTC unless they say else. Fractions of a second are left off.
    encoding : str, optional
        How both tables are encoded, where no byte-order mark says it: "cp1252", "big5" and others.
        Without it, UTF-8, or GB18030 where that fails and the text is Chinese then.
    numbers : sequence of str
        Further columns of products that hold numbers, such as a price.
    name : str
        What to call it; the name of the folder of ``products`` without.

    Returns
    -------
    data : Dataset
        ``data.save(folder)`` makes it a folder that can be given wherever a data set is named.
    left_out : list of Fault
        What was not taken, row by row, and files that belong to no product or cannot be used. Notes
        among them say what was assumed: of a column's name, of an encoding, of times before 1990 or
        after next year.

    Raises
    ------
    DatasetError
        If a table cannot be read, a column is not there, the two tables share hardly a product,
        nearly all times look like something else (such as day numbers of Excel), more than half of
        a table would be left out, a folder is not there, or no file in it names a product.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     orders, goods = Path(place, "orders.csv"), Path(place, "goods.csv")
    ...     _ = orders.write_text("id,who,goods_id\\n1,ann,007\\n2,bob,007\\n3,ann,8\\n")
    ...     _ = goods.write_text("id,name\\n007,Tea\\n9,Cup\\n")
    ...     data, left_out = from_tables(
    ...         orders, goods, event_columns={"who": "user", "goods_id": "item"},
    ...         product_columns={"id": "item", "name": "title"})
    >>> data.interactions[["user", "item", "id"]].to_dict("records")
    [{'user': 'ann', 'item': '007', 'id': '1'}, {'user': 'bob', 'item': '007', 'id': '2'}]
    >>> print(left_out[0])
    orders.csv, row 4: the product '8' is not in goods.csv; add it there, or leave it out
    """
    events, products = expanded(events), expanded(products)
    left_out: list[Fault] = []
    folders = {
        kind: expanded(folder) for kind, folder in (("image", images), ("audio", sounds)) if folder
    }
    tables = [_read(path, encoding, left_out) for path in (events, products)]
    bought, goods = _named(
        Names(tables[0], events.name, "event_columns", event_columns or {}, EVENTS, NEEDED),
        Names(tables[1], products.name, "product_columns", product_columns or {}, PRODUCTS),
        [*folders, *numbers],
        left_out,
    )
    goods = _without_bad_rows(goods, _bad_products(goods), products, left_out)
    bad = _bad_events(bought, set(goods["item"]), products.name)
    seconds, unread = _seconds(bought.get("timestamp"), len(bought), times, events, left_out)
    bought = bought.assign(timestamp=seconds)
    bought = _without_bad_rows(bought, {**unread, **bad}, events, left_out)
    if seconds.notna().any():
        bought["timestamp"] = bought["timestamp"].astype(np.int64)
    repeated = bought.duplicated(["user", "item", "timestamp"])
    again = dict.fromkeys(bought.index[repeated], ("it repeats an earlier row", "leave it out"))
    bought = _without_bad_rows(bought, again, events, left_out)
    for table, path, wanted in ((bought, events, ["rating"]), (goods, products, list(numbers))):
        for column in wanted:
            if column in table:
                table[column] = _numbers(table[column], column, path, left_out)
            elif column in numbers:
                raise DatasetError(f"{path.name} has no column {column!r}, named in numbers")
    above = folder_above([products, *folders.values()] if not folders else list(folders.values()))
    match_files(folders, goods, above, [events, products], left_out)
    for kind in SUFFIXES.keys() - folders.keys():
        if kind in goods and goods[kind].ne("").any():
            what = "images" if kind == "image" else "sounds"
            raise DatasetError(
                f"{products.name} names files in the column {kind}, and nobody said where they "
                f"are: give their folder as {what}"
            )
    data = Dataset(
        name=name or products.resolve().parent.name or products.stem,
        items=goods.reset_index(drop=True),
        interactions=bought.reset_index(drop=True),
        folder=above,
    )
    left_out.sort(key=lambda fault: (fault.file, fault.row or 0))
    return data, left_out


def _read(path: Path, encoding: str | None, left_out: list[Fault]) -> pd.DataFrame:
    """Read a table as it is; a DatasetError where it cannot be read."""
    faults: list[Fault] = []
    table = read_table(path.parent, path.name, [], faults, encoding=encoding)
    if table is None or not all(fault.note for fault in faults):
        raise DatasetError.of(path, faults)
    left_out += faults
    return table


def _named(
    events: Names, products: Names, optional: list[str], left_out: list[Fault]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give both tables our names, and their ids one form; see that they are of one shop."""
    events.apply(products, [*EVENTS], left_out)
    products.apply(events, ["title", "text", *optional], left_out)
    for names, columns in ((events, ["user", "item"]), (products, ["item"])):
        for column in columns:
            names.table[column] = normal_forms(names.table[column].str.strip())
    check_products(events, products, left_out)
    return events.table, products.table


def _bad_products(goods: pd.DataFrame) -> Bad:
    bad = {
        row: (f"the product {goods['item'][row]!r} stands further up already", "keep one of them")
        for row in goods.index[goods["item"].duplicated()]
    }
    nameless = goods.index[goods["item"] == ""]
    return bad | dict.fromkeys(nameless, ("the product has no id", "give it one"))


def _bad_events(bought: pd.DataFrame, known: set[str], products: str) -> Bad:
    bad: Bad = {}
    for row in bought.index[~bought["item"].isin(known)]:
        item = bought["item"][row]
        bad[row] = (f"the product {item!r} is not in {products}", "add it there, or leave it out")
    for row in bought.index[bought["user"] == ""]:
        bad[row] = ("nobody knows whose it is", "write the user's id, or leave it out")
    return bad


def _without_bad_rows(
    table: pd.DataFrame, bad: Bad, path: Path, left_out: list[Fault]
) -> pd.DataFrame:
    """Leave rows out and say so; refuse where that would be most of the table.

    The index of ``table`` keeps the places in the file.
    """
    faults = [Fault(path.name, row + 2, *bad[row]) for row in sorted(bad)]
    if len(bad) > MOST * len(table):
        raise DatasetError.of(path, faults)
    left_out += faults
    return table.drop(index=list(bad))


def _seconds(
    given: pd.Series | None, n_rows: int, times: str, path: Path, left_out: list[Fault]
) -> tuple[pd.Series, Bad]:
    """Read times: float64 seconds since 1970, NaN where there is none, and what cannot be read."""
    if given is None or given.str.strip().eq("").all():
        return pd.Series(np.nan, index=range(n_rows)), {}
    faults: list[Fault] = []
    seconds = parse_times(given, path.name, times, faults)
    if any(fault.row is None for fault in faults):
        raise DatasetError.of(path, faults)
    left_out += [fault for fault in faults if fault.note]
    rows = [fault for fault in faults if not fault.note and fault.row is not None]
    return seconds, {fault.row - 2: (fault.message, fault.remedy) for fault in rows if fault.row}


def _numbers(values: pd.Series, column: str, path: Path, left_out: list[Fault]) -> pd.Series:
    """Read numbers; what is none becomes NaN and is reported by its row in the file."""
    faults: list[Fault] = []
    found = read_numbers(values.reset_index(drop=True), path.name, column, faults)
    left_out += [
        Fault(path.name, int(values.index[(fault.row or 2) - 2]) + 2, fault.message, fault.remedy)
        for fault in faults
    ]
    return found.set_axis(values.index)
