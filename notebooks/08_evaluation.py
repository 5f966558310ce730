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
# # Evaluation
#
# **You will be able to**
#
# - compute every measure of this book from a list by hand, and get the library's number;
# - say what each measure reflects, and where two toolboxes give the same name to different numbers;
# - split interactions so that nothing leaks, and measure how much a leak inflates a result;
# - show on your own runs how a sample of the catalogue misleads;
# - put an interval around every number, and test differences over users and over seeds.
#
# ## The idea in words
#
# "Ten per cent more accurate" is half a sentence. Accurate by which measure, on lists how long, for
# whom, from which data, better than which rival, and would it be so again? Each of these questions has
# several defensible answers, and the answers change the number. So we fix them before the first result,
# and write each as a formula. Every number comes with an interval that covers other users and other
# seeds.
#
# Nearly all numbers of this page are live: its recommenders are simple, and fitted in seconds. What
# stands beside an orange bar and ends with *Evidence* was measured before, with several seeds.

# %% tags=["parameters"]
profile = "quick"  # where seeds matter, "quick" trains five, "full" ten
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import time
from dataclasses import replace
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from scipy import sparse, stats
from sklearn.metrics import (
    average_precision_score,
    ndcg_score,
    precision_score,
    recall_score,
)
from threadpoolctl import threadpool_limits

from mmtutorial import datasets, metrics, plots, time_plots
from mmtutorial.recommenders import (
    BPR,
    EASE,
    ContentKNN,
    ItemKNN,
    Oracle,
    Popularity,
    Random,
)
from mmtutorial.evaluation import (
    Split,
    cold_items,
    cold_items_split,
    compare,
    compare_all,
    default_split,
    evaluate,
    global_time_split,
    holm,
    leave_last_out,
    paired_comparison,
    permutation_p,
    relevant_ranks,
    sampled_hit_rate,
    sampled_ndcg,
    tune,
    with_parts,
)
from mmtutorial.preprocessing.behaviour import deduplicate
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.reduce import reduce, tf_idf
from mmtutorial.preprocessing.text import clean, tokenise
from mmtutorial.recommenders.ranking import top_k
from mmtutorial.reproduce.evidence import (
    committed,
    evidence,
    in_words,
    quote,
)
from mmtutorial.reproduce.ledger import best as best_of

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
threadpool_limits(1)  # many small products: one thread is faster than two
started = time.perf_counter()

# %% [markdown]
# ## One user's list
#
# $L_u$ has $k$ places, best first; where there were too few items to recommend, the last places are
# empty, and an empty place is a wrong one. $T_u$ is the set of items relevant to $u$. Let
# $\mathrm{hit}_r = 1$ if the item at place $r$ is in $T_u$, else 0. Then
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
# These treat the list as a set. The next three also depend on the order: {term}`NDCG` {cite}`jarvelin2002`,
# the {term}`reciprocal rank` {cite}`voorhees1999` and the {term}`average precision`
# {cite}`buckley2000`,
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
# The denominators are choices. Recall and AP divide by $\lvert T_u \rvert$ even where it is larger
# than $k$ and a perfect list stays below 1; precision divides by $k$ even where the list is short
# {cite}`manning2008`; a perfect list's NDCG is always 1. The article's {term}`accuracy` could be any
# of these: we report all, and let NDCG@10 decide.
#
# ### A list of five, by hand
#
# A shop sells eight things. Ann is shown five of them, and takes a teapot, a jar and a tin. Two of
# these were in her list, at places 1 and 4.
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
by_equation = {
    "hit_rate": hit.max(),
    "precision": hit.sum() / k,
    "recall": hit.sum() / T,
    "ndcg": (hit / np.log2(r + 1)).sum()
    / (1 / np.log2(r[: min(k, T)] + 1)).sum(),
    "reciprocal_rank": (hit / r).max(),
    "average_precision": (hit * np.cumsum(hit) / r).sum() / T,
}

# %% [markdown]
# The library's functions take the lists of many users at once, as an array `ranked` of item rows, and
# a sparse matrix of what is relevant. Here there is one user. We compare with scikit-learn, an independent
# program. Our tests also compare the library with ranx {cite}`bassani2022` on thousands of random lists.

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


columns = {
    "from the equations": by_equation,
    "library": by_library,
    "scikit-learn": by_scikit_learn(shown, taken),
}
plots.table(
    pd.DataFrame({name: pd.Series(each) for name, each in columns.items()})
    .loc[list(by_equation)]
    .dropna(axis=1, how="all"),
    index=True,
    digits=4,
)

# %% [markdown]
# One number differs. scikit-learn's average precision has no $k$. It continues beyond the list, where the
# three items that were not shown share place 8. There it finds the tin, and adds $3/8$:
# $(1 + 2/4 + 3/8)/3 = 0.625$. A second number differs if the list is short. Let the mug be sold out, so
# that place 5 is empty:

# %%
short = np.array([[row[thing] for thing in shown[:4]] + [-1]])
four = by_scikit_learn(shown[:4], taken)
plots.table(
    pd.DataFrame(
        {
            "library": [
                metrics.precision(short, relevant)[0],
                metrics.average_precision(short, relevant)[0],
            ],
            "scikit-learn": [four["precision"], four["average_precision"]],
        },
        index=["precision", "average_precision"],
    ),
    index=True,
    digits=4,
)

# %% [markdown]
# scikit-learn divides by the four places that were filled, as is right for a classifier; a
# recommender that leaves a place empty has wasted it. So "precision" and "AP" in a paper are not yet
# numbers that can be compared: one has to know which.
#
# ## The data, the contenders, and what is chosen on what
#
# The rest of the chapter uses lists from a whole data set.

# %% tags=["remove-output"]
data = (
    datasets.load(dataset, seed=seed)
    if dataset in datasets.MAKERS
    else datasets.load(dataset)
)
wordless = not data.items["text"].any() and not data.features
if wordless:  # the recommenders below read something
    data = datasets.load("shop", n_items=300, n_users=800, seed=seed)
refused = ""
try:
    split = default_split(data)
except ValueError as fault:  # no times, or all alike
    refused = str(fault)
    data = with_parts(data, seed)
    split = default_split(data)
bought = deduplicate(data.interactions)
interactions = Interactions.of(bought, items=data.items["item"])
cold = cold_items(split)  # bool (n_items,): nobody took it in training
tokens = [tokenise(clean(text)) for text in data.items["text"]]
content = {"text": tf_idf(tokens)} if any(tokens) else dict(data.features)

