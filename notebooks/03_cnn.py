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
# - say what the article's "equation of a CNN" is, and what turns it into a convolution;
# - compute a convolution three ways, by sums, by patches and as one matrix, and get Keras's numbers;
# - work out sizes, padding, parameters and receptive fields with a pencil;
# - carry a gradient back through a dense layer, a convolution and a pooling by hand;
# - train a network on pictures, look inside it, and use it to find similar products;
# - test whether gradients vanish with depth, and say what that depends on.
#
# ## The idea in words
#
# A kettle is a kettle wherever it stands in the picture. A dense layer does not know that: it has a
# weight of its own for each pixel and each output, and would have to learn the kettle anew at every
# place. A {term}`convolution` looks through one small window, uses the same few weights wherever the
# window stands, and so learns the spout once. Fewer weights, and the right {term}`inductive bias` for
# pictures.

# %% tags=["parameters"]
profile = "quick"  # "quick" trains once, "full" with five seeds
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
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from mmtutorial.encoders.image import image_encoder
from mmtutorial.equations.activations import ACTIVATIONS, softmax
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
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.reproduce import notebooks

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
tf.get_logger().setLevel("ERROR")
keras.utils.set_random_seed(seed)
tf.config.experimental.enable_op_determinism()
started = time.perf_counter()


quote = partial(notebooks.quote, "cnn")


# %% [markdown]
# ## The pictures
#
# {doc}`01_data` takes pictures from file to array. Here we need those whose *kind* is known (a column
# of the items that no recommender in this book reads), at least ten of a kind. Where a data set of
# your own has no such pictures, a small `shop` stands in.

# %% tags=["remove-output"]
PIXELS = 64
data = (
    datasets.load(dataset, seed=seed)
    if dataset in datasets.MAKERS
    else datasets.load(dataset)
)


def common_kinds(data):
    """Kinds of which at least ten items have a picture."""
    if "image_attribute" not in data.items:
        return []
    kinds = data.items.loc[data.items["image"] != "", "image_attribute"]
    counts = kinds[kinds != ""].value_counts()
    return sorted(counts.index[counts >= 10])


seen = data
if len(common_kinds(data)) < 2:
    seen = datasets.load("shop", n_items=200, n_users=30, seed=seed)
kinds = common_kinds(seen)  # names, in the order of the labels
n_kinds = len(kinds)

pictures, there, faults = encode_images(
    [seen.path(row, "image") for row in range(seen.n_items)], size=PIXELS
)
rows = np.flatnonzero(there & seen.items["image_attribute"].isin(kinds))
pictures = pictures[rows]  # float32 (n, 64, 64, 3), in 0…1
label = np.searchsorted(kinds, seen.items["image_attribute"].iloc[rows])

train, test = train_test_split(
    np.arange(len(rows)), test_size=0.2, stratify=label, random_state=seed
)

# %% tags=["hide-input"]
for fault in faults:
    print(fault)
counts = np.stack(
    [np.bincount(label[part], minlength=n_kinds) for part in (train, test)]
)
plots.table(
    pd.DataFrame(
        counts, columns=list(map(str, kinds)), index=["train", "held out"]
    ).assign(all=counts.sum(axis=1)),
    index=True,
)

# %% tags=["hide-input"]
shown = np.array(
    [train[label[train] == kind][:1].item() for kind in range(min(8, n_kinds))]
)
figure, axes = plt.subplots(2, 4, figsize=(6, 3.3), layout="constrained")
for axis in axes.flat:
    axis.axis("off")
for axis, row in zip(axes.flat, shown, strict=False):
    axis.imshow(pictures[row])
    axis.set_title(str(kinds[label[row]]), fontsize=10)
plots.show(
    figure,
    f"One picture of each kind, {PIXELS} pixels a side: "
    + ", ".join(str(kinds[label[row]]) for row in shown)
    + ".",
)

# %% tags=["remove-cell"]
most_frequent = np.bincount(label[train]).argmax()
majority = (label[test] == most_frequent).mean()
quote(
    dataset=seen.name,
    stand_in=""
    if seen is data
    else f" (the data set {data.name} has no pictures of known kinds, so a "
    "small shop stands in)",
    n_pictures=len(rows),
    n_train=len(train),
    n_test=len(test),
    n_kinds=n_kinds,
    pixels=PIXELS,
    majority=f"{majority:.3f}",
    majority_kind=str(kinds[most_frequent]),
)


# %% [markdown]
# {glue:text}`cnn-dataset`{glue:text}`cnn-stand-in` gives {glue:text}`cnn-n-pictures:,d` pictures of
# {glue:text}`cnn-n-kinds` kinds. A fifth is held out: no network on this page learns from it. Whoever
# always says "{glue:text}`cnn-majority-kind`", the most frequent kind, is right in
# {glue:text}`cnn-majority` of the held-out pictures. That is the {term}`baseline`.
#
# ## The article's equation is a dense layer
#
# The article prints, as the equation of a CNN (row [E2](#claim-e2)),
#
# $$
# h^{(l)} = \sigma\bigl(h^{(l-1)}\, W^{(l)} + b^{(l)}\bigr), \qquad
# h^{(l-1)} \in \mathbb{R}^{d_{l-1}},\; W^{(l)} \in \mathbb{R}^{d_{l-1} \times d_l},\;
# b^{(l)} \in \mathbb{R}^{d_l} .
# $$ (eq-dense)
#
# That is the dense layer: every entry of the input is joined to every entry of the output by a weight
# of its own. Let $a^{(l)} = h^{(l-1)}W^{(l)} + b^{(l)}$ and let
# $\delta^{(l)} = \partial \mathcal L / \partial a^{(l)} \in \mathbb{R}^{d_l}$. The chain rule gives what
# {term}`back-propagation` needs, for a batch of $B$ rows:
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
# `mmtutorial.equations.convolution` has both, as `dense` and `dense_backward`. The σ of the equations,
# and σ′ as a function of σ's output, are in `mmtutorial.equations.activations`.
#
# ### The same in Keras
#
# To compare gradients we need a loss. We take the mean of the squared outputs, halved, so that
# $\partial \mathcal L / \partial y = y / \text{(number of entries)}$.


# %%
def keras_says(layer, x, weights=()):
    """Output of a Keras layer, and its gradients by x and the weights."""
    layer.build(x.shape)
    layer.set_weights(weights)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_mean(y**2) / 2
    return [y, *tape.gradient(loss, [x, *layer.trainable_variables])]


def differ(ours, theirs):
    """Largest difference of the outputs, and of all gradients."""
    both = zip(ours, theirs, strict=True)
    far = [np.abs(a - np.asarray(b)).max() for a, b in both]
    return {"outputs differ by": far[0], "gradients by": max(far[1:])}


TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
found = []
for dtype in TOLERANCE:
    for activation in ACTIVATIONS:
        generator = np.random.default_rng(seed)
        h, W, b = (
            (generator.normal(size=shape) / 7).astype(dtype)
            for shape in [(32, 48), (48, 10), (10,)]
        )
        y = dense(h, W, b, activation)
        ours = [y, *dense_backward(y / y.size, h, W, y, activation)]
        layer = keras.layers.Dense(10, activation=activation, dtype=dtype)
        found.append(
            {"σ": activation, "dtype": dtype}
            | differ(ours, keras_says(layer, h, [W, b]))
        )
dense_differences = pd.DataFrame(found)
limit = dense_differences["dtype"].map(TOLERANCE)
assert (dense_differences.iloc[:, 2:].max(axis=1) < limit).all()
plots.table(dense_differences)

# %% [markdown]
# And does the gradient that both agree on equal the slope? Move every weight a little up and a little
# down, and watch the loss:

# %%
step, slope = 1e-5, np.empty_like(W)  # W is float64 here, σ is the sigmoid
for place in np.ndindex(W.shape):
    moved = np.zeros_like(W)
    moved[place] = step
    up, down = (
        np.mean(dense(h, W + sign * moved, b, activation) ** 2) / 2
        for sign in (1, -1)
    )
    slope[place] = (up - down) / (2 * step)
difference = np.abs(slope - ours[2]).max()
print(f"gradient and central differences differ by {difference:.1e}")
assert difference < 1e-9

# %% [markdown]
# ## A convolution
#
# A convolution with a kernel $K$ of side $s$, from $C$ channels to $D$, moving by a {term}`stride` of
# $r$ over an image $X \in \mathbb{R}^{H \times W \times C}$ without padding, is
#
# $$
# Y_{pqd} = b_d + \sum_{\alpha=0}^{s-1} \sum_{\beta=0}^{s-1} \sum_{c=0}^{C-1}
#   X_{rp+\alpha,\; rq+\beta,\; c}\; K_{\alpha\beta c d} .
# $$ (eq-convolution)
#
# $K \in \mathbb{R}^{s \times s \times C \times D}$, and $Y$ has height
# $H' = \lfloor (H - s)/r \rfloor + 1$, width $W' = \lfloor (W - s)/r \rfloor + 1$ and $D$ channels
# {cite}`lecun1998`. (Strictly, this is a cross-correlation: mathematicians' convolution flips the
# kernel. Keras does not flip it, and a learnt kernel does not care. Nor must a kernel be square: let
# $s_1 \times s_2$ take the place of $s \times s$, and $r_1, r_2$ that of $r$.)
#
# By hand, then. A picture of 6 × 6 pixels, dark on the left, and a kernel that asks "does it get
# brighter to the right?":

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
    "Three small matrices of numbers. The picture X gets brighter from left to right; the kernel K "
    "has −1 in its left column, 0 in the middle, 1 on the right; the output Y is large where the "
    f"step is. A 3 by 3 window of X is outlined, and the one entry of Y it gives, {Y[p, q]:.0f}.",
)

