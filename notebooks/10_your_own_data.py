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
# # Your own data
#
# **You will be able to**
#
# - turn a shop's own tables and folders into a data set in five lines;
# - read what `mmtutorial check` says of it, and mend it;
# - work with what you have: without pictures or without sounds, without times, with Chinese text, with
#   many items;
# - compute how large a difference your users can show, before you believe one.
#
# ## The idea in words
#
# Every chapter of this book takes a folder where it says `dataset`. So your catalogue needs no new code; it
# needs three things that no library can guess. *Names*: which of your columns says who, what and when.
# *Whose is which*: the product that a photograph belongs to. And *enough users*: two recommenders that
# differ by little cannot be told apart by a few people, however good the code. The first two are five
# lines. The third is arithmetic that is best done first: it may tell you to collect more before you
# train anything.

# %% tags=["parameters"]
profile = (
    "quick"  # "full": towers learn until their validation part stops them
)
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from myst_nb import glue
from scipy import stats
from threadpoolctl import threadpool_limits

from mmtutorial import datasets, plots
from mmtutorial.recommenders import ContentKNN, ItemKNN, Popularity
from mmtutorial.evaluation import (
    cold_items,
    default_split,
    evaluate,
    paired_comparison,
)
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.preprocessing.text import clean, tokenise
from mmtutorial.recommenders.two_tower import TwoTower

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
threadpool_limits(1)  # many small products: one thread is faster than two
colours = sns.color_palette("colorblind")
started = time.perf_counter()


def quote(**numbers):
    """Hand numbers of this run to the text of this chapter."""
    for name, number in numbers.items():
        plain = number.item() if isinstance(number, np.generic) else number
        glue(f"own-{name.replace('_', '-')}", plain, display=False)


# %% [markdown]
# ## A shop that is not ours
#
# To have something foreign, we take a part of the data set that this chapter was given, and write it as
# another shop would have it: other names of columns, an `id` in both tables (of the order, and of the
# product), numbers with leading zeros for ids, dates instead of seconds, a price (made up), pictures named
# by whoever took them, two of some products. And since no export is clean, we spoil it: a purchase of something unknown, one of nobody, one twice, one "yesterday",
# and a picture that was cut off on its way.

# %% tags=["hide-input"]
MOST = 320  # products: enough to learn from, few enough for a chapter
given = datasets.load(dataset)
draw = np.random.default_rng(seed)
shop = Path(tempfile.mkdtemp()) / "export"
shop.mkdir()

top = given.interactions["item"].value_counts(sort=True).index[:MOST]
kept = given.items[given.items["item"].isin(top)].reset_index(drop=True)
ids = pd.Series([f"{17 * row:05d}" for row in range(len(kept))])
products = pd.DataFrame(
    {
        "id": ids,
        "name": kept["title"],
        "description": kept["text"],
        "price": (5 + 95 * draw.random(len(kept))).round(2),
    }
)
products.to_csv(shop / "products.csv", index=False)

FOLDERS = {"image": "photos", "audio": "clips"}
copied = dict.fromkeys(FOLDERS, 0)
for kind, folder in FOLDERS.items():
    for row in range(len(kept)):
        source = given.folder / kept[kind][row]
        if not kept[kind][row] or not source.is_file():
            continue
        (shop / folder).mkdir(exist_ok=True)
        views = ("front", "side") if row % 10 == 3 else ("front",)
        for view in views if kind == "image" else ("demo",):
            name = f"IMG {ids[row]} {view}{source.suffix}"
            shutil.copyfile(source, shop / folder / name)
            copied[kind] += 1
photos, clips = (
    folder if copied[kind] else None for kind, folder in FOLDERS.items()
)
if photos:
    cut = min((shop / photos).iterdir())
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])

log = given.interactions.merge(
    pd.DataFrame({"item": kept["item"], "product_id": ids}), on="item"
)
orders = pd.DataFrame(
    {"product_id": log["product_id"], "customer": "c " + log["user"]}
)
if log["timestamp"].notna().any():
    orders["created_at"] = pd.to_datetime(log["timestamp"], unit="s").astype(
        str
    )
if log["rating"].notna().any():
    orders["stars"] = log["rating"]
n_sound = len(orders)
spoilt = orders.iloc[[0, 1, 2, 3]].copy()
spoilt.iloc[0, 0] = "99999"  # no such product
spoilt.iloc[1, 1] = ""  # nobody's
if "created_at" in orders:
    spoilt.iloc[3, orders.columns.get_loc("created_at")] = "yesterday"
