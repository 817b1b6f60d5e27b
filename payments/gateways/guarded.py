"""A driver behind breakers, one for each operation: who does not answer is not asked for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from cardshop.traffic.breakers import Breaker, BreakerOpen
from payments.gateways.base import (
    Evidence,
    Gateway,
    GatewayError,
    Notice,
    PayPage,
    PayRequest,
    RawCall,
    Unreachable,
)

OPERATIONS = ("create", "query")


def breaker_of(name: str, operation: str) -> Breaker:
    return Breaker(f"{name}:{operation}", failures=GatewayError, no_answer=Unreachable)


class GuardedGateway:
    """Raises Unreachable where a breaker is open. Only technical failures count: a clear no is an answer."""

    def __init__(self, gateway: Gateway, *, name: str) -> None:
        self._gateway, self._name = gateway, name
        self.notice_is_proof = gateway.notice_is_proof
        self.acknowledgement = gateway.acknowledgement
        self.has_statement = gateway.has_statement

    def create(self, wanted: PayRequest) -> PayPage:
        with self._guarded("create"):
            return self._gateway.create(wanted)

    def query(self, out_trade_no: str, provider_txn_id: str = "") -> Evidence | None:
        with self._guarded("query"):
            return self._gateway.query(out_trade_no, provider_txn_id)

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        return self._gateway.read_notice(call, at=at)

    def statement(self) -> Iterator[Evidence]:
        # Asked by people and once a day: they would rather wait than not know.
        return self._gateway.statement()

    @contextmanager
    def _guarded(self, operation: str) -> Iterator[None]:
        try:
            with breaker_of(self._name, operation).around():
                yield
        except BreakerOpen as error:
            raise Unreachable(str(error)) from error
