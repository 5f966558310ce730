"""Features as recommenders read them: arrays of numbers, one row an item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from mmtutorial.interactions import Interactions

Features = Mapping[str, np.ndarray | sparse.csr_array]  # modality name → one row an item
REVIEWS = "review"  # the features that describe what users wrote, one row an interaction


def checked_features(features: Mapping[str, Any] | None, train: Interactions) -> dict[str, Any]:
    """Return the features as arrays, and refuse what does not fit the training interactions.

    Parameters
    ----------
    features : mapping, optional
        Modality name to array, sparse array or nested lists, one row an item; "review" one row an
        interaction of the table that ``train`` was made of.
    train : Interactions
        What is learnt from.

    Returns
    -------
    dict
        Modality name to ndarray (n_items, ...) or sparse array; empty without features.

    Raises
    ------
    ValueError
        If it is no mapping, a modality is no array of numbers, has another number of rows, or holds
        NaN.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 1), ("bob", "cup", 2)])
    >>> checked_features({"text": [[0.5, 1.0], [0.0, 2.0]]}, train)["text"].shape
    (2, 2)
    """
    if features is None:
        return {}
    if not isinstance(features, Mapping):
        raise ValueError(
            f"features is a {type(features).__name__}; give a mapping of modality names to arrays, "
            'such as {"text": array}'
        )
    arrays = {modality: as_array(modality, given) for modality, given in features.items()}
    for modality, array in arrays.items():
        if modality == REVIEWS:
            needed = int(train.log["row"].max()) + 1 if len(train) else 0
            if array.shape[0] < needed:
                raise ValueError(
                    f"features[{REVIEWS!r}] has {array.shape[0]} rows, and the training part "
                    f"refers to {needed}: one row an interaction of the table it was made of"
                )
        elif array.shape[0] != train.n_items:
            raise ValueError(
                f"features[{modality!r}] has {array.shape[0]} rows for {train.n_items} items: "
                "one row an item, in the order of train.items"
            )
        rows: Any = np.arange(train.n_items)
        values: Any = array
        if sparse.issparse(array):
            stored = values.tocoo()
            rows, values = stored.coords[0], stored.data
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            row = rows[np.argwhere(~np.isfinite(values))[:, 0]].min()
            raise ValueError(f"features[{modality!r}] holds NaN or infinity in item row {row}")
    return arrays


def as_array(modality: str, given: Any) -> Any:
    """Return features as an array of numbers, (n, ...); sparse arrays are left as they are.

    Raises ValueError, by the modality's name, for anything else.

    >>> as_array("text", [[1.0], [2.0]]).shape
    (2, 1)
    """
    if sparse.issparse(given):
        return given
    try:
        array = np.asarray(given)
    except ValueError as fault:  # lists of different lengths
        raise ValueError(f"features[{modality!r}] is ragged: give every row as many numbers") from (
            fault
        )
    if array.ndim < 2:
        raise ValueError(
            f"features[{modality!r}] has the shape {array.shape}: give one row an item, "
            "(n_items, d)"
        )
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
        raise ValueError(
            f"features[{modality!r}] holds {array.dtype}, not numbers: make numbers of texts and "
            "files first, as mmtutorial.preprocessing.features does"
        )
    return array
