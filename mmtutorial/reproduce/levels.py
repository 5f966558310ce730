"""The levels on which the article's claims are measured: whose encoders read the media.

A level is an experiment whose towers differ in what they read and in nothing else. "concatenation"
reads all modalities, and a single modality bears its own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALL = "concatenation"  # the recommender of a level that reads everything, as the article fuses


@dataclass(frozen=True)
class Level:
    """One of them.

    Parameters
    ----------
    title : str
        What pages call it.
    reads : str
        What turns media into numbers there.
    datasets : tuple of str
        On which it is to be measured: those whose media allow it.
    """

    title: str
    reads: str
    datasets: tuple[str, ...]


LISTING, ARTICLE, TODAY, SIMPLE = (
    "listing", "encoders of the article", "encoders of today", "fusions",
)  # fmt: skip
LEVELS = {
    LISTING: Level(
        "the listing itself",
        "the article's own network: an LSTM reads words, one convolution pictures, an LSTM sound; "
        "`films` has no recordings, so that it reads their words and pictures alone",
        ("shop", "garments", "films"),
    ),
    ARTICLE: Level(
        "the article's encoders in two towers",
        "a language model (LSTM) reads words, a CNN pictures, an RNN (LSTM) sound, each trained "
        "on its own medium, without labels, and then left as it is; where there are no raw media, "
        "as of the sounds of `films`, vectors that came with the data, and no network of ours",
        ("shop", "garments", "films"),
    ),
    TODAY: Level(
        "today's encoders in two towers",
        "networks that others have trained: MiniLM reads texts, VGG-16 pictures; sound as simple "
        "features or as it came with the data: no trained network for it comes as a package",
        ("shop", "garments", "films"),
    ),
    SIMPLE: Level(
        "simple features in two towers",
        "word counts, principal components of pixels, averages of sound, or features that came "
        "with the data: no language model, no CNN and no RNN learns here; `text` and `words` of "
        "`lastfm` are two encodings of the same tags, so that they are one source",
        ("shop", "garments", "films", "lastfm", "videos"),
    ),
}
TOWERS = (ARTICLE, TODAY, SIMPLE)  # levels that are compared with the baselines
SIMULATED = ("shop", "garments")  # data sets whose shoppers are: their tastes were written by us
MISPAIRED, REPAIRED = "mispaired", "repaired"  # damage; the first is an experiment too
DAMAGED = {
    f"{LISTING} on damaged data": LISTING, "quality of data": SIMPLE, MISPAIRED: SIMPLE,
}  # fmt: skip
EACH_SEED = "of each seed"  # a condition: damage is drawn anew for every seed


def command(experiment: str, datasets: Sequence[str]) -> str:
    """Return the command that measures an experiment, or a chapter, on some data sets.

    >>> command("costs", ["shop"]).removeprefix("mmtutorial reproduce --profile full ")
    "--seeds 5 --only 'costs*' --dataset shop --into results/full"
    """
    only = f"--only '{experiment}*' "
    if experiment in TOWERS:  # each is compared with the baselines
        only += "--only baselines "
    of = " ".join(f"--dataset {name}" for name in datasets)
    return f"mmtutorial reproduce --profile full --seeds 5 {only}{of} --into results/full"
