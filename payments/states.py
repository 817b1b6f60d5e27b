"""The states of money."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class PaymentStatus(models.TextChoices):
    OPEN = "open", _("awaited")
    SUCCEEDED = "succeeded", _("received")
    CANCELLED = "cancelled", _("no longer awaited")


class AttemptStatus(models.TextChoices):
    CREATED = "created", _("being set up")  # the provider may or may not know of it
    OPEN = "open", _("waiting for the buyer")
    FAILED = "failed", _("could not be set up")
    SUCCEEDED = "succeeded", _("paid")
    CLOSED = "closed", _("closed at the provider")


class ReceiptStatus(models.TextChoices):
    RECORDED = "recorded", _("recorded")
    APPLIED = "applied", _("applied")
    SHORT = "short", _("waiting for the rest")
    ATTENTION = "attention", _("needs attention")


class RefundStatus(models.TextChoices):
    AWAITED = "awaited", _("waiting for a second person")
    REQUESTED = "requested", _("requested")
    SENT = "sent", _("with the provider")  # until it answers, nobody knows
    DONE = "done", _("refunded")
    FAILED = "failed", _("refused by the provider")
    DECLINED = "declined", _("declined")

    @classmethod
    def ended(cls) -> "list[RefundStatus]":
        return [cls.DONE, cls.FAILED, cls.DECLINED]


class RecallWay(models.TextChoices):
    REPLACE = "replace", _("new keys")
    REFUND = "refund", _("their money")


class RecallStatus(models.TextChoices):
    AWAITED = "awaited", _("waiting for a second person")
    RUNNING = "running", _("under way")
    ENDED = "ended", _("everybody was seen to")
    DECLINED = "declined", _("declined")


class EntryKind(models.TextChoices):
    CREDIT = "credit", _("paid in")
    PAYMENT = "payment", _("paid with it")
    REFUND = "refund", _("refunded to it")
    CORRECTION = "correction", _("corrected")
    PAID_OUT = "paid_out", _("paid out")


class EventOutcome(models.TextChoices):
    WAITING = "waiting", _("waiting")
    APPLIED = "applied", _("applied")
    NOT_PAID = "not_paid", _("says nothing was paid")
    DENIED = "denied", _("denied by the provider")


class Source(models.TextChoices):
    NOTICE = "notice", _("notice")
    POLL = "poll", _("query")
    CLOSING = "closing", _("query at closing")
    STATEMENT = "statement", _("statement")
    LEDGER = "ledger", _("our own ledger")
