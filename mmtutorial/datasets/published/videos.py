"""Videos: who watched which short video of TikTok, with features of picture and sound.

As DiffMM publishes it (Jiang et al. 2024; the data are Wei et al.'s, 2019):

trnMat.pkl  valMat.pkl  tstMat.pkl
                    pickled SciPy matrices of coordinates, users by videos: the published split
image_feat.npy  audio_feat.npy  text_feat.npy
                    ready-made features, one row a video, in the order of the matrices' columns

There are no videos, no titles and no times.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from mmtutorial.datasets.collections import Collection
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.datasets.faults import DatasetError, Fault
from mmtutorial.datasets.published.mmrec import read_features
from mmtutorial.datasets.schema import SPLIT
from mmtutorial.storage.pickles import read_matrix

VIEWS = Collection(
    "diffmm-tiktok",
    "https://raw.githubusercontent.com/HKUDS/DiffMM/fae20e642aeeaad4284be6f7fb3432ebb551da8e/"
    "Datasets/tiktok/",
    "no licence is stated; published with DiffMM for research",
    "https://github.com/HKUDS/DiffMM",
)
MATRICES = dict(zip(SPLIT, ("trnMat.pkl", "valMat.pkl", "tstMat.pkl"), strict=True))
TEXT = "text_feat.npy"


def videos(seed: int = 0, *, text: bool = False) -> Dataset:
    """Read the viewers of short videos.

    The files are taken from ``MMTUTORIAL_DATA``, or downloaded (4.5 MB, once).

    Parameters
    ----------
    seed : int
        As every data set takes one; nothing is drawn here.
    text : bool
        Whether to read the features of the videos' captions too. Their file is larger than all
        others together, and nobody has published its digest: the first one seen is held to.

    Returns
    -------
    Dataset
        ``items``: the videos' column numbers. ``features``: image and audio, float32 (6710, 128)
        each. ``interactions``: ``part`` as published, ``timestamp`` NaN.

    Raises
    ------
    DatasetError
        If the files cannot be had, or do not belong together: says what to do.
    ValueError
        If a matrix is none, or asks for a program.

    Examples
    --------
    >>> data = videos()                                     # doctest: +SKIP
    >>> data.interactions["part"].value_counts().to_dict()  # doctest: +SKIP
    {'train': 59541, 'test': 6130, 'validation': 3051}
    """
    files = VIEWS
    if text:
        known = {name: digest for name, (digest, _) in VIEWS.manifest.items()}
        files = replace(VIEWS, digests={**known, TEXT: ""})
    folder = files.obtain()
    matrices = {part: read_matrix(folder / name) for part, name in MATRICES.items()}
    shapes = {matrix.shape for matrix in matrices.values()}
    if len(shapes) > 1:
        raise DatasetError(
            f"the matrices of {folder} have the shapes {sorted(shapes)}, and should have one: "
            f"fetch them again from {VIEWS.page}"
        )
    n_videos = shapes.pop()[1]
    faults: list[Fault] = []
    features = {
        modality: read_features(folder, f"{modality}_feat.npy", n_videos, faults)
        for modality in ("image", "audio", *(["text"] if text else []))
    }
    if faults:
        raise DatasetError.of(folder, faults)
    return Dataset(
        name="videos",
        items=pd.DataFrame({"item": np.arange(n_videos).astype(str)}),
        interactions=pd.concat(
            pd.DataFrame(
                {"user": matrix.row.astype(str), "item": matrix.col.astype(str), "part": part}
            )
            for part, matrix in matrices.items()
        ).assign(timestamp=np.nan),
        folder=folder,
        licence=f"{VIEWS.licence}; cite Jiang et al. 2024, Wei et al. 2019",
        source=VIEWS.page,
        features={name: array for name, array in features.items() if array is not None},
    )
