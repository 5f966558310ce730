"""Downloads against a server on this machine: resumed, checked, kept inside their folder."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import socket
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmtutorial.datasets import collections as download
from mmtutorial.datasets.collections import Collection, fetch_pictures, read_manifest, unpack
from mmtutorial.datasets.faults import DatasetError
from mmtutorial.storage.files import CacheError, cache_folder
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


@pytest.mark.skipif(os.name == "nt", reason="no umask")
@pytest.mark.parametrize("files", [FILES, {"three.txt": b"drei\n"}])
def test_others_may_read_what_was_downloaded(
    files: dict[str, bytes], site: Site, cache: Path
) -> None:
    single = len(files) == 1
    site.files["/things.zip"] = files["three.txt"] if single else zipped(files)
    before = os.umask(0o002)
    try:
        folder = Made("things", f"{site.address}/things.zip", "", site.address, files).obtain()
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in folder.rglob("*") if each.is_file()}
    assert modes == {0o664}
    assert sorted(each.name for each in cache.iterdir()) == ["things"]


def test_a_cache_that_cannot_be_used_is_named(
    site: Site, cache: Path, unreadable: Callable[[Path], Any]
) -> None:
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("mine")
    with pytest.raises(
        CacheError, match=rf"{cache}.* to download things .*, or let MMTUTORIAL_CACHE"
    ):
        things(site).obtain()
    assert site.asked == []
    cache.unlink()
    site.files["/things.zip"] = zipped(FILES)
    folder = things(site).obtain()
    said = r"three.txt cannot .* \(Permission denied\): give this"
    with unreadable(folder / "three.txt"), pytest.raises(CacheError, match=said):
        things(site).obtain()
    assert contents(folder) == FILES
    assert len(site.asked) == 1


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


def test_nothing_is_downloaded_where_the_environment_forbids_it(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMTUTORIAL_OFFLINE", "1")
    with pytest.raises(DatasetError, match="is not on this machine, and MMTUTORIAL_OFFLINE is set"):
        things(site).obtain()
    assert not site.asked


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


def test_more_or_less_than_was_promised_is_not_taken_for_the_file(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/things.zip"] = zipped(FILES)
    site.lengths = [50]  # more than comes
    assert contents(things(site).obtain()) == FILES
    site.files["/t"] = b"0123456789"
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    for lengths in ([5, 5], [-3]):  # less is all that arrives: the digest tells
        site.lengths = lengths
        collection = Made(f"t{len(lengths)}", f"{site.address}/t", "CC0", "p", {"t": b"0123456789"})
        with pytest.raises(DatasetError, match="cannot be had"):
            collection.obtain()
        assert contents(collection.obtain()) == {"t": b"0123456789"}


def test_bytes_that_stop_coming_are_asked_for_again(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", (5, 0.2))
    site.files["/things.zip"] = whole = zipped(FILES)
    site.stalls = [0.6, 0.6]
    assert contents(things(site).obtain()) == FILES
    starts = [int(re.sub(r"\D", "", wanted) or 0) for _, wanted in site.asked]
    assert len(starts) == 3
    assert 0 == starts[0] < len(whole) // 3 < starts[1] < starts[2]  # half, then half of the rest


def test_the_terms_are_shown_before_anything_is_asked_for(
    site: Site, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.statuses = [404]
    with pytest.raises(DatasetError):
        Made("things", f"{site.address}/t", "for research only", "page", FILES).obtain()
    shown = capsys.readouterr().err
    assert f"Downloading things (for research only) from {site.address}/t" in shown


PAIRS = b"user,item\n1,2\n"
UNKNOWN = {"pairs.csv": "", "meta/all.gz": "", "known.txt": hashlib.sha256(b"known").hexdigest()}


@pytest.fixture
def unknown(site: Site) -> Collection:
    """A collection of three files, of which nobody has published the digests of two."""
    site.files = {
        "/raw/pairs.csv": PAIRS,
        "/raw/meta/all.gz": gzip.compress(b"words " * 1000, mtime=0),
        "/raw/known.txt": b"known",
    }
    return Collection("unknown", f"{site.address}/raw/", "CC0", "the page", digests=UNKNOWN)


def test_what_is_seen_first_is_trusted_and_held_to(
    site: Site, cache: Path, unknown: Collection
) -> None:
    folder = unknown.obtain()
    record = cache / "unknown.first-seen.txt"
    assert read_manifest(record.read_text()) == manifest_of(
        {name: site.files[f"/raw/{name}"] for name in ("pairs.csv", "meta/all.gz")}
    )
    assert unknown.obtain() == folder and len(site.asked) == 3
    (folder / "pairs.csv").write_bytes(PAIRS[:-2] + b"3\n")  # what lies here has changed
    assert (unknown.obtain() / "pairs.csv").read_bytes() == PAIRS
    assert len(site.asked) == 4
    site.files["/raw/pairs.csv"] = b"user,item\n9,9\n"  # what the publisher has has changed
    (folder / "pairs.csv").unlink()
    with pytest.raises(DatasetError, match=r"unknown cannot be had .*nobody has published") as told:
        unknown.obtain()
    for words in (str(record), hashlib.sha256(PAIRS).hexdigest(), "if you know that pairs.csv was"):
        assert words in str(told.value)
    assert not (folder / "pairs.csv").exists()
    record.unlink()
    assert (unknown.obtain() / "pairs.csv").read_bytes() == b"user,item\n9,9\n"


def test_a_published_digest_is_held_to_from_the_first(
    site: Site, cache: Path, unknown: Collection
) -> None:
    site.files["/raw/known.txt"] = b"forged"
    with pytest.raises(DatasetError, match="unknown cannot be had") as told:
        unknown.obtain()
    assert "nobody has published" not in str(told.value)
    assert not (cache / "unknown.first-seen.txt").exists()


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("meta/all.gz", gzip.compress(b"words " * 1000, mtime=0)[:-9], "end-of-stream"),
        ("meta/all.gz", b"not gzip", "Not a gzipped file"),
        ("pairs.csv", b"\n <!DOCTYPE HTML><p>Log in", "it is a web page"),
    ],
    ids=["cut", "another kind", "a web page"],
)
def test_what_is_not_whole_is_never_trusted(
    site: Site, cache: Path, unknown: Collection, name: str, content: bytes, words: str
) -> None:
    good, site.files[f"/raw/{name}"] = site.files[f"/raw/{name}"], content
    with pytest.raises(DatasetError, match=f"{name} is not whole .*{words}.*: fetch it again from"):
        unknown.obtain()
    assert not (cache / "unknown.first-seen.txt").exists()
    site.files[f"/raw/{name}"] = good
    assert (unknown.obtain() / name).read_bytes() == good


def test_a_readers_copy_is_trusted_once_and_held_to(
    site: Site,
    cache: Path,
    unknown: Collection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = tmp_path / "own"
    (own / "unknown" / "meta").mkdir(parents=True)
    for name in UNKNOWN:
        (own / "unknown" / name).write_bytes(site.files[f"/raw/{name}"])
    monkeypatch.setenv("MMTUTORIAL_DATA", str(own))
    assert unknown.obtain() == unknown.obtain() == own / "unknown"
    assert site.asked == []
    assert sorted(contents(own)) == sorted(f"unknown/{name}" for name in UNKNOWN)
    (own / "unknown" / "pairs.csv").write_bytes(b"other")
    with pytest.raises(DatasetError, match=r"pairs\.csv differs .*first-seen\.txt records") as told:
        unknown.obtain()
    assert hashlib.sha256(PAIRS).hexdigest() in str(told.value)
    (cache / "unknown.first-seen.txt").unlink()
    (own / "unknown" / "meta" / "all.gz").write_bytes(b"not gzip")
    with pytest.raises(DatasetError, match=r"all\.gz is not whole"):
        unknown.obtain()
    assert (own / "unknown" / "meta" / "all.gz").exists()  # it is the reader's


def test_what_only_a_person_can_fetch_is_told(site: Site, cache: Path) -> None:
    files = {"baby.inter": "", "text_feat.npy": ""}
    collection = Collection("mmrec-baby", "", "no licence", "https://drive/x", digests=files)
    with pytest.raises(DatasetError) as told:
        collection.obtain()
    assert "Its terms: no licence. Fetch baby.inter, text_feat.npy by hand" in str(told.value)
    assert "from https://drive/x, put them into a folder named mmrec-baby" in str(told.value)
    assert not cache.exists()


def jpeg(colour: int) -> bytes:
    """A picture of noise, which is some kilobytes large."""
    memory = io.BytesIO()
    noise = np.random.default_rng(colour).integers(0, 255, (150, 150, 3), dtype=np.uint8)
    Image.fromarray(noise).save(memory, "JPEG")
    return memory.getvalue()


@pytest.fixture
def polite(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note pauses instead of making them."""
    pauses: list[float] = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    return pauses


