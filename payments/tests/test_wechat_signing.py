"""What WeChat Pay v3 signs and seals: the platform's vectors, round trips, and another implementation."""

import json
import re

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given
from hypothesis import strategies as st
from wechatpayv3 import WeChatPay, WeChatPayType

from payments.gateways import rsa
from payments.gateways.base import GatewayError, Trade
from payments.gateways.rsa import public_key, public_of
from payments.gateways.wechat_signing import NotTheirs, app_call, authorization, check_signed, lines, opened
from payments.tests.wechat_platform import (
    APPID,
    KEY_ID,
    MCHID,
    NOW,
    OURS,
    PAID,
    SERIAL,
    THEIRS,
    V3_KEY,
    gateway,
    notice,
    sealed,
    signed,
)
from tests.factories import NOON

# Of wechatpay-go@6dbd7ce: its testing key, and what its tests expect.
VECTOR_KEY = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2VCTd91fnUn73Xy9DLvt/V62TVxRTEEstVdeRaZ3B3leO0pldE806mXO4Rwd"
    "HXagHQ4vGeZN0yqm++rDsGK+U3AH7kejyD2pXshNP9Cq5YwbptiLGtjcquw4HNxJQUOmDeJf2vg6byms9RUipiq4SzbJKqJFlUpbuIPD"
    "pSpWz10PYmyCNeDGUUK65E5h2B834uxl1zNLYQCrkdBzb8oUxwYeP5a2DNxmjL5lsJML7DGr5znsevnoqGRwTm9fxCGfy8wus7hwKz6c"
    "lt3Whmmda7UAdb1c08hEQFVRbF14AR73xbnd8N0obCWJPCbzMCtkaSef4FdEEgEXJiw0VAJT8wIDAQAB"
)
SIGNED_SOURCE = (
    "BKyAfU4iMCuvXMXS0Wzam3V/cnxZ+JaqigPM5OhljS2iOT95OO6Fsuml2JkFANJU9K6q9bLlDhPXuoVz+pp4hAm6pHU4ld815U4jsKu1"
    "RkyaII+1CYBUYC8TK0XtJ8FwUXXz8vZHh58rrAVN1XwNyvD1vfpxrMT4SL536GLwvpUHlCqIMzoZUguLli/K8V29QiOhuH6IEqLNJn8e"
    "9b3nwNcQ7be3CzYGpDAKBfDGPCqCv8Rw5zndhlffk2FEA70G4hvMwe51qMN/RAJbknXG23bSlObuTCN7Ndj1aJGH6/L+hdwfLpUtJm4Q"
    "YVazzW7DFD27EpSQEqA8bX9+8m1rLg=="
)
NOTICE_HEADERS = {
    "wechatpay-nonce": "EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz",
    "wechatpay-timestamp": "1624523846",
    "wechatpay-serial": "D7CE59D1F522D701",
    "wechatpay-signature": (
        "tJHIiIS9eB2hAYstmAmbbD3ZE5LiIm/Ug5tuL4fC0YOFRWIHV39UFIZXC0e9Wl6lBu6sKvkqDkzpqzBsVHyXFlbYZTOQrVdG4b6L"
        "fTnK4mikv9++ixJMd3vTf2yCqvBkh98zs3Ds5zsYQakzbcwhmw4fMJs4nPLws28H0UW9FjDR//rxELLwXvV1VEA1IBLX70xptjL8"
        "hrfUjEE8kkry6yNJTHZRU8CAc7qHli2Ng1V1qb9ARbK8A3ThmFmPQvRGrapI/jS2laKKgYUmfdEdkNO6B2Cke5e8VTxY406ArAmQ"
        "90GAihDwIcb16TQMnzCMBoutnwZKNiKRACrFmtxw2Q=="
    ),
}
NOTICE_BODY = (
    '{"id":"3119dfba-e649-5eec-ab1e-3412bc4d2e17","create_time":"2021-06-24T16:37:26+08:00",'
    '"resource_type":"encrypt-resource","event_type":"PAYSCORE.USER_OPEN_SERVICE","summary":"签约成功",'
    '"resource":{"original_type":"payscore","algorithm":"AEAD_AES_256_GCM","ciphertext":"YDS3lKPaC4Y52Gf3uhft'
    "5qUBlIa8b428AWTtTauHQfQrRw+X1WpiuHIDy0vo1Vd6VEq67aVyqPdDYMkRVSDaZL3iZttevRMOoPKMifozg6XPWjIZumks/GpT48lI"
    "4NizyeaqLBokNebthah3o1H76qSlO9NkDjp9bzmKLEYYH9TEklFUpsvPqOTOcgSLgh21YJXYR7dEBXFgRLiNIKRgO5JdXh1hccRUAlyV"
    'WxE54PXpnQ==","associated_data":"payscore","nonce":"Kj7QIyUiYx1q"}}'
)


def moment(stamp: int):
    return NOON.fromtimestamp(stamp, NOON.tzinfo)


def vector_key() -> RSAPublicKey:
    return public_key(VECTOR_KEY)


def test_the_platforms_signature():
    assert rsa.verify("source", SIGNED_SOURCE, vector_key())
    assert not rsa.verify("source\n", SIGNED_SOURCE, vector_key())


def test_the_platforms_cipher():
    vector = {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": "wCq51qZv4Yfg",
        "associated_data": "Dl56FrqWQJF1t9LtC3vEUsniZKvbqdR8",
        "ciphertext": "FsdXzxryWfKwvLJKf8LG/ToRPTRh8RN9wROC",
    }
    assert opened(vector, "testAPIv3Key0000") == "Hello World"
    for wrong in ("testAPIv3Key1111", "not an aes key", ""):
        with pytest.raises(NotTheirs):
            opened(vector, wrong)


