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
# # The article's network
#
# **You will be able to**
#
# - draw the article's recommender as a chain of arrays, and say the shape of each;
# - write its forward pass in NumPy from five equations, and get Keras's numbers;
# - count its parameters by hand, and say which modality they serve;
# - train it on raw text, pictures and sounds, and turn its softmax into recommendations;
# - compare those recommendations with chance, popularity and the best that is possible.
#
# ## The idea in words
#
# The article's section 5.2 lists some thirty lines of Keras. Three encoders each read one modality
# and return one vector: an LSTM reads a **text**, a convolution reads an **image**, another LSTM
# reads a **sound**. The three vectors are laid end to end, which is the whole of the *fusion*.
# Two dense layers turn the long vector into a probability for each of `num_classes` classes.
#
# The article's code stops there. It does not say what a class is, where the labels come from, how long
# a text is or how large an image. This chapter fills each gap with the simplest choice under which the
# code *is* a recommender. It says so at every point, and changes nothing else. We call the article's code
# the *listing*.
#
# This page has two kinds of numbers. What stands beside an orange bar and ends with *Evidence* was measured
# before, by this chapter's own full run on all shoppers. All other numbers are live: the page trains the
# network once, on a part of the shoppers.

# %% tags=["parameters"]
profile = (
    "quick"  # once, on every fifth shopper; "full": five seeds, all shoppers
)
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import time
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from scipy.stats import bootstrap

from mmtutorial import datasets, metrics, plots
from mmtutorial.article import ArticleNetwork, build_network, count_parameters
from mmtutorial.recommenders import Oracle, Popularity, Random
from mmtutorial.equations.activations import softmax
from mmtutorial.equations.convolution import conv2d, dense, max_pool
from mmtutorial.equations.recurrence import lstm
from mmtutorial.evaluation import (
    cold_items,
    compare,
    evaluate,
    global_time_split,
)
from mmtutorial.preprocessing.audio import encode_audio
from mmtutorial.preprocessing.behaviour import deduplicate
from mmtutorial.preprocessing.image import encode_images
from mmtutorial.interactions import Interactions
from mmtutorial.preprocessing.text import (
    Vocabulary,
    clean,
    sequences,
    tokenise,
)
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.ranking import top_k
from mmtutorial.reproduce.evidence import quote, quoted_evidence

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
started = time.perf_counter()

# %% [markdown]
# ## The flow chart
#
# The article's section 2.4 draws the way from behaviour to a fused representation. Every box has a
# chapter of this book. This chapter goes the whole way once.

# %% tags=["hide-input"]
rows = [
    ["behaviour: who took what, and when"],
    ["text processing", "image processing", "audio processing"],
    [
        "language model\n(here: LSTM)",
        "CNN\n(here: one convolution)",
        "RNN\n(here: LSTM)",
    ],
    ["fused representation (here: concatenation, dense layer)"],
    ["recommendations (here: softmax over the catalogue)"],
]
centres = [
    [3 * (place + 0.5) / len(row) for place in range(len(row))] for row in rows
]
colours = sns.color_palette("colorblind", desat=0.6)
box = {"boxstyle": "round,pad=0.4", "edgecolor": "0.4"}

figure, axis = plt.subplots(figsize=(7, 4.6))
for level, row in enumerate(rows):
    for place, words in enumerate(row):
        colour = (*colours[place if len(row) > 1 else 7], 0.25)
        axis.text(
            centres[level][place], -level, words,
            ha="center", va="center", fontsize=9, bbox={**box, "facecolor": colour},
        )  # fmt: skip
for level, (above, below) in enumerate(pairwise(centres)):
    every = [(start, end) for start in above for end in below]
    for start, end in (
        zip(above, below, strict=False) if len(above) == len(below) else every
    ):
        arrow = {"arrowstyle": "->", "color": "0.4"}
        axis.annotate(
            "", (end, -level - 0.7), (start, -level - 0.3), arrowprops=arrow
        )
axis.set(xlim=(0, 3), ylim=(-4.5, 0.5))
axis.axis("off")
plots.show(
    figure,
    alt="Flow chart in five rows. Behaviour leads to text, image and audio processing; these lead "
    "to a language model, a CNN and an RNN; all three lead to one fused representation, and that "
    "leads to recommendations.",
)

# %% [markdown]
# ## The data, cut in two places by time
#
# {doc}`01_data` introduces the data and every step of preprocessing. Here we call them. A shopper's
# *first* purchase of an item counts. (Where there are many, the profile `quick` takes every fifth
# shopper, to be done sooner.) Nothing else is filtered: to keep only items that were bought
# often enough, as many papers do, one would have to look into the test period. And every item stays
# in the *catalogue*, because a new item without a history must be recommendable too.
#
# The log is then cut at two moments, the same for everyone. The network learns from what lies before the
# first. Its progress is measured between the two, and the final test is on what comes after the second.
# So no recommender learns from the future.

