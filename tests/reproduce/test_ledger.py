"""The ledger: every row of the article, and verdicts that follow from results alone."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mmtutorial.reproduce.ledger import (
    OPEN,
    UNTESTABLE,
    VERDICTS,
    as_markdown,
    best,
    judge,
    judge_all,
    number,
    read_ledger,
)
from mmtutorial.reproduce.results import Results

IDS = [
    "A1",
    "A2",
    "A3",
    "A4",
    "A5",
    "A6",
    "A7",
    "E1",
    "E2",
    "E3",
    "T1",
    "T2",
    "T3",
    "S1",
    "S2",
    "N1",
    "C1",
    "C2",
    "C3",
    "D1",
    "D2",
    "M1",
    "P1",
    "F1",
    "F2",
    "F3",
    "F4",
    "R1",
]
ROWS = {row.id: row for row in read_ledger()}


def results(gains=None, metric="ndcg", quoted=(), noise=None):
    """Results of one data set a gain: (gain, low, high) of concatenation over text."""
    gains = gains or {}
    measures = [
        {"dataset": name, "experiment": "fusions", "recommender": recommender, "fusion": fusion,
             "modalities": modalities, "condition": "", "split": "validation", "metric": "ndcg", "k": 10, "seed": 0,
             "value": value}
        for name in gains
        for recommender, fusion, modalities, value in (
            ("text", "", "text", 0.2), ("image", "", "image", 0.1),
            ("concatenation", "concatenation", "text + image", 0.3),
            ("late", "late", "text + image", 0.25))
    ]  # fmt: skip
    comparisons = [
        {"dataset": name, "experiment": "fusions", "recommender": "concatenation", "reference": reference,
             "condition": "", "metric": each, "k": 10, "mean": 0.3, "reference_mean": 0.2, "relative_gain": gain,
             "relative_low": low, "relative_high": high, "p": 0.01, "p_holm": 0.01, "n_users": 9, "n_seeds": 5,
             "over": "users and seeds"}
        for name, (gain, low, high) in gains.items()
        for reference in ("text", "image")
        for each in ([metric] if isinstance(metric, str) else metric)
    ]  # fmt: skip
    if noise:
        comparisons.append(
            {"dataset": "shop", "experiment": "quality of data", "recommender": "damaged",
                 "reference": "concatenation", "metric": "ndcg", "k": 10, "mean": 0, "reference_mean": 0,
                 "condition": '{"damage": "absent", "damaged": "text", "level": 0.5}', "p": 0.1, "p_holm": 0.1,
                 "relative_gain": noise[0], "relative_low": noise[1], "relative_high": noise[2], "n_users": 9,
                 "n_seeds": 3, "over": "users and seeds"}
        )  # fmt: skip
    return Results(
        pd.DataFrame(measures, columns=["dataset", "experiment", "recommender", "fusion",
                                        "modalities", "condition", "split", "metric", "k", "seed",
                                        "value"]),
        pd.DataFrame(comparisons),
        pd.DataFrame(),
        pd.DataFrame(quoted, columns=["dataset", "profile", "seed", "notebook", "name", "value"]),
        {},
    )  # fmt: skip


def test_every_row_of_the_article_is_there_once():
    assert sorted(ROWS) == sorted(IDS)


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_rows_say_what_they_must(row):
    assert row.title and row.english and row.chinese and row.evidence and row.section
    assert row.where or row.rule["kind"] == "open"
    assert not set(row.rule) & {"verdict", "word"}  # nobody writes a verdict
    assert ("at_best" in row.rule) <= ("condition" in row.rule)
    assert row.rule.get("at_best", VERDICTS[1]) in VERDICTS


def test_without_evidence_there_is_no_verdict():
    empty = results()
    for verdict in [*judge_all(None), *judge_all(empty)]:
        untestable = verdict.row.rule["kind"] == "untestable"
        assert verdict.word == (UNTESTABLE if untestable else OPEN)


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        ({"shop": (0.2, 0.11, 0.3)}, "holds"),
        ({"shop": (0.2, 0.11, 0.3), "garments": (0.3, 0.2, 0.4)}, "holds"),
        ({"shop": (0.2, 0.11, 0.3), "lastfm": (0.0, -0.1, 0.05)}, "holds under conditions"),
        ({"shop": (0.2, 0.11, 0.3), "lastfm": (0.1, 0.0, 0.2)}, "holds under conditions"),
        ({"shop": (0.12, 0.02, 0.2)}, "open"),
        ({"shop": (0.02, -0.02, 0.06), "lastfm": (0.1, 0.0, 0.2)}, "open"),
        ({"shop": (0.02, -0.02, 0.06)}, "does not hold"),
    ],
)
def test_the_interval_decides(gains, word):
    verdict = judge(ROWS["C1"], results(gains))
    assert verdict.word == word
    assert verdict.evidence


def test_conditions_name_where():
    found = judge(ROWS["C1"], results({"shop": (0.2, 0.11, 0.3), "lastfm": (0.0, -0.1, 0.05)}))
    assert found.because == "shown on shop; contradicted on lastfm"


def test_a_metric_that_fails_decides_a_row_of_several():
    both = results({"shop": (0.2, 0.11, 0.3)}, ["ndcg", "intra_list_diversity"])
    assert judge(ROWS["C3"], both).word == "holds"
    table = both.comparisons
    table.loc[table["metric"].eq("intra_list_diversity"), ["relative_low", "relative_high"]] = (
        -0.04, -0.02,
    )  # fmt: skip
    assert judge(ROWS["C3"], both).word == "does not hold"


def test_one_seed_tells_nothing_of_item_coverage():
    metrics = ["item_coverage", "user_coverage"]
    found = results({"shop": (0.2, 0.11, 0.3)}, metrics)
    assert judge(ROWS["C2"], found).word == "holds"
    found.comparisons.loc[lambda t: t["metric"].eq("item_coverage"), "relative_low"] = np.nan
    assert judge(ROWS["C2"], found).word == "open"


def test_losses():
    assert judge(ROWS["D2"], results(noise=(-0.2, -0.3, -0.1))).word == "holds"
    assert judge(ROWS["D2"], results(noise=(0.2, 0.1, 0.3))).word == "does not hold"
    noisy = results(noise=(-0.2, -0.3, -0.1))
    noisy.comparisons["condition"] = noisy.comparisons["condition"].str.replace("absent", "noise")
    found = judge(ROWS["D2"], noisy)  # told, but only what is withheld decides
    assert found.word == "open" and [each.says for each in found.evidence] == ["beside"]


def test_quoted_conditions_need_all_their_numbers():
    there = [("shop", "quick", 0, "03_cnn", "cnn-toeplitz-difference", "4e-15")]
    assert judge(ROWS["E2"], results(quoted=there)).word == "open"
    there += [
        ("shop", "quick", 0, "03_cnn", "cnn-shared-weights", "864"),
        ("shop", "quick", 0, "03_cnn", "cnn-dense-weights", "88,473,600"),
    ]
    found = judge(ROWS["E2"], results(quoted=there))
    assert found.word == "holds under conditions"
    assert "sparse" in ROWS["E2"].evidence and found.because == ROWS["E2"].rule["condition"]


def test_what_stood_in_for_a_data_set_is_no_evidence_on_it():
    def word(name, told):
        quotes = {"rnn-accuracy": "0.9", "rnn-frequent": "0.5", name: told}
        rows = [("lastfm", "quick", 0, "04_rnn", *each) for each in quotes.items()]
        return judge(ROWS["E3"], results(quoted=rows)).word

    assert word("rnn-stand-in", "shop") == OPEN
    for name, told in (("rnn-stand-in", ""), ("rnn-stand-in", np.nan), ("cnn-stand-in", "shop")):
        assert word(name, told) == "holds under conditions"


def test_the_best_is_chosen_on_validation():
    found = results({"shop": (0.2, 0.11, 0.3)})
    assert best(found, "shop", "single") == "text"
    assert best(found, "shop", "fusions") == "concatenation"
    assert best(found, "shop", "baseline") is None


def test_numbers_as_chapters_quote_them():
    assert number("60% of the oracle's") == 0.6
    assert number("0.177 (60% of") == 0.177
    assert number("−4%") == -0.04
    assert np.isnan(number(None)) and np.isnan(number("lives"))


def test_the_page_has_a_target_and_a_verdict_for_every_row():
    page = as_markdown(judge_all(None))
    for row in ROWS.values():
        assert f"({row.anchor})=" in page and row.chinese in page
    assert page.count("\nVerdict\n") == len(ROWS)


def test_faults_of_the_file_are_named(tmp_path):
    row = 'id="A1"\nsection="1"\ngroup="g"\ntitle="t"\nenglish="e"\nchinese="c"\nevidence="v"\nwhere=[]\n'
    path = tmp_path / "ledger.toml"
    path.write_text(f'[[row]]\n{row}rule={{kind="guess"}}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"A1: its rule is 'guess'"):
        read_ledger(path)
    twice = tmp_path / "twice.toml"
    twice.write_text(f'[[row]]\n{row}rule={{kind="open"}}\n' * 2, encoding="utf-8")
    with pytest.raises(ValueError, match="A1 stands there twice"):
        read_ledger(twice)
    short = tmp_path / "short.toml"
    short.write_text('[[row]]\nid="B1"\nwhere=[]\nrule={kind="open"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="row B1"):
        read_ledger(short)


def test_rows_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ROWS["A1"].title = "another"
