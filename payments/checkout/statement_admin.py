"""The merchant's page of daily statements: that they were read, and what came of it."""

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cardshop.common.admin import AttentionFilter
from cardshop.common.clock import db_now
from payments.checkout.dealt_with import DealtWithAdmin
from payments.checkout.reasons import in_words
from payments.models import Statement
from payments.selectors import WAITS_FOR_PERSON
from payments.services.resolving import DEALT_WITH, resolve_statement


class WaitingStatementFilter(AttentionFilter):
    waiting = WAITS_FOR_PERSON


@admin.register(Statement)
class StatementAdmin(DealtWithAdmin):
    shop_path = "shop"
    list_display = ["day", "channel", "read_at", "trades", "refunds", "found", "missing", "why"]
    list_filter = [WaitingStatementFilter, "channel", "day"]
    list_select_related = ["channel"]
    fields = [
        "why",
        ("day", "channel"),
        ("read_at", "due_at", "tries"),
        ("trades", "refunds"),
        ("found", "missing"),
        "last_error",
        ("resolved_at", "resolved_by"),
    ]

    @admin.display(description=_("needs attention because"), ordering="attention")
    def why(self, statement: Statement) -> str:
        return in_words(statement.attention) or "-"

    def waits(self, row: Statement) -> bool:
        return bool(row.attention) and row.resolved_at is None

    @transaction.atomic
    def resolve(self, request: HttpRequest, row: Statement, *, why: str, what: str) -> None:
        resolve_statement(row, why=why, actor=request.user.get_username(), now=db_now())
        self.log_change(request, row, f"{in_words(DEALT_WITH)}: {what}")
