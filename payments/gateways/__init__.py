"""Drivers: one module a provider, each given its address, HTTP client and credentials."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import httpx
from django.conf import settings

from cardshop.common.crypto import CannotOpen
from payments.gateways.alipay import AlipayGateway
from payments.gateways.base import Gateway, Unreachable
from payments.gateways.epay import EpayGateway
from payments.gateways.epay_v2 import EpayV2Gateway
from payments.gateways.guarded import OPERATIONS, GuardedGateway, breaker_of
from payments.models import PaymentChannel


@lru_cache(maxsize=1)
def http_client() -> httpx.Client:
    """One connection pool a process. No proxies from the environment, no redirects followed."""
    return httpx.Client(
        timeout=httpx.Timeout(settings.PROVIDER_READ_TIMEOUT, connect=settings.PROVIDER_CONNECT_TIMEOUT),
        trust_env=False,
        follow_redirects=False,
    )


def gateway_for(channel: PaymentChannel) -> Gateway:
    """The driver of a channel, with the channel's credentials, behind the channel's breakers.

    Raises Unreachable when they cannot be opened: the provider cannot be asked then, as if it were down,
    and whoever asks many of them goes on to the next.
    """
    try:
        secret = channel.secret
    except CannotOpen as error:
        raise Unreachable(f"the secret of {channel.slug} cannot be opened") from error
    return GuardedGateway(_driver(channel, secret), name=_name(channel))


def left_alone(channel: PaymentChannel) -> dict[str, float]:
    """The operations that the channel is not asked for at the moment, with seconds until it may be again.

    Empty while all is well, and while Redis cannot say.
    """
    waits = {operation: breaker_of(_name(channel), operation).open_for() for operation in OPERATIONS}
    return {operation: seconds for operation, seconds in waits.items() if seconds is not None}


def _name(channel: PaymentChannel) -> str:
    return f"channel:{channel.pk}"


def _driver(channel: PaymentChannel, secret: str) -> Gateway:
    account: dict[str, Any] = {
        "base_url": channel.base_url,
        "merchant_id": channel.merchant_id,
        "http": http_client(),
    }
    match channel.driver:
        case "epay_v1":
            return EpayGateway(secret=secret, method=channel.method, **account)
        case "epay_v2":
            return EpayV2Gateway(
                secret=secret,
                provider_key=channel.provider_key,
                method=channel.method,
                clock=_now,
                **account,
            )
        case "alipay_qr" | "alipay_page":
            return AlipayGateway(
                secret=secret,
                provider_key=channel.provider_key,
                has_pages=channel.driver == "alipay_page",
                clock=_now,
                **account,
            )
    raise Unreachable(f"no driver is called {channel.driver}")


def _now() -> datetime:
    return datetime.now(UTC)
