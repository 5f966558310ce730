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
# # Three fields
#
# **You will be able to**
#
# - say what a shop, a music service and a platform of short videos give a recommender to read, to see and
#   to hear;
# - measure what content adds to behaviour in each of them, live and with an interval;
# - tell "it works here" from "content helps here", and both from a published table.
#
# ## A first result
#
# The article ends with a promise of reach: its system suits online shops, social media and online video. We
# take one data set for each field. `lastfm` and `videos` are public logs of people. `garments` stands for the
# shops: this book has put it together from public photographs, reviews and recordings, and its shoppers are
# simulated. The evidence compares a two-tower model on all modalities with popularity, which reads nothing and
# knows nobody, and with the same tower on ids alone.

# %% tags=["parameters"]
profile = "quick"
dataset = "shop"  # or a folder with a dataset.json: it stands beside the three
download = False  # True: fetch the data sets that are not on this machine
seed = 0

# %% tags=["hide-input"]
import os
import time
from dataclasses import replace
from functools import cache

os.environ["MMTUTORIAL_OFFLINE"] = "" if download else "1"

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from threadpoolctl import threadpool_limits

from mmtutorial import plots
from mmtutorial.evaluation import (
    cold_items,
    compare_all,
    default_split,
    evaluate,
)
from mmtutorial.evaluation.readiness import on_this_machine, overview
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.recommenders import Blend, ContentKNN, ItemKNN, Popularity
from mmtutorial.reproduce.evidence import evidence, in_words, quote
from mmtutorial.reproduce.levels import ALL, LISTING

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
threadpool_limits(1)
started = time.perf_counter()
K = 10
FIELDS = {
    "garments": "online shop, simulated shoppers",
    "lastfm": "social music",
    "videos": "short video",
}
fields = FIELDS | {dataset: FIELDS.get(dataset, "your own")}
if dataset == "shop":
    fields["shop"] = "simulated shop and shoppers"
loaded = on_this_machine(fields)
there = {
    name: each for name, each in loaded.items() if not isinstance(each, str)
}


@cache
def opened(name):
    """The split of a data set, and the features of its items."""
    split = default_split(there[name])
    return split, ready_features(there[name], ~cold_items(split))[0]


# %% tags=["hide-input"]
told, towers = [], {}
for name, field in FIELDS.items():
    over = {
        rival: evidence(name, "fusions", against=rival)
        for rival in ("popularity", "ids")
    }
    if not over["popularity"]:
        told.append(f"On {name} nothing has been measured yet.")
        continue
    rows = {
        rival: each.row("concatenation")
        for rival, each in over.items()
        if each
    }
    towers[name] = rows
    gains = {
        f"NDCG@{K} against {rival}": in_words(row)
        for rival, row in rows.items()
    }
    shown = pd.DataFrame([gains], index=[f"{field} ({name})"])
    display(over["popularity"].shown(shown))
    sure = rows["popularity"]["relative_low"] > 0
    told.append(
        f"On {name}, all modalities together are "
        f"{'' if sure else 'not clearly '}better than popularity."
    )
listing = evidence("shop", LISTING, against="popularity", recommenders=[ALL])
if listing:
    row = listing.row(ALL)
    how = "not significantly different from"
    if row["p_holm"] < 0.05:
        how = "better than" if row["relative_gain"] > 0 else "worse than"
    told.append(
        "These towers read simple features: no language model, CNN or RNN takes "
        "part. So this is not the article's own network. That network "
        f"(chapter 5) is, on `shop`, {how} popularity: "
        f"{in_words(row)} in NDCG@{K}."
    )
Markdown(" ".join(told))

# %% [markdown]
# The shoppers of `garments` are simulated, so its row says nothing about people; the listeners of `lastfm` are people.
# `text` and `words` of `lastfm` are two encodings of the *same* tags: one source of information, not two.
# Nobody has searched the options of these towers.
#
# To be better than popularity is the least that a personalised recommender must do. The row of the ledger,
# [P1](#claim-p1), asks for no more, because the article promises no more: that the system *suits* the field. What
# content adds is another question, and the second column and the rest of this page are about it.
#
# ## What there is to read, to see and to hear

# %% tags=["hide-input"]
facts = overview(there.values())
facts.insert(0, "field", [fields[name] for name in there])
plots.table(facts.drop(columns="split by"), index=True)

