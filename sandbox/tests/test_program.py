import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.environment import read_merchants
from sandbox.tests.actors import KEY, REPOSITORY, RunningSandbox, Shop, wait_until


def test_a_killed_sandbox_goes_on_with_its_ledger_and_its_notices(
    start: Callable[[], RunningSandbox], shop: Shop
) -> None:
    first = start()
    first.turn(notice_delay_s=1)
    trade_no = first.open_trade(shop.bill())
    first.pay(trade_no)
    first.kill()

    second = start()

    [notice] = shop.wait_for(1)
    wait_until(lambda: second.outcomes(trade_no) == ["acknowledged"])
    assert notice["trade_no"] == trade_no
    assert second.booked(trade_no)["status"] == 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_soon_even_in_the_middle_of_a_call(
    start: Callable[[], RunningSandbox], shop: Shop, stop: signal.Signals
) -> None:
    sandbox = start()
    sandbox.turn(api_delay_s=30)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(sandbox.create, shop.bill())
        time.sleep(0.2)
        begun = time.monotonic()

        os.kill(sandbox.program.pid, stop)

        assert sandbox.program.wait(timeout=10) == 0
        assert time.monotonic() - begun < 3  # 1 s of grace, and a busy machine
        assert call.exception() is not None


def test_a_storm_of_buyers_pressing_one_button_pays_once(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: sandbox.pay(trade_no).json(), range(64)))

    assert [answer["captured"] for answer in answers].count(True) == 1
    assert len(sandbox.outcomes(trade_no)) == 1


def test_a_storm_of_one_bill_opens_one_trade(sandbox: RunningSandbox, shop: Shop) -> None:
    form = shop.bill()

    with ThreadPoolExecutor(16) as pool:
        opened = set(pool.map(lambda _: sandbox.open_trade(form), range(64)))

    assert len(opened) == 1


def test_no_key_is_ever_logged(sandbox: RunningSandbox, shop: Shop) -> None:
    trade_no = sandbox.open_trade(shop.bill())
    sandbox.order(trade_no=trade_no)
    sandbox.refund(trade_no=trade_no, money="x")
    sandbox.http.get("/api.php", params={"key": KEY * 1000})
    with socket.create_connection(("127.0.0.1", sandbox.port)) as wire:
        wire.sendall(f"GET /api.php?key={KEY}\r\n\r\n".encode())
        assert b"400 Bad Request" in wire.recv(4096)

    assert KEY not in sandbox.log.read_text()


def test_merchants_are_read_from_one_line_or_several() -> None:
    assert read_merchants("1001:a,1002:b:c\n1003:d\n") == {"1001": "a", "1002": "b:c", "1003": "d"}


@pytest.mark.parametrize("text", ["", "1001", "1001:", "x:key", ":key", "0:key", "1001:secret,oops"])
def test_a_merchant_that_cannot_be_read_is_named_without_its_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"^merchant \d is not ID:KEY$"):
        read_merchants(text)


def test_the_keys_can_come_from_a_file_and_not_at_all_is_an_error(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("1001")
    bare = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}

    def start(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sandbox", "--db", str(tmp_path / "db")],
            cwd=REPOSITORY,
            env={**bare, **environment},
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )

    for refused in (start(), start(SANDBOX_MERCHANTS_FILE=str(keys))):
        assert refused.returncode == 2
        assert "merchant 1 is not ID:KEY" in refused.stderr
