"""Tables as Excel, pandas, databases and old Macs write them; and what we write, we read."""

from __future__ import annotations

import csv
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mmtutorial.cli import app
from mmtutorial.datasets import Dataset, DatasetError, DatasetNote, Fault, from_tables
from mmtutorial.datasets.dataset import validate_folder
from mmtutorial.datasets.tables import read_table, write_table

CELLS = ["plain", 'a "b" c', "tab\there", "line\nbreak", "cr\rhere", "crlf\r\nhere", '5" pipe',
         '"', '""', "", " x ", "a,b;c|d", "'", "\u2028", "\x1c", "ends\r", "\rbegins", "\\", '"x'
         ]  # fmt: skip


def read(path: Path, content: str | bytes, **options: object) -> tuple[pd.DataFrame, list[Fault]]:
    """Read a table that must be readable."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    faults: list[Fault] = []
    table = read_table(path.parent, path.name, [], faults, **options)  # type: ignore[arg-type]
    assert table is not None, faults
    return table, faults


def refused(path: Path, content: str | bytes, **options: object) -> str:
    """Read a table that cannot be read, and return why."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    faults: list[Fault] = []
    assert read_table(path.parent, path.name, [], faults, **options) is None  # type: ignore[arg-type]
    return str(faults[-1])


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CR LF"])
@pytest.mark.parametrize("mark", [",", ";", "\t"], ids=["commas", "semicolons", "tabs"])
def test_what_pandas_writes_is_read(tmp_path: Path, mark: str, ends: str) -> None:
    made = pd.DataFrame({"item": range(len(CELLS)), "title": CELLS}).astype(str)
    path = tmp_path / "x.csv"
    made.to_csv(path, sep=mark, index=False, lineterminator=ends, quoting=csv.QUOTE_ALL)
    table, faults = read(path, path.read_bytes())
    assert table["title"].tolist() == CELLS
    assert faults == []


def test_a_quote_inside_a_cell_of_tabs_is_a_character(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "x.tsv", 'item\ttitle\n1\t5" pipe\n2\tsay "hi"\n3\t6"\n')
    assert table["title"].tolist() == ['5" pipe', 'say "hi"', '6"']
    assert faults == []


def test_tabs_of_a_program_that_quotes_nothing_are_read_with_a_note(tmp_path: Path) -> None:
    content = 'item\ttitle\n1\tx\n2\t"Big" cup\n3\t"5 inch\n'
    table, (note,) = read(tmp_path / "x.tsv", content)
    assert table["title"].tolist() == ["x", '"Big" cup', '"5 inch']
    assert str(note) == (
        "note: x.tsv, row 3: text follows the closing double quote of a cell, so the quotes of this "
        'table are taken for characters like others; if they enclose cells, write a quote inside as ""'
    )
    ragged = 'item\ttitle\n1\t"two\twords"\n2\t"never closed\n'
    assert refused(tmp_path / "x.tsv", ragged) == (
        "x.tsv, row 3: a double quote opens a cell and is never closed; close it, or remove it"
    )
    table, faults = read(tmp_path / "x.tsv", 'a\tb\n1\t"x"\n', mark="\t", quotes=False)
    assert table["b"].tolist() == ['"x"']
    assert faults == []


@pytest.mark.parametrize(
    ("content", "titles"),
    [
        ("item,title\ra,A\rb,B", ["A", "B"]),
        ('item,title\ra,"A\n1"\rb,B\r', ["A\n1", "B"]),
        ('item,title\ra,"A\r1"\rb,B\r', ["A\r1", "B"]),
        ("item,title\r\r\na,A\r\r\nb,B\r\r\n", ["A", "B"]),
        ("item,title\na,A\r1\nb,B\r\r2\r\n", ["A\r1", "B\r\r2"]),
        ('item,title\r\na,A\r1\r\nb,"B\r2"\r\n', ["A\r1", "B\r2"]),
        ("item\ttitle\na\tA\r1\nb\t\rB\n", ["A\r1", "\rB"]),
        ("item,title\na,\ue000\r\nb,\ue000\r\ue001\n", ["\ue000", "\ue000\r\ue001"]),
    ],
    ids=[
        "old Mac",
        "Excel for Mac",
        "quoted CR",
        "CR CR LF",
        "in LF",
        "in CR LF",
        "in tabs",
        "PUA",
    ],
)
def test_carriage_returns(tmp_path: Path, content: str, titles: list[str]) -> None:
    table, faults = read(tmp_path / "x.csv", content)
    assert table["title"].tolist() == titles
    assert faults == []


