"""The way from a row to what was done to it."""

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from cardshop.audit.models import AuditEntry


def history_link(request: HttpRequest, row: Model) -> str:
    """Empty for who may not see it, and for entries, to which nothing is done."""
    if isinstance(row, AuditEntry) or not request.user.has_perm("audit.view_auditentry"):
        return ""
    return f"{reverse('admin:audit_auditentry_changelist')}?row={row._meta.label_lower}:{row.pk}"
