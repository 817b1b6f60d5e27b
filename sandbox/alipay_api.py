"""What merchants of Alipay call: one address, and the method among the parameters."""

import json
import re
import time
from http import HTTPStatus

from sandbox import alipay, alipay_bill, epay, loopback
from sandbox.gateway import Gateway
from sandbox.ledger import ALIPAY, Bill, Refused, Status, Trade
from sandbox.web import Answer, HttpError, Request, redirect

PAGES = ("alipay.trade.page.pay", "alipay.trade.wap.pay")
OUT_TRADE_NO = re.compile(r"[A-Za-z0-9_]{1,64}")


class Failed(Exception):
    """A business failure: code 40004, with its sub code and message."""

    def __init__(self, sub_code: str, message: str) -> None:
        super().__init__(message)
        self.sub_code, self.message = sub_code, message


def call(gateway: Gateway, request: Request) -> Answer:
    """From server to server."""
    form = request.form
    method = form.get("method", "")
    try:
        _check(gateway, form)
        if method not in ACTS:
            raise Failed("isv.invalid-method", "不存在的方法名")
        said = {"code": "10000", "msg": "Success", **ACTS[method](gateway, form, _content(form))}
    except Failed as failed:
        said = {
            "code": "40004",
            "msg": "Business Failed",
            "sub_code": failed.sub_code,
            "sub_msg": failed.message,
        }
    key = gateway.merchants.platform
    if key is None:
        raise HttpError(HTTPStatus.NOT_FOUND, "no merchant here speaks Alipay")
    body = alipay.answer(method, said, key)
    if gateway.board.take("answer_corrupt"):
        body = body.replace(b'"code":"10000"', b'"code":"10000" ')
    return Answer(body, headers={"Content-Type": "text/html;charset=utf-8"})


def page(gateway: Gateway, request: Request) -> Answer:
    """The buyer's browser brings the signed order."""
    form = request.query
    try:
        _check(gateway, form)
        if form.get("method") not in PAGES:
            raise Failed("isv.invalid-method", "不存在的方法名")
        trade = _open(gateway, form, _content(form))
    except Failed as failed:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"{failed.sub_code}: {failed.message}") from failed
    return redirect(gateway.pay_url(trade))


def _check(gateway: Gateway, form: dict[str, str]) -> None:
    key = gateway.merchants.rsa.get(form.get("app_id", ""))
    if key is None:
        raise Failed("isv.invalid-app-id", "无效的AppID参数")
    if not alipay.is_signed(form, key):
        raise Failed("isv.invalid-signature", "验签出错")
    if not alipay.is_recent(form.get("timestamp", ""), now=time.time()):
        raise Failed("isv.invalid-timestamp", "非法的时间戳参数")


def _content(form: dict[str, str]) -> dict[str, str]:
    try:
        content = json.loads(form.get("biz_content", ""))
    except ValueError as exc:
        raise Failed("isv.invalid-parameter", "biz_content") from exc
    if not isinstance(content, dict):
        raise Failed("isv.invalid-parameter", "biz_content")
    return {str(name): str(value) for name, value in content.items()}


def _precreate(gateway: Gateway, form: dict[str, str], content: dict[str, str]) -> dict[str, object]:
    trade = _open(gateway, form, content)
    time.sleep(gateway.board.now.create_delay_s)
    return {"out_trade_no": trade.bill.out_trade_no, "qr_code": gateway.pay_url(trade)}


def _query(gateway: Gateway, form: dict[str, str], content: dict[str, str]) -> dict[str, object]:
    trade = _trade(gateway, form, content)
    said: dict[str, object] = {
        "trade_no": trade.trade_no,
        "out_trade_no": trade.bill.out_trade_no,
        "trade_status": alipay.status_of(trade),
        "total_amount": epay.as_decimal(trade.money_fen),
        "buyer_logon_id": "san***@example.com",
    }
    return {**said, "send_pay_date": alipay.stamp(trade.paid_at)} if trade.paid_at else said


