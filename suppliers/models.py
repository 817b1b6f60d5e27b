"""Supplier → SuppliedVariant and SupplierOrder; and SupplierEntry, what their ledger says of our orders."""

import secrets

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from cardshop.common.crypto import CannotOpen, keyring


class Supplier(models.Model):
    """A shop that we buy from by program. `driver` names the code that speaks to it (`suppliers.drivers`).

    `entries_after` is how far its ledger has been read, `answered_at` when it last told what it has in stock.
    `differences` are what its ledger and ours do not agree about, a sentence on each line.
    """

    DRIVERS = [("cardshop", "Cardshop")]

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    name = models.CharField(_("name"), max_length=60)
    driver = models.CharField(_("driver"), max_length=20, choices=DRIVERS, default="cardshop", editable=False)
    base_url = models.URLField(_("address of their shop"), help_text=_("Such as https://shop.example.com/"))
    key_name = models.CharField(
        _("API key"),
        max_length=40,
        help_text=_("One that signs, and may do all but webhooks."),
    )
    sealed_secret = models.BinaryField(editable=False, null=True)
    is_enabled = models.BooleanField(_("enabled"), default=True)
    since = models.DateTimeField(_("since"), db_default=Now(), editable=False)
    answered_at = models.DateTimeField(_("last told of its stock at"), null=True, blank=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=200, blank=True, editable=False)
    entries_after = models.CharField(max_length=20, default="0", editable=False)
    compared_at = models.DateTimeField(_("ledgers compared at"), null=True, blank=True, editable=False)
    differences = models.TextField(_("the ledgers differ"), blank=True, editable=False)

    class Meta:
        verbose_name = _("supplier")
        verbose_name_plural = _("suppliers")
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "name"], name="supplier_name_per_shop"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def secret_context(self) -> bytes:
        """What the sealed secret is bound to."""
        return f"supplier:{self.shop_id}:{self.base_url}".encode()

    @property
    def secret(self) -> str:
        """The credential in clear. Raises CannotOpen."""
        if self.sealed_secret is None:
            raise CannotOpen("it has no secret")
        return keyring().open(bytes(self.sealed_secret), self.secret_context).decode()

    def seal_secret(self, secret: str) -> None:
        """Bound to shop and address: whoever changes where calls go must enter it again."""
        self.sealed_secret = keyring().seal(secret.encode(), self.secret_context)


class SuppliedVariant(models.Model):
    """Where a variant comes from, that is filled in by hand for its buyers and has no questions to them.

    So all that is true of such goods is true of it, and a person may step in at any moment.
    """

    variant = models.OneToOneField(
        "inventory.Variant", on_delete=models.PROTECT, related_name="supplied", verbose_name=_("variant")
    )
    supplier = models.ForeignKey(
        Supplier, on_delete=models.PROTECT, related_name="variants", verbose_name=_("supplier")
    )
    their_code = models.SlugField(_("their code"), max_length=60)
    most_minor = models.BigIntegerField(
        _("may cost at most"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("One of it, in minor units of their currency. Empty: whatever they ask."),
    )

    class Meta:
        verbose_name = _("supplied variant")
        verbose_name_plural = _("supplied variants")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(most_minor=None) | Q(most_minor__gt=0), name="supplied_most_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.variant} ← {self.their_code}"


class SupplyStatus(models.TextChoices):
    TO_SEND = "to_send", _("to be asked for")
    ASKED = "asked", _("bought there")
    FILLED = "filled", _("handed on")
    FAILED = "failed", _("not to be had")
    # A person, or a refund, was there first:
    NOT_NEEDED = "not_needed", _("seen to by somebody")  # and nothing was bought
    LEFT_OVER = "left_over", _("bought, and not needed")


UNDER_WAY = (SupplyStatus.TO_SEND, SupplyStatus.ASKED)


def new_idempotency_key() -> str:
    return secrets.token_urlsafe(24)


class SupplierOrder(models.Model):
    """What we ask a supplier for, for one line of a buyer. Never made anew: under its `idempotency_key` it
    happens there at most once, however often it is sent. So all that is sent is frozen here, too.

    While `next_at` is set there is something to do, and it is its own outbox row. `unanswered_at` is when it
    was last sent without anybody having read an answer: from then on it may have been bought. `problem` is
    the code of a definite no.
    """

    item = models.OneToOneField("orders.OrderItem", on_delete=models.PROTECT, related_name="supplier_order")
    supplier = models.ForeignKey(
        Supplier, on_delete=models.PROTECT, related_name="orders", verbose_name=_("supplier")
    )
    idempotency_key = models.CharField(
        max_length=64, unique=True, default=new_idempotency_key, editable=False
    )
    reference = models.CharField(_("our number"), max_length=40)
    their_code = models.CharField(_("their code"), max_length=60)
    quantity = models.PositiveIntegerField(_("quantity"))
    most_minor = models.BigIntegerField(_("may cost at most"), null=True)
    status = models.CharField(_("status"), max_length=10, choices=SupplyStatus, default=SupplyStatus.TO_SEND)
    their_number = models.CharField(_("their number"), max_length=32, blank=True)
    cost_minor = models.BigIntegerField(_("cost in minor units"), null=True)
    problem = models.CharField(_("why not"), max_length=40, blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)
    made_at = models.DateTimeField(_("made at"))
    next_at = models.DateTimeField(_("due at"), null=True)
    unanswered_at = models.DateTimeField(null=True, editable=False)
    asked_at = models.DateTimeField(_("asked at"), null=True)
    ended_at = models.DateTimeField(_("ended at"), null=True)

    class Meta:
        verbose_name = _("order at a supplier")
        verbose_name_plural = _("orders at suppliers")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=SupplyStatus.values), name="supply_status_known"),
            models.CheckConstraint(
                condition=Q(status__in=UNDER_WAY, ended_at=None)
                | ~Q(status__in=UNDER_WAY) & Q(ended_at__isnull=False),
                name="supply_ended_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(
                    status__in=[SupplyStatus.ASKED, SupplyStatus.FILLED, SupplyStatus.LEFT_OVER],
                    their_number="",
                ),
                name="supply_bought_has_their_number",
            ),
            # What was bought once goes to one line.
            models.UniqueConstraint(
                fields=["supplier", "their_number"],
                condition=~Q(their_number=""),
                name="supply_handed_on_once",
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], name="supply_due", condition=Q(next_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.reference


class SupplierEntry(models.Model):
    """A payment or refund of our account in the supplier's ledger, as it was read there."""

    supplier = models.ForeignKey(Supplier, on_delete=models.PROTECT, related_name="entries", db_index=False)
    number = models.BigIntegerField(_("number"))
    kind = models.CharField(_("kind"), max_length=10)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    their_number = models.CharField(_("their number"), max_length=120)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("entry of a supplier")
        verbose_name_plural = _("entries of suppliers")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["supplier", "number"], name="supplier_entry_once"),
        ]
        indexes = [models.Index(fields=["supplier", "their_number"], name="supplier_entry_of_order")]

    def __str__(self) -> str:
        return f"{self.kind} {self.their_number}"
