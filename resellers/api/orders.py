"""Orders: asked for once under their key, answered with what was bought."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer, WholeNumberField
from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.common.problems import CONTENT_TYPE
from orders.models import OrderItem
from orders.states import ItemStatus, OrderStatus
from resellers.api.idempotency import HEADER, KEY, digest_of_said, key_in
from resellers.api.lines import LinesInput
from resellers.api.once import ONCE as WRITTEN_ONCE
from resellers.api.once import once
from resellers.api.pages import PageInput, on_page, page_of
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import ResellerApiView, key_of, reseller_of
from resellers.encryption import Jwk, encrypted
from resellers.models import AskedStatus, ResellerOrder, Scope
from resellers.orders.asking import Asked, Outcome, accept, cancel, order_later, order_now
from resellers.orders.told import order_called, orders_of, told, told_all, told_with_keys

# More than that is filled by a worker, unless it is asked for at once in smaller orders.
MOST_AT_ONCE = 100
MOST_IN_BATCH = 100  # orders
ASYNC = "respond-async"  # RFC 7240
_OF_ORDERS = (OrderStatus.PAID, OrderStatus.DELIVERED, OrderStatus.COMPLETED, OrderStatus.REFUNDED)
_OF_WHAT_WAS_ASKED = (AskedStatus.ACCEPTED, AskedStatus.REFUSED, AskedStatus.CANCELLED)
STATUSES = sorted(status.value for status in (*_OF_ORDERS, *_OF_WHAT_WAS_ASKED))


class ResellerOrderInput(LinesInput):
    reference = serializers.RegexField(
        r"^[^\x00-\x1f\x7f]*\Z",
        max_length=64,
        required=False,
        allow_blank=True,
        default="",
        help_text="Your own number for it.",
    )
    most_minor = WholeNumberField(
        min_value=1,
        max_value=10**15,
        required=False,
        allow_null=True,
        default=None,
        help_text="What all of it may cost at most: refused, should prices have risen.",
    )


class OrderOfBatchInput(ResellerOrderInput):
    idempotency_key = serializers.RegexField(rf"^{KEY}\Z")


class BatchInput(StrictSerializer):
    orders = OrderOfBatchInput(many=True, min_length=1, max_length=MOST_IN_BATCH)  # type: ignore[call-arg]

    def validate_orders(self, orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({order["idempotency_key"] for order in orders}) < len(orders):
            raise serializers.ValidationError(_("Name each idempotency_key once."))
        return orders


class LineOut(serializers.Serializer[OrderItem]):
    variant = serializers.CharField(source="variant.code")
    product_name = serializers.CharField()
    variant_name = serializers.CharField()
    quantity = serializers.IntegerField()
    unit_price_minor = serializers.IntegerField()
    status = serializers.ChoiceField(ItemStatus.values)


class LineWithKeysOut(LineOut):
    keys = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Empty before delivery. Not there where the account has an encryption key.",
    )
    encrypted_keys = serializers.CharField(
        required=False,
        help_text="Instead of `keys`, for an account with an encryption key: their list as a compact JWE.",
    )
    unreadable = serializers.IntegerField(
        help_text="Keys that could not be opened just now: the shop sees to them."
    )


class ResellerOrderOut(serializers.Serializer[ResellerOrder]):
    number = serializers.CharField()
    status = serializers.ChoiceField(
        STATUSES, help_text="accepted: it will be filled; the rest is final or paid."
    )
    reference = serializers.CharField()
    currency = serializers.CharField()
    total_minor = serializers.IntegerField(allow_null=True, help_text="null: not filled yet, or never.")
    asked_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    problem = serializers.DictField(allow_null=True, help_text="Why it was refused: `code`, and more.")
    lines = LineOut(many=True, help_text="A variant may stand in two of them.")


class ResellerOrderWithKeysOut(ResellerOrderOut):
    lines = LineWithKeysOut(many=True)


class OrderOfBatchOut(serializers.Serializer[Any]):
    idempotency_key = serializers.CharField()
    order = ResellerOrderOut(allow_null=True)
    problem = serializers.DictField(allow_null=True, help_text="Why not: `code` is idempotency_key_reused.")


class BatchOut(serializers.Serializer[Any]):
    orders = OrderOfBatchOut(many=True, help_text="As they were sent.")


class OrdersOut(serializers.Serializer[Any]):
    orders = ResellerOrderOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


class OrdersPageInput(PageInput):
    reference = serializers.CharField(max_length=64, required=False, default="", help_text="Yours, exactly.")


ONCE = OpenApiParameter(
    HEADER,
    {"type": "string", "pattern": f"^{KEY}$"},
    OpenApiParameter.HEADER,
    required=True,
    description="8 to 64 visible characters of your own. The same key with the same body is the same order, "
    "however often it is sent; it is kept for ever.",
)
PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description=f"`{ASYNC}`: accept it now, fill it with the next batch.",
)
EXAMPLE = OpenApiExample(
    "Two variants",
    value={
        "lines": [{"variant": "steam-50", "quantity": 3}, {"variant": "steam-100", "quantity": 1}],
        "reference": "2026-000123",
        "most_minor": 25000,
    },
    request_only=True,
)


class ResellerOrdersApi(ResellerApiView):
    scope = Scope.ORDERS
    scope_to_write = Scope.BUY

    @extend_schema(
        operation_id="orders_list",
        parameters=[OrdersPageInput],
        responses={200: OrdersOut, (400, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """Every order you have asked for, the oldest first."""
        page, asked = page_of(request, OrdersPageInput)
        mine = orders_of(reseller_of(request))
        if reference := asked["reference"]:
            mine = mine.filter(reference=reference)
        found, after = on_page(mine, page)
        return Response({"orders": told_all(found), "next": after})

    @extend_schema(
        operation_id="orders_create",
        request=ResellerOrderInput,
        parameters=[ONCE, PREFER],
        examples=[EXAMPLE],
        responses={
            201: ResellerOrderWithKeysOut,
            202: ResellerOrderOut,
            **{(status, CONTENT_TYPE): Problem for status in (400, 404, 409, 415, 422)},
            **REFUSALS,
        },
    )
    def post(self, request: Request) -> Response:
        """Buy from the balance: paid and delivered in one step, with the keys in the answer if your key may
        read them. Or accepted with a 202, where it is large or you prefer it so.
        """
        key = key_in(request)
        wanted = ResellerOrderInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked, body = _asked(request, key, wanted.validated_data), wanted.validated_data
        later = ASYNC in request.headers.get("Prefer", "") or _units(body) > MOST_AT_ONCE
        one = (order_later if later else order_now)(asked, now=db_now())
        if one.status != AskedStatus.PLACED:
            return Response(told(one, []), 202)
        may_read = Scope.KEYS in key_of(request).scopes
        return Response(_with_keys(one) if may_read else told_all([one])[0], 201)


class BatchApi(ResellerApiView):
    scope_to_write = Scope.BUY

    @extend_schema(
        operation_id="orders_batch",
        request=BatchInput,
        responses={202: BatchOut, **{(status, CONTENT_TYPE): Problem for status in (400, 415)}, **REFUSALS},
    )
    def post(self, request: Request) -> Response:
        """Many orders at once, each under its own `idempotency_key`, as if sent with `respond-async`:
        accepted together, and filled or refused each by itself.
        """
        wanted = BatchInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        orders = wanted.validated_data["orders"]
        asked = [_asked(request, each["idempotency_key"], each) for each in orders]
        outcomes = accept(asked, now=db_now())
        accepted = [outcome for outcome in outcomes if isinstance(outcome, ResellerOrder)]
        by_pk = dict(zip((one.pk for one in accepted), told_all(accepted), strict=True))
        answers = [
            {"idempotency_key": one.key, **_outcome(outcome, by_pk)}
            for one, outcome in zip(asked, outcomes, strict=True)
        ]
        return Response({"orders": answers}, 202)


class ResellerOrderApi(ResellerApiView):
    scope = Scope.ORDERS

    @extend_schema(
        operation_id="orders_retrieve",
        responses={200: ResellerOrderOut, (404, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request, number: str) -> Response:
        """How it stands, without its keys."""
        return Response(told_all([order_called(reseller_of(request), number)])[0])


class OrderKeysApi(ResellerApiView):
    scope = Scope.KEYS

    @extend_schema(
        operation_id="orders_keys",
        responses={200: ResellerOrderWithKeysOut, (404, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request, number: str) -> Response:
        """With the keys that were delivered; a replaced key has given way to the new one."""
        return Response(_with_keys(order_called(reseller_of(request), number)))


class CancelApi(ResellerApiView):
    scope_to_write = Scope.BUY

    @extend_schema(
        operation_id="orders_cancel",
        request=None,
        parameters=[WRITTEN_ONCE],
        responses={
            200: ResellerOrderOut,
            **{(status, CONTENT_TYPE): Problem for status in (400, 404, 409, 422)},
            **REFUSALS,
        },
    )
    def post(self, request: Request, number: str) -> Response:
        """Of one that was accepted and not filled yet."""
        one = order_called(reseller_of(request), number)
        return once(request, {}, lambda: Response(told(cancel(one, now=db_now()), [])))


def _asked(request: Request, key: str, body: dict[str, Any]) -> Asked:
    terms = {name: body[name] for name in ("lines", "reference", "most_minor")}
    return Asked(
        reseller=reseller_of(request),
        key=key,
        digest=digest_of_said(terms),
        lines=[dict(line) for line in body["lines"]],
        reference=body["reference"],
        most_minor=body["most_minor"],
    )


@sensitive_variables()
def _with_keys(one: ResellerOrder) -> dict[str, Any]:
    """In clear, unless the reseller has said to which key they are encrypted."""
    said = told_with_keys(one)
    if (jwk := one.reseller.encrypted_to) is None:
        return said
    return {**said, "lines": [_encrypted(line, jwk) for line in said["lines"]]}


@sensitive_variables()
def _encrypted(line: Mapping[str, Any], jwk: Jwk) -> dict[str, Any]:
    without = {name: value for name, value in line.items() if name != "keys"}
    return {**without, "encrypted_keys": encrypted(line["keys"], jwk)}


def _outcome(outcome: Outcome, by_pk: Mapping[int, dict[str, object]]) -> dict[str, object]:
    """Of one order of a batch. Raises what is not the sender's mistake."""
    if isinstance(outcome, DomainError):
        return {"order": None, "problem": {"code": outcome.code}}
    if isinstance(outcome, Exception):
        raise outcome
    return {"order": by_pk[outcome.pk], "problem": None}


def _units(body: dict[str, Any]) -> int:
    return sum(line["quantity"] for line in body["lines"])
