"""The demo shop's ways to pay: the sandbox, by every protocol that it speaks."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cardshop.settings import env
from cardshop.shops.models import Shop
from payments.gateways import seal_secrets
from payments.gateways.rsa import new_key, public_of
from payments.models import PaymentChannel

MERCHANT_ID, APP_ID = "1001", "2021001"
STRIPE_ACCOUNT, PAYPAL_CLIENT, PAYPAL_WEBHOOK = "acct_sandbox", "SandboxClient", "5GP028458E2496506"


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
        slug="card",
        method="card",
        name="信用卡",
        name_en="Credit card",
        driver="stripe_checkout",
        secrets={"api_key": "SANDBOX_STRIPE_KEY", "webhook_secret": "SANDBOX_STRIPE_SECRET"},
        merchant_id=STRIPE_ACCOUNT,
        path="stripe",
    ),
    DemoChannel(
        slug="paypal",
        method="paypal",
        name="PayPal",
        name_en="PayPal",
        driver="paypal",
        secrets={"secret": "SANDBOX_PAYPAL_SECRET"},
        options={"webhook_id": "SANDBOX_PAYPAL_WEBHOOK"},
        merchant_id=PAYPAL_CLIENT,
        path="paypal",
    ),
]


def card_surroundings(*, port: int, secrets: Path) -> dict[str, str]:
    """What the demo shop and the sandbox share of Stripe and PayPal, with the shop's `port`: it is there, and
    not with each payment, that these two learn where notices go.
    """
    stripe = {
        "api_key": f"sk_test_{env.generated_secret('SANDBOX_STRIPE_KEY_END', secrets)}",
        "webhook_secret": f"whsec_{env.generated_secret('SANDBOX_STRIPE_SECRET_END', secrets)}",
    }
    paypal = {
        "client_secret": env.generated_secret("SANDBOX_PAYPAL_SECRET", secrets),
        "webhook_id": PAYPAL_WEBHOOK,
    }
    key = env.generated_secret("SANDBOX_PAYPAL_KEY", secrets, new_key)
    notify = f"http://127.0.0.1:{port}/pay/notify"
    ear = {"account": STRIPE_ACCOUNT, "webhook_url": f"{notify}/card/"}
    app = {"client_id": PAYPAL_CLIENT, "key": key, "webhook_url": f"{notify}/paypal/"}
    return {
        "SANDBOX_STRIPE_KEY": stripe["api_key"],
        "SANDBOX_STRIPE_SECRET": stripe["webhook_secret"],
        "SANDBOX_STRIPE": json.dumps({**stripe, **ear}),
        "SANDBOX_PAYPAL_SECRET": paypal["client_secret"],
        "SANDBOX_PAYPAL_WEBHOOK": paypal["webhook_id"],
        "SANDBOX_PAYPAL": json.dumps({**paypal, **app}),
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
