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
# # Fusion, measured
#
# **You will be able to**
#
# - read from measurements how much fusion gains over a single modality;
# - name six traps of a claim such as "at least 10 % more accurate", and avoid them;
# - say what permuted features, random features and ids show as controls;
# - measure what happens if a modality is missing or wrong, and which modality decided a recommendation.
#
# {doc}`06_fusion` has the layers.
#
# ## The result first
#
# The article claims that fusion is at least 10 % more accurate than a single modality ([C1](#claim-c1)). The figure
# shows the relative gain in {term}`NDCG`@10 of concatenation, the article's fusion, over the best single modality.
# Bars are 95 % intervals, the dotted line is the claim. A *level* says what turned the media into numbers.

# %% tags=["parameters"]
profile = "quick"  # short training; "full": until it ends
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import time
from dataclasses import replace
from itertools import combinations

from mmtutorial import datasets, metrics, plots  # first: it quiets TensorFlow

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from mmtutorial.evaluation import (
    cold_items,
    compare_all,
    default_split,
    evaluate,
    global_time_split,
    paired_comparison,
    with_parts,
)
from mmtutorial.fusion import FUSIONS
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.recommenders import Blend, Oracle, TwoTower, top_k
from mmtutorial.recommenders.explain import list_shares
from mmtutorial.reproduce.evidence import (
    Evidence,
    committed,
    evidence,
    in_words,
    quote,
    quoted_evidence,
)
from mmtutorial.reproduce.ledger import MEASURES, best, judge, read_ledger
from mmtutorial.reproduce.levels import ALL, LEVELS, SIMPLE
from mmtutorial.reproduce.settings import has_ready_made, tower_options

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
started = time.perf_counter()


def zero(row):
    """Say on which side of zero an interval lies."""
    low, high = row["relative_low"], row["relative_high"]
    return (
        "above zero"
        if low > 0
        else "below zero"
        if high < 0
        else "includes zero"
    )


# %% tags=["hide-input"]
CLAIM = 0.10
results = committed()
by_level, origins = {}, []
for experiment, level in LEVELS.items():
    rival = best(results, dataset, "single", experiment) if results else None
    found = (
        evidence(dataset, experiment, against=rival, recommenders=[ALL])
        if rival
        else None
    )
    if found:
        by_level[f"{level.title}\n(best single: {rival})"] = found.row(ALL)
        origins.append(f"{level.title}: {found.origin}")
if by_level:
    table = pd.DataFrame(by_level).T.infer_objects()
    figure, axis = plt.subplots(
        figsize=(8, 1 + 0.8 * len(table)), layout="constrained"
    )
    plots.relative_gains(table, axis, "gain in NDCG@10 (%)", goal=CLAIM)
    axis.get_legend().remove()
    shown = plots.picture(
        figure,
        alt="A forest plot: for each level of encoders the relative gain of "
        "concatenation over the best single modality with its 95 % interval, "
        "a line at zero and a dotted line at the claim.",
    )
    display(Evidence(table, "; ".join(origins)).shown(shown))
sentences = [
    f"With {name.partition(chr(10))[0]} the gain is {in_words(row)}; its interval "
    + (
        "lies above the claim."
        if row["relative_low"] > CLAIM
        else "lies below the claim."
        if row["relative_high"] < CLAIM
        else "includes the claim, so that this level does not decide."
    )
    for name, row in by_level.items()
]
titles = {name.partition("\n")[0] for name in by_level}
still_open = [
    each.title
    for each in LEVELS.values()
    if each.title not in titles
    and (dataset in each.datasets or dataset not in datasets.MAKERS)
]
if still_open:
    sentences.append(f"Open, since not measured yet: {'; '.join(still_open)}.")
Markdown(" ".join(sentences))

# %% tags=["remove-cell"]
tastes = results is not None and (
    results.measures["experiment"].eq("tastes").any()
)
quote(
    "fusion-tastes",
    ", and varies the tastes"
    if tastes
    else "; an experiment that varies the tastes has not been measured yet",
)
controls = evidence(dataset, "controls")
quote(
    "fusion-controls",
    ", permuted and random features"
    if controls
    else "; permuted and random features, which have not been measured here yet",
)

