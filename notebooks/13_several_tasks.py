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
# # Several tasks at once
#
# **You will be able to**
#
# - give a recommender further tasks that share its encoders, and write their common loss;
# - weigh tasks by a number, or by a variance that is learnt with the network;
# - measure whether two tasks' gradients agree, and remove what conflicts;
# - say with how many interactions a second task helps, and test it with an equal budget.
#
# ## The result first
#
# The article proposes to learn other tasks along with the fusion, such as classifying pictures or generating
# text ([F3](#claim-f3)). Below, one in five of the training interactions is kept. Each bar is the same
# two-tower recommender with the same number of steps. Some of them also learn what an item is, how users rate it
# and the next word of its text.

# %% tags=["parameters"]
profile = "quick"  # short training; "full": until validation stops it
dataset = "shop"  # or "garments", "films", or a folder with labels
seed = 0

# %% tags=["hide-input"]
import time
from dataclasses import replace
from functools import partial

from mmtutorial import plots  # first: it quiets TensorFlow

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf
from IPython.display import Markdown, display
from threadpoolctl import threadpool_limits

from mmtutorial.equations.multi_task import (
    gradient_cosine,
    uncertainty_weighted,
    without_conflict,
)
from mmtutorial.evaluation import cold_items, evaluate
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.preprocessing.labels import labels_of
from mmtutorial.recommenders import SeveralTasks
from mmtutorial.reproduce.evidence import evidence, in_words
from mmtutorial.reproduce.notebooks import opened, quote
from mmtutorial.reproduce.settings import has_ready_made, tower_options
from mmtutorial.reproduce.tasks import ONE_TASK, SEVERAL

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
threadpool_limits(1)
quote = partial(quote, "several")
colours = sns.color_palette("colorblind")
started = time.perf_counter()

# %% tags=["hide-input", "remove-output"]
SHARE = 0.2  # of the training interactions
ALL_TASKS = "with all three"


def usable(each):
    """Say whether a data set has a further task to learn, and something to read."""
    there = each.present().any(axis=0).any() or bool(each.features)
    return there and bool(labels_of(each, np.ones(each.n_items, bool)).tasks)


data, split, stand_in, notes = opened(dataset, seed, usable)
chosen = np.random.default_rng(seed).random(len(split.train)) < SHARE
few = replace(split, train=split.train.where(chosen))
known = ~cold_items(few)
content, _ = ready_features(data, known)
labels = labels_of(data, known)
options = tower_options(has_ready_made(data), profile)
if profile == "quick":
    options |= {"steps": 200, "patience": 200}


def learnt(tasks, **how):
    """Fit a tower with these tasks beside recommending."""
    tower = SeveralTasks(
        tasks=tasks, labels=labels, seed=seed, **options, **how
    )
    return tower.fit(few.train, content, few.validation)


towers = {ONE_TASK: learnt(())}
if len(labels.tasks) > 1:
    towers[f"with {labels.tasks[0]}"] = learnt(labels.tasks[:1])
    towers[ALL_TASKS] = learnt(labels.tasks)
else:
    towers[ALL_TASKS] = learnt(labels.tasks)
ndcg = {
    name: evaluate(tower, few).summary()["mean"]["ndcg"]
    for name, tower in towers.items()
}

# %% tags=["hide-input"]
for note in notes:
    display(Markdown(note))
figure, axis = plt.subplots(figsize=(7, 2.4), layout="constrained")
names = list(ndcg)[::-1]
axis.barh(
    names,
    [ndcg[name] for name in names],
    color=[colours[0] if name == ONE_TASK else colours[1] for name in names],
)
axis.set(xlabel="NDCG@10")
plots.show(
    figure,
    "Bars: NDCG@10 of the tower that learns to recommend alone, with one further task, "
    "and with all three.",
)

