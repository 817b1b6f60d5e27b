"""`manage.py verify` finds each kind of damage; a check that cannot fail checks nothing."""

import pytest
from django.db import connection

from cardshop.common.clock import db_now
from cardshop.operations import verify as subject
from cardshop.operations.verify import verify
from orders.services.delivery import deliver_orders
from tests.factories import make_attempt, make_order, make_variant, pay_order

pytestmark = pytest.mark.django_db(transaction=True)


# Of the variant that has a key free.
SALE = """INSERT INTO orders_sale (shop_id, variant_id, hold_seconds, is_paused, secret, epoch,
        registered_let_in, leased_by, proof_of_work, opens_at)
    SELECT shop_id, id, 300, false, 's', 0, false, '', 'never', clock_timestamp() - interval '2 minutes'
    FROM inventory_variant ORDER BY id DESC LIMIT 1;"""
TICKET = """INSERT INTO orders_ticket (shop_id, variant_id, ticket_id, buyer_key, address_key, contact_email,
        language, quantity, place, status, reason, settled_at, ended_at)
    SELECT shop_id, id, 'ticket', 'buyer', '', 'lin@example.org', 'en', 1, 1, 'waiting', '',
        clock_timestamp() - interval '2 minutes', NULL
    FROM inventory_variant ORDER BY id DESC LIMIT 1;"""
ORDERED = f"""{TICKET} UPDATE orders_ticket SET status = 'ordered', ended_at = clock_timestamp(),
        ticket_id = (SELECT ticket_id FROM orders_order LIMIT 1);"""
BALANCE = """INSERT INTO payments_balance (shop_id, holder, contact_email, currency, amount_minor,
        code_digest, is_frozen, opened_at)
    SELECT id, 'Lin', '', 'CNY', 5, 'd', false, clock_timestamp() FROM shops_shop LIMIT 1;
    INSERT INTO payments_balanceentry (balance_id, amount_minor, after_minor, kind, reference, reason, actor,
        at)
    SELECT id, 5, 5, 'credit', 'r', '', '', clock_timestamp() - interval '2 minutes'
    FROM payments_balance;"""
SUPPLIER = """INSERT INTO suppliers_supplier (shop_id, name, driver, base_url, key_name, is_enabled,
        last_error, entries_after, differences)
    SELECT id, 'Partner', 'cardshop', '', '', true, '', '0', '' FROM shops_shop;
    INSERT INTO suppliers_supplierorder (item_id, supplier_id, idempotency_key, reference, their_code,
        quantity, status, their_number, problem, attempts, last_error, made_at)
    SELECT item.id, supplier.id, 'key-' || item.id, '', '', 1, 'to_send', 'theirs-' || item.id, '', 0, '',
        clock_timestamp() FROM orders_orderitem AS item, suppliers_supplier AS supplier;"""
