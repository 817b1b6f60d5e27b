"""An order as a merchant reads it: tables of lines, money and history, in a fixed number of queries."""

from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from cardshop.common.crypto import CannotOpen
from cardshop.common.money import display
from cardshop.common.templatetags.shopfront import localized
from orders.answers import opened_answers
from orders.models import DeliveredKey, Order, OrderEvent, OrderItem, Reservation
from orders.states import OrderStatus
from payments.checkout.reasons import in_words, why_it_waits
from payments.checkout.tables import moment as _moment
from payments.checkout.tables import table as _table
from payments.models import Payment, PaymentAttempt, Receipt, Refund, TopUp, WebhookEvent
from payments.services.attempts import MOST_ATTEMPTS

LISTED = 200
REPEATED = timedelta(days=7)  # the longest that any provider repeats a notice for is three


def sections(order: Order) -> list[dict[str, Any]]:
    """Tables with a title each; those without a row are left out."""
    attempts = list(
        PaymentAttempt.objects.filter(payment__order=order).select_related("channel").order_by("pk")
    )
    items = list(OrderItem.objects.filter(order=order).order_by("pk"))
    tables = [
        _top_up(order),
        _lines(order, items),
        _answers(order, items),
        _holds(order),
        _payment(order),
        _attempts(attempts),
        _receipts(order),
        _refunds(order),
        _notices(order, attempts),
        _delivered(order),
        _history(order),
    ]
    return [table for table in tables if table["table"]["rows"]]


def _top_up(order: Order) -> dict[str, Any]:
    found = TopUp.objects.filter(order=order).select_related("balance") if order.is_top_up else []
    rows = [
        [
            format_html(
                '<a href="{}">{}</a>',
                reverse("admin:payments_balance_change", args=[top_up.balance_id]),
                top_up.balance.holder,
            ),
            display(order.total_minor, order.currency),
            top_up.asked_by,
        ]
        for top_up in found
    ]
    return _table(_("Top-up of an account"), [_("holder"), _("amount"), _("requested by")], rows)


def _lines(order: Order, items: list[OrderItem]) -> dict[str, Any]:
    rows = [
        [
            f"{localized(item, 'product_name')} · {localized(item, 'variant_name')}",
            item.quantity,
            display(item.unit_price_minor, order.currency),
            display(item.unit_price_minor * item.quantity, order.currency),
            item.get_status_display(),
        ]
        for item in items
    ]
    return _table(_("Lines"), [_("what"), _("quantity"), _("unit price"), _("amount"), _("status")], rows)


def _answers(order: Order, items: list[OrderItem]) -> dict[str, Any]:
    rows = []
    for item in items:
        try:
            answers = opened_answers(order, item)
        except CannotOpen:
            rows.append([str(item), "-", _("cannot be opened: the encryption key is missing or wrong")])
        else:
            rows += [[str(item), localized(answer, "name"), answer.value] for answer in answers]
    return _table(_("What the buyer entered"), [_("line"), _("question"), _("answer")], rows)


def _holds(order: Order) -> dict[str, Any]:
    holds = Reservation.objects.filter(item__order=order).select_related("item", "stock").order_by("pk")
    rows = [[str(hold.item), hold.stock.pool, hold.quantity, hold.get_status_display()] for hold in holds]
    return _table(_("Holds"), [_("line"), _("pool"), _("quantity"), _("status")], rows)


def _payment(order: Order) -> dict[str, Any]:
    rows = [
        [
            display(payment.amount_minor, payment.currency),
            payment.get_status_display(),
            _moment(payment.created_at),
            _moment(payment.succeeded_at),
        ]
        for payment in Payment.objects.filter(order=order)
    ]
    return _table(_("Payment"), [_("amount"), _("status"), _("created at"), _("received at")], rows)


def _attempts(attempts: list[PaymentAttempt]) -> dict[str, Any]:
    rows = [
        [
            attempt.out_trade_no,
            str(attempt.channel),
            attempt.get_status_display(),
            _moment(attempt.started_at),
            attempt.queries,
            _moment(attempt.next_query_at),
            attempt.last_error or "-",
        ]
        for attempt in attempts[-LISTED:]
    ]
    headers = [
        _("our number"),
        _("channel"),
        _("status"),
        _("started at"),
        _("queries"),
        _("ask next at"),
        _("last error"),
    ]
    return _table(_("Attempts to pay"), headers, rows)


