"""Stock that is set aside for one reseller, or for all of them: a pool out of which no buyer is served.

Keys themselves are not divided: the pools say how many each may have of what there is.
"""

from collections.abc import Collection
from dataclasses import dataclass

from inventory.models import Selling, Stock, Variant
from inventory.selectors import buyer_fields
from resellers.models import Reseller

OF_ONE, OF_ALL = "reseller-", "resellers"


def pool_of(reseller: Reseller) -> str:
    return f"{OF_ONE}{reseller.pk}"


def pools_for(reseller: Reseller) -> tuple[str, str, str]:
    """What a reseller may claim from, in the order in which they do: their own, then what all resellers may,
    then what everybody may.
    """
    return pool_of(reseller), OF_ALL, Stock.PUBLIC


@dataclass(frozen=True)
class InReach:
    """Free units: set aside for the reseller, for all resellers, and for everybody. None is unlimited."""

    set_aside: int = 0
    shared: int = 0
    public: int | None = 0

    @property
    def available(self) -> int | None:
        return None if self.public is None else self.set_aside + self.shared + self.public


def in_reach(reseller: Reseller, variants: Collection[Variant]) -> dict[int, InReach]:
    """By variant id, of what they can buy at all: in the currency of their balance, and with nobody who would
    have to be asked something. Of what is sold through a line they have what was set aside; the rest is for
    the line.

    For display: stale once read, never to sell by. In one query, or two where something is filled in by hand.
    """
    own, shared, public = pools_for(reseller)
    asked = buyer_fields(variants)
    buyable = [
        variant
        for variant in variants
        if variant.currency == reseller.balance.currency
        and not any(question.is_required for question in asked[variant.pk])
    ]
    rows = Stock.objects.filter(variant__in=buyable, pool__in=[own, shared, public])
    free: dict[tuple[int, str], int | None] = {
        (variant_id, pool): None if released is None else released - claimed
        for variant_id, pool, released, claimed in rows.values_list("variant", "pool", "released", "claimed")
    }
    return {
        variant.pk: InReach(
            set_aside=free.get((variant.pk, own), 0) or 0,
            shared=free.get((variant.pk, shared), 0) or 0,
            public=free.get((variant.pk, public), 0) if variant.selling == Selling.DIRECT else 0,
        )
        for variant in buyable
    }