TEXT = st.text(
    st.sampled_from("\r\n\",;\t|' a\u2028\u2029\x85\x1c\x0b\ufeffé好💚\ue000=") | st.characters(codec="utf-8"),
    max_size=8,
)  # fmt: skip


@settings(max_examples=75)
@given(cells=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=4), column=TEXT)
def test_whatever_is_saved_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str, str]], column: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    ids = [f"p{row}" for row in range(len(cells))]
    items = pd.DataFrame({"item": ids, "text": [text for text, _, _ in cells]})
    taken = pd.DataFrame({"user": "u", "item": ids, "timestamp": 1_709_251_200})
    taken["review"] = [review for _, review, _ in cells]
    name = column if column not in (*taken, "part", "rating", "") else "more"
    taken[name] = [more for _, _, more in cells]
    data = Dataset("any", items, taken, folder)
    if any("\0" in each for each in (*sum(cells, ()), name)):
        with pytest.raises(DatasetError, match=r"(items|interactions)\.csv, row \d: holds a null"):
            data.save(folder / "saved")
        return
    saved = data.save(folder / "saved")
    assert saved.items["text"].tolist() == data.items["text"].tolist()
    assert saved.interactions["review"].tolist() == data.interactions["review"].tolist()
    assert saved.interactions[name].tolist() == data.interactions[name].tolist()


