"""What must be true after a storm, whatever was killed in it."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.soak.buyers import Buyer
from benchmarks.soak.stack import Stack

BOOKS = """
    SELECT stock.released, stock.claimed,
        (SELECT coalesce(sum(quantity), 0) FROM orders_reservation
         WHERE stock_id = stock.id AND status = 'sold'),
        (SELECT count(*) FROM orders_reservation WHERE stock_id = stock.id AND status = 'held'),
        (SELECT count(*) FROM orders_ticket WHERE variant_id = variant.id AND status = 'waiting'),
        (SELECT count(*) FROM outbox_outboxmessage WHERE done_at IS NULL AND attention = '')
    FROM inventory_stock AS stock JOIN inventory_variant AS variant ON variant.id = stock.variant_id
    WHERE variant.code = %(code)s AND stock.pool = 'public'"""
TWICE = """
    SELECT ticket_id, count(*) FROM (
        SELECT orders_order.ticket_id FROM orders_order
        JOIN orders_orderitem AS item ON item.order_id = orders_order.id
        JOIN inventory_variant AS variant ON variant.id = item.variant_id WHERE variant.code = %(code)s
    ) AS sold GROUP BY ticket_id HAVING count(*) > 1
    UNION ALL
    SELECT ticket_id, count(*) FROM orders_ticket JOIN inventory_variant AS variant
        ON variant.id = variant_id WHERE variant.code = %(code)s
    GROUP BY ticket_id HAVING count(*) > 1"""
TRUTH = """
    SELECT ticket_id, status FROM orders_ticket JOIN inventory_variant AS variant
        ON variant.id = variant_id WHERE variant.code = %(code)s AND status <> 'ordered'
    UNION ALL
    SELECT ticket_id, 'held' FROM orders_order JOIN orders_orderitem AS item
        ON item.order_id = orders_order.id
    JOIN inventory_variant AS variant ON variant.id = item.variant_id WHERE variant.code = %(code)s"""


@dataclass(frozen=True)
class Books:
    """How the variant stands in PostgreSQL."""

    released: int
    claimed: int
    sold: int
    unpaid: int  # orders
    waiting: int  # tickets
    promises: int  # open messages of the outbox

    @property
    def is_quiet(self) -> bool:
        return not self.unpaid and not self.promises and not self.is_forgetful

    @property
    def is_forgetful(self) -> bool:
        """Somebody waits for what is there."""
        return self.waiting > 0 and self.released > self.claimed


def books(stack: Stack, code: str) -> Books:
    return Books(*map(int, stack.query(BOOKS, code=code)[0]))


def verify(stack: Stack) -> list[str]:
    done = stack.shop.manage("verify", "--settled", "--json")
    try:
        checks: dict[str, list[str]] = json.loads(done.stdout)
    except ValueError:
        return [f"verify: {done.stderr[-500:]}"]
    return [f"{name}: {finding}" for name, findings in checks.items() for finding in findings]


def paid_trades(stack: Stack) -> set[str]:
    """Our numbers of all trades that the provider has captured."""
    ledger = httpx.get(f"{stack.shop.sandbox_url}/_sandbox/ledger", timeout=30, trust_env=False).json()
    return {trade["out_trade_no"] for trade in ledger if trade["paid_at"]}


async def wrongs(stack: Stack, code: str, *, buyers: list[Buyer], keys: set[str]) -> list[str]:
    """A sentence for everything that a buyer or the merchant could complain of, `verify` left out."""
    at_the_end = books(stack, code)
    found = [
        f"{twice[1]} orders or places for ticket {twice[0][:8]}" for twice in stack.query(TWICE, code=code)
    ]
    if max(at_the_end.sold, at_the_end.claimed) > at_the_end.released:
        found.append(
            f"oversold: {at_the_end.released} released, {at_the_end.claimed} claimed, {at_the_end.sold} sold"
        )
    if not at_the_end.sold:
        found.append("nothing was sold")
    if at_the_end.unpaid:
        found.append(f"{at_the_end.unpaid} holds are still unpaid")
    if at_the_end.is_forgetful:
        found.append(
            f"{at_the_end.waiting} wait though {at_the_end.released - at_the_end.claimed} units are free"
        )
    found += await _wrong_tickets(stack, code, buyers)
    found += await _wrong_keys(stack, buyers, keys)
    return found


async def _wrong_tickets(stack: Stack, code: str, buyers: list[Buyer]) -> list[str]:
    """What each page is told is what PostgreSQL knows; and everybody has been told something final."""
    truth: dict[str, str] = dict(stack.query(TRUTH, code=code))
    found = []
    said: Counter[tuple[str, str]] = Counter()
    for buyer in buyers:
        story = buyer.story
        if not story.end:
            found.append(f"buyer {story.person.number} never heard the end: {story.last}")
        elif not story.ended_honestly:
            found.append(f"buyer {story.person.number} was told {story.end!r}: {story.last}")
        if len(story.tickets) > 1:
            found.append(f"buyer {story.person.number} has {len(story.tickets)} tickets for one page")
        if story.ticket:
            status, standing = await buyer.standing()
            told = standing["status"] if status == 200 else "forgotten"
            if told != truth.get(story.ticket, "forgotten"):
                said[told, truth.get(story.ticket, "forgotten")] += 1
    found += [f"{count} tickets are told {told!r} and are {true!r}" for (told, true), count in said.items()]
    return found


async def _wrong_keys(stack: Stack, buyers: list[Buyer], keys: set[str]) -> list[str]:
    found = []
    paid = paid_trades(stack)
    delivered: Counter[str] = Counter()
    for buyer in buyers:
        story = buyer.story
        has = await buyer.collect() if story.token else []
        delivered.update(has)
        has_paid = any(trade in paid for trade in story.trades)
        due = story.person.quantity if has_paid else 0
        if len(has) != due or (story.keys and story.keys != has):
            told = f"{story.end}, {story.last}"
            found.append(f"buyer {story.person.number} paid for {due} and has {len(has)} keys ({told})")
    if twice := [key for key, times in delivered.items() if times > 1]:
        found.append(f"{len(twice)} keys were given to two buyers")
    if strange := delivered.keys() - keys:
        found.append(f"{len(strange)} keys were never imported")
    return found


def tally(buyers: list[Buyer]) -> dict[str, Any]:
    ends = Counter(buyer.story.end or "unheard" for buyer in buyers)
    return dict(sorted(ends.items()))
