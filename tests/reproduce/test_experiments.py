"""Experiments: the grid, one measurement, the map over processes and clusters, the tables."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from mmtutorial import datasets
from mmtutorial.reproduce import cluster
from mmtutorial.reproduce.cluster import run_tasks
from mmtutorial.reproduce.grids import GRIDS, Facts, Plan, grid
from mmtutorial.reproduce.ledger import judge_all
from mmtutorial.reproduce.levels import ARTICLE, LEVELS, TODAY, TOWERS
from mmtutorial.reproduce.measure import measure, stage_of
from mmtutorial.reproduce.results import Results, bands, gather, outside, quoted_table
from mmtutorial.reproduce.search_spaces import FUSIONS
from mmtutorial.reproduce.serving import served
from mmtutorial.reproduce.tasks import Outcome, Task
from mmtutorial.storage import checkpoint, digests
from mmtutorial.storage.epochs import Epochs

pytestmark = pytest.mark.usefixtures("eager")

PATIENCE = 300  # seconds: a busy machine takes long to begin
SMALL = {"n_items": 40, "n_users": 30, "seed": 0}
TOWER = Task(
    "fusions", "shop", "concatenation", "TwoTower", options={"steps": 2, "validate_every": 1},
    modalities=("text", "image", "audio"), made=SMALL,
)  # fmt: skip
CHANCE = Task(
    "baselines", "shop", "random", "Random", options={"seed": 0}, modalities=(),
    made=SMALL,
)  # fmt: skip
CHANCES = [replace(CHANCE, seed=seed, options={"seed": seed}) for seed in range(4)]


def same(left, right):
    """Whether two lists of outcomes say the same, times aside."""
    return [(a.task, a.rows, a.ranked.tolist(), a.per_user.to_numpy().tobytes()) for a in left] == [
        (b.task, b.rows, b.ranked.tolist(), b.per_user.to_numpy().tobytes()) for b in right
    ]


# The grid


SHOP = Facts(
    "shop", ("text", "image", "audio"), ("text", "image", "audio"), truth=True, worlds=True,
    tasks=("kind", "rating", "words"),
)  # fmt: skip
LASTFM = Facts("lastfm", ("text", "audio", "words"), ready_made=True)
ALONE = Facts("lastfm", ("text",))


@pytest.mark.parametrize("facts", [SHOP, LASTFM, ALONE], ids=["shop", "lastfm", "one modality"])
@pytest.mark.parametrize("profile", ["quick", "full"])
def test_no_two_tasks_are_the_same(facts, profile):
    tasks = grid(facts.dataset, profile, 2, facts=facts)
    assert len({task.key() for task in tasks}) == len(tasks)
    limits = {"Oracle"} if profile == "quick" else {"Oracle", "IdealObserver"}  # takes minutes
    assert {task.kind for task in tasks if task.recommender in ("oracle", "ideal observer")} == (
        limits if facts.truth else set()
    )


def test_full_has_five_seeds_of_every_fusion_and_modality():
    tasks = grid("shop", "full", 5, ["fusions"], facts=SHOP)
    names = [task.recommender for task in tasks if task.seed == 4]
    for name in ("text", "image", "audio", "text + image", "ids", "blend",
                 *FUSIONS, *(f"{name} + ids" for name in FUSIONS if name != "late")):  # fmt: skip
        assert names.count(name) == 1
    assert len(tasks) == 5 * len(names)


def test_full_takes_the_chosen_options_and_quick_does_not():
    chosen = {"EASE": {"l2": 7.0}, "text": {"depth": 1}, "late": {"dropout": 0.1}}
    for profile, options in (("full", ({"l2": 7.0}, 1, "late")), ("quick", ({}, None, None))):
        plan = Plan(LASTFM if profile == "full" else SHOP, profile, (0,), chosen)
        tasks = {task.recommender: task.options for name in ("fusions", "baselines")
                 for task in GRIDS[name](plan)}  # fmt: skip
        late = tasks.get("late", {})
        assert (tasks["EASE"], tasks["text"].get("depth"), late.get("fusion")) == options
        if profile == "full":
            assert late["dropout"] == 0.1 and "dimensions" not in late  # not the defaults' 128
            assert tasks["gated"]["dimensions"] == 128  # nobody has searched for it
            assert tasks["blend"]["recommenders"][1]["options"] == {"l2": 7.0}


def test_an_unknown_profile_experiment_or_number_is_refused():
    with pytest.raises(ValueError, match="'quick' or 'full'"):
        grid("shop", "slow", 1, facts=SHOP)
    with pytest.raises(ValueError, match="no experiment 'fusion'; there are fusions"):
        grid("shop", "quick", 1, ["fusion"])
    with pytest.raises(ValueError, match="at least one"):
        grid("shop", "quick", 0)


def test_a_key_depends_on_the_task():
    assert TOWER.key() == replace(TOWER).key()
    others = [
        replace(TOWER, seed=1), replace(TOWER, options={"steps": 3}),
        replace(TOWER, damage={"noise": {"text": 1.0}}), replace(TOWER, raw=True),
    ]  # fmt: skip
    assert len({each.key() for each in [TOWER, *others]}) == 5


def test_a_key_depends_on_the_code_of_its_own_recommender_alone(monkeypatch):
    blend = replace(CHANCE, kind="Blend", options={"recommenders": [
        {"kind": "TwoTower", "options": {}, "modalities": ()},
        {"kind": "EASE", "options": {}, "modalities": ()}]})  # fmt: skip
    before = [task.code() for task in (TOWER, CHANCE, blend)]
    defined = digests._read

    def changed(path):
        digest, imported = defined(path)
        return (digest + "!" * (path.parent.name == "two_tower"), imported)

    monkeypatch.setattr(digests, "_read", changed)
    digests.code_digest.cache_clear()
    after = [task.code() for task in (TOWER, CHANCE, blend)]
    digests.code_digest.cache_clear()
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, True, False]


# One measurement


def test_the_same_task_measures_the_same_whatever_came_before():
    first = measure(TOWER)
    measure(CHANCE)
    assert same([first], [measure(TOWER)])
    assert not same([first], [measure(replace(TOWER, seed=1))])


def test_learning_that_was_interrupted_goes_on_to_the_same_outcome(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    end = Epochs.end

    def interrupted(self, *told, **more):
        if self.history["loss"]:
            raise KeyboardInterrupt
        end(self, *told, **more)

    monkeypatch.setattr(Epochs, "end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure(TOWER, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    begun = []

    def counted(self, *told, **more):
        begun.append(len(self.history["loss"]))
        end(self, *told, **more)

    monkeypatch.setattr(Epochs, "end", counted)
    found = measure(TOWER, tmp_path)
    assert begun == [1] and list(tmp_path.iterdir()) == []
    assert same([found], [measure(TOWER)]) and found.cost["epochs"] == 2


def test_an_outcome_survives_packing():
    outcome = measure(CHANCE)
    assert same([outcome], [Outcome.of_bytes(outcome.to_bytes())])
    with pytest.raises(ValueError, match="not an outcome"):
        Outcome.of_bytes(outcome.to_bytes()[:100])


def test_a_modality_that_is_absent_from_all_items_tells_nothing():
    taken = replace(TOWER, damage={"absent": {"text": 1.0}})
    values = {row["metric"]: row["value"] for row in measure(taken).rows if row["k"] == 10}
    assert 0 <= values["ndcg"] <= 1


def test_raw_media_cost_operations():
    cost = measure(replace(TOWER, raw=True, modalities=("image",), options={"steps": 1})).cost
    assert cost["operations"] > 1e5 and cost["parameters"] > 1e3


# The map


def test_processes_give_what_one_gives_and_the_next_run_keeps_it(tmp_path):
    told = []
    found, failures = run_tasks(
        [*CHANCES, CHANCES[0]], tmp_path, jobs=2, tell=lambda *each: told.append(each[:2])
    )
    assert not failures and told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert same(found, [measure(task) for task in CHANCES])
    again, _ = run_tasks(CHANCES, tmp_path, function=None)  # nothing is left to measure
    assert same(again, found)


def test_what_is_unfinished_lies_beside_the_outcomes_until_all_are_there(tmp_path, monkeypatch):
    asked = []

    def once(function, todo, jobs, scheduler):
        asked.append(function.keywords["resume"])
        asked[-1].mkdir(exist_ok=True)
        (name,) = todo
        yield name, RuntimeError("died") if len(asked) == 1 else measure(CHANCE)

    monkeypatch.setattr(cluster, "run_all", once)
    for failed in (1, 0):
        assert len(run_tasks([CHANCE], tmp_path)[1]) == failed
        assert asked[-1] == tmp_path / "unfinished" and asked[-1].exists() == bool(failed)


def test_workers_keep_freed_memory_and_compute_with_one_thread():
    asked = {name: name for name in ("MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS")}
    assert dict(cluster.run_all(os.getenv, asked)) == dict(zip(asked, (None, "1"), strict=True))


def test_a_failing_task_is_named_and_the_others_go_on(tmp_path):
    bad = replace(CHANCE, options={"colour": "red"})
    with pytest.raises(TypeError, match="colour") as raised:
        measure(bad)
    error, expected = raised.value.with_traceback(None), measure(CHANCES[1])

    def function(task):
        if "colour" in task.options:
            raise error
        return expected

    found, failures = run_tasks([bad, CHANCES[1]], tmp_path, jobs=1, function=function)
    assert same(found, [expected])
    assert "random on shop, seed 0" in str(failures[0]) and "colour" in str(failures[0])


def handed_out(tasks):
    """Return outcomes that are known, and what returns them in another process, half a second each.

    Its processes need not import what measures.
    """
    known = {task.seed: measure(task) for task in tasks}

    def wait(task):
        from time import sleep

        sleep(0.5)
        return known[task.seed]

    return list(known.values()), wait


def test_a_worker_that_dies_loses_its_own_task_only(tmp_path):
    killed = []
    expected, function = handed_out(CHANCES)

    def kill(done, of, task):
        if not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    found, failures = run_tasks(CHANCES, tmp_path, jobs=2, tell=kill, function=function)
    assert killed and not failures
    assert same(found, expected)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(f"""
        from mmtutorial.reproduce.cluster import run_tasks
        from mmtutorial.reproduce.tasks import Task
        if __name__ == "__main__":
            tasks = [Task("baselines", "shop", "random", "Random", seed, {{"seed": seed}},
                          (), {SMALL}) for seed in range(4)]
            run_tasks(tasks, {str(tmp_path / "out")!r}, jobs=1)
        """)
    )
    outcomes = tmp_path / "out" / "outcomes"
    for wanted in (1, 2, 3):  # in three different places
        run = subprocess.Popen([sys.executable, script])
        until = time.monotonic() + PATIENCE
        while len(list(outcomes.glob("*.npz"))) < wanted and time.monotonic() < until:
            time.sleep(0.01)
        workers = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        run.kill()
        run.wait()
        until = time.monotonic() + PATIENCE
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
            time.sleep(0.1)
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers), "workers live on"
    there = {path.name: path.stat().st_mtime_ns for path in outcomes.glob("*.npz")}
    assert len(there) >= 3
    found, failures = run_tasks(CHANCES, tmp_path / "out", jobs=1)
    assert not failures and same(found, [measure(task) for task in CHANCES])
    now = {path.name: path.stat().st_mtime_ns for path in outcomes.glob("*.npz")}
    assert there.items() <= now.items()  # what was finished was not made again


def test_a_cluster_gives_the_same_though_a_worker_is_killed(tmp_path):
    distributed = pytest.importorskip("distributed")
    killed = []
    expected, function = handed_out(CHANCES)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def kill(done, of, task):
            if not killed:
                pids = client.run(os.getpid)
                killed.append(next(iter(pids.values())))
                os.kill(killed[0], signal.SIGKILL)

        found, failures = run_tasks(
            CHANCES, tmp_path, scheduler=cluster.scheduler_address, tell=kill, function=function
        )
    assert killed and not failures
    assert same(found, expected)


def test_no_jobs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="jobs is 0"):
        run_tasks([], tmp_path, jobs=0)


# The tables


@pytest.fixture(scope="module")
def outcomes():
    tasks = [
        replace(TOWER, recommender=name, modalities=read, seed=seed)
        for seed in range(2)
        for name, read in (("text", ("text",)), ("image", ("image",)),
                           ("concatenation", ("text", "image", "audio")))
    ]  # fmt: skip
    spoilt = replace(
        TOWER, experiment="quality of data", damage={"noise": {"text": 4.0}},
        condition={"damage": "noise", "damaged": "text", "level": 4.0},
    )  # fmt: skip
    whole = replace(TOWER, experiment="quality of data")
    tf.config.run_functions_eagerly(True)
    try:
        return [measure(task) for task in [*tasks, whole, spoilt, *CHANCES[:2]]]
    finally:
        tf.config.run_functions_eagerly(False)


def test_tables_do_not_depend_on_the_order_of_work(outcomes, tmp_path):
    names = ("measures", "comparisons")
    texts = []
    for folder, some in (("a", outcomes), ("b", outcomes[::-1])):
        gather(some, profile="quick", n_draws=50).save(tmp_path / folder)
        texts.append([(tmp_path / folder / f"{name}.csv").read_bytes() for name in names])
    assert texts[0] == texts[1]


def test_comparisons_equal_the_paired_comparison(outcomes):
    table = gather(outcomes, profile="quick", n_draws=50).comparisons
    chosen = table[table["recommender"].eq("concatenation") & table["reference"].eq("text")
                   & table["metric"].eq("ndcg") & table["experiment"].eq("fusions")]  # fmt: skip
    assert len(chosen) == 1 and chosen["n_seeds"].item() == 2
    by_name = {
        name: np.mean([o.per_user["ndcg"].mean() for o in outcomes
                       if o.task.recommender == name and o.task.experiment == "fusions"])
        for name in ("concatenation", "text")
    }  # fmt: skip
    gain = by_name["concatenation"] / by_name["text"] - 1
    assert chosen["relative_gain"].item() == pytest.approx(gain)
    spoilt = table[table["experiment"].eq("quality of data")]
    assert set(spoilt["reference"]) == {"concatenation"} and len(spoilt) == 9
    assert json.loads(spoilt["condition"].iloc[0])["damaged"] == "text"


def test_a_new_run_takes_the_place_of_what_it_measured(outcomes):
    everything = gather(outcomes, profile="full", n_draws=50)
    towers = [each for each in outcomes if each.task.experiment in ("fusions", "baselines")]
    changed = [
        replace(each, rows=[{**row, "value": 0.5} for row in each.rows]) for each in towers
    ]  # fmt: skip
    new = gather(changed, profile="full", n_draws=50)
    both = everything.renewed(new)
    assert len(both.measures) == len(everything.measures)
    spoilt = both.measures["experiment"].eq("quality of data")
    old = everything.measures
    kept = old[old["experiment"].eq("quality of data")].reset_index(drop=True)
    pd.testing.assert_frame_equal(both.measures[spoilt].reset_index(drop=True), kept)
    assert both.measures.loc[~spoilt, "value"].eq(0.5).all()
    (run,) = both.environment["runs"]  # of one commit and machine
    assert run["measured"] == {"shop": ["baselines", "fusions", "quality of data"]}
    nothing = everything.renewed(gather([], profile="full"))  # an experiment without tasks
    assert nothing.environment["runs"] == everything.environment["runs"]
    (run,) = everything.environment["runs"]
    older = {**everything.environment, "runs": [{**run, "commit": "another"}]}
    runs = replace(everything, environment=older).renewed(new).environment["runs"]
    assert [(run["commit"] == "another", run["measured"]) for run in runs] == [
        (True, {"shop": ["quality of data"]}), (False, {"shop": ["baselines", "fusions"]})
    ]  # fmt: skip
    per_user = ~both.comparisons["metric"].isin(
        ["item_coverage", "gini"]
    )  # whose values are the runs' own
    columns = ["dataset", "experiment", "recommender", "reference", "metric", "relative_gain"]
    pd.testing.assert_frame_equal(
        both.comparisons.loc[per_user, columns], everything.comparisons.loc[per_user, columns]
    )
    alone = gather([each for each in towers if each.task.experiment == "fusions"], profile="full")
    with pytest.raises(ValueError, match="of shop are compared with each other: measure baselines"):
        everything.renewed(alone)
    with pytest.raises(ValueError, match="do not mix"):
        everything.renewed(gather(towers, profile="quick", n_draws=50))


def test_a_level_is_added_beside_the_same_baselines_alone(outcomes):
    def renamed(outcome):
        fusion = outcome.task.experiment == "fusions"
        return (
            replace(outcome, task=replace(outcome.task, experiment=ARTICLE)) if fusion else outcome
        )

    def other(outcome):
        if outcome.task.experiment != "baselines":
            return outcome
        return replace(
            outcome, rows=[{**row, "value": row["value"] + 0.01} for row in outcome.rows]
        )

    before = [each for each in outcomes if each.task.experiment in ("fusions", "baselines")]
    after = [renamed(each) for each in before]
    old = gather(before, profile="full", n_draws=50)
    both = old.renewed(gather(after, profile="full", n_draws=50))
    assert set(both.measures["experiment"]) == {"fusions", "baselines", ARTICLE}
    again = both.renewed(gather(after, profile="full", n_draws=50))
    pd.testing.assert_frame_equal(both.measures, again.measures)
    others = gather([other(each) for each in after], profile="full", n_draws=50)
    with pytest.raises(ValueError, match="measure fusions too"):
        old.renewed(others)
    baseline = next(each for each in after if each.task.experiment == "baselines")
    fewer = [each for each in after if each is not baseline]
    with pytest.raises(ValueError, match="measure fusions too"):
        old.renewed(gather(fewer, profile="full", n_draws=50))

    def as_ids(table, value):  # a tower that reads nothing that a level could change
        row = table.measures[table.measures["recommender"].eq("concatenation")]
        row = row.assign(recommender="ids", modalities="", value=value)
        return replace(table, measures=pd.concat([table.measures, row], ignore_index=True))

    new = gather(after, profile="full", n_draws=50)
    assert len(as_ids(old, 0.1).renewed(as_ids(new, 0.1)).measures) > len(both.measures)
    with pytest.raises(ValueError, match="measure fusions too"):
        as_ids(old, 0.1).renewed(as_ids(new, 0.2))


def test_a_chapter_takes_its_own_place_alone():
    def ran(notebook, value):
        about = {"dataset": "shop", "profile": "full", "seed": 0, "name": "n-items"}
        quoted = quoted_table([{**about, "notebook": notebook, "value": value}])
        return gather([], quoted, profile="full")

    both = ran("01_data", 1).renewed(ran("03_cnn", 2)).renewed(ran("01_data", 3)).quoted
    assert dict(zip(both["notebook"], both["value"], strict=True)) == {
        "01_data": "3",
        "03_cnn": "2",
    }


def test_results_come_back_from_their_folder(outcomes, tmp_path):
    quoted = quoted_table(
        [
            {
                "dataset": "shop",
                "profile": "quick",
                "seed": 0,
                "notebook": "x",
                "name": "x-a",
                "value": 1.5,
            }
        ]
    )
    made = gather(outcomes, quoted, profile="quick", n_draws=50)
    found = Results.open(made.save(tmp_path))
    pd.testing.assert_frame_equal(found.measures, made.measures, check_dtype=False)
    assert (
        found.environment["profile"] == "quick"
        and found.environment["runs"][0]["threads a process"] == 1
    )
    assert float(found.quoted["value"].item()) == 1.5
    with pytest.raises(ValueError, match="holds no results"):
        Results.open(tmp_path / "nowhere")


def test_bands_find_what_lies_outside(outcomes):
    table = gather(outcomes, profile="quick", n_draws=50).measures
    expected = bands(table)
    assert outside(table, expected) == []
    table.loc[table["metric"].eq("hit_rate") & table["recommender"].eq("text"), "value"] += 0.9
    assert [line.split(" of ")[1].split(" is")[0] for line in outside(table, expected)] == ["text"]
    gone = table[table["recommender"].ne("image")]
    assert any("image" in line for line in outside(gone, expected))


def test_bands_pool_the_spread_of_recommenders_that_vary():
    values = {"still": [0.5, 0.5], "calm": [0.5, 0.5 + 1e-9], "lively": [0.4, 0.6]}
    table = pd.DataFrame(
        [
            {"dataset": "shop", "experiment": "fusions", "recommender": name, "metric": "ndcg",
             "k": 10, "split": "default", "seed": seed, "value": value}
            for name, seeds in values.items() for seed, value in enumerate(seeds)
        ]
    )  # fmt: skip
    found = bands(table, width=2.0).set_index("recommender")
    half = ((found["high"] - found["low"]) / 2).to_dict()
    assert half["still"] == pytest.approx(0.01)
    assert half["calm"] == half["lively"] == pytest.approx(2 * (0.02 / 2 * 1.5) ** 0.5)


def test_every_grid_has_a_name_of_its_own():
    for name, make in GRIDS.items():
        assert {task.experiment for task in make(Plan(SHOP, "full", range(1)))} == {name}


def test_reasons_are_held_against_the_truth_in_shops_of_other_seeds():
    tasks = GRIDS["explanations"](Plan(SHOP, "full", range(3)))
    assert {(task.seed, task.made["seed"]) for task in tasks} == {(0, 0), (1, 1), (2, 2)}
    assert {task.encoders for task in tasks} == {"auto", "article", "mixed"} and len(tasks) == 12
    assert GRIDS["explanations"](Plan(LASTFM, "full", range(3))) == []
    task = replace(TOWER, experiment="explanations", modalities=None)
    rows = {row["metric"]: row["value"] for row in measure(task).rows}
    assert rows["modality_cases"] > 0 and 0 <= rows["modality_named"] <= 1


# The listing with one modality, each pair, all


def test_the_listing_is_measured_with_each_branch_each_pair_and_all():
    names = ("text", "image", "audio")
    tasks = GRIDS["listing"](Plan(replace_facts(raw=names), "full", range(2)))
    listed = [task for task in tasks if task.kind == "ArticleNetwork" and task.seed == 1]
    assert [task.modalities for task in listed] == [
        *((name,) for name in names), ("text", "image"), ("text", "audio"), ("image", "audio"), names
    ]  # fmt: skip
    assert listed[-1].recommender == "concatenation" and "epochs" not in listed[0].options
    assert {task.recommender for task in tasks} >= {"popularity", "random"}
    assert GRIDS["listing"](Plan(replace_facts(raw=("text",)), "full", range(2))) == []
    two = GRIDS["listing"](Plan(replace_facts(raw=("text", "image")), "full", range(1)))
    assert [task.modalities for task in two[:3]] == [("text",), ("image",), ("text", "image")]


def replace_facts(**more):
    return replace(SHOP, made=SMALL, **more)


def test_damage_is_drawn_anew_for_every_seed():
    gone = [
        ~stage_of(replace(TOWER, seed=seed, damage={"absent": {"text": 0.5}})).features["text"].any(1)
        for seed in (0, 0, 1)
    ]  # fmt: skip
    np.testing.assert_array_equal(gone[0], gone[1])
    assert gone[0].sum() == gone[2].sum() == 20 and not np.array_equal(gone[0], gone[2])
    tasks = GRIDS["quality of data"](Plan(SHOP, "full", range(2)))
    assert {t.condition["draw"] for t in tasks if t.damage} == {"of each seed"}


def test_the_listing_is_compared_on_its_level_and_judged():
    plan = Plan(replace_facts(raw=("image", "audio")), "quick", range(1))
    tasks = [*GRIDS["listing"](plan), *GRIDS["listing on damaged data"](plan)]
    tiny = {"lstm_units": 4, "batch_size": 512}
    first = [
        measure(replace(task, options={**tiny, **task.options})
                if task.kind == "ArticleNetwork" else task)
        for task in tasks
    ]  # fmt: skip
    second = [  # another seed, a little worse: training anew takes long
        replace(each, task=replace(each.task, seed=1), per_user=0.9 * each.per_user)
        for each in first
    ]  # fmt: skip
    found = gather([*first, *second], profile="quick")
    table = found.comparisons
    pairs = set(zip(table["recommender"], table["reference"], strict=True))
    assert {("concatenation", "image"), ("concatenation", "audio"), ("concatenation", "popularity"),
            ("image", "popularity"), ("damaged", "concatenation")} <= pairs  # fmt: skip
    assert {"gini", "diversity_text", "diversity_image", "item_coverage"} <= set(table["metric"])
    several = table["n_seeds"].gt(1) & table["metric"].eq("ndcg") & table["relative_low"].notna()
    assert table.loc[several, "freedom"].gt(0).all()
    costs = found.costs.set_index("recommender")
    assert costs.loc["concatenation", "parameters"].min() > costs.loc["image", "parameters"].max()
    assert costs.loc["concatenation", "operations"].min() > costs.loc["image", "operations"].max()
    assert costs.loc["concatenation", "memory"].gt(1e6).all()
    c1 = next(each for each in judge_all(found) if each.row.id == "C1")
    assert c1.parts[0].says("shop") in ("shown", "contradicted", "undecided")
    assert c1.parts[1].says("shop") == "not measured"


# Controls and items held back


def test_permuted_features_are_those_of_other_items_and_random_ones_are_nobodys():
    names = ("text", "image", "audio")
    whole = stage_of(TOWER).features
    mixed = stage_of(replace(TOWER, damage={"permuted": dict.fromkeys(names, 1.0)})).features
    drawn = stage_of(replace(TOWER, damage={"random": dict.fromkeys(names, 1.0)})).features
    order = [
        next(row for row in range(40) if np.array_equal(whole["text"][row], each))
        for each in mixed["text"]
    ]
    assert sorted(order) == list(range(40)) and order != list(range(40))
    for name in names:
        np.testing.assert_array_equal(mixed[name], whole[name][order])
        np.testing.assert_array_equal(drawn[name].any(axis=1), whole[name].any(axis=1))
        assert drawn[name].shape == whole[name].shape
        assert abs(np.corrcoef(drawn[name].ravel(), whole[name].ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(drawn["text"][:, 0], drawn["image"][:, 0])[0, 1]) < 0.5


def test_a_share_of_one_modality_goes_to_other_items_and_none_of_them_keeps_its_own():
    whole = stage_of(TOWER).features
    damaged = replace(TOWER, damage={"mispaired": {"image": 0.5}})
    some, others = (stage_of(replace(damaged, seed=seed)).features for seed in (0, 1))
    there = whole["image"].any(axis=1)
    moved = (whole["image"] != some["image"]).any(axis=1)
    assert moved.sum() == round(0.5 * there.sum()) and not (moved & ~there).any()
    assert sorted(map(tuple, some["image"])) == sorted(map(tuple, whole["image"]))
    assert not np.array_equal(some["image"], others["image"])  # drawn for each seed
    for name in ("text", "audio"):
        np.testing.assert_array_equal(some[name], whole[name])


def test_a_repair_begins_with_the_same_mispairing_and_wins_some_of_it_back(monkeypatch):
    generator = np.random.default_rng(0)
    shared = generator.normal(size=(200, 8))
    features = {name: shared + 0.1 * generator.normal(size=(200, 8)) for name in ("text", "audio")}
    stage = replace(stage_of(TOWER), features=features)
    monkeypatch.setattr("mmtutorial.reproduce.measure._stage", lambda *about: stage)
    wrong, repaired = (
        (stage_of(replace(TOWER, damage={how: {"audio": 0.25}})).features["audio"]
         != features["audio"]).any(axis=1)
        for how in ("mispaired", "repaired")
    )  # fmt: skip
    assert wrong.sum() == 50 and repaired.sum() < 25


def test_the_grid_of_mispaired_items_has_whole_data_beside_every_arm_and_few_tasks():
    tasks = grid("shop", "full", 5, ["mispaired"], facts=SHOP)
    assert len(tasks) <= 70 and {task.seed for task in tasks} == {0, 1, 2}
    whole = {task.recommender for task in tasks if not task.damage}
    assert whole == {task.recommender for task in tasks} == {"concatenation", "gated", "attention"}
    assert {task.condition.get("damage") for task in tasks} == {None, "mispaired", "repaired"}
    assert len(grid("big", "full", 5, ["mispaired"], facts=replace(SHOP, large=True))) == 21
    assert not grid("shop", "quick", 1, ["mispaired"], facts=SHOP)


def test_mispaired_data_are_compared_with_whole_ones_and_repaired_ones_with_both():
    def task(how, fusion):
        about = {"damage": how, "damaged": "text", "level": 0.5} if how else {}
        damage = {how: {"text": 0.5}} if how else {}
        return replace(CHANCE, experiment="mispaired", recommender=fusion, damage=damage,
                       condition=about)  # fmt: skip

    fusions = ("concatenation", "gated")
    some = [measure(task(how, each)) for how in ("", "mispaired") for each in fusions]
    some.append(measure(task("repaired", "concatenation")))
    table = gather(some, profile="full", n_draws=10).comparisons
    rows = table[table["metric"].eq("ndcg")]
    damage = [json.loads(each)["damage"] for each in rows["condition"]]
    assert sorted(zip(rows["recommender"], rows["reference"], damage, strict=True)) == [
        ("damaged", "concatenation", "mispaired"),
        ("damaged", "concatenation", "repaired"),
        ("damaged", "gated", "mispaired"),
        ("repaired", "concatenation, mispaired", "repaired"),
    ]


def test_items_held_back_are_others_for_each_seed_and_compete_among_each_other():
    tasks = [
        replace(CHANCE, experiment="cold items", split="cold items", seed=seed, options={})
        for seed in range(2)
    ]
    outcomes = [measure(task) for task in tasks]
    held_back = [set(outcome.ranked[outcome.ranked >= 0]) for outcome in outcomes]
    assert held_back[0] != held_back[1] and max(map(len, held_back)) <= 8  # a fifth of 40
    for task, outcome in zip(tasks, outcomes, strict=True):
        relevant = stage_of(task).split.test.matrix[outcome.users]
        found = np.array([
            relevant[[row]].toarray()[0][[item for item in items if item >= 0]].sum()
            for row, items in enumerate(outcome.ranked)
        ])  # fmt: skip
        np.testing.assert_allclose(
            outcome.per_user["capped_recall"],
            found / np.minimum(relevant.sum(axis=1), 20),
        )
        assert outcome.at_popularity


def test_a_run_at_popularitys_level_is_flagged():
    popular = replace(
        CHANCE,
        recommender="popularity",
        kind="Popularity",
        options={},
        made={"n_items": 120, "n_users": 300},
    )
    tables = gather(
        [measure(replace(popular, recommender=kind, kind=kind)) for kind in ("Oracle", "Popularity")],
        profile="quick", n_draws=1,
    ).measures  # fmt: skip
    flags = tables.groupby("recommender")["at_popularity"].unique()
    assert flags["Oracle"].tolist() == [False] and flags["Popularity"].tolist() == [True]


# Text encoders


def test_the_same_arms_read_the_texts_in_each_way(monkeypatch):
    tasks = grid("shop", "full", 2, ["text encoders", "text encoders, cold"], facts=SHOP)
    warm = {task.recommender: task for task in tasks if task.split == "default" and task.seed == 0}
    for name in ("text", "gated", "gated + ids", "EASE + content"):
        counted, read = warm[f"{name}, tf-idf"], warm[f"{name}, MiniLM"]
        assert (counted.encoders, read.encoders) == ("auto", "minilm")
        assert replace(read, encoders="auto", recommender="") == replace(counted, recommender="")
    assert warm["text, LSTM"].raw and warm["gated, no text"].modalities == ("image", "audio")
    cold = [task.recommender for task in tasks if task.split == "cold items"]
    assert cold.count("text, MiniLM") == 2 and not any("ids" in name for name in cold)
    lists = grid("lastfm", "full", 1, ["text encoders"], facts=LASTFM)
    assert lists == []  # its texts are vectors already
    drawn = np.random.default_rng(0).normal(size=(40, 384)).astype(np.float32)
    monkeypatch.setattr("mmtutorial.encoders.item_texts.minilm_features", lambda *_: drawn)
    task = replace(TOWER, encoders="minilm")
    whole = stage_of(replace(TOWER))
    np.testing.assert_array_equal(stage_of(task).features["text"], drawn)
    np.testing.assert_array_equal(stage_of(task).joined, whole.joined)  # of diversity


# Levels of encoders


def test_a_level_is_the_same_towers_with_the_same_options_and_differs_in_what_is_read():
    chosen = {"text": {"depth": 1}, "gated + ids": {"dropout": 0.1}}
    names = ["fusions", ARTICLE, TODAY]
    tasks = grid("shop", "full", 2, names, chosen=chosen, facts=SHOP)
    for level, encoders in ((ARTICLE, "article"), (TODAY, "today")):
        here = {(t.recommender, t.seed): t for t in tasks if t.experiment == level}
        simple = {(t.recommender, t.seed): t for t in tasks if t.experiment == "fusions"}
        assert set(simple) - set(here) == {("blend", 0), ("blend", 1)}  # no tower
        assert {t.encoders for t in here.values()} == {encoders}
        for name, task in here.items():
            assert replace(task, experiment="fusions", encoders="auto") == simple[name]
    assert here["text", 0].options["depth"] == 1


def test_a_level_needs_raw_media_and_profile_quick_a_small_shop():
    for facts in (LASTFM, ALONE):
        assert grid("lastfm", "full", 1, [ARTICLE, TODAY], facts=facts) == []
    garments = replace(SHOP, dataset="garments", worlds=False)
    assert grid("garments", "quick", 1, [ARTICLE, TODAY], facts=garments) == []
    tasks = grid("shop", "quick", 2, [ARTICLE, TODAY], facts=SHOP)
    names = ["text", "image", "concatenation"]
    assert [task.recommender for task in tasks] == 2 * names
    assert all(task.made["n_items"] < 100 and task.condition for task in tasks)
    assert set(TOWERS) < set(LEVELS) and all(name in GRIDS for name in LEVELS)


@pytest.fixture
def readers(monkeypatch):
    """Stand in for networks of other people: what they return of 40 items."""
    drawn = {name: np.random.default_rng(n).normal(size=(40, 9)).astype(np.float32)
             for n, name in enumerate(("text", "image"))}  # fmt: skip
    monkeypatch.setattr("mmtutorial.encoders.item_texts.minilm_features", lambda *_: drawn["text"])
    monkeypatch.setattr("mmtutorial.encoders.pictures.vgg_features", lambda *_: drawn["image"])
    monkeypatch.setattr(
        "mmtutorial.encoders.pretraining.EPOCHS", dict.fromkeys(("text", "image", "audio"), 1)
    )
    return drawn


def test_the_towers_of_a_level_read_by_its_encoders(readers):
    simple, today, article, other = (
        stage_of(replace(TOWER, encoders=name, seed=seed)).features
        for name, seed in (
            ("auto", 0),
            ("today", 1),
            ("article", 0),
            ("article", 1),
        )
    )
    assert [*simple] == [*today] == [*article] == ["text", "image", "audio"]
    for name, array in readers.items():
        np.testing.assert_array_equal(today[name], array)
    np.testing.assert_array_equal(today["audio"], simple["audio"])  # there is no network for it
    for name, array in article.items():
        assert array.shape == (40, 64)
        np.testing.assert_array_equal(array.any(axis=1), simple[name].any(axis=1))
        assert not np.allclose(array, other[name])  # each seed's encoders are its own
    with pytest.raises(ValueError, match="encoders is 'bert'"):
        stage_of(replace(TOWER, encoders="bert"))


def test_vectors_that_came_with_the_data_stay_where_there_are_no_raw_media(tmp_path, readers):
    data = datasets.load("shop", **SMALL)
    sound = np.random.default_rng(5).normal(size=(40, 7)).astype(np.float32)
    items = data.items.assign(audio="")
    given = replace(data, items=items, features={"audio": sound, "image": sound})
    given.save(tmp_path / "given")
    task = replace(TOWER, dataset=str(tmp_path / "given"), made={})
    simple, today, article = (
        stage_of(replace(task, encoders=name)).features for name in ("auto", "today", "article")
    )
    for found in (today, article):
        np.testing.assert_array_equal(found["audio"], simple["audio"])
    np.testing.assert_array_equal(today["image"], simple["image"])
    np.testing.assert_array_equal(today["text"], readers["text"])
    assert simple["image"].shape == (40, 7) and article["image"].shape == (40, 64)


def test_the_quick_grids_of_levels_run(readers):
    tasks = grid("shop", "quick", 1, [ARTICLE, TODAY], facts=SHOP)
    short = {"steps": 2, "validate_every": 1}
    outcomes = [
        measure(replace(task, made=SMALL, options={**task.options, **short})) for task in tasks
    ]
    tables = gather(outcomes, profile="quick", n_draws=20)
    assert tables.measures["value"].notna().all()
    assert set(tables.measures["experiment"]) == {ARTICLE, TODAY}
    found = tables.comparisons[tables.comparisons["recommender"].eq("concatenation")]
    assert set(found["reference"]) == {"text", "image"}
    assert (found["condition"] != "").all()  # a small shop decides no claim


def test_compressed_towers_are_served_from_saved_files_and_compared_with_the_whole(monkeypatch):
    measured = {}

    def once(recommender, reads):  # in a fresh process for each kind, not for each seed
        kind = type(recommender)
        if kind not in measured:
            measured[kind] = served(recommender, reads)
        return measured[kind]

    monkeypatch.setattr("mmtutorial.reproduce.measure.served", once)
    tasks = grid("shop", "full", 2, ["compression"], facts=SHOP)
    names = [task.recommender for task in tasks]
    assert len(set(names)) * 2 == len(tasks) and names[0] == "uncompressed"
    assert {each.options["original"]["kind"] for each in tasks if each.kind == "Compressed"} == {
        "TwoTower"
    }
    short = {"steps": 2, "validate_every": 1}
    small = [
        replace(
            task, made=SMALL, options=short if task.kind == "TwoTower"
            else {**task.options, "original": {**task.options["original"], "options": short}},
        )
        for task in tasks if task.recommender in ("uncompressed", "int8")
    ]  # fmt: skip
    outcomes = [measure(task) for task in small]
    assert same([Outcome.of_bytes(outcomes[1].to_bytes())], [measure(small[1])])
    found = gather(outcomes, profile="full", n_draws=50)
    costs = found.costs.groupby("recommender").mean(numeric_only=True)
    assert costs.loc["int8", "bytes"] < costs.loc["uncompressed", "bytes"] / 4
    assert costs.loc["int8", "serving_memory"] < costs.loc["uncompressed", "serving_memory"] / 2
    assert costs["user_ms"].gt(0).all() and costs.loc["uncompressed", "item_ms"] > 0
    assert np.isnan(costs.loc["int8", "item_ms"])  # it has no item tower
    compared = found.comparisons[found.comparisons["metric"].eq("ndcg")]
    assert compared[["recommender", "reference", "n_seeds"]].values.tolist() == [
        ["int8", "uncompressed", 2]
    ]
    verdict = next(each for each in judge_all(found) if each.row.id == "F1")
    assert verdict.parts[0].findings and "garments" in verdict.because
