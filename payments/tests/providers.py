"""A scripted provider behind the real HTTP client's seam, for what the sandbox would be too slow for."""

import time
from collections.abc import Callable

import httpx
import pytest

from cardshop.common.money import to_text


class Provider:
    """Speaks just enough EPay v1. `trades` maps our number to (provider's number, fen, paid).

    `asked` lists our numbers that it was asked about. Threads may share it.
    """

    def __init__(self) -> None:
        self.trades: dict[str, tuple[str, int, bool]] = {}
        self._owners: dict[str, str] = {}  # merchants, by our number
        self.calls: list[str] = []
        self.asked: list[str] = []
        self.broken: Callable[[httpx.Request], httpx.Response] | None = None

    def knows(self, attempt, *, paid=True, amount_minor=None, txn=None):
        number = attempt.out_trade_no
        self._owners[number] = attempt.channel.merchant_id
        self.trades[number] = (txn or f"T{number}"[:60], amount_minor or attempt.amount_minor, paid)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request.url.path)
        if self.broken:
            return self.broken(request)
        return self.told(request)

    def told(self, request: httpx.Request) -> httpx.Response:
        """What it says when nothing is wrong with it."""
        if request.url.path.endswith("mapi.php"):
            return httpx.Response(200, json={"code": 1, "payurl": "http://127.0.0.1:9/pay/1"})
        asked = request.url.params
        if asked.get("act") == "orders":
            start = int(asked["offset"])
            own = [number for number in list(self.trades) if self._owners.get(number) == asked["pid"]]
            listed = own[start : start + int(asked["limit"])]
            return httpx.Response(200, json={"code": 1, "data": [self._row(number) for number in listed]})
        self.asked.append(asked.get("out_trade_no", ""))
        for number, (txn, _fen, _paid) in list(self.trades.items()):
            if asked.get("out_trade_no") == number or asked.get("trade_no") == txn:
                return httpx.Response(200, json={"code": 1, **self._row(number)})
        return httpx.Response(200, json={"code": -1, "msg": "no such order"})

    def _row(self, number: str) -> dict[str, object]:
        txn, fen, paid = self.trades[number]
        money = to_text(fen, "CNY").rstrip("0").rstrip(".")
        return {"out_trade_no": number, "trade_no": txn, "money": money, "status": int(paid)}


def dead_at(
    port: int, provider: Provider, *, after: float = 0.0
) -> Callable[[httpx.Request], httpx.Response]:
    """For `broken`: at that port nobody answers, which is noticed `after` seconds; elsewhere all is well."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.port != port:
            return provider.told(request)
        time.sleep(after)
        raise httpx.ReadTimeout("nobody there")

    return answer


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    scripted = Provider()
    client = httpx.Client(transport=httpx.MockTransport(scripted.answer))
    monkeypatch.setattr("payments.gateways.http_client", lambda: client)
    return scripted
