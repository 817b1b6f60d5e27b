"""The merchant's pages of alerts: credentials go in and never come out, and a test says how it went."""

import re

import pytest

from cardshop.alerts.models import Destination
from cardshop.alerts.tests.services import DEVICE, TOKEN
from cardshop.alerts.tests.test_sending import make_destination
from tests.factories import the_shop
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/alerts/destination/"


def form(**changes):
    return {
        "name": "the team",
        "shop": "",
        "is_enabled": "on",
        "kinds": ["attention", "sold_out"],
        "language": "en",
        "every_minutes": "0",
        "per_hour": "20",
        "quiet_from": "",
        "quiet_until": "",
        **changes,
    }


def telegram(services, **changes):
    return form(address=services.url, secret=TOKEN, chat_id="-1001", **changes)


def test_it_is_chosen_what_sends_and_then_entered(services):
    the_shop()
    boss = logged_in(make_boss())
    assert "driver=wecom" in boss.get(f"{PAGE}add/").content.decode()
    page = boss.get(f"{PAGE}add/?driver=telegram").content.decode()
    assert "https://api.telegram.org" in page

    assert re.search(r'<select name="shop"[^>]*>\s*<option value="" selected', page)  # all there is

    boss.post(f"{PAGE}add/?driver=telegram", telegram(services))

    destination = Destination.objects.get()
    assert (destination.secret, destination.options) == (TOKEN, {"chat_id": "-1001"})
    shown = boss.get(f"{PAGE}{destination.pk}/change/").content.decode()
    assert TOKEN not in shown
    history = boss.get(f"{PAGE}{destination.pk}/history/").content.decode()
    assert TOKEN not in history


def test_an_empty_credential_keeps_what_is_stored_unless_messages_go_elsewhere(services):
    boss = logged_in(make_boss())
    destination = make_destination("telegram", services)
    change = f"{PAGE}{destination.pk}/change/"

    boss.post(change, telegram(services) | {"secret": "", "name": "others"})
    destination.refresh_from_db()
    assert (destination.name, destination.secret) == ("others", TOKEN)

    page = boss.post(change, telegram(services) | {"secret": "", "address": "https://elsewhere.example"})
    assert "Enter it again" in page.content.decode()
    destination.refresh_from_db()
    assert destination.address == services.url


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "https://127.0.0.1/"},
        {"address": "http://example.org/"},
        {"address": "https://me:pass@example.org/"},
        {"chat_id": "a b"},
        {"kinds": []},
        {"kinds": ["nonsense"]},
        {"quiet_from": "10:00"},
        {"per_hour": "0"},
        {"secret": ""},
    ],
)
def test_what_cannot_be_is_refused(services, settings, wrong):
    settings.ALERTS_PRIVATE_ADDRESSES = False
    boss = logged_in(make_boss())
    entered = telegram(services) | {"address": "https://api.telegram.org"} | wrong
    answer = boss.post(f"{PAGE}add/?driver=telegram", entered)
    assert answer.status_code == 200
    assert not Destination.objects.exists()


def test_mail_wants_addresses(services):
    boss = logged_in(make_boss())
    for recipients, count in {"nobody": 0, "": 0, "a@example.org, b@example.org": 1}.items():
        boss.post(f"{PAGE}add/?driver=mail", form(recipients=recipients))
        assert Destination.objects.count() == count


def test_a_test_says_how_it_went(services):
    boss = logged_in(make_boss())
    well = make_destination("bark", services)
    page = boss.post(f"{PAGE}{well.pk}/test/", follow=True).content.decode()
    assert "It was taken" in page
    assert len(services.heard) == 1

    wrong = make_destination("bark", services, secret="CANARY")
    page = boss.post(f"{PAGE}{wrong.pk}/test/", follow=True).content.decode()
    assert "It was not taken: HTTP 200: failed to get device token" in page
    assert "CANARY" not in page
    assert DEVICE not in page


def test_a_test_is_for_who_may_change_it_and_by_post(services):
    destination = make_destination("bark", services)
    viewer = logged_in(make_clerk("alerts.view_destination"))
    assert viewer.post(f"{PAGE}{destination.pk}/test/").status_code == 403
    assert "/test/" not in viewer.get(f"{PAGE}{destination.pk}/change/").content.decode()
    assert logged_in(make_boss()).get(f"{PAGE}{destination.pk}/test/").status_code == 405
    assert services.heard == []


def test_the_lists_can_be_looked_at(services):
    boss = logged_in(make_boss())
    make_destination("mail")
    for page in (PAGE, "/admin/alerts/alert/", "/admin/alerts/message/"):
        assert boss.get(page).status_code == 200
