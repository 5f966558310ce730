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
# # Fusion
#
# **You will be able to**
#
# - combine the vectors of text, image and audio in five ways, in NumPy and in Keras;
# - say which of them let one modality change what another means;
# - leave out what is missing, and train for it;
# - align two modalities by a contrastive loss.
#
# What fusion *gains* is in the next chapter, {doc}`06b_fusion_measured`.
#
# ## The result first
#
# Let the picture of an item be $+1$ or $-1$, and its sound $+1$ or $-1$. Half of 400 simulated users want items
# where both are equal, the other half items where they differ. The page trains three recommenders on these users.
# Only the fusion of picture and sound differs:

# %% tags=["parameters"]
profile = "quick"  # no difference here
dataset = "shop"  # nor here: this page makes its own items
seed = 0

# %% tags=["hide-input"]
import inspect
import time
from functools import partial

from mmtutorial import plots  # first: it quiets TensorFlow

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mmtutorial.fusion import (
    FUSIONS,
    contrastive_loss,
    drop_modalities,
    make_fusion,
)
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import TwoTower
from mmtutorial.reproduce import notebooks

plots.use_style()
quote = partial(notebooks.quote, "layers")
started = time.perf_counter()

# %% tags=["hide-input", "remove-output"]
generator = np.random.default_rng(seed)
signs = generator.choice([-1.0, 1.0], size=(80, 2)).astype(np.float32)
wants = generator.choice([-1, 1], size=400)
right = wants[:, None] == signs.prod(axis=1)  # (400 users, 80 items)
liking = 4 * right + generator.gumbel(size=right.shape)
chosen = np.argsort(-liking, axis=1)[:, :8]
by_sign = Interactions.of(
    pd.DataFrame(
        {
            "user": np.repeat([f"u{user:03d}" for user in range(400)], 8),
            "item": [f"i{item:02d}" for item in chosen.ravel()],
        }
    ),
    items=[f"i{item:02d}" for item in range(80)],
)
wanted = {}
for fusion in ("late", "concatenation", "low-rank"):
    pair_tower = TwoTower(
        fusion=fusion,
        steps=160,
        batch_size=128,
        depth=1,  # the signs need no reading
        seed=seed,
    )
    pair_tower.fit(by_sign, {"image": signs[:, :1], "audio": signs[:, 1:]})
    lists = pair_tower.recommend(np.arange(400), k=10)
    wanted[fusion] = np.take_along_axis(right, lists, axis=1).mean()
quote(
    guess=f"{right.mean():.0%}",
    **{name.replace("-", "_"): f"{hits:.0%}" for name, hits in wanted.items()},
)

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 2.2))
axis.barh(
    [
        "late: adds a score for each",
        "concatenation: dense layer",
        "low-rank: multiplies",
    ],
    [100 * hits for hits in wanted.values()],
)
axis.axvline(100 * right.mean(), color="0.3", linestyle=":")
axis.set(xlim=(0, 100), xlabel="recommended items that the user wants (%)")
axis.invert_yaxis()
plots.show(
    figure,
    alt="Three horizontal bars: the share of recommended items that users "
    "want, for late fusion, concatenation and low-rank fusion, with a dotted "
    "line where guessing is.",
)

# %% [markdown]
# Guessing finds {glue:text}`layers-guess` (dotted line). Late fusion, which adds one score for the picture and one for
# the sound, reaches {glue:text}`layers-late`, concatenation {glue:text}`layers-concatenation`, a product
# {glue:text}`layers-low-rank`. Exercise 1 proves that no sum can solve this task.
#
# ## The idea in words
#
# {term}`Fusion` turns several vectors into one, and lets one modality change what another means. A user loves kettles
# that whistle low. The photograph shows a kettle. The recording has a low whistle. Only both together say that this
# is *the* kettle. A sum of a score for the picture and a score for the sound also ranks high every kettle that
# shrieks, and every radio that whistles low. And fusion must work where a modality is missing.
#
# ## Five items
#
# An item has a vector $z_m \in \mathbb{R}^{d_m}$ for each of $n_m$ modalities $m$, and a {term}`mask`
# $p_m \in \{0, 1\}$: 1 where the item has $m$. A fusion $f$ turns all $z_m$ and $p_m$ into one vector of $d$ entries.
# Each row of `p` is the mask of one item. The last item has nothing.

