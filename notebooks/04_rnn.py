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
# # The recurrent network
#
# **You will be able to**
#
# - turn a sound into a sequence of vectors, and hear what each step keeps of it;
# - run the article's recurrence and the LSTM over it from their equations, and get Keras's numbers;
# - differentiate through time by hand, and train with the gradients that you derived;
# - say when a gradient vanishes, explodes or dies on its way back through time, and measure it;
# - teach a recurrent network to tell sounds apart, and say what the order of the frames was worth.
#
# ## The idea in words
#
# A sound is not a bag of loudnesses: a siren played backwards is another siren. A
# {term}`recurrent neural network` reads the sound a frame at a time and carries along a state, its
# summary of what it has heard {cite}`elman1990`. The same weights serve at every step, as the same
# kernel serves at every place of a picture; a sound may last as long as it likes.
#
# The price is paid in training. Whatever the network should have noticed in the first frame, it
# learns from an error that is known after the last one, and the news travels back step by step. The
# article says that ReLU keeps it from fading. We shall see.

# %% tags=["parameters"]
profile = "quick"  # "full" draws more initial weights and trains more seeds
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
import inspect
import re
import time
from functools import partial

from mmtutorial import datasets, plots  # first: it quiets TensorFlow

import keras
import librosa
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf
from IPython.display import Markdown, display
from matplotlib.patches import FancyBboxPatch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mmtutorial.encoders.audio import audio_encoder, recurrent_layer
from mmtutorial.equations.activations import ACTIVATIONS, softmax
from mmtutorial.equations.recurrence import (
    gradient_norms,
    join_weights,
    lstm,
    lstm_backward,
    lstm_gates,
    recurrence,
    recurrence_backward,
    split_weights,
)
from mmtutorial.preprocessing import audio
from mmtutorial.reproduce import notebooks

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
plots.use_style()
keras.utils.set_random_seed(seed)
tf.config.experimental.enable_op_determinism()
# One step of a recurrence is too small to be shared out among cores.
threadpool_limits(1)
started = time.perf_counter()


quote = partial(notebooks.quote, "rnn")


def listing(function):
    """Show a function of the library without its docstring."""
    source = re.sub(
        r'\n    """.*?"""', "", inspect.getsource(function), flags=re.S
    )
    return Markdown(f"```python\n{source}```")


# %% [markdown]
# ## From sound to sequence
#
# The recordings of the catalogue, each with what it is a recording of: in `shop` the voice of a
# product, in `garments` the digit that somebody speaks {cite}`jackson2018`. Where a data set of your
# own has no sounds, or does not say what they are, a small shop stands in.

# %% tags=["remove-output"]
data = (
    datasets.load(dataset, seed=seed)
    if dataset in datasets.MAKERS
    else datasets.load(dataset)
)
RECORDINGS = 4000  # at most; a larger catalogue is sampled
AT_LEAST = 8  # recordings of a label, so that some can be held out


def labelled(data):
    """Return the rows of items whose recording has a label that is common enough."""
    if "audio_attribute" not in data.items:
        return np.array([], dtype=int)
    rows = np.flatnonzero(
        data.present()[:, datasets.MODALITIES.index("audio")]
    )
    label = data.items["audio_attribute"].iloc[rows]
    rows = rows[(label.map(label.value_counts()) >= AT_LEAST).to_numpy()]
    if data.items["audio_attribute"].iloc[rows].nunique() < 2:
        return rows[:0]
    generator = np.random.default_rng(seed)
    return np.sort(generator.permutation(rows)[:RECORDINGS])


stand_in = not len(labelled(data))
if stand_in:
    data = datasets.load("shop", n_items=320, n_users=30)
rows = labelled(data)
A, present, faults = audio.encode_audio(
    [data.path(row, "audio") for row in rows]
)

# %%
rows, A = rows[present], A[present]  # A: (n, 32, 20)
items = data.items.iloc[rows].reset_index(drop=True)
labels, y = np.unique(
    items["audio_attribute"].astype(str), return_inverse=True
)
n, T, F = A.shape
heard = A.any(axis=2)  # bool (n, 32): the other frames are filling
print(f"{data.name}: {n} recordings, {T} frames of {F} numbers each")
print(f"what they are: {', '.join(labels)}")
print(f"heard frames: {heard.sum(axis=1).min()} to {heard.sum(axis=1).max()}")
for fault in faults:
    print(fault)

# %% [markdown]
# Some of them, and one of them backwards:

# %% tags=["hide-input"]
firsts = [np.flatnonzero(y == label)[0] for label in range(len(labels))][:5]


def wave_of(number):
    """Read one recording again, cut to what the network hears."""
    path = data.path(rows[number], "audio")
    whole = audio.trim(audio.load_audio(path))
    loud = whole[: round(1.024 * audio.SAMPLE_RATE)]
    return 0.5 * loud / np.abs(loud).max()


waves = {labels[y[number]]: wave_of(number) for number in firsts}
backwards = f"{labels[y[firsts[0]]]}, backwards"
waves[backwards] = waves[labels[y[firsts[0]]]][::-1]
plots.players(waves, audio.SAMPLE_RATE)

# %% [markdown]
# {doc}`01_data` derives each step on the way to an array: the power in a window of 64 ms by
# frequency (the {term}`spectrogram`), gathered into 40 bands as the ear spaces them (the
# {term}`mel spectrogram`, equation {eq}`data-mel`), and the cosine transform of its logarithm (the
# {term}`MFCC`, equation {eq}`data-mfcc`) {cite}`davis1980,mcfee2015`. The result is
# $A \in \mathbb{R}^{T \times F}$: $T$ frames, $F$ numbers each; row $t$ is $x_t$.
#
# What does each step keep? From each array we make a sound again. Powers do not say where in its
# swing each tone begins, so that is found by trial, until the sound has the wanted spectrogram
# {cite}`griffin1984`; the bands and the cosines are undone by least squares.

# %%
wave = waves[labels[y[firsts[0]]]]
rate, window, hop = audio.SAMPLE_RATE, 2 * audio.HOP, audio.HOP
power = np.abs(librosa.stft(wave, n_fft=window, hop_length=hop)) ** 2
mel = audio.log_mel(wave)  # (T, 40), dB
cepstrum = audio.mfcc(wave)  # (T, 20)


def sound_of(magnitude):  # (window // 2 + 1, T) -> samples
    again = librosa.griffinlim(
        magnitude, hop_length=hop, n_fft=window, random_state=seed
    )
    return 0.5 * again / np.abs(again).max()


def from_mel(powers):  # (40, T) -> samples
    return sound_of(
        librosa.feature.inverse.mel_to_stft(powers, sr=rate, n_fft=window)
    )


again = {
    "the waveform": wave,
    "from the spectrogram": sound_of(np.sqrt(power)),
    "from 40 mel bands": from_mel(librosa.db_to_power(mel.T)),
    "from 20 MFCCs": from_mel(
        librosa.feature.inverse.mfcc_to_mel(cepstrum.T, n_mels=audio.BANDS)
    ),
}

# %% tags=["hide-input"]
display(plots.players(again, rate))
figure, axes = plt.subplots(2, 2, figsize=(7, 4.8), layout="constrained")
seconds = len(wave) / rate
frame = np.arange(len(mel) + 1) * hop / rate - hop / rate / 2
axes[0, 0].plot(np.arange(len(wave)) / rate, wave, linewidth=0.4)
axes[0, 0].set(ylabel="amplitude", title="waveform")
grids = {
    "spectrogram": (
        librosa.power_to_db(power),
        np.linspace(0, rate / 2000, len(power) + 1),
        "frequency (kHz)",
    ),
    "mel spectrogram": (mel.T, np.arange(audio.BANDS + 1) + 0.5, "band"),
    "MFCC": (cepstrum.T[1:], np.arange(F) + 0.5, "coefficient, without 0"),
}
for axis, (title, (grid, edges, label)) in zip(
    axes.flat[1:], grids.items(), strict=True
):
    mesh = axis.pcolormesh(frame, edges, grid, cmap="viridis", rasterized=True)
    axis.set(ylabel=label, title=title)
    figure.colorbar(mesh, ax=axis, label="" if title == "MFCC" else "dB")
for axis in axes.flat:
    axis.set(xlabel="time (s)", xlim=(0, seconds))
    axis.grid(False)
plots.show(
    figure,
    "One sound in four panels over time: its waveform, its spectrogram up to 4 kHz, its mel "
    "spectrogram in 40 bands, and its mel-frequency cepstral coefficients 1 to 19.",
)

# %% [markdown]
# {glue:text}`rnn-per-second-wave:,d` numbers a second have become
# {glue:text}`rnn-per-second-mfcc:,d`. The fine lines of the
# spectrogram, which tell how high a tone is, are gone; its coarse shape stays, which tells one vowel or
# instrument from another. That is what MFCCs were made for.

# %% tags=["remove-cell"]
quote(
    dataset=data.name,
    stand_in=data.name if stand_in else "",
    n=n,
    n_labels=len(labels),
    per_second_wave=rate,
    per_second_mfcc=round(F * rate / hop),
    filled=100 * (1 - heard.mean()),
    label=labels[y[firsts[0]]],
)

