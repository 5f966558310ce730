"""What items say, read by MiniLM: one vector an item, computed once for each data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.encoders import transformer
from mmtutorial.encoders.text import MINILM_SHA256
from mmtutorial.preprocessing import subwords
from mmtutorial.preprocessing.reduce import standardise
from mmtutorial.storage.arrays import cached_array
from mmtutorial.storage.files import cached_place

PIECES = 256  # of a text that are read


def item_texts(data: Dataset) -> list[str]:
    """Return what MiniLM reads of each item: its title and its text; "" for an item without text.

    >>> import pandas as pd
    >>> items = pd.DataFrame(
    ...     {"item": ["a", "b"], "title": ["Heat (1995)", "B"], "text": ["Heat (1995). Crime", ""]}
    ... )
    >>> taken = pd.DataFrame({"user": ["u"], "item": ["a"], "timestamp": [1]})
    >>> item_texts(Dataset("tiny", items, taken, "."))
    ['Heat (1995). Crime', '']
    """
    titles = data.items.get("title", data.items["text"]).fillna("")
    return [
        text if not text or text.startswith(title) else f"{title}. {text}"
        for title, text in zip(titles, data.items["text"].fillna(""), strict=True)
    ]


def minilm_features(data: Dataset, known: np.ndarray) -> np.ndarray:
    """Return MiniLM's vectors of the items' texts, to be given to recommenders as "text".

    The vectors are kept in the cache, by the texts and the digest of MiniLM's weights.

    Parameters
    ----------
    data : Dataset
        Whose `item_texts`, of which `PIECES` subwords each are read.
    known : ndarray
        bool (n_items,): the items by which entries are standardised, such as those with a training
        interaction.

    Returns
    -------
    ndarray
        float32 (n_items, 384), every entry with mean 0 and standard deviation 1 over the known
        items that have a text. A row of zeros: the item has no text.

    Raises
    ------
    ImportError, ValueError
        As `mmtutorial.encoders.text.minilm_folder` does.

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> data = shop(n_items=40, n_users=30)
    >>> minilm_features(data, np.ones(40, bool)).shape      # doctest: +SKIP
    (40, 384)
    """
    texts = item_texts(data)
    there = np.array([bool(text) for text in texts])

    def make() -> np.ndarray:
        found = transformer.MiniLM().encode([text for text in texts if text], PIECES)
        vectors = np.zeros((len(texts), found.shape[1]), dtype=np.float32)
        vectors[there] = found
        return vectors

    sources = [Path(str(module.__file__)) for module in (transformer, subwords)]
    about = {"texts": texts, "weights": MINILM_SHA256, "pieces": PIECES}
    vectors = cached_array(cached_place("minilm", about, sources), make)
    return standardise(vectors, present=there, fit_on=known)
