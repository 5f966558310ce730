"""Steps of learning: one optimiser over all weights, and the running mean of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmtutorial.keras_settings import keras
from mmtutorial.recommenders.two_tower.batches import Batch
from mmtutorial.recommenders.two_tower.loss import choice_loss
from mmtutorial.recommenders.two_tower.network import Content, ItemVectors, Network

_AVERAGE = 0.98  # how much of the running mean of the weights is kept at each step, later on
_BLOCK = 1024  # items encoded at a time without learning: bounds memory


class Training:
    """Lets a network learn batch by batch.

    All weights are learnt as one vector, and their running mean is kept beside it, over few steps
    in the beginning and over more later on. Keras's ``use_ema`` does it variable by variable: its
    steps are as fast, but tracing takes twice as long, and it has no beginning over few steps.

    Parameters
    ----------
    network : Network
        What learns.
    content : Content
        Of the items that it learns from.
    reviews : tensor, optional
        float32 (n_reviews, review_length).
    learning_rate, weight_decay : float
        Of AdamW.
    warm_up : int
        Steps over which the rate rises to that.
    alignment : float
        Weight of the contrastive loss.

    Examples
    --------
    >>> from mmtutorial.interactions import Interactions
    >>> from mmtutorial.recommenders.two_tower.batches import Batches, Histories
    >>> train = Interactions.of([("ann", "tea", 2), ("ann", "cup", 1), ("bob", "tea", 3)])
    >>> network = Network(None, n_items=2, length=4, ids=True)
    >>> training = Training(network, Content({}, None, tf.ones(2)))
    >>> (batch,) = Batches(Histories(train), batch_size=2, kept=(0.5, 0.5)).draw(1)
    >>> training.step(batch).shape
    TensorShape([])
    """

    def __init__(
        self,
        network: Network,
        content: Content,
        reviews: tf.Tensor | None = None,
        learning_rate: float = 0.005,
        weight_decay: float = 0.0,
        warm_up: int = 0,
        alignment: float = 0.0,
    ) -> None:
        self.network, self.content, self.reviews = network, content, reviews
        self.alignment = alignment
        self._variables = [each.value for each in network.trainable_variables]
        self._vector = keras.Variable(joined(self._variables))
        self._mean = tf.Variable(self._vector.value)
        rate = learning_rate
        if warm_up:
            rate = keras.optimizers.schedules.PolynomialDecay(rate / warm_up, warm_up, rate)
        self._optimiser = keras.optimizers.AdamW(rate, weight_decay=weight_decay)
        self._optimiser.build([self._vector])
        self.step: Callable[[Batch], tf.Tensor] = traced_once(self._step)
        self._encode = traced_once(lambda rows: network.encode_items(content, rows)[:3])

    @property
    def changing(self) -> list[keras.Variable | tf.Variable]:
        """Everything that a step changes and the next one reads."""
        return [*self.network.variables, self._vector, self._mean, *self._optimiser.variables]

    @property
    def mean(self) -> np.ndarray:
        """The running mean of all weights, float32 (n_weights,)."""
        return np.asarray(self._mean.numpy())

    def take_mean(self, mean: np.ndarray | None = None) -> None:
        """Learning is over: give the network the mean of its weights, or this earlier mean."""
        spread(self._mean if mean is None else tf.constant(mean), self._variables)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the running mean in the weights' place for a while."""
        spread(self._mean, self._variables)
        try:
            yield
        finally:
            spread(self._vector.value, self._variables)

    def encode_items(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return v, h and b of the whole catalogue."""
        n_items = self.content.warm.shape[0]
        blocks = [
            self._encode(tf.range(start, min(start + _BLOCK, n_items)))
            for start in range(0, n_items, _BLOCK)
        ]
        v, h, b = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return v, h, b

    def _step(self, batch: Batch) -> tf.Tensor:
        """Learn from a batch, and return its loss, in nats a choice."""
        with tf.GradientTape() as tape:
            loss, aligned = self._losses(batch)
            objective = loss + self.alignment * aligned
        gradients = tape.gradient(objective, self._variables, unconnected_gradients="zero")
        self._apply(joined(gradients))
        return loss

    def _apply(self, gradient: tf.Tensor) -> None:
        """Change the weights by this gradient of all of them, and their running mean."""
        self._optimiser.apply([gradient], [self._vector])
        spread(self._vector.value, self._variables)
        steps = tf.cast(self._optimiser.iterations.value, tf.float32)
        old = tf.minimum(_AVERAGE, (steps + 1) / (steps + 10))
        self._mean.assign(old * self._mean + (1 - old) * self._vector.value)

    def _losses(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the loss of the choices, and that of the alignment."""
        scores, taken, aligned = self._scores(batch)
        choices = (*batch.choices, batch.last, batch.drawn, batch.weights)
        return choice_loss(scores, taken, *choices), aligned

    def _scores(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return scores, and 1 where an item is kept: (n_users, n_items); and the alignment."""
        q, encoded = self._vectors(batch)
        return *self._match(batch, q, encoded), encoded.aligned

    def _vectors(self, batch: Batch) -> tuple[tf.Tensor, ItemVectors]:
        """Return the users' vectors, (n_users, length), and the items'."""
        network, (users, items) = self.network, batch.kept
        encoded = network.encode_items(self.content, batch.rows, training=True)
        reviews = None if batch.reviews is None else tf.gather(self.reviews, batch.reviews)
        q = network.encode_users(batch.n_users, users, items, encoded.h, reviews, training=True)
        return q, encoded

    def _match(
        self, batch: Batch, q: tf.Tensor, encoded: ItemVectors
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return scores, and 1 where an item is kept: (n_users, n_items)."""
        network, (users, items) = self.network, batch.kept
        v, b = encoded.v, encoded.b
        q = tf.concat([q / network.temperature_value(), tf.ones_like(q[:, :1])], axis=1)
        scores = tf.matmul(q, tf.concat([v, b[:, None]], axis=1), transpose_b=True)
        ones = tf.ones_like(users, tf.float32)
        taken = tf.scatter_nd(tf.stack([users, items], axis=1), ones, tf.shape(scores))
        return scores, taken


def joined(arrays: Sequence[tf.Tensor]) -> tf.Tensor:
    """Write arrays one after the other: a vector, which costs an optimiser as much as one array.

    >>> joined([tf.ones((1, 2)), tf.zeros(1)]).numpy()
    array([1., 1., 0.], dtype=float32)
    """
    return tf.concat([tf.reshape(tf.convert_to_tensor(each), [-1]) for each in arrays], axis=0)


def spread(vector: tf.Tensor, variables: Sequence[tf.Variable]) -> None:
    """Give variables the values that `joined` would have made this vector of.

    >>> one, two = tf.Variable(tf.zeros((1, 2))), tf.Variable(tf.zeros(1))
    >>> spread(tf.constant([3.0, 4.0, 5.0]), [one, two])
    >>> one.numpy().tolist(), two.numpy().tolist()
    ([[3.0, 4.0]], [5.0])
    """
    parts = tf.split(vector, [each.shape.num_elements() for each in variables])
    for variable, part in zip(variables, parts, strict=True):
        variable.assign(tf.reshape(part, variable.shape))


def traced_once(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Compile a function of one argument, arrays in any nesting, at the first call.

    The lengths of the arrays may differ from call to call; their number and None may not. Each
    tracing takes seconds, and ``reduce_retracing`` of `tf.function` traces up to three times.

    >>> total = traced_once(lambda array: tf.reduce_sum(array))
    >>> float(total(np.ones(3))), float(total(np.ones(5)))
    (3.0, 5.0)
    """
    graph: list[Callable[[Any], Any]] = []

    def call(given: Any) -> Any:
        if tf.config.functions_run_eagerly():
            return function(given)
        if not graph:
            sizes = tf.nest.map_structure(
                lambda array: (
                    None if array is None else tf.TensorSpec([None] * array.ndim, array.dtype)
                ),
                given,
            )
            compiled = tf.function(function, autograph=False)
            graph.append(compiled.get_concrete_function(sizes))
        return graph[0](given)

    return call
