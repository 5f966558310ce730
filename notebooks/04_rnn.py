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
# - turn a sound into a sequence of vectors, and say what each step discards;
# - compute the article's recurrence, the LSTM and the GRU in NumPy, and get Keras's numbers;
# - derive the gradient through time, and say when it vanishes or explodes;
# - train recurrent networks on sounds, and measure what the order of the frames contributes.
#
# {doc}`01b_learning` explains loss, gradient, Adam, epoch and validation.
#
# ## The result first
#
# An LSTM with 64 units learns from {glue:text}`rnn-n-train:,d` recordings. It classifies
# {glue:text}`rnn-accuracy:.1%` of {glue:text}`rnn-n-test:,d` new recordings correctly. A model that sees the
# same frames without their order reaches {glue:text}`rnn-bag:.1%`. When the test sounds are played
# backwards, the LSTM reaches {glue:text}`rnn-backwards:.1%`.
#
# ## The idea in words
#
# A sound has an order: a siren that rises is not a siren that falls. A
# {term}`recurrent neural network` reads one frame of the sound after the other {cite}`elman1990`. It keeps a
# *state*, a vector that summarises all frames so far. The same weights serve at every step, so a sound may
# have any length. Training is difficult for one reason: the error is known after the last frame, and its
# gradient must travel back through all steps. The article says that ReLU keeps it from vanishing. This
# chapter tests that.

# %% tags=["parameters"]
profile = "quick"  # "full" draws more initial weights and trains more seeds
dataset = "shop"  # or "garments", "lastfm", or a folder with a dataset.json
seed = 0

# %% tags=["hide-input"]
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
from IPython.display import display
from matplotlib.patches import FancyBboxPatch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mmtutorial.evaluation.estimates import Estimate
from mmtutorial.encoders.audio import audio_encoder, recurrent_layer
from mmtutorial.equations.activations import ACTIVATIONS, sigmoid, softmax
from mmtutorial.equations.recurrence import (
    gradient_norms,
    join_weights,
    lstm,
    lstm_backward,
    lstm_gates,
    recurrence,
    recurrence_backward,
)
from mmtutorial.preprocessing import audio
from mmtutorial.preprocessing.reduce import standardise, summarise
from mmtutorial.reproduce import notebooks

if profile not in ("quick", "full"):
    raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
SEEDS = range(seed, seed + (1 if profile == "quick" else 5))
plots.use_style()
tf.get_logger().setLevel("ERROR")
keras.utils.set_random_seed(seed)
tf.config.experimental.enable_op_determinism()
# One step of a recurrence is too small to be shared out among cores.
threadpool_limits(1)
colours = sns.color_palette("colorblind")
started = time.perf_counter()
quote = partial(notebooks.quote, "rnn")

# %% [markdown]
# ## From sound to sequence
#
# We take the recordings of the catalogue whose content is known{glue:text}`rnn-stand-in`. In `shop` it is the kind of sound that a
# product makes, in `garments` the digit that a person speaks {cite}`jackson2018`. Chance splits them: 60 % for
# training, 15 % for validation, 25 % for the test. The numbers are standardised by the mean and the standard
# deviation of the *training* recordings.

# %% tags=["remove-output"]
data = (
    datasets.load(dataset, seed=seed)
    if dataset in datasets.MAKERS
    else datasets.load(dataset)
)
RECORDINGS = 4000  # at most; a larger catalogue is sampled
AT_LEAST = 8  # recordings of a label, so that some can be held out


def labelled(data):
    """Return the rows of items whose recording has a frequent label."""
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
_, present, faults = audio.encode_audio(
    [data.path(row, "audio") for row in rows]
)
rows = rows[present]  # those that can be read
items = data.items.iloc[rows].reset_index(drop=True)
labels, y = np.unique(
    items["audio_attribute"].astype(str), return_inverse=True
)
n = len(rows)
learnt_from, test = train_test_split(
    np.arange(n), test_size=0.25, stratify=y, random_state=seed
)
train, validation = train_test_split(
    learnt_from, test_size=0.2, stratify=y[learnt_from], random_state=seed
)
of_training = np.isin(np.arange(n), train)
paths = [data.path(row, "audio") for row in rows]
A, *_ = audio.encode_audio(paths, fit_on=of_training)  # (n, 32, 20)

# %%
T, F = A.shape[1:]
is_frame = A.any(axis=2)  # bool (n, 32): the other frames are padding
print(f"{data.name}: {n} recordings, {T} frames of {F} numbers each")
print(f"what they are: {', '.join(labels)}")
for fault in faults:
    print(fault)

# %% tags=["hide-input"]
firsts = [np.flatnonzero(y == label)[0] for label in range(len(labels))][:5]


def wave_of(number):
    """Read one recording again, cut to what the network reads."""
    whole = audio.trim(audio.load_audio(paths[number]))
    loud = whole[: round(1.024 * audio.SAMPLE_RATE)]
    return 0.5 * loud / np.abs(loud).max()


waves = {labels[y[number]]: wave_of(number) for number in firsts}
backwards = f"{labels[y[firsts[0]]]}, backwards"
waves[backwards] = waves[labels[y[firsts[0]]]][::-1]
plots.players(waves, audio.SAMPLE_RATE)

# %% [markdown]
# Each player has one recording, the last one a recording backwards. {doc}`01_data` derives the steps from wave to
# array: the {term}`spectrogram`, its 40 mel bands (equation {eq}`data-mel`), and their cosine transform, the
# {term}`MFCC` (equation {eq}`data-mfcc`) {cite}`davis1980,mcfee2015`. The result is $A \in \mathbb{R}^{T \times F}$:
# $T$ frames with $F$ numbers each. Row $t$ is $x_t$.
#
# **Phase.** The spectrum of a window is complex: a size and a phase for each frequency. The spectrogram keeps the
# squared size and discards the phase. The Griffin–Lim algorithm estimates the phase iteratively
# {cite}`griffin1984`, so we can listen to what each step keeps. Bands and cosines are undone by least squares.

# %% tags=["hide-input"]
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
plots.players(again, rate)

# %% [markdown]
# {glue:text}`rnn-per-second-wave:,d` numbers a second have become {glue:text}`rnn-per-second-mfcc:,d`. The
# exact pitch is lost; the coarse shape of the spectrum stays.
#
# **Window length.** A window of $N$ samples at the rate $f_s$ distinguishes frequencies that are $f_s/N$ apart, and
# moments that are $N/f_s$ apart. Their product is 1, so no window is sharp in both. The same sound with three
# windows:

# %% tags=["hide-input"]
figure, axes = plt.subplots(
    1, 3, figsize=(7.5, 2.8), sharey=True, layout="constrained"
)
for axis, samples in zip(axes, (64, 512, 2048), strict=True):
    grid = np.abs(librosa.stft(wave, n_fft=samples, hop_length=32)) ** 2
    level = librosa.power_to_db(grid, ref=np.max, top_db=60)
    axis.imshow(
        level,
        origin="lower",
        aspect="auto",
        cmap="viridis",
        extent=(0, len(wave) / rate, 0, rate / 2000),
    )
    axis.set(
        title=f"{1000 * samples / rate:.0f} ms, {rate / samples:.0f} Hz",
        xlabel="time (s)",
    )
    axis.grid(False)
