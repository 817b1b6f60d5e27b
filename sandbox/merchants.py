"""Who may call by which protocol, and what they and we sign with."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from sandbox import epay_v2
from sandbox.paypal import PayPalApp
from sandbox.stripe import StripeAccount
from sandbox.wechat import Account


@dataclass(frozen=True, kw_only=True)
class Merchants:
    """`keys` are EPay v1's shared secrets; `rsa` the public keys of merchants of EPay v2 and Alipay, with
    `platform`, our own key, for them. `usdt` are the keys of the USDT gateways, each of which has one
    merchant, by protocol; `wechat`, `stripe` and `paypal` are the one account there, if there is one.
    """

    keys: Mapping[str, str] = field(repr=False)
    rsa: Mapping[str, RSAPublicKey] = field(default_factory=dict)
    platform: RSAPrivateKey | None = field(default=None, repr=False)
    usdt: Mapping[str, str] = field(default_factory=dict, repr=False)
    wechat: Account | None = None
    stripe: StripeAccount | None = None
    paypal: PayPalApp | None = None

    def signed(self, said: Mapping[str, object]) -> dict[str, object]:
        """By the platform, now."""
        assert self.platform is not None
        return epay_v2.signed(said, self.platform, now=time.time())
