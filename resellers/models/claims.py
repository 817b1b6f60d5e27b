"""Claim: a delivered key that a reseller says is dead."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from orders.states import ItemStatus


class ClaimStatus(models.TextChoices):
    OPEN = "open", _("waits for the shop")
    REPLACED = "replaced", _("another key was given")
    REFUNDED = "refunded", _("its money was given back")
    DECLINED = "declined", _("declined")


class Claim(models.Model):
    """One for each key. Replacing the key, or giving its line's money back, answers it by itself; a person
    may decline it instead.
    """

    reseller = models.ForeignKey(
        "resellers.Reseller", on_delete=models.PROTECT, related_name="claims", verbose_name=_("reseller")
    )
    asked = models.ForeignKey(
        "resellers.ResellerOrder", on_delete=models.PROTECT, related_name="claims", verbose_name=_("order")
    )
    delivered = models.OneToOneField("orders.DeliveredKey", on_delete=models.PROTECT, editable=False)
    reason = models.CharField(_("what is wrong with it"), max_length=200)
    claimed_at = models.DateTimeField(_("claimed at"))
    declined_at = models.DateTimeField(_("declined at"), null=True, blank=True)
    declined_by = models.CharField(_("declined by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("claim")
        verbose_name_plural = _("claims")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(declined_at=None, declined_by="")
                | Q(declined_at__isnull=False) & ~Q(declined_by=""),
                name="claim_declined_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.asked}: {self.reason}"

    @property
    def status(self) -> ClaimStatus:
        if self.delivered.replaced_by_id:
            return ClaimStatus.REPLACED
        if self.delivered.item.status == ItemStatus.REFUNDED:
            return ClaimStatus.REFUNDED
        return ClaimStatus.DECLINED if self.declined_at else ClaimStatus.OPEN
