"""Amazon Reviews 2023: who reviewed which product when, in words, and what the product looks like.

Two files a category, JSON Lines under gzip (Hou et al. 2024; amazon-reviews-2023.github.io):

review_categories/{category}.jsonl.gz
                    rating, title, text, images, asin, parent_asin, user_id, timestamp
                    (milliseconds), helpful_vote, verified_purchase
meta_categories/meta_{category}.jsonl.gz
                    main_category, title, average_rating, rating_number, features, description,
                    price, images (thumb, large, hi_res, variant), videos, store, categories,
                    details, parent_asin, bought_together

Pictures are not in them, only their addresses.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import wrap_file

from mmtutorial.datasets.collections import Collection, fetch_pictures
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import DatasetError, Fault
from mmtutorial.storage.files import cache_folder
from mmtutorial.terminal import say

ADDRESS = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw/"
PAGE = "https://amazon-reviews-2023.github.io"
TERMS = "no licence: its makers say that they cannot give one, and offer it for research"
REVIEW = {  # what a review must have, and of what kind
    "user_id": str,
    "parent_asin": str,
    "timestamp": int,
    "rating": (int, float),
}
PRODUCT = {"parent_asin": str}
_CODE = re.compile("[A-Za-z0-9]{1,20}")  # a product's, which becomes the name of its picture


def reviews_collection(category: str) -> Collection:
    """Return the two files of a category.

    >>> sorted(reviews_collection("All_Beauty").manifest)
    ['meta_categories/meta_All_Beauty.jsonl.gz', 'review_categories/All_Beauty.jsonl.gz']
    """
    names = f"review_categories/{category}.jsonl.gz", f"meta_categories/meta_{category}.jsonl.gz"
    return Collection(
        f"amazon-reviews-2023-{category}",
        ADDRESS,
        TERMS,
        PAGE,
        digests=dict.fromkeys(names, ""),  # of the files under gzip, nobody has published any
    )


def amazon_reviews(
    seed: int = 0, *, category: str = "All_Beauty", core: int = 2, images: int = 0
) -> Dataset:
    """Read a category of Amazon Reviews 2023.

    The two files are taken from ``MMTUTORIAL_DATA``, or downloaded once (All_Beauty: 134 MB). They
    are read from beginning to end each time, as many reviews as All_Beauty has in about a minute
    and 1 GB of memory: save what you go on with.

    Parameters
    ----------
    seed : int
        Which products get a picture, where not all do.
    category : str
        As the publisher spells it, such as "All_Beauty" or "Video_Games".
    core : int
        Keep users and products with at least so many reviews, repeated until all have them (the
        k-core); 1 keeps all. The publisher's own benchmarks keep all, or the 5-core.
    images : int
        For how many products to download the main picture, drawn at random; what is there already
        is used in any case. A picture that cannot be had is left out, and told of on stderr.

    Returns
    -------
    Dataset
        ``items``: the product's code (``parent_asin``, which its colours and sizes share), title,
        and as ``text`` title, features and description, one a line; ``image``; ``price`` (dollars,
        NaN where none is known) and ``store``. ``interactions``: rating 1 to 5, review (title and
        text), and ``verified`` (1.0 where Amazon knows of the purchase, else 0.0). Of several
        reviews of a product by one user, the earliest is kept, as the publisher's benchmarks do. A
        product's mean rating and number of ratings are left out: they count what is to be
        predicted; so are votes for reviews.

    Raises
    ------
    DatasetError
        If the files cannot be had or are not in the published layout: names file and line.
    ValueError
        If the category's name, core or images cannot be meant.

    Examples
    --------
    >>> data = amazon_reviews(category="All_Beauty", images=500)  # doctest: +SKIP
    >>> data.save("all-beauty")                                   # doctest: +SKIP
    """
    if not re.fullmatch("[A-Za-z0-9_]+", category):
        raise ValueError(f"category is {category!r}; write it as in the list on {PAGE}")
    if core < 1 or images < 0:
        raise ValueError(f"core is {core} and images {images}; at least 1 and 0 are meant")
    files = reviews_collection(category)
    folder = files.obtain()
    faults: list[Fault] = []
    names = list(files.manifest)
    interactions = _reviews(folder, names[0], core, faults)
    items = _products(folder, names[1], set(interactions["item"]), faults)
    if faults:
        raise DatasetError.of(folder, faults)
    place = cache_folder() / "amazon-reviews-2023" / category
    items["image"] = _pictures(items, place, images, seed)
    return Dataset(
        name=f"amazon-{category.lower().replace('_', '-')}",
        items=items.drop(columns="picture"),
        interactions=interactions,
        folder=place,
        licence=f"{TERMS}; cite Hou et al. 2024",
        source=f"{PAGE}; {ADDRESS}",
        seed=seed,
        version="2023",
    )


def _lines(folder: Path, name: str, needed: dict[str, Any], faults: list[Fault]) -> Iterator[dict]:
    """Read the good lines of a file one by one; what is wrong with the others goes to faults.

    Each has its line number as "line".
    """
    path = folder / name
    with (
        path.open("rb") as packed,
        wrap_file(
            packed,
            total=path.stat().st_size,
            description=escape(f"Reading {path.name}"),
            transient=True,
            console=Console(stderr=True),
        ) as watched,
        gzip.open(watched) as lines,
    ):
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
            except ValueError as error:  # not JSON, or not UTF-8
                message = f"not JSON: {error}"
                faults.append(Fault(name, number, message, "fetch the file again"))
                continue
            message = _wrong(entry, needed)
            if message:
                faults.append(Fault(name, number, message, "fetch the file again"))
                continue
            entry["line"] = number
            yield entry


def _wrong(entry: Any, needed: dict[str, Any]) -> str:
    """Say what is wrong with an entry; "" if nothing is."""
    if not isinstance(entry, dict):
        return "is no JSON object"
    lacking = [key for key in needed if key not in entry]
    if lacking:
        return f"lacks {lacking}; it has {sorted(entry)}"
    for key, kind in needed.items():
        if not isinstance(entry[key], kind) or isinstance(entry[key], bool):
            return f"its {key} is {entry[key]!r}"
    if not _CODE.fullmatch(entry["parent_asin"]):
        return f"its parent_asin {entry['parent_asin']!r} is no product's code"
    return ""


def _reviews(folder: Path, name: str, core: int, faults: list[Fault]) -> pd.DataFrame:
    """Read the reviews in two passes: who took what, and then the words of those that are kept."""
    columns = ["user_id", "parent_asin", "timestamp", "rating", "line"]
    rows = [tuple(entry[key] for key in columns) for entry in _lines(folder, name, REVIEW, faults)]
    log = pd.DataFrame(rows, columns=["user", "item", "timestamp", "rating", "line"])
    if log.empty and not faults:
        faults.append(Fault(name, None, "holds no review", "fetch the file again"))
    if faults:
        raise DatasetError.of(folder, faults)
    log = log.sort_values(["timestamp", "line"]).drop_duplicates(["user", "item"])
    log = log[_core(log["user"], log["item"], core)].sort_values("line", ignore_index=True)
    if log.empty:
        raise DatasetError(
            f"no user and product of {folder / name} have {core} reviews each: ask for a smaller "
            "core"
        )
    kept = set(log["line"])
    words, verified = [], []
    for entry in _lines(folder, name, REVIEW, faults):
        if entry["line"] in kept:
            words.append(_joined([entry.get("title"), entry.get("text")]))
            verified.append(float(bool(entry.get("verified_purchase"))))
    log["timestamp"] = log["timestamp"].astype(np.int64) // 1000
    return log.assign(review=words, verified=verified).drop(columns="line")


def _core(users: pd.Series, items: pd.Series, core: int) -> np.ndarray:
    """Say which rows are in the k-core: bool (n_rows,).

    As `mmtutorial.preprocessing.behaviour.k_core`, which a loader may not import.
    """
    user, item = (pd.factorize(each)[0] for each in (users, items))
    kept = np.ones(len(user), dtype=bool)
    while True:
        enough = kept.copy()
        for codes in (user, item):
            enough &= np.bincount(codes[kept], minlength=len(codes) + 1)[codes] >= core
        if enough.sum() == kept.sum():
            return kept
        kept = enough


def _products(folder: Path, name: str, wanted: set[str], faults: list[Fault]) -> pd.DataFrame:
    """Describe the products that were reviewed, in the order of their codes."""
    found: dict[str, dict[str, Any]] = {}
    for entry in _lines(folder, name, PRODUCT, faults):
        code = entry["parent_asin"]
        if code in wanted and code not in found:
            words = [entry.get("title"), *_list(entry, "features"), *_list(entry, "description")]
            found[code] = {
                "title": _joined([entry.get("title")]) or code,
                "text": _joined(words),
                "price": _price(entry.get("price")),
                "store": _joined([entry.get("store")]),
                "picture": _main_picture(_list(entry, "images")),
            }
    blank = {"title": None, "text": "", "price": np.nan, "store": "", "picture": ""}
    rows = [
        {"item": code, **(found.get(code) or {**blank, "title": code})} for code in sorted(wanted)
    ]
    return pd.DataFrame(rows)


def _list(entry: dict[str, Any], key: str) -> list[Any]:
    value = entry.get(key)
    return value if isinstance(value, list) else []


def _joined(words: list[Any]) -> str:
    return "\n".join(
        stripped for each in words if isinstance(each, str) and (stripped := each.strip())
    )


def _price(value: Any) -> float:
    """Read a price in dollars; NaN for None, and for words such as "from 3.99"."""
    try:
        price = float(value)
    except (TypeError, ValueError):
        return float("nan")
    return price if np.isfinite(price) else float("nan")


def _main_picture(pictures: list[Any]) -> str:
    """Return the address of the main picture, about 500 pixels wide; "" if there is none."""
    known = [each for each in pictures if isinstance(each, dict)]
    known.sort(key=lambda each: each.get("variant") != "MAIN")  # stable: else the first
    for each in known:
        for size in ("large", "hi_res", "thumb"):
            if isinstance(each.get(size), str) and each[size].startswith(("https://", "http://")):
                return each[size]
    return ""


def _pictures(items: pd.DataFrame, place: Path, most: int, seed: int) -> list[str]:
    """Download pictures of some products, and return the path of each product's, or ""."""
    names = items["item"] + ".jpg"
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(items["picture"] != ""))[:most]
    if len(drawn):
        addresses = {names[row]: items["picture"][row] for row in drawn}
        say(
            f"Downloading {len(drawn)} pictures of products, their sellers' own, from the "
            "addresses that the data set gives"
        )
        missing = fetch_pictures(addresses, place / "images")
        if missing:
            reasons = Counter(missing.values()).most_common()
            counts = "; ".join(f"{reason} ({count})" for reason, count in reasons)
            say(
                f"{len(missing)} of {len(drawn)} pictures cannot be had: {counts}. Their products "
                "go without"
            )
    return [f"images/{name}" if (place / "images" / name).is_file() else "" for name in names]
