"""Clicks on "buy": who gets as far as Django, and what is said before."""

import time
from collections import Counter

import httpx
import pytest

from tests.gateway.buying import TICKETS, click_of, form_of
from tests.gateway.log import lines_of
from tests.gateways import Gateway

pytestmark = pytest.mark.timeout(240)


def was_kept(gateway: Gateway, answer: httpx.Response) -> bool:
    return lines_of(gateway, answer)[0]["cache"] in ("HIT", "UPDATING", "STALE")


def refused_alike(gateway: Gateway, buyer: httpx.Client, code: str) -> httpx.Response:
    """The last of some buyers' answers, which were the same; most of them Django was not asked for."""
    clicks = [click_of(buyer, code) for _ in range(20)]
    answers = [buyer.post(TICKETS, json=click) for click in clicks]
    kept = sum(was_kept(gateway, answer) for answer in answers)
    assert kept >= 15
    assert {answer.status_code for answer in answers} == {409}
    assert len({answer.text for answer in answers}) == 1
    return answers[-1]


def fill(buyer: httpx.Client, code: str) -> dict[str, object]:
    """Click until the line is full; the first click, which has a ticket."""
    first = click_of(buyer, code)
    assert buyer.post(TICKETS, json=first).status_code == 202
    for _ in range(10):
        if buyer.post(TICKETS, json=click_of(buyer, code)).status_code == 409:
            return first
        time.sleep(0.3)
    raise AssertionError("it never becomes full")


@pytest.fixture(scope="module")
def held(gateway: Gateway) -> dict[str, object]:
    """A click on `full` that has a ticket; everybody after it has none."""
    with gateway.client(**{"X-Forwarded-For": "198.51.100.7"}) as client:
        return fill(client, "full")


def test_a_click_goes_in_and_its_ticket_is_told_by_the_pool_of_the_rush(
    gateway: Gateway, buyer: httpx.Client
):
    answer = buyer.post(TICKETS, json=click_of(buyer, "open"))
    look = buyer.get(answer.headers["Location"])

    assert (answer.status_code, look.status_code) == (202, 200)
    assert look.json()["ticket"] == answer.json()["ticket"]
    hot = gateway.shop.hot_url.removeprefix("http://")
    assert {lines_of(gateway, each)[0]["pool"] for each in (answer, look)} == {hot}


def test_what_is_sold_directly_does_not_wait_behind_the_rush(gateway: Gateway, buyer: httpx.Client):
    assert "data-sold-directly" in buyer.get("/buy/direct/").text
    assert "data-sold-directly" not in buyer.get("/buy/open/").text

    answer = buyer.post(TICKETS, json=click_of(buyer, "direct"), headers={"X-Sold": "directly"})

    assert (answer.status_code, answer.json()["status"]) == (202, "held")
    assert lines_of(gateway, answer)[0]["pool"] == gateway.shop.url.removeprefix("http://")


@pytest.mark.parametrize(("code", "said"), [("paused", "paused"), ("unopened", "not_open")])
def test_a_no_that_is_everybodys_is_said_at_the_gateway(
    gateway: Gateway, buyer: httpx.Client, code: str, said: str
):
    answer = refused_alike(gateway, buyer, code)

    assert answer.json()["code"] == said
    assert answer.headers["Cache-Control"] == "no-store"
    assert int(answer.headers["Retry-After"]) >= 1
    assert "X-Accel-Expires" not in answer.headers


def test_a_full_line_is_full_for_everybody_but_who_is_in_it(
    gateway: Gateway, buyer: httpx.Client, held: dict[str, object]
):
    answer = refused_alike(gateway, buyer, "full")
    assert answer.json()["code"] == "line_full"

    again = buyer.post(TICKETS, json=held, headers={"X-Click": "again"})

    assert (again.status_code, len(again.json()["ticket"])) == (202, 64)


def test_control_without_saying_again_who_is_in_the_line_would_be_turned_away(
    buyer: httpx.Client, held: dict[str, object]
):
    buyer.post(TICKETS, json=click_of(buyer, "full"))

    assert buyer.post(TICKETS, json=held).json()["code"] == "line_full"


def test_the_no_is_said_in_each_buyers_language(buyer: httpx.Client):
    clicks = [click_of(buyer, "paused") for _ in range(8)]
    languages = ["en", "zh-CN,zh;q=0.9"] * 4

    said = {
        (
            language,
            buyer.post(TICKETS, json=click, headers={"Accept-Language": language}).json()["message"][:4],
        )
        for language, click in zip(languages, clicks, strict=True)
    }

    assert len(said) == 2
    assert {message for language, message in said if language == "en"} == {"The "}


