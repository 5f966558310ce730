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

# %%

# %% [markdown]
# # Smaller and faster
#
# **You will be able to**
#
# - say where the bytes of a saved recommender are, before you compress anything;
# - quantise numbers to 8 bits by a scale and a zero point, and bound the error;
# - code vectors by product quantisation, and shorten them by a singular value decomposition;
# - prune a network and train it on, and write the loss of distillation;
# - measure size, memory and time on saved files in a fresh process.
#
# ## The result first
#
# The article asks for models that are compressed and faster ([F1](#claim-f1)). The picture shows a fitted
# two-tower recommender as it is saved. The weights of its network are {glue:text}`smaller-network-share` of
# the bytes. The rest are interactions, vectors and names. Saved with 8-bit integers, and without what
# serving does not need, the same recommender is {glue:text}`smaller-times` times smaller.
# {glue:text}`smaller-overlap` of the items in its lists of ten are those of the original.

# %% tags=["parameters"]
profile = "quick"  # "full" trains until validation stops it
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import tempfile
import time
from functools import partial
from pathlib import Path

from mmtutorial import plots  # first: it quiets TensorFlow

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from threadpoolctl import threadpool_limits

from mmtutorial.evaluation import cold_items, evaluate
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.recommenders import Compressed, Recommender, TwoTower
from mmtutorial.recommenders.codes import (
    from_product_codes,
    product_codes,
    quantise,
    restored,
)
from mmtutorial.recommenders.two_tower.export import as_litert, run_litert
from mmtutorial.recommenders.two_tower.smaller import prune, sparsity
from mmtutorial.reproduce.compression import costs_by_arm
from mmtutorial.reproduce.evidence import committed, evidence, in_words
from mmtutorial.reproduce.notebooks import opened, quote
from mmtutorial.reproduce.serving import served
from mmtutorial.reproduce.settings import has_ready_made, tower_options

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
threadpool_limits(1)
quote = partial(quote, "smaller")
colours = sns.color_palette("colorblind")
started = time.perf_counter()

# %% tags=["hide-input", "remove-output"]
data, split, stand_in, notes = opened(
    dataset,
    seed,
    lambda each: each.present().any(axis=0).any() or each.features,
)
content, _ = ready_features(data, ~cold_items(split))
options = tower_options(has_ready_made(data), profile)
tower = TwoTower(seed=seed, **options)
tower.fit(split.train, content, split.validation)
place = tempfile.TemporaryDirectory()
folder = tower.save(Path(place.name, "tower"))


def size(folder):
    """Return the bytes of all files in a folder."""
    files = Path(folder).rglob("*")
    return sum(each.stat().st_size for each in files if each.is_file())


with np.load(folder / "arrays.npz") as arrays:
    sizes = {name: arrays[name].nbytes for name in arrays.files}


def bytes_of(*starts):
    return sum(sizes[name] for name in sizes if name.startswith(starts))


parts = {
    "training interactions": bytes_of("train/log"),
    "users' vectors $q_u$": bytes_of("learnt/q"),
    "items' vectors $v_i, h_i$": sizes["learnt/v"] + sizes["learnt/h"],
    "item tower (network)": (folder / "item_tower.keras").stat().st_size,
    "ids and titles": bytes_of("train/users", "train/items", "train/titles"),
}
whole = size(folder)
parts["rest"] = whole - sum(parts.values())
everybody = np.arange(data.n_users)
before = tower.recommend(everybody)


def overlap(lists):
    """Return the mean share of a list that is in the original's list too."""
    same = (lists[:, :, None] == before[:, None, :]).any(axis=2)
    return same[before[:, 0] >= 0].mean()


int8 = Compressed.of(tower, "int8")
small = size(int8.save(Path(place.name, "int8")))

# %% tags=["hide-input"]
for note in notes:
    display(Markdown(note))
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
names = list(parts)[::-1]
axis.barh(names, [parts[name] / 1000 for name in names], color=colours[0])
axis.barh(["all of it, compressed"], [small / 1000], color=colours[1])
axis.set(xlabel="kB on disk")
plots.show(
    figure,
    "Bars: the bytes of each part of a saved two-tower recommender, the training "
    "interactions the longest, and below them the bytes of the whole recommender "
    "after compression, shorter than the longest of the parts.",
)

