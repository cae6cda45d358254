"""One short storm over the real Airflow: nothing is lost, nothing doubled. Long ones: ``make faults``."""

from __future__ import annotations

import pytest

from tests.faults.storm import short_plan, storm

SEED = 1


@pytest.mark.e2e
@pytest.mark.storm
def test_after_a_short_storm_the_books_balance(control, tmp_path):
    plan = short_plan(SEED)
    wrong = storm(plan, control, tmp_path / "airflow", quiet=300)
    assert wrong == [], f"{plan}\nlogs: {tmp_path / 'airflow'}"