orders = pd.concat([orders, spoilt])
orders.insert(0, "id", range(1, len(orders) + 1))
orders.to_csv(shop / "orders.csv", index=False)
os.chdir(shop)
for path in sorted(Path(".").iterdir()):
    files = sorted(path.iterdir()) if path.is_dir() else []
    such = f"{len(files)} files, such as {files[0].name!r}" if files else ""
    print(f"{path.name:14}{such}")

# %%
print(*Path("orders.csv").read_text("utf-8").splitlines()[:3], sep="\n")

# %% [markdown]
# ## Five lines
#
#     from mmtutorial import datasets
#     event_columns = {"product_id": "item", "customer": "user", "created_at": "timestamp"}
#     product_columns = {"id": "item", "name": "title", "description": "text"}
#     mine, left_out = datasets.from_tables("orders.csv", "products.csv", images="photos", sounds="clips",
#                                           event_columns=event_columns, product_columns=product_columns)
#     mine = mine.save("my-shop")
#     print(*left_out, sep="\n")
#
# `event_columns` and `product_columns` say what *your* names mean, in each table; columns that you do not
# name stay what they are. So the `id` of a product is its item, and the `id` of an order is kept. A picture
# belongs to the product whose id stands in its name (or in the name of its folder), and a table may name
# the files instead, in a column `image` or `audio`. Nothing is decoded or copied before `save`. Here are
# the same lines, with what this run has:

# %%
event_columns = {
    "product_id": "item",
    "customer": "user",
    "created_at": "timestamp",
    "stars": "rating",
}
event_columns = {
    name: ours for name, ours in event_columns.items() if name in orders
}
product_columns = {"id": "item", "name": "title", "description": "text"}
tables = {"events": "orders.csv", "products": "products.csv"}
columns = {"event_columns": event_columns, "product_columns": product_columns}
folders = {"images": photos, "sounds": clips}

mine, left_out = datasets.from_tables(
    **tables, **folders, **columns, numbers=["price"]
)
mine = mine.save("my-shop")
print(*left_out, sep="\n")
print(f"{mine.n_items} products, {mine.n_users} users")

# %% [markdown]
# Each line above is a row that was not taken, with its number as a spreadsheet shows it, or files that
# were not. They are left out, not repaired: what "yesterday" was, only the shop knows. A line that begins
# with "note" says what was assumed. If most of a table cannot be used, nothing is made, since that is a wrong column or a wrong format (`times=`), not a few
# bad rows.
#
# ## What is wrong with it
#
# `from_tables` looks at tables and names. Whether a picture can be decoded, a sound is silent or the
# folder has been edited since is what the check tells:


# %%
def check(folder):
    """Run `mmtutorial check` as a shell would, print what it says, return its exit status."""
    command = [sys.executable, "-m", "mmtutorial", "check", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)
    return done.returncode


print("exit status", check("my-shop"))

# %% [markdown]
# The exit status is 1 where something is wrong, so that a script notices, and 0 where there are only
# *notes*: what is no fault and still limits what can be told. The remedy of a spoilt file is to fetch it
# again, or to do without it. We do without, and make the folder anew:

# %%
for fault in mine.validate():
    if Path(fault.file).parts[0] in (photos, clips):
        Path(fault.file).unlink()
mine, left_out = datasets.from_tables(
    **tables, **folders, **columns, numbers=["price"]
)
mine = mine.save("my-shop")
status = check("my-shop")
print("exit status", status)

# %% [markdown]
# From here on, `my-shop` is a data set like any other:
#
#     mmtutorial recommend --dataset my-shop --user NAME
#     papermill notebooks/06_fusion.ipynb out.ipynb -p dataset /where/it/is/my-shop
#     mmtutorial reproduce --dataset my-shop
#
# ## Split, encode, fuse, evaluate
#
# If you have no times and no published parts, `default_split` refuses. What came first is then unknown, and
# nothing can be learnt from the past alone. The way out is to draw the parts at random, and to say so:


# %%
def with_parts(data, seed):
    """Draw for each user and item whether it trains, validates or tests: 8 to 1 to 1."""
    first = data.interactions.drop_duplicates(["user", "item"])
    parts = np.random.default_rng(seed).choice(
        ["train", "validation", "test"], len(first), p=[0.8, 0.1, 0.1]
    )
    return replace(data, interactions=first.assign(part=parts))


