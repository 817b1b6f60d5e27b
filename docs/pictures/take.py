"""`make pictures`: a fresh installation, through the first steps to a first sale, as merchant and as buyer;
then some daily work, and the eve of a rush.

Everything is real: the shop with its workers, the sandbox as provider, a browser. What it looks like on the
way is kept beside this file, and the program fails where anything does not work, or any page complains.
"""

import re
import secrets
import shutil
import sys
import tempfile
from contextlib import suppress
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from PIL import Image
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Response,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.stack import RunningShop

FOLDER = Path(__file__).parent
COLOURS = 96
SOON = 60_000  # milliseconds
PASSWORD = secrets.token_urlsafe(16)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDE, NARROW = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
# The sandbox has no icon; browsers ask for one all the same.
UNIMPORTANT = "favicon.ico"


class Person:
    """Somebody with a browser window, who notices when a page complains."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("response", self._check)

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.complaints.append(f"{said.text} {said.location.get('url', '')}")

    def _check(self, answer: Response) -> None:
        if answer.status >= 400:
            self.complaints.append(f"{answer.status} {answer.url}")

    def look(self, name: str) -> None:
        """Keep a picture, with few colours; nothing may stick out sideways."""
        self.page.evaluate("scrollTo(0, 0)")
        whole = Image.open(BytesIO(self.page.screenshot(full_page=True))).convert("RGB")
        whole.quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)
        sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(sideways) <= 0, f"{name} scrolls sideways"

    def send(self, step: str) -> None:
        """The form or button of that step."""
        self.page.locator(f"form:has(input[name=step][value={step}]) button[type=submit]").first.click()

    def sees_done(self, step: str) -> None:
        expect(self.page.locator(f"[data-step={step}][data-done]")).to_be_visible()


def set_up(merchant: Person, shop: RunningShop) -> None:
    page, steps = merchant.page, f"{shop.url}/admin/first-steps/"
    said = shop.manage("setup", "--host", "127.0.0.1", "--email", "boss@example.org")
    assert said.returncode == 0, said.stderr

    page.goto(said.stdout.strip().splitlines()[-1])
    page.locator("input[name=new_password1]").fill(PASSWORD)
    page.locator("input[name=new_password2]").fill(PASSWORD)
    page.locator("button[type=submit]").click()
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button[type=submit]").click()
    page.locator(".first-steps a").click()
    expect(page).to_have_url(steps)
    merchant.look("1-first-steps")

    page.locator("input[name=name]").fill("星河卡铺")
    page.locator("input[name=contact_email]").fill("support@example.org")
    merchant.send("shop")
    merchant.sees_done("shop")
    merchant.send("mail")
    merchant.send("mail_arrived")
    merchant.sees_done("mail")
    merchant.send("sandbox")
    merchant.sees_done("channel")
    merchant.send("try")
    page.locator("[data-step=product] input[name=name]").fill("星币充值")
    page.locator("input[name=variant]").fill("100 枚")
    page.locator("input[name=price]").fill("9.90")
    merchant.look("2-under-way")
    merchant.send("product")
    merchant.sees_done("product")

    page.locator("[data-step=keys] a").click()
    page.locator("textarea[name=keys]").fill("\n".join(f"STAR-{secrets.token_hex(6)}" for _ in range(20)))
    page.locator("input[name=unit_cost]").fill("6.50")
    merchant.look("3-keys")
    page.locator("#import-keys-form button[type=submit]").click()
    expect(page).to_have_url(re.compile(r"/admin/inventory/keybatch/\d+/change/"))
    expect_done(page, steps)
    merchant.sees_done("keys")
    merchant.look("4-ready")


def expect_done(page: Page, steps: str) -> None:
    """A worker imports them; the batch's page looks by itself, and may be just about to be read anew."""
    for _ in range(60):
        with suppress(Error):
            page.goto(steps)
            if page.locator("[data-step=keys][data-done]").count():
                return
        page.wait_for_timeout(500)


def buy(buyer: Person, link: str) -> None:
    page = buyer.page
    page.goto(link)
    buyer.look("5-product")
    page.locator('a[href*="/buy/"]').first.click()
    page.locator("input[name=contact_email]").fill("lin@example.com")
    buyer.look("6-order")
    page.locator("form[action*='/buy/'] button[type=submit]").click()
    expect(page).to_have_url(re.compile(r"/o/[\w-]{22}/$"))
    buyer.look("7-pay")
    page.locator("button[value=bank]").click()
    page.locator("button[value=pay]").click()
    expect(page.locator("[data-key]").first).to_be_visible(timeout=SOON)
    buyer.look("8-key")


