"""A data set: a folder that a person can open and read, and the object that holds it.

dataset.json        name, version, licence, source, seed
items.csv           item, title, text, image, audio, further columns
interactions.csv    user, item, timestamp, rating, review, part, further columns
images/  audio/     the files that items.csv names
features/           optional: text.npy, image.npy, audio.npy, one row an item
truth/              optional, simulated data only: items.csv and users.csv, named factors, and in
                    items.csv a column shelf
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Self

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from rich.progress import track

from mmtutorial.datasets.choice import choice_chance
from mmtutorial.datasets.folders import beside, put, recover
from mmtutorial.datasets.media import (
    MediaError,
    check_picture,
    is_file,
    read_sound,
    to_rgb,
    too_large,
)

MODALITIES = ("text", "image", "audio")
LONGEST = 10_000_000  # characters of one cell of a table
PARTS = {  # what a data set's folder holds, beside the folders of its media
    *("dataset.json", "items.csv", "interactions.csv"),
    *("images", "audio", "features", "truth"),
}
SPLIT = ("train", "validation", "test")  # the parts that a data set may come with
_MARKS = {  # what separates the cells of a table: its name, and what to do about ragged rows
    ",": ("commas", 'put a cell that holds a comma in double quotes, "like, this"'),
    ";": ("semicolons", 'put a cell that holds a semicolon in double quotes, "like; this"'),
    "\t": ("tabs", "put exactly one tab between two cells"),
}
LATEST = 100_000_000_000  # seconds since 1970: the year 5138; larger numbers are milliseconds


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a data set's folder, and what to do about it.

    ``row`` is the row as a spreadsheet shows it (the header is row 1), or None.

    >>> print(Fault("items.csv", 7, "the id 'p5' occurs twice", "give every item its own id"))
    items.csv, row 7: the id 'p5' occurs twice; give every item its own id
    """

    file: str
    row: int | None
    message: str
    remedy: str

    def __str__(self) -> str:
        """Say it in one line."""
        place = self.file if self.row is None else f"{self.file}, row {self.row}"
        return f"{place}: {self.message}; {self.remedy}"