# %%
n, d, sizes = 5, 6, (3, 4, 2)  # items; entries of f; d_text, d_image, d_audio
p = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]])  # (n, 3)
z = [generator.normal(size=(n, d_m)) for d_m in sizes]  # (n, d_m) each
known = [p[:, [m]] * z[m] for m in range(3)]  # p_m z_m: zeros where absent


# %% tags=["hide-input"]
def layer_of(name):
    """A Keras layer of the library with random weights, biases included."""
    layer = make_fusion(name, d)
    layer([np.zeros((1, d_m)) for d_m in sizes], np.ones((1, 3)))
    layer.set_weights(
        [generator.normal(size=each.shape) for each in layer.get_weights()]
    )
    return layer


def arrays(weights):
    """Keras's weights as NumPy arrays, one a modality."""
    return [np.asarray(each, dtype=np.float64) for each in weights]


keras_layers = {name: layer_of(name) for name in FUSIONS}
by_equation = {}

# %% [markdown]
# `keras_layers` has the library's Keras layer for each fusion, with random weights. Each equation below takes the
# weights of its layer.
#
# ## Concatenation
#
# The article's fusion is the simplest {term}`early fusion` {cite}`baltrusaitis2019`: a dense layer over all vectors
# end to end. Its weights are one block $W_m \in \mathbb{R}^{d_m \times d}$ for each modality, one above the other. So
# it is a sum over modalities. Where $m$ is absent, a learnt $c_m \in \mathbb{R}^d$ takes the place of $z_m W_m$. With a
# bias $b \in \mathbb{R}^d$,
#
# ```{math}
# :label: eq-concatenation
# f_{\text{concat}} = \operatorname{ReLU}\Bigl(
#   \sum_m \bigl(p_m\, z_m W_m + (1 - p_m)\, c_m\bigr) + b\Bigr) .
# ```

# %%
layer = keras_layers["concatenation"]
W, c, b = arrays(layer.weight), arrays(layer.absent), np.asarray(layer.shift)
total = b + sum(known[m] @ W[m] + (1 - p[:, [m]]) * c[m] for m in range(3))
by_equation["concatenation"] = np.maximum(total, 0)  # (n, d)

# %% [markdown]
# Before the ReLU it is a *sum*. Only the ReLU, and layers after it, let one modality change what another means. For
# items that have everything, it is two lines of Keras:

# %%
join = keras.layers.Concatenate()
dense = keras.layers.Dense(d, activation="relu")
complete = p.all(axis=1)
joined = join([z_m[complete] for z_m in z])  # (1, d_text + d_image + d_audio)
dense.build(joined.shape)
dense.set_weights([np.concatenate(W), b])
assert np.allclose(
    dense(joined), by_equation["concatenation"][complete], atol=1e-5
)

# %% [markdown]
# ## Late
#
# In {term}`late fusion` each modality has its own recommender with the score $\hat y_{ui}^{(m)}$ for user $u$ and item
# $i$. The scores are averaged with learnt weights $\lambda_m > 0$:
#
# ```{math}
# :label: eq-late
# \hat y_{ui} = \frac{\sum_m p_m\, \lambda_m\, \hat y_{ui}^{(m)}}{\sum_m p_m\, \lambda_m} .
# ```
#
# The division keeps items with one modality and with three on the same scale. Let the scores be dot products,
# $\hat y_{ui}^{(m)} = q_u^{(m)} \cdot z_m W_m$ with the user's $q_u^{(m)} \in \mathbb{R}^d$. Then the average is a dot
# product too, of vectors with one part for each modality. So late fusion can be a layer like the others, of length
# $n_m d$, if nothing afterwards mixes the parts. The cell compares both:

# %%
layer = keras_layers["late"]
W, lam = arrays(layer.weight), np.exp(np.asarray(layer.strength))
weight = p * lam  # (n, 3)
some = p.any(axis=1)
share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-30)
by_equation["late"] = np.hstack(
    [share[:, [m]] * (known[m] @ W[m]) for m in range(3)]
)  # (n, 3 d)

q = generator.normal(size=(4, 3, d))  # four users, a part a modality
scores = np.stack([q[:, m] @ (known[m] @ W[m]).T for m in range(3)], axis=2)
averaged = (weight * scores).sum(axis=2)[:, some] / weight.sum(axis=1)[some]
in_one = q.reshape(4, -1) @ by_equation["late"][some].T
np.testing.assert_allclose(in_one, averaged, rtol=1e-9)

# %% [markdown]
# ## Gated
#
# Each modality is first brought to $d$ entries, $\tilde z_m = \tanh(z_m W_m + b_m)$ with $b_m \in \mathbb{R}^d$. A
# {term}`gate` for each entry then lets more or less of it pass {cite}`arevalo2017`. The gates read $s$, all $p_m z_m$
# and all $p_m$ end to end. With $d_{\text{all}} = \sum_m d_m$, their weights are
# $G_m \in \mathbb{R}^{(d_{\text{all}} + n_m) \times d}$, their biases $a_m \in \mathbb{R}^d$:
#
# ```{math}
# :label: eq-gated
# f_{\text{gated}} = \sum_m p_m\, g_m \odot \tilde z_m, \qquad
# g_m = \operatorname{sigmoid}(s\, G_m + a_m) .
# ```

# %%
layer = keras_layers["gated"]
W, b_m = arrays(layer.weight), arrays(layer.shift)
G, a = arrays(layer.gate), arrays(layer.lean)
s = np.hstack([*known, p])  # (n, d_all + 3)
by_equation["gated"] = sum(
    p[:, [m]]
    / (1 + np.exp(-(s @ G[m] + a[m])))
    * np.tanh(known[m] @ W[m] + b_m[m])
    for m in range(3)
)

# %% [markdown]
# ## Attention
#
# {term}`Attention` ({doc}`02b_attention`) gives each modality one number: a softmax over the modalities that exist. A
# learnt $r \in \mathbb{R}^d$ is the only query, and the $\tilde z_m$ are keys and values:
#
# ```{math}
# :label: eq-attention
# f_{\text{att}} = \sum_m \alpha_m\, \tilde z_m, \qquad
# \alpha_m = \frac{p_m\, e^{\tilde z_m \cdot r / \sqrt d}}
#                 {\sum_{m'} p_{m'}\, e^{\tilde z_{m'} \cdot r / \sqrt d}} .
# ```

# %%
layer = keras_layers["attention"]
W, b_m, r = arrays(layer.weight), arrays(layer.shift), np.asarray(layer.query)
projected = np.stack(
    [np.tanh(known[m] @ W[m] + b_m[m]) for m in range(3)], axis=1
)  # (n, 3, d)
raised = p * np.exp(projected @ r / d**0.5)  # (n, 3)
alpha = raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-30)
by_equation["attention"] = (alpha[:, :, None] * projected).sum(axis=1)

# %% [markdown]
# ## Low-rank
#
# Bilinear fusion multiplies one entry of each vector. A 1 behind each vector keeps the shorter products too
# {cite}`zadeh2017`. All products would need $(d_{\text{text}}+1)(d_{\text{image}}+1)(d_{\text{audio}}+1)\, d$
# weights. A {term}`low-rank <low-rank bilinear fusion>` fusion {cite}`liu2018` needs $\rho$ matrices
# $M_{m\ell} \in \mathbb{R}^{(d_m+1) \times d}$ for each modality:
#
# ```{math}
# :label: eq-lowrank
# f_{\text{low}} = \sum_{\ell=1}^{\rho}\; \bigodot_m\; [\,p_m z_m,\, 1\,]\, M_{m\ell} .
# ```
#
# An absent modality leaves $[0, 1]$, and so the last row of $M_{m\ell}$: a learnt factor. A zero would delete the
# other modalities.

