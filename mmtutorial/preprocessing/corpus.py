"""The texts of a data set for language models: without repetitions, cut, in three parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.simulated.garments import REVIEWS, read_reviews
from mmtutorial.preprocessing.text import Vocabulary, clean, tokenise

FEWEST = 300  # reviews; with fewer, the texts of the items are taken
MOST = 25_000  # texts


def texts_of(data: Dataset) -> pd.DataFrame:
    """Return the texts of a data set, each once: its reviews, or else the texts of its items.

    Of ``garments`` all reviews of the public collection, not only those of its catalogue.

    Returns
    -------
    DataFrame
        text, and judgement: the stars of a review, NaN where there are none. At most `MOST` rows.

    Raises
    ------
    ValueError
        If there is no text.
    """
    judgement: Any = np.nan
    if data.name == "garments":
        published = read_reviews(REVIEWS.obtain() / next(iter(REVIEWS.manifest)))
        text, judgement = published["text"], published["rating"]
    elif "review" in data.interactions and (data.interactions["review"] != "").sum() >= FEWEST:
        text = data.interactions["review"]
        judgement = data.interactions.get("rating", np.nan)
    else:
        text = data.items["text"]
    table = pd.DataFrame({"text": text, "judgement": judgement}).astype({"judgement": float})
    table = table[table["text"].fillna("") != ""].drop_duplicates("text").iloc[:MOST]
    if table.empty:
        raise ValueError(f"{data.name} has no text: neither reviews nor texts of items")
    return table.reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Texts in a random order, cut into words and numbered.

    Parameters
    ----------
    table : DataFrame
        text and judgement, from `texts_of`.
    seed : int
        Of the order, and so of the parts.
    max_words : int
        Length of the vocabulary at most, the four marks included.

    Attributes
    ----------
    words : list of list
        The words of each text, str.
    numbers : list of list
        Their numbers in the vocabulary, int.
    rows : dict
        "train" (four fifths), "validation" and "test" (a tenth each): int, rows of ``table``.
    vocabulary : Vocabulary
        Counted on the training texts alone.

    Examples
    --------
    >>> table = pd.DataFrame({"text": ["so soft", "so warm", "too small"] * 4, "judgement": 3.0})
    >>> corpus = Corpus(table)
    >>> {name: len(part) for name, part in corpus.rows.items()}, len(corpus.part("test"))
    ({'train': 9, 'validation': 1, 'test': 2}, 2)
    """

    table: pd.DataFrame
    seed: int = 0
    max_words: int = 2000
    words: list[list[str]] = field(init=False, repr=False)
    numbers: list[list[int]] = field(init=False, repr=False)
    rows: dict[str, np.ndarray] = field(init=False, repr=False)
    vocabulary: Vocabulary = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Shuffle, cut, count and number."""
        table = self.table.sample(frac=1, random_state=self.seed, ignore_index=True)
        words = [tokenise(clean(text)) for text in table["text"]]
        ends = int(0.8 * len(words)), int(0.9 * len(words))
        parts = np.split(np.arange(len(words)), ends)
        rows = dict(zip(("train", "validation", "test"), parts, strict=True))
        vocabulary = Vocabulary.of((words[row] for row in rows["train"]), max_size=self.max_words)
        for name, value in (
            ("table", table),
            ("words", words),
            ("numbers", [vocabulary.encode(text) for text in words]),
            ("rows", rows),
            ("vocabulary", vocabulary),
        ):
            object.__setattr__(self, name, value)

    def part(self, name: str) -> list[list[int]]:
        """Return the numbered texts of a part."""
        return [self.numbers[row] for row in self.rows[name]]
