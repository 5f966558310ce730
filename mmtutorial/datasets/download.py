"""Public collections: downloaded once, resumed, and every file checked before it is used.

A collection is a folder of files. Its *manifest*, which we ship, names each file with its SHA-256
and its size. A reader's own copy (under ``MMTUTORIAL_DATA``) and a download are held to the same
manifest, and of an archive only files that the manifest names are ever written: whatever else it
holds, ``../`` paths and links included, stays in it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import joblib
import pooch
import requests
from requests.adapters import HTTPAdapter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, track
from urllib3.util import Retry

from mmtutorial.datasets.dataset import DatasetError

DATA = "MMTUTORIAL_DATA"  # environment variable: the folder above a reader's own copies
CACHE = "MMTUTORIAL_CACHE"  # environment variable: where downloads and prepared data are kept
TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
ATTEMPTS = 5  # a transfer that breaks off is taken up again so many times
PAUSE = 1.0  # seconds before the second attempt; doubled before each further one
CHUNK = 1 << 14  # bytes; what a broken transfer may lose


def cache_folder() -> Path:
    """Return where downloads and prepared data are kept: ``MMTUTORIAL_CACHE``, or the system's.

    >>> cache_folder().is_absolute()
    True
    """
    named = os.environ.get(CACHE)
    return (Path(named).expanduser() if named else Path(pooch.os_cache("mmtutorial"))).absolute()


def cached_place(name: str, options: Mapping[str, Any], sources: Iterable[Path]) -> Path:
    """Name the cached folder of a data set by its options and by the code that makes it.

    >>> import mmtutorial
    >>> here = [Path(mmtutorial.__file__)]
    >>> cached_place("shop", {"seed": 0}, here) == cached_place("shop", {"seed": 1}, here)
    False
    """
    digest = hashlib.sha256(repr(sorted(options.items())).encode())
    for source in sorted(sources):
        digest.update(source.read_bytes().replace(b"\r\n", b"\n"))
    return cache_folder() / name / digest.hexdigest()[:16]


@dataclass(frozen=True)
class Collection:
    """A published collection of files.

    Parameters
    ----------
    name : str
        Of its folder, and of its manifest.
    address : str
        A zip archive that holds the files below one top folder; or the collection's only file; or,
        ending in "/", what each file's path is appended to.
    licence, page : str
        Its terms, and the page where a person finds it.

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

    @cached_property
    def manifest(self) -> dict[str, tuple[str, int]]:
        """Path of each file within the folder: its SHA-256 and its size in bytes."""
        shipped = resources.files("mmtutorial.datasets") / "manifests" / f"{self.name}.txt"
        return read_manifest(shipped.read_text(encoding="utf-8"))

    def obtain(self) -> Path:
        """Return the folder with all files of the manifest, downloaded if need be.

        Looked for under ``MMTUTORIAL_DATA`` first, then among earlier downloads. An interrupted
        download goes on where it stopped.

        Raises
        ------
        DatasetError
            If a reader's copy is not the published one, or the collection cannot be had. It says
            what to do.
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
        if self.missing(folder):
            self._download(folder)
        return folder

    def missing(self, folder: Path) -> list[str]:
        """Return the files of the manifest that are not in the folder as they were published."""

        def wrong(name: str) -> bool:
            digest, size = self.manifest[name]
            path = folder / name
            if not path.is_file() or path.stat().st_size != size:
                return True
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() != digest

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
                f"({len(missing)} of {len(self.manifest)} files are missing or differ): fetch it "
                f"again from {self.page}, or remove {folder} to let it be downloaded"
            )

    def _download(self, folder: Path) -> None:
        """Bring all files into the folder, or say why that cannot be done."""
        folder.mkdir(parents=True, exist_ok=True)
        Console(stderr=True).print(
            f"Downloading {self.name} ({self.licence}) from {self.address}", soft_wrap=True
        )
        pooch.get_logger().setLevel("WARNING")
        archive = folder.parent / f"{self.name}.zip"
        try:
            for name, address in self._addresses.items():
                self._retrieve(address, folder / name, self.manifest[name][0])
            if not self._addresses:
                self._retrieve(self.address, archive)
                unpack(archive, folder, self.manifest)
        except (
            requests.RequestException,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            ValueError,
        ) as error:
            archive.unlink(missing_ok=True)
            raise DatasetError(
                f"{self.name} cannot be had from {self.address} ({error}): try again later, or "
                f"download it by hand from {self.page}, put it into a folder named {self.name}, "
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
        Names the first file that the archive lacks, or holds with another content.
    zipfile.BadZipFile
        If it is no zip archive, or a damaged one.
    """
    with zipfile.ZipFile(archive) as opened:
        entries = {entry.filename.partition("/")[2]: entry for entry in opened.infolist()}
        lacking = [name for name in manifest if name not in entries]
        if lacking:
            raise ValueError(f"the archive lacks {lacking[0]} ({len(lacking)} files in all)")
        for name in track(
            manifest,
            description=f"Unpacking {folder.name}",
            transient=True,
            console=Console(stderr=True),
        ):
            digest, size = manifest[name]
            with opened.open(entries[name]) as source:
                content = source.read(size + 1)  # never more, whatever the entry unfolds to
            if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
                raise ValueError(f"{name} in the archive is not the published file")
            write_whole(folder / name, content)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file at once, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def resuming(part: Path) -> Callable[[str, Any, Any], None]:
    """Make a downloader for pooch that keeps what has arrived in ``part``, and goes on from there.

    If the server cannot send a part of a file, or the file has changed since (by its ETag), it
    begins anew. Broken transfers are taken up again, `ATTEMPTS` times in all.

    Raises (when called) requests.RequestException: the last one.
    """
    tag = part.with_suffix(".etag")

    def download(address: str, output: Any, _: Any) -> None:
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
        with requests.Session() as session, _progress() as progress:
            session.mount("http://", HTTPAdapter(max_retries=busy))
            session.mount("https://", HTTPAdapter(max_retries=busy))
            task = progress.add_task(part.stem, total=None)

            def tell(done: int, total: int | None) -> None:
                progress.update(task, completed=done, total=total)

            for attempt in range(ATTEMPTS):
                try:
                    _transfer(session, address, part, tag, tell)
                    break
                except (
                    requests.ConnectionError,
                    requests.Timeout,
                    requests.exceptions.ChunkedEncodingError,
                ):
                    if attempt == ATTEMPTS - 1:
                        raise
                    time.sleep(PAUSE * 2**attempt)
        shutil.move(part, output)
        tag.unlink(missing_ok=True)

    return download


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
