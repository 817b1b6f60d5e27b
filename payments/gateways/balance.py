"""Paying from a prepaid balance: a provider like any other, but that its ledger is ours (`payments.ledger`).

It is the one driver that touches the database, each call in a short transaction of its own that has committed
when the call returns. The debit happens in `create`, so there is nothing to close: an attempt is paid or it
never was. No notices are sent; the query finds the money.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from payments.errors import BalanceRefused
from payments.gateways.base import (
    Ability,
    BadNotice,
    Evidence,
    GatewayRefused,
    Lacking,
    Notice,
    PayPage,
    PayRequest,
    RawCall,
    RefundRequest,
    RefundState,
    Trade,
)
from payments.gateways.drivers import Account, Driver
from payments.ledger.entries import debit, give_back, payment_called
from payments.models import BalanceEntry
from payments.states import EntryKind

LONGEST_REASON = 120  # characters


@dataclass(frozen=True, kw_only=True)
class BalanceGateway(Lacking):
    """A transaction's number is "B" and the number of its entry. The payer is known by the balance's code."""

    notice_is_proof = False
    acknowledgement = ""
    can = frozenset({Ability.REFUND, Ability.REPEAT_REFUND, Ability.ASK_REFUND, Ability.LIST})

    shop_id: int
    clock: Callable[[], datetime] = field(repr=False)

    def create(self, wanted: PayRequest) -> PayPage:
        """The money is taken when this returns; the page is only the way back."""
        now = self.clock()
        is_paid = payment_called(wanted.out_trade_no, shop_id=self.shop_id) is not None
        if now >= wanted.expires_at and not is_paid:
            raise GatewayRefused("the hold has ended")
        try:
            debit(
                shop_id=self.shop_id,
                code=wanted.payer,
                amount_minor=wanted.amount_minor,
                currency=wanted.currency,
                reference=wanted.out_trade_no,
                reason=wanted.subject[:LONGEST_REASON],
                now=now,
            )
        except BalanceRefused as no:
            raise GatewayRefused(no.code) from no
        return PayPage(url=wanted.return_url)

    def query(self, trade: Trade) -> Evidence | None:
        entry = self._payment(trade)
        return _evidence(entry) if entry else None

    def refund(self, wanted: RefundRequest) -> RefundState:
        if (payment := self._payment(wanted.trade)) is None:
            raise GatewayRefused("no such payment")
        try:
            give_back(
                payment,
                amount_minor=wanted.amount_minor,
                reference=wanted.out_refund_no,
                reason=wanted.reason[:LONGEST_REASON],
                now=self.clock(),
            )
        except BalanceRefused as no:
            raise GatewayRefused("another refund has this number") from no
        return RefundState.DONE

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        made = BalanceEntry.objects.filter(kind=EntryKind.REFUND, reference=wanted.out_refund_no)
        return RefundState.DONE if made.exists() else None

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        raise BadNotice("no notices are sent for balances")

    def trades(self) -> Iterator[Evidence]:
        payments = BalanceEntry.objects.filter(kind=EntryKind.PAYMENT, balance__shop=self.shop_id)
        return map(_evidence, payments.select_related("balance").order_by("-pk").iterator())

    def _payment(self, trade: Trade) -> BalanceEntry | None:
        payment = payment_called(trade.out_trade_no, shop_id=self.shop_id)
        is_meant = payment and trade.provider_txn_id in ("", transaction_number(payment))
        return payment if is_meant else None


def _evidence(entry: BalanceEntry) -> Evidence:
    return Evidence(
        out_trade_no=entry.reference,
        provider_txn_id=transaction_number(entry),
        paid=True,
        amount_minor=-entry.amount_minor,
        currency=entry.balance.currency,
    )


def transaction_number(entry: BalanceEntry) -> str:
    """What a provider would call it."""
    return f"B{entry.pk}"


def _make(account: Account) -> BalanceGateway:
    return BalanceGateway(shop_id=account.shop_id, clock=account.clock)


DRIVER = Driver(
    name="balance",
    label=_("Prepaid balance"),
    methods=("balance",),
    settings=(),
    make=_make,
    has_address=False,
)