# %% [markdown]
# The verdict on C1 rests on the first level, the article's own network; [the claims](../claims.md) have it.
#
# Numbers beside an orange bar, which ends with *Evidence*, were measured before, with several seeds, until validation
# stopped the training. All others are *live*, from networks that train in seconds. They show how things work and are
# no verdict.
#
# ## The idea in words, and six traps
#
# A second modality can add something only if tastes depend on it, if the encoder finds this in the medium, and if the
# user's history does not show it already. The measurement of a gain can go wrong in six ways:
#
# | trap | remedy here |
# |---|---|
# | the rival is the *weakest* modality | it is the one that was best on *validation* (exercise 1) |
# | the rival was trained less | same tower, same rule for stopping; where options were searched (`results/settings`), as many trials for each |
# | "CNN" is said, something simpler was measured | every table names its level |
# | simulated users need all modalities by construction | we say so; {doc}`09_reproduction` has real users{glue:text}`fusion-tastes` |
# | one lucky seed or comparison | intervals over users *and* seeds, {term}`Holm's correction` |
# | features that only differ between items act as *ids* | controls: ids{glue:text}`fusion-controls` |
#
# ## The data
#
# From here on a two-tower recommender ({doc}`07_recommend`) reads *simple features*, one short vector a modality
# ({doc}`01_data`). No language model, CNN or RNN takes part.


# %% tags=["hide-input", "remove-output"]
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
given = {name: array.any(axis=1) for name, array in features.items()}

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
            "*Your data set cannot be split by time: "
            f"{refused.partition(':')[0]}. This chapter draws at random which "
            "interactions train, validate and test. [Chapter "
            "10](10_your_own_data.ipynb) says what that changes.*"
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
                    f"{given[name].mean():.1%}" for name in names
                ],
            }
        )
    )
)
if {"text", "words"} <= set(names):
    display(
        Markdown(
            "Here `text` and `words` are two encodings of the *same* tags. "
            "To fuse them adds an encoder, and no new source of information."
        )
    )
quote("fusion-dataset", data.name)
quote("fusion-stand-in", data.name if stand_in else "")
quote("fusion-users", f"{len(split.test_users):,}")
quote("fusion-items", f"{data.n_items:,}")

# %% [markdown]
# On {glue:text}`fusion-dataset`, {glue:text}`fusion-users` test users get lists out of {glue:text}`fusion-items` items.
#
# ## What each fusion gains
#
# The same tower reads one modality, some, or all, under each of the five fusions. The measures are the article's:
# accuracy (NDCG@10 and {term}`hit rate`@10), coverage and diversity ({doc}`08_evaluation`).

# %%
SHOWN = ["ndcg", "hit_rate", "item_coverage", "intra_list_diversity"]
subsets = [
    " + ".join(some)
    for size in range(1, len(names))
    for some in combinations(names, size)
]
means = evidence(dataset, SIMPLE, SHOWN, recommenders=[*subsets, *FUSIONS])
means

# %% tags=["hide-input"]
gains = None
if means:
    single = best(results, dataset, "single")
    favourite = best(results, dataset, "fusions")
    gains = evidence(
        dataset, SIMPLE, SHOWN, against=single, recommenders=list(FUSIONS)
    )
    figure, axes = plt.subplots(
        2, 2, figsize=(8, 5), sharey=True, layout="constrained"
    )
    goals = {"ndcg": 0.1, "hit_rate": 0.1, "item_coverage": 0.05}
    for axis, metric in zip(axes.flat, SHOWN, strict=True):
        rows = gains.table[gains.table["metric"].eq(metric)]
        plots.relative_gains(
            rows.set_index("recommender").reindex(list(FUSIONS)),
            axis,
            f"{MEASURES[metric]}, gain (%)",
            goal=goals.get(metric),
        )
        if axis.get_legend() is not None:  # it would hide a line
            axis.get_legend().remove()
    shown = plots.picture(
        figure,
        alt="Four forest plots, NDCG, hit rate, item coverage and diversity: "
        "the relative gain of each of the five fusions over the best single "
        "modality with 95 % intervals, a line at zero, and dotted lines at "
        "the article's ten and five per cent.",
    )
    display(gains.shown(shown))

