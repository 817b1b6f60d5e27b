"""Finding an order again: who may is led to it, and nobody else learns whether it is there."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cardshop.common.clock import db_now
from cardshop.common.ids import new_order_number
from cardshop.outbox.models import OutboxMessage
from cardshop.traffic import buckets
from orders.lookup import passwords
from orders.lookup.errors import LookupBusy
from orders.lookup.links import VALID_FOR, make_link
from orders.lookup.mailing import MOST_ORDERS, RECENT, mail_links
from orders.lookup.passwords import set_password
from orders.models import LookupRequest, Order
from orders.services.contact import correct_contact
from orders.tasks import mail_lookup
from tests.factories import make_order, make_shop, make_variant, pay_order
from tests.test_hostile_input import EMAILS

pytestmark = pytest.mark.django_db

PASSWORD = "seven blue herons"
CHANGING = {"X-Request-Id", "Expires"}  # headers that are others for each answer, whatever it says


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    cache.clear()
    for key in buckets._connect().scan_iter("bucket:lookup-*"):
        buckets._connect().delete(key)


@pytest.fixture
def client() -> Client:
    """Bugs of ours come back as they would to a buyer, as a 500, instead of raising here."""
    return Client(raise_request_exception=False)


@pytest.fixture
def order() -> Order:
    return make_order(make_variant(keys=2))


def by_number(client: Client, number: str, lang: str = "", **fields: str):
    return client.post(f"{lang}/orders/", {"number": number, **fields})


def by_mail(client: Client, contact_email: str, lang: str = "", **extra: object):
    return client.post(f"{lang}/orders/mail/", {"contact_email": contact_email}, **extra)


def links() -> list[str]:
    """Of the last mail, without the shop's address."""
    return re.findall(r"^http://[^/]+(/\S+)$", mail.outbox[-1].body, re.MULTILINE)


# ---- By number


@pytest.mark.parametrize("lang", ["", "/en"])
def test_number_and_email_open_the_order(client, order, lang):
    typed = f" {order.number[:4].lower()}-{order.number[4:]} "

    response = by_number(client, typed, lang, contact_email=order.contact_email.upper())

    assert (response.status_code, response["Location"]) == (303, f"{lang}/o/{order.token}/")


def test_number_and_password_open_the_order(client, order):
    assert by_number(client, order.number, password=PASSWORD).status_code == 404
    set_password(order, PASSWORD, now=db_now())

    response = by_number(client, order.number, password=PASSWORD, contact_email="another@example.org")

    assert response["Location"] == f"/o/{order.token}/"


def test_a_new_password_takes_the_place_of_the_old_one(client, order):
    set_password(order, PASSWORD, now=db_now())
    set_password(order, "seven red herons １２３", now=db_now())

    assert by_number(client, order.number, password=PASSWORD).status_code == 404
    assert by_number(client, order.number, password="seven red herons 123").status_code == 303
    assert [event.reason for event in order.events.all()][1:] == ["look-up password set"] * 2


def test_a_corrected_contact_opens_it_and_the_wrong_one_does_not(client, order):
    wrong = order.contact_email
    correct_contact(order, contact_email="right@example.org", now=db_now())

    assert by_number(client, order.number, contact_email="right@example.org").status_code == 303
    assert by_number(client, order.number, contact_email=wrong).status_code == 404


@pytest.mark.parametrize("number", ["", "1", "ABCDEFGHJKM", "Ａ" * 11, "x" * 5000, "\0", "'; --", "🔑"])
def test_what_is_no_number_is_refused_where_it_was_typed(client, order, number):
    response = by_number(client, number, contact_email=order.contact_email)

    assert response.status_code == 400
    assert b'id="number-error"' in response.content


def test_a_number_alone_opens_nothing(client, order):
    assert by_number(client, order.number).status_code == 400
    assert by_number(client, order.number, contact_email="", password="").status_code == 400


# ---- By mail


