"""Pages whose changes need a fresh code, are written into the history, and are mailed where they decide."""

from collections.abc import Set
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from cardshop.common.clock import db_now
from cardshop.common.fresh_code import FreshCodeAdmin
from payments.services.channel_changes import Change, Subject, in_words, record_changes, what_is_told
from payments.services.channel_mail import people_to_tell

# Long, or nobody's business: told by name alone.
HIDDEN = {"provider_key"}


class ToldAdmin(FreshCodeAdmin):
    """Its forms may name the `decisive` fields, and the `secret_fields`, whose content is never told."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Of two who change it at a time the second one sees what the first one has written."""
        found = super().get_object(request, object_id, from_field)
        if found is not None and request.method == "POST" and transaction.get_connection().in_atomic_block:
            return self.model._default_manager.select_for_update(no_key=True).filter(pk=found.pk).first()
        return found

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        page: HttpResponse = super().history_view(request, object_id, extra_context)
        if isinstance(page, TemplateResponse) and page.context_data:
            for entry in page.context_data["action_list"]:
                if told := what_is_told(entry):
                    said = [entry.get_change_message(), *in_words(told), f"({told['from']})"]
                    entry.change_message = " · ".join(said)
        return page

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        return changes_of(form, is_new=add)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return self.record(request, obj, message, action=ADDITION)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if isinstance(message, str):
            return super().log_change(request, obj, message)
        return self.record(request, obj, message, action=CHANGE)

    def record(
        self, request: HttpRequest, subject: Subject, changes: list[Change], *, action: int, also_to: str = ""
    ) -> LogEntry:
        """See `record_changes`. Says so when there is nobody who could be told by mail."""
        if not people_to_tell(subject, also_to):
            messages.warning(
                request,
                gettext("Nobody hears of changes: neither a superuser nor the shop has an e-mail address."),
            )
        return record_changes(
            subject,
            changes,
            action=action,
            user_id=request.user.pk,  # type: ignore[arg-type]
            address=request.META.get("REMOTE_ADDR", ""),
            also_to=also_to,
            now=db_now(),
        )


def changes_of(form: Any, *, is_new: bool) -> list[Change]:
    """What the form has changed; of what is new all that was entered."""
    decisive: Set[str] = getattr(form, "decisive", set())
    secret: Set[str] = getattr(form, "secret_fields", set())
    changes = []
    for name in form.fields:
        before, after = form.initial.get(name), form.cleaned_data.get(name)
        if name in secret or is_new:
            before, is_told = None, after not in (None, "", False)
        else:
            is_told = before != after
        if is_told:
            changes.append(
                Change(
                    label=_label(form, name),
                    before=before,
                    after=after,
                    is_hidden=name in secret | HIDDEN,
                    is_decisive=name in decisive or (name == "is_enabled" and after is True),
                )
            )
    return changes


def _label(form: Any, name: str) -> Any:
    """As the source has it: to those of a model's fields Django gives a capital, which is not translated."""
    if name in form.declared_fields:
        return form.fields[name].label
    return getattr(form._meta.model._meta.get_field(name), "verbose_name", name)