axes[0].set_ylabel("frequency (kHz)")
plots.show(
    figure,
    "Three spectrograms of one sound with windows of 8, 64 and 256 "
    "milliseconds: the shortest is sharp in time and blurred in frequency, "
    "the longest sharp in frequency and blurred in time.",
)

# %% tags=["remove-cell"]
quote(
    dataset=data.name,
    stand_in=" (the data set has none, so a small shop stands in)"
    if stand_in
    else "",
    n=n,
    n_train=len(train),
    n_test=len(test),
    per_second_wave=rate,
    per_second_mfcc=round(F * rate / hop),
)

# %% [markdown]
# The short window blurs frequencies, the long one blurs time. This book uses the middle one, 64 ms.
#
# ## The recurrence
#
# The article's equation:
#
# $$
# h_t = \sigma(a_t), \qquad a_t = [h_{t-1}, x_t]\, W_h + b_h = h_{t-1} U + x_t W + b_h .
# $$ (eq-recurrence)
#
# | symbol | what it is | shape |
# |---|---|---|
# | $h_t$ | state after step $t$; $h_0 = 0$ | $L$ |
# | $x_t$ | frame $t$ | $F$ |
# | $W_h$ | weights: $U$ on top of $W$ | $(L+F) \times L$, $L \times L$, $F \times L$ |
# | $b_h$ | bias | $L$ |
#
# *Unrolled* over time it is a network as deep as the sound is long, with the same weights in all layers:

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
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
    "The recurrence unrolled: states h1, h2, h3 to hT in a row, an arrow "
    "marked U from each to the next, an arrow marked W from each input "
    "below into its state, the loss above the last state, and a dashed "
    "arrow back from there to the first state.",
)

# %% [markdown]
# In NumPy it is a loop over time, for the whole batch at once. Keras's `SimpleRNN` gives the same states for each
# $\sigma$, in single and in double precision:


# %%
def run(x, U, W, b, sigma):
    h, states = np.zeros((len(x), len(U)), x.dtype), []
    for t in range(x.shape[1]):
        h = sigma(h @ U + x[:, t] @ W + b)  # h_t = σ(a_t)
        states.append(h)
    return np.stack(states, axis=1)  # (batch, T, L)


few, L = A[:8], 64
most = {"float32": 1e-5, "float64": 1e-10}
differences = pd.DataFrame(index=list(ACTIVATIONS), columns=list(most))
for dtype, limit in most.items():
    for name, activation in ACTIVATIONS.items():
        layer = keras.layers.SimpleRNN(
            L, activation=name, return_sequences=True, dtype=dtype
        )
        x = few.astype(dtype)
        theirs = np.asarray(layer(x))
        W, U, b = layer.get_weights()
        ours = run(x, U, W, b, activation.function)
        library = recurrence(x, join_weights(W, U), b, name)
        scale = max(1, np.abs(theirs).max())
        assert np.abs(library - ours).max() / scale < limit
        differences.loc[name, dtype] = np.abs(ours - theirs).max() / scale
assert (differences < pd.Series(most)).all(axis=None)
plots.table(differences.astype(float), index=True, digits=2)

# %% [markdown]
# The table shows rounding errors only. As printed, the article's equation *is* `SimpleRNN`.
#
# ## Back-propagation through time
#
# Let the loss $\mathcal L$ depend on the last state, as in the listing. Write
# $\delta_t = \partial \mathcal L / \partial a_t$ ($L$ numbers). The chain rule gives, first through $\sigma$ and then
# through $a_{t+1}$,
#
# $$
# \delta_t = \frac{\partial \mathcal L}{\partial h_t} \odot \sigma'(a_t), \qquad
# \frac{\partial \mathcal L}{\partial h_t} = \delta_{t+1} U^{\mathsf T} \quad (t < T).
# $$ (rnn-delta)
#
# Each step uses the weights, so each step adds its part:
#
# $$
# \frac{\partial \mathcal L}{\partial W_h} = \sum_{t=1}^{T} [h_{t-1}, x_t]^{\mathsf T}\, \delta_t, \qquad
# \frac{\partial \mathcal L}{\partial b_h} = \sum_{t=1}^{T} \delta_t .
# $$ (rnn-weights)
#
# This is {term}`back-propagation through time` {cite}`werbos1990`. In NumPy, with tanh, compared with TensorFlow:


# %%
def run_backward(by_last, x, states, U):
    by_U, by_W, by_b = np.zeros_like(U), 0, 0
    by_h = by_last
    for t in reversed(range(x.shape[1])):
        delta = by_h * (1 - states[:, t] ** 2)  # the slope of tanh
        if t:
            by_U += states[:, t - 1].T @ delta
        by_W = by_W + x[:, t].T @ delta
        by_b = by_b + delta.sum(axis=0)
        by_h = delta @ U.T
    return by_W, by_U, by_b


generator = np.random.default_rng(seed)
x = few.astype(np.float64)
direction = generator.standard_normal((len(x), L))  # the loss: Σ direction h_T
layer = keras.layers.SimpleRNN(L, dtype="float64", return_sequences=True)
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(layer(x)[:, -1] * direction)
theirs = tape.gradient(loss, layer.trainable_variables)
W, U, b = layer.get_weights()
ours = run_backward(direction, x, run(x, U, W, b, np.tanh), U)
to_tape = max(
    np.abs(mine - its).max() / np.abs(its).max()
    for mine, its in zip(ours, theirs, strict=True)
)
print(f"largest difference from TensorFlow: {to_tape:.1e} of the largest")
assert to_tape < 1e-10

# %% [markdown]
# The library's `recurrence_backward` does the same for each $\sigma$:

# %% tags=["hide-input"]
at_end = np.zeros((len(x), T, L))  # by each state: the loss reads the last
at_end[:, -1] = direction
for name in ACTIVATIONS:
    layer = keras.layers.SimpleRNN(
        L, activation=name, dtype="float64", return_sequences=True
    )
    with tf.GradientTape() as tape:
        states = layer(x)
        loss = tf.reduce_sum(states[:, -1] * direction)
    by_W, by_U, by_b = tape.gradient(loss, layer.trainable_variables)
    W, U, _ = layer.get_weights()
    mine = recurrence_backward(
        at_end, x, np.asarray(states), join_weights(W, U), name
    )
    apart = max(
        np.abs(ours - its).max() / np.abs(its).max()
        for ours, its in (
            (mine.joined, join_weights(by_W.numpy(), by_U.numpy())),
            (mine.bias, by_b.numpy()),
        )
    )
    print(f"{name}: largest difference from TensorFlow {apart:.1e}")
    assert apart < 1e-10
    to_tape = max(to_tape, apart)

# %% tags=["remove-cell"]
quote(
    forward_difference=float(differences["float64"].max()),
    gradient_difference=float(to_tape),
)

