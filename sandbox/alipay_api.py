"""What merchants of Alipay call: one address, and the method among the parameters."""

import json
import re
import time
from http import HTTPStatus

from sandbox import alipay, epay, loopback
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
    acts = {"alipay.trade.precreate": _precreate, "alipay.trade.query": _query}
    method = form.get("method", "")
    try:
        _check(gateway, form)
        if method not in acts:
            raise Failed("isv.invalid-method", "不存在的方法名")
        said = {"code": "10000", "msg": "Success", **acts[method](gateway, form, _content(form))}
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
    if trade_no := content.get("trade_no"):
        trade = gateway.ledger.trade(trade_no)
    else:
        trade = gateway.ledger.trade_of_bill(form["app_id"], content.get("out_trade_no", ""))
    # A code that nobody has scanned is no trade yet.
    if trade is None or trade.bill.pid != form["app_id"] or trade.status is Status.UNPAID:
        raise Failed("ACQ.TRADE_NOT_EXIST", "交易不存在")
    return {
        "trade_no": trade.trade_no,
        "out_trade_no": trade.bill.out_trade_no,
        "trade_status": "TRADE_SUCCESS",
        "total_amount": epay.as_decimal(trade.money_fen),
        "buyer_logon_id": "san***@example.com",
    }


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
        asked_fen = epay.to_fen(content["total_amount"])
        loopback.check(form.get("notify_url", ""))
    except ValueError as exc:
        raise Failed("ACQ.INVALID_PARAMETER", f"total_amount or notify_url: {exc}") from exc
    return Bill(
        protocol=ALIPAY,
        pid=form["app_id"],
        out_trade_no=content["out_trade_no"],
        type="alipay",
        name=content["subject"],
        asked_fen=asked_fen,
        param="",
        notify_url=form["notify_url"],
        return_url=form.get("return_url", ""),
    )
