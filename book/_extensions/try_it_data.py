"""What the page "Try it" shows and computes with: a trained tower as numbers, pictures, sounds.

The tower fuses late, so that its vectors have one part a modality, and is taken apart by its public
methods alone. All numbers go into one script, since a page that is opened as a file may load
scripts and media, but no data.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from mmtutorial.article import MODALITIES, ArticleNetwork
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.evaluation import cold_items, default_split
from mmtutorial.preprocessing.features import raw_features, ready_features
from mmtutorial.recommenders.inputs import Features
from mmtutorial.recommenders.two_tower import TwoTower

PIXELS = 96  # of a picture, the longer side
EVERY = 8  # of the shoppers, the article's network learns from one in so many: a build is short
LISTED = 40  # items that the article's network ranks after each other one


def tower_numbers(tower: TwoTower, features: Features) -> dict[str, Any]:
    """Take a fitted tower with late fusion apart (eq-user-tower, eq-two-tower-score, eq-late).

    Parameters
    ----------
    tower : TwoTower
        Fitted on ``features`` with ``fusion="late"``.
    features : mapping
        Modality to float32 (n_items, d), in the order of the tower.

    Returns
    -------
    dict
        "v", divided by the temperature, and "h", float32 (n_items, modalities · dimensions); "q",
        float32 (modalities · dimensions,), of a user without a history; "bias" float32 (n_items,);
        "power" float; "strength" float64 (modalities,), the λ of late fusion, which sum to 1;
        "present" bool (n_items, modalities).
    """
    present = np.column_stack([array.any(axis=1) for array in features.values()])
    n_modalities = present.shape[1]
    q = tower.user_vectors([[]])[0]
    v = tower.item_vectors() / np.float32(tower.temperature)
    strength = np.zeros(n_modalities)
    whole = present.all(axis=1)
    for place, name in enumerate(features):
        alone = {each: array * (each == name) for each, array in features.items()}
        part = np.s_[whole, place * len(q) // n_modalities : (place + 1) * len(q) // n_modalities]
        full, single = v[part].astype(np.float64), tower.item_vectors(alone)[part]
        strength[place] = np.linalg.norm(full) / np.linalg.norm(single)
    return {
        "v": v,
        "h": tower.history_vectors,
        "q": q,
        "bias": tower.item_biases,
        "power": float(tower.network.power.numpy()),
        "strength": strength / strength.sum(),
        "present": present,
    }


def network_lists(network: ArticleNetwork, features: Features, k: int = LISTED) -> np.ndarray:
    """Rank the items that come after each one: int (n_items + 1, k); the last row is after none."""
    contents = [np.concatenate([array, np.zeros_like(array[:1])]) for array in
                (features[name] for name in MODALITIES)]  # fmt: skip
    chances = network.model.predict(contents, batch_size=256, verbose=0)
    return np.argsort(-chances, axis=1, kind="stable")[:, :k]


def plane(vectors: np.ndarray) -> np.ndarray:
    """Project vectors on their first two principal components: float (n, 2) from −1 to 1.

    >>> plane(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 1.0, 1.0]])).shape
    (3, 2)
    """
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    places = centred @ axes[:2].T
    places *= np.sign(places[np.abs(places).argmax(axis=0), [0, 1]])  # else a matter of chance
    low, high = places.min(axis=0), places.max(axis=0)
    return (2 * places - low - high) / (high - low)


def prepare(
    data: Dataset, tower: TwoTower, network: ArticleNetwork, every: int = EVERY
) -> tuple[dict[str, Any], Features]:
    """Let both learn, and return the numbers of the page and the features that the tower reads."""
    split = default_split(data)
    known = ~cold_items(split)
    features, _ = ready_features(data, known, MODALITIES)
    raw, _ = raw_features(data, known, MODALITIES)
    tower.fit(split.train, features, split.validation)
    network.fit(split.train.where(split.train.log["user"].to_numpy() % every == 0), raw)
    taken = np.bincount(split.train.log["item"], minlength=data.n_items)
    numbers = tower_numbers(tower, features)
    return {
        **numbers,
        "mean_bias": float(numbers["bias"][known].mean()),
        "taken": taken,
        "next": network_lists(network, raw, min(LISTED, data.n_items)),
        "place": plane(numbers["v"]),
    }, features


def script(data: Dataset, numbers: dict[str, Any]) -> str:
    """Write the numbers and the products' words as a script that assigns them to ``TRY_IT``."""

    def packed(name: str, kind: str) -> str:
        return base64.b64encode(np.ascontiguousarray(numbers[name], kind).tobytes()).decode()

    pictures = data.items[["image_attribute", "colour"]].agg(", ".join, axis=1)
    content = {
        "modalities": list(MODALITIES),
        "power": numbers["power"],
        "strength": numbers["strength"].tolist(),
        "meanBias": numbers["mean_bias"],
        "taken": numbers["taken"].tolist(),
        "listed": numbers["next"].shape[1],
        "next": packed("next", "<u2"),
        "place": numbers["place"].round(3).tolist(),
        "present": packed("present", "u1"),
        **{name: packed(name, "<f4") for name in ("v", "h", "q", "bias")},
        "ids": data.items["item"].tolist(),
        "titles": data.items["title"].tolist(),
        "reviews": [text.split("\n")[0] for text in data.items["text"]],
        "pictures": pictures.tolist(),
    }
    return f"globalThis.TRY_IT = {json.dumps(content, ensure_ascii=False)};\n"


def write_media(data: Dataset, present: np.ndarray, folder: Path) -> None:
    """Write each picture as WebP and each sound as MP3, named by the product's id."""
    folder.mkdir(parents=True, exist_ok=True)
    for row, item in enumerate(data.items["item"]):
        if present[row, MODALITIES.index("image")]:
            with Image.open(data.path(row, "image")) as picture:
                small = picture.convert("RGB").resize((PIXELS, PIXELS), Image.Resampling.LANCZOS)
            small.save(folder / f"{item}.webp", quality=60, method=6)
        if present[row, MODALITIES.index("audio")]:
            sound, rate = soundfile.read(data.path(row, "audio"))
            soundfile.write(folder / f"{item}.mp3", sound, rate, compression_level=0.8)
