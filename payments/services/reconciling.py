"""Every day's statement of every account, compared with our books in both directions.

What the provider has and we lack is evidence like any other, and is applied. A statement is of a day that is
over: before money is applied that only it told of, the provider is asked whether that has gone back since.
What we have and the provider lacks, or has otherwise, is put before a person. Of what others take by the same
account (another shop, a counter) the statements tell, too: that is counted, and otherwise left alone.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day

import structlog
from django.db import connection
from django.db.models import Min, Q

from cardshop.common.inserts import insert_new
from payments.gateways import gateway_for
from payments.gateways.base import (
    Ability,
    Evidence,
    Gateway,
    GatewayError,
    RefundEvidence,
    RefundState,
    Trade,
    Unreachable,
)
from payments.models import PaymentAttempt, PaymentChannel, Receipt, Refund, Statement
from payments.selectors import sharing_account
from payments.services.evidence import News, flag, record_receipts
from payments.services.refund_sending import finish
from payments.states import RefundStatus, Source

logger = structlog.get_logger(__name__)

NOT_IN_STATEMENT = "the provider's statement does not have this money: ask the provider"
UNKNOWN_REFUND = "the statement has refunds that were not made here: look at the provider"
MISSING_REFUND = "refunds of ours are not in the statement: ask the provider"
NOT_READ = "the statement could not be read for a day: see why, and mend the way to pay"
STATEMENT = "statement"
# When a day's statement is to be had: providers promise it for ten o'clock in the morning.
READY_AFTER = timedelta(hours=10, minutes=30)
LONGEST_PAUSE = timedelta(hours=6)
FIRST_PAUSE = timedelta(minutes=10)
# With the pauses between them they take about a day. Then a person is told, and it is asked for daily.
TRIES_ALONE = 8
PAUSE_AFTERWARDS = timedelta(days=1)
DAYS_BACK = 7
LEASE = timedelta(minutes=10)
RUN = 30.0  # seconds
BATCH = 200
# How the numbers of our attempts and refunds are made.
_LIKE_OURS = re.compile("R?[0-9]{6}[0-9a-f]{24}", re.ASCII)
_WENT_OUT = {RefundStatus.SENT, RefundStatus.DONE}

LEASE_ONE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM payments_statement WHERE due_at <= %(now)s
        ORDER BY due_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE payments_statement AS statement SET tries = tries + 1, due_at = %(until)s
    FROM due WHERE statement.id = due.id RETURNING statement.id"""


@dataclass
class Comparison:
    """What came of reading one day. The refunds are by our numbers, or what the provider has for one.

    `foreign` counts the trades and refunds, among all of them, that are somebody else's.
    """

    trades: int = 0
    refunds: int = 0
    found: int = 0
    missing: int = 0
    foreign: int = 0
    unknown_refunds: list[str] = field(default_factory=list)
    missing_refunds: list[str] = field(default_factory=list)


def read_due_statements(*, clock: Callable[[], datetime]) -> int:
    """Read what is due, for RUN seconds; returns how many were tried. Safe beside any number of twins."""
    plan_statements(clock())
    began, tried = time.monotonic(), 0
    while time.monotonic() - began < RUN and (statement := _lease_one(clock())) is not None:
        tried += 1
        try:
            compared = compare_day(_speaker(statement.channel), statement.day, now=clock())
        except Exception as error:  # one odd statement must not end the sweep for everybody else
            if not isinstance(error, GatewayError):
                logger.exception("reading a statement failed", channel=statement.channel.slug)
            _try_later(statement, error, clock())
        else:
            _write_down(statement, compared, clock())
    return tried


def plan_statements(now: datetime, *, since: datetime | None = None) -> int:
    """A row for each account and each of the last DAYS_BACK days on which it was used here; returns how many
    are new. With `since`, all days from the one before that moment on are planned, too.
    """
    today = (now - READY_AFTER).astimezone(UTC).date()
    back_to = DAYS_BACK if since is None else max(DAYS_BACK, (today - since.astimezone(UTC).date()).days + 1)
    days = [today - timedelta(days=back) for back in range(back_to, 0, -1)]
    wanted = []
    for channel, used_since in _accounts_since():
        wanted += [
            Statement(shop_id=channel.shop_id, channel=channel, day=day, due_at=now)
            for day in days
            if day >= used_since
        ]
    return len(insert_new(wanted, unique=["channel", "day"]))


