"""Data of your own: a table of events, a table of products, folders of pictures and sounds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import DatasetError, Fault
from mmtutorial.datasets.media_files import SUFFIXES, folder_above, match_files
from mmtutorial.datasets.schema import MODALITIES
from mmtutorial.datasets.tables import LATEST, read_numbers, read_table
from mmtutorial.storage.files import expanded

EVENTS = ("user", "item", "timestamp", "rating", "review", "part")
PRODUCTS = ("item", "title", *MODALITIES)
MOST = 0.5  # of a table may be left out; more of it is a wrong column or format, not a few bad rows
Bad = dict[int, tuple[str, str]]  # place in a table: what is wrong there, what to do about it


def from_tables(
    events: str | Path,
    products: str | Path,
    *,
    images: str | Path | None = None,
    sounds: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    times: str = "",
    numbers: Sequence[str] = (),
    name: str = "",
) -> tuple[Dataset, list[Fault]]:
    """Make a data set of tables and folders as shops have them.

    No picture or sound is decoded or copied here: `Dataset.save` copies them, `Dataset.validate`
    decodes them. Ids stay the text that they are.

    Parameters
    ----------
    events, products : str or Path
        CSV in UTF-8, cells separated by commas, semicolons or tabs. Rows that cannot be used are
        left out: without an id, with a time that cannot be read, of an unknown product, or a
        repetition of an earlier row.
    images, sounds : str or Path, optional
        Folders, searched with all that lies in them. A file belongs to the product whose id its
        path names, between signs that are neither letters nor digits: ``shoes/A-12_front.jpg`` and
        ``A-12/1.jpg`` to A-12, and neither to A-1. Of a product's files the first by name is taken.
        Where a column image or audio names the files, that counts instead: by their path in the
        folder, or by as much of its end as no other file has, so that absolute paths, paths of
        another computer and addresses do. Folders behind links are searched too.
    columns : mapping of str to str
        Your name of a column to ours: user, item, timestamp, rating, review, part of events; item,
        title, text, image, audio of products. Columns of our names need not be given; others are
        kept. Without timestamp, no times are known.
    times : str
        How times are written: "s" or "ms" since 1970, or a format such as "%d.%m.%Y %H:%M". Without
        it, whole seconds, or dates of ISO 8601 such as 2024-03-01 17:30. UTC unless they say else.
    numbers : sequence of str
        Further columns of products that hold numbers, such as a price.
    name : str
        What to call it; the name of the folder of ``products`` without.

    Returns
    -------
    data : Dataset
        ``data.save(folder)`` makes it a folder that can be given wherever a data set is named.
    left_out : list of Fault
        What was not taken, row by row, and files of which it is not clear whose they are.

    Raises
    ------
    DatasetError
        If a table cannot be read, a column is not there, more than half of a table would be left
        out, a folder is not there, or no file in it names a product.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     sales, goods = Path(place, "sales.csv"), Path(place, "goods.csv")
    ...     _ = sales.write_text("who,sku,day\\nann,007,2024-03-01\\nann,8,2024-03-02\\n")
    ...     _ = goods.write_text("sku,name\\n007,Tea\\n9,Cup\\n")
    ...     data, left_out = from_tables(sales, goods, columns={
    ...         "who": "user", "sku": "item", "day": "timestamp", "name": "title"})
    >>> data.interactions[["user", "item", "timestamp"]].to_dict("records")
    [{'user': 'ann', 'item': '007', 'timestamp': 1709251200}]
    >>> print(left_out[0])
    sales.csv, row 3: the product '8' is not in goods.csv; add it there, or leave it out
    """
    events, products = expanded(events), expanded(products)
    columns = columns or {}
    bought, goods = _read(events), _read(products)
    _check_columns(columns, bought, goods, events, products)
    bought = _renamed(bought, events, ("user", "item"), EVENTS, columns)
    goods = _renamed(goods, products, ("item",), PRODUCTS, columns)
    left_out: list[Fault] = []
    goods = _without_bad_rows(goods, _bad_products(goods), products, left_out)
    bad = _bad_events(bought, set(goods["item"]), products.name)
    seconds, unread = _seconds(bought.get("timestamp"), len(bought), times)
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
    folders = {
        kind: expanded(folder) for kind, folder in (("image", images), ("audio", sounds)) if folder
    }
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


def _read(path: Path) -> pd.DataFrame:
    """Read a table as it is; a DatasetError where it cannot be read."""
    faults: list[Fault] = []
    table = read_table(path.parent, path.name, [], faults, mark=_mark(path))
    if table is None or faults:
        raise DatasetError.of(path, faults)
    return table


def _renamed(
    table: pd.DataFrame,
    path: Path,
    needed: tuple[str, ...],
    ours: tuple[str, ...],
    columns: Mapping[str, str],
) -> pd.DataFrame:
    """Give the columns our names."""
    renamed = {theirs: own for theirs, own in columns.items() if own in ours and theirs in table}
    for theirs, own in renamed.items():
        if own in table and theirs != own and own not in renamed:
            raise DatasetError(
                f"{path.name} has a column {own!r} beside {theirs!r}, which shall be {own}: "
                f"rename the first in the file, or leave the second out of columns"
            )
    doubled = [own for own in set(renamed.values()) if list(renamed.values()).count(own) > 1]
    if doubled:
        both = sorted(theirs for theirs, own in renamed.items() if own == doubled[0])
        raise DatasetError(f"{path.name}: {both} shall all be {doubled[0]}: choose one of them")
    table = table.rename(columns=renamed)
    for own in needed:
        if own not in table:
            raise DatasetError(
                f"{path.name} has no column {own!r}; it has {', '.join(table.columns)}: say which "
                f'one it is, as in columns={{"{table.columns[0]}": "{own}"}}'
            )
    return table


def _mark(path: Path) -> str:
    """Tell what separates the cells of a table: what occurs most often in its first line."""
    if not path.is_file():
        return ","
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    return max(",;\t", key=header.count)


def _check_columns(
    columns: Mapping[str, str],
    bought: pd.DataFrame,
    goods: pd.DataFrame,
    events: Path,
    products: Path,
) -> None:
    """Refuse names of columns that are not there, ours or theirs."""
    known = list(dict.fromkeys((*EVENTS, *PRODUCTS)))
    for theirs, own in columns.items():
        if own not in known:
            raise DatasetError(
                f"columns says that {theirs!r} is {own!r}{_closest(own, known)}; there are "
                f"{', '.join(known)}, and other columns are kept under their own names"
            )
        tables = [(bought, events)] * (own in EVENTS) + [(goods, products)] * (own in PRODUCTS)
        if not any(theirs in table for table, _ in tables):
            there = "; ".join(f"{path.name} has {', '.join(each.columns)}" for each, path in tables)
            near = _closest(theirs, [name for each, _ in tables for name in each.columns])
            raise DatasetError(f"no table has the column {theirs!r}{near}: {there}")


def _closest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _bad_products(goods: pd.DataFrame) -> Bad:
    goods["item"] = goods["item"].str.strip()
    bad = {
        row: (f"the product {goods['item'][row]!r} stands further up already", "keep one of them")
        for row in goods.index[goods["item"].duplicated()]
    }
    nameless = goods.index[goods["item"] == ""]
    return bad | dict.fromkeys(nameless, ("the product has no id", "give it one"))


def _bad_events(bought: pd.DataFrame, known: set[str], products: str) -> Bad:
    bad: Bad = {}
    for column in ("user", "item"):
        bought[column] = bought[column].str.strip()
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


def _seconds(given: pd.Series | None, n_rows: int, times: str) -> tuple[pd.Series, Bad]:
    """Read times: float64 seconds since 1970, NaN where there is none, and what cannot be read."""
    if given is None or given.str.strip().eq("").all():
        return pd.Series(np.nan, index=range(n_rows)), {}
    values = given.str.strip()
    whole = values.str.fullmatch(r"-?\d{1,18}")
    if times in ("s", "ms"):
        seconds = pd.to_numeric(values.where(whole), errors="coerce")
        seconds = seconds // (1000 if times == "ms" else 1)
    elif not times and whole.mean() > MOST:
        seconds = pd.to_numeric(values.where(whole), errors="coerce")
        seconds = seconds.mask(values.str.fullmatch(r"(19|20)\d{6}"))  # 20240301 is a day
    else:
        dates = pd.to_datetime(values, format=times or "ISO8601", utc=True, errors="coerce")
        seconds = (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1) // 1
    seconds = seconds.astype(np.float64).where(lambda found: found.abs() <= LATEST)
    how = "seconds since 1970, or dates such as 2024-03-01 17:30"
    remedy = f"times are read as {times or how}: correct it, or say by times= how they are written"
    return seconds, {
        row: (f"the time {given[row]!r} cannot be read", remedy)
        if values[row]
        else ("it has no time", "give all rows one, or leave the column out altogether")
        for row in seconds.index[seconds.isna()]
    }


def _numbers(values: pd.Series, column: str, path: Path, left_out: list[Fault]) -> pd.Series:
    """Read numbers; what is none becomes NaN and is reported by its row in the file."""
    faults: list[Fault] = []
    found = read_numbers(values.reset_index(drop=True), path.name, column, faults)
    left_out += [
        Fault(path.name, int(values.index[(fault.row or 2) - 2]) + 2, fault.message, fault.remedy)
        for fault in faults
    ]
    return found.set_axis(values.index)
