"""The process is killed at each commit of paying and delivering. A minute later all is as it should be."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as shop_settings

from cardshop.celery import app
from cardshop.common.clock import db_now
from cardshop.outbox import services as outbox
from cardshop.outbox.models import OutboxMessage
from inventory.models import CardKey
from orders.models import DeliveredKey, Order
from orders.tasks import deliver, mail_deliveries
from payments.gateways.base import RawCall
from payments.models import PaymentAttempt, WebhookEvent
from payments.services.closing import close_due_orders
from payments.services.notices import receive_notice
from payments.services.polling import poll_due_attempts
from payments.tasks import apply_notices, finish_closing, settle_receipts
from payments.tests.providers import Provider
from tests.factories import counters, make_attempt, make_buyer, make_order, make_variant, notice_query
from tests.faults.crashing import AFTER, BEFORE, die_at_every_commit, dies
from tests.race.racing import broken_invariants

pytestmark = pytest.mark.django_db(transaction=True)

both_sides = pytest.mark.parametrize("when", [BEFORE, AFTER])
KEYS = 2  # wanted by each order, and in stock for it


@dataclass
class Sale:
    """An order with an attempt, of a variant that has exactly the keys for it."""

    order: Order
    attempt: PaymentAttempt

    @classmethod
    def open(cls, *, placed: timedelta = timedelta()) -> "Sale":
        variant = make_variant(keys=KEYS)
        address = f"{variant.code}@example.org"
        now = db_now() + placed
        order = make_order(variant, quantity=KEYS, contact_email=address, now=now)
        return cls(order, make_attempt(order))

    @property
    def history(self) -> list[str]:
        return list(self.order.events.values_list("after", flat=True))

    @property
    def counters(self) -> tuple[int | None, int | None, int]:
        return counters(self.order.items.get().variant)


class Minute:
    """A minute of what beat starts every five seconds, in as long as the work takes.

    The shop's clock runs ahead, and whoever the sweep wakes is there at once.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = timedelta()
        app.loader.import_default_modules()  # as a worker does at its start
        for module in ("cardshop.outbox.tasks", "payments.tasks", "orders.tasks"):
            monkeypatch.setattr(f"{module}.db_now", lambda: db_now() + self._ahead)
        monkeypatch.setattr("cardshop.outbox.tasks.wake", lambda task: app.tasks[task]())

    def pass_by(self) -> None:
        often = [e["task"] for e in shop_settings.CELERY_BEAT_SCHEDULE.values() if e["schedule"] <= 5]
        for seconds in range(0, 61, 5):
            self._ahead = timedelta(seconds=seconds)
            for task in often:
                app.tasks[task]()
        self._ahead = timedelta()


@pytest.fixture
def minute(monkeypatch: pytest.MonkeyPatch) -> Minute:
    return Minute(monkeypatch)


