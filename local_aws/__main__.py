"""``python -m local_aws --port N [--sample-data]``: serve until SIGTERM or SIGINT."""

import argparse
import signal
import threading
from datetime import UTC, datetime

from local_aws import samples
from local_aws.server import LocalAws


def main() -> None:
    """Serve on 127.0.0.1; one line on stdout says where, once the sample data (if asked for) is there."""
    parser = argparse.ArgumentParser(prog="local_aws", description="Stand-in for AWS on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (0: any free port)")
    parser.add_argument("--sample-data", action="store_true", help="load 14 months of sample logs")
    arguments = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with LocalAws(port=arguments.port) as aws:
        if arguments.sample_data:
            samples.load(aws.endpoint, now=datetime.now(UTC))
        print(f"local_aws serves {aws.endpoint}", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
