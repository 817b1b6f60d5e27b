"""Event: what programs are told has happened. Told: what was said last of a variant."""

import uuid

from django.db import models
from django.db.models import Func, Q
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


class Event(models.Model):
    """Append-only. `subject` is an order's number or a variant's code, `data` never has a secret in it.

    Transactions commit in another order than they take numbers in, so whoever reads by `id` alone passes by
    what commits late. `transaction_id` is what makes a reader sure: see `resellers.events.feed`. `uid` is the
    name by which programs know that they have seen it.
    """

    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    # `event_of_catalogue` and retention ask by other ways.
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
    transaction_id = models.BigIntegerField(
        editable=False,
        db_default=Func(template="pg_current_xact_id()::text::bigint", output_field=models.BigIntegerField()),
    )

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["reseller", "transaction_id", "id"],
                name="event_of_reseller",
                condition=Q(reseller__isnull=False),
            ),
            models.Index(
                fields=["shop", "transaction_id", "id"],
                name="event_of_catalogue",
                condition=Q(reseller=None, kind__in=OF_THE_CATALOGUE),
            ),
            models.Index(fields=["at"], name="event_at"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


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