def test_a_no_to_three_is_not_taken_for_a_no_to_one(gateway: Gateway, buyer: httpx.Client):
    """Room for one: three are refused, and one is let in within the same second."""
    answers = [
        buyer.post(TICKETS, json=click_of(buyer, "roomy", quantity=quantity)) for quantity in (3, 3, 1)
    ]

    assert [answer.status_code for answer in answers] == [409, 409, 202]


def test_a_resumed_sale_is_heard_of_after_a_moment(gateway: Gateway, buyer: httpx.Client):
    refused_alike(gateway, buyer, "resumed")
    lines = (
        "from orders.models import Sale; Sale.objects.filter(variant__code='resumed').update(is_paused=False)"
    )
    assert gateway.shop.manage("shell", "-c", lines).returncode == 0

    for _ in range(60):
        answer = buyer.post(TICKETS, json=click_of(buyer, "resumed"))
        if answer.status_code == 202:
            break
        time.sleep(0.1)

    assert answer.status_code == 202


def test_a_pass_that_is_none_ends_at_the_gateway_in_djangos_words(gateway: Gateway, buyer: httpx.Client):
    click = click_of(buyer, "open")
    forged = f"{click['pass'][:-5]}AAAAA"
    bad = [
        {**click, "pass": forged},
        {**click, "pass": ""},
        {**click, "variant": "direct"},
        {**click, "pass": 7},
    ]

    here = [buyer.post(TICKETS, json=each) for each in bad]
    there = httpx.post(f"{gateway.shop.url}{TICKETS}", json=bad[0], headers={"Accept-Language": "en"})

    assert there.status_code == 403
    assert {(each.status_code, each.text) for each in here[:3]} == {(403, here[0].text)}
    assert here[0].json() == there.json()
    assert {lines_of(gateway, each)[0]["pool"] for each in here} == {""}
    for name in ("Content-Type", "Cache-Control", "Content-Language", "X-Content-Type-Options"):
        assert here[0].headers[name] == there.headers[name]


def test_what_is_no_click_at_all_hears_from_django_what_is_wrong(buyer: httpx.Client):
    shapes = [b"", b"null", b"[]", b"{", b'{"variant": 1}']

    answers = [
        buyer.post(TICKETS, content=each, headers={"Content-Type": "application/json"}) for each in shapes
    ]

    assert {(answer.status_code) for answer in answers} == {400}


def test_one_pass_clicks_a_few_times_in_a_second_and_no_more(buyer: httpx.Client):
    click = click_of(buyer, "open")

    answers = [buyer.post(TICKETS, json=click) for _ in range(30)]

    told = Counter(answer.status_code for answer in answers)
    assert told[202] >= 6
    assert told[429] >= 10
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Retry-After"] == "2"
    assert refused.json()["code"] == "too_many_requests"


def test_many_phones_behind_one_address_all_click(buyer: httpx.Client):
    clicks = [click_of(buyer, "open") for _ in range(60)]

    answers = Counter(buyer.post(TICKETS, json=click).status_code for click in clicks)

    assert answers[429] <= 40  # the shop's own limit of tickets of one address, which says so itself
    assert answers[202] >= 15


def test_a_form_becomes_an_order(gateway: Gateway, buyer: httpx.Client):
    answer = buyer.post("/en/buy/direct/", data=form_of(buyer, "/en/buy/direct/"))

    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/en/o/")
    assert buyer.get(answer.headers["Location"]).status_code == 200


def test_a_form_with_an_old_pass_is_shown_again_with_a_fresh_one_a_few_at_a_time(buyer: httpx.Client):
    form = {**form_of(buyer, "/en/buy/direct/"), "pass": "v1.old"}

    answers = [buyer.post("/en/buy/direct/", data=form) for _ in range(80)]

    assert answers[0].status_code == 403
    assert form["contact_email"] in answers[0].text
    assert 'name="pass" value="v1.old"' not in answers[0].text
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert 'lang="en"' in refused[0].text
    assert refused[0].headers["Retry-After"] == "2"


def test_nothing_of_a_click_is_written_down(gateway: Gateway, buyer: httpx.Client):
    click = click_of(buyer, "open")
    ticket = buyer.post(TICKETS, json=click).json()["ticket"]
    buyer.get(f"{TICKETS}open/{ticket}/")
    order = buyer.post("/buy/direct/", data=form_of(buyer, "/buy/direct/")).headers["Location"]
    buyer.get(order)
    lines_of(gateway, buyer.get("/healthz"))

    secrets_told = [ticket, click["pass"], click["contact_email"], order.split("/")[2]]
    kept = [path for folder in ("cache", "temporary") for path in (gateway.folder / folder).rglob("*")]
    written = b"".join(path.read_bytes() for path in [*kept, gateway.log, gateway.errors] if path.is_file())
    assert not [secret for secret in secrets_told if str(secret).encode() in written]
