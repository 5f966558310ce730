"""Films: real raters of MovieLens, with posters, plots and the sound of trailers.

Ratings, titles and genres are MovieLens's (Harper and Konstan 2015). What a film shows, tells and
sounds like was gathered by others, and is joined by MovieLens's number of the film:

ml1m-images/images/{movieId}.jpg
                    posters; a film without one is left out of the catalogue
movielens-100k-1m-extension/data/ml-1m/metadata.pkl
                    pickled: a list of ((movieId, title, IMDb id), record of OMDb); its Plot is read
mmtf-14k-ivectors/….csv
                    an i-vector of a hundred numbers for the trailers of some (Deldjoo et al. 2018)

What people thought of a film elsewhere (votes, scores, awards) is in the records of OMDb too, and
never read.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from mmtutorial.datasets.collections import NO_ARCHIVE, Collection
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import DatasetError
from mmtutorial.datasets.tables import read_plain
from mmtutorial.storage.archives import check_archive
from mmtutorial.storage.files import expanded
from mmtutorial.storage.pickles import read_basic

RAW = "https://raw.githubusercontent.com/"
SMALL = Collection(
    "movielens-latest-small",
    "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip",
    "GroupLens: research, non-commercial; may be passed on under the same terms",
    "https://grouplens.org/datasets/movielens/latest/",
)
MILLION = Collection(
    "ml-1m",
    "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
    "GroupLens: research, non-commercial; not to be passed on",
    "https://grouplens.org/datasets/movielens/1m/",
    # GroupLens publishes an MD5; this SHA-256 is what many public repositories name.
    digests={"ml-1m.zip": "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"},
)
POSTERS = Collection(
    "ml1m-images",
    "https://github.com/antonsteenvoorden/ml1m-images/archive/"
    "1d450572b990db652f22727cf822054c9ff29bf9.zip",
    "no licence is stated; posters belong to their owners: for study, never to be passed on",
    "https://github.com/antonsteenvoorden/ml1m-images",
)
PLOTS = Collection(
    "movielens-100k-1m-extension",
    f"{RAW}vectorsss/movielens_100k_1m_extension/06f84de0b69e0e99e4fb6eb71b6d866df35e6bd8/",
    "no licence is stated; texts of OMDb: CC BY-NC 4.0",
    "https://github.com/vectorsss/movielens_100k_1m_extension",
)
SOUNDS = Collection(
    "mmtf-14k-ivectors",
    f"{RAW}RecSys-lab/reproducibility_data/537a2a1fd3a50e9afc9a71dde2bc289e78aba04b/"
    "fused_textual_audio/i-vector/",
    "Apache-2.0, from MMTF-14K, whose own terms are not known to us",
    "https://github.com/RecSys-lab/reproducibility_data",
)
UNFOLDED = 100_000_000  # bytes that ml-1m.zip may unfold to; it has 25 million


def films(
    seed: int = 0, *, ratings: str | Path = "latest-small", likes: float | None = 3.5
) -> Dataset:
    """Read the raters of MovieLens, and the films that have a poster.

    The files are taken from ``MMTUTORIAL_DATA``, or downloaded once (110 MB; MovieLens 1M, 6 MB
    more).

    Parameters
    ----------
    seed : int
        As every data set takes one; nothing is drawn here.
    ratings : "latest-small", "ml-1m", or str or Path
        Whose: 610 people from 1996 to 2018, half stars, an edition "for development", as GroupLens
        says; or 6,040 people of 2000 to 2003, whole stars, in a file to be downloaded, or in your
        copy of ``ml-1m.zip``, given by its path.
    likes : float or None
        Only ratings of so many stars or more are interactions; None keeps all ratings.

    Returns
    -------
    Dataset
        ``items``: MovieLens's number, its title with the year, and as ``text`` title, year, genres
        and plot, as one line; ``image``, the poster; ``year`` and ``genres``. ``features``: audio
        float32 (n_items, 100), zeros for the films (three in five) without a trailer's i-vector.
        ``interactions``: ``rating`` in stars and ``timestamp``. ``split`` is "per user". A film
        that nobody likes stays in the catalogue, and one without a poster is not in it.

    Raises
    ------
    DatasetError
        If the files cannot be had, or are not in the published layout: says what to do.
    ValueError
        If likes is no number of stars.

    Examples
    --------
    >>> data = films()                                          # doctest: +SKIP
    >>> data.n_users, data.n_items, len(data.interactions)      # doctest: +SKIP
    (607, 2859, 34857)
    """
    if likes is not None and not 0.5 <= likes <= 5:
        raise ValueError(f"likes is {likes}; it is a number of stars, 0.5 to 5, or None for all")
    if ratings == "latest-small":
        edition, folder = SMALL, SMALL.obtain()
        table, log = (read_plain(folder / f"{name}.csv") for name in ("movies", "ratings"))
        imdb = read_plain(folder / "links.csv").set_index("movieId")["imdbId"]
    else:
        edition, imdb = MILLION, None
        table, log = read_million(
            MILLION.obtain() / "ml-1m.zip" if ratings == "ml-1m" else expanded(ratings)
        )
    posters = POSTERS.obtain()
    table = table.assign(image="images/" + table["movieId"] + ".jpg")
    table = table[table["image"].isin(POSTERS.manifest.keys())].reset_index(drop=True)
    genres = table["genres"].replace("(no genres listed)", "").str.replace("|", ", ")
    parts = table["title"], genres, table["movieId"].map(_plots(imdb)).fillna("")
    log = log.astype({"rating": float, "timestamp": np.int64})
    log = log[log["movieId"].isin(table["movieId"]) & (log["rating"] >= (likes or 0))]
    return Dataset(
        name="films" if edition is SMALL else "films-ml-1m",
        items=pd.DataFrame(
            {
                "item": table["movieId"],
                "title": table["title"],
                "text": [". ".join(filter(None, each)) for each in zip(*parts, strict=True)],
                "image": table["image"],
                "year": table["title"].str.extract(r"\((\d{4})\)$")[0].astype(float),
                "genres": genres,
            }
        ),
        interactions=log.rename(columns={"userId": "user", "movieId": "item"}),
        folder=posters,
        licence=f"ratings: {edition.licence}; posters: {POSTERS.licence}; plots: {PLOTS.licence}; "
        f"sound: {SOUNDS.licence}; cite Harper and Konstan 2015, Deldjoo et al. 2018",
        source="; ".join(each.page for each in (edition, POSTERS, PLOTS, SOUNDS)),
        features={"audio": _sounds(table["movieId"])},
        split="per user",
    )


def read_million(archive: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read GroupLens's ``ml-1m.zip``: columns separated by "::", in Latin-1.

    Parameters
    ----------
    archive : Path
        Of which ``movies.dat`` and ``ratings.dat`` are read, in whatever folder they lie.

    Returns
    -------
    films, ratings : DataFrame
        Columns as in the tables of MovieLens's later editions (movieId, title, genres; userId,
        movieId, rating, timestamp), all str.

    Raises
    ------
    DatasetError
        If it is no such archive: names the first row that is not in the layout.
    """
    layouts = {
        "movies.dat": r"(?P<movieId>\d{1,9})::(?P<title>.+)::(?P<genres>[^:]*)",
        "ratings.dat": r"(?P<userId>\d{1,9})::(?P<movieId>\d{1,9})::(?P<rating>[1-5])::"
        r"(?P<timestamp>\d{1,11})",
    }
    remedy = f"fetch it again from {MILLION.page}"
    try:
        with zipfile.ZipFile(archive) as opened:
            check_archive(opened, UNFOLDED)
            names = {name.rpartition("/")[2]: name for name in opened.namelist()}
            texts = {name: opened.read(names[name]).decode("latin-1") for name in layouts}
    except (OSError, ValueError, KeyError, *NO_ARCHIVE) as error:
        raise DatasetError(f"{archive} cannot be read ({error}): {remedy}") from error
    tables = []
    for name, layout in layouts.items():
        rows = pd.Series(texts[name].rstrip("\r\n").split("\n"), dtype="str").str.rstrip("\r")
        table = rows.str.extract(f"^{layout}$")
        wrong = np.flatnonzero(table.isna().any(axis=1))
        if len(wrong):
            raise DatasetError(
                f"row {wrong[0] + 1} of {name} in {archive} is {rows[wrong[0]][:60]!r}, not "
                f"{'::'.join(table.columns)}: {remedy}"
            )
        tables.append(table)
    return tables[0], tables[1]


def _plots(imdb: pd.Series | None) -> dict[str, str]:
    """Return the plot of each film that has one, by MovieLens's number.

    Numbers are those of MovieLens 1M. Where ``imdb`` gives the IMDb ids of another edition, a plot
    counts only if both mean the same film: of three with a poster they do not.
    """
    path = PLOTS.obtain() / next(iter(PLOTS.manifest))
    plots = {}
    for (number, _, title_id), record in read_basic(path):
        plot, film = record.get("Plot", "N/A"), str(number)
        if plot != "N/A" and (imdb is None or imdb.get(film) == title_id):
            plots[film] = plot.strip()
    return plots


def _sounds(numbers: pd.Series) -> np.ndarray:
    """Return the i-vector of each film's trailer; zeros where there is none: float32 (n, 100)."""
    table = read_plain(SOUNDS.obtain() / next(iter(SOUNDS.manifest))).set_index("itemId")[
        "embedding"
    ]
    vectors = table.str.split(",", expand=True).astype(np.float32)
    return vectors.reindex(numbers, fill_value=0).to_numpy()
