"""The USDT drivers as their tests make them, and notices that are signed as their providers sign."""

import json

import httpx

from payments.gateways import usdt
from payments.gateways.base import RawCall, Trade
from payments.gateways.bepusdt import BepusdtGateway
from payments.gateways.epusdt import EpusdtGateway
from payments.gateways.tokenpay import TokenPayGateway
from payments.gateways.usdt import Number, as_sent, fixed, general
from tests.factories import NOON, SECRET

GO_NOTICE = {
    "trade_id": "202203251648208648961728",
    "order_id": "A1",
    "amount": Number("9.9"),
    "actual_amount": Number("1.38"),
    "token": "TNEns8t9jbWENbStkQdVQtHMGpbsYsQjZK",
    "block_transaction_id": "",
    "status": Number("2"),
}
SHARP_NOTICE = {
    "Id": "63234df7-55bf-93fc-0010-67be493c0c27",
    "OutOrderId": "A1",
    "ActualAmount": "9.90",
    "Amount": "1.3800",
    "BaseCurrency": "CNY",
    "Currency": "USDT_TRC20",
    "Status": Number("1"),
    "IsDynamicAmount": Number("0"),
}
CALL = "https://pay.example/usdt/"
AGREED = Trade(out_trade_no="A1", reference="T1 9.90")  # as epusdt's are remembered
OPENED = Trade(out_trade_no="A1", reference="T1")


def silent(request):
    return httpx.Response(500)


def epusdt(answer=silent):
    return EpusdtGateway(base_url=CALL, secret=SECRET, http=_client(answer))


def bepusdt(answer=silent, **changes):
    settings = {"network": "usdt.trc20", "fiat": "CNY", "clock": lambda: NOON, **changes}
    return BepusdtGateway(base_url=CALL, secret=SECRET, http=_client(answer), **settings)


def tokenpay(answer=silent, **changes):
    settings = {"network": "USDT_TRC20", "fiat": "CNY", **changes}
    return TokenPayGateway(base_url=CALL, secret=SECRET, http=_client(answer), **settings)


def _client(answer):
    return httpx.Client(transport=httpx.MockTransport(answer))


def says(*bodies):
    """One answer after the other; the calls are noted in its `calls`."""

    def answer(request):
        answer.calls.append(request)
        return httpx.Response(200, json=bodies[min(len(answer.calls), len(bodies)) - 1])

    answer.calls = []
    return answer


def yes(**data):
    return {"status_code": 200, "message": "success", "data": data}


def wire(said):
    """JSON with numbers exactly as they stand in `said`."""
    pairs = (f"{json.dumps(k)}:{v if isinstance(v, Number) else json.dumps(v)}" for k, v in said.items())
    return "{" + ",".join(pairs) + "}"


DIALECTS = {
    "epusdt": (epusdt, GO_NOTICE, fixed, "signature"),
    "bepusdt": (bepusdt, GO_NOTICE, general, "signature"),
    "tokenpay": (tokenpay, SHARP_NOTICE, as_sent, "Signature"),
}


def notice(dialect, secret=SECRET, drop=(), **changes):
    """A call as the provider makes it; a signature among the changes takes the place of the one that fits."""
    _, said, spelling, signature = DIALECTS[dialect]
    said = {name: value for name, value in {**said, **changes}.items() if name not in drop}
    said.setdefault(signature, usdt.sign(said, secret, spelling=spelling))
    return RawCall("POST", "", wire(said))
