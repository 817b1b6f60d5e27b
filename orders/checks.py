"""Invariants 1, 5, 6, 10 and 11, as far as orders can see them."""

from cardshop.common.invariants import Check

CHECKS = [
    Check(
        "orders.delivered_as_ordered",
        """SELECT 'item ' || item.id || ': ' || quantity || ' ordered, '
                  || count(delivered.id) || ' delivered'
           FROM orders_orderitem AS item LEFT JOIN orders_deliveredkey AS delivered
             ON delivered.item_id = item.id AND delivered.replaced_by_id IS NULL
           GROUP BY item.id
           HAVING count(delivered.id) <> CASE WHEN item.status = 'delivered' THEN quantity ELSE 0 END""",
    ),
    Check(
        "orders.sold_keys_are_delivered",
        """SELECT 'card key ' || card_key.id || ' is ' || card_key.status
                  || ' and was handed over ' || count(delivered.id) || ' times'
           FROM inventory_cardkey AS card_key LEFT JOIN orders_deliveredkey AS delivered
             ON delivered.card_key_id = card_key.id AND delivered.replaced_by_id IS NULL
           GROUP BY card_key.id
           HAVING count(delivered.id) <> CASE WHEN card_key.status = 'sold' THEN 1 ELSE 0 END""",
    ),
    Check(
        "orders.keys_of_the_right_variant",
        """SELECT 'item ' || item.id || ' got card key ' || card_key.id || ' of another variant'
           FROM orders_deliveredkey AS delivered
           JOIN orders_orderitem AS item ON item.id = delivered.item_id
           JOIN inventory_cardkey AS card_key ON card_key.id = delivered.card_key_id
           WHERE card_key.variant_id <> item.variant_id""",
    ),
    Check(
        "orders.states_agree",
        """SELECT 'order ' || number || ' is ' || "order".status
                  || ', item ' || item.id || ' is ' || item.status
           FROM orders_order AS "order" JOIN orders_orderitem AS item ON item.order_id = "order".id
           WHERE item.status <> CASE WHEN "order".status IN ('delivered', 'completed') THEN 'delivered'
                                     ELSE 'open' END""",
    ),
    Check(
        "orders.reservations_are_whole",
        """SELECT 'item ' || item.id || ': ' || item.quantity || ' ordered, ' || reservation.quantity
                  || ' reserved'
           FROM orders_reservation AS reservation JOIN orders_orderitem AS item
             ON item.id = reservation.item_id
           WHERE item.quantity <> reservation.quantity""",
    ),
    Check(
        "orders.claimed_counts_reservations",
        """SELECT 'stock ' || stock.id || ': claimed ' || stock.claimed
                  || ', reserved ' || coalesce(live.sum, 0)
           FROM inventory_stock AS stock LEFT JOIN (
               SELECT stock_id, sum(quantity) FROM orders_reservation WHERE status <> 'released'
               GROUP BY stock_id
           ) AS live ON live.stock_id = stock.id
           WHERE stock.claimed <> coalesce(live.sum, 0)""",
    ),
    Check(
        "orders.holds_are_the_unpaid_orders",
        """SELECT 'order ' || number || ' is ' || "order".status || ', its hold is '
                  || coalesce(reservation.status, 'gone')
           FROM orders_order AS "order" JOIN orders_orderitem AS item ON item.order_id = "order".id
           LEFT JOIN orders_reservation AS reservation
             ON reservation.item_id = item.id AND reservation.status <> 'released'
           WHERE coalesce(reservation.status, 'gone') <> CASE
               WHEN "order".status IN ('pending', 'closing') THEN 'held'
               WHEN "order".status IN ('expired', 'cancelled') THEN 'gone' ELSE 'sold' END""",
    ),
    Check(
        "orders.every_change_has_its_event",
        """SELECT 'order ' || number || ' is ' || status || ', its history ends with '
                  || coalesce(last.after, 'nothing')
           FROM orders_order AS "order" LEFT JOIN LATERAL (
               SELECT after FROM orders_orderevent WHERE order_id = "order".id ORDER BY id DESC LIMIT 1
           ) AS last ON true WHERE last.after IS DISTINCT FROM status""",
    ),
    Check(
        "orders.history_is_unbroken",
        """SELECT 'order ' || order_id || ': ' || before || ' follows ' || previous FROM (
               SELECT order_id, before, lag(after) OVER (PARTITION BY order_id ORDER BY id) AS previous
               FROM orders_orderevent
           ) AS chain WHERE before <> coalesce(previous, '')""",
    ),
    Check(
        "orders.totals_add_up",
        """SELECT 'order ' || number || ': total ' || total_minor
                  || ', lines ' || sum(unit_price_minor * quantity)
           FROM orders_order AS "order" JOIN orders_orderitem AS item ON item.order_id = "order".id
           GROUP BY "order".id HAVING total_minor <> sum(unit_price_minor * quantity)""",
    ),
    Check(
        "orders.deadlines_are_kept",
        """SELECT 'order ' || number || ' is ' || status || ', reserved until ' || reserved_until
           FROM orders_order
           WHERE status IN ('pending', 'closing')
             AND reserved_until < clock_timestamp() - %(grace)s::interval""",
        needs_grace=True,
    ),
    Check(
        "orders.paid_orders_get_their_keys",
        """SELECT 'order ' || number || ' was paid and has no keys yet' FROM orders_order AS "order"
           WHERE status = 'paid' AND attention = '' AND EXISTS (
               SELECT FROM orders_orderevent AS event WHERE event.order_id = "order".id
                 AND event.after = 'paid' AND event.at < clock_timestamp() - %(grace)s::interval)""",
        needs_grace=True,
    ),
]