def _close(gateway: Gateway, form: dict[str, str], content: dict[str, str]) -> dict[str, object]:
    """Once: closed again, it is not waiting for its buyer any more."""
    trade = _trade(gateway, form, content)
    if trade.status is not Status.UNPAID or gateway.ledger.close(trade.trade_no) is not Status.CLOSED:
        raise Failed("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
    return {"trade_no": trade.trade_no, "out_trade_no": trade.bill.out_trade_no}


def _refund(gateway: Gateway, form: dict[str, str], content: dict[str, str]) -> dict[str, object]:
    """Once for each number; whoever comes again with it is told that no money moved."""
    trade = _trade(gateway, form, content)
    number = content.get("out_request_no") or trade.bill.out_trade_no
    again = gateway.ledger.refund_called(form["app_id"], number) is not None
    try:
        gateway.ledger.refund(
            trade.trade_no,
            money_fen=_fen(content, "refund_amount"),
            now=time.time(),
            out_refund_no=number,
        )
    except Refused as exc:
        raise Failed("ACQ.TRADE_NOT_ALLOW_REFUND", str(exc)) from exc
    if not again:
        gateway.notify(trade.trade_no)
    left = gateway.ledger.trade(trade.trade_no) or trade
    return {
        "trade_no": trade.trade_no,
        "out_trade_no": trade.bill.out_trade_no,
        "buyer_logon_id": "san***@example.com",
        "fund_change": "N" if again else "Y",
        "refund_fee": epay.as_decimal(left.refunded_fen),
    }


def _refund_query(gateway: Gateway, form: dict[str, str], content: dict[str, str]) -> dict[str, object]:
    """A success, whether there is such a refund or not."""
    trade = _trade(gateway, form, content)
    refund = gateway.ledger.refund_called(form["app_id"], content.get("out_request_no", ""))
    if refund is None or refund.trade_no != trade.trade_no:
        return {}
    return {
        "trade_no": trade.trade_no,
        "out_trade_no": trade.bill.out_trade_no,
        "out_request_no": refund.out_refund_no,
        "total_amount": epay.as_decimal(trade.money_fen),
        "refund_amount": epay.as_decimal(refund.money_fen),
        "refund_status": "REFUND_SUCCESS",
    }


def _bill_address(gateway: Gateway, form: dict[str, str], content: dict[str, str]) -> dict[str, object]:
    if content.get("bill_type") != "trade":
        raise Failed("isv.invalid-arguments", "bill_type")
    url = alipay_bill.address(gateway, app_id=form["app_id"], day=content.get("bill_date", ""))
    if url is None:
        raise Failed("isp.bill_not_exist", "账单不存在")
    return {"bill_download_url": url}


ACTS = {
    "alipay.trade.precreate": _precreate,
    "alipay.trade.query": _query,
    "alipay.trade.close": _close,
    "alipay.trade.refund": _refund,
    "alipay.trade.fastpay.refund.query": _refund_query,
    "alipay.data.dataservice.bill.downloadurl.query": _bill_address,
}


def _trade(gateway: Gateway, form: dict[str, str], content: dict[str, str]) -> Trade:
    if trade_no := content.get("trade_no"):
        trade = gateway.ledger.trade(trade_no)
    else:
        trade = gateway.ledger.trade_of_bill(form["app_id"], content.get("out_trade_no", ""))
    if trade is None or trade.bill.pid != form["app_id"] or not alipay.exists(trade):
        raise Failed("ACQ.TRADE_NOT_EXIST", "交易不存在")
    return trade


def _fen(content: dict[str, str], name: str) -> int:
    try:
        return epay.to_fen(content.get(name, ""))
    except epay.BadMoney as exc:
        raise Failed("ACQ.INVALID_PARAMETER", name) from exc


def _open(gateway: Gateway, form: dict[str, str], content: dict[str, str]) -> Trade:
    try:
        return gateway.ledger.open_trade(_bill(form, content), now=time.time())
    except Refused as exc:
        raise Failed("ACQ.CONTEXT_INCONSISTENT", str(exc)) from exc


def _bill(form: dict[str, str], content: dict[str, str]) -> Bill:
    for name in ("out_trade_no", "total_amount", "subject", "time_expire"):
        if not content.get(name):
            raise Failed("ACQ.INVALID_PARAMETER", name)
    if not OUT_TRADE_NO.fullmatch(content["out_trade_no"]):
        raise Failed("ACQ.INVALID_PARAMETER", "out_trade_no")
    try:
        loopback.check(form.get("notify_url", ""))
    except loopback.NotLoopback as exc:
        raise Failed("ACQ.INVALID_PARAMETER", f"notify_url: {exc}") from exc
    return Bill(
        protocol=ALIPAY,
        pid=form["app_id"],
        out_trade_no=content["out_trade_no"],
        type="alipay",
        name=content["subject"],
        asked_fen=_fen(content, "total_amount"),
        param="",
        notify_url=form["notify_url"],
        return_url=form.get("return_url", ""),
    )
