"""A driver behind breakers, one for each operation: who does not answer is not asked for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from cardshop.traffic.breakers import Breaker, BreakerOpen
from payments.gateways.base import (
    Evidence,
    Gateway,
    GatewayError,
    NotAsked,
    Notice,
    PayPage,
    PayRequest,
    RawCall,
    RefundEvidence,
    RefundRequest,
    RefundState,
    Trade,
    Unreachable,
)

OPERATIONS = ("create", "query", "close", "refund")


def breaker_of(name: str, operation: str) -> Breaker:
    return Breaker(f"{name}:{operation}", failures=GatewayError, no_answer=Unreachable)


class GuardedGateway:
    """Raises NotAsked where a breaker is open. Only technical failures count: a clear no is an answer."""

    def __init__(self, gateway: Gateway, *, name: str) -> None:
        self._gateway, self._name = gateway, name
        self.notice_is_proof = gateway.notice_is_proof
        self.acknowledgement = gateway.acknowledgement
        self.can = gateway.can

    def create(self, wanted: PayRequest) -> PayPage:
        with self._guarded("create"):
            return self._gateway.create(wanted)

    def query(self, trade: Trade) -> Evidence | None:
        with self._guarded("query"):
            return self._gateway.query(trade)

    def close(self, trade: Trade) -> bool:
        with self._guarded("close"):
            return self._gateway.close(trade)

    def refund(self, wanted: RefundRequest) -> RefundState:
        with self._guarded("refund"):
            return self._gateway.refund(wanted)

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        with self._guarded("query"):
            return self._gateway.ask_refund(wanted)

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        return self._gateway.read_notice(call, at=at)

    # Asked by people and once a day: they would rather wait than not know.

    def trades(self) -> Iterator[Evidence]:
        return self._gateway.trades()

    def statement(self, day: date) -> Iterator[Evidence | RefundEvidence]:
        return self._gateway.statement(day)

    @contextmanager
    def _guarded(self, operation: str) -> Iterator[None]:
        try:
            with breaker_of(self._name, operation).around():
                yield
        except BreakerOpen as error:
            raise NotAsked(str(error)) from error
