"""make bench-gateway: pages from the cache beside a file, clicks on a full line beside `return 200`, by turns
on one nginx worker.
"""

import argparse
import json
import re
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, cycle, islice
from typing import Any

import httpx

from benchmarks.closed_load import Load, compile_load, write_requests
from benchmarks.results import Bar, save
from benchmarks.storm.plan import address_of
from benchmarks.strategies.picture import Group, draw
from tests.gateways import Gateway
from tests.stack import REPOSITORY, RunningShop

PLACE = REPOSITORY / "var" / "gateway-bench"
PAGE, FILE, CLICK, NOTHING = (
    "cached product page",
    "file of the same length",
    "click on a full line",
    "return 200",
)
PAGE_LEAST, PAGE_AIM, CLICK_LEAST = 0.9, 0.95, 0.5  # issue 5
GOODS, PRODUCT = "full", "p/liuli-crystals/"
BROWSERS = "gzip, deflate, br, zstd"
MOST_PER_SECOND = 200_000
ADDRESSES, PASSES = 40_000, 100_000  # each within its own limits
STATIC = "static/bench.0123456789ab.html"


def main() -> int:
    options = _options()
    shutil.rmtree(PLACE / "shop", ignore_errors=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    program = compile_load(PLACE / "load")
    load = Load(program, options.connections, options.warm_up, options.seconds)
    environment = {"TRUSTED_PROXIES": "127.0.0.0/8"}
    with RunningShop(PLACE / "shop", environment=environment) as shop, _one_worker(shop) as gateway:
        say("a line that is full, and its buyers' passes")
        passes = _furnish(shop)
        requests = _requests(shop, gateway, passes)
        rounds: dict[str, list[float]] = {name: [] for name in requests}
        most = int(MOST_PER_SECOND * (options.seconds + options.warm_up))
        for number in range(options.rounds + 1):
            for names in ((PAGE, FILE), (CLICK, NOTHING)):
                for name in names if number % 2 else reversed(names):
                    file = PLACE / "requests"
                    write_requests(file, islice(cycle(requests[name]), most))
                    said = load.on(gateway.port, file)
                    _require(name, said)
                    rate = sum(said["statuses"].values()) / said["seconds"]
                    if number:  # the first woke everybody up
                        rounds[name].append(rate)
                        say(f"round {number}: {name:<26}{rate:>9,.0f} answers/s {said['statuses']}")
    return _tell(rounds, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="counted in each round")
    parser.add_argument("--warm-up", type=float, default=0.5)
    parser.add_argument("--connections", type=int, default=64)
    return parser.parse_args()


@contextmanager
def _one_worker(shop: RunningShop) -> Iterator[Gateway]:
    """The gateway as it is, but for one worker, and an address that answers with nothing."""
    with Gateway(shop, change=_with_nothing) as gateway:
        yield gateway


def _with_nothing(configuration: str) -> str:
    changed = configuration.replace("worker_processes auto;", "worker_processes 1;")
    # The load takes an answer for lost after which the connection is closed.
    changed = changed.replace("keepalive_timeout 75s;", "keepalive_timeout 75s; keepalive_requests 99999999;")
    return changed.replace("# ---- Files", "location = /nothing { return 200; }\n# ---- Files", 1)


def _furnish(shop: RunningShop) -> list[str]:
    made = shop.manage("shell", "-c", _FULL)
    if made.returncode:
        raise RuntimeError(made.stderr[-2000:])
    return re.findall(r"^v1\.\S+$", made.stdout, re.MULTILINE)


_FULL = f"""
from cardshop.common.clock import db_now
from cardshop.traffic.passes import mint_pass
from tests.lines import make_sale
make_sale(code="{GOODS}", keys=1, line_cap=0)
now = db_now()
for _ in range({PASSES}):
    print(mint_pass(variant_code="{GOODS}", now=now))
"""


def _requests(shop: RunningShop, gateway: Gateway, passes: list[str]) -> dict[str, list[bytes]]:
    host = f"127.0.0.1:{gateway.port}"
    with httpx.stream("GET", f"{gateway.url}/{PRODUCT}", headers={"Accept-Encoding": BROWSERS}) as page:
        page.raise_for_status()
        sent = b"".join(page.iter_raw())
    for name in (STATIC, f"{STATIC}.gz"):
        (shop.var / name).write_bytes(sent)
    say(f"the page has {len(sent):,} bytes, compressed")
    addresses = [address_of(number, network=32) for number in range(ADDRESSES)]
    _fill(gateway, passes[0])

    def get(path: str) -> list[bytes]:
        return [
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {address}\r\n"
            f"Accept-Encoding: {BROWSERS}\r\n\r\n".encode()
            for address in addresses
        ]

    def post(path: str) -> list[bytes]:
        return [
            _click(path, host, address, buyer_pass)
            for address, buyer_pass in zip(cycle(addresses), passes, strict=False)
        ]

    return {
        PAGE: get(PRODUCT),
        FILE: get(STATIC),
        CLICK: post("api/v1/tickets/"),
        NOTHING: post("nothing"),
    }


_numbers = count()


def _click(path: str, host: str, address: str, buyer_pass: str) -> bytes:
    body = json.dumps(
        {
            "variant": GOODS,
            "quantity": 1,
            "contact_email": f"buyer{next(_numbers)}@example.org",
            "pass": buyer_pass,
            "idempotency_key": f"{next(_numbers):022d}",
        }
    )
    return (
        f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {address}\r\n"
        "Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\nSec-Fetch-Site: same-origin\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _fill(gateway: Gateway, buyer_pass: str) -> None:
    """Somebody takes the only key; whoever comes afterwards is told that the line is full."""
    request = _click("api/v1/tickets/", "", "10.0.0.1", buyer_pass).partition(b"\r\n\r\n")[2]
    deadline = time.monotonic() + 60
    while True:
        answer = httpx.post(
            f"{gateway.url}/api/v1/tickets/", content=request, headers={"Content-Type": "application/json"}
        )
        if answer.status_code == 409:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the line is not full: {answer.status_code} {answer.text[:200]}")
        request = request.replace(b'"idempotency_key": "', b'"idempotency_key": "x', 1)
        time.sleep(1.0)


def _require(name: str, said: dict[str, Any]) -> None:
    usual = "409" if name == CLICK else "200"
    answers = sum(said["statuses"].values())
    if said["lost"] or said["statuses"].get(usual, 0) < 0.999 * answers:
        raise RuntimeError(f"{name}: not the usual answers: {said}")


def _tell(rounds: dict[str, list[float]], options: argparse.Namespace) -> int:
    def ratio(one: str, other: str) -> float:
        pairs = [a / b for a, b in zip(rounds[one], rounds[other], strict=True)]
        say(f"{one} ÷ {other} in each round: {', '.join(f'{pair:.2f}' for pair in pairs)}")
        return statistics.median(pairs)

    pages, clicks = ratio(PAGE, FILE), ratio(CLICK, NOTHING)
    bars = [
        Bar(f"{PAGE} ÷ {FILE} at least {PAGE_LEAST}: {pages:.2f}", pages >= PAGE_LEAST),
        Bar(f"the same, aimed at {PAGE_AIM}: {pages:.2f}", pages >= PAGE_AIM),
        Bar(f"{CLICK} ÷ {NOTHING} at least {CLICK_LEAST}: {clicks:.2f}", clicks >= CLICK_LEAST),
    ]
    for bar in bars:
        print(bar)
    medians = [(name, statistics.median(rates)) for name, rates in rounds.items()]
    save(
        "gateway",
        {"page_over_file": pages, "click_over_nothing": clicks, "rounds": rounds, "options": vars(options)},
        [
            {"what": name, "round": at, "per_second": rate}
            for name, rates in rounds.items()
            for at, rate in enumerate(rates, 1)
        ],
        draw(
            f"A page of the cache goes out at {pages:.0%} of a file's pace",
            f"answers per second, {options.connections} connections, by turns on one worker of nginx",
            [Group("", medians)],
        ),
    )
    return 0


def say(text: str) -> None:
    print(f"gateway: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
