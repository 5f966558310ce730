"""Short videos, on small files of exactly the published layout."""

from __future__ import annotations

import importlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from mmtutorial.datasets import Dataset, DatasetError, load, validate_folder, videos
from mmtutorial.datasets.collections import Collection
from mmtutorial.evaluation import default_split
from tests.datasets.conftest import Made, Site, manifest_of
from tests.storage.test_pickles import old_matrix

MODULE = importlib.import_module("mmtutorial.datasets.published.videos")
VIEWS = {"trn": [(0, 0), (0, 2), (1, 1)], "val": [(1, 3)], "tst": [(0, 1), (2, 2)]}
CHANNELS = {"image": 2, "audio": 3, "text": 4}


def matrix(pairs: list[tuple[int, int]], shape: tuple[int, int] = (3, 4)) -> bytes:
    users, items = np.array(pairs, dtype=np.int32).T
    return old_matrix(scipy.sparse.coo_matrix((np.ones(len(pairs)), (users, items)), shape))


def features(n_items: int, width: int) -> bytes:
    memory = io.BytesIO()
    np.save(memory, np.arange(n_items * width, dtype=np.float16).reshape(n_items, width) / 8)
    return memory.getvalue()


def files() -> dict[str, bytes]:
    published = {f"{part}Mat.pkl": matrix(pairs) for part, pairs in VIEWS.items()}
    published |= {f"{name}_feat.npy": features(4, CHANNELS[name]) for name in ("image", "audio")}
    return published


def publish(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the small files one by one, the text that has no digest too."""
    served = {**files(), "text_feat.npy": features(4, CHANNELS["text"])}
    site.files |= {f"/tiktok/{name}": content for name, content in served.items()}
    real = MODULE.VIEWS
    digests = {name: digest for name, (digest, _) in manifest_of(files()).items()}
    address = f"{site.address}/tiktok/"
    made = Collection(real.name, address, real.licence, "https://page", digests=digests)
    monkeypatch.setattr(MODULE, "VIEWS", made)


@pytest.fixture
def published(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    publish(site, monkeypatch)
    return site


def test_the_split_is_the_published_one(published: Site) -> None:
    data = load("videos", seed=3)
    split = default_split(data)
    assert split.name == "given"
    for part, pairs in zip(
        (split.train, split.validation, split.test), VIEWS.values(), strict=True
    ):
        found = {
            (int(part.users[user]), int(part.items[item]))
            for user, item in part.log[["user", "item"]].values
        }
        assert found == set(pairs)
    assert data.items["item"].tolist() == ["0", "1", "2", "3"]  # the order of the features
    assert data.interactions["timestamp"].isna().all()


def test_features_are_the_published_ones_as_float32(published: Site) -> None:
    data = videos()
    assert sorted(data.features) == ["audio", "image"]
    assert data.features["image"].tolist() == [
        [0, 0.125],
        [0.25, 0.375],
        [0.5, 0.625],
        [0.75, 0.875],
    ]
    assert {array.dtype for array in data.features.values()} == {np.dtype(np.float32)}
    assert data.present().tolist() == [[False, True, True]] * 4


def test_text_is_for_whoever_asks_for_it_and_held_to_what_was_first_seen(
    published: Site, cache: Path
) -> None:
    videos()
    assert "/tiktok/text_feat.npy" not in {path for path, _ in published.asked}
    asked = len(published.asked)
    assert videos(text=True).features["text"].shape == (4, 4)
    assert [path for path, _ in published.asked[asked:]] == ["/tiktok/text_feat.npy"]
    published.files["/tiktok/text_feat.npy"] = features(4, 5)
    (cache / "diffmm-tiktok" / "text_feat.npy").unlink()
    with pytest.raises(DatasetError, match=r"first-seen\.txt records the one"):
        videos(text=True)
    assert sorted(videos().features) == ["audio", "image"]


def serve(published: Site, monkeypatch: pytest.MonkeyPatch, **changed: bytes) -> None:
    """Publish other files, with their digests."""
    served = files() | {name.replace("__", "."): content for name, content in changed.items()}
    made = Made("other", f"{published.address}/other/", "", "https://page", served)
    published.files |= {f"/other/{name}": content for name, content in served.items()}
    monkeypatch.setattr(MODULE, "VIEWS", made)


def test_files_that_do_not_belong_together_are_refused(
    published: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(published, monkeypatch, valMat__pkl=matrix([(1, 3)], (3, 5)))
    with pytest.raises(DatasetError, match=r"have the shapes \[\(3, 4\), \(3, 5\)\], and should"):
        videos()
    serve(published, monkeypatch, audio_feat__npy=features(5, 2))
    with pytest.raises(DatasetError, match=r"audio_feat\.npy: has 5 rows for 4 items"):
        videos()


def test_a_hostile_matrix_is_refused(published: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(published, monkeypatch, tstMat__pkl=b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(ValueError, match=r"tstMat\.pkl .*asks for os\.system, and a program"):
        videos()


def test_what_is_written_is_without_fault(
    published: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = videos()
    assert "Downloading diffmm-tiktok (no licence is stated" in capsys.readouterr().err
    data.save(tmp_path / "videos")
    assert validate_folder(tmp_path / "videos") == []
    again = Dataset.open(tmp_path / "videos")
    assert again.interactions.equals(data.interactions)
    assert again.features["image"].tobytes() == data.features["image"].tobytes()


@pytest.mark.skipif("MMTUTORIAL_DATA" not in os.environ, reason="no copy of the collections")
def test_the_real_viewers() -> None:
    data = videos()
    assert (data.n_users, data.n_items, len(data.interactions)) == (9308, 6710, 68722)
    split = default_split(data)
    parts = split.train, split.validation, split.test
    assert [len(part) for part in parts] == [59541, 3051, 6130]
    assert {name: array.shape for name, array in data.features.items()} == {
        "image": (6710, 128),
        "audio": (6710, 128),
    }
    assert data.validate() == []
