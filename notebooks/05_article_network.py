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
# - draw the article's recommender as a chain of arrays, each with its shape;
# - write it in NumPy and in Keras, and get the same numbers;
# - count its parameters by hand, and say which modality they serve;
# - train it on raw text, pictures and sounds, and turn its softmax into recommendations;
# - compare these with random lists, with popularity, and with the best that is possible.
#
# ## The result first
#
# Section 5.2 of the article prints a network in some thirty lines of Keras, the *listing*. This page trains it
# on {glue:text}`network-dataset` and gives each of {glue:text}`network-n-test` {glue:text}`network-people` test users
# ten items. {glue:text}`network-part` The {term}`hit rate` is the share of users whose list has at least one item that they took later. It is
# {glue:text}`network-hit-rate` for the listing, {glue:text}`network-popularity-hit-rate` where everyone gets the
# most popular items, and {glue:text}`network-random-hit-rate` for random lists.
#
# The article claims that all {term}`modalities <modality>` together are at least 10 % more accurate than
# one ([C1](#claim-c1)). The direct test is the listing itself, with a part of its inputs and with all of them.

# %% tags=["parameters"]
profile = (
    "quick"  # once, on a part of the users; "full": five seeds, all users
)
dataset = "shop"  # or "garments", "films", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import time
from itertools import pairwise

from mmtutorial import datasets, metrics, plots  # first: it quiets TensorFlow

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from keras import layers

from mmtutorial.evaluation.estimates import Estimate
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
    paired_comparison,
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
from mmtutorial.reproduce.evidence import (
    committed,
    evidence,
    in_words,
    quote,
    quoted_evidence,
)
from mmtutorial.reproduce.levels import ALL, LISTING
from mmtutorial.reproduce.ledger import best

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
started = time.perf_counter()

# %% tags=["hide-input"]
measured = evidence(dataset, LISTING, ["hit_rate", "ndcg", "item_coverage"])
display(measured)
words = "Not measured here: whether three inputs are better than one is open."
if measured:
    single = best(committed(), dataset, "single", LISTING)
    gains = evidence(
        dataset, LISTING, ["ndcg"], against=single, recommenders=[ALL]
    )
    words = (
        f"`{ALL}` reads all inputs. The best single input on validation is "
        f"**{single}**. In NDCG@10 all inputs gain {in_words(gains.row(ALL))} "
        "over it; the claim is +10 %."
    )
    popular = evidence(
        dataset, LISTING, ["ndcg"], against="popularity", recommenders=[ALL]
    )
    if popular:
        words += (
            " Over popularity, which reads nothing and recommends the same to "
            f"everybody, they gain {in_words(popular.row(ALL))}."
        )
    if {ALL, "popularity"} <= set(measured.table["recommender"]):
        ours, theirs = (
            in_words(measured.row(name, "hit_rate"))
            for name in (ALL, "popularity")
        )
        words += (
            f" The hit rate@10 is {ours} for the network and {theirs} for popularity, on all "
            "users."
        )
        if profile == "quick":
            words += (
                " The live hit rates at the top are of fewer users, and of a network that had "
                "fewer examples to learn from."
            )
quote(
    "network-gain",
    f"{in_words(gains.row(ALL))} in NDCG@10 over {single} (evidence, all users)"
    if measured
    else "not measured here: mmtutorial reproduce --profile full --seeds 5 --only 'listing*'",
)
Markdown(words)

# %% [markdown]
# Numbers beside an orange bar, which ends with *Evidence*, were measured before, on all users. All others are
# *live*: the page trains the network once, on a part of the users.
#
# ## The idea in words
#
# Three {term}`encoders <encoder>` each read one modality and return one vector. An LSTM
# ({doc}`04_rnn`) reads a **text**, a convolution ({doc}`03_cnn`) an **image**, another LSTM a **sound**. The
# {term}`fusion` puts the three vectors end to end. Two dense layers turn the long vector into a probability for each
# of `num_classes` classes.

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
    for place, label in enumerate(row):
        colour = (*colours[place if len(row) > 1 else 7], 0.25)
        axis.text(
            centres[level][place], -level, label,
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
    alt="Flow chart in five rows. Behaviour leads to text, image and audio "
    "processing; these lead to a language model, a CNN and an RNN; all three "
    "lead to one fused representation, and that leads to recommendations.",
)

