"""What is kept for everybody: nothing that one client says is in it, and nobody has a copy of his own."""

import re
import secrets
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event
from typing import Any

import httpx
import pytest

from tests.gateway.log import lines_of
from tests.gateway.upstream import FOR_A_MINUTE, PUBLIC, Upstream, answer, headers_of, long_answer
from tests.gateway.wire import answers, host_of, request
from tests.gateways import Gateway, replacing

pytestmark = pytest.mark.timeout(240)

SAID = {
    "Host-Override": "evil.example",
    "X-Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "6666",
    "X-Forwarded-Scheme": "evil",
    "X-Forwarded-Proto": "evil",
    "Forwarded": "host=evil.example;proto=gopher",
    "X-Original-URL": "/evil/",
    "X-Rewrite-URL": "/evil/",
    "X-HTTP-Method": "DELETE",
    "X-HTTP-Method-Override": "DELETE",
    "X-Method-Override": "DELETE",
    "X-Accel-Redirect": "/refused/403.en.html",
    "X-Accel-Expires": "6666",
    "X-Request-Id": "evil-evil-evil",
    "Authorization": "Basic ZXZpbDpldmls",
    "Cookie": "django_language=en; sessionid=evil",
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
    "Range": "bytes=0-1",
    "If-Range": '"evil"',
    "If-None-Match": "*",
    "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT",
    "Accept": "evil/*",
    "Accept-Encoding": "evil, gzip;q=0",
    "Accept-Language": "en-evil;q=9,,;;",
    "Origin": "https://evil.example",
    "Referer": "https://evil.example/",
    "User-Agent": "evil",
}
LIES: dict[str, dict[str, Any]] = {
    **{name: {"headers": {name: value}} for name, value in SAID.items()},
    "a part that is not there": {"headers": {"Range": "bytes=9999999-"}},
    "a query": {"params": {"evil": "evil"}},
    "a method in the query": {"params": {"_method": "DELETE"}},
    "a language in the query": {"params": {"language": "zh-hans"}},
    "a body": {"content": b"evil=evil"},
    "HEAD": {"method": "HEAD"},
}
HONEST = {"Accept-Language": "en", "Accept-Encoding": "identity"}
PAGE, PRODUCT = "/en/p/{}/", "/api/v1/products/{}/"

_numbers = count(1)


def fresh(path: str) -> str:
    """The path of goods that nobody has asked for yet."""
    return path.format(f"goods-{next(_numbers)}")


def lied_to(client: httpx.Client, path: str, lie: dict[str, Any], **honest: str) -> httpx.Response:
    said = {"method": "GET", **lie}
    return client.request(url=path, **{**said, "headers": {**honest, **said.get("headers", {})}})


@pytest.mark.parametrize("path", ["/en/", "/en/p/direct/", "/api/v1/products/direct/"])
def test_the_page_that_django_makes_for_a_liar_is_everybodys(gateway, path):
    """Each liar comes to a host of his own, so that nothing is kept yet."""
    left = dict(LIES)
    for _ in range(5):
        rounds = {name: lie_and_look(gateway, path, left[name]) for name in left}
        for name, (_lied, seen) in rounds.items():
            assert seen.status_code == 200, name
            assert "evil" not in seen.text + repr(seen.headers), name
            assert seen.headers["Content-Language"] == "en", name
            assert len(seen.content) > 100, name
        # The second may have ended between both.
        left = {name: left[name] for name in left if cache_states(gateway, rounds[name]) != ["MISS", "HIT"]}
        if not left:
            return
    raise AssertionError(f"never filled the cache: {left}")


def lie_and_look(gateway: Gateway, path: str, lie: dict[str, Any]) -> tuple[httpx.Response, httpx.Response]:
    honest = {"Host": f"{secrets.token_hex(4)}.localhost:{gateway.port}", **HONEST}
    with gateway.client(address="127.0.0.3") as liar, gateway.client(address="127.0.0.4") as next_one:
        return lied_to(liar, path, lie, **honest), next_one.get(path, headers=honest)


def cache_states(gateway: Gateway, given: tuple[httpx.Response, ...]) -> list[str]:
    return [lines_of(gateway, each)[0]["cache"] for each in given]


