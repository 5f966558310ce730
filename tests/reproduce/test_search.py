"""One budget for every arm: the search, what it keeps, and what profile full takes from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmtutorial import recommenders
from mmtutorial.reproduce import search as searching
from mmtutorial.reproduce.grids import Facts, Plan
from mmtutorial.reproduce.measure import make, stage_of
from mmtutorial.reproduce.run import reproduce
from mmtutorial.reproduce.search import as_json, defaults, search
from mmtutorial.reproduce.search_spaces import BLEND, MEMBERS, NEIGHBOURS, RIDGE, Arm, all_arms
from mmtutorial.reproduce.settings import read_settings, settings_file
from mmtutorial.reproduce.tasks import Task

SHOP = Facts("shop", ("text", "image"), truth=True, made={"n_items": 40, "n_users": 60})
ARMS = [
    Arm("baselines", "popularity", "Popularity"),
    Arm("baselines", "item-kNN", "ItemKNN", (), {}, NEIGHBOURS),
    Arm("baselines", "EASE", "EASE", (), {}, RIDGE),
    Arm("fusions", BLEND, "Blend", None),
]


@pytest.mark.parametrize("arm", all_arms(("text", "image"), True), ids=lambda arm: arm.name)
def test_every_option_of_every_space_is_one_of_its_class(arm: Arm) -> None:
    options = Plan(SHOP, "full", (0,)).options(arm)
    data = stage_of(Task("", "shop", "", "", made=SHOP.made)).data
    known = make(arm.kind, options, arm.modalities, 0, data).options()
    assert {name.partition(".")[0] for name in [*arm.space, *arm.fixed]} <= set(known)
    assert bool({"epochs", "steps"} & set(known)) == arm.learns
    if arm.learns:
        assert defaults(arm.kind, arm.space)  # the search begins with what the library takes


def test_a_blends_members_are_arms() -> None:
    names = {arm.name for arm in all_arms(("text", "image"), False)}
    assert all(names.issuperset(members) for members in MEMBERS)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search a few quick arms, in this process."""

    def here(function, work, jobs):
        return [(name, function(each)) for name, each in work.items()]

    monkeypatch.setattr(searching, "all_arms", lambda names, truth: ARMS)
    monkeypatch.setattr(searching, "MEMBERS", (("item-kNN", "EASE"), ("popularity", "EASE")))
    monkeypatch.setattr(searching, "run_all", here)


def test_each_arm_gets_the_same_trials_and_a_second_run_keeps_them(
    few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = search(SHOP, tmp_path, n_trials=6)
    arms = found["arms"]
    assert list(arms) == ["item-kNN", "EASE", BLEND]
    assert [len(arm["trials"]) for arm in arms.values()] == [6, 6, 2]  # of two combinations
    for arm in arms.values():
        best = max(trial["validation"]["ndcg"] for trial in arm["trials"])
        assert arm["ndcg"] == best
        assert arm["at popularity's level"] == (best <= found["popularity"])
    members = arms[BLEND]["options"]["recommenders"]
    assert members[1]["options"] == arms["EASE"]["options"]
    text = as_json(found)
    assert json.loads(text) == json.loads(json.dumps(found))
    monkeypatch.setattr(recommenders.EASE, "fit", None)  # nothing is left to fit
    monkeypatch.setattr(recommenders.ItemKNN, "fit", None)
    assert as_json(search(SHOP, tmp_path, n_trials=6)) == text


def test_what_was_chosen_is_read_and_what_is_damaged_is_named(tmp_path: Path) -> None:
    path = settings_file(tmp_path, "a/folder/shop")
    assert path == tmp_path / "results" / "settings" / "shop.json" and read_settings(path) == {}
    path.parent.mkdir(parents=True)
    path.write_text('{"arms": {"EASE": {"options": {"l2": 3.0}, "trials": []}}}')
    assert read_settings(path) == {"EASE": {"l2": 3.0}}
    path.write_text("[1]")
    with pytest.raises(ValueError, match=r"shop\.json holds no chosen options .* --tune"):
        read_settings(path)


def test_a_search_for_profile_quick_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give --profile full with --tune"):
        reproduce(out=tmp_path, trials=2)
    with pytest.raises(ValueError, match="trials is 0"):
        search(SHOP, tmp_path, n_trials=0)
