import time

import httpx
import pytest

from sandbox import epay
from sandbox.tests.actors import KEY, RunningSandbox, Shop, wait_until


def test_asking_and_turning_nothing_show_all_knobs_at_rest(sandbox: RunningSandbox) -> None:
    at_rest = {
        "notice_delay_s": 0,
        "notice_drop": 0,
        "notice_copies": 1,
        "notice_reorder": 0,
        "notice_corrupt": 0,
        "notice_status": "TRADE_SUCCESS",
        "api_error": 0,
        "api_lost": 0,
        "answer_corrupt": 0,
        "usdt_full": 0,
        "pay_dead": "none",
        "api_delay_s": 0,
        "create_delay_s": 0,
        "time_scale": 1,
        "webhook_url": "",
        "answer": "payurl",
    }

    assert sandbox.http.get("/_sandbox/knobs").json() == at_rest
    assert sandbox.http.post("/_sandbox/knobs", json={}).json() == at_rest


def test_reset_turns_them_back_and_keeps_the_ledger(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())
    sandbox.turn(notice_drop=-1)

    assert sandbox.http.post("/_sandbox/reset").json()["notice_drop"] == 0
    assert sandbox.booked(trade_no)["status"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"notice_dropp": 1},
        {"notice_drop": -2},
        {"notice_drop": 1.5},
        {"notice_drop": "1"},
        {"notice_drop": True},
        {"notice_drop": None},
        {"notice_copies": 0},
        {"api_delay_s": 61},
        {"api_delay_s": [1]},
        {"time_scale": 0},
        {"notice_status": "a&b"},
        {"notice_status": 1},
        {"answer": "urlscheme"},
    ],
    ids=str,
)
def test_a_knob_that_is_none_turns_nothing(sandbox: RunningSandbox, wrong: dict[str, object]) -> None:
    answer = sandbox.http.post("/_sandbox/knobs", json={"notice_delay_s": 9, **wrong})

    assert answer.status_code == 400
    assert next(iter(wrong)) in answer.json()["msg"]
    assert sandbox.http.get("/_sandbox/knobs").json()["notice_delay_s"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b"{",
        b"\xff",
        b'{"api_delay_s": NaN}',
        b'{"api_delay_s": 1%s}' % (b"0" * 400),
        b"[" * 60_000,
    ],
    ids=["list", "number", "cut", "bytes", "nan", "huge", "deep"],
)
def test_a_body_that_is_no_object_of_knobs_is_refused(sandbox: RunningSandbox, body: bytes) -> None:
    assert sandbox.http.post("/_sandbox/knobs", content=body).status_code == 400


