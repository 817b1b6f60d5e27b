"""Promises are kept: at least once, by anyone, in spite of failures."""

from datetime import timedelta
from time import sleep

import pytest

from cardshop.outbox import services as subject
from cardshop.outbox.models import OutboxMessage
from tests.factories import NOON, make_shop, the_shop

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


def test_those_that_a_batch_names_come_back_and_the_others_are_done():
    promise(1, 2, 3)

    assert drain(lambda ids, now: {2: ValueError("not this one")}) == 2

    left = OutboxMessage.objects.get(done_at=None)
    assert (left.subject_id, left.due_at, left.attempts) == (2, NOON + timedelta(seconds=2), 1)


def test_what_there_was_no_time_for_is_due_again_at_once_and_has_lost_no_attempt():
    promise(1, 2, 3)
    seen = []

    def work(ids, now):
        seen.append(ids)
        return dict.fromkeys(ids[1:], subject.NotReached())

    assert drain(work) == 3

    assert [len(ids) for ids in seen] == [3, 2, 1]
    assert set(OutboxMessage.objects.values_list("attempts", flat=True)) == {1}


def test_after_a_batch_that_was_not_full_nobody_looks_again(django_assert_num_queries):
    promise(1, 2, 3)

    with django_assert_num_queries(2):  # leased and closed
        assert drain(lambda ids, now: None) == 3


def test_promises_of_several_shops_are_one_statement(django_assert_num_queries):
    shops = {1: the_shop().pk, 2: make_shop("another").pk}

    with django_assert_num_queries(1 + len(["BEGIN", "COMMIT"])):
        subject.promise_all("t", shops, now=NOON)

    assert dict(OutboxMessage.objects.values_list("subject_id", "shop")) == shops
