"""Tables and folders as shops have them become a data set, and what is left out is told by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from mmtutorial import datasets
from mmtutorial.datasets import Dataset, DatasetError, from_tables

COLUMNS = {
    "customer": "user",
    "sku": "item",
    "when": "timestamp",
    "stars": "rating",
    "name": "title",
    "about": "text",
}
GOODS = """sku;name;about;price;colour
007;Tea;Warm, and "good".;2.50;green
A-1;Cup;;;white
A-12;连衣裙;质量很好;7;red
"""
SALES = """customer;sku;when;stars
ann;007;2024-03-01 12:00;5
ann;A-1;2024-03-02T00:00:00+01:00;4
bob;A-12;2024-03-03;
"""
GOOD = {"columns": COLUMNS, "numbers": ["price"]}


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(path)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the tables, pictures and sounds of a small shop, and go there."""
    (tmp_path / "goods.csv").write_text(GOODS.replace('"good"', "good"), encoding="utf-8-sig")
    (tmp_path / "sales.csv").write_text(SALES, encoding="utf-8")
    for name in ("007.jpg", "A-12_10.png", "A-12_2.png", "shoes/a-1/front.webp", "logo.png"):
        picture(tmp_path / "photos" / name)
    (tmp_path / "photos" / "readme.txt").write_text("not a picture")
    (tmp_path / "clips").mkdir()
    for name in ("demo 007.ogg", "A-1.flac", "A-12.wav"):
        soundfile.write(tmp_path / "clips" / name, np.sin(np.arange(4000) / 9), 8000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(left_out: list[datasets.Fault]) -> str:
    return "\n".join(map(str, left_out))


def test_a_shop_becomes_a_data_set_that_can_be_opened_and_has_no_fault(shop: Path) -> None:
    data, left_out = from_tables("sales.csv", "goods.csv", images="photos", sounds="clips", **GOOD)
    assert data.items["item"].tolist() == ["007", "A-1", "A-12"]
    assert data.items["title"].tolist() == ["Tea", "Cup", "连衣裙"]
    assert data.items["image"].tolist() == [
        "photos/007.jpg",
        "photos/shoes/a-1/front.webp",
        "photos/A-12_2.png",  # 2 before 10
    ]
    assert data.items["audio"].tolist() == [
        "clips/demo 007.ogg",
        "clips/A-1.flac",
        "clips/A-12.wav",
    ]
    assert data.items["price"].tolist() == pytest.approx([2.5, np.nan, 7], nan_ok=True)
    assert data.items["colour"].tolist() == ["green", "white", "red"]
    assert data.interactions["timestamp"].tolist() == [1709294400, 1709334000, 1709424000]
    assert data.interactions["rating"].tolist() == pytest.approx([5, 4, np.nan], nan_ok=True)
    assert told(left_out) == (
        "photos: 1 of 5 pictures name no product, or more than one, such as 'logo.png'; name them "
        "in a column image, or let them be\nphotos: 1 of 5 pictures are not the first of their "
        "product, such as 'A-12_10.png'; one of each product is enough\nphotos: 1 file ending in "
        ".txt cannot be read as a picture, such as 'readme.txt'; save what is a picture as JPEG or "
        "PNG"
    )
    saved = data.save(shop / "mine")
    assert saved.validate() == []
    assert datasets.load(shop / "mine").items.equals(saved.items)
    assert {path.name for path in (shop / "mine" / "photos").rglob("*.*")} == {
        "007.jpg",
        "front.webp",
        "A-12_2.png",
    }


def test_bad_rows_are_left_out_and_told_by_the_row_of_the_file(shop: Path) -> None:
    bad = (
        "ann;999;2024-03-04;1\n;007;2024-03-04;1\nbob;007;yesterday;1\nann;007;2024-03-01 12:00;5\n"
    )
    more = "cem;007;2024-03-05;five\ncem;A-1;;3\n"
    sound = "".join(f"dan;007;2024-04-{day:02};5\n" for day in range(1, 9))
    (shop / "sales.csv").write_text(SALES + bad + more + sound)
    with (shop / "goods.csv").open("a", encoding="utf-8") as file:
        file.write("007;Tea again;;;\n;Nameless;;;\nB;Bag;;cheap;\n")
    data, left_out = from_tables("sales.csv", "goods.csv", **GOOD)
    lines = told(left_out).splitlines()
    for start in (
        "goods.csv, row 5: the product '007' stands further up already; keep one",
        "goods.csv, row 6: the product has no id; give it one",
        "sales.csv, row 5: the product '999' is not in goods.csv; add it there",
        "sales.csv, row 6: nobody knows whose it is; write the user's id",
        "sales.csv, row 7: the time 'yesterday' cannot be read; times are read as",
        "sales.csv, row 8: it repeats an earlier row; leave it out",
        "sales.csv, row 9: the rating 'five' is not a finite number; write a number",
        "sales.csv, row 10: it has no time; give all rows one",
        "goods.csv, row 7: the price 'cheap' is not a finite number",
    ):
        assert sum(line.startswith(start) for line in lines) == 1, start
    assert len(lines) == 9
    assert [fault.row for fault in left_out] == [5, 6, 7, 5, 6, 7, 8, 9, 10]
    assert len(data.interactions) == 3 + 1 + 8
    assert data.items["item"].tolist() == ["007", "A-1", "A-12", "B"]
    data.save(shop / "mine")  # nothing is left that a data set could not hold


@pytest.mark.parametrize(
    ("times", "cells", "seconds"),
    [
        ("", ["1709251200", "0", "-5"], [1709251200, 0, -5]),
        ("s", ["20240301", "1", "2"], [20240301, 1, 2]),
        ("ms", ["1709251200999", "1000", "0"], [1709251200, 1, 0]),
        ("%d.%m.%Y", ["01.03.2024", "02.03.2024", "03.03.2024"], [1709251200, 1709337600, 1709424000]),
        ("", ["2024-03-01", "2024-03-01T01:00+01:00", "20240301T00"], [1709251200] * 3),
    ],
    ids=["seconds", "seconds by name", "milliseconds", "German dates", "ISO 8601"],
)  # fmt: skip
def test_times(shop: Path, times: str, cells: list[str], seconds: list[int]) -> None:
    rows = zip(("007", "A-1", "A-12"), cells, strict=True)
    (shop / "sales.csv").write_text(
        "customer,sku,when\n" + "".join(f"ann,{item},{when}\n" for item, when in rows)
    )
    columns = {key: value for key, value in COLUMNS.items() if key != "stars"}
    data, left_out = from_tables("sales.csv", "goods.csv", columns=columns, times=times)
    assert left_out == []
    by_item = data.interactions.set_index("item")["timestamp"]
    assert by_item[["007", "A-1", "A-12"]].tolist() == seconds


@pytest.mark.parametrize("cell", ["1709251200999", "20240301", "03/01/2024", "99999-01-01"])
def test_times_that_can_be_misread_are_refused(shop: Path, cell: str) -> None:
    (shop / "sales.csv").write_text(f"customer,sku,when\nann,007,{cell}\nbob,007,{cell}\n")
    columns = {key: value for key, value in COLUMNS.items() if key != "stars"}
    with pytest.raises(DatasetError, match=rf"row 2: the time '{cell}' cannot be read; .* times="):
        from_tables("sales.csv", "goods.csv", columns=columns)


def test_without_times_all_is_kept_and_repeats_count_once(shop: Path) -> None:
    (shop / "sales.csv").write_text("user\titem\nann\t007\nann\t007\nbob\tA-1\n")
    data, left_out = from_tables(
        "sales.csv", "goods.csv", columns={"sku": "item", "name": "title", "about": "text"}
    )
    assert data.interactions["timestamp"].isna().all()
    assert len(data.interactions) == 2
    assert [fault.row for fault in left_out] == [3]


def test_a_column_may_name_the_files_by_path_name_or_address(shop: Path) -> None:
    picture(shop / "photos" / "x" / "one.jpg")
    picture(shop / "photos" / "y" / "two.jpg")
    (shop / "goods.csv").write_text(
        "item,image\n007,x/one.jpg\nA-1,https://shop.example/pictures/two.jpg\nA-12,gone.jpg\n"
    )
    columns = {key: value for key, value in COLUMNS.items() if key not in ("name", "about")}
    data, left_out = from_tables("sales.csv", "goods.csv", images="photos", columns=columns)
    assert data.items["image"].tolist() == ["photos/x/one.jpg", "photos/y/two.jpg", ""]
    assert told(left_out) == (
        "goods.csv, row 4: the picture 'gone.jpg' is not in photos; add it, or leave that empty\n"
        "photos: 5 of 7 pictures are named by no product, such as '007.jpg', 'A-12_2.png', "
        "'A-12_10.png'; name them, or let them be\nphotos: 1 file ending in .txt cannot be read "
        "as a picture, such as 'readme.txt'; save what is a picture as JPEG or PNG"
    )


def test_folders_far_apart_are_found_and_saved(shop: Path) -> None:
    (shop / "far" / "away").mkdir(parents=True)
    (shop / "clips").rename(shop / "far" / "away" / "clips")
    data, _ = from_tables(
        "sales.csv", "goods.csv", images="photos", sounds=shop / "far" / "away" / "clips", **GOOD
    )
    assert data.items["audio"][0] == "far/away/clips/demo 007.ogg"
    assert data.save("mine").validate() == []


def test_ids_that_look_alike_in_names_of_files_get_none(shop: Path) -> None:
    with (shop / "goods.csv").open("a", encoding="utf-8") as file:
        file.write("a_1;Another cup;;;\n")
    data, left_out = from_tables("sales.csv", "goods.csv", images="photos", **GOOD)
    assert data.items["image"].tolist()[1] == data.items["image"].tolist()[3] == ""
    assert "2 of 5 pictures name no product" in told(left_out)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"columns": {}}, r"sales.csv has no column 'user'; it has customer, sku, .* say which"),
        ({"columns": {**COLUMNS, "sko": "item"}}, r"no table has the column 'sko' \(did you mean 'sku'"),
        ({"columns": {**COLUMNS, "colour": "txt"}}, r"'colour' is 'txt' \(did you mean 'text'"),
        ({"columns": {**COLUMNS, "colour": "title"}}, r"\['colour', 'name'\] shall all be title"),
        ({"numbers": ["prize"]}, "goods.csv has no column 'prize', named in numbers"),
        ({"images": "fotos"}, "there is no folder fotos: check the path of the pictures"),
        ({"sounds": "photos"}, "photos holds no sound that can be read here: check the path"),
        ({"images": "others"}, r"others holds 1 pictures, .* such as 'x.png' beside the id '007'"),
        ({"columns": {**COLUMNS, "colour": "image"}}, "names files in the column image, and nobody"),
        ({"events": "none.csv"}, "the file is missing"),
    ],
    ids=["no names", "theirs", "ours", "twice", "numbers", "folder", "no files", "names", "where", "file"],
)  # fmt: skip
def test_mistakes_are_answered_with_what_to_do(
    shop: Path, change: dict[str, object], words: str
) -> None:
    picture(shop / "others" / "x.png")
    arguments = {"events": "sales.csv", "products": "goods.csv", **GOOD, **change}
    with pytest.raises(DatasetError, match=words):
        from_tables(**arguments)  # type: ignore[arg-type]