# %% tags=["remove-output"]
data = (
    datasets.load(dataset, seed=seed)
    if dataset in datasets.MAKERS
    else datasets.load(dataset)
)
timeless = False
try:
    global_time_split(Interactions.of(deduplicate(data.interactions)))
except ValueError:  # nobody knows which item was taken last
    timeless = True
    data = datasets.load("shop", n_items=300, n_users=800, seed=seed)

# %% tags=["hide-input"]
if timeless:
    display(
        Markdown(
            "*Your data set does not say in which order items were taken. The "
            "article's network reads the item that a shopper took last: a small shop "
            "stands in for your data set in this chapter. The recommenders from the "
            "next chapter on need no order.*"
        )
    )

# %%
bought = deduplicate(data.interactions)
if profile == "quick" and len(bought) > 10_000:  # a step reads everything anew
    bought = bought[bought["user"].isin(data.users[::5])]
interactions = Interactions.of(bought, items=data.items["item"])
split = global_time_split(interactions)
cold = cold_items(split)  # bool (n_items,): without a purchase in training

parts = pd.DataFrame.from_dict(
    {
        name: {
            "interactions": len(part),
            "users": part.log["user"].nunique(),
            "items": part.log["item"].nunique(),
            "of them cold": int(cold[part.log["item"].unique()].sum()),
            "from": f"{pd.to_datetime(part.log['timestamp'].min(), unit='s'):%Y-%m-%d %H:%M}",
            "to": f"{pd.to_datetime(part.log['timestamp'].max(), unit='s'):%Y-%m-%d %H:%M}",
        }
        for name, part in [
            ("train", split.train),
            ("validation", split.validation),
            ("test", split.test),
        ]
    },
    orient="index",
)
plots.table(parts, index=True)

# %% tags=["remove-cell"]
cold_in_test = cold[split.test.log["item"]].mean()
quote("network-dataset", data.name)
quote("network-stand-in", data.name if timeless else "")
quote("network-n-items", data.n_items)
quote("network-n-cold", int(cold.sum()))
quote("network-cold-in-test", f"{cold_in_test:.1%}")

# %% [markdown]
# The catalogue of {glue:text}`network-dataset` holds {glue:text}`network-n-items` items;
# {glue:text}`network-n-cold` of them have no purchase in training: they are *cold*. A recommender that
# only counts purchases cannot rank them. One that reads content can, and
# {glue:text}`network-cold-in-test` of the test purchases are of such items.
#
# ## From raw media to arrays
#
# The listing takes three arrays for each example. We encode every item **once** and keep the three
# arrays of the whole catalogue; an example then only names a row of them.
#
# | input | article | here |
# |---|---|---|
# | text | `(None,)` integers, `vocab_size` undefined | 64 words, padded at the *front*, so that the LSTM, which the listing gives no mask, ends on a word and not on padding |
# | image | shape undefined | 32 × 32 pixels, RGB, between 0 and 1 |
# | audio | shape undefined | 32 frames of 20 MFCCs, standardised |
#
# The vocabulary, and the sounds' means and standard deviations, come from items that were bought in
# training, since the later items are not known yet. An item without a picture gets a black one, an item
# without a sound gets the mean of all sounds, and an item without a text gets padding. The listing has no
# mask. {doc}`06_fusion` shows why that matters.

# %% tags=["remove-output"]
WORDS, PIXELS, FRAMES, COEFFICIENTS = 64, 32, 32, 20

tokens = [tokenise(clean(text)) for text in data.items["text"]]
vocabulary = Vocabulary.of(
    (tokens[row] for row in np.flatnonzero(~cold)), max_size=2000
)
rows = range(data.n_items)
pictures, has_picture, faulty_pictures = encode_images(
    [data.path(row, "image") for row in rows], size=PIXELS
)
sounds, has_sound, faulty_sounds = encode_audio(
    [data.path(row, "audio") for row in rows],
    length=FRAMES,
    coefficients=COEFFICIENTS,
    fit_on=~cold,
)
content = {
    "text": sequences(tokens, vocabulary, WORDS),  # int32 (n_items, 64)
    "image": pictures,  # float32 (n_items, 32, 32, 3)
    "audio": sounds,  # float32 (n_items, 32, 20)
}

# %% tags=["hide-input"]
for fault in [*faulty_pictures, *faulty_sounds]:
    print(fault)
has = {
    "text": content["text"].any(axis=1),
    "image": has_picture,
    "audio": has_sound,
}
arrays = pd.DataFrame.from_dict(
    {
        name: {
            "shape": array.shape,
            "dtype": array.dtype,
            "items that have it": f"{has[name].mean():.1%}",
        }
        for name, array in content.items()
    },
    orient="index",
)
plots.table(arrays, index=True)

