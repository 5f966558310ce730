"""Real people's data over a server that breaks off, and what the shipped manifests name."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from mmtutorial.cli import NAMES
from mmtutorial.datasets import MAKERS, load
from mmtutorial.datasets import collections as download
from mmtutorial.datasets.collections import Collection
from tests.datasets import test_films, test_lastfm, test_videos
from tests.datasets.conftest import Site

PUBLISHERS = {
    "lastfm": test_lastfm.publish,
    "films": test_films.publish,
    "videos": test_videos.publish,
}


def collections_of(name: str) -> dict[str, Collection]:
    module = importlib.import_module(f"mmtutorial.datasets.published.{name}")
    return {key: each for key, each in vars(module).items() if isinstance(each, Collection)}


@pytest.mark.parametrize("name", PUBLISHERS)
def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    name: str, site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PUBLISHERS[name](site, monkeypatch)
    whole = load(name)
    for path in sorted(cache.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    site.asked.clear()
    monkeypatch.setattr(download, "CHUNK", 8)
    site.break_after = [40, 30, 20]
    data = load(name)
    assert any(wanted.startswith("bytes=") for _, wanted in site.asked)
    assert data.items.equals(whole.items) and data.interactions.equals(whole.interactions)
    for modality, array in whole.features.items():
        assert data.features[modality].tobytes() == array.tobytes()
    asked = len(site.asked)
    load(name)
    assert len(site.asked) == asked


@pytest.mark.parametrize("name", PUBLISHERS)
def test_every_collection_has_digests_terms_and_an_address_of_one_edition(name: str) -> None:
    for each in collections_of(name).values():
        assert each.licence and each.page.startswith("https://")
        assert each.address.startswith("https://") and each.manifest
        assert all(len(digest) == 64 for digest, _ in each.manifest.values())
        github = "github" in each.address
        assert not github or any(len(part.split(".")[0]) == 40 for part in each.address.split("/"))


def test_the_command_line_names_what_there_is() -> None:
    assert NAMES.split(", ") == list(MAKERS)