# %% tags=["remove-cell"]
quote(
    dataset=data.name,
    stand_in=stand_in,
    n_items=f"{data.n_items:,}",
    n_users=f"{data.n_users:,}",
    network_share=f"{parts['item tower (network)'] / whole:.0%}",
    log_share=f"{parts['training interactions'] / whole:.0%}",
    vectors_share=f"{(parts[names[-2]] + parts[names[-3]]) / whole:.0%}",
    whole=f"{whole / 1000:,.0f}",
    small=f"{small / 1000:,.0f}",
    times=f"{whole / small:.1f}",
    overlap=f"{overlap(int8.recommend(everybody)):.1%}",
    parameters=f"{tower.parameters:,}",
)

# %% [markdown]
# Data set {glue:text}`smaller-dataset`, {glue:text}`smaller-n-users` users and {glue:text}`smaller-n-items`
# items. The folder has {glue:text}`smaller-whole` kB. The training interactions take
# {glue:text}`smaller-log-share` of it, the vectors of users and items {glue:text}`smaller-vectors-share`.
#
# ## The idea in words
#
# Compression has three steps. First, **leave out** what serving does not need. The users' vectors follow from
# their histories and the items' vectors (equation {eq}`eq-user-tower`), so they need not be stored. The times
# of the interactions are needed in training only. The network is needed only for items that are new.
# Second, **write shorter**: a vector in 8 bits a number, or in codes of some bits for several numbers. Third,
# **learn smaller**: fewer weights, fewer dimensions, or a small network that a large one teaches.
#
# The first step loses nothing. The other two lose something, and the loss has to be measured in the lists,
# not in the numbers.
#
# ## Quantisation
#
# {term}`Quantisation <quantisation>` writes a real number $x$ as a whole number $c$, with a *scale* $s$ and a
# *zero point* $z$ {cite}`jacob2018`:
#
# $$
# c = \operatorname{round}\Bigl(\frac{x}{s}\Bigr) + z, \qquad
# \hat x = s\,(c - z), \qquad
# s = \frac{\max x - \min x}{2^b - 2} .
# $$ (eq-affine)
#
# | symbol | what it is | shape |
# |---|---|---|
# | $x, \hat x$ | one vector of an item, before and after | $d$ |
# | $c$ | its codes of $b$ bits | $d$ |
# | $s$ | scale, one a vector | positive number |
# | $z$ | zero point, one a vector: the code of 0 | a code |
# | $b$ | bits a code | 8 |
#
# The minimum and the maximum are taken over the vector and 0, so 0 is exact. Rounding changes a number by at
# most one half, so
#
# $$
# \lvert \hat x - x \rvert \le \frac{s}{2} .
# $$ (eq-affine-bound)
#
# The denominator is $2^b - 2$, not $2^b - 1$: one level stays spare for the rounding of $z$, and the
# bound has no exception. In NumPy, for the items' vectors, and by the library:

# %%
v = tower.item_vectors()  # (n_items, d)
low = np.minimum(v.min(axis=1, keepdims=True), 0)
high = np.maximum(v.max(axis=1, keepdims=True), 0)
s = ((high - low) / (2**8 - 2)).astype(np.float32)
z = np.round(-low / s)
c = np.round(v / s) + z
v_hat = s * (c - z)
library = quantise(v)
assert (library.codes == c).all() and (library.zero == z).all()
assert (restored(library) == v_hat).all()
error = np.abs(v_hat - v)
print(f"largest error / (s / 2): {(error / (s / 2)).max():.4f}")
assert (error <= s / 2 * 1.001).all()

# %% [markdown]
# Keras quantises the layers of a network by `quantize("int8")`. It is symmetric, $z = 0$, with one scale for
# each column of a matrix, $s = \max \lvert W \rvert / 127$. In NumPy and by Keras:

# %%
layer = keras.layers.Dense(5)
layer.build((None, 7))
W = np.asarray(layer.kernel)  # (7, 5)
by_column = np.abs(W).max(axis=0) / 127
codes = np.round(W / by_column)
layer.quantize("int8")
inside = np.asarray(layer._kernel)
print(f"largest difference: {np.abs(inside - codes).max():.0f} of 127")
assert np.abs(inside - codes).max() <= 1  # one where x / s ends in a half

# %% [markdown]
# The whole item tower, quantised by Keras and by LiteRT (formerly TensorFlow Lite). LiteRT's *dynamic range*
# quantisation stores weights in 8 bits, and quantises what flows through the network while it runs. We write the
# file by Keras's `export(format="litert")`: the older `TFLiteConverter.from_keras_model` fails on Keras 3.15 networks
# under TensorFlow 2.21.

