"""The pools of exports: one an account and region."""

from log_audit.pools import pools
from log_audit.settings import Settings


def settings(**places):
    targets = {
        name: {
            "connection": connection,
            "region": region,
            "archive": {"bucket": f"archive-{name}", "log_groups": [{"name": "/app"}]},
        }
        for name, (connection, region) in places.items()
    }
    return Settings.model_validate({"time_zone": "Asia/Tokyo", "targets": targets})


def test_each_account_and_region_has_a_pool_of_one_slot_in_which_deferred_tasks_count():
    found = pools(settings(tokyo=("aws_a", "ap-northeast-1"), osaka=("aws_a", "ap-northeast-3")))
    assert set(found) == {"logs_export_tokyo", "logs_export_osaka"}
    for pool in found.values():
        assert (pool["slots"], pool["include_deferred"]) == (1, True)


def test_targets_of_one_connection_and_region_share_the_slot_that_aws_gives_them():
    tokyo = "ap-northeast-1"
    given = settings(web=("aws_a", tokyo), batch=("aws_a", tokyo), other=("aws_b", tokyo))
    assert [given.export_pool(name) for name in ("web", "batch", "other")] == [
        *("logs_export_web", "logs_export_web", "logs_export_other")
    ]
    assert set(pools(given)) == {"logs_export_web", "logs_export_other"}
