"""The bill of a day: a zip of two tables in GBK, fetched at an address that is good for half a minute.

Unlike the original's it is there at once, also of the day that is not over.
"""

import time
import zipfile
from base64 import b64decode
from datetime import datetime
from http import HTTPStatus
from io import BytesIO
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from sandbox import alipay, epay
from sandbox.gateway import Gateway
from sandbox.ledger import BEIJING, Trade
from sandbox.web import Answer, HttpError, Request

GOOD_FOR_S = 30
COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,"
    "券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)


def address(gateway: Gateway, *, app_id: str, day: str) -> str | None:
    """Where the bill can be fetched; None if nothing was booked that day."""
    if not _rows(gateway, app_id, day):
        return None
    asked = {"app_id": app_id, "day": day, "until": str(int(time.time()) + GOOD_FOR_S)}
    assert gateway.merchants.platform is not None
    signature = alipay.sign(urlencode(asked), gateway.merchants.platform)
    return f"{gateway.public_url}/alipay/bill?{urlencode({**asked, 'sign': signature})}"


def download(gateway: Gateway, request: Request) -> Answer:
    asked = dict(request.query)
    signature, platform = asked.pop("sign", ""), gateway.merchants.platform
    try:
        if platform is None:
            raise ValueError("nobody speaks Alipay here")
        platform.public_key().verify(
            b64decode(signature, validate=True),
            urlencode(asked).encode(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
    except (InvalidSignature, ValueError) as exc:
        raise HttpError(HTTPStatus.FORBIDDEN, "not an address of ours") from exc
    if time.time() > int(asked["until"]):
        raise HttpError(HTTPStatus.FORBIDDEN, "too late")
    zipped = _zip(asked["app_id"], asked["day"], _rows(gateway, asked["app_id"], asked["day"]))
    return Answer(zipped, headers={"Content-Type": "application/zip"})


def _rows(gateway: Gateway, app_id: str, day: str) -> list[str]:
    trades = {trade.trade_no: trade for trade in gateway.ledger.trades() if trade.bill.pid == app_id}
    paid = [
        _row(trade, kind="交易", fen=trade.money_fen, at=trade.paid_at)
        for trade in trades.values()
        if trade.paid_at and _day(trade.paid_at) == day
    ]
    refunded = [
        _row(
            trades[refund.trade_no],
            kind="退款",
            fen=-refund.money_fen,
            at=refund.refunded_at,
            number=refund.out_refund_no or "",
        )
        for refund in gateway.ledger.refunds()
        if refund.trade_no in trades and _day(refund.refunded_at) == day
    ]
    return paid + refunded


def _row(trade: Trade, *, kind: str, fen: int, at: float, number: str = "") -> str:
    """Numbers have a tab behind them, so that no table program takes them for floats."""
    yuan = ("-" if fen < 0 else "") + epay.as_decimal(abs(fen))
    name = trade.bill.name.replace(",", " ")
    times = f"{alipay.stamp(trade.created_at)},{alipay.stamp(at)}"
    nothing = ",".join(["0.00"] * 5)
    return (
        f"{trade.trade_no}\t,{trade.bill.out_trade_no}\t,{kind},{name},{times},\t,\t,\t,\t,*盒(san***@example.com)\t,"
        f"{yuan},{yuan},{nothing},,0.00\t,0.00,{number}\t,0.00,0.00,"
    )


def _zip(app_id: str, day: str, rows: list[str]) -> bytes:
    line = "-" * 40
    seller = alipay.seller_of(app_id)
    details = [
        "#支付宝业务明细查询",
        f"#账号：[{seller}]",
        f"#起始日期：[{day} 00:00:00]",
        f"#{line}业务明细列表{line}",
        COLUMNS,
        *rows,
        f"#{line}业务明细列表结束{line}",
    ]
    sums = [
        "#支付宝业务汇总查询",
        f"#账号：[{seller}]",
        "门店编号,门店名称,交易订单总笔数",
        f",合计,{len(rows)}",
    ]
    tables = {"业务明细": details, "业务明细(汇总)": sums}
    zipped = BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in tables.items():
            text = "\r\n".join(lines) + "\r\n"
            archive.writestr(f"{seller}_{day}_{name}.csv", text.encode("gbk", errors="replace"))
    return zipped.getvalue()


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, BEIJING).strftime("%Y-%m-%d")
