"""The audio encoder: a recurrent network reads a sound frame by frame (article, section 3.2.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mmtutorial.keras_settings import keras, keras_defaults, layers

CELLS: Mapping[str, Callable[..., layers.RNN]] = MappingProxyType(
    {
        "LSTM": layers.LSTM,  # the article's listing
        "tanh": layers.SimpleRNN,
        "ReLU": lambda units, **options: layers.SimpleRNN(units, activation="relu", **options),
        "IRNN": lambda units, **options: layers.SimpleRNN(
            units,
            activation="relu",
            recurrent_initializer="identity",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            **options,
        ),
    }
)


@keras_defaults()
def recurrent_layer(cell: str = "LSTM", units: int = 64, **options: object) -> layers.RNN:
    """Make one of the recurrent layers that chapter 4 compares.

    Parameters
    ----------
    cell : str
        "LSTM", as in the article's listing; "tanh" or "ReLU", the article's recurrence with that σ
        and Keras's initial weights; "IRNN", with ReLU and U started at the identity (Le, Jaitly &
        Hinton, 2015).
    units : int
        Length of the state.
    **options
        Passed to Keras, such as ``return_sequences`` or ``dtype``.

    Raises
    ------
    ValueError
        For an unknown cell.

    Examples
    --------
    >>> recurrent_layer("IRNN", 8)(keras.ops.zeros((2, 5, 3))).shape
    TensorShape([2, 8])
    """
    if cell not in CELLS:
        raise ValueError(f"cell is {cell!r}; we have {', '.join(CELLS)}")
    return CELLS[cell](units, **options)


@keras_defaults()
def audio_encoder(
    timesteps: int, features: int, units: int = 64, *, cell: str = "LSTM", masked: bool = False
) -> keras.Model:
    """Build the encoder that turns a sound into one vector: the state after its last frame.

    Parameters
    ----------
    timesteps, features : int
        Frames of a sound, numbers a frame, as `mmtutorial.preprocessing.audio.encode_audio` makes
        them.
    units : int
        Length of the vector.
    cell : str
        See `recurrent_layer`.
    masked : bool
        Whether to step over frames that are all zeros, the filling of short sounds, instead of
        reading them as frames like others. An absent sound, zeros only, then becomes the zero
        vector. Without a mask, fill in front (`encode_audio` does), so that the sound comes last.

    Returns
    -------
    keras.Model
        Input "audio", float32 (batch, timesteps, features); output float32 (batch, units). Not
        compiled: it is a part of something larger.

    Raises
    ------
    ValueError
        For an unknown cell, or a size below 1.

    Examples
    --------
    >>> audio_encoder(32, 20, 64).count_params() == 4 * 64 * (20 + 64 + 1)
    True
    """
    sizes = {"timesteps": timesteps, "features": features, "units": units}
    if min(sizes.values()) < 1:
        raise ValueError(f"the sizes are {sizes}; each must be at least 1")
    sound = layers.Input(shape=(timesteps, features), name="audio")
    frames = layers.Masking(name="mask")(sound) if masked else sound
    state = recurrent_layer(cell, units, name="recurrent")(frames)
    return keras.Model(sound, state, name="audio_encoder")
