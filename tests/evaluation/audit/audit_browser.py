"""A real browser, driven over WebDriver's plain HTTP; tests skip where there is none."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

KEYS = {"left": "\ue012", "right": "\ue014", "escape": "\ue00c", "enter": "\ue007"}


class Browser:
    """One window of a headless browser."""

    def __init__(self, port: str, profile: Path, binary: str, arguments: tuple[str, ...]) -> None:
        self.base = f"http://127.0.0.1:{port}"
        options = {
            "binary": binary,
            "args": [
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--no-first-run", f"--user-data-dir={profile}", *arguments),
            ],
            "prefs": {"download.default_directory": str(profile / "downloads")},
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        answer = self._call("/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{answer['sessionId']}"
        (profile / "downloads").mkdir(parents=True, exist_ok=True)
        self.downloads = profile / "downloads"

    def _call(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.loads(answer.read())["value"]

    def open(self, page: Path) -> None:
        self._call("/url", {"url": page.absolute().as_uri()})

    def press(self, *keys: str) -> None:
        """Press keys one after the other; names of `KEYS` or characters."""
        pressed = [KEYS.get(key, key) for key in keys]
        actions = [{"type": kind, "value": key} for key in pressed for kind in ("keyDown", "keyUp")]
        self._call("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def run(self, script: str) -> Any:
        return self._call("/execute/sync", {"script": script, "args": []})

    def text(self, selector: str) -> str:
        return self.run(f"return document.querySelector({json.dumps(selector)}).textContent.trim()")

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def log(self) -> list[dict[str, Any]]:
        """What the console says: errors, and violations of the content security policy."""
        return self._call("/se/log", {"type": "browser"})

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("/screenshot", method="GET")))

    def quit(self) -> None:
        self._call("", method="DELETE")


@contextmanager
def open_browser(profile: Path, *arguments: str) -> Iterator[Browser]:
    """Start chromedriver and a browser, or skip the test."""
    driver = shutil.which("chromedriver")
    binary = next(
        (p for n in ("chromium", "google-chrome", "chromium-browser") if (p := shutil.which(n))), ""
    )
    if not driver or not binary:
        pytest.skip("no chromedriver or no browser is installed")
    with subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            assert process.stdout is not None
            port = ""
            for line in process.stdout:
                if match := re.search(rb"successfully on port (\d+)", line):
                    port = match[1].decode()
                    break
            assert port, "chromedriver did not start"
            browser = Browser(port, profile, binary, arguments)
            try:
                yield browser
            finally:
                browser.quit()
        finally:
            process.terminate()
