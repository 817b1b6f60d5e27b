"""What each service is told, and what its answers mean; one that fails keeps no other waiting."""

import json
import logging
from datetime import timedelta

import pytest
from django.core import mail

from cardshop.alerts import sending
from cardshop.alerts.drivers import signature
from cardshop.alerts.models import Destination, Message
from cardshop.alerts.sending import GIVE_UP_AFTER, NotTaken, deliver, send_messages
from cardshop.alerts.tests.services import DEVICE, HOOK_SECRET, ROBOT, TOKEN
from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from cardshop.outbox.services import drain
from tests.factories import NOON, the_shop

pytestmark = pytest.mark.django_db(transaction=True)

SECRETS = {"telegram": TOKEN, "bark": DEVICE, "wecom": ROBOT, "webhook": HOOK_SECRET, "mail": ""}
PATHS = {"wecom": "/cgi-bin/webhook/send", "webhook": "/hook"}
LETTER = sending.Letter(
    uid="u-1", title="Shop: sold out", text="· gone\nhttp://x/", at=NOON, items=[{"kind": "sold_out"}]
)


def make_destination(driver, services=None, *, secret=None, address=None, shop=None, **fields):
    defaults = {
        "options": {"telegram": {"chat_id": "-1001"}, "mail": {"recipients": "me@example.org"}}.get(
            driver, {}
        ),
        "kinds": ["attention", "low_stock", "sold_out", "channel", "import", "destination"],
        "language": "en",
    }
    destination = Destination(
        shop=shop or the_shop(),
        name=driver,
        driver=driver,
        address=address or (services.url + PATHS.get(driver, "") if services else ""),
        **{**defaults, **fields},
    )
    destination.seal_secret(SECRETS[driver] if secret is None else secret)
    destination.save()
    return destination


def make_message(destination, *, created_at=None):
    return Message.objects.create(
        destination=destination, title="Shop: x", text="· x", created_at=created_at or db_now()
    )


def test_telegram(services):
    deliver(make_destination("telegram", services), LETTER)
    ((path, headers, body),) = services.heard
    assert path == f"/bot{TOKEN}/sendMessage"
    assert headers["Content-Type"].startswith("application/json")
    said = json.loads(body)
    assert said["chat_id"] == "-1001"
    assert said["text"].startswith("Shop: sold out\n")


def test_bark(services):
    deliver(make_destination("bark", services), LETTER)
    ((path, _headers, body),) = services.heard
    assert path == "/push"
    assert json.loads(body)["device_key"] == DEVICE
    assert json.loads(body)["title"] == "Shop: sold out"


def test_wecom_takes_two_kilobytes_at_most(services):
    long = sending.Letter(uid="u", title="t", text="库存" * 1000, at=NOON)
    deliver(make_destination("wecom", services), long)
    ((path, _headers, body),) = services.heard
    assert path == f"/cgi-bin/webhook/send?key={ROBOT}"
    assert json.loads(body)["text"]["content"].endswith("…")


def test_a_webhook_is_signed_with_its_time(services):
    deliver(make_destination("webhook", services), LETTER)
    ((_path, headers, body),) = services.heard
    timestamp = headers["X-Cardshop-Timestamp"]
    assert int(timestamp) == int(NOON.timestamp())
    assert headers["X-Cardshop-Signature"] == "sha256=" + signature(HOOK_SECRET, timestamp, body)
    assert headers["X-Cardshop-Signature"] != "sha256=" + signature(HOOK_SECRET, "1", body)
    assert json.loads(body)["alerts"] == [{"kind": "sold_out"}]


def test_mail():
    deliver(make_destination("mail", options={"recipients": "a@example.org, b@example.org"}), LETTER)
    (message,) = mail.outbox
    assert message.to == ["a@example.org", "b@example.org"]
    assert message.subject == "Shop: sold out"


