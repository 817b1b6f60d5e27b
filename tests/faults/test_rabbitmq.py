"""RabbitMQ as the broker: what is declared, confirmed and buried."""

import os
import time
from collections.abc import Callable, Iterator

import pytest
from celery import Celery
from kombu import Connection

from cardshop.outbox import services as outbox
from cardshop.outbox.services import wake
from cardshop.settings import broker
from tests.rabbitmq import RabbitMQ, is_installed

pytestmark = pytest.mark.skipif(
    not is_installed() and not os.environ.get("CI"), reason="needs rabbitmq-server; CI installs it"
)


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory) -> Iterator[RabbitMQ]:
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")).running() as server:
        yield server


@pytest.fixture
def celery(rabbitmq: RabbitMQ, settings, monkeypatch) -> Iterator[Celery]:
    """An application as production has it, to which wake-ups go; its queues are empty."""
    settings.CELERY_BROKER_URL = rabbitmq.url
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = broker.transport_options(rabbitmq.url)
    settings.CELERY_TASK_PUBLISH_RETRY = broker.is_rabbitmq(rabbitmq.url)
    app = Celery("with-rabbitmq", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    monkeypatch.setattr(outbox, "current_app", app)
    monkeypatch.setattr(outbox, "_quiet_until", 0.0)
    monkeypatch.setattr(outbox, "_told", {})
    with Connection(rabbitmq.url) as connection:
        for queue in (app.amqp.queues["celery"], broker.DEAD_LETTERS):
            bound = queue(connection.default_channel)
            bound.delete()
            bound.declare()
    yield app
    app.close()


def waiting(rabbitmq: RabbitMQ, name: str) -> int:
    """Messages in the queue."""
    with Connection(rabbitmq.url) as connection:
        return connection.default_channel.queue_declare(name, passive=True).message_count


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_wake_up_waits_in_a_bounded_quorum_queue_that_has_a_grave(celery: Celery, rabbitmq: RabbitMQ):
    wake("orders.deliver")

    assert waiting(rabbitmq, "celery") == 1
    arguments = celery.amqp.queues["celery"].queue_arguments
    # RabbitMQ refuses who declares a queue again and says anything else: so it tells what it has.
    for name, value in {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "dead",
        "x-message-ttl": 60000,
        "x-max-length": 10000,
    }.items():
        others = {other: arguments[other] for other in arguments if other != name}
        with (
            Connection(rabbitmq.url) as connection,
            pytest.raises(connection.channel_errors, match=f"'{name}'.* current is the value '{value}'"),
        ):
            connection.default_channel.queue_declare(
                "celery", durable=True, auto_delete=False, arguments=others
            )


def test_what_is_refused_becomes_a_dead_letter_and_what_is_late_is_forgotten(
    celery: Celery, rabbitmq: RabbitMQ
):
    celery.send_task("orders.late", expires=0.001)
    until(lambda: waiting(rabbitmq, "celery") == 0)
    celery.send_task("orders.refused")

    with Connection(rabbitmq.url) as connection:
        celery.amqp.queues["celery"](connection.default_channel).get().reject()

        until(lambda: waiting(rabbitmq, "dead") == 1)
        found = broker.DEAD_LETTERS(connection.default_channel).get()
    assert found.headers["task"] == "orders.refused"


def test_a_frozen_broker_costs_a_wake_up_and_is_noticed(celery: Celery, rabbitmq: RabbitMQ):
    wake("orders.deliver")

    with rabbitmq.frozen():
        outbox._send("orders.deliver")

    assert outbox._quiet_until > 0.0


def test_control_without_confirms_a_frozen_broker_goes_unnoticed(celery: Celery, rabbitmq: RabbitMQ):
    celery.conf.broker_transport_options = {**celery.conf.broker_transport_options, "confirm_publish": False}
    wake("orders.deliver")

    with rabbitmq.frozen():
        outbox._send("orders.deliver")

    assert outbox._quiet_until == 0.0
