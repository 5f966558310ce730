# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The article's network
#
# **After this chapter you can**
#
# - draw the article's recommender as a chain of arrays, and say the shape of each;
# - write its forward pass in NumPy from five equations, and get Keras's numbers;
# - count its parameters with a pencil, and say which modality they serve;
# - train it on raw text, pictures and sounds, and turn its softmax into recommendations;
# - measure those recommendations beside chance, popularity and the best that is possible.
#
# ## The idea in words
#
# The article's section 5.2 lists some thirty lines of Keras. Three encoders each read one medium
# and return one vector: an LSTM reads a **text**, a convolution reads an **image**, another LSTM
# reads a **sound**. The three vectors are laid end to end, which is the whole of the *fusion*.
# Two dense layers turn the long vector into a probability for each of `num_classes` classes.
#
# The listing stops there. It does not say what a class is, where the labels come from, how long a
# text is or how large an image. This chapter fills each gap with the simplest choice under which
# the listing *is* a recommender, says so at every point, and changes nothing else.

# %% tags=["parameters"]
profile = "quick"  # "quick" trains once; "full" repeats the training with five seeds
dataset = "shop"  # "shop", "garments", or a folder that holds a dataset.json
seed = 0

# %% tags=["hide-input"]
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import psutil
from IPython.display import Markdown, display
from myst_nb import glue

from mmtutorial import datasets, plots
from mmtutorial.article import ArticleNetwork, count_parameters
from mmtutorial.baselines import Oracle, Popularity, Random
from mmtutorial.evaluation.evaluate import compare, evaluate
from mmtutorial.evaluation.splits import cold_items, global_time_split
from mmtutorial.preprocessing.audio import encode_audio
from mmtutorial.preprocessing.behaviour import deduplicate, k_core
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.preprocessing.interactions import Interactions
from mmtutorial.preprocessing.text import Vocabulary, clean, sequences, tokenise

plots.use_style()
started = time.perf_counter()

# %% [markdown]
# ## The data, cut in two by time
#
# {doc}`01_data` introduces the data and every step of preprocessing. Here we call them. A shopper's
# first purchase of an item counts, and shoppers and items with hardly any purchase are left out of
# the *history* (a 2-core); every item stays in the *catalogue*, because a new item without a history
# must be recommendable too.
#
# The log is then cut at two moments in time, the same for everyone: the network learns from what
# lies before the first, its progress is watched between the two, and it is measured on what
# comes after the second. Nobody can learn from the future this way.

# %%
data = datasets.load(dataset) if dataset not in datasets.MAKERS else datasets.load(dataset, seed=seed)
bought = k_core(deduplicate(data.interactions), k_users=2, k_items=2)
interactions = Interactions.of(bought, items=data.items["item"])
split = global_time_split(interactions)

pd.DataFrame(
    {
        name: {
            "interactions": len(part),
            "users": part.log["user"].nunique(),
            "items": part.log["item"].nunique(),
            "from": pd.to_datetime(part.log["timestamp"].min(), unit="s"),
            "to": pd.to_datetime(part.log["timestamp"].max(), unit="s"),
        }
        for name, part in [
            ("train", split.train),
            ("validation", split.validation),
            ("test", split.test),
        ]
    }
).T

# %% tags=["remove-cell"]
glue("dataset-name", data.name, display=False)
glue("n-items", data.n_items, display=False)
glue("n-users", interactions.n_users, display=False)
glue("n-cold", int(cold_items(split).sum()), display=False)

# %% [markdown]
# The catalogue of {glue:text}`dataset-name` holds {glue:text}`n-items` items;
# {glue:text}`n-cold` of them have no purchase before the first cut. To a recommender that only
# counts purchases they do not exist. To one that reads, looks and listens they are items like others.
#
# ## From raw media to arrays
#
# The listing takes three arrays for each example. We encode every item **once** and keep the three
# arrays of the whole catalogue; an example then only names a row of them.
#
# | input | article | here |
# |---|---|---|
# | text | `(None,)` integers, `vocab_size` undefined | 32 words, padded at the *front*, so that the LSTM, which the listing gives no mask, ends on a word and not on padding |
# | image | shape undefined | 32 × 32 pixels, RGB, between 0 and 1 |
# | audio | shape undefined | 32 frames of 20 MFCCs, standardised |
#
# An item without a picture gets a black one, an item without a sound gets silence, an item without
# a text gets padding. The listing knows no other way, and it matters: see {doc}`../chapters/06_fusion`.

