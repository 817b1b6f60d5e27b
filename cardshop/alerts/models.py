"""Destination: where to tell what. Alert: what is the matter, once. Notice: that a destination is to be told
of it. Message: what one was told, or is about to be.
"""

import uuid
from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cardshop.common.crypto import keyring


class Kind(models.TextChoices):
    """What may be the matter. The first four are a shop's own; of an import there is only news."""

    ATTENTION = "attention", _("something needs a person")
    LOW_STOCK = "low_stock", _("stock runs low")
    SOLD_OUT = "sold_out", _("sold out")
    CHANNEL = "channel", _("a way to pay does not answer")
    IMPORT = "import", _("an import has ended")
    DESTINATION = "destination", _("a destination of alerts fails")
    WEBHOOK = "webhook", _("a webhook was paused")
    SUPPLIER = "supplier", _("something is wrong with a supplier")
    GIVEN_UP = "given_up", _("work was given up")
    WORKERS = "workers", _("workers are silent")
    BACKUP = "backup", _("the last backup is old")


# How long it has to last before anybody is told: a breaker opens for seconds, too.
# And at a start nobody has shown any life for as long as the shop was away.
PATIENCE = {
    Kind.CHANNEL: timedelta(minutes=1),
    Kind.WORKERS: timedelta(minutes=1),
    Kind.DESTINATION: timedelta(minutes=10),
}
# News: over once told, and nobody is told of that.
NEWS = {Kind.IMPORT}


class Destination(models.Model):
    """Where the people of a shop are told; without a shop, those who run the installation, of all shops.

    `address` is the service's, `options` are what its driver wants besides, and the credential is sealed,
    bound to both: who changes where messages go has to enter it again. Between `quiet_from` and
    `quiet_until` nothing is sent; what has come by then goes in one message. `failing_since` it takes none.
    """

    AT_ONCE = 0
    DIGESTS = [
        (AT_ONCE, _("at once")),
        (15, _("every quarter of an hour")),
        (60, _("every hour")),
        (24 * 60, _("once a day")),
    ]

    shop = models.ForeignKey(
        "shops.Shop",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        verbose_name=_("shop"),
        help_text=_("Empty: the whole installation, with all shops and what belongs to none."),
    )
    name = models.CharField(_("name"), max_length=60)
    driver = models.CharField(_("sent by"), max_length=20)
    address = models.CharField(_("address"), max_length=500, blank=True)
    options = models.JSONField(default=dict, blank=True, editable=False)
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    sealed_secret = models.BinaryField(editable=False)
    kinds = models.JSONField(_("about"), default=list)
    language = models.CharField(_("language"), max_length=10, default="zh-hans")
    tells_end = models.BooleanField(
        _("tell when it is over"), default=True, help_text=_("Also when something no longer needs anybody.")
    )
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)
    every_minutes = models.PositiveSmallIntegerField(_("when"), choices=DIGESTS, default=AT_ONCE)
    per_hour = models.PositiveSmallIntegerField(
        _("messages an hour at most"),
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(600)],
        help_text=_("What comes on top of that is put together into the next one."),
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=200, blank=True, editable=False)

    class Meta:
        verbose_name = _("destination of alerts")
        verbose_name_plural = _("destinations of alerts")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def secret_context(self) -> bytes:
        return f"alert-secret:{self.uid}:{self.driver}:{self.address}".encode()

    @property
    def secret(self) -> str:
        """The credential in clear; empty where none is needed. Raises CannotOpen."""
        return keyring().open(bytes(self.sealed_secret), self.secret_context).decode()

    def seal_secret(self, secret: str) -> None:
        self.sealed_secret = keyring().seal(secret.encode(), self.secret_context)


class Alert(models.Model):
    """One thing that is the matter, from when it was seen until it is over; open once for each subject.

    Nobody is told before `told_at`. `absent_since` it has not been seen any more. `about` has what is said of
    it, and never a secret.
    """

    shop = models.ForeignKey("shops.Shop", null=True, on_delete=models.CASCADE, verbose_name=_("shop"))
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    subject = models.CharField(_("subject"), max_length=80)
    about = models.JSONField(default=dict)
    seen_at = models.DateTimeField(_("since"))
    told_at = models.DateTimeField(_("told at"), null=True)
    absent_since = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(_("over since"), null=True)

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "kind", "subject"],
                condition=Q(ended_at=None),
                nulls_distinct=False,
                name="alert_once_while_it_lasts",
            )
        ]
        indexes = [models.Index(fields=["ended_at"], name="alert_ended")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class Message(models.Model):
    """What a destination was told, or is being told; one at a time. The log, too."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("being sent")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")

    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, verbose_name=_("destination"))
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    title = models.CharField(_("title"), max_length=200)
    text = models.TextField(_("text"))
    created_at = models.DateTimeField(_("created at"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    ended_at = models.DateTimeField(_("ended at"), null=True)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("sent alert")
        verbose_name_plural = _("sent alerts")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["destination"],
                condition=Q(status="waiting"),
                name="one_message_at_a_time",
            )
        ]
        indexes = [models.Index(fields=["destination", "created_at"], name="message_created")]

    def __str__(self) -> str:
        return self.title


class Notice(models.Model):
    """That a destination is to be told of an alert, or of its end, from `due_at` on; told in `message`."""

    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, db_index=False)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="notices")
    is_end = models.BooleanField(default=False)
    due_at = models.DateTimeField()
    message = models.ForeignKey(Message, null=True, on_delete=models.CASCADE, related_name="notices")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["destination", "alert", "is_end"], name="notice_once")]
        indexes = [
            models.Index(
                fields=["destination", "due_at"], name="notice_to_tell", condition=Q(message__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.alert_id} to {self.destination_id}"
