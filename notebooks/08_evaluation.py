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
# # Evaluation: measures, splits, leaks
#
# **You will be able to**
#
# - compute every measure of this book by hand, in NumPy and with the library;
# - say what each measure reflects, and where two programs give one name to different numbers;
# - split interactions so that nothing leaks;
# - measure by how much a leak inflates a result.
#
# {doc}`08a_comparing` then asks whether a difference between two recommenders is significant.
#
# ## The result first
#
# Which recommender is the best? Each marker is one recommender, on the same users and items. A higher marker is
# more accurate: more relevant items stand near the top of its lists. A marker further to the right covers more
# of the catalogue with all its lists together.

# %% tags=["parameters"]
profile = "quick"  # "full" computes the same: nothing here trains for long
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import time
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from scipy import sparse
from sklearn.metrics import (
    average_precision_score,
    ndcg_score,
    precision_score,
    recall_score,
)
from threadpoolctl import threadpool_limits

from mmtutorial import datasets, metrics, plots, time_plots
from mmtutorial.evaluation import (
    Split,
    cold_items,
    cold_items_split,
    compare,
    default_split,
    evaluate,
    global_time_split,
    leave_last_out,
    paired_comparison,
)
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.behaviour import deduplicate
from mmtutorial.preprocessing.reduce import reduce, tf_idf
from mmtutorial.preprocessing.text import clean, tokenise
from mmtutorial.recommenders import (
    EASE,
    ContentKNN,
    ItemKNN,
    Oracle,
    Popularity,
    Random,
)
from mmtutorial.recommenders.ranking import top_k
from mmtutorial.reproduce.notebooks import opened, quote

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
threadpool_limits(1)  # many small products: one thread is faster than two
quote = partial(quote, "evaluation")
started = time.perf_counter()

# %% tags=["hide-input", "remove-output"]
data, split, stand_in, notes = opened(
    dataset, seed, lambda each: each.items["text"].any() or each.features
)
bought = deduplicate(data.interactions)
interactions = Interactions.of(bought, items=data.items["item"])
cold = cold_items(split)  # bool (n_items,): not taken in training
tokens = [tokenise(clean(text)) for text in data.items["text"]]
content = {"text": tf_idf(tokens)} if any(tokens) else dict(data.features)

CHOSEN = "validation"  # where EASE takes its settings from


def contenders():
    """Fresh recommenders, not yet fitted."""
    return [
        Random(seed),
        Popularity(),
        ItemKNN(),
        ContentKNN(),
        EASE(l2=CHOSEN),
        EASE(l2=CHOSEN, content_weight=CHOSEN),
        *([Oracle(data.truth)] if data.truth is not None else []),
    ]


fitted = {
    each.name: each.fit(split.train, content, split.validation)
    for each in contenders()
}
names = list(fitted)
described = np.hstack(
    [
        reduce(array, 16, present=np.asarray(abs(array).sum(axis=1) > 0))[0]
        for array in content.values()
    ]
)  # (n_items, d_y): what diversity compares items by
evaluations = {
    name: evaluate(each, split, k=10, item_vectors=described)
    for name, each in fitted.items()
}
table = compare(list(evaluations.values()))
validated = {
    name: evaluate(each, split, part="validation").per_user["ndcg"].mean()
    for name, each in fitted.items()
    if name not in ("random", "oracle")
}
best, second = sorted(validated, key=lambda name: -validated[name])[:2]

# %% tags=["hide-input"]
for note in notes:
    display(Markdown(note))
figure, axis = plt.subplots(figsize=(7, 3.8), layout="constrained")
for name, marker in zip(names, "osD^vP*", strict=False):
    at = table.loc[name, "item_coverage"], table.loc[name, "ndcg"]
    axis.plot(*at, marker, markersize=10, label=name)
axis.set(
    xlabel="item coverage@10 (share of the catalogue)",
    ylabel="NDCG@10 (accuracy)",
    xlim=(-0.03, 1.03),
    ylim=(0, None),
)
axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(
    figure,
    alt="Scatter plot of NDCG against item coverage, one marker a recommender. "
    "Random is far right and at the bottom, popularity far left.",
)

# %% tags=["remove-cell"]
quote(
    dataset=data.name,
    stand_in=stand_in,
    split=split.name,
    n_users=f"{len(split.test_users):,}",
    n_items=f"{data.n_items:,}",
    best=best,
    best_hits=f"{table.loc[best, 'hit_rate']:.1%}",
    best_coverage=f"{table.loc[best, 'item_coverage']:.1%}",
    random_coverage=f"{table.loc['random', 'item_coverage']:.1%}",
    random_hits=f"{table.loc['random', 'hit_rate']:.1%}",
    l2=f"{fitted['EASE'].chosen['l2']:.0f}",
    content_weight=" and ".join(
        f"{weight:.0f} ({name})"
        for name, weight in fitted["EASE + content"].chosen.items()
        if name != "l2"
    ),
)