# %% [markdown]
# This is the flow chart of the article's section 2.4. The words in brackets name what the listing uses at that place.
#
# ## What a class is
#
# The listing leaves its classes, labels and sizes undefined. This chapter makes the simplest choices under which
# it *is* a recommender, names each, and changes nothing else. An example has *one* text, *one* image and *one*
# sound, so it is about one item. A class can be read in three ways:
#
# 1. **A label of the item**, such as its kind. Then no user occurs, and nothing is recommended to anyone.
# 2. **"Likes" or "does not like".** Then the user must be an input, and the listing has no such input.
# 3. **An item of the {term}`catalogue`.** The inputs are the content of the item that a user took *last*. The
#    label is the item that the same user took *next*.
#
# Only the third gives a ranked list for a user without a change of the listing. We take it. One item then
# represents the user. The page measures what that costs.
#
# ## The data
#
# {doc}`01_data` introduces the data and the preprocessing. A user's *first* interaction with an item counts.
# (Where there are many, the profile `quick` takes a part of the users.) Two moments cut the log into training,
# validation and test, the same moments for everyone. So no recommender learns from the future.

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
            "*Your data set does not say in which order items were taken. "
            "The article's network reads the item that a user took last: a "
            "small shop stands in for your data set in this chapter. The "
            "recommenders from the next chapter on need no order.*"
        )
    )

# %%
ONE_IN = 12  # users, where there are many and the profile is quick
taken = deduplicate(data.interactions)
if profile == "quick" and len(taken) > 10_000:
    taken = taken[taken["user"].isin(data.users[::ONE_IN])]
interactions = Interactions.of(taken, items=data.items["item"])
split = global_time_split(interactions)
cold = cold_items(split)  # bool (n_items,): without interaction in training
last, following = split.train.next_pairs()  # (n_examples,) each


# %% tags=["hide-input"]
def minute(timestamp):
    """Write a moment."""
    return f"{pd.to_datetime(timestamp, unit='s'):%Y-%m-%d %H:%M}"


parts = pd.DataFrame.from_dict(
    {
        name: {
            "interactions": len(part),
            "users": part.log["user"].nunique(),
            "items": part.log["item"].nunique(),
            "of them cold": int(cold[part.log["item"].unique()].sum()),
            "from": minute(part.log["timestamp"].min()),
            "to": minute(part.log["timestamp"].max()),
        }
        for name, part in [
            ("train", split.train),
            ("validation", split.validation),
            ("test", split.test),
        ]
    },
    orient="index",
)
display(plots.table(parts, index=True))
titles, texts = (data.items[name].to_numpy() for name in ("title", "text"))
examples = pd.DataFrame(
    {
        "item taken last": titles[last[:3]],
        "its text begins": [text[:60] + " …" for text in texts[last[:3]]],
        "label: item taken next": titles[following[:3]],
    }
)
quote("network-n-examples", f"{len(last):,}")
quote("network-dataset", data.name)
quote("network-stand-in", data.name if timeless else "")
quote("network-people", "simulated" if data.truth else "real")
quote(
    "network-part",
    f"This is a part of the data: one user in {ONE_IN}, in training and in the test."
    if profile == "quick" and interactions.n_users < data.n_users / 2
    else "",
)
quote("network-n-items", data.n_items)
quote("network-n-cold", int(cold.sum()))
quote("network-cold-in-test", f"{cold[split.test.log['item']].mean():.1%}")

# %% [markdown]
# Of {glue:text}`network-n-items` items, {glue:text}`network-n-cold` are *cold*: they have no interaction in training
# ({term}`cold start`). A recommender that only counts interactions cannot rank them. One that reads content could,
# and {glue:text}`network-cold-in-test` of the test interactions are with such items. The first three of
# {glue:text}`network-n-examples` training examples:

# %% tags=["hide-input"]
plots.table(examples)

# %% [markdown]
# ## From raw media to arrays
#
# Every item is encoded **once**. An example then only names a row of three arrays.
#
# | input | article | here |
# |---|---|---|
# | text | `(None,)` integers, `vocab_size` undefined | 64 words, with {term}`padding` *in front*: the LSTM then ends on a word |
# | image | shape undefined | 32 × 32 pixels, RGB, between 0 and 1 |
# | audio | shape undefined | 32 frames of 20 MFCCs, standardised |
#
# The {term}`vocabulary`, and the sounds' means and standard deviations, come from items that are known in training.
# The listing has no {term}`mask`. An item without a picture gets a black one, one without a sound the mean of all
# sounds, one without a text padding.