def _receipts(order: Order) -> dict[str, Any]:
    receipts = Receipt.objects.filter(attempt__payment__order=order).select_related("channel").order_by("pk")
    rows = [
        [
            receipt.provider_txn_id,
            str(receipt.channel),
            display(receipt.amount_minor, receipt.currency),
            receipt.get_status_display(),
            receipt.get_source_display(),
            _moment(receipt.received_at),
            why_it_waits(receipt),
        ]
        for receipt in receipts
    ]
    headers = [
        _("provider's number"),
        _("channel"),
        _("amount"),
        _("status"),
        _("learnt from"),
        _("recorded at"),
        _("needs attention because"),
    ]
    return _table(_("Money that came"), headers, rows)


def _refunds(order: Order) -> dict[str, Any]:
    rows = [
        [
            refund.out_refund_no,
            display(refund.amount_minor, refund.currency),
            str(refund.item or "-"),
            refund.get_status_display(),
            in_words(refund.reason),
            refund.requested_by,
            _moment(refund.requested_at),
            in_words(refund.attention) or refund.last_error or "-",
        ]
        for refund in Refund.objects.filter(payment__order=order).select_related("item").order_by("pk")
    ]
    headers = [
        _("our number"),
        _("amount"),
        _("line"),
        _("status"),
        _("reason"),
        _("requested by"),
        _("requested at"),
        _("needs attention because"),
    ]
    return _table(_("Refunds"), headers, rows)


def _notices(order: Order, attempts: list[PaymentAttempt]) -> dict[str, Any]:
    """Notices name our number somewhere in their text; nothing else ties them to an order. They are looked
    for by the last numbers only, and as long as providers repeat them: each is a search through the text of
    every notice of that time.
    """
    attempts = attempts[-MOST_ATTEMPTS:]
    headers = [_("received at"), _("channel"), _("outcome")]
    if not attempts:
        return _table(_("Providers' notices"), headers, [])
    named = reduce(
        or_,
        (
            Q(query__contains=attempt.out_trade_no) | Q(body__contains=attempt.out_trade_no)
            for attempt in attempts
        ),
    )
    events = WebhookEvent.objects.filter(
        named,
        channel__in={attempt.channel_id for attempt in attempts},
        received_at__gte=order.placed_at,
        received_at__lt=attempts[-1].started_at + REPEATED,
    ).select_related("channel")
    rows = [
        [_moment(event.received_at), str(event.channel), event.get_outcome_display()]
        for event in events.order_by("pk")[:LISTED]
    ]
    return _table(_("Providers' notices"), headers, rows)


def _delivered(order: Order) -> dict[str, Any]:
    """Which keys, never what they say."""
    keys = DeliveredKey.objects.filter(item__order=order).select_related("item", "card_key")
    rows = [
        [
            str(delivered.item),
            delivered.slot + 1,
            str(delivered.card_key),
            _moment(delivered.delivered_at),
            _("replaced") if delivered.replaced_by_id else "-",
        ]
        for delivered in keys.defer("card_key__sealed", "card_key__fingerprint").order_by("item", "slot")[
            :LISTED
        ]
    ]
    return _table(_("Keys handed over"), [_("line"), _("no."), _("key"), _("at"), _("replaced")], rows)


def _history(order: Order) -> dict[str, Any]:
    labels = dict(OrderStatus.choices)
    rows = [
        [
            _moment(event.at),
            _step(labels, event),
            in_words(event.reason),
            in_words(event.actor),
        ]
        for event in OrderEvent.objects.filter(order=order).order_by("pk")[:LISTED]
    ]
    return _table(_("History"), [_("at"), _("step"), _("reason"), _("who")], rows)


def _step(labels: dict[str, Any], event: OrderEvent) -> str:
    if event.before == event.after:
        return "-"
    before, after = labels.get(event.before, event.before), labels.get(event.after, event.after)
    return f"{before} → {after}" if before else str(after)
