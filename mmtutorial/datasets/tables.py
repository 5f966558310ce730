"""Tables as text: read with every fault and its row, and written in UTF-8."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmtutorial.datasets.columns import our_names
from mmtutorial.datasets.faults import DatasetError, Fault

LONGEST = 10_000_000  # characters of one cell of a table
_MARKS = {  # what separates the cells of a table: its name, and what to do about ragged rows
    ",": ("commas", 'put a cell that holds a comma in double quotes, "like, this"'),
    ";": ("semicolons", 'put a cell that holds a semicolon in double quotes, "like; this"'),
    "\t": ("tabs", "put exactly one tab between two cells"),
}
LATEST = 100_000_000_000  # seconds since 1970: the year 5138; larger numbers are milliseconds


def read_table(
    folder: Path,
    name: str,
    needed: list[str],
    faults: list[Fault],
    mark: str = ",",
    optional: Sequence[str] = (),
) -> pd.DataFrame | None:
    """Read a table as text, every cell a str; None if its columns cannot be told.

    Columns that are ``needed`` or ``optional`` get our names where theirs are nearly ours.

    Appends to ``faults`` what is wrong, and goes on as far as it can. Cells are separated by
    ``mark``: between commas or semicolons, a cell may stand in double quotes; between tabs, quotes
    mean nothing.
    """
    path = folder / name
    if not path.is_file():
        remedy = f"write it, with a header such as {mark.join(needed)}"
        faults.append(Fault(name, None, "the file is missing", remedy))
        return None
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte 0x{raw[error.start]:02x}"
        faults.append(Fault(name, row, message, "save the file again with the encoding UTF-8"))
        return None
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        faults.append(
            Fault(name, row, "holds a null character", "save it again as plain CSV in UTF-8")
        )
        return None
    if not text.strip():
        faults.append(
            Fault(name, None, "the file is empty", f"its first row names {mark.join(needed)}")
        )
        return None
    lines = io.StringIO(text)
    reader = (
        csv.reader(lines, delimiter=mark, quoting=csv.QUOTE_NONE)
        if mark == "\t"
        else csv.reader(lines, delimiter=mark, strict=True)
    )
    limit = csv.field_size_limit(LONGEST)
    rows: list[list[str]] = []
    try:
        rows.extend(reader)
    except csv.Error as error:
        faults.append(Fault(name, len(rows) + 1, *_cell_fault(str(error))))
        return None
    finally:
        csv.field_size_limit(limit)
    while not rows[-1]:
        rows.pop()
    header = rows[0]
    if not header:
        remedy = f"remove it: the first row names {mark.join(needed)}"
        faults.append(Fault(name, 1, "the row is blank", remedy))
        return None
    doubled = sorted({column for column in header if header.count(column) > 1})
    if doubled:
        faults.append(
            Fault(name, 1, f"the columns {doubled} occur twice", "keep one of each, or rename it")
        )
        return None
    found: list[Fault] = []
    taken = our_names(header, needed, optional, name, found)
    faults.extend(found)
    if not all(fault.note for fault in found):
        return None
    header = [taken.get(column, column) for column in header]
    lacking = [column for column in needed if column not in header]
    if lacking:
        other = next((other for other in ",;\t|" if other in header[0]), None)
        message, remedy = f"lacks the columns {lacking}", f"the header has {header}: rename or add"
        if len(header) == 1 and other:
            message = f"its columns are separated by {other!r}"
            remedy = f"separate them by {_MARKS[mark][0]}"
        faults.append(Fault(name, 1, message, remedy))
        return None
    ragged = [
        Fault(
            name,
            row,
            f"has {len(cells)} cells, the header has {len(header)}",
            _MARKS[mark][1],
        )
        for row, cells in enumerate(rows, start=1)
        if len(cells) != len(header)
    ]
    if ragged:
        faults.extend(ragged)
        return None
    table = pd.DataFrame(rows[1:], columns=header, dtype=str)
    if table.empty:
        faults.append(Fault(name, None, "has a header and no rows", "add at least one"))
        return None
    return table


def _cell_fault(words: str) -> tuple[str, str]:
    """Say what Python's reader of CSV stumbled over, and what to do about it."""
    if "unexpected end of data" in words:
        return "a double quote opens a cell and is never closed", "close it, or remove it"
    if "expected after" in words:
        return "text follows the closing double quote of a cell", 'write a quote inside as ""'
    if "new-line character" in words:
        return "a line ends as on old Macs (CR alone)", "save the file again with line ends LF"
    return words, "correct or shorten that cell"


