"""MicroLens: who commented on which short video, with its title, its cover and its sound.

Published at recsys.westlake.edu.cn (Ni et al. 2023; github.com/westlake-repl/MicroLens), in two
sizes that anybody can download, of 50,000 and of 100,000 users:

MicroLens-50k_pairs.csv             user,item,timestamp; a header; milliseconds
MicroLens-50k_titles.csv            item,title; a header
MicroLens-100k_title_en.csv         the same of the larger one, without a header
MicroLens-50k_covers.zip            MicroLens-50k_covers/{item}.jpg
"""

from __future__ import annotations

import csv
import filecmp
import io
import os
import zipfile
import zlib
from pathlib import Path

import pandas as pd

from mmtutorial.datasets.collections import DATA, LARGEST, Collection
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import DatasetError, Fault
from mmtutorial.datasets.media import is_file, readable
from mmtutorial.datasets.published.mmrec import whole_numbers
from mmtutorial.datasets.tables import read_table
from mmtutorial.storage.files import cache_folder, write_whole
from mmtutorial.terminal import say, steps

SITE = "https://recsys.westlake.edu.cn/"
PAGE = "https://github.com/westlake-repl/MicroLens"
TERMS = (
    "no licence is stated; its makers forbid to modify the data and offer them for download anew"
)
# Nobody at MicroLens publishes digests. These are what readers wrote down of the files of the 50k
# edition in 2026, in public repositories: of the tables several, independently of each other; of
# the covers, as far as we know, one.
DIGESTS = {
    "MicroLens-50k_pairs.csv": "7ff8b91bcc84f5434ac2c5be7d0b7d7730f5e84f79f9648b5ae67a7641f97bbd",
    "MicroLens-50k_titles.csv": "244aad5380cbbe0fb43458cfcda5ebe820f534384602f80a64dbbcd07dd30e49",
    "MicroLens-50k_covers.zip": "135255149cc74d47f1fb04985b2d16b862ee3d00c963ff47cb756b2136ca5892",
}
TITLES = {"50k": "MicroLens-50k_titles.csv", "100k": "MicroLens-100k_title_en.csv"}
SOUNDS = (".mp3", ".wav", ".ogg", ".flac")


def microlens_collection(edition: str, what: str = "tables") -> Collection:
    """Return the files of an edition: its "tables", or its "covers".

    >>> list(microlens_collection("100k").manifest)
    ['MicroLens-100k_pairs.csv', 'MicroLens-100k_title_en.csv']
    """
    names = [f"MicroLens-{edition}_pairs.csv", TITLES[edition]]
    if what == "covers":
        names = [f"MicroLens-{edition}_covers.zip"]
    return Collection(
        f"microlens-{edition}" + ("-covers" if what == "covers" else ""),
        f"{SITE}MicroLens-{edition}-Dataset/",
        TERMS,
        PAGE,
        digests={name: DIGESTS.get(name, "") for name in names},
    )


def microlens(
    seed: int = 0, *, edition: str = "50k", covers: bool = False, audio: bool = False
) -> Dataset:
    """Read the viewers of MicroLens.

    The tables are taken from ``MMTUTORIAL_DATA``, or downloaded (50k: 12 MB, once); so are the
    covers, which are much larger. The sounds come from ``MMTUTORIAL_DATA`` alone: the publisher
    offers them file by file, beside the tables. Put those you want into a folder
    ``microlens-50k-audio`` there, each named by the number of its video, such as ``17.mp3``.

    Parameters
    ----------
    seed : int
        As every data set takes one; nothing is drawn here.
    edition : {"50k", "100k"}
        How many users.
    covers, audio : bool
        Whether to bring the videos' covers and sounds too.

    Returns
    -------
    Dataset
        ``items``: the number of each video that anybody commented on or that has a title, its
        title, which is its ``text`` too, and, where asked for and there, ``image`` and ``audio``.
        ``interactions``: a comment is an interaction; ``timestamp`` in seconds. Likes and views are
        left out: they were counted after everything that is to be predicted.

    Raises
    ------
    DatasetError
        If the files cannot be had or are not in the published layout: says what to do.
    ValueError
        If the edition is another one.

    Examples
    --------
    >>> data = microlens(covers=True)    # doctest: +SKIP
    >>> data.n_users, data.n_items       # doctest: +SKIP
    (50000, 19220)
    """
    if edition not in TITLES:
        raise ValueError(f"edition is {edition!r}; there are {' and '.join(TITLES)}")
    tables = microlens_collection(edition)
    folder = tables.obtain()
    pairs, titles = tables.manifest
    faults: list[Fault] = []
    interactions = _pairs(folder, pairs, faults)
    titled = _titles(folder, titles, edition == "50k", faults)
    if any(not fault.note for fault in faults) or interactions is None:
        raise DatasetError.of(folder, faults)
    videos = sorted({*interactions["item"], *titled}, key=int)
    place = cache_folder() / f"microlens-{edition}"
    items = pd.DataFrame(
        {
            "item": videos,
            "title": [titled.get(video) or video for video in videos],
            "text": [titled.get(video, "") for video in videos],
            "image": _covers(edition, videos, place) if covers else "",
            "audio": _sounds(edition, videos, place) if audio else "",
        }
    )
    return Dataset(
        name=f"microlens-{edition}",
        items=items,
        interactions=interactions,
        folder=place,
        licence=f"{TERMS}; cite Ni et al. 2023",
        source=f"{PAGE}; {tables.address}",
        seed=seed,
    )


