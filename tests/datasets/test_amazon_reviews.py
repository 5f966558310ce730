"""Amazon Reviews 2023, on small files of exactly the published layout."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmtutorial.datasets import Dataset, DatasetError, amazon_reviews, validate_folder
from mmtutorial.datasets import collections as download
from mmtutorial.preprocessing.behaviour import k_core
from tests.datasets.conftest import Site

MODULE = importlib.import_module("mmtutorial.datasets.published.amazon_reviews")
REVIEWS = "/raw/review_categories/All_Beauty.jsonl.gz"
PRODUCTS = "/raw/meta_categories/meta_All_Beauty.jsonl.gz"


def review(user: str, product: str, second: int, rating: float = 5.0, **changed: Any) -> dict:
    """One line of the reviews, with every key that the publisher gives."""
    return {
        "rating": rating,
        "title": "Lovely",
        "text": f"{user} on {product}.",
        "images": [],
        "asin": product[::-1],
        "parent_asin": product,
        "user_id": user,
        "timestamp": 1588687728923 + 1000 * second,
        "helpful_vote": 3,
        "verified_purchase": True,
        **changed,
    }


def product(code: str, **changed: Any) -> dict:
    """One line of the products, with every key that the publisher gives."""
    return {
        "main_category": "All Beauty",
        "title": f"Spray {code}",
        "average_rating": 4.8,
        "rating_number": 10,
        "features": ["Smells fresh", "Made of water"],
        "description": [],
        "price": 12.5,
        "images": [
            {"thumb": "t", "large": f"http://site/{code}/2", "variant": "PT01", "hi_res": None},
            {"thumb": "t", "large": f"http://site/{code}", "variant": "MAIN", "hi_res": None},
        ],
        "videos": [],
        "store": "Howard",
        "categories": [],
        "details": {"Brand": "Howard"},
        "parent_asin": code,
        "bought_together": None,
        **changed,
    }


LOG = [
    review("ann", "B01", 5),
    review("ann", "B02", 6, 1.0, title="", verified_purchase=False),
    review("bob", "B01", 1),
    review("bob", "B02", 2, text="Bob's second thought.", rating=2.0),
    review("bob", "B02", 0, text="Bob's first thought.", rating=4.0),  # a repeated review, earlier
    review("cy", "B02", 9),
    review("cy", "B03", 9),
    review("dee", "B03", 3),
    review("dee", "B01", 3),
    review("eve", "B04", 3),  # in no 2-core
]
CATALOGUE = [
    product("B02", price=None, images=[], description=["Long.", "Longer."], store=None),
    product("B01"),
    product("B04"),
    product("B99"),  # reviewed by nobody
]  # and of B03 nothing is known


def lines(entries: list[Any]) -> bytes:
    text = "".join(each if isinstance(each, str) else json.dumps(each) + "\n" for each in entries)
    return gzip.compress(text.encode(), mtime=0)


@pytest.fixture
def published(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A server that hands the two files out."""
    monkeypatch.setattr(MODULE, "ADDRESS", f"{site.address}/raw/")
    monkeypatch.setattr(download, "POLITE", 0)
    pictured = json.dumps(CATALOGUE).replace("http://site/", f"{site.address}/images/")
    site.files = {REVIEWS: lines(LOG), PRODUCTS: lines(json.loads(pictured))}
    return site


def faults() -> list[str]:
    with pytest.raises(DatasetError) as told:
        amazon_reviews(core=1)
    return [str(fault) for fault in told.value.faults] or [str(told.value)]


def test_reviews_become_interactions_and_repeated_ones_are_left_out(published: Site) -> None:
    log = amazon_reviews().interactions
    assert log[["user", "item", "timestamp", "rating", "verified"]].values.tolist() == [
        ["bob", "B02", 1588687728, 4.0, 1],
        ["bob", "B01", 1588687729, 5.0, 1],
        ["dee", "B01", 1588687731, 5.0, 1],
        ["dee", "B03", 1588687731, 5.0, 1],
        ["ann", "B01", 1588687733, 5.0, 1],
        ["ann", "B02", 1588687734, 1.0, 0],
        ["cy", "B02", 1588687737, 5.0, 1],
        ["cy", "B03", 1588687737, 5.0, 1],
    ]
    assert log["review"].tolist()[:2] == ["Lovely\nBob's first thought.", "Lovely\nbob on B01."]
    assert log["review"].tolist()[5] == "ann on B02."


