"""What a real browser says of every page that a buyer sees: size, calm, privacy, accessibility.

axe-core 4.14.1 is vendored, with its licence (MPL-2.0), since it is a test's tool and no part of the shop.
"""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_line import put_on_sale, take_one
from tests.stack import RunningShop
from tests.web import wait_for

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
MOST_BYTES = 60_000  # of a product page without its pictures, as they come over the wire
NARROWEST = 320
RICH = """# How it works

**Bold**, *slanted*, `code`, [a link](https://elsewhere.example) and ![a picture](https://elsewhere.example/x.png)

1. one
2. two
   - a list in it

> a quotation

| a | b |
|---|---|
| averyveryveryveryveryveryveryveryverylongword | 2 |

```
some code, on a line that is longer than any phone is wide, but for those that are folded
```
"""
# The states that an order page may stay in, and what else nobody can click together.
MAKE = """
import json
from datetime import timedelta
from django.template.loader import render_to_string
from django.utils import translation
from cardshop.common.clock import db_now
from cardshop.traffic.errors import MESSAGES
from inventory.models import Product, Stock, Variant
from orders.services.delivery import deliver_orders
from payments.checkout.cancelling import cancel_order
from tests.factories import make_order, make_variant, pay_order

def order(code, **fields):
    return make_order(Variant.objects.select_related("shop").get(code=code), **fields)

pending = order("liuli-crystals-60", quantity=2)
delivered = order("liuli-crystals-60", quantity=2)
pay_order(delivered)
deliver_orders([delivered.pk], db_now())
cancelled = order("liuli-crystals-60")
cancel_order(cancelled, now=db_now())
endless = make_variant(code={endless!r}, per_buyer_limit=2)
Stock.objects.filter(variant=endless).update(total=None, released=None)
text = dict.fromkeys(("description", "description_en", "usage_notes", "usage_notes_en"), {rich!r})
Product.objects.filter(slug={endless!r}).update(position=999, **text)
paid = make_order(endless)
pay_order(paid)
deliver_orders([paid.pk], db_now())
make_variant(code={timed!r}, keys=3, on_sale_from=db_now() + timedelta(minutes=30))
Product.objects.filter(slug={timed!r}).update(position=999)
outage = dict()
for language in ("zh-hans", "en"):
    with translation.override(language):
        outage[language] = render_to_string(
            "error.html", dict(status=503, message=MESSAGES["unavailable"], again_in=600, was_sent=False))
print(json.dumps(dict(pending=pending.token, delivered=delivered.token, cancelled=cancelled.token,
    paid=paid.token, outage=outage)))
"""


class Places:
    """Where each page is, by name."""

    def __init__(self, shop: RunningShop) -> None:
        self.shop = shop
        rich, timed = (f"{word}-{secrets.token_hex(4)}" for word in ("rich", "timed"))
        made = shop.manage("shell", "-c", MAKE.format(rich=RICH, endless=rich, timed=timed))
        assert made.returncode == 0, made.stderr
        said = json.loads(made.stdout.splitlines()[-1])
        self.outage: dict[str, str] = said["outage"]
        waiting, registering = put_on_sale(shop), put_on_sale(shop, opens_in=1800)
        take_one(shop, waiting)
        self.paths = {
            "home": "/",
            "category": "/c/games/",
            "product": "/p/liuli-crystals/",
            "product, rich": f"/p/{rich}/",
            "product, partly sold out": "/p/farhaven-pass/",
            "product, to come": f"/p/{timed}/",
            "product, registering": f"/p/{registering}/",
            "product, with a line": f"/p/{waiting}/",
            "search": "/search/",
            "search, found": "/search/?q=60",
            "search, nothing found": "/search/?q=nothing",
            "buy": "/buy/liuli-crystals-60/",
            "buy, sold out": "/buy/mistmount-skin-skin/",
            "buy, to come": f"/buy/{timed}/",
            "buy, registering": f"/buy/{registering}/",
            "line": f"/line/{waiting}/{_wait_in(shop, waiting)}/",
            **{f"order, {state}": f"/o/{said[state]}/" for state in ORDERS},
            "order, correcting": f"/o/{said['pending']}/?edit=email",
            "look-up": "/orders/",
            "nothing there": "/p/none/",
        }


