"""Money for an account, by whatever ways to pay the shop has: an order without lines, credited once paid.

So routing, polling, late money, statements and refunds do with it what they do with every order. See
docs/adr/0031-top-ups.md.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.common.ids import keyed_digest
from cardshop.common.links import absolute_url
from cardshop.common.locks import lock_rows
from cardshop.common.money import EXPONENTS, MAX_MINOR, display
from cardshop.outbox.services import Failures, promise_all
from orders.errors import IdempotencyConflict, TooManyUnpaid
from orders.metrics import orders as orders_counted
from orders.models import Order, OrderEvent
from orders.services.giving_back import GIVEN_BACK
from orders.services.transitions import SYSTEM, transition, transition_all
from orders.states import UNPAID_LIVE, OrderStatus
from payments.ledger.entries import credit_locked, pay_out_locked, put_back_locked
from payments.models import Balance, Receipt, Refund, TopUp
from payments.states import ReceiptStatus, RefundStatus

# No stock is kept for it, so it may take as long as somebody needs to be found who pays.
PAY_WITHIN = timedelta(hours=2)
MOST_UNPAID = 20  # of one account
CREDITED = "credited to the account"
BUYER_KEY = "top-up-"  # before the balance's number, as the buyer_key of an order


class AmountOutOfRange(DomainError):
    code = "amount_out_of_range"
    http_status = 400
    field = "amount_minor"


class AccountFrozen(DomainError):
    code = "account_frozen"
    message = _("This account is frozen.")


class AlreadySpent(DomainError):
    code = "already_spent"
    http_status = 409


@transaction.atomic(durable=True)
def ask_for_top_up(balance: Balance, *, amount_minor: int, key: str, actor: str, now: datetime) -> TopUp:
    """A page at which `amount_minor` may be paid on the account, within PAY_WITHIN.

    The same `key` is the same top-up for ever; with another amount it raises IdempotencyConflict. Raises
    ValueError for a balance that a code opens, AmountOutOfRange, AccountFrozen, TooManyUnpaid.
    """
    account: Balance
    ((account,),) = lock_rows(Balance.objects.filter(pk=balance.pk).select_related("shop"))
    if account.code_digest:
        raise ValueError("only an account is topped up")
    ticket_id = keyed_digest("top-up", str(account.pk), key)
    before = TopUp.objects.select_related("order__shop").filter(order__ticket_id=ticket_id).first()
    if before is not None:
        if before.order.total_minor != amount_minor:
            raise IdempotencyConflict(before.order.token)
        return before
    _require_possible(account, amount_minor)
    order = Order.objects.create(
        shop=account.shop,
        ticket_id=ticket_id,
        buyer_key=f"{BUYER_KEY}{account.pk}",
        contact_email=account.contact_email,
        language=settings.LANGUAGE_CODE,
        currency=account.currency,
        total_minor=amount_minor,
        placed_at=now,
        reserved_until=now + PAY_WITHIN,
        is_top_up=True,
    )
    OrderEvent.objects.create(order=order, after=OrderStatus.PENDING, reason="placed", actor=actor, at=now)
    transaction.on_commit(lambda: orders_counted.labels(OrderStatus.PENDING).inc(), robust=True)
    return TopUp.objects.create(balance=account, order=order, asked_by=actor)


def _require_possible(account: Balance, amount_minor: int) -> None:
    least = 10 ** EXPONENTS[account.currency]
    if not least <= amount_minor <= MAX_MINOR:
        said = {"least": display(least, account.currency), "most": display(MAX_MINOR, account.currency)}
        raise AmountOutOfRange(_("A top-up is of at least %(least)s and at most %(most)s.") % said)
    if account.is_frozen:
        raise AccountFrozen
    unpaid = TopUp.objects.filter(balance=account, order__status__in=UNPAID_LIVE)
    if unpaid.count() >= MOST_UNPAID:
        raise TooManyUnpaid


def page_of(top_up: TopUp) -> str:
    """Where it is paid, by whoever has the link."""
    return absolute_url(top_up.order.shop, reverse("order", args=[top_up.order.token]))


def promise_to_credit(*, orders: Sequence[Order], after: str, now: datetime, **_said: object) -> None:
    """Hears of orders that move: a paid top-up is credited by the workers."""
    if after == OrderStatus.PAID:
        top_ups = {order.pk: order.shop_id for order in orders if order.is_top_up}
        promise_all("payments.credit_accounts", top_ups, now=now)


def credit_accounts(order_ids: Sequence[int], now: datetime) -> Failures:
    """Credit whichever of these are paid. Returns those that failed; repeating it is a no-op."""
    failed: dict[int, Exception] = {}
    for order_id in order_ids:
        try:
            _credit(order_id, now)
        except Exception as error:  # noqa: BLE001  whatever is odd about it keeps no other waiting
            failed[order_id] = error
    return failed


@transaction.atomic(durable=True)
def _credit(order_id: int, now: datetime) -> None:
    """The entry and the end of the order are one. Frozen or not: the money is the holder's."""
    accounts, orders = lock_rows(
        Balance.objects.filter(top_ups__order=order_id),
        Order.objects.filter(pk=order_id, status=OrderStatus.PAID),
    )
    for order in orders:
        (account,) = accounts
        credit_locked(
            account, amount_minor=order.total_minor, reference=order.number, reason=order.number, now=now
        )
        changes = {"delivered_at": now, "attention": ""}
        transition_all([order], OrderStatus.DELIVERED, reason=CREDITED, actor=SYSTEM, now=now, **changes)


def lock_account_of(receipt: Receipt) -> Balance | None:
    """The account that this money was meant for, if it was for one; before the money's own locks."""
    (accounts,) = lock_rows(Balance.objects.filter(top_ups__order__payment__attempts__receipts=receipt))
    return next(iter(accounts), None)


def take_off(account: Balance, refund: Refund, order: Order, *, surplus_minor: int, now: datetime) -> None:
    """What is refunded of a top-up leaves the account first, but for what came on top of it.

    The caller holds the locks. Raises AlreadySpent where the account has less; credit is not paid out.
    """
    amount_minor = max(0, refund.amount_minor - max(0, surplus_minor))
    if refund.receipt.status != ReceiptStatus.APPLIED or not amount_minor:
        return
    if account.amount_minor < amount_minor:
        left = display(max(0, account.amount_minor), account.currency)
        raise AlreadySpent(
            _("The account has only %s left: what was spent of this top-up cannot be refunded.") % left
        )
    pay_out_locked(
        account, amount_minor=amount_minor, reference=refund.out_refund_no, reason=order.number, now=now
    )


def put_back_on(account: Balance, refund: Refund, *, now: datetime) -> None:
    """The refund came to nothing, so what it took is on the account again. The caller holds the locks."""
    put_back_locked(account, reference=refund.out_refund_no, now=now)


def end_if_all_went_back(order: Order, *, actor: str, now: datetime) -> None:
    """A top-up of which nothing is left is refunded. The caller holds its lock."""
    applied = Receipt.objects.filter(attempt__payment__order=order, status=ReceiptStatus.APPLIED)
    came = applied.aggregate(sum=Sum("amount_minor", default=0))["sum"]
    done = Refund.objects.filter(receipt__in=applied, status=RefundStatus.DONE)
    if came == done.aggregate(sum=Sum("amount_minor", default=0))["sum"]:
        transition(order, OrderStatus.REFUNDED, reason=GIVEN_BACK, actor=actor, now=now, attention="")
