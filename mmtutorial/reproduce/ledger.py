"""The claims ledger: what the article says, and the verdict that results give.

The rows stand in ``ledger.toml``; nobody writes a verdict. The rules of a row
(`mmtutorial.reproduce.rules`) turn results into parts, each with comparisons and findings on data
sets. Of one part, what is measured on a data set *shows* the statement, *contradicts* it or leaves
it *undecided*; then

- shown on every data set: *holds*;
- shown on some: *holds under conditions*, namely there;
- contradicted on all: *does not hold*;
- the statement leaves out what would decide it: *cannot be tested as stated*;
- else, and where nothing was measured: *open*.

A row of several parts holds if all parts hold that decide it, does not hold if none does, is open
if one is open, and holds under conditions otherwise.

A gain of at least g is shown where it is significantly above g, and contradicted where it is
significantly below g (equation eq-verdict). Significantly: p is below 5 % after Holm's correction
over all comparisons of the row on the same level.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmtutorial.reproduce import rules
from mmtutorial.reproduce.findings import (
    CONTRADICTED,
    PRINTED,
    SHOWN,
    UNDECIDED,
    UNREACHABLE,
    Comparison,
    Finding,
    Part,
)
from mmtutorial.reproduce.levels import LEVELS, LISTING, SIMULATED
from mmtutorial.reproduce.results import Results
from mmtutorial.reproduce.rules import MEASURES, best, number

__all__ = ["MEASURES", "best", "judge", "judge_all", "number", "read_ledger"]

FILE = Path(__file__).with_name("ledger.toml")
HOLDS, CONDITIONS, FAILS, UNTESTABLE, OPEN = VERDICTS = (
    "holds", "holds under conditions", "does not hold", "cannot be tested as stated", "open",
)  # fmt: skip
ALPHA = 0.05
KINDS = (*rules.RULES, "untestable")
_IN_ORDER = tuple(dict.fromkeys(name for each in LEVELS.values() for name in each.datasets))
_PLURAL = {
    HOLDS: "hold", CONDITIONS: "hold under conditions", FAILS: "do not hold",
    UNTESTABLE: UNTESTABLE, OPEN: "are open",
}  # fmt: skip
_SIGNS = {
    SHOWN: "", PRINTED: "", CONTRADICTED: " (contradicts it)", UNDECIDED: " (undecided)",
    UNREACHABLE: " (the oracle itself does not reach it: nothing is decided here)",
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
    rule : tuple of mapping
        How the verdict is computed; see ``ledger.toml``.
    reading : str
        How the editors understand the outcome. It changes no verdict.
    """

    id: str
    section: str
    group: str
    title: str
    english: str
    chinese: str
    evidence: str
    where: tuple[str, ...]
    rule: tuple[Mapping[str, Any], ...]
    reading: str = ""

    @property
    def anchor(self) -> str:
        """Target of a link to the row on the page of claims."""
        return f"claim-{self.id.lower()}"

    @property
    def kinds(self) -> set[str]:
        """Kinds of its rules."""
        return {each["kind"] for each in self.rule}


