"""The admission view beside a bare WSGI application: same server, same script, same load, by turns."""

import argparse
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import benchmarks.ready  # noqa: F401  models come after it
from benchmarks.closed_load import Load, compile_load, write_requests
from benchmarks.own_servers import RESULTS
from benchmarks.results import Bar, save
from benchmarks.strategies.picture import Group, draw
from benchmarks.strategies.stage import open_shop, queued_variant
from cardshop.common.clock import db_now
from cardshop.traffic.passes import mint_pass
from inventory.models import Variant
from orders.admission.gate import Gate, connect
from tests.stack import REPOSITORY, free_ports

VIEW, BARE = "admission view", "bare application"
LEAST, AIM = 0.5, 0.75  # issue 3
START_TIMEOUT = 30
# More than both servers together answer in a second on any machine that this is meant for.
MOST_PER_SECOND = 12_000


def main() -> int:
    options = _options()
    shop = open_shop()
    variants = {VIEW: queued_variant(shop, "bench-view"), BARE: queued_variant(shop, "bench-bare")}
    program = compile_load(RESULTS / "load")
    load = Load(program, options.connections, options.warm_up, options.seconds)
    file = RESULTS / "clicks"
    each = int(MOST_PER_SECOND * (options.seconds + options.warm_up))
    say(f"preparing {each:,} clicks for each round")
    rounds: dict[str, list[dict[str, Any]]] = {VIEW: [], BARE: []}
    applications = {VIEW: "cardshop.wsgi:application", BARE: "benchmarks.admission_view.bare:application"}
    environment = {"BARE_TAG": Gate(variants[BARE].pk).gate.removesuffix("gate")}
    ports = dict(zip(applications, free_ports(len(applications)), strict=True))
    with (
        _served(applications[VIEW], ports[VIEW], environment),
        _served(applications[BARE], ports[BARE], environment),
    ):
        for number in range(options.rounds + 1):
            # Who comes first changes, for the sake of whatever goes on beside.
            for name in (VIEW, BARE) if number % 2 == 0 else (BARE, VIEW):
                write_requests(file, _clicks(variants[VIEW], each, ports[name]))
                measured = _measure(load, ports[name], file)
                # Nobody settles these clicks; the next round shall not lie on top of them.
                connect().delete(Gate(variants[name].pk).stream)
                if number == 0:  # it woke everybody up
                    continue
                rounds[name].append(measured)
                say(f"round {number}: {name:<17}{measured['per_second']:>8,.0f} answers/s")
    file.unlink()
    return _tell(rounds, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.admission_view", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="counted in each round")
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--connections", type=int, default=64)
    return parser.parse_args()


@contextmanager
def _served(application: str, port: int, environment: dict[str, str]) -> Iterator[None]:
    """The application behind gunicorn, as the Procfile runs it."""
    command = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", application]
    process = subprocess.Popen(  # noqa: S603  our own programs
        command, cwd=REPOSITORY, env={**os.environ, **environment, "WEB_BIND": f"127.0.0.1:{port}"}
    )
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"nothing answers on port {port}")


def _clicks(variant: Variant, count: int, port: int) -> Iterator[bytes]:
    """Whole requests of as many buyers, none of whom was ever here."""
    now = db_now()
    for number in range(count):
        body = json.dumps(
            {
                "variant": variant.code,
                "quantity": 1,
                "contact_email": f"{secrets.token_hex(4)}-{number}@example.org",
                "pass": mint_pass(variant_code=variant.code, now=now),
                "idempotency_key": secrets.token_urlsafe(16),
            }
        )
        yield (
            "POST /api/v1/tickets/ HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{port}\r\n"
            "Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n"
            "Sec-Fetch-Site: same-origin\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


def _measure(load: Load, port: int, file: Path) -> dict[str, Any]:
    """What the load says, with answers/s. Raises RuntimeError unless every answer let somebody in."""
    said = load.on(port, file)
    if said["statuses"].keys() != {"202"} or said["lost"]:
        raise RuntimeError(f"not everybody was let in: {said}")
    return {**said, "per_second": said["statuses"]["202"] / said["seconds"]}


def _tell(rounds: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> int:
    rates = {name: statistics.median(run["per_second"] for run in runs) for name, runs in rounds.items()}
    pairs = [
        view["per_second"] / bare["per_second"] for view, bare in zip(rounds[VIEW], rounds[BARE], strict=True)
    ]
    ratio = statistics.median(pairs)
    print()
    for name, runs in rounds.items():
        p50, p99 = (statistics.median(run[part] for run in runs) * 1000 for part in ("p50_s", "p99_s"))
        print(f"  {name:<18}{rates[name]:>8,.0f} answers/s   p50 {p50:5.1f} ms   p99 {p99:5.1f} ms")
    print(f"  view ÷ bare in each round: {', '.join(f'{pair:.2f}' for pair in pairs)}\n")
    bars = [
        Bar(f"admission view ÷ bare application at least {LEAST}: {ratio:.2f}", ratio >= LEAST),
        Bar(f"the same, aimed at {AIM}: {ratio:.2f}", ratio >= AIM),
    ]
    for bar in bars:
        print(bar)
    headline = f"The door lets people in at {ratio:.0%} of what the server could do"
    below = f"answers per second, {options.connections} connections, by turns on the same gunicorn and Redis"
    save(
        "admission_view",
        {"view_over_bare": ratio, "pairs": pairs, "rounds": rounds, "options": vars(options)},
        [
            {"server": name, "round": number, **{key: run[key] for key in ("per_second", "p50_s", "p99_s")}}
            for name, runs in rounds.items()
            for number, run in enumerate(runs, start=1)
        ],
        draw(headline, below, [Group("", list(rates.items()))]),
    )
    return 0


def say(text: str) -> None:
    print(f"admission view: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
