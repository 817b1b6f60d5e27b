"""Who has waited long and gone is not served: an overloaded process works for those who are still there."""

import socket
import time

import pytest
from django.db import connection, transaction

from cardshop.traffic.waiting import LOOKED_AFTER, has_hung_up
from payments.models import PaymentAttempt, WebhookEvent
from tests.factories import make_attempt, make_channel, make_order, make_variant, notice_query
from tests.web import served, wait_for

THREADS = 4  # of the process


def test_the_other_side_has_hung_up_although_its_request_was_not_read():
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert not has_hung_up(here)

        there.close()

        assert has_hung_up(here)


def call(port: int, attempt: PaymentAttempt) -> socket.socket:
    """A notice, sent and not waited for."""
    line = socket.create_connection(("127.0.0.1", port), timeout=60)
    path = f"/pay/notify/{attempt.channel.slug}/?{notice_query(attempt)}"
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    return line


def notices_kept(pool: str) -> int:
    """All threads of a process are busy with a notice each; of three more that wait, two senders hang up."""
    channel = make_channel()
    variant = make_variant(keys=THREADS + 3)
    attempts = [make_attempt(make_order(variant), channel) for _ in range(THREADS + 3)]
    with served(pool=pool) as port:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE payments_webhookevent IN ACCESS EXCLUSIVE MODE")
            busy = [call(port, attempt) for attempt in attempts[:THREADS]]
            wait_for(lambda: _waiting_for_the_lock() == THREADS)
            for attempt in attempts[THREADS:-1]:
                call(port, attempt).close()
            patient = call(port, attempts[-1])
            time.sleep(LOOKED_AFTER + 0.2)
        for line in (*busy, patient):
            with line:
                assert line.makefile("rb").read().endswith(b"success")
    return WebhookEvent.objects.count()


def _waiting_for_the_lock() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_in_a_rush_whoever_has_hung_up_is_not_served():
    assert notices_kept("hot") == THREADS + 1


@pytest.mark.django_db(transaction=True)
def test_elsewhere_everything_that_came_is_served_such_as_a_notice_of_an_impatient_provider():
    """If this one fails, the test above proves nothing, either."""
    assert notices_kept("web") == THREADS + 3
