"""The article's second equation, h = σ(hW + b), and the convolution as a special case of it.

Chapter 3 derives every function of this module. Images are (batch, height, width, channels) and
kernels (height, width, channels in, channels out), as in Keras; a "window" is the height and width
of what a kernel, or a pooling, looks at. All functions keep the dtype that they are given.

Sources: LeCun et al., "Gradient-based learning applied to document recognition", 1998 (convolution
and pooling); Chellapilla et al., "High performance convolutional neural networks for document
processing", 2006 (im2col); Dumoulin & Visin, "A guide to convolution arithmetic for deep
learning", arXiv:1603.07285 (sizes and padding).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mmtutorial.equations.activations import ACTIVATIONS, Activation

MAX_ENTRIES = 50_000_000  # of a `convolution_matrix`: 400 MB of float64

Pair = int | tuple[int, int]


def dense(h: np.ndarray, W: np.ndarray, b: np.ndarray, activation: str = "linear") -> np.ndarray:
    """Return σ(hW + b), the article's equation (section 4.1), with vectors as rows.

    Parameters
    ----------
    h : ndarray
        Float (..., d_in): the layer before, with any axes in front.
    W, b : ndarray
        Float (d_in, d_out) and (d_out,): weights and bias.
    activation : str
        σ, a key of `mmtutorial.equations.activations.ACTIVATIONS`.

    Returns
    -------
    ndarray
        Float (..., d_out).

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is no such activation.

    Examples
    --------
    >>> dense(np.array([[1.0, 2.0]]), np.array([[1.0], [-1.0]]), np.array([0.5]), "relu")
    array([[0.]])
    """
    if W.ndim != 2 or h.shape[-1] != W.shape[0] or b.shape != W.shape[1:]:
        raise ValueError(
            f"h {h.shape}, W {W.shape} and b {b.shape} do not fit: "
            "they must be (..., d_in), (d_in, d_out) and (d_out,)"
        )
    a = h.reshape(-1, W.shape[0]) @ W  # one product of two matrices, whatever stands in front
    a += b
    return _activation(activation).function(a).reshape(*h.shape[:-1], -1)


def dense_backward(
    gradient: np.ndarray,
    h: np.ndarray,
    W: np.ndarray,
    output: np.ndarray | None = None,
    activation: str = "linear",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Carry the loss's gradient back through `dense`: δ = ∂L/∂output ⊙ σ', then δWᵀ, hᵀδ, Σδ.

    Parameters
    ----------
    gradient : ndarray
        Float (..., d_out): of the loss, with respect to what `dense` returned.
    h, W : ndarray
        What `dense` was given: (..., d_in) and (d_in, d_out).
    output : ndarray, optional
        What `dense` returned, (..., d_out); needed unless the activation is "linear".
    activation : str
        As in `dense`.

    Returns
    -------
    tuple of ndarray
        Gradients with respect to h (..., d_in), W (d_in, d_out) and b (d_out,). Those of W and b
        are summed over the batch.

    Raises
    ------
    ValueError
        If the shapes do not fit, there is no such activation, or the output is needed and absent.

    Examples
    --------
    >>> h, W = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
    >>> dh, dW, db = dense_backward(np.ones((1, 1)), h, W)
    >>> dh.tolist(), dW.tolist(), db.tolist()
    ([[3.0, 4.0]], [[1.0], [2.0]], [1.0])
    """
    if gradient.shape != (*h.shape[:-1], W.shape[1]) or h.shape[-1] != W.shape[0]:
        raise ValueError(
            f"gradient {gradient.shape}, h {h.shape} and W {W.shape} do not fit: "
            "they must be (..., d_out), (..., d_in) and (d_in, d_out)"
        )
    delta = gradient
    if activation != "linear":
        if output is None:
            raise ValueError(
                f"the derivative of {activation!r} needs `output`: give what dense returned"
            )
        delta = gradient * _activation(activation).derivative(output)
    rows = delta.reshape(-1, W.shape[1])
    dW = h.reshape(-1, W.shape[0]).T @ rows
    return (rows @ W.T).reshape(h.shape), dW, rows.sum(axis=0)