# %% tags=["remove-cell"]
lacking = [name for name in fields if name not in there]
quote(
    "fields-lacking",
    f"Not on this machine, and so without a row here: {', '.join(lacking)}. "
    if lacking
    else "",
)

# %% [markdown]
# {glue:text}`fields-lacking`The share of a modality is the share of the items that have it.
#
# - **An online shop** has everything that the article asks for: reviews, photographs, sounds. We know of no
#   public data of a shop with sounds. `garments` joins photographs, reviews and recordings of three
#   sources, and its shoppers are simulated. Amazon's data {cite}`hou2024` have people, pictures and words, and
#   no sound; the library reads them too ({doc}`../data_cards`).
# - **Social music** has sound and words, and often no pictures. `lastfm` has tags
#   and sound. Its friendships are published in another file than the one that this book reads, so
#   that what friends add is not measured here.
# - **Short video** has pictures and sound in every item. `videos` has them as vectors that others computed, so
#   that nobody can fine-tune an encoder on them.
#
# No row has raw words, raw pictures, raw sound *and* people. A claim about "multimodal recommendation" in
# general rests on data sets each of which lacks something.
#
# ## The idea in words
#
# A comparison that works the same way in each field has to be cheap and has to know behaviour. Behaviour is
# popularity and {term}`item-kNN <collaborative filtering>`, which knows who took what; content-kNN knows what items
# are like. A {term}`blend <late fusion>` adds up their scores, with weights chosen on the validation part. If the
# chosen weight of content is 0, the blend *is* behaviour alone, and content adds nothing.
#
# Popularity has to be in it. Where a person has taken two items, item-kNN has next to nothing to go by, and
# anything beats it.
#
# ## The equation
#
# | symbol | shape | what it is |
# |---|---|---|
# | $s^{(a)}_u$ | $(n_\text{items},)$ | scores of user $u$ by popularity, by item-kNN, by content-kNN |
# | $\mu^{(a)}_u,\ \sigma^{(a)}_u$ | numbers | their mean and standard deviation over the items |
# | $w_a$ | shares, sum 1 | weights, chosen on validation |
#
# ```{math}
# :label: eq-fields-blend
# s_u = \sum_a w_a\, \frac{s^{(a)}_u - \mu^{(a)}_u}{\sigma^{(a)}_u}
# ```
#
# The scores have different scales, and the division makes them comparable. In NumPy, with two of them, for a few users
# of the first data set, and held against the library's `Blend`:

# %%
first = next(iter(there))
split, content = opened(first)
knn = ItemKNN().fit(split.train, {}, split.validation)
like = ContentKNN().fit(split.train, content, split.validation)
some = split.test_users[:5]
w = 0.3


