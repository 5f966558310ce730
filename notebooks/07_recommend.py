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
# - turn items and users into vectors of one space, and compute every score in NumPy;
# - train both by a softmax over the catalogue, and by a cheaper one with its correction;
# - say whether a recommender beats simple ones, on which items, and how far it is from the best possible;
# - recommend to a new user, and recommend a new item;
# - say which purchase, and which modality, speaks for an item in a list.
#
# ## The result first
#
# In the network of {doc}`05_article_network` each item has weights of its own, and those of an item without
# interactions have learnt nothing. A {term}`two-tower model` {cite}`yi2019,covington2016` *computes* a vector
# for each item from its content, and a vector for each user from the items in the history. Their
# {term}`dot product` is the score. So an item launched this morning can be recommended.
# {glue:text}`recommend-cold-places`
#
# The figure shows the accuracy (NDCG@10 of {doc}`08_evaluation`) of such a tower on content, of the same tower
# on item ids, and of simpler recommenders, all trained live with one seed.

# %% tags=["parameters"]
profile = "quick"  # short training; "full": until it ends
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input", "remove-output"]
import time
from dataclasses import replace
from functools import partial

from mmtutorial import metrics, plots  # first: it quiets TensorFlow

import keras
import keras_rs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf
from IPython.display import Markdown, display
from scipy import special

from mmtutorial.evaluation import cold_items, compare, evaluate
from mmtutorial.preprocessing.features import ready_features
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
from mmtutorial.recommenders.explain import (
    history_shares,
    list_shares,
    reasons,
)
from mmtutorial.recommenders.two_tower import choice_loss
from mmtutorial.reproduce.evidence import committed, evidence, in_words
from mmtutorial.reproduce.ledger import best
from mmtutorial.reproduce.levels import LEVELS, TOWERS
from mmtutorial.reproduce.notebooks import opened, quote
from mmtutorial.reproduce.settings import has_ready_made, tower_options

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
quote = partial(quote, "recommend")
started = time.perf_counter()
blue, orange = sns.color_palette("colorblind")[:2]
K = 10

# %% tags=["hide-input", "remove-output"]
data, split, stand_in, notes = opened(
    dataset, seed, lambda each: each.present().any()
)
train = split.train
cold = cold_items(split)  # bool (n_items,): nobody took it in training
content, faults = ready_features(data, ~cold, seed=seed)
options = {**tower_options(has_ready_made(data), profile), "seed": seed}
if profile == "quick":
    options["steps"] = 400  # five towers in a minute

# %% tags=["remove-output"]
began = time.perf_counter()
tower = TwoTower(**options).fit(train, content, split.validation)
took = time.perf_counter() - began
by_ids = TwoTower((), ids=True, **options).fit(train, {}, split.validation)

# %% tags=["hide-input", "remove-output"]
measured = {
    "two-tower, content": tower,
    "two-tower, ids": by_ids,
    "random": Random(seed),
    "popularity": Popularity(),
    "item-kNN": ItemKNN(),
    "content-kNN": ContentKNN(),
    "EASE": EASE(),
    "EASE + content": EASE(content_weight=1.0),
}
if data.truth is not None:
    measured["oracle"] = Oracle(data.truth)
for each in list(measured.values())[2:]:
    each.fit(train, content, split.validation)


def measure(recommender, name=None, **restriction):
    """Evaluate on the test part; the name is what tables say."""
    found = evaluate(recommender, split, k=K, **restriction)
    return replace(found, recommender=name or recommender.name)


evaluations = {name: measure(each, name) for name, each in measured.items()}
table = compare(list(evaluations.values()))
order = table["ndcg"].sort_values(ascending=False).index

# %% tags=["hide-input"]
for note in notes:
    display(Markdown(note))
for fault in faults:
    print(fault)
intervals = pd.DataFrame(
    {name: each.summary().loc["ndcg"] for name, each in evaluations.items()}
).T
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
sizes = np.diff(train.matrix.indptr)
ndcg = table["ndcg"]
quote(
    dataset=data.name,
    stand_in=stand_in,
    n_users=f"{train.n_users:,}",
    n_items=f"{data.n_items:,}",
    n_cold=f"{cold.sum():,}",
    n_train=f"{len(train):,}",
    n_test_users=f"{len(split.test_users):,}",
    history_median=f"{np.median(sizes[sizes > 0]):.0f}",
    took=f"{took:.0f}",
    content_ndcg=f"{ndcg['two-tower, content']:.3f}",
    ids_ndcg=f"{ndcg['two-tower, ids']:.3f}",
    popularity_ndcg=f"{ndcg['popularity']:.3f}",
    knn_ndcg=f"{ndcg['item-kNN']:.3f}",
)
placed = cold[evaluations["two-tower, content"].ranked].mean()
few_cold = (
    f"Items without interactions are {cold.mean():.1%} of the catalogue here, and get "
    f"{placed:.2%} of the places in the lists of the tower on content."
)
if not cold.any():
    few_cold = "(Here every item has interactions.)"
quote(
    cold_places=few_cold,
    cold_share=f"{placed:.2%}",
    short="These numbers, too, are those of the short training."
    if profile == "quick"
    else "",
)

# %% [markdown]
# After {glue:text}`recommend-took` seconds of training, the tower on content has an NDCG@10 of
# {glue:text}`recommend-content-ndcg`, and the tower on ids {glue:text}`recommend-ids-ndcg`. Popularity, which
# knows no user, has {glue:text}`recommend-popularity-ndcg`; item-kNN has {glue:text}`recommend-knn-ndcg`.