@pytest.mark.parametrize(
    ("driver", "wrong", "why"),
    [
        ("telegram", {"secret": "1:wrong"}, "HTTP 401: Unauthorized"),
        ("telegram", {"options": {"chat_id": "7"}}, "HTTP 400: Bad Request: chat not found"),
        ("bark", {"secret": "wrong"}, "HTTP 200: failed to get device token"),
        ("wecom", {"secret": "wrong"}, "HTTP 200: invalid webhook url"),
    ],
)
def test_what_a_service_refuses_is_told_as_it_says_it(services, driver, wrong, why):
    with pytest.raises(NotTaken) as refused:
        deliver(make_destination(driver, services, **wrong), LETTER)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("path", "why"), [("/broken", "HTTP 500"), ("/away", "HTTP 302"), ("/hang", "no answer in time")]
)
def test_what_is_broken_is_told(services, monkeypatch, path, why):
    monkeypatch.setattr(sending, "SECONDS", 0.2)
    with pytest.raises(NotTaken, match=why):
        deliver(make_destination("webhook", address=services.url + path), LETTER)


def test_without_leave_nothing_goes_into_this_machine(services, settings):
    settings.ALERTS_PRIVATE_ADDRESSES = False
    https = services.url.replace("http://127.0.0.1", "https://localhost")
    with pytest.raises(NotTaken):
        deliver(make_destination("webhook", address=f"{https}/hook"), LETTER)
    assert services.heard == []


def test_a_credential_opens_only_where_it_was_entered_for(services):
    destination = make_destination("telegram", services)
    Destination.objects.filter(pk=destination.pk).update(address="https://evil.example")
    destination.refresh_from_db()
    with pytest.raises(NotTaken, match="does not open"):
        deliver(destination, LETTER)


def test_a_destination_that_fails_keeps_no_other_waiting(services):
    broken = make_message(make_destination("webhook", address=f"{services.url}/broken"))
    well = make_message(make_destination("bark", services))

    failed = send_messages([broken.pk, well.pk], db_now())

    assert set(failed) == {broken.pk}
    assert list(Message.objects.order_by("pk").values_list("status", "attempts")) == [
        ("waiting", 1),
        ("sent", 1),
    ]
    assert Destination.objects.get(pk=broken.destination_id).failing_since
    assert Destination.objects.get(pk=well.destination_id).failing_since is None


def test_it_is_tried_again_and_recovers(services):
    services.mood = "busy"
    message = make_message(make_destination("telegram", services))
    outbox = OutboxMessage.objects.create(
        shop=the_shop(), task="alerts.send", subject_id=message.pk, due_at=NOON, created_at=NOON
    )
    drain("alerts.send", send_messages, clock=db_now, batch=1)
    outbox.refresh_from_db()
    assert outbox.done_at is None
    assert outbox.due_at > db_now()

    services.mood = ""
    OutboxMessage.objects.update(due_at=NOON)
    drain("alerts.send", send_messages, clock=db_now, batch=1)

    message.refresh_from_db()
    assert (message.status, message.attempts) == ("sent", 2)
    assert Destination.objects.get().failing_since is None


def test_after_hours_it_is_given_up_so_that_later_ones_can_go(services):
    destination = make_destination("webhook", address=f"{services.url}/broken")
    message = make_message(destination, created_at=db_now() - GIVE_UP_AFTER - timedelta(seconds=1))

    assert send_messages([message.pk], db_now()) == {}

    message.refresh_from_db()
    assert (message.status, message.last_error) == ("failed", "HTTP 500")
    make_message(destination)  # which the constraint allows again


def test_secrets_are_nowhere_but_where_they_belong(services, caplog):
    """A canary in every credential: not in the log, the rows, or the errors."""
    caplog.set_level(logging.DEBUG)
    for driver in ("telegram", "bark", "wecom", "webhook"):
        address = services.url + ("/broken" if driver in ("webhook", "wecom") else "")
        destination = make_destination(driver, secret="CANARY-7", address=address)
        message = make_message(destination)
        send_messages([message.pk], db_now())
    kept = [*Message.objects.values_list("title", "text", "last_error")]
    kept += [*Destination.objects.values_list("name", "address", "last_error", "options")]
    assert "CANARY-7" not in str(kept)
    assert "CANARY-7" not in caplog.text
    assert all(b"CANARY-7" not in bytes(each.sealed_secret) for each in Destination.objects.all())
