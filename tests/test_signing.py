"""What EPay and Alipay sign: published vectors, properties, and others' code that has to agree."""

import textwrap
from itertools import pairwise
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardshop.common.money import MAX_MINOR, to_minor, to_text
from payments.gateways import alipay, epay, rsa
from payments.gateways.base import BadNotice, RawCall
from payments.gateways.rsa import new_key, public_of
from payments.tests import test_alipay, test_epay, test_epay_v2
from sandbox import alipay as their_alipay
from sandbox import epay as their_epay
from sandbox import epay_v2 as their_epay_v2
from tests.factories import NOON, SECRET

OURS, THEIRS = new_key(), new_key()
SIGNS = frozenset({"sign", "sign_type"})

# Of the tests of yansongda/pay (tests/TestCase.php, tests/Plugin/Alipay/V2): the public half of an app's key,
# Alipay's own in its sandbox, a call that was signed with the one and a notice that was with the other.
THEIR_APP = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApSA9oxvcqfbgpgkxXvyCpnxaR6TPaEMh/ij+PhF8180zL82ic4whkrRlcu1Y"
    "179AKEZNar71Ugi37fKcXWLerjPOeb8WHnZgNG19gkAcOIqZPRPpJ1eRtwKEclIzt+j3H/wgXWkD7BTr61RjuAcviyvDVbAJ/TPlMqXd"
    "JFIuJwZblN2WblIv+4Dm1iPOB+fVCU3rsgg4eajf3HrZ7sq6fBhQhO5krDmIIYGsFZ+fohEgnLkBaF0gqNUb5Yb4PBfaEcu8Hcwq+XyB"
    "SMOVOIABRPQVDedW2sE/2NsLkR62DaEe/Ri9VUDJe0pE39P+X22DicJ3E3yrxvdioMnLtDqEuwIDAQAB"
)
ALIPAY_SANDBOX = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAl2PJhW04G1sClzEDwMw1nxCjlyDTubFhn89bcEzP7GB/mFWnfIRXydM2qvDA"
    "LpJggjeCIc3Orm0AobZOltic1MGOBrFWcoOMyT7haV3X05jPa0qy6bMg5YJZy7/5mjTQL/3jPJM+TA3YTNV8wPUsJgWINENAGFIakS4H"
    "Tj3oGIuPvbMgL1z7Yd66TIYzfA4FRwa08XXaZLC/u+EJ8tUedhQhPjwWQBL0H+bhoqWZSIW3/xdMZrMf8RF9uM22Y3mE1DAnxseXrxjW"
    "2Kg0q/47mOjXGBcrQUOeaAB+0SamdFu6LP9ylQOESg0bpFhgqhUWIT/QYJ1I8PQrVYy9QZkAIwIDAQAB"
)
SIGNED_CALL = {
    "app_id": "9021000122682882",
    "method": "alipay.trade.query",
    "format": "JSON",
    "return_url": "http://hk.ysdor.cn/index.php",
    "charset": "utf-8",
    "sign_type": "RSA2",
    "timestamp": "2023-12-21 06:54:37",
    "version": "1.0",
    "notify_url": "http://hk.ysdor.cn/index.php",
    "app_cert_sn": "e90dd23a37c5c7b616e003970817ff82",
    "alipay_root_cert_sn": "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6",
    "biz_content": '{"out_trade_no":"1703141270"}',
    "sign": (
        "FrzUwXziVWK2x5glZkGoQ6dGR87O33APv3D/lWjVqPrFnMwcYjOYyln1B1bw5VuOwokLRmqcwWuTumBg8Q+n4FkVR3DMCvL8ywTBp5+6"
        "pRAETfhFop4m+r6jI+dgOavwyoZ69CWCzCcEyb0vMjgrV2eoSI4bgLjJyPcGpZ+iDBTSvE6eVxs05bUjainAOB5NnAvME06nkaxGLB4q"
        "wF9c3SQoiZt7QcMRdyy6mRItZxRaEjMm6qX8dfPuuquJC4wpTRk8PQeu5EMR4yyc1atxso3CMovjkGr5LzDtqLNseyqqorYW+Gfu3ugH"
        "Ss9aqkwAAysg79O6TsvuFa9OHq64Tg=="
    ),
}
SIGNED_NOTICE = {
    "gmt_create": "2023-12-21 16:26:32",
    "charset": "utf-8",
    "gmt_payment": "2023-12-21 16:26:43",
    "notify_time": "2023-12-21 16:26:45",
    "subject": "yansongda+测试 - 1",
    "sign": (
        "Rs7SszD15WqbdJsGZPN+HpCBcQzBCkJx0ccNeg1rpUxyTVA1ps2vJ4sLhaa7O+lliTj6N1MSGqc8cK6JSs7nPg731RAOfneirtrqrlW2"
        "u0m15kWAKrVjgPGLUMtK/eT15e/6NcxsWra/bsZaan+nFDzO8xceOwy96W+qVUtTPfBRBp9Zjryi5oIONOifGMALD284YbNC3qq2eyqV"
        "ysF+zgk+/MtuHk2Eh/fL7UbClHQXQ2hD686Dt8bR949TNMbkWCYXstmjVBO55qF8xhaoF/b5zAe5/O/13g/QlwDXBcF3XwJpbFWrBeho"
        "FFCnJhR/xXZ0E+D2Vsw1oAQ3l+R2dQ=="
    ),
    "buyer_id": "2088722003899169",
    "invoice_amount": "0.01",
    "version": "1.0",
    "notify_id": "2023122101222162644199160501632046",
    "fund_bill_list": '[{"amount":"0.01","fundChannel":"ALIPAYACCOUNT"}]',
    "notify_type": "trade_status_sync",
    "out_trade_no": "1703147160",
    "total_amount": "0.01",
    "trade_status": "TRADE_SUCCESS",
    "trade_no": "2023122122001499160501589436",
    "auth_app_id": "9021000122682882",
    "receipt_amount": "0.01",
    "point_amount": "0.00",
    "app_id": "9021000122682882",
    "buyer_pay_amount": "0.01",
    "sign_type": "RSA2",
    "seller_id": "2088721003899159",
}


