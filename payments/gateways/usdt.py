"""What epusdt, BEpusdt and TokenPay share: flat JSON under an MD5, about trades in the shop's own currency.

Signed are the sorted, non-empty pairs and the shared key after them. Traps:
- A number is signed as the provider's language spells it, and not as it stands in the JSON: Go reads a float
  and writes it anew, with an exponent from a million on where it is written by `%v`.
- The amount of USDT is only for the buyer: providers tell trades apart by it, a hundredth more or less. What
  was owed and has come is the amount in the shop's currency, which they repeat.
- A trade takes one transfer. Receipts go by the number of the trade and not by that of the transfer, since
  queries do not tell that one (epusdt, BEpusdt), epusdt's notices leave it empty, and off TRON it is longer
  than a receipt's number may be.
- There is no way back: what is on the chain is given back by hand, or not at all.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from hashlib import md5, sha256
from hmac import compare_digest
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import to_text
from payments.gateways.base import (
    BadNotice,
    Evidence,
    GatewayError,
    GatewayRefused,
    Notice,
    PayRequest,
    read_evidence,
)
from payments.gateways.drivers import Setting

METHODS = ("usdt",)
_NUMBER_OF_THEIRS = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
FIAT = "CNY"


class Number(str):
    """A number as it stands in the JSON. Text among the signed fields is plain `str`."""

    __slots__ = ()


Spelling = Callable[[str], str]  # from how a number stands in the JSON to how it is signed


def as_sent(number: str) -> str:
    return number


def fixed(number: str) -> str:
    """As Go writes a float by FormatFloat(x, 'f', -1, 64)."""
    return format(_shortest(number), "f")


def general(number: str) -> str:
    """As Go writes a float by `%v`: "999999" and "1e+06"."""
    exact = _shortest(number)
    exponent = exact.adjusted()
    if -4 <= exponent < 6:
        return format(exact, "f")
    sign, digits, _ = exact.as_tuple()
    first, *more = map(str, digits)
    return f"{'-' * sign}{first}{'.' if more else ''}{''.join(more)}e{exponent:+03d}"


def _shortest(number: str) -> Decimal:
    """With as many digits as tell it from the next float, as both Go and Python choose them."""
    return Decimal(repr(float(number))).normalize()


def signed_text(said: Mapping[str, str], *, spelling: Spelling) -> str:
    pairs = sorted((k, v) for k, v in said.items() if v and k.lower() != "signature")
    return "&".join(f"{k}={spelling(v) if isinstance(v, Number) else v}" for k, v in pairs)


def sign(said: Mapping[str, str], secret: str, *, spelling: Spelling) -> str:
    text = signed_text(said, spelling=spelling) + secret
    return md5(text.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()


def price_of(wanted: PayRequest) -> Number:
    """Without zeros at the end: every language then writes it as it reads it.

    Raises GatewayRefused for nothing at all: to some of them that means "whatever comes".
    """
    if wanted.amount_minor <= 0:
        raise GatewayRefused("nothing to pay")
    return Number(fixed(to_text(wanted.amount_minor, wanted.currency)))


def to_send(said: Mapping[str, str]) -> dict[str, str | int | float]:
    """As JSON is made of it. An amount has 12 digits at most, and a float holds 15."""
    return {
        name: (float(value) if "." in value else int(value)) if isinstance(value, Number) else value
        for name, value in said.items()
    }


def read_flat(body: str) -> dict[str, str]:
    """The fields of a JSON object without any depth; null is as if it were not there. Raises BadNotice."""
    try:
        said = json.loads(
            body,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_number,
            object_pairs_hook=_each_once,
        )
    except (ValueError, RecursionError):
        raise BadNotice("not a JSON object that can be read") from None
    if not isinstance(said, dict):
        raise BadNotice("not a JSON object")
    fields = {name: value for name, value in said.items() if value is not None}
    if not all(isinstance(value, str) for value in fields.values()):
        raise BadNotice("a field is neither text nor number")
    return fields


def read_signed(body: str, secret: str, *, spelling: Spelling, signature: str) -> tuple[dict[str, str], str]:
    """The fields whose signature, the field of that name, fits; and their digest. Raises BadNotice."""
    said = read_flat(body)
    ours = sign(said, secret, spelling=spelling)
    if not compare_digest(said.get(signature, "").encode(errors="surrogatepass"), ours.encode()):
        raise BadNotice("bad signature")
    text = signed_text(said, spelling=spelling)
    return said, sha256(text.encode(errors="surrogatepass")).hexdigest()


def evidence_of(*, ours: object, theirs: object, amount: object, currency: str, paid: bool) -> Evidence:
    """Of the two numbers of a trade and its amount in the shop's currency. Raises GatewayError."""
    if not _NUMBER_OF_THEIRS.fullmatch(str(theirs)):
        raise GatewayError("answered without a readable number")
    said = {"out_trade_no": ours, "trade_no": theirs, "amount": amount}
    evidence = read_evidence(said, amount="amount", currency=currency, paid=paid)
    if evidence.amount_minor == 0:
        raise GatewayError("answered without an amount")
    return evidence


def notice_of(digest: str, **told: Any) -> Notice:
    """Of what `evidence_of` is told. Raises BadNotice."""
    try:
        return Notice(evidence=evidence_of(**told), digest=digest)
    except GatewayError as error:
        raise BadNotice(str(error)) from error


def number_of(theirs: object, *, ours: object, wanted: PayRequest) -> str:
    """The provider's number of the trade that it has just opened, if it is ours. Raises GatewayError."""
    if str(ours) != wanted.out_trade_no:
        raise GatewayError("answered about another trade")
    if not _NUMBER_OF_THEIRS.fullmatch(str(theirs)):
        raise GatewayError("answered without a readable number")
    return str(theirs)


def fiat_setting(*choices: str) -> Setting:
    def check(text: str) -> None:
        if text not in choices:
            raise ValueError(_("Enter one of these: %(choices)s.") % {"choices": ", ".join(choices)})

    return Setting(
        name="fiat",
        label=_("Currency of your prices"),
        help_text=format_lazy(_("{fiat} if you leave it empty."), fiat=FIAT),
        is_required=False,
        check=check,
    )


def network_setting(name: str, pattern: str, *, default: str) -> Setting:
    def check(text: str) -> None:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(_("Enter a network for USDT, as in %(example)s.") % {"example": default})

    return Setting(
        name=name,
        label=_("Network for USDT"),
        help_text=format_lazy(
            _("As the provider calls it; {network} if you leave it empty."), network=default
        ),
        is_required=False,
        check=check,
    )


def _number(text: str) -> Number:
    """Raises ValueError for what no float can hold."""
    if not math.isfinite(float(text)):
        raise ValueError
    return Number(text)


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Which of two was signed? Raises ValueError."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError
    return fields
