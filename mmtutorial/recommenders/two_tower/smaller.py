"""Smaller towers of a fitted one: with most weights 0, or taught by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.inputs import Features
from mmtutorial.recommenders.two_tower.batches import Batch
from mmtutorial.recommenders.two_tower.loss import choice_loss
from mmtutorial.recommenders.two_tower.network import Network
from mmtutorial.recommenders.two_tower.recommender import TwoTower
from mmtutorial.recommenders.two_tower.training import Training, spread

_TAKEN = -1e9  # the score of what a user has already


def prune(
    original: TwoTower,
    share: float,
    train: Interactions,
    features: Features,
    validation: Interactions | None = None,
    **options: Any,
) -> TwoTower:
    """Set the smallest weights of the item tower to 0, and let the others learn on.

    Parameters
    ----------
    original : TwoTower
        Fitted on the same arguments; it stays as it is.
    share : float
        Of the entries of all matrices together, by their absolute values (*magnitude pruning*);
        biases stay.
    train, features, validation
        As for `TwoTower.fit`.
    **options
        Of the fine-tuning, such as steps=0 or learning_rate; the original's without, but at most
        500 steps.

    Returns
    -------
    TwoTower
        Of the same shapes; `sparsity` says how many weights are 0.

    Raises
    ------
    ValueError
        If the share is not below 1 and at least 0.

    References
    ----------
    Han et al. (2015), Learning both weights and connections for efficient neural networks.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share is {share}; it is a share below 1")
    chosen = {**original.options(), "steps": min(500, original.steps), **options}
    pruned = _Pruned(**chosen)
    pruned.original, pruned.share = original, share
    return pruned.fit(train, features, validation)


def sparsity(tower: TwoTower) -> float:
    """Return the share of the entries of the item tower's matrices that are 0."""
    if tower.tower is None:
        return 0.0
    matrices = [each for each in tower.tower.get_weights() if each.ndim > 1]
    return float(sum((each == 0).sum() for each in matrices) / sum(map(np.size, matrices)))


def distil(
    teacher: TwoTower,
    student: Mapping[str, Any],
    train: Interactions,
    features: Features,
    validation: Interactions | None = None,
    *,
    weight: float = 0.5,
    heat: float = 2.0,
) -> TwoTower:
    r"""Fit a smaller two-tower to choices and to a fitted one's softmax (eq-distillation).

    .. math::
        (1 - w) \mathcal L + w\, T^2\, \mathrm{KL}\bigl(\operatorname{softmax}(\hat y^{t} / T)
        \,\Vert\, \operatorname{softmax}(\hat y^{s} / T)\bigr)

    over the items that the user has not taken yet. Teacher and student read the same histories.

    Parameters
    ----------
    teacher : TwoTower
        Fitted on the same users and items, without reviews.
    student : mapping
        Options in which it differs from the teacher, such as ``dimensions``, ``units``, ``depth``
        or ``modalities``.
    train, features, validation
        As for `TwoTower.fit`.
    weight, heat : float
        w, of the teacher, from 0 to 1; and its temperature T > 0.

    Raises
    ------
    ValueError
        For a weight or a temperature out of their ranges.

    References
    ----------
    Hinton, Vinyals and Dean (2015), Distilling the knowledge in a neural network.
    """
    if not 0 <= weight <= 1 or not heat > 0:
        raise ValueError(f"weight is {weight} and heat {heat}; 0 to 1, and above 0")
    taught = _Taught(**{**teacher.options(), **student})
    taught.teacher, taught.weight, taught.heat = teacher, weight, heat
    return taught.fit(train, features, validation)


class _Pruned(TwoTower):
    """A two-tower that starts from a fitted one, and some of whose weights stay 0."""

    original: TwoTower
    share: float

    def _made_network(
        self, train: Interactions, content: Mapping[str, np.ndarray], reviews: tf.Tensor | None
    ) -> Network:
        network = super()._made_network(train, content, reviews)
        before = self.original.network
        for name, variable in network.free_weights.items():
            variable.assign(before.free_weights[name])
        if network.tower is not None and before.tower is not None:
            network.tower.set_weights(before.tower.get_weights())
        return network

    def _made_training(self, network: Network, *options: Any) -> Training:
        matrices = [] if network.tower is None else network.tower.trainable_weights
        matrices = [each for each in matrices if len(each.shape) > 1]
        sizes = np.concatenate([np.abs(each.numpy()).ravel() for each in matrices] or [np.ones(1)])
        below = np.sort(sizes)[: round(self.share * len(sizes))]
        threshold = below[-1] if len(below) else -1.0
        chosen = {id(each) for each in matrices}
        masks = [
            (np.abs(each.numpy()) > threshold) | (id(each) not in chosen)
            for each in network.trainable_variables
        ]
        for each, mask in zip(network.trainable_variables, masks, strict=True):
            each.assign(each * mask)
        flat = np.concatenate([np.ravel(mask) for mask in masks])
        return _MaskedTraining(tf.constant(flat, tf.float32), network, *options)


class _MaskedTraining(Training):
    """Steps after which masked weights are 0 again."""

    def __init__(self, mask: tf.Tensor, *options: Any) -> None:
        super().__init__(*options)
        self._mask = mask

    def _step(self, batch: Batch) -> tf.Tensor:
        loss = super()._step(batch)
        self._vector.assign(self._vector.value * self._mask)
        self._mean.assign(self._mean * self._mask)
        spread(self._vector.value, self._variables)
        return loss


class _Taught(TwoTower):
    """A two-tower that learns from a fitted one too."""

    teacher: TwoTower
    weight: float
    heat: float

    def _made_training(self, *options: Any) -> Training:
        return _TaughtTraining(self.teacher, self.weight, self.heat, *options)


class _TaughtTraining(Training):
    """Steps whose loss compares the student's softmax with the teacher's."""

    def __init__(self, teacher: TwoTower, weight: float, heat: float, *options: Any) -> None:
        super().__init__(*options)
        self.weight, self.heat = weight, heat
        self._teacher = teacher.network
        self._v = tf.constant(teacher.item_vectors() / np.float32(teacher.temperature))
        self._h = tf.constant(teacher.history_vectors)
        self._b = tf.constant(teacher.item_biases)

    def _losses(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        scores, taken, aligned = self._scores(batch)
        choices = (*batch.choices, batch.last, batch.drawn, batch.weights)
        chosen = choice_loss(scores, taken, *choices)
        v, h, b = (
            each if batch.rows is None else tf.gather(each, batch.rows)
            for each in (self._v, self._h, self._b)
        )
        q = self._teacher.encode_users(batch.n_users, *batch.kept, h)
        theirs = tf.matmul(q, v, transpose_b=True) + b
        theirs, ours = (
            tf.nn.log_softmax(tf.where(taken > 0, _TAKEN, each) / self.heat)
            for each in (theirs, scores)
        )
        divergence = tf.reduce_sum(tf.exp(theirs) * (theirs - ours), axis=1)
        taught = self.heat**2 * tf.reduce_mean(divergence)
        return (1 - self.weight) * chosen + self.weight * taught, aligned