try:
    split = default_split(mine)
except ValueError as refused:
    print(refused)
    mine = with_parts(mine, seed).save("my-shop")
    split = default_split(mine)
features, _ = ready_features(mine, ~cold_items(split))
print(
    f"split by {split.name}: {len(split.test_users)} users can be tested; features:"
)
print({name: array.shape for name, array in features.items()})

# %% [markdown]
# The towers of [chapter 7](07_recommend.ipynb), one for each modality that there is and one for all
# together, beside what is popular and what is taken together:

# %%
short = {} if profile == "full" else {"epochs": 40, "patience": 10}
options = {"batch_size": 256, "seed": seed, **short}
contenders = {"popularity": Popularity(), "item-kNN": ItemKNN()}
for name in features:
    contenders[name] = TwoTower((name,), **options)
if len(features) > 1:
    contenders["all together"] = TwoTower(tuple(features), **options)
if not features:
    contenders["ids"] = TwoTower((), ids=True, **options)
found, on_validation = {}, {}
for name, each in contenders.items():
    each.fit(split.train, features, split.validation)
    found[name] = replace(evaluate(each, split), recommender=name)
    chosen_by = evaluate(each, split, part="validation", n_bootstrap=1)
    on_validation[name] = chosen_by.per_user["ndcg"].mean()

summary = pd.DataFrame(
    {name: each.summary().loc["ndcg"] for name, each in found.items()}
).T.sort_values("mean", ascending=False)
figure, axis = plt.subplots(
    figsize=(7, 1 + 0.4 * len(summary)), layout="constrained"
)
plots.measures_with_intervals(summary, axis, "NDCG@10 (95 % interval)")
plots.show(
    figure,
    alt="Points with horizontal intervals, one line a recommender, best first: its NDCG at 10 on "
    "the foreign shop's test part.",
)

# %% [markdown]
# Look at the intervals before you look at the order.
#
# ## Is it enough to tell?
#
# Let $\delta_u = M_u^A - M_u^B$ be the difference of two recommenders for user $u$, as in {eq}`eq-paired`;
# $\bar\delta$ its mean over $n$ users and $\sigma_\delta$ its standard deviation. By the central limit theorem
# the mean is nearly normal with deviation $\sigma_\delta / \sqrt n$. So the interval of 95 % reaches, to
# each side,
#
# ```{math}
# :label: eq-width
# w(n) = z_{0.975}\, \frac{\sigma_\delta}{\sqrt n}, \qquad z_{0.975} \approx 1.96 .
# ```
#
# Four times as many users make it half as wide. A true difference $\Delta$ is *seen* where the interval
# around $\bar\delta$ excludes 0 on its side. How often that happens is the {term}`power` of the test
# {cite}`cohen1988`,
#
# ```{math}
# :label: eq-power
# \text{power}(n) \approx \Phi\!\left(\frac{\sqrt n\, \lvert\Delta\rvert}{\sigma_\delta} - z_{0.975}\right) ,
# ```
#
# where $\Phi$ is the standard normal distribution function. Turned around: to see a relative gain $g$ over
# $B$, whose mean is $\bar M^B$, in four cases of five, you need
#
# ```{math}
# :label: eq-needed
# n(g) = \left(\frac{(z_{0.975} + z_{0.8})\, \sigma_\delta}{g\, \bar M^B}\right)^{2},
# \qquad z_{0.8} \approx 0.84 .
# ```
#
# In NumPy, symbol by symbol:

# %%
z_975, z_80 = stats.norm.ppf([0.975, 0.8])


def width(n, sigma):
    """Equation eq-width: how far the interval reaches to each side."""
    return z_975 * sigma / np.sqrt(n)


def power(n, delta, sigma):
    """Equation eq-power: how often a true difference delta is seen."""
    return stats.norm.cdf(np.sqrt(n) * abs(delta) / sigma - z_975)


def users_needed(g, mean, sigma):
    """Equation eq-needed: users to see a relative gain g in four cases of five."""
    return ((z_975 + z_80) * sigma / (g * mean)) ** 2


# %% [markdown]
# Both are approximations, and the differences here are far from normal: for most users both lists miss,
# and $\delta_u$ is exactly 0. So we try it on the real differences. Take the users of this test as if they
# were everybody, draw $n$ of them with replacement, as if a shop of $n$ users had been measured, and
# compute its mean and its $t$ test {cite}`smucker2007`; two thousand such shops for each $n$. Two pairs: the
# recommender that came first on validation, against popularity and against the best other one.

