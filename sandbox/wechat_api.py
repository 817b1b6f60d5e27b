"""What merchants of WeChat Pay call, and the two pages that its buyers pass through.

Without a good signature a call is answered 401; every other answer is signed, a no too.
"""

import json
import re
import secrets
import time
from collections.abc import Callable
from hashlib import sha1
from http import HTTPStatus
from urllib.parse import urlsplit

from sandbox import epay, loopback, wechat
from sandbox.gateway import Gateway
from sandbox.ledger import WECHAT, Bill, Refund, Refused, Status, Trade
from sandbox.web import Answer, HttpError, Request, json_answer, redirect
from sandbox.wechat import Account
from sandbox.wechat_bill import bill_of
from sandbox.wechat_speaker import iso, shown

LOGIN = r"/connect/oauth2/authorize"
PHONE_PAGE = r"/cgi-bin/mmpayweb-bin/checkmweb"
OUT_TRADE_NO = re.compile(r"[A-Za-z0-9_\-*]{6,32}")
OPENID = "o-sandbox-buyer"


class Failed(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = HTTPStatus(status), code, message


Act = Callable[..., dict[str, object]]  # (gateway, account, request, **what the path names)


def _endpoint(act: Act) -> Callable[..., Answer]:
    def view(gateway: Gateway, request: Request, **named: str) -> Answer:
        account = _account(gateway)
        status = HTTPStatus.OK
        try:
            _check(account, request)
            said = act(gateway, account, request, **named)
        except Failed as failed:
            status, said = failed.status, {"code": failed.code, "message": failed.message}
        if status == HTTPStatus.UNAUTHORIZED:
            return json_answer(said, status)
        body = json.dumps(said, ensure_ascii=False).encode() if said else b""
        headers = wechat.signed_headers(
            body, account, now=time.time(), corrupt=gateway.board.take("answer_corrupt")
        )
        status = status if said else HTTPStatus.NO_CONTENT
        return Answer(body, status, {**headers, "Content-Type": "application/json; charset=utf-8"})

    return view


def _check(account: Account, request: Request) -> None:
    wrong = wechat.wrong_with(
        request.header("Authorization"),
        method=request.method,
        target=request.target,
        body=request.body,
        account=account,
        now=time.time(),
    )
    if wrong:
        raise Failed(401, "SIGN_ERROR", wrong)


def _order(gateway: Gateway, account: Account, request: Request, *, kind: str) -> dict[str, object]:
    try:
        trade = gateway.ledger.open_trade(_bill(account, request.json, kind), now=time.time())
    except Refused as exc:
        raise Failed(403, "OUT_TRADE_NO_USED", str(exc)) from exc
    except (KeyError, TypeError, ValueError) as exc:
        raise Failed(400, "PARAM_ERROR", f"参数错误: {exc}") from exc
    time.sleep(gateway.board.now.create_delay_s)
    if kind == "jsapi":
        return {"prepay_id": f"wx{trade.trade_no}"}
    if kind == "h5":
        page = PHONE_PAGE.replace("\\", "")
        return {"h5_url": f"{gateway.public_url}{page}?prepay_id=wx{trade.trade_no}&package=1"}
    return {"code_url": gateway.pay_url(trade)}


def _bill(account: Account, said: dict[str, object], kind: str) -> Bill:
    """Raises KeyError, TypeError, ValueError."""
    amount, notify_url, number = said["amount"], str(said["notify_url"]), str(said["out_trade_no"])
    if (said["appid"], said["mchid"]) != (account.appid, account.mchid):
        raise ValueError("appid, mchid")
    if not OUT_TRADE_NO.fullmatch(number):
        raise ValueError("out_trade_no")
    if not isinstance(amount, dict) or type(amount["total"]) is not int or amount["total"] < 1:
        raise ValueError("amount")
    loopback.check(notify_url)
    if "?" in notify_url:
        raise ValueError("notify_url: 不能携带参数")
    payer = said["payer"] if kind == "jsapi" else {"openid": ""}
    if kind == "h5":
        said["scene_info"]["payer_client_ip"]  # type: ignore[index]  # a TypeError is a wrong call
    return Bill(
        protocol=WECHAT,
        pid=account.mchid,
        out_trade_no=number,
        type="wxpay",
        name=str(said["description"]),
        asked_fen=amount["total"],
        param="",
        notify_url=notify_url,
        return_url="",
        currency=str(amount["currency"]),
        more=json.dumps(
            {
                "trade_type": {"h5": "MWEB"}.get(kind, kind.upper()),
                "openid": payer["openid"],  # type: ignore[index]
                "time_expire": said["time_expire"],
            }
        ),
    )


def _by_ours(gateway: Gateway, account: Account, request: Request, *, number: str) -> dict[str, object]:
    return _found(gateway.ledger.trade_of_bill(account.mchid, number), account)


def _by_theirs(gateway: Gateway, account: Account, request: Request, *, number: str) -> dict[str, object]:
    return _found(gateway.ledger.trade(number), account)


def _found(trade: Trade | None, account: Account) -> dict[str, object]:
    if trade is None or trade.bill.protocol != WECHAT:
        raise Failed(404, "ORDER_NOT_EXIST", "订单不存在")
    return shown(trade, account)


def _close(gateway: Gateway, account: Account, request: Request, *, number: str) -> dict[str, object]:
    """Also said of a number that nobody knows, as in the original."""
    trade = gateway.ledger.trade_of_bill(account.mchid, number)
    if trade and gateway.ledger.close(trade.trade_no) is not Status.CLOSED:
        raise Failed(400, "ORDERPAID", "该订单已支付")
    return {}


def _refund(gateway: Gateway, account: Account, request: Request) -> dict[str, object]:
    said = request.json
    if number := said.get("transaction_id"):
        trade = gateway.ledger.trade(str(number))
    else:
        trade = gateway.ledger.trade_of_bill(account.mchid, str(said.get("out_trade_no")))
    if trade is None or trade.bill.protocol != WECHAT:
        raise Failed(404, "RESOURCE_NOT_EXISTS", "订单不存在")
    amount, called = said.get("amount"), str(said.get("out_refund_no") or "")
    if not isinstance(amount, dict) or amount.get("total") != trade.money_fen or not called:
        raise Failed(400, "PARAM_ERROR", "订单金额或退款单号有误")
    try:
        refund = gateway.ledger.refund(
            trade.trade_no, money_fen=int(amount["refund"]), now=time.time(), out_refund_no=called
        )
    except Refused as exc:
        raise Failed(400, "INVALID_REQUEST", str(exc)) from exc
    return _shown_refund(refund, trade)


def _asked_refund(gateway: Gateway, account: Account, request: Request, *, number: str) -> dict[str, object]:
    refund = gateway.ledger.refund_called(account.mchid, number)
    trade = gateway.ledger.trade(refund.trade_no) if refund else None
    if refund is None or trade is None:
        raise Failed(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
    return {**_shown_refund(refund, trade), "status": "SUCCESS", "success_time": iso(refund.refunded_at)}


def _shown_refund(refund: Refund, trade: Trade) -> dict[str, object]:
    """Accepted; asked after that, it is done."""
    return {
        "refund_id": refund.refund_no,
        "out_refund_no": refund.out_refund_no,
        "transaction_id": trade.trade_no,
        "out_trade_no": trade.bill.out_trade_no,
        "status": "PROCESSING",
        "amount": {"total": trade.money_fen, "refund": refund.money_fen, "currency": trade.bill.currency},
    }


def _tradebill(gateway: Gateway, account: Account, request: Request) -> dict[str, object]:
    day = request.query.get("bill_date", "")
    text = bill_of(gateway.ledger, account, day)
    if text is None:
        raise Failed(400, "NO_STATEMENT_EXIST", "账单文件不存在")
    return {
        "hash_type": "SHA1",
        "hash_value": sha1(text.encode(), usedforsecurity=False).hexdigest(),
        "download_url": f"http://{request.host}/v3/billdownload/file?token={day}",
    }


def _download(gateway: Gateway, request: Request) -> Answer:
    """The one answer that is not signed."""
    account = _account(gateway)
    try:
        _check(account, request)
    except Failed as failed:
        raise HttpError(failed.status, failed.message) from failed
    text = bill_of(gateway.ledger, account, request.query.get("token", "")) or ""
    return Answer(text.encode(), headers={"Content-Type": "text/plain; charset=utf-8"})


def login(gateway: Gateway, request: Request) -> Answer:
    """Everybody who comes is the one buyer of the sandbox, and is sent back at once."""
    account, asked = _account(gateway), request.query
    if (asked.get("appid"), asked.get("scope")) != (account.appid, "snsapi_base"):
        raise HttpError(HTTPStatus.BAD_REQUEST, "appid or scope")
    back, code = asked.get("redirect_uri", ""), secrets.token_hex(16)
    try:
        loopback.check(back)
    except ValueError as exc:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"redirect_uri: {exc}") from exc
    account.codes[code] = OPENID
    return redirect(epay.with_query(back, {"code": code, "state": asked.get("state", "")}))


def _token(gateway: Gateway, request: Request) -> Answer:
    """Who that code is of, once."""
    account, asked = _account(gateway), request.query
    if (asked.get("appid"), asked.get("secret")) != (account.appid, account.app_secret):
        return json_answer({"errcode": 40125, "errmsg": "invalid appsecret"})
    openid = account.codes.pop(asked.get("code", ""), None)
    if openid is None:
        return json_answer({"errcode": 40029, "errmsg": "invalid code"})
    return json_answer({"access_token": "not-used", "openid": openid, "scope": "snsapi_base"})


def phone_page(gateway: Gateway, request: Request) -> Answer:
    """As the original, it lets nobody pass who does not come from the merchant's own pages."""
    _account(gateway)
    if not urlsplit(request.header("Referer")).netloc:
        raise HttpError(HTTPStatus.FORBIDDEN, "商家参数格式有误，请联系商家解决 (no Referer)")
    trade = gateway.ledger.trade(request.query.get("prepay_id", "").removeprefix("wx"))
    if trade is None:
        raise HttpError(HTTPStatus.NOT_FOUND, "no such trade")
    return redirect(gateway.pay_url(trade))


def _account(gateway: Gateway) -> Account:
    if gateway.merchants.wechat is None:
        raise HttpError(HTTPStatus.NOT_FOUND, "no merchant here speaks WeChat Pay")
    return gateway.merchants.wechat


_TRADES, _REFUNDS = r"/v3/pay/transactions", r"/v3/refund/domestic/refunds"
_NUMBER = r"(?P<number>[^/]{1,64})"
PATHS: list[tuple[str, str, Callable[..., Answer]]] = [
    ("POST", rf"{_TRADES}/(?P<kind>native|h5|jsapi)", _endpoint(_order)),
    ("GET", rf"{_TRADES}/out-trade-no/{_NUMBER}", _endpoint(_by_ours)),
    ("GET", rf"{_TRADES}/id/{_NUMBER}", _endpoint(_by_theirs)),
    ("POST", rf"{_TRADES}/out-trade-no/{_NUMBER}/close", _endpoint(_close)),
    ("POST", _REFUNDS, _endpoint(_refund)),
    ("GET", rf"{_REFUNDS}/{_NUMBER}", _endpoint(_asked_refund)),
    ("GET", r"/v3/bill/tradebill", _endpoint(_tradebill)),
    ("GET", r"/v3/billdownload/file", _download),
    ("GET", r"/sns/oauth2/access_token", _token),
]
