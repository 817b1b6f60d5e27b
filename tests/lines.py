"""A line to test with: a variant that sells through it, clicks, and an allocator that steps when told."""

import secrets
from collections.abc import Iterable
from threading import Event

from django.db import transaction

from cardshop.common.clock import db_now
from inventory.models import Selling, Variant
from orders.admission.allocator import Allocator
from orders.admission.gate import Standing
from orders.admission.joining import join, standing_of
from orders.models import Sale
from tests.factories import make_buyer, make_variant


def make_sale(
    *,
    keys: int = 0,
    line_cap: int | None = None,
    hold_seconds: int = 300,
    proof_of_work: str = "pressed",
    **variant: object,
) -> Sale:
    sold = make_variant(keys=keys, **variant)
    with transaction.atomic():  # where an allocator runs, it makes a sale for whatever is queued without one
        sold.selling = Selling.QUEUED
        sold.save()
        return Sale.objects.create(
            shop=sold.shop,
            variant=sold,
            line_cap=line_cap,
            hold_seconds=hold_seconds,
            proof_of_work=proof_of_work,
        )


def open_line(sale: Sale) -> Allocator:
    """An allocator that holds the lease and has opened the gate."""
    allocator = Allocator(sale, Event())
    settle_all(allocator)
    return allocator


def settle_all(allocator: Allocator) -> int:
    """Step until nothing is left in the stream; the clicks settled. The house is kept once at least."""
    allocator.look_now()
    settled = allocator.step(wait_ms=0)
    while (more := allocator.step(wait_ms=0)) > 0:
        settled += more
    return settled


def keep_house(allocator: Allocator) -> None:
    """Serve the line and publish, as the allocator does twice a second."""
    allocator.look_now()
    allocator.step(wait_ms=0)


def click(variant: Variant, *, quantity: int = 1, email: str = "", key: str = "", **given: object) -> str:
    """One buyer joins the line; the ticket id. Raises what `join` raises."""
    now = db_now()
    ticket_id, _standing = join(
        shop=variant.shop,
        variant_code=variant.code,
        quantity=quantity,
        contact_email=email or f"buyer-{secrets.token_hex(8)}@example.org",
        buyer=given.pop("buyer", None) or make_buyer(variant, now),
        idempotency_key=key or secrets.token_urlsafe(16),
        language="zh-hans",
        address=str(given.pop("address", "")),
        proof=str(given.pop("proof", "")),
        now=now,
    )
    assert not given
    return ticket_id


def standings(variant: Variant, ticket_ids: Iterable[str]) -> list[Standing]:
    return [standing_of(variant, ticket_id) for ticket_id in ticket_ids]


def states(variant: Variant, ticket_ids: Iterable[str]) -> list[str]:
    return [standing.status for standing in standings(variant, ticket_ids)]
