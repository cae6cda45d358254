"""``python -m log_audit.pools``: the pools that the settings ask for, as ``airflow pools import`` reads them."""

from __future__ import annotations

import json

from log_audit.settings import Settings, load_settings


def pools(settings: Settings) -> dict[str, dict[str, object]]:
    """Name to definition, one an account and region: one slot, deferred tasks counted.

    https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/pools.html
    """
    return {
        settings.export_pool(name): {
            "slots": 1,
            "description": f"CloudWatch Logs exports in {target.region}: AWS runs one at a time",
            "include_deferred": True,
        }
        for name, target in settings.targets.items()
    }


if __name__ == "__main__":
    print(json.dumps(pools(load_settings()), indent=1))
