"""Cells of tables in memory: ids as text in one normal form, or a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from mmtutorial.datasets.faults import DatasetError
from mmtutorial.datasets.schema import normal_form

EXACT = 2**53  # a float holds every whole number up to this one, and not all beyond
_NUMBERS = (int, float, np.integer, np.floating)
_OTHER = "{where} has the {kind} {value!r}, which is a {type}: ids are text or whole numbers"
_MIXED = (
    "{where} has the {kind} {value}, a number, and others are text: read all as text, as in "
    'pd.read_csv(..., dtype={{"{kind}": str}})'
)
_PADDED = "the {kind} id {value!r} has spaces around it ({where}): trim it"
_FRACTION = "{where} has the {kind} {value}, which is not a whole number: ids are text or whole"
_TOO_LARGE = (
    "{where} has the {kind} {value}, a float too large to be exact: read it as text, as in "
    'pd.read_csv(..., dtype={{"{kind}": str}})'
)


def normal_forms(texts: pd.Series) -> pd.Series:
    """Return each text in the form of `mmtutorial.datasets.schema.normal_form`.

    >>> normal_forms(pd.Series(["tea", "cafe\\u0301"])).str.len().tolist()
    [3, 4]
    """
    other = ~texts.map(str.isascii).to_numpy(dtype=bool)
    if not other.any():
        return texts
    texts = texts.copy()
    texts[other] = texts[other].str.normalize("NFC")
    return texts


def read_ids(values: pd.Series, kind: str, place: str) -> pd.Series:
    """Read ids as text: whole numbers lose their ".0", all are in one normal form.

    Parameters
    ----------
    values : Series
        Text or whole numbers, any dtype.
    kind : str
        "user" or "item", for messages.
    place : str
        Where a value stands, for messages, with "{}" in place of its number from 0.

    Returns
    -------
    Series
        str, with the index of ``values``.

    Raises
    ------
    DatasetError
        That names the first value that is missing or blank, has spaces around it, is a fraction or
        a float too large to be exact, is neither text nor a number, or a number among text.

    Examples
    --------
    >>> read_ids(pd.Series([7.0, 12.0]), "item", "row {}").tolist()
    ['7', '12']
    >>> read_ids(pd.Series(["ann", None]), "user", "interaction {}")
    Traceback (most recent call last):
    mmtutorial.datasets.faults.DatasetError: interaction 1 has no user: give it an id, or leave ...
    """
    try:
        codes, distinct = pd.factorize(values)
    except TypeError as error:
        message = f"the {kind} ids hold lists or other things that are no ids: give text"
        raise DatasetError(message) from error
    found = pd.Series(np.asarray(distinct, dtype=object), dtype=object)
    texts = _marks(found, lambda value: isinstance(value, str))
    numbers = _marks(
        found, lambda value: isinstance(value, _NUMBERS) and not isinstance(value, bool)
    )

    def refuse(wrong: np.ndarray, message: str) -> None:
        """Raise the message, with the first place and value that are marked wrong."""
        which = np.append(wrong, False)[codes]  # a missing value has the code -1: the last
        if which.any():
            row = int(which.argmax())
            value = found[codes[row]]
            kept = {"where": place.format(row), "value": value, "type": type(value).__name__}
            raise DatasetError(message.format(kind=kind, **kept))

    blank = _marks(found, lambda value: isinstance(value, str) and not value.strip())
    missing = np.append(blank, True)[codes]
    if missing.any():
        where = place.format(int(missing.argmax()))
        raise DatasetError(f"{where} has no {kind}: give it an id, or leave it out")
    refuse(~texts & ~numbers, _OTHER)
    if texts.any():
        refuse(numbers, _MIXED)
        refuse(_marks(found, lambda value: value != value.strip()), _PADDED)
        ids = found.map(normal_form)
    else:
        floats = _marks(found, lambda value: isinstance(value, float | np.floating))
        refuse(floats & _marks(found, lambda value: value % 1 != 0), _FRACTION)
        refuse(floats & _marks(found, lambda value: abs(value) > EXACT), _TOO_LARGE)
        ids = found.map(lambda value: str(int(value)))
    return pd.Series(ids.to_numpy(dtype=object)[codes], values.index, "str", values.name)


def _marks(values: pd.Series, test: Callable[[Any], bool]) -> np.ndarray:
    """Apply a test to each value: bool (n,)."""
    return np.fromiter(map(test, values), dtype=bool, count=len(values))
