"""Debian's Chromium without a window, asked through a pipe: how a page behaves for those who read it."""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")
QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")


class Page:
    """A page of the browser; `events` are what it told, as (method, parameters)."""

    def __init__(self, ask, tell):
        self._ask, self._tell, self._rest, self._last, self.events = ask, tell, b"", 0, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """What the browser answers to a command of its protocol."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if hasattr(self, "_session"):
            message["sessionId"] = self._session
        os.write(self._ask, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._last:
            pass
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, path: Path, width=1280, height=900, scheme="light"):
        """Load a file as a screen of that width would show it."""
        self.events.clear()
        mobile = {"mobile": width < 500, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, **mobile)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media="", features=features)
        self.call("Page.navigate", url=path.as_uri())
        while "Page.loadEventFired" not in [method for method, _ in self.events]:
            self._read()
        return self

    def value(self, expression):
        """The value of an expression there."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def told(self, *methods):
        """The parameters of the events of these methods."""
        return [parameters for method, parameters in self.events if method in methods]

    def pdf(self) -> bytes:
        """The page as it is printed."""
        self.call("Emulation.setEmulatedMedia", media="", features=[])
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True, paperWidth=8.27)["data"])

    def picture(self) -> bytes:
        """All of the page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def _read(self):
        while b"\0" not in self._rest:
            got = os.read(self._tell, 1 << 16)
            assert got, "the browser has ended"
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(line)
        if "method" in message:
            self.events.append((message["method"], message["params"]))
        return message


@contextlib.contextmanager
def browser(profile: Path):
    """A browser with a page, for as long as the context lasts."""
    (asked, ask), (tell, told) = os.pipe(), os.pipe()
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (asked, told)]
    command = [CHROMIUM, *FLAGS, *QUIET, f"--user-data-dir={profile}", "about:blank"]
    script = f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *command], pass_fds=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for end in (asked, told, *theirs):
        os.close(end)
    try:
        yield Page(ask, tell)
    finally:
        os.close(ask)
        process.terminate()
        process.wait()
        os.close(tell)