def ask(client: Client, contact_email: str, lang: str = "") -> None:
    assert by_mail(client, contact_email, lang).status_code == 303
    mail_lookup()


@pytest.mark.parametrize(("lang", "says"), [("", "您在 星河卡铺 的订单"), ("/en", "Your orders at Star")])
def test_one_mail_has_links_to_all_orders_of_the_address(client, order, lang, says):
    variant = order.items.get().variant
    second = make_order(variant, contact_email=order.contact_email.upper())
    make_order(make_variant(keys=1))

    ask(client, order.contact_email, lang)

    (message,) = mail.outbox
    assert message.subject.startswith(says)
    assert {client.get(link)["Location"] for link in links()} == {
        f"{lang}/o/{order.token}/",
        f"{lang}/o/{second.token}/",
    }
    assert order.token not in message.body
    assert not LookupRequest.objects.exists()


def test_a_link_is_good_more_than_once_until_it_is_over(client, order, monkeypatch):
    ask(client, order.contact_email)
    (link,) = links()

    assert [client.get(link).status_code for _ in range(3)] == [302] * 3
    then = db_now() + VALID_FOR
    monkeypatch.setattr("orders.lookup.views.db_now", lambda: then)
    assert client.get(link).status_code == 410


def test_an_altered_link_leads_nowhere_and_neither_does_one_for_another_order(client, order):
    ask(client, order.contact_email)
    (link,) = links()
    expires, mac = link.split("/")[3].split("-")
    others = make_order(make_variant(keys=1))

    for altered in (
        link.replace(order.number, others.number),
        link.replace(order.number, new_order_number()),
        link.replace(expires, str(int(expires) + 1)),
        link.replace(mac, mac[::-1]),
        link.replace(f"{expires}-{mac}", "x"),
    ):
        response = client.get(altered)
        assert response.status_code == 410
        assert b'action="/orders/mail/' in response.content  # where to ask for another


def test_correcting_the_contact_takes_the_links_from_whoever_had_the_wrong_one(client, order):
    ask(client, order.contact_email)
    (link,) = links()

    correct_contact(order, contact_email="right@example.org", now=db_now())

    assert client.get(link).status_code == 410


def test_an_address_that_only_looks_alike_to_the_database_gets_nothing(client):
    make_order(make_variant(keys=1), contact_email="lin@tiktok.example")
    lookalike = "lin@tıktok.example"  # without the dot
    alike = Order.objects.filter(contact_email__iexact=lookalike).count()

    ask(client, lookalike)

    assert mail.outbox == []
    assert alike == 1  # otherwise nothing was tried


def test_what_was_paid_comes_first_and_what_is_long_ago_not_at_all(client, settings):
    settings.UNPAID_HOLDS_PER_BUYER = 2 * MOST_ORDERS
    variant = make_variant(keys=MOST_ORDERS + 5)
    paid, *later = (make_order(variant, contact_email="lin@example.org") for _ in range(MOST_ORDERS + 2))
    pay_order(paid)
    Order.objects.filter(pk=paid.pk).update(placed_at=db_now() - RECENT + timedelta(hours=1))
    Order.objects.filter(pk=later[0].pk).update(placed_at=db_now() - RECENT - timedelta(hours=1))

    ask(client, "lin@example.org")

    found = links()
    assert len(found) == MOST_ORDERS
    assert found[0].endswith(f"/{paid.number}/")
    assert not any(link.endswith(f"/{later[0].number}/") for link in found)


def test_a_request_waits_for_a_mail_server_that_is_away(client, order, server):
    server.says[order.contact_email] = error = ConnectionRefusedError()
    by_mail(client, order.contact_email)
    asked = LookupRequest.objects.get()

    assert mail_links([asked.pk], db_now()) == {asked.pk: error}
    assert LookupRequest.objects.exists()
    server.says.clear()

    assert mail_links([asked.pk], db_now()) == {}
    assert mail_links([asked.pk], db_now()) == {}  # as after a crash between the mail and its record
    assert len(mail.outbox) == 1


