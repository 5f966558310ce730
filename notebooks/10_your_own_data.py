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
# - turn a shop's own tables and folders into a data set in a few lines;
# - read what `mmtutorial check` says of it, and correct it;
# - work with what you have: without pictures or without sounds, without times, with Chinese text, with
#   many items;
# - compute how large a difference your users can show, before you believe one.
#
# ## The idea in words
#
# Every chapter of this book takes a folder where it says `dataset`, so your catalogue needs no new code. It
# needs three things that no library can guess. *Names*: which of your columns says who, what and when.
# *Media*: which product a photograph or a recording belongs to. *Enough users*: a few users cannot show which
# of two similar recommenders is better, however good the code is. The first two take a few lines. The third takes
# two recommenders that need little or no training, such as popularity and item-kNN: evaluate them, and compute how
# many users a comparison needs. Do this early. It may tell you to collect more data before you train anything large.

# %% tags=["parameters"]
profile = (
    "quick"  # "full": towers learn until their validation part stops them
)
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from scipy import stats
from threadpoolctl import threadpool_limits

from mmtutorial import datasets, plots
from mmtutorial.recommenders import ContentKNN, ItemKNN, Popularity
from mmtutorial.evaluation import (
    cold_items,
    default_split,
    evaluate,
    paired_comparison,
    with_parts,
)
from mmtutorial.preprocessing.features import ready_features
from mmtutorial.preprocessing.text import clean, tokenise
from mmtutorial.recommenders.two_tower import TwoTower
from mmtutorial.reproduce import notebooks
from mmtutorial.reproduce.settings import tower_options

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
threadpool_limits(1)  # many small products: one thread is faster than two
colours = sns.color_palette("colorblind")
started = time.perf_counter()


quote = partial(notebooks.quote, "own")


# %% [markdown]
# ## A shop that is not ours
#
# This chapter needs data that are not ours. We take a part of the data set that the chapter was given
# ({glue:text}`own-dataset`, {glue:text}`own-people`), and write it as another shop would export it: other names of columns, an `id` in both tables (of the order, and of
# the product), ids with leading zeros, dates instead of seconds, an invented price, pictures named by whoever took them, and two pictures of some products. No export
# is free of errors, so we add some: a purchase of an unknown product, a purchase without a user, a purchase
# that occurs twice, the date "yesterday", and a picture that was cut off in transfer.

# %% tags=["hide-input"]
MOST = 320  # products: enough to learn from, few enough for a chapter
given = datasets.load(dataset)
draw = np.random.default_rng(seed)
quote(
    dataset=given.name,
    people="whose users are simulated" if given.truth else "with real users",
)
undo = contextlib.ExitStack()  # at the end of the chapter
shop = Path(
    undo.enter_context(
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    ),
    "export",
)
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
undo.enter_context(contextlib.chdir(shop))
for path in sorted(Path(".").iterdir()):
    files = sorted(path.iterdir()) if path.is_dir() else []
    such = f"{len(files)} files, such as {files[0].name!r}" if files else ""
    print(f"{path.name:14}{such}")

# %%
print(*Path("orders.csv").read_text("utf-8").splitlines()[:3], sep="\n")

