"""From the catalogue to the copied key, as a person does it: in a browser, against the running whole."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.stack import RunningShop

WORDS = {
    "": {"html": "zh-Hans", "sold": "卡密"},
    "/en": {"html": "en", "sold": "Your keys are here"},
}
DELIVERY = 60_000
# One channel of the demo takes it, so it is known which provider's page opens.
BANK = "button[value=bank]"


class Shopper:
    """One person with one browser window. Remembers whatever went wrong on the way."""

    def __init__(self, page: Page, pictures: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._pictures = pictures
        page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", lambda r: r.status >= 400 and self.complaints.append(f"{r.status} {r.url}"))

    def look(self, name: str) -> None:
        """Take a picture; nothing may stick out sideways."""
        self.page.screenshot(path=self._pictures / f"{name}.png", full_page=True)
        sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(sideways) <= 0, f"{name} scrolls sideways"

    def place_order(self, url: str) -> None:
        self.page.goto(url)
        self.look("1-catalogue")
        self.page.locator('a[href*="/p/"]').first.click()
        self.look("2-product")
        self.page.locator('a[href*="/buy/"]').first.click()
        self.page.locator("input[name=contact_email]").fill("lin@example.org")
        self.look("3-buy")
        self.page.locator("form[action*='/buy/'] button[type=submit]").click()
        expect(self.page).to_have_url(re.compile(r"/o/[\w-]{22}/$"))
        self.look("4-order")

    def pay(self) -> None:
        self.page.locator(BANK).click()
        expect(self.page).to_have_url(re.compile(r"/pay/\d+"))
        self.page.locator("button[value=pay]").click()
        expect(self.page).to_have_url(re.compile(r"/o/[\w-]{22}/$"))


@pytest.fixture
def shopper(browser: Browser, pictures: Path, request: pytest.FixtureRequest):
    width, with_javascript = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        java_script_enabled=with_javascript,
        is_mobile=width < 600,
        has_touch=width < 600,
    )
    if with_javascript:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield Shopper(context.new_page(), pictures)
    context.close()


# Without JavaScript a page waits ten seconds before it looks again: once in each language and size will do.
@pytest.mark.parametrize(
    ("lang", "shopper"),
    [
        ("", (390, True)),
        ("", (1280, True)),
        ("", (390, False)),
        ("/en", (390, True)),
        ("/en", (1280, True)),
        ("/en", (1280, False)),
    ],
    ids=["zh-phone", "zh-desktop", "zh-phone-no-js", "en-phone", "en-desktop", "en-desktop-no-js"],
    indirect=["shopper"],
)
def test_from_catalogue_to_key(shop: RunningShop, shopper: Shopper, lang: str, request):
    with_javascript = "no-js" not in request.node.name
    shopper.place_order(f"{shop.url}{lang}/")
    shopper.pay()

    # With JavaScript the page notices by itself; without, it refreshes itself.
    key = shopper.page.locator("[data-key]").first
    expect(key).to_be_visible(timeout=DELIVERY)

    shopper.look("5-keys")
    assert re.fullmatch(r"\S{8,}", key.inner_text())
    assert shopper.page.locator("html").get_attribute("lang") == WORDS[lang]["html"]
    assert WORDS[lang]["sold"] in shopper.page.locator("h1").inner_text()
    if with_javascript:
        shopper.page.locator("[data-copy]").first.click()
        assert shopper.page.evaluate("navigator.clipboard.readText()") == key.inner_text()
    assert shopper.complaints == []


@pytest.mark.parametrize("shopper", [(390, False)], ids=["phone-no-js"], indirect=True)
def test_a_buyer_can_cancel_and_correct_the_address_without_javascript(shop: RunningShop, shopper: Shopper):
    shopper.place_order(f"{shop.url}/en/")

    shopper.page.get_by_role("link", name="Correct it").click()
    shopper.page.locator("input[name=contact_email]").fill("right@example.org")
    shopper.page.get_by_role("button", name="Save").click()
    expect(shopper.page.get_by_text("right@example.org")).to_be_visible()
    shopper.page.get_by_text("Cancel this order").click()
    shopper.page.get_by_role("button", name="Yes, cancel it").click()

    expect(shopper.page.get_by_role("heading", name="Order cancelled")).to_be_visible()
    shopper.look("cancelled")
    assert shopper.complaints == []


@pytest.mark.parametrize("shopper", [(390, True)], ids=["phone"], indirect=True)
def test_the_open_page_notices_what_happens_elsewhere(shop: RunningShop, shopper: Shopper):
    """The buyer pays in another app; the page that was left open shows the keys by itself."""
    shopper.place_order(f"{shop.url}/en/")
    link = shopper.page.url
    elsewhere = shopper.page.context.new_page()
    elsewhere.goto(link)
    elsewhere.locator(BANK).click()
    elsewhere.locator("button[value=pay]").click()
    elsewhere.close()

    expect(shopper.page.locator("[data-key]").first).to_be_visible(timeout=DELIVERY)
    assert shopper.complaints == []


@pytest.mark.parametrize("shopper", [(390, True)], ids=["phone"], indirect=True)
def test_declining_at_the_provider_keeps_the_hold(shop: RunningShop, shopper: Shopper):
    shopper.place_order(f"{shop.url}/en/")
    shopper.page.locator(BANK).click()

    shopper.page.locator("button[value=decline]").click()

    expect(shopper.page).to_have_url(re.compile(r"/o/[\w-]{22}/$"))
    expect(shopper.page.locator("button[name=method]").first).to_be_visible()
    assert shopper.complaints == []


@pytest.mark.parametrize("shopper", [(1280, True)], ids=["desktop"], indirect=True)
def test_the_documentation_of_the_api_can_be_browsed(shop: RunningShop, shopper: Shopper):
    shopper.page.goto(f"{shop.url}/api/docs/")

    expect(shopper.page.locator(".opblock").first).to_be_visible()
    shopper.look("api")
    assert shopper.page.context.cookies() == []
    assert shopper.complaints == []
