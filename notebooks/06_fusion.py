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
# - combine text, image and audio vectors in five ways, each from its equation;
# - leave out what is missing without guessing it;
# - read, from committed measurements, how much fusion gains over a single modality;
# - measure which modality decided a recommendation, and what happens when one is withheld.
#
# ## The idea in words
#
# A shopper loves kettles that whistle low. The photograph shows that an item is a kettle. The
# recording reveals that something whistles low. Neither alone shows that this is *the* kettle. A
# score that adds an opinion about the picture to an opinion about the sound must also rank high
# every kettle that shrieks and every radio that whistles low. So {term}`fusion` has two jobs. It
# turns three vectors into one, and it lets one modality change the meaning of another. It has to do
# both for items that have no sound at all.
#
# This page has two kinds of numbers. What stands beside an orange bar and ends with *Evidence* was
# measured before, with several seeds, until training stopped by itself; `mmtutorial reproduce`
# measures it again. All other numbers are *live*: this page computes them from small networks that
# train in seconds. Live networks are too short for a verdict. They show how things work.

# %% tags=["parameters"]
profile = "quick"  # short training; "full": until it ends
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import time
from dataclasses import replace
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from mmtutorial import datasets, metrics, plots
from mmtutorial.evaluation import (
    cold_items,
    compare_all,
    default_split,
    evaluate,
    global_time_split,
    paired_comparison,
    with_parts,
)
from mmtutorial.fusion import (
    FUSIONS,
    contrastive_loss,
    drop_modalities,
    make_fusion,
)
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.recommenders import Blend, Oracle, TwoTower, top_k
from mmtutorial.recommenders.explain import modality_shares
from mmtutorial.reproduce.evidence import (
    committed,
    evidence,
    in_words,
    quote,
    quoted_evidence,
)
from mmtutorial.reproduce.ledger import MEASURES, best
from mmtutorial.reproduce.settings import has_ready_made, tower_options

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
started = time.perf_counter()

# %% [markdown]
# ## The data
#
# This chapter compares fusions, not encoders. So each modality comes as one short vector of
# ready-made features ({doc}`01_data`), not as raw media. No language model, CNN or RNN takes part
# here. All the rest is the two-tower recommender of {doc}`07_recommend`, which scores items by their
# fused content alone, without ids.

# %% tags=["remove-output"]


def opened(name, **options):
    """A data set, its split, its features, and why time did not split it."""
    data, refused = datasets.load(name, **options), ""
    try:
        split = default_split(data)
    except ValueError as fault:  # no times, or all alike
        refused = str(fault)
        data = with_parts(data, seed)
        split = default_split(data)
    features, _ = ready_features(data, ~cold_items(split), seed=seed)
    return data, split, features, refused


options = {"seed": seed} if dataset in datasets.MAKERS else {}
if dataset == "garments" and profile == "quick":  # half of them
    options |= {"n_items": 1200, "n_users": 1200}
data, split, features, refused = opened(dataset, **options)
stand_in = len(features) < 2  # nothing to fuse
if stand_in:
    data, split, features, refused = opened(
        "shop", n_items=300, n_users=800, seed=seed
    )
names = list(features)
given_there = {name: array.any(axis=1) for name, array in features.items()}

# %% tags=["hide-input"]
if stand_in:
    display(
        Markdown(
            "*The items of your data set have fewer than two modalities, and "
            "there is nothing to fuse: a small shop stands in for it in this "
            "chapter.*"
        )
    )
if refused:
    display(
        Markdown(
            f"*Your data set cannot be split by time: {refused.partition(':')[0]}. "
            "This chapter draws at random which interactions train, validate and "
            "test. [Chapter 10](10_your_own_data.ipynb) says what that changes.*"
        )
    )
WHAT = {
    "text": "the words, by latent semantic analysis",
    "image": "the pixels, by principal components",
    "audio": "mean and standard deviation of the sound's coefficients",
    "words": "users' words, by latent semantic analysis",
}
display(
    plots.table(
        pd.DataFrame(
            {
                "modality": names,
                "what it is": [
                    "ready-made, came with the data set"
                    if name in data.features
                    else WHAT[name]
                    for name in names
                ],
                "entries": [features[name].shape[1] for name in names],
                "items that have it": [
                    f"{given_there[name].mean():.1%}" for name in names
                ],
            }
        )
    )
)
if {"text", "words"} <= set(names):
    display(
        Markdown(
            "Here `text` and `words` are two encodings of the *same* tags. To "
            "fuse them adds an encoder, and no new source of information."
        )
    )
quote("fusion-dataset", data.name)
quote("fusion-stand-in", data.name if stand_in else "")
quote("fusion-users", f"{len(split.test_users):,}")
quote("fusion-items", f"{data.n_items:,}")

# %% [markdown]
# Data set {glue:text}`fusion-dataset`: lists are tested for {glue:text}`fusion-users` users, out of
# {glue:text}`fusion-items` items.
#
# ## What fusion gains
#
# The same tower reads one modality, two, or all. All were trained with several seeds until the
# validation part stopped them. The table shows the article's four words: accuracy as NDCG@10 and as
# hit rate@10, coverage and diversity ({doc}`08_evaluation` defines them).

# %%
SHOWN = ["ndcg", "hit_rate", "item_coverage", "intra_list_diversity"]
subsets = [
    " + ".join(some)
    for size in range(1, len(names))
    for some in combinations(names, size)
]
means = evidence(dataset, "fusions", SHOWN, recommenders=[*subsets, *FUSIONS])
means

# %% [markdown]
# A gain needs a rival. The rival is the single modality that was best on the *validation* part:
# against a weak one, any gain can be had. Each panel shows the relative gain of the five fusions over
# it, with 95 % intervals. Dotted lines mark what the article claims: 10 % more accuracy and 5 % more
# coverage.