def read_numbers(values: pd.Series, name: str, column: str, faults: list[Fault]) -> pd.Series:
    """Turn text into float64, "" into NaN."""
    empty = values == ""
    numbers = pd.to_numeric(values.where(~empty), errors="coerce").astype(np.float64)
    for place in np.flatnonzero(~empty & ~np.isfinite(numbers)):
        message = f"the {column} {values.iloc[place]!r} is not a finite number"
        faults.append(Fault(name, int(place) + 2, message, "write a number, or leave it empty"))
    exact = numbers.to_numpy(copy=True)  # pandas may be wrong in the last digit
    there = ~np.isnan(exact)
    exact[there] = [float(value) for value in values[there]]
    return pd.Series(exact, index=values.index, name=values.name)


def read_times(values: pd.Series, faults: list[Fault]) -> pd.Series:
    """Turn text into int64 seconds since 1970; into float64 NaN where every cell is empty."""
    if (values == "").all():
        return pd.Series(np.nan, index=values.index)
    whole = values.str.fullmatch(r"\s*-?\d{1,18}\s*").to_numpy(dtype=bool)
    seconds = np.zeros(len(values), dtype=np.int64)
    seconds[whole] = values[whole].str.strip().map(int)
    for place in np.flatnonzero(~whole | (np.abs(seconds) > LATEST)):
        value = values.iloc[place]
        remedy = "write whole seconds since 1970-01-01 00:00 UTC"
        if not value:
            remedy += ", or leave the whole column empty where no times are known"
        if whole[place]:
            remedy += "; these look like milliseconds: divide by 1000"
        message = f"the timestamp {value!r} is not a time"
        faults.append(Fault("interactions.csv", int(place) + 2, message, remedy))
    return pd.Series(seconds, index=values.index)


def as_text(cell: object) -> str:
    """Return a cell as text; what pandas calls missing is empty."""
    return cell if isinstance(cell, str) else "" if pd.isna(cell) else str(cell)  # type: ignore[call-overload]


def whole_seconds(times: pd.Series) -> pd.Series:
    """Return int64 seconds, or float64 NaN where none is known.

    Dates of pandas become seconds; other things are refused.
    """
    if len(times) and times.isna().all():
        return pd.Series(np.nan, index=times.index)
    if times.isna().any():
        raise DatasetError(
            f"the timestamps of {int(times.isna().sum())} interactions are missing: give all, or "
            "leave the whole column empty"
        )
    if pd.api.types.is_datetime64_any_dtype(times):
        since = times - pd.Timestamp(0, tz=times.dt.tz)
        return since // pd.Timedelta(seconds=1)
    if not pd.api.types.is_integer_dtype(times):
        raise DatasetError(
            f"the timestamps are {times.dtype}; give whole seconds since 1970 as int64, or dates"
        )
    return times.astype(np.int64)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV in UTF-8."""
    write_text(table.to_csv(index=False, lineterminator="\n"), path)


def write_text(text: str, path: Path) -> None:
    """Write in UTF-8; half a character (a lone surrogate, as JSON lets in) is refused."""
    try:
        path.write_bytes(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 20) : error.start + 20]
        raise DatasetError(
            f"{path.name} would hold half a character, {text[error.start]!r} in {around!r}: "
            "remove it, or replace it as mmtutorial.preprocessing.text.clean does"
        ) from error
