"""WeChat Pay's bill of a day, as its platform writes it."""

from collections.abc import Iterator
from datetime import datetime

from sandbox import epay
from sandbox.ledger import BEIJING, WECHAT, Ledger, Refund, Trade
from sandbox.wechat import Account

HEADINGS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,"
    "货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,"
    "商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
SUMS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
ZERO = "0.00"


def bill_of(ledger: Ledger, account: Account, day: str) -> str | None:
    """What was paid and refunded on that day of Beijing's, as 2026-03-01; None if nothing was."""
    trades = {trade.trade_no: trade for trade in ledger.trades() if trade.bill.protocol == WECHAT}
    rows = [_paid(trade, account) for trade in trades.values() if _day(trade.paid_at) == day]
    rows += [
        _back(refund, trades[refund.trade_no], account)
        for refund in ledger.refunds()
        if refund.trade_no in trades and _day(refund.refunded_at) == day
    ]
    return "\r\n".join(_lines(rows)) + "\r\n" if rows else None


def _lines(rows: list[dict[str, str]]) -> Iterator[str]:
    names = HEADINGS.split(",")
    yield HEADINGS
    for row in rows:
        yield ",".join(f"`{row.get(name, '')}" for name in names)
    came, went = (epay.as_decimal(_sum(rows, name)) for name in ("订单金额", "申请退款金额"))
    yield SUMS
    yield ",".join(f"`{value}" for value in (len(rows), came, went, ZERO, ZERO, came, went))


def _paid(trade: Trade, account: Account) -> dict[str, str]:
    money = epay.as_decimal(trade.money_fen)
    return {
        **_row(trade, account, trade.paid_at),
        "交易状态": "SUCCESS",
        "应结订单金额": money,
        "订单金额": money,
        "退款金额": ZERO,
        "申请退款金额": ZERO,
    }


def _back(refund: Refund, trade: Trade, account: Account) -> dict[str, str]:
    money = epay.as_decimal(refund.money_fen)
    return {
        **_row(trade, account, refund.refunded_at),
        "交易状态": "REFUND",
        "应结订单金额": ZERO,
        "订单金额": ZERO,
        "微信退款单号": refund.refund_no,
        "商户退款单号": refund.out_refund_no or "",
        "退款金额": money,
        "申请退款金额": money,
        "退款类型": "ORIGINAL",
        "退款状态": "SUCCESS",
    }


def _row(trade: Trade, account: Account, at: float | None) -> dict[str, str]:
    return {
        "交易时间": datetime.fromtimestamp(at or 0, BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
        "公众账号ID": account.appid,
        "商户号": account.mchid,
        "特约商户号": "0",
        "微信订单号": trade.trade_no,
        "商户订单号": trade.bill.out_trade_no,
        "货币种类": trade.bill.currency,
        "商品名称": trade.bill.name,
        "手续费": "0.00000",
        "费率": "0.60%",
    }


def _sum(rows: list[dict[str, str]], name: str) -> int:
    """In fen. epay.to_fen() takes no zero."""
    return sum(epay.to_fen(row[name]) for row in rows if row[name] != ZERO)


def _day(moment: float | None) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment, BEIJING).strftime("%Y-%m-%d")
