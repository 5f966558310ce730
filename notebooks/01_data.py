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
# - open a data set as a folder and as an object, and say what every column and file is for;
# - write down how a simulated shopper chooses, and check the formula against a hundred thousand
#   choices;
# - take behaviour, text, pictures and sounds through each step of preprocessing, and say what the
#   step kept and what it lost;
# - compute a median filter, a tf-idf weight, a mel spectrogram, MFCCs and principal components from
#   their equations, and get the library's numbers;
# - measure what each modality knows about an item, and what it does not.
#
# ## The idea in words
#
# A recommender never meets a thing. It meets records of it: a photograph, a recording, what people
# wrote, and who took it when. Each kind of record knows something that the others do not, and each
# arrives in a form that no network can read. So this chapter asks two questions of every kind: *what
# does it know?* and *how does it become an array of numbers?* Whatever is lost on this way, no
# network brings back.

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
from sklearn.dummy import DummyClassifier, DummyRegressor
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
# `datasets.load` gives a data set by its name, or by the path of a folder that you made. Beside the
# one that this chapter is about we take two tiny shops: one stands in where a data set of your own
# has no pictures or no sounds, the other is in Chinese.

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

# %% [markdown]
# Nothing in the folder is hidden or packed; a spreadsheet and a picture viewer are enough to read it.

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
# The object holds the same as two tables. `items` has one row an item; `text`, `image` and `audio`
# are empty where an item lacks them. Columns that end in `_attribute` are for us who look behind the
# curtain: no recommender in this book reads them.

# %%
plots.table(data.items.head(3).T, index=True, widest=60)

# %% [markdown]
# `interactions` has one row each time that somebody took something, in order of time. The time is in
# seconds since 1970.

# %%
plots.table(data.interactions.head(3), widest=60)

# %% [markdown]
# `Dataset.validate()` finds every fault of a folder, each with its file and row, before any training
# does: a row that names an unknown item, a picture that cannot be decoded, a recording that is silent.

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
# The data set {glue:text}`data-name` has {glue:text}`data-n-items:,d` items. Look, listen, read: these cards are
# the raw material of everything that follows.

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
# In `shop` everything is made from a seed: the pictures are drawn, the sounds synthesised, the reviews
# written from a grammar, in English or Chinese. In `garments` the photographs {cite}`grigorev2020`,
# the recorded numbers {cite}`jackson2018` and the reviews {cite}`brooks2018` are real, and each is
# used by one item only, so that no network can recognise a new item by a file it has seen before.
#
# The same shop in Chinese, with the first reviews that its shoppers wrote:

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
# Real catalogues have holes. In `shop` and `garments` some items were robbed of theirs on purpose,
# since a recommender that cannot do without one of them is of no use in a real shop.

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
# {glue:text}`data-share-complete:.1f` % of the items have all three; {glue:text}`data-n-incomplete:d`
# lack something. `Dataset.present()` says which, as an array of true and false
# ($n_{\text{items}} \times 3$), and this {term}`mask` travels with the data from here on: an absent
# picture is never mistaken for a black one.
#
# ## What the shoppers did
#
# The log has {glue:text}`data-n-interactions:,d` interactions of {glue:text}`data-n-users:,d`
# shoppers. Four views of it:

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
    f"Four charts: interactions per {period or 'period'} over time; interactions per item by rank, falling "
    "steeply and then slowly; a histogram of interactions per shopper with a long right tail; and "
    "the number of interactions with each rating.",
)

