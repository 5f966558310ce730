"""Times: read from tables in the ways that people write them, and checked for what they can be.

A data set holds whole seconds since 1970-01-01 00:00 UTC. Nothing in a number says that it counts
seconds, so a column is looked at as a whole: what a table holds happened since 1990, and not after
the end of next year.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd

from mmtutorial.datasets.faults import DatasetError, Fault

LATEST = 9_214_646_400  # seconds: 2262-01-01; nanoseconds in int64 hold little beyond
EARLIEST = 631_152_000  # seconds: 1990-01-01
NEARLY = 0.95  # of a column: what so many of its times look like, the column is
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # by name: how many a second
EXCEL = 25_569  # days from Excel's day 0, 1899-12-30, to 1970-01-01
_DAY = 86_400  # seconds
_MOST = 9e18  # int64 holds no much larger number
_WHOLE = r"[+-]?(?:\d{1,18}|[1-8]\d{18})"
_NUMBER = r"[+-]?\d{1,19}(?:[.,]\d*)?(?:[eE]\+?\d{1,2})?"
_ROUNDED = r"[+-]?\d[.,]\d{5}[eE]\+?\d{1,2}"  # as spreadsheets write a number too wide for a cell
_SECONDS = "seconds since 1970-01-01 00:00 UTC"
_LOOKS = (  # least and largest number; what a column of such is; times=; the seconds
    (1_990, 2_100, "years", "%Y", "those of 1 January"),
    (20_000, 60_000, "day numbers of Excel, days since 1899-12-30", "excel",
     f"({{}} - {EXCEL}) * {_DAY}"),
    (199_001, 210_012, "months written yyyymm", "%Y%m", "those of the first day"),
    (19_900_101, 21_001_231, "days written yyyymmdd", "%Y%m%d", "those of 00:00 UTC"),
    (EARLIEST * 1_000, 4_102_444_800_000, "milliseconds", "ms", "{} / 1,000"),
    (EARLIEST * 10**6, 4_102_444_800 * 10**6, "microseconds", "us", "{} / 1,000,000"),
    (EARLIEST * 10**9, 4_102_444_800 * 10**9, "nanoseconds", "ns", "{} / 1,000,000,000"),
)  # fmt: skip
_OUTSIDE = "lies outside the years 1678 to 2261"
_NO_TIME = ("it has no time", "give all rows one, or leave the column out altogether")


def time_faults(seconds: pd.Series, file: str, remark: str = "") -> list[Fault]:
    """Say what is implausible in a column of times.

    Parameters
    ----------
    seconds : Series
        Seconds since 1970, int64 or float64; NaN is unknown, and not looked at. Its index, counted
        from 0, gives the rows of the file.
    file : str
        What the faults name.
    remark : str
        Put after what is wrong, such as in which order rows are counted.

    Returns
    -------
    list of Fault
        Nothing where all times lie between 1990 and the end of next year. One fault without a row,
        for the column, where nearly all look like something else: years, day numbers of Excel,
        milliseconds, or numbers so small that all would lie within a year of 1970, such as zeros
        or ranks. Otherwise a fault for each time outside the years 1678 to 2261, and one note that
        counts the others.

    Examples
    --------
    >>> print(*time_faults(pd.Series([45_352, 45_353]), "sales.csv"))
    sales.csv: the times look like day numbers of Excel, days since 1899-12-30, such as 45352 in
    row 2; read the table by from_tables(..., times="excel"), or write seconds since 1970-01-01
    00:00 UTC: (45352 - 25569) * 86400
    >>> print(*time_faults(pd.Series([1_709_251_200, 0]), "sales.csv"))
    note: sales.csv, row 3: 1 of 2 times lie before 1990 or after ..., the first on 1970-01-01;
    correct them if they are wrong
    """
    seconds = seconds.dropna()
    next_year = datetime.now(UTC).year + 1
    end = datetime(next_year + 1, 1, 1, tzinfo=UTC).timestamp()
    odd = seconds[(seconds < EARLIEST) | (seconds >= end)]
    if odd.empty:
        return []
    column = _column_fault(seconds, file, remark)
    if column is not None:
        return [column]
    far = odd[odd.abs() > LATEST]
    remedy = f"write {_SECONDS}; milliseconds are divided by 1000"
    faults = [
        Fault(file, int(row) + 2, f"the time {int(far[row])} {_OUTSIDE}{remark}", remedy)
        for row in far.index
    ]
    odd = odd.drop(far.index)
    if not odd.empty:
        first = date(1970, 1, 1) + timedelta(days=int(odd.iloc[0]) // _DAY)
        message = f"{len(odd)} of {len(seconds)} times lie before 1990 or after {next_year}"
        message += f", the first on {first}{remark}"
        remedy = "correct them if they are wrong"
        faults.append(Fault(file, int(odd.index[0]) + 2, message, remedy, note=True))
    return faults


def _look_fault(seconds: pd.Series, file: str, remark: str = "") -> Fault | None:
    """Say which other way of writing times nearly all of a column looks like."""
    for least, largest, what, times, how in _LOOKS:
        alike = seconds[seconds.between(least, largest)]
        if len(alike) and len(alike) >= NEARLY * len(seconds):
            row, number = int(alike.index[0]) + 2, int(alike.iloc[0])
            message = f"the times look like {what}, such as {number} in row {row}{remark}"
            remedy = f'read the table by from_tables(..., times="{times}"), or write {_SECONDS}: '
            return Fault(file, None, message, remedy + how.format(number))
    return None


def _column_fault(seconds: pd.Series, file: str, remark: str) -> Fault | None:
    """Say what nearly all of a column looks like, if it is no times."""
    look = _look_fault(seconds, file, remark)
    if look is not None:
        return look
    if (seconds.abs() < 366 * _DAY).mean() < NEARLY:
        return None
    if (seconds == 0).mean() >= NEARLY:
        message, remedy = "the times are zeros", ""
    else:
        row, number = int(seconds.index[0]) + 2, int(seconds.iloc[0])
        message = f"the times look like ranks or counts, such as {number} in row {row}"
        remedy = " (add to each the second at which the count began)"
    remedy = f"write {_SECONDS}{remedy}, or leave the whole column empty where no times are known"
    return Fault(file, None, message + remark, remedy)


def parse_times(values: pd.Series, file: str, times: str, faults: list[Fault]) -> pd.Series:
    """Read times as people write them.

    Parameters
    ----------
    values : Series of str
        Its index, counted from 0, gives the rows of the file.
    file : str
        What the faults name.
    times : str
        "s", "ms", "us" or "ns" since 1970, "excel" for its day numbers, or a format of strptime;
        "" for seconds where most are numbers, otherwise dates of ISO 8601. UTC unless they say
        else.
    faults : list of Fault
        Receives what is wrong with the column (without a row) or with single rows, and notes.

    Returns
    -------
    Series
        float64, whole seconds since 1970; NaN where a cell is no time, or out of range.

    Raises
    ------
    DatasetError
        If ``times`` is none of these.

    Examples
    --------
    >>> parse_times(pd.Series(["2024-03-01", "soon"]), "sales.csv", "", []).tolist()
    [1709251200.0, nan]
    >>> parse_times(pd.Series(["45352.5"]), "sales.csv", "excel", []).tolist()
    [1709294400.0]
    """
    cells = values.str.strip()
    if times in UNITS or (not times and cells.str.fullmatch(_NUMBER).mean() > 0.5):
        seconds, known = _counted(cells, times or "s", file, faults)
        found = pd.Series(seconds, index=values.index).where(known)
    elif times == "excel":
        days = pd.to_numeric(cells.str.replace(",", "."), errors="coerce").astype(np.float64)
        found = ((days - EXCEL) * _DAY).round()
    else:
        found = _dates(cells, times)
    found = found.astype(np.float64).where(lambda each: each.abs() < _MOST)
    for fault in time_faults(found, file, f", read by times={times!r}" if times else ""):
        if fault.row is None or fault.note:
            faults.append(fault)
        else:
            message = f"the time {values[fault.row - 2]!r} {_OUTSIDE}"
            faults.append(Fault(file, fault.row, message, "correct it, or leave it out"))
    how = times or "seconds since 1970, or dates such as 2024-03-01 17:30"
    remedy = f"times are read as {how}: correct it, or say by times= how they are written"
    for row in found.index[found.isna()]:
        message = f"the time {values[row]!r} cannot be read"
        faults.append(Fault(file, int(row) + 2, *((message, remedy) if cells[row] else _NO_TIME)))
    return found.where(found.abs() <= LATEST)


def read_times(values: pd.Series, file: str, faults: list[Fault], unit: str = "s") -> pd.Series:
    """Read the times of a data set's folder: int64 whole seconds since 1970.

    They are float64 NaN where every cell is empty, and where the column is refused: ``faults``
    then says what it looks like. Seconds written as fractions (``1709251200.0``) are read; what
    lies behind the point is left off, with a note where it is not 0. ``unit`` is one of UNITS.

    >>> read_times(pd.Series(["1709251200", "1.7092512e9"]), "interactions.csv", []).tolist()
    [1709251200, 1709251200]
    """
    unknown = pd.Series(np.nan, index=values.index)
    if (values == "").all():
        return unknown
    seconds, known = _counted(values.str.strip(), unit, file, faults)
    implausible = time_faults(pd.Series(seconds[known], index=np.flatnonzero(known)), file)
    faults.extend(implausible)
    if any(fault.row is None for fault in implausible):
        return unknown
    remedy = f"write whole {_SECONDS}"
    for place in np.flatnonzero(~known):
        value = values.iloc[place]
        empty = ", or leave the whole column empty where no times are known" if not value else ""
        message = f"the timestamp {value!r} is not a time"
        faults.append(Fault(file, int(place) + 2, message, remedy + empty))
    return pd.Series(seconds, index=values.index).clip(-LATEST, LATEST)  # beyond: a fault already


def whole_seconds(times: pd.Series, faults: list[Fault]) -> pd.Series:
    """Turn a column in memory into int64 seconds, or float64 NaN where none is known.

    Takes whole numbers, fractions (what lies behind the point is left off, with a note), and dates
    of pandas or Python, UTC unless they say else. A time outside the years 1678 to 2261 costs its
    row: ``faults`` names it, and the index of what is returned, 0, 1, 2, …, lacks it. Small numbers
    are kept, as examples have them; a note says where they look like years or days.

    Raises
    ------
    DatasetError
        If some times are missing and others are not, nearly all are milliseconds or the like, or
        they are neither numbers nor dates.

    Examples
    --------
    >>> faults = []
    >>> days = pd.Series([date(9999, 12, 31), date(2024, 3, 1)])
    >>> whole_seconds(days, faults)
    1    1709251200
    dtype: int64
    >>> print(*faults)
    interactions: the time 9999-12-31 of interaction 0 lies outside the years 1678 to 2261; it is
    left out: correct it
    """
    times = times.reset_index(drop=True)
    if len(times) and times.isna().all():
        return pd.Series(np.nan, index=times.index)
    if times.isna().any():
        raise DatasetError(
            f"the timestamps of {int(times.isna().sum())} interactions are missing: give all, or "
            "leave the whole column empty"
        )
    seconds = _seconds_in_memory(times, faults)
    far = (seconds.abs() > LATEST).to_numpy()
    if far.any() and far.mean() >= NEARLY:
        raise DatasetError(
            f"the timestamp {times[far].iloc[0]} {_OUTSIDE}, as nearly all do: give seconds since "
            "1970, not milliseconds"
        )
    for place in np.flatnonzero(far):
        message = f"the time {times[place]} of interaction {place} {_OUTSIDE}"
        faults.append(Fault("interactions", None, message, "it is left out: correct it"))
    look = _look_fault(seconds, "interactions") if (seconds < EARLIEST).any() else None
    if look is not None:
        faults.append(replace(look, note=True))
    return seconds[~far]


def _seconds_in_memory(times: pd.Series, faults: list[Fault]) -> pd.Series:
    """Turn numbers or dates, of which none is missing, into int64 seconds."""
    if times.empty:
        return times.astype(np.int64)
    kind = pd.api.types.infer_dtype(times, skipna=False)
    if kind in ("integer", "floating", "mixed-integer-float"):
        numbers = pd.to_numeric(times)
        if pd.api.types.is_integer_dtype(numbers):
            return numbers.clip(-_MOST, _MOST).astype(np.int64)
        faults.extend(_part_notes(numbers[numbers % 1 != 0], "interactions"))
        return (numbers.astype(np.float64).clip(-_MOST, _MOST) // 1).astype(np.int64)
    if kind == "datetime64":
        return times.dt.as_unit("s").astype("int64")
    if kind in ("date", "datetime"):
        return times.map(_second).astype(np.int64)
    what = f"text, such as {times.iloc[0]!r}" if kind == "string" else f"{times.dtype} ({kind})"
    raise DatasetError(
        f"the timestamps are {what}: give whole seconds since 1970 as int64, or dates, as "
        "pd.to_datetime(..., utc=True) makes them"
    )


def _second(moment: date) -> int:
    """Return the second since 1970 in which a date of Python's begins."""
    if isinstance(moment, pd.Timestamp):
        moment = moment.to_pydatetime(warn=False)
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