def _pairs(folder: Path, name: str, faults: list[Fault]) -> pd.DataFrame | None:
    """Read who commented on what, and when."""
    columns = ["user", "item", "timestamp"]
    table = read_table(folder, name, columns, faults)
    if table is None:
        return None
    *_, times = (whole_numbers(table[column], name, faults) for column in columns)
    return table[columns].assign(timestamp=times // 1000)


def _titles(folder: Path, name: str, headed: bool, faults: list[Fault]) -> dict[str, str]:
    """Read the titles, of which some hold commas without quotes, by the number of the video."""
    try:
        text = (folder / name).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        faults.append(Fault(name, None, f"not UTF-8: {error.reason}", "fetch the file again"))
        return {}
    titles: dict[str, str] = {}
    for row, cells in enumerate(csv.reader(io.StringIO(text, newline="")), start=1):
        if not cells or (headed and row == 1):
            if cells and cells != ["item", "title"]:
                message = f"the header is {cells}, and not item,title"
                faults.append(Fault(name, 1, message, "fetch the file again"))
            continue
        video = cells[0].strip()
        if not video.isascii() or not video.isdigit() or len(cells) < 2:
            message = f"{','.join(cells)[:60]!r} is not a number, a comma and a title"
            faults.append(Fault(name, row, message, "correct it, or remove the row"))
        elif video in titles:
            message = f"video {video} has a title already"
            faults.append(Fault(name, row, message, "remove one of the two rows"))
        else:
            titles[video] = ",".join(cells[1:]).strip()
    return titles


def _covers(edition: str, videos: list[str], place: Path) -> list[str]:
    """Take the covers out of their archive, and return the path of each video's, or ""."""
    archive = microlens_collection(edition, "covers")
    path = archive.obtain() / next(iter(archive.manifest))
    with zipfile.ZipFile(path) as opened:
        entries = {entry.filename: entry for entry in opened.infolist()}
        for video in steps(videos, "Unpacking covers"):
            entry = entries.get(f"{path.stem}/{video}.jpg", entries.get(f"{video}.jpg"))
            target = place / "images" / f"{video}.jpg"
            if entry is None or not 0 < entry.file_size <= LARGEST:
                continue
            if not (target.is_file() and zlib.crc32(target.read_bytes()) == entry.CRC):
                write_whole(target, opened.read(entry))
    return _there(videos, place, "images", {video: f"{video}.jpg" for video in videos})


def _sounds(edition: str, videos: list[str], place: Path) -> list[str]:
    """Copy the sounds that a reader has fetched, and return the path of each video's, or ""."""
    own = os.environ.get(DATA)
    folder = Path(own).expanduser() / f"microlens-{edition}-audio" if own else None
    if folder is None or not folder.is_dir():
        raise DatasetError(
            f"the sounds of MicroLens are published file by file, below {SITE}MicroLens-{edition}-"
            f"Dataset/. Its terms: {TERMS}. Fetch those you want by hand, put them into a folder "
            f"named microlens-{edition}-audio, each named by the number of its video, such as "
            f"17.mp3, and let {DATA} name the folder above; or ask for audio=False"
        )
    known = set(videos)
    names = {
        path.stem: path.name
        for path in sorted(folder.iterdir())
        if path.stem in known and path.suffix.lower() in SOUNDS and is_file(path)
    }
    used = set(names.values())
    unused = [path.name for path in sorted(folder.iterdir()) if path.name not in used]
    if unused := [name for name in unused if not name.startswith(".")]:
        say(
            f"{len(unused)} entries of {folder} are no sounds of these videos, or second ones, and "
            f"not used, such as {', '.join(map(repr, map(readable, unused[:3])))}"
        )
    (place / "audio").mkdir(parents=True, exist_ok=True)
    for name in steps(names.values(), "Copying sounds", len(names)):
        target = place / "audio" / name
        if not (target.is_file() and filecmp.cmp(folder / name, target, shallow=False)):
            write_whole(target, (folder / name).read_bytes())
    return _there(videos, place, "audio", names)


def _there(videos: list[str], place: Path, kind: str, names: dict[str, str]) -> list[str]:
    """Return the paths of files that are there, and say how many are not."""
    paths = [
        f"{kind}/{names[video]}"
        if video in names and (place / kind / names[video]).is_file()
        else ""
        for video in videos
    ]
    if lacking := paths.count(""):
        say(f"{lacking} of {len(videos)} videos have nothing in {place / kind}: they go without")
    return paths
