"""What every recommender can do: learn from interactions, score items, recommend the best."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse

from mmtutorial import __version__
from mmtutorial.datasets.contents import files_in
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.inputs import Features, checked_features
from mmtutorial.recommenders.ranking import top_k
from mmtutorial.recommenders.saving import (
    ABOUT,
    ARRAYS,
    as_json,
    check_replaceable,
    read_about,
    tuples,
)
from mmtutorial.storage.arrays import read_arrays, with_prefix
from mmtutorial.storage.checkpoint import Checkpoint
from mmtutorial.storage.files import beside, expanded, put, recover

Rows = np.ndarray | Sequence[int]

MOVED = {  # modules and classes of earlier versions: where they are now, for what was saved
    "mmtutorial.baselines.item_to_item": "mmtutorial.recommenders.item_to_item",
    "mmtutorial.baselines.pairwise": "mmtutorial.recommenders.pairwise",
    "mmtutorial.baselines.simple": "mmtutorial.recommenders.simple",
    "mmtutorial.blend": "mmtutorial.recommenders.blend",
    "mmtutorial.two_tower": "mmtutorial.recommenders.two_tower.recommender",
    "mmtutorial.recommenders.two_tower": "mmtutorial.recommenders.two_tower.recommender",
    "mmtutorial.recommenders.item_to_item.EASE": "mmtutorial.recommenders.ease.EASE",
    "mmtutorial.recommenders.pairwise.LightGCN": "mmtutorial.recommenders.graph.LightGCN",
}
_SCORES = 2**22  # held at a time by `Recommender.recommend`: bounds memory


class Recommender(ABC):
    """The one interface of our recommenders and of the baselines.

    A subclass writes ``_learn`` and ``_score``; this class checks what goes in, remembers what
    each user has seen, and cuts the best k out of the scores. One that learns in epochs writes
    ``_learn_resumably`` in place of ``_learn``. A subclass that can be saved keeps each argument of
    its ``__init__`` as the attribute of that name, and writes ``_state`` and ``_restore`` (and
    ``_write`` and ``_read`` where it has files of its own, such as Keras's).

    >>> from mmtutorial.recommenders import Popularity
    >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)])
    >>> Popularity().fit(train).recommend([1], k=2)  # bob owns tea (row 1): the cup, then nothing
    array([[ 0, -1]])
    """

    name = "recommender"
    _train: Interactions | None = None
    seconds_before = 0.0  # that interrupted runs of `fit` had taken
    _classes: dict[str, type[Recommender]] = {}  # noqa: RUF012 — one for all subclasses

    def __init_subclass__(cls, **options: Any) -> None:
        """Make the class known to `load`."""
        super().__init_subclass__(**options)
        Recommender._classes[_class_name(cls)] = cls

    def fit(
        self,
        train: Interactions,
        features: Features | None = None,
        validation: Interactions | None = None,
        resume: str | Path | None = None,
    ) -> Self:
        """Learn from the training interactions, and return the recommender itself.

        Parameters
        ----------
        train : Interactions
            What users took, over the whole catalogue; nothing of the test period.
        features : mapping, optional
            Modality name to array (or sparse array, or nested lists), one row an item, in the order
            of ``train.items``. A row of zeros says that the item lacks the modality. "review" is
            special: one row an interaction of the table that ``train`` was made of.
        validation : Interactions, optional
            Later interactions over the same users and items, to choose by.
        resume : str or Path, optional
            A folder to keep unfinished learning in, for any number of recommenders: its state after
            an epoch is written there at most every few seconds. The same ``fit`` after a kill, in a
            new process, goes on from the last epoch written, to what it would have learnt unkilled,
            to the last bit on the same machine with the same number of threads. Other options,
            data or versions begin anew, beside it. What is learnt is removed from there. A
            recommender that has no epochs begins anew too.

        Raises
        ------
        ValueError
            If a modality has another number of rows than the catalogue, is no array of numbers, or
            holds NaN, or ``resume`` is a file.

        Warns
        -----
        UserWarning
            If what is kept in ``resume`` is damaged; learning begins anew.

        Examples
        --------
        >>> import tempfile
        >>> from mmtutorial.recommenders import BPR
        >>> train = Interactions.of([("ann", "tea", 1), ("bob", "cup", 2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     BPR(steps=3).fit(train, resume=folder).recommend([0], k=1)
        array([[0]])
        """
        checkpoint = Checkpoint(resume)
        self.fit_within(checkpoint, train, features, validation)
        checkpoint.remove()
        return self

    def fit_within(
        self,
        whole: Checkpoint,
        train: Interactions,
        features: Features | None = None,
        validation: Interactions | None = None,
    ) -> None:
        """Do what `fit` does as a part of other learning, with which its state is removed.

        Parameters
        ----------
        whole : Checkpoint
            Of the other learning; the state of this one is kept in the same folder.
        train, features, validation
            As for `fit`, which says what is raised.
        """
        checked = checked_features(features, train)
        self._train = None  # until it has learnt, also where learning fails
        checkpoint = whole.part(lambda: self.depends(train, checked, validation))
        self._learn_resumably(train, checked, validation, checkpoint)
        self.seconds_before = checkpoint.seconds
        self._train = train

    def _learn(
        self,
        train: Interactions,
        features: Features,
        validation: Interactions | None,
    ) -> None:
        """Learn; ``features`` is checked, and empty where none were given."""
        raise NotImplementedError(f"{type(self).__name__} has no _learn: write it")

    def _learn_resumably(
        self,
        train: Interactions,
        features: Features,
        validation: Interactions | None,
        checkpoint: Checkpoint,
    ) -> None:
        """Learn, from where an interrupted run has come to; without epochs, from the beginning."""
        self._learn(train, features, validation)

    @abstractmethod
    def _score(self, users: np.ndarray) -> np.ndarray:
        """Return scores (len(users), n_items) for checked user rows."""

    @property
    def train(self) -> Interactions:
        """The interactions that it learnt from; RuntimeError before ``fit``."""
        if self._train is None:
            raise RuntimeError(f"{type(self).__name__} has not been fitted: call fit(train) first")
        return self._train

    @property
    def users(self) -> np.ndarray:
        """The users' ids, str (n_users,), by row; RuntimeError before ``fit``."""
        return self.train.users

    @property
    def items(self) -> np.ndarray:
        """The items' ids, str (n_items,), by row; RuntimeError before ``fit``."""
        return self.train.items

    @property
    def parameters(self) -> int:
        """How many numbers were trained, 0 where nothing is trained by gradient steps."""
        return 0

    def score(self, users: Rows, items: Rows | None = None) -> np.ndarray:
        """Score items for users: float32 (n_users, n_items), larger is better.

        ``users`` and ``items`` are int rows of ``train.users`` and ``train.items``, as arrays or
        lists; all items without ``items``. Raises ValueError for an unknown row, RuntimeError
        before ``fit``.
        """
        train = self.train
        users = check_rows(users, train.n_users, "user")
        scores = np.asarray(self._score(users), dtype=np.float32)
        return scores if items is None else scores[:, check_rows(items, train.n_items, "item")]

    def score_parts(self, history: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Take the scores of a user apart: what everybody has, and what each past item adds.

        Parameters
        ----------
        history : sequence of int
            The user's items, rows of the catalogue, each once.

        Returns
        -------
        ndarray, ndarray
            float64 (n_items,) and (n_history, n_items); their sum is the score of a user with this
            history, where a score is such a sum.

        Raises
        ------
        ValueError
            If the scores are no sum over the history, or for an unknown row or one given twice.
        RuntimeError
            Before ``fit``.

        Examples
        --------
        >>> from mmtutorial.recommenders import ItemKNN
        >>> train = Interactions.of([("ann", "cup", 1), ("ann", "tea", 2), ("bob", "ice", 3)])
        >>> ItemKNN(shrink=0).fit(train).score_parts([0])[1].round(3).tolist()
        [[0.0, 0.0, 1.0]]
        """
        past = check_rows(history, self.train.n_items, "item")
        if len(np.unique(past)) < len(past):
            raise ValueError("an item occurs in the history twice: give every item once")
        everybody, parts = self._score_parts(past)
        return everybody.astype(np.float64), parts.astype(np.float64)

    def _score_parts(self, history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Do so for checked rows."""
        raise ValueError(
            f"the scores of {self.name} are no sum over the history: take a two-tower "
            "recommender, item-kNN, content-kNN or EASE"
        )

    def recommend(self, users: Rows, k: int = 10, exclude_seen: bool = True) -> np.ndarray:
        """Return the k best items of each user: int (n_users, k) item rows, best first.

        Items taken in training are left out with ``exclude_seen``; where fewer than k remain the
        row ends in −1. Ties go to the smaller item row. Users are scored in blocks, so that memory
        does not grow with users × items. Raises as `score`, and ValueError if k is below 1.
        """
        train = self.train
        users = check_rows(users, train.n_users, "user")
        height = max(1, _SCORES // max(1, train.n_items))  # users at a time
        blocks = [
            top_k(self.score(some), k, exclude=train.matrix[some] if exclude_seen else None)
            for some in np.split(users, range(height, len(users), height))
        ]
        return np.concatenate(blocks)

    def recommend_to(self, user: str, k: int = 10) -> pd.DataFrame:
        """Return the k best items for one user by their ids: columns item, title and score.

        Items taken in training are left out. Where titles are not known, the ids stand for them.
        Raises ValueError for an unknown user, with the nearest known id.

        >>> from mmtutorial.recommenders import Popularity
        >>> train = Interactions.of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)])
        >>> Popularity().fit(train).recommend_to("bob")["item"].tolist()
        ['cup']
        """
        train = self.train
        known = np.flatnonzero(train.users == str(user))
        if not known.size:
            near = difflib.get_close_matches(str(user), train.users.tolist(), n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"there is no user {user!r}{hint} among the {train.n_users:,} known")
        (items,) = self.recommend(known, k)
        items = items[items >= 0]
        titles = train.items if train.titles is None else train.titles
        scores = self.score(known, items)[0]
        return pd.DataFrame({"item": train.items[items], "title": titles[items], "score": scores})

    def options(self) -> dict[str, Any]:
        """Return the arguments that make another recommender like this one, not yet fitted.

        >>> from mmtutorial.recommenders import Random
        >>> Random(seed=3).options()
        {'seed': 3}
        """
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        arguments = inspect.signature(type(self)).parameters.values()
        return {each.name: getattr(self, each.name) for each in arguments if each.kind not in kinds}

    def depends(
        self,
        train: Interactions,
        features: Features | None = None,
        validation: Interactions | None = None,
    ) -> tuple[Any, ...]:
        """Return all that `fit` would learn from, number by number, for a digest."""
        return (
            _class_name(type(self)),
            sorted(self.options().items()),
            [_numbers(part) for part in (train, validation)],
            [(name, _numbers(array)) for name, array in (features or {}).items()],
        )

    def save(self, folder: str | Path) -> Path:
        """Write a fitted recommender into a folder, at once or not at all; nothing is pickled.

        ``recommender.json`` holds the class, the version of this library and the options,
        ``arrays.npz`` what was learnt and the training interactions; networks are in Keras's own
        format beside them. The features and the validation part are not saved. A process that is
        killed leaves the old state or the new, which the next `load` finds.

        A recommender that was saved there before is replaced, as a file is by `numpy.save`: it can
        be learnt again. Files that no recommender has written are never lost.

        Parameters
        ----------
        folder : str or Path
            Does not exist, is empty, or holds a saved recommender and nothing else.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        RuntimeError
            Before ``fit``.
        TypeError
            If an option cannot be written as JSON.
        ValueError
            If the folder holds something else; nothing is written then.

        Examples
        --------
        >>> import tempfile
        >>> from mmtutorial.recommenders import Random
        >>> train = Interactions.of([("ann", "tea", 1), ("bob", "cup", 2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Random(seed=3).fit(train).save(folder)
        ...     Recommender.load(folder).options()
        {'seed': 3}
        """
        self.train  # noqa: B018 — it says what is wrong
        folder = expanded(folder).resolve()
        recover(folder)
        check_replaceable(folder)
        arrays = {f"learnt/{name}": np.asarray(array) for name, array in self._state().items()}
        arrays |= {f"train/{name}": array for name, array in self._saved_train().items()}
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise TypeError(f"{name!r} of {type(self).__name__} holds objects, not numbers")
        options = {name: as_json(name, value) for name, value in self._saved_options().items()}
        with beside(folder) as fresh:
            self._write(fresh)
            np.savez(fresh / ARRAYS, **arrays)  # type: ignore[arg-type]
            about = {
                "class": _class_name(type(self)),
                "version": __version__,
                "options": options,
                "files": files_in(fresh),
            }
            written = json.dumps(about, ensure_ascii=False, indent=2) + "\n"
            (fresh / ABOUT).write_text(written, encoding="utf-8", newline="\n")
            put(fresh, folder)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a recommender that `save` has written; its scores are the same to the last bit.

        ``Recommender.load`` reads any; a subclass reads its own kind only. Options that were lists
        or tuples come back as tuples. A class that is not part of this library must have been
        imported or defined before.

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        ValueError
            If the folder holds no recommender, a damaged one, or one of another or unknown class;
            OSError if the system does not let a file be read, which is no damage.
        """
        folder = expanded(folder)
        recover(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}: check the path")
        about = read_about(folder)
        kind = _class_of(about["class"], folder)
        if not issubclass(kind, cls):
            raise ValueError(
                f"{folder} holds a {kind.__name__}, not a {cls.__name__}: "
                f"load it by {kind.__name__}.load or Recommender.load"
            )
        lacking = [name for name in about["files"] if not os.path.exists(folder / name)]
        if lacking:
            raise ValueError(f"{folder} is damaged: {lacking[0]!r} is missing; save it again")
        try:
            arrays = read_arrays(folder / ARRAYS)
            train = kind._loaded_train(with_prefix("train/", arrays))
            check_rows(train.log["user"].to_numpy(), train.n_users, "user")
            check_rows(train.log["item"].to_numpy(), train.n_items, "item")
            learnt = with_prefix("learnt/", arrays)
            recommender = kind._made(tuples(about["options"]), learnt)
            recommender._train = train
            recommender._restore(learnt)
            recommender._read(folder)
        except OSError:
            raise
        except Exception as fault:  # damaged files make NumPy and Keras raise nearly anything
            raise ValueError(
                f"{folder} is damaged, or was saved by another version of this library "
                f"({about['version']}; this is {__version__}): {fault}; save it again"
            ) from fault
        return recommender

    def _state(self) -> dict[str, np.ndarray]:
        """Return what was learnt, as arrays of numbers or text; not the training interactions."""
        raise NotImplementedError(
            f"{type(self).__name__} cannot be saved yet: write its methods _state and _restore"
        )

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take up what `_state` returned; the training interactions are there already."""
        raise NotImplementedError(
            f"{type(self).__name__} cannot be loaded yet: write its methods _state and _restore"
        )

    def _saved_train(self) -> dict[str, np.ndarray]:
        """Return the training interactions as arrays of numbers or text."""
        train = self.train
        found = {f"log/{column}": train.log[column].to_numpy() for column in train.log}
        found |= {"users": train.users, "items": train.items}
        return found if train.titles is None else {**found, "titles": train.titles}

    @classmethod
    def _loaded_train(cls, arrays: Mapping[str, np.ndarray]) -> Interactions:
        """Take up what `_saved_train` returned."""
        log = pd.DataFrame(with_prefix("log/", arrays))
        return Interactions(log, arrays["users"], arrays["items"], arrays.get("titles"))

    def _write(self, folder: Path) -> None:  # noqa: B027 — most have no files of their own
        """Write files that are no arrays, such as Keras's, into the folder being saved."""

    def _read(self, folder: Path) -> None:  # noqa: B027
        """Read what `_write` wrote; called after `_restore`."""

    def _saved_options(self) -> dict[str, Any]:
        """Return the options that go into recommender.json."""
        return self.options()

    @classmethod
    def _made(cls, options: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Self:
        """Make a recommender that is not yet fitted out of what was saved.

        The first edition counted epochs; what counts steps now need not know how many they were.
        """
        known = inspect.signature(cls).parameters
        gone = {"epochs", "patience"} if "epochs" in options and "steps" in known else set()
        return cls(**{name: value for name, value in options.items() if name not in gone})


def check_rows(rows: Rows, count: int, kind: str) -> np.ndarray:
    """Check row numbers of users or items, and return them as an int array.

    Parameters
    ----------
    rows : ndarray or sequence of int
        int (n,).
    count : int
        How many users or items there are.
    kind : str
        "user" or "item", for the message.

    Returns
    -------
    ndarray
        int64 (n,).

    Raises
    ------
    ValueError
        If the rows are not one-dimensional or not whole numbers, or one is not in 0 … count − 1.

    Examples
    --------
    >>> check_rows(np.array([2, 0]), count=3, kind="item")
    array([2, 0])
    >>> check_rows(np.array([3]), count=3, kind="item")
    Traceback (most recent call last):
    ValueError: unknown item row 3: rows go from 0 to 2
    """
    try:
        given = np.asarray(rows)
    except ValueError:  # lists of different lengths
        given = np.empty((0, 0))
    if given.ndim != 1 or not (given.size == 0 or np.issubdtype(given.dtype, np.integer)):
        raise ValueError(
            f"{kind}s must be a one-dimensional array of int rows, not {rows!r}: the rows of ids "
            f"are their places in train.{kind}s"
        )
    checked = given.astype(np.int64)
    wrong = checked[(checked < 0) | (checked >= count)]
    if wrong.size:
        raise ValueError(f"unknown {kind} row {wrong[0]}: rows go from 0 to {count - 1}")
    return checked


def _numbers(data: Interactions | np.ndarray | sparse.csr_array | None) -> Any:
    """Return what data consist of, as arrays."""
    if isinstance(data, Interactions):
        return [data.log[column].to_numpy() for column in data.log], data.users, data.items
    if sparse.issparse(data):
        return data.shape, *data.tocoo().coords, data.tocoo().data
    return data


def _class_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _class_of(name: str, folder: Path) -> type[Recommender]:
    """Find a class by its full name; modules of this library are imported, no others.

    Nor are its commands: to import `mmtutorial.__main__` is to run them.
    """
    module, dot, bare = name.rpartition(".")
    name = MOVED.get(module, module) + dot + bare
    name = MOVED.get(name, name)
    module = name.rpartition(".")[0]
    ours = module.partition(".")[0] == "mmtutorial" and "__main__" not in module
    if name not in Recommender._classes and ours:
        with contextlib.suppress(ImportError):  # told below
            importlib.import_module(module)
    if name not in Recommender._classes:
        raise ValueError(
            f"{folder} holds a recommender of the unknown class {name}: "
            "import or define it before loading"
        )
    return Recommender._classes[name]