def compare_day(channel: PaymentChannel, day: date, *, now: datetime) -> Comparison:
    """Read one day's statement and let it have its consequences. Network, outside of any transaction.

    Raises GatewayError.
    """
    gateway = gateway_for(channel)
    trades: dict[str, Evidence] = {}
    # Others choose their numbers as they like, and may give one to several refunds.
    refunds: dict[tuple[str, str], RefundEvidence] = {}
    news: set[tuple[str, str]] = set()
    for booked_on, line in _lines(gateway, channel, day):
        if isinstance(line, RefundEvidence):
            key = line.out_refund_no, line.provider_txn_id
            refunds[key] = line
            if booked_on == day:
                news.add(key)
        elif line.paid:
            trades[line.provider_txn_id] = line
    for _number, txn in refunds:
        if txn in trades:
            trades[txn] = replace(trades[txn], gone_back=True)
    compared = Comparison(trades=len(trades), refunds=len(refunds))
    _apply(channel, gateway, trades, compared, now)
    compared.missing = _flag_missing(channel, trades, day)
    if Ability.STATEMENT in gateway.can:
        _compare_refunds(channel, refunds, news, day, compared, now)
    return compared


def _window(day: date) -> tuple[datetime, datetime]:
    """Whose money has to be in the statements of that day and the one before, whatever time zone the provider
    counts its days in, and however long we took to hear of it.
    """
    noon = datetime.combine(day, time_of_day(12), UTC)
    return noon - timedelta(days=1), noon


def _lines(
    gateway: Gateway, channel: PaymentChannel, day: date
) -> Iterator[tuple[date, Evidence | RefundEvidence]]:
    """Of that day and the one before, each with the day whose statement has it."""
    if Ability.STATEMENT in gateway.can:
        for one in (day - timedelta(days=1), day):
            for line in gateway.statement(one):
                yield one, line
        return
    # Newest first: what we have had for longer than that ends it.
    begin, _end = _window(day)
    old = Receipt.objects.filter(
        channel__in=sharing_account(channel), received_at__lt=begin - timedelta(days=1)
    )
    for trade in gateway.trades():
        if trade.paid and old.filter(provider_txn_id=trade.provider_txn_id).exists():
            return
        yield day, trade


def _apply(
    channel: PaymentChannel,
    gateway: Gateway,
    trades: Mapping[str, Evidence],
    compared: Comparison,
    now: datetime,
) -> None:
    """Record what only the statement told of, and what we have otherwise. Raises GatewayError, once all that
    can be recorded is.
    """
    numbers = sorted(trades)
    failed: list[GatewayError] = []
    for at in range(0, len(numbers), BATCH):
        batch = numbers[at : at + BATCH]
        known = Receipt.objects.filter(channel__in=sharing_account(channel), provider_txn_id__in=batch)
        recorded = {
            txn: (number, amount)
            for txn, number, amount in known.values_list(
                "provider_txn_id", "attempt__out_trade_no", "amount_minor"
            )
        }
        said = {txn: (trades[txn].out_trade_no, trades[txn].amount_minor) for txn in batch}
        attempts = PaymentAttempt.objects.filter(out_trade_no__in=[number for number, _ in said.values()])
        begun = {
            attempt.out_trade_no: attempt for attempt in attempts.select_related("channel__shop", "payment")
        }
        shop_of = {number: attempt.payment.shop_id for number, attempt in begun.items()}
        ours = [txn for txn in batch if txn in recorded or _is_ours(said[txn][0], shop_of, channel)]
        fresh = []
        for txn in ours:
            if recorded.get(txn) == said[txn]:
                continue
            try:
                fresh += _as_it_is_now(
                    trades[txn], begun.get(said[txn][0]), channel, gateway, is_new=txn not in recorded
                )
            except Unreachable:
                raise
            except GatewayError as error:  # one odd trade keeps no other waiting
                failed.append(error)
        news = [News(channel=channel, evidence=each, source=Source.STATEMENT) for each in fresh]
        record_receipts(news, now=now)
        compared.found += len({each.provider_txn_id for each in fresh} - recorded.keys())
        compared.foreign += len(batch) - len(ours)
    if failed:
        raise failed[0]


