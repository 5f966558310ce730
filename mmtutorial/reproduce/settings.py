"""Options of experiments, each typed once: how long they learn, and what was chosen for whom.

The options that a search has chosen lie in ``results/settings/DATASET.json`` with all its trials;
profile full takes them. Where there is no such file, and in profile quick, the library's defaults
count, with the few differences below.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmtutorial.datasets import Dataset
from mmtutorial.storage.files import expanded

LENGTH = {
    "quick": {"steps": 600, "patience": 600},
    "full": {"steps": 4000, "patience": 400},  # popularity alone may be known for long
}
HASTY = {"learning_rate": 0.006, "history_dropout": 0.1}  # towers that learn for few steps
READY_MADE = {  # chosen on lastfm's validation part, for ready-made features of real users
    "depth": 1, "dimensions": 128, "dropout": 0.3, "history_dropout": 0.5, "kept": (0.5, 0.9),
}  # fmt: skip
FUSION = {  # products move fast; chosen on shop's validation part
    "low-rank": {"learning_rate": 0.002}
}
MADE = {  # what a data set's maker is given in profile quick
    "garments": {"n_items": 1200, "n_users": 1200}
}
WITH_TASTES = ("shop",)  # data sets whose makers draw small ones with other tastes


def has_ready_made(data: Dataset) -> bool:
    """Say whether people's data come with ready-made features: towers need other options then."""
    return bool(data.features) and data.truth is None


def tower_options(ready_made: bool, profile: str, fusion: str = "concatenation") -> dict[str, Any]:
    """Return the options of a two-tower that nobody has searched for.

    Parameters
    ----------
    ready_made : bool
        See `has_ready_made`.
    profile : {"quick", "full"}
        Whether learning is cut short.
    fusion : str
        A name of `mmtutorial.fusion.FUSIONS`.

    Examples
    --------
    >>> tower_options(False, "quick")["steps"]
    600
    """
    chosen = READY_MADE if ready_made else {}
    hasty = HASTY if profile == "quick" else {}
    return {**chosen, **LENGTH[profile], **hasty, **FUSION.get(fusion, {})}


def settings_file(root: str | Path, dataset: str) -> Path:
    """Say where the options that were chosen for a data set lie in a clone.

    >>> settings_file("clone", "shop").as_posix()
    'clone/results/settings/shop.json'
    """
    return expanded(root) / "results" / "settings" / f"{Path(dataset).name}.json"


def read_settings(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return the chosen options by arm; empty where nobody has searched.

    Raises
    ------
    ValueError
        If the file is no record of a search.

    Examples
    --------
    >>> read_settings(Path("no such file"))
    {}
    """
    if not path.exists():
        return {}
    try:
        arms = json.loads(path.read_text("utf-8"))["arms"]
        return {name: arm["options"] for name, arm in arms.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise ValueError(
            f"{path} holds no chosen options ({fault}): search anew by "
            "`mmtutorial reproduce --profile full --tune`, or remove it"
        ) from fault
