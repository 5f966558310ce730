"""Times as people write them: read, or refused with what they look like."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmtutorial.datasets import Dataset, DatasetError, DatasetNote, Fault, from_tables
from mmtutorial.datasets.dataset import validate_folder
from mmtutorial.datasets.times import parse_times, time_faults, whole_seconds

GOODS = "item,text\na,so soft\nb,so warm\nc,so blue\n"
LOOKS = {  # what a column looks like: its cells, words of the fault, what reads it
    "Excel": (["45352", "45353.5", "45354"], "look like day numbers of Excel, days since 1899-12-30, such as 45352 in row 2", "excel"),
    "years": (["2024", "2023", "2022"], "look like years, such as 2024 in row 2", "%Y"),
    "months": (["202403", "202402", "202401"], "look like months written yyyymm, such as 202403", "%Y%m"),
    "days": (["20240301", "20240302", "20240303"], "look like days written yyyymmdd, such as 2024", "%Y%m%d"),
    "milliseconds": (["1709251200999", "1709251201000", "1709251202000"], "look like milliseconds, such as 1709251200999", "ms"),
    "rounded": (["1.70925E+12", "1.70926E+12", "1.70927E+12"], "look like milliseconds, such as 1709250000000", "ms"),
    "microseconds": (["1709251200999999", "1709251201000000", "1709251202000000"], "look like microsec", "us"),
    "nanoseconds": (["1709251200999999999", "1709251201000000000", "1709251202000000000"], "look like nanosec", "ns"),
    "zeros": (["0", "0", "0.0"], "the times are zeros", ""),
    "ranks": (["1", "2", "3"], "look like ranks or counts, such as 1 in row 2", ""),
    "minutes": (["28487520", "28487521", "28487522"], "look like ranks or counts, such as 28487520", ""),
}  # fmt: skip


def events(cells: list[str]) -> str:
    rows = zip("uvw", "abc", cells, strict=True)
    return "user,item,timestamp\n" + "".join(f"{user},{item},{cell}\n" for user, item, cell in rows)


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "goods.csv").write_text(GOODS)
    return tmp_path / "sales.csv", tmp_path / "goods.csv"


def folder_of(place: Path, cells: list[str]) -> Path:
    (place / "dataset.json").write_text(json.dumps({"name": "x"}))
    (place / "items.csv").write_text(GOODS)
    (place / "interactions.csv").write_text(events(cells))
    return place


@pytest.mark.parametrize("kind", LOOKS)
def test_a_column_that_is_no_times_is_refused_with_what_it_looks_like(
    tables: tuple[Path, Path], kind: str
) -> None:
    cells, words, times = LOOKS[kind]
    tables[0].write_text(events(cells))
    with pytest.raises(DatasetError) as told:
        from_tables(*tables)
    (fault,) = told.value.faults
    assert (fault.file, fault.row) == ("sales.csv", None)
    assert words in fault.message
    assert (f'times="{times}"' in fault.remedy) == bool(times)
    if times:
        data, left_out = from_tables(*tables, times=times)
        assert all(fault.note for fault in left_out)
        assert data.interactions["timestamp"].between(1_600_000_000, 1_800_000_000).all()
        data.save(tables[0].with_name("saved"))


@pytest.mark.parametrize("kind", LOOKS)
def test_such_a_column_of_a_folder_is_one_fault_with_how_to_convert_it(
    tmp_path: Path, kind: str
) -> None:
    cells, words, times = LOOKS[kind]
    (fault,) = (fault for fault in validate_folder(folder_of(tmp_path, cells)) if not fault.note)
    assert (fault.file, fault.row) == ("interactions.csv", None)
    assert words in fault.message
    assert "seconds since 1970-01-01 00:00 UTC" in fault.remedy
    with pytest.raises(DatasetError, match=words):
        Dataset.open(tmp_path)
    if not times:
        assert "leave the whole column empty" in fault.remedy


def test_a_unit_that_is_wrong_is_refused(tables: tuple[Path, Path]) -> None:
    tables[0].write_text(events(["1709251200", "1709251201", "1709251202"]))
    with pytest.raises(
        DatasetError, match=r"ranks or counts, such as 1709251 in row 2, read by tim"
    ):
        from_tables(*tables, times="ms")


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ("sec", r"times is 'sec'.*; it is one of s, ms, us, ns, excel, or a format such as"),
        ("Excel", r"times is 'Excel' \(did you mean 'excel'\?\)"),
        ("%Q", "times is '%Q', which is no format: "),
    ],
)
def test_a_way_to_read_times_that_we_do_not_know_is_refused(
    tables: tuple[Path, Path], times: str, words: str
) -> None:
    tables[0].write_text(events(["1709251200", "1709251201", "1709251202"]))
    with pytest.raises(DatasetError, match=words):
        from_tables(*tables, times=times)


def test_a_few_implausible_times_are_one_note_with_a_count() -> None:
    end = datetime(datetime.now(UTC).year + 2, 1, 1, tzinfo=UTC).timestamp()
    good = [631_152_000, int(end) - 1, *[1_709_251_200] * 6]
    assert time_faults(pd.Series(good), "x.csv") == []
    bad = [*good[:2], 631_151_999, int(end), *good[2:], 0]
    (note,) = time_faults(pd.Series(bad), "x.csv")
    assert str(note) == (
        f"note: x.csv, row 4: 3 of 11 times lie before 1990 or after {datetime.now(UTC).year + 1}, "
        "the first on 1989-12-31; correct them if they are wrong"
    )
    assert time_faults(pd.Series([np.nan] * 3), "x.csv") == []
    assert time_faults(pd.Series([], dtype=np.int64), "x.csv") == []


def test_a_column_of_honest_old_times_is_a_note(tables: tuple[Path, Path]) -> None:
    tables[0].write_text(events(["1985-03-01", "1986-01-01", "1987-01-01"]))
    data, (note,) = from_tables(*tables)
    assert "3 of 3 times lie before 1990" in str(note)
    assert note.note
    with pytest.warns(DatasetNote, match="interactions.csv, row 2: 3 of 3 times lie before 1990"):
        saved = data.save(tables[0].with_name("saved"))
    assert [fault.note for fault in saved.validate()] == [True]


def test_small_numbers_in_memory_are_kept_and_told_by_validate(tmp_path: Path) -> None:
    items = pd.DataFrame({"item": ["a", "b"], "text": "t"})
    taken = pd.DataFrame({"user": ["u", "v"], "item": ["a", "b"], "timestamp": [5, 7]})
    data = Dataset("toy", items, taken, tmp_path)
    assert data.interactions["timestamp"].tolist() == [5, 7]
    (fault,) = data.validate()
    assert "look like ranks or counts, such as 5 in row 2 (rows counted in order" in str(fault)
    with pytest.raises(DatasetError, match=r"nothing was written .*\n.* look like ranks or counts"):
        data.save(tmp_path / "toy")


FAR = ["9999-12-31", "0001-01-01", "9999-12-31T23:59:59-08:00", "2262-01-01T00:00:01"]


@pytest.mark.parametrize("far", FAR)
@pytest.mark.parametrize("times", ["", "%Y-%m-%d"])
def test_a_date_out_of_range_costs_its_row(tables: tuple[Path, Path], far: str, times: str) -> None:
    tables[0].write_text(events(["2024-03-01", far[:10] if times else far, "2024-03-02"]))
    if times and far.startswith("2262"):
        return  # 2262-01-01 itself is the last day
    data, (fault,) = from_tables(*tables, times=times)
    assert data.interactions["timestamp"].tolist() == [1709251200, 1709337600]
    assert (fault.row, fault.note) == (3, False)
    assert str(fault).startswith(f"sales.csv, row 3: the time '{far[:10]}")
    assert "lies outside the years 1678 to 2261" in str(fault) or "cannot be read" in str(fault)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([datetime(2024, 3, 1), datetime(9999, 12, 31), datetime(1, 1, 1)], dtype=object),
        pd.Series(np.array(["2024-03-01", "9999-12-31", "0001-01-01"], dtype="datetime64[s]")),
        pd.Series([date(2024, 3, 1), date(9999, 12, 31), date(1, 1, 1)]),
        pd.Series(
            [
                datetime(2024, 3, 1, 8, tzinfo=timezone(timedelta(hours=8))),
                datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-8))),
                datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=8))),
            ],
            dtype=object,
        ),
    ],
    ids=["datetimes", "NumPy", "dates", "zones"],
)
def test_dates_in_memory_out_of_range_cost_their_rows(column: pd.Series) -> None:
    items = pd.DataFrame({"item": list("abc"), "text": "t"})
    taken = pd.DataFrame({"user": list("uvw"), "item": list("abc"), "timestamp": column})
    with pytest.warns(DatasetNote) as told:
        data = Dataset("x", items, taken.set_index(pd.Index([7, 7, 9])), Path("."))
    assert data.interactions[["user", "timestamp"]].values.tolist() == [["u", 1709251200]]
    assert len(told) == 2
    assert (
        "of interaction 1 lies outside the years 1678 to 2261; it is left out: correct it"
        in str(told[0].message)
    )


def test_dates_of_every_unit_and_zone_become_seconds() -> None:
    for unit in ("s", "ms", "us", "ns"):
        times = pd.Series(pd.to_datetime(["1969-12-31T23:59:59", "2024-03-01T00:00:00"])).astype(
            f"datetime64[{unit}]"
        )
        assert whole_seconds(times, []).tolist() == [-1, 1709251200]
    times = pd.Series(pd.to_datetime(["2024-03-01T01:00:00.9+01:00"]))
    assert whole_seconds(times, []).tolist() == [1709251200]


def test_seconds_written_as_fractions_are_read(tables: tuple[Path, Path], tmp_path: Path) -> None:
    whole = ["1709251200.0", "1.7092512e9", "+1709251200"]
    tables[0].write_text(events(whole))
    data, left_out = from_tables(*tables)
    assert left_out == []
    assert data.interactions["timestamp"].tolist() == [1709251200] * 3
    assert validate_folder(folder_of(tmp_path, whole)) == []
    parts = ["1709251200.0", "1709251200.999", "1709251200.5"]
    words = "row 3: 2 times are fractions of a second, such as 1709251200.999; what lies behind"
    tables[0].write_text(events(parts))
    data, (note,) = from_tables(*tables)
    assert data.interactions["timestamp"].tolist() == [1709251200] * 3
    assert note.note and words in str(note)
    (note,) = validate_folder(folder_of(tmp_path, parts))
    assert note.note and words in str(note)
    taken = data.interactions.assign(timestamp=[1709251200.0, 1709251201.0, 1709251202.0])
    assert Dataset("x", data.items, taken, tmp_path).interactions["timestamp"].dtype == np.int64
    with pytest.warns(DatasetNote, match="1 times are fractions of a second, such as 1709251201.5"):
        Dataset("x", data.items, taken.assign(timestamp=[1, 1709251201.5, 3]), tmp_path)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["2024-03-01", "x"], "the timestamps are text, such as '2024-03-01': give whole seconds"),
        ([True, False], r"the timestamps are bool \(boolean\): give whole seconds"),
        ([datetime(2024, 3, 1), 5], r"the timestamps are object \(mixed.*\): give whole seconds"),
        (
            [np.inf, -np.inf],
            "the timestamp inf lies outside the years 1678 to 2261, as nearly all do",
        ),
        (
            [1_709_251_200_000] * 3,
            "the timestamp 1709251200000 lies .* give seconds since 1970, not milli",
        ),
        ([2**63 + 5] * 2, "as nearly all do"),
    ],
    ids=["text", "bool", "mixed", "infinite", "milliseconds", "uint64"],
)
def test_what_is_no_time_is_refused_in_memory(column: list[object], words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        whole_seconds(pd.Series(column), [])


@pytest.mark.parametrize("dtype", ["int32", "uint64", "Int64", "float64", "Float64", object])
def test_whole_numbers_of_every_dtype_are_taken(dtype: object) -> None:
    faults: list[Fault] = []
    found = whole_seconds(pd.Series([1_709_251_200, 5], dtype=dtype), faults)  # type: ignore[call-overload]
    assert found.tolist() == [1_709_251_200, 5]
    assert found.dtype == np.int64
    assert faults == []
    assert whole_seconds(pd.Series([], dtype=dtype), faults).dtype == np.int64  # type: ignore[call-overload]


def test_in_memory_years_are_kept_with_a_note_and_one_time_too_large_costs_its_row() -> None:
    faults: list[Fault] = []
    assert whole_seconds(pd.Series([2023, 2024]), faults).tolist() == [2023, 2024]
    assert str(faults.pop()).startswith("note: interactions: the times look like years, such as 20")
    found = whole_seconds(pd.Series([1_709_251_200, 1_709_251_200_000]), faults)
    assert found.tolist() == [1_709_251_200]
    assert str(faults.pop()).startswith(
        "interactions: the time 1709251200000 of interaction 1 lies"
    )


def test_digits_that_a_spreadsheet_dropped_are_noted() -> None:
    faults: list[Fault] = []
    found = parse_times(pd.Series(["1.70925E+09", "1709251200"]), "x.csv", "", faults)
    assert found.tolist() == [1709250000, 1709251200]
    assert str(faults[0]).startswith(
        "note: x.csv, row 2: 1 times have six digits, such as '1.70925E+09'"
    )