# %%
layer = keras_layers["low-rank"]
rho = layer.rank
factors = np.ones((n, rho, d))
for m in range(3):
    M = np.vstack([layer.factor[m], layer.last_row[m]])  # (d_m + 1, ρ d)
    lengthened = np.hstack([known[m], np.ones((n, 1))])  # (n, d_m + 1)
    factors *= (lengthened @ M).reshape(n, rho, d)
by_equation["low-rank"] = factors.sum(axis=1)

# %% [markdown]
# ## The same in Keras
#
# An item without any modality gets a learnt vector, "unknown", from all five layers of `mmtutorial.fusion`. With this
# last row filled in, each equation must give what its layer gives:

# %%
rows = []
for name, layer in keras_layers.items():
    f = by_equation[name].copy()
    f[~some] = np.asarray(layer.unknown)
    theirs = np.asarray(layer(z, p))
    difference = np.abs(f - theirs).max()
    assert difference < 1e-4, name
    rows.append((name, str(theirs.shape), f"{difference:.1e}"))
plots.table(
    pd.DataFrame(rows, columns=["fusion", "vectors out", "largest difference"])
)

# %% [markdown]
# The differences are rounding. The layers' code in Keras:

# %% tags=["hide-cell"]
for kind in FUSIONS.values():
    print(f"# {kind.__name__}\n{inspect.getsource(kind._fuse)}")

# %% [markdown]
# ### What is absent is never read
#
# Where $p_m = 0$, it must not matter what $z_m$ holds: zeros, a million, or NaN ("not a number"):

# %%
for layer in keras_layers.values():
    for absent in (0.0, 1e6, np.nan):
        filled = [np.where(p[:, [m]] > 0, z[m], absent) for m in range(3)]
        assert np.array_equal(layer(z, p), layer(filled, p))
multiplied = sum((p[:, [m]] * filled[m]) @ W[m] for m in range(3))
print("all five layers: no entry changes, whatever the gaps hold")
print(
    f"p times z: {np.isnan(multiplied).any(axis=1).sum()} of {n} items become NaN"
)

# %% [markdown]
# The last line is a warning: $0 \cdot \mathrm{NaN}$ is not 0. So the layers *choose* where the equations multiply by
# $p_m$. In a recommender a row of zeros means that the item lacks the modality, and `fit` refuses NaN.
#
# ## Learning to do without: modality dropout
#
# {term}`Modality dropout` {cite}`neverova2016` sets $p_m$ to 0 at random in training, but never the last one that an
# item has. So every layer learns what to do about absence.

# %%
before = np.repeat(p[:4], 5000, axis=0)  # four kinds of item, many of each
after = np.asarray(drop_modalities(before, rate=0.3, seed=seed))
assert (after <= before).all() and (after.sum(axis=1) >= 1).all()

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        after.reshape(4, 5000, 3).mean(axis=1),
        index=pd.Index([str(each.tolist()) for each in p[:4]], name="p"),
        columns=["text is left", "image is left", "audio is left"],
    ),
    index=True,
)

# %% [markdown]
# Cells are the share of draws in which a modality stays. An item's only modality always stays.
#
# ## Alignment
#
# {term}`Alignment <alignment>` brings the vectors of one item close together before they are fused.
# {term}`Contrastive learning` {cite}`radford2021` asks: which picture of the batch belongs to a text? Of $B$ items that
# have both, $\hat t_b$ and $\hat x_b$ in $\mathbb{R}^d$ are the vectors of text and image, projected and divided by
# their lengths. With a {term}`temperature` $\tau > 0$,
#
# ```{math}
# :label: eq-contrastive
# \mathcal L_{\text{text} \to \text{image}} = -\frac1B \sum_{b=1}^{B}
#   \ln \frac{e^{\hat t_b \cdot \hat x_b / \tau}}{\sum_{b'=1}^{B}
#       e^{\hat t_b \cdot \hat x_{b'} / \tau}} ,
# ```
#
# and the same from image to text. The loss rewards what two modalities *share*. What only one of them shows may be
# lost.

