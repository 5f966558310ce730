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
# # Recommending
#
# **You will be able to**
#
# - turn items and users into vectors of one space, and compute every score of the library in NumPy;
# - train both by a softmax that is affordable, and correct what its shortcuts distort;
# - say whether a recommender beats the simple ones, on which items, and how far it is from the best
#   that is possible;
# - serve a user who came a minute ago, and recommend an item that was launched a minute ago;
# - say why an item is in a list: which purchase speaks for it, and which modality decided.
#
# ## The idea in words
#
# The network of {doc}`05_article_network` ends in a column of weights for each item. An item without
# interactions has a column that has learnt nothing. A {term}`two-tower model`
# {cite}`yi2019,covington2016` has no such column. It *computes* one from the item's text, image and
# audio. A user gets a vector in the same space, computed from the items in the history. A {term}`dot
# product` says how well user and item agree. All items' vectors can be computed beforehand. So a list
# takes one multiplication of matrices, and an item that was launched this morning can be in it by noon.
#
# As in {doc}`06_fusion`, what stands beside an orange bar and ends with *Evidence* was measured before,
# with several seeds. All other numbers are live, from networks that train in seconds with one seed.

# %% tags=["parameters"]
profile = "quick"  # short training; "full": until it ends
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input", "remove-output"]
import time
from dataclasses import replace

from mmtutorial import datasets, metrics, plots  # first: it quiets TensorFlow

import keras
import keras_rs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf
from IPython.display import Markdown, display
from scipy import special

from mmtutorial.recommenders import (
    EASE,
    ContentKNN,
    Index,
    ItemKNN,
    Oracle,
    Popularity,
    Random,
    TwoTower,
    top_k,
)
from mmtutorial.evaluation import (
    cold_items,
    compare,
    default_split,
    evaluate,
    with_parts,
)
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.recommenders.explain import (
    history_shares,
    modality_shares,
    reasons,
)
from mmtutorial.recommenders.two_tower import choice_loss
from mmtutorial.reproduce.evidence import (
    committed,
    evidence,
    in_words,
    quote,
)
from mmtutorial.reproduce.ledger import best
from mmtutorial.reproduce.settings import has_ready_made, tower_options

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
started = time.perf_counter()
blue, orange, green, red = sns.color_palette("colorblind")[:4]
K = 10

# %% [markdown]
# ## The data
#
# The data are split by time as in {doc}`08_evaluation`. The training part is what recommenders learn
# from. Settings are chosen by the validation part. The test part is looked at only for the tables. Each
# modality comes as one short vector of ready-made features ({doc}`01_data`), so that a tower trains in
# seconds. Encoders of raw media are one option away (`raw_features`), and slow.

# %% tags=["remove-output"]
data = (
    datasets.load(dataset, seed=seed)
    if dataset in datasets.MAKERS
    else datasets.load(dataset)
)
bare = not data.present().any()
if bare:  # there is nothing to read
    data = datasets.load("shop", n_items=300, n_users=800, seed=seed)
refused = ""
try:
    split = default_split(data)
except ValueError as fault:  # no times, or all alike
    refused = str(fault)
    data = with_parts(data, seed)
    split = default_split(data)
train = split.train
cold = cold_items(split)  # bool (n_items,): nobody took it in training
content, faults = ready_features(data, ~cold, seed=seed)