# %% tags=["remove-cell"]
quote("network-cut", f"{np.mean([len(text) > WORDS for text in tokens]):.0%}")

# %% [markdown]
# Of the texts, {glue:text}`network-cut` are longer than 64 words and lose their end.
#
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
# Only the third gives a ranked list for a user without changing the listing. It is a first-order Markov
# chain over the catalogue whose state is read from content: one item represents the user. We take it, and
# measure at the end what it costs.

# %% tags=["hide-input"]
last, following = split.train.next_pairs()
examples = pd.DataFrame(
    {
        "item taken last": data.items["title"].to_numpy()[last[:3]],
        "its text begins": [
            text[:60] + " …"
            for text in data.items["text"].to_numpy()[last[:3]]
        ],
        "label: item taken next": data.items["title"].to_numpy()[
            following[:3]
        ],
    }
)
print(f"{len(last):,} examples of (last item, next item); the first three:")
plots.table(examples)


# %% [markdown]
# ## The equations
#
# {doc}`../notation` lists the symbols; here they are again with their shapes. Let $w_1, \dots, w_T$
# be the words of the text, each a number below $\lvert V \rvert$,
# $X \in \mathbb{R}^{H \times W \times C}$ the image, and $A \in \mathbb{R}^{T \times F}$ the sound as
# $T$ frames of $F$ numbers.
#
# **Text.** An embedding $E \in \mathbb{R}^{\lvert V \rvert \times d_e}$ holds a row of $d_e$ numbers
# for each word, so the text becomes $x_t = E_{w_t}$. An LSTM reads the $x_t$ in order
# {cite}`hochreiter1997`. With $L$ units, kernel $U \in \mathbb{R}^{d_e \times 4L}$, recurrent kernel
# $R \in \mathbb{R}^{L \times 4L}$ and bias $b \in \mathbb{R}^{4L}$, starting from $h_0 = c_0 = 0$,
#
# $$
# \begin{aligned}
# [i, f, g, o]_t &= x_t U + h_{t-1} R + b, \qquad \text{four vectors of } L \text{ entries} \\
# c_t &= \operatorname{sigmoid}(f_t) \odot c_{t-1} + \operatorname{sigmoid}(i_t) \odot \tanh(g_t) \\
# h_t &= \operatorname{sigmoid}(o_t) \odot \tanh(c_t), \qquad z_\text{text} = h_T \in \mathbb{R}^{L} .
# \end{aligned}
# $$ (article-lstm)
#
# **Image.** A convolution with $32$ filters $K \in \mathbb{R}^{3 \times 3 \times C \times 32}$ and
# bias $b \in \mathbb{R}^{32}$, cut off at zero; then the maximum over squares of $2 \times 2$; then
# all numbers in one row:
#
# $$
# \begin{aligned}
# Y_{pqm} &= \operatorname{ReLU}\Bigl(b_m +
#   \sum_{r=0}^{2}\sum_{s=0}^{2}\sum_{c=1}^{C} X_{p+r,\,q+s,\,c}\, K_{rscm}\Bigr) \\
# z_\text{image} &= \operatorname{flatten}\Bigl(\max_{r,s \in \{0,1\}} Y_{2p+r,\,2q+s,\,m}\Bigr)
#   \in \mathbb{R}^{d_\text{image}}, \quad
#   d_\text{image} = 32 \Bigl\lfloor \tfrac{H-2}{2} \Bigr\rfloor \Bigl\lfloor \tfrac{W-2}{2} \Bigr\rfloor .
# \end{aligned}
# $$ (article-convolution)
#
# **Sound.** A second LSTM, equation {eq}`article-lstm` with its own weights, reads the rows of $A$
# and ends in $z_\text{audio} \in \mathbb{R}^{L}$.
#
# **Fusion** is concatenation, and a dense layer follows, with
# $W_1 \in \mathbb{R}^{(2L + d_\text{image}) \times 128}$ and $b_1 \in \mathbb{R}^{128}$:
#
# $$
# z = [z_\text{text}, z_\text{image}, z_\text{audio}], \qquad
# h = \operatorname{ReLU}(z\,W_1 + b_1) \in \mathbb{R}^{128} .
# $$ (article-fusion)
#
# **Output.** A softmax over the $n = n_\text{items}$ items of the catalogue, with
# $W_2 \in \mathbb{R}^{128 \times n}$ and $b_2 \in \mathbb{R}^{n}$:
#
# $$
# \hat y = \operatorname{softmax}(h\,W_2 + b_2) \in \mathbb{R}^{n} .
# $$ (article-softmax)
#
# **Loss.** If the shopper took item $j^\star$ next, the categorical cross-entropy of the example is
#
# $$
# \mathcal L = -\ln \hat y_{j^\star} .
# $$ (article-loss)
#
# A network that has learnt nothing gives $\hat y_j = 1/n$ to every item, and its loss is $\ln n$ nats.
#
# ### NumPy from the equations
#
# {doc}`03_cnn` and {doc}`04_rnn` derive the convolution, the pooling and the LSTM, and the library
# holds them as `conv2d`, `max_pool` and `lstm`. So the whole network is a few lines, for a batch of $B$
# examples at once:


# %%
def forward(text, image, audio, weights):  # -> (B, n)
    E, K, b, U_text, R_text, b_text, U_audio, R_audio, b_audio, *rest = weights
    W1, b1, W2, b2 = rest
    z_text = lstm(E[text], U_text, R_text, b_text)[:, -1]  # (B, L)
    maps = max_pool(conv2d(image, K, b, activation="relu"))  # (B, H', W', 32)
    z_image = maps.reshape(len(image), -1)  # (B, d_image)
    z_audio = lstm(audio, U_audio, R_audio, b_audio)[:, -1]  # (B, L)
    z = np.concatenate([z_text, z_image, z_audio], axis=1)
    h = dense(z, W1, b1, "relu")  # (B, 128)
    return softmax(dense(h, W2, b2))


# %% [markdown]
# ### The same in Keras
#
# `mmtutorial.article` holds the listing: the same layers in the same order, each named after the
# listing's variable, its undefined names as arguments. We build it for our sizes, and give both
# implementations the same four items.

# %%
sizes = ArticleNetwork(seed=seed).sizes(content)
keras_network = build_network(**sizes)

layers = [
    "embedded_text",
    "conv_output",
    "lstm_output",
    "rnn_output",
    "dense_output",
    "output",
]
weights = [
    array
    for name in layers
    for array in keras_network.get_layer(name).get_weights()
]
four = [content[name][:4] for name in ("text", "image", "audio")]

in_64_bits = [array.astype(np.float64) for array in weights]
ours = forward(four[0], *(np.float64(each) for each in four[1:]), in_64_bits)
theirs = keras_network.predict(four, verbose=0)
difference = np.abs(ours - theirs).max()
print(f"largest difference of a probability: {difference:.1e}")
assert difference < 1e-6

# %% [markdown]
# Twelve layers, and the shape of what each hands on:

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        [
            {
                "layer": layer.name,
                "kind": type(layer).__name__,
                "hands on": " × ".join(
                    "…" if size is None else str(size)
                    for size in layer.output.shape[1:]
                ),
                "parameters": f"{layer.count_params():,}",
            }
            for layer in keras_network.layers
        ]
    )
)

# %% [markdown]
# ### Counting by hand
#
# An embedding has $\lvert V \rvert\, d_e$ parameters. An LSTM has four gates, each with a kernel, a
# recurrent kernel and a bias: $4L(d_e + L + 1)$. A convolution has $32\,(9C + 1)$, whatever the size of the image.
# The first dense layer has $128$ for each entry of $z$ and $128$ biases, and the last $129$ for each
# item. None of them depends on the number of *frames* or *words*: a recurrence uses the same weights
# at every step.

# %%
assert count_parameters(**sizes) == keras_network.count_params()

joined = {  # entries of z that each modality supplies: the rows of W1 that serve it alone
    "text": sizes["lstm_units"],
    "image": keras_network.get_layer("flat_output").output.shape[1],
    "audio": sizes["lstm_units"],
}
own = {
    "text": keras_network.get_layer("embedded_text").count_params()
    + keras_network.get_layer("lstm_output").count_params(),
    "image": keras_network.get_layer("conv_output").count_params(),
    "audio": keras_network.get_layer("rnn_output").count_params(),
}
parts = pd.DataFrame(
    {
        "encoder": own,
        "its rows of the first dense layer": {
            m: 128 * n for m, n in joined.items()
        },
    }
)
parts.loc["all (output)", "its rows of the first dense layer"] = 128
parts.loc["all (output)", "encoder"] = keras_network.get_layer(
    "output"
).count_params()
assert parts.to_numpy().sum() == keras_network.count_params()

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 2.8))
left = np.zeros(len(parts))
for column, colour in zip(
    parts.columns, sns.color_palette("colorblind")[:2], strict=True
):
    axis.barh(
        parts.index, parts[column] / 1e3, left=left, color=colour, label=column
    )
    left += parts[column].to_numpy() / 1e3
axis.set(xlabel="parameters (thousands)")
axis.invert_yaxis()
axis.legend()
plots.show(
    figure,
    alt="Horizontal bars: how many parameters serve the text, the image, the audio and all of them. "
    "The bar of the image is by far the longest, and nearly all of it is the first dense layer.",
)

