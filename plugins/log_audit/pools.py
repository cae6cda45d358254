"""``python -m log_audit.pools``: the pools that the settings ask for, as ``airflow pools import`` reads them."""

from __future__ import annotations

import json

from log_audit.defaults import export_pool
from log_audit.settings import Settings, load_settings


def pools(settings: Settings) -> dict[str, dict[str, object]]:
    """Name to definition, one a target.

    https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/pools.html
    """
    return {
        export_pool(target): {
            "slots": 1,
            "description": f"CloudWatch Logs exports in {settings.targets[target].region}: AWS runs one at a time",
            "include_deferred": True,
        }
        for target in settings.targets
    }


if __name__ == "__main__":
    print(json.dumps(pools(load_settings()), indent=1))
