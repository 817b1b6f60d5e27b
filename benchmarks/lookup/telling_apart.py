"""python -m benchmarks.lookup [--help]: exit code 1 if known and unknown can be told apart, or if they cannot
where look-ups are naive.

A stranger asks for what is known here and for what is not, in random order, over one connection, and has the
wrong e-mail or password where one is asked for. Each number and each address is asked for once.
"""

import argparse
import csv
import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from urllib.parse import urlencode

import benchmarks.ready  # noqa: F401  models come after it
from benchmarks.lookup.relabelling import RELABELLINGS, TIMES_CHANCE, Verdict, judge
from benchmarks.own_servers import RESULTS
from benchmarks.results import Bar
from benchmarks.strategies.stage import open_shop
from cardshop.common.clock import db_now
from cardshop.common.ids import new_order_number
from cardshop.shops.models import Shop
from orders.lookup.passwords import decoy
from orders.models import LookupPassword, Order
from orders.states import OrderStatus
from tests.stack import REPOSITORY, free_ports

OURS, NAIVE = "as they are", "naive"
SETTINGS = {OURS: "benchmarks.lookup.settings", NAIVE: "benchmarks.lookup.naive_settings"}
START_TIMEOUT = 120
WARM_UP = 50
MAIL = "by e-mail alone"
HASHED = "by number and password"
Form = Callable[[str, str], tuple[str, dict[str, str]]]
# From a number and an address, known or not: where it is posted to, and what.
WAYS: dict[str, Form] = {
    "by number and e-mail": lambda number, _: (
        "/orders/",
        {"number": number, "contact_email": "wrong@example.org"},
    ),
    HASHED: lambda number, _: ("/orders/", {"number": number, "password": "not its password"}),
    MAIL: lambda _, contact: ("/orders/mail/", {"contact_email": contact}),
}
ANSWERS = {MAIL: 303}


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.lookup", description=__doc__)
    parser.add_argument("--samples", type=int, default=2_000, help="of each kind")
    parser.add_argument("--passwords", type=int, default=2_000, help="the same where each is hashed")
    parser.add_argument("--naive", type=int, default=500, help="the same for the control")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    options = parser.parse_args()
    say(f"seed {options.seed}")
    random, shop = Random(options.seed), open_shop()
    known = sell(shop, max(options.samples, options.passwords, options.naive))
    rows: list[dict[str, Any]] = []
    verdicts: dict[tuple[str, str], Verdict] = {}
    for kind, settings in SETTINGS.items():
        with served(settings) as port:
            for way, form in WAYS.items():
                samples = options.passwords if way == HASHED else options.samples
                samples = min(samples, options.naive) if kind == NAIVE else samples
                taken = ask(port, form, known[:samples], random, wanted=ANSWERS.get(way, 404))
                verdicts[kind, way] = judge(taken[True], taken[False], random)
                rows.append(row(kind, way, taken, verdicts[kind, way]))
                say(f"{kind}, {way}: {rows[-1]}")
    return tell(verdicts, rows, options)


def sell(shop: Shop, count: int) -> list[tuple[str, str]]:
    """The numbers and addresses of so many orders, each with a password."""
    now, encoded = db_now(), decoy()
    orders = Order.objects.bulk_create(
        Order(
            shop=shop,
            ticket_id=secrets.token_hex(16),
            buyer_key=secrets.token_hex(16),
            status=OrderStatus.COMPLETED,
            contact_email=f"buyer-{secrets.token_hex(6)}@example.org",
            language="zh-hans",
            currency="CNY",
            total_minor=100,
            placed_at=now,
            reserved_until=now,
        )
        for _ in range(count)
    )
    LookupPassword.objects.bulk_create(
        LookupPassword(shop=shop, order=order, encoded=encoded, set_at=now) for order in orders
    )
    return [(order.number, order.contact_email) for order in orders]


@contextmanager
def served(settings: str) -> Iterator[int]:
    """The port where the shop answers, with somebody who sends its mail."""
    (port,) = free_ports(1)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings, "WEB_BIND": f"127.0.0.1:{port}"}
    celery = ["celery", "--app", "cardshop", "--quiet", "worker", "--queues", "mail", "--pool", "threads"]
    commands = [
        ["gunicorn", "--config", "deploy/gunicorn.conf.py", "cardshop.wsgi"],
        [*celery, "--concurrency", "1", "--loglevel", "WARNING"],
    ]
    with Path(RESULTS, "lookup.log").open("ab") as log:
        processes = [
            subprocess.Popen(  # noqa: S603  our own programs
                [sys.executable, "-m", *command], cwd=REPOSITORY, env=environment, stdout=log, stderr=log
            )
            for command in commands
        ]
    try:
        _wait_for(port)
        yield port
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            line.request("GET", "/orders/")
            if line.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
        finally:
            line.close()
    raise RuntimeError(f"nothing answers on port {port}")


def ask(
    port: int, form: Form, known: Sequence[tuple[str, str]], random: Random, *, wanted: int
) -> dict[bool, list[float]]:
    """Seconds until the whole answer was there, by whether what was asked for is known."""
    questions = [*((True, each) for each in known), *((False, nobodys()) for _ in known)]
    random.shuffle(questions)
    warm_up = [(False, nobodys()) for _ in range(WARM_UP)]
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number, (is_known, each) in enumerate([*warm_up, *questions]):
        path, fields = form(*each)
        body = urlencode(fields)
        began = time.perf_counter()
        line.request("POST", path, body, headers)
        answer = line.getresponse()
        answer.read()
        seconds = time.perf_counter() - began
        if answer.status != wanted:
            raise RuntimeError(f"{path} answered {answer.status}")
        if number >= WARM_UP:
            taken[is_known].append(seconds)
    line.close()
    return taken


def nobodys() -> tuple[str, str]:
    """A number and an address of no order, as long as those of one."""
    return new_order_number(), f"buyer-{secrets.token_hex(6)}@example.org"


def row(kind: str, way: str, taken: dict[bool, list[float]], verdict: Verdict) -> dict[str, Any]:
    return {
        "look-ups": kind,
        "way": way,
        "samples": len(taken[True]),
        "known_ms": round(1000 * median(taken[True]), 3),
        "unknown_ms": round(1000 * median(taken[False]), 3),
        "difference_us": round(1e6 * verdict.difference, 1),
        "by_chance_us": round(1e6 * verdict.of_all, 1),
        "of_noise_us": round(1e6 * verdict.of_noise, 1),
        "ratio": round(verdict.ratio, 2),
    }


def tell(
    verdicts: dict[tuple[str, str], Verdict], rows: list[dict[str, Any]], options: argparse.Namespace
) -> int:
    bars = []
    for (kind, way), verdict in verdicts.items():
        ratio = f"difference of medians ÷ 95th percentile of {RELABELLINGS} relabellings: {verdict.ratio:.2f}"
        if kind == OURS:
            bars.append(Bar(f"{way}: {ratio}, at most {TIMES_CHANCE}", verdict.tells_nothing))
        else:
            bars.append(Bar(f"{way}, naive: {ratio}, above {TIMES_CHANCE}", not verdict.tells_nothing))
    for bar in bars:
        say(str(bar))
    RESULTS.mkdir(parents=True, exist_ok=True)
    figures = {"rows": rows, "options": vars(options)}
    (RESULTS / "lookup.json").write_text(json.dumps(figures, indent=2) + "\n")
    with (RESULTS / "lookup.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    say("saved in var/bench: lookup.json, lookup.csv")
    return 0 if all(bar.holds for bar in bars) else 1


def say(text: str) -> None:
    print(f"lookup: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
