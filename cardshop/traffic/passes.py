"""The buyer pass: a signed, short-lived name for one anonymous buyer and one variant.

`v1.<buyer>.<variant>.<expires>.<mac>`: buyer is 128 random bits (base64url), expires is Unix seconds,
mac is base64url(HMAC-SHA256(key, everything before the last dot)). Plain enough for an edge to
check without Django. The key is derived from SECRET_KEY for this purpose alone.
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.common.ids import derived_key

LIFETIME = timedelta(hours=2)
_SHAPE = re.compile(r"v1\.([\w-]{22})\.([\w-]{1,60})\.(\d{10})\.([\w-]{43})", re.ASCII)


class BadPass(DomainError):
    code = "bad_pass"
    http_status = 403
    message = _("This form is too old or was altered. Please open the product again.")


@dataclass(frozen=True)
class BuyerPass:
    """Names a buyer (`buyer_id`) who may order `variant_code` until `expires_at`."""

    buyer_id: str
    variant_code: str
    expires_at: int


def mint_pass(*, variant_code: str, now: datetime) -> str:
    """A fresh pass for a fresh buyer."""
    expires = int((now + LIFETIME).timestamp())
    text = f"v1.{secrets.token_urlsafe(16)}.{variant_code}.{expires}"
    return f"{text}.{_mac(text)}"


def read_pass(text: str, *, variant_code: str, now: datetime) -> BuyerPass:
    """The pass in `text`. Raises BadPass if forged, altered, expired or for another variant."""
    if not (shape := _SHAPE.fullmatch(text)):
        raise BadPass
    buyer_id, code, expires, mac = shape.groups()
    if not hmac.compare_digest(mac, _mac(text.rpartition(".")[0])):
        raise BadPass
    if code != variant_code or int(expires) <= now.timestamp():
        raise BadPass
    return BuyerPass(buyer_id=buyer_id, variant_code=code, expires_at=int(expires))


def _mac(text: str) -> str:
    digest = hmac.digest(derived_key("buyer-pass"), text.encode(), sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
