"""Recommenders that average vectors over graphs: of who took what, and of which items are alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from scipy import sparse

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.content import as_dense, chosen_modalities, unit_rows
from mmtutorial.recommenders.inputs import Features
from mmtutorial.recommenders.item_to_item import nearest
from mmtutorial.recommenders.pairwise import Pairwise, Parts, Represented


class LightGCN(Pairwise):
    r"""Vectors averaged over the graph of who took what. Ignores features.

    Users and items are nodes, interactions edges. In each layer a node becomes the sum of its
    neighbours, and its vector is the mean over the layers:

    .. math::
        \boldsymbol p_u^{(l+1)} &= \sum_{i \in H(u)} \frac{\boldsymbol q_i^{(l)}}
                                   {\sqrt{|H(u)|\,|H(i)|}}, &
        \boldsymbol q_i^{(l+1)} &= \sum_{u \in H(i)} \frac{\boldsymbol p_u^{(l)}}
                                   {\sqrt{|H(u)|\,|H(i)|}}, \\
        \boldsymbol p_u &= \frac{1}{L + 1} \sum_{l=0}^{L} \boldsymbol p_u^{(l)}

    Only the vectors of layer 0 are learnt, and penalised; there is no bias. Each step goes once
    through the whole graph, so that large batches are cheaper. See `Pairwise` for the loss.

    Parameters
    ----------
    layers : int
        L; with 0 it is matrix factorisation. For the other parameters see `Pairwise`.

    References
    ----------
    He, Deng, Wang, Li, Zhang and Wang (2020), LightGCN: simplifying and powering graph convolution
    network for recommendation.

    Examples
    --------
    >>> taken = {"ann": "tea cup pot", "bob": "tea cup", "eve": "ice cone", "joe": "ice cone bowl"}
    >>> train = Interactions.of([(user, item, time) for user, items in taken.items()
    ...                          for time, item in enumerate(items.split())])
    >>> graph = LightGCN(dimensions=4, steps=50).fit(train)
    >>> train.items[graph.recommend([1, 2], k=1)].tolist()  # bob and eve
    [['pot'], ['bowl']]
    """

    name = "LightGCN"
    _least_batch, _most_batches = 4096, 32

    def __init__(
        self,
        layers: int = 2,
        dimensions: int = 64,
        learning_rate: float = 0.01,
        l2: float = 0.003,
        batch_size: int | None = None,
        steps: int = 6000,
        patience: int = 400,
        validate_every: int = 25,
        spread: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(
            dimensions, learning_rate, l2, batch_size, steps, patience, validate_every, spread, seed
        )
        self.layers = layers

    def _parts(
        self, train: Interactions, features: Features, generator: np.random.Generator
    ) -> Parts:
        if self.layers < 0:
            raise ValueError(f"layers is {self.layers}; it must be 0 or more")
        return {
            "nodes": self._vectors(generator, train.n_users + train.n_items, self.dimensions),
            "graph": Graph(train.matrix, self.layers),
        }

    def _represent(self, parts: Parts, users: tf.Tensor, items: tf.Tensor) -> Represented:
        def product(nodes: tf.Tensor, transposed: bool) -> tf.Tensor:
            def multiply(vectors: np.ndarray) -> np.ndarray:  # by the graph of this moment
                graph: Graph = parts["graph"]
                return graph.multiply(vectors, transposed)

            nodes = tf.convert_to_tensor(nodes)  # from slices, where few have a slope
            found = tf.numpy_function(multiply, [nodes], tf.float32)
            return tf.ensure_shape(found, nodes.shape)

        @tf.custom_gradient
        def propagate(nodes: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
            return product(nodes, False), lambda slope: product(slope, True)

        rows = tf.concat([users, parts["graph"].n_users + items], axis=0)
        vectors = tf.gather(propagate(parts["nodes"]), rows)
        p, q = tf.split(vectors, [tf.size(users), tf.size(items)])
        return p, q, tf.zeros(tf.size(items)), tf.nn.l2_loss(tf.gather(parts["nodes"], rows))


class FREEDOM(LightGCN):
    r"""LightGCN on a pruned graph, and vectors of items averaged over items of like content.

    Of each modality m, every item is joined to the k items whose features have the largest cosine
    with its own, itself among them: A_m (n_items, n_items), 1 where there is an edge. These graphs
    are made once, and frozen. With their weights α_m, which sum to 1,

    .. math::
        \boldsymbol S = \sum_m \alpha_m
        \boldsymbol D_m^{-1/2} \boldsymbol A_m \boldsymbol D_m^{-1/2}, \qquad
        \tilde{\boldsymbol q}_i = \boldsymbol q_i
        + \sum_j S_{ij} \boldsymbol q_j^{(0)}

    where D_m holds the row sums of A_m, and q is LightGCN's vector of the item. A share of the
    edges of who took what is left out, drawn anew after each validation: an edge (u, i) stays with
    a probability proportional to :math:`1 / \sqrt{|H(u)|\,|H(i)|}`, so that popular items lose
    more. Recommendations use the whole graph. To the loss of `Pairwise` the same comparison by
    projected features is added, of each modality,

    .. math::
        \frac{\mu}{|B|} \sum_m \sum_{(u, i, j) \in B} -\ln \sigma\left(\boldsymbol p_u^\top
        \boldsymbol E_m^\top (\boldsymbol f_{im} - \boldsymbol f_{jm})\right)

    An item that lacks a modality has no edges in that graph, and its other modalities' weights are
    scaled to sum to 1.

    Parameters
    ----------
    modalities : sequence of str or mapping, optional
        Features to read, or a mapping of them to their weights α; all that `fit` is given, weighted
        equally, without it. Choose the weights on the validation part.
    k : int
        Neighbours of an item, itself included.
    pruned : float
        Share of the edges that are left out: 0 or more, below 1.
    content_loss : float
        μ. For the other parameters see `LightGCN`.

    References
    ----------
    Zhou and Shen (2023), A tale of two graphs: freezing and denoising graph structures for
    multimodal recommendation.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 1), ("bob", "ice", 2), ("eve", "tea", 3)],
    ...                         items=["cocoa", "ice", "tea"])
    >>> warm = np.array([[1.0, 0.1], [0.0, 1.0], [1.0, 0.0]])
    >>> model = FREEDOM(k=2, dimensions=4, steps=50)
    >>> model.fit(train, {"text": warm}).recommend([0], k=1)  # to ann, the cocoa that nobody took
    array([[0]])
    """

    name = "FREEDOM"

    def __init__(
        self,
        modalities: Sequence[str] | Mapping[str, float] | None = None,
        k: int = 10,
        pruned: float = 0.8,
        content_loss: float = 0.001,
        layers: int = 2,
        dimensions: int = 64,
        learning_rate: float = 0.01,
        l2: float = 0.003,
        batch_size: int | None = None,
        steps: int = 6000,
        patience: int = 400,
        validate_every: int = 25,
        spread: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(
            layers,
            dimensions,
            learning_rate,
            l2,
            batch_size,
            steps,
            patience,
            validate_every,
            spread,
            seed,
        )
        self.modalities = modalities
        self.k = k
        self.pruned = pruned
        self.content_loss = content_loss
        if modalities:
            self.name = f"FREEDOM ({', '.join(modalities)})"

    def _parts(
        self, train: Interactions, features: Features, generator: np.random.Generator
    ) -> Parts:
        if not 0 <= self.pruned < 1:
            raise ValueError(f"pruned is {self.pruned}; it must be 0 or more, and below 1")
        parts = super()._parts(train, features, generator)
        chosen = chosen_modalities(features, list(self.modalities or ()), self)
        given = self.modalities if isinstance(self.modalities, Mapping) else {}
        weights = {name: given.get(name, 1.0) for name in chosen}
        units = {name: unit_rows(features[name]) for name in chosen}
        parts["whole"] = Graph(train.matrix, self.layers, item_graph(units, weights, self.k))
        for name, unit in units.items():
            parts[f"content/{name}"] = tf.constant(as_dense(unit))
            parts[f"embedding/{name}"] = self._vectors(generator, unit.shape[1], self.dimensions)
        return parts

    def _begin_round(self, parts: Parts, generator: np.random.Generator) -> None:
        parts["graph"] = parts["whole"].pruned(self.pruned, generator)

    def _set_vectors(self, parts: Parts, train: Interactions, known: np.ndarray) -> None:
        parts["graph"] = parts["whole"]
        super()._set_vectors(parts, train, known)

    def _further_loss(
        self, parts: Parts, p: tf.Tensor, taken: tf.Tensor, others: tf.Tensor
    ) -> tf.Tensor:
        total = tf.zeros(())
        for name, content in parts.items():
            if name.startswith("content/"):
                apart = tf.gather(content, taken) - tf.gather(content, others)  # (batch, d_m)
                embedded = apart @ parts[name.replace("content/", "embedding/")]
                total += tf.reduce_sum(tf.nn.softplus(-tf.reduce_sum(p * embedded, axis=1)))
        return self.content_loss * total


class Graph:
    """What LightGCN's vectors are multiplied by: the mean over layers, and like items' vectors.

    Parameters
    ----------
    taken : csr_array
        (n_users, n_items), nonzero where a user took an item.
    layers : int
        L, see `LightGCN`.
    alike : csr_array, optional
        S, float32 (n_items, n_items), see `FREEDOM`.

    Examples
    --------
    >>> graph = Graph(sparse.csr_array([[1.0, 1.0]]), layers=1)  # one user, two items
    >>> graph.multiply(np.float32([[1], [0], [0]]), transposed=False).round(2).ravel()
    array([0.5 , 0.35, 0.35], dtype=float32)
    """

    def __init__(
        self, taken: sparse.csr_array, layers: int, alike: sparse.csr_array | None = None
    ) -> None:
        self.n_users, self.layers = taken.shape[0], layers
        users, items = taken.nonzero()
        degrees = [np.bincount(rows) for rows in (users, items)]
        self._weights = 1 / np.sqrt(degrees[0][users] * degrees[1][items])
        self._edges = (users, items)
        edges = (self._weights.astype(np.float32), self._edges)
        self._of_items = sparse.csr_array(edges, taken.shape)
        self._of_users = self._of_items.T.tocsr()
        self._alike = alike
        self._alike_transposed = None if alike is None else alike.T.tocsr()

    def multiply(self, nodes: np.ndarray, transposed: bool) -> np.ndarray:
        """Multiply vectors of users, then items, float32 (n_nodes, d), by the graph."""
        users, items = nodes[: self.n_users], nodes[self.n_users :]
        p, q, total = users, items, nodes.copy()
        for _ in range(self.layers):
            p, q = self._of_items @ q, self._of_users @ p
            total[: self.n_users] += p
            total[self.n_users :] += q
        total /= np.float32(self.layers + 1)
        alike = self._alike_transposed if transposed else self._alike
        if alike is not None:
            total[self.n_users :] += alike @ items
        return total

    def pruned(self, share: float, generator: np.random.Generator) -> Graph:
        """Leave out a share of the edges; they stay by chance, those of small degrees rather."""
        if share == 0:
            return self
        n_kept = max(round((1 - share) * len(self._weights)), 1)
        # the smallest of exponential variates of these rates are a draw without replacement
        arrivals = generator.exponential(size=len(self._weights)) / self._weights
        kept = np.sort(np.argpartition(arrivals, n_kept - 1)[:n_kept])
        users, items = (ends[kept] for ends in self._edges)
        ones = np.ones(n_kept, np.float32)
        taken = sparse.csr_array(sparse.coo_array((ones, (users, items)), self._of_items.shape))
        return Graph(taken, self.layers, self._alike)


def item_graph(
    units: Mapping[str, np.ndarray | sparse.csr_array], weights: Mapping[str, float], k: int
) -> sparse.csr_array:
    """Join each item to the k nearest by each modality: S of `FREEDOM`, float32 (n_items, n_items).

    Parameters
    ----------
    units : mapping
        Modality name to features, rows of length 1 or 0: (n_items, d).
    weights : mapping
        Modality name to α; only their ratios count.
    k : int
        Neighbours, the item itself included.

    Raises
    ------
    ValueError
        If k is below 1, a weight is negative or all are 0.

    Examples
    --------
    >>> units = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 0.0]])
    >>> item_graph({"text": units}, {"text": 1.0}, k=2).toarray().round(2)
    array([[0.5, 0.5, 0. ],
           [0.5, 0.5, 0. ],
           [0. , 0. , 0. ]], dtype=float32)
    """
    if min(weights.values()) < 0 or not sum(weights.values()) > 0:
        raise ValueError(f"the modalities' weights are {dict(weights)}; 0 or more, not all 0")
    n_items = next(iter(units.values())).shape[0]
    total = sparse.csr_array((n_items, n_items), dtype=np.float32)
    available = np.zeros(n_items)
    for name, unit in units.items():
        neighbours = nearest(
            lambda items, unit=unit: as_dense(unit[items] @ unit.T),  # type: ignore[misc]
            np.ones(n_items, dtype=bool),
            k,
            itself=True,
        )
        edges = neighbours.T.tocsr()  # rows: whose neighbours; columns: the neighbours
        edges.data[:] = 1.0
        degrees = np.asarray(edges.sum(axis=1))
        scale = sparse.diags_array(1 / np.sqrt(np.maximum(degrees, 1.0)))
        total += weights[name] * (scale @ edges @ scale)
        available += weights[name] * (degrees > 0)
    share = np.divide(1.0, available, out=np.zeros(n_items), where=available > 0)
    return sparse.csr_array(sparse.diags_array(share) @ total).astype(np.float32)
