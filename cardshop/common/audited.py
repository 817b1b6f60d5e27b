"""Pages of the administration on which nothing is done that is not written down."""

from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from typing import Any

from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

from cardshop.common.audit import Action, Deed, deed_on, deeds_between, secrets_of, standing
from cardshop.common.shop_scope import shop_id_of


class AuditedAdmin(ModelAdmin):
    """What is done is handed to the site (`write_down`), in the transaction in which it is done.

    Forms, lists that can be edited and deletions do so by themselves; so does `log_change` with a sentence.
    Code that changes rows otherwise does it within `noting`. Rows are compared as the database has them
    before and after, whatever a form or a service has made of what was entered. A form may say
    `has_new_secret`: without one, what is sealed anew was not changed by anybody.
    """

    # Fields of which only that they changed is told: those of people who are not of the staff.
    told_by_name: Set[str] = frozenset()

    def note(self, request: HttpRequest, deeds: Iterable[Deed]) -> None:
        site: Any = self.admin_site
        site.write_down(request, deeds)

    @contextmanager
    def noting(self, request: HttpRequest, rows: models.QuerySet[Any], said: str = "") -> Iterator[None]:
        """One transaction of what is done to these rows and of the note of it.

        What they were is what they were at the beginning: where others may change them meanwhile, the caller
        holds their locks.
        """
        with transaction.atomic():
            before = standing(rows)
            yield
            after = standing(rows.model._base_manager.filter(pk__in=before))
            by_name = self.told_by_name
            self.note(request, deeds_between(before, after, shop_of=shop_id_of, by_name=by_name, said=said))

    # Django's own ways

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        form.stood = standing(self._row_of(form), many=_many(form)) if change else {}
        return super().save_form(request, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        rows, shop_id = formset.model._base_manager, shop_id_of(form.instance)
        before = standing(rows.filter(pk__in=[each.instance.pk for each in formset.initial_forms]))
        super().save_formset(request, form, formset, change)
        after = standing(rows.filter(pk__in={*before, *(row.pk for row in formset.new_objects)}))
        deeds = deeds_between(before, after, shop_of=lambda _row: shop_id)
        form.deeds_beside = [*getattr(form, "deeds_beside", ()), *deeds]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        deeds = deeds_between(
            form.stood,
            standing(self._row_of(form), many=_many(form)),
            shop_of=shop_id_of,
            by_name=self.told_by_name,
            besides=frozenset() if getattr(form, "has_new_secret", True) else secrets_of(self.model),
        )
        self.note(request, [*deeds, *getattr(form, "deeds_beside", ())])

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._note_sentence(request, obj, Action.ADDED, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._note_sentence(request, obj, Action.DONE, message)
        return super().log_change(request, obj, message)

    def _note_sentence(self, request: HttpRequest, obj: Any, action: Action, message: Any) -> None:
        """Of forms Django has a list here, of what `save_related` has noted already."""
        if isinstance(message, str):
            self.note(request, [deed_on(obj, action, shop_id=shop_id_of(obj), said=message)])

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        self.note_deletions(request, queryset)
        return super().log_deletions(request, queryset)

    def note_deletions(self, request: HttpRequest, rows: Iterable[models.Model]) -> None:
        """Before they go, in their transaction."""
        deeds = deeds_between(standing(rows), {}, shop_of=shop_id_of, by_name=self.told_by_name)
        self.note(request, deeds)

    def response_action(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        """Django deletes what is selected outside of any transaction."""
        if not _deletes(request):
            return super().response_action(request, queryset, *args, **kwargs)
        with transaction.atomic():
            return super().response_action(request, queryset, *args, **kwargs)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is not None and obj.pk:
            site: Any = self.admin_site
            context["audit_link"] = site.history_link(request, obj)
        page: HttpResponse = super().render_change_form(request, context, *args, obj=obj, **kwargs)
        return page

    def _row_of(self, form: Any) -> models.QuerySet[Any]:
        rows: models.QuerySet[Any] = self.model._base_manager.filter(pk=form.instance.pk)
        return rows


def _deletes(request: HttpRequest) -> bool:
    """There may be two choices of an action on a page; `index` says whose button was pressed."""
    chosen, index = request.POST.getlist("action"), request.POST.get("index", "0")
    at = int(index) if index in ("0", "1") else 0
    return chosen[at : at + 1] == ["delete_selected"]


def _many(form: Any) -> list[str]:
    return [relation.name for relation in form._meta.model._meta.many_to_many if relation.name in form.fields]
