"""A folder of somebody's own, in the documented layout and unlike ours in names and sizes.

Real photographs, recordings and reviews, or the shop's, which need no download; shoppers simulated;
ids are words, titles partly Chinese, pictures JPEG, PNG and WebP, sounds WAV, FLAC and Ogg, columns
in another order and more of them. Written cell by cell, so that nothing but the documented layout is
relied on.

    python -m tests.own_folder FOLDER [--items 120] [--users 200] [--days 7] [--dates] [--shop]
        [--without audio timestamp ...]
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from PIL import Image

from mmtutorial.datasets import shop
from mmtutorial.datasets.simulated.garments import (
    KINDS,
    PHOTOGRAPHS,
    RECORDINGS,
    REVIEWS,
    read_reviews,
)
from mmtutorial.datasets.simulated.shoppers import simulate

CHINESE = {
    "dress": "连衣裙", "pants": "长裤", "skirt": "半身裙", "shorts": "短裤",
    "outwear": "外套", "shirt": "衬衫", "t-shirt": "T恤", "longsleeve": "毛衣",
}  # fmt: skip
PICTURES = (".jpg", ".png", ".webp")
SOUNDS = (".wav", ".flac", ".ogg")


def raw_media(n_items: int, seed: int = 0) -> pd.DataFrame:
    """Draw a photograph, a recording and a review for each item, none twice."""
    draw = np.random.default_rng(seed)
    photographs = pd.Series(list(PHOTOGRAPHS.manifest))
    photographs = photographs[photographs.str.split("/").str[1].isin(KINDS)]
    recordings = pd.Series(list(RECORDINGS.manifest))
    media = pd.DataFrame(
        {
            "photograph": draw.permutation(photographs.to_numpy())[:n_items],
            "recording": draw.permutation(recordings.to_numpy())[:n_items],
        }
    )
    media["kind"] = media["photograph"].str.split("/").str[1]
    media["digit"] = media["recording"].str.extract(r"(\d)_", expand=False)
    reviews = read_reviews(REVIEWS.obtain() / next(iter(REVIEWS.manifest)))
    for kind, rows in media.groupby("kind").groups.items():
        chosen = reviews[reviews["kind"] == kind].sample(len(rows), random_state=seed)
        media.loc[rows, "review"] = chosen["text"].to_numpy()
        media.loc[rows, "stars"] = chosen["rating"].to_numpy()
    photographs_at, recordings_at = PHOTOGRAPHS.obtain(), RECORDINGS.obtain()
    media["photograph"] = [photographs_at / name for name in media["photograph"]]
    media["recording"] = [recordings_at / name for name in media["recording"]]
    return media


def shop_media(n_items: int, seed: int = 0) -> pd.DataFrame:
    """Take a picture, a sound and a review for each item from the shop, which is made here."""
    made = shop(seed, n_items, 30, missing={"text": 0.0, "image": 0.0, "audio": 0.0})
    return pd.DataFrame(
        {
            "photograph": [made.folder / name for name in made.items["image"]],
            "recording": [made.folder / name for name in made.items["audio"]],
            "kind": made.items["image_attribute"],
            "digit": made.items["audio_attribute"],
            "review": made.items["text"],
            "stars": made.items["text_attribute"],
        }
    )


def purchases(
    media: pd.DataFrame, ids: pd.Series, n_users: int, seed: int = 0, days: int = 365
) -> pd.DataFrame:
    """Simulate who buys what, within so many days."""
    attributes = pd.DataFrame(
        {
            "item": ids,
            "image_attribute": media["kind"],
            "audio_attribute": media["digit"],
            "text_attribute": media["stars"],
        }
    )
    return simulate(attributes, seed, n_users, mean_interactions=12.0, days=days)[0]


def write_own_folder(
    folder: Path,
    n_items: int = 120,
    n_users: int = 200,
    without: Collection[str] = (),
    seed: int = 3,
    *,
    days: int = 365,
    dates: bool = False,
    source: Callable[[int, int], pd.DataFrame] = raw_media,
) -> Path:
    """Write the folder.

    ``without`` names columns to leave out: text, image, audio, timestamp. The times span ``days``;
    with ``dates``, they are those of midnight. ``source`` makes the media: `raw_media` of the
    collections, or `shop_media`.
    """
    media = source(n_items, seed)
    ids = pd.Series([f"Löw-{kind[:2].upper()}.{7 * row}" for row, kind in enumerate(media["kind"])])
    items = pd.DataFrame(
        {
            "price": [f"{15 + row % 40}.90" for row in range(n_items)],
            "audio": "",
            "title": [
                CHINESE.get(kind, "商品") + f" {row}号"
                if row % 3 == 0
                else f"{kind.title()} No. {row}"
                for row, kind in enumerate(media["kind"])
            ],
            "item": ids,
            "category": media["kind"],
            "image": "",
            "text": media["review"],
        }
    )
    items.loc[::9, "text"] = "质量很好，面料舒服，尺码合适。" + items["title"]
    for row, (photograph, recording) in enumerate(
        zip(media["photograph"], media["recording"], strict=True)
    ):
        if row != 5 and "image" not in without:  # the sixth has no picture
            name = f"images/{media['kind'][row]}/{ids[row]}{PICTURES[row % 3]}"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with Image.open(photograph) as picture:
                side = 90 + row  # no two of one size
                picture.convert("RGB").resize((side, 150)).save(folder / name)
            items.loc[row, "image"] = name
        if row % 10 != 7 and "audio" not in without:  # one in ten has no sound
            name = f"audio/{ids[row]} spoken{SOUNDS[row % 3]}"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / name, *soundfile.read(recording))
            items.loc[row, "audio"] = name
    bought = purchases(media, ids, n_users, seed, days)
    bought["timestamp"] -= max(0, days - 365) * 86_400  # nothing happens in the future
    if dates:
        bought["timestamp"] -= bought["timestamp"] % 86_400
    bought["user"] = "顾客/" + bought["user"].str[1:]
    columns = ["rating", "item", "channel", "timestamp", "user"]
    bought = bought.assign(channel="web")[columns].sample(frac=1, random_state=seed)
    if "timestamp" in without:
        bought["timestamp"] = ""
    folder.mkdir(parents=True, exist_ok=True)
    _write(items.drop(columns=[name for name in without if name in items]), folder / "items.csv")
    _write(bought, folder / "interactions.csv")
    about = {"name": "Löwenladen", "licence": "", "source": "", "number_columns": ["price"]}
    (folder / "dataset.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
    return folder


def _write(table: pd.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        writer.writerows(table.itertuples(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=120)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--dates", action="store_true", help="times are those of midnight")
    parser.add_argument("--shop", action="store_true", help="media of the shop, no download")
    given = parser.parse_args()
    write_own_folder(
        given.folder,
        given.items,
        given.users,
        given.without,
        days=given.days,
        dates=given.dates,
        source=shop_media if given.shop else raw_media,
    )
