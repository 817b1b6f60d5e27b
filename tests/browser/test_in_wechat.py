"""Paying inside WeChat, whose bridge is played by the browser, and from a phone outside of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.test_first_sale import DELIVERY, WORDS, Shopper
from tests.stack import RunningShop
from tests.web import wait_for

PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36"
# What WeChat puts into the page. It answers as `said` says, and remembers what it was handed.
BRIDGE = """
window.handed = [];
window.WeixinJSBridge = {
  invoke(name, call, answer) {
    window.handed.push({ name, call });
    const said = JSON.parse(sessionStorage.getItem("said") ?? '"cancel"');
    if (said) setTimeout(() => answer({ err_msg: `get_brand_wcpay_request:${said}` }), 50);
  },
};
"""


@pytest.fixture(autouse=True)
def _only_wechat_itself(shop: RunningShop) -> Iterator[None]:
    """Of the two channels that take WeChat payments, the platform's is off."""
    with shop.channel_off("wxpay"):
        yield


@pytest.fixture
def phone(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, user_agent=request.param
    )
    yield context
    context.close()


@pytest.mark.parametrize("phone", [f"{PHONE} MicroMessenger/8.0.50"], indirect=True, ids=["wechat"])
@pytest.mark.parametrize("lang", ["", "/en"], ids=["zh", "en"])
def test_wechat_opens_by_itself_and_the_keys_come(
    shop: RunningShop, phone: BrowserContext, pictures: Path, lang: str
) -> None:
    phone.add_init_script(BRIDGE)
    shopper = Shopper(phone.new_page(), pictures)
    page = shopper.page
    shopper.place_order(f"{shop.url}{lang}/")
    shopper.look("5-ways")

    page.locator("button[value=wxpay]").click()

    expect(page.locator("#in-app")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/o/[\w-]{22}/#in-app$"))
    wait_for(lambda: page.evaluate("window.handed.length") == 1)  # cancelled: nothing to complain of
    expect(page.locator("#in-app [role=alert]")).to_be_hidden()
    page.evaluate("sessionStorage.setItem('said', JSON.stringify('fail'))")
    page.locator("#in-app button").click()
    expect(page.locator("#in-app [role=alert]")).to_be_visible()
    shopper.look("6-failed")

    handed = page.evaluate("window.handed.at(-1)")
    assert handed["name"] == "getBrandWCPayRequest"
    assert handed["call"]["signType"] == "RSA"
    trade = handed["call"]["package"].removeprefix("prepay_id=wx")
    page.evaluate("sessionStorage.setItem('said', JSON.stringify('ok'))")
    httpx.post(f"{shop.sandbox_url}/_sandbox/trades/{trade}/pay", json={}).raise_for_status()
    page.locator("#in-app button").click(no_wait_after=True)

    expect(page.get_by_text(WORDS[lang]["sold"]).first).to_be_visible(timeout=DELIVERY)
    assert shopper.complaints == []


@pytest.mark.parametrize("phone", [PHONE], indirect=True, ids=["outside"])
def test_a_phone_is_let_through_to_wechat_since_it_says_whose_page_it_left(
    shop: RunningShop, phone: BrowserContext, pictures: Path
) -> None:
    shopper = Shopper(phone.new_page(), pictures)
    shopper.place_order(f"{shop.url}/")
    order = shopper.page.url
    seen: list[str] = []
    shopper.page.on(
        "request", lambda sent: "checkmweb" in sent.url and seen.append(sent.all_headers().get("referer", ""))
    )

    shopper.page.locator("button[value=wxpay]").click()

    expect(shopper.page).to_have_url(re.compile(r"/pay/\d+"))
    assert set(seen) == {f"{shop.url}/"}
    shopper.page.locator("button[value=pay]").click()
    shopper.page.goto(order)
    expect(shopper.page.get_by_text(WORDS[""]["sold"]).first).to_be_visible(timeout=DELIVERY)
    assert shopper.complaints == []