# %% [markdown]
# ## The recurrence
#
# The article's equation, with state $h_t \in \mathbb{R}^L$, $h_0 = 0$,
# $W_h \in \mathbb{R}^{(L+F) \times L}$ and $b_h \in \mathbb{R}^L$:
#
# $$
# h_t = \sigma(a_t), \qquad a_t = [h_{t-1}, x_t]\, W_h + b_h = h_{t-1} U + x_t W + b_h .
# $$ (eq-recurrence)
#
# $U \in \mathbb{R}^{L \times L}$ is the upper part of $W_h$, $W \in \mathbb{R}^{F \times L}$ the lower:
# one matrix over the concatenation is Keras's recurrent kernel and kernel on top of each other.
# *Unrolled* over time, it is a network as deep as the sound is long, whose layers all have the same
# weights:

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
colours = sns.color_palette("colorblind")
for step, name in enumerate(("1", "2", "3", "T")):
    at = 2 * step + (step == 3)
    axis.add_patch(
        FancyBboxPatch(
            (at - 0.4, -0.3),
            0.8,
            0.6,
            boxstyle="round,pad=0.05",
            facecolor=(*colours[0], 0.25),
            edgecolor="0.4",
        )
    )
    axis.text(at, 0, f"$h_{{{name}}}$", ha="center", va="center")
    axis.text(at, -1.35, f"$x_{{{name}}}$", ha="center", va="center")
    axis.text(at + 0.1, -0.78, "$W$", color=colours[3], fontsize=10)
    arrow = {"arrowstyle": "->", "color": "0.3"}
    axis.annotate("", (at, -0.36), (at, -1.15), arrowprops=arrow)
    axis.annotate("", (at - 0.46, 0), (at - 1.5, 0), arrowprops=arrow)
    axis.text(at - 1, 0.13, "$U$", ha="center", color=colours[2], fontsize=10)
axis.text(-1.7, 0, "$h_0$", ha="center", va="center")
axis.text(5.2, 0, "…", ha="center", va="center")
axis.annotate("", (7, 1), (7, 0.36), arrowprops=arrow)
axis.text(7, 1.15, r"$\mathcal{L}$", ha="center", va="center")
axis.annotate(
    "",
    (-0.2, 0.62),
    (6.6, 0.62),
    arrowprops={"arrowstyle": "->", "color": colours[1], "linestyle": "--"},
)
axis.text(3.2, 0.78, "the gradient's way back", ha="center", color=colours[1])
axis.set(xlim=(-2, 7.6), ylim=(-1.6, 1.4))
axis.axis("off")
plots.show(
    figure,
    "The recurrence unrolled: states h1, h2, h3 to hT in a row, an arrow marked U from each to the "
    "next, an arrow marked W from each input below into its state, the loss above the last state, "
    "and a dashed arrow back from there to the first state.",
)

# %% [markdown]
# In NumPy it is a loop over time, for the whole batch at once. What does not need the state,
# $x_t W + b_h$, is computed for all steps before:

# %% tags=["hide-input"]
listing(recurrence)

# %% [markdown]
# Is that what Keras computes, and is the article's one matrix Keras's two? With eight real sounds, for
# every $\sigma$, in single and in double precision:

# %%
few, L = A[:8], 64
most = {"float32": 1e-5, "float64": 1e-10}
differences = pd.DataFrame(index=list(ACTIVATIONS), columns=list(most))
for dtype in ("float32", "float64"):
    for sigma in ACTIVATIONS:
        layer = keras.layers.SimpleRNN(
            L, activation=sigma, return_sequences=True, dtype=dtype
        )
        theirs = np.asarray(layer(few.astype(dtype)))  # (8, T, L)
        kernel, recurrent, b_h = layer.get_weights()
        W_h = join_weights(kernel, recurrent)  # (L + F, L)
        ours = recurrence(few.astype(dtype), W_h, b_h, sigma)

        one = np.concatenate([ours[:, 3], few[:, 4]], axis=1) @ W_h + b_h
        as_written = ACTIVATIONS[sigma].function(one)  # equation, step 5
        assert np.allclose(as_written, ours[:, 4], atol=1e-4)

        scale = max(1, np.abs(theirs).max())
        differences.loc[sigma, dtype] = np.abs(ours - theirs).max() / scale
        assert differences.loc[sigma, dtype] < most[dtype]
plots.table(differences.astype(float), index=True, digits=2)

# %% [markdown]
# The largest differences, as a share of the largest state where that exceeds 1: nothing but
# rounding. As printed, the article's equation *is* Keras's `SimpleRNN`.
#
# ## Back-propagation through time
#
# Let the loss $\mathcal L$ depend on the last state only, as in the listing. Write
# $\delta_t = \partial \mathcal L / \partial a_t$, a row of $L$ numbers. By the chain rule through
# $\sigma$, entry by entry, and then through $a_{t+1} = h_t U + x_{t+1} W + b_h$,
#
# $$
# \delta_t = \frac{\partial \mathcal L}{\partial h_t} \odot \sigma'(a_t), \qquad
# \frac{\partial \mathcal L}{\partial h_t} = \delta_{t+1} U^{\mathsf T} \quad (t < T).
# $$ (rnn-delta)
#
# The weights occur at *every* step, so each step adds its part:
#
# $$
# \frac{\partial \mathcal L}{\partial W_h} = \sum_{t=1}^{T} [h_{t-1}, x_t]^{\mathsf T}\, \delta_t, \qquad
# \frac{\partial \mathcal L}{\partial b_h} = \sum_{t=1}^{T} \delta_t, \qquad
# \frac{\partial \mathcal L}{\partial x_t} = \delta_t W^{\mathsf T} .
# $$ (rnn-weights)
#
# This is {term}`back-propagation through time` {cite}`werbos1990`. If the loss looks at other states
# too, what it says of $h_t$ directly is added to $\partial \mathcal L / \partial h_t$.
#
# **Two steps by hand.** One unit, one feature: $x = (1, 2)$, $U = \frac12$, $W = 1$, $b_h = 0$,
# $\sigma = \operatorname{ReLU}$, $\mathcal L = h_2$. Forwards, $h_1 = \operatorname{ReLU}(0 + 1) = 1$ and
# $h_2 = \operatorname{ReLU}(\frac12 \cdot 1 + 2) = \frac52$. Backwards, both units are awake, so
# $\sigma' = 1$ twice:
#
# $$
# \begin{aligned}
# \delta_2 &= 1, & \delta_1 &= \delta_2\, U = \tfrac12, \\
# \frac{\partial \mathcal L}{\partial U} &= h_0 \delta_1 + h_1 \delta_2 = 0 + 1 = 1, &
# \frac{\partial \mathcal L}{\partial W} &= x_1 \delta_1 + x_2 \delta_2 = \tfrac12 + 2 = \tfrac52 .
# \end{aligned}
# $$ (rnn-by-hand)
#
# Check: $h_2 = U W x_1 + W x_2$, so $\partial h_2 / \partial U = W x_1 = 1$ and
# $\partial h_2 / \partial W = U x_1 + x_2 = \frac52$. The same from the library:

# %%
x = np.array([[[1.0], [2.0]]])  # (batch 1, T 2, F 1)
W_h = np.array([[0.5], [1.0]])  # U on top of W
h = recurrence(x, W_h, np.zeros(1), "relu")
direct = np.array([[[0.0], [1.0]]])  # the loss is h_2 itself
by_hand = recurrence_backward(direct, x, h, W_h, "relu")
print("states:", h.ravel(), " gradient by U and W:", by_hand.joined.ravel())
assert (by_hand.joined.ravel() == [1, 2.5]).all()

# %% tags=["hide-input"]
listing(recurrence_backward)

# %% [markdown]
# And on the real sounds, for a loss of the last state, beside TensorFlow's tape, and beside central
# differences $(\mathcal L(w + \epsilon) - \mathcal L(w - \epsilon)) / 2\epsilon$ for 20 of the weights:

# %%
generator = np.random.default_rng(seed)
x = few.astype(np.float64)
layer = keras.layers.SimpleRNN(L, dtype="float64", return_sequences=True)
layer.build(x.shape)
kernel, recurrent, b_h = layer.get_weights()
W_h = join_weights(kernel, recurrent)
direction = generator.standard_normal((len(x), L))  # L = sum(direction · h_T)

with tf.GradientTape() as tape:
    loss = tf.reduce_sum(layer(x)[:, -1] * direction)
tape_kernel, tape_recurrent, tape_bias = tape.gradient(
    loss, layer.trainable_variables
)

h = recurrence(x, W_h, b_h, "tanh")
direct = np.zeros_like(h)
direct[:, -1] = direction
ours = recurrence_backward(direct, x, h, W_h, "tanh")
theirs = join_weights(tape_kernel.numpy(), tape_recurrent.numpy())
to_tape = np.abs(ours.joined - theirs).max() / np.abs(theirs).max()

slopes, epsilon = [], 1e-6
places = generator.integers(0, W_h.shape, (20, 2))
for i, j in places:
    nudge = np.zeros_like(W_h)
    nudge[i, j] = epsilon
    up, down = (
        (recurrence(x, W, b_h, "tanh")[:, -1] * direction).sum()
        for W in (W_h + nudge, W_h - nudge)
    )
    slopes.append((up - down) / (2 * epsilon))
