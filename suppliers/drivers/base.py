"""What every driver can do, and the three ways in which a supplier does not say yes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


class Refused(Exception):
    """A definite no, by its code: this request has bought nothing, and never will."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class NotNow(Exception):
    """It has bought nothing, for a reason that says nothing about the goods; it may be sent again."""


class Unclear(Exception):
    """There was no answer, or none that can be read: it may have been done, or be done yet."""


class Silent(Unclear):
    """Nobody answers: others who ask need not wait for it, too."""


@dataclass(frozen=True)
class Bought:
    """An order at the supplier. `keys` is None where they were not told; `problem` says why it came to
    nothing. With `is_final` no more keys will come of it by themselves.
    """

    number: str
    cost_minor: int | None
    keys: Sequence[str] | None = field(repr=False)
    is_final: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Account:
    name: str
    currency: str
    balance_minor: int


@dataclass(frozen=True)
class Entry:
    """A payment (negative) or refund of the account, for the order of this number."""

    number: int
    kind: str
    amount_minor: int
    order_number: str
    at: datetime


class Upstream(Protocol):
    """All of it is network, and raises NotNow and Unclear; secrets stand in none of what it says.

    `still_arrives` is how long something that was sent, and never answered, may yet be done.
    """

    @property
    def still_arrives(self) -> timedelta: ...

    def order(self, *, key: str, code: str, quantity: int, most_minor: int | None, reference: str) -> Bought:
        """Buy. The same key is the same order, however often this is called. Raises Refused."""
        ...

    def find(self, reference: str) -> Bought | None:
        """The order that was bought under this number of ours; None where there is none."""
        ...

    def order_with_keys(self, number: str) -> Bought: ...

    def stock(self, codes: Sequence[str]) -> Mapping[str, int | None]:
        """How many of each could be bought; None: any number. What is not sold is 0."""
        ...

    def account(self) -> Account: ...

    def entries(self, after: str) -> Iterator[tuple[list[Entry], str]]:
        """The ledger behind this cursor, page by page, each with the cursor behind it."""
        ...