# %% tags=["remove-cell"]
top = max(1, len(ranked) // 5)
quote(
    top_share=100 * ranked[:top].sum() / ranked.sum(),
    density=100 * describe(log)["density"],
    median_user=by_user.median(),
    busiest_user=by_user.max(),
    untaken=(by_item == 0).sum(),
    mean_rating=ratings.mean() if len(ratings) else "none given",
)

# %% [markdown]
# - **Time.** Traffic changes over the period, because shoppers join while it runs, and items are
#   launched while it runs. Whoever learns from all of it at once learns from the future; chapter 8
#   cuts it at a moment instead.
# - **Popularity.** The most popular fifth of the items takes {glue:text}`data-top-share:.0f` % of all
#   interactions, and {glue:text}`data-untaken:d` items have none. A recommender can look good by
#   recommending what is popular to everyone, and that is the {term}`baseline` to beat.
# - **Activity.** Half of the shoppers have at most {glue:text}`data-median-user:.0f` interactions, the
#   busiest has {glue:text}`data-busiest-user:d`.
# - **Sparsity.** Of all pairs of shopper and item, {glue:text}`data-density:.1f` % occur.
#
# ## How a simulated shopper chooses
#
# **The shoppers of `shop` and `garments` are simulated**, and you should know exactly how. Shopper
# $u$ has a *taste* for item $i$, the sum of four terms:
#
# $$
# \begin{aligned}
# \text{taste}_{ui} ={}& w_{\text{image}}\, a_{u,\,\kappa(i)} + w_{\text{audio}}\, b_{u,\,\nu(i)} \\
#   &+ w_{\text{text}}\, s_u\, \ell_i \\
#   &+ w_{\text{pair}} \cdot 2 \cdot \mathbf 1\bigl[(\kappa(i), \nu(i)) = \pi_u\bigr]
# \end{aligned}
# $$ (data-taste)
#
# | symbol | what it is | shape |
# |---|---|---|
# | $\kappa(i)$, $\nu(i)$ | kind of item $i$, which its picture shows; voice of item $i$, which its sound tells | integers |
# | $a$, $b$ | how shoppers feel about each kind, about each voice | $n_{\text{users}} \times$ kinds, $n_{\text{users}} \times$ voices |
# | $\ell$ | liking: how much reviewers liked each item | $n_{\text{items}}$ |
# | $s$ | how much each shopper minds what reviewers think | $n_{\text{users}}$ |
# | $\pi_u$ | one favourite pair of a kind and a voice, which neither the picture nor the sound shows alone | pair of integers |
# | $w$ | weight of each modality, a knob | 4 numbers |
#
# The utility is $U_{ui} = \text{taste}_{ui} / \text{noise}$, and of the items on the shelf $S$ that
# the shopper meets, one is taken by equation {eq}`eq-choice`: add to each utility an independent
# Gumbel draw, and take the largest. The claim of {eq}`eq-choice` is that this is a draw from a
# softmax {cite}`mcfadden1974`. We need not believe it. Here is one shopper before a shelf of eight of
# the things they like most, a hundred thousand times:

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
    "Bar chart of eight items: for each, the share of simulated choices and the softmax "
    "probability stand side by side and are equal to the eye.",
)

# %% [markdown]
# Two things more decide what is in the log: a shopper meets item $i$ on a shelf only with some
# probability $\pi_i$, which differs between popular and obscure items, and nobody takes the same thing
# twice. Before the shelf is known, the chance that $u$ takes $i$ is {eq}`eq-oracle`: an average of
# softmaxes over all possible shelves, as one integral. To rank by it is the best that anybody could do.
# That recommender is {term}`the oracle <oracle>`, and `truth.chance()` returns its scores. Where do the
# items that shoppers really took stand in its ranking?

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
    "Histogram of where taken items stand in the oracle's ranking: most are near the top, with a "
    "thin tail that reaches to the end.",
)

# %% tags=["remove-cell"]
quote(
    choice_difference=difference,
    n_factors=table.shape[1],
    oracle_tenth=100 * (standing >= 0.9).mean(),
    oracle_lower_half=100 * (standing < 0.5).mean(),
)

# %% [markdown]
# {glue:text}`data-oracle-tenth:.0f` % of what was taken lies in the oracle's top tenth, and
# {glue:text}`data-oracle-lower-half:.1f` % in its lower half: taste counts (blind luck would give 10 % and 50 %), chance has its say, and not
# even the oracle knows which ten items will be next. What we gain by simulating is this known limit;
# what we pay is that a result on these shoppers is not yet a result on people.
#
# ## From raw to arrays
#
# The article asks, in its section 3.2.1, to preprocess all four kinds of data: to *denoise* them and
# to *reduce their dimension* (row [A2](#claim-a2)). We go through every step for each kind, before and
# after.
#
# ### Behaviour
#
# To see the steps at work, we first soil the log: some shoppers click twice, and
# passers-by take one thing and never come back. Then `deduplicate` keeps the first interaction of
# each pair, `k_core` drops whoever has fewer than $k$ interactions, again and again until nobody has,
# and `Interactions` turns ids into rows.

