"""Claims for dead keys: put before the merchant, who replaces, refunds or declines on the order's page."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from cardshop.common.crypto import CannotOpen
from cardshop.common.errors import NotHere
from cardshop.common.inserts import insert_new
from inventory.card_keys import reveal
from inventory.models import CardKey
from orders.models import DeliveredKey
from orders.services.transitions import ask_for_attention
from orders.states import ItemStatus
from resellers.models import Claim, ResellerOrder

CLAIMED = "a reseller says that a key of it is dead: see the claim, then replace, refund or decline"


@transaction.atomic(durable=True)
def claim_key(asked: ResellerOrder, *, key: str, reason: str, now: datetime) -> Claim:
    """The claim for this key of the order, which waits for the merchant; the same however often it is made.

    Raises NotHere for a key that the order does not have, or not any more.
    """
    delivered = _slot_of(asked, key)
    draft = Claim(
        reseller_id=asked.reseller_id, asked=asked, delivered=delivered, reason=reason, claimed_at=now
    )
    if not insert_new([draft], unique=["delivered"]):
        return with_status(Claim.objects.all()).get(delivered=delivered)
    ask_for_attention(delivered.item.order, CLAIMED, now=now)
    return draft


def decline(claims: QuerySet[Claim], *, actor: str, now: datetime) -> int:
    """Those that are still open; returns how many. What is replaced or refunded already stays so."""
    still_open = claims.filter(declined_at=None, delivered__replaced_by=None).exclude(
        delivered__item__status=ItemStatus.REFUNDED
    )
    return still_open.update(declined_at=now, declined_by=actor)


def with_status(claims: QuerySet[Claim]) -> QuerySet[Claim]:
    """With what a claim's status is read from."""
    return claims.select_related("asked", "delivered__item__variant")


def _slot_of(asked: ResellerOrder, key: str) -> DeliveredKey:
    current = DeliveredKey.objects.filter(item__order=asked.order_id, replaced_by=None)
    for slot in current.select_related("card_key", "item__order", "item__variant").order_by("pk"):
        if _is(slot.card_key, key):
            return slot
    raise NotHere


def _is(card_key: CardKey, key: str) -> bool:
    try:
        return reveal(card_key) == key
    except CannotOpen:
        return False