def output_size(size: int, window: int, stride: int = 1, padding: str = "valid") -> int:
    """Return how many places a window takes along an axis: H' or W'.

    With "valid" the window stays inside, ⌊(size − window) / stride⌋ + 1; with "same" there are
    ⌈size / stride⌉, as in TensorFlow.

    Raises ValueError if the window does not fit, or an argument is not among those above.

    >>> output_size(32, 3), output_size(32, 3, stride=2), output_size(32, 3, 2, "same")
    (30, 15, 16)
    """
    if window < 1 or stride < 1 or size < 1:
        raise ValueError(f"size {size}, window {window} and stride {stride} must be at least 1")
    if padding == "same":
        return -(-size // stride)
    if padding != "valid":
        raise ValueError(f"padding is {padding!r}; it is 'valid' or 'same'")
    if window > size:
        raise ValueError(
            f"a window of {window} does not fit into {size} pixels: "
            "make the picture larger or the window smaller, or pad with 'same'"
        )
    return (size - window) // stride + 1


def padding_widths(
    size: int, window: int, stride: int = 1, padding: str = "valid"
) -> tuple[int, int]:
    """Return how many entries are added before and after an axis, as TensorFlow does.

    Under "same" the last window must end at the padded axis' end: the total is
    max(0, (H' − 1) · stride + window − size). Half of it goes before; of an odd total, the larger
    half goes *after*, in which TensorFlow differs from some other libraries.

    >>> padding_widths(5, 3, 1, "same"), padding_widths(6, 3, 2, "same"), padding_widths(6, 3)
    ((1, 1), (0, 1), (0, 0))
    """
    places = output_size(size, window, stride, padding)
    if padding == "valid":
        return 0, 0
    total = max(0, (places - 1) * stride + window - size)
    return total // 2, total - total // 2


def im2col(
    x: np.ndarray, window: Pair, stride: Pair = 1, padding: str = "valid", fill: float = 0.0
) -> np.ndarray:
    """Lay out every window of each image as a row: the patches, P.

    Parameters
    ----------
    x : ndarray
        (batch, height, width, channels).
    window, stride : int or (int, int)
        Of height and width; one number serves both.
    padding : str
        "valid" or "same", see `padding_widths`.
    fill : float
        What stands in the padding.

    Returns
    -------
    ndarray
        (batch, H', W', s₁ · s₂ · channels) of x's dtype: the entries of a window row by row,
        channels last, in the order of ``kernel.reshape(-1, channels_out)``.

    Raises
    ------
    ValueError
        If x has not four axes, or the window does not fit.

    Examples
    --------
    >>> picture = np.arange(9).reshape(1, 3, 3, 1)
    >>> im2col(picture, 2).reshape(4, 4)
    array([[0, 1, 3, 4],
           [1, 2, 4, 5],
           [3, 4, 6, 7],
           [4, 5, 7, 8]])
    """
    _check_images(x)
    (s1, s2), (r1, r2) = _pair(window), _pair(stride)
    rows = padding_widths(x.shape[1], s1, r1, padding)
    columns = padding_widths(x.shape[2], s2, r2, padding)
    if any(rows + columns):
        x = np.pad(x, ((0, 0), rows, columns, (0, 0)), constant_values=fill)
    windows = sliding_window_view(x, (s1, s2), axis=(1, 2))[:, ::r1, ::r2]  # B, H', W', C, s1, s2
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(*windows.shape[:3], -1)


def im2col_adjoint(
    patches: np.ndarray,
    shape: tuple[int, int, int, int],
    window: Pair,
    stride: Pair = 1,
    padding: str = "valid",
) -> np.ndarray:
    """Add every patch back to where `im2col` took it from: its transpose, a linear map.

    An entry of the image that lies in several windows receives the sum of what is in all of them;
    what falls on the padding is dropped. Python loops over the s₁ · s₂ places *within* a window
    only; each turn adds whole arrays.

    Parameters
    ----------
    patches : ndarray
        (batch, H', W', s₁ · s₂ · channels), such as a gradient with respect to `im2col`'s result.
    shape : tuple of int
        Of the images that `im2col` was given.
    window, stride, padding
        As in `im2col`.

    Returns
    -------
    ndarray
        Of this shape, of the patches' dtype.

    Raises
    ------
    ValueError
        If the patches are not what `im2col` makes of images of this shape.

    Examples
    --------
    >>> ones = np.ones((1, 3, 3, 1))
    >>> im2col_adjoint(im2col(ones, 2), ones.shape, 2)[0, :, :, 0]   # windows over each pixel
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    batch, height, width, channels = shape
    (s1, s2), (r1, r2) = _pair(window), _pair(stride)
    up, down = padding_widths(height, s1, r1, padding)
    left, right = padding_widths(width, s2, r2, padding)
    places = (output_size(height, s1, r1, padding), output_size(width, s2, r2, padding))
    if patches.shape != (batch, *places, s1 * s2 * channels):
        raise ValueError(
            f"patches {patches.shape} do not come from images {shape} with window {(s1, s2)}, "
            f"stride {(r1, r2)}, padding {padding!r}: "
            f"those would be {(batch, *places, s1 * s2 * channels)}"
        )
    blocks = patches.reshape(batch, *places, s1, s2, channels)
    x = np.zeros((batch, up + height + down, left + width + right, channels), patches.dtype)
    for alpha in range(s1):
        for beta in range(s2):
            ends = alpha + r1 * (places[0] - 1) + 1, beta + r2 * (places[1] - 1) + 1
            x[:, alpha : ends[0] : r1, beta : ends[1] : r2] += blocks[:, :, :, alpha, beta]
    return np.ascontiguousarray(x[:, up : up + height, left : left + width])


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray,
    stride: Pair = 1,
    padding: str = "valid",
    activation: str = "linear",
) -> np.ndarray:
    """Convolve images with a kernel, as one `dense` layer over the patches of `im2col`.

    The kernel is not flipped (mathematicians say cross-correlation), as in Keras, whose results
    these are for every stride and padding.

    Parameters
    ----------
    x : ndarray
        Float (batch, height, width, channels).
    kernel, bias : ndarray
        Float (s₁, s₂, channels, channels_out) and (channels_out,).
    stride, padding
        As in `im2col`.
    activation : str
        As in `dense`.

    Returns
    -------
    ndarray
        Float (batch, H', W', channels_out), see `output_size`.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> picture = np.array([0.0, 0, 1, 1, 1]).reshape(1, 1, 5, 1)
    >>> edge = np.array([-1.0, 1]).reshape(1, 2, 1, 1)
    >>> conv2d(picture, edge, np.zeros(1)).ravel()
    array([0., 1., 0., 0.])
    """
    _check_kernel(x, kernel)
    patches = im2col(x, kernel.shape[:2], stride, padding)
    return dense(patches, kernel.reshape(-1, kernel.shape[3]), bias, activation)


def conv2d_backward(
    gradient: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    stride: Pair = 1,
    padding: str = "valid",
    output: np.ndarray | None = None,
    activation: str = "linear",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Carry the loss's gradient back through `conv2d`: `dense_backward`, then the patches' adjoint.

    Parameters
    ----------
    gradient : ndarray
        Float (batch, H', W', channels_out): of the loss, with respect to what `conv2d` returned.
    x, kernel, stride, padding, activation
        What `conv2d` was given.
    output : ndarray, optional
        What `conv2d` returned; needed unless the activation is "linear".

    Returns
    -------
    tuple of ndarray
        Gradients with respect to x, kernel and bias, of their shapes.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> x, kernel = np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1))
    >>> dx, dkernel, dbias = conv2d_backward(np.ones((1, 2, 2, 1)), x, kernel)
    >>> dx[0, 1, 1].item(), dkernel[0, 0].item(), dbias.item()
    (4.0, 4.0, 4.0)
    """
    _check_kernel(x, kernel)
    window = kernel.shape[:2]
    patches = im2col(x, window, stride, padding)
    K = kernel.reshape(-1, kernel.shape[3])
    dpatches, dK, dbias = dense_backward(gradient, patches, K, output, activation)
    batch, height, width, channels = x.shape
    dx = im2col_adjoint(dpatches, (batch, height, width, channels), window, stride, padding)
    return dx, dK.reshape(kernel.shape), dbias


def convolution_matrix(
    kernel: np.ndarray, height: int, width: int, stride: Pair = 1, padding: str = "valid"
) -> np.ndarray:
    """Return the W with which a convolution *is* the article's equation, hW + b.

    With an image laid out as one row h of height · width · channels entries, ``h @ W`` is the
    convolution, laid out likewise, to which each output channel adds its bias. Written straight
    from the equation, entry by entry: W at (i, j, c), (p, q, d) is K at (i − r₁p, j − r₂q, c, d),
    with i and j counted from the padding's edge, and 0 outside of the kernel.

    Nobody computes like this: W is nearly all zeros. It is there to be looked at.

    Parameters
    ----------
    kernel : ndarray
        Float (s₁, s₂, channels, channels_out).
    height, width : int
        Of the image.
    stride, padding
        As in `im2col`.

    Returns
    -------
    ndarray
        (height · width · channels, H' · W' · channels_out) of the kernel's dtype.

    Raises
    ------
    ValueError
        If W would have more than `MAX_ENTRIES` entries, or the shapes do not fit.

    Examples
    --------
    >>> convolution_matrix(np.array([1, -1]).reshape(1, 2, 1, 1), 1, 4)
    array([[ 1,  0,  0],
           [-1,  1,  0],
           [ 0, -1,  1],
           [ 0,  0, -1]])
    """
    if kernel.ndim != 4:
        raise ValueError(f"the kernel's shape is {kernel.shape}; give (s1, s2, channels in, out)")
    s1, s2, channels, filters = kernel.shape
    r1, r2 = _pair(stride)
    places = (output_size(height, s1, r1, padding), output_size(width, s2, r2, padding))
    shape = (height * width * channels, places[0] * places[1] * filters)
    if shape[0] * shape[1] > MAX_ENTRIES:
        raise ValueError(
            f"W would be {shape[0]:,} × {shape[1]:,}, more than {MAX_ENTRIES:,} entries: "
            "it is meant for small images; `conv2d` does the same without it"
        )
    up, left = (
        padding_widths(height, s1, r1, padding)[0],
        padding_widths(width, s2, r2, padding)[0],
    )
    alpha = np.arange(height)[:, None] + up - r1 * np.arange(places[0])  # (H, H')
    beta = np.arange(width)[:, None] + left - r2 * np.arange(places[1])  # (W, W')
    inside = ((alpha >= 0) & (alpha < s1))[:, None, :, None] & ((beta >= 0) & (beta < s2))[:, None]
    entries = kernel[alpha.clip(0, s1 - 1)[:, None, :, None], beta.clip(0, s2 - 1)[:, None]]
    W = np.where(inside[..., None, None], entries, np.zeros((), kernel.dtype))  # H, W, H', W', C, D
    return W.transpose(0, 1, 4, 2, 3, 5).reshape(shape)


def max_pool(
    x: np.ndarray, window: Pair = 2, stride: Pair | None = None, padding: str = "valid"
) -> np.ndarray:
    """Keep the largest entry of every window, channel by channel.

    Parameters
    ----------
    x : ndarray
        Float (batch, height, width, channels).
    window : int or (int, int)
        Of height and width.
    stride : int or (int, int), optional
        The window's own size unless given, so that windows do not overlap.
    padding : str
        "valid" or "same"; the padding is −∞ and never the largest.

    Returns
    -------
    ndarray
        (batch, H', W', channels).

    Raises
    ------
    ValueError
        If x has not four axes, or the window does not fit.

    Examples
    --------
    >>> max_pool(np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _pool_windows(x, window, stride, padding).max(axis=3)


def max_pool_backward(
    gradient: np.ndarray,
    x: np.ndarray,
    window: Pair = 2,
    stride: Pair | None = None,
    padding: str = "valid",
) -> np.ndarray:
    """Carry the loss's gradient back through `max_pool`: all of it to the largest, 0 to the rest.

    Among equals it goes to the first, row by row, as in TensorFlow.

    Parameters
    ----------
    gradient : ndarray
        Float (batch, H', W', channels): of the loss, with respect to what `max_pool` returned.
    x, window, stride, padding
        What `max_pool` was given.

    Returns
    -------
    ndarray
        With respect to x, of its shape.

    Raises
    ------
    ValueError
        If the gradient has not the shape that `max_pool` returns.

    Examples
    --------
    >>> x = np.array([[1.0, 3.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
    >>> max_pool_backward(np.full((1, 1, 1, 1), 5.0), x)[0, :, :, 0]
    array([[0., 5.],
           [0., 0.]])
    """
    windows = _pool_windows(x, window, stride, padding)  # B, H', W', s1 * s2, C
    if gradient.shape != (*windows.shape[:3], windows.shape[4]):
        raise ValueError(
            f"the gradient's shape is {gradient.shape}; "
            f"max_pool returned {(*windows.shape[:3], windows.shape[4])}"
        )
    largest = windows.argmax(axis=3)[:, :, :, None]
    patches = np.zeros(windows.shape, gradient.dtype)
    np.put_along_axis(patches, largest, gradient[:, :, :, None], axis=3)
    batch, height, width, channels = x.shape
    return im2col_adjoint(
        patches.reshape(*windows.shape[:3], -1),
        (batch, height, width, channels),
        window,
        window if stride is None else stride,
        padding,
    )


class Field(NamedTuple):
    """What one output of each layer of a stack sees, along one axis, in pixels of the input.

    ``size`` is the receptive field, ``jump`` how far apart the fields of neighbours lie.
    """

    size: np.ndarray
    jump: np.ndarray


def receptive_field(windows: Sequence[int], strides: Sequence[int]) -> Field:
    """Return the receptive field after each layer of a stack of convolutions and poolings.

    Layer l widens the field by (s_l − 1) times the product of the strides before it, and
    multiplies that product by its own (Araujo et al., "Computing receptive fields of convolutional
    neural networks", Distill, 2019). Padding moves a field, and changes no size.

    Parameters
    ----------
    windows, strides : sequence of int
        One a layer, first layer first.

    Returns
    -------
    Field
        Two int64 arrays (n_layers,).

    Raises
    ------
    ValueError
        If the two differ in length, or hold a number below 1.

    Examples
    --------
    >>> receptive_field([3, 2, 3, 2], [1, 2, 1, 2]).size
    array([ 3,  4,  8, 10])
    """
    s, r = np.asarray(windows, np.int64), np.asarray(strides, np.int64)
    if s.shape != r.shape or s.ndim != 1 or (s < 1).any() or (r < 1).any():
        raise ValueError(
            f"windows {list(windows)} and strides {list(strides)}: "
            "one whole number of at least 1 a layer, in both"
        )
    jump = np.cumprod(r)
    return Field(1 + np.cumsum((s - 1) * (jump // r)), jump)


def _pool_windows(x: np.ndarray, window: Pair, stride: Pair | None, padding: str) -> np.ndarray:
    """Return what each place of a pooling looks at: (batch, H', W', s₁ · s₂, channels)."""
    patches = im2col(x, window, window if stride is None else stride, padding, fill=-np.inf)
    return patches.reshape(*patches.shape[:3], -1, x.shape[3])


def _activation(name: str) -> Activation:
    """Look an activation up, and say which there are."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation is {name!r}; it is one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _pair(number: Pair) -> tuple[int, int]:
    """Give one number to both height and width."""
    return (number, number) if isinstance(number, int | np.integer) else (number[0], number[1])


def _check_images(x: np.ndarray) -> None:
    if x.ndim != 4:
        raise ValueError(
            f"the images' shape is {x.shape}; give (batch, height, width, channels), "
            "a single image as image[None]"
        )


def _check_kernel(x: np.ndarray, kernel: np.ndarray) -> None:
    _check_images(x)
    if kernel.ndim != 4 or kernel.shape[2] != x.shape[3]:
        raise ValueError(
            f"images {x.shape} and kernel {kernel.shape} do not fit: they must be "
            "(batch, height, width, channels) and (s1, s2, channels, channels out)"
        )
