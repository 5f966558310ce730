"""EASE: each item predicted from all others by ridge regression, in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy import linalg, sparse

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.base import Rows, check_rows
from mmtutorial.recommenders.content import as_dense, chosen_modalities, unit_rows
from mmtutorial.recommenders.inputs import Features, as_array
from mmtutorial.recommenders.item_to_item import (
    ItemToItem,
    csr_arrays,
    csr_of,
    slices,
    weighted_rows,
)
from mmtutorial.recommenders.validation import quality, validation_users
from mmtutorial.storage.arrays import with_prefix

_FIRST_L2 = 100.0  # where the search begins
_FIRST_WEIGHT = 0.1  # of a modality, in units of λ


class EASE(ItemToItem):
    r"""Predicts each item from all others by ridge regression, in closed form: a strong baseline.

    Each column of the interaction matrix X (n_users, n_items) is predicted from the others, so the
    diagonal of W is zero. The items' content is read as further rows under X, as if each number of
    a feature were one more user (F, one l2-normalised row an item):

    .. math::
        X' = \begin{bmatrix} X \\ \sqrt{\alpha_1}\, F_1^\top \\ \vdots \end{bmatrix}, \qquad
        P = \left(X'^\top X' + \lambda I\right)^{-1}, \qquad
        W_{ji} = \begin{cases} 0 & i = j \\ -P_{ji} / P_{ii} & i \ne j \end{cases}

    With ``popularity`` γ the columns of X are divided by n_i^γ, where n_i users took item i, before
    they are predicted, and multiplied after it: the larger, the more a rare item counts. With
    ``user_exponent`` β the squared errors of user u are weighed by w_u ∝ \|H(u)\|^−β, whose mean
    over the interactions is 1: the larger, the less those count who took very much.

    λ and α can be chosen on the validation part, by NDCG@10 of at most 2,048 users: from λ = 100
    and α = 0, one number after another is multiplied by 4 and by 1/4, then by 2 and 1/2, then by
    √2, as long as that is better; an α of 0 becomes 0.1 λ times the square of that factor. A trial
    is one inversion: X'ᵀX' is put together of the products of X and of each F, which are computed
    once.

    Only those products, float32 (n_items, n_items) each, are held, whatever the number of users and
    features. An item that nobody took is recommended by its content, and scores 0 where there is
    none.

    Parameters
    ----------
    l2 : float or "validation"
        λ, above 0.
    content_weight : float, mapping or "validation"
        α of every modality that `fit` is given, or modality name to α (the others are not read).
        With 0 features are ignored.
    popularity : float
        γ, from 0 to 1.
    user_exponent : float
        β, 0 or more. Choose it and γ on the validation part too.
    trials : int
        How many settings are compared where something is chosen on the validation part.

    Attributes
    ----------
    chosen : dict
        After ``fit``, λ as "l2", and α by the modality's name.
    tried : list of (dict, float)
        What was compared, and its NDCG@10; empty where nothing is chosen.

    References
    ----------
    Steck (2019), Embarrassingly shallow autoencoders for sparse data. Content as further rows, and
    weights of rows: Jeunen, Van Balen and Goethals (2020), Closed-form models for collaborative
    filtering with side-information. Scaling by popularity: Nikolakopoulos, Kalantzis, Gallopoulos
    and Garofalakis (2019), EigenRec: generalizing PureSVD for effective and efficient top-N
    recommendations.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)],
    ...                         items=["cup", "ice", "tea"])
    >>> EASE(l2=1).fit(train).score([1]).round(2)  # bob, who has tea: cup, ice, tea
    array([[0.33, 0.  , 0.  ]], dtype=float32)
    >>> words = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> ease = EASE(l2=1, content_weight=1).fit(train, {"text": words})
    >>> ease.score([1]).round(2)
    array([[0.46, 0.23, 0.  ]], dtype=float32)
    >>> ease.score_new_items([1], {"text": [[1.0, 0.5]]}).round(2)  # an item like tea
    array([[0.14]], dtype=float32)
    """

    def __init__(
        self,
        l2: float | Literal["validation"] = 100.0,
        content_weight: float | Mapping[str, float] | Literal["validation"] = 0.0,
        popularity: float = 0.0,
        user_exponent: float = 0.0,
        trials: int = 16,
    ) -> None:
        self.l2 = l2
        self.content_weight = content_weight
        self.popularity = popularity
        self.user_exponent = user_exponent
        self.trials = trials
        read = ["content"] if content_weight else []
        if isinstance(content_weight, Mapping):
            read = [name for name, weight in content_weight.items() if weight]
        self.name = f"EASE + {', '.join(read)}" if read else "EASE"

    def _item_weights(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> np.ndarray:
        self._check()
        weights = self._content_weights(features)
        units = {name: unit_rows(features[name]) for name in weights}
        counts = np.maximum(train.matrix.sum(axis=0, dtype=np.float64), 1.0)
        mean = np.mean(counts**self.popularity)
        scale = counts**-self.popularity * mean
        weighted = weighted_rows(train.matrix, self.user_exponent)
        base = (train.matrix.T @ weighted).toarray().astype(np.float64)
        base *= scale
        base *= scale[:, None]
        products = {name: _product(unit) for name, unit in units.items()}

        def regression(l2: float, **weights: float) -> tuple[np.ndarray, np.ndarray]:
            gram = np.array(base, order="F")
            for name, weight in weights.items():
                if weight:
                    gram += np.float32(weight) * products[name]
            return _regression(gram, l2, scale)

        self.chosen, self.tried = self._choose(regression, weights, train, validation)
        found, diagonal = regression(**self.chosen)
        self._content = {name: unit for name, unit in units.items() if self.chosen[name]}
        # P's diagonal, and what brings scores of scaled columns back, see score_new_items
        self._reach = (scale * diagonal / mean).astype(np.float32)
        return found

    def _check(self) -> None:
        if self.l2 != "validation" and not self.l2 > 0:
            raise ValueError(f"l2 is {self.l2}; it must be above 0, or the matrix has no inverse")
        if not 0 <= self.popularity <= 1:
            raise ValueError(f"popularity is {self.popularity}; it must be from 0 to 1")
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}; it must be at least 1")

    def _content_weights(self, features: Features) -> dict[str, float]:
        """Return the weight of each modality that is read; 0 where it is to be chosen."""
        if self.content_weight == "validation":
            return dict.fromkeys(chosen_modalities(features, None, self), 0.0)
        if not isinstance(self.content_weight, Mapping):
            weights = dict.fromkeys(features, self.content_weight)
        else:
            weights = dict(self.content_weight)
        for name, weight in weights.items():
            if weight < 0:
                raise ValueError(f"the content_weight of {name!r} is {weight}; 0 or more, please")
        read = {name: weight for name, weight in weights.items() if weight > 0}
        if read or (self.content_weight and not isinstance(self.content_weight, Mapping)):
            chosen_modalities(features, list(read) or None, self)
        return read

    def _choose(
        self,
        regression: Callable[..., tuple[np.ndarray, np.ndarray]],
        weights: dict[str, float],
        train: Interactions,
        validation: Interactions | None,
    ) -> tuple[dict[str, float], list[tuple[dict[str, float], float]]]:
        """Return λ and α, and all that were compared."""
        names = ["l2"] if self.l2 == "validation" else []
        names += weights if self.content_weight == "validation" else []
        start = {"l2": _FIRST_L2 if self.l2 == "validation" else self.l2, **weights}
        if not names:
            return start, []
        users = validation_users(train, validation)
        if validation is None or not len(users):
            raise ValueError(
                "l2 or content_weight is chosen by users with a training and a validation item, "
                "and there are none: fit(train, features, validation), or give EASE numbers"
            )
        history = train.matrix[users]

        def measured(values: dict[str, float]) -> float:
            return quality(history @ regression(**values)[0], train, validation, users)

        return search(measured, start, names, self.trials)

    def score_new_items(self, users: Rows, features: Features) -> np.ndarray:
        """Score items that were not in the catalogue: float32 (n_users, n_new_items).

        Comparable with `score`: what it would have given, had the item been there, alone and
        untaken; up to ``popularity``'s mean over the catalogue, where that is above 0.

        Raises
        ------
        ValueError
            If no content is read, a modality is missing, has another length than in ``fit`` or
            holds NaN, or a user row is unknown.
        RuntimeError
            Before ``fit``, or if it was saved by a version that could not do this.
        """
        train = self.train
        users = check_rows(users, train.n_users, "user")
        if not hasattr(self, "_reach"):
            raise RuntimeError("this EASE was saved by an older version: fit it again")
        if not self._content:
            raise ValueError("interactions alone say nothing of new items: give content a weight")
        lacking = [name for name in self._content if name not in features]
        if lacking:
            raise ValueError(f"new items need the features {lacking} too (zeros where absent)")
        history = as_dense(train.matrix[users])
        average = np.asarray(train.matrix.mean(axis=0), dtype=np.float32)
        history[~history.any(axis=1)] = average
        unexplained = (history - history @ self._weights) * self._reach
        total: Any = 0.0
        for name, known in self._content.items():
            given: Any = as_array(name, features[name])
            new: Any = unit_rows(given)
            if new.shape[1:] != known.shape[1:]:
                raise ValueError(
                    f"features[{name!r}] has shape {given.shape}; new items need as many numbers "
                    f"as in fit, {known.shape[1]}"
                )
            if not np.isfinite(abs(given).sum()):
                raise ValueError(f"features[{name!r}] holds NaN or infinity")
            total = total + np.float32(self.chosen[name]) * as_dense((unexplained @ known) @ new.T)
        return np.asarray(total, dtype=np.float32)

    def _state(self) -> dict[str, np.ndarray]:
        state = super()._state()
        if hasattr(self, "_reach"):
            state["reach"] = self._reach
            state |= {f"chosen/{name}": np.array(value) for name, value in self.chosen.items()}
            for name, unit in self._content.items():
                rows = sparse.csr_array(unit)
                arrays = csr_arrays(rows) | {"width": np.array(rows.shape[1])}
                state |= {f"content/{name}/{part}": array for part, array in arrays.items()}
        return state

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        super()._restore(state)
        if "reach" not in state:  # saved by an older version
            return
        self._reach, self.tried = state["reach"], []
        self.chosen = {name: float(value) for name, value in with_prefix("chosen/", state).items()}
        content = {name: with_prefix(f"content/{name}/", state) for name in self.chosen}
        self._content = {
            name: csr_of(arrays, int(arrays["width"])) for name, arrays in content.items() if arrays
        }


def _product(unit: np.ndarray | sparse.csr_array) -> np.ndarray:
    """Return F Fᵀ, float32 (n_items, n_items)."""
    found = np.empty((unit.shape[0], unit.shape[0]), np.float32)
    for items in slices(len(found)):
        found[items] = as_dense(unit[items] @ unit.T)
    return found


def _regression(gram: np.ndarray, l2: float, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return W, float32, and P's diagonal, of X'ᵀX' in Fortran's order, which is overwritten."""
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] += l2
    factor, fault = linalg.lapack.dpotrf(gram, lower=1, overwrite_a=1)
    if fault == 0:
        factor, fault = linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
    if fault:
        raise ValueError(f"l2 is {l2}, too small for this data: the matrix has no inverse")
    precision = np.array(factor[diagonal])
    weights = np.tril(factor.astype(np.float32))
    weights += np.tril(weights, -1).T
    weights *= scale[:, None].astype(np.float32)
    weights /= -weights[diagonal]
    weights[diagonal] = 0.0
    return weights, precision


def search(
    measured: Callable[[dict[str, float]], float],
    start: Mapping[str, float],
    names: Sequence[str],
    trials: int,
) -> tuple[dict[str, float], list[tuple[dict[str, float], float]]]:
    """Return the best values and all that were tried: one number after another, by factors.

    By 4 and 1/4 as long as that is better, then by 2 and 1/2, then by √2 and its inverse, until
    ``trials`` are made. A value of 0 goes to 0.1 λ times the square of that factor.

    >>> search(lambda x: -abs(x["l2"] - 900), {"l2": 100.0}, ["l2"], trials=7)[0]
    {'l2': 800.0}
    """
    best = dict(start)
    tried = [(best, measured(best))]
    quality = tried[0][1]
    for factor in (4.0, 2.0, 2.0**0.5):
        for name in names:
            for move in (factor, 1 / factor):
                better = True
                while better and len(tried) < trials:
                    value = best[name] * move or _FIRST_WEIGHT * move**2 * best["l2"]
                    values = {**best, name: value}
                    if any(values == earlier for earlier, _ in tried):
                        break
                    tried.append((values, measured(values)))
                    better = tried[-1][1] > quality
                    if better:
                        best, quality = tried[-1]
    return best, tried