# %%
twice = log.sample(frac=0.03, random_state=seed)
twice = twice.assign(timestamp=twice["timestamp"] + 60)
passing = log.sample(frac=0.01, random_state=seed + 1)
passing = passing.assign(user=[f"passer-by {n}" for n in range(len(passing))])
soiled = pd.concat([log, twice, passing], ignore_index=True)

k = 5 if len(log) >= 5000 else 1
once = deduplicate(soiled)
core = k_core(once, k_users=k, k_items=k)
steps = {
    "as recorded": log,
    "soiled": soiled,
    "deduplicated": once,
    f"{k}-core": core,
}
interactions = Interactions.of(core, items=data.items["item"])

sizes = pd.DataFrame({name: describe(step) for name, step in steps.items()}).T
whole = sizes[["users", "items", "interactions"]].astype(int)
plots.table(
    whole.assign(**{"density (%)": 100 * sizes["density"]}), index=True
)

# %% [markdown]
# The first rows, before and after ids have become rows:

# %% tags=["hide-input"]
columns = ["user", "item", "timestamp"]
plots.table(
    pd.concat(
        [
            core[columns].head(3).rename(columns="{} before".format),
            interactions.log[columns]
            .head(3)
            .rename(columns="{} after".format),
        ],
        axis=1,
    )[[f"{name} {when}" for name in columns for when in ("before", "after")]]
)

# %% tags=["remove-cell"]
known = set(map(tuple, log[["user", "item"]].to_numpy()))
kept = set(map(tuple, core[["user", "item"]].to_numpy()))
quote(
    k=k,
    soil=len(soiled) - len(log),
    soil_left=len(kept - known),
    lost=len(known - kept),
    lost_share=100 * len(known - kept) / len(known),
)

# %% [markdown]
# Of {glue:text}`data-soil:,d` soiled rows, {glue:text}`data-soil-left:d` were left as pairs that
# nobody had taken. The price: {glue:text}`data-lost:,d` honest interactions
# ({glue:text}`data-lost-share:.1f` %) went with them, those of items that too few people took. A
# $k$-core cannot tell a passer-by from a new customer, or junk from a new item; so it is right for
# what a model *learns from*, and wrong for deciding what it is *tested on*.
#
# The `matrix` of these interactions is $R$, {glue:text}`data-n-users:,d` rows long and
# {glue:text}`data-n-items:,d` columns wide, nearly all zeros and stored without them.
#
# ### Text
#
# `clean` takes out what is not language, `tokenise` cuts what is left into words. English shows where
# words end; Chinese does not, and a dictionary finds the most probable cut. Some dirt of the kind
# that real shops hold:

# %% tags=["hide-input"]
dirty = [
    "Arrived <b>late</b> &amp; broken :(<br/>See https://shop.example/r?id=7",
    "Ｆｕｌｌ－ｗｉｄｔｈ letters, a zero-width\u200b gap, an accent in two parts: cafe\u0301",
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
# What is it worth? We soil every text of the data set as web pages do, with line breaks and hard
# spaces between sentences, and count words with and without cleaning.

# %%
texts = (
    data.items["text"].tolist()
    if present["text"].any()
    else little.items["text"].tolist()
)
soiled_texts = [text.replace(". ", ".<br/>&nbsp;") for text in texts]
without = [tokenise(text) for text in soiled_texts]
tokens = [tokenise(clean(text)) for text in soiled_texts]
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
    "Left, word frequency by rank on logarithmic axes, falling; right, the share of running words "
    "covered by the most frequent words, rising quickly and then slowly towards 100 per cent.",
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
# Without cleaning, {glue:text}`data-junk:.1f` % of the running words would be `br` and `nbsp`. The
# {glue:text}`data-n-words:,d` running words are {glue:text}`data-vocabulary:,d` different ones, of
# which {glue:text}`data-once-only:.0f` % occur only once (none do in a grammar's texts, nearly half in
# people's); the 200 most frequent cover {glue:text}`data-covered:.0f` % of the text. That curve
# decides how large a vocabulary must be. The median text has {glue:text}`data-median-length:.0f`
# words, so at a length of 32 numbers {glue:text}`data-cut:.0f` % of the texts lose their end.
#
# **Weights for words.** A bag of words with *tf-idf* weights needs no network. With
# $\text{tf}_{iw}$ the number of times that word $w$ stands in text $i$, $\text{df}_w$ the number of
# texts that hold it and $n$ that of all texts {cite}`manning2008`,
#
# $$
# \begin{aligned}
# x_{iw} &= \bigl(1 + \ln \text{tf}_{iw}\bigr) \Bigl(1 + \ln \frac{1 + n}{1 + \text{df}_w}\Bigr) \\
# \hat x_i &= x_i \,/\, \lVert x_i \rVert
# \end{aligned}
# $$ (data-tfidf)
#
# with $x_{iw} = 0$ for a word that does not occur: one row $\hat x_i$ of $\lvert V \rvert$ numbers for each text: large where a word is frequent here
# and rare elsewhere. From the equation, for the first 200 texts:

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
# A picture is read upright (cameras only *note* how they were held), freed of wrong pixels, fitted
# into a square on white, and scaled to 0…1. To see each step work we turn one picture on its side as
# a camera does, and spoil one pixel in twenty, half of them black and half white ("salt and pepper").

# %%
seen = data if (data.items["image"] != "").any() else little
row = int(np.flatnonzero(seen.items["image"] != "")[0])
upright = image.load_image(seen.path(row, "image"))
upright.thumbnail((256, 256))


def spoil(picture, share, generator):
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

spoilt = spoil(loaded, 0.05, np.random.default_rng(seed))
denoised = image.denoise(spoilt)
small = image.resize(denoised, 32)

# %% tags=["hide-input"]
stages = {
    "as stored": stored,
    "read upright": loaded,
    "5 % of pixels spoilt": spoilt,
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
    "Six versions of one picture: lying on its side as stored, upright, with black and white "
    "specks, with the specks gone and edges kept, and as squares of 32 and 16 pixels a side.",
)


# %% [markdown]
# The median filter replaces each of the $H \times W \times C$ numbers by the median of the $3 \times 3$
# around it, in its own channel; at the border the edge is repeated:
#
# $$
# Y_{pqc} = \operatorname{median}\bigl\{ X_{p+r,\,q+s,\,c} : r, s \in \{-1, 0, 1\} \bigr\}
# $$ (data-median)
#
# How far two pictures with numbers from 0 to 255 are apart is told by the *peak signal-to-noise
# ratio*, in decibels:
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


difference = np.abs(median(np.asarray(spoilt)) - np.asarray(denoised)).max()
print(f"largest difference from the library's filter: {difference:.0f} of 255")
assert difference == 0
print(
    f"PSNR spoilt: {psnr(loaded, spoilt):.1f} dB, denoised: {psnr(loaded, denoised):.1f} dB"
)

# %% [markdown]
# A filter that helps a spoilt picture also takes something from a clean one. So we ask at which share
# of spoilt pixels it begins to pay, on 40 pictures:

# %% tags=["hide-input"]
generator = np.random.default_rng(seed)
sample = [
    image.load_image(seen.path(r, "image"))
    for r in np.flatnonzero(seen.items["image"])[:40]
]
for picture in sample:
    picture.thumbnail((128, 128))
shares = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2])
quality = np.zeros((2, len(shares)))
for column, share in enumerate(shares):
    for picture in sample:
        bad = spoil(picture, share, generator)
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
axis.set(xlabel="spoilt pixels (%)", ylabel="PSNR to the clean picture (dB)")
axis.legend()
plots.show(
    figure,
    "PSNR against the share of spoilt pixels: without a filter it falls steadily; with the median "
    "filter it stays nearly level, lower at few spoilt pixels and higher at many.",
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
# At 5 % spoilt pixels the filter lifts the PSNR from {glue:text}`data-psnr-spoilt:.1f` to
# {glue:text}`data-psnr-denoised:.1f` dB. On untouched pictures it costs: what comes out is at
# {glue:text}`data-psnr-cost:.1f` dB from what went in, since texture and grain go too. From
# {glue:text}`data-psnr-pays` % on it pays. That is why `encode_images` leaves it off unless asked.
#
# ### Sounds
#
# A recording is read, resampled to one rate, denoised, trimmed of silence, and cut into frames. We
# take one and add a hiss.

# %%
heard = data if (data.items["audio"] != "").any() else little
row = int(np.flatnonzero(heard.items["audio"] != "")[0])
wave = audio.load_audio(
    heard.path(row, "audio")
)  # float32 (n_samples,) at 8000 Hz
wave = wave[: 2 * audio.SAMPLE_RATE]
wave *= (
    0.5 / np.abs(wave).max()
)  # so that a faint one can be heard; no ratio changes


def add_noise(wave, snr, generator):
    """Add white noise so many dB below the sound."""
    noise = generator.standard_normal(len(wave)).astype(np.float32)
    return wave + noise * np.sqrt(np.square(wave).mean() / 10 ** (snr / 10))


def signal_to_noise(wave, other):
    """How far the other is from the wave: 10 log₁₀ (power of the wave / power of the difference)."""
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
    "Waveform and mel spectrogram of one sound in three rows: as recorded, under a hiss that fills "
    "the spectrogram, and denoised, with most of the hiss gone and the loud parts kept.",
)


