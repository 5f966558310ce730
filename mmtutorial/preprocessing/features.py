"""A whole catalogue as arrays: what a recommender of this book reads of its items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import Fault
from mmtutorial.datasets.schema import MODALITIES
from mmtutorial.preprocessing.audio import encode_audio
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.preprocessing.reduce import (
    fitted_tf_idf,
    reduce,
    scaling,
    standardise,
    summarise,
    tf_idf,
)
from mmtutorial.preprocessing.text import Vocabulary, clean, sequences, tokenise

WORDS = 64  # of a text, for encoders that read it word by word
TEXTS = ("auto", "words", "tags")  # how texts may be read
SHARED = 0.75  # of the tags are on another item too, or the texts are read as words
Encode = Callable[[Any], np.ndarray]  # media of n items to float32 (n, d)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A catalogue's ready-made features, and what encodes altered media in the same way.

    Parameters
    ----------
    features, faults
        As `ready_features` returns them.
    media : dict
        What was encoded, for each modality that has raw media: "text" (or "words"): a list of
        words, or of tags, an item; "image": float32 (n_items, 32, 32, 3); "audio": float32
        (n_items, 32, 20), with zeros where nothing is heard.
    encode : dict
        For the same modalities, a function from such media of some items to float32 (n, d), which
        gives what stands in ``features`` for media that were not altered.
    """

    features: dict[str, np.ndarray]
    faults: list[Fault]
    media: dict[str, Any]
    encode: dict[str, Encode]


