"""The buyer's pages of a sale: before the opening, in line, and after it, without a line of script."""

import re
from datetime import timedelta

import pytest
import redis
from django.test import Client
from django.utils.timezone import localtime

from cardshop.common.clock import db_now
from cardshop.traffic.passes import read_pass
from orders.admission.gate import Gate
from orders.models import Order, Registration, Sale, Ticket
from tests.factories import make_shop, make_variant
from tests.lines import click, make_sale, open_line, settle_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]

NOBODY = "0" * 64


@pytest.fixture
def client():
    """Bugs of ours come back as they would to a buyer, as a 500, instead of raising here."""
    return Client(raise_request_exception=False)


def make_coins(keys=5, **terms):
    sale = make_sale(keys=keys, code="coins")
    Sale.objects.filter(pk=sale.pk).update(**terms)
    return Sale.objects.get(pk=sale.pk)


def press(client, page="/buy/coins/", **changes):
    """Open the form and send it as it came, with a contact."""
    html = client.get(page).content.decode()
    fields = dict(re.findall(r'<input[^>]* name="(\w+)"[^>]* value="([^"]*)"', html))
    return client.post(page, {**fields, "quantity": "1", "contact_email": "lin@example.org", **changes})


def shown(response):
    """The standing that the page shows."""
    html = response.content.decode()
    (name,) = re.findall(r'<section class="[^"]*" data-state="(\w+)">', html)
    return name


def refresh(response):
    found = re.search(r'http-equiv="refresh" content="(\d+);url=([^"]*)"', response.content.decode())
    return (int(found[1]), found[2]) if found else None


@pytest.mark.parametrize("lang", ["", "/en"])
def test_from_the_form_through_the_line_to_the_order(client, lang):
    allocator = open_line(make_coins())

    answer = press(client, f"{lang}/buy/coins/")
    page = answer["Location"]
    queued = client.get(page)
    settle_all(allocator)
    held = client.get(page)

    assert answer.status_code == 303
    assert re.fullmatch(rf"{lang}/line/coins/[0-9a-f]{{64}}/", page)
    assert (queued.status_code, shown(queued)) == (200, "queued")
    assert refresh(queued) == (int(queued["Retry-After"]), page)
    assert "no-store" in queued["Cache-Control"]
    assert not queued.cookies
    assert (held.status_code, held["Location"]) == (303, f"{lang}/o/{Order.objects.get().token}/")


def test_where_there_is_no_line_the_form_leads_to_the_order(client):
    make_variant(keys=1, code="coins")

    assert press(client)["Location"] == f"/o/{Order.objects.get().token}/"


def test_who_waits_sees_the_place_and_may_leave(client):
    sale = make_coins(keys=1, line_cap=9)
    allocator = open_line(sale)
    for _ in range(3):
        click(sale.variant)
    settle_all(allocator)

    page = press(client, "/en/buy/coins/")["Location"]
    settle_all(allocator)
    waiting = client.get(page)
    left = client.post(f"{page}leave/")

    html = waiting.content.decode()
    assert shown(waiting) == "waiting"
    assert re.search(r"data-place>(\d+)<", html)[1] == str(Ticket.objects.count())
    assert f'action="{page}leave/"' in html
    assert (left.status_code, shown(left)) == (200, "left")
    assert shown(client.get(page)) == "left"
    assert refresh(left) is None


def test_leaving_by_link_leaves_nothing(client):
    sale = make_coins(keys=1)
    allocator = open_line(sale)
    ticket_id = [click(sale.variant), click(sale.variant)][1]
    settle_all(allocator)

    answer = client.get(f"/line/coins/{ticket_id}/leave/")

    assert answer["Location"] == f"/line/coins/{ticket_id}/"
    assert Ticket.objects.get(ticket_id=ticket_id).status == "waiting"


def test_another_site_cannot_make_anybody_leave(client):
    make_coins()

    answer = client.post(f"/line/coins/{NOBODY}/leave/", headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "reason", ["sold_out", "out_of_stock", "line_full", "limit_reached", "too_many_unpaid", "new_one"]
)
def test_each_reason_for_a_refusal_has_its_sentence(client, reason):
    sale = make_coins()
    Ticket.objects.create(
        shop=sale.shop,
        variant=sale.variant,
        ticket_id=NOBODY,
        buyer_key="b",
        contact_email="lin@example.org",
        language="en",
        quantity=1,
        place=1,
        status="refused",
        reason=reason,
        settled_at=db_now(),
    )
    page = client.get(f"/en/line/coins/{NOBODY}/")

    visible = re.findall(r'<p data-reason="(\w+)">', page.content.decode())
    assert shown(page) == "refused"
    assert visible == ["other" if reason == "new_one" else reason]


