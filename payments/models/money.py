"""Payment (owed) → PaymentAttempt (one try) → Receipt (money as it came) → Refund, and the webhook inbox."""

import json

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from cardshop.common.crypto import keyring
from cardshop.common.money import CURRENCIES
from payments.states import (
    AttemptStatus,
    EventOutcome,
    PaymentStatus,
    ReceiptStatus,
    RefundStatus,
    Source,
)

# New columns of tables that are written to all the time have a default in the database, too: while a release
# is rolled out, the one before it still inserts rows and does not know of them.
NOTHING = models.Value({}, models.JSONField())


class PaymentChannel(models.Model):
    """A configured way to pay. `driver` names the code that speaks to the provider (`payments.gateways`).

    The secret is sealed; `secret` opens it for the driver and nobody else. `provider_key` is the
    provider's public key, where it signs with one; `options` are the driver's other settings.

    Of one payment the provider keeps `fee_basis_points` hundredths of a percent and `fee_fixed_minor`. Of the
    channels of a method, a pinned one goes before all others while it works.
    """

    METHODS = [
        ("alipay", _("Alipay")),
        ("wxpay", _("WeChat Pay")),
        ("qqpay", _("QQ Wallet")),
        ("bank", _("bank card")),
        ("card", _("credit or debit card")),
        ("usdt", "USDT"),
        ("paypal", "PayPal"),
        ("balance", _("balance")),
    ]

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    slug = models.SlugField(_("short name"), max_length=40)
    name = models.CharField(_("name"), max_length=60)
    name_en = models.CharField(_("name in English"), max_length=60, blank=True)
    driver = models.CharField(_("driver"), max_length=20, default="epay_v1")
    method = models.CharField(_("method"), max_length=20, choices=METHODS, default="alipay")
    base_url = models.URLField(_("address of the provider"), help_text=_("Such as https://pay.example.com/"))
    merchant_id = models.CharField(_("merchant id"), max_length=120)
    provider_key = models.TextField(_("public key of the provider"), max_length=2000, blank=True)
    options = models.JSONField(default=dict, blank=True, editable=False)
    sealed_secret = models.BinaryField(editable=False)
    is_enabled = models.BooleanField(_("enabled"), default=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_pinned = models.BooleanField(_("pinned"), default=False)
    fee_basis_points = models.PositiveSmallIntegerField(_("fee in hundredths of a percent"), default=0)
    fee_fixed_minor = models.PositiveIntegerField(_("fixed fee in minor units"), default=0)
    least_minor = models.PositiveBigIntegerField(_("least amount in minor units"), null=True, blank=True)
    most_minor = models.PositiveBigIntegerField(_("largest amount in minor units"), null=True, blank=True)

    class Meta:
        verbose_name = _("payment channel")
        verbose_name_plural = _("payment channels")
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "slug"], name="channel_slug_per_shop"),
            models.CheckConstraint(condition=Q(fee_basis_points__lte=10_000), name="channel_fee_below_all"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def _context(self) -> bytes:
        parts = ["channel-secret", str(self.shop_id), self.slug, self.base_url]
        if self.provider_key or self.options:
            parts.append(self.provider_key)
        if self.options:
            parts.append(json.dumps(self.options, sort_keys=True))
        return ":".join(parts).encode()

    @property
    def secret(self) -> str:
        """The credential in clear. Raises CannotOpen."""
        return keyring().open(bytes(self.sealed_secret), self._context).decode()

    def seal_secret(self, secret: str) -> None:
        """Bound to shop, slug, address, options and the provider's key: whoever changes where calls go, or
        who is believed, must enter it again.
        """
        self.sealed_secret = keyring().seal(secret.encode(), self._context)


class Payment(models.Model):
    """What is owed for one order. Exists from the first attempt on."""

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
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

    def __str__(self) -> str:
        return f"{self.order} {self.status}"


class PaymentAttempt(models.Model):
    """One try at one channel, under an `out_trade_no` of its own.

    `next_query_at` is when to ask the provider next; null when it need not be asked any more.
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
            )
        ]

    def __str__(self) -> str:
        return self.out_trade_no


class Receipt(models.Model):
    """Money as it came: also late, twice, in parts, too much, or from nowhere. Never changed or deleted.

    `refunded_minor` is what its refunds have taken of it, but for those that failed. `status` says what
    followed; with `attention` it waits for a person, for the reason given, until `resolved_at`. The reason
    stays even then: surplus money is never without one.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
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
    attention = models.CharField(_("needs attention because"), max_length=200, blank=True)
    resolved_at = models.DateTimeField(_("dealt with at"), null=True, blank=True)
    resolved_by = models.CharField(_("dealt with by"), max_length=150, blank=True)

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

    def __str__(self) -> str:
        return self.provider_txn_id


class Refund(models.Model):
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
    attention = models.CharField(_("needs attention because"), max_length=200, blank=True)
    resolved_at = models.DateTimeField(_("dealt with at"), null=True, blank=True)
    resolved_by = models.CharField(_("dealt with by"), max_length=150, blank=True)

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
            )
        ]

    def __str__(self) -> str:
        return self.out_refund_no


class Statement(models.Model):
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
    attention = models.CharField(_("needs attention because"), max_length=200, blank=True)
    resolved_at = models.DateTimeField(_("dealt with at"), null=True, blank=True)
    resolved_by = models.CharField(_("dealt with by"), max_length=150, blank=True)

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


class WebhookEvent(models.Model):
    """A verified call as it was received, once per digest of its canonical form.

    Providers resend the same trade with another status, so the trade number is not its key.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    channel = models.ForeignKey(PaymentChannel, on_delete=models.PROTECT, related_name="events")
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
