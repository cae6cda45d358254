"""Fixtures for all tests: the stand-in for AWS, over HTTP."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import settings

from local_aws.control import Control
from local_aws.server import LocalAws

REGION = "ap-northeast-1"

# A busy machine is no fault of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


STATUS = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = exitstatus


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The verdict is that of the tests: a run of which all had passed ended badly in the interpreter's end, among the
    threads and bindings of DuckDB, of a browser and of servers."""
    if STATUS in config.stash and not config.pluginmanager.hasplugin("dsession"):
        config.get_terminal_writer().flush()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[STATUS])


@pytest.fixture(scope="session")
def aws_server() -> Iterator[LocalAws]:
    """The stand-in, one for the session since moto's state is one for the process."""
    with LocalAws() as server:
        yield server


@pytest.fixture
def aws(aws_server: LocalAws) -> Control:
    """The stand-in's control, everything forgotten before the test."""
    control = Control(aws_server.endpoint)
    control.reset()
    return control


@pytest.fixture
def aws_client(aws: Control) -> Callable[..., Any]:
    """Makes boto3 clients of the stand-in: ``aws_client("logs")``. They try once, so that faults show."""

    def make(service: str, **options: Any) -> Any:
        defaults: dict[str, Any] = {
            "endpoint_url": aws.endpoint,
            "region_name": REGION,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "config": Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30),
        }
        return boto3.client(service, **(defaults | options))

    return make
