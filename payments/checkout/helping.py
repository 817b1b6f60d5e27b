"""What a merchant may do for an order. Each asks the usual machinery to work; none sets a state."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.common.locks import lock_rows
from cardshop.outbox import services as outbox
from orders.models import Order
from orders.services.fulfilling import OVERDUE
from orders.services.transitions import note
from orders.states import PAID_FOR, OrderStatus
from payments.models import PaymentAttempt
from payments.selectors import attempts_of
from payments.services.polling import ask_now


class NothingToDo(DomainError):
    code = "nothing_to_do"
    message = _("There is nothing to do: the order has moved on meanwhile.")


@transaction.atomic(durable=True)
def deliver_again(order: Order, *, actor: str, now: datetime) -> None:
    """Try once more to hand over a paid order that was put before a person. Raises NothingToDo, as for what
    only a person can fill in.
    """
    ((locked,),) = lock_rows(Order.objects.filter(pk=order.pk))
    if not _waits_for_delivery(locked):
        raise NothingToDo
    Order.objects.filter(pk=locked.pk).update(attention="")
    note(locked, reason="delivery asked for again", actor=actor, now=now)
    task = "payments.credit_accounts" if locked.is_top_up else "orders.deliver"
    outbox.promise(task, [locked.pk], shop_id=locked.shop_id, now=now)


@transaction.atomic(durable=True)
def mail_again(order: Order, *, actor: str, now: datetime) -> None:
    """Mail the keys' link once more. Raises NothingToDo."""
    ((locked,),) = lock_rows(Order.objects.filter(pk=order.pk))
    if not _has_keys(locked):
        raise NothingToDo
    note(locked, reason="mail asked for again", actor=actor, now=now)
    outbox.promise("orders.mail_delivery", [locked.pk], shop_id=locked.shop_id, now=now)


@transaction.atomic(durable=True)
def ask_provider_now(order: Order, *, actor: str, now: datetime) -> None:
    """Let the next poll be now, for every attempt that is still polled. Raises NothingToDo."""
    attempts = _still_polled(order)
    if not attempts:
        raise NothingToDo
    _attempts, (locked,) = lock_rows(
        PaymentAttempt.objects.filter(pk__in=[attempt.pk for attempt in attempts]),
        Order.objects.filter(pk=order.pk),
    )
    for attempt in attempts:
        ask_now(attempt, now)
    note(locked, reason="provider asked by hand", actor=actor, now=now)
    transaction.on_commit(lambda: outbox.wake("payments.poll_attempts"), robust=True)


@dataclass(frozen=True)
class Help:
    """A button: what it says, what it does, and what is said afterwards."""

    kind: str
    label: str | Promise
    done: str | Promise
    act: Callable[..., None]
    fits: Callable[[Order], bool]


def possible_help(order: Order) -> list[Help]:
    """What makes sense for this order now."""
    return [help_ for help_ in HELP.values() if help_.fits(order)]


def _waits_for_delivery(order: Order) -> bool:
    return order.status == OrderStatus.PAID and order.attention not in ("", OVERDUE)


def _has_keys(order: Order) -> bool:
    return order.status in PAID_FOR and order.delivered_at is not None and not order.is_top_up


def _still_polled(order: Order) -> list[PaymentAttempt]:
    return list(attempts_of(order).filter(next_query_at__isnull=False))


HELP = {
    help_.kind: help_
    for help_ in (
        Help(
            kind="deliver",
            label=_("Deliver again"),
            done=_("The order is being delivered."),
            act=deliver_again,
            fits=_waits_for_delivery,
        ),
        Help(
            kind="mail",
            label=_("Mail the keys again"),
            done=_("The mail is on its way."),
            act=mail_again,
            fits=_has_keys,
        ),
        Help(
            kind="ask",
            label=_("Ask the provider now"),
            done=_("The provider is being asked. Reload this page in a moment."),
            act=ask_provider_now,
            fits=lambda order: bool(_still_polled(order)),
        ),
    )
}