# %% tags=["hide-input"]
claim = next(each for each in read_ledger() if each.id == "C3")
readings = [
    f"{each.part.name.partition(': ')[2]} *{each.says(dataset)}*"
    for each in (judge(claim, results).parts if results else ())
    if each.part.level == SIMPLE
]
c3 = "; ".join(readings) or "not measured"
sentences = []
if gains:
    rows = gains.table[gains.table["metric"].eq("ndcg")]
    above, beyond = (
        int((rows["relative_low"] > bound).sum()) for bound in (0.0, CLAIM)
    )
    sentences.append(
        f"Gains are over **{single}**, the best single modality on "
        f"validation. In NDCG@10, the interval lies above zero for {above} of "
        f"{len(rows)} fusions, and above the claim of 10 % for {beyond}."
    )
    row = gains.row("concatenation", "intra_list_diversity")
    sentences.append(
        "Within a list, with all features joined, concatenation's items are "
        f"{'more' if row['relative_gain'] > 0 else 'less'} diverse: "
        f"{in_words(row)}. This reading of diversity decides nothing. Those that the "
        f"rule of [C3](#claim-c3) names came out, on this level and data set: {c3}."
    )
    between = means.table[means.table["metric"].eq("ndcg")]
    between = between.set_index("recommender").loc[list(FUSIONS)]
    reference = between.loc["concatenation"]
    level = between[
        between["low"].le(reference["high"])
        & between["high"].ge(reference["low"])
    ].index.drop("concatenation")
    sentences.append(
        "Over seeds, these intervals of NDCG@10 overlap with "
        f"concatenation's: {', '.join(level) or 'none'}."
    )
    if data.truth is not None:
        sentences.append(
            "These users are simulated. Their taste weighs all modalities "
            "equally and likes one pair of something seen and something "
            "heard. Such a taste needs fusion by construction."
        )


def in_short(recommender, metric):
    """A gain of the evidence in words, or that there is none."""
    return (
        in_words(gains.row(recommender, metric)) if gains else "not measured"
    )


quote("fusion-single", single if gains else "the best single modality")
quote("fusion-favourite", favourite if gains else "open")
quote("fusion-c3", c3.replace("*", ""))
for metric in SHOWN:
    name = metric.replace("_", "-")
    quote(f"fusion-{name}", in_short("concatenation", metric))
    quote(
        f"fusion-favourite-{name}",
        in_short(favourite if gains else "", metric),
    )
Markdown(" ".join(sentences))

# %% [markdown]
# Where nobody searched options, low-rank fusion had a learning rate of its own. Late fusion has longer vectors and
# another temperature ({doc}`06_fusion`). So neither differs from the others in the layer alone.
#
# ## Controls: is it the content, or only the identity?
#
# Features that differ between items and say nothing about them can still act as names of the items. Two controls find
# that out. **Permuted** features are those of another item. **Random** features are random numbers. A third tower has
# **ids**: one learnt vector for each item, and no content. If features do no better than these, the content itself
# added nothing.

# %% tags=["hide-input"]
CONTROLS = [
    *("gated", "gated, permuted features", "gated, random features"),
    *("ids", "concatenation", "gated + ids", "concatenation + ids"),
]
display(evidence(dataset, [SIMPLE, "controls"], recommenders=CONTROLS))
over_ids = evidence(
    dataset, [SIMPLE, "controls"], against="ids", recommenders=CONTROLS
)
sentences = []
if over_ids:
    rows = over_ids.table.set_index("recommender")
    listed = "; ".join(
        f"{name} {in_words(row)} ({zero(row)})"
        for name, row in rows.iterrows()
    )
    sentences.append(
        f"Gains in NDCG@10 over ids alone, and their intervals: {listed}."
    )
    if not rows.index.str.contains("permuted").any():
        sentences.append(
            "The towers with permuted and random features are not measured "
            "here, so this control is open."
        )
