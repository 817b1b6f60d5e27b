from urllib.parse import parse_qsl, urlsplit

import pytest

from sandbox import epay
from sandbox.tests.actors import KEY, RunningSandbox, Shop


def press(sandbox: RunningSandbox, trade_no: str, action: str) -> str:
    answer = sandbox.http.post(f"/pay/{trade_no}", data={"action": action})
    assert answer.status_code == 303
    return str(answer.headers["location"])


def test_the_page_shows_what_is_paid_for_and_sets_no_cookie(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill(name="<b>卡</b>", money="9.9"))

    page = sandbox.http.get(f"/pay/{trade_no}")

    assert page.status_code == 200
    assert "&lt;b&gt;卡&lt;/b&gt;" in page.text
    assert "¥9.90" in page.text
    assert "set-cookie" not in page.headers
    assert "<script" not in page.text


def test_paying_returns_the_buyer_with_the_very_query_the_notice_carries(
    sandbox: RunningSandbox, shop: Shop
) -> None:
    trade_no = sandbox.open_trade(shop.bill(money="9.90", param="p"))

    back = press(sandbox, trade_no, "pay")

    [notice] = shop.wait_for(1)
    query = dict(parse_qsl(urlsplit(back).query))
    assert back.startswith(f"{shop.base_url}/return?order=7&pid=1001&")
    assert query.pop("order") == "7"
    assert query == notice
    assert epay.verify(notice, KEY)


def test_pressing_pay_twice_pays_once_and_returns_twice(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())

    assert press(sandbox, trade_no, "pay") == press(sandbox, trade_no, "pay")

    shop.wait_for(1)
    assert len(sandbox.outcomes(trade_no)) == 1


def test_declining_leaves_the_trade_unpaid_and_signs_nothing(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())

    assert press(sandbox, trade_no, "decline") == f"{shop.base_url}/return?order=7"

    assert sandbox.booked(trade_no)["status"] == 0
    assert sandbox.outcomes(trade_no) == []


def test_without_a_return_url_the_pay_page_itself_says_it_is_paid(
    sandbox: RunningSandbox, shop: Shop
) -> None:
    trade_no = sandbox.open_trade(shop.bill(return_url=""))

    assert press(sandbox, trade_no, "pay") == f"/pay/{trade_no}"

    page = sandbox.http.get(f"/pay/{trade_no}?lang=en").text
    assert "Paid" in page
    assert "<form" not in page


def test_a_paid_page_leads_back_to_the_shop_signed(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())
    press(sandbox, trade_no, "pay")

    assert "&amp;sign=" in sandbox.http.get(f"/pay/{trade_no}").text


def test_an_unknown_trade_or_button_is_refused(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())

    assert sandbox.http.get("/pay/0").status_code == 404
    assert sandbox.http.post("/pay/0", data={"action": "pay"}).status_code == 404
    assert sandbox.http.post(f"/pay/{trade_no}", data={"action": "steal"}).status_code == 400
    assert sandbox.booked(trade_no)["status"] == 0


@pytest.mark.parametrize(
    ("query", "accepted", "tag"),
    [
        ("", "", "zh-Hans"),
        ("", "en-GB,en;q=0.9", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("", "en;q=0.5,zh;q=0.9", "zh-Hans"),
        ("", "fr,en;q=nonsense", "zh-Hans"),
        ("?lang=zh", "en", "zh-Hans"),
        ("?lang=en", "zh", "en"),
        ("?lang=%ff", "en", "en"),
    ],
)
def test_pages_speak_the_language_that_is_asked_for(
    sandbox: RunningSandbox, query: str, accepted: str, tag: str
) -> None:
    page = sandbox.http.get(f"/{query}", headers={"Accept-Language": accepted})

    assert f'<html lang="{tag}">' in page.text


def test_the_front_page_lists_trades_and_turns_knobs(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill()
    trade_no = sandbox.open_trade(form)
    page = sandbox.http.get("/?lang=en").text
    knobs = {name: str(value) for name, value in sandbox.http.get("/_sandbox/knobs").json().items()}

    answer = sandbox.http.post("/?lang=en", data={**knobs, "notice_drop": "3"})

    assert f'<a href="/pay/{trade_no}?lang=en">{form["out_trade_no"]}</a>' in page
    assert answer.headers["location"] == "/?lang=en"
    assert sandbox.http.get("/_sandbox/knobs").json()["notice_drop"] == 3
    sandbox.http.post("/", data={**knobs, "reset": "1"})
    assert sandbox.http.get("/_sandbox/knobs").json()["notice_drop"] == 0


@pytest.mark.parametrize("wrong", [{"notice_drop": "x"}, {"api_delay_s": "nan"}, {"nothing": "1"}])
def test_the_front_page_says_which_knob_is_wrong(sandbox: RunningSandbox, wrong: dict[str, str]) -> None:
    answer = sandbox.http.post("/", data=wrong)

    assert answer.status_code == 400
    assert f'role="alert">{next(iter(wrong))}: ' in answer.text


def test_the_stylesheet_is_served(sandbox: RunningSandbox) -> None:
    assert sandbox.http.get("/sandbox.css").headers["content-type"].startswith("text/css")
