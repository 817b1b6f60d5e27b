"""Placing an order: hold the stock, freeze the price, start the clock."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from cardshop.common.ids import keyed_digest
from cardshop.shops.models import Shop
from cardshop.traffic.passes import BuyerPass
from inventory import stock
from inventory.models import Variant
from inventory.selectors import variant_for_sale
from orders.errors import IdempotencyConflict, NotForSale, WrongQuantity
from orders.models import Order, OrderEvent, OrderItem, Reservation
from orders.services.transitions import BUYER
from orders.states import OrderStatus


def place_order(
    *,
    shop: Shop,
    variant_code: str,
    quantity: int,
    contact_email: str,
    buyer: BuyerPass,
    idempotency_key: str,
    language: str,
    now: datetime,
) -> Order:
    """Hold `quantity` of the variant for the buyer and open an order to be paid within the hold.

    The price is frozen here. The same buyer, variant and idempotency key make one order, however
    often and however parallel this is called; another quantity or contact with them raises
    IdempotencyConflict. Raises NotForSale, WrongQuantity or OutOfStock and leaves nothing behind.
    """
    ticket_id = keyed_digest("ticket", str(shop.pk), variant_code, buyer.buyer_id, idempotency_key)
    buyer_key = keyed_digest("buyer", contact_email.lower(), buyer.buyer_id)
    if existing := Order.objects.filter(ticket_id=ticket_id).first():
        return _same_request(existing, quantity, buyer_key)
    variant = _sellable(shop, variant_code, quantity)
    order = Order(
        shop=shop,
        ticket_id=ticket_id,
        buyer_key=buyer_key,
        contact_email=contact_email,
        language=language,
        currency=variant.currency,
        total_minor=variant.price_minor * quantity,
        placed_at=now,
        reserved_until=now + timedelta(seconds=settings.HOLD_SECONDS),
    )
    try:
        return _place(order, variant, quantity, now)
    except IntegrityError:
        # A twin of this request was faster. Whatever else it might be is a bug and goes on up.
        if existing := Order.objects.filter(ticket_id=ticket_id).first():
            return _same_request(existing, quantity, buyer_key)
        raise


@transaction.atomic(durable=True)
def _place(order: Order, variant: Variant, quantity: int, now: datetime) -> Order:
    """The order goes first: its unique ticket stops a twin before the hot Stock row is touched."""
    order.save(force_insert=True)
    item = OrderItem.objects.create(
        order=order,
        variant=variant,
        product_name=variant.product.name,
        product_name_en=variant.product.name_en,
        variant_name=variant.name,
        variant_name_en=variant.name_en,
        unit_price_minor=variant.price_minor,
        quantity=quantity,
    )
    OrderEvent.objects.create(order=order, after=OrderStatus.PENDING, reason="placed", actor=BUYER, at=now)
    stock_id = stock.claim(variant_id=variant.pk, quantity=quantity)
    Reservation.objects.create(item=item, stock_id=stock_id, quantity=quantity)
    return order


def _sellable(shop: Shop, variant_code: str, quantity: int) -> Variant:
    if (variant := variant_for_sale(shop, variant_code)) is None:
        raise NotForSale
    if not variant.min_quantity <= quantity <= variant.max_quantity:
        raise WrongQuantity(
            _("Please choose between %(least)s and %(most)s.")
            % {"least": variant.min_quantity, "most": variant.max_quantity}
        )
    return variant


def _same_request(existing: Order, quantity: int, buyer_key: str) -> Order:
    if existing.items.get().quantity != quantity or existing.buyer_key != buyer_key:
        raise IdempotencyConflict(existing.token)
    return existing