def raw_features(
    data: Dataset,
    known: np.ndarray,
    modalities: Sequence[str] = MODALITIES,
    text: str = "auto",
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
    text : {"auto", "words", "tags"}
        Whether texts are read word by word, or as lists of tags with commas between, each of which
        is a word then. "auto" reads words, and notes where the texts look like tags.

    Returns
    -------
    features : dict
        "text": int32 (n_items, 64); "image": float32 (n_items, 32, 32, 3) in 0…1; "audio": float32
        (n_items, 32, 20), standardised MFCCs. A row of zeros: the item lacks it.
    faults : list of Fault
        One a file that cannot be used; it counts as absent. A note where the reading of texts is a
        guess.

    Raises
    ------
    ValueError
        For another ``text``.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> features, faults = raw_features(shop(n_items=40, n_users=30), np.ones(40, bool))
    >>> {name: array.shape for name, array in features.items()}
    {'text': (40, 64), 'image': (40, 32, 32, 3), 'audio': (40, 32, 20)}
    """
    _check_reading(text)
    features: dict[str, np.ndarray] = {}
    faults: list[Fault] = []
    there = [name for name in modalities if data.items[name].ne("").any()]
    if "text" in there:
        tokens = _tags(data) if text == "tags" else _tokens(data)
        if text == "auto" and _look_like_tags(data):
            faults.append(_note("word by word, though they look like lists of tags", "tags"))
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
    text: str = "auto",
) -> tuple[dict[str, np.ndarray], list[Fault]]:
    """Return one short vector an item and modality, for towers that train in seconds.

    The data set's own ready-made features where it has them. Where not: principal components of
    the pictures' pixels, mean and deviation of the sounds' MFCCs over time, and latent semantic
    analysis of the words (see `mmtutorial.preprocessing.reduce`). Where a data set has both text
    and ready-made features of it, the words come too, as "words".

    Parameters
    ----------
    data, known, modalities
        As for `raw_features`. Directions of most variance are taken over the whole catalogue, which
        is known before anyone takes anything.
    n_components : int
        Length of the vectors of words and pictures, less where the catalogue is small.
    seed : int
        Of the randomised solver.
    text : {"auto", "words", "tags"}
        Whether texts are read word by word, or as lists of tags with commas between, such as users'
        tags, where a tag of several words counts as one. "auto" takes for tags what has commas and
        no sentences in most texts, if more than three of four tags are on another item too. Of a
        description such as "Cotton hoodie, navy, large" the first part is on no other item: to read
        it as tags would lose it, while tags that are read as words lose only their order.

    Returns
    -------
    features : dict
        float32 (n_items, d) each, every entry with mean 0 and deviation 1 over the known items that
        have the modality. A row of zeros: the item lacks it.
    faults : list of Fault
        One a file that cannot be used; it counts as absent. One more for a modality that is left
        out, since fewer than two items have anything of it that can be used. A note where the
        reading of texts is a guess.

    Raises
    ------
    ValueError
        For another ``text``.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> features, faults = ready_features(shop(n_items=40, n_users=30), np.ones(40, bool))
    >>> sorted(features), len(features["audio"])
    (['audio', 'image', 'text'], 40)
    """
    found = fitted_features(data, known, modalities, n_components, seed, text)
    return found.features, found.faults


def fitted_features(
    data: Dataset,
    known: np.ndarray,
    modalities: Sequence[str] = MODALITIES,
    n_components: int = 64,
    seed: int = 0,
    text: str = "auto",
) -> Fitted:
    """Return what `ready_features` returns, and how it was encoded; the arguments are the same.

    >>> from mmtutorial.datasets import shop
    >>> found = fitted_features(shop(n_items=40, n_users=30), np.ones(40, bool))
    >>> again = found.encode["audio"](found.media["audio"][:5])
    >>> bool(np.abs(again - found.features["audio"][:5]).max() < 1e-4)
    True
    """
    _check_reading(text)
    found = Fitted({}, [], {}, {})
    given = {name: data.features[name] for name in modalities if name in data.features}
    media = [name for name in ("image", "audio") if name in modalities and name not in given]
    raw, faults = raw_features(data, known, media)
    found.faults.extend(faults)

    for name in modalities:
        if name in given:
            _keep(found, known, name, given[name].astype(np.float32))
        elif name == "text" and data.items["text"].ne("").any():
            _keep(found, known, "text", *_words(data, n_components, seed, text, found.faults))
        elif name == "image" and "image" in raw:
            pixels = raw["image"].reshape(len(known), -1)
            vectors, encode = _reduced(pixels, n_components, seed)
            _keep(found, known, "image", vectors, raw["image"], encode)
        elif name == "audio" and "audio" in raw:
            _keep(found, known, "audio", summarise(raw["audio"]), raw["audio"], summarise)
    if "text" in given and data.items["text"].ne("").any():
        _keep(found, known, "words", *_words(data, 4 * n_components, seed, text, found.faults))
    return found


def _keep(
    found: Fitted,
    known: np.ndarray,
    name: str,
    vectors: np.ndarray | None,
    media: Any = None,
    encode: Encode | None = None,
) -> None:
    """Standardise a modality's vectors, and keep them with their encoder; too few are a fault."""
    if vectors is None:
        message = f"too little {name} can be used to compare items by, and it is left out"
        remedy = "give two items or more some of it"
        found.faults.append(Fault("items.csv", None, message, remedy))
        return
    present = np.asarray(vectors.any(axis=1))
    found.features[name] = standardise(vectors, present, known)
    if encode is not None:
        scale = scaling(vectors, present, known)
        found.media[name] = media
        found.encode[name] = lambda altered: scale.of(encode(altered)).astype(np.float32)


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
    return tf_idf(_tags(data), min_count)


def _check_reading(text: str) -> None:
    if text not in TEXTS:
        raise ValueError(f"text is {text!r}; it is one of {', '.join(TEXTS)}")


def _note(how: str, other: str) -> Fault:
    """Say how texts are read, and how to have them read another way."""
    remedy = f'give text="{other}" if that is wrong'
    return Fault("items.csv", None, f"the texts are read {how}", remedy, note=True)


def _tags(data: Dataset) -> list[list[str]]:
    return [[tag.strip() for tag in text.split(",") if tag.strip()] for text in data.items["text"]]


def _look_like_tags(data: Dataset) -> bool:
    """Say whether most texts have commas and are no sentences."""
    texts = data.items["text"]
    return bool(texts.str.contains(",").mean() > 0.5 > texts.str.contains("[.!?。！？]").mean())


def _shared(tags: list[list[str]]) -> float:
    """Return which share of the tags, counted once an item, is on another item too."""
    counts = np.array(list(Counter(tag for each in tags for tag in set(each)).values()))
    return float(counts[counts > 1].sum() / counts.sum()) if len(counts) else 0.0


def _tokens(data: Dataset) -> list[list[str]]:
    return [tokenise(clean(text)) for text in data.items["text"]]


def _paths(data: Dataset, modality: str) -> list[Path | None]:
    return [data.path(row, modality) for row in range(data.n_items)]


def _words(
    data: Dataset, n_components: int, seed: int, text: str, faults: list[Fault]
) -> tuple[np.ndarray | None, list[list[str]], Encode | None]:
    """Return what texts say, as principal components, with their words and what encodes others.

    None where no two share a word.
    """
    tags = _tags(data) if text == "tags" or (text == "auto" and _look_like_tags(data)) else None
    if tags is not None and text == "auto":
        shared = _shared(tags)
        of_tags = f"{shared:.0%} of what stands between commas is on another item too"
        if shared > SHARED:
            faults.append(_note(f"as lists of tags, since {of_tags}", "words"))
        else:
            faults.append(_note(f"word by word, not as lists of tags, since {of_tags}", "tags"))
            tags = None
    tokens = _tokens(data) if tags is None else tags
    try:
        weights, vectoriser = fitted_tf_idf(tokens)
    except ValueError:  # no word is in two texts
        return None, tokens, None
    vectors, encode = _reduced(weights, n_components, seed)
    if encode is None:
        return None, tokens, None
    return vectors, tokens, lambda altered: encode(vectoriser.transform(altered))


def _reduced(
    array: np.ndarray | sparse.csr_array, n_components: int, seed: int
) -> tuple[np.ndarray | None, Encode | None]:
    """Return principal components, and what gives those of other rows.

    None where there are too few rows or columns for one.
    """
    there = np.asarray(array.sum(axis=1) != 0).ravel()
    most = min(int(there.sum()), array.shape[1]) - 1
    if most < 1:
        return None, None
    vectors, fitted = reduce(array, min(n_components, most), present=there, seed=seed)

    def encode(altered: Any) -> np.ndarray:
        rows = altered if sparse.issparse(altered) else np.reshape(altered, (len(altered), -1))
        return np.asarray(fitted.transform(rows))

    return vectors, encode