# %% [markdown]
# ## Vanish or explode
#
# From $T$ down to $t$, {eq}`rnn-delta` multiplies
#
# $$
# \frac{\partial \mathcal L}{\partial h_t} = \frac{\partial \mathcal L}{\partial h_T}\,
# J_T\, J_{T-1} \cdots J_{t+1}, \qquad
# J_s = \operatorname{diag}\bigl(\sigma'(a_s)\bigr)\, U^{\mathsf T} .
# $$ (eq-bptt)
#
# Each factor stretches a vector by at most $\gamma \lVert U \rVert$, where $\gamma$ bounds $\lvert\sigma'\rvert$ (1 for ReLU
# and tanh, 1/4 for the sigmoid):
#
# $$
# \Bigl\lVert \frac{\partial \mathcal L}{\partial h_t} \Bigr\rVert \le
# (\gamma \lVert U \rVert)^{T-t}\,
# \Bigl\lVert \frac{\partial \mathcal L}{\partial h_T} \Bigr\rVert .
# $$ (eq-bound)
#
# If $\gamma \lVert U \rVert < 1$ the gradient vanishes, exponentially in the distance {cite}`bengio1994,pascanu2013`.
# ReLU makes $\sigma'$ 1 for active units and 0 for the others. It does not change the powers of $U$.
#
# **What theory predicts for ReLU.** Draw the entries of $U$ independently, with mean 0 and variance $\rho^2 / L$. For
# large $L$ the {term}`spectral radius`, the size of the largest eigenvalue, is then $\rho$. If a share $q$ of the units is
# active, then
#
# $$
# \mathbb E \Bigl\lVert \frac{\partial \mathcal L}{\partial h_{t-1}} \Bigr\rVert^2 \approx q \rho^2\,
# \Bigl\lVert \frac{\partial \mathcal L}{\partial h_t} \Bigr\rVert^2 .
# $$ (rnn-half)
#
# With $q = \frac12$ the factor is $\rho / \sqrt 2$ a step. It is 1 at $\rho = \sqrt 2$, which is He's rule
# ({doc}`03_cnn`). So with ReLU the gradient should vanish at $\rho = 1$, survive at $\sqrt 2$ and explode at 2.
#
# ### The measurement
#
# Pieces of 100 frames, over three seconds each. The loss is a random direction of the last state. We draw $U$ as the
# theory says, without rescaling it, {glue:text}`rnn-draws:d` times for each $\sigma$ and each $\rho$. For each draw we
# take the median factor a step. *Vanishes* means that less than a thousandth of the length is left 99 steps back,
# *explodes* that it has grown more than a thousandfold; otherwise it *survives*.

# %%
STEPS, PIECES, UNITS = 100, 16, 64
DRAWS = 20 if profile == "quick" else 100
RADII = {"0.5": 0.5, "1": 1.0, "√2": np.sqrt(2), "2": 2.0, "4": 4.0}

