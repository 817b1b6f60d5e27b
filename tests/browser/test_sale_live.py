"""The merchant watches a sale: figures and charts that move by themselves, and the buttons beside them."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.stack import RunningShop

PASSWORD = "correct-horse-battery"
SET_UP = f"""
from django.contrib.auth.models import User
from inventory.models import Variant
from orders.admission.sales import ensure_sale, resume_sale
User.objects.filter(username="watcher").delete()
User.objects.create_superuser("watcher", "watcher@example.org", "{PASSWORD}")
variant = Variant.objects.get(code="liuli-crystals-1980")
Variant.objects.filter(pk=variant.pk).update(selling="queued")
sale = ensure_sale(variant)
resume_sale(sale)
print("SALE", sale.pk, variant.code)
"""
SOON = 20_000


@pytest.fixture
def sale(shop: RunningShop) -> tuple[str, str]:
    """The address of its live page, and the variant's code."""
    said = shop.manage("shell", "-c", SET_UP)
    found = re.search(r"SALE (\d+) (\S+)", said.stdout)
    assert found, said.stderr
    return f"{shop.url}/admin/orders/sale/{found[1]}/live/", found[2]


def log_in(page: Page, shop: RunningShop, address: str) -> None:
    page.goto(address)
    page.locator("input[name=username]").fill("watcher")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button[type=submit]").click()
    expect(page).to_have_url(address)


def click_buy(shop: RunningShop, code: str, number: int) -> httpx.Response:
    minted = httpx.post(f"{shop.url}/api/v1/passes/", json={"variant": code}).json()
    wanted = {"variant": code, "quantity": 1, "contact_email": f"b{number}@example.org"}
    return httpx.post(f"{shop.url}/api/v1/tickets/", json={**wanted, **minted})


def figure(page: Page, key: str):
    return page.locator(f'[data-figure="{key}"] .live-value')


@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desktop"])
def test_the_page_follows_the_sale_by_itself(
    shop: RunningShop, browser: Browser, sale, pictures: Path, width
):
    address, code = sale
    context = browser.new_context(viewport={"width": width, "height": 844}, locale="en-US")
    page, complaints = context.new_page(), []
    page.on("response", lambda r: r.status >= 400 and complaints.append(f"{r.status} {r.url}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    log_in(page, shop, address)
    expect(figure(page, "rate")).to_have_text("at work", timeout=SOON)
    before = int(figure(page, "arrivals").inner_text())

    assert [click_buy(shop, code, width + at).status_code for at in range(3)] == [202] * 3

    expect(figure(page, "arrivals")).to_have_text(str(before + 3), timeout=SOON)
    expect(page.locator("#chart-units path.held")).to_be_visible(timeout=SOON)
    page.screenshot(path=pictures / "live.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    expect(page.locator("#live-state")).to_have_text("paused")
    page.wait_for_timeout(2000)  # the gate learns it within a second
    assert click_buy(shop, code, width + 10).json()["code"] == "paused"

    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    # Browsers ask for one where a page names none, as the login does not.
    assert [said for said in complaints if not said.endswith("/favicon.ico")] == []
    context.close()


def test_a_server_that_does_not_answer_is_said_and_forgotten_again(shop: RunningShop, browser: Browser, sale):
    page = browser.new_context(locale="en-US").new_page()
    log_in(page, shop, sale[0])
    page.route("**/numbers/", lambda route: route.abort())
    expect(page.get_by_text("No answer.")).to_be_visible(timeout=SOON)

    page.unroute("**/numbers/")

    expect(page.get_by_text("No answer.")).to_be_hidden(timeout=SOON)
    page.context.close()


def test_without_script_the_page_shows_the_figures_and_reloads(shop: RunningShop, browser: Browser, sale):
    context = browser.new_context(locale="en-US")
    log_in(context.new_page(), shop, sale[0])
    plain = browser.new_context(
        locale="en-US", java_script_enabled=False, storage_state=context.storage_state()
    )
    page = plain.new_page()

    page.goto(sale[0])

    assert page.locator('meta[http-equiv="refresh"]').count() == 1
    assert figure(page, "sold").inner_text().isdigit()
    assert page.locator("form[action$='/pause/']").count() == 1
    for used in (context, plain):
        used.close()
