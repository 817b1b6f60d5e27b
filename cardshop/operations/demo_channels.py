"""The demo shop's ways to pay: the sandbox, by every protocol that it speaks."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from cardshop.settings import env
from cardshop.shops.models import Shop
from payments.gateways import seal_secrets
from payments.gateways.rsa import public_of
from payments.models import PaymentChannel

MERCHANT_ID, APP_ID = "1001", "2021001"
WECHAT_MERCHANT, WECHAT_KEY_ID = "1900000001", "PUB_KEY_ID_0119000000012026030100000001"


@dataclass(frozen=True, kw_only=True)
class DemoChannel:
    """`secrets` and `options` name where in the environment the driver's settings are found.

    `provider_key` says the provider's public key, if the driver wants one. A channel is left out whose
    secrets are not all there.
    """

    slug: str
    method: str
    name: str
    name_en: str
    driver: str
    secrets: dict[str, str]
    options: dict[str, str] | None = None
    merchant_id: str = MERCHANT_ID
    path: str = ""
    provider_key: Callable[[], str] | None = None


def _platform_key() -> str:
    return public_of(env.read("SANDBOX_PLATFORM_KEY"))


EPAY = {"secret": "SANDBOX_KEY"}
RSA = {"secret": "SANDBOX_MERCHANT_RSA"}
CHANNELS = [
    DemoChannel(
        slug="alipay", method="alipay", name="支付宝", name_en="Alipay", driver="epay_v1", secrets=EPAY
    ),
    DemoChannel(
        slug="wxpay", method="wxpay", name="微信支付", name_en="WeChat Pay", driver="epay_v1", secrets=EPAY
    ),
    DemoChannel(
        slug="bank",
        method="bank",
        name="银行卡",
        name_en="Bank card",
        driver="epay_v2",
        secrets=RSA,
        provider_key=_platform_key,
    ),
    DemoChannel(
        slug="alipay-scan",
        method="alipay",
        name="支付宝扫码",
        name_en="Alipay QR code",
        driver="alipay_qr",
        secrets=RSA,
        merchant_id=APP_ID,
        path="alipay/gateway.do",
        provider_key=_platform_key,
    ),
    DemoChannel(
        slug="wechat",
        method="wxpay",
        name="微信官方支付",
        name_en="WeChat Pay, official",
        driver="wechat",
        secrets={
            "private_key": "SANDBOX_MERCHANT_RSA",
            "api_v3_key": "SANDBOX_WECHAT_V3_KEY",
            "app_secret": "SANDBOX_WECHAT_APP_SECRET",
        },
        options={
            "app_id": "SANDBOX_WECHAT_APP_ID",
            "serial_no": "SANDBOX_WECHAT_SERIAL",
            "provider_key_id": "SANDBOX_WECHAT_KEY_ID",
            "h5": "SANDBOX_WECHAT_H5",
            "login_url": "SANDBOX_WECHAT_LOGIN",
        },
        merchant_id=WECHAT_MERCHANT,
        provider_key=_platform_key,
    ),
]


def wechat_surroundings(*, port: str, public_key: str, platform_key: str, secret: str) -> dict[str, str]:
    """What the sandbox and the shop's channel know of their WeChat Pay. `secret` makes its secrets."""
    api_v3_key, app_secret = (sha256(f"{name}:{secret}".encode()).hexdigest()[:32] for name in ("v3", "app"))
    app_id, serial = "wx0000000000000000", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
    account = {
        "mchid": WECHAT_MERCHANT,
        "appid": app_id,
        "serial": serial,
        "merchant_key": public_key,
        "api_v3_key": api_v3_key,
        "platform_key": platform_key,
        "platform_key_id": WECHAT_KEY_ID,
        "app_secret": app_secret,
    }
    return {
        "SANDBOX_WECHAT": json.dumps(account),
        "SANDBOX_WECHAT_V3_KEY": api_v3_key,
        "SANDBOX_WECHAT_APP_SECRET": app_secret,
        "SANDBOX_WECHAT_APP_ID": app_id,
        "SANDBOX_WECHAT_SERIAL": serial,
        "SANDBOX_WECHAT_KEY_ID": WECHAT_KEY_ID,
        "SANDBOX_WECHAT_H5": "yes",
        "SANDBOX_WECHAT_LOGIN": f"http://127.0.0.1:{port}",
    }


def connect_sandbox(shop: Shop) -> bool:
    """Point the demo channels at SANDBOX_PORT with their keys; False when there are none.

    The secret is bound to the address, so both are written at every start.
    """
    port = env.read("SANDBOX_PORT", "8001")
    connected = False
    for position, demo in enumerate(CHANNELS):
        secrets = {name: env.read(place) for name, place in demo.secrets.items()}
        if not all(secrets.values()):
            continue
        channel = PaymentChannel.objects.filter(shop=shop, slug=demo.slug).first() or PaymentChannel(
            shop=shop,
            slug=demo.slug,
            name=demo.name,
            name_en=demo.name_en,
            driver=demo.driver,
            method=demo.method,
            merchant_id=demo.merchant_id,
            position=position,
        )
        channel.base_url = f"http://127.0.0.1:{port}/{demo.path}"
        channel.provider_key = demo.provider_key() if demo.provider_key else ""
        channel.options = {name: env.read(place) for name, place in (demo.options or {}).items()}
        seal_secrets(channel, secrets)
        channel.save()
        connected = True
    return connected
