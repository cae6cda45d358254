"""The page's routes. Everything is read, nothing is written: what the page starts it starts through Airflow's REST API.

Every route under ``/api`` asks Airflow whether the reader may see assets, and each DAG of which it tells.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_asset
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response, status
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from log_audit.errors import InvalidKeyError, SettingsError
from log_audit.page import archive_grid, audit_grid, found, gather, strips
from log_audit.page.access import may, seen
from log_audit.page.archive_grid import EXPORT, RECHECK
from log_audit.page.facts import Facts
from log_audit.page.gather import AURORA, CHECKS, SWEEP, TRAIL
from log_audit.page.links import s3_folder, s3_object
from log_audit.page.manifests import Manifests
from log_audit.page.shelf import query_files
from log_audit.settings import load_settings
from log_audit.window import Window, key_of, to_ms, utc_now

STATIC = Path(__file__).parent / "static"
LOOKS = (CHECKS, SWEEP, AURORA, TRAIL)
AUDIT_DAGS = ("aurora_audit", "cloudtrail_audit")
LOOK_DAGS = ("insights_checks", "insights_late_sweep", *AUDIT_DAGS)
PAGE, ROWS, OBJECTS = 50, 100, 200
FIRST_HOURS = timedelta(hours=6)  # of a day, in which hardly any of its hours is due
MONTH = r"^\d{4}-\d{2}$"
DAY = r"^\d{4}-\d{2}-\d{2}$"
# Scripts, styles and data from here alone; a part of Airflow's own pages alone.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

api = APIRouter(prefix="/api", dependencies=[Depends(requires_access_asset("GET"))])
manifests = Manifests()
Month = Annotated[str | None, Query(pattern=MONTH)]
Day = Annotated[str | None, Query(pattern=DAY)]


@api.get("/archive")
def archive(
    user: GetUserDep,
    session: SessionDep,
    months: Annotated[int, Query(ge=1, le=60)] = 12,
    stored: bool = False,
) -> dict[str, Any]:
    """Months by log groups.

    :param stored: look into the bucket for the months that Airflow knows nothing of
    """
    settings, now = load_settings(), utc_now()
    facts = Facts(session, seen(session, user, (EXPORT, RECHECK)))
    known = gather.known_months(facts, settings, now, gather.last_months(settings, now, months))
    grid = archive_grid.grid_of(known)
    trouble: list[str] = []
    if stored:
        more, trouble = gather.from_bucket(manifests, settings, grid.unproven())
        grid = archive_grid.grid_of(replace(known, archived=[*more, *known.archived]))
    return {
        **gather.frame(settings, now, facts, (EXPORT, RECHECK)),
        "months": list(grid.months),
        "rows": [{"target": target, "group": group, "cells": cells} for (target, group), cells in grid.cells.items()],
        "problems": grid.problems(),
        "counts": grid.counts(),
        "unproven": grid.unproven(),
        "trouble": trouble,
        "may_backfill": may(session, user, EXPORT, "POST", DagAccessEntity.RUN),
        "ran": sorted({run.key for run in known.runs if run.dag == EXPORT and run.state == "success" and not run.form}),
    }


@api.get("/manifest")
def manifest(
    user: GetUserDep,
    session: SessionDep,
    target: str,
    group: Annotated[str, Query(max_length=512)],
    month: Annotated[str, Query(pattern=MONTH)],
) -> dict[str, Any]:
    """The manifest of a log group's month, as it lies in S3."""
    seen(session, user, (EXPORT, RECHECK))
    settings = load_settings()
    Window.month(month, settings.zone)
    if target not in settings.targets:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"The settings have no target {target}.")
    region = settings.targets[target].region
    made, problem = manifests.one(settings, target, group, month)
    if made is None:
        return {"manifest": None, "problem": problem}
    key = f"{made.prefix}/manifest.json"
    return {
        "manifest": {**made.to_json(), "objects": made.objects[:OBJECTS]},
        "objects": len(made.objects),
        "address": f"s3://{made.bucket}/{key}",
        "links": {"folder": s3_folder(region, made.bucket, made.prefix), "file": s3_object(region, made.bucket, key)},
    }


@api.get("/audits")
def audits(user: GetUserDep, session: SessionDep, month: Month = None, day: Day = None) -> dict[str, Any]:
    """A month of each Aurora cluster's days and of each account's, and one day's windows."""
    settings, now = load_settings(), utc_now()
    today, latest = (key_of(at, "day", settings.zone) for at in (now, now - FIRST_HOURS))
    month = day[:7] if day else month or latest[:7]
    days = list(audit_grid.ends_of(month, "day", settings.zone))
    day = day if day in days else min(latest, days[-1])
    facts = Facts(session, seen(session, user, AUDIT_DAGS))
    return {
        **gather.frame(settings, now, facts, AUDIT_DAGS),
        **{"month": month, "day": day, "days": days, "today": today},
        "clusters": gather.clusters(facts, settings, now, month, day) if "aurora_audit" in facts.seen else [],
        "accounts": gather.accounts(facts, settings, now, month) if "cloudtrail_audit" in facts.seen else [],
    }


@api.get("/checks")
def checks(user: GetUserDep, session: SessionDep, hours: Annotated[int, Query(ge=1, le=72)] = 24) -> dict[str, Any]:
    """The last hours of each check, and the conditions that go on."""
    settings, now = load_settings(), utc_now()
    facts = Facts(session, seen(session, user, ("insights_checks",)))
    start = now - timedelta(hours=hours)
    events = facts.events([CHECKS], gather.since(start))
    failed = facts.failed_looks("insights_checks", start)
    return {
        **gather.frame(settings, now, facts, ("insights_checks",)),
        "start": to_ms(start),
        "strips": strips.strips(events, failed, to_ms(start), to_ms(now)),
        "incidents": strips.incidents(facts.kept(CHECKS, "regular/")),
        "queries": query_files(),
    }


