"""Alipay's bill of a day: where it may be fetched, and what may be in it."""

import json
import zipfile
from datetime import UTC, date, datetime
from io import BytesIO
from urllib.parse import parse_qsl

import httpx
import pytest

from payments.gateways import alipay_bill, rsa
from payments.gateways.alipay_bill import checked_url
from payments.gateways.base import Evidence, GatewayError, RefundEvidence
from payments.tests.test_alipay import THEIRS, gateway

DAY = date(2026, 2, 28)
HEADS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,"
    "券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
TXN = "2026022822001004720299453898"
PAID_ROW = (
    f"{TXN}\t,A1\t,交易\t,ZYVAWG7TCHF,2026-02-28 00:06:14,2026-02-28 00:06:15,\t,\t,\t,\t,"
    "*杨(137****2600)\t,20.00,19.90,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,\t,-0.12,0.00,订单 A1"
)
REFUND_ROW = (
    f"{TXN}\t,A1\t,退款\t,ZYVAWG7TCHF,2026-02-28 00:06:14,2026-02-28 09:00:00,\t,\t,\t,\t,"
    "*杨(137****2600)\t,-5.50,-5.50,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,R1\t,0.00,0.00,一, 二"
)
URL = "http://dwbillcenter.alipay.com/downloadBillFile.resource?bizType=trade&fileId=1"


def table(*rows):
    return "\r\n".join(["#支付宝业务明细查询", "#账号：[2088]", HEADS, *rows, "#----列表结束----", ""])


def bill(*rows, sums="#支付宝业务汇总查询\r\n门店编号,门店名称\r\n,合计\r\n"):
    zipped = BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("2088_业务明细(汇总).csv", sums.encode("gbk"))
        archive.writestr("2088_业务明细.csv", table(*rows).encode("gbk"))
    return zipped.getvalue()


def read(zipped):
    return list(alipay_bill.read(zipped))


def platform(node, zipped=b"", **changes):
    """It answers the question for the address with `node`, and sends the zip; asked is what it was asked."""
    asked = []

    def answer(request):
        asked.append(request)
        if request.method == "GET":
            return httpx.Response(200, content=zipped)
        text = json.dumps(node)
        name = "alipay_data_dataservice_bill_downloadurl_query_response"
        body = f'{{"{name}":{text},"sign":"{rsa.sign(text, rsa.private_key(THEIRS))}"}}'
        return httpx.Response(200, content=body.encode())

    return gateway(answer, **changes), asked


def test_the_days_trades_and_refunds_are_read():
    desk, asked = platform({"code": "10000", "bill_download_url": URL}, bill(PAID_ROW, REFUND_ROW))

    rows = list(desk.statement(DAY))

    assert rows == [
        Evidence(out_trade_no="A1", provider_txn_id=TXN, paid=True, amount_minor=2000, currency="CNY"),
        RefundEvidence(out_refund_no="R1", provider_txn_id=TXN, amount_minor=550, currency="CNY"),
    ]
    wanted = json.loads(dict(parse_qsl(asked[0].content.decode()))["biz_content"])
    assert wanted == {"bill_type": "trade", "bill_date": "2026-02-28"}
    assert str(asked[1].url) == URL.replace("http:", "https:")


def test_a_day_without_trades_has_no_bill_and_in_the_morning_after_nobody_can_say():
    none = {"code": "40004", "sub_code": "isp.bill_not_exist", "sub_msg": "账单不存在"}
    before, after = datetime(2026, 3, 1, 1, 59, tzinfo=UTC), datetime(2026, 3, 1, 2, 0, tzinfo=UTC)

    with pytest.raises(GatewayError, match="yet"):
        list(platform(none, clock=lambda: before)[0].statement(DAY))
    assert list(platform(none, clock=lambda: after)[0].statement(DAY)) == []