# ---- The same for known and unknown


def told(client: Client, ask_for, *typed: str) -> tuple[object, ...]:
    """All that an answer says, with what was typed taken out, and how many queries it took."""
    with CaptureQueriesContext(connection) as queries:
        response = ask_for(client)
    body = response.content.decode()
    for text in typed:
        body = body.replace(text, "…")
    headers = {name: value for name, value in response.items() if name not in CHANGING}
    return response.status_code, headers, body, dict(response.cookies), len(queries)


@pytest.mark.parametrize("lang", ["", "/en"])
@pytest.mark.parametrize("proof", [{"contact_email": "wrong@example.org"}, {"password": "wrong herons"}])
@pytest.mark.parametrize("has_password", [True, False])
def test_a_number_that_is_known_is_answered_like_one_that_is_not(client, order, lang, proof, has_password):
    if has_password:
        set_password(order, PASSWORD, now=db_now())
    unknown = new_order_number()

    known_answer = told(client, lambda client: by_number(client, order.number, lang, **proof), order.number)
    unknown_answer = told(client, lambda client: by_number(client, unknown, lang, **proof), unknown)

    assert known_answer == unknown_answer
    assert known_answer[0] == 404


def test_an_address_that_is_known_is_answered_like_one_that_is_not(client, order):
    known, unknown = (
        told(client, lambda client, email=email: by_mail(client, email))
        for email in (order.contact_email, "nobody@example.org")
    )

    assert known == unknown
    assert known[0] == 303
    assert OutboxMessage.objects.filter(task="orders.mail_lookup").count() == 2
    mail_lookup()
    assert [message.to for message in mail.outbox] == [[order.contact_email]]
    assert OutboxMessage.objects.filter(task="orders.mail_lookup", done_at=None).count() == 0


def test_a_link_to_a_known_number_is_refused_like_one_to_an_unknown_one(client, order):
    link = make_link(shop_id=order.shop_id, contact_email="wrong@example.org", now=db_now())
    unknown = new_order_number()

    known_answer, unknown_answer = (
        told(client, lambda client, number=number: client.get(f"/orders/mail/{link}/{number}/"), number)
        for number in (order.number, unknown)
    )

    assert known_answer == unknown_answer


def test_another_shop_finds_nothing(client, order):
    make_shop("other")
    there = {"headers": {"Host": "other.localhost"}}

    found = client.post("/orders/", {"number": order.number, "contact_email": order.contact_email}, **there)
    assert found.status_code == 404
    by_mail(client, order.contact_email, **there)
    mail_lookup()
    assert mail.outbox == []
    link = make_link(shop_id=order.shop_id, contact_email=order.contact_email, now=db_now())
    assert client.get(f"/orders/mail/{link}/{order.number}/", **there).status_code == 410
    here = {"headers": {"Host": order.shop.host}}
    assert client.get(f"/orders/mail/{link}/{order.number}/", **here).status_code == 302


# ---- Too often


@pytest.mark.parametrize(
    ("lang", "says"), [("", "已多次请求向该邮箱发送邮件"), ("/en", "Mails were asked for this address")]
)
def test_one_address_is_not_mailed_at_known_or_not(client, order, lang, says):
    for email in (order.contact_email, f"nobody-{order.token}@example.org"):
        for _ in range(2):
            assert by_mail(client, email).status_code == 303

        refused = by_mail(client, email.upper(), lang)

        assert refused.status_code == 429
        assert 3500 < int(refused["Retry-After"]) <= 3600
        assert says in refused.content.decode()
    assert LookupRequest.objects.count() == 4


@pytest.mark.parametrize(("lang", "says"), [("", "尝试次数过多"), ("/en", "That was tried too often")])
def test_one_number_is_not_guessed_at_even_with_what_is_right(client, order, lang, says):
    for _ in range(10):
        assert by_number(client, order.number, contact_email="wrong@example.org").status_code == 404

    refused = by_number(client, order.number, lang, contact_email=order.contact_email)

    assert refused.status_code == 429
    assert 300 < int(refused["Retry-After"]) <= 360
    assert says in refused.content.decode()


