"""What a merchant sets for goods without keys of their own: how many there are, and the reusable text."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce, Least

from cardshop.common.locks import lock_rows
from cardshop.traffic.display_cache import forget_on_commit
from inventory.errors import CountedByKeys, NoTextYet, NotReusable
from inventory.models import CardKey, CardKeyStatus, Fulfilment, KeyBatch, Stock, Variant
from inventory.texts import checked_text, enter_texts

MOST_FREE = 1_000_000_000


@transaction.atomic
def set_free(variant: Variant, free: int | None) -> None:
    """Let `free` more units be sold from now on, whatever was sold before; None: any number.

    Sold in waves, more of them stay closed until a wave opens them. Raises CountedByKeys, NoTextYet.
    """
    locked = _locked(variant)
    if locked.fulfilment == Fulfilment.CARD_KEY:
        raise CountedByKeys
    if locked.fulfilment == Fulfilment.REUSABLE and not _current(variant).exists():
        raise NoTextYet
    rows = Stock.objects.filter(variant=variant, pool=Stock.PUBLIC)
    if free is None:
        rows.update(total=None, released=None, version=F("version") + 1)
    else:
        total = F("claimed") + Value(free)
        opened = Least(Coalesce("released", "claimed"), total) if locked.sells_in_waves else total
        rows.update(total=total, released=opened, version=F("version") + 1)
    forget_on_commit(locked.shop_id)


@transaction.atomic
def change_text(variant: Variant, text: str, *, changed_by: str, now: datetime) -> None:
    """What the next buyers of a reusable variant get. Who has bought keeps what they got.

    Raises Invalid, NotReusable.
    """
    text = checked_text(text)
    locked = _locked(variant)
    if locked.fulfilment != Fulfilment.REUSABLE:
        raise NotReusable
    retire_text(variant)
    enter_texts(locked, [text], origin=KeyBatch.Origin.REUSABLE, entered_by=changed_by, now=now)


def retire_text(variant: Variant) -> None:
    """Nobody gets it any more. The caller holds the Stock's lock."""
    _current(variant).update(status=CardKeyStatus.SOLD)


def has_text(variant: Variant) -> bool:
    return _current(variant).exists()


def _current(variant: Variant) -> QuerySet[CardKey]:
    return CardKey.objects.filter(variant=variant, is_reusable=True, status=CardKeyStatus.AVAILABLE)


def _locked(variant: Variant) -> Variant:
    """As it is now, its Stock locked: what buyers get cannot change meanwhile."""
    Stock.objects.get_or_create(variant=variant, pool=Stock.PUBLIC, defaults={"shop_id": variant.shop_id})
    lock_rows(Stock.objects.filter(variant=variant, pool=Stock.PUBLIC))
    return Variant.objects.get(pk=variant.pk)