ORDERS = ("pending", "paid", "delivered", "cancelled")
CATALOGUE = ("home", "category", "product", "product, rich", "product, to come", "search, found")
NAMES = [
    *("home", "category", "product", "product, rich", "product, partly sold out", "product, to come"),
    *("product, registering", "product, with a line", "search", "search, found", "search, nothing found"),
    *("buy", "buy, sold out", "buy, to come", "buy, registering", "line"),
    *(f"order, {state}" for state in ORDERS),
    *("order, correcting", "look-up", "nothing there", "outage"),
]


def _wait_in(shop: RunningShop, code: str) -> str:
    with httpx.Client(base_url=shop.url, timeout=20) as client:
        given = client.post("/api/v1/passes/", json={"variant": code}).json()
        body = {"variant": code, "quantity": 1, "contact_email": "second@example.org", **given}
        return str(client.post("/api/v1/tickets/", json=body).json()["ticket"])


@pytest.fixture(scope="module")
def places(shop: RunningShop) -> Places:
    return Places(shop)


WATCH = """
window.shifted = 0; window.forbidden = [];
new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.shifted += shift.value;
}).observe({type: "layout-shift", buffered: true});
document.addEventListener("securitypolicyviolation", (event) => window.forbidden.push(event.blockedURI));
"""


class Looked:
    """A page in a window, and what it asked the network for."""

    def __init__(self, page: Page, places: Places) -> None:
        self.page, self._places = page, places
        self.asked: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))

    def open(self, name: str, lang: str = "") -> None:
        home = self._places.shop.url
        if name == "outage":
            self.page.goto(f"{home}/p/none/")
            self.page.set_content(self._places.outage["en" if lang else "zh-hans"])
        else:
            self.page.goto(f"{home}{lang}{self._places.paths[name]}")
        self.page.wait_for_load_state("networkidle")

    def violations(self, *rules: str) -> list[str]:
        """What axe finds; all its rules, or those alone."""
        if not self.page.evaluate("'axe' in window"):
            # As a program beside the page, which its policy does not bind, and not as a script in it.
            self.page.evaluate(AXE.read_text())
        only = json.dumps({"runOnly": {"type": "rule", "values": rules}} if rules else {})
        found = self.page.evaluate(f"axe.run(document, {only}).then((said) => said.violations)")
        return [
            f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
            for one in found
            for node in one["nodes"]
        ]


@pytest.fixture
def looked(browser: Browser, places: Places, request: pytest.FixtureRequest) -> Iterator[Looked]:
    width = getattr(request, "param", 390)
    # Without motion, or colours that are on their way to others would be measured.
    context = browser.new_context(
        viewport={"width": width, "height": 844}, is_mobile=width < 600, reduced_motion="reduce"
    )
    context.add_init_script(WATCH)
    yield Looked(context.new_page(), places)
    context.close()


