"""What may happen to money at one moment, many times over: one outcome each, and both ledgers equal."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from orders.models import Order
from orders.tasks import deliver
from payments import tasks
from payments.gateways.base import RawCall
from payments.ledgers import ledger_differences
from payments.models import PaymentAttempt
from payments.services.notices import apply_notices, receive_notice
from payments.services.polling import poll_due_attempts
from payments.tests.providers import Provider
from tests.factories import notice_query
from tests.race.racing import broken_invariants, rounds

ROUNDS = int(os.environ.get("MONEY_ROUNDS", "30"))
CHUNK = 50  # rounds between two looks at all invariants and both ledgers


class MoneyRound(NamedTuple):
    """`acts` meet in one moment. `outcome` says, once all is quiet, what came of it, in a word; it fails
    when that was not one truth. A DomainError is an honest answer to whoever came second.
    """

    acts: tuple[Callable[[], Any], ...]
    outcome: Callable[[], str]


def race_money(make: Callable[[], MoneyRound], *, jitter: float = 0.02) -> Counter[str]:
    """How often each outcome occurred in ROUNDS rounds. Fails where anything is wrong.

    `jitter` in seconds: about as long as the longest act takes, so that each may come first.
    """
    outcomes: Counter[str] = Counter()
    left = ROUNDS
    while left > 0:
        made = race_chunk(make, min(CHUNK, left), jitter=jitter)
        outcomes.update(each.outcome() for each in made)
        assert broken_invariants() == []
        assert list(ledger_differences(settled=True)) == []
        left -= len(made)
    return outcomes


def race_chunk(make: Callable[[], MoneyRound], times: int, *, jitter: float = 0.02) -> list[MoneyRound]:
    """The rounds, raced and quiet again, nothing looked at yet."""
    made = [make() for _ in range(times)]
    acts = [
        lambda number, at=at: made[number].acts[at]()  # the acts of one place share a thread
        for at in range(len(made[0].acts))
    ]
    for row in rounds(times, *acts, jitter=jitter):
        for outcome in row:
            if isinstance(outcome, Exception) and not isinstance(outcome, DomainError):
                raise outcome
    come_to_rest()
    return made


def come_to_rest() -> None:
    """What the workers would still have done."""
    tasks.apply_notices()
    poll_due_attempts(clock=db_now)
    tasks.settle_receipts()
    tasks.finish_closing()
    deliver()


def pay_with_notice(provider: Provider, attempt: PaymentAttempt) -> None:
    """The buyer has paid, and the notice comes in and is worked off."""
    provider.knows(attempt)
    receive_notice(attempt.channel, RawCall("GET", notice_query(attempt), ""), now=db_now())
    events = attempt.channel.events.filter(query__contains=attempt.out_trade_no)
    apply_notices(list(events.values_list("pk", flat=True)), db_now())
    tasks.settle_receipts()


def history(order: Order) -> str:
    return " → ".join(order.events.order_by("pk").values_list("after", flat=True))
