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
# - turn a text into a product of probabilities;
# - estimate them by counting, with add-$k$ and Kneser–Ney smoothing;
# - judge a language model by cross-entropy and perplexity, on new texts;
# - build a neural language model, and get Keras's probabilities in NumPy;
# - let a model write, and find words that are used alike;
# - hand what a language model has learnt to a text encoder, and measure what it is worth.
#
# {doc}`01b_learning` explains loss, cross-entropy, softmax, Adam and validation.
#
# ## The result first
#
# Without any context, a word of these texts is as uncertain as a choice among
# {glue:text}`language-unigram:.0f` equally likely words. A count of short contexts lowers that to
# {glue:text}`language-kn:.1f`. A neural network reaches {glue:text}`language-neural:.1f` on this page.
#
# ## The idea in words
#
# A reviewer writes "the bell is surprisingly …". You expect some words more than others. A
# {term}`language model` makes this exact: at each place of a text it gives each word a probability. A good
# model is seldom surprised by new texts. A recommender may gain from it, because a model that can guess the
# next word has learnt something about what reviewers say. The end of the chapter measures how much.

# %% tags=["parameters"]
profile = "quick"  # "full": all texts, more labels, longer, more seeds
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import time
from collections import Counter
from functools import partial

from mmtutorial import datasets, plots  # first: it quiets TensorFlow

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf
from IPython.display import display
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score