# %% tags=["remove-output"]
WORDS, PIXELS, FRAMES, COEFFICIENTS = 64, 32, 32, 20
files = {
    kind: [data.path(row, kind) for row in range(data.n_items)]
    for kind in ("image", "audio")
}
tokens = [tokenise(clean(text)) for text in data.items["text"]]
vocabulary = Vocabulary.of(
    (tokens[row] for row in np.flatnonzero(~cold)), max_size=2000
)
pictures, has_picture, faulty = encode_images(files["image"], size=PIXELS)
sounds, has_sound, more_faults = encode_audio(
    files["audio"],
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
for fault in [*faulty, *more_faults]:
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
quote("network-cut", f"{np.mean([len(text) > WORDS for text in tokens]):.0%}")
plots.table(arrays, index=True)

# %% [markdown]
# The last column shows how many items have the modality. {glue:text}`network-cut` of the texts are longer than
# 64 words and lose their end.
#
# ## The equations
#
# **Text.** $w_1, \dots, w_T$ are the words, each a number below $\lvert V \rvert$. An {term}`embedding`
# $E \in \mathbb{R}^{\lvert V \rvert \times d_e}$ has a row of $d_e$ numbers for each word. The LSTM of
# {eq}`eq-lstm`, with $L$ units, reads these rows from $h_0 = c_0 = 0$ and hands on its last state:
#
# $$
# \begin{aligned}
# (h_t, c_t) &= \operatorname{LSTM}(x_t, h_{t-1}, c_{t-1}), \qquad x_t = E_{w_t}, \\
# z_\text{text} &= h_T \in \mathbb{R}^{L} .
# \end{aligned}
# $$ (article-lstm)
#
# **Image.** $X \in \mathbb{R}^{H \times W \times C}$ is the picture. The kernel
# $K \in \mathbb{R}^{3 \times 3 \times C \times 32}$ and the bias $b \in \mathbb{R}^{32}$ belong to a
# convolution {eq}`eq-convolution` without padding. $\operatorname{pool}$ {eq}`cnn-pool` takes the maximum over
# $2 \times 2$ squares, $\operatorname{flatten}$ puts all numbers in one row:
#
# $$
# \begin{aligned}
# z_\text{image} &= \operatorname{flatten}\bigl(\operatorname{pool}(
#   \operatorname{ReLU}(\operatorname{conv}(X, K) + b))\bigr) \in \mathbb{R}^{d_\text{image}}, \\
# d_\text{image} &= 32 \Bigl\lfloor \tfrac{H-2}{2} \Bigr\rfloor \Bigl\lfloor \tfrac{W-2}{2} \Bigr\rfloor .
# \end{aligned}
# $$ (article-convolution)
#
# **Sound.** A second LSTM reads the rows of $A \in \mathbb{R}^{T \times F}$, $T$ frames of $F$ numbers, and ends in
# $z_\text{audio} \in \mathbb{R}^{L}$.
#
# **Fusion** is concatenation and a dense layer, with
# $W^{(1)} \in \mathbb{R}^{(2L + d_\text{image}) \times 128}$ and $b^{(1)} \in \mathbb{R}^{128}$:
#
# $$
# z = [z_\text{text}, z_\text{image}, z_\text{audio}], \qquad
# h^{(1)} = \operatorname{ReLU}\bigl(z\,W^{(1)} + b^{(1)}\bigr) \in \mathbb{R}^{128} .
# $$ (article-fusion)
#
# **Output** is a {term}`softmax` over the catalogue, with
# $W^{(2)} \in \mathbb{R}^{128 \times n_\text{items}}$ and $b^{(2)} \in \mathbb{R}^{n_\text{items}}$:
#
# $$
# \hat y = \operatorname{softmax}\bigl(h^{(1)} W^{(2)} + b^{(2)}\bigr) \in \mathbb{R}^{n_\text{items}} .
# $$ (article-softmax)
#
# **Loss** is the {term}`cross-entropy` ({doc}`01b_learning`). If the user took item $j$ next,
#
# $$
# \mathcal L = -\ln \hat y_j .
# $$ (article-loss)
#
# A network that has learnt nothing gives each item the probability $1 / n_\text{items}$: a loss of
# $\ln n_\text{items}$.
#
# ### NumPy
#
# With `conv2d`, `max_pool` and `lstm` of chapters 3 and 4, for a batch of $B$ examples:


# %%
def forward(text, image, audio, weights):  # -> (B, n_items)
    (E,), of_text, (K, b), of_audio, (W1, b1), (W2, b2) = weights
    z_text = lstm(E[text], *of_text)[:, -1]  # (B, L)
    maps = max_pool(conv2d(image, K, b, activation="relu"))  # (B, H', W', 32)
    z_image = maps.reshape(len(image), -1)  # (B, d_image)
    z_audio = lstm(audio, *of_audio)[:, -1]  # (B, L)
    z = np.concatenate([z_text, z_image, z_audio], axis=1)
    h = dense(z, W1, b1, "relu")  # (B, 128)
    return softmax(dense(h, W2, b2))


# %% [markdown]
# ### The same in Keras: the listing
#
# The article's layers in its order, with our sizes:

# %%
sizes = ArticleNetwork(seed=seed).sizes(content)
V, d_e, L = (
    sizes[name] for name in ("vocab_size", "embedding_size", "lstm_units")
)
with_weights = [
    layers.Embedding(V, d_e),
    layers.LSTM(L),
    layers.Conv2D(32, (3, 3), activation="relu"),
    layers.LSTM(L),
    layers.Dense(128, activation="relu"),
    layers.Dense(data.n_items, activation="softmax"),
]
embed, read_text, convolve, read_audio, fuse, choose = with_weights

text = layers.Input((WORDS,), dtype="int32")
image = layers.Input((PIXELS, PIXELS, 3))
audio = layers.Input((FRAMES, COEFFICIENTS))
z_text = read_text(embed(text))
z_image = layers.Flatten()(layers.MaxPooling2D((2, 2))(convolve(image)))
z_audio = read_audio(audio)
z = layers.concatenate([z_text, z_image, z_audio])
model = keras.Model([text, image, audio], choose(fuse(z)))
model.compile(optimizer="adam", loss="categorical_crossentropy")

weights = [layer.get_weights() for layer in with_weights]
four = [content[name][:4] for name in ("text", "image", "audio")]
ours = forward(*four, weights)
theirs = model.predict(four, verbose=0)
difference = np.abs(ours - theirs).max()
print(f"largest difference of a probability: {difference:.1e}")
assert difference < 1e-6

# %% [markdown]
# NumPy and Keras agree. `mmtutorial.article` has the same network (`build_network`), with the listing's names, and a
# recommender around it (`ArticleNetwork`). Its twelve layers:

# %% tags=["hide-input"]
library = build_network(**sizes)
library.set_weights(model.get_weights())
assert np.allclose(library.predict(four, verbose=0), theirs, atol=1e-6)
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
            for layer in library.layers
        ]
    )
)