# %% [markdown]
# Random lists cover {glue:text}`evaluation-random-coverage` of the catalogue, but only
# {glue:text}`evaluation-random-hits` of the users find something relevant in them. The lists of
# {glue:text}`evaluation-best` cover {glue:text}`evaluation-best-coverage`, and
# {glue:text}`evaluation-best-hits` of the users find something. So a gain in coverage means nothing without the
# accuracy. This page fixes, as formulas, which measures count, on which lists, users and data.
#
# ## The data and the recommenders
#
# Data set {glue:text}`evaluation-dataset`, lists of ten for {glue:text}`evaluation-n-users` users out of
# {glue:text}`evaluation-n-items` items. The split, "{glue:text}`evaluation-split`", has three parts. Recommenders
# learn from *training*, settings are chosen on *validation*, and results are reported on *test*.
#
# | name | what it reads |
# |---|---|
# | random | nothing |
# | popularity | how many users took an item |
# | item-kNN {cite}`sarwar2001` | interactions: an item is similar to those that the same users took |
# | content-kNN | the words of the items' texts, or ready-made features where there are no texts |
# | EASE {cite}`steck2019` | interactions, by a linear model |
# | EASE + content {cite}`jeunen2020` | the same, with each word as one more user |
# | oracle | the true probability of each choice; only where shoppers are simulated |
#
# Texts of new items are known when the test begins, so they may be read. EASE has two settings. Validation chose
# the penalty {glue:text}`evaluation-l2` and the content's weight {glue:text}`evaluation-content-weight`.
#
# ## One user's list
#
# The list $L_u$ of user $u$ has $k$ places, best first. Where too few items can be recommended, the last places
# are empty, and an empty place counts as wrong. $T_u$ is the set of items relevant to $u$. Let
# $\mathrm{hit}_r = 1$ if the item at place $r$ is in $T_u$, else 0. Three measures ignore the order:
#
# ```{math}
# :label: eq-set-measures
# \begin{aligned}
# \text{hit rate} &= \max_{1 \le r \le k} \mathrm{hit}_r, \\
# \text{precision} &= \frac1k \sum_{r=1}^{k} \mathrm{hit}_r, \qquad
# \text{recall} = \frac{1}{\lvert T_u \rvert} \sum_{r=1}^{k} \mathrm{hit}_r .
# \end{aligned}
# ```
#
# Three more give early places more weight: {term}`NDCG` {cite}`jarvelin2002`, the
# {term}`reciprocal rank` (RR) {cite}`voorhees1999` and the {term}`average precision` (AP)
# {cite}`buckley2000`:
#
# ```{math}
# :label: eq-ndcg
# \text{NDCG} = \sum_{r=1}^{k} \frac{\mathrm{hit}_r}{\log_2(r+1)} \Bigg/
#   \sum_{r=1}^{\min(k, \lvert T_u \rvert)} \frac{1}{\log_2(r+1)} ,
# ```
#
# ```{math}
# :label: eq-ranks
# \text{RR} = \max_{1 \le r \le k} \frac{\mathrm{hit}_r}{r} , \qquad
# \text{AP} = \frac{1}{\lvert T_u \rvert} \sum_{r=1}^{k} \mathrm{hit}_r
#   \cdot \frac1r \sum_{s=1}^{r} \mathrm{hit}_s .
# ```
#
# The denominators are choices. Recall and AP divide by $\lvert T_u \rvert$, so a perfect list has less than 1 where
# $\lvert T_u \rvert > k$. Precision divides by $k$ even where the list is short {cite}`manning2008`. A perfect
# list always has NDCG 1. The article's {term}`accuracy` could be any of these. We report all; NDCG@10 decides.
#
# ### A list of five, by hand
#
# A shop sells eight things. Ann gets a list of five, and takes a teapot, a jar and a tin. Two of them were
# in her list, at places 1 and 4.
#
# | place $r$ | 1 | 2 | 3 | 4 | 5 | by hand |
# |---|---|---|---|---|---|---|
# | item | teapot | cup | pan | jar | mug | |
# | $\mathrm{hit}_r$ | 1 | 0 | 0 | 1 | 0 | hit rate 1, precision 2/5, recall 2/3 |
# | $1/\log_2(r+1)$ | 1 | 0.631 | 0.5 | 0.431 | 0.387 | NDCG $= (1 + 0.431)/(1 + 0.631 + 0.5)$ |
# | $\mathrm{hit}_r / r$ | 1 | 0 | 0 | 0.25 | 0 | RR $= 1$ |
# | precision up to $r$ | 1 | 1/2 | 1/3 | 2/4 | 2/5 | AP $= (1 + 2/4)/3 = 0.5$ |
#
# In NumPy, symbol by symbol:

# %%
things = ["teapot", "cup", "pan", "jar", "mug", "tin", "lid", "tray"]
shown = ["teapot", "cup", "pan", "jar", "mug"]
taken = {"teapot", "jar", "tin"}

