"""Tables as text: read with every fault and its row, and written in UTF-8.

The encoding is UTF-8, UTF-16 or UTF-32 where a byte-order mark says so, otherwise
``encoding``. Without it, UTF-8 or, where that fails and the text is Chinese then, GB18030.

Cells are separated by ``mark``. Without it, a first line such as ``sep=;`` states the mark;
otherwise it is the comma, semicolon or tab by which the header has the columns that are needed.
Where none does, it is the one by which the header has as many cells as the next row, or else the
most.

A cell may stand in double quotes, and then hold marks, line ends, and quotes written twice. A
quote inside a cell that does not begin with one is a character like any other. Tables of tabs
are often written by programs that quote nothing: where a cell begins with a quote that is not
closed, and every row has as many cells as the header when quotes mean nothing, they mean
nothing, and a note says so.

Lines end as the first one does: LF, CR LF, or CR as on old Macs. Where they end in LF, a
carriage return alone is part of its cell.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import difflib
import encodings.aliases
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from mmtutorial.datasets.columns import our_names
from mmtutorial.datasets.faults import DatasetError, Fault

LONGEST = 10_000_000  # characters of one cell of a table
_MARKS = {  # what separates the cells of a table: its name, and what to do about ragged rows
    ",": ("commas", 'put a cell that holds a comma in double quotes, "like, this"'),
    ";": ("semicolons", 'put a cell that holds a semicolon in double quotes, "like; this"'),
    "\t": ("tabs", "put exactly one tab between two cells"),
    "|": ("bars", 'put a cell that holds a bar in double quotes, "like | this"'),
}
_FOUND = ",;\t"  # marks that are found where none is given; a bar must be stated by sep=|
_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GIVE = (
    'or give from_tables its encoding: encoding="cp1252" (Western Europe), "cp1251" (Cyrillic), '
    '"gb18030" (China), "big5" (Taiwan), "shift_jis" (Japan), "euc_kr" (Korea)'
)
_FEWEST = 10  # Chinese: common characters; fewer could be any encoding
_COMMON = 0.7  # Chinese: least share of common characters, ASCII and punctuation aside
_SPREAD = 0.05  # Chinese: least share of these in each part of the plane; mostly 0.3 to 0.4


def read_table(
    folder: Path,
    name: str,
    needed: list[str],
    faults: list[Fault],
    mark: str | None = None,
    optional: Sequence[str] = (),
    *,
    quotes: bool = True,
    encoding: str | None = None,
) -> pd.DataFrame | None:
    r"""Read a table as text, every cell a str; None if its columns cannot be told.

    Columns that are ``needed`` or ``optional`` get our names where theirs are nearly ours.

    Appends to ``faults`` what is wrong and, as notes, what was assumed; goes on as far as it can.

    How bytes become cells is told at the top of this module; ``mark`` is what separates them,
    found where it is None, and with ``quotes=False`` quotes never mean anything. A table with
    ``needed`` columns is expected to have commas: another mark is a note.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     _ = Path(place, "goods.tsv").write_text('item\ttitle\n1\t"A\tB"\n2\t5" pipe\n')
    ...     read_table(Path(place), "goods.tsv", [], [])["title"].tolist()
    ['A\tB', '5" pipe']
    """
    path = folder / name
    header = (mark or ",").join(needed)
    if not path.is_file():
        remedy = f"write it, with a header such as {header}"
        faults.append(Fault(name, None, "the file is missing", remedy))
        return None
    text = _decoded(path.read_bytes(), name, faults, encoding)
    if text is None:
        return None
    if mark is None:
        text, mark = _dialect(text, needed)
        if needed and mark != ",":
            message = f"its columns are separated by {_MARKS[mark][0]}"
            remedy = "they are read so; a data set is written with commas"
            faults.append(Fault(name, None, message, remedy, note=True))
    if not text.strip():
        faults.append(Fault(name, None, "the file is empty", f"its first row names {header}"))
        return None
    rows = _rows(text, name, mark, quotes, faults)
    if rows is None:
        return None
    wrong = _rename(rows[0], name, needed, optional, faults)
    wrong = wrong or _header_fault(rows[0], name, mark, needed) or _ragged_faults(rows, name, mark)
    if wrong:
        faults.extend(wrong)
        return None
    table = pd.DataFrame(rows[1:], columns=rows[0], dtype=str)
    if table.empty:
        faults.append(Fault(name, None, "has a header and no rows", "add at least one"))
        return None
    return table


def _decoded(raw: bytes, name: str, faults: list[Fault], encoding: str | None) -> str | None:
    """Turn bytes into text without a byte-order mark; None (and a fault) where that fails."""
    if encoding is not None:
        _check_encoding(encoding)
    marked = next((known for mark, known in _BYTE_ORDER_MARKS if raw.startswith(mark)), None)
    chosen = marked or encoding or "utf-8"
    text: str | None = None
    try:
        text = raw.decode(chosen)
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        if chosen == "utf-8" and encoding is None:
            text = _chinese(raw)
        if text is None:
            row = _row_after(raw[:start].decode(chosen, errors="ignore"))
            message = f"not {chosen.upper()}: byte 0x{raw[start]:02x}"
            remedy = f"save the file again with the encoding UTF-8, {_GIVE}"
            faults.append(Fault(name, row, message, remedy))
            return None
        message = "it is not UTF-8, and Chinese when read as GB18030, so it is read as that"
        remedy = f"if characters are wrong, save it again with the encoding UTF-8, {_GIVE}"
        faults.append(Fault(name, None, message, remedy, note=True))
    if marked not in (None, "utf-8"):
        message = f"it is read as {str(marked).upper()}, as its byte-order mark says"
        faults.append(Fault(name, None, message, "a data set is written in UTF-8", note=True))
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        row = _row_after(text[: text.index("\0")])
        remedy = "save it again as plain CSV in UTF-8"
        faults.append(Fault(name, row, "holds a null character", remedy))
        return None
    return text


def _check_encoding(encoding: str) -> None:
    """Refuse what is no encoding of text by name."""
    try:
        b"a".decode(encoding)
    except UnicodeError:
        pass  # an encoding, and not of this byte
    except (LookupError, ValueError) as error:
        known = [*encodings.aliases.aliases, *encodings.aliases.aliases.values()]
        near = difflib.get_close_matches(encoding.lower().replace("-", "_"), known, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        message = f"there is no encoding {encoding!r}{meant}: leave it out, {_GIVE}"
        raise DatasetError(message) from error


def _chinese(raw: bytes) -> str | None:
    """Read GB18030 where that gives simplified Chinese; None where it need not be Chinese.

    GB2312 has 3,755 common characters in its rows B0 to D7, in the order of their pronunciation, so
    that ordinary text uses all rows and all columns, A1 to FE. Other encodings that decode as
    GB18030 use a part: syllables of Korean no row after C8, half-width kana no column after DF,
    letters of Western, Cyrillic and Greek encodings no column before C0.
    """
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return None
    foreign = re.sub(r"[\0-\x7f]+", "", text)[:1_000_000]
    pairs = np.frombuffer(foreign.encode("gb2312", errors="ignore"), np.uint8).reshape(-1, 2)
    marks = pairs[:, 0] <= 0xA3  # punctuation and full-width letters
    rows, columns = pairs[(pairs[:, 0] >= 0xB0) & (pairs[:, 0] <= 0xD7)].T
    if len(rows) < max(_FEWEST, _COMMON * (len(foreign) - marks.sum())):
        return None
    spread = (np.mean(rows > 0xC8), np.mean(columns > 0xDF), np.mean(columns < 0xC0))
    return text if min(spread) > _SPREAD else None


def _dialect(text: str, needed: list[str]) -> tuple[str, str]:
    """Return the text without a line that states the mark, and the mark."""
    stated = re.match(r'"?sep=([,;\t|])"?(?:\r\n|\r|\n|$)', text, re.IGNORECASE)
    if stated:
        return text[stated.end() :], stated[1]
    rows = {mark: _first_rows(text, mark) for mark in _FOUND}
    fitting = [mark for mark in rows if needed and set(needed) <= set(rows[mark][0])]
    if fitting:
        return text, fitting[0]

    def key(mark: str) -> tuple[bool, int]:
        header, row = rows[mark]
        return len(header) == len(row) > 1, len(header)

    return text, max(rows, key=key)


def _first_rows(text: str, mark: str) -> tuple[list[str], list[str]]:
    """Return the header and the row after it; empty where there is none."""
    lines = io.StringIO(text[:LONGEST], newline="")
    with _cells_up_to(LONGEST), contextlib.suppress(csv.Error):
        reader = csv.reader(lines, delimiter=mark)
        return next(reader, []), next(reader, [])
    return [], []


def _row_after(text: str) -> int:
    """Return in which row, as a spreadsheet shows it, the character after this text stands."""
    text, mark = _dialect(text + "?", [])
    with _cells_up_to(2**31 - 1):
        return sum(1 for _ in csv.reader(io.StringIO(text, newline=""), delimiter=mark))


@contextlib.contextmanager
def _cells_up_to(length: int) -> Iterator[None]:
    """Let Python's reader of CSV take cells of up to so many characters."""
    before = csv.field_size_limit(length)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _rows(
    text: str, name: str, mark: str, quotes: bool, faults: list[Fault]
) -> list[list[str]] | None:
    """Split text into rows of cells; None (and a fault) where that fails."""
    first = re.search(r"\r*\n|\r", text)
    newline = "" if first and first[0] == "\r" else "\n"
    alone = ""  # stands for carriage returns within cells, which Python's reader would refuse
    if newline and text.count("\r") != text.count("\r\n"):
        alone = next(each for each in map(chr, range(0xE000, 0x110000)) if each not in text)
        text = re.sub(r"(?<!\r)\r++(?!\n|\Z)", lambda found: alone * len(found[0]), text)
    rows, wrong = _parse(text, newline, mark, quotes)
    if wrong and quotes and mark == "\t":
        plain, still = _parse(text, newline, mark, quotes=False)
        if not still and len({*map(len, plain)}) == 1:
            message, remedy = _cell_fault(wrong)
            message += ", so the quotes of this table are taken for characters like others"
            remedy = f"if they enclose cells, {remedy}"
            faults.append(Fault(name, len(rows) + 1, message, remedy, note=True))
            rows, wrong = plain, ""
    if wrong:
        faults.append(Fault(name, len(rows) + 1, *_cell_fault(wrong)))
        return None
    return [[cell.replace(alone, "\r") for cell in row] for row in rows] if alone else rows


