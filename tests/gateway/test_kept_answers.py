"""What the server behind says may be kept or not: what is one buyer's is never given to another."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import httpx
import pytest

from tests.gateway.buying import TICKETS, click_of
from tests.gateway.upstream import FOR_A_MINUTE, PUBLIC, Upstream, answer, long_answer
from tests.gateways import Gateway, replacing

pytestmark = pytest.mark.timeout(240)

PAGE, PRODUCT = "/p/{}/", "/api/v1/products/{}/"
CROWD = 8
A_COOKIE = "Set-Cookie: order={number}; Path=/"
NO_STORE = "Cache-Control: no-store"
WHILE_ASKING = "Cache-Control: stale-while-revalidate=1"

# Each for one buyer alone; `{number}` is another number each time.
PRIVATE = {
    "a cookie": [PUBLIC, A_COOKIE],
    "a cookie, said first": [A_COOKIE, PUBLIC],
    "two cookies": [PUBLIC, "Set-Cookie: a=b", A_COOKIE],
    "a cookie, for a minute": [PUBLIC, FOR_A_MINUTE, A_COOKIE],
    "a cookie, then for a minute": [A_COOKIE, PUBLIC, FOR_A_MINUTE],
    "nothing said": [],
    "only for a minute": [FOR_A_MINUTE],
    "private": ["Cache-Control: private, max-age=60"],
    "not to be stored, for a minute": [NO_STORE, FOR_A_MINUTE],
    "until long after": ["Expires: Fri, 01 Jan 2100 00:00:00 GMT"],
    "public and private": ["Cache-Control: public, private, max-age=60"],
    "public, not to be stored": ["Cache-Control: public, no-store"],
    "public, to be asked again": ["Cache-Control: Public, No-Cache"],
    "nearly public": ["Cache-Control: republication, max-age=60"],
    "another for everybody": [PUBLIC, "Vary: *"],
    "another for everybody, among others": [PUBLIC, "Vary: Accept-Language, *"],
    "for no time": [PUBLIC, "X-Accel-Expires: 0"],
}
COOKIES_ARE_IGNORED = replacing(" Expires Vary;", " Expires Vary Set-Cookie;")
COMPRESSION_SAYS_WHAT_VARIES = replacing("gzip on;", "gzip on; gzip_vary on;")
EVERYTHING_IS_PUBLIC = replacing("proxy_no_cache $is_private;", "")

_numbers = count(1)


def fresh(path: str) -> str:
    """The path of goods that nobody has asked for yet."""
    return path.format(f"goods-{next(_numbers)}")


def says(upstream: Upstream, *headers: str, status: str = "200 OK") -> None:
    """From now on, with a number in each answer that no other one has."""

    def said(_request: bytes) -> bytes:
        number = str(next(_numbers))
        return long_answer(number, *(line.replace("{number}", number) for line in headers), status=status)

    upstream.answer = said


def given(gateway: Gateway, path: str, *, people: int = 2) -> list[httpx.Response]:
    """What some are answered, one after the other."""
    answers = []
    for number in range(people):
        with gateway.client(address=f"127.0.0.{5 + number}") as client:
            answers.append(client.get(path))
    return answers


def cookie_in(answer: httpx.Response) -> str:
    return answer.headers.get("Set-Cookie", "")


@pytest.mark.parametrize("path", [PAGE, PRODUCT])
def test_what_is_everybodys_is_kept(fronted, upstream, path):
    """Or else the tests below would show nothing."""
    says(upstream, PUBLIC)

    first, second = given(fronted, fresh(path))

    assert first.text == second.text


@pytest.mark.parametrize("path", [PAGE, PRODUCT])
@pytest.mark.parametrize("said", PRIVATE.values(), ids=PRIVATE)
def test_what_is_one_buyers_is_made_anew_for_the_next(fronted, upstream, said, path):
    says(upstream, *said)

    first, second = given(fronted, fresh(path))

    assert first.text != second.text
    assert cookie_in(first) != cookie_in(second) or A_COOKIE not in said


@pytest.mark.parametrize("path", ["/o/{}/", "/buy/{}/", "/line/{}/", "/api/v1/orders/{}/", "/pay/return/{}/"])
def test_where_nothing_is_ever_kept_not_even_what_claims_to_be_everybodys_is(fronted, upstream, path):
    says(upstream, PUBLIC, FOR_A_MINUTE)

    first, second = given(fronted, fresh(path))

    assert first.text != second.text
    assert "X-Accel-Expires" not in first.headers


def test_who_waits_for_anothers_page_is_not_given_his_cookie(fronted, upstream):
    says(upstream, PUBLIC, A_COOKIE)
    path = fresh(PAGE)
    with ThreadPoolExecutor(4) as together:
        pages = [page for (page,) in together.map(lambda _: given(fronted, path, people=1), range(4))]

    assert len({cookie_in(page) for page in pages}) == 4


def test_control_if_cookies_were_ignored_one_buyer_would_be_given_anothers(before, upstream):
    says(upstream, PUBLIC, A_COOKIE)

    first, second = given(before(COOKIES_ARE_IGNORED), fresh(PAGE))

    assert cookie_in(first) == cookie_in(second) != ""


def test_control_if_everything_were_public_one_buyers_page_would_be_given_to_another(before, upstream):
    says(upstream, NO_STORE)

    first, second = given(before(EVERYTHING_IS_PUBLIC), fresh(PAGE))

    assert first.text == second.text


def test_control_if_compression_said_first_what_varies_nobody_would_hear_that_all_does(before, upstream):
    says(upstream, PUBLIC, "Vary: *")

    first, second = given(before(COMPRESSION_SAYS_WHAT_VARIES), fresh(PAGE))

    assert first.text == second.text


def told_to_visitors(gateway: Gateway, upstream: Upstream, *headers: str, status: str) -> set[int]:
    """What a crowd is told in the third second after its page has become this."""
    path = fresh(PAGE)
    says(upstream, PUBLIC)
    (first,) = given(gateway, path, people=1)
    assert first.status_code == 200

    def became(_request: bytes) -> bytes:
        time.sleep(0.03)
        return answer(b"", *headers, status=status)

    upstream.answer = became
    begun = time.monotonic()

    def keep_looking(_number: int) -> set[int]:
        told = set()
        with gateway.client() as buyer:
            while (looked := time.monotonic() - begun) < 3:
                seen = buyer.get(path).status_code
                if looked > 2.1:
                    told.add(seen)
                time.sleep(0.01)
        return told

    with ThreadPoolExecutor(CROWD) as crowd:
        return set().union(*crowd.map(keep_looking, range(CROWD)))


def test_a_page_that_is_gone_for_everybody_is_gone_for_a_crowd(fronted, upstream):
    assert told_to_visitors(fronted, upstream, PUBLIC, "X-Accel-Expires: 1", status="404 Not Found") == {404}


@pytest.mark.parametrize(
    ("headers", "status"),
    [([NO_STORE], "404 Not Found"), ([PUBLIC, "X-Accel-Expires: 1"], "503 Service Unavailable")],
)
def test_control_otherwise_a_crowd_would_go_on_seeing_it(fronted, upstream, headers, status):
    assert 200 in told_to_visitors(fronted, upstream, *headers, status=status)


def told_to_clicks(shop: Gateway, gateway: Gateway) -> list[httpx.Response]:
    """What two buyers who want the same are told one after the other. Their passes are from `shop`."""
    answers, quantity = [], next(_numbers)
    for number in range(2):
        address = {"X-Forwarded-For": f"198.51.100.{20 + number}"}
        with shop.client(**address) as page, gateway.client(**address) as buyer:
            answers.append(buyer.post(TICKETS, json=click_of(page, "open", quantity=quantity)))
    return answers


PRIVATE_CLICKS = {
    "nothing said": [],
    "everybody's": [PUBLIC],
    "for a while": ["Cache-Control: max-age=60"],
    "until long after": ["Expires: Fri, 01 Jan 2100 00:00:00 GMT"],
    "a cookie": [FOR_A_MINUTE, A_COOKIE],
    "a cookie, said first": [A_COOKIE, FOR_A_MINUTE],
}


@pytest.mark.parametrize("status", ["202 Accepted", "409 Conflict"])
@pytest.mark.parametrize("said", PRIVATE_CLICKS.values(), ids=PRIVATE_CLICKS)
def test_what_a_click_is_told_is_its_buyers_own(gateway, fronted, upstream, said, status):
    says(upstream, *said, status=status)

    first, second = told_to_clicks(gateway, fronted)

    assert first.text != second.text
    assert cookie_in(first) != cookie_in(second) or A_COOKIE not in said


def test_only_what_is_marked_for_the_gateway_is_told_to_the_next_click(gateway, fronted, upstream):
    says(upstream, WHILE_ASKING, FOR_A_MINUTE, status="409 Conflict")

    first, second = told_to_clicks(gateway, fronted)

    assert first.text == second.text


def test_control_if_cookies_were_ignored_a_click_would_be_told_anothers(gateway, before, upstream):
    says(upstream, FOR_A_MINUTE, A_COOKIE)

    first, second = told_to_clicks(gateway, before(COOKIES_ARE_IGNORED))

    assert cookie_in(first) == cookie_in(second) != ""


CLICKS = 75  # of each, one every 40 ms at most; a pass has five in a moment
STALE_WHILE_ASKING = replacing(
    "proxy_cache_methods POST;", "proxy_cache_methods POST; proxy_cache_use_stale updating;"
)


def told_to_a_crowd(shop: Gateway, gateway: Gateway, upstream: Upstream) -> set[int]:
    """What those are told who keep clicking, in the third second after the no that all of them heard."""
    quantity = next(_numbers)
    with shop.client() as page:
        clicks = [click_of(page, "open", quantity=quantity) for _ in range(CROWD * CLICKS // 5)]
    says(upstream, WHILE_ASKING, f"X-Accel-Expires: @{int(time.time())}", status="409 Conflict")
    with gateway.client() as first:
        assert first.post(TICKETS, json=clicks[0]).status_code == 409
    upstream.answer = let_in
    begun = time.monotonic()

    def keep_clicking(number: int) -> set[int]:
        told = set()
        with gateway.client() as buyer:
            for turn in range(number * CLICKS, (number + 1) * CLICKS):
                clicked = time.monotonic() - begun
                status = buyer.post(TICKETS, json=clicks[turn // 5]).status_code
                if clicked > 3:
                    break
                if clicked > 2.1:
                    told.add(status)
                time.sleep(0.04)
        return told

    with ThreadPoolExecutor(CROWD) as crowd:
        return set().union(*crowd.map(keep_clicking, range(CROWD)))


def let_in(_request: bytes) -> bytes:
    time.sleep(0.03)
    return answer(b"", NO_STORE, status="202 Accepted")


def test_a_no_is_not_told_for_longer_however_many_click(gateway, fronted, upstream):
    assert told_to_a_crowd(gateway, fronted, upstream) == {202}


def test_control_a_stale_no_would_be_told_for_as_long_as_a_crowd_clicks(gateway, before, upstream):
    assert told_to_a_crowd(gateway, before(STALE_WHILE_ASKING), upstream) == {202, 409}
