"""What every driver speaks: calls in, evidence and pay pages out."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any, Protocol
from urllib.parse import parse_qsl

from cardshop.common.money import to_minor


class BadNotice(Exception):
    """The call is not from the provider, or not for us, or cannot be read. Says why, without secrets."""


class CannotTell(BadNotice):
    """Whose call it is cannot be found out at the moment: the provider should come again."""


class GatewayError(Exception):
    """The provider did not answer, or not as it should: a technical failure; the outcome is unknown."""


class Unreachable(GatewayError):
    """There was no answer at all: asking about another trade now would only take as long again."""


class NotAsked(Unreachable):
    """The call was not made at all, so nothing can have come of it."""


class GatewayRefused(Exception):
    """The provider understood and said no."""


@dataclass(frozen=True)
class RawCall:
    """A provider's call as received; text that was not valid UTF-8 has been replaced.

    `headers` are those that some provider signs, their names in lower case.
    """

    method: str
    query: str
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def single_params(self, *, of: str | None = None) -> dict[str, str]:
        """The parameters of the query, or of a form. Raises BadNotice on a repeated name: which one was
        signed?
        """
        try:
            form = self.query if of is None else of
            pairs = parse_qsl(form, keep_blank_values=True, max_num_fields=50)
        except ValueError as error:
            raise BadNotice("too many parameters") from error
        params = dict(pairs)
        if len(params) != len(pairs):
            raise BadNotice("a parameter came twice")
        return params


@dataclass(frozen=True, kw_only=True)
class Trade:
    """A trade, as its provider may be asked about it.

    By our number; by `reference`, what the provider called it when it was created; or by one transaction, as
    a trade may have been paid twice. Once it is not `wanted` any more, nothing that the buyer has agreed to
    may still be taken.
    """

    out_trade_no: str
    reference: str = ""
    provider_txn_id: str = ""
    wanted: bool = True


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a provider says about one trade. Money only when `paid`.

    `gone_back`: some or all of it has been refunded since. What we first hear of so was given back by
    somebody else than us, and is no money to deliver for.
    """

    out_trade_no: str
    provider_txn_id: str
    paid: bool
    amount_minor: int
    currency: str
    gone_back: bool = False


def named(trade: Trade) -> dict[str, str]:
    """A trade under the numbers that Chinese providers agree on: theirs where it is known, or else ours."""
    if trade.provider_txn_id:
        return {"trade_no": trade.provider_txn_id}
    return {"out_trade_no": trade.out_trade_no}