DAMAGE = {
    "suppliers.handed_on_is_delivered": f"""{SUPPLIER}
        UPDATE suppliers_supplierorder SET status = 'filled', ended_at = clock_timestamp()""",
    "suppliers.paid_once": f"""{SUPPLIER}
        INSERT INTO suppliers_supplierentry (supplier_id, number, kind, amount_minor, their_number, at)
        SELECT id, number, 'payment', -1, 'theirs', clock_timestamp()
        FROM suppliers_supplier, generate_series(1, 2) AS number""",
    "suppliers.what_is_not_to_be_had_is_refunded": f"""{SUPPLIER}
        UPDATE suppliers_supplierorder SET status = 'failed', ended_at = clock_timestamp()""",
    "suppliers.orders_move_on": SUPPLIER,
    "orders.tickets_became_their_orders": f"{SALE} {ORDERED} UPDATE orders_ticket SET ticket_id = 'another'",
    "orders.tickets_fit_their_orders": ORDERED,
    "orders.tickets_have_an_end": f"{ORDERED} UPDATE orders_ticket SET ended_at = NULL",
    "orders.the_line_has_somebody_to_serve_it": TICKET,
    "orders.nobody_waits_in_vain": f"{SALE} {TICKET} UPDATE orders_ticket SET quantity = 100",
    "orders.waves_are_released_once": f"""{SALE} INSERT INTO orders_wave (sale_id, quantity, released)
        SELECT id, 5, 5 FROM orders_sale""",
    "orders.lines_have_their_terms": "UPDATE inventory_variant SET selling = 'queued'",
    "orders.the_registered_are_let_in": f"""{SALE} INSERT INTO orders_registration (sale_id, ticket_id,
            buyer_key, address_key, contact_email, language, quantity, registered_at)
        SELECT id, 'ticket', 'buyer', '', 'lin@example.org', 'en', 1, clock_timestamp() FROM orders_sale""",
    "orders.the_line_is_served": f"{SALE} {TICKET}",
    "inventory.total_counts_keys": "UPDATE inventory_stock SET total = total + 1",
    "inventory.nothing_is_set_aside_while_keys_are_short": """
        INSERT INTO inventory_stock (shop_id, variant_id, pool, total, released, claimed, short, version)
        SELECT shop_id, variant_id, 'reseller-1', 1, 1, 0, 0, 0 FROM inventory_stock;
        UPDATE inventory_stock SET total = claimed, released = claimed, short = 1 WHERE pool = 'public'""",
    "inventory.only_goods_without_keys_are_unlimited": """UPDATE inventory_stock
        SET total = NULL, released = NULL""",
    "inventory.reusable_goods_have_their_text": "UPDATE inventory_variant SET fulfilment = 'reusable'",
    "orders.only_reusable_keys_are_reused": "UPDATE orders_deliveredkey SET is_reusable = true",
    "orders.free_keys_are_counted": """UPDATE inventory_keybatch SET origin = 'typed';
        UPDATE inventory_stock SET total = total + 1""",
    "orders.open_lines_are_of_their_variants_kind": """UPDATE orders_orderitem
        SET due_at = clock_timestamp()""",
    "inventory.keys_have_stock": "DELETE FROM orders_reservation; DELETE FROM inventory_stock",
    "inventory.batches_count_their_keys": "UPDATE inventory_keybatch SET imported = imported + 1",
    "inventory.whoever_saw_keys_is_noted": """INSERT INTO inventory_keyrequest (shop_id, kind, batch_id,
            withdraws, why, status, asked_by, asked_at, decided_by, decided_at)
        SELECT shop_id, 'exported', id, false, 'w', 'used', 'lin', clock_timestamp(), '', clock_timestamp()
        FROM inventory_keybatch LIMIT 1""",
    "sealed_values_open": "UPDATE inventory_cardkey SET sealed = substring(sealed FOR length(sealed) - 1)",
    "inventory.uploads_are_read_and_gone": """INSERT INTO inventory_keyupload (uid, sealed_key, encoding,
            layout, heading, chunk_count, size, position, created_at)
        VALUES (gen_random_uuid(), '', '', 'lines', '', 0, 0, 0, clock_timestamp() - interval '2 days')""",
    "inventory.imports_go_on": "UPDATE inventory_keybatch SET state = 'running'",
    "orders.delivered_as_ordered": "UPDATE orders_orderitem SET quantity = quantity + 1",
    "orders.sold_keys_are_delivered": "UPDATE inventory_cardkey SET status = 'sold'",
    "orders.keys_of_the_right_variant": """UPDATE orders_orderitem SET variant_id =
        (SELECT max(id) FROM inventory_variant)""",
    "orders.states_agree": "UPDATE orders_orderitem SET status = 'refunded'",
    "orders.reservations_are_whole": "UPDATE orders_reservation SET quantity = quantity + 1",
    "orders.claimed_counts_reservations": "UPDATE inventory_stock SET claimed = 0",
    "orders.holds_are_the_unpaid_orders": "UPDATE orders_reservation SET status = 'held'",
    "orders.every_change_has_its_event": "UPDATE orders_order SET status = 'completed'",
    "orders.history_is_unbroken": "UPDATE orders_orderevent SET before = 'expired' WHERE before = 'paid'",
    "orders.totals_add_up": "UPDATE orders_order SET total_minor = total_minor - 1",
    "orders.deadlines_are_kept": """UPDATE orders_order SET status = 'pending',
        reserved_until = clock_timestamp() - interval '2 minutes'""",
    "orders.paid_orders_get_their_keys": "UPDATE orders_order SET status = 'paid'",
    "payments.paid_orders_have_payments": "UPDATE orders_order SET status = 'cancelled'",
    "payments.succeeded_means_money": "UPDATE payments_receipt SET amount_minor = amount_minor - 1",
    "payments.owed_is_the_price_at_order": "UPDATE payments_payment SET amount_minor = amount_minor - 1",
    "payments.surplus_is_flagged": "UPDATE payments_receipt SET amount_minor = amount_minor + 1",
    "orders.what_is_all_refunded_is_refunded": "UPDATE orders_orderitem SET status = 'refunded'",
    "payments.who_waits_for_keys_has_paid": """UPDATE orders_order SET status = 'paid';
        UPDATE payments_receipt SET amount_minor = 1""",
    "payments.refunds_add_up": "UPDATE payments_receipt SET refunded_minor = 1",
    "payments.refunds_and_lines_agree": "UPDATE orders_orderitem SET status = 'refunding'",
    "payments.refunds_move_on": """INSERT INTO payments_refund (shop_id, receipt_id, out_refund_no,
            amount_minor, currency, status, reason, requested_by, requested_at, approved_by, queries,
            last_error, attention, resolved_by)
        SELECT shop_id, id, 'R1', 1, 'CNY', 'sent', '', '', clock_timestamp() - interval '2 minutes', '', 0,
            '', '', '' FROM payments_receipt;
        INSERT INTO outbox_outboxmessage (shop_id, task, subject_id, due_at, attempts, created_at, attention)
        SELECT shop_id, 'payments.send_refunds', id, clock_timestamp(), 20, clock_timestamp(), 'tired'
        FROM payments_refund""",
    "payments.balances_add_up": f"{BALANCE} UPDATE payments_balance SET amount_minor = 9",
    "payments.balance_history_is_unbroken": f"{BALANCE} UPDATE payments_balanceentry SET after_minor = 9",
    "payments.balance_payments_arrive": f"""{BALANCE} UPDATE payments_balanceentry
        SET kind = 'payment', amount_minor = -5""",
    "payments.balance_refunds_agree": f"{BALANCE} UPDATE payments_balanceentry SET kind = 'refund'",
    "payments.top_ups_are_credited_once": f"""{BALANCE}
        INSERT INTO payments_topup (balance_id, order_id, asked_by)
        SELECT payments_balance.id, orders_order.id, '' FROM payments_balance, orders_order
        WHERE status = 'delivered'""",
    "payments.top_ups_are_for_their_accounts": "UPDATE orders_order SET is_top_up = true",
    "payments.paid_top_ups_are_credited_soon": """UPDATE orders_order SET is_top_up = true, status = 'paid'
        WHERE status = 'delivered'""",
    "payments.refunded_top_ups_leave_the_account": f"""{BALANCE} UPDATE payments_balanceentry
        SET kind = 'paid_out', amount_minor = -5""",
    "payments.no_money_in_limbo": "UPDATE payments_receipt SET status = 'recorded'",
    "payments.notices_are_read": """INSERT INTO payments_webhookevent
        (shop_id, channel_id, digest, method, query, body, received_at, outcome)
        SELECT shop_id, id, 'd', 'GET', '', '', clock_timestamp(), 'waiting' FROM payments_paymentchannel""",
    "outbox.drains": "UPDATE outbox_outboxmessage SET done_at = NULL",
}


