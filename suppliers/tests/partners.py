"""Two shops: one sells what the other has in stock, and asks it over real HTTP."""

from dataclasses import dataclass
from datetime import timedelta

from cardshop.common.clock import db_now
from cardshop.shops import selectors
from cardshop.shops.models import Shop
from inventory.models import Variant
from orders.models import Order
from orders.selectors import revealed_keys
from payments.ledger.entries import credit
from payments.models import Balance, PaymentChannel
from payments.tests.refunder import refunding_channel
from resellers.models import Reseller
from resellers.tests.calling import make_program, make_reseller
from suppliers import noticing
from suppliers.forwarding import forward_due
from suppliers.models import SuppliedVariant, Supplier, SupplierOrder
from tests.factories import (
    make_attempt,
    make_by_hand,
    make_order,
    make_shop,
    make_variant,
    paid_evidence,
    settle_evidence,
)

PAID_IN = 100_000
COSTS = 700


@dataclass
class Partners:
    """`goods` are sold here and come from `source`, which the shop there sells to `account`."""

    goods: Variant
    source: Variant
    account: Reseller
    supplier: Supplier

    @property
    def balance(self) -> int:
        return Balance.objects.get(pk=self.account.balance_id).amount_minor

    def sell(self, quantity: int = 1) -> Order:
        """A buyer has paid."""
        order = make_order(self.goods, quantity=quantity)
        attempt = make_attempt(order, _channel(self.goods.shop))
        settle_evidence(attempt.channel, paid_evidence(attempt))
        return order

    @property
    def sold_there(self) -> int:
        return Order.objects.filter(shop=self.source.shop).count()


def _channel(shop: Shop) -> PaymentChannel:
    return PaymentChannel.objects.filter(shop=shop).first() or refunding_channel()


def make_partners(url: str, *, keys: int = 5, **source: object) -> Partners:
    """The shop that sells is the first one; the partner's is found by the host of `url`."""
    here = make_shop("here")
    there = make_shop("there", host="localhost")
    goods = make_by_hand(shop=here, code="goods")
    bought = make_variant(shop=there, code="source", keys=keys, price_minor=COSTS, **source)
    account = make_reseller(shop=there)
    credit(account.balance, amount_minor=PAID_IN, reason="paid in", actor="boss", now=db_now())
    program = make_program(account)
    supplier = Supplier(shop=here, name="Partner", base_url=url, key_name=program.key.name)
    supplier.seal_secret(program.secret)
    supplier.save()
    SuppliedVariant.objects.create(variant=goods, supplier=supplier, their_code=bought.code)
    forget_what_is_known()
    return Partners(goods, bought, account, supplier)


def forget_what_is_known() -> None:
    """Of the shops of other tests, within the second that it is kept."""
    selectors._known.clear()
    noticing._known = None


def forward(**later: object) -> int:
    return forward_due(clock=lambda: db_now() + timedelta(**later))


def keys_of(order: Order) -> list[str]:
    return [key for _item, keys in revealed_keys(order) for key in keys]


def supply_of(order: Order) -> SupplierOrder:
    return SupplierOrder.objects.get(item__order=order)
