"""What the shop answers with. Money is in minor units: 990 is ¥9.90. Times are aware.

Fields that a later shop adds are in `raw`, of whatever has it, and disturb nobody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Fields = Mapping[str, Any]
ENDED = frozenset({"delivered", "completed", "refunded", "refused", "cancelled"})


@dataclass(frozen=True)
class Account:
    """`balance_minor` is negative where something is owed, at most `credit_minor`; `spendable_minor` is what
    orders may cost.
    """

    name: str
    currency: str
    balance_minor: int
    credit_minor: int
    spendable_minor: int

    @classmethod
    def read(cls, said: Fields) -> "Account":
        return cls(
            said["name"],
            said["currency"],
            said["balance_minor"],
            said.get("credit_minor", 0),  # older shops give no credit
            said.get("spendable_minor", said["balance_minor"]),
        )


@dataclass(frozen=True)
class Entry:
    """One change of the balance. `amount_minor` is negative for what was paid."""

    id: int
    kind: str
    amount_minor: int
    after_minor: int
    reference: str
    reason: str
    at: datetime

    @classmethod
    def read(cls, said: Fields) -> "Entry":
        return cls(
            said["id"],
            said["kind"],
            said["amount_minor"],
            said["after_minor"],
            said["reference"],
            said["reason"],
            moment(said["at"]),
        )


@dataclass(frozen=True)
class TopUp:
    """Money for the account, to be paid at `url`. `status` is open, paid, credited, expired, cancelled or
    refunded; paid ones are credited a moment later, and so is money that comes late.
    """

    number: str
    status: str
    amount_minor: int
    currency: str
    url: str
    asked_at: datetime
    pay_until: datetime
    credited_at: datetime | None

    @classmethod
    def read(cls, said: Fields) -> "TopUp":
        return cls(
            said["number"],
            said["status"],
            said["amount_minor"],
            said["currency"],
            said["url"],
            moment(said["asked_at"]),
            moment(said["pay_until"]),
            moment(said["credited_at"]) if said["credited_at"] else None,
        )


@dataclass(frozen=True)
class Available:
    """`available` is None for what is unlimited; `set_aside` of it is for this account alone."""

    code: str
    is_buyable: bool
    available: int | None
    set_aside: int

    @classmethod
    def read(cls, said: Fields) -> "Available":
        return cls(said["code"], said["is_buyable"], said["available"], said["set_aside"])


@dataclass(frozen=True)
class Variant:
    """`tiers` are (from quantity, unit price), ascending."""

    code: str
    name: str
    currency: str
    unit_price_minor: int
    tiers: tuple[tuple[int, int], ...]
    onward_min_minor: int | None
    stock: Available
    fulfilment: str
    raw: Fields = field(repr=False)

    @classmethod
    def read(cls, said: Fields) -> "Variant":
        return cls(
            said["code"],
            said["name"],
            said["currency"],
            said["unit_price_minor"],
            tuple((tier["from_quantity"], tier["unit_price_minor"]) for tier in said["tiers"]),
            said["onward_min_minor"],
            Available.read(said),
            said["fulfilment"],
            said,
        )


@dataclass(frozen=True)
class Product:
    """`description` is None in lists."""

    slug: str
    name: str
    summary: str
    description: str | None
    updated_at: datetime
    variants: tuple[Variant, ...]
    raw: Fields = field(repr=False)

    @classmethod
    def read(cls, said: Fields) -> "Product":
        return cls(
            said["slug"],
            said["name"],
            said["summary"],
            said.get("description"),
            moment(said["updated_at"]),
            tuple(Variant.read(each) for each in said["variants"]),
            said,
        )


@dataclass(frozen=True)
class Quote:
    """What an order would cost now. It holds nothing. All else is in `raw`."""

    currency: str
    total_minor: int
    raw: Fields = field(repr=False)

    @classmethod
    def read(cls, said: Fields) -> "Quote":
        return cls(said["currency"], said["total_minor"], said)


@dataclass(frozen=True)
class Line:
    """`keys` is None where they were not asked for, may not be seen, or are encrypted and the client has no
    private key; empty before delivery. `encrypted_keys` is the JWE that they came in, or empty.
    """

    variant: str
    quantity: int
    unit_price_minor: int
    status: str
    keys: tuple[str, ...] | None = field(repr=False)
    encrypted_keys: str = field(default="", repr=False, compare=False)

    @classmethod
    def read(cls, said: Fields, opened: Callable[[str], list[str]] | None = None) -> "Line":
        """`opened` reads an `encrypted_keys`."""
        encrypted = said.get("encrypted_keys", "")
        keys = opened(encrypted) if encrypted and opened else said.get("keys")
        return cls(
            said["variant"],
            said["quantity"],
            said["unit_price_minor"],
            said["status"],
            None if keys is None else tuple(keys),
            encrypted,
        )


@dataclass(frozen=True)
class Order:
    """`total_minor` is None until it is filled; `problem` says why it was refused."""

    number: str
    status: str
    reference: str
    currency: str
    total_minor: int | None
    asked_at: datetime
    delivered_at: datetime | None
    problem: Fields | None
    lines: tuple[Line, ...]
    raw: Fields = field(repr=False, compare=False)  # nothing is encrypted the same twice

    @classmethod
    def read(cls, said: Fields, opened: Callable[[str], list[str]] | None = None) -> "Order":
        return cls(
            said["number"],
            said["status"],
            said["reference"],
            said["currency"],
            said["total_minor"],
            moment(said["asked_at"]),
            moment(said["delivered_at"]) if said["delivered_at"] else None,
            said["problem"],
            tuple(Line.read(line, opened) for line in said["lines"]),
            said,
        )

    @property
    def has_ended(self) -> bool:
        """Nothing more will come of it by itself."""
        return self.status in ENDED

    @property
    def keys(self) -> dict[str, list[str]]:
        """By variant, of all lines."""
        found: dict[str, list[str]] = {}
        for line in self.lines:
            found.setdefault(line.variant, []).extend(line.keys or ())
        return found


@dataclass(frozen=True)
class Claim:
    """That a key of an order is dead. `status` is open, replaced, refunded or declined."""

    id: int
    order: str
    variant: str
    reason: str
    status: str
    claimed_at: datetime

    @classmethod
    def read(cls, said: Fields) -> "Claim":
        return cls(
            said["id"],
            said["order"],
            said["variant"],
            said["reason"],
            said["status"],
            moment(said["claimed_at"]),
        )


@dataclass(frozen=True)
class Webhook:
    """Where events are sent to. `secret` is told by the call that makes it, and empty ever after."""

    key: str
    url: str
    kinds: tuple[str, ...]
    paused_at: datetime | None
    paused_because: str
    secret: str = field(default="", repr=False)

    @classmethod
    def read(cls, said: Fields) -> "Webhook":
        return cls(
            said["key"],
            said["url"],
            tuple(said["kinds"]),
            moment(said["paused_at"]) if said["paused_at"] else None,
            said["paused_because"],
            said.get("secret", ""),
        )


@dataclass(frozen=True)
class Event:
    """Something that happened. `cursor` is where to read on; empty for one that was sent."""

    id: str
    kind: str
    subject: str
    at: datetime
    data: Fields
    cursor: str = ""

    @classmethod
    def read(cls, said: Fields) -> "Event":
        return cls(
            said["id"],
            said["kind"],
            said["subject"],
            moment(said["at"]),
            said["data"],
            said.get("cursor", ""),
        )


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