# Each page in one of the two languages: both have the same bones, and axe takes seconds.
@pytest.mark.parametrize(("name", "lang"), [(name, ("", "/en")[at % 2]) for at, name in enumerate(NAMES)])
def test_every_page_is_calm_private_and_for_everybody(looked: Looked, name: str, lang: str):
    looked.open(name, lang)
    page = looked.page

    host = re.match(r"https?://[^/]+/", page.url)[0]
    assert [url for url in looked.asked if not url.startswith((host, "data:"))] == []
    assert page.evaluate("window.forbidden") == []
    assert page.evaluate("window.shifted") == 0
    # That it loads itself anew is what the page of an outage promises; there is nothing on it to lose.
    assert [one for one in looked.violations() if name != "outage" or "meta-refresh" not in one] == []
    page.emulate_media(color_scheme="dark")
    assert looked.violations("color-contrast", "link-in-text-block") == []
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 844})
    assert looked.violations("color-contrast", "heading-order", "region", "scrollable-region-focusable") == []
    page.set_viewport_size({"width": NARROWEST, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST


def test_axe_finds_what_is_wrong(looked: Looked):
    """If this one fails, the test above proves nothing."""
    looked.open("product")
    looked.page.evaluate("document.querySelector('.search input').removeAttribute('aria-label')")
    looked.page.evaluate("document.querySelector('.search input').removeAttribute('placeholder')")
    looked.page.evaluate("document.querySelector('.lead').style.color = '#ccc'")

    found = " ".join(looked.violations())

    assert "label: " in found
    assert "color-contrast: " in found


def test_a_shift_is_noticed(looked: Looked):
    looked.open("product")

    def shift() -> bool:
        """Again and again: what moves before the first frame has been painted counts for nothing."""
        looked.page.evaluate(
            "document.querySelector('main').prepend(Object.assign(document.createElement('p'), "
            "{textContent: 'late', style: 'height: 20px'}))"
        )
        return bool(looked.page.evaluate("window.shifted") > 0)

    wait_for(shift, within=20)


@pytest.mark.parametrize("name", ["product", "product, rich", "product, to come"])
def test_a_product_page_is_light(looked: Looked, name: str):
    devtools = looked.page.context.new_cdp_session(looked.page)
    kinds: dict[str, str] = {}
    sizes: dict[str, int] = {}
    devtools.on("Network.responseReceived", lambda said: kinds.update({said["requestId"]: said["type"]}))
    devtools.on(
        "Network.loadingFinished", lambda said: sizes.update({said["requestId"]: said["encodedDataLength"]})
    )
    devtools.send("Network.enable")

    looked.open(name)

    page_and_all = {at: size for at, size in sizes.items() if kinds.get(at) != "Image"}
    assert "Document" in {kinds[at] for at in page_and_all}
    assert "Stylesheet" in {kinds[at] for at in page_and_all}
    assert sum(page_and_all.values()) < MOST_BYTES


def names_on(page: Page) -> list[str]:
    """What a screen reader reads out, a line each."""
    return [line.strip(" -:") for line in page.locator("body").aria_snapshot().splitlines()]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "product",
            [
                'heading "Liuli Realm Crystals" [level=1]',
                'searchbox "Search the shop"',
                'button "Search"',
                'navigation "Where you are"',
                'link "Buy 60 crystals"',
                'link "Buy 1,980 crystals"',
                'heading "You can pay with" [level=2]',
            ],
        ),
        (
            "buy",
            [
                'spinbutton "Quantity"',
                'textbox "Your e-mail"',
                'button "One more"',
                'button "Place order and pay"',
            ],
        ),
        ("order, pending", ['group "Pay ¥12.00 with"', 'button "Copy the link"']),
        ("order, delivered", ['button "Copy key 1"', 'button "Copy key 2"', 'link "Save as TXT"']),
        (
            "search, nothing found",
            ['heading "Nothing found for “nothing”" [level=1]', 'navigation "Categories"'],
        ),
    ],
)
def test_what_can_be_pressed_has_a_name_of_its_own(looked: Looked, name: str, said: list[str]):
    looked.open(name, "/en")

    names = names_on(looked.page)

    for line in said:
        assert any(name.startswith(line) for name in names), (line, names)
    assert not [line for line in names if line in ("button", "link", "textbox", "img", "searchbox")]


def test_the_keyboard_reaches_everything_and_shows_where_it_is(looked: Looked):
    looked.open("product", "/en")
    page = looked.page

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const on = document.activeElement, style = getComputedStyle(on);"
            " return [on.tagName, on.textContent.trim(), style.outlineStyle,"
            " parseFloat(style.outlineWidth)]; })()"
        )
        if focused[0] == "BODY":
            break
        reached.append(focused)
    assert any(text.startswith("Buy") for _tag, text, _style, _width in reached)
    assert all(style == "solid" and width >= 2 for _tag, _text, style, width in reached), reached


def test_who_wants_no_motion_gets_none(browser: Browser, places: Places):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{places.shop.url}{places.paths['line']}")

    still = page.evaluate(
        "[...document.querySelectorAll('*')].every((one) => { const style = getComputedStyle(one);"
        " return parseFloat(style.animationDuration) + parseFloat(style.transitionDuration) === 0; })"
    )

    context.close()
    assert still


def test_a_printed_order_is_a_receipt(looked: Looked, pictures: Path):
    looked.open("order, delivered", "/en")
    looked.page.emulate_media(media="print", color_scheme="dark")
    looked.page.screenshot(path=pictures / "printed.png", full_page=True)

    for part in (".order-number", ".summary .total", "[data-key] >> nth=0", ".usage .rich"):
        expect(looked.page.locator(part)).to_be_visible()
    for part in ("[data-copy] >> nth=0", ".language", "#contact", ".bottom"):
        expect(looked.page.locator(part)).to_be_hidden()
    assert looked.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert looked.page.evaluate("getComputedStyle(document.querySelector('.key')).color") == "rgb(0, 0, 0)"


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_picture_has_its_place_before_it_is_there(looked: Looked, name: str):
    """Pictures that come late move nothing."""
    looked.page.route("**/media/**", lambda route: (looked.page.wait_for_timeout(300), route.continue_()))

    looked.open(name)

    assert looked.page.evaluate("window.shifted") == 0
