"""Money as an integer of minor units (fen, cents) plus a currency. No floats anywhere."""

import re
from decimal import Decimal

# ISO 4217 exponents of the currencies a shop may use.
EXPONENTS = {"CNY": 2, "USD": 2, "EUR": 2, "HKD": 2, "JPY": 0}
SYMBOLS = {"CNY": "¥", "USD": "$", "EUR": "€", "HKD": "HK$", "JPY": "JP¥"}
CURRENCIES = [(code, code) for code in EXPONENTS]
MAX_MINOR = 10**12

# ASCII digits only: Decimal() would also take "٣", "1e3", "1_0" and "NaN".
_PLAIN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,8})?", re.ASCII)


def to_minor(text: str, currency: str) -> int:
    """`"9.9"` CNY → 990. Trailing zeros are allowed, other fractions of a minor unit are not.

    Raises ValueError for anything but plain ASCII decimal notation.
    """
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"not an amount: {text[:40]!r}")
    minor = Decimal(text).scaleb(EXPONENTS[currency])
    if minor != minor.to_integral_value():
        raise ValueError(f"finer than the currency allows: {text[:40]!r}")
    return int(minor)


def to_text(minor: int, currency: str) -> str:
    """990 CNY → `"9.90"`, as gateways want it."""
    return str(Decimal(minor).scaleb(-EXPONENTS[currency]).quantize(Decimal(1).scaleb(-EXPONENTS[currency])))


def display(minor: int, currency: str) -> str:
    """990 CNY → `"¥9.90"`, as people read it."""
    sign = "-" if minor < 0 else ""
    return f"{sign}{SYMBOLS[currency]}{to_text(abs(minor), currency)}"
