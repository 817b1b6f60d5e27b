"""What several kinds of rows share."""

from django.db import models
from django.utils.translation import gettext_lazy as _

# New columns of tables that are written to all the time have a default in the database, too: while a release
# is rolled out, the one before it still inserts rows and does not know of them.
NOTHING = models.Value({}, models.JSONField())


class MayNeedAPerson(models.Model):
    """With `attention` the row waits for a person, for that reason, until `resolved_at`."""

    attention = models.CharField(_("needs attention because"), max_length=200, blank=True)
    resolved_at = models.DateTimeField(_("dealt with at"), null=True, blank=True)
    resolved_by = models.CharField(_("dealt with by"), max_length=150, blank=True)

    class Meta:
        abstract = True
