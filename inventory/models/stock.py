"""How much of it there is."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from inventory.models.catalogue import Variant


class Stock(models.Model):
    """How many of a variant there are, in a pool: `public`, or one set aside.

    `total`: keys that are not void, or what the merchant has set for goods that have no keys of their
    own. `released`: what is open for sale so far. Both are null for unlimited goods. `claimed`: held and
    sold together; a sale does not touch it again, only a release does. `short`: how many claimed units of the
    variant have lost their key, which was withdrawn; the public pool counts those of all pools. Its own row,
    so that hot updates never rewrite the catalogue. Every write is relative and raises `version`.
    """

    PUBLIC = "public"

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="stocks")
    pool = models.CharField(_("pool"), max_length=40, default=PUBLIC)
    total = models.BigIntegerField(_("total"), null=True, default=0)
    released = models.BigIntegerField(_("released"), null=True, default=0)
    claimed = models.BigIntegerField(_("claimed"), default=0)
    short = models.BigIntegerField(_("short of keys"), default=0, db_default=0)
    version = models.BigIntegerField(_("version"), default=0)

    class Meta:
        verbose_name = _("stock")
        verbose_name_plural = _("stock")
        constraints = [
            models.UniqueConstraint(fields=["variant", "pool"], name="stock_per_variant_and_pool"),
            # A null total or released (unlimited goods) makes its comparison unknown, and so passes.
            models.CheckConstraint(
                condition=Q(claimed__gte=0)
                & (Q(released=None) | Q(released__gte=F("claimed")))
                & (Q(total=None) | Q(total__gte=F("released"))),
                name="stock_never_oversold",
            ),
            # While an order waits for a key, nothing is for sale.
            models.CheckConstraint(
                condition=Q(short=0) | Q(short__gte=0, total=F("claimed"), pool="public"),
                name="stock_short_first",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.variant} ({self.pool})"
