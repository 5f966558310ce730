"""Convolution: im2col in NumPy beside Keras's `conv2d`, both on the CPU.

    python benchmarks/convolution.py
    python benchmarks/convolution.py --tiny --repeats 3    # small sizes, to see that it runs

Ours is the chapter's, from the equation; Keras runs what TensorFlow has compiled. That both give
the same numbers, forwards and backwards, is checked before anything is timed.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

# First, since it quiets TensorFlow
from mmtutorial.equations.convolution import conv2d, conv2d_backward  # isort: skip

import keras
import numpy as np
import tensorflow as tf
from side_by_side import Row, alternate, limits, machine, tell

TOLERANCE = 1e-4  # of float32 sums over a batch, relative to their largest entry


class Layer(NamedTuple):
    """One convolution to time, and where its like is found."""

    what: str
    batch: int
    size: int
    channels: int
    filters: int
    window: int
    stride: int
    padding: str


LAYERS = [
    Layer("the article's layer", 32, 32, 3, 32, 3, 1, "valid"),
    Layer("a second layer on top of it", 32, 15, 32, 64, 3, 1, "same"),
    Layer("a photograph's first layer", 32, 64, 3, 16, 3, 1, "same"),
    Layer("stride 2, window 5", 32, 64, 16, 32, 5, 2, "same"),
    Layer("a window of one pixel", 32, 32, 64, 64, 1, 1, "valid"),
]
TINY = [layer._replace(batch=2, size=8, channels=2, filters=4) for layer in LAYERS]


def compare(layer: Layer, repeats: int, seed: int = 0) -> list[Row]:
    """Check one layer against Keras, forwards and backwards, and time both."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(layer.batch, layer.size, layer.size, layer.channels))
    kernel = generator.normal(size=(layer.window, layer.window, layer.channels, layer.filters))
    x, kernel = x.astype("float32"), kernel.astype("float32")
    bias = generator.normal(size=layer.filters).astype("float32")
    inputs = [tf.constant(each) for each in (x, kernel, bias)]
    options = {"strides": layer.stride, "padding": layer.padding}

    @tf.function
    def forward(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return keras.ops.conv(x, kernel, **options) + bias

    @tf.function
    def both(
        x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, weight: tf.Tensor
    ) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([x, kernel, bias])
            loss = tf.reduce_sum(forward(x, kernel, bias) * weight)
        return tape.gradient(loss, [x, kernel, bias])

    ours = conv2d(x, kernel, bias, layer.stride, layer.padding)
    weight = generator.normal(size=ours.shape).astype("float32")
    weighed = tf.constant(weight)

    def backwards() -> tuple[np.ndarray, ...]:
        conv2d(x, kernel, bias, layer.stride, layer.padding)
        return conv2d_backward(weight, x, kernel, layer.stride, layer.padding)

    pairs = [(ours, forward(*inputs)), *zip(backwards(), both(*inputs, weighed), strict=True)]
    differences = [np.abs(a - b.numpy()).max() / np.abs(a).max() for a, b in pairs]
    if not max(differences) < TOLERANCE:
        raise SystemExit(f"{layer}: results differ by {max(differences):.1e}; nothing is timed")
    contenders = {
        "forwards": {
            "ours, in NumPy": lambda: conv2d(x, kernel, bias, layer.stride, layer.padding),
            "Keras": lambda: forward(*inputs).numpy(),
        },
        "with gradients": {
            "ours, in NumPy": backwards,
            "Keras": lambda: [each.numpy() for each in both(*inputs, weighed)],
        },
    }
    return [
        Row(f"{layer.what}, {how}", name, seconds)
        for how, some in contenders.items()
        for name, seconds in alternate(some, repeats).items()
    ]


def main() -> None:
    """Compare each layer, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--repeats", type=int, default=30, help="timings of each (default 30)")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--csv", help="a file to put the table into")
    options = parser.parse_args()
    rows = [
        row
        for layer in (TINY if options.tiny else LAYERS)
        for row in compare(layer, options.repeats)
    ]
    tell("convolution", rows, f"{machine('tensorflow', 'keras')}; {limits()}", options.csv)


if __name__ == "__main__":
    main()