# %% tags=["hide-input"]
gains = None
if means:
    single = best(committed(), dataset, "single")
    favourite = best(committed(), dataset, "fusions")
    gains = evidence(
        dataset, "fusions", SHOWN, against=single, recommenders=list(FUSIONS)
    )
    figure, axes = plt.subplots(
        1, 4, figsize=(12, 3), sharey=True, layout="constrained"
    )
    for axis, metric in zip(axes, SHOWN, strict=True):
        rows = gains.table[gains.table["metric"].eq(metric)]
        goal = {"ndcg": 0.1, "hit_rate": 0.1, "item_coverage": 0.05}.get(
            metric
        )
        plots.relative_gains(
            rows.set_index("recommender").reindex(list(FUSIONS)),
            axis,
            f"{MEASURES[metric]},\ngain over {single} (%)",
            goal=goal,
        )
        if axis.get_legend() is not None:  # it would hide a line
            axis.get_legend().remove()
    shown = plots.picture(
        figure,
        alt="Four forest plots, NDCG, hit rate, item coverage and diversity: the "
        "relative gain of each of the five fusions over the best single modality "
        "with 95 % intervals, a line at zero, and dotted lines at the article's "
        "ten and five per cent.",
    )
    display(gains.shown(shown))

# %% tags=["hide-input"]
told = []
if gains:
    rows = gains.table[gains.table["metric"].eq("ndcg")]
    surely = [
        int((rows[column] > bound).sum())
        for column, bound in [("relative_low", 0.0), ("relative_low", 0.10)]
    ]
    told.append(
        f"The best single modality on validation is **{single}**. In NDCG@10, "
        f"{surely[0]} of the five fusions have an interval above zero, and "
        f"{surely[1]} have one above 10 %. Concatenation, the article's fusion, gains "
        f"{in_words(gains.row('concatenation'))}."
    )
    diversity = gains.row("concatenation", "intra_list_diversity")
    told.append(
        "Its lists are "
        + ("more" if diversity["relative_gain"] > 0 else "less")
        + f" diverse: {in_words(diversity)}."
    )
    between = means.table[means.table["metric"].eq("ndcg")]
    between = between.set_index("recommender").loc[list(FUSIONS)]
    reference = between.loc["concatenation"]
    level = between[
        between["low"].le(reference["high"])
        & between["high"].ge(reference["low"])
    ].index.drop("concatenation")
    told.append(
        "Over seeds, these intervals of NDCG@10 overlap with concatenation's: "
        f"{', '.join(level) or 'none'}."
    )
    if data.truth is not None:
        told.append(
            "Mind how these shoppers were made. Their taste weighs all modalities "
            "equally, and likes one pair of something seen and something heard. "
            "Such a taste rewards fusion by construction. "
            "[Chapter 9](09_reproduction.ipynb) varies the weights, and has real users."
        )
Markdown(" ".join(told))

# %% tags=["remove-cell"]


def told_of(recommender, metric):
    """A gain of the evidence in words, or that there is none."""
    return (
        in_words(gains.row(recommender, metric)) if gains else "not measured"
    )


quote("fusion-single", single if gains else "the best single modality")
quote("fusion-favourite", favourite if gains else "the best fusion")
for metric in SHOWN:
    name = metric.replace("_", "-")
    quote(f"fusion-{name}", told_of("concatenation", metric))
    quote(
        f"fusion-favourite-{name}",
        told_of(favourite if gains else "", metric),
    )

# %% [markdown]
# ## The equations
#
# An item has the vectors $z_m \in \mathbb{R}^{d_m}$ and the {term}`mask` $p_m \in \{0, 1\}$, for $m$
# in text, image, audio. Let $d_{\text{all}} = d_{\text{text}} + d_{\text{image}} + d_{\text{audio}}$.
# A fusion $f$ turns all of them into one vector of $d$ entries. Where $p_m = 0$ the entries of $z_m$
# mean nothing. The product $p_m z_m$ below means "choose", since in floating point
# $0 \cdot \mathrm{NaN}$ is not 0. Here is a batch of five items whose masks are the table $p$. All that
# is absent is filled with NaN on purpose, to prove that no layer reads it:

# %%
generator = np.random.default_rng(seed)
n, d, sizes = 5, 6, (3, 4, 2)  # items; entries of f; d_text, d_image, d_audio
p = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]])  # (n, 3)
z = [generator.normal(size=(n, d_m)) for d_m in sizes]  # (n, d_m) each
for m in range(3):
    z[m][p[:, m] == 0] = np.nan


def choose(p_m, z_m):
    """The product p z of the equations: (n,), (n, d_m) → (n, d_m)."""
    return np.where(p_m[:, None] > 0, z_m, 0.0)


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


layers = {name: layer_of(name) for name in FUSIONS}
by_equation = {}

# %% [markdown]
# ### Concatenation
#
# The article's way and the simplest {term}`early fusion` {cite}`baltrusaitis2019`. A dense layer over
# $[z_{\text{text}}, z_{\text{image}}, z_{\text{audio}}]$ has a
# $W \in \mathbb{R}^{d_{\text{all}} \times d}$ made of three blocks
# $W_m \in \mathbb{R}^{d_m \times d}$, one above the other. With $c_m \in \mathbb{R}^d$ learnt to
# stand for "not there", and $b \in \mathbb{R}^d$,
#
# ```{math}
# :label: eq-concatenation
# f_{\text{concat}} = \sigma\Bigl(\sum_m \bigl(p_m\, z_m W_m + (1 - p_m)\, c_m\bigr) + b\Bigr) .
# ```
#
# With all three present this is the article's layer, with $\sigma = \operatorname{ReLU}$. Before
# $\sigma$ it is a *sum*: only $\sigma$, and layers after it, let one modality depend on another.

# %%
layer = layers["concatenation"]
W, c, b = arrays(layer.weight), arrays(layer.absent), np.asarray(layer.shift)
total = b + sum(
    choose(p[:, m], z[m]) @ W[m] + (1 - p[:, m])[:, None] * c[m]
    for m in range(3)
)  # (n, d)
by_equation["concatenation"] = np.maximum(total, 0)

# %% [markdown]
# ### Late
#
# Each modality has a recommender of its own with score $\hat y_{ui}^{(m)}$; with weights
# $\lambda_m > 0$, learnt or 1,
#
# ```{math}
# :label: eq-late
# \hat y_{ui} = \frac{\sum_m p_m\, \lambda_m\, \hat y_{ui}^{(m)}}{\sum_m p_m\, \lambda_m} .
# ```
#
# Dividing keeps items with one modality and with three on the same scale. In {term}`late fusion` no
# modality can change what another means. With scores that are dot products,
# $\hat y_{ui}^{(m)} = q_u^{(m)} \cdot z_m W_m$, the average is a dot product too: that of vectors with
# one part for each modality, laid end to end. So late fusion can be a layer like the others, as long as
# nothing afterwards mixes the parts. The cell computes the scores by {eq}`eq-late` first, and the vector
# after:

