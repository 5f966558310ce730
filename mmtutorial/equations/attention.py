"""Attention: from one weighted mean to a Transformer's block, forwards and backwards.

Scaled dot-product attention, several heads of it, positions, layer normalisation and the block
that joins them (Vaswani et al. 2017). Weights lie as Keras keeps them, so that
``HeadWeights(*layer.get_weights())`` takes them out of a ``keras.layers.MultiHeadAttention``.

Everything works on a batch at once and keeps the dtype that it is given. There is no loop over
words: every word looks at all others in one product of matrices. A function ``…_backward`` takes
the gradient of a loss by what the function has returned, computes again what it needs of the way
forwards, and returns the gradients by what the function was given.

A mask is an array of true and false that broadcasts to (batch, words, words): true where the word
of the row may look at the word of the column.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mmtutorial.equations.activations import softmax
from mmtutorial.equations.convolution import dense, dense_backward

EPSILON = 1e-3  # what Keras's LayerNormalization adds to the variance


def causal_mask(length: int) -> np.ndarray:
    """Let every word look at itself and the words before it: bool (length, length).

    >>> causal_mask(3).astype(int)
    array([[1, 0, 0],
           [1, 1, 0],
           [1, 1, 1]])
    """
    return np.tri(length, dtype=bool)


def padding_mask(words: np.ndarray, padding: int = 0) -> np.ndarray:
    """Let nobody look at padding: int (batch, words) → bool (batch, 1, words).

    >>> padding_mask(np.array([[7, 8, 0]])).astype(int)
    array([[[1, 1, 0]]])
    """
    return (np.asarray(words) != padding)[:, None, :]


def attention_weights(q: np.ndarray, k: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return softmax(q kᵀ / √d), for every query its weights over the keys.

    Parameters
    ----------
    q, k : ndarray
        Queries (…, n, d) and keys (…, m, d).
    mask : ndarray, optional
        bool, broadcasts to (…, n, m): true where a query may look.

    Returns
    -------
    ndarray
        (…, n, m), each row sums to one. A query that may look nowhere has zeros.

    Raises
    ------
    ValueError
        If queries and keys differ in length.

    Notes
    -----
    Vaswani et al. (2017), equation 1. The products of two independent vectors with d entries of
    variance 1 have the variance d; divided by √d, it is 1 whatever d.

    Examples
    --------
    >>> attention_weights(np.array([[4.0], [0.0]]), np.array([[1.0], [1.0]]), causal_mask(2))
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(
            f"queries are {q.shape} and keys {k.shape}: their last axes must have the same length"
        )
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]).astype(q.dtype)
    if mask is None:
        return softmax(scores)
    seen = np.broadcast_to(mask, scores.shape)
    lowest = np.finfo(scores.dtype).min
    return np.where(seen, softmax(np.where(seen, scores, lowest)), 0).astype(scores.dtype)


def attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Return for every query the mean of the values, weighted by `attention_weights`.

    Parameters
    ----------
    q, k, v : ndarray
        Queries (…, n, d), keys (…, m, d), values (…, m, d_v).
    mask : ndarray, optional
        See `attention_weights`.

    Returns
    -------
    ndarray
        (…, n, d_v).

    Examples
    --------
    >>> same = np.zeros((2, 1))
    >>> attention(same, same, np.array([[2.0], [4.0]]))
    array([[3.],
           [3.]])
    """
    return attention_weights(q, k, mask) @ v


