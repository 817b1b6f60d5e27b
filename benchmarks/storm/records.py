"""What the generator wrote down, read back. Moments are seconds after the start of the run."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


def _moment(text: str) -> float | None:
    return int(text) / 1e6 if text else None


@dataclass(frozen=True, kw_only=True)
class BuyerRecord:
    behaviour: str
    intended: float
    clicked: float | None
    first: float | None  # the first answer of any kind
    truthful: float | None  # the first that told how things stand
    held: float | None
    paid: float | None
    keyed: float | None
    first_kind: str
    truth: str  # held, waiting, refused, or empty
    refusal: str
    outcome: str
    ticket: str
    second_kind: str
    second_ticket: str
    keys: tuple[str, ...]
    retries: int
    lost_tickets: int
    backwards: int
    timeouts: int
    no_connection: int
    lost: int
    retransmits: int
    server_errors: int
    statuses: Counter[int]

    @property
    def two_tickets(self) -> bool:
        """Whether one click, sent twice, was given two places in line."""
        return bool(self.ticket and self.second_ticket and self.ticket != self.second_ticket)


@dataclass(frozen=True, kw_only=True)
class OrdinaryRecord:
    intended: float
    done: float | None  # the order page was received whole
    refused_with: int
    retries: int
    timeouts: int
    server_errors: int

    @property
    def seconds(self) -> float | None:
        return None if self.done is None else self.done - self.intended


def read_buyers(path: Path) -> list[BuyerRecord]:
    return [_buyer(row) for row in _rows(path)]


def _buyer(row: dict[str, str]) -> BuyerRecord:
    moments = {name: _moment(row[name]) for name in ("clicked", "first", "truthful", "held", "paid", "keyed")}
    numbers = ("retries", "lost_tickets", "backwards", "timeouts", "no_connection", "lost", "retransmits")
    texts = (
        "behaviour",
        "first_kind",
        "truth",
        "refusal",
        "outcome",
        "ticket",
        "second_kind",
        "second_ticket",
    )
    pairs = (pair.split(":") for pair in row["statuses"].split(",") if pair)
    return BuyerRecord(
        intended=int(row["intended"]) / 1e6,
        keys=tuple(row["keys"].split(",")) if row["keys"] else (),
        statuses=Counter({int(status): int(times) for status, times in pairs}),
        server_errors=int(row["server_errors"]),
        **moments,  # type: ignore[arg-type]
        **{name: int(row[name]) for name in numbers},  # type: ignore[arg-type]
        **{name: row[name] for name in texts},  # type: ignore[arg-type]
    )


def read_ordinary(path: Path) -> list[OrdinaryRecord]:
    return [
        OrdinaryRecord(
            intended=int(row["intended"]) / 1e6,
            done=_moment(row["done"]),
            refused_with=int(row["refused_with"]),
            retries=int(row["retries"]),
            timeouts=int(row["timeouts"]),
            server_errors=int(row["server_errors"]),
        )
        for row in _rows(path)
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
