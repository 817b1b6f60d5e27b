"""Whoever changes where the money goes leaves a trace, and others hear of it at once."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core import mail
from structlog.testing import capture_logs

from cardshop.outbox.models import OutboxMessage
from cardshop.shops.models import Shop
from payments.gateways import DRIVERS
from payments.gateways.rsa import new_key, public_of
from payments.models import PaymentChannel
from payments.tasks import mail_channel_changes
from payments.tests.channel_forms import CHANNELS, THEIRS, add_address, channel_form, form_of
from tests.edited_lists import shown_of
from tests.factories import SECRET, make_channel, make_shop
from tests.staff import confirmed, make_boss, make_clerk, make_member

pytestmark = pytest.mark.django_db

TASK = "payments.mail_channel_changes"


@pytest.fixture
def boss():
    return confirmed(make_boss())


@pytest.fixture
def channel():
    return make_channel(base_url="https://pay.example.com/")


def change(boss, channel, **changes):
    answer = boss.post(f"{CHANNELS}{channel.pk}/change/", channel_form(**changes), REMOTE_ADDR="203.0.113.5")
    assert answer.status_code == 302


def everything_written():
    rows = [*LogEntry.objects.values(), *OutboxMessage.objects.values()]
    return json.dumps(rows, default=str) + "".join(f"{m.subject} {m.body}" for m in mail.outbox)


def test_another_address_is_told_to_superusers_and_to_the_shop(boss, channel):
    make_boss("second")
    idle = make_boss("former")
    idle.is_active = False
    idle.save()
    make_clerk()
    make_member(channel.shop, username="owner")
    Shop.objects.update(contact_email="help@example.org")

    change(boss, channel, base_url="https://other.example.com/")
    mail_channel_changes()

    (message,) = mail.outbox
    assert message.to == ["boss@example.org", "second@example.org", "help@example.org", "owner@example.org"]
    for text in ("boss", "203.0.113.5", "https://pay.example.com/ → https://other.example.com/", "支付宝"):
        assert text in message.body
    assert "was changed" in message.subject
    assert "修改了支付渠道" in message.subject
    assert "If not, somebody may be leading your money away" in message.body
    assert OutboxMessage.objects.get(task=TASK).done_at is not None


def test_no_secret_and_no_key_is_ever_told(boss):
    entered = form_of(DRIVERS["epay_v2"], shop=make_shop().pk)
    boss.post(add_address("epay_v2"), entered)
    channel = PaymentChannel.objects.get()
    ours, theirs = new_key(), public_of(new_key())
    boss.post(f"{CHANNELS}{channel.pk}/change/", {**entered, "secret_secret": ours, "provider_key": theirs})
    mail_channel_changes()

    assert len(mail.outbox) == 2
    assert "Your own private key: changed" in mail.outbox[1].body
    assert "Public key of the provider: changed" in mail.outbox[1].body
    written = everything_written()
    for secret in (entered["secret_secret"], ours, theirs, public_of(THEIRS)):
        assert secret[:40] not in written


def test_the_history_says_what_was_and_what_is(boss, channel):
    change(boss, channel, merchant_id="2002", name="新名字", least="5")

    page = boss.get(f"{CHANNELS}{channel.pk}/history/").content.decode()

    for text in ("Merchant id: 1001 → 2002", "Name: 支付宝 → 新名字", "Least amount: – → 5.00"):
        assert text in page
    assert "203.0.113.5" in page
    assert "key: changed" in page
    assert "CANARY" not in page
    assert SECRET not in page


def test_a_new_channel_is_told_with_all_that_was_entered(boss):
    boss.post(add_address(), channel_form(shop=make_shop().pk))
    mail_channel_changes()

    (message,) = mail.outbox
    assert "was added" in message.subject
    for text in ("EPay v1", "https://pay.example.com/", "Merchant id: 1001", "Enabled: yes"):
        assert text in message.body
    assert "CANARY" not in everything_written()


def test_a_deleted_channel_is_told_after_it_is_gone(boss, channel):
    assert boss.post(f"{CHANNELS}{channel.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not PaymentChannel.objects.exists()
    mail_channel_changes()

    assert "was deleted" in mail.outbox[0].subject
    assert "https://pay.example.com/" in mail.outbox[0].body


def list_form(channel, *, enabled):
    rows = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "_save": "Save", "form-0-id": channel.pk}
    rows |= shown_of(channel, "is_enabled", "position")
    return {**rows, "form-0-position": 0, **({"form-0-is_enabled": "on"} if enabled else {})}


def test_switching_on_is_told_and_switching_off_is_only_written_down(boss, channel):
    boss.post(CHANNELS, list_form(channel, enabled=False))
    assert LogEntry.objects.count() == 1
    assert not OutboxMessage.objects.exists()
    boss.post(CHANNELS, list_form(channel, enabled=True))
    mail_channel_changes()

    assert LogEntry.objects.count() == 2
    (message,) = mail.outbox
    assert "Enabled: no → yes" in message.body


def test_what_does_not_lead_money_anywhere_is_written_down_and_not_mailed(boss, channel):
    change(boss, channel, secret_secret="", name="anew", fee_percent="0.6")
    assert LogEntry.objects.count() == 1
    assert not OutboxMessage.objects.exists()


def test_names_cannot_break_the_mail_or_forge_its_lines(boss, channel):
    change(boss, channel, name="x\r\nBcc: thief@example.org")
    mail_channel_changes()

    (message,) = mail.outbox
    assert "\n" not in message.subject
    assert "\nBcc" not in message.body
    assert message.message()


def test_a_mail_server_that_is_away_keeps_the_promise_open(boss, channel, monkeypatch):
    def fail(*args):
        raise ConnectionError

    change(boss, channel)
    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", fail)
        mail_channel_changes()
    assert OutboxMessage.objects.get(task=TASK).done_at is None
    OutboxMessage.objects.update(due_at="2020-01-01T00:00Z")
    mail_channel_changes()
    assert len(mail.outbox) == 1


def test_change_trace_and_promise_stand_or_fall_together(boss, channel, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("payments.services.channel_changes.promise", fail)
    with pytest.raises(RuntimeError):
        change(boss, channel, base_url="https://other.example.com/")
    channel.refresh_from_db()
    assert channel.base_url == "https://pay.example.com/"
    assert not LogEntry.objects.exists()


def test_where_nobody_can_be_told_the_merchant_and_the_log_say_so(boss, channel):
    User.objects.update(email="")

    page = boss.post(f"{CHANNELS}{channel.pk}/change/", channel_form(merchant_id="2002"), follow=True)
    with capture_logs() as logs:
        mail_channel_changes()

    assert "Nobody hears of changes" in page.content.decode()
    assert not mail.outbox
    assert ("error", "nobody to tell of a change") in [(each["log_level"], each["event"]) for each in logs]
    assert OutboxMessage.objects.get(task=TASK).done_at is not None


def test_where_somebody_can_be_told_nothing_is_said(boss, channel):
    page = boss.post(f"{CHANNELS}{channel.pk}/change/", channel_form(merchant_id="2002"), follow=True)
    assert "Nobody hears of changes" not in page.content.decode()
