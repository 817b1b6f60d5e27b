"""The log as those who answer for a shop read it: by person, kind, day, or of one row."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cardshop.audit.models import AuditEntry
from cardshop.audit.words import changes_of, kind_of
from cardshop.common.admin import LINK, ReadOnlyAdmin
from cardshop.common.shop_scope import within

LISTED = 4  # changes in a line of the list
LOOKED_THROUGH = 2000  # entries


class RecentFilter(admin.SimpleListFilter):
    """Offers what occurs in the newest entries, and what is chosen: to look through all of them would take
    longer with each.
    """

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        newest = within(request, AuditEntry.objects.order_by("-pk"))
        found = {*newest.values_list(str(self.parameter_name), flat=True)[:LOOKED_THROUGH], self.value()}
        return sorted((value, self.in_words(value)) for value in found if value)

    def in_words(self, value: str) -> str:
        return value

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class PersonFilter(RecentFilter):
    title = gettext_lazy("person")
    parameter_name = "who"


class KindFilter(RecentFilter):
    title = gettext_lazy("kind")
    parameter_name = "of"

    def in_words(self, value: str) -> str:
        return kind_of(AuditEntry(of=value))


class RowFilter(admin.SimpleListFilter):
    """Set by the link on the page of a row: `inventory.product:12`. Offered nowhere else."""

    title = gettext_lazy("one row")
    parameter_name = "row"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        of, _colon, of_id = (self.value() or "").rpartition(":")
        return [(f"{of}:{of_id}", f"{kind_of(AuditEntry(of=of))} #{of_id}")] if of else []

    def has_output(self) -> bool:
        return bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        of, _colon, of_id = (self.value() or "").rpartition(":")
        return queryset.filter(of=of, of_id=of_id) if of else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    shop_path = "shop"
    list_display = ["moment", "who", "action", "what", "told", "address"]
    list_filter = [PersonFilter, "action", KindFilter, "at", "shop", RowFilter]
    search_fields = ["=who", "named", "said", "=of_id", "=address"]
    search_help_text = gettext_lazy("Person, what it was done to, number or address")
    fields = ["moment", "who", "address", "action", "what", "said", "all_changes", "shop"]
    readonly_fields = ["moment", "what", "all_changes"]

    @admin.display(description=gettext_lazy("at"), ordering="at")
    def moment(self, entry: AuditEntry) -> str:
        return f"{localtime(entry.at):%Y-%m-%d %H:%M:%S}"

    @admin.display(description=gettext_lazy("to what"))
    def what(self, entry: AuditEntry) -> str:
        name = f"{kind_of(entry)}: {entry.named}"
        if entry.action == "deleted":
            return name
        try:
            page = reverse(f"admin:{entry.of.replace('.', '_')}_change", args=[entry.of_id])
        except NoReverseMatch:
            return name
        return format_html('<a href="{}" class="{}">{}</a>', page, LINK, name)

    @admin.display(description=gettext_lazy("what changed"))
    def told(self, entry: AuditEntry) -> str:
        changes = list(changes_of(entry))
        lines = [(_in_line(*change),) for change in changes[:LISTED]]
        if entry.said:
            lines.insert(0, (entry.said,))
        if (more := len(changes) - LISTED) > 0:
            lines.append((_("and %(count)d more") % {"count": more},))
        return (
            format_html_join("", '<div class="max-w-96 break-words whitespace-normal">{}</div>', lines) or "-"
        )

    @admin.display(description=gettext_lazy("what changed"))
    def all_changes(self, entry: AuditEntry) -> str:
        lines = [(_in_line(*change),) for change in changes_of(entry)]
        return format_html_join("", '<div class="break-words whitespace-pre-wrap">{}</div>', lines) or "-"


def _in_line(name: str, before: str, after: str) -> str:
    return f"{name}: {before} → {after}" if before else f"{name}: {after}"