k, T = len(shown), len(taken)
hit = np.array([thing in taken for thing in shown], dtype=float)  # (k,)
r = np.arange(1, k + 1)
discount = 1 / np.log2(r + 1)
by_equation = {
    "hit_rate": hit.max(),
    "precision": hit.sum() / k,
    "recall": hit.sum() / T,
    "ndcg": (hit * discount).sum() / discount[: min(k, T)].sum(),
    "reciprocal_rank": (hit / r).max(),
    "average_precision": (hit * np.cumsum(hit) / r).sum() / T,
}

# %% [markdown]
# The library takes the lists of many users at once: an array `ranked` of item rows, and a sparse matrix of what
# is relevant. We also ask scikit-learn. (Our tests compare the library with ranx {cite}`bassani2022`.)

# %%
row = {thing: number for number, thing in enumerate(things)}
ranked = np.array([[row[thing] for thing in shown]])  # (1, 5)
relevant = sparse.csr_array([[thing in taken for thing in things]])  # (1, 8)
by_library = {
    name: metric(ranked, relevant)[0]
    for name, metric in metrics.ACCURACY.items()
}
for name, value in by_equation.items():
    assert abs(value - by_library[name]) < 1e-12, name


# %% tags=["hide-input"]
def by_scikit_learn(shown, taken):
    """scikit-learn scores all items: those beyond the list are level."""
    wanted = [thing in taken for thing in things]
    place = {thing: number for number, thing in enumerate(shown)}
    score = [-place.get(thing, len(things)) for thing in things]
    listed = [thing in shown for thing in things]
    return {
        "precision": precision_score(wanted, listed),
        "recall": recall_score(wanted, listed),
        "ndcg": ndcg_score([wanted], [score], k=5),
        "average_precision": average_precision_score(wanted, score),
    }


short = np.array([[row[thing] for thing in shown[:4]] + [-1]])
columns = {
    "from the equations": by_equation,
    "library": by_library,
    "scikit-learn": by_scikit_learn(shown, taken),
    "four items, library": {
        name: metric(short, relevant)[0]
        for name, metric in metrics.ACCURACY.items()
    },
    "four items, scikit-learn": by_scikit_learn(shown[:4], taken),
}
plots.table(
    pd.DataFrame({name: pd.Series(each) for name, each in columns.items()})
    .loc[list(by_equation)]
    .rename_axis(index=None),
    index=True,
)

# %% [markdown]
# Equations and library agree. scikit-learn differs in three numbers, because its definitions differ.
#
# - Its average precision has no $k$. It continues beyond the list, where the three items that were not
#   shown share place 8. There it finds the tin and adds $3/8$: $(1 + 2/4 + 3/8)/3 = 0.625$.
# - In the last two columns the mug is sold out, and place 5 is empty. scikit-learn's precision divides by
#   the four filled places, which is right for a classifier. A recommender has wasted the fifth.
# - Its NDCG fills place 5 with a quarter of each of the four items that share it: $0.387/4$ for the tin.
#
# So "precision" and "AP" in two papers can be compared only if their definitions are known.
#
# ### All recommenders
#
# `evaluate` ranks the whole catalogue for every user, and computes all measures:

# %%
found = evaluate(fitted[best], split, k=10)
assert found.per_user["ndcg"].mean() == table.loc[best, "ndcg"]
plots.table(found.per_user.head(3).reset_index())

# %% tags=["hide-input"]
ACCURACY = list(metrics.ACCURACY)
display(plots.table(table[ACCURACY].rename_axis(index=None), index=True))
firsts = table.drop(index="oracle", errors="ignore")[ACCURACY].idxmax()
Markdown(
    "The best value"
    + (", without the oracle," if "oracle" in names else "")
    + " is that of "
    + ", ".join(
        f"{name} in "
        + (
            f"all {count} measures"
            if count == len(ACCURACY)
            else f"{count} of the {len(ACCURACY)} measures"
        )
        for name, count in firsts.value_counts().items()
    )
    + "."
)

# %% [markdown]
# What is left out of a list is a choice too. We leave out what the user took in training and in validation. Some
# programs leave out training items only. Then validation items take up places that can never be right:

# %% tags=["hide-input"]
one_rule = [
    evaluate(each, split, exclude=("train",)) for each in fitted.values()
]
rules = pd.DataFrame(
    {
        "NDCG@10, both left out": table["ndcg"],
        "NDCG@10, training left out": compare(one_rule)["ndcg"],
    }
)
change = rules.iloc[:, 1] / rules.iloc[:, 0] - 1
rules["change"] = change.map("{:+.1%}".format)
quote(rule_change=f"{change[best]:+.1%}")
plots.table(rules.rename_axis(index=None), index=True)

