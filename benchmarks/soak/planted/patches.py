"""The bugs themselves, put over the allocator.

Where it takes a death between two steps to see one, LINGER makes the step last longer, so that a random
moment hits it within a storm or two and not within a hundred. That is done here only.
"""

import time
from collections.abc import Callable
from typing import Any

from orders.admission import allocator, settling

LINGER = 0.5  # seconds


def plant(bug: str) -> None:
    PATCHES[bug]()


def no_unique_ticket() -> None:
    """A batch that comes again is settled again: nobody looks, and no constraint forbids it."""
    _put(settling._Batch, "recognize", lambda batch, clicks: list(clicks))
    tell = allocator.Allocator._tell

    def tell_late(*args: Any, **kwargs: Any) -> bool:
        time.sleep(LINGER)
        return tell(*args, **kwargs)

    _put(allocator.Allocator, "_tell", tell_late)


def no_check() -> None:
    """A batch looks at the counter once and forgets what it has taken itself.

    With the CHECK in place this is caught: the batch is refused, and its clicks are settled one by one.
    """
    grant = settling._Batch._grant

    def grant_and_forget(batch: Any, buyer: Any, *, reason: str) -> str:
        free = batch.free
        refusal = grant(batch, buyer, reason=reason)
        batch.free = free
        return refusal

    _put(settling._Batch, "_grant", grant_and_forget)


def ack_before_commit() -> None:
    """The batch is acknowledged first and settled then: who dies in between has lost it."""
    settle_batch = allocator.Allocator._settle_batch

    def acknowledge_and_settle(self: Any, sale: Any, entries: Any) -> None:
        self.gate.settle(epoch=sale.epoch, room=0, outcomes=[], entries=entries)
        time.sleep(LINGER)
        settle_batch(self, sale, entries)

    _put(allocator.Allocator, "_settle_batch", acknowledge_and_settle)


def redis_believed() -> None:
    """Whoever Redis let in is sold to, without a look at the counter."""
    _put(settling._Batch, "_fits", lambda batch, quantity: batch.granting)


def _put(owner: type, name: str, instead: Callable[..., Any]) -> None:
    if not hasattr(owner, name):
        raise AttributeError(f"{owner.__name__}.{name} is not there any more: the bug would not be planted")
    setattr(owner, name, instead)


PATCHES: dict[str, Callable[[], None]] = {
    patch.__name__: patch for patch in (no_unique_ticket, no_check, ack_before_commit, redis_believed)
}
