"""A data set: a folder that a person can open and read, and the object that holds it.

::

    dataset.json        name, version, licence, source, seed, split
    items.csv           item, title, text, image, audio, further columns
    interactions.csv    user, item, timestamp, rating, review, part, further columns
    images/  audio/     the files that items.csv names
    features/           optional: text.npy, image.npy, audio.npy, one row an item
    truth/              optional, of simulated data: items.csv and users.csv, named factors, and in
                        items.csv a column shelf
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtutorial.datasets.cells import normal_forms, read_ids
from mmtutorial.datasets.checks import (
    array_faults,
    content_faults,
    interaction_faults,
    item_faults,
    locate,
    marked,
    outside,
    repeat_faults,
    split_faults,
    table_faults,
)
from mmtutorial.datasets.choice import choice_chance
from mmtutorial.datasets.columns import INTERACTIONS, ITEMS, with_our_names
from mmtutorial.datasets.contents import ABOUT, FEATURES, TRUTH, carry_over, check_place, shown
from mmtutorial.datasets.faults import DatasetError, DatasetNote, Fault
from mmtutorial.datasets.media import is_file
from mmtutorial.datasets.schema import MODALITIES, is_system_file
from mmtutorial.datasets.tables import (
    as_text,
    read_numbers,
    read_table,
    write_table,
    write_text,
)
from mmtutorial.datasets.times import LATEST, read_times, time_faults, whole_seconds
from mmtutorial.storage.files import beside, expanded, put, recover
from mmtutorial.terminal import steps


@dataclass(frozen=True)
class Truth:
    """What only a simulation knows: factors whose product is each user's utility of each item.

    Parameters
    ----------
    item_factors, user_factors : DataFrame
        float64, indexed by item and by user id, with the same named columns.
    shelf : Series, optional
        float64, indexed by item id: the probability that the item is on the shelf that a user
        chooses from. Without it, every item always is.
    """

    item_factors: pd.DataFrame
    user_factors: pd.DataFrame
    shelf: pd.Series | None = None

    def utility(self, users: Sequence[str] | None = None) -> np.ndarray:
        """Return the utilities, in logits: float64 (n_users, n_items); all users without ``users``.

        >>> items = pd.DataFrame({"warm": [1.0, 0.0]}, index=["tea", "ice"])
        >>> Truth(items, pd.DataFrame({"warm": [2.0]}, index=["ann"])).utility()
        array([[2., 0.]])
        """
        chosen = self.user_factors if users is None else self.user_factors.loc[list(users)]
        return chosen.to_numpy() @ self.item_factors.to_numpy().T

    def chance(self, users: Sequence[str] | None = None) -> np.ndarray:
        """Return how probable it is that a user takes each item next: float32 (n_users, n_items).

        The best that can be known of a choice before the shelf is: see
        `mmtutorial.datasets.choice.choice_chance`. What a user owns already is not left out.

        >>> items = pd.DataFrame({"warm": [0.0, 0.0]}, index=["tea", "ice"])
        >>> Truth(items, pd.DataFrame({"warm": [2.0]}, index=["ann"])).chance().round(3)
        array([[0.5, 0.5]], dtype=float32)
        """
        shelf = np.ones(len(self.item_factors)) if self.shelf is None else self.shelf.to_numpy()
        return choice_chance(self.utility(users), shelf)


@dataclass
class Dataset:
    """Items with text, image and audio, and the interactions of users with them.

    Parameters
    ----------
    name : str
        What to call it.
    items : DataFrame
        One row an item: ``item`` (str, unique), ``title``, ``text``, ``image`` and ``audio`` (str;
        paths relative to ``folder``; "" where absent), and further columns. Only ``item`` must be
        given; the others are filled in.
    interactions : DataFrame
        ``user`` (str), ``item`` (str), ``timestamp`` (int64, seconds since 1970 UTC; dates and
        fractions become that, with a `DatasetNote` of what is lost), ``rating`` (float64, NaN where
        absent), ``review`` (str, "" where absent), and further columns. The
        first three must be given. Where nobody knows when anything happened, the whole column
        ``timestamp`` is empty, and becomes float64 NaN. A further column ``part`` says "train",
        "validation" or "test" of each. They are kept sorted by timestamp, user, item.
    folder : Path
        Where ``images/`` and ``audio/`` lie.
    licence, source, version : str
        Under what terms, from where, and which edition.
    seed : int or None
        The seed of a simulation.
    features : dict
        Ready-made features: modality to float32 (n_items, d).
    truth : Truth or None
        The utilities behind simulated interactions.
    split : {"", "published", "per user", "global"}
        How `mmtutorial.evaluation.default_split` cuts: by the column ``part``, at the end of each
        user's own time, or at two moments for all. "" is "published" where there is a ``part``,
        and else "global".

    Raises
    ------
    DatasetError
        If a column that must be given is missing, or the split is none of these.

    Examples
    --------
    >>> data = Dataset("tiny", pd.DataFrame({"item": ["tea"], "text": ["Warm."]}),
    ...                pd.DataFrame({"user": ["ann"], "item": ["tea"], "timestamp": [5]}), ".")
    >>> data.present()
    array([[ True, False, False]])
    """

    name: str
    items: pd.DataFrame
    interactions: pd.DataFrame
    folder: Path
    licence: str = ""
    source: str = ""
    seed: int | None = None
    version: str = "1"
    features: dict[str, np.ndarray] = field(default_factory=dict)
    truth: Truth | None = None
    split: str = ""

    def __post_init__(self) -> None:
        """Fill in what may be left out, and bring the interactions into order."""
        items = with_our_names(self.items, ["item"], ITEMS, "items")
        needed = ["user", "item", "timestamp"]
        interactions = with_our_names(self.interactions, needed, INTERACTIONS, "interactions")
        unknown = [name for name in self.features if name not in MODALITIES]
        if unknown:
            raise DatasetError(f"features names {unknown}; the modalities are {list(MODALITIES)}")
        if wrong := split_faults(self.split, interactions):
            raise DatasetError(str(wrong[0]))
        self.folder = expanded(self.folder)
        items = items.reset_index(drop=True)
        items["item"] = read_ids(items["item"], "item", "row {} of items")
        if "title" not in items:
            items["title"] = items["item"]
        for modality in MODALITIES:
            if modality not in items:
                items[modality] = ""
        for column in ("title", *MODALITIES):  # a table read by pandas has NaN in empty cells
            items[column] = items[column].map(as_text)
        for column in ("image", "audio"):  # a blank names no file
            items[column] = items[column].where(items[column].map(str.strip) != "", "")
        first = ["item", "title", *MODALITIES]
        self.items = items[first + [column for column in items.columns if column not in first]]
        interactions = interactions.assign(
            rating=interactions.get("rating", np.nan), review=interactions.get("review", "")
        )
        first = ["user", "item", "timestamp", "rating", "review"]
        further = [column for column in interactions.columns if column not in first]
        interactions = interactions[first + further].reset_index(drop=True)
        for column in ("user", "item"):
            interactions[column] = read_ids(interactions[column], column, "interaction {}")
        for column in ("review", *(["part"] if "part" in further else [])):
            interactions[column] = interactions[column].map(as_text)
        notes: list[Fault] = []
        seconds = whole_seconds(interactions["timestamp"], notes)
        for note in notes:
            warnings.warn(str(note), DatasetNote, stacklevel=3)
        interactions = interactions.loc[seconds.index].assign(timestamp=seconds)
        self.interactions = interactions.sort_values(
            ["timestamp", "user", "item"], ignore_index=True
        )

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.items)

    @property
    def n_users(self) -> int:
        """Number of users with at least one interaction."""
        return self.interactions["user"].nunique()

    @property
    def users(self) -> np.ndarray:
        """Ids of the users with at least one interaction, sorted; str (n_users,)."""
        return np.unique(self.interactions["user"].to_numpy(dtype=str))

    def path(self, row: int, modality: str) -> Path | None:
        """Return where the image or audio of the item in this row lies; None if it has none."""
        name = str(self.items[modality].iloc[row])
        return locate(self.folder, name) if name else None

    def present(self) -> np.ndarray:
        """Say which item has which modality: bool (n_items, 3), in the order of MODALITIES.

        A modality is there as text or as a file's name, or as a row of features that is not zero.
        """
        given = np.column_stack([self.items[name].to_numpy() != "" for name in MODALITIES])
        for column, name in enumerate(MODALITIES):
            array = self.features.get(name)
            if array is not None and array.ndim == 2 and len(array) == self.n_items:
                given[:, column] |= array.any(axis=1)
        return given

    @classmethod
    def open(cls, folder: str | Path) -> Dataset:
        """Read a folder.

        Pictures and sounds are not decoded here: what is wrong with one of them is found by
        `validate`, and masked by preprocessing. Tables are UTF-8 with commas; what a spreadsheet
        makes of them (UTF-16, GB18030, semicolons, tabs, a first line ``sep=;``, seconds as
        1709251200.0) is read too. Times before 1990 or after the end of next year are a note, a
        column of nothing but such as years, milliseconds or ranks is a fault.

        Raises
        ------
        DatasetError
            If the tables cannot be used: names every fault with its file and row.

        Warns
        -----
        DatasetNote
            Of each assumption made in reading, such as a column taken for ours by its near name.
        """
        faults: list[Fault] = []
        folder = expanded(folder)
        recover(folder)
        data = _read(folder, faults, [])
        if data is None or not all(fault.note for fault in faults):
            raise DatasetError.of(folder, faults)
        for note in faults:
            warnings.warn(str(note), DatasetNote, stacklevel=2)
        return data

    def validate(self) -> list[Fault]:
        """Return everything that is wrong with the tables and the files they name.

        >>> Dataset("tiny", pd.DataFrame({"item": ["tea"], "text": ["Warm."]}),
        ...         pd.DataFrame({"user": ["ann"], "item": ["tee"], "timestamp": [5]}), Path(".")
        ...        ).validate()[0].message
        "the item 'tee' is not in items.csv"
        """
        order = " (rows counted in order of time)"
        times = time_faults(self.interactions["timestamp"], "interactions.csv", order)
        repeats = repeat_faults(self.interactions, order)
        return [*table_faults(self), *times, *repeats, *content_faults(self)]

    def save(
        self,
        folder: str | Path,
        *,
        replace: bool = False,
        write_media: Callable[[Path], None] | None = None,
    ) -> Dataset:
        """Write everything into a folder, at once or not at all, and open it.

        A process that is killed leaves the old state or the new, which the next `open` finds.

        Parameters
        ----------
        folder : str or Path
            Does not exist, is empty, or, with ``replace``, holds a data set and nothing else. The
            data set's own folder may hold whatever you like: all files that are not written anew
            stay there, such as pictures that no row names.
        replace : bool
            Whether to replace a data set that lies there.
        write_media : callable, optional
            Called with the folder being written, to make ``images/`` and ``audio/`` there. Without
            it, the files that the items name are copied.

        Raises
        ------
        DatasetError
            If the folder holds a data set, and ``replace`` is not given; if it holds something that
            is not part of the data set that would be replaced, or features or a truth that this
            one, opened from there, has no longer; if a text cannot be written in UTF-8, or the data
            set could not be opened again. What lay there before is still there then.
        """
        folder = expanded(folder).resolve()
        recover(folder)
        keeps = folder == self.folder.resolve() and (folder / ABOUT).exists()
        check_place(folder, replace=replace, keeps=keeps)
        if keeps:
            self._check_arrays(folder)
        with beside(folder) as fresh:
            (write_media or self._copy_media)(fresh)
            check_place(folder, replace=replace, keeps=keeps)  # again: that may have taken long
            try:
                self._write_tables(fresh)
                if keeps:
                    carry_over(folder, fresh)
                written = Dataset.open(fresh)
            except DatasetError as fault:
                message = str(fault).replace(str(fresh), "what would be written")
                raise DatasetError(f"nothing was written into {folder}: {message}") from fault
            if not put(fresh, folder, unless=None if replace else ABOUT):
                raise DatasetError(f"another process has written a data set into {folder}")
        written.folder = folder
        return written

    def keep(self, folder: Path, write_media: Callable[[Path], None]) -> Dataset:
        """Write what was made for the cache as `save` does, and open it.

        What another process has put there meanwhile stays, and is opened.
        """
        try:
            return self.save(folder, write_media=write_media)
        except DatasetError:
            if not (folder / ABOUT).exists():
                raise
        return Dataset.open(folder)

    def _check_arrays(self, folder: Path) -> None:
        """Refuse to lose features and truth, and to keep what would not fit the items any more."""
        gone = [name for modality, name in FEATURES.items() if modality not in self.features]
        gone += TRUTH if self.truth is None else ()
        lying = [name for name in gone if (folder / name).exists()]
        if lying:
            raise DatasetError(
                f"{folder} holds {shown(lying)}, and the data set to be written has none of that; "
                "nothing was written: move it out of the folder to do without it, or open the "
                "folder and change what was opened"
            )

    def _copy_media(self, folder: Path) -> None:
        """Copy the images and recordings that exist."""
        names = [name for kind in ("image", "audio") for name in self.items[kind] if name]
        for name in steps(names, "Copying pictures and sounds"):
            if outside(name) or not is_file(source := locate(self.folder, name)):
                continue  # validate() reports it
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def _write_tables(self, folder: Path) -> None:
        """Write everything but the media."""
        numbers = self.items.select_dtypes("number").columns
        further = self.interactions.drop(columns=["timestamp", "rating"]).select_dtypes("number")
        about: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "licence": self.licence,
            "source": self.source,
            "seed": self.seed,
            "number_columns": list(numbers),
        }
        if self.split:
            about["split"] = self.split
        if not further.empty:
            about["number_columns_of_interactions"] = list(further)
        text = json.dumps(about, ensure_ascii=False, indent=2) + "\n"
        write_text(text, folder / "dataset.json")
        write_table(self.items, folder / "items.csv")
        write_table(self.interactions, folder / "interactions.csv")
        if self.features:
            (folder / "features").mkdir(exist_ok=True)
            for modality, array in self.features.items():
                np.save(folder / "features" / f"{modality}.npy", array, allow_pickle=False)
        if self.truth is not None:
            (folder / "truth").mkdir(exist_ok=True)
            for kind in ("item", "user"):
                table = getattr(self.truth, f"{kind}_factors").rename_axis(kind)
                if kind == "item" and self.truth.shelf is not None:
                    table = table.assign(shelf=self.truth.shelf)
                table = table.reset_index()
                write_table(table, folder / "truth" / f"{kind}s.csv")


def validate_folder(folder: str | Path) -> list[Fault]:
    """Return everything that is wrong with a folder, also where it cannot be opened.

    >>> print(validate_folder("no/such/folder")[0])
    no/such/folder: there is no such folder; check the path
    """
    faults: list[Fault] = []
    repeats: list[Fault] = []
    folder = expanded(folder)
    recover(folder)
    try:
        data = _read(folder, faults, repeats)
    except PermissionError as error:
        name = Path(error.filename).relative_to(folder).as_posix()
        remedy = "change its permissions, then check again"
        return [*faults, Fault(name, None, "this account may not read it", remedy)]
    return faults if data is None else [*faults, *repeats, *content_faults(data)]


def _read(folder: Path, faults: list[Fault], repeats: list[Fault]) -> Dataset | None:
    """Read a folder's tables; None if there is too little to go on with.

    ``repeats`` receives the faults of repeated interactions, which make nothing unusable.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "there is no such folder"
        faults.append(Fault(str(folder), None, what, "check the path"))
        return None
    about = _read_about(folder / "dataset.json", faults)
    numbers = _number_columns(about, "number_columns", ("item", *ITEMS), faults)
    reserved = ("user", "item", "timestamp", "review", "part")
    counts = _number_columns(about, "number_columns_of_interactions", reserved, faults)
    items = read_table(folder, "items.csv", ["item"], faults, optional=[*ITEMS, *numbers])
    needed, optional = ["user", "item", "timestamp"], [*INTERACTIONS, *counts]
    interactions = read_table(folder, "interactions.csv", needed, faults, optional=optional)
    if about is None or items is None or interactions is None:
        return None
    for table, column in ((items, "item"), (interactions, "item"), (interactions, "user")):
        table[column] = normal_forms(table[column])
    for column in numbers:
        if column in items:
            items[column] = read_numbers(items[column], "items.csv", column, faults)
    interactions["timestamp"] = read_times(interactions["timestamp"], "interactions.csv", faults)
    for column in ("rating", *counts):
        if column in interactions:
            interactions[column] = read_numbers(
                interactions[column], "interactions.csv", column, faults
            )
    split = about.get("split", "")
    if wrong := split_faults(split, interactions):
        faults.extend(wrong)
        split = ""
    features = _read_features(folder, faults)
    truth = _read_truth(folder, faults)
    # In file order, so that faults name the file's rows; __post_init__ sorts a copy.
    faults.extend(item_faults(items) + interaction_faults(interactions, items))
    repeats.extend(repeat_faults(interactions))
    for table, column in ((items, "item"), (interactions, "item"), (interactions, "user")):
        table[column] = _named_by_row(table[column])
    interactions["timestamp"] = interactions["timestamp"].clip(-LATEST, LATEST)  # a fault already
    data = Dataset(
        name=about["name"],
        items=items,
        interactions=interactions,
        folder=folder,
        licence=str(about.get("licence", "")),
        source=str(about.get("source", "")),
        seed=about.get("seed"),
        version=str(about.get("version", "1")),
        features=features,
        truth=truth,
        split=split,
    )
    faults.extend(array_faults(data))
    return data


