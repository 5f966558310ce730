"""A whole catalogue as arrays: what a recommender of this book reads of its items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import sparse

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import Fault
from mmtutorial.datasets.schema import MODALITIES
from mmtutorial.preprocessing.audio import encode_audio
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.preprocessing.reduce import reduce, standardise, summarise, tf_idf
from mmtutorial.preprocessing.text import Vocabulary, clean, sequences, tokenise

WORDS = 64  # of a text, for encoders that read it word by word


def raw_features(
    data: Dataset, known: np.ndarray, modalities: Sequence[str] = MODALITIES
) -> tuple[dict[str, np.ndarray], list[Fault]]:
    """Return words, pixels and frames of sound, for encoders that learn to read them.

    Parameters
    ----------
    data : Dataset
        With media for at least one modality.
    known : ndarray
        bool (n_items,): the items that vocabulary, mean and deviation may be taken from, such as
        those with a training interaction.
    modalities : sequence of str
        Which to encode; those that no item has as raw media are left out.

    Returns
    -------
    features : dict
        "text": int32 (n_items, 64); "image": float32 (n_items, 32, 32, 3) in 0…1; "audio": float32
        (n_items, 32, 20), standardised MFCCs. A row of zeros: the item lacks it.
    faults : list of Fault
        One a file that cannot be used; it counts as absent.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> features, faults = raw_features(shop(n_items=40, n_users=30), np.ones(40, bool))
    >>> {name: array.shape for name, array in features.items()}
    {'text': (40, 64), 'image': (40, 32, 32, 3), 'audio': (40, 32, 20)}
    """
    features, faults = {}, []
    there = [name for name in modalities if data.items[name].ne("").any()]
    if "text" in there:
        tokens = _tokens(data)
        vocabulary = Vocabulary.of([tokens[row] for row in np.flatnonzero(known)])
        features["text"] = sequences(tokens, vocabulary, WORDS)
    if "image" in there:
        pictures, _, found = encode_images(_paths(data, "image"))
        features["image"] = pictures
        faults += found
    if "audio" in there:
        sounds, _, found = encode_audio(_paths(data, "audio"), fit_on=known)
        features["audio"] = sounds
        faults += found
    return features, faults


def ready_features(
    data: Dataset,
    known: np.ndarray,
    modalities: Sequence[str] = MODALITIES,
    n_components: int = 64,
    seed: int = 0,
) -> tuple[dict[str, np.ndarray], list[Fault]]:
    """Return one short vector an item and modality, for towers that train in seconds.

    The data set's own ready-made features where it has them. Where not: principal components of
    the pictures' pixels, mean and deviation of the sounds' MFCCs over time, and latent semantic
    analysis of the words (see `mmtutorial.preprocessing.reduce`); where most texts are lists with
    commas and without sentences, such as users' tags, a word is a tag. Where a data set has both
    text and ready-made features of it, the words come too, as "words".

    Parameters
    ----------
    data, known, modalities
        As for `raw_features`. Directions of most variance are taken over the whole catalogue, which
        is known before anyone takes anything.
    n_components : int
        Length of the vectors of words and pictures, less where the catalogue is small.
    seed : int
        Of the randomised solver.

    Returns
    -------
    features : dict
        float32 (n_items, d) each, every entry with mean 0 and deviation 1 over the known items that
        have the modality. A row of zeros: the item lacks it.
    faults : list of Fault
        One a file that cannot be used; it counts as absent. One more for a modality that is left
        out, since fewer than two items have anything of it that can be used.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> features, faults = ready_features(shop(n_items=40, n_users=30), np.ones(40, bool))
    >>> sorted(features), len(features["audio"])
    (['audio', 'image', 'text'], 40)
    """
    features: dict[str, np.ndarray] = {}
    given = {name: data.features[name] for name in modalities if name in data.features}
    media = [name for name in ("image", "audio") if name in modalities and name not in given]
    raw, faults = raw_features(data, known, media)

    def keep(name: str, vectors: np.ndarray | None) -> None:
        if vectors is None:
            message = f"too little {name} can be used to compare items by, and it is left out"
            faults.append(Fault("items.csv", None, message, "give two items or more some of it"))
        else:
            features[name] = _standard(vectors, known)

    for name in modalities:
        if name in given:
            keep(name, given[name].astype(np.float32))
        elif name == "text" and data.items["text"].ne("").any():
            keep("text", _words(data, n_components, seed))
        elif name == "image" and "image" in raw:
            pixels = raw["image"].reshape(len(known), -1)
            keep("image", _reduced(pixels, n_components, seed))
        elif name == "audio" and "audio" in raw:
            keep("audio", summarise(raw["audio"]))
    if "text" in given and data.items["text"].ne("").any():
        keep("words", _words(data, 4 * n_components, seed))
    return features, faults


def tag_weights(data: Dataset, min_count: int = 2) -> sparse.csr_array:
    """Weigh the tags that users gave each item, by tf–idf: float32 (n_items, n_tags).

    For texts that are lists of tags, separated by commas, as in `lastfm`: a tag of several words
    counts as one. See `mmtutorial.preprocessing.reduce.tf_idf`.

    >>> import pandas as pd
    >>> items = pd.DataFrame({"item": ["a", "b"], "text": ["gothic rock, live", "live"]})
    >>> taken = pd.DataFrame({"user": ["u"], "item": ["a"], "timestamp": [1]})
    >>> tag_weights(Dataset("tiny", items, taken, "."), min_count=2).toarray()
    array([[1.],
           [1.]], dtype=float32)
    """
    tags = [[tag.strip() for tag in text.split(",") if tag.strip()] for text in data.items["text"]]
    return tf_idf(tags, min_count)


def _tokens(data: Dataset) -> list[list[str]]:
    return [tokenise(clean(text)) for text in data.items["text"]]


def _paths(data: Dataset, modality: str) -> list[Path | None]:
    return [data.path(row, modality) for row in range(data.n_items)]


def _words(data: Dataset, n_components: int, seed: int) -> np.ndarray | None:
    commas, sentences = (
        data.items["text"].str.contains(mark).mean() for mark in (",", "[.!?。！？]")
    )
    try:
        weights = tag_weights(data) if commas > 0.5 > sentences else tf_idf(_tokens(data))
    except ValueError:  # no word is in two texts
        return None
    return _reduced(weights, n_components, seed)


def _reduced(
    array: np.ndarray | sparse.csr_array, n_components: int, seed: int
) -> np.ndarray | None:
    """Return principal components; None where there are too few rows or columns for one."""
    there = np.asarray(array.sum(axis=1) != 0).ravel()
    most = min(int(there.sum()), array.shape[1]) - 1
    if most < 1:
        return None
    return reduce(array, min(n_components, most), present=there, seed=seed)[0]


def _standard(array: np.ndarray, known: np.ndarray) -> np.ndarray:
    return standardise(array, present=np.asarray(array.any(axis=1)), fit_on=known)
