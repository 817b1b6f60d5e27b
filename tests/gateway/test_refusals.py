"""What the gateway refuses by itself, and what it says while the shop behind it is away."""

import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.gateway.log import lines_of
from tests.gateways import Gateway

pytestmark = pytest.mark.timeout(240)

TICKETS = "/api/v1/tickets/"


@pytest.mark.parametrize(
    ("method", "path", "kind", "status", "code"),
    [
        ("DELETE", "/api/v1/products/", "", 405, "method_not_allowed"),
        ("POST", "/api/v1/products/direct/", "application/json", 405, "method_not_allowed"),
        ("GET", TICKETS, "", 405, "method_not_allowed"),
        ("PUT", "/api/v1/orders/", "application/json", 405, "method_not_allowed"),
        ("POST", TICKETS, "text/plain", 415, "unsupported_media_type"),
        ("POST", TICKETS, "application/jsonp", 415, "unsupported_media_type"),
        ("POST", "/api/v1/orders/", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
)
def test_what_the_api_does_not_know_ends_here(
    gateway: Gateway, buyer: httpx.Client, method: str, path: str, kind: str, status: int, code: str
):
    answer = buyer.request(method, path, content=b"{}", headers={"Content-Type": kind} if kind else {})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert lines_of(gateway, answer)[0]["pool"] == ""


@pytest.mark.parametrize(
    ("path", "language"),
    [("/p/direct/", "zh-Hans"), ("/en/p/direct/", "en"), ("/en/buy/direct/", "en"), ("/x", "zh-Hans")],
)
def test_pages_refuse_in_the_language_of_their_address(buyer: httpx.Client, path: str, language: str):
    answer = buyer.delete(path)

    assert answer.status_code == 405
    assert f'lang="{language}"' in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", [TICKETS, "/api/v1/orders/", "/en/buy/direct/", "/pay/notify/alipay/"])
def test_nobody_sends_more_than_a_form(gateway: Gateway, buyer: httpx.Client, path: str):
    answer = buyer.post(path, content=b"x" * 70_000, headers={"Content-Type": "application/json"})

    assert answer.status_code == 413
    assert lines_of(gateway, answer)[0]["pool"] == ""


def test_an_import_of_keys_is_longer_and_never_touches_the_disk(gateway: Gateway, buyer: httpx.Client):
    """It would stay in a file of the temporary folder as long as it is sent."""

    def slowly() -> Iterator[bytes]:
        for _ in range(20):
            yield b"k" * 100_000
        left.extend(path for path in (gateway.folder / "temporary").rglob("*") if path.is_file())
        yield b"k"

    left: list[object] = []
    answer = buyer.post("/admin/login/", content=slowly(), headers={"Content-Length": "2000001"})

    assert left == []
    assert answer.status_code == 403  # Django's own: no token


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_a_host_that_is_none_of_ours_ends_here(gateway: Gateway, buyer: httpx.Client, host: str):
    answer = buyer.get("/", headers={"Host": host})

    assert answer.status_code == 400
    assert "shop.css" not in answer.text


def test_metrics_are_not_for_strangers(buyer: httpx.Client):
    assert buyer.get("/metrics").status_code == 404


def test_one_address_gets_as_many_pages_as_thousands_of_phones_open_and_no_more(gateway: Gateway):
    kept = flooded(gateway, "/en/p/direct/")
    made = flooded(gateway, "/en/p/none/")

    assert set(kept) == {b"200"}  # they cost Django nothing
    assert made[b"404"] >= 2001
    assert made[b"429"] >= 500
    with gateway.client(**{"X-Forwarded-For": "203.0.113.251"}) as neighbour:
        assert neighbour.get("/en/p/none/").status_code == 404


def flooded(gateway: Gateway, path: str) -> Counter[bytes]:
    """How one address was answered that asked for it 4,000 times."""
    one = f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.250\r\n"
    told: Counter[bytes] = Counter()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", gateway.port)) as flood:
            flood.sendall(f"{one}\r\n".encode() * 799 + f"{one}Connection: close\r\n\r\n".encode())
            answers = b"".join(iter(lambda flood=flood: flood.recv(65536), b""))
        told.update(re.findall(rb"^HTTP/1.1 (\d+)", answers, re.MULTILINE))
    return told


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_answered_and_floods_of_them_are_not(gateway: Gateway, buyer: httpx.Client, path: str):
    told = Counter(buyer.get(path).status_code for _ in range(80))

    assert told[200] >= 21
    assert told[429] >= 20
    with gateway.client(**{"X-Forwarded-For": "203.0.113.252"}) as neighbour:
        assert neighbour.get(path).status_code == 200
    time.sleep(1)
    assert [buyer.get(path).status_code for _ in range(4)] == [200] * 4


NOTICED = 2.1  # seconds, of which nginx counts whole ones


@contextmanager
def maintenance(gateway: Gateway) -> Iterator[None]:
    flag = gateway.folder / "maintenance"
    flag.touch()
    time.sleep(NOTICED)
    try:
        yield
    finally:
        flag.unlink()
        time.sleep(NOTICED)


def test_in_maintenance_buyers_are_told_and_tickets_live(gateway: Gateway, buyer: httpx.Client):
    ticket = f"{TICKETS}open/{'0' * 64}/"
    with maintenance(gateway):
        page, api, click = (
            buyer.get("/en/p/direct/"),
            buyer.get("/api/v1/products/"),
            buyer.post(TICKETS, json={}),
        )
        form = buyer.post("/buy/direct/", data={"quantity": "1"})
        look, notice = buyer.get(ticket), buyer.post("/pay/notify/nobody/")
        admin, style = buyer.get("/admin/login/"), buyer.get("/static/css/shop.css")

    assert [each.status_code for each in (page, api, click)] == [503, 503, 503]
    assert page.headers["Retry-After"] == "5"
    assert 'lang="en"' in page.text
    assert 'http-equiv="refresh" content="15"' in page.text
    assert form.status_code == 503
    assert 'lang="zh-Hans"' in form.text
    assert "refresh" not in form.text  # it would not send what was entered
    assert api.json()["code"] == click.json()["code"] == "unavailable"
    assert look.json()["code"] == "unknown_ticket"  # by Django, where a known one stays present
    assert notice.status_code == 404  # by Django: there is no such channel
    assert (admin.status_code, style.status_code) == (200, 200)
    assert buyer.get("/en/p/direct/").status_code == 200


class OnePage(BaseHTTPRequestHandler):
    """All that is left of the shop: every address is this page, which is everybody's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Cache-Control", "public, max-age=10")
        self.end_headers()
        self.wfile.write(b"the page")

    def log_message(self, *_: object) -> None:
        pass


def test_while_the_shop_is_away_its_last_pages_stay_and_the_rest_says_when_to_come_again(
    gateway: Gateway, tmp_path: Path
):
    server = ThreadingHTTPServer(("127.0.0.1", 0), OnePage)
    Thread(target=server.serve_forever).start()
    away = {"PORT": str(server.server_port), "HOT_PORT": "9"}
    with Gateway(gateway.shop, environment=away, var=tmp_path) as alone, alone.client() as buyer:
        assert buyer.get("/p/coins/").text == "the page"
        server.shutdown()
        server.server_close()
        time.sleep(2.1)
        kept, page = buyer.get("/p/coins/"), buyer.get("/en/p/other/")
        order, look = buyer.get("/en/o/token/"), buyer.get(f"{TICKETS}coins/{'0' * 64}/")

        assert (kept.status_code, kept.text) == (200, "the page")
        assert lines_of(alone, kept)[0]["cache"] == "STALE"
        for answer in (page, order):
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert 'lang="en"' in answer.text
        assert (look.status_code, look.json()["code"]) == (503, "unavailable")
        assert alone.errors.read_text().count("token") == 0