to_slopes = np.abs(ours.joined[*places.T] - slopes).max()
print(f"largest difference from the tape: {to_tape:.1e} of the largest")
print(f"largest difference from central differences: {to_slopes:.1e}")
assert to_tape < 1e-10
assert to_slopes < 1e-5

# %% tags=["remove-cell"]
quote(
    forward_difference=float(differences["float64"].max()),
    gradient_difference=float(to_tape),
)

# %% [markdown]
# ## Vanish, explode, die
#
# Put the two halves of {eq}`rnn-delta` together, from $T$ down to $t$:
#
# $$
# \frac{\partial \mathcal L}{\partial h_t} = \frac{\partial \mathcal L}{\partial h_T}\,
# J_T\, J_{T-1} \cdots J_{t+1}, \qquad
# J_s = \operatorname{diag}\bigl(\sigma'(a_s)\bigr)\, U^{\mathsf T} .
# $$ (eq-bptt)
#
# Each factor stretches a vector by at most $\gamma \lVert U \rVert$, where $\gamma$ bounds
# $\lvert\sigma'\rvert$ (1 for ReLU and tanh, 1/4 for the sigmoid), so
#
# $$
# \Bigl\lVert \frac{\partial \mathcal L}{\partial h_t} \Bigr\rVert \le
# (\gamma \lVert U \rVert)^{T-t}\,
# \Bigl\lVert \frac{\partial \mathcal L}{\partial h_T} \Bigr\rVert .
# $$ (eq-bound)
#
# If $\gamma \lVert U \rVert < 1$ the gradient vanishes, exponentially in the distance; to explode it
# needs $\gamma \lVert U \rVert > 1$ {cite}`bengio1994,pascanu2013`. ReLU makes $\sigma'$ exactly 1 for
# units that are active and 0 for the others. It leaves the powers of $U$ as they are, and nothing
# bounds the state.
#
# **What to expect of ReLU.** Draw the entries of $U$ independently with mean 0 and variance
# $\rho^2 / L$; its *spectral radius*, the size of its largest eigenvalue, is then about $\rho$. A row
# $\delta$ that is multiplied by $U^{\mathsf T}$ gets on average $\rho^2$ times its squared length, and
# the mask of sleeping units lets through the share $q$ of it:
#
# $$
# \mathbb E \Bigl\lVert \frac{\partial \mathcal L}{\partial h_{t-1}} \Bigr\rVert^2 \approx q \rho^2\,
# \Bigl\lVert \frac{\partial \mathcal L}{\partial h_t} \Bigr\rVert^2 .
# $$ (rnn-half)
#
# With half of the units awake, $q = \frac12$, the length changes by $\rho / \sqrt 2$ a step: it vanishes
# at $\rho = 1$, explodes at $\rho = 2$, and stays at $\rho = \sqrt 2$, which is the start that
# {cite:t}`he2015` advise for deep networks. Nothing in it is peculiar to time.
#
# ### The measurement
#
# The sounds of the catalogue, played one after another without a pause, cut into pieces of 100 frames:
# over three seconds each. The loss is a random direction of the last state. We measure the length of
# its gradient by the state at every step, over several draws of the weights, for each $\sigma$ and each
# spectral radius.

# %%
STEPS, PIECES, UNITS = 100, 16, 64
DRAWS = 5 if profile == "quick" else 25
RADII = (0.5, 1.0, 1.4, 2.0, 4.0)