# %% [markdown]
# ### Counting by hand
#
# An LSTM has a candidate and three gates. Each has weights for the input, weights for the state, and a bias. The
# number of words or frames does not matter: the weights are the same at every step.

# %%
d_image = z_image.shape[1]
encoder = {
    "text": V * d_e + 4 * L * (d_e + L + 1),
    "image": 32 * (3 * 3 * 3 + 1),
    "audio": 4 * L * (COEFFICIENTS + L + 1),
}
length = {"text": L, "image": d_image, "audio": L}  # entries of z
first_dense = {name: 128 * rows for name, rows in length.items()}
output = 128 + (128 + 1) * data.n_items  # with the first dense layer's biases
total = sum(encoder.values()) + sum(first_dense.values()) + output
assert total == model.count_params() == count_parameters(**sizes)

# %% tags=["hide-input"]
numbers = pd.DataFrame(
    {
        "encoder": encoder,
        "its rows of the first dense layer": first_dense,
        "output layer, and biases": {"all": output},
    }
)
numbers = numbers.reindex([*encoder, "all"]).fillna(0)
figure, axis = plt.subplots(figsize=(7, 2.8))
left = np.zeros(len(numbers))
for column, colour in zip(
    numbers.columns, sns.color_palette("colorblind")[:3], strict=True
):
    wide = numbers[column].to_numpy() / 1e3
    axis.barh(numbers.index, wide, left=left, color=colour, label=column)
    left += wide
axis.set(xlabel="parameters (thousands)")
axis.invert_yaxis()
axis.legend()
plots.show(
    figure,
    alt="Horizontal bars: how many parameters serve the text, the image, the "
    "audio and all of them. The bar of the image is by far the longest, and "
    "nearly all of it is the first dense layer.",
)
of_image = encoder["image"] + first_dense["image"]
quote("network-parameters", f"{total:,}")
quote("network-image-share", f"{of_image / total:.0%}")
quote("network-image-entries", f"{d_image / sum(length.values()):.1%}")
quote("network-image-rows", f"{d_image:,}")

# %% [markdown]
# Of {glue:text}`network-parameters` parameters, {glue:text}`network-image-share` serve the picture, nearly all in the
# first dense layer: `Flatten` hands on {glue:text}`network-image-rows` numbers, {glue:text}`network-image-entries` of
# all entries of $z$. Text and sound have 32 each. Concatenation treats entries alike, not modalities. So at the
# start the picture has most influence on $h^{(1)}$.
#
# ## Training, as written
#
# The listing says: Adam {cite}`kingma2015`, ten epochs, batches of 32. It has no early stopping. We measure the
# validation loss and do not act on it.

