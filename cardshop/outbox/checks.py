"""Invariant 10: outboxes drain."""

from cardshop.common.invariants import Check

CHECKS = [
    Check(
        "outbox.drains",
        """SELECT task || ' ' || subject_id || ' due since ' || created_at FROM outbox_outboxmessage
           WHERE done_at IS NULL AND attention = ''
             AND created_at < clock_timestamp() - %(grace)s::interval""",
        needs_grace=True,
    ),
]
