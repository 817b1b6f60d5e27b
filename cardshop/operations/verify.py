"""What is always true, checked on the live database."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from cardshop.common.invariants import Check
from cardshop.operations import sealed_values
from cardshop.outbox.checks import CHECKS as OUTBOX_CHECKS
from inventory.checks import CHECKS as INVENTORY_CHECKS
from orders.checks import CHECKS as ORDER_CHECKS
from payments.checks import CHECKS as PAYMENT_CHECKS
from payments.ledgers import ledger_differences
from suppliers.checks import CHECKS as SUPPLIER_CHECKS

CHECKS = [*INVENTORY_CHECKS, *ORDER_CHECKS, *PAYMENT_CHECKS, *SUPPLIER_CHECKS, *OUTBOX_CHECKS]
LEDGER = "payments.ledgers_agree"
SEALED = "sealed_values_open"
GRACE = "60 seconds"
SECOND_LOOK_AFTER = 3.0
# Enough for the second look to compare; more than that is one catastrophe and not many findings.
MAX_FINDINGS = 10_000


@dataclass(frozen=True)
class Result:
    """One check and a sentence for each row that is wrong; none means that it holds."""

    name: str
    findings: list[str]


def verify(*, settled: bool, sleep: Callable[[float], None] = time.sleep) -> list[Result]:
    """Run every check. Safety checks share one snapshot, so they hold at any instant.

    What takes a moment (queues, the provider's ledger) counts only if it is older than a minute and
    still wrong at a second look; with `settled`, nothing is under way and there is no such grace.
    """
    safety = [check for check in CHECKS if not check.needs_grace]
    drains = [check for check in CHECKS if check.needs_grace]
    grace = "0" if settled else GRACE
    results = _snapshot(safety, grace)
    moving = [*_snapshot(drains, grace), _ledger(settled)]
    if not settled and any(result.findings for result in moving):
        sleep(SECOND_LOOK_AFTER)
        second_look = [*_snapshot(drains, grace), _ledger(settled)]
        moving = [_still(first, second) for first, second in zip(moving, second_look, strict=True)]
    return [*results, Result(SEALED, list(sealed_values.findings())), *moving]


def _snapshot(checks: Iterable[Check], grace: str) -> list[Result]:
    """In one REPEATABLE READ transaction that can write nothing."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SET LOCAL statement_timeout = 0")  # a large shop takes its time
        return [_run(cursor, check, grace) for check in checks]


def _run(cursor: CursorWrapper, check: Check, grace: str) -> Result:
    cursor.execute(check.sql, {"grace": grace} if check.needs_grace else None)
    return Result(check.name, [row[0] for row in cursor.fetchmany(MAX_FINDINGS)])


def _ledger(settled: bool) -> Result:
    return Result(LEDGER, list(ledger_differences(settled=settled)))


def _still(first: Result, second: Result) -> Result:
    return Result(first.name, [finding for finding in first.findings if finding in second.findings])
