"""Payment (owed) → PaymentAttempt (one try) → Receipt (money as it came) → Refund; and daily Statements."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import CURRENCIES
from payments.models.channels import PaymentChannel
from payments.models.common import NOTHING, MayNeedAPerson
from payments.states import (
    AttemptStatus,
    PaymentStatus,
    ReceiptStatus,
    RefundStatus,
    Source,
)


class Payment(models.Model):
    """What is owed for one order. Exists from the first attempt on."""

    # `payment_of_shop` begins with the shop.
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, db_index=False)
    order = models.OneToOneField("orders.Order", on_delete=models.PROTECT)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES)
    status = models.CharField(_("status"), max_length=10, choices=PaymentStatus, default=PaymentStatus.OPEN)
    created_at = models.DateTimeField(_("created at"))
    succeeded_at = models.DateTimeField(_("received at"), null=True, blank=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payment_amount_positive"),
            models.CheckConstraint(
                condition=Q(status=PaymentStatus.SUCCEEDED, succeeded_at__isnull=False)
                | ~Q(status=PaymentStatus.SUCCEEDED) & Q(succeeded_at=None),
                name="payment_succeeded_has_time",
            ),
        ]
        indexes = [
            # What came since a moment, without a look at the rows.
            models.Index(
                fields=["succeeded_at"],
                include=["shop", "currency", "amount_minor"],
                name="payment_succeeded",
                condition=Q(succeeded_at__isnull=False),
            ),
            models.Index(fields=["shop", "id"], name="payment_of_shop"),
            # This and its likes: for the administration's lists, which are asked for the few among the many.
            models.Index(
                fields=["status"], name="payment_not_in", condition=~Q(status=PaymentStatus.SUCCEEDED)
            ),
            BrinIndex(fields=["created_at"], name="payment_created"),
        ]

    def __str__(self) -> str:
        return f"{self.order} {self.status}"


class PaymentAttempt(models.Model):
    """One try at one channel, under an `out_trade_no` of its own.

    `next_query_at` is when to ask the provider next; null when it need not be asked any more. What could not
    be set up may be begun again under its number: `resumed_at` is when that was.
    """

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="attempts")
    channel = models.ForeignKey(PaymentChannel, on_delete=models.PROTECT, related_name="attempts")
    out_trade_no = models.CharField(_("our number"), max_length=32, unique=True)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES)
    status = models.CharField(
        _("status"), max_length=10, choices=AttemptStatus, default=AttemptStatus.CREATED
    )
    pay_url = models.URLField(_("payment page"), max_length=4000, blank=True)
    # Where there is no page of the provider's: what an app scans, and what opens it.
    qr = models.CharField(max_length=4000, blank=True, editable=False)
    app_url = models.CharField(max_length=4000, blank=True, editable=False)
    app_call = models.JSONField(default=dict, db_default=NOTHING, blank=True, editable=False)
    # What the provider calls the trade, where it has to be asked by that.
    reference = models.CharField(_("provider's reference"), max_length=120, blank=True, db_default="")
    started_at = models.DateTimeField(_("started at"))
    resumed_at = models.DateTimeField(null=True, editable=False)
    next_query_at = models.DateTimeField(_("ask next at"), null=True, blank=True)
    queries = models.PositiveIntegerField(_("queries"), default=0)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("payment attempt")
        verbose_name_plural = _("payment attempts")
        indexes = [
            models.Index(
                fields=["next_query_at"],
                name="attempt_to_query",
                condition=Q(next_query_at__isnull=False),
            ),
            models.Index(fields=["started_at"], name="attempt_started"),
            models.Index(
                fields=["status"], name="attempt_not_paid", condition=~Q(status=AttemptStatus.SUCCEEDED)
            ),
        ]

    def __str__(self) -> str:
        return self.out_trade_no


class Receipt(MayNeedAPerson):
    """Money as it came: also late, twice, in parts, too much, or from nowhere. Never changed or deleted.

    `refunded_minor` is what its refunds have taken of it, but for those that failed. `status` says what
    followed; with `attention` it waits for a person, for the reason given, until `resolved_at`. The reason
    stays even then: surplus money is never without one.
    """

    # `receipt_of_shop` begins with the shop.
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, db_index=False)
    channel = models.ForeignKey(PaymentChannel, on_delete=models.PROTECT, related_name="receipts")
    provider_txn_id = models.CharField(_("provider's number"), max_length=64)
    attempt = models.ForeignKey(PaymentAttempt, null=True, on_delete=models.PROTECT, related_name="receipts")
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    refunded_minor = models.BigIntegerField(_("refunded, or about to be"), default=0, db_default=0)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES)
    source = models.CharField(_("learnt from"), max_length=10, choices=Source)
    received_at = models.DateTimeField(_("recorded at"))
    status = models.CharField(
        _("status"), max_length=10, choices=ReceiptStatus, default=ReceiptStatus.RECORDED
    )

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "provider_txn_id"], name="receipt_once_per_transaction"
            ),
            models.CheckConstraint(
                condition=Q(refunded_minor__gte=0, refunded_minor__lte=F("amount_minor")),
                name="receipt_refunded_at_most_all",
            ),
        ]
        indexes = [
            models.Index(
                fields=["shop"], name="receipt_waits", condition=~Q(attention="") & Q(resolved_at=None)
            ),
            models.Index(
                fields=["status"], name="receipt_not_applied", condition=~Q(status=ReceiptStatus.APPLIED)
            ),
            BrinIndex(fields=["received_at"], name="receipt_received"),
            models.Index(fields=["shop", "id"], name="receipt_of_shop"),
        ]

    def __str__(self) -> str:
        return self.provider_txn_id


class Refund(MayNeedAPerson):
    """Money going back: a receipt or a part of it, once, under an `out_refund_no` of its own.

    `payment` is the one that the receipt was for, if it was for one, and `item` the line that is given back
    with it, if it is a line. `next_query_at` is when to ask the provider what has become of it.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    payment = models.ForeignKey(Payment, null=True, on_delete=models.PROTECT, related_name="refunds")
    receipt = models.ForeignKey(Receipt, on_delete=models.PROTECT, related_name="refunds")
    item = models.ForeignKey("orders.OrderItem", null=True, on_delete=models.PROTECT, related_name="+")
    out_refund_no = models.CharField(_("our number"), max_length=32, unique=True)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES)
    status = models.CharField(
        _("status"), max_length=10, choices=RefundStatus, default=RefundStatus.REQUESTED
    )
    reason = models.CharField(_("reason"), max_length=120)
    requested_by = models.CharField(_("requested by"), max_length=150)
    requested_at = models.DateTimeField(_("requested at"))
    approved_by = models.CharField(_("approved by"), max_length=150, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    next_query_at = models.DateTimeField(_("ask next at"), null=True, blank=True)
    queries = models.PositiveIntegerField(_("queries"), default=0)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(condition=Q(status__in=RefundStatus.values), name="refund_status_known"),
            models.CheckConstraint(
                condition=Q(status__in=RefundStatus.ended(), ended_at__isnull=False)
                | ~Q(status__in=RefundStatus.ended()) & Q(ended_at=None),
                name="refund_ended_has_time",
            ),
            # A line is given back once; after a failure it may be tried again.
            models.UniqueConstraint(
                fields=["item"],
                condition=~Q(status__in=[RefundStatus.FAILED, RefundStatus.DECLINED]),
                name="one_live_refund_per_item",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_query_at"], name="refund_to_query", condition=Q(next_query_at__isnull=False)
            ),
            models.Index(fields=["ended_at"], name="refund_done", condition=Q(status=RefundStatus.DONE)),
            models.Index(
                fields=["shop"], name="refund_waits", condition=~Q(attention="") & Q(resolved_at=None)
            ),
            models.Index(fields=["shop"], name="refund_awaited", condition=Q(status=RefundStatus.AWAITED)),
            models.Index(fields=["status"], name="refund_status"),
        ]

    def __str__(self) -> str:
        return self.out_refund_no


class Statement(MayNeedAPerson):
    """What a provider booked on one day, compared with our books; one for each account and day.

    `found` counts money that only the statement told of, `missing` what only we had. `due_at` is when it is
    to be read next, null once it has been.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    channel = models.ForeignKey(PaymentChannel, on_delete=models.CASCADE, related_name="statements")
    day = models.DateField(_("day"))
    due_at = models.DateTimeField(_("read next at"), null=True, blank=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)
    trades = models.PositiveIntegerField(_("trades"), default=0)
    refunds = models.PositiveIntegerField(_("refunds"), default=0)
    found = models.PositiveIntegerField(_("found only there"), default=0)
    missing = models.PositiveIntegerField(_("missing there"), default=0)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("statement")
        verbose_name_plural = _("statements")
        ordering = ["-day", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["channel", "day"], name="statement_once_per_day"),
        ]
        indexes = [models.Index(fields=["due_at"], name="statement_due", condition=Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.channel} {self.day}"
