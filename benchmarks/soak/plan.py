"""What happens in a storm, and when: everything that chance decides, decided beforehand from one seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

# Every kind of fault, in the order in which consecutive seeds begin with them.
ALLOCATOR = "allocator"
REDIS_LOSSES = ("redis_flush", "redis_empty", "redis_behind")
KINDS = (
    ALLOCATOR,
    "redis_flush",
    "web_worker",
    "postgres_immediate",
    "workers",
    "redis_behind",
    "hot_master",
    "postgres_kill",
    "one_worker",
    "redis_empty",
    "hot_worker",
    "redis_kill",
    "web_master",
)
RUSH = 4.0  # seconds in which nearly everybody clicks
STRAGGLING = 10.0  # the others click until then
FAULTS_UNTIL = 12.0
HOLD_SECONDS = 15


@dataclass(frozen=True)
class Fault:
    """At `at` seconds after the opening. `pick`, in [0, 1), chooses where several could be hit."""

    at: float
    kind: str
    pick: float


@dataclass(frozen=True)
class Person:
    number: int
    clicks_at: float
    quantity: int
    clicks_twice: bool
    abandons: bool
    thinks: float  # seconds between hearing that the keys are held and paying


@dataclass(frozen=True)
class Plan:
    seed: int
    keys: int
    hold_seconds: int
    isolated: bool
    people: tuple[Person, ...]
    faults: tuple[Fault, ...]


def plan_storm(
    seed: int,
    *,
    kinds: Sequence[str] = (),
    keys: int | None = None,
    buyers: int | None = None,
    faults_until: float = FAULTS_UNTIL,
    hold_seconds: int = HOLD_SECONDS,
) -> Plan:
    """The storm of this seed; `kinds` are the faults instead of those that the seed would choose."""
    dice = Random(seed)
    keys = keys or dice.randint(60, 100)
    buyers = buyers or dice.randint(200, 300)
    people = tuple(_person(number, Random(f"{seed}-{number}")) for number in range(buyers))
    return Plan(
        seed=seed,
        keys=keys,
        hold_seconds=hold_seconds,
        isolated=dice.random() < 0.5,
        people=people,
        faults=_faults(dice, kinds or _kinds(seed, dice), faults_until),
    )


def _person(number: int, dice: Random) -> Person:
    early = dice.random() < 0.9
    return Person(
        number=number,
        clicks_at=dice.uniform(0, RUSH) if early else dice.uniform(RUSH, STRAGGLING),
        quantity=2 if dice.random() < 0.1 else 1,
        clicks_twice=dice.random() < 0.1,
        abandons=dice.random() < 0.15,
        thinks=dice.uniform(0, 2),
    )


def _kinds(seed: int, dice: Random) -> list[str]:
    """One by turns, always an allocator in the middle of its batches, always a Redis that has forgotten
    something, and up to two more. A server or process is killed once a storm.
    """
    kinds = [KINDS[seed % len(KINDS)]]
    wanted = [ALLOCATOR, dice.choice(REDIS_LOSSES), *dice.sample(KINDS, dice.randint(0, 2))]
    for kind in wanted:
        if _victim(kind) not in map(_victim, kinds):
            kinds.append(kind)
    return kinds


def _victim(kind: str) -> str:
    return "workers" if kind == "one_worker" else kind.split("_")[0]


def _faults(dice: Random, kinds: Sequence[str], until: float) -> tuple[Fault, ...]:
    """The first one and the allocator's death fall into the rush: that is when batches are settled."""
    faults = [
        Fault(
            at=round(dice.uniform(0.5, RUSH - 0.2 if at == 0 or kind == ALLOCATOR else until), 2),
            kind=kind,
            pick=dice.random(),
        )
        for at, kind in enumerate(kinds)
    ]
    return tuple(sorted(faults, key=lambda fault: fault.at))
