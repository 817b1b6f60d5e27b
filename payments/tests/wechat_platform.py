"""WeChat's side of the tests of its driver: what it would sign and seal, written a second time."""

import json
from base64 import b64encode
from dataclasses import replace
from hashlib import sha1

import httpx
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from payments.gateways import rsa
from payments.gateways.base import RawCall
from payments.gateways.rsa import new_key, public_of
from payments.gateways.wechat import WechatGateway
from payments.gateways.wechat_api import WechatApi
from payments.tests.wanted import WANTED
from tests.factories import NOON

OURS, THEIRS, STRANGERS = new_key(), new_key(), new_key()
KEY_ID, V3_KEY = "PUB_KEY_ID_0119000000012026030100000001", "0123456789abcdef0123456789abcdef"
MCHID, APPID, SERIAL = "1900000001", "wx8888888888888888", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
NOW = int(NOON.timestamp())
ORDER = replace(WANTED, out_trade_no="A1-000001")
PAID = {
    "appid": APPID,
    "mchid": MCHID,
    "out_trade_no": "A1-000001",
    "transaction_id": "4200002026030112345678901234",
    "trade_type": "NATIVE",
    "trade_state": "SUCCESS",
    "amount": {"total": 990, "payer_total": 880, "currency": "CNY", "payer_currency": "CNY"},
}


def gateway(answer=None, **changes):
    """One that is answered by `answer`, with its settings changed."""
    transport = httpx.MockTransport(answer or (lambda request: httpx.Response(500)))
    ours = {
        "base_url": "https://api.wechat.example",
        "merchant_id": MCHID,
        "serial_no": SERIAL,
        "private_key": OURS,
        "provider_key": public_of(THEIRS),
        "provider_key_id": KEY_ID,
        "http": httpx.Client(transport=transport),
        "clock": lambda: NOON,
    }
    theirs = {"app_id": APPID, "has_h5": False, "api_v3_key": V3_KEY}
    for name in changes.keys() & theirs.keys():
        theirs[name] = changes.pop(name)
    return WechatGateway(api=WechatApi(**{**ours, **changes}), **theirs)


def signed(body, *, by=THEIRS, stamp=str(NOW), nonce="nonce", **changes):
    """The headers of an answer or a notice; None leaves one out."""
    headers = {
        "wechatpay-timestamp": stamp,
        "wechatpay-nonce": nonce,
        "wechatpay-serial": KEY_ID,
        "wechatpay-signature": rsa.sign(f"{stamp}\n{nonce}\n{body}\n", rsa.private_key(by)),
        "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
    }
    changes = {f"wechatpay-{name.replace('_', '-')}": value for name, value in changes.items()}
    return {name: value for name, value in {**headers, **changes}.items() if value is not None}


def says(said, status=200, **how):
    """A gateway that is told this, whatever it asks."""
    body = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return gateway(lambda _: httpx.Response(status, content=body.encode(), headers=signed(body, **how)))


def sealed(plain, *, key=V3_KEY, nonce="wCq51qZv4Yfg", about="transaction", **changes):
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    box = AESGCM(key.encode()).encrypt(nonce.encode(), text.encode(), about.encode())
    return {
        "original_type": "transaction",
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": b64encode(box).decode(),
        "associated_data": about,
        "nonce": nonce,
        **changes,
    }


def notice(said=PAID, *, kind="TRANSACTION.SUCCESS", seal=None, body=None, **how):
    if body is None:
        about = {"id": "N1", "resource_type": "encrypt-resource", "event_type": kind}
        body = json.dumps({**about, "resource": seal or sealed(said)})
    return RawCall("POST", "", body, signed(body, **how))


def bill_answers(bill, *, digest=None, url="https://api.wechat.example/v3/billdownload/file?token=1"):
    """A gateway whose provider has that bill. The download is not signed."""
    digest = digest or sha1(bill.encode()).hexdigest()
    where = json.dumps({"hash_type": "SHA1", "hash_value": digest, "download_url": url})

    def answer(request):
        if "tradebill" in request.url.path:
            return httpx.Response(200, content=where.encode(), headers=signed(where))
        return httpx.Response(200, content=bill.encode())

    return gateway(answer)


_HEADINGS = (
    "交易时间,公众账号ID,商户号,微信订单号,商户订单号,交易状态,货币种类,微信退款单号,商户退款单号,退款状态,"
    "商品名称,订单金额,申请退款金额"
)


def bill_row(txn, state, *, paid="0.00", back="0.00", number="A1", refund="", went="", name="卡密, 一张"):
    values = (
        "2026-03-01 20:00:00",
        APPID,
        MCHID,
        txn,
        number,
        state,
        "CNY",
        "",
        refund,
        went,
        name,
        paid,
        back,
    )
    return ",".join(f"`{value}" for value in values)


BILL = "\r\n".join(
    [
        f"\ufeff{_HEADINGS}",
        bill_row("T1", "SUCCESS", paid="9.90"),
        bill_row("T1", "REFUND", refund="R1", went="SUCCESS", back="0.90"),
        bill_row("T1", "REFUND", refund="R2", went="FAIL", back="9.00"),
        "总交易单数,订单总金额,申请退款总金额",
        "`3,`9.90,`9.90",
        "",
    ]
)
