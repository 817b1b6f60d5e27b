"""What merchants of the USDT gateways call. All of them answer with 200, and say in the body what it is."""

import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from sandbox import epay, loopback, usdt
from sandbox.gateway import Gateway
from sandbox.ledger import BEPUSDT, EPUSDT, TOKENPAY, Bill, Refused, Status, Trade
from sandbox.web import Answer, HttpError, Request, json_answer

WAITING, PAID, EXPIRED, CANCELLED = 1, 2, 3, 4
WORDS = {Status.UNPAID: "Pending", Status.CLOSED: "Expired"}
FIAT = ("CNY", "USD", "EUR", "GBP")  # what has hundredths


class No(Exception):
    """The call fails with this code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


# epusdt


def _go(act: Callable[..., dict[str, object]]) -> Callable[..., Answer]:
    def view(gateway: Gateway, request: Request, **named: str) -> Answer:
        try:
            said = {"status_code": 200, "message": "success", "data": act(gateway, request, **named)}
        except No as no:
            said = {"status_code": no.code, "message": no.message}
        return json_answer({**said, "request_id": ""})

    return view


@_go
def epusdt_create(gateway: Gateway, request: Request) -> dict[str, object]:
    said = request.json
    if not usdt.is_signed(said, "signature", usdt.epusdt_sign(said, _key(gateway, EPUSDT))):
        raise No(401, "签名认证错误")
    if gateway.ledger.trade_of_bill(EPUSDT, str(said.get("order_id"))):
        raise No(10002, "支付交易已存在，请勿重复创建")
    if gateway.board.take("usdt_full"):
        raise No(10005, "无可用金额通道")
    trade = _open(gateway, _bill(EPUSDT, said, "order_id", "amount", "notify_url", "redirect_url"))
    return {**_about(trade), "payment_url": gateway.pay_url(trade)}


@_go
def epusdt_status(gateway: Gateway, request: Request, trade_id: str) -> dict[str, object]:
    trade = gateway.ledger.trade(trade_id)
    if trade is None or trade.bill.protocol != EPUSDT:
        raise No(10008, "订单不存在")
    return {"trade_id": trade_id, "status": status_of(trade)}


# BEpusdt


@_go
def bepusdt_create(gateway: Gateway, request: Request) -> dict[str, object]:
    said = request.json
    _check_bepusdt(gateway, said)
    if said.get("fiat", "CNY") not in FIAT or not said.get("redirect_url"):
        raise No(400, "请求参数错误")
    if gateway.board.take("usdt_full"):
        raise No(400, "订单创建失败：计算交易金额异常，联系管理员处理！")
    network, fiat = str(said.get("trade_type", "usdt.trc20")), str(said.get("fiat", "CNY"))
    bill = _bill(
        BEPUSDT,
        said,
        "order_id",
        "amount",
        "notify_url",
        "redirect_url",
        network=network,
        currency=fiat,
    )
    trade = _open(gateway, bill)
    return {**_about(trade), "amount": _money(trade), "fiat": fiat, "payment_url": gateway.pay_url(trade)}


@_go
def bepusdt_info(gateway: Gateway, request: Request) -> dict[str, object]:
    """Of any trade whose number is known: nobody signs here."""
    trade = _called(gateway, BEPUSDT, request.json, unknown="order not found")
    closed = trade.status is Status.CLOSED
    return {
        **_about(trade),
        "status": CANCELLED if closed else status_of(trade),
        "money": _money(trade),
        "fiat": trade.bill.currency,
        "trade_url": f"https://chain.example/{usdt.transfer_of(trade.trade_no)}",
    }


# TokenPay


def _sharp(act: Callable[..., dict[str, object]]) -> Callable[..., Answer]:
    def view(gateway: Gateway, request: Request) -> Answer:
        try:
            return json_answer({"success": True, "message": "成功", **act(gateway, request)})
        except No as no:
            return json_answer({"success": False, "message": no.message})

    return view


@_sharp
def tokenpay_create(gateway: Gateway, request: Request) -> dict[str, object]:
    said = request.json
    _check_tokenpay(gateway, said)
    if gateway.board.take("usdt_full"):
        raise No(0, "无可用收款地址！")
    network = str(said.get("Currency"))
    bill = _bill(TOKENPAY, said, "OutOrderId", "ActualAmount", "NotifyUrl", "RedirectUrl", network=network)
    trade = _open(gateway, bill)
    info = {
        "Id": trade.trade_no,
        "OutOrderId": trade.bill.out_trade_no,
        "ActualAmount": epay.as_decimal(trade.bill.asked_fen),
        "Amount": usdt.usdt_of(trade.bill.asked_fen),
        "BaseCurrency": "CNY",
        "ToAddress": usdt.WALLET,
    }
    return {"data": gateway.pay_url(trade), "info": info}


@_sharp
def tokenpay_query(gateway: Gateway, request: Request) -> dict[str, object]:
    asked = request.query
    _check_tokenpay(gateway, asked)
    trade = gateway.ledger.trade(asked.get("Id", ""))
    if trade is None or trade.bill.protocol != TOKENPAY:
        raise No(0, "订单不存在！")
    return {
        "data": {
            "id": trade.trade_no,
            "outOrderId": trade.bill.out_trade_no,
            "actualAmount": usdt.yuan(trade.money_fen),
            "status": WORDS.get(trade.status, "Paid"),
            "blockTransactionId": usdt.transfer_of(trade.trade_no),
        }
    }


# What they share


def status_of(trade: Trade) -> int:
    return {Status.UNPAID: WAITING, Status.CLOSED: EXPIRED}.get(trade.status, PAID)


def network_of(trade: Trade) -> str:
    return str(json.loads(trade.bill.more).get("network", ""))


def _check_bepusdt(gateway: Gateway, said: Mapping[str, object]) -> None:
    if not usdt.is_signed(said, "signature", usdt.bepusdt_sign(said, _key(gateway, BEPUSDT))):
        raise No(400, "签名错误")


def _check_tokenpay(gateway: Gateway, said: Mapping[str, object]) -> None:
    if not usdt.is_signed(said, "Signature", usdt.tokenpay_sign(said, _key(gateway, TOKENPAY))):
        raise No(0, "签名验证失败！")


def _key(gateway: Gateway, protocol: str) -> str:
    if key := gateway.merchants.usdt.get(protocol):
        return key
    raise HttpError(HTTPStatus.NOT_FOUND, f"no merchant here speaks {protocol}")


def _called(gateway: Gateway, protocol: str, said: dict[str, object], *, unknown: str) -> Trade:
    trade = gateway.ledger.trade(str(said.get("trade_id")))
    if trade is None or trade.bill.protocol != protocol:
        raise No(400, unknown)
    return trade


def _bill(
    protocol: str,
    said: dict[str, object],
    number: str,
    amount: str,
    notify_url: str,
    return_url: str,
    *,
    network: str = "usdt.trc20",
    currency: str = "CNY",
) -> Bill:
    try:
        asked_fen = usdt.to_fen(said.get(amount))
        loopback.check(str(said.get(notify_url)))
    except ValueError as exc:
        raise No(400, f"{amount} or {notify_url}: {exc}") from exc
    returns_to = str(said.get(return_url, ""))
    if not said.get(number) or urlsplit(returns_to).scheme not in ("http", "https"):
        raise No(400, f"{number} or {return_url}")
    return Bill(
        protocol=protocol,
        pid=protocol,
        out_trade_no=str(said[number]),
        type="usdt",
        name=str(said.get("name") or said[number]),
        asked_fen=asked_fen,
        param="",
        notify_url=str(said[notify_url]),
        return_url=returns_to,
        currency=currency,
        more=json.dumps({"network": network}),
    )


def _open(gateway: Gateway, bill: Bill) -> Trade:
    try:
        trade = gateway.ledger.open_trade(bill, now=time.time())
    except Refused as exc:
        raise No(400, str(exc)) from exc
    time.sleep(gateway.board.now.create_delay_s)
    return trade


def _about(trade: Trade) -> dict[str, object]:
    return {
        "trade_id": trade.trade_no,
        "order_id": trade.bill.out_trade_no,
        "amount": usdt.yuan(trade.bill.asked_fen),
        "actual_amount": usdt.usdt_of(trade.bill.asked_fen),
        "token": usdt.WALLET,
        "status": status_of(trade),
    }


def _money(trade: Trade) -> str:
    return usdt.go_fixed(usdt.yuan(trade.money_fen))
