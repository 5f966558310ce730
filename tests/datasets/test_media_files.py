"""Every picture and sound goes to its product or is listed: links, names, formats, columns."""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image, features

from mmtutorial.datasets import Dataset, DatasetError, Fault, from_tables, validate_folder
from mmtutorial.preprocessing.image import encode_images

linux = pytest.mark.skipif(sys.platform != "linux", reason="names that only Linux has")


def picture(path: Path, kind: str | None = None, shade: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(path, kind)
    return path


def link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except (OSError, NotImplementedError):
        pytest.skip("no links can be made here")


Made = Callable[..., tuple[list[str], list[Fault], Dataset]]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Write the tables of a shop with these ids (and cells of a column image), and import them."""
    monkeypatch.chdir(tmp_path)

    def make(
        ids: list[str], cells: list[str] | None = None, **folders: str
    ) -> tuple[list[str], list[Fault], Dataset]:
        goods = {"item": ids, "image": cells or [""] * len(ids)}
        lines = [",".join(f'"{each}"' for each in row) for row in zip(*goods.values(), strict=True)]
        Path("goods.csv").write_text("\n".join(["item,image", *lines, ""]), encoding="utf-8")
        sold = "".join(f'ann,"{item}"\n' for item in ids)
        Path("sales.csv").write_text("user,item\n" + sold, encoding="utf-8")
        folders = folders or {"images": "photos"}
        data, left_out = from_tables("sales.csv", "goods.csv", **folders)
        return data.items["image"].tolist(), left_out, data

    return make


def lines(left_out: list[Fault]) -> list[str]:
    return [str(each) for each in left_out]


# A column


def test_each_product_of_a_column_gets_its_own_picture(made: Made, tmp_path: Path) -> None:
    ids = [f"p{number:03}" for number in range(60)]
    for number, item in enumerate(ids):
        picture(tmp_path / "photos2" / item / "1.jpg", shade=4 * number)
    cells = [f"photos2/{item}/1.jpg" for item in ids]
    images, left_out, data = made(ids, cells, images="photos2")
    assert images == cells
    assert left_out == []
    pixels, present, _ = encode_images(
        [data.path(row, "image") for row in range(60)], cache=tmp_path / "cache"
    )
    assert present.all() and len(np.unique(pixels[:, 16, 16, 0])) == 60
    (tmp_path / "photos2" / "p007" / "1.jpg").unlink()
    images, left_out, _ = made(ids, cells, images="photos2")
    assert images == [*cells[:7], "", *cells[8:]]
    assert lines(left_out) == [
        "goods.csv, row 9: the picture 'photos2/p007/1.jpg' is not in photos2; add it, or leave "
        "that empty"
    ]


def test_a_picture_that_many_products_share_is_noted(made: Made, tmp_path: Path) -> None:
    ids = [f"p{number}" for number in range(9)]
    for name in ("none.jpg", "a.jpg", "b.jpg"):
        picture(tmp_path / "photos" / name)
    images, left_out, _ = made(ids, ["none.jpg"] * 4 + ["a.jpg", "b.jpg", "", "", ""])
    assert images[:5] == ["photos/none.jpg"] * 4 + ["photos/a.jpg"]
    (note,) = left_out
    assert note.note
    assert "4 products name the picture 'none.jpg', more than any other" in str(note)
    assert made(ids, ["a.jpg", "a.jpg"] + [""] * 7)[1][0].message.startswith("2 of 3 pictures are")


def test_a_file_that_a_column_names_is_taken_whatever_it_is_called(
    made: Made, tmp_path: Path
) -> None:
    picture(tmp_path / "photos" / "a.heic", "JPEG")
    picture(tmp_path / "photos" / "b.image", "PNG")
    picture(tmp_path / "photos" / ".c", "PNG")
    (tmp_path / "photos" / "d.txt").write_text("none")
    images, left_out, data = made(["a", "b", "c", "d"], ["a.heic", "b.image", ".c", "d.txt"])
    assert images == ["photos/a.heic", "photos/b.image", "photos/.c", "photos/d.txt"]
    assert left_out == []
    (fault,) = data.save("mine").validate()
    assert str(fault).startswith("photos/d.txt: not a picture (items.csv, row 5)")


# Links


def test_pictures_behind_links_are_taken_and_saved(made: Made, tmp_path: Path) -> None:
    ids = [f"p{number}" for number in range(30)]
    for item in ids[:-2]:
        picture(tmp_path / "disk" / "2024" / f"{item}.jpg")
    picture(tmp_path / "photos" / "p28.jpg")
    picture(tmp_path / "one" / "x.jpg")
    link(tmp_path / "photos" / "all", tmp_path / "disk")
    link(tmp_path / "photos" / "p29.jpg", tmp_path / "one" / "x.jpg")
    link(tmp_path / "photos" / "circle", tmp_path / "photos")
    link(tmp_path / "disk" / "out", tmp_path)
    link(tmp_path / "photos" / "gone.jpg", tmp_path / "nothing")
    images, left_out, data = made(ids)
    assert images[:28] == [f"photos/all/2024/{item}.jpg" for item in ids[:28]]
    assert images[28:] == ["photos/p28.jpg", "photos/p29.jpg"]
    assert lines(left_out) == [
        "photos: 1 place cannot be reached: a link that leads nowhere, or a folder that may not be "
        "read, such as 'gone.jpg'; repair it, or remove it"
    ]
    saved = data.save("mine")
    assert saved.validate() == []
    assert not any(path.is_symlink() for path in Path("mine").rglob("*"))
    cells = [f"photos/all/2024/{item}.jpg" for item in ids[:28]] + ["", ""]
    assert made(ids, cells)[0] == cells


# Names of files that hold ids


def test_numbers_in_many_folders_are_no_ids(made: Made, tmp_path: Path) -> None:
    colours = ("red", "blue", "green", "grey")
    for colour in colours:
        for number in (1, 2):
            picture(tmp_path / "photos" / colour / f"{number}.jpg")
    picture(tmp_path / "photos" / "7.jpg")
    images, left_out, _ = made(["1", "2", "3", "7"])
    assert images == ["", "", "", "photos/7.jpg"]
    assert "8 of 9 pictures have a number that occurs in many folders" in str(left_out[0])
    (tmp_path / "photos" / "7.jpg").unlink()
    with pytest.raises(DatasetError, match="the name of none tells one product"):
        made(["1", "2", "3"])
    for number in (1, 2, 3):  # sides of products are not many folders
        for side in ("front", "back"):
            picture(tmp_path / "sides" / side / f"{number}.jpg")
    images, left_out, _ = made(["1", "2", "3"], images="sides")
    assert images == [f"sides/back/{number}.jpg" for number in (1, 2, 3)]
    assert "3 of 6 pictures are not the first of their product" in str(left_out[0])


def test_accents_written_as_signs_of_their_own(made: Made, tmp_path: Path) -> None:
    names = [unicodedata.normalize("NFD", name) for name in ("café.jpg", "Größe 12.jpg")]
    for name in names:
        picture(tmp_path / "photos" / name)
    picture(tmp_path / "photos" / "cafe.jpg")
    images, left_out, data = made(["cafe", "café", "größe-12"])
    assert images == ["photos/cafe.jpg", *(f"photos/{name}" for name in names)]
    assert left_out == []
    composed = ["photos/café.jpg", "", "größe 12.jpg"]
    assert made(["a", "b", "c"], composed)[0] == [images[1], "", images[2]]
    data.items["image"] = [unicodedata.normalize("NFC", each) for each in images]
    assert data.validate() == []
    saved = data.save("mine")
    assert saved.validate() == []
    assert [saved.path(row, "image").is_file() for row in range(3)] == [True] * 3
    (tmp_path / "photos").rename(tmp_path / unicodedata.normalize("NFD", "Fotos ü"))
    assert len(made(["cafe"], images="Fotos ü")[0]) == 1


def test_a_data_set_that_was_copied_from_a_mac_can_be_read(tmp_path: Path) -> None:
    picture(tmp_path / "images" / unicodedata.normalize("NFD", "café.jpg"))
    (tmp_path / "items.csv").write_text("item,image\nc,images/café.jpg\n", encoding="utf-8")
    (tmp_path / "interactions.csv").write_text("user,item,timestamp\nu,c,1709251200\n")
    (tmp_path / "dataset.json").write_text('{"name": "x"}')
    assert validate_folder(tmp_path) == []
    data = Dataset.open(tmp_path)
    assert encode_images([data.path(0, "image")], cache=tmp_path / "cache")[1].all()


def test_many_products_and_files_take_seconds(made: Made, tmp_path: Path) -> None:
    ids = [f"Sku-{number}" for number in range(20_000)]
    for part in range(20):
        (tmp_path / "photos" / f"{part}k").mkdir(parents=True)
    for number, item in enumerate(ids):
        (tmp_path / "photos" / f"{number // 1000}k" / f"{item} front.jpg").touch()
    begun = time.process_time()
    images, left_out, _ = made(ids)
    assert time.process_time() - begun < 20
    assert all(images) and left_out == []


# Formats


def test_formats_are_known_by_their_content(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    kinds = {"a.jfif": "JPEG", "b.jpe": "JPEG", "c": "PNG", "d.JPG": "JPEG", "e.jp2": "JPEG2000"}
    kinds |= {"v1.5": "WEBP", "g.tmp": "GIF"}
    for name, kind in kinds.items():
        picture(folder / name, kind)
    ids = [name.partition(".")[0] for name in kinds]
    ids[5] = "v1.5"
    images, left_out, data = made(ids)
    assert images == [f"photos/{name}" for name in kinds]
    assert left_out == []
    assert data.save("mine").validate() == []


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_taken_where_pillow_reads_it(made: Made, tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "a.avif", "AVIF")
    assert made(["a"])[0] == ["photos/a.avif"]


def test_what_cannot_be_read_is_listed_by_kind(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    picture(folder / "a.jpg")
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)
    for name in ("b.heic", "c.HEIC", "x/d.heic", "e.heic"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(heic)
    (folder / "readme").write_text("words")
    (folder / "prices.csv").write_text("item,price\n")
    soundfile.write(folder / "a.wav", np.ones(9) / 2, 8000)
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._a.jpg", "__MACOSX/a.jpg", "@eaDir/a"):
        picture(folder / name, "PNG")
    images, left_out, _ = made(["a"])
    assert images == ["photos/a.jpg"]
    assert lines(left_out) == [
        "photos: 1 file ending in .wav cannot be read as a picture, such as 'a.wav'; save what is "
        "a picture as JPEG or PNG",
        "photos: 4 files ending in .heic cannot be read as a picture, such as 'b.heic', 'c.HEIC', "
        "'e.heic'; save what is a picture as JPEG or PNG",
        "photos: 1 file ending in .csv cannot be read as a picture, such as 'prices.csv'; save "
        "what is a picture as JPEG or PNG",
        "photos: 1 file without a suffix cannot be read as a picture, such as 'readme'; save what "
        "is a picture as JPEG or PNG",
    ]
    for number in range(30):
        (folder / f"x.{number}y").touch()
    left_out = made(["a"])[1]
    assert len(left_out) == 10
    assert sum(int(each.message.split()[0]) for each in left_out) == 37
    (folder / "a.jpg").unlink()
    with pytest.raises(DatasetError, match=r"(?s)holds no picture .*4 files ending in \.heic"):
        made(["a"])


def test_sounds_that_cannot_be_read_are_listed(made: Made, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name, kind in (("a.dat", "WAV"), ("b", "OGG"), ("c.w64", "RF64"), ("d.mpga", "MP3")):
        soundfile.write(tmp_path / "clips" / name, np.ones(900) / 2, 8000, format=kind)
    for name in ("e.m4a", "f.aac", "g.wma"):
        (tmp_path / "clips" / name).write_bytes(b"\0\0\0\x20ftypM4A " + bytes(99))
    ids = list("abcdefg")
    _, left_out, data = made(ids, sounds="clips")
    expected = ["clips/a.dat", "clips/b", "clips/c.w64", "clips/d.mpga", "", "", ""]
    assert data.items["audio"].tolist() == expected
    assert [each.message for each in left_out] == [
        f"1 file ending in .{suffix} cannot be read as a sound, such as '{stem}.{suffix}'"
        for stem, suffix in (("e", "m4a"), ("f", "aac"), ("g", "wma"))
    ]


def test_pictures_sounds_and_tables_in_one_folder(made: Made, tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    soundfile.write(tmp_path / "a.wav", np.ones(900) / 2, 8000)
    (tmp_path / "notes.txt").write_text("words")
    images, left_out, data = made(["a"], images=".", sounds=str(tmp_path))
    assert images == [f"{tmp_path.name}/a.jpg"]
    assert data.items["audio"].tolist() == [f"{tmp_path.name}/a.wav"]
    assert [each.message.partition(",")[0] for each in left_out] == [
        "1 file ending in .txt cannot be read as a picture"
    ]


# Names


@linux
def test_names_that_no_table_can_hold_are_shown_and_refused(made: Made, tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "a.jpg")
    content = (tmp_path / "photos" / "a.jpg").read_bytes()
    for name in (b"b \xc9\xcc\xc6\xb7.jpg", b"c\\1.jpg", b"d\n.jpg", b"e \xff.jpg"):
        (tmp_path / "photos" / os.fsdecode(name)).write_bytes(content)
    images, left_out, data = made(["a", "b", "c", "d", "e"])
    assert images == ["photos/a.jpg", "", "", "", ""]
    (fault,) = left_out
    assert (
        str(fault).encode()
        == (
            "photos: 4 files cannot be named in a data set (no UTF-8, a backslash, or a control sign), "
            r"such as 'b 商品.jpg', 'c\\1.jpg', 'd\n.jpg'; rename these files"
        ).encode()
    )
    assert len(data.save("mine").validate()) == 4  # of the products without anything
    cells = ["a.jpg", "b 商品.jpg", "", "", ""]
    images, left_out, _ = made(["a", "b", "c", "d", "e"], cells)
    assert images == ["photos/a.jpg", "", "", "", ""]
    assert "goods.csv, row 3: the picture 'b 商品.jpg' is not in photos" in lines(left_out)[0]


@linux
def test_a_folder_whose_name_no_table_can_hold(made: Made, tmp_path: Path) -> None:
    folder = os.fsdecode(b"\xd5\xd5\xc6\xac")
    picture(tmp_path / folder / "a.jpg")
    with pytest.raises(DatasetError, match=r"照片 cannot be named .*: rename this folder"):
        made(["a"], images=folder)
    picture(tmp_path / "photos" / folder / "a.jpg")
    with pytest.raises(
        DatasetError, match=r"(?s)holds no picture .*'照片/a.jpg'; rename this file"
    ):
        made(["a"])


def test_the_folder_of_the_user_is_understood(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    picture(tmp_path / "photos" / "a.jpg")
    soundfile.write(tmp_path / "a.wav", np.ones(900) / 2, 8000)
    assert made(["a"], images="~/photos")[0] == ["photos/a.jpg"]
    data, _ = from_tables("~/sales.csv", Path("~/goods.csv"), images="~/photos", sounds="~")
    assert data.items["audio"].tolist() == [f"{tmp_path.name}/a.wav"]
    with pytest.raises(DatasetError, match=r"there is no folder .*none: check the path"):
        from_tables("~/sales.csv", "~/goods.csv", images="~/none")


@linux
def test_a_shop_below_a_folder_of_such_a_name(made: Made, tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"\xb5\xea")
    picture(place / "photos" / "a.jpg")
    (place / "photos" / "words.txt").touch()
    images, left_out, data = made(["a", "b"], ["a.jpg", "b.jpg"], images=str(place / "photos"))
    assert images == ["photos/a.jpg", ""]
    assert all("店/photos" in line for line in lines(left_out)) and len(left_out) == 2
    "\n".join(lines(left_out)).encode()
    with pytest.raises(DatasetError, match=r"店/none: check the path"):
        made(["a"], images=str(place / "none"))
    assert data.save("mine").path(0, "image").is_file()
