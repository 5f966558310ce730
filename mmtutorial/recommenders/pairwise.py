"""Recommenders that learn by comparing what a user took with what the user did not take."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from mmtutorial.interactions import Interactions
from mmtutorial.keras_settings import deterministic_operations, keras, keras_defaults
from mmtutorial.metrics import ndcg
from mmtutorial.recommenders.base import Features, Recommender
from mmtutorial.recommenders.content import as_dense, chosen_modalities, unit_rows
from mmtutorial.recommenders.ranking import top_k
from mmtutorial.storage.arrays import under
from mmtutorial.storage.checkpoint import Unfinished
from mmtutorial.storage.epochs import Epochs

_PLACES = 10  # of the validation lists that decide when to stop
_WATCHED_USERS = 2048  # at most so many users are validated after an epoch

Parts = dict[str, "tf.Variable | tf.Tensor | tf.SparseTensor"]


class Pairwise(Recommender):
    r"""Vectors of users and items whose product is larger for what was taken: the BPR loss.

    For every interaction (u, i) an item j that u did not take is drawn, anew in each epoch, and a
    batch B of such triples lowers, by Adam,

    .. math::
        \frac{1}{|B|} \sum_{(u, i, j) \in B} -\ln \sigma\left(s(u, i) - s(u, j)\right)
        + \frac{\lambda}{2} \lVert \Theta_{uij} \rVert^2, \qquad
        s(u, i) = \boldsymbol p_u^\top \boldsymbol q_i + b_i

    where Θ are the parameters that the triple uses. Where `fit` is given a validation part, the
    NDCG@10 of (at most 2,048 of) its users is measured after each epoch; learning ends when it has
    not risen for ``patience`` epochs, and the best epoch's vectors are kept. Without, the last's.

    A user without a training interaction gets the mean of the other users' vectors. The same seed
    gives the same scores.

    Parameters
    ----------
    dimensions : int
        Length of the vectors.
    learning_rate, l2 : float
        Adam's step, and λ.
    epochs, batch_size, patience : int
        How long, how many triples a step, and how many epochs to wait for a better one.
    spread : float
        Standard deviation of the vectors before learning. From small ones few directions grow
        first, from larger ones many; which is better depends on the data.
    seed : int
        Of the first vectors, the order of the interactions and the drawn items.

    Attributes
    ----------
    history : dict
        "loss" and, with a validation part, "validation_ndcg": one float an epoch.
    """

    _users: np.ndarray
    _items: np.ndarray
    _bias: np.ndarray

    def __init__(
        self,
        dimensions: int = 64,
        learning_rate: float = 0.003,
        l2: float = 0.02,
        epochs: int = 400,
        batch_size: int = 1024,
        patience: int = 30,
        spread: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.dimensions = dimensions
        self.learning_rate = learning_rate
        self.l2 = l2
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.spread = spread
        self.seed = seed

    @abstractmethod
    def _parts(
        self, train: Interactions, features: Features, generator: np.random.Generator
    ) -> Parts:
        """Return what the scores are computed from; the variables among it are learnt."""

    @abstractmethod
    def _represent(
        self, parts: Parts, users: tf.Tensor, items: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return p (n_users, d), q (n_items, d), b (n_items,) and ½‖Θ‖² of these rows."""

    def _vectors(self, generator: np.random.Generator, *shape: int) -> tf.Variable:
        return tf.Variable(generator.normal(0.0, self.spread, shape).astype(np.float32))

    @keras_defaults()
    @deterministic_operations()
    def _learn_resumably(
        self,
        train: Interactions,
        features: Features,
        validation: Interactions | None,
        unfinished: Unfinished,
    ) -> None:
        for name in ("dimensions", "epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        generator = np.random.default_rng(self.seed)
        draw = _Triples(train)
        parts = self._parts(train, features, generator)
        step_through, changed = self._compiled(parts)
        known = np.unique(train.log["user"])
        watched = _watched_users(known, validation)
        with Epochs(
            self.name, self.epochs, self.patience, unfinished, changed, generator
        ) as epochs:
            for _ in epochs:
                quality = None
                loss = float(step_through(*draw(generator)))
                if validation is not None and len(watched):
                    self._set_vectors(parts, train, known)
                    quality = self._quality(train, validation, watched)
                epochs.end(loss, quality, lambda: [self._users, self._items, self._bias])
        self.history = epochs.history
        if epochs.best:
            self._users, self._items, self._bias = epochs.best
        else:
            self._set_vectors(parts, train, known)

    def _compiled(self, parts: Parts) -> tuple[Callable[..., tf.Tensor], list[Any]]:
        """Return a function that takes one epoch's triples, learns, and returns the mean loss.

        And the variables that it changes.
        """
        learnt = [part for part in parts.values() if isinstance(part, tf.Variable)]
        optimiser = keras.optimizers.Adam(self.learning_rate)
        optimiser.build(learnt)

        @tf.function
        def step_through(users: tf.Tensor, taken: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
            total, n_triples = 0.0, tf.size(users)
            for start in tf.range(0, n_triples, self.batch_size):
                batch = slice(start, start + self.batch_size)
                size = tf.cast(tf.size(users[batch]), tf.float32)
                with tf.GradientTape() as tape:
                    items = tf.concat([taken[batch], others[batch]], axis=0)
                    p, q, b, squares = self._represent(parts, users[batch], items)
                    better, worse = tf.split(q, 2)  # each (batch, d)
                    b_better, b_worse = tf.split(b, 2)
                    margin = tf.reduce_sum(p * (better - worse), axis=1) + b_better - b_worse
                    loss = (tf.reduce_sum(tf.nn.softplus(-margin)) + self.l2 * squares) / size
                gradients = [tf.convert_to_tensor(each) for each in tape.gradient(loss, learnt)]
                optimiser.apply(gradients, learnt)
                total += loss * size
            return total / tf.cast(n_triples, tf.float32)

        return step_through, [*learnt, *optimiser.variables]

    def _set_vectors(self, parts: Parts, train: Interactions, known: np.ndarray) -> None:
        """Compute all vectors, once, for scoring."""
        every = (tf.range(train.n_users), tf.range(train.n_items))
        found = [each.numpy() for each in self._represent(parts, *every)[:3]]
        self._users, self._items, self._bias = found
        strangers = np.ones(train.n_users, dtype=bool)
        strangers[known] = False
        self._users[strangers] = self._users[known].mean(axis=0)

    def _quality(self, train: Interactions, validation: Interactions, users: np.ndarray) -> float:
        """Return the mean NDCG@10 of these users, training items excluded."""
        ranked = top_k(self._score(users), _PLACES, exclude=train.matrix[users])
        return float(ndcg(ranked, validation.matrix[users]).mean())

    def _score(self, users: np.ndarray) -> np.ndarray:
        return self._users[users] @ self._items.T + self._bias

    def _state(self) -> dict[str, np.ndarray]:
        vectors = {"users": self._users, "items": self._items, "bias": self._bias}
        return vectors | {f"history/{name}": np.array(v) for name, v in self.history.items()}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._users, self._items, self._bias = (state[n] for n in ("users", "items", "bias"))
        self.history = {name: v.tolist() for name, v in under("history/", state).items()}


class BPR(Pairwise):
    """Matrix factorisation learnt by comparing pairs: BPR-MF. Ignores features.

    One vector a user, one vector and one bias an item; see `Pairwise` for loss and parameters.

    References
    ----------
    Rendle, Freudenthaler, Gantner and Schmidt-Thieme (2009), BPR: Bayesian personalized ranking
    from implicit feedback.

    Examples
    --------
    >>> taken = {"ann": "tea cup pot", "bob": "tea cup", "eve": "ice cone", "joe": "ice cone bowl"}
    >>> train = Interactions.of([(user, item, time) for user, items in taken.items()
    ...                          for time, item in enumerate(items.split())])
    >>> bpr = BPR(dimensions=4, epochs=50).fit(train)
    >>> train.items[bpr.recommend([1, 2], k=1)].tolist()  # bob and eve
    [['pot'], ['bowl']]
    """

    name = "BPR"

    def _parts(
        self, train: Interactions, features: Features, generator: np.random.Generator
    ) -> Parts:
        return {
            "users": self._vectors(generator, train.n_users, self.dimensions),
            "items": self._vectors(generator, train.n_items, self.dimensions),
            "bias": tf.Variable(tf.zeros(train.n_items)),
        }

    def _represent(
        self, parts: Parts, users: tf.Tensor, items: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        p, q = tf.gather(parts["users"], users), tf.gather(parts["items"], items)
        b = tf.gather(parts["bias"], items)
        return p, q, b, tf.nn.l2_loss(p) + tf.nn.l2_loss(q) + tf.nn.l2_loss(b)


class VBPR(Pairwise):
    r"""BPR-MF that also reads the items' content, in ready-made features of any modality.

    The features of the modalities, each scaled to length 1, stand side by side in f_i; a learnt
    matrix E turns them into a vector that users have a taste θ for:

    .. math::
        s(u, i) = \boldsymbol\gamma_u^\top \boldsymbol\gamma_i
        + \boldsymbol\theta_u^\top (\boldsymbol E^\top \boldsymbol f_i)
        + \beta_i + \boldsymbol\beta'^\top \boldsymbol f_i

    A modality that an item lacks, a row of zeros, adds nothing to its score. The penalty is on the
    vectors, E^⊤ f_i included, and not on E itself. See `Pairwise` for the loss.

    Parameters
    ----------
    modalities : sequence of str, optional
        Features to read; all that `fit` is given without it.
    content_dimensions : int
        Length of θ. γ has ``dimensions``; for the other parameters see `Pairwise`.

    References
    ----------
    He and McAuley (2016), VBPR: visual Bayesian personalized ranking from implicit feedback.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 1), ("bob", "ice", 2), ("eve", "tea", 3)],
    ...                         items=["cocoa", "ice", "tea"])
    >>> warm = np.array([[1.0], [0.0], [1.0]])
    >>> vbpr = VBPR(dimensions=4, content_dimensions=4, learning_rate=0.01)
    >>> vbpr.fit(train, {"text": warm}).recommend([0], k=1)  # to ann, the cocoa that nobody took
    array([[0]])
    """

    name = "VBPR"

    def __init__(
        self,
        modalities: Sequence[str] | None = None,
        dimensions: int = 64,
        content_dimensions: int = 64,
        learning_rate: float = 0.001,
        l2: float = 0.02,
        epochs: int = 400,
        batch_size: int = 1024,
        patience: int = 30,
        spread: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(dimensions, learning_rate, l2, epochs, batch_size, patience, spread, seed)
        self.modalities = modalities
        self.content_dimensions = content_dimensions
        if modalities:
            self.name = f"VBPR ({', '.join(modalities)})"

    def _parts(
        self, train: Interactions, features: Features, generator: np.random.Generator
    ) -> Parts:
        chosen = chosen_modalities(features, self.modalities, self)
        content = np.hstack([as_dense(unit_rows(features[name])) for name in chosen])
        return {
            "users": self._vectors(generator, train.n_users, self.dimensions),
            "items": self._vectors(generator, train.n_items, self.dimensions),
            "bias": tf.Variable(tf.zeros(train.n_items)),
            "content": tf.constant(content),
            "tastes": self._vectors(generator, train.n_users, self.content_dimensions),
            "embedding": self._vectors(generator, content.shape[1], self.content_dimensions),
            "content bias": tf.Variable(tf.zeros((content.shape[1], 1))),
        }

    def _represent(
        self, parts: Parts, users: tf.Tensor, items: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        content = tf.gather(parts["content"], items)
        p = tf.concat([tf.gather(parts[name], users) for name in ("users", "tastes")], axis=1)
        q = tf.concat([tf.gather(parts["items"], items), content @ parts["embedding"]], axis=1)
        b = tf.gather(parts["bias"], items) + tf.squeeze(content @ parts["content bias"], axis=1)
        return p, q, b, tf.nn.l2_loss(p) + tf.nn.l2_loss(q) + tf.nn.l2_loss(b)


class LightGCN(Pairwise):
    r"""Vectors averaged over the graph of who took what. Ignores features.

    Users and items are nodes, interactions edges. In each layer a node becomes the sum of its
    neighbours, and its vector is the mean over the layers:

    .. math::
        \boldsymbol p_u^{(l+1)} = \sum_{i \in H(u)} \frac{\boldsymbol q_i^{(l)}}
                                  {\sqrt{|H(u)|\,|H(i)|}}, \qquad
        \boldsymbol q_i^{(l+1)} = \sum_{u \in H(i)} \frac{\boldsymbol p_u^{(l)}}
                                  {\sqrt{|H(u)|\,|H(i)|}}, \qquad
        \boldsymbol p_u = \frac{1}{L + 1} \sum_{l=0}^{L} \boldsymbol p_u^{(l)}

    Only the vectors of layer 0 are learnt, and penalised; there is no bias. Each step goes once
    through the whole graph. See `Pairwise` for the loss.

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
    >>> graph = LightGCN(dimensions=4, epochs=50).fit(train)
    >>> train.items[graph.recommend([1, 2], k=1)].tolist()  # bob and eve
    [['pot'], ['bowl']]
    """

    name = "LightGCN"

    def __init__(
        self,
        layers: int = 2,
        dimensions: int = 64,
        learning_rate: float = 0.01,
        l2: float = 0.003,
        epochs: int = 400,
        batch_size: int = 4096,
        patience: int = 30,
        spread: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(dimensions, learning_rate, l2, epochs, batch_size, patience, spread, seed)
        self.layers = layers

    def _parts(
        self, train: Interactions, features: Features, generator: np.random.Generator
    ) -> Parts:
        if self.layers < 0:
            raise ValueError(f"layers is {self.layers}; it must be 0 or more")
        self._n_users = train.n_users
        taken = train.matrix.astype(np.float64)
        blocks: Any = [[None, taken], [taken.T, None]]
        edges = sparse.csr_array(sparse.block_array(blocks))
        degree = np.maximum(edges.sum(axis=1), 1.0)
        graph = edges.sorted_indices().tocoo()
        places = np.stack(graph.coords, axis=1).astype(np.int64)
        weights = 1 / np.sqrt(degree[places[:, 0]] * degree[places[:, 1]])
        return {
            "nodes": self._vectors(generator, len(degree), self.dimensions),  # users, then items
            "graph": tf.SparseTensor(places, weights.astype(np.float32), graph.shape),
        }

    def _represent(
        self, parts: Parts, users: tf.Tensor, items: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        def mean_of_layers(nodes: tf.Tensor) -> tf.Tensor:
            layer = total = tf.convert_to_tensor(nodes)
            for _ in range(self.layers):
                layer = tf.sparse.sparse_dense_matmul(parts["graph"], layer)
                total += layer
            return total / (self.layers + 1)

        @tf.custom_gradient
        def propagate(nodes: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
            return mean_of_layers(nodes), mean_of_layers  # symmetric, so its own gradient

        rows = tf.concat([users, self._n_users + items], axis=0)
        vectors = tf.gather(propagate(parts["nodes"]), rows)
        p, q = tf.split(vectors, [tf.size(users), tf.size(items)])
        return p, q, tf.zeros(tf.size(items)), tf.nn.l2_loss(tf.gather(parts["nodes"], rows))


class _Triples:
    """Each interaction, in random order, beside an item that the same user did not take."""

    def __init__(self, train: Interactions) -> None:
        taken = train.matrix.sorted_indices()
        counts = np.diff(taken.indptr)
        self._users = np.repeat(np.arange(train.n_users), counts)
        self._items, self._start = taken.indices, taken.indptr
        self._free = train.n_items - counts  # items that each user did not take
        # how many items in front of each taken one its user did not take, after all earlier users
        place = np.arange(len(self._items)) - self._start[self._users]
        self._width = train.n_items + 1
        self._keys = self._users * self._width + self._items - place
        self._usable = np.flatnonzero(self._free[self._users] > 0)
        if not len(self._usable):
            raise ValueError(
                "there is nothing to compare: no user both took an item and left one untaken"
            )

    def __call__(self, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Draw: int32 users, taken items, other items; the latter uniformly."""
        chosen = generator.permutation(self._usable)
        users = self._users[chosen]
        rank = generator.integers(self._free[users])  # among the items that the user did not take
        passed = np.searchsorted(self._keys, users * self._width + rank, side="right")
        others = rank + passed - self._start[users]
        return tuple(each.astype(np.int32) for each in (users, self._items[chosen], others))


def _watched_users(known: np.ndarray, validation: Interactions | None) -> np.ndarray:
    """Return users, spread evenly, who have both training and validation items: int rows."""
    if validation is None:
        return np.array([], dtype=np.int64)
    users = np.intersect1d(known, validation.log["user"])
    if len(users) <= _WATCHED_USERS:
        return users
    return users[np.linspace(0, len(users) - 1, _WATCHED_USERS).astype(np.int64)]