stream = A[heard].astype(np.float64)  # every heard frame, one after another
enough = max(len(stream) // STEPS, PIECES) * STEPS
stream = np.resize(stream, (enough, F)).reshape(-1, STEPS, F)
generator = np.random.default_rng(seed)
pieces = generator.permutation(stream)[:PIECES]  # (16, 100, F)


def last_direction(shape):
    """A loss of the last state alone: a direction of length 1."""
    direct = np.zeros(shape)
    direction = generator.standard_normal((shape[0], shape[2]))
    direct[:, -1] = direction / np.linalg.norm(
        direction, axis=1, keepdims=True
    )
    return direct


def back(sigma, kernel, recurrent, bias, x):
    """Norm of the gradient by each state (pieces, steps), and the states."""
    W_h = join_weights(kernel, recurrent)
    states = recurrence(x, W_h, bias, sigma)
    direct = last_direction(states.shape)
    gradient = recurrence_backward(direct, x, states, W_h, sigma)
    return gradient_norms(gradient.states), states


def gaussian(radius):
    """Random weights: U with exactly this spectral radius, W as in Keras."""
    U = generator.standard_normal((UNITS, UNITS)) / np.sqrt(UNITS)
    U *= radius / np.abs(np.linalg.eigvals(U)).max()
    limit = np.sqrt(6 / (F + UNITS))  # Glorot & Bengio
    W = generator.uniform(-limit, limit, (F, UNITS))
    return W, U, np.zeros(UNITS)


norms, states = {}, {}
for sigma in ("sigmoid", "tanh", "relu"):
    for radius in RADII:
        runs = [back(sigma, *gaussian(radius), pieces) for _ in range(DRAWS)]
        norms[sigma, radius] = np.concatenate([run[0] for run in runs])
        states[sigma, radius] = np.stack([run[1] for run in runs])

# %% tags=["hide-input"]
FLOOR = 1e-40  # what a logarithmic axis can show of nothing


def curve(norm):
    """The median length of the gradient, from the last step backwards."""
    return np.maximum(np.median(norm, axis=0)[::-1], FLOOR)


LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
scale = sns.color_palette("viridis", len(RADII))
figure, axes = plt.subplots(
    1, 3, figsize=(8, 3.4), sharey=True, layout="constrained"
)
for axis, sigma in zip(axes, ("sigmoid", "tanh", "relu"), strict=True):
    for radius, colour, line in zip(RADII, scale, LINES, strict=True):
        norm = norms[sigma, radius]
        axis.semilogy(
            np.arange(STEPS),
            curve(norm),
            color=colour,
            linestyle=line,
            label=f"{radius}",
        )
    axis.axhline(1, color="0.5", linewidth=0.8)
    axis.set(
        title="ReLU" if sigma == "relu" else sigma,
        xlabel="steps before the last",
        ylim=(1e-35, 1e35),
    )
axes[0].set_ylabel("length of the gradient (last = 1)")
axes[0].legend(
    title="spectral radius",
    fontsize=8,
    title_fontsize=8,
    ncols=2,
    loc="upper right",
)
plots.show(
    figure,
    "Three panels, sigmoid, tanh and ReLU: the median length of the gradient on a logarithmic axis "
    "against steps before the last, one line for each spectral radius from 0.5 to 4. The lines are "
    "nearly straight: they fall for small radii; for ReLU they rise for large ones.",
)

# %% [markdown]
# Straight lines on a logarithmic axis are powers: the gradient changes by nearly the same factor at
# every step. Here is the factor, from the median over all pieces and draws, and what has become of the
# gradient 99 steps back. We say that it *vanishes* if it has less than a thousandth of its length
# left, *explodes* if it has grown more than a thousandfold, and *lives* in between.

# %% tags=["hide-input"]
LIMIT = 1e3


def fate(norm):
    """Say what has become of a gradient, by its median length at step 1."""
    left = np.median(norm[:, 0])
    if not left:
        return "dies"
    if left < 1 / LIMIT:
        return "vanishes"
    return "explodes" if left > LIMIT else "lives"


def factor(norm):
    """How the median length changes per step, going back."""
    return np.median(norm[:, 0]) ** (1 / (norm.shape[1] - 1))


awake = {
    radius: (states["relu", radius] > 0).mean() for radius in RADII
}  # q of the equation
overview = pd.DataFrame(
    {
        "spectral radius": RADII,
        **{
            f"{name}: {what}": [
                measure(norms[sigma, radius]) for radius in RADII
            ]
            for sigma, name in (
                ("sigmoid", "sigmoid"),
                ("tanh", "tanh"),
                ("relu", "ReLU"),
            )
            for what, measure in (("per step", factor), ("fate", fate))
        },
        "ReLU: √q ρ": [np.sqrt(awake[radius]) * radius for radius in RADII],
    }
)
plots.table(overview, digits=2)

# %% tags=["remove-cell"]
fates = {key: fate(norm) for key, norm in norms.items()}


def radii_of(sigma, what):
    """Name the radii at which this happens."""
    found = [str(radius) for radius in RADII if fates[sigma, radius] == what]
    return ", ".join(found) or "none of these"


off = np.abs(np.log(overview["ReLU: per step"] / overview["ReLU: √q ρ"])).max()
quote(
    draws=DRAWS,
    relu_lives=radii_of("relu", "lives"),
    relu_explodes=radii_of("relu", "explodes"),
    relu_vanishes=radii_of("relu", "vanishes"),
    tanh_lives=radii_of("tanh", "lives"),
    tanh_explodes=radii_of("tanh", "explodes"),
    tanh_vanishes=radii_of("tanh", "vanishes"),
    sigmoid_vanishes=radii_of("sigmoid", "vanishes"),
    awake=100 * awake[1.0],
    prediction_off=100 * np.expm1(off)
    if np.isfinite(off)
    else "infinitely many",
    relu_factor_1=factor(norms["relu", 1.0]),
    tanh_factor_1=factor(norms["tanh", 1.0]),
)

# %% [markdown]
# - **Sigmoid** recurrences vanish at radius {glue:text}`rnn-sigmoid-vanishes`: $\sigma' \le \frac14$ at
#   every step.
# - **tanh** vanishes at {glue:text}`rnn-tanh-vanishes`, lives at {glue:text}`rnn-tanh-lives` and
#   explodes at {glue:text}`rnn-tanh-explodes`.
# - **ReLU** vanishes at {glue:text}`rnn-relu-vanishes`, lives at {glue:text}`rnn-relu-lives` and
#   explodes at {glue:text}`rnn-relu-explodes`. Equation {eq}`rnn-half`, with the measured share of awake
#   units ({glue:text}`rnn-awake:.0f` % at radius 1), predicts the factor to within
#   {glue:text}`rnn-prediction-off:.0f` %.
#
# At radius 1, a step back multiplies the gradient by {glue:text}`rnn-relu-factor-1:.2f` with ReLU and
# by {glue:text}`rnn-tanh-factor-1:.2f` with tanh. What decides is the size of $U$, and $\sigma$ only
# moves the place where decay turns into growth. And with ReLU the *forward* pass grows along:

# %% tags=["hide-input"]
figure, axes = plt.subplots(
    1, 2, figsize=(7.5, 3.2), sharey=True, layout="constrained"
)
for axis, sigma in zip(axes, ("tanh", "relu"), strict=True):
    for radius, colour, line in zip(RADII, scale, LINES, strict=True):
        size = np.median(
            np.linalg.norm(states[sigma, radius], axis=3), axis=(0, 1)
        )
        axis.semilogy(
            np.arange(1, STEPS + 1),
            size,
            color=colour,
            linestyle=line,
            label=f"{radius}",
        )
    axis.set(title="ReLU" if sigma == "relu" else sigma, xlabel="frame")
axes[0].set_ylabel("length of the state")
axes[1].legend(title="spectral radius", fontsize=8, title_fontsize=9)
plots.show(
    figure,
    "Median length of the state against the frame on a logarithmic axis: with tanh it stays below "
    "8 for every spectral radius; with ReLU it grows exponentially for the largest radii.",
)


# %% [markdown]
# ### Careful starts
#
# Nobody has to draw $U$ like that. Keras starts it as an *orthogonal* matrix, which changes no
# vector's length {cite}`saxe2014`; {cite:t}`le2015` start ReLU at the *identity*, with tiny $W$, so
# that at first every unit just adds up what it hears (the "IRNN"). And the listing takes an
# {term}`LSTM`, to which we come next; its state is $h_t$ and $c_t$ together. The same measurement for
# these, each as its Keras layer starts:


# %%
def careful(name):
    """Norm of the gradient by the state, for weights as Keras starts them."""
    cell, _, option = name.partition(", forget bias ")
    layer = recurrent_layer(cell.split()[0], UNITS)
    layer.build((None, STEPS, F))
    kernel, recurrent, bias = [
        array.astype(np.float64) for array in layer.get_weights()
    ]
    if cell != "LSTM":
        sigma = "tanh" if cell == "tanh orthogonal" else "relu"
        return back(sigma, kernel, recurrent, bias, pieces)
    bias[UNITS : 2 * UNITS] = float(option)
    gates = lstm_gates(pieces, kernel, recurrent, bias)
    direct = last_direction(gates.state.shape)
    gradient = lstm_backward(direct, pieces, gates, kernel, recurrent)
    norm = gradient_norms(gradient.states, gradient.cells)
    return norm / norm[:, -1:], gates.state


STARTS = (
    "tanh orthogonal",
    "ReLU orthogonal",
    "IRNN",
    "LSTM, forget bias 1",
    "LSTM, forget bias 4",
)
keras.utils.set_random_seed(seed)
careful_norms, careful_states = {}, {}
for name in STARTS:
    runs = [careful(name) for _ in range(DRAWS)]
    careful_norms[name] = np.concatenate([run[0] for run in runs])
    careful_states[name] = np.stack([run[1] for run in runs])

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for name, colour, line in zip(STARTS, colours, LINES, strict=False):
    norm = careful_norms[name]
    axis.semilogy(
        np.arange(STEPS), curve(norm), color=colour, linestyle=line, label=name
    )
    axis.fill_between(
        np.arange(STEPS),
        *np.maximum(np.quantile(norm, [0.1, 0.9], axis=0)[:, ::-1], FLOOR),
        color=colour,
        alpha=0.15,
    )
axis.axhline(1, color="0.5", linewidth=0.8)
axis.set(
    xlabel="steps before the last",
    ylabel="length of the gradient (last = 1)",
    ylim=(1e-14, 1e2),
)
axis.legend(fontsize=8)
plots.show(
    figure,
    "Median length of the gradient by the state on a logarithmic axis against steps before the last, "
    "with bands that hold 80 per cent of the runs, for five careful starts: "
    + "; ".join(f"{name} {fate(norm)}" for name, norm in careful_norms.items())
    + ".",
)

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        {
            "start": STARTS,
            "per step": [factor(norm) for norm in careful_norms.values()],
            "left of it 99 steps back": [
                np.median(norm[:, 0]) for norm in careful_norms.values()
            ],
            "fate": [fate(norm) for norm in careful_norms.values()],
            "runs without any gradient (%)": [
                100 * (norm[:, 0] == 0).mean()
                for norm in careful_norms.values()
            ],
            "units that never wake (%)": [
                f"{100 * (~(values > 0).any(axis=(1, 2))).mean():.1f}"
                if name in ("ReLU orthogonal", "IRNN")
                else "–"
                for name, values in careful_states.items()
            ],
        }
    ),
    digits=2,
)

# %% tags=["remove-cell"]
relu_fates = [fates["relu", radius] for radius in RADII]
careful_fates = {name: fate(norm) for name, norm in careful_norms.items()}
relu_careful = {
    name: careful_fates[name] for name in ("ReLU orthogonal", "IRNN")
}
alive = [*relu_fates, *relu_careful.values()].count("lives")
of = len(relu_fates) + len(relu_careful)
better = sum(
    abs(np.log(factor(norms["relu", r])))
    < abs(np.log(factor(norms["tanh", r])))
    for r in RADII
)
if alive == of:
    verdict = "holds: the gradient lives at every start that we tried"
elif alive:
    living = [
        *(f"radius {r}" for r in RADII if fates["relu", r] == "lives"),
        *(name for name, what in relu_careful.items() if what == "lives"),
    ]
    verdict = (
        f"holds under conditions: of {of} starts of ReLU the gradient lives at "
        f"{alive} ({', '.join(living)}); ReLU alone does not see to it"
    )
else:
    verdict = (
        f"does not hold: at none of {of} starts of ReLU does the gradient live"
    )
quote(
    verdict_t3=verdict,
    better=better,
    radii=len(RADII),
    irnn_left=np.median(careful_norms["IRNN"][:, 0]),
    irnn_fate=careful_fates["IRNN"],
    relu_orthogonal_left=np.median(careful_norms["ReLU orthogonal"][:, 0]),
    relu_orthogonal_fate=careful_fates["ReLU orthogonal"],
    tanh_orthogonal_fate=careful_fates["tanh orthogonal"],
    lstm_fate=careful_fates["LSTM, forget bias 1"],
    lstm_open_fate=careful_fates["LSTM, forget bias 4"],
    lstm_factor=factor(careful_norms["LSTM, forget bias 1"]),
    lstm_open_factor=factor(careful_norms["LSTM, forget bias 4"]),
)

# %% [markdown]
# **The verdict on [T3](#claim-t3), by this rule, {glue:text}`rnn-verdict-t3`.** Of the
# {glue:text}`rnn-radii` radii above, ReLU is nearer to a factor of 1 than tanh at
# {glue:text}`rnn-better`. And with the careful starts? It {glue:text}`rnn-tanh-orthogonal-fate` with
# tanh and {glue:text}`rnn-relu-orthogonal-fate` with ReLU, both orthogonal, and
# {glue:text}`rnn-irnn-fate` in the IRNN. In an LSTM as it comes it {glue:text}`rnn-lstm-fate`, with
# a factor of {glue:text}`rnn-lstm-factor:.2f` a step: its forget gate is half open. With a bias of 4 that
# opens the gate, it {glue:text}`rnn-lstm-open-fate`, with {glue:text}`rnn-lstm-open-factor:.3f` a step. All
# this is *before* training; what training makes of it, we shall see below.
#
# ## The LSTM
#
# The LSTM {cite}`hochreiter1997,gers2000` adds to a second state $c_t \in \mathbb{R}^L$. With
# $\iota_t$, $\phi_t$, $\omega_t$ the input, forget and output gates (each
# $\operatorname{sigmoid}([h_{t-1}, x_t] W_\bullet + b_\bullet)$ with weights of its own) and the
# candidate $g_t = \tanh([h_{t-1}, x_t] W_g + b_g)$,
#
# $$
# c_t = \phi_t \odot c_{t-1} + \iota_t \odot g_t, \qquad h_t = \omega_t \odot \tanh(c_t) .
# $$ (eq-lstm)
#
# Along the direct path from $c_{t-1}$ to $c_t$ the derivative is $\operatorname{diag}(\phi_t)$: a
# learnt number between 0 and 1, instead of a power of $U$. Backwards, with
# $\bar h_t = \partial \mathcal L / \partial h_t$ and $\bar c_t = \partial \mathcal L / \partial c_t$,
#
# $$
# \begin{aligned}
# \bar c_t &= \bar c_{t+1} \odot \phi_{t+1} + \bar h_t \odot \omega_t \odot (1 - \tanh^2 c_t) \\
# \delta^\iota_t &= \bar c_t \odot g_t \odot \iota_t \odot (1 - \iota_t) \\
# \delta^\phi_t &= \bar c_t \odot c_{t-1} \odot \phi_t \odot (1 - \phi_t) \\
# \delta^g_t &= \bar c_t \odot \iota_t \odot (1 - g_t^2) \\
# \delta^\omega_t &= \bar h_t \odot \tanh c_t \odot \omega_t \odot (1 - \omega_t)
# \end{aligned}
# $$ (rnn-lstm-back)
#
# and from there on as in {eq}`rnn-weights`, with the four side by side, in Keras's order
# $\iota, \phi, g, \omega$.

