"""What every driver speaks: calls in, evidence and pay pages out."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl

import httpx

MAX_ANSWER_BYTES = 1_000_000
MAX_ANSWER_SECONDS = 10.0


class BadNotice(Exception):
    """The call is not from the provider, or not for us, or cannot be read. Says why, without secrets."""


class GatewayError(Exception):
    """The provider did not answer, or not as it should: a technical failure; the outcome is unknown."""


class Unreachable(GatewayError):
    """There was no answer at all: asking about another trade now would only take as long again."""


class GatewayRefused(Exception):
    """The provider understood and said no."""


@dataclass(frozen=True)
class RawCall:
    """A provider's call as received; text that was not valid UTF-8 has been replaced."""

    method: str
    query: str
    body: str

    def single_params(self) -> dict[str, str]:
        """The query's parameters. Raises BadNotice on a repeated name: which one was signed?"""
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, max_num_fields=50)
        except ValueError as error:
            raise BadNotice("too many parameters") from error
        params = dict(pairs)
        if len(params) != len(pairs):
            raise BadNotice("a parameter came twice")
        return params


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a provider says about one trade. Money only when `paid`."""

    out_trade_no: str
    provider_txn_id: str
    paid: bool
    amount_minor: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A verified notice. `digest` is of what was signed, so that additions make no new notice."""

    evidence: Evidence
    digest: str


@dataclass(frozen=True, kw_only=True)
class PayRequest:
    """What a provider needs to know to ask for money. `return_url` is where the buyer comes back."""

    out_trade_no: str
    amount_minor: int
    currency: str
    subject: str
    notify_url: str
    return_url: str
    client_ip: str
    started_at: datetime = field(repr=False)


# What opens the payment apps of phones. Whatever else a provider names is not put before a buyer.
_APPS = re.compile(r"(weixin|alipays?|mqqapi|uppaywallet)://[!-~]+", re.ASCII)
MOST_PAY_PAGE = 2000  # characters


@dataclass(frozen=True, kw_only=True)
class PayPage:
    """Where the buyer pays. One of them at least: a page of the provider's, what an app is to scan as a QR
    code, what opens the app on the phone that shows it.
    """

    url: str = ""
    qr: str = ""
    app_url: str = ""

    def __post_init__(self) -> None:
        """Raises GatewayError for what no buyer should be led to."""
        if not (self.url or self.qr or self.app_url):
            raise GatewayError("answered without a payment page")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise GatewayError("answered with a payment page that is no web page")
        if self.app_url and not _APPS.fullmatch(self.app_url):
            raise GatewayError("answered with a link to an app that is none")
        if max(map(len, (self.url, self.qr, self.app_url))) > MOST_PAY_PAGE:
            raise GatewayError("answered with a payment page without end")


def read_answer(http: httpx.Client, method: str, url: str, **request: Any) -> tuple[int, bytes]:
    """Status and decoded body of an answer that is short in bytes and in time.

    The client's own time-outs are for each read: a provider that trickles would never hit them.
    Raises GatewayError, and httpx.HTTPError.
    """
    began, content = time.monotonic(), b""
    with http.stream(method, url, headers={"Accept-Encoding": "identity"}, **request) as answer:
        for part in answer.iter_bytes():
            content += part
            if len(content) > MAX_ANSWER_BYTES:
                raise GatewayError("answered too much")
            if time.monotonic() - began > MAX_ANSWER_SECONDS:
                raise Unreachable("answered too slowly")
    return answer.status_code, content


class Gateway(Protocol):
    """One provider. No method touches the database; those that use the network say so."""

    notice_is_proof: bool
    """Whether a verified notice may be believed without asking back."""
    acknowledgement: str
    """What to answer once a notice is ours for good."""

    def create(self, wanted: PayRequest) -> PayPage:
        """Network. Where the buyer pays. Raises GatewayError, GatewayRefused."""

    def query(self, out_trade_no: str, provider_txn_id: str = "") -> Evidence | None:
        """Network. What became of the trade; None if the provider does not know it.

        With `provider_txn_id`, of that transaction: one attempt may have been paid twice. Raises
        GatewayError.
        """

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        """Pure. The verified content of a notice that came `at` that moment. Raises BadNotice."""

    def statement(self) -> Iterator[Evidence]:
        """Network. The provider's own ledger, newest first. Raises GatewayError."""
