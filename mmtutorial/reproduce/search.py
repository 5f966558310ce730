"""Search every arm's options, each with as many trials, on the validation part alone.

`mmtutorial reproduce --profile full --tune` runs it and writes ``results/settings/DATASET.json``.
Finished trials lie in ``OUT/search``, one file an arm: a search that was killed goes on with the
next trial, and comes to the same choice.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmtutorial import recommenders
from mmtutorial.evaluation.tuning import Range, Space, tune
from mmtutorial.metrics import ACCURACY
from mmtutorial.recommenders import Popularity, Recommender
from mmtutorial.reproduce.cache import key
from mmtutorial.reproduce.cluster import run_all
from mmtutorial.reproduce.grids import Facts, Plan
from mmtutorial.reproduce.measure import make, read_by, stage_of
from mmtutorial.reproduce.search_spaces import BLEND, FOR_PEOPLE, MEMBERS, Arm, all_arms
from mmtutorial.reproduce.settings import LENGTH
from mmtutorial.reproduce.tasks import Task
from mmtutorial.reproduce.threads import use_one_thread

TRIALS = 12  # of each arm

Record = dict[str, Any]  # of one arm: "options" chosen, "ndcg" on validation, "trials"


@dataclass(frozen=True)
class Search:
    """The search of one arm.

    Parameters
    ----------
    task : Task
        The arm's, with the options that are not searched for.
    space : mapping
        Options that are; see `mmtutorial.evaluation.tune`.
    n_trials : int
        How many trials.
    storage : str
        A file for the finished ones.
    members : mapping
        Of a blend: what the option "recommenders" stands for, by its name.
    """

    task: Task
    space: Space
    n_trials: int
    storage: str
    members: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def options(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is searched for as options of the class."""
        named = {k: self.members.get(v, v) if self.members else v for k, v in searched.items()}
        return {**self.task.options, **joined(named)}

    def run(self) -> Record:
        """Try the options, and return the best with all trials."""
        use_one_thread()
        task = self.task
        stage = stage_of(task)

        def made(**searched: Any) -> Recommender:
            options = self.options(searched)
            return make(task.kind, options, task.modalities, task.seed, stage.data)

        reads = read_by(stage, task.modalities)
        first = [defaults(task.kind, self.space)]
        if FOR_PEOPLE.keys() <= self.space.keys():
            first.append(FOR_PEOPLE)
        best, table = tune(
            made, self.space, stage.split, reads, n_trials=self.n_trials, first=first,
            storage=self.storage,
        )  # fmt: skip
        trials = [
            {
                "options": {name: row[name] for name in self.space},
                "validation": None if row["ndcg"] != row["ndcg"] else
                {name: round(row[name], 6) for name in ACCURACY},
            }
            for row in table.to_dict("records")
        ]  # fmt: skip
        searched = {name.partition(".")[0] for name in best}
        chosen = {name: value for name, value in self.options(best).items() if name in searched}
        return {"options": chosen, "ndcg": round(float(table["ndcg"].max()), 6), "trials": trials}