# %% tags=["hide-input"]
if wordless:
    display(
        Markdown(
            "*The items of your data set have neither texts nor features: a small "
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


# %% [markdown]
# The recommenders are simple ones:
#
# - **random** and **popularity**, which do not depend on the user;
# - **item-kNN** {cite}`sarwar2001`, which reads interactions: an item is similar to those that the same
#   users took;
# - **content-kNN**, which reads the words of the items' texts (or ready-made features, where there are no
#   texts);
# - **EASE** {cite}`steck2019`, a linear model of the interactions, and **EASE + content**, the same with
#   each word as one more user {cite}`jeunen2020`;
# - **the oracle**, where the shoppers are simulated: it knows how probable each choice truly is.
#
# (The texts of new items are there when the test begins, and may be read; who takes the items is what
# nobody may know.) EASE has settings. They are *chosen* by the validation part and *reported* on the test
# part; nothing in this chapter is chosen by the test.


# %% tags=["remove-output"]
l2, strengths = tune(EASE, {"l2": [10, 30, 100, 300, 1000]}, split)
chosen, weights = tune(
    EASE,
    {"l2": [l2["l2"]], "content_weight": [1, 3, 10, 30, 100]},
    split,
    content,
)

# %% tags=["hide-input"]
plots.table(
    pd.concat([strengths, weights])[["l2", "content_weight", "ndcg"]].rename(
        columns={"ndcg": "NDCG@10 on validation"}
    ),
    digits=4,
)


# %% tags=["remove-output"]
def contenders():
    """Fresh recommenders, not yet fitted."""
    return [
        Random(seed),
        Popularity(),
        ItemKNN(),
        ContentKNN(),
        EASE(**l2),
        EASE(**chosen),
        *([Oracle(data.truth)] if data.truth is not None else []),
    ]


fitted = {
    each.name: each.fit(split.train, content, split.validation)
    for each in contenders()
}
names = list(fitted)

# %% [markdown]
# `evaluate` ranks the whole catalogue for every user, blocks of users at a time. Diversity needs a
# vector for each item; it gets the sixteen main directions of its content, the same for all
# recommenders.

# %% tags=["remove-output"]
described = np.hstack(
    [
        reduce(array, 16, present=np.asarray(abs(array).sum(axis=1) > 0))[0]
        for array in content.values()
    ]
)
evaluations = {
    name: evaluate(each, split, k=10, item_vectors=described)
    for name, each in fitted.items()
}
table = compare(list(evaluations.values()))

# %% tags=["hide-input"]
ACCURACY = list(metrics.ACCURACY)
plots.table(table[ACCURACY], index=True, digits=3)

# %% tags=["remove-cell"]
learnt = [name for name in names if name not in ("random", "oracle")]
validated = {
    name: evaluate(fitted[name], split, part="validation") for name in learnt
}
by_validation = sorted(
    learnt, key=lambda name: -validated[name].per_user["ndcg"].mean()
)
best, second = by_validation[:2]
for name, value in {
    "evaluation-dataset": data.name,
    "evaluation-stand-in": data.name if wordless else "",
    "evaluation-split": split.name,
    "evaluation-n-users": f"{len(split.test_users):,}",
    "evaluation-n-items": f"{data.n_items:,}",
    "evaluation-n-cold": f"{cold.sum():,}",
    "evaluation-best": best,
    "evaluation-second": second,
}.items():
    quote(name, value)

# %% [markdown]
# Data set {glue:text}`evaluation-dataset`, split "{glue:text}`evaluation-split`", lists of ten for
# {glue:text}`evaluation-n-users` users out of {glue:text}`evaluation-n-items` items. On the
# *validation* part {glue:text}`evaluation-best` came first and {glue:text}`evaluation-second` second.
# Later sections compare these two.
#
# What is left out of a list is one more choice. We leave out what the user took in training and in
# validation. Some toolboxes leave out training items only. Then validation items take up places of the
# test's lists, although it is known that they were taken, and the numbers differ:

# %% tags=["remove-output"]
one_rule = {
    name: evaluate(each, split, exclude=("train",))
    for name, each in fitted.items()
}

# %%
rules = pd.DataFrame(
    {
        "train and validation left out": table["ndcg"],
        "train left out": compare(list(one_rule.values()))["ndcg"],
    }
)
rules["changes by"] = [
    f"{change:+.1%}"
    for change in rules["train left out"]
    / rules["train and validation left out"]
    - 1
]
plots.table(rules, index=True, digits=3)

# %% [markdown]
# The same lists have different numbers under the two rules. An `Evaluation` stores its rule, and `compare`
# refuses to mix them.
#
# ## The whole catalogue
#
# Let $x_1 \le \dots \le x_{n}$ count in how many lists each of the $n = n_{\text{items}}$ items
# stands, and let $\mathcal U$ be the users evaluated.
#
# ```{math}
# :label: eq-coverage
# \text{item coverage} = \frac{1}{n} \Bigl\lvert \bigcup_{u \in \mathcal U} L_u \Bigr\rvert, \qquad
# \text{Gini} = \frac{\sum_{i=1}^{n} (2i - n - 1)\, x_i}{n \sum_{i=1}^{n} x_i} .
# ```
#
# The field mostly calls the first {term}`coverage` {cite}`ge2010`. The article says "the number of
# *users* that the system can cover". We read that as the share of users who find at least one
# relevant item in their list, which is the mean hit rate; a looser reading asks only for a full list
# {cite}`shani2011`, and is 1 for every recommender that can score everything. The
# {term}`Gini coefficient` is 0 if all items are recommended equally often and close to 1 if it is
# always the same few.
#
# {term}`Novelty <novelty>` and {term}`diversity` are means over a list's filled places and over its
# pairs {cite}`zhou2010,ziegler2005`:
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
#   \sum_{\{i, j\} \subset L_u} \bigl(1 - \cos(y_i, y_j)\bigr) ,
# ```
#
# where $n_i$ users took item $i$ in training, and $y_i \in \mathbb{R}^{d_y}$ describes it; items with
# $y_i = 0$ do not count. The $y_i$ are fixed beforehand, the same for all recommenders. A recommender must
# not be measured by its own vectors.
#
# In NumPy, for three users and the eight items of the shop; `np.sort` puts the counts in the order that Gini
# wants, and the pairs of a list are all entries above the diagonal of a table of cosines:

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
above = np.triu_indices(3, 1)
diversity = (1 - cosines[:, above[0], above[1]]).mean(axis=1)

for ours, theirs in [
    (coverage, metrics.item_coverage(lists, n)),
    (gini, metrics.gini(lists, n)),
    (novelty, metrics.novelty(lists, n_taken)),
    (diversity, metrics.intra_list_diversity(lists, y)),
]:
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
print(f"item coverage {coverage:.3f}, Gini {gini:.3f}, as in the library")

# %% [markdown]
# For our recommenders, with both readings of user coverage:

# %%
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
plots.table(catalogue, index=True, digits=3)

# %% [markdown]
# The looser reading, a full list, is 1 for all of them and says nothing. Popularity covers few items, and
# random covers nearly all.

# %% tags=["hide-input"]
palette = dict(
    zip(names, sns.color_palette("colorblind", len(names)), strict=True)
)
markers = dict(zip(names, "osD^vP*X", strict=False))


def scatter(axis, points):
    """Accuracy against coverage, one marker each."""
    for name in names:
        axis.plot(
            points.loc[name, "item_coverage"],
            points.loc[name, "ndcg"],
            markers[name],
            color=palette[name],
            markersize=9,
            label=name,
        )


# %% [markdown]
# ### Coverage is cheap
#
# Random lists cover nearly everything and are of use to nearly nobody. So item coverage can be raised
# without any skill. Take the lists of the best recommender, and replace the last $1, 2, \dots, 10$ of the
# ten places by items drawn at random.

# %%
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
    for places in range(k + 1)
}
dial = pd.DataFrame(
    {
        places: {
            "item_coverage": metrics.item_coverage(lists, data.n_items),
            "ndcg": metrics.ndcg(lists, relevant).mean(),
            "hit_rate": metrics.hit_rate(lists, relevant).mean(),
        }
        for places, lists in mixed.items()
    }
).T

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 4.4), layout="constrained")
scatter(axis, table)
axis.plot(
    dial["item_coverage"],
    dial["ndcg"],
    "--",
    color="0.5",
    zorder=0,
    label=f"{best}, 0 to 10 places random",
)
axis.set(
    xlabel="item coverage@10 (share of the catalogue)",
    ylabel="NDCG@10",
    xlim=(-0.03, 1.03),
    ylim=(0, None),
)
axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(
    figure,
    alt="Scatter plot of NDCG against item coverage, one marker a recommender. "
    "Random is far right and at the bottom, popularity far left. A dashed line "
    "leads from the best recommender to random: coverage rises and NDCG falls.",
)

