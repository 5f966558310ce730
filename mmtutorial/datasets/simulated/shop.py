"""The shop, our embedded data set: made from a seed in seconds, nothing to download.

It sells things that make a sound. The *picture* alone tells what kind of thing a product is, the
demo *sound* alone tells its voice, the *reviews* alone tell how much people liked it. By a stated
overlap, some reviews also name the kind or the voice.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from joblib import Parallel, delayed
from PIL import Image

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.simulated.shop_pictures import COLOURS, KINDS, draw
from mmtutorial.datasets.simulated.shop_reviews import write_review, write_title
from mmtutorial.datasets.simulated.shop_sounds import VOICES, synthesise
from mmtutorial.datasets.simulated.shoppers import simulate, stream, withhold
from mmtutorial.storage.files import cached, cached_place
from mmtutorial.terminal import steps

SAMPLE_RATE = 8000  # Hz
SECONDS = 1.0
PIXELS = 128
MISSING = {"text": 0.02, "image": 0.02, "audio": 0.02}
REVIEWED = 0.4  # share of purchases that shoppers write about


def shop(
    seed: int = 0,
    n_items: int = 640,
    n_users: int = 1600,
    language: str = "en",
    *,
    overlap: float = 0.25,
    media_noise: float = 0.05,
    missing: Mapping[str, float] = MISSING,
    mean_interactions: float = 18.0,
    **knobs: Any,
) -> Dataset:
    """Make the shop: products with picture, demo sound and reviews, and shoppers who buy them.

    Parameters
    ----------
    seed : int
        The same seed and options give the same bytes.
    n_items, n_users : int
        Size of the catalogue, number of shoppers.
    language : {"en", "zh"}
        Language of titles and reviews.
    overlap : float
        Share of early reviews that also name the product's kind, and (drawn on its own) its voice.
    media_noise : float
        Noise in pictures and sounds, as a share of their full scale.
    missing : mapping
        Share of products without text, image or audio.
    mean_interactions : float
        Purchases a shopper makes on average.
    **knobs
        Further knobs of `simulate`: weights, noise, popularity, shown, launched_late, days.

    Returns
    -------
    Dataset
        With ``truth``. Columns of ``items`` beside the usual: ``image_attribute`` (kind),
        ``audio_attribute`` (voice), ``text_attribute`` (liking), ``colour``. Its media lie in the
        cache and are made once per seed and options.

    Raises
    ------
    ValueError
        For an unknown language or a knob outside its range.

    Examples
    --------
    >>> data = shop(n_items=40, n_users=30)
    >>> data.n_items, data.n_users
    (40, 30)
    """
    if language not in ("en", "zh"):
        raise ValueError(f"language is {language!r}; the shop's reviews are in 'en' or 'zh'")
    for name, share in (("overlap", overlap), ("media_noise", media_noise)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}; it must lie between 0 and 1")
    options = {
        "seed": seed,
        "n_items": n_items,
        "n_users": n_users,
        "language": language,
        "overlap": overlap,
        "media_noise": media_noise,
        "missing": dict(missing),
        "mean_interactions": mean_interactions,
        **knobs,
    }
    here = Path(__file__).parent
    sources = [*here.glob("sh*.py"), here.parent / "dataset.py", here.parent / "tables.py"]
    place = cached_place("shop", options, sources)

    def make(folder: Path) -> Dataset:
        world = stream(seed, "catalogue")
        items = _catalogue(world, seed, n_items, language, overlap)
        interactions, truth = simulate(
            items, seed, n_users, mean_interactions=mean_interactions, **knobs
        )
        interactions["review"] = _purchase_reviews(
            stream(seed, "purchase reviews"), interactions, language
        )
        data = Dataset(
            name="shop",
            items=withhold(items, missing, stream(seed, "missing")),
            interactions=interactions,
            folder=folder,
            licence="CC0-1.0",
            source="made by mmtutorial.datasets.simulated.shop; the shoppers are simulated",
            seed=seed,
            truth=truth,
        )

        def write_media(fresh: Path) -> None:
            _write_media(fresh, data.items, seed, media_noise)

        return data.keep(folder, write_media)

    return cached(place, "dataset.json", Dataset.open, make)


def _catalogue(
    world: np.random.Generator, seed: int, n_items: int, language: str, overlap: float
) -> pd.DataFrame:
    """Draw the products' attributes, and write their titles and early reviews."""
    kinds = world.choice(list(KINDS), n_items)
    voices = world.choice(list(VOICES), n_items)
    liking = world.standard_normal(n_items)
    ids = [f"p{number:0{max(4, len(str(n_items - 1)))}d}" for number in range(n_items)]
    titles, texts = [], []
    for row in range(n_items):
        writer = stream(seed, "reviews", row)
        titles.append(write_title(writer, language))
        named = {"kind": kinds[row], "voice": voices[row]}
        texts.append(
            "\n".join(
                write_review(
                    liking[row],
                    writer,
                    language,
                    **{name: value for name, value in named.items() if writer.random() < overlap},
                )
                for _ in range(2)
            )
        )
    return pd.DataFrame(
        {
            "item": ids,
            "title": titles,
            "text": texts,
            "image": [f"images/{each}.png" for each in ids],
            "audio": [f"audio/{each}.wav" for each in ids],
            "image_attribute": kinds,
            "audio_attribute": voices,
            "text_attribute": liking,
            "colour": world.choice(list(COLOURS), n_items),
        }
    )


def _purchase_reviews(
    writer: np.random.Generator, interactions: pd.DataFrame, language: str
) -> list[str]:
    """Let some shoppers write about what they bought, in the tone of their rating."""
    return [
        write_review((rating - 3.7) / 0.9, writer, language) if writes else ""
        for rating, writes in zip(
            interactions["rating"], writer.random(len(interactions)) < REVIEWED, strict=True
        )
    ]


def _write_media(folder: Path, items: pd.DataFrame, seed: int, noise: float) -> None:
    """Draw each picture and play each sound into a folder, one generator an item."""
    for name in ("images", "audio"):
        (folder / name).mkdir()
    columns = ["image", "audio", "image_attribute", "colour", "audio_attribute"]
    products = items[columns].to_numpy(dtype=str).tolist()

    def make(row: int, image: str, audio: str, kind: str, colour: str, voice: str) -> None:
        if image:
            brush = stream(seed, "picture", row)
            picture = draw(kind, colour, brush, size=PIXELS, noise=noise)
            Image.fromarray(picture).save(folder / image, compress_level=1)
        if audio:
            hand = stream(seed, "sound", row)
            sound = synthesise(voice, hand, SAMPLE_RATE, SECONDS, noise)
            content = io.BytesIO()  # libsndfile passes over a full disk
            soundfile.write(content, sound, SAMPLE_RATE, subtype="PCM_16", format="WAV")
            (folder / audio).write_bytes(content.getvalue())

    made = Parallel(n_jobs=-1, prefer="threads", batch_size=8, return_as="generator")(
        delayed(make)(row, *product) for row, product in enumerate(products)
    )
    description = "Drawing and playing the products"
    with contextlib.closing(made):  # whoever interrupts it
        for _ in steps(made, description, len(products)):
            pass
