"""ResellerOrder: what a program asked for, under the key that makes it happen once."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cardshop.common.ids import new_order_number


class AskedStatus(models.TextChoices):
    ACCEPTED = "accepted", _("accepted")  # told so with a 202; a worker will see to it
    PLACED = "placed", _("became an order")
    REFUSED = "refused", _("refused")
    CANCELLED = "cancelled", _("cancelled")


class ResellerOrder(models.Model):
    """Kept for ever, so that an `idempotency_key` never moves money twice.

    `number` is told at once, and is that of the order once there is one. `lines` are variants' codes and
    quantities, `most_minor` what all of it may cost at most, `reference` whatever the reseller calls it.
    `problem` says why it was refused.
    """

    reseller = models.ForeignKey(
        "resellers.Reseller", on_delete=models.PROTECT, related_name="orders", db_index=False
    )
    number = models.CharField(_("number"), max_length=16, default=new_order_number)
    idempotency_key = models.CharField(max_length=64, editable=False)
    request_digest = models.CharField(max_length=64, editable=False)
    reference = models.CharField(_("their number"), max_length=64, blank=True)
    lines = models.JSONField(_("asked for"))
    most_minor = models.BigIntegerField(null=True, editable=False)
    status = models.CharField(_("status"), max_length=10, choices=AskedStatus, default=AskedStatus.ACCEPTED)
    problem = models.JSONField(default=dict, blank=True, editable=False)
    order = models.OneToOneField(
        "orders.Order", null=True, on_delete=models.PROTECT, related_name="reseller_order", editable=False
    )
    asked_at = models.DateTimeField(_("asked at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("reseller's order")
        verbose_name_plural = _("resellers' orders")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "idempotency_key"], name="reseller_order_once_per_key"
            ),
            models.UniqueConstraint(fields=["number"], name="reseller_order_number_once"),
            models.CheckConstraint(
                condition=Q(status=AskedStatus.PLACED, order__isnull=False)
                | ~Q(status=AskedStatus.PLACED) & Q(order=None),
                name="reseller_order_placed_is_an_order",
            ),
            models.CheckConstraint(
                condition=Q(status=AskedStatus.ACCEPTED, ended_at=None)
                | ~Q(status=AskedStatus.ACCEPTED) & Q(ended_at__isnull=False),
                name="reseller_order_ended_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["reseller", "id"], name="reseller_order_newest"),
            models.Index(
                fields=["reseller", "reference"],
                name="reseller_order_reference",
                condition=~Q(reference=""),
            ),
        ]

    def __str__(self) -> str:
        return self.number
