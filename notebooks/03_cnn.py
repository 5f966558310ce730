# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The convolutional network
#
# **You will be able to**
#
# - turn the article's "equation of a CNN" into a convolution, in NumPy, and get Keras's numbers;
# - train a convolutional network on pictures, and compare it with fair rivals;
# - write down augmentation, dropout, batch normalisation and a residual block, and measure what such an addition
#   changes;
# - say how far one output sees, and what a shift of the picture changes;
# - test whether gradients vanish with depth.
#
# {doc}`01b_learning` explains loss, gradient, Adam, epoch, overfitting and dropout.
#
# ## The result first
#
# A convolutional network learns from {glue:text}`cnn-n-train:,d` product pictures on this page. It classifies
# {glue:text}`cnn-accuracy:.1%` of {glue:text}`cnn-n-test:,d` new pictures correctly. A dense network of the same
# size reaches {glue:text}`cnn-same-size:.1%`, and a comparison of raw pixels {glue:text}`cnn-by-pixels:.1%`. The
# most frequent kind alone gives {glue:text}`cnn-majority:.1%`.
#
# ## The idea in words
#
# A kettle is a kettle wherever it stands. A dense layer has a weight for each pixel, so it must learn the kettle
# again at every place. A {term}`convolution` moves a small window over the picture and uses the same few weights
# everywhere. This assumes that neighbouring pixels belong together, and that a pattern means the same everywhere.
# Such an assumption is an {term}`inductive bias`. The layers behind the convolutions may still depend on the place; the
# chapter measures how much.

# %% tags=["parameters"]
profile = "quick"  # "full": pictures of 64 × 64, longer, with five seeds
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import time
from functools import partial
from itertools import pairwise

from mmtutorial import datasets, plots  # first: it quiets TensorFlow

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf
from IPython.display import display
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mmtutorial.evaluation.estimates import Estimate
from mmtutorial.encoders.image import image_encoder
from mmtutorial.encoders.pictures import vgg_encoder, vgg_weights
from mmtutorial.equations.activations import ACTIVATIONS
from mmtutorial.equations.convolution import (
    conv2d,
    conv2d_backward,
    convolution_matrix,
    dense,
    dense_backward,
    im2col,
    max_pool,
    max_pool_backward,
    output_size,
    padding_widths,
    receptive_field,
)
from mmtutorial.equations.learning import classifier_gradient, classifier_loss
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.reproduce import notebooks
from mmtutorial.reproduce.evidence import quoted_evidence

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
FULL = profile == "full"
SEEDS = range(seed, seed + (5 if FULL else 1))
plots.use_style()
tf.get_logger().setLevel("ERROR")
keras.utils.set_random_seed(seed)
tf.config.experimental.enable_op_determinism()
started = time.perf_counter()
quote = partial(notebooks.quote, "cnn")

# %% [markdown]
# ## The pictures
#
# {doc}`01_data` turns files into arrays. Here we take pictures of a known *kind*, at least ten of each. Chance
# splits them: 64 % for training, 16 % for validation, 20 % for the test.

# %% tags=["remove-output"]
PIXELS = 64 if FULL else 32  # a side
data = (
    datasets.load(dataset, seed=seed)
    if dataset in datasets.MAKERS
    else datasets.load(dataset)
)


def common_kinds(data):
    """Return the kinds of which at least ten items have a picture."""
    if "image_attribute" not in data.items:
        return []
    kinds = data.items.loc[data.items["image"] != "", "image_attribute"]
    counts = kinds[kinds != ""].value_counts()
    return sorted(counts.index[counts >= 10])


stand_in = len(common_kinds(data)) < 2
if stand_in:
    data = datasets.load("shop", n_items=200, n_users=30, seed=seed)
kinds = common_kinds(data)  # names, in the order of the labels
n_kinds = len(kinds)

pictures, present, faults = encode_images(
    [data.path(row, "image") for row in range(data.n_items)], size=PIXELS
)
rows = np.flatnonzero(present & data.items["image_attribute"].isin(kinds))
pictures = pictures[rows]  # float32 (n, PIXELS, PIXELS, 3), in 0…1
label = np.searchsorted(kinds, data.items["image_attribute"].iloc[rows])

learnt_from, test = train_test_split(
    np.arange(len(rows)), test_size=0.2, stratify=label, random_state=seed
)
train, validation = train_test_split(
    learnt_from,
    test_size=0.2,
    stratify=label[learnt_from],
    random_state=seed,
)

# %% tags=["hide-input"]
for fault in faults:
    print(fault)
parts = {"training": train, "validation": validation, "test": test}
counts = np.stack(
    [np.bincount(label[part], minlength=n_kinds) for part in parts.values()]
)
plots.table(
    pd.DataFrame(
        counts.T, columns=list(parts), index=list(map(str, kinds))
    ).assign(all=counts.sum(axis=0)),
    index=True,
)

# %% tags=["hide-input"]
examples = np.array(
    [train[label[train] == kind][:1].item() for kind in range(min(8, n_kinds))]
)
figure, axes = plt.subplots(2, 4, figsize=(6, 3.3), layout="constrained")
for axis in axes.flat:
    axis.axis("off")
for axis, row in zip(axes.flat, examples, strict=False):
    axis.imshow(pictures[row])
    axis.set_title(str(kinds[label[row]]), fontsize=10)
plots.show(
    figure,
    f"One picture of each kind, {PIXELS} pixels a side: "
    + ", ".join(str(kinds[label[row]]) for row in examples)
    + ".",
)

# %% tags=["remove-cell"]
most_frequent = np.bincount(label[train]).argmax()
majority = (label[test] == most_frequent).mean()
quote(
    dataset=data.name,
    stand_in=" (the data set has no pictures of known kinds, so a small shop "
    "stands in)"
    if stand_in
    else "",
    n_pictures=len(rows),
    n_train=len(train),
    n_test=len(test),
    n_kinds=n_kinds,
    pixels=PIXELS,
    majority=majority,
    majority_kind=str(kinds[most_frequent]),
)

# %% [markdown]
# The table counts {glue:text}`cnn-n-pictures:,d` pictures of {glue:text}`cnn-n-kinds` kinds from
# {glue:text}`cnn-dataset`{glue:text}`cnn-stand-in`; the figure shows one of each. A picture has
# {glue:text}`cnn-pixels:d` pixels a side. The {term}`baseline` always
# answers "{glue:text}`cnn-majority-kind`", the most frequent kind.
#
# ## The article's equation is a dense layer
#
# The article prints $h^{(l)} = \sigma(W^{(l)} h^{(l-1)} + b^{(l)})$ as the equation of a CNN (row
# [E2](#claim-e2)), for columns. This book writes rows, so its $W$ is our transpose:
#
# $$
# \begin{gathered}
# h^{(l)} = \sigma\bigl(h^{(l-1)}\, W^{(l)} + b^{(l)}\bigr), \\
# h^{(l-1)} \in \mathbb{R}^{d_{l-1}},\quad W^{(l)} \in \mathbb{R}^{d_{l-1} \times d_l},\quad
# b^{(l)} \in \mathbb{R}^{d_l} .
# \end{gathered}
# $$ (eq-dense)
#
# This is the dense layer: each entry of the input has a weight for each entry of the output. Let
# $a^{(l)} = h^{(l-1)}W^{(l)} + b^{(l)}$. For a batch of $B$ rows the chain rule gives
#
# $$
# \begin{aligned}
# \delta^{(l)} &= \frac{\partial \mathcal L}{\partial h^{(l)}} \odot \sigma'\bigl(a^{(l)}\bigr)
#   && B \times d_l \\
# \frac{\partial \mathcal L}{\partial W^{(l)}} &= h^{(l-1)\mathsf T}\, \delta^{(l)}
#   && d_{l-1} \times d_l \\
# \frac{\partial \mathcal L}{\partial b^{(l)}} &= \textstyle\sum_{\text{rows}} \delta^{(l)}
#   && d_l \\
# \frac{\partial \mathcal L}{\partial h^{(l-1)}} &= \delta^{(l)}\, W^{(l)\mathsf T}
#   && B \times d_{l-1} .
# \end{aligned}
# $$ (eq-backward)
#
# In NumPy, with $\sigma$ = ReLU, compared with Keras. The loss is half the mean of the squared outputs, so its
# derivative is $y$ divided by the number of entries:


# %%
def layer_forward(h, W, b):
    return np.maximum(h @ W + b, 0)  # a dense layer


def layer_backward(by_output, h, W, output):
    delta = by_output * (output > 0)  # ReLU's slope: 1 or 0
    return delta @ W.T, h.T @ delta, delta.sum(axis=0)


def keras_says(layer, x, weights=()):
    """Return the output of a Keras layer, and its gradients."""
    layer.build(x.shape)
    layer.set_weights(weights)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_mean(y**2) / 2
    return [y, *tape.gradient(loss, [x, *layer.trainable_variables])]


def differ(ours, theirs):
    """Return the largest difference of any pair of arrays."""
    both = zip(ours, theirs, strict=True)
    return max(np.abs(a - np.asarray(b)).max() for a, b in both)


TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
generator = np.random.default_rng(seed)
h, W, b = (
    generator.normal(size=shape) / 7 for shape in [(32, 48), (48, 10), (10,)]
)
y = layer_forward(h, W, b)
ours = [y, *layer_backward(y / y.size, h, W, y)]
layer = keras.layers.Dense(10, activation="relu", dtype="float64")
difference = differ(ours, keras_says(layer, h, [W, b]))
print(f"largest difference of outputs and gradients: {difference:.1e}")
assert difference < TOLERANCE["float64"]
assert differ(ours, [y, *dense_backward(y / y.size, h, W, y, "relu")]) == 0

# %% [markdown]
#
# ## A convolution
#
# A kernel $K$ of side $s$, from $C$ channels to $D$, moves by a {term}`stride` of $r$ over an image
# $X \in \mathbb{R}^{H \times W \times C}$:
#
# $$
# Y_{pqd} = b_d + \sum_{\alpha=0}^{s-1} \sum_{\beta=0}^{s-1} \sum_{c=0}^{C-1}
#   X_{rp+\alpha,\; rq+\beta,\; c}\; K_{\alpha\beta c d} .
# $$ (eq-convolution)
#
# | symbol | what it is | shape |
# |---|---|---|
# | $K$ | kernel, learnt | $s \times s \times C \times D$ |
# | $b$ | bias, learnt | $D$ |
# | $Y$ | output, without padding | $H' \times W' \times D$, $H' = \lfloor (H-s)/r \rfloor + 1$, $W'$ likewise |
#
# Mathematicians call this a cross-correlation; their convolution flips the kernel {cite}`lecun1998`. For a learnt
# kernel that makes no difference. In the example the picture is dark on the left, and the kernel subtracts the left
# neighbour from the right one:

# %%
X = np.array([[0, 0, 1, 2, 2, 2]] * 4 + [[0, 0, 0, 1, 2, 2]] * 2, float)
K = np.array([[-1, 0, 1]] * 3, float)

