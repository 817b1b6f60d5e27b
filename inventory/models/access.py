"""Staff and keys: who asked to see some, who let them, and what they saw."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class AccessKind(models.TextChoices):
    REVEALED = "revealed", _("shown")
    EXPORTED = "exported", _("exported")
    BUYERS = "buyers", _("list of buyers")


class KeyAccess(models.Model):
    """Who of the staff saw which keys, or who their buyers are: written before it is shown, never changed.

    A trigger refuses changes, and deletion but by whoever prunes old rows (`cardshop.pruning`).
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    kind = models.CharField(_("what"), max_length=10, choices=AccessKind)
    batch = models.ForeignKey(
        "inventory.KeyBatch", on_delete=models.PROTECT, related_name="+", verbose_name=_("key batch")
    )
    card_key = models.ForeignKey(
        "inventory.CardKey",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("card key"),
    )
    count = models.PositiveIntegerField(_("how many"))
    why = models.CharField(_("why"), max_length=200)
    who = models.CharField(_("who"), max_length=150)
    approved_by = models.CharField(_("approved by"), max_length=150, blank=True)
    address = models.GenericIPAddressField(_("from address"), null=True, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("access to keys")
        verbose_name_plural = _("accesses to keys")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=AccessKind.values), name="key_access_kind_known"),
            models.CheckConstraint(condition=~Q(who="") & ~Q(why=""), name="key_access_who_and_why"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.at:%Y-%m-%d %H:%M}"


class RequestStatus(models.TextChoices):
    AWAITED = "awaited", _("waiting for a second person")
    GRANTED = "granted", _("granted")
    USED = "used", _("used")
    DECLINED = "declined", _("declined")


class KeyRequest(models.Model):
    """Somebody asks to see a key, or to export a batch. Once granted it is good once, for a while, for them.

    `withdraws`: with the grant, free keys of the batch are taken out of sale.
    """

    KINDS = [(kind.value, kind.label) for kind in (AccessKind.REVEALED, AccessKind.EXPORTED)]

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    kind = models.CharField(_("what"), max_length=10, choices=KINDS)
    batch = models.ForeignKey(
        "inventory.KeyBatch", on_delete=models.PROTECT, related_name="+", verbose_name=_("key batch")
    )
    card_key = models.ForeignKey(
        "inventory.CardKey",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("card key"),
    )
    withdraws = models.BooleanField(_("takes free keys out of sale"), default=False)
    why = models.CharField(_("why"), max_length=200)
    status = models.CharField(_("status"), max_length=10, choices=RequestStatus)
    asked_by = models.CharField(_("requested by"), max_length=150)
    asked_at = models.DateTimeField(_("requested at"))
    decided_by = models.CharField(_("decided by"), max_length=150, blank=True)
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("request for keys")
        verbose_name_plural = _("requests for keys")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=RequestStatus.values), name="key_request_status_known"
            ),
            models.CheckConstraint(
                condition=Q(kind=AccessKind.REVEALED, card_key__isnull=False)
                | Q(kind=AccessKind.EXPORTED, card_key=None),
                name="key_request_of_a_key_or_a_batch",
            ),
            # Whoever asks does not decide.
            models.CheckConstraint(condition=~Q(decided_by=models.F("asked_by")), name="key_request_by_two"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.batch}"
