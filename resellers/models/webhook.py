"""WebhookEndpoint: an address that wants to hear of events. WebhookDelivery: a promise to tell it of one."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cardshop.common.crypto import keyring

ADDRESS_LENGTH = 500


class WebhookEndpoint(models.Model):
    """Of a reseller, or without one the merchant's own, that hears of the whole shop.

    `name` is public and tells the receiver which secret a call is signed with; the secret was shown once.
    `failing_since` no call has succeeded, `failures` of them in a row, and none is made before `rests_until`.
    While it is paused deliveries wait. It is never deleted while anything may refer to it: `removed_at`.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    reseller = models.ForeignKey(
        "resellers.Reseller",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="webhooks",
        verbose_name=_("reseller"),
        help_text=_("Empty: your own, which hears of the whole shop."),
    )
    name = models.CharField(_("key"), max_length=24, unique=True, editable=False)
    url = models.CharField(_("address"), max_length=ADDRESS_LENGTH)
    sealed_secret = models.BinaryField(editable=False)
    kinds = models.JSONField(_("about"), default=list)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), editable=False)
    removed_at = models.DateTimeField(_("removed at"), null=True, blank=True, editable=False)
    paused_at = models.DateTimeField(_("paused since"), null=True, blank=True, editable=False)
    paused_because = models.CharField(_("paused because"), max_length=200, blank=True, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    rests_until = models.DateTimeField(null=True, blank=True, editable=False)
    served_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(removed_at=None) | Q(is_active=False), name="webhook_removed_is_off"
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def secret_context(self) -> bytes:
        """What the sealed secret is bound to."""
        return f"webhook:{self.name}".encode()

    def opened_secret(self) -> str:
        """Raises CannotOpen."""
        return keyring().open(bytes(self.sealed_secret), self.secret_context).decode()


class WebhookDelivery(models.Model):
    """One event for one endpoint, under one `uid` however often it is sent.

    Open while `next_at` is set. `leased_until` somebody is sending it. `promised_at` the time began in which
    it is tried again. `response` is the beginning of the last answer.
    """

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint,
        on_delete=models.PROTECT,
        related_name="deliveries",
        db_index=False,
        verbose_name=_("webhook"),
    )
    event = models.ForeignKey("resellers.Event", on_delete=models.PROTECT, verbose_name=_("event"))
    promised_at = models.DateTimeField(_("promised at"))
    next_at = models.DateTimeField(_("due at"), null=True)
    leased_until = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    delivered_at = models.DateTimeField(_("delivered at"), null=True)
    gave_up_at = models.DateTimeField(_("given up at"), null=True)
    last_status = models.PositiveSmallIntegerField(_("last status"), null=True)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)
    response = models.TextField(_("beginning of the answer"), blank=True)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event"], name="one_delivery_per_endpoint"),
        ]
        indexes = [
            models.Index(
                fields=["endpoint", "next_at"], name="webhook_due", condition=Q(next_at__isnull=False)
            ),
            models.Index(
                fields=["endpoint", "leased_until"],
                name="webhook_in_flight",
                condition=Q(leased_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.uid)
