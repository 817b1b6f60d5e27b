"""A member of a reseller at the page: in by a code, a key for the program, its order, the keys in clear."""

import json
import re
import secrets
import time
from collections.abc import Iterator
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from resellers.signing import SCHEME, sign
from tests.browser.test_lookup import DESKTOP, MAILED_WITHIN, PHONE, window
from tests.browser.test_page_facts import AXE, NARROWEST
from tests.stack import RunningShop

API = "/api/reseller/v1/"
MAKE = """
import json
from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from payments.ledger.entries import credit
from resellers.accounts import open_reseller
from resellers.events.emitting import emit
from resellers.members.joining import add_member
from resellers.models import Event
from resellers.webhooks.endpoints import make_endpoint
from tests.factories import make_variant

now, shop = db_now(), Shop.objects.earliest("pk")
variant = make_variant(shop=shop, code={code!r}, keys=20)
partner = open_reseller(shop, name="Partner " + {code!r}, contact_email="p@example.org", now=now)
credit(partner.balance, amount_minor=10_000_00, reason="Bank transfer", actor="till", now=now)
add_member(partner, email={email!r}, name="Li", role="owner", now=now)
add_member(partner, email="mo-" + {email!r}, role="viewer", now=now)
address = "https://a-rather-long-name-of-a-host.partner.example/webhooks/cardshop/orders"
endpoint, _ = make_endpoint(shop, reseller=partner, url=address, kinds=["order.paid", "stock.low"], now=now)
emit([Event(shop=shop, reseller=partner, kind="order.paid", subject="7X", at=now)], now=now)
print(json.dumps(endpoint.name))
"""


