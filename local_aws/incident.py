"""``python -m local_aws.incident [endpoint]``: what the pipelines are there to find, happens now in a stand-in.

A burst of failing payments, a late event, and an ECS task that ships the audit log of each Aurora cluster.
"""

import sys
from datetime import UTC, datetime

from local_aws import aurora, aurora_lines, samples, shop
from log_audit.settings import load_settings


def main() -> None:
    """One line for each thing that happened."""
    endpoint = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:4566"
    settings = load_settings()
    for account, region in shop.places(settings.targets.values()):
        samples.load_incident(endpoint, now=datetime.now(UTC), region=region, account=account)
        print(f"{region}: payments fail, an event comes late")
    for cluster, (name, place, _) in settings.aurora_clusters.items():
        region = settings.targets[name].region
        lines = aurora_lines.with_incident
        shipped = aurora.ship_now(endpoint, place, cluster, lines, region=region, zone=settings.zone)
        print(f"{region}: an ECS task ships {cluster}/{shipped.key}")


if __name__ == "__main__":
    main()
