"""What is promised to a webhook arrives, signed, and no webhook waits for another: over real connections."""

import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from cardshop.common.clock import db_now
from resellers.models import WebhookDelivery, WebhookEndpoint
from resellers.tests.calling import make_reseller
from resellers.tests.receiving import make_webhook, tell
from resellers.tests.receiving import receiver as another
from resellers.webhooks import calls, sending
from resellers.webhooks.endpoints import remove, resume
from resellers.webhooks.replaying import replay
from resellers.webhooks.sending import PAUSES, PER_ENDPOINT, claim, send_due
from tests.race.racing import linger, race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LOOK_AGAIN", 0.05)


def later(**later: float) -> int:
    """Send as if it were so much later; each call of a test is later than the one before."""
    return send_due(clock=lambda: db_now() + timedelta(**later))


def test_an_event_arrives_once_and_signed(receiver):
    endpoint, secret = make_webhook(receiver.url)
    (event,) = tell(endpoint, "C1")

    assert (later(), later(days=1)) == (1, 0)

    delivery = WebhookDelivery.objects.get()
    ((headers, body),) = receiver.heard
    assert receiver.has_signed(secret)
    assert (headers["Cardshop-Key"], headers["Cardshop-Delivery"]) == (endpoint.name, str(delivery.uid))
    assert json.loads(body) == {
        "id": str(event.uid),
        "kind": "order.paid",
        "subject": "C1",
        "at": event.at.isoformat(),
        "data": {},
    }
    assert (delivery.attempts, delivery.last_status, delivery.next_at) == (1, 204, None)
    assert delivery.delivered_at is not None


def test_a_private_address_is_refused_when_it_is_called_however_it_is_named(receiver, settings):
    endpoint, _secret = make_webhook(receiver.url.replace("http://127.0.0.1", "https://localhost"))
    tell(endpoint, "C1")
    settings.WEBHOOKS_PRIVATE_ADDRESSES = False

    later()

    assert receiver.heard == []
    assert WebhookDelivery.objects.get().last_error == _("It leads into this machine or a private network.")


@pytest.mark.parametrize(("status", "says"), [(500, "went wrong"), (302, ""), (404, "")])
def test_what_is_no_yes_is_tried_again_and_told_with_the_beginning_of_the_answer(receiver, status, says):
    receiver.status, receiver.says = status, says
    endpoint, _secret = make_webhook(receiver.url)
    tell(endpoint, "C1")

    later()

    delivery = WebhookDelivery.objects.get()
    assert (delivery.last_status, delivery.last_error) == (status, f"it answered {status}")
    assert (delivery.response, len(receiver.heard)) == (says, 1)
    receiver.status = 204
    assert later(minutes=1) == 1
    assert WebhookDelivery.objects.get().delivered_at is not None
    assert WebhookEndpoint.objects.get().failing_since is None


def test_of_a_long_answer_a_little_is_kept_and_never_what_we_keep_secret(receiver):
    endpoint, secret = make_webhook(receiver.url)
    receiver.status, receiver.says = 200, f"\0{secret} {{headers}}" + "x" * 100_000
    tell(endpoint, "C1")

    later()

    kept = WebhookDelivery.objects.get().response
    assert secret not in kept
    assert receiver.heard[0][0]["Cardshop-Signature"] not in kept
    assert len(kept) == calls.ANSWER_KEPT


def test_what_no_try_of_three_days_could_deliver_is_given_up(receiver, monkeypatch):
    monkeypatch.setattr(sending, "PAUSE_AFTER", timedelta(days=30))
    receiver.status = 503
    tell(make_webhook(receiver.url)[0], "C1")
    days = 0.0
    for pause in PAUSES:
        assert later(days=days) == 1
        days += pause * (1 + sending.JITTER) / timedelta(days=1)

    assert later(days=days) == 1

    delivery = WebhookDelivery.objects.get()
    assert (delivery.attempts, delivery.next_at, delivery.last_status) == (len(PAUSES) + 1, None, 503)
    assert delivery.gave_up_at is not None
    assert later(days=30) == 0
    assert abs(sum(PAUSES, timedelta()) - timedelta(days=3)) < timedelta(hours=2)


def test_a_webhook_that_has_failed_for_three_days_is_paused_until_a_person_resumes_it(receiver):
    receiver.status = 503
    endpoint, _secret = make_webhook(receiver.url)
    tell(endpoint, "C1")
    assert (later(), later(days=2)) == (1, 1)
    assert WebhookEndpoint.objects.get().paused_at is None
    assert later(days=4) == 1

    tell(endpoint, "C2")

    assert WebhookEndpoint.objects.get().paused_because == sending.FAILED_FOR_DAYS
    receiver.status = 204
    assert later(days=30) == 0
    assert (resume(endpoint, now=db_now()), resume(endpoint, now=db_now())) == (True, False)
    assert later() == 2
    assert not WebhookDelivery.objects.filter(delivered_at=None).exists()


def test_replayed_it_arrives_again_under_the_same_name(receiver):
    endpoint, _secret = make_webhook(receiver.url)
    tell(endpoint, "C1", "C2")
    later()
    ours = WebhookDelivery.objects.filter(event__subject="C1")

    assert replay(ours, now=db_now()) == 1
    later()

    names = [headers["Cardshop-Delivery"] for headers, _body in receiver.heard]
    assert (len(names), len(set(names))) == (3, 2)
    assert ours.get().delivered_at is not None
    remove(endpoint, now=db_now())
    assert replay(ours, now=db_now()) == 0


