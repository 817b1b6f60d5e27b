"""Cross-site posts, by what browsers say."""

import pytest
from django.test import RequestFactory

from cardshop.traffic.same_origin import CrossSite, require_same_origin


def post(**headers):
    return RequestFactory().post("/", headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://testserver"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    ],
)
def test_our_own_forms_and_silent_programs_are_accepted(headers):
    require_same_origin(post(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "null"},
        {"Origin": "garbage"},
        {"Origin": "http://[::1"},
        {"Origin": "http://testserver/"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
    ],
)
def test_other_sites_are_refused(headers):
    with pytest.raises(CrossSite):
        require_same_origin(post(**headers))


def test_reading_is_never_refused():
    require_same_origin(RequestFactory().get("/", headers={"Sec-Fetch-Site": "cross-site"}))