p, q = 1, 1  # the place that is outlined below
by_sums = (X[p : p + 3, q : q + 3] * K).sum()
Y = conv2d(X[None, :, :, None], K[:, :, None, None], np.zeros(1))[0, :, :, 0]
print(f"Y[{p}, {q}] by the sums: {by_sums:.0f}, by conv2d: {Y[p, q]:.0f}")
assert by_sums == Y[p, q]


# %% tags=["hide-input"]
def numbers(axis, matrix, title, largest=None, cmap="RdBu_r"):
    """Draw a small matrix with its numbers."""
    largest = largest or np.abs(matrix).max()
    sns.heatmap(
        matrix,
        annot=True,
        fmt=".0f",
        cbar=False,
        cmap=cmap,
        vmin=-largest,
        vmax=largest,
        square=True,
        linewidths=0.5,
        linecolor="0.8",
        xticklabels=False,
        yticklabels=False,
        annot_kws={"fontsize": 9},
        ax=axis,
    )
    axis.set_title(title, fontsize=10)


def outline(axis, row, column, height, width, colour="black", dash="-"):
    """Frame a block of cells."""
    axis.add_patch(
        Rectangle(
            (column, row),
            width,
            height,
            fill=False,
            edgecolor=colour,
            linewidth=2.2,
            linestyle=dash,
            clip_on=False,
        )
    )


figure, axes = plt.subplots(
    1, 3, figsize=(6.4, 2.6), width_ratios=[6, 3, 4], layout="constrained"
)
numbers(axes[0], X, "X, 6 × 6", 4)
numbers(axes[1], K, "K, 3 × 3", 4)
numbers(axes[2], Y, "Y, 4 × 4", 6)
outline(axes[0], p, q, 3, 3)
outline(axes[2], p, q, 1, 1)
plots.show(
    figure,
    "Three small matrices of numbers. The picture X gets brighter from left "
    "to right; the kernel K has −1 in its left column, 0 in the middle, 1 "
    "on the right; the output Y is large where the step is. A 3 by 3 window "
    f"of X is outlined, and the one entry of Y it gives, {Y[p, q]:.0f}.",
)

# %% [markdown]
# The outlined output is computed from the outlined window. $Y$ is large where the brightness changes.
#
# ### Padding and stride
#
# Without padding ("valid") the picture shrinks by $s - 1$ in each layer. "Same" adds zeros around it, so that only
# the stride shrinks it. Keras adds {cite}`dumoulin2016`
#
# $$
# H' = \Bigl\lceil \frac{H}{r} \Bigr\rceil, \qquad
# \text{total} = \max\bigl(0,\; (H' - 1)\,r + s - H\bigr) .
# $$ (cnn-same)
#
# zeros; an odd one goes to the bottom and to the right.

# %% tags=["hide-input"]
cases = [(3, 1, "valid"), (3, 2, "valid"), (3, 1, "same"), (3, 2, "same")]
figure, axes = plt.subplots(1, 4, figsize=(6.6, 2.3), layout="constrained")
for axis, (window, stride, padding) in zip(axes, cases, strict=True):
    before, after = padding_widths(6, window, stride, padding)
    side = before + 6 + after
    cells = np.zeros((side, side))
    cells[before : before + 6, before : before + 6] = 1
    axis.pcolormesh(
        cells,
        cmap=ListedColormap(["white", (0.7, 0.8, 0.9)]),
        vmin=0,
        vmax=1,
        edgecolors="0.6",
        linewidth=0.5,
    )
    places = output_size(6, window, stride, padding)
    centres = stride * np.arange(places) + window / 2
    axis.plot(*map(np.ravel, np.meshgrid(centres, centres)), "k.", ms=5)
    outline(axis, 0, 0, window, window, "C3")
    outline(axis, 0, stride, window, window, "C1", "--")
    axis.set(xlim=(-0.1, side + 0.1), ylim=(side + 0.1, -0.1), aspect=1)
    axis.axis("off")
    axis.set_title(f"{padding}, stride {stride}\nH′ = {places}", fontsize=9)
plots.show(
    figure,
    "Four grids of 6 by 6 pixels, blue, with the centre of each 3 by 3 "
    "window as a dot, and the first two windows outlined. Valid, stride 1: "
    "4 by 4 dots. Valid, stride 2: 2 by 2. Same, stride 1: a ring of "
    "padding and 6 by 6 dots. Same, stride 2: padding at the bottom and "
    "right only, 3 by 3 dots.",
)

# %% [markdown]
# The dots are the centres of the windows. Stride 2 leaves a quarter of them.
#
# ### As a product of two small matrices
#
# Write each of the $H'W'$ windows as a row of a matrix $P \in \mathbb{R}^{H'W' \times s^2C}$. Write $K$ as a
# matrix of $s^2C$ rows and $D$ columns. Then each output is a row of $P$ times a column of $K$
# {cite}`chellapilla2006`:
#
# $$
# Y = \sigma(P\, K + b), \qquad Y \in \mathbb{R}^{H'W' \times D} .
# $$ (cnn-im2col)
#
# So a convolution is the dense layer {eq}`eq-dense` of one window, applied at every place. The method is called
# *im2col*. In NumPy:


# %%
def patches(x, s, r=1):  # (B, H, W, C) -> (B, H', W', s * s * C)
    windows = sliding_window_view(x, (s, s), axis=(1, 2))[:, ::r, ::r]
    windows = windows.transpose(0, 1, 2, 4, 5, 3)  # B, H', W', s, s, C
    return windows.reshape(*windows.shape[:3], -1)


def convolve(x, K, b, r=1):
    matrix = K.reshape(-1, K.shape[3])  # (s * s * C, D)
    return patches(x, len(K), r) @ matrix + b


x = generator.normal(size=(4, 11, 10, 3))
K, b = generator.normal(size=(3, 3, 3, 8)) / 5, generator.normal(size=8)
layer = keras.layers.Conv2D(8, 3, strides=2, dtype="float64")
difference = differ([convolve(x, K, b, 2)], keras_says(layer, x, [K, b])[:1])
print(f"largest difference from Keras: {difference:.1e}")
assert difference < TOLERANCE["float64"]

# %% tags=["hide-input"]
small = np.array([[3.0, 1, 2], [0, 2, 5], [4, 1, 0]])
P = im2col(small[None, :, :, None], 2)[0].reshape(4, 4)
column = np.array([[1.0], [0], [0], [-1]])  # the kernel [[1, 0], [0, -1]]
figure, axes = plt.subplots(
    1, 4, figsize=(6.2, 2.1), width_ratios=[3, 4, 1.2, 1.2]
)
numbers(axes[0], small, "X, 3 × 3", 12)
numbers(axes[1], P, "P, 4 × 4", 12)
numbers(axes[2], column, "K, 4 × 1", 2)
numbers(axes[3], P @ column, "PK, 4 × 1", 12)
outline(axes[0], 0, 0, 2, 2, "C3")
outline(axes[1], 0, 0, 1, 4, "C3")
outline(axes[0], 1, 1, 2, 2, "C1", "--")
outline(axes[1], 3, 0, 1, 4, "C1", "--")
plots.show(
    figure,
    "A 3 by 3 picture; the matrix P whose four rows are its four 2 by 2 "
    "windows; the kernel as one column; and their product. The first and "
    "last window are outlined in the picture and in P.",
)

# %% [markdown]
# The figure shows the four windows of a picture as the four rows of $P$.
#
# The library's `conv2d` adds padding, other windows, and the way back. Its outputs and gradients equal Keras's:

# %% tags=["hide-input"]
conv_rows = []
for stride in [1, 2, (2, 1)]:
    for padding in ["valid", "same"]:
        for window in [(3, 3), (2, 4)]:
            for dtype, tolerance in TOLERANCE.items():
                x, K, b = (
                    generator.normal(size=shape).astype(dtype)
                    for shape in [(4, 11, 10, 3), (*window, 3, 8), (8,)]
                )
                K /= np.sqrt(K[..., 0].size, dtype=dtype)
                y = conv2d(x, K, b, stride, padding)
                back = conv2d_backward(y / y.size, x, K, stride, padding)
                layer = keras.layers.Conv2D(
                    8, window, stride, padding, dtype=dtype
                )
                apart = differ([y, *back], keras_says(layer, x, [K, b]))
                assert apart < tolerance
                conv_rows.append((dtype, padding, apart))
conv_differences = pd.DataFrame(
    conv_rows, columns=["dtype", "padding", "largest difference"]
)
plots.table(conv_differences.groupby(["dtype", "padding"]).max().reset_index())

# %% [markdown]
# The differences are rounding errors of the two number formats.
#
# ### As the article's equation, literally
#
# Let $x$ be all of $X$ as one row of $HWC$ entries. Then $Y$, as one row, is $xW$ plus the bias, with
#
# $$
# W_{(i,j,c),\,(p,q,d)} =
# \begin{cases}
# K_{i-rp,\; j-rq,\; c,\; d} & \text{if } 0 \le i-rp < s \text{ and } 0 \le j-rq < s,\\
# 0 & \text{otherwise.}
# \end{cases}
# $$ (eq-toeplitz)
#
# So a convolution *is* equation {eq}`eq-dense`, with a $W$ of which most entries are zero and the others repeat.
# With "same", $i$ and $j$ count from the edge of the padding. The figure shows $W$ for a picture of 5 × 5 pixels
# and a kernel with the entries 1 to 9; white is zero.

# %%
nine = np.arange(1.0, 10).reshape(3, 3, 1, 1)
matrices = {
    ("valid", 1): convolution_matrix(nine, 5, 5),
    ("valid", 2): convolution_matrix(nine, 5, 5, 2),
    ("same", 1): convolution_matrix(nine, 5, 5, 1, "same"),
}
x = generator.normal(size=(7, 5, 5, 1))
for (padding, stride), W in matrices.items():
    y = conv2d(x, nine, np.array([0.5]), stride, padding)
    flat = dense(x.reshape(7, 25), W, np.full(W.shape[1], 0.5))
    assert np.abs(flat - y.reshape(7, -1)).max() < 1e-12

# %% tags=["hide-input"]
shades = ListedColormap(["white", *sns.color_palette("viridis", 9)])
figure, axes = plt.subplots(
    1, 3, figsize=(6.8, 4.3), width_ratios=[9, 4, 25], layout="constrained"
)
for axis, ((padding, stride), W) in zip(axes, matrices.items(), strict=True):
    sns.heatmap(
        W,
        cmap=shades,
        vmin=-0.5,
        vmax=9.5,
        cbar=False,
        linewidths=0.3,
        linecolor="0.85",
        annot=np.where(W > 0, W.astype(int).astype(str), ""),
        fmt="",
        annot_kws={"fontsize": 7},
        xticklabels=False,
        yticklabels=False,
        ax=axis,
    )
    axis.set_title(f"{padding}, stride {stride}", fontsize=9)
    axis.set_xlabel(f"{W.shape[1]} outputs", fontsize=9)
axes[0].set_ylabel("25 pixels, row by row", fontsize=9)
plots.show(
    figure,
    "Three matrices W with 25 rows, one a pixel, and 9, 4 and 25 columns, "
    "one an output. Most cells are white, zero. The others hold the "
    "kernel's entries 1 to 9, each along diagonals: every column has the "
    "same nine entries, three by three, further down from column to column; "
    "under 'same' the columns at the border lack some.",
)

