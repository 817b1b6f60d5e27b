"""The form of an invariant check: one query that returns a sentence for every row that is wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """`sql` selects one text column; no rows means that the invariant holds.

    A check with `needs_grace` speaks of work that takes a moment: it may use `%(grace)s`,
    an interval, and counts only if it still fails at a second look. The others hold at any instant.
    """

    name: str
    sql: str
    needs_grace: bool = False
