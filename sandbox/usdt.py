"""USDT gateways as they see themselves: what Go and C# make of JSON, and the MD5 over it. Pure functions."""

from collections.abc import Mapping
from hashlib import md5, sha256
from hmac import compare_digest

from sandbox import epay

YUAN_PER_USDT = 7.2
WALLET = "TSandboxWa11etOfNobodyXXXXXXXXXXXX"


def go_fixed(number: float) -> str:
    """strconv.FormatFloat(number, 'f', -1, 64): the fewest decimals that say it exactly."""
    return next(text for places in range(30) if float(text := f"{number:.{places}f}") == number)


def go_general(number: float) -> str:
    """fmt's %v: as above from 0.0001 up to a million, in science elsewhere."""
    shortest = next(text for places in range(18) if float(text := f"{number:.{places}e}") == number)
    exponent = int(shortest.partition("e")[2])
    return go_fixed(number) if -4 <= exponent < 6 else shortest


def epusdt_sign(said: Mapping[str, object], token: str) -> str:
    return _md5(said, token, without="signature", number=go_fixed)


def bepusdt_sign(said: Mapping[str, object], token: str) -> str:
    return _md5(said, token, without="signature", number=go_general)


def tokenpay_sign(said: Mapping[str, object], token: str) -> str:
    """C#'s decimals keep what they were read from."""
    return _md5(said, token, without="Signature", number=None)


def is_signed(said: Mapping[str, object], name: str, expected: str) -> bool:
    return compare_digest(str(said.get(name, "")).encode(), expected.encode())


def usdt_of(fen: int) -> str:
    return f"{fen / 100 / YUAN_PER_USDT:.2f}"


def transfer_of(trade_no: str) -> str:
    """What the chain would call the transfer that paid the trade."""
    return sha256(trade_no.encode()).hexdigest()


def to_fen(amount: object) -> int:
    """Raises epay.BadMoney."""
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise epay.BadMoney(str(amount))
    return epay.to_fen(go_fixed(amount))


def yuan(fen: int) -> int | float:
    """As JSON has it."""
    return fen // 100 if fen % 100 == 0 else fen / 100


def _md5(said: Mapping[str, object], token: str, *, without: str, number: object) -> str:
    def spelt(value: object) -> str:
        if callable(number) and isinstance(value, int | float):
            return str(number(float(value)))
        return str(value)

    pairs = sorted((name, spelt(value)) for name, value in said.items() if value not in (None, ""))
    text = "&".join(f"{name}={value}" for name, value in pairs if name != without)
    return md5((text + token).encode(), usedforsecurity=False).hexdigest()
