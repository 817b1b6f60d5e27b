"""What was asked for becomes orders: looked at one by one, written together.

All of it happens under the locks of the accounts and the Stocks, in one transaction, for one order as for two
hundred. So money, stock and keys agree whoever else buys, and a batch costs hardly more than a single one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from cardshop.common.errors import DomainError
from cardshop.common.locks import lock_rows
from inventory.errors import OutOfStock
from inventory.models import Selling, Stock, Variant
from inventory.selectors import buyer_fields
from orders.errors import NotForSale, SalePaused, SoldThroughLine
from orders.models import Order
from orders.services.placing import require_on_sale
from orders.services.selling_at_once import Line, sell_at_once
from payments.models import Balance
from payments.services.prepaying import account_channel, pay_from_balances
from resellers.errors import BalanceTooLow, NotBuyable, PriceRose, Suspended
from resellers.models import AskedStatus, Reseller, ResellerOrder
from resellers.pricing import Prices, prices_for
from resellers.stock import pools_for

BUYER = "reseller-"  # before the account's number, as the buyer_key of an order
_KEPT = """
    SELECT variant_id, is_paused FROM orders_sale AS sale
    WHERE variant_id = ANY(%(variants)s) AND (is_paused OR EXISTS (
        SELECT FROM orders_ticket WHERE variant_id = sale.variant_id AND status = 'waiting'))"""
_PLACED = """
    UPDATE resellers_resellerorder AS asked
    SET order_id = placed.order_id, status = %(status)s, ended_at = %(now)s
    FROM unnest(%(asked)s::bigint[], %(orders)s::bigint[]) AS placed (id, order_id)
    WHERE asked.id = placed.id"""


@transaction.atomic(savepoint=False)
def fill(asked: Sequence[ResellerOrder], *, now: datetime, deliver: bool = True) -> dict[int, DomainError]:
    """Make orders of what was asked for, all of one shop and locked by the caller; returns why not, by number
    of the row.

    Those that became orders are `placed`; of the others nothing is written. Raises ShortPick with `deliver`
    when keys ran short for a moment: the transaction has to roll back.
    """
    shop = asked[0].reseller.shop
    variants = _variants(shop.pk, {line["variant"] for one in asked for line in one.lines})
    resellers = {one.reseller_id: one.reseller for one in asked}
    ids = [variant.pk for variant in variants.values()]
    prices = {pk: prices_for(reseller, ids) for pk, reseller in resellers.items()}
    balances, stocks = lock_rows(
        Balance.objects.filter(pk__in={one.reseller.balance_id for one in asked}),
        Stock.objects.filter(
            variant__in=ids, pool__in={pool for each in resellers.values() for pool in pools_for(each)}
        ),
    )
    shelf = _Shelf(stocks, _kept_for_lines(variants.values()))
    money = {balance.pk: balance for balance in balances}
    left = {balance.pk: balance.amount_minor for balance in balances}
    sold: list[tuple[ResellerOrder, Order, list[Line]]] = []
    refused: dict[int, DomainError] = {}
    for one in asked:
        try:
            account = money[one.reseller.balance_id]
            if one.reseller.is_suspended or account.is_frozen:
                raise Suspended
            order, lines = _order(one, variants, prices[one.reseller_id], shelf, account, left, now)
        except DomainError as no:
            refused[one.pk] = no
        else:
            sold.append((one, order, lines))
    if sold:
        sell_at_once([(order, lines) for _, order, lines in sold], actor=BUYER, now=now, deliver=deliver)
        pay_from_balances(
            [(order, money[one.reseller.balance_id]) for one, order, _ in sold],
            account_channel(shop.pk),
            now=now,
        )
        _note_placed([(one, order) for one, order, _ in sold], now)
    return refused


class _Shelf:
    """What is free in the locked Stocks, less what this batch has taken. `kept` are variants of which the
    public pool is for buyers in line, each with the refusal of whoever asks for it.
    """

    def __init__(self, stocks: Iterable[Stock], kept: Mapping[int, type[DomainError]]) -> None:
        self._stocks = {(stock.variant_id, stock.pool): stock for stock in stocks}
        self._kept = kept

    def pick(self, variant: Variant, quantity: int, pools: Sequence[str]) -> list[tuple[int, int]]:
        """From which Stocks how many, the first pools first. Nothing is taken yet. Raises OutOfStock …"""
        picked = []
        for pool in pools:
            if pool == Stock.PUBLIC and variant.pk in self._kept:
                raise self._kept[variant.pk]
            stock = self._stocks.get((variant.pk, pool))
            if stock is None:
                continue
            free = quantity if stock.released is None else min(quantity, stock.released - stock.claimed)
            if free > 0:
                picked.append((stock.pk, free))
                quantity -= free
            if not quantity:
                return picked
        raise OutOfStock

    def take(self, picked: Iterable[tuple[int, int]]) -> None:
        by_id = {stock.pk: stock for stock in self._stocks.values()}
        for stock_id, quantity in picked:
            by_id[stock_id].claimed += quantity


def _order(
    one: ResellerOrder,
    variants: Mapping[str, Variant],
    prices: Prices,
    shelf: _Shelf,
    account: Balance,
    left: dict[int, int],
    now: datetime,
) -> tuple[Order, list[Line]]:
    """The order and what it gets, taken from the shelf and from what is left on the account. Raises why not,
    and takes nothing.
    """
    reseller = one.reseller
    wanted = {_buyable(variants, line["variant"], reseller, now): line["quantity"] for line in one.lines}
    unit_price = {variant: prices.unit_price(variant, quantity) for variant, quantity in wanted.items()}
    total = sum(unit_price[variant] * quantity for variant, quantity in wanted.items())
    if one.most_minor is not None and total > one.most_minor:
        raise PriceRose(total_minor=total)
    spendable = left[account.pk] + account.credit_minor
    if total > spendable:
        raise BalanceTooLow(needed_minor=total, balance_minor=left[account.pk], spendable_minor=spendable)
    picked = {
        variant: shelf.pick(variant, quantity, pools_for(reseller)) for variant, quantity in wanted.items()
    }
    left[account.pk] -= total
    lines = []
    for variant, from_stocks in picked.items():
        shelf.take(from_stocks)
        lines += [
            Line(variant=variant, stock_id=stock_id, quantity=quantity, unit_price_minor=unit_price[variant])
            for stock_id, quantity in from_stocks
        ]
    order = Order(
        shop=reseller.shop,
        number=one.number,
        ticket_id=f"{BUYER}{reseller.pk}-{one.pk}",
        buyer_key=f"{BUYER}{reseller.pk}",
        contact_email=reseller.contact_email,
        language=settings.LANGUAGE_CODE,
        currency=account.currency,
        total_minor=total,
        placed_at=now,
        reserved_until=now,
    )
    return order, lines


def _variants(shop_id: int, codes: Iterable[str]) -> dict[str, Variant]:
    """By code, those that are for sale at all."""
    for_sale = Variant.objects.filter(
        shop=shop_id, shop__is_open=True, code__in=set(codes), is_active=True, product__is_listed=True
    )
    return {variant.code: variant for variant in for_sale.select_related("product")}


def _buyable(variants: Mapping[str, Variant], code: str, reseller: Reseller, now: datetime) -> Variant:
    """Raises NotForSale, NotBuyable, NotOnSaleYet, NotOnSaleAnyMore."""
    if (variant := variants.get(code)) is None:
        raise NotForSale
    if variant.currency != reseller.balance.currency:
        raise NotBuyable(variant=code)
    if variant.selling == Selling.DIRECT:
        require_on_sale(variant, now)
    if any(field.is_required for field in buyer_fields([variant])[variant.pk]):
        raise NotBuyable(variant=code)  # nobody is there to answer
    return variant


def _kept_for_lines(variants: Iterable[Variant]) -> dict[int, type[DomainError]]:
    """Variants whose public stock is for whoever stands in line: they have what was set aside for them."""
    ids = [variant.pk for variant in variants]
    with connection.cursor() as cursor:
        cursor.execute(_KEPT, {"variants": ids})
        kept: dict[int, type[DomainError]] = {
            variant_id: SalePaused if is_paused else OutOfStock for variant_id, is_paused in cursor.fetchall()
        }
    kept |= {variant.pk: SoldThroughLine for variant in variants if variant.selling == Selling.QUEUED}
    return kept


def _note_placed(placed: Sequence[tuple[ResellerOrder, Order]], now: datetime) -> None:
    for one, order in placed:
        one.order, one.status, one.ended_at = order, AskedStatus.PLACED, now
    with connection.cursor() as cursor:
        cursor.execute(
            _PLACED,
            {
                "asked": [one.pk for one, _ in placed],
                "orders": [order.pk for _, order in placed],
                "status": AskedStatus.PLACED.value,
                "now": now,
            },
        )
