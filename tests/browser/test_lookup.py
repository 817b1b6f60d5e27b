"""Finding an order again, as a person does it: what the browser remembers, by number, by the mail's link."""

import json
import re
import time
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.test_first_sale import DELIVERY, Shopper
from tests.stack import RunningShop

PHONE, DESKTOP = 390, 1280
MAILED_WITHIN = 30.0  # seconds


def window(browser: Browser, width: int, **options: object) -> BrowserContext:
    return browser.new_context(
        viewport={"width": width, "height": 844}, is_mobile=width < 600, has_touch=width < 600, **options
    )


@pytest.fixture(scope="module")
def opened(shop: RunningShop, browser: Browser, tmp_path_factory) -> Iterator[Shopper]:
    """A buyer who has a key, in the browser that bought it."""
    with window(browser, PHONE) as context:
        shopper = Shopper(context.new_page(), tmp_path_factory.mktemp("pictures"))
        shopper.place_order(f"{shop.url}/en/")
        shopper.pay()
        expect(shopper.page.locator("[data-key]").first).to_be_visible(timeout=DELIVERY)
        yield shopper


@pytest.fixture
def elsewhere(browser: Browser) -> Iterator[Page]:
    """Another device, where nobody has bought anything."""
    with window(browser, DESKTOP) as context:
        yield context.new_page()


def number_of(page: Page) -> str:
    return page.locator(".order-number .mono").inner_text()


def test_the_number_and_the_email_lead_to_the_order(shop: RunningShop, opened: Shopper, elsewhere: Page):
    elsewhere.goto(f"{shop.url}/en/")
    elsewhere.locator("header").get_by_role("link", name="My orders").click()
    elsewhere.locator("#number").fill(number_of(opened.page).lower())
    elsewhere.locator("#number-email").fill("lin@example.org")

    elsewhere.get_by_role("button", name="Open the order").click()

    expect(elsewhere).to_have_url(opened.page.url)
    expect(elsewhere.locator("[data-key]").first).to_be_visible()


def test_the_links_of_a_mail_lead_to_the_orders(shop: RunningShop, opened: Shopper, elsewhere: Page):
    elsewhere.goto(f"{shop.url}/en/orders/")
    elsewhere.locator("#mail-email").fill("LIN@example.org")
    elsewhere.get_by_role("button", name="Mail me the links").click()
    expect(elsewhere.get_by_text("Please look into your mailbox.")).to_be_visible()

    elsewhere.goto(shop.url + mailed_link(shop, number_of(opened.page)))

    expect(elsewhere).to_have_url(opened.page.url)


def mailed_link(shop: RunningShop, number: str) -> str:
    deadline = time.monotonic() + MAILED_WITHIN
    while time.monotonic() < deadline:
        for file in Path(shop.var, "mail").iterdir():
            text = message_from_bytes(file.read_bytes()).get_payload(decode=True).decode()
            if found := re.search(rf"/en/orders/mail/\S+/{number}/", text):
                return found[0]
        time.sleep(0.1)
    raise AssertionError("no mail has come")


def test_the_keys_come_as_a_file(opened: Shopper):
    with opened.page.expect_download() as download:
        opened.page.get_by_role("link", name="Save as TXT").click()

    assert download.value.suggested_filename == f"{number_of(opened.page)}.txt"
    keys = [key.inner_text() for key in opened.page.locator("[data-key]").all()]
    assert download.value.path().read_text("utf-8-sig").splitlines()[4:] == keys


