"""The merchants, as the environment tells of them."""

import json
import re
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from sandbox import epay_v2, wechat
from sandbox.ledger import BEPUSDT, EPUSDT, TOKENPAY
from sandbox.merchants import Merchants
from sandbox.paypal import PayPalApp
from sandbox.stripe import StripeAccount

MERCHANT = re.compile(r"(?P<pid>[1-9][0-9]{0,8}):(?P<key>\S+)")


class BadEnvironment(ValueError):
    """What is there cannot be read. Says where, without secrets."""


def read_environment(env: Mapping[str, str], *, merchants: str) -> Merchants:
    """Everybody who may call; `merchants` are those of EPay v1. Raises BadEnvironment."""
    try:
        keys = read_merchants(merchants)
    except ValueError as exc:
        raise BadEnvironment(str(exc)) from exc
    try:
        rsa, platform = _read_rsa(env)
    except (KeyError, ValueError):
        raise BadEnvironment("SANDBOX_RSA_MERCHANTS is not ID:KEY, or SANDBOX_PLATFORM_KEY no key") from None
    try:
        usdt = _read_usdt(env)
    except ValueError:
        known = '{"epusdt": KEY, "bepusdt": KEY, "tokenpay": KEY}'
        raise BadEnvironment(f"SANDBOX_USDT is not JSON like {known}") from None
    try:
        wechat_account = wechat.read_account(env["SANDBOX_WECHAT"]) if env.get("SANDBOX_WECHAT") else None
    except ValueError as exc:
        raise BadEnvironment(f"SANDBOX_WECHAT: {exc}") from exc
    try:
        stripe, paypal = _read_stripe(env), _read_paypal(env)
    except (TypeError, ValueError):
        wrong = "SANDBOX_STRIPE or SANDBOX_PAYPAL is not the JSON that README.md describes"
        raise BadEnvironment(wrong) from None
    return Merchants(
        keys=keys,
        rsa=rsa,
        platform=platform,
        usdt=usdt,
        wechat=wechat_account,
        stripe=stripe,
        paypal=paypal,
    )


def read_merchants(text: str) -> dict[str, str]:
    """Keys by merchant, from "1001:KEY,1002:KEY2" (or one a line). Raises ValueError."""
    keys: dict[str, str] = {}
    for number, entry in enumerate(re.split(r"[,\s]+", text.strip()), start=1):
        match = MERCHANT.fullmatch(entry)
        if match is None:
            raise ValueError(f"merchant {number} is not ID:KEY")  # without the key, which is secret
        keys[match["pid"]] = match["key"]
    return keys


def _read_rsa(env: Mapping[str, str]) -> tuple[dict[str, RSAPublicKey], RSAPrivateKey | None]:
    """The merchants of EPay v2 and the platform's own key, if there are any. Raises KeyError, ValueError."""
    if not (merchants := env.get("SANDBOX_RSA_MERCHANTS")):
        return {}, None
    rsa = {pid: epay_v2.read_public_key(key) for pid, key in read_merchants(merchants).items()}
    return rsa, epay_v2.read_private_key(env["SANDBOX_PLATFORM_KEY"])


def _read_usdt(env: Mapping[str, str]) -> dict[str, str]:
    """Keys by protocol, from JSON like {"bepusdt": "KEY"}. Raises ValueError."""
    keys = json.loads(env.get("SANDBOX_USDT") or "{}")
    if not isinstance(keys, dict) or not keys.keys() <= {EPUSDT, BEPUSDT, TOKENPAY}:
        raise ValueError
    return {name: str(key) for name, key in keys.items()}


def _read_stripe(env: Mapping[str, str]) -> StripeAccount | None:
    """Raises TypeError, ValueError."""
    text = env.get("SANDBOX_STRIPE")
    return StripeAccount(**json.loads(text)) if text else None


def _read_paypal(env: Mapping[str, str]) -> PayPalApp | None:
    """Raises TypeError, ValueError."""
    text = env.get("SANDBOX_PAYPAL")
    if not text:
        return None
    app = PayPalApp(**json.loads(text))
    _ = app.certificate  # now, and not in the middle of the first call
    return app