def heard_of(gateway: Gateway, upstream: Upstream, path: str, lie: dict[str, Any]) -> list[bytes]:
    """What the server behind was asked, when a liar and another one have come to the same new page."""
    with gateway.client(address="127.0.0.3") as liar, gateway.client(address="127.0.0.4") as next_one:
        lied_to(liar, path, lie, **HONEST)
        seen = next_one.get(path, headers=HONEST)
    assert seen.status_code == 200
    return upstream.heard


@pytest.mark.parametrize("path", [PAGE, PRODUCT])
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_the_server_behind_is_asked_once_and_hears_nothing_of_what_a_client_says(
    fronted, upstream, path, lie
):
    path = fresh(path)

    (heard,) = heard_of(fronted, upstream, path, lie)

    language = {"accept-language": ["en"]} if path.startswith("/api/") else {}
    told = headers_of(heard)
    del told["x-request-id"]
    assert heard.startswith(f"GET {path} HTTP/1.1\r\n".encode())
    assert told == {
        "host": [host_of(fronted)],
        "x-forwarded-for": ["127.0.0.3"],
        "x-forwarded-proto": ["http"],
        **language,
    }
    assert heard.endswith(b"\r\n\r\n")
    assert b"evil" not in heard


REFUSED: dict[str, dict[str, Any]] = {
    **{method: {"method": method} for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "TRACE")},
    "If-Match": {"headers": {"If-Match": "0"}},
    "If-Unmodified-Since": {"headers": {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}},
}


@pytest.mark.parametrize("path", [PAGE, PRODUCT])
@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_not_asked_of_the_server_behind(fronted, upstream, refused, path):
    (heard,) = heard_of(fronted, upstream, fresh(path), refused)

    assert headers_of(heard)["x-forwarded-for"] == ["127.0.0.4"]  # of the one who came next


CONDITIONS_ARE_HEEDED = replacing("if ($is_for_writers)", "if ($is_closed)")
NOBODY_HAS_TO_STAY = replacing("proxy_ignore_client_abort on;", "")


def ask_on_a_condition(gateway: Gateway, path: str) -> None:
    with gateway.client(address="127.0.0.3") as liar:
        liar.get(path, headers={**HONEST, "If-Match": '"evil"'})


def ask_and_hang_up(gateway: Gateway, path: str) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host_of(gateway)}\r\n\r\n".encode())


def is_held_in_place(gateway: Gateway, upstream: Upstream, ask: Callable[[Gateway, str], None]) -> bool:
    """Whether a page is still the old one when it should not be, while others ask for it in a hostile way."""
    path, is_over = fresh(PAGE), Event()
    upstream.answer = slowly

    def keep_asking(_number: int) -> None:
        while not is_over.wait(0.005):
            ask(gateway, path)

    with gateway.client(address="127.0.0.4") as client, ThreadPoolExecutor(4) as liars:
        old = client.get(path, headers=HONEST).text
        asking = liars.map(keep_asking, range(4))
        time.sleep(2.5)  # it is kept for two at most
        seen = client.get(path, headers=HONEST).text
        is_over.set()
        list(asking)
    return seen == old


def slowly(request: bytes) -> bytes:
    time.sleep(0.2)
    return answer(request, PUBLIC)


@pytest.mark.parametrize("ask", [ask_on_a_condition, ask_and_hang_up])
def test_nobody_holds_an_old_page_in_place(fronted, upstream, ask):
    assert not is_held_in_place(fronted, upstream, ask)


@pytest.mark.parametrize(
    ("change", "ask"),
    [(CONDITIONS_ARE_HEEDED, ask_on_a_condition), (NOBODY_HAS_TO_STAY, ask_and_hang_up)],
)
def test_control_otherwise_the_old_page_would_stay(before, upstream, change, ask):
    assert any(is_held_in_place(before(change), upstream, ask) for _ in range(3))


# Whatever somebody is told of himself alone is kept from the server behind by nginx, where it keeps anything.
NEVER_PASSED = {"Range", "If-Range", "If-None-Match", "If-Modified-Since"}
OURS = {"X-Forwarded-Proto", "X-Request-Id"}


def headers_are_passed_on(configuration: str) -> str:
    emptied = re.compile(r'proxy_set_header \S+ "";')
    changed = replacing("proxy_pass_request_headers off;", "")(emptied.sub("", configuration))
    return replacing("proxy_set_header Accept-Encoding $coding;", "")(changed)