@pytest.fixture(autouse=True)
def _no_provider(monkeypatch):
    monkeypatch.setattr(subject, "ledger_differences", lambda settled: iter(()))


def delivered_and_pending_orders():
    variant, other = make_variant(keys=3), make_variant(keys=1)
    order = make_order(variant)
    pay_order(order)
    deliver_orders([order.pk], db_now())
    make_attempt(make_order(variant))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_outboxmessage SET done_at = clock_timestamp()")
    return other


def broken():
    return {result.name for result in verify(settled=True) if result.findings}


def test_a_healthy_shop_has_no_findings():
    delivered_and_pending_orders()

    assert broken() == set()


@pytest.mark.parametrize("check", [check.name for check in subject.CHECKS])
def test_each_check_finds_its_damage(check):
    delivered_and_pending_orders()
    with connection.cursor() as cursor:
        cursor.execute(DAMAGE[check])

    assert check in broken()


def test_what_takes_a_moment_is_given_a_minute_and_a_second_look():
    delivered_and_pending_orders()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_outboxmessage SET done_at = NULL")
    slept = []

    results = {result.name: result for result in verify(settled=False, sleep=slept.append)}

    assert results["outbox.drains"].findings == []
    assert slept == []


def test_a_difference_that_is_gone_at_the_second_look_does_not_count(monkeypatch):
    answers = iter([["a", "b"], ["b"]])
    monkeypatch.setattr(subject, "ledger_differences", lambda settled: iter(next(answers)))

    results = {result.name: result for result in verify(settled=False, sleep=lambda _: None)}

    assert results["payments.ledgers_agree"].findings == ["b"]