class DatasetError(ValueError):
    """A data set that cannot be read, found or written; the message says why and what to do.

    ``faults`` holds all of them, where it is the files that are wrong.
    """

    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, place: str | Path, faults: Sequence[Fault]) -> Self:
        """Tell the first ten faults of a folder."""
        shown = "\n".join(f"  {fault}" for fault in faults[:10])
        more = f"\n  and {len(faults) - 10} more" if len(faults) > 10 else ""
        error = cls(f"{place} cannot be read as a data set:\n{shown}{more}")
        error.faults = tuple(faults)
        return error


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
        ``user`` (str), ``item`` (str), ``timestamp`` (int64, seconds since 1970 UTC), ``rating``
        (float64, NaN where absent), ``review`` (str, "" where absent), and further columns. The
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

    Raises
    ------
    DatasetError
        If a column that must be given is missing.

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

    def __post_init__(self) -> None:
        """Fill in what may be left out, and bring the interactions into order."""
        for table, columns, name in (
            (self.items, ["item"], "items"),
            (self.interactions, ["user", "item", "timestamp"], "interactions"),
        ):
            doubled = table.columns[table.columns.duplicated()].tolist()
            if doubled:
                raise DatasetError(f"{name} has the columns {doubled} twice: keep one of each")
            lacking = [column for column in columns if column not in table.columns]
            if lacking:
                raise DatasetError(f"{name} lacks the columns {lacking}; it needs {columns}")
        unknown = [name for name in self.features if name not in MODALITIES]
        if unknown:
            raise DatasetError(f"features names {unknown}; the modalities are {list(MODALITIES)}")
        self.folder = Path(self.folder)
        items = self.items.reset_index(drop=True)
        items["item"] = items["item"].map(_as_text)
        if "title" not in items:
            items["title"] = items["item"]
        for modality in MODALITIES:
            if modality not in items:
                items[modality] = ""
        for column in ("title", *MODALITIES):  # a table read by pandas has NaN in empty cells
            items[column] = items[column].map(_as_text)
        first = ["item", "title", *MODALITIES]
        self.items = items[first + [column for column in items.columns if column not in first]]
        interactions = self.interactions.assign(
            rating=self.interactions.get("rating", np.nan),
            review=self.interactions.get("review", ""),
        )
        first = ["user", "item", "timestamp", "rating", "review"]
        further = [column for column in interactions.columns if column not in first]
        interactions = interactions[first + further]
        for column in ("user", "item", "review", *(["part"] if "part" in further else [])):
            interactions[column] = interactions[column].map(_as_text)
        interactions["timestamp"] = _whole_seconds(interactions["timestamp"])
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
        """Ids of the users with at least one interaction, sorted: str (n_users,)."""
        return np.unique(self.interactions["user"].to_numpy(dtype=str))

    def path(self, row: int, modality: str) -> Path | None:
        """Return where the image or audio of the item in this row lies; None if it has none."""
        name = str(self.items[modality].iloc[row])
        return self.folder / name if name else None

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
        `validate`, and masked by preprocessing.

        Raises
        ------
        DatasetError
            If the tables cannot be used: names every fault with its file and row.
        """
        faults: list[Fault] = []
        recover(folder)
        data = _read(Path(folder), faults, [])
        if data is None or faults:
            raise DatasetError.of(folder, faults)
        return data

    def validate(self) -> list[Fault]:
        """Return everything that is wrong with the tables and the files they name.

        >>> Dataset("tiny", pd.DataFrame({"item": ["tea"], "text": ["Warm."]}),
        ...         pd.DataFrame({"user": ["ann"], "item": ["tee"], "timestamp": [5]}), Path(".")
        ...        ).validate()[0].message
        "the item 'tee' is not in items.csv"
        """
        repeats = _repeat_faults(self.interactions, " (rows counted in order of time)")
        return [*_table_faults(self), *repeats, *_content_faults(self)]

    def save(
        self,
        folder: str | Path,
        *,
        write_media: Callable[[Path], None] | None = None,
        replace: bool = True,
    ) -> Dataset:
        """Write everything into a folder, at once or not at all, and open it.

        A process that is killed leaves the old state or the new, which the next `open` finds.

        Parameters
        ----------
        folder : str or Path
            Does not exist, is empty, or holds a data set and nothing else.
        write_media : callable, optional
            Called with the folder being written, to make ``images/`` and ``audio/`` there. Without
            it, the files that the items name are copied.
        replace : bool
            Whether to replace a data set that lies there; otherwise it is left, and opened.

        Raises
        ------
        DatasetError
            If the folder holds something that is not part of a data set, a text cannot be written
            in UTF-8, or the data set could not be opened again. What lay there before is still
            there then.
        """
        folder = Path(folder).expanduser().resolve()
        recover(folder)
        if folder == Path.cwd():
            raise DatasetError(f"{folder} is the folder you are in: name another one to write into")
        if folder.exists() and not folder.is_dir():
            raise DatasetError(f"{folder} is a file; name a folder to write the data set into")
        foreign = _foreign(folder)
        if foreign:
            raise DatasetError(
                f"{folder} holds {foreign[0]!r}, which is no part of a data set; nothing was "
                "written: name a new folder, or move what you want to keep away from this one"
            )
        fresh = beside(folder)
        try:
            (write_media or self._copy_media)(fresh)
            try:
                self._write_tables(fresh)
                written = Dataset.open(fresh)
            except DatasetError as fault:
                told = str(fault).replace(str(fresh), "what would be written")
                raise DatasetError(f"nothing was written into {folder}: {told}") from fault
            if put(fresh, folder, unless=None if replace else "dataset.json"):
                written.folder = folder
                return written
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return Dataset.open(folder)

    def _copy_media(self, folder: Path) -> None:
        """Copy the images and recordings that exist."""
        names = [name for kind in ("image", "audio") for name in self.items[kind] if name]
        for name in track(names, description="Copying pictures and sounds", transient=True):
            if _outside(name) or not is_file(self.folder / name):
                continue  # validate() reports it
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / name, target)

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
        if not further.empty:
            about["number_columns_of_interactions"] = list(further)
        text = json.dumps(about, ensure_ascii=False, indent=2) + "\n"
        _write_text(text, folder / "dataset.json")
        _write_table(self.items, folder / "items.csv")
        _write_table(self.interactions, folder / "interactions.csv")
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
                _write_table(table, folder / "truth" / f"{kind}s.csv")


def validate_folder(folder: str | Path) -> list[Fault]:
    """Return everything that is wrong with a folder, also where it cannot be opened.

    >>> print(validate_folder("no/such/folder")[0])
    no/such/folder: there is no such folder; check the path
    """
    faults: list[Fault] = []
    repeats: list[Fault] = []
    recover(folder)
    data = _read(Path(folder), faults, repeats)
    return faults if data is None else [*faults, *repeats, *_content_faults(data)]


def _foreign(folder: Path) -> list[str]:
    """Name what lies in a folder and is no part of a data set, sorted."""
    if not folder.is_dir():
        return []
    parts = set(PARTS)
    if (folder / "dataset.json").exists():
        table = read_table(folder, "items.csv", ["item"], [])
        for kind in ("image", "audio"):
            if table is not None and kind in table:
                parts |= {part for name in table[kind] for part in PurePosixPath(name).parts[:1]}
    else:
        parts = set()  # not even a folder called images is ours
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in parts)


def _as_text(cell: object) -> str:
    """Return a cell as text; what pandas calls missing is empty."""
    return cell if isinstance(cell, str) else "" if pd.isna(cell) else str(cell)  # type: ignore[call-overload]


def _whole_seconds(times: pd.Series) -> pd.Series:
    """Return int64 seconds, or float64 NaN where none is known.

    Dates of pandas become seconds; other things are refused.
    """
    if len(times) and times.isna().all():
        return pd.Series(np.nan, index=times.index)
    if times.isna().any():
        raise DatasetError(
            f"the timestamps of {int(times.isna().sum())} interactions are missing: give all, or "
            "leave the whole column empty"
        )
    if pd.api.types.is_datetime64_any_dtype(times):
        since = times - pd.Timestamp(0, tz=times.dt.tz)
        return since // pd.Timedelta(seconds=1)
    if not pd.api.types.is_integer_dtype(times):
        raise DatasetError(
            f"the timestamps are {times.dtype}; give whole seconds since 1970 as int64, or dates"
        )
    return times.astype(np.int64)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    _write_text(table.to_csv(index=False, lineterminator="\n"), path)


def _write_text(text: str, path: Path) -> None:
    """Write in UTF-8; half a character (a lone surrogate, as JSON lets in) is refused."""
    try:
        path.write_bytes(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 20) : error.start + 20]
        raise DatasetError(
            f"{path.name} would hold half a character, {text[error.start]!r} in {around!r}: "
            "remove it, or replace it as mmtutorial.preprocessing.text.clean does"
        ) from error


# Reading: every function appends what it finds wrong and goes on as far as it can.


def _read(folder: Path, faults: list[Fault], repeats: list[Fault]) -> Dataset | None:
    """Read a folder's tables; None if there is too little to go on with.

    ``repeats`` receives the faults of repeated interactions, which make nothing unusable.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "there is no such folder"
        faults.append(Fault(str(folder), None, what, "check the path"))
        return None
    about = _read_about(folder / "dataset.json", faults)
    items = read_table(folder, "items.csv", ["item"], faults)
    interactions = read_table(folder, "interactions.csv", ["user", "item", "timestamp"], faults)
    if about is None or items is None or interactions is None:
        return None
    for column in _number_columns(about, "number_columns", ("item", "title", *MODALITIES), faults):
        if column in items:
            items[column] = read_numbers(items[column], "items.csv", column, faults)
    interactions["timestamp"] = _timestamps(interactions["timestamp"], faults)
    own = ("user", "item", "timestamp", "review", "part")
    further = _number_columns(about, "number_columns_of_interactions", own, faults)
    for column in ("rating", *further):
        if column in interactions:
            interactions[column] = read_numbers(
                interactions[column], "interactions.csv", column, faults
            )
    features = _read_features(folder, faults)
    truth = _read_truth(folder, faults)
    # In file order, so that faults name the file's rows; __post_init__ sorts a copy.
    faults.extend(_item_faults(items) + _interaction_faults(interactions, items))
    repeats.extend(_repeat_faults(interactions))
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
    )
    faults.extend(_array_faults(data))
    return data


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
    about: dict[str, Any], key: str, own: tuple[str, ...], faults: list[Fault]
) -> list[str]:
    """Return which further columns hold numbers; none (and a fault) where that cannot be told."""
    told = about.get(key, [])
    if isinstance(told, list) and all(isinstance(each, str) and each not in own for each in told):
        return told
    remedy = f'list names of further columns, such as ["price"], and none of {", ".join(own)}'
    faults.append(Fault("dataset.json", None, f"its {key} cannot be used", remedy))
    return []