from mmtutorial.encoders.text import (
    WORD_VECTORS,
    log_probabilities,
    marked,
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
from mmtutorial.preprocessing.corpus import FEWEST, Corpus, texts_of
from mmtutorial.preprocessing.text import (
    END,
    PADDING,
    START,
    UNKNOWN,
    Vocabulary,
    clean,
    tokenise,
)
from mmtutorial.evaluation.estimates import Estimate
from mmtutorial.reproduce import notebooks

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
FULL = profile == "full"
plots.use_style()
tf.get_logger().setLevel("ERROR")
keras.utils.set_random_seed(seed)
tf.config.experimental.enable_op_determinism()
COLOURS = sns.color_palette("colorblind")
started = time.perf_counter()
quote = partial(notebooks.quote, "language")

# %% [markdown]
# ## The texts
#
# A language model learns from texts alone. We take the reviews of the data set; of `garments` all reviews of the
# public collection {cite}`brooks2018`; where there are no reviews, the texts of the items. A repeated text is kept
# once, because a text in training *and* test would be recognised, not predicted. Chance splits them: four fifths
# for training, a tenth for validation, a tenth for the test. The {term}`vocabulary` comes from the training texts. It
# has 2,000 entries at most, four marks included; other words become `<unknown>`. The profile `quick` reads a part of the
# training texts, the same for all models; `full` reads them all.

# %%
data = datasets.load(
    dataset, **({"seed": seed} if dataset in datasets.MAKERS else {})
)
table = texts_of(data)
stand_in = len(table) < FEWEST
if stand_in:  # too few texts to learn from
    data = datasets.load("shop", seed=seed)
    table = texts_of(data)
WORDS, MOST = 2000, None if FULL else 3000  # words known; training texts
corpus = Corpus(table, seed, WORDS)
vocabulary = corpus.vocabulary
train, validation, test = map(corpus.part, ("train", "validation", "test"))
train = train[:MOST]
V = len(vocabulary)
print(" ".join(corpus.words[0][:12]), "…")
print(corpus.numbers[0][:12], "…")

# %% tags=["hide-input"]
sizes = pd.DataFrame(
    {
        name: {
            "texts": len(texts),
            "tokens": sum(map(len, texts)),
            "unknown (%)": 100 * np.mean(np.concatenate(texts) == UNKNOWN),
        }
        for name, texts in (
            ("train", train),
            ("validation", validation),
            ("test", test),
        )
    }
).T
plots.table(sizes.astype({"texts": int, "tokens": int}), index=True, digits=2)

# %% tags=["remove-cell"]
quote(
    name=data.name,
    stand_in=(
        f"The data set has fewer than {FEWEST} texts, so our shop stands in. "
        if stand_in
        else ""
    ),
    vocab_size=V,
    n_test=sizes.loc["test", "tokens"] + len(test),
)

# %% [markdown]
# {glue:text}`language-stand-in`The table counts the texts of {glue:text}`language-name`. The vocabulary $V$ has
# {glue:text}`language-vocab-size:,d` entries: the words, and marks for padding, unknown words, start ⟨s⟩ and end ⟨/s⟩.
#
# ## The chain rule
#
# Let $w_1, \dots, w_T$ be a text whose last token $w_T$ is the end mark, and $w_{<t}$ the tokens before $w_t$. By
# definition of conditional probability, $P(w_1, w_2) = P(w_1)\,p(w_2 \mid w_1)$. Applied $T - 1$ times, without any
# assumption:
#
# ```{math}
# :label: eq-chain
# P(w_1, \dots, w_T) = \prod_{t=1}^{T} p(w_t \mid w_{<t}), \qquad
# \sum_{w \in V} p(w \mid w_{<t}) = 1 .
# ```
#
# This is the article's first equation, {eq}`eq-e1` (row [E1](#claim-e1)). The end mark makes the probabilities of texts
# of *all* lengths sum to one. Products of many probabilities underflow, so one adds logarithms:
#
# $$
# \ln P(w_1, \dots, w_T) = \sum_{t=1}^{T} \ln p(w_t \mid w_{<t}) .
# $$ (language-log-chain)
#
# All modelling lies in $p$.
#
# ## Counting
#
# An {term}`n-gram` model looks at the last $n-1$ tokens only, the context $g$. Let $c(g\,w)$ be how often $w$ followed
# $g$ in the training texts, and $c(g) = \sum_w c(g\,w) > 0$. The *maximum-likelihood* estimate is
#
# $$
# p(w \mid g) = \frac{c(g\,w)}{c(g)} .
# $$ (language-mle)
#
# After a context that never occurred, the quotient is 0/0. `MaximumLikelihood` then uses the longest part of the context
# that did occur.
#
# `windows` returns each token with its context. Context and token together make one whole number, and `np.unique`
# counts those:

# %%
words, contexts = windows(train, order=2)  # (n,), (n, 1)
keys, counts = np.unique(contexts[:, 0] * V + words, return_counts=True)
c = np.zeros((V, V))  # small enough to look at, for pairs
c.flat[keys] = counts
most = np.argsort(-counts)[:5]
for key, count in zip(keys[most], counts[most], strict=True):
    print(f"{' '.join(vocabulary.decode(divmod(key, V))):24}{count:>7,}")

known = np.flatnonzero(c.sum(axis=1))  # contexts that occur
share = c[known] / c[known].sum(axis=1, keepdims=True)  # c(g w) / c(g)
bigrams = MaximumLikelihood(order=2, vocab_size=V).fit(train)
difference = np.abs(bigrams.distribution(known[:, None]) - share).max()
print(f"largest difference from the library: {difference:.1e}")
assert difference < 1e-15

# %% [markdown]
# The library keeps sorted keys instead of a table, so longer contexts fit into memory too. How often does a new text
# hold something that never occurred?

# %%
impossible = {}
for order in range(1, 6):
    counted = MaximumLikelihood(order, V).fit(train)
    log_p = counted.log_probabilities(test)
    lengths = np.array([len(text) + 1 for text in test])
    of_text = chain_rule(log_p, lengths)  # ln P of each text
    impossible[order] = {
        "tokens with p = 0 (%)": 100 * np.isneginf(log_p).mean(),
        "texts with p = 0 (%)": 100 * np.isneginf(of_text).mean(),
        "perplexity": perplexity(log_p),
    }
plots.table(
    pd.DataFrame(impossible).T.rename_axis("order n"), index=True, digits=3
)

# %% tags=["remove-cell"]
quote(
    impossible_pairs=impossible[2]["tokens with p = 0 (%)"],
    impossible_five=impossible[5]["texts with p = 0 (%)"],
)

# %% [markdown]
# With $n = 2$, {glue:text}`language-impossible-pairs:.2f` % of the test tokens get the probability 0. With $n = 5$,
# {glue:text}`language-impossible-five:.0f` % of the texts do, because one such token is enough.
#
# ## Smoothing
#
# **Add-$k$** pretends that each word followed each context $k$ times more:
#
# $$
# p(w \mid g) = \frac{c(g\,w) + k}{c(g) + k\,\lvert V'\rvert} .
# $$ (language-add-k)
#
# $V'$ is $V$ without padding and start, which are never predicted. All unseen words get the same probability.
#
# **Interpolated Kneser–Ney** {cite}`kneser1995,chen1999` takes a discount $0 < D < 1$ from each count and gives it to the
# shorter context $g'$ (the first token of $g$ dropped). For $c(g) > 0$,
#
# ```{math}
# :label: eq-kneser-ney
# p(w \mid g) = \frac{\max\{c(g\,w) - D,\, 0\}}{c(g)}
#   + \frac{D\, N(g\,\bullet)}{c(g)}\; p(w \mid g'),
# ```
#
# and $p(w \mid g) = p(w \mid g')$ for $c(g) = 0$. $N(g\,\bullet)$ counts the *different* words seen after $g$. At each
# shorter level, counts are replaced by the number of different words seen *before*. For single words
# $p(w) = N(\bullet\, w) / N(\bullet\,\bullet)$, where $N(\bullet\,w)$ counts the different words seen before $w$, and
# $N(\bullet\,\bullet)$ all different pairs. "Francisco" may be frequent, but it follows one word only.
#
# *Why it sums to one.* Each seen pair has $c(g\,w) \ge 1 > D$. So the first terms sum to $1 - D\,N(g\,\bullet)/c(g)$, and
# the second term adds just what is missing.
#
# As printed, a word that no training text holds gets 0. Chen and Goodman let the shortest level share with the uniform
# distribution:
#
# $$
# p(w) = \frac{\max\{N(\bullet\,w) - D,\, 0\}}{N(\bullet\,\bullet)}
#   + \frac{D\,\lvert\{w' : N(\bullet\,w') > 0\}\rvert}{N(\bullet\,\bullet)} \cdot
#     \frac{1}{\lvert V'\rvert} .
# $$ (language-uniform)
#
# We use this form, `KneserNey(uniform=True)`. Both methods for pairs, in NumPy:


# %%
def add_k(c, k):  # (V, V) counts -> (V, V) probabilities
    may_follow = np.ones(V)
    may_follow[[PADDING, START]] = 0
    smoothed = c + k * may_follow
    return smoothed / smoothed.sum(axis=1, keepdims=True)


def kneser_ney(c, D):
    may_follow = np.ones(V)
    may_follow[[PADDING, START]] = 0
    before = (c > 0).sum(axis=0)  # N(• w)
    pairs, kinds = before.sum(), (before > 0).sum()
    shorter = np.maximum(before - D, 0) / pairs
    shorter += D * kinds / pairs * may_follow / may_follow.sum()
    total = c.sum(axis=1, keepdims=True)
    after = (c > 0).sum(axis=1, keepdims=True)  # N(g •)
    with np.errstate(invalid="ignore"):
        longer = (np.maximum(c - D, 0) + D * after * shorter) / total
    return np.where(total > 0, longer, shorter)


everything = np.arange(V)[:, None]
for name, ours, library in (
    ("add-k", add_k(c, 0.1), AddK(2, V, k=0.1)),
    ("Kneser–Ney", kneser_ney(c, 0.75), KneserNey(2, V, 0.75)),
):
    theirs = library.fit(train).distribution(everything)
    difference = np.abs(ours - theirs).max()
    print(f"{name}: largest difference from the library {difference:.1e}")
    assert difference < 1e-12

# %% [markdown]
# All conditionals sum to one, in contexts of the test and in contexts drawn by chance, most of which never occurred:

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
        checks,
        columns=[
            "model",
            "contexts",
            "how many",
            "difference of the sum from 1",
        ],
    )
)

# %% tags=["remove-cell"]
quote(sum_difference=max(offs))