# %%
order = sorted(on_validation, key=on_validation.get, reverse=True)
best = next(name for name in order if name != "popularity")
rivals = [
    "popularity",
    next(n for n in order if n not in (best, "popularity")),
]
sizes = np.array([15, 30, 60, 120, 250, 500, 1000, 2000, 4000])
N_SHOPS = 2000


def small_shops(delta, n, generator):
    """Means of many samples of n users, and how often a t test sees their sign: (N_SHOPS,), share."""
    drawn = delta[generator.integers(len(delta), size=(N_SHOPS, n))]
    mean = drawn.mean(axis=1)
    error = drawn.std(axis=1, ddof=1) / np.sqrt(n)
    seen = mean * np.sign(delta.mean()) > stats.t.ppf(0.975, n - 1) * error
    return mean, seen.mean()


pairs = {}
for rival in rivals:
    values = {
        side: found[name].per_user["ndcg"].to_numpy()
        for side, name in (("A", best), ("B", rival))
    }
    delta = values["A"] - values["B"]
    rows = []
    for n in sizes:
        generator = np.random.default_rng([seed, int(n)])
        mean, seen = small_shops(delta, n, generator)
        low, high = np.quantile(mean, [0.025, 0.975])
        rows.append({"n": n, "measured": (high - low) / 2, "seen": seen})
    pairs[rival] = {
        "delta": delta,
        "sigma": delta.std(),
        "mean B": values["B"].mean(),
        "tried": pd.DataFrame(rows),
    }

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
smooth = np.geomspace(sizes[0], sizes[-1], 100)
for (rival, pair), colour, marker in zip(
    pairs.items(), colours, ("o", "s"), strict=False
):
    label = f"{best} − {rival}"
    tried, sigma = pair["tried"], max(pair["sigma"], 1e-9)
    axes[0].plot(smooth, width(smooth, sigma), color=colour)
    axes[0].plot(
        tried["n"], tried["measured"], marker, color=colour, label=label
    )
    axes[1].plot(
        smooth, power(smooth, pair["delta"].mean(), sigma), color=colour
    )
    axes[1].plot(tried["n"], tried["seen"], marker, color=colour, label=label)
axes[0].set(
    xscale="log",
    yscale="log",
    xlabel="users measured",
    ylabel="half-width of the interval of NDCG@10",
)
axes[1].set(
    xscale="log",
    ylim=(0, 1.02),
    xlabel="users measured",
    ylabel="share of shops that see the difference",
)
axes[1].axhline(0.8, linestyle=":", color="grey")
for axis in axes:
    axis.set_xticks(sizes[::2], labels=[f"{n}" for n in sizes[::2]])
    axis.minorticks_off()
axes[0].legend(fontsize=8)
plots.show(
    figure,
    alt="Two panels against the number of users on a logarithmic axis, for two pairs of "
    "recommenders; lines are the equations, dots are two thousand samples of real differences. "
    "Left: half-widths fall along straight lines. Right: the share of samples in which the "
    "difference is seen rises from near 0 towards 1, for the larger difference earlier.",
)

# %% [markdown]
# Lines are {eq}`eq-width` and {eq}`eq-power`, dots are the samples. The width holds for few users already.
# So does the power where it is large; where few users meet a small difference, the many zeros and the few
# large differences show, the test sees less than the equation promises, and it is a guide only. What it says
# of this shop:

# %% tags=["hide-input"]
n_here = len(split.test_users)
rows = []


def percent(share, sign=""):
    """A share in per cent; a dash where B scores 0 and nothing can be a share of it."""
    return f"{share:{sign}.0%}" if np.isfinite(share) else "–"


for rival, pair in pairs.items():
    sigma, mean = pair["sigma"], pair["mean B"]
    comparison = paired_comparison(found[best], found[rival], seed=seed)
    needed = [
        users_needed(g, mean, sigma) if mean else np.nan
        for g in (0.05, 0.10, 0.20)
    ]
    smallest = (
        (z_975 + z_80) * sigma / (np.sqrt(n_here) * mean) if mean else np.nan
    )
    rows.append(
        {
            "A": best,
            "B": rival,
            "measured gain": f"{percent(comparison.relative_gain, '+')} "
            f"[{percent(comparison.relative_low, '+')}, "
            f"{percent(comparison.relative_high, '+')}]",
            "p": plots.p_value(comparison.p),
            "smallest gain to be seen here": percent(smallest),
            **{
                f"users for {g:.0%}": f"{n:,.0f}" if np.isfinite(n) else "–"
                for g, n in zip((0.05, 0.10, 0.20), needed, strict=True)
            },
        }
    )
