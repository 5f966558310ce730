"""The item tower in LiteRT's format (formerly TensorFlow Lite), its weights as 8-bit integers."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from mmtutorial.keras_settings import keras

Encode = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def as_litert(tower: keras.Model, quantised: bool = True) -> bytes:
    """Write an item tower's v in LiteRT's format.

    Parameters
    ----------
    tower : keras.Model
        See `mmtutorial.recommenders.two_tower.item_tower`.
    quantised : bool
        Whether weights become 8-bit integers, one scale a column (*dynamic range quantisation*:
        what flows through the network is quantised while it runs).

    Returns
    -------
    bytes
        A file's content, for `run_litert`.
    """
    if tower is None:
        raise ValueError("ids alone have no item tower: fit with modalities")
    candidate = keras.Model(tower.input, {"v": tower.output[0]})
    options = {"optimizations": [tf.lite.Optimize.DEFAULT]} if quantised else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tower.tflite")
        logger = tf.get_logger()
        level = logger.level
        logger.setLevel("ERROR")  # it tells of each file that it writes meanwhile
        try:
            candidate.export(path, format="litert", verbose=False, **options)
        finally:
            logger.setLevel(level)
        return path.read_bytes()


def run_litert(content: bytes, names: Sequence[str]) -> Encode:
    """Open what `as_litert` wrote, on one thread.

    Parameters
    ----------
    content : bytes
        A file's.
    names : sequence of str
        The tower's modalities, in its order.

    Returns
    -------
    callable
        Takes a mapping of these modalities, float32 (n, d) each, and returns v, float32
        (n, length); ValueError if one is missing or has another shape.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its interpreter moves to a package of its own
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner()
    length = run.get_output_details()["v"]["shape"][-1]

    def encode(features: Mapping[str, np.ndarray]) -> np.ndarray:
        lacking = [name for name in names if name not in features]
        if lacking:
            raise ValueError(f"new items need the features {lacking} too (zeros where absent)")
        arrays = {name: np.asarray(features[name], np.float32) for name in names}
        there = [each.reshape(len(each), -1).any(axis=1) for each in arrays.values()]
        present = np.column_stack(there).astype(np.float32)
        arrays["present"] = present
        rows = [
            run(**{name: each[row : row + 1] for name, each in arrays.items()})["v"]
            for row in range(len(present))
        ]
        return np.concatenate([np.zeros((0, length), np.float32), *rows])

    return encode