# %% [markdown]
# The table shows rounding errors only. The same context in three models:

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
    xlabel=f"next word after “{vocabulary.words[context]}” "
    "(grey: never seen there)",
)
axis.legend(fontsize=9)
plots.show(
    figure,
    "Thirteen words after the most frequent word of the corpus, eight "
    "frequent followers, two that followed rarely, three that never did. "
    "Maximum likelihood gives the last three nothing; add-k and Kneser–Ney "
    "give each a small probability, and Kneser–Ney a different one to each.",
)

# %% [markdown]
# The grey words never followed this context. Maximum likelihood gives them 0, add-$k$ gives all the same, and
# Kneser–Ney gives more to words that follow many others.
#
# ## Cross-entropy and perplexity
#
# A language model is judged by the {term}`cross-entropy` on $N$ new tokens, end marks included, and by its exponential, the
# {term}`perplexity`:
#
# ```{math}
# :label: eq-perplexity
# \mathcal H = -\frac1N \sum_{t=1}^{N} \ln p(w_t \mid w_{<t}) \text{ nats}, \qquad
# \text{perplexity} = e^{\mathcal H} = 2^{\mathcal H / \ln 2} .
# ```
#
# A perplexity of 64 is $\log_2 64 = 6$ bits a token: as uncertain as a choice among 64 equally likely words.
# Perplexities can be compared **on the same tokens with the same vocabulary** only (exercise 5). One test text, word by
# word; the height is the *surprise* $-\log_2 p$:

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
    "Bar chart of one test text: the surprise of each word in bits under a "
    "Kneser–Ney trigram model, and their mean.",
)

# %% tags=["remove-cell"]
quote(
    example_bits=surprise.mean(),
    example_nats=nats,
    example_perplexity=np.exp(nats),
)

# %% [markdown]
# The mean is {glue:text}`language-example-bits:.2f` bits or {glue:text}`language-example-nats:.2f` nats a token, a
# perplexity of {glue:text}`language-example-perplexity:.1f`.
#
# ### Order and smoothing
#
# $k$, $D$ and the order $n$ are chosen on validation texts. The test texts are scored once, by the chosen models:

# %%
KS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
DS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
ORDERS = range(1, 6)
chosen_on = validation[: 500 if FULL else 200]
trials, best, spent = [], {}, {}
for label, maker, setting, values in (
    ("add-k", AddK, "k", KS),
    ("Kneser–Ney", KneserNey, "discount", DS),
):
    for order in ORDERS:
        before = time.perf_counter()
        model = maker(order, V).fit(train)
        spent[label, order] = time.perf_counter() - before
        for value in values:
            setattr(model, setting, value)
            score = perplexity(model.log_probabilities(chosen_on))
            trials.append((label, order, value, score))
            if label not in best or score < best[label][0]:
                best[label] = score, order, value
trials = pd.DataFrame(
    trials, columns=["smoothing", "order", "setting", "perplexity"]
)
counted = {  # the chosen model of each smoothing
    "add-k": AddK(best["add-k"][1], V, k=best["add-k"][2]),
    "Kneser–Ney": KneserNey(best["Kneser–Ney"][1], V, best["Kneser–Ney"][2]),
}
counted_log_p = {
    label: model.fit(train).log_probabilities(test)
    for label, model in counted.items()
}

# %% tags=["hide-input"]
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
axes[1].legend(fontsize=8, loc="center right")
plots.show(
    figure,
    "Validation perplexity by k for add-k, left, and by the discount for "
    "Kneser–Ney, right, one line for each order from one to five, on a "
    "logarithmic scale.",
)

# %% tags=["remove-cell"]
of_order = trials[trials["smoothing"] == "Kneser–Ney"].groupby("order")
spread = of_order["perplexity"].agg(lambda each: each.max() / each.min() - 1)
best_D = trials.loc[of_order["perplexity"].idxmin()].set_index("order")
quote(
    best_k=best["add-k"][2],
    spread_short=100 * spread[2],
    spread_long=100 * spread[5],
    best_discount=best_D.loc[5, "setting"],
)

# %% [markdown]
# Longer contexts help up to a point. Add-$k$ is best with $k$ = {glue:text}`language-best-k:g`. With Kneser–Ney, the worst
# $D$ has a perplexity {glue:text}`language-spread-short:.0f` % above the best one at $n = 2$, and
# {glue:text}`language-spread-long:.0f` % above it at $n = 5$, where $D$ = {glue:text}`language-best-discount:g` is best.
#
# ## A neural language model
#
# A network {cite}`bengio2003` computes $p$ instead of counting it (row [T1](#claim-t1)). Each word has a vector. A
# recurrent network, the LSTM {cite}`hochreiter1997`, reads one vector after the other and keeps a *state*, a summary of all
# words so far; {doc}`04_rnn` derives it. Let $h_t$ be its state after $t$ inputs: the start mark and $w_1, \dots, w_{t-1}$.
#
# ```{math}
# :label: eq-neural-lm
# p(\,\cdot \mid w_{<t}) = \operatorname{softmax}(h_t\, U + b) .
# ```
#
# | symbol | what it is | shape |
# |---|---|---|
# | $E$ | word vectors, row $E_w$ for word $w$ | $\lvert V\rvert \times d_e$ |
# | $h_t$ | state of the LSTM | $L$ |
# | $U$, $b$ | output weights and bias | $L \times \lvert V\rvert$, $\lvert V\rvert$ |
#
# Nothing is cut off after $n - 1$ words. Similar words may get similar vectors, so that what is learnt of one helps the
# other. Training minimises {eq}`eq-perplexity`. One text gives $T$ examples:

# %%
inputs, targets = next_word_examples([corpus.numbers[0][:6]], length=8)
for one, other in zip(inputs[0], targets[0], strict=True):
    print(f"{vocabulary.words[one]:>14}  →  {vocabulary.words[other]}")

# %% [markdown]
# In Keras these are three layers. The same from the equations, with the network's (still random) weights:


# %%
def language_network(vocab_size, embedding_size, units):
    words = keras.Input((None,), dtype="int32")
    vectors = keras.layers.Embedding(vocab_size, embedding_size)(words)
    states = keras.layers.LSTM(units, return_sequences=True)(vectors)
    logits = keras.layers.Dense(vocab_size)(states)
    return keras.Model(words, logits)