# %%
layer = layers["late"]
W, lam = arrays(layer.weight), np.exp(np.asarray(layer.strength))
q = generator.normal(size=(4, 3, d))  # four users, a part a modality
scores = np.stack(
    [q[:, m] @ (choose(p[:, m], z[m]) @ W[m]).T for m in range(3)], axis=2
)  # (4 users, n items, 3)
weight = p * lam  # (n, 3)
some = p.any(axis=1)
averaged = (weight * scores).sum(axis=2)[:, some] / weight.sum(axis=1)[some]

shares = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-30)
by_equation["late"] = np.hstack(
    [shares[:, [m]] * (choose(p[:, m], z[m]) @ W[m]) for m in range(3)]
)  # (n, 3 d)
together = q.reshape(4, -1) @ by_equation["late"][some].T
np.testing.assert_allclose(together, averaged, rtol=1e-9)

# %% [markdown]
# ### Gated
#
# A gate lets more or less of each entry pass {cite}`arevalo2017`. Each modality is first brought to $d$ entries,
# $\tilde z_m = \tanh(z_m W_m + b_m)$ with $b_m \in \mathbb{R}^d$. A {term}`gate` for each entry sees
# all that is there, $s = [p_{\text{text}} z_{\text{text}}, \dots, p_{\text{text}}, \dots]$ with
# $d_{\text{all}} + 3$ entries, through weights $G_m \in \mathbb{R}^{(d_{\text{all}}+3) \times d}$ and
# bias $a_m \in \mathbb{R}^d$:
#
# ```{math}
# :label: eq-gated
# f_{\text{gated}} = \sum_m p_m\, g_m \odot \tilde z_m, \qquad
# g_m = \operatorname{sigmoid}(s\, G_m + a_m) .
# ```

# %%
layer = layers["gated"]
W, b_m = arrays(layer.weight), arrays(layer.shift)
G, a = arrays(layer.gate), arrays(layer.lean)
known = [choose(p[:, m], z[m]) for m in range(3)]
s = np.hstack([*known, p])  # (n, d_all + 3)
by_equation["gated"] = sum(
    p[:, [m]]
    / (1 + np.exp(-(s @ G[m] + a[m])))
    * np.tanh(known[m] @ W[m] + b_m[m])
    for m in range(3)
)

# %% [markdown]
# ### Attention
#
# Attention {cite}`vaswani2017` gives each modality one number instead, and the numbers sum to one. With a
# learnt $r \in \mathbb{R}^d$,
#
# ```{math}
# :label: eq-attention
# f_{\text{att}} = \sum_m \alpha_m\, \tilde z_m, \qquad
# \alpha_m = \frac{p_m\, e^{\tilde z_m \cdot r / \sqrt d}}
#                 {\sum_{m'} p_{m'}\, e^{\tilde z_{m'} \cdot r / \sqrt d}} .
# ```
#
# This is a softmax over the modalities that exist.

# %%
layer = layers["attention"]
W, b_m, r = arrays(layer.weight), arrays(layer.shift), np.asarray(layer.query)
projected = np.stack(
    [np.tanh(known[m] @ W[m] + b_m[m]) for m in range(3)], axis=1
)  # (n, 3, d)
raised = p * np.exp(projected @ r / d**0.5)  # (n, 3)
alpha = raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-30)
by_equation["attention"] = (alpha[:, :, None] * projected).sum(axis=1)

# %% [markdown]
# ### Low-rank
#
# Bilinear fusion multiplies. All products of an entry of one vector, one of another and one of
# the third, each vector lengthened by a 1 to keep the shorter products too {cite}`zadeh2017`, would
# need a tensor of $(d_{\text{text}}+1)(d_{\text{image}}+1)(d_{\text{audio}}+1)\, d$ weights. A
# {term}`low-rank <low-rank bilinear fusion>` one needs $\rho$ matrices
# $M_{m\ell} \in \mathbb{R}^{(d_m+1) \times d}$ for each modality {cite}`liu2018`:
#
# ```{math}
# :label: eq-lowrank
# f_{\text{low}} = \sum_{\ell=1}^{\rho}\; \bigodot_m\; [\,p_m z_m,\, 1\,]\, M_{m\ell} .
# ```
#
# An absent modality leaves $[0, 1]$ and so the last row of $M_{m\ell}$: a learnt factor, not a zero
# that would wipe out the other two.

# %%
layer = layers["low-rank"]
rho = layer.rank
factors = np.ones((n, rho, d))
for m in range(3):
    M = np.vstack([layer.factor[m], layer.last_row[m]])  # (d_m + 1, ρ d)
    M = M.reshape(-1, rho, d)
    lengthened = np.hstack([known[m], np.ones((n, 1))])  # (n, d_m + 1)
    factors *= np.einsum("ni,ild->nld", lengthened, M)
by_equation["low-rank"] = factors.sum(axis=1)

# %% [markdown]
# ### The same in Keras
#
# Where an item has no modality at all, late, gated and attention have nothing to add up, and the
# others only their constants: for all five, `mmtutorial.fusion` then gives a learnt vector that stands
# for "unknown". With this last row filled in, each equation has to give what its layer gives:

# %%
rows = []
for name, layer in layers.items():
    f = by_equation[name].copy()
    f[~some] = np.asarray(layer.unknown)
    theirs = np.asarray(layer(z, p))
    difference = np.abs(f - theirs).max()
    assert difference < 1e-4, name
    rows.append(
        {
            "fusion": name,
            "vectors in": " ".join(f"({n}, {d_m})" for d_m in sizes),
            "vector out": str(theirs.shape),
            "largest difference": f"{difference:.1e}",
        }
    )
plots.table(pd.DataFrame(rows))