def test_whoever_dies_while_sending_leaves_it_to_the_next(receiver):
    endpoint, _secret = make_webhook(receiver.url)
    tell(endpoint, "C1")
    (lost,) = claim(endpoint.pk, now=db_now(), room=9)

    assert later() == 0
    assert later(minutes=2) == 1
    assert receiver.heard[0][0]["Cardshop-Delivery"] == str(lost.uid)
    sending.note(lost, calls.Outcome(error="it was late"), now=db_now())
    assert WebhookDelivery.objects.get().last_error == ""


def test_a_webhook_that_is_removed_or_whose_reseller_is_suspended_hears_nothing(receiver):
    reseller = make_reseller()
    endpoint, _secret = make_webhook(receiver.url, reseller=reseller)
    other, _secret = make_webhook(receiver.url)
    tell(endpoint, "C1")
    reseller.is_suspended = True
    reseller.save()
    remove(other, now=db_now())

    assert later() == 0

    reseller.is_suspended = False
    reseller.save()
    assert later() == 1
    assert remove(endpoint, now=db_now())
    tell(endpoint, "C2")
    assert later(days=1) == 0


def seconds_until_the_good_one_has_heard_all(receiver, monkeypatch, **limits: int) -> float:
    """Beside one that never answers, which was told more and before."""
    for name, limit in limits.items():
        monkeypatch.setattr(sending, name, limit)
    monkeypatch.setattr(calls, "SECONDS", 1.0)
    monkeypatch.setattr(sending, "RUN", 3.0)
    sending._threads.cache_clear()
    with another(hangs=True) as silent:
        tell(make_webhook(silent.url, reseller=make_reseller("Silent"))[0], *"abcd")
        tell(make_webhook(receiver.url, reseller=make_reseller("Good"))[0], *"efgh")
        send_due(clock=db_now)
        began = silent.heard_at[0]
        silent.may_go_on.set()
        while sending._in_flight:
            send_due(clock=db_now)
    sending._threads.cache_clear()
    assert len(receiver.heard) == 4
    return receiver.heard_at[-1] - began


def test_a_webhook_that_never_answers_keeps_no_other_waiting(receiver, monkeypatch):
    took = seconds_until_the_good_one_has_heard_all(receiver, monkeypatch, AT_ONCE=4, PER_ENDPOINT=2)

    assert took < 0.8


def test_control_with_all_threads_for_one_webhook_the_others_wait(receiver, monkeypatch):
    took = seconds_until_the_good_one_has_heard_all(receiver, monkeypatch, AT_ONCE=4, PER_ENDPOINT=4)

    assert took > 0.9


def in_flight_after_four_claimed_at_once(receiver) -> int:
    endpoint, _secret = make_webhook(receiver.url)
    tell(endpoint, *map(str, range(5 * PER_ENDPOINT)))
    now = db_now()
    race(4, lambda: claim(endpoint.pk, now=now, room=99))
    return WebhookDelivery.objects.filter(leased_until__isnull=False).count()


def test_however_many_send_a_webhook_has_few_calls_in_flight(receiver, monkeypatch):
    linger(monkeypatch, "resellers.webhooks.sending._lease")

    assert in_flight_after_four_claimed_at_once(receiver) == PER_ENDPOINT


def test_control_without_the_lock_each_of_them_adds_its_own(receiver, monkeypatch):
    linger(monkeypatch, "resellers.webhooks.sending._lease")
    monkeypatch.setattr(QuerySet, "select_for_update", lambda rows, **_how: rows)
    monkeypatch.setattr(
        QuerySet, "update", lambda rows, **_what: 0
    )  # it would wait for the others' served_at

    assert in_flight_after_four_claimed_at_once(receiver) > PER_ENDPOINT


def test_one_that_fails_is_called_once_at_a_time_and_rests(receiver):
    receiver.status = 500
    endpoint, _secret = make_webhook(receiver.url)
    WebhookEndpoint.objects.update(failures=1)
    tell(endpoint, "C1", "C2")

    assert later() == 1
    assert later() == 0
    assert later(seconds=5) == 1


def test_the_recipes_in_the_manual_know_what_is_from_the_shop(receiver, tmp_path):
    endpoint, secret = make_webhook(receiver.url)
    tell(endpoint, "C1")
    later()
    ((headers, body),) = receiver.heard
    manual = Path("docs/resellers.md").read_text().partition("## Webhooks")[2]
    python, shell = (manual.partition(f"```{name}\n")[2].partition("```")[0] for name in ("python", "bash"))

    ours: dict[str, Any] = {}
    exec(python, ours)
    assert ours["is_from_the_shop"](secret, headers, body)
    assert not ours["is_from_the_shop"](secret, headers, body + b" ")
    assert not ours["is_from_the_shop"](secret, headers | {"Cardshop-Timestamp": "1"}, body)
    (tmp_path / "body.json").write_bytes(body)
    known = {
        "secret": secret,
        "timestamp": headers["Cardshop-Timestamp"],
        "delivery": headers["Cardshop-Delivery"],
    }
    said = subprocess.run(
        ["bash", "-c", shell],
        cwd=tmp_path,
        env={**os.environ, **known},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == headers["Cardshop-Signature"]