def read_table(
    folder: Path, name: str, needed: list[str], faults: list[Fault], mark: str = ","
) -> pd.DataFrame | None:
    """Read a table as text, every cell a str; None if its columns cannot be told.

    Appends to ``faults`` what is wrong, and goes on as far as it can. Cells are separated by
    ``mark``: between commas or semicolons, a cell may stand in double quotes; between tabs, quotes
    mean nothing.
    """
    path = folder / name
    if not path.is_file():
        remedy = f"write it, with a header such as {mark.join(needed)}"
        faults.append(Fault(name, None, "the file is missing", remedy))
        return None
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte 0x{raw[error.start]:02x}"
        faults.append(Fault(name, row, message, "save the file again with the encoding UTF-8"))
        return None
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        faults.append(
            Fault(name, row, "holds a null character", "save it again as plain CSV in UTF-8")
        )
        return None
    if not text.strip():
        faults.append(
            Fault(name, None, "the file is empty", f"its first row names {mark.join(needed)}")
        )
        return None
    lines = io.StringIO(text)
    reader = (
        csv.reader(lines, delimiter=mark, quoting=csv.QUOTE_NONE)
        if mark == "\t"
        else csv.reader(lines, delimiter=mark, strict=True)
    )
    limit = csv.field_size_limit(LONGEST)
    rows: list[list[str]] = []
    try:
        rows.extend(reader)
    except csv.Error as error:
        faults.append(Fault(name, len(rows) + 1, *_cell_fault(str(error))))
        return None
    finally:
        csv.field_size_limit(limit)
    while not rows[-1]:
        rows.pop()
    header = rows[0]
    if not header:
        remedy = f"remove it: the first row names {mark.join(needed)}"
        faults.append(Fault(name, 1, "the row is blank", remedy))
        return None
    doubled = sorted({column for column in header if header.count(column) > 1})
    if doubled:
        faults.append(
            Fault(name, 1, f"the columns {doubled} occur twice", "keep one of each, or rename it")
        )
        return None
    lacking = [column for column in needed if column not in header]
    if lacking:
        other = next((other for other in ",;\t|" if other in header[0]), None)
        message, remedy = f"lacks the columns {lacking}", f"the header has {header}: rename or add"
        if len(header) == 1 and other:
            message = f"its columns are separated by {other!r}"
            remedy = f"separate them by {_MARKS[mark][0]}"
        faults.append(Fault(name, 1, message, remedy))
        return None
    ragged = [
        Fault(
            name,
            row,
            f"has {len(cells)} cells, the header has {len(header)}",
            _MARKS[mark][1],
        )
        for row, cells in enumerate(rows, start=1)
        if len(cells) != len(header)
    ]
    if ragged:
        faults.extend(ragged)
        return None
    table = pd.DataFrame(rows[1:], columns=header, dtype=str)
    if table.empty:
        faults.append(Fault(name, None, "has a header and no rows", "add at least one"))
        return None
    return table