# %% tags=["hide-input"]
longer = evidence(dataset, "fusions", recommenders=["concatenation", "ids"])
sentence = "*How both towers compare over several seeds was not measured.*"
if longer and not stand_in:
    on_content, on_ids = (
        longer.row(name) for name in ("concatenation", "ids")
    )
    apart = (
        on_content["low"] > on_ids["high"]
        or on_ids["low"] > on_content["high"]
    )
    ahead = on_content["mean"] > on_ids["mean"]
    same = ahead == (ndcg["two-tower, content"] > ndcg["two-tower, ids"])
    sentence = (
        f"This training is short: {options['steps']} steps. "
        if profile == "quick"
        else "This is one seed. "
    ) + (
        "Where training goes on until the validation part stops it, the order of the two is "
        f"{'the same' if same else '**the other way round**'}: content has "
        f"{in_words(on_content)} and ids {in_words(on_ids)}, means over "
        f"{on_content['n_seeds']} seeds (evidence below)"
        + ("." if apart else "; their intervals overlap.")
    )
Markdown(sentence)

# %% [markdown]
# Three users: their last items on the left of the line, recommendations on the right.

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
        [list(dict.fromkeys(past[user]))[-3:] for user in some],
        lists[:, :4],
        [str(train.users[user]) for user in some],
    )
    sheet.set_size_inches(8.2, sheet.get_figheight())
    plots.show(
        sheet,
        alt="Three rows of small pictures, one a shopper: three things that they took, and "
        "after a line four that are recommended.",
    )
else:
    display(Markdown("*These items have no pictures.*"))

# %% [markdown]
# ## The data
#
# {glue:text}`recommend-dataset` has {glue:text}`recommend-n-users` users, {glue:text}`recommend-n-items` items
# and {glue:text}`recommend-n-train` training interactions, with a median of
# {glue:text}`recommend-history-median` for a user. {glue:text}`recommend-n-cold` items are *cold*: they have no
# training interaction. The split is that of {doc}`08_evaluation`.

# %% tags=["hide-input"]
display(
    plots.table(
        pd.DataFrame(
            {
                "modality": list(content),
                "entries of z": [each.shape[1] for each in content.values()],
                "items that have it": [
                    f"{each.any(axis=1).mean():.1%}"
                    for each in content.values()
                ],
            }
        )
    )
)
if {"text", "words"} <= set(content):
    display(
        Markdown(
            "Here `text` and `words` are two encodings of the *same* tags: one source, "
            "not two."
        )
    )

# %% [markdown]
# Each modality is one short vector of ready-made features ({doc}`01_data`). No language model, CNN or RNN takes
# part on this page; with the option `raw_features` they read raw media inside the tower. What stands beside an
# orange bar and ends with *Evidence* was measured before, with several seeds. All other numbers are live.
#
# ## The item tower
#
# The {term}`item tower` fuses the modalities of item $i$ by any $f$ of {doc}`06_fusion`, and gives *two* vectors.
# $v_i$ represents the item when it is a candidate, $h_i$ when it is part of a user's history. They differ:
# buying ink suggests that the user owns a printer, not that the user wants more ink.
#
# ```{math}
# :label: eq-item-tower
# \begin{aligned}
# f_i &= f\bigl(z_{\text{text}}, z_{\text{image}}, z_{\text{audio}};\;
#   p_{\text{text}}, p_{\text{image}}, p_{\text{audio}}\bigr) , \\
# v_i &= f_i\, W_v + e_i , \qquad h_i = f_i\, W_h + e'_i .
# \end{aligned}
# ```
#
# | symbol | what it is | shape |
# |---|---|---|
# | $z_m$, $p_m$ | vector of modality $m$, and whether the item has it | $d_m$, 0 or 1 |
# | $f_i$ | the fused vector | $d_f$ |
# | $W_v, W_h$ | weights | $d_f \times d$ each |
# | $e_i, e'_i$ | id {term}`embeddings <embedding>`; 0 for an item without a training interaction | $d$ each |
# | $v_i, h_i$ | the item as a candidate, and in a history | $d$ each |
#
# With ids alone, each item has two free vectors, as in {term}`matrix factorisation`. Ids can learn what no
# content shows, but overfit fast; the option `id_rate` lets them learn more slowly. Here there is content only.
#
# In NumPy, with the weights that were learnt: per modality one or two dense layers, the fusion
# {eq}`eq-concatenation`, and one matrix for each vector.


# %%
def gelu(a):
    """a · Φ(a), Φ the normal distribution: the activation between layers."""
    return a * special.ndtr(a)


layer = tower.tower.get_layer
dense = {
    name: [
        [weight.numpy() for weight in each.weights]
        for each in layer(f"{name}_encoder").layers
        if each.weights
    ]
    for name in content
}  # modality: (weights, bias) of each layer
fusion = layer("concatenation")
W_v = layer("candidate").matrices[0].numpy()  # (d_f, d)
W_h = layer("memory").matrices[0].numpy()

f = fusion.shift.numpy()
for m, name in enumerate(content):
    z = content[name]
    for depth, (W, shift) in enumerate(dense[name]):
        z = (gelu(z) if depth else z) @ W + shift
    p = content[name].any(axis=1, keepdims=True)  # the mask, (n_items, 1)
    W_m, c_m = fusion.weight[m].numpy(), fusion.absent[m].numpy()
    f = f + np.where(p, z @ W_m, c_m)
f = np.maximum(f, 0)  # ReLU, (n_items, d_f)

v, h = tower.item_vectors(), tower.history_vectors
known = np.any([each.any(axis=1) for each in content.values()], axis=0)
assert np.abs(f @ W_v - v)[known].max() < 1e-3
assert np.abs(f @ W_h - h)[known].max() < 1e-3
print(f"v and h: {v.shape}, as in the library")

# %% [markdown]
# In Keras the same tower is a short functional model. We compare the items that have all modalities:


# %%
def keras_item_tower(sizes, depth, d_f, d):
    """z of each modality → v and h, by the concatenation of the article."""
    given = [keras.Input((size,)) for size in sizes]
    encoded = []
    for z in given:
        x = z
        for _ in range(depth - 1):
            x = keras.layers.Dense(d_f, activation="gelu")(x)
        encoded.append(keras.layers.Dense(d_f)(x))
    if len(encoded) > 1:
        encoded = [keras.layers.Concatenate()(encoded)]
    f = keras.layers.Dense(d_f, activation="relu")(encoded[0])
    v = keras.layers.Dense(d, use_bias=False)(f)
    h = keras.layers.Dense(d, use_bias=False)(f)
    return keras.Model(given, [v, h])


# %% tags=["hide-input"]
sizes = [each.shape[1] for each in content.values()]
model = keras_item_tower(sizes, len(dense[name]), *W_v.shape)
learnt = [*zip(*dense.values(), strict=True)]  # first layers, then second ones
kernel = np.vstack([each.numpy() for each in fusion.weight])
filled = [layer for layer in model.layers if layer.weights]
for each, weights in zip(
    filled,
    [pair for depth in learnt for pair in depth]
    + [(kernel, fusion.shift.numpy()), (W_v,), (W_h,)],
    strict=True,
):
    each.set_weights(weights)
complete = np.all([each.any(axis=1) for each in content.values()], axis=0)
for ours, theirs in zip(
    (v, h), model([each[complete] for each in content.values()]), strict=True
):
    np.testing.assert_allclose(theirs, ours[complete], atol=1e-3)
print(f"the same v and h for {complete.sum():,} items")

# %% [markdown]
# No weight belongs to one item alone, so content is enough to compute $v_i$ of a new item.
#
# ## The user tower, and the score
#
# The {term}`user tower` reads the history $H_u$, the items that $u$ took before:
#
# ```{math}
# :label: eq-user-tower
# q_u = q_0 + \frac{1}{\lvert H_u \rvert^{\rho}} \sum_{j \in H_u} \bigl(h_j + r_{uj}\, R\bigr) .
# ```
#
# ```{math}
# :label: eq-two-tower-score
# \hat y_{ui} = \frac{q_u \cdot v_i}{\tau} + b_i .
# ```
#
# | symbol | what it is | shape |
# |---|---|---|
# | $q_u$ | vector of the user | $d$ |
# | $q_0$ | learnt; the vector of a user without a history | $d$ |
# | $\rho$ | learnt; with 1 the history is averaged, with 0 it is added up | number |
# | $r_{uj}$, $R$ | text vector of the review that $u$ wrote about $j$, and learnt weights; not used on this page | $d_r$, $d_r \times d$ |
# | $\tau$ | temperature, $\sqrt d / 2$ | number |
# | $b_i$ | learnt bias; for an item without training interactions, the mean of the others | number |
#
# An item that was taken again counts once. In training some entries of what is added to $q_0$ are set to 0 at
# random (`history_dropout`). With the option `cosine`, $q_u$ and $v_i$ are divided by their lengths, and
# $\tau$ is learnt. The list $L_u$ holds the $k$ items with the largest scores that $u$ has not taken. In NumPy:

# %%
b, tau = tower.item_biases, tower.temperature
free = tower.network.free_weights
q_0, rho = free["q_0"].numpy(), free["power"].numpy()

users = split.test_users[:200]
H = train.matrix[users].toarray()  # (200, n_items), 1 where taken
size = np.maximum(H.sum(axis=1, keepdims=True), 1)
q = q_0 + (H @ h) / size**rho  # the user tower: (200, d)
y = q @ v.T / tau + b  # the scores: (200, n_items)

difference = np.abs(y - tower.score(users)).max()
assert difference < 1e-4
print(f"ρ = {rho:.2f}; library and NumPy differ by at most {difference:.1e}")
quote(rho=f"{rho:.2f}", d=v.shape[1], difference=f"{difference:.0e}")

# %% [markdown]
# The learnt $\rho$ is {glue:text}`recommend-rho`. Below 1, a longer history gives a longer $q_u$, and so more
# decided scores.
#
# ## The loss
#
# To predict that $u$ took $i$, the model must not read $i$ in the history: it would learn to copy. So in each
# step every history is cut in two at random. From the part that is *kept*, each choice *held out* is predicted
# {cite}`liang2018`. It is compared with a set $S$ of items: those that are not in the kept part, and that had
# been *launched* (taken by anybody) by the time of the choice. With $N$ choices,
#
# ```{math}
# :label: eq-full-softmax
# \mathcal L = -\frac1N \sum_{(u,i)} \ln P(i \mid u), \qquad
# P(i \mid u) = \frac{e^{\hat y_{ui}}}{\sum_{j \in S} e^{\hat y_{uj}}} .
# ```
#
# This is the cross-entropy ({doc}`01b_learning`) of a softmax over the {term}`catalogue`. The simulated
# shoppers choose in the same way from a shelf, {eq}`eq-choice`. We keep the first half of some histories, and
# predict the second:

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

S = kept[u[held]] == 0  # (N, n_items): the mask of what is compared
launch = np.zeros(data.n_items, np.int64)
now = np.zeros(held.sum(), np.int64)
if train.has_times:
    launch[:] = np.iinfo(np.int64).max
    first = train.log.groupby("item")["timestamp"].min()
    launch[first.index] = first
    now = log["timestamp"].to_numpy()[held]
    S &= launch <= now[:, None]

logits = np.where(S, y[u[held]], -1e9)  # (N, n_items)
loss = (special.logsumexp(logits, axis=1) - y[u[held], i[held]]).mean()
crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
by_keras = float(crossentropy(i[held], logits))
assert abs(loss - by_keras) < 1e-3
print(f"{held.sum()} choices: NumPy {loss:.4f} nats, Keras {by_keras:.4f}")

