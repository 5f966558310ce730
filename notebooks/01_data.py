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
# # The data
#
# **After this chapter you can**
#
# - open a data set as a folder and as an object, and say what each column and file is for;
# - write down how a simulated shopper chooses, and check the formula;
# - take behaviour, text, pictures and sounds through each step of preprocessing, and say what the step loses;
# - compute a median filter, tf-idf, a mel spectrogram, MFCCs and principal components from their equations;
# - measure what each modality knows about an item.
#
# ## The result first
#
# An item has a picture, a sound and a text. What does each of them say about it? The table at the end of the chapter
# predicts three attributes from each, on items that were held out. Of picture, sound and text in {glue:text}`data-name`,
# {glue:text}`data-first-result`. {glue:text}`data-behaviour-result`
# Where each attribute has another best predictor, the modalities complement one another. This is the article's reason to
# combine them.
#
# ## The idea in words
#
# A recommender never meets a product. It meets records of it: a photograph, a recording, reviews, and who took it when. Each
# kind of record is a *{term}`modality`*. Each knows something that the others do not, and each must become an array of
# numbers. What is lost on this way, no network brings back.

# %% tags=["parameters"]
profile = "quick"  # "quick" cross-validates once, "full" five times
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import json
import tempfile
import time
from functools import partial
from pathlib import Path

import librosa
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import soundfile
from IPython.display import Markdown, display
from PIL import Image
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from mmtutorial import datasets, plots, time_plots
from mmtutorial.datasets import MODALITIES, Dataset
from mmtutorial.preprocessing import audio, image
from mmtutorial.preprocessing.behaviour import deduplicate, describe, k_core
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.reduce import (
    reduce,
    standardise,
    summarise,
    tf_idf,
)
from mmtutorial.preprocessing.text import (
    Vocabulary,
    clean,
    sequences,
    tokenise,
)
from mmtutorial.reproduce import notebooks

plots.use_style()
COLOURS = plots.MODALITY_COLOURS | {"behaviour": (0.35, 0.35, 0.35)}
started = time.perf_counter()


quote = partial(notebooks.quote, "data")

# %% [markdown]
# ## A data set is a folder
#
# `datasets.load` takes a name, or the path of a folder that you made. Two tiny shops stand beside it. One stands in where a
# data set has no pictures or no sounds. The other is in Chinese.

# %% tags=["remove-output"]
data = (
    datasets.load(dataset, seed=seed)
    if dataset in datasets.MAKERS
    else datasets.load(dataset)
)
if not (data.folder / "dataset.json").exists():  # published in another format
    rewritten = tempfile.TemporaryDirectory()  # gone when the kernel ends
    data = data.save(Path(rewritten.name) / data.name)
little = datasets.load("shop", n_items=40, n_users=30)
chinese = datasets.load("shop", n_items=40, n_users=30, language="zh")

# %% tags=["hide-input"]
for entry in sorted(data.folder.iterdir()):
    if entry.is_dir():
        files = [each for each in sorted(entry.rglob("*")) if each.is_file()]
        such = f", such as {files[0].relative_to(entry)}" if files else ""
        print(f"{entry.name + '/':20}{len(files):>11,} files{such}")
    else:
        print(f"{entry.name:20}{entry.stat().st_size:>11,} bytes")
print()
about = json.loads((data.folder / "dataset.json").read_text(encoding="utf-8"))
first = ("name", "version", "licence", "seed")
print(
    json.dumps(
        {name: about[name] for name in first if name in about},
        ensure_ascii=False,
    )
)

# %% [markdown]
# The folder holds tables, pictures and sounds that any program can read. The object holds the same as two tables. `items` has
# one row for each item. Columns that end in `_attribute` are for us: no recommender of this book reads them.

# %%
plots.table(data.items.head(3).T, index=True, widest=60)

# %% [markdown]
# `interactions` has one row each time that somebody took something. The time is in seconds since 1970.

# %%
plots.table(data.interactions.head(3), widest=60)

# %% [markdown]
# `Dataset.validate()` finds each fault of a folder, with its file and row, before any training does.

# %% tags=["remove-output"]
faults = data.validate()

# %%
print("\n".join(map(str, faults[:5])) or "no fault")

# %% tags=["remove-cell"]
quote(
    name=data.name,
    n_items=data.n_items,
    n_users=data.n_users,
    n_interactions=len(data.interactions),
    n_reviews=(data.interactions["review"] != "").sum(),
)

# %% [markdown]
# ## The products
#
# {glue:text}`data-name` has {glue:text}`data-n-items:,d` items. Some of them:

# %% tags=["hide-input"]
present = pd.DataFrame(data.present(), columns=list(MODALITIES))
complete = data.items[present.all(axis=1).to_numpy()]
if complete.empty:
    complete = data.items
if "image_attribute" in data.items:
    complete = complete.groupby("image_attribute", sort=True).head(1)
rows = complete.index[:8].tolist()
captions = complete.get("image_attribute", complete["title"]).iloc[:8].tolist()
plots.gallery(data, rows, captions)

# %% [markdown]
# In `shop` everything is made from a seed: pictures are drawn, sounds synthesised, reviews written by a grammar, in English or
# Chinese. In `garments` the photographs {cite}`grigorev2020`, the spoken digits {cite}`jackson2018` and the reviews
# {cite}`brooks2018` are real. Each file belongs to one item only, so no network can recognise a new item by a known file. The
# Chinese shop:

# %% tags=["hide-input"]
display(
    plots.gallery(
        chinese,
        chinese.items.index[chinese.present().all(axis=1)][:4].tolist(),
    )
)
wrote = chinese.interactions["review"] != ""
plots.table(chinese.interactions.loc[wrote, ["rating", "review"]].head(4))

# %% [markdown]
# ### What is missing
#
# Real catalogues have gaps. In `shop` and `garments` some files were removed on purpose.

# %% tags=["hide-input"]
patterns = present.value_counts().rename("items").reset_index()
plots.table(
    patterns.assign(
        **{name: np.where(patterns[name], "yes", "–") for name in MODALITIES}
    )
)

# %% tags=["remove-cell"]
quote(
    share_complete=100 * present.all(axis=1).mean(),
    n_incomplete=(~present.all(axis=1)).sum(),
)

# %% [markdown]
# {glue:text}`data-share-complete:.1f` % of the items have all three; {glue:text}`data-n-incomplete:d` lack something.
# `Dataset.present()` says which, as true and false ($n_{\text{items}} \times 3$). This {term}`mask` travels with the data, so
# an absent picture is never taken for a black one.
#
# ## What the shoppers did
#
# {glue:text}`data-n-users:,d` shoppers have {glue:text}`data-n-interactions:,d` interactions:

# %% tags=["hide-input"]
log = data.interactions
by_item = log["item"].value_counts().reindex(data.items["item"], fill_value=0)
by_user = log["user"].value_counts()
figure, axes = plt.subplots(2, 2, figsize=(6, 5.2), layout="constrained")
period = time_plots.interactions_over_time(log["timestamp"], axes[0, 0])
ranked = np.sort(by_item.to_numpy())[::-1]
axes[0, 1].plot(np.arange(1, len(ranked) + 1), ranked, ".", markersize=4)
axes[0, 1].set(
    xlabel="item, by rank", ylabel="interactions with it", xscale="log"
)
axes[1, 0].hist(
    by_user, bins=np.arange(0, by_user.max() + 6, max(1, by_user.max() // 30))
)
axes[1, 0].set(xlabel="interactions of a shopper", ylabel="shoppers")
ratings = log["rating"].dropna()
if len(ratings):
    axes[1, 1].bar(*np.unique(ratings, return_counts=True), width=0.7)
    axes[1, 1].set_xticks(np.unique(ratings.round()))
axes[1, 1].set(xlabel="rating (stars)", ylabel="interactions")
plots.show(
    figure,
    f"Four charts: interactions per {period or 'period'} over time; "
    "interactions per item by rank, falling steeply and then slowly; a "
    "histogram of interactions per shopper with a long right tail; and the "
    "number of interactions with each rating.",
)

# %% tags=["remove-cell"]
top = max(1, len(ranked) // 5)
quote(
    top_share=100 * ranked[:top].sum() / ranked.sum(),
    density=100 * describe(log)["density"],
    median_user=by_user.median(),
    busiest_user=by_user.max(),
    untaken=(by_item == 0).sum(),
    untaken_words="one item has none"
    if (by_item == 0).sum() == 1
    else f"{(by_item == 0).sum()} items have none",
    ratings=f"The mean of {len(ratings):,} ratings is {ratings.mean():.1f}."
    if len(ratings)
    else "This data set has none.",
    mean_rating=ratings.mean() if len(ratings) else "none given",
)

# %% [markdown]
# - **Time.** Shoppers join and items are launched all the time. A model that learns from all of it at once learns from the
#   future. {doc}`08_evaluation` cuts the data at a moment instead.
# - **Popularity.** The most popular fifth of the items has {glue:text}`data-top-share:.0f` % of all interactions, and
#   {glue:text}`data-untaken-words`. To recommend the most popular items is the {term}`baseline`.
# - **Activity.** Half of the shoppers have at most {glue:text}`data-median-user:.0f` interactions, the busiest has
#   {glue:text}`data-busiest-user:d`.
# - **Ratings.** {glue:text}`data-ratings`
# - **Sparsity.** Of all pairs of shopper and item, {glue:text}`data-density:.1f` % occur.
#
# ## How a simulated shopper chooses
#
# **The shoppers of `shop` and `garments` are simulated.** The *taste* of shopper $u$ for item $i$ is a sum of four terms:
#
# $$
# \begin{aligned}
# \text{taste}_{ui} ={}& w_{\text{image}}\, a_{u,\,\kappa(i)} + w_{\text{audio}}\, b_{u,\,\nu(i)} \\
#   &+ w_{\text{text}}\, s_u\, \ell_i \\
#   &+ w_{\text{pair}} \cdot 2 \cdot \mathbf 1\bigl[(\kappa(i), \nu(i)) = (\kappa_u, \nu_u)\bigr]
# \end{aligned}
# $$ (data-taste)
#
# $\mathbf 1[\dots]$ is 1 where the condition in the brackets holds, and else 0.
#
# | symbol | what it is | shape |
# |---|---|---|
# | $\kappa(i)$, $\nu(i)$ | kind of item $i$ (its picture shows it); voice of item $i$ (its sound) | integers |
# | $a$, $b$ | how much shoppers like each kind, each voice | $n_{\text{users}} \times$ kinds, $n_{\text{users}} \times$ voices |
# | $\ell$ | how much reviewers liked each item | $n_{\text{items}}$ |
# | $s$ | how much each shopper cares about reviews | $n_{\text{users}}$ |
# | $\kappa_u, \nu_u$ | the shopper's favourite pair of kind and voice | two integers |
# | $w$ | weight of each modality, an option | 4 numbers |
#
# The utility is $\text{taste}_{ui} / \text{noise}$. Of the items on a shelf, the shopper takes the one with the largest sum of
# utility and an independent Gumbel draw, $-\ln(-\ln \xi)$ with $\xi$ uniform on $(0, 1)$. Equation {eq}`eq-choice` says that this is a draw from a softmax {cite}`mcfadden1974`,
# which turns utilities into probabilities that sum to one. One shopper and one shelf of eight items, a hundred thousand times:

# %%
world = data if data.truth is not None else little
if world is little:
    print("The utilities of your users are not known: a tiny shop stands in.")
shopper = world.users[0]
utility = world.truth.utility([shopper])[0]  # (n_items,): U of this shopper

generator = np.random.default_rng(seed)
favourites = np.argsort(-utility)[: max(8, world.n_items // 10)]
shelf = generator.choice(favourites, 8, replace=False)  # rows of eight items
U = utility[shelf]  # (8,)

xi = generator.random((100_000, 8))  # uniform on (0, 1)
epsilon = -np.log(-np.log(xi))  # standard Gumbel
taken = (U + epsilon).argmax(axis=1)  # (100_000,)
frequency = np.bincount(taken, minlength=8) / len(taken)  # (8,)
probability = np.exp(U) / np.exp(U).sum()  # the softmax, (8,)

difference = np.abs(frequency - probability).max()
print(
    f"largest difference of a frequency from its probability: {difference:.4f}"
)
assert difference < 5 * np.sqrt(0.25 / len(taken))  # five standard errors

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(5.6, 3.5), layout="constrained")
places = np.arange(8)
order = np.argsort(-probability)
axis.bar(
    places - 0.2, frequency[order], 0.4, label="taken, of 100,000 choices"
)
axis.bar(
    places + 0.2, probability[order], 0.4, label="softmax of the utilities"
)
labels = [
    name.replace(" ", "\n", 1)
    for name in world.items["title"].to_numpy()[shelf[order]]
]
axis.set_xticks(places, labels=labels, fontsize=8, rotation=45)
axis.set(xlabel="item on the shelf", ylabel="share of the choices")
axis.legend()
plots.show(
    figure,
    "Bar chart of eight items: for each, the share of simulated choices and "
    "the softmax probability stand side by side and are equal to the eye.",
)

# %% [markdown]
# The frequencies agree with the probabilities up to chance. Two rules are added. Popular items come onto the shelf more often,
# and nobody takes the same item twice. Before the shelf is known, the chance of a choice is {eq}`eq-oracle`. To rank by it is the
# best that anybody can do; this recommender is {term}`the oracle <oracle>`. Where do the items that were really taken stand in
# its ranking?

# %%
table = world.truth.item_factors
score = world.truth.chance()  # (n_users, n_items)
below = score.argsort(axis=1).argsort(axis=1) / (
    world.n_items - 1
)  # 0 worst … 1 best
of_user = world.truth.user_factors.index.get_indexer(
    world.interactions["user"]
)
of_item = table.index.get_indexer(world.interactions["item"])
standing = below[of_user, of_item]  # one number an interaction
del score, below

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(5.6, 3), layout="constrained")
axis.hist(100 * (1 - standing), bins=50, density=False)
axis.set(
    xlabel="place in the oracle's ranking (% of the catalogue, 0 the top)",
    ylabel="interactions",
)
plots.show(
    figure,
    "Histogram of where taken items stand in the oracle's ranking: most are "
    "near the top, with a thin tail that reaches to the end.",
)

# %% tags=["remove-cell"]
quote(
    choice_difference=difference,
    n_factors=table.shape[1],
    oracle_tenth=100 * (standing >= 0.9).mean(),
    oracle_lower_half=100 * (standing < 0.5).mean(),
)

# %% [markdown]
# {glue:text}`data-oracle-tenth:.0f` % of what was taken lies in the oracle's top tenth; at random it would be 10 %. So not
# even the oracle knows which item comes next. Simulation gives us this known limit. Its cost is that a result on simulated shoppers is not yet a
# result on people.
#
# ## From raw to arrays
#
# The article (section 3.2.1, row [A2](#claim-a2)) asks us to *denoise* all four kinds of data and to *reduce their dimension*.
#
# ### Behaviour
#
# We first add noise to the log: some shoppers click twice, and some visitors take one thing and never come back. Then
# `deduplicate` keeps the first interaction of each pair. `k_core` removes users and items with fewer than $k$ interactions,
# again and again, until none is left. `Interactions` turns ids into rows.

# %%
twice = log.sample(frac=0.03, random_state=seed)
twice = twice.assign(timestamp=twice["timestamp"] + 60)
passing = log.sample(frac=0.01, random_state=seed + 1)
passing = passing.assign(user=[f"passer-by {n}" for n in range(len(passing))])
with_noise = pd.concat([log, twice, passing], ignore_index=True)

k = 5 if len(log) >= 5000 else 1
once = deduplicate(with_noise)
core = k_core(once, k_users=k, k_items=k)
steps = {
    "as recorded": log,
    "with noise": with_noise,
    "deduplicated": once,
    f"{k}-core": core,
}
interactions = Interactions.of(core, items=data.items["item"])

sizes = pd.DataFrame({name: describe(step) for name, step in steps.items()}).T
whole = sizes[["users", "items", "interactions"]].astype(int)
plots.table(
    whole.assign(**{"density (%)": 100 * sizes["density"]}), index=True
)

# %% tags=["remove-cell"]
known = set(map(tuple, log[["user", "item"]].to_numpy()))
kept = set(map(tuple, core[["user", "item"]].to_numpy()))
quote(
    k=k,
    soil=len(with_noise) - len(log),
    soil_left=len(kept - known),
    soil_words=f"{len(kept - known):,} are" if kept - known else "none is",
    lost_words=" and ".join(
        f"{number:,} {what}{'' if number == 1 else 's'}"
        for what, number in (
            ("item", len(set(log["item"]) - set(core["item"]))),
            ("shopper", len(set(log["user"]) - set(core["user"]))),
        )
    ),
    matrix_users=interactions.matrix.shape[0],
    matrix_items=interactions.matrix.shape[1],
    lost=len(known - kept),
    lost_share=100 * len(known - kept) / len(known),
)

# %% [markdown]
# The table shows the size after each step. Of the {glue:text}`data-soil:,d` added rows, {glue:text}`data-soil-words` left. The
# cost is {glue:text}`data-lost:,d` real interactions ({glue:text}`data-lost-share:.1f` %), those of {glue:text}`data-lost-words`
# with too few of them. A $k$-core cannot distinguish a visitor from a new customer. So it is right for the data that a model
# *learns from*, and wrong for the data that it is *tested on*. The result is the matrix $R$. It has
# {glue:text}`data-matrix-users:,d` rows, one for each shopper who is left, and {glue:text}`data-matrix-items:,d` columns, one for
# each item of the catalogue. The columns of lost items are zero, and nearly all other entries are zero too.
#
# ### Text
#
# `clean` removes what is not language; `tokenise` cuts the rest into words. Chinese has no blanks, so a dictionary finds the
# most probable cut.

# %% tags=["hide-input"]
dirty = [
    "Arrived <b>late</b> &amp; broken :(<br/>See https://shop.example/r?id=7",
    "Ｆｕｌｌ－ｗｉｄｔｈ letters, a zero-width\u200b gap, an accent in two parts: "
    "cafe\u0301",
    "这个门铃&nbsp;声音很清脆，老人也喜欢！👍🏽",
    "音箱很好, love it, 5 stars",
]
plots.table(
    pd.DataFrame(
        {
            "before": dirty,
            "cleaned": [clean(text) for text in dirty],
            "words": [" | ".join(tokenise(clean(text))) for text in dirty],
        }
    )
)

# %% [markdown]
# What is cleaning worth? We add the marks of web pages to every text, and count words with and without cleaning.

# %%
texts = (
    data.items["text"].tolist()
    if present["text"].any()
    else little.items["text"].tolist()
)
noisy_texts = [text.replace(". ", ".<br/>&nbsp;") for text in texts]
without = [tokenise(text) for text in noisy_texts]
tokens = [tokenise(clean(text)) for text in noisy_texts]
assert tokens == [
    tokenise(clean(text)) for text in texts
]  # cleaning undoes the dirt, every word

vocabulary = Vocabulary.of(tokens)
counts = pd.Series([word for text in tokens for word in text]).value_counts()
numbered = sequences(tokens, vocabulary, length=32)
print("first text:", " ".join(tokens[0][:8]), "…")
print("numbered:  ", numbered[0], numbered.shape, numbered.dtype)
print("read back: ", " ".join(vocabulary.decode(numbered[0][-8:])))

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
axes[0].loglog(np.arange(1, len(counts) + 1), counts, ".", markersize=4)
axes[0].set(xlabel="word, by rank", ylabel="times it occurs")
axes[1].semilogx(
    np.arange(1, len(counts) + 1), 100 * counts.cumsum() / counts.sum()
)
axes[1].set(
    xlabel="words in the vocabulary",
    ylabel="running words covered (%)",
    ylim=(0, 101),
)
plots.show(
    figure,
    "Left, word frequency by rank on logarithmic axes, falling; right, the "
    "share of running words covered by the most frequent words, rising "
    "quickly and then slowly towards 100 per cent.",
)

# %% tags=["remove-cell"]
lengths = np.array([len(text) for text in tokens])
quote(
    n_words=counts.sum(),
    vocabulary=len(counts),
    once_only=100 * (counts == 1).mean(),
    junk=100
    * (sum(map(len, without)) - lengths.sum())
    / sum(map(len, without)),
    covered=100 * counts[:200].sum() / counts.sum(),
    cut=100 * (lengths > 32).mean(),
    median_length=np.median(lengths),
)

# %% [markdown]
# Without cleaning, {glue:text}`data-junk:.1f` % of the words would be `br` and `nbsp`. The {glue:text}`data-n-words:,d` words are
# {glue:text}`data-vocabulary:,d` different ones; {glue:text}`data-once-only:.0f` % of these occur once. The 200 most frequent
# cover {glue:text}`data-covered:.0f` % of the text, as the right figure shows. The median text
# has {glue:text}`data-median-length:.0f` words. At a length of 32, {glue:text}`data-cut:.0f` % of the texts lose their end.
#
# **Weights for words.** *tf-idf* needs no network. Let $\text{tf}_{iw}$ be how often word $w$ stands in text $i$,
# $\text{df}_w$ how many texts hold it, and $n$ the number of texts. With the smoothed idf of scikit-learn, which differs a little
# from the textbook's {cite}`manning2008`,
#
# $$
# \begin{aligned}
# x_{iw} &= \bigl(1 + \ln \text{tf}_{iw}\bigr) \Bigl(1 + \ln \frac{1 + n}{1 + \text{df}_w}\Bigr) \\
# \hat x_i &= x_i \,/\, \lVert x_i \rVert
# \end{aligned}
# $$ (data-tfidf)
#
# and $x_{iw} = 0$ for a word that does not occur. Each text becomes a row of $\lvert V \rvert$ numbers, large where a word is
# frequent here and rare elsewhere. For the first 200 texts:

# %%
few = tokens[:200]
row = np.repeat(np.arange(len(few)), [len(text) for text in few])
words, column = np.unique(
    [word for text in few for word in text], return_inverse=True
)
tf = np.zeros((len(few), len(words)))
np.add.at(tf, (row, column), 1)  # (n, |V|)
df = (tf > 0).sum(axis=0)  # (|V|,)
x = np.where(tf > 0, 1 + np.log(np.maximum(tf, 1)), 0) * (
    1 + np.log((1 + len(few)) / (1 + df))
)
length = np.linalg.norm(x, axis=1, keepdims=True)
x = np.divide(x, length, out=np.zeros_like(x), where=length > 0)

difference = np.abs(x - tf_idf(few, min_count=1).toarray()).max()
print(f"largest difference from the library's tf_idf: {difference:.1e}")
assert difference < 1e-6
pd.Series(x[0], index=words).nlargest(5).round(3).to_dict()

# %% [markdown]
# ### Pictures
#
# A picture is turned upright, freed of wrong pixels, fitted into a square on white, and scaled to 0…1. To see the steps, we turn
# one picture on its side as a camera does, and make one pixel in twenty black or white ("salt and pepper").

# %%
with_pictures = data if (data.items["image"] != "").any() else little
row = int(np.flatnonzero(with_pictures.items["image"] != "")[0])
upright = image.load_image(with_pictures.path(row, "image"))
upright.thumbnail((256, 256))


def add_wrong_pixels(picture, share, generator):
    """Turn this share of the pixels black or white."""
    pixels = np.array(picture)
    wrong = generator.random(pixels.shape[:2]) < share
    pixels[wrong] = 255 * generator.integers(
        0, 2, (wrong.sum(), 1), dtype=np.uint8
    )
    return Image.fromarray(pixels)


with tempfile.TemporaryDirectory() as folder:
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me clockwise by a quarter"
    path = Path(folder, "sideways.jpg")
    upright.transpose(Image.Transpose.ROTATE_90).save(
        path, exif=exif, quality=95
    )
    stored, loaded = Image.open(path).copy(), image.load_image(path)

noisy = add_wrong_pixels(loaded, 0.05, np.random.default_rng(seed))
denoised = image.denoise(noisy)
small = image.resize(denoised, 32)

# %% tags=["hide-input"]
stages = {
    "as stored": stored,
    "read upright": loaded,
    "5 % of pixels replaced": noisy,
    "denoised (median)": denoised,
    "resized to 32 × 32": small,
    "resized to 16 × 16": image.resize(denoised, 16),
}
figure, axes = plt.subplots(2, 3, figsize=(6, 4.4), layout="constrained")
for axis, (title, picture) in zip(axes.flat, stages.items(), strict=True):
    axis.imshow(picture)
    axis.set_title(title, fontsize=10)
    axis.axis("off")
plots.show(
    figure,
    "Six versions of one picture: lying on its side as stored, upright, "
    "with black and white specks, with the specks gone and edges kept, and "
    "as squares of 32 and 16 pixels a side.",
)

# %% [markdown]
# The median filter replaces each number of $X$ ($H \times W \times C$) by the median of the $3 \times 3$ around it:
#
# $$
# Y_{pqc} = \operatorname{median}\bigl\{ X_{p+\alpha,\,q+\beta,\,c} : \alpha, \beta \in \{-1, 0, 1\} \bigr\}
# $$ (data-median)
#
# The *peak signal-to-noise ratio* says how close two pictures with numbers from 0 to 255 are:
#
# $$
# \text{PSNR}(X, Y) = 10 \log_{10} \frac{255^2}{\operatorname{mean}\,(X - Y)^2}\ \text{dB}
# $$ (data-psnr)


# %%
def median(X):  # (H, W, C) -> (H, W, C)
    padded = np.pad(X, ((1, 1), (1, 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (3, 3), axis=(0, 1)
    )
    return np.median(windows, axis=(3, 4))


def psnr(X, Y):  # two pictures -> dB
    error = np.square(np.asarray(X, float) - np.asarray(Y, float)).mean()
    return 10 * np.log10(255**2 / error)


difference = np.abs(median(np.asarray(noisy)) - np.asarray(denoised)).max()
print(f"largest difference from the library's filter: {difference:.0f} of 255")
assert difference == 0
print(
    f"PSNR noisy: {psnr(loaded, noisy):.1f} dB, denoised: "
    f"{psnr(loaded, denoised):.1f} dB"
)

# %% [markdown]
# A filter that helps a noisy picture also removes something from a clean one. On 40 pictures:

# %% tags=["hide-input"]
generator = np.random.default_rng(seed)
sample = [
    image.load_image(with_pictures.path(r, "image"))
    for r in np.flatnonzero(with_pictures.items["image"])[:40]
]
for picture in sample:
    picture.thumbnail((128, 128))
shares = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2])
quality = np.zeros((2, len(shares)))
for column, share in enumerate(shares):
    for picture in sample:
        bad = add_wrong_pixels(picture, share, generator)
        quality[:, column] += [
            psnr(picture, bad),
            psnr(picture, image.denoise(bad)),
        ]
quality /= len(sample)

figure, axis = plt.subplots(figsize=(5.2, 3.3), layout="constrained")
for line, label, marker in zip(
    quality, ("left as it is", "median filter"), "os", strict=True
):
    axis.semilogx(100 * shares, line, marker=marker, label=label)
axis.set(xlabel="wrong pixels (%)", ylabel="PSNR to the clean picture (dB)")
axis.legend()
plots.show(
    figure,
    "PSNR against the share of wrong pixels: without a filter it falls "
    "steadily; with the median filter it stays nearly level, lower at few "
    "wrong pixels and higher at many.",
)

# %% tags=["remove-cell"]
pays = shares[quality[1] > quality[0]]
quote(
    psnr_spoilt=quality[0, 5],
    psnr_denoised=quality[1, 5],
    psnr_cost=np.mean([psnr(p, image.denoise(p)) for p in sample]),
    psnr_pays=100 * pays[0] if len(pays) else "more than 20",
)

# %% [markdown]
# With 5 % wrong pixels the filter raises the PSNR from {glue:text}`data-psnr-spoilt:.1f` to
# {glue:text}`data-psnr-denoised:.1f` dB. A clean picture comes out at {glue:text}`data-psnr-cost:.1f` dB, since texture goes too.
# The filter helps only from {glue:text}`data-psnr-pays` % wrong pixels on, so `encode_images` leaves it off by default.
#
# ### Sounds
#
# A recording is read, resampled to one rate, denoised, trimmed of silence, and cut into frames. We take one and add a hiss.

# %%
with_sounds = data if (data.items["audio"] != "").any() else little
row = int(np.flatnonzero(with_sounds.items["audio"] != "")[0])
wave = audio.load_audio(
    with_sounds.path(row, "audio")
)  # float32 (n_samples,) at 8000 Hz
wave = wave[: 2 * audio.SAMPLE_RATE]
wave *= 0.5 / np.abs(wave).max()  # audible; no ratio changes


def add_noise(wave, snr, generator):
    """Add white noise so many dB below the sound."""
    noise = generator.standard_normal(len(wave)).astype(np.float32)
    return wave + noise * np.sqrt(np.square(wave).mean() / 10 ** (snr / 10))


def signal_to_noise(wave, other):
    """Return power of the wave by power of the difference, in dB."""
    return 10 * np.log10(np.square(wave).sum() / np.square(other - wave).sum())


noisy = add_noise(wave, 5, np.random.default_rng(seed))
cleaner = audio.denoise(noisy)
slower = librosa.resample(wave, orig_sr=audio.SAMPLE_RATE, target_sr=4000)

# %% tags=["hide-input"]
versions = {"as recorded": wave, "with a hiss": noisy, "denoised": cleaner}
display(plots.players(versions, audio.SAMPLE_RATE))
plots.players({"resampled to 4 kHz": slower}, 4000)

# %% tags=["hide-input"]
figure, axes = plt.subplots(
    3, 2, figsize=(6, 5.2), layout="constrained", sharex=True
)
for (title, samples), (left, right) in zip(
    versions.items(), axes, strict=True
):
    left.plot(
        np.arange(len(samples)) / audio.SAMPLE_RATE, samples, linewidth=0.5
    )
    left.set(ylabel="amplitude", title=title, ylim=(-1.1, 1.1))
    mesh = librosa.display.specshow(
        audio.log_mel(samples, hop=128).T,
        sr=audio.SAMPLE_RATE,
        hop_length=128,
        x_axis="s",
        y_axis="mel",
        fmax=4000,
        ax=right,
        cmap="viridis",
        vmin=-40,
        vmax=30,
    )
    right.set(xlabel="", ylabel="Hz", title="log-mel spectrogram")
    right.set_yticks(
        [500, 1000, 2000, 4000], labels=["500", "1000", "2000", "4000"]
    )
for axis in axes[-1]:
    axis.set_xlabel("time (s)")
    axis.set_xticks(np.arange(0, len(wave) / audio.SAMPLE_RATE + 0.01, 0.2))
figure.colorbar(mesh, ax=axes[:, 1], label="dB")
plots.show(
    figure,
    "Waveform and mel spectrogram of one sound in three rows: as recorded, "
    "under a hiss that fills the spectrogram, and denoised, with most of "
    "the hiss gone and the loud parts kept.",
)

# %% [markdown]
# The hiss fills the spectrogram, and denoising removes most of it. The last player has the sound at 4 kHz, a rate that can
# hold frequencies up to 2 kHz only, so it sounds duller.
#
# **The spectrogram.** Cut the wave $y$ into $T$ overlapping windows of $N = 512$ samples, one every 256, where window $t$ is
# centred on sample $256 t$. Weight each by Hann's window $g_n$ and take its Fourier transform. The squared size is the power in
# frequency bin $j = 0, \dots, N/2$, which stands for $f_j = j \cdot \text{rate} / N$ hertz. Then gather the bins into $B = 40$
# bands, as the ear does. They are equally spaced on the mel scale $m$ {cite}`slaney1998`, linear up to 1000 Hz and logarithmic
# above. With $e_0, \dots, e_{B+1}$ equally spaced in mel from 0 to half the rate, band $b$ is a triangle over
# $e_{b-1}, e_b, e_{b+1}$ of area 1:
#
# $$
# \begin{aligned}
# S_{tj} &= \Bigl\lvert \sum_{n=0}^{N-1} g_n\, y_{256 t + n - 256}\, e^{-2\pi \mathrm{i}\, j n / N} \Bigr\rvert^2 \\
# m(f) &= \begin{cases} 3 f / 200 & f < 1000 \\
#   15 + 27 \log_{6.4} \frac{f}{1000} & f \ge 1000 \end{cases} \\
# \Lambda_{jb} &= \frac{2}{e_{b+1} - e_{b-1}} \max\Bigl(0, \min\Bigl(\tfrac{f_j - e_{b-1}}{e_b - e_{b-1}},
#   \tfrac{e_{b+1} - f_j}{e_{b+1} - e_b}\Bigr)\Bigr) \\
# M &= 10 \log_{10} (S\, \Lambda)
# \end{aligned}
# $$ (data-mel)
#
# | symbol | what it is | shape |
# |---|---|---|
# | $S$ | power, the {term}`spectrogram` | $T \times (N/2 + 1)$ |
# | $\Lambda$ | bands | $(N/2 + 1) \times B$ |
# | $M$ | {term}`mel spectrogram`, in dB, cut off 80 dB below the loudest | $T \times B$ |
#
# **The cepstrum.** Neighbouring bands often rise and fall together. The cosine transform turns them into $F$ coefficients that
# depend less on one another {cite}`davis1980`, the {term}`MFCC`:
#
# $$
# A_{tc} = \sqrt{\frac{2 - \mathbf 1[c = 0]}{B}}\ \sum_{b=1}^{B} M_{tb}
#   \cos\frac{\pi c\,(b - \frac12)}{B}
# $$ (data-mfcc)
#
# for $c = 0, \dots, F - 1$. A sound of $T$ frames is an array $A$, $T \times F$.


# %%
def power(wave, N=512, hop=256):  # (n_samples,) -> (T, N // 2 + 1)
    padded = np.pad(wave, N // 2)  # so that frame t is centred on sample 256 t
    windows = np.lib.stride_tricks.sliding_window_view(padded, N)[::hop]
    bell = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N) / N)
    return np.abs(np.fft.rfft(windows * bell)) ** 2


def mel_bands(N=512, B=40, rate=8000):  # -> (N // 2 + 1, B)
    top = 15 + 27 * np.log(rate / 2000) / np.log(6.4)
    m = np.linspace(0, top, B + 2)
    edge = np.where(
        m < 15, 200 * m / 3, 1000 * np.exp((m - 15) * np.log(6.4) / 27)
    )
    low, middle, high = edge[:-2], edge[1:-1], edge[2:]
    f = np.linspace(0, rate / 2, N // 2 + 1)[:, None]
    triangle = np.minimum(
        (f - low) / (middle - low), (high - f) / (high - middle)
    )
    return np.maximum(0, triangle) * 2 / (high - low)


def cepstrum(M, F=20):  # (T, B) -> (T, F)
    B = M.shape[1]
    c, b = np.arange(F), np.arange(1, B + 1)[:, None]
    scale = np.sqrt((2 - (c == 0)) / B)
    return M @ np.cos(np.pi * c * (b - 0.5) / B) * scale


M = 10 * np.log10(np.maximum(power(wave) @ mel_bands(), 1e-10))
M = np.maximum(M, M.max() - 80)
A = cepstrum(M)
differences = [
    np.abs(M - audio.log_mel(wave)).max(),
    np.abs(A - audio.mfcc(wave)).max(),
]
print(
    f"largest difference of the log-mel: {differences[0]:.1e} dB, MFCC: "
    f"{differences[1]:.1e}"
)
assert max(differences) < 0.01

# %% tags=["hide-input"]
waves = [
    audio.load_audio(with_sounds.path(r, "audio"))
    for r in np.flatnonzero(with_sounds.items["audio"])[:40]
]
both = {
    "log-mel": np.vstack([audio.log_mel(each) for each in waves]),
    "MFCC": np.vstack([audio.mfcc(each) for each in waves]),
}
between = {}
figure, axes = plt.subplots(1, 2, figsize=(6, 3.1), layout="constrained")
for axis, (title, frames), label in zip(
    axes, both.items(), ("band", "coefficient"), strict=True
):
    correlation = np.corrcoef(frames.T)
    between[title] = np.abs(
        correlation[np.triu_indices(len(correlation), 1)]
    ).mean()
    drawn = axis.imshow(correlation, cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set(title=title, xlabel=label, ylabel=label)
    axis.grid(False)
figure.colorbar(drawn, ax=axes, label="correlation over time", shrink=0.8)
plots.show(
    figure,
    "Two matrices of correlations over the frames of forty sounds: between "
    "the 40 log-mel bands, with blocks of positive ones, and between the 20 "
    "MFCCs, paler off the diagonal.",
)

# %% [markdown]
# The mean size of a correlation is {glue:text}`data-correlation-mel:.2f` between bands and
# {glue:text}`data-correlation-mfcc:.2f` between coefficients, of which there are half as many.
#
# When does denoising help? It estimates the noise from the quietest tenth of the recording. Spectral subtraction
# {cite}`boll1979` takes that spectrum from each frame. Like {cite:t}`berouti1979` the library subtracts it *twice*, and leaves a
# floor of a tenth. On 40 sounds with added hiss:

# %% tags=["hide-input"]
generator = np.random.default_rng(seed)
levels = np.arange(-5, 31, 5)
after = np.array(
    [
        [
            signal_to_noise(w, audio.denoise(add_noise(w, level, generator)))
            for w in waves
        ]
        for level in levels
    ]
)

figure, axis = plt.subplots(figsize=(5.2, 3.5), layout="constrained")
axis.plot(levels, levels, marker="o", label="left as it is")
axis.plot(levels, after.mean(axis=1), marker="s", label="denoised, mean")
axis.fill_between(
    levels,
    *np.quantile(after, [0.1, 0.9], axis=1),
    alpha=0.2,
    color=sns.color_palette()[1],
    label="denoised, 80 % of the sounds",
)
axis.set(
    xlabel="signal-to-noise ratio before (dB)",
    ylabel="signal-to-noise ratio after (dB)",
)
axis.legend()
plots.show(
    figure,
    "Signal-to-noise ratio after denoising against before: above the "
    "diagonal for noisy sounds, below it for clean ones.",
)

# %% tags=["remove-cell"]
worse = levels[after.mean(axis=1) < levels]
seconds = np.array(
    [
        [len(w), len(audio.trim(w)), len(audio.trim(audio.denoise(w)))]
        for w in waves
    ]
)
quote(
    snr_before=signal_to_noise(wave, noisy),
    snr_after=signal_to_noise(wave, cleaner),
    snr_gain=after[levels == 5].mean() - 5,
    stand_in=little.name
    if any(each is little for each in (world, with_pictures, with_sounds))
    else "",
    snr_worse=int(worse[0]) if len(worse) else "more than 30",
    trim_alone=100 * (1 - seconds[:, 1].sum() / seconds[:, 0].sum()),
    trim_after=100 * (1 - seconds[:, 2].sum() / seconds[:, 0].sum()),
    correlation_mel=between["log-mel"],
    correlation_mfcc=between["MFCC"],
    median_seconds=np.median(seconds[:, 0]) / audio.SAMPLE_RATE,
)

# %% [markdown]
# - **Denoising.** At 5 dB the gain is {glue:text}`data-snr-gain:.1f` dB on average. From {glue:text}`data-snr-worse` dB on,
#   denoising does more harm than the hiss. So it is off by default too.
# - **Trimming** removes what is 30 dB below the loudest moment: alone {glue:text}`data-trim-alone:.1f` % of these sounds, after
#   denoising {glue:text}`data-trim-after:.1f` %. The *order* of the steps matters.
#
# Slopes and curvatures of the coefficients can be added (`deltas=True`). The whole catalogue:

# %% tags=["remove-output"]
pictures, has_picture, bad_pictures = image.encode_images(
    [data.path(row, "image") for row in range(data.n_items)], size=32
)
sounds, has_sound, bad_sounds = audio.encode_audio(
    [data.path(row, "audio") for row in range(data.n_items)],
    length=32,
    deltas=True,
)
item_tokens = [tokenise(clean(text)) for text in data.items["text"]]

# %% tags=["hide-input"]
arrays = {
    "text": (
        sequences(item_tokens, vocabulary, 32),
        np.array([bool(t) for t in item_tokens]),
    ),
    "image": (pictures, has_picture),
    "audio": (sounds, has_sound),
}
plots.table(
    pd.DataFrame(
        {
            "modality": list(arrays),
            "shape": [
                " × ".join(map(str, array.shape))
                for array, _ in arrays.values()
            ],
            "dtype": [str(array.dtype) for array, _ in arrays.values()],
            "smallest": [float(array.min()) for array, _ in arrays.values()],
            "largest": [float(array.max()) for array, _ in arrays.values()],
            "items that have it": [
                int(there.sum()) for _, there in arrays.values()
            ],
        }
    )
)

# %% [markdown]
# A frame of a sound has 60 numbers: 20 MFCCs, their slopes and their curvatures.
#
# ### Fewer numbers: one idea for all four
#
# A picture of $32 \times 32 \times 3$ is 3072 numbers, but many of them change together. {term}`PCA` finds the directions along
# which the pictures differ most. Let the $n$ items be the rows of $X$ ($n \times D$), with the mean row $\bar x$:
#
# $$
# \begin{aligned}
# X - \bar x &= G\, \Sigma\, Q^\top \\
# Z &= (X - \bar x)\, Q_{:,1:k} \\
# \text{share kept} &= \textstyle\sum_{j \le k} \Sigma_{jj}^2 \,/\, \sum_j \Sigma_{jj}^2
# \end{aligned}
# $$ (data-pca)
#
# $G$ and $Q$ have orthonormal columns: each has the length 1, and any two are at right angles. $\Sigma$ is diagonal with the
# largest first, and $Z$ ($n \times k$) holds the new, short rows. In a sparse matrix the mean is not subtracted, because that
# would fill its zeros. This is latent semantic analysis {cite}`deerwester1990` for words and PureSVD {cite}`cremonesi2010` for
# behaviour. There the share is the variance of $Z$ divided by that of $X$; the formula with $\Sigma$ holds for PCA only. A sound
# enters as 120 numbers, the mean and the standard deviation over its frames of each of the 60.

# %%
raw = {
    "behaviour": (
        interactions.matrix.T.tocsr(),
        interactions.matrix.sum(axis=0) > 0,
    ),
    "text": (tf_idf(item_tokens), arrays["text"][1])
    if arrays["text"][1].any()
    else None,
    "image": (pictures.reshape(len(pictures), -1), has_picture)
    if has_picture.any()
    else None,
    "audio": (standardise(summarise(sounds), has_sound), has_sound)
    if has_sound.any()
    else None,
}
raw = {name: pair for name, pair in raw.items() if pair is not None}

short, fitted = {}, {}
for name, (features, there) in raw.items():
    most = min(50, int(there.sum()) - 1, features.shape[1] - 1)
    short[name], fitted[name] = reduce(
        features, most, present=there, seed=seed
    )

# %% tags=["hide-input"]
kept = {
    name: model.explained_variance_ratio_.sum()
    for name, model in fitted.items()
}
plots.table(
    pd.DataFrame(
        {
            "data": list(raw),
            "numbers an item": [
                features.shape[1] for features, _ in raw.values()
            ],
            "after": [rows.shape[1] for rows in short.values()],
            "variance kept (%)": [
                round(100 * share) for share in kept.values()
            ],
        }
    )
)

# %% [markdown]
# For the sounds, from the equation:

# %%
name = "audio" if "audio" in raw else "behaviour"
X = raw[name][0][raw[name][1]]
X = X.toarray() if hasattr(X, "toarray") else X
centre = X.mean(axis=0) if name == "audio" else 0
G, S, Qt = np.linalg.svd((X - centre).astype(np.float64), full_matrices=False)
sign = np.sign(
    Qt[np.arange(len(Qt)), np.abs(Qt).argmax(axis=1)]
)  # largest weight positive
Z = (X - centre) @ (Qt * sign[:, None])[:5].T

difference = (
    np.abs(Z - short[name][raw[name][1]][:, :5]).max() / np.abs(Z).max()
)
print(
    f"largest difference from the library's first five: {difference:.1e} of "
    "the largest number"
)
assert difference < 1e-3

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(5.2, 3.5), layout="constrained")
for name, model in fitted.items():
    kept = 100 * model.explained_variance_ratio_.cumsum()
    axis.plot(
        np.arange(1, len(kept) + 1), kept, color=COLOURS[name], label=name
    )
axis.set(
    xlabel="numbers kept for each item",
    ylabel="variance kept (%)",
    ylim=(0, 103),
)
axis.legend()
plots.show(
    figure,
    "Variance kept against numbers kept, one rising curve each for "
    "behaviour, text, image and audio; pictures and sounds rise quickly, "
    "words and behaviour slowly.",
)

# %% [markdown]
# Pictures and sounds need few numbers, words and behaviour more. Each direction of the pictures is a picture itself:

# %% tags=["hide-input"]
if "image" in fitted and len(fitted["image"].components_) >= 50:
    model, place = fitted["image"], int(np.flatnonzero(has_picture)[0])

    def rebuilt(n):
        """Draw the first product again from its first n numbers."""
        pixels = (
            model.mean_ + short["image"][place, :n] @ model.components_[:n]
        )
        return np.clip(pixels, 0, 1).reshape(32, 32, 3)

    def as_picture(direction):
        """Scale a direction so that grey is none of it."""
        return (0.5 + 0.5 * direction / np.abs(direction).max()).reshape(
            32, 32, 3
        )

    panels = {"mean": model.mean_.reshape(32, 32, 3)}
    panels |= {
        f"direction {n + 1}": as_picture(model.components_[n])
        for n in range(5)
    }
    panels |= {f"from {n} numbers": rebuilt(n) for n in (2, 5, 10, 20, 50)}
    panels["the picture itself"] = pictures[place]
    figure, axes = plt.subplots(3, 4, figsize=(6, 5.2), layout="constrained")
    for axis, (title, picture) in zip(axes.flat, panels.items(), strict=True):
        axis.imshow(picture)
        axis.set_title(title, fontsize=10)
        axis.axis("off")
    plots.show(
        figure,
        "Twelve small pictures: the mean of all products, five principal "
        "directions as ghostly shapes, and one product rebuilt from 2, 5, "
        "10, 20 and 50 numbers beside the original.",
    )

# %% [markdown]
# Fifty numbers rebuild shape and colour, and lose the details.
#
# ## What each modality knows
#
# From one modality we predict each attribute with the same model, a support vector machine. It draws a curved boundary between
# classes, or fits a curve to a number. It is judged on items that were held out: each fifth of them is predicted by a model that
# learnt from the other four fifths (*cross-validation* with five folds). All that is learnt from data, such as principal components
# and word weights, is learnt in the training folds alone. The
# {term}`skill` puts the attributes on one scale:
#
# $$
# \text{skill} = 1 - \frac{\text{error of the model}}{\text{error of the best constant answer}} .
# $$ (data-skill)
#
# It is 0 for a modality that knows nothing and 1 for one that knows everything. The error is the share of wrong answers for kind
# and voice, and the mean squared error for liking. A negative value means that the model overfitted noise. As a control, the last
# row predicts *shuffled* attributes.

# %%
inputs = {  # what each modality is before anything is learnt from it
    name: features for name, (features, _) in raw.items()
}
if "text" in raw:
    inputs["text"] = np.array(item_tokens, dtype=object)
if "audio" in raw:
    inputs["audio"] = summarise(sounds)


def learner(name, number, n, width):
    """Return a pipeline that learns everything from the training folds."""
    parts = min(50, int(0.8 * n) - 1, width - 1)
    steps = {
        "behaviour": [TruncatedSVD(parts, random_state=seed)],
        "text": [
            TfidfVectorizer(
                analyzer=lambda tokens: tokens, sublinear_tf=True, min_df=2
            ),
            TruncatedSVD(parts, random_state=seed),
        ],
        "image": [PCA(parts, svd_solver="randomized", random_state=seed)],
        "audio": [StandardScaler(), PCA(parts, random_state=seed)],
    }
    predictor = SVR() if number else SVC(C=3)
    return make_pipeline(*steps[name], StandardScaler(), predictor)


def skill(name, target, fold_seed):
    """Return the cross-validated skill: 0 knows nothing, 1 everything."""
    there = raw[name][1]
    features, target = inputs[name][there], np.asarray(target)[there]
    number = pd.api.types.is_numeric_dtype(target)
    folds = (KFold if number else StratifiedKFold)(
        5, shuffle=True, random_state=fold_seed
    )
    model = learner(name, number, len(target), raw[name][0].shape[1])
    constant = DummyRegressor() if number else DummyClassifier()

    def error(predictor, features):
        guess = cross_val_predict(predictor, features, target, cv=folds)
        return (
            np.square(guess - target).mean()
            if number
            else (guess != target).mean()
        )

    return 1 - error(model, features) / error(
        constant, np.zeros((len(target), 1))
    )


targets = {
    f"{name}_attribute": label
    for name, label in (
        ("image", "kind"),
        ("audio", "voice"),
        ("text", "liking"),
    )
    if f"{name}_attribute" in data.items
}
repeats = 1 if profile == "quick" else 5
scores, spreads = pd.DataFrame(dtype=float), pd.DataFrame(dtype=float)
for column, label in targets.items():
    target = data.items[column].to_numpy()
    mixed = np.random.default_rng(seed).permutation(target)
    control = []
    for name in raw:
        each = [skill(name, target, seed + again) for again in range(repeats)]
        scores.loc[name, label] = np.mean(each)
        spreads.loc[name, label] = np.std(each)
        control.append(skill(name, mixed, seed))
    scores.loc["shuffled (best)", label] = max(control)

# %% tags=["hide-input"]
if len(scores):
    figure, axis = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
    sns.heatmap(
        scores,
        annot=scores.round(2) + 0.0,  # no "−0"
        fmt=".2f",
        vmin=0,
        vmax=1,
        cmap="viridis",
        cbar_kws={"label": "skill (0 nothing, 1 everything)"},
        ax=axis,
    )
    axis.set(xlabel="attribute", ylabel="predicted from")
    plots.show(
        figure,
        "Heat map of skill, what is known by what is asked: "
        + "; ".join(
            f"{name} knows "
            + ", ".join(
                f"{label} {scores.loc[name, label]:.2f}" for label in scores
            )
            for name in scores.index
        ),
    )
if repeats > 1:
    print(f"standard deviation over {repeats} repetitions:")
    display(plots.table(spreads, index=True))

# %% tags=["hide-input"]
content = scores.loc[[name for name in MODALITIES if name in scores.index]]
floor = scores.loc["shuffled (best)"] if len(scores) else None
named = {"image": "the picture", "audio": "the sound", "text": "the text"}
lines, leaders = [], []
for label in scores:
    ranking = content[label].sort_values(ascending=False)
    others = [
        f"{name} {value:.2f}"
        for name, value in ranking.iloc[1:].items()
        if value > max(floor[label], 0) + 0.03
    ]
    also = (
        f"; then {', '.join(others)}"
        if others
        else "; the other two no more than chance"
        if len(ranking) == 3
        else ""
    )
    lines.append(
        f"- **{label}**: of the content, {ranking.index[0]} knows most, "
        f"{ranking.iloc[0]:.2f}{also}. Behaviour: "
        f"{scores.loc['behaviour', label]:.2f}"
    )
    leaders.append(
        f"{named[ranking.index[0]]} predicts the {label} best (skill "
        f"{ranking.iloc[0]:.2f})"
    )
ahead = [
    f"the {label} ({scores.loc['behaviour', label]:.2f})"
    for label in scores
    if scores.loc["behaviour", label] > content[label].max()
]
quote(
    behaviour_result=f"Behaviour predicts {', '.join(ahead)} even better, but only for "
    "items with a history."
    if ahead
    else ""
    if scores.empty
    else "Behaviour predicts none of them better.",
    first_result=", ".join(leaders)
    or "no attributes are named, so nothing can be predicted",
)
Markdown(
    "\n".join(lines)
    or "This data set names no attributes, so there is nothing to predict."
)

# %% [markdown]
# Read the table by columns. Where one modality is alone, a recommender without it cannot know that side of taste. Where two share
# a column, they overlap. In `shop` the overlap is an option of the generator. In `garments` people write "this dress" about a
# dress. That modalities complement one another was *built into* these data. What it is worth to a recommender is measured in
# {doc}`06b_fusion_measured` and {doc}`09_reproduction`.
#
# **Behaviour** can know all three attributes, because taste sorts shoppers and shoppers sort items. That is why
# {term}`collaborative filtering` is hard to beat on items with a history. An item without one has a row of zeros.
#
# ## When a file is broken
#
# One broken file must cost one item one modality, and never the run. Seven files that cannot be used, and two good ones:

# %% tags=["hide-input"]
broken = tempfile.TemporaryDirectory()
folder = Path(broken.name)
small.save(folder / "good.png")
(folder / "empty.png").write_bytes(b"")
(folder / "page.jpg").write_text("<html>404 not found</html>")
upright.save(folder / "whole.jpg")
(folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:1500])
soundfile.write(folder / "good.wav", wave, audio.SAMPLE_RATE)
(folder / "noise.wav").write_bytes(b"not a sound at all")
soundfile.write(folder / "silent.wav", np.zeros(8000), audio.SAMPLE_RATE)
soundfile.write(
    folder / "nan.wav", np.full(800, np.nan), 8000, subtype="FLOAT"
)

files = {
    "image": ["good.png", "empty.png", "page.jpg", "cut.jpg", "gone.png"],
    "audio": ["good.wav", "noise.wav", "silent.wav", "nan.wav", ""],
}

# %%
paths = {
    kind: [folder / name if name else None for name in names]
    for kind, names in files.items()
}
_, fine_pictures, picture_faults = image.encode_images(
    paths["image"], cache=folder
)
_, fine_sounds, sound_faults = audio.encode_audio(paths["audio"], cache=folder)

# %% tags=["hide-input"]
reported = [*picture_faults, *sound_faults]
by_name = {Path(fault.file).name: fault for fault in reported}
names = [name or "(none)" for name in files["image"] + files["audio"]]
messages = [by_name[name].message if name in by_name else "" for name in names]
plots.table(
    pd.DataFrame(
        {
            "file": names,
            "present": np.where([*fine_pictures, *fine_sounds], "yes", "no"),
            "what is wrong": [
                message.replace(str(folder), "…") for message in messages
            ],
            "what to do": [
                by_name[name].remedy if name in by_name else ""
                for name in names
            ],
        }
    )
)

# %% [markdown]
# Each broken file is named, with a remedy. `validate` finds the same faults before anything is encoded. The last item has no sound
# *on purpose*, which is no fault.

# %%
items = pd.DataFrame({"item": [f"p{n}" for n in range(5)], **files})
taken = pd.DataFrame({"user": ["ann"], "item": ["p0"], "timestamp": [0]})
found = Dataset("broken", items, taken, folder).validate()
print("\n".join(str(fault) for fault in found))
broken.cleanup()

# %% tags=["remove-cell"]
used = plots.resources(started)
quote(
    n_broken=len(reported),
    n_bad_media=len(bad_pictures) + len(bad_sounds),
    seconds=used["seconds"],
    peak=used["peak_mb"] / 1000,
    cores=used["cores"],
)

# %% [markdown]
# ## What the article says, and what we measured
#
# | row | the article | here |
# |---|---|---|
# | [A2](#claim-a2) | preprocess behaviour, text, images and audio: denoise, reduce dimension | each step shown for all four. Denoising helps from {glue:text}`data-psnr-pays` % wrong pixels on, and below {glue:text}`data-snr-worse` dB of signal-to-noise ratio; otherwise it harms. Its effect on *recommendations* is not measured yet |
# | [S2](#claim-s2) | a public e-commerce data set with reviews, pictures and audio introductions; none is named | we found none with all three and buyers. `shop` is made, `garments` joins three public collections; the shoppers of both are simulated |
# | [S1](#claim-s1) | 8 GB of memory and a 2 GHz processor suffice | this chapter: {glue:text}`data-seconds:.0f` seconds on {glue:text}`data-cores:.0f` cores, {glue:text}`data-peak:.1f` GB |
#
# Of the files of {glue:text}`data-name`, {glue:text}`data-n-bad-media:d` could not be used; of the seven broken ones,
# {glue:text}`data-n-broken:d` were reported.
#
# ## Exercises
#
# **1.** A shopper has utilities 2, 1 and 0 for three items on a shelf. With what probability is each taken? What if the option
# `noise` is doubled?
#
# ```{dropdown} Solution
# $e^2 + e^1 + e^0 = 11.11$, so 0.67, 0.24 and 0.09. Doubling the noise halves the utilities: 0.51, 0.31 and 0.19. Only
# *differences* of utilities count.
# ```

# %% tags=["hide-cell"]
for U in (np.array([2, 1, 0.0]), np.array([1, 0.5, 0])):
    print((np.exp(U) / np.exp(U).sum()).round(2))

# %% [markdown]
# **2.** A 2-core is taken of this log: ann took tea and cup, bob took tea and cup, cat took tea and hat. What is left?
#
# ```{dropdown} Solution
# Hat was taken once, so cat–hat goes. Then cat has one interaction, so cat–tea goes. Ann and bob with tea and cup remain. The
# order does not matter, since dropping never raises a count.
# ```

# %% tags=["hide-cell"]
pairs = [
    tuple(pair.split())
    for pair in (
        "ann tea",
        "ann cup",
        "bob tea",
        "bob cup",
        "cat tea",
        "cat hat",
    )
]
little_log = pd.DataFrame(pairs, columns=["user", "item"])
print(k_core(little_log.assign(timestamp=range(6)), k_users=2, k_items=2))

# %% [markdown]
# **3.** A picture shows one white line, one pixel wide, on black. What does the median filter leave of it?
#
# ```{dropdown} Solution
# Nothing. Each $3 \times 3$ window on the line holds three white and six black pixels, so the median is black. Fine lines, such as
# small letters, are noise to a median filter.
# ```

# %% tags=["hide-cell"]
line = np.zeros((5, 5, 1))
line[2] = 255
print("brightest pixel after the filter:", median(line).max())

# %% [markdown]
# **4.** Why does the first MFCC, $c = 0$, measure the level of a frame? By how much does it change when the amplitude doubles?
#
# ```{dropdown} Solution
# For $c = 0$ each cosine is 1, so $A_{t0} = \sqrt{B}$ times the mean level in dB. Twice the amplitude is
# $10 \log_{10} 4 = 6.02$ dB more in each band, and so $6.02 \sqrt{40} = 38.1$ more. The other coefficients do not change, because
# their cosines sum to zero.
# ```

# %% tags=["hide-cell"]
print("changes:", (cepstrum(M + 10 * np.log10(4)) - A)[0, :3].round(2) + 0.0)

# %% [markdown]
# **5.** Predict the *colour* of the shop's products from each modality. Which one knows it? Does behaviour?
#
# ```{dropdown} Solution
# The picture knows the colour. Text and sound do not, and neither does behaviour, because colour does not occur in equation
# {eq}`data-taste`: what shoppers do not care about leaves no trace in what they do.
# ```

# %% tags=["hide-cell"]
if "colour" in data.items:
    for name in raw:
        print(f"{name}: {skill(name, data.items['colour'], seed):.2f}")
else:
    print("Only `shop` names colours.")

# %% [markdown]
# ## Where to read on
#
# {cite:t}`manning2008` on words; {cite:t}`davis1980` on cepstra; {cite:t}`mcfadden1974` on choice.