def test_one_network_address_does_not_try_one_number_after_the_other(client, order, settings):
    settings.LOOKUPS_PER_ADDRESS = "3/h"
    for _ in range(3):
        by_number(client, new_order_number(), contact_email="wrong@example.org")

    assert by_number(client, new_order_number(), contact_email="wrong@example.org").status_code == 429
    assert by_mail(client, order.contact_email).status_code == 429


def test_with_nobody_to_count_nobody_looks_up(client, order, settings, monkeypatch):
    settings.ADMISSION_REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(buckets, "_here", buckets.local())

    assert by_number(client, order.number, contact_email=order.contact_email).status_code == 503
    assert by_mail(client, order.contact_email).status_code == 503
    assert not LookupRequest.objects.exists()


def test_one_password_at_a_time_is_hashed(client, order, monkeypatch):
    monkeypatch.setattr(passwords, "_PATIENCE", 0.01)

    with passwords._hashing:
        assert by_number(client, order.number, password=PASSWORD).status_code == LookupBusy.http_status
        assert by_number(client, order.number, contact_email=order.contact_email).status_code == 303


# ---- Bad input


@pytest.mark.parametrize("email", [*EMAILS, "🔑@example.org", "lin@example.org,all@example.org"])
def test_no_address_that_mail_could_not_reach(client, order, email):
    page = by_mail(client, email)

    assert page.status_code == 400
    assert b'id="mail-error"' in page.content
    assert by_number(client, order.number, contact_email=email).status_code == 400
    assert not LookupRequest.objects.exists()


def test_an_address_in_punycode_is_one_like_any_other(client):
    order = make_order(make_variant(keys=1), contact_email="lin@xn--exmple-cua.org")

    ask(client, "lin@xn--exmple-cua.org")

    assert [message.to for message in mail.outbox] == [[order.contact_email]]


@pytest.mark.parametrize("path", ["/orders/", "/en/orders/mail/"])
def test_a_foreign_field_ten_megabytes_other_methods_and_other_sites_are_refused(client, order, path):
    body = {"number": order.number, "contact_email": order.contact_email}

    assert client.post(path, {**body, "next": "//evil.example"}).status_code == 400
    assert client.post(path, {**body, "contact_email": "x" * 10_000_000}).status_code == 413
    assert client.post(path, body, headers={"Origin": "https://evil.example"}).status_code == 403
    assert {client.put(path).status_code, client.delete(path).status_code} == {405}
    assert not LookupRequest.objects.exists()


def test_the_query_string_leads_nobody_away(client, order):
    body = {"number": order.number, "contact_email": order.contact_email}
    link = make_link(shop_id=order.shop_id, contact_email=order.contact_email, now=db_now())

    found = client.post("/orders/?next=//evil.example", body)
    redeemed = client.get(f"/orders/mail/{link}/{order.number}/?next=//evil.example")

    assert found["Location"] == redeemed["Location"] == f"/o/{order.token}/"


def test_the_pages_are_kept_by_nobody_and_tell_other_sites_nothing(client, order):
    link = make_link(shop_id=order.shop_id, contact_email=order.contact_email, now=db_now())

    for response in (
        client.get("/orders/"),
        client.get(f"/orders/mail/{link}/{order.number}/"),
        by_number(client, order.number, contact_email=order.contact_email),
    ):
        assert "no-store" in response["Cache-Control"]
        assert response["Referrer-Policy"] == "same-origin"
        assert not response.cookies


def test_what_was_typed_still_stands_there_but_for_the_password(client, order):
    page = by_number(client, order.number, contact_email="wrong@example.org", password=PASSWORD)

    assert f'value="{order.number}"' in page.content.decode()
    assert 'value="wrong@example.org"' in page.content.decode()
    assert PASSWORD not in page.content.decode()