def test_products_have_words_a_price_and_no_future(published: Site) -> None:
    items = amazon_reviews().items
    assert items.drop(columns="price").values.tolist() == [
        ["B01", "Spray B01", "Spray B01\nSmells fresh\nMade of water", "", "", "Howard"],
        ["B02", "Spray B02", "Spray B02\nSmells fresh\nMade of water\nLong.\nLonger.", "", "", ""],
        ["B03", "B03", "", "", "", ""],  # its number stands for a title
    ]
    assert items["price"].tolist()[0] == 12.5 and np.isnan(items["price"][1:]).all()
    assert not {"average_rating", "rating_number", "helpful_vote"} & set(items)


@pytest.mark.parametrize("core", [1, 2, 3])
def test_the_core_is_that_of_preprocessing(core: int) -> None:
    draw = np.random.default_rng(core)
    users, items = draw.integers(0, 60, 300), draw.integers(0, 50, 300)
    log = MODULE.pd.DataFrame({"user": users, "item": items}).drop_duplicates(ignore_index=True)
    kept = log[MODULE._core(log["user"], log["item"], core)].reset_index(drop=True)
    assert kept.equals(k_core(log, core, core))
    assert len(kept) == len(log) or core > 1


def test_a_core_of_one_keeps_all_and_one_too_large_is_explained(published: Site) -> None:
    assert amazon_reviews(core=1).items["item"].tolist() == ["B01", "B02", "B03", "B04"]
    with pytest.raises(DatasetError, match="have 9 reviews each: ask for a smaller core"):
        amazon_reviews(core=9)