def test_the_platforms_notice():
    at = {"key": vector_key(), "key_id": "D7CE59D1F522D701", "at": moment(1624523846)}

    check_signed(NOTICE_HEADERS, NOTICE_BODY, **at)

    said = json.loads(opened(json.loads(NOTICE_BODY)["resource"], "testMchAPIv3Key0"))
    assert said["out_contract_code"] == "21640bdbd08e473e828f3206a2741c6e"
    with pytest.raises(NotTheirs, match="bad signature"):
        check_signed(NOTICE_HEADERS, NOTICE_BODY + " ", **at)


@given(st.lists(st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"])), min_size=1))
def test_signed_lines_say_which_part_is_which(parts):
    assert lines(*parts).split("\n") == [*parts, ""]


@given(st.text(st.characters(blacklist_categories=["Cs"])), st.sampled_from(["", "transaction", "退款"]))
def test_what_is_sealed_is_opened_and_nothing_else(text, about):
    box = sealed(text, about=about)

    assert opened(box, V3_KEY) == text
    for changed in ({"associated_data": f"{about}x"}, {"nonce": "wCq51qZv4Yfh"}, {"ciphertext": "AAAA"}):
        with pytest.raises(NotTheirs):
            opened({**box, **changed}, V3_KEY)


@pytest.mark.parametrize("off", [-300, -299, 0, 299, 300])
def test_a_signature_holds_for_five_minutes_in_both_directions(off):
    headers = signed("{}", stamp=str(NOW + off))

    def check():
        check_signed(headers, "{}", key=public_key(public_of(THEIRS)), key_id=KEY_ID, at=NOON)

    if abs(off) < 300:
        check()
    else:
        with pytest.raises(NotTheirs, match="ago"):
            check()


# ---- another implementation: wechatpayv3, in public-key mode, which makes no call by itself


def pem(kind: str, key: str) -> str:
    return f"-----BEGIN {kind} KEY-----\n{key}\n-----END {kind} KEY-----"


@pytest.fixture
def sdk():
    return WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=MCHID,
        private_key=pem("PRIVATE", OURS),
        cert_serial_no=SERIAL,
        apiv3_key=V3_KEY,
        appid=APPID,
        notify_url="https://shop.example/n",
        public_key=pem("PUBLIC", public_of(THEIRS)),
        public_key_id=KEY_ID,
    )


def fields(header: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', header))


def test_the_sdk_signs_a_call_as_we_do(monkeypatch):
    from wechatpayv3.utils import build_authorization, load_private_key

    body, target = '{"description":"订单","n":1}', "/v3/pay/transactions/native?a=b"
    ours = authorization(
        "POST", target, body, merchant=MCHID, serial=SERIAL, key=rsa.private_key(OURS), at=NOON
    )
    monkeypatch.setattr("wechatpayv3.utils.time.time", lambda: NOW)

    theirs = build_authorization(
        target, "POST", MCHID, SERIAL, load_private_key(OURS), data=body, nonce_str=fields(ours)["nonce_str"]
    )

    assert fields(ours) == fields(theirs)
    assert ours.split(" ")[0] == theirs.split(" ")[0]


def test_the_sdk_signs_what_a_page_hands_to_the_app_as_we_do(sdk):
    call = app_call("wx201410272009395522657a690389285100", app_id=APPID, key=rsa.private_key(OURS), at=NOON)

    signed_by_sdk = sdk.sign([call["appId"], call["timeStamp"], call["nonceStr"], call["package"]])

    assert call["paySign"] == signed_by_sdk
    assert (call["signType"], call["package"][:10]) == ("RSA", "prepay_id=")


def test_the_sdk_reads_a_notice_as_we_do(sdk):
    call = notice()

    theirs = json.loads(sdk.decrypt_callback(dict(call.headers), call.body))

    ours = gateway().read_notice(call, at=NOON).evidence
    assert (ours.out_trade_no, ours.provider_txn_id) == (theirs["out_trade_no"], theirs["transaction_id"])
    assert ours.amount_minor == theirs["amount"]["total"]
    forged = notice(by=OURS)
    assert sdk.decrypt_callback(dict(forged.headers), forged.body) is None


def test_what_the_sdk_lacks(sdk):
    """It believes a notice of any age, and of any merchant and app. We do not."""
    old = notice(stamp=str(NOW - 10 * 365 * 24 * 3600))
    another = notice({**PAID, "mchid": "1900000002", "appid": "wx1"})

    for call in (old, another):
        assert sdk.decrypt_callback(dict(call.headers), call.body)
        with pytest.raises(Exception, match=r"ago|another merchant"):
            gateway().read_notice(call, at=NOON)


def test_both_refuse_an_answer_that_is_not_signed(sdk, monkeypatch):
    class Unsigned:
        status_code, text, content = 200, json.dumps(PAID), b""
        headers = {"Content-Type": "application/json"}

    monkeypatch.setattr("wechatpayv3.core.requests.get", lambda **_: Unsigned)
    with pytest.raises(Exception, match="algorithm"):
        sdk.query(out_trade_no="A1-000001")
    with pytest.raises(GatewayError, match="signed"):
        gateway(lambda _: httpx.Response(200, json=PAID)).query(Trade(out_trade_no="A1-000001"))
