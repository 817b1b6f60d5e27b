"""Paying by a code that is scanned, where the provider has no page of its own."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.test_first_sale import DELIVERY, WORDS, Shopper
from tests.stack import RunningShop


@pytest.fixture
def _codes(shop: RunningShop) -> Iterator[None]:
    httpx.post(f"{shop.sandbox_url}/_sandbox/knobs", json={"answer": "qrcode"}).raise_for_status()
    with shop.channel_off("wechat"):
        yield
    httpx.post(f"{shop.sandbox_url}/_sandbox/reset").raise_for_status()


@pytest.mark.usefixtures("_codes")
@pytest.mark.parametrize(("lang", "width"), [("", 390), ("/en", 1280)], ids=["zh-phone", "en-desktop"])
def test_the_page_shows_a_code_and_then_the_keys_by_itself(
    shop: RunningShop, browser: Browser, pictures: Path, lang: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844})
    shopper = Shopper(context.new_page(), pictures)
    shopper.place_order(f"{shop.url}{lang}/")

    shopper.page.locator("button[value=wxpay]").click()

    code = shopper.page.locator("img.scan-code")
    expect(code).to_be_visible()
    assert code.evaluate("image => image.naturalWidth") > 100
    shopper.look("5-code")
    newest = httpx.get(f"{shop.sandbox_url}/_sandbox/ledger").json()[-1]["trade_no"]
    assert re.search(rf"/pay/{newest}", shopper.page.content())
    httpx.post(f"{shop.sandbox_url}/_sandbox/trades/{newest}/pay", json={}).raise_for_status()
    expect(shopper.page.get_by_text(WORDS[lang]["sold"]).first).to_be_visible(timeout=DELIVERY)
    assert shopper.complaints == []
    context.close()
