"""Balance → BalanceEntry: money paid in beforehand, and every change to it, for ever. TopUp: asked for."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import CURRENCIES
from payments.states import EntryKind

K = EntryKind


class Balance(models.Model):
    """What the shop owes a holder in goods. Whoever has the code may spend it, unless it is frozen.

    Only a keyed digest of the code is kept; it is empty where no code opens the balance, as with a reseller's
    account. `amount_minor` is what the entries come to; it is changed with them by `payments.ledger` and
    nowhere else. It never goes below minus `credit_minor`, which is for accounts alone: a code may get about.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    holder = models.CharField(_("holder"), max_length=120)
    contact_email = models.EmailField(_("contact e-mail"), blank=True)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES)
    amount_minor = models.BigIntegerField(_("amount in minor units"), default=0)
    credit_minor = models.BigIntegerField(_("credit line in minor units"), default=0, db_default=0)
    code_digest = models.CharField(max_length=64, blank=True, editable=False)
    is_frozen = models.BooleanField(_("frozen"), default=False)
    opened_at = models.DateTimeField(_("opened at"))

    class Meta:
        verbose_name = _("balance")
        verbose_name_plural = _("balances")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gte=0 - F("credit_minor")), name="balance_within_credit"
            ),
            models.CheckConstraint(
                condition=Q(credit_minor=0) | Q(credit_minor__gt=0, code_digest=""),
                name="balance_credit_of_accounts_only",
            ),
            models.UniqueConstraint(
                fields=["shop", "code_digest"],
                condition=~Q(code_digest=""),
                name="balance_code_once_per_shop",
            ),
        ]

    def __str__(self) -> str:
        return self.holder

    @property
    def spendable_minor(self) -> int:
        """The money, and what may be owed beyond it."""
        return self.amount_minor + self.credit_minor


class BalanceEntry(models.Model):
    """One change to a balance; `after_minor` is what it left, with the credit line of then. Never changed or
    deleted.

    `reference` makes it happen once: the number of a payment's attempt, of a refund, of a top-up's order, or
    of the form that a merchant filled in.
    """

    # `entry_of_balance` begins with the balance.
    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="entries", db_index=False)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    after_minor = models.BigIntegerField(_("balance afterwards, in minor units"))
    credit_minor = models.BigIntegerField(_("credit line in minor units"), default=0, db_default=0)
    kind = models.CharField(_("kind"), max_length=10, choices=EntryKind)
    reference = models.CharField(_("our number"), max_length=64, blank=True)
    reason = models.CharField(_("reason"), max_length=120, blank=True)
    actor = models.CharField(_("by"), max_length=150, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("balance entry")
        verbose_name_plural = _("balance entries")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(after_minor__gte=0 - F("credit_minor")), name="entry_within_credit"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[K.PAYMENT, K.PAID_OUT], amount_minor__lt=0)
                | Q(kind__in=[K.CREDIT, K.REFUND], amount_minor__gt=0)
                | Q(kind=K.CORRECTION) & ~Q(amount_minor=0),
                name="entry_goes_its_kinds_way",
            ),
            models.UniqueConstraint(
                fields=["kind", "reference"], condition=~Q(reference=""), name="entry_once_per_reference"
            ),
        ]
        indexes = [models.Index(fields=["balance", "id"], name="entry_of_balance")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.reference}"


class TopUp(models.Model):
    """Money for an account that somebody was asked to pay: an order without lines, of that amount. Once it is
    paid it is credited, as the entry with the order's number; the order says how it stands.
    """

    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="top_ups", db_index=False)
    order = models.OneToOneField("orders.Order", on_delete=models.PROTECT, related_name="top_up")
    asked_by = models.CharField(_("requested by"), max_length=150)

    class Meta:
        verbose_name = _("top-up")
        verbose_name_plural = _("top-ups")
        indexes = [models.Index(fields=["balance", "id"], name="top_up_of_balance")]

    def __str__(self) -> str:
        return self.order.number