# %%
WORDS, PIXELS, FRAMES, COEFFICIENTS = 32, 32, 32, 20

tokens = [tokenise(clean(text)) for text in data.items["text"]]
vocabulary = Vocabulary.build(tokens, max_size=2000)
pictures = encode_images([data.path(row, "image") for row in range(data.n_items)], size=PIXELS)
sounds = encode_audio(
    [data.path(row, "audio") for row in range(data.n_items)],
    length=FRAMES,
    coefficients=COEFFICIENTS,
)
content = {
    "text": sequences(tokens, vocabulary, WORDS, padding="pre"),
    "image": pictures.values,
    "audio": sounds.values,
}
for fault in [*pictures.faults, *sounds.faults]:
    print(fault)
pd.DataFrame(
    {
        name: {"shape": array.shape, "dtype": array.dtype, "items that have it": share}
        for (name, array), share in zip(
            content.items(), data.present().mean(axis=0).round(3), strict=True
        )
    }
).T

# %% [markdown]
# ## What a class is
#
# The listing ends in `Dense(num_classes, activation='softmax')` under `categorical_crossentropy`,
# and takes *one* text, *one* image and *one* sound per example. So an example is about one item,
# and the label is one class out of `num_classes`. There are three readings:
#
# 1. **A class is a label of the item**, such as its kind. That is classification; nothing is
#    recommended to anyone, since no user occurs in it.
# 2. **A class is "likes" or "likes not".** Then the user must be an input, and the listing has none.
# 3. **A class is an item of the catalogue.** The three inputs are the content of the item that a
#    shopper took *last*, and the label is the item that the same shopper took *next*.
#
# Only the third gives the article what it promises, a ranked list for a user, without touching the
# listing. It is a first-order Markov chain over the catalogue whose state is read from content: the
# user is represented by one item. We take it, and return to its price at the end.

# %% tags=["hide-input"]
last, following = split.train.next_pairs()
examples = pd.DataFrame(
    {
        "item taken last": data.items["title"].to_numpy()[last[:3]],
        "its text begins": [text[:60] + " …" for text in data.items["text"].to_numpy()[last[:3]]],
        "label: item taken next": data.items["title"].to_numpy()[following[:3]],
    }
)
print(f"{len(last):,} examples of (last item, next item); the first three:")
examples

