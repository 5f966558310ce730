"""Films, on small files of exactly the published layouts."""

from __future__ import annotations

import importlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmtutorial.datasets import Dataset, DatasetError, films, load, validate_folder
from mmtutorial.evaluation import default_split, global_time_split
from mmtutorial.interactions import Interactions
from tests.datasets.conftest import Made, Site, zipped

MODULE = importlib.import_module("mmtutorial.datasets.published.films")
MOVIES = """movieId,title,genres
1,Toy Story (1995),Adventure|Animation
2,"City of Lost Children, The (Cité des enfants perdus, La) (1995)",Sci-Fi
3,No Poster (1994),Drama
4,Babylon 5,(no genres listed)
"""
RATINGS = """userId,movieId,rating,timestamp
1,1,4.0,964982703
1,2,3.5,964981247
1,3,5.0,964982224
2,1,3.0,1445714835
2,4,0.5,1445714994
3,4,5.0,1305696483
3,1,4.5,1305696440
3,2,4.0,1305696450
"""
LINKS = "movieId,imdbId,tmdbId\n1,0114709,862\n2,0112682,902\n3,0000003,\n4,0000004,\n"
RECORDS = [  # as OMDb gives them; what people thought of a film is among them
    ((1, "Toy Story (1995)", "0114709"), {"Plot": "A doll is jealous. ", "imdbVotes": "868,378"}),
    ((2, "City of Lost Children, The (1995)", "9999999"), {"Plot": "Of another film."}),
    ((3, "No Poster (1994)", "0000003"), {"Plot": "Nobody sees it."}),
    ((4, "Babylon 5", "0000004"), {"Plot": "N/A", "Awards": "12 wins"}),
]
DAT = {
    "ml-1m/movies.dat": "1::Toy Story (1995)::Animation|Children's|Comedy\n"
    "2::City of Lost Children, The (Cité des enfants perdus) (1995)::Sci-Fi\n"
    "3::No Poster: The Film (1994)::Drama\n",
    "ml-1m/ratings.dat": "1::1::5::978300760\n1::2::3::978302109\n2::2::4::978301968\n"
    "2::3::4::978300275\n",
    "ml-1m/users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
    "ml-1m/README": "SUMMARY\n",
}


def poster(colour: str) -> bytes:
    memory = io.BytesIO()
    Image.new("RGB", (30, 44), colour).save(memory, "JPEG")
    return memory.getvalue()


def million(**changed: str) -> bytes:
    texts = {
        name: changed.get(name.partition("/")[2].split(".")[0], text) for name, text in DAT.items()
    }
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text.encode("latin-1"))
    return memory.getvalue()


def files() -> dict[str, dict[str, bytes]]:
    """What is published, in small: collection to its files."""
    vector = ",".join(str(number / 7) for number in range(100))
    return {
        "SMALL": {
            "movies.csv": MOVIES.encode(),
            "ratings.csv": RATINGS.encode(),
            "links.csv": LINKS.encode(),
        },
        "POSTERS": {f"images/{number}.jpg": poster(colour)
                    for number, colour in ((1, "red"), (2, "blue"), (4, "green"))},
        "PLOTS": {"data/ml-1m/metadata.pkl": pickle.dumps(RECORDS)},
        "SOUNDS": {"ivec.csv": f'itemId,title,genres,embedding\n2,City,Sci-Fi,"{vector}"\n'.encode()},
        "MILLION": {"ml-1m.zip": million()},
    }  # fmt: skip


