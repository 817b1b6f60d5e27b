"""python -m benchmarks.scale [--help]: exit code 1 if a page takes more than 1.5 times as long with a million
orders and keys as with ten thousand, or more queries.

Both databases are there at once, and each page is asked of both in turn: what else this machine does in the
meantime meets both alike.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import psycopg2
from django.core.management import call_command
from django.db import connections

import benchmarks.ready  # noqa: F401  models come after it
from benchmarks.results import Bar, save
from benchmarks.scale.asking import Asked, serve
from benchmarks.scale.filling import fill
from benchmarks.scale.furnishing import furnish
from cardshop.common.crypto import keyring

TIMES = 1.5
ALIKE = 1.2  # times the bytes: what shows more rows is no longer the same page, and is only told
WARM_UP = 3


def main() -> int:
    options = _options()
    call_command("migrate", verbosity=0)
    furnish()
    connections.close_all()
    addresses = [_filled(count) for count in (options.few, options.many)]
    few, many = [_Asker(address, options.every_filter) for address in addresses]
    rows = []
    for name in many.names:
        if name in few.names and options.only in name:
            rows.append(_compare(name, few, many, options.samples))
            say(_line(rows[-1]))
    few.leave()
    many.leave()
    return _tell(rows, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--few", type=int, default=10_000, help="orders, and keys")
    parser.add_argument("--many", type=int, default=1_000_000, help="orders, and keys")
    parser.add_argument("--samples", type=int, default=100, help="of each page, with each number of orders")
    parser.add_argument("--only", default="", help="pages whose name has this in it")
    parser.add_argument("--every-filter", action="store_true", help="of every list, not of the orders alone")
    return parser.parse_args()


def _filled(orders: int) -> str:
    """The address of a database of its own with so many."""
    name, here = f"scale_{orders}", os.environ["DATABASE_URL"]
    with _superuser(here) as server:
        server.cursor().execute(f"CREATE DATABASE {name} TEMPLATE cardshop OWNER cardshop")
    address = here.replace("/cardshop?", f"/{name}?")
    with _superuser(address) as server:
        fill(server, orders, key_id=keyring().active, tell=say)
    return address


def _superuser(address: str) -> Any:
    server = psycopg2.connect(address, user="postgres")
    server.autocommit = True
    return closing(server)


class _Asker:
    """The process that asks one of the databases."""

    def __init__(self, address: str, every_filter: bool) -> None:
        os.environ["DATABASE_URL"] = address
        spawning = get_context("spawn")
        self._line: Connection
        self._line, theirs = spawning.Pipe()
        self._process = spawning.Process(target=serve, args=(theirs, every_filter), daemon=True)
        self._process.start()
        theirs.close()
        self.names: list[str] = self._line.recv()

    def ask(self, name: str) -> Asked:
        self._line.send(name)
        answer: Asked = self._line.recv()
        return answer

    def leave(self) -> None:
        self._line.send("")
        self._process.join()


def _compare(name: str, few: _Asker, many: _Asker, samples: int) -> dict[str, Any]:
    for _ in range(WARM_UP):
        few.ask(name)
        many.ask(name)
    asked = [(few.ask(name), many.ask(name)) for _ in range(samples)]
    of_few, of_many = zip(*asked, strict=True)
    slowest = max(of_many, key=lambda one: one.database).slowest
    row = {
        "page": name,
        "few_ms": _middle([one.seconds for one in of_few]),
        "many_ms": _middle([one.seconds for one in of_many]),
        "few_db_ms": _middle([one.database for one in of_few]),
        "many_db_ms": _middle([one.database for one in of_many]),
        "few_queries": max(one.statements for one in of_few),
        "many_queries": max(one.statements for one in of_many),
        "few_bytes": round(median(one.size for one in of_few)),
        "many_bytes": round(median(one.size for one in of_many)),
    }
    return {**row, "ratio": round(row["many_ms"] / row["few_ms"], 2), "slowest": slowest}


def _middle(seconds: Sequence[float]) -> float:
    return round(1000 * median(seconds), 2)


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['page'][:70]:<70} {row['few_ms']:>8.1f} {row['many_ms']:>8.1f} ms  × {row['ratio']:<5}"
        f" {row['few_queries']:>3} {row['many_queries']:>3} queries,"
        f" {row['few_db_ms']:>7.1f} {row['many_db_ms']:>7.1f} ms in them,"
        f" {row['few_bytes'] // 1024:>4} {row['many_bytes'] // 1024:>4} KB"
        f"{'' if _holds(row) else '  <--'}{'' if _is_alike(row) else '  shows more'}"
    )


def _holds(row: dict[str, Any]) -> bool:
    is_quick = row["ratio"] <= TIMES or not _is_alike(row)
    return bool(is_quick and row["many_queries"] <= row["few_queries"])


def _is_alike(row: dict[str, Any]) -> bool:
    return bool(row["many_bytes"] <= ALIKE * row["few_bytes"])


def _tell(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> int:
    bars = [Bar(f"{row['page']}: {row['ratio']} (bar {TIMES})", _holds(row)) for row in rows]
    missed = [bar for bar in bars if not bar.holds]
    print(*missed, sep="\n")
    say(f"{len(bars) - len(missed)} of {len(bars)} pages within {TIMES} times, with as many queries")
    save("scale", {"rows": rows, "options": vars(options)}, rows)
    return 1 if missed else 0


def say(text: str) -> None:
    print(f"scale: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
