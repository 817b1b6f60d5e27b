"""The log of refused notices: enough to see what is wrong, and nothing that a stranger could fill it with."""

import pytest
from django.core.cache import cache

from payments.models import RefusedNotice
from payments.services import refused as subject
from tests.factories import make_channel
from tests.staff import confirmed, logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db

NOTICES = "/admin/payments/refusednotice/"


@pytest.fixture
def channel():
    return make_channel()


def call(client, channel, query="trade_no=CANARY-query&sign=x", **extra):
    answer = client.get(f"/pay/notify/{channel.slug}/?{query}", HTTP_HOST="demo.localhost", **extra)
    assert (answer.status_code, answer.content) == (400, b"fail")


def a_second_later(channel):
    subject._written.clear()
    cache.delete(f"refused-notice:{channel.pk}")


@pytest.fixture(autouse=True)
def _at_once(channel):
    a_second_later(channel)


def test_a_refused_call_is_written_without_what_it_said(client, channel):
    call(client, channel, REMOTE_ADDR="203.0.113.7")

    row = RefusedNotice.objects.values().get()
    assert (row["channel_id"], row["why"], row["method"]) == (channel.pk, "bad signature", "GET")
    assert (row["size"], row["address"]) == (len("trade_no=CANARY-query&sign=x"), "203.0.113.7")
    assert "CANARY" not in str(row)


def test_the_same_call_has_the_same_digest(client, channel):
    for query in ("sign=a", "sign=a", "sign=b"):
        call(client, channel, query)
        a_second_later(channel)
    first, again, other = RefusedNotice.objects.order_by("pk").values_list("digest", flat=True)
    assert first == again != other


def test_of_each_channel_one_a_second_is_written(client, channel):
    other = make_channel(slug="wxpay")
    a_second_later(other)
    for _ in range(5):
        call(client, channel)
        call(client, other)
    assert RefusedNotice.objects.count() == 2


def test_all_processes_together_write_one_a_second(client, channel):
    call(client, channel)
    subject._written.clear()  # as another process would see it
    call(client, channel)
    assert RefusedNotice.objects.count() == 1


def test_without_redis_each_process_keeps_to_it_by_itself(client, channel, monkeypatch):
    monkeypatch.setattr(cache, "add", lambda *args, **kwargs: None)
    for _ in range(3):
        call(client, channel)
    assert RefusedNotice.objects.count() == 1


def test_only_the_last_ones_of_a_channel_stay(client, channel, monkeypatch):
    monkeypatch.setattr(subject, "KEPT", 3)
    other = make_channel(slug="wxpay")
    a_second_later(other)
    call(client, other)
    for number in range(5):
        call(client, channel, f"n={'x' * number}")
        a_second_later(channel)
    assert sorted(channel.refused.values_list("size", flat=True)) == [4, 5, 6]
    assert other.refused.count() == 1


def test_a_log_that_cannot_be_written_changes_no_answer(client, channel, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(subject, "_write", fail)
    call(client, channel)


def test_unknown_channels_and_genuine_calls_are_no_business_of_it(client, channel):
    assert client.get("/pay/notify/nothing/?sign=x", HTTP_HOST="demo.localhost").status_code == 404
    assert not RefusedNotice.objects.exists()


def test_the_merchant_reads_it_and_cannot_touch_it(client, channel):
    call(client, channel)
    row = RefusedNotice.objects.get()
    clerk = logged_in(make_clerk("payments.view_refusednotice"))
    assert "bad signature" in clerk.get(NOTICES).content.decode()
    assert clerk.get(f"{NOTICES}{row.pk}/change/").status_code == 200
    boss = logged_in(make_boss())
    assert boss.post(f"{NOTICES}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert boss.get(f"{NOTICES}add/").status_code == 403
    assert f'href="{NOTICES}"' in boss.get("/admin/").content.decode()


def test_it_keeps_no_channel_from_being_deleted(client, channel):
    call(client, channel)
    answer = confirmed(make_boss()).post(
        f"/admin/payments/paymentchannel/{channel.pk}/delete/", {"post": "yes"}
    )
    assert answer.status_code == 302
    assert not RefusedNotice.objects.exists()