def _cell_fault(words: str) -> tuple[str, str]:
    """Say what Python's reader of CSV stumbled over, and what to do about it."""
    if "unexpected end of data" in words:
        return "a double quote opens a cell and is never closed", "close it, or remove it"
    if "expected after" in words:
        return "text follows the closing double quote of a cell", 'write a quote inside as ""'
    if "new-line character" in words:
        return "a line ends as on old Macs (CR alone)", "save the file again with line ends LF"
    return words, "correct or shorten that cell"


def read_numbers(values: pd.Series, name: str, column: str, faults: list[Fault]) -> pd.Series:
    """Turn text into float64, "" into NaN."""
    empty = values == ""
    numbers = pd.to_numeric(values.where(~empty), errors="coerce").astype(np.float64)
    for place in np.flatnonzero(~empty & ~np.isfinite(numbers)):
        message = f"the {column} {values.iloc[place]!r} is not a finite number"
        faults.append(Fault(name, int(place) + 2, message, "write a number, or leave it empty"))
    exact = numbers.to_numpy(copy=True)  # pandas may be wrong in the last digit
    there = ~np.isnan(exact)
    exact[there] = [float(value) for value in values[there]]
    return pd.Series(exact, index=values.index, name=values.name)


def _timestamps(values: pd.Series, faults: list[Fault]) -> pd.Series:
    """Turn text into int64 seconds since 1970; into float64 NaN where every cell is empty."""
    if (values == "").all():
        return pd.Series(np.nan, index=values.index)
    whole = values.str.fullmatch(r"\s*-?\d{1,18}\s*").to_numpy(dtype=bool)
    seconds = np.zeros(len(values), dtype=np.int64)
    seconds[whole] = values[whole].str.strip().map(int)
    for place in np.flatnonzero(~whole | (np.abs(seconds) > LATEST)):
        value = values.iloc[place]
        remedy = "write whole seconds since 1970-01-01 00:00 UTC"
        if not value:
            remedy += ", or leave the whole column empty where no times are known"
        if whole[place]:
            remedy += "; these look like milliseconds: divide by 1000"
        message = f"the timestamp {value!r} is not a time"
        faults.append(Fault("interactions.csv", int(place) + 2, message, remedy))
    return pd.Series(seconds, index=values.index)