def read_evidence(
    said: Mapping[str, Any], *, amount: str, currency: str, paid: bool, gone_back: bool = False
) -> Evidence:
    """What is said of a trade under these numbers. Raises GatewayError."""
    try:
        amount_minor = to_minor(str(said[amount]), currency)
        out_trade_no, txn = str(said["out_trade_no"]), str(said["trade_no"])
    except (KeyError, ValueError) as error:
        raise GatewayError("answered without a readable amount or number") from error
    # What is signed is not encoded: a number with "&" has swallowed the pair behind it.
    if not (0 < len(out_trade_no) <= 32 and 0 < len(txn) <= 64) or "&" in out_trade_no + txn:
        raise GatewayError("answered with an unreadable number")
    return Evidence(
        out_trade_no=out_trade_no,
        provider_txn_id=txn,
        paid=paid,
        amount_minor=amount_minor,
        currency=currency,
        gone_back=gone_back,
    )


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A verified notice. `digest` is of what was signed, so that additions make no new notice.

    Without `evidence` it is genuine, and about something else than a payment.
    """

    evidence: Evidence | None
    digest: str


@dataclass(frozen=True, kw_only=True)
class PayRequest:
    """What a provider needs to know to ask for money. `return_url` is where the buyer comes back.

    From `expires_at` on it should take no more. `payer` is what the provider calls the buyer, where it has
    told: WeChat's openid, for somebody whose browser is WeChat's own (`in_wechat`); or a balance's code.
    """

    out_trade_no: str
    amount_minor: int
    currency: str
    subject: str
    notify_url: str
    return_url: str
    client_ip: str
    on_phone: bool
    in_wechat: bool = False
    payer: str = field(default="", repr=False)
    started_at: datetime = field(repr=False)
    expires_at: datetime = field(repr=False)


# What opens the payment apps of phones. Whatever else a provider names is not put before a buyer.
_APPS = re.compile(r"(weixin|alipays?|mqqapi|uppaywallet)://[!-~]+", re.ASCII)
MOST_PAY_PAGE = 4000  # characters
MOST_QR = 2331  # bytes, that the largest code holds with as much redundancy as ours have (M)


@dataclass(frozen=True, kw_only=True)
class PayPage:
    """Where the buyer pays. One of them at least: a page of the provider's, what an app is to scan as a QR
    code, what opens the app on the phone that shows it, or what a page in the provider's own browser hands to
    the app around it (`app_call`).

    `reference` is what the provider calls the trade from now on, where it has to be asked by that.
    """

    url: str = ""
    qr: str = ""
    app_url: str = ""
    app_call: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""

    def __post_init__(self) -> None:
        """Raises GatewayError for what no buyer should be led to."""
        if not (self.url or self.qr or self.app_url or self.app_call):
            raise GatewayError("answered without a payment page")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise GatewayError("answered with a payment page that is no web page")
        if self.app_url and not _APPS.fullmatch(self.app_url):
            raise GatewayError("answered with a link to an app that is none")
        if max(len(self.url), len(self.app_url)) > MOST_PAY_PAGE:
            raise GatewayError("answered with a payment page without end")
        if len(self.qr.encode(errors="replace")) > MOST_QR:
            raise GatewayError("answered with more than a QR code holds")


@dataclass(frozen=True, kw_only=True)
class RefundRequest:
    """Money to go back: all of a transaction, or a part. `out_refund_no` names this refund for ever."""

    out_refund_no: str
    trade: Trade
    paid_minor: int
    amount_minor: int
    currency: str
    reason: str
    requested_at: datetime


class RefundState(Enum):
    """What a provider says of a refund. A clear no is GatewayRefused."""

    DONE = "done"  # the money has left
    UNDER_WAY = "under way"  # accepted; ask again later
    FAILED = "failed"  # it was accepted, and came to nothing


@dataclass(frozen=True, kw_only=True)
class RefundEvidence:
    """A refund as a statement lists it. One that came to nothing is not listed."""

    out_refund_no: str
    provider_txn_id: str
    amount_minor: int
    currency: str
    state: RefundState = RefundState.DONE


class Ability(Enum):
    """What not every provider can do."""

    CLOSE = "close"  # a trade, so that it takes no money any more
    REFUND = "refund"
    REPEAT_REFUND = "repeat refund"  # under the same number, and it is still one refund
    ASK_REFUND = "ask refund"  # what became of it
    LIST = "list"  # its trades, up to this moment
    STATEMENT = "statement"  # its trades and refunds of a day that is over


class Gateway(Protocol):
    """One provider. No method touches the database, but for a provider that is ours; those that use the
    network say so.
    """

    notice_is_proof: bool
    """Whether a verified notice may be believed without asking back."""
    list_is_proof: bool
    """Whether what `trades` lists may be believed as what `query` says is."""
    acknowledgement: str
    """What to answer once a notice is ours for good."""
    can: frozenset[Ability]
    """What is lacking is never called."""

    def create(self, wanted: PayRequest) -> PayPage:
        """Network. Where the buyer pays. Raises GatewayError, GatewayRefused."""

    def query(self, trade: Trade) -> Evidence | None:
        """Network. What became of the trade; None if the provider does not know it. Raises GatewayError."""

    def close(self, trade: Trade) -> bool:
        """Network. True when it takes no money any more, and has taken none; False when the provider does
        not promise that. Raises GatewayRefused when it is paid, GatewayError.
        """

    def refund(self, wanted: RefundRequest) -> RefundState:
        """Network. Raises GatewayRefused for a clear no; GatewayError when nobody knows what came of it."""

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        """Network. None if the provider does not know of it. Raises GatewayError."""

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        """The verified content of a notice that came `at` that moment. Raises BadNotice, CannotTell.

        Pure, or nearly so: a certificate that is new may be fetched from the provider, in a moment or not at
        all.
        """

    def trades(self) -> Iterator[Evidence]:
        """Network. All its trades up to this moment, newest first. Raises GatewayError."""

    def statement(self, day: date) -> Iterator[Evidence | RefundEvidence]:
        """Network. What it booked on that day, in the provider's time zone. Raises GatewayError."""


class Lacking:
    """For drivers to inherit: what their provider lacks. Whoever calls it has not looked at `can`."""

    list_is_proof = True  # as those that have one are asked and answer in one way

    def close(self, trade: Trade) -> bool:
        raise NotImplementedError

    def refund(self, wanted: RefundRequest) -> RefundState:
        raise NotImplementedError

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        raise NotImplementedError

    def trades(self) -> Iterator[Evidence]:
        raise NotImplementedError

    def statement(self, day: date) -> Iterator[Evidence | RefundEvidence]:
        raise NotImplementedError
