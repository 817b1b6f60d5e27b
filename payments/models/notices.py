"""What providers call us with: the inbox, and what was turned away."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from payments.models.channels import PaymentChannel
from payments.models.common import NOTHING
from payments.states import (
    EventOutcome,
)


class WebhookEvent(models.Model):
    """A verified call as it was received, once per digest of its canonical form.

    Providers resend the same trade with another status, so the trade number is not its key.
    """

    # `event_of_shop` begins with the shop.
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, db_index=False)
    # The unique constraint and the index begin with it.
    channel = models.ForeignKey(
        PaymentChannel, on_delete=models.PROTECT, related_name="events", db_index=False
    )
    digest = models.CharField(max_length=64)
    method = models.CharField(max_length=8)
    query = models.TextField(_("query"), blank=True)
    body = models.TextField(_("body"), blank=True)
    headers = models.JSONField(default=dict, db_default=NOTHING, blank=True)
    received_at = models.DateTimeField(_("received at"))
    outcome = models.CharField(
        _("outcome"), max_length=10, choices=EventOutcome, default=EventOutcome.WAITING
    )

    class Meta:
        verbose_name = _("provider's notice")
        verbose_name_plural = _("providers' notices")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["channel", "digest"], name="event_once_per_digest"),
        ]
        # The page of an order looks through those of its days. The other is for the administration's list.
        indexes = [
            models.Index(fields=["shop", "id"], name="event_of_shop"),
            models.Index(fields=["channel", "received_at"], name="event_received"),
            models.Index(
                fields=["outcome"], name="event_not_applied", condition=~Q(outcome=EventOutcome.APPLIED)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.digest[:8]}"


class RefusedNotice(models.Model):
    """A call that no driver could verify: when and why, and nothing of what it said.

    `size` is that of query and body together in characters. Of each channel the last ones only.
    """

    channel = models.ForeignKey(
        PaymentChannel, on_delete=models.CASCADE, related_name="refused", verbose_name=_("payment channel")
    )
    at = models.DateTimeField(_("refused at"))
    why = models.CharField(_("refused because"), max_length=200)
    method = models.CharField(_("HTTP method"), max_length=8)
    size = models.PositiveIntegerField(_("size"))
    address = models.CharField(_("from address"), max_length=45, blank=True)
    digest = models.CharField(_("digest"), max_length=64)

    class Meta:
        verbose_name = _("refused notice")
        verbose_name_plural = _("refused notices")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.channel} {self.digest[:8]}"