def test_pictures_are_brought_and_what_cannot_be_had_is_told(
    site: Site, tmp_path: Path, polite: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LARGEST", 60_000)
    monkeypatch.setattr(download, "CHUNK", 1 << 10)
    program = io.BytesIO()  # PostScript, which Pillow would have run
    Image.new("RGB", (4, 4)).save(program, "EPS")
    ran: list[object] = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *given, **_: ran.append(given))
    site.files = {
        "/a": jpeg(1),
        "/b": jpeg(2),
        "/page": b"<html>Sorry</html>",
        "/cut": jpeg(3)[:9000],
        "/huge": b"x" * 70_000,
        "/program": program.getvalue(),
    }
    names = {"a.jpg": "/a", "b.jpg": "/b", "page.jpg": "/page", "cut.jpg": "/cut"}
    names |= {"program.jpg": "/program", "huge.jpg": "/huge", "lost.jpg": "/nowhere"}
    addresses = {name: site.address + path for name, path in names.items()}
    addresses["ftp.jpg"] = "ftp://127.0.0.1/a"
    site.break_after = [5000]
    missing = fetch_pictures(addresses, tmp_path / "images")
    assert missing == {
        "program.jpg": "not a picture",
        "page.jpg": "not a picture",
        "cut.jpg": "not a picture",
        "huge.jpg": "larger than 60,000 bytes",
        "lost.jpg": "HTTP 404",
        "ftp.jpg": "'ftp://127.0.0.1/a' is no address",
    }
    assert not ran
    gone = b"lost.jpg HTTP 404\n"
    assert contents(tmp_path / "images") == {"a.jpg": jpeg(1), "b.jpg": jpeg(2), "gone.txt": gone}
    assert [path for path, _ in site.asked[:2]] == ["/a", "/a"]
    assert site.asked[1][1].startswith("bytes=")  # it went on where it had stopped
    assert polite.count(download.POLITE) == len(addresses)


def test_neither_what_is_there_nor_what_is_gone_is_asked_for_again(
    site: Site, tmp_path: Path, polite: list[float]
) -> None:
    site.files = {"/a": jpeg(1)}
    addresses = {"a.jpg": f"{site.address}/a", "b.jpg": f"{site.address}/b"}
    assert fetch_pictures(addresses, tmp_path) == {"b.jpg": "HTTP 404"}
    site.files["/b"] = jpeg(2)
    assert fetch_pictures(addresses, tmp_path) == {"b.jpg": "HTTP 404"}
    assert len(site.asked) == 2
    (tmp_path / "gone.txt").unlink()
    assert fetch_pictures(addresses, tmp_path) == {}


def test_a_server_that_is_not_there_is_left_alone(tmp_path: Path, polite: list[float]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/x.jpg"
    missing = fetch_pictures({f"{number}.jpg": address for number in range(15)}, tmp_path)
    told = list(missing.values())
    assert told == ["ConnectionError"] * 10 + ["not asked for: 10 in a row had no answer"] * 5