# %% [markdown]
# Each column holds the kernel's nine entries, further down from column to column. At the border, "same" leaves some
# out. How many weights is that? The last line is the article's layer, 32 kernels of 3 × 3 over 32 × 32 pixels:

# %% tags=["hide-input"]
lines = []
for name, size, channels, window, filters in [
    ("drawn above, left", 5, 1, 3, 1),
    ("a picture of 16 × 16, 4 kernels", 16, 3, 3, 4),
    ("the article's layer", 32, 3, 3, 32),
]:
    outputs = output_size(size, window) ** 2 * filters
    lines.append(
        {
            "layer": name,
            "weights of a dense layer": size**2 * channels * outputs,
            "not zero": outputs * window**2 * channels,
            "different numbers": window**2 * channels * filters,
        }
    )
counted = pd.DataFrame(lines)
article = counted.iloc[-1]

kernel = generator.normal(size=(3, 3, 3, 4))
W = convolution_matrix(kernel, 16, 16)  # the second line, not by formula
assert W.size == counted.iloc[1, 1]
assert np.count_nonzero(W) == counted.iloc[1, 2]
assert len(np.unique(W[W != 0])) == counted.iloc[1, 3]
step = PIXELS // 16
x = pictures[:8, ::step, ::step].astype(float)
flat = x.reshape(8, -1) @ W
toeplitz_difference = np.abs(
    flat - conv2d(x, kernel, np.zeros(4)).reshape(8, -1)
).max()
assert toeplitz_difference < 1e-10

plots.table(
    counted.assign(
        **{
            column: counted[column].map("{:,}".format)
            for column in counted.columns[1:]
        }
    )
)

# %% tags=["remove-cell"]
largest = conv_differences.groupby("dtype")["largest difference"].max()
quote(
    dense_weights=article.iloc[1],
    nonzero=article.iloc[2],
    nonzero_share=100 * article.iloc[2] / article.iloc[1],
    shared_weights=article.iloc[3],
    toeplitz_difference=f"{toeplitz_difference:.0e}",
    equal_32=f"{largest['float32']:.2e}",
    equal_64=f"{largest['float64']:.2e}",
)

# %% [markdown]
# Of the {glue:text}`cnn-dense-weights:,d` weights, {glue:text}`cnn-nonzero-share:.2f` % are not zero, and those
# are {glue:text}`cnn-shared-weights:,d` different numbers. On eight pictures $xW$ and `conv2d` differ by at most
# {glue:text}`cnn-toeplitz-difference`.
#
# ### Pooling
#
# Max pooling keeps the largest entry of each window, channel by channel:
#
# $$
# \begin{aligned}
# Z_{pqc} &= \max_{0 \le \alpha, \beta < s} Y_{rp+\alpha,\; rq+\beta,\; c}, \\
# \frac{\partial \mathcal L}{\partial Y_{ijc}} &=
#   \sum_{p,q} \frac{\partial \mathcal L}{\partial Z_{pqc}}\;
#   \mathbf 1\bigl[(i,j) \text{ is where } Z_{pqc} \text{ was found}\bigr] .
# \end{aligned}
# $$ (cnn-pool)
#
# In the article's listing $s = r = 2$. The gradient goes to the largest entry alone; of equal ones, to the first.
# A maximum is not linear, so pooling is no case of {eq}`eq-dense`.

# %%
for dtype, tolerance in TOLERANCE.items():
    x = generator.normal(size=(4, 8, 8, 3)).astype(dtype)
    z = x.reshape(4, 4, 2, 4, 2, 3).max(axis=(2, 4))  # s = r = 2
    assert (z == max_pool(x, 2)).all()
    back = max_pool_backward(z / z.size, x, 2)
    layer = keras.layers.MaxPooling2D(2, dtype=dtype)
    apart = differ([z, back], keras_says(layer, x))
    print(f"{dtype}: largest difference from Keras {apart:.1e}")
    assert apart < tolerance

# %% [markdown]
# ## Forwards and backwards by hand
#
# Since $Y = PK + b$ is a dense layer, {eq}`eq-backward` gives the gradient. One step is added: an entry of $X$ lies
# in several windows, so its gradient is the sum over them. Adding each window back to its place is the transpose of
# im2col:
#
# $$
# \begin{gathered}
# \frac{\partial \mathcal L}{\partial K} = P^{\mathsf T} \delta, \qquad
# \frac{\partial \mathcal L}{\partial X} = \operatorname{im2col}^{\mathsf T}\bigl(\delta\, K^{\mathsf T}\bigr), \\
# \delta = \frac{\partial \mathcal L}{\partial Y} \odot \sigma' \in \mathbb{R}^{H'W' \times D} .
# \end{gathered}
# $$ (cnn-backward)
#
# For stride 1 without padding:


# %%
def convolve_backward(by_output, x, K):
    s, D = len(K), K.shape[3]
    by_K = np.einsum("bpqi,bpqd->id", patches(x, s), by_output)
    by_patch = by_output @ K.reshape(-1, D).T  # (B, H', W', s * s * C)
    by_patch = by_patch.reshape(*by_output.shape[:3], s, s, -1)
    by_x, (H, W) = np.zeros_like(x), by_output.shape[1:3]
    for i in range(s):
        for j in range(s):  # add each patch back to its place
            by_x[:, i : i + H, j : j + W] += by_patch[:, :, :, i, j]
    return by_x, by_K.reshape(K.shape), by_output.sum(axis=(0, 1, 2))


x = generator.normal(size=(4, 9, 8, 3))
K = generator.normal(size=(3, 3, 3, 8)) / 5
y = convolve(x, K, np.zeros(8))
layer = keras.layers.Conv2D(8, 3, dtype="float64")
theirs = keras_says(layer, x, [K, np.zeros(8)])
difference = differ([y, *convolve_backward(y / y.size, x, K)], theirs)
print(f"largest difference from Keras: {difference:.1e}")
assert difference < TOLERANCE["float64"]

# %% [markdown]
# Now a whole network fits on one screen: convolution with ReLU, pooling, dense layer, and the softmax with
# cross-entropy of {doc}`01b_learning`. Its gradients on pictures of 16 × 16 pixels equal Keras's:


# %%
def forward(x, weights):
    """Return the logits, and what the way back needs."""
    K, b, W, c = weights
    y = conv2d(x, K, b, 1, "same", "relu")  # (B, H, W, D)
    z = max_pool(y, 2)  # (B, H/2, W/2, D)
    flat = z.reshape(len(x), -1)
    return dense(flat, W, c), (y, z, flat)


def gradients(x, truth, weights):
    """Return the mean cross-entropy, and its gradient by each weight."""
    K, _, W, _ = weights
    logits, (y, z, flat) = forward(x, weights)
    delta = classifier_gradient(logits, truth)  # (ŷ − y) / B
    by_flat, by_W, by_c = dense_backward(delta, flat, W)
    by_y = max_pool_backward(by_flat.reshape(z.shape), y, 2)
    _, by_K, by_b = conv2d_backward(by_y, x, K, 1, "same", y, "relu")
    return classifier_loss(logits, truth), [by_K, by_b, by_W, by_c]


tiny = pictures.reshape(-1, 16, PIXELS // 16, 16, PIXELS // 16, 3)
tiny = 2 * tiny.mean(axis=(2, 4), dtype=np.float64) - 1  # (n, 16, 16, 3)
network = keras.Sequential(
    [
        keras.Input((16, 16, 3), dtype="float64"),
        keras.layers.Conv2D(
            8, 3, padding="same", activation="relu", dtype="float64"
        ),
        keras.layers.MaxPooling2D(2, dtype="float64"),
        keras.layers.Flatten(dtype="float64"),
        keras.layers.Dense(n_kinds, dtype="float64"),
    ]
)
weights, few = network.get_weights(), train[:32]
loss, ours = gradients(tiny[few], label[few], weights)
with tf.GradientTape() as tape:
    theirs = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(
            label[few], network(tiny[few])
        )
    )
slopes = tape.gradient(theirs, network.trainable_variables)
difference = max(abs(loss - float(theirs)), differ(ours, slopes))
print(f"loss and gradients differ by at most {difference:.1e}")
assert difference < 1e-10

# %% [markdown]
# Trained by plain gradient descent for eight epochs, in batches of 32:

# %%
shuffled = np.random.default_rng(seed)
by_hand = []
for epoch in range(1, 9):
    order = shuffled.permutation(train[:640])
    losses = []
    for batch in np.array_split(order, max(1, len(order) // 32)):
        loss, slopes = gradients(tiny[batch], label[batch], weights)
        weights = [w - 0.1 * g for w, g in zip(weights, slopes, strict=True)]
        losses.append(loss)
    answer = forward(tiny[validation], weights)[0].argmax(axis=1)
    right = (answer == label[validation]).mean()
    by_hand.append((epoch, np.mean(losses), right))
plots.table(
    pd.DataFrame(
        by_hand, columns=["epoch", "training loss (nats)", "accuracy"]
    ).iloc[[0, 1, 3, 7]]
)

# %% tags=["remove-cell"]
quote(by_hand=by_hand[-1][2])

# %% [markdown]
# After eight epochs this page of NumPy classifies {glue:text}`cnn-by-hand:.1%` of the validation pictures
# correctly.
#
# ## Trained on the pictures
#
# The book's network for pictures has three blocks of convolution, ReLU and pooling, and a dense layer that makes a
# vector of 64 numbers. For classification a softmax follows. In Keras:


# %%
def convolutional(pixels=PIXELS):
    x = image = keras.Input((pixels, pixels, 3))
    x = keras.layers.Rescaling(2.0, offset=-1.0)(x)  # from 0…1 to −1…1
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
        )(x)
        x = keras.layers.MaxPooling2D(2, padding="same")(x)
    x = keras.layers.Flatten()(x)
    vector = keras.layers.Dense(64)(x)
    answer = keras.layers.Dense(n_kinds, activation="softmax")(vector)
    return keras.Model(image, answer)


def vectors_of(network):
    """Return the network without its softmax: pictures → 64 numbers."""
    return keras.Model(network.input, network.layers[-2].output)


network = convolutional()
encoder = image_encoder(PIXELS, PIXELS, channels=3, units=64)  # the library's
encoder.set_weights(network.get_weights()[:-2])
apart = encoder(pictures[:4]) - vectors_of(network)(pictures[:4])
assert np.abs(apart).max() < 1e-5

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        [
            {
                "layer": layer.name,
                "output": " × ".join(map(str, layer.output.shape[1:])),
                "parameters": f"{layer.count_params():,}",
            }
            for layer in encoder.layers
        ]
    )
)

# %% tags=["remove-cell"]
quote(softmax_parameters=network.layers[-1].count_params())

