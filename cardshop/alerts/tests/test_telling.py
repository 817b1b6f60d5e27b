"""An alert is told once to whom it concerns, when they want to hear it; and so is its end."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils.translation import override

from cardshop.alerts import looking, words
from cardshop.alerts.looking import LOOKS, Seen, look_at_all
from cardshop.alerts.models import Alert, Destination, Kind, Message, Notice
from cardshop.alerts.sending import send_messages
from cardshop.alerts.telling import CALM, is_quiet, tell, write_messages
from cardshop.alerts.tests.test_sending import make_destination
from cardshop.common.clock import db_now
from cardshop.outbox.heartbeats import show_life
from cardshop.outbox.models import OutboxMessage
from inventory.models import Selling, Stock
from orders.models import Order
from resellers.models import WebhookEndpoint
from resellers.webhooks.endpoints import make_endpoint, pause, resume
from suppliers.models import Supplier
from tests.factories import make_order, make_shop, make_variant, the_shop

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)  # noon in Shanghai
MINUTE = timedelta(minutes=1)


def sold_out(shop=None, subject="variant 1"):
    shop = shop or the_shop()
    return Seen(Kind.SOLD_OUT, shop.pk, subject, {"name": "Star coins", "variant": 1, "free": 0})


def pass_by(seen, now, kinds=frozenset(Kind)):
    """As the task does it, and what is written arrives."""
    tell(set(seen), kinds, now=now)
    write_messages(now)
    waiting = Message.objects.filter(status="waiting")
    waiting.update(status="sent", ended_at=now)


def titles():
    return list(Message.objects.order_by("pk").values_list("title", flat=True))


def test_it_is_told_once_and_that_it_is_over_once():
    make_destination("mail")
    for minute in range(3):
        pass_by([sold_out()], NOW + minute * MINUTE)
    for minute in range(3, 20):
        pass_by([], NOW + minute * MINUTE)

    assert titles() == ["星河卡铺: Star coins is sold out", "星河卡铺: Over: Star coins is sold out"]
    assert Alert.objects.get().ended_at == NOW + 3 * MINUTE + CALM


def test_what_comes_and_goes_is_one_alert():
    make_destination("mail")
    for minute in range(30):
        pass_by([sold_out()] if minute % 4 < 2 else [], NOW + minute * MINUTE)
    assert len(titles()) == 1


def test_another_time_it_is_another_alert():
    make_destination("mail")
    pass_by([sold_out()], NOW)
    pass_by([], NOW + MINUTE)
    pass_by([], NOW + 7 * MINUTE)
    pass_by([sold_out()], NOW + 60 * MINUTE)
    assert len(titles()) == 3


def test_what_could_not_be_looked_at_is_not_over():
    make_destination("mail")
    pass_by([sold_out()], NOW)
    for minute in range(1, 30):
        pass_by([], NOW + minute * MINUTE, kinds={Kind.ATTENTION})
    assert len(titles()) == 1


def test_a_channel_is_told_of_when_it_stays_dead():
    make_destination("mail")
    dead = Seen(Kind.CHANNEL, the_shop().pk, "channel 1", {"name": "Alipay"})
    pass_by([dead], NOW)
    pass_by([], NOW + MINUTE / 2)
    pass_by([], NOW + 10 * MINUTE)
    assert titles() == []  # a mood

    pass_by([dead], NOW + 20 * MINUTE)
    pass_by([dead], NOW + 22 * MINUTE)
    assert len(titles()) == 1


def test_each_hears_of_their_own_shop_and_of_what_they_want():
    one, other = the_shop(), make_shop("other", name="别家")
    make_destination("mail", shop=one)
    theirs = make_destination("mail", shop=other)
    everything = make_destination("mail")
    Destination.objects.filter(pk=everything.pk).update(shop=None)
    deaf = make_destination("mail", shop=other, kinds=["attention"])
    off = make_destination("mail", shop=other, is_enabled=False)

    pass_by([sold_out(other)], NOW)

    assert set(Message.objects.values_list("destination", flat=True)) == {theirs.pk, everything.pk}
    assert not Notice.objects.filter(destination__in=[deaf.pk, off.pk]).exists()


def test_many_at_a_time_are_one_message():
    make_destination("mail")
    pass_by([sold_out(subject=f"variant {n}") for n in range(40)], NOW)
    (message,) = Message.objects.all()
    assert "40 alerts" in message.title
    assert "… and 30 more" in message.text
    assert message.text.count("·") == 10


def test_a_digest_waits_for_its_hour():
    make_destination("mail", every_minutes=60)
    pass_by([sold_out()], NOW + 10 * MINUTE)
    pass_by([sold_out(), sold_out(subject="variant 2")], NOW + 50 * MINUTE)
    assert titles() == []
    pass_by([sold_out(), sold_out(subject="variant 2")], NOW + 60 * MINUTE)
    assert titles() == ["星河卡铺: 2 alerts"]


def test_in_quiet_hours_nothing_goes_out_and_what_is_over_by_then_never_does():
    make_destination("mail", quiet_from=time(11, 0), quiet_until=time(14, 0))
    stays, passes = sold_out(), sold_out(subject="variant 2")
    pass_by([stays, passes], NOW)
    pass_by([stays], NOW + 10 * MINUTE)
    pass_by([stays], NOW + 30 * MINUTE)
    assert titles() == []

    pass_by([stays], NOW + 120 * MINUTE)

    assert titles() == ["星河卡铺: Star coins is sold out"]


@pytest.mark.parametrize(
    ("start", "end", "quiet"),
    [((11, 0), (13, 0), True), ((13, 0), (14, 0), False), ((22, 0), (13, 0), True), ((22, 0), (8, 0), False)],
)
def test_quiet_hours_may_go_over_midnight(start, end, quiet):
    destination = Destination(quiet_from=time(*start), quiet_until=time(*end))
    assert is_quiet(destination, NOW) is quiet


def test_no_more_than_so_many_an_hour():
    make_destination("mail", per_hour=2)
    subjects = []
    for minute in range(10):
        subjects.append(sold_out(subject=f"variant {minute}"))
        pass_by(subjects, NOW + minute * MINUTE)
    assert len(titles()) == 2
    pass_by(subjects, NOW + 61 * MINUTE)
    assert titles()[-1] == "星河卡铺: 8 alerts"


def test_while_one_is_being_sent_the_rest_waits_for_the_next():
    make_destination("mail")
    tell({sold_out()}, set(Kind), now=NOW)
    write_messages(NOW)
    tell({sold_out(), sold_out(subject="variant 2")}, set(Kind), now=NOW + MINUTE)
    write_messages(NOW + MINUTE)

    assert Message.objects.count() == 1
    assert list(OutboxMessage.objects.values_list("task", "subject_id")) == [
        ("alerts.send", Message.objects.get().pk)
    ]


def test_it_is_told_in_the_language_of_the_destination():
    make_destination("mail", language="zh-hans")
    pass_by([sold_out()], NOW)
    assert titles() == ["星河卡铺: Star coins 已售罄"]


def test_a_destination_is_not_told_that_it_fails_itself(services):
    broken = make_destination("webhook", address=f"{services.url}/broken")
    make_destination("mail")
    now = db_now()
    tell({sold_out()}, set(Kind), now=now)
    write_messages(now)
    send_messages(list(Message.objects.values_list("pk", flat=True)), now)
    Message.objects.filter(status="waiting").update(status="failed", ended_at=now)

    for minutes in (1, 12):
        seen, _kinds = look_at_all(now)
        pass_by(seen | {sold_out()}, now + minutes * MINUTE)

    failing = Notice.objects.filter(alert__kind="destination")
    assert [notice.destination.driver for notice in failing] == ["mail"]
    assert "do not arrive: HTTP 500" in titles()[-1]
    assert broken.pk


def test_what_is_the_matter_is_seen_in_the_rows(line):
    low = make_variant(keys=3, low_stock_at=3)
    gone = make_variant(keys=1)
    Stock.objects.filter(variant=gone).update(claimed=1)
    make_variant()  # never had any
    order = make_order(low)
    Order.objects.filter(pk=order.pk).update(attention="paid twice")
    OutboxMessage.objects.create(
        shop=order.shop, task="orders.deliver", subject_id=1, due_at=NOW, created_at=NOW
    )
    OutboxMessage.objects.create(
        shop=order.shop, task="orders.mail_turn", subject_id=1, due_at=NOW, created_at=NOW, attention="tired"
    )

    seen, kinds = look_at_all(db_now())

    assert {(each.kind, each.subject) for each in seen} - {
        (each.kind, each.subject) for each in seen if each.kind == Kind.IMPORT
    } == {
        (Kind.LOW_STOCK, f"variant {low.pk}"),
        (Kind.SOLD_OUT, f"variant {gone.pk}"),
        (Kind.ATTENTION, f"order {order.pk}"),
        (Kind.WORKERS, "task orders.deliver"),
        (Kind.GIVEN_UP, "orders.mail_turn"),
    }
    assert Kind.CHANNEL in kinds


def test_the_trouble_of_one_shop_hides_nothing_of_another(line, monkeypatch):
    monkeypatch.setattr(looking, "MOST", 1)
    mine = [make_order(make_variant(keys=1)) for _ in range(2)]
    theirs = make_order(make_variant(keys=1, shop=make_shop("other")))
    Order.objects.update(attention="paid twice")

    seen, _kinds = look_at_all(db_now())

    assert {each.subject for each in seen if each.kind == Kind.ATTENTION} == {
        f"order {mine[0].pk}",
        f"order {theirs.pk}",
    }


def test_what_cannot_be_looked_at_keeps_nothing_else_from_being_told(line, monkeypatch):
    def cannot(now):
        raise PermissionError(13, "as for a backup that root has made")

    monkeypatch.delitem(LOOKS, looking._imports_that_have_ended)
    monkeypatch.setitem(LOOKS, cannot, {Kind.IMPORT})
    order = make_order(make_variant(keys=1))
    Order.objects.filter(pk=order.pk).update(attention="paid twice")

    seen, kinds = look_at_all(db_now())

    assert f"order {order.pk}" in {each.subject for each in seen}
    assert Kind.ATTENTION in kinds
    assert Kind.IMPORT not in kinds


def test_who_serves_a_line_and_is_silent_is_told_of(line):
    now = db_now()
    for name in ("mail", "allocate", "allocate_isolated"):
        show_life(name, now=now - 5 * MINUTE)
    make_variant(selling=Selling.QUEUED)

    seen, _kinds = look_at_all(now)

    assert {each.about["name"] for each in seen if each.kind == Kind.WORKERS} == {"mail", "allocate"}


def test_an_import_is_news_once():
    make_destination("mail")
    about = {"name": "x", "is_done": True, "imported": 3, "duplicates": 0, "refused": 0}
    seen = {Seen(Kind.IMPORT, the_shop().pk, "batch 1", about)}
    for minutes in (0, 1, 2, 30):
        pass_by(seen, NOW + minutes * MINUTE)
    for minutes in (70, 80):
        pass_by([], NOW + minutes * MINUTE)

    assert titles() == ["星河卡铺: Keys for x were imported: 3 new, 0 duplicates, 0 refused"]


def test_a_webhook_that_was_paused_is_told_by_its_host_until_it_is_resumed():
    endpoint, _secret = make_endpoint(
        the_shop(), url="https://example.org/?token=secret", kinds=["order.paid"], now=NOW
    )
    WebhookEndpoint.objects.update(paused_at=NOW, paused_because="it failed")
    seen, _kinds = look_at_all(NOW)
    (said,) = [each for each in seen if each.kind == Kind.WEBHOOK]
    assert said.about == {"name": "example.org"}
    alert = Alert(kind=said.kind, subject=said.subject, about=said.about)
    with override("en"):
        assert words.sentence(alert, is_end=False).startswith("The webhook at example.org has taken nothing")

    resume(endpoint, now=NOW)

    assert not any(each.kind == Kind.WEBHOOK for each in look_at_all(NOW)[0])


def test_of_a_webhook_that_somebody_paused_nobody_is_told():
    endpoint, _ = make_endpoint(the_shop(), url="https://p.example/", kinds=["order.paid"], now=NOW)

    assert pause(endpoint, now=NOW)

    assert not any(each.kind == Kind.WEBHOOK for each in look_at_all(NOW)[0])


def test_a_supplier_is_told_of_once_nobody_believes_it_any_more_or_its_ledger_differs():
    supplier = Supplier.objects.create(shop=the_shop(), name="Partner", last_error="no answer in time")

    def said():
        seen = [each for each in look_at_all(NOW)[0] if each.kind == Kind.SUPPLIER]
        with override("en"):
            return [words.sentence(Alert(kind=each.kind, about=each.about), is_end=False) for each in seen]

    assert said() == ["The supplier “Partner” does not answer: no answer in time"]
    Supplier.objects.update(answered_at=NOW - MINUTE * 4)
    assert said() == []
    Supplier.objects.update(differences="one\nand another")
    assert said() == ["The ledger of the supplier “Partner” and ours differ: one and another"]
    Supplier.objects.filter(pk=supplier.pk).update(is_enabled=False)
    assert said() == []
