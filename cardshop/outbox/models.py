"""The outbox row, a promise that a task will be done; and signs of life of those who keep them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from cardshop.common.tracing import LONGEST_CAUSE


class OutboxMessage(models.Model):
    """`task` names the consumer, `subject_id` the row it is about.

    Open while `done_at` is null. A consumer leases it by moving `due_at` on, so a crash is its retry.
    With `attention` set nobody retries it any more: a person has to look. `cause` is the span that promised
    it, if there was one.
    """

    # `outbox_of_shop` begins with the shop.
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, db_index=False)
    task = models.CharField(_("task"), max_length=60)
    subject_id = models.BigIntegerField(_("subject"))
    due_at = models.DateTimeField(_("due at"))
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    cause = models.CharField(_("cause"), max_length=LONGEST_CAUSE, blank=True, db_default="", editable=False)
    created_at = models.DateTimeField(_("created at"))
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)
    attention = models.TextField(_("needs attention because"), blank=True)

    class Meta:
        verbose_name = _("outbox message")
        verbose_name_plural = _("outbox messages")
        indexes = [
            models.Index(fields=["shop", "id"], name="outbox_of_shop"),
            models.Index(
                fields=["task", "due_at"],
                name="outbox_open",
                condition=models.Q(done_at=None, attention=""),
            ),
            models.Index(
                fields=["task"],
                name="outbox_given_up",
                condition=models.Q(done_at=None) & ~models.Q(attention=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.subject_id}"


class Heartbeat(models.Model):
    """When the workers of a queue, or an allocator, last showed that they work: see `outbox.heartbeats`."""

    name = models.CharField(primary_key=True, max_length=40)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
