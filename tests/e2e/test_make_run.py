"""``make run``: what it shows, and that nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from local_aws.airflow import PROJECT, free_port, processes_of

pytestmark = pytest.mark.e2e

PROGRAM = "import sys, pathlib, local_aws.run as run; run.STATE = pathlib.Path(sys.argv[1]); sys.exit(run.main())"


def test_a_run_shows_a_verified_month_and_alerts_and_leaves_nothing_behind(tmp_path):
    env = {**os.environ, "PYTHONPATH": "plugins", "AIRFLOW_PORT": str(free_port()), "LOCAL_AWS_PORT": str(free_port())}
    for name in [name for name in env if name == "ONCE" or name.startswith("AIRFLOW_CONN_")]:
        del env[name]
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    process = subprocess.Popen(command, cwd=PROJECT, env=env, stdout=subprocess.PIPE, text=True)
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "Ctrl-C ends it all" in line:
                break
        assert "✗" not in said
        assert said.count("verified, ") >= 4
        assert "/aws/apigateway/orders-api" in said
        assert "A route of API Gateway fails too often" in said
        assert "An administrator logged in to Aurora" in said
        assert "Digest of" in said
        assert "A schedule did not run, or its call failed" in said
        assert "/slack/" in said
        assert processes_of(tmp_path / "airflow") != []
    finally:
        # Impatient people press it twice.
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert process.returncode == 0
    assert processes_of(tmp_path / "airflow") == []