# %% [markdown]
# The table ends with the layer that makes the vector. The softmax layer adds
# {glue:text}`cnn-softmax-parameters:,d` parameters. Most parameters are in the layer that makes the vector. `he_normal` is the size of the random start that suits ReLU; the last
# part of the chapter measures why.
#
# ### Fair rivals
#
# Does the *convolution* help, or would another method of this size do as well? The rivals see the same training
# pictures:
#
# - **dense, same size**: one hidden layer, and as many parameters as the CNN. On these pictures that allows
#   {glue:text}`cnn-units-full:d` hidden units. A second one reads 16 × 16 pixels and has
#   {glue:text}`cnn-units-tiny:d`.
# - **dense, larger**: 64 hidden units, {glue:text}`cnn-times-larger:.1f` times the parameters of the CNN.
# - **neighbours on pixels**: the most frequent kind among the $k$ nearest training pictures.
# - **principal components, linear**: the {term}`PCA` of {doc}`01_data`, then logistic regression.
#
# The pictures of `shop` are made to show what a convolution is for. The products stand at different places and sizes,
# in different light, among clutter and partly covered. A CNN should beat a dense network of the same size, and
# neighbours on pixels.
#
# All networks start by He's rule and learn by Adam. Validation pictures choose epoch, $k$, components and penalty. The
# training is written out: `step_of` compiles one step, `learn` repeats it and keeps the best epoch. Keras's `fit` does the
# same, but it compiles more, and that takes longer than the training of networks as small as these.


# %%
def all_dense(pixels, units):
    return keras.Sequential(
        [
            keras.Input((pixels, pixels, 3)),
            keras.layers.Rescaling(2.0, offset=-1.0),
            keras.layers.Flatten(),
            keras.layers.Dense(
                units, activation="relu", kernel_initializer="he_normal"
            ),
            keras.layers.Dense(n_kinds, activation="softmax"),
        ]
    )


def step_of(network):
    """Compile one step of Adam, for batches of any size."""
    optimizer = keras.optimizers.Adam()
    weights = network.trainable_variables
    optimizer.build(weights)
    batch = tf.TensorSpec(network.input_shape), tf.TensorSpec([None], tf.int64)

    @tf.function(input_signature=batch)
    def step(x, truth):
        with tf.GradientTape() as tape:
            p = network(x, training=True)  # (batch, kinds)
            loss = tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(truth, p)
            )
        optimizer.apply(tape.gradient(loss, weights))
        right = tf.equal(tf.argmax(p, axis=1), truth)
        return loss, tf.reduce_mean(tf.cast(right, tf.float32))

    return step


