"""What somebody at a session that was left open cannot do: lead the money away, or let others in."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from cardshop.common.clock import db_now
from payments.models import PaymentChannel
from payments.tests.channel_forms import CHANNELS, add_address, channel_form
from tests.edited_lists import shown_of
from tests.factories import make_channel, make_shop
from tests.staff import PASSWORD, code_of, confirmed, let_code_age, logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db

CONFIRM, ENROL, USERS = "/admin/confirm/", "/admin/enrol/", "/admin/auth/user/"
AGED = 301


@pytest.fixture
def boss():
    return confirmed(make_boss())


@pytest.fixture
def open_session(boss):
    """Of somebody who has logged in some time ago."""
    let_code_age(boss, AGED)
    return boss


@pytest.fixture
def channel():
    return make_channel(base_url="https://pay.example.com/")


def next_code():
    """The code that the app shows half a minute after the one of the login."""
    return code_of(TOTPDevice.objects.get(confirmed=True), steps=1)


def wrong_code():
    return f"{(int(next_code()) + 1) % 1_000_000:06d}"


def list_form(channel, **changes):
    rows = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "_save": "Save"}
    shown = shown_of(channel, "is_enabled", "position")
    return {**rows, **shown, "form-0-id": channel.pk, "form-0-position": channel.position, **changes}


def addresses(channel):
    one = f"{CHANNELS}{channel.pk}/"
    return [f"{CHANNELS}add/", add_address(), f"{one}change/", f"{one}delete/"]


def test_with_a_fresh_code_the_forms_open_and_with_an_old_one_the_code_comes_first(boss, channel):
    for address in addresses(channel):
        assert boss.get(address).status_code == 200
    let_code_age(boss, AGED)
    for address in addresses(channel):
        answer = boss.get(address)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(f"{CONFIRM}?next=/admin/payments/paymentchannel/")


def test_a_code_counts_for_five_minutes(boss, channel):
    let_code_age(boss, AGED - 11)
    assert boss.get(f"{CHANNELS}{channel.pk}/change/").status_code == 200
    let_code_age(boss, 11)
    assert boss.get(f"{CHANNELS}{channel.pk}/change/").status_code == 302


def test_a_clock_that_is_turned_back_makes_no_code_fresh_again(open_session, channel, monkeypatch):
    with time_machine.travel(timezone.now() - timedelta(minutes=10)):
        assert open_session.get(f"{CHANNELS}{channel.pk}/change/").status_code == 302
    an_hour_ago = db_now() - timedelta(hours=1)
    monkeypatch.setattr("cardshop.common.fresh_code.db_now", lambda: an_hour_ago)
    assert open_session.get(f"{CHANNELS}{channel.pk}/change/").status_code == 302


def test_a_form_that_comes_too_late_changes_nothing_and_says_how_to_go_on(open_session, channel):
    before = PaymentChannel.objects.values().get()
    entered = channel_form(base_url="https://thief.example.com/", shop=channel.shop_id, slug="new")
    for address in addresses(channel):
        answer = open_session.post(address, {**entered, "post": "yes"})
        assert answer.status_code == 403
        page = answer.content.decode()
        assert f"{CONFIRM}?next=" in page
        assert "CANARY" not in page
    assert PaymentChannel.objects.values().get() == before
    assert not LogEntry.objects.exists()


def test_the_code_leads_back_to_the_form(open_session, channel):
    wanted = f"{CHANNELS}{channel.pk}/change/"
    page = open_session.get(wanted, follow=True)
    assert "counts for five minutes" in page.content.decode()
    answer = open_session.post(CONFIRM, {"code": next_code(), "next": wanted})
    assert answer.headers["Location"] == wanted
    assert open_session.get(wanted).status_code == 200
    assert open_session.post(wanted, channel_form()).status_code == 302


def test_the_code_of_the_login_is_not_taken_twice(open_session, channel):
    same = code_of(TOTPDevice.objects.get())
    page = open_session.post(CONFIRM, {"code": same})
    assert "used before" in page.content.decode()
    assert open_session.get(f"{CHANNELS}{channel.pk}/change/").status_code == 302


def test_guessing_is_slowed_down_and_ends_the_session(open_session):
    assert "wrong" in open_session.post(CONFIRM, {"code": wrong_code()}).content.decode()
    page = open_session.post(CONFIRM, {"code": next_code()})
    assert "Too many wrong codes" in page.content.decode()
    for _ in range(2):
        assert open_session.post(CONFIRM, {"code": wrong_code()}).status_code == 200
    assert open_session.get("/admin/").status_code == 200
    assert open_session.post(CONFIRM, {"code": wrong_code()}).status_code == 302
    assert open_session.get("/admin/").headers["Location"].startswith("/admin/login/")


def test_confirming_is_for_those_who_are_in():
    for client in (logged_in(make_clerk()), logged_in(make_boss())):
        assert client.get(CONFIRM).headers["Location"].startswith(ENROL)
    client.logout()
    assert client.get(CONFIRM).headers["Location"].startswith("/admin/login/")


def test_whoever_has_no_device_is_led_to_set_one_up(channel):
    boss, wanted = logged_in(make_boss()), f"{CHANNELS}{channel.pk}/change/"
    page = boss.get(wanted, follow=True)
    assert page.redirect_chain[-1][0] == f"{ENROL}?next={wanted}"
    answer = boss.post(ENROL, {"code": code_of(TOTPDevice.objects.get()), "next": wanted})
    assert answer.headers["Location"] == wanted
    assert boss.get(wanted).status_code == 200


def test_a_thief_cannot_put_a_device_of_their_own_in_the_place_of_the_old_one(open_session):
    mine = TOTPDevice.objects.get()
    assert open_session.get(ENROL).headers["Location"].startswith(CONFIRM)
    assert open_session.post(ENROL, {"code": "123456"}).status_code == 302
    devices = "/admin/otp_totp/totpdevice/"
    assert open_session.post(f"{devices}{mine.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": mine.pk, "post": "yes"}
    assert open_session.post(devices, chosen).status_code == 403
    assert TOTPDevice.objects.get() == mine


def test_a_thief_cannot_make_an_account_or_take_one(open_session):
    other = make_clerk()
    account = {"username": "thief", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert open_session.post(f"{USERS}add/", account).status_code == 403
    assert open_session.post(f"{USERS}{other.pk}/change/", {"is_superuser": "on"}).status_code == 403
    assert open_session.post(f"{USERS}{other.pk}/password/", account).status_code == 403
    assert open_session.get(f"{USERS}{other.pk}/password/").status_code == 302
    assert set(User.objects.values_list("username", "is_superuser")) == {("boss", True), ("clerk", False)}


def test_with_a_fresh_code_accounts_are_made_as_ever(boss):
    account = {"username": "new", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert boss.post(f"{USERS}add/", account).status_code == 302
    assert User.objects.filter(username="new").exists()


def test_who_has_done_something_cannot_be_deleted_with_what_is_told_of_it(boss, channel):
    boss.post(f"{CHANNELS}{channel.pk}/change/", channel_form(secret_secret="", name="anew"))
    other = confirmed(make_boss("other"))
    address = f"{USERS}{User.objects.get(username='boss').pk}/delete/"
    assert "1 entry of a history" in other.post(address, {"post": "yes"}).content.decode()
    assert User.objects.filter(username="boss").exists()
    idle = make_clerk()
    assert other.post(f"{USERS}{idle.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=idle.pk).exists()


def test_switching_on_in_the_list_takes_a_code_and_the_rest_does_not(open_session, channel):
    PaymentChannel.objects.update(is_enabled=False)
    switched_on = list_form(channel, **{"form-0-is_enabled": "on", "form-0-position": 9})
    answer = open_session.post(CHANNELS, switched_on)
    assert answer.status_code == 403
    channel.refresh_from_db()
    assert (channel.is_enabled, channel.position) == (False, 0)

    assert open_session.post(CHANNELS, list_form(channel, **{"form-0-position": 7})).status_code == 302
    channel.refresh_from_db()
    assert (channel.is_enabled, channel.position) == (False, 7)

    open_session.post(CONFIRM, {"code": next_code()})
    switched_on = list_form(channel, **{"form-0-is_enabled": "on", "form-0-position": 9})
    assert open_session.post(CHANNELS, switched_on).status_code == 302
    channel.refresh_from_db()
    assert (channel.is_enabled, channel.position) == (True, 9)


def test_switching_off_in_the_list_takes_none(open_session, channel):
    assert open_session.post(CHANNELS, list_form(channel)).status_code == 302
    channel.refresh_from_db()
    assert not channel.is_enabled


def test_what_the_list_saves_is_only_what_it_shows(boss, channel, monkeypatch):
    """Somebody who has changed the address meanwhile is not overwritten."""
    saving = PaymentChannel.save

    def save_late(row, *args, **kwargs):
        PaymentChannel.objects.update(base_url="https://new.example.com/")
        saving(row, *args, **kwargs)

    monkeypatch.setattr(PaymentChannel, "save", save_late)
    boss.post(CHANNELS, list_form(channel, **{"form-0-position": 7}))
    channel.refresh_from_db()
    assert (channel.position, channel.base_url) == (7, "https://new.example.com/")


def test_whoever_may_only_look_needs_no_code(channel):
    clerk = logged_in(make_clerk("payments.view_paymentchannel"))
    for address in (CHANNELS, f"{CHANNELS}{channel.pk}/change/", f"{CHANNELS}{channel.pk}/history/"):
        assert clerk.get(address).status_code == 200
    assert clerk.post(f"{CHANNELS}{channel.pk}/change/", channel_form()).status_code == 403


def test_there_is_no_deleting_of_several_at_once(boss, channel):
    boss.post(CHANNELS, {"action": "delete_selected", "_selected_action": channel.pk, "post": "yes"})
    assert PaymentChannel.objects.exists()


def test_no_code_is_asked_for_before_it_is_known_that_one_may():
    make_shop()
    clerk = logged_in(make_clerk("payments.view_paymentchannel"))
    assert clerk.get(add_address()).status_code == 403