# %% tags=["hide-input"]
listing(lstm_gates)

# %% [markdown]
# Forwards and backwards beside Keras, on the same eight sounds:

# %%
differences = pd.DataFrame(
    index=["states", "kernel", "recurrent", "bias"], columns=list(most)
)
for dtype, limit in most.items():
    x = few.astype(dtype)
    layer = keras.layers.LSTM(L, return_sequences=True, dtype=dtype)
    with tf.GradientTape() as tape:
        theirs = layer(x)
        loss = tf.reduce_sum(theirs[:, -1] * direction.astype(dtype))
    tapes = tape.gradient(loss, layer.trainable_variables)

    kernel, recurrent, bias = layer.get_weights()
    gates = lstm_gates(x, kernel, recurrent, bias)
    direct = np.zeros_like(gates.state)
    direct[:, -1] = direction
    ours = lstm_backward(direct, x, gates, kernel, recurrent)
    differences.loc["states", dtype] = np.abs(gates.state - theirs).max()
    for name, wanted in zip(
        ("kernel", "recurrent", "bias"), tapes, strict=True
    ):
        differences.loc[name, dtype] = (
            np.abs(getattr(ours, name) - wanted).max() / np.abs(wanted).max()
        )
    assert (differences[dtype] < limit).all()
plots.table(differences.astype(float), index=True, digits=2)

# %% [markdown]
# ## Learning to listen
#
# The encoder of the article's listing, an LSTM over the frames, here with 64 units, and on top of it a
# softmax over what the sounds are. A quarter of the recordings is held out.

# %% tags=["remove-output"]
train, test = train_test_split(
    np.arange(n), test_size=0.25, stratify=y, random_state=seed
)


UPDATES = 400  # about; an update sees a batch of 32
EPOCHS = max(8, round(UPDATES * 32 / len(train)))


def classifier(train, held_out=None, epochs=EPOCHS):
    """Train the LSTM encoder with a softmax on these recordings."""
    keras.utils.set_random_seed(seed)
    encoder = audio_encoder(T, F, 64)
    dense = keras.layers.Dense(len(labels), activation="softmax")
    model = keras.Model(encoder.input, dense(encoder.output))
    model.compile(
        keras.optimizers.Adam(2e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        A[train],
        y[train],
        validation_data=None
        if held_out is None
        else (A[held_out], y[held_out]),
        epochs=epochs,
        verbose=0,
    ).history
    return model, history


model, history = classifier(train, test)

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.2), layout="constrained")
plots.training_curve(history, axes)
plots.show(
    figure,
    "Two panels over the epochs: cross-entropy and accuracy on training and held-out recordings.",
)


# %% [markdown]
# How good is that, and is it the *sequence* that does it? Beside the network stand the guess of the most
# frequent answer, and a model that sees the same features without any order: mean and standard
# deviation of each coefficient over the heard frames, and a logistic regression. And we play the
# held-out sounds to the trained network backwards, and with their frames in random order.


# %%
def summary(A):  # (n, T, F) -> (n, 2 F): what is left without order
    there = A.any(axis=2, keepdims=True)
    count = np.maximum(there.sum(axis=1), 1)
    mean = A.sum(axis=1) / count
    square = np.square(A).sum(axis=1) / count
    return np.hstack([mean, np.sqrt(np.maximum(square - mean**2, 0))])


def reorder(A, how, generator):
    """Put the heard frames of every sound into another order."""
    other = A.copy()
    for sound, there in zip(other, A.any(axis=2), strict=True):
        frames = sound[there]
        sound[there] = (
            frames[::-1]
            if how == "backwards"
            else generator.permutation(frames)
        )
    return other


def accuracy(model, A, y):
    return (model.predict(A, verbose=0).argmax(axis=1) == y).mean()


bag = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
bag.fit(summary(A[train]), y[train])
generator = np.random.default_rng(seed)
results = {
    "most frequent answer": (y[test] == np.bincount(y[train]).argmax()).mean(),
    "logistic regression, no order": bag.score(summary(A[test]), y[test]),
    "LSTM": accuracy(model, A[test], y[test]),
    "LSTM, sounds backwards": accuracy(
        model, reorder(A[test], "backwards", generator), y[test]
    ),
    "LSTM, frames shuffled": accuracy(
        model, reorder(A[test], "shuffled", generator), y[test]
    ),
}
error = {  # standard error of a share
    name: np.sqrt(value * (1 - value) / len(test))
    for name, value in results.items()
}

# %% tags=["hide-input"]
plots.table(
    pd.DataFrame(
        {
            "": results.keys(),
            "accuracy": [f"{value:.3f}" for value in results.values()],
            "± standard error": [f"{value:.3f}" for value in error.values()],
        }
    )
)

# %% tags=["remove-cell"]
gap = results["LSTM"] - results["logistic regression, no order"]
noise = np.hypot(error["LSTM"], error["logistic regression, no order"])
lost = {
    what: results["LSTM"] - results[f"LSTM, {what}"]
    > 2 * np.hypot(error["LSTM"], error[f"LSTM, {what}"])
    for what in ("sounds backwards", "frames shuffled")
}
used_order = (
    "So it listens to the order of the frames"
    if any(lost.values())
    else "So it knows these sounds by *which* frames they have, and hardly by their order"
)
used_order += (
    ", and that is worth something here."
    if any(lost.values()) and gap > 2 * noise
    else ", although the same features without any order tell as much."
    if any(lost.values())
    else ": to the ear a sound played backwards is another sound, and to this task it is not."
)
quote(
    n_train=len(train),
    n_test=len(test),
    frequent=results["most frequent answer"],
    bag=results["logistic regression, no order"],
    accuracy=results["LSTM"],
    backwards=results["LSTM, sounds backwards"],
    shuffled=results["LSTM, frames shuffled"],
    order=used_order,
    against_bag="is better than"
    if gap > 2 * noise
    else "is worse than"
    if gap < -2 * noise
    else "cannot be told apart from",
)

# %% [markdown]
# The network knows {glue:text}`rnn-accuracy:.3f` of the {glue:text}`rnn-n-test` held-out recordings;
# the most frequent answer would be right for {glue:text}`rnn-frequent:.3f`. It
# {glue:text}`rnn-against-bag` the model without order, {glue:text}`rnn-bag:.3f` (by two standard errors
# of the difference). Backwards it knows {glue:text}`rnn-backwards:.3f`, shuffled
# {glue:text}`rnn-shuffled:.3f`. {glue:text}`rnn-order` Where it errs:

# %% tags=["hide-input"]
guess = model.predict(A[test], verbose=0).argmax(axis=1)
confusion = confusion_matrix(y[test], guess)
figure, axis = plt.subplots(figsize=(5.8, 4.8), layout="constrained")
sns.heatmap(
    confusion,
    annot=len(labels) <= 12,
    fmt="d",
    cmap="viridis",
    xticklabels=labels,
    yticklabels=labels,
    cbar_kws={"label": "recordings"},
    ax=axis,
)
axis.set(xlabel="what the network says", ylabel="what it is")
wrong = confusion - np.diag(np.diag(confusion))
true, said = np.unravel_index(wrong.argmax(), wrong.shape)
plots.show(
    figure,
    "Confusion matrix of held-out recordings, true label by answer; nearly all lie on the diagonal. "
    f"The most frequent mistake is {labels[said]} for {labels[true]}, {wrong.max()} times.",
)

# %% [markdown]
# ### Inside the gates
#
# One held-out sound, read with the trained weights by *our* equations. The last panel asks the softmax
# after every frame what it would say if the sound ended there.

# %%
kernel, recurrent, bias, dense_kernel, dense_b = model.get_weights()
chosen = test[(guess == y[test]).argmax()]  # the first it knows
gates = lstm_gates(A[chosen][None], kernel, recurrent, bias)
says = softmax(gates.state[0] @ dense_kernel + dense_b)  # (T, classes)
keras_says = model.predict(A[chosen][None], verbose=0)[0]
assert np.abs(says[-1] - keras_says).max() < 1e-5