stream = A[is_frame].astype(np.float64)  # every frame, one after another
enough = max(len(stream) // STEPS, PIECES) * STEPS
stream = np.resize(stream, (enough, F)).reshape(-1, STEPS, F)
generator = np.random.default_rng(seed)
pieces = generator.permutation(stream)[:PIECES]  # (16, 100, F)


def last_direction(shape):
    """Return the gradient of a loss of the last state: length 1."""
    direct = np.zeros(shape)
    direction = generator.standard_normal((shape[0], shape[2]))
    direct[:, -1] = direction / np.linalg.norm(
        direction, axis=1, keepdims=True
    )
    return direct


def back(sigma, W, U, bias):
    """Return the length of the gradient by each state, and the states."""
    W_h = join_weights(W, U)
    states = recurrence(pieces, W_h, bias, sigma)
    direct = last_direction(states.shape)
    gradient = recurrence_backward(direct, pieces, states, W_h, sigma)
    return gradient_norms(gradient.states), states


def draw(rho):
    """Return random weights: U with variance ρ²/L, W as in Keras."""
    U = generator.normal(0, rho / np.sqrt(UNITS), (UNITS, UNITS))
    limit = np.sqrt(6 / (F + UNITS))  # Glorot
    W = generator.uniform(-limit, limit, (F, UNITS))
    return W, U, np.zeros(UNITS)


norms, states, measured_radius = {}, {}, {}
for sigma in ("sigmoid", "tanh", "relu"):
    for name, rho in RADII.items():
        drawn = [draw(rho) for _ in range(DRAWS)]
        runs = [back(sigma, *weights) for weights in drawn]
        norms[sigma, name] = np.stack([run[0] for run in runs])
        states[sigma, name] = np.stack([run[1] for run in runs])
        measured_radius[name] = np.mean(
            [np.abs(np.linalg.eigvals(U)).max() for _, U, _ in drawn]
        )

# %% tags=["hide-input"]
LIMIT, FLOOR = 1e3, 1e-40  # a logarithmic axis cannot show 0


def curve(norm):
    """Return the median length of the gradient, from the last step back."""
    merged = norm.reshape(-1, norm.shape[-1])
    return np.maximum(np.median(merged, axis=0)[::-1], FLOOR)


LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
scale = sns.color_palette("viridis", len(RADII))
figure, axes = plt.subplots(
    1, 3, figsize=(8, 3.4), sharey=True, layout="constrained"
)
for axis, sigma in zip(axes, ("sigmoid", "tanh", "relu"), strict=True):
    for name, colour, line in zip(RADII, scale, LINES, strict=True):
        axis.semilogy(
            np.arange(STEPS),
            curve(norms[sigma, name]),
            color=colour,
            linestyle=line,
            label=name,
        )
    axis.axhline(1, color="0.5", linewidth=0.8)
    axis.set(
        title="ReLU" if sigma == "relu" else sigma,
        xlabel="steps before the last",
        ylim=(1e-35, 1e35),
    )
axes[0].set_ylabel("length of the gradient (last = 1)")
axes[0].legend(title="ρ", fontsize=8, title_fontsize=8, ncols=2)
plots.show(
    figure,
    "Three panels, sigmoid, tanh and ReLU: the median length of the "
    "gradient on a logarithmic axis against steps before the last, one line "
    "for each ρ from 0.5 to 4. The lines are nearly straight: they fall for "
    "small ρ; for ReLU they rise for large ones.",
)

# %% tags=["hide-input"]
FATES = ("vanishes", "survives", "explodes")


def left(norm):
    """Return what is left 99 steps back, by draw: the median over pieces."""
    return np.median(norm[:, :, 0], axis=1)


def fates_of(norm):
    """Return the share of the draws that vanish, survive and explode."""
    remains = left(norm)
    low, high = remains < 1 / LIMIT, remains > LIMIT
    return pd.Series([low.mean(), (~low & ~high).mean(), high.mean()], FATES)


def factors(norm):
    """Return the factor a step, by draw."""
    return left(norm) ** (1 / (norm.shape[-1] - 1))


def factor(norm):
    """Return the median factor a step."""
    return np.median(factors(norm))


def fate(norm):
    """Return what happens in most draws."""
    return fates_of(norm).idxmax()


active = {name: (states["relu", name] > 0).mean() for name in RADII}
overview = pd.DataFrame(
    [
        {
            "σ": "ReLU" if sigma == "relu" else sigma,
            "ρ": name,
            "factor a step": f"{factor(norm):.2f}",
            "10–90 % of draws": "{:.2f}–{:.2f}".format(
                *np.quantile(factors(norm), [0.1, 0.9])
            ),
            "theory, √q ρ": f"{np.sqrt(active[name]) * RADII[name]:.2f}"
            if sigma == "relu"
            else "–",
            **{
                f"{what} (%)": f"{100 * fates_of(norm)[what]:.0f}"
                for what in FATES
            },
        }
        for (sigma, name), norm in norms.items()
    ]
)
plots.table(overview, digits=2)

# %% tags=["remove-cell"]
root = norms["relu", "√2"]
quote(
    draws=DRAWS,
    radius_measured=measured_radius["1"],
    relu_factor_1=factor(norms["relu", "1"]),
    relu_factor_root=factor(root),
    relu_root_low=np.quantile(factors(root), 0.1),
    relu_root_high=np.quantile(factors(root), 0.9),
    relu_root_survives=100 * fates_of(root)["survives"],
    relu_1_fate=fate(norms["relu", "1"]),
    relu_2_fate=fate(norms["relu", "2"]),
)

# %% [markdown]
# The lines of the figure are straight, so the gradient changes by nearly the same factor at each step. With
# ReLU it {glue:text}`rnn-relu-1-fate` at $\rho = 1$ (factor {glue:text}`rnn-relu-factor-1:.2f`) and
# {glue:text}`rnn-relu-2-fate` at $\rho = 2$. At $\rho = \sqrt 2$ the median factor is
# {glue:text}`rnn-relu-factor-root:.2f`, from {glue:text}`rnn-relu-root-low:.2f` to
# {glue:text}`rnn-relu-root-high:.2f` in 80 % of the draws, and the gradient survives in
# {glue:text}`rnn-relu-root-survives:.0f` % of them. So even at the best $\rho$ the outcome depends on the draw. (A draw of
# 64 units has a mean radius of {glue:text}`rnn-radius-measured:.2f` for $\rho = 1$. Rescaling it to exactly 1 would make
# each test a little harder than the theory says.)
#
# ### Careful starts
#
# Keras starts $U$ as an *orthogonal* matrix, which changes no vector's length {cite}`saxe2014`. {cite:t}`le2015` start ReLU
# at the *identity* with a tiny $W$ (the "IRNN"): each unit begins by adding up its inputs. The listing uses an
# {term}`LSTM`, the next section. Its *forget gate* decides in each step how much of a memory is kept. Keras gives the
# gate a bias of 1; a bias of 4 opens it further. The state of the LSTM is a pair, $h_t$ and the memory $c_t$, and we
# measure the gradient by the pair. The same measurement:


# %% tags=["hide-input"]
def by_pair(gradient, gates):
    """Return the length of the gradient by (h_t, c_t), with h_t held fixed.

    ``gradient.cells`` holds the way from c_t through h_t too, which
    ``gradient.states`` counts already; what comes from c_{t+1} alone is
    c̄_{t+1} ⊙ φ_{t+1}.
    """
    along = np.zeros_like(gradient.cells)
    along[:, :-1] = gradient.cells[:, 1:] * gates.forget[:, 1:]
    return gradient_norms(gradient.states, along)


def careful(name):
    """Return lengths of the gradient, for weights as Keras starts them."""
    cell, _, forget = name.partition(", forget bias ")
    layer = recurrent_layer(cell.split()[0], UNITS)
    layer.build((None, STEPS, F))
    W, U, bias = (array.astype(np.float64) for array in layer.get_weights())
    if cell != "LSTM":
        sigma = "tanh" if cell == "tanh orthogonal" else "relu"
        return back(sigma, W, U, bias)[0]
    bias[UNITS : 2 * UNITS] = float(forget)
    gates = lstm_gates(pieces, W, U, bias)
    direct = last_direction(gates.state.shape)
    return by_pair(lstm_backward(direct, pieces, gates, W, U), gates)


STARTS = (
    "tanh orthogonal",
    "ReLU orthogonal",
    "IRNN",
    "LSTM, forget bias 1",
    "LSTM, forget bias 4",
)
keras.utils.set_random_seed(seed)
careful_norms = {
    name: np.stack([careful(name) for _ in range(DRAWS)]) for name in STARTS
}
figure, axis = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for name, colour, line in zip(STARTS, colours, LINES, strict=False):
    axis.semilogy(
        np.arange(STEPS),
        curve(careful_norms[name]),
        color=colour,
        linestyle=line,
        label=name,
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
    "Median length of the gradient by the state on a logarithmic axis "
    "against steps before the last, for five careful starts: "
    + "; ".join(f"{name} {fate(norm)}" for name, norm in careful_norms.items())
    + ".",
)
plots.table(
    pd.DataFrame(
        [
            {
                "start": name,
                "factor a step": factor(norm),
                "left 99 steps back": np.median(left(norm)),
                **{
                    f"{what} (%)": f"{100 * fates_of(norm)[what]:.0f}"
                    for what in FATES
                },
            }
            for name, norm in careful_norms.items()
        ]
    ),
    digits=2,
)

# %% tags=["remove-cell"]
relu_norms = {f"ρ = {name}": norms["relu", name] for name in RADII} | {
    name: careful_norms[name] for name in ("ReLU orthogonal", "IRNN")
}
by_fate = {
    what: [name for name, norm in relu_norms.items() if fate(norm) == what]
    for what in FATES
}
counted = f"of {len(relu_norms)} starts of ReLU the gradient " + ", ".join(
    f"{what} from {len(names)} ({'; '.join(names)})"
    for what, names in by_fate.items()
    if names
)
if by_fate["vanishes"]:
    verdict = (
        "holds for chosen starts only: "
        if by_fate["survives"]
        else "does not hold: "
    ) + counted
else:
    verdict = "holds for each start that we tried: " + counted
forget_bias = careful_norms["LSTM, forget bias 1"]
quote(
    verdict_t3=verdict,
    irnn_left=np.median(left(careful_norms["IRNN"])),
    irnn_fate=fate(careful_norms["IRNN"]),
    relu_orthogonal_left=np.median(left(careful_norms["ReLU orthogonal"])),
    relu_orthogonal_fate=fate(careful_norms["ReLU orthogonal"]),
    tanh_orthogonal_fate=fate(careful_norms["tanh orthogonal"]),
    lstm_fate=fate(forget_bias),
    lstm_factor=factor(forget_bias),
    lstm_frames=T,
    lstm_left=np.median(forget_bias[:, :, -min(T, STEPS)]),
    lstm_open_fate=fate(careful_norms["LSTM, forget bias 4"]),
    lstm_open_factor=factor(careful_norms["LSTM, forget bias 4"]),
)

# %% [markdown]
# The table shows what happens in most draws. From an orthogonal $U$ the gradient {glue:text}`rnn-tanh-orthogonal-fate`
# with tanh and {glue:text}`rnn-relu-orthogonal-fate` with ReLU. In the IRNN it {glue:text}`rnn-irnn-fate`. **The article's
# sentence ([T3](#claim-t3)) {glue:text}`rnn-verdict-t3`.** A gradient that explodes does not vanish, so it does not
# contradict the sentence, but training then needs further means, such as clipping (below). All this is measured before
# training.
#
# ## The LSTM
#
# The LSTM {cite}`hochreiter1997,gers2000` adds a second state, the cell $c_t \in \mathbb{R}^L$. Its input, forget and output
# gates $\iota_t$, $\phi_t$, $\omega_t$ are each $\operatorname{sigmoid}(h_{t-1} U_\bullet + x_t W_\bullet + b_\bullet)$, with
# separate weights. The candidate is $g_t = \tanh(h_{t-1} U_g + x_t W_g + b_g)$. All have length $L$.
#
# $$
# c_t = \phi_t \odot c_{t-1} + \iota_t \odot g_t, \qquad h_t = \omega_t \odot \tanh(c_t) .
# $$ (eq-lstm)
#
# From $c_{t-1}$ to $c_t$ the derivative is $\phi_t$: a learnt number between 0 and 1 instead of a power of $U$. Keras's
# bias of 1 starts the forget gate near $\operatorname{sigmoid}(1) \approx 0.73$. The gradient has a second way,
# through $h_{t-1}$ and the gates, so the measured factor a step need not be 0.73: it is
# {glue:text}`rnn-lstm-factor:.2f`. Over 99 steps the gradient {glue:text}`rnn-lstm-fate`; over the
# {glue:text}`rnn-lstm-frames:d` frames of our sounds {glue:text}`rnn-lstm-left:.1%` of it is left. With a bias of 4 it
# {glue:text}`rnn-lstm-open-fate` ({glue:text}`rnn-lstm-open-factor:.2f`). Backwards, with
# $\bar h_t = \partial \mathcal L / \partial h_t$ and $\bar c_t = \partial \mathcal L / \partial c_t$,
#
# $$
# \begin{aligned}
# \bar h_t &= \delta^\iota_{t+1} U_\iota^{\mathsf T} + \delta^\phi_{t+1} U_\phi^{\mathsf T} +
#   \delta^g_{t+1} U_g^{\mathsf T} + \delta^\omega_{t+1} U_\omega^{\mathsf T} \quad (t < T) \\
# \bar c_t &= \bar c_{t+1} \odot \phi_{t+1} + \bar h_t \odot \omega_t \odot (1 - \tanh^2 c_t) \\
# \delta^\iota_t &= \bar c_t \odot g_t \odot \iota_t \odot (1 - \iota_t), \qquad
# \delta^\phi_t = \bar c_t \odot c_{t-1} \odot \phi_t \odot (1 - \phi_t) \\
# \delta^g_t &= \bar c_t \odot \iota_t \odot (1 - g_t^2), \qquad
# \delta^\omega_t = \bar h_t \odot \tanh c_t \odot \omega_t \odot (1 - \omega_t)
# \end{aligned}
# $$ (rnn-lstm-back)
#
# Then {eq}`rnn-weights` holds, with the four side by side in Keras's order $\iota, \phi, g, \omega$:


# %%
def lstm_run(x, W, U, b):
    h = c = np.zeros((len(x), len(U)))
    steps = []
    for t in range(x.shape[1]):
        a = h @ U + x[:, t] @ W + b
        i, f, g, o = np.split(a, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        steps.append((h, c, i, f, g, o))
        c = f * c + i * g  # the new memory
        h = o * np.tanh(c)
    return h, steps


def lstm_run_backward(by_h, x, steps, U):
    by_W, by_U, by_b, by_c = 0, 0, 0, 0
    for t in reversed(range(x.shape[1])):
        h, c, i, f, g, o = steps[t]  # h and c: before the step
        shown = np.tanh(f * c + i * g)
        by_c = by_c + by_h * o * (1 - shown**2)
        delta = [
            by_c * g * i * (1 - i),
            by_c * c * f * (1 - f),
            by_c * i * (1 - g**2),
            by_h * shown * o * (1 - o),
        ]
        delta = np.concatenate(delta, axis=1)  # (batch, 4 L)
        by_W = by_W + x[:, t].T @ delta
        by_U = by_U + h.T @ delta
        by_b = by_b + delta.sum(axis=0)
        by_h, by_c = delta @ U.T, by_c * f
    return by_W, by_U, by_b


x = few.astype(np.float64)
layer = keras.layers.LSTM(L, dtype="float64")
with tf.GradientTape() as tape:
    theirs = layer(x)
    loss = tf.reduce_sum(theirs * direction)
tapes = tape.gradient(loss, layer.trainable_variables)
W, U, b = layer.get_weights()
ours, steps = lstm_run(x, W, U, b)
pairs = zip(
    [ours, *lstm_run_backward(direction, x, steps, U)],
    [theirs, *tapes],
    strict=True,
)
difference = max(np.abs(mine - its).max() for mine, its in pairs)
print(f"largest difference of states and gradients: {difference:.1e}")
assert difference < 1e-8

# %% [markdown]
# ### The GRU, and both directions
#
# The *gated recurrent unit* {cite}`cho2014` has two gates and no cell. $z_t$ keeps the old state, $r_t$ resets it for the
# candidate (each $\operatorname{sigmoid}$ of a map of $h_{t-1}$ and $x_t$, of length $L$):
#
# $$
# \begin{aligned}
# g_t &= \tanh\bigl(x_t W_g + b_g + r_t \odot (h_{t-1} U_g + b'_g)\bigr) \\
# h_t &= z_t \odot h_{t-1} + (1 - z_t) \odot g_t .
# \end{aligned}
# $$ (rnn-gru)


# %%
def gru_run(x, W, U, b):  # b: (2, 3 L), for input and for state
    h = np.zeros((len(x), len(U)))
    for t in range(x.shape[1]):
        z, r, g = np.split(x[:, t] @ W + b[0], 3, axis=1)
        from_z, from_r, from_g = np.split(h @ U + b[1], 3, axis=1)
        z, r = sigmoid(z + from_z), sigmoid(r + from_r)
        h = z * h + (1 - z) * np.tanh(g + r * from_g)  # old and new
    return h


layer = keras.layers.GRU(L, dtype="float64")
theirs = layer(x)
difference = np.abs(gru_run(x, *layer.get_weights()) - theirs).max()
print(f"largest difference from Keras: {difference:.1e}")
assert difference < 1e-10

# %% [markdown]
# A *bidirectional* network {cite}`schuster1997` runs one recurrence forwards and another one backwards, and puts their last
# states end to end. It needs the whole sound before it can answer.
#
# ## Trained on the sounds
#
# Each network but the CNN is a recurrent layer and a softmax. The CNN has no recurrence: it reads the log-mel spectrogram
# like a picture. The plain recurrences begin with Keras's weights, an orthogonal $U$. From this start the gradient
# {glue:text}`rnn-tanh-orthogonal-fate` over 99 steps with tanh, and {glue:text}`rnn-relu-orthogonal-fate` with ReLU, see
# above; the sounds here are shorter. All are trained by Adam for the same number of steps, and the
# validation recordings choose the epoch. A gradient longer than 1 is shortened to 1 before Adam uses it; this is
# called *clipping* {cite}`pascanu2013`. The LSTM in Keras, as in the article's listing:


# %%
def listing():
    sound = keras.Input((T, F))
    state = keras.layers.LSTM(64)(sound)
    answer = keras.layers.Dense(len(labels), activation="softmax")(state)
    return keras.Model(sound, answer)


ours, theirs = audio_encoder(T, F, 64), listing()
ours.set_weights(theirs.get_weights()[:3])  # the library's is the same
inner = keras.Model(theirs.input, theirs.layers[1].output)
assert np.abs(ours(few) - inner(few)).max() < 1e-6


def with_layer(make):
    return keras.Sequential(
        [
            keras.Input((T, F)),
            make(),
            keras.layers.Dense(len(labels), activation="softmax"),
        ]
    )


def convolutional():  # over the log-mel spectrogram, as over a picture
    model = keras.Sequential([keras.Input((T, audio.BANDS, 1))])
    for filters in (16, 32):
        model.add(
            keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                kernel_initializer="he_normal",
            )
        )
        model.add(keras.layers.MaxPooling2D(2))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(len(labels), activation="softmax"))
    return model


