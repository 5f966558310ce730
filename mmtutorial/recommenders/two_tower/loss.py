"""What the two towers lower: the cross-entropy of each choice in a softmax over items."""

from __future__ import annotations

import tensorflow as tf

from mmtutorial.keras_settings import keras_rs

_COLUMNS = 48  # of a table's row summed at a time
_TINY = 1e-12  # stands for a probability or a count of 0


def choice_loss(
    scores: tf.Tensor,
    taken: tf.Tensor,
    users: tf.Tensor,
    items: tf.Tensor,
    last: tf.Tensor | None = None,
    drawn: tuple[tf.Tensor, tf.Tensor] | None = None,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
    """Return the cross-entropy of choices in a softmax over items (eq-full-softmax, eq-logq).

    Parameters
    ----------
    scores : tensor
        float32 (n_users, n_items).
    taken : tensor
        float32 (n_users, n_items), 1 where the user has the item already: no alternative.
    users, items : tensor
        int32 (n_choices,): who chose what; no item that the user has already.
    last : tensor, optional
        int32 (n_choices,), for items in order of launch: the column of the last one that was there
        at each choice. Later ones are no alternatives.
    drawn : pair of tensors, optional
        float32 (n_items,) each, for the in-batch softmax with logQ correction: how often each item
        is among the choices, and π, its share of all training interactions.
    weights : tensor, optional
        float32 (n_choices,): what each choice counts in the mean.

    Returns
    -------
    tensor
        float32 scalar, nats a choice.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.log(np.array([[1, 2, 5]], dtype="float32"))
    >>> taken = np.array([[0, 0, 1]], dtype="float32")
    >>> round(float(np.exp(-choice_loss(scores, taken, [0], [1]))), 4)  # 2 of 1 + 2
    0.6667
    """
    pairs = tf.stack([users, items], axis=1)
    if drawn is not None:
        count, probability = drawn
        scores = keras_rs.layers.SamplingProbabilityCorrection(epsilon=_TINY, dtype="float32")(
            scores, probability
        )
    chosen = tf.gather_nd(scores, pairs)
    if drawn is not None:  # an item that was drawn twice is twice in the sum
        scores += tf.math.log(tf.maximum(count, _TINY))
    others = tf.where(taken > 0, -1e9, scores)
    top = tf.stop_gradient(tf.reduce_max(others, axis=1, keepdims=True))
    powers = tf.exp(others - top)
    if last is None:
        total = tf.gather(tf.reduce_sum(powers, axis=1), users)
    else:
        total = sums_up_to(powers, users, last)
    nats = tf.math.log(total + 1e-30) + tf.gather(top[:, 0], users) - chosen
    if weights is None:
        return tf.reduce_mean(nats)
    return tf.reduce_sum(weights * nats) / tf.reduce_sum(weights)


def sums_up_to(table: tf.Tensor, rows: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """Sum a row's entries up to a column, inclusive, for each of (k,) rows and columns: (k,).

    Adds up sums of blocks: far fewer numbers than a running sum of the whole table.

    >>> sums_up_to(tf.constant([[1.0, 2.0, 4.0]]), [0, 0], tf.constant([1, 2])).numpy()
    array([3., 7.], dtype=float32)
    """
    n, m = tf.unstack(tf.shape(table))
    n_blocks = (m - 1) // _COLUMNS + 1
    table = tf.pad(table, [[0, 0], [0, n_blocks * _COLUMNS - m]])
    blocks = tf.reshape(table, [n, n_blocks, _COLUMNS])
    before = tf.cumsum(tf.reduce_sum(blocks, axis=2), axis=1, exclusive=True)
    place = tf.stack([rows, last // _COLUMNS], axis=1)
    within = tf.sequence_mask(last % _COLUMNS + 1, _COLUMNS, table.dtype)
    return tf.gather_nd(before, place) + tf.reduce_sum(tf.gather_nd(blocks, place) * within, axis=1)