def _read_features(folder: Path, faults: list[Fault]) -> dict[str, np.ndarray]:
    features = {}
    for path in sorted((folder / "features").glob("*.npy")):
        name = f"features/{path.name}"
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
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
        if isinstance(array, np.ndarray):
            return array
        array.close()  # several arrays in a zip archive
    except MemoryError:
        message = "its header asks for more memory than there is"
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
        table = read_table(folder, name, [kind], faults)
        if table is None:
            return None
        factors = table.drop(columns=kind)
        numbers = [read_numbers(factors[column], name, str(column), faults) for column in factors]
        tables.append(
            pd.DataFrame(
                np.column_stack(numbers) if numbers else np.empty((len(table), 0)),
                columns=factors.columns,
                index=pd.Index(table[kind], name=kind),
            )
        )
    items, users = tables
    shelf = None
    if "shelf" in items:
        shelf = items.pop("shelf")
        for place in _rows(~((shelf > 0) & (shelf <= 1))):
            message = f"the shelf {shelf.iloc[place]} is not a probability above 0"
            faults.append(Fault("truth/items.csv", place + 2, message, "correct it"))
    return Truth(items, users, shelf)


# Checking: what a data set may not hold.


def _table_faults(data: Dataset) -> list[Fault]:
    """Faults that make the tables unusable."""
    return [
        *_item_faults(data.items),
        *_interaction_faults(data.interactions, data.items),
        *_array_faults(data),
    ]