def _parse(text: str, newline: str, mark: str, quotes: bool) -> tuple[list[list[str]], str]:
    """Return the rows without blank ones at the end, and what is wrong after them, or nothing."""
    rows: list[list[str]] = []
    lines = io.StringIO(text, newline=newline)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    with _cells_up_to(LONGEST):
        try:
            rows.extend(csv.reader(lines, delimiter=mark, quoting=quoting, strict=True))
        except csv.Error as error:
            return rows, str(error)
    while not rows[-1]:
        rows.pop()
    return rows, ""


def _rename(
    header: list[str], name: str, needed: Sequence[str], optional: Sequence[str], notes: list[Fault]
) -> list[Fault]:
    """Give columns our names in place, with notes; return what is wrong with them."""
    if len(set(header)) < len(header):
        return []  # `_header_fault` says so
    found: list[Fault] = []
    taken = our_names(header, needed, optional, name, found)
    notes.extend(fault for fault in found if fault.note)
    header[:] = [taken.get(column, column) for column in header]
    return [fault for fault in found if not fault.note]


def _header_fault(header: list[str], name: str, mark: str, needed: list[str]) -> list[Fault]:
    """Say what is wrong with the first row; nothing if it can be used."""
    if not header:
        remedy = f"remove it: the first row names {mark.join(needed)}"
        return [Fault(name, 1, "the row is blank", remedy)]
    doubled = sorted({column for column in header if header.count(column) > 1})
    if doubled:
        message = f"the columns {doubled} occur twice"
        return [Fault(name, 1, message, "keep one of each, or rename it")]
    lacking = [column for column in needed if column not in header]
    if not lacking:
        return []
    other = next((other for other in _MARKS if other in header[0]), None)
    message, remedy = f"lacks the columns {lacking}", f"the header has {header}: rename or add"
    if len(header) == 1 and other:
        message = f"its columns are separated by {other!r}"
        remedy = f"separate them by {_MARKS[mark][0]}"
    return [Fault(name, 1, message, remedy)]


