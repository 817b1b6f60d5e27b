"""Alipay's bill of a day (业务明细): a zip of tables in GBK. One has a row for each trade and refund.

The address of the zip comes in a signed answer; what is behind it is not signed. So it is fetched from
Alipay's own hosts only, by TLS, and within bounds.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO, TextIOWrapper
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import httpx

from cardshop.common.money import to_minor
from payments.gateways.base import Evidence, GatewayError, RefundEvidence
from payments.gateways.exchange import fetch

MOST_ZIPPED = 30_000_000  # bytes
MOST_LINES = 3_000_000
LONGEST_LINE = 10_000  # characters
MOST_SECONDS = 60.0
MOST_TABLES = 10
_CURRENCY = "CNY"
_TRADE_NO, _OUT_TRADE_NO, _KIND = "支付宝交易号", "商户订单号", "业务类型"
_AMOUNT, _REFUND_NO = "订单金额（元）", "退款批次号/请求号"
_COLUMNS = {_TRADE_NO, _OUT_TRADE_NO, _KIND, _AMOUNT, _REFUND_NO}


def checked_url(text: str, *, base_url: str) -> str:
    """The address of a bill, if it is on Alipay's hosts or where our other calls go. Raises GatewayError."""
    try:
        url, base = httpx.URL(text), httpx.URL(base_url)
    except httpx.InvalidURL:
        raise GatewayError("answered with an unreadable address of the bill") from None
    if url.userinfo:
        raise GatewayError("answered with a strange address of the bill")
    if (url.scheme, url.host, url.port) == (base.scheme, base.host, base.port):
        return text
    if url.port or not url.host.endswith(".alipay.com"):
        raise GatewayError("answered with an address of the bill that is not its own")
    return str(url.copy_with(scheme="https"))  # it says http


def fetch_bill(http: httpx.Client, url: str) -> bytes:
    """Raises GatewayError."""
    return fetch(http, "GET", url, most_bytes=MOST_ZIPPED, most_seconds=MOST_SECONDS)


def read(zipped: bytes) -> Iterator[Evidence | RefundEvidence]:
    """What the bill lists, of all that came to the account. Raises GatewayError.

    The other tables are sums: which is which is seen by their columns, as their names vary.
    """
    try:
        with ZipFile(BytesIO(zipped), metadata_encoding="gbk") as archive:
            for member in archive.infolist()[:MOST_TABLES]:
                if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                    raise GatewayError("sent a bill that is packed in another way")
                with archive.open(member) as table:
                    lines = TextIOWrapper(table, encoding="gb18030")
                    yield from map(_read_row, _rows(_bounded(lines)))
    except (BadZipFile, zlib.error, UnicodeError, NotImplementedError, RuntimeError, EOFError, OSError):
        raise GatewayError("sent a bill that cannot be read") from None


def _bounded(lines: TextIOWrapper) -> Iterator[str]:
    """A few bytes of zip may hold gigabytes: neither lines nor all of them are read without end."""
    for _ in range(MOST_LINES):
        line = lines.readline(LONGEST_LINE)
        if not line:
            return
        if len(line) == LONGEST_LINE:
            break
        yield line
    raise GatewayError("sent a bill without end")


def _rows(lines: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """The rows of the table that has our columns, by the names of the columns.

    Nothing is quoted. The last column is a remark, which may have commas of its own; any other that has
    some moves the rest, and what is found for an amount is none.
    """
    names: list[str] = []
    for line in lines:
        row = [cell.strip() for cell in line.split(",")]
        if line.startswith("#") or row == [""]:
            continue
        if not names and set(row) >= _COLUMNS:
            names = row
        elif names:
            if len(row) < len(names):
                raise GatewayError("sent a bill with a row that cannot be read")
            yield dict(zip(names, row, strict=False))


def _read_row(row: Mapping[str, str]) -> Evidence | RefundEvidence:
    try:
        amount_minor = to_minor(row[_AMOUNT].removeprefix("-"), _CURRENCY)
    except ValueError:
        raise GatewayError("sent a bill with an unreadable amount") from None
    if row[_KIND] == "退款":
        return RefundEvidence(
            out_refund_no=row[_REFUND_NO],
            provider_txn_id=row[_TRADE_NO],
            amount_minor=amount_minor,
            currency=_CURRENCY,
        )
    if row[_KIND] != "交易":
        raise GatewayError("sent a bill with a row of an unknown kind")
    return Evidence(
        out_trade_no=row[_OUT_TRADE_NO],
        provider_txn_id=row[_TRADE_NO],
        paid=True,
        amount_minor=amount_minor,
        currency=_CURRENCY,
    )
