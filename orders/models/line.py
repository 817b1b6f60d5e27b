"""The line in front of a variant that sells through it: the Sale's terms, its waves, who waits."""

import secrets

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from orders.states import TicketStatus

SALE_HOLD_SECONDS = 5 * 60


def new_secret() -> str:
    return secrets.token_hex(16)


class ProofOfWork(models.TextChoices):
    NEVER = "never", _("never")
    PRESSED = "pressed", _("under pressure")
    ALWAYS = "always", _("always")


class Sale(models.Model):
    """How a variant sells through the line. One row a variant; the allocator's lease stands in it too.

    `epoch` numbers the lives of the admission gate in Redis: whatever speaks of another is refused.
    `secret` decides the order of those who registered before the opening.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    variant = models.OneToOneField(
        "inventory.Variant", on_delete=models.PROTECT, related_name="+", verbose_name=_("variant")
    )
    registration_opens_at = models.DateTimeField(
        _("registration opens at"),
        null=True,
        blank=True,
        help_text=_(
            "From then until the opening buyers may register; at the opening they enter in random order."
        ),
    )
    opens_at = models.DateTimeField(
        _("opens at"), null=True, blank=True, help_text=_("Empty: it is open already.")
    )
    closes_at = models.DateTimeField(_("closes at"), null=True, blank=True)
    hold_seconds = models.PositiveIntegerField(
        _("seconds to pay"),
        default=SALE_HOLD_SECONDS,
        validators=[MinValueValidator(10), MaxValueValidator(3600)],
    )
    line_cap = models.PositiveIntegerField(
        _("units in the line at most"),
        null=True,
        blank=True,
        help_text=_("Empty: as many as have been released for sale."),
    )
    is_paused = models.BooleanField(
        _("paused"),
        default=False,
        help_text=_("Nobody gets anything new; the line keeps its order, paying and delivering go on."),
    )
    proof_of_work = models.CharField(
        _("proof of work"),
        max_length=10,
        choices=ProofOfWork,
        default=ProofOfWork.PRESSED,
        help_text=_("Every browser does a little work for its click: nothing to a buyer, much to a bot."),
    )
    secret = models.CharField(max_length=32, default=new_secret, editable=False)
    epoch = models.PositiveIntegerField(default=0, editable=False)
    registered_let_in = models.BooleanField(default=False, editable=False)
    leased_by = models.CharField(max_length=64, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("sale")
        verbose_name_plural = _("sales")
        constraints = [
            models.CheckConstraint(
                condition=Q(opens_at=None) | Q(closes_at=None) | Q(closes_at__gt=F("opens_at")),
                name="sale_closes_after_it_opens",
            ),
            models.CheckConstraint(
                condition=Q(registration_opens_at=None) | Q(opens_at__gt=F("registration_opens_at")),
                name="sale_registration_before_opening",
            ),
        ]

    def __str__(self) -> str:
        return str(self.variant)


class Wave(models.Model):
    """A part of the stock that is released later: at a time, or when somebody presses the button."""

    sale = models.ForeignKey(Sale, on_delete=models.CASCADE, related_name="waves")
    quantity = models.PositiveIntegerField(_("quantity"), validators=[MinValueValidator(1)])
    opens_at = models.DateTimeField(
        _("opens at"), null=True, blank=True, help_text=_("Empty: when somebody presses the button.")
    )
    released_at = models.DateTimeField(_("released at"), null=True, blank=True, editable=False)
    released = models.PositiveIntegerField(_("released"), default=0, editable=False)

    class Meta:
        verbose_name = _("wave")
        verbose_name_plural = _("waves")
        ordering = [F("opens_at").asc(nulls_last=True), "pk"]
        indexes = [
            models.Index(fields=["opens_at"], name="wave_to_come", condition=Q(released_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.quantity}"


class Registration(models.Model):
    """A click before the opening: it enters the line at the opening, in random order.

    One for each form; its page then carries a pass that is bound to the contact. Several may name the
    same contact, which is drawn once.
    """

    sale = models.ForeignKey(Sale, on_delete=models.CASCADE, related_name="registrations")
    ticket_id = models.CharField(max_length=64, editable=False)
    buyer_key = models.CharField(max_length=64, editable=False)
    address_key = models.CharField(max_length=64, blank=True, editable=False)
    contact_email = models.EmailField(_("contact e-mail"))
    language = models.CharField(_("language"), max_length=10)
    quantity = models.PositiveIntegerField(_("quantity"))
    registered_at = models.DateTimeField(_("registered at"))

    class Meta:
        verbose_name = _("registration")
        verbose_name_plural = _("registrations")
        constraints = [
            models.UniqueConstraint(fields=["ticket_id"], name="one_registration_per_ticket"),
        ]
        indexes = [models.Index(fields=["sale", "address_key"], name="registration_from_address")]

    def __str__(self) -> str:
        return self.contact_email


class Ticket(models.Model):
    """A settled click that did not become an order at once: in line, or turned away.

    `place` orders the line. A ticket that became an order has the order's `ticket_id`; `left` and
    `refused` are final, and another try needs a new page.
    """

    # `ticket_of_shop` begins with the shop.
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, db_index=False)
    variant = models.ForeignKey("inventory.Variant", on_delete=models.PROTECT)
    ticket_id = models.CharField(max_length=64, editable=False)
    buyer_key = models.CharField(max_length=64, editable=False)
    address_key = models.CharField(max_length=64, blank=True, editable=False)
    contact_email = models.EmailField(_("contact e-mail"))
    language = models.CharField(_("language"), max_length=10)
    quantity = models.PositiveIntegerField(_("quantity"))
    place = models.BigIntegerField(_("place"))
    status = models.CharField(_("status"), max_length=10, choices=TicketStatus)
    reason = models.CharField(_("reason"), max_length=20, blank=True)
    settled_at = models.DateTimeField(_("settled at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        constraints = [
            models.UniqueConstraint(fields=["ticket_id"], name="one_row_per_ticket"),
            models.UniqueConstraint(fields=["variant", "place"], name="one_ticket_per_place"),
            models.CheckConstraint(condition=Q(status__in=TicketStatus.values), name="ticket_status_known"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="ticket_quantity_positive"),
        ]
        indexes = [
            models.Index(
                fields=["variant", "place"],
                name="ticket_waiting",
                condition=Q(status=TicketStatus.WAITING),
            ),
            models.Index(fields=["shop", "id"], name="ticket_of_shop"),
            # As `contact_email__iexact` asks.
            models.Index(Upper("contact_email"), name="ticket_contact"),
        ]

    def __str__(self) -> str:
        return f"{self.place}"