# %% tags=["hide-input"]
display(
    plots.players({f"{labels[y[chosen]]}, held out": wave_of(chosen)}, rate)
)
figure, axes = plt.subplots(
    4,
    1,
    figsize=(6.6, 7.6),
    sharex=True,
    layout="constrained",
    height_ratios=[1, 1, 1.3, 1.2],
)
edges = np.arange(T + 1) - 0.5
mesh = axes[0].pcolormesh(
    edges, np.arange(F + 1) - 0.5, A[chosen].T, cmap="viridis"
)
axes[0].set(ylabel="coefficient", title="MFCC, standardised")
figure.colorbar(mesh, ax=axes[0])
for name, marker in (("forget", "o"), ("input", "s"), ("output", "^")):
    axes[1].plot(
        getattr(gates, name)[0].mean(axis=1),
        marker=marker,
        markersize=4,
        label=name,
    )
axes[1].set(ylabel="mean over units", ylim=(0, 1), title="gates")
axes[1].legend(ncols=3, fontsize=8)
order = np.argsort(gates.cell[0, -1])
mesh = axes[2].pcolormesh(
    edges,
    np.arange(65) - 0.5,
    gates.cell[0][:, order].T,
    cmap="RdBu_r",
    vmin=-3,
    vmax=3,
)
axes[2].set(ylabel="unit, sorted", title="memory $c_t$")
figure.colorbar(mesh, ax=axes[2])
likely = np.argsort(-says.max(axis=0))[:4]
for label, marker in zip(likely, "os^D", strict=False):
    axes[3].plot(
        says[:, label], marker=marker, markersize=4, label=labels[label]
    )
axes[3].set(
    ylabel="probability",
    xlabel="frame (32 ms)",
    ylim=(-0.02, 1.02),
    title="what it would say here",
)
axes[3].legend(fontsize=8)
for axis in axes:
    axis.grid(False)
plots.show(
    figure,
    f"A recording of {labels[y[chosen]]} in four panels over its frames: its MFCCs; the mean forget, "
    "input and output gate; the 64 memories, sorted by their last value; and the probabilities of "
    "the four likeliest answers, of which the right one is near 1 at the end.",
)

# %% tags=["remove-cell"]
there = heard[chosen]
sure = np.flatnonzero(says[:, y[chosen]] > 0.5)
later = np.flatnonzero(says[:, y[chosen]] <= 0.5)
settled = later[-1] + 2 if len(later) else 1  # counted from 1
quote(
    chosen=labels[y[chosen]],
    forget=gates.forget[0][there].mean(),
    forget_before=1 / (1 + np.exp(-1)),
    open=100 * (gates.forget[0][there] > 0.9).mean(),
    settled=settled,
)

# %% [markdown]
# Before training, Keras's bias of 1 holds the forget gate near {glue:text}`rnn-forget-before:.2f`; on this
# sound it stands at {glue:text}`rnn-forget:.2f` on average, and {glue:text}`rnn-open:.0f` % of all gates
# are above 0.9. From frame {glue:text}`rnn-settled` on, the network gives the right answer,
# "{glue:text}`rnn-chosen`", more than a half.
#
# ### Somebody else's voice
#
# A random quarter of the recordings holds other recordings *of the same people*. If a data set names its
# speakers, as `garments` does, we can ask the harder question: how well does it understand somebody
# whom it has never heard?

# %% tags=["hide-input"]
by_speaker, without_order = {}, {}
if "speaker" in items:
    for speaker in np.unique(items["speaker"].astype(str)):
        of_them = (items["speaker"].astype(str) == speaker).to_numpy()
        strange, _ = classifier(np.flatnonzero(~of_them))
        by_speaker[speaker] = accuracy(strange, A[of_them], y[of_them])
        plain = make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=2000)
        ).fit(summary(A[~of_them]), y[~of_them])
        without_order[speaker] = plain.score(summary(A[of_them]), y[of_them])
    display(
        plots.table(
            pd.DataFrame(
                {
                    "held-out speaker": by_speaker.keys(),
                    **{
                        name: [f"{value:.3f}" for value in found.values()]
                        for name, found in (
                            ("LSTM", by_speaker),
                            ("regression, no order", without_order),
                        )
                    },
                }
            )
        )
    )

# %% tags=["remove-cell"]
if by_speaker:
    mean = np.mean([*by_speaker.values()])
    drop = 100 * (results["LSTM"] - mean)
    strangers = (
        f"The mean over {len(by_speaker)} speakers is {mean:.3f}, from "
        f"{min(by_speaker.values()):.3f} to {max(by_speaker.values()):.3f} "
        "(the regression without order: "
        f"{np.mean([*without_order.values()]):.3f}). That is "
        f"{abs(drop):.0f} percentage points {'less' if drop > 0 else 'more'} "
        "than on other recordings of known speakers."
    )
    if drop > 5:
        strangers += (
            f" The random split had told how well it knows these "
            f"{len(by_speaker)} people, not how well it understands anyone."
        )
else:
    strangers = (
        f"{data.name} names no speakers, so there is nothing to hold out here; run "
        "the chapter with `-p dataset garments`."
    )
quote(strangers=strangers)

# %% [markdown]
# {glue:text}`rnn-strangers`
#
# ## Training with the gradients that we derived
#
# Which recurrence learns it? To compare many, we train with our own equations: they are right, as we saw,
# and for networks as small as these they can keep pace with Keras. With the softmax's gradient $\hat y - \mathbf 1[\text{label}]$ on top, and Adam {cite}`kingma2015`, whose
# steps are clipped where the gradient is longer than 1 {cite}`pascanu2013`, the trainer fits on one
# screen:

# %%
SIGMA = {"tanh": "tanh", "ReLU": "relu", "IRNN": "relu"}
OPEN = "LSTM, bias 4"
SMALL = 32  # units, as in the article's network of chapter 5


def first_weights(cell, seed):
    """Keras's initial weights: kernel, recurrent, bias; softmax's W and b."""
    keras.utils.set_random_seed(seed)
    layer = recurrent_layer(cell.split(",")[0], SMALL)
    layer.build((None, T, F))
    first = layer.get_weights()
    if cell == OPEN:
        first[2][SMALL : 2 * SMALL] = 4  # of the bias, the forget gate's
    dense = keras.layers.Dense(len(labels))
    dense.build((None, SMALL))
    return [*first, *dense.get_weights()]


def run(cell, weights, x):
    """States (batch, T, L), and for the LSTM its gates."""
    kernel, recurrent, bias = weights[:3]
    if cell.startswith("LSTM"):
        gates = lstm_gates(x, kernel, recurrent, bias)
        return gates.state, gates
    W_h = join_weights(kernel, recurrent)
    return recurrence(x, W_h, bias, SIGMA[cell]), None


def backwards_through(cell, weights, x, direct, states, gates):
    """All gradients of the recurrent layer, as the library returns them."""
    kernel, recurrent = weights[:2]
    if cell.startswith("LSTM"):
        return lstm_backward(direct, x, gates, kernel, recurrent)
    W_h = join_weights(kernel, recurrent)
    return recurrence_backward(direct, x, states, W_h, SIGMA[cell])


def loss_and_gradients(cell, weights, x, y):
    states, gates = run(cell, weights, x)
    chance = softmax(states[:, -1] @ weights[3] + weights[4])
    right = np.arange(len(y)), y
    loss = -np.log(chance[right] + 1e-12).mean()
    chance[right] -= 1
    miss = chance / len(y)  # gradient by what goes into the softmax
    direct = np.zeros_like(states)
    direct[:, -1] = miss @ weights[3].T
    g = backwards_through(cell, weights, x, direct, states, gates)
    if cell.startswith("LSTM"):
        first = [g.kernel, g.recurrent, g.bias]
    else:
        first = [*split_weights(g.joined), g.bias]
    return loss, [*first, states[:, -1].T @ miss, miss.sum(axis=0)]


def adam(weights, batches, cell, rate=2e-3, longest=1.0):
    """Change the weights after each batch; return the losses."""
    m, v = ([np.zeros_like(w) for w in weights] for _ in range(2))
    losses = []
    for step, (x, y) in enumerate(batches, start=1):
        loss, gradients = loss_and_gradients(cell, weights, x, y)
        length = np.sqrt(sum(np.square(g).sum() for g in gradients))
        pace = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        for n, g in enumerate(gradients):
            clipped = g * min(1, longest / max(length, 1e-12))
            m[n] += 0.1 * (clipped - m[n])
            v[n] += 0.001 * (clipped**2 - v[n])
            weights[n] = weights[n] - np.float32(pace) * m[n] / (
                np.sqrt(v[n]) + np.float32(1e-7)
            )
        losses.append(loss)
    return losses


# %% [markdown]
# Ten updates on one batch, from the same weights, with Keras and with ours:

# %%
x32, y32 = A[train[:32]], y[train[:32]]
weights = first_weights("LSTM", seed)
twin = keras.Sequential(
    [
        keras.layers.Input((T, F)),
        keras.layers.LSTM(SMALL),
        keras.layers.Dense(len(labels), activation="softmax"),
    ]
)
twin.set_weights(weights)
twin.compile(
    keras.optimizers.Adam(2e-3, global_clipnorm=1.0),
    loss="sparse_categorical_crossentropy",
)
theirs = twin.fit(x32, y32, epochs=10, shuffle=False, verbose=0)
ours = adam(weights, [(x32, y32)] * 10, "LSTM")
difference = np.abs(np.subtract(ours, theirs.history["loss"])).max()

clock = time.perf_counter()
twin.fit(np.tile(x32, (50, 1, 1)), np.tile(y32, 50), shuffle=False, verbose=0)
keras_time = time.perf_counter() - clock
clock = time.perf_counter()
adam(weights, [(x32, y32)] * 50, "LSTM")
our_time = time.perf_counter() - clock
print(f"loss after ten updates: {ours[-1]:.4f}")
print(f"largest difference of a loss from Keras's: {difference:.1e}")
assert difference < 1e-4
print(f"50 more: Keras {keras_time:.2f} s, ours {our_time:.2f} s")

# %% [markdown]
# Now five: the article's recurrence with tanh and with ReLU as Keras starts them, the IRNN, the LSTM as
# it comes, and the LSTM with its forget gates opened by a bias of 4. All have 32 units, get the same batches and the same step size, which is tuned for none of them.

# %%
SHORT = 300  # updates
SEEDS = range(seed, seed + (3 if profile == "quick" else 10))
CELLS = ("tanh", "ReLU", "IRNN", "LSTM", OPEN)


