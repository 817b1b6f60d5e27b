import pytest

from sandbox import epay
from sandbox.notices import RETRY_AT, RETRY_GAPS
from sandbox.tests.actors import KEY, PID, RunningSandbox, Shop, wait_until


def test_a_notice_says_what_was_paid_and_is_signed(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill(money="1.00", name="VIP会员 & 1+1", param="")
    trade_no = sandbox.open_trade(form)

    sandbox.pay(trade_no)

    [notice] = shop.wait_for(1)
    assert epay.verify(notice, KEY)
    assert len(notice.pop("sign")) == 32
    assert notice == {
        "pid": PID,
        "trade_no": trade_no,
        "out_trade_no": form["out_trade_no"],
        "type": "alipay",
        "name": "VIP会员 & 1+1",
        "money": "1",
        "trade_status": "TRADE_SUCCESS",
        "sign_type": "MD5",
    }


def test_the_shops_own_query_stays_in_front(sandbox: RunningSandbox, shop: Shop) -> None:
    notify_url = f"{shop.base_url}/notify/epay/?channel=7"

    sandbox.pay(sandbox.open_trade(shop.bill(notify_url=notify_url)))

    [notice] = shop.wait_for(1)
    assert notice["channel"] == "7"
    assert shop.received[0].path == "/notify/epay/"


@pytest.mark.parametrize("reply", [(200, "success"), (500, "<h1>success</h1>")])
def test_the_word_anywhere_acknowledges_whatever_the_status(
    sandbox: RunningSandbox, shop: Shop, reply: tuple[int, str]
) -> None:
    shop.replies = [reply]
    trade_no = sandbox.open_trade(shop.bill())

    sandbox.pay(trade_no)

    wait_until(lambda: sandbox.outcomes(trade_no) == ["acknowledged"])


def test_without_the_word_a_notice_is_retried_until_it_comes(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(time_scale=0.001)
    shop.replies = [(200, "ok"), (500, "")]
    trade_no = sandbox.open_trade(shop.bill())

    sandbox.pay(trade_no)

    first, second, third = shop.wait_for(3)
    wait_until(lambda: sandbox.outcomes(trade_no) == ["refused", "refused", "acknowledged"])
    assert first == second == third
    times = [received.at for received in shop.received]
    assert times[1] - times[0] >= 0.059  # 1 min by the knob, less what two clocks may differ
    assert times[2] - times[1] >= 0.119


def test_after_five_retries_it_gives_up(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(time_scale=0.0001)
    shop.replies = [(200, "no")] * 9
    trade_no = sandbox.open_trade(shop.bill())

    sandbox.pay(trade_no)

    wait_until(lambda: sandbox.outcomes(trade_no) == ["refused"] * 6)


def test_the_schedule_is_epays() -> None:
    assert RETRY_AT == (60, 180, 1200, 3600, 7200)
    assert RETRY_GAPS == (60, 120, 1020, 2400, 3600)


def test_a_redirect_is_not_followed(sandbox: RunningSandbox, shop: Shop) -> None:
    shop.replies = [(302, "")]
    trade_no = sandbox.open_trade(shop.bill())

    sandbox.pay(trade_no)

    wait_until(lambda: "refused" in sandbox.outcomes(trade_no))
    assert [received.path for received in shop.received] == ["/notify"]


def test_a_shop_that_is_down_is_tried_again(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(time_scale=0.0001)
    shop.close()
    trade_no = sandbox.open_trade(shop.bill())

    sandbox.pay(trade_no)

    gone = "no answer: ConnectionRefusedError"
    wait_until(lambda: sandbox.outcomes(trade_no) == [gone] * 6)


def test_a_notice_can_be_sent_again_by_hand(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())
    unpaid = sandbox.http.post(f"/_sandbox/trades/{trade_no}/notify")
    sandbox.pay(trade_no)
    shop.wait_for(1)

    again = sandbox.http.post(f"/_sandbox/trades/{trade_no}/notify")

    first, second = shop.wait_for(2)
    assert (unpaid.status_code, again.status_code) == (409, 202)
    assert first == second


def test_many_buyers_at_once_are_all_told(sandbox: RunningSandbox, shop: Shop) -> None:
    trades = [sandbox.open_trade(shop.bill()) for _ in range(60)]

    for trade_no in trades:
        sandbox.pay(trade_no)

    told = shop.wait_for(60)
    assert sorted(notice["trade_no"] for notice in told) == sorted(trades)