# %% [markdown]
# ### What is absent is never looked at
#
# No NaN came through. To be sure, we put other numbers in their place: zeros, and a million. The last
# line shows what happens if $p_m z_m$ is a multiplication instead of a choice:

# %%
for layer in layers.values():
    with_nan = np.asarray(layer(z, p))
    for filling in (0.0, 1e6):
        filled = [np.where(np.isnan(z_m), filling, z_m) for z_m in z]
        assert np.array_equal(with_nan, np.asarray(layer(filled, p)))
multiplied = sum((p[:, [m]] * z[m]) @ W[m] for m in range(3))
print(
    "all five fusions: no entry changes, whatever the gaps hold;\n"
    f"by multiplication, {np.isnan(multiplied).any(axis=1).sum()} of {n} "
    "items become NaN"
)

# %% [markdown]
# One step earlier, `fit` *refuses* NaN in the features of an item, since it is mostly a mistake. A row
# of zeros says "this item lacks it", and the mask is made of that.
#
# ### Learning to do without
#
# {term}`Modality dropout` {cite}`neverova2016` sets $p_m$ to 0 at random in training, though never the
# last one left, so that each $c_m$, gate and factor meets absence before it matters.

# %%
before = np.repeat(p[:4], 5000, axis=0)  # four kinds of item, many of each
after = np.asarray(drop_modalities(before, rate=0.3, seed=seed))
assert (after <= before).all()
assert (after.sum(axis=1) >= 1).all()
plots.table(
    pd.DataFrame(
        after.reshape(4, 5000, 3).mean(axis=1),
        index=pd.Index([str(each.tolist()) for each in p[:4]], name="p"),
        columns=["text is left", "image is left", "audio is left"],
    ),
    index=True,
)

# %% [markdown]
# ### Alignment
#
# {term}`Alignment <alignment>` can be learnt before, or together with, the purchases. In a batch of $B$ items that
# have both, let $\hat t_b$ and $\hat x_b$ in $\mathbb{R}^d$ be the texts' and images' vectors,
# projected and divided by their lengths. {term}`Contrastive learning` {cite}`radford2021` asks which
# picture belongs to a text:
#
# ```{math}
# :label: eq-contrastive
# \mathcal L_{\text{text} \to \text{image}} = -\frac1B \sum_{b=1}^{B}
#   \ln \frac{e^{\hat t_b \cdot \hat x_b / \tau}}{\sum_{b'=1}^{B}
#       e^{\hat t_b \cdot \hat x_{b'} / \tau}} ,
# ```
#
# with a {term}`temperature` $\tau > 0$, and the same the other way round. The loss rewards what two
# modalities *share*. It gives no reward for what only the photograph shows, which may be lost.

# %%
B, tau = 8, 0.1
t, x = generator.normal(size=(2, B, d)).astype(np.float32)
both = generator.random(B) < 0.7
t_hat, x_hat = (
    each[both] / np.linalg.norm(each[both], axis=1, keepdims=True)
    for each in (t, x)
)
e = np.exp(t_hat @ x_hat.T / tau)  # (B', B'): a row a text
forth = -np.log(np.diag(e) / e.sum(axis=1)).mean()
back = -np.log(np.diag(e) / e.sum(axis=0)).mean()
ours = (forth + back) / 2
keras_loss = float(contrastive_loss(t, x, both, tau))
assert abs(ours - keras_loss) < 1e-4
print(
    f"from the equation {ours:.5f} nats, library {keras_loss:.5f}, "
    f"difference {abs(ours - keras_loss):.1e}"
)

# %% [markdown]
# ## The same tower, live
#
# Now one tower is trained before our eyes: all modalities, by concatenation. The settings are those of
# the experiments above, except that the quick profile trains for fewer steps.

# %% tags=["remove-output"]
SETTINGS = tower_options(has_ready_made(data), profile)
towers, runs = {}, {}


def train(label, **options):
    """Train a tower on everything and measure its lists of ten."""
    tower = TwoTower(names, seed=seed, **SETTINGS | options)
    towers[label] = tower.fit(split.train, features, split.validation)
    runs[label] = replace(evaluate(tower, split), recommender=label)


train("concatenation")
tower = towers["concatenation"]

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for axis, (key, label) in zip(
    axes,
    [("loss", "loss (nats a choice)"), ("validation_ndcg", "NDCG@10")],
    strict=True,
):
    steps = tower.validate_every * np.arange(1, len(tower.history[key]) + 1)
    axis.plot(steps, tower.history[key])
    axis.set(xlabel="step", ylabel=label)
axes[1].set(ylim=(0, None), ylabel="NDCG@10 on validation")
plots.show(
    figure,
    alt="Two curves by step: the training loss falls, and the NDCG on the "
    "validation part rises and flattens.",
)
quote("fusion-steps", int(steps[-1]))
quote("fusion-live", f"{runs['concatenation'].per_user['ndcg'].mean():.3f}")

# %% [markdown]
# After {glue:text}`fusion-steps` steps it reaches an NDCG@10 of {glue:text}`fusion-live` on the test
# part. The evidence above comes from longer training.
#
# ### What the five fusions cost
#
# The encoders give vectors of $d_m = 128$ entries, and $d$ is 128. With $n_m$ modalities, the numbers of
# weights follow from the equations, the vector for "unknown" included:


# %%
def n_weights(fusion, sizes, d, rho=4):
    """Count the weights of a fusion by its equation."""
    n_m, d_all = len(sizes), sum(sizes)
    return {
        "concatenation": d_all * d + n_m * d + d + d,
        "late": d_all * d + n_m + n_m * d,
        "gated": d_all * d + n_m * d + n_m * ((d_all + n_m) * d + d) + d,
        "attention": d_all * d + n_m * d + d + d,
        "low-rank": rho * d * (d_all + n_m) + d,
    }[fusion]


rows = []
for fusion in FUSIONS:
    layer = make_fusion(fusion, 128)
    layer([np.zeros((1, 128))] * len(names), np.ones((1, len(names))))
    counted = n_weights(fusion, [128] * len(names), 128)
    assert counted == layer.count_params(), fusion
    rows.append(
        {
            "fusion": fusion,
            "length of f": layer.units * layer.parts(len(names)),
            "weights": counted,
        }
    )