def batches(A, seed, size=32):
    """SHORT batches, epoch after epoch, in an order that the seed gives."""
    generator = np.random.default_rng(seed)
    epochs = -(-SHORT * size // len(train))
    order = np.concatenate(
        [generator.permutation(train) for _ in range(epochs)]
    )
    for n in range(SHORT):
        of = order[n * size : (n + 1) * size]
        yield A[of], y[of]


def learn(cell, A, seed):
    """Train; return the accuracy on held-out recordings, and the weights."""
    weights = first_weights(cell, seed)
    adam(weights, batches(A, seed), cell)
    last = run(cell, weights, A[test])[0][:, -1]
    guess = (last @ weights[3] + weights[4]).argmax(axis=1)
    return (guess == y[test]).mean(), weights


reached, trained = pd.DataFrame(columns=list(CELLS), dtype=float), {}
for cell in CELLS:
    for each in SEEDS:
        reached.loc[each, cell], trained[cell, each] = learn(cell, A, each)

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for place, (cell, colour) in enumerate(zip(CELLS, colours, strict=False)):
    axis.plot(
        np.full(len(reached), place) + np.linspace(-0.1, 0.1, len(reached)),
        reached[cell],
        "o",
        color=colour,
    )
    axis.hlines(reached[cell].mean(), place - 0.25, place + 0.25, color=colour)
axis.axhline(
    results["most frequent answer"],
    color="0.4",
    linestyle=":",
    label="most frequent answer",
)
axis.axhline(
    results["logistic regression, no order"],
    color="0.4",
    linestyle="--",
    label="logistic regression, no order",
)
axis.set_xticks(range(len(CELLS)), CELLS)
axis.set(ylabel="accuracy, held out", ylim=(0, 1.02))
axis.legend(fontsize=8)
plots.show(
    figure,
    "Held-out accuracy of each recurrence, a point a seed and a line at their mean: "
    + ", ".join(f"{cell} {reached[cell].mean():.2f}" for cell in CELLS)
    + "; dotted and dashed lines mark the most frequent answer and the model without order.",
)

# %% tags=["remove-cell"]
ranking = reached.mean().sort_values(ascending=False)
quote(
    updates=SHORT,
    n_seeds=len(reached),
    ranking=", ".join(
        f"{cell} {value:.3f} ({reached[cell].min():.3f}–{reached[cell].max():.3f})"
        for cell, value in ranking.items()
    ),
    relu_against_tanh=f"{reached['ReLU'].mean() - reached['tanh'].mean():+.3f}",
    plain_accuracy=float(reached["tanh"].mean()),
)


# %% [markdown]
# After {glue:text}`rnn-updates` updates, mean (lowest–highest) of {glue:text}`rnn-n-seeds` seeds:
# {glue:text}`rnn-ranking`. ReLU in place of tanh, all else equal, changes the accuracy by
# {glue:text}`rnn-relu-against-tanh`.
#
# And what has training made of the gradients? The measurement of above again, on the pieces of 100 frames,
# with the weights before and after:


# %% tags=["hide-input"]
def left_of(cell, weights):
    """What is left of the gradient 99 steps back, the median over pieces."""
    weights = [array.astype(np.float64) for array in weights]
    hidden, gates = run(cell, weights, pieces)
    direct = last_direction(hidden.shape)
    g = backwards_through(cell, weights, pieces, direct, hidden, gates)
    parts = (g.states, g.cells) if gates else (g.states,)
    norm = gradient_norms(*parts)
    return norm[:, 0] / norm[:, -1]


before_after = pd.DataFrame(
    {
        "recurrence": CELLS,
        "before training": [
            np.median([left_of(cell, first_weights(cell, s)) for s in SEEDS])
            for cell in CELLS
        ],
        "after training": [
            np.median([left_of(cell, trained[cell, s]) for s in SEEDS])
            for cell in CELLS
        ],
        "accuracy, mean": [f"{reached[cell].mean():.3f}" for cell in CELLS],
    }
)
plots.table(before_after, digits=2)

# %% [markdown]
# ### Where the silence goes
#
# A batch is a block, so short sounds are filled up with zeros. `encode_audio` fills in *front*. Does it
# matter? We add frames of silence before or after every sound, and train again. Silence *after* the
# sound is also a test of memory: the network must hold what it heard until it is asked.

# %%
FILLINGS = {"32 behind": (0, 32), "64 behind": (0, 64), "64 in front": (64, 0)}
silence, at_start = reached.iloc[[0]].set_axis(["none added"]), {}
for place, (front, behind) in FILLINGS.items():
    padded = np.pad(A, ((0, 0), (front, behind), (0, 0)))
    for cell in CELLS:
        silence.loc[place, cell], _ = learn(cell, padded, seed)
        if behind:
            weights = first_weights(cell, seed)
            x = padded[test[:64]]
            hidden, gates = run(cell, weights, x)
            direct = last_direction(hidden.shape).astype(np.float32)
            g = backwards_through(cell, weights, x, direct, hidden, gates)
            norm = (
                gradient_norms(g.states, g.cells)
                if cell.startswith("LSTM")
                else gradient_norms(g.states)
            )
            at_start[place, cell] = np.median(norm[:, T - 1] / norm[:, -1])

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
for shift, (cell, colour) in enumerate(zip(CELLS, colours, strict=False)):
    axis.bar(
        np.arange(len(silence)) + 0.16 * (shift - 2),
        silence[cell],
        0.16,
        color=colour,
        hatch=("", "//", "..", "xx", "--")[shift],
        edgecolor="white",
        label=cell,
    )
axis.axhline(results["most frequent answer"], color="0.3", linestyle=":")
axis.set_xticks(range(len(silence)), silence.index)
axis.set(
    xlabel="frames of silence",
    ylabel="accuracy, held out",
    ylim=(0, 1.02),
)
figure.legend(fontsize=8, ncols=5, loc="outside upper center")
plots.show(
    figure,
    "Held-out accuracy of the five recurrences without added silence, with 32 and with 64 frames "
    "of silence behind the sound, and with 64 in front; a dotted line marks the most frequent "
    "answer. "
    + "; ".join(
        f"{place}: "
        + ", ".join(f"{cell} {silence.loc[place, cell]:.2f}" for cell in CELLS)
        for place in silence.index
    )
    + ".",
)
plots.table(
    pd.DataFrame(
        [
            {
                "silence": place,
                "recurrence": cell,
                "gradient across it, before training": f"{value:.1e}",
                "accuracy after training": f"{silence.loc[place, cell]:.3f}",
            }
            for (place, cell), value in at_start.items()
        ]
    )
)

# %% tags=["remove-cell"]
pairs = pd.DataFrame(
    {
        "gradient": pd.Series(at_start),
        "accuracy": [silence.loc[key] for key in at_start],
    }
)
follows = pairs.corr("spearman").iloc[0, 1]
worst = silence.loc["64 behind"]
base = results["most frequent answer"]
deaf = [
    cell
    for cell in CELLS
    if worst[cell] < base + 0.25 * (silence.loc["none added", cell] - base)
]
quote(
    follows=follows,
    follows_words="does"
    if follows > 0.6
    else "does not"
    if follows < 0.3
    else "does in part",
    deaf=", ".join(deaf) or "none of them",
    best_memory=f"{worst.idxmax()} ({worst.max():.3f})",
    front_cost=100
    * (silence.loc["none added"] - silence.loc["64 in front"]).mean(),
    behind_cost=100
    * (silence.loc["none added"] - silence.loc["64 behind"]).mean(),
)

# %% [markdown]
# Over the five recurrences, 64 frames of silence in front cost
# {glue:text}`rnn-front-cost:.1f` percentage points on average, the same behind the sound
# {glue:text}`rnn-behind-cost:.1f`. Nearly deaf after the long wait (less than a quarter of what they
# had learnt beyond the most frequent answer) were: {glue:text}`rnn-deaf`; best was
# {glue:text}`rnn-best-memory`. Does the accuracy follow the gradient that reached the sound at the
# start? By rank correlation, {glue:text}`rnn-follows:.2f` over these ten trainings of one seed, it
# {glue:text}`rnn-follows-words`.
#
# The other way out is a {term}`mask`: Keras then carries the state over the filling unchanged, and it
# no longer matters where the filling lies. `audio_encoder(…, masked=True)` does so:

# %%
masked = audio_encoder(T + 32, F, 64, masked=True)
masked.set_weights([kernel, recurrent, bias])  # those that we trained
in_front = np.pad(A[test], ((0, 0), (32, 0), (0, 0)))
behind = np.pad(A[test], ((0, 0), (0, 32), (0, 0)))
one, other = (masked.predict(x, verbose=0) for x in (in_front, behind))
bare = np.stack(  # each sound alone, by our equations, without any filling
    [
        lstm(A[n][heard[n]][None], kernel, recurrent, bias)[0, -1]
        for n in test[:50]
    ]
)
print(f"front against behind: {np.abs(one - other).max():.1e}")
print(f"masked against no filling: {np.abs(one[:50] - bare).max():.1e}")
assert np.abs(one - other).max() < 1e-5
assert np.abs(one[:50] - bare).max() < 1e-5

# %% tags=["remove-cell"]
unmasked = audio_encoder(T + 32, F, 64)
unmasked.set_weights([kernel, recurrent, bias])


def read_out(vectors):
    return (
        (vectors @ dense_kernel + dense_b).argmax(axis=1) == y[test]
    ).mean()


quote(
    told_masked=read_out(other),
    told_behind=read_out(unmasked.predict(behind, verbose=0)),
    told_front=read_out(unmasked.predict(in_front, verbose=0)),
)
used = plots.resources(started)
quote(
    seconds=used["seconds"],
    peak=used["peak_mb"] / 1000,
    cores=int(used["cores"]),
)

# %% [markdown]
# And if it was trained otherwise? The network of above has met no filling but what these sounds came
# with. Of the held-out sounds it knows {glue:text}`rnn-told-front:.3f` with 32 silent frames added in
# front, {glue:text}`rnn-told-behind:.3f` with them behind, and {glue:text}`rnn-told-masked:.3f` with a
# mask, as without any. Fill as you have trained, or mask.
#
# ## What the article says, and what we measured
#
# | row | the article | here |
# |---|---|---|
# | [E3](#claim-e3) | $h_t = \sigma(W_h \cdot [h_{t-1}, x_t] + b_h)$ | *holds* as an equation: it equals Keras's `SimpleRNN` for every $\sigma$, forwards and backwards, to rounding. But the listing of section 5.2 does not use it; its LSTM, equation {eq}`eq-lstm`, has four such maps and a second state |
# | [T3](#claim-t3) | the RNN uses ReLU too, and so avoids vanishing gradients | {glue:text}`rnn-verdict-t3`. In the listing there is no ReLU in the recurrence at all |
# | [A5](#claim-a5) | audio through an RNN: features, time series | on {glue:text}`rnn-dataset`, {glue:text}`rnn-accuracy:.3f` of held-out recordings known, most frequent answer {glue:text}`rnn-frequent:.3f`, same features without order {glue:text}`rnn-bag:.3f`. {glue:text}`rnn-strangers` Recommendations from sound are not measured here |
# | [S1](#claim-s1) | 8 GB of memory and a 2 GHz processor suffice | this chapter: {glue:text}`rnn-seconds:.0f` seconds on {glue:text}`rnn-cores` cores, at most {glue:text}`rnn-peak:.1f` GB of memory |
#
# ## Exercises
#
# **1.** Let $L = F = 1$, all $x_t = 0$, no bias, $\sigma$ the ReLU and $h_0 = 1$ for once. What is
# $\partial h_{100} / \partial h_0$ for $U = 0.9$, $1$, $1.1$ and $-1$?
#
# ```{dropdown} Solution
# While the state is positive, $h_t = U h_{t-1}$ and the derivative is $U^{100}$: about
# $2.7 \cdot 10^{-5}$, exactly 1, and about $1.4 \cdot 10^{4}$. For $U = -1$ the first step gives
# $\operatorname{ReLU}(-1) = 0$; the unit is dead, the derivative 0. So ReLU vanishes, survives,
# explodes or dies, all by the choice of $U$. The cell below runs it.
# ```

# %% tags=["hide-cell"]
x, bias, initial = np.zeros((1, 100, 1)), np.zeros(1), np.ones((1, 1))
direct = np.zeros((1, 100, 1))
direct[0, -1] = 1
for U in (0.9, 1.0, 1.1, -1.0):
    W_h = np.array([[U], [1.0]])
    h = recurrence(x, W_h, bias, "relu", initial)
    gradient = recurrence_backward(direct, x, h, W_h, "relu", initial)
    print(f"U = {U:4}: {gradient.initial.item():.3g}")
    assert np.isclose(gradient.initial.item(), max(U, 0) ** 100)

# %% [markdown]
# **2.** An LSTM's forget gate stands at $\operatorname{sigmoid}(1)$, as Keras's bias starts it. What
# is left of a memory after 50 steps? At which input to the gate is half of it left?
#
# ```{dropdown} Solution
# $\operatorname{sigmoid}(1) \approx 0.731$, and $0.731^{50} \approx 1.6 \cdot 10^{-7}$. For a half,
# $\phi^{50} = 1/2$ gives $\phi = 2^{-1/50} \approx 0.9862$, that is an input of
# $\ln\bigl(\phi/(1-\phi)\bigr) \approx 4.3$. An LSTM *can* remember; it has to learn to. The cell below
# lets one forget.
# ```

# %% tags=["hide-cell"]
nothing = np.zeros((1, 50, 1))
for forget in (1.0, np.log(1 / (2 ** (1 / 50) - 1))):
    bias = np.array([0, forget, 0, 0])  # input, forget, candidate, output
    start = np.zeros((1, 1)), np.ones((1, 1))  # h_0 = 0, c_0 = 1
    gates = lstm_gates(
        nothing, np.zeros((1, 4)), np.zeros((1, 4)), bias, start
    )
    left = gates.cell[0, -1, 0]
    print(f"input {forget:.2f}: {left:.2g} of the memory is left")
assert np.isclose(left, 0.5)

# %% [markdown]
# **3.** How many parameters has an LSTM with $L = 32$ over $F = 20$ MFCCs? And the plain recurrence?
#
# ```{dropdown} Solution
# Each of the four maps has $(L + F) L + L$: $4 \cdot 32 \cdot (32 + 20 + 1) = 6\,784$; the plain
# recurrence has a quarter, $1\,696$. The number of frames does not occur.
# ```

# %% tags=["hide-cell"]
for cell, wanted in (("LSTM", 6784), ("tanh", 1696)):
    counted = audio_encoder(99, 20, 32, cell=cell).count_params()
    print(f"{cell}: {counted:,}")
    assert counted == wanted

# %% [markdown]
# **4.** Take $\sigma(a) = a$, $U$ the identity and $b_h = 0$. What is the last state, and what can a
# softmax on top of it know of the order of the frames? So what does the IRNN start as?
#
# ```{dropdown} Solution
# $h_T = \sum_t x_t W$: the sum of the frames, projected. Any order of the frames gives the same sum, so it
# is a bag of frames, like the logistic regression's means. The IRNN starts as nearly that, and differs
# only where the running sum of a unit would fall below zero: it is cut off there, and *when* it
# happens depends on the order. The cell below shuffles the frames of one sound, for both.
# ```

# %% tags=["hide-cell"]
generator = np.random.default_rng(seed)
x = A[:1].astype(np.float64)
W_h = np.vstack([np.eye(8), generator.standard_normal((F, 8))])
mixed = x[:, generator.permutation(T)]
for sigma in ("linear", "relu"):
    one, other = (
        recurrence(each, W_h, np.zeros(8), sigma)[0, -1] for each in (x, mixed)
    )
    change = np.abs(one - other).max() / np.abs(one).max()
    print(f"{sigma}: the shuffled state differs by {change:.1e}")

# %% [markdown]
# **5.** Clipping a gradient that is longer than 1 to length 1 keeps training from blowing up
# {cite}`pascanu2013`. Does it help against vanishing? And does it change the *direction* in which early
# and late frames pull?
#
# ```{dropdown} Solution
# No to both. Clipping multiplies the whole gradient by one number: a vanished part is multiplied along
# with the rest, and stays as small beside it as it was. If the early steps' part is $10^{-10}$ of the late
# ones', then so it is after clipping. It is a seat belt, no engine.
# ```
#
# **6.** (Run it.) Give the networks slopes and curvatures too, `encode_audio(..., deltas=True)`. Does
# the model without order gain more from them than the LSTM? Why might it?
#
# ```{dropdown} Solution
# Slopes are differences between neighbouring frames: a piece of order, written into each frame. A model
# that sees only means and standard deviations has no other way to know it; an LSTM can compute
# differences by itself. Compare the two rows of the table before and after, and mind their standard
# errors.
# ```
