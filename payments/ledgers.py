"""Invariant 3: the provider's ledger and ours agree row by row."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from django.db.models import QuerySet

from cardshop.common.clock import db_now
from payments.gateways import gateway_for
from payments.gateways.base import Ability, Evidence, Gateway, GatewayError
from payments.models import PaymentAttempt, PaymentChannel, Receipt
from payments.selectors import sharing_account
from payments.services.polling import trade_of

# How far back a provider without a statement is asked about, trade by trade.
ASKED_ABOUT = timedelta(days=2)


def ledger_differences(*, settled: bool) -> Iterator[str]:
    """A sentence for every transaction that one side has and the other lacks or has otherwise.

    Unless `settled`, money that the next poll is about to find is no difference. Network: asks every
    enabled channel for its whole statement, or where there is none, about each trade of ASKED_ABOUT. A
    provider that cannot be asked is a difference too: nobody can say that the ledgers agree.
    """
    for channel in PaymentChannel.objects.filter(is_enabled=True):
        sharing = sharing_account(channel)
        attempts = PaymentAttempt.objects.filter(channel__in=sharing)
        # Channels may share one account, so a row of theirs counts if any channel of that account has it.
        receipts = Receipt.objects.filter(channel__in=sharing)
        try:
            gateway = gateway_for(channel)
            if Ability.LIST in gateway.can:
                said = list(gateway.trades())
            else:
                recent = attempts.filter(started_at__gte=db_now() - ASKED_ABOUT)
                receipts = receipts.filter(attempt__in=recent)
                said = _asked_one_by_one(gateway, recent)
        except GatewayError as error:
            yield f"channel {channel.slug}: no statement to be had ({error})"
            continue
        theirs = {each.provider_txn_id: (each.out_trade_no, each.amount_minor) for each in said if each.paid}
        yield from _compare(channel, theirs, receipts, set() if settled else _about_to_be_found(attempts))


def _asked_one_by_one(gateway: Gateway, attempts: QuerySet[PaymentAttempt]) -> list[Evidence]:
    # As if none were wanted any more: comparing books must take no money that a buyer has agreed to.
    trades = (
        replace(trade_of(attempt), wanted=False) for attempt in attempts.select_related("payment__order")
    )
    return [said for trade in trades if (said := gateway.query(trade)) is not None]


def _compare(
    channel: PaymentChannel,
    theirs: dict[str, tuple[str, int]],
    receipts: QuerySet[Receipt],
    expected: set[str],
) -> Iterator[str]:
    ours = {
        receipt.provider_txn_id: (
            receipt.attempt.out_trade_no if receipt.attempt else None,
            receipt.amount_minor,
        )
        for receipt in receipts.select_related("attempt")
    }
    for txn in sorted(theirs.keys() - ours.keys()):
        if theirs[txn][0] in expected:
            continue
        yield f"channel {channel.slug}: {txn} is in the provider's ledger and not in ours"
    for txn in sorted(ours.keys() - theirs.keys()):
        yield f"channel {channel.slug}: {txn} is in our ledger and not in the provider's"
    for txn in sorted(theirs.keys() & ours.keys()):
        trade, amount = ours[txn]
        if amount != theirs[txn][1] or trade not in (None, theirs[txn][0]):
            yield f"channel {channel.slug}: {txn} is {theirs[txn]} there and {ours[txn]} here"


def _about_to_be_found(attempts: QuerySet[PaymentAttempt]) -> set[str]:
    """Our numbers of the attempts that are on the polling list and not overdue there."""
    not_overdue = db_now() - timedelta(seconds=60)
    polled = attempts.filter(next_query_at__gt=not_overdue)
    return set(polled.values_list("out_trade_no", flat=True))