def test_a_cell_with_a_carriage_return_is_quoted_for_other_readers(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"a": ["x\ry", "z"]}), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_bytes() == b'a\r\n"x\ry"\r\nz\r\n'
    write_table(pd.DataFrame({"a": ["x", "z"]}), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_bytes() == b"a\nx\nz\n"


# Encodings

CHINESE = """货号,名称,描述
1,连衣裙,质量很好，面料舒服，尺码合适。
2,外套,颜色和图片上的一样，穿起来很暖和。
3,茶壶,送给朋友的礼物，他非常喜欢，包装也不错。
"""
FOREIGN = {
    "cp1252": "id,name\n1,café – naïve\n2,Größe: «ÉTÉ» ½ Stück für Señor Åström; crème brûlée\n3,ÀÉÎÕÜ\n",
    "latin-1": "id,name\n1,déjà vu\n2,façade Straße\n3,Øresund og Ærø\n",
    "cp1251": "id,name\n1,Платье красное\n2,Чайник из фарфора; очень хороший\n3,ПАЛЬТО ЗИМНЕЕ\n",
    "koi8_r": "id,name\n1,Платье красное\n2,Чайник из фарфора; очень хороший\n3,ПАЛЬТО ЗИМНЕЕ\n",
    "cp1253": "id,name\n1,Φόρεμα κόκκινο\n2,ΤΣΑΓΙΕΡΑ πορσελάνη\n",
    "cp1255": "id,name\n1,שמלה אדומה\n2,קומקום תה יפה\n",
    "cp874": "id,name\n1,ชุดเดรสสีแดง\n2,กาน้ำชาสวยมาก ส่งเร็ว\n",
    "shift_jis": "id,name\n1,赤いワンピース\n2,お茶のポット、とても良いです。\n3,ｱﾙﾐﾆｳﾑ ｹﾄﾙ\n",
    "cp932": "id,name\n1,ﾜﾝﾋﾟｰｽ ｱｶ\n2,ﾃｨｰﾎﾟｯﾄ ｼﾛ\n3,ｱﾙﾐﾆｳﾑ ｹﾄﾙ ﾀｲﾍﾝﾖｲ\n",
    "euc_jp": "id,name\n1,赤いワンピース\n2,お茶のポット、とても良いです。\n3,生地が柔らかく着心地が良い\n",
    "big5": "id,name\n1,紅色連衣裙\n2,茶壺，品質很好，朋友非常喜歡，包裝也不錯。\n3,顏色和圖片上的一樣，穿起來很暖和\n",
    "euc_kr": "id,name\n1,빨간 원피스\n2,찻주전자 품질이 아주 좋아요; 배송도 빨라요\n3,색상이 사진과 같고 따뜻합니다\n",
}


def test_chinese_that_is_not_utf_8_is_read_with_a_note(tmp_path: Path) -> None:
    table, (note,) = read(tmp_path / "x.csv", CHINESE.encode("gb18030"))
    assert table.columns.tolist() == ["货号", "名称", "描述"]
    assert table["名称"].tolist() == ["连衣裙", "外套", "茶壶"]
    assert str(note).startswith(
        "note: x.csv: it is not UTF-8, and Chinese when read as GB18030, so it is read as that; if "
        'characters are wrong, save it again with the encoding UTF-8, or give from_tables its encoding: '
    )  # fmt: skip


def test_chinese_of_a_dozen_characters_is_enough_and_of_one_is_not(tmp_path: Path) -> None:
    text = "id,name\n1,质量很好面料舒服尺码合适\n"
    table, (note,) = read(tmp_path / "x.csv", text.encode("gb18030"))
    assert table["name"].tolist() == ["质量很好面料舒服尺码合适"]
    assert note.note
    message = refused(tmp_path / "x.csv", "id,name\n1,王\n".encode("gb18030"))
    assert message.startswith("x.csv, row 2: not UTF-8: byte 0xcd")


@pytest.mark.parametrize("encoding", FOREIGN)
def test_other_encodings_are_not_taken_for_chinese(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.csv"
    content = FOREIGN[encoding].encode(encoding)
    message = refused(path, content)
    assert "not UTF-8: byte 0x" in message
    assert 'or give from_tables its encoding: encoding="cp1252" (Western Europe)' in message
    table, faults = read(path, content, encoding=encoding)
    assert table.equals(read(path, FOREIGN[encoding])[0])
    assert len(table) >= 2
    assert faults == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-16-be"])
def test_a_byte_order_mark_says_more_than_an_argument(tmp_path: Path, encoding: str) -> None:
    content = CHINESE.replace(",", "\t").encode(encoding)
    if encoding == "utf-16-be":
        content = b"\xfe\xff" + content
    for given_encoding in (None, "cp1252"):
        table, faults = read(tmp_path / "x.txt", content, encoding=given_encoding)
        assert table.columns.tolist() == ["货号", "名称", "描述"]
        assert len(faults) == (encoding != "utf-8-sig")
        assert all(fault.note and "as its byte-order mark says" in str(fault) for fault in faults)


def test_an_encoding_that_fails_names_the_row_and_the_byte(tmp_path: Path) -> None:
    content = b'id,name\n1,"two\nlines"\n2,caf' + b"\xff,\n"
    for options, name in (({}, "UTF-8"), ({"encoding": "shift_jis"}, "SHIFT_JIS")):
        assert refused(tmp_path / "x.csv", content, **options).startswith(
            f"x.csv, row 3: not {name}: byte 0xff; save the file again with the encoding UTF-8, or"
        )
    assert refused(tmp_path / "x.csv", b"sep=;\r\nid;name\r\n1;caf\xe9\r\n").startswith(
        "x.csv, row 2: not UTF-8: byte 0xe9"
    )
    assert refused(tmp_path / "x.csv", b"id;name\r1;a\r2;caf\xe9\r").startswith("x.csv, row 3: not")


@pytest.mark.parametrize(
    ("encoding", "meant"),
    [("gbk18030", "gb18030"), ("utf-88", "utf_8"), ("latin-i", "latin"), ("hex", ""), ("", ""), ("a\0", "")],
)  # fmt: skip
def test_an_unknown_encoding_is_refused(tmp_path: Path, encoding: str, meant: str) -> None:
    with pytest.raises(
        DatasetError, match=f"there is no encoding .*{meant}.*: leave it out, or giv"
    ):
        read(tmp_path / "x.csv", "a,b\n1,2\n", encoding=encoding)


# Marks


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("sep=;\nid;a,b,c\n1;x\n", ["id", "a,b,c"]),
        ("SEP=,\r\nid,a;b;c\r\n1,x\r\n", ["id", "a;b;c"]),
        ('"sep=|"\rid|name\r1|x\r', ["id", "name"]),
        ("\ufeffsep=\t\nid\tname\n1\tx\n", ["id", "name"]),
        ('"a;b;c;d",name\n1,x\n', ["a;b;c;d", "name"]),
        ("id;name, full;x, y\n1;a;b\n", ["id", "name, full", "x, y"]),
        ("sep=;name\n1;x\n", ["sep=", "name"]),
    ],
)
def test_the_mark_is_stated_or_found(tmp_path: Path, content: str, columns: list[str]) -> None:
    table, faults = read(tmp_path / "x.csv", content)
    assert table.columns.tolist() == columns
    assert len(table) == 1
    assert faults == []


def test_rows_are_counted_without_the_line_of_the_mark(tmp_path: Path) -> None:
    found = refused(tmp_path / "x.csv", "sep=;\nid;name\n1;a\n2\n")
    assert found.startswith(
        "x.csv, row 3: has 1 cells, the header has 2; put a cell that holds a se"
    )


