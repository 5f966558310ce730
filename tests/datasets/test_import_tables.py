"""Tables and folders as shops have them become a data set, and what is left out is told by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from mmtutorial import datasets
from mmtutorial.datasets import Dataset, DatasetError, from_tables

EVENTS = {"customer": "user", "sku": "item", "when": "timestamp", "stars": "rating"}
PRODUCTS = {"sku": "item", "name": "title", "about": "text"}
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
GOOD = {"event_columns": EVENTS, "product_columns": PRODUCTS, "numbers": ["price"]}
WITHOUT_STARS = {key: value for key, value in EVENTS.items() if key != "stars"}


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
        ("", ["1709251200", "1709251200.0", "1.7092512e9"], [1709251200] * 3),
        ("s", ["1709251200", "+1709251201", " 1709251202"], [1709251200, 1709251201, 1709251202]),
        ("ms", ["1709251200999", "1709251201000", "1709251202000.5"], [1709251200, 1709251201, 1709251202]),
        ("us", ["1709251200999999", "1709251201000000", "1.709251202e15"], [1709251200, 1709251201, 1709251202]),
        ("ns", ["1709251200999999999", "1709251201000000000", "1709251202000000000"], [1709251200, 1709251201, 1709251202]),
        ("excel", ["45352", "45352.7291666667", '"45352,5"'], [1709251200, 1709314200, 1709294400]),
        ("%Y", ["2024", "2023", "1999"], [1704067200, 1672531200, 915148800]),
        ("%Y%m", ["202403", "202401", "199901"], [1709251200, 1704067200, 915148800]),
        ("%d.%m.%Y", ["01.03.2024", "02.03.2024", "03.03.2024"], [1709251200, 1709337600, 1709424000]),
        ("", ["2024-03-01", "2024-03-01T01:00+01:00", "20240301T00"], [1709251200] * 3),
    ],
    ids=["seconds", "seconds by name", "milliseconds", "microseconds", "nanoseconds", "Excel", "years", "months", "German dates", "ISO 8601"],
)  # fmt: skip
def test_times(shop: Path, times: str, cells: list[str], seconds: list[int]) -> None:
    rows = zip(("007", "A-1", "A-12"), cells, strict=True)
    (shop / "sales.csv").write_text(
        "customer,sku,when\n" + "".join(f"ann,{item},{when}\n" for item, when in rows)
    )
    data, left_out = from_tables(
        "sales.csv",
        "goods.csv",
        event_columns=WITHOUT_STARS,
        product_columns=PRODUCTS,
        times=times,
    )
    assert left_out == []
    by_item = data.interactions.set_index("item")["timestamp"]
    assert by_item[["007", "A-1", "A-12"]].tolist() == seconds


@pytest.mark.parametrize("cell", ["03/01/2024", "99999-01-01", "24:61", "1.709.251.200"])
def test_times_that_can_be_misread_are_refused(shop: Path, cell: str) -> None:
    (shop / "sales.csv").write_text(f"customer,sku,when\nann,007,{cell}\nbob,007,{cell}\n")
    with pytest.raises(DatasetError, match=rf"row 2: the time '{cell}' cannot be read; .* times="):
        from_tables("sales.csv", "goods.csv", event_columns=WITHOUT_STARS, product_columns=PRODUCTS)


def test_without_times_all_is_kept_and_repeats_count_once(shop: Path) -> None:
    (shop / "sales.csv").write_text("user\titem\nann\t007\nann\t007\nbob\tA-1\n")
    data, left_out = from_tables("sales.csv", "goods.csv", product_columns=PRODUCTS)
    assert data.interactions["timestamp"].isna().all()
    assert len(data.interactions) == 2
    assert [fault.row for fault in left_out] == [3]


def test_a_column_may_name_the_files_by_path_name_or_address(shop: Path) -> None:
    picture(shop / "photos" / "x" / "one.jpg")
    picture(shop / "photos" / "y" / "two.jpg")
    (shop / "goods.csv").write_text(
        "item,image\n007,x/one.jpg\nA-1,https://shop.example/pictures/two.jpg\nA-12,gone.jpg\n"
    )
    data, left_out = from_tables("sales.csv", "goods.csv", images="photos", event_columns=EVENTS)
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
        ({"event_columns": {}}, r"sales.csv has no column 'user'; it has customer, sku, .* say which .* as in event_columns=\{"),
        ({"product_columns": {}}, r"goods.csv has no column 'item'; it has sku, .* as in product_columns=\{"),
        ({"event_columns": {**EVENTS, "sko": "item"}}, r"sales.csv has no column 'sko' \(did you mean 'sku'\?\), named in event_columns"),
        ({"event_columns": {**EVENTS, "colour": "rating"}}, "no column 'colour', .* goods.csv has it: say it in product_columns"),
        ({"event_columns": {**EVENTS, "when": "title"}}, "that 'when' is 'title', a column of goods.csv: say it in product_columns"),
        ({"product_columns": {**PRODUCTS, "colour": "txt"}}, r"product_columns says that 'colour' is 'txt' \(did you mean 'text'"),
        ({"product_columns": {**PRODUCTS, "colour": "title"}}, r"\['colour', 'name'\] shall all be title"),
        ({"numbers": ["prize"]}, "goods.csv has no column 'prize', named in numbers"),
        ({"images": "fotos"}, "there is no folder fotos: check the path of the pictures"),
        ({"sounds": "photos"}, "photos holds no sound that can be read here: check the path"),
        ({"images": "others"}, r"others holds 1 pictures, .* such as 'x.png' beside the id '007'"),
        ({"product_columns": {**PRODUCTS, "colour": "image"}}, "names files in the column image, and nobody"),
        ({"events": "none.csv"}, "the file is missing"),
    ],
    ids=["no names", "no item", "theirs", "other table", "other names", "ours", "twice", "numbers", "folder", "no files", "names", "where", "file"],
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
        saved = data.save("mine", replace=True)
    assert isinstance(saved, Dataset)
    assert saved.n_items == 3


ORDERS = {"product_id": "item", "customer": "user", "created_at": "timestamp"}
CATALOGUE = {"id": "item", "name": "title"}


def orders(folder: Path, product: list[str], ids: list[str]) -> None:
    """Write orders and products as shops have them: each table has an id of its own."""
    goods = "".join(f"{name},Thing {name}\n" for name in ids)
    (folder / "products.csv").write_text(f"id,name\n{goods}", encoding="utf-8")
    bought = "".join(
        f"{number},{each},c{number % 3},2024-03-{1 + number % 28:02}\n"
        for number, each in enumerate(product, start=1)
    )
    (folder / "orders.csv").write_text(
        f"id,product_id,customer,created_at\n{bought}", encoding="utf-8"
    )


def test_both_tables_may_have_an_id_of_their_own(shop: Path) -> None:
    orders(shop, ["100", "101", "100", "102"], ["100", "101", "102"])
    data, left_out = from_tables(
        "orders.csv", "products.csv", event_columns=ORDERS, product_columns=CATALOGUE
    )
    assert left_out == []
    assert data.items["item"].tolist() == ["100", "101", "102"]
    log = data.interactions
    assert log["item"].tolist() == ["100", "101", "100", "102"]
    assert log["id"].tolist() == ["1", "2", "3", "4"]  # the order's number is kept
    assert data.save("mine").interactions["id"].tolist() == ["1", "2", "3", "4"]


def test_numbers_of_orders_are_not_taken_for_products(shop: Path) -> None:
    orders(shop, ["100", "101", "100", "102"], ["100", "101", "102"])
    wrong = {**ORDERS, "id": "item"}
    del wrong["product_id"]
    with pytest.raises(DatasetError, match="0% of the events name one") as error:
        from_tables("orders.csv", "products.csv", event_columns=wrong, product_columns=CATALOGUE)
    for words in (
        "the column 'id' of orders.csv ('1', '2', '3')",
        "the column 'id' of products.csv ('100', '101', '102')",
        "the column 'product_id' of orders.csv holds ids of products.csv",
        "say event_columns={'product_id': 'item'}",
    ):
        assert words in str(error.value), words


def test_numbers_of_orders_that_are_ids_of_products_too_are_noted(shop: Path) -> None:
    ids = [str(number) for number in range(1, 21)]
    orders(shop, [ids[number * 7 % 10] for number in range(20)], ids)
    wrong = {**ORDERS, "id": "item"}
    del wrong["product_id"]
    _, left_out = from_tables(
        "orders.csv", "products.csv", event_columns=wrong, product_columns=CATALOGUE
    )
    (note,) = left_out
    assert note.note and "no item occurs twice, as the number of an order" in note.message
    assert "the column 'product_id' holds ids of products.csv too" in note.message
    assert note.remedy == "if that is the item, say event_columns={'product_id': 'item'}"
    _, left_out = from_tables(
        "orders.csv", "products.csv", event_columns=ORDERS, product_columns=CATALOGUE
    )
    assert left_out == []


def test_the_products_other_column_is_named_where_that_holds_the_ids(shop: Path) -> None:
    (shop / "products.csv").write_text("id,sku,name\n1,A,Tea\n2,B,Cup\n")
    (shop / "orders.csv").write_text("id,sku,customer\n8,A,ann\n9,B,bob\n")
    with pytest.raises(DatasetError, match=r"say product_columns=\{'sku': 'item'\}"):
        from_tables(
            "orders.csv",
            "products.csv",
            event_columns={"sku": "item", "customer": "user"},
            product_columns=CATALOGUE,
        )
    with pytest.raises(
        DatasetError, match=r"event_columns=\{'sku': 'item'\} and product_columns=\{'sku': 'item'\}"
    ):
        from_tables(
            "orders.csv",
            "products.csv",
            event_columns={"id": "item", "customer": "user"},
            product_columns=CATALOGUE,
        )
    (shop / "orders.csv").write_text("id,sku,customer\n8,x,ann\n9,y,bob\n")
    with pytest.raises(DatasetError, match="see that both tables write them alike"):
        from_tables(
            "orders.csv",
            "products.csv",
            event_columns={"sku": "item", "customer": "user"},
            product_columns=CATALOGUE,
        )


def test_headers_nearly_ours_are_taken_with_a_note(shop: Path) -> None:
    (shop / "goods.csv").write_text("Item, Title,texts,PRICE,tittle\n007,Tea,Warm.,2.5,x\n")
    (shop / "sales.csv").write_text("user , item,time_stamp,Ratings\nann,007,1709251200,4\n")
    data, left_out = from_tables("sales.csv", "goods.csv", numbers=["price"])
    assert data.items.loc[0, ["item", "title", "text", "price"]].tolist() == [
        "007",
        "Tea",
        "Warm.",
        2.5,
    ]
    assert data.interactions.loc[0, ["user", "timestamp", "rating"]].tolist() == [
        "ann",
        1709251200,
        4.0,
    ]
    assert all(fault.note for fault in left_out)
    for words in (
        "goods.csv, row 1: the column ' Title' is taken for 'title'",
        "the column 'texts' is taken for 'text'",
        "the column 'PRICE' is taken for 'price'",
        "sales.csv, row 1: the column 'time_stamp' is taken for 'timestamp'",
        "the column 'Ratings' is taken for 'rating'",
    ):
        assert words in told(left_out), words
    assert len(left_out) == 8
    (shop / "goods.csv").write_text("item,Title,titles\n007,Tea,Tea\n")
    with pytest.raises(
        DatasetError, match=r"the columns \['Title', 'titles'\] would all be 'title'"
    ):
        from_tables("sales.csv", "goods.csv")
    data, left_out = from_tables("sales.csv", "goods.csv", product_columns={"titles": "title"})
    assert "the column 'Title' is kept as a further column beside 'title'" in told(left_out)
    (shop / "goods.csv").write_text("item,tittle,descripton\n007,Tea,Warm\n")
    _, left_out = from_tables("sales.csv", "goods.csv")
    assert "the column 'tittle' is kept as a further column; if it is the title" in told(left_out)
    assert "'descripton' is kept as a further column; if it is the text, rename" in told(left_out)


def test_ids_and_names_composed_or_decomposed_are_the_same(shop: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    (shop / "goods.csv").write_text(
        f"item,title,{decomposed}\n{decomposed},{decomposed},7\n", "utf-8"
    )
    (shop / "sales.csv").write_text(
        f"h\u00e9,item\n{composed},{composed}\n{decomposed},{decomposed}\n", "utf-8"
    )
    data, left_out = from_tables(
        "sales.csv", "goods.csv", event_columns={"he\u0301": "user"}, numbers=[composed]
    )
    assert data.items["item"].tolist() == [composed]
    assert data.items["title"].tolist() == [decomposed]  # shown as it was written
    assert data.items[composed].tolist() == [7.0]
    assert data.interactions[["user", "item"]].to_numpy().tolist() == [[composed, composed]]
    assert "sales.csv, row 3: it repeats an earlier row" in told(left_out)
    with (shop / "goods.csv").open("a", encoding="utf-8") as file:
        file.write(f"{composed},again,8\nx,y,9\n")
    _, left_out = from_tables("sales.csv", "goods.csv", event_columns={"he\u0301": "user"})
    assert f"row 3: the product '{composed}' stands further up already" in told(left_out)
