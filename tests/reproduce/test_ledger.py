"""The ledger: every row of the article, and verdicts that follow from results alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmtutorial.reproduce.amendments import Amendment, old_verdict, read_amendments
from mmtutorial.reproduce.findings import CONTRADICTED
from mmtutorial.reproduce.ledger import (
    CONDITIONS,
    FAILS,
    HOLDS,
    OPEN,
    UNTESTABLE,
    VERDICTS,
    Verdict,
    as_markdown,
    best,
    judge,
    judge_all,
    number,
    read_ledger,
)
from mmtutorial.reproduce.levels import LISTING, SIMPLE
from mmtutorial.reproduce.results import Results
from mmtutorial.reproduce.rules import RULES
from tests.reproduce.worlds import IDS, ROWS, world

WORDS = {"true": HOLDS, "false": FAILS, "undecided": OPEN}
TESTED = [row.id for row in ROWS.values() if not row.kinds & {"untestable"}]


def test_every_row_of_the_article_is_there_once() -> None:
    assert sorted(ROWS) == sorted(IDS)


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_rows_say_what_they_must_and_nobody_writes_a_verdict(row) -> None:
    assert row.title and row.english and row.chinese and row.evidence and row.section
    assert row.where
    for rule in row.rule:
        assert not set(rule) & {"verdict", "word", "at_best", "condition"}


def test_every_kind_of_rule_is_used() -> None:
    assert {kind for row in ROWS.values() for kind in row.kinds} == {*RULES, "untestable"}


@pytest.mark.parametrize("truth", WORDS)
@pytest.mark.parametrize("row", TESTED)
def test_a_rule_can_go_both_ways(row: str, truth: str) -> None:
    found = judge(ROWS[row], world(row, truth))
    assert found.word == WORDS[truth], found.because
    assert all(each.findings for each in found.parts if each.part.decides)


@pytest.mark.parametrize("row", TESTED)
def test_without_evidence_a_row_is_open_and_names_the_command(row: str) -> None:
    for results in (None, world(row, "empty")):
        found = judge(ROWS[row], results)
        assert found.word == OPEN
    lines = as_markdown([found])
    assert "mmtutorial reproduce --profile full" in lines and "not measured on" in lines


def test_rows_that_nothing_can_decide_say_why() -> None:
    untestable = [each for each in judge_all(None) if each.word == UNTESTABLE]
    assert [each.row.id for each in untestable] == ["S2", "R1"]
    assert all(each.because for each in untestable)


def _outcome(found: Verdict, level: str, reading: str = ""):
    (outcome,) = (
        each for each in found.parts
        if each.part.level == level and each.part.name.endswith(reading)
    )  # fmt: skip
    return outcome


def test_each_level_has_a_verdict_and_the_row_that_of_the_listing() -> None:
    found = judge(ROWS["C1"], world("C1", "true"))
    assert len(found.parts) == 4 and {each.word for each in found.parts} == {HOLDS}
    mixed = world("C1", "true")
    at = mixed.comparisons["experiment"].eq(LISTING)
    mixed.comparisons.loc[at, ["relative_gain", "relative_low", "relative_high"]] = (
        0.01, -0.01, 0.03,
    )  # fmt: skip
    found = judge(ROWS["C1"], mixed)
    assert found.word == FAILS and _outcome(found, SIMPLE).word == HOLDS


def test_each_reading_of_coverage_has_a_verdict() -> None:
    results = world("C2", "true")
    users = results.comparisons["metric"].eq("user_coverage")
    results.comparisons.loc[users, ["relative_gain", "relative_low", "relative_high"]] = (
        0.0, -0.01, 0.01,
    )  # fmt: skip
    found = judge(ROWS["C2"], results)
    assert _outcome(found, LISTING, "items").word == HOLDS
    assert _outcome(found, LISTING, "users").word == FAILS
    assert found.word == CONDITIONS and "users: does not hold" in found.because


def test_the_oracle_can_pass_the_row_on_diversity_and_is_printed() -> None:
    results = world("C3", "true", oracle=True)
    found = judge(ROWS["C3"], results)
    texts = [each.text for each in _outcome(found, LISTING, "coverage").findings]
    assert any("the oracle itself" in text for text in texts)
    swapped = results.measures.replace({"recommender": {"concatenation": "x"}})
    oracle = swapped["recommender"].eq("oracle")
    swapped.loc[oracle, ["experiment", "recommender"]] = (LISTING, "concatenation")
    as_if = dataclasses.replace(results, measures=swapped)
    assert _outcome(judge(ROWS["C3"], as_if), LISTING, "Gini").word == HOLDS


def test_a_reading_that_the_oracle_does_not_reach_decides_nothing() -> None:
    results = world("C3", "false", oracle=True)
    assert _outcome(judge(ROWS["C3"], results), LISTING, "Gini").says("shop") == CONTRADICTED
    oracle = results.measures["recommender"].eq("oracle")
    at = oracle & results.measures["metric"].eq("gini") & results.measures["dataset"].eq("shop")
    results.measures.loc[at, "value"] = 0.9  # less even than the single modality
    found = _outcome(judge(ROWS["C3"], results), LISTING, "Gini")
    assert found.says("shop") == "out of reach" and found.word == FAILS
    assert found.because == "contradicted on garments, films; out of reach on shop"
    word, because = old_verdict(_newest("C3"), results)
    assert word == FAILS and "out of reach" not in because


def test_sounds_that_no_rnn_has_read_decide_nothing() -> None:
    results = world("A5", "true")
    films = results.comparisons["dataset"].eq("films")
    results.comparisons.loc[films, ["relative_gain", "relative_low", "relative_high"]] = (
        -0.3, -0.4, -0.2,
    )  # fmt: skip
    assert judge(ROWS["A5"], results).word == HOLDS
    assert old_verdict(_newest("A5"), results)[0] == CONDITIONS


def _newest(row: str) -> Amendment:
    return [each for each in read_amendments() if each.rows == (row,)][-1]


def test_a_data_set_that_was_not_measured_makes_a_condition() -> None:
    results = world("C1", "true")
    kept = results.comparisons["dataset"].ne("films")
    found = judge(ROWS["C1"], dataclasses.replace(results, comparisons=results.comparisons[kept]))
    assert found.word == CONDITIONS
    assert found.because == "shown on shop, garments; not measured on films"
    assert "--dataset films" in _outcome(found, LISTING).part.remedy


def test_damage_drawn_once_for_all_seeds_decides_nothing() -> None:
    results = world("D2", "true")
    results.comparisons["condition"] = results.comparisons["condition"].str.replace(
        ', "draw": "of each seed"', ""
    )
    found = judge(ROWS["D2"], results)
    assert found.word == OPEN
    assert {each.says for part in found.parts for each in part.findings} == {"printed"}


def test_other_fusions_on_mispaired_data_are_printed_and_repair_has_a_verdict_of_its_own() -> None:
    results = world("F2", "true")
    table = results.comparisons
    gated = table[table["recommender"].eq("damaged")].assign(reference="gated", relative_gain=0.0)
    none = table["recommender"].eq("repaired")
    table.loc[none, ["relative_gain", "relative_low", "relative_high"]] = (0.0, -0.005, 0.005)
    found = judge(ROWS["F2"], dataclasses.replace(results, comparisons=pd.concat([table, gated])))
    costs, repair, _ = found.parts
    assert (costs.word, repair.word, found.word) == (HOLDS, FAILS, CONDITIONS)
    assert {each.says for each in costs.findings if "gated" in each.text} == {"printed"}
    assert all("repaired against not repaired" in each.text for each in repair.findings)


def test_holm_counts_every_modality_that_was_tried() -> None:
    """One of three losses at p = 0.03 is no loss; p = 0.03 alone would have been."""
    results = world("D2", "undecided")
    table = results.comparisons
    text = table["condition"].str.contains('"text"')
    table.loc[text, ["relative_gain", "relative_low", "relative_high"]] = (-0.1, -0.19, -0.01)
    assert judge(ROWS["D2"], results).word == OPEN
    assert judge(ROWS["D2"], results, corrected=False).word == HOLDS


def test_one_seed_decides_nothing() -> None:
    results = world("C1", "true")
    results.comparisons["n_seeds"] = 1
    found = judge(ROWS["C1"], results)
    assert found.word == OPEN and "one seed" in found.parts[0].findings[0].text


def test_what_stood_in_for_a_data_set_is_no_evidence_on_it() -> None:
    def word(name: str, value: object) -> str:
        results = world("T2", "true")
        rows = results.quoted.drop_duplicates("dataset").assign(name=name, value=value)
        quoted = pd.concat([results.quoted, rows])
        return judge(ROWS["T2"], dataclasses.replace(results, quoted=quoted)).word

    assert word("cnn-stand-in", "shop") == OPEN
    for name, value in (("cnn-stand-in", ""), ("cnn-stand-in", np.nan), ("rnn-stand-in", "shop")):
        assert word(name, value) == HOLDS


def test_half_of_the_evidence_is_none() -> None:
    results = world("E3", "true")
    kept = results.quoted["name"].ne("rnn-gradient-difference")
    half = dataclasses.replace(results, quoted=results.quoted[kept])
    assert judge(ROWS["E3"], half).word == OPEN


def test_the_best_is_chosen_on_validation_never_on_the_test() -> None:
    table = world("A6", "true").measures
    results = Results(table, pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), {})
    assert best(results, "shop", "single", LISTING) is None
    assert best(results, "shop", "baseline") == "EASE"
    better = table.assign(value=table["value"].where(table["split"].eq("validation"), 9.0))
    better.loc[better["recommender"].eq("popularity") & better["split"].eq("default"), "value"] = 99
    assert best(dataclasses.replace(results, measures=better), "shop", "baseline") == "EASE"


@pytest.mark.parametrize(
    ("column", "factor"), [("bytes", 2.1), ("user_ms", 8.1)], ids=["too large", "too slow"]
)
def test_what_is_too_large_or_too_slow_is_not_compressed(column: str, factor: float) -> None:
    """In the true world int8 is 16 times smaller and faster; the bars are 8 and 2."""
    results = world("F1", "true")
    at = results.costs["recommender"].eq("int8")
    results.costs.loc[at, column] *= factor
    found = judge(ROWS["F1"], results)
    assert found.word == FAILS
    results.costs.loc[at, column] /= factor**0.9  # again within the bar
    assert judge(ROWS["F1"], results).word == HOLDS


def test_the_bars_of_compression_need_seeds() -> None:
    results = world("F1", "true")
    one = dataclasses.replace(
        results,
        costs=results.costs[results.costs["seed"].eq(0)],
        comparisons=results.comparisons.assign(n_seeds=1),
    )
    found = judge(ROWS["F1"], one)
    assert found.word == OPEN
    assert {each.says for each in found.parts[0].findings} == {"undecided"}


def test_numbers_as_chapters_quote_them() -> None:
    assert number("60% of the oracle's") == 0.6
    assert number("0.177 (60% of") == 0.177
    assert number("−4%") == -0.04
    assert np.isnan(number(None)) and np.isnan(number("lives"))


def test_the_page_has_a_target_and_a_verdict_for_every_row() -> None:
    page = as_markdown(judge_all(None))
    for row in ROWS.values():
        assert f"({row.anchor})=" in page and row.chinese in page
        assert row.reading in page
    assert page.count("\nVerdict\n") == len(ROWS)
    assert all(each.word in VERDICTS for each in judge_all(None))


def test_faults_of_the_file_are_named(tmp_path: Path) -> None:
    row = 'id="A1"\nsection="1"\ngroup="g"\ntitle="t"\nenglish="e"\nchinese="c"\nevidence="v"\nwhere=[]\n'
    path = tmp_path / "ledger.toml"
    path.write_text(f'[[row]]\n{row}rule=[{{kind="guess"}}]\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"A1: its rule is 'guess'"):
        read_ledger(path)
    twice = tmp_path / "twice.toml"
    twice.write_text(f'[[row]]\n{row}rule=[{{kind="untestable"}}]\n' * 2, encoding="utf-8")
    with pytest.raises(ValueError, match="A1 stands there twice"):
        read_ledger(twice)
    short = tmp_path / "short.toml"
    short.write_text('[[row]]\nid="B1"\nwhere=[]\nrule=[{kind="untestable"}]\n', encoding="utf-8")
    with pytest.raises(ValueError, match="row B1"):
        read_ledger(short)


def test_rows_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ROWS["A1"].title = "another"