def _as_it_is_now(
    said: Evidence,
    attempt: PaymentAttempt | None,
    channel: PaymentChannel,
    gateway: Gateway,
    *,
    is_new: bool,
) -> list[Evidence]:
    """Network. The money, if the provider vouches for it, and whether it has gone back by now.

    Keys are delivered only for new money of an attempt of ours. About other money nobody is asked, unless the
    list that has it is no more than a claim. Raises GatewayError.
    """
    is_booked = Ability.STATEMENT in gateway.can
    if (attempt is None or not is_new) if is_booked else gateway.list_is_proof:
        return [said]
    if attempt is not None and attempt.channel.is_enabled and attempt.channel.account == channel.account:
        gateway = gateway_for(attempt.channel)  # it may have an app of its own within the account
    found = gateway.query(
        Trade(
            out_trade_no=said.out_trade_no,
            reference=attempt.reference if attempt else "",
            provider_txn_id=said.provider_txn_id,
            wanted=False,
        )
    )
    if not is_booked:
        if found is not None and found.paid:
            return [found]
        logger.error("a list has money that its provider does not vouch for", txn=said.provider_txn_id)
        return []
    if found is None or (found.paid and found.provider_txn_id != said.provider_txn_id):
        return [said]  # nothing is said of this transaction
    # What was booked, and is not paid any more, has gone back.
    return [replace(said, gone_back=said.gone_back or found.gone_back or not found.paid)]


def _is_ours(number: str, shop_of: Mapping[str, int], channel: PaymentChannel) -> bool:
    """Also where it only looks so and is nobody's: books that were restored from a copy have forgotten what
    came after it.
    """
    return shop_of[number] == channel.shop_id if number in shop_of else bool(_LIKE_OURS.fullmatch(number))


def _flag_missing(channel: PaymentChannel, trades: Mapping[str, Evidence], day: date) -> int:
    begin, end = _window(day)
    ours = Receipt.objects.filter(
        channel__in=sharing_account(channel),
        received_at__gte=begin,
        received_at__lt=end,
        # Found out about long after, it may have been booked on an earlier day.
        attempt__started_at__gte=begin,
    )
    missing = [
        receipt_id
        for receipt_id, txn in ours.values_list("pk", "provider_txn_id").iterator()
        if txn not in trades
    ]
    unseen = Q(attention="") | Q(resolved_at__isnull=False) & ~Q(attention=NOT_IN_STATEMENT)
    flag(Receipt.objects.filter(unseen, pk__in=missing), NOT_IN_STATEMENT)
    return len(missing)


def _compare_refunds(
    channel: PaymentChannel,
    refunds: Mapping[tuple[str, str], RefundEvidence],
    news: Set[tuple[str, str]],
    day: date,
    compared: Comparison,
    now: datetime,
) -> None:
    """A refund that was not made here matters where the money, or its number, is ours. It is raised once,
    with the `news` of its own day: by the next day it may have been dealt with.
    """
    lines = refunds.values()
    of_account = Refund.objects.filter(receipt__channel__in=sharing_account(channel))
    numbers = {line.out_refund_no for line in lines}
    ours = {refund.out_refund_no: refund for refund in of_account.filter(out_refund_no__in=numbers)}
    shop_of = dict(Refund.objects.filter(out_refund_no__in=numbers).values_list("out_refund_no", "shop_id"))
    our_money = _recorded(channel, {line.provider_txn_id for line in lines})
    for key, line in sorted(refunds.items(), key=lambda row: row[0]):
        refund = ours.get(line.out_refund_no)
        if refund is None:
            if line.provider_txn_id not in our_money and not _is_ours(line.out_refund_no, shop_of, channel):
                compared.foreign += 1
            elif key in news:
                compared.unknown_refunds.append(line.out_refund_no or line.provider_txn_id)
        elif line.state is RefundState.UNDER_WAY:
            continue  # it may still come to nothing: whoever follows it will hear
        elif refund.amount_minor != line.amount_minor or refund.status not in _WENT_OUT:
            if key in news:
                compared.unknown_refunds.append(line.out_refund_no)
        elif refund.status == RefundStatus.SENT:
            finish(refund, actor=STATEMENT, now=now)
    begin, end = _window(day)
    done = of_account.filter(status=RefundStatus.DONE, sent_at__gte=begin, sent_at__lt=end, ended_at__lt=end)
    compared.missing_refunds = sorted(set(done.values_list("out_refund_no", flat=True)) - numbers)


