"""What merchants call: mapi.php, submit.php and api.php. Answers are unsigned, as in EPay."""

import re
import time
from datetime import datetime
from hmac import compare_digest
from urllib.parse import urlsplit

from sandbox import epay, loopback
from sandbox.gateway import Gateway
from sandbox.ledger import BEIJING, EPAY_V1, Bill, Refused, Status, Trade
from sandbox.web import Answer, Request, json_answer, redirect

METHODS = ("alipay", "wxpay", "qqpay", "bank")
OUT_TRADE_NO = re.compile(r"[A-Za-z0-9._|-]{1,64}")
PARAM_CHARACTERS = 512
PAGE = 50  # trades that act=orders shows at most


class Rejected(Exception):
    """The call fails with `code`; the message is the original's where it has one."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def create(gateway: Gateway, request: Request) -> Answer:
    """mapi.php: from server to server."""
    try:
        trade = _open_trade(gateway, request.form, required=("clientip",))
    except Rejected as exc:
        return json_answer({"code": exc.code, "msg": exc.message})
    time.sleep(gateway.board.now.create_delay_s)
    as_qrcode = gateway.board.now.answer == "qrcode" and trade.bill.type == "wxpay"
    where = {"qrcode" if as_qrcode else "payurl": gateway.pay_url(trade)}
    return json_answer({"code": 1, "trade_no": trade.trade_no, **where})


def submit(gateway: Gateway, request: Request) -> Answer:
    """submit.php: the buyer's browser brings the signed order. Raises Rejected."""
    form = request.query if "pid" in request.query else request.form
    trade = _open_trade(gateway, form, required=("return_url",))
    return redirect(gateway.pay_url(trade))


def _open_trade(gateway: Gateway, form: dict[str, str], *, required: tuple[str, ...]) -> Trade:
    if "pid" not in form:
        raise Rejected(-4, "未传入任何参数")
    key = gateway.merchants.keys.get(form["pid"])
    if key is None:
        raise Rejected(-1, "商户不存在！")
    if not epay.verify(form, key):
        raise Rejected(-3, "MD5签名校验失败")
    for name in ("out_trade_no", "notify_url", "name", "money", "type", *required):
        if not form.get(name, "").strip():
            raise Rejected(-1, f"{name}不能为空")
    try:
        return gateway.ledger.open_trade(read_bill(form), now=time.time())
    except Refused as exc:
        raise Rejected(-1, str(exc)) from exc


def read_bill(form: dict[str, str], *, protocol: str = EPAY_V1) -> Bill:
    if not OUT_TRADE_NO.fullmatch(form["out_trade_no"]):
        raise Rejected(-1, "订单号(out_trade_no)格式不正确")
    if form["type"] not in METHODS:
        raise Rejected(-1, f"支付方式(type)不存在: {', '.join(METHODS)}")
    if len(form.get("param", "")) > PARAM_CHARACTERS:
        raise Rejected(-1, f"param: over {PARAM_CHARACTERS} characters")
    try:
        asked_fen = epay.to_fen(form["money"])
    except epay.BadMoney as exc:
        raise Rejected(-1, "金额不合法") from exc
    try:
        loopback.check(form["notify_url"])
    except loopback.NotLoopback as exc:
        raise Rejected(-1, f"notify_url: {exc}; the sandbox calls only this machine") from exc
    if form.get("return_url") and not _is_web_address(form["return_url"]):
        raise Rejected(-1, "return_url: not a URL")
    return Bill(
        protocol=protocol,
        pid=form["pid"],
        out_trade_no=form["out_trade_no"],
        type=form["type"],
        name=epay.cut_name(form["name"]),
        asked_fen=asked_fen,
        param=form.get("param", ""),
        notify_url=form["notify_url"],
        return_url=form.get("return_url", ""),
    )


def _is_web_address(url: str) -> bool:
    # It ends in a Location header: nothing but plain ASCII may get through.
    if not (url.isascii() and url.isprintable()) or " " in url:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def api(gateway: Gateway, request: Request) -> Answer:
    """api.php: the key itself is the password here. Refunds come by POST, the rest by GET."""
    acts = {"query": _merchant, "order": _order, "orders": _orders, "refund": _refund}
    act = request.query.get("act", "")
    form = request.form if act == "refund" else request.query
    try:
        if act not in acts:
            raise Rejected(-5, "No Act!")
        _check_key(gateway, form)
        return json_answer(acts[act](gateway, form))
    except Rejected as exc:
        return json_answer({"code": exc.code, "msg": exc.message})


