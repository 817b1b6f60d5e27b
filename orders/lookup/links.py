"""The links of a mail: one signature for all orders of one contact in one shop, for half an hour.

`<expires>-<mac>`: expires is Unix seconds, mac the beginning of an HMAC over shop, contact and expires.
Together with an order's number it opens that order, as long as the contact is still the order's: who corrects
a mistyped address takes the links away from whoever reads the wrong one. It may be used again until it is
over. Scanners of mail open every link first, people once on the phone and once on the computer; and who can
read the mail can ask for another.
"""

import re
from datetime import datetime, timedelta
from hmac import compare_digest

from cardshop.common.ids import keyed_digest

VALID_FOR = timedelta(minutes=30)
_MAC = 32  # hexadecimal digits, 128 bits
_SHAPE = re.compile(rf"(\d{{10}})-([0-9a-f]{{{_MAC}}})", re.ASCII)


def make_link(*, shop_id: int, contact_email: str, now: datetime) -> str:
    expires = str(int((now + VALID_FOR).timestamp()))
    return f"{expires}-{_mac(shop_id, contact_email, expires)}"


def is_link_of(link: str, *, shop_id: int, contact_email: str, now: datetime) -> bool:
    """Whether it was made for this contact in this shop, and is not over."""
    if not (shape := _SHAPE.fullmatch(link)):
        return False
    expires, mac = shape.groups()
    return compare_digest(mac, _mac(shop_id, contact_email, expires)) and now.timestamp() < int(expires)


def _mac(shop_id: int, contact_email: str, expires: str) -> str:
    return keyed_digest("lookup-link", str(shop_id), contact_email.lower(), expires)[:_MAC]
