"""A page in headless Chromium by its DevTools protocol; needs no package beside Jupyter's."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from tornado.websocket import WebSocketClientConnection, websocket_connect

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
READY = (  # when all equations and letters are there
    "(window.MathJax?.startup?.promise ?? Promise.resolve())"
    ".then(() => document.fonts.ready).then(() => true)"
)
OPEN = """(() => {
const still = document.createElement("style");
still.textContent = "* { transition: none !important; animation: none !important; }";
document.head.append(still);
document.querySelectorAll("details").forEach((each) => { each.open = true; });
document.querySelectorAll(".toggle-hidden").forEach((each) => { each.className = ""; });
dispatchEvent(new Event("resize"));
return new Promise((done) => setTimeout(() => requestAnimationFrame(() => done(true)), 100));
})()"""  # nothing folded, nothing in motion
KEYS = {"Tab": 9, "Enter": 13, " ": 32, "ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40}


def _size(width: int, height: int) -> dict[str, Any]:
    """Describe a window, of a phone where it is narrow."""
    return {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}


class Browser:
    """One tab without a network; ``with Browser(width) as page``."""

    def __init__(self, width: int, height: int = 900, dark: bool = False) -> None:
        self.size = _size(width, height)
        self.dark = dark
        self.errors: list[str] = []
        self.loaded: list[str] = []  # addresses
        self._number = 0

    def __enter__(self) -> Self:
        """Start Chromium with one empty tab."""
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-port=0",
            "--mute-audio",
        ]
        self._process = subprocess.Popen(
            [str(PROGRAM), *options, f"--user-data-dir={self._folder.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._loop = asyncio.new_event_loop()
        try:
            self._loop.run_until_complete(self._connect())
            self.send("Page.enable")
            self.send("Runtime.enable")
            self.send("Log.enable")
            self.send("Network.enable")
            self.send(
                "Network.emulateNetworkConditions",
                offline=True,
                latency=0,
                downloadThroughput=-1,
                uploadThroughput=-1,
            )
            self.view(self.size["width"], self.size["height"], self.dark)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and leave nothing behind."""
        self._process.kill()
        self._process.wait()
        self._loop.close()
        self._folder.cleanup()

    async def _connect(self) -> None:
        port = Path(self._folder.name) / "DevToolsActivePort"
        for _ in range(600):
            if port.exists() and port.read_text().count("\n"):
                break
            await asyncio.sleep(0.1)
        number, path = port.read_text().splitlines()
        self._session = ""
        self._socket: WebSocketClientConnection = await websocket_connect(
            f"ws://127.0.0.1:{number}{path}", max_message_size=2**28
        )
        target = await self._call("Target.createTarget", url="about:blank")
        attached = await self._call("Target.attachToTarget", flatten=True, **target)
        self._session = attached["sessionId"]

    async def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        await self._socket.write_message(json.dumps(message))
        while True:
            answer = json.loads(await asyncio.wait_for(self._socket.read_message(), 300))
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"]["text"])
            if (
                answer.get("method") == "Log.entryAdded"
                and answer["params"]["entry"]["level"] == "error"
            ):
                self.errors.append(
                    str(answer["params"]["entry"].get("url", answer["params"]["entry"]["text"]))
                )
            if answer.get("method") == "Network.requestWillBeSent":
                self.loaded.append(answer["params"]["request"]["url"])
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol."""
        return self._loop.run_until_complete(self._call(method, **params))

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.send(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 30) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {script}")
            time.sleep(0.05)

    def view(self, width: int, height: int = 900, dark: bool = False) -> None:
        """Change the size of the window, and whether the reader prefers dark pages."""
        self.size = _size(width, height)
        self.send("Emulation.setDeviceMetricsOverride", **self.size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Load a page to its end."""
        self.send("Page.navigate", url=address)
        self.wait(
            f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'"
        )

    def press(self, key: str, times: int = 1) -> None:
        """Press a key."""
        about = {
            "key": key,
            "code": "Space" if key == " " else key,
            "windowsVirtualKeyCode": KEYS[key],
        }
        text = {"Enter": "\r", " ": " "}.get(key)
        for _ in range(times):
            self.send(
                "Input.dispatchKeyEvent",
                type="keyDown",
                **about,
                **({"text": text} if text else {}),
            )
            self.send("Input.dispatchKeyEvent", type="keyUp", **about)

    def picture(self, path: Path) -> None:
        """Save what the whole page looks like as PNG."""
        height = self.run("document.documentElement.scrollHeight")
        self.send("Emulation.setDeviceMetricsOverride", **{**self.size, "height": height})
        taken = self.send("Page.captureScreenshot")
        self.send("Emulation.setDeviceMetricsOverride", **self.size)
        path.write_bytes(base64.b64decode(taken["data"]))
