"""What can go wrong: the shop says no, or nobody answers."""

from collections.abc import Mapping
from typing import Any


class CardshopError(Exception):
    """The root of all errors of this client."""


class NotAnswered(CardshopError):
    """Nobody answered, also after several tries. Whether an order was placed is not known: send it again with
    the same idempotency key.
    """


class CannotDecrypt(CardshopError):
    """Card keys are encrypted to another key than this client's. They are bought: ask for them again with the
    right one (`order_with_keys`).
    """


class Refused(CardshopError):
    """The shop understood, and said no: `code` is for programs and never changes, `problem` all it said."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", ""))
        super().__init__(f"{status} {self.code}: {problem.get('detail', '')}")


class OutOfStock(Refused):
    """Fewer are left than were wanted."""


class NotEnoughBalance(Refused):
    """`needed_minor` and `spendable_minor` say how much is missing."""

    @property
    def needed_minor(self) -> int:
        return int(self.problem["needed_minor"])

    @property
    def balance_minor(self) -> int:
        return int(self.problem["balance_minor"])

    @property
    def spendable_minor(self) -> int:
        """With the credit line, if there is one."""
        return int(self.problem.get("spendable_minor", self.balance_minor))


class TooOften(Refused):
    """Also after the waits that the shop asked for."""


_BY_CODE: dict[str, type[Refused]] = {
    "out_of_stock": OutOfStock,
    "not_enough_balance": NotEnoughBalance,
    "too_many_requests": TooOften,
}


def refusal(status: int, problem: Mapping[str, Any]) -> Refused:
    return _BY_CODE.get(str(problem.get("code")), Refused)(status, problem)