# %% [markdown]
# The second rule changes the NDCG of {glue:text}`evaluation-best` by {glue:text}`evaluation-rule-change`, although
# nothing was learnt anew. `compare` refuses to mix two rules.
#
# ## The whole catalogue
#
# Let $\mathcal U$ be the users evaluated, and $n$ the number of items. Count in how many lists each item stands,
# and sort these counts: $x_1 \le \dots \le x_{n}$.
#
# ```{math}
# :label: eq-coverage
# \text{item coverage} = \frac{1}{n} \Bigl\lvert \bigcup_{u \in \mathcal U} L_u \Bigr\rvert, \qquad
# \text{Gini} = \frac{\sum_{i=1}^{n} (2i - n - 1)\, x_i}{n \sum_{i=1}^{n} x_i} .
# ```
#
# The field mostly calls the first {term}`coverage` {cite}`ge2010`. The {term}`Gini coefficient` is 0 if
# all items are recommended equally often, and close to 1 if it is always the same few. The article speaks
# of "the number of *users* that the system can cover". We read this as the share of users with a relevant item
# in their list, which is the mean hit rate. A weaker reading asks only for a full list {cite}`shani2011`.
#
# {term}`Novelty <novelty>` is a mean over a list, and {term}`diversity` over its pairs
# {cite}`zhou2010,ziegler2005`:
#
# ```{math}
# :label: eq-novelty
# \text{novelty} = \frac{1}{\lvert L_u \rvert} \sum_{i \in L_u}
#   \log_2 \frac{\sum_{j} (n_j + 1)}{n_i + 1}\ \text{bits},
# ```
#
# ```{math}
# :label: eq-diversity
# \text{diversity} = \frac{2}{\lvert L_u \rvert (\lvert L_u \rvert - 1)}
#   \sum_{\{i, j\} \subset L_u} \bigl(1 - \cos(y_i, y_j)\bigr) .
# ```
#
# Here $n_i$ users took item $i$ in training, and the vector $y_i \in \mathbb{R}^{d_y}$ describes it: on this page
# by the sixteen main directions of its content. (Items with $y_i = 0$ do not count.) It is the same for all: a
# recommender must not be judged by vectors of its own. In NumPy, for three users and eight items:

# %%
lists = np.array([[0, 1, 2], [0, 1, 3], [0, 4, 1]])  # (3 users, 3 places)
n, n_taken = 8, np.array([9, 5, 3, 2, 2, 1, 0, 0])  # training, per item
y = np.random.default_rng(seed).normal(size=(n, 4))  # (n, d_y)

x = np.sort(np.bincount(lists.ravel(), minlength=n))  # 0 0 0 1 1 1 3 3
i = np.arange(1, n + 1)
coverage = (x > 0).mean()
gini = ((2 * i - n - 1) * x).sum() / (n * x.sum())
novelty = np.log2((n_taken + 1).sum() / (n_taken + 1))[lists].mean(axis=1)
unit = (y / np.linalg.norm(y, axis=1, keepdims=True))[lists]  # (3, 3, d_y)
cosines = unit @ unit.transpose(0, 2, 1)  # (3 users, 3, 3)
above = np.triu_indices(3, 1)  # each pair of places once
diversity = (1 - cosines[:, above[0], above[1]]).mean(axis=1)

for ours, library in [
    (coverage, metrics.item_coverage(lists, n)),
    (gini, metrics.gini(lists, n)),
    (novelty, metrics.novelty(lists, n_taken)),
    (diversity, metrics.intra_list_diversity(lists, y)),
]:
    np.testing.assert_allclose(ours, library, rtol=1e-12)
print(f"item coverage {coverage:.3f}, Gini {gini:.3f}, as in the library")

# %% tags=["hide-input"]
catalogue = pd.DataFrame(
    {
        "item coverage": table["item_coverage"],
        "user coverage (a hit)": table["user_coverage"],
        "user coverage (a full list)": [
            metrics.user_coverage(evaluations[name].ranked) for name in names
        ],
        "Gini": table["gini"],
        "novelty (bits)": table["novelty"],
        "diversity": table["intra_list_diversity"],
    }
)
display(plots.table(catalogue.rename_axis(index=None), index=True))
learners = catalogue.drop(index=["random", "oracle"], errors="ignore")
Markdown(
    "Random lists cover most of the catalogue, and are the most equal. Of the "
    f"others, {learners['item coverage'].idxmax()} covers the most items, "
    f"{learners['user coverage (a hit)'].idxmax()} the most users, and "
    f"{learners['diversity'].idxmax()} has the most diverse lists. A full list is "
    "nothing special: "
    + (
        "all have it for every user."
        if (catalogue["user coverage (a full list)"] == 1).all()
        else "most have it for nearly every user."
    )
)

# %% [markdown]
# ### Coverage is cheap
#
# Item coverage can be raised without any skill. Take the lists of {glue:text}`evaluation-best`, and
# replace the last places by items drawn at random.

# %% tags=["hide-input"]
k = 10
wide = evaluate(fitted["random"], split, k=2 * k).ranked
relevant = split.test.matrix[split.test_users]


def diluted(ranked, places):
    """Replace the last places by random items that are not there yet."""
    head = ranked[:, : k - places]
    twice = (wide[:, :, None] == head[:, None, :]).any(axis=2)
    fresh = np.argsort(twice, axis=1, kind="stable")[:, :places]
    tail = np.take_along_axis(wide, fresh, axis=1)
    return np.concatenate([head, tail], axis=1)