def test_control_if_headers_were_passed_on_all_of_these_lies_would_be_noticed(before, upstream):
    careless = before(headers_are_passed_on)
    noticed = set()
    for name, value in SAID.items():
        upstream.start_over()
        (heard,) = heard_of(careless, upstream, fresh(PAGE), LIES[name])
        if headers_of(heard).get(name.lower()) == [value]:
            noticed.add(name)

    assert noticed == SAID.keys() - NEVER_PASSED - OURS


QUERIES_ARE_PASSED_ON = replacing("storefront$uri;", "storefront$uri$is_args$args;")
QUERIES_ARE_IN_THE_KEY = replacing("_key $shop_host$uri:$coding;", "_key $shop_host$uri$args:$coding;")
HEADS_STAY_HEADS = replacing("proxy_cache catalogue;", "proxy_cache catalogue; proxy_cache_convert_head off;")


def test_control_a_query_that_was_passed_on_would_be_in_everybodys_page(before, upstream):
    (heard,) = heard_of(before(QUERIES_ARE_PASSED_ON), upstream, fresh(PAGE), LIES["a query"])

    assert b"evil" in heard


def test_control_with_the_query_in_the_key_everybody_could_have_a_page_made(before, upstream):
    assert len(heard_of(before(QUERIES_ARE_IN_THE_KEY), upstream, fresh(PAGE), LIES["a query"])) == 2


def test_control_a_head_that_stayed_one_would_be_kept_as_everybodys_page(before, upstream):
    with before(HEADS_STAY_HEADS).client() as client:
        client.head(fresh(PAGE))

    assert upstream.heard[0].startswith(b"HEAD ")


# How somebody may say which coding he takes, and the one that he is given.
CODINGS = {
    "gzip": "gzip",
    "GZip": "gzip",
    "x-gzip": "gzip",
    "deflate, gzip;q=0.001, br": "gzip",
    "gzip ;q=1": "gzip",
    "evil;q=0,gzip,evil;q=0": "gzip",
    "gzip;q=0": None,
    "gzip ; Q=0.000": None,
    "evil, gzip; q=0 , *": None,
    "gzip-evil": None,
    "evil-gzip": None,
    "gzip evil": None,
    "evilgzip": None,
    "*": None,
    "br": None,
    "": None,
}
CODINGS_ARE_AS_THEY_WERE_SAID = replacing(":$coding;", ":$http_accept_encoding;")


def given_by_coding(gateway: Gateway, upstream: Upstream, path: str) -> dict[str, str | None]:
    upstream.answer = lambda request: long_answer(request.decode(), PUBLIC, FOR_A_MINUTE)
    given = {}
    with gateway.client() as client:
        for accepted in CODINGS:
            page = client.get(path, headers={"Accept-Encoding": accepted})
            assert "Accept-Encoding" in page.headers["Vary"]
            given[accepted] = page.headers.get("Content-Encoding")
    return given


@pytest.mark.parametrize("path", [PAGE, PRODUCT])
def test_there_are_two_ways_to_have_a_page_and_no_third_however_it_is_asked_for(fronted, upstream, path):
    assert given_by_coding(fronted, upstream, fresh(path)) == CODINGS

    assert len(upstream.heard) == 2
    assert all("accept-encoding" not in headers_of(heard) for heard in upstream.heard)


def test_control_with_the_coding_as_it_was_said_everybody_could_have_a_page_made(before, upstream):
    given_by_coding(before(CODINGS_ARE_AS_THEY_WERE_SAID), upstream, fresh(PAGE))

    assert len(upstream.heard) == len(CODINGS)


PATHS = [
    "/en/p/{}/",
    "//en//p/{}/",
    "/en/./p/{}/",
    "/en/evil/../p/{}/",
    "/en/%70/{}/",
    "/en/p/{}%2f",
    "/en/p/{}/?evil",
    "/en/p/{}/?evil=%0a#evil",
    "/en/p/{}/#evil",
]
A_LINE_FEED_MAY_FOLLOW = replacing(r"\z", "$")


def asked_for(gateway: Gateway, path: str) -> list[int]:
    return answers(gateway, request(f"GET {path}", "Connection: close"))


