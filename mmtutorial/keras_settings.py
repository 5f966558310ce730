"""Keras as the library's networks need it, whatever a ``keras.json`` or other code has set.

Modules take `keras` from here, and not from its package: so a Keras that does not compute with
TensorFlow is refused by one sentence.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

BACKEND = "tensorflow"


def other_backend() -> str:
    """Say who asks for a Keras that does not compute with TensorFlow; "" if nobody does.

    >>> other_backend()
    ''
    """
    remedy = "unset KERAS_BACKEND, or set it to tensorflow, before Python starts"
    where, backend = "KERAS_BACKEND", os.environ.get("KERAS_BACKEND")
    if "keras" in sys.modules:
        backend = sys.modules["keras"].config.backend()
        where = "the Keras that was imported first"
    elif not backend:
        folder = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))
        path = folder.joinpath("keras.json")
        where, remedy = str(path), "set KERAS_BACKEND=tensorflow before Python starts"
        with contextlib.suppress(OSError, ValueError):  # Keras passes over it too
            about = json.loads(path.read_text(encoding="utf-8"))
            backend = about.get("backend") if isinstance(about, dict) else None
    if not backend or backend == BACKEND:
        return ""
    return f"mmtutorial needs Keras on TensorFlow, and {where} asks for {backend}: {remedy}"


if _sentence := other_backend():
    raise ImportError(_sentence)

import keras  # noqa: E402
import keras_rs  # noqa: E402, F401
from keras import layers, ops  # noqa: E402, F401
from tensorflow.python.framework import config  # noqa: E402


@contextlib.contextmanager
def keras_defaults() -> Iterator[None]:
    """Let Keras work as it does by default, and afterwards as it did before.

    A ``keras.json`` that another project has left, or other code of the same program, may ask for
    float64, mixed precision, pictures with the channels first, or another epsilon. What is built
    within keeps the defaults for good. Also a decorator, for functions that build or train.

    Examples
    --------
    >>> keras.config.set_dtype_policy("mixed_bfloat16")
    >>> with keras_defaults():
    ...     layer = keras.layers.Dense(1)
    >>> layer.compute_dtype, keras.config.dtype_policy().name
    ('float32', 'mixed_bfloat16')
    >>> keras.config.set_dtype_policy("float32")
    """
    config = keras.config
    policy = config.dtype_policy()
    kept = (config.floatx(), config.epsilon(), config.image_data_format())
    try:
        config.set_floatx("float32")
        config.set_epsilon(1e-7)
        config.set_image_data_format("channels_last")
        config.set_dtype_policy("float32")
        yield
    finally:
        floatx, epsilon, data_format = kept
        config.set_floatx(floatx)
        config.set_epsilon(epsilon)
        config.set_image_data_format(data_format)
        config.set_dtype_policy(policy)


@contextlib.contextmanager
def deterministic_operations() -> Iterator[None]:
    """Have TensorFlow compute every operation the same way each time, and then as before.

    Without it, sums over several threads differ in the last digits from run to run. It holds for
    all threads of the process while it lasts; where it stayed, other code would have to give a seed
    to each of TensorFlow's random operations, Keras's ``fit`` with its usual shuffling included.
    TensorFlow publishes no way to end it: this is the one place that takes its own. Also a
    decorator.

    >>> with deterministic_operations():
    ...     config.is_op_determinism_enabled()
    True
    """
    before = config.is_op_determinism_enabled()
    config.enable_op_determinism()
    try:
        yield
    finally:
        if not before:
            config.disable_op_determinism()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let what Keras draws within depend on this seed alone; other random draws are as before.

    Keras takes the seeds of its layers from Python's `random`, whose state is put back afterwards;
    the generators of NumPy and TensorFlow are not touched.

    >>> with seeded(3):
    ...     first = keras.layers.Dense(2).kernel_initializer.seed
    >>> with seeded(3):
    ...     keras.layers.Dense(2).kernel_initializer.seed == first
    True
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
