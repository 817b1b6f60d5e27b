"""A provider that refunds as a test tells it to, behind the seam where drivers are chosen."""

from collections.abc import Iterator
from datetime import date
from threading import Lock

import pytest

from payments.gateways import DRIVERS
from payments.gateways.base import (
    Ability,
    Evidence,
    GatewayError,
    Lacking,
    PayPage,
    PayRequest,
    RefundEvidence,
    RefundRequest,
    RefundState,
    Trade,
)
from payments.gateways.drivers import MERCHANT_ID, SHARED_KEY, Driver
from payments.models import PaymentChannel
from tests.factories import make_channel

DRIVER = "refunder"


class Refunder(Lacking):
    """Its `answers` come one after the other, exceptions are raised; when they are used up it simply refunds.

    `refunds` is what it really refunded, in minor units by our number; `asked` every number that it was asked
    to refund. `asking` is raised when it is asked about one. `closing` is what it says when it is told to
    close; `booked` its statements, by day. Threads may share it.
    """

    notice_is_proof = True
    acknowledgement = "success"

    def __init__(self) -> None:
        self.can = frozenset(
            {Ability.CLOSE, Ability.REFUND, Ability.REPEAT_REFUND, Ability.ASK_REFUND, Ability.LIST}
        )
        self.answers: list[RefundState | Exception] = []
        self.asking: Exception | None = None
        self.refunds: dict[str, int] = {}
        self.asked: list[str] = []
        self.paid: dict[str, Evidence] = {}
        self.closing: bool | Exception = False
        self.closed: list[str] = []
        self.booked: dict[date, list[Evidence | RefundEvidence]] = {}
        self._lock = Lock()

    def create(self, wanted: PayRequest) -> PayPage:
        return PayPage(url=f"http://127.0.0.1:9/pay/{wanted.out_trade_no}")

    def refund(self, wanted: RefundRequest) -> RefundState:
        with self._lock:
            self.asked.append(wanted.out_refund_no)
            answer = self.answers.pop(0) if self.answers else RefundState.DONE
            if answer is RefundState.DONE:
                self.refunds[wanted.out_refund_no] = wanted.amount_minor
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        if self.asking is not None:
            raise self.asking
        return RefundState.DONE if wanted.out_refund_no in self.refunds else None

    def close(self, trade: Trade) -> bool:
        self.closed.append(trade.out_trade_no)
        if isinstance(self.closing, Exception):
            raise self.closing
        return self.closing

    def statement(self, day: date) -> Iterator[Evidence | RefundEvidence]:
        if day not in self.booked:
            raise GatewayError("is not to be had yet")
        yield from self.booked[day]

    def trades(self) -> Iterator[Evidence]:
        yield from list(self.paid.values())

    def query(self, trade: Trade) -> Evidence | None:
        return self.paid.get(trade.out_trade_no)


@pytest.fixture
def refunder(monkeypatch: pytest.MonkeyPatch) -> Refunder:
    scripted = Refunder()
    driver = Driver(
        name=DRIVER,
        label=DRIVER,
        methods=("alipay",),
        settings=(MERCHANT_ID, SHARED_KEY),
        make=lambda account: scripted,
    )
    monkeypatch.setitem(DRIVERS, DRIVER, driver)
    return scripted


def refunding_channel() -> PaymentChannel:
    return PaymentChannel.objects.filter(driver=DRIVER).first() or make_channel(slug=DRIVER, driver=DRIVER)
