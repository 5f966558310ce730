"""Downloads against a server on this machine: resumed, checked, kept inside their folder."""

from __future__ import annotations

import hashlib
import io
import re
import socket
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from mmtutorial.datasets import download
from mmtutorial.datasets.dataset import DatasetError
from mmtutorial.datasets.download import cache_folder, read_manifest, unpack
from tests.datasets.conftest import Made, Site, manifest_of, zipped

FILES = {
    "a/one.bin": np.random.default_rng(0).bytes(300_000),
    "a/two.bin": np.random.default_rng(1).bytes(200_000),
    "three.txt": b"drei\n",
}


def deflated_and_damaged() -> bytes:
    """An archive whose compressed stream itself is broken."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FILES:
            archive.writestr(f"t/{name}", b"words and more words " * 1000)
    damaged = bytearray(memory.getvalue())
    damaged[30 + len("t/a/one.bin")] = 0xFF  # the stream's first byte: no such kind of block
    with pytest.raises(zlib.error), zipfile.ZipFile(io.BytesIO(damaged)) as archive:
        archive.read("t/a/one.bin")
    return bytes(damaged)


def things(site: Site) -> Made:
    return Made("things", f"{site.address}/things.zip", "CC0", f"{site.address}/page", FILES)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_collection_is_downloaded_once_and_unpacked(site: Site, cache: Path) -> None:
    site.files["/things.zip"] = zipped({**FILES, "not-named.txt": b"stays in the archive"})
    folder = things(site).obtain()
    assert contents(folder) == FILES
    assert things(site).obtain() == folder
    assert len(site.asked) == 1
    assert contents(cache) == {f"things/{name}": data for name, data in FILES.items()}


def test_a_broken_transfer_is_taken_up_where_it_stopped(site: Site, cache: Path) -> None:
    site.files["/things.zip"] = zipped(FILES)
    site.break_after = [100_000, 50_000]
    assert contents(things(site).obtain()) == FILES
    starts = [int(re.sub(r"\D", "", wanted) or 0) for _, wanted in site.asked]
    for start, arrived in zip(starts, [0, 100_000, 150_000], strict=True):
        assert arrived - 2 * download.CHUNK < start <= arrived


def test_a_later_run_goes_on_with_what_an_earlier_one_left(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/things.zip"] = zipped(FILES)
    site.break_after = [120_000]
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DatasetError, match="things cannot be had"):
        things(site).obtain()
    arrived = (cache / "things.part").stat().st_size
    assert 120_000 - download.CHUNK < arrived <= 120_000
    assert contents(things(site).obtain()) == FILES
    assert site.asked[-1] == ("/things.zip", f"bytes={arrived}-")


@pytest.mark.parametrize("ranges, tags", [(False, True), (False, False), (True, False)])
def test_a_server_that_cannot_resume_is_asked_from_the_start(
    site: Site, cache: Path, ranges: bool, tags: bool
) -> None:
    site.files["/things.zip"] = zipped(FILES)
    site.ranges, site.tags, site.break_after = ranges, tags, [100_000]
    assert contents(things(site).obtain()) == FILES
    assert len(site.asked) == 2


def test_a_file_that_changed_between_two_attempts_is_not_pieced_together(
    site: Site, cache: Path
) -> None:
    cache.mkdir(parents=True)
    (cache / "things.part").write_bytes(b"the beginning of an older edition")
    (cache / "things.etag").write_text('"older"')
    site.files["/things.zip"] = zipped(FILES)
    assert contents(things(site).obtain()) == FILES


def test_more_than_the_server_has_is_thrown_away(site: Site, cache: Path) -> None:
    site.files["/things.zip"] = whole = zipped(FILES)
    cache.mkdir(parents=True)
    (cache / "things.part").write_bytes(whole)
    (cache / "things.etag").write_text(f'"{hashlib.md5(whole).hexdigest()}"')
    assert contents(things(site).obtain()) == FILES
    assert [wanted for _, wanted in site.asked] == [f"bytes={len(whole)}-", ""]


def test_a_busy_server_is_asked_again(site: Site, cache: Path) -> None:
    site.files["/things.zip"] = zipped(FILES)
    site.statuses = [503, 429]
    assert contents(things(site).obtain()) == FILES


def test_what_cannot_be_had_says_what_to_do(site: Site, cache: Path) -> None:
    with pytest.raises(DatasetError) as told:
        things(site).obtain()
    for words in ("things cannot be had", "404", f"by hand from {site.address}/page", "MMTUTORIAL"):
        assert words in str(told.value)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/x.zip"
    with pytest.raises(DatasetError, match="things cannot be had"):
        Made("things", address, "CC0", "page", FILES).obtain()
    assert contents(cache) == {}


@pytest.mark.parametrize(
    "served, words",
    [
        (b"<html>not a zip</html>", "not a zip file"),
        (zipped({**FILES, "a/two.bin": b"forged"}), "a/two.bin in the archive is not"),
        (zipped({"a/one.bin": FILES["a/one.bin"]}), r"lacks a/two.bin \(2 files in all\)"),
        (zipped(FILES)[:-300], "not a zip file"),
        (deflated_and_damaged(), "things cannot be had"),
    ],
)
def test_a_wrong_archive_is_refused_and_fetched_again_next_time(
    site: Site, cache: Path, served: bytes, words: str
) -> None:
    site.files["/things.zip"] = served
    with pytest.raises(DatasetError, match=words):
        things(site).obtain()
    assert not list(cache.glob("*.zip"))
    site.files["/things.zip"] = zipped(FILES)
    assert contents(things(site).obtain()) == FILES


def test_nothing_is_written_outside_the_folder(tmp_path: Path) -> None:
    hostile = io.BytesIO()
    with zipfile.ZipFile(hostile, "w") as archive:
        for name in ("top/../../escaped", "/absolute", "top/../a/one.bin", "..\\windows"):
            archive.writestr(name, b"evil")
        link = zipfile.ZipInfo("top/three.txt")
        link.external_attr = 0o120777 << 16  # a symbolic link
        archive.writestr(link, "/etc/passwd")
        for name in ("a/one.bin", "a/two.bin"):
            archive.writestr(f"top/{name}", FILES[name])
    (tmp_path / "hostile.zip").write_bytes(hostile.getvalue())
    folder = tmp_path / "inside" / "things"
    folder.mkdir(parents=True)
    with pytest.raises(ValueError, match=r"three\.txt in the archive is not the published file"):
        unpack(tmp_path / "hostile.zip", folder, manifest_of(FILES))
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert written - {"hostile.zip", "inside", "inside/things"} <= {
        f"inside/things/{name}" for name in ("a", "a/one.bin", "a/two.bin")
    }
    for name in ("../up", "/root", "a/../../b", "c:\\x", "a\\b"):
        with pytest.raises(ValueError, match="outside the folder"):
            read_manifest(f"00 1 {name}")


def test_a_bomb_is_not_unfolded(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top/small.bin", b"\0" * 50_000_000)
    (tmp_path / "bomb.zip").write_bytes(bomb.getvalue())
    with pytest.raises(ValueError, match=r"small\.bin in the archive is not the published file"):
        unpack(tmp_path / "bomb.zip", tmp_path, {"small.bin": ("00", 10)})
    assert not (tmp_path / "small.bin").exists()


def test_a_single_file_is_checked_by_its_digest(site: Site, cache: Path) -> None:
    only = {"table.zip": zipped(FILES)}
    collection = Made("table", f"{site.address}/t", "CC0", "page", only)
    site.files["/t"] = b"something else"
    with pytest.raises(DatasetError, match="table cannot be had"):
        collection.obtain()
    assert contents(cache) == {}
    site.files["/t"] = only["table.zip"]
    assert contents(collection.obtain()) == only


def test_a_readers_copy_is_used_and_checked(
    site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    monkeypatch.setenv("MMTUTORIAL_DATA", str(own))
    with pytest.raises(DatasetError, match="there is no such folder"):
        things(site).obtain()
    for name, data in FILES.items():
        (own / "things" / name).parent.mkdir(parents=True, exist_ok=True)
        (own / "things" / name).write_bytes(data)
    assert things(site).obtain() == own / "things"
    assert site.asked == []
    (own / "things" / "a" / "two.bin").write_bytes(FILES["a/two.bin"][:-1] + b"!")
    with pytest.raises(DatasetError, match=r"two\.bin differs from .* \(1 of 3 files"):
        things(site).obtain()
    (own / "things" / "a" / "one.bin").unlink()
    with pytest.raises(DatasetError, match=r"one\.bin is missing of .* \(2 of 3 files"):
        things(site).obtain()


def test_a_folder_of_copies_without_this_collection_lets_it_be_downloaded(
    site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMTUTORIAL_DATA", str(tmp_path))
    site.files["/things.zip"] = zipped(FILES)
    assert things(site).obtain() == cache / "things"


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMTUTORIAL_CACHE", "~/somewhere")
    assert cache_folder() == Path.home() / "somewhere"
    monkeypatch.delenv("MMTUTORIAL_CACHE")
    assert "mmtutorial" in cache_folder().name


def test_files_are_had_one_by_one_below_an_address(site: Site, cache: Path) -> None:
    odd = {**FILES, "a/three four#.bin": b"3 4"}
    collection = Made("things", f"{site.address}/raw/", "CC0", f"{site.address}/page", odd)
    site.files = {f"/raw/{name}": content for name, content in FILES.items()}
    site.break_after = [100_000]
    with pytest.raises(DatasetError, match=r"things cannot be had .*404"):
        collection.obtain()
    starts = [wanted for path, wanted in site.asked if path == "/raw/a/one.bin"]
    assert starts[0] == "" and starts[1].startswith("bytes=")  # taken up where it stopped
    site.files["/raw/a/three%20four%23.bin"] = b"3 5"
    with pytest.raises(DatasetError, match="things cannot be had"):
        collection.obtain()
    site.files["/raw/a/three%20four%23.bin"] = b"3 4"
    assert contents(collection.obtain()) == odd
    assert contents(cache) == {f"things/{name}": data for name, data in odd.items()}
    asked = [path for path, _ in site.asked]
    assert asked.count("/raw/a/two.bin") == 1  # what had arrived was kept