mixed = {
    places: diluted(evaluations[best].ranked, places)
    for places in (0, 1, 2, 5, 10)
}
dial = pd.DataFrame(
    {
        places: {
            "item coverage": metrics.item_coverage(lists, data.n_items),
            "NDCG@10": metrics.ndcg(lists, relevant).mean(),
            "hit rate@10": metrics.hit_rate(lists, relevant).mean(),
        }
        for places, lists in mixed.items()
    }
).T.rename_axis("random places")
change = dial / dial.loc[0] - 1
quote(
    one_coverage=f"{change.loc[1, 'item coverage']:+.1%}",
    one_ndcg=f"{change.loc[1, 'NDCG@10']:+.1%}",
)
plots.table(dial.reset_index())

# %% [markdown]
# One random item at the tenth place changes item coverage by {glue:text}`evaluation-one-coverage` and
# NDCG by {glue:text}`evaluation-one-ndcg`. The article claims that fusion raises coverage by 5 %
# ([C2](#claim-c2)). That means little without the change in accuracy, which {doc}`06b_fusion_measured` and
# {doc}`09_reproduction` show beside it.
#
# ## Who is tested on what
#
# - The {term}`global time split`, our default, has two moments. What happened before the first trains, after the
#   second tests, and between them validates {cite}`meng2020,ji2023`. Validation and test keep only the first time
#   that a user takes an item.
# - {term}`Leave-last-out` tests on each user's last new item, and validates on the one before. Other
#   users' future leaks into training.
# - The *cold-item* split holds whole items back, at random, and ignores time.
# - A *given* split comes with the data, and makes results comparable if one knows how it was drawn. Where there
#   are neither parts nor usable times, this page draws parts at random and says so.
#
# The figure shows a few users (rows) with all that they took; in the cold-item panel the rows are items.

# %% tags=["hide-input"]
try:
    timed, timed_split = data, split
    if split.name != "global time":
        timed_split = global_time_split(interactions)
    last_out = leave_last_out(interactions)
except ValueError as fault:
    display(
        Markdown(
            f"*{data.name} cannot be split by time: "
            f"{str(fault).partition(':')[0]}. In the pictures and the experiment "
            "that need time, a small shop with simulated shoppers stands in.*"
        )
    )
    timed = datasets.load("shop", n_items=200, n_users=600, seed=seed)
    timed_split = default_split(timed)
timed_log = Interactions.of(
    deduplicate(timed.interactions), items=timed.items["item"]
)
panels = [
    (global_time_split(timed_log), "global time", "user", "timestamp"),
    (leave_last_out(timed_log), "leave last out", "user", "timestamp"),
    (
        cold_items_split(timed_log, seed=seed),
        "cold items",
        "item",
        "timestamp",
    ),
]
if split.name == "given":
    panels.append((split, f"given, {data.name}", "user", "item"))
figure, axes = plt.subplots(
    len(panels), 1, figsize=(7, 2.4 * len(panels)), layout="constrained"
)
for axis, (drawn, *how) in zip(axes, panels, strict=True):
    time_plots.parts_of(drawn, axis, *how, seed=seed)
figure.legend(
    *axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3
)
plots.show(
    figure,
    alt="Panels of dots, one row a user, time to the right, colours for train, "
    "validation and test. Global time: two vertical cuts. Leave last out: the last "
    "dot of each row tests, at any time. Cold items, one row an item: whole rows "
    "have one colour.",
)

# %% [markdown]
# Only the global split separates past and future for everybody. In NumPy it is two cuts of the sorted times:

# %%
times = timed_log.log["timestamp"].to_numpy()  # sorted, (n,)
tenth = round(0.1 * len(times))
start = np.searchsorted(times, times[len(times) - tenth])  # ties: later part
middle = times[start - tenth]
trains = times < middle
assert trains.sum() == len(global_time_split(timed_log).train)

# %% [markdown]
# We evaluate users with at least one training and one test item. The same recommenders are fitted on each split
# (NDCG@10). EASE takes its settings from the split's own validation part:

# %% tags=["hide-input"]
splits = {split.name: split}
if timed is data:
    splits.setdefault("global time", timed_split)
    splits["leave last out"] = last_out
splits["cold items"] = cold_items_split(interactions, seed=seed)
by_split = pd.DataFrame(
    {
        name: {
            each.name: evaluate(
                each.fit(other.train, content, other.validation), other
            )
            .per_user["ndcg"]
            .mean()
            for each in contenders()
        }
        for name, other in splits.items()
    }
)
plots.table(by_split, index=True)

# %% tags=["remove-cell"]
tau = by_split.corr(method="kendall")[split.name].drop(split.name)
quote(
    tau_splits=", ".join(f"{tau[name]:.2f} ({name})" for name in tau.index),
    winners_splits=", ".join(
        f"{by_split.drop(index='oracle', errors='ignore')[name].idxmax()}"
        f" ({name})"
        for name in splits
    ),
)

