"""The admission gate in Redis: one per variant, all its keys under one hash tag, each step one script.

Redis holds no stock. The gate lets in while `admitted + quantity <= limit`; the limit comes from
PostgreSQL, and everything let in is settled there. Losing all of it costs nobody an order.
"""

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from orders.clicks import Click

REMEMBER = 3 * 3600  # seconds since a ticket was last heard of
OPEN_TICKETS = 3  # of one buyer and variant, as a courtesy; what counts is counted in PostgreSQL
UNBOUNDED = 2**50
USUAL_RATE = 300.0  # tickets settled per second, until it has been measured
PRESENT = 60  # seconds since a page last asked
_SCRIPTS = Path(__file__).parent / "scripts"
_local = threading.local()


class GateShut(Exception):
    """No epoch is open: Redis has forgotten it, and the allocator has not rebuilt it yet."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a ticket stands: registered, queued (not settled yet), waiting (in line), held, refused, left.

    `ahead` counts tickets. `expected_wait` is in seconds. With `held` comes the order's token.
    """

    status: str
    ahead: int = 0
    expected_wait: int = 0
    order_token: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a click was not let in: not_open, ended, paused, line_full, sold_out, too_many, proof."""

    why: str
    opens_at: int = 0  # Unix seconds; of the next wave, where there is one, for line_full


@dataclass(frozen=True, slots=True)
class Entry:
    """A click in the stream, not settled yet."""

    stream_id: str
    epoch: str
    click: Click


@dataclass(frozen=True, slots=True)
class Outcome:
    """What PostgreSQL made of a ticket."""

    ticket_id: str
    buyer_key: str
    address_key: str
    status: str
    place: int = 0
    order_token: str = ""
    reason: str = ""


def connect() -> Any:
    """This thread's connection. A server that accepts and never answers is given up after 2 s.

    A redis.Redis, untyped: its types cover the answers of every protocol at once.
    """
    client = getattr(_local, "client", None)
    if client is None:
        client = _local.client = redis.Redis.from_url(
            settings.ADMISSION_REDIS_URL,
            socket_timeout=2,
            socket_connect_timeout=1,
            # Once, and at once: a connection may have been closed while idle.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError, redis.ConnectionError)),
            single_connection_client=True,
        )
    return client


def forgets(memory: Mapping[str, Any]) -> str:
    """The policy by which a Redis with that INFO MEMORY may drop people in line; empty if it does not."""
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    return policy if policy != "noeviction" and memory.get("maxmemory") else ""


@cache
def _script(name: str) -> Script:
    return redis.Redis().register_script((_SCRIPTS / f"{name}.lua").read_text())


class Gate:
    """The gate of one variant. Every method may raise redis.RedisError."""

    def __init__(self, variant_id: int) -> None:
        tag = f"line:{{{variant_id}}}:"
        self.gate, self.stream, self.line = f"{tag}gate", f"{tag}stream", f"{tag}line"
        self._ticket, self._buyer = f"{tag}t:", f"{tag}b:"
        self._registered, self._proof, self._address = f"{tag}r:", f"{tag}w:", f"{tag}a:"

    # For buyers

    def admit(self, click: Click, *, proof: str = "") -> Standing | Refusal:
        """Let the click in, or say how its ticket stands, or why not. Raises GateShut.

        `proof` names a challenge that was solved for it; under pressure that is asked for.
        """
        said = self._admit(click, registered=False, proof=proof, client=connect())
        if said[0] == b"known" and (standing := self.look(click.ticket_id)):
            return standing
        return _admission(said)

    def _admit(self, click: Click, *, registered: bool, proof: str = "", client: Any) -> Any:
        return _script("admit")(
            keys=[
                self.gate,
                self.stream,
                self._ticket + click.ticket_id,
                self._buyer + click.buyer_key,
                self._proof + proof,
                self._address + click.address_key,
            ],
            args=[
                click.ticket_id,
                click.quantity,
                click.packed(),
                OPEN_TICKETS,
                REMEMBER,
                "1" if registered else "0",
                "1" if proof else "0",
                settings.UNPAID_HOLDS_PER_ADDRESS if click.address_key else 0,
            ],
            client=client,
        )

    def look(self, ticket_id: str) -> Standing | None:
        """How the ticket stands; None for one that Redis does not know. Counts as being present.

        Raises GateShut while Redis knows nothing at all.
        """
        said = _script("look")(
            keys=[self._ticket + ticket_id, self.gate, self.line, self._registered + ticket_id],
            args=[ticket_id, REMEMBER],
            client=connect(),
        )
        if said[0] == b"shut":
            raise GateShut
        if said[0] == b"unknown":
            return None
        if said[0] == b"registered":
            return Standing("registered", expected_wait=int(said[1]))
        status, ahead, token, reason, rate, turn = said
        return _standing(status.decode(), int(ahead), token.decode(), reason.decode(), rate, turn)

    def present(self, ticket_id: str) -> None:
        """Who is registered has looked in. From now on `look` knows the ticket until the opening."""
        connect().set(self._registered + ticket_id, self.clock(), ex=REMEMBER)

    def forget_registered(self, ticket_id: str) -> None:
        """The registration was withdrawn."""
        connect().delete(self._registered + ticket_id)

    # For the allocator

    def admit_registered(self, clicks: Sequence[Click]) -> list[str]:
        """Let them in, in this order: for each "queued", "known" or why not. Raises GateShut."""
        pipe = connect().pipeline(transaction=False)
        for click in clicks:
            self._admit(click, registered=True, client=pipe)
        answers = []
        for said in pipe.execute():
            admission = _admission(said) if said[0] != b"known" else None
            match admission:
                case None:
                    answers.append("known")
                case Refusal(why=why):
                    answers.append(why)
                case _:
                    answers.append("queued")
        return answers

    def backlog(self) -> int:
        """Clicks in the stream: let in, and not settled yet."""
        return int(connect().xlen(self.stream))

    def registered_seen(self, ticket_ids: Iterable[str]) -> dict[str, int]:
        """Like `last_seen`, of those who are registered and have not been let in."""
        ids = list(ticket_ids)
        seen = connect().mget([self._registered + ticket_id for ticket_id in ids]) if ids else []
        return {ticket_id: int(moment or 0) for ticket_id, moment in zip(ids, seen, strict=True)}

    def unsettled(self, count: int, *, wait_ms: int) -> list[Entry]:
        """The oldest clicks that nobody has settled; waits for the first one, at most `wait_ms` if any."""
        # From the very beginning: what is still in the stream is not settled, whoever read it before.
        answer = connect().xread({self.stream: "0-0"}, count=count, block=wait_ms or None)
        entries = answer[0][1] if answer else []
        return [
            Entry(stream_id.decode(), fields[b"e"].decode(), Click.unpacked(fields[b"p"]))
            for stream_id, fields in entries
        ]

    def settle(self, *, epoch: int, room: int, outcomes: Sequence[Outcome], entries: Sequence[Entry]) -> bool:
        """Tell what was committed, acknowledge, raise the limit to what was settled and `room` more.

        False when the gate lives in another epoch.
        """
        keys = [self.gate, self.stream, self.line]
        for outcome in outcomes:
            keys += (
                self._ticket + outcome.ticket_id,
                self._buyer + outcome.buyer_key,
                self._address + outcome.address_key,
            )
        return bool(
            _script("settle")(
                keys=keys,
                args=[
                    str(epoch),
                    room,
                    REMEMBER,
                    json.dumps(
                        [
                            [said.ticket_id, said.status, said.place, said.order_token, said.reason]
                            for said in outcomes
                        ]
                    ),
                    json.dumps([[entry.stream_id, entry.click.quantity, entry.epoch] for entry in entries]),
                ],
                client=connect(),
            )
        )

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Tell tickets what became of them, whatever the epoch; nothing else is touched."""
        self.settle(epoch=0, room=0, outcomes=outcomes, entries=[])

    def publish(self, *, epoch: int, room: int, fields: Mapping[str, object], anew: bool = False) -> bool:
        """Bring limit and terms up to date; `anew` opens this epoch. False: it lives in another one."""
        flat = [str(part) for pair in fields.items() for part in pair]
        args = [str(epoch), "1" if anew else "0", room, json.dumps(flat)]
        return bool(_script("publish")(keys=[self.gate], args=args, client=connect()))

    def arrivals(self) -> int:
        """Clicks that have come, those that were refused included."""
        return int(connect().hget(self.gate, "arrivals") or 0)

    def numbers(self) -> dict[str, str]:
        """The gate as it stands; empty when Redis has forgotten it."""
        return {name.decode(): value.decode() for name, value in connect().hgetall(self.gate).items()}

    def last_seen(self, ticket_ids: Iterable[str]) -> dict[str, int]:
        """Unix seconds when each ticket's page last asked, by Redis' own clock; 0 for never."""
        ids = list(ticket_ids)
        pipe = connect().pipeline(transaction=False)
        for ticket_id in ids:
            pipe.hget(self._ticket + ticket_id, "seen")
        return {ticket_id: int(seen or 0) for ticket_id, seen in zip(ids, pipe.execute(), strict=True)}

    def in_line(self) -> list[str]:
        """The tickets that wait, as far as Redis knows."""
        return [ticket_id.decode() for ticket_id in connect().zrange(self.line, 0, -1)]

    def clock(self) -> int:
        """Unix seconds by Redis' clock."""
        return int(connect().time()[0])

    def shut(self) -> bool:
        """Let nobody in until the gate is opened in another epoch; False while somebody is unsettled."""
        return bool(_script("shut")(keys=[self.gate, self.stream], client=connect()))

    def forget(self) -> None:
        """Drop what a stale Redis may still hold of the line; the rebuild writes it again."""
        connect().delete(self.line)


