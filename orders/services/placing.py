"""Placing an order: hold the stock, freeze the price, start the clock."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from cardshop.common.locks import lock_rows
from cardshop.shops.models import Shop
from cardshop.traffic.addresses import address_key_of
from cardshop.traffic.passes import BuyerPass
from inventory import stock
from inventory.errors import OutOfStock
from inventory.models import Selling, Stock, Variant
from inventory.selectors import buyer_fields, variant_for_sale
from inventory.windows import window_of
from orders.answers import Answer, checked_answers, same_answers, seal_answers
from orders.clicks import identify
from orders.errors import (
    IdempotencyConflict,
    NotForSale,
    NotOnSaleAnyMore,
    NotOnSaleYet,
    SalePaused,
    SoldThroughLine,
    WrongQuantity,
)
from orders.metrics import orders
from orders.models import Order, OrderEvent, OrderItem, Reservation, Sale, Ticket
from orders.services.limits import require_allowed
from orders.services.transitions import BUYER
from orders.states import OrderStatus, TicketStatus


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
    address: str = "",
    answers: Mapping[str, str] = MappingProxyType({}),
) -> Order:
    """Hold `quantity` of the variant for the buyer and open an order to be paid within the hold.

    The price is frozen here. The same buyer, variant and idempotency key make one order, however
    often and however parallel this is called; another quantity, contact or answer with them raises
    IdempotencyConflict. `address` is the network address it comes from, `answers` what the variant asks
    its buyers, by the id of the question. Raises BadPass, NotForSale, WrongQuantity, InvalidAnswers,
    SoldThroughLine, NotOnSaleYet, NotOnSaleAnyMore, SalePaused, LimitReached, TooManyUnpaid or OutOfStock
    and leaves nothing behind.
    """
    ticket_id, buyer_key = identify(
        shop.pk, variant_code, buyer, idempotency_key=idempotency_key, contact_email=contact_email
    )
    if existing := Order.objects.filter(ticket_id=ticket_id).first():
        return _same_request(existing, quantity, buyer_key, answers)
    variant = sellable(shop, variant_code, quantity)
    if variant.selling == Selling.QUEUED:
        raise SoldThroughLine
    require_on_sale(variant, now)
    given = checked_answers(buyer_fields([variant])[variant.pk], answers)
    order = Order(
        shop=shop,
        ticket_id=ticket_id,
        buyer_key=buyer_key,
        address_key=address_key_of(address),
        contact_email=contact_email,
        language=language,
        currency=variant.currency,
        total_minor=variant.price_minor * quantity,
        placed_at=now,
        reserved_until=now + timedelta(seconds=settings.HOLD_SECONDS),
    )
    try:
        placed = _place(order, variant, quantity, given, now)
    except IntegrityError:
        # A twin of this request was faster. Whatever else it might be is a bug and goes on up.
        if existing := Order.objects.filter(ticket_id=ticket_id).first():
            return _same_request(existing, quantity, buyer_key, answers)
        raise
    orders.labels(OrderStatus.PENDING).inc()
    return placed


@transaction.atomic(durable=True)
def _place(order: Order, variant: Variant, quantity: int, answers: Sequence[Answer], now: datetime) -> Order:
    """The order goes first: its unique ticket stops a twin before the hot Stock row is touched.

    Not where there is a line: an allocator that settles the same click holds the Stock, and each would
    wait for the other.
    """
    if sale := Sale.objects.filter(variant=variant).first():
        _let_the_line_go_first(sale)
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
        fulfil_within_hours=variant.promised_hours,
        answers=seal_answers(answers, ticket_id=order.ticket_id),
    )
    OrderEvent.objects.create(order=order, after=OrderStatus.PENDING, reason="placed", actor=BUYER, at=now)
    stock_id = stock.claim(variant_id=variant.pk, quantity=quantity)
    require_allowed(variant, buyer_key=order.buyer_key, address_key=order.address_key, quantity=quantity)
    Reservation.objects.create(item=item, stock_id=stock_id, quantity=quantity)
    return order


def _let_the_line_go_first(sale: Sale) -> None:
    lock_rows(Stock.objects.filter(variant=sale.variant_id, pool=Stock.PUBLIC))
    if Sale.objects.filter(pk=sale.pk, is_paused=True).exists():
        raise SalePaused
    if Ticket.objects.filter(variant=sale.variant_id, status=TicketStatus.WAITING).exists():
        raise OutOfStock


def sellable(shop: Shop, variant_code: str, quantity: int) -> Variant:
    """The variant, for a buyer who may have `quantity` of it. Raises NotForSale, WrongQuantity."""
    if (variant := variant_for_sale(shop, variant_code)) is None:
        raise NotForSale
    if not variant.min_quantity <= quantity <= variant.max_quantity:
        raise WrongQuantity(
            _("Please choose between %(least)s and %(most)s.")
            % {"least": variant.min_quantity, "most": variant.max_quantity}
        )
    return variant


def require_on_sale(variant: Variant, now: datetime) -> None:
    """Of what is sold directly. Raises NotOnSaleYet, NotOnSaleAnyMore."""
    if window := window_of(variant, now):
        if window.opens_at and window.is_to_come:
            raise NotOnSaleYet(window.opens_at, now)
        if window.closes_at and window.is_over:
            raise NotOnSaleAnyMore(window.closes_at)


def _same_request(existing: Order, quantity: int, buyer_key: str, answers: Mapping[str, str]) -> Order:
    item = existing.items.get()
    is_same = item.quantity == quantity and existing.buyer_key == buyer_key
    if not is_same or not same_answers(existing, item, answers):
        raise IdempotencyConflict(existing.token)
    return existing