UNITS = 64
keras.utils.set_random_seed(seed)
network = next_word_model(V, embedding_size=UNITS, units=UNITS)  # compiled
on_page = language_network(V, UNITS, UNITS)
on_page.set_weights(network.get_weights())

inputs, targets = next_word_examples(test[:20], length=32)  # (20, 32)
E, kernel, recurrent, bias, U, b = network.get_weights()
h = lstm(E[inputs], kernel, recurrent, bias)  # (20, 32, L)
p = softmax(h @ U + b)  # (20, 32, V): of each next word
assert np.abs(p - softmax(on_page(inputs).numpy())).max() < 1e-5
is_token = targets != PADDING
by_hand = np.take_along_axis(p, targets[..., None], 2)[..., 0][is_token]

by_keras = log_probabilities(network, test[:20], length=32)
difference = np.abs(np.log(by_hand) - by_keras).max()
print(f"largest difference of ln p from Keras: {difference:.1e}")
assert difference < 1e-4
print(f"cross-entropy {cross_entropy(by_keras):.4f}, ln |V| {np.log(V):.4f}")

# %% [markdown]
# An untrained network knows nothing: its cross-entropy is about $\ln \lvert V \rvert$. Now it is trained. The number of
# random starts is {glue:text}`language-n-starts:d`:

# %% tags=["remove-output"]
STARTS = range(seed, seed + (3 if FULL else 1))
EPOCHS = 12 if FULL else 4
BATCH, RATE = (64, 1e-2) if FULL else (32, 2e-2)
LENGTH = 128  # tokens of a text, at most
before = time.perf_counter()
networks, histories = [], []
for number in STARTS:
    keras.utils.set_random_seed(number)
    networks.append(next_word_model(V, UNITS, UNITS, learning_rate=RATE))
    histories.append(
        train_next_word(
            networks[-1],
            train,
            chosen_on,
            length=LENGTH,
            epochs=EPOCHS,
            batch_size=BATCH,
            seed=number,
        )
    )
training_seconds = (time.perf_counter() - before) / len(STARTS)
network, history = networks[0], histories[0]


# %% [markdown]
# ### On the same tokens
#
# All models score the same test tokens with the same vocabulary. The network reads at most {glue:text}`language-length:d`
# tokens of a text, so the rest is left out for all ({glue:text}`language-left-out:.2f` % of the tokens).


# %%
def within(log_p, texts):
    """Keep the first LENGTH tokens of each text."""
    lengths = np.array([len(text) + 1 for text in texts])
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return log_p[np.arange(len(log_p)) - first < LENGTH]


neural = [log_probabilities(each, test, LENGTH) for each in networks]
counted_log_p = {
    label: within(log_p, test) for label, log_p in counted_log_p.items()
}
kneser_ney_log_p = counted_log_p["Kneser–Ney"]
no_context = MaximumLikelihood(1, V).fit(train).log_probabilities(test)
compared = {
    "no context": within(no_context, test),
    **{
        f"{label}, n = {best[label][1]}": log_p
        for label, log_p in counted_log_p.items()
    },
    **{
        f"LSTM, start {number}": log_p
        for number, log_p in enumerate(neural, 1)
    },
    "half Kneser–Ney, half LSTM": np.log(
        0.5 * np.exp(kneser_ney_log_p) + 0.5 * np.exp(neural[0])
    ),
}
assert len({len(log_p) for log_p in compared.values()}) == 1
plots.table(
    pd.DataFrame(
        {
            name: {
                "nats a token": cross_entropy(log_p),
                "perplexity": perplexity(log_p),
            }
            for name, log_p in compared.items()
        }
    ).T,
    index=True,
    digits=4,
)

# %% tags=["remove-cell"]
lengths = np.array([min(len(text) + 1, LENGTH) for text in test])
of_texts = chain_rule(kneser_ney_log_p, lengths) - np.mean(
    [chain_rule(each, lengths) for each in neural], axis=0
)  # one number a text, the mean over starts
generator = np.random.default_rng(seed)
resampled = generator.integers(0, len(test), (1000, len(test)))
gaps = of_texts[resampled].sum(axis=1) / lengths[resampled].sum(axis=1)
low, high = np.percentile(gaps, [2.5, 97.5])
each_start = [
    cross_entropy(each) - cross_entropy(kneser_ney_log_p) for each in neural
]
verdict = (
    "is significantly worse than Kneser–Ney"
    if low > 0 and min(each_start) > 0
    else "is significantly better than Kneser–Ney"
    if high < 0 and max(each_start) < 0
    else "is not significantly different from Kneser–Ney"
)
neural_nats = np.mean([cross_entropy(each) for each in neural])
quote(
    length=LENGTH,
    left_out=100 * (1 - len(neural[0]) / len(no_context)),
    epochs=EPOCHS,
    n_starts=len(STARTS),
    kn=perplexity(kneser_ney_log_p),
    neural=np.exp(neural_nats),
    half=perplexity(compared["half Kneser–Ney, half LSTM"]),
    unigram=perplexity(compared["no context"]),
    lowest=min(map(perplexity, compared.values())),
    verdict=verdict,
    gap=f"{np.mean(each_start):+.3f} nats a token, 95 % interval {low:+.3f} to "
    f"{high:+.3f}"
    + (
        f"; by start {min(each_start):+.3f} to {max(each_start):+.3f}"
        if len(each_start) > 1
        else ""
    ),
    last_change=history["val_loss"][-1] - history["val_loss"][-2],
    training_seconds=training_seconds,
    counting_seconds=spent["Kneser–Ney", best["Kneser–Ney"][1]],
)
counting = spent["Kneser–Ney", best["Kneser–Ney"][1]]
mixed = perplexity(compared["half Kneser–Ney, half LSTM"])
quote(
    counting_time=f"{counting:.1f}" if counting >= 0.1 else "less than 0.1",
    half_verdict="lower than that of either, so each knows something that the other "
    "does not"
    if mixed < min(perplexity(kneser_ney_log_p), perplexity(neural[0]))
    else "not lower than that of the better one, so in equal parts the other one adds "
    "nothing",
)