def gates_in_use(variant_ids: Sequence[int]) -> set[int]:
    """Those of the variants whose gate is open or has let in somebody who is not settled yet.

    Raises redis.RedisError.
    """
    if not variant_ids:
        return set()
    pipe = connect().pipeline(transaction=False)
    for gate in map(Gate, variant_ids):
        pipe.hexists(gate.gate, "epoch")
        pipe.xlen(gate.stream)
    said = pipe.execute()
    in_use = zip(variant_ids, said[::2], said[1::2], strict=True)
    return {variant_id for variant_id, is_open, unsettled in in_use if is_open or unsettled}


def _admission(said: list[bytes]) -> Standing | Refusal:
    match said[0].decode():
        case "shut":
            raise GateShut
        case "queued":
            seq, done, rate = said[1:]
            return _standing("queued", int(seq) - int(done) - 1, "", "", rate, b"")
        case "not_open":
            return Refusal("not_open", opens_at=int(said[1]))
        case "full":
            return Refusal((said[1] or b"").decode() or "line_full", opens_at=int(said[2] or 0))
        case why:
            return Refusal(why)


def _standing(
    status: str, ahead: int, token: str, reason: str, rate: bytes | None, turn: bytes | None
) -> Standing:
    """`rate`: tickets settled per second; `turn`: seconds from one lapsed hold to the next."""
    wait = 0.0
    if status == "queued":
        wait = 1 + ahead / (float(rate or 0) or USUAL_RATE)
    elif status == "waiting":
        wait = (ahead + 1) * float(turn or 0)
    return Standing(status, ahead, min(3600, round(wait)), token, reason)