# %% tags=["remove-cell"]
quote(
    dataset=data.name,
    stand_in=stand_in,
    n_train=f"{len(few.train):,}",
    n_whole=f"{len(split.train):,}",
    share=f"{SHARE:.0%}",
    steps=f"{options['steps']:,}",
    alone=f"{ndcg[ONE_TASK]:.3f}",
    all=f"{ndcg[ALL_TASKS]:.3f}",
    gain=f"{ndcg[ALL_TASKS] / ndcg[ONE_TASK] - 1:+.0%}",
    tasks=", ".join(labels.tasks),
    n_kinds=len(labels.kinds),
)

# %% [markdown]
# Data set {glue:text}`several-dataset`: {glue:text}`several-n-train` of {glue:text}`several-n-whole` training
# interactions, {glue:text}`several-steps` steps, one seed. With all tasks NDCG@10 changes by
# {glue:text}`several-gain`. One seed decides nothing: the section on the evidence says what is measured.
#
# ## The idea in words
#
# A recommender learns what an item is only through who takes it. Where interactions are few, it learns little.
# The labels of items say it directly: a picture shows a kettle, a review says "never dull". A network that must
# also predict these labels has to keep them in its item vectors. This is *multi-task learning*
# {cite}`caruana1997`. The tasks share the encoders and the fusion, and each task has a small *head* of its own on
# top. After learning, the heads are dropped. What is saved and served is a two-tower recommender like any other.
#
# A further task can also hurt, for two reasons. It takes room in the vectors for what no user cares about.
# And its gradients may point against those of the recommender.
#
# ## The losses
#
# Task 1 is recommending, with the softmax loss {eq}`eq-full-softmax`. The common loss adds the others:
#
# $$
# \mathcal L = \mathcal L_1 + w \sum_{a=2}^{A} \mathcal L_a .
# $$ (eq-multi-task)
#
# The three further tasks, with $x_i = [v_i, h_i]$, the two vectors of an item:
#
# $$
# \mathcal L_{\text{kind}} = - \frac{1}{n} \sum_{i} \sum_{c} y_{ic}
# \ln \operatorname{softmax}(x_i W_c + b_c)_c
# $$ (eq-kind-task)
#
# $$
# \mathcal L_{\text{rating}} = \frac{1}{N} \sum_{(u, i)} \bigl( r_{ui}
# - (q_u \odot v_i) \cdot \omega - v_i \cdot \omega' - q_u \cdot \omega'' - b \bigr)^2
# $$ (eq-rating-task)
#
# $$
# \mathcal L_{\text{words}} = - \frac{1}{T} \sum_{t} \ln \operatorname{softmax}
# \bigl( \operatorname{GELU}(E_{w_{t-1}} + x_i W_x)\, W_y \bigr)_{w_t}
# $$ (eq-words-task)
#
# | symbol | what it is | shape |
# |---|---|---|
# | $A$, $a$ | how many tasks, and one of them | |
# | $w$ | weight of the further tasks | number ≥ 0 |
# | $y_{ic}$ | 1 if item $i$ is of kind $c$; shares where it is of several | 0–1 |
# | $W_c, b_c$ | head of the kinds | $2d \times n_{\text{kinds}}$, $n_{\text{kinds}}$ |
# | $r_{ui}$ | rating, in standard deviations from the mean of the training part | number |
# | $\omega, \omega', \omega''$, $b$ | head of the ratings | $d$ each, number |
# | $E$, $W_x$, $W_y$ | head of the words | $\lvert V \rvert \times d_e$, $2d \times d_e$, $d_e \times \lvert V \rvert$ |
#
# The words' task is a language model that sees one word back and the item. It has to learn from the item's
# vector what the text is about. Labels of items that nobody has taken are not learnt.
#
# The kinds' loss in NumPy, on the fitted network, and by Keras:

# %%
tower = towers[ALL_TASKS]
x = np.hstack([tower.item_vectors(), tower.history_vectors])  # (n_items, 2d)
y = labels.kind  # (n_items, n_kinds), or None
if y is not None:
    head = tower.network.heads.kind
    W, b = (np.asarray(each) for each in head.get_weights())
    a = x @ W + b
    a -= a.max(axis=1, keepdims=True)
    log_p = a - np.log(np.exp(a).sum(axis=1, keepdims=True))
    labelled = y.any(axis=1)
    by_numpy = -(y * log_p).sum(axis=1)[labelled].mean()
    by_keras = keras.losses.CategoricalCrossentropy()(
        y[labelled], tf.nn.softmax(head(x[labelled]))
    )
    print(f"NumPy {by_numpy:.5f}, Keras {float(by_keras):.5f} nats")
    assert abs(by_numpy - float(by_keras)) < 1e-4
    right = (log_p.argmax(1) == y.argmax(1))[labelled].mean()
    print(f"kinds named right: {right:.0%}, by chance {y.mean(0).max():.0%}")

# %% [markdown]
# ## Weights that are learnt
#
# One $w$ for tasks with different units is arbitrary. Kendall, Gal and Cipolla {cite}`kendall2018` learn a
# variance for each task, and divide its loss by it:
#
# $$
# \mathcal L = \sum_{a=1}^{A} \Bigl( c_a\, e^{-\zeta_a} \mathcal L_a + \frac{\zeta_a}{2} \Bigr) ,
# $$ (eq-uncertainty)
#
# | symbol | what it is | shape |
# |---|---|---|
# | $\zeta_a$ | logarithm of the variance of task $a$, learnt | number |
# | $c_a$ | ½ for a squared error, 1 for a cross-entropy | |
#
# It is the negative log-likelihood of labels with noise of that variance. Without the last term the
# network would choose infinite variances and learn nothing. The derivative by $\zeta_a$ is 0 where
# $e^{\zeta_a} = 2 c_a \mathcal L_a$: a task's weight falls as its loss stays large. In NumPy, and by TensorFlow's
# gradients:

# %%
losses = np.array([4.2, 1.6, 0.9, 3.1])
c = np.array([1, 1, 0.5, 1])
zeta = np.log(2 * c * losses)
variable = tf.Variable(zeta)
with tf.GradientTape() as tape:
    terms = c * tf.exp(-variable) * losses + variable / 2
    total = tf.reduce_sum(terms)
slope = tape.gradient(total, variable).numpy()
assert abs(float(total) - uncertainty_weighted(losses, zeta, c)) < 1e-9
weights = c / np.exp(zeta)
print("slopes:", np.abs(slope).round(12))
print("weights:", weights.round(3))
assert np.abs(slope).max() < 1e-9

# %% [markdown]
# All slopes are 0. The largest loss has the smallest weight.
#
# ## Gradients that conflict
#
# Each task has a gradient $\gamma_a$ by the shared weights. Their cosine says whether one step serves both:
#
# $$
# \cos(\gamma_a, \gamma_b) =
# \frac{\gamma_a \cdot \gamma_b}{\lVert \gamma_a \rVert \, \lVert \gamma_b \rVert} .
# $$ (eq-gradient-cosine)
#
# Below 0 the tasks *conflict*. *Gradient surgery* {cite}`yu2020` then takes from $\gamma_a$ its part along
# $\gamma_b$, for each other task in a random order:
#
# $$
# \gamma_a \leftarrow \gamma_a
# - \frac{\min(\gamma_a \cdot \gamma_b, 0)}{\lVert \gamma_b \rVert^2}\, \gamma_b .
# $$ (eq-pcgrad)
#
# The step is the sum of what is left. In NumPy for two gradients, and by the library:

# %%
gradients = np.array([[2.0, 0.4], [-1.2, 1.0]])
first, second = gradients
left = [
    first - min(first @ second, 0) / (second @ second) * second,
    second - min(first @ second, 0) / (first @ first) * first,
]
order = np.array([[0, 1], [0, 1]])
assert np.allclose(sum(left), without_conflict(gradients, order))
after = gradient_cosine(left[0], second), gradient_cosine(left[1], first)
print(f"cosine before: {gradient_cosine(first, second):.2f}")
print(f"after: {after[0]:.2f}, {after[1]:.2f}")

