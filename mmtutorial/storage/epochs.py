"""Passes over the data: how many, which was the best, and where an interrupted one goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
from rich.progress import Progress

from mmtutorial.keras_settings import keras
from mmtutorial.storage.arrays import with_prefix
from mmtutorial.storage.checkpoint import REPORT, Checkpoint

_PATIENCE = 5.0  # seconds; what takes longer shows its progress
_QUALITY = "validation_ndcg"


class _State:
    """What an epoch changes and the next one reads, as arrays and back again."""

    def __init__(self, variables: Sequence[Any], generator: np.random.Generator | None) -> None:
        self.variables, self.generator = variables, generator
        self.history: dict[str, list[float]] = {}
        self.best: list[np.ndarray] = []

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name."""
        drawn = None if self.generator is None else self.generator.bit_generator.state
        return {
            "generator": np.array(json.dumps(drawn)),
            **{f"variable/{place}": each.numpy() for place, each in enumerate(self.variables)},
            **{f"history/{name}": np.array(each) for name, each in self.history.items()},
            **{f"best/{place}": each for place, each in enumerate(self.best)},
        }

    def take(self, arrays: dict[str, np.ndarray]) -> None:
        """Take up what `arrays` returned; ValueError, and no change, if it does not fit."""
        values = list(with_prefix("variable/", arrays).values())
        wanted = [(tuple(each.shape), each.numpy().dtype) for each in self.variables]
        if [(value.shape, value.dtype) for value in values] != wanted:
            raise ValueError("its weights have other sizes")
        drawn = json.loads(str(arrays["generator"]))
        if self.generator is not None:
            self.generator.bit_generator.state = drawn
        self.history.update(
            {k: each.tolist() for k, each in with_prefix("history/", arrays).items()}
        )
        self.best = list(with_prefix("best/", arrays).values())
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)


class Epochs:
    """Goes through epochs until none was better for a while; keeps the best, and shows progress.

    In the loop, `end` says how an epoch went. What `Checkpoint` has kept is taken up before the
    first: every number that follows is then the one that would have followed.

    Parameters
    ----------
    name : str
        Who learns, for the progress bar.
    epochs, patience : int
        How many at most, and how many to wait for a better one.
    checkpoint : Checkpoint
        Where the state after an epoch is kept.
    variables : sequence of variables
        Keras's or TensorFlow's: all that an epoch changes and the next one reads.
    generator : Generator
        From which an epoch draws outside of TensorFlow.

    Examples
    --------
    >>> weight, generator = keras.Variable(0.0), np.random.default_rng(0)
    >>> with Epochs("nobody", 9, 2, Checkpoint(), [weight], generator) as epochs:
    ...     for epoch in epochs:
    ...         _ = weight.assign([0.1, 0.3, 0.2, 0.3][epoch])
    ...         epochs.end(0.5, float(weight.numpy()), lambda: [weight.numpy()])
    >>> len(epochs.history["loss"]), epochs.best
    (4, [np.float32(0.3)])
    """

    def __init__(
        self,
        name: str,
        epochs: int,
        patience: int,
        checkpoint: Checkpoint,
        variables: Sequence[Any],
        generator: np.random.Generator,
    ) -> None:
        self._name, self._epochs, self._patience = name, epochs, patience
        self._checkpoint = checkpoint
        self._state = _State(variables, generator)
        self._state.history["loss"] = []
        checkpoint.read(self._state.take)
        # In a notebook every refresh is a handful of messages, and learning may last for an hour
        self._bar = Progress(transient=True, refresh_per_second=1)
        self._task = self._bar.add_task(
            f"{name} learns", total=epochs, completed=len(self.history["loss"])
        )
        self._started = time.monotonic()

    @property
    def history(self) -> dict[str, list[float]]:
        """One float an epoch, as "loss" and, where a quality is given, as "validation_ndcg"."""
        return self._state.history

    @property
    def best(self) -> list[np.ndarray]:
        """What was given with the epoch of the highest quality, the first of equals."""
        return self._state.best

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *fault: object) -> None:
        """Show no more, however learning ended."""
        if self._bar.live.is_started:
            self._bar.stop()

    def __iter__(self) -> Iterator[int]:
        """Count the epochs that are left."""
        for epoch in range(len(self.history["loss"]), self._epochs):
            quality = self.history.get(_QUALITY, [])
            if quality and epoch - 1 - int(np.argmax(quality)) == self._patience:
                break
            yield epoch
            self._checkpoint.write(self._state.arrays)

    def end(
        self,
        loss: float,
        quality: float | None = None,
        best: Callable[[], list[np.ndarray]] = list,
    ) -> None:
        """One epoch has passed.

        Parameters
        ----------
        loss : float
            Its mean.
        quality : float, optional
            On validation data, larger is better; without it, learning goes on to the last epoch.
        best : callable
            Returns what to keep as `best` if no epoch was as good.
        """
        suffix = ""
        self.history["loss"].append(loss)
        if quality is not None:
            qualities = self.history.setdefault(_QUALITY, [])
            if quality > max(qualities, default=-np.inf):
                self._state.best = best()
            qualities.append(quality)
            suffix = f", best NDCG@10 {max(qualities):.4f}"
            if report := REPORT.get():
                report(len(qualities) - 1, quality)
        self._bar.update(self._task, advance=1, description=f"{self._name} learns{suffix}")
        if not self._bar.live.is_started and time.monotonic() - self._started > _PATIENCE:
            self._bar.start()


class KeepEpochs(keras.callbacks.Callback):
    """Lets Keras's ``fit`` go on after an interruption: give it `done` as ``initial_epoch``.

    It stands last among the callbacks. The weights, the optimiser's state and the generator are
    those after that epoch; an order of examples that is drawn elsewhere, such as by `tf.data`, the
    caller brings forward.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    checkpoint : Checkpoint
        Where the state after an epoch is kept.
    generator : Generator, optional
        From which the examples of an epoch are drawn.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> keep = KeepEpochs(model, Checkpoint())
    >>> _ = model.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=2, verbose=0,
    ...               initial_epoch=keep.done, callbacks=[keep])
    >>> len(keep.history["loss"])
    2
    """

    def __init__(
        self,
        model: keras.Model,
        checkpoint: Checkpoint,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        model.optimizer.build(model.trainable_variables)
        self._checkpoint = checkpoint
        self._state = _State([*model.variables, *model.optimizer.variables], generator)
        checkpoint.read(self._state.take)

    @property
    def history(self) -> dict[str, list[float]]:
        """What Keras reports, one float an epoch, those of interrupted runs included."""
        return self._state.history

    @property
    def done(self) -> int:
        """Epochs that interrupted runs have gone through."""
        return len(self.history.get("loss", []))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep what the epoch has come to."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self._checkpoint.write(self._state.arrays)