@pytest.mark.parametrize(
    "node",
    [{"code": "40004", "sub_code": "isv.insufficient-isv-permissions"}, {"code": "20000"}, {"code": "10000"}],
    ids=str,
)
def test_without_an_address_there_is_no_statement(node):
    with pytest.raises(GatewayError):
        list(platform(node)[0].statement(DAY))


BASE = "https://openapi.alipay.com/gateway.do"


def test_a_bill_comes_by_tls_from_alipays_own_hosts_or_from_where_our_calls_go():
    assert checked_url(URL, base_url=BASE).startswith("https://dwbillcenter.alipay.com/download")
    for base in (
        "http://127.0.0.1:8001/alipay/gateway.do",
        "https://openapi-sandbox.dl.alipaydev.com/gateway.do",
    ):
        beside = base.replace("gateway.do", "bill?day=1")
        assert checked_url(beside, base_url=base) == beside


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bill.zip",
        "https://alipay.com.elsewhere.example/",
        "https://elsewherealipay.com/",
        "https://elsewhere.example/?x=.alipay.com",
        "https://elsewhere.example#.alipay.com",
        "https://x:y@dwbillcenter.alipay.com/",
        "https://dwbillcenter.alipay.com:8443/",
        "https://dwbillcenter.alipay.com@elsewhere.example/",
        "http://127.0.0.1/",
        "http://169.254.169.254/latest",
        "http://[",
        "file:///etc/passwd",
    ],
)
def test_nobody_is_led_anywhere_else(url):
    with pytest.raises(GatewayError):
        checked_url(url, base_url=BASE)


def corrupted(zipped):
    """Some bytes of what is packed are others."""
    return zipped[:70] + bytes(byte ^ 0xFF for byte in zipped[70:90]) + zipped[90:]


def packed_otherwise(method):
    zipped = BytesIO()
    with zipfile.ZipFile(zipped, "w", method) as archive:
        archive.writestr("2088_业务明细.csv", table(PAID_ROW).encode("gbk"))
    return zipped.getvalue()


UNREADABLE = {
    "no zip": b"PK",
    "nothing": b"",
    "cut": bill(PAID_ROW)[:-40],
    "garbled": corrupted(bill(PAID_ROW)),
    "another packing": packed_otherwise(zipfile.ZIP_LZMA),
    "no GBK": packed_otherwise(zipfile.ZIP_STORED).replace("业务".encode("gbk"), b"\xff\xff\xff\xff"),
    "a short row": bill("2026\t,A1\t,交易"),
    "an amount that is none": bill(PAID_ROW.replace("20.00", "twenty")),
    "a comma in a name": bill(PAID_ROW.replace("ZYVAWG7TCHF", "a,b")),
    "a row of an unknown kind": bill(PAID_ROW.replace("交易", "分账")),
}


@pytest.mark.parametrize("zipped", UNREADABLE.values(), ids=UNREADABLE)
def test_a_bill_that_cannot_be_read_is_an_error_and_not_an_empty_day(zipped):
    with pytest.raises(GatewayError):
        read(zipped)


def test_a_quote_swallows_nothing():
    assert len(read(bill(PAID_ROW.replace("ZYVAWG7TCHF", '"ZY'), REFUND_ROW))) == 2


def test_a_zip_that_grows_without_end_is_left_off(monkeypatch):
    zeros = bill(PAID_ROW, sums="0" * 50_000_000)
    assert len(zeros) < 100_000
    with pytest.raises(GatewayError, match="without end"):
        read(zeros)

    monkeypatch.setattr(alipay_bill, "MOST_LINES", 6)
    assert len(read(bill(PAID_ROW))) == 1
    with pytest.raises(GatewayError, match="without end"):
        read(bill(*[PAID_ROW] * 10))


def test_a_bill_too_large_to_fetch_is_left_off(monkeypatch):
    monkeypatch.setattr(alipay_bill, "MOST_ZIPPED", 1000)
    desk, _ = platform({"code": "10000", "bill_download_url": URL}, bytes(1001))

    with pytest.raises(GatewayError, match="too much"):
        list(desk.statement(DAY))