# %%
B, tau = 8, 0.1
t, x = generator.normal(size=(2, B, d)).astype(np.float32)
both = generator.random(B) < 0.7
t_hat, x_hat = (
    each[both] / np.linalg.norm(each[both], axis=1, keepdims=True)
    for each in (t, x)
)
e = np.exp(t_hat @ x_hat.T / tau)  # (B', B'): a row a text
there = -np.log(np.diag(e) / e.sum(axis=1)).mean()  # text to image
back = -np.log(np.diag(e) / e.sum(axis=0)).mean()  # image to text
theirs = float(contrastive_loss(t, x, both, tau))
print(f"from the equation {(there + back) / 2:.5f}, Keras {theirs:.5f}")
assert abs((there + back) / 2 - theirs) < 1e-4

# %% [markdown]
# ## What the five fusions cost
#
# The numbers of weights follow from the equations, the vector "unknown" included. With three modalities and all
# $d_m = d = 128$, as in the next chapter:


# %%
def n_weights(fusion, sizes, d, rho=4):
    n_m, d_all = len(sizes), sum(sizes)
    return {
        "concatenation": d_all * d + n_m * d + d + d,
        "late": d_all * d + n_m + n_m * d,
        "gated": d_all * d + n_m * d + n_m * ((d_all + n_m) * d + d) + d,
        "attention": d_all * d + n_m * d + d + d,
        "low-rank": rho * d * (d_all + n_m) + d,
    }[fusion]


# %% tags=["hide-input"]
rows = []
for name in FUSIONS:
    layer = make_fusion(name, 128)
    layer([np.zeros((1, 128))] * 3, np.ones((1, 3)))
    assert n_weights(name, [128] * 3, 128) == layer.count_params(), name
    rows.append((name, layer.units * layer.parts(3), layer.count_params()))
plots.table(pd.DataFrame(rows, columns=["fusion", "length of f", "weights"]))

# %% [markdown]
# Gated and low-rank fusion have several times as many weights as the others. Late fusion has a longer vector, and so
# another temperature in the recommender, $\sqrt{n_m d}/2$ instead of $\sqrt d / 2$. So it is a different recommender,
# not the same one without products.
#
# ## What the article claims, and what we measured
#
# | row | the article | here |
# |---|---|---|
# | [A1](#claim-a1) | all modalities flow into one representation | five layers do it; the article's code has concatenation only, and no mask |
# | [A6](#claim-a6) | one representation for users, one for content | $f$ is an item's; {doc}`07_recommend` makes a user's of it |
#
# ## Exercises
#
# **1.** A user wants picture and sound equal. Show that no sum $g(z_{\text{image}}) + h(z_{\text{audio}})$ ranks the
# items in the right order. Find a product, and a ReLU layer over the concatenation, that does.
#
# ```{dropdown} Solution
# The two wanted items together score $g(1) + h(1) + g(-1) + h(-1)$. So do the two unwanted ones. Hence the wanted
# cannot both lie above both others. The product $z_{\text{image}}\, z_{\text{audio}}$ is $+1$ for the wanted and $-1$
# for the others. With $z_{\text{image}} + z_{\text{audio}} = a$, $\operatorname{ReLU}(a) + \operatorname{ReLU}(-a)$ is 2
# for the wanted and 0 for the others: two hidden units do what one product does.
# ```

# %% tags=["hide-cell"]
for image, audio in ((1, 1), (-1, -1), (1, -1), (-1, 1)):
    units = max(0, image + audio) + max(0, -image - audio)
    print(
        f"{image:+} {audio:+}: product {image * audio:+}, two ReLU units {units}"
    )