# %% [markdown]
# ## The equations
#
# Let $w = (w_1, \dots, w_T)$ be the word ids of the text, $X \in \mathbb{R}^{H \times W \times C}$
# the image, and $A \in \mathbb{R}^{S \times F}$ the sound as $S$ frames of $F$ numbers.
#
# **Text.** An embedding $E \in \mathbb{R}^{V \times d}$ holds a row of $d$ numbers for each of the
# $V$ words, so the text becomes $x_t = E_{w_t}$. An LSTM reads the $x_t$ in order
# {cite}`hochreiter1997lstm`. With $L$ units, kernel $U \in \mathbb{R}^{d \times 4L}$, recurrent
# kernel $R \in \mathbb{R}^{L \times 4L}$ and bias $b \in \mathbb{R}^{4L}$, starting from
# $h_0 = c_0 = 0$:
#
# $$
# \begin{aligned}
# (i, f, g, o)_t &= x_t U + h_{t-1} R + b && \text{four rows of } L \\
# c_t &= \sigma(f_t) \odot c_{t-1} + \sigma(i_t) \odot \tanh(g_t) \\
# h_t &= \sigma(o_t) \odot \tanh(c_t), \qquad z_\text{text} = h_T \in \mathbb{R}^{L}
# \end{aligned}
# $$ (article-lstm)
#
# where $\sigma(a) = 1/(1+e^{-a})$ and $\odot$ multiplies entry by entry.
#
# **Image.** A convolution with $32$ filters $K \in \mathbb{R}^{3 \times 3 \times C \times 32}$ and
# bias $b \in \mathbb{R}^{32}$, cut off at zero; then the maximum over squares of $2 \times 2$; then
# all numbers in one row:
#
# $$
# \begin{aligned}
# Y_{pqm} &= \max\Bigl(0,\ b_m + \sum_{r=0}^{2}\sum_{s=0}^{2}\sum_{c=1}^{C} X_{p+r,\,q+s,\,c}\, K_{rscm}\Bigr) \\
# z_\text{image} &= \operatorname{flatten}\Bigl(\max_{r,s \in \{0,1\}} Y_{2p+r,\,2q+s,\,m}\Bigr)
#   \in \mathbb{R}^{32 \lfloor (H-2)/2 \rfloor \lfloor (W-2)/2 \rfloor}
# \end{aligned}
# $$ (article-convolution)
#
# **Sound.** A second LSTM, equation {eq}`article-lstm` with its own weights, reads the rows of $A$ and
# ends in $z_\text{audio} \in \mathbb{R}^{L}$.
#
# **Fusion** is concatenation, and a dense layer of $128$ units follows:
#
# $$
# z = [\,z_\text{text};\ z_\text{image};\ z_\text{audio}\,], \qquad
# q = \max(0,\ z\,W_1 + b_1) \in \mathbb{R}^{128}
# $$ (article-fusion)
#
# **Output.** A softmax over the $n$ items of the catalogue:
#
# $$
# \hat y_j = \frac{\exp(q\,W_2 + b_2)_j}{\sum_{k=1}^{n} \exp(q\,W_2 + b_2)_k}, \qquad j = 1, \dots, n
# $$ (article-softmax)
#
# **Loss.** If the shopper took item $j^\star$ next, the categorical cross-entropy of the example is
#
# $$
# \ell = -\log \hat y_{j^\star}
# $$ (article-loss)
#
# A network that knows nothing says $\hat y_j = 1/n$ for every item, and pays $\log n$ nats.
#
# ### NumPy from the equations
#
# Each function below is one equation, for a batch of $B$ examples at once. Only the recurrence loops,
# over time.


# %%
def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm(x, kernel, recurrent, bias):  # (B, T, d) -> (B, L)
    hidden = cell = np.zeros((len(x), recurrent.shape[0]))
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + hidden @ recurrent + bias, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
    return hidden


def convolution(x, kernel, bias):  # (B, H, W, C) -> (B, H - 2, W - 2, 32)
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return np.maximum(0, np.einsum("bpqcrs,rscm->bpqm", patches, kernel, optimize=True) + bias)


def max_pool(y):  # (B, P, Q, M) -> (B, P // 2, Q // 2, M)
    b, p, q, m = y.shape
    return y[:, : p // 2 * 2, : q // 2 * 2].reshape(b, p // 2, 2, q // 2, 2, m).max(axis=(2, 4))


def forward(text, image, audio, weights):  # -> (B, n)
    embedding, K, b, U_text, R_text, b_text, U_audio, R_audio, b_audio, W1, b1, W2, b2 = weights
    z_text = lstm(embedding[text], U_text, R_text, b_text)
    z_image = max_pool(convolution(image, K, b)).reshape(len(image), -1)
    z_audio = lstm(audio, U_audio, R_audio, b_audio)
    z = np.concatenate([z_text, z_image, z_audio], axis=1)
    q = np.maximum(0, z @ W1 + b1)
    logits = q @ W2 + b2
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


# %% [markdown]
# ### The same in Keras
#
# `mmtutorial.article` holds the listing: the same layers in the same order, its undefined names as
# arguments. We build it for our sizes, and ask both for the probabilities of four items' successors.

# %%
network = ArticleNetwork(seed=seed)
sizes = network.sizes(content)
keras_network = network.build(sizes)
keras_network.summary(line_length=100)

# %%
named = {weight.path: weight.numpy().astype(np.float64) for weight in keras_network.weights}
order = ["embedding", "conv2d/kernel", "conv2d/bias"]
first_four = [content[name][:4] for name in ("text", "image", "audio")]
ours = forward(*first_four, article_weights(keras_network))
theirs = keras_network.predict(first_four, verbose=0)
difference = np.abs(ours - theirs).max()
print(f"largest difference of a probability: {difference:.1e}")
assert difference < 1e-6
