"""A pretix of one event, from its own virtual environment, on the same PostgreSQL and Redis.

It is not among our dependencies, since its licence is the AGPL: whoever measures installs it. As it is on
PyPI, with Celery's broker in Redis and nobody to work there: an order costs it the order and no more.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import psycopg2

from benchmarks.own_servers import RESULTS
from tests.stack import free_ports

PLACE = RESULTS / "pretix"
ORDERS = "/api/v1/organizers/bench/events/sale/orders/"
_CONFIGURATION = """
[pretix]
url=http://127.0.0.1:{port}
datadir={place}/data
[database]
backend=postgresql
name=pretix
user={user}
host={host}
[redis]
location={redis}
sessions=true
[celery]
broker={redis}
backend={redis}
"""
_EVENT = """
from django.db.models import BooleanField
from django.utils.timezone import now
from django_scopes import scopes_disabled
from pretix.base.models import Event, Organizer, Team, TeamAPIToken
with scopes_disabled():
    organizer = Organizer.objects.create(slug="bench", name="Bench")
    event = Event.objects.create(
        organizer=organizer, slug="sale", name="Sale", currency="EUR", date_from=now(), live=True,
        plugins="pretix.plugins.manualpayment",
    )
    item = event.items.create(name="Key", default_price=5)
    event.quotas.create(name="all", size=10_000_000).items.add(item)
    may = [field.name for field in Team._meta.fields if isinstance(field, BooleanField)]
    team = Team.objects.create(
        organizer=organizer, name="bench", **dict.fromkeys(set(may) - {"require_2fa"}, True)
    )
    print("made", team.tokens.create(name="bench").token, item.pk)

"""


class Pretix:
    """Answers on `port`; `request` is an order of one item, paid."""

    def __init__(self, environment: Path) -> None:
        (self.port,) = free_ports(1)
        self._bin = environment / "bin"
        self._variables = {
            **os.environ,
            "PRETIX_CONFIG_FILE": str(PLACE / "pretix.cfg"),
            "DJANGO_SETTINGS_MODULE": "pretix.settings",
        }
        (PLACE / "data").mkdir(parents=True, exist_ok=True)
        self._configure()
        self._run("migrate", "--noinput")
        made = next(line for line in self._run("shell", says=_EVENT).splitlines() if line.startswith("made "))
        _, token, item = made.split()
        self.request = self._order(token, int(item))

    @contextmanager
    def running(self, workers: int) -> Iterator[None]:
        command = [
            "gunicorn",
            "pretix.wsgi",
            "--workers",
            str(workers),
            "--threads",
            "8",
            "--keep-alive",
            "75",
        ]
        with (PLACE / "log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  what was asked for
                [self._bin / command[0], *command[1:], "--bind", f"127.0.0.1:{self.port}"],
                cwd=PLACE,
                env=self._variables,
                stdout=log,
                stderr=log,
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait()

    def orders(self) -> int:
        with psycopg2.connect(_database("pretix")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pretixbase_order WHERE status = 'p'")
            return int(cursor.fetchone()[0])

    def _configure(self) -> None:
        connection = psycopg2.connect(os.environ["DATABASE_URL"])
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE pretix")
        connection.close()
        address = urlsplit(os.environ["DATABASE_URL"])
        said = _CONFIGURATION.format(
            port=self.port,
            place=PLACE,
            user=address.username,
            host=dict(parse_qsl(address.query))["host"],
            redis=os.environ["REDIS_URL"].replace("unix://", "redis+socket://"),
        ).replace("location=redis+socket://", "location=unix://")
        (PLACE / "pretix.cfg").write_text(said)

    def _run(self, *command: str, says: str = "") -> str:
        done = subprocess.run(  # noqa: S603  what was asked for
            [self._bin / "python", "-m", "pretix", *command],
            cwd=PLACE,
            env=self._variables,
            input=says,
            text=True,
            capture_output=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return done.stdout

    def _order(self, token: str, item: int) -> bytes:
        said: dict[str, object] = {
            "email": "buyer@example.org",
            "locale": "en",
            "sales_channel": "web",
            "status": "p",
            "payment_provider": "manual",
            "fees": [],
        }
        position = {"positionid": 1, "item": item, "variation": None, "price": "5.00", "subevent": None}
        said["positions"] = [{**position, "answers": []}]
        body = json.dumps(said)
        head = f"POST {ORDERS} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Token {token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return (head + body).encode()


def _database(name: str) -> str:
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
