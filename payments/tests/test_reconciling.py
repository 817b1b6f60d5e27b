"""Daily statements against our books."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from orders.models import Order
from orders.services.delivery import deliver_orders
from payments.gateways import gateway_for
from payments.gateways.base import Ability, Evidence, GatewayError, RefundEvidence, RefundState
from payments.models import PaymentAttempt, PaymentChannel, Receipt, Refund, Statement
from payments.services import reconciling
from payments.services.attempts import start_attempt
from payments.services.evidence import CONTRADICTS, GONE_BACK, UNKNOWN
from payments.services.reconciling import (
    DAYS_BACK,
    MISSING_REFUND,
    NOT_IN_STATEMENT,
    NOT_READ,
    TRIES_ALONE,
    UNKNOWN_REFUND,
    plan_statements,
    read_due_statements,
)
from payments.services.refunds import request_refund
from payments.services.resolving import resolve_statement
from payments.tasks import send_refunds, settle_receipts
from payments.tests.refunder import DRIVER, refunding_channel
from tests.factories import (
    make_attempt,
    make_channel,
    make_order,
    make_shop,
    make_variant,
    paid_evidence,
    settle_evidence,
)

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2026, 3, 1)
MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)
NEXT_DAY = datetime(2026, 3, 2, 11, tzinfo=UTC)


@pytest.fixture
def books(refunder):
    refunder.can |= {Ability.STATEMENT}
    refunder.booked = {DAY - timedelta(days=1): [], DAY: []}
    return refunder.booked[DAY]


def begun():
    attempt = make_attempt(make_order(make_variant(keys=1), now=MORNING), refunding_channel())
    PaymentAttempt.objects.filter(pk=attempt.pk).update(started_at=MORNING, next_query_at=None)
    return attempt


def bought():
    attempt = begun()
    return attempt, settle_evidence(attempt.channel, paid_evidence(attempt), now=MORNING)


def reconcile(now=NEXT_DAY):
    read_due_statements(clock=lambda: now)
    settle_receipts()
    return Statement.objects.get(day=DAY)


def test_a_day_that_agrees_is_written_down_and_raises_nothing(books):
    attempt, receipt = bought()
    books.append(paid_evidence(attempt))

    statement = reconcile()

    assert (statement.trades, statement.found, statement.missing) == (1, 0, 0)
    assert (statement.read_at, statement.due_at, statement.attention) == (NEXT_DAY, None, "")
    receipt.refresh_from_db()
    assert receipt.attention == ""


def test_money_that_only_the_statement_tells_of_is_applied(books):
    attempt = begun()
    books.append(paid_evidence(attempt))

    assert reconcile().found == 1

    receipt = Receipt.objects.get()
    assert (receipt.source, receipt.status) == ("statement", "applied")
    assert Order.objects.get().status == "paid"


def test_what_others_take_by_the_same_account_is_counted_and_left_alone(books):
    attempt, receipt = bought()
    theirs = replace(paid_evidence(attempt, txn="T9"), out_trade_no="counter-17")
    refund = RefundEvidence(
        out_refund_no="counter-R1", provider_txn_id="T9", amount_minor=100, currency="CNY"
    )
    books += [paid_evidence(attempt), theirs, refund, replace(refund, provider_txn_id="T10")]

    statement = reconcile()

    assert (statement.trades, statement.refunds) == (2, 2)
    assert (statement.found, statement.attention) == (0, "")
    assert Receipt.objects.get() == receipt


def test_what_another_shop_takes_by_the_same_account_is_that_shops_business(books):
    attempt, receipt = bought()
    other = make_shop("other")
    channel = make_channel(slug="theirs", shop=other, driver=DRIVER)
    theirs = make_attempt(make_order(make_variant(keys=1, shop=other), now=MORNING), channel)
    PaymentAttempt.objects.filter(pk=theirs.pk).update(out_trade_no="260301" + "a" * 24)
    theirs.refresh_from_db()
    books += [paid_evidence(attempt), paid_evidence(theirs)]

    read_due_statements(clock=lambda: NEXT_DAY)
    settle_receipts()

    assert {receipt.shop_id for receipt in Receipt.objects.all()} == {receipt.shop_id, other.pk}
    assert not Receipt.objects.exclude(attention="").exists()


def test_a_number_like_ours_that_nobody_knows_is_put_before_a_person(books):
    """Books that were restored from a copy have forgotten it."""
    attempt, _receipt = bought()
    forgotten = start_attempt(
        make_order(make_variant(keys=1), now=MORNING),
        attempt.channel,
        return_url="http://127.0.0.1/{attempt}/",
        client_ip="127.0.0.1",
        now=MORNING,
    )
    books += [paid_evidence(attempt), paid_evidence(forgotten, txn="T9")]
    forgotten.delete()

    assert reconcile().found == 1

    assert Receipt.objects.get(provider_txn_id="T9").attention == UNKNOWN


def test_money_that_the_statement_lacks_is_put_before_a_person_once(books):
    _attempt, receipt = bought()

    assert reconcile().missing == 1

    receipt.refresh_from_db()
    assert (receipt.status, receipt.attention) == ("applied", NOT_IN_STATEMENT)
    Receipt.objects.update(resolved_at=NEXT_DAY, resolved_by="lin")
    Statement.objects.update(due_at=NEXT_DAY)
    reconcile()
    receipt.refresh_from_db()
    assert receipt.resolved_by == "lin"


def test_another_amount_in_the_statement_is_a_contradiction(books):
    attempt, receipt = bought()
    books.append(paid_evidence(attempt, amount_minor=980))

    reconcile()

    receipt.refresh_from_db()
    assert (receipt.amount_minor, receipt.attention) == (990, CONTRADICTS)


@pytest.mark.parametrize("hour", [0, 4, 11, 12, 16, 23])
def test_every_hour_of_every_day_is_looked_for_in_the_statements_of_some_day(refunder, hour):
    refunder.can |= {Ability.STATEMENT}
    refunder.booked = {DAY + timedelta(days=back): [] for back in range(-9, 3)}
    _attempt, receipt = bought()
    moment = datetime(2026, 3, 1, hour, 30, tzinfo=UTC)
    PaymentAttempt.objects.update(started_at=moment)
    Receipt.objects.update(received_at=moment)

    read_due_statements(clock=lambda: NEXT_DAY + timedelta(days=2))

    receipt.refresh_from_db()
    assert receipt.attention == NOT_IN_STATEMENT
    assert sum(Statement.objects.values_list("missing", flat=True)) == 1


def refunded():
    attempt, receipt = bought()
    deliver_orders([attempt.payment.order_id], MORNING)
    refund = request_refund(receipt, amount_minor=300, reason="", actor="lin", now=MORNING)
    send_refunds()
    Refund.objects.update(sent_at=MORNING, ended_at=MORNING)
    line = RefundEvidence(
        out_refund_no=refund.out_refund_no,
        provider_txn_id=receipt.provider_txn_id,
        amount_minor=300,
        currency="CNY",
    )
    return paid_evidence(attempt), line


def test_refunds_that_agree_raise_nothing(books):
    books += refunded()

    statement = reconcile()

    assert (statement.refunds, statement.attention) == (1, "")


def test_a_refund_that_nobody_made_here_is_put_before_a_person(books):
    trade, line = refunded()
    books += [trade, line, replace(line, out_refund_no="R-elsewhere")]

    statement = reconcile()

    assert (statement.attention, statement.last_error) == (UNKNOWN_REFUND, "R-elsewhere")


def test_a_refund_by_hand_is_raised_with_its_own_day_and_not_again_with_the_next(books, refunder):
    trade, line = refunded()
    books += [trade, line, replace(line, out_refund_no="R-elsewhere")]
    resolve_statement(reconcile(), why=UNKNOWN_REFUND, actor="lin", now=NEXT_DAY)
    refunder.booked[DAY + timedelta(days=1)] = []

    read_due_statements(clock=lambda: NEXT_DAY + timedelta(days=1))

    following = Statement.objects.get(day=DAY + timedelta(days=1))
    assert following.read_at
    assert (following.refunds, following.attention) == (2, "")


def test_money_is_not_delivered_for_when_the_same_statements_have_its_refund(books):
    attempt = begun()
    trade = paid_evidence(attempt)
    line = RefundEvidence(
        out_refund_no="by hand", provider_txn_id=trade.provider_txn_id, amount_minor=990, currency="CNY"
    )
    books += [trade, line]

    assert reconcile().attention == UNKNOWN_REFUND

    assert Receipt.objects.get().attention == GONE_BACK
    assert Order.objects.get().status == "pending"


def test_money_that_cannot_be_asked_about_keeps_no_other_waiting(books, refunder, monkeypatch):
    odd, sound = begun(), begun()
    books += [paid_evidence(odd, txn="T1"), paid_evidence(sound, txn="T2")]
    unreadable = {odd.out_trade_no}

    def answer(trade):
        if trade.out_trade_no in unreadable:
            raise GatewayError("answered what cannot be read")

    monkeypatch.setattr(refunder, "query", answer)

    assert reconcile().read_at is None

    assert Receipt.objects.get().attempt == sound
    unreadable.clear()
    assert reconcile(NEXT_DAY + timedelta(days=1)).found == 1


def test_a_refund_with_a_number_like_ours_is_put_before_a_person_whosever_money_it_was(books):
    trade, line = refunded()
    forgotten = f"R{line.out_refund_no[1:-1]}{'0' if line.out_refund_no[-1] != '0' else '1'}"
    books += [trade, line, replace(line, out_refund_no=forgotten, provider_txn_id="T9")]

    assert reconcile().last_error == forgotten


def test_a_refund_of_ours_that_the_statement_lacks_is_put_before_a_person(books):
    trade, line = refunded()
    books.append(trade)

    statement = reconcile()

    assert (statement.attention, statement.last_error) == (MISSING_REFUND, line.out_refund_no)


def test_a_refund_of_which_nobody_knew_is_found_in_the_statement(books):
    books += refunded()
    Refund.objects.update(status="sent", ended_at=None)

    reconcile()

    assert Refund.objects.get().status == "done"


def test_a_refund_that_the_statement_calls_under_way_is_left_to_whoever_follows_it(books):
    trade, line = refunded()
    books += [trade, replace(line, state=RefundState.UNDER_WAY)]
    Refund.objects.update(status="sent", ended_at=None)

    statement = reconcile()

    assert Refund.objects.get().status == "sent"
    assert statement.attention == ""


def test_a_refund_of_which_nobody_knew_does_not_end_with_another_amount(books):
    trade, line = refunded()
    books += [trade, replace(line, amount_minor=299)]
    Refund.objects.update(status="sent", ended_at=None)

    statement = reconcile()

    assert Refund.objects.get().status == "sent"
    assert (statement.attention, statement.last_error) == (UNKNOWN_REFUND, line.out_refund_no)


def test_a_statement_that_cannot_be_had_is_asked_for_again(refunder):
    refunder.can |= {Ability.STATEMENT}
    bought()

    statement = reconcile()
    assert statement.read_at is None
    assert "not to be had" in statement.last_error
    assert statement.due_at > NEXT_DAY

    refunder.booked = {DAY - timedelta(days=1): [], DAY: []}
    assert reconcile(statement.due_at).read_at is not None


def test_a_statement_that_cannot_be_had_for_a_day_is_put_before_a_person(refunder):
    refunder.can |= {Ability.STATEMENT}
    bought()
    statement = reconcile()
    while not statement.attention:
        statement = reconcile(statement.due_at)

    assert statement.attention == NOT_READ
    assert "not to be had" in statement.last_error
    told_at = statement.due_at - timedelta(days=1)
    assert timedelta(hours=16) < told_at - NEXT_DAY < timedelta(hours=26)

    resolve_statement(statement, why=NOT_READ, actor="lin", now=NEXT_DAY)
    assert reconcile(statement.due_at).resolved_by == "lin"


def test_what_the_statement_says_in_the_end_is_news_to_whoever_dealt_with_its_absence(books, refunder):
    booked, refunder.booked = refunder.booked, {}
    trade, line = refunded()
    books += [trade, line, replace(line, out_refund_no="R-elsewhere")]
    Statement.objects.create(
        shop=Receipt.objects.get().shop,
        channel=refunding_channel(),
        day=DAY,
        due_at=NEXT_DAY,
        tries=TRIES_ALONE,
    )
    resolve_statement(reconcile(), why=NOT_READ, actor="lin", now=NEXT_DAY)

    refunder.booked = booked
    statement = reconcile(NEXT_DAY + timedelta(days=1))

    assert (statement.attention, statement.resolved_at, statement.resolved_by) == (UNKNOWN_REFUND, None, "")


def test_a_channel_that_was_left_behind_does_not_speak_for_its_account(books, monkeypatch):
    attempt, _receipt = bought()
    books.append(paid_evidence(attempt))
    PaymentChannel.objects.filter(pk=attempt.channel_id).update(is_enabled=False)
    current = make_channel(slug="current", driver=DRIVER)
    asked = []
    monkeypatch.setattr(
        reconciling, "gateway_for", lambda channel: asked.append(channel) or gateway_for(channel)
    )

    statement = reconcile()

    assert (statement.channel, statement.missing) == (attempt.channel, 0)
    assert asked
    assert set(asked) == {current}


def test_a_list_of_everything_is_read_back_to_what_is_long_known(refunder, monkeypatch):
    refunder.can |= {Ability.LIST}
    attempt, _old = bought()
    Receipt.objects.update(received_at=MORNING - timedelta(days=5))
    newer = begun()
    asked = []

    def trades() -> "list[Evidence]":
        for evidence in (paid_evidence(newer), paid_evidence(attempt), paid_evidence(attempt, txn="older")):
            asked.append(evidence.provider_txn_id)
            yield evidence

    monkeypatch.setattr(refunder, "trades", trades, raising=False)

    assert reconcile().found == 1
    assert "older" not in asked


def test_days_before_the_account_was_used_here_are_nobodys_business(books):
    bought()

    plan_statements(NEXT_DAY + timedelta(days=3))

    assert Statement.objects.order_by("day").first().day == DAY
    assert Statement.objects.count() == 4 <= DAYS_BACK


def test_planning_twice_reads_once(books):
    bought()

    assert plan_statements(NEXT_DAY) == 1
    assert plan_statements(NEXT_DAY) == 0


def test_channels_of_one_account_share_their_statement(books):
    attempt, _receipt = bought()
    twin = attempt.channel
    twin.pk, twin.slug = None, "twin"
    twin.save()
    books.append(paid_evidence(attempt))

    assert reconcile().missing == 0
    assert Statement.objects.count() == 1