def learn(build, x, rows, number, stops=validation):
    """Train on these rows; return the network of the best epoch."""
    keras.utils.set_random_seed(number)
    network = build()
    network.compile(
        keras.optimizers.Adam(2e-3, global_clipnorm=1.0),
        loss="sparse_categorical_crossentropy",
    )
    history = network.fit(
        x[rows],
        y[rows],
        validation_data=(x[stops], y[stops]),
        validation_batch_size=1000,
        epochs=max(6, round(UPDATES * 32 / len(rows))),
        batch_size=32,
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(
                patience=UPDATES, restore_best_weights=True
            )
        ],
    ).history
    return network, history


def is_right(network, x, rows):
    """Return whether the network is right, recording by recording."""
    answer = network.predict(x[rows], batch_size=500, verbose=0)
    return (answer.argmax(axis=1) == y[rows]).astype(float)


# %% tags=["remove-output"]
UPDATES = 250 if profile == "quick" else 1000
mel_frames, *_ = audio.encode_audio(
    paths, kind="log-mel", coefficients=audio.BANDS, fit_on=of_training
)
networks = {
    "LSTM": (listing, A),
    "GRU": (lambda: with_layer(lambda: keras.layers.GRU(64)), A),
    "bidirectional LSTM": (
        lambda: with_layer(
            lambda: keras.layers.Bidirectional(keras.layers.LSTM(32))
        ),
        A,
    ),
    "recurrence, tanh": (
        lambda: with_layer(lambda: recurrent_layer("tanh", 64)),
        A,
    ),
    "recurrence, ReLU": (
        lambda: with_layer(lambda: recurrent_layer("ReLU", 64)),
        A,
    ),
    "CNN on log-mel": (convolutional, mel_frames),
}
trained = {
    (name, number): learn(build, x, train, number)
    for name, (build, x) in networks.items()
    for number in SEEDS
}

