"""Recommenders that learn by comparing what a user took with what the user did not take."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmtutorial.interactions import Interactions
from mmtutorial.keras_settings import deterministic_operations, keras, keras_defaults
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.content import as_dense, chosen_modalities, unit_rows
from mmtutorial.recommenders.inputs import Features
from mmtutorial.recommenders.validation import quality, validation_users
from mmtutorial.storage.arrays import with_prefix
from mmtutorial.storage.checkpoint import Checkpoint
from mmtutorial.storage.epochs import Epochs

_LARGEST_BATCH = 65536

Parts = dict[str, Any]  # variables, which are learnt, and whatever else scores are computed from
Represented = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


class Pairwise(Recommender):
    r"""Vectors of users and items whose product is larger for what was taken: the BPR loss.

    For every interaction (u, i) an item j that u did not take is drawn, anew each time, and a
    batch B of such triples lowers, by Adam,

    .. math::
        \frac{1}{|B|} \sum_{(u, i, j) \in B} -\ln \sigma\left(s(u, i) - s(u, j)\right)
        + \frac{\lambda}{2} \lVert \Theta_{uij} \rVert^2, \qquad
        s(u, i) = \boldsymbol p_u^\top \boldsymbol q_i + b_i

    where Θ are the parameters that the triple uses. Where `fit` is given a validation part, the
    NDCG@10 of (at most 2,048 of) its users is measured every ``validate_every`` steps; learning
    ends when it has not risen for ``patience`` steps, and the best vectors are kept. Without, the
    last.

    A user without a training interaction gets the mean of the other users' vectors. The same seed
    gives the same scores.

    Parameters
    ----------
    dimensions : int
        Length of the vectors.
    learning_rate, l2 : float
        Adam's step, and λ.
    batch_size : int, optional
        How many triples a step. Without it, it grows with the data: all interactions are met in at
        most 128 steps, of at least 1,024 triples (LightGCN 32, of 4,096).
    steps, patience, validate_every : int
        Steps at most; steps to wait for a better validation; steps from one to the next.
    spread : float
        Standard deviation of the vectors before learning. From small ones few directions grow
        first, from larger ones many; which is better depends on the data.
    seed : int
        Of the first vectors, the order of the interactions and the drawn items.

    Attributes
    ----------
    history : dict
        "loss" and, with a validation part, "validation_ndcg": one float every ``validate_every``
        steps.
    """

    _users: np.ndarray
    _items: np.ndarray
    _bias: np.ndarray
    _least_batch, _most_batches = 1024, 128  # unless batch_size is given

    def __init__(
        self,
        dimensions: int = 64,
        learning_rate: float = 0.003,
        l2: float = 0.02,
        batch_size: int | None = None,
        steps: int = 6000,
        patience: int = 400,
        validate_every: int = 25,
        spread: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.dimensions = dimensions
        self.learning_rate = learning_rate
        self.l2 = l2
        self.batch_size = batch_size
        self.steps = steps
        self.patience = patience
        self.validate_every = validate_every
        self.spread = spread
        self.seed = seed

    @abstractmethod
    def _parts(
        self, train: Interactions, features: Features, generator: np.random.Generator
    ) -> Parts:
        """Return what the scores are computed from; the variables among it are learnt."""

    @abstractmethod
    def _represent(self, parts: Parts, users: tf.Tensor, items: tf.Tensor) -> Represented:
        """Return p (n_users, d), q (n_items, d), b (n_items,) and ½‖Θ‖² of these rows."""

    def _begin_round(self, parts: Parts, generator: np.random.Generator) -> None:
        """Change parts, or draw them anew, after each validation."""

    def _further_loss(
        self, parts: Parts, p: tf.Tensor, taken: tf.Tensor, others: tf.Tensor
    ) -> tf.Tensor:
        """Return what else is to be small, summed over the triples of a batch."""
        return tf.zeros(())

    def _vectors(self, generator: np.random.Generator, *shape: int) -> tf.Variable:
        return tf.Variable(generator.normal(0.0, self.spread, shape).astype(np.float32))

    @keras_defaults()
    @deterministic_operations()
    def _learn_resumably(
        self,
        train: Interactions,
        features: Features,
        validation: Interactions | None,
        checkpoint: Checkpoint,
    ) -> None:
        for name in ("dimensions", "batch_size", "steps", "patience", "validate_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        generator = np.random.default_rng(self.seed)
        draw = _Triples(train)
        parts = self._parts(train, features, generator)
        batch_size = self._batch(draw.count)
        step_through, changed = self._compiled(parts, batch_size)
        known = np.unique(train.log["user"])
        users = validation_users(train, validation)
        rounds, patience = (-(-n // self.validate_every) for n in (self.steps, self.patience))
        with Epochs(self.name, rounds, patience, checkpoint, changed, generator) as epochs:
            for number in epochs:
                found = None
                self._begin_round(parts, generator)
                steps = min(self.validate_every, self.steps - number * self.validate_every)
                loss = float(step_through(*draw(generator, steps * batch_size)))
                if validation is not None and len(users):
                    self._set_vectors(parts, train, known)
                    found = quality(self._score(users), train, validation, users)
                epochs.end(loss, found, lambda: [self._users, self._items, self._bias])
        self.history = epochs.history
        if epochs.best:
            self._users, self._items, self._bias = epochs.best
        else:
            self._set_vectors(parts, train, known)

    def _batch(self, n_triples: int) -> int:
        """Return how many triples a step compares."""
        grown = min(max(-(-n_triples // self._most_batches), self._least_batch), _LARGEST_BATCH)
        return self.batch_size or grown

    def _compiled(
        self, parts: Parts, batch_size: int
    ) -> tuple[Callable[..., tf.Tensor], list[Any]]:
        """Return a function that takes the triples of some steps, learns, returns the mean loss.

        And the variables that it changes.
        """
        learnt = [part for part in parts.values() if isinstance(part, tf.Variable)]
        optimiser = keras.optimizers.Adam(self.learning_rate)
        optimiser.build(learnt)

        @tf.function
        def step_through(users: tf.Tensor, taken: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
            total, n_triples = 0.0, tf.size(users)
            for start in tf.range(0, n_triples, batch_size):
                batch = slice(start, start + batch_size)
                size = tf.cast(tf.size(users[batch]), tf.float32)
                with tf.GradientTape() as tape:
                    items = tf.concat([taken[batch], others[batch]], axis=0)
                    p, q, b, squares = self._represent(parts, users[batch], items)
                    better, worse = tf.split(q, 2)  # each (batch, d)
                    b_better, b_worse = tf.split(b, 2)
                    margin = tf.reduce_sum(p * (better - worse), axis=1) + b_better - b_worse
                    total_loss = tf.reduce_sum(tf.nn.softplus(-margin)) + self.l2 * squares
                    total_loss += self._further_loss(parts, p, taken[batch], others[batch])
                    loss = total_loss / size
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

    def _score(self, users: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._users[users] @ self._items.T + self._bias
        return found

    def _state(self) -> dict[str, np.ndarray]:
        vectors = {"users": self._users, "items": self._items, "bias": self._bias}
        return vectors | {f"history/{name}": np.array(v) for name, v in self.history.items()}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._users, self._items, self._bias = (state[n] for n in ("users", "items", "bias"))
        self.history = {name: v.tolist() for name, v in with_prefix("history/", state).items()}


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
    >>> bpr = BPR(dimensions=4, learning_rate=0.03, steps=100).fit(train)
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

    def _represent(self, parts: Parts, users: tf.Tensor, items: tf.Tensor) -> Represented:
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

    def _represent(self, parts: Parts, users: tf.Tensor, items: tf.Tensor) -> Represented:
        content = tf.gather(parts["content"], items)
        p = tf.concat([tf.gather(parts[name], users) for name in ("users", "tastes")], axis=1)
        q = tf.concat([tf.gather(parts["items"], items), content @ parts["embedding"]], axis=1)
        b = tf.gather(parts["bias"], items) + tf.squeeze(content @ parts["content bias"], axis=1)
        return p, q, b, tf.nn.l2_loss(p) + tf.nn.l2_loss(q) + tf.nn.l2_loss(b)


class _Triples:
    """Interactions, in random order, each beside an item that the same user did not take."""

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

        self.count = len(self._usable)

    def __call__(self, generator: np.random.Generator, n_triples: int) -> tuple[np.ndarray, ...]:
        """Draw: int32 users, taken items, other items, (n_triples,) each; the last uniformly.

        No interaction is drawn again before all have been.
        """
        times = -(-n_triples // self.count)
        orders = [generator.permutation(self._usable) for _ in range(times)]
        chosen = np.concatenate(orders)[:n_triples]
        users = self._users[chosen]
        rank = generator.integers(self._free[users])  # among the items that the user did not take
        passed = np.searchsorted(self._keys, users * self._width + rank, side="right")
        others = rank + passed - self._start[users]
        return tuple(each.astype(np.int32) for each in (users, self._items[chosen], others))
