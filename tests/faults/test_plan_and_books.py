"""A storm's plan is its seed's alone, and its books find each loss and each doubling."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from tests.faults.books import LOGIN, Planted, Seen, difference
from tests.faults.plan import make_plan

SIZE = {"mishaps": 24, "deliveries": 5, "events": 9, "months": 2}
PLANTED = Planted(
    deliveries={"batch/a": "orders/2026-11-10T01", "batch/b": "orders/2026-11-10T02"},
    events=["storm-1-0001;", "storm-1-0002;"],
    months={("/shop/orders", "2025-01"): 7},
)
SOUND = Seen(
    recorded={"batch/a": 1, "batch/b": 1},
    audited={"orders/2026-11-10T01": 1, "orders/2026-11-10T02": 1},
    told=[f"{LOGIN} orders/2026-11-10T01", f"{LOGIN} orders/2026-11-10T02", "storm-1-0001; storm-1-0002;"],
    manifests={("/shop/orders", "2025-01"): {"events": 7, "objects": [{"events": 3}, {"events": 4}]}},
)


def test_the_same_seed_is_the_same_storm_and_another_one_is_another():
    one, again, other = (make_plan(seed, 300, **SIZE) for seed in (7, 7, 8))
    assert one == again
    assert str(one) == str(again)
    assert str(one) != str(other)
    assert json.dumps(asdict(one))
    assert len(str(one).splitlines()) == 1 + 24
    assert {injection.kind for injection in one.injections} == {"kill", "kill worker", "aws", "slack"}
    assert all(0 <= injection.at <= 300 for injection in one.injections)


def test_ten_storms_use_every_kind_of_mishap():
    said = "\n".join(str(make_plan(seed, 300, **SIZE)) for seed in range(1, 11))
    for word in ("scheduler", "triggerer", "dag-processor", "throttled", "500", "truncated", "timed out", "slow"):
        assert word in said
    assert "down" in said
    assert "Kiritimati" in said or "New_York" in said


def test_books_that_balance():
    assert difference(PLANTED, SOUND) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"recorded": {"batch/a": 1}}, "delivery batch/b was recorded 0 times"),
        ({"recorded": {"batch/a": 2, "batch/b": 1}}, "delivery batch/a was recorded 2 times"),
        ({"recorded": {**SOUND.recorded, "batch/c": 1}}, "delivery batch/c was recorded, and never planted"),
        ({"audited": {"orders/2026-11-10T01": 1}}, "window orders/2026-11-10T02 was audited 0 times"),
        ({"audited": {**SOUND.audited, "orders/2026-11-10T01": 2}}, "window orders/2026-11-10T01 was audited 2 times"),
        ({"told": SOUND.told[1:]}, "incident orders/2026-11-10T01 was told 0 times"),
        ({"told": [*SOUND.told, SOUND.told[0]]}, "incident orders/2026-11-10T01 was told 2 times"),
        ({"told": [*SOUND.told[:2], "storm-1-0001;"]}, "event storm-1-0002; was told 0 times"),
        ({"told": [*SOUND.told, "storm-1-0001;"]}, "event storm-1-0001; was told 2 times"),
        ({"manifests": {}}, "/shop/orders 2025-01 has no manifest"),
        (
            {"manifests": {("/shop/orders", "2025-01"): {"events": 6, "objects": [{"events": 6}]}}},
            "/shop/orders 2025-01 holds 7 events, and its manifest says 6",
        ),
        (
            {"manifests": {("/shop/orders", "2025-01"): {"events": 7, "objects": [{"events": 6}]}}},
            "/shop/orders 2025-01 holds 7 events, and its manifest says 7",
        ),
        ({"jobs": ["export task x runs"]}, "an AWS job without an owner: export task x runs"),
        ({"processes": ["python 12"]}, "a process without an owner: python 12"),
        ({"runs": ["aurora_audit y failed"]}, "a run: aurora_audit y failed"),
    ],
)
def test_each_loss_and_each_doubling_is_found(changed, said):
    assert difference(PLANTED, replace(SOUND, **changed)) == [said]