# %% [markdown]
# **The spectrogram.** Cut the wave into $T$ overlapping windows of $N = 512$ samples, one every 256,
# weigh each by Hann's bell $g_n$, and take its Fourier transform; its squared length is the power at
# frequency $f$. Then gather the frequencies into $B = 40$ bands as the ear does: equally spaced on
# the mel scale $m$, which is straight up to 1000 Hz and logarithmic above. With $f_0, \dots, f_{B+1}$
# equally spaced in mel from 0 to half the sampling rate, band $b = 1, \dots, B$ is a triangle over
# $f_{b-1}, f_b, f_{b+1}$ of area 1; and the ear hears logarithms:
#
# $$
# \begin{aligned}
# P_{tf} &= \Bigl\lvert \sum_{n=0}^{N-1} g_n\, y_{256 t + n}\, e^{-2\pi \mathrm{i} f n / N} \Bigr\rvert^2 \\
# m(f) &= \begin{cases} 3 f / 200 & f < 1000 \\
#   15 + 27 \log_{6.4} \frac{f}{1000} & f \ge 1000 \end{cases} \\
# \Lambda_{fb} &= \max\Bigl(0, \min\Bigl(\tfrac{f - f_{b-1}}{f_b - f_{b-1}},
#   \tfrac{f_{b+1} - f}{f_{b+1} - f_b}\Bigr)\Bigr) \\
# W_{fb} &= 2 \Lambda_{fb} \,/\, (f_{b+1} - f_{b-1}) \\
# M &= 10 \log_{10} (P\, W)
# \end{aligned}
# $$ (data-mel)
#
# Here $y$ is the wave, $P$ is $T \times (N/2 + 1)$, the bands $W$ are $(N/2 + 1) \times B$, and the
# spectrogram $M$ is $T \times B$, in dB, where what is more than 80 dB below the loudest is cut off.
#
# **The cepstrum.** Neighbouring bands rise and fall together, so most of the 40 numbers say the same
# thing. The cosine transform turns them into $F$ coefficients that hardly do
# {cite}`davis1980`, the {term}`MFCC`:
#
# $$
# A_{tc} = \sqrt{\frac{2 - \mathbf 1[c = 0]}{B}}\ \sum_{b=1}^{B} M_{tb}
#   \cos\frac{\pi c\,(b - \frac12)}{B}
# $$ (data-mfcc)
#
# for $c = 0, \dots, F - 1$: a sound of $T$ frames is an array $A$, $T \times F$.


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
    f"largest difference of the log-mel: {differences[0]:.1e} dB, MFCC: {differences[1]:.1e}"
)
assert max(differences) < 0.01

# %% tags=["hide-input"]
waves = [
    audio.load_audio(heard.path(r, "audio"))
    for r in np.flatnonzero(heard.items["audio"])[:40]
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
    "Two matrices of correlations over the frames of forty sounds: between the 40 log-mel bands, "
    "nearly all strongly positive, and between the 20 MFCCs, pale off the diagonal.",
)

