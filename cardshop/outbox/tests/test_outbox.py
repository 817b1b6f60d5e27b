"""Promises are kept: at least once, by anyone, in spite of failures."""

from datetime import timedelta
from time import sleep

import pytest

from cardshop.outbox import services as subject
from cardshop.outbox.models import OutboxMessage
from tests.factories import NOON, the_shop

pytestmark = pytest.mark.django_db(transaction=True)


def promise(*subjects, task="t"):
    subject.promise(task, subjects, shop_id=the_shop().pk, now=NOON)


def drain(work, *, at=NOON, batch=10, task="t"):
    return subject.drain(task, work, clock=lambda: at, batch=batch)


def test_work_is_done_in_batches_and_closed():
    promise(1, 2, 3)
    seen = []

    assert drain(lambda ids, now: seen.append(ids), batch=2) == 3
    assert drain(lambda ids, now: seen.append(ids)) == 0

    assert seen == [[1, 2], [3]]
    assert not OutboxMessage.objects.filter(done_at=None).exists()


def test_one_bad_message_delays_nobody_else():
    promise(1, 2, 3)

    def work(ids, now):
        if 2 in ids:
            raise ValueError

    assert drain(work) == 2
    assert OutboxMessage.objects.get(done_at=None).subject_id == 2


def test_a_failure_comes_back_with_growing_pauses_and_ends_before_a_person():
    promise(1)
    at, pauses = NOON, []

    def fail(ids, now):
        raise ValueError

    while not (message := OutboxMessage.objects.get()).attention:
        drain(fail, at=at)
        message.refresh_from_db()
        pauses.append((message.due_at - at).total_seconds())
        at = message.due_at

    assert pauses[:4] == [2, 4, 8, 16]
    assert max(pauses) == 600
    assert len(pauses) == subject.MAX_ATTEMPTS
    assert subject.due_tasks(at + timedelta(days=1)) == []


def test_what_a_dead_worker_left_is_due_again_after_its_lease():
    promise(1)

    with pytest.raises(KeyboardInterrupt):
        drain(lambda ids, now: (_ for _ in ()).throw(KeyboardInterrupt))

    assert drain(lambda ids, now: None, at=NOON + subject.LEASE - timedelta(seconds=1)) == 0
    assert subject.due_tasks(NOON + subject.LEASE) == ["t"]
    assert drain(lambda ids, now: None, at=NOON + subject.LEASE) == 1


def test_a_run_ends_after_a_while_and_leaves_the_rest_to_the_next(monkeypatch):
    promise(1, 2, 3)
    monkeypatch.setattr(subject, "RUN", 0.02)

    assert drain(lambda ids, now: sleep(0.03), batch=1) == 1
    assert subject.due_tasks(NOON) == ["t"]
