"""Lists whose rows can be edited side by side, by several people at once.

A row carries what was shown beside what was typed. What nobody touched stays as it is by now, and what
somebody else has changed since it was shown is not overwritten: it is shown, and has to be meant.
"""

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.http import HttpRequest, QueryDict
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin

from cardshop.common.locks import lock_rows


class RowForm(forms.ModelForm):  # type: ignore[type-arg]
    """One row, whose instance was read under its lock.

    `met` are the fields of which this person typed one thing and somebody else, meanwhile, another.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.met: list[str] = []
        self._own = list(self.fields)  # the formset adds the primary key
        for name in self._own:
            self.fields[name].show_hidden_initial = True

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if self.instance.pk is None:
            return cleaned
        for name in self._own:
            present = getattr(self.instance, name)
            if name not in self.changed_data:
                cleaned[name] = present
                self._show(name, present, also_typed=True)
            elif name in cleaned and present not in (cleaned[name], self._shown(name)):
                self._meet(name, present)
        return cleaned

    def _shown(self, name: str) -> Any:
        """What the page had; a form without it has shown nothing."""
        field = self.fields[name]
        key = self.add_initial_prefix(name)
        said = field.hidden_widget().value_from_datadict(self.data, self.files, key)
        try:
            return field.to_python(said)
        except ValidationError:
            return None

    def _meet(self, name: str, present: Any) -> None:
        """Refuse. Whoever presses again has seen what there is now."""
        self._show(name, present)
        self.met.append(name)
        said = _("Somebody else has changed this meanwhile, to: %(present)s. Save again to replace it.")
        self.add_error(name, said % {"present": _in_words(self.fields[name].prepare_value(present))})

    def _show(self, name: str, present: Any, *, also_typed: bool = False) -> None:
        """Should the page come again, it has what is there now."""
        value = self.fields[name].prepare_value(present)
        text = "" if value is None else str(value)
        data = cast(QueryDict, self.data).copy()
        data[self.add_initial_prefix(name)] = text
        if also_typed:
            data[self.add_prefix(name)] = text
        self.data = data


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value in (None, "") else str(value)


class EditedListAdmin(ModelAdmin):
    """Saves all that was typed, or nothing: half of a round of prices is not what anybody wanted, and the
    page that says what is wrong holds all of it still.
    """

    list_form: type[RowForm] = RowForm

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": self.list_form, **kwargs})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if request.method != "POST" or "_save" not in request.POST:
            return super().changelist_view(request, extra_context)
        with transaction.atomic():
            self._leave_out_gone(request)
            page = super().changelist_view(request, extra_context)
        if isinstance(page, TemplateResponse) and page.context_data:
            self._show_again(request, page.context_data["cl"])
        return page

    def _get_list_editable_queryset(self, request: HttpRequest, prefix: str) -> models.QuerySet[Any]:
        """Locked until the end: of two who save, the second reads what the first has written."""
        rows: models.QuerySet[Any] = super()._get_list_editable_queryset(request, prefix)
        pks = list(rows.values_list("pk", flat=True))
        lock_rows(self.model._base_manager.filter(pk__in=pks))
        return rows

    def _leave_out_gone(self, request: HttpRequest) -> None:
        """Of a row that was deleted there is nothing to save; Django would refuse all others with it."""
        name, many = self.model._meta.pk.name, self._sent_rows(request)
        sent = {request.POST.get(f"form-{at}-{name}", "") for at in range(many)}
        pks = [pk for pk in sent if pk.isascii() and pk.isdigit() and len(pk) < 19]
        there = {str(pk) for pk in self.get_queryset(request).filter(pk__in=pks).values_list("pk", flat=True)}
        gone = [at for at in range(many) if request.POST.get(f"form-{at}-{name}", "") in set(pks) - there]
        if not gone:
            return
        kept = [at for at in range(many) if at not in gone]
        post = QueryDict(mutable=True)
        for key, values in request.POST.lists():
            begin, _dash, rest = key.partition("form-")
            at, dash, _field = rest.partition("-")
            if begin in ("", "initial-") and dash and at.isdigit():
                if int(at) in kept:
                    post.setlist(f"{begin}form-{kept.index(int(at))}-{_field}", values)
            else:
                post.setlist(key, values)
        post["form-TOTAL_FORMS"] = post["form-INITIAL_FORMS"] = str(len(kept))
        request.POST = post  # type: ignore[assignment]
        said = ngettext(
            "%(count)d row was deleted meanwhile.", "%(count)d rows were deleted meanwhile.", len(gone)
        )
        self.message_user(request, said % {"count": len(gone)}, "warning")

    def _sent_rows(self, request: HttpRequest) -> int:
        said = request.POST.get("form-TOTAL_FORMS", "")
        return (
            min(int(said), self.list_max_show_all)
            if said.isascii() and said.isdigit() and len(said) < 9
            else 0
        )

    def _show_again(self, request: HttpRequest, changelist: Any) -> None:
        """Each form beside its own row: meanwhile rows may have come, gone, or changed places."""
        forms_of_rows = [form for form in changelist.formset.initial_forms if form.instance.pk]
        rows = self.get_queryset(request).filter(pk__in=[form.instance.pk for form in forms_of_rows])
        by_pk = {row.pk: row for row in changelist.apply_select_related(rows)}
        changelist.formset.forms = forms_of_rows
        changelist.result_list = [by_pk[form.instance.pk] for form in forms_of_rows]
        if names := [str(by_pk[form.instance.pk]) for form in forms_of_rows if form.met]:
            said = _("Nothing was saved. Somebody else has changed meanwhile: %(names)s.")
            self.message_user(request, said % {"names": ", ".join(names)}, "error")
