"""A path means the file that it names, however it is written, and never another product's."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mmtutorial.datasets.file_names import FileNames

FILES = ["p000/1.jpg", "p001/1.jpg", "p001/front.jpg", "top.jpg", "Kleid/Größe.PNG"]


@pytest.fixture
def names(tmp_path: Path) -> FileNames:
    (tmp_path / "photos2").mkdir()
    return FileNames(FILES, tmp_path / "photos2")


def one(names: FileNames, cell: str) -> str:
    files, wrong = names.find([cell])
    return files[0] if not wrong else f"{wrong[0][0]}; {wrong[0][1]}"


@pytest.mark.parametrize(
    ("cell", "file"),
    [
        ("p000/1.jpg", "p000/1.jpg"),
        ("photos2/p000/1.jpg", "p000/1.jpg"),
        ("./photos2/p001/1.jpg", "p001/1.jpg"),
        ("PHOTOS2/P001/1.JPG", "p001/1.jpg"),
        ("../photos2//p001/./1.jpg", "p001/1.jpg"),
        (" p001/x/../1.jpg ", "p001/1.jpg"),
        ("p001\\1.jpg", "p001/1.jpg"),
        ("photos2\\p001\\1.jpg", "p001/1.jpg"),
        (r"C:\shop\photos2\p001\1.jpg", "p001/1.jpg"),
        (r"C:\shop\pictures\p001\1.jpg", "p001/1.jpg"),
        (r"\\server\share\p000\1.jpg", "p000/1.jpg"),
        ("/srv/export/p001/1.jpg", "p001/1.jpg"),
        ("export/2024/p001/1.jpg", "p001/1.jpg"),
        ("front.jpg", "p001/front.jpg"),
        ("https://shop.example/p001/front.jpg?size=2#top", "p001/front.jpg"),
        ("https://shop.example/pictures/front.jpg", "p001/front.jpg"),
        ("top.jpg", "top.jpg"),
        ("photos2/top.jpg", "top.jpg"),
        ("kleid/gro\u0308ße.png", "Kleid/Größe.PNG"),
    ],
)
def test_ways_to_write_a_path(names: FileNames, cell: str, file: str) -> None:
    assert one(names, cell) == file


def test_an_absolute_path_in_the_folder(names: FileNames) -> None:
    assert one(names, str(names.folder / "p000" / "1.jpg")) == "p000/1.jpg"


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("1.jpg", "'1.jpg' may be 'p000/1.jpg' or 'p001/1.jpg'; write its path within the folder"),
        (r"C:\1.jpg", "may be 'p000/1.jpg' or 'p001/1.jpg'"),
        ("p002/1.jpg", "photos2; add it, or leave that empty"),
        ("photos2/p002/1.jpg", "'photos2/p002/1.jpg' is not in "),
        ("p002/front.jpg", "leave that empty, or write 'p001/front.jpg' if that is meant"),
        ("gone.jpg", "'gone.jpg' is not in "),
        ("photos2", "'photos2' is not in "),
        ("..", "'..' is not in "),
        ("http://[", "'http://[' is not in "),
    ],
)
def test_what_names_no_file_or_two_is_said(names: FileNames, cell: str, words: str) -> None:
    assert words in one(names, cell)
    assert names.find([cell])[0] == [""]


def test_sixty_products_get_their_own_pictures_and_a_missing_one_none(tmp_path: Path) -> None:
    folder = tmp_path / "photos2"
    paths = [f"p{number:03}/1.jpg" for number in range(60)]
    for front in ("photos2/", "", "C:\\shop\\photos2\\", "https://shop.example/media/", "/x/"):
        cells = [front + path for path in paths]
        assert FileNames(paths, folder).find(cells) == (paths, {})
        for there in (paths[:7] + paths[8:], paths[8:9]):
            files, wrong = FileNames(there, folder).find(cells)
            assert files == [path if path in there else "" for path in paths]
            assert set(wrong) == {place for place, path in enumerate(paths) if path not in there}


def test_different_paths_are_different_files(tmp_path: Path) -> None:
    names = FileNames(["1.jpg", "x/2.jpg"], tmp_path)
    files, wrong = names.find(["C:\\a\\1.jpg", "C:\\b\\1.jpg", "C:\\a\\2.jpg", ""])
    assert files == ["", "", "x/2.jpg", ""]
    assert "'C:\\\\a\\\\1.jpg' may be '1.jpg', and so may another path" in wrong[0][0]
    assert names.find(["1.jpg", "C:\\b\\1.jpg"])[0] == ["1.jpg", ""]
    assert names.find(["C:\\a\\1.jpg", "C:/A/1.jpg"])[0] == ["1.jpg", "1.jpg"]


def test_small_and_large_letters_count_where_both_are_there(tmp_path: Path) -> None:
    names = FileNames(["a/x.jpg", "a/X.jpg"], tmp_path)
    assert names.find(["a/x.jpg", "a/X.jpg", "q/x.jpg"])[0] == ["a/x.jpg", "a/X.jpg", ""]
    assert "may be 'a/x.jpg' or 'a/X.jpg'" in one(names, "A/x.JPG")


def test_a_hidden_file_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / ".a.jpg").touch()
    names = FileNames([], tmp_path / "photos")
    assert names.find([".a.jpg", "photos/.a.jpg", "../photos"])[0] == [".a.jpg", ".a.jpg", ""]


def test_tens_of_thousands_take_seconds(tmp_path: Path) -> None:
    files = [f"p{number:06}/{side}.jpg" for number in range(15_000) for side in (1, 2)]
    begun = time.process_time()
    assert FileNames(files, tmp_path).find([f"photos\\{file}" for file in files]) == (files, {})
    assert len(FileNames(files, tmp_path).find([f"x/{n}/1.jpg" for n in range(30_000)])[1]) == 3e4
    assert time.process_time() - begun < 15
