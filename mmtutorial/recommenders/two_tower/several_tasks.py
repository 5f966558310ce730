"""A two-tower that learns further tasks beside recommending, with the same encoders."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmtutorial.interactions import Interactions
from mmtutorial.keras_settings import keras, layers, seeded
from mmtutorial.preprocessing.labels import KIND, RATING, TASKS, WORDS, Labels
from mmtutorial.recommenders.inputs import Features
from mmtutorial.recommenders.two_tower.batches import Batch, Batches
from mmtutorial.recommenders.two_tower.loss import choice_loss
from mmtutorial.recommenders.two_tower.network import ItemVectors, Network
from mmtutorial.recommenders.two_tower.recommender import TwoTower
from mmtutorial.recommenders.two_tower.training import Training, joined

WEIGHTINGS = ("fixed", "uncertainty")
_TEXTS = 16  # items whose words are predicted in a step
_UNITS = 64  # of a word's vector
_TINY = 1e-12


class SeveralTasks(TwoTower):
    r"""A `TwoTower` whose item vectors also say what an item is, how it is rated, what is written.

    .. math::
        \mathcal L = \mathcal L_1 + w \sum_{a=2}^{A} \mathcal L_a

    (eq-multi-task) with the choices' loss first. Each further task has a head of its own on the
    vectors that recommending uses; when learning is over the heads are dropped, and what is saved
    and served is a two-tower like any other.

    - *kind*: the cross-entropy of an item's kinds, from v_i and h_i by one dense layer.
    - *rating*: the squared error of the rating of each predicted choice, in standard deviations of
      the training ratings, from q_u and v_i: an inner product with learnt weights, and two biases.
    - *words*: the cross-entropy of the next word of the item's text, from the word before it and
      from v_i and h_i, over sixteen items a step.

    Parameters
    ----------
    modalities, fusion, seed, **options
        Of `TwoTower`.
    tasks : sequence of str
        Of "kind", "rating" and "words"; () for none.
    weight : float
        w, at least 0, where the weighting is fixed.
    weighting : {"fixed", "uncertainty"}
        "uncertainty" learns each task's variance (eq-uncertainty).
    project : bool
        Whether conflicts between the tasks' gradients are taken out of them (eq-pcgrad).
    labels : Labels, optional
        What the tasks are learnt from; ``fit`` needs it. Of items that nobody took in training
        nothing is learnt.

    Attributes
    ----------
    cosines : dict
        Task to the mean over all steps of the cosine between its gradient and that of the choices
        (eq-gradient-cosine); empty once saved and loaded.

    Raises
    ------
    ValueError
        From ``fit``: as `TwoTower`, and for an unknown task or weighting, a weight below 0, or a
        task without labels.

    References
    ----------
    Caruana (1997), Multitask learning; Kendall et al. (2018) and Yu et al. (2020), see
    `mmtutorial.equations.multi_task`.

    Examples
    --------
    >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)])
    >>> content = {"text": np.eye(2, dtype="float32")}
    >>> labels = Labels(np.eye(2, dtype="float32"), None, None, ("thing", "drink"))
    >>> tower = SeveralTasks(tasks=["kind"], labels=labels, steps=20).fit(train, content)
    >>> list(tower.cosines), tower.score([0]).shape
    (['kind'], (1, 2))
    """

    def __init__(
        self,
        modalities: Sequence[str] | None = None,
        fusion: str = "concatenation",
        *,
        tasks: Sequence[str] = TASKS,
        weight: float = 0.3,
        weighting: str = "fixed",
        project: bool = False,
        labels: Labels | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(modalities, fusion, seed=seed, **options)
        self.tasks = tuple(tasks)
        self.weight = weight
        self.weighting = weighting
        self.project = project
        self.labels = labels
        self.cosines: dict[str, float] = {}
        self._ratings: np.ndarray | None = None

    def options(self) -> dict[str, Any]:
        """Return the arguments that make another one like this, not yet fitted."""
        names = inspect.signature(TwoTower).parameters
        return {**{name: getattr(self, name) for name in names}, **super().options()}

    def depends(
        self,
        train: Interactions,
        features: Features | None = None,
        validation: Interactions | None = None,
    ) -> tuple[Any, ...]:
        """Return all that `fit` would learn from, number by number, for a digest."""
        kind, options, *data = super().depends(train, features, validation)
        options = [each for each in options if each[0] != "labels"]
        labels = self.labels or Labels(None, None, None)
        return kind, options, *data, [labels.kind, labels.rating, labels.words]

    def _saved_options(self) -> dict[str, Any]:
        return {name: value for name, value in self.options().items() if name != "labels"}

    def _check(self, train: Interactions, content: Mapping[str, np.ndarray]) -> None:
        super()._check(train, content)
        unknown = set(self.tasks) - set(TASKS)
        if unknown:
            raise ValueError(f"there is no task {min(unknown)!r}; there are {', '.join(TASKS)}")
        if self.weighting not in WEIGHTINGS:
            raise ValueError(f"weighting is {self.weighting!r}; there are {', '.join(WEIGHTINGS)}")
        if self.weight < 0:
            raise ValueError(f"weight is {self.weight}; it must not be below 0")
        there = () if self.labels is None else self.labels.tasks
        lacking = [name for name in self.tasks if name not in there]
        if lacking:
            raise ValueError(
                f"there are no labels for {', '.join(lacking)}: give labels "
                "(mmtutorial.preprocessing.labels), or name other tasks"
            )

    def _made_network(
        self, train: Interactions, content: Mapping[str, np.ndarray], reviews: tf.Tensor | None
    ) -> Network:
        network = super()._made_network(train, content, reviews)
        if self.tasks and self.labels is not None:
            self._ratings = _standardised(self.labels.rating, train)
            with seeded(self.seed):
                network.heads = Heads(self.tasks, self.labels, network.length)
        return network

    def _made_batches(self, *options: Any) -> Batches:
        batches = Batches(*options)
        batches.chosen_rows = RATING in self.tasks
        return batches

    def _made_training(self, *options: Any) -> Training:
        if not self.tasks or self.labels is None:
            return Training(*options)
        return _SeveralTraining(self, *options)


class Heads(layers.Layer):
    """What each further task adds to the network, and the logarithms of the tasks' variances.

    Parameters
    ----------
    tasks : sequence of str
        Which.
    labels : Labels
        For their sizes.
    length : int
        Of q, v and h.
    """

    def __init__(self, tasks: Sequence[str], labels: Labels, length: int) -> None:
        super().__init__(name="heads")
        self.zeta = self.add_weight((1 + len(tasks),), "zeros", name="zeta")
        if KIND in tasks:
            assert labels.kind is not None
            self.kind = layers.Dense(labels.kind.shape[1], name="kind")
            self.kind.build((None, 2 * length))
        if RATING in tasks:
            self.product = self.add_weight((length,), "zeros", name="product")
            self.of_item = layers.Dense(1, name="of_item")
            self.of_user = layers.Dense(1, use_bias=False, name="of_user")
            for layer in (self.of_item, self.of_user):
                layer.build((None, length))
        if WORDS in tasks:
            assert labels.words is not None
            n_words = int(labels.words.max()) + 1
            self.before = layers.Embedding(n_words, _UNITS, name="before")
            self.item = layers.Dense(_UNITS, name="item")
            self.after = layers.Dense(n_words, name="after")
            self.before.build((None,))
            self.item.build((None, 2 * length))
            self.after.build((None, _UNITS))


class _SeveralTraining(Training):
    """Steps that learn all tasks at once, each task's gradient by itself."""

    def __init__(self, tower: SeveralTasks, *options: Any) -> None:
        super().__init__(*options)
        self.tower = tower
        labels, heads = tower.labels, self.network.heads
        assert labels is not None
        self.heads = heads
        self._kind = None if labels.kind is None else tf.constant(labels.kind)
        self._words = None if labels.words is None else tf.constant(labels.words)
        self._ratings = None if tower._ratings is None else tf.constant(tower._ratings)
        self._sums = tf.Variable(tf.zeros(1 + len(tower.tasks)))  # of cosines, and of steps
        self._scale = tf.constant([1.0] + [0.5 if t == RATING else 1.0 for t in tower.tasks])

    @property
    def changing(self) -> list[keras.Variable | tf.Variable]:
        """Everything that a step changes and the next one reads."""
        return [*super().changing, self._sums]

    def take_mean(self, mean: np.ndarray | None = None) -> None:
        """Learning is over: give the network its weights, and the tower its cosines."""
        super().take_mean(mean)
        *sums, steps = self._sums.numpy()
        tasks = self.tower.tasks
        self.tower.cosines = {
            name: float(total / max(steps, 1)) for name, total in zip(tasks, sums, strict=True)
        }

    def _step(self, batch: Batch) -> tf.Tensor:
        """Learn from a batch, and return the loss of its choices, in nats a choice."""
        with tf.GradientTape(persistent=True) as tape:
            q, encoded = self._vectors(batch)
            scores, taken = self._match(batch, q, encoded)
            choices = (*batch.choices, batch.last, batch.drawn, batch.weights)
            loss = choice_loss(scores, taken, *choices)
            losses = [loss, *self._further(batch, q, encoded)]
            weighted = self._weighted(losses)
            weighted[0] += self.alignment * encoded.aligned
        gradients = tf.stack(
            [
                joined(tape.gradient(each, self._variables, unconnected_gradients="zero"))
                for each in weighted
            ]
        )
        self._sums.assign_add(tf.concat([_cosines(gradients), tf.ones(1)], axis=0))
        if self.tower.project:
            draws = keras.random.uniform((len(losses), len(losses)), seed=self.network.draw)
            self._apply(without_conflict(gradients, tf.argsort(draws, axis=1)))
        else:
            self._apply(tf.reduce_sum(gradients, axis=0))
        return loss

    def _weighted(self, losses: list[tf.Tensor]) -> list[tf.Tensor]:
        """Weigh the losses, by a number or by what the network has learnt of them."""
        if self.tower.weighting == "fixed":
            return [losses[0], *(self.tower.weight * each for each in losses[1:])]
        zeta = self.heads.zeta.value
        return [
            self._scale[place] * tf.exp(-zeta[place]) * each + zeta[place] / 2
            for place, each in enumerate(losses)
        ]

    def _further(self, batch: Batch, q: tf.Tensor, encoded: ItemVectors) -> list[tf.Tensor]:
        """Return the losses of the further tasks, in their order."""
        of = {KIND: self._kind_loss, RATING: self._rating_loss, WORDS: self._words_loss}
        return [of[name](batch, q, encoded) for name in self.tower.tasks]

    def _kind_loss(self, batch: Batch, q: tf.Tensor, encoded: ItemVectors) -> tf.Tensor:
        known, warm = self._kind, self.content.warm
        if batch.rows is not None:
            known, warm = tf.gather(known, batch.rows), tf.gather(warm, batch.rows)
        logits = self.heads.kind(tf.concat([encoded.v, encoded.h], axis=1))
        nats = -warm * tf.reduce_sum(known * tf.nn.log_softmax(logits), axis=1)
        counts = tf.reduce_sum(warm * tf.reduce_sum(known, axis=1))
        return tf.reduce_sum(nats) / tf.maximum(counts, 1.0)

    def _rating_loss(self, batch: Batch, q: tf.Tensor, encoded: ItemVectors) -> tf.Tensor:
        users, items = batch.choices
        given = tf.gather(self._ratings, batch.chosen_rows)
        there = tf.math.is_finite(given)
        heads, v = self.heads, tf.gather(encoded.v, items)
        of_user = tf.gather(q, users)
        guess = tf.reduce_sum(heads.product.value * of_user * v, axis=1)
        guess += heads.of_item(v)[:, 0] + heads.of_user(of_user)[:, 0]
        squares = tf.where(there, (tf.where(there, given, 0.0) - guess) ** 2, 0.0)
        count = tf.reduce_sum(tf.cast(there, tf.float32))
        return tf.reduce_sum(squares) / tf.maximum(count, 1.0)

    def _words_loss(self, batch: Batch, q: tf.Tensor, encoded: ItemVectors) -> tf.Tensor:
        place = keras.random.uniform((_TEXTS,), seed=self.network.draw)
        size = tf.shape(encoded.v)[0]
        place = tf.minimum(tf.cast(place * tf.cast(size, tf.float32), tf.int32), size - 1)
        rows = place if batch.rows is None else tf.gather(batch.rows, place)
        words = tf.gather(self._words, rows)
        before, after = words[:, :-1], words[:, 1:]
        counts = tf.cast(after > 0, tf.float32)
        counts *= tf.gather(self.content.warm, rows)[:, None]
        heads = self.heads
        item = heads.item(tf.gather(tf.concat([encoded.v, encoded.h], axis=1), place))
        hidden = tf.nn.gelu(heads.before(before) + item[:, None, :])
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(after, heads.after(hidden))
        return tf.reduce_sum(counts * nats) / tf.maximum(tf.reduce_sum(counts), 1.0)