# %% [markdown]
# The table scores {glue:text}`language-n-test:,.0f` test tokens, end marks included. The LSTM, after {glue:text}`language-epochs:d` epochs,
# {glue:text}`language-verdict` ({glue:text}`language-gap`). The interval is a {term}`bootstrap` interval: the test texts are
# drawn again with replacement, 1,000 times, and 95 % of the differences lie in it. The LSTM's validation loss
# changed by {glue:text}`language-last-change:+.3f` nats in the last epoch, so longer training may change it further; the
# profile `full` trains for twelve, on all texts. Counting took {glue:text}`language-counting-time` seconds, training
# {glue:text}`language-training-seconds:.0f`. The mean of both models' probabilities has the perplexity
# {glue:text}`language-half:.1f`: {glue:text}`language-half-verdict`.
#
# The reviews of `shop` come from a grammar. With a small grammar the perplexity is near 2: each next word is then almost
# known, and any model is good enough. The shop's grammar is made large enough to keep it *far from 2*; here the best model
# has {glue:text}`language-lowest:.1f`. The figure groups the tokens by how often they occur in training:

# %% tags=["hide-input"]
occurs = np.bincount(windows(train, 1)[0], minlength=V)
tokens_read = next_word_examples(test, LENGTH)[1]
tokens_read = tokens_read[tokens_read != PADDING]
edges = [0, 10, 100, 1000, 10_000, np.inf]
names = ["below 10", "10–99", "100–999", "1,000–9,999", "10,000 and more"]
surprises = (
    pd.DataFrame(
        {
            "group": pd.cut(
                occurs[tokens_read], edges, right=False, labels=names
            ),
            "Kneser–Ney": -kneser_ney_log_p / np.log(2),
            "LSTM": -neural[0] / np.log(2),
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
        f"{group}\n({size / len(tokens_read):.0%} of tokens)"
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
    "Mean surprise in bits of test tokens, grouped by the word's frequency "
    "in training, for Kneser–Ney and the LSTM side by side.",
)

# %% [markdown]
# Rare words surprise both models most.
#
# ## Letting it write
#
# To draw a text, draw the first word from $p(\cdot \mid ⟨s⟩)$, then the second given the first, until the end mark comes. A
# {term}`temperature` $\tau$ sharpens or flattens each distribution:
#
# $$
# p_\tau(w) = \frac{p(w)^{1/\tau}}{\sum_{w'} p(w')^{1/\tau}} .
# $$ (language-temperature)
#
# For a softmax this divides the logits by $\tau$. Towards $\tau = 0$ the most probable word always wins.

# %%
writers = {
    "Kneser–Ney": counted["Kneser–Ney"].next_word,
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
# At $\tau = 0.5$ frequent phrases come even more often than at 1. At 1.5 improbable words come more often, so sentences lose
# their grammar.
#
# ## Words that are used alike
#
# Words with similar vectors get similar followers. So training gives similar vectors to words that are *used* alike. The
# nearest words by the *cosine* of their rows of $E$, which is the {term}`dot product` of the rows, each divided by its
# length:

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
nearest_words = []
for row, word in zip(alike, asked, strict=True):
    ranked = frequent_enough[np.argsort(-row[frequent_enough])]
    nearest_words.append(
        (
            word,
            f"{occurs[vocabulary.words.index(word)]:,}",
            ", ".join(
                f"{vocabulary.words[each]} {row[each]:.2f}"
                for each in ranked[1:6]
            ),
        )
    )
plots.table(
    pd.DataFrame(
        nearest_words, columns=["word", "times seen", "nearest, with cosine"]
    )
)

# %% [markdown]
# Words that stand in the same places have similar vectors, such as words of judgement, or members of a family. To be used
# alike is not to mean the same: "I love it" and "I hate it" are built alike. The neighbours of a word that was seen few
# times are chance.
#
# ## What a recommender wants from it
#
# A recommender needs one vector for a text. The states of the network *are* vectors. So the embedding and the LSTM of a
# language model can start a text encoder {cite}`dai2015`. This is {term}`pre-training`; training it further on the task is
# {term}`fine-tuning`. Two ways make one vector of many states: the **last** one, as in the article's listing (row
# [A3](#claim-a3)), or their **mean**. The encoder of the listing, in Keras:

# %%
words_in = keras.Input((None,), dtype="int32")
vectors = keras.layers.Embedding(V, UNITS, mask_zero=True)(words_in)
state = keras.layers.LSTM(UNITS)(vectors)  # the last one
on_page = keras.Model(words_in, state)
from_library = text_encoder(V, UNITS, UNITS, pooling="last")
on_page.set_weights(from_library.get_weights())
few = marked(test[:4], 12)
assert np.abs(on_page(few) - from_library(few)).max() < 1e-6

# %% [markdown]
# `transfer` copies the weights of the language model into it. What is that worth? We predict the
# {glue:text}`language-target` from few labelled texts:
#
# - **words counted**: tf-idf ({doc}`01_data`) and ridge regression, a linear model with a penalty, on the bag of words;
# - **pairs counted**: the same on words and pairs of neighbouring words, a stronger rival, which sees "never bad";
# - **from scratch**: the encoder with the last state and one linear unit, trained on the labels;
# - **pre-trained**: the same, started from the language model;
# - **frozen**: ridge regression on the states of the language model, the last one or their mean.
#
# "Not bad, but loud" and "bad, but not loud" have the same words. So a bag of words cannot tell praise from blame where
# order, negation and contrast decide. Many reviews of `shop` are made this way. There a representation that reads the words in order
# should beat the bag of words.
#
# The language model has seen the training texts without labels, and no test text. The score is $R^2$ on test texts: 0 for
# the mean of the labels, 1 for a perfect prediction. Each seed draws other labelled texts and another start; early stopping
# uses validation texts.

# %% tags=["remove-output"]
labels_from, reading, teacher = corpus, vocabulary, network
if corpus.table["judgement"].notna().sum() < FEWEST:  # no judgements
    labels_from = Corpus(
        texts_of(datasets.load("shop", seed=seed)), seed, WORDS
    )
    reading = labels_from.vocabulary
    keras.utils.set_random_seed(seed)
    teacher = next_word_model(len(reading), UNITS, UNITS, learning_rate=1e-2)
    train_next_word(
        teacher,
        labels_from.part("train")[:MOST],
        epochs=3,
        batch_size=32,
        seed=seed,
    )

target = labels_from.table["judgement"].to_numpy()
pool = {
    name: rows[np.isfinite(target[rows])]
    for name, rows in labels_from.rows.items()
}
n_labels, n_seeds = (2000, 5) if FULL else (600, 3)
n_labels = min(n_labels, len(pool["train"]) // 2)
labelled = [
    np.random.default_rng(number).choice(
        pool["train"], n_labels, replace=False
    )
    for number in range(seed, seed + n_seeds)
]
tests = pool["test"][: 1000 if FULL else 500]
stops = pool["validation"][: 500 if FULL else 200]
read_words = min(
    48, int(np.percentile([len(text) for text in labels_from.words], 95)) + 1
)
arrays = marked(labels_from.numbers, read_words)  # int32 (n, read_words)
used_rows = np.unique(np.concatenate([tests, *labelled]))
states = {}
for pooling in ("last", "mean"):
    encoder = text_encoder(len(reading), UNITS, UNITS, pooling)
    states[pooling] = np.zeros((len(arrays), UNITS), dtype=np.float32)
    states[pooling][used_rows] = transfer(teacher, encoder).predict(
        arrays[used_rows], batch_size=256, verbose=0
    )

# %% tags=["hide-input", "remove-output"]
encoder = text_encoder(len(reading), UNITS, UNITS, "last")
predictor = keras.Sequential([encoder, keras.layers.Dense(1)])
predictor.compile(keras.optimizers.Adam(5e-3 if FULL else 1e-2), loss="mse")
predictor.optimizer.build(predictor.trainable_variables)
untrained = predictor.get_state_tree(value_format="numpy_array")


def fresh(number):
    """Return the encoder and its linear unit at a random start.

    The network is compiled once; only its weights are drawn again.
    """
    keras.utils.set_random_seed(number)
    predictor.set_state_tree(untrained)
    predictor.set_weights(keras.models.clone_model(predictor).get_weights())
    return predictor


# %% tags=["remove-output"]
def fine_tune(begin_with, rows, number):
    """Train encoder and one linear unit on some labels; return predictions."""
    model = fresh(number)
    if begin_with is not None:
        transfer(begin_with, model.layers[0])
    mean, spread = target[rows].mean(), target[rows].std()
    model.fit(
        arrays[rows],
        (target[rows] - mean) / spread,
        validation_data=(arrays[stops], (target[stops] - mean) / spread),
        epochs=15 if FULL else 7,
        batch_size=64 if FULL else 128,
        validation_batch_size=512,
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(
                patience=3, restore_best_weights=True
            )
        ],
    )
    predicted = model.predict(arrays[tests], batch_size=512, verbose=0)
    return predicted[:, 0] * spread + mean


def regress(features, held_out, rows):
    """Fit ridge regression; return predictions."""
    fitted = RidgeCV(alphas=np.logspace(-2, 4, 13)).fit(features, target[rows])
    return fitted.predict(held_out)


def count(rows, longest):
    """Regress on tf-idf of runs of one to so many words; return predictions."""

    def runs(row):
        text = labels_from.words[row][: read_words - 1]
        return [
            tuple(text[at : at + n])
            for n in range(1, longest + 1)
            for at in range(len(text) - n + 1)
        ]

    weigher = TfidfVectorizer(analyzer=runs, min_df=2, sublinear_tf=True)
    weights = weigher.fit_transform(rows)
    return regress(weights, weigher.transform(tests), rows)


outcomes = []
for number, rows in enumerate(labelled, start=seed):
    predictions = {
        "words counted": count(rows, 1),
        "pairs counted": count(rows, 2),
        "from scratch": fine_tune(None, rows, number),
        "pre-trained": fine_tune(teacher, rows, number),
    } | {
        f"frozen, {pooling} state": regress(known[rows], known[tests], rows)
        for pooling, known in states.items()
    }
    outcomes += [
        {"encoder": name, "seed": number, "R2": r2_score(target[tests], each)}
        for name, each in predictions.items()
    ]


# %% tags=["hide-input"]
by_seed = pd.DataFrame(outcomes).pivot_table(
    index="seed", columns="encoder", values="R2"
)
by_seed = by_seed[list(predictions)]
summary = pd.DataFrame(
    {name: Estimate.over_seeds(by_seed[name]) for name in by_seed},
    index=Estimate._fields,
).T
display(plots.table(summary, index=True, digits=2))

# %% tags=["remove-cell"]


def against(one, other):
    """Say in words how two encoders differ, over the same seeds."""
    difference = Estimate.over_seeds(by_seed[one] - by_seed[other])
    return "is " + difference.against(f"“{other}”", digits=2)


quote(
    target="number of stars, from 1 to 5"
    + ("" if labels_from is corpus else " of the reviews of a shop"),
    n_labels=n_labels,
    n_seeds=n_seeds,
    n_tests=len(tests),
    versus_scratch=against("pre-trained", "from scratch"),
    versus_counted=against("pre-trained", "words counted"),
    versus_pairs=against("pre-trained", "pairs counted"),
    scratch_versus_counted=against("from scratch", "words counted"),
    scratch_versus_pairs=against("from scratch", "pairs counted"),
)

# %% [markdown]
# The table gives $R^2$ with {glue:text}`language-n-labels:d` labelled texts, on {glue:text}`language-n-tests:,d` test
# texts: the mean over {glue:text}`language-n-seeds:d` seeds, with its 95 % interval.
#
# *Does order help?* The encoder from scratch {glue:text}`language-scratch-versus-counted`; compared with pairs of words it
# {glue:text}`language-scratch-versus-pairs`. The pre-trained one {glue:text}`language-versus-counted`; compared with pairs
# of words it {glue:text}`language-versus-pairs`. In the reviews of
# `shop`, most sentences praise one thing and blame another. One of the two clauses decides: the one after "but", or the
# one without "although". A bag of words holds the words of both clauses without their order. An LSTM reads them in order.
#
# *Does pre-training help?* The pre-trained encoder {glue:text}`language-versus-scratch`. It need not help: a state keeps
# what helps to guess the *next word*, and at the end of a text that hardly depends on whether the text was praise.
# Therefore the frozen states, which are not trained on the labels, may say little about the stars. Fine-tuning
# can change what the state keeps.
#
# Far larger pre-trained networks are the subject of {doc}`02b_attention`, and recommendations that of {doc}`07_recommend`.
#
# ## Chinese
#
# Chinese has no blanks between words. One can let a dictionary cut the words ({doc}`01_data`), or take each *character* as a
# token. Their perplexities cannot be compared, because the tokens differ. The surprise of the whole text, divided by the
# number of its characters, can: *bits a character*. The order is chosen on validation texts.

# %% tags=["remove-output"]
chinese = datasets.load(
    "shop", n_items=120, n_users=300, language="zh", seed=seed
)
reviews = texts_of(chinese)["text"].sample(frac=1, random_state=seed)
by_word = [tokenise(clean(text)) for text in reviews]
by_character = [list("".join(text)) for text in by_word]

# %%
print("words:     ", " ".join(by_word[0]))
print("characters:", " ".join(by_character[0]))

cuts = int(0.8 * len(by_word)), int(0.9 * len(by_word))


def bits_a_character(model, coded, texts):
    characters = sum(len("".join(text)) + 1 for text in texts)  # with ends
    return -model.log_probabilities(coded).sum() / np.log(2) / characters


chinese_rows = []
for label, texts in (("words", by_word), ("characters", by_character)):
    of_training = Vocabulary.of(texts[: cuts[0]])
    coded = [of_training.encode(text) for text in texts]
    models = [
        KneserNey(order, len(of_training), 0.75).fit(coded[: cuts[0]])
        for order in range(1, 7)
    ]
    model = min(
        models,
        key=lambda each: bits_a_character(
            each, coded[slice(*cuts)], by_word[slice(*cuts)]
        ),
    )
    rest = coded[cuts[1] :]
    chinese_rows.append(
        {
            "tokens": label,
            "order": model.order,
            "vocabulary": len(of_training),
            "unknown (%)": 100 * np.mean(windows(rest, 1)[0] == UNKNOWN),
            "perplexity": perplexity(model.log_probabilities(rest)),
            "bits a character": bits_a_character(
                model, rest, by_word[cuts[1] :]
            ),
        }
    )
chinese_rows = pd.DataFrame(chinese_rows)
plots.table(chinese_rows)

# %% tags=["remove-cell"]
leaders = chinese_rows.set_index("tokens")
quote(
    zh_texts=len(by_word),
    zh_words=leaders.loc["words", "bits a character"],
    zh_characters=leaders.loc["characters", "bits a character"],
)

# %% [markdown]
# On these {glue:text}`language-zh-texts:,d` reviews, words need {glue:text}`language-zh-words:.2f` bits a character and
# characters {glue:text}`language-zh-characters:.2f`. Characters need longer contexts, and they know no unknown words. The
# reviews come from a grammar with a few hundred words; this shows the method, not an answer for Chinese.

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
# | [E1](#claim-e1) | $P(w_1,\dots,w_n) = \prod_i p(w_i \mid w_{<i})$ | an identity, given an end mark. All conditionals of the counts sum to one to $10^{-9}$, in new contexts too |
# | [T1](#claim-t1) | a network over embeddings gives the probabilities | built, and equal to its equations. Perplexity {glue:text}`language-neural:.1f`, Kneser–Ney's {glue:text}`language-kn:.1f` on the same tokens: it {glue:text}`language-verdict` |
# | [A3](#claim-a3) | send text through a language model: cut it into words, turn words into vectors | the listing trains an LSTM on the task and predicts no word. The encoder that was pre-trained by next word {glue:text}`language-versus-scratch`, and {glue:text}`language-versus-counted` |
# | [S1](#claim-s1) | 8 GB of memory suffice | this page: {glue:text}`language-seconds:.0f` seconds on {glue:text}`language-cores:.0f` cores, {glue:text}`language-peak:.1f` GB |
#
# ## Exercises
#
# For the first two the training text is three reviews: "nice bell", "nice clear bell", "loud bell", each between ⟨s⟩ and
# ⟨/s⟩.
#
# **1.** Give the maximum-likelihood bigram probabilities. What does the model give to each review, and to "loud clear bell"?
#
# ```{dropdown} Solution
# $p(\text{nice} \mid ⟨s⟩) = 2/3$ and $p(\text{loud} \mid ⟨s⟩) = 1/3$. After "nice", "bell" and "clear" have 1/2 each. After
# "clear" and "loud" always "bell", after "bell" always ⟨/s⟩. Each review gets 1/3. So "loud clear bell" gets 0, and its
# perplexity is infinite.
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
# **2.** With Kneser–Ney as printed in {eq}`eq-kneser-ney` and $D = 1/2$, what are $p(\text{clear} \mid \text{loud})$ and
# $p(\text{bell} \mid \text{loud})$? Do the probabilities after "loud" sum to one?
#
# ```{dropdown} Solution
# There are seven distinct bigrams. Three end in "bell", one each in "nice", "loud", "clear" and ⟨/s⟩. So
# $p(\text{bell}) = 3/7$ and the others have 1/7. After "loud" there is one word, seen once, so the weight of the shorter
# context is 1/2. Hence $p(\text{clear} \mid \text{loud}) = \tfrac12 \cdot \tfrac17 = \tfrac1{14}$ and
# $p(\text{bell} \mid \text{loud}) = \tfrac12 + \tfrac12 \cdot \tfrac37 = \tfrac57$. Four words have 1/14 each, and
# $4/14 + 10/14 = 1$.
# ```

# %% tags=["hide-cell"]
model = KneserNey(2, len(tiny), discount=0.5, uniform=False).fit(coded)
clear_, bell, loud = tiny.encode(["clear", "bell", "loud"])
print("clear after loud:", model.probability(clear_, [loud]), "=", 1 / 14)
print("bell after loud: ", model.probability(bell, [loud]), "=", 5 / 7)
print("sum after loud:  ", model.distribution([loud]).sum())
assert np.isclose(model.probability(bell, [loud]), 5 / 7)

# %% [markdown]
# **3.** On one half of the tokens a model has the perplexity 12, on the other half 48. What is it on all tokens?
#
# ```{dropdown} Solution
# Cross-entropies are averaged, perplexities are not. $\mathcal H = (\ln 12 + \ln 48) / 2$, so the perplexity is
# $\sqrt{12 \cdot 48} = 24$ and not 30: a geometric mean.
# ```

# %% tags=["hide-cell"]
halves = -np.log(np.repeat([12.0, 48.0], 100))
print(f"perplexity {perplexity(halves):.1f}")

# %% [markdown]
# **4.** A model gives three words 0.5, 0.3 and 0.2. What do they have at $\tau = 0.5$ and $\tau = 2$, and in the limits?
#
# ```{dropdown} Solution
# At $\tau = 0.5$: 0.66, 0.24, 0.11. At $\tau = 2$: 0.42, 0.32, 0.26. Towards 0 the most probable word has all; towards
# infinity all possible words become equal.
# ```

# %% tags=["hide-cell"]
for temperature in (0.01, 0.5, 1, 2, 100):
    print(temperature, temper(np.array([0.5, 0.3, 0.2]), temperature).round(2))

# %% [markdown]
# **5.** Somebody reports half of our perplexity, with a vocabulary of the 100 most frequent words. Compute the perplexity
# for several vocabularies on the same texts, without context ($n = 1$) and with one word ($n = 2$). What follows?
#
# ```{dropdown} Solution
# The fewer words are known, the more tokens become `<unknown>`. Merging words never raises their surprise without context,
# since $-\ln(p + q) \le -\ln p$. So the perplexity falls with the vocabulary, though the model knows less. With context it
# may move either way. Perplexities compare on the same tokens and the same vocabulary only.
# ```

# %% tags=["hide-cell"]
sized = []
for size in (10, 100, 1000):
    smaller = Corpus(table, seed, size)
    row = {"vocabulary": len(smaller.vocabulary)}
    for order in (1, 2):
        model = KneserNey(order, row["vocabulary"], 0.75)
        log_p = model.fit(smaller.part("train")[:MOST]).log_probabilities(
            smaller.part("test")
        )
        row[f"perplexity, n = {order}"] = perplexity(log_p)
    sized.append(row)
sized = pd.DataFrame(sized).drop_duplicates("vocabulary")
assert sized["perplexity, n = 1"].is_monotonic_increasing
plots.table(sized)

# %% [markdown]
# **6.** Write add-$k$ and Kneser–Ney for $n = 3$, and compare with the library. For add-$k$ use `np.unique`, as above for
# pairs; for Kneser–Ney use sets and dictionaries.
#
# ```{dropdown} Solution
# *Add-$k$.* The key of a context is $\text{first} \cdot \lvert V\rvert + \text{second}$, and the key of a context with its
# word is that times $\lvert V\rvert$ plus the word. Counts are looked up by bisection, `np.searchsorted`.
#
# *Kneser–Ney.* Equation {eq}`eq-kneser-ney` is applied twice. The triples have their counts. A pair has as its count the
# number of different words before it, a single word the number of different pairs that it ends. The shortest level is
# {eq}`language-uniform`.
# ```

# %% tags=["hide-cell"]
words, contexts = windows(train, order=3)
context_keys = contexts[:, 0] * V + contexts[:, 1]
new_words, new_contexts = windows(test[:50], order=3)
new_keys = new_contexts[:, 0] * V + new_contexts[:, 1]


def how_often(keys, wanted):
    values, counts = np.unique(keys, return_counts=True)
    place = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return np.where(values[place] == wanted, counts[place], 0)


with_word = how_often(context_keys * V + words, new_keys * V + new_words)
k = 0.1
p = (with_word + k) / (how_often(context_keys, new_keys) + k * (V - 2))
theirs = AddK(3, V, k=k).fit(train).log_probabilities(test[:50])
print(
    f"add-k: largest difference of ln p {np.abs(np.log(p) - theirs).max():.1e}"
)

D = 0.75
triples = np.column_stack([contexts, words]).tolist()
levels = [Counter(map(tuple, triples))]
for _ in range(2):  # each different run counts once for the shorter one
    levels.append(Counter(run[1:] for run in levels[-1]))
totals, kinds = [Counter() for _ in levels], [Counter() for _ in levels]
for level, total, kind in zip(levels, totals, kinds, strict=True):
    for run, count in level.items():
        total[run[:-1]] += count
        kind[run[:-1]] += 1  # different words after this context


def last_of(run):  # the probability of the run's last word
    p = 1 / (V - 2)
    for n in (1, 2, 3):
        level, total, kind = levels[3 - n], totals[3 - n], kinds[3 - n]
        context = run[-n:-1]
        if total[context]:
            rest = D * kind[context] * p
            p = (max(level[run[-n:]] - D, 0) + rest) / total[context]
    return p


runs = np.column_stack([new_contexts, new_words]).tolist()
p = [last_of(tuple(run)) for run in runs]
theirs = KneserNey(3, V, D).fit(train).log_probabilities(test[:50])
difference = np.abs(np.log(p) - theirs).max()
print(f"Kneser–Ney: largest difference of ln p {difference:.1e}")
assert difference < 1e-9

# %% [markdown]
# **7.** Why does a pre-trained encoder read a start mark, and why does an absent text get none?
#
# ```{dropdown} Solution
# The LSTM has never seen a text without a start mark, so its state after a first word without the mark is untrained. An
# absent text is no text. With a mark it would get a vector like any other. With padding alone it gets the zero vector.
# ```

# %% tags=["hide-cell"]
print(
    "norm of the absent text:", np.linalg.norm(from_library(np.zeros((1, 5))))
)

# %% [markdown]
# ## Where to read on
#
# {cite:t}`chen1999` compare smoothing methods; {cite:t}`jurafsky2009`, chapter 4, introduce n-grams.
