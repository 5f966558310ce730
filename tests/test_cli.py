"""The command line: data sets as folders, what is wrong with one, and recommendations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmtutorial import cli, datasets
from mmtutorial.cli import app
from mmtutorial.recommenders.base import Recommender

RUNNER = CliRunner()


@pytest.fixture
def small_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command make a shop of forty products."""
    full = datasets.shop
    monkeypatch.setitem(
        datasets.MAKERS, "shop", lambda **options: full(n_items=40, n_users=30, **options)
    )


@pytest.mark.usefixtures("small_shop")
def test_data_writes_a_folder_that_check_finds_good(tmp_path: Path) -> None:
    out = tmp_path / "new" / "shop"
    result = RUNNER.invoke(app, ["data", "shop", "--out", str(out), "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert "40 items, 30 users" in result.output.replace("\n", " ")
    assert datasets.Dataset.open(out).seed == 3
    assert len(list((out / "images").glob("*.png"))) > 30
    result = RUNNER.invoke(app, ["check", str(out)])
    assert result.exit_code == 0
    assert "no fault found" in result.output.replace("\n", " ")
    (out / "images" / "p0001.png").write_bytes(b"")
    result = RUNNER.invoke(app, ["check", str(out)])
    assert result.exit_code == 1
    assert "images/p0001.png: the file is empty (items.csv, row 3)" in result.output


def test_data_hands_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}

    def made(seed: int = 0, *, images: int = 0, category: str = "") -> datasets.Dataset:
        given.update(seed=seed, images=images, category=category)
        return datasets.shop(n_items=40, n_users=30)

    monkeypatch.setitem(datasets.PUBLIC, "amazon-reviews", made)
    command = ["data", "amazon-reviews", "--out", str(tmp_path / "out"), "--seed", "4"]
    result = RUNNER.invoke(app, [*command, "--set", "images=5", "--set", "category=All_Beauty"])
    assert result.exit_code == 0, result.output
    assert given == {"seed": 4, "images": 5, "category": "All_Beauty"}
    for option, words in (("images", "is no option"), ("pictures=5", "unexpected keyword")):
        result = RUNNER.invoke(app, [*command, "--replace", "--set", option])
        assert result.exit_code == 1
        assert words in result.output


@pytest.mark.usefixtures("small_shop")
def test_data_writes_nothing_over_other_things(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear")
    result = RUNNER.invoke(app, ["data", "shop", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "holds 'diary.txt', which is no part of a data set" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["data", "shoop", "--out", str(tmp_path / "x")])
    assert result.exit_code == 1
    assert "'shoop' is neither a data set (shop, garments, lastfm, " in result.output


def test_check_says_that_a_folder_is_not_there() -> None:
    result = RUNNER.invoke(app, ["check", "no/such/place"])
    assert result.exit_code == 1
    assert "there is no such folder; check the path" in result.output


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, small_shop: None, eager: None, tmp_path: Path) -> Path:
    """Let recommenders learn for three epochs only, and be kept in a folder of this test."""
    shops = datasets.MAKERS["shop"]()  # made before the cache moves
    monkeypatch.setitem(datasets.MAKERS, "shop", lambda **options: shops)
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path))
    for name in ("two-tower", "two-tower-ids"):
        kind, options = cli.RECOMMENDERS[name]
        short = (kind, {**options, "steps": 1, "units": 8, "dimensions": 8})
        monkeypatch.setitem(cli.RECOMMENDERS, name, short)
    return tmp_path


def recommended(*arguments: str) -> tuple[int, list[str]]:
    """Call the command on the small shop: exit status and lines."""
    result = RUNNER.invoke(app, ["recommend", "--dataset", "shop", *arguments])
    return result.exit_code, result.output.strip().splitlines()


