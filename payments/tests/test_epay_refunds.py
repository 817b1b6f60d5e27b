"""EPay v1: refunds, which can be sent only once, and the dialects of its copies."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from django.utils.translation import override

from payments.gateways.base import Ability, BadNotice, GatewayError, GatewayRefused, PayPage, RefundState
from payments.gateways.drivers import Account
from payments.gateways.epay import DRIVER, sign, verify
from payments.tests.test_epay import PAID, gateway, notice, says
from payments.tests.wanted import REFUND, WANTED
from tests.factories import NOON, SECRET

MADE = {"code": 0, "msg": "退款成功", "trade_no": "T1", "out_trade_no": "A1", "money": "0.9"}


def counting(*answers):
    """A driver of a provider that gives these answers, and the requests that it got."""
    requests, left = [], iter(answers)

    def answer(request):
        requests.append(request)
        said = next(left)
        if isinstance(said, Exception):
            raise said
        return httpx.Response(200, json=said)

    return gateway(answer), requests


def test_a_refund_is_asked_for_with_the_key_in_the_body_and_by_the_transaction():
    desk, requests = counting(MADE)

    assert desk.refund(REFUND) is RefundState.DONE

    (request,) = requests
    assert str(request.url) == "https://pay.example/epay/api.php?act=refund"
    asked = dict(parse_qsl(request.content.decode()))
    assert asked == {"pid": "1001", "key": SECRET, "trade_no": "T1", "money": "0.90"}


def test_nobody_may_repeat_it_or_ask_about_it():
    assert DRIVER.make(account()).can == {Ability.LIST, Ability.REFUND}


@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), httpx.RemoteProtocolError("closed")])
def test_a_connection_that_breaks_under_a_refund_is_not_tried_again(lost):
    desk, requests = counting(lost, MADE)

    with pytest.raises(GatewayError):
        desk.refund(REFUND)
    assert len(requests) == 1


@pytest.mark.parametrize("why", ["订单号不存在", "退款金额不能大于订单金额", "商户余额不足，请先充值"])
def test_a_clear_no_is_one(why):
    with pytest.raises(GatewayRefused, match=why):
        says(code=-1, msg=why).refund(REFUND)


@pytest.mark.parametrize(
    "said",
    [
        # The provider behind the platform said it, or did not answer the platform in time.
        {"code": -1, "msg": "退款失败：Operation timed out"},
        {"code": 1, "msg": "succ"},
        {"code": 500},
        {"msg": "退款成功"},
        {},
        {**MADE, "money": "9.90"},
        {**MADE, "money": "much"},
        {**MADE, "trade_no": "T2"},
    ],
    ids=str,
)
def test_whatever_is_neither_yes_nor_no_is_for_a_person(said):
    with pytest.raises(GatewayError):
        says(**said).refund(REFUND)


def test_a_yes_of_few_words_is_one():
    assert says(code="0").refund(REFUND) is RefundState.DONE


def account(**options):
    return Account(
        shop_id=1,
        base_url="https://pay.example/epay/",
        merchant_id="1001",
        provider_key="",
        method="alipay",
        options=options,
        secrets={"secret": SECRET},
        http=httpx.Client(),
        clock=lambda: NOON,
    )


def test_the_options_reach_the_driver_and_may_be_left_out():
    told = DRIVER.make(account(entry="api/mapi", device="pc", signs_encoded="yes"))
    assert (told.entry, told.device, told.signs_encoded) == ("api/mapi", "pc", True)
    for silent in (DRIVER.make(account()), DRIVER.make(account(entry="", device="", signs_encoded=""))):
        assert (silent.entry, silent.device, silent.signs_encoded) == ("mapi.php", "jump", False)


def settings():
    return {setting.name: setting for setting in DRIVER.settings if not setting.is_required}


def test_every_option_is_explained():
    assert sorted(settings()) == ["device", "entry", "signs_encoded"]
    assert all(setting.help_text and setting.check for setting in settings().values())


@pytest.mark.parametrize(
    ("name", "fits", "text"),
    [
        ("entry", True, "mapi.php"),
        ("entry", True, "api/mapi"),
        ("entry", True, "xpay/epay/mapi.php"),
        ("entry", False, "/mapi.php"),
        ("entry", False, "../mapi.php"),
        ("entry", False, "https://elsewhere.example/"),
        ("entry", False, "mapi.php?a=b"),
        ("entry", False, "mapi.php\n"),
        ("device", True, "mobile"),
        ("device", False, "phone"),
        ("signs_encoded", True, "yes"),
        ("signs_encoded", False, "no"),
    ],
)
def test_an_option_is_checked_when_it_is_entered(name, fits, text):
    if fits:
        settings()[name].check(text)
    else:
        with override("en"), pytest.raises(ValueError, match="Enter"):
            settings()[name].check(text)


def test_orders_go_to_the_page_and_name_the_device_that_were_entered():
    seen = {}

    def answer(request):
        seen.update(parse_qsl(request.content.decode()), path=request.url.path)
        return httpx.Response(200, json={"code": 1, "payurl": "https://pay.example/p/1"})

    assert gateway(answer, entry="api/mapi", device="mobile").create(WANTED).url
    assert (seen["path"], seen["device"]) == ("/epay/api/mapi", "mobile")


@pytest.mark.parametrize("encoded", [False, True])
def test_without_mapi_the_buyer_brings_a_signed_order_and_nobody_is_called(encoded):
    desk = gateway(entry="submit.php", signs_encoded=encoded)

    page = desk.create(WANTED)

    assert page == PayPage(url=page.url)
    assert page.url.startswith("https://pay.example/epay/submit.php?")
    brought = dict(parse_qsl(urlsplit(page.url).query))
    assert verify(brought, SECRET, encoded=encoded)
    assert (brought["money"], brought["sign_type"]) == ("9.90", "MD5")
    assert SECRET not in page.url
    with pytest.raises(GatewayRefused):
        desk.create(replace(WANTED, currency="USD"))


def test_values_are_signed_as_php_encodes_them_where_that_is_entered():
    said = {"name": "VIP 会员~*", "money": "1"}

    # md5 of "money=1&name=VIP+%E4%BC%9A%E5%91%98%7E%2A" and "key", worked out by itself
    assert sign(said, "key", encoded=True) == "82f981ff14d3b29f4a08f3233530bdf7"


def test_a_notice_is_read_in_its_dialect_and_in_no_other():
    for encoded in (False, True):
        theirs = notice(sign=sign(PAID, SECRET, encoded=encoded))

        assert gateway(signs_encoded=encoded).read_notice(theirs, at=NOON).evidence.paid
        with pytest.raises(BadNotice):
            gateway(signs_encoded=not encoded).read_notice(theirs, at=NOON)