def _rows(wrong: npt.ArrayLike) -> list[int]:
    """Return the places that a bool array marks, as ints."""
    return [int(place) for place in np.flatnonzero(np.asarray(wrong, dtype=bool))]


def _id_faults(ids: pd.Series, file: str, kind: str) -> list[Fault]:
    """Ids that are empty or padded with spaces."""
    empty = ids.str.strip() == ""
    padded = ~empty & (ids != ids.str.strip())
    return [
        Fault(file, place + 2, f"the {kind} has no id", "give it one, or remove the row")
        for place in _rows(empty)
    ] + [
        Fault(file, place + 2, f"the {kind} id {ids.iloc[place]!r} has spaces around it", "trim it")
        for place in _rows(padded)
    ]


def _item_faults(items: pd.DataFrame) -> list[Fault]:
    file, ids = "items.csv", items["item"]
    faults = _id_faults(ids, file, "item")
    first = {name: place for place, name in reversed(list(enumerate(ids)))}
    for place in _rows(ids.duplicated() & (ids != "")):
        message = f"the item id {ids.iloc[place]!r} is taken by row {first[ids.iloc[place]] + 2}"
        faults.append(Fault(file, place + 2, message, "give every item its own id"))
    for kind in ("image", "audio"):
        for place, name in enumerate(items.get(kind, [])):
            if name and _outside(name):
                message = f"the {kind} {name!r} lies outside the folder"
                remedy = f"copy it into the folder and write a path such as {kind}s/{place}.xyz"
                faults.append(Fault(file, place + 2, message, remedy.replace("audios/", "audio/")))
    return faults


def _outside(name: str) -> bool:
    """Say whether a path is absolute, climbs out of its folder, or is not written with '/'."""
    path = PurePosixPath(name)
    return (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in name
        or bool(re.match("[A-Za-z]:", name))
    )


def _interaction_faults(interactions: pd.DataFrame, items: pd.DataFrame) -> list[Fault]:
    file = "interactions.csv"
    faults = _id_faults(interactions["user"], file, "user")
    unknown = ~interactions["item"].isin(items["item"])
    for place in _rows(unknown):
        message = f"the item {interactions['item'].iloc[place]!r} is not in items.csv"
        faults.append(Fault(file, place + 2, message, "add it there, or remove this row"))
    for place in _rows(~interactions["part"].isin(SPLIT) if "part" in interactions else []):
        message = f"the part {interactions['part'].iloc[place]!r} is unknown"
        remedy = f"write one of {', '.join(SPLIT)}, or remove the column"
        faults.append(Fault(file, place + 2, message, remedy))
    return faults


def _repeat_faults(log: pd.DataFrame, note: str = "") -> list[Fault]:
    """Interactions that occur twice at the same second, or in two parts."""
    faults = []
    when = "" if log["timestamp"].isna().all() else " at the same time"
    for place in _rows(log.duplicated(["user", "item", "timestamp"])):
        user, item = log["user"].iloc[place], log["item"].iloc[place]
        message = f"{user!r} takes {item!r} twice{when}{note}"
        faults.append(Fault("interactions.csv", place + 2, message, "remove one of the two rows"))
    if "part" in log:
        first = log.groupby(["user", "item"], sort=False)["part"].transform("first")
        for place in _rows(log["part"] != first):
            user, item, part = (log[name].iloc[place] for name in ("user", "item", "part"))
            message = f"{user!r} takes {item!r} in the parts {first.iloc[place]} and {part}{note}"
            remedy = "what is tested must not be learnt from: remove one of the two rows"
            faults.append(Fault("interactions.csv", place + 2, message, remedy))
    return faults