# %% [markdown]
# And when does denoising pay? It learns the noise from the quietest tenth of the recording and
# subtracts its spectrum from every frame {cite}`boll1979`. On 40 sounds, hiss added at several strengths:

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
    "Signal-to-noise ratio after denoising against before: above the diagonal for noisy sounds, "
    "below it for clean ones.",
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
    if any(each is little for each in (world, seen, heard))
    else "",
    snr_worse=int(worse[0]) if len(worse) else "more than 30",
    trim_alone=100 * (1 - seconds[:, 1].sum() / seconds[:, 0].sum()),
    trim_after=100 * (1 - seconds[:, 2].sum() / seconds[:, 0].sum()),
    correlation_mel=between["log-mel"],
    correlation_mfcc=between["MFCC"],
    median_seconds=np.median(seconds[:, 0]) / audio.SAMPLE_RATE,
)

# %% [markdown]
# - **Denoising.** The sound that you heard went from {glue:text}`data-snr-before:.1f` to
#   {glue:text}`data-snr-after:.1f` dB. Over the 40 sounds, at 5 dB, the gain is
#   {glue:text}`data-snr-gain:.1f` dB on average; from {glue:text}`data-snr-worse` dB on, denoising
#   does more harm than the hiss. So it too is off unless asked.
# - **Trimming** cuts what is 30 dB below the loudest moment. Alone it removes
#   {glue:text}`data-trim-alone:.1f` % of these sounds; after denoising, {glue:text}`data-trim-after:.1f` %.
#   A background that hisses is not silence until it is cleaned: the *order* of the steps matters.
# - **MFCC.** Over the frames of these sounds, the mean size of a correlation falls from
#   {glue:text}`data-correlation-mel:.2f` between bands to {glue:text}`data-correlation-mfcc:.2f`
#   between coefficients, of which there are half as many.
#
# A recurrent network also likes to know how the coefficients *change*; `with_deltas` adds slope and
# curvature, three times as many numbers a frame. The whole catalogue, on all cores, each file encoded
# once and kept by its content:

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
# ### Fewer numbers: one idea for all four
#
# A picture of $32 \times 32 \times 3$ is 3072 numbers, but pictures of products are not 3072
# independent things. {term}`PCA` finds the directions along which they differ most. Stack the $n$ items
# as rows of $X$ ($n \times D$), take off the mean row $\bar x$, and decompose into singular values:
#
# $$
# \begin{aligned}
# X - \bar x &= P\, \Sigma\, Q^\top \\
# Z &= (X - \bar x)\, Q_{:,1:k} \\
# \text{share kept} &= \textstyle\sum_{j \le k} \Sigma_{jj}^2 \,/\, \sum_j \Sigma_{jj}^2
# \end{aligned}
# $$ (data-pca)
#
# with $P$ ($n \times r$) and $Q$ ($D \times r$) of orthogonal columns, $\Sigma$ diagonal, largest
# first, and $Z$ ($n \times k$) the new, short rows. Where nearly all is zero, as in a
# bag of words or in $R$, taking off the mean would fill the zeros in; there the decomposition is done without
# it, and is called latent semantic analysis {cite}`deerwester1990` for words, and PureSVD
# {cite}`cremonesi2010` for behaviour.

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
# The sounds' summaries are few enough for the full decomposition. From the equation:

# %%
name = "audio" if "audio" in raw else "behaviour"
X = raw[name][0][raw[name][1]]
X = X.toarray() if hasattr(X, "toarray") else X
centre = X.mean(axis=0) if name == "audio" else 0
P, S, Qt = np.linalg.svd((X - centre).astype(np.float64), full_matrices=False)
sign = np.sign(
    Qt[np.arange(len(Qt)), np.abs(Qt).argmax(axis=1)]
)  # largest weight positive
Z = (X - centre) @ (Qt * sign[:, None])[:5].T

difference = (
    np.abs(Z - short[name][raw[name][1]][:, :5]).max() / np.abs(Z).max()
)
print(
    f"largest difference from the library's first five: {difference:.1e} of the largest number"
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
    "Variance kept against numbers kept, one rising curve each for behaviour, text, image and "
    "audio; pictures and sounds rise quickly, words and behaviour slowly.",
)