# %%
once = profile == "quick" or timeless  # of a stand-in, one is enough
seeds = [seed] if once else list(range(seed, seed + 5))
networks = []
for each in seeds:
    training = time.perf_counter()
    one = ArticleNetwork(seed=each, verbose=0, unroll=not once)
    networks.append(one.fit(split.train, content, split.validation))
    print(f"seed {each}: trained in {time.perf_counter() - training:.0f} s")
network = networks[0]

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
plots.training_curve(network.history, axes)
axes[0].axhline(
    np.log(data.n_items),
    color="0.4",
    linestyle=":",
    label="nothing learnt",
)
axes[0].legend(loc="upper left")
plots.show(
    figure,
    alt="Two panels over ten epochs. Left: cross-entropy in nats of training "
    "and validation, with a dotted line where nothing is learnt. Right: "
    "accuracy of training and validation.",
)
validation_loss = np.array(network.history["val_loss"])
quote("network-ln-n", f"{np.log(data.n_items):.2f}")
quote("network-train-loss", f"{network.history['loss'][-1]:.2f}")
quote("network-best-epoch", int(validation_loss.argmin()) + 1)
quote("network-best-loss", f"{validation_loss.min():.2f}")
quote("network-last-loss", f"{validation_loss[-1]:.2f}")

# %% [markdown]
# With nothing learnt the loss is {glue:text}`network-ln-n`. After ten epochs it is {glue:text}`network-train-loss` in
# training. In validation it was smallest, {glue:text}`network-best-loss`, after epoch
# {glue:text}`network-best-epoch`, and ended at {glue:text}`network-last-loss`. Where one curve falls and the other
# rises, the network overfits ({term}`overfitting`).
#
# ## From a softmax to recommendations
#
# The network is shown the item that a user took *last* in training. The list has the most probable items that the
# user does not own. Three users, drawn at random: left of the line the last three items of their training, right of
# it five recommendations.

# %% tags=["hide-input"]
shown = np.sort(
    np.random.default_rng(seed).choice(split.test_users, 3, replace=False)
)
chances = network.score(shown)
owned = (split.train.matrix + split.validation.matrix)[shown]
lists = top_k(chances, k=5, exclude=owned)
log = split.train.log
histories = [
    log.loc[log["user"] == user, "item"].to_numpy()[-3:] for user in shown
]
plots.show(
    plots.recommendation_sheet(
        data,
        histories,
        lists,
        [f"user {interactions.users[user]}" for user in shown],
    ),
    alt="Three rows of pictures, one a user: left of a line the last three "
    "items that the user took, right of it the five items that the network "
    "recommends.",
)

# %% [markdown]
# The first user's list with sound and text. {glue:text}`network-ticks`

# %% tags=["hide-input"]
later = split.test.matrix.toarray().astype(bool)
quote(
    "network-ticks",
    "A tick marks what the user took in the test period."
    if later[shown[0], lists[0]].any()
    else "The user took none of the five in the test period.",
)
plots.gallery(
    data,
    [histories[0][-1], *lists[0]] if len(histories[0]) else lists[0],
    (["took last"] if len(histories[0]) else [])
    + [
        f"{place}. {chances[0][item]:.1%}{' ✓' if later[shown[0], item] else ''}"
        for place, item in enumerate(lists[0], start=1)
    ],
)


# %% [markdown]
# ## How good are they?
#
# The article's section 9.3 names three measures. **Accuracy** it does not define; we take the hit rate. **Coverage**
# has two readings: the share of items that occur in some list, and the share of users with a hit. **NDCG**
# {cite}`jarvelin2002` also counts at which place a hit stands. {doc}`08_evaluation` defines them. Lists of ten come
# from the *whole* catalogue. The network is compared with
#
# - **random** lists;
# - **popularity**; many published recommenders failed to beat it {cite}`ferraridacrema2019`;
# - **the oracle**, which ranks by how probable each choice truly is, {eq}`eq-oracle`. It exists where users are
#   simulated, and is the limit for all;
# - **the one-item oracle**, the limit for all that read one item, as the network does.
#
# If user $u$ chooses item $i$ with probability $P(i \mid u)$, and an unknown user has taken $j$, Bayes' rule gives,
# with all users equally probable beforehand,
#
# $$
# P(i \mid j) = \sum_{u} P(u \mid j)\, P(i \mid u), \qquad
# P(u \mid j) = \frac{P(j \mid u)}{\sum_{u'} P(j \mid u')} .
# $$ (one-item-oracle)
#
# In matrices it is one product, $n_\text{items} \times n_\text{users}$ by $n_\text{users} \times n_\text{items}$:


# %%
class OneItemOracle(Recommender):
    name = "one-item oracle"

    def _learn(self, train, features, validation):
        chance = data.truth.chance(train.users)  # P(i | u)
        by_user = (chance / chance.sum(axis=0)).T  # P(u | j)
        self.next_item = by_user @ chance  # P(i | j), (n_items, n_items)
        self.last = train.last_items()

    def _score(self, users):
        return self.next_item[self.last[users]]


# %% tags=["hide-input"]
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

# %% tags=["hide-input"]
figure, axes = plt.subplots(
    1, 2, figsize=(8, 3), sharey=True, layout="constrained"
)
for axis, metric, label in zip(
    axes, ("hit_rate", "ndcg"), ("hit rate@10", "NDCG@10"), strict=True
):
    means = {n: each.summary().loc[metric] for n, each in evaluations.items()}
    plots.measures_with_intervals(pd.DataFrame(means).T, axis, label)
plots.show(
    figure,
    alt="Two panels, hit rate and NDCG at 10: a point with its 95 % interval "
    "for random, popularity, the article's network, the one-item oracle and "
    "the oracle.",
)


# %% tags=["remove-cell"]
def versus(name, other):
    """Say in words how two recommenders differ in NDCG, on the same users."""
    found = paired_comparison(evaluations[name], evaluations[other], seed=seed)
    difference = Estimate(found.difference, found.low, found.high)
    return "is " + difference.against(other)


ndcg = measures["ndcg"]
name = network.name
quote("network-n-test", f"{len(split.test_users):,}")
quote("network-versus-popularity", versus(name, "popularity"))
for key, other in {
    "": name,
    "popularity-": "popularity",
    "random-": "random",
}.items():
    quote(f"network-{key}hit-rate", f"{measures.loc[other, 'hit_rate']:.3f}")
    quote(
        f"network-{key}coverage",
        f"{measures.loc[other, 'item_coverage']:.0%}",
    )
quote(
    "network-share",
    f"{ndcg[name] / ndcg['oracle']:.0%} of the oracle's"
    if data.truth
    else f"{ndcg[name]:.3f}",
)
uncovered = measures.loc["random", "item_coverage"] < 0.995
n_test = len(split.test_users)
quote(
    "network-random-misses",
    f"Random lists miss items, too: {n_test:,} users have only {10 * n_test:,} places for "
    f"{data.n_items:,} items."
    if uncovered
    else "",
)
places = {
    each.recommender: cold[each.ranked].mean() for each in evaluations.values()
}
quote("network-cold-places", f"{places[name]:.2%}")
quote("network-random-cold-places", f"{places['random']:.2%}")

following_chance = network.model.predict(
    [content[each] for each in ("text", "image", "audio")], verbose=0
)  # (n_items, n_items): one row for each item taken last
newest = np.where(
    split.validation.last_items() >= 0,
    split.validation.last_items(),
    split.train.last_items(),
)
users = evaluations[name].users
all_owned = (split.train.matrix + split.validation.matrix)[users]
newer = metrics.ndcg(
    top_k(
        following_chance[newest[users]],
        k=10,
        exclude=all_owned,
    ),
    split.test.matrix[users],
)
quote("network-ndcg", f"{ndcg[name]:.4f}")
quote("network-newer-ndcg", f"{newer.mean():.4f}")

# %% [markdown]
# Points are means over test users, bars 95 % intervals ({term}`bootstrap` over users).
#
# - In NDCG@10 the article's network {glue:text}`network-versus-popularity`.
# - Its lists cover {glue:text}`network-coverage` of the catalogue, those of popularity
#   {glue:text}`network-popularity-coverage`, random ones {glue:text}`network-random-coverage`.
#   {glue:text}`network-random-misses` Coverage means something only together with accuracy.

# %% tags=["hide-input"]
if data.truth is None:
    words = (
        "- The users of this data set are real. Nobody knows how probable "
        "their choices were, so there is no oracle."
    )
else:
    of_oracle = ndcg / ndcg["oracle"]
    words = (
        f"- It reaches **{of_oracle[name]:.0%}** of the oracle's NDCG. One "
        f"item allows at most **{of_oracle['one-item oracle']:.0%}**: the "
        "rest is lost because only one item is read, whatever the encoders "
        "do. Of what one item allows, the network reaches "
        f"**{ndcg[name] / ndcg['one-item oracle']:.0%}**."
    )
Markdown(words)

# %% [markdown]
# When the test begins, the validation part is known too. From the last item of training the NDCG@10 is
# {glue:text}`network-ndcg`, from the last item of training and validation {glue:text}`network-newer-ndcg`.
#
# **On all users**, this chapter's own full run, one seed:

