from urllib.parse import urlencode

import pytest

from sandbox import epay
from sandbox.tests.actors import KEY, PID, RunningSandbox, Shop


def test_creating_a_trade_answers_exactly_one_way_to_pay(sandbox: RunningSandbox, shop: Shop) -> None:
    answer = sandbox.create(shop.bill())

    trade_no = answer["trade_no"]
    assert answer == {
        "code": 1,
        "trade_no": trade_no,
        "payurl": f"{sandbox.base_url}/pay/{trade_no}",
    }
    assert len(trade_no) == 19
    assert trade_no.isdecimal()


def test_the_same_call_again_finds_the_same_trade(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill()

    assert sandbox.create(form) == sandbox.create(form)


@pytest.mark.parametrize(
    "change",
    [
        {"money": "1.01"},
        {"name": "other"},
        {"type": "wxpay"},
        {"param": "x"},
        {"notify_url": "http://127.0.0.1/other"},
        {"return_url": "http://127.0.0.1/other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_same_number_for_a_changed_bill_is_rejected(
    sandbox: RunningSandbox, shop: Shop, change: dict[str, str]
) -> None:
    form = shop.bill()
    sandbox.open_trade(form)

    answer = sandbox.create(shop.bill(out_trade_no=form["out_trade_no"], **change))

    assert answer["code"] == -1
    assert "支付参数有变化" in answer["msg"]


def test_other_spellings_of_one_amount_are_the_same_bill(sandbox: RunningSandbox, shop: Shop) -> None:
    first = sandbox.open_trade(shop.bill(out_trade_no="spelt", money="1"))

    assert sandbox.open_trade(shop.bill(out_trade_no="spelt", money="1.0")) == first


def test_a_paid_bill_cannot_be_opened_again(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill()
    sandbox.pay(sandbox.open_trade(form))

    assert "已完成支付" in sandbox.create(form)["msg"]


def test_two_merchants_may_use_one_number(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill()
    other = epay.signed({**form, "pid": "1002"}, "canary-of-1002")

    assert sandbox.open_trade(form) != sandbox.open_trade(other)


@pytest.mark.parametrize(
    "forged",
    [{"sign": ""}, {"sign": "0" * 32}, {"sign": "签"}, {"money": "0.01"}, {"sign_type": "RSA"}],
)
def test_a_call_that_is_not_signed_right_is_rejected(
    sandbox: RunningSandbox, shop: Shop, forged: dict[str, str]
) -> None:
    assert sandbox.create({**shop.bill(), **forged})["code"] == -3


def test_a_call_signed_by_another_merchant_is_rejected(sandbox: RunningSandbox, shop: Shop) -> None:
    assert sandbox.create(epay.signed(shop.bill(), "canary-of-1002"))["code"] == -3


@pytest.mark.parametrize("money", ["1e3", "-1", "0", "1.001", "١", "１", "1 000", "NaN"])
def test_an_amount_that_is_none_is_rejected(sandbox: RunningSandbox, shop: Shop, money: str) -> None:
    answer = sandbox.create(shop.bill(money=money))

    assert answer == {"code": -1, "msg": "金额不合法"}


@pytest.mark.parametrize(
    "change",
    [
        {"type": "cash"},
        {"out_trade_no": "a b"},
        {"out_trade_no": "x" * 65},
        {"out_trade_no": ""},
        {"notify_url": "http://example.org/n"},
        {"notify_url": ""},
        {"return_url": "javascript:alert(1)"},
        {"return_url": "http://127.0.0.1/\r\nSet-Cookie: a=b"},
        {"name": ""},
        {"money": ""},
        {"clientip": ""},
        {"param": "x" * 513},
    ],
    ids=str,
)
def test_a_bill_that_cannot_be_is_rejected(
    sandbox: RunningSandbox, shop: Shop, change: dict[str, str]
) -> None:
    assert sandbox.create(shop.bill(**change))["code"] == -1


def test_an_unknown_merchant_and_an_empty_call_are_rejected(sandbox: RunningSandbox, shop: Shop) -> None:
    assert sandbox.create(shop.bill(pid="9999"))["code"] == -1
    assert sandbox.create({})["code"] == -4


def test_an_array_for_a_field_is_a_field_left_out(sandbox: RunningSandbox, shop: Shop) -> None:
    """The signature still holds, for arrays are not signed: the trap is in what is read later."""
    form = shop.bill(money="")

    answer = sandbox.create({**form, "money[]": "1.00"})

    assert answer == {"code": -1, "msg": "money不能为空"}


def test_an_extra_array_does_not_break_the_signature(sandbox: RunningSandbox, shop: Shop) -> None:
    assert sandbox.create({**shop.bill(), "more[]": "x"})["code"] == 1


def test_a_long_name_is_signed_whole_and_kept_cut(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill(name="卡" * 60))

    assert sandbox.order(trade_no=trade_no)["name"] == "卡" * 42


def test_submit_takes_the_buyer_to_the_pay_page(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill()

    by_get = sandbox.http.get("/submit.php", params=form)
    by_post = sandbox.http.post("/submit.php", data=form)

    trade_no = sandbox.order(out_trade_no=form["out_trade_no"])["trade_no"]
    assert by_get.status_code == by_post.status_code == 303
    assert by_get.headers["location"] == f"{sandbox.base_url}/pay/{trade_no}"
    assert by_post.headers["location"] == by_get.headers["location"]


def test_submit_explains_an_error_on_a_page(sandbox: RunningSandbox, shop: Shop) -> None:
    answer = sandbox.http.get("/submit.php", params={**shop.bill(), "sign": "x"})

    assert answer.status_code == 400
    assert "MD5签名校验失败" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_an_unpaid_order_and_a_paid_one_are_told_apart(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill(money="9.9", param="p-7")
    trade_no = sandbox.open_trade(form)
    unpaid = sandbox.order(out_trade_no=form["out_trade_no"])

    sandbox.pay(trade_no)
    paid = sandbox.order(trade_no=trade_no)

    assert (unpaid["code"], unpaid["status"], unpaid["endtime"]) == (1, 0, None)
    assert {name: paid[name] for name in ("code", "msg", "status", "money", "param", "pid")} == {
        "code": 1,
        "msg": "succ",
        "status": 1,
        "money": "9.90",
        "param": "p-7",
        "pid": 1001,
    }
    assert set(paid) == set(unpaid)
    assert {"api_trade_no", "type", "addtime", "endtime", "name", "buyer"} < set(paid)


def test_orders_are_asked_for_with_the_right_key_only(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())

    assert sandbox.order(trade_no=trade_no, key="wrong")["code"] == -3
    assert sandbox.order(trade_no=trade_no, key="钥匙")["code"] == -3
    assert sandbox.order(trade_no=trade_no, pid="9999")["code"] == -3
    assert sandbox.order(trade_no=trade_no, pid="1002", key="canary-of-1002")["code"] == -1
    assert sandbox.order(out_trade_no="unknown")["code"] == -1
    assert sandbox.order()["code"] == -4


def test_the_list_of_orders_is_newest_first_in_pages_of_at_most_50(
    sandbox: RunningSandbox, shop: Shop
) -> None:
    opened = [sandbox.open_trade(shop.bill()) for _ in range(52)][::-1]

    def listed(**asked: str) -> list[str]:
        query = {"act": "orders", "pid": PID, "key": KEY, **asked}
        answer = sandbox.http.get("/api.php", params=query).json()
        assert (answer["code"], answer["count"]) == (1, len(answer["data"]))
        return [order["trade_no"] for order in answer["data"]]

    assert listed() == opened[:10]
    assert listed(limit="999") == opened[:50]
    assert listed(limit="20", page="2") == opened[20:40]
    assert listed(limit="20", offset="5") == opened[5:25]
    assert listed(limit="x", page="-1") == opened[:10]


def test_a_refund_succeeds_with_code_0(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill(money="5.00")
    trade_no = sandbox.open_trade(form)
    sandbox.pay(trade_no)

    answer = sandbox.refund(out_trade_no=form["out_trade_no"], money="2")

    assert answer["code"] == 0
    assert sandbox.booked(trade_no)["refunded_fen"] == 200
    assert sandbox.order(trade_no=trade_no)["status"] == 2


def test_a_refund_asked_twice_is_made_twice_but_never_beyond_the_payment(
    sandbox: RunningSandbox, shop: Shop
) -> None:
    trade_no = sandbox.open_trade(shop.bill(money="5.00"))
    sandbox.pay(trade_no)

    answers = [sandbox.refund(trade_no=trade_no, money="2.00") for _ in range(3)]

    assert [answer["code"] for answer in answers] == [0, 0, -1]
    assert answers[2]["msg"] == "退款金额不能超过该订单剩余可退款金额！"
    assert sandbox.booked(trade_no)["refunded_fen"] == 400


def test_what_cannot_be_refunded_is_refused(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())

    assert sandbox.refund(trade_no=trade_no, money="1")["msg"] == "该订单状态不支持退款！"
    sandbox.pay(trade_no)
    assert sandbox.refund(trade_no=trade_no, money="1e0")["code"] == -1
    assert sandbox.refund(trade_no=trade_no)["code"] == -1
    assert sandbox.refund(trade_no=trade_no, money="1", key="wrong")["code"] == -3
    assert sandbox.refund(trade_no="0", money="1")["code"] == -1
    assert sandbox.booked(trade_no)["refunded_fen"] == 0


def test_a_merchant_may_ask_about_himself_and_the_key_is_not_repeated(
    sandbox: RunningSandbox,
) -> None:
    answer = sandbox.http.get("/api.php", params={"act": "query", "pid": PID, "key": KEY})

    assert answer.json()["code"] == 1
    assert answer.json()["pid"] == 1001
    assert KEY not in answer.text


def test_an_unknown_act_is_code_minus_5(sandbox: RunningSandbox) -> None:
    assert sandbox.http.get("/api.php").json()["code"] == -5


@pytest.mark.parametrize("path", ["/mapi.php", "/submit.php", "/api.php?act=refund"])
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"x" * (64 * 1024 + 1), "application/x-www-form-urlencoded", 413),
        (b"pid=%ff", "application/x-www-form-urlencoded", 400),
        (b"\xff\xfe", "", 400),
        (urlencode([("a", "1")] * 101).encode(), "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 415),
    ],
    ids=["oversize", "not utf-8", "raw bytes", "too many fields", "json"],
)
def test_a_body_that_is_no_form_is_refused_with_its_status(
    sandbox: RunningSandbox, path: str, body: bytes, content_type: str, status: int
) -> None:
    answer = sandbox.http.post(path, content=body, headers={"Content-Type": content_type})

    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_an_oversize_body_without_a_length_is_refused_too(sandbox: RunningSandbox) -> None:
    answer = sandbox.http.post("/mapi.php", content=iter([b"x" * 40_000] * 3))

    assert answer.status_code == 413


def test_head_is_get_without_the_body(sandbox: RunningSandbox) -> None:
    answer = sandbox.http.head("/healthz")

    assert (answer.status_code, answer.content) == (200, b"")


def test_unknown_addresses_and_methods_are_refused(sandbox: RunningSandbox) -> None:
    assert sandbox.http.get("/admin").status_code == 404
    assert sandbox.http.get("/mapi.php").status_code == 405
    assert sandbox.http.delete("/_sandbox/ledger").status_code == 405
