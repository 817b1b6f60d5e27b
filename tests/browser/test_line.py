"""A rush as one buyer sees it: the line, the wait, registering, in a browser against the running whole."""

import json
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.stack import RunningShop

ORDER = re.compile(r"/o/[\w-]{22}/$")
LINE = re.compile(r"/line/[\w-]+/[0-9a-f]{64}/$")
SOON = 60_000
WORDS = {
    "": {"wait": "候补排队中", "registered": "登记成功"},
    "/en": {"wait": "Waiting", "registered": "registered"},
}

MAKE = """
from datetime import timedelta
import secrets
from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from inventory.imports import import_keys
from inventory.models import Product, Stock, Variant
from orders.models import Sale
shop, now = Shop.objects.first(), db_now()
names = {{"shop": shop, "position": 999}}
product = Product.objects.create(slug={code!r}, name="门票", name_en="Ticket", is_listed=True, **names)
variant = Variant.objects.create(product=product, code={code!r}, name="一张", name_en="One", price_minor=100,
    **names)
Stock.objects.create(shop=shop, variant=variant)
import_keys(variant=variant, lines=[secrets.token_hex(8) for _ in range({keys})], imported_by="t", now=now)
Sale.objects.create(shop=shop, variant=variant, line_cap=9, hold_seconds={hold}, proof_of_work={proof!r},
    registration_opens_at=now - timedelta(hours=1) if {opens_in} else None,
    opens_at=now + timedelta(seconds={opens_in}) if {opens_in} else None)
Variant.objects.filter(pk=variant.pk).update(selling="queued")
"""


def put_on_sale(
    shop: RunningShop, *, keys: int = 1, hold: int = 300, opens_in: int = 0, proof: str = "pressed"
) -> str:
    """A variant that sells through the line, whose gate is open; its code."""
    code = f"rush-{secrets.token_hex(4)}"
    terms = {"keys": keys, "hold": hold, "opens_in": opens_in, "proof": proof}
    made = shop.manage("shell", "-c", MAKE.format(code=code, **terms))
    assert made.returncode == 0, made.stderr
    until = time.monotonic() + SOON / 1000
    with httpx.Client(base_url=shop.url, timeout=20) as client:
        while client.get(f"/api/v1/tickets/{code}/{'0' * 64}/").status_code == 503:
            assert time.monotonic() < until, "no allocator has opened the gate"
            time.sleep(0.2)
    return code


def take_one(shop: RunningShop, code: str) -> dict[str, object]:
    """Somebody else clicks, and holds what there is. Returns the ticket."""
    with httpx.Client(base_url=shop.url, timeout=20) as client:
        given = client.post("/api/v1/passes/", json={"variant": code}).json()
        body = {"variant": code, "quantity": 1, "contact_email": "first@example.org", **given}
        for _ in range(100):
            answer = client.post("/api/v1/tickets/", json=body)
            if answer.status_code == 202 and answer.json()["status"] == "held":
                return answer.json()
            time.sleep(0.2)
    raise AssertionError(answer.text)


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, with_javascript = getattr(request, "param", (390, True))
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        java_script_enabled=with_javascript,
        is_mobile=width < 600,
    )
    fresh = context.new_page()
    errors: list[str] = []
    fresh.on("pageerror", lambda error: errors.append(str(error)))
    yield fresh
    context.close()
    assert errors == []


def press(page: Page, shop: RunningShop, code: str, lang: str = "") -> None:
    page.goto(f"{shop.url}{lang}/buy/{code}/")
    page.locator("input[name=contact_email]").fill("lin@example.org")
    page.locator("form[action*='/buy/'] button[type=submit]").click()


def look(page: Page, pictures: Path, name: str) -> None:
    page.screenshot(path=pictures / f"{name}.png", full_page=True)
    sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(sideways) <= 0


def state(page: Page, name: str):
    return page.locator(f'[data-state="{name}"]')


@pytest.mark.parametrize(
    ("lang", "page"),
    [("", (390, True)), ("/en", (1280, True)), ("/en", (390, False))],
    ids=["zh-phone", "en-desktop", "en-no-js"],
    indirect=["page"],
)
def test_through_the_line_to_the_order(shop: RunningShop, page: Page, lang: str, pictures: Path):
    press(page, shop, put_on_sale(shop, keys=3), lang)

    expect(page).to_have_url(ORDER, timeout=SOON)
    assert f"{lang}/o/" in page.url
    look(page, pictures, "order")


