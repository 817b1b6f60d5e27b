"""Secrets, encrypted, and the key of their blind index."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from inventory.models.batches import KeyBatch
from inventory.models.catalogue import Variant


class IndexKey(models.Model):
    """A shop's key for the blind index of its card keys, sealed under the key-encryption key.

    Its row is also the lock that lets a shop's imports go one at a time.
    """

    shop = models.OneToOneField("shops.Shop", on_delete=models.PROTECT)
    sealed = models.BinaryField()

    class Meta:
        verbose_name = _("index key")
        verbose_name_plural = _("index keys")

    def __str__(self) -> str:
        return f"index key of {self.shop}"


class CardKeyStatus(models.TextChoices):
    AVAILABLE = "available", _("available")
    SOLD = "sold", _("sold")
    VOID = "void", _("void")


class VoidBecause(models.TextChoices):
    EXPIRED = "expired", _("expired")
    WITHDRAWN = "withdrawn", _("withdrawn")
    REPLACED = "replaced", _("replaced by another")
    DAMAGED = "damaged", _("damaged")


class CardKey(models.Model):
    """One secret, encrypted. It opens only with its own `uid` and variant as context.

    `fingerprint` is the keyed blind index: equal secrets of a shop have equal fingerprints. What a person
    types for buyers has none, since two may well get the same words. A reusable key stays available
    while it is the one that buyers get, and is sold once another has taken its place. `expires_on` is the
    batch's, so that one index finds the keys that expire first. What is void stays void.
    """

    # `cardkey_of_shop` begins with the shop.
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, db_index=False)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="card_keys")
    batch = models.ForeignKey(KeyBatch, on_delete=models.PROTECT, related_name="card_keys")
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    status = models.CharField(
        _("status"), max_length=10, choices=CardKeyStatus, default=CardKeyStatus.AVAILABLE
    )
    void_because = models.CharField(
        _("void because"), max_length=10, choices=VoidBecause, blank=True, default="", db_default=""
    )
    sealed = models.BinaryField(editable=False)
    fingerprint = models.BinaryField(max_length=32, null=True, editable=False)
    is_reusable = models.BooleanField(_("for every buyer"), default=False, db_default=False, editable=False)
    expires_on = models.DateField(_("good until"), null=True, blank=True)

    class Meta:
        verbose_name = _("card key")
        verbose_name_plural = _("card keys")
        permissions = [
            ("reveal_cardkey", _("May see a card key in clear")),
            ("export_cardkey", _("May export the card keys of a batch")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "fingerprint"],
                condition=~Q(status=CardKeyStatus.VOID),
                name="cardkey_once_per_shop",
            ),
            models.UniqueConstraint(
                fields=["variant"],
                condition=Q(is_reusable=True, status=CardKeyStatus.AVAILABLE),
                name="one_reusable_key_at_a_time",
            ),
            models.CheckConstraint(condition=Q(status__in=CardKeyStatus.values), name="cardkey_status_known"),
        ]
        indexes = [
            # Ascending is NULLS LAST: keys that never expire are picked after those that do.
            models.Index(
                fields=["variant", "expires_on", "id"],
                name="cardkey_by_expiry",
                condition=Q(status=CardKeyStatus.AVAILABLE),
            ),
            models.Index(fields=["shop", "id"], name="cardkey_of_shop"),
            # Few among many: the list of them is asked for by the administration.
            models.Index(fields=["id"], name="cardkey_void", condition=Q(status=CardKeyStatus.VOID)),
        ]

    def __str__(self) -> str:
        return f"•••• ({self.pk})"