Markdown(" ".join(sentences))

# %% [markdown]
# Above zero means that content says something which histories do not show. An interval that includes zero agrees with
# content that only stands in for ids. Items *without* a history are in {doc}`07_recommend`.
#
# ## Live: what could be known
#
# {term}`The oracle <oracle>` knows a simulated user's taste for everything. A *restricted* oracle knows it for the
# attributes of some modalities only. It is no limit for a tower, which also learns what everybody likes.

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


many = profile == "quick" and len(split.test_users) > 1000
some = split.test_users[:: 3 if many else 1]  # a third shows it too
fewer = split.test.where(np.isin(split.test.log["user"], some))
fewer = replace(split, test=fewer)


def ideal(truth):
    """NDCG@10 of the lists of an oracle."""
    oracle = Oracle(truth).fit(split.train)
    return evaluate(oracle, fewer).per_user["ndcg"].mean()


sentence = (
    "The users are real: nobody knows their tastes, so there is no oracle."
)
if simulated:
    limit = ideal(data.truth)
    known = {label: ideal(restricted([label])) for label in names}
    known["all, without pairs"] = ideal(restricted(names))
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
    sentence = (
        f"The oracle itself has {limit:.3f}, on {len(fewer.test_users):,} users. "
        "The shares do not add up to one, "
        "since the attributes of an item *multiply* its chance to be chosen."
    )
Markdown(sentence)

# %% [markdown]
# ## Live: when late fusion is enough
#
# Does it matter that late fusion only adds? We simulate two groups of users over the same items, and give the towers
# the true attributes. In the group "sums" a taste is a sum over modalities. In the group "only pairs" users like
# nothing but one pair of something seen and something heard.

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
FAST = {}  # options of towers that learn in seconds
if profile == "quick":
    FAST = {"steps": 150, "warm_up": 10, "learning_rate": 0.01}
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
        chosen = tower_options(False, profile, fusion) | FAST
        small = TwoTower(fusion=fusion, seed=seed, **chosen)
        small.fit(apart.train, attributes, apart.validation)
        found[fusion] = replace(evaluate(small, apart), recommender=fusion)
    worlds[taste] = apart, attributes, found["late"]
    compared = compare_all(list(found.values()), reference="late", seed=seed)
    crossing.append(compared.assign(taste=taste))
crossing = pd.concat(crossing)

