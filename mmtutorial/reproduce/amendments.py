"""The amendment log: every rule of the ledger that changed, and what the old one would say today.

The changes stand in ``amendments.toml``. Old rules are computed where the results allow it: by
their own 95 % intervals, without correction, on the data sets that were measured.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmtutorial.reproduce.findings import CONTRADICTED, SHOWN, Comparison, Finding, Part
from mmtutorial.reproduce.ledger import HOLDS, decided, judge, read_ledger
from mmtutorial.reproduce.levels import ALL, SIMPLE
from mmtutorial.reproduce.results import Results
from mmtutorial.reproduce.rules import LIMITS, best, damage_of, interval_of, quoted, student

FILE = Path(__file__).with_name("amendments.toml")


@dataclass(frozen=True)
class Amendment:
    """One change.

    Parameters
    ----------
    rows : tuple of str
        Whose rule.
    date, commit : str
        When, and in which commit of the history; "" for the commit that brought this entry.
    seen : bool
        Whether results that bear on the row were there.
    before, after, reason : str
        What changed, and why.
    old : mapping
        The rule before, for `old_verdict`; empty where it cannot be computed.
    plainly : str
        What is said in place of a verdict then.
    """

    rows: tuple[str, ...]
    date: str
    commit: str
    seen: bool
    before: str
    after: str
    reason: str
    old: Mapping[str, Any]
    plainly: str = ""


def read_amendments(path: Path = FILE) -> tuple[Amendment, ...]:
    """Return all changes in the order of the file, the oldest first.

    Raises
    ------
    ValueError
        If one has neither an old rule nor a sentence in its place, or an unknown kind of rule.

    Examples
    --------
    >>> read_amendments()[0].rows
    ('C1', 'C2', 'C3')
    """
    found = []
    for each in tomllib.loads(path.read_text(encoding="utf-8"))["amendment"]:
        about = {"old": {}, **each, "rows": tuple(each["rows"]), "date": str(each["date"])}
        if about["old"].get("kind") not in {*_OLD, "present"} and not about.get("plainly"):
            raise ValueError(f"{path}, {about['date']}, {', '.join(about['rows'])}: no old rule")
        found.append(Amendment(**about))
    return tuple(found)


def old_verdict(amendment: Amendment, results: Results) -> tuple[str, str]:
    """Return what the old rule would say on these results, and where it was shown and where not.

    >>> from mmtutorial.reproduce.results import find
    >>> plain = next(each for each in read_amendments() if not each.old)
    >>> old_verdict(plain, Results.open(find()))[0] == plain.plainly
    True
    """
    rule = amendment.old
    if not rule:
        return amendment.plainly, ""
    if rule["kind"] == "present":
        row = next(each for each in read_ledger() if each.id == amendment.rows[0])
        before = tuple({**each, **rule["instead"]} for each in row.rule)
        verdict = judge(replace(row, rule=before), results)
        return verdict.word, verdict.because
    (outcome,) = decided([_OLD[rule["kind"]](rule, results)], corrected=False)
    word = rule["at_best"] if outcome.word == HOLDS and "at_best" in rule else outcome.word
    return word, outcome.because


def as_markdown(results: Results | None) -> str:
    """Write the log as Markdown (MyST), the newest change first.

    Parameters
    ----------
    results : Results or None
        On which old rules are computed; without any, their verdicts are left out.
    """
    lines: list[str] = []
    date = ""
    for each in reversed(read_amendments()):
        if each.date != date:
            date = each.date
            lines += [f"## {date}", ""]
        rows = ", ".join(f"[{name}](#claim-{name.lower()})" for name in each.rows)
        seen = "after results were seen" if each.seen else "before results were there"
        at = f", commit `{each.commit}`" if each.commit else ""
        lines += [f"**{rows}**, {seen}{at}", ""]
        lines += ["Before", f": {each.before}", "", "After", f": {each.after}", ""]
        lines += ["Reason", f": {each.reason}", ""]
        if results is not None or not each.old:
            word, because = old_verdict(each, results) if results else (each.plainly, "")
            today = f"*{word}*" if each.old else word
            lines += ["The old rule today", f": {today}{': ' + because if because else ''}", ""]
    return "\n".join(lines)


def _gain(rule: Mapping[str, Any], results: Results) -> Part:
    """Whether every measure gains by its own interval, wherever simple features were measured."""
    table = results.comparisons
    pieces: list[Comparison | Finding] = []
    for dataset in dict.fromkeys(table["dataset"]) if len(table) else ():
        reference = rule.get("reference", "best single")
        if reference == "best single":
            reference = best(results, dataset, "single")
        elif reference == "best baseline by test":
            reference = _best_by_test(results, dataset)
        for metric in rule["metrics"]:
            candidate = rule.get("candidate", ALL)
            found = interval_of(results, dataset, SIMPLE, candidate, str(reference), metric)
            if found is not None:
                pieces.append(student(dataset, metric, found, rule["at_least"]))
    return Part("", SIMPLE, True, tuple(pieces))


def _best_by_test(results: Results, dataset: str) -> str | None:
    table = results.measures
    rows = table[
        table["dataset"].eq(dataset) & table["experiment"].eq("baselines")
        & table["split"].eq("default") & table["metric"].eq("ndcg")
        & ~table["recommender"].isin(LIMITS)
    ]  # fmt: skip
    means = rows.groupby("recommender")["value"].mean()
    return None if means.empty else str(means.idxmax())


def _loss(rule: Mapping[str, Any], results: Results) -> Part:
    """Whether half of one modality withheld, or the strongest noise, lowers NDCG."""
    table = results.comparisons
    pieces: list[Comparison | Finding] = []
    if len(table):
        table = table[table["experiment"].eq("quality of data") & table["metric"].eq("ndcg")]
    for _, row in table.iterrows():
        about, (gain, low, high, freedom) = damage_of(row)
        half = about["damage"] == "absent" and about["level"] == 0.5
        strongest = about["damage"] == "noise" and about["level"] == 4.0
        if half or (rule["noise"] and strongest):
            text = row["condition"]
            interval = (-gain, -high, -low, freedom)
            pieces.append(student(row["dataset"], text, interval, 0.0))
    return Part("", "quality of data", True, tuple(pieces), any_of=True)


def _cost(rule: Mapping[str, Any], results: Results) -> Part:
    """Whether an epoch takes at least twice the seconds of the most expensive single modality."""
    table = results.costs
    pieces: list[Comparison | Finding] = []
    if len(table):
        table = table[table["experiment"].eq("costs")]
    for dataset, rows in table.groupby("dataset") if len(table) else ():
        means = rows["seconds"].div(rows["epochs"]).groupby(rows["recommender"]).mean()
        single = means[[name for name in means.index if name in set(rows["modalities"])]]
        single = single[~single.index.str.contains("+", regex=False)]
        if ALL in means and len(single):
            ratio = means[ALL] / single.max()
            says = SHOWN if ratio >= 2 else CONTRADICTED
            pieces.append(Finding(str(dataset), f"{ratio:.2f} times", says))
    return Part("", "costs", True, tuple(pieces))


def _quoted(rule: Mapping[str, Any], results: Results) -> Part:
    """Whether every number lies on its side of its bound, on every data set that has them all."""
    conditions = [{**each, "margin": 0.0} for each in rule["conditions"]]
    (part,) = quoted({"conditions": conditions, "chapter": ""}, results)
    return replace(part, lacking=())


_OLD: dict[str, Callable[[Mapping[str, Any], Results], Part]] = {
    "gain": _gain, "loss": _loss, "cost": _cost, "quoted": _quoted,
}  # fmt: skip
