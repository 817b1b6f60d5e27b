"""The merchant's pages of webhooks and of what was sent to them."""

import re

import pytest
from django.contrib.admin.models import LogEntry

from cardshop.common.clock import db_now
from resellers.models import EventKind, WebhookDelivery, WebhookEndpoint
from resellers.tests.calling import make_reseller
from resellers.tests.receiving import make_webhook, tell
from resellers.webhooks.sending import send_due
from tests.factories import make_shop, the_shop
from tests.staff import confirmed, logged_in, make_boss, make_member

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "/admin/resellers/webhookendpoint/add/"
LOG = "/admin/resellers/webhookdelivery/"


def form(url: str, **fields: object) -> dict[str, object]:
    return {"shop": the_shop().pk, "url": url, "kinds": EventKind.values, **fields}


def test_a_webhook_is_made_hears_and_its_log_tells_what_was_sent(receiver):
    boss = confirmed(make_boss())
    the_shop()

    page = boss.post(NEW, form(receiver.url))

    assert "no-store" in page["Cache-Control"]
    shown = dict(re.findall(r'id="key-(name|secret)">([^<]+)<', page.content.decode()))
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.name, endpoint.reseller) == (shown["name"], None)
    assert shown["secret"] not in str(list(LogEntry.objects.values()))
    receiver.status, receiver.says = 503, "<b>not now</b>"
    tell(endpoint, "C1")
    send_due(clock=db_now)
    assert receiver.has_signed(shown["secret"])
    delivery = WebhookDelivery.objects.get()
    log = boss.get(f"{LOG}{delivery.pk}/change/").content.decode()
    assert "&lt;b&gt;not now&lt;/b&gt;" in log
    assert "&quot;order.paid&quot;" in log
    assert shown["secret"] not in log


def test_one_delivery_or_several_are_sent_again(receiver):
    boss, (endpoint, _secret) = logged_in(make_boss()), make_webhook(receiver.url)
    tell(endpoint, "C1", "C2", "C3")
    send_due(clock=db_now)
    ids = list(WebhookDelivery.objects.order_by("pk").values_list("pk", flat=True))

    boss.post(f"{LOG}{ids[0]}/replay/")
    boss.post(LOG, {"action": "replay_selected", "_selected_action": ids[1:]})
    send_due(clock=db_now)

    assert len(receiver.heard) == 6


def test_a_webhook_is_resumed_and_removed(receiver):
    boss, (endpoint, _secret) = logged_in(make_boss()), make_webhook(receiver.url)
    WebhookEndpoint.objects.update(paused_at=db_now(), paused_because="it failed")
    page = f"/admin/resellers/webhookendpoint/{endpoint.pk}/"
    assert "resume-form" in boss.get(f"{page}change/").content.decode()

    boss.post(f"{page}resume/")
    assert WebhookEndpoint.objects.get().paused_at is None
    boss.post(f"{page}remove/")
    assert not WebhookEndpoint.objects.get().is_active
    assert "remove-form" not in boss.get(f"{page}change/").content.decode()


def test_to_make_one_takes_a_fresh_code_and_a_right():
    reseller = make_reseller()

    assert logged_in(make_boss()).get(NEW).status_code == 302
    assert (
        confirmed(make_member(reseller.shop, "support")).post(NEW, form("https://a.example/")).status_code
        == 403
    )
    stranger = confirmed(make_member(make_shop("other"), "owner"))
    for typed in (form("https://a.example/"), form("https://a.example/", reseller=reseller.pk)):
        assert stranger.post(NEW, typed).status_code == 200
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"url": "http://example.org/"}, "begin with https://"),
        ({"url": "https://192.168.1.1/"}, "private network"),
        ({"kinds": ["everything"]}, "everything is not one of the available choices"),
    ],
)
def test_what_cannot_be_is_refused(fields, complaint):
    boss = confirmed(make_boss())
    the_shop()

    page = boss.post(NEW, form("https://example.org/") | fields)

    assert complaint in page.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_a_reseller_of_another_shop_is_refused():
    boss, shop = confirmed(make_boss()), the_shop()
    stranger = make_reseller(shop=make_shop("elsewhere"))

    page = boss.post(NEW, form("https://example.org/", shop=shop.pk, reseller=stranger.pk))

    assert "buys from another shop" in page.content.decode()
    assert not WebhookEndpoint.objects.exists()
