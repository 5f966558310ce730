"""What a person keeps in a folder is never lost by saving into it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mmtutorial.datasets import Dataset, DatasetError, Truth, load, shop, validate_folder
from mmtutorial.datasets.contents import others
from mmtutorial.datasets.schema import is_system_file
from mmtutorial.storage.files import recover

SYSTEM = (
    *(".DS_Store", "images/._p1.png", "images/Thumbs.db", "desktop.ini", "__MACOSX/._images"),
    *(".ipynb_checkpoints/items-checkpoint.csv", "features/._text.npy"),
)


@pytest.fixture
def mine(tmp_path: Path) -> Dataset:
    """A person's data set, opened from its folder."""
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    for name in ("p1.png", "p2.png"):
        Image.new("RGB", (4, 4), "red").save(source / "images" / name)
    items = pd.DataFrame(
        {"item": ["p1", "p2"], "text": "so soft", "image": ["images/p1.png", "images/p2.png"]}
    )
    taken = pd.DataFrame(
        {"user": ["ann", "bob"], "item": ["p1", "p2"], "timestamp": [1_709_251_200, 1_709_251_201]}
    )
    features = {"text": np.eye(2, dtype=np.float32)}
    made = Dataset("mine", items, taken, source, features=features).save(tmp_path / "mine")
    shutil.rmtree(source)
    return made


def content(folder: Path) -> dict[str, bytes]:
    """Return every file, with what is in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(folder: Path, *names: str) -> dict[str, bytes]:
    """Write files that no row names, and return them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return {name: name.encode() for name in names}


def other(folder: Path) -> Dataset:
    """Another data set, with a picture of the same name."""
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (4, 4), "blue").save(folder / "images" / "p1.png")
    items = pd.DataFrame({"item": ["x"], "text": "hard", "image": "images/p1.png"})
    taken = pd.DataFrame({"user": ["cy"], "item": ["x"], "timestamp": [1_709_251_203]})
    return Dataset("other", items, taken, folder)


def test_a_data_set_is_replaced_only_if_that_is_asked_for(mine: Dataset, tmp_path: Path) -> None:
    before = content(mine.folder)
    data = other(tmp_path / "other")
    message = r"mine holds a data set already \('mine', 2 items\); nothing .* by replace=True"
    with pytest.raises(DatasetError, match=message):
        data.save(mine.folder)
    with pytest.raises(DatasetError, match=message):
        mine.save(mine.folder)
    assert content(mine.folder) == before
    assert data.save(mine.folder, replace=True).name == "other"
    assert sorted(content(mine.folder)) == [
        "dataset.json", "images/p1.png", "interactions.csv", "items.csv",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "other"]


def test_a_damaged_data_set_is_one_too(mine: Dataset, tmp_path: Path) -> None:
    (mine.folder / "dataset.json").write_text("{")
    (mine.folder / "items.csv").write_text("sku\n1\n")
    with pytest.raises(DatasetError, match=r"holds a data set already \(''\); nothing"):
        other(tmp_path / "other").save(mine.folder)
    with pytest.raises(DatasetError, match=r"holds 'images/p1.png', 'images/p2.png', which are no"):
        other(tmp_path / "another").save(mine.folder, replace=True)  # whose they are, nobody knows


