"""A real browser for the tests of the page: Debian's Chromium, Chrome, or Playwright's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A browser that talks to nobody but us.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
ADVICE = (
    "These tests need a browser. Install one: apt-get install chromium (Debian, Ubuntu), or Google Chrome, or "
    "playwright install chromium; then run them again"
)


class NoBrowser(Exception):
    """There is none, and none could be had."""


def find() -> str | None:
    """The path of a browser on this machine."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or _playwrights()


def _playwrights() -> str | None:
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))
    return next((str(path) for path in sorted(folder.glob("chromium-*/chrome-linux*/chrome"))), None)


def find_or_get() -> str:
    """:raises NoBrowser: says how to get one"""
    if path := find():
        return path
    if os.geteuid() == 0 and shutil.which("apt-get"):
        for words in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(words, check=False, capture_output=True, timeout=600)
    if path := find():
        return path
    raise NoBrowser(ADVICE)


def launch(playwright: Any) -> Any:
    """:raises NoBrowser: says how to get one"""
    return playwright.chromium.launch(executable_path=find_or_get(), args=list(FLAGS))