table = pd.DataFrame(rows)
display(plots.table(table))
close = pairs[rivals[1]]
quote(
    users=n_here,
    zeros=f"{np.mean(close['delta'] == 0):.0%}",
    best=best,
    second=rivals[1],
    smallest=table["smallest gain to be seen here"].iloc[1],
    needed_ten=table["users for 10%"].iloc[1],
    needed_five=table["users for 5%"].iloc[1],
)

# %% [markdown]
# With {glue:text}`own-users` users, of whom {glue:text}`own-zeros` see no difference between
# *{glue:text}`own-best`* and *{glue:text}`own-second`*, a gain below {glue:text}`own-smallest` is more
# often missed than the promised one time in five. To see ten per cent it takes
# {glue:text}`own-needed-ten` users; for five per cent, {glue:text}`own-needed-five`. The article's ten
# per cent, on a data set that it does not name, has a number of users that it does not say. It is not alone:
# in ten years of papers on search, some experiments had far too few topics for what they said, and others
# far more than they needed {cite}`sakai2016`.
#
# If you have too few: measure a longer period (more relevant items a user, so a smaller
# $\sigma_\delta$), compare things that differ more, or report the interval and leave it at that. What does not
# help is to train with more seeds: seeds are another source of accident, not more people
# ([chapter 8](08_evaluation.ipynb)).
#
# ## A modality is missing
#
# Nothing has to be switched off. A column that is empty throughout is a modality that is not there;
# `ready_features` returns the others, and what reads contents reads what it gets. Here each is taken away
# in turn, and items are compared by what is left (content-kNN, which needs no training):

# %%
rows = []
for gone in (None, *features):
    blank = {} if gone is None else {gone: ""}
    less = replace(mine, items=mine.items.assign(**blank))
    left, _ = ready_features(less, ~cold_items(split))
    if not left:
        continue
    each = ContentKNN().fit(split.train, left)
    measured = evaluate(each, split, n_bootstrap=1).per_user["ndcg"].mean()
    rows.append(
        {
            "without": gone or "(all there)",
            "features": ", ".join(left),
            "NDCG@10": measured,
        }
    )
plots.table(pd.DataFrame(rows))

# %% [markdown]
# An item that lacks one is ordinary too: its row of zeros is masked ({doc}`06_fusion`). Only an item that
# has nothing at all can be recommended by its id alone, which the check reports.
#
# ## Times are missing
#
# The same shop, as if nobody had noted when:

# %%
timeless = replace(
    mine,
    interactions=mine.interactions.drop(
        columns="part", errors="ignore"
    ).assign(timestamp=np.nan),
)
try:
    default_split(timeless)
except ValueError as refused:
    print(refused)
drawn = default_split(with_parts(timeless, seed))
rows = []
for name, parts in (
    ("as it is: " + split.name, split),
    ("parts drawn at random", drawn),
):
    for each in (Popularity(), ItemKNN()):
        measured = evaluate(each.fit(parts.train), parts, n_bootstrap=1)
        rows.append(
            {
                "split": name,
                "recommender": each.name,
                "users": len(measured.users),
                "NDCG@10": measured.per_user["ndcg"].mean(),
            }
        )
plots.table(pd.DataFrame(rows))

# %% [markdown]
# The two lines of a recommender answer different questions. Where parts are drawn at random, what
# everybody took *later* can be learnt, and new items are hardly ever new ({cite}`meng2020,ji2023`).
# Write the column `part` into the folder, as `with_parts(…).save(…)` does, and the chapters from 6 on run; just
# do not compare the numbers with those of a split by time. The article's network
# ([chapter 5](05_article_network.ipynb)) reads what was taken last, and no column but the times can tell.
#
# ## Chinese text, many items
#
# Text is cleaned and cut into words by its script, without being told the language; where words are not
# separated by blanks, by jieba's dictionary ([chapter 2](02_language_model.ipynb)). Files are UTF-8; if your
# spreadsheet writes another encoding, the check names the first row that shows it.