plots.table(pd.DataFrame(rows))

# %% [markdown]
# The gated and the low-rank fusion have several times as many weights as the others. Two more
# differences limit the comparison. The low-rank fusion multiplies, and was trained with a learning rate
# of its own, chosen on the validation part of `shop`. Late fusion has vectors of $n_m d$ entries instead
# of $d$, and hence another temperature, $\sqrt{n_m d}/2$: it is a different recommender, not the same
# one without products.
#
# ## What there is to know
#
# Where the shoppers are simulated, we can ask what each modality could tell at best.
# {term}`The oracle <oracle>` knows each shopper's taste for everything. A *restricted* oracle knows it
# only for the attributes of the modalities read. It is no limit for a tower: a tower also learns which
# items everybody likes, and a text may name what the picture shows.

# %% tags=["hide-input"]
simulated = data.truth is not None and set(names) <= {
    column.split(":")[0] for column in data.truth.item_factors
}


def restricted(kinds):
    """The truth as far as these kinds of attribute go."""
    columns = [
        column
        for column in data.truth.item_factors
        if column.split(":")[0] in kinds
    ]
    return replace(
        data.truth,
        item_factors=data.truth.item_factors[columns],
        user_factors=data.truth.user_factors[columns],
    )


def ideal(truth):
    """NDCG@10 of the lists of an oracle."""
    oracle = Oracle(truth).fit(split.train)
    return evaluate(oracle, split).per_user["ndcg"].mean()


if simulated:
    limit = ideal(data.truth)
    known = {label: ideal(restricted([label])) for label in names}
    known["all, pairs left aside"] = ideal(restricted(names))
    display(
        plots.table(
            pd.DataFrame(
                {
                    "NDCG@10, restricted oracle": known,
                    "share of the oracle": {
                        label: f"{value / limit:.0%}"
                        for label, value in known.items()
                    },
                }
            ),
            index=True,
        )
    )
    told = (
        f"The oracle itself has {limit:.3f}. The parts do not add up to the whole, "
        "since the attributes of an item *multiply* its chance to be chosen. "
        "[Chapter 7](07_recommend.ipynb) measures how much of the rest is lost in "
        "the media, and how much in guessing tastes from few purchases."
    )
else:
    told = (
        "Nobody knows the tastes of these users, so there is no oracle to "
        "compare with."
    )
Markdown(told)

# %% [markdown]
# ## Which modality decided?
#
# Which modality put an item into a list? We hide one modality of that item, leave all else as it was,
# and see how far its score falls. Hiding also moves the score of an average item, which decides nothing;
# so `modality_shares` subtracts that. The modality with the largest fall has decided. (Late fusion and
# attention give the weight of what is hidden to the rest. With them a fall also holds what the others
# would then have said.)

# %%
users = runs["concatenation"].users
asked = np.random.default_rng(seed).permutation(len(users))[:40]
ranked = runs["concatenation"].ranked[asked]  # (40, 10)
past = split.train.log.groupby("user")["item"].unique()
falls = np.full((*ranked.shape, len(names)), np.nan)
for line, (user, listed) in enumerate(zip(users[asked], ranked, strict=True)):
    there = listed >= 0
    fall = modality_shares(tower, past[user], listed[there], features)
    falls[line, there] = np.stack([fall[name] for name in names], axis=1)
falls = np.nan_to_num(falls, nan=0.0)  # (40, 10, modalities), in logits
decided = np.where(falls.max(axis=2) > 0, falls.argmax(axis=2), -1)

# %% [markdown]
# One user's list, that of the first user in whose first five places most modalities have decided
# something:

# %% tags=["hide-input"]
kinds_in = np.array([len(set(row[row >= 0])) for row in decided[:, :5]])
chosen = int(kinds_in.argmax())
first = ranked[chosen, :5][ranked[chosen, :5] >= 0]
rows = [
    {
        "place": place + 1,
        "item": data.items["title"].iloc[item],
        **{
            f"without {name}": f"{-falls[chosen, place, m]:+.2f}"
            if given_there[name][item]
            else "has none"
            for m, name in enumerate(names)
        },
    }
    for place, item in enumerate(first)
]
display(plots.table(pd.DataFrame(rows), widest=60))
if (data.items[["image", "audio"]] != "").any(axis=None):
    display(
        plots.gallery(
            data,
            first,
            [
                f"{place + 1}: {names[m] if m >= 0 else 'no one'} decided"
                for place, m in enumerate(decided[chosen, : len(first)])
            ],
        )
    )

# %% [markdown]
# Each column shows how the score of an item changes without one modality. Over all recommendations of
# forty users:

# %% tags=["hide-input"]
filled = ranked >= 0
share = np.array([(decided[filled] == m).mean() for m in range(len(names))])
columns = {"decided": share}
told = ""
if simulated:
    ids = split.train.users[users[asked]]
    utilities = np.stack(
        [restricted([name]).utility(ids) for name in names], axis=2
    )
    liked = np.take_along_axis(
        utilities, np.maximum(ranked, 0)[:, :, None], axis=1
    ).argmax(axis=2)
    judged = filled & (decided >= 0)
    agree = (liked == decided)[judged].mean()
    true, said = (
        np.bincount(each[judged], minlength=len(names)) / judged.sum()
        for each in (liked, decided)
    )
    columns["is liked most in truth"] = true
    told = (
        "These shoppers are simulated, so the answer can be checked. Hiding names "
        "the modality whose attribute the shopper really likes most in "
        f"{agree:.0%} of the recommendations. Two guesses with the same shares would "
        f"agree in {true @ said:.0%}."
    )
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
(100 * pd.DataFrame(columns, index=names)).plot.bar(ax=axis, rot=0)
axis.set(ylabel="recommendations (%)")
plots.show(
    figure,
    alt="Bars: the share of recommendations that each modality decided, and, where "
    "shoppers are simulated, the share in which its attribute is truly liked most.",
)
quote(
    "fusion-decided",
    ", ".join(
        f"{name} {value:.0%}" for name, value in zip(names, share, strict=True)
    ),
)
Markdown(
    told
    or "Nobody asked these users for their reasons, so the answer cannot be checked."
)

