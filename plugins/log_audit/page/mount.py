"""What the plugin registers of the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

PREFIX = "/log-audit"
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class LazyPage:
    """The page as ASGI, made at the first request.

    Workers and schedulers load plugins too, and have no use for FastAPI and the API server's models.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from log_audit.page.app import app

        await app(scope, receive, send)


def address() -> str:
    """Where the page is, beneath the path at which Airflow's UI is served."""
    from airflow.configuration import conf

    return f"{urlsplit(conf.get('api', 'base_url', fallback='')).path.rstrip('/')}{PREFIX}/"


def nav_entry() -> dict[str, str]:
    """The entry in the navigation of Airflow's UI."""
    icons = {"icon": f"{address()}icons/nav.svg", "icon_dark_mode": f"{address()}icons/nav-dark.svg"}
    return {"name": "Log audit", "href": address(), "destination": "nav", "url_route": "log-audit", **icons}
