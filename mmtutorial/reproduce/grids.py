"""The grids of experiments: lists of tasks, in which neighbours share what has to be prepared.

What a grid asks of a data set are `Facts`; no grid knows a data set by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from mmtutorial.datasets import MODALITIES
from mmtutorial.preprocessing.labels import TASKS, labels_of
from mmtutorial.reproduce.levels import (
    ALL,
    ARTICLE,
    EACH_SEED,
    LISTING,
    MISPAIRED,
    REPAIRED,
    TODAY,
)
from mmtutorial.reproduce.measure import stage_of
from mmtutorial.reproduce.search_spaces import (
    BLEND,
    CONTROLLED,
    MEMBERS,
    Arm,
    all_arms,
    baselines,
    controls,
    towers,
)
from mmtutorial.reproduce.settings import LENGTH, MADE, WITH_TASTES, has_ready_made, tower_options
from mmtutorial.reproduce.tasks import (
    COLD,
    COMPRESSION,
    EXPLAINED,
    ONE_TASK,
    SEVERAL,
    UNCOMPRESSED,
    Task,
)

LARGE = 2_000_000  # users × items above which a tower takes minutes
QUICK = ("concatenation", "attention")  # of the fusions
TASTES = "tastes"
ALIKE = "all"  # no modality comes first
WEIGHTS = (0.0, 0.25, 0.5)  # of the other modalities in a taste, beside 1 of the first
PAIRS = (0.0, 1.0)  # of the liking for a kind and a voice that come together
WORLDS = 3  # shops and shoppers of different seeds
TEXT = "text encoders"
TEXT_COLD = "text encoders, cold"
FEW = {"n_items": 80, "n_users": 200, "seed": 0}  # a shop whose encoders learn in seconds
READ_BY = {"auto": "tf-idf", "minilm": "MiniLM"}  # how a text becomes a vector

SMALLER: dict[str, dict[str, Any]] = {  # options of `Compressed`
    "float32": {"codes": "float32"},
    "float16": {"codes": "float16"},
    "int8": {"codes": "int8"},
    "int8, with item tower": {"codes": "int8", "new_items": True},
    "int8, 32 dimensions": {"codes": "int8", "dimensions": 32},
    "int8, 16 dimensions": {"codes": "int8", "dimensions": 16},
    "product codes": {"codes": "product"},
    "signs": {"codes": "signs"},
    "pruned by 80 %, int8": {"codes": "int8", "pruned": 0.8, "new_items": True},
    "student, int8": {
        "codes": "int8",
        "student": {"dimensions": 16, "units": 32, "steps": 2000},
        "new_items": True,
    },
}

TASK_WEIGHT = 0.3  # of each further task's loss; of .1, .3, 1 the best on shop's validation, seed 0
AS_TASKS: dict[str, dict[str, Any]] = {  # options of `SeveralTasks`
    ONE_TASK: {"tasks": []},
    **{f"with {name}": {"tasks": [name], "weight": TASK_WEIGHT} for name in TASKS},
    "with all, fixed weights": {"weight": TASK_WEIGHT},
    "with all, by uncertainty": {"weighting": "uncertainty"},
    "with all, conflicts removed": {"weight": TASK_WEIGHT, "project": True},
}
MIXED = ", MiniLM, VGG-16 and RNN"  # what reads text, picture and sound
SHARES = (0.05, 0.2, 1.0)  # of the training interactions


@dataclass(frozen=True)
class Facts:
    """What grids ask of a data set.

    Parameters
    ----------
    dataset : str
        A name or a folder.
    modalities, raw : tuple of str
        What there is to read as ready-made vectors, and as raw media.
    truth, ready_made, large : bool
        Whether its people are simulated, its features are ready-made ones of real people, and a
        tower takes minutes.
    made : mapping
        Options of the data set's maker.
    worlds : bool
        Whether its maker draws small shops with other tastes.
    tasks : tuple of str
        What can be learnt beside recommending.
    """

    dataset: str
    modalities: tuple[str, ...]
    raw: tuple[str, ...] = ()
    truth: bool = False
    ready_made: bool = False
    large: bool = False
    made: Mapping[str, Any] = field(default_factory=dict)
    worlds: bool = False
    tasks: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: str, profile: str = "full") -> Facts:
        """Read them from the data set."""
        made = MADE.get(dataset, {}) if profile == "quick" else {}
        stage = stage_of(Task("", dataset, "", "", made=made))
        data = stage.data
        return cls(
            dataset, tuple(stage.features),
            tuple(name for name in MODALITIES if data.items[name].ne("").any()),
            data.truth is not None, has_ready_made(data), data.n_users * data.n_items > LARGE,
            made, dataset in WITH_TASTES, labels_of(data, np.ones(data.n_items, bool)).tasks,
        )  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What a grid is made for.

    Parameters
    ----------
    facts : Facts
        Of the data set.
    profile : {"quick", "full"}
        Few short experiments, or all of them.
    seeds : sequence of int
        Of the recommenders.
    chosen : mapping
        The options that a search has chosen, by arm; see `mmtutorial.reproduce.settings`.
    """

    facts: Facts
    profile: str
    seeds: Sequence[int]
    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether everything is measured."""
        return self.profile == "full"

    def options(self, arm: Arm) -> dict[str, Any]:
        """Return the options with which an arm is measured."""
        length = LENGTH[self.profile] if arm.learns else {}
        if self.full and arm.name in self.chosen:
            return {**length, **arm.fixed, **self.chosen[arm.name]}
        if arm.kind == "TwoTower":
            fusion = arm.fixed.get("fusion", "concatenation")
            tower = tower_options(self.facts.ready_made, self.profile, fusion)
            return {**tower, **arm.fixed}
        if arm.name == BLEND:
            return {"recommenders": self.members(MEMBERS[0])}
        return {**length, **arm.fixed, **arm.unsearched}

    def listed(
        self, seed: int, experiment: str, name: str, modalities: tuple[str, ...], **more: Any
    ) -> Task:
        """Return the task of the article's network: ten epochs, as listed, in profile full."""
        options = {"verbose": 0} if self.full else {"verbose": 0, "epochs": 1}
        task = Task(
            experiment, self.facts.dataset, name, "ArticleNetwork", seed, options, modalities,
            self.facts.made, raw=True,
        )  # fmt: skip
        return replace(task, **more)

    def members(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Say of what a blend of these arms consists."""
        arms = {arm.name: arm for arm in all_arms(self.facts.modalities, truth=False)}
        return [
            {"kind": arms[name].kind, "options": self.options(arms[name]),
             "modalities": arms[name].modalities}
            for name in names
        ]  # fmt: skip

    def task(self, arm: Arm, seed: int = 0, **more: Any) -> Task:
        """Return the task of an arm."""
        task = Task(
            arm.experiment, self.facts.dataset, arm.name, arm.kind, seed, self.options(arm),
            arm.modalities, self.facts.made, damage=arm.damage,
        )  # fmt: skip
        return replace(task, **more)


def fusions(plan: Plan) -> list[Task]:
    """Each modality, each left out, all of them under each fusion, and ids: the very same tower."""
    arms = towers(plan.facts.modalities)
    if not plan.full:
        arms = [arm for arm in arms if arm.name in (*plan.facts.modalities, *QUICK)]
    return [plan.task(arm, seed) for seed in plan.seeds for arm in arms]


def simple(plan: Plan) -> list[Task]:
    """The recommenders to beat; those without a seed run once."""
    arms = baselines(plan.facts.modalities, plan.facts.truth)
    if not plan.full:
        arms = [arm for arm in arms if not (arm.learns or arm.kind == "IdealObserver")]
    once = [arm for arm in arms if not arm.learns and arm.kind != "Random"]
    tasks = [plan.task(arm, plan.seeds[0]) for arm in once]
    return tasks + [plan.task(arm, s) for s in plan.seeds for arm in arms if arm not in once]


def cold(plan: Plan) -> list[Task]:
    """Whole items held back, each seed others: what is known of items that nobody has taken."""
    if not plan.full:
        return []
    names = plan.facts.modalities
    wanted = (*names, "concatenation", CONTROLLED)
    arms = [arm for arm in towers(names) if arm.name in wanted]
    arms += [
        arm for arm in baselines(names, False) if arm.name in ("content-kNN", "EASE + content")
    ]
    arms.append(Arm("baselines", "random", "Random"))
    return [
        plan.task(arm, seed, experiment=COLD, split=COLD) for seed in plan.seeds for arm in arms
    ]


def encoders(plan: Plan, split: str = "default") -> list[Task]:
    """Text by counted words, by MiniLM and by an LSTM, and no text; or the same for cold items.

    Each arm keeps its options, whatever reads the texts. Only where the texts are words: not where
    the data bring vectors of them.
    """
    names = plan.facts.modalities
    if not plan.full or "text" not in {*plan.facts.raw} & {*names} or "words" in names:
        return []
    arms = {arm.name: arm for arm in (*towers(names), *baselines(names, False))}
    cold_ones = split == COLD
    wanted = ["text", CONTROLLED, "EASE + content"]
    wanted += [] if cold_ones else [f"{CONTROLLED} + ids"]
    about = {"experiment": TEXT_COLD if cold_ones else TEXT, "split": split}
    tasks = [
        plan.task(arms[name], seed, recommender=f"{name}, {label}", encoders=how, **about)
        for seed in plan.seeds
        for how, label in READ_BY.items()
        for name in wanted
        if name in arms and (arms[name].learns or cold_ones or seed == plan.seeds[0])
    ]
    others = tuple(name for name in names if name != "text")
    for seed in plan.seeds:
        if others:
            without = replace(arms[CONTROLLED], modalities=others)
            tasks.append(plan.task(without, seed, recommender=f"{CONTROLLED}, no text", **about))
        if not cold_ones and not plan.facts.large:  # an epoch takes seconds
            tasks.append(plan.task(arms["text"], seed, recommender="text, LSTM", raw=True, **about))
    return tasks


def level(plan: Plan, name: str, encoders: str) -> list[Task]:
    """The towers of `fusions`, each with its options there, where other encoders read the media.

    Profile quick runs them once on a small shop.
    """
    names = tuple(each for each in plan.facts.modalities if each in MODALITIES)
    if len(plan.facts.raw) < 2 or not (plan.full or plan.facts.worlds):
        return []
    wanted = (*names[:2], ALL)
    arms = [arm for arm in towers(names) if arm.kind == "TwoTower"]
    small = {} if plan.full else {"made": FEW, "condition": {"items": FEW["n_items"]}}
    return [
        plan.task(arm, seed, experiment=name, encoders=encoders, **small)
        for seed in (plan.seeds if plan.full else plan.seeds[:1])
        for arm in arms
        if plan.full or arm.name in wanted
    ]


def control(plan: Plan) -> list[Task]:
    """Features permuted over the items, and random ones, in the same towers."""
    arms = controls(plan.facts.modalities) if plan.full else []
    return [plan.task(arm, seed) for arm in arms for seed in plan.seeds]


def quality(plan: Plan) -> list[Task]:
    """Noise in, and absence of, one modality at a time, beside whole data: the fused tower."""
    names = plan.facts.modalities
    levels: dict[str, tuple[float, ...]] = {
        "noise": (0.5, 1.0, 2.0, 4.0),
        "absent": (0.25, 0.5, 0.75, 1.0),
    }
    if not plan.full:
        levels = {"noise": (2.0,), "absent": (0.5,)}
    elif plan.facts.large:
        levels = {how: some[1::2] for how, some in levels.items()}
    arm = Arm("quality of data", "concatenation", "TwoTower", names)
    seeds = plan.seeds[:3] if plan.full else plan.seeds[:1]
    return [plan.task(arm, seed) for seed in seeds] + [
        plan.task(
            arm, seed, damage={how: {name: level}},
            condition={"damage": how, "damaged": name, "level": level, "draw": EACH_SEED},
        )
        for how, some in levels.items()
        for name in names
        for level in some
        for seed in seeds
    ]  # fmt: skip


def mispairing(plan: Plan) -> list[Task]:
    """One modality at a time given to other items, left so or repaired, under three fusions.

    The article's fusion at every level; the others, and the repair, where half is mispaired. Of
    large data only that half and the article's fusion. Profile quick has none: a repair needs many
    items.
    """
    names = plan.facts.modalities
    if not plan.full or len(names) < 2:
        return []
    fusions = (ALL,) if plan.facts.large else (ALL, "gated", "attention")
    arms = [
        replace(arm, experiment=MISPAIRED) for arm in towers(names) if arm.name in fusions
    ]  # fmt: skip
    cells = [(arm, MISPAIRED, 0.5) for arm in arms] + [(arms[0], REPAIRED, 0.5)]
    if not plan.facts.large:
        cells += [(arms[0], MISPAIRED, level) for level in (0.1, 0.25)]
    seeds = plan.seeds[:3]
    return [plan.task(arm, seed) for arm in arms for seed in seeds] + [
        plan.task(
            arm, seed, damage={how: {name: level}},
            condition={"damage": how, "damaged": name, "level": level, "draw": EACH_SEED},
        )
        for arm, how, level in cells
        for name in names
        for seed in seeds
    ]  # fmt: skip


def listing(plan: Plan) -> list[Task]:
    """The article's network: each branch alone, each pair, all that there are, as listed."""
    names = plan.facts.raw
    if len(names) < 2:
        return []
    pairs = list(combinations(names, 2)) if len(names) > 2 and plan.full else []
    read = {**{name: (name,) for name in names}, **{" + ".join(each): each for each in pairs}}
    tasks = [
        plan.listed(seed, LISTING, name, modalities)
        for seed in plan.seeds
        for name, modalities in {**read, ALL: names}.items()
    ]
    base = Task(LISTING, plan.facts.dataset, "", "", made=plan.facts.made)
    popular = replace(base, recommender="popularity", kind="Popularity", seed=plan.seeds[0])
    chance = replace(base, recommender="random", kind="Random")
    return [*tasks, popular, *(replace(chance, seed=seed) for seed in plan.seeds)]


def listing_damaged(plan: Plan) -> list[Task]:
    """The article's network where one modality is missing on half of the items."""
    names = plan.facts.raw if plan.full else plan.facts.raw[:1]
    seeds = plan.seeds[:3] if plan.full else plan.seeds  # as the towers on damaged data
    if len(plan.facts.raw) < 2:
        return []
    return [
        plan.listed(
            seed, f"{LISTING} on damaged data", ALL, plan.facts.raw,
            damage={"absent": {name: 0.5}},
            condition={"damage": "absent", "damaged": name, "level": 0.5, "draw": EACH_SEED},
        )
        for name in names
        for seed in seeds
    ]  # fmt: skip


def costs(plan: Plan) -> list[Task]:
    """Encoders of raw media, each alone and all together: what an epoch costs."""
    names = plan.facts.raw
    epochs = 2 if not plan.full else 3 if plan.facts.large else 6
    base = Task(
        "costs", plan.facts.dataset, "", "TwoTower", 0,
        {"steps": 4 * epochs, "validate_every": 4, "patience": 999}, made=plan.facts.made, raw=True,
    )  # fmt: skip
    tasks = [replace(base, recommender=name, modalities=(name,)) for name in names]
    if len(names) > 1:
        tasks.append(replace(base, recommender=ALL, modalities=names))
    return [replace(task, seed=seed) for task in tasks for seed in plan.seeds]


def compression(plan: Plan) -> list[Task]:
    """One fused tower, saved as it is and in smaller ways; profile quick on a small shop."""
    names = tuple(name for name in plan.facts.modalities if name in MODALITIES)
    if len(names) < 2 or not (plan.full or plan.facts.worlds):
        return []
    fused = next(arm for arm in towers(names) if arm.name == ALL)
    original = {"kind": "TwoTower", "options": plan.options(fused), "modalities": [*names]}
    arms = SMALLER if plan.full else {"int8": SMALLER["int8"]}
    small = {} if plan.full else {"made": FEW, "condition": {"items": FEW["n_items"]}}
    return [
        task
        for seed in (plan.seeds if plan.full else plan.seeds[:1])
        for task in (
            plan.task(fused, seed, experiment=COMPRESSION, recommender=UNCOMPRESSED, **small),
            *(
                plan.task(
                    Arm(COMPRESSION, name, "Compressed", names), seed,
                    options={"original": original, **options}, **small,
                )
                for name, options in arms.items()
            ),
        )
    ]  # fmt: skip


def tastes(plan: Plan) -> list[Task]:
    """Where fusion helps: small shops, from those where one modality decides to all alike."""
    if not plan.facts.worlds:
        return []
    arms = [arm for arm in towers(plan.facts.modalities) if arm.name in (*MODALITIES, ALL)]
    cells = [(first, weight) for first in MODALITIES for weight in WEIGHTS] + [(ALIKE, 1.0)]
    pairs, worlds = (PAIRS, WORLDS) if plan.full else (PAIRS[:1], 1)
    plain = replace(plan, chosen={})  # of another data set
    return [
        plain.task(
            arm, world, experiment=TASTES,
            condition={"first": first, "others": weight, "pair": pair, "world": world},
            made={
                "n_items": 240, "n_users": 800, "seed": world,
                "weights": {name: 1.0 if name == first else weight for name in MODALITIES}
                | {"pair": pair},
            },
        )
        for first, weight in (cells if plan.full else (cells[0], cells[-1]))
        for pair in pairs
        for world in range(worlds)
        for arm in arms
    ]  # fmt: skip


def explanations(plan: Plan) -> list[Task]:
    """Reasons held against the truth: the fused tower by its encoders, in shops of other seeds.

    The ideal observer of the same histories says how often anybody could be right.
    """
    if not (plan.full and plan.facts.worlds):
        return []
    arms = {arm.name: arm for arm in towers(plan.facts.modalities)}
    return [
        plan.task(
            arms[ALL], seed, experiment=EXPLAINED, recommender=f"{ALL}{label}", encoders=encoders,
            made={"seed": seed},
        )
        for seed in plan.seeds
        for encoders, label in (
            ("auto", ""), ("article", ", article's encoders"), ("mixed", MIXED),
        )
    ] + [
        plan.task(
            Arm(EXPLAINED, "ideal observer", "IdealObserver"), seed, options={"draws": 20},
            made={"seed": seed},
        )
        for seed in plan.seeds
    ]  # fmt: skip


def several_tasks(plan: Plan) -> list[Task]:
    """The fused tower with further tasks: of few interactions and all, and of items held back.

    Today's encoders read the media, so that kinds can be told. Profile quick has none.
    """
    names = tuple(name for name in plan.facts.modalities if name in MODALITIES)
    if not plan.full or plan.facts.tasks != TASKS or len(plan.facts.raw) < 2:
        return []
    options = plan.options(next(arm for arm in towers(names) if arm.name == ALL))
    of: list[tuple[str, float, dict[str, float | str]]]
    of = [("default", share, {"share": share}) for share in SHARES]
    of.append((COLD, 1.0, {"items": "cold"}))
    return [
        plan.task(
            Arm(SEVERAL, name, "SeveralTasks", names), seed, options={**options, **about},
            encoders="today", split=split, share=share, condition=condition,
        )
        for seed in plan.seeds
        for split, share, condition in of
        for name, about in AS_TASKS.items()
    ]  # fmt: skip


GRIDS: dict[str, Callable[[Plan], list[Task]]] = {
    "fusions": fusions,
    "baselines": simple,
    "controls": control,
    COLD: cold,
    TEXT: encoders,
    TEXT_COLD: partial(encoders, split=COLD),
    "quality of data": quality,
    MISPAIRED: mispairing,
    ARTICLE: partial(level, name=ARTICLE, encoders="article"),
    TODAY: partial(level, name=TODAY, encoders="today"),
    LISTING: listing,
    f"{LISTING} on damaged data": listing_damaged,
    "costs": costs,
    COMPRESSION: compression,
    TASTES: tastes,
    EXPLAINED: explanations,
    SEVERAL: several_tasks,
}


def grid(
    dataset: str,
    profile: str,
    n_seeds: int,
    only: Sequence[str] = (),
    *,
    chosen: Mapping[str, Mapping[str, Any]] | None = None,
    facts: Facts | None = None,
) -> list[Task]:
    """Return all tasks of a profile on one data set.

    Parameters
    ----------
    dataset : str
        A name or a folder.
    profile : {"quick", "full"}
        Few short experiments, or all of them, each trained until its validation part stops it.
    n_seeds : int
        Seeds 0, 1, …
    only : sequence of str
        Names of `GRIDS`; all without.
    chosen : mapping, optional
        The options that a search has chosen, by arm, for profile full.
    facts : Facts, optional
        Of the data set, where they are known; read from it without.

    Raises
    ------
    ValueError
        For another profile, no seed, or an unknown grid.

    Examples
    --------
    >>> facts = Facts("mine", ("text", "image"))
    >>> [task.recommender for task in grid("mine", "quick", 1, ["fusions"], facts=facts)]
    ['text', 'image', 'concatenation', 'attention']
    """
    if profile not in LENGTH:
        raise ValueError(f"profile is {profile!r}; it is 'quick' or 'full'")
    if n_seeds < 1:
        raise ValueError(f"seeds is {n_seeds}; at least one is needed")
    unknown = set(only) - set(GRIDS)
    if unknown:
        raise ValueError(f"there is no experiment {min(unknown)!r}; there are {', '.join(GRIDS)}")
    facts = facts or Facts.of(dataset, profile)
    plan = Plan(facts, profile, range(n_seeds), chosen or {})
    return [task for name in GRIDS if not only or name in only for task in GRIDS[name](plan)]