# %% [markdown]
# ## A few lines
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
# the files instead, in a column `image` or `audio`. Nothing is decoded or copied before `save`. A folder
# that holds a data set already is refused: `save("my-shop", replace=True)` replaces it, and files in it
# that no row names are never lost. Here are the same lines, with what this run has:

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
# Each line above names a row that was left out, by its number in a spreadsheet, or says which files were left
# out. Nothing is repaired: only the shop knows when "yesterday" was. A line that begins with "note"
# says what was assumed. If most of a table cannot be used, no
# data set is made: then a column or a format (`times=`) is wrong, not a few rows.
#
# ## If your files come from Excel, macOS, pandas, SoX, a phone
#
# Every program writes tables, names and media in its own way. What can be recognised safely is read, and what
# was assumed is a *note* in `left_out`. What would be a guess is left to you.
#
# | from | what you may find | what is done for you | what you must say or do |
# |---|---|---|---|
# | Excel, WPS | UTF-8 with a byte order mark, "Unicode text" (UTF-16), or GB18030 saved as "CSV"; semicolons; a first line `sep=;` | UTF-8 and UTF-16 are recognised by their mark. GB18030 is taken, with a note, where the file is not UTF-8 and the text is then Chinese. Commas, semicolons, tabs and quotes are recognised, and the line `sep=;` is obeyed. | `encoding="cp1252"`, or whatever your file has, for any other encoding |
# | Excel, WPS | dates as day numbers, such as `45352`; ids without their leading zeros | A column of day numbers, of years or of `202403` is refused, and the message says what it looks like. Single times before 1990 or after next year are kept and counted in a note. | `times="excel"` for day numbers. Format the column of ids as text *before* you type or import them: nobody can restore a zero. |
# | LibreOffice | the encoding and the separator that were chosen when saving | as for Excel | Choose "Unicode (UTF-8)" when saving, and nothing is left to recognise. |
# | macOS | `é` in file names as two characters, `e` and an accent (NFD); `.DS_Store`, `._photo.jpg` | Ids, file names and column names are compared in one form (NFC), so that `café` is found however it is written. These files are ignored. | nothing |
# | Windows | paths such as `.\photos\1.jpg` or `C:\shop\photos\1.jpg` in the column `image`; `Thumbs.db`; pictures named `.jfif` | `./`, backslashes, the folder's own name and absolute paths are understood. `Thumbs.db` is ignored, and `.jfif` is read like `.jpg`. | Where two folders hold a `1.jpg`, write enough of the path to tell which one: a name that fits several files is given to none, and listed. |
# | pandas | whole seconds as `1709251200.0`; milliseconds to nanoseconds; ids as `7.0` | Whole seconds with a decimal point are read. | `times="ms"`, `"us"` or `"ns"`. Read ids with `dtype=str` before you write them: `7.0` and `7` are two ids. |
# | a database | a column `id` in both tables with two meanings; headers such as `Title` or ` text `; `9999-12-31` for "never" | Blanks, capitals and plurals in the names of columns are taken, with a note; of a misspelling such as `tittle` a note asks what it is. A row with such a date is left out, and listed. | `event_columns=` and `product_columns=`, one mapping for each table; `times="%d.%m.%Y"` for dates of another form |
# | SoX, arecord, ffmpeg | a WAV written into a pipe, whose header does not know its length; an MP3 whose header is missing or wrong; a stereo recording whose channels cancel each other | The WAV is taken to its end, with a note. An MP3 is decoded to its end. Of opposite channels one is taken. | nothing |
# | a phone | photographs that are stored sideways (EXIF); `.heic`; `.m4a` | Photographs are turned upright. `.jpg`, `.avif` and `.webp` are read. `.heic` and `.m4a` are listed as not readable. | Save photographs as JPEG, and convert sounds: `ffmpeg -i a.m4a a.wav`. |
# | an old archive | Chinese file names in GBK, unreadable after unpacking; file names with backslashes | Such files are listed one by one. | Unpack again with the right encoding, such as `unar -e GBK photos.zip`, or rename the files. |
# | linked folders | symbolic links to folders on another drive | Each is entered once, so that a circle of links ends. | nothing |
#
# Two things are asked of you wherever files come from. Writing over an existing data set is refused, because
# it replaces the tables and media there: say `replace=True`, or `--replace` on the command line. And a folder
# that has the name of a data set of this book is written with a `./` before it, as in `./shop`.
#
# Here are two small files. The first is as Excel and pandas write it: a byte order mark, semicolons, and times
# in milliseconds. In the second, tabs separate the columns, and a title contains a comma:

# %%
Path("visits.csv").write_text(
    "user;item;timestamp\nann;007;1709251200000\nbob;008;1709254800000\n",
    encoding="utf-8-sig",
)
Path("goods.csv").write_text(
    "item\ttitle\n007\t咖啡, 250 g\n008\tCafé crème\n", encoding="utf-8"
)
small, not_taken = datasets.from_tables("visits.csv", "goods.csv", times="ms")
print(*not_taken, sep="\n")
display(plots.table(small.interactions))
display(plots.table(small.items[["item", "title"]]))


# %% [markdown]
# The ids have kept their zeros, the titles have kept their letters and their comma, and the times are seconds.
#
# ## What is wrong with it
#
# `from_tables` reads the tables and the names of the files. `mmtutorial check` also decodes every picture and
# every sound. It reports what is damaged or silent, and whether the folder was edited after it was written:


# %%
def check(folder):
    """Run `mmtutorial check` as a shell would, print what it says, return its exit status."""
    command = [sys.executable, "-m", "mmtutorial", "check", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)
    return done.returncode


print("exit status", check("my-shop"))

# %% [markdown]
# The exit status is 1 if something is wrong, so that a script notices, and 0 if there are only *notes*. A note
# is not a fault: it says what was assumed, or what limits a measurement. A damaged file is fetched again or
# left out. We leave it out, and make the folder anew:

# %%
for fault in mine.validate():
    if Path(fault.file).parts[0] in (photos, clips):
        Path(fault.file).unlink()
mine, left_out = datasets.from_tables(
    **tables, **folders, **columns, numbers=["price"]
)
mine = mine.save("my-shop", replace=True)
status = check("my-shop")
print("exit status", status)

# %% [markdown]
# From here on, `my-shop` is a data set like any other. (Call your folder `shop`, and the name means our
# shop, with a note: write `./shop`.)
#
#     mmtutorial recommend --dataset my-shop --user NAME
#     papermill notebooks/06b_fusion_measured.ipynb out.ipynb -p dataset /where/it/is/my-shop
#     mmtutorial reproduce --dataset my-shop
#
# ## Split, encode, fuse, evaluate
#
# If your data have neither times nor published parts, `default_split` refuses them: nobody knows what came
# first, so nothing can be learnt from the past alone. `with_parts` then draws at random whether a pair of user
# and item trains, validates or tests (8 to 1 to 1). Say so wherever you report the result:

# %%
try:
    split = default_split(mine)
except ValueError as refused:
    print(refused)
    mine = with_parts(mine, seed).save("my-shop", replace=True)
    split = default_split(mine)
features, _ = ready_features(mine, ~cold_items(split))
print(
    f"split by {split.name}: {len(split.test_users)} users can be tested; features:"
)
print({name: array.shape for name, array in features.items()})

# %% [markdown]
# We train the towers of [chapter 7](07_recommend.ipynb), one for each modality and one for all together. They read
# the features from above, which are *simple features*: no CNN, RNN or language model takes part on this page. They
# are compared with popularity and with item-kNN:

# %%
options = {**tower_options(False, profile), "seed": seed}
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
    chosen_by = evaluate(each, split, part="validation")
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
# Read the intervals first, and the order second.
#
# ## Are there enough users?
#
# Let $\delta_u = M_u^A - M_u^B$ be the difference of two recommenders for user $u$, as in {eq}`eq-paired`,
# $\bar\delta$ its mean over $n$ users, and $\sigma_\delta$ its standard deviation. By the central limit theorem
# the mean is approximately normal with standard deviation $\sigma_\delta / \sqrt n$. So the 95 % interval
# extends to each side by
#
# ```{math}
# :label: eq-width
# w(n) = z_{0.975}\, \frac{\sigma_\delta}{\sqrt n}, \qquad z_{0.975} \approx 1.96 .
# ```
#
# Four times as many users make it half as wide. A true difference $\Delta$ is *detected* if the interval around
# $\bar\delta$ lies wholly on its side of 0. The probability of this is the {term}`power` of the test
# {cite}`cohen1988`,
#
# ```{math}
# :label: eq-power
# \text{power}(n) \approx \Phi\!\left(\frac{\sqrt n\, \lvert\Delta\rvert}{\sigma_\delta} - z_{0.975}\right) ,
# ```
#
# where $\Phi$ is the standard normal distribution function. Solved for $n$: to detect a relative gain $g$ over
# $B$, whose mean is $\bar M^B$, with a power of 0.8, you need
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
# Both equations are approximations, and these differences are far from normal: for most users both lists
# contain no hit, and $\delta_u$ is exactly 0. So we test the equations on the real differences by the
# bootstrap. We treat the users of this test as the population, draw $n$ of them with replacement, as if a shop
# of $n$ users had been measured, and compute the mean and its $t$ test {cite}`smucker2007`. This is repeated
# two thousand times for each $n$. There are two pairs: the recommender that came first on validation is compared
# with popularity, and with the best other one.

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
    ylabel="share of shops that detect the difference",
)
axes[1].axhline(0.8, linestyle=":", color="grey")
for axis in axes:
    axis.set_xticks(sizes[::2], labels=[f"{n}" for n in sizes[::2]])
    axis.minorticks_off()
