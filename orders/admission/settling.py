"""What a batch of clicks becomes, decided in one transaction under the Stock's lock.

The line comes first, newcomers after it. A click that was settled before is a no-op with the same
answer, so a stream may deliver it any number of times.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from cardshop.common.ids import new_order_number, new_token
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from inventory.models import Stock, Variant
from orders.admission.gate import UNBOUNDED, Outcome
from orders.clicks import Click
from orders.metrics import line_left, orders, tickets_settled
from orders.models import Sale, Ticket
from orders.services.limits import Allowance, allowance
from orders.services.transitions import BUYER
from orders.states import OrderStatus, TicketStatus

INSERT_ORDERS = """
    WITH claimed AS (
        -- The CHECK stands behind the arithmetic that led here.
        UPDATE inventory_stock SET claimed = claimed + %(claimed)s, version = version + 1
        WHERE id = %(stock)s
    ), wanted AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%(orders)s) AS wanted(
            place int, number text, token text, ticket_id text, buyer_key text, address_key text,
            contact_email text, language text, quantity int, reason text)
    ), placed AS (
        INSERT INTO orders_order (shop_id, number, token, ticket_id, buyer_key, address_key, status,
            closing_to, contact_email, language, currency, total_minor, placed_at, reserved_until, attention)
        SELECT %(shop)s, number, token, ticket_id, buyer_key, address_key, 'pending',
            '', contact_email, language, %(currency)s, quantity::bigint * %(price)s, %(now)s, %(until)s, ''
        FROM wanted ORDER BY place RETURNING id, ticket_id
    ), lines AS (
        INSERT INTO orders_orderitem (order_id, variant_id, product_name, product_name_en,
            variant_name, variant_name_en, unit_price_minor, quantity, status, fulfil_within_hours)
        SELECT placed.id, %(variant)s, %(product_name)s, %(product_name_en)s,
            %(variant_name)s, %(variant_name_en)s, %(price)s, quantity, 'open', %(hours)s
        FROM placed JOIN wanted USING (ticket_id) RETURNING id, quantity
    ), held AS (
        INSERT INTO orders_reservation (item_id, stock_id, quantity, status)
        SELECT id, %(stock)s, quantity, 'held' FROM lines
    ), history AS (
        INSERT INTO orders_orderevent (order_id, before, after, reason, actor, at)
        SELECT id, '', 'pending', reason, %(actor)s, %(now)s FROM placed JOIN wanted USING (ticket_id)
    )
    SELECT id, ticket_id FROM placed"""
KNOWN = """
    SELECT ticket_id, buyer_key, address_key, 'held', 0, token, '' FROM orders_order
    WHERE ticket_id = ANY(%(asked)s)
    UNION ALL
    SELECT ticket_id, buyer_key, address_key, status, place, '', reason FROM orders_ticket
    WHERE ticket_id = ANY(%(asked)s) AND status <> 'ordered'"""
LINE = """
    SELECT (SELECT coalesce(sum(quantity), 0) FROM orders_ticket
            WHERE variant_id = %(variant)s AND status = 'waiting'),
           (SELECT coalesce(max(place), 0) FROM orders_ticket WHERE variant_id = %(variant)s)"""
NOT_FOR_SALE = "not_for_sale"
LINE_FULL = "line_full"
WRONG_QUANTITY = "wrong_quantity"


@dataclass
class Settled:
    """What came of a batch, and where the variant stands after it (units)."""

    outcomes: list[Outcome]
    free: int
    waiting: int
    line_cap: int

    @property
    def room(self) -> int:
        """Units that may still come: what is free, and what the line has places for."""
        return self.free + max(0, self.line_cap - self.waiting)


@transaction.atomic(durable=True)
def settle(
    sale: Sale,
    clicks: Sequence[Click],
    *,
    now: datetime,
    next_in_line: Sequence[int] = (),
    called: Collection[int] = (),
) -> Settled:
    """Turn clicks into orders, places in line, or refusals; before them, serve `next_in_line`.

    `next_in_line` are ids of Tickets; who does not fit is passed over and keeps the place. Those of
    them in `called` are not looking, so they are told by mail.
    """
    (stock,), line = lock_rows(
        Stock.objects.filter(variant=sale.variant_id, pool=Stock.PUBLIC),
        Ticket.objects.filter(pk__in=next_in_line, status=TicketStatus.WAITING),
    )
    batch = _Batch(sale, stock, now)
    fresh = batch.recognize(clicks)
    batch.count_what_they_have([*line, *fresh])
    batch.serve_line(sorted(line, key=lambda ticket: ticket.place), called)
    batch.take_newcomers(fresh)
    return batch.write()


@transaction.atomic(durable=True)
def turn_away(sale: Sale, clicks: Sequence[Click], reason: str, *, now: datetime) -> list[Outcome]:
    """Refuse clicks that the gate does not let in, and remember it; settled ones stay as they are."""
    (stock,) = lock_rows(Stock.objects.filter(variant=sale.variant_id, pool=Stock.PUBLIC))[0]
    batch = _Batch(sale, stock, now)
    for click in batch.recognize(clicks):
        batch.turn_away(click, reason)
    return batch.write().outcomes


class _Batch:
    """The state of one call of `settle`: read under the lock, decided in memory, written at the end."""

    def __init__(self, sale: Sale, stock: Stock, now: datetime) -> None:
        self.sale = Sale.objects.select_related("variant__product", "variant__shop").get(pk=sale.pk)
        self.variant: Variant = self.sale.variant
        self.stock, self.now = stock, now
        with connection.cursor() as cursor:
            cursor.execute(LINE, {"variant": self.variant.pk})
            self.waiting, self.last_place = map(int, cursor.fetchone())
        self.line_cap = UNBOUNDED if stock.released is None else stock.released
        if self.sale.line_cap is not None:
            self.line_cap = self.sale.line_cap
        self.free = UNBOUNDED if stock.released is None else stock.released - stock.claimed
        self.for_sale = (
            self.variant.is_active and self.variant.product.is_listed and self.variant.shop.is_open
        )
        self.granting = self.for_sale and not self.sale.is_paused
        self.had = Allowance(self.variant)
        self.claimed = 0
        self.orders: list[dict[str, object]] = []
        self.called: list[str] = []
        self.new_tickets: list[Ticket] = []
        self.changed_tickets: list[Ticket] = []
        self.outcomes: list[Outcome] = []

    def recognize(self, clicks: Sequence[Click]) -> list[Click]:
        """Answer what was settled before as it was then; returns the others, each once."""
        fresh = {click.ticket_id: click for click in clicks}
        if not fresh:
            return []
        with connection.cursor() as cursor:
            cursor.execute(KNOWN, {"asked": list(fresh)})
            known = {row[0]: Outcome(*row) for row in cursor.fetchall()}
        self.outcomes += known.values()
        return [click for ticket_id, click in fresh.items() if ticket_id not in known]

    def count_what_they_have(self, buyers: Sequence[Click | Ticket]) -> None:
        if self.granting and self.free > 0 and buyers:
            self.had = allowance(
                self.variant,
                buyer_keys={buyer.buyer_key for buyer in buyers},
                address_keys={buyer.address_key for buyer in buyers},
            )

    def serve_line(self, line: Sequence[Ticket], called: Collection[int]) -> None:
        for ticket in line:
            if not self._fits(ticket.quantity):
                continue
            refusal = self._grant(ticket, reason="placed from the line")
            ticket.status = TicketStatus.REFUSED if refusal else TicketStatus.ORDERED
            ticket.reason, ticket.ended_at = refusal, self.now
            self.changed_tickets.append(ticket)
            self.waiting -= ticket.quantity
            if refusal:
                self._say(ticket)
            elif ticket.pk in called:
                self.called.append(ticket.ticket_id)

    def take_newcomers(self, clicks: Sequence[Click]) -> None:
        for click in clicks:
            if not self.for_sale:
                self.turn_away(click, NOT_FOR_SALE)
            elif not self.variant.min_quantity <= click.quantity <= self.variant.max_quantity:
                self.turn_away(click, WRONG_QUANTITY)
            elif not self.waiting and self._fits(click.quantity):
                if refusal := self._grant(click, reason="placed"):
                    self.turn_away(click, refusal)
            elif self.waiting + click.quantity <= self.line_cap:
                self.waiting += click.quantity
                self._new_ticket(click, TicketStatus.WAITING)
            else:
                self.turn_away(click, LINE_FULL)

    def write(self) -> Settled:
        if self.orders:
            self._write_orders()
        Ticket.objects.bulk_create(self.new_tickets)
        Ticket.objects.bulk_update(self.changed_tickets, ["status", "reason", "ended_at"])
        transaction.on_commit(self._count, robust=True)
        return Settled(self.outcomes, self.free, self.waiting, self.line_cap)

    def _count(self) -> None:
        from_line = Counter(ticket.status for ticket in self.changed_tickets)
        settled = Counter(ticket.status for ticket in self.new_tickets)
        settled[TicketStatus.ORDERED] = len(self.orders) - from_line[TicketStatus.ORDERED]
        for counter, outcomes in ((tickets_settled, settled), (line_left, from_line)):
            for outcome, times in outcomes.items():
                counter.labels(self.variant.code, outcome).inc(times)
        orders.labels(OrderStatus.PENDING).inc(len(self.orders))

    def _fits(self, quantity: int) -> bool:
        return self.granting and quantity <= self.free

    def _grant(self, buyer: Click | Ticket, *, reason: str) -> str:
        """Note an order to write; or return why this buyer may not have one."""
        keys: dict[str, Any] = {
            "buyer_key": buyer.buyer_key,
            "address_key": buyer.address_key,
            "quantity": buyer.quantity,
        }
        if refusal := self.had.refusal(**keys):
            return refusal.code
        self.had.count(**keys)
        self.free -= buyer.quantity
        self.claimed += buyer.quantity
        token = new_token()
        self.orders.append(
            {
                **keys,
                "place": len(self.orders),
                "number": new_order_number(),
                "token": token,
                "ticket_id": buyer.ticket_id,
                "contact_email": buyer.contact_email,
                "language": buyer.language,
                "reason": reason,
            }
        )
        self.outcomes.append(
            Outcome(buyer.ticket_id, buyer.buyer_key, buyer.address_key, "held", order_token=token)
        )
        return ""

    def turn_away(self, click: Click, reason: str) -> None:
        self._new_ticket(click, TicketStatus.REFUSED, reason=reason, ended_at=self.now)

    def _new_ticket(
        self, click: Click, status: str, *, reason: str = "", ended_at: datetime | None = None
    ) -> None:
        self.last_place += 1
        ticket = Ticket(
            shop_id=self.sale.shop_id,
            variant=self.variant,
            ticket_id=click.ticket_id,
            buyer_key=click.buyer_key,
            address_key=click.address_key,
            contact_email=click.contact_email,
            language=click.language,
            quantity=click.quantity,
            place=self.last_place,
            status=status,
            reason=reason,
            settled_at=self.now,
            ended_at=ended_at,
        )
        self.new_tickets.append(ticket)
        self._say(ticket)

    def _say(self, ticket: Ticket) -> None:
        self.outcomes.append(
            Outcome(
                ticket.ticket_id,
                ticket.buyer_key,
                ticket.address_key,
                ticket.status,
                place=ticket.place,
                reason=ticket.reason,
            )
        )

    def _write_orders(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                INSERT_ORDERS,
                {
                    "orders": json.dumps(self.orders),
                    "claimed": self.claimed,
                    "shop": self.sale.shop_id,
                    "variant": self.variant.pk,
                    "stock": self.stock.pk,
                    "currency": self.variant.currency,
                    "price": self.variant.price_minor,
                    "product_name": self.variant.product.name,
                    "product_name_en": self.variant.product.name_en,
                    "variant_name": self.variant.name,
                    "variant_name_en": self.variant.name_en,
                    "hours": self.variant.promised_hours,
                    "now": self.now,
                    "until": self.now + timedelta(seconds=self.sale.hold_seconds),
                    "actor": BUYER,
                },
            )
            order_ids = {ticket_id: pk for pk, ticket_id in cursor.fetchall()}
        if self.called:
            absent = [order_ids[ticket_id] for ticket_id in self.called]
            promise("orders.mail_turn", absent, shop_id=self.sale.shop_id, now=self.now)
