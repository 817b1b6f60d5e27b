"""Several durable pieces of work in one transaction."""

from django.db import transaction
from django.db.transaction import Atomic


def one_commit() -> Atomic:
    """A durable block in which services that are durable themselves may be called: what they do is committed
    with its end, or not at all. For who has a row of their own to commit with it.
    """
    block = transaction.atomic(durable=True)
    # Django lets durable blocks into those of its test cases, and looks at nothing else.
    block._from_testcase = True  # type: ignore[attr-defined]
    return block