# %% tags=["remove-cell"]
by_launch = np.argsort(launch, kind="stable")
last = np.searchsorted(launch[by_launch], now, side="right") - 1
by_library = float(
    choice_loss(
        y[:, by_launch].astype(np.float32),
        kept[:, by_launch],
        u[held],
        np.argsort(by_launch)[i[held]],
        last if train.has_times else None,
    )
)
assert abs(loss - by_library) < 1e-3

# %% [markdown]
# The mean counts *choices*, so people with many interactions decide what is learnt. With the option
# `user_exponent`, $\beta$, a choice of a user with $n$ choices held out has the weight $n^{-\beta}$; with
# $\beta = 1$ every *user* counts the same.
#
# The optimiser is AdamW {cite}`loshchilov2019` with learning rate {glue:text}`recommend-rate` and weight decay
# {glue:text}`recommend-decay` (with 0 it is Adam). The weights are averaged over the last steps
# {cite}`polyak1992`. In each step an item goes through the item tower once, however many histories contain it.

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(8.2, 3.2), layout="constrained")
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
quote(
    steps=int(steps[-1]),
    best_step=int(steps[quality.argmax()]),
    rate=tower.learning_rate,
    decay=tower.weight_decay,
    guessing=f"{np.log(data.n_items):.2f}",
    loss_first=f"{tower.history['loss'][0]:.2f}",
    loss_best=f"{tower.history['loss'][int(quality.argmax())]:.2f}",
)

# %% [markdown]
# A guess among all items would cost $\ln n_{\text{items}} =$ {glue:text}`recommend-guessing` nats. The loss falls
# from {glue:text}`recommend-loss-first` to {glue:text}`recommend-loss-best` at step
# {glue:text}`recommend-best-step` of {glue:text}`recommend-steps`, the best on validation; its weights are kept.
#
# ### What is a choice compared with?
#
# In most papers a choice is compared with *all* items. In a shop, an item launched in the last month of training
# has few purchases because it was there for one month. A softmax over everything takes this for a lack of
# interest. The same tower with and without the rule of launches, on all choices, and on those of the quarter of
# the warm items that were launched last:

# %% tags=["remove-output"]
if train.has_times:
    anytime = TwoTower(**options, by_launch=False)
    anytime.fit(train, content, split.validation)

# %% tags=["hide-input"]
if train.has_times:
    seen_from = pd.Series(launch)[~cold]
    young = np.zeros(data.n_items, bool)
    young[seen_from.index[seen_from >= seen_from.quantile(0.75)]] = True
    by_age = []
    for name, each in [
        ("what had been launched", tower),
        ("all items", anytime),
    ]:
        found = measure(each)
        row = {
            "a choice is compared with": name,
            "NDCG, all": found.per_user["ndcg"].mean(),
            "NDCG, launched late": np.nan,
            "share of places for items launched late": young[
                found.ranked
            ].mean(),
        }
        if split.test.matrix[split.test_users][:, young].nnz:
            late = measure(each, relevant_items=young).per_user["ndcg"]
            row["NDCG, launched late"] = late.mean()
        by_age.append(row)
    by_age = pd.DataFrame(by_age)
    display(plots.table(by_age))
    ages = by_age.iloc[:, 1:3].to_numpy(float)
    change = ages[0] / np.where(ages[1] > 0, ages[1], np.nan) - 1
    sentence = (
        f"With the rule, NDCG@{K} changes by {change[0]:+.0%} on all choices"
        + (
            f", and by {change[1]:+.0%} on items launched late"
            if np.isfinite(change[1])
            else ""
        )
        + f". Of the test choices, {young[split.test.log['item']].mean():.0%} "
        "are of such items."
    )
else:
    sentence = (
        "*These interactions have no times: nobody knows when an item was launched, "
        "and the rule has no effect.*"
    )
Markdown(sentence)

# %% [markdown]
# ## Cheaper: the choices of the batch
#
# With millions of items, one compares a choice with the other choices of the batch, by an
# {term}`in-batch softmax`. There item $j$ occurs in proportion to $\pi_j$, its share of all training pairs, and
# popular items are wrong answers too often. The {term}`logQ correction` subtracts the logarithm of that share
# {cite}`bengio2008,yi2019`. For a batch of choices $(u_1, i_1), \dots, (u_B, i_B)$,
#
# ```{math}
# :label: eq-logq
# \mathcal L_{\text{batch}} = -\frac1B \sum_{b=1}^{B}
#   \ln \frac{e^{\hat y_{u_b i_b} - \ln \pi_{i_b}}}
#            {\sum_{b'=1}^{B} e^{\hat y_{u_b i_{b'}} - \ln \pi_{i_{b'}}}} .
# ```
#
# The reason: with $j$ drawn from $\pi$, the expectation of $e^{\hat y_{uj}} / \pi_j$ is
# $\sum_j \pi_j\, e^{\hat y_{uj}} / \pi_j$, the denominator of {eq}`eq-full-softmax`. As there, items that the
# user kept, and items launched after the choice, are left out of the sum. In NumPy, and by a layer of
# keras-rs:

# %%
generator = np.random.default_rng(seed)
pi = generator.dirichlet(np.ones(6)).astype(np.float32)  # six choices
logits = generator.normal(size=(6, 6)).astype(np.float32)  # ŷ of each pair
corrected = logits - np.log(pi)
layer = keras_rs.layers.SamplingProbabilityCorrection()
np.testing.assert_allclose(layer(logits, pi), corrected, atol=1e-5)
loss = (special.logsumexp(corrected, axis=1) - np.diag(corrected)).mean()
by_keras = float(crossentropy(np.arange(6), layer(logits, pi)))
assert abs(loss - by_keras) < 1e-5

# %% [markdown]
# What does the correction do? Eight kinds of shoppers choose among forty items, with a known $P(i \mid u)$. Some
# items are a hundred times as popular as others. Two tables of scores, without any towers, learn from the same
# batches: one with the correction, one without (with the same $\pi$ for all items).