# %% tags=["hide-input"]
figure, axes = plt.subplots(
    1, 2, figsize=(7, 3), layout="constrained", sharex=True, sharey=True
)
for axis, pair, title in (
    (axes[0], gradients, "as they are"),
    (axes[1], left, "after surgery"),
):
    for place, name in enumerate(("task 1", "task 2")):
        axis.quiver(
            0, 0, *pair[place], angles="xy", scale_units="xy", scale=1,
            color=colours[place], width=0.015, label=name,
        )  # fmt: skip
    axis.quiver(
        0, 0, *np.sum(pair, axis=0), angles="xy", scale_units="xy", scale=1,
        color="0.4", width=0.008, label="step",
    )  # fmt: skip
    axis.set(
        xlim=(-1.6, 2.6),
        ylim=(-0.4, 2.6),
        title=title,
        xlabel="shared weight 1",
        aspect="equal",
    )
axes[0].set(ylabel="shared weight 2")
axes[0].legend(loc="upper left", fontsize="small")
plots.show(
    figure,
    "Two panels of arrows. On the left the gradients of two tasks point apart. On the "
    "right each has lost what ran against the other, and the step is longer upwards.",
)

# %% [markdown]
# After surgery each gradient is at a right angle to the other task's, so no task pays for the other to first order.
#
# In the towers above, the cosines between the gradient of each further task and that of recommending, averaged over
# all steps:

# %% tags=["hide-input"]
table = pd.DataFrame(
    {
        "cosine with recommending": pd.Series(tower.cosines).map(
            "{:+.3f}".format
        )
    }
)
quote(
    **{
        f"cosine_{name}": f"{value:+.3f}"
        for name, value in tower.cosines.items()
    },
    conflicts=sum(value < 0 for value in tower.cosines.values()),
    n_further=len(tower.cosines),
)
plots.table(table, index=True)

# %% [markdown]
# {glue:text}`several-conflicts` of {glue:text}`several-n-further` means lie below 0. The gradients run over all
# weights, and each head's weights belong to one task alone. So cosines are small even where tasks agree.
#
# ## The three ways to weigh, live
#
# The same tasks once more, on the same few interactions, with learnt variances and with surgery:

# %% tags=["hide-input"]
ways = {
    "alone": ndcg[ONE_TASK],
    "fixed weight": ndcg[ALL_TASKS],
    "learnt variances": evaluate(
        learnt(labels.tasks, weighting="uncertainty"), few
    ).summary()["mean"]["ndcg"],
    "surgery": evaluate(learnt(labels.tasks, project=True), few).summary()[
        "mean"
    ]["ndcg"],
}
quote(best_way=max(ways, key=ways.get))
plots.table(
    pd.DataFrame({"NDCG@10": pd.Series(ways).map("{:.4f}".format)}), index=True
)

# %% [markdown]
# The largest NDCG@10 of this one seed has the row "{glue:text}`several-best-way`". Which way is best by
# validation, and whether any is better than none, is a question for seeds.
#
# ## The evidence
#
# The fused tower with today's encoders (MiniLM for texts, VGG-16 for pictures), with 5 %, 20 % and all of the
# training interactions, and for items held back. Five seeds, each with another draw of the interactions. Gains
# are those over the tower that learns to recommend alone:

# %% tags=["hide-input"]
found = evidence(dataset, SEVERAL, against=ONE_TASK)
told = "Nothing of it is measured on this data set yet, so the row of the ledger is open here."
if found:
    rows = found.table.copy()
    rows["case"] = [
        "items held back" if isinstance(item, str) else f"{share:.0%}"
        for item, share in zip(
            rows.get("items", pd.Series(index=rows.index)),
            rows.get("share", pd.Series(index=rows.index)),
            strict=True,
        )
    ]
    rows["gain"] = [in_words(each) for each in rows.to_dict("records")]
    cases = [
        each
        for each in ("5%", "20%", "100%", "items held back")
        if each in set(rows["case"])
    ]
    shown = rows.pivot_table(
        index="recommender", columns="case", values="gain", aggfunc="first"
    )
    display(found.shown(shown[cases].rename_axis(index=None, columns=None)))
    rows.index = [
        f"{row.case}, {row.recommender.removeprefix('with ')}"
        for row in rows.itertuples()
    ]
    figure, axis = plt.subplots(
        figsize=(7, 1 + 0.3 * len(rows)), layout="constrained"
    )
    plots.relative_gains(
        rows.sort_values(["case", "recommender"], kind="stable"),
        axis,
        "change in NDCG (%)",
    )
    display(
        found.shown(
            plots.picture(
                figure,
                "A forest plot: for each case and set of tasks the relative change in NDCG "
                "against recommending alone, with its 95 % interval.",
            )
        )
    )
    better = rows["relative_low"].gt(0).groupby(rows["case"]).sum()
    worse = rows["relative_high"].lt(0).groupby(rows["case"]).sum()
    each_case = rows.groupby("case").size()
    told = " ".join(
        f"{case}: {better[case]} of {each_case[case]} arms are better than recommending alone, "
        f"{worse[case]} worse (each interval by itself)."
        for case in cases
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
# | [F3](#claim-f3) | multi-task learning, with image classification or text generation, should improve performance | live, one seed, {glue:text}`several-share` of the interactions: NDCG@10 {glue:text}`several-gain` with all tasks. The verdict needs seeds: the evidence above |
#
# The article does not say when it should help. So the measurement varies the number of interactions: labels can only
# add what interactions have not said yet.
#
# ## Exercises
#
# **1.** The rating's loss is in squared standard deviations, so a guess of 0 has the loss 1. Why would a loss in
# squared stars make $w$ harder to choose?
#
# ```{dropdown} Solution
# With a standard deviation $s$ of the ratings the loss in stars is $s^2$ times as large, and so are its gradients. A
# data set with another scale, 1 to 10, would need another $w$ for the same balance.
# ```

# %% tags=["hide-cell"]
if labels.rating is not None:
    stars = labels.rating[np.isfinite(labels.rating)]
    print(f"standard deviation: {stars.std():.2f} stars")
    print(f"the loss in stars is {stars.var():.2f} times as large")

# %% [markdown]
# **2.** Show that after surgery with two tasks the step never raises either loss to first order.
#
# ```{dropdown} Solution
# Let $\gamma_1 \cdot \gamma_2 < 0$. Task 1's step is at a right angle to $\gamma_2$ and has
# $\gamma_1 \cdot \gamma_1' = \lVert \gamma_1 \rVert^2 - (\gamma_1 \cdot \gamma_2)^2 / \lVert \gamma_2 \rVert^2 \ge 0$
# by Cauchy and Schwarz. Task 2's step is at a right angle to $\gamma_1$. So
# $\gamma_1 \cdot (\gamma_1' + \gamma_2') \ge 0$, and the same for task 2. The cell tries a thousand pairs.
# ```

# %% tags=["hide-cell"]
generator = np.random.default_rng(seed)
least = min(
    (pair @ without_conflict(pair, order)).min()
    for pair in generator.standard_normal((1000, 2, 5))
)
print(f"smallest product with a step: {least:.1e}")
assert least > -1e-9

# %% [markdown]
# **3.** (Run it.) Give the kinds' task labels that are permuted over the items. Does the recommender get worse than
# alone, or does it stay as it is?
#
# ```{dropdown} Solution
# The head can only learn the labels by heart. The vectors have to carry what says nothing of who takes an item, so
# permuted labels should cost quality or change nothing. If they helped as much as the true ones, the gain would come
# from a second loss as such, and not from what the labels say. The cell prints both numbers.
# ```

# %% tags=["hide-cell"]
if labels.kind is not None:
    shuffled = replace(labels, kind=generator.permutation(labels.kind))
    wrong = SeveralTasks(tasks=["kind"], labels=shuffled, seed=seed, **options)
    wrong.fit(few.train, content, few.validation)
    value = evaluate(wrong, few).summary()["mean"]["ndcg"]
    print(f"permuted kinds {value:.4f}, alone {ndcg[ONE_TASK]:.4f}")

# %% [markdown]
# ## References
#
# Multi-task learning {cite}`caruana1997`; weights by uncertainty {cite}`kendall2018`; gradient surgery
# {cite}`yu2020`.
#
