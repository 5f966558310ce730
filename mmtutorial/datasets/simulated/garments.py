"""Garments: real photographs, real spoken numbers and real reviews, with simulated shoppers.

Three public collections meet in one catalogue. An item has the photograph of a garment, the
recording of a spoken digit that stands for the line it is sold in, and what customers wrote about
garments of the same kind. The *photograph* tells the kind, the *recording* alone tells the line,
the *reviews* alone tell how much customers liked the item. The overlap is that of the real texts:
many a review of a dress says "dress". No photograph, recording or review serves twice.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtutorial.datasets.collections import Collection
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.simulated.shoppers import simulate, stream, withhold
from mmtutorial.storage.files import cached, cached_place
from mmtutorial.terminal import steps

PHOTOGRAPHS = Collection(
    "clothing-dataset-small",
    "https://github.com/alexeygrigorev/clothing-dataset-small/archive/"
    "11961516512414bf9f6c150a832cfd21b54a6b54.zip",
    "CC0 1.0",
    "https://github.com/alexeygrigorev/clothing-dataset-small",
)
RECORDINGS = Collection(
    "free-spoken-digit-dataset",
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/"
    "26eb9aaf76e81b692f806f9140c2d2777410d7a1.zip",
    "CC BY-SA 4.0",
    "https://github.com/Jakobovski/free-spoken-digit-dataset",
)
REVIEWS = Collection(
    "womens-ecommerce-clothing-reviews",
    "https://raw.githubusercontent.com/MichalSzopinski00/The-Best-Classifier/"
    "31a3d4bdcaf1499e4a8bfc74d4b935280a616d91/womens-ecommerce-clothing-reviews.zip",
    "CC0 1.0",
    "https://github.com/MichalSzopinski00/The-Best-Classifier",
)
REVIEWS_TABLE = "Womens Clothing E-Commerce Reviews.csv"
KINDS = {  # of the photographs: classes of the reviews
    "dress": ["Dresses"],
    "pants": ["Pants", "Jeans"],
    "skirt": ["Skirts"],
    "shorts": ["Shorts"],
    "outwear": ["Jackets", "Outerwear"],
    "shirt": ["Blouses"],
    "t-shirt": ["Knits"],
    "longsleeve": ["Sweaters", "Fine gauge"],
}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
REVIEWS_AN_ITEM = 3  # fewer for a kind of which there are not so many reviews
MISSING = {"text": 0.02, "image": 0.02, "audio": 0.02}
REVIEWED = 0.3  # share of purchases that come with a review, as long as there are unused ones
UNLIKE = 0.5  # stars: how far apart the reviews of one item may lie, as a standard deviation


def garments(
    seed: int = 0,
    n_items: int = 2400,
    n_users: int = 2400,
    *,
    missing: Mapping[str, float] = MISSING,
    mean_interactions: float = 18.0,
    **knobs: Any,
) -> Dataset:
    """Make the garments: real media, each used by one item, and simulated shoppers.

    The three collections are taken from ``MMTUTORIAL_DATA``, or downloaded (140 MB, once).

    Parameters
    ----------
    seed : int
        The same seed and options give the same data.
    n_items, n_users : int
        Size of the catalogue, at most 3,000; number of shoppers.
    missing : mapping
        Share of items whose text, image or audio is withheld.
    mean_interactions : float
        Purchases a shopper makes on average.
    **knobs
        Further knobs of `simulate`: weights, noise, popularity, shown, launched_late, days.

    Returns
    -------
    Dataset
        With ``truth``. Columns of ``items`` beside the usual: ``image_attribute`` (kind of
        garment), ``audio_attribute`` (spoken digit), ``text_attribute`` (mean rating of its
        reviews, 1 to 5), ``speaker``. Items and purchases hold reviews of the item's kind; those
        of one item have similar ratings, those of a purchase have the rating of the purchase.

    Raises
    ------
    DatasetError
        If a collection cannot be had, or differs from the published one: says what to do.
    ValueError
        For more items than there are media, or a knob outside its range.

    Examples
    --------
    >>> data = garments(n_items=200, n_users=100)         # doctest: +SKIP
    >>> data.items["audio_attribute"].nunique()           # doctest: +SKIP
    10
    """
    options = {
        "seed": seed,
        "n_items": n_items,
        "n_users": n_users,
        "missing": dict(missing),
        "mean_interactions": mean_interactions,
        **knobs,
    }
    here = Path(__file__).parent
    sources = [here / "garments.py", here / "shoppers.py"]
    sources += [here.parent / "dataset.py", here.parent / "tables.py"]
    sources += (here.parent / "manifests").glob("*.txt")
    place = cached_place("garments", options, sources)

    def make(folder: Path) -> Dataset:
        media = _media(stream(seed, "media"), n_items)
        reviews = read_reviews(REVIEWS.obtain() / next(iter(REVIEWS.manifest)))
        items, unused = _catalogue(stream(seed, "reviews"), media, reviews)
        interactions, truth = simulate(
            items, seed, n_users, mean_interactions=mean_interactions, **knobs
        )
        interactions["review"] = _purchase_reviews(
            stream(seed, "purchase reviews"), interactions, items, unused
        )
        data = Dataset(
            name="garments",
            items=withhold(items, missing, stream(seed, "missing")),
            interactions=interactions,
            folder=folder,
            licence="photographs and reviews CC0-1.0, recordings CC-BY-SA-4.0",
            source="; ".join(each.page for each in (PHOTOGRAPHS, RECORDINGS, REVIEWS))
            + "; the shoppers are simulated by mmtutorial.datasets.simulated.shoppers",
            seed=seed,
            truth=truth,
        )

        def copy_media(fresh: Path) -> None:
            _copy_media(fresh, data.items, media)

        return data.keep(folder, copy_media)

    return cached(place, "dataset.json", Dataset.open, make)


def read_reviews(archive: Path) -> pd.DataFrame:
    """Read the customers' reviews of the eight kinds of garment.

    Parameters
    ----------
    archive : Path
        The published zip archive; only its table is read.

    Returns
    -------
    DataFrame
        ``kind`` (str, a key of `KINDS`), ``rating`` (int64, 1 to 5), ``text`` (str: title, if
        there is one, and review), in the order of the table. Reviews without text, and repeated
        ones, are left out.
    """
    with zipfile.ZipFile(archive) as opened:
        name = next(each for each in opened.namelist() if each.endswith(REVIEWS_TABLE))
        with opened.open(name) as file:
            table = pd.read_csv(file, encoding="utf-8")
    kind_of = {name: kind for kind, names in KINDS.items() for name in names}
    table = table.assign(kind=table["Class Name"].map(kind_of)).dropna(
        subset=["kind", "Review Text"]
    )
    titles = table["Title"].fillna("").str.strip()
    titles = titles.where(titles.eq("") | titles.str.endswith((".", "!", "?")), titles + ".")
    return pd.DataFrame(
        {
            "kind": table["kind"].astype(str),
            "rating": table["Rating"].astype(np.int64),
            "text": (titles + " " + table["Review Text"].str.strip()).str.strip(),
        }
    ).drop_duplicates("text", ignore_index=True)


def _media(draw: np.random.Generator, n_items: int) -> pd.DataFrame:
    """Draw a photograph and a recording for each item, none twice."""
    photographs = draw.permutation(list(PHOTOGRAPHS.manifest))
    recordings = draw.permutation(list(RECORDINGS.manifest))
    most = min(len(photographs), len(recordings))
    if not 1 <= n_items <= most:
        raise ValueError(
            f"n_items is {n_items}; there are {len(photographs)} photographs and "
            f"{len(recordings)} recordings, each for one item: ask for 1 to {most}"
        )
    media = pd.DataFrame({"photograph": photographs[:n_items], "recording": recordings[:n_items]})
    media["kind"] = media["photograph"].str.split("/").str[1]  # train/dress/….jpg
    media[["digit", "speaker"]] = media["recording"].str.extract(r"(\d)_([a-z]+)_")
    return media


def _catalogue(
    draw: np.random.Generator, media: pd.DataFrame, reviews: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each item reviews of its kind with similar ratings; return the unused reviews too."""
    n_items = len(media)
    owner = np.full(len(reviews), -1)  # the item row that a review belongs to
    for kind, rows in media.groupby("kind").indices.items():
        supply = np.flatnonzero(reviews["kind"] == kind)
        each = min(REVIEWS_AN_ITEM, len(supply) // len(rows))
        if not each:
            raise ValueError(
                f"{len(rows)} items are of the kind {kind}, and there are {len(supply)} reviews: "
                "ask for fewer items"
            )
        chosen = draw.choice(supply, each * len(rows), replace=False)
        order = reviews["rating"].to_numpy()[chosen] + draw.normal(0, UNLIKE, len(chosen))
        owner[chosen[np.argsort(order)].reshape(len(rows), each)] = draw.permutation(rows)[:, None]
    used = reviews.assign(owner=owner)[owner >= 0]
    ids = [f"g{number:0{max(4, len(str(n_items - 1)))}d}" for number in range(n_items)]
    items = pd.DataFrame(
        {
            "item": ids,
            "title": [f"Garment {each[1:]}" for each in ids],
            "text": used.groupby("owner")["text"].agg("\n".join).reindex(range(n_items)),
            "image": [f"images/{each}.jpg" for each in ids],
            "audio": [f"audio/{each}.wav" for each in ids],
            "image_attribute": media["kind"],
            "audio_attribute": np.array(DIGITS)[media["digit"].astype(int)],
            "text_attribute": used.groupby("owner")["rating"].mean().reindex(range(n_items)),
            "speaker": media["speaker"],
        }
    )
    return items, reviews[owner < 0]


def _purchase_reviews(
    draw: np.random.Generator,
    interactions: pd.DataFrame,
    items: pd.DataFrame,
    unused: pd.DataFrame,
) -> np.ndarray:
    """Give some purchases a real review of the item's kind with the purchase's rating."""
    written = np.full(len(interactions), "", dtype=object)
    bought = pd.DataFrame(
        {
            "kind": interactions["item"].map(items.set_index("item")["image_attribute"]),
            "rating": interactions["rating"].astype(np.int64),
        }
    )[draw.random(len(interactions)) < REVIEWED]
    texts = unused["text"].to_numpy(dtype=object)
    supplies = unused.groupby(["kind", "rating"]).indices
    for group, rows in bought.groupby(["kind", "rating"]).groups.items():
        supply = draw.permutation(supplies.get(group, np.array([], dtype=np.int64)))
        lucky = draw.permutation(rows.to_numpy())[: len(supply)]
        written[lucky] = texts[supply[: len(lucky)]]
    return written


def _copy_media(folder: Path, items: pd.DataFrame, media: pd.DataFrame) -> None:
    """Copy each item's photograph and recording into a folder."""
    places = {"image": PHOTOGRAPHS.obtain(), "audio": RECORDINGS.obtain()}
    for name in ("images", "audio"):
        (folder / name).mkdir()
    rows = zip(items["image"], items["audio"], media["photograph"], media["recording"], strict=True)
    for image, audio, photograph, recording in steps(rows, "Copying the garments", len(items)):
        if image:
            shutil.copyfile(places["image"] / photograph, folder / image)
        if audio:
            shutil.copyfile(places["audio"] / recording, folder / audio)
