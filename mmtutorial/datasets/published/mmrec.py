"""Data sets in MMRec's format: a table of interactions with their parts, and arrays of features.

{name}.inter        tab separated: userID and itemID, both 0, 1, 2, … without gaps; rating and
                    timestamp where there are any; x_label, 0 for training, 1 for validation and
                    2 for test
text_feat.npy  image_feat.npy  audio_feat.npy
                    ready-made features, one row an item in the order of itemID; those there are

Amazon Baby, Sports, Clothing and Electronics, MicroLens and others are published in it (Zhou,
"MMRec: Simplifying multimodal recommendation", MM Asia 2023; github.com/enoche/MMRec).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mmtutorial.datasets.dataset import Dataset, read_array
from mmtutorial.datasets.faults import DatasetError, DatasetNote, Fault
from mmtutorial.datasets.schema import MODALITIES, SPLIT
from mmtutorial.datasets.tables import read_numbers, read_table
from mmtutorial.datasets.times import read_times
from mmtutorial.storage.files import expanded

NEEDED = ["userID", "itemID", "x_label"]
_BLOCK = 4096  # rows of features looked at together: bounds memory


def read_mmrec(
    folder: str | Path,
    *,
    interactions: str | None = None,
    features: Mapping[str, str] | None = None,
    milliseconds: bool = False,
    name: str | None = None,
    licence: str = "",
    source: str = "",
) -> Dataset:
    """Read a folder in MMRec's format.

    Parameters
    ----------
    folder : str or Path
        Where the files lie.
    interactions : str, optional
        Name of the table; without it, the only ``*.inter`` of the folder.
    features : mapping, optional
        Modality ("text", "image", "audio") to the name of its file; without it, those of
        ``text_feat.npy``, ``image_feat.npy`` and ``audio_feat.npy`` that are there.
    milliseconds : bool
        Whether the timestamps count milliseconds, and not seconds.
    name, licence, source : str, optional
        What to call the data set (without it, as its folder), its terms, and where it is from.

    Returns
    -------
    Dataset
        Items and users are named by their numbers, items in the order of ``itemID``; their titles
        are the numbers until you give them others. Interactions have the column ``part``; where
        the table has no timestamps, theirs are NaN. Features are float32 (n_items, d), mapped into
        memory where the file holds float32 already; pickled arrays are refused.

    Raises
    ------
    DatasetError
        Names every fault with its file and row, and holds them as ``faults``: a missing file or
        column, an id or label that is no such number, ids with gaps, times that look like another
        thing, an interaction that occurs twice or in two parts, features with another number of
        rows, NaN in them.

    Warns
    -----
    DatasetNote
        Of each assumption made in reading, such as of times before 1990.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = "userID\\titemID\\tx_label\\n0\\t0\\t0\\n0\\t1\\t1\\n0\\t2\\t2\\n"
    ...     _ = (Path(folder) / "tiny.inter").write_text(table)
    ...     np.save(Path(folder) / "text_feat.npy", np.eye(3, dtype=np.float32))
    ...     read_mmrec(folder).interactions["part"].tolist()
    ['train', 'validation', 'test']
    """
    folder = expanded(folder)
    if not folder.is_dir():
        raise DatasetError(f"there is no folder {folder}: check the path")
    file = _table_name(folder, interactions)
    faults: list[Fault] = []
    table = _read_interactions(folder, file, milliseconds, faults)
    n_items = None if table is None else _count(table["item"], "itemID", file, faults)
    if table is not None:
        _count(table["user"], "userID", file, faults)
        faults.extend(_repeat_faults(table, file))
    arrays = {
        modality: read_features(folder, name, n_items, faults)
        for modality, name in _feature_files(folder, features).items()
    }
    if table is None or n_items is None or not all(fault.note for fault in faults):
        raise DatasetError.of(folder, faults)
    for note in faults:
        warnings.warn(str(note), DatasetNote, stacklevel=2)
    return Dataset(
        name=name or folder.resolve().name,
        items=pd.DataFrame({"item": np.arange(n_items).astype(str)}),
        interactions=table.astype({"user": str, "item": str}),
        folder=folder,
        licence=licence,
        source=source,
        features={modality: array for modality, array in arrays.items() if array is not None},
    )


def _table_name(folder: Path, given: str | None) -> str:
    """Return the name of the table of interactions."""
    if given:
        return given
    found = sorted(path.name for path in folder.glob("*.inter"))
    if len(found) == 1:
        return found[0]
    what = f"several tables ({', '.join(found)})" if found else "no file whose name ends in .inter"
    raise DatasetError(f"{folder} holds {what}: name its table of interactions by interactions=")


def _feature_files(folder: Path, given: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return modality: name of its file."""
    if given is None:
        usual = {modality: f"{modality}_feat.npy" for modality in MODALITIES}
        return {name: file for name, file in usual.items() if (folder / file).exists()}
    unknown = [modality for modality in given if modality not in MODALITIES]
    if unknown:
        raise DatasetError(f"features names {unknown}; the modalities are {list(MODALITIES)}")
    return given


