"""Public collections: downloaded once, resumed, and every file checked before it is used.

A collection is a folder of files. Its *manifest*, which we ship, names each file with its SHA-256
and its size. A reader's own copy (under ``MMTUTORIAL_DATA``) and a download are held to the same
manifest, and of an archive only files that the manifest names are ever written: whatever else it
holds, ``../`` paths and links included, stays in it.

Where nobody has published a digest, the first file that arrives whole is trusted: its digest is
recorded beside the data, and whatever comes later is held to it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import joblib
import pooch
import requests
from PIL import Image
from requests.adapters import HTTPAdapter
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
from urllib3.util import Retry

from mmtutorial.datasets.faults import DatasetError
from mmtutorial.datasets.media import check_picture, to_rgb
from mmtutorial.storage.digests import file_digest
from mmtutorial.storage.files import (
    cache_folder,
    explained,
    go_on_without,
    sweep,
    unusable,
    write_whole,
)
from mmtutorial.terminal import say, steps

DATA = "MMTUTORIAL_DATA"  # environment variable: the folder above a reader's own copies
OFFLINE = "MMTUTORIAL_OFFLINE"  # environment variable: where it is set, nothing is downloaded
TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
ATTEMPTS = 5  # a transfer that breaks off is taken up again so many times
PAUSE = 1.0  # seconds before the second attempt; doubled before each further one
BROKEN_OFF = (
    requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError,
)  # fmt: skip
NO_ARCHIVE = (zipfile.BadZipFile, NotImplementedError)  # no zip archive, or one of a later kind
CHUNK = 1 << 14  # bytes; what a broken transfer may lose
POLITE = 0.1  # seconds between two of many small files
LARGEST = 20_000_000  # bytes of one of many small files
DEAF = 10  # so many of them in a row without an answer, and no more are asked for


@dataclass(frozen=True)
class Collection:
    """A published collection of files.

    Parameters
    ----------
    name : str
        Of its folder, and of its manifest.
    address : str
        A zip archive that holds the files below one top folder; or the collection's only file; or,
        ending in "/", what each file's path is appended to; or "" where only a person can fetch it.
    licence, page : str
        Its terms, shown before a download begins, and the page where a person finds it.
    digests : mapping, optional
        In place of a shipped manifest: path of each file to its SHA-256, "" where none is
        published. Then the first that arrives whole is trusted, and recorded (`first_seen`).

    Examples
    --------
    >>> digits = Collection("free-spoken-digit-dataset", "https://…", "CC BY-SA 4.0", "https://…")
    >>> len(digits.manifest)
    3000
    """

    name: str
    address: str
    licence: str
    page: str
    digests: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    @cached_property
    def manifest(self) -> dict[str, tuple[str, int]]:
        """Path of each file within the folder, with its SHA-256 and its size in bytes.

        A digest that nobody has published is "", such a size −1.
        """
        if self.digests:
            return {name: (digest, -1) for name, digest in self.digests.items()}
        shipped = resources.files("mmtutorial.datasets") / "manifests" / f"{self.name}.txt"
        return read_manifest(shipped.read_text(encoding="utf-8"))

    @property
    def first_seen(self) -> Path:
        """The record of digests that nobody has published, as they were when first seen here."""
        return cache_folder() / "downloads" / f"{self.name}.first-seen.txt"

    @property
    def expected(self) -> dict[str, tuple[str, int]]:
        """The manifest, completed by the record of what was first seen."""
        if all(digest for digest, _ in self.manifest.values()) or not self.first_seen.is_file():
            return self.manifest
        seen = read_manifest(self.first_seen.read_text(encoding="utf-8"))
        return {
            name: known if known[0] else seen.get(name, known)
            for name, known in self.manifest.items()
        }

    def obtain(self) -> Path:
        """Return the folder with all files of the manifest, downloaded if need be.

        Looked for under ``MMTUTORIAL_DATA`` first, then among earlier downloads. An interrupted
        download goes on where it stopped.

        Raises
        ------
        DatasetError
            If a reader's copy is not the published one, the collection cannot be had, or it is not
            here and ``MMTUTORIAL_OFFLINE`` is set. It says what to do.
        CacheError
            If it is to be downloaded, and the cache cannot be read or written.
        """
        own = os.environ.get(DATA)
        if own and not Path(own).expanduser().is_dir():
            raise DatasetError(
                f"{DATA} is set to {own}, and there is no such folder: correct it, or unset it to "
                "let the collections be downloaded"
            )
        if own and (folder := Path(own).expanduser() / self.name).is_dir():
            self._check_own(folder)
            return folder
        folder = cache_folder() / "downloads" / self.name
        try:
            if self.missing(folder):
                self._download(folder)
            self._record(folder)
        except OSError as error:
            if not unusable(error):
                raise
            raise explained(error, folder, f"to download {self.name} into") from error
        return folder

    def missing(self, folder: Path) -> list[str]:
        """Return the files of the manifest that are not in the folder as they were published."""
        expected = self.expected

        def wrong(name: str) -> bool:
            digest, size = expected[name]
            path = folder / name
            if not path.is_file() or size not in (-1, path.stat().st_size):
                return True
            return bool(digest) and file_digest(path) != digest

        names = list(self.manifest)
        found = joblib.Parallel(n_jobs=-1, prefer="threads", batch_size=64)(
            joblib.delayed(wrong)(name) for name in names
        )
        return [name for name, is_wrong in zip(names, found, strict=True) if is_wrong]

    def _check_own(self, folder: Path) -> None:
        missing = self.missing(folder)
        if missing:
            state = "differs from" if (folder / missing[0]).is_file() else "is missing of"
            raise DatasetError(
                f"{folder / missing[0]} {state} the published collection "
                f"({len(missing)} of {len(self.manifest)} files are missing or differ)"
                f"{self._held_to(missing[0])}: fetch it again from {self.page}"
                + (f", or remove {folder} to let it be downloaded" if self.address else "")
            )
        self._record(folder)

    def _held_to(self, name: str) -> str:
        """Name the record that a file is held to, if there is no published digest of it."""
        digest = self.expected[name][0]
        if self.manifest[name][0] or not digest:
            return ""
        return (
            f"; nobody has published a digest of it, and {self.first_seen} records the one that "
            f"was first seen here, {digest}: remove that file if you know that {name} was renewed"
        )

    def _record(self, folder: Path) -> None:
        """Look at files without a published digest once, and record what they are.

        Raises DatasetError for one that is damaged; a downloaded one is removed.
        """
        unseen = [name for name, (digest, _) in self.expected.items() if not digest]
        if not unseen:
            return
        for name in unseen:
            if fault := damage(folder / name):
                if folder.parent == self.first_seen.parent:
                    (folder / name).unlink()
                raise DatasetError(
                    f"{folder / name} is not whole ({fault}): fetch it again from {self.page}"
                )
        seen = {
            name: (file_digest(folder / name), (folder / name).stat().st_size)
            if name in unseen
            else known
            for name, known in self.expected.items()
            if not self.manifest[name][0]
        }
        lines = [f"{digest} {size} {name}\n" for name, (digest, size) in seen.items()]
        try:
            write_whole(self.first_seen, "".join(lines).encode())
        except OSError as error:
            go_on_without(error, self.first_seen)

    def _download(self, folder: Path) -> None:
        """Bring all files into the folder, or say why that cannot be done."""
        if not self.address:
            raise DatasetError(
                f"{self.name} cannot be downloaded by a program. Its terms: {self.licence}. Fetch "
                f"{', '.join(self.manifest)} by hand from {self.page}, put them into a folder "
                f"named {self.name}, and let {DATA} name the folder above"
            )
        if os.environ.get(OFFLINE):
            raise DatasetError(
                f"{self.name} is not on this machine, and {OFFLINE} is set: unset it to let the "
                f"collection be downloaded from {self.address}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        sweep([*folder.rglob("tmp*"), *folder.parent.glob("tmp*")])  # of downloads that were killed
        say(f"Downloading {self.name} ({self.licence}) from {self.address}")
        pooch.get_logger().setLevel("WARNING")
        archive = folder.parent / f"{self.name}.zip"
        wanted = next(iter(self.manifest))
        try:
            for name, address in self._addresses.items():
                wanted = name
                self._retrieve(address, folder / name, self.expected[name][0] or None)
            if not self._addresses:
                self._retrieve(self.address, archive)
                unpack(archive, folder, self.manifest)
        except (
            requests.RequestException,
            *NO_ARCHIVE,
            ValueError,
        ) as error:
            archive.unlink(missing_ok=True)
            raise DatasetError(
                f"{self.name} cannot be had from {self.address} ({error})"
                f"{self._held_to(wanted)}: try again later, or download it by hand from "
                f"{self.page}, put it into a folder named {self.name}, "
                f"and let {DATA} name the folder above"
            ) from error
        archive.unlink(missing_ok=True)

    @property
    def _addresses(self) -> dict[str, str]:
        """Path of each file that can be had on its own: its address."""
        if self.address.endswith("/"):
            return {name: self.address + quote(name) for name in self.manifest}
        return dict.fromkeys(self.manifest, self.address) if len(self.manifest) == 1 else {}

    def _retrieve(self, address: str, path: Path, digest: str | None = None) -> None:
        """Bring one file to its place, unless it lies there as it should."""
        part = cache_folder() / "downloads" / f"{self.name}.part"
        pooch.retrieve(
            address, digest, fname=path.name, path=path.parent, downloader=resuming(part)
        )


def read_manifest(text: str) -> dict[str, tuple[str, int]]:
    """Read a manifest: a line a file with its SHA-256, its size in bytes and its path.

    Raises ValueError for a path that would lead out of the folder.

    >>> read_manifest("ab12 7 images/p1.jpg")
    {'images/p1.jpg': ('ab12', 7)}
    """
    files = {}
    for line in text.splitlines():
        digest, size, name = line.split(" ", 2)
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
            raise ValueError(f"the manifest names {name!r}, which lies outside the folder")
        files[name] = (digest, int(size))
    return files


def unpack(archive: Path, folder: Path, manifest: Mapping[str, tuple[str, int]]) -> None:
    """Take the files of the manifest out of a zip archive, each checked before it is in place.

    The archive's top folder is left out of the paths. Files of the manifest that lie in the folder
    already, as they should, stay; entries that the manifest does not name are passed over.

    Parameters
    ----------
    archive, folder : Path
        From where, and into which existing folder.
    manifest : mapping
        As from `read_manifest`.

    Raises
    ------
    ValueError
        Names the first file that the archive lacks, holds with another content, or holds in a way
        that cannot be unpacked.
    zipfile.BadZipFile, NotImplementedError
        If it is no zip archive, a damaged one, or one of a later kind (`NO_ARCHIVE`).
    """
    with zipfile.ZipFile(archive) as opened:
        entries = {entry.filename.partition("/")[2]: entry for entry in opened.infolist()}
        lacking = [name for name in manifest if name not in entries]
        if lacking:
            raise ValueError(f"the archive lacks {lacking[0]} ({len(lacking)} files in all)")
        for name in steps(manifest, f"Unpacking {folder.name}"):
            digest, size = manifest[name]
            try:
                with opened.open(entries[name]) as source:
                    content = source.read(size + 1)  # never more, whatever the entry unfolds to
            except Exception as error:  # damaged, encrypted, or packed as Python cannot unpack
                raise ValueError(f"{name} in the archive cannot be unpacked ({error})") from error
            if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
                raise ValueError(f"{name} in the archive is not the published file")
            write_whole(folder / name, content)


def damage(path: Path) -> str:
    """Say what shows that a file is not whole, or not the file at all; "" if nothing does.

    A web page in its place, and a compressed file that does not unfold; more cannot be told of a
    file whose digest nobody has published.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (path := Path(folder) / "pairs.csv").write_text("<!DOCTYPE html><p>Log in first")
    ...     damage(path)
    'it is a web page'
    """
    with path.open("rb") as file:
        head = file.read(64).lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "it is a web page"
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as unfolded:
                while unfolded.read(1 << 20):
                    pass
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                if wrong := archive.testzip():
                    return f"{wrong} in it is damaged"
    except (OSError, EOFError, zlib.error, *NO_ARCHIVE) as error:
        return str(error)
    return ""


def fetch_pictures(addresses: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Bring many pictures into a folder, one after the other, and say which cannot be had.

    What lies there already is not asked for again, nor is what a server said is gone: those are
    listed in ``gone.txt``; remove it to ask again. A transfer that breaks off goes on where it
    stopped. There is a pause of `POLITE` seconds between two; a busy server is waited for; and when
    `DEAF` in a row get no answer, no more are asked for.

    Parameters
    ----------
    addresses : mapping
        Name of each file, without folders, to its address, http or https.
    folder : Path
        Made if need be.

    Returns
    -------
    dict
        Of those that are not there, the name to why. Nothing is raised for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gone_list = folder / "gone.txt"
    gone: dict[str, str] = {}
    if gone_list.is_file():
        lines = gone_list.read_text(encoding="utf-8").splitlines()
        gone = {name: reason for name, _, reason in (line.partition(" ") for line in lines)}
    wanted = [name for name in addresses if not (folder / name).is_file()]
    missing = {name: gone[name] for name in wanted if name in gone}
    silent = 0
    with _session() as session:
        due = [name for name in wanted if name not in gone]
        for name in steps(due, "Downloading pictures"):
            if silent >= DEAF:
                missing[name] = f"not asked for: {DEAF} in a row had no answer"
                continue
            try:
                _fetch_picture(session, addresses[name], folder / name)
                silent = 0
            except requests.HTTPError as error:
                silent = 0
                missing[name] = f"HTTP {error.response.status_code}"
                if error.response.status_code in (404, 410):
                    gone[name] = missing[name]
                    listed = "".join(f"{each} {reason}\n" for each, reason in gone.items())
                    write_whole(gone_list, listed.encode())
            except (requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
                missing[name] = f"{addresses[name]!r} is no address"
            except requests.RequestException as error:
                silent += 1
                missing[name] = type(error).__name__
            except ValueError as error:
                silent = 0
                missing[name] = str(error)
            time.sleep(POLITE)
    return missing


def _fetch_picture(session: requests.Session, address: str, path: Path) -> None:
    """Bring one picture to its place; raises ValueError for one too large or that is none."""
    part, tag = path.with_name(path.name + ".part"), path.with_name(path.name + ".etag")

    def tell(done: int, total: int | None) -> None:
        if max(done, total or 0) > LARGEST:
            part.unlink(missing_ok=True)
            tag.unlink(missing_ok=True)
            raise ValueError(f"larger than {LARGEST:,} bytes")

    for attempt in (1, 2):
        try:
            _transfer(session, address, part, tag, tell)
            break
        except BROKEN_OFF:
            if attempt == 2:
                raise
            time.sleep(PAUSE)
    tag.unlink(missing_ok=True)
    try:
        with Image.open(part) as picture:
            check_picture(path, picture)
            to_rgb(picture)
    except Exception as error:  # damaged files make Pillow's plug-ins raise nearly anything
        part.unlink()
        raise ValueError("not a picture") from error
    os.replace(part, path)


def resuming(part: Path) -> Callable[[str, Any, Any], None]:
    """Make a downloader for pooch that keeps what has arrived in ``part``, and goes on from there.

    If the server cannot send a part of a file, or the file has changed since (by its ETag), it
    begins anew. Broken transfers are taken up again, `ATTEMPTS` times in all.

    Raises (when called) requests.RequestException: the last one.
    """
    tag = part.with_suffix(".etag")

    def download(address: str, output: Any, _: Any) -> None:
        with _session() as session, _progress() as progress:
            task = progress.add_task(escape(part.stem), total=None)

            def tell(done: int, total: int | None) -> None:
                progress.update(task, completed=done, total=total)

            for attempt in range(ATTEMPTS):
                try:
                    _transfer(session, address, part, tag, tell)
                    break
                except BROKEN_OFF:
                    if attempt == ATTEMPTS - 1:
                        raise
                    time.sleep(PAUSE * 2**attempt)
        shutil.move(part, output)
        tag.unlink(missing_ok=True)

    return download


def _session() -> requests.Session:
    """Open a session that asks a busy server again, after as long as it says."""
    busy = Retry(
        total=None,
        connect=0,
        read=0,
        other=0,
        status=ATTEMPTS - 1,
        status_forcelist=[429, 500, 502, 503, 504],
        backoff_factor=PAUSE,
        raise_on_status=False,
    )
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=busy))
    session.mount("https://", HTTPAdapter(max_retries=busy))
    return session


def _transfer(
    session: requests.Session,
    address: str,
    part: Path,
    tag: Path,
    tell: Callable[[int, int | None], None],
) -> None:
    """Ask for what is lacking of a file, and append it."""
    have = part.stat().st_size if part.exists() and tag.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text(encoding="utf-8")}
    with session.get(address, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            tag.unlink(missing_ok=True)  # what lies here is not the beginning of that file
            raise requests.ConnectionError(f"{address} is shorter than what has arrived")
        answer.raise_for_status()
        goes_on = answer.status_code == requests.codes.partial_content
        have = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        if not goes_on:
            part.unlink(missing_ok=True)
            tag.unlink(missing_ok=True)
            if answer.headers.get("ETag", "").startswith('"'):  # a strong one: the very bytes
                tag.write_text(answer.headers["ETag"], encoding="utf-8")
        with part.open("ab" if goes_on else "wb") as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                have += len(chunk)
                tell(have, total)


def _progress() -> Progress:
    return Progress(
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        transient=True,
        console=Console(stderr=True),
    )
