"""Drivers: one module a provider, each given its address, HTTP client, clock and credentials."""

import json
from datetime import UTC, datetime
from functools import lru_cache

import httpx
from django.conf import settings

from cardshop.common.crypto import CannotOpen
from cardshop.common.deadline import DeadlineTransport
from cardshop.traffic.breakers import Transition
from cardshop.traffic.bulkheads import bulkhead_of
from payments.gateways import (
    alipay,
    balance,
    bepusdt,
    epay,
    epay_v2,
    epusdt,
    paypal,
    stripe_checkout,
    tokenpay,
    wechat,
    wechat_login,
)
from payments.gateways.base import Gateway, NotAsked
from payments.gateways.drivers import Account, Driver
from payments.gateways.guarded import OPERATIONS, GuardedGateway, breaker_of, guard
from payments.models import PaymentChannel

DRIVERS: dict[str, Driver] = {
    driver.name: driver
    for driver in (
        epay.DRIVER,
        epay_v2.DRIVER,
        *alipay.DRIVERS,
        epusdt.DRIVER,
        bepusdt.DRIVER,
        tokenpay.DRIVER,
        wechat.DRIVER,
        stripe_checkout.DRIVER,
        paypal.DRIVER,
        balance.DRIVER,
    )
}


@lru_cache(maxsize=1)
def http_client() -> httpx.Client:
    """One connection pool a process. No proxies from the environment, no redirects followed."""
    return httpx.Client(
        transport=DeadlineTransport(),
        timeout=httpx.Timeout(settings.PROVIDER_READ_TIMEOUT, connect=settings.PROVIDER_CONNECT_TIMEOUT),
        trust_env=False,
        follow_redirects=False,
    )


def gateway_for(channel: PaymentChannel) -> Gateway:
    """The driver of a channel, with the channel's credentials, behind the channel's breakers.

    Raises NotAsked when they cannot be opened: the provider cannot be asked then, as if it were down,
    and whoever asks many of them goes on to the next.
    """
    account = account_of(channel)
    return GuardedGateway(DRIVERS[channel.driver].make(account), name=_name(channel.pk), slug=channel.slug)


def account_of(channel: PaymentChannel) -> Account:
    """With the channel's credentials in clear. Raises NotAsked, as gateway_for() does."""
    if channel.driver not in DRIVERS:
        raise NotAsked(f"no driver is called {channel.driver}")
    return Account(
        shop_id=channel.shop_id,
        base_url=channel.base_url,
        merchant_id=channel.merchant_id,
        provider_key=channel.provider_key,
        method=channel.method,
        options=channel.options,
        secrets=secrets_of(channel),
        http=http_client(),
        clock=_now,
    )


def asks_who_pays(channel: PaymentChannel) -> bool:
    """Whether buyers inside WeChat go to the channel's login first. Without its credentials none can."""
    if channel.driver != wechat.DRIVER.name:
        return False
    try:
        return wechat_login.has_login(account_of(channel))
    except NotAsked:
        return False


def login_answers(channel: PaymentChannel) -> bool:
    """False while the channel's login is left alone; as soon as it may be tried again, it is."""
    return not breaker_of(_name(channel.pk), "login").open_for()


def payer_of(channel: PaymentChannel, code: str) -> str:
    """Network. Who came back from WeChat's login with that code: their openid.

    Raises GatewayRefused, GatewayError.
    """
    with guard(_name(channel.pk), "login", slug=channel.slug, at_the_counter=True):
        return wechat_login.openid(account_of(channel), code)


def secrets_of(channel: PaymentChannel) -> dict[str, str]:
    """The channel's secrets in clear, by the names that its driver gives them. Raises NotAsked."""
    names = DRIVERS[channel.driver].secret_names
    if not names:
        return {}
    try:
        text = channel.secret
    except CannotOpen as error:
        raise NotAsked(f"the secret of {channel.slug} cannot be opened") from error
    secrets: dict[str, str] = {names[0]: text} if len(names) == 1 else json.loads(text)
    return secrets


def seal_secrets(channel: PaymentChannel, secrets: dict[str, str]) -> None:
    """One is sealed as it is, several as one text; where there are none, nothing is."""
    if not secrets:
        return
    (only, *others) = secrets.values()
    channel.seal_secret(json.dumps(secrets) if others else only)


def operations_of(channel: PaymentChannel) -> list[str]:
    """What the channel may be asked for: only WeChat's has a login."""
    has_login = channel.driver == wechat.DRIVER.name
    return [operation for operation in OPERATIONS if operation != "login" or has_login]


def left_alone(channel: PaymentChannel) -> dict[str, float]:
    """The operations that the channel is not asked for at the moment, with seconds until it may be again.

    Empty while all is well, and while Redis cannot say.
    """
    waits = {
        operation: breaker_of(_name(channel.pk), operation).open_for() for operation in operations_of(channel)
    }
    return {operation: seconds for operation, seconds in waits.items() if seconds is not None}


def breaker_history(channel: PaymentChannel) -> list[tuple[str, Transition]] | None:
    """What the channel's breakers did, newest first, each with its operation; None while Redis cannot say."""
    done: list[tuple[str, Transition]] = []
    for operation in operations_of(channel):
        history = breaker_of(_name(channel.pk), operation).history()
        if history is None:
            return None
        done += [(operation, transition) for transition in history]
    return sorted(done, key=lambda each: each[1].at, reverse=True)


def is_slow(channel_id: int) -> bool:
    """Whether the channel keeps this process waiting, or did so the last time."""
    return bulkhead_of(_name(channel_id)).is_slow


def _name(channel_id: int) -> str:
    return f"channel:{channel_id}"


def _now() -> datetime:
    return datetime.now(UTC)