def _standardised(ratings: np.ndarray | None, train: Interactions) -> np.ndarray | None:
    """Return ratings in standard deviations from their mean, both of the training part."""
    if ratings is None:
        return None
    known = ratings[train.log["row"]]
    known = known[np.isfinite(known)]
    spread = known.std() if len(known) else 0.0
    center = known.mean() if len(known) else 0.0
    return ((ratings - center) / (spread or 1.0)).astype(np.float32)


def _cosines(gradients: tf.Tensor) -> tf.Tensor:
    """Return the cosines of the first row with each other one, 0 where one of them is 0."""
    products = tf.linalg.matvec(gradients[1:], gradients[0])
    norms = tf.norm(gradients, axis=1)
    return products / tf.maximum(norms[0] * norms[1:], _TINY)


def without_conflict(gradients: tf.Tensor, orders: tf.Tensor) -> tf.Tensor:
    """Do what `mmtutorial.equations.multi_task.without_conflict` does, in TensorFlow.

    ``gradients`` are float32 (A, n), ``orders`` int (A, A); the result is float32 (n,).

    >>> gradients = tf.constant([[1.0, 0.0], [-1.0, 1.0]])
    >>> without_conflict(gradients, tf.constant([[0, 1], [0, 1]])).numpy()
    array([0.5, 1.5], dtype=float32)
    """
    n_tasks = gradients.shape[0]
    lengths = tf.maximum(tf.reduce_sum(gradients**2, axis=1), _TINY)
    total = tf.zeros_like(gradients[0])
    for a in range(n_tasks):
        left = gradients[a]
        for turn in range(n_tasks):
            b = orders[a, turn]
            product = tf.minimum(tf.tensordot(left, gradients[b], 1), 0.0)
            product = tf.where(tf.equal(b, a), 0.0, product)
            left -= product / lengths[b] * gradients[b]
        total += left
    return total
