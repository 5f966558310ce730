"""The claims ledger: what the article says, and the verdict that results give.

The rows stand in ``ledger.toml``; nobody writes a verdict. A rule turns results into pieces of
`Evidence`, each of which shows the statement, contradicts it, or leaves it undecided:

- it is shown on every data set: *holds*, or *holds under conditions* where the row names any;
- on some: *holds under conditions*, namely there;
- it is contradicted on all: *does not hold*;
- the statement leaves out what would decide it: *cannot be tested as stated*;
- there is no evidence yet, or none that decides: *open*.

A gain of at least g is shown where its interval lies above g, and contradicted where it lies below
g (equation eq-verdict): an interval that contains g is not a small yes.
"""

from __future__ import annotations

import functools
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtutorial.reproduce.results import Results

FILE = Path(__file__).with_name("ledger.toml")
HOLDS, CONDITIONS, FAILS, UNTESTABLE, OPEN = VERDICTS = (
    "holds", "holds under conditions", "does not hold", "cannot be tested as stated", "open",
)  # fmt: skip
MEASURES = {
    "hit_rate": "hit rate@10", "ndcg": "NDCG@10", "item_coverage": "item coverage@10",
    "user_coverage": "user coverage@10", "intra_list_diversity": "diversity of the lists",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One statement of the article.

    Parameters
    ----------
    id, section, group, title, english, chinese : str
        Which it is, where it stands in the article, and what it says, in our words.
    evidence : str
        What counts as evidence, in words.
    where : tuple of str
        Pages of the book that teach it; empty where there is none yet.
    rule : mapping
        How the verdict is computed; see ``ledger.toml``.
    """

    id: str
    section: str
    group: str
    title: str
    english: str
    chinese: str
    evidence: str
    where: tuple[str, ...]
    rule: Mapping[str, Any]

    @property
    def anchor(self) -> str:
        """Target of a link to the row on the page of claims."""
        return f"claim-{self.id.lower()}"


@dataclass(frozen=True)
class Evidence:
    """One measured piece of it.

    Parameters
    ----------
    dataset : str
        On what.
    text : str
        What was measured, with the numbers.
    says : str
        "shown", "contradicted", "undecided", or "beside" for what is told and does not count.
    """

    dataset: str
    text: str
    says: str


@dataclass(frozen=True)
class Verdict:
    """What results say of one row.

    Parameters
    ----------
    row : Row
        The statement.
    word : str
        One of `VERDICTS`.
    because : str
        The condition under which it holds, or what keeps it from being tested; may be empty.
    evidence : tuple of Evidence
        What was measured. No verdict but "cannot be tested as stated" and "open" goes without.
    """

    row: Row
    word: str
    because: str = ""
    evidence: tuple[Evidence, ...] = field(default=())


@functools.cache
def read_ledger(path: Path = FILE) -> tuple[Row, ...]:
    """Return all rows in the order of the file.

    Raises
    ------
    ValueError
        If an id occurs twice, or a row lacks something or has something unknown.

    Examples
    --------
    >>> [row.id for row in read_ledger() if row.rule["kind"] == "untestable"]
    ['S2', 'R1']
    """
    rows = []
    for each in tomllib.loads(path.read_text(encoding="utf-8"))["row"]:
        try:
            rows.append(Row(**{**each, "where": tuple(each["where"])}))
        except (TypeError, KeyError) as fault:
            raise ValueError(f"{path}, row {each.get('id', '?')}: {fault}") from fault
        if rows[-1].rule.get("kind") not in _RULES:
            raise ValueError(
                f"{path}, row {rows[-1].id}: its rule is {rows[-1].rule.get('kind')!r}; "
                f"there are {', '.join(_RULES)}"
            )
    ids = [row.id for row in rows]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: the row {twice[0]} stands there twice")
    return tuple(rows)


def judge(row: Row, results: Results | None) -> Verdict:
    """Compute the verdict of one row; without results, or without any that bear on it, it is open.

    Examples
    --------
    >>> judge(read_ledger()[0], None).word
    'open'
    """
    kind = row.rule["kind"]
    if kind == "untestable":
        return Verdict(row, UNTESTABLE, row.rule["reason"])
    evidence = tuple(_RULES[kind](row.rule, results)) if results is not None else ()
    if not evidence:
        return Verdict(row, OPEN)
    counted = [each for each in evidence if each.says != "beside"]
    by_dataset = {
        name: _together([each.says for each in counted if each.dataset == name], kind)
        for name in dict.fromkeys(each.dataset for each in counted)
    }
    where = {
        says: [name for name, found in by_dataset.items() if found == says]
        for says in ("shown", "contradicted", "undecided")
    }
    if not counted:
        return Verdict(row, OPEN, "", evidence)
    if not where["shown"]:
        if not where["undecided"]:
            return Verdict(row, FAILS, "", evidence)
        parts = [f"{how} on {', '.join(names)}" for how, names in where.items() if names]
        return Verdict(row, OPEN, "; ".join(parts), evidence)
    if where["contradicted"] or where["undecided"]:
        parts = [f"{how} on {', '.join(names)}" for how, names in where.items() if names]
        parts += [row.rule["condition"]] if row.rule.get("condition") else []
        return Verdict(row, CONDITIONS, "; ".join(parts), evidence)
    if row.rule.get("at_best"):
        return Verdict(row, row.rule["at_best"], row.rule["condition"], evidence)
    return Verdict(row, HOLDS, "", evidence)


def _together(found: list[str], kind: str) -> str:
    """Join what the pieces of one data set say: all must show it, or of losses, one."""
    if kind == "loss":
        order = ("shown", "undecided", "contradicted")
        return next(each for each in order if each in found)
    return next((each for each in ("contradicted", "undecided") if each in found), "shown")


def judge_all(results: Results | None) -> list[Verdict]:
    """Compute the verdicts of all rows, in their order."""
    return [judge(row, results) for row in read_ledger()]


def best(results: Results, dataset: str, among: str) -> str | None:
    """Name the recommender of the highest mean validation NDCG, so that no test is looked at.

    Parameters
    ----------
    among : {"single", "fusions", "baseline"}
        A single modality, what reads all of them, or a baseline; baselines that keep no validation
        NDCG are chosen by their NDCG on the test, which favours them.
    """
    table = results.measures
    table = table[table["dataset"].eq(dataset)]
    if among == "baseline":
        rows = table[
            table["experiment"].eq("baselines") & table["split"].eq("default")
            & table["metric"].eq("ndcg") & ~table["recommender"].isin(["oracle", "random"])
        ]  # fmt: skip
    else:
        several = table["fusion"].ne("")
        rows = table[
            table["experiment"].eq("fusions") & table["split"].eq("validation")
            & table["modalities"].ne("")
        ]  # fmt: skip
        if among == "single":
            rows = rows[~several[rows.index] & ~rows["modalities"].str.contains("+", regex=False)]
        else:
            rows = rows[~rows["recommender"].str.contains("+", regex=False) & several[rows.index]]
    means = rows.groupby("recommender")["value"].mean()
    return None if means.empty else str(means.idxmax())


def number(value: object) -> float:
    """Read a number as chapters quote it: 0.12, '12%', '1,234', '3.6% [3.1%, 4.0%]'; NaN if none.

    >>> number("12%"), number("1,234"), number("a word")
    (0.12, 1234.0, nan)
    """
    found = re.match(r"\s*([-+−]?[\d,]*\.?\d+(?:e[-+]?\d+)?)\s*(%?)", str(value))
    if not found:
        return float("nan")
    plain = float(found[1].replace(",", "").replace("−", "-"))
    return plain / 100 if found[2] else plain


def _gain(rule: Mapping[str, Any], results: Results) -> list[Evidence]:
    """Relative gains in comparisons, on every data set that has them."""
    table = results.comparisons
    found: list[Evidence] = []
    for dataset in dict.fromkeys(table["dataset"]) if len(table) else ():
        reference = rule["reference"]
        if reference.startswith("best "):
            reference = best(results, dataset, reference.removeprefix("best "))
        beside = best(results, dataset, "fusions") if rule.get("beside") == "best fusion" else None
        rows = table[
            table["dataset"].eq(dataset) & table["experiment"].eq("fusions")
            & table["reference"].eq(reference)
        ]  # fmt: skip
        for each in rows.to_dict("records"):
            decides = (
                each["recommender"] in rule["candidates"] and each["metric"] in rule["metrics"]
            )
            told = each["recommender"] in (*rule["candidates"], beside)
            if decides and np.isnan(each["relative_low"]):
                found = [piece for piece in found if piece.dataset != dataset]
                break  # one seed says nothing of how coverage varies: no evidence yet
            if decides or (told and each["metric"] in (*rule["metrics"], *rule.get("also", ()))):
                found.append(_gain_of(dataset, each, rule["at_least"] if decides else None))
    if found and rule.get("conditions"):
        more = _quoted(rule, results)
        if not more:
            return []  # half of the evidence is no evidence
        found += more
    return found


def _gain_of(dataset: str, row: Any, at_least: float | None) -> Evidence:
    """Put one comparison in words, and hold it against what is claimed."""
    seeds = f"{row['n_seeds']} seed{'s' if row['n_seeds'] > 1 else ''}"
    text = (
        f"{MEASURES[row['metric']]}, {row['recommender']} against {row['reference']}: "
        f"{_percent(row['relative_gain'])} "
        f"[{_percent(row['relative_low'])}, {_percent(row['relative_high'])}], {seeds}"
    )
    if at_least is None:
        return Evidence(dataset, text, "beside")
    if row["relative_low"] > at_least:
        return Evidence(dataset, text, "shown")
    return Evidence(
        dataset, text, "contradicted" if row["relative_high"] < at_least else "undecided"
    )


def _loss(rule: Mapping[str, Any], results: Results) -> list[Evidence]:
    """Losses by damage, of every data set and modality; half of it withheld is what counts."""
    table = results.comparisons
    if table.empty:
        return []
    rows = table[table["experiment"].eq("quality of data") & table["metric"].isin(rule["metrics"])]
    found = []
    if rows.empty:
        return []
    about = pd.DataFrame([pd.Series(_read(each)) for each in rows["condition"]], index=rows.index)
    rows = rows.join(about)
    for (dataset, damage, name), some in rows.groupby(["dataset", "damage", "damaged"]):
        half = some[some["level"].eq(0.5)]
        if damage == "absent" and half.empty:
            continue
        worst: Any = (half if damage == "absent" else some.sort_values("level")).iloc[-1]
        what = (
            f"noise of {worst['level']:g} deviations in {name}"
            if damage == "noise"
            else f"{name} taken from {worst['level']:.0%} of the items"
        )
        text = (
            f"{MEASURES[worst['metric']]}, {what}: {_percent(worst['relative_gain'])} "
            f"[{_percent(worst['relative_low'])}, {_percent(worst['relative_high'])}]"
        )
        says = "shown" if worst["relative_high"] < 0 else "undecided"
        says = "contradicted" if worst["relative_low"] > 0 else says
        says = says if damage == "absent" else "beside"
        found.append(Evidence(str(dataset), text, says))
    return found


def _cost(rule: Mapping[str, Any], results: Results) -> list[Evidence]:
    """What the fused tower costs, as multiples of the dearest single modality (eq-cost)."""
    table = results.costs
    found: list[Evidence] = []
    if table.empty:
        return found
    table = table[table["experiment"].eq("costs")]
    for dataset, rows in table.groupby("dataset"):
        means = rows.groupby("recommender")[
            ["parameters", "operations", "seconds", "epochs"]
        ].mean()
        singles = [name for name in means.index if name in set(rows["modalities"])]
        singles = [name for name in singles if " + " not in name]
        if "concatenation" not in means.index or not singles:
            continue
        means["seconds"] /= means["epochs"]
        ratio = means.loc["concatenation"] / means.loc[singles].max()
        at_least = rule["at_least"]
        text = (
            f"fused against the dearest modality: {ratio['seconds']:.2f} times the seconds an epoch"
        )
        found.append(
            Evidence(
                str(dataset), text, "shown" if ratio["seconds"] >= at_least else "contradicted"
            )
        )
        text = (
            f"{ratio['parameters']:.2f} times the trained numbers, "
            f"{ratio['operations']:.2f} times the operations an item"
        )
        found.append(Evidence(str(dataset), text, "beside"))
    return found


def _quoted(rule: Mapping[str, Any], results: Results) -> list[Evidence]:
    """Conditions on what chapters measured, on every data set on which all their chapters ran.

    A chapter that quotes "<chapter>-stand-in" measured on another data set than it was asked for:
    that is no evidence on the latter.
    """
    table = results.quoted
    found = []
    for dataset in dict.fromkeys(table["dataset"]) if len(table) else ():
        rows = table[table["dataset"].eq(dataset)]
        values = dict(zip(rows["name"], rows["value"], strict=True))
        pieces = []
        for condition in rule["conditions"]:
            name, other = condition["name"], condition.get("than")
            value = number(values.get(name))
            if np.isnan(value) or any(_stood_in(values, each) for each in (name, other) if each):
                break
            bound = condition.get("above", condition.get("below", condition.get("equals")))
            if other is not None:
                bound = number(values.get(other))
            if np.isnan(bound):
                break
            how = next(each for each in ("above", "below", "equals") if each in condition)
            shown = {"above": value > bound, "below": value < bound, "equals": value == bound}[how]
            beside = f" ({other.replace('-', ' ')})" if other else ""
            is_or_not = "" if shown else "not "
            text = (
                f"{name.replace('-', ' ')}: {value:.4g}, {is_or_not}{_HOW[how]} {bound:.4g}{beside}"
            )
            pieces.append(Evidence(dataset, text, "shown" if shown else "contradicted"))
        else:
            found += pieces
    return found


def _stood_in(values: Mapping[str, Any], name: str) -> bool:
    """Say whether the chapter that quotes this name had another data set standing in."""
    told = values.get(f"{name.partition('-')[0]}-stand-in")
    return isinstance(told, str) and bool(told.strip())  # an empty cell of a table is NaN


_SAYS = {"shown": "", "beside": "", "contradicted": " (contradicts it)", "undecided": " (open)"}
_HOW = {"above": "above", "below": "below", "equals": "equal to"}
_RULES: dict[str, Any] = {
    "gain": _gain, "loss": _loss, "quoted": _quoted, "cost": _cost,
    "untestable": None, "open": lambda rule, results: [],
}  # fmt: skip


def _percent(value: float) -> str:
    return "not known" if np.isnan(value) else f"{value:+.1%}".replace("-", "−")


def _read(condition: str) -> dict[str, Any]:
    return dict(json.loads(condition))


def as_markdown(verdicts: list[Verdict]) -> str:
    """Write the whole ledger as Markdown with a target for every row (MyST).

    Parameters
    ----------
    verdicts : list of Verdict
        All rows.
    """
    lines = ["| row | statement | verdict |", "|---|---|---|"]
    lines += [
        f"| [{each.row.id}](#{each.row.anchor}) | {each.row.title} | *{each.word}* |"
        for each in verdicts
    ]
    group = ""
    for each in verdicts:
        row = each.row
        if row.group != group:
            group = row.group
            lines += ["", f"## {group}"]
        lines += ["", f"({row.anchor})=", f"### {row.id} · {row.title} (§{row.section})", ""]
        lines += [f"{row.english} {row.chinese}", "", "Evidence", f": {row.evidence}", ""]
        pages = " ".join(f"{{doc}}`{page}`" for page in row.where)
        lines += ["Where", f": {pages or 'no chapter yet.'}", ""]
        if each.evidence:
            some = "; ".join(
                f"{piece.dataset}: {piece.text}{_SAYS[piece.says]}" for piece in each.evidence
            )
            lines += ["Measured", f": {some}.", ""]
        because = f": {each.because}" if each.because else ""
        lines += ["Verdict", f": **{each.word}**{because}.", ""]
    return "\n".join(lines) + "\n"