def _named_by_row(ids: pd.Series) -> pd.Series:
    """Trim ids, and call those that are missing by their rows: faults already, told once."""
    trimmed = ids.map(str.strip)
    rows = pd.Series([f"(row {place + 2})" for place in range(len(ids))], dtype="str")
    return trimmed.where(trimmed != "", rows)


def _read_about(path: Path, faults: list[Fault]) -> dict[str, Any] | None:
    remedy = 'write one, such as {"name": "my shop", "licence": "", "source": ""}'
    if not path.is_file():
        faults.append(Fault("dataset.json", None, "the file is missing", remedy))
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        faults.append(Fault("dataset.json", None, message, "correct it there"))
        return None
    except UnicodeDecodeError:
        faults.append(Fault("dataset.json", None, "not UTF-8 text", "save it again as UTF-8"))
        return None
    except (ValueError, RecursionError):
        message = "not JSON that can be read: a number is too long, or brackets are nested too deep"
        faults.append(Fault("dataset.json", None, message, remedy))
        return None
    if not isinstance(about, dict) or not isinstance(about.get("name"), str) or not about["name"]:
        faults.append(Fault("dataset.json", None, "it gives no name", remedy))
        return None
    return about


def _number_columns(
    about: dict[str, Any] | None, key: str, reserved: tuple[str, ...], faults: list[Fault]
) -> list[str]:
    """Return which further columns hold numbers; none (and a fault) where that cannot be told."""
    names = (about or {}).get(key, [])
    if isinstance(names, list) and all(
        isinstance(name, str) and name not in reserved for name in names
    ):
        return names
    remedy = f'list names of further columns, such as ["price"], and none of {", ".join(reserved)}'
    faults.append(Fault("dataset.json", None, f"its {key} cannot be used", remedy))
    return []