# %% tags=["hide-input"]
full = quoted_evidence(
    dataset,
    "05_article_network",
    {
        "network-n-test": "users tested",
        "network-hit-rate": "hit rate@10 of the network",
        "network-popularity-hit-rate": "hit rate@10 of popularity",
        "network-versus-popularity": "in NDCG@10, the network …",
        "network-share": "NDCG@10 (a share of the oracle's, where there is one)",
        "network-coverage": "item coverage@10 of the network",
        "network-popularity-coverage": "item coverage@10 of popularity",
        "network-best-epoch": "epoch with the smallest validation loss",
    },
)
display(full)
if full:
    values = full.table.set_index("measure")["value"]
    epoch = int(values["epoch with the smallest validation loss"])
    display(
        Markdown(
            f"On all users the network {values['in NDCG@10, the network …']}. "
            f"Its validation loss was smallest after epoch {epoch} of ten"
            + (": the later epochs overfit." if epoch < 10 else ".")
        )
    )

# %% [markdown]
# ### New items
#
# Cold items get {glue:text}`network-cold-places` of the places in the network's lists, and
# {glue:text}`network-random-cold-places` in random lists. The listing reads content at its *input* only. Its output
# has a column of weights for each item, which acts as the item's *id*. The column of an item that was never a label
# was only ever pushed down (exercise 3). So the network can read a cold item, but cannot recommend it. The
# recommender of {doc}`07_recommend` computes both sides from content.

# %% tags=["hide-input"]
if len(networks) > 1:
    over_seeds = pd.DataFrame(
        {
            f"seed {each.seed}": evaluate(each, split, k=10).per_user.mean()
            for each in networks
        }
    ).loc[["hit_rate", "ndcg"]]
    lowest, highest = (
        over_seeds.loc["ndcg"].min(),
        over_seeds.loc["ndcg"].max(),
    )
    quote("network-ndcg-seeds", f"{lowest:.4f} to {highest:.4f}")
    display(plots.table(over_seeds, index=True, digits=4))
    display(
        Markdown(
            f"From seed to seed, NDCG@10 lies between {lowest:.4f} and "
            f"{highest:.4f}."
        )
    )

# %% tags=["remove-cell"]
used = plots.resources(started)
quote("network-minutes", f"{used['seconds'] / 60:.1f}")
quote("network-memory", f"{used['peak_mb'] / 1000:.1f}")
quote("network-cores", int(used["cores"]))

# %% [markdown]
# ## What the article claims, and what we measured
#
# | row | the article | here |
# |---|---|---|
# | [N1](#claim-n1) | a network of twelve layers, ten epochs, batches of 32 | built as listed, equal to its equations; sizes, classes and labels are our choice |
# | [A5](#claim-a5) | sound through an RNN | 20 MFCCs a frame through the listing's LSTM |
# | [A6](#claim-a6) | one representation for users, one for items | neither: no user occurs in it, and an item is a column of weights |
# | [A7](#claim-a7) | recommendations from them | lists of ten without what the user owns; new users are served, new items are not |
# | [C1](#claim-c1) | 10 % more accurate than one modality | {glue:text}`network-gain` |
# | [M1](#claim-m1) | accuracy, coverage, NDCG | live: hit rate {glue:text}`network-hit-rate`, item coverage {glue:text}`network-coverage`, NDCG {glue:text}`network-share` |
# | [S1](#claim-s1) | 8 GB of memory and a 2 GHz processor suffice | this page took {glue:text}`network-minutes` minutes on {glue:text}`network-cores` cores and {glue:text}`network-memory` GB |
#
# One seed on a part of the users decides nothing. [The claims](../claims.md) carry the verdicts.
#
# ## Exercises
#
# **1.** How many parameters do the convolution and the first dense layer have with images of 64 × 64 pixels? What
# would a second `MaxPooling2D((2, 2))` change?
#
# ```{dropdown} Solution
# The convolution keeps its $32\,(27 + 1) = 896$. A side of 64 becomes 62 after the convolution and 31 after
# pooling. A second pooling halves it again, to 15, and leaves as many numbers as small pictures do.
# ```

# %% tags=["hide-cell"]
for pixels, side in ((32, 15), (64, 31), (64, 15)):
    rows_of_image = side * side * 32
    print(
        f"{pixels} pixels, {side:2} after pooling: {rows_of_image:6,} "
        f"numbers, first dense layer {128 * (rows_of_image + 2 * L + 1):9,} "
        "parameters"
    )

