"""The demo shop's ways to pay: the sandbox, by every protocol that it speaks."""

from collections.abc import Callable
from dataclasses import dataclass

from cardshop.operations.demo_accounts import (
    APP_ID,
    MERCHANT_ID,
    PAYPAL_CLIENT,
    STRIPE_ACCOUNT,
    WECHAT_MERCHANT,
)
from cardshop.settings import env
from cardshop.shops.models import Shop
from payments.gateways import seal_secrets
from payments.gateways.rsa import public_of
from payments.models import PaymentChannel


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
        slug="usdt",
        method="usdt",
        name="USDT（TRC20）",
        name_en="USDT (TRC20)",
        driver="bepusdt",
        secrets={"secret": "SANDBOX_USDT_KEY"},
        merchant_id="",
        path="bepusdt/",
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


def offer_balance(shop: Shop) -> None:
    """Paying from a prepaid balance, which needs no provider."""
    PaymentChannel.objects.get_or_create(
        shop=shop,
        slug="balance",
        defaults={
            "name": "余额",
            "name_en": "Balance",
            "driver": "balance",
            "method": "balance",
            "position": 100,
        },
    )
