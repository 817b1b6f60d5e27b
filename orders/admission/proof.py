"""Proof of work: under pressure a click has to cost its sender something.

The challenges are ALTCHA's (v2, https://altcha.org/docs/v2/), signed, and good for one click and a minute:
a stock of solved ones would be worth nothing to anybody.
"""

from datetime import datetime, timedelta
from typing import Any

from altcha import ChallengeParameters, Payload, create_challenge, verify_solution
from django.conf import settings

from cardshop.common.ids import derived_key, keyed_digest
from orders.clicks import Click

ALGORITHM = "SHA-256"
# Hexadecimal zeros that the digest must begin with: 16 times the work each. Three are some 4,000 digests,
# a fraction of a second for a phone and a thousandth of that to be checked.
ZEROS = 3
# A slow phone makes 500 digests a second, so one in 1,500 of them needs longer and is challenged again.
LIFETIME = timedelta(minutes=1)
LONGEST = 2000  # characters of a proof
LASTS = 30.0  # seconds that pressure is felt after the last peak


def new_challenge(click: Click, *, now: datetime) -> dict[str, Any]:
    """A challenge as `static/js/proof.js` solves it, for this click and its repeats."""
    challenge = create_challenge(
        ALGORITHM,
        1,
        key_prefix="0" * ZEROS,
        expires_at=now + LIFETIME,
        data=_named(click),
        hmac_secret=derived_key("proof-of-work"),
    )
    return dict(challenge.to_dict())


def spent_challenge(proof: str, click: Click) -> str:
    """The nonce of this click's challenge that `proof` solves; empty if it solves none of them.

    A proof that is wrong, too old or another click's is no proof, and no reason for a challenge:
    whoever needs one asks for it.
    """
    if proof and (parameters := _solved(proof)) and parameters.data == _named(click):
        return parameters.nonce
    return ""


def _named(click: Click) -> dict[str, str]:
    # A digest, since a ticket id opens the ticket. It stands for the variant, the pass and the form.
    return {"click": keyed_digest("challenged-click", click.ticket_id, click.buyer_key)}


def _solved(proof: str) -> ChallengeParameters | None:
    """The parameters, as they were signed, of the challenge that this solves."""
    if len(proof) > LONGEST:
        return None
    try:
        payload = Payload.from_base64(proof)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    verified = verify_solution(payload, derived_key("proof-of-work")).verified
    return payload.challenge.parameters if verified else None


class Pressure:
    """Whether clicks on one variant come faster than PRESSURE_FROM, or did a moment ago."""

    def __init__(self) -> None:
        self._arrivals = 0
        self._looked_at = 0.0
        self._until = 0.0

    def is_on(self, arrivals: int, *, now: float) -> bool:
        """`arrivals`: of all time; `now` in seconds of a clock that only goes forward."""
        passed = now - self._looked_at
        if self._looked_at and (arrivals - self._arrivals) / max(passed, 0.1) >= settings.PRESSURE_FROM:
            self._until = now + LASTS
        self._arrivals, self._looked_at = arrivals, now
        return now < self._until
