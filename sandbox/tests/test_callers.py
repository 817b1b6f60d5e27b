"""A web page that the person at this machine happens to visit can neither read nor do anything."""

from collections.abc import Callable

import pytest

from sandbox.callers import require_known_host, require_own_page
from sandbox.tests.actors import RunningSandbox, Shop
from sandbox.web import HttpError, Request


def said_by(**headers: str) -> Request:
    return Request({"REQUEST_METHOD": "POST", **{f"HTTP_{name}": value for name, value in headers.items()}})


def passes(check: Callable[[Request, str], None], request: Request, public_url: str) -> bool:
    try:
        check(request, public_url)
    except HttpError:
        return False
    return True


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8001",
        "127.9.9.9",
        "[::1]:8001",
        "localhost",
        "LOCALHOST:1",
        "pay.localhost:8001",
        "pay.example.com",
    ],
)
def test_it_answers_to_its_own_names(host: str) -> None:
    assert passes(require_known_host, said_by(HOST=host), "https://pay.example.com:8443")


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example:8001",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "a@evil.example",
        "localhost,evil.example",
        "evil.example/localhost",
        "192.168.1.2",
        "0.0.0.0:8001",
        "[::1",
        "sub.pay.example.com",
    ],
)
def test_any_other_name_may_be_a_stranger_that_resolves_here(host: str) -> None:
    assert not passes(require_known_host, said_by(HOST=host), "https://pay.example.com:8443")


@pytest.mark.parametrize(
    "path", ["/", "/_sandbox/ledger", "/_sandbox/knobs", "/healthz", "/mapi.php", "/nowhere"]
)
def test_by_a_rebound_name_nothing_answers(sandbox: RunningSandbox, path: str) -> None:
    for method in ("GET", "POST"):
        answer = sandbox.http.request(method, path, headers={"Host": f"evil.example:{sandbox.port}"})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"SEC_FETCH_SITE": "same-origin", "ORIGIN": "http://127.0.0.1:8001"},
        {"SEC_FETCH_SITE": "none"},
        {"ORIGIN": "http://127.0.0.1:8001"},
        {"ORIGIN": "https://pay.example.com"},  # through a proxy that calls it by its address
        {},
    ],
    ids=str,
)
def test_own_pages_and_programs_may_act(headers: dict[str, str]) -> None:
    assert passes(require_own_page, said_by(HOST="127.0.0.1:8001", **headers), "https://pay.example.com")


STRANGERS = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8000"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://127.0.0.1:8000"},
    {"Origin": "http://[::1"},
    {"Origin": "null"},
]


@pytest.mark.parametrize("headers", STRANGERS, ids=str)
def test_another_sites_page_turns_no_knob_and_pays_nothing(
    sandbox: RunningSandbox, shop: Shop, headers: dict[str, str]
) -> None:
    trade_no = sandbox.open_trade(shop.bill())
    plain = {**headers, "Content-Type": "text/plain"}
    form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}

    answers = [
        sandbox.http.post("/_sandbox/knobs", content=b'{"notice_drop": 9}', headers=plain),
        sandbox.http.post("/_sandbox/reset", headers=plain),
        sandbox.http.post(f"/_sandbox/trades/{trade_no}/pay", headers=plain),
        sandbox.http.post(f"/_sandbox/trades/{trade_no}/notify", headers=plain),
        sandbox.http.post(f"/pay/{trade_no}", content=b"action=pay", headers=form),
        sandbox.http.post("/", content=b"notice_drop=9", headers=form),
    ]

    assert [answer.status_code for answer in answers] == [403] * 6
    assert sandbox.booked(trade_no)["status"] == 0
    assert sandbox.http.get("/_sandbox/knobs").json()["notice_drop"] == 0


@pytest.mark.parametrize("headers", STRANGERS, ids=str)
def test_the_shops_page_may_send_its_buyer_to_the_providers_entrance(
    sandbox: RunningSandbox, shop: Shop, headers: dict[str, str]
) -> None:
    answer = sandbox.http.post("/submit.php", data=shop.bill(), headers=headers)

    assert answer.status_code == 303
    assert sandbox.http.get(answer.headers["location"], headers=headers).status_code == 200
    assert sandbox.http.post("/mapi.php", data=shop.bill(), headers=headers).json()["code"] == 1


def test_the_buttons_of_its_own_pages_work_in_browsers_of_any_age(
    sandbox: RunningSandbox, shop: Shop
) -> None:
    """Those that say no Sec-Fetch-Site say an Origin, which no-referrer would make null."""
    trade_no = sandbox.open_trade(shop.bill())

    assert sandbox.http.get(f"/pay/{trade_no}").headers["referrer-policy"] == "same-origin"
    own = {"Origin": sandbox.base_url}
    assert sandbox.http.post(f"/pay/{trade_no}", data={"action": "pay"}, headers=own).status_code == 303
    assert sandbox.booked(trade_no)["status"] == 1