axes[0].legend(fontsize=9)
plots.show(
    figure,
    alt="Two panels against the number of users on a logarithmic axis, for two pairs of "
    "recommenders; lines are the equations, dots are two thousand samples of real differences. "
    "Left: half-widths fall along straight lines. Right: the share of samples in which the "
    "difference is seen rises from near 0 towards 1, for the larger difference earlier.",
)

# %% [markdown]
# Lines are {eq}`eq-width` and {eq}`eq-power`, dots are the samples. The width is right even for few users. The
# power is right where it is large. Where few users meet a small difference, the test detects less than the
# equation promises, because there are many zeros and a few large differences: there the equation is a guide
# only. For this shop:

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
            "smallest gain to be detected": percent(smallest),
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
    smallest=table["smallest gain to be detected"].iloc[1],
    needed_ten=table["users for 10%"].iloc[1],
    needed_five=table["users for 5%"].iloc[1],
)

# %% [markdown]
# There are {glue:text}`own-users` users, and {glue:text}`own-zeros` of them have no difference between
# *{glue:text}`own-best`* and *{glue:text}`own-second`*. A gain below {glue:text}`own-smallest` is missed more
# often than one time in five. To detect a gain of ten per cent takes {glue:text}`own-needed-ten` users; a gain of
# five per cent takes {glue:text}`own-needed-five`. The article claims ten per cent, and names neither its data
# set nor its number of users. This is common: in ten years of papers on search, some experiments had far too few
# topics for their claims, and others had far more than they needed {cite}`sakai2016`.
#
# If you have too few users, measure a longer period (more relevant items a user, so a smaller
# $\sigma_\delta$), compare recommenders that differ more, or report the interval without a verdict. More seeds
# do not replace users. They make only that part of the interval shorter which comes from training
# ({doc}`08a_comparing`; exercise 1 of {doc}`09_reproduction` has a case in which that part is the larger one).
#
# ## A modality is missing
#
# You need not switch anything off. A modality whose column is empty throughout is absent: `ready_features`
# returns the others, and the recommenders read what it returns. Here each modality is removed in turn, and items
# are compared by the rest (content-kNN, which needs no training):

# %%
rows = []
for gone in (None, *features):
    blank = {} if gone is None else {gone: ""}
    less = replace(mine, items=mine.items.assign(**blank))
    left, _ = ready_features(less, ~cold_items(split))
    if not left:
        continue
    each = ContentKNN().fit(split.train, left)
    measured = evaluate(each, split).per_user["ndcg"].mean()
    rows.append(
        {
            "without": gone or "nothing: all are there",
            "features": ", ".join(left),
            "NDCG@10": measured,
        }
    )
plots.table(pd.DataFrame(rows))

