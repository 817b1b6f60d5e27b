"""More people browse than a process can serve: who pays and collects does not notice, and buyers hardly."""

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from cardshop.common.clock import db_now
from cardshop.priorities import patience_of
from cardshop.traffic import shedding
from cardshop.traffic.shedding import Shedder
from orders.models import Order
from orders.services.delivery import deliver_orders
from payments.models import PaymentAttempt, WebhookEvent
from tests.factories import make_attempt, make_channel, make_order, make_variant, notice_query, pay_order
from tests.web import crowd, served, wait_for

BROWSING = 40  # at once, for a process with four threads
ENOUGH = 25  # pages


@pytest.mark.django_db(transaction=True)
class TestUnderLoad:
    @pytest.fixture(autouse=True)
    def _goods(self) -> None:
        make_channel()
        variant = make_variant(keys=9, code="coins")
        self.attempt: PaymentAttempt = make_attempt(make_order(variant))
        self.order: Order = make_order(variant)
        pay_order(self.order)
        deliver_orders([self.order.pk], db_now())
        self.must_be_served = [f"/o/{self.order.token}/", f"/api/v1/orders/{self.order.token}/keys/"]

    def overloaded(self, settings: str = "cardshop.settings.test") -> dict[str, Counter[int]]:
        """What everybody heard until those who must be served had enough; and a notice comes at the end."""
        asked = {"/": BROWSING, "/buy/coins/": 1, **dict.fromkeys(self.must_be_served, 1)}
        with served(settings) as port, crowd(port, asked) as heard:
            wait_for(lambda: all(heard[path][200] >= ENOUGH for path in self.must_be_served))
            address = f"http://127.0.0.1:{port}/pay/notify/{self.attempt.channel.slug}/"
            self.notice = httpx.get(f"{address}?{notice_query(self.attempt)}", timeout=60)
        return heard

    def test_browsing_is_refused_and_everything_else_is_served(self):
        heard = self.overloaded()

        assert heard["/"][503] > 0
        assert heard["/"][200] > 0  # as many as there are threads for
        for path in (*self.must_be_served, "/buy/coins/"):
            assert set(heard[path]) == {200}, path
        assert self.notice.text == "success"
        assert WebhookEvent.objects.count() == 1

    def test_control_with_nothing_shed_who_collects_a_key_gets_fewer_answers_for_each_of_the_others(self):
        """If this one fails, the test above proves nothing."""
        ours, without = self.overloaded(), self.overloaded("tests.faults.patient_settings")

        assert set(without["/"]) == {200}
        assert _share(ours, self.must_be_served) > 1.5 * _share(without, self.must_be_served)

    def test_an_ordinary_load_is_shed_nothing_of_and_an_overload_is_over_when_it_ends(self):
        with served() as port:
            with crowd(port, {"/": BROWSING}) as heard:
                wait_for(lambda: heard["/"][503] > 0)

            with crowd(port, {"/": 2, "/buy/coins/": 1}) as afterwards:
                wait_for(lambda: min(said[200] for said in afterwards.values()) >= ENOUGH)

        assert {status for said in afterwards.values() for status in said} == {200}


def _share(heard: dict[str, Counter[int]], paths: list[str]) -> float:
    """Of the pages that were served, those."""
    return sum(heard[path][200] for path in paths) / sum(said[200] for said in heard.values())


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Its only element is now."""
    now = [0.0]
    monkeypatch.setattr(shedding.time, "monotonic", lambda: now[0])
    return now


def test_a_burst_is_no_overload(clock):
    shedder = Shedder()

    for clock[0] in (0.1, 0.5, 0.9):
        assert not shedder.refuses(wait=0.8, patience=0.1)


def test_a_queue_that_stands_is_shed_from_by_patience(clock):
    shedder = Shedder()
    clock[0] = 1.5

    assert shedder.refuses(wait=0.8, patience=0.1)
    assert not shedder.refuses(wait=0.8, patience=2.0)
    assert not shedder.refuses(wait=0.05, patience=0.1)
    assert not shedder.refuses(wait=60.0, patience=None)
    assert shedder.refused == {0.1: 1}


def test_one_request_that_found_a_free_thread_ends_it(clock):
    shedder = Shedder()
    clock[0] = 1.5
    assert shedder.refuses(wait=0.8, patience=0.1)

    shedder.refuses(wait=0.001, patience=None)

    assert not shedder.refuses(wait=0.8, patience=0.1)


def routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        yield from routes(pattern.url_patterns, route) if isinstance(pattern, URLResolver) else [route]


def test_every_address_has_its_priority():
    """A new address that is not thought about counts as browsing; here it has to be thought about."""
    known = {f"/{route}".split("<")[0] for route in routes(get_resolver().url_patterns)}
    shop = {path for path in known if not path.startswith("/admin/")}
    browsing = {"/", "/c/", "/p/", "/search/", "/robots.txt", "/sitemap.xml", "/media/products/"}
    browsing |= {"/api/v1/products/", "/api/schema/", "/api/docs/"}

    assert {path for path in shop if patience_of("GET", path) == 0.1} == browsing
    buying = {"/buy/", "/orders/", "/orders/mail/", "/api/v1/passes/", "/api/v1/orders/"}
    buying |= {path for path in shop if path.startswith(("/api/reseller/", "/reseller/", "/api/merchant/"))}
    assert {path for path in shop if patience_of("GET", path) == 5.0} == buying
    for path in ("/o/token/pay/", "/en/o/token/", "/pay/notify/alipay/", "/api/v1/orders/token/keys/"):
        assert patience_of("POST", path) is None


@pytest.fixture
def pressed(monkeypatch) -> None:
    monkeypatch.setattr(shedding, "waited", lambda: 6.0)
    monkeypatch.setattr(shedding.shedder, "_last_hardly_waited", 0.0)


def refused(path: str, **environ: str) -> tuple[str, dict[str, str], str]:
    from cardshop.wsgi import application

    told: list[object] = []
    base = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80"}
    body = b"".join(application({**base, **environ}, lambda status, headers: told.extend([status, headers])))
    status, headers = told
    return str(status), dict(headers), body.decode()


@pytest.mark.usefixtures("pressed")
@pytest.mark.parametrize(
    ("path", "words"), [("/p/coins/", "正在付款"), ("/en/p/coins/", "are paying go first")]
)
def test_a_refusal_is_a_page_in_the_language_of_the_address(path, words):
    status, headers, page = refused(path)

    assert status == "503 Service Unavailable"
    assert words in page
    assert f'http-equiv="refresh" content="{headers["Retry-After"]}"' in page
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.usefixtures("pressed")
def test_a_form_that_is_refused_is_told_how_to_be_sent_again():
    _status, _headers, page = refused("/en/buy/coins/", REQUEST_METHOD="POST")

    assert "makes no second order" in page
    assert "http-equiv" not in page


@pytest.mark.usefixtures("pressed")
def test_a_refusal_of_the_api_has_its_shape():
    status, headers, body = refused("/api/v1/products/", HTTP_ACCEPT_LANGUAGE="en")

    assert status == "503 Service Unavailable"
    assert '"code": "overloaded"' in body
    assert "are paying go first" in body
    assert headers["Content-Type"] == "application/json"