@pytest.fixture(autouse=True)
def mailbox(settings, tmp_path: Path) -> Path:
    """Mail goes to files, so that what a dead process sent can still be read."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    return tmp_path


def pay_by_notice(sale: Sale) -> None:
    receive_notice(sale.attempt.channel, RawCall("GET", notice_query(sale.attempt), ""), now=db_now())
    apply_notices()


def pay_by_poll(sale: Sale) -> None:
    poll_due_attempts(clock=db_now)


def pay_at_the_last_moment(sale: Sale) -> None:
    close_due_orders(db_now())
    finish_closing()


def hand_over() -> None:
    settle_receipts()
    deliver()
    mail_deliveries()


def what_is_wrong(sale: Sale, mailbox: Path) -> list[str]:
    """In a sale that was paid for: everything that the buyer or the merchant could complain of."""
    keys = DeliveredKey.objects.filter(item__order=sale.order, card_key__status="sold")
    mails = [path for path in mailbox.iterdir() if sale.order.contact_email in path.read_text()]
    claims = {
        "paid and delivered once": sale.history
        in (
            ["pending", "paid", "delivered"],
            ["pending", "closing", "paid", "delivered"],
        ),
        "has its keys": sorted(keys.values_list("slot", flat=True)) == list(range(KEYS)),
        "one receipt": sale.attempt.receipts.filter(status="applied", attention="").count()
        == sale.attempt.receipts.count()
        == 1,
        "stock counted once": sale.counters == (KEYS, KEYS, KEYS),
        "mailed": len(mails) >= 1,
        "outbox drained": not OutboxMessage.objects.filter(done_at=None).exists(),
        "notices read": not WebhookEvent.objects.filter(outcome="waiting").exists(),
    }
    return [claim for claim, holds in claims.items() if not holds] + broken_invariants()


def crash_everywhere(
    pay: Callable[[Sale], None],
    *,
    when: str,
    placed: timedelta = timedelta(),
    provider: Provider,
    minute: Minute,
    mailbox: Path,
) -> dict[int, list[str]]:
    """Kill paying and delivering at each commit, let a minute pass: what is wrong then, by commit."""
    sale = Sale.open(placed=placed)

    def open_another() -> None:
        nonlocal sale
        sale = Sale.open(placed=placed)
        provider.knows(sale.attempt)

    def sell() -> None:
        pay(sale)
        hand_over()

    wrong = {}
    for number in die_at_every_commit(sell, when=when, prepare=open_another):
        minute.pass_by()
        wrong[number] = what_is_wrong(sale, mailbox)
    return wrong


@both_sides
@pytest.mark.parametrize(
    ("pay", "placed", "least"),
    [
        # The notice stored, leased, its money recorded and it closed, the message closed; then settling
        # leased, done, closed; the same for delivery; and the mail leased and closed.
        (pay_by_notice, timedelta(), 11),
        (pay_by_poll, timedelta(), 8),
        (pay_at_the_last_moment, timedelta(hours=-1), 10),
    ],
    ids=["notice", "poll", "last moment"],
)
def test_a_crash_at_any_commit_of_a_sale_is_made_good_within_a_minute(
    pay, placed, least, when, provider, minute, mailbox
):
    wrong = crash_everywhere(pay, when=when, placed=placed, provider=provider, minute=minute, mailbox=mailbox)

    assert {number: claims for number, claims in wrong.items() if claims} == {}
    assert len(wrong) >= least


def test_control_where_messages_are_closed_before_their_work_a_crash_loses_the_sale(
    monkeypatch, provider, minute, mailbox
):
    def close_first(messages, work, *, task, clock):
        ids = [message.pk for message in messages]
        OutboxMessage.objects.filter(pk__in=ids).update(done_at=clock())
        work([message.subject_id for message in messages], clock())
        return len(messages)

    monkeypatch.setattr(outbox, "_attempt", close_first)

    wrong = crash_everywhere(pay_by_notice, when=AFTER, provider=provider, minute=minute, mailbox=mailbox)

    undelivered = [claims for claims in wrong.values() if "has its keys" in claims]
    unmailed = [claims for claims in wrong.values() if "mailed" in claims and claims not in undelivered]
    assert len(undelivered) > 0
    assert len(unmailed) > 0


@both_sides
def test_a_crash_at_any_commit_of_an_expiry_gives_the_stock_back_once(when, provider, minute):
    sale = Sale.open()

    def open_another() -> None:
        nonlocal sale
        sale = Sale.open(placed=timedelta(hours=-1))

    def expire() -> None:
        close_due_orders(db_now())
        finish_closing()

    deaths = 0
    for number in die_at_every_commit(expire, when=when, prepare=open_another):
        deaths = number
        minute.pass_by()

        assert sale.history == ["pending", "closing", "expired"], number
        assert sale.counters == (KEYS, KEYS, 0), number
        assert not OutboxMessage.objects.filter(done_at=None).exists(), number
        assert broken_invariants() == [], number
    assert deaths >= 4  # closing begun, message leased, order ended, message closed


def test_a_crash_before_an_order_is_committed_leaves_nothing_and_the_retry_places_it():
    variant = make_variant(keys=KEYS)
    request = {
        "buyer": make_buyer(variant),
        "idempotency_key": "k" * 16,
        "contact_email": "lin@example.org",
    }

    assert dies(lambda: make_order(variant, **request), at=1, when=BEFORE)

    assert not Order.objects.exists()
    assert counters(variant) == (KEYS, KEYS, 0)
    make_order(variant, **request)
    assert counters(variant) == (KEYS, KEYS, 1)
    assert broken_invariants() == []


def test_a_crash_after_an_order_is_committed_loses_the_answer_and_the_retry_finds_it():
    variant = make_variant(keys=KEYS)
    request = {
        "buyer": make_buyer(variant),
        "idempotency_key": "k" * 16,
        "contact_email": "lin@example.org",
    }

    assert dies(lambda: make_order(variant, **request), at=1, when=AFTER)

    assert make_order(variant, **request) == Order.objects.get()
    assert counters(variant) == (KEYS, KEYS, 1)
    assert broken_invariants() == []


def test_placing_an_order_is_a_single_commit():
    """Otherwise there would be a moment between them, and the two tests above would not know it."""
    variant = make_variant(keys=KEYS)

    assert not dies(lambda: make_order(variant), at=2, when=BEFORE)
    assert CardKey.objects.count() == KEYS
    assert Order.objects.count() == 1