def test_an_unknown_ticket_is_a_page_with_the_way_back(client):
    open_line(make_coins())

    page = client.get(f"/en/line/coins/{NOBODY}/")

    assert (page.status_code, shown(page)) == (404, "unknown")
    assert 'href="/en/buy/coins/"' in page.content.decode()


@pytest.mark.parametrize(
    "path",
    [
        "/line/nobody/" + NOBODY + "/",
        "/line/coins/x/",
        "/line/coins/" + "A" * 64 + "/",
        "/line/coins/" + "0" * 63 + "/",
        "/line/coins/" + "x" * 3000 + "/",
        "/line/coins/%00/",
        "/en/line/coins/..%2f" + NOBODY + "/",
    ],
)
def test_what_cannot_be_a_ticket_is_a_404(client, path):
    open_line(make_coins())

    for address in (path, f"{path}leave/"):
        assert client.get(address).status_code == 404
    assert client.post(f"{path}leave/").status_code == 404


def test_a_ticket_is_known_under_its_own_variant_and_shop_only(client):
    sale = make_coins()
    allocator = open_line(sale)
    ticket_id = click(sale.variant)
    settle_all(allocator)
    open_line(make_sale(keys=1, code="other"))
    make_shop("elsewhere")

    here, there = {"Host": "demo.localhost"}, {"Host": "elsewhere.localhost"}
    assert client.get(f"/line/coins/{ticket_id}/", headers=here).status_code == 303
    assert client.get(f"/line/other/{ticket_id}/", headers=here).status_code == 404
    assert client.get(f"/line/coins/{ticket_id}/", headers=there).status_code == 404
    assert client.post(f"/line/coins/{ticket_id}/leave/", headers=there).status_code == 404


def test_while_redis_is_away_the_page_says_so_and_comes_again(client, monkeypatch):
    make_coins()

    def away(*_):
        raise redis.ConnectionError

    monkeypatch.setattr(Gate, "look", away)
    page = client.get(f"/line/coins/{NOBODY}/")

    assert (page.status_code, shown(page)) == (503, "unavailable")
    assert refresh(page) == (int(page["Retry-After"]), f"/line/coins/{NOBODY}/")


# ---- before the opening, paused, over


def test_before_registration_both_pages_count_down(client):
    now = db_now()
    sale = make_coins(opens_at=now + timedelta(hours=2), registration_opens_at=now + timedelta(hours=1))
    open_line(sale)

    product, form = (client.get(f"/en{path}").content.decode() for path in ("/p/coins/", "/buy/coins/"))

    assert f'data-opens-at="{int(sale.opens_at.timestamp())}"' in product
    assert 7100 < int(re.search(r'data-seconds-left="(\d+)"', form)[1]) <= 7200
    assert "You can register from" in product
    assert "You can register from" in form
    assert "<form" in form


def test_long_before_anything_opens_there_is_no_form_to_grow_old(client):
    now = db_now()
    open_line(make_coins(opens_at=now + timedelta(days=2), registration_opens_at=now + timedelta(minutes=90)))

    form = client.get("/en/buy/coins/").content.decode()

    assert "You can register from" in form
    assert "<form" not in form


def test_a_press_before_the_opening_is_answered_with_the_form_and_when_to_press_again(client):
    open_line(make_coins(opens_at=db_now() + timedelta(seconds=30)))

    answer = press(client, "/en/buy/coins/")

    assert answer.status_code == 409
    assert 1 <= int(answer["Retry-After"]) <= 31
    assert 'value="lin@example.org"' in answer.content.decode()
    assert not Order.objects.exists()


def test_registering_leads_to_the_line_page_which_counts_down(client):
    now = db_now()
    opens_at = now + timedelta(minutes=5)
    open_line(make_coins(opens_at=opens_at, registration_opens_at=now - timedelta(minutes=1)))

    answer = press(client, "/en/buy/coins/", quantity="2")
    page = client.get(answer["Location"])

    assert answer.status_code == 303
    assert Registration.objects.get().quantity == 2
    assert shown(page) == "registered"
    assert refresh(page)[0] == 20
    assert 290 < int(re.search(r'data-seconds-left="(\d+)"', page.content.decode())[1]) <= 300