# %% tags=["hide-input"]
display(
    plots.table(
        pd.DataFrame(
            {
                "users": crossing["taste"],
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
)
Markdown(
    "Intervals of the gain over late fusion: "
    + "; ".join(
        f"{row['taste']}, {row['recommender']} {zero(row)}"
        for row in crossing.to_dict("records")
    )
    + "."
    + (
        " Where an interval includes zero, this run does not decide whether late fusion "
        "is enough."
        if any(
            zero(row) == "includes zero" for row in crossing.to_dict("records")
        )
        else ""
    )
)

# %% [markdown]
# For "sums" late fusion can express the whole taste, so a difference there comes from training. For "only pairs" a sum
# can still put first the items that have both parts. It ranks the others wrongly: those with one part come before
# those with none, though users like neither.
#
# ## Live: if a modality is missing, or wrong
#
# We withhold modalities from *every item that competes*. The users' vectors stay as they were. One tower was trained
# plainly, the other with {term}`modality dropout` of 0.3. In the column "another item's" nothing is withheld: every
# item has this modality of some other item.

# %% tags=["remove-output"]
SHORT = {"steps": 200, "warm_up": 10} if profile == "quick" else {}
SETTINGS = tower_options(has_ready_made(data), profile) | SHORT
towers, runs = {}, {}
for label, more in {
    "concatenation": {},
    "modality dropout": {"modality_dropout": 0.3},
    "alignment": {"alignment": 0.1},
}.items():
    one = TwoTower(names, seed=seed, **SETTINGS | more)
    towers[label] = one.fit(split.train, features, split.validation)
    runs[label] = replace(evaluate(one, split), recommender=label)
tower, users = towers["concatenation"], runs["concatenation"].users
owned = (split.train.matrix + split.validation.matrix)[users]
relevant = split.test.matrix[users]


# %%
known = {
    label: (one.score(users), one.score_new_items(users, features))
    for label, one in towers.items()
}


def measured(label, instead):
    """Evaluate a tower whose items have these features instead."""
    scores, before = known[label]
    now = towers[label].score_new_items(users, instead)
    lists = top_k(scores + now - before, 10, exclude=owned)
    values = runs[label].per_user.assign(ndcg=metrics.ndcg(lists, relevant))
    return replace(runs[label], per_user=values, ranked=lists)


# %% tags=["hide-input"]
def without(*gone):
    """The features with these modalities withheld from all items."""
    return {
        name: np.zeros_like(array) if name in gone else array
        for name, array in features.items()
    }


def mistaken(name):
    """Give every item this modality of another item that has it."""
    rows = np.flatnonzero(given[name])
    wrong = features[name].copy()
    wrong[rows] = wrong[np.random.default_rng(seed).permutation(rows)]
    return {**features, name: wrong}


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
        measured("concatenation", mistaken(gone[0])).per_user["ndcg"].mean()
        if len(gone) == 1
        else np.nan
    )
    label = " and ".join(gone) or "nothing"
    missing[label] = {
        "plain": plain.per_user["ndcg"].mean(),
        "with modality dropout": dropped.per_user["ndcg"].mean(),
        "plain, another item's": wrong,
    }
    helped[label] = in_words(
        vars(paired_comparison(dropped, plain, seed=seed))
    )
missing = pd.DataFrame(missing).T.rename_axis("withheld")
display(
    plots.table(
        missing.assign(**{"gain by dropout": pd.Series(helped)}), index=True
    )
)
one_gone = [gone[0] for gone in withheld if len(gone) == 1]
change = missing / missing.loc["nothing", "plain"] - 1
for key, column in [("missing", "plain"), ("wrong", "plain, another item's")]:
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
aligned = paired_comparison(
    runs["alignment"], runs["concatenation"], seed=seed
)
quote("fusion-aligned", in_words(vars(aligned)))
quote("fusion-aligned-p", plots.p_value(aligned.p))

# %% [markdown]
# Cells are NDCG@10. Without one modality the plain tower changes by {glue:text}`fusion-missing-losses`. With another
# item's it changes by {glue:text}`fusion-wrong-losses`: a mask marks what is absent, nothing marks what is wrong. With
# everything there, dropout changes it by {glue:text}`fusion-dropout-price`. These towers were trained for a short
# time; a longer training goes on until validation stops it (one seed).

# %% tags=["hide-input"]
quoted_evidence(
    dataset,
    "06b_fusion_measured",
    {
        "fusion-missing-losses": "plain, one modality withheld",
        "fusion-wrong-losses": "plain, another item's modality instead",
        "fusion-dropout-price": "gain by dropout, nothing withheld",
        "fusion-dropout-gains": "gain by dropout, one modality withheld",
        "fusion-aligned": "gain by alignment (section below)",
    },
)

# %% [markdown]
# That is a modality lost *after* training. Where it is missing in training too, the tower can adapt. A second
# experiment takes one modality from a part of the items from the beginning, and measures the change of NDCG@10.

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
    below, sure = absent["relative_high"] < 0, absent["p_holm"] < 0.05
    display(
        Markdown(
            f"Intervals below zero: {below.sum()} of {len(absent)} cells. "
            "Significant after Holm's correction over all comparisons of "
            f"this experiment: {sure.sum()}."
        )
    )
else:
    display(quality)

# %% [markdown]
# ## Live: with alignment
#
# The third tower adds the contrastive loss {eq}`eq-contrastive`, with weight 0.1. Given an item's first modality, is its
# own second one among the ten nearest of all items (by cosine of the encoders' vectors)? And does that help the lists?


# %% tags=["hide-input"]
def found_among_ten(label):
    """How often a modality finds the other of the same item, and by chance."""
    inputs = {name: features[name] for name in names}
    inputs["present"] = np.column_stack([given[name] for name in names])
    have = given[names[0]] & given[names[1]]
    left, right = (
        np.asarray(each)[have]
        / np.linalg.norm(np.asarray(each)[have], axis=1, keepdims=True)
        for each in towers[label].tower(inputs, training=False)[2][:2]
    )
    cosines = left @ right.T
    above = cosines > np.diag(cosines)[:, None]
    return (above.sum(axis=1) < 10).mean(), 10 / have.sum()


rows = {}
for label, title in [("concatenation", "without"), ("alignment", "with")]:
    hits, by_chance = found_among_ten(label)
    rows[f"{title} alignment"] = {
        f"{names[0]} finds its {names[1]} among ten": f"{hits:.1%}",
        "by chance": f"{by_chance:.1%}",
        "NDCG@10": runs[label].per_user["ndcg"].mean(),
    }
plots.table(pd.DataFrame(rows).T, index=True)

# %% [markdown]
# The first column says whether the loss does its job, on items that it was trained on: a large network can memorise
# which vectors belong together. The lists change by {glue:text}`fusion-aligned` (p = {glue:text}`fusion-aligned-p`;
# one seed, one weight).
#
# ## Live: which modality decided?
#
# We score a recommended item with every choice of its modalities. `list_shares` shares the score among them by the
# Shapley values of {doc}`14_explained`, less their means over all items. The modality with the largest share has
# *decided*. (Late fusion and attention give the weight of what is hidden to the rest, so with them a share also holds
# what the others would say.)

# %%
asked = np.random.default_rng(seed).permutation(len(users))[:40]
ranked = runs["concatenation"].ranked[asked]  # (40, 10)
past = split.train.log.groupby("user")["item"].unique()
shares = list_shares(tower, past[users[asked]].tolist(), ranked, features)
parted = np.stack([shares[name] for name in names], axis=2)
parted = np.nan_to_num(parted, nan=0.0)  # (40, 10, modalities), in logits
decided = np.where(parted.max(axis=2) > 0, parted.argmax(axis=2), -1)

# %% [markdown]
# The first five places of one user's list, and the share of each modality in the score:

# %% tags=["hide-input"]
kinds_in = np.array([len(set(row[row >= 0])) for row in decided[:, :5]])
chosen = int(kinds_in.argmax())
first = ranked[chosen, :5][ranked[chosen, :5] >= 0]
rows = [
    {
        "place": place + 1,
        "item": data.items["title"].iloc[item],
        **{
            f"share of {name}": f"{parted[chosen, place, m]:+.2f}"
            if given[name][item]
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

# %% tags=["hide-input"]
filled = ranked >= 0
share = np.array([(decided[filled] == m).mean() for m in range(len(names))])
columns = {"decided": share}
sentence = (
    "Nobody asked these users for their reasons, so this cannot be checked."
)
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
    true, by_share = (
        np.bincount(each[judged], minlength=len(names)) / judged.sum()
        for each in (liked, decided)
    )
    columns["is liked most in truth"] = true
    sentence = (
        "These users are simulated, so the answer can be checked. The largest share "
        "names the modality whose attribute the user really likes most in "
        f"{agree:.0%} of the recommendations. Who names the modalities at random, each as "
        f"often as the figure's first bars, is right in {true @ by_share:.0%}."
    )
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
(100 * pd.DataFrame(columns, index=names)).plot.bar(ax=axis, rot=0)
axis.set(ylabel="recommendations (%)")
axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2)
plots.show(
    figure,
    alt="Bars: the share of recommendations that each modality decided, and, "
    "where users are simulated, the share in which its attribute is truly "
    "liked most.",
)
quote(
    "fusion-decided",
    ", ".join(
        f"{name} {value:.0%}" for name, value in zip(names, share, strict=True)
    ),
)
Markdown(sentence)

# %% [markdown]
# Of all recommendations of these forty users, so many were decided by each modality: {glue:text}`fusion-decided`.
# What two modalities both say is halved between them. {doc}`07_recommend` trains its tower for longer, so that its
# numbers differ.
#
# ## What the article claims, and what we measured
#
# Gains are those of concatenation over {glue:text}`fusion-single`, with simple features.

# %% tags=["remove-cell"]
used = plots.resources(started)
quote("fusion-minutes", f"{used['seconds'] / 60:.1f}")
quote("fusion-memory", f"{used['peak_mb'] / 1000:.1f}")
quote("fusion-cores", int(used["cores"]))

# %% [markdown]
# | row | the article | here |
# |---|---|---|
# | [C1](#claim-c1) | accuracy rises by 10 % or more | NDCG@10 {glue:text}`fusion-ndcg`, hit rate@10 {glue:text}`fusion-hit-rate`. The best fusion on validation ({glue:text}`fusion-favourite`): NDCG@10 {glue:text}`fusion-favourite-ndcg`. Other levels: the first figure |
# | [C2](#claim-c2) | coverage rises by 5 % or more | item coverage@10 {glue:text}`fusion-item-coverage`; user coverage is the hit rate |
# | [C3](#claim-c3) | accuracy *and* diversity | NDCG@10 as above; the readings of diversity that decide, with simple features: {glue:text}`fusion-c3`. Within a list with all features joined, which decides nothing: {glue:text}`fusion-intra-list-diversity` |
# | [D2](#claim-d2) | sensitive to the data's quality | live, one seed: a modality withheld {glue:text}`fusion-missing-losses`; another item's {glue:text}`fusion-wrong-losses` |
#
# ## Exercises
#
# **1.** Which gain would a paper report that compares concatenation with the *weakest* single modality?
#
# ```{dropdown} Solution
# The cell below has the gains over every single modality. All are measured correctly. Only the gain over the best one
# says whether fusion is worth its cost.
# ```

# %% tags=["hide-cell"]
for name in names:
    over = evidence(dataset, SIMPLE, against=name, recommenders=[ALL])
    print(
        f"over {name:6}", in_words(over.row(ALL)) if over else "not measured"
    )

# %% [markdown]
# **2.** Train one tower for each modality, and add up their scores, $\sum_m \lambda_m \hat y_{ui}^{(m)}$ with
# $\lambda_m \ge 0$ chosen on validation. Compare with late fusion that was trained as one, for the users whose taste is
# a sum.
#
# ```{dropdown} Solution
# `Blend` brings each recommender's scores to mean 0 and standard deviation 1 for each user, and chooses the weights.
# Trained as one, the parts can divide the work. Trained apart, each tower learns to explain all choices by itself. The
# cell below has the result of this run.
# ```


# %% tags=["hide-input", "remove-output"]
apart, attributes, as_one = worlds["sums"]
length = tower_options(False, profile) | FAST
blend = Blend([TwoTower((kind,), seed=seed, **length) for kind in attributes])
blend.fit(apart.train, attributes, apart.validation)

# %% tags=["hide-cell"]
summed = evaluate(blend, apart).per_user["ndcg"].mean()
weights = zip(attributes, blend.chosen, strict=True)
print(
    "weights:", ", ".join(f"{name} {number:.1f}" for name, number in weights)
)
print(f"NDCG@10, sum of separate towers {summed:.4f}")
print(f"NDCG@10, late fusion as one     {as_one.per_user['ndcg'].mean():.4f}")

# %% [markdown]
# ## References
#
# Modality dropout {cite}`neverova2016`; alignment {cite}`radford2021`; two towers {cite}`yi2019`; Holm's correction
# {cite}`holm1979`; gains that vanish against well-tuned rivals {cite}`ferraridacrema2019`.
#
# *This page took {glue:text}`fusion-minutes` minutes on {glue:text}`fusion-cores` cores, and at most
# {glue:text}`fusion-memory` GB of memory.*