# %% [markdown]
# ### Padding and stride
#
# Without padding ("valid") the picture shrinks by $s - 1$ at every layer, and border pixels are seen by
# fewer windows than others. "Same" surrounds the picture with zeros so that only the stride shrinks it.
# TensorFlow, and so Keras, puts
#
# $$
# \begin{aligned}
# H' &= \Bigl\lceil \frac{H}{r} \Bigr\rceil, &
# \text{total} &= \max\bigl(0,\; (H' - 1)\,r + s - H\bigr), \\
# \text{before} &= \Bigl\lfloor \frac{\text{total}}{2} \Bigr\rfloor, &
# \text{after} &= \text{total} - \text{before}
# \end{aligned}
# $$ (cnn-same)
#
# so that an odd one goes to the bottom and to the right {cite}`dumoulin2016`. Some other libraries pad
# both sides alike: a trained kernel moved from one to the other then looks one pixel off.

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
    "Four grids of 6 by 6 pixels, blue, with the centre of each 3 by 3 window as a dot, and the first two "
    "windows outlined. Valid, stride 1: 4 by 4 dots. Valid, stride 2: 2 by 2. Same, stride 1: a ring "
    "of padding and 6 by 6 dots. Same, stride 2: padding at the bottom and right only, 3 by 3 dots.",
)

# %% [markdown]
# ### As a product of two small matrices
#
# Lay each of the $H'W'$ windows out as a row of a matrix $P \in \mathbb{R}^{H'W' \times s^2C}$, and $K$
# as a matrix $s^2C \times D$, in the same order. Then every output is a row of $P$ times a column of
# $K$, and {eq}`eq-convolution` has become the article's equation {eq}`eq-dense`, with a window where
# the layer before was. This is *im2col* {cite}`chellapilla2006`:
#
# $$
# Y = \sigma(P\, K + b), \qquad Y \in \mathbb{R}^{H'W' \times D} .
# $$ (cnn-im2col)
#
# A dense layer that sees one window, applied at every place. `conv2d` is these two lines: `im2col`,
# then `dense`.

# %% tags=["hide-input"]
small = np.arange(1.0, 10).reshape(3, 3)
P = im2col(small[None, :, :, None], 2)[0].reshape(4, 4)
column = np.array([[1.0], [0], [0], [-1]])  # the kernel [[1, 0], [0, -1]]
figure, axes = plt.subplots(
    1, 4, figsize=(6.2, 2.1), width_ratios=[3, 4, 1.2, 1.2]
)
numbers(axes[0], small, "X, 3 × 3", 20)
numbers(axes[1], P, "P, 4 × 4", 20)
numbers(axes[2], column, "K, 4 × 1", 2)
numbers(axes[3], P @ column, "PK, 4 × 1", 20)
outline(axes[0], 0, 0, 2, 2, "C3")
outline(axes[1], 0, 0, 1, 4, "C3")
outline(axes[0], 1, 1, 2, 2, "C1", "--")
outline(axes[1], 3, 0, 1, 4, "C1", "--")
plots.show(
    figure,
    "A 3 by 3 picture of the numbers 1 to 9; the matrix P whose four rows are its four 2 by 2 "
    "windows; the kernel as one column; and their product. The first and last window are outlined in "
    "the picture and in P.",
)

# %% [markdown]
# **Equal to Keras**, forwards and backwards, for every combination of these strides, paddings, windows
# and channels (the library's tests let a random search draw many more):

# %%
found = []
for stride in [1, 2, 3, (2, 1)]:
    for padding in ["valid", "same"]:
        for channels, filters in [(1, 1), (3, 8)]:
            for window in [(3, 3), (2, 4), (1, 1)]:
                for dtype in TOLERANCE:
                    x, K, b = (
                        generator.normal(size=shape).astype(dtype)
                        for shape in [
                            (4, 11, 10, channels),
                            (*window, channels, filters),
                            (filters,),
                        ]
                    )
                    K /= np.sqrt(K[..., 0].size, dtype=dtype)
                    y = conv2d(x, K, b, stride, padding)
                    ours = [
                        y,
                        *conv2d_backward(y / y.size, x, K, stride, padding),
                    ]
                    layer = keras.layers.Conv2D(
                        filters, window, stride, padding, dtype=dtype
                    )
                    found.append(
                        {"dtype": dtype, "padding": padding}
                        | differ(ours, keras_says(layer, x, [K, b]))
                    )
found = pd.DataFrame(found)
columns = ["outputs differ by", "gradients by"]
limit = found["dtype"].map(TOLERANCE)
assert (found[columns].max(axis=1) < limit).all()
conv_differences = found.groupby(["dtype", "padding"])[columns].max()
plots.table(
    conv_differences.assign(
        combinations=found.groupby(["dtype", "padding"]).size()
    ).reset_index()
)

# %% [markdown]
# ### As the article's equation, literally
#
# A purist may object that $P$ is not the layer before. So lay the whole of $X$ out as one row vector $x$
# of $HWC$ entries. Then $Y$, laid out likewise, is $xW$ plus the bias, with
#
# $$
# W_{(i,j,c),\,(p,q,d)} =
# \begin{cases}
# K_{i-rp,\; j-rq,\; c,\; d} & \text{if } 0 \le i-rp < s \text{ and } 0 \le j-rq < s,\\
# 0 & \text{otherwise.}
# \end{cases}
# $$ (eq-toeplitz)
#
# So a convolution *is* equation {eq}`eq-dense`, with a $W$ that is almost all zeros (locality) and
# whose other entries repeat (sharing). For stride 1 and one channel it is made of Toeplitz blocks:
# equal entries along each diagonal. Under "same", $i$ and $j$ count from the edge of the padding. Here
# it is for a picture of 5 × 5 pixels and a kernel whose nine entries are called 1 to 9; white is zero.

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
        annot_kws={"fontsize": 6.5},
        xticklabels=False,
        yticklabels=False,
        ax=axis,
    )
    axis.set_title(f"{padding}, stride {stride}", fontsize=9)
    axis.set_xlabel(f"{W.shape[1]} outputs", fontsize=9)
axes[0].set_ylabel("25 pixels, row by row", fontsize=9)
plots.show(
    figure,
    "Three matrices W with 25 rows, one a pixel, and 9, 4 and 25 columns, one an output. Most cells "
    "are white, zero. The others hold the kernel's entries 1 to 9, each along diagonals: every column "
    "has the same nine entries, three by three, further down from column to column; under 'same' the "
    "columns at the border lack some.",
)

# %% [markdown]
# Now count. A dense layer with as many outputs as the convolution has one weight for each cell of such
# a picture. The last line is the article's own layer, 32 kernels of 3 × 3 over a picture of 32 × 32:

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
            "of them not zero": outputs * window**2 * channels,
            "of them different": window**2 * channels * filters,
        }
    )
counted = pd.DataFrame(lines)
article = counted.iloc[-1]

kernel = generator.normal(size=(3, 3, 3, 4))
W = convolution_matrix(kernel, 16, 16)  # the second line, not by formula
assert W.size == counted.iloc[1, 1]
assert np.count_nonzero(W) == counted.iloc[1, 2]
assert len(np.unique(W[W != 0])) == counted.iloc[1, 3]
x = pictures[:8, ::4, ::4].astype(float)
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
quote(
    dense_weights=article.iloc[1],
    nonzero=article.iloc[2],
    nonzero_share=100 * article.iloc[2] / article.iloc[1],
    shared_weights=article.iloc[3],
    toeplitz_difference=f"{toeplitz_difference:.0e}",
    equal_32=f"{found.loc[found['dtype'] == 'float32', columns].max().max():.0e}",
    equal_64=f"{found.loc[found['dtype'] == 'float64', columns].max().max():.0e}",
)

# %% [markdown]
# Of {glue:text}`cnn-dense-weights:,d` weights, {glue:text}`cnn-nonzero-share:.2f` % are not zero, and
# these are {glue:text}`cnn-shared-weights:,d` different numbers (and 32 biases). On eight real pictures,
# the product with $W$ and `conv2d` differ by at most {glue:text}`cnn-toeplitz-difference`.
#
# ### Pooling
#
# Then only the largest of each square is kept, channel by channel, with a window of $s$ and a stride of
# $r$ (in the article's listing both are 2):
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
# The gradient goes to the winner alone; of equals, the first one wins. Pooling has no weights, and it
# is no case of {eq}`eq-dense`, since a maximum is not linear.