# %% [markdown]
# The best, without the oracle, are {glue:text}`evaluation-winners-splits`. {term}`Kendall's tau`, $\tau$, is 1 if
# two orders are the same and $-1$ if one is the other reversed. Compared with "{glue:text}`evaluation-split`" it
# is {glue:text}`evaluation-tau-splits`. What reads only interactions cannot rank an item that has none. So the
# cold-item split asks another question; it is not a stricter version of the same one.
#
# Does the order depend on the length of the list? NDCG@$k$:

# %% tags=["hide-input"]
long = {
    name: evaluate(each, split, k=100).ranked for name, each in fitted.items()
}
by_k = pd.DataFrame(
    {
        f"k = {length}": {
            name: metrics.ndcg(lists, relevant, length).mean()
            for name, lists in long.items()
        }
        for length in (1, 5, 10, 20, 50, 100)
    }
)
quote(tau_k=f"{by_k.corr(method='kendall')['k = 10'].min():.2f}")
plots.table(by_k, index=True)

# %% [markdown]
# The smallest $\tau$ between the order at $k = 10$ and another one is {glue:text}`evaluation-tau-k`.
#
# ### Cold and warm items apart
#
# An item is *cold* if it has no training interaction, else *warm*. A mean over all test items hides that a
# recommender may be good at warm items and unable to recommend cold ones. With `relevant_items=mask`, only some
# items count as relevant, in the same lists. With `candidates=mask`, only these items compete: no shop asks that,
# but it shows what a recommender knows about them.

# %% tags=["hide-input"]
taken_count = np.asarray(split.train.matrix.sum(axis=0)).ravel()
rare = taken_count <= np.quantile(taken_count, 0.25)  # cold ones too
few, mask = "rarely taken", rare
if (split.test.matrix[split.test_users] * cold).sum():
    few, mask = "cold", cold
restrictions = {
    "warm": {"relevant_items": ~cold},
    few: {"relevant_items": mask},
    f"{few}, among themselves": {"candidates": mask},
}
by_kind, n_met = {}, {}
for label, restriction in restrictions.items():
    found = [evaluate(each, split, **restriction) for each in fitted.values()]
    by_kind[label] = compare(found)["ndcg"]
    n_met[label] = len(found[0].users)
by_kind = pd.DataFrame(by_kind).rename_axis(index=None)
quote(
    few=few,
    few_behaviour=f"{by_kind.loc['item-kNN', few]:.3f}",
    few_content=f"{by_kind.loc['content-kNN', few]:.3f}",
)
plots.table(
    by_kind.rename(columns=lambda name: f"{name} ({n_met[name]:,} users)"),
    index=True,
)

# %% [markdown]
# On items that are {glue:text}`evaluation-few`, item-kNN has an NDCG@10 of
# {glue:text}`evaluation-few-behaviour` and content-kNN has {glue:text}`evaluation-few-content`, in lists over the
# whole catalogue. Items without any interaction all get the same score from item-kNN. A recommender that reads
# content may know more about new items than its lists show, since many well-known items stand above them.
#
# ## Leakage
#
# {term}`Leakage` means that a recommender has learnt from what it is tested on. The coarse mistake, to fit
# on all interactions, is refused:

# %%
try:
    evaluate(Popularity().fit(interactions), split)
except ValueError as error:
    print(error)

# %% [markdown]
# How much would it have changed? We make the lists without that check, for the same users and test items:

# %% tags=["hide-input"]
learners = [Popularity, ItemKNN, lambda: EASE(**fitted["EASE"].chosen)]
owned = (split.train.matrix + split.validation.matrix)[split.test_users]
coarse = {}
for made in learners:
    informed = made().fit(interactions)  # train, validation and test
    lists = top_k(informed.score(split.test_users), 10, exclude=owned)
    coarse[informed.name] = {
        "NDCG@10, learnt from training": table.loc[informed.name, "ndcg"],
        "learnt from everything": metrics.ndcg(lists, relevant).mean(),
    }
coarse = pd.DataFrame(coarse).T
change = coarse.iloc[:, 1] / coarse.iloc[:, 0] - 1
coarse["change"] = change.map("{:+.0%}".format)
quote(
    coarse=", ".join(
        f"{value:+.0%} for {name}"
        for name, value in (change.round(2) + 0.0).items()
    )
)
plots.table(coarse, index=True)

# %% [markdown]
# The change is {glue:text}`evaluation-coarse`. A recommender that can memorise single interactions gains the most.
# Search for this mistake first where a result is too good to be true.
#
# Other leaks are less visible: a review written after the split, tags without a date, a vocabulary built over
# texts of the test period, a setting chosen on the test (exercise 3). With leave-last-out *other users' future*
# leaks in. By how much does it inflate a result? We cut the users into six groups by the moment of their test
# item. For each group a recommender learns the group's histories and, of all other users,
#
# 1. what they took before the group's first test (*honest*);
# 2. also what they took afterwards, as leave-last-out allows (*with the future*);
# 3. as many interactions as in 1, drawn at random from 2 (*same number, with the future*). A gain that
#    remains here comes from the future, and not from the number of interactions.
#
# Where a simulator knows the items' attributes, there is a second group of shoppers, for whom all items are
# launched late in the year.