# %% [markdown]
# For pictures the directions can be looked at. Each is itself a picture; every product is the mean
# plus a little of each.

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
        "Twelve small pictures: the mean of all products, five principal directions as ghostly "
        "shapes, and one product rebuilt from 2, 5, 10, 20 and 50 numbers beside the original.",
    )


# %% [markdown]
# ## What each modality knows
#
# A modality is worth adding if it knows what the others do not. That can be measured. From the short
# rows of one modality we predict each attribute with the same plain model, a support vector machine,
# on items that it was not fitted to (five folds). To put kinds, voices and liking on one scale, we
# report the {term}`skill`: the share of the error of a blind guess that the modality takes away,
#
# $$
# \text{skill} = 1 - \frac{\text{error of the model}}{\text{error of the best constant guess}},
# $$ (data-skill)
#
# 0 for a modality that knows nothing, 1 for one that knows all. For kinds and voices the error is the
# share of wrong answers, for liking the mean squared error (so that the skill is $R^2$). Less than 0
# is worse than blind: a flexible model that was fitted to nothing. As a check on the measurement
# itself, the last row predicts *shuffled* attributes from each modality, and shows the best that any
# of them "achieved" where there is nothing to know.


# %%
def skill(features, target, fold_seed):
    """Cross-validated skill of a plain model: a number, 0 is blind, 1 is perfect."""
    number = pd.api.types.is_numeric_dtype(target)
    folds = (KFold if number else StratifiedKFold)(
        5, shuffle=True, random_state=fold_seed
    )
    model = make_pipeline(StandardScaler(), SVR() if number else SVC(C=3))
    blind = DummyRegressor() if number else DummyClassifier()

    def error(predictor):
        guess = cross_val_predict(predictor, features, target, cv=folds)
        return (
            np.square(guess - target).mean()
            if number
            else (guess != target).mean()
        )

    return 1 - error(model) / error(blind)


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
    shuffled = []
    for name in short:
        there = raw[name][1]
        target = data.items[column].to_numpy()[there]
        features = short[name][there]
        found = [
            skill(features, target, seed + again) for again in range(repeats)
        ]
        scores.loc[name, label], spreads.loc[name, label] = (
            np.mean(found),
            np.std(found),
        )
        shuffled.append(
            skill(
                features, np.random.default_rng(seed).permutation(target), seed
            )
        )
    scores.loc["shuffled (best)", label] = max(shuffled)

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
        cbar_kws={"label": "skill (0 blind, 1 perfect)"},
        ax=axis,
    )
    axis.set(xlabel="what is asked", ylabel="what is known")
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
lines = []
for label in scores:
    ranking = content[label].sort_values(ascending=False)
    others = [
        f"{name} {value:.2f}"
        for name, value in ranking.iloc[1:].items()
        if value > max(floor[label], 0) + 0.03
    ]
    also = (
        f"; also known to: {', '.join(others)}"
        if others
        else "; the others know nothing of it"
    )
    lines.append(
        f"- **{label}**: {ranking.index[0]} knows most, {ranking.iloc[0]:.2f}{also}"
    )
Markdown(
    "\n".join(lines)
    or "This data set names no attributes, so there is nothing to predict."
)

# %% [markdown]
# Read the table by columns. Where one modality stands alone, it carries what no other can replace,
# and a recommender without it is blind to that side of taste. Where two share a column, they overlap:
# in `shop` we put the overlap in (some early reviews name the kind, some the voice: the knob
# `overlap`); in `garments` it is nature's, since people write "this dress" about a dress. Run the
# chapter with `-p dataset garments` and you will see the reviews tell the kind *better* than these
# fifty numbers of a small photograph do. That the modalities complement one another, the article's
# premise, was built into these data, not found in them; what it is worth to a recommender is for
# chapters 6 to 9 to measure.
#
# Now the first row. **Behaviour**, who took the item, knows all three at once without reading, looking
# or listening, because taste sorts shoppers and shoppers sort items. That is why
# {term}`collaborative filtering` is so hard to beat on items with a history. An item without one has a
# row of zeros, and there content alone can speak.
#
# ## When a file is broken
#
# In ten thousand files some are broken. One bad file must cost one item one modality, and never the
# run. Here are seven that cannot be used, for seven reasons, beside two good ones:

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
told = {Path(fault.file).name: fault for fault in reported}
names = [name or "(none)" for name in files["image"] + files["audio"]]
messages = [told[name].message if name in told else "" for name in names]
plots.table(
    pd.DataFrame(
        {
            "file": names,
            "present": np.where([*fine_pictures, *fine_sounds], "yes", "no"),
            "what is wrong": [
                message.replace(str(folder), "…") for message in messages
            ],
            "what to do": [
                told[name].remedy if name in told else "" for name in names
            ],
        }
    )
)

