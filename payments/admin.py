"""The merchant's pages of the money: ways to pay, and what came in through them."""

import math
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant

from cardshop.common.admin import AttentionFilter, ReadOnlyAdmin
from cardshop.common.clock import db_now
from cardshop.common.money import display
from payments.admin_channels import ChannelPages
from payments.admin_shops import ShopAdmin
from payments.channel_health import channel_page
from payments.checkout.admin import OrderAdmin
from payments.checkout.dealt_with import DealtWithAdmin
from payments.checkout.reasons import in_words, why_it_waits
from payments.gateways import left_alone
from payments.models import (
    Payment,
    PaymentAttempt,
    PaymentChannel,
    Receipt,
    RefusedNotice,
    WebhookEvent,
)
from payments.selectors import WAITS_FOR_PERSON
from payments.services.resolving import DEALT_WITH, resolve_receipt

__all__ = ["OrderAdmin", "ShopAdmin"]  # imported so that Django finds them: those may not know of payments


class ShowsAmount:
    @admin.display(description=_("amount"), ordering="amount_minor")
    def amount(self, money: Any) -> str:
        return display(money.amount_minor, money.currency)


@admin.register(PaymentChannel)
class PaymentChannelAdmin(ChannelPages):
    """The list; `ChannelPages` has the form."""

    shop_path = "shop"
    list_display = ["name", "shop", "method", "merchant_id", "answers", "is_enabled", "position"]
    list_select_related = ["shop"]
    list_filter = ["is_enabled", "shop"]
    list_editable = ["is_enabled", "position"]
    actions_detail = ["health"]

    @admin.display(description=_("answers"))
    def answers(self, channel: PaymentChannel) -> str:
        if waits := left_alone(channel):
            return gettext("failed again and again: not asked for %(seconds)d s") % {
                "seconds": math.ceil(max(waits.values()))
            }
        return gettext("yes")

    @action(
        description=_("How it does"),
        url_path="health",
        permissions=["view"],
        icon="monitor_heart",
        variant=ActionVariant.PRIMARY,
    )
    def health(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return channel_page(request, self, self.row_or_404(request, object_id))


@admin.register(Payment)
class PaymentAdmin(ShowsAmount, ReadOnlyAdmin):
    shop_path = "shop"
    list_display = ["order", "amount", "status", "created_at", "succeeded_at"]
    list_filter = ["status", "shop", "created_at"]
    list_select_related = ["order"]
    search_fields = ["=order__number"]
    fields = ["shop", "order", "amount", "status", "created_at", "succeeded_at"]
    ordering = ["-pk"]


@admin.register(PaymentAttempt)
class PaymentAttemptAdmin(ShowsAmount, ReadOnlyAdmin):
    shop_path = "payment__shop"
    list_display = ["out_trade_no", "order", "channel", "amount", "status", "started_at", "next_query_at"]
    list_filter = ["status", "channel", "started_at"]
    list_select_related = ["payment__order", "channel"]
    search_fields = ["=out_trade_no", "=payment__order__number"]
    fields = [
        "out_trade_no",
        "payment",
        "channel",
        "amount",
        "status",
        "started_at",
        "queries",
        "next_query_at",
        "last_error",
    ]
    ordering = ["-pk"]

    @admin.display(description=_("order"))
    def order(self, attempt: PaymentAttempt) -> str:
        return attempt.payment.order.number


class WaitingMoneyFilter(AttentionFilter):
    waiting = WAITS_FOR_PERSON


@admin.register(Receipt)
class ReceiptAdmin(ShowsAmount, DealtWithAdmin):
    shop_path = "shop"
    list_display = ["provider_txn_id", "channel", "amount", "status", "received_at", "source", "why"]
    list_filter = [WaitingMoneyFilter, "status", "channel", "received_at"]
    list_select_related = ["channel"]
    search_fields = ["=provider_txn_id", "=attempt__out_trade_no", "=attempt__payment__order__number"]
    fields = [
        "shop",
        "channel",
        "provider_txn_id",
        "attempt",
        "amount",
        "source",
        "received_at",
        "status",
        "why",
        ("resolved_at", "resolved_by"),
    ]

    @admin.display(description=_("needs attention because"), ordering="attention")
    def why(self, receipt: Receipt) -> str:
        return why_it_waits(receipt)

    def waits(self, row: Receipt) -> bool:
        return bool(row.attention) and row.resolved_at is None

    def resolve(self, request: HttpRequest, row: Receipt, *, why: str, what: str) -> None:
        resolve_receipt(row, why=why, what=what, actor=request.user.get_username(), now=db_now())
        self.log_change(request, row, f"{in_words(DEALT_WITH)}: {what}")  # money may have no order to tell it


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    shop_path = "shop"
    list_display = ["received_at", "channel", "method", "outcome", "short_digest"]
    list_filter = ["outcome", "channel", "received_at"]
    list_select_related = ["channel"]
    fields = ["shop", "channel", "received_at", "method", "query", "body", "digest", "outcome"]

    @admin.display(description=_("digest"))
    def short_digest(self, event: WebhookEvent) -> str:
        return event.digest[:12]


@admin.register(RefusedNotice)
class RefusedNoticeAdmin(ReadOnlyAdmin):
    shop_path = "channel__shop"
    list_display = ["at", "channel", "why", "method", "size", "address", "short_digest"]
    list_filter = ["channel", "at"]
    list_select_related = ["channel"]
    fields = ["channel", "at", "why", "method", "size", "address", "digest"]

    @admin.display(description=_("digest"))
    def short_digest(self, notice: RefusedNotice) -> str:
        return notice.digest[:12]