# %% tags=["hide-input"]
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
figure, axes = plt.subplots(
    1, 2, figsize=(8.2, 3.8), layout="constrained", sharex=True, sharey=True
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
uncorrected = tables["without correction"].ravel()
lift = centred(np.log(P / pi))
top = {
    name: (found.argmax(axis=1) == truth.argmax(axis=1)).sum()
    for name, found in tables.items()
}
quote(
    logq_without=f"{errors['without correction']:.2f}",
    logq_with=f"{errors['with correction']:.2f}",
    logq_lift=f"{np.corrcoef(uncorrected, lift.ravel())[0, 1]:.2f}",
    logq_correlation=f"{np.corrcoef(uncorrected, truth.ravel())[0, 1]:.2f}",
    logq_top_without=top["without correction"],
    logq_top_with=top["with correction"],
)

# %% [markdown]
# With the correction the mean error is {glue:text}`recommend-logq-with` nats, without it
# {glue:text}`recommend-logq-without` nats. The item with the largest learnt score is the true favourite of
# {glue:text}`recommend-logq-top-with` of the eight kinds of shoppers with the correction, and of
# {glue:text}`recommend-logq-top-without` without it. What is learnt without the correction is $\ln\bigl(P(i \mid u)/\pi_i\bigr)$: how much *more* than others a shopper wants an item. The
# correlation with that is {glue:text}`recommend-logq-lift`, with $\ln P$ itself
# {glue:text}`recommend-logq-correlation`. Exercise 2 asks why.
#
# ## Against the baselines
#
# {term}`Baselines <baseline>` often win where somebody tunes them {cite}`ferraridacrema2019`. Besides those of
# {doc}`08_evaluation` the library has BPR {cite}`rendle2009`, BPR with content (VBPR {cite}`he2016`), and LightGCN
# {cite}`he2020`, which spreads vectors along the graph of users and items. Other published multimodal
# recommenders spread content along graphs (MMGCN {cite}`wei2019`, LATTICE {cite}`zhang2021`, FREEDOM
# {cite}`zhou2023freedom`) or align it with ids (BM3 {cite}`zhou2023bm3`).
#
# The comparison has the baselines and the towers on simple features: single modalities, fusions, ids alone, and
# content with ids. A baseline that is solved and not trained has one run and no interval over seeds. Where
# options were searched for a data set (`results/settings`), all arms use them; elsewhere they have their
# defaults, and tuned baselines would be stronger.

# %% tags=["hide-input"]
ARMS = ["ndcg", "hit_rate", "item_coverage"]
arms = evidence(dataset, ("fusions", "baselines"), ARMS)
rival = best(committed(), dataset, "baseline") if arms else None
display(arms)


def gain(name, against, level="fusions"):
    """A relative gain in NDCG@10 in words; that it is open where not measured."""
    found = evidence(dataset, level, against=against, recommenders=[name])
    return in_words(found.row(name)) if found else "open: not measured yet"


sentences = []
if rival:
    rows = committed().measures
    rows = rows[
        rows["dataset"].eq(dataset) & rows["experiment"].eq("baselines")
    ]
    asked = rows.loc[rows["split"].eq("validation"), "recommender"].unique()
    lacking = set(rows["recommender"]) - {*asked, "oracle", "random"}
    sentences.append(
        f"The baseline that was best on validation is **{rival}**"
        + (
            f", among {' and '.join(asked)}; of the others no validation result "
            "is committed"
            if lacking
            else ""
        )
        + f". In NDCG@10, concatenation gains {gain('concatenation', rival)} over "
        f"it, and {gain('concatenation', 'ids')} over the same tower on ids alone."
    )
means = pd.DataFrame()
if arms:
    means = arms.table[arms.table["metric"].eq("ndcg")]
    means = means.set_index("recommender")
if {"concatenation", "concatenation + ids"} <= set(means.index):
    alone, together = (
        means.loc[f"concatenation{more}"] for more in ("", " + ids")
    )
    sentences.append(
        "Over seeds, content with ids is "
        + (
            "worse than content alone. A possible reason is that ids let the tower "
            "fit the training purchases without content."
            if together["high"] < alone["low"]
            else "better than content alone."
            if together["low"] > alone["high"]
            else "not clearly different from content alone."
        )
    )
if {"concatenation", "oracle"} <= set(means.index):
    share = means.loc["concatenation", "mean"] / means.loc["oracle", "mean"]
    sentences.append(
        f"Concatenation reaches {share:.0%} of the oracle's NDCG@10."
    )
Markdown(" ".join(sentences))

# %% [markdown]
# Simple features are no language model, no CNN and no RNN. The same comparison can be made with other encoders in
# the same towers.

# %% tags=["hide-input"]
if rival:
    display(
        arms.shown(
            pd.DataFrame(
                {
                    "encoders": [LEVELS[level].title for level in TOWERS],
                    f"concatenation over {rival}, NDCG@10": [
                        gain("concatenation", rival, level) for level in TOWERS
                    ],
                }
            )
        )
    )
else:
    display(arms)

# %% [markdown]
# A gain counts only if its whole interval is above zero; the verdict is that of [A6](#claim-a6).
#
# ### Warm and cold items
#
# Live again. In the first two columns only some items count as relevant, in lists over the whole catalogue. In
# the last column only these items compete.

# %% tags=["hide-input"]
few, few_name = cold, "cold"
wanted = split.test.matrix[split.test_users].sum(axis=0) > 0  # by those tested
if not (wanted & cold).any():
    counts = train.matrix.sum(axis=0)
    rare = max(np.quantile(counts, 0.25), counts[wanted].min())
    few, few_name = counts <= rare, "rarely taken"
themselves = f"{few_name}, among themselves"
columns = {
    "warm": {"relevant_items": ~cold},
    few_name: {"relevant_items": few},
    themselves: {"candidates": few},
}
apart, met = {}, {}
for column, restriction in columns.items():
    found = [
        measure(each, name, **restriction) for name, each in measured.items()
    ]
    apart[column] = compare(found)["ndcg"]
    met[column] = len(found[0].users)
apart = pd.DataFrame(apart).loc[order].rename_axis(index=None)
by_content, ids_only = (
    apart.loc[f"two-tower, {name}"] for name in ("content", "ids")
)
quote(
    few=few_name,
    cold_content=f"{by_content[few_name]:.3f}",
    cold_ids=f"{ids_only[few_name]:.3f}",
    cold_random=f"{apart.loc['random', themselves]:.3f}",
    cold_content_among=f"{by_content[themselves]:.3f}",
    cold_ids_among=f"{ids_only[themselves]:.3f}",
    warm_content=f"{by_content['warm']:.3f}",
    warm_ids=f"{ids_only['warm']:.3f}",
)
plots.table(
    apart.rename(columns=lambda name: f"{name} ({met[name]:,} users)"),
    index=True,
)

# %% [markdown]
# On warm items the tower has {glue:text}`recommend-warm-content` from content and
# {glue:text}`recommend-warm-ids` from ids. On items that are {glue:text}`recommend-few` it has
# {glue:text}`recommend-cold-content` and {glue:text}`recommend-cold-ids`; among themselves
# {glue:text}`recommend-cold-content-among` and {glue:text}`recommend-cold-ids-among`, where random lists have
# {glue:text}`recommend-cold-random`. {glue:text}`recommend-short` Ids give all items without interactions the same
# vector, and so the same score: among themselves they stand in the order of the catalogue, which says nothing.
#
# Does fusion help with new items? To measure it, whole items are held back from training, and only these are
# tested.

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
        verdict = "better than"
    elif fused["high"] < top["low"]:
        verdict = "*worse* than"
    else:
        verdict = "not clearly different from"
    display(
        Markdown(
            f"On new items, concatenation ({fused['mean']:.4f}) is {verdict} the best single "
            f"modality there, {most} ({top['mean']:.4f}), by their intervals over seeds."
        )
    )

# %% [markdown]
# ## New users
#
# A new user has no history, hence $q_u = q_0$. After the first purchase {eq}`eq-user-tower` gives them a vector
# of their own, without any training. To measure this, the tower reads only the last $n$ items of test users with
# a long history. (It was trained with these users among many others; exercise 4 leaves them out.)

# %% tags=["hide-input", "remove-output"]
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
        ends = [past[user][len(past[user]) - n :] for user in long]
        ranked = top_k(recommender.score_histories(ends), K, exclude=owned)
        values = metrics.ndcg(ranked, wanted)
        error = 1.96 * values.std(ddof=1) / np.sqrt(len(long))
        rows.append((values.mean(), error))
    return np.array(rows)


def of_long(name):
    """NDCG of the same users by a recommender that knows all of them."""
    ranked = top_k(measured[name].score(long), K, exclude=owned)
    return metrics.ndcg(ranked, wanted).mean()


curve = by_length(tower)
levels = {
    name: of_long(name)
    for name in ("popularity", "EASE", "oracle")
    if name in measured
}
if data.truth is not None:  # a tower that reads the true attributes
    factors = data.truth.item_factors
    factors = factors[[f for f in factors if not f.startswith("pair: ")]]
    attributes = {"attributes": factors.to_numpy(np.float32)}
    knowing = TwoTower(**options).fit(train, attributes, split.validation)
    knowing_ndcg = measure(knowing).per_user["ndcg"].mean()
    knowing_curve = by_length(knowing)

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(8, 3.8), layout="constrained")
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
axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(
    figure,
    alt="NDCG against the number of known history items, with intervals: it rises with every "
    "further item. Horizontal lines for popularity, EASE and, where there is one, "
    "the oracle.",
)
quote(
    longest=longest,
    n_long=f"{len(long):,}",
    curve_0=f"{curve[0, 0]:.3f}",
    curve_1=f"{curve[1, 0]:.3f}",
    curve_last=f"{curve[-1, 0]:.3f}",
    level_popularity=f"{levels['popularity']:.3f}",
    level_rival=f"{levels['EASE']:.3f}",
)