@api.get("/findings")
def findings(
    user: GetUserDep,
    session: SessionDep,
    wanted: Annotated[found.Filter, Depends(found.Filter)],
    first: Day = None,
    last: Day = None,
    page: Annotated[int, Query(ge=0, le=1000)] = 0,
) -> dict[str, Any]:
    """What was found in a span of days, the newest first, and how many by day and severity."""
    settings, now = load_settings(), utc_now()
    facts = Facts(session, seen(session, user, LOOK_DAGS))
    first, last, window = gather.span(settings, now, first, last, 6)
    events, more = facts.with_findings(LOOKS, window.start, window.end)
    every = found.findings(events, found.Filter())
    listed = found.findings(events, wanted)
    return {
        **gather.frame(settings, now, facts, LOOK_DAGS),
        **{"first": first, "last": last, "page": page, "size": PAGE, "total": len(listed), "more": more},
        "findings": listed[page * PAGE : (page + 1) * PAGE],
        "days": found.by_day(listed, settings.zone),
        "choices": found.choices(every),
    }


@api.get("/finding")
def finding(
    user: GetUserDep, session: SessionDep, id: Annotated[str, Query(pattern=r"^\d{1,15}-\d{1,5}$")]
) -> dict[str, Any]:
    """One finding, with its sample and the texts of its query file."""
    settings, now = load_settings(), utc_now()
    facts = Facts(session, seen(session, user, LOOK_DAGS))
    number, _, index = id.partition("-")
    event = facts.event(LOOKS, int(number))
    looks = event.extra.get("looks", []) if event else []
    if event is None or int(index) >= len(looks):
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Airflow does not have this finding any more.")
    look = looks[int(index)]
    where = {"id": id, "at": event.at, "asset": event.asset, "dag": event.dag, "run": event.run}
    return {
        **gather.frame(settings, now, facts, LOOK_DAGS),
        "finding": {**look, **where},
        "query": query_files().get(look["query"], {}),
    }


@api.get("/schedules")
def schedules(
    user: GetUserDep,
    session: SessionDep,
    first: Day = None,
    last: Day = None,
    status_: Annotated[str, Query(alias="status")] = "",
    text: str = "",
    page: Annotated[int, Query(ge=0, le=1000)] = 0,
) -> dict[str, Any]:
    """Each schedule of EventBridge Scheduler on each day: expected, seen, failed, missing."""
    settings, now = load_settings(), utc_now()
    facts = Facts(session, seen(session, user, ("cloudtrail_audit",)))
    first, last, window = gather.span(settings, now, first, last, 13)
    rows = [
        row for row in found.schedules(facts.events([TRAIL], gather.since(window.start))) if first <= row["day"] <= last
    ]
    wanted = [row for row in rows if status_ in ("", row["status"]) and text.lower() in row["schedule"].lower()]
    counts = {state: sum(row["status"] == state for row in rows) for state in found.SCHEDULE_STATES}
    return {
        **gather.frame(settings, now, facts, ("cloudtrail_audit",)),
        **{"first": first, "last": last, "page": page, "size": ROWS, "total": len(wanted)},
        "counts": {state: number for state, number in counts.items() if number},
        "rows": wanted[page * ROWS : (page + 1) * ROWS],
    }


@api.get("/cost")
def cost(user: GetUserDep, session: SessionDep, first: Day = None, last: Day = None) -> dict[str, Any]:
    """Bytes that queries have scanned, and what AWS charges for them, by query and day."""
    settings, now = load_settings(), utc_now()
    facts = Facts(session, seen(session, user, LOOK_DAGS))
    first, last, window = gather.span(settings, now, first, last, 13)
    price = found.Price(settings.cost.athena_usd_per_tb, settings.cost.insights_usd_per_gb)
    days, rows = found.costs(facts.scans(LOOKS, window.start, window.end), price, settings.zone)
    return {
        **gather.frame(settings, now, facts, LOOK_DAGS),
        **{"first": first, "last": last, "days": days, "rows": rows},
        "price": {"athena_usd_per_tb": price.athena_tb, "insights_usd_per_gb": price.insights_gb},
    }


def make_app() -> FastAPI:
    """The page, to be mounted by Airflow's API server."""
    page = FastAPI(title="Log audit", docs_url=None, redoc_url=None, openapi_url=None)
    page.include_router(api)
    page.add_exception_handler(SettingsError, _complaint(status.HTTP_503_SERVICE_UNAVAILABLE))
    page.add_exception_handler(InvalidKeyError, _complaint(status.HTTP_422_UNPROCESSABLE_CONTENT))
    page.middleware("http")(_guard)

    @page.get("/", include_in_schema=False)
    def index() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    page.mount("/", StaticFiles(directory=STATIC), name="static")
    return page


def _complaint(code: int) -> Callable[[Request, Exception], JSONResponse]:
    return lambda request, error: JSONResponse({"detail": str(error)}, status_code=code)


async def _guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await answer(request)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    # What is shown is of this moment and of this reader; files are asked for again, and are mostly unchanged.
    response.headers["Cache-Control"] = "no-store" if "/api/" in request.url.path else "no-cache"
    return response


app = make_app()
