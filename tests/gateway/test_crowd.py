"""More clicks at once than Django has places for."""

import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx
import pytest

from tests.gateway.buying import TICKETS, click_of
from tests.gateway.upstream import Upstream, answer
from tests.gateways import Gateway, replacing

PLACES, CROWD = 4, 12


def few_places(configuration: str) -> str:
    """One worker, since each has places of its own."""
    alone = replacing("worker_processes auto;", "worker_processes 1;")(configuration)
    return re.sub(r"(upstream clicks \{\s+server \S+) max_conns=\d+;", rf"\1 max_conns={PLACES};", alone)


def boundless(configuration: str) -> str:
    return few_places(configuration).replace(f" max_conns={PLACES};", ";")


@pytest.fixture
def clicks(gateway: Gateway, buyer: httpx.Client) -> list[dict[str, object]]:
    """As many people's."""
    return [click_of(buyer, "full") for _ in range(CROWD)]


def test_who_has_no_place_knows_that_nobody_has_heard_it_and_soon_hears_the_truth(
    clicks, before: Callable[..., Gateway], upstream: Upstream
):
    gateway, told = before(few_places), Event()

    def line_is_full(_: bytes) -> bytes:
        told.wait(20)
        return answer(b"{}", f"X-Accel-Expires: @{time.time() + 9:.0f}", status="409 Conflict")

    upstream.answer = line_is_full
    with ThreadPoolExecutor(CROWD) as people:
        placed = [people.submit(send, gateway, click) for click in clicks[:PLACES]]
        wait_until(lambda: len(upstream.heard) == PLACES)
        turned_away = [send(gateway, click) for click in clicks[PLACES:]]
        look = people.submit(look_from, gateway)
        wait_until(lambda: len(upstream.heard) == PLACES + 1)  # who is in line has a place of his own
        told.set()
        answers = [each.result() for each in placed]
    again = [send(gateway, click) for click in clicks[PLACES:]]

    assert {each.status_code for each in turned_away} == {503}
    assert {each.headers["Retry-After"] for each in turned_away} == {"2"}
    assert {each.headers["X-Click"] for each in turned_away} == {"unheard"}
    assert {each.status_code for each in [*answers, *again]} == {409}
    assert "X-Click" not in look.result().headers
    assert len(upstream.heard) == PLACES + 1


def test_a_click_that_was_heard_and_not_answered_does_not_say_that_it_was_not(
    buyer: httpx.Client, before: Callable[..., Gateway], upstream: Upstream
):
    upstream.answer = lambda _: sys.exit()  # its thread ends, and the connection with it

    failed = send(before(few_places), click_of(buyer, "full", quantity=2))

    assert failed.status_code == 503
    assert "X-Click" not in failed.headers
    assert len(upstream.heard) == 1


def test_control_without_places_all_of_them_wait_before_django(
    clicks, before: Callable[..., Gateway], upstream: Upstream
):
    gateway, told = before(boundless), Event()
    upstream.answer = lambda _: told.wait(20) and answer(b"{}", status="202 Accepted")
    with ThreadPoolExecutor(CROWD) as people:
        asked = [people.submit(send, gateway, click) for click in clicks]
        wait_until(lambda: len(upstream.heard) == CROWD)
        told.set()

    assert {each.result().status_code for each in asked} == {202}


def send(gateway: Gateway, click: dict[str, object]) -> httpx.Response:
    with gateway.client() as person:
        return person.post(TICKETS, json=click, timeout=30)


def look_from(gateway: Gateway) -> httpx.Response:
    with gateway.client() as person:
        return person.get(f"{TICKETS}full/{'0' * 64}/", timeout=30)


def wait_until(come: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not come():
        assert time.monotonic() < until
        time.sleep(0.02)