# %% tags=["hide-input"]
def learnt_by_group(log, n_groups=6):
    """Leave last out, with three things to learn from: name and Split."""
    whole = leave_last_out(log)
    generator = np.random.default_rng(seed)
    train = whole.train.log
    moment = whole.test.log.set_index("user")["timestamp"]
    starts = np.unique(np.quantile(moment, np.arange(n_groups) / n_groups))
    group = np.searchsorted(starts, moment, side="right") - 1
    for number, start in enumerate(starts):
        users = moment.index[group == number]
        own = train["user"].isin(users).to_numpy()
        past = ~own & (train["timestamp"] < start).to_numpy()
        mixed = np.zeros(len(train), dtype=bool)
        mixed[generator.choice(np.flatnonzero(~own), past.sum(), False)] = True
        parts = [
            part.where(part.log["user"].isin(users).to_numpy())
            for part in (whole.validation, whole.test)
        ]
        for name, others in [
            ("honest", past),
            ("with the future", ~own),
            ("same number, with the future", mixed),
        ]:
            train_part = whole.train.where(own | others)
            yield name, Split("leave last out", train_part, *parts)


def all_groups(evaluations):
    """Put the groups' users together again."""
    per_user = pd.concat([each.per_user for each in evaluations]).sort_index()
    users = per_user.index.to_numpy()
    return replace(evaluations[0], users=users, per_user=per_user)


logs = {timed.name: timed_log}
attributes = {"image_attribute", "audio_attribute", "text_attribute"}
if attributes <= set(timed.items):
    launched, _ = datasets.simulate(
        timed.items,
        seed=seed,
        n_users=min(timed.n_users, 1600),
        mean_interactions=18,
        launched_late=1.0,
    )
    logs["all launched late"] = Interactions.of(
        launched, items=timed.items["item"]
    )
leaks, inflated = [], []
for shoppers, log in logs.items():
    groups = list(learnt_by_group(log))
    for made in learners:
        found = {}
        for name, each in groups:
            result = evaluate(made().fit(each.train), each)
            found.setdefault(name, []).append(result)
        honest, *leaking = (all_groups(each) for each in found.values())
        row = {"shoppers": shoppers, "recommender": honest.recommender}
        for name, each in zip(list(found)[1:], leaking, strict=True):
            gain = paired_comparison(each, honest, n_draws=2000, seed=seed)
            row[name] = (
                f"{gain.relative_gain:+.1%} "
                f"[{gain.relative_low:+.1%}, {gain.relative_high:+.1%}]"
            )
            inflated.append((name, gain.low > 0))
        leaks.append(row)
inflated = pd.DataFrame(inflated).groupby(0, sort=False)[1].sum()
display(plots.table(pd.DataFrame(leaks)))
Markdown(
    "Relative changes of NDCG@10 against *honest*, with 95 % intervals over users. Of "
    f"the {len(leaks)} rows, the interval lies above zero in {inflated.iloc[0]} with the "
    f"future, and in {inflated.iloc[1]} with the same number of interactions."
)

# %% [markdown]
# An interval above zero in the last column shows that the future itself inflates the result. Where only the other
# column lies above zero, the number of interactions explains it. Since recommenders gain differently, a leaking
# split can change their order. (Simulated tastes stand still. With real users more may change.)
#
# ## What the article says, and what we measured
#
# The article judges a recommender by accuracy, coverage and NDCG. It does not give the length of lists, the split,
# or intervals. The same recommenders, ranked by each of the three measures (1 is best):

# %% tags=["hide-input"]
orders = table[["hit_rate", "item_coverage", "ndcg"]].rank(ascending=False)
plots.table(
    orders.set_axis(
        ["accuracy (hit rate@10)", "item coverage@10", "NDCG@10"], axis=1
    ).rename_axis(index=None),
    index=True,
)

# %% tags=["remove-cell"]
tau = orders.corr(method="kendall")["ndcg"]
gain = paired_comparison(
    evaluations["EASE + content"], evaluations["EASE"], "hit_rate", seed=seed
)
covers = table["item_coverage"]
used = plots.resources(started)
quote(
    tau_hits_ndcg=f"{tau['hit_rate']:.2f}",
    tau_coverage_ndcg=f"{tau['item_coverage']:.2f}",
    covering_most=covers.idxmax(),
    content_hits=f"{gain.relative_gain:+.1%} "
    f"[{gain.relative_low:+.1%}, {gain.relative_high:+.1%}]",
    content_coverage=f"{covers['EASE + content'] / covers['EASE'] - 1:+.1%}",
    minutes=f"{used['seconds'] / 60:.1f}",
    memory=f"{used['peak_mb'] / 1000:.1f}",
    cores=int(used["cores"]),
)

