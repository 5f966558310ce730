"""Items' ready-made features, as the baselines read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features


def chosen_modalities(
    features: Features, modalities: Sequence[str] | None, recommender: Recommender
) -> list[str]:
    """Return the names of the modalities to read, or say which are lacking (ValueError)."""
    lacking = [name for name in modalities or () if name not in features]
    if lacking or not features:
        raise ValueError(
            f"{type(recommender).__name__} reads the features {lacking or 'of items'}, and fit was "
            f"given {list(features) or 'none'}: fit(train, features)"
        )
    return list(modalities or features)


def unit_rows(features: Any) -> Any:
    """Scale each item's features to length 1: float32 (n_items, d); rows of zeros stay zeros.

    Parameters
    ----------
    features : ndarray or sparse array
        (n_items, d), or (n_items, …), which is flattened. What is sparse stays sparse.

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    if isinstance(features, np.ndarray):
        rows = features.astype(np.float32).reshape(len(features), -1)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    stored = sparse.csr_array(features.astype(np.float32))
    lengths = sparse.linalg.norm(stored, axis=1)
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sparse.csr_array(sparse.diags_array(scale.astype(np.float32)) @ stored)


def as_dense(block: Any) -> np.ndarray:
    """Return an ndarray, also of a sparse one."""
    return block if isinstance(block, np.ndarray) else block.toarray()
