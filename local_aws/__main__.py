"""``python -m local_aws --port N [--sample-data]``: serve until SIGTERM or SIGINT.

Sample data are for the targets of the settings, so they need ``PYTHONPATH=plugins``.
"""

import argparse
import signal
import threading
from datetime import UTC, datetime

from local_aws.server import HOST, LocalAws


def main() -> None:
    """Serve; one line on stdout says where, once the sample data (if asked for) is there."""
    parser = argparse.ArgumentParser(prog="local_aws", description="Stand-in for AWS and Slack.")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (0: any free port)")
    parser.add_argument("--sample-data", action="store_true", help="what the settings name, with 14 months of logs")
    parser.add_argument("--host", default=HOST, help="address to listen on; only in a container another than loopback")
    parser.add_argument("--allow-host", default=HOST, help="name by which the other containers call it")
    arguments = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with LocalAws(arguments.port, arguments.host, arguments.allow_host) as aws:
        if arguments.sample_data:
            # Only here: a stand-in without samples needs nothing of the project's package.
            from local_aws import shop
            from log_audit.settings import load_settings

            settings = load_settings()
            shop.furnish(aws.endpoint, settings, settings.targets.values(), datetime.now(UTC))
        print(f"local_aws serves {aws.endpoint}", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