# %% [markdown]
# For these {glue:text}`recommend-n-long` users, the tower has {glue:text}`recommend-curve-0` with no item known,
# {glue:text}`recommend-curve-1` with one, and {glue:text}`recommend-curve-last` with
# {glue:text}`recommend-longest`. Popularity has {glue:text}`recommend-level-popularity`. EASE, which reads their
# whole history, has {glue:text}`recommend-level-rival`.
#
# ### How far can one get?
#
# Where shoppers are simulated, the oracle ranks by their true tastes. A tower that reads the items' true
# attributes loses nothing in the media. So we can see *where* the rest of the oracle's NDCG is lost.

# %% tags=["hide-input"]
if data.truth is not None:
    level, reading = (ndcg[name] for name in ("oracle", "two-tower, content"))
    sentence = (
        f"The oracle's NDCG@{K} is {level:.3f}. In this "
        f"{'short ' if profile == 'quick' else ''}training the tower reaches "
        f"{reading / level:.0%} of it from media, and {knowing_ndcg / level:.0%} "
        "from the true attributes."
    )
    if {"concatenation", "oracle"} <= set(means.index):
        sentence += (
            " Trained until validation stops it, over several seeds (evidence), it reaches "
            f"{share:.0%} of the oracle from media."
        )
    if {"ideal observer", "oracle"} <= set(means.index):
        limit = means.loc["ideal observer", "mean"]
        limit /= means.loc["oracle", "mean"]
        sentence += (
            " The *ideal observer* knows the true attributes and infers a taste from the "
            f"same history; nobody can do better. It reaches {limit:.0%} of the oracle "
            "(evidence). So no encoder, however good, closes the rest of the gap."
        )
    sentence += (
        " What is lost there is lost in guessing tastes: a shopper's taste has "
        f"{factors.shape[1]} entries, and the {np.median(lengths):.0f} choices of the "
        "median test user, partly random, show it."
    )
