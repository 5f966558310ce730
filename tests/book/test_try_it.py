"""The page "Try it" computes what the library computes, and can be used by whoever reads the book."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from book.browser import PROGRAM, Browser
from mmtutorial import datasets
from mmtutorial.article import MODALITIES, ArticleNetwork
from mmtutorial.datasets.dataset import Dataset
from mmtutorial.evaluation import default_split
from mmtutorial.interactions import Interactions
from mmtutorial.recommenders import Popularity
from mmtutorial.recommenders.explain import history_shares
from mmtutorial.recommenders.two_tower import TwoTower

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node") or shutil.which("nodejs")
SCRIPT = ROOT / "book" / "try_it" / "try_it.js"
needs_node = pytest.mark.skipif(NODE is None, reason="there is no Node to run the page's script by")
needs_browser = pytest.mark.skipif(
    PROGRAM is None, reason="there is no Chromium to open the page in"
)


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "book" / "_extensions" / f"{name}.py"
    )
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


export = module("try_it_data")


class Made(NamedTuple):
    data: Dataset
    train: Interactions
    tower: TwoTower
    network: ArticleNetwork
    features: dict[str, np.ndarray]
    numbers: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A small shop with items that lack something, and what the page loads of it."""
    lacking = {"text": 0.1, "image": 0.1, "audio": 0.1}
    data = datasets.shop(n_items=60, n_users=60, missing=lacking)
    tower = TwoTower(MODALITIES, "late", dimensions=4, units=8, steps=16)
    network = ArticleNetwork(4, 4, epochs=1, verbose=0)
    whole = export.raw_features

    def short(*arguments: Any) -> Any:  # the article's network reads little, and is soon built
        features, faults = whole(*arguments)
        return {
            **features,
            "text": features["text"][:, :6],
            "audio": features["audio"][:, :4],
        }, faults

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "raw_features", short)
        numbers, features = export.prepare(data, tower, network)
    folder = tmp_path_factory.mktemp("page")
    (folder / "try_it_data.js").write_text(export.script(data, numbers), encoding="utf-8")
    export.write_media(data, numbers["present"], folder / "try_it")
    return Made(data, default_split(data).train, tower, network, features, numbers, folder)