def _ragged_faults(rows: list[list[str]], name: str, mark: str) -> list[Fault]:
    """Name the rows with more or fewer cells than the header."""
    wanted = len(rows[0])
    return [
        Fault(name, row, f"has {len(cells)} cells, the header has {wanted}", _MARKS[mark][1])
        for row, cells in enumerate(rows, start=1)
        if len(cells) != wanted
    ]


def _cell_fault(words: str) -> tuple[str, str]:
    """Say what Python's reader of CSV stumbled over, and what to do about it."""
    if "unexpected end of data" in words:
        return "a double quote opens a cell and is never closed", "close it, or remove it"
    if "expected after" in words:
        return "text follows the closing double quote of a cell", 'write a quote inside as ""'
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


def read_plain(path: Path, mark: str = ",", quotes: bool = True) -> pd.DataFrame:
    """Read a table whose digest has been checked as text, without looking for faults."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    return pd.read_csv(path, sep=mark, dtype=str, quoting=quoting, keep_default_na=False)


def as_text(cell: object) -> str:
    """Return a cell as text; what pandas calls missing is empty."""
    return cell if isinstance(cell, str) else "" if pd.isna(cell) else str(cell)  # type: ignore[call-overload]


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV in UTF-8.

    Lines end in LF, and in CR LF where a cell holds a carriage return: before Python 3.11.9, its
    writer of CSV puts such a cell in quotes only then.
    """
    text = table.to_csv(index=False, lineterminator="\n")
    if "\r" in text:
        text = table.to_csv(index=False, lineterminator="\r\n")
    write_text(text, path)


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
