"""What merchants of EPay v2 call. Yes is code 0 and signed; every no is unsigned, as in the original."""

import time
from collections.abc import Callable

from sandbox import epay_api, epay_v2
from sandbox.epay_api import PAGE, Rejected
from sandbox.gateway import Gateway
from sandbox.ledger import EPAY_V2, Refused
from sandbox.web import Answer, Request, json_answer

Act = Callable[[Gateway, dict[str, str]], dict[str, object]]


def _endpoint(act: Act) -> Callable[[Gateway, Request], Answer]:
    def view(gateway: Gateway, request: Request) -> Answer:
        try:
            _check_signature(gateway, request.form)
            said = act(gateway, request.form)
        except Rejected as exc:
            return json_answer({"code": exc.code, "msg": exc.message})
        answer = gateway.merchants.signed({"code": 0, "msg": "success", **said})
        if gateway.board.take("answer_corrupt"):
            answer["sign"] = gateway.merchants.signed({"code": 1})["sign"]
        return json_answer(answer)

    return view


def _check_signature(gateway: Gateway, form: dict[str, str]) -> None:
    key = gateway.merchants.rsa.get(form.get("pid", ""))
    if key is None:
        raise Rejected(-1, "商户不存在！")
    if wrong := epay_v2.verify(form, key, now=time.time()):
        raise Rejected(-3, wrong)


def _create(gateway: Gateway, form: dict[str, str]) -> dict[str, object]:
    for name in ("method", "out_trade_no", "notify_url", "return_url", "name", "money", "type", "clientip"):
        if not form.get(name, "").strip():
            raise Rejected(-1, f"{name}不能为空")
    try:
        trade = gateway.ledger.open_trade(epay_api.read_bill(form, protocol=EPAY_V2), now=time.time())
    except Refused as exc:
        raise Rejected(-1, str(exc)) from exc
    time.sleep(gateway.board.now.create_delay_s)
    return {"trade_no": trade.trade_no, "pay_type": "jump", "pay_info": gateway.pay_url(trade)}


def _query(gateway: Gateway, form: dict[str, str]) -> dict[str, object]:
    return epay_api.shown(epay_api.named_trade(gateway, form))


def _orders(gateway: Gateway, form: dict[str, str]) -> dict[str, object]:
    limit = min(epay_api.count(form, "limit", 10), PAGE)
    trades = gateway.ledger.newest(limit=limit, offset=epay_api.count(form, "offset", 0), pid=form["pid"])
    return {"data": [epay_api.shown(trade) for trade in trades]}


create = _endpoint(_create)
query = _endpoint(_query)
orders = _endpoint(_orders)