# %% tags=["remove-cell"]
change = dial / dial.loc[0] - 1
for name, value in {
    "evaluation-random-coverage": f"{table.loc['random', 'item_coverage']:.1%}",
    "evaluation-random-hits": f"{table.loc['random', 'hit_rate']:.1%}",
    "evaluation-one-coverage": f"{change.loc[1, 'item_coverage']:+.1%}",
    "evaluation-one-ndcg": f"{change.loc[1, 'ndcg']:+.1%}",
    "evaluation-one-hits": f"{change.loc[1, 'hit_rate']:+.1%}",
}.items():
    quote(name, value)

# %% [markdown]
# Random covers {glue:text}`evaluation-random-coverage` of the items, and
# {glue:text}`evaluation-random-hits` of the users find something in its lists. A single random item at
# the tenth place changes the item coverage of {glue:text}`evaluation-best` by
# {glue:text}`evaluation-one-coverage`, its NDCG by {glue:text}`evaluation-one-ndcg` and its hit rate by
# {glue:text}`evaluation-one-hits`. So "coverage rises by 5 %" ([C2](#claim-c2)) means little without the
# change of accuracy. {doc}`06_fusion` and {doc}`09_reproduction` show both.
#
# ## Who is tested on what
#
# - The {term}`global time split`, our default, has two moments. What happened before the first
#   trains, what happened from the second on tests, what lies between validates: it chooses settings
#   {cite}`meng2020,ji2023`. Interactions of the same second stay together in the later part, and
#   validation and test keep only the first time that a user takes an item.
# - {term}`Leave-last-out` tests on each user's last new item and validates on the one before, for
#   users with three different items or more. Other users' future leaks into training.
# - The cold-item split holds whole items back, at random, and ignores time.
# - A *given* split comes with the data: they name, for each row, whether it trains,
#   validates or tests. It makes results comparable, if one knows how it was drawn. Where a data set has
#   neither parts nor usable times, chapters 6 to 8 draw such parts at random (`with_parts`), and say so.

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

# %% [markdown]
# The figure shows a few users (rows) with all that they took, coloured by the part. The panel of the
# cold-item split shows items instead, since there whole items are held back:

# %% tags=["hide-input"]
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
    len(panels), 1, figsize=(7, 2.5 * len(panels)), layout="constrained"
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
# We evaluate users with at least one training and one test item, and rank the *whole* catalogue
# without what they took in training and validation.
#
# Does the order of the recommenders hold under another split? The same recommenders with the same
# settings, fitted again:

# %% tags=["remove-output"]
splits = {split.name: split}
if timed is data:
    splits.setdefault("global time", timed_split)
    splits["leave last out"] = last_out
splits["cold items"] = cold_items_split(interactions, seed=seed)

rows = {name: {} for name in splits}
for name, other in splits.items():
    for each in contenders():
        each.fit(other.train, content, other.validation)
        found = evaluate(each, other, k=10)
        rows[name][each.name] = found.per_user["ndcg"].mean()
by_split = pd.DataFrame(rows)

# %% tags=["hide-input"]
plots.table(by_split, index=True, digits=3)

# %% tags=["remove-cell"]
tau = {
    name: stats.kendalltau(by_split[split.name], by_split[name]).statistic
    for name in splits
    if name != split.name
}
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
tau_k = by_k.corr(method="kendall")["k = 10"].min()
for name, value in {
    "evaluation-tau-splits": ", ".join(
        f"{value:.2f} ({name})" for name, value in tau.items()
    ),
    "evaluation-tau-k": f"{tau_k:.2f}",
    "evaluation-winners-splits": ", ".join(
        f"{by_split.drop(index='oracle', errors='ignore')[name].idxmax()}"
        f" ({name})"
        for name in splits
    ),
}.items():
    quote(name, value)

# %% [markdown]
# {term}`Kendall's tau`, $\tau$, is 1 if two orders are the same and $-1$ if one is the other reversed. Against the
# order by "{glue:text}`evaluation-split`" it is {glue:text}`evaluation-tau-splits`. Without the oracle, the
# best are {glue:text}`evaluation-winners-splits`. A recommender of interactions alone cannot rank an item
# without interactions, so the cold-item split changes the order. It asks another question, not a stricter
# version of the same one.
#
# Does the order hold for another length of the list? NDCG@$k$:

# %% tags=["hide-input"]
plots.table(by_k, index=True, digits=3)


# %% [markdown]
# The smallest $\tau$ between the order at $k = 10$ and the others is {glue:text}`evaluation-tau-k`.
#
# ### Cold and warm items apart
#
# One number for all test items hides that a recommender may be good at known items and unable to
# recommend new ones. `relevant_items` counts only some items as relevant, in the same lists: a user who took none of
# them is not evaluated.


# %% tags=["remove-output"]
def apart(**restriction):
    """NDCG@10 of all recommenders, and how many users are evaluated."""
    found = [evaluate(each, split, **restriction) for each in fitted.values()]
    return compare(found)["ndcg"], len(found[0].users)


taken_count = np.asarray(split.train.matrix.sum(axis=0)).ravel()
rare = taken_count <= np.quantile(taken_count, 0.25)  # cold ones too
kinds = {"rarely taken": rare, "warm": ~cold}
if (split.test.matrix[split.test_users] * cold).sum():
    kinds = {"cold": cold} | kinds
few = next(iter(kinds))  # "cold" where there are any, or else "rarely taken"
by_kind, n_met = {}, {}
for name, mask in kinds.items():
    by_kind[name], n_met[name] = apart(relevant_items=mask)
themselves = f"{few}, among themselves"
by_kind[themselves], n_met[themselves] = apart(candidates=kinds[few])
by_kind = pd.DataFrame(by_kind)

# %% [markdown]
# `candidates` lets only some items compete: the last column ranks these items among themselves. No shop
# asks that question, but it shows what a recommender knows about them.

# %% tags=["hide-input"]
plots.table(
    by_kind.rename(columns=lambda name: f"{name} ({n_met[name]:,} users)"),
    index=True,
    digits=3,
)

# %% [markdown]
# Recommenders that read interactions alone cannot place an item without any in a list over the whole
# catalogue. Among themselves, such items get the same score from them and are ordered by their rows. A
# recommender that reads content may know more about new items than its lists show: against items with many
# interactions they lose. {doc}`07_recommend` measures this for the two-tower recommender.
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
# There are less visible ways: a review written after the split, tags without a date, a vocabulary built
# over texts of the test period, a setting chosen on the test (exercise 4). Another one is *other users'*
# future, which leave-last-out lets in by construction. How much do the coarse mistake and this one inflate
# a result? In both experiments users, test items and recommender stay the same. Only what is learnt from
# changes.
#
# **The coarse mistake.** `evaluate` refuses it, so the lists are cut out by hand.

# %% tags=["remove-output"]
learners = [Popularity, ItemKNN, lambda: EASE(**l2)]
owned = (split.train.matrix + split.validation.matrix)[split.test_users]
coarse = {}
for made in learners:
    informed = made().fit(interactions)  # train, validation and test
    lists = top_k(informed.score(split.test_users), 10, exclude=owned)
    coarse[informed.name] = {
        "learnt from training": table.loc[made().name, "ndcg"],
        "learnt from everything": metrics.ndcg(lists, relevant).mean(),
    }
coarse = pd.DataFrame(coarse).T
coarse["changes by"] = (
    coarse["learnt from everything"] / coarse["learnt from training"] - 1
).map("{:+.0%}".format)

# %% tags=["hide-input"]
plots.table(coarse, index=True, digits=3)

# %% [markdown]
# The more a recommender can memorise, the more it gains from the leak. A result that is too good to be
# true should be searched for this mistake first.
#
# **Other users' future.** Leave-last-out tests every user on the last new item, whenever that was. We cut
# the users into six groups by that moment. For each group the recommender learns from the group's own
# histories, and of all *other* users from
#
# 1. what they took before the group's first test (honest);
# 2. all that leave-last-out lets in, also what they took afterwards;
# 3. as many interactions as in 1, but drawn from 2 at random. If the *future* helps, and not the larger
#    number, it still helps here. (A strict test: drawing thins out everyone's history.)
#
# Where the items' attributes are known to a simulator, there is a second group of shoppers. They meet
# every item only from some time of the year on, since all of them are launched late.


# %%
def learnt_by_group(log, n_groups=6):
    """Leave last out, with three things to learn from: name to Split."""
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


# %% tags=["remove-output"]
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
leaks = []
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
            row[name] = in_words(vars(gain))
        leaks.append(row)

# %% tags=["hide-input"]
plots.table(pd.DataFrame(leaks))

# %% [markdown]
# Both columns are relative changes of NDCG@10 against the honest one, with 95 % intervals over users. An
# interval above zero in the last column means that the future itself inflates the result. Where only the
# other column lies above zero, the larger number of interactions explains it. The leak differs between
# recommenders, so a leaking split can change their order. (Simulated tastes and fashions stand still, and
# only launches carry news; with real users, more may change.)
#
# ## Why not a sample
#
# Many papers rank the relevant item among $n_{\text{drawn}}$ others drawn at random. If $r - 1$ of
# the $n - 1$ other items score above it, each draw (with replacement) is one of these with
# probability $(r-1)/(n-1)$, so its place in the sample is 1 plus a binomial variable:
#
# ```{math}
# :label: eq-sampled
# \mathbb{E}\,[\text{sampled hit rate@}k] = \sum_{j=0}^{k-1} \binom{n_{\text{drawn}}}{j}
#   \Bigl(\frac{r-1}{n-1}\Bigr)^{j} \Bigl(1 - \frac{r-1}{n-1}\Bigr)^{n_{\text{drawn}} - j} .
# ```
#
# This is another measure. It hardly depends on the top of the list, and can reverse the order of two
# recommenders {cite}`krichene2020`. We show {term}`sampled metrics <sampled metric>` as a warning only.
# First the formula against real draws, for an item at place 40 of 1,001:

# %%
generator = np.random.default_rng(seed)
r, n, n_drawn, k = 40, 1001, 100, 10
above = generator.integers(1, n, size=(20_000, n_drawn)) < r  # r − 1 of n − 1
drawn = (above.sum(axis=1) < k).mean()  # share of 20,000 samples with a hit
formula = sampled_hit_rate(np.array([r]), np.array([n - 1]), n_drawn, k)[0]
print(f"drawn {drawn:.4f}, formula {formula:.4f}")
assert abs(drawn - formula) < 5 * np.sqrt(0.25 / 20_000)
quote("evaluation-example-drawn", f"{formula:.2f}")