def test_who_registers_is_told_who_goes_first_and_that_nobody_is_written_to_then(client):
    now = db_now()
    open_line(
        make_coins(opens_at=now + timedelta(minutes=5), registration_opens_at=now - timedelta(minutes=1))
    )

    form, product = (client.get(f"/en{path}").content.decode() for path in ("/buy/coins/", "/p/coins/"))
    line = client.get(press(client, "/en/buy/coins/")["Location"]).content.decode()

    assert "first those whose page is open then, after them those who are away" in form
    assert "first those whose page is open then, after them those who are away" in line
    assert "whose page is open then goes first" in product
    assert "no mail is sent at the opening" in line


def test_the_button_to_withdraw_goes_at_the_opening(client):
    now = db_now()
    sale = make_coins(opens_at=now + timedelta(minutes=5), registration_opens_at=now - timedelta(minutes=1))
    open_line(sale)
    page = press(client)["Location"]
    offered = r'<div data-before-opening>\s*<form method="post" action="[^"]*leave/"'

    before = client.get(page).content.decode()
    Sale.objects.update(opens_at=now)
    after = client.get(page).content.decode()

    assert re.search(offered, before)
    assert not re.search(offered, after)


def test_a_registration_is_withdrawn_by_its_page(client):
    now = db_now()
    open_line(
        make_coins(opens_at=now + timedelta(minutes=5), registration_opens_at=now - timedelta(minutes=1))
    )
    page = press(client)["Location"]

    answer = client.post(f"{page}leave/")

    assert shown(answer) == "left"
    assert not Registration.objects.exists()


def test_the_api_answers_a_registration_with_a_bound_pass_and_short_patience(client):
    now = db_now()
    opens_at = now + timedelta(days=2)
    open_line(make_coins(opens_at=opens_at, registration_opens_at=now - timedelta(minutes=1)))
    given = client.post("/api/v1/passes/", {"variant": "coins"}, content_type="application/json").json()
    body = {"variant": "coins", "quantity": 1, "contact_email": "lin@example.org", **given}

    answer = client.post("/api/v1/tickets/", body, content_type="application/json")
    look = client.get(answer["Location"])

    said = answer.json()
    bound = read_pass(said["pass"], variant_code="coins", now=opens_at)
    assert (answer.status_code, said["status"], answer["Retry-After"]) == (202, "registered", "20")
    assert bound.buyer_id == read_pass(given["pass"], variant_code="coins", now=now).buyer_id
    assert (look.status_code, look.json()["status"], look["Retry-After"]) == (200, "registered", "20")
    assert "pass" not in look.json()
    transferred = {**body, "pass": said["pass"], "contact_email": "mallory@example.org"}
    refused = client.post("/api/v1/tickets/", transferred, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "bad_pass")


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"is_paused": True}, "paused for a moment"),
        ({"closes_at": timedelta(hours=-1)}, "The sale has ended"),
    ],
)
def test_a_sale_that_is_paused_or_has_ended_says_so(client, terms, words):
    now = db_now()
    moments = {name: now + value if isinstance(value, timedelta) else value for name, value in terms.items()}
    make_coins(**moments)

    form = client.get("/en/buy/coins/").content.decode()
    product = client.get("/en/p/coins/").content.decode()

    assert words in form
    assert ("<form" in form) == ("is_paused" in terms)
    assert ("Paused for a moment" if "is_paused" in terms else "Ended") in product


def badge(client):
    found = re.search(r'<span class="badge">([^<]*)</span>', client.get("/en/").content.decode())
    return found and found[1]


def test_the_card_of_a_sale_to_come_says_when(client):
    opens_at = db_now() + timedelta(days=2)
    make_coins(keys=0, opens_at=opens_at)

    assert badge(client) == f"Opens {localtime(opens_at):%m-%d %H:%M}"


def test_a_card_says_sold_out_only_when_nothing_will_come_any_more(client):
    sale = make_coins(keys=1)
    assert badge(client) is None

    allocator = open_line(sale)
    click(sale.variant)
    settle_all(allocator)
    assert badge(client) == "All taken; there is a line"
    Sale.objects.update(line_cap=0)
    assert badge(client) == "All taken, the line is full"
    Order.objects.get().items.get().reservations.update(status="sold")
    assert badge(client) == "Sold out"


def test_with_everything_held_the_form_offers_the_line_and_with_everything_paid_nothing(client):
    sale = make_coins(keys=1)
    allocator = open_line(sale)
    click(sale.variant)
    settle_all(allocator)

    assert "Join the line" in client.get("/en/buy/coins/").content.decode()
    Sale.objects.update(line_cap=0)
    full = client.get("/en/buy/coins/").content.decode()
    assert "the line for what comes back is full" in full
    assert "<form" not in full
    Order.objects.get().items.get().reservations.update(status="sold")
    over = client.get("/en/buy/coins/").content.decode()

    assert "everything has been paid for" in over
    assert "<form" not in over
