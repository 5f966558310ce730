"""What is compared, arm by arm, and the options among which each arm's are searched for.

Every arm gets the same number of trials, on the validation part. An option's name stands here once;
"option.entry" is one entry of an option that is a mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmtutorial.evaluation.tuning import Range, Space

FUSIONS = ("concatenation", "late", "gated", "attention", "low-rank")
CONTROLLED = "gated"  # the fusion whose towers read permuted and random features too
BLEND = "blend"

TOWER: Space = {
    "learning_rate": Range(5e-4, 5e-3, log=True),
    "batch_size": [64, 256],
    "depth": [1, 2],
    "dropout": [0.1, 0.2, 0.5],
    "history_dropout": [0.1, 0.5],
    "cosine": [False, True],
    "by_launch": [False, True],
    "user_exponent": [0.0, 0.5, 1.0],  # a few users may have most interactions
}
FOR_PEOPLE = {  # found by hand on the validation parts of films and videos: every search tries it
    "learning_rate": 0.001, "batch_size": 64, "depth": 2, "dropout": 0.2, "history_dropout": 0.5,
    "cosine": True, "by_launch": False, "user_exponent": 0.0,
}  # fmt: skip
WITH_IDS: Space = {"id_rate": [0.1, 0.3, 1.0], "id_dropout": [0.0, 0.3]}
PAIRWISE: Space = {
    "dimensions": [32, 64, 128],
    "learning_rate": Range(5e-4, 3e-2, log=True),
    "l2": Range(1e-4, 0.1, log=True),
    "spread": [0.01, 0.03, 0.1],
}
K: Space = {"k": [5, 10, 20, 50, 100, 200, 400]}
PER_USER: Space = {"user_exponent": [0.0, 0.5, 1.0]}
NEIGHBOURS: Space = {
    **K, **PER_USER, "shrink": [0, 10, 50, 300],
    "exponents": [(0.5, 0.5), (0.7, 0.3), (0.5, 0.25)],
}  # fmt: skip
RIDGE: Space = {**PER_USER, "l2": Range(1.0, 3000.0, log=True)}
GRAPH: Space = {**PAIRWISE, "layers": [1, 2, 3]}
FROZEN: Space = {
    **GRAPH, "k": [5, 10, 20], "pruned": [0.0, 0.5, 0.8],
    "content_loss": Range(1e-4, 0.1, log=True),
}  # fmt: skip
MEMBERS = (  # of a blend; its weights are chosen on validation too
    (f"{CONTROLLED} + ids", "EASE"),
    (f"{CONTROLLED} + ids", "EASE + content"),
    ("ids", "EASE"),
    (f"{CONTROLLED} + ids", "EASE + content", "LightGCN"),
    (f"{CONTROLLED} + ids", "EASE + content", "item-kNN"),
    (f"{CONTROLLED} + ids", "EASE + content", "FREEDOM"),
)


@dataclass(frozen=True)
class Arm:
    """One contender.

    Parameters
    ----------
    experiment, name, kind, modalities, damage
        As in `mmtutorial.reproduce.tasks.Task`; ``name`` is what it calls recommender.
    fixed : mapping
        Options that make the arm what it is.
    space : mapping
        Options that are searched; see `mmtutorial.evaluation.tune`. Empty: nothing to choose.
    unsearched : mapping
        Options in place of those, where nobody has searched.
    """

    experiment: str
    name: str
    kind: str
    modalities: tuple[str, ...] | None = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    space: Space = field(default_factory=dict)
    damage: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unsearched: Mapping[str, Any] = field(default_factory=dict)

    @property
    def learns(self) -> bool:
        """Whether it learns in steps, until its validation part stops it."""
        return "learning_rate" in self.space


def towers(names: tuple[str, ...]) -> list[Arm]:
    """Return every modality alone, each left out, every fusion with and without ids, and ids alone.

    >>> [arm.name for arm in towers(("text", "image"))][:3]
    ['text', 'image', 'concatenation']
    """
    arms = [Arm("fusions", name, "TwoTower", (name,), {}, TOWER) for name in names]
    if len(names) > 2:
        for left_out in reversed(names):
            some = tuple(name for name in names if name != left_out)
            arms.append(Arm("fusions", " + ".join(some), "TwoTower", some, {}, TOWER))
    fusions = FUSIONS if len(names) > 1 else ()
    for fusion in fusions:
        arms.append(Arm("fusions", fusion, "TwoTower", names, {"fusion": fusion}, TOWER))
    with_ids = {**TOWER, **WITH_IDS}
    arms.append(Arm("fusions", "ids", "TwoTower", (), {"ids": True}, TOWER))
    for fusion in fusions:
        if fusion == "late":  # keeps the modalities apart, where ids would join them
            continue
        fixed = {"fusion": fusion, "ids": True}
        arms.append(Arm("fusions", f"{fusion} + ids", "TwoTower", names, fixed, with_ids))
    if fusions:
        arms.append(Arm("fusions", BLEND, "Blend", None))
    return arms


def baselines(names: tuple[str, ...], truth: bool) -> list[Arm]:
    """Return what a two-tower must beat; with ``truth``, the best that can be known of a user.

    >>> [arm.name for arm in baselines(("text",), truth=False)][:3]
    ['popularity', 'item-kNN', 'content-kNN']
    """
    pairwise = {"BPR": PAIRWISE, "LightGCN": GRAPH, "VBPR": PAIRWISE, "FREEDOM": FROZEN}
    with_content = {**RIDGE} | {
        f"content_weight.{name}": Range(0.1, 300.0, log=True) for name in names
    }
    limits = [
        Arm("baselines", "oracle", "Oracle"),
        Arm("baselines", "ideal observer", "IdealObserver"),
    ]
    arms = [
        Arm("baselines", "popularity", "Popularity"),
        Arm("baselines", "item-kNN", "ItemKNN", (), {}, NEIGHBOURS),
        Arm("baselines", "content-kNN", "ContentKNN", None, {}, K),
        Arm("baselines", "EASE", "EASE", (), {}, RIDGE),
        Arm("baselines", "EASE + content", "EASE", None, {}, with_content,
            unsearched={"content_weight": 1.0}),
        *(limits if truth else []),
        Arm("baselines", "random", "Random"),
    ]  # fmt: skip
    for name, space in pairwise.items():
        reads = None if name in ("VBPR", "FREEDOM") else ()
        arms.append(Arm("baselines", name, name, reads, {}, space))
    return arms


def controls(names: tuple[str, ...]) -> list[Arm]:
    """Return towers that read features permuted over the items, or random ones, with their budget.

    If permuted features do as well, content only tells the items apart, as ids do.

    >>> [arm.name for arm in controls(("text", "image"))][:2]
    ['gated, permuted features', 'gated, random features']
    """
    arms = []
    for ids in (False, True):
        fixed = {"fusion": CONTROLLED, **({"ids": True} if ids else {})}
        space = {**TOWER, **WITH_IDS} if ids else TOWER
        name = f"{CONTROLLED} + ids" if ids else CONTROLLED
        arms += [
            Arm("controls", f"{name}, {how} features", "TwoTower", names, fixed, space,
                {how: dict.fromkeys(names, 1.0)})
            for how in ("permuted", "random")
        ]  # fmt: skip
    return arms if len(names) > 1 else []


def all_arms(names: tuple[str, ...], truth: bool) -> list[Arm]:
    """Return everything that is compared on a data set with these modalities.

    >>> {arm.experiment for arm in all_arms(("text",), truth=False)} == {"fusions", "baselines"}
    True
    """
    return [*towers(names), *baselines(names, truth), *controls(names)]
