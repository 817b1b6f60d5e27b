"""A prepaid balance as a provider: one debit for an attempt, evidence like any other, refunds."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from cardshop.common.clock import db_now
from cardshop.common.ids import ALPHABET
from orders.models import Order
from orders.services.delivery import deliver_orders
from payments.errors import BookedBefore, ChannelUnavailable, NotEnoughBalance
from payments.gateways import gateway_for, secrets_of
from payments.gateways.base import BadNotice, GatewayRefused, RawCall, RefundState, Trade
from payments.ledger.codes import digest_of, new_code
from payments.ledger.entries import correct, credit, renew_code, set_frozen
from payments.ledgers import ledger_differences
from payments.models import Balance, BalanceEntry, PaymentAttempt, PaymentChannel, Receipt, Refund
from payments.services.polling import ask_provider, poll_due_attempts
from payments.services.reconciling import compare_day
from payments.services.refund_sending import _request
from payments.services.refunds import request_refund
from payments.states import Source
from payments.tasks import send_refunds, settle_receipts
from payments.tests.wanted import WANTED
from tests.balances import balance_channel, left_on, make_balance, pay_with
from tests.factories import NOON, make_order, make_variant
from tests.race.racing import broken_invariants

pytestmark = pytest.mark.django_db(transaction=True)


def make_ordered() -> Order:
    return make_order(make_variant(keys=1))


def pay_and_deliver(order: Order, code: str) -> PaymentAttempt:
    attempt = pay_with(order, code)
    ask_provider(attempt, source=Source.POLL, now=db_now())
    settle_receipts()
    deliver_orders([order.pk], db_now())
    order.refresh_from_db()
    return attempt


def entries_of(balance: Balance) -> list[tuple[str, int, int]]:
    return list(balance.entries.order_by("pk").values_list("kind", "amount_minor", "after_minor"))


def test_an_order_is_paid_from_it_and_delivered():
    (balance, code), order = make_balance(5000), make_ordered()

    attempt = pay_and_deliver(order, code)

    assert order.status == "delivered"
    assert entries_of(balance) == [("credit", 5000, 5000), ("payment", -990, 4010)]
    assert left_on(balance) == 4010
    entry = balance.entries.get(kind="payment")
    assert (entry.reference, entry.reason) == (attempt.out_trade_no, order.number)
    assert Receipt.objects.get().provider_txn_id == f"B{entry.pk}"
    assert broken_invariants() == []
    assert list(ledger_differences(settled=True)) == []


@pytest.mark.parametrize("typed", ["{}", " {} ", "small", "bare", "wide"])
def test_a_code_may_be_typed_in_many_ways(typed):
    balance, code = make_balance()
    forms = {
        "small": code.lower(),
        "bare": code.replace("-", " "),
        "wide": "".join(chr(ord(char) + 0xFEE0) for char in code),
    }

    pay_with(make_ordered(), forms.get(typed) or typed.format(code))

    assert left_on(balance) == 4010


def test_a_code_is_twenty_random_characters_that_another_shop_does_not_know():
    codes = {new_code() for _ in range(50)}

    assert len(codes) == 50
    assert all([len(group) for group in code.split("-")] == [5, 5, 5, 5] for code in codes)
    assert all(set(code) <= {*ALPHABET, "-"} for code in codes)
    code = codes.pop()
    assert digest_of(code, shop_id=1) != digest_of(code, shop_id=2)


def damage(what: str, balance: Balance, code: str) -> str:
    """Returns what the buyer enters then."""
    match what:
        case "too little":
            correct(balance, amount_minor=-4011, reason="mistake", actor="boss", now=db_now())
        case "frozen":
            assert set_frozen(balance, True)
        case "other currency":
            Balance.objects.update(currency="USD")
        case "renewed":
            renew_code(balance)
        case "wrong":
            return new_code()
    return code


@pytest.mark.parametrize("what", ["too little", "frozen", "other currency", "renewed", "wrong"])
def test_what_cannot_be_paid_takes_nothing_and_another_try_is_another_attempt(what):
    (balance, code), order = make_balance(5000), make_ordered()
    entered = damage(what, balance, code)
    before = left_on(balance)

    for _ in range(2):
        with pytest.raises(ChannelUnavailable):
            pay_with(order, entered)

    assert left_on(balance) == before
    assert not balance.entries.filter(kind="payment").exists()
    assert [(a.status, a.next_query_at) for a in PaymentAttempt.objects.all()] == [("failed", None)] * 2
    assert poll_due_attempts(clock=lambda: db_now() + timedelta(seconds=10)) == 0


def test_what_just_suffices_is_enough():
    balance, code = make_balance(990)

    pay_with(make_ordered(), code)

    assert left_on(balance) == 0


def wanted(code: str, **changes):
    fields = {name: getattr(WANTED, name) for name in WANTED.__dataclass_fields__}
    fields |= {"payer": code, "expires_at": db_now() + timedelta(minutes=15)}
    return type(WANTED)(**{**fields, **changes})


def test_asked_twice_for_one_attempt_it_is_debited_once_whatever_has_changed_since():
    (balance, code), gateway = make_balance(1000), gateway_for(balance_channel())
    gateway.create(wanted(code))
    set_frozen(balance, True)

    page = gateway.create(wanted(code, expires_at=NOON))

    assert page.url == WANTED.return_url
    assert entries_of(balance) == [("credit", 1000, 1000), ("payment", -990, 10)]


def test_nothing_is_taken_once_the_hold_has_ended():
    (balance, code), gateway = make_balance(), gateway_for(balance_channel())

    with pytest.raises(GatewayRefused, match="the hold has ended"):
        gateway.create(wanted(code, expires_at=db_now()))

    assert left_on(balance) == 5000


def test_a_debit_whose_process_died_is_found_by_polling():
    """Killed before it could even write down that the attempt is open."""
    (balance, code), order = make_balance(), make_ordered()
    pay_with(order, code)
    PaymentAttempt.objects.update(status="created", pay_url="", next_query_at=db_now())

    assert poll_due_attempts(clock=db_now) == 1
    settle_receipts()

    order.refresh_from_db()
    assert order.status == "paid"
    assert left_on(balance) == 4010


def test_and_pressing_again_continues_the_same_attempt():
    (balance, code), order = make_balance(), make_ordered()
    first = pay_with(order, code)
    PaymentAttempt.objects.update(status="created", pay_url="")

    assert pay_with(order, code) == first
    assert left_on(balance) == 4010


def test_money_that_nobody_recorded_is_in_the_days_comparison_and_in_the_ledgers():
    (_balance, code), order = make_balance(), make_ordered()
    pay_with(order, code)
    PaymentAttempt.objects.update(next_query_at=None)
    (difference,) = ledger_differences(settled=False)
    assert "is in the provider's ledger and not in ours" in difference

    assert compare_day(balance_channel(), db_now().date(), now=db_now()).found == 1
    settle_receipts()

    order.refresh_from_db()
    assert order.status == "paid"
    assert list(ledger_differences(settled=True)) == []


def refund(order: Order, amount_minor: int = 990) -> Refund:
    receipt = Receipt.objects.get(attempt__payment__order=order)
    item = order.items.get() if amount_minor == 990 else None
    said = {"reason": "as agreed", "actor": "boss", "now": db_now()}
    refunded = request_refund(receipt, amount_minor=amount_minor, item=item, **said)
    send_refunds()
    refunded.refresh_from_db()
    return refunded


def test_a_refund_goes_back_to_where_the_money_came_from_though_it_is_frozen():
    (balance, code), order = make_balance(), make_ordered()
    pay_and_deliver(order, code)
    set_frozen(balance, True)

    refunded = refund(order)

    assert refunded.status == "done"
    assert left_on(balance) == 5000
    assert entries_of(balance)[-1] == ("refund", 990, 5000)
    assert balance.entries.get(kind="refund").reason == order.number  # and not why the merchant refunds
    order.refresh_from_db()
    assert order.status == "refunded"
    assert broken_invariants() == []


def test_a_refund_asked_for_twice_is_one():
    (balance, code), order = make_balance(), make_ordered()
    pay_and_deliver(order, code)
    request = _request(Refund.objects.select_related("receipt__attempt").get(pk=refund(order, 300).pk))
    gateway = gateway_for(balance_channel())

    assert gateway.refund(request) is RefundState.DONE
    assert gateway.ask_refund(request) is RefundState.DONE

    assert left_on(balance) == 4310
    assert balance.entries.filter(kind="refund").count() == 1


@pytest.mark.parametrize("change", [{"amount_minor": 200}, {"trade": Trade(out_trade_no="another")}])
def test_another_refund_under_the_same_number_is_refused(change):
    (balance, code), order = make_balance(), make_ordered()
    pay_and_deliver(order, code)
    request = _request(Refund.objects.select_related("receipt__attempt").get(pk=refund(order, 300).pk))
    fields = {name: getattr(request, name) for name in request.__dataclass_fields__}

    with pytest.raises(GatewayRefused):
        gateway_for(balance_channel()).refund(type(request)(**{**fields, **change}))

    assert left_on(balance) == 4310


def test_what_it_does_not_know_it_says_so():
    gateway = gateway_for(balance_channel())

    assert gateway.query(Trade(out_trade_no="nobody's")) is None
    with pytest.raises(BadNotice):
        gateway.read_notice(RawCall(method="POST", query="", body="{}"), at=NOON)


def test_another_shops_trades_are_not_told():
    (_balance, code), order = make_balance(), make_ordered()
    attempt = pay_with(order, code)
    other = balance_channel()
    other.shop_id += 1

    assert gateway_for(other).query(Trade(out_trade_no=attempt.out_trade_no)) is None
    assert list(gateway_for(other).trades()) == []
    assert [t.out_trade_no for t in gateway_for(balance_channel()).trades()] == [attempt.out_trade_no]


def test_a_form_sent_twice_books_once_and_a_correction_leaves_no_debt():
    balance, _code = make_balance(5000, reference="form")
    said = {"reference": "form", "reason": "again", "actor": "boss", "now": db_now()}

    with pytest.raises(BookedBefore):
        credit(balance, amount_minor=5000, **said)
    with pytest.raises(BookedBefore):
        make_balance(5000, reference="form")
    with pytest.raises(NotEnoughBalance, match=r"¥50\.00"):
        correct(balance, amount_minor=-5001, **said)
    correct(balance, amount_minor=-5000, **said)

    assert Balance.objects.count() == 1
    assert entries_of(balance) == [("credit", 5000, 5000), ("correction", -5000, 0)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "payment", "amount_minor": 5},
        {"kind": "refund", "amount_minor": -5},
        {"kind": "correction", "amount_minor": 0},
        {"kind": "gift", "amount_minor": 5},
        {"kind": "payment", "amount_minor": -5, "after_minor": -1},
    ],
)
def test_the_table_takes_no_entry_that_makes_no_sense(wrong):
    balance, _code = make_balance()

    with pytest.raises(IntegrityError), transaction.atomic():
        BalanceEntry.objects.create(**{"balance": balance, "after_minor": 5, "at": NOON, **wrong})


def test_a_channel_without_secrets_has_none():
    assert secrets_of(PaymentChannel(driver="balance")) == {}