# %% tags=["hide-input"]
if bare:
    display(
        Markdown(
            "*The items of your data set have no text, picture or sound: a small "
            "shop stands in for it in this chapter.*"
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
for fault in faults:
    print(fault)
plots.table(
    pd.DataFrame(
        {
            "numbers an item": {n: a.shape[1] for n, a in content.items()},
            "items that have it": {
                n: f"{a.any(axis=1).mean():.1%}" for n, a in content.items()
            },
        }
    ),
    index=True,
)

# %% tags=["remove-cell"]
sizes = np.diff(train.matrix.indptr)
for name, value in {
    "recommend-dataset": data.name,
    "recommend-stand-in": data.name if bare else "",
    "recommend-n-users": f"{train.n_users:,}",
    "recommend-n-items": f"{data.n_items:,}",
    "recommend-n-cold": f"{cold.sum():,}",
    "recommend-n-train": f"{len(train):,}",
    "recommend-n-test-users": f"{len(split.test_users):,}",
    "recommend-history-median": f"{np.median(sizes[sizes > 0]):.0f}",
}.items():
    quote(name, value)

# %% [markdown]
# {glue:text}`recommend-dataset`: {glue:text}`recommend-n-users` users,
# {glue:text}`recommend-n-items` items, {glue:text}`recommend-n-train` training interactions, with a median
# of {glue:text}`recommend-history-median` for a user. {glue:text}`recommend-n-cold` items are cold: they
# have no training interaction.
#
# ## A tower, trained
#
# First the result, then the equations. One word chooses a fusion, one a set of modalities, one adds the
# ids. The rest are defaults; for last.fm, other settings were chosen on its validation part. The quick
# profile trains for fewer steps.

# %% tags=["remove-output"]
options = {**tower_options(has_ready_made(data), profile), "seed": seed}
began = time.perf_counter()
tower = TwoTower(**options).fit(train, content, split.validation)
took = time.perf_counter() - began

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
steps = tower.validate_every * np.arange(1, len(tower.history["loss"]) + 1)
axes[0].plot(steps, tower.history["loss"], color=blue)
axes[0].set(xlabel="step", ylabel="loss (nats a choice)")
quality = np.array(tower.history["validation_ndcg"])
axes[1].plot(steps, quality, color=orange)
axes[1].axvline(steps[quality.argmax()], color="0.4", linestyle=":")
axes[1].set(xlabel="step", ylabel="NDCG@10, validation", ylim=(0, None))
plots.show(
    figure,
    alt="Two curves by step. The training loss falls all the way; the NDCG on the "
    "validation part rises steeply, flattens, and a dotted line marks its best step.",
)

# %% tags=["remove-cell"]
for name, value in {
    "recommend-steps": int(steps[-1]),
    "recommend-best-step": int(steps[quality.argmax()]),
    "recommend-took": f"{took:.0f}",
    "recommend-rate": tower.learning_rate,
    "recommend-decay": tower.weight_decay,
    "recommend-guessing": f"{np.log(data.n_items):.2f}",
    "recommend-loss-first": f"{tower.history['loss'][0]:.2f}",
    "recommend-loss-best": f"{tower.history['loss'][int(quality.argmax())]:.2f}",
}.items():
    quote(name, value)

# %% [markdown]
# {glue:text}`recommend-steps` steps took {glue:text}`recommend-took` seconds. A guess among all items
# would cost $\ln n_{\text{items}}$ = {glue:text}`recommend-guessing` nats a choice. The loss falls from
# {glue:text}`recommend-loss-first` to {glue:text}`recommend-loss-best` at step
# {glue:text}`recommend-best-step`. The weights of that step are kept, since no later one was better on
# the validation part.
#
# Three users at a glance: their last items on the left of the line, recommendations on the right.

# %% tags=["hide-input"]
past = {
    user: rows["item"].tolist() for user, rows in train.log.groupby("user")
}
generator = np.random.default_rng(seed)
some = [
    int(user)
    for user in generator.permutation(split.test_users)
    if len(set(past[user])) >= 4
][:3]
lists = tower.recommend(np.array(some), k=5)
if data.items["image"].ne("").any():
    sheet = plots.recommendation_sheet(
        data,
        [list(dict.fromkeys(past[user]))[-4:] for user in some],
        lists,
        [str(train.users[user]) for user in some],
    )
    plots.show(
        sheet,
        alt="Three rows of small pictures, one a shopper: four things that they took, and "
        "after a line five that are recommended.",
    )
else:
    display(Markdown("*These items have no pictures.*"))

# %% [markdown]
# ## The equations
#
# **The {term}`item tower`** fuses what item $i$ has, with any $f$ of {doc}`06_fusion`, and
# gives it *two* vectors. $v_i$ represents the item when it is a candidate, $h_i$ when it is part of a
# user's history. They differ: buying ink suggests that the user owns a printer, not that the user wants
# more ink.
#
# ```{math}
# :label: eq-item-tower
# \begin{aligned}
# f_i &= f\bigl(z_{\text{text}}, z_{\text{image}}, z_{\text{audio}};\;
#   p_{\text{text}}, p_{\text{image}}, p_{\text{audio}}\bigr) , \\
# v_i &= f_i\, W_v + e_i , \qquad h_i = f_i\, W_h + e'_i ,
# \qquad v_i, h_i, e_i, e'_i \in \mathbb{R}^d .
# \end{aligned}
# ```
#
# With $d_f$ entries in $f_i$, $W_v$ and $W_h$ are $d_f \times d$.
# $e_i$ and $e'_i$ are id {term}`embeddings <embedding>`: they learn from the training purchases what no
# content shows. They learn fast, often the training part by heart; `id_rate` lets them learn more slowly
# than the rest. Without them the recommender is *content-only*. With them it is a *hybrid*, and they
# are 0 for items without a training interaction. With ids alone, and no content, each item has two free
# vectors, as in {term}`matrix factorisation`; but a user has none.
#
# **The {term}`user tower`** reads the history $H_u$, the items that $u$ took before:
#
# ```{math}
# :label: eq-user-tower
# q_u = q_0 + \frac{1}{\lvert H_u \rvert^{\rho}} \sum_{j \in H_u} \bigl(h_j + r_{uj}\, R\bigr) .
# ```
#
# $q_0 \in \mathbb{R}^d$ is learnt. It is the vector of a user without a history. The power $\rho$ is
# learnt too. With $\rho = 1$ the history would be averaged, and ten kettles would count no more than
# one. With $\rho = 0$ it would be added up. $r_{uj} \in \mathbb{R}^{d_r}$ is the text vector of the review that
# $u$ wrote about $j$, where reviews are read (in this chapter they are not), and
# $R \in \mathbb{R}^{d_r \times d}$ is learnt. An item that was taken again counts once. In
# training some entries of what is added to $q_0$ are put to 0 at random (`history_dropout`).
#
# **The score** is
#
# ```{math}
# :label: eq-two-tower-score
# \hat y_{ui} = \frac{q_u \cdot v_i}{\tau} + b_i ,
# ```
#
# with a fixed temperature $\tau = \sqrt d / 2$ and a learnt bias $b_i$. With the option `cosine`, $q_u$
# and $v_i$ are divided by their lengths and $\tau$ is learnt: then a vector cannot grow, and only its
# direction says whom an item suits. An item without a training
# interaction has learnt no bias and gets the mean of the others. The list $L_u$ holds the $k$ items
# with the largest scores among those that $u$ has not taken; ties go to the smaller row.
#
# **The loss.** When the model learns to predict that $u$ took $i$, $i$ must not be in the history that
# it reads: it would learn to copy. So at each step every user's history is cut in two at random. From
# the part that is kept, each choice held out is predicted {cite}`liang2018`. It is compared with the
# items $S$ that could have been chosen: those that are not in the kept part, and had been *launched*,
# that is, taken by anybody, by the time of the choice. With $N$ choices,
#
# ```{math}
# :label: eq-full-softmax
# \mathcal L = -\frac1N \sum_{(u,i)} \ln P(i \mid u), \qquad
# P(i \mid u) = \frac{e^{\hat y_{ui}}}{\sum_{j \in S} e^{\hat y_{uj}}} ,
# ```
#
# the cross-entropy of a softmax over the {term}`catalogue`. Compare {eq}`eq-choice`: a multinomial
# logit whose shelf is everything there is. The mean counts *choices*. Where a few people hold most of
# the interactions, as in the data set `videos`, these few decide what is learnt, and everybody is
# recommended what suits them. The option `user_exponent`, $\beta$, gives each choice of a user with $n$
# choices held out the weight $n^{-\beta}$; with $\beta = 1$ every *user* counts the same.
#
# With hundreds or thousands of items this is affordable. With
# millions, one takes the other choices of the batch as the alternatives, an
# {term}`in-batch softmax`. Their frequency is then not uniform: item $j$ turns up in proportion to
# $\pi_j$, its share of all training pairs, so that popular items serve as wrong answers too often. The
# {term}`logQ correction` subtracts the logarithm of that frequency {cite}`bengio2008,yi2019`. For a
# batch of choices $(u_1, i_1), \dots, (u_B, i_B)$,
#
# ```{math}
# :label: eq-logq
# \mathcal L_{\text{batch}} = -\frac1B \sum_{b=1}^{B}
#   \ln \frac{e^{\hat y_{u_b i_b} - \ln \pi_{i_b}}}
#            {\sum_{b'=1}^{B} e^{\hat y_{u_b i_{b'}} - \ln \pi_{i_{b'}}}} .
# ```
#
# The reason: with $j$ drawn from $\pi$, the expectation of $e^{\hat y_{uj}} / \pi_j$ is
# $\sum_j \pi_j\, e^{\hat y_{uj}} / \pi_j$, the denominator of {eq}`eq-full-softmax`. As there, the
# items in the kept part of the user's history, and those that were launched after the choice, are
# left out of the sum; the others that were held out, the user's own among them, stay in it.
#
# **The optimiser** is AdamW {cite}`loshchilov2019` with learning rate {glue:text}`recommend-rate` and
# weight decay {glue:text}`recommend-decay` (with 0 it is Adam). The weights that are kept are a running average over the last
# steps {cite}`polyak1992`. Each different item goes through the item tower once per step, however many
# histories and choices contain it.
#
# **Something new.** A *new item* has media, hence a $v_i$. A *new user* has no history, hence
# $q_u = q_0$, the same for all new users; after the first purchase {eq}`eq-user-tower` gives them their
# own vector, without any training.
#
# ## The towers in NumPy
#
# We take the learnt numbers, and nothing else of the library, to find its scores.

# %%
v, h, b = tower.item_vectors(), tower.history_vectors, tower.item_biases
tau = tower.temperature
free = tower.network.free_weights
q_0, rho = free["q_0"].numpy(), free["power"].numpy()

users = split.test_users[:200]
H = train.matrix[users].toarray()  # (200, n_items), 1 where taken
size = np.maximum(H.sum(axis=1, keepdims=True), 1)
q = q_0 + (H @ h) / size**rho  # the user tower: (200, d)
y = q @ v.T / tau + b  # the scores: (200, n_items)

difference = np.abs(y - tower.score(users)).max()
assert difference < 1e-4
print(f"v and h: {v.shape}, ρ = {rho:.2f}, differ by at most {difference:.1e}")

# %% tags=["remove-cell"]
quote("recommend-rho", f"{rho:.2f}")
quote("recommend-d", v.shape[1])
quote("recommend-difference", f"{difference:.0e}")


# %% [markdown]
# The learnt $\rho$ is {glue:text}`recommend-rho`. It lies between a sum and an average, so a longer
# history gives a longer vector. Where do $v$ and $h$ come from? From the item tower {eq}`eq-item-tower`: per modality one or
# two dense layers, the fusion {eq}`eq-concatenation`, and one matrix each. With the weights of the Keras
# network:


# %%
def gelu(a):
    """a · Φ(a), with Φ the normal distribution's: the activation between the layers."""
    return a * special.ndtr(a)


fused = tower.tower.get_layer("concatenation")
f = fused.shift.numpy()
for m, name in enumerate(content):
    encoder = tower.tower.get_layer(f"{name}_encoder")
    first, *further = [
        [weight.numpy() for weight in layer.weights]
        for layer in encoder.layers
        if layer.weights
    ]
    z = content[name] @ first[0] + first[1]  # (n_items, 128)
    for W, shift in further:
        z = gelu(z) @ W + shift
    p = content[name].any(axis=1, keepdims=True)  # the mask, (n_items, 1)
    W_m, c_m = fused.weight[m].numpy(), fused.absent[m].numpy()
    f = f + np.where(p, z @ W_m, c_m)
f = np.maximum(f, 0)  # ReLU, (n_items, 128)

known = np.any([each.any(axis=1) for each in content.values()], axis=0)
for ours, layer in [(v, "candidate"), (h, "memory")]:
    matrix = tower.tower.get_layer(layer).matrices[0].numpy()
    gap = np.abs(f[known] @ matrix - ours[known]).max()
    assert gap < 1e-3, gap
    print(f"{layer}: {matrix.shape}, differs by at most {gap:.1e}")

# %% [markdown]
# No weight belongs to one item alone. So the content vectors of a new item are enough to compute its
# $v_i$.
#
# ## The loss in NumPy
#
# Take some users, keep the first half of what they took, and predict the second. $S$ is a mask over
# the catalogue for each choice: not kept, and launched by then.

# %%
log = train.log.drop_duplicates(["user", "item"])  # in order of time
log = log[log["user"].isin(users[:50])]
place = log.groupby("user").cumcount().to_numpy()
held = place >= log["user"].map(log["user"].value_counts()).to_numpy() / 2
u = np.searchsorted(np.sort(users[:50]), log["user"])
i = log["item"].to_numpy()

kept = np.zeros((50, data.n_items), np.float32)
kept[u[~held], i[~held]] = 1
size = np.maximum(kept.sum(axis=1, keepdims=True), 1)
y = (q_0 + (kept @ h) / size**rho) @ v.T / tau + b

S = kept[u[held]] == 0  # (N, n_items)
order, last = np.arange(data.n_items), None
if train.has_times:
    first = train.log.groupby("item")["timestamp"].min()
    launch = np.full(data.n_items, np.iinfo(np.int64).max)
    launch[first.index] = first
    now = log["timestamp"].to_numpy()[held]
    S &= launch <= now[:, None]
    order = np.argsort(launch, kind="stable")
    last = np.searchsorted(launch[order], now, side="right") - 1

total = special.logsumexp(np.where(S, y[u[held]], -np.inf), axis=1)
loss = (total - y[u[held], i[held]]).mean()
by_library = float(
    choice_loss(
        y[:, order].astype(np.float32),
        kept[:, order],
        u[held],
        np.argsort(order)[i[held]],
        last,
    )
)
assert abs(loss - by_library) < 1e-3
print(f"{held.sum()} choices: NumPy {loss:.4f} nats, library {by_library:.4f}")

# %% [markdown]
# ## Cheaper: the other choices of the batch
#
# The subtraction of $\ln \pi$ in {eq}`eq-logq` is a layer of keras-rs:

# %%
generator = np.random.default_rng(seed)
pi = generator.dirichlet(np.ones(6)).astype(np.float32)
logits = generator.normal(size=(3, 6)).astype(np.float32)
layer = keras_rs.layers.SamplingProbabilityCorrection()
gap = np.abs(layer(logits, pi).numpy() - (logits - np.log(pi))).max()
assert gap < 1e-5
print(f"y − ln π: differs by at most {gap:.1e}")

# %% [markdown]
# What does it do? Let eight kinds of shoppers choose among forty items, some of them a hundred times
# as popular as others. We know each $P(i \mid u)$. Two tables of scores, without any towers, learn from the
# same batches of choices: one with the correction, one without (that is, with the same $\pi$ for all
# items):

# %%
n_kinds, n_things, B = 8, 40, 512
fame = -1.2 * np.log(np.arange(1, n_things + 1))
P = special.softmax(
    fame + generator.normal(size=(n_kinds, n_things)), axis=1
)  # (8, 40)
pi = P.mean(axis=0)


def learn(pi, steps=500, warm_up=300):
    """Learn a table of scores by the in-batch softmax; mean of the last steps."""
    draws = np.random.default_rng(seed)
    scores = keras.Variable(np.zeros((n_kinds, n_things), np.float32))
    optimiser = keras.optimizers.Adam(0.05)
    optimiser.build([scores])

    @tf.function
    def step(who, what, count):
        with tf.GradientTape() as tape:
            loss = choice_loss(
                scores.value,
                tf.zeros((n_kinds, n_things)),
                who,
                what,
                drawn=(count, tf.constant(pi, tf.float32)),
            )
        optimiser.apply([tape.gradient(loss, scores.value)], [scores])

    mean = 0
    for number in range(steps):
        who = draws.integers(n_kinds, size=B)
        what = (draws.random((B, 1)) > np.cumsum(P, axis=1)[who]).sum(axis=1)
        what = np.minimum(what, n_things - 1)
        count = np.bincount(what, minlength=n_things)
        step(
            tf.constant(who, tf.int32),
            tf.constant(what, tf.int32),
            tf.constant(count, tf.float32),
        )
        if number >= warm_up:
            mean = mean + scores.numpy() / (steps - warm_up)
    return mean


def centred(table):
    """Scores of a softmax are known up to a constant a row."""
    return table - table.mean(axis=1, keepdims=True)


truth = centred(np.log(P))
tables = {
    "without correction": centred(learn(np.full(n_things, 1 / n_things))),
    "with correction": centred(learn(pi)),
}

# %% tags=["hide-input"]
figure, axes = plt.subplots(
    1, 2, figsize=(9, 4), layout="constrained", sharex=True, sharey=True
)
often = np.broadcast_to(np.log10(pi), truth.shape)
for axis, (title, found) in zip(axes, tables.items(), strict=True):
    dots = axis.scatter(truth, found, c=often, cmap="viridis", s=12)
    axis.axline((0, 0), slope=1, color="0.4", linewidth=1)
    axis.set(title=title, xlabel="true ln P(i | u), centred (nats)")
axes[0].set_ylabel("learnt score, centred (nats)")
figure.colorbar(dots, ax=axes, label="popularity, log10 of π")
plots.show(
    figure,
    alt="Two scatter plots of learnt scores against true log-probabilities, coloured by "
    "popularity. Without correction the popular things lie far below the diagonal and the "
    "rare ones above it; with correction the dots lie along it.",
)

# %% tags=["remove-cell"]
errors = {name: np.abs(found - truth).mean() for name, found in tables.items()}
correlation = {
    name: np.corrcoef(tables["without correction"].ravel(), known.ravel())[
        0, 1
    ]
    for name, known in [("lift", centred(np.log(P / pi))), ("truth", truth)]
}
top = {
    name: (found.argmax(axis=1) == truth.argmax(axis=1)).sum()
    for name, found in tables.items()
}
for name, value in {
    "recommend-logq-without": f"{errors['without correction']:.2f}",
    "recommend-logq-with": f"{errors['with correction']:.2f}",
    "recommend-logq-lift": f"{correlation['lift']:.2f}",
    "recommend-logq-top-without": top["without correction"],
    "recommend-logq-top-with": top["with correction"],
    "recommend-logq-correlation": f"{correlation['truth']:.2f}",
}.items():
    quote(name, value)

# %% [markdown]
# With the correction, the table is wrong by {glue:text}`recommend-logq-with` nats on average, and finds
# the favourite of {glue:text}`recommend-logq-top-with` kinds of shoppers out of eight. Without it, the
# numbers are {glue:text}`recommend-logq-without` nats and {glue:text}`recommend-logq-top-without`. What was
# learnt without the correction is not noise. It is $\ln\bigl(P(i \mid u)/\pi_i\bigr)$, how much *more* than
# others a shopper wants an item: the correlation with it is {glue:text}`recommend-logq-lift`, with
# $\ln P$ itself {glue:text}`recommend-logq-correlation`. Exercise 2 asks why.

# %% [markdown]
# ## Does it matter what a choice is compared with?
#
# The second shortcut is to compare a choice with *all* items. In most papers the catalogue is fixed. In
# a shop, an item launched in the last month of training has few purchases, because it was there for one
# month only. A softmax over everything takes this for a lack of interest. We train the same tower
# with and without the rule that only launched items are alternatives. We test it on all choices, and on
# those of the quarter of the warm items that were launched last:

# %% tags=["remove-output"]
evaluations = {}


def measure(recommender, name=None, **restriction):
    """Evaluate on the test part; the name is what tables say."""
    found = evaluate(recommender, split, k=K, **restriction)
    return replace(found, recommender=name or recommender.name)


towers = {"two-tower, content": tower}
evaluations["two-tower, content"] = measure(tower, "two-tower, content")
if train.has_times:
    anytime = TwoTower(**options, by_launch=False)
    towers["against all items"] = anytime.fit(train, content, split.validation)

# %% tags=["hide-input"]
if train.has_times:
    seen_from = pd.Series(launch)[~cold]
    young = np.zeros(data.n_items, bool)
    young[seen_from.index[seen_from >= seen_from.quantile(0.75)]] = True
    by_age = {}
    for name, each in [
        ("only what had been launched", tower),
        ("all items", towers["against all items"]),
    ]:
        by_age[name] = {
            "NDCG, all": measure(each).per_user["ndcg"].mean(),
            "NDCG, launched late": measure(each, relevant_items=young)
            .per_user["ndcg"]
            .mean()
            if split.test.matrix[split.test_users][:, young].nnz
            else np.nan,  # nobody who can be tested took one of them
            "share of places for items launched late": young[
                measure(each).ranked
            ].mean(),
        }
    by_age = pd.DataFrame(by_age).T.rename_axis("a choice is compared with")
    launch_share = by_age.iloc[:, 0]
    told = (
        f"NDCG@{K} is {launch_share.iloc[0]:.3f} with the rule and "
        f"{launch_share.iloc[1]:.3f} without it "
        f"({launch_share.iloc[0] / launch_share.iloc[1] - 1:+.0%}). Of the test choices, "
        f"{young[split.test.log['item']].mean():.0%} are of items launched late."
    )
    display(plots.table(by_age, index=True))
else:
    told = (
        "*These interactions have no times: nobody knows when an item was launched, "
        "and the rule has no effect.*"
    )
Markdown(told)

# %% [markdown]
# ## Against the simple ones
#
# {term}`Baselines <baseline>` often win where somebody tunes them {cite}`ferraridacrema2019`. Ours are
# random and popularity; item-kNN {cite}`sarwar2001` and content-kNN; EASE {cite}`steck2019`, and the
# same with content as further rows {cite}`jeunen2020`; matrix factorisation by BPR {cite}`rendle2009`;
# and LightGCN {cite}`he2020`, which spreads vectors along the graph of users and items. The library also
# has VBPR {cite}`he2016`, which adds content to BPR. Other published multimodal recommenders spread
# content along graphs (MMGCN {cite}`wei2019`, LATTICE {cite}`zhang2021`, FREEDOM {cite}`zhou2023freedom`)
# or align it with ids (BM3 {cite}`zhou2023bm3`).
#
# The table has our baselines at their default settings, and the towers of the same experiments: each
# single modality, the five fusions, ids alone, and content with ids. A baseline that is solved, not
# trained, has one run and no interval over seeds. Tuned baselines would be stronger.

# %% tags=["hide-input"]
ARMS = ["ndcg", "hit_rate", "item_coverage"]
arms = evidence(dataset, ("fusions", "baselines"), ARMS)
display(arms)
if arms:
    rival = best(committed(), dataset, "baseline")
    favourite = best(committed(), dataset, "fusions")

    def gain(name, against):
        """A relative gain in NDCG@10 in words."""
        found = evidence(dataset, "fusions", against=against)
        return in_words(found.row(name))

    told = [
        f"The best baseline is **{rival}** (by NDCG@10 on "
        "validation, or on the test where a baseline keeps none, which favours it). "
        f"In NDCG@10, concatenation gains {gain('concatenation', rival)} over it, and "
        f"{favourite}, the fusion that was best on validation, {gain(favourite, rival)}.",
        f"Over the same tower on ids alone, concatenation gains "
        f"{gain('concatenation', 'ids')}.",
    ]
    together, content_alone = (
        arms.row(name) for name in ("concatenation + ids", "concatenation")
    )
    if together["high"] < content_alone["low"]:
        told.append(
            "Content *with* ids is worse than content alone. One possible reason is "
            "that ids let the tower fit the training purchases without content."
        )
    elif together["low"] > content_alone["high"]:
        told.append("Content with ids is better than content alone.")
    else:
        told.append(
            "Over seeds, content with ids does not differ clearly from content alone."
        )
    if data.truth is not None:
        share = content_alone["mean"] / arms.row("oracle")["mean"]
        told.append(
            f"Concatenation reaches {share:.0%} of the oracle's NDCG@10."
        )
    display(Markdown(" ".join(told)))

# %% [markdown]
# ### The same, live
#
# Here we need the towers and some baselines at hand. The tower on ids alone is trained; the baselines
# take a moment.

# %% tags=["remove-output"]
towers["two-tower, ids"] = TwoTower((), ids=True, **options).fit(
    train, {}, split.validation
)
measured = {
    "random": Random(seed),
    "popularity": Popularity(),
    "item-kNN": ItemKNN(),
    "content-kNN": ContentKNN(),
    "EASE": EASE(),
    "EASE + content": EASE(content_weight=1.0),
}
if data.truth is not None:
    measured["oracle"] = Oracle(data.truth)
for each in measured.values():
    each.fit(train, content, split.validation)
measured |= {
    name: each for name, each in towers.items() if name != "against all items"
}
evaluations = {name: measure(each, name) for name, each in measured.items()}

# %% tags=["hide-input"]
table = compare(list(evaluations.values()), evaluations.get("oracle"))
intervals = pd.DataFrame(
    {name: each.summary().loc["ndcg"] for name, each in evaluations.items()}
).T
order = table["ndcg"].sort_values(ascending=False).index
figure, axis = plt.subplots(
    figsize=(8, 0.38 * len(order) + 0.8), layout="constrained"
)
plots.measures_with_intervals(
    intervals.loc[order], axis, f"NDCG@{K}, test, 95 % intervals over users"
)
plots.show(
    figure,
    alt="Forest plot: the NDCG of every recommender with its 95 % interval, the best at the "
    "top, random at the bottom.",
)

# %% tags=["remove-cell"]
quote(
    "recommend-content-ndcg", f"{table.loc['two-tower, content', 'ndcg']:.3f}"
)
quote("recommend-ids-ndcg", f"{table.loc['two-tower, ids', 'ndcg']:.3f}")
quote("recommend-popularity-ndcg", f"{table.loc['popularity', 'ndcg']:.3f}")

# %% [markdown]
# Live, with one seed and a short training, the tower reaches an NDCG@10 of
# {glue:text}`recommend-content-ndcg` from content and {glue:text}`recommend-ids-ndcg` from ids.
# Popularity, which knows no user, reaches {glue:text}`recommend-popularity-ndcg`. The article's own
# network reads one item, the last; {doc}`05_article_network` measures it over the same split.
#
# ### Warm and cold items
#
# `relevant_items` counts only some items as relevant, in lists over the whole catalogue. `candidates`
# lets only these items compete, so that only knowledge of new items counts.

# %% tags=["remove-output"]
few, few_name = cold, "cold"
wanted = split.test.matrix[split.test_users].sum(axis=0) > 0  # by those tested
if not (wanted & cold).any():
    counts = train.matrix.sum(axis=0)
    rare = max(np.quantile(counts, 0.25), counts[wanted].min())
    few, few_name = counts <= rare, "rarely taken"
columns = {
    "warm": {"relevant_items": ~cold},
    few_name: {"relevant_items": few},
    f"{few_name}, among themselves": {"candidates": few},
}
apart, met = {}, {}
for column, restriction in columns.items():
    found = [
        measure(each, name, **restriction) for name, each in measured.items()
    ]
    apart[column] = compare(found)["ndcg"]
    met[column] = len(found[0].users)
apart = pd.DataFrame(apart).loc[order]

# %% tags=["hide-input"]
plots.table(
    apart.rename(columns=lambda name: f"{name} ({met[name]:,} users)"),
    index=True,
)

# %% tags=["remove-cell"]
themselves = f"{few_name}, among themselves"
for name, value in {
    "few": few_name,
    "cold-content": f"{apart.loc['two-tower, content', few_name]:.3f}",
    "cold-ids": f"{apart.loc['two-tower, ids', few_name]:.3f}",
    "cold-random": f"{apart.loc['random', themselves]:.3f}",
    "cold-content-among": f"{apart.loc['two-tower, content', themselves]:.3f}",
    "cold-ids-among": f"{apart.loc['two-tower, ids', themselves]:.3f}",
    "warm-content": f"{apart.loc['two-tower, content', 'warm']:.3f}",
    "warm-ids": f"{apart.loc['two-tower, ids', 'warm']:.3f}",
}.items():
    quote(f"recommend-{name}", value)

# %% [markdown]
# On warm items content alone reaches {glue:text}`recommend-warm-content`, and ids alone
# {glue:text}`recommend-warm-ids`. On items that are {glue:text}`recommend-few`, content reaches
# {glue:text}`recommend-cold-content` and ids reach {glue:text}`recommend-cold-ids`. Among themselves it
# is {glue:text}`recommend-cold-content-among` by content, {glue:text}`recommend-cold-ids-among` by ids, and
# {glue:text}`recommend-cold-random` at random. (Ids give all items without interactions the same vector,
# so that these are ordered by their rows in the catalogue.)
#
# Does fusion help with new items too? In one experiment whole items were held back from training, and
# only these are tested:

# %% tags=["hide-input"]
held_back = evidence(
    dataset, "cold items", ["ndcg", "hit_rate"], split="cold items"
)
display(held_back)
if held_back and "concatenation" in set(held_back.table["recommender"]):
    rows = held_back.table[held_back.table["metric"].eq("ndcg")]
    rows = rows.set_index("recommender")
    fused = rows.loc["concatenation"]
    alone = rows.drop(index=["concatenation", "random"])
    most = alone["mean"].idxmax()
    top = alone.loc[most]
    if fused["low"] > top["high"]:
        told = "better than"
    elif fused["high"] < top["low"]:
        told = "*worse* than"
    else:
        told = "not clearly different from"
    display(
        Markdown(
            f"On new items, concatenation ({fused['mean']:.4f}) is {told} the best single "
            f"modality there, {most} ({top['mean']:.4f}), by their intervals over seeds."
        )
    )

# %% [markdown]
# ## New users
#
# A new user has no row in any table. Take the test users with a long history, and pretend that they came
# only just now: of their history, the tower reads the last $n$ items. Nothing is trained.
# (The items' vectors have been trained with these users among many others; exercise 4 leaves them out.)

# %% tags=["remove-output"]
lengths = np.diff(train.matrix.indptr)[split.test_users]
longest = int(min(50, np.quantile(lengths, 0.75)))
long = split.test_users[lengths >= longest]
steps = [n for n in (0, 1, 2, 5, 10, 20, 50) if n < longest] + [longest]
owned = (train.matrix + split.validation.matrix)[long]
wanted = split.test.matrix[long]


def by_length(recommender):
    """NDCG of users of whom only the last n items are known, for each n."""
    rows = []
    for n in steps:
        told = [past[user][len(past[user]) - n :] for user in long]
        ranked = top_k(recommender.score_histories(told), K, exclude=owned)
        values = metrics.ndcg(ranked, wanted)
        error = 1.96 * values.std(ddof=1) / np.sqrt(len(long))
        rows.append((values.mean(), error))
    return np.array(rows)


curve = by_length(tower)


def of_long(name):
    """NDCG of the same users by a recommender that knows all of them."""
    ranked = top_k(measured[name].score(long), K, exclude=owned)
    return metrics.ndcg(ranked, wanted).mean()


levels = {name: of_long(name) for name in ("popularity", "EASE")}
if "oracle" in measured:
    levels["oracle"] = of_long("oracle")

# %% [markdown]
# ## How far can one get?
#
# Where the shoppers are simulated, we know the true attributes of every item, and the oracle knows the
# true tastes too. So we can ask *where* the rest of the oracle's NDCG is lost: in the media, or in guessing
# tastes. The same tower, fed with the true attributes in place of media, loses nothing in the media.

# %% tags=["remove-output"]
if data.truth is not None:
    factors = data.truth.item_factors
    factors = factors[[f for f in factors if not f.startswith("pair: ")]]
    attributes = {"attributes": factors.to_numpy(np.float32)}
    knowing = TwoTower(**options).fit(train, attributes, split.validation)
    knowing_ndcg = measure(knowing).per_user["ndcg"].mean()
    knowing_curve = by_length(knowing)

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
drawn = [(curve, "two-tower, content", blue, "o")]
if data.truth is not None:
    drawn.append((knowing_curve, "two-tower, true attributes", orange, "s"))
for each, label, colour, marker in drawn:
    axis.errorbar(
        steps,
        each[:, 0],
        yerr=each[:, 1],
        color=colour,
        marker=marker,
        capsize=3,
        label=label,
    )
for (name, level), style in zip(
    levels.items(), (":", "--", "-."), strict=False
):
    axis.axhline(level, color="0.3", linestyle=style, label=name)
axis.set_xscale("symlog", linthresh=1)
axis.set_xticks(steps, labels=[str(n) for n in steps])
axis.minorticks_off()
axis.set(
    xlim=(-0.2, 1.15 * longest),
    xlabel="items of the history that are known",
    ylabel=f"NDCG@{K}",
    ylim=(0, None),
)
axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(
    figure,
    alt="NDCG against the number of known history items, with intervals: it rises with every "
    "further item. Horizontal lines for popularity, EASE and, where there is one, "
    "the oracle.",
)

# %% tags=["remove-cell"]
for name, value in {
    "recommend-longest": longest,
    "recommend-n-long": f"{len(long):,}",
    "recommend-curve-0": f"{curve[0, 0]:.3f}",
    "recommend-curve-1": f"{curve[1, 0]:.3f}",
    "recommend-curve-last": f"{curve[-1, 0]:.3f}",
    "recommend-level-popularity": f"{levels['popularity']:.3f}",
    "recommend-level-rival": f"{levels['EASE']:.3f}",
}.items():
    quote(name, value)

# %% [markdown]
# There are {glue:text}`recommend-n-long` such users, with {glue:text}`recommend-longest` items or more. With
# no item known, $q_0$ reaches {glue:text}`recommend-curve-0`; popularity reaches
# {glue:text}`recommend-level-popularity` for these users. With one item known, the tower reaches
# {glue:text}`recommend-curve-1`, and with {glue:text}`recommend-longest` items
# {glue:text}`recommend-curve-last`. EASE, which reads their whole history, reaches
# {glue:text}`recommend-level-rival`.

# %% tags=["hide-input"]
if data.truth is not None:
    level = evaluations["oracle"].per_user["ndcg"].mean()
    reading = evaluations["two-tower, content"].per_user["ndcg"].mean()
    told = (
        f"The oracle's NDCG@{K} is {level:.3f}. From media the tower reaches "
        f"{reading / level:.0%} of it, from the true attributes "
        f"{knowing_ndcg / level:.0%}. So "
        f"{(knowing_ndcg - reading) / (level - reading):.0%} of the gap could be closed "
        "by better encoders. The rest is lost in guessing tastes: each shopper has a "
        f"taste for every one of {factors.shape[1]} attributes, and has shown it by a "
        f"median of {np.median(lengths):.0f} choices, each of them partly chance."
    )
else:
    told = (
        "*Nobody knows the true tastes of real users, so there is no oracle here; on `shop` "
        "this paragraph compares the tower with one that is fed the true attributes.*"
    )
display(Markdown(told))

# %% [markdown]
# ## A new item
#
# An item that is launched now has media, and that is enough. Take a cold item's features out of the
# catalogue, and score them as if they had arrived this minute: the numbers are the same as in the
# catalogue.

# %%
example = int(np.flatnonzero(cold)[0]) if cold.any() else 0
arrived = {name: array[[example]] for name, array in content.items()}
scores = tower.score_new_items(split.test_users, arrived)  # (n_users, 1)
if cold.any():
    within = tower.score(split.test_users, np.array([example]))
    assert np.abs(scores - within).max() < 1e-4

# %% [markdown]
# And one that does not exist: the picture of one item, the sound of a second, the text of a third. Whom
# would it suit? Its score for every test user, compared with all items that the user does not have,
# gives the place at which it would enter their list:

# %%
generator = np.random.default_rng(seed)
parents = generator.choice(np.flatnonzero(~cold), 3, replace=False)
mixture = {
    name: array[[row]]
    for (name, array), row in zip(content.items(), parents, strict=False)
} | {name: array[[parents[-1]]] for name, array in list(content.items())[3:]}
entry = tower.score_new_items(split.test_users, mixture)
everything = tower.score(split.test_users)
free = train.matrix[split.test_users].toarray() == 0
rank = 1 + ((everything > entry) & free).sum(axis=1)

# %% tags=["hide-input"]
display(
    plots.gallery(
        data,
        parents,
        [f"its {name} from:" for name in list(content)[: len(parents)]]
        + ["—"] * max(0, 3 - len(content)),
    )
)
Markdown(
    f"It would be in the list of ten of {np.sum(rank <= 10):,} of "
    f"{len(rank):,} users; the median place is {np.median(rank):.0f} of {data.n_items:,}."
)

# %% [markdown]
# ## Retrieval
#
# To serve a list, no network runs. Append $1$ to $q_u$ and $b_i$ to $v_i/\tau$: then one product scores
# the whole catalogue, and the best $k$ are taken:

# %%
Q = np.hstack([tower.user_vectors([past[u] for u in split.test_users]),
               np.ones((len(split.test_users), 1))]).astype(np.float32)  # fmt: skip
V = np.hstack([v / tau, b[:, None]]).astype(np.float32)  # (n_items, d + 1)
index = Index(V)
began = time.perf_counter()
ranked, _ = index.search(Q, K, exclude=train.matrix[split.test_users])
milliseconds = 1000 * (time.perf_counter() - began)
same = (ranked == tower.recommend(split.test_users, k=K)).mean()
assert same > 0.999
print(
    f"{len(Q):,} users × {len(V):,} items: {milliseconds:.0f} ms; {same:.1%} equal"
)

# %% tags=["remove-cell"]
for name, value in {
    "recommend-per-user": f"{1000 * milliseconds / len(Q):.0f}",
    "recommend-kilobytes": f"{V.nbytes / 1e3:,.0f}",
}.items():
    quote(name, value)

# %% [markdown]
# {glue:text}`recommend-per-user` microseconds a user, and {glue:text}`recommend-kilobytes` kB for the
# catalogue. With millions of items one would not look at all of them: `Index(V, approximate=True)` looks
# through lists of neighbours and finds nearly all of the best ([how many, and in what
# time](../performance.md)). Nothing else changes, and that is what the dot product is for.
#
# ## Why this item?
#
# Since {eq}`eq-user-tower` is a sum, so is the score. Take an item's score for this user, minus the mean
# over the catalogue. It is a part that is the same for everybody, plus one share for each item of the
# history:
#
# ```{math}
# :label: eq-shares
# \hat y_{ui} - \bar y_u =
#   \underbrace{\frac{q_0 \cdot (v_i - \bar v)}{\tau} + b_i - \bar b}_{\text{for everybody}}
#   \; + \sum_{j \in H_u}
#   \underbrace{\frac{h_j \cdot (v_i - \bar v)}{\tau\, \lvert H_u \rvert^{\rho}}}_{\text{share of } j} .
# ```
#
# In NumPy, and by the library:

# %%
shopper = int(split.test_users[lengths.argsort()[len(lengths) // 2]])
history = list(dict.fromkeys(past[shopper]))
listed = tower.recommend(np.array([shopper]), k=5)[0]
apart_v = v[listed] - v.mean(axis=0)
everybody = apart_v @ q_0 / tau + b[listed] - b.mean()
shares = apart_v @ h[history].T / (tau * len(history) ** rho)

theirs = history_shares(tower, history, listed)
assert np.abs(everybody - theirs[0]).max() < 1e-3
assert np.abs(shares - theirs[1]).max() < 1e-3
score = tower.score(np.array([shopper]))[0]
gap = np.abs(everybody + shares.sum(axis=1) - (score[listed] - score.mean()))
print(f"the shares add up to the score, but for {gap.max():.1e}")

# %% [markdown]
# Which *modality* decided is another question. Hide one modality of the item, encode it again, and see
# how much of its score is lost, beyond what an average item loses. These losses do not add up to the
# score: what picture and text both say is not missed when one of them is hidden.
# `mmtutorial.recommenders.explain` puts both kinds of reasons into a sentence, and so does the command line:
#
# ```
# mmtutorial recommend --dataset shop --user u0012
# ```
#
# One of the users from above with the reasons, to look at and to hear; then what the reasons name:

# %% tags=["hide-input"]
user, ranked = some[0], lists[0]
titles = data.items["title"].tolist()
history = list(dict.fromkeys(past[user]))
why = reasons(tower, history, ranked, content)
taken_since = split.test.matrix[[user]].toarray()[0] > 0
display(
    plots.gallery(
        data,
        ranked,
        [
            f"{place}. {each.told(titles)}"
            + (" (and it was taken later)" if taken_since[each.item] else "")
            for place, each in enumerate(why, start=1)
        ],
    )
)
named = list(dict.fromkeys(row for each in why for row in each.because))
display(plots.gallery(data, named, ["taken before"] * len(named)))

# %% [markdown]
# Which modality decides, over the lists of forty users? The loss by hiding it, on average:

# %% tags=["remove-output"]
decided = []
for user in generator.permutation(split.test_users)[:40]:
    ranked = tower.recommend(np.array([user]), k=K)[0]
    ranked = ranked[ranked >= 0]
    found = modality_shares(
        tower, list(dict.fromkeys(past[user])), ranked, content
    )
    decided.append(pd.DataFrame(found))
decided = pd.concat(decided)

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        {
            "score lost when it is hidden (mean)": decided.mean(),
            "loses most (share of places)": decided.fillna(-np.inf)
            .idxmax(axis=1)
            .value_counts(normalize=True),
        }
    ).fillna(0),
    index=True,
)

# %% [markdown]
# ## Real listeners
#
# The live figures of this page come from the data set above. `lastfm` has *real* users, and a split that
# was published with it. There the field reports lists of twenty, and two rules are in use for what is
# left out of a list. Numbers under different rules are not comparable: with the first rule, items from
# the validation part take up places of the list.

# %% tags=["hide-input"]
for rule in ("train items", "train and validation items"):
    under = evidence(
        "lastfm",
        ("fusions", "baselines"),
        ["ndcg", "recall"],
        split=f"default, without {rule}",
        k=20,
    )
    display(Markdown(f"**Left out: {rule}**"), under)

# %% tags=["hide-input"]
if under:
    rows = under.table[under.table["metric"].eq("ndcg")]
    rows = rows.set_index("recommender")
    ids = rows.loc[["ids", "BPR", "LightGCN"]]
    read = rows.drop(
        index=[*ids.index, "popularity", "random", "item-kNN", "EASE"]
    )
    display(
        Markdown(
            f"With training and validation items left out, the best that reads no "
            f"content is {ids['mean'].idxmax()} ({in_words(ids.loc[ids['mean'].idxmax()])}), "
            f"and the best that reads content is {read['mean'].idxmax()} "
            f"({in_words(read.loc[read['mean'].idxmax()])}). Both were picked by this "
            "very table, so their distance is a description, not a test. Mind that "
            "`text` and `words` are two encodings of the same tags: a row that reads "
            "both reads one source."
        )
    )

# %% tags=["remove-cell"]
used = plots.resources(started)
quote("recommend-minutes", f"{used['seconds'] / 60:.1f}")
quote("recommend-memory", f"{used['peak_mb'] / 1000:.1f}")
quote("recommend-cores", int(used["cores"]))

# %% [markdown]
# ## What the article says, and what we measured
#
# Fusion gives a user representation and a content representation, and recommendations come from these,
# at least 10 % more accurate than from a single modality. The article's code has one tower, and a user
# occurs in it only as the item taken last.
#
# | row | the article | here |
# |---|---|---|
# | [A6](#claim-a6) | a unified representation of users and of content | $q_u$ and $v_i$, {glue:text}`recommend-d` numbers each, from two towers; NumPy agrees to within {glue:text}`recommend-difference` |
# | [A7](#claim-a7) | recommendations from them | one product and the largest $k$: {glue:text}`recommend-per-user` µs a user. New users and new items are served; what was taken is left out |
# | [C1](#claim-c1) | ≥ 10 % more accurate than a single modality | single modalities against their fusion, over the same tower: {doc}`06_fusion`; the verdict: {doc}`09_reproduction` |
# | [S1](#claim-s1) | 8 GB of memory and a 2 GHz processor suffice | this page took {glue:text}`recommend-minutes` minutes on {glue:text}`recommend-cores` cores and {glue:text}`recommend-memory` GB |
#
# ## Exercises
#
# **1.** Let $d = 2$, $v_{\text{kettle}} = (2, 0)$, $v_{\text{bell}} = (0, 1)$,
# $v_{\text{radio}} = (1, 1)$, $v_{\text{clock}} = (2, 1)$, $h_i = v_i$, no reviews, $q_0 = 0$, $b = 0$,
# $\rho = 1$ and $\tau = 1$. A user took the kettle and the bell. Give $q_u$, all scores,
# $P(\text{clock} \mid u)$ over the whole catalogue, and the list. Then a siren with $v = (3, 0)$ is
# launched: what changes? And what does $\rho = 0$ change?
#
# ```{dropdown} Solution
# $q_u = (1, 0.5)$; kettle 2, bell 0.5, radio 1.5, clock 2.5. The exponentials are 7.389, 1.649, 4.482
# and 12.182, together 25.702, so $P(\text{clock} \mid u) = 0.474$. The list is clock, radio: the
# kettle's score is the second best, but the user has one. The siren scores 3 and leads the list,
# without training; $P(\text{clock} \mid u)$ falls to 0.266. With $\rho = 0$, $q_u = (2, 1)$: all scores
# double, the list stays, and the probabilities become more decided. The cell below computes all of it.
# ```

# %% tags=["hide-cell"]
names = ["kettle", "bell", "radio", "clock", "siren"]
vectors = np.array([[2, 0], [0, 1], [1, 1], [2, 1], [3, 0]])
for power in (1, 0):
    q_u = vectors[:2].sum(axis=0) / 2**power
    for n in (4, 5):
        scores = vectors[:n] @ q_u
        print(
            f"ρ = {power}, {n} items: q = {q_u},",
            dict(zip(names, scores.tolist(), strict=False)),
            f"P(clock) = {special.softmax(scores)[3]:.3f}",
        )

# %% [markdown]
# **2.** Two items have $\pi = (0.9, 0.1)$. A user would take either with probability 1/2. In the
# limit of large batches, which difference $\hat y_{u1} - \hat y_{u2}$ does the batch softmax learn
# without the correction? And with it? And for a user who chooses as everyone does, 0.9 to 0.1?
#
# ```{dropdown} Solution
# Without the correction the model's probability is
# $\pi_i e^{\hat y_{ui}} / \sum_j \pi_j e^{\hat y_{uj}}$, and the loss is least where that equals
# $P(i \mid u)$: $\hat y_{ui} = \ln\bigl(P(i \mid u)/\pi_i\bigr)$ up to a constant. The difference is
# $\ln(0.5/0.9) - \ln(0.5/0.1) = -\ln 9 \approx -2.20$: the popular item is ranked below one that is
# liked no better. With the correction it is $\ln 1 = 0$, as it should be. For the second user it is 0
# without, and $\ln 9$ with.
# ```
#
# **3.** A catalogue of a million items, $d = 128$, batches of $4\,096$ pairs, 4 bytes a number. How
# many multiplications do the scores of one step take, and how many bytes do they fill, with the full
# softmax and with the batch's? And to rank everything for one user, and to keep all $v_i$?
#
# ```{dropdown} Solution
# Full: $4\,096 \cdot 10^6 \cdot 128 \approx 5.2 \cdot 10^{11}$ multiplications and 16.4 GB. Batch:
# $4\,096^2 \cdot 128 \approx 2.1 \cdot 10^9$ and 67 MB, about 244 times less. For one user
# $1.28 \cdot 10^8$ multiplications; the vectors take 512 MB. In the book's shop, with 640 items, the
# full softmax is smaller than such a batch's.
# ```
#
# **4.** (Run it.) The users of the section on new users had been trained with. Take a fifth of them out of
# the training part, train again, and compare their NDCG when the tower reads their histories, with that
# of the tower that was trained with them.
#
# ```{dropdown} Solution
# The tower has no parameter that belongs to a user, so it serves strangers as it serves everybody. But
# its item vectors were fitted to the choices of those it was trained with, and there are a fifth fewer
# users to learn from. What both cost together, the cells below compute; the strangers' validation
# interactions are left out too.
# ```

# %% tags=["remove-output"]
drawn = np.random.default_rng(seed).permutation(split.test_users)
strangers = np.sort(drawn[: len(drawn) // 5])
others = [
    part.where(~np.isin(part.log["user"], strangers))
    for part in (train, split.validation)
]
unmet = TwoTower(**options).fit(others[0], content, others[1])

# %% tags=["hide-cell"]
had = (train.matrix + split.validation.matrix)[strangers]
for label, each in [("with them", tower), ("without them", unmet)]:
    scores = each.score_histories([past[user] for user in strangers])
    lists = top_k(scores, K, exclude=had)
    value = metrics.ndcg(lists, split.test.matrix[strangers])
    error = 1.96 * value.std(ddof=1) / np.sqrt(len(value))
    print(f"trained {label}: NDCG@{K} {value.mean():.4f} ± {error:.4f}")

# %% [markdown]
# **5.** (Run it.) How different are $h_i$ and $v_i$? Put $v$ in the place of $h$, without training again,
# and measure. And does an item speak for itself: at what place does it stand in the row of $h V^\top$ that
# it makes?
#
# ```{dropdown} Solution
# The cell below prints both. A place near the top means that users want items like those they took. That
# is so for shoppers whose tastes do not change. It does not follow that the two vectors are the same:
# nothing in the loss ties them together, and $v \cdot v$ is not a score.
# ```

# %% tags=["hide-cell"]
warm_rows = np.flatnonzero(~cold)
own = h[warm_rows] @ v[warm_rows].T
place = 1 + (own > np.diag(own)[:, None]).sum(axis=1)
print(f"median place of an item in its own list: {np.median(place):.0f}")
H = train.matrix[split.test_users]
size = np.maximum(np.asarray(H.sum(axis=1)).reshape(-1, 1), 1)
owned = (train.matrix + split.validation.matrix)[split.test_users]
wanted = split.test.matrix[split.test_users]
for label, memory in [("h", h), ("v in its place", v)]:
    y = (q_0 + (H @ memory) / size**rho) @ v.T / tau + b
    value = metrics.ndcg(top_k(y, K, exclude=owned), wanted).mean()
    print(f"NDCG@{K} with {label}: {value:.4f}")

# %% [markdown]
# **6.** Ann took fifty items and Bob two. In both histories every item speaks for sirens with the same
# share. For whom is the siren's score higher, with $\rho = 1$, $\rho = 1/2$ and $\rho = 0$? Which
# would you want?
#
# ```{dropdown} Solution
# With $\rho = 1$ it is the same for both: two purchases count as much as fifty, although two may be an
# accident. With $\rho = 0$ Ann's is 25 times Bob's, as if each purchase were independent evidence.
# With $\rho = 1/2$ it is $\sqrt{25} = 5$ times. If purchases repeat each other, the truth is in between;
# the tower learnt $\rho$ = {glue:text}`recommend-rho`.
# ```
