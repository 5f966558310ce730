"""Amazon Baby, Sports, Clothing and Electronics, and MicroLens, as MMRec publishes them.

Reviews of 2014 (5-core) and, of MicroLens, comments on short videos, each with a split and
ready-made features of text and pictures: what most papers on multimodal recommendation report on.
Their folders are on Google Drive alone, where a program is asked for what only a person can answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mmtutorial.datasets.collections import Collection
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import DatasetError, Fault
from mmtutorial.datasets.published.mmrec import read_mmrec
from mmtutorial.datasets.tables import read_table
from mmtutorial.datasets.times import LATEST

AMAZON = "https://drive.google.com/drive/folders/13cBy1EA_saTUuXxVllKgtfci2A09jyaG"
MICROLENS = "https://drive.google.com/drive/folders/14UyTAh_YyDV8vzXteBJiy9jv8TBDK43w"
CODE = "https://github.com/enoche/MMRec"


@dataclass(frozen=True)
class Published:
    """One of MMRec's data sets: where it is, and what must be in it."""

    page: str
    users: int
    items: int
    interactions: int


# MMRec's evaluation/README.md; of clothing and microlens, the papers that report on these files.
PUBLISHED = {
    "baby": Published(AMAZON, 19445, 7050, 160792),
    "sports": Published(AMAZON, 35598, 18357, 296337),
    "clothing": Published(AMAZON, 39387, 23033, 278677),
    "elec": Published(AMAZON, 192403, 63001, 1689188),
    "microlens": Published(MICROLENS, 98129, 17228, 705174),
}
TERMS = {
    "microlens": "no licence is stated; MicroLens forbids to modify and offer it for download anew",
}
AMAZON_TERMS = "no licence is stated; made from Amazon product data 2014, offered for research"


def mmrec_collection(name: str) -> Collection:
    """Return the files of one of MMRec's data sets.

    >>> list(mmrec_collection("baby").manifest)
    ['baby.inter', 'text_feat.npy', 'image_feat.npy']
    """
    names = f"{name}.inter", "text_feat.npy", "image_feat.npy"
    return Collection(
        f"mmrec-{name}",
        "",  # no address that a program could read from
        TERMS.get(name, AMAZON_TERMS),
        PUBLISHED[name].page,
        digests=dict.fromkeys(names, ""),
    )


def mmrec_published(seed: int = 0, *, name: str = "baby") -> Dataset:
    """Read one of the data sets that MMRec publishes.

    Fetch its folder from Google Drive by hand, call it ``mmrec-baby``, and put it into the folder
    that ``MMTUTORIAL_DATA`` names; what is missing is told with the address.

    Parameters
    ----------
    seed : int
        As every data set takes one; nothing is drawn here.
    name : {"baby", "sports", "clothing", "elec", "microlens"}
        Which one.

    Returns
    -------
    Dataset
        As from `read_mmrec`: users and items are numbers, ``part`` is as published. Items have
        Amazon's or MicroLens's own codes instead where ``i_id_mapping.csv`` is in the folder.
        ``features``: text float32 (n_items, 384) and image (n_items, 4096); of MicroLens, 1,024
        each. There is no text and there are no pictures.

    Raises
    ------
    DatasetError
        If the files are not there, are not in MMRec's format, or do not hold as many users, items
        and interactions as the published ones.
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> data = mmrec_published(name="baby")            # doctest: +SKIP
    >>> data.interactions["part"].value_counts()       # doctest: +SKIP
    """
    if name not in PUBLISHED:
        raise ValueError(f"name is {name!r}; MMRec publishes {', '.join(PUBLISHED)}")
    files, published = mmrec_collection(name), PUBLISHED[name]
    folder = files.obtain()
    data = read_mmrec(
        folder,
        interactions=f"{name}.inter",
        features={"text": "text_feat.npy", "image": "image_feat.npy"},
        milliseconds=_milliseconds(folder / f"{name}.inter"),
        name=f"mmrec-{name}",
        licence=f"{files.licence}; cite Zhou 2023",
        source=f"{published.page}; {CODE}",
    )
    for what, here, there in (
        ("users", data.n_users, published.users),
        ("items", data.n_items, published.items),
        ("interactions", len(data.interactions), published.interactions),
    ):
        if here != there:
            raise DatasetError(
                f"{folder / f'{name}.inter'} holds {here:,} {what}, and the published one "
                f"{there:,}: "
                f"fetch it again from {published.page}, or read your own by read_mmrec(folder)"
            )
    return _named(data)


def _milliseconds(table: Path) -> bool:
    """Say whether the first time of a table is too large for seconds."""
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        header, first = (file.readline().rstrip("\r\n").split("\t") for _ in range(2))
    time = dict(zip(header, first, strict=False)).get("timestamp", "")
    return time.isdecimal() and int(time) > LATEST


def _named(data: Dataset) -> Dataset:
    """Give the items the codes of ``i_id_mapping.csv``, where it is there."""
    name = "i_id_mapping.csv"
    if not (data.folder / name).is_file():
        return data
    faults: list[Fault] = []
    with (data.folder / name).open("rb") as file:
        mark = "\t" if b"\t" in file.readline() else ","
    table = read_table(data.folder, name, ["asin", "itemID"], faults, mark, quotes=mark != "\t")
    numbers = data.items["item"]
    if table is not None and (
        sorted(table["itemID"]) != sorted(numbers) or table["asin"].duplicated().any()
    ):
        message = "does not give each itemID a code of its own"
        faults.append(Fault(name, None, message, "fetch it again, or remove it"))
    if table is None or any(not fault.note for fault in faults):
        raise DatasetError.of(data.folder, faults)
    code = dict(zip(table["itemID"], table["asin"], strict=True))
    return replace(
        data,
        items=data.items.assign(item=numbers.map(code), title=numbers.map(code)),
        interactions=data.interactions.assign(item=data.interactions["item"].map(code)),
    )
