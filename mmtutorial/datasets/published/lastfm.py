"""Last.fm: real listeners, the artists they heard most, listeners' tags, and how artists sound.

1,858 listeners, 1,425 artists and 56,345 pairs of the two, gathered from last.fm (Cantador,
Brusilovsky and Kuflik 2011), with features of text and audio and a split (Spillo et al. 2025).
Nobody says when anybody began to listen, and there are no pictures.

There are two sources of content, not three: how songs sound, and tags. The ready-made features
"text" and features of the words in the items' texts are two encodings of the same tags.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import pandas as pd

from mmtutorial.datasets.collections import Collection
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.published.mmrec import read_mmrec
from mmtutorial.datasets.tables import read_plain

LISTENERS = Collection(
    "lastfm-2k-multimodal",
    "https://raw.githubusercontent.com/swapUniba/multimodal_ml1m_dbbook_lfm2k/"
    "e8c90c3f93ed14753fec4905d37c401de2255160/3_data_processing/hetrec2011-lastfm-2k/",
    "HetRec 2011: non-commercial use",
    "https://github.com/swapUniba/multimodal_ml1m_dbbook_lfm2k",
)
# GroupLens publishes no SHA-256 of the archive; this one is what several public repositories name.
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
        (1425, 384), the same tags by all-MiniLM-L6-v2, and audio float32 (1425, 128) by VGGish or
        (1425, 512) by Whisper. Whatever is computed from the words in ``text`` is a second encoding
        of what the features text encode: no further modality. ``interactions``: ``part`` as
        published, ``timestamp`` NaN, and ``plays`` (float64), how often the listener has played the
        artist. Do not learn from plays outside the training part. When a tag was given is not known
        either, nor by whom: some will be those of a tested listener on the very artist.

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
        source=f"{LISTENERS.page}; https://grouplens.org/datasets/hetrec-2011; "
        "https://www.last.fm; the features text encode the items' tags, as words do: two "
        "encodings of one thing",
    )
    table = functools.partial(read_plain, mark="\t", quotes=False)  # quotes are parts of names
    numbered, original = (table(folder / name) for name in ("lfm2k.inter", "lfm2k_og_ids.inter"))
    user, artist = (
        dict(zip(numbered[column], original[column], strict=True))
        for column in ("userID", "itemID")  # the two tables are row by row the same
    )
    artists = data.items["item"].map(artist)
    names = table(folder / "artists.dat").set_index("id")["name"]
    tags = table(folder / "lfm2k_text.tsv").set_index("artistID")["text"]
    plays = table(folder / "user_artists.dat").astype({"weight": float})
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
