"""One row for each thing that somebody of the staff did to a row of the shop."""

from django.db import models
from django.db.models import Q
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from cardshop.common.audit import LONGEST, LONGEST_NAME, Action


class AuditEntry(models.Model):
    """Written in the transaction of what it tells; never changed.

    A trigger refuses changes, and deletion but by whoever prunes old rows (`cardshop.pruning`). Names stand
    here as text: they outlive the account and the row. `changes`: see `cardshop.common.audit.Deed`.
    Without a shop it concerns the installation.
    """

    shop = models.ForeignKey(
        "shops.Shop", null=True, on_delete=models.PROTECT, db_index=False, verbose_name=_("shop")
    )
    at = models.DateTimeField(_("at"))
    who = models.CharField(_("who"), max_length=150)
    address = models.GenericIPAddressField(_("from address"), null=True)
    action = models.CharField(_("what"), max_length=10, choices=Action)
    of = models.CharField(_("kind"), max_length=100)
    of_id = models.CharField(_("number"), max_length=64)
    named = models.CharField(_("name"), max_length=LONGEST_NAME)
    said = models.CharField(_("in words"), max_length=LONGEST, blank=True)
    changes = models.JSONField(_("changes"), default=list)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(action__in=Action.values), name="audit_action_known"),
            models.CheckConstraint(condition=~Q(who="") & ~Q(of=""), name="audit_who_and_what"),
        ]
        indexes = [
            models.Index(fields=["shop", "-id"], name="audit_of_shop"),
            models.Index(fields=["of", "of_id", "-id"], name="audit_of_row"),
            models.Index(fields=["shop", "who", "-id"], name="audit_of_person"),
            models.Index(fields=["at"], name="audit_at"),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {localtime(self.at):%Y-%m-%d %H:%M}"
