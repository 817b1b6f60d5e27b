"""RabbitMQ as the broker: what is declared, confirmed and buried, and what happens when it goes away."""

import os
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from celery import Celery
from celery.beat import Scheduler
from django.utils import translation
from kombu import Connection
from kombu.exceptions import OperationalError

from cardshop.operations.doctor.broker import look_at_broker
from cardshop.outbox import services as outbox
from cardshop.outbox.services import wake
from cardshop.settings import broker
from tests.prepared import prepared_var
from tests.rabbitmq import RabbitMQ, is_installed
from tests.stack import RunningShop

OUTAGE = float(os.environ.get("OUTAGE_SECONDS", "3"))
AT_MOST_ORDERS = 15  # one address may have twenty that are not paid

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
    deadline = time.monotonic() + 60
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


def test_beat_reaches_rabbitmq_again_and_without_the_second_try_it_never_would(
    celery: Celery, rabbitmq: RabbitMQ
):
    """It keeps one producer for ever, whose connection only a second try replaces."""
    beat, control = Scheduler(celery, lazy=True), Scheduler(celery, lazy=True)

    def sends(scheduler: Scheduler, *, retry: bool) -> bool:
        try:
            celery.send_task("orders.deliver", producer=scheduler.producer, retry=retry)
        except OperationalError:
            return False
        return True

    assert (sends(beat, retry=True), sends(control, retry=False)) == (True, True)
    rabbitmq.stop()
    assert (sends(beat, retry=True), sends(control, retry=False)) == (False, False)
    rabbitmq.wipe()
    rabbitmq.start()

    until(lambda: sends(beat, retry=True))
    assert not sends(control, retry=False)


def test_the_doctor_finds_queues_that_nobody_reads(celery: Celery, rabbitmq: RabbitMQ):
    assert diagnosis() == (
        "Nobody reads these queues: celery, background, isolated, mail, polling, providers."  # one is there
    )


def diagnosis() -> str:
    with translation.override("en"):
        return next(iter(look_at_broker())).said


# The whole shop


@pytest.fixture(scope="module")
def shop(rabbitmq: RabbitMQ, tmp_path_factory) -> Iterator[RunningShop]:
    var = prepared_var(tmp_path_factory, "shop")
    with RunningShop(var, environment={"BROKER_URL": rabbitmq.url}) as running:
        made = running.manage("shell", text=GOODS)
        assert "Traceback" not in made.stderr, made.stderr
        yield running


GOODS = f"""
from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from inventory.imports import import_keys
from inventory.models import Product, Stock, Variant
from payments.models import PaymentChannel
PaymentChannel.objects.filter(method="alipay").exclude(slug="alipay").update(is_enabled=False)
shop = Shop.objects.get(slug="demo")
product = Product.objects.create(shop=shop, slug="rabbit", name="Rabbit", is_listed=True)
variant = Variant.objects.create(shop=shop, product=product, code="rabbit", name="One", price_minor=100)
Stock.objects.create(shop=shop, variant=variant)
lines = [f"RABBIT-{{number:06}}" for number in range({AT_MOST_ORDERS})]
import_keys(variant=variant, lines=lines, imported_by="test", note="", now=db_now())
"""


class Buyer:
    """Orders one and pays for it."""

    def __init__(self, shop: RunningShop, number: int) -> None:
        self._sandbox = f"{shop.sandbox_url}/_sandbox"
        minted = httpx.post(f"{shop.url}/api/v1/passes/", json={"variant": "rabbit"}).json()
        wanted = {"variant": "rabbit", "quantity": 1, "contact_email": f"b{number}@example.org", **minted}
        placed = httpx.post(f"{shop.url}/api/v1/orders/", json=wanted).json()
        self._order = f"{shop.url}/api/v1/orders/{placed['token']}/"
        attempt = httpx.post(f"{self._order}payments/", json={"method": "alipay"}, timeout=10).json()
        self._trade = attempt["pay_url"].rpartition("/")[2]
        httpx.post(f"{self._sandbox}/trades/{self._trade}/pay", json={}).raise_for_status()

    def was_notified(self) -> bool:
        """The shop has acknowledged the first notice; after a refusal there is a second."""
        sent = httpx.get(f"{self._sandbox}/notices").json()
        return [notice["outcome"] for notice in sent if notice["trade_no"] == self._trade] == ["acknowledged"]

    def has_keys(self) -> bool:
        return httpx.get(self._order).json()["has_keys"]


def test_the_doctor_finds_them_read(shop: RunningShop, rabbitmq: RabbitMQ, settings):
    settings.CELERY_BROKER_URL = rabbitmq.url

    until(lambda: diagnosis() == "The broker answers, and its queues are read.")


def test_a_worker_refuses_what_it_cannot_read(shop: RunningShop, rabbitmq: RabbitMQ):
    buried = waiting(rabbitmq, "dead")

    with Connection(rabbitmq.url) as connection:
        connection.Producer().publish(
            "{", routing_key="celery", content_type="application/json", content_encoding="utf-8"
        )

    until(lambda: waiting(rabbitmq, "dead") == buried + 1)


@pytest.mark.timeout(180 + 2 * OUTAGE)
def test_while_rabbitmq_is_gone_notices_are_accepted_and_afterwards_everything_is_delivered(
    shop: RunningShop, rabbitmq: RabbitMQ, capsys
):
    rabbitmq.stop()
    began, buyers = time.monotonic(), []
    while time.monotonic() - began < OUTAGE:
        buyers.append(Buyer(shop, len(buyers)))
        time.sleep(max(1.0, OUTAGE / AT_MOST_ORDERS))
    until(lambda: all(buyer.was_notified() for buyer in buyers))
    assert not any(buyer.has_keys() for buyer in buyers)  # so RabbitMQ is what they need

    rabbitmq.wipe()
    rabbitmq.start()
    back = time.monotonic()

    until(lambda: all(buyer.has_keys() for buyer in buyers))
    assert waiting(rabbitmq, "dead") == 0  # wiped, and declared again
    if "OUTAGE_SECONDS" in os.environ:
        with capsys.disabled():
            took = time.monotonic() - back
            print(f"\n{len(buyers)} paid in {OUTAGE:.0f} s without RabbitMQ, delivered within {took:.0f} s")
