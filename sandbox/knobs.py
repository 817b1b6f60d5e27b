"""Knobs: how the gateway is told to misbehave. Kept in memory; a restart turns them all back."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from threading import Lock

FOREVER = -1


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """One setting of all knobs. Counts are of the next n; FOREVER is all from now on."""

    notice_delay_s: float = 0.0  # between the payment and the first notice
    notice_drop: int = 0  # notices lost on the way, as if they had not been acknowledged
    notice_copies: int = 1  # how many of each first notice, in parallel; extra ones never retry
    notice_reorder: int = 0  # hold due notices until n wait, then send the last one first
    notice_corrupt: int = 0  # notices with a wrong sign
    notice_status: str = "TRADE_SUCCESS"  # what notices say, validly signed
    api_error: int = 0  # calls by merchants answered 500, nothing done
    api_lost: int = 0  # calls of the same that are done, and then answered 500
    answer_corrupt: int = 0  # answers of EPay v2 with a wrong sign
    usdt_full: int = 0  # trades in USDT refused, as no amount is free
    pay_dead: str = "none"  # of that protocol trades can be opened and asked about, and not be paid
    api_delay_s: float = 0.0  # before each of those calls is looked at
    create_delay_s: float = 0.0  # after a trade is recorded, before the answer
    time_scale: float = 1.0  # on the retry schedule, for retries planned from now on
    webhook_url: str = ""  # where Stripe's and PayPal's notices go, if not to the account's own address
    answer: str = "payurl"  # what mapi.php answers for wxpay: payurl or qrcode


RANGES: dict[str, tuple[float, float]] = {
    "notice_delay_s": (0, 3600),
    "notice_drop": (FOREVER, 1_000_000),
    "notice_copies": (1, 1000),
    "notice_reorder": (0, 1000),
    "notice_corrupt": (FOREVER, 1_000_000),
    "api_error": (FOREVER, 1_000_000),
    "api_lost": (FOREVER, 1_000_000),
    "answer_corrupt": (FOREVER, 1_000_000),
    "usdt_full": (FOREVER, 1_000_000),
    "api_delay_s": (0, 60),
    "create_delay_s": (0, 60),
    "time_scale": (0.0001, 10),
}
WORDS = {
    "pay_dead": re.compile("[a-z0-9_]{1,32}"),
    "notice_status": re.compile("[A-Z_]{1,32}"),
    "webhook_url": re.compile("(http://[!-~]{1,200})?"),
    "answer": re.compile("payurl|qrcode"),
}
DEFAULTS = Knobs()


class BadKnob(ValueError):
    """No such knob, or not a setting it can take; the message says which."""


class KnobBoard:
    """The knobs as they stand: read `now`, `turn` some, `take` one off a count."""

    def __init__(self) -> None:
        self.now = Knobs()
        self._lock = Lock()

    def turn(self, changes: Mapping[str, object]) -> None:
        """All of `changes` at once, or BadKnob and none of them."""
        for name, value in changes.items():
            _check(name, value)
        with self._lock:
            self.now = replace(self.now, **changes)  # type: ignore[arg-type]  # just checked

    def turn_back(self) -> None:
        with self._lock:
            self.now = Knobs()

    def take(self, name: str) -> bool:
        """True if the count `name` covers this one, too; of a finite count one is used up."""
        with self._lock:
            left = getattr(self.now, name)
            if left > 0:
                self.now = replace(self.now, **{name: left - 1})
        return bool(left)

    def as_json(self) -> dict[str, object]:
        return asdict(self.now)


def from_form(form: Mapping[str, str]) -> dict[str, object]:
    """What a person typed, in each knob's own type. Raises BadKnob."""
    kinds = {knob.name: type(getattr(DEFAULTS, knob.name)) for knob in fields(Knobs)}
    changes: dict[str, object] = {}
    for name, text in form.items():
        if name not in kinds:
            raise BadKnob(f"{name}: no such knob")
        try:
            changes[name] = kinds[name](text)
        except ValueError as exc:
            raise BadKnob(f"{name}: a number, please") from exc
    return changes


def _check(name: str, value: object) -> None:
    if name in WORDS:
        if not isinstance(value, str) or not WORDS[name].fullmatch(value):
            raise BadKnob(f"{name}: must match {WORDS[name].pattern}")
        return
    if name not in RANGES:
        raise BadKnob(f"{name}: no such knob")
    whole = isinstance(getattr(DEFAULTS, name), int)
    low, high = RANGES[name]
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    # NaN is in no range.
    if not is_number or not low <= value <= high:  # type: ignore[operator]  # a number by now
        raise BadKnob(f"{name}: must be {'a whole' if whole else 'a'} number, {low} to {high}")