def test_the_browser_remembers_what_was_opened_until_it_is_to_forget(shop: RunningShop, opened: Shopper):
    page, order, number = opened.page.context.new_page(), opened.page.url, number_of(opened.page)
    page.goto(f"{shop.url}/orders/")
    row = page.locator("#my-orders li", has_text=number)
    row.get_by_role("link").click()
    expect(page).to_have_url(order.replace("/en/", "/"))  # as the page that led there, in Chinese

    page.goto(f"{shop.url}/en/orders/")
    row.get_by_role("button", name="Forget").click()
    expect(row).to_have_count(0)

    # Opening it does not bring it back; only saying so does.
    page.goto(order)
    page.get_by_role("button", name="Remember it in this browser").click()
    page.goto(f"{shop.url}/en/orders/")
    expect(row).to_be_visible()

    page.get_by_label("Remember the orders that I open here").uncheck()
    page.goto(order)
    expect(page.get_by_text("This browser does not remember it.")).to_be_visible()
    page.goto(f"{shop.url}/en/orders/")
    expect(row).to_have_count(0)
    page.get_by_label("Remember the orders that I open here").check()
    page.goto(order)
    expect(page.get_by_text("This browser remembers it")).to_be_visible()
    page.close()
    assert opened.complaints == []


def test_nothing_of_what_is_remembered_is_sent(shop: RunningShop, opened: Shopper):
    page, number = opened.page.context.new_page(), number_of(opened.page)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.headers} {request.post_data}"))

    page.goto(f"{shop.url}/en/orders/")

    expect(page.locator("#my-orders li", has_text=number)).to_be_visible()
    assert len(sent) > 2  # the page, its style and its scripts
    assert not any(
        secret in request for request in sent for secret in (number, opened.page.url.split("/")[-2])
    )
    page.close()


def test_what_another_wrote_into_the_browsers_memory_leads_nowhere(shop: RunningShop, browser: Browser):
    """A script of an old version, an extension, a person at the console."""
    evil = {"token": "javascript:alert(1)//x", "number": "2" * 11, "name": "x", "placed": "2026-01-01T"}
    rubbish = [
        json.dumps({"orders": [evil]}),
        '{"orders": [null, 1, {"token": {}}], "forgotten": 5}',
        '{"orders": {"length": 3}}',
        "[]",
        "not JSON",
    ]
    with window(browser, PHONE) as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{shop.url}/en/orders/")
        for text in rubbish:
            page.evaluate("text => localStorage.setItem('orders', text)", text)
            page.reload()
            expect(page.get_by_text("None yet.")).to_be_visible()
    assert complaints == []


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures(
    shop: RunningShop, opened: Shopper, browser: Browser, pictures: Path, width: int, scheme: str
):
    memory = opened.page.context.storage_state()
    with window(browser, width, color_scheme=scheme, storage_state=memory) as context:
        shopper = Shopper(context.new_page(), pictures)
        for lang in ("", "/en"):
            shopper.page.goto(f"{shop.url}{lang}/orders/")
            expect(shopper.page.locator("#my-orders li")).not_to_have_count(0)
            shopper.look(f"lookup{lang.replace('/', '-')}")
        shopper.page.goto(opened.page.url.replace("/en/", "/"))
        shopper.page.locator(".password summary").click()
        shopper.look("order")
        shopper.page.goto(f"{shop.url}/orders/?mailed")
        shopper.look("mailed")
        assert shopper.complaints == []
        shopper.page.locator("#number").fill(number_of(opened.page))
        shopper.page.locator("#number-email").fill("wrong@example.org")
        shopper.page.locator("#by-number button[type=submit]").click()
        expect(shopper.page.get_by_role("alert")).to_be_visible()
        shopper.look("refused")


def test_without_script_the_forms_work_and_the_list_is_not_there(
    shop: RunningShop, opened: Shopper, browser: Browser
):
    with window(browser, PHONE, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{shop.url}/en/orders/")
        expect(page.locator("#my-orders")).to_be_hidden()
        page.locator("#number").fill(number_of(opened.page))
        page.locator("#number-email").fill("lin@example.org")
        page.get_by_role("button", name="Open the order").click()

        expect(page).to_have_url(opened.page.url)
        expect(page.locator("#kept")).to_be_hidden()