def test_a_table_most_of_which_is_unusable_is_refused(shop: Path) -> None:
    (shop / "sales.csv").write_text(SALES.replace("ann;007", "ann;7").replace("bob;A-12", "bob;12"))
    with pytest.raises(DatasetError, match=r"row 2: the product '7' .*\n.*row 4: the product '12'"):
        from_tables("sales.csv", "goods.csv", **GOOD)


def test_ragged_rows_and_foreign_encodings_are_named(shop: Path) -> None:
    (shop / "sales.csv").write_text(SALES + "ann;007\n")
    with pytest.raises(DatasetError, match=r"sales.csv, row 5: has 2 cells, the header has 4; .*;"):
        from_tables("sales.csv", "goods.csv", **GOOD)
    (shop / "sales.csv").write_bytes(SALES.encode() + "王;007;2024-03-04;5\n".encode("gb18030"))
    with pytest.raises(DatasetError, match=r"row 5: not UTF-8: .* encoding UTF-8"):
        from_tables("sales.csv", "goods.csv", **GOOD)


def test_a_saved_shop_can_be_saved_again_in_its_place(shop: Path) -> None:
    for _ in range(2):
        data, _ = from_tables("sales.csv", "goods.csv", images="photos", **GOOD)
        saved = data.save("mine")
    assert isinstance(saved, Dataset)
    assert saved.n_items == 3