# %% tags=["remove-cell"]
quote("network-parameters", f"{keras_network.count_params():,}")
quote(
    "network-image-share",
    f"{parts.loc['image'].sum() / parts.to_numpy().sum():.0%}",
)
quote("network-image-entries", f"{joined['image'] / sum(joined.values()):.1%}")
quote("network-image-rows", f"{joined['image']:,}")

# %% [markdown]
# Of {glue:text}`network-parameters` parameters, {glue:text}`network-image-share` serve the picture,
# and nearly all of these lie *behind* the convolution: `Flatten` passes {glue:text}`network-image-rows`
# numbers to the dense layer, {glue:text}`network-image-entries` of all that is fused. Text and sound
# pass 32 numbers each. Concatenation treats entries alike, not modalities. So at the start the modality
# with the most entries has the largest share of $h$.
#
# ## Training, as written
#
# Adam {cite}`kingma2015`, categorical cross-entropy, ten epochs, batches of 32: all from the listing.
# It has no validation and no early stopping. We measure the loss on a validation part, and do not act on it.

# %%
once = profile == "quick" or timeless  # of a stand-in, one is enough
seeds = [seed] if once else list(range(seed, seed + 5))
networks = []
for each in seeds:
    training = time.perf_counter()
    networks.append(
        ArticleNetwork(seed=each).fit(split.train, content, split.validation)
    )
    print(f"seed {each}: trained in {time.perf_counter() - training:.0f} s")
network = networks[0]

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.4), layout="constrained")
plots.training_curve(network.history, axes)
axes[0].axhline(
    np.log(data.n_items),
    color="0.4",
    linestyle=":",
    label="nothing learnt: ln n",
)
axes[0].legend(loc="upper left")
plots.show(
    figure,
    alt="Two panels over ten epochs. Left: cross-entropy in nats of training and validation, with a "
    "dotted line at ln n. Right: accuracy of training and validation.",
)

# %% tags=["remove-cell"]
validation_loss = np.array(network.history["val_loss"])
quote("network-ln-n", f"{np.log(data.n_items):.2f}")
quote("network-train-loss", f"{network.history['loss'][-1]:.2f}")
quote("network-best-epoch", int(validation_loss.argmin()) + 1)
quote("network-best-loss", f"{validation_loss.min():.2f}")
quote("network-last-loss", f"{validation_loss[-1]:.2f}")

# %% [markdown]
# With nothing learnt the loss is $\ln n =$ {glue:text}`network-ln-n` nats. After ten epochs it is
# {glue:text}`network-train-loss` on the training examples. On the validation purchases it was smallest,
# {glue:text}`network-best-loss`, after epoch {glue:text}`network-best-epoch` of ten, and ended at
# {glue:text}`network-last-loss`. Where the two curves separate, the network overfits
# {cite}`goodfellow2016`. The listing does not stop at the best epoch, so neither do we.
#
# ## From a softmax to recommendations
#
# To recommend to a shopper, we show the network the item that the shopper took *last* in training, and
# take the probabilities. We leave out what the shopper already owns, from training and validation, and
# keep the largest. Here are three shoppers, drawn at random. A tick marks what the shopper really took in
# the test period:

# %% tags=["hide-input"]
shoppers = np.sort(
    np.random.default_rng(seed).choice(split.test_users, 3, replace=False)
)
chances = network.score(shoppers)
owned = (split.train.matrix + split.validation.matrix)[shoppers]
lists = top_k(chances, k=5, exclude=owned)
last_taken = split.train.last_items()
taken = split.test.matrix.toarray().astype(bool)
for shopper, recommended, chance in zip(shoppers, lists, chances, strict=True):
    display(Markdown(f"**Shopper {interactions.users[shopper]}**"))
    display(
        plots.gallery(
            data,
            [last_taken[shopper], *recommended],
            ["took last"]
            + [
                f"{place}. {chance[item]:.1%}{' ✓' if taken[shopper, item] else ''}"
                for place, item in enumerate(recommended, start=1)
            ],
        )
    )

# %% [markdown]
# The same at a glance: the last three items of each shopper's training, the newest next to the line, and
# the five that the network recommends.

# %% tags=["hide-input"]
log = split.train.log
histories = [
    log.loc[log["user"] == shopper, "item"].to_numpy()[-3:]
    for shopper in shoppers
]
plots.show(
    plots.recommendation_sheet(
        data,
        histories,
        lists,
        [f"shopper {interactions.users[shopper]}" for shopper in shoppers],
    ),
    alt="Three rows of pictures, one a shopper: left of a line the last three items that the shopper "
    "took, right of it the five items that the network recommends.",
)


