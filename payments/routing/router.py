"""Which channel of the buyer's method first? And what the checkout tells, so that the next answer is better.

Nothing here raises for want of Redis: then the last snapshot goes on for a minute, and after that the
merchant's order.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from random import SystemRandom

import structlog

from payments.gateways import left_alone
from payments.models import PaymentAttempt, PaymentChannel
from payments.routing import state
from payments.routing.choosing import Option
from payments.routing.choosing import rank as rank_options
from payments.routing.estimator import Knobs, Snapshot
from payments.routing.state import Place

logger = structlog.get_logger(__name__)

KNOBS = Knobs()
_LAST_SNAPSHOT_GOOD_FOR = 60.0  # seconds, while Redis is away
# Processes are forked: a generator of their common past would throw the same dice in each of them.
_dice = SystemRandom()
_known: dict[Place, tuple[float, Snapshot | None, frozenset[int]]] = {}


def rank(channels: Sequence[PaymentChannel], *, amount_minor: int, now: datetime) -> list[PaymentChannel]:
    """`channels`, which are of one shop and one method, best first: the next is for when one fails.

    Those whose limits forbid the amount are left out, those whose breaker is open come last, and a pinned one
    comes first while it works. O(channels), and Redis is asked about once a second.
    """
    if not channels:
        return []
    known, open_breakers = _what_is_known(channels, now)
    by_key = {channel.pk: channel for channel in sorted(channels, key=lambda one: (one.position, one.pk))}
    options = [_option(channel, is_left_alone=key in open_breakers) for key, channel in by_key.items()]
    if known is None:
        fit = [option for option in options if option.takes(amount_minor)]
        order = sorted(fit, key=lambda option: (option.is_left_alone, not option.is_pinned))
        logger.info("channels ranked without Redis", order=[by_key[option.key].slug for option in order])
        return [by_key[option.key] for option in order]
    ranking = rank_options(options, known, amount_minor=amount_minor, rng=_dice, knobs=KNOBS)
    logger.info(
        "channels ranked",
        order=[by_key[option.key].slug for option in ranking.order],
        is_probe=ranking.is_probe,
        draws={by_key[key].slug: round(draw, 4) for key, draw in ranking.draws.items()},
        rates={channel.slug: round(known.of(key).rate, 4) for key, channel in by_key.items()},
        snapshot=round(known.at, 3),
    )
    return [by_key[option.key] for option in ranking.order]


def note_sent(attempt: PaymentAttempt, *, who: str, now: datetime) -> None:
    """The buyer has a way to pay before them. `who` is what they cannot change at will, such as their network
    address: of one buyer's attempts through one channel the n-th within ten minutes counts 1/n, and those of
    an empty `who` count in full. Once per attempt.
    """
    state.record_sent(
        place_of(attempt.channel),
        channel=attempt.channel_id,
        attempt=attempt.out_trade_no,
        who=who,
        at=now.timestamp(),
    )


def note_paid(attempt: PaymentAttempt, *, now: datetime) -> None:
    """Money was heard of. Counts once per attempt, for the moment at which it was sent."""
    state.record_paid(
        place_of(attempt.channel),
        channel=attempt.channel_id,
        attempt=attempt.out_trade_no,
        at=now.timestamp(),
    )


def note_create_error(channel: PaymentChannel, *, now: datetime) -> None:
    """The provider could not set the payment up: a failure that is known at once."""
    state.record_error(place_of(channel), channel=channel.pk, at=now.timestamp())


def place_of(channel: PaymentChannel) -> Place:
    return Place(channel.shop_id, channel.method)


def _what_is_known(
    channels: Sequence[PaymentChannel], now: datetime
) -> tuple[Snapshot | None, frozenset[int]]:
    """The snapshot, None if there is none to go by, and who is left alone: looked up about once a second."""
    place, clock = place_of(channels[0]), time.monotonic()
    fresh_until, known, open_breakers = _known.get(place, (0.0, None, frozenset()))
    if clock < fresh_until:
        return known, open_breakers
    at = now.timestamp()
    newer = state.snapshot(place, at=at, knobs=KNOBS)
    if newer is None and known and at - known.at > _LAST_SNAPSHOT_GOOD_FOR:
        known = None
    known = newer or known
    open_breakers = frozenset(channel.pk for channel in channels if "create" in left_alone(channel))
    _known[place] = (clock + state.SNAPSHOT_LASTS, known, open_breakers)
    return known, open_breakers


def _option(channel: PaymentChannel, *, is_left_alone: bool) -> Option:
    return Option(
        key=channel.pk,
        fee_basis_points=channel.fee_basis_points,
        fee_fixed_minor=channel.fee_fixed_minor,
        least_minor=channel.least_minor,
        most_minor=channel.most_minor,
        is_pinned=channel.is_pinned,
        is_left_alone=is_left_alone,
    )