# %%
chinese = datasets.load("shop", n_items=40, n_users=30, language="zh")
own = mine.items["text"].str.contains(r"[\u4e00-\u9fff]")
text = (mine if own.any() else chinese).items["text"]
first = next(
    each for each in text if any("\u4e00" <= c <= "\u9fff" for c in each)
)
print(first[:40])
print(tokenise(clean(first))[:16])

# %% [markdown]
# With many items and few purchases, most items have no buyer in training, and ids know nothing about
# them. Content does: that is the case for the towers above ({term}`cold start`). Memory does not grow with
# users × items, since `evaluate` scores users in blocks; what grows is the time to rank, with the number of
# items. In this shop:

# %%
cold = cold_items(split)
taken = split.train.matrix.sum(axis=0)
print(
    f"{cold.mean():.0%} of {mine.n_items} products have no buyer in training, "
    f"half have at most {np.median(taken):.0f}"
)
plots.table(
    pd.DataFrame(
        {
            "recommender": list(summary.index),
            "NDCG@10": summary["mean"].to_numpy(),
            "item coverage": [
                found[name].catalogue["item_coverage"]
                for name in summary.index
            ],
        }
    )
)

# %% tags=["remove-cell"]
os.chdir(shop.parent.parent)
shutil.rmtree(shop.parent)
print(f"{time.perf_counter() - started:.0f} s")

# %% [markdown]
# ## Summary
#
# Five lines make a data set of your tables; the check says what is wrong with it and what only limits it;
# every chapter and `mmtutorial reproduce` take the folder. Before you read an order out of a table of results,
# put your users into {eq}`eq-needed`.
#
# ## Exercises
#
# The numbers of the first two are invented for the exercise.
#
# **1.** Over users, the difference of two recommenders has the deviation $\sigma_\delta = 0.25$, and the
# weaker has $\bar M^B = 0.10$. How many users does it take to see a gain of 10 % in four cases of five? And of
# 5 %? With 400 users, which gain can be seen?
#
# ```{dropdown} Solution
# $z_{0.975} + z_{0.8} \approx 2.80$. For 10 %: $(2.80 \cdot 0.25 / 0.01)^2 = 70^2 = 4\,900$. For 5 % four
# times as many, 19 600. With 400 users: $2.80 \cdot 0.25 / (0.10 \cdot 20) = 0.35$, so only a gain of 35 %.
# ```
#
# **2.** A folder holds `7_12.jpg`, `IMG 7 12.jpg`, `7-12.jpg` and `shoes/12/2.jpg`. There are the products
# `7`, `12` and `7-12`. Whose is which?
#
# ```{dropdown} Solution
# An id within a longer one does not count, and `_`, `-` and blanks all separate: the first three are of
# `7-12`. The last is named by its folder: `12`. If there were no `7-12`, then `7_12.jpg` and `7-12.jpg` would
# be of `7`, since what follows an id at the beginning is a number or a word, and `IMG 7 12.jpg` would be
# reported as naming two.
# ```
#
# **3.** Somebody measures *different* users for $A$ and for $B$. The two deviations are $\sigma_A$ and $\sigma_B$.
# What takes the place of $\sigma_\delta$ in {eq}`eq-needed`, and how many times as many users does it take here?
#
# ```{dropdown} Solution
# The variance of a difference of independent means is the sum of both: $\sqrt{\sigma_A^2 + \sigma_B^2}$ takes
# its place. Paired, the covariance counts: $\sigma_\delta^2 = \sigma_A^2 + \sigma_B^2 - 2\,\mathrm{cov}$. Users
# who are easy for $A$ are mostly easy for $B$, and that part cancels. The cell below prints the ratio.
# ```

# %% tags=["hide-cell"]
for rival in rivals:
    a, b = (found[name].per_user["ndcg"] for name in (best, rival))
    ratio = (a.var() + b.var()) / (a - b).var() if (a - b).var() else np.nan
    print(f"{best} and {rival}: {ratio:.1f} times as many")

# %% [markdown]
# **4.** (Run it.) How many users of your catalogue would the 10 % of the article take if the measure were the
# hit rate instead of NDCG?
#
# ```{dropdown} Solution
# See the cell below: hits are all or nothing, so their deviation is larger, but so is their mean. What counts
# is the ratio.
# ```

# %% tags=["hide-cell"]
for metric in ("ndcg", "hit_rate", "recall"):
    a, b = (found[name].per_user[metric] for name in (best, rivals[1]))
    n = users_needed(0.10, b.mean(), (a - b).std()) if b.mean() else np.nan
    print(f"{metric}: {n:,.0f} users")
