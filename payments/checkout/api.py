"""The order through the API: state, pay, cancel, correct the contact, collect the keys."""

from django.utils.timezone import localtime
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import ErrorShape, StrictSerializer
from cardshop.common.clock import db_now
from cardshop.common.templatetags.shopfront import localized
from cardshop.shops.middleware import shop_of
from orders.api import BuyerApiView
from orders.inputs import ContactInput
from orders.models import Order
from orders.selectors import order_by_token
from orders.services.contact import correct_contact
from orders.services.revealing import keys_for_buyer
from payments.checkout.cancelling import cancel_order
from payments.checkout.inputs import PayInput
from payments.checkout.pages import OrderState, order_state
from payments.checkout.paying import pay, remember_return


class ItemOut(serializers.Serializer[object]):
    product = serializers.CharField()
    variant = serializers.CharField()
    quantity = serializers.IntegerField()
    unit_price_minor = serializers.IntegerField()
    status = serializers.CharField(help_text="open, delivered, refunding or refunded")
    fulfil_within_hours = serializers.IntegerField(
        allow_null=True, help_text="A person fills it in within so many hours of the payment; null: at once."
    )


class WayOut(serializers.Serializer[object]):
    method = serializers.CharField()
    name = serializers.CharField(help_text="For people.")


class OrderOut(serializers.Serializer[object]):
    number = serializers.CharField()
    status = serializers.CharField()
    status_text = serializers.CharField(help_text="For people.")
    total_minor = serializers.IntegerField()
    currency = serializers.CharField()
    contact_email = serializers.CharField()
    placed_at = serializers.DateTimeField()
    reserved_until = serializers.DateTimeField()
    seconds_left = serializers.IntegerField()
    can_pay = serializers.BooleanField()
    can_cancel = serializers.BooleanField()
    is_paid = serializers.BooleanField()
    has_keys = serializers.BooleanField()
    money_received = serializers.BooleanField()
    is_refunding = serializers.BooleanField(help_text="Money is on its way back to the buyer.")
    is_refunded = serializers.BooleanField(help_text="The order has ended, and money of it went back.")
    delivered_at = serializers.DateTimeField(
        allow_null=True, help_text="When the buyer last got something: a part, the whole, or a replacement."
    )
    next_look = serializers.IntegerField(
        allow_null=True, help_text="Seconds until asking again can tell something new; null: never."
    )
    items = ItemOut(many=True)
    ways = WayOut(many=True, help_text="The methods by which it can be paid now.")


class NoInput(StrictSerializer):
    pass


KeysOut = inline_serializer(
    "Keys",
    {
        "lines": inline_serializer(
            "KeysLine",
            {
                "product": serializers.CharField(),
                "variant": serializers.CharField(),
                "keys": serializers.ListField(child=serializers.CharField()),
                "closed": serializers.IntegerField(
                    help_text="Keys that cannot be shown at the moment. The shop has been told."
                ),
            },
            many=True,
        )
    },
)
AttemptOut = inline_serializer(
    "Attempt",
    {
        "pay_url": serializers.CharField(help_text="The provider's page; may be empty."),
        "qr": serializers.CharField(help_text="The text of a QR code to scan instead; may be empty."),
        "app_url": serializers.CharField(help_text="Opens the payment app on a phone; may be empty."),
        "out_trade_no": serializers.CharField(),
    },
)


class OrderApi(BuyerApiView):
    @extend_schema(responses={200: OrderOut, 404: ErrorShape})
    def get(self, request: Request, token: str) -> Response:
        """The order's state. Ask again after `next_look` seconds."""
        return _state(request, token)


class OrderPaymentsApi(BuyerApiView):
    @extend_schema(
        request=PayInput,
        responses={
            201: AttemptOut,
            400: ErrorShape,
            404: ErrorShape,
            409: ErrorShape,
            429: ErrorShape,
            503: ErrorShape,
        },
    )
    def post(self, request: Request, token: str) -> Response:
        """Start to pay: send the buyer to `pay_url`, or where there is none, show `qr` or `app_url`.

        With the `code` of a prepaid balance it is paid when this answers. Asking again continues the same
        attempt.
        """
        order = _order(request, token)
        wanted = PayInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        chosen = wanted.validated_data
        attempt = pay(request._request, order, chosen["method"], code=chosen["code"])
        said = {name: getattr(attempt, name) for name in ("pay_url", "qr", "app_url", "out_trade_no")}
        response = Response(said, 201)
        remember_return(response, order, attempt)
        return response


class OrderCancelApi(BuyerApiView):
    @extend_schema(request=NoInput, responses={200: OrderOut, 404: ErrorShape, 409: ErrorShape})
    def post(self, request: Request, token: str) -> Response:
        """Cancel while unpaid. `closing` means that the provider is still being asked."""
        order = _order(request, token)
        NoInput(data=request.data).is_valid(raise_exception=True)
        cancel_order(order, now=db_now())
        return _state(request, token)


class OrderContactApi(BuyerApiView):
    @extend_schema(request=ContactInput, responses={200: OrderOut, 400: ErrorShape, 404: ErrorShape})
    def post(self, request: Request, token: str) -> Response:
        """Correct the contact e-mail."""
        order = _order(request, token)
        wanted = ContactInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        correct_contact(order, now=db_now(), **wanted.validated_data)
        return _state(request, token)


class OrderKeysApi(BuyerApiView):
    @extend_schema(responses={200: KeysOut, 404: ErrorShape})
    def get(self, request: Request, token: str) -> Response:
        """The keys in clear; empty lists until they are delivered."""
        return Response(described_keys(_order(request, token)))


def _order(request: Request, token: str) -> Order:
    return order_by_token(shop_of(request._request), token)


def _state(request: Request, token: str) -> Response:
    return Response(described(order_state(shop_of(request._request), token, db_now())))


def described(state: OrderState) -> dict[str, object]:
    """As OrderOut, which would only copy: buyers ask every second."""
    order = state.order
    return {
        "number": order.number,
        "status": order.status,
        "status_text": order.get_status_display(),
        "total_minor": order.total_minor,
        "currency": order.currency,
        "contact_email": order.contact_email,
        "placed_at": localtime(order.placed_at),
        "reserved_until": localtime(order.reserved_until),
        "seconds_left": state.seconds_left,
        "can_pay": state.can_pay,
        "can_cancel": state.can_cancel,
        "is_paid": state.is_paid,
        "has_keys": state.has_keys,
        "money_received": state.money_received,
        "is_refunding": state.is_refunding,
        "is_refunded": state.is_refunded,
        "delivered_at": state.handed_over_at,
        "next_look": state.next_look,
        "items": [
            {
                "product": localized(item, "product_name"),
                "variant": localized(item, "variant_name"),
                "quantity": item.quantity,
                "unit_price_minor": item.unit_price_minor,
                "status": item.status,
                "fulfil_within_hours": item.fulfil_within_hours,
            }
            for item in state.items
        ],
        "ways": [way._asdict() for way in state.ways],
    }


def described_keys(order: Order) -> dict[str, object]:
    """As KeysOut, in clear."""
    return {
        "lines": [
            {
                "product": localized(item, "product_name"),
                "variant": localized(item, "variant_name"),
                "keys": keys,
                "closed": keys.closed,
            }
            for item, keys in keys_for_buyer(order, now=db_now())
        ]
    }
