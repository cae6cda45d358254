"""Somebody in front of a browser, signed in to Airflow, who notices what the page must not do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from local_aws.airflow import LocalAirflow

NOISE = "ERR_NETWORK_CHANGED"  # the machine's networks, not the page
WIDE, NARROW = 1280, 390


@dataclass
class Visitor:
    """:param page: Playwright's page
    :param troubles: errors in the console, and requests to other hosts
    """

    airflow: LocalAirflow
    page: Any
    troubles: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("request", self._request)
        self.page.on("dialog", lambda dialog: (self.troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _console(self, message: Any) -> None:
        if message.type == "error" and NOISE not in message.text and "/log-audit/" in message.location.get("url", ""):
            self.troubles.append(f"console: {message.text}")

    def _request(self, request: Any) -> None:
        host = urlsplit(request.url).netloc
        if request.url.startswith("http") and host != urlsplit(self.airflow.url).netloc:
            self.troubles.append(f"request: {request.url}")

    def open(self, query: str = "") -> Any:
        """The page by itself; it has drawn when this returns."""
        return self._go(f"{self.airflow.url}/log-audit/{query}", self.page)

    def open_inside(self, path: str = "plugin/log-audit") -> Any:
        """The page within Airflow's UI; the frame."""
        frame = self.page.frame_locator("iframe[title='Log audit']")
        self._go(f"{self.airflow.url}/{path}", frame)
        return frame

    def _go(self, url: str, within: Any) -> Any:
        for left in (2, 1, 0):
            try:
                self.page.goto(url)
                within.locator(".headline, .blank").first.wait_for(timeout=30_000)
                return within
            except Exception:
                if not left:
                    raise
        raise AssertionError("unreachable")


@contextmanager
def visiting(
    browser: Any, airflow: LocalAirflow, user: str | None = "admin", *, theme: str = "light", width: int = WIDE
) -> Iterator[Visitor]:
    """A visitor with a window of his own; fails at its end if anything was noticed.

    :param user: None: nobody is signed in
    """
    context = browser.new_context(viewport={"width": width, "height": 900}, timezone_id="Europe/Berlin", locale="en-GB")
    context.add_init_script(f"try {{ localStorage.setItem('theme', '{theme}') }} catch {{}}")
    if user:
        token = airflow.session(user).headers["Authorization"].removeprefix("Bearer ")
        context.add_cookies([{"name": "_token", "value": token, "url": airflow.url}])
    visitor = Visitor(airflow, context.new_page())
    visitor.watch()
    try:
        yield visitor
    finally:
        context.close()
    assert visitor.troubles == []
