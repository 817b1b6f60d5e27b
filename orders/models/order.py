"""Order → OrderItem → Reservation and DeliveredKey, and the append-only history of it all."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from cardshop.common.ids import new_order_number, new_token
from cardshop.common.money import CURRENCIES
from orders.states import HoldStatus, ItemStatus, OrderStatus


class Order(models.Model):
    """One purchase. `number` is for people, `token` opens it, `ticket_id` makes retries one order.

    `reserved_until` is the deadline of all its holds. `buyer_key` is frozen at order: correcting the
    e-mail changes neither it nor any limit. `address_key` stands for the network address, if that says
    anything about who it is. `attention` is a reason for a person to look, not a state. What `is_top_up` has
    no lines: its money goes on an account (`payments.services.topping_up`), which is its delivery.
    """

    # `order_newest` begins with the shop.
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, db_index=False, verbose_name=_("shop"))
    number = models.CharField(_("number"), max_length=16, default=new_order_number)
    token = models.CharField(max_length=32, default=new_token, editable=False)
    ticket_id = models.CharField(max_length=64, editable=False)
    buyer_key = models.CharField(max_length=64, editable=False)
    address_key = models.CharField(max_length=64, blank=True, editable=False)
    status = models.CharField(_("status"), max_length=12, choices=OrderStatus, default=OrderStatus.PENDING)
    closing_to = models.CharField(
        _("closing to"), max_length=12, choices=OrderStatus, blank=True, editable=False
    )
    closing_since = models.DateTimeField(null=True, blank=True, editable=False)
    contact_email = models.EmailField(_("contact e-mail"))
    language = models.CharField(_("language"), max_length=10)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES)
    total_minor = models.BigIntegerField(_("total in minor units"))
    placed_at = models.DateTimeField(_("placed at"))
    reserved_until = models.DateTimeField(_("reserved until"))
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)
    attention = models.CharField(_("needs attention because"), max_length=200, blank=True)
    is_top_up = models.BooleanField(_("top-up"), default=False, db_default=False, editable=False)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        ordering = ["-pk"]
        constraints = [
            # Not unique=True, which on PostgreSQL brings a second index each, for LIKE.
            models.UniqueConstraint(fields=["number"], name="order_number_once"),
            models.UniqueConstraint(fields=["token"], name="order_token_once"),
            models.UniqueConstraint(fields=["ticket_id"], name="one_order_per_ticket"),
            models.CheckConstraint(condition=Q(status__in=OrderStatus.values), name="order_status_known"),
            models.CheckConstraint(condition=Q(total_minor__gt=0), name="order_total_positive"),
            models.CheckConstraint(
                condition=~Q(status=OrderStatus.CLOSING)
                | Q(
                    closing_to__in=[OrderStatus.EXPIRED, OrderStatus.CANCELLED],
                    closing_since__isnull=False,
                ),
                name="order_closing_to_something",
            ),
        ]
        indexes = [
            models.Index(
                fields=["reserved_until"],
                name="order_pending_deadline",
                condition=Q(status=OrderStatus.PENDING),
            ),
            models.Index(
                fields=["delivered_at"],
                name="order_to_complete",
                condition=Q(status=OrderStatus.DELIVERED),
            ),
            models.Index(
                fields=["buyer_key"],
                name="order_of_buyer",
                condition=~Q(status__in=[OrderStatus.EXPIRED, OrderStatus.CANCELLED]),
            ),
            models.Index(
                fields=["address_key"],
                name="order_unpaid_from_address",
                condition=Q(status__in=[OrderStatus.PENDING, OrderStatus.CLOSING]) & ~Q(address_key=""),
            ),
            models.Index(fields=["shop", "-placed_at"], name="order_newest"),
            # As `contact_email__iexact` asks.
            models.Index(Upper("contact_email"), name="order_contact"),
            models.Index(fields=["shop"], name="order_attention", condition=~Q(attention="")),
            # For the administration's list: a month of all shops, and a few that are being closed.
            models.Index(fields=["-placed_at"], name="order_placed"),
            models.Index(fields=["status"], name="order_status"),
        ]

    def __str__(self) -> str:
        return self.number


class OrderItem(models.Model):
    """A line. Names, price and promise are frozen: later changes of the product do not reach it.

    `due_at` is set when a line is paid for that a person has to fill in: by then it should be. `answers` is
    what the buyer entered for it, sealed: see `orders.answers`.
    """

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="items")
    variant = models.ForeignKey("inventory.Variant", on_delete=models.PROTECT)
    product_name = models.CharField(_("product"), max_length=120)
    product_name_en = models.CharField(max_length=120, blank=True)
    variant_name = models.CharField(_("variant"), max_length=80)
    variant_name_en = models.CharField(max_length=80, blank=True)
    unit_price_minor = models.BigIntegerField(_("unit price in minor units"))
    quantity = models.PositiveIntegerField(_("quantity"))
    status = models.CharField(_("status"), max_length=10, choices=ItemStatus, default=ItemStatus.OPEN)
    fulfil_within_hours = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    due_at = models.DateTimeField(_("due at"), null=True, blank=True, editable=False)
    answers = models.BinaryField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gte=1), name="item_quantity_positive"),
            models.CheckConstraint(condition=Q(status__in=ItemStatus.values), name="item_status_known"),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                name="item_to_fill_in",
                condition=Q(status=ItemStatus.OPEN, due_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.product_name}"


class Reservation(models.Model):
    """A claim on Stock for one line: `held` until the order's deadline, then `sold` or `released`."""

    item = models.ForeignKey(OrderItem, on_delete=models.PROTECT, related_name="reservations")
    # `reservation_held` is the index that is asked.
    stock = models.ForeignKey("inventory.Stock", on_delete=models.PROTECT, db_index=False)
    quantity = models.PositiveIntegerField(_("quantity"))
    status = models.CharField(_("status"), max_length=10, choices=HoldStatus, default=HoldStatus.HELD)

    class Meta:
        verbose_name = _("reservation")
        verbose_name_plural = _("reservations")
        constraints = [
            models.UniqueConstraint(
                fields=["item"],
                condition=~Q(status=HoldStatus.RELEASED),
                name="one_live_reservation_per_item",
            ),
        ]
        indexes = [
            models.Index(
                fields=["stock"],
                name="reservation_held",
                condition=Q(status=HoldStatus.HELD),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.status}"


class DeliveredKey(models.Model):
    """A key in a buyer's hands: one current row per slot of a line, and a key in one row only, unless it is
    a reusable one.
    """

    item = models.ForeignKey(OrderItem, on_delete=models.PROTECT, related_name="delivered_keys")
    slot = models.PositiveIntegerField()
    card_key = models.ForeignKey("inventory.CardKey", on_delete=models.PROTECT)
    replaced_by = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaces"
    )
    delivered_at = models.DateTimeField(_("delivered at"))
    is_reusable = models.BooleanField(default=False, db_default=False, editable=False)

    class Meta:
        verbose_name = _("delivered key")
        verbose_name_plural = _("delivered keys")
        constraints = [
            models.UniqueConstraint(
                fields=["item", "slot"],
                condition=Q(replaced_by=None),
                name="one_current_key_per_slot",
            ),
            models.UniqueConstraint(
                fields=["card_key"], condition=Q(is_reusable=False), name="key_delivered_once"
            ),
        ]
        indexes = [models.Index(fields=["delivered_at"], name="key_delivered_at")]

    def __str__(self) -> str:
        return f"slot {self.slot}"


class OrderEvent(models.Model):
    """Append-only history. `before` equals `after` for an event that changed no state."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events")
    before = models.CharField(_("before"), max_length=12, blank=True)
    after = models.CharField(_("after"), max_length=12)
    reason = models.CharField(_("reason"), max_length=200)
    actor = models.CharField(_("who"), max_length=150)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"