# %%
found = []
for padding in ["valid", "same"]:
    for window, stride in [(2, 2), (3, 2), (3, 1)]:
        for dtype in TOLERANCE:
            x = generator.normal(size=(4, 9, 8, 3)).astype(dtype)
            z = max_pool(x, window, stride, padding)
            back = max_pool_backward(z / z.size, x, window, stride, padding)
            layer = keras.layers.MaxPooling2D(
                window, stride, padding, dtype=dtype
            )
            found.append(
                {"dtype": dtype} | differ([z, back], keras_says(layer, x))
            )
found = pd.DataFrame(found)
limit = found["dtype"].map(TOLERANCE)
assert (found[columns].max(axis=1) < limit).all()
plots.table(found.groupby("dtype").max().reset_index())


# %% [markdown]
# ## Forwards and backwards by hand
#
# What of the gradient of a convolution? Since $Y = PK + b$ is a dense layer,
# {eq}`eq-backward` is all there is to know, and one step more: an entry of $X$ lies in several windows,
# so it collects the sum of what arrives in each. Adding the windows back to where they came from is
# the *adjoint* of im2col, its transpose as a linear map:
#
# $$
# \frac{\partial \mathcal L}{\partial K} = P^{\mathsf T} \delta, \qquad
# \frac{\partial \mathcal L}{\partial X} = \operatorname{im2col}^{\mathsf T}\bigl(\delta\, K^{\mathsf T}\bigr),
# \qquad \delta = \frac{\partial \mathcal L}{\partial Y} \odot \sigma' \in \mathbb{R}^{H'W' \times D} .
# $$ (cnn-backward)
#
# With that, a whole network fits on one screen: a convolution with ReLU, a pooling, a dense layer, a
# softmax, the cross-entropy. Whoever can read these lines knows what Keras does.


# %%
def forward(x, weights):
    """Probabilities (B, kinds), and what the way back needs."""
    K, b, W, c = weights
    y = conv2d(x, K, b, 1, "same", "relu")  # (B, H, W, D)
    z = max_pool(y, 2)  # (B, H/2, W/2, D)
    flat = z.reshape(len(x), -1)
    return softmax(dense(flat, W, c)), (y, z, flat)


def gradients(x, truth, weights):
    """Mean cross-entropy, and its gradient by each weight."""
    K, _, W, _ = weights
    chance, (y, z, flat) = forward(x, weights)
    batch = np.arange(len(x))
    loss = -np.log(chance[batch, truth]).mean()
    delta = chance.copy()  # softmax and cross-entropy: ŷ − one-hot
    delta[batch, truth] -= 1
    dflat, dW, dc = dense_backward(delta / len(x), flat, W)
    dy = max_pool_backward(dflat.reshape(z.shape), y, 2)
    _, dK, db = conv2d_backward(dy, x, K, 1, "same", y, "relu")
    return loss, [dK, db, dW, dc]


# %% [markdown]
# Its gradients on real pictures of 16 × 16 pixels, beside those of the same network in Keras:

# %%
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
weights = network.get_weights()
few = train[:32]
loss, ours = gradients(tiny[few], label[few], weights)
with tf.GradientTape() as tape:
    theirs = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(
            label[few], network(tiny[few])
        )
    )
slopes = tape.gradient(theirs, network.trainable_variables)
differences = [
    abs(loss - float(theirs)),
    differ(ours, slopes)["outputs differ by"],
    differ(ours, slopes)["gradients by"],
]
print(f"loss and gradients differ by at most {max(differences):.1e}")
assert max(differences) < 1e-10

# %% [markdown]
# And it learns. Plain gradient descent, batches of 32, on at most 640 pictures:

# %%
shuffled = np.random.default_rng(seed)
part = train[:640]
by_hand = []
for epoch in range(1, 9):
    losses = []
    for batch in np.array_split(
        shuffled.permutation(part), max(1, len(part) // 32)
    ):
        loss, slopes = gradients(tiny[batch], label[batch], weights)
        weights = [w - 0.1 * g for w, g in zip(weights, slopes, strict=True)]
        losses.append(loss)
    held_out = forward(tiny[test], weights)[0].argmax(axis=1)
    by_hand.append(
        {
            "epoch": epoch,
            "training loss (nats)": np.mean(losses),
            "held-out accuracy": (held_out == label[test]).mean(),
        }
    )
plots.table(pd.DataFrame(by_hand))

# %% tags=["remove-cell"]
quote(
    by_hand=f"{by_hand[-1]['held-out accuracy']:.3f}",
    by_hand_difference=f"{max(differences):.0e}",
)

# %% [markdown]
# A page of NumPy, from the article's equation, tells {glue:text}`cnn-by-hand` of the held-out
# pictures rightly at 16 × 16 pixels, where the most frequent kind is {glue:text}`cnn-majority`.
#
# ## Trained on the pictures
#
# `image_encoder` is what this book uses for pictures from here on: three times convolution, ReLU and
# pooling, then one dense layer that ends in a vector of 64 numbers. For the task at hand, to tell the
# kind, a softmax follows.

# %%
encoder = image_encoder(PIXELS, PIXELS, channels=3, units=64)

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        [
            {
                "layer": layer.name,
                "hands on": " × ".join(map(str, layer.output.shape[1:])),
                "parameters": f"{layer.count_params():,}",
            }
            for layer in encoder.layers
        ]
    )
)

# %% [markdown]
# Is it the *convolution* that helps, or just any network of that size? Beside it we train two dense
# layers, equation {eq}`eq-dense` and nothing else, with as many parameters as the whole convolutional
# network.

# %% tags=["remove-output"]
EPOCHS = 10


def convolutional():
    return keras.Sequential(
        [
            image_encoder(PIXELS, PIXELS, units=64),
            keras.layers.Dense(n_kinds, activation="softmax"),
        ]
    )


def all_dense():
    entries = PIXELS**2 * 3
    units = convolutional().count_params() // (entries + n_kinds + 1)
    return keras.Sequential(
        [
            keras.Input((PIXELS, PIXELS, 3)),
            keras.layers.Rescaling(2, -1),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(n_kinds, activation="softmax"),
        ]
    )


def learn(build, x, number, epochs=EPOCHS):
    """Build, train, return network, history and seconds."""
    keras.utils.set_random_seed(number)
    network = build()
    network.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    history = network.fit(
        x[train],
        label[train],
        validation_data=(x[test], label[test]),
        epochs=epochs,
        batch_size=32,
        verbose=0,
    ).history
    return network, history, time.perf_counter() - start


trained = {
    (name, number): learn(build, pictures, number)
    for name, build, starts in [
        ("convolutional", convolutional, 1),
        ("dense layers only", all_dense, 3),
    ]
    for number in range(seed, seed + (starts if profile == "quick" else 5))
}

# %% tags=["hide-input"]
network, history, seconds = trained["convolutional", seed]
figure, axes = plt.subplots(1, 2, figsize=(6.6, 3), layout="constrained")
plots.training_curve(history, axes)
axes[1].axhline(majority, color="0.5", linestyle=":", label="baseline")
axes[1].legend(["training", "held out", "most frequent kind"])
axes[0].legend(["training", "held out"])
plots.show(
    figure,
    "Loss and accuracy of the convolutional network by epoch, on training and on held-out pictures, "
    "with the accuracy of the most frequent kind as a dotted line.",
)

# %% tags=["hide-input"]
guess = {
    name: each[0].predict(pictures[test], verbose=0).argmax(axis=1)
    for (name, number), each in trained.items()
    if number == seed
}
guess["most frequent kind"] = np.full(len(test), most_frequent)
right = {name: each == label[test] for name, each in guess.items()}


def interval(hits):
    """Wilson's 95 % interval of a share, as (low, high)."""
    found = binomtest(int(hits.sum()), len(hits)).proportion_ci(
        method="wilson"
    )
    return found.low, found.high


accuracy = pd.DataFrame.from_dict(
    {
        name: {
            "accuracy": hits.mean(),
            "95 % from": interval(hits)[0],
            "to": interval(hits)[1],
            "parameters": f"{trained[name, seed][0].count_params():,}"
            if (name, seed) in trained
            else "0",
            "seconds": f"{trained[name, seed][2]:.0f}"
            if (name, seed) in trained
            else "0",
        }
        for name, hits in right.items()
    },
    orient="index",
)
plots.table(accuracy, index=True)

# %% tags=["hide-input"]
over_seeds = pd.DataFrame()
for (name, number), each in trained.items():
    over_seeds.loc[number, name] = each[1]["val_accuracy"][-1]
print("held-out accuracy by start (–: not trained in this profile)")
plots.table(
    over_seeds.map("{:.3f}".format)
    .replace("nan", "–")
    .rename_axis("seed")
    .reset_index()
)