# %% [markdown]
# Recommendations decided: {glue:text}`fusion-decided`. What two modalities both say is missed in
# neither, so redundant information is credited to no modality.
#
# ## When does one modality change another's meaning?
#
# Late fusion cannot let one modality change what another means. When does that matter? We simulate two
# small groups of shoppers over the same items, and show the towers the true attributes, so that no
# encoder stands in the way. In the first group a taste is a sum: the weight `pair` is 0. In the second
# group shoppers care for nothing but one pair of something seen and something heard.

# %% tags=["remove-output"]
ATTRIBUTES = ["image_attribute", "audio_attribute", "text_attribute"]
stage = (
    data.items
    if set(ATTRIBUTES) <= set(data.items)
    else datasets.load("shop", n_items=240, n_users=30, seed=seed).items
).head(240)
TASTES = {
    "sums": {"text": 1.0, "image": 1.0, "audio": 1.0, "pair": 0.0},
    "only pairs": {"text": 0.0, "image": 0.0, "audio": 0.0, "pair": 1.0},
}
rivals = list(FUSIONS) if profile == "full" else ["concatenation"]
crossing, worlds = [], {}
for taste, weights in TASTES.items():
    log, truth = datasets.simulate(
        stage, seed=seed, n_users=600, mean_interactions=18, weights=weights
    )
    apart = global_time_split(Interactions.of(log, items=stage["item"]))
    attributes = {
        kind: truth.item_factors.filter(regex=f"^{kind}:").to_numpy(np.float32)
        for kind in ("text", "image", "audio")
    }
    found = {}
    for fusion in dict.fromkeys(["late", *rivals]):
        options = tower_options(False, profile, fusion)
        small = TwoTower(fusion=fusion, seed=seed, **options)
        small.fit(apart.train, attributes, apart.validation)
        found[fusion] = replace(evaluate(small, apart), recommender=fusion)
    worlds[taste] = apart, attributes, found["late"]
    compared = compare_all(list(found.values()), reference="late", seed=seed)
    crossing.append(compared.assign(taste=taste))
crossing = pd.concat(crossing)

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        {
            "shoppers": crossing["taste"],
            "fusion": crossing["recommender"],
            "NDCG@10": crossing["mean"],
            "NDCG@10, late": crossing["reference"],
            "gain over late": [
                in_words(each) for each in crossing.to_dict("records")
            ],
            "p by Holm": crossing["p_holm"].map(plots.p_value),
        }
    )
)

# %% [markdown]
# Each line compares a fusion with late fusion on the same shoppers. In the first group late fusion can
# express the whole taste, so a difference there comes from training, not from products. Note what a *ranking* asks for. A sum
# of "likes the kind" and "likes the voice" puts the items that have both above all others. Only the
# items after them are out of order. So for one favourite pair a sum is nearly enough. Exercise 1 shows
# what no sum can do.
#
# ## If a modality is missing, or wrong
#
# A catalogue with pictures may receive new items without. We withhold modalities from *every item that
# competes*. The users' vectors stay as they were. One tower was trained as above, the other with
# modality dropout (0.3). In the last column the modality is not withheld: every item shows that of
# *another* item.

# %% tags=["remove-output"]
train("modality dropout", modality_dropout=0.3)
owned = (split.train.matrix + split.validation.matrix)[users]
relevant = split.test.matrix[users]


def without(*gone):
    """The features with these modalities withheld from all items."""
    return {
        name: np.zeros_like(array) if name in gone else array
        for name, array in features.items()
    }


def mistaken(name):
    """Give every item this modality of another item that has it."""
    rows = np.flatnonzero(given_there[name])
    wrong = features[name].copy()
    wrong[rows] = wrong[np.random.default_rng(seed).permutation(rows)]
    return {**features, name: wrong}


def measured(label, shown):
    """Evaluate a tower whose items stand there with other features."""
    now, once = (
        towers[label].score_new_items(users, each)
        for each in (shown, features)
    )
    lists = top_k(towers[label].score(users) + now - once, 10, exclude=owned)
    values = runs[label].per_user.assign(ndcg=metrics.ndcg(lists, relevant))
    return replace(runs[label], per_user=values, ranked=lists)


withheld = [
    gone
    for size in range(len(names))
    for gone in combinations(names, size)
    if size in (0, 1, len(names) - 1)
]
missing, helped = {}, {}
for gone in withheld:
    plain, dropped = (
        measured(label, without(*gone))
        for label in ("concatenation", "modality dropout")
    )
    wrong = (
        measured("concatenation", mistaken(gone[0]))
        if len(gone) == 1
        else None
    )
    label = " and ".join(gone) or "nothing"
    missing[label] = {
        "plain": plain.per_user["ndcg"].mean(),
        "with modality dropout": dropped.per_user["ndcg"].mean(),
        "plain, another item's instead": wrong.per_user["ndcg"].mean()
        if wrong
        else np.nan,
    }
    gain = paired_comparison(dropped, plain, seed=seed)
    helped[label] = in_words(vars(gain))
missing = pd.DataFrame(missing).T.rename_axis("withheld")

# %% tags=["hide-input"]
display(
    plots.table(
        missing.assign(**{"gain by dropout": pd.Series(helped)}), index=True
    )
)
one_gone = [gone[0] for gone in withheld if len(gone) == 1]
change = missing / missing.loc["nothing", "plain"] - 1
for key, column in [
    ("missing", "plain"),
    ("wrong", "plain, another item's instead"),
]:
    quote(
        f"fusion-{key}-losses",
        ", ".join(
            f"{name} {change.loc[name, column]:+.0%}" for name in one_gone
        ),
    )
quote("fusion-dropout-price", helped["nothing"])
quote(
    "fusion-dropout-gains",
    "; ".join(f"{name} {helped[name]}" for name in one_gone),
)

# %% [markdown]
# The columns are NDCG@10. Without one modality the plain tower changes by
# {glue:text}`fusion-missing-losses`. With another item's modality instead, it changes by
# {glue:text}`fusion-wrong-losses`. A mask can be made of what is absent. Nothing marks what is wrong.
# With everything there, modality dropout changes NDCG@10 by {glue:text}`fusion-dropout-price`. A short
# training can misjudge that cost. Here are the same numbers after training until the validation part stops
# it, with one seed:

# %% tags=["hide-input"]
quoted_evidence(
    dataset,
    "06_fusion",
    {
        "fusion-missing-losses": "plain, one modality withheld",
        "fusion-wrong-losses": "plain, another item's modality instead",
        "fusion-dropout-price": "gain by dropout, nothing withheld",
        "fusion-dropout-gains": "gain by dropout, one modality withheld",
        "fusion-aligned": "gain by alignment (section below)",
    },
)

# %% [markdown]
# That is a modality lost *after* training. If it is missing in training too, the tower can adapt. The
# table shows how NDCG@10 changes when one modality is taken from a share of the items, for the towers of
# several seeds, trained and tested on what is left:

# %% tags=["hide-input"]
quality = evidence(
    dataset,
    "quality of data",
    against="concatenation",
    recommenders=["damaged"],
)
if quality:
    absent = quality.table[quality.table["damage"].eq("absent")]
    cells = pd.DataFrame(
        {
            f"{level:.0%} of the items": {
                each["damaged"]: in_words(each)
                for each in rows.to_dict("records")
            }
            for level, rows in absent.groupby("level")
        }
    )
    display(quality.shown(cells))
    surely = int((absent["relative_high"] < 0).sum())
    held = int((absent["p_holm"] < 0.05).sum())
    display(
        Markdown(
            f"Of {len(absent)} cells, {surely} have an interval below zero. After "
            "Holm's correction over all comparisons of this experiment, the number "
            f"of significant cells is {held}."
        )
    )
else:
    display(quality)

# %% [markdown]
# ## With alignment
#
# The contrastive loss {eq}`eq-contrastive` can be added to the loss of the purchases, between each two
# modalities and with weight 0.1. Does it do its own job? Given an item by its first modality, is its own
# second one among the ten nearest of all items' (by cosine of the encoders' vectors)? And does that help
# the lists?

# %% tags=["remove-output"]
train("alignment", alignment=0.1)


def found_among_ten(label):
    """How often a modality finds the other of the same item, and by chance."""
    inputs = {name: features[name] for name in names}
    inputs["present"] = np.column_stack([given_there[name] for name in names])
    vectors = towers[label].tower(inputs, training=False)[2]
    have = given_there[names[0]] & given_there[names[1]]
    left, right = (
        np.asarray(each)[have]
        / np.linalg.norm(np.asarray(each)[have], axis=1, keepdims=True)
        for each in vectors[:2]
    )
    cosines = left @ right.T
    above = cosines > np.diag(cosines)[:, None]
    return (above.sum(axis=1) < 10).mean(), 10 / have.sum()


rows = {}
for label, title in [("concatenation", "without"), ("alignment", "with")]:
    hits, chance = found_among_ten(label)
    rows[f"{title} alignment"] = {
        f"{names[0]} finds its {names[1]} among ten": f"{hits:.1%}",
        "by chance": f"{chance:.1%}",
        "NDCG@10": runs[label].per_user["ndcg"].mean(),
    }
aligned = paired_comparison(
    runs["alignment"], runs["concatenation"], seed=seed
)
quote("fusion-aligned", in_words(vars(aligned)))
quote("fusion-aligned-p", plots.p_value(aligned.p))

# %% tags=["hide-input"]
plots.table(pd.DataFrame(rows).T, index=True)

# %% [markdown]
# The first column shows that the loss does its job, on the items of the training. A network with enough
# weights can also memorise which vectors belong together. The last column shows the effect on the lists:
# {glue:text}`fusion-aligned` in NDCG@10 (p = {glue:text}`fusion-aligned-p`, one seed, one weight).
#
# ## What the article says, and what we measured
#
# Fusion yields one unified representation of users and of content. It raises accuracy by 10 % or more,
# coverage by 5 % or more, and diversity, and it is sensitive to the data's quality. The article's code
# knows concatenation only, and no mask. All gains in the table are those of concatenation over
# {glue:text}`fusion-single`, from the evidence above; the rule that turns them into verdicts is in
# {doc}`09_reproduction`.

# %% tags=["remove-cell"]
used = plots.resources(started)
quote("fusion-minutes", f"{used['seconds'] / 60:.1f}")
quote("fusion-memory", f"{used['peak_mb'] / 1000:.1f}")
quote("fusion-cores", int(used["cores"]))

# %% [markdown]
# | row | the article | here |
# |---|---|---|
# | [A6](#claim-a6) | one representation for users, one for content | both exist for all five fusions, and lists are made of nothing else |
# | [C1](#claim-c1) | accuracy rises by 10 % or more | NDCG@10 {glue:text}`fusion-ndcg`, hit rate@10 {glue:text}`fusion-hit-rate`. The fusion that was best on validation, {glue:text}`fusion-favourite`: NDCG@10 {glue:text}`fusion-favourite-ndcg` |
# | [C2](#claim-c2) | coverage rises by 5 % or more | item coverage@10 {glue:text}`fusion-item-coverage`. User coverage is the hit rate above |
# | [C3](#claim-c3) | accuracy *and* diversity | NDCG@10 as above, diversity {glue:text}`fusion-intra-list-diversity` |
# | [D2](#claim-d2) | sensitive to the data's quality | one modality withheld after training: {glue:text}`fusion-missing-losses`; another item's instead: {glue:text}`fusion-wrong-losses` (live, one seed) |
#
# ## Exercises
#
# **1.** Picture and sound are each $+1$ or $-1$. A shopper wants the items where both are equal. Show
# that no sum $g(z_{\text{image}}) + h(z_{\text{audio}})$ ranks both wanted items above both unwanted
# ones. Find a product, and a ReLU layer over the concatenation, that does.
#
# ```{dropdown} Solution
# The two wanted items together score $g(1) + h(1) + g(-1) + h(-1)$. So do the two unwanted ones.
# Hence the wanted cannot both lie above both others: late fusion fails for any towers. The product
# $z_{\text{image}}\, z_{\text{audio}}$ is $+1$ for the wanted, $-1$ for the others. And
# $\operatorname{ReLU}(s) + \operatorname{ReLU}(-s)$ with $s = z_{\text{image}} + z_{\text{audio}}$ is
# 2 for the wanted and 0 for the others: concatenation can do it too, but it needs two hidden units
# for what one product does. The cell below trains all three on such shoppers. Half of them want what is
# equal and half what is not. It counts how much of their lists is of the kind they want.
# ```

