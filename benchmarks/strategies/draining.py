"""How fast the allocator empties a stream that is full when it starts."""

import secrets
import time

import benchmarks.ready  # noqa: F401  models come after it
from benchmarks.strategies.allocating import Batches, allocator_running, batches_of
from cardshop.traffic.passes import BuyerPass
from inventory.models import Variant
from orders.admission.directory import listing_of
from orders.admission.entering import click_of, enter_line
from orders.admission.gate import Gate

PATIENCE = 120.0  # seconds


def fill(variant: Variant, clicks: int) -> None:
    """Let so many buyers in while no allocator runs."""
    listing = listing_of(variant)
    for _ in range(clicks):
        buyer = BuyerPass(secrets.token_urlsafe(16), variant.code, expires_at=0)
        click = click_of(
            listing,
            buyer,
            quantity=1,
            contact_email=f"{buyer.buyer_id}@example.org",
            idempotency_key=secrets.token_urlsafe(16),
            language="zh-hans",
            address="",
        )
        enter_line(listing, click)


def drain(variant: Variant) -> Batches:
    """Start an allocator on what `fill` has let in; the batches that it made of it."""
    before = batches_of(variant)
    left = Gate(variant.pk).backlog()
    with allocator_running():
        deadline = time.monotonic() + PATIENCE
        while Gate(variant.pk).backlog():
            if time.monotonic() > deadline:
                raise RuntimeError("the allocator does not come to an end")
            time.sleep(0.05)
    made = batches_of(variant, since=before)
    if made.orders != left:
        raise RuntimeError(f"{left} clicks went in, {made.orders} orders came out")
    return made
