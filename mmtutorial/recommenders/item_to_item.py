"""Recommenders that know only how items go with items, such as nearest neighbours."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.base import Features, Recommender, top_k
from mmtutorial.recommenders.content import as_dense, chosen_modalities, unit_rows

_BLOCK = 1024  # items whose similarities to all others are held at a time


class ItemToItem(Recommender):
    r"""Scores an item by how well it goes with what the user has: the history times a matrix.

    .. math:: s(u, i) = \sum_{j \in H(u)} W_{ji}

    A user without a history H(u) gets the scores of the average user, the mean over all users.
    """

    def _learn(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> None:
        self._weights = self._item_weights(train, features, validation)
        self._prepare(train)

    @abstractmethod
    def _item_weights(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> np.ndarray | sparse.csr_array:
        """Return W, float32 (n_items, n_items): what having item j says for item i."""

    def _prepare(self, train: Interactions) -> None:
        average = np.asarray(train.matrix.mean(axis=0), dtype=np.float32).reshape(1, -1)
        self._average = np.asarray(average @ self._weights, dtype=np.float32)

    def _score(self, users: np.ndarray) -> np.ndarray:
        history = self._fitted().matrix[users]
        scores = as_dense(history @ self._weights)
        return np.where(np.diff(history.indptr)[:, None] > 0, scores, self._average)

    def _state(self) -> dict[str, np.ndarray]:
        if isinstance(self._weights, np.ndarray):
            return {"weights": self._weights}
        return csr_arrays(self._weights)

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        train = self._fitted()
        if "weights" in state:
            self._weights = state["weights"]
        else:
            self._weights = csr_of(state, train.n_items)
        self._prepare(train)


class ItemKNN(ItemToItem):
    r"""Recommends the nearest neighbours of what a user has, by who took them.

    How often two items were taken together, divided by how often each was taken, and shrunk where
    few users took both; each item listens to its k nearest neighbours N(i):

    .. math::
        W_{ji} = \frac{c_{ji}}{c_{jj}^{a}\, c_{ii}^{b} + h} \quad (j \in N(i)), \qquad
        c_{ji} = \sum_{u} w_u X_{uj} X_{ui}, \qquad w_u \propto |H(u)|^{-\beta}

    With a = b = 1/2 and β = 0 it is the cosine of two columns of the interaction matrix X. A
    smaller b recommends popular items more; with a larger β, users who took very much count less.
    The mean of w over the interactions is 1, so that h means the same for every β. An item that
    nobody took scores 0. Ignores features.

    Parameters
    ----------
    k : int
        Neighbours of an item.
    shrink : float
        h: the larger, the less is believed of items that few users took.
    exponents : pair of float
        a of the item that the user has, b of the item to recommend: 0 or more.
    user_exponent : float
        β, 0 or more. Choose all of them on the validation part.

    References
    ----------
    Sarwar, Karypis, Konstan and Riedl (2001), Item-based collaborative filtering recommendation
    algorithms. The shrinkage is of Bell and Koren (2007), Improved neighborhood-based collaborative
    filtering; different exponents of Aiolli (2013), Efficient top-N recommendation for very large
    scale binary rated datasets; weights of users of Deshpande and Karypis (2004), Item-based top-N
    recommendation algorithms.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3),
    ...                          ("bob", "cup", 4), ("eve", "tea", 5), ("eve", "ice", 6)])
    >>> ItemKNN(shrink=0).fit(train).score([2]).round(2)  # eve's cup, ice, tea
    array([[0.82, 0.58, 0.58]], dtype=float32)
    """

    name = "item-kNN"

    def __init__(
        self,
        k: int = 50,
        shrink: float = 10.0,
        exponents: Sequence[float] = (0.5, 0.5),
        user_exponent: float = 0.0,
    ) -> None:
        self.k = k
        self.shrink = shrink
        self.exponents = exponents
        self.user_exponent = user_exponent

    def _item_weights(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> sparse.csr_array:
        if self.shrink < 0:
            raise ValueError(f"shrink is {self.shrink}; it must be 0 or more")
        if len(self.exponents) != 2 or min(self.exponents) < 0:
            raise ValueError(f"exponents is {self.exponents}; it must be two numbers, 0 or more")
        taken = train.matrix
        weighted = weighted_rows(taken, self.user_exponent)
        users_of = taken.T.tocsr()
        counts = np.asarray(weighted.sum(axis=0), dtype=np.float32)
        of_neighbour, of_item = (counts ** np.float32(power) for power in self.exponents)

        def similarities(items: slice) -> np.ndarray:
            common = (users_of[items] @ weighted).toarray()
            both = of_item[items, None] * of_neighbour + np.float32(self.shrink)
            return np.divide(common, both, out=np.zeros_like(common), where=common > 0)

        return nearest(similarities, counts > 0, self.k)


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

    def _item_weights(
        self, train: Interactions, features: Features, validation: Interactions | None
    ) -> sparse.csr_array:
        chosen = chosen_modalities(features, self.modalities, self)
        units = [unit_rows(features[name]) for name in chosen]
        has = np.stack([_present(unit) for unit in units], axis=1).astype(np.float32)

        def similarities(items: slice) -> np.ndarray:
            total = np.zeros((len(has[items]), len(has)), dtype=np.float32)
            for unit in units:
                total += as_dense(unit[items] @ unit.T)
            return np.maximum(total / np.maximum(has[items] @ has.T, 1.0), 0.0)

        return nearest(similarities, train.matrix.sum(axis=0) > 0, self.k)


def nearest(
    similarities: Callable[[slice], np.ndarray],
    allowed: np.ndarray,
    k: int,
    itself: bool = False,
) -> sparse.csr_array:
    """Keep each item's k most similar items: W (n_items, n_items), W[j, i] > 0 for neighbours j.

    ``similarities`` gives rows of the similarity matrix; only ``allowed`` items are neighbours, an
    item of itself only where that is asked for. Raises ValueError if k is below 1.

    >>> similarity = np.array([[1.0, 0.2, 0.7], [0.2, 1.0, 0.0], [0.7, 0.0, 1.0]])
    >>> nearest(lambda items: similarity[items].copy(), np.ones(3, dtype=bool), k=1).toarray()
    array([[0. , 0.2, 0.7],
           [0. , 0. , 0. ],
           [0.7, 0. , 0. ]])
    """
    if k < 1:
        raise ValueError(f"k is {k}; an item needs at least one neighbour")
    n_items = len(allowed)
    blocks = []
    for items in slices(n_items):
        block = similarities(items)
        rows = np.arange(n_items)[items]
        block[:, ~allowed] = 0.0
        if not itself:
            block[np.arange(len(rows)), rows] = 0.0
        nearest = top_k(np.where(block > 0, block, -np.inf), k)
        place, _ = found = np.nonzero(nearest >= 0)
        neighbours = nearest[found]
        values = block[place, neighbours]
        blocks.append(sparse.coo_array((values, (neighbours, rows[place])), (n_items, n_items)))
    return sparse.csr_array(sum(blocks[1:], blocks[0]))


def weighted_rows(taken: sparse.csr_array, exponent: float) -> sparse.csr_array:
    """Weigh users by a power of how many items they have; over the interactions, the mean is 1."""
    if exponent < 0:
        raise ValueError(f"user_exponent is {exponent}; it must be 0 or more")
    counts = np.diff(taken.indptr)
    weights = np.maximum(counts, 1.0) ** -exponent
    weights *= counts.sum() / max(counts @ weights, 1e-12)
    return sparse.csr_array(sparse.diags_array(weights.astype(np.float32)) @ taken)


def csr_arrays(matrix: sparse.csr_array) -> dict[str, np.ndarray]:
    """Return what a sparse matrix is made of, to be saved."""
    return {name: getattr(matrix, name) for name in ("data", "indices", "indptr")}


def csr_of(arrays: Mapping[str, np.ndarray], n_columns: int) -> sparse.csr_array:
    """Make a sparse matrix of what `csr_arrays` returned."""
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    return sparse.csr_array(parts, shape=(len(arrays["indptr"]) - 1, n_columns))


def _present(rows: Any) -> np.ndarray:
    """Say which rows hold anything but zeros: bool (n_rows,)."""
    return np.asarray(abs(rows).sum(axis=1)).ravel() > 0


def slices(n_items: int) -> Iterator[slice]:
    """Go through all items, 1,024 at a time."""
    return (slice(start, start + _BLOCK) for start in range(0, n_items, _BLOCK))