# %% tags=["hide-input", "remove-output"]
generator = np.random.default_rng(seed)
signs = generator.choice([-1.0, 1.0], size=(80, 2)).astype(np.float32)
wants = generator.choice([-1, 1], size=400)
right = wants[:, None] == signs.prod(axis=1)  # (400 shoppers, 80 items)
strength = 4 * right + generator.gumbel(size=right.shape)
taken = np.argsort(-strength, axis=1)[:, :8]
agreeing = Interactions.of(
    pd.DataFrame(
        {
            "user": np.repeat([f"u{user:03d}" for user in range(400)], 8),
            "item": [f"i{item:02d}" for item in taken.ravel()],
        }
    ),
    items=[f"i{item:02d}" for item in range(80)],
)
wanted = {}
for fusion in ("late", "concatenation", "low-rank"):
    tower = TwoTower(
        fusion=fusion,
        steps=160,
        batch_size=128,
        depth=1,  # the signs need no reading
        seed=seed,
    )
    tower.fit(agreeing, {"image": signs[:, :1], "audio": signs[:, 1:]})
    lists = tower.recommend(np.arange(400), k=10)
    wanted[fusion] = np.take_along_axis(right, lists, axis=1).mean()

# %% tags=["hide-cell"]
for fusion, hits in wanted.items():
    print(f"{fusion:15}{hits:.0%} of the recommended items are wanted")

# %% [markdown]
# **2.** In {eq}`eq-attention` let $\tilde z_m \cdot r / \sqrt d$ be $\ln 4$ for text, $0$ for the
# image, $\ln 3$ for audio. Give the weights; the weights for an item without sound; and what happens
# if its sound is filled with zeros, $\tilde z_{\text{audio}} = 0$, but not masked.
#
# ```{dropdown} Solution
# $4/8$, $1/8$, $3/8$. Masked: $4/5$ and $1/5$. Filled: the zero vector has $e^0 = 1$, so the weights
# are $4/6$, $1/6$ and $1/6$ for nothing: the result is the masked one times $5/6$. Its dot product
# with every user is a sixth closer to zero, and liked items without sound slip down every list.
# ```
#
# **3.** In the article's network, as chapter 5 sizes it, $d_{\text{text}} = d_{\text{audio}} = 32$,
# $d_{\text{image}} = 7\,200$ and $d = 128$. How many parameters have the article's dense layer, the
# full tensor, and {eq}`eq-lowrank` with $\rho = 4$? What does the comparison suggest?
#
# ```{dropdown} Solution
# $(7\,264 + 1) \cdot 128 = 929\,920$; $33 \cdot 7\,201 \cdot 33 \cdot 128 = 1\,003\,761\,792$;
# $4 \cdot 128 \cdot (33 + 7\,201 + 33) = 3\,720\,704$. The image's size decides all three: bring
# every modality to a common, small $d_m$ first. With $d_m = 32$ for all, they would be $12\,416$,
# $4\,599\,936$ and $50\,688$. The cell below counts.
# ```

# %% tags=["hide-cell"]
for sizes in ((32, 7200, 32), (32, 32, 32)):
    dense = (sum(sizes) + 1) * 128
    tensor = int(np.prod([size + 1 for size in sizes])) * 128
    low_rank = n_weights("low-rank", sizes, 128) - 128  # without "unknown"
    print(f"{sizes!s:15}{dense:>10,}{tensor:>16,}{low_rank:>12,}")

# %% [markdown]
# **4.** Modality dropout with rate $\varrho$ meets an item that has all three. With what probability are
# three, two and one left? Which share of the pictures is hidden?
#
# ```{dropdown} Solution
# Three: $(1-\varrho)^3$. Two: $3\varrho(1-\varrho)^2$. One: $3\varrho^2(1-\varrho)$, and $\varrho^3$
# more, since the last one is spared. So a picture is hidden a little less often than $\varrho$: of the
# $\varrho^3$ a third keeps the picture, $\varrho - \varrho^3/3$. The cell below draws.
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
    f"pictures hidden: {rate - rate**3 / 3:.4f}, "
    f"drawn {1 - left[:, 1].mean():.4f}"
)


# %% [markdown]
# **5.** (Run it.) Late fusion without a network for it: train one tower for each modality, and add up
# their scores, $\sum_m \lambda_m \hat y_{ui}^{(m)}$ with $\lambda_m \ge 0$ chosen on the validation part.
# How does the sum compare with the late fusion that was trained as one? Take the shoppers whose taste is
# a sum.
#
# ```{dropdown} Solution
# `Blend` brings each recommender's scores to mean 0 and standard deviation 1 for each user, and chooses
# the weights. Which is better is a question for the run, and the cell below answers it for this one.
# Trained as one, the parts can divide the work. Trained apart, each tower learns to explain all
# purchases by itself.
# ```


# %% tags=["hide-cell"]
apart, attributes, as_one = worlds["sums"]
length = tower_options(False, profile)
blend = Blend([TwoTower((kind,), seed=seed, **length) for kind in attributes])
blend.fit(apart.train, attributes, apart.validation)
summed = evaluate(blend, apart).per_user["ndcg"].mean()
print("weights:", blend.chosen)
print(f"NDCG@10, sum of separate towers {summed:.4f}")
print(f"NDCG@10, late fusion as one     {as_one.per_user['ndcg'].mean():.4f}")

# %% [markdown]
# ## References
#
# Fusion and its taxonomy {cite}`baltrusaitis2019`; gates {cite}`arevalo2017`; attention
# {cite}`vaswani2017`; tensors {cite}`zadeh2017` and their low-rank form {cite}`liu2018`; modality dropout
# {cite}`neverova2016`; contrastive alignment {cite}`radford2021`; the two towers {cite}`yi2019`; Holm's
# correction {cite}`holm1979`.
#
# *This page took {glue:text}`fusion-minutes` minutes on {glue:text}`fusion-cores` cores, and at most
# {glue:text}`fusion-memory` GB of memory.*
