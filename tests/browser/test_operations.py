"""The merchant looks at how everything is right now: figures and rates that move by themselves."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.test_sale_live import SET_UP, SOON, log_in
from tests.stack import RunningShop


@pytest.mark.parametrize(("width", "locale"), [(390, "zh-CN"), (1280, "en-US")], ids=["phone", "desktop"])
def test_the_page_says_how_it_is_and_follows(
    shop: RunningShop, browser: Browser, pictures: Path, width, locale
):
    assert shop.manage("shell", "-c", SET_UP).returncode == 0
    context = browser.new_context(viewport={"width": width, "height": 844}, locale=locale)
    page, complaints = context.new_page(), []
    page.on("response", lambda r: r.status >= 400 and complaints.append(f"{r.status} {r.url}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    log_in(page, shop, f"{shop.url}/admin/operations/")
    with httpx.Client() as visitor:
        for _ in range(20):
            visitor.get(f"{shop.url}/")

    expect(page.locator("[data-pool=web] .live-value")).to_have_text(
        re.compile(r"^[1-9]|0\.[1-9]"), timeout=SOON
    )
    expect(page.get_by_text("answering" if width == 1280 else "正常应答")).to_have_count(2)
    expect(page.locator("[data-pool=web] .live-note")).to_contain_text("ms" if width == 1280 else "毫秒")
    page.wait_for_timeout(3000)  # so that the pictures have an allocator at work
    page.screenshot(path=pictures / "operations.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert [said for said in complaints if not said.endswith("/favicon.ico")] == []
    context.close()


def test_prometheus_reads_what_all_processes_of_the_shop_count(shop: RunningShop):
    assert httpx.get(f"{shop.hot_url}/readyz").status_code == 200
    by_web, by_hot = (httpx.get(f"{url}/metrics").text for url in (shop.url, shop.hot_url))

    for text in (by_web, by_hot):
        assert 'cardshop_http_requests_total{method="GET",part="page",pool="hot",route="readyz"' in text
        assert 'pool="web"' in text
        assert 'cardshop_tasks_total{outcome="success",task="outbox.sweep"}' in text
        assert 'cardshop_up{part="postgresql"} 1.0' in text
