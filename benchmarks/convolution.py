"""Convolution: im2col in NumPy beside Keras's `conv2d`, both on the CPU.

`python benchmarks/convolution.py` first checks that the two give the same numbers, then times them
in turns, so that whatever else the machine does slows both alike, and prints medians, their ratio
and the machine. ``--repeats`` sets how often, ``--tiny`` runs small sizes only.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mmtutorial.equations.convolution import conv2d, conv2d_backward

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


def timed(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Time each call, in turns: seconds, one array a call."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:  # the first turn warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def compare(layer: Layer, repeats: int, seed: int = 0) -> dict[str, float]:
    """Check one layer against Keras, forwards and backwards, and time both.

    Returns the largest differences (relative to the largest entry), and medians in milliseconds.
    Raises AssertionError if the two do not agree.
    """
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
    assert max(differences) < TOLERANCE, f"{layer}: results differ by {max(differences):.1e}"

    seconds = timed(
        {
            "ours": lambda: conv2d(x, kernel, bias, layer.stride, layer.padding),
            "keras": lambda: forward(*inputs).numpy(),
            "ours, with gradients": backwards,
            "keras, with gradients": lambda: [each.numpy() for each in both(*inputs, weighed)],
        },
        repeats,
    )
    return {
        "difference": float(max(differences)),
        **{name: 1000 * float(np.median(values)) for name, values in seconds.items()},
    }


def machine() -> str:
    """Name the processor, the cores that this process may use, and the versions."""
    processor = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":")[1].strip() for line in file if "model name" in line]
        processor = names[0] if names else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{processor}, {cores} cores; Python {platform.python_version()}, "
        f"NumPy {np.__version__}, TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )


def main() -> None:
    """Run the benchmark and print one line a layer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30, help="timings of each (default 30)")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that it runs")
    options = parser.parse_args()

    print(machine())
    print(f"float32; medians of {options.repeats} in ms; ratio = ours / Keras's\n")
    head = f"{'layer':30}{'differ by':>11}"
    for name in ("forward", "with gradients"):
        head += f"{name + ': ours':>22}{'Keras':>9}{'ratio':>8}"
    print(head)
    for layer in TINY if options.tiny else LAYERS:
        found = compare(layer, options.repeats)
        line = f"{layer.what:30}{found['difference']:>11.1e}"
        for ending in ("", ", with gradients"):
            ours, theirs = found["ours" + ending], found["keras" + ending]
            line += f"{ours:>22.2f}{theirs:>9.2f}{ours / theirs:>8.2f}"
        print(line)


if __name__ == "__main__":
    main()
