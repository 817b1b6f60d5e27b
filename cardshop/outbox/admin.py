"""The outbox as merchants see it: what is still open, what has given up, and another try."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action

from cardshop.common.admin import AttentionFilter, ReadOnlyAdmin
from cardshop.common.clock import db_now
from cardshop.common.shop_scope import within
from cardshop.outbox import services
from cardshop.outbox.models import OutboxMessage


class OpenFilter(admin.SimpleListFilter):
    title = _("open")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(done_at__isnull=self.value() == "yes")
        return queryset


class TaskFilter(admin.SimpleListFilter):
    """What is still open of it: to name all tasks there ever were, every message would have to be read."""

    title = _("open task")
    parameter_name = "task"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        seen = within(request, OutboxMessage.objects.filter(done_at=None))
        return [(task, task) for task in sorted(set(seen.values_list("task", flat=True).distinct()))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(task=self.value(), done_at=None) if self.value() else queryset


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    shop_path = "shop"
    list_display = ["task", "subject_id", "created_at", "due_at", "attempts", "done_at", "attention"]
    list_filter = [OpenFilter, AttentionFilter, TaskFilter]
    search_fields = ["=subject_id"]
    ordering = ["-pk"]
    fields = ["shop", "task", "subject_id", "created_at", "due_at", "attempts", "done_at", "attention"]
    actions = ["try_again"]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("outbox.change_outboxmessage")

    @action(description=_("Try again"), permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> None:
        """A whole new series of attempts; what is done stays done."""
        tasks = set(queryset.filter(done_at=None).values_list("task", flat=True))
        with self.noting(request, queryset.filter(done_at=None)):
            again = queryset.filter(done_at=None).update(attention="", attempts=0, due_at=db_now())
            for task in sorted(tasks):
                transaction.on_commit(lambda task=task: services.wake(task), robust=True)  # type: ignore[misc]
        self.message_user(
            request,
            ngettext("%(count)d message is due again.", "%(count)d messages are due again.", again)
            % {"count": again},
            messages.SUCCESS if again else messages.WARNING,
        )
