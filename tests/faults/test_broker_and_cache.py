"""Redis or the database is gone, or there and silent: what buyers and providers are then told."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from celery import Celery
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client

from cardshop.celery import app
from cardshop.common.clock import db_now
from cardshop.outbox import services as outbox
from cardshop.outbox.models import OutboxMessage
from cardshop.outbox.services import due_tasks, wake
from cardshop.settings import env
from cardshop.traffic.passes import mint_pass
from orders.models import Order
from payments.models import PaymentAttempt, WebhookEvent
from payments.tests.providers import Provider
from tests.factories import make_attempt, make_order, make_variant, notice_query

pytestmark = pytest.mark.django_db(transaction=True)

A_FEW_SECONDS = 6.0  # a socket's time-out is 3 s


@pytest.fixture
def refusing() -> tuple[str, int]:
    """An address where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """An address where somebody accepts and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as server:
        yield server.getsockname()


@pytest.fixture(autouse=True)
def _warm() -> None:
    """The first request of a process loads the URLs; that is not what is timed here."""
    Client().get("/healthz")


@contextmanager
def quickly(seconds: float = A_FEW_SECONDS) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


@pytest.fixture(params=["refusing", "silent"])
def without_redis(request, settings, monkeypatch) -> None:
    """Broker and cache at a dead address, and wake-ups as they are in a real shop."""
    host, port = request.getfixturevalue(request.param)
    url = f"redis://{host}:{port}/0"
    settings.CELERY_BROKER_URL = url
    settings.CACHES = env.redis_cache(url)
    celery = Celery("without-redis", set_as_current=False)
    celery.config_from_object("django.conf:settings", namespace="CELERY")
    monkeypatch.setattr(outbox, "current_app", celery)
    monkeypatch.setattr(outbox, "_quiet_until", 0.0)


def buy_through_the_page() -> Order:
    variant = make_variant(keys=1)
    entered = {
        "quantity": "1",
        "contact_email": "lin@example.org",
        "pass": mint_pass(variant_code=variant.code, now=db_now()),
        "idempotency_key": "k" * 16,
    }
    answer = Client().post(f"/buy/{variant.code}/", entered)
    assert answer.status_code == 303
    return Order.objects.get()


def send_notice(attempt: PaymentAttempt) -> bytes:
    return Client().get(f"/pay/notify/{attempt.channel.slug}/?{notice_query(attempt)}").content


@pytest.mark.usefixtures("without_redis")
def test_without_redis_an_order_is_placed_and_its_notice_acknowledged_in_time():
    with quickly():
        order = buy_through_the_page()
    attempt = make_attempt(order)

    with quickly():
        answer = send_notice(attempt)

    assert answer == b"success"
    assert OutboxMessage.objects.get().task == "payments.apply_notices"


@pytest.mark.usefixtures("without_redis")
def test_without_redis_what_was_paid_is_delivered_by_the_sweep(provider: Provider):
    order = make_order(make_variant(keys=1))
    attempt = make_attempt(order)
    provider.knows(attempt)
    send_notice(attempt)
    app.loader.import_default_modules()  # as a worker does at its start

    with quickly():  # once a wake-up has failed, the next ones do not wait for the broker
        while due := due_tasks(db_now()):
            for task in due:
                app.tasks[task]()

    order.refresh_from_db()
    assert order.status == "delivered"


@pytest.mark.usefixtures("without_redis")
def test_a_wake_up_that_fails_is_quiet_and_spares_the_next_one_the_wait():
    with quickly():
        wake("orders.deliver")
    with quickly(1.0):
        wake("orders.deliver")


@pytest.mark.usefixtures("without_redis")
def test_without_redis_the_shop_is_ready_and_says_what_is_missing():
    with quickly():
        answer = Client().get("/readyz")

    assert (answer.status_code, answer.json()["cache"]) == (200, "unreachable")


@contextmanager
def database_at(address: tuple[str, int]) -> Iterator[None]:
    """This thread's connection leads there."""
    connection.close()
    living = {name: connection.settings_dict[name] for name in ("HOST", "PORT")}
    connection.settings_dict.update(zip(living, address, strict=True))
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(living)


@pytest.fixture
def without_database(refusing) -> Iterator[None]:
    with database_at(refusing):
        yield


def asks_to_come_again(answer: HttpResponse) -> None:
    """In a moment, and not everybody in the same one."""
    assert (answer.status_code, int(answer["Retry-After"]) in range(3, 9)) == (503, True)
    assert answer["Cache-Control"] == "no-store"


def test_a_silent_database_hangs_nobody(silent):
    with database_at(silent), quickly():
        answer = Client().get("/")

    asks_to_come_again(answer)


@pytest.mark.usefixtures("without_database")
@pytest.mark.parametrize("address", ["/", "/en/", "/buy/some-variant/", "/o/some-token/"])
def test_without_the_database_a_page_asks_to_come_again(address):
    answer = Client().get(address)

    asks_to_come_again(answer)
    assert answer["Content-Type"].startswith("text/html")


@pytest.mark.usefixtures("without_database")
@pytest.mark.parametrize("address", ["/api/v1/products/", "/api/v1/orders/some-token/"])
def test_without_the_database_the_api_asks_to_come_again(address):
    answer = Client().get(address)

    asks_to_come_again(answer)
    assert answer.json()["code"] == "unavailable"


@pytest.mark.usefixtures("without_database")
def test_without_the_database_no_notice_is_acknowledged():
    answer = Client().get("/pay/notify/alipay/?out_trade_no=1&sign=1")

    asks_to_come_again(answer)
    assert b"success" not in answer.content


@pytest.mark.usefixtures("without_database")
def test_without_the_database_the_process_lives_but_is_not_ready():
    assert Client().get("/healthz").status_code == 200
    answer = Client().get("/readyz")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_a_notice_that_could_not_be_stored_is_not_acknowledged(monkeypatch):
    """The other half of "never success": the call was read, and then storing it failed."""
    attempt = make_attempt(make_order(make_variant(keys=1)))

    def fail(*args: object, **kwargs: object) -> None:
        raise OperationalError

    monkeypatch.setattr("payments.services.notices.promise", fail)

    assert b"success" not in send_notice(attempt)
    assert not WebhookEvent.objects.exists()