# %% [markdown]
# The same folder, as a data set: `validate` finds the faults before anything is encoded, with the row
# of the table that names the file. The last item has no sound *on purpose*, and that is no fault.

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
# | [A2](#claim-a2) | preprocess behaviour, text, images and audio: denoise, reduce dimension | every step shown before and after, for all four. Denoising pays from {glue:text}`data-psnr-pays` % spoilt pixels on, and below {glue:text}`data-snr-worse` dB of signal-to-noise ratio, and costs otherwise. What it is worth to *recommendations* is not measured yet |
# | [S2](#claim-s2) | a public e-commerce data set with reviews, pictures and audio introductions; none is named | we found none with all three and buyers. `shop` is made, `garments` joins three public collections of real media; the shoppers of both are simulated |
# | [S1](#claim-s1) | 8 GB of memory and a 2 GHz processor suffice | this chapter: {glue:text}`data-seconds:.0f` seconds on {glue:text}`data-cores:.0f` cores, at most {glue:text}`data-peak:.1f` GB of memory |
#
# Of the files of {glue:text}`data-name`, {glue:text}`data-n-bad-media:d` could not be used; of the
# seven that were meant to fail, {glue:text}`data-n-broken:d` were reported.
#
# ## Exercises
#
# **1.** A shopper has utilities 2, 1 and 0 for the three items on a shelf. With what probability is
# each taken? What becomes of these numbers if the knob `noise` is doubled?
#
# ```{dropdown} Solution
# $e^2 + e^1 + e^0 = 7.39 + 2.72 + 1 = 11.11$, so 0.67, 0.24 and 0.09. Doubling the noise halves the
# utilities: $e^1 + e^{0.5} + 1 = 5.37$, so 0.51, 0.31 and 0.19. Only *differences* of utilities count:
# adding a constant to all three changes nothing.
# ```
#
# **2.** A 2-core is taken of this log: ann took tea and cup, bob took tea and cup, cat took tea and
# hat. What is left? In which order were things dropped, and could another order leave something else?
#
# ```{dropdown} Solution
# Hat was taken once, so cat–hat goes; then cat has one interaction, so cat–tea goes. Left are ann and
# bob with tea and cup, four interactions, all with two. No other order leaves more or less: a row that
# must go at some time must go whatever else went before it, since dropping never raises a count.
# ```
#
# **3.** Denoise a picture that shows a single white line, one pixel wide, on black. What does the
# median filter leave of it? What follows for pictures of text?
#
# ```{dropdown} Solution
# Nothing: each $3 \times 3$ window on the line holds three white and six black pixels, and their
# median is black. Fine lines, such as letters in a small picture, are noise to a median filter.
# ```
#
# **4.** Why does the first MFCC, $c = 0$, tell the loudness of a frame? By how much does it change
# when the sound is made twice as loud?
#
# ```{dropdown} Solution
# For $c = 0$ every cosine is 1, so $A_{t0} = \sqrt{1/B} \sum_b M_{tb} = \sqrt{B}$ times the mean
# level in dB. Twice the amplitude is four times the power, $10 \log_{10} 4 = 6.02$ dB more in every
# band, and so $6.02 \sqrt{40} = 38.1$ more. All other coefficients stay as they are, because their
# cosines sum to zero over the bands.
# ```
#
# **5.** (On your machine.) Predict the *colour* of the shop's products, `items["colour"]`, from each
# modality with `skill`. Which one knows it? Do the shoppers, that is, does behaviour?
#
# ```{dropdown} Solution
# Replace the target by `data.items["colour"].to_numpy()[there]`. The picture knows the colour well;
# text and sound know nothing, and neither does behaviour, because colour does not occur in
# equation {eq}`data-taste`: what shoppers do not care for leaves no trace in what they do.
# ```