def _recorded(channel: PaymentChannel, transactions: Iterable[str]) -> set[str]:
    """Those of the transactions that are in our books."""
    known = Receipt.objects.filter(channel__in=sharing_account(channel), provider_txn_id__in=transactions)
    return set(known.values_list("provider_txn_id", flat=True))


def _accounts_since() -> Iterator[tuple[PaymentChannel, date]]:
    """The first channel of each account that can say what it booked, and the first day of its use here."""
    seen = set()
    for channel in PaymentChannel.objects.select_related("shop").order_by("pk"):
        account = channel.account
        if account in seen:
            continue
        seen.add(account)
        if not _can_say(_speaker(channel)):
            continue
        used = PaymentAttempt.objects.filter(channel__in=sharing_account(channel))
        if since := used.aggregate(since=Min("started_at"))["since"]:
            yield channel, since.astimezone(UTC).date()


def _speaker(channel: PaymentChannel) -> PaymentChannel:
    """Through which its account is asked: rather one that is enabled, as the secrets of one that was left
    behind may be good no longer.
    """
    sharing = sharing_account(channel).select_related("shop").order_by("-is_enabled", "pk")
    return next((each for each in sharing if _can_say(each)), channel)


def _can_say(channel: PaymentChannel) -> bool:
    try:
        return bool(gateway_for(channel).can & {Ability.STATEMENT, Ability.LIST})
    except GatewayError:
        return False


def _write_down(statement: Statement, compared: Comparison, now: datetime) -> None:
    attention = (
        UNKNOWN_REFUND if compared.unknown_refunds else MISSING_REFUND if compared.missing_refunds else ""
    )
    _raise(statement, attention)
    Statement.objects.filter(pk=statement.pk).update(
        due_at=None,
        read_at=now,
        trades=compared.trades,
        refunds=compared.refunds,
        found=compared.found,
        missing=compared.missing,
        last_error=", ".join(compared.unknown_refunds + compared.missing_refunds)[:200],
    )
    logger.info(
        "statement read",
        channel=statement.channel.slug,
        day=str(statement.day),
        found=compared.found,
        foreign=compared.foreign,
    )


def _try_later(statement: Statement, error: Exception, now: datetime) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(statement.tries, 10), LONGEST_PAUSE)
    if statement.tries >= TRIES_ALONE:
        pause = PAUSE_AFTERWARDS
        _raise(statement, NOT_READ)
        logger.error("statement cannot be read", channel=statement.channel.slug, day=str(statement.day))
    Statement.objects.filter(pk=statement.pk).update(
        due_at=now + pause, last_error=f"{type(error).__name__}: {error}"[:200]
    )


def _raise(statement: Statement, why: str) -> None:
    """A new reason opens again what a person has resolved for an earlier one."""
    otherwise = Statement.objects.filter(pk=statement.pk).exclude(attention=why)
    otherwise.update(attention=why, resolved_at=None, resolved_by="")


def _lease_one(now: datetime) -> Statement | None:
    with connection.cursor() as cursor:
        cursor.execute(LEASE_ONE, {"now": now, "until": now + LEASE})
        row = cursor.fetchone()
    return Statement.objects.select_related("channel__shop").get(pk=row[0]) if row else None