# %% tags=["remove-cell"]
def compared(hits, others, what):
    """Say how two networks differ on the same pictures, by a rule."""
    gain = hits.astype(float) - others
    if not gain.any():
        return f"is right on the same pictures as {what}"
    found = bootstrap(
        (gain,), np.mean, n_resamples=2000, method="percentile", rng=seed
    ).confidence_interval
    words = (
        "is better than"
        if found.low > 0
        else "is worse than"
        if found.high < 0
        else "cannot be told apart from"
    )
    return (
        f"{words} {what} (difference {gain.mean():+.3f}, 95 % interval "
        f"{found.low:+.3f} to {found.high:+.3f})"
    )


best_epoch = int(np.argmin(history["val_loss"])) + 1
quote(
    accuracy=f"{right['convolutional'].mean():.3f}",
    accuracy_from=f"{accuracy.loc['convolutional', '95 % from']:.3f}",
    accuracy_to=f"{accuracy.loc['convolutional', 'to']:.3f}",
    dense_accuracy=f"{right['dense layers only'].mean():.3f}",
    versus_dense=compared(
        right["convolutional"],
        right["dense layers only"],
        "the dense layers",
    ),
    dense_lowest=f"{over_seeds['dense layers only'].min():.3f}",
    dense_highest=f"{over_seeds['dense layers only'].max():.3f}",
    dense_starts=int(over_seeds["dense layers only"].count()),
    dense_spread="so one start of theirs says little"
    if np.ptp(over_seeds["dense layers only"].dropna()) > 0.1
    else "so the start matters little to them",
    train_accuracy=f"{history['accuracy'][-1]:.3f}",
    best_epoch=best_epoch,
    epochs=EPOCHS,
    train_seconds=f"{seconds:.0f}",
    overfits="so from there on it learns the training pictures by heart"
    if best_epoch < EPOCHS
    else "so more epochs might lower it still",
)

# %% [markdown]
# After {glue:text}`cnn-epochs` epochs, {glue:text}`cnn-train-seconds` seconds, the convolutional network
# tells {glue:text}`cnn-accuracy` of the held-out pictures rightly (95 % interval
# {glue:text}`cnn-accuracy-from` to {glue:text}`cnn-accuracy-to`), where the most frequent kind gives
# {glue:text}`cnn-majority`. It {glue:text}`cnn-versus-dense`, both from the same seed; over
# {glue:text}`cnn-dense-starts` starts the dense layers reach from {glue:text}`cnn-dense-lowest` to
# {glue:text}`cnn-dense-highest`, {glue:text}`cnn-dense-spread`. On what it was trained on it reaches
# {glue:text}`cnn-train-accuracy`. Its held-out loss was smallest after epoch
# {glue:text}`cnn-best-epoch` of {glue:text}`cnn-epochs`, {glue:text}`cnn-overfits`; we took the last
# epoch all the same, because to choose one by the held-out pictures would be to learn from them.
#
# ### What it confuses

# %% tags=["hide-input"]
confused = confusion_matrix(
    label[test], guess["convolutional"], labels=range(n_kinds)
)
figure, axis = plt.subplots(figsize=(5.4, 4.4), layout="constrained")
sns.heatmap(
    confused,
    annot=True,
    fmt="d",
    cmap="viridis",
    cbar_kws={"label": "held-out pictures"},
    xticklabels=list(map(str, kinds)),
    yticklabels=list(map(str, kinds)),
    square=True,
    ax=axis,
)
axis.set(xlabel="what the network says", ylabel="what it is")
axis.tick_params(axis="x", rotation=45)
axis.tick_params(axis="y", rotation=0)
wrong = confused * (1 - np.eye(n_kinds, dtype=int))
truth, said = np.unravel_index(wrong.argmax(), wrong.shape)
commonest = (
    f"its commonest error is to say “{kinds[said]}” of what is “{kinds[truth]}”, "
    f"{wrong.max()} times out of {confused[truth].sum()}"
    if wrong.max()
    else "it confuses nothing"
)
share = np.diag(confused) / np.maximum(confused.sum(axis=1), 1)
plots.show(
    figure,
    f"Confusion matrix of {n_kinds} kinds, what it is by what the network says; {commonest}.",
)

# %% tags=["remove-cell"]
recognises = (
    f"Of all kinds it recognises “{kinds[share.argmax()]}” most often "
    f"({share.max():.2f} of them) and “{kinds[share.argmin()]}” least "
    f"({share.min():.2f}); {commonest}."
    if share.min() < share.max()
    else f"It recognises every kind equally often ({share.min():.2f}); "
    f"{commonest}."
)
quote(recognises=recognises)

# %% [markdown]
# {glue:text}`cnn-recognises`
#
# ### What the filters look like
#
# The kernels of the first layer are $3 \times 3 \times 3$, so they can be shown as tiny pictures (each
# stretched to the full range of colours; grey is about 0).

# %% tags=["hide-input"]
encoder = network.layers[0]
kernels = encoder.get_layer("convolution_1").get_weights()[0]
figure, axes = plt.subplots(2, 8, figsize=(6.4, 1.8), layout="constrained")
for axis, kernel in zip(axes.flat, np.moveaxis(kernels, 3, 0), strict=True):
    axis.imshow(0.5 + kernel / (2 * np.abs(kernel).max()))
    axis.axis("off")
plots.show(
    figure,
    "The sixteen kernels of the first layer, each as three by three coloured pixels, patchworks of "
    "colours in which few show an edge or a colour that a person could name.",
)

# %% tags=["remove-cell"]
keras.utils.set_random_seed(seed)
drawn = convolutional().layers[0].get_layer("convolution_1").get_weights()[0]
quote(
    moved=f"{100 * np.linalg.norm(kernels - drawn) / np.linalg.norm(drawn):.0f}"
)

# %% [markdown]
# Textbooks show neat edges here. Ours still look much like the random numbers they were drawn as: training
# has moved them by {glue:text}`cnn-moved` % of their length. Random kernels already tell light from dark
# and red from blue, in sixteen ways, and it pays more to change the layers behind. What kernels *make of*
# a picture says more. Each row below is a layer, each small picture one of its
# channels (the six that vary most), bright where the channel answers strongly. The first layer keeps
# outlines and colours in place; the third is coarse, and answers to parts.

# %% tags=["hide-input"]
names = [f"convolution_{number}" for number in (1, 2, 3)]
inside = keras.Model(
    encoder.inputs, [encoder.get_layer(name).output for name in names]
)
example = test[0]
maps = inside.predict(pictures[[example]], verbose=0)
figure, axes = plt.subplots(3, 7, figsize=(6.8, 3.3), layout="constrained")
for line, channels, name in zip(axes, maps, names, strict=True):
    for axis in line:
        axis.axis("off")
    strongest = np.argsort(-channels[0].std(axis=(0, 1)))[:6]
    for axis, channel in zip(line[1:], strongest, strict=True):
        axis.imshow(channels[0, :, :, channel], cmap="viridis")
    line[0].text(
        0.5,
        0.5,
        name.replace("_", "\n")
        + f"\n{channels.shape[1]} × {channels.shape[2]}",
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
    f"A picture ({kinds[label[example]]}) and six feature maps of each of three convolutions, of "
    f"{PIXELS}, {PIXELS // 2} and {PIXELS // 4} pixels a side: outlines and colour areas in the first, "
    "coarser and sparser patterns in the third.",
)

# %% [markdown]
# ## How far one output sees
#
# An output of the third layer depends on a square of the picture only, its {term}`receptive field`. Layer
# $l$, with window $s_l$ and stride $r_l$, widens it by $s_l - 1$ steps of the layer before, and each of
# those steps is $r_1 \cdots r_{l-1}$ pixels wide {cite}`araujo2019`:
#
# $$
# f_l = f_{l-1} + (s_l - 1) \prod_{k<l} r_k, \qquad f_0 = 1 .
# $$ (cnn-receptive)

# %%
stack = [
    ("convolution 1", 3, 1),
    ("pooling 1", 2, 2),
    ("convolution 2", 3, 1),
    ("pooling 2", 2, 2),
    ("convolution 3", 3, 1),
    ("pooling 3", 2, 2),
]
layer_names, windows, strides = zip(*stack, strict=True)
field = receptive_field(windows, strides)
plots.table(
    pd.DataFrame(
        {
            "layer": layer_names,
            "window": windows,
            "stride": strides,
            "sees (pixels a side)": field.size,
            "neighbours' fields lie apart by": field.jump,
        }
    )
)

# %% [markdown]
# Do not believe the formula; look. The gradient of one output with respect to the picture is zero where
# the output does not look. Here it is for the output in the middle of the last pooling, its length
# averaged over pictures, beside the formula's square:

# %% tags=["hide-input"]
last = keras.Model(encoder.input, encoder.get_layer("pooling_3").output)
middle = last.output.shape[1] // 2
reached = np.zeros((PIXELS, PIXELS))
for channel in range(4):
    x = tf.constant(pictures[train[:64]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(last(x)[:, middle, middle, 16 * channel :][..., :16])
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
central = (
    reached[
        begin + field.size[-1] // 4 : end - field.size[-1] // 4,
        begin + field.size[-1] // 4 : end - field.size[-1] // 4,
    ].sum()
    / reached.sum()
)
plots.show(
    figure,
    "Heat map over the picture: the gradient of one output is zero outside of a square of "
    f"{field.size[-1]} pixels a side, which the formula predicts, and larger towards its middle.",
)

# %% tags=["remove-cell"]
inner = field.size[-1] - 2 * (field.size[-1] // 4)
quote(
    field=field.size[-1],
    reached=where[-1] - where[0] + 1,
    central=100 * central,
    central_area=100 * inner**2 / field.size[-1] ** 2,
    article_field=receptive_field([3, 2], [1, 2]).size[-1],
)

# %% [markdown]
# The gradient reaches {glue:text}`cnn-reached` pixels a side; the formula says {glue:text}`cnn-field`.
# Within it not all pixels count alike: the inner square, {glue:text}`cnn-central-area:.0f` % of the
# area, holds {glue:text}`cnn-central:.0f` % of the gradient, because more paths lead through the middle
# {cite}`luo2016`. An output of the article's single convolution with its pooling sees
# {glue:text}`cnn-article-field` pixels a side, and everything larger is left to the dense layer behind.
#
# ## What shifts when the picture shifts
#
# Move the picture by as many pixels as the stride, or a multiple, and the output of a convolution moves
# along, unchanged: this is its {term}`equivariance`. By {eq}`eq-convolution`, with $X'_{i,j,c} = X_{i-rt,\,j,\,c}$,
# we have $Y'_{p,q,d} = Y_{p-t,\,q,\,d}$ away from the border. And for shifts in between? We move
# pictures to the right by one to four pixels, and look how far the output is from the *best* shifted copy
# of the old output (0 is equal, in units of the output's own size):

# %%
x = pictures[train[:32]].astype(float)
K, b = encoder.get_layer("convolution_1").get_weights()


def convolve(stride):
    return lambda x: conv2d(2 * x - 1, K, b, stride, "same", "relu")


maps = {
    "convolution, stride 1": convolve(1),
    "convolution, stride 2": convolve(2),
    "convolution, then pooling 2": lambda x: max_pool(convolve(1)(x), 2),
}
moved = pd.DataFrame(index=list(maps), columns=range(1, 5), dtype=float)
for name, function in maps.items():
    before = function(x)
    for shift in moved:
        after = function(np.roll(x, shift, axis=2))
        far = [
            np.linalg.norm((after - np.roll(before, t, axis=2))[:, :, 6:-2])
            for t in range(5)
        ]
        moved.loc[name, shift] = min(far) / np.linalg.norm(before[:, :, 6:-2])
plots.table(moved.round(3).rename(columns="shift by {} px".format), index=True)

# %% [markdown]
# What the *network* makes of it is another question, because flattening ends the equivariance: the
# dense layer behind has weights for each place. So we move the held-out pictures to the right, with
# the left border mirrored where nothing comes in, and ask both networks again. What leaves the picture on
# the right is lost, so some loss is fair.

# %% tags=["hide-input"]
shifts = [0, 1, 2, 4, 8, 12, 16]
robust = pd.DataFrame(index=shifts, dtype=float)
for name in ("convolutional", "dense layers only"):
    for shift in shifts:
        shifted = np.pad(
            pictures[test],
            ((0, 0), (0, 0), (shift, 0), (0, 0)),
            mode="reflect",
        )[:, :, :PIXELS]
        said = trained[name, seed][0].predict(shifted, verbose=0)
        robust.loc[shift, name] = (said.argmax(axis=1) == label[test]).mean()

figure, axis = plt.subplots(figsize=(5.4, 3.2), layout="constrained")
for name, marker in zip(robust, "os", strict=True):
    axis.plot(robust.index, robust[name], marker=marker, label=name)
axis.axhline(majority, color="0.5", linestyle=":", label="most frequent kind")
axis.set(
    xlabel="shift to the right (pixels)",
    ylabel="held-out accuracy",
    ylim=(0, 1.02),
)
axis.legend()
plots.show(
    figure,
    "Held-out accuracy of both networks against the shift of the pictures, from 0 to 16 pixels, with "
    "the most frequent kind as a dotted line: "
    + "; ".join(
        f"{name} from {robust[name].iloc[0]:.2f} to {robust[name].iloc[-1]:.2f}"
        for name in robust
    )
    + ".",
)

# %% tags=["remove-cell"]
quote(
    shift_one=f"{robust.loc[4, 'convolutional']:.3f}",
    shift_far=f"{robust.loc[16, 'convolutional']:.3f}",
    shift_dense=f"{robust.loc[4, 'dense layers only']:.3f}",
    shift_dense_far=f"{robust.loc[16, 'dense layers only']:.3f}",
    exact="exactly 0"
    if moved.loc["convolution, stride 1"].max() < 1e-12
    else "not 0",
    half=f"{moved.loc['convolution, stride 2', 1]:.2f}",
    softens="softens it without undoing it"
    if moved.loc["convolution, then pooling 2", 1]
    < moved.loc["convolution, stride 2", 1]
    else "does not soften it",
    pooled=f"{moved.loc['convolution, then pooling 2', 1]:.2f}",
)

# %% [markdown]
# With stride 1 the difference is {glue:text}`cnn-exact`. With stride 2 an odd shift falls between two
# windows ({glue:text}`cnn-half` for one pixel), and after pooling
# it is {glue:text}`cnn-pooled`: the maximum {glue:text}`cnn-softens`. The trained network has
# {glue:text}`cnn-accuracy` at no shift, {glue:text}`cnn-shift-one` at 4 pixels and
# {glue:text}`cnn-shift-far` at 16; the dense layers {glue:text}`cnn-dense-accuracy`,
# {glue:text}`cnn-shift-dense` and {glue:text}`cnn-shift-dense-far`. Convolutions make a network *shift
# along*; to make it *not care*, something must throw the place away (exercise 7).
#
# ## Features: similar products
#
# The article asks a CNN for two things (row [A4](#claim-a4)): classes, and *features*. The features are
# the 64 numbers before the softmax. If they are worth anything, pictures of the same kind lie close
# together, also pictures that the network was not trained on. Each held-out picture is a query; we take
# the five training pictures whose vectors point most nearly in the same direction (cosine), and count
# how many are of the query's kind.

# %%
untrained = image_encoder(PIXELS, PIXELS, units=64)
vectors = {
    "trained encoder": encoder.predict(pictures, verbose=0),
    "untrained encoder": untrained.predict(pictures, verbose=0),
    "raw pixels": 1 - pictures.reshape(len(pictures), -1),  # white is 0
}
nearest, same_kind = {}, {}
for name, vector in vectors.items():
    search = NearestNeighbors(n_neighbors=5, metric="cosine")
    found = search.fit(vector[train]).kneighbors(
        vector[test], return_distance=False
    )
    nearest[name] = train[found]  # (n_test, 5)
    same_kind[name] = label[nearest[name]] == label[test][:, None]
chance = (np.bincount(label[train]) / len(train))[label[test]].mean()
plots.table(
    pd.DataFrame(
        {
            "vectors": [*same_kind, "five at random"],
            "numbers": [
                *(vector.shape[1] for vector in vectors.values()),
                0,
            ],
            "of the same kind, among the nearest 5": [
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
    layout="constrained",
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
    "Rows of pictures: on the left, framed, a held-out picture; beside it the five training pictures "
    "with the most similar features, each with its kind.",
)

# %% tags=["remove-cell"]
quote(
    near=f"{same_kind['trained encoder'].mean():.2f}",
    near_pixels=f"{same_kind['raw pixels'].mean():.2f}",
    near_untrained=f"{same_kind['untrained encoder'].mean():.2f}",
    near_chance=f"{chance:.2f}",
    near_verdict=compared(
        same_kind["trained encoder"].mean(axis=1),
        same_kind["raw pixels"].mean(axis=1),
        "raw pixels",
    ),
)

# %% [markdown]
# {glue:text}`cnn-near` of the neighbours are of the same kind; by raw pixels it is
# {glue:text}`cnn-near-pixels`, by an encoder with random weights {glue:text}`cnn-near-untrained`, by
# chance {glue:text}`cnn-near-chance`. In this the trained encoder {glue:text}`cnn-near-verdict`. Note
# what was learnt, though: to tell *kinds*. Whether two shirts please the same people is a question that
# these labels never asked; in {doc}`07_recommend` the shoppers teach the encoder.
#
# ## Does ReLU keep gradients from vanishing?
#
# The article says that ReLU is cheap and avoids vanishing gradients in the CNN (row [T2](#claim-t2)). By
# {eq}`eq-backward` the gradient on its way down is multiplied, once for each layer,
#
# $$
# \frac{\partial \mathcal L}{\partial h^{(l-1)}} =
# \Bigl(\frac{\partial \mathcal L}{\partial h^{(l)}} \odot \sigma'\bigl(a^{(l)}\bigr)\Bigr)
# \,W^{(l)\mathsf T},
# $$ (cnn-vanishing)
#
# by $\sigma'$ **and** by $W$. For the sigmoid $\sigma' \le 1/4$, for tanh $\sigma' \le 1$, and both fall
# towards 0 where units saturate; for ReLU $\sigma'$ is 1 or 0. Whether the product shrinks is decided by
# both factors: that is why initialisation is chosen to fit the activation. With $W$ drawn from a normal
# distribution of standard deviation $\omega$, we compare three rules:
#
# | rule | standard deviation $\omega$ | meant for |
# |---|---|---|
# | small normal | 0.01 | what AlexNet used {cite}`krizhevsky2012` |
# | Glorot | $\sqrt{2 / (d_{l-1} + d_l)}$ | tanh {cite}`glorot2010` |
# | He | $\sqrt{2 / d_{l-1}}$ | ReLU {cite}`he2015` |
#
# ($d_{l-1}$ and $d_l$ count the weights that enter and leave one unit; for a convolution, $s^2C$ and
# $s^2D$. AlexNet's units had thousands of inputs, for which 0.01 is about right; ours have 64 and 144.
# A fixed number cannot fit both: that is the point of the other two rules.) What we measure is how much of the gradient at the last hidden layer arrives at the first:
#
# $$
# \rho = \bigl\lVert \partial \mathcal L / \partial h^{(1)} \bigr\rVert \,\big/\,
#   \bigl\lVert \partial \mathcal L / \partial h^{(\text{last})} \bigr\rVert .
# $$ (cnn-rho)
#
# We say that it *vanishes* when $\rho < 1/1000$, and *explodes* when $\rho > 1000$. First in NumPy: dense
# layers of 64 units over real pictures of 16 × 16, five random starts each.

# %%
RULES = {
    "small normal": lambda d_in, d_out: 0.01,
    "Glorot": lambda d_in, d_out: np.sqrt(2 / (d_in + d_out)),
    "He": lambda d_in, d_out: np.sqrt(2 / d_in),
}
SIGMAS = ["relu", "tanh", "sigmoid"]


def start(depth, rule, generator, entries=768, width=64):
    """Weights and biases of `depth` hidden layers and the last one."""
    sizes = [entries, *[width] * depth, n_kinds]
    return [
        (
            generator.normal(0, rule(d_in, d_out), (d_in, d_out)),
            np.zeros(d_out),
        )
        for d_in, d_out in pairwise(sizes)
    ]


def slopes_by_layer(x, truth, layers, activation):
    """∂L/∂h of every hidden layer, (∂L/∂W, ∂L/∂b) of every layer, L."""
    states = [x]
    for W, b in layers[:-1]:
        states.append(dense(states[-1], W, b, activation))
    delta = softmax(dense(states[-1], *layers[-1]))
    batch = np.arange(len(x))
    loss = -np.log(delta[batch, truth] + 1e-300).mean()
    delta[batch, truth] -= 1
    delta, *last = dense_backward(delta / len(x), states[-1], layers[-1][0])
    by_state, by_weight = [delta], [last]
    for depth in range(len(layers) - 2, -1, -1):
        delta, *found = dense_backward(
            delta,
            states[depth],
            layers[depth][0],
            states[depth + 1],
            activation,
        )
        by_state.insert(0, delta)
        by_weight.insert(0, found)
    return by_state[1:], by_weight, loss  # [0] is by the picture itself


def left_over(by_state):
    """ρ: what arrives at the first hidden layer of the last one's."""
    return np.linalg.norm(by_state[0]) / np.linalg.norm(by_state[-1])


def dense_rho(x, truth, depth, activation, rule, number):
    """ρ of a stack of dense layers."""
    generator = np.random.default_rng([seed, number])
    layers = start(depth, RULES[rule], generator)
    return left_over(slopes_by_layer(x, truth, layers, activation)[0])


some = train[:64]
x = tiny[some].reshape(len(some), -1)
x = (x - x.mean()) / x.std()
with threadpool_limits(1):  # for small products one thread is fastest
    found = [
        (
            activation,
            rule,
            depth,
            dense_rho(x, label[some], depth, activation, rule, number),
        )
        for activation in SIGMAS
        for rule in RULES
        for depth in [2, 3, 5, 10, 15, 20, 30]
        for number in range(5)
    ]
names = ["σ", "rule", "depth", "ρ"]
numpy_rho = pd.DataFrame(found, columns=names)


# %% [markdown]
# Then the same question to a stack of Keras's convolutions, $3 \times 3$ with 16 filters, on the real
# pictures of 16 × 16 (in float64, since float32 ends at 10⁻⁴⁵).


# %%
def conv_rho(x, truth, depth, activation, rule, number):
    """ρ of a stack of convolutions."""
    outputs = []
    with tf.GradientTape() as tape:
        h = tf.constant(x)
        for layer in range(depth):
            channels = h.shape[-1]
            h = keras.layers.Conv2D(
                16,
                3,
                padding="same",
                activation=activation,
                dtype="float64",
                kernel_initializer=keras.initializers.RandomNormal(
                    stddev=float(RULES[rule](9 * channels, 9 * 16)),
                    seed=1000 * number + layer,
                ),
            )(h)
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


some = train[:16]
standard = (tiny[some] - tiny[some].mean()) / tiny[some].std()
found = [
    (
        activation,
        rule,
        depth,
        conv_rho(standard, label[some], depth, activation, rule, seed),
    )
    for activation in SIGMAS
    for rule in RULES
    for depth in [2, 5, 10, 30]
]
keras_rho = pd.DataFrame(found, columns=names)

# %% tags=["hide-input"]
figure, axes = plt.subplots(
    2, 3, figsize=(6.8, 5), sharex=True, sharey=True, layout="constrained"
)
for line, (what, table) in zip(
    axes,
    {
        "dense layers, NumPy": numpy_rho,
        "convolutions, Keras": keras_rho,
    }.items(),
    strict=True,
):
    for axis, rule in zip(line, RULES, strict=True):
        for activation, marker in zip(SIGMAS, "osv", strict=True):
            part = table[
                (table["σ"] == activation) & (table["rule"] == rule)
            ].groupby("depth")["ρ"]
            middle = part.median()
            axis.plot(
                middle.index, middle, marker=marker, ms=4, label=activation
            )
            axis.fill_between(middle.index, part.min(), part.max(), alpha=0.2)
        axis.axhline(1e-3, color="0.4", linestyle=":", linewidth=1)
        axis.set(yscale="log", title=rule, ylim=(1e-24, 1e6))
    line[0].set_ylabel(f"{what}\nρ (share of gradient)", fontsize=9)
for axis in axes[1]:
    axis.set_xlabel("hidden layers")
for axis in axes[0]:
    axis.set_xlabel("")
axes[0, 0].legend(fontsize=8)
final = numpy_rho[numpy_rho["depth"] == numpy_rho["depth"].max()]
final = final.pivot_table("ρ", "σ", "rule", aggfunc="median")
plots.show(
    figure,
    "Six panels of ρ against depth on a logarithmic axis, dense layers above and convolutions below, "
    "for small normal, Glorot and He starts; curves for ReLU, tanh and sigmoid, and a dotted line at "
    f"a thousandth. At {numpy_rho['depth'].max()} dense layers: "
    + "; ".join(
        f"{activation} {rule} {final.loc[activation, rule]:.0e}"
        for activation in SIGMAS
        for rule in RULES
    )
    + ".",
)


# %% tags=["hide-input"]
def verdicts(table):
    """ρ at the largest depth, its factor a layer, where it vanishes."""
    middle = table.pivot_table("ρ", ["σ", "rule"], "depth", aggfunc="median")
    deepest = middle.columns[-1]

    def first(line):
        beyond = line[(line < 1e-3) | (line > 1e3)]
        if beyond.empty:
            return "survives"
        word = "vanishes" if beyond.iloc[0] < 1 else "explodes"
        return f"{word} by {beyond.index[0]} layers"

    return pd.DataFrame(
        {
            f"ρ at {deepest} layers": middle[deepest],
            "factor a layer": middle[deepest] ** (1 / (deepest - 1)),
            "verdict": middle.apply(first, axis=1),
        }
    ).reindex(pd.MultiIndex.from_product([SIGMAS, RULES], names=["σ", "rule"]))


in_numpy, in_keras = verdicts(numpy_rho), verdicts(keras_rho)
both = pd.concat(
    {"dense, NumPy": in_numpy, "convolution, Keras": in_keras}, axis=1
)
both.columns = [f"{what}: {column}" for what, column in both.columns]
plots.table(both.reset_index(), digits=2)

# %% [markdown]
# A gradient is a means. Does the network *learn*? Ten hidden layers of 64 units, plain gradient
# descent, batches of 64, 150 steps; each pair of activation and rule takes the best of three learning
# rates by its final training loss.

# %%
LEARNERS = 10
everything = tiny[train].reshape(len(train), -1)
scale = everything.mean(), everything.std()
everything = (everything - scale[0]) / scale[1]
unseen = (tiny[test].reshape(len(test), -1) - scale[0]) / scale[1]


def descend(activation, rule, rate, steps=150):
    """Final training loss (mean of 20 steps) and held-out accuracy."""
    generator = np.random.default_rng(seed)
    layers = start(LEARNERS, RULES[rule], generator)
    losses = []
    for _ in range(steps):
        batch = generator.choice(len(train), min(64, len(train)), False)
        _, slopes, loss = slopes_by_layer(
            everything[batch], label[train][batch], layers, activation
        )
        layers = [
            (W - rate * dW, b - rate * db)
            for (W, b), (dW, db) in zip(layers, slopes, strict=True)
        ]
        losses.append(loss)
    h = unseen
    for W, b in layers[:-1]:
        h = dense(h, W, b, activation)
    said = dense(h, *layers[-1]).argmax(axis=1)
    return np.mean(losses[-20:]), (said == label[test]).mean(), rate


learnt = {}
# A rate that is too large overflows.
with np.errstate(all="ignore"), threadpool_limits(1):
    for activation in SIGMAS:
        for rule in RULES:
            runs = [
                descend(activation, rule, rate) for rate in (0.01, 0.1, 1.0)
            ]
            learnt[activation, rule] = min(
                runs, key=lambda run: np.nan_to_num(run[0], nan=np.inf)
            )
learnt = pd.DataFrame.from_dict(
    learnt,
    orient="index",
    columns=["training loss (nats)", "held-out accuracy", "rate"],
)
learnt.index = pd.MultiIndex.from_tuples(learnt.index, names=["σ", "rule"])
guessing = np.bincount(label[train]) / len(train)
blind = -(guessing * np.log(guessing)).sum()  # what knowing nothing costs
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
        f"ReLU's gradient survives with {listed(relu_lives)}"
        if relu_lives
        else "ReLU's gradient survives under no rule"
    )
    + (
        f" and vanishes with {listed(relu_dies)}"
        if relu_dies
        else " and vanishes under none"
    )
]
for name, lives in others_live.items():
    sentences.append(
        f"{name}'s survives with {listed(lives)}"
        if lives
        else f"{name}'s survives under no rule"
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
    t2_best="{} with {}".format(
        *learnt["training loss (nats)"].astype(float).idxmin()
    ),
    t2_relu_small=f"{in_numpy.iloc[:, 0]['relu', 'small normal']:.0e}",
    t2_relu_he=f"{in_numpy.iloc[:, 0]['relu', 'He']:.2g}",
    t2_tanh_glorot=f"{in_numpy.iloc[:, 0]['tanh', 'Glorot']:.2g}",
    t2_sigmoid_best=f"{in_numpy.iloc[:, 0]['sigmoid'].max():.0e}",
    t2_blind=f"{blind:.2f}",
    t2_deepest=numpy_rho["depth"].max(),
    t2_relu_factor=f"{in_numpy['factor a layer']['relu', 'Glorot']:.2f}",
)

# %% [markdown]
# At {glue:text}`cnn-t2-deepest` dense layers, of the gradient that reaches the last hidden layer the first
# one receives {glue:text}`cnn-t2-relu-he` times as much with ReLU and He's rule,
# {glue:text}`cnn-t2-tanh-glorot` with tanh and Glorot's, {glue:text}`cnn-t2-relu-small` with ReLU and
# small weights, and at best {glue:text}`cnn-t2-sigmoid-best` with the sigmoid. Over both stacks:
# {glue:text}`cnn-t2-sentence`. With Glorot's rule ReLU loses a factor of
# {glue:text}`cnn-t2-relu-factor` a layer: theory says $\sqrt{1/2} \approx 0.71$, since half of its units
# are off, and He's rule is Glorot's times $\sqrt 2$ to make up for it.
#
# Knowing only how frequent the kinds are costs {glue:text}`cnn-t2-blind` nats. Below 95 % of that, so
# learning something within 150 steps, came: {glue:text}`cnn-t2-learners`. The lowest loss had
# {glue:text}`cnn-t2-best`.
#
# **The article's sentence is {glue:text}`cnn-t2-verdict`.** It is $W$ and $\sigma'$ together that decide.
# (Today's deep networks add normalisation and shortcuts, which keep the product near 1 by other means
# {cite}`he2016resnet`; the article has neither.)
#
# ### Is it cheap?
#
# A million numbers through each activation and back, and a whole training step of the article's
# convolution (a batch of 32 pictures of 32 × 32) with each, timed in turns; medians:

# %%
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
for turn in range(21):
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
dearest = step.drop("relu").idxmax()
gain = 100 * (1 - step["relu"] / step[dearest])
ratio = alone.drop("relu") / alone["relu"]


def times_as_dear(name):
    return (
        f"{name} costs {ratio[name]:.1f} times as much as ReLU"
        if ratio[name] > 1.1
        else f"{name} costs no more than ReLU ({ratio[name]:.1f} times)"
    )


cheap = (ratio > 1.1).all()
matters = gain > 10
quote(
    cost_alone="; ".join(times_as_dear(name) for name in ratio.index),
    cost_step=f"{gain:.0f} % less than with {dearest}"
    if gain > 0
    else f"{-gain:.0f} % more than with {dearest}",
    cost_verdict=("cheaper by itself" if cheap else "not cheaper by itself")
    + (
        ", and it shows in a whole training step"
        if matters
        else ", and hardly noticeable in a whole training step"
        if cheap
        else ""
    ),
)

# %% [markdown]
# By itself, forwards and back, {glue:text}`cnn-cost-alone`. In a whole training step, where the
# convolution's products take their time too, ReLU takes {glue:text}`cnn-cost-step`. So on this machine it
# is {glue:text}`cnn-cost-verdict`.
#
# ## What the article says, and what we measured

# %% tags=["remove-cell"]
used = plots.resources(started)
quote(
    seconds=f"{used['seconds']:.0f}",
    memory=f"{used['peak_mb'] / 1000:.1f}",
    cores=int(used["cores"]),
)

# %% [markdown]
# | row | the article | here |
# |---|---|---|
# | [E2](#claim-e2) | $h^{(l)} = \sigma(W^{(l)} h^{(l-1)} + b^{(l)})$ is the equation of a CNN | it is the dense layer; a convolution is the same equation with a $W$ that is zero but for {glue:text}`cnn-nonzero-share:.2f` % and repeats {glue:text}`cnn-shared-weights:,d` numbers. NumPy and Keras differ by at most {glue:text}`cnn-equal-32` in float32 and {glue:text}`cnn-equal-64` in float64, gradients included. Pooling is not a case of it |
# | [A4](#claim-a4) | a CNN extracts features and classifies | {glue:text}`cnn-accuracy` of {glue:text}`cnn-n-test:d` held-out pictures of {glue:text}`cnn-dataset` ({glue:text}`cnn-n-kinds` kinds; most frequent {glue:text}`cnn-majority`, dense layers of that size {glue:text}`cnn-dense-lowest` to {glue:text}`cnn-dense-highest` over {glue:text}`cnn-dense-starts` starts); {glue:text}`cnn-near` of the five nearest by its features are of the same kind, {glue:text}`cnn-near-pixels` by pixels |
# | [T2](#claim-t2) | ReLU is cheap and avoids vanishing gradients | {glue:text}`cnn-t2-verdict`. Cost: {glue:text}`cnn-cost-verdict` |
# | [S1](#claim-s1) | 8 GB of memory and a 2 GHz processor suffice | this page took {glue:text}`cnn-seconds` seconds on {glue:text}`cnn-cores` cores and {glue:text}`cnn-memory` GB |
#
# ## Exercises
#
# **1.** In one dimension let $x = (1, 2, 0, 3)$ and the kernel $(1, -1)$, stride 1, no padding, no
# bias. Compute the output, then write the $W$ of {eq}`eq-toeplitz` and check.
#
# ```{dropdown} Solution
# Windows $(1,2)$, $(2,0)$, $(0,3)$ give $(1-2,\; 2-0,\; 0-3) = (-1, 2, -3)$. One column an output:
#
# $$
# W = \begin{pmatrix} 1 & 0 & 0\\ -1 & 1 & 0\\ 0 & -1 & 1\\ 0 & 0 & -1 \end{pmatrix},
# \qquad xW = (1-2,\; 2-0,\; 0-3).
# $$
#
# Every diagonal is constant: Toeplitz. Twelve places, but only two weights to learn. The cell below
# has the library write the same $W$.
# ```

# %% tags=["hide-cell"]
W = convolution_matrix(np.array([1, -1]).reshape(1, 2, 1, 1), 1, 4)
print(W, np.array([1, 2, 0, 3]) @ W, sep="\n")

# %% [markdown]
# **2.** An image has 32×32 pixels and 3 channels. How many parameters has the article's convolution
# (32 kernels of 3×3)? How many would a dense layer with as many outputs have?
#
# ```{dropdown} Solution
# $32 \cdot (3 \cdot 3 \cdot 3 + 1) = 896$. The output has $30 \cdot 30 \cdot 32 = 28\,800$ entries, the
# input $32 \cdot 32 \cdot 3 = 3\,072$; the dense layer has
# $3\,072 \cdot 28\,800 + 28\,800 = 88\,502\,400$.
# ```
#
# **3.** Convolution 3×3, pooling 2×2 with stride 2, and the same two again, all without padding: how
# many pixels on a side can one output see, its {term}`receptive field`?
#
# ```{dropdown} Solution
# A layer with window $s$ adds $(s-1)$ times the product of the strides before it. 1, then
# $1 + 2 \cdot 1 = 3$, then $3 + 1 \cdot 1 = 4$, then $4 + 2 \cdot 2 = 8$, then $8 + 1 \cdot 2 = 10$.
# The cell below asks the library.
# ```

# %% tags=["hide-cell"]
receptive_field(windows=[3, 2, 3, 2], strides=[1, 2, 1, 2])

# %% [markdown]
# **4.** A layer with kernel $(1, -1)$ and stride 1 has received the gradient
# $\partial \mathcal L/\partial Y = (1, 1, 1)$ for its input $(1, 2, 0, 3)$. Compute
# $\partial \mathcal L/\partial K$ and $\partial \mathcal L/\partial X$ by {eq}`cnn-backward`. Why are the
# inner entries of the latter zero?
#
# ```{dropdown} Solution
# $P$ has the rows $(1,2), (2,0), (0,3)$, so $P^{\mathsf T}\delta = (1+2+0,\; 2+0+3) = (3, 5)$. Each row of
# $\delta K^{\mathsf T}$ is $(1, -1)$; added back at places 0–1, 1–2 and 2–3 they give
# $(1,\; -1+1,\; -1+1,\; -1) = (1, 0, 0, -1)$. An inner entry is once the left and once the right of a
# window; the two effects cancel. The cell below checks both.
# ```

# %% tags=["hide-cell"]
by_x, by_kernel, _ = conv2d_backward(
    np.ones((1, 1, 3, 1)),
    np.array([1.0, 2, 0, 3]).reshape(1, 1, 4, 1),
    np.array([1.0, -1]).reshape(1, 2, 1, 1),
)
print("∂L/∂K =", by_kernel.ravel(), " ∂L/∂X =", by_x.ravel())

# %% [markdown]
# **5.** The sigmoid's slope is at most 1/4. Would weights four times as large as Glorot's save its
# gradient? Guess first, then use `slopes_by_layer` with 30 layers.

# %% tags=["hide-cell"]
RULES["4 × Glorot"] = lambda d_in, d_out: 4 * RULES["Glorot"](d_in, d_out)
x = everything[:128]
lines = []
for rule in ("Glorot", "4 × Glorot"):
    layers = start(30, RULES[rule], np.random.default_rng(seed))
    by_state, _, _ = slopes_by_layer(x, label[train[:128]], layers, "sigmoid")
    h, slope = x, []
    for W, b in layers[:-1]:
        h = dense(h, W, b, "sigmoid")
        slope.append((h * (1 - h)).mean())
    lines.append(
        {
            "rule": rule,
            "ρ": left_over(by_state),
            "mean slope σ′": np.mean(slope),
        }
    )
rescued = pd.DataFrame(lines)
rho = rescued["ρ"].iloc[1]
quote(
    rescue_before=f"{rescued['ρ'].iloc[0]:.0e}",
    rescue_after=f"{rho:.2g}",
    rescue_slope=f"{rescued['mean slope σ′'].iloc[1]:.2f}",
    rescue="it still vanishes"
    if rho < 1e-3
    else "it explodes"
    if rho > 1e3
    else "it survives",
)
plots.table(rescued)

# %% [markdown]
# ```{dropdown} Solution
# With Glorot's rule {glue:text}`cnn-rescue-before` of the gradient is left after 30 layers, with four
# times the weights {glue:text}`cnn-rescue-after`: {glue:text}`cnn-rescue`. Larger weights make larger
# $a$, and there the slope is smaller than 1/4: {glue:text}`cnn-rescue-slope` on average. Besides, the
# sigmoid's outputs are all positive, around 1/2, so that each layer hands on an offset that the larger
# weights enlarge. Tanh is a sigmoid stretched and moved to mean zero: it hands on no offset, and where
# $a$ is small its slope is 1.
# ```
#
# **6.** Shuffle the pixels of all pictures by *one* fixed random order, and train both networks again, on
# pictures of 32 × 32. Which of the two suffers, and why must the other not?

# %% tags=["hide-cell"]
half = pictures.reshape(-1, 32, PIXELS // 32, 32, PIXELS // 32, 3)
half = half.mean(axis=(2, 4))
order = np.random.default_rng(seed).permutation(32 * 32)
scrambled = half.reshape(-1, 32 * 32, 3)[:, order].reshape(half.shape)


def small_convolutional():
    return keras.Sequential(
        [
            image_encoder(32, 32, units=64),
            keras.layers.Dense(n_kinds, activation="softmax"),
        ]
    )


def small_dense():
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(2, -1),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(n_kinds, activation="softmax"),
        ]
    )


order_matters = pd.DataFrame(
    {
        name: {
            what: learn(build, x, seed, 5)[1]["val_accuracy"][-1]
            for what, x in [("as they are", half), ("shuffled", scrambled)]
        }
        for name, build in [
            ("convolutional", small_convolutional),
            ("dense", small_dense),
        ]
    }
)
quote(
    order_cnn=f"{order_matters.loc['as they are', 'convolutional']:.3f}",
    order_cnn_shuffled=f"{order_matters.loc['shuffled', 'convolutional']:.3f}",
    order_dense=f"{order_matters.loc['as they are', 'dense']:.3f}",
    order_dense_shuffled=f"{order_matters.loc['shuffled', 'dense']:.3f}",
)
plots.table(order_matters, index=True)

# %% [markdown]
# ```{dropdown} Solution
# After five epochs the convolutional network has {glue:text}`cnn-order-cnn` on the pictures as they are and
# {glue:text}`cnn-order-cnn-shuffled` on shuffled ones; the dense one {glue:text}`cnn-order-dense` and
# {glue:text}`cnn-order-dense-shuffled`. A dense layer sums over all pixels, and a sum does not mind the
# order: to every $W$ for the pictures there is one with its rows shuffled that says the same of the
# shuffled ones, and a random start is as probable either way. What is left is the chance of another start.
# A convolution assumes that neighbours belong together; shuffling makes that assumption wrong. It is the
# inductive bias, measured.
# ```
#
# **7.** Replace `Flatten` in the encoder by the *mean over all places* (`GlobalAveragePooling2D`). How
# many parameters are left, and what happens when held-out pictures are shifted by 4 of 32 pixels?

# %% tags=["hide-cell"]


def placeless():
    flat = image_encoder(32, 32, units=64)
    x = keras.layers.GlobalAveragePooling2D()(
        flat.get_layer("pooling_3").output
    )
    x = keras.layers.Dense(64, activation="relu")(x)
    return keras.Model(
        flat.inputs, keras.layers.Dense(n_kinds, activation="softmax")(x)
    )


shifted = np.pad(half[test], ((0, 0), (0, 0), (4, 0), (0, 0)), mode="reflect")[
    :, :, :32
]
lines = {}
for name, build in [("flatten", small_convolutional), ("mean", placeless)]:
    model, _, _ = learn(build, half, seed, 10)
    lines[name] = {
        "parameters": f"{model.count_params():,}",
        **{
            what: (
                model.predict(x, verbose=0).argmax(axis=1) == label[test]
            ).mean()
            for what, x in [("in place", half[test]), ("shifted", shifted)]
        },
    }
places = pd.DataFrame.from_dict(lines, orient="index")
lost = places["in place"] - places["shifted"]
quote(
    flat_parameters=places.loc["flatten", "parameters"],
    mean_parameters=places.loc["mean", "parameters"],
    place_verdict="loses less than the flattened one"
    if lost["mean"] < lost["flatten"]
    else "loses no less than the flattened one",
    **{
        f"{name}_{what.replace(' ', '_')}": f"{places.loc[name, what]:.3f}"
        for name in places.index
        for what in ("in place", "shifted")
    },
)
plots.table(places, index=True)

# %% [markdown]
# ```{dropdown} Solution
# {glue:text}`cnn-mean-parameters` parameters instead of {glue:text}`cnn-flat-parameters`. Flattened, the
# accuracy goes from {glue:text}`cnn-flatten-in-place` to {glue:text}`cnn-flatten-shifted` when the
# pictures move; with the mean, from {glue:text}`cnn-mean-in-place` to {glue:text}`cnn-mean-shifted`: the
# network that averages {glue:text}`cnn-place-verdict`. In theory a mean over places does not change when
# the maps move. In practice they change: at the borders, where something leaves and the padding is, and
# because two poolings before the last map let only shifts by 8 pixels through whole, and 4 pixels are half
# a step. The mean also throws away what the place *tells*, and learns more slowly; in a shop's pictures
# products stand in the middle, upright, and that is worth something.
# ```