def _read_features(folder: Path, faults: list[Fault]) -> dict[str, np.ndarray]:
    features = {}
    for path in sorted((folder / "features").glob("*.npy")):
        name = f"features/{path.name}"
        if is_system_file(path.name):
            continue
        if path.stem not in MODALITIES:
            remedy = f"the modalities are {', '.join(MODALITIES)}: rename or remove it"
            faults.append(Fault(name, None, f"{path.stem!r} is not a modality", remedy))
            continue
        array = read_array(path, name, faults)
        if array is not None:
            features[path.stem] = array
    return features


def read_array(path: Path, name: str, faults: list[Fault], mapped: bool = False) -> Any:
    """Load an array of NumPy, ``mapped`` into memory or whole; None (and a fault) if it is none."""
    message = "not a plain NumPy array (pickled objects are never loaded)"
    try:
        if mapped:
            return np.lib.format.open_memmap(path, mode="r")
        with open(path, "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except MemoryError:
        message = "its header asks for more memory than there is"
    except PermissionError:
        faults.append(Fault(name, None, "this account may not read it", "change its permissions"))
        return None
    except Exception:  # a header is parsed as Python's literals, and can fail as these do
        pass
    remedy = "write it with numpy.save from a float32 array (n_items, d)"
    faults.append(Fault(name, None, message, remedy))
    return None


def _read_truth(folder: Path, faults: list[Fault]) -> Truth | None:
    if not (folder / "truth").is_dir():
        return None
    tables = []
    for kind in ("item", "user"):
        name = f"truth/{kind}s.csv"
        table = read_table(folder, name, [kind], faults, optional=["shelf"])
        if table is None:
            return None
        factors = table.drop(columns=kind)
        numbers = [read_numbers(factors[column], name, str(column), faults) for column in factors]
        tables.append(
            pd.DataFrame(
                np.column_stack(numbers) if numbers else np.empty((len(table), 0)),
                columns=factors.columns,
                index=pd.Index(normal_forms(table[kind]), name=kind),
            )
        )
    items, users = tables
    shelf = None
    if "shelf" in items:
        shelf = items.pop("shelf")
        for place in marked(~((shelf > 0) & (shelf <= 1))):
            message = f"the shelf {shelf.iloc[place]} is not a probability above 0"
            faults.append(Fault("truth/items.csv", place + 2, message, "correct it"))
    return Truth(items, users, shelf)