def _counted(
    cells: pd.Series, unit: str, file: str, faults: list[Fault]
) -> tuple[np.ndarray, np.ndarray]:
    """Read numbers of a unit: int64 whole seconds, and bool which cells are numbers."""
    known = cells.str.fullmatch(_WHOLE).to_numpy(dtype=bool, copy=True)
    seconds = np.zeros(len(cells), dtype=np.int64)
    seconds[known] = cells[known].map(int)
    seconds //= UNITS[unit]
    if known.all():
        return seconds, known
    written = cells[~known & cells.str.fullmatch(_NUMBER).to_numpy(dtype=bool)]
    numbers = written.str.replace(",", ".").map(float).astype(np.float64)
    numbers = numbers[numbers.abs() < _MOST]
    places = cells.index.get_indexer(numbers.index)
    seconds[places] = np.floor(numbers / UNITS[unit])
    known[places] = True
    if unit == "s":
        faults.extend(_part_notes(written[numbers.index[numbers % 1 != 0]], file))
    rounded = written[written.str.fullmatch(_ROUNDED).astype(bool)]
    if not rounded.empty:
        message = f"{len(rounded)} times have six digits, such as {rounded.iloc[0]!r}"
        remedy = "a spreadsheet may have rounded them: export them with all digits"
        faults.append(Fault(file, int(rounded.index[0]) + 2, message, remedy, note=True))
    return seconds, known


def _part_notes(fractions: pd.Series, file: str) -> list[Fault]:
    """Note fractions of seconds, if there are any."""
    if fractions.empty:
        return []
    message = f"{len(fractions)} times are fractions of a second, such as {fractions.iloc[0]}"
    remedy = "what lies behind the point is left off"
    return [Fault(file, int(fractions.index[0]) + 2, message, remedy, note=True)]


def _dates(cells: pd.Series, times: str) -> pd.Series:
    """Read dates of ISO 8601, or of a format: float64 seconds, NaN where that fails."""
    if times and "%" not in times:
        known = [*UNITS, "excel"]
        near = difflib.get_close_matches(times.lower(), known, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise DatasetError(
            f"times is {times!r}{meant}; it is one of {', '.join(known)}, or a format such as "
            '"%d.%m.%Y %H:%M"'
        )
    try:
        dates = pd.to_datetime(cells, format=times or "ISO8601", utc=True, errors="coerce")
    except ValueError as error:
        raise DatasetError(f"times is {times!r}, which is no format: {error}") from error
    return dates.dt.as_unit("s").astype("int64").where(dates.notna())