# %% [markdown]
# Two controls. The *bag of frames* is a logistic regression on mean and standard deviation of each coefficient, so it
# does not see the order. And the trained LSTM reads the test sounds backwards, and with shuffled frames.
#
# The sounds of `shop` are made to show what a recurrence is for. Some kinds have the same frames and differ in their
# order only, such as a tone that rises and one that falls. There an LSTM should beat the bag of frames, and its
# accuracy should fall when the order is reversed.


# %%
def reorder(A, how, generator):
    """Put the frames of each sound into another order."""
    other = A.copy()
    for sound, there in zip(other, A.any(axis=2), strict=True):
        frames = sound[there]
        sound[there] = (
            frames[::-1]
            if how == "backwards"
            else generator.permutation(frames)
        )
    return other


def bag_of_frames(rows, A):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(summarise(A[rows]), y[rows])


right = {
    name: np.mean(
        [is_right(trained[name, number][0], x, test) for number in SEEDS],
        axis=0,
    )
    for name, (_, x) in networks.items()
}
bag = bag_of_frames(train, A)
right["bag of frames"] = (bag.predict(summarise(A[test])) == y[test]) * 1.0
right["most frequent answer"] = (
    y[test] == np.bincount(y[train]).argmax()
) * 1.0
generator = np.random.default_rng(seed)
for how in ("backwards", "shuffled"):
    other = reorder(A, how, generator)
    right[f"LSTM, {how}"] = np.mean(
        [
            is_right(trained["LSTM", number][0], other, test)
            for number in SEEDS
        ],
        axis=0,
    )


# %% tags=["hide-input"]
gaps = {
    name: Estimate.over_items(right["LSTM"] - hits, seed)
    for name, hits in right.items()
}
plots.table(
    pd.DataFrame(
        [
            {
                "model": name,
                "accuracy": hits.mean(),
                "LSTM minus it": "–"
                if name == "LSTM"
                else f"{gaps[name][0]:+.3f}",
                "95 % interval": "–"
                if name == "LSTM"
                else f"{gaps[name][1]:+.3f} to {gaps[name][2]:+.3f}",
            }
            for name, hits in right.items()
        ]
    )
)

# %% tags=["remove-cell"]
order_matters = gaps["LSTM, backwards"][1] > 0
better_than_bag = gaps["bag of frames"][1] > 0
quote(
    starts=f"the mean over {len(SEEDS)} random starts"
    if len(SEEDS) > 1
    else "from one random start",
    frequent=right["most frequent answer"].mean(),
    bag=right["bag of frames"].mean(),
    accuracy=right["LSTM"].mean(),
    plain_accuracy=right["recurrence, tanh"].mean(),
    backwards=right["LSTM, backwards"].mean(),
    against_bag=gaps["bag of frames"].against("the bag of frames"),
    against_backwards=gaps["LSTM, backwards"].against(
        "the same LSTM on reversed sounds"
    ),
    against_cnn=gaps["CNN on log-mel"].against("the CNN on log-mel"),
    against_gru=gaps["GRU"].against("the GRU"),
    against_tanh=gaps["recurrence, tanh"].against(
        "the plain recurrence with tanh"
    ),
    against_relu=gaps["recurrence, ReLU"].against("the one with ReLU"),
    without_recurrence="So on these sounds no advantage over a network without "
    "recurrence is measured."
    if gaps["CNN on log-mel"].low <= 0
    else "So on these sounds it is better than a network without recurrence.",
    order="The LSTM uses the order of the frames, and the order helps."
    if order_matters and better_than_bag
    else "The LSTM uses the order of the frames, but on these sounds the bag of "
    "frames is as good without it."
    if order_matters
    else "On these sounds the LSTM does not depend on the order of the frames.",
)

# %% [markdown]
# Accuracies are on the test recordings, for networks {glue:text}`rnn-starts`. The intervals are
# {term}`bootstrap` intervals of paired differences. The LSTM is {glue:text}`rnn-against-bag`, and it is
# {glue:text}`rnn-against-backwards`. {glue:text}`rnn-order`
#
# The plain recurrence is the article's equation. The LSTM is {glue:text}`rnn-against-tanh`, and
# {glue:text}`rnn-against-relu`. It is {glue:text}`rnn-against-gru`. It is also {glue:text}`rnn-against-cnn`.
# {glue:text}`rnn-without-recurrence`
#
# ### Inside the gates
#
# The test sound that the network is surest of, read with the trained weights by our equations. The last panel shows the
# answer after each frame, for the classes that reach the highest probabilities, at most four of
# {glue:text}`rnn-n-labels:d`:

# %% tags=["hide-input"]
model = trained["LSTM", seed][0]
kernel, recurrent, bias, dense_kernel, dense_b = model.get_weights()
guess = model.predict(A[test], verbose=0)  # (n_test, classes)
chosen = test[guess[np.arange(len(test)), y[test]].argmax()]  # the surest
gates = lstm_gates(A[chosen][None], kernel, recurrent, bias)
answers = softmax(gates.state[0] @ dense_kernel + dense_b)  # (T, classes)
keras_answer = model.predict(A[chosen][None], verbose=0)[0]
assert np.abs(answers[-1] - keras_answer).max() < 1e-5
figure, axes = plt.subplots(
    3,
    1,
    figsize=(6.6, 5.6),
    sharex=True,
    layout="constrained",
    height_ratios=[1, 1, 1.2],
)
mesh = axes[0].pcolormesh(
    np.arange(T + 1) + 0.5, np.arange(F + 1) - 0.5, A[chosen].T, cmap="viridis"
)
axes[0].set(ylabel="coefficient", title="MFCC, standardised")
figure.colorbar(mesh, ax=axes[0])
for name, marker in (("forget", "o"), ("input", "s"), ("output", "^")):
    axes[1].plot(
        np.arange(1, T + 1),
        getattr(gates, name)[0].mean(axis=1),
        marker=marker,
        markersize=4,
        label=name,
    )
axes[1].set(ylabel="mean over units", ylim=(0, 1), title="gates")
axes[1].legend(ncols=3, fontsize=8)
likely = np.argsort(-answers.max(axis=0))[:4]
for label, marker in zip(likely, "os^D", strict=False):
    axes[2].plot(
        np.arange(1, T + 1),
        answers[:, label],
        marker=marker,
        markersize=4,
        label=labels[label],
    )
axes[2].set(
    ylabel="probability",
    xlabel="frame (32 ms each, counted from 1)",
    ylim=(-0.02, 1.02),
    title="answer if the sound ended here",
)
axes[2].legend(fontsize=8)
for axis in axes:
    axis.grid(False)
display(plots.players({f"{labels[y[chosen]]}, test": wave_of(chosen)}, rate))
plots.show(
    figure,
    f"A recording of {labels[y[chosen]]} in three panels over its frames: "
    "its MFCCs; the mean forget, input and output gate; and the "
    "probabilities of the four likeliest answers, of which the right one is "
    "near 1 at the end.",
)

# %% tags=["remove-cell"]
late = np.flatnonzero(answers[:, y[chosen]] <= 0.5)
quote(
    chosen=labels[y[chosen]],
    n_labels=len(labels),
    forget=gates.forget[0][is_frame[chosen]].mean(),
    settled=late[-1] + 2 if len(late) else 1,  # counted from 1
)

# %% [markdown]
# On this sound the forget gate is {glue:text}`rnn-forget:.2f` on average. From frame {glue:text}`rnn-settled` on, the
# right answer, "{glue:text}`rnn-chosen`", has a probability above one half.
#
# ### Unknown speakers
#
# Where the sounds are speech, the random test part holds other recordings *of the same people*. Where a data set names its
# speakers, as `garments` does, each speaker can be held out: from the training, from the standardisation, and from the validation recordings
# that choose the epoch:

# %% tags=["hide-input"]
by_speaker = []
if "speaker" in items:
    speakers = items["speaker"].astype(str).to_numpy()
    for speaker in np.unique(speakers):
        of_speaker = speakers == speaker
        kept = np.flatnonzero(~of_speaker & ~np.isin(np.arange(n), validation))
        # Padding stays zero: NaN marks it, as for the whole catalogue.
        frames = np.where(is_frame[:, :, None], A, np.nan)
        x = standardise(frames, fit_on=np.isin(np.arange(n), kept))
        unknown = np.flatnonzero(of_speaker)
        stops = validation[~of_speaker[validation]]
        network, _ = learn(listing, x, kept, seed, stops)
        by_speaker.append(
            {
                "held-out speaker": speaker,
                "LSTM": is_right(network, x, unknown).mean(),
                "bag of frames": bag_of_frames(kept, x).score(
                    summarise(x[unknown]), y[unknown]
                ),
            }
        )
    by_speaker = pd.DataFrame(by_speaker)
    display(plots.table(by_speaker))

# %% tags=["remove-cell"]
strangers = (
    f"Over {len(by_speaker)} unknown speakers the LSTM reaches "
    f"{by_speaker['LSTM'].mean():.3f} on average, from "
    f"{by_speaker['LSTM'].min():.3f} to {by_speaker['LSTM'].max():.3f}, and "
    f"the bag of frames {by_speaker['bag of frames'].mean():.3f}. A random "
    "split measures how well the network knows these speakers."
    if len(by_speaker)
    else f"{data.name} names no speakers, so this is not measured here. "
    "The data set garments names them."
)
quote(strangers=strangers)

# %% [markdown]
# {glue:text}`rnn-strangers`
#
# ### Padding and masks
#
# A batch is a block, so short sounds are padded with frames of zeros. `encode_audio` pads in *front*. A {term}`mask` makes
# Keras carry the state over the padding unchanged; then its place does not matter. 32 frames of padding are added to the
# test sounds:

# %%
masked = audio_encoder(T + 32, F, 64, masked=True)
unmasked = audio_encoder(T + 32, F, 64)
for encoder in (masked, unmasked):
    encoder.set_weights([kernel, recurrent, bias])
in_front = np.pad(A[test], ((0, 0), (32, 0), (0, 0)))
behind = np.pad(A[test], ((0, 0), (0, 32), (0, 0)))
bare = np.stack(  # each sound alone, by our equations, without padding
    [
        lstm(A[row][is_frame[row]][None], kernel, recurrent, bias)[0, -1]
        for row in test[:20]
    ]
)
for x in (in_front, behind):
    state = masked.predict(x, verbose=0)
    assert np.abs(state[:20] - bare).max() < 1e-5
padded_accuracy = {
    name: (
        (encoder.predict(x, verbose=0) @ dense_kernel + dense_b).argmax(axis=1)
        == y[test]
    ).mean()
    for name, encoder, x in (
        ("padded in front", unmasked, in_front),
        ("padded behind", unmasked, behind),
        ("masked", masked, behind),
    )
}
print(
    {name: round(float(value), 3) for name, value in padded_accuracy.items()}
)

# %% tags=["remove-cell"]
quote(
    padded_front=padded_accuracy["padded in front"],
    padded_behind=padded_accuracy["padded behind"],
    padded_masked=padded_accuracy["masked"],
)
used = plots.resources(started)
quote(
    seconds=used["seconds"],
    peak=used["peak_mb"] / 1000,
    cores=int(used["cores"]),
)