class Member:
    def __init__(self, shop: RunningShop, page: Page, email: str, lang: str = "/en") -> None:
        self.shop, self.page, self.email = shop, page, email
        self.base = f"{shop.url}{lang}/reseller/"
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        page.on("request", lambda asked: self._only_here(asked.url))

    def _only_here(self, url: str) -> None:
        if not url.startswith((self.shop.url, "data:")):
            self.complaints.append(f"asked {url}")

    def log_in(self) -> None:
        known = self._mailed()
        self.page.goto(self.base)
        self.page.locator("#email").fill(self.email)
        self.page.locator("main form button").click()
        self.page.wait_for_url("**/reseller/enter/")
        self.page.goto(self.shop.url + self._next_link(known))
        self.page.locator("main form button").click()
        self.page.wait_for_url(self.base)

    def _mailed(self) -> set[str]:
        found: set[str] = set()
        folder = Path(self.shop.var, "mail")
        for file in folder.iterdir() if folder.exists() else ():
            text = file.read_bytes()
            if self.email.encode() in text:
                body = message_from_bytes(text).get_payload(decode=True).decode()
                found |= set(re.findall(r"(?:/en)?/reseller/enter/\w{10}/", body))
        return found

    def _next_link(self, known: set[str]) -> str:
        deadline = time.monotonic() + MAILED_WITHIN
        while time.monotonic() < deadline:
            if new := self._mailed() - known:
                return new.pop()
            time.sleep(0.1)
        raise AssertionError("no mail has come")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.base}{path}")

    def check(self) -> None:
        """Of whatever is shown: nothing that axe complains of, and nothing wider than the window."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            "axe.run().then(found => found.violations.map(v => [v.id, v.nodes[0].html]))"
        )
        assert found == [], (self.page.url, found)
        width = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert width <= 0, self.page.url


class Reseller:
    def __init__(self, shop: RunningShop) -> None:
        self.code = f"partner-{secrets.token_hex(4)}"
        self.email = f"{self.code}@example.org"
        made = shop.manage("shell", "-c", MAKE.format(code=self.code, email=self.email))
        assert made.returncode == 0, made.stderr
        self.webhook = json.loads(made.stdout.splitlines()[-1])


@pytest.fixture
def reseller(shop: RunningShop) -> Reseller:
    return Reseller(shop)


@pytest.fixture
def member(shop: RunningShop, browser: Browser, reseller: Reseller) -> Iterator[Member]:
    with window(browser, PHONE) as context:
        yield Member(shop, context.new_page(), reseller.email)


def call(
    shop: RunningShop, key: str, secret: str, path: str, body: dict[str, object] | None = None
) -> httpx.Response:
    content = json.dumps(body).encode() if body else b""
    parts = {"timestamp": int(time.time()), "nonce": secrets.token_urlsafe(16)}
    method = "POST" if body else "GET"
    signature = sign(secret, method=method, path=path, body_digest=sha256(content).hexdigest(), **parts)
    said = f"key={key}, timestamp={parts['timestamp']}, nonce={parts['nonce']}, signature={signature}"
    headers = {"Authorization": f"{SCHEME} {said}", "Idempotency-Key": secrets.token_hex(8)}
    headers["Content-Type"] = "application/json"
    return httpx.request(method, f"{shop.url}{path}", content=content, headers=headers, timeout=30)


def test_from_the_first_log_in_to_the_card_keys(shop: RunningShop, member: Member, reseller: Reseller):
    page = member.page
    member.log_in()
    expect(page.locator(".amount")).to_contain_text("¥10000.00")

    page.get_by_role("link", name="API keys").click()
    page.get_by_role("link", name="Make a key").click()
    page.locator("#label").fill("ERP")
    for may in ("buy and cancel", "read card keys"):
        page.get_by_label(may).check()
    page.get_by_role("button", name="Make the key").click()
    name, secret = (page.locator(f"#key-{what}").inner_text() for what in ("name", "secret"))
    page.get_by_role("button", name="Copy the secret").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.get_by_role("link", name="To the keys").click()
    expect(page.locator("main")).to_contain_text(name)
    expect(page.locator("main")).not_to_contain_text(secret)

    order = {"lines": [{"variant": reseller.code, "quantity": 2}], "reference": "2026-000123"}
    placed = call(shop, name, secret, f"{API}orders/", order).json()
    assert placed["status"] == "delivered", placed

    page.get_by_role("link", name="Orders").click()
    page.locator("#reference").fill("2026-000123")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name=placed["number"]).click()
    expect(page.locator("[data-key]")).to_have_count(0)
    page.get_by_role("button", name="Show keys").click()
    assert [key.inner_text() for key in page.locator("[data-key]").all()] == placed["lines"][0]["keys"]

    page.goto(f"{member.base}keys/")
    page.get_by_role("button", name="Revoke it at once ERP").click()
    expect(page.get_by_text("It opens nothing any more.")).to_be_visible()
    assert call(shop, name, secret, f"{API}account/").status_code == 401
    page.get_by_role("button", name="Log out", exact=True).click()
    page.go_back()
    expect(page.locator(".amount")).to_have_count(0)
    assert member.complaints == []


def test_without_script_all_of_it_works(shop: RunningShop, browser: Browser, reseller: Reseller):
    with window(browser, PHONE, java_script_enabled=False) as context:
        member = Member(shop, context.new_page(), reseller.email)
        member.log_in()
        member.go("keys/new/")
        member.page.locator("#label").fill("Without script")
        member.page.get_by_role("button", name="Make the key").click()
        expect(member.page.locator("#key-secret")).to_be_visible()


@pytest.mark.parametrize(
    ("width", "scheme"), [(PHONE, "light"), (PHONE, "dark"), (DESKTOP, "light"), (DESKTOP, "dark")]
)
def test_pictures_and_what_axe_says(
    shop: RunningShop, browser: Browser, pictures: Path, reseller: Reseller, width: int, scheme: str
):
    lang = "" if scheme == "dark" else "/en"
    with window(browser, width, color_scheme=scheme) as context:
        member = Member(shop, context.new_page(), reseller.email, lang)
        seen = iter(range(100))

        def look(name: str) -> None:
            member.check()
            member.page.screenshot(path=pictures / f"{next(seen):02}-{name}.png", full_page=True)
            if width == PHONE:
                member.page.set_viewport_size({"width": NARROWEST, "height": 844})
                member.check()
                member.page.set_viewport_size({"width": PHONE, "height": 844})

        member.go("log-in/")
        look("log-in")
        member.go("enter/")
        look("nobody-asked")
        member.log_in()
        look("account")
        for path in (
            *("keys/", "keys/new/", "orders/", "webhooks/", f"webhooks/{reseller.webhook}/", "webhooks/new/"),
            *("members/", "members/new/", "confirm/"),
        ):
            member.go(path)
            look(path.split("/")[0] + ("-new" if "new" in path else ""))
        member.go("keys/new/")
        member.page.locator("#label").fill("ERP")
        member.page.locator("#networks").fill("10.0.0.0/99")
        member.page.locator("main form button").click()
        expect(member.page.get_by_role("alert")).to_be_visible()
        look("wrong-key")
        member.page.locator("#networks").fill("127.0.0.0/8")
        for box in member.page.locator("input[name=scopes]").all():
            box.check()
        member.page.locator("main form button").click()
        name, secret = (member.page.locator(f"#key-{what}").inner_text() for what in ("name", "secret"))
        look("secret")
        order = {"lines": [{"variant": reseller.code, "quantity": 2}], "reference": f"2026-{scheme}-{width}"}
        placed = call(shop, name, secret, f"{API}orders/", order).json()
        for path in ("", "orders/", f"orders/{placed['number']}/", "keys/"):
            member.go(path)
            look("bought-" + (path.split("/")[0] or "account"))
        member.go(f"orders/{placed['number']}/")
        member.page.locator(".show-keys button").click()
        look("card-keys")
        assert [said for said in member.complaints if "400" not in said] == []
