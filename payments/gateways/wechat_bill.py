"""WeChat Pay's bill of a day (交易账单, kind ALL): text with commas, a backtick before every value.

The backtick keeps spreadsheets from rounding numbers, and tells where a value begins: names may hold commas.
Below the rows stands their sum, under headings of its own.
"""

from collections.abc import Iterator, Mapping

from cardshop.common.money import to_minor
from payments.gateways.base import Evidence, GatewayError, RefundEvidence, RefundState

# Refunds that came to nothing are listed, too.
_STATES = {"SUCCESS": RefundState.DONE, "PROCESSING": RefundState.UNDER_WAY}


def read_bill(text: str) -> Iterator[Evidence | RefundEvidence]:
    """Raises GatewayError for what cannot be read, and when fewer rows came than the bill counts."""
    headings, *rows = text.removeprefix("\ufeff").replace("\r", "").split("\n")
    names = headings.split(",")
    for count, row in enumerate(rows):
        if not row.startswith("`"):
            if _counted(rows[count + 1 :]) != count:
                raise GatewayError("the bill does not have the rows that it counts")
            return
        values = dict(zip(names, row[1:].split(",`"), strict=False))
        try:
            said = _read_row(values)
        except (KeyError, ValueError):
            raise GatewayError("the bill has a row that cannot be read") from None
        if said is not None:
            yield said
    raise GatewayError("the bill has no end")


def _read_row(values: Mapping[str, str]) -> Evidence | RefundEvidence | None:
    currency = values["货币种类"]
    match values["交易状态"]:
        case "SUCCESS":
            return Evidence(
                out_trade_no=values["商户订单号"],
                provider_txn_id=values["微信订单号"],
                paid=True,
                amount_minor=to_minor(values["订单金额"], currency),
                currency=currency,
            )
        case "REFUND" if values["退款状态"] in _STATES:
            return RefundEvidence(
                out_refund_no=values["商户退款单号"],
                provider_txn_id=values["微信订单号"],
                amount_minor=to_minor(values["申请退款金额"], currency),
                currency=currency,
                state=_STATES[values["退款状态"]],
            )
    return None


def _counted(sums: list[str]) -> int | None:
    first = sums[0].split(",")[0].removeprefix("`") if sums else ""
    return int(first) if first.isascii() and first.isdigit() else None
