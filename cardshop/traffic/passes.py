"""The buyer pass: a signed, short-lived name for one anonymous buyer and one variant.

`v1.<buyer>.<variant>.<expires>.<mac>`: buyer is 128 random bits (base64url), expires is Unix seconds,
mac is base64url(HMAC-SHA256(key, everything before the last dot)). Plain enough for an edge to
check without Django. The key is derived from SECRET_KEY for this purpose alone.

`v2.<buyer>.<variant>.<expires>.<bound>.<mac>` is good with one contact only: bound is the first 16
characters of base64url(HMAC-SHA256(key, "contact:" + the address in lower case)).
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
_BOUND = 16  # characters, 96 bits
_SHAPE = re.compile(r"v([12])\.([\w-]{22})\.([\w-]{1,60})\.(\d{10})(?:\.([\w-]{16}))?\.([\w-]{43})", re.ASCII)


class BadPass(DomainError):
    code = "bad_pass"
    http_status = 403
    message = _("This form is too old or was altered. Please open the product again.")


@dataclass(frozen=True)
class BuyerPass:
    """Names a buyer (`buyer_id`) who may order `variant_code` until `expires_at`.

    With `bound_to`, only under the contact that this is the digest of.
    """

    buyer_id: str
    variant_code: str
    expires_at: int
    bound_to: str = ""

    def require_contact(self, contact_email: str) -> None:
        """Raises BadPass if this pass was bound to another contact."""
        if self.bound_to and not hmac.compare_digest(self.bound_to, _contact_digest(contact_email)):
            raise BadPass


def mint_pass(*, variant_code: str, now: datetime) -> str:
    """A fresh pass for a fresh buyer."""
    expires = int((now + LIFETIME).timestamp())
    return _signed(f"v1.{secrets.token_urlsafe(16)}.{variant_code}.{expires}")


def bind_pass(buyer: BuyerPass, contact_email: str, *, good_until: datetime) -> str:
    """The same buyer's pass, good with this contact only. Never shortens the one it comes from."""
    expires = max(buyer.expires_at, int(good_until.timestamp()))
    bound = _contact_digest(contact_email)
    return _signed(f"v2.{buyer.buyer_id}.{buyer.variant_code}.{expires}.{bound}")


def read_pass(text: str, *, variant_code: str, now: datetime) -> BuyerPass:
    """The pass in `text`. Raises BadPass if forged, altered, expired or for another variant."""
    if not (shape := _SHAPE.fullmatch(text)):
        raise BadPass
    version, buyer_id, code, expires, bound, mac = shape.groups()
    if (version == "2") != (bound is not None):
        raise BadPass
    if not hmac.compare_digest(mac, _mac(text.rpartition(".")[0])):
        raise BadPass
    if code != variant_code or int(expires) <= now.timestamp():
        raise BadPass
    return BuyerPass(buyer_id=buyer_id, variant_code=code, expires_at=int(expires), bound_to=bound or "")


def _signed(text: str) -> str:
    return f"{text}.{_mac(text)}"


def _contact_digest(contact_email: str) -> str:
    # No pass begins with "contact:", so that neither digest can be taken for the other.
    return _mac("contact:" + contact_email.lower())[:_BOUND]


def _mac(text: str) -> str:
    digest = hmac.digest(derived_key("buyer-pass"), text.encode(), sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
