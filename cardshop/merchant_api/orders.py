"""Orders, as a merchant reads them."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.crypto import CannotOpen
from cardshop.common.errors import NotHere
from cardshop.merchant_api.views import MerchantApiView, refusals
from orders.answers import opened_answers
from orders.models import DeliveredKey, Order, OrderItem
from orders.services.fulfilling import missing_slots
from orders.states import ItemStatus, OrderStatus
from payments.models import Receipt, Refund
from payments.services.refunds import refundable_minor
from payments.states import ReceiptStatus, RefundStatus
from resellers.api.pages import PageInput, on_page, page_of
from resellers.api.views import key_of
from resellers.models import MerchantScope

MOST_BIG = 2**63 - 1


class MerchantLineOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    variant = serializers.CharField(source="variant.code")
    product_name = serializers.CharField()
    variant_name = serializers.CharField()
    quantity = serializers.IntegerField()
    unit_price_minor = serializers.IntegerField()
    status = serializers.ChoiceField(ItemStatus.values)
    due_at = serializers.DateTimeField(allow_null=True, help_text="By when somebody has to fill it in.")


class MerchantOrderOut(serializers.Serializer[Any]):
    number = serializers.CharField()
    status = serializers.ChoiceField(OrderStatus.values)
    contact_email = serializers.CharField()
    language = serializers.CharField()
    currency = serializers.CharField()
    total_minor = serializers.IntegerField()
    placed_at = serializers.DateTimeField()
    reserved_until = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    attention = serializers.CharField(help_text="Why somebody should look at it; empty: nobody need.")
    lines = MerchantLineOut(many=True, source="its_lines")


class AnswerOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    value = serializers.CharField()


class SlotOut(serializers.Serializer[Any]):
    slot = serializers.IntegerField(help_text="Counted from 0.")
    card_key = serializers.IntegerField(source="card_key_id", help_text="Its number; never what it says.")
    delivered_at = serializers.DateTimeField()


class LineInFullOut(MerchantLineOut):
    delivered = SlotOut(many=True)
    missing = serializers.ListField(
        child=serializers.IntegerField(), help_text="Slots that somebody has still to fill in."
    )
    answers = AnswerOut(many=True, allow_null=True, help_text="Of the buyer; null: they do not open.")


class MoneyOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    channel = serializers.CharField(source="channel.slug")
    provider_txn_id = serializers.CharField()
    amount_minor = serializers.IntegerField()
    refundable_minor = serializers.SerializerMethodField()
    status = serializers.ChoiceField(ReceiptStatus.values)
    received_at = serializers.DateTimeField()

    def get_refundable_minor(self, receipt: Receipt) -> int:
        return refundable_minor(receipt)


class RefundOut(serializers.Serializer[Any]):
    number = serializers.CharField(source="out_refund_no")
    order = serializers.CharField(source="payment.order.number", default=None, allow_null=True)
    line = serializers.IntegerField(source="item_id", allow_null=True, help_text="null: money only.")
    amount_minor = serializers.IntegerField()
    currency = serializers.CharField()
    status = serializers.ChoiceField(
        RefundStatus.values, help_text="awaited: somebody else has to approve it first."
    )
    reason = serializers.CharField()
    requested_by = serializers.CharField()
    requested_at = serializers.DateTimeField()
    approved_by = serializers.CharField()
    ended_at = serializers.DateTimeField(allow_null=True)


class MerchantOrderInFullOut(MerchantOrderOut):
    lines = LineInFullOut(many=True)
    money = MoneyOut(many=True, help_text="What came for it.")
    refunds = RefundOut(many=True)


class MerchantOrdersOut(serializers.Serializer[Any]):
    orders = MerchantOrderOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


class OrdersInput(PageInput):
    status = serializers.ChoiceField(OrderStatus.values, required=False, default="")
    number = serializers.CharField(max_length=16, required=False, default="")
    contact_email = serializers.CharField(max_length=254, required=False, default="")
    needs_attention = serializers.BooleanField(required=False, default=False, help_text="Those only.")


class MerchantOrdersApi(MerchantApiView):
    scope = MerchantScope.ORDERS_READ

    @extend_schema(
        operation_id="merchant_orders_list",
        parameters=[OrdersInput],
        responses={200: MerchantOrdersOut, **refusals(400)},
    )
    def get(self, request: Request) -> Response:
        """Orders, the oldest first."""
        page, asked = page_of(request, OrdersInput)
        found, after = on_page(_asked_for(orders_of(request), asked), page)
        return Response({"orders": [_told(order) for order in found], "next": after})


class MerchantOrderApi(MerchantApiView):
    scope = MerchantScope.ORDERS_READ

    @extend_schema(
        operation_id="merchant_orders_retrieve", responses={200: MerchantOrderInFullOut, **refusals(404)}
    )
    def get(self, request: Request, number: str) -> Response:
        """One order with what was delivered, what is missing, what came for it, and what went back."""
        return Response(told_in_full(order_called(request, number)))


def orders_of(request: Request) -> QuerySet[Order]:
    sold = Order.objects.filter(shop=key_of(request).shop, is_top_up=False)
    return sold.prefetch_related("items__variant")


def order_called(request: Request, number: str) -> Order:
    """Raises NotHere."""
    if (order := orders_of(request).filter(number=number).first()) is None:
        raise NotHere
    return order


def _asked_for(orders: QuerySet[Order], asked: Mapping[str, Any]) -> QuerySet[Order]:
    if asked["status"]:
        orders = orders.filter(status=asked["status"])
    if asked["number"]:
        orders = orders.filter(number=asked["number"].upper())
    if asked["contact_email"]:
        orders = orders.filter(contact_email__iexact=asked["contact_email"])
    return orders.exclude(attention="") if asked["needs_attention"] else orders


def _lines(order: Order) -> list[OrderItem]:
    return sorted(order.items.all(), key=lambda item: item.pk)


def _told(order: Order) -> dict[str, Any]:
    order.its_lines = _lines(order)  # type: ignore[attr-defined]
    return dict(MerchantOrderOut(order).data)


def told_in_full(order: Order) -> dict[str, Any]:
    missing, delivered = missing_slots(order), defaultdict(list)
    for slot in DeliveredKey.objects.filter(item__order=order, replaced_by=None).order_by("slot"):
        delivered[slot.item_id].append(slot)
    lines = [
        {
            **MerchantLineOut(item).data,
            "delivered": SlotOut(delivered[item.pk], many=True).data,
            "missing": missing.get(item.pk, []),
            "answers": _answers(order, item),
        }
        for item in _lines(order)
    ]
    money = Receipt.objects.filter(attempt__payment__order=order).select_related("channel").order_by("pk")
    refunds = Refund.objects.filter(payment__order=order).select_related("payment__order").order_by("pk")
    return {
        **_told(order),
        "lines": lines,
        "money": MoneyOut(money, many=True).data,
        "refunds": RefundOut(refunds, many=True).data,
    }


def _answers(order: Order, item: OrderItem) -> Any:
    try:
        return AnswerOut(opened_answers(order, item), many=True).data
    except CannotOpen:
        return None
