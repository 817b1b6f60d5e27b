"""What merchants of EPay v2 call. Yes is code 0 and signed; every no is unsigned, as in the original."""

import time
from collections.abc import Callable

from sandbox import epay, epay_api, epay_v2
from sandbox.epay_api import PAGE, Rejected
from sandbox.gateway import Gateway
from sandbox.ledger import EPAY_V2, Refused, Status
from sandbox.web import Answer, Request, json_answer

CLOSING = ("alipay", "wxpay", "bank")  # types whose provider can close a trade

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


def _close(gateway: Gateway, form: dict[str, str]) -> dict[str, object]:
    trade = epay_api.named_trade(gateway, form)
    if trade.status not in (Status.UNPAID, Status.CLOSED):
        raise Rejected(-1, "该订单状态不支持关闭！")
    if trade.bill.type not in CLOSING or gateway.ledger.close(trade.trade_no) is not Status.CLOSED:
        raise Rejected(-1, "当前支付通道不支持关闭订单")
    return {"msg": "订单关闭成功"}


def _refund(gateway: Gateway, form: dict[str, str]) -> dict[str, object]:
    """Under a number of more than five characters it is made once. What was made is told as it was made."""
    number = form.get("out_refund_no", "")
    return {
        **epay_api.make_refund(gateway, form, out_refund_no=number if len(number) > 5 else None),
        "out_refund_no": number,
    }


def _refund_query(gateway: Gateway, form: dict[str, str]) -> dict[str, object]:
    refund = gateway.ledger.refund_called(form["pid"], form.get("out_refund_no", ""))
    if refund is None:
        raise Rejected(-1, "退款记录不存在")
    return {
        "refund_no": refund.refund_no,
        "out_refund_no": refund.out_refund_no,
        "trade_no": refund.trade_no,
        "money": epay.as_decimal(refund.money_fen),
        "status": 1,
    }


create = _endpoint(_create)
query = _endpoint(_query)
orders = _endpoint(_orders)
close = _endpoint(_close)
refund = _endpoint(_refund)
refund_query = _endpoint(_refund_query)