def test_what_no_row_names_stays_where_a_data_set_is_saved_in_its_own_folder(
    mine: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = write(
        mine.folder, "images/raw/p9.jpg", "audio/hum.wav", "notes.txt", ".git/HEAD", *SYSTEM
    )
    kept["images/p2.png"] = (mine.folder / "images" / "p2.png").read_bytes()
    monkeypatch.chdir(mine.folder.parent)
    data = Dataset.open("mine")
    data.items = data.items.iloc[:1]  # and the picture of p2 is named no more
    data.interactions = data.interactions.iloc[:1]
    data.features = {"text": data.features["text"][:1]}
    assert data.save("./mine", replace=True).n_items == 1
    after = content(mine.folder)
    assert {name: after[name] for name in kept} == kept
    assert validate_folder(mine.folder) == []
    assert [path.name for path in mine.folder.parent.iterdir()] == ["mine"]


def test_files_stay_where_no_links_can_be_made(
    mine: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = write(mine.folder, "images/p9.jpg")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    Dataset.open(mine.folder).save(mine.folder, replace=True)
    assert kept.items() <= content(mine.folder).items()


def test_a_linked_folder_of_pictures_loses_nothing(mine: Dataset, tmp_path: Path) -> None:
    (mine.folder / "images").rename(tmp_path / "photos")
    (mine.folder / "images").symlink_to(tmp_path / "photos")
    (mine.folder / "more").symlink_to(tmp_path / "photos")
    kept = {**content(tmp_path / "photos"), **write(tmp_path / "photos", "p9.jpg")}
    saved = Dataset.open(mine.folder).save(mine.folder, replace=True)
    assert saved.validate() == []
    assert content(tmp_path / "photos") == kept
    assert (mine.folder / "more" / "p9.jpg").is_file()
    with pytest.raises(DatasetError, match="holds 'more', which is no part"):
        other(tmp_path / "other").save(mine.folder, replace=True)


def test_another_data_set_takes_the_place_of_no_file_that_is_not_named(
    mine: Dataset, tmp_path: Path
) -> None:
    data = other(tmp_path / "other")
    write(mine.folder, "images/p9.jpg")
    before = content(mine.folder)
    with pytest.raises(
        DatasetError, match=r"holds 'images/p9.jpg', which is no part of a data set"
    ):
        data.save(mine.folder, replace=True)
    write(mine.folder, *(f"images/q{number}.jpg" for number in range(4)))
    with pytest.raises(DatasetError, match=r"'images/q1.jpg' and 2 more \(5 files\), which are no"):
        data.save(mine.folder, replace=True)
    assert content(mine.folder).items() >= before.items()


def test_what_arrives_while_a_data_set_is_being_written_is_not_lost(
    mine: Dataset, tmp_path: Path
) -> None:
    data = other(tmp_path / "other")

    def slowly(fresh: Path) -> None:
        data._copy_media(fresh)
        write(mine.folder, "images/new.jpg")

    with pytest.raises(DatasetError, match=r"holds 'images/new.jpg', which is no part"):
        data.save(mine.folder, replace=True, write_media=slowly)
    assert (mine.folder / "images" / "new.jpg").exists()

    def elsewhere(fresh: Path) -> None:
        data._copy_media(fresh)
        shutil.copytree(mine.folder, tmp_path / "place")

    with pytest.raises(DatasetError, match="place holds a data set already"):
        data.save(tmp_path / "place", write_media=elsewhere)
    assert Dataset.open(tmp_path / "place").name == "mine"


def test_features_and_truth_that_the_data_set_has_no_longer_are_not_lost(mine: Dataset) -> None:
    truth = Truth(
        pd.DataFrame({"warm": [1.0, 2.0]}, index=["p1", "p2"]),
        pd.DataFrame({"warm": [1.0, 2.0]}, index=["ann", "bob"]),
    )
    replace(mine, truth=truth).save(mine.folder, replace=True)
    before = content(mine.folder)
    bare = replace(Dataset.open(mine.folder), features={}, truth=None)
    with pytest.raises(
        DatasetError, match=r"holds 'features/text.npy', 'truth/items.csv', 'truth/users.csv', and"
    ):
        bare.save(mine.folder, replace=True)
    assert content(mine.folder) == before
    shutil.move(mine.folder / "features", mine.folder.parent)
    shutil.move(mine.folder / "truth", mine.folder.parent)
    assert not bare.save(mine.folder, replace=True).features


def test_what_systems_leave_is_no_part_of_a_data_set(mine: Dataset, tmp_path: Path) -> None:
    write(mine.folder, *SYSTEM)
    assert all(map(is_system_file, SYSTEM))
    assert others(mine.folder) == []
    assert validate_folder(mine.folder) == []
    assert other(tmp_path / "other").save(mine.folder, replace=True).name == "other"
    write(tmp_path / "empty", ".DS_Store", "desktop.ini")
    assert other(tmp_path / "another").save(tmp_path / "empty").name == "other"
    write(tmp_path / "cloned", ".git/HEAD")  # somebody's work
    with pytest.raises(DatasetError, match=r"holds '\.git/HEAD', which is no part"):
        Dataset.open(mine.folder).save(tmp_path / "cloned")


def test_what_was_moved_aside_comes_back_also_into_an_empty_folder(
    mine: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = mine.folder.rename(tmp_path / f".mine.{32 * 'a'}.old")  # as a kill between two moves
    mine.folder.mkdir()
    recover(mine.folder)
    assert Dataset.open(mine.folder).name == "mine"
    mine.folder.rename(aside)
    monkeypatch.setattr("mmtutorial.storage.files.ABANDONED", -1)
    monkeypatch.setattr("mmtutorial.datasets.dataset.recover", lambda folder: None)
    other(tmp_path / "other").save(tmp_path / "mine")  # it was not seen in time
    assert (tmp_path / f".mine.{32 * 'a'}.old" / "items.csv").exists()


def test_two_that_make_the_same_for_the_cache_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path))
    first = shop(n_items=40, n_users=30)
    first.name = "changed"
    assert first.keep(first.folder, lambda folder: None).name == "shop"
    with pytest.raises(DatasetError, match="is no part of a data set"):
        write(tmp_path / "letters", "love.txt")
        first.keep(tmp_path / "letters", lambda folder: None)


def test_a_folder_may_have_the_name_of_a_data_set(
    mine: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine.folder.rename(tmp_path / "shop")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match=r"note: shop: .* not the folder; .*, write \./shop"):
        assert load("shop", n_items=40, n_users=30).name == "shop"
    assert load("./shop").name == load(Path("shop")).name == load(tmp_path / "shop").name == "mine"


def test_a_folder_named_by_a_number_is_found(
    mine: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine.folder.rename(tmp_path / "2024")
    monkeypatch.chdir(tmp_path)
    assert load(2024).name == load("2024").name == "mine"  # papermill -p dataset 2024
    with pytest.raises(DatasetError, match=r"'7' is neither .* numbers of such names: give it -r"):
        load(7)  # papermill -p dataset 007
