"""Writing down what was done."""

from collections.abc import Iterable
from datetime import datetime

from cardshop.audit.models import AuditEntry
from cardshop.common.audit import Deed
from cardshop.common.clock import db_now


def record(deeds: Iterable[Deed], *, who: str, address: str | None, now: datetime) -> None:
    """In the caller's transaction, which is that of the deeds."""
    AuditEntry.objects.bulk_create(
        AuditEntry(
            shop_id=deed.shop_id,
            at=now,
            who=who,
            address=address,
            action=deed.action,
            of=deed.of,
            of_id=deed.of_id,
            named=deed.named,
            said=deed.said,
            changes=deed.changes,
        )
        for deed in deeds
    )


def record_command(name: str, deeds: Iterable[Deed]) -> None:
    """What somebody at the server does by `manage.py NAME`: who that is, only the server knows."""
    record(deeds, who=f"manage.py {name}", address=None, now=db_now())
