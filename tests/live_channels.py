"""Every driver as a channel of the running sandbox, for tests that go over real HTTP in both directions."""

import json
from dataclasses import dataclass, field
from functools import lru_cache

import httpx
from django.urls import reverse

from cardshop.common.links import absolute_url
from payments.gateways import gateway_for, seal_secrets
from payments.gateways.rsa import new_key, public_of
from payments.models import PaymentAttempt, PaymentChannel
from payments.services.polling import trade_of as asked_as
from sandbox.tests.actors import KEY, PID, RunningSandbox, wait_until
from tests.factories import the_shop

OURS, THEIRS = new_key(), new_key()
APP_ID = "2021001"
USDT_KEYS = {name: f"canary-of-{name}" for name in ("epusdt", "bepusdt", "tokenpay")}

WECHAT = {
    "mchid": "1900000001",
    "appid": "wx8888888888888888",
    "serial": "5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
    "merchant_key": public_of(OURS),
    "api_v3_key": "0123456789abcdef0123456789abcdef",
    "platform_key": THEIRS,
    "platform_key_id": "PUB_KEY_ID_0119000000012026030100000001",
    "app_secret": "canary-of-wechat",
}


@dataclass(frozen=True, kw_only=True)
class LiveChannel:
    """What a driver's channel needs, `environment` being the sandbox's share of it.

    A provider that `is_told_once` learns in its own settings where its notices go, and not with every trade.
    """

    method: str
    secrets: dict[str, str]
    merchant_id: str = PID
    provider_key: str = ""
    options: dict[str, str] = field(default_factory=dict)
    path: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    is_told_once: bool = False


_RSA = {"secrets": {"secret": OURS}, "provider_key": public_of(THEIRS)}
_ALIPAY = {
    "method": "alipay",
    "merchant_id": APP_ID,
    "path": "alipay/gateway.do",
    "options": {"seller_id": f"2088{APP_ID:0>12}"},
    **_RSA,
}
_PAYPAL = {"client_id": "AClientOfPayPal", "client_secret": "canary", "webhook_id": "5GP028458E2496506"}
_STRIPE = {"api_key": "sk_test_canary", "webhook_secret": "whsec_canary"}
LIVE = {
    "epay_v1": LiveChannel(method="alipay", secrets={"secret": KEY}),
    "epay_v2": LiveChannel(
        method="bank",
        **_RSA,
        environment={
            "SANDBOX_PLATFORM_KEY": THEIRS,
            "SANDBOX_RSA_MERCHANTS": f"{PID}:{public_of(OURS)},{APP_ID}:{public_of(OURS)}",
        },
    ),
    "wechat": LiveChannel(
        method="wxpay",
        merchant_id=WECHAT["mchid"],
        provider_key=public_of(THEIRS),
        options={
            "app_id": WECHAT["appid"],
            "serial_no": WECHAT["serial"],
            "provider_key_id": WECHAT["platform_key_id"],
        },
        secrets={"private_key": OURS, "api_v3_key": WECHAT["api_v3_key"]},
        environment={"SANDBOX_WECHAT": json.dumps(WECHAT)},
    ),
    "alipay_qr": LiveChannel(**_ALIPAY),
    "alipay_page": LiveChannel(**_ALIPAY),
    **{
        name: LiveChannel(
            method="usdt",
            merchant_id="",
            secrets={"secret": key},
            path=f"{name}/",
            environment={"SANDBOX_USDT": json.dumps(USDT_KEYS)},
        )
        for name, key in USDT_KEYS.items()
    },
    "stripe_checkout": LiveChannel(
        method="card",
        secrets=_STRIPE,
        merchant_id="acct_1",
        path="stripe",
        environment={"SANDBOX_STRIPE": json.dumps({"account": "acct_1", **_STRIPE})},
        is_told_once=True,
    ),
    "paypal": LiveChannel(
        method="paypal",
        secrets={"secret": _PAYPAL["client_secret"]},
        merchant_id=_PAYPAL["client_id"],
        options={"webhook_id": _PAYPAL["webhook_id"]},
        path="paypal",
        environment={"SANDBOX_PAYPAL": json.dumps({**_PAYPAL, "key": THEIRS})},
        is_told_once=True,
    ),
}


def sandbox_environment() -> dict[str, str]:
    return {name: value for live in LIVE.values() for name, value in live.environment.items()}


def make_live(driver: str, sandbox: RunningSandbox, *, slug: str = "paid") -> PaymentChannel:
    live = LIVE[driver]
    made = PaymentChannel(
        shop=the_shop(),
        slug=slug,
        name="付款",
        driver=driver,
        method=live.method,
        merchant_id=live.merchant_id,
        provider_key=live.provider_key,
        options=live.options,
        base_url=f"{sandbox.base_url}/{live.path}",
    )
    seal_secrets(made, live.secrets)
    made.save()
    if live.is_told_once:
        sandbox.turn(webhook_url=absolute_url(made.shop, reverse("notify", args=[slug])))
    return made


def trade_of(attempt: PaymentAttempt) -> str:
    """The sandbox's number of the trade that the buyer comes to by page, by code or inside WeChat."""
    place = attempt.qr or attempt.pay_url or attempt.app_call["package"]
    if "prepay_id=wx" in place:
        return place.partition("prepay_id=wx")[2].partition("&")[0]
    if "gateway.do" in place:
        place = bring(place)
    assert "/pay/" in place
    return place.rpartition("/")[2]


def buyer_pays(sandbox: RunningSandbox, attempt: PaymentAttempt) -> int:
    """How many notices are sent of it, all other things being equal.

    At PayPal the buyer only agrees; the money is taken by the shop, which here forgets at once what it was
    told, so that a notice may bring the news.
    """
    sandbox.pay(trade_of(attempt))
    if attempt.channel.driver != "paypal":
        return 1
    wait_until(lambda: any(sandbox.outcomes(trade_of(attempt))))  # so that the first tells of the agreement
    gateway_for(attempt.channel).query(asked_as(attempt))
    return 2


@lru_cache
def bring(signed_order: str) -> str:
    """Where the provider leads a browser that comes with it; once, as what is paid is not opened again."""
    return httpx.get(signed_order, trust_env=False).headers["Location"]
