"""Invariant 3: the provider's ledger and ours agree row by row."""

from collections.abc import Iterator

from payments.gateways import gateway_for
from payments.gateways.base import GatewayError
from payments.models import PaymentChannel, Receipt


def ledger_differences() -> Iterator[str]:
    """A sentence for every transaction that one side has and the other lacks or has otherwise.

    Network: asks every enabled channel for its whole statement. A provider that cannot be asked is a
    difference too: nobody can say that the ledgers agree.
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
        yield from _compare(channel, theirs)


def _compare(channel: PaymentChannel, theirs: dict[str, tuple[str, int]]) -> Iterator[str]:
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
    for txn in sorted(theirs.keys() - ours.keys()):
        yield f"channel {channel.slug}: {txn} is in the provider's ledger and not in ours"
    for txn in sorted(ours.keys() - theirs.keys()):
        yield f"channel {channel.slug}: {txn} is in our ledger and not in the provider's"
    for txn in sorted(theirs.keys() & ours.keys()):
        trade, amount = ours[txn]
        if amount != theirs[txn][1] or trade not in (None, theirs[txn][0]):
            yield f"channel {channel.slug}: {txn} is {theirs[txn]} there and {ours[txn]} here"