def _check_key(gateway: Gateway, form: dict[str, str]) -> None:
    key = gateway.merchants.keys.get(form.get("pid", ""))
    if key is None:
        raise Rejected(-3, "商户ID不存在")
    if not compare_digest(key.encode(), form.get("key", "").encode()):
        raise Rejected(-3, "商户密钥错误")


def _merchant(gateway: Gateway, form: dict[str, str]) -> dict[str, object]:
    # The original repeats the key here; nobody needs that.
    orders, kept_fen = gateway.ledger.totals(form["pid"])
    return {
        "code": 1,
        "pid": int(form["pid"]),
        "active": 1,
        "money": epay.as_decimal(kept_fen),
        "orders": orders,
    }


def _order(gateway: Gateway, form: dict[str, str]) -> dict[str, object]:
    return {"code": 1, "msg": "succ", **shown(named_trade(gateway, form))}


def _orders(gateway: Gateway, form: dict[str, str]) -> dict[str, object]:
    limit = min(count(form, "limit", 10), PAGE)
    offset = count(form, "offset", (count(form, "page", 1) - 1) * limit)
    trades = gateway.ledger.newest(limit=limit, offset=offset, pid=form["pid"])
    data = [shown(trade) for trade in trades]
    return {"code": 1, "msg": "查询订单记录成功！", "count": len(data), "data": data}


def _refund(gateway: Gateway, form: dict[str, str]) -> dict[str, object]:
    """Success is code 0 here, and nowhere else. There is no key against doing it twice."""
    return {"code": 0, **make_refund(gateway, form, out_refund_no=None)}


def make_refund(gateway: Gateway, form: dict[str, str], *, out_refund_no: str | None) -> dict[str, object]:
    try:
        money_fen = epay.to_fen(form.get("money", "").strip(epay.PHP_BLANKS))
    except epay.BadMoney as exc:
        raise Rejected(-1, "金额输入错误") from exc
    trade = named_trade(gateway, form)
    try:
        refund = gateway.ledger.refund(
            trade.trade_no, money_fen=money_fen, now=time.time(), out_refund_no=out_refund_no
        )
    except Refused as exc:
        raise Rejected(-1, str(exc)) from exc
    money = epay.as_decimal(money_fen)
    return {
        "msg": f"退款成功！退款金额¥{money}",
        "refund_no": refund.refund_no,
        "trade_no": trade.trade_no,
        "out_trade_no": trade.bill.out_trade_no,
        "money": money,
    }


def named_trade(gateway: Gateway, form: dict[str, str]) -> Trade:
    if trade_no := form.get("trade_no"):
        trade = gateway.ledger.trade(trade_no)
    elif out_trade_no := form.get("out_trade_no"):
        trade = gateway.ledger.trade_of_bill(form["pid"], out_trade_no)
    else:
        raise Rejected(-4, "订单号不能为空")
    if trade is None or trade.bill.pid != form["pid"]:
        raise Rejected(-1, "订单号不存在")
    return trade


def shown(trade: Trade) -> dict[str, object]:
    paid = trade.status in (Status.PAID, Status.REFUNDED)
    return {
        "trade_no": trade.trade_no,
        "out_trade_no": trade.bill.out_trade_no,
        "api_trade_no": f"SANDBOX{trade.trade_no}" if paid else "",
        "type": trade.bill.type,
        "pid": int(trade.bill.pid),
        "addtime": _stamp(trade.created_at),
        "endtime": _stamp(trade.paid_at) if trade.paid_at else None,
        "name": trade.bill.name,
        "money": epay.as_decimal(trade.money_fen),
        "param": trade.bill.param,
        "buyer": "sandbox-buyer" if paid else "",
        # The original closes a trade at the provider behind it, and leaves it unpaid in its own books.
        "status": Status.UNPAID if trade.status is Status.CLOSED else trade.status,
    }


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def count(form: dict[str, str], name: str, default: int) -> int:
    """A small number from a query; anything else is the default, as in the original."""
    text = form.get(name, "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else default
