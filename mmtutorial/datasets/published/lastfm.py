"""Last.fm: real listeners, the artists they heard most, listeners' tags, and how artists sound.

1,858 listeners, 1,425 artists and 56,345 pairs of the two, gathered from last.fm (Cantador,
Brusilovsky and Kuflik 2011), with features of text and audio and a split (Spillo et al. 2025).
Nobody says when anybody began to listen, and there are no pictures. Who is whose
friend is published too: `lastfm_friends`.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from scipy import sparse

from mmtutorial.datasets.collections import Collection
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import DatasetError
from mmtutorial.datasets.published.mmrec import read_mmrec

LISTENERS = Collection(
    "lastfm-2k-multimodal",
    "https://raw.githubusercontent.com/swapUniba/multimodal_ml1m_dbbook_lfm2k/"
    "e8c90c3f93ed14753fec4905d37c401de2255160/3_data_processing/hetrec2011-lastfm-2k/",
    "HetRec 2011: non-commercial use",
    "https://github.com/swapUniba/multimodal_ml1m_dbbook_lfm2k",
)
# GroupLens publishes no SHA-256 of the archive; this one is what several public repositories name.
FRIENDS = Collection(
    "hetrec2011-lastfm-2k",
    "https://files.grouplens.org/datasets/hetrec2011/",
    "HetRec 2011: non-commercial use",
    "https://grouplens.org/datasets/hetrec-2011",
    digests={
        "hetrec2011-lastfm-2k.zip": (
            "6738f48195667ff03caaab4d32ca9a3133d8cc026b7c3cdaf6ce1010e913c59c"
        )
    },
)
AUDIO = ("vggish", "whisper")  # the encoders of the artists' songs


def lastfm(seed: int = 0, *, audio: str = "vggish") -> Dataset:
    """Read the listeners of last.fm.

    The files are taken from ``MMTUTORIAL_DATA``, or downloaded (12 MB, once).

    Parameters
    ----------
    seed : int
        As every data set takes one; nothing is drawn here.
    audio : {"vggish", "whisper"}
        Which ready-made features of the artists' songs.

    Returns
    -------
    Dataset
        ``items``: the id that last.fm's artist has in HetRec 2011, its name as ``title``, and
        the tags of all listeners as ``text``, separated by ", ". ``features``: text float32
        (1425, 384) of the tags by all-MiniLM-L6-v2, audio float32 (1425, 128) by VGGish or
        (1425, 512) by Whisper. ``interactions``: ``part`` as published, ``timestamp`` NaN, and
        ``plays`` (float64), how often the listener has played the artist. Do not learn from plays
        outside the training part. When a tag was given is not known either, nor by whom: some will
        be those of a tested listener on the very artist.

    Raises
    ------
    DatasetError
        If the files cannot be had, or differ from the published ones: says what to do.
    ValueError
        If the features have another name.

    Examples
    --------
    >>> data = lastfm()                                                     # doctest: +SKIP
    >>> data.items.set_index("title").loc["Daft Punk", "text"].split(", ")  # doctest: +SKIP
    """
    if audio not in AUDIO:
        raise ValueError(f"audio is {audio!r}; the features are {' and '.join(AUDIO)}")
    folder = LISTENERS.obtain()
    data = read_mmrec(
        folder,
        interactions="lfm2k.inter",
        features={"text": "all-MiniLM-L6-v2.npy", "audio": f"{audio}.npy"},
        name="lastfm",
        licence="HetRec 2011: non-commercial use; cite Cantador et al. 2011, Spillo et al. 2025",
        source=f"{LISTENERS.page}; https://grouplens.org/datasets/hetrec-2011; https://www.last.fm",
    )
    numbered, original = (_table(folder / name) for name in ("lfm2k.inter", "lfm2k_og_ids.inter"))
    user, artist = (
        dict(zip(numbered[column], original[column], strict=True))
        for column in ("userID", "itemID")  # the two tables are row by row the same
    )
    artists = data.items["item"].map(artist)
    names = _table(folder / "artists.dat").set_index("id")["name"]
    tags = _table(folder / "lfm2k_text.tsv").set_index("artistID")["text"]
    plays = _table(folder / "user_artists.dat").astype({"weight": float})
    plays.columns = pd.Index(["user", "item", "plays"])
    return replace(
        data,
        items=pd.DataFrame(
            {
                "item": artists,
                "title": artists.map(names),
                "text": artists.map(tags).str.replace(",", ", "),
            }
        ),
        interactions=data.interactions.assign(
            user=data.interactions["user"].map(user), item=data.interactions["item"].map(artist)
        ).merge(plays, on=["user", "item"], how="left"),
    )


def _table(path: Path | IO[bytes]) -> pd.DataFrame:
    """Read a table of tabs as text; quotes are part of names."""
    return pd.read_csv(path, sep="\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False)


def lastfm_friends(users: Sequence[str] | np.ndarray) -> sparse.csr_array:
    """Read who is whose friend on last.fm: a signal beside text, image and audio.

    It tells of users, not of items, so it is not among the features. Multiplied by who heard what,
    it counts for each artist how many of a listener's friends have heard it, which is a score: see
    the example. The whole archive of HetRec 2011, a few megabytes, is taken from
    ``MMTUTORIAL_DATA`` (``hetrec2011-lastfm-2k/hetrec2011-lastfm-2k.zip``), or downloaded once.

    Parameters
    ----------
    users : sequence of str
        Ids of listeners, in the order of the rows wanted, such as ``split.train.users``.

    Returns
    -------
    sparse.csr_array
        float32 (n_users, n_users): 1 for each pair of friends among them, both ways; nobody is
        their own friend. Friends who are not among them are left out.

    Raises
    ------
    DatasetError
        If the archive cannot be had, differs from the published one, or lacks the table.

    Examples
    --------
    >>> split = default_split(lastfm())                                # doctest: +SKIP
    >>> friends = lastfm_friends(split.train.users)                    # doctest: +SKIP
    >>> heard_by_friends = friends @ split.train.matrix                # doctest: +SKIP
    """
    path = FRIENDS.obtain() / next(iter(FRIENDS.manifest))
    columns = ["userID", "friendID"]
    with zipfile.ZipFile(path) as archive:
        name = next((each for each in archive.namelist() if each.endswith("user_friends.dat")), "")
        table = _table(archive.open(name)) if name else pd.DataFrame()
    if not set(columns) <= set(table):
        raise DatasetError(
            f"{path} holds no table user_friends.dat with the columns {' and '.join(columns)}: "
            f"fetch it again from {FRIENDS.page}"
        )
    row = pd.Series(np.arange(len(users)), index=pd.Index([str(user) for user in users]))
    pairs = table[columns].apply(lambda ids: ids.map(row)).dropna().to_numpy(int)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    shape = (len(users), len(users))
    found = sparse.csr_array((np.ones(len(pairs), np.float32), pairs.T), shape=shape)
    found = found + found.T
    found.data[:] = 1
    return sparse.csr_array(found)
