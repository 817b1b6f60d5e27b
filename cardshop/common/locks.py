"""Explicit row locks have one home and one order. See docs/locking.md."""

from typing import Any

from django.db import models, transaction
from django.db.transaction import TransactionManagementError

LOCK_ORDER = [
    "shops.Membership",
    "reports.RollUp",
    "alerts.Alert",
    "inventory.KeyBatch",
    "inventory.IndexKey",
    "inventory.KeyUpload",
    "resellers.Reseller",
    "resellers.ResellerMember",
    "resellers.ApiKey",
    "resellers.ResellerOrder",
    "resellers.Feed",
    "resellers.WebhookEndpoint",
    "resellers.WebhookDelivery",
    "payments.Balance",
    "payments.Payment",
    "payments.PaymentAttempt",
    "payments.Receipt",
    "payments.Refund",
    "orders.Order",
    "inventory.Stock",
    "orders.Ticket",
    "inventory.CardKey",
    "inventory.Category",
    "inventory.Product",
    "inventory.Variant",
    "payments.PaymentChannel",
]


def lock_rows(*querysets: models.QuerySet[Any]) -> list[list[Any]]:
    """Lock the rows until commit; return them as they are now, in the order asked.

    Tables go in LOCK_ORDER, rows by pk, so nobody waits in a circle: name all in one call.
    Raises OperationalError after waiting for the connection's lock_timeout (3 s).
    """
    if not transaction.get_connection().in_atomic_block:
        raise TransactionManagementError("lock_rows() outside atomic(): nothing would hold it")
    in_order = sorted(range(len(querysets)), key=lambda at: LOCK_ORDER.index(querysets[at].model._meta.label))
    locked = {
        # no_key: an OrderEvent may still be added to a locked order.
        at: list(querysets[at].order_by("pk").select_for_update(no_key=True, of=("self",)))
        for at in in_order
    }
    return [locked[at] for at in range(len(querysets))]