def see_it(merchant: Person, shop: RunningShop) -> None:
    """The first page, once the workers have counted the day, also on a phone."""
    page = merchant.page
    for _ in range(100):
        page.goto(f"{shop.url}/admin/")
        if page.locator(".live-table").count() >= 4:
            break
        page.wait_for_timeout(2000)
    expect(page.locator(".first-steps")).to_have_count(0)  # all is done
    expect(page.get_by_text("¥9.90").first).to_be_visible()
    expect(page.get_by_text("¥3.40").first).to_be_visible()  # profit
    merchant.look("9-today")
    page.set_viewport_size(NARROW)
    page.goto(f"{shop.url}/admin/")
    merchant.look("9-today-phone")


def work_a_day(merchant: Person, shop: RunningShop) -> None:
    """A refund that a second person has to approve, and a batch whose keys are bad."""
    page = merchant.page
    page.set_viewport_size(WIDE)
    # On its page the box takes a one-time code, which this merchant has no telephone for.
    ticked = "from cardshop.shops.models import Shop; Shop.objects.update(refunds_need_two=True)"
    assert shop.manage("shell", "--command", ticked).returncode == 0
    page.goto(f"{shop.url}/admin/orders/order/")
    page.locator("#result_list a[href$='/change/']").first.click()
    page.locator("details:has(#refund-form) summary").click()
    page.locator("#refund-form input[name=reason]").fill("买错了，尚未使用")
    merchant.look("10-work-order")
    page.locator("#refund-form button[type=submit]").click()
    page.goto(f"{shop.url}/admin/orders/order/attention/")
    expect(page.locator("#attention form")).to_have_count(2)
    merchant.look("11-needs-you")
    page.goto(f"{shop.url}/admin/inventory/keybatch/")
    page.locator("#result_list a[href$='/change/']").first.click()
    page.locator("details:has(#bad-batch-form) summary").click()
    merchant.look("12-bad-batch")


def announce_a_rush(merchant: Person, buyer: Person, shop: RunningShop, link: str) -> None:
    """The same keys, through a line that opens tomorrow, for which somebody registers."""
    page = merchant.page
    page.goto(f"{shop.url}/admin/inventory/variant/")
    page.locator("#result_list a[href$='/change/']").first.click()
    page.locator("select[name=selling]").select_option("queued")
    page.locator("[name=_save]").click()
    for _ in range(60):  # the allocator gives it a sale
        page.goto(f"{shop.url}/admin/orders/sale/")
        if page.locator("#result_list a[href$='/change/']").count():
            break
        page.wait_for_timeout(500)
    page.locator("#result_list a[href$='/change/']").first.click()
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()  # where days begin in the shop
    for name, day in {"registration_opens_at": today, "opens_at": today + timedelta(days=1)}.items():
        page.locator(f"input[name={name}_0]").fill(day.isoformat())
        page.locator(f"input[name={name}_1]").fill("00:00:00" if day == today else "20:00:00")
    merchant.look("13-sale")
    page.locator("[name=_save]").click()

    buyer.page.wait_for_timeout(3000)  # until the gate and the pages know
    buyer.page.goto(link)
    buyer.page.locator('a[href*="/buy/"]').first.click()
    buyer.page.locator("input[name=contact_email]").fill("wang@example.com")
    buyer.page.locator("form[action*='/buy/'] button[type=submit]").click()
    expect(buyer.page.locator("[data-state=registered]")).to_be_visible(timeout=SOON)
    buyer.look("14-registered")

    page.goto(f"{shop.url}/admin/orders/sale/")
    page.locator("a[href$='/live/']").first.click()
    expect(page.locator("[data-figure=registered] .live-value")).to_have_text("1")
    merchant.look("15-sale-live")
    page.goto(f"{shop.url}/admin/operations/")
    page.wait_for_timeout(12_000)  # rates are made of two looks
    merchant.look("16-right-now")


def main() -> int:
    if CHROMIUM is None:
        print("No Chromium on this machine (apt install chromium).", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as var,
        sync_playwright() as playwright,
        RunningShop(Path(var), environment={"DEMO": "no"}) as shop,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        merchant = Person(browser.new_context(viewport=WIDE, locale="zh-CN", timezone_id="Asia/Shanghai"))
        buyer = Person(browser.new_context(viewport=NARROW, locale="zh-CN", is_mobile=True, has_touch=True))
        set_up(merchant, shop)
        link = merchant.page.locator("[data-step=sale] a").get_attribute("href")
        assert link
        buy(buyer, link)
        see_it(merchant, shop)
        work_a_day(merchant, shop)
        announce_a_rush(merchant, buyer, shop, link)
        browser.close()
        found = shop.manage("verify")
        assert found.returncode == 0, found.stdout
    complaints = [said for said in merchant.complaints + buyer.complaints if UNIMPORTANT not in said]
    print("\n".join(complaints) or f"A first sale; pictures are in {FOLDER.name}/.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