def test_the_waiting_page_survives_reload_and_a_lost_network(shop: RunningShop, page: Page, pictures: Path):
    """And what the holder does not pay for is the order of whoever waits."""
    lang, code = "", put_on_sale(shop, keys=1, hold=25)
    take_one(shop, code)
    press(page, shop, code, lang)
    expect(page).to_have_url(LINE)
    expect(state(page, "waiting")).to_be_visible(timeout=SOON)
    assert WORDS[lang]["wait"] in page.title()
    look(page, pictures, "waiting")

    page.reload()
    expect(state(page, "waiting")).to_be_visible()
    assert state(page, "waiting").locator("[data-place]").inner_text() == "1"

    page.context.set_offline(True)
    expect(page.locator("#unreachable")).to_be_visible(timeout=SOON)
    expect(state(page, "waiting")).to_be_visible()
    look(page, pictures, "offline")
    page.context.set_offline(False)

    expect(page).to_have_url(ORDER, timeout=2 * SOON)


@pytest.mark.parametrize("page", [(390, False)], indirect=True)
def test_waiting_and_leaving_without_script(shop: RunningShop, page: Page, pictures: Path):
    code = put_on_sale(shop, keys=1)
    take_one(shop, code)
    press(page, shop, code, "/en")
    expect(state(page, "waiting")).to_be_visible(timeout=SOON)

    page.get_by_role("button", name="Leave the line").click()

    expect(page.get_by_role("heading", name="You have left")).to_be_visible()
    look(page, pictures, "left")


@pytest.mark.parametrize("lang", [""], ids=["zh"])
def test_from_registration_through_the_opening(shop: RunningShop, page: Page, lang: str, pictures: Path):
    """The page that was left open goes on by itself: nobody has to press anything at the opening."""
    code = put_on_sale(shop, keys=1, opens_in=25)
    press(page, shop, code, lang)
    expect(page).to_have_url(LINE)
    expect(state(page, "registered")).to_be_visible()
    assert WORDS[lang]["registered"] in page.title()
    look(page, pictures, "registered")
    kept = page.evaluate("Object.values(sessionStorage)")
    assert [json.loads(click)["pass"][:3] for click in kept] == ["v2."]

    expect(page).to_have_url(ORDER, timeout=2 * SOON)


def test_a_click_before_the_opening_is_sent_again_and_orders_once(
    shop: RunningShop, page: Page, pictures: Path
):
    code = put_on_sale(shop, keys=1, opens_in=20)
    closed = f"from orders.models import Sale; Sale.objects.filter(variant__code={code!r})"
    assert shop.manage("shell", "-c", f"{closed}.update(registration_opens_at=None)").returncode == 0
    press(page, shop, code, "/en")
    expect(page.locator("#trying")).to_be_visible(timeout=10_000)
    look(page, pictures, "trying")

    expect(page).to_have_url(ORDER, timeout=2 * SOON)


def test_a_shop_that_is_away_for_a_moment_is_tried_again(shop: RunningShop, page: Page):
    tries: list[str] = []

    def away_twice(route):
        tries.append(route.request.post_data)
        if len(tries) <= 2:
            route.fulfill(
                status=503, headers={"Retry-After": "1"}, json={"code": "unavailable", "message": "Away."}
            )
        else:
            route.continue_()

    page.route("**/api/v1/tickets/", away_twice)
    press(page, shop, put_on_sale(shop, keys=1), "/en")

    expect(page.get_by_text("Away.")).to_be_visible()
    expect(page).to_have_url(ORDER, timeout=SOON)
    assert len(tries) == 3
    assert len(set(tries)) == 1