def test_files_are_downloaded_once_their_terms_first(
    published: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    amazon_reviews()
    amazon_reviews()
    assert [path for path, _ in published.asked] == [REVIEWS, PRODUCTS]
    shown = capsys.readouterr().err
    assert "no licence: its makers say that they cannot give one, and offer it for" in shown


def picture(colour: str) -> bytes:
    memory = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(memory, "JPEG")
    return memory.getvalue()


def test_pictures_come_from_their_addresses_and_a_missing_one_is_masked(
    published: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published.files["/images/B01"] = picture("red")
    data = amazon_reviews(core=1, images=10)
    asked = sorted(path for path, _ in published.asked if path.startswith("/images/"))
    assert asked == ["/images/B01", "/images/B04"]  # the main one of each that has an address
    assert data.items["image"].tolist() == ["images/B01.jpg", "", "", ""]
    assert data.present()[:, 1].tolist() == [True, False, False, False]
    told = capsys.readouterr().err
    assert "1 of 2 pictures cannot be had: HTTP 404 (1). Their products go without" in told
    data.save(tmp_path / "beauty")
    assert [str(fault) for fault in validate_folder(tmp_path / "beauty")] == [
        "items.csv, row 4: the item 'B03' has no text, image or audio; only its id can be "
        "recommended: add one"
    ]
    again = Dataset.open(tmp_path / "beauty")
    assert again.interactions.equals(data.interactions) and again.items.equals(data.items)
    assert "cite Hou et al. 2024" in again.licence


def test_so_many_pictures_as_were_asked_for_drawn_by_the_seed(published: Site) -> None:
    published.files |= {f"/images/B0{number}": picture("red") for number in (1, 4)}
    amazon_reviews(core=1)
    assert len(published.asked) == 2  # none, unless asked for
    drawn = amazon_reviews(1, core=1, images=1).items["image"].tolist()
    assert len(published.asked) == 3 and sum(map(bool, drawn)) == 1
    other = next(
        seed for seed in range(2, 50) if np.random.default_rng(seed).permutation([0, 3])[0] !=
        np.random.default_rng(1).permutation([0, 3])[0]
    )  # fmt: skip
    both = amazon_reviews(other, core=1, images=1).items["image"].tolist()
    assert len(published.asked) == 4 and sum(map(bool, both)) == 2  # what is there is used


def test_a_readers_copy_is_used(
    published: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (REVIEWS, PRODUCTS):
        own = tmp_path / "own" / "amazon-reviews-2023-All_Beauty" / path.removeprefix("/raw/")
        own.parent.mkdir(parents=True)
        own.write_bytes(published.files[path])
    monkeypatch.setenv("MMTUTORIAL_DATA", str(tmp_path / "own"))
    assert amazon_reviews().n_items == 3
    assert published.asked == []


BAD: dict[str, tuple[str, list[Any], str]] = {
    "a line that is cut off": (
        REVIEWS,
        [LOG[0], '{"rating": 5.0, "ti\n', LOG[1]],
        "review_categories/All_Beauty.jsonl.gz, row 2: not JSON: Invalid control character",
    ),
    "bytes that are no text": (
        REVIEWS,
        [LOG[0], "\udcff\n"],
        "review_categories/All_Beauty.jsonl.gz, row 2: not JSON",
    ),
    "a list": (REVIEWS, [[1, 2]], "review_categories/All_Beauty.jsonl.gz, row 1: is no JSON ob"),
    "a missing key": (
        REVIEWS,
        [{key: value for key, value in LOG[0].items() if key != "user_id"}],
        "review_categories/All_Beauty.jsonl.gz, row 1: lacks ['user_id']; it has ['asin', ",
    ),
    "a time that is none": (
        REVIEWS,
        [LOG[0], review("ann", "B02", 0, timestamp="2020")],
        "review_categories/All_Beauty.jsonl.gz, row 2: its timestamp is '2020'",
    ),
    "a rating that is none": (
        REVIEWS,
        [LOG[0], review("ann", "B02", 0, rating=None)],
        "review_categories/All_Beauty.jsonl.gz, row 2: its rating is None",
    ),
    "a product whose code leads elsewhere": (
        REVIEWS,
        [LOG[0], review("ann", "../../B02", 0)],
        "review_categories/All_Beauty.jsonl.gz, row 2: its parent_asin '../../B02' is no",
    ),
    "no reviews": (REVIEWS, [], "review_categories/All_Beauty.jsonl.gz: holds no review"),
    "a product without a code": (
        PRODUCTS,
        [{"title": "Spray"}],
        "meta_categories/meta_All_Beauty.jsonl.gz, row 1: lacks ['parent_asin']; it has ['title']",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_line_is_named(published: Site, kind: str) -> None:
    path, entries, expected = BAD[kind]
    text = "".join(each if isinstance(each, str) else json.dumps(each) + "\n" for each in entries)
    published.files[path] = gzip.compress(text.encode(errors="surrogateescape"))
    found = faults()
    assert len(found) == 1 and found[0].startswith(expected), found


def test_an_archive_that_is_cut_off_is_refused_and_fetched_again(published: Site) -> None:
    whole = published.files[REVIEWS]
    published.files[REVIEWS] = whole[:-20]
    assert "All_Beauty.jsonl.gz is not whole" in faults()[0]
    published.files[REVIEWS] = whole
    assert amazon_reviews().n_items == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"price": "from 3.99", "features": None, "images": None},
        {"price": "—", "features": "words", "images": {"large": []}},
        {"price": math.inf, "features": [None, 7, ["x"]], "images": [None, {"large": None}, 3]},
        {"price": [1], "images": [{"variant": "MAIN", "large": "javascript:alert()"}]},
    ],
)
def test_odd_products_lose_what_cannot_be_used(published: Site, changed: dict[str, Any]) -> None:
    published.files[PRODUCTS] = lines([product("B01", **changed)])
    data = amazon_reviews(images=5)
    assert np.isnan(data.items["price"][0]) and data.items["image"][0] == ""
    assert data.items["title"][0] == "Spray B01"
    assert len(published.asked) == 2


def test_what_cannot_be_meant_is_refused(published: Site) -> None:
    for options in ({"category": "../x"}, {"core": 0}, {"images": -1}):
        with pytest.raises(ValueError, match=r"category is|core is"):
            amazon_reviews(**options)
    assert published.asked == []


def test_the_addresses_are_the_published_ones() -> None:
    files = MODULE.reviews_collection("All_Beauty")
    assert list(files._addresses.values()) == [
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw/" + path
        for path in (REVIEWS.removeprefix("/raw/"), PRODUCTS.removeprefix("/raw/"))
    ]
