"""What one network address may send together."""

import pytest
from django.test import Client

from cardshop.traffic.buckets import _connect
from tests.factories import make_attempt, make_channel, make_order, make_variant, notice_query

pytestmark = pytest.mark.django_db

HOME = "203.0.114.7"  # global, unlike the ranges for documentation


@pytest.fixture(autouse=True)
def _limits(settings) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1/32"]
    settings.ACTIONS_PER_SECOND, settings.ACTIONS_AT_ONCE = 0.001, 2
    for key in _connect().scan_iter("bucket:*"):
        _connect().delete(key)
    make_variant(keys=9, code="coins")


def ask_for_pass(address: str = HOME, language: str = "en"):
    return Client().post(
        "/api/v1/passes/",
        {"variant": "coins"},
        content_type="application/json",
        headers={"X-Forwarded-For": address, "Accept-Language": language},
    )


def test_the_third_action_is_told_when_to_come_again():
    assert [ask_for_pass().status_code for _ in range(2)] == [201, 201]

    answer = ask_for_pass()

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert 900 < int(answer["Retry-After"]) <= 1000
    assert "from your network" in answer.json()["message"]
    assert "您所在的网络" in ask_for_pass(language="zh-CN").json()["message"]


def test_an_answer_tells_how_much_is_left():
    answer = ask_for_pass()

    assert answer["RateLimit-Policy"] == '"actions";q=2;w=2000'
    assert answer["RateLimit"].startswith('"actions";r=1;t=')


@pytest.mark.parametrize("prefix", ["", "/en"])
def test_a_form_is_refused_by_a_page_and_makes_no_order(prefix):
    for _ in range(2):
        ask_for_pass()

    answer = Client().post(f"{prefix}/buy/coins/", {"quantity": "1"}, headers={"X-Forwarded-For": HOME})

    assert (answer.status_code, "Retry-After" in answer) == (429, True)
    assert ("from your network" if prefix else "您所在的网络") in answer.content.decode()


def test_a_household_of_ipv6_is_one_and_its_neighbour_another():
    assert ask_for_pass("2a00:1450:4001:81b::1").status_code == 201
    assert ask_for_pass("2a00:1450:4001:81b:1:2:3:4").status_code == 201

    assert ask_for_pass("2a00:1450:4001:81b::2").status_code == 429
    assert ask_for_pass("2a00:1450:4001:81c::1").status_code == 201


def test_what_a_visitor_says_of_its_address_counts_for_nothing(settings):
    settings.TRUSTED_PROXIES = []
    answers = [
        Client(REMOTE_ADDR=HOME).post(
            "/api/v1/passes/",
            {"variant": "coins"},
            content_type="application/json",
            headers={"X-Forwarded-For": f"198.41.0.{number}"},
        )
        for number in range(3)
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 429]


def test_a_proxy_of_our_own_that_is_not_named_is_nobody_to_be_counted():
    assert {ask_for_pass("10.0.0.7").status_code for _ in range(4)} == {201}


def test_looking_is_not_counted_and_no_provider_is_ever_refused():
    attempt = make_attempt(make_order(make_variant(keys=1)), channel=make_channel(slug="other"))
    address = {"X-Forwarded-For": HOME}
    for _ in range(3):
        ask_for_pass()
    notify = f"/pay/notify/{attempt.channel.slug}/"

    forged = [Client().post(f"{notify}?sign=forged", headers=address).status_code for _ in range(30)]
    genuine = Client().get(f"{notify}?{notice_query(attempt)}", headers=address)

    assert set(forged) == {400}
    assert genuine.content == b"success"
    assert Client().get(f"/o/{attempt.payment.order.token}/", headers=address).status_code == 200