# %% tags=["hide-input", "remove-stderr"]
import warnings

present = np.column_stack([each.any(axis=1) for each in content.values()])
inputs = {**content, "present": present.astype(np.float32)}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of layers without weights
    loaded = Recommender.load(folder).tower
    loaded.quantize("int8")
    loaded.save(Path(place.name, "int8.keras"))
keras_v = np.asarray(loaded(inputs)[0])
litert = as_litert(tower.tower)
encode = run_litert(litert, list(content))
some = {name: each[:100] for name, each in content.items()}


def milliseconds(request, count=20):
    """Return the median processor time of a request."""
    seconds = []
    for _ in range(count):
        begun = time.process_time()
        request()
        seconds.append(time.process_time() - begun)
    return 1000 * np.median(seconds)


single = {name: each[:1] for name, each in content.items()}
one_input = {name: each[:1] for name, each in inputs.items()}
content_v = tower.item_vectors(content)
scale = np.abs(content_v).max()
rows = {
    "Keras, float32": (
        parts["item tower (network)"],
        0.0,
        milliseconds(lambda: tower.tower(one_input)),
    ),
    "Keras, int8": (
        Path(place.name, "int8.keras").stat().st_size,
        np.abs(keras_v - content_v).max() / scale,
        milliseconds(lambda: loaded(one_input)),
    ),
    "LiteRT, int8": (
        len(litert),
        np.abs(encode(some) - content_v[:100]).max() / scale,
        milliseconds(lambda: encode(single)),
    ),
}
towers_table = pd.DataFrame(
    {
        "kB": [f"{each[0] / 1000:,.0f}" for each in rows.values()],
        "largest error": [f"{each[1]:.2%}" for each in rows.values()],
        "ms a new item": [f"{each[2]:.3g}" for each in rows.values()],
    },
    index=list(rows),
)
quote(
    keras_kb=towers_table.loc["Keras, int8", "kB"],
    litert_kb=towers_table.loc["LiteRT, int8", "kB"],
    litert_faster=f"{rows['Keras, float32'][2] / rows['LiteRT, int8'][2]:,.0f}",
)
plots.table(towers_table, index=True)

# %% [markdown]
# Errors are in percent of the largest number of any vector, times are processor time. Keras's file has
# {glue:text}`smaller-keras-kb` kB, since Keras quantises `Dense` layers only, and the fusion is a layer of our own.
# LiteRT's file has {glue:text}`smaller-litert-kb` kB. For one item alone it is
# {glue:text}`smaller-litert-faster` times as fast as the Keras network. Most of that is not the 8 bits: it is
# Python's work around each layer, which LiteRT does not do.
#
# ## Product quantisation
#
# {term}`Product quantisation` {cite}`jegou2011` cuts a vector into $m$ parts and replaces each part by the nearest
# of $k$ *centres*, which k-means has learnt:
#
# $$
# c_p = \arg\min_{l} \bigl\lVert x^{(p)} - \mu^{(p)}_l \bigr\rVert, \qquad
# \hat x = \bigl[\mu^{(1)}_{c_1}, \dots, \mu^{(m)}_{c_m}\bigr] .
# $$ (eq-product)
#
# | symbol | what it is | shape |
# |---|---|---|
# | $x^{(p)}$ | part $p$ of a vector | $d / m$ |
# | $\mu^{(p)}_l$ | centre $l$ of part $p$ | $d / m$ |
# | $c_p$ | code of the part, from 0 to $k - 1$ | $\log_2 k$ bits |
#
# We take two numbers a part and $k = 16$: 4 bits for two numbers. The centres have to be stored too. With
# the usual $k = 256$ they would take more bytes than the vectors of a small catalogue. In NumPy, with the
# library's centres, and by faiss {cite}`johnson2021` where it is installed:

# %%
coded = product_codes(v, seed)
centres = coded["centres"].astype(np.float32)  # (m, 16, 2)
cut = v.reshape(len(v), -1, 2)  # (n_items, m, 2)
distance = np.square(cut[:, :, None] - centres).sum(axis=3)  # (n_items, m, 16)
nearest = distance.argmin(axis=2)  # (n_items, m)
by_hand = centres[np.arange(len(centres)), nearest].reshape(v.shape)
by_library = from_product_codes(coded)
differ = (by_hand != by_library).any(axis=1).mean()
print(f"items with another code: {differ:.1%} (centres were rounded)")
lost = np.square(by_library - v).mean() / np.square(v).mean()
print(f"share of squared length lost, ours: {lost:.3f}")
try:
    import faiss

    quantiser = faiss.ProductQuantizer(v.shape[1], v.shape[1] // 2, 4)
    quantiser.train(v)
    theirs = quantiser.decode(quantiser.compute_codes(v))
    lost = np.square(theirs - v).mean() / np.square(v).mean()
    print(f"share of squared length lost, faiss: {lost:.3f}")
except ModuleNotFoundError:
    print("faiss is not installed: pip install 'mmtutorial[retrieval]'")

# %% [markdown]
# The extreme is one bit a number: its sign, with the mean size of the vector's numbers.
#
# ## Fewer dimensions
#
# A score needs the part of $q_u$ that lies in the space of the items' vectors. Let $V = U \Sigma R^{\mathsf T}$ be
# the singular value decomposition of all $v_i$ ($n_{\text{items}} \times d$). The first $r$ columns of $R$ span the
# $r$ directions that keep most of $V$ {cite}`eckart1936`. With $R_r$ ($d \times r$),
#
# $$
# q_u \cdot v_i \approx (R_r^{\mathsf T} q_u) \cdot (R_r^{\mathsf T} v_i) .
# $$ (eq-fewer)
#
# This is *structured* pruning: whole columns go, so that matrices are really smaller.

# %%
_, sigma, right = np.linalg.svd(v, full_matrices=False)
kept = np.cumsum(sigma**2) / (sigma**2).sum()
basis = right[:16].T  # (d, 16)
q = tower.user_vectors([[0, 1], [2]])  # of two histories
exact, fewer = q @ v.T, (q @ basis) @ (v @ basis).T
print(f"squared length in 16 of {len(sigma)} directions: {kept[15]:.1%}")
print(
    f"correlation of scores: {np.corrcoef(exact.ravel(), fewer.ravel())[0, 1]:.4f}"
)

# %% [markdown]
# ## Pruning
#
# {term}`Magnitude pruning <pruning>` sets the smallest weights to zero, and the others learn on, with the zeros held
# {cite}`han2015`. We prune 80 % of the item tower's weights, without and with
# training on:

# %%
shares = {"original": (sparsity(tower), evaluate(tower, split))}
steps = {
    "without training": 1,
    "with training": 100 if profile == "quick" else 500,
}
for name, count in steps.items():
    rate = 1e-9 if count == 1 else tower.learning_rate
    pruned = prune(
        tower,
        0.8,
        split.train,
        content,
        split.validation,
        steps=count,
        learning_rate=rate,
    )
    shares[name] = (sparsity(pruned), evaluate(pruned, split))

# %% tags=["hide-input"]
reference = shares["original"][1].per_user["ndcg"].mean()
pruned_ndcg = {
    name: each[1].per_user["ndcg"].mean() / reference - 1
    for name, each in shares.items()
}
quote(
    pruned_without=f"{pruned_ndcg['without training']:+.1%}",
    pruned_with=f"{pruned_ndcg['with training']:+.1%}",
)
plots.table(
    pd.DataFrame(
        {
            "weights that are 0": [
                f"{each[0]:.0%}" for each in shares.values()
            ],
            "NDCG@10": [
                f"{each[1].per_user['ndcg'].mean():.4f}"
                for each in shares.values()
            ],
            "change": [f"{each:+.1%}" for each in pruned_ndcg.values()],
        },
        index=list(shares),
    ),
    index=True,
)

# %% [markdown]
# Pruning alone changes NDCG@10 by {glue:text}`smaller-pruned-without`; with training on, by
# {glue:text}`smaller-pruned-with`. The file is as large as before: a zero takes as many bytes as another number,
# and a matrix product takes as long. Zeros pay only in a format, and on a processor, that skip them.
#
# ## Distillation
#
# In {term}`distillation <knowledge distillation>` {cite}`hinton2015` a small network, the *student*, learns from the
# choices and from the probabilities of the *teacher*. With the temperature $T$,
#
# $$
# p_u = \operatorname{softmax}\Bigl(\frac{\hat y^{\text{teacher}}_u}{T}\Bigr), \qquad
# p'_u = \operatorname{softmax}\Bigl(\frac{\hat y^{\text{student}}_u}{T}\Bigr),
# $$ (eq-distillation-soft)
#
# $$
# \mathcal L_w = (1 - w)\, \mathcal L + w\, T^2\, \frac{1}{B} \sum_{u}
# \sum_i p_{ui} \ln \frac{p_{ui}}{p'_{ui}} .
# $$ (eq-distillation)
#
# | symbol | what it is | shape |
# |---|---|---|
# | $p_u, p'_u$ | probabilities of teacher and student over the items not taken | $n_{\text{items}}$ |
# | $T$ | temperature: a larger one shows more of the smaller probabilities | > 0 |
# | $w$ | weight of the teacher | 0–1 |
# | $\mathcal L$ | the loss of the choices, {eq}`eq-full-softmax` | |
# | $B$ | users in a batch | integer ≥ 1 |
#
# The factor $T^2$ keeps the size of the gradient: the softmax divides it by $T$ twice. The second term in NumPy
# and by Keras, with the scores of the original as teacher and of its 16 dimensions as student:

# %%
few = Compressed.of(tower, "float32", dimensions=16)
users = everybody[:50]
T = 2.0


def softmax(y):
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


p, p_student = (
    softmax(each.score(users).astype(np.float64) / T) for each in (tower, few)
)
ours = T**2 * (p * np.log(p / p_student)).sum(axis=1).mean()
theirs = T**2 * float(keras.losses.KLDivergence()(p, p_student))
print(f"NumPy {ours:.6f}, Keras {theirs:.6f}")
np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)

