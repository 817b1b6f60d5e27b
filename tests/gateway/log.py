"""The gateway's own record of a request."""

import json
import time
from typing import Any

import httpx

from tests.gateways import Gateway


def lines_of(gateway: Gateway, answer: httpx.Response) -> list[dict[str, Any]]:
    """What the log says of the request that was answered so. It is written within a second."""
    request_id = answer.headers["X-Request-Id"]
    for _ in range(100):
        lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if request_id in line]
        if lines:
            return lines
        time.sleep(0.05)
    raise AssertionError("not in the log")
