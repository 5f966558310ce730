"""What items and ratings can be learnt to say, beside who takes what: labels of further tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmtutorial.datasets import Dataset
from mmtutorial.preprocessing.features import raw_features

KIND, RATING, WORDS = TASKS = ("kind", "rating", "words")
_KINDS = ("image_attribute", "genres")  # columns of items that say what something is


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels that a data set has.

    Parameters
    ----------
    kind : ndarray or None
        float32 (n_items, n_kinds): what an item is, shares that add up to 1; zeros where that is
        not known. None where no item says it.
    rating : ndarray or None
        float32 (n_rows,): what a row of the table of interactions was rated, NaN where it was not.
        None where nothing was.
    words : ndarray or None
        int32 (n_items, n_words): the item's text, 0 for padding. None without texts.
    kinds : tuple of str
        Names of the columns of ``kind``.

    Examples
    --------
    >>> Labels(None, np.ones(3, "float32"), None).tasks
    ('rating',)
    """

    kind: np.ndarray | None
    rating: np.ndarray | None
    words: np.ndarray | None
    kinds: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that have labels, some of `TASKS`."""
        return tuple(name for name in TASKS if getattr(self, name) is not None)


def labels_of(data: Dataset, known: np.ndarray) -> Labels:
    """Read the labels of a data set.

    Parameters
    ----------
    data : Dataset
        Kinds are its items' column ``image_attribute`` (what a picture shows) or ``genres``, with
        commas between several; ratings and texts have the columns of every data set.
    known : ndarray
        bool (n_items,): items that may be learnt from. The others have no kind and no words.

    Returns
    -------
    Labels

    Examples
    --------
    >>> from mmtutorial.datasets import shop
    >>> labels = labels_of(shop(n_items=40, n_users=30), np.ones(40, bool))
    >>> labels.tasks, labels.kind.shape, labels.words.shape
    (('kind', 'rating', 'words'), (40, 8), (40, 64))
    """
    kind, kinds = _kinds(data, known)
    rating = None
    if "rating" in data.interactions:
        rating = data.interactions["rating"].to_numpy(np.float32)
        rating = None if np.isnan(rating).all() else rating
    words = None
    if data.items["text"].ne("").any():
        words = np.where(known[:, None], raw_features(data, known, ("text",))[0]["text"], 0)
    return Labels(kind, rating, words, kinds)


def _kinds(data: Dataset, known: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
    column = next((name for name in _KINDS if name in data.items), None)
    if column is None:
        return None, ()
    each = data.items[column].fillna("").astype(str).str.get_dummies(sep=", ")
    shares = each.to_numpy(np.float32) * known[:, None]
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    return shares.astype(np.float32), tuple(each.columns)
