"""What `python -m local_aws.incident` makes happen in a stand-in."""

import sys
from datetime import UTC, datetime

import pytest

from local_aws import incident, shop
from local_aws.control import Control
from log_audit.settings import load_settings


def test_it_happens_as_often_as_asked(
    aws: Control, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings()
    shop.furnish(aws.endpoint, settings, settings.targets.values(), datetime.now(UTC))
    aws.forget_calls()
    monkeypatch.setattr(sys, "argv", ["incident", aws.endpoint])
    incident.main()
    incident.main()
    assert len(aws.calls("ecs.RunTask")) == 2
    assert capsys.readouterr().out.count("an ECS task ships aurora-prod/") == 2