# %% [markdown]
# `distil` of `mmtutorial.recommenders.two_tower.smaller` trains such a student. Its result is in the evidence below.
#
# ## All ways, on saved files
#
# Each way is saved, opened again, and measured on the test part:

# %% tags=["hide-input"]
WAYS = {
    "float32": {"codes": "float32"},
    "float16": {"codes": "float16"},
    "int8": {"codes": "int8"},
    "int8, 32 dim.": {"codes": "int8", "dimensions": min(32, v.shape[1])},
    "int8, 16 dim.": {"codes": "int8", "dimensions": min(16, v.shape[1])},
    "product codes": {"codes": "product"},
    "signs": {"codes": "signs"},
}
live = {"original": (whole, 1.0, reference)}
for name, how in WAYS.items():
    saved = Compressed.of(tower, **how).save(Path(place.name, name))
    again = Recommender.load(saved)
    ndcg = evaluate(again, split).per_user["ndcg"].mean()
    live[name] = (size(saved), overlap(again.recommend(everybody)), ndcg)
table = pd.DataFrame(live, index=["bytes", "overlap", "ndcg"]).T
plots.table(
    pd.DataFrame(
        {
            "kB": (table["bytes"] / 1000).map("{:,.0f}".format),
            "times smaller": (whole / table["bytes"]).map("{:.1f}".format),
            "same items": table["overlap"].map("{:.1%}".format),
            "NDCG@10": table["ndcg"].map("{:.4f}".format),
        }
    ),
    index=True,
)


# %% tags=["hide-input"]
def pareto(points, labels, y_label, alt):
    """Draw quality against size; a line joins what nothing beats in both."""
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    x, y = points[:, 0] / 1000, points[:, 1]
    order = np.argsort(x)
    best = [
        i for i in order if y[i] >= y[order][: list(order).index(i) + 1].max()
    ]
    axis.plot(x[best], y[best], color="0.6", zorder=1)
    for place, name in enumerate(labels):
        marker = "osD^vP*XphH8"[place % 12]
        colour = colours[place % len(colours)]
        axis.scatter(
            x[place],
            y[place],
            s=70,
            color=colour,
            marker=marker,
            label=name,
            zorder=2,
        )
    axis.set(xlabel="kB on disk (logarithmic)", ylabel=y_label, xscale="log")
    ticks = [10.0**power * step for power in range(7) for step in (1, 2, 5)]
    ticks = [each for each in ticks if x.min() * 0.9 < each < x.max() * 1.1]
    axis.set_xticks(ticks, [f"{each:,.0f}" for each in ticks])
    axis.minorticks_off()
    axis.legend(loc="lower right", fontsize="small")
    return plots.show(figure, alt) if alt else figure


pareto(
    table[["bytes", "ndcg"]].to_numpy(),
    list(table.index),
    "NDCG@10",
    "Points: NDCG@10 against kilobytes on disk for each way of saving. A line joins "
    "those that no other way beats in both; signs have the fewest bytes and the "
    "lowest NDCG.",
)

# %% [markdown]
# The line joins the ways that no other way beats in both. The float32 file loses nothing: it only leaves out what
# serving does not need.
#
# ## Time and memory
#
# Compression promises speed as well. A fresh process on one thread loads each folder and answers requests for a
# list, one user at a time:

# %% tags=["hide-input"]
costs = pd.DataFrame(
    {
        name: served(each, content)
        for name, each in (("original", tower), ("int8", int8))
    }
).T
faster = costs["user_ms"]["original"] / costs["user_ms"]["int8"]
quote(
    faster=f"{faster:.1f}",
    memory_times=f"{costs['serving_memory']['original'] / costs['serving_memory']['int8']:.1f}",
    start_original=f"{costs['start_seconds']['original']:.2g}",
    start_int8=f"{costs['start_seconds']['int8']:.1g}",
)
plots.table(
    pd.DataFrame(
        {
            "ms a list": costs["user_ms"].map("{:.3f}".format),
            "seconds to the first list": costs["start_seconds"].map(
                "{:.2g}".format
            ),
            "memory, MB": (costs["serving_memory"] / 1e6).map(
                "{:,.0f}".format
            ),
        }
    ),
    index=True,
)

# %% [markdown]
# A list takes {glue:text}`smaller-faster` times less time, and the process
# {glue:text}`smaller-memory-times` times less memory. The first list is there after
# {glue:text}`smaller-start-int8` s instead of {glue:text}`smaller-start-original` s. None of this comes from the
# 8 bits. NumPy has no fast product of 8-bit integers, so the vectors are float32 again in memory. The time goes
# down because histories are marked without a sparse matrix. The memory goes down because TensorFlow is not
# loaded. On a small catalogue the product of vectors is the smallest part of a request.
#
# ## The evidence
#
# The same, measured with five seeds, with trained-on and taught towers too. Gains are those over the
# uncompressed tower, on the same users and seeds:

# %% tags=["hide-input"]
found = evidence(dataset, "compression", against="uncompressed")
told = (
    "So far nothing is known but what this page has computed, with one seed."
)
if found:
    arms = costs_by_arm(committed().costs, dataset)
    gains = found.table.set_index("recommender")
    original = arms.loc["uncompressed"]
    arms = arms.loc[[name for name in gains.index if name in arms.index]]
    gains = gains.loc[arms.index]
    display(
        found.shown(
            pd.DataFrame(
                {
                    "times smaller": (original["bytes"] / arms["bytes"]).map(
                        "{:.1f}".format
                    ),
                    "times faster": (
                        original["user_ms"] / arms["user_ms"]
                    ).map("{:.1f}".format),
                    "memory, MB": (arms["serving_memory"] / 1e6).map(
                        "{:,.0f}".format
                    ),
                    "ms a new item": arms["item_ms"].map(
                        lambda each: (
                            f"{each:.3g}" if np.isfinite(each) else "–"
                        )
                    ),
                    "NDCG@10": [
                        in_words(each) for each in gains.to_dict("records")
                    ],
                },
                index=arms.index,
            ).rename_axis(index=None)
        )
    )
    pareto(
        np.column_stack([arms["bytes"], 100 * gains["relative_gain"]]),
        list(arms.index),
        "NDCG@10, change (%)",
        "Points: the change of NDCG@10 against kilobytes on disk, for each way of "
        "saving, as the table above has it.",
    )
    enough = arms.index[
        (original["bytes"] / arms["bytes"] >= 8)
        & (original["user_ms"] / arms["user_ms"] >= 2)
        & (gains["relative_low"] > -0.01)
    ]
    told = (
        f"{', '.join(enough) or 'No way'} passes all three bars of [F1](#claim-f1): 8 times "
        "smaller, 2 times faster, and an interval above −1 %."
    )
else:
    display(found)
Markdown(told)

# %% tags=["remove-cell"]
used = plots.resources(started)
quote(
    minutes=f"{used['seconds'] / 60:.1f}",
    memory=f"{used['peak_mb'] / 1000:.1f}",
    cores=int(used["cores"]),
)