def outputs_of(network, x, rows):
    """Return what a network gives for some pictures, a part at a time."""
    parts = np.array_split(rows, 1 + len(rows) // 128)
    return np.concatenate([network(x[part]) for part in parts])


def learn(build, x, number, epochs, rows=train):
    """Build and train a network; return it, as it was in its best epoch."""
    keras.utils.set_random_seed(number)
    network = build()
    step, history = step_of(network), []
    generator, lowest = np.random.default_rng(number), np.inf
    truth = label[validation]
    for _ in range(epochs):
        order = generator.permutation(rows)
        batches = np.split(order, range(32, len(order), 32))
        told = [step(x[some], label[some]) for some in batches]
        loss, accuracy = np.mean(told, axis=0)
        p = outputs_of(network, x, validation)
        of_truth = np.maximum(p[np.arange(len(p)), truth], 1e-7)
        history.append(
            {
                "loss": loss,
                "accuracy": accuracy,
                "val_loss": -np.log(of_truth).mean(),
                "val_accuracy": (p.argmax(axis=1) == truth).mean(),
            }
        )
        if history[-1]["val_loss"] < lowest:
            lowest, best = history[-1]["val_loss"], network.get_weights()
    network.set_weights(best)
    return network, pd.DataFrame(history).to_dict("list")


def is_right(network, x, rows):
    """Return whether a trained network is right, picture by picture."""
    answer = outputs_of(network, x, rows).argmax(axis=1)
    return (answer == label[rows]).astype(float)


# %% tags=["remove-output"]
EPOCHS = 8
halved = pictures.reshape(-1, 32, PIXELS // 32, 32, PIXELS // 32, 3)
halved = halved.mean(axis=(2, 4))  # (n, 32, 32, 3)
quartered = (tiny.astype(np.float32) + 1) / 2  # (n, 16, 16, 3), in 0…1
size = network.count_params()


def units_for(pixels):
    """Return how many hidden units give a dense network this size."""
    return size // (pixels**2 * 3 + n_kinds + 1)


builders = {
    "convolutional": (convolutional, pictures),
    "dense, same size": (
        lambda: all_dense(PIXELS, units_for(PIXELS)),
        pictures,
    ),
    "dense, same size, 16 × 16": (
        lambda: all_dense(16, units_for(16)),
        quartered,
    ),
    "dense, larger": (lambda: all_dense(PIXELS, 64), pictures),
}
trained = {
    (name, number): learn(build, x, number, EPOCHS)
    for name, (build, x) in builders.items()
    for number in SEEDS
}

# %%
flat = pictures.reshape(len(pictures), -1)
neighbours = [
    KNeighborsClassifier(k).fit(flat[train], label[train]) for k in (1, 5, 15)
]
linear = [
    make_pipeline(
        PCA(parts, random_state=seed),
        LogisticRegression(C=C, max_iter=1000),
    ).fit(flat[train], label[train])
    for parts in (20, min(100, len(train)))
    for C in (0.001, 0.01, 0.1)
]


def best_of(models):
    """Return the one that is best on the validation pictures."""
    return max(
        models,
        key=lambda each: each.score(flat[validation], label[validation]),
    )


right = {  # on the test pictures, the mean over seeds
    name: np.mean(
        [is_right(trained[name, number][0], x, test) for number in SEEDS],
        axis=0,
    )
    for name, (_, x) in builders.items()
}
for name, models in (
    ("neighbours on pixels", neighbours),
    ("principal components, linear", linear),
):
    answer = best_of(models).predict(flat[test])
    right[name] = (answer == label[test]).astype(float)


# %% tags=["hide-input"]
gaps = {
    name: Estimate.over_items(right["convolutional"] - hits, seed)
    for name, hits in right.items()
    if name != "convolutional"
}
comparison = pd.DataFrame(
    {
        "accuracy": {name: hits.mean() for name, hits in right.items()},
        "parameters": {
            name: f"{trained[name, seed][0].count_params():,}"
            for name in builders
        },
        "CNN minus it": {name: f"{gap[0]:+.3f}" for name, gap in gaps.items()},
        "95 % interval": {
            name: f"{gap[1]:+.3f} to {gap[2]:+.3f}"
            for name, gap in gaps.items()
        },
    }
).reindex(right)
plots.table(comparison.fillna("–"), index=True)

# %% tags=["hide-input"]
network, history = trained["convolutional", seed]
figure, axes = plt.subplots(1, 2, figsize=(6.6, 3), layout="constrained")
plots.training_curve(history, axes)
axes[1].axhline(majority, color="0.5", linestyle=":", label="baseline")
axes[1].legend(["training", "validation", "most frequent kind"])
axes[0].legend(["training", "validation"])
plots.show(
    figure,
    "Loss and accuracy of the convolutional network by epoch, on training "
    "and on validation pictures, with the accuracy of the most frequent "
    "kind as a dotted line.",
)

# %% tags=["remove-cell"]
rivals = comparison["accuracy"].drop("convolutional").sort_values()
smallest_gap = gaps[rivals.index[-1]]
quote(
    accuracy=right["convolutional"].mean(),
    dense_accuracy=rivals[[n for n in builders if n in rivals]].max(),
    same_size=right["dense, same size"].mean(),
    by_pixels=right["neighbours on pixels"].mean(),
    versus_dense="is "
    + gaps["dense, same size"].against("the dense network of the same size"),
    versus_pixels="is "
    + gaps["neighbours on pixels"].against("neighbours on pixels"),
    versus_best="is "
    + smallest_gap.against(f"its best rival, “{rivals.index[-1]}”"),
    advantage="So on these pictures the convolution is worth its place."
    if smallest_gap[1] > 0
    else "So these pictures do not show an advantage of convolution over "
    "every rival. Such pictures are too easy, or too few.",
    units_full=units_for(PIXELS),
    units_tiny=units_for(16),
    times_larger=trained["dense, larger", seed][0].count_params() / size,
    starts=f"{len(SEEDS)} random starts"
    if len(SEEDS) > 1
    else "one random start",
    over_starts=f"the mean over {len(SEEDS)} random starts"
    if len(SEEDS) > 1
    else "from one random start",
    best_epoch=int(np.argmin(history["val_loss"])) + 1,
)

# %% [markdown]
# Accuracies are on test pictures, for networks {glue:text}`cnn-over-starts`. Intervals are {term}`bootstrap`
# intervals of the paired differences. The convolutional network {glue:text}`cnn-versus-dense`, and
# {glue:text}`cnn-versus-pixels`. It {glue:text}`cnn-versus-best`. {glue:text}`cnn-advantage`
#
# The figure shows its training. The weights of epoch {glue:text}`cnn-best-epoch:d`, with the lowest validation loss,
# are kept.
#
# ### What it confuses

# %% tags=["hide-input"]
answer = outputs_of(network, pictures, test).argmax(axis=1)
confused = confusion_matrix(label[test], answer, labels=range(n_kinds))
figure, axis = plt.subplots(figsize=(5.4, 4.4), layout="constrained")
sns.heatmap(
    confused,
    annot=True,
    fmt="d",
    cmap="viridis",
    cbar_kws={"label": "test pictures"},
    xticklabels=list(map(str, kinds)),
    yticklabels=list(map(str, kinds)),
    square=True,
    ax=axis,
)
axis.set(xlabel="predicted kind", ylabel="true kind")
axis.tick_params(axis="x", rotation=45)
axis.tick_params(axis="y", rotation=0)
wrong = confused * (1 - np.eye(n_kinds, dtype=int))
truth, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
commonest = (
    f"The most frequent error is to predict “{kinds[predicted]}” for a "
    f"picture of kind “{kinds[truth]}”: {wrong.max()} of "
    f"{confused[truth].sum()} pictures."
    if wrong.max()
    else "It makes no error."
)
quote(commonest=commonest)
plots.show(
    figure,
    f"Confusion matrix of {n_kinds} kinds, true kind by predicted kind. "
    f"{commonest}",
)

# %% [markdown]
# The numbers on the diagonal are correct answers. {glue:text}`cnn-commonest`
#
# ## Four additions
#
# Most deep networks on pictures have some of these. Each takes a few lines.
#
# **Augmentation** changes every training picture a little in each epoch: here a mirror image, and a shift by up to a
# tenth. The kind stays the same, so the network sees more data.
#
# **Dropout** sets a random half of the flattened feature map to zero while training ({doc}`01b_learning`).
#
# **Batch normalisation** {cite}`ioffe2015` gives each channel $c$ mean 0 and variance 1 before the activation. Mean
# $\mu_c$ and variance $v_c$ are taken over all pictures and places of the batch. Two learnt numbers a channel,
# $\gamma_c$ and $\beta_c$, follow:
#
# $$
# \hat X_{nijc} = \gamma_c\, \frac{X_{nijc} - \mu_c}{\sqrt{v_c + \epsilon}} + \beta_c .
# $$ (cnn-batch-norm)
#
# After training, running means of $\mu$ and $v$ are used.
#
# **A residual block** {cite}`he2016resnet` adds its input to the output of a convolution $f$ of as many channels:
#
# $$
# y = x + f(x), \qquad
# \frac{\partial y}{\partial x} = I + \frac{\partial f}{\partial x} .
# $$ (cnn-residual)
#
# The gradient always has the direct way $I$, so a deep stack does not lose it. In Keras:


# %%
def normalise_batch(x, gamma, beta, epsilon=1e-3):
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


x = generator.normal(2, 3, size=(8, 5, 5, 4))
theirs = keras.layers.BatchNormalization(dtype="float64")(x, training=True)
assert np.abs(normalise_batch(x, 1.0, 0.0) - theirs).max() < 1e-6


def block(x, filters, normalised=False):
    x = keras.layers.Conv2D(
        filters, 3, padding="same", kernel_initializer="he_normal"
    )(x)
    if normalised:
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.Activation("relu")(x)


def with_addition(addition, pixels=16):
    x = image = keras.Input((pixels, pixels, 3))
    x = keras.layers.Rescaling(2.0, offset=-1.0)(x)
    if addition == "augmentation":
        x = keras.layers.RandomFlip("horizontal")(x)
        x = keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest")(x)
    for filters in (16, 32, 64):
        x = block(x, filters, addition == "batch normalisation")
        if addition == "residual block":
            x = keras.layers.Add()([x, block(x, filters)])
        x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Flatten()(x)
    if addition == "dropout":
        x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Dense(64)(x)
    x = keras.layers.Dense(n_kinds, activation="softmax")(x)
    return keras.Model(image, x)


# %% tags=["remove-output"]
ADDITIONS = (
    "none",
    "augmentation",
    "dropout",
    "batch normalisation",
    "residual block",
)
if not FULL:  # two of the four
    ADDITIONS = ("none", "dropout", "batch normalisation")
FEW_EPOCHS = 20 if FULL else EPOCHS
with_additions = {
    (addition, number): learn(
        partial(with_addition, addition), quartered, number, FEW_EPOCHS
    )[0]
    for addition in ADDITIONS
    for number in SEEDS
}
added = {
    addition: np.mean(
        [
            is_right(with_additions[addition, number], quartered, validation)
            for number in SEEDS
        ],
        axis=0,
    )
    for addition in ADDITIONS
}

# %% tags=["hide-input"]
gains = {
    name: Estimate.over_items(added[name] - added["none"], seed)
    for name in ADDITIONS[1:]
}
plots.table(
    pd.DataFrame(
        [
            {
                "addition": name,
                "validation accuracy": added[name].mean(),
                "gain": f"{gains[name][0]:+.3f}" if name in gains else "–",
                "95 % interval": f"{gains[name][1]:+.3f} to {gains[name][2]:+.3f}"
                if name in gains
                else "–",
            }
            for name in ADDITIONS
        ]
    )
)

# %% tags=["remove-cell"]
helpful = [name for name, (_, low, _) in gains.items() if low > 0]
harmful = [name for name, (*_, high) in gains.items() if high < 0]
quote(
    few_epochs=FEW_EPOCHS,
    helpful=f"{' and '.join(helpful)} helps significantly"
    if len(helpful) == 1
    else f"{' and '.join(helpful)} help significantly"
    if helpful
    else "no addition helps significantly",
    harmful=f"; {' and '.join(harmful)} lowers the accuracy significantly"
    if len(harmful) == 1
    else f"; {' and '.join(harmful)} lower the accuracy significantly"
    if harmful
    else "",
)

# %% [markdown]
# The table compares networks on 16 × 16 pixels after {glue:text}`cnn-few-epochs:d` epochs, with
# {glue:text}`cnn-starts` each. On the validation pictures {glue:text}`cnn-helpful`{glue:text}`cnn-harmful`. Dropout
# and augmentation may slow learning down; the other two were made for ten and more layers. The same pictures have chosen the
# epoch, so each accuracy is a little too high for new pictures; that holds for all rows alike. The profile `quick` trains
# two of the four additions; `full` trains all four, for more epochs.

# %% tags=["hide-input"]
quoted_evidence(
    data.name,
    "03_cnn",
    {
        "cnn-few-epochs": "epochs",
        "cnn-helpful": "additions, on validation pictures",
    },
)

# %% [markdown]
#
# ## Transfer
#
# A network that was trained on more than a million pictures, such as VGG-16 {cite}`simonyan2015`, can be used again for
# other pictures; this is *transfer learning*. Under a new last layer its convolutions are kept (*frozen*) or trained
# further (*fine-tuned*). Here they are frozen. Each picture becomes 1280 numbers, the mean activations of VGG-16's last
# three blocks, and a logistic regression learns the kinds from them; validation pictures choose its penalty. The page's
# own network learns from the same {glue:text}`cnn-n-transfer:d` pictures:

# %%
FEW_PICTURES = 1000 if FULL else 100
some = np.random.default_rng(seed).permutation(train)[:FEW_PICTURES]
stops, unseen = validation[: FEW_PICTURES // 3], test[:FEW_PICTURES]
try:
    vgg = vgg_encoder(vgg_weights())
except ImportError as fault:  # the page goes on without it
    vgg = None
    print(fault)
else:
    read = np.concatenate([some, stops, unseen])
    known = np.zeros((len(pictures), 1280), "float32")
    known[read] = outputs_of(vgg, pictures, read)
    heads = [
        make_pipeline(
            StandardScaler(), LogisticRegression(C=C, max_iter=1000)
        ).fit(known[some], label[some])
        for C in (0.001, 0.01, 0.1)
    ]
    head = max(heads, key=lambda each: each.score(known[stops], label[stops]))
    by_transfer = (head.predict(known[unseen]) == label[unseen]) * 1.0
    alone, _ = learn(convolutional, pictures, seed, EPOCHS, some)
    by_itself = is_right(alone, pictures, unseen)
    print(f"frozen VGG-16: {by_transfer.mean():.3f} correct")
    print(f"from a random start: {by_itself.mean():.3f}")

# %% tags=["remove-cell"]
quote(
    n_transfer=len(some),
    transfer="The frozen VGG-16 is "
    + Estimate.over_items(by_transfer - by_itself, seed).against(
        "our network from a random start"
    )
    + f", on {len(unseen):,} test pictures"
    if vgg
    else "VGG-16 did not take part: its weights are not installed",
)

# %% [markdown]
# {glue:text}`cnn-transfer`. {doc}`14_explained` gives such vectors to a recommender.
#
# ## What is inside
#
# Each row of the figure is a layer. Each small picture is one of its channels, a *{term}`feature map`*.

# %% tags=["hide-input"]
chosen_layers = [
    layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)
]
inside = keras.Model(network.input, [each.output for each in chosen_layers])
example = test[0]
maps = [each.numpy() for each in inside(pictures[[example]])]
figure, axes = plt.subplots(3, 7, figsize=(6.8, 3.3), layout="constrained")
for number, (line, channels) in enumerate(zip(axes, maps, strict=True), 1):
    for axis in line:
        axis.axis("off")
    strongest = np.argsort(-channels[0].std(axis=(0, 1)))[:6]
    for axis, channel in zip(line[1:], strongest, strict=True):
        axis.imshow(channels[0, :, :, channel], cmap="viridis")
    line[0].text(
        0.5,
        0.5,
        f"convolution\n{number}\n{channels.shape[1]} × {channels.shape[2]}",
        ha="center",
        va="center",
        fontsize=8,
        transform=line[0].transAxes,
    )
axes[0, 0].clear()
axes[0, 0].imshow(pictures[example])
axes[0, 0].set_title("the picture", fontsize=8)
axes[0, 0].axis("off")
plots.show(
    figure,
    f"A picture ({kinds[label[example]]}) and six feature maps of each of "
    f"three convolutions, of {PIXELS}, {PIXELS // 2} and {PIXELS // 4} "
    "pixels a side: outlines and colour areas in the first, coarser and "
    "sparser patterns in the third.",
)

# %% [markdown]
# The first layer keeps outlines and colours in their place. The third has few pixels, and
# each of them summarises a larger part of the picture.
#
# ### How far one output sees
#
# One place of a layer depends on a square of the picture only, its {term}`receptive field`. Layer $l$ with window
# $s_l$ and stride $r_l$ widens the field by $s_l - 1$ steps of the layer before. Each step is
# $r_1 \cdots r_{l-1}$ pixels wide {cite}`araujo2019`:
#
# $$
# f_l = f_{l-1} + (s_l - 1) \prod_{k<l} r_k, \qquad f_0 = 1 .
# $$ (cnn-receptive)

# %%
stack = {
    "convolution 1": (3, 1),
    "pooling 1": (2, 2),
    "convolution 2": (3, 1),
    "pooling 2": (2, 2),
    "convolution 3": (3, 1),
    "pooling 3": (2, 2),
}
field = receptive_field(*zip(*stack.values(), strict=True))
plots.table(
    pd.DataFrame(
        {
            "layer": list(stack),
            "receptive field (pixels a side)": field.size,
            "distance of neighbours (pixels)": field.jump,
        }
    )
)

# %% [markdown]
# The field about doubles with each block. The gradient confirms it: it is zero for all pixels that an output does not see.
# The figure shows the gradient of the 64 channels in the middle of the last pooling, and the square that the equation
# predicts:

# %% tags=["hide-input"]
pooled = [
    layer
    for layer in network.layers
    if isinstance(layer, keras.layers.MaxPooling2D)
][-1]
last = keras.Model(network.input, pooled.output)
middle = last.output.shape[1] // 2
reached = np.zeros((PIXELS, PIXELS))
for first in range(0, 64, 16):  # sixteen channels at a time
    x = tf.constant(pictures[train[:64]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(last(x)[:, middle, middle, first : first + 16])
    reached += np.abs(tape.gradient(y, x).numpy()).mean(axis=(0, 3))
where = np.flatnonzero(reached.any(axis=0))
begin = middle * field.jump[-1] - 1 - 2 - 4  # each convolution pads 1 pixel
end = begin + field.size[-1]
assert begin <= where[0] and where[-1] < end

figure, axis = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
drawn = axis.imshow(
    reached / reached.max(),
    cmap="viridis",
    extent=(0, PIXELS, PIXELS, 0),
    interpolation="nearest",
)
outline(axis, begin, begin, field.size[-1], field.size[-1], colour="white")
axis.grid(False)
axis.set(xlabel="column (pixels)", ylabel="row (pixels)")
figure.colorbar(drawn, label="mean |gradient| (largest = 1)")
plots.show(
    figure,
    "Heat map over the picture: the gradient of one place of the last "
    f"pooling is zero outside of a square of {field.size[-1]} pixels a side, "
    "which the formula predicts, and larger towards its middle.",
)

# %% tags=["remove-cell"]
quote(
    field=field.size[-1],
    reached=where[-1] - where[0] + 1,
    article_field=receptive_field([3, 2], [1, 2]).size[-1],
)

# %% [markdown]
# The gradient reaches {glue:text}`cnn-reached:d` pixels a side, and the equation says
# {glue:text}`cnn-field:d`. Pixels in the middle count more, because more paths lead through them
# {cite}`luo2016`. In the article's network, with one convolution and one pooling, an output sees
# {glue:text}`cnn-article-field:d` pixels a side.
#
# ### What shifts when the picture shifts
#
# Shift the picture by $t$ columns, $X'_{i,j,c} = X_{i,\,j-t,\,c}$. With stride 1, {eq}`eq-convolution` gives
# $Y'_{p,q,d} = Y_{p,\,q-t,\,d}$ away from the border: the output shifts with the picture. This is
# {term}`equivariance`. With stride $r$ it holds for multiples of $r$ only. The table shows how far the new output is
# from the *best* shifted copy of the old one, as a share of its length:

# %%
x = pictures[train[:32]].astype(float)
K, b = chosen_layers[0].get_weights()


def with_stride(r):
    return lambda x: conv2d(2 * x - 1, K, b, r, "same", "relu")


functions = {
    "convolution, stride 1": with_stride(1),
    "convolution, stride 2": with_stride(2),
    "convolution, then pooling 2": lambda x: max_pool(with_stride(1)(x), 2),
}
moved = pd.DataFrame(index=list(functions), columns=range(1, 5), dtype=float)
for name, function in functions.items():
    before = function(x)
    for shift in moved:
        after = function(np.roll(x, shift, axis=2))
        distances = [
            np.linalg.norm((after - np.roll(before, t, axis=2))[:, :, 6:-2])
            for t in range(5)
        ]
        moved.loc[name, shift] = min(distances) / np.linalg.norm(
            before[:, :, 6:-2]
        )
plots.table(moved.round(3).rename(columns="shift by {} px".format), index=True)

# %% [markdown]
# With stride 1 the distance is {glue:text}`cnn-exact`. With stride 2 a shift by one pixel gives
# {glue:text}`cnn-half:.2f`, and with pooling {glue:text}`cnn-pooled:.2f`. The dense layer at the end has a weight
# for each place, so it need not give the same answer. The test pictures, shifted to the right, with the left border
# mirrored:

# %% tags=["hide-input"]
shifts = [0, 2, 4, 8, 16]
robust = pd.DataFrame(index=shifts, dtype=float)
for name in ("convolutional", "dense, larger"):
    for shift in shifts:
        shifted = np.pad(
            pictures,
            ((0, 0), (0, 0), (shift, 0), (0, 0)),
            mode="reflect",
        )[:, :, :PIXELS]
        robust.loc[shift, name] = is_right(
            trained[name, seed][0], shifted, test
        ).mean()

figure, axis = plt.subplots(figsize=(5.4, 3.2), layout="constrained")
for name, marker in zip(robust, "os", strict=True):
    axis.plot(robust.index, robust[name], marker=marker, label=name)
axis.axhline(majority, color="0.5", linestyle=":", label="most frequent kind")
axis.set(
    xlabel="shift to the right (pixels)",
    ylabel="test accuracy",
    ylim=(0, 1.02),
)
axis.legend()
plots.show(
    figure,
    "Test accuracy of both networks against the shift of the pictures, from "
    "0 to 16 pixels, with the most frequent kind as a dotted line: "
    + "; ".join(
        f"{name} from {robust[name].iloc[0]:.2f} to "
        f"{robust[name].iloc[-1]:.2f}"
        for name in robust
    )
    + ".",
)

# %% tags=["remove-cell"]
falls = robust.iloc[0] - robust.loc[8]
quote(
    exact="exactly 0"
    if moved.loc["convolution, stride 1"].max() < 1e-12
    else "not 0",
    half=moved.loc["convolution, stride 2", 1],
    pooled=moved.loc["convolution, then pooling 2", 1],
    shift_cnn=100 * falls["convolutional"],
    shift_dense=100 * falls["dense, larger"],
)

# %% [markdown]
# A shift by eight pixels costs the convolutional network {glue:text}`cnn-shift-cnn:.0f` percentage points and the
# dense one {glue:text}`cnn-shift-dense:.0f`. The convolutions shift with the picture, but the dense layer behind
# `Flatten` does not: it has a weight for each place, as every layer of the dense network. Exercise 5 replaces
# `Flatten` by the mean over all places.
#
# ## Features: similar products
#
# The article asks a CNN for classes and for *features* (row [A4](#claim-a4)), here the 64 numbers before the softmax.
# For each test picture we take the five training pictures whose features have the largest cosine with its own. What
# share of them is of the same kind as the test picture?

# %%
encoder, every_row = vectors_of(network), np.arange(len(pictures))
untrained = image_encoder(PIXELS, PIXELS, units=64)
vectors = {
    "trained encoder": outputs_of(encoder, pictures, every_row),
    "untrained encoder": outputs_of(untrained, pictures, every_row),
    "raw pixels": 1 - flat,  # white is 0
}
nearest, same_kind = {}, {}
for name, vector in vectors.items():
    finder = NearestNeighbors(n_neighbors=5, metric="cosine")
    places = finder.fit(vector[train]).kneighbors(
        vector[test], return_distance=False
    )
    nearest[name] = train[places]  # (n_test, 5)
    same_kind[name] = label[nearest[name]] == label[test][:, None]
chance = (np.bincount(label[train]) / len(train))[label[test]].mean()
plots.table(
    pd.DataFrame(
        {
            "vectors": [*same_kind, "five at random"],
            "numbers": [
                *(str(vector.shape[1]) for vector in vectors.values()),
                "–",
            ],
            "share of the same kind": [
                *(hits.mean() for hits in same_kind.values()),
                chance,
            ],
        }
    )
)

# %% tags=["hide-input"]
queries = np.array(
    [np.flatnonzero(label[test] == kind)[0] for kind in range(min(4, n_kinds))]
)
figure, axes = plt.subplots(
    len(queries),
    6,
    figsize=(6.6, 1.25 * len(queries) + 0.3),
    gridspec_kw={"wspace": 0.05, "hspace": 0.3},
    squeeze=False,
)
for line, query in zip(axes, queries, strict=True):
    for axis, row in zip(
        line, [test[query], *nearest["trained encoder"][query]], strict=True
    ):
        axis.imshow(pictures[row])
        axis.axis("off")
        axis.set_title(str(kinds[label[row]]), fontsize=8)
    outline(line[0], 0, 0, PIXELS - 1, PIXELS - 1, "C3")
plots.show(
    figure,
    "Rows of pictures: on the left, framed, a test picture; beside it the "
    "five training pictures with the most similar features, each with its "
    "kind.",
)

# %% tags=["remove-cell"]
quote(
    near=same_kind["trained encoder"].mean(),
    near_pixels=same_kind["raw pixels"].mean(),
    near_verdict="is "
    + Estimate.over_items(
        same_kind["trained encoder"].mean(axis=1)
        - same_kind["raw pixels"].mean(axis=1),
        seed,
    ).against("the raw pixels"),
)

# %% [markdown]
# In the figure, the framed picture on the left of each row is a test picture, and the five beside it are its nearest
# training pictures. By this measure the trained encoder {glue:text}`cnn-near-verdict`. It has learnt *kinds*; in {doc}`07_recommend` the
# shoppers teach it their taste.
#
# ## Does ReLU keep gradients from vanishing?
#
# The article says so, and that ReLU is cheap (row [T2](#claim-t2)). By {eq}`eq-backward` each layer multiplies the
# gradient on its way back by $\sigma'$ **and** by $W$. For the sigmoid $\sigma' \le 1/4$, for tanh
# $\sigma' \le 1$, and for ReLU $\sigma'$ is 1 or 0. So the random start of $W$ matters as much as $\sigma$. Three
# rules for its standard deviation:
#
# | rule | standard deviation of $W$ | made for |
# |---|---|---|
# | small normal | 0.01 | AlexNet {cite}`krizhevsky2012` |
# | Glorot | $\sqrt{2 / (d_{l-1} + d_l)}$ | tanh {cite}`glorot2010` |
# | He | $\sqrt{2 / d_{l-1}}$ | ReLU {cite}`he2015` |
#
# $d_{l-1}$ and $d_l$ count the weights that enter and leave one unit, for a convolution $s^2C$ and $s^2D$. How much
# of the gradient at the last hidden layer arrives at the first?
#
# $$
# \varrho = \bigl\lVert \partial \mathcal L / \partial h^{(1)} \bigr\rVert \,\big/\,
#   \bigl\lVert \partial \mathcal L / \partial h^{(\text{last})} \bigr\rVert .
# $$ (cnn-rho)
#
# It *vanishes* if $\varrho < 1/1000$ and *explodes* if $\varrho > 1000$. First in NumPy: dense layers of 64 units
# on 16 × 16 pixels, five random starts each.

# %%
RULES = {
    "small normal": lambda d_in, d_out: 0.01,
    "Glorot": lambda d_in, d_out: np.sqrt(2 / (d_in + d_out)),
    "He": lambda d_in, d_out: np.sqrt(2 / d_in),
}
SIGMAS = ["relu", "tanh", "sigmoid"]


def start(depth, rule, generator, entries=768, width=64):
    """Return weights and biases of the hidden layers and the last one."""
    sizes = [entries, *[width] * depth, n_kinds]
    return [
        (generator.normal(0, rule(*pair), pair), np.zeros(pair[1]))
        for pair in pairwise(sizes)
    ]


def slopes_by_layer(x, truth, layers, activation):
    """Return ∂L/∂h of each hidden layer, and (∂L/∂W, ∂L/∂b) of each layer."""
    states = [x]
    for W, b in layers[:-1]:
        states.append(dense(states[-1], W, b, activation))
    logits = dense(states[-1], *layers[-1])
    delta = classifier_gradient(logits, truth)
    delta, *last = dense_backward(delta, states[-1], layers[-1][0])
    by_state, by_weight = [delta], [last]
    for depth in range(len(layers) - 2, -1, -1):
        delta, *by_layer = dense_backward(
            delta,
            states[depth],
            layers[depth][0],
            states[depth + 1],
            activation,
        )
        by_state.insert(0, delta)
        by_weight.insert(0, by_layer)
    loss = classifier_loss(logits, truth)
    return by_state[1:], by_weight, loss  # [0] is by the picture itself


def left_over(by_state):
    """Return what arrives at the first hidden layer of the last one's."""
    return np.linalg.norm(by_state[0]) / np.linalg.norm(by_state[-1])


def dense_ratio(x, truth, depth, activation, rule, number):
    layers = start(depth, RULES[rule], np.random.default_rng([seed, number]))
    return left_over(slopes_by_layer(x, truth, layers, activation)[0])


some = train[:64]
x = tiny[some].reshape(len(some), -1)
x = (x - x.mean()) / x.std()
columns = ["σ", "rule", "depth", "ϱ"]
with threadpool_limits(1):  # for small products one thread is fastest
    dense_ratios = pd.DataFrame(
        [
            (
                activation,
                rule,
                depth,
                dense_ratio(x, label[some], depth, activation, rule, number),
            )
            for activation in SIGMAS
            for rule in RULES
            for depth in [2, 5, 10, 20, 30]
            for number in range(5)
        ],
        columns=columns,
    )


# %% [markdown]
# Then a stack of Keras's convolutions, $3 \times 3$ with 16 filters, in float64:


# %% tags=["hide-input"]
def conv_ratio(x, truth, depth, activation, rule, number):
    """Return the ratio ϱ of a stack of convolutions."""
    outputs = []
    sigma = keras.activations.get(activation)
    with tf.GradientTape() as tape:
        h = tf.constant(x)
        tape.watch(h)
        for layer in range(depth):
            channels = h.shape[-1]
            draw = keras.initializers.RandomNormal(
                stddev=float(RULES[rule](9 * channels, 9 * 16)),
                seed=1000 * number + layer,
            )
            kernel = draw((3, 3, channels, 16), dtype="float64")
            h = sigma(keras.ops.conv(h, kernel, padding="same"))
            outputs.append(h)
        logits = keras.layers.Dense(
            n_kinds,
            dtype="float64",
            kernel_initializer=keras.initializers.GlorotNormal(seed=number),
        )(tf.reshape(h, (len(x), -1)))
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
        )
    first, last = tape.gradient(loss, [outputs[0], outputs[-1]])
    return float(tf.norm(first) / tf.norm(last))


few = train[: 16 if FULL else 4]
standard = (tiny[few] - tiny[few].mean()) / tiny[few].std()
conv_ratios = pd.DataFrame(
    [
        (
            activation,
            rule,
            depth,
            conv_ratio(standard, label[few], depth, activation, rule, seed),
        )
        for activation in SIGMAS
        for rule in RULES
        for depth in [2, 10, 30]
    ],
    columns=columns,
)

# %% tags=["hide-input"]
figure, axes = plt.subplots(
    2, 3, figsize=(6.8, 5), sharex=True, sharey=True, layout="constrained"
)
for line, (what, table) in zip(
    axes,
    {
        "dense layers, NumPy": dense_ratios,
        "convolutions, Keras": conv_ratios,
    }.items(),
    strict=True,
):
    for axis, rule in zip(line, RULES, strict=True):
        for activation, marker in zip(SIGMAS, "osv", strict=True):
            of_rule = table[
                (table["σ"] == activation) & (table["rule"] == rule)
            ].groupby("depth")["ϱ"]
            middle = of_rule.median()
            axis.plot(
                middle.index, middle, marker=marker, ms=4, label=activation
            )
            axis.fill_between(
                middle.index, of_rule.min(), of_rule.max(), alpha=0.2
            )
        axis.axhline(1e-3, color="0.4", linestyle=":", linewidth=1)
        axis.set(yscale="log", title=rule, ylim=(1e-24, 1e6))
    line[0].set_ylabel(f"{what}\nϱ (share of gradient)", fontsize=9)
for axis in axes[1]:
    axis.set_xlabel("hidden layers")
for axis in axes[0]:
    axis.set_xlabel("")
axes[0, 0].legend(fontsize=8)
final = dense_ratios[dense_ratios["depth"] == dense_ratios["depth"].max()]
final = final.pivot_table("ϱ", "σ", "rule", aggfunc="median")
plots.show(
    figure,
    "Six panels of ϱ against depth on a logarithmic axis, dense layers "
    "above and convolutions below, for small normal, Glorot and He starts; "
    "curves for ReLU, tanh and sigmoid, and a dotted line at a thousandth. "
    f"At {dense_ratios['depth'].max()} dense layers: "
    + "; ".join(
        f"{activation} {rule} {final.loc[activation, rule]:.0e}"
        for activation in SIGMAS
        for rule in RULES
    )
    + ".",
)


# %% tags=["hide-input"]
def verdicts(table):
    """Return ϱ at the largest depth, its factor a layer, where it vanishes."""
    middle = table.pivot_table("ϱ", ["σ", "rule"], "depth", aggfunc="median")
    deepest = middle.columns[-1]

    def first(line):
        beyond = line[(line < 1e-3) | (line > 1e3)]
        if beyond.empty:
            return "survives"
        word = "vanishes" if beyond.iloc[0] < 1 else "explodes"
        return f"{word} by {beyond.index[0]} layers"

    return pd.DataFrame(
        {
            f"ϱ at {deepest} layers": middle[deepest],
            "factor a layer": middle[deepest] ** (1 / (deepest - 1)),
            "verdict": middle.apply(first, axis=1),
        }
    ).reindex(pd.MultiIndex.from_product([SIGMAS, RULES], names=["σ", "rule"]))


in_numpy, in_keras = verdicts(dense_ratios), verdicts(conv_ratios)
for stack, verdict in (
    ("Dense layers, NumPy", in_numpy),
    ("Convolutions, Keras", in_keras),
):
    print(f"{stack}:")
    display(plots.table(verdict.reset_index(), digits=2))

# %% [markdown]
# The outcome depends on the pair of $\sigma$ and rule, not on $\sigma$ alone. Does such a network also *learn*? Ten
# hidden layers, plain gradient descent, {glue:text}`cnn-t2-steps:d` steps, the best of {glue:text}`cnn-t2-rates:d` learning
# rates by the training loss:

# %% tags=["hide-input"]
LEARNERS, BATCH = 10, 64 if FULL else 32
RATES = (0.01, 0.1, 1.0) if FULL else (0.01, 0.1)
STEPS = 150 if FULL else 100
quote(t2_rates=len(RATES), t2_steps=STEPS)
everything = tiny.reshape(len(tiny), -1)
everything -= everything[train].mean()
everything /= everything[train].std()


def descend(activation, rule, rate, steps=STEPS):
    """Return the final training loss (mean of 20 steps) and the accuracy."""
    generator = np.random.default_rng(seed)
    layers = start(LEARNERS, RULES[rule], generator)
    losses = []
    for _ in range(steps):
        batch = generator.choice(train, min(BATCH, len(train)), False)
        _, slopes, loss = slopes_by_layer(
            everything[batch], label[batch], layers, activation
        )
        layers = [
            (W - rate * by_W, b - rate * by_b)
            for (W, b), (by_W, by_b) in zip(layers, slopes, strict=True)
        ]
        losses.append(loss)
    h = everything[validation]
    for W, b in layers[:-1]:
        h = dense(h, W, b, activation)
    answer = dense(h, *layers[-1]).argmax(axis=1)
    return np.mean(losses[-20:]), (answer == label[validation]).mean(), rate


learnt = {}
# A rate that is too large overflows.
with np.errstate(all="ignore"), threadpool_limits(1):
    for activation in SIGMAS:
        for rule in RULES:
            runs = [descend(activation, rule, rate) for rate in RATES]
            learnt[activation, rule] = min(
                runs, key=lambda run: np.nan_to_num(run[0], nan=np.inf)
            )
learnt = pd.DataFrame.from_dict(
    learnt,
    orient="index",
    columns=["training loss (nats)", "validation accuracy", "rate"],
)
learnt.index = pd.MultiIndex.from_tuples(learnt.index, names=["σ", "rule"])
shares = np.bincount(label[train]) / len(train)
blind = -(shares * np.log(shares)).sum()  # the loss of the shares alone
learnt["learns"] = np.where(
    learnt["training loss (nats)"] < 0.95 * blind, "yes", "no"
)
plots.table(learnt.reset_index())


# %% tags=["remove-cell"]
def survives(activation):
    """Rules under which the gradient survives, in both stacks."""
    return [
        rule
        for rule in RULES
        if in_numpy.loc[(activation, rule), "verdict"] == "survives"
        and in_keras.loc[(activation, rule), "verdict"] == "survives"
    ]


def fails(activation):
    """Rules under which it vanishes, in at least one stack."""
    return [
        rule
        for rule in RULES
        if any(
            "vanishes" in table.loc[(activation, rule), "verdict"]
            for table in (in_numpy, in_keras)
        )
    ]


def listed(words):
    return " and ".join(words) if len(words) < 3 else "every rule"


relu_lives, relu_dies = survives("relu"), fails("relu")
others_live = {name: survives(name) for name in ("tanh", "sigmoid")}
sentences = [
    (
        f"with ReLU the gradient survives under {listed(relu_lives)}"
        if relu_lives
        else "with ReLU the gradient survives under no rule"
    )
    + (
        f" and vanishes under {listed(relu_dies)}"
        if relu_dies
        else " and vanishes under none"
    )
]
for name, lives in others_live.items():
    sentences.append(
        f"with {name} it survives under {listed(lives)}"
        if lives
        else f"with {name} it survives under no rule"
    )
without = [name for name, lives in others_live.items() if lives]
if relu_dies and without:
    verdict = (
        "true of the pair, not of ReLU alone: ReLU does not save a badly "
        f"initialised network, and {' and '.join(without)} "
        f"{'does' if len(without) == 1 else 'do'} without it when "
        "initialised well"
    )
elif relu_dies and relu_lives:
    verdict = (
        "true with a fitting initialisation only; the others vanish anyway"
    )
elif relu_lives:
    verdict = "holds: ReLU survives under every rule tried"
else:
    verdict = "does not hold here: ReLU vanishes under every rule tried"
learners = [
    f"{activation} with {rule}"
    for (activation, rule), line in learnt.iterrows()
    if line["learns"] == "yes"
]
quote(
    t2_verdict=verdict,
    t2_sentence="; ".join(sentences),
    t2_learners=", ".join(learners) or "none",
    t2_relu_small=f"{in_numpy.iloc[:, 0]['relu', 'small normal']:.0e}",
    t2_relu_he=f"{in_numpy.iloc[:, 0]['relu', 'He']:.2g}",
    t2_sigmoid_best=f"{in_numpy.iloc[:, 0]['sigmoid'].max():.0e}",
    t2_blind=f"{blind:.2f}",
    t2_deepest=dense_ratios["depth"].max(),
    t2_relu_factor=f"{in_numpy['factor a layer']['relu', 'Glorot']:.2f}",
)

# %% [markdown]
# Of the gradient at the last of {glue:text}`cnn-t2-deepest:d` dense layers, the first one receives
# {glue:text}`cnn-t2-relu-he` times as much with ReLU and He's rule, and {glue:text}`cnn-t2-relu-small` times with ReLU
# and small weights. Over both stacks: {glue:text}`cnn-t2-sentence`. With Glorot's rule ReLU loses a factor of
# {glue:text}`cnn-t2-relu-factor` a layer: it passes on half of the units, and $\sqrt{1/2} \approx 0.71$. He's rule
# multiplies by $\sqrt 2$ to compensate.
#
# In the last table these pairs learn (their loss is at least 5 % below {glue:text}`cnn-t2-blind` nats, that of the kinds' shares
# alone): {glue:text}`cnn-t2-learners`. A network that has not learnt gives all pictures the same answer, so several rows
# can have exactly the same accuracy. **The article's sentence is {glue:text}`cnn-t2-verdict`.**
#
# ### Is it cheap?
#
# A million numbers through each activation and back, and a training step of the article's convolution; medians:

# %% tags=["hide-input"]
a = generator.normal(size=1_000_000).astype(np.float32)
outputs = {name: ACTIVATIONS[name].function(a) for name in SIGMAS}
batch32 = tf.constant(generator.random((32, 32, 32, 3)), tf.float32)


def training_step(activation):
    layer = keras.layers.Conv2D(32, 3, activation=activation)
    layer.build(batch32.shape)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(layer(batch32) ** 2)
        return tape.gradient(loss, layer.trainable_variables)

    return step


steps = {name: training_step(name) for name in SIGMAS}
calls = {
    (name, what): call
    for name in SIGMAS
    for what, call in {
        "σ, NumPy": lambda name=name: ACTIVATIONS[name].function(a),
        "σ′, NumPy": lambda name=name: ACTIVATIONS[name].derivative(
            outputs[name]
        ),
        "training step, Keras": steps[name],
    }.items()
}
times = {key: [] for key in calls}
for turn in range(11):
    for key, call in calls.items():
        begin = time.perf_counter()
        call()
        if turn:  # the first turn warms up
            times[key].append(1000 * (time.perf_counter() - begin))
cost = pd.DataFrame(index=SIGMAS, dtype=float)
for (name, what), each in times.items():
    cost.loc[name, what] = np.median(each)
plots.table(
    cost.rename(columns="{} (ms)".format).rename_axis("σ").reset_index()
)

# %% tags=["remove-cell"]
alone = cost["σ, NumPy"] + cost["σ′, NumPy"]
step = cost["training step, Keras"]
slowest = step.drop("relu").idxmax()
gain = 100 * (1 - step["relu"] / step[slowest])
ratio = alone.drop("relu") / alone["relu"]


def against_relu(name):
    return (
        f"{name} costs {ratio[name]:.1f} times as much as ReLU"
        if ratio[name] > 1.1
        else f"{name} costs no more than ReLU ({ratio[name]:.1f} times)"
    )


cheap = (ratio > 1.1).all()
in_a_step = (
    "in a whole training step it saves time too"
    if gain > 10
    else "in a whole training step it saves nothing: the step takes longer with it"
    if gain < -10
    else "in a whole training step the difference is hardly noticeable"
)
quote(
    cost_alone="; ".join(against_relu(name) for name in ratio.index),
    cost_step=f"{gain:.0f} % less than with {slowest}"
    if gain > 0
    else f"{-gain:.0f} % more than with {slowest}",
    cost_verdict=f"by itself ReLU is {'' if cheap else 'not '}cheaper; {in_a_step}",
)

# %% [markdown]
# Alone, {glue:text}`cnn-cost-alone`. A whole training step with ReLU takes {glue:text}`cnn-cost-step`. On this
# machine, {glue:text}`cnn-cost-verdict`.

# %% tags=["remove-cell"]
used = plots.resources(started)
quote(
    seconds=f"{used['seconds']:.0f}",
    memory=f"{used['peak_mb'] / 1000:.1f}",
    cores=int(used["cores"]),
)

# %% [markdown]
# ## What the article says, and what we measured
#
# | row | the article | here |
# |---|---|---|
# | [E2](#claim-e2) | $h^{(l)} = \sigma(W^{(l)} h^{(l-1)} + b^{(l)})$ is the equation of a CNN | it is the dense layer. A convolution is the same equation with a $W$ of which {glue:text}`cnn-nonzero-share:.2f` % is not zero, and that repeats {glue:text}`cnn-shared-weights:,d` numbers. NumPy and Keras differ by at most {glue:text}`cnn-equal-32` in float32 and {glue:text}`cnn-equal-64` in float64, gradients included. Pooling is not a case of it |
# | [A4](#claim-a4) | a CNN extracts features and classifies | {glue:text}`cnn-accuracy:.1%` of {glue:text}`cnn-n-test:,d` test pictures of {glue:text}`cnn-dataset` ({glue:text}`cnn-n-kinds` kinds; baseline {glue:text}`cnn-majority:.1%`, best dense network {glue:text}`cnn-dense-accuracy:.1%`); {glue:text}`cnn-near:.0%` of the five nearest by its features are of the same kind, {glue:text}`cnn-near-pixels:.0%` by pixels |
# | [T2](#claim-t2) | ReLU is cheap and avoids vanishing gradients | {glue:text}`cnn-t2-verdict`. Cost: {glue:text}`cnn-cost-verdict` |
# | [S1](#claim-s1) | 8 GB of memory and a 2 GHz processor suffice | this page took {glue:text}`cnn-seconds` seconds on {glue:text}`cnn-cores` cores and {glue:text}`cnn-memory` GB |
#
# ## Exercises
#
# **1.** In one dimension let $x = (1, 2, 0, 3)$ and the kernel $(1, -1)$, stride 1, no padding, no
# bias. Compute the output, then write the $W$ of {eq}`eq-toeplitz` and check.
#
# ```{dropdown} Solution
# The windows $(1,2)$, $(2,0)$, $(0,3)$ give $(-1, 2, -3)$. $W$ has one column for each output:
#
# $$
# W = \begin{pmatrix} 1 & 0 & 0\\ -1 & 1 & 0\\ 0 & -1 & 1\\ 0 & 0 & -1 \end{pmatrix},
# \qquad xW = (1-2,\; 2-0,\; 0-3).
# $$
#
# There are twelve places, but only two weights to learn.
# ```

# %% tags=["hide-cell"]
W = convolution_matrix(np.array([1, -1]).reshape(1, 2, 1, 1), 1, 4)
print(W, np.array([1, 2, 0, 3]) @ W, sep="\n")

# %% [markdown]
# **2.** A layer with kernel $(1, -1)$ and stride 1 received the gradient
# $\partial \mathcal L/\partial Y = (1, 1, 1)$ for its input $(1, 2, 0, 3)$. Compute
# $\partial \mathcal L/\partial K$ and $\partial \mathcal L/\partial X$ by {eq}`cnn-backward`. Why are the
# inner entries of the latter zero?
#
# ```{dropdown} Solution
# $P$ has the rows $(1,2), (2,0), (0,3)$, so $P^{\mathsf T}\delta = (3, 5)$. Each row of $\delta K^{\mathsf T}$ is
# $(1, -1)$. Added back to their places they give $(1, 0, 0, -1)$. An inner entry is once the left and once the right
# of a window, and the two effects cancel.
# ```

# %% tags=["hide-cell"]
by_x, by_kernel, _ = conv2d_backward(
    np.ones((1, 1, 3, 1)),
    np.array([1.0, 2, 0, 3]).reshape(1, 1, 4, 1),
    np.array([1.0, -1]).reshape(1, 2, 1, 1),
)
print("∂L/∂K =", by_kernel.ravel(), " ∂L/∂X =", by_x.ravel())

# %% [markdown]
# **3.** The sigmoid's slope is at most 1/4. Would weights four times as large as Glorot's save its
# gradient? Guess first, then use `slopes_by_layer` with 30 layers.

# %% tags=["hide-cell"]
RULES["4 × Glorot"] = lambda d_in, d_out: 4 * RULES["Glorot"](d_in, d_out)
x, truth = everything[train[:128]], label[train[:128]]
lines = []
for rule in ("Glorot", "4 × Glorot"):
    layers = start(30, RULES[rule], np.random.default_rng(seed))
    by_state, _, _ = slopes_by_layer(x, truth, layers, "sigmoid")
    h, slope = x, []
    for W, b in layers[:-1]:
        h = dense(h, W, b, "sigmoid")
        slope.append((h * (1 - h)).mean())
    lines.append(
        {
            "rule": rule,
            "ϱ": left_over(by_state),
            "mean slope σ′": np.mean(slope),
        }
    )
rescued = pd.DataFrame(lines)
ratio_after = rescued["ϱ"].iloc[1]
quote(
    rescue_before=f"{rescued['ϱ'].iloc[0]:.0e}",
    rescue_after=f"{ratio_after:.2g}",
    rescue_slope=f"{rescued['mean slope σ′'].iloc[1]:.2f}",
    rescue="it still vanishes"
    if ratio_after < 1e-3
    else "it explodes"
    if ratio_after > 1e3
    else "it survives",
)
plots.table(rescued)

# %% [markdown]
# ```{dropdown} Solution
# With Glorot's rule {glue:text}`cnn-rescue-before` of the gradient is left after 30 layers, with four times the
# weights {glue:text}`cnn-rescue-after`: {glue:text}`cnn-rescue`. Larger weights make larger $a$, where the slope
# is below 1/4: {glue:text}`cnn-rescue-slope` on average.
# ```
#
# **4.** Shuffle the pixels of all pictures by *one* fixed random order, and train both kinds of network again.
# Which of the two suffers, and why does the other not?

# %% tags=["hide-cell"]
order = np.random.default_rng(seed).permutation(16 * 16)
scrambled = quartered.reshape(-1, 16 * 16, 3)[:, order].reshape(
    quartered.shape
)
shuffled_accuracy = {"convolutional": {}, "dense": {}}
for name, what, x, build in (
    ("convolutional", "as they are", quartered, None),
    ("convolutional", "shuffled", scrambled, lambda: convolutional(16)),
    ("dense", "as they are", quartered, lambda: all_dense(16, 64)),
    ("dense", "shuffled", scrambled, lambda: all_dense(16, 64)),
):
    other = (
        learn(build, x, seed, FEW_EPOCHS)[0]
        if build
        else with_additions["none", seed]  # the same network, trained above
    )
    shuffled_accuracy[name][what] = is_right(other, x, validation).mean()
shuffled_accuracy = pd.DataFrame(shuffled_accuracy)
plots.table(shuffled_accuracy, index=True)

# %% [markdown]
# ```{dropdown} Solution
# The table gives the validation accuracies. A dense layer sums over all pixels, and a sum does not depend on their
# order: for each $W$ there is one with shuffled rows that gives the same answers. Only the random start differs. A
# convolution assumes that neighbours belong together, and shuffling makes the assumption wrong.
# ```
#
# **5.** Replace `Flatten` by the *mean over all places* (`GlobalAveragePooling2D`). How many parameters are
# left? What happens when pictures are shifted by 4 of 32 pixels?

# %% tags=["hide-cell"]


def averaging():
    flat = convolutional(32)
    pooled = flat.layers[-4].output  # before Flatten
    x = keras.layers.GlobalAveragePooling2D()(pooled)
    x = keras.layers.Dense(64)(x)
    x = keras.layers.Dense(n_kinds, activation="softmax")(x)
    return keras.Model(flat.input, x)


shifted = np.pad(halved, ((0, 0), (0, 0), (4, 0), (0, 0)), mode="reflect")
shifted = shifted[:, :, :32]
place_rows = []
for name, build in (
    ("flatten", lambda: convolutional(32)),
    ("mean", averaging),
):
    if name == "flatten" and (PIXELS, EPOCHS) == (32, FEW_EPOCHS):
        other, _ = trained["convolutional", seed]  # the same, from above
    else:
        other, _ = learn(build, halved, seed, FEW_EPOCHS)
    in_place, moved_by_4 = (
        is_right(other, x, validation).mean() for x in (halved, shifted)
    )
    place_rows.append(
        {
            "network": name,
            "parameters": f"{other.count_params():,}",
            "in place": in_place,
            "shifted": moved_by_4,
            "lost": in_place - moved_by_4,
        }
    )
plots.table(pd.DataFrame(place_rows))

# %% [markdown]
# ```{dropdown} Solution
# If the last feature map only moved, its mean would not change. It changes for two reasons. At the border, something
# leaves the picture and something else enters. And *three* poolings lie before the mean: only a shift by $2^3 = 8$
# pixels moves the last map by a whole step. The place is information too, and the mean learns more slowly, so after
# {glue:text}`cnn-few-epochs:d` epochs it may be worse even in place.
# ```
#
# ## Where to read on
#
# {cite:t}`goodfellow2016`, chapter 9, on convolutions; {cite:t}`dumoulin2016` on padding and strides.
