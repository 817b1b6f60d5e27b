"""A batch of bad keys is called back from those who bought it."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from payments.states import RecallStatus, RecallWay


class KeyRecall(models.Model):
    """Every order line with keys of the batch gets new keys, or its money back.

    `reached` is the last line that was seen to: of those behind it `done` were helped and `failed` were put
    before a person. `halted` says why it does not go on by itself.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    batch = models.ForeignKey(
        "inventory.KeyBatch", on_delete=models.PROTECT, related_name="+", verbose_name=_("key batch")
    )
    way = models.CharField(_("what they get"), max_length=10, choices=RecallWay)
    status = models.CharField(_("status"), max_length=10, choices=RecallStatus)
    reason = models.CharField(_("reason"), max_length=120)
    lines = models.PositiveIntegerField(_("lines"))
    done = models.PositiveIntegerField(_("helped"), default=0)
    failed = models.PositiveIntegerField(_("need a person"), default=0)
    reached = models.BigIntegerField(default=0, editable=False)
    halted = models.CharField(_("halted because"), max_length=200, blank=True)
    asked_by = models.CharField(_("requested by"), max_length=150)
    asked_at = models.DateTimeField(_("requested at"))
    approved_by = models.CharField(_("approved by"), max_length=150, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        verbose_name = _("recall")
        verbose_name_plural = _("recalls")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=RecallStatus.values), name="recall_status_known"),
            models.CheckConstraint(condition=Q(way__in=RecallWay.values), name="recall_way_known"),
            models.UniqueConstraint(
                fields=["batch"],
                condition=Q(status__in=[RecallStatus.AWAITED, RecallStatus.RUNNING]),
                name="one_live_recall_per_batch",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.batch} {self.get_way_display()}"