def test_a_call_is_signed_like_the_published_one():
    text = alipay.signed_text(SIGNED_CALL)

    assert rsa.verify(text, SIGNED_CALL["sign"], rsa.public_key(THEIR_APP))


def test_a_notice_that_alipay_itself_once_signed_is_read():
    desk = test_alipay.gateway(
        merchant_id="9021000122682882", provider_key=ALIPAY_SANDBOX, seller_id="2088721003899159"
    )

    said = desk.read_notice(RawCall("POST", "", urlencode(SIGNED_NOTICE)), at=NOON).evidence

    assert (said.paid, said.amount_minor, said.out_trade_no) == (True, 1, "1703147160")
    with pytest.raises(BadNotice):
        desk.read_notice(RawCall("POST", "", urlencode({**SIGNED_NOTICE, "total_amount": "0.02"})), at=NOON)


# Without the two characters that would make two pairs look like one: see the notices below.
words = st.text(st.characters(exclude_characters="&=", exclude_categories=["Cs"]), max_size=20)
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12).filter(lambda name: name not in SIGNS)
anything = st.dictionaries(st.text(min_size=1), st.text(), max_size=8)
pairs = st.dictionaries(names, words, max_size=8)


@given(anything, st.text(), st.randoms())
def test_epays_text_is_the_same_in_any_order_and_as_the_platform_makes_it(params, secret, random):
    shuffled = list(params.items())
    random.shuffle(shuffled)

    assert epay.sign(dict(shuffled), secret) == epay.sign(params, secret) == their_epay.sign(params, secret)
    plain = {name: value for name, value in params.items() if name not in SIGNS}
    assert epay.signed_text(dict(shuffled)) == their_epay_v2._text(plain)


@given(pairs, names, words)
def test_a_pair_more_or_less_or_other_is_another_text_unless_it_is_empty(params, name, value):
    changed = {**params, name: value}
    without = {other: word for other, word in params.items() if other != name}

    for text, counts in (
        (epay.signed_text, lambda word: bool(word.strip(" \t\n\r\0\x0b"))),
        (alipay.signed_text, bool),
    ):
        before = params.get(name, "")
        same = before == value or not (counts(before) or counts(value))
        assert (text(changed) == text(params)) is same
        assert (text(without) == text(changed)) is not counts(value)


@pytest.mark.parametrize("blank", ["", " ", "\t\n\r\0\x0b"])
def test_what_php_takes_for_blank_does_not_count_and_a_space_of_another_script_does(blank):
    assert epay.signed_text({"a": blank, "b": "1"}) == "b=1"
    assert epay.signed_text({"a": "\u3000", "b": "1"}) == "a=\u3000&b=1"


@settings(max_examples=25)
@given(anything)
def test_each_side_of_alipay_takes_what_the_other_has_signed(params):
    """The platform's code is another's, so a mistake of ours would show."""
    key = rsa.private_key(OURS)
    call = {**{name: value for name, value in params.items() if name != "sign"}, "sign_type": "RSA2"}
    call["sign"] = rsa.sign(alipay.signed_text(call), key)
    assert their_alipay.is_signed(call, key.public_key())

    notice = their_alipay.signed_notice(
        {name: value for name, value in params.items() if name not in SIGNS}, key
    )
    assert rsa.verify(alipay.signed_text(notice, without=SIGNS), notice["sign"], key.public_key())