else:
    sentence = (
        "*Nobody knows the true tastes of real users, so there is no oracle here; on `shop` "
        "this paragraph compares the tower with one that reads the true attributes.*"
    )
Markdown(sentence)

# %% [markdown]
# ## A new item
#
# A new item has content, and that is enough. A cold item's features, scored as if they had arrived this minute,
# get the same scores as in the catalogue:

# %%
example = int(np.flatnonzero(cold)[0]) if cold.any() else 0
arrived = {name: array[[example]] for name, array in content.items()}
scores = tower.score_new_items(split.test_users, arrived)  # (n_users, 1)
if cold.any():
    within = tower.score(split.test_users, np.array([example]))
    assert np.abs(scores - within).max() < 1e-4

# %% [markdown]
# We can also score an item that does not exist, with each modality from another item, and compare its score with
# those of all items that the user does not have.

# %% tags=["hide-input"]
generator = np.random.default_rng(seed)
parents = generator.choice(np.flatnonzero(~cold), 3, replace=False)
mixture = {
    name: array[[row]]
    for (name, array), row in zip(content.items(), parents, strict=False)
} | {name: array[[parents[-1]]] for name, array in list(content.items())[3:]}
entry = tower.score_new_items(split.test_users, mixture)
everything = tower.score(split.test_users)
not_owned = train.matrix[split.test_users].toarray() == 0
rank = 1 + ((everything > entry) & not_owned).sum(axis=1)
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
    f"{len(rank):,} users; its median place is {np.median(rank):.0f} "
    f"of {data.n_items:,}."
)

# %% [markdown]
# ## Retrieval
#
# To serve a list, no network runs: all items' vectors are computed beforehand. With $1$ appended to $q_u$ and
# $b_i$ to $v_i/\tau$, one product of matrices scores the whole catalogue:

# %%
asked = split.test_users
Q = tower.user_vectors([past[user] for user in asked])  # (n_users, d)
Q = np.hstack([Q, np.ones((len(Q), 1))]).astype(np.float32)
V = np.hstack([v / tau, b[:, None]]).astype(np.float32)  # (n_items, d + 1)
index = Index(V)
began = time.perf_counter()
ranked, _ = index.search(Q, K, exclude=train.matrix[asked])
milliseconds = 1000 * (time.perf_counter() - began)
same = (ranked == tower.recommend(asked, k=K)).mean()
assert same > 0.999
print(f"{len(Q):,} users × {len(V):,} items: {same:.1%} equal to the library")
quote(
    per_user=f"{1000 * milliseconds / len(Q):.0f}",
    kilobytes=f"{V.nbytes / 1e3:,.0f}",
)

# %% [markdown]
# This takes {glue:text}`recommend-per-user` microseconds a user, and the catalogue fills
# {glue:text}`recommend-kilobytes` kB. With millions of items, `Index(V, approximate=True)` searches a graph of
# neighbours and finds nearly all of the best ([how many, and in what time](../performance.md)).
#
# ## Why this item?
#
# Since {eq}`eq-user-tower` is a sum, so is the score. Without its mean over the catalogue it has a part that is
# the same for everybody, and one share for each item of the history:
#
# ```{math}
# :label: eq-shares
# \begin{aligned}
# \hat y_{ui} - \bar y_u ={}&
#   \underbrace{\frac{q_0 \cdot (v_i - \bar v)}{\tau} + b_i - \bar b}_{\text{for everybody}} \\
#   &+ \sum_{j \in H_u}
#   \underbrace{\frac{h_j \cdot (v_i - \bar v)}{\tau\, \lvert H_u \rvert^{\rho}}}_{\text{share of } j} .
# \end{aligned}
# ```
#
# $\bar v$, $\bar b$ and $\bar y_u$ are means over the catalogue. In NumPy, and by the library:

# %%
shopper = int(split.test_users[lengths.argsort()[len(lengths) // 2]])
history = list(dict.fromkeys(past[shopper]))
listed = tower.recommend(np.array([shopper]), k=5)[0]
apart_v = v[listed] - v.mean(axis=0)
everybody = apart_v @ q_0 / tau + b[listed] - b.mean()
shares = apart_v @ h[history].T / (tau * len(history) ** rho)

library = history_shares(tower, history, listed)
np.testing.assert_allclose(everybody, library[0], atol=1e-3)
np.testing.assert_allclose(shares, library[1], atol=1e-3)
score = tower.score(np.array([shopper]))[0]
gap = np.abs(everybody + shares.sum(axis=1) - (score[listed] - score.mean()))
print(f"the shares add up to the score, but for {gap.max():.1e}")

# %% [markdown]
# Which *modality* decided is another question. `list_shares` scores an item with every choice of its modalities,
# and shares the score among them by the Shapley values of {doc}`14_explained`: what picture and text both say is
# halved between them. The command line gives both reasons:
#
# ```
# mmtutorial recommend --dataset shop --user u0012
# ```
#
# One of the users from above, with the reasons and the items that they name:

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
            f"{place}. {each.sentence(titles)}"
            + (" (and it was taken later)" if taken_since[each.item] else "")
            for place, each in enumerate(why, start=1)
        ],
    )
)
named = list(dict.fromkeys(row for each in why for row in each.because))
display(plots.gallery(data, named, ["taken before"] * len(named)))

# %% [markdown]
# Over the lists of forty users:

# %% tags=["hide-input"]
asked = generator.permutation(split.test_users)[:40]
ranked = tower.recommend(asked, k=K)
taken_by = [list(dict.fromkeys(past[user])) for user in asked]
shares = list_shares(tower, taken_by, ranked, content)
decided = pd.DataFrame(
    {name: each[ranked >= 0] for name, each in shares.items()}
)
summary = pd.DataFrame(
    {
        "share of the score (mean)": decided.mean(),
        "has the largest share (of places)": decided.fillna(-np.inf)
        .idxmax(axis=1)
        .value_counts(normalize=True),
    }
).fillna(0)
display(plots.table(summary, index=True))
most = summary["has the largest share (of places)"].idxmax()
Markdown(
    f"At {summary.loc[most].iloc[1]:.0%} of the places, `{most}` has the largest share of "
    "the score. (Chapter 6b asks the same of another tower, with a training of its own.)"
)

# %% [markdown]
# ## Real listeners
#
# `lastfm` has *real* users, and a split that was published with it. The field reports lists of twenty there, and
# uses two rules for what is left out of a list. Numbers of the two tables must not be compared.

# %% tags=["hide-input"]
for rule in ("train items", "train and validation items"):
    real = evidence(
        "lastfm",
        ("fusions", "baselines"),
        ["ndcg", "recall"],
        split=f"default, without {rule}",
        k=20,
    )
    display(Markdown(f"**Left out: {rule}**"), real)
if real:
    rows = real.table[real.table["metric"].eq("ndcg")]
    rows = rows.set_index("recommender")
    no_content = ["ids", "BPR", "LightGCN", "item-kNN", "EASE", "popularity"]
    without = rows[rows.index.isin(no_content)]
    read = rows.drop(index=[*without.index, "random"])
    firsts = [each["mean"].idxmax() for each in (without, read)]
    display(
        Markdown(
            f"In the second table, the best that reads no content is {firsts[0]} "
            f"({in_words(rows.loc[firsts[0]])}), and the best that reads content is "
            f"{firsts[1]} ({in_words(rows.loc[firsts[1]])}). Both were picked by this "
            "very table, so their distance is a description and not a test. `text` and "
            "`words` are two encodings of the same tags: a row that reads both reads "
            "one source."
        )
    )

# %% tags=["remove-cell"]
used = plots.resources(started)
quote(
    minutes=f"{used['seconds'] / 60:.1f}",
    memory=f"{used['peak_mb'] / 1000:.1f}",
    cores=int(used["cores"]),
)

# %% [markdown]
# ## What the article says, and what we measured
#
# The article's fusion gives a user representation and a content representation, from which recommendations are
# made. Its code has one tower, and a user occurs in it only as the item taken last.
#
# | row | the article | here |
# |---|---|---|
# | [A6](#claim-a6) | a unified representation of users and of content | $q_u$ and $v_i$, {glue:text}`recommend-d` numbers each, from two towers; NumPy agrees to within {glue:text}`recommend-difference` |
# | [A7](#claim-a7) | recommendations from them | one product and the largest $k$: {glue:text}`recommend-per-user` µs a user. New users are served. New items can be listed: items without interactions get {glue:text}`recommend-cold-share` of the places. What was taken is left out |
# | [C1](#claim-c1) | ≥ 10 % more accurate than a single modality | single modalities against their fusion, over the same tower: {doc}`06b_fusion_measured`; the verdict: {doc}`09_reproduction` |
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
# without, and $\ln 9$ with. The cell below computes both.
# ```

# %% tags=["hide-cell"]
pi = np.array([0.9, 0.1])
for P in (np.array([0.5, 0.5]), pi):
    for label, learnt in [("without", np.log(P / pi)), ("with", np.log(P))]:
        print(f"P = {P}, {label} the correction: {learnt[0] - learnt[1]:+.2f}")

# %% [markdown]
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

# %% tags=["hide-cell"]
n, d, B = 10**6, 128, 4096
for label, against in [("full", n), ("batch", B)]:
    print(
        f"{label:5}: {B * against * d:.1e} products, {4 * B * against:.1e} bytes"
    )
print(f"one user: {n * d:.1e} products; all v: {4 * n * d:.1e} bytes")

# %% [markdown]
# **4.** (Run it.) The users of the section on new users took part in the training. Take a fifth of them out of
# the training part, train again, and compare their NDCG, when the tower reads their histories, with that
# of the tower that was trained with them.
#
# ```{dropdown} Solution
# The tower has no parameter that belongs to a user, so it serves new users as it serves all others. But its
# item vectors were fitted to the choices of those it was trained with, and there are a fifth fewer users to
# learn from. What both cost together, the cells below compute; these users' validation interactions are left
# out too.
# ```

# %% tags=["hide-input", "remove-output"]
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
# and measure. And at what place does an item stand in its own row of $h V^\top$?
#
# ```{dropdown} Solution
# The cell below prints both. A place near the top means that users want items like those they took. That
# is so for shoppers whose tastes do not change. It does not follow that the two vectors are the same:
# nothing in the loss ties them together, and $v \cdot v$ is not a score.
# ```

# %% tags=["hide-cell"]
warm_rows = np.flatnonzero(~cold)
by_itself = h[warm_rows] @ v[warm_rows].T
place = 1 + (by_itself > np.diag(by_itself)[:, None]).sum(axis=1)
print(f"median place of an item in its own row: {np.median(place):.0f}")
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
# With $\rho = 1$ it is the same for both: two purchases count as much as fifty, although two may be chance.
# With $\rho = 0$ Ann's is 25 times Bob's, as if each purchase were independent evidence. With $\rho = 1/2$ it is
# $\sqrt{25} = 5$ times. If purchases repeat each other, the truth is in between; the tower learnt $\rho$ =
# {glue:text}`recommend-rho`.
# ```

# %% tags=["hide-cell"]
for power in (1, 0.5, 0):
    print(
        f"ρ = {power}: Ann's is {(50 / 50**power) / (2 / 2**power):.0f} × Bob's"
    )
