"""Recommenders that have learnt before, kept in the cache by all that they learnt from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from mmtutorial.interactions import Interactions
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features
from mmtutorial.storage.digests import work_digest
from mmtutorial.storage.files import cache_folder, go_on_without


def fit_once(
    recommender: Recommender,
    train: Interactions,
    features: Features | None = None,
    validation: Interactions | None = None,
    announce: Callable[[Path], object] = lambda place: None,
) -> Recommender:
    """Take a recommender that has learnt the same from the cache, or let this one learn.

    It is the same if its class, its options and every number that it learns from are: the ids, the
    interactions and the features, by their content.

    Parameters
    ----------
    recommender : Recommender
        Not yet fitted.
    train, features, validation
        See `Recommender.fit`.
    announce : callable
        Is given the folder where it will be kept, before it learns.

    Warns
    -----
    UserWarning
        If the cache cannot be read or written: names it, and what to do. The recommender learns,
        and is not kept.

    Examples
    --------
    >>> from mmtutorial.recommenders import Popularity
    >>> train = Interactions.of([("ann", "tea", 1), ("bob", "cup", 2)])
    >>> first = fit_once(Popularity(), train)
    >>> fit_once(Popularity(), train, announce=print).recommend([0], k=1)  # it is loaded
    array([[0]])
    """
    digest = work_digest(recommender.depends(train, features, validation))
    place = cache_folder() / "recommenders" / digest
    usable = True
    try:
        if place.is_dir():
            with contextlib.suppress(ValueError):  # damaged: it learns again
                return Recommender.load(place)
    except OSError as error:
        usable = False
        go_on_without(error, place)
    announce(place)
    recommender.fit(train, features, validation)
    if usable:
        try:
            recommender.save(place)
        except OSError as error:
            go_on_without(error, place)
    return recommender