# %% [markdown]
# The trained LSTM classifies {glue:text}`rnn-padded-front:.1%` correctly with the padding in front,
# {glue:text}`rnn-padded-behind:.1%` with the padding behind, and {glue:text}`rnn-padded-masked:.1%` with a mask. It was
# trained with padding in front, but with less of it: its sounds had {glue:text}`rnn-lstm-frames:d` frames, padding
# included. So use a mask, or pad as in training: on the same side and to the same length.
#
# ## What the article says, and what we measured
#
# | row | the article | here |
# |---|---|---|
# | [E3](#claim-e3) | $h_t = \sigma(W_h \cdot [h_{t-1}, x_t] + b_h)$ | *holds* as an equation: it equals Keras's `SimpleRNN` for each $\sigma$, gradients included. The listing of section 5.2 does not use it; it has an LSTM, {eq}`eq-lstm` |
# | [T3](#claim-t3) | the RNN uses ReLU too, and so avoids vanishing gradients | {glue:text}`rnn-verdict-t3`. The listing has no ReLU in its recurrence |
# | [A5](#claim-a5) | audio through an RNN: features, time series | on {glue:text}`rnn-dataset`, {glue:text}`rnn-accuracy:.1%` of the test recordings are classified correctly (most frequent answer {glue:text}`rnn-frequent:.1%`, bag of frames {glue:text}`rnn-bag:.1%`). {glue:text}`rnn-strangers` |
# | [S1](#claim-s1) | 8 GB of memory and a 2 GHz processor suffice | this page: {glue:text}`rnn-seconds:.0f` seconds on {glue:text}`rnn-cores` cores, {glue:text}`rnn-peak:.1f` GB |
#
# ## Exercises
#
# **1.** One unit, one feature: $x = (1, 2)$, $U = \frac12$, $W = 1$, $b_h = 0$, $\sigma = \operatorname{ReLU}$,
# $\mathcal L = h_2$. Compute $h_1$, $h_2$ and the gradients by $U$ and $W$.
#
# ```{dropdown} Solution
# $h_1 = 1$ and $h_2 = \frac52$. Both units are active, so $\delta_2 = 1$ and $\delta_1 = \delta_2 U = \frac12$. Then
# $\partial \mathcal L / \partial U = h_0 \delta_1 + h_1 \delta_2 = 1$ and
# $\partial \mathcal L / \partial W = x_1 \delta_1 + x_2 \delta_2 = \frac52$.
# ```

# %% tags=["hide-cell"]
x = np.array([[[1.0], [2.0]]])  # (batch 1, T 2, F 1)
W_h = np.array([[0.5], [1.0]])  # U on top of W
h = recurrence(x, W_h, np.zeros(1), "relu")
direct = np.array([[[0.0], [1.0]]])  # the loss is h_2 itself
by_hand = recurrence_backward(direct, x, h, W_h, "relu")
print("states:", h.ravel(), " gradient by U and W:", by_hand.joined.ravel())
assert (by_hand.joined.ravel() == [1, 2.5]).all()

# %% [markdown]
# **2.** Let $L = F = 1$, $x_t = 0$, no bias, ReLU, and $h_0 = 1$. What is $\partial h_{100} / \partial h_0$ for
# $U = 0.9$, $1$, $1.1$ and $-1$?
#
# ```{dropdown} Solution
# While the state is positive, the derivative is $U^{100}$: $2.7 \cdot 10^{-5}$, 1, and $1.4 \cdot 10^{4}$. For $U = -1$ the
# first step gives $\operatorname{ReLU}(-1) = 0$, and the derivative is 0.
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
# **3.** An LSTM's forget gate stands at $\operatorname{sigmoid}(1)$. What is left of a memory after 50 steps? At which input
# to the gate is half of it left?
#
# ```{dropdown} Solution
# $0.731^{50} \approx 1.6 \cdot 10^{-7}$. For a half, $\phi = 2^{-1/50} \approx 0.9862$, an input of
# $\ln\bigl(\phi/(1-\phi)\bigr) \approx 4.3$.
# ```

# %% tags=["hide-cell"]
nothing = np.zeros((1, 50, 1))
for forget in (1.0, np.log(1 / (2 ** (1 / 50) - 1))):
    bias = np.array([0, forget, 0, 0])  # input, forget, candidate, output
    start = np.zeros((1, 1)), np.ones((1, 1))  # h_0 = 0, c_0 = 1
    gates = lstm_gates(
        nothing, np.zeros((1, 4)), np.zeros((1, 4)), bias, start
    )
    remains = gates.cell[0, -1, 0]
    print(f"input {forget:.2f}: {remains:.2g} of the memory is left")
assert np.isclose(remains, 0.5)

# %% [markdown]
# **4.** How many parameters have an LSTM, a GRU (in Keras, with two biases) and a plain recurrence with $L = 32$ and
# $F = 20$?
#
# ```{dropdown} Solution
# $4 (L (L + F) + L) = 6\,784$, $3 (L (L + F) + 2L) = 5\,184$ and $L (L + F) + L = 1\,696$. The number of frames does not
# occur.
# ```

# %% tags=["hide-cell"]
for layer in (
    keras.layers.LSTM(32),
    keras.layers.GRU(32),
    keras.layers.SimpleRNN(32),
):
    layer.build((None, T, 20))
    print(f"{layer.name}: {layer.count_params():,}")

# %% [markdown]
# **5.** What does a GRU do while $z_t = 1$, and while $z_t = 0$ and $r_t = 1$? What is $\partial h_t / \partial h_{t-1}$
# in the first case?
#
# ```{dropdown} Solution
# With $z_t = 1$ it copies its state, $h_t = h_{t-1}$, and the derivative is the identity: the gradient neither vanishes nor
# explodes. With $z_t = 0$ and $r_t = 1$ it is the recurrence {eq}`eq-recurrence` with tanh. The cell sets the biases of the
# gates to ±40.
# ```

# %% tags=["hide-cell"]
generator = np.random.default_rng(seed)
x = generator.standard_normal((2, 9, 3))
W = generator.standard_normal((3, 12))
U = generator.standard_normal((4, 12))
for z, r in ((40, 0), (-40, 40)):
    b = np.zeros((2, 12))
    b[0, :4], b[0, 4:8] = z, r
    plain = run(x, U[:, 8:], W[:, 8:], b[0, 8:], np.tanh)[:, -1]
    apart = np.abs(gru_run(x, W, U, b) - (0 if z > 0 else plain)).max()
    print(f"bias of z {z:3}: largest difference {apart:.1e}")
    assert apart < 1e-10

# %% [markdown]
# **6.** Take $\sigma(a) = a$, $U$ the identity and $b_h = 0$. What can a softmax on the last state know about the order of
# the frames? What follows for the start of the IRNN?
#
# ```{dropdown} Solution
# $h_T = \sum_t x_t W$, the same for each order: a bag of frames. The IRNN starts close to that. It differs only where the
# running sum of a unit falls below zero. The cell shuffles the frames of one sound for both.
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
# **7.** Give the bag of frames slopes and curvatures too, `encode_audio(…, deltas=True)`. Does it gain?
#
# ```{dropdown} Solution
# The cell prints both accuracies. Slopes are differences between neighbouring frames, so they bring a piece of the order
# into each frame. Whether that helps depends on whether the sounds differ in order.
# ```

# %% tags=["hide-cell"]
with_slopes, *_ = audio.encode_audio(paths, deltas=True, fit_on=of_training)
for name, frames in (("without", A), ("with", with_slopes)):
    score = bag_of_frames(train, frames).score(
        summarise(frames[validation]), y[validation]
    )
    print(f"{name} slopes: {score:.3f} on validation recordings")

# %% [markdown]
# ## Where to read on
#
# {cite:t}`goodfellow2016`, chapter 10, on sequences; {cite:t}`pascanu2013` on gradients through time.