# %% [markdown]
# ## What the article claims, and what we measured
#
# | row | the article | here |
# |---|---|---|
# | [F1](#claim-f1) | models should be compressed and made faster | live, one seed: int8 is {glue:text}`smaller-times` times smaller and {glue:text}`smaller-faster` times faster, and {glue:text}`smaller-overlap` of its lists are the original's. The verdict needs seeds: the evidence above |
#
# The article names the model as what should be compressed. Here most bytes are not in the model.
#
# ## Exercises
#
# **1.** A catalogue has a million items, with $v_i$ and $h_i$ of 64 numbers. How many bytes do they take as
# float32, as int8 with a scale and a zero point a vector, and by product codes of 4 bits for two numbers?
#
# ```{dropdown} Solution
# float32 takes 4 bytes a number. int8 takes one byte a number, 4 for the scale and 1 for the zero point. Product
# codes take half a byte for two numbers. Their centres do not grow with the catalogue.
# ```

# %% tags=["hide-cell"]
n, d = 1_000_000, 64
centres_size = 2 * (d // 2) * 16 * 2 * 2  # v and h, float16
print(f"float32        {2 * n * 4 * d / 1e6:6.1f} MB")
print(f"int8           {2 * n * (d + 5) / 1e6:6.1f} MB")
print(f"product codes  {(2 * n * d // 4 + centres_size) / 1e6:6.1f} MB")

# %% [markdown]
# **2.** (Run it.) *Mixed dimensions* {cite}`ginart2021` give popular items more dimensions than others. Turn the
# vectors by {eq}`eq-fewer`, keep all dimensions for the most popular quarter of the items and 8 for the others. How
# many of the numbers are left, and what happens to the lists?
#
# ```{dropdown} Solution
# After the rotation the first columns hold most of the squared length, so the others can be set to 0 for rare items.
# The cell below has the share of the numbers that are left, and the overlap of the lists.
# ```

# %% tags=["hide-cell"]
popularity = np.asarray(split.train.matrix.sum(axis=0)).ravel()
rare = popularity < np.quantile(popularity, 0.75)
turned = v @ right.T
turned[rare, 8:] = 0
takers = [split.train.matrix[[user]].indices for user in everybody[:200]]
q = tower.user_vectors(takers)
scores = q @ right.T @ turned.T / tower.temperature + tower.item_biases
for row, items in enumerate(takers):
    scores[row, items] = -np.inf
mixed = np.argsort(-scores, axis=1, kind="stable")[:, :10]
same = (mixed[:, :, None] == before[:200, None, :]).any(axis=2).mean()
print(f"numbers left: {1 - rare.mean() * (1 - 8 / v.shape[1]):.0%}")
print(f"same items in the lists: {same:.1%}")

# %% [markdown]
# **3.** (Run it.) Remove the half of the hidden units of a dense network whose outgoing weights are smallest, once by
# zeros and once by smaller matrices. Are the results equal? Which of the two is smaller on disk?
#
# ```{dropdown} Solution
# A unit whose outgoing weights are 0 adds nothing, so both give the same. Only smaller matrices take fewer bytes. This
# is why structured pruning, of whole units, columns or dimensions, saves what magnitude pruning does not.
# ```

# %% tags=["hide-cell"]
generator = np.random.default_rng(seed)
x, A, B = (
    generator.normal(size=shape) for shape in ((5, 20), (20, 16), (16, 4))
)
weak = np.argsort(np.linalg.norm(B, axis=1))[:8]
zeros = B.copy()
zeros[weak] = 0
left = np.setdiff1d(np.arange(16), weak)
by_zeros = np.maximum(x @ A, 0) @ zeros
by_size = np.maximum(x @ A[:, left], 0) @ B[left]
print(f"equal: {np.allclose(by_zeros, by_size)}")
print(
    f"bytes: {A.nbytes + zeros.nbytes} and {A[:, left].nbytes + B[left].nbytes}"
)
place.cleanup()

# %% [markdown]
# ## References
#
# Quantisation for integer arithmetic {cite}`jacob2018`; pruning {cite}`han2015`; distillation {cite}`hinton2015`;
# product quantisation {cite}`jegou2011`, and a library for it {cite}`johnson2021`; the best approximation of low rank
# {cite}`eckart1936`; mixed dimensions {cite}`ginart2021`.
#
# *This page took {glue:text}`smaller-minutes` minutes on {glue:text}`smaller-cores` cores, and at most
# {glue:text}`smaller-memory` GB of memory.*
