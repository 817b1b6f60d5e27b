"""The same SQL without the shop: PostgreSQL's own pgbench sends it, nobody thinks about it."""

import os
import re
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import connection

import benchmarks.ready  # noqa: F401  models come after it
from benchmarks.own_servers import SERVERS
from cardshop.embedded.postgresql import PostgreSQL
from inventory.models import Stock, Variant
from orders.admission.settling import INSERT_ORDERS
from orders.models import Order

# What stands for the names and digests that the shop draws: as long, as random, made by the server.
_DIGEST = "encode(sha256((':n' || '{}')::bytea), 'hex')"
_WANTED = """
    SELECT n AS place, '' AS address_key, 'buyer-' || n || '@example.org' AS contact_email,
        left(encode(uuid_send(gen_random_uuid()), 'base64'), 11) AS number,
        left(encode(uuid_send(gen_random_uuid()), 'base64'), 22) AS token,
        encode(sha256(uuid_send(gen_random_uuid())), 'hex') AS ticket_id,
        encode(sha256(uuid_send(gen_random_uuid())), 'hex') AS buyer_key,
        'zh-hans' AS language, 1 AS quantity, 'placed' AS reason
    FROM generate_series(1, {batch}) AS n"""
_FIRST_IDS = {"orders_order": 10_000_000, "orders_orderitem": 20_000_000}


def one_by_one(script: str, *, clients: int, seconds: float) -> float:
    """Orders/s of a recorded order, sent by so many clients."""
    return _pgbench(script, clients=clients, seconds=seconds)


def in_batches(variant: Variant, *, batch: int, seconds: float) -> float:
    """Orders/s of the allocator's own statement and COMMIT, by one client; the rows made up in SQL."""
    insert, found = re.subn(
        r"SELECT \* FROM json_to_recordset\(.*?\) AS wanted\(.*?\)",
        lambda _: _WANTED.format(batch=batch),
        INSERT_ORDERS,
        flags=re.DOTALL,
    )
    if found != 1:
        raise RuntimeError("INSERT_ORDERS takes its rows from somewhere else now")
    stock = Stock.objects.get(variant=variant)
    with connection.cursor() as cursor:
        written = cursor.mogrify(insert, _parameters(variant, stock, batch)).decode()
    transactions = _pgbench(f"BEGIN;\n{written};\nCOMMIT;\n", clients=1, seconds=seconds)
    return transactions * batch


def _parameters(variant: Variant, stock: Stock, batch: int) -> dict[str, Any]:
    """Of INSERT_ORDERS, but for the orders."""
    now = datetime.now().astimezone()
    return {
        "claimed": batch,
        "shop": variant.shop_id,
        "variant": variant.pk,
        "stock": stock.pk,
        "currency": variant.currency,
        "price": variant.price_minor,
        "product_name": variant.product.name,
        "product_name_en": variant.product.name_en,
        "variant_name": variant.name,
        "variant_name_en": variant.name_en,
        "now": now,
        "until": now,
        "actor": "buyer",
    }


def recorded(place: Callable[[], Order]) -> str:
    """What one call of `place` sends, as a pgbench script; what differs between orders derived from :n.

    Once in a database: the recorded order has ids that nothing else has.
    """
    said: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        said.append((sql, params))
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        for table, first in _FIRST_IDS.items():  # ids that are mistaken for nothing else
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, first])
    with connection.execute_wrapper(note):
        order = place()
    varying: dict[Any, str] = {
        order.pk: ":order_id",
        order.items.get().pk: ":item_id",
        order.number: f"left({_DIGEST.format('number')}, 11)",
        order.token: f"left({_DIGEST.format('token')}, 22)",
        order.ticket_id: _DIGEST.format("ticket"),
        order.buyer_key: _DIGEST.format("buyer"),
        order.contact_email: "'buyer-:n@example.org'",
    }
    lines = ["\\set n random(1, 9000000000000000000)"]
    for sql, params in said:
        if sql.startswith("INSERT") and "BEGIN;" not in lines:
            lines.append("BEGIN;")
        told = _spelled(sql, params, varying)
        names = {"orders_order": "order_", "orders_orderitem": "item_"}
        stored = re.match(r'INSERT INTO "(orders_order|orders_orderitem)"', sql)
        lines.append(f"{told} \\gset {names[stored[1]]}" if stored else f"{told};")
    return "\n".join([*lines, "COMMIT;", ""])


def _spelled(sql: str, params: Any, varying: dict[Any, str]) -> str:
    """The statement as one line, parameters filled in."""

    def spell(value: Any) -> str:
        if isinstance(value, list | tuple) and value and value[0] in varying:
            return f"ARRAY[{varying[value[0]]}]"
        if isinstance(value, datetime):
            return "clock_timestamp()"
        if isinstance(value, str | int) and value in varying:
            return varying[value]
        with connection.cursor() as cursor:
            return str(cursor.mogrify("%s", [value]).decode())

    if isinstance(params, dict):
        filled = sql % {name: spell(value) for name, value in params.items()}
    else:
        filled = sql % tuple(spell(value) for value in params or ())
    return " ".join(filled.split())


def _pgbench(script: str, *, clients: int, seconds: float) -> float:
    """Transactions/s. Simple protocol: that is how the shop's driver speaks as well."""
    file = SERVERS / "pgbench.sql"
    file.write_text(script)
    command = [
        *(_binary(), "--no-vacuum", "--file", file, "--client", clients, "--jobs", min(clients, 4)),
        *("--time", round(seconds), os.environ["DATABASE_URL"]),
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)  # noqa: S603
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or rate is None:
        raise RuntimeError(f"pgbench failed:\n{done.stderr[-2000:]}")
    return float(rate[1])


def _binary() -> Path:
    return PostgreSQL(SERVERS, say=print).binaries / "pgbench"
