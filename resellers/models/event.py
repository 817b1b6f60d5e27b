"""Event: what has happened. Feed: how far a shop's events are in order. Told: what was said of a variant."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class EventKind(models.TextChoices):
    PAID = "order.paid", _("an order was paid")
    DELIVERED = "order.delivered", _("an order was delivered")
    REFUSED = "order.refused", _("an order that was taken on could not be served")
    CANCELLED = "order.cancelled", _("an order was cancelled or expired")
    REFUNDED = "order.refunded", _("money of an order was refunded")
    STOCK_LOW = "stock.low", _("stock runs low or is sold out")
    STOCK_BACK = "stock.back", _("stock has come")
    PRICE = "price.changed", _("a price has changed")


# What is no order's, and so every reseller's business.
OF_THE_CATALOGUE = [EventKind.STOCK_LOW, EventKind.STOCK_BACK, EventKind.PRICE]


# What a feed has in it: the merchant's own buyers are no reseller's business.
IN_FEEDS = Q(reseller__isnull=False) | Q(kind__in=OF_THE_CATALOGUE)


class Event(models.Model):
    """Append-only. `subject` is an order's number or a variant's code, `data` never has a secret in it.

    `uid` is the name by which programs know that they have seen it. `position` is its place in the feeds of
    its shop, which it gets once its transaction has committed: see `resellers.events.feed`.
    """

    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    # The indexes below begin with the shop or the reseller.
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, db_index=False, verbose_name=_("shop"))
    reseller = models.ForeignKey(
        "resellers.Reseller",
        null=True,
        on_delete=models.PROTECT,
        db_index=False,
        verbose_name=_("reseller"),
    )
    kind = models.CharField(_("kind"), max_length=20, choices=EventKind)
    subject = models.CharField(_("subject"), max_length=80)
    data = models.JSONField(_("data"), default=dict)
    at = models.DateTimeField(_("at"))
    position = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["-pk"]
        constraints = [
            # With a condition, so that the position is no key: what refers to the event need not wait for it.
            models.UniqueConstraint(
                fields=["shop", "position"],
                condition=Q(position__isnull=False),
                name="event_position_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["shop", "id"], name="event_without_position", condition=Q(position=None) & IN_FEEDS
            ),
            models.Index(
                fields=["reseller", "position"], name="event_of_reseller", condition=Q(reseller__isnull=False)
            ),
            models.Index(
                fields=["shop", "position"],
                name="event_of_catalogue",
                condition=Q(reseller=None, kind__in=OF_THE_CATALOGUE),
            ),
            models.Index(fields=["at"], name="event_at"),
            models.Index(fields=["subject"], name="event_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class Feed(models.Model):
    """The last position that was given out in a shop. Who gives out the next ones has locked it."""

    shop = models.OneToOneField("shops.Shop", on_delete=models.CASCADE)
    position = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.shop}: {self.position}"


class Told(models.Model):
    """What programs believe of a variant, and are told when it is so no more."""

    class Level(models.TextChoices):
        OUT = "out", _("sold out")
        LOW = "low", _("runs low")
        PLENTY = "plenty", _("there is enough")

    variant = models.OneToOneField("inventory.Variant", primary_key=True, on_delete=models.CASCADE)
    price_minor = models.BigIntegerField()
    level = models.CharField(max_length=10, choices=Level)

    def __str__(self) -> str:
        return f"{self.variant_id}: {self.price_minor} {self.level}"
