"""The page's routes: to whom they answer, and with what."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy.orm import Session

from log_audit.archive import Manifest
from log_audit.page import app as module
from log_audit.page.manifests import Manifests
from tests.support import page_db

ROUTES = ("archive", "manifest?target=tokyo&group=/app&month=2026-01", "audits", "checks", "findings", "finding?id=1-0",
          "schedules", "cost")  # fmt: skip
MONTHS, LOOKS = {"monthly_log_export", "archive_recheck"}, {"insights_checks", "insights_late_sweep"}
AUDITS = {"aurora_audit", "cloudtrail_audit"}
OWN = dict(zip(ROUTES, [MONTHS, MONTHS, AUDITS, {"insights_checks"}, LOOKS | AUDITS, LOOKS | AUDITS,
                        {"cloudtrail_audit"}, LOOKS | AUDITS], strict=True))  # fmt: skip


def test_every_route_is_known_here(client):
    """A new route must be added to the tests of who may see it."""
    paths = {route.path for route in module.api.routes}
    assert paths == {f"/api/{route.partition('?')[0]}" for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES)
def test_the_anonymous_are_refused(anonymous, route):
    assert anonymous.get(f"/api/{route}").status_code == 401


@pytest.mark.parametrize("route", ROUTES)
def test_who_may_not_see_assets_is_refused(client, gate, route):
    gate.assets = False
    assert client.get(f"/api/{route}").status_code == 403


@pytest.mark.parametrize("route", ROUTES)
def test_who_may_not_see_the_dags_is_refused(client, gate, route):
    gate.denied = OWN[route]
    answer = client.get(f"/api/{route}")
    assert answer.status_code == 403
    assert "You may not see" in answer.json()["detail"]


@pytest.mark.parametrize(("view", "dag"), [(view, dag) for view in ("findings", "cost") for dag in sorted(OWN[view])])
def test_nothing_of_a_dag_is_told_to_whom_may_not_see_it(ask, gate, view, dag):
    names = {
        "insights_checks": page_db.CHECKS,
        "aurora_audit": page_db.AUDITS,
        "cloudtrail_audit": (*page_db.TRAIL, "schedule_health"),
    }
    gate.denied = {dag}
    answer = ask(view)
    assert answer["hidden"] == [dag]
    others = {name for other, queries in names.items() if other != dag for name in queries}
    entries = answer.get("findings", answer.get("rows"))
    shown = {entry.get("query") or entry["name"].rpartition("/")[2] for entry in entries}
    assert shown
    assert shown <= others
    assert not shown & (set(names.get(dag, ())) - others)


def test_a_finding_of_a_hidden_dag_is_not_there(ask, client, gate):
    [first, *_] = ask("findings")["findings"]
    gate.denied = {first["dag"]}
    assert client.get("/api/finding", params={"id": first["id"]}).status_code == 404


def test_only_who_may_start_runs_is_offered_a_backfill(ask, gate):
    assert ask("archive")["may_backfill"] is True
    gate.writes = False
    assert ask("archive")["may_backfill"] is False


def test_nothing_can_be_written(client):
    methods = {method for route in module.api.routes for method in route.methods}
    assert methods == {"GET"}


def test_the_archive_shows_every_state_it_has(ask):
    answer = ask("archive")
    states = {cell["state"] for row in answer["rows"] for cell in row["cells"]}
    assert states >= {"final", "provisional", "incomplete", "missing", "failed", "nothing"}
    assert [problem["state"] for problem in answer["problems"]][:1] == ["failed"]
    assert len(answer["months"]) == 12
    row = next(row for row in answer["rows"] if row["group"] == "/aws/lambda/ledger-sync")
    assert row["cells"][8]["task"] == "tokyo.export"


def test_a_bucket_that_cannot_be_read_is_said_to_be_so(ask, monkeypatch):
    def broken(target):
        raise OSError("no route to host")

    monkeypatch.setattr(module, "manifests", Manifests(hook=broken))
    answer = ask("archive", stored=True)
    assert "log-audit-archive cannot be read" in answer["trouble"][0]
    assert "no route to host" in answer["trouble"][0]
    assert any(cell["state"] == "missing" for row in answer["rows"] for cell in row["cells"])


def test_purged_months_are_known_from_the_bucket(ask, monkeypatch):
    class Bucket:
        def manifests(self, bucket, place):
            said = page_db.archived("/app", place[:7].replace("/", "-"), events=5, state="final")
            yield Manifest.from_json({key: said[key] for key in said if key != "manifest"} | {"objects": []})

    monkeypatch.setattr(module, "manifests", Manifests(hook=lambda target: Bucket()))
    before, after = ask("archive"), ask("archive", stored=True)
    failed = before["months"][8]
    assert before["unproven"] == [month for month in before["months"] if month != failed]
    assert after["unproven"] == after["months"][3:5]  # the other log groups of those months
    row = next(row for row in after["rows"] if row["group"] == "/app")
    assert {cell["state"] for cell in row["cells"]} == {"final", "failed"}
    assert row["cells"][0]["from"] == "s3"


def test_audits_show_hours_and_days(ask):
    answer = ask("audits")
    [cluster] = answer["clusters"]
    assert cluster["cluster"] == "aurora-00"
    states = {state for day in cluster["days"].values() for state in day["counts"]}
    assert "audited" in states
    assert len(cluster["windows"]) == 24
    assert "audited" in {cell["state"] for cell in answer["accounts"][0]["days"].values()}


def test_checks_show_a_strip_each_and_what_is_open(ask, engine):
    going = {
        "since": 1,
        "until": 2,
        "threads": {"log-audit": "1.2"},
        "total": 5,
        "untold": 1,
        "told_at": 1,
        "told_rate": 1.0,
    }
    with Session(engine) as session, session.begin():
        page_db.Filler(session).keep("insights_checks", "regular/tokyo/slow_requests", {"incident": going})
    answer = ask("checks")
    assert set(answer["strips"]) == {f"tokyo/{name}" for name in page_db.CHECKS}
    assert all(strip["windows"]["clean"] > 200 for strip in answer["strips"].values())
    assert [entry["query"] for entry in answer["incidents"]] == ["slow_requests"]
    assert answer["queries"]["slow_requests"]["runbook"]


def test_findings_page_and_filter(ask):
    answer = ask("findings")
    assert answer["total"] == sum(sum(day.values()) for day in answer["days"].values())
    high = ask("findings", severity="high")
    assert {entry["severity"] for entry in high["findings"]} == {"high"}
    assert high["total"] < answer["total"]


def test_one_finding_has_its_sample_and_its_runbook(ask):
    first = ask("findings", query="slow_requests")["findings"][0]
    answer = ask("finding", id=first["id"])
    assert answer["finding"]["rows"][0]["requestId"] == "r-0"
    assert answer["query"]["runbook"]


def test_schedules_and_costs(ask):
    schedules = ask("schedules")
    assert schedules["counts"]["ok"] > 100
    cost = ask("cost")
    assert {row["engine"] for row in cost["rows"]} == {"athena", "insights"}
    assert cost["price"]["insights_usd_per_gb"] == 0.0076


@pytest.mark.parametrize("bad", ["audits?month=2026-13", "findings?first=2026-02-31", "findings?first=2020-01-01",
                                 "archive?months=0", "finding?id=x", "cost?last=<script>"])  # fmt: skip
def test_nonsense_is_refused_in_words(client, bad):
    answer = client.get(f"/api/{bad}")
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_broken_settings_are_said_in_words(client, tmp_path):
    (tmp_path / "settings.yaml").write_text("time_zone: Nowhere/Land\ntargets: {}")
    answer = client.get("/api/archive")
    assert answer.status_code == 503
    assert "time_zone" in answer.json()["detail"]


def test_the_page_itself_allows_no_other_host_and_no_inline_script(client):
    answer = client.get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert client.get("/main.js").headers["cache-control"] == "no-cache"
    assert client.get("/api/checks").headers["cache-control"] == "no-store"


def test_no_file_names_another_host():
    for path in module.STATIC.rglob("*"):
        if path.suffix in {".html", ".css", ".js"}:
            text = path.read_text().replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in text, path
            assert "https://" not in text, path
            assert "innerHTML" not in text, path
            assert " style=" not in text, path


def test_the_plugin_loads_no_server_in_a_worker():
    """Workers load plugins too."""
    heavy = "{'log_audit.page.app', 'airflow.models.dagrun', 'fastapi'}"
    code = f"import sys, log_audit_plugin; print(*{heavy} & set(sys.modules))"
    env = {"PYTHONPATH": "plugins", "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == []
