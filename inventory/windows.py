"""When a variant that is sold directly is for sale. What is sold through a line has a Sale for that."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cardshop.common.clock import db_now, seconds_until
from inventory.models import Selling, Variant

A_LITTLE_EARLY = 3600  # seconds; the pass in the form lives for two hours


@dataclass(frozen=True)
class Window:
    """From `opens_at` on and before `closes_at`, either of which may be missing; seen at `now`."""

    opens_at: datetime | None
    closes_at: datetime | None
    now: datetime

    @property
    def is_to_come(self) -> bool:
        return self.opens_at is not None and self.now < self.opens_at

    @property
    def is_over(self) -> bool:
        return self.closes_at is not None and self.closes_at <= self.now

    @property
    def seconds_left(self) -> int:
        """Until it opens."""
        return seconds_until(self.opens_at, self.now) if self.opens_at else 0

    @property
    def shows_form(self) -> bool:
        """Also a little early: the form's page sends it again at the opening."""
        return not self.is_over and self.seconds_left <= A_LITTLE_EARLY


def window_of(variant: Variant, now: datetime) -> Window | None:
    """None for a variant whose times nothing limits, or that is sold through a line."""
    if variant.selling != Selling.DIRECT or not (variant.on_sale_from or variant.on_sale_until):
        return None
    return Window(variant.on_sale_from, variant.on_sale_until, now)


def windows_of(variants: Iterable[Variant]) -> dict[int, Window]:
    """By variant id, at this moment, of those that have one."""
    limited = [variant for variant in variants if variant.on_sale_from or variant.on_sale_until]
    now = db_now() if limited else None
    windows = {variant.pk: window_of(variant, now) for variant in limited} if now else {}
    return {pk: window for pk, window in windows.items() if window}