def attention_backward(
    gradient: np.ndarray,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differentiate a loss through `attention`.

    With A the weights and S the scores: ∂L/∂A = ∂L/∂out vᵀ, and the softmax takes from each entry
    the row's mean, ∂L/∂S = A ⊙ (∂L/∂A − Σ_j A_j ∂L/∂A_j). A masked score has A = 0 and so no
    gradient.

    Parameters
    ----------
    gradient : ndarray
        (…, n, d_v), by what `attention` has returned.
    q, k, v, mask
        As given to `attention`.

    Returns
    -------
    tuple of ndarray
        By ``q``, ``k`` and ``v``, each of its shape.

    Examples
    --------
    >>> same, v = np.zeros((2, 1)), np.array([[2.0], [4.0]])
    >>> attention_backward(np.ones((2, 1)), same, same, v)[2]
    array([[1.],
           [1.]])
    """
    weights = attention_weights(q, k, mask)
    by_weights = gradient @ np.swapaxes(v, -1, -2)
    mean = (weights * by_weights).sum(axis=-1, keepdims=True)
    by_scores = weights * (by_weights - mean) / np.sqrt(q.shape[-1]).astype(q.dtype)
    return (
        by_scores @ k,
        np.swapaxes(by_scores, -1, -2) @ q,
        np.swapaxes(weights, -1, -2) @ gradient,
    )


class HeadWeights(NamedTuple):
    """The weights of multi-head attention in the order of Keras's layer, or gradients by them.

    ``query``, ``key`` and ``value`` are (d, heads, d_head), their biases (heads, d_head);
    ``output`` is (heads, d_head, d), its bias (d,).
    """

    query: np.ndarray
    query_bias: np.ndarray
    key: np.ndarray
    key_bias: np.ndarray
    value: np.ndarray
    value_bias: np.ndarray
    output: np.ndarray
    output_bias: np.ndarray


def _heads(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Project words into every head: (batch, n, d) → (batch, heads, n, d_head)."""
    return np.einsum("bnd,dhk->bhnk", x, kernel) + bias[:, None, :]


def _projections(x: np.ndarray, weights: HeadWeights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the queries, keys and values of every head."""
    if x.ndim != 3 or x.shape[2] != len(weights.query):
        raise ValueError(
            f"x is {x.shape}; it must be (batch, words, {len(weights.query)}), as long as the "
            f"rows of the weights"
        )
    return (
        _heads(x, weights.query, weights.query_bias),
        _heads(x, weights.key, weights.key_bias),
        _heads(x, weights.value, weights.value_bias),
    )


def _for_heads(mask: np.ndarray | None) -> np.ndarray | None:
    """Let a mask (…, n, n) hold for every head: (…, 1, n, n)."""
    return None if mask is None else np.expand_dims(mask, -3)


def head_weights(x: np.ndarray, weights: HeadWeights, mask: np.ndarray | None = None) -> np.ndarray:
    """Return every head's attention weights, the maps that chapters draw.

    (batch, n, d) → (batch, heads, n, n); see `multi_head` for the parameters.
    """
    q, k, _ = _projections(x, weights)
    return attention_weights(q, k, _for_heads(mask))


def multi_head(x: np.ndarray, weights: HeadWeights, mask: np.ndarray | None = None) -> np.ndarray:
    """Let every word attend to the words of its text, with several heads.

    Each head has queries, keys and values of its own, x W + b. What the heads return is put end
    to end and brought back to d entries.

    Parameters
    ----------
    x : ndarray
        (batch, n, d), one vector a word.
    weights : HeadWeights
    mask : ndarray, optional
        bool, broadcasts to (batch, n, n), the same for every head.

    Returns
    -------
    ndarray
        (batch, n, d). Equals ``keras.layers.MultiHeadAttention(heads, d_head)(x, x)``.

    Raises
    ------
    ValueError
        If ``x`` and the weights do not fit.

    Examples
    --------
    >>> one, zero = np.ones((1, 1, 1)), np.zeros((1, 1))
    >>> weights = HeadWeights(one, zero, one, zero, one, zero, one, np.zeros(1))
    >>> multi_head(np.array([[[0.0], [0.0], [3.0]]]), weights, causal_mask(3)).ravel().round(2)
    array([0., 0., 3.])
    """
    q, k, v = _projections(x, weights)
    joined = attention(q, k, v, _for_heads(mask))
    return np.einsum("bhnk,hkd->bnd", joined, weights.output) + weights.output_bias


def multi_head_backward(
    gradient: np.ndarray, x: np.ndarray, weights: HeadWeights, mask: np.ndarray | None = None
) -> tuple[np.ndarray, HeadWeights]:
    """Differentiate a loss through `multi_head`.

    Parameters
    ----------
    gradient : ndarray
        (batch, n, d), by what `multi_head` has returned.
    x, weights, mask
        As given to `multi_head`.

    Returns
    -------
    by_x, by_weights : ndarray, HeadWeights
        Each of its shape.
    """
    heads = _projections(x, weights)
    mask = _for_heads(mask)
    by_joined = np.einsum("bnd,hkd->bhnk", gradient, weights.output)
    by_heads = attention_backward(by_joined, *heads, mask)
    by_x = np.zeros_like(x)
    by_weights: list[np.ndarray] = []
    for by_head, kernel in zip(by_heads, weights[:6:2], strict=True):
        by_x += np.einsum("bhnk,dhk->bnd", by_head, kernel)
        by_weights += [np.einsum("bnd,bhnk->dhk", x, by_head), by_head.sum(axis=(0, 2))]
    joined = attention(*heads, mask)
    by_output = np.einsum("bhnk,bnd->hkd", joined, gradient)
    return by_x, HeadWeights._make([*by_weights, by_output, gradient.sum(axis=(0, 1))])


def sinusoids(length: int, d: int) -> np.ndarray:
    """Return the positions of the original Transformer: sines and cosines of many wavelengths.

    Row t has sin(t / 10000^(2j/d)) in column 2j and the cosine of the same in column 2j + 1. So the
    row of t + s is a rotation of the row of t, by the same angles for every t.

    Parameters
    ----------
    length, d : int
        Positions, and entries of a word's vector, an even number.

    Returns
    -------
    ndarray
        float32 (length, d), to be added to the vectors of the words.

    Raises
    ------
    ValueError
        If d is odd.

    Notes
    -----
    Vaswani et al. (2017), section 3.5.

    Examples
    --------
    >>> sinusoids(2, 4).round(2)
    array([[0.  , 1.  , 0.  , 1.  ],
           [0.84, 0.54, 0.01, 1.  ]], dtype=float32)
    """
    if d % 2:
        raise ValueError(f"d is {d}; sines and cosines need an even number")
    angles = np.arange(length)[:, None] / 10_000 ** (np.arange(0, d, 2) / d)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, d).astype("float32")


def layer_norm(
    x: np.ndarray, scale: np.ndarray, shift: np.ndarray, epsilon: float = EPSILON
) -> np.ndarray:
    """Bring every word's vector to mean 0 and variance 1, then scale and shift its entries.

    Parameters
    ----------
    x : ndarray
        (…, d).
    scale, shift : ndarray
        (d,), learnt; Keras's gamma and beta.
    epsilon : float
        Added to the variance.

    Returns
    -------
    ndarray
        As ``x``. Equals ``keras.layers.LayerNormalization(epsilon=epsilon)``.

    Notes
    -----
    Ba, Kiros and Hinton (2016).

    Examples
    --------
    >>> layer_norm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), epsilon=0)
    array([[-1.,  1.]])
    """
    return _standardised(x, epsilon)[0] * scale + shift


def _standardised(x: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x with mean 0 and variance 1 in each row, and the standard deviations."""
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.asarray(epsilon, x.dtype))
    return centred / spread, spread


