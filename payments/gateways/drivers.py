"""Which drivers there are, and what a merchant enters for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from payments.gateways import rsa
from payments.gateways.base import Gateway


@dataclass(frozen=True, kw_only=True)
class Account:
    """What a channel's row says to its driver, and what the driver works with."""

    shop_id: int
    base_url: str
    merchant_id: str
    provider_key: str
    method: str
    options: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    http: httpx.Client = field(repr=False)
    clock: Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One thing to enter. `check` raises ValueError, with words for the merchant, for what it cannot be.

    `is_preference`: it says nothing of where calls go, who is believed and who is paid, so secrets that were
    entered before stay good for it.
    """

    name: str
    label: str | Promise
    help_text: str | Promise = ""
    is_secret: bool = False
    is_required: bool = True
    is_preference: bool = False
    check: Callable[[str], object] | None = None


@dataclass(frozen=True, kw_only=True)
class Driver:
    """`settings` besides the provider's address: "merchant_id" and "provider_key" are columns of the channel,
    other secrets are sealed, and the rest are its options.

    `page_lasts` is how long after the beginning the provider still shows its page to who comes back to it;
    None: as long as the trade.
    """

    name: str
    label: str | Promise
    methods: tuple[str, ...]
    settings: Sequence[Setting]
    make: Callable[[Account], Gateway]
    has_app_calls: bool = False  # a payer whom it knows pays inside the provider's app
    page_lasts: timedelta | None = None
    base_url: str = ""  # where everybody finds the provider, if there is one such place
    has_address: bool = True

    @property
    def secret_names(self) -> list[str]:
        return [setting.name for setting in self.settings if setting.is_secret]


MERCHANT_ID = Setting(name="merchant_id", label=_("Merchant id"))


def check_public_rsa(text: str) -> None:
    try:
        rsa.public_key(text)
    except rsa.BadKey:
        raise ValueError(_("Enter the provider's public key: RSA, 2048 bits or more.")) from None


def check_private_rsa(text: str) -> None:
    try:
        rsa.private_key(text)
    except rsa.BadKey:
        raise ValueError(_("That is no private key: RSA, 2048 bits or more.")) from None


def check_address(text: str) -> None:
    """Of a place that secrets are sent to."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    schemes = {"https", "http"} if settings.PROVIDERS_ON_LOOPBACK else {"https"}
    if url.scheme not in schemes or not url.host or url.userinfo:
        raise ValueError(_("It has to begin with https://."))


PROVIDER_KEY = Setting(name="provider_key", label=_("Public key of the provider"), check=check_public_rsa)
PRIVATE_KEY = Setting(
    name="secret",
    label=_("Your own private key"),
    help_text=_("RSA, as the provider's tool makes it; the provider is given its public half."),
    is_secret=True,
    check=check_private_rsa,
)
SHARED_KEY = Setting(name="secret", label=_("The provider's key"), is_secret=True)
