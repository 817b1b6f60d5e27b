"""What the demo shop and the sandbox know of each other: accounts and keys, made once and kept."""

import json
import os
from pathlib import Path

from cardshop.settings import env
from payments.gateways import rsa

MERCHANT_ID, APP_ID = "1001", "2021001"
WECHAT_MERCHANT, WECHAT_KEY_ID = "1900000001", "PUB_KEY_ID_0119000000012026030100000001"
STRIPE_ACCOUNT, PAYPAL_CLIENT, PAYPAL_WEBHOOK = "acct_sandbox", "SandboxClient", "5GP028458E2496506"


def accounts(*, port: int, sandbox_port: int, secrets: Path) -> dict[str, str]:
    """As environment, for both of them. They share a merchant's key, or each have their own private one and
    the other's public one. `port` is the shop's: Stripe and PayPal learn there, and not with each payment,
    where notices go.
    """
    key = env.generated_secret("SANDBOX_KEY", secrets)
    merchant = env.generated_secret("SANDBOX_MERCHANT_RSA", secrets, rsa.new_key)
    platform = env.generated_secret("SANDBOX_PLATFORM_KEY", secrets, rsa.new_key)
    usdt = env.generated_secret("SANDBOX_USDT_KEY", secrets)
    public = rsa.public_of(merchant)
    return {
        "SANDBOX_KEY": key,
        "SANDBOX_MERCHANTS": os.environ.get("SANDBOX_MERCHANTS") or f"{MERCHANT_ID}:{key}",
        "SANDBOX_MERCHANT_RSA": merchant,
        "SANDBOX_PLATFORM_KEY": platform,
        "SANDBOX_RSA_MERCHANTS": f"{MERCHANT_ID}:{public},{APP_ID}:{public}",
        "SANDBOX_USDT_KEY": usdt,
        "SANDBOX_USDT": json.dumps({"bepusdt": usdt}),
        **_wechat(sandbox_port, public_key=public, platform_key=platform, secrets=secrets),
        **_stripe(port, secrets),
        **_paypal(port, secrets),
    }


def _wechat(sandbox_port: int, *, public_key: str, platform_key: str, secrets: Path) -> dict[str, str]:
    api_v3_key = env.generated_secret("SANDBOX_WECHAT_V3_KEY", secrets, lambda: os.urandom(16).hex())
    app_secret = env.generated_secret("SANDBOX_WECHAT_APP_SECRET", secrets)
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
        "SANDBOX_WECHAT_LOGIN": f"http://127.0.0.1:{sandbox_port}",
    }


def _stripe(port: int, secrets: Path) -> dict[str, str]:
    account = {
        "account": STRIPE_ACCOUNT,
        "api_key": f"sk_test_{env.generated_secret('SANDBOX_STRIPE_KEY_END', secrets)}",
        "webhook_secret": f"whsec_{env.generated_secret('SANDBOX_STRIPE_SECRET_END', secrets)}",
        "webhook_url": f"http://127.0.0.1:{port}/pay/notify/card/",
    }
    return {
        "SANDBOX_STRIPE": json.dumps(account),
        "SANDBOX_STRIPE_KEY": account["api_key"],
        "SANDBOX_STRIPE_SECRET": account["webhook_secret"],
    }


def _paypal(port: int, secrets: Path) -> dict[str, str]:
    app = {
        "client_id": PAYPAL_CLIENT,
        "client_secret": env.generated_secret("SANDBOX_PAYPAL_SECRET", secrets),
        "webhook_id": PAYPAL_WEBHOOK,
        "key": env.generated_secret("SANDBOX_PAYPAL_KEY", secrets, rsa.new_key),
        "webhook_url": f"http://127.0.0.1:{port}/pay/notify/paypal/",
    }
    return {
        "SANDBOX_PAYPAL": json.dumps(app),
        "SANDBOX_PAYPAL_SECRET": app["client_secret"],
        "SANDBOX_PAYPAL_WEBHOOK": app["webhook_id"],
    }