def standardised(scores):
    """Each user's scores with mean 0 and standard deviation 1; (n_users, n_items)."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    return centred / np.where(spread > 0, spread, 1)


by_hand = (1 - w) * standardised(knn.score(some).astype(float))
by_hand += w * standardised(like.score(some).astype(float))

library = Blend([ItemKNN(), ContentKNN()], weights=[1 - w, w])
by_library = library.fit(split.train, content, split.validation).score(some)
gap = np.abs(by_hand - by_library).max()
print(f"largest difference between NumPy and the library: {gap:.1e}")
assert gap < 1e-3

# %% [markdown]
# Nothing is learnt by gradient descent here, so Keras has no part in it: its few weights are found by trying them.
#
# ## Live: what content adds in each field


# %% tags=["remove-output"]
MANY, PART = 5000, 3  # people; which part of so many is tested in quick


def tested(split):
    """The split, with every third person to choose and test by if many."""
    people = split.train.n_users
    if profile == "full" or people <= MANY:
        return split
    some = {
        part: getattr(split, part).where(
            getattr(split, part).log["user"].to_numpy() % PART == 0
        )
        for part in ("validation", "test")
    }
    return replace(split, **some)


def measured_on(name):
    """Evaluations of behaviour alone, and of its blends with each modality and with all."""
    split, content = opened(name)
    alone = {
        "popularity": Popularity(),
        "item-kNN": ItemKNN(),
        **{f"+ {each}": ContentKNN((each,)) for each in content},
        "+ all of them": ContentKNN(),
    }
    for each in alone.values():
        each.fit(split.train, content, split.validation)
    behaviour = [alone["popularity"], alone["item-kNN"]]
    more = {"behaviour": []} | {
        each: [alone[each]] for each in alone if each.startswith("+ ")
    }
    part, step = tested(split), 0.25 if profile == "quick" else 0.1
    blends = {
        each: Blend([*behaviour, *extra], step=step, prefit=True).fit(
            part.train, {}, part.validation
        )
        for each, extra in more.items()
    }
    several = {each: alone[each] for each in ("popularity", "item-kNN")}
    found = [
        replace(evaluate(one, part, k=K), recommender=each)
        for each, one in (several | blends).items()
    ]
    return found, {
        each: one.chosen[2]
        for each, one in blends.items()
        if each.startswith("+ ")
    }


measured = {name: measured_on(name) for name in there}

# %% tags=["hide-input"]
names = {name: f"{fields[name]} ({name})" for name in there}
figure, axes = plt.subplots(
    len(there), 1, figsize=(8, 1 + 1.9 * len(there)), squeeze=False,
    layout="constrained",
)  # fmt: skip
compared, rows = {}, {}
draws = 2_000 if profile == "quick" else 10_000
for axis, (name, (found, weights)) in zip(
    axes[:, 0], measured.items(), strict=True
):
    table = pd.DataFrame(
        {each.recommender: each.summary().loc["ndcg"] for each in found}
    ).T
    plots.measures_with_intervals(table, axis, f"NDCG@{K} on {name}, test")
    compared[name] = compare_all(
        found, "behaviour", n_draws=draws, seed=seed
    ).set_index("recommender")
    rows[names[name]] = {
        each: f"{weight:.2f}" for each, weight in weights.items()
    }
plots.show(
    figure,
    alt="For each data set a forest plot of NDCG: popularity, item-kNN, their blend, and its blends with "
    "content-kNN on each modality and on all.",
)
display(plots.table(pd.DataFrame(rows).T.fillna("none"), index=True))

# %% [markdown]
# The bars are 95 % intervals over the people of the test part. *Behaviour* blends popularity and item-kNN. The table
# has the weight of content that the validation part has chosen, from 0 to 1.

# %% tags=["hide-input"]
lines = []
for name, table in compared.items():
    row = table.loc["+ all of them"]
    sure = row["p_holm"] < 0.05
    verdict = "not significantly different from"
    if sure:
        verdict = "better than" if row["relative_gain"] > 0 else "worse than"
    weak = compare_all(
        [measured[name][0][1], measured[name][0][-1]],
        "item-kNN",
        n_draws=draws,
        seed=seed,
    )
    lines.append(
        f"- {names[name]}: with all modalities {in_words(row)}, {verdict} behaviour alone. "
        f"(Against item-kNN without popularity it would be {in_words(weak.iloc[0])}.)"
    )
    asked, people = len(measured[name][0][0].users), opened(name)[0].test_users
    if asked < len(people):
        lines[-1] += (
            f" Weights were chosen, and lists tested, on a part of the people: {asked:,} of "
            f"{len(people):,}."
        )
    single = table.drop(index="+ all of them").filter(like="+ ", axis=0)
    most = single["relative_gain"].idxmax()
    ahead = single.loc[most, "relative_gain"] > row["relative_gain"]
    if ahead and single.loc[most, "p_holm"] < 0.05:
        lines[-1] += (
            f" One modality alone, {most.removeprefix('+ ')}, gains more than all "
            f"together: {in_words(single.loc[most])}."
        )
apart = [
    f"on {name} {in_words(towers[name]['ids'])} there and "
    f"{in_words(compared[name].loc['+ all of them'])} here"
    for name in FIELDS
    if name in compared and "ids" in towers.get(name, {})
]
if apart:
    lines.append(
        "\nThese gains do not answer the same question as the evidence at the top. There, "
        "a *trained tower* that reads content is compared with the same tower on ids. Here, "
        "content-kNN, which is *not trained*, is added to popularity and item-kNN. So the "
        f"two can differ, even in their sign: {'; '.join(apart)}."
    )
Markdown("\n".join(lines))

# %% [markdown]
# The intervals are over people, of one split; significance is after {term}`Holm's correction` over the
# comparisons of a data set. The numbers in brackets have a rival that was not tuned to the field: where it is far
# weaker than popularity, everything looks like progress. Where two data sets disagree, a sentence on "the reach" of a
# system is a sentence on a list of data sets, and should name them.
#
# ## The evidence
#
# What the towers of {doc}`06b_fusion_measured` reach in each field, with seeds:

# %% tags=["hide-input"]
for name in FIELDS:
    display(
        evidence(
            name,
            ("fusions", "baselines"),
            ["ndcg"],
            recommenders=[
                *("popularity", "item-kNN", "EASE", "EASE + content"),
                *("ids", "text", "image", "audio", "words"),
                *("concatenation", "gated", "attention", "gated + ids"),
            ],
        )
    )

# %% [markdown]
# Read each table by itself. NDCG@10 of two data sets cannot be compared: they differ in the number of items, in
# how many of them a person takes, and in how the test part was cut.
#
# ## What the article says, and what we measured

# %% tags=["remove-cell"]
used = plots.resources(started)
quote("fields-seconds", f"{used['seconds']:.0f}")
for name in FIELDS:
    here = name in compared
    quote(
        f"fields-{name}",
        in_words(compared[name].loc["+ all of them"])
        if here
        else "not measured here",
    )
    quote(
        f"fields-{name}-tower",
        in_words(towers[name]["popularity"])
        if name in towers
        else "not measured",
    )

# %% [markdown]
# | row | the article | here |
# |---|---|---|
# | [P1](#claim-p1) | it suits shops, social media and online video | the ledger has the verdict by field, of two towers on simple features against popularity: shops (`garments`) {glue:text}`fields-garments-tower`, music {glue:text}`fields-lastfm-tower`, short video {glue:text}`fields-videos-tower`. What content adds to popularity and item-kNN, live: shops (`garments`) {glue:text}`fields-garments`, music {glue:text}`fields-lastfm`, short video {glue:text}`fields-videos` |
#
# This page took {glue:text}`fields-seconds` seconds.
#
# ## Exercises
#
# **1.** Why does a blend with weight 0 leave the lists of item-kNN as they are, and a blend with weight 1 not always those
# of content-kNN?
#
# ```{dropdown} Solution
# Subtracting a user's mean and dividing by a positive number keeps the order of the items, so that both lists should
# stay. They can differ where items have *equal* scores: content-kNN gives many items the score 0, and the
# first of them in the order of the catalogue are taken in both. The cell compares the lists.
# ```

# %% tags=["hide-cell"]
for w in (0.0, 1.0):
    blend = Blend([knn, like], weights=[1 - w, w], prefit=True)
    blend.fit(split.train, {}, split.validation)
    alone = like if w else knn
    same = np.mean(
        [
            np.array_equal(np.argsort(-a, kind="stable")[:K], b)
            for a, b in zip(
                alone.score(split.test_users),
                np.argsort(
                    -blend.score(split.test_users), axis=1, kind="stable"
                )[:, :K],
                strict=True,
            )
        ]
    )
    print(f"weight {w:.0f}: {same:.0%} of the lists are the same")

# %% [markdown]
# **2.** How much of a field's gain is due to cold items? Measure the blend with all modalities and item-kNN on warm
# items alone.
#
# ```{dropdown} Solution
# Item-kNN gives an item without interactions the score 0, so that it can never recommend it. `evaluate` counts warm
# items alone with `relevant_items`.
# ```

# %% tags=["hide-cell"]
warm = ~cold_items(split)
blend = Blend([knn, like], prefit=True)
both = [knn, blend.fit(split.train, {}, split.validation)]
for what, wanted in (("all items", None), ("warm items", warm)):
    values = [
        evaluate(each, split, k=K, relevant_items=wanted)
        .per_user["ndcg"]
        .mean()
        for each in both
    ]
    print(
        f"{first}, {what}: item-kNN {values[0]:.4f}, with content {values[1]:.4f}"
    )

# %% [markdown]
# **3.** Popularity ranks the same items for everybody. In which of the data sets is it hardest to beat, and why?
#
# ```{dropdown} Solution
# Where few items have most of the interactions, and where little is known of each person. The cell prints the share
# of a tenth of the items, and the interactions of a person in the middle.
# ```

# %% tags=["hide-cell"]
for name in there:
    train = opened(name)[0].train.matrix
    counts = np.sort(train.sum(axis=0))[::-1]
    share = counts[: len(counts) // 10].sum() / counts.sum()
    ratio = measured[name][0][0].per_user["ndcg"].mean()
    ratio /= measured[name][0][1].per_user["ndcg"].mean()
    print(
        f"{name}: a tenth of the items has {share:.0%} of the interactions; the median person has "
        f"{np.median(train.sum(axis=1)):.0f}; popularity reaches {ratio:.0%} of item-kNN"
    )