@dataclass(frozen=True)
class Outcome:
    """What was found of one part of a row.

    Parameters
    ----------
    part : Part
        What was measured, and what was not.
    word : str
        One of `VERDICTS`.
    because : str
        Where it was shown and where not; empty where it is the same everywhere.
    findings : tuple of Finding
        The part's pieces, each with what it says after the correction.
    """

    part: Part
    word: str
    because: str
    findings: tuple[Finding, ...]

    def says(self, dataset: str) -> str:
        """Return what one data set says, all its cases together; "not measured" without any."""
        here = [
            each.says for each in self.findings
            if each.says != PRINTED and each.where.partition(",")[0] == dataset
        ]  # fmt: skip
        decided = [each for each in here if each != UNREACHABLE]
        if decided:
            return _together(decided, self.part.any_of)
        return UNREACHABLE if here else "not measured"


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
        Under which conditions it holds, or what keeps it from being decided; may be empty.
    parts : tuple of Outcome
        What it rests on, and what is printed with it.
    """

    row: Row
    word: str
    because: str = ""
    parts: tuple[Outcome, ...] = ()


@functools.cache
def read_ledger(path: Path = FILE) -> tuple[Row, ...]:
    """Return all rows in the order of the file.

    Raises
    ------
    ValueError
        If an id occurs twice, or a row lacks something or has something unknown.

    Examples
    --------
    >>> [row.id for row in read_ledger() if "untestable" in row.kinds]
    ['S2', 'R1']
    """
    rows = []
    for each in tomllib.loads(path.read_text(encoding="utf-8"))["row"]:
        try:
            rows.append(Row(**{**each, "where": tuple(each["where"]), "rule": tuple(each["rule"])}))
        except (TypeError, KeyError) as fault:
            raise ValueError(f"{path}, row {each.get('id', '?')}: {fault}") from fault
        for rule in rows[-1].rule:
            if rule.get("kind") not in KINDS:
                raise ValueError(
                    f"{path}, row {rows[-1].id}: its rule is {rule.get('kind')!r}; "
                    f"there are {', '.join(KINDS)}"
                )
    ids = [row.id for row in rows]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: the row {twice[0]} stands there twice")
    return tuple(rows)


def judge(row: Row, results: Results | None, *, corrected: bool = True) -> Verdict:
    """Compute the verdict of one row; without results, or without any that bear on it, it is open.

    Parameters
    ----------
    corrected : bool
        Whether Holm's correction is applied; without it, by each test's own p-value.

    Examples
    --------
    >>> judge(read_ledger()[0], None).word
    'open'
    """
    if "untestable" in row.kinds:
        return Verdict(row, UNTESTABLE, row.rule[0]["reason"])
    if results is None:
        return Verdict(row, OPEN)
    parts = [part for rule in row.rule for part in rules.RULES[rule["kind"]](rule, results)]
    outcomes = decided(parts, corrected)
    deciding = [each for each in outcomes if each.part.decides]
    words = [each.word for each in deciding]
    word = next(
        (each for each in (HOLDS, FAILS) if set(words) == {each}),
        OPEN if OPEN in words else CONDITIONS,
    )
    if len(deciding) == 1:
        because = deciding[0].because
    elif word in (CONDITIONS, OPEN):
        because = "; ".join(_with_word(each) for each in deciding)
    else:
        because = ""
    return Verdict(row, word, because, outcomes)


def judge_all(results: Results | None) -> list[Verdict]:
    """Compute the verdicts of all rows, in their order."""
    return [judge(row, results) for row in read_ledger()]


def decided(parts: Sequence[Part], corrected: bool = True) -> tuple[Outcome, ...]:
    """Correct the comparisons of each level together, and conclude: an outcome a part.

    >>> decided([Part("", "fusions", True, (Finding("shop", "", SHOWN),))])[0].word
    'holds'
    """
    says: dict[Comparison, str] = {}
    for level in dict.fromkeys(part.level for part in parts):
        tests = list(
            dict.fromkeys(
                piece
                for part in parts if part.level == level
                for piece in part.pieces if isinstance(piece, Comparison)
            )
        )  # fmt: skip
        shown, contradicted = (
            _corrected([getattr(each, name) for each in tests], corrected)
            for name in ("p_shown", "p_contradicted")
        )
        for test, yes, no in zip(tests, shown, contradicted, strict=True):
            says[test] = SHOWN if yes < ALPHA else CONTRADICTED if no < ALPHA else UNDECIDED
    return tuple(
        _concluded(
            part,
            tuple(
                each if isinstance(each, Finding) else Finding(each.where, each.text, says[each])
                for each in part.pieces
            ),
        )
        for part in parts
    )


def _corrected(p: Sequence[float], corrected: bool) -> Sequence[float]:
    from mmtutorial.evaluation.significance import holm

    return list(holm(np.array(p))) if corrected and len(p) else p


def _concluded(part: Part, findings: tuple[Finding, ...]) -> Outcome:
    """Join what data sets and cases say to one word."""
    counted = [each for each in findings if each.says not in (PRINTED, UNREACHABLE)]
    where: dict[str, list[str]] = {}
    for name in dict.fromkeys(each.where for each in counted):
        here = _together([each.says for each in counted if each.where == name], part.any_of)
        where.setdefault(here, []).append(name)
    if part.lacking:
        where["not measured"] = list(part.lacking)
    ruled = set(where)
    limits = [each.where for each in findings if each.says == UNREACHABLE]
    if limits:
        where[UNREACHABLE] = list(dict.fromkeys(limits))
    order = (SHOWN, CONTRADICTED, UNDECIDED, "not measured", UNREACHABLE)
    because = "; ".join(f"{how} {_places(where[how])}" for how in order if how in where)
    if ruled == {SHOWN}:
        return Outcome(part, HOLDS, because if limits else "", findings)
    if ruled == {CONTRADICTED}:
        return Outcome(part, FAILS, because if limits else "", findings)
    return Outcome(part, CONDITIONS if SHOWN in where else OPEN, because, findings)


def _together(found: Sequence[str], any_of: bool) -> str:
    """Join what the pieces of one data set say: all must show it, or one suffices."""
    order = (SHOWN, UNDECIDED) if any_of else (CONTRADICTED, UNDECIDED)
    last = CONTRADICTED if any_of else SHOWN
    return next((each for each in order if each in found), last)


def _places(where: Sequence[str]) -> str:
    """Name data sets, by case where there are cases.

    >>> _places(["shop", "lastfm"]), _places(["shop, small start", "garments, small start"])
    ('on shop, lastfm', 'for small start (shop, garments)')
    """
    cases: dict[str, list[str]] = {}
    for each in where:
        dataset, _, case = each.partition(", ")
        cases.setdefault(case, []).append(dataset)
    return ", ".join(
        f"for {case} ({', '.join(names)})" if case else f"on {', '.join(names)}"
        for case, names in cases.items()
    )


def _with_word(outcome: Outcome) -> str:
    because = f" ({outcome.because})" if outcome.because else ""
    return f"{outcome.part.name or 'as measured'}: {outcome.word}{because}"


def in_short(verdicts: Sequence[Verdict], rows: Sequence[str] = ("C1", "C2", "C3")) -> str:
    """Say in plain words what came out, and by level and data set for the article's results.

    Parameters
    ----------
    verdicts : sequence of Verdict
        All rows.
    rows : sequence of str
        Those whose parts are printed by data set.
    """
    words = [each.word for each in verdicts]
    counted = ", ".join(
        f"{words.count(each)} {each if words.count(each) == 1 else _PLURAL[each]}"
        for each in VERDICTS
    )
    chosen = [each for each in verdicts if each.row.id in rows]
    parts = [(each.row.id, part) for each in chosen for part in each.parts]
    there = {
        piece.where.partition(",")[0] for _, part in parts for piece in part.findings
    } | {name for _, part in parts for name in part.part.lacking}  # fmt: skip
    datasets = [name for name in _IN_ORDER if name in there] + sorted(there - set(_IN_ORDER))
    people = ", ".join(f"`{name}`" for name in datasets if name not in SIMULATED)
    lines = [
        f"**What came out**: of {len(words)} statements, {counted}. (Open: undecided, or not "
        "measured yet.)",
        "",
        f"The shoppers of {' and '.join(f'`{name}`' for name in SIMULATED)} are **simulated**: a "
        "program chose for them, by tastes that we wrote, and these weigh text, picture and sound "
        f"equally. A verdict on them is none on people. {people} are about real people.",
        "",
        "What reads the media is one of four. Only the first is the article's own network. In the "
        "second, encoders of the article's kinds sit in another recommender:",
        "",
        *(f"- *{each.title}*: {each.reads}." for each in LEVELS.values()),
        "",
    ]
    measured = [each for each in parts if any(piece.says != PRINTED for piece in each[1].findings)]
    titles = {LEVELS[part.part.level].title for _, part in measured}
    lacking = [each.title for each in LEVELS.values() if each.title not in titles]
    if lacking:
        lines += [f"**Not measured yet**: {'; '.join(lacking)}.", ""]
        if LEVELS[LISTING].title in lacking:
            lines += ["So nothing follows yet for the article's own system.", ""]
    if measured:
        lines += [
            "What each row claims, and what each data set shows. The numbers are gains of all "
            "modalities together over the single modality that was best on validation. A dash "
            "stands where a level does not apply: its encoders need media that the data set does "
            "not have.",
            "",
            *(f"- {each.row.id}: {each.row.title}." for each in chosen),
            "",
        ]
        named = [f"{name}, simulated" if name in SIMULATED else name for name in datasets]
        lines += [f"| claim | {' | '.join(named)} |", "|---|" + "---|" * len(datasets)]
        lines += [
            f"| [{name}](#claim-{name.lower()}), {part.part.name} "
            f"| {' | '.join(_cell(part, each) for each in datasets)} |"
            for name, part in measured
        ]
        lines.append("")
    return "\n".join(lines)


def _cell(outcome: Outcome, dataset: str) -> str:
    """Say what one data set shows, with its gain where a single one was compared there."""
    here = [each for each in outcome.findings if each.where == dataset and each.says != PRINTED]
    if not here and dataset in _IN_ORDER and dataset not in LEVELS[outcome.part.level].datasets:
        return "–"
    gain = here[0].text.rpartition(": ")[2].partition(" [")[0] if len(here) == 1 else ""
    return f"{outcome.says(dataset)}{f', {gain}' if gain else ''}"


def as_markdown(verdicts: Sequence[Verdict]) -> str:
    """Write the whole ledger as Markdown with a target for every row (MyST).

    Parameters
    ----------
    verdicts : sequence of Verdict
        All rows.
    """
    lines = ["## All rows", "", "| row | statement | verdict |", "|---|---|---|"]
    lines += [
        f"| [{each.row.id}](#{each.row.anchor}) | {each.row.title} | *{each.word}* |"
        for each in verdicts
    ]
    group = ""
    for each in verdicts:
        if each.row.group != group:
            group = each.row.group
            lines += ["", f"## {group}"]
        lines += _row(each)
    return "\n".join(lines) + "\n"


def _row(verdict: Verdict) -> list[str]:
    row = verdict.row
    lines = ["", f"({row.anchor})=", f"### {row.id} · {row.title} (§{row.section})", ""]
    lines += [f"{row.english} {row.chinese}", "", "Evidence", f": {row.evidence}", ""]
    pages = " ".join(f"{{doc}}`{page}`" for page in row.where)
    lines += ["Where", f": {pages or 'no chapter yet.'}", ""]
    because = f": {verdict.because}" if verdict.because else ""
    lines += ["Verdict", f": **{verdict.word}**{because}.", ""]
    if row.reading:
        lines += ["The editors' reading", f": {row.reading}.", ""]
    if len(verdict.parts) > 1:
        lines += ["| of what | decides the row | verdict | where |", "|---|---|---|---|"]
        lines += [
            f"| {each.part.name} | {'yes' if each.part.decides else 'no'} | *{each.word}* "
            f"| {each.because} |"
            for each in verdict.parts
        ]
        lines.append("")
    measured = [each for each in verdict.parts if each.findings]
    if measured:
        lines += ["```{dropdown} What was measured", ""]
        for each in measured:
            lines += [f"**{each.part.name}**", ""] if each.part.name else []
            lines += [
                f"- {piece.where}: {piece.text}{_SIGNS[piece.says]}" for piece in each.findings
            ]
            lines.append("")
        lines += ["```", ""]
    lacking = dict.fromkeys(
        each.part.remedy for each in verdict.parts if each.part.decides and each.part.lacking
    )
    if lacking:
        lines += ["Lacking", ": " + "; ".join(f"`{each}`" for each in lacking), ""]
    return lines