def asked(made: Made, choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let Node run the page's own functions for some choices."""
    program = """
        require(process.argv[1]);
        const page = require(process.argv[2]);
        const model = page.unpack(TRY_IT);
        const lists = JSON.parse(require("fs").readFileSync(0)).map((given) => {
          const choice = { ...given, cold: new Set(given.cold) };
          return { ours: page.recommend(model, choice, given.k), popular: page.popular(model, choice),
                   network: page.network(model, choice) };
        });
        console.log(JSON.stringify(lists));
    """
    arguments = [str(NODE), "-e", program, str(made.folder / "try_it_data.js"), str(SCRIPT)]
    ran = subprocess.run(
        arguments, input=json.dumps(choices), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def choice(picked: list[int], **other: Any) -> dict[str, Any]:
    return {"picked": picked, "cold": [], "weights": [1, 1, 1], "hidden": -1, "k": 10} | other


def same_ranking(listed: list[int], scores: np.ndarray, left_out: list[int]) -> None:
    """Check that these are the best, up to scores that only rounding tells apart."""
    scores = scores.astype(np.float64).copy()
    scores[left_out] = -np.inf
    best = np.sort(scores)[::-1][: len(listed)]
    assert len(set(listed)) == len(listed)
    np.testing.assert_allclose(scores[listed], best, atol=2e-5)


@pytest.mark.slow
@needs_node
def test_the_page_lists_what_the_library_recommends(made: Made) -> None:
    draw = np.random.default_rng(0)
    histories = [
        draw.choice(60, size, replace=False).tolist() for size in [0, 1, *draw.integers(1, 12, 48)]
    ]
    expected = made.tower.score_histories(histories)
    for history, scores, got in zip(
        histories, expected, asked(made, [choice(each) for each in histories]), strict=True
    ):
        items = [each["item"] for each in got["ours"]]
        same_ranking(items, scores, history)
        np.testing.assert_allclose(
            [each["score"] for each in got["ours"]], scores[items], atol=2e-5
        )


@needs_node
def test_a_shopper_gets_the_same_list_on_the_page(made: Made) -> None:
    user = made.train.users[int(made.train.log["user"].iloc[0])]
    history = (
        made.train.log.query("user == @made.train.log['user'].iloc[0]")["item"].unique().tolist()
    )
    (got,) = asked(made, [choice(history)])
    listed = made.tower.recommend_to(user)["item"].tolist()
    assert [made.train.items[each["item"]] for each in got["ours"]] == listed


@needs_node
def test_reasons_take_the_score_apart_as_the_library_does(made: Made) -> None:
    history = [3, 14, 15]
    (got,) = asked(made, [choice(history)])
    everybody, shares = history_shares(made.tower, history, [each["item"] for each in got["ours"]])
    np.testing.assert_allclose([each["everybody"] for each in got["ours"]], everybody, atol=1e-4)
    np.testing.assert_allclose([each["byTaken"] for each in got["ours"]], shares, atol=1e-4)
    for each, row in zip(got["ours"], shares, strict=True):
        assert sum(each["byKind"].values()) == pytest.approx(row.sum(), abs=1e-4)
        assert each["byKind"][each["kind"]] == max(each["byKind"].values())
        assert each["because"] == (history[int(row.argmax())] if row.max() > 0 else -1)


@needs_node
@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_hiding_a_modality_is_what_the_tower_does_without_it(made: Made, hidden: int) -> None:
    left = made.numbers["present"].copy()
    left[:, hidden] = False
    seen = left.any(axis=1)
    assert not made.numbers["present"].all()  # some items share out other weights than the rest
    v, h, _ = made.tower.tower(
        {**made.features, "present": left.astype(np.float32)}, training=False
    )
    history = np.flatnonzero(seen)[[2, 7, 11]].tolist()
    q = made.numbers["q"] + h.numpy()[history].sum(axis=0) / 3 ** made.numbers["power"]
    temperature = np.sqrt(made.tower.dimensions * 3) / 2
    scores = v.numpy() @ q / temperature + made.numbers["bias"]
    scores[~seen] = -np.inf
    (got,) = asked(made, [choice(history, hidden=hidden)])
    same_ranking([each["item"] for each in got["ours"]], scores, history)
    assert all(MODALITIES[hidden] not in each["byKind"] for each in got["ours"])


@needs_node
def test_a_weight_multiplies_one_modality(made: Made) -> None:
    history = [3, 14, 15]
    single, none, twice, once = asked(made, [
        choice(history, weights=[0, 0, 1], k=60), choice(history, weights=[0, 0, 0], k=60),
        choice(history, weights=[0, 0, 2], k=60), choice(history, k=60),
    ])  # fmt: skip
    scores = [
        {each["item"]: each["score"] for each in got["ours"]} for got in (none, single, twice)
    ]
    for item in scores[0]:
        assert scores[0][item] == pytest.approx(made.numbers["bias"][item], abs=1e-6)
        assert scores[2][item] - scores[1][item] == pytest.approx(
            scores[1][item] - scores[0][item], abs=1e-6
        )
    assert [each["item"] for each in once["ours"]] != [each["item"] for each in single["ours"]]


@needs_node
def test_a_new_item_is_scored_by_its_content(made: Made) -> None:
    taken = made.numbers["taken"]
    item = int(taken.argmax())
    usual, new = asked(made, [choice([], k=60), choice([], k=60, cold=[item])])
    (row,) = np.flatnonzero([each["item"] == item for each in new["ours"]])
    alone = {name: array[[item]] for name, array in made.features.items()}
    user = [int(np.flatnonzero(np.diff(made.train.matrix.indptr))[0])]
    history = made.train.matrix.indices[
        slice(*made.train.matrix.indptr[[user[0], user[0] + 1]])
    ].tolist()
    assert new["ours"][row]["score"] == pytest.approx(
        made.tower.item_vectors(alone)[0] @ made.numbers["q"] / (np.sqrt(12) / 2)
        + made.numbers["mean_bias"],
        abs=1e-4,
    )
    if item not in history:
        expected = made.tower.score_new_items(user, alone)[0, 0]
        (got,) = asked(made, [choice(history, k=60, cold=[item])])
        assert [each["score"] for each in got["ours"] if each["item"] == item] == pytest.approx(
            [expected], abs=1e-4
        )
    assert item in usual["popular"] and item not in new["popular"] + new["network"]


@needs_node
def test_popularity_and_the_network_rank_as_in_the_library(made: Made) -> None:
    some = [3, 14, 15]
    none, got = asked(made, [choice([]), choice(some)])
    counts = Popularity().fit(made.train).score([0])[0]
    same_ranking(got["popular"], counts, some)
    log = [("ann", made.train.items[row], time) for time, row in enumerate(some)]
    made.network._train = Interactions.of(
        [*log, ("bob", made.train.items[0], 9)], items=made.train.items
    )
    same_ranking(got["network"], made.network.score([0])[0], some)
    assert len(none["network"]) == 10


def test_pictures_and_sounds_are_there_for_what_has_them(made: Made) -> None:
    names = {path.name for path in (made.folder / "try_it").iterdir()}
    for kind, end in (("image", "webp"), ("audio", "mp3")):
        has = made.numbers["present"][:, MODALITIES.index(kind)]
        assert {name for name in names if name.endswith(end)} == {
            f"{each}.{end}" for each in made.train.items[has]
        }
        assert 0 < has.sum() < 60
    assert sum(path.stat().st_size for path in (made.folder / "try_it").iterdir()) / 60 < 6e6 / 640


# In a browser


@pytest.fixture(scope="module")
def address(made: Made) -> str:
    """The page as a file: its own markup and files, without the theme around it."""
    source = (ROOT / "book" / "try_it.md").read_text(encoding="utf-8")
    body = source.partition("```{raw} html\n")[2].partition("```")[0]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
    files = ["try_it_data.js", "try_it.js"]
    for name in ("try_it.js", "try_it.css"):
        shutil.copy(SCRIPT.with_name(name), made.folder / name)
    head += '<link rel="stylesheet" href="try_it.css">' + "".join(
        f'<script defer src="{name}"></script>' for name in files
    )
    (made.folder / "page.html").write_text(
        f"<!doctype html>{head}<title>Try it</title>{body}", encoding="utf-8"
    )
    return (made.folder / "page.html").as_uri()


@pytest.fixture(params=[1280, 390])
def page(request: pytest.FixtureRequest, address: str) -> Iterator[Browser]:
    with Browser(request.param) as browser:
        browser.open(address)
        browser.wait("!document.getElementById('recommender').hidden")
        yield browser
        assert browser.errors == []


def listed(page: Browser, part: str = "ours") -> list[int]:
    return page.run(
        f"[...document.querySelectorAll('[data-part={part}] li')].map((each) => Number(each.dataset.item))"
    )


def focused(page: Browser) -> str:
    return page.run(
        "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
    )


@needs_browser
def test_the_list_follows_what_is_chosen_weighed_and_hidden(page: Browser) -> None:
    lists = [listed(page)]
    assert len(lists[0]) == 10
    page.run("document.querySelectorAll('.pick')[1].click()")
    lists.append(listed(page))
    page.run("document.querySelectorAll('.pick')[2].click()")
    lists.append(listed(page))
    slider = "document.querySelector('input[name=image]')"
    page.run(f"{slider}.value = 3, {slider}.dispatchEvent(new Event('input'))")
    lists.append(listed(page))
    hide = "document.querySelector('[data-part=hide]')"
    page.run(f"{hide}.value = 'audio', {hide}.dispatchEvent(new Event('change'))")
    lists.append(listed(page))
    assert len({tuple(each) for each in lists}) == len(lists)
    assert page.run("document.querySelector('[data-part=status]').textContent").startswith(
        "2 chosen: ten"
    )
    assert "because you chose" in page.run("document.querySelector('[data-part=ours]').textContent")
    assert (
        page.run(
            "document.querySelectorAll('circle.picked').length + document.querySelectorAll('circle.listed').length"
        )
        == 12
    )
    popular = listed(page, "popular")
    page.run(
        "document.querySelector('[data-part=more]').click(), document.querySelectorAll('.pick')[0].click()"
    )
    page.run("document.querySelector('[data-part=clear]').click()")
    assert len(listed(page, "network")) == 10 and popular
    assert page.run("document.documentElement.scrollWidth <= innerWidth")


@needs_browser
def test_a_product_can_be_new_and_have_its_history_back(page: Browser) -> None:
    item = listed(page)[0]
    before = listed(page, "popular")
    label = page.run(
        "document.querySelector('[data-part=ours] .acts button:last-child').getAttribute('aria-label')"
    )
    page.run("document.querySelector('[data-part=ours] .acts button:last-child').click()")
    assert page.run("document.querySelector('[data-part=cold]').children.length") == 1
    assert item not in listed(page, "popular") + listed(page, "network") and label.endswith(
        "be new"
    )
    page.run("document.querySelector('[data-part=cold] button').click()")
    assert listed(page, "popular") == before


@needs_browser
def test_the_keyboard_alone_suffices(page: Browser) -> None:
    page.press("Tab")
    assert page.run("document.activeElement.className") == "pick"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    before = listed(page)
    page.press(" ")
    assert page.run("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert listed(page) != before
    for _ in range(40):
        page.press("Tab")
        if page.run("document.activeElement.type") == "range":
            break
    before = listed(page)
    page.press("ArrowLeft", 10)  # the words' slider, from 1 to 0
    assert page.run("document.activeElement.value") == "0" and listed(page) != before
    page.press("Tab", 3)
    assert page.run("document.activeElement.dataset.part") == "hide"
    before = listed(page)
    page.press("ArrowDown", 2)
    assert page.run("document.activeElement.value") == "image" and listed(page) != before
    for _ in range(40):
        page.press("Tab")
        if focused(page).startswith("Choose "):
            break
    page.press("Enter")
    assert page.run("document.querySelector('[data-part=picked]').children.length") == 2
    assert page.run("document.activeElement.dataset.part") == "ours"  # what was pressed is gone


@needs_browser
def test_pictures_are_seen_sounds_are_played_and_all_has_a_name(page: Browser) -> None:
    shown = "[...document.querySelectorAll('[data-part=shelf] img')]"
    page.wait(f"{shown}.some((each) => each.naturalWidth === 96)")
    nameless = page.run(
        "[...document.querySelectorAll('button, input, select, img')].filter((each) => "
        "!(each.getAttribute('aria-label') || each.alt || each.textContent.trim() || each.labels?.length)).length"
    )
    assert nameless == 0
    page.run("window.playing = []; const play = Audio.prototype.play; Audio.prototype.play = function () {"
             " window.playing.push(this); return play.call(this); }")  # fmt: skip
    page.run(
        "[...document.querySelectorAll('button')].find((each) => each.textContent.includes('Listen')).click()"
    )
    page.wait("window.playing[0]?.duration > 0.5")


# In the book


def test_the_book_makes_the_files_once_for_each_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "book" / "_extensions")
    page = module("try_it")
    learnt: list[Dataset] = []
    empty = {"present": np.zeros((40, 3), bool)}
    monkeypatch.setattr(page.datasets, "load", lambda name: datasets.shop(n_items=40, n_users=30))
    monkeypatch.setattr(
        page.try_it_data, "prepare", lambda data, *_: learnt.append(data) or (empty, {})
    )
    monkeypatch.setattr(page.try_it_data, "script", lambda *_: "TRY_IT = {};")
    (tmp_path / "of-an-older-state").mkdir()
    folder = page.exported(tmp_path)
    assert page.exported(tmp_path) == folder and len(learnt) == 1
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert (folder / "try_it_data.js").read_text() == "TRY_IT = {};"


def test_only_this_page_loads_them() -> None:
    book = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert book.index("file: try_it") < book.index("file: notebooks/01_data")
    scripts = [path.name for path in (ROOT / "book" / "_static").rglob("*.js")]
    assert scripts == ["book.js"]  # every page loads what lies there