def layer_norm_backward(
    gradient: np.ndarray, x: np.ndarray, scale: np.ndarray, epsilon: float = EPSILON
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differentiate a loss through `layer_norm`: by ``x``, by ``scale`` and by ``shift``.

    A gradient along a row's mean or along the row itself is lost: neither changes the output.

    >>> layer_norm_backward(np.array([[5.0, 5.0]]), np.array([[1.0, 3.0]]), np.ones(2))[0]
    array([[0., 0.]])
    """
    standard, spread = _standardised(x, epsilon)
    by_standard = gradient * scale
    along_mean = by_standard.mean(axis=-1, keepdims=True)
    along_row = (by_standard * standard).mean(axis=-1, keepdims=True)
    by_x = (by_standard - along_mean - standard * along_row) / spread
    examples = tuple(range(x.ndim - 1))
    return by_x, (gradient * standard).sum(axis=examples), gradient.sum(axis=examples)


class BlockWeights(NamedTuple):
    """The weights of a Transformer's block, or gradients by them.

    ``first_scale``, ``first_shift`` and ``second_scale``, ``second_shift`` (d,) belong to the two
    normalisations; ``heads`` to the attention; ``hidden`` (d, d_hidden), ``hidden_bias``,
    ``output`` (d_hidden, d), ``output_bias`` to the two dense layers.
    """

    first_scale: np.ndarray
    first_shift: np.ndarray
    heads: HeadWeights
    second_scale: np.ndarray
    second_shift: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    output: np.ndarray
    output_bias: np.ndarray


def block(
    x: np.ndarray, weights: BlockWeights, mask: np.ndarray | None = None, activation: str = "relu"
) -> np.ndarray:
    """Pass words through a Transformer's block, each of its two halves added to its input.

    y = x + multi_head(norm(x)) mixes the words, and y + dense(σ(dense(norm(y)))) works on each word
    alone. The normalisation comes first in each half, as in GPT-2.

    Parameters
    ----------
    x : ndarray
        (batch, n, d).
    weights : BlockWeights
    mask : ndarray, optional
        See `multi_head`.
    activation : str
        σ, one of `mmtutorial.equations.activations.ACTIVATIONS`.

    Returns
    -------
    ndarray
        (batch, n, d). Equals `mmtutorial.encoders.transformer.transformer_block`.

    Notes
    -----
    Vaswani et al. (2017), with the normalisation where Radford et al. (2019) put it.
    """
    y = x + multi_head(layer_norm(x, weights.first_scale, weights.first_shift), weights.heads, mask)
    normed = layer_norm(y, weights.second_scale, weights.second_shift)
    hidden = dense(normed, weights.hidden, weights.hidden_bias, activation)
    return y + dense(hidden, weights.output, weights.output_bias)


def block_backward(
    gradient: np.ndarray,
    x: np.ndarray,
    weights: BlockWeights,
    mask: np.ndarray | None = None,
    activation: str = "relu",
) -> tuple[np.ndarray, BlockWeights]:
    """Differentiate a loss through `block`: by ``x`` and by the weights.

    The gradient reaches x along two ways at each half: through the half, and past it.
    """
    normed = layer_norm(x, weights.first_scale, weights.first_shift)
    y = x + multi_head(normed, weights.heads, mask)
    second = layer_norm(y, weights.second_scale, weights.second_shift)
    hidden = dense(second, weights.hidden, weights.hidden_bias, activation)
    by_inner, *by_output = dense_backward(gradient, hidden, weights.output)
    by_second, *by_hidden = dense_backward(by_inner, second, weights.hidden, hidden, activation)

    through, *by_second_norm = layer_norm_backward(by_second, y, weights.second_scale)
    by_y = gradient + through
    by_normed, by_heads = multi_head_backward(by_y, normed, weights.heads, mask)
    through, *by_first_norm = layer_norm_backward(by_normed, x, weights.first_scale)
    return by_y + through, BlockWeights._make(
        [*by_first_norm, by_heads, *by_second_norm, *by_hidden, *by_output]
    )