ITEMS = "item,title,text\na,A,so soft\nb,B,so warm\n"
TAKEN = "user,item,timestamp,review\nu,a,1709251200,good\nv,b,1709251201.0,fine\n"


@pytest.mark.parametrize(
    ("change", "notes"),
    [
        (lambda text: text.replace(",", ";").encode(), ["separated by semicolons"] * 2),
        (lambda text: b"sep=;\r\n" + text.replace(",", ";").encode(), ["separated by semi"] * 2),
        (lambda text: text.encode("utf-16"), ["read as UTF-16"] * 2),
        (
            lambda text: text.replace(",", "\t").encode("utf-16"),
            ["UTF-16", "separated by tabs"] * 2,
        ),
        (lambda text: text.replace("\n", "\r").encode(), []),
    ],
    ids=["semicolons", "sep=", "UTF-16", "Unicode text", "old Mac"],
)
def test_a_folder_saved_by_excel_is_read_with_notes(
    tmp_path: Path, change: object, notes: list[str]
) -> None:
    (tmp_path / "dataset.json").write_text('{"name": "x"}')
    for name, text in (("items.csv", ITEMS), ("interactions.csv", TAKEN)):
        (tmp_path / name).write_bytes(change(text))  # type: ignore[operator]
    found = validate_folder(tmp_path)
    assert [fault.note for fault in found] == [True] * len(notes)
    assert all(words in str(fault) for words, fault in zip(notes, found, strict=True)), found
    result = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert all(words in result.output for words in notes)
    with pytest.warns(DatasetNote) if notes else nullcontext():
        data = Dataset.open(tmp_path)
    assert data.items["text"].tolist() == ["so soft", "so warm"]
    assert data.interactions["timestamp"].tolist() == [1709251200, 1709251201]
    assert validate_folder(data.save(tmp_path / "again").folder) == []


def test_a_folder_saved_by_wps_in_china_is_read_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"name": "x"}')
    text = CHINESE.replace("货号,名称,描述", "item,title,text")
    (tmp_path / "items.csv").write_bytes(text.encode("gb18030"))
    (tmp_path / "interactions.csv").write_text("user,item,timestamp\nu,1,1709251200\n")
    with pytest.warns(
        DatasetNote, match="items.csv: it is not UTF-8, and Chinese when read as GB1"
    ):
        data = Dataset.open(tmp_path)
    assert data.items["title"].tolist() == ["连衣裙", "外套", "茶壶"]


def test_a_column_named_after_marks_does_not_change_how_a_folder_is_read(tmp_path: Path) -> None:
    items = pd.DataFrame({"item": ["a"], "text": ["x"], "a;b;c;d;e;f;g;h": ["y"]})
    taken = pd.DataFrame({"user": ["u"], "item": ["a"], "timestamp": [1_709_251_200]})
    saved = Dataset("x", items, taken, tmp_path).save(tmp_path / "saved")
    assert saved.items["a;b;c;d;e;f;g;h"].tolist() == ["y"]
    assert validate_folder(saved.folder) == []


# Tables of one's own


def test_from_tables_reads_what_excel_calls_unicode_text(tmp_path: Path) -> None:
    sales, goods = tmp_path / "sales.txt", tmp_path / "goods.csv"
    sales.write_bytes(
        'user\titem\ttimestamp\nann\t1\t2024-03-01\n"x ""y"""\t2\t2024-03-02\n'.encode("utf-16")
    )
    goods.write_bytes(CHINESE.replace("货号,名称,描述", "item,title,text").encode("gb18030"))
    data, left_out = from_tables(sales, goods)
    assert data.users.tolist() == ["ann", 'x "y"']
    assert data.items["title"].tolist() == ["连衣裙", "外套", "茶壶"]
    assert [(fault.file, fault.note) for fault in left_out] == [
        ("goods.csv", True),
        ("sales.txt", True),
    ]


def test_from_tables_takes_an_encoding(tmp_path: Path) -> None:
    sales, goods = tmp_path / "sales.csv", tmp_path / "goods.csv"
    sales.write_text("user,item\nann,1\n")
    goods.write_bytes("item,title\n1,café\n".encode("cp1252"))
    with pytest.raises(DatasetError, match=r"goods.csv, row 2: not UTF-8: byte 0xe9; .*cp1252"):
        from_tables(sales, goods)
    data, left_out = from_tables(sales, goods, encoding="cp1252")
    assert data.items["title"].tolist() == ["café"]
    assert left_out == []
    with pytest.raises(DatasetError, match=r"no encoding 'cp1525' \(did you mean 'cp125\d'"):
        from_tables(sales, goods, encoding="cp1525")