# %% [markdown]
# ## How good are they?
#
# Every shopper of the test period gets a list of ten out of the *whole* catalogue. We report what the
# article's section 9.3 names: **accuracy** (it does not say of what; we take the hit rate),
# **coverage** in two readings (the share of items that occur in some list; the share of users who
# find something in theirs) and **NDCG** {cite}`jarvelin2002`. {doc}`08_evaluation` defines
# them one by one. We compare the network with
#
# - **random**, the floor;
# - **popularity**, the same list for everyone, which many published recommenders have failed to beat
#   {cite}`ferraridacrema2019`;
# - **the oracle**, which ranks by how probable each choice truly is, {eq}`eq-oracle`. It exists where
#   the shoppers are simulated, and no recommender can be better on average;
# - **the one-item oracle**. Like the network, it reads a single item of each shopper. But it knows
#   everything that a single item can tell. If shopper $u$ chooses item $i$ with
#   probability $P(i \mid u)$, and a shopper, unknown to us, has taken $j$, then by Bayes' rule
#
# $$
# P(i \mid j) = \sum_{u} P(u \mid j)\, P(i \mid u), \qquad
# P(u \mid j) = \frac{P(j \mid u)}{\sum_{u'} P(j \mid u')},
# $$ (one-item-oracle)
#
# with every shopper as probable as another beforehand, and
# $P(\cdot \mid u) \in \mathbb{R}^{n_\text{items}}$ the true chances of {eq}`eq-oracle`. It is the limit of the *reading* "from the last item to the next", and in matrices
# it is one product, $n_\text{items} \times n_\text{users}$ by $n_\text{users} \times n_\text{items}$.


# %%
class OneItemOracle(Recommender):
    name = "one-item oracle"

    def _learn(self, train, features, validation):
        chance = data.truth.chance(train.users)  # P(i | u)
        self.next_item = (
            chance / chance.sum(axis=0)
        ).T @ chance  # P(i | j), (n_items, n_items)
        self.last = train.last_items()

    def _score(self, users):
        return self.next_item[self.last[users]]


contenders = [
    Random(seed),
    Popularity(),
    *([OneItemOracle(), Oracle(data.truth)] if data.truth else []),
]
for contender in contenders:
    contender.fit(split.train)
contenders.insert(2, network)
evaluations = {each.name: evaluate(each, split, k=10) for each in contenders}
measures = compare(list(evaluations.values()))
columns = {
    "hit_rate": "hit rate@10 (= user coverage)",
    "ndcg": "NDCG@10",
    "item_coverage": "item coverage@10",
    "share_of_oracle": "NDCG, share of the oracle's",
}
plots.table(
    measures[[name for name in columns if name in measures]].rename(
        columns=columns
    ),
    index=True,
    digits=3,
)

# %% [markdown]
# The mean over shoppers, with its 95 % interval (bootstrap, 1,000 resamples of the shoppers):

# %% tags=["hide-input"]
figure, axes = plt.subplots(
    1, 2, figsize=(9, 3), sharey=True, layout="constrained"
)
for axis, metric, label in zip(
    axes, ("hit_rate", "ndcg"), ("hit rate@10", "NDCG@10"), strict=True
):
    table = pd.DataFrame(
        {
            name: each.summary().loc[metric]
            for name, each in evaluations.items()
        }
    ).T
    plots.measures_with_intervals(table, axis, label)
plots.show(
    figure,
    alt="Two panels, hit rate and NDCG at 10: a point with its 95 % interval for random, popularity, the "
    "article's network, the one-item oracle and the oracle.",
)


# %% tags=["remove-cell"]
def versus(name, other, metric="ndcg"):
    """Say in words how two recommenders differ, by a bootstrap over the same users."""
    gain = (
        evaluations[name].per_user[metric]
        - evaluations[other].per_user[metric]
    ).to_numpy()
    interval = bootstrap(
        (gain,), np.mean, n_resamples=2000, method="percentile", rng=seed
    )
    low, high = interval.confidence_interval
    words = (
        "is better than"
        if low > 0
        else "is worse than"
        if high < 0
        else "is not significantly different from"
    )
    return f"{words} {other} (difference {gain.mean():+.3f}, 95 % interval {low:+.3f} to {high:+.3f})"


ndcg = measures["ndcg"]
name = network.name
quote("network-n-test", f"{len(split.test_users):,}")
quote("network-versus-popularity", versus(name, "popularity"))
quote("network-hit-rate", f"{measures.loc[name, 'hit_rate']:.3f}")
quote(
    "network-popularity-hit-rate",
    f"{measures.loc['popularity', 'hit_rate']:.3f}",
)
quote("network-coverage", f"{measures.loc[name, 'item_coverage']:.0%}")
quote(
    "network-popularity-coverage",
    f"{measures.loc['popularity', 'item_coverage']:.0%}",
)
share = (
    f"{ndcg[name] / ndcg['oracle']:.0%} of the oracle's"
    if data.truth
    else f"{ndcg[name]:.3f}"
)
quote("network-share", share)
places = {
    each.recommender: cold[each.ranked].mean() for each in evaluations.values()
}
quote("network-cold-places", f"{places[name]:.2%}")
quote("network-random-cold-places", f"{places['random']:.2%}")

