"""Invariant 3: the provider's ledger and ours agree row by row."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import QuerySet

from cardshop.common.clock import db_now
from payments.gateways import gateway_for
from payments.gateways.base import GatewayError
from payments.models import PaymentAttempt, PaymentChannel, Receipt


def ledger_differences(*, settled: bool) -> Iterator[str]:
    """A sentence for every transaction that one side has and the other lacks or has otherwise.

    Unless `settled`, money that the next poll is about to find is no difference. Network: asks every
    enabled channel for its whole statement. A provider that cannot be asked is a difference too:
    nobody can say that the ledgers agree.
    """
    for channel in PaymentChannel.objects.filter(is_enabled=True):
        try:
            theirs = {
                said.provider_txn_id: (said.out_trade_no, said.amount_minor)
                for said in gateway_for(channel).statement()
                if said.paid
            }
        except GatewayError as error:
            yield f"channel {channel.slug}: no statement to be had ({error})"
            continue
        yield from _compare(channel, theirs, settled=settled)


def _compare(channel: PaymentChannel, theirs: dict[str, tuple[str, int]], *, settled: bool) -> Iterator[str]:
    # Channels may share one account, so a row of theirs counts if any channel of that account has it.
    sharing = PaymentChannel.objects.filter(
        shop=channel.shop_id, base_url=channel.base_url, merchant_id=channel.merchant_id
    )
    receipts = Receipt.objects.filter(channel__in=sharing)
    ours = {
        receipt.provider_txn_id: (
            receipt.attempt.out_trade_no if receipt.attempt else None,
            receipt.amount_minor,
        )
        for receipt in receipts.select_related("attempt")
    }
    expected = set() if settled else _about_to_be_found(sharing)
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


def _about_to_be_found(channels: QuerySet[PaymentChannel]) -> set[str]:
    """Our numbers of the attempts that are on the polling list and not overdue there."""
    not_overdue = db_now() - timedelta(seconds=60)
    polled = PaymentAttempt.objects.filter(channel__in=channels, next_query_at__gt=not_overdue)
    return set(polled.values_list("out_trade_no", flat=True))
