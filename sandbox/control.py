"""/_sandbox: how tests turn the knobs, press the buttons and read the books. Loopback, no password.

Amounts are integer fen, moments ISO 8601 in UTC; README.md lists every call.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus

from sandbox import epay
from sandbox.gateway import Gateway
from sandbox.knobs import BadKnob
from sandbox.ledger import Notice, Refused, Status, Trade
from sandbox.web import Answer, HttpError, Request, json_answer


def show_knobs(gateway: Gateway, request: Request) -> Answer:
    return json_answer(gateway.board.as_json())


def turn_knobs(gateway: Gateway, request: Request) -> Answer:
    try:
        gateway.board.turn(request.json)
    except BadKnob as exc:
        raise HttpError(HTTPStatus.BAD_REQUEST, str(exc)) from exc
    gateway.sender.look_again()
    return show_knobs(gateway, request)


def reset(gateway: Gateway, request: Request) -> Answer:
    gateway.board.turn_back()
    gateway.sender.look_again()
    return show_knobs(gateway, request)


def pay(gateway: Gateway, request: Request, trade_no: str) -> Answer:
    """Pay as a buyer would, or otherwise: another amount, or a second time."""
    _known(gateway, trade_no)
    money_fen, again = _wishes(request.json)
    try:
        if again:
            trade_no = gateway.pay_again(trade_no, money_fen=money_fen).trade_no
        captured = again or gateway.pay(trade_no, money_fen=money_fen)
    except Refused as exc:
        raise HttpError(HTTPStatus.CONFLICT, str(exc)) from exc
    trade = _known(gateway, trade_no)
    return json_answer(
        {
            "captured": captured,
            "return_url": gateway.return_url(trade) if trade.bill.return_url else None,
            "trade": _shown_trade(trade),
        }
    )


def notify(gateway: Gateway, request: Request, trade_no: str) -> Answer:
    if _known(gateway, trade_no).status is Status.UNPAID:
        raise HttpError(HTTPStatus.CONFLICT, "there is nothing to tell of an unpaid trade")
    gateway.notify(trade_no)
    return json_answer({"planned": True}, HTTPStatus.ACCEPTED)


def ledger(gateway: Gateway, request: Request) -> Answer:
    return json_answer([_shown_trade(trade) for trade in gateway.ledger.trades()])


def refunds(gateway: Gateway, request: Request) -> Answer:
    return json_answer(
        [{**asdict(refund), "refunded_at": _iso(refund.refunded_at)} for refund in gateway.ledger.refunds()]
    )


def notices(gateway: Gateway, request: Request) -> Answer:
    return json_answer([_shown_notice(notice) for notice in gateway.ledger.notices()])


def _known(gateway: Gateway, trade_no: str) -> Trade:
    trade = gateway.ledger.trade(trade_no)
    if trade is None or not gateway.knows(trade):
        raise HttpError(HTTPStatus.NOT_FOUND, "no such trade")
    return trade


def _wishes(body: dict[str, object]) -> tuple[int | None, bool]:
    """The amount to capture instead of what was asked, and whether it is a second payment."""
    if unknown := body.keys() - {"money", "again"}:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"unknown: {', '.join(sorted(unknown))}")
    money, again = body.get("money"), body.get("again", False)
    if not isinstance(again, bool):
        raise HttpError(HTTPStatus.BAD_REQUEST, "again: true or false")
    if money is None:
        return None, again
    try:
        return epay.to_fen(money if isinstance(money, str) else ""), again
    except epay.BadMoney as exc:
        raise HttpError(HTTPStatus.BAD_REQUEST, 'money: yuan as text, like "0.01"') from exc


def _shown_trade(trade: Trade) -> dict[str, object]:
    return {
        "trade_no": trade.trade_no,
        "out_trade_no": trade.bill.out_trade_no,
        "pid": trade.bill.pid,
        "protocol": trade.bill.protocol,
        "currency": trade.bill.currency,
        "type": trade.bill.type,
        "asked_fen": trade.bill.asked_fen,
        "money_fen": trade.money_fen,
        "status": trade.status,
        "created_at": _iso(trade.created_at),
        "paid_at": _iso(trade.paid_at),
        "refunded_fen": trade.refunded_fen,
        "repeat_of": trade.repeat_of,
    }


def _shown_notice(notice: Notice) -> dict[str, object]:
    return {
        **asdict(notice),
        "due_at": _iso(notice.due_at),
        "ended_at": _iso(notice.ended_at),
    }


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()
