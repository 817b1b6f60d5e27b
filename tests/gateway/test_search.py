"""The search goes past the cache, at a pace; what robots read is kept like pages."""

import httpx
import pytest

from tests.gateway.log import lines_of
from tests.gateway.test_refusals import flooded
from tests.gateways import Gateway

pytestmark = pytest.mark.timeout(240)


def test_what_strangers_look_for_is_kept_nowhere(gateway: Gateway, buyer: httpx.Client):
    answers = [buyer.get("/en/search/", params={"q": text}) for text in ("coins", "coins", "nothing")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert ["Star coins" in answer.text for answer in answers] == [True, True, False]
    for answer in answers:
        (line,) = lines_of(gateway, answer)
        assert (line["location"], line["cache"]) == ("search", "")
        assert line["pool"]


def test_a_query_makes_no_search_of_another_page(gateway: Gateway, buyer: httpx.Client):
    plain, asked = buyer.get("/en/"), buyer.get("/en/", params={"q": "nothing"})

    assert plain.text == asked.text
    assert lines_of(gateway, asked)[0]["location"] == "catalogue"


def test_one_network_may_not_search_without_end_while_it_still_sees_pages(gateway: Gateway):
    told = flooded(gateway, "/en/search/?q=coins")

    assert told.keys() == {b"200", b"429"}
    assert told[b"429"] > 3000
    with gateway.client(**{"X-Forwarded-For": "203.0.113.250"}) as neighbour:
        assert neighbour.get("/en/p/direct/").status_code == 200


@pytest.mark.parametrize("path", ["/robots.txt", "/sitemap.xml"])
def test_what_robots_read_is_kept_like_a_page(gateway: Gateway, buyer: httpx.Client, path: str):
    answers = [buyer.get(path) for _ in range(20)]

    assert {answer.status_code for answer in answers} == {200}
    kept = [lines_of(gateway, answer)[0]["cache"] for answer in answers]
    assert kept.count("HIT") >= 15, kept
