"""A web server on this machine that serves, breaks off, lies and fails as it is told."""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mmtutorial.datasets import collections as download
from mmtutorial.datasets.collections import Collection


def manifest_of(files: Mapping[str, bytes]) -> dict[str, tuple[str, int]]:
    return {name: (hashlib.sha256(data).hexdigest(), len(data)) for name, data in files.items()}


def zipped(files: Mapping[str, bytes], top: str = "things-0123abc/") -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return memory.getvalue()


@dataclass(frozen=True)
class Made(Collection):
    """A collection with a manifest of its own instead of one that we ship."""

    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def manifest(self) -> dict[str, tuple[str, int]]:  # type: ignore[override]
        return manifest_of(self.files)


@dataclass
class Site:
    """What the server serves, how it misbehaves, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    break_after: list[int] = field(default_factory=list)  # bytes; one a request, then none
    statuses: list[int] = field(default_factory=list)  # answered first, one a request
    lengths: list[int] = field(default_factory=list)  # added to Content-Length; one a request
    stalls: list[float] = field(default_factory=list)  # seconds of silence half-way; one a request
    ranges: bool = True
    tags: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)  # path, Range header


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            site.asked.append((self.path, wanted))
            if site.statuses:
                self.send_error(site.statuses.pop(0))
                return
            content = site.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            tag = f'"{hashlib.md5(content).hexdigest()}"'
            start = 0
            if wanted and site.ranges and self.headers.get("If-Range") == tag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            wrong = site.lengths.pop(0) if site.lengths else 0
            self.send_header("Content-Length", str(len(content) - start + wrong))
            if site.tags:
                self.send_header("ETag", tag)
            self.end_headers()
            end = start + site.break_after.pop(0) if site.break_after else len(content)
            if site.stalls:
                half = (start + end) // 2
                self.wfile.write(content[start:half])
                self.wfile.flush()
                time.sleep(site.stalls.pop(0))
                start = half
            with contextlib.suppress(ConnectionError):  # who waited has gone away
                self.wfile.write(content[start:end])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server that starts empty and well-behaved."""
    monkeypatch.setattr(download, "PAUSE", 0.01)
    served = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(served))
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)  # seconds
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no copies of the reader's own."""
    monkeypatch.setenv("MMTUTORIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MMTUTORIAL_DATA", raising=False)
    return tmp_path / "cache" / "downloads"