# %% [markdown]
# **2.** In {eq}`eq-attention` let $\tilde z_m \cdot r / \sqrt d$ be $\ln 4$ for text, $0$ for the image, $\ln 3$ for
# audio. Give the weights; those for an item without sound; and those where $\tilde z_{\text{audio}} = 0$ is not masked.
#
# ```{dropdown} Solution
# $4/8$, $1/8$, $3/8$. Masked: $4/5$ and $1/5$. Not masked: the zero vector has $e^0 = 1$, so the weights are $4/6$, $1/6$,
# and $1/6$ for nothing. The result is the masked one times $5/6$: liked items without sound fall in every list.
# ```

# %% tags=["hide-cell"]
for label, raised in (
    ("all", (4, 1, 3)),
    ("masked", (4, 1, 0)),
    ("zeros", (4, 1, 1)),
):
    print(f"{label:8}", np.round(np.array(raised) / sum(raised), 3))

# %% [markdown]
# **3.** In chapter 5, $d_{\text{text}} = d_{\text{audio}} = 32$, $d_{\text{image}} = 7\,200$ and $d = 128$. How many
# parameters have the dense layer, the full tensor, and {eq}`eq-lowrank` with $\rho = 4$? What does that suggest?
#
# ```{dropdown} Solution
# $(7\,264 + 1) \cdot 128$; $33 \cdot 7\,201 \cdot 33 \cdot 128$; $4 \cdot 128 \cdot (33 + 7\,201 + 33)$. The image's
# size decides all three. Bring every modality to a common, small $d_m$ first.
# ```

# %% tags=["hide-cell"]
for some_sizes in ((32, 7200, 32), (32, 32, 32)):
    full_layer = (sum(some_sizes) + 1) * 128
    tensor = int(np.prod([size + 1 for size in some_sizes])) * 128
    low_rank = (
        n_weights("low-rank", some_sizes, 128) - 128
    )  # without "unknown"
    print(f"{some_sizes!s:15}{full_layer:>10,}{tensor:>16,}{low_rank:>12,}")

# %% [markdown]
# **4.** Modality dropout with rate $\varrho$ meets an item that has all three. With what probability are three, two and
# one left? Which share of the pictures is hidden?
#
# ```{dropdown} Solution
# Three: $(1-\varrho)^3$. Two: $3\varrho(1-\varrho)^2$. One: $3\varrho^2(1-\varrho) + \varrho^3$, since the last one is
# kept. Of the $\varrho^3$ a third keeps the picture, so $\varrho - \varrho^3/3$ of the pictures are hidden.
# ```

# %% tags=["hide-cell"]
rate = 0.3
left = np.asarray(
    drop_modalities(np.ones((100_000, 3), np.float32), rate, seed=seed)
)
expected = {
    3: (1 - rate) ** 3,
    2: 3 * rate * (1 - rate) ** 2,
    1: 3 * rate**2 * (1 - rate) + rate**3,
}
for number, probability in expected.items():
    drawn = (left.sum(axis=1) == number).mean()
    print(f"{number} left: {probability:.4f}, drawn {drawn:.4f}")
print(
    f"pictures hidden: {rate - rate**3 / 3:.4f}, drawn "
    f"{1 - left[:, 1].mean():.4f}"
)

# %% tags=["remove-cell"]
used = plots.resources(started)
quote(
    minutes=f"{used['seconds'] / 60:.1f}",
    memory=f"{used['peak_mb'] / 1000:.1f}",
    cores=int(used["cores"]),
)

# %% [markdown]
# ## References
#
# Fusion {cite}`baltrusaitis2019`; gates {cite}`arevalo2017`; attention {cite}`vaswani2017`; tensors {cite}`zadeh2017`
# and their low-rank form {cite}`liu2018`; modality dropout {cite}`neverova2016`; alignment {cite}`radford2021`.
#
# *This page took {glue:text}`layers-minutes` minutes on {glue:text}`layers-cores` cores, and at most
# {glue:text}`layers-memory` GB of memory.*
