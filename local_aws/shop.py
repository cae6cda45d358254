"""The small shop of the samples: what its AWS accounts have, for the targets of the settings."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from local_aws import aurora, samples, stack, trail
from log_audit.settings import Settings, Target
from log_audit.window import Window, key_of


def furnish(
    endpoint: str, settings: Settings, targets: Iterable[Target], now: datetime
) -> list[tuple[Target, dict[str, str]]]:
    """For each target its stack, and beside it what is there already: logs, ECS tasks, a trail's files.

    :param now: until when there are samples (aware)
    :return: each target with the outputs of its stack
    """
    made = []
    wanted = list(targets)
    for account, region in places(wanted):
        samples.load(endpoint, now=now, region=region, account=account)
    for target in wanted:
        made.append((target, aurora.prepare(endpoint, target, settings)))
        _put_history(endpoint, settings, target, now)
    return made


def places(targets: Iterable[Target]) -> list[tuple[str, str]]:
    """The accounts and regions of targets, each once."""
    return sorted({(stack.account_of(target), target.region) for target in targets})


def yesterday(settings: Settings, now: datetime) -> str:
    """The day that the last scheduled run of cloudtrail_audit looked at."""
    return key_of(now - timedelta(hours=6), "day", settings.zone, back=1)


def _put_history(endpoint: str, settings: Settings, target: Target, now: datetime) -> None:
    if target.aurora:
        aurora.put_history(endpoint, target.aurora, now, region=target.region, zone=settings.zone)
    if target.cloudtrail and target.cloudtrail.location:
        bucket, account = stack.bucket_of(target.cloudtrail.location), target.cloudtrail.accounts[0]
        day = Window.day(yesterday(settings, now), settings.zone)
        trail.load(endpoint, bucket, day, region=target.region, account=account, now=now)