# %% [markdown]
# Over the {glue:text}`network-n-test` shoppers of the test period:
#
# - By NDCG@10, the article's network {glue:text}`network-versus-popularity`. Its hit rate is
#   {glue:text}`network-hit-rate`, that of popularity {glue:text}`network-popularity-hit-rate`.
# - Its lists cover {glue:text}`network-coverage` of the catalogue, those of popularity
#   {glue:text}`network-popularity-coverage`. Coverage alone is no merit, since random lists cover most.

# %% tags=["hide-input"]
if data.truth is None:
    told = (
        "- The shoppers of this data set are real: nobody knows their utilities, "
        "so there is no oracle to compare with."
    )
else:
    of_oracle = ndcg / ndcg["oracle"]
    told = (
        f"- It reaches **{of_oracle[name]:.0%}** of the oracle's NDCG. A single item allows "
        f"at most **{of_oracle['one-item oracle']:.0%}**, as the one-item oracle shows. "
        "The rest is lost because only one item is read, whatever the encoders do. Of "
        "what one item allows, the network reaches "
        f"**{ndcg[name] / ndcg['one-item oracle']:.0%}**."
    )
Markdown(told)

# %% [markdown]
# All of them use the training part alone. The network could be shown a newer item, since the validation
# purchases are known when the test begins. It need not be trained again for that:

# %%
following = network.model.predict(
    [content[name] for name in ("text", "image", "audio")], verbose=0
)  # (n_items, n_items): one row for each item taken last
newest = np.where(
    split.validation.last_items() >= 0,
    split.validation.last_items(),
    split.train.last_items(),
)
users = evaluations[name].users
owned = (split.train.matrix + split.validation.matrix)[users]
newer = metrics.ndcg(
    top_k(following[newest[users]], k=10, exclude=owned),
    split.test.matrix[users],
)
print(
    f"NDCG@10 from the last item of training {ndcg[name]:.4f}, "
    f"of training and validation {newer.mean():.4f}"
)

# %% [markdown]
# ### On all shoppers
#
# The numbers above come from a network that was trained on a part of the shoppers, if there are many. This
# is the chapter's full run, on all of them:

# %% tags=["hide-input"]
quoted_evidence(
    dataset,
    "05_article_network",
    {
        "network-n-test": "shoppers tested",
        "network-hit-rate": "hit rate@10 of the network",
        "network-popularity-hit-rate": "hit rate@10 of popularity",
        "network-versus-popularity": "in NDCG@10, the network …",
        "network-share": "NDCG@10, share of the oracle's or value",
        "network-coverage": "item coverage@10 of the network",
        "network-popularity-coverage": "item coverage@10 of popularity",
        "network-best-epoch": "epoch with the smallest validation loss",
    },
)

# %% [markdown]
# Compare the two hit rates. Where they are close, reading content does not lift the network above
# popularity. An early best epoch means that the later ones overfit.
#
# ### New items
#
# The network reads content, so one could expect it to recommend cold items. Of the places in its lists,
# {glue:text}`network-cold-places` go to cold items; in random lists it is
# {glue:text}`network-random-cold-places`. The reason is that the listing reads content at its *input* only.
# Its output has a column of weights for each item, which acts as an item *id*. The column of an item that
# was never a label was only ever pushed down (exercise 3). So the network can read a cold item, but cannot
# recommend it. The recommender of {doc}`07_recommend` computes both sides from content.
#
# ### Seeds
#
# How much depends on the random start? The profile `full` trains with five seeds, and on all shoppers
# instead of every fifth one.

# %% tags=["hide-input"]
if len(networks) > 1:
    over_seeds = pd.DataFrame(
        {
            f"seed {each.seed}": evaluate(each, split, k=10).per_user.mean()
            for each in networks
        }
    ).loc[["hit_rate", "ndcg"]]
    quote(
        "network-ndcg-seeds",
        f"{over_seeds.loc['ndcg'].min():.4f} to {over_seeds.loc['ndcg'].max():.4f}",
    )
    display(plots.table(over_seeds, index=True, digits=4))
else:
    display(Markdown("*This page was run with one seed.*"))

# %% tags=["remove-cell"]
used = plots.resources(started)
quote("network-minutes", f"{used['seconds'] / 60:.1f}")
quote("network-memory", f"{used['peak_mb'] / 1000:.1f}")
quote("network-cores", int(used["cores"]))