# %% tags=["hide-input"]
every = [each["NDCG@10"] for each in rows]
fewer = rows[1:]
above = [each["without"] for each in fewer if each["NDCG@10"] > every[0]]
Markdown(
    ("" if not every else f"All together have {every[0]:.4f}. ")
    + (
        f"Without {' or '.join(above)} the mean is higher: content-kNN does not learn which "
        "modality matters, so that one more can do harm. "
        if above
        else "Without any one of them the mean is lower. "
        if fewer
        else ""
    )
    + "These differences were not tested."
)

# %% [markdown]
# A single item without a modality needs nothing special either: its row of zeros is masked ({doc}`06_fusion`).
# An item without any modality can be recommended by its id alone; the check reports such items.
#
# ## Times are missing
#
# The same shop without its times:

# %%
timeless = replace(
    mine,
    interactions=mine.interactions.drop(
        columns="part", errors="ignore"
    ).assign(timestamp=np.nan),
    split="",
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
        measured = evaluate(each.fit(parts.train), parts)
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
# The two rows of a recommender answer different questions. Where parts are drawn at random, the recommender
# learns from what other users took *later*, and almost no item in the test is new ({cite}`meng2020,ji2023`).
# Chapters 6 to 8 draw such parts by themselves where a data set has no times. Write the column `part` into the
# folder, as `with_parts(…).save(…)` does, and every chapter takes the same ones. Do not compare these numbers with
# those of a split by time. The article's network ([chapter 5](05_article_network.ipynb)) reads what was taken
# last, which only the times can say: a small shop stands in for your data there.
#
# ## Chinese text, many items
#
# Text is cleaned and divided into words by its script; you need not name the language. Where words are not
# separated by blanks, jieba's dictionary divides them ([chapter 2](02_language_model.ipynb)). The folder that
# `save` writes is UTF-8. Tables in other encodings are read as the table near the top of this chapter says.

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
# With many items and few purchases, most items have no buyer in training, and their ids carry no information.
# Their content does, which is what the towers above read ({term}`cold start`). Memory does not grow with users ×
# items, because `evaluate` scores users in blocks. The time to rank grows with the number of items. In this shop:

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

# %% tags=["hide-input"]
covering = max(found, key=lambda name: found[name].catalogue["item_coverage"])
covered = found[covering].catalogue["item_coverage"]
Markdown(
    f"In NDCG@10 {summary.index[0]} is first, with {summary['mean'].iloc[0]:.4f}. The largest "
    f"part of the catalogue, {covered:.0%}, is in the lists of {covering}. Where intervals of "
    "the first figure overlap, the order may be chance."
)

# %% tags=["remove-cell"]
undo.close()  # back to where the chapter began; its files are gone
print(f"{time.perf_counter() - started:.0f} s")

# %% [markdown]
# ## Summary
#
# A few lines make a data set of your tables. The check says what is wrong with it, and what limits it. Every
# chapter and `mmtutorial reproduce` take the folder. Before you read an order out of a table of results, compute
# by {eq}`eq-needed` how many users you need.
#
# ## Exercises
#
# The numbers of the first two are invented for the exercise.
#
# **1.** Over users, the difference of two recommenders has the standard deviation $\sigma_\delta = 0.25$, and the
# weaker has $\bar M^B = 0.10$. How many users does it take to detect a gain of 10 % with a power of 0.8? And a
# gain of 5 %? With 400 users, which gain can be detected?
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
# **3.** Somebody measures *different* users for $A$ and for $B$. The standard deviations are $\sigma_A$ and
# $\sigma_B$. What takes the place of $\sigma_\delta$ in {eq}`eq-needed`, and how many times as many users does it
# take here?
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
# See the cell below. Hits are all or nothing, so their standard deviation is larger, but so is their mean. Their
# ratio decides.
# ```

# %% tags=["hide-cell"]
for metric in ("ndcg", "hit_rate", "recall"):
    a, b = (found[name].per_user[metric] for name in (best, rivals[1]))
    n = users_needed(0.10, b.mean(), (a - b).std()) if b.mean() else np.nan
    print(f"{metric}: {n:,.0f} users")
