"""Files and pages: what is kept, for how long, and by which key."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.gateway.log import lines_of
from tests.gateways import Gateway

pytestmark = pytest.mark.timeout(240)


def test_files_named_by_their_content_are_kept_for_ever_and_need_no_django(
    gateway: Gateway, buyer: httpx.Client
):
    page = buyer.get("/")
    style = re.search(r'href="(/static/css/shop\.[0-9a-f]{12}\.css)"', page.text)[1]

    answer = buyer.get(style)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/css"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert lines_of(gateway, answer)[0]["pool"] == ""


def test_a_file_that_was_compressed_before_is_sent_compressed(gateway: Gateway, buyer: httpx.Client):
    folder = gateway.shop.var / "static"
    (folder / "told.0123456789ab.js").write_text("plain")
    (folder / "told.0123456789ab.js.gz").write_bytes(b"not really gzip")

    with buyer.stream("GET", "/static/told.0123456789ab.js") as answer:
        body = b"".join(answer.iter_raw())

    assert (answer.headers["Content-Encoding"], body) == ("gzip", b"not really gzip")


def test_pictures_are_files(gateway: Gateway, buyer: httpx.Client):
    picture = re.search(r"/media/products/[^\"]+", buyer.get("/").text)[0]

    answer = buyer.get(picture)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert lines_of(gateway, answer)[0]["pool"] == ""


@pytest.mark.parametrize("path", ["/", "/en/", "/p/direct/", "/en/p/direct/", "/api/v1/products/direct/"])
def test_what_is_public_is_asked_of_django_once_a_second(gateway: Gateway, buyer: httpx.Client, path: str):
    answers = [buyer.get(path) for _ in range(20)]

    assert {answer.status_code for answer in answers} == {200}
    kept = [lines_of(gateway, answer)[0]["cache"] for answer in answers]
    assert kept.count("HIT") >= 15, kept
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 20
    assert not any("Set-Cookie" in answer.headers for answer in answers)


def test_a_page_is_compressed_once_and_kept_beside_the_plain_one(gateway: Gateway, buyer: httpx.Client):
    ways = {"gzip, deflate, br": "gzip", "GZIP;q=0.5": "gzip", "gzip;q=0": None, "br": None, "": None}
    pages = [
        (buyer.get("/en/p/roomy/", headers={"Accept-Encoding": accepted}), coding)
        for accepted, coding in ways.items()
    ]

    assert {page.text for page, _ in pages} == {pages[0][0].text}
    assert [page.headers.get("Content-Encoding") for page, _ in pages] == [coding for _, coding in pages]
    assert all("Accept-Encoding" in page.headers["Vary"] for page, _ in pages)
    kept = [lines_of(gateway, page)[0]["cache"] for page, _ in pages]
    assert kept.count("HIT") >= 2, kept


def test_a_compressed_page_that_is_still_the_same_is_not_sent_again(buyer: httpx.Client):
    page = buyer.get("/en/p/roomy/")

    again = buyer.get("/en/p/roomy/", headers={"If-None-Match": page.headers["ETag"]})

    assert page.headers["Content-Encoding"] == "gzip"
    assert (again.status_code, again.content) == (304, b"")


def test_a_change_shows_after_a_moment(gateway: Gateway, buyer: httpx.Client):
    path = "/api/v1/products/direct/"
    before = buyer.get(path).json()["variants"][0]["price_minor"]
    lines = (
        "from inventory.models import Variant; Variant.objects.filter(code='direct').update(price_minor=%d)"
    )
    assert gateway.shop.manage("shell", "-c", lines % (before + 100)).returncode == 0

    for _ in range(100):
        if (shown := buyer.get(path).json()["variants"][0]["price_minor"]) != before:
            break
        time.sleep(0.1)

    assert shown == before + 100


def test_queries_cookies_and_other_headers_change_nothing_that_others_see(
    gateway: Gateway, buyer: httpx.Client
):
    plain = buyer.get("/en/p/direct/")
    time.sleep(2.1)  # so that the next one is asked of Django

    odd = buyer.get(
        "/en/p/direct/?utm_source=x",
        headers={
            "Cookie": "django_language=zh-hans",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "https",
            "X-HTTP-Method-Override": "POST",
            "X-Original-URL": "/admin/",
            "Accept-Language": "zh",
        },
    )
    after = buyer.get("/en/p/direct/")

    assert lines_of(gateway, odd)[0]["cache"] in ("EXPIRED", "MISS")
    assert odd.text == plain.text == after.text
    assert lines_of(gateway, after)[0]["cache"] == "HIT"


def test_the_api_speaks_the_language_that_is_asked_for(buyer: httpx.Client):
    def name(accepted: str) -> str:
        said = buyer.get("/api/v1/products/direct/", headers={"Accept-Language": accepted})
        return said.json()["name"]

    english = {name(accepted) for accepted in ("en", "en-GB,en;q=0.9,zh;q=0.8", "fr, EN;q=0.5", "de,en-us")}
    chinese = {name(accepted) for accepted in ("zh-CN,zh;q=0.9,en;q=0.8", "fr", "", "zh, en", "x,zh-TW,en")}

    assert (english, chinese) == ({"Star coins"}, {"星币充值"})


def test_the_page_that_mints_a_pass_is_never_kept(buyer: httpx.Client):
    passes = {re.search(r'name="pass" value="([^"]+)"', buyer.get("/buy/direct/").text)[1] for _ in range(5)}

    assert len(passes) == 5


def test_a_page_that_is_asked_for_by_many_at_once_is_made_once(gateway: Gateway, buyer: httpx.Client):
    time.sleep(2.1)

    def ask(_number: int) -> httpx.Response:
        with gateway.client() as somebody:
            return somebody.get("/en/p/open/")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(64)))

    assert {answer.status_code for answer in answers} == {200}
    asked = [line for answer in answers for line in lines_of(gateway, answer) if line["pool"]]
    assert 1 <= len(asked) <= 3, asked


def test_a_head_tells_the_time_of_now(buyer: httpx.Client):
    """Countdowns read the server's clock from it."""
    first = buyer.head("/en/p/unopened/").headers["Date"]
    time.sleep(1.1)

    assert buyer.head("/en/p/unopened/").headers["Date"] != first