def test_recommend_learns_once_and_gives_titles_and_reasons(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, first = recommended("--user", "u03")
    assert status == 0, first
    assert first[0].startswith("Learning two-tower from shop, once")
    data = datasets.load("shop")
    titles = dict(zip(data.items["item"], data.items["title"], strict=True))
    owned = data.interactions.loc[data.interactions["user"] == "u03", "item"]
    head = next(line for line in first if "took" in line)
    assert head.startswith(f"u03 took {owned.nunique()} items")
    assert titles[owned.iloc[-1]] in head
    listed = first[first.index(head) + 1 :]
    assert [int(line[:3]) for line in listed] == list(range(1, 11))
    named = [line[5:].split("  ")[0].strip() for line in listed]
    assert set(named) <= set(titles.values())
    assert len(set(named)) == 10
    assert not set(named) & {titles[item] for item in owned}
    assert any("because you took" in line or "and you took" in line for line in listed)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it learns a second time")

    monkeypatch.setattr(Recommender, "fit", refuse)
    status, again = recommended("--user", "u03")
    assert (status, again) == (0, [head, *listed])
    with pytest.raises(AssertionError, match="a second time"):  # another seed, another recommender
        RUNNER.invoke(
            app,
            ["recommend", "--dataset", "shop", "--user", "u03", "--seed", "1"],
            catch_exceptions=False,
        )


def test_explain_names_modality_word_region_and_moment_and_how_often_reasons_are_right(
    quick: Path,
) -> None:
    status, lines = recommended("--user", "u03", "-k", "3", "--explain")
    assert status == 0, lines
    text = "\n".join(lines)
    for each in ("of the score: ", "word: ", "region: row ", "moment: ", "by chance they would in"):
        assert each in text
    assert "simulated" in lines[-1]


def test_the_page_opens_without_a_network_and_can_be_read_aloud(quick: Path) -> None:
    place = quick / "why.html"
    status, lines = recommended("--user", "u03", "-k", "4", "--html", str(place))
    assert status == 0 and lines[-1] == f"{place}: the page"
    page = place.read_text("utf-8")
    assert (
        page.startswith('<!DOCTYPE html><html lang="en">') and "<title>Recommended to u03" in page
    )
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page) and "@import" not in page
    images = re.findall(r"<img[^>]*>", page)
    assert images and all(re.search(r'alt="[^"]+"', each) for each in images)
    players = re.findall(r"<audio[^>]*>", page)
    assert players and all("aria-label=" in each for each in players)
    assert page.count("<article>") == 4 and "<mark" in page
    assert recommended("--user", "u03", "-k", "2", "--html", str(place))[0] == 0  # ours is replaced
    place.write_text("dear diary")
    status, lines = recommended("--user", "u03", "-k", "2", "--html", str(place))
    assert status == 1 and "is no page of recommendations" in lines[-1]
    assert place.read_text() == "dear diary"


def test_a_damaged_recommender_is_learnt_again(quick: Path) -> None:
    _, first = recommended("--user", "u03", "-k", "2", "--recommender", "ease")
    (arrays,) = quick.glob("recommenders/*/arrays.npz")
    arrays.write_bytes(arrays.read_bytes()[:100])
    status, again = recommended("--user", "u03", "-k", "2", "--recommender", "ease")
    assert (status, again) == (0, first)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", cli.RECOMMENDERS)
def test_every_recommender_serves_known_and_new_users(name: str) -> None:
    status, lines = recommended("--user", "u01", "-k", "3", "--recommender", name)
    assert status == 0, lines
    assert [line[:3] for line in lines[-3:]] == ["  1", "  2", "  3"]
    status, lines = recommended("--user", "new", "-k", "3", "--recommender", name)
    assert status == 0, lines
    assert lines[-4] == "Nothing is known of this user: the list is what is best for everybody."
    assert all("many like it" in line for line in lines[-3:])


@pytest.mark.usefixtures("quick")
def test_a_list_ends_where_nothing_is_left() -> None:
    status, lines = recommended("--user", "u01", "-k", "40", "--recommender", "popularity")
    assert status == 0
    assert lines[-1] == "u01 has all other items: there are no more to recommend."


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user", "u003"], "shop has no user 'u003' (did you mean 'u03'?)"),
        (["--user", "Ann"], "shop has no user 'Ann'; its 30 users are in interactions.csv"),
        (["--user", "u01", "-k", "0"], "k is 0; a list has at least one place"),
        (["--user", "u01", "-k", "41"], "k is 41, and shop has 40 items: ask for fewer"),
        (["--user", "u01", "--recommender", "ease", "--explain"], "ease reads no media"),
        (["--user", "u01", "--recommender", "eas"], "'eas' (did you mean 'ease'?); there are"),
    ],
)
def test_a_request_that_cannot_be_met_is_explained(arguments: list[str], message: str) -> None:
    status, lines = recommended(*arguments)
    assert status == 1
    assert message in lines[-1]
    assert len(lines) == 1  # and no traceback


def test_recommend_names_the_data_sets() -> None:
    result = RUNNER.invoke(app, ["recommend", "--dataset", "shoop", "--user", "u01"])
    assert result.exit_code == 1
    assert "'shoop' is neither a data set (shop, garments, lastfm, " in result.output