# %% [markdown]
# The item is never in a top ten, but its sampled hit rate is {glue:text}`evaluation-example-drawn`. Now our
# own runs. `relevant_ranks` gives the place of every test item among all items that the user did not
# take; from these the sampled measures follow for every $n_{\text{drawn}}$, and the full ranking too.
# Each test item is a case, and a user's cases are averaged before users are.

# %% tags=["remove-output"]
ranks = {
    name: relevant_ranks(each, split, block=256)
    for name, each in fitted.items()
}
sizes = [20, 50, 100, 200, 500, 1000, 2000, 5000]
sizes = [size for size in sizes if size < data.n_items] or [data.n_items // 2]
usual = min(100, sizes[-1])  # as many as papers draw


def by_user(cases, values):
    """Average over each user's cases."""
    return pd.Series(values).groupby(cases["user"].to_numpy()).mean()


def full_ndcg(cases):
    """NDCG@10 of each case in the full ranking."""
    rank = cases["rank"].to_numpy()
    return by_user(cases, np.where(rank <= 10, 1 / np.log2(rank + 1), 0.0))


def full_hits(cases):
    """Whether each case is in the full ranking's first ten places."""
    return by_user(cases, (cases["rank"] <= 10).to_numpy(float))


full = {"NDCG@10": full_ndcg, "hit rate@10": full_hits}
curves = {}
for label, sampled in [
    ("NDCG@10", sampled_ndcg),
    ("hit rate@10", sampled_hit_rate),
]:
    curves[label] = pd.DataFrame(
        {
            name: {
                size: by_user(
                    cases, sampled(cases["rank"], cases["others"], size)
                ).mean()
                for size in sizes
            }
            | {"all": full[label](cases).mean()}
            for name, cases in ranks.items()
        }
    )

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for axis, (label, curve) in zip(axes, curves.items(), strict=True):
    places = [*sizes, max(data.n_items, 1.5 * sizes[-1])]
    for name in names:
        axis.plot(
            places,
            curve[name],
            marker=markers[name],
            markersize=5,
            color=palette[name],
            label=name,
        )
    axis.set_xscale("log")
    axis.set_xticks(places, labels=[*map(str, sizes), "all\nitems"])
    axis.tick_params(axis="x", labelsize=9)
    axis.minorticks_off()
    axis.set(xlabel="items drawn", ylabel=f"expected {label}", ylim=(0, None))
axes[0].legend(fontsize=9)
plots.show(
    figure,
    alt="Two panels, NDCG and hit rate at 10, one line a recommender, against the number "
    "of items drawn on a logarithmic axis, with the full ranking at the right end. "
    "All lines fall from left to right; where two cross, the sample has reversed "
    "their order.",
)

# %% [markdown]
# All lines fall, and at different rates. Which pairs of recommenders change their order? Each row of the
# table is one pair that does, at the number of items drawn where the reversal is largest:

# %% tags=["hide-input"]
flips = []
for label, curve in curves.items():
    for a, b in combinations(names, 2):
        truth = curve.loc["all", a] - curve.loc["all", b]
        better, worse = (a, b) if truth > 0 else (b, a)
        said = (curve[worse] / curve[better] - 1).drop("all")
        if truth and said.max() > 0:
            difference = full[label](ranks[better]) - full[label](ranks[worse])
            flips.append(
                {
                    "measure": label,
                    "better over all items": better,
                    "p over all items": permutation_p(
                        difference.to_numpy(), seed=seed
                    ),
                    "better in the sample": worse,
                    "by": f"{said.max():.1%}",
                    "items drawn": said.idxmax(),
                }
            )
flips = pd.DataFrame(flips)
if len(flips):
    flips = flips.sort_values("p over all items", ignore_index=True)
    display(
        plots.table(
            flips.assign(
                **{
                    "p over all items": flips["p over all items"].map(
                        plots.p_value
                    )
                }
            ).head(8)
        )
    )
else:
    display(
        Markdown(
            "*No pair of these recommenders changes its order in expectation.*"
        )
    )

# %% [markdown]
# The expectation is not even what a paper reports, since a paper draws once. We draw twenty samples for
# one pair: the first of the table, or else the first two recommenders on validation. Both rank the
# relevant item among the *same* drawn items:

# %%
a, b = (
    flips.loc[0, ["better over all items", "better in the sample"]]
    if len(flips)
    else (best, second)
)
size = int(flips.loc[0, "items drawn"]) if len(flips) else usual
some = np.random.default_rng(seed).permutation(split.test_users)[:300]
owned = (split.train.matrix + split.validation.matrix)[some].toarray() > 0
taken = split.test.matrix[some].toarray() > 0
user, item = np.nonzero(taken & ~owned)  # one case each
others = np.argsort(owned | taken, axis=1, kind="stable")  # who can be drawn
n_others = (~(owned | taken)).sum(axis=1)
generator = np.random.default_rng(seed)
differences = []
for _ in range(20):
    place = generator.random((len(user), size)) * n_others[user][:, None]
    drawn = others[user[:, None], place.astype(int)]  # (cases, size)
    hits = []
    for name in (a, b):
        scores = fitted[name].score(some)
        theirs, its = scores[user[:, None], drawn], scores[user, item][:, None]
        earlier = drawn < item[:, None]  # who wins a tie
        above = (theirs > its) | ((theirs == its) & earlier)
        hits.append(pd.Series(above.sum(axis=1) < 10).groupby(user).mean())
    differences.append((hits[0] - hits[1]).mean())
over_all = (full_hits(ranks[a]) - full_hits(ranks[b])).loc[some].mean()
expected = [
    by_user(cases, sampled_hit_rate(cases["rank"], cases["others"], size))
    for cases in (ranks[a], ranks[b])
]
expected = (expected[0] - expected[1]).loc[some].mean()
print(
    f"hit rate@10, {a} − {b}, for {len(some)} users: over all items {over_all:+.4f}; "
    f"expected in a sample of {size} items {expected:+.4f}; in 20 samples from "
    f"{min(differences):+.4f} to {max(differences):+.4f}"
)

# %% [markdown]
# ## How sure: over users
#
# The mean over $\lvert \mathcal U \rvert$ users comes with a 95 % interval from the {term}`bootstrap`
# {cite}`efron1979,efron1993`: draw as many users with replacement, $1\,000$ times, and take the 2.5th
# and 97.5th percentiles of the means. In NumPy, and by the library's `summary()`:

# %%
values = evaluations[best].per_user["ndcg"].to_numpy()  # (n,)
n = len(values)
generator = np.random.default_rng(seed)
met = generator.integers(n, size=(1000, n))  # 1,000 draws of n users
means = values[met].mean(axis=1)  # (1000,)
low, high = np.quantile(means, [0.025, 0.975])
theirs = evaluations[best].summary().loc["ndcg"]
print(f"{values.mean():.4f} [{low:.4f}, {high:.4f}]")
np.testing.assert_allclose(
    [values.mean(), low, high], theirs[["mean", "low", "high"]], rtol=1e-9
)

# %% [markdown]
# Two recommenders meet on the *same* users. With $M_u^{A}$ and $M_u^{B}$ their measures, only the
# differences matter, in a {term}`paired test`:
#
# ```{math}
# :label: eq-paired
# \delta_u = M_u^{A} - M_u^{B}, \qquad
# p = \frac{1 + \#\bigl\{\text{draws with } \bigl\lvert \sum_u s_u \delta_u \bigr\rvert \ge
#   \bigl\lvert \sum_u \delta_u \bigr\rvert\bigr\}}{1 + \#\{\text{draws}\}} ,
# ```
#
# each $s_u$ being $+1$ or $-1$ with probability 1/2: if $A$ and $B$ were equally good, their labels
# could be swapped. This is the {term}`permutation test` {cite}`smucker2007`. Again in NumPy, in the
# library, and in SciPy, for the two recommenders that came first on validation:

# %%
rival = evaluations[second].per_user["ndcg"].to_numpy()
delta = values - rival  # (n,)
counts = delta[delta != 0]  # a zero adds nothing, whatever its sign
generator = np.random.default_rng(seed)
signs = 2 * generator.integers(2, size=(2000, len(counts))) - 1
extreme = np.abs(signs @ counts) >= np.abs(counts.sum()) - 1e-9
p = (1 + extreme.sum()) / (1 + len(signs))
assert p == permutation_p(delta, n_draws=2000, seed=seed)
peer = stats.permutation_test(
    (values, rival),
    lambda a, b, axis: (a - b).mean(axis=axis),
    permutation_type="samples",
    vectorized=True,
    n_resamples=2000,
    batch=500,
    rng=seed,
)
print(f"equation and library p = {p:.4f}, SciPy p = {peer.pvalue:.4f}")
found = paired_comparison(evaluations[best], evaluations[second], seed=seed)
print(found)

# %% [markdown]
# What does the pairing gain, and what does the mean hide? On the left are the differences, user by user, in
# order. On the right is the bootstrap of the mean difference: on the same users, and as if the two
# recommenders had been measured on different users.

# %% tags=["hide-input"]
generator = np.random.default_rng(seed + 1)
other = generator.integers(n, size=(1000, n))
together = (values - rival)[met].mean(axis=1)
separate = values[met].mean(axis=1) - rival[other].mean(axis=1)
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
plots.per_user_differences(
    delta,
    axes[0],
    f"NDCG@10, {best} − {second}",
    interval=(found.low, found.high),
)
bins = np.linspace(separate.min(), separate.max(), 50)
axes[1].hist(separate, bins=bins, alpha=0.6, label="different users")
axes[1].hist(together, bins=bins, alpha=0.6, label="same users")
axes[1].axvline(0, color="0.3", linewidth=1)
axes[1].set(
    xlabel=f"mean difference of NDCG@10, {best} − {second}",
    ylabel="draws of the bootstrap",
)
axes[1].legend()
plots.show(
    figure,
    alt="Left: every user's difference of NDCG between the two recommenders in order, from "
    "worse to better, with the mean and its interval close to zero. Right: two histograms "
    "of the bootstrapped mean difference; that of the same users is narrower.",
)

# %% tags=["remove-cell"]
for name, value in {
    "evaluation-better": f"{(delta > 0).mean():.0%}",
    "evaluation-worse": f"{(delta < 0).mean():.0%}",
    "evaluation-equal": f"{(delta == 0).mean():.0%}",
    "evaluation-paired-width": f"{np.std(separate) / np.std(together):.1f}",
    "evaluation-top-two": str(found),
}.items():
    quote(name, value)

# %% [markdown]
# {glue:text}`evaluation-best` is better for {glue:text}`evaluation-better` of the users and worse for
# {glue:text}`evaluation-worse`; for {glue:text}`evaluation-equal` the two are equal. On different users the
# standard deviation of the mean difference would be {glue:text}`evaluation-paired-width` times as large.
#
# ### Many comparisons
#
# Where many pairs are compared, some differ by chance. {term}`Holm's correction`
# {cite}`holm1979` multiplies the smallest of $m$ values by $m$, the next by $m - 1$, and so on, and
# lets none fall below the one before it. Every recommender against popularity:

# %%
REFERENCE = "popularity"
compared = compare_all(
    [each for each in evaluations.values() if each.recommender != "oracle"],
    reference=REFERENCE,
    metrics=["ndcg", "hit_rate"],
    seed=seed,
)
m = len(compared)
order = np.argsort(compared["p"])
by_hand = np.empty(m)
by_hand[order] = np.minimum(
    1,
    np.maximum.accumulate(
        compared["p"].to_numpy()[order] * (m - np.arange(m))
    ),
)
np.testing.assert_allclose(by_hand, compared["p_holm"])
np.testing.assert_allclose(by_hand, holm(compared["p"].to_numpy()))

# %% tags=["hide-input"]


def readable(compared):
    """Write a comparison's columns as a reader wants them."""
    return pd.DataFrame(
        {
            "recommender": compared["recommender"],
            "measure": compared["metric"],
            "mean": compared["mean"].map("{:.4f}".format),
            "relative gain": [
                in_words(each) for each in compared.to_dict("records")
            ],
            "p": compared["p"].map(plots.p_value),
            "p by Holm": compared["p_holm"].map(plots.p_value),
            "over": [
                each.over.replace("users", f"{each.n_users:,} users").replace(
                    "seeds", f"{each.n_seeds} seeds"
                )
                for each in compared.itertuples()
            ],
        }
    )


plots.table(readable(compared))

# %% [markdown]
# No p can be smaller than $1/(1 + \#\text{draws})$, and it says only whether there is a difference. The
# interval says how large it is, which is the question.

# %% [markdown]
# ## How sure: over seeds
#
# An interval over users does not cover another training. Some recommenders have no seed: counting, and
# solving a linear equation, give the same result every time. Networks start from random weights. So we
# train BPR {cite}`rendle2009` (a small one) several times, with the seed as the only difference:

# %% tags=["remove-output"]
n_seeds = 5 if profile == "quick" else 10
size = 32 if profile == "quick" else 64
trained = []
for number in range(n_seeds):
    bpr = BPR(
        dimensions=size,
        learning_rate=0.02,
        batch_size=4096,
        patience=150,
        seed=seed + number,
    )
    bpr.fit(split.train, validation=split.validation)
    trained.append(evaluate(bpr, split))

# %%
over_seeds = pd.DataFrame(
    {
        "NDCG@10": [each.per_user["ndcg"].mean() for each in trained],
        "hit rate@10": [each.per_user["hit_rate"].mean() for each in trained],
        "item coverage@10": [
            each.catalogue["item_coverage"] for each in trained
        ],
    },
    index=[f"BPR, seed {seed + number}" for number in range(n_seeds)],
)
plots.table(over_seeds, index=True, digits=4)

# %% [markdown]
# Let $\bar M_s^{A}$ be the mean over users that seed $s$ gives. Over $n_{\text{seeds}}$ seeds, the paired
# differences $\bar\delta_s = \bar M_s^{A} - \bar M_s^{B}$ with their mean $\bar\delta$ give Student's
# interval
#
# ```{math}
# :label: eq-over-seeds
# \bar\delta \pm t_{n_{\text{seeds}} - 1}\, e_{\text{seeds}}, \qquad
# e_{\text{seeds}}^2 = \frac{1}{n_{\text{seeds}}\,(n_{\text{seeds}}-1)}
#   \sum_{s} \bigl(\bar\delta_s - \bar\delta\bigr)^2 ,
# ```
#
# where $t_{\mathrm{df}}$ is the 97.5th percentile of Student's distribution with df degrees of freedom. It
# is wide for few seeds: $t_1 = 12.7$, $t_4 = 2.78$. A claim should hold for other users *and* other seeds.
# Both variances add up,
#
# ```{math}
# :label: eq-over-both
# \bar\delta \pm t_{\mathrm{df}} \sqrt{e_{\text{users}}^2 + e_{\text{seeds}}^2}, \qquad
# e_{\text{users}}^2 = \frac{1}{\lvert \mathcal U \rvert\,(\lvert \mathcal U \rvert - 1)}
#   \sum_{u} \bigl(\bar\delta_u - \bar\delta\bigr)^2 ,
# ```
#
# $\bar\delta_u$ being a user's difference averaged over the seeds, and df those of Satterthwaite
# {cite}`satterthwaite1946`: $n_{\text{seeds}} - 1$ where the seeds decide, many where the users do. What
# depends on user and seed together is in both terms, so the interval is rather too wide than too narrow.
# `paired_comparison` takes the evaluations of all seeds; item-kNN, which has none, is given once.

# %%
against = evaluations["item-kNN"]
both = paired_comparison(trained, against, seed=seed)

matrix = np.array(
    [(each.per_user["ndcg"] - against.per_user["ndcg"]) for each in trained]
)  # (n_seeds, n): a difference each
n = matrix.shape[1]
delta_s, delta_u = matrix.mean(axis=1), matrix.mean(axis=0)
e_seeds = delta_s.std(ddof=1) / n_seeds**0.5
e_users = delta_u.std(ddof=1) / n**0.5
error = np.hypot(e_users, e_seeds)
df = error**4 / (e_users**4 / (n - 1) + e_seeds**4 / (n_seeds - 1))
reach = {
    "seeds": stats.t.ppf(0.975, n_seeds - 1) * e_seeds,
    "users and seeds": stats.t.ppf(0.975, df) * error,
}
for name, half_width in reach.items():
    np.testing.assert_allclose(
        matrix.mean() + np.array([-half_width, half_width]),
        both.sources.loc[name, ["low", "high"]].to_numpy(float),
    )
print(both)
plots.table(both.sources.reset_index(), digits=3)

# %% [markdown]
# Every comparison of a trained recommender in this book has this form: users, seeds, difference, interval,
# p by Holm. Item coverage and Gini are no means over users, and a resample with repeated users covers less
# (exercise 6). So their interval is over seeds alone. A claim of a gain needs the whole interval above
# zero. A claim of "at least 10 %" ([C1](#claim-c1)) needs the whole interval above 10 %.

# %%
rivals = [name for name in names if name not in ("oracle", "random")]
against_bpr = compare_all(
    [*trained, *(evaluations[name] for name in rivals)],
    reference="BPR",
    metrics=["hit_rate", "item_coverage"],
    seed=seed,
)
plots.table(readable(against_bpr))

# %% [markdown]
# For networks that train for minutes, the comparisons over seeds are committed. This one has the article's
# fusion, concatenation, against the single modality that was best on validation:

# %% tags=["hide-input"]
single = best_of(committed(), dataset, "single") if committed() else None
evidence(
    dataset,
    "fusions",
    ["ndcg", "hit_rate", "item_coverage"],
    against=single or "text",
    recommenders=["concatenation"],
)

# %% tags=["remove-cell"]
relative = 100 * over_seeds["NDCG@10"].std() / over_seeds["NDCG@10"].mean()
orders = table[["hit_rate", "item_coverage", "ndcg"]].rank(ascending=False)
tau_m1 = orders.corr(method="kendall")
gain = paired_comparison(
    evaluations["EASE + content"], evaluations["EASE"], "hit_rate", seed=seed
)
covers = table["item_coverage"]
used = plots.resources(started)
for name, value in {
    "evaluation-seeds": n_seeds,
    "evaluation-seed-spread": f"{relative:.1f}",
    "evaluation-e-users": f"{e_users:.4f}",
    "evaluation-e-seeds": f"{e_seeds:.4f}",
    "evaluation-both": str(both),
    "evaluation-tau-hits-ndcg": f"{tau_m1.loc['hit_rate', 'ndcg']:.2f}",
    "evaluation-tau-coverage-ndcg": f"{tau_m1.loc['item_coverage', 'ndcg']:.2f}",
    "evaluation-covering-most": covers.idxmax(),
    "evaluation-best-hits": table.loc[best, "hit_rate"].round(3),
    "evaluation-content-hits": f"{gain.relative_gain:+.1%} "
    f"[{gain.relative_low:+.1%}, {gain.relative_high:+.1%}]",
    "evaluation-content-coverage": f"{covers['EASE + content'] / covers['EASE'] - 1:+.1%}",
    "evaluation-minutes": f"{used['seconds'] / 60:.1f}",
    "evaluation-memory": f"{used['peak_mb'] / 1000:.1f}",
    "evaluation-cores": int(used["cores"]),
}.items():
    quote(name, value)

# %% [markdown]
# Over {glue:text}`evaluation-seeds` seeds, BPR's NDCG@10 has a standard deviation of
# {glue:text}`evaluation-seed-spread` % of its mean. In the comparison with item-kNN the error by users is
# {glue:text}`evaluation-e-users` and that by seeds {glue:text}`evaluation-e-seeds`.
#
# ## What the article says, and what we measured
#
# A recommender is judged by accuracy, coverage and NDCG (row [M1](#claim-m1)), and fusion improves
# coverage by 5 % or more ([C2](#claim-c2)). Lists' length, split, data and intervals are not given.
# The same recommenders, ranked by each of the three measures (1 is best):

# %% tags=["hide-input"]
plots.table(
    orders.rename(
        columns={
            "hit_rate": "accuracy (hit rate@10)",
            "item_coverage": "item coverage@10",
            "ndcg": "NDCG@10",
        }
    ),
    index=True,
)

# %% [markdown]
# | row | the article | here |
# |---|---|---|
# | [M1](#claim-m1) | accuracy, coverage, NDCG | all three, with both readings of coverage. Hit rate and NDCG agree on the order (Kendall's $\tau$ = {glue:text}`evaluation-tau-hits-ndcg`); item coverage does not follow them ($\tau$ = {glue:text}`evaluation-tau-coverage-ndcg`), and {glue:text}`evaluation-covering-most` has most of it. The article's own coverage, of users, is the mean hit rate: as we read it, not a third measure |
# | [C2](#claim-c2) | coverage rises by 5 % or more | one random item a list changes item coverage by {glue:text}`evaluation-one-coverage` and NDCG by {glue:text}`evaluation-one-ndcg`: the number means little without accuracy. Content in EASE changes item coverage by {glue:text}`evaluation-content-coverage` and hit rate (user coverage) by {glue:text}`evaluation-content-hits`, both without a seed. Fusion against the best single modality, over seeds: {doc}`06_fusion` and {doc}`09_reproduction` |
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
# is $1 - 0.99^{1000} \approx 0.99996$: coverage by itself is no merit. The cell below compares the formula
# with this chapter's random lists, for growing numbers of users.
# ```

# %% tags=["hide-cell"]
lists = evaluations["random"].ranked
print("users   measured   1 − (1 − k/n)^users")
for met in (10, 30, 100, 300, 1000):
    found = metrics.item_coverage(lists[:met], data.n_items)
    expected = 1 - (1 - 10 / data.n_items) ** len(lists[:met])
    print(f"{len(lists[:met]):5d}{found:11.3f}{expected:15.3f}")

# %% [markdown]
# **3.** Each user has one relevant item; $n = 1\,001$, $n_{\text{drawn}} = 100$, $k = 10$.
# Recommender $A$ puts it at place 1 for half of the users and at place $1\,000$ for the others, $B$
# at place 20 for all. Which is better by hit rate@10 over the catalogue, and by {eq}`eq-sampled`?
#
# ```{dropdown} Solution
# Over the catalogue $A$ has 0.5 and $B$ has 0. Sampled: at place 1 nothing can score above, so that
# is a hit; at place $1\,000$ a draw scores above with probability 0.999, and fewer than ten of 100
# practically never do: $A$ keeps 0.5. For $B$ the probability is $19/1\,000$, on average 1.9 items
# score above, and it is a hit with probability 0.99998. The sample prefers the recommender that never
# has the item in its list.
# ```

# %% tags=["hide-cell"]
at = np.array([1, 1000, 20])
for place, chance in zip(
    at, sampled_hit_rate(at, np.full(3, 1000), n_drawn=100, k=10), strict=True
):
    print(f"place {place:4d}: sampled hit rate@10 {chance:.5f}")

# %% [markdown]
# **4.** (Run it.) Thirty settings of a recommender are tried on the test part, and the best result is
# reported. By how much is it inflated if the settings make no difference at all? Take thirty random
# recommenders with thirty seeds, choose the best on one half of the test users, and look at it on the
# other half.
#
# ```{dropdown} Solution
# Let the thirty means have the standard error $e$. The largest of thirty normal draws lies about
# $2.04\,e$ above their mean, and on new users it falls back to the mean. The more settings, and the fewer
# users, the larger the inflation: that is why settings are chosen on the validation part, and the test
# part is looked at once.
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
chosen = tried[:, mine].mean(axis=1).argmax()
print(f"mean of the thirty            {tried[:, mine].mean():.4f}")
print(f"the chosen one, where chosen  {tried[chosen, mine].mean():.4f}")
print(f"the chosen one, other users   {tried[chosen, ~mine].mean():.4f}")

# %% [markdown]
# **5.** How many users does one need to see a gain of 10 % in NDCG@10, with a test at 5 % that should
# find it four times out of five? Use the standard deviation $s_\delta$ of the differences between the two
# best recommenders. How many if A and B were measured on different users?
#
# ```{dropdown} Solution
# A mean of $n$ differences has the standard error $s_\delta/\sqrt n$, and the gain $g$ must be
# $1.96 + 0.84 = 2.8$ of these: $n = (2.8\, s_\delta / g)^2$. On different users the variances of A and of
# B add up, $s_A^2 + s_B^2$ in place of $s_\delta^2$, and the users are needed twice. The cell below
# computes both.
# ```

# %% tags=["hide-cell"]
gain_sought = 0.1 * rival.mean()
paired = (2.8 * (values - rival).std(ddof=1) / gain_sought) ** 2
spread = values.var(ddof=1) + rival.var(ddof=1)
unpaired = 2 * (2.8**2 * spread / gain_sought**2)
print(f"same users       {paired:>8,.0f}")
print(f"different users  {unpaired:>8,.0f}")

# %% [markdown]
# **6.** (Run it.) Why has item coverage no bootstrap interval over users? Draw the users of the best
# recommender with replacement, two hundred times, and compare the coverage of their lists with that
# of all lists.
#
# ```{dropdown} Solution
# A draw with replacement holds about $1 - 1/e = 63\,\%$ different users. Their lists can only cover less
# than all lists do, so all of the bootstrap's values lie on one side of the number whose interval they
# should be. The bootstrap imitates means over users; a union over users is none.
# ```

# %% tags=["hide-cell"]
lists = evaluations[best].ranked
generator = np.random.default_rng(seed)
drawn = [
    metrics.item_coverage(lists[generator.integers(n, size=n)], data.n_items)
    for _ in range(200)
]
print(f"all lists {metrics.item_coverage(lists, data.n_items):.4f}")
print(f"200 draws, from {min(drawn):.4f} to {max(drawn):.4f}")