def _array_faults(data: Dataset) -> list[Fault]:
    """What is wrong with ready-made features and with the truth."""
    faults = []
    for modality, array in data.features.items():
        file = f"features/{modality}.npy"
        floats = np.issubdtype(array.dtype, np.floating)
        if array.ndim != 2 or not array.shape[1] or not floats:
            message = f"is {array.dtype} with shape {array.shape}"
            faults.append(Fault(file, None, message, "it must be floats with shape (n_items, d)"))
        elif len(array) != data.n_items:
            message = f"has {len(array)} rows for {data.n_items} items"
            faults.append(
                Fault(file, None, message, "write one row an item, in the order of items.csv")
            )
        elif not (sound := np.abs(array) <= np.finfo(np.float32).max).all():
            row = int(np.argwhere(~sound)[0, 0])
            message = f"holds NaN or infinity, first in the row of item {data.items['item'][row]!r}"
            faults.append(Fault(file, None, message, "write zeros for an item without features"))
    if data.truth is not None:
        for kind, ids in (("item", data.items["item"]), ("user", data.users)):
            table = getattr(data.truth, f"{kind}_factors")
            lacking = [name for name in ids if name not in table.index]
            if lacking:
                message = f"has no row for the {kind} {lacking[0]!r} ({len(lacking)} in all)"
                faults.append(
                    Fault(f"truth/{kind}s.csv", None, message, "add it, or remove truth/")
                )
        if list(data.truth.item_factors.columns) != list(data.truth.user_factors.columns):
            faults.append(
                Fault(
                    "truth/users.csv",
                    1,
                    "its factors are not those of truth/items.csv",
                    "both need the same columns, or remove truth/",
                )
            )
    return faults


def _content_faults(data: Dataset) -> list[Fault]:
    """Faults that cost one item or one row, not the data set."""
    faults = []
    for place in _rows(~data.present().any(axis=1)):
        message = f"the item {data.items['item'].iloc[place]!r} has no text, image or audio"
        faults.append(
            Fault("items.csv", place + 2, message, "only its id can be recommended: add one")
        )
    named = [
        (kind, row, name)
        for kind in ("image", "audio")
        for row, name in enumerate(data.items[kind])
        if name and not _outside(name)
    ]
    found = joblib.Parallel(n_jobs=-1, prefer="threads", batch_size=16)(
        joblib.delayed(_medium_fault)(data.folder, *each) for each in _watched(named)
    )
    return faults + [fault for fault in found if fault is not None]


def _watched(named: list[Any]) -> Iterable[Any]:
    """Show progress where there is much to decode."""
    if len(named) < 1000:
        return named
    return track(named, description="Checking pictures and sounds", transient=True)


def _medium_fault(folder: Path, kind: str, row: int, name: str) -> Fault | None:
    """Decode one file, and say what is wrong with it."""
    path = folder / name

    def fault(message: str, remedy: str) -> Fault:
        return Fault(name, None, f"{message} (items.csv, row {row + 2})", remedy)

    if not is_file(path):
        return fault("the file is missing", f"add it, or leave the {kind} of that item empty")
    if path.stat().st_size == 0:
        return fault("the file is empty", f"replace it, or leave the {kind} of that item empty")
    return _picture_fault(path, fault) if kind == "image" else _sound_fault(path, fault)


def _picture_fault(path: Path, fault: Callable[[str, str], Fault]) -> Fault | None:
    try:
        with Image.open(path) as picture:
            check_picture(path, picture)
            to_rgb(picture)
    except MediaError as error:
        return fault(error.message, error.remedy)
    except Image.DecompressionBombError:
        refused = too_large(path)
        return fault(refused.message, refused.remedy)
    except Image.UnidentifiedImageError:
        return fault("not a picture", "replace it by a JPEG or PNG")
    except Exception as error:  # damaged files make Pillow's plug-ins raise nearly anything
        return fault(f"the picture is damaged ({error})", "replace it")
    return None


def _sound_fault(path: Path, fault: Callable[[str, str], Fault]) -> Fault | None:
    try:
        read_sound(path)
    except MediaError as error:
        return fault(error.message, error.remedy)
    return None
