from datetime import datetime

import pytest

from sandbox import epay
from sandbox.tests.actors import KEY, RunningSandbox, Shop, wait_until


def test_paying_answers_the_trade_and_the_signed_way_back(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill(money="2.50")
    trade_no = sandbox.open_trade(form)

    answer = sandbox.pay(trade_no).json()

    trade = answer["trade"]
    assert answer["captured"] is True
    assert answer["return_url"].startswith(f"{shop.base_url}/return?order=7&pid=1001")
    assert datetime.fromisoformat(trade.pop("paid_at")).tzinfo is not None
    assert datetime.fromisoformat(trade.pop("created_at")).tzinfo is not None
    assert trade == {
        "trade_no": trade_no,
        "out_trade_no": form["out_trade_no"],
        "pid": "1001",
        "protocol": "epay_v1",
        "type": "alipay",
        "currency": "CNY",
        "asked_fen": 250,
        "money_fen": 250,
        "status": 1,
        "refunded_fen": 0,
        "repeat_of": None,
    }


def test_paying_a_paid_trade_captures_nothing(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())
    sandbox.pay(trade_no)

    answer = sandbox.pay(trade_no, money="9.00").json()

    assert answer["captured"] is False
    assert answer["trade"]["money_fen"] == 100
    assert len(sandbox.outcomes(trade_no)) == 1


@pytest.mark.parametrize(("money", "fen", "shown"), [("0.99", 99, "0.99"), ("1.10", 110, "1.1")])
def test_another_amount_can_be_captured_than_was_asked(
    sandbox: RunningSandbox, shop: Shop, money: str, fen: int, shown: str
) -> None:
    trade_no = sandbox.open_trade(shop.bill(money="1.00"))

    sandbox.pay(trade_no, money=money)

    [notice] = shop.wait_for(1)
    assert notice["money"] == shown
    assert epay.verify(notice, KEY)
    booked = sandbox.booked(trade_no)
    assert (booked["asked_fen"], booked["money_fen"]) == (100, fen)
    assert sandbox.order(trade_no=trade_no)["money"] == money


def test_a_bill_can_be_paid_again_under_a_new_trade_number(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill()
    trade_no = sandbox.open_trade(form)
    sandbox.pay(trade_no)

    answer = sandbox.pay(trade_no, again=True).json()

    first, second = shop.wait_for(2)
    repeat = answer["trade"]
    assert (answer["captured"], repeat["repeat_of"], repeat["status"]) == (True, trade_no, 1)
    assert {first["trade_no"], second["trade_no"]} == {trade_no, repeat["trade_no"]}
    assert first["out_trade_no"] == second["out_trade_no"] == form["out_trade_no"]
    # Asked by the merchant's number, the gateway knows of the first only.
    assert sandbox.order(out_trade_no=form["out_trade_no"])["trade_no"] == trade_no
    assert sandbox.order(trade_no=repeat["trade_no"])["status"] == 1


def test_an_unpaid_bill_cannot_be_paid_again(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())

    assert sandbox.pay(trade_no, again=True).status_code == 409
    assert sandbox.booked(trade_no)["status"] == 0


@pytest.mark.parametrize(
    "wishes",
    [{"money": 1}, {"money": "1e3"}, {"money": ""}, {"again": 1}, {"moneyy": "1"}],
    ids=str,
)
def test_a_wish_that_makes_no_sense_is_refused(
    sandbox: RunningSandbox, shop: Shop, wishes: dict[str, object]
) -> None:
    trade_no = sandbox.open_trade(shop.bill())

    assert sandbox.pay(trade_no, **wishes).status_code == 400
    assert sandbox.booked(trade_no)["status"] == 0


def test_a_trade_that_is_not_there_cannot_be_paid_or_notified(sandbox: RunningSandbox) -> None:
    assert sandbox.pay("0").status_code == 404
    assert sandbox.http.post("/_sandbox/trades/0/notify").status_code == 404


def test_notices_are_listed_with_how_they_ended(sandbox: RunningSandbox, shop: Shop) -> None:
    shop.replies = [(503, "later")]
    trade_no = sandbox.open_trade(shop.bill())
    sandbox.pay(trade_no)
    wait_until(lambda: len(sandbox.outcomes(trade_no)) == 2)

    sent, planned = [
        notice for notice in sandbox.http.get("/_sandbox/notices").json() if notice["trade_no"] == trade_no
    ]

    assert (sent["outcome"], sent["http_status"], sent["retries_left"]) == ("refused", 503, 5)
    assert (planned["outcome"], planned["ended_at"], planned["retries_left"]) == (None, None, 4)