def test_notice_delay_s_waits(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(notice_delay_s=0.3)
    paid_at = time.monotonic()

    sandbox.pay(sandbox.open_trade(shop.bill()))

    shop.wait_for(1)
    assert shop.received[0].at - paid_at >= 0.3


def test_notice_drop_loses_the_next_and_its_retry_arrives(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(notice_drop=1, time_scale=0.001)
    trade_no = sandbox.open_trade(shop.bill())

    sandbox.pay(trade_no)

    shop.wait_for(1)
    wait_until(lambda: sandbox.outcomes(trade_no) == ["dropped", "acknowledged"])
    assert len(shop.received) == 1


def test_notice_drop_minus_one_loses_them_all(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(notice_drop=-1, time_scale=0.0001)
    trade_no = sandbox.open_trade(shop.bill())

    sandbox.pay(trade_no)

    wait_until(lambda: sandbox.outcomes(trade_no) == ["dropped"] * 6)
    assert shop.received == []


def test_notice_copies_sends_each_many_times_and_retries_one(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(notice_copies=20)
    shop.replies = [(200, "no")] * 20
    trade_no = sandbox.open_trade(shop.bill())

    sandbox.pay(trade_no)

    notices = shop.wait_for(20)
    wait_until(lambda: sandbox.outcomes(trade_no) == ["refused"] * 20 + [None])  # the retry, in 60 s
    assert all(notice == notices[0] for notice in notices)


def test_notice_reorder_holds_some_back_and_sends_the_last_first(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(notice_reorder=3)
    trades = [sandbox.open_trade(shop.bill()) for _ in range(3)]

    for trade_no in trades:
        assert shop.received == []
        sandbox.pay(trade_no)

    assert [notice["trade_no"] for notice in shop.wait_for(3)] == trades[::-1]


def test_turning_notice_reorder_off_lets_go_of_what_is_held(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(notice_reorder=3)
    sandbox.pay(sandbox.open_trade(shop.bill()))

    sandbox.turn(notice_reorder=0)

    assert len(shop.wait_for(1)) == 1


def test_notice_corrupt_signs_the_next_one_wrong(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(notice_corrupt=1, time_scale=0.001)
    shop.replies = [(400, "bad signature")]

    sandbox.pay(sandbox.open_trade(shop.bill()))

    wrong, right = shop.wait_for(2)
    assert not epay.verify(wrong, KEY)
    assert epay.verify(right, KEY)
    assert {**wrong, "sign": right["sign"]} == right


def test_notice_status_is_said_with_a_valid_sign(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(notice_status="WAIT_BUYER_PAY")

    answer = sandbox.pay(sandbox.open_trade(shop.bill())).json()

    [notice] = shop.wait_for(1)
    assert notice["trade_status"] == "WAIT_BUYER_PAY"
    assert epay.verify(notice, KEY)
    assert "trade_status=TRADE_SUCCESS" in answer["return_url"]


def test_api_error_fails_the_next_calls_and_does_nothing(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill()
    sandbox.turn(api_error=2)

    failed = sandbox.http.post("/mapi.php", data=form)
    failed_too = sandbox.http.get("/api.php?act=order")

    assert failed.status_code == failed_too.status_code == 500
    assert sandbox.order(out_trade_no=form["out_trade_no"])["msg"] == "订单号不存在"
    assert sandbox.http.get("/_sandbox/knobs").json()["api_error"] == 0


def test_api_error_minus_one_fails_until_it_is_turned_back(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(api_error=-1)

    statuses = [sandbox.http.post("/mapi.php", data=shop.bill()).status_code for _ in range(3)]

    assert statuses == [500, 500, 500]
    sandbox.turn(api_error=0)
    assert sandbox.create(shop.bill())["code"] == 1


def test_api_lost_does_the_work_and_hides_it(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())
    sandbox.pay(trade_no)
    sandbox.turn(api_lost=1)

    lost = sandbox.refund(trade_no=trade_no, money="0.40")

    assert lost == {"code": -1, "msg": "api_lost"}
    assert sandbox.booked(trade_no)["refunded_fen"] == 40


def test_api_delay_s_keeps_the_caller_waiting(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(api_delay_s=0.3)
    begun = time.monotonic()

    sandbox.create(shop.bill())

    assert time.monotonic() - begun >= 0.3


def test_create_delay_s_records_the_trade_before_the_caller_gives_up(
    sandbox: RunningSandbox, shop: Shop
) -> None:
    sandbox.turn(create_delay_s=2)
    form = shop.bill()

    with pytest.raises(httpx.ReadTimeout):
        sandbox.http.post("/mapi.php", data=form, timeout=1)

    assert sandbox.order(out_trade_no=form["out_trade_no"])["status"] == 0


def test_answer_qrcode_is_for_wxpay_only(sandbox: RunningSandbox, shop: Shop) -> None:
    sandbox.turn(answer="qrcode")

    wechat = sandbox.create(shop.bill(type="wxpay"))
    alipay = sandbox.create(shop.bill())

    assert wechat.keys() == {"code", "trade_no", "qrcode"}
    assert alipay.keys() == {"code", "trade_no", "payurl"}


def test_a_dead_channel_opens_trades_and_takes_no_money(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())
    sandbox.turn(pay_dead="epay_v1")

    assert sandbox.pay(trade_no).json()["captured"] is False
    pressed = sandbox.http.post(f"/pay/{trade_no}", data={"action": "pay"})
    assert "sign=" not in pressed.headers["Location"]
    assert sandbox.order(trade_no=trade_no)["status"] == 0
    sandbox.turn(pay_dead="none")
    assert sandbox.pay(trade_no).json()["captured"] is True