# %% [markdown]
# ## What the article says, and what we measured
#
# | row | the article | here |
# |---|---|---|
# | [N1](#claim-n1) | a network of twelve layers, ten epochs, batches of 32 | built as listed and equal to its equations to 10⁻⁶; its sizes, classes and labels had to be chosen by us |
# | [A5](#claim-a5) | sound through an RNN | 20 MFCCs a frame through the listing's LSTM |
# | [A6](#claim-a6) | one representation for users, one for items | the listing has neither: no user occurs in it, and items have a column of weights each |
# | [A7](#claim-a7) | recommendations from them | lists of ten without what the shopper owns; new users are served, new items are not |
# | [M1](#claim-m1) | accuracy, coverage, NDCG | live, on the shoppers used here: hit rate {glue:text}`network-hit-rate`, item coverage {glue:text}`network-coverage`, NDCG {glue:text}`network-share` |
# | [S1](#claim-s1) | 8 GB of memory and a 2 GHz processor suffice | this page took {glue:text}`network-minutes` minutes on {glue:text}`network-cores` cores and {glue:text}`network-memory` GB |
#
# The claim of ten per cent more accuracy than a single modality ([C1](#claim-c1)) needs the same network
# with one modality, several seeds and a paired test. `ArticleNetwork(modalities=["text"])` is this network without
# the branches of the others, and `mmtutorial reproduce --profile full --seeds 5 --only 'listing*'` makes the
# comparison; [the claims](#claim-c1) say what came out, or that it has not been run. One seed on a part of the
# shoppers, as on this page, decides nothing.
#
# ## Exercises
#
# **1.** With images of 64 × 64 pixels instead of 32 × 32, how many parameters does the first dense
# layer get, and how many does the convolution get? What would a second `MaxPooling2D((2, 2))` change?
#
# ```{dropdown} Solution
# A side of 64 becomes 62 after the convolution and 31 after pooling, so `Flatten` hands on
# $31 \cdot 31 \cdot 32 = 30{,}752$ numbers, and the dense layer has
# $128\,(30{,}752 + 64 + 1) = 3{,}944{,}576$ parameters, four times as many. The convolution keeps
# its $32\,(27 + 1) = 896$. A second pooling halves each side again, to 15, and leaves
# $15 \cdot 15 \cdot 32 = 7{,}200$ numbers, as with small pictures.
# ```
#
# **2.** Under reading 1, a class is the kind of an item. Which single line of the listing's *use* (not
# of the listing) would you change, and why could the trained network still not recommend?
#
# ```{dropdown} Solution
# The labels: `to_categorical(kind of the item)` instead of the next item. The network would then say
# of an item's content what kind it is. That is the same for every shopper, and no function of a
# shopper occurs in it; to recommend, one would need the kinds that a shopper likes, from elsewhere.
# ```
#
# **3.** Let $b_j$ be the bias of item $j$ in $b_2$. Show that
# $\partial \mathcal L / \partial b_j = \hat y_j - 1$ if $j$ is the label and $\hat y_j$ if not. What does
# plain gradient descent do to the bias of an item that is never a label?
#
# ```{dropdown} Solution
# With logits $a$, $\mathcal L = -a_{j^\star} + \ln \sum_k e^{a_k}$, so
# $\partial \mathcal L / \partial a_j = \hat y_j - [j = j^\star]$, and $b_j$ enters $a_j$ with factor 1. If
# $j$ is never the label, every step subtracts a multiple of $\hat y_j > 0$: the bias only ever falls,
# and the same holds for $h$ times column $j$ of $W_2$, since that column moves against $h \ge 0$. The item is pushed
# out of every list, whatever it looks like.
# ```
#
# **4.** The one-item oracle knows all utilities and stays far below the oracle. Which of the two sums in
# {eq}`one-item-oracle` loses the information, and what would a *two*-item oracle use instead?
#
# ```{dropdown} Solution
# The first sum, with $P(u \mid j)$: one item leaves many shoppers possible, and the average over them blurs their tastes.
# With two items $j, j'$, chosen independently given the shopper, $P(u \mid j, j') \propto
# P(j \mid u)\, P(j' \mid u)$: the product is sharper, and with the whole history it closes in on the
# shopper. That is why chapter 7 pools the history.
# ```
#
# **5.** (Run it.) Set `padding="post"` in the call of `sequences`, and train again. What happens to the
# text's part, and why does a mask make it right?
#
# ```{dropdown} Solution
# A text of $T < 64$ words is then followed by $64 - T$ steps of word 0. The listing's LSTM reads them
# like words, and its state after step 64 has partly forgotten the text, the more so the shorter it
# was. With `mask_zero=True` in the embedding, Keras carries the state over the padded steps
# unchanged, and both paddings give the same vector. The listing has no mask.
# ```
