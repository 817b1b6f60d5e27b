"""`doctor` on the running whole: all is well, and the gateway says when it is not."""

import json
import subprocess
import sys
import time

from tests.gateways import Gateway
from tests.stack import REPOSITORY
from tests.web import wait_for

WHOLE = {
    "database",
    "redis",
    "line-redis",
    "broker",
    "web",
    "workers",
    "allocators",
    "gateway",
    "static-files",
}


def findings(gateway: Gateway) -> dict[str, list[dict[str, str]]]:
    said = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json", "--language", "en"],
        cwd=REPOSITORY,
        env=gateway.environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    by_name: dict[str, list[dict[str, str]]] = {}
    for check in json.loads(said.stdout)["checks"]:
        by_name.setdefault(check["name"], []).append(check)
    return by_name


def test_the_running_whole_is_well(gateway: Gateway):
    # Workers that have only just come are heard of when beat has woken them.
    wait_for(lambda: [check["level"] for check in findings(gateway)["workers"]] == ["ok"], within=100)

    said = findings(gateway)

    assert {name: [check["level"] for check in said[name]] for name in WHOLE} == {
        name: ["ok"] * len(said[name]) for name in WHOLE
    }, said


def test_what_is_wrong_with_the_gateway_is_said(gateway: Gateway):
    maintenance, configuration = gateway.folder / "maintenance", gateway.folder / "nginx.conf"
    written = configuration.read_text()
    maintenance.touch()
    configuration.write_text(written.replace("http {", "http { unheard_of on;"))
    try:
        said = [check["said"] for check in findings(gateway)["gateway"]]
    finally:
        configuration.write_text(written)
        maintenance.unlink()
        time.sleep(2.5)  # every worker of nginx looks for the file once a second

    assert said[:2] == [
        "The gateway is in maintenance: buyers are told to come back.",
        "The gateway runs with older settings than these.",
    ]
    assert "unheard_of" in said[2]