# %% [markdown]
# **2.** How many parameters has the output layer alone for a million items, and how much memory do they take as
# `float32`? Adam keeps two more numbers for each.
#
# ```{dropdown} Solution
# $129 \cdot 10^6$ parameters. A recommender that computes an item's vector from its content needs no such column
# ({doc}`07_recommend`).
# ```

# %% tags=["hide-cell"]
columns_of_million = 129 * 10**6
print(
    f"{columns_of_million:,} parameters, {columns_of_million * 4 / 1e9:.2f} "
    f"GB, with Adam's numbers {columns_of_million * 12 / 1e9:.2f} GB"
)

# %% [markdown]
# **3.** Let $b_i$ be entry $i$ of $b^{(2)}$. What is $\partial \mathcal L / \partial b_i$, and what does gradient
# descent do to the bias of an item that is never a label?
#
# ```{dropdown} Solution
# $\hat y_i - \mathbf{1}[i = j]$, as {doc}`01b_learning` derives. If $i$ is never the label, every step subtracts a
# multiple of $\hat y_i > 0$: the bias only ever falls. The
# same holds for $h^{(1)}$ times column $i$ of $W^{(2)}$, since $h^{(1)} \ge 0$. The item leaves every list,
# whatever it looks like. The cell below reads the trained biases.
# ```

# %% tags=["hide-cell"]
trained = network.model.get_layer("output").get_weights()[1]
never = np.ones(data.n_items, bool)
never[following] = False
for label, some in (("never a label", never), ("a label", ~never)):
    if some.any():
        print(
            f"{label:14}{some.sum():5} items, mean bias "
            f"{trained[some].mean():+.3f}, largest {trained[some].max():+.3f}"
        )

# %% [markdown]
# **4.** The one-item oracle knows all chances and stays far below the oracle. Which of the two sums in
# {eq}`one-item-oracle` loses the information? What would a *two*-item oracle use instead?
#
# ```{dropdown} Solution
# The first sum, with $P(u \mid j)$: one item leaves many users possible, and the average blurs their
# tastes. With two items $i', j$, chosen independently given the user,
# $P(u \mid i', j) \propto P(i' \mid u)\, P(j \mid u)$, which is sharper. That is why chapter 7 reads the whole
# history.
# ```

# %% tags=["hide-cell"]
if data.truth:
    chance = data.truth.chance(split.train.users)  # P(i | u)
    relevant = split.test.matrix[users]
    history = log.groupby("user")["item"].agg(list)
    for n_read in (1, 2, 4):
        belief = np.zeros(
            (len(users), len(chance))
        )  # ln P(u | items), + const
        for line, user in enumerate(users):
            read = history.get(user, [])[-n_read:]
            belief[line] = np.log(chance[:, read]).sum(axis=1)
        guess = softmax(belief) @ chance
        ranked = top_k(guess, k=10, exclude=all_owned)
        print(
            f"{n_read} items read: NDCG@10 "
            f"{metrics.ndcg(ranked, relevant).mean():.3f}"
        )
    print(f"the oracle:   NDCG@10 {ndcg['oracle']:.3f}")
else:
    print("The users are real: nobody knows their chances.")

# %% [markdown]
# **5.** Put the padding *behind* the words instead of in front (`padding="post"` of `sequences`). What
# happens to $z_\text{text}$ of a short text, and why does a mask make it right?
#
# ```{dropdown} Solution
# A text of $T < 64$ words is then followed by $64 - T$ steps of padding. The LSTM reads them like words and forgets
# the text. With `mask_zero=True` in the embedding, Keras carries the state over padded steps unchanged. The cell below
# prints how far the trained network's states of 40 short texts lie from their mean: where the distance is near 0, all
# texts look the same to the network.
# ```

# %% tags=["hide-cell"]
reader = keras.Model(
    network.model.inputs[0], network.model.get_layer("lstm_output").output
)
n_words = np.minimum([len(text) for text in tokens], WORDS)
shortest = np.argsort(n_words + WORDS * (n_words == 0))[:40]
for side in ("pre", "post"):
    states = reader.predict(
        sequences(
            [tokens[row] for row in shortest], vocabulary, WORDS, padding=side
        ),
        verbose=0,
    )
    spread = np.linalg.norm(states - states.mean(axis=0), axis=1).mean()
    print(f"padding {side:5} mean distance from the mean state {spread:.3f}")
print(f"(40 short texts of {n_words[shortest].mean():.0f} words on average)")

# %% [markdown]
# ## References
#
# LSTM {cite}`hochreiter1997`; Adam {cite}`kingma2015`; overfitting {cite}`goodfellow2016`; NDCG
# {cite}`jarvelin2002`; weak rivals {cite}`ferraridacrema2019`.
