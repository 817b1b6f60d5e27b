"""The secret with which a balance is spent: shown once, and afterwards known by its digest only."""

import re
import secrets
import unicodedata

from cardshop.common.ids import ALPHABET, keyed_digest

# 20 characters of 31 are 99 bits: nobody guesses one, however many are tried.
GROUPS, GROUP_LENGTH = 4, 5
_BETWEEN = re.compile(r"[\s\-\u2010-\u2015]+")


def new_code() -> str:
    """Such as `7KD2M-XH4PA-93WQZ-RTB6E`."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def digest_of(code: str, *, shop_id: int) -> str:
    """However it was typed: in small or full-width letters, with or without dashes and spaces."""
    bare = _BETWEEN.sub("", unicodedata.normalize("NFKC", code)).upper()
    return keyed_digest("balance-code", str(shop_id), bare)
