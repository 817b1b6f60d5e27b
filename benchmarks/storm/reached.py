"""How many clicks the gateway let through to Django, from its own log."""

import json
from dataclasses import dataclass
from pathlib import Path

GRACE = 1.0  # seconds after Django's first "line full" within which every click may still reach it


@dataclass(frozen=True)
class Reached:
    """Of `clicks` received more than GRACE after Django had first said "line full", `django` reached it."""

    clicks: int
    django: int

    @property
    def share(self) -> float | None:
        return self.django / self.clicks if self.clicks else None


def read_reached(log: Path) -> Reached:
    lines = map(json.loads, log.read_text().splitlines())
    clicks = [line for line in lines if line["location"] == "click"]
    full = [click["ended"] for click in clicks if click["status"] == 409 and _was_asked(click)]
    if not full:
        return Reached(0, 0)
    late = [click for click in clicks if click["ended"] - click["seconds"] > min(full) + GRACE]
    return Reached(len(late), sum(map(_was_asked, late)))


def _was_asked(click: dict[str, str]) -> bool:
    # Without a place in the pool its name stands there; an answer of the cache leaves it empty.
    return ":" in click["pool"]
