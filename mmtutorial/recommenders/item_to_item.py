"""Recommenders that know only how items go with items: neighbours, and linear autoencoders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import linalg, sparse

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.base import Features, Recommender
from mmtutorial.recommenders.content import as_dense, chosen_modalities, unit_rows
from mmtutorial.recommenders.ranking import top_k

_BLOCK = 1024  # items whose similarities to all others are held at a time


class ItemToItem(Recommender):
    r"""Scores an item by how well it goes with what the user has: the history times a matrix.

    .. math:: s(u, i) = \sum_{j \in H(u)} W_{ji}

    A user without a history H(u) gets the scores of the average user, the mean over all users.
    """

    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        self._weights = self._item_weights(train, features)
        self._prepare(train)

    @abstractmethod
    def _item_weights(
        self, train: Interactions, features: Features
    ) -> np.ndarray | sparse.csr_array:
        """Return W, float32 (n_items, n_items): what having item j says for item i."""

    def _prepare(self, train: Interactions) -> None:
        average = np.asarray(train.matrix.mean(axis=0), dtype=np.float32).reshape(1, -1)
        self._average = np.asarray(average @ self._weights, dtype=np.float32)

    def _score(self, users: np.ndarray) -> np.ndarray:
        history = self.train.matrix[users]
        scores = as_dense(history @ self._weights)
        return np.where(np.diff(history.indptr)[:, None] > 0, scores, self._average)

    def _state(self) -> dict[str, np.ndarray]:
        if isinstance(self._weights, np.ndarray):
            return {"weights": self._weights}
        return {name: getattr(self._weights, name) for name in ("data", "indices", "indptr")}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        train = self.train
        if "weights" in state:
            self._weights = state["weights"]
        else:
            parts = (state["data"], state["indices"], state["indptr"])
            self._weights = sparse.csr_array(parts, shape=(train.n_items, train.n_items))
        self._prepare(train)


class ItemKNN(ItemToItem):
    r"""Recommends the nearest neighbours of what a user has, by who took them.

    The cosine of two items' columns of the interaction matrix X, shrunk where few users speak for
    it; each item listens to its k nearest neighbours N(i):

    .. math::
        W_{ji} = \frac{\boldsymbol x_j^\top \boldsymbol x_i}
                      {\lVert \boldsymbol x_j \rVert \lVert \boldsymbol x_i \rVert + h}
        \quad (j \in N(i))

    An item that nobody took scores 0. Ignores features.

    Parameters
    ----------
    k : int
        Neighbours of an item.
    shrink : float
        h: the larger, the less is believed of items that few users took.

    References
    ----------
    Sarwar, Karypis, Konstan and Riedl (2001), Item-based collaborative filtering recommendation
    algorithms. The shrinkage is of Bell and Koren (2007), Improved neighborhood-based collaborative
    filtering.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3),
    ...                          ("bob", "cup", 4), ("eve", "tea", 5), ("eve", "ice", 6)])
    >>> ItemKNN(shrink=0).fit(train).score([2]).round(2)  # eve's cup, ice, tea
    array([[0.82, 0.58, 0.58]], dtype=float32)
    """

    name = "item-kNN"

    def __init__(self, k: int = 50, shrink: float = 10.0) -> None:
        self.k = k
        self.shrink = shrink

    def _item_weights(self, train: Interactions, features: Features) -> sparse.csr_array:
        if self.shrink < 0:
            raise ValueError(f"shrink is {self.shrink}; it must be 0 or more")
        taken = train.matrix
        users_of = taken.T.tocsr()
        length = np.sqrt(np.diff(users_of.indptr).astype(np.float32))

        def similarities(items: slice) -> np.ndarray:
            common = (users_of[items] @ taken).toarray()
            both = length[items, None] * length + np.float32(self.shrink)
            return np.divide(common, both, out=np.zeros_like(common), where=common > 0)

        return _nearest(similarities, length > 0, self.k)


class ContentKNN(ItemToItem):
    r"""Recommends what is like the things a user has: the nearest neighbours by content.

    The similarity of two items is the cosine of their features, averaged over the modalities
    M(i, j) that both have; each item listens to its k nearest neighbours N(i) among the items that
    somebody took, so that new items are recommended like any other:

    .. math::
        W_{ji} = \frac{1}{|M(i, j)|} \sum_{m \in M(i, j)}
                 \frac{\boldsymbol f_{jm}^\top \boldsymbol f_{im}}
                      {\lVert \boldsymbol f_{jm} \rVert \lVert \boldsymbol f_{im} \rVert}
        \quad (j \in N(i))

    An item without any content scores 0, and negative cosines count as 0.

    Parameters
    ----------
    modalities : sequence of str, optional
        Features to compare; all that `fit` is given without it.
    k : int
        Neighbours of an item.

    References
    ----------
    Lops, de Gemmis and Semeraro (2011), Content-based recommender systems: state of the art and
    trends.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 1)], items=["cup", "ice", "tea"])
    >>> warmth = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])  # nothing is known of ice
    >>> ContentKNN().fit(train, {"text": warmth}).score([0]).round(2)
    array([[0.71, 0.  , 0.  ]], dtype=float32)
    """

    def __init__(self, modalities: Sequence[str] | None = None, k: int = 50) -> None:
        self.modalities = modalities
        self.k = k
        self.name = "content-kNN" + (f" ({', '.join(modalities)})" if modalities else "")

    def _item_weights(self, train: Interactions, features: Features) -> sparse.csr_array:
        chosen = chosen_modalities(features, self.modalities, self)
        units = [unit_rows(features[name]) for name in chosen]
        has = np.stack([_present(unit) for unit in units], axis=1).astype(np.float32)

        def similarities(items: slice) -> np.ndarray:
            total = np.zeros((len(has[items]), len(has)), dtype=np.float32)
            for unit in units:
                total += as_dense(unit[items] @ unit.T)
            return np.maximum(total / np.maximum(has[items] @ has.T, 1.0), 0.0)

        return _nearest(similarities, train.matrix.sum(axis=0) > 0, self.k)


class EASE(ItemToItem):
    r"""Predicts each item from all others by ridge regression, in closed form: a strong baseline.

    Each column of the interaction matrix X (n_users, n_items) is predicted from the others, so the
    diagonal of W is zero. The items' content can speak too, as further rows under X, as if each
    number of a feature were one more user (F, one l2-normalised row an item):

    .. math::
        X' = \begin{bmatrix} X \\ \sqrt{\alpha_1}\, F_1^\top \\ \vdots \end{bmatrix}, \qquad
        P = \left(X'^\top X' + \lambda I\right)^{-1}, \qquad
        W_{ji} = \begin{cases} 0 & i = j \\ -P_{ji} / P_{ii} & i \ne j \end{cases}

    With ``popularity`` γ the columns of X are divided by n_i^γ, where n_i users took item i, before
    they are predicted, and multiplied after it: the larger, the more a rare item is let to say.

    Only X'ᵀX', float64 (n_items, n_items), is held, whatever the number of users and features. An
    item that nobody took is recommended by its content, and scores 0 where there is none.

    Parameters
    ----------
    l2 : float
        λ, above 0.
    content_weight : float or mapping
        α of every modality that `fit` is given, or modality name to α (the others are not read).
        With 0 features are ignored.
    popularity : float
        γ, from 0 to 1. Choose it, like λ and α, on the validation part.

    References
    ----------
    Steck (2019), Embarrassingly shallow autoencoders for sparse data. Content as further rows:
    Jeunen, Van Balen and Goethals (2020), Closed-form models for collaborative filtering with
    side-information. Scaling by popularity: Nikolakopoulos, Kalantzis, Gallopoulos and Garofalakis
    (2019), EigenRec: generalizing PureSVD for effective and efficient top-N recommendations.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)],
    ...                         items=["cup", "ice", "tea"])
    >>> EASE(l2=1).fit(train).score([1]).round(2)  # bob, who has tea: cup, ice, tea
    array([[0.33, 0.  , 0.  ]], dtype=float32)
    >>> words = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> EASE(l2=1, content_weight=1).fit(train, {"text": words}).score([1]).round(2)
    array([[0.46, 0.23, 0.  ]], dtype=float32)
    """

    def __init__(
        self,
        l2: float = 100.0,
        content_weight: float | Mapping[str, float] = 0.0,
        popularity: float = 0.0,
    ) -> None:
        self.l2 = l2
        self.content_weight = content_weight
        self.popularity = popularity
        heard = ["content"] if content_weight else []
        if isinstance(content_weight, Mapping):
            heard = [name for name, weight in content_weight.items() if weight]
        self.name = f"EASE + {', '.join(heard)}" if heard else "EASE"

    def _item_weights(self, train: Interactions, features: Features) -> np.ndarray:
        if not self.l2 > 0:
            raise ValueError(f"l2 is {self.l2}; it must be above 0, or the matrix has no inverse")
        if not 0 <= self.popularity <= 1:
            raise ValueError(f"popularity is {self.popularity}; it must be from 0 to 1")
        counts = np.maximum(train.matrix.sum(axis=0, dtype=np.float64), 1.0)
        scale = counts**-self.popularity * np.mean(counts**self.popularity)
        gram = np.asfortranarray((train.matrix.T @ train.matrix).toarray(), dtype=np.float64)
        gram *= scale
        gram *= scale[:, None]
        for name, weight in self._content_weights(features).items():
            unit = unit_rows(features[name])
            for items in _slices(len(gram)):
                gram[items] += weight * as_dense(unit[items] @ unit.T)
        diagonal = np.diag_indices_from(gram)
        gram[diagonal] += self.l2
        factor, fault = linalg.lapack.dpotrf(gram, lower=1, overwrite_a=1)
        if fault == 0:
            factor, fault = linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
        if fault:
            raise ValueError(f"l2 is {self.l2}, too small for this data: the matrix has no inverse")
        weights = np.tril(factor.astype(np.float32))
        weights += np.tril(weights, -1).T
        weights *= scale[:, None].astype(np.float32)
        weights /= -weights[diagonal]
        weights[diagonal] = 0.0
        return weights

    def _content_weights(self, features: Features) -> dict[str, float]:
        """Return the weight of each modality that is read."""
        if isinstance(self.content_weight, Mapping):
            weights = dict(self.content_weight)
        else:
            weights = dict.fromkeys(features, self.content_weight)
        for name, weight in weights.items():
            if weight < 0:
                raise ValueError(f"the content_weight of {name!r} is {weight}; 0 or more, please")
        heard = {name: weight for name, weight in weights.items() if weight > 0}
        if heard or (self.content_weight and not isinstance(self.content_weight, Mapping)):
            chosen_modalities(features, list(heard) or None, self)
        return heard


def _nearest(
    similarities: Callable[[slice], np.ndarray], allowed: np.ndarray, k: int
) -> sparse.csr_array:
    """Keep each item's k most similar other items: W, with W[j, i] > 0 where i listens to j.

    ``similarities`` gives rows of the similarity matrix; only ``allowed`` items are neighbours.
    """
    if k < 1:
        raise ValueError(f"k is {k}; an item needs at least one neighbour")
    n_items = len(allowed)
    blocks = []
    for items in _slices(n_items):
        block = similarities(items)
        rows = np.arange(n_items)[items]
        block[:, ~allowed] = 0.0
        block[np.arange(len(rows)), rows] = 0.0
        nearest = top_k(np.where(block > 0, block, -np.inf), k)
        place, _ = found = np.nonzero(nearest >= 0)
        neighbours = nearest[found]
        values = block[place, neighbours]
        blocks.append(sparse.coo_array((values, (neighbours, rows[place])), (n_items, n_items)))
    return sparse.csr_array(sum(blocks[1:], blocks[0]))


def _present(rows: Any) -> np.ndarray:
    """Say which rows hold anything but zeros: bool (n_rows,)."""
    return np.asarray(abs(rows).sum(axis=1)).ravel() > 0


def _slices(n_items: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n_items, _BLOCK))