def test_each_page_is_one_however_its_path_is_spelled(fronted, upstream):
    name = f"goods-{next(_numbers)}"

    assert [asked_for(fronted, path.format(name)) for path in PATHS] == [[200]] * len(PATHS)

    (heard,) = upstream.heard
    assert heard.startswith(f"GET /en/p/{name}/ HTTP/1.1\r\n".encode())


def first_lines_heard_of_a_line_feed(gateway: Gateway, upstream: Upstream, path: str) -> list[bytes]:
    for _ in range(2):
        asked_for(gateway, f"{path}%0a")
    return [heard.partition(b"\r\n")[0] for heard in upstream.heard]


@pytest.mark.parametrize("path", [PAGE, PRODUCT])
def test_a_line_feed_at_the_end_of_a_path_makes_no_page_of_it_that_is_kept(fronted, upstream, path):
    path = fresh(path)

    heard = first_lines_heard_of_a_line_feed(fronted, upstream, path)

    assert heard == [f"GET {path}%0a HTTP/1.1".encode()] * 2


def test_control_otherwise_it_would_be_a_second_page_asked_for_in_two_lines(before, upstream):
    path = fresh(PAGE)

    heard = first_lines_heard_of_a_line_feed(before(A_LINE_FEED_MAY_FOLLOW), upstream, path)

    assert heard == [f"GET {path}\n HTTP/1.1".encode()]


# How somebody may spell a host that is ours, and how it is always spelled.
SPELLED = {
    "localhost": "localhost",
    "LocalHost": "localhost",
    "localhost.": "localhost",
    "LOCALHOST.:80": "localhost",
    "localhost:": "localhost",
    "localhost:1": "localhost",
    "Demo.Localhost": "demo.localhost",
    "127.0.0.1.": "127.0.0.1",
    "[::1]": "[::1]",
}
HOST_IS_NOT_IN_THE_KEY = replacing("_key $shop_host$uri:$coding;", "_key $uri:$coding;")
HOST_IS_AS_IT_WAS_SAID = replacing("Host $shop_host;", "Host $http_host;")


def made_for(gateway: Gateway, path: str, hosts: list[str]) -> list[str]:
    """For which host the page was made that each of them is given."""
    with gateway.client() as client:
        pages = [client.get(path, headers={"Host": host}).content for host in hosts]
    return [headers_of(page)["host"][0] for page in pages]


@pytest.mark.parametrize("path", [PAGE, PRODUCT])
@pytest.mark.parametrize(("spelled", "host"), SPELLED.items())
def test_each_host_has_one_page_however_it_is_spelled(fronted, upstream, spelled, host, path):
    ours = f"{host}:{fronted.port}"

    made = made_for(fronted, fresh(path), [spelled, host, "other.localhost", ours])

    assert made == [ours, ours, f"other.localhost:{fronted.port}", ours]
    assert len(upstream.heard) == 2


@pytest.mark.usefixtures("upstream")
def test_a_host_in_the_first_line_is_the_one_that_counts(fronted):
    """The standard has it so, and Django must hear of the same one by which the page is kept."""
    path, ours = fresh(PAGE), [f"{host}:{fronted.port}" for host in ("demo.localhost", "other.localhost")]
    line = f"GET http://demo.localhost{path} HTTP/1.1\r\nHost: other.localhost\r\nConnection: close\r\n\r\n"

    assert answers(fronted, line) == [200]

    assert made_for(fronted, path, ours) == ours


@pytest.mark.usefixtures("upstream")
def test_control_without_the_host_in_the_key_one_shop_would_show_anothers_page(before):
    careless = before(HOST_IS_NOT_IN_THE_KEY)

    made = made_for(careless, fresh(PAGE), ["demo.localhost", "other.localhost"])

    assert made == [f"demo.localhost:{careless.port}"] * 2


@pytest.mark.usefixtures("upstream")
def test_control_a_host_passed_on_as_it_was_said_would_be_in_the_next_ones_page(before):
    careless = before(HOST_IS_AS_IT_WAS_SAID)

    assert made_for(careless, fresh(PAGE), ["LocalHost.:1", "localhost"]) == ["LocalHost.:1"] * 2


HOSTS = ["evil.example", "", "a b", "127.0.0.1@evil.example", "demo.localhost/evil", "[::1"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_none_of_ours_is_refused_before_django(gateway, host):
    assert answers(gateway, f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n") == [400]
