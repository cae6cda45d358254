"""The stand-in, empty, for the storm."""

import pytest

from local_aws.control import Control
from local_aws.server import LocalAws


@pytest.fixture
def control(aws_server: LocalAws) -> Control:
    return Control(aws_server.endpoint)