def _read_interactions(
    folder: Path, file: str, milliseconds: bool, faults: list[Fault]
) -> pd.DataFrame | None:
    """Read the table: int64 user and item (−1 where wrong), timestamp, rating, and the part."""
    raw = read_table(folder, file, NEEDED, faults, mark="\t", quotes=False)
    if raw is None:
        return None
    user, item, label = (whole_numbers(raw[column], file, faults) for column in NEEDED)
    for place in np.flatnonzero(label >= len(SPLIT)):
        message = f"the x_label {raw['x_label'].iloc[place]!r} is unknown"
        remedy = "write 0 for training, 1 for validation or 2 for test"
        faults.append(Fault(file, int(place) + 2, message, remedy))
    found: list[Fault] = []
    given = raw.get("timestamp", pd.Series("", index=raw.index))
    times = read_times(given, file, found, "ms" if milliseconds else "s")
    remedy = "read them with milliseconds=True, or divide them by 1000"
    faults.extend(
        replace(each, remedy=remedy) if "milliseconds" in str(each) else each for each in found
    )
    return pd.DataFrame(
        {
            "user": user,
            "item": item,
            "timestamp": times,
            "rating": read_numbers(raw["rating"], file, "rating", faults)
            if "rating" in raw
            else np.nan,
            "part": np.array([*SPLIT, ""])[np.where(label < len(SPLIT), label, -1)],
        }
    )


def whole_numbers(values: pd.Series, file: str, faults: list[Fault]) -> np.ndarray:
    """Turn text into int64, −1 (and a fault) where it is no whole number from 0 on."""
    good = values.str.fullmatch("[0-9]{1,18}").to_numpy(dtype=bool)
    for place in np.flatnonzero(~good):
        message = f"the {values.name} {values.iloc[place]!r} is not a whole number from 0 on"
        faults.append(Fault(file, int(place) + 2, message, "correct it, or remove the row"))
    return values.where(good, "-1").to_numpy(dtype=np.int64)


def _count(ids: pd.Series, column: str, file: str, faults: list[Fault]) -> int | None:
    """Count ids that are 0, 1, 2, … without gaps; None (and a fault) where they are not."""
    known = np.unique(ids)
    if known[0] < 0:
        return None  # a fault already: nobody knows which id is meant
    count = int(known[-1]) + 1
    lacking = count - len(known)
    if lacking:
        first = int(np.flatnonzero(known != np.arange(len(known)))[0])
        message = f"no row has the {column} {first}, and they go up to {count - 1} ({lacking} lack)"
        faults.append(Fault(file, None, message, "number them 0, 1, 2, … without gaps"))
    return count


def _repeat_faults(table: pd.DataFrame, file: str) -> list[Fault]:
    """Interactions that occur twice, at the same time or in two parts."""
    known = (table["user"] >= 0) & (table["item"] >= 0) & (table["part"] != "")
    table = table.assign(row=np.arange(len(table)) + 2)[known]
    first = table.groupby(["user", "item"])[["part", "row"]].transform("first").add_prefix("first_")
    leaks = table["part"] != first["first_part"]
    twice = table.duplicated(["user", "item", "timestamp"])
    faults = []
    for each in table.join(first).assign(leaks=leaks)[twice | leaks].to_dict("records"):
        message = (
            f"user {each['user']} takes item {each['item']} in the part {each['part']}, and in "
            f"{each['first_part']} in row {each['first_row']}"
        )
        remedy = "remove one of the two rows"
        if each["leaks"]:
            remedy = f"what is tested must not be learnt from: {remedy}"
        faults.append(Fault(file, each["row"], message, remedy))
    return faults


def read_features(
    folder: Path, file: str, n_items: int | None, faults: list[Fault]
) -> np.ndarray | None:
    """Read an array of features as float32; None (and a fault) where it cannot be used."""
    if not (folder / file).is_file():
        remedy = "copy it into the folder, or do not name it in features="
        faults.append(Fault(file, None, "the file is missing", remedy))
        return None
    array = read_array(folder / file, file, faults, mapped=True)
    if array is None:
        return None
    if array.ndim != 2 or not array.shape[1] or array.dtype.kind not in "fiu":
        message = f"is {array.dtype} with shape {array.shape}"
        faults.append(Fault(file, None, message, "it must be numbers with shape (n_items, d)"))
        return None
    if n_items is not None and len(array) != n_items:
        message = f"has {len(array)} rows for {n_items} items"
        faults.append(Fault(file, None, message, "write one row an item, in the order of itemID"))
    with np.errstate(over="ignore"):  # becomes infinity, and a fault
        array = array.astype(np.float32, copy=False)
    wrong = [
        start + int(row)
        for start in range(0, len(array), _BLOCK)
        for row in np.flatnonzero(~np.isfinite(array[start : start + _BLOCK]).all(axis=1))
    ]
    if wrong:
        message = f"holds NaN or infinity in the row of itemID {wrong[0]} ({len(wrong)} such rows)"
        faults.append(Fault(file, None, message, "write zeros for an item without features"))
    return array