def search(
    facts: Facts,
    out: str | Path,
    *,
    n_trials: int = TRIALS,
    jobs: int = 1,
    tell: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Search the options of every arm on one data set; a blend's last, out of the others' best.

    Parameters
    ----------
    facts : Facts
        Of the data set.
    out : str or Path
        Finished trials go to its folder ``search``.
    n_trials : int
        Of each arm; fewer where there are not so many combinations.
    jobs : int
        How many arms at a time.
    tell : callable, optional
        Called with the number of finished arms, of all, and the arm that has just finished.

    Returns
    -------
    dict
        "dataset", "chosen by", "trials", and "arms": of each its chosen "options", its "ndcg" on
        the validation part, whether that is "at popularity's level", and all "trials", of which
        those that were pruned have no "validation".

    Raises
    ------
    ValueError
        If n_trials is below 1.
    Exception
        What a recommender raised.
    """
    if n_trials < 1:
        raise ValueError(f"trials is {n_trials}; at least one is needed")
    arms = {arm.name: arm for arm in all_arms(facts.modalities, facts.truth)}
    plan, records = Plan(facts, "full", (0,)), dict[str, Record]()
    folder = Path(out, "search")
    plain = {name: _search(plan, arm, n_trials, folder) for name, arm in arms.items() if arm.space}

    def run(some: Mapping[str, Search]) -> None:
        for name, found in run_all(Search.run, some, jobs):
            if isinstance(found, Exception):
                raise found
            records[name] = found
            if tell:
                tell(len(records), len(plain) + (BLEND in arms), name)

    run(plain)
    if BLEND in arms:
        chosen = {name: record["options"] for name, record in records.items()}
        best = Plan(facts, "full", (0,), chosen)
        run({BLEND: _search(best, arms[BLEND], n_trials, folder)})
    level = _popularity(plan)
    for record in records.values():
        record["at popularity's level"] = record["ndcg"] <= level
    return {
        "dataset": Path(facts.dataset).name, "chosen by": "NDCG@10 of the validation part",
        "trials": n_trials, "popularity": level,
        "arms": {name: records[name] for name in arms if name in records},
    }  # fmt: skip


def as_json(record: Mapping[str, Any]) -> str:
    """Write what `search` found as text, a trial a line."""
    text = json.dumps({**record, "arms": {}}, indent=1, ensure_ascii=False)
    arms = []
    for name, arm in record["arms"].items():
        trials = ",\n".join(f"   {json.dumps(each)}" for each in arm["trials"])
        about = json.dumps({k: v for k, v in arm.items() if k != "trials"})[:-1]
        arms.append(f'  {json.dumps(name)}: {about}, "trials": [\n{trials}]}}')
    return text.replace('"arms": {}', '"arms": {\n' + ",\n".join(arms) + "\n }") + "\n"


def joined(searched: Mapping[str, Any]) -> dict[str, Any]:
    """Put the entries of options that are mappings together.

    >>> joined({"l2": 5.0, "content_weight.text": 2.0, "content_weight.image": 0.5})
    {'l2': 5.0, 'content_weight': {'text': 2.0, 'image': 0.5}}
    """
    options: dict[str, Any] = {}
    for name, value in searched.items():
        option, dot, entry = name.partition(".")
        if dot:
            options.setdefault(option, {})[entry] = value
        else:
            options[option] = value
    return options


def defaults(kind: str, space: Space) -> dict[str, Any]:
    """Return the class's own options, as far as the space holds them, to begin with.

    >>> defaults("EASE", {"l2": Range(1.0, 1000.0), "content_weight": [1.0, 3.0]})
    {'l2': 100.0}
    """
    found = {}
    for name, about in inspect.signature(getattr(recommenders, kind)).parameters.items():
        values, value = space.get(name, ()), about.default
        if isinstance(values, Range):
            if isinstance(value, int | float) and values.low <= value <= values.high:
                found[name] = value
        elif value in values:
            found[name] = value
    return found


def _search(plan: Plan, arm: Arm, n_trials: int, folder: Path) -> Search:
    """Say what is tried of an arm; its file is named by all that the trials depend on."""
    space, members = arm.space, {}
    if arm.name == BLEND:
        known = {each.name for each in all_arms(plan.facts.modalities, plan.facts.truth)}
        members = {
            " | ".join(names): plan.members(names) for names in MEMBERS if known.issuperset(names)
        }
        space = {"recommenders": list(members)}
    length = LENGTH["full"] if arm.learns else {}
    task = plan.task(arm, options={**length, **arm.fixed})
    written = {name: repr(values) for name, values in space.items()}
    name = key(task=task.key(), space=written, trials=n_trials, members=members)
    return Search(task, space, n_trials, str(folder.absolute() / f"{name}.sqlite"), members)


def _popularity(plan: Plan) -> float:
    """Return popularity's NDCG@10 on the validation part."""
    from mmtutorial.evaluation import evaluate

    split = stage_of(Task("", plan.facts.dataset, "", "", made=plan.facts.made)).split
    found = evaluate(Popularity().fit(split.train), split, part="validation")
    return round(float(found.per_user["ndcg"].mean()), 6)