# %% [markdown]
# Between NDCG and hit rate, Kendall's $\tau$ is {glue:text}`evaluation-tau-hits-ndcg`. Between NDCG and item
# coverage it is {glue:text}`evaluation-tau-coverage-ndcg`.
#
# | row | the article | here |
# |---|---|---|
# | [M1](#claim-m1) | accuracy, coverage, NDCG | all three, with both readings of coverage. {glue:text}`evaluation-covering-most` covers most items. The article's own coverage, of users, is the mean hit rate: as we read it, not a third measure |
# | [C2](#claim-c2) | coverage rises by 5 % or more | one random item a list changes item coverage by {glue:text}`evaluation-one-coverage`. Content in EASE changes item coverage by {glue:text}`evaluation-content-coverage` and hit rate (user coverage) by {glue:text}`evaluation-content-hits`. Fusion, over seeds: {doc}`06b_fusion_measured`, {doc}`09_reproduction` |
# | [S1](#claim-s1) | 8 GB of memory and a 2 GHz processor suffice | this page took {glue:text}`evaluation-minutes` minutes on {glue:text}`evaluation-cores` cores and {glue:text}`evaluation-memory` GB |
#
# ## Exercises
#
# **1.** $k = 5$; the list has items at four places and the last one is empty. Places 2 and 4 are
# hits, and $\lvert T_u \rvert = 3$. Compute all six measures.
#
# ```{dropdown} Solution
# Hit rate 1, precision $2/5$ (not $2/4$), recall $2/3$. NDCG:
# $(1/\log_2 3 + 1/\log_2 5) / (1 + 1/\log_2 3 + 1/\log_2 4) = 1.0616 / 2.1309 = 0.498$. RR $= 1/2$.
# AP $= (1/2 + 2/4)/3 = 1/3$. The cell below asks the library.
# ```

# %% tags=["hide-cell"]
four = np.array([[5, 0, 6, 1, -1]])  # hits are the items 0, 1 and 2
wanted = sparse.csr_array([[1, 1, 1, 0, 0, 0, 0]])
for name, metric in metrics.ACCURACY.items():
    print(f"{name:20}{metric(four, wanted)[0]:.4f}")

# %% [markdown]
# **2.** A catalogue of four items, 0 to 3. Three users get the lists $(0, 1)$, $(0, 1)$ and
# $(0, \text{empty})$; relevant are item 1, item 2 and item 3. Compute item coverage, user coverage in
# both readings, and Gini. Then: which item coverage do you expect of random lists of 10 for $1\,000$
# users and $1\,000$ items?
#
# ```{dropdown} Solution
# Items 0 and 1 are recommended: $2/4$. One user of three has a hit: $1/3$; two have a full list:
# $2/3$. The counts are $0, 0, 2, 3$ with factors $-3, -1, 1, 3$: Gini $= (2 + 9)/(4 \cdot 5) = 0.55$.
# An item misses one random list with probability $0.99$ and all with $0.99^{1000}$, so the coverage
# is $1 - 0.99^{1000} \approx 0.99996$. The cell below checks the counts, and compares the formula with this
# chapter's random lists for growing numbers of users.
# ```

# %% tags=["hide-cell"]
three = np.array([[0, 1], [0, 1], [0, -1]])
wanted = sparse.csr_array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
print(
    f"item coverage {metrics.item_coverage(three, 4):.2f}, user coverage "
    f"{metrics.user_coverage(three, wanted):.2f} or "
    f"{metrics.user_coverage(three):.2f}, Gini {metrics.gini(three, 4):.2f}"
)
lists = evaluations["random"].ranked
print("users   measured   1 − (1 − k/n)^users")
for met in (10, 30, 100, 300, 1000):
    found = metrics.item_coverage(lists[:met], data.n_items)
    expected = 1 - (1 - 10 / data.n_items) ** len(lists[:met])
    print(f"{len(lists[:met]):5d}{found:11.3f}{expected:15.3f}")

# %% [markdown]
# **3.** (Run it.) Thirty settings of a recommender are tried on the test part, and the best result is
# reported. By how much is it inflated if the settings make no difference at all? Take thirty random
# recommenders with thirty seeds, choose the best on one half of the test users, and evaluate it on the
# other half.
#
# ```{dropdown} Solution
# Let the thirty means have the standard error $e$. The largest of thirty normal draws lies about
# $2.04\,e$ above their mean, and on new users it falls back to the mean. The more settings, and the fewer
# users, the larger the inflation. That is why settings are chosen on the validation part.
# ```

# %% tags=["hide-cell"]
tried = np.array(
    [
        evaluate(Random(1000 + each).fit(split.train), split)
        .per_user["ndcg"]
        .to_numpy()
        for each in range(30)
    ]
)  # (30, n)
mine = np.random.default_rng(seed).permutation(tried.shape[1]) % 2 == 0
first = tried[:, mine].mean(axis=1).argmax()
print(f"mean of the thirty            {tried[:, mine].mean():.4f}")
print(f"the chosen one, where chosen  {tried[first, mine].mean():.4f}")
print(f"the chosen one, other users   {tried[first, ~mine].mean():.4f}")