def test_a_ticket_that_was_forgotten_is_sent_again_from_the_tab(shop: RunningShop, page: Page):
    code = put_on_sale(shop, keys=1)
    take_one(shop, code)
    forgotten, clicks = [], []

    def forget_once(route):
        if forgotten:
            return route.continue_()
        forgotten.append(True)
        return route.fulfill(status=404, json={"code": "unknown_ticket", "message": "", "fields": {}})

    page.route(re.compile(r"/api/v1/tickets/.+"), forget_once)
    page.on("request", lambda sent: sent.url.endswith("/api/v1/tickets/") and clicks.append(sent.post_data))
    press(page, shop, code, "/en")
    expect(page).to_have_url(LINE)
    deadline = time.monotonic() + SOON / 1000
    while len(clicks) < 2 and time.monotonic() < deadline:
        page.wait_for_timeout(200)

    assert forgotten == [True]
    assert len(clicks) == 2
    assert clicks[0] == clicks[1]
    expect(state(page, "waiting")).to_be_visible(timeout=SOON)


def test_a_refusal_names_its_reason(shop: RunningShop, page: Page, pictures: Path):
    code = put_on_sale(shop, keys=1)

    def refused(route):
        said = {"ticket": "x", "status": "refused", "ahead": 0, "expected_wait": 0, "order": None}
        route.fulfill(json={**said, "reason": "limit_reached"})

    page.route(re.compile(r"/api/v1/tickets/.+"), refused)
    take_one(shop, code)
    press(page, shop, code, "/en")

    expect(page.get_by_text("as many of this as one buyer may have")).to_be_visible(timeout=SOON)
    look(page, pictures, "refused")


@pytest.mark.parametrize(("opens_in", "leads_to"), [(0, ORDER), (3600, LINE)], ids=["buying", "registering"])
def test_the_page_does_the_work_that_is_asked_of_it(
    shop: RunningShop, page: Page, opens_in: int, leads_to: re.Pattern[str]
):
    code = put_on_sale(shop, keys=1, proof="always", opens_in=opens_in)
    answers: list[int] = []
    page.on("response", lambda said: said.url.endswith("/api/v1/tickets/") and answers.append(said.status))

    press(page, shop, code, "/en")

    expect(page).to_have_url(leads_to, timeout=SOON)
    assert answers == [428, 202]


def test_who_comes_back_is_shown_the_way_to_the_place_in_line(shop: RunningShop, page: Page, pictures: Path):
    code = put_on_sale(shop, keys=1)
    take_one(shop, code)
    press(page, shop, code, "/en")
    expect(state(page, "waiting")).to_be_visible(timeout=SOON)
    place = page.url

    page.goto(f"{shop.url}/en/buy/{code}/")
    look(page, pictures, "in-line")
    page.get_by_role("link", name="You have a place in this line already.").click()
    expect(page).to_have_url(place)
    page.get_by_role("button", name="Leave the line").click()
    expect(page.get_by_role("heading", name="You have left")).to_be_visible()

    page.goto(f"{shop.url}/en/buy/{code}/")
    expect(page.locator("form[data-join]")).to_be_visible()
    expect(page.locator("#in-line")).to_be_hidden()


def refuse_once(page: Page, code: str, message: str) -> None:
    """The next click is refused by the short way; those after it are not."""
    page.route(
        "**/api/v1/tickets/",
        lambda route: route.fulfill(status=409, json={"code": code, "message": message, "fields": {}}),
        times=1,
    )


def test_a_clear_no_is_shown_in_its_place_and_the_form_stays(shop: RunningShop, page: Page, pictures: Path):
    forms: list[str] = []
    page.on("request", lambda sent: sent.method == "POST" and "/buy/" in sent.url and forms.append(sent.url))
    refuse_once(page, "line_full", "Everything is taken.")
    press(page, shop, put_on_sale(shop, keys=1), "/en")

    expect(page.get_by_role("alert")).to_have_text("Everything is taken.")
    expect(page.locator("input[name=contact_email]")).to_have_value("lin@example.org")
    look(page, pictures, "refused-in-place")
    page.locator("form[data-join] button[type=submit]").click()

    expect(page).to_have_url(ORDER, timeout=SOON)
    assert forms == []


def test_what_the_whole_page_answers_better_is_left_to_it(shop: RunningShop, page: Page):
    refuse_once(page, "idempotency_conflict", "Already an order.")

    with page.expect_request(lambda sent: sent.method == "POST" and "/buy/" in sent.url):
        press(page, shop, put_on_sale(shop, keys=1), "/en")