def merged(params):
    """The same text, cut into pairs elsewhere: each value has swallowed the pair behind it."""
    ordered = sorted((name, value) for name, value in params.items() if name not in SIGNS)
    for (name, value), (swallowed, other) in pairwise(ordered):
        cut = {key: word for key, word in params.items() if key != swallowed}
        yield {**cut, name: f"{value}&{swallowed}={other}"}


def test_a_signed_notice_that_is_cut_elsewhere_is_no_other_money():
    """The signature fits, as what is signed is not encoded. It must be read as before, or not at all."""
    rsa_pairs = dict(parse_qsl(test_epay_v2.notice().query))
    alipay_pairs = dict(parse_qsl(test_alipay.notice().body))
    epay_pairs = {**test_epay.PAID, "sign": epay.sign(test_epay.PAID, SECRET)}
    for desk, params, call in (
        (test_epay.gateway(), epay_pairs, lambda form: RawCall("GET", form, "")),
        (test_epay_v2.gateway(), rsa_pairs, lambda form: RawCall("GET", form, "")),
        (test_alipay.gateway(), alipay_pairs, lambda form: RawCall("POST", "", form)),
    ):
        genuine = desk.read_notice(call(urlencode(params)), at=NOON)
        assert genuine.evidence.paid
        for other in merged(params):
            try:
                said = desk.read_notice(call(urlencode(other)), at=NOON)
            except BadNotice:
                continue
            assert said.digest == genuine.digest
            assert not said.evidence.paid or said.evidence == genuine.evidence


@given(st.integers(0, MAX_MINOR - 1))
def test_an_amount_is_the_same_there_and_back(fen):
    assert to_minor(to_text(fen, "CNY"), "CNY") == fen


@given(st.integers(1, 10**10 - 1))
def test_an_amount_is_the_same_as_php_spells_it(fen):
    spelled = their_epay.as_php_float(fen)

    assert to_minor(spelled, "CNY") == to_minor(their_epay.as_decimal(fen), "CNY") == fen
    assert their_epay.to_fen(to_text(fen, "CNY")) == fen


# Against python-alipay-sdk, which many shops sign and verify with


def framed(key, kind):
    body = "\n".join(textwrap.wrap(key, 64))
    return f"-----BEGIN {kind} KEY-----\n{body}\n-----END {kind} KEY-----\n"


@pytest.fixture(scope="module")
def sdk():
    from alipay import AliPay

    return AliPay(
        appid="2021001",
        app_private_key_string=framed(OURS, "PRIVATE"),
        alipay_public_key_string=framed(public_of(THEIRS), "PUBLIC"),
    )


def test_the_sdk_signs_our_calls_as_we_do(sdk):
    desk = test_alipay.gateway(secret=OURS)
    for method, about in (
        ("alipay.trade.precreate", {"out_trade_no": "A1", "subject": "订单 + 测试&", "total_amount": "9.90"}),
        ("alipay.trade.refund", {"trade_no": "T1", "refund_amount": "0.90", "out_request_no": "R1"}),
    ):
        ours = desk._signed(method, about, notify_url="https://shop.example/n?a=1&b=2")

        theirs = sdk.sign_data({name: value for name, value in ours.items() if name != "sign"})

        assert dict(parse_qsl(theirs)) == ours


@settings(max_examples=25)
@given(params=st.dictionaries(names, st.text(min_size=1), max_size=8))
def test_the_sdk_signs_anything_as_we_do(sdk, params):
    theirs = dict(parse_qsl(sdk.sign_data({**params, "sign_type": "RSA2"})))

    assert theirs["sign"] == rsa.sign(
        alipay.signed_text({**params, "sign_type": "RSA2"}), rsa.private_key(OURS)
    )


def test_the_sdk_and_we_take_the_same_notices(sdk):
    desk = test_alipay.gateway(provider_key=public_of(THEIRS))
    said = {name: value for name, value in test_alipay.PAID.items() if name != "sign_type"}
    genuine = their_alipay.signed_notice(said, rsa.private_key(THEIRS))
    strangers = their_alipay.signed_notice(said, rsa.private_key(OURS))
    for notice, is_theirs in (
        (genuine, True),
        ({**genuine, "total_amount": "0.01"}, False),
        ({**genuine, "more": "1"}, False),
        ({**genuine, "sign": strangers["sign"]}, False),
    ):
        unsigned = {name: value for name, value in notice.items() if name != "sign"}
        assert sdk.verify(unsigned, notice["sign"]) is is_theirs
        try:
            taken = desk.read_notice(RawCall("POST", "", urlencode(notice)), at=NOON).evidence.paid
        except BadNotice:
            taken = False
        assert taken is is_theirs