def publish(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the small files as the publishers do: two archives, an archive as a file, and files."""
    for attribute, content in files().items():
        real = getattr(MODULE, attribute)
        address = f"{site.address}/{attribute}/"
        if attribute in ("SMALL", "POSTERS", "MILLION"):
            address = address.rstrip("/") + ".zip"
            whole = zipped(content) if attribute != "MILLION" else content["ml-1m.zip"]
            site.files[f"/{attribute}.zip"] = whole
        else:
            site.files |= {f"/{attribute}/{name}": each for name, each in content.items()}
        made = Made(real.name, address, real.licence, "https://page", content)
        monkeypatch.setattr(MODULE, attribute, made)


@pytest.fixture
def published(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    publish(site, monkeypatch)
    return site


def test_films_are_joined_by_their_number(published: Site) -> None:
    data = films()
    lost = "City of Lost Children, The (Cité des enfants perdus, La) (1995)"
    columns = ["item", "title", "text", "image", "audio", "genres"]
    toys = "Toy Story (1995). Adventure, Animation. A doll is jealous."
    assert data.items[columns].values.tolist() == [
        ["1", "Toy Story (1995)", toys, "images/1.jpg", "", "Adventure, Animation"],
        ["2", lost, f"{lost}. Sci-Fi", "images/2.jpg", "", "Sci-Fi"],  # IMDb's number differs
        ["4", "Babylon 5", "Babylon 5", "images/4.jpg", "", ""],
    ]
    assert data.items["year"].tolist()[:2] == [1995, 1995] and np.isnan(data.items["year"][2])
    sound = data.features["audio"]
    assert (sound.dtype, sound.shape) == (np.float32, (3, 100))
    assert np.allclose(sound[1], np.arange(100) / 7) and not sound[[0, 2]].any()
    assert data.present().tolist() == [[True, True, False], [True] * 3, [True, True, False]]


def test_nothing_that_people_thought_of_a_film_is_a_feature(published: Site) -> None:
    data = films()
    assert set(data.items) == {"item", "title", "text", "image", "audio", "year", "genres"}
    assert "868,378" not in data.items.to_csv() and "12 wins" not in data.items.to_csv()


@pytest.mark.parametrize(
    "likes, expected",
    [(3.5, ["1-1", "1-2", "3-1", "3-2", "3-4"]), (4.5, ["3-1", "3-4"]), (None, 7)],
)
def test_likes_are_the_ratings_of_so_many_stars(
    published: Site, likes: float | None, expected: list[str] | int
) -> None:
    log = films(likes=likes).interactions
    pairs = sorted(log["user"] + "-" + log["item"])
    assert (pairs if likes else len(pairs)) == expected
    assert log["rating"].min() == {3.5: 3.5, 4.5: 4.5, None: 0.5}[likes]
    assert films(likes=likes).n_items == 3  # a film that nobody likes stays


@pytest.mark.parametrize("likes", [0, 5.5, float("nan")])
def test_likes_that_are_no_stars_are_refused(likes: float) -> None:
    with pytest.raises(ValueError, match=r"it is a number of stars, 0\.5 to 5, or None for all"):
        films(likes=likes)


def test_the_split_is_each_persons_own_order(published: Site) -> None:
    data = load("films")
    split = default_split(data)
    assert split.name == "each user's time"
    taken = [
        [(part.users[user], part.items[item]) for user, item in part.log[["user", "item"]].values]
        for part in (split.train, split.validation, split.test)
    ]
    assert taken[1:] == [[("3", "2")], [("3", "4")]]  # the only person with three likes
    assert sorted(taken[0]) == [("1", "1"), ("1", "2"), ("3", "1")]


def test_a_million_ratings_have_the_same_media(published: Site, tmp_path: Path) -> None:
    data = films(ratings="ml-1m")
    lost = "City of Lost Children, The (Cité des enfants perdus) (1995)"
    assert data.items["text"].tolist() == [
        "Toy Story (1995). Animation, Children's, Comedy. A doll is jealous.",
        f"{lost}. Sci-Fi. Of another film.",  # the plots' own numbers are this edition's
    ]
    assert data.interactions[["user", "item", "timestamp", "rating"]].values.tolist() == [
        ["1", "1", 978300760, 5.0],
        ["2", "2", 978301968, 4.0],
    ]
    assert data.features["audio"].any(axis=1).tolist() == [False, True]
    assert data.name == "films-ml-1m" and "not to be passed on" in data.licence
    (tmp_path / "mine.zip").write_bytes(million())
    asked = len(published.asked)
    mine = films(ratings=tmp_path / "mine.zip", likes=None)
    assert len(mine.interactions) == 3 and len(published.asked) == asked


@pytest.mark.parametrize(
    "content, words",
    [
        (million(ratings="1::1::5::978300760\n1::2::6::978302109\n"), r"row 2 of ratings\.dat in"),
        (million(ratings="1::1::5\n"), "'1::1::5', not userId::movieId::rating::timestamp: fetch"),
        (million(movies="1,Toy Story,Comedy\n"), r"row 1 of movies\.dat in .*mine\.zip is '1,Toy"),
        (million(ratings=""), r"row 1 of ratings\.dat"),
        (zipped({"ratings.dat": b"1::1::5::9"}), r"mine\.zip cannot be read \('movies\.dat'\)"),
        (million()[:-30], r"mine\.zip cannot be read"),
        (b"", r"mine\.zip cannot be read"),
    ],
)
def test_another_layout_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "mine.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=words):
        films(ratings=tmp_path / "mine.zip")


def test_an_archive_that_unfolds_without_end_is_not_unfolded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "UNFOLDED", 1000)
    (tmp_path / "mine.zip").write_bytes(million(users="1::F\n" * 1000))
    with pytest.raises(DatasetError, match="it would unfold to 5,"):
        films(ratings=tmp_path / "mine.zip")
    with pytest.raises(DatasetError, match=r"none\.zip cannot be read"):
        films(ratings=tmp_path / "none.zip")


def test_a_hostile_file_of_plots_is_refused(
    published: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = b"cos\nsystem\n(S'touch ran'\ntR."
    published.files["/PLOTS/data/ml-1m/metadata.pkl"] = evil
    with pytest.raises(DatasetError, match="movielens-100k-1m-extension cannot be had"):
        films()  # another file than the published one
    made = Made("plots", f"{published.address}/PLOTS/", "", "", {"data/ml-1m/metadata.pkl": evil})
    monkeypatch.setattr(MODULE, "PLOTS", made)
    with pytest.raises(ValueError, match=r"asks for os\.system, and a program in a file is not"):
        films()


def test_what_is_written_is_without_fault(
    published: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = films()
    assert "posters belong to their owners: for study, never to be" in capsys.readouterr().err
    data.save(tmp_path / "films")
    assert validate_folder(tmp_path / "films") == []
    again = Dataset.open(tmp_path / "films")
    assert again.items.equals(data.items) and again.interactions.equals(data.interactions)
    assert again.features["audio"].tobytes() == data.features["audio"].tobytes()
    assert (tmp_path / "films" / "images" / "2.jpg").read_bytes() == poster("blue")
    assert json.loads((tmp_path / "films" / "dataset.json").read_text())["split"] == "per user"
    assert again.split == data.split == "per user"


@pytest.mark.skipif("MMTUTORIAL_DATA" not in os.environ, reason="no copy of the collections")
def test_the_real_raters(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(Image, "open", lambda *given, **_: opened.append(given))
    data = films()
    assert not opened  # posters are not decoded to load them
    assert (data.n_users, data.n_items, len(data.interactions)) == (607, 2859, 34857)
    assert data.present().sum(axis=0).tolist() == [2859, 2859, 1132]
    plain = data.items["title"] + ". " + data.items["genres"]
    assert (data.items["text"] != plain).sum() == 2856  # those with a plot
    split = default_split(data)
    parts = split.train, split.validation, split.test
    assert [len(part) for part in parts] == [27821, 3518, 3518]
    assert len(split.test_users) == 600
    cut = global_time_split(Interactions.of(data.interactions, items=data.items["item"]))
    assert len(cut.test_users) == 8
    everything = films(likes=None)
    assert (everything.n_users, len(everything.interactions)) == (610, 58380)
